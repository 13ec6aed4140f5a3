"""One rule proposes, another confirms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from wfbt.errors import PolicyError
from wfbt.policy.columns import NAMES, Columns
from wfbt.policy.composite import F8, Composite, standing, taken
from wfbt.policy.rule import Frames, Rule

Mode = Literal["veto", "agree", "scale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hybrid(Composite):
    """The targets of `propose`, as far as `confirm` lets them pass; distances and prices are the proposer's alone.

    Attributes
    ----------
    propose, confirm : Rule
        Both stand until they say another number; what they say of a bar is known at its close.
    mode : str
        "veto": a target passes unless the other's has the opposite sign.  "agree": only while the signs are equal.
        "scale": multiplied by the size of the other's target, at most 1, whatever its sign.  What does not pass is 0.
    """

    kind: ClassVar[str] = "hybrid"

    propose: Rule
    confirm: Rule
    mode: Mode

    @property
    def parts(self) -> Mapping[str, Rule]:
        """Both rules."""
        return {"propose": self.propose, "confirm": self.confirm}

    def columns(
        self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None = None
    ) -> dict[str, Columns]:
        """The proposal of each symbol as confirmed, as a share of the whole account.

        The confirming rule's target counts as it says it: a built-in's is not divided by the number of symbols.
        """
        shares = self.split(params)
        proposals = self.propose.columns(frames, shares["propose"], train)
        opinions = self.confirm.opinion(frames, shares["confirm"], train)
        for symbol, one in proposals.items():
            if one.other is not None and not np.isnan(one.other).all():
                raise PolicyError(
                    f"hybrid: {self.propose.name} puts out other for {symbol}, and of two orders on either side of the "
                    "market none can be confirmed before one is filled; let it put out one"
                )
        return {symbol: confirmed(one, opinions[symbol].target, self.mode) for symbol, one in proposals.items()}


def confirmed(proposal: Columns, opinion: F8, mode: Mode) -> Columns:
    """`proposal` as (T,) `opinion` lets it pass in `mode`.

    A row names a target where the proposal names one, and where a change of opinion changes what passes; it then
    carries the distances and prices that came with the proposal.  NaN elsewhere, so that an opinion that never objects
    leaves the proposal as it is.
    """
    rows = standing(proposal.target)
    wanted = taken(proposal.target, rows)
    view = taken(opinion, standing(opinion))
    if mode == "veto":
        passed = np.where(wanted * view < 0, 0.0, wanted)
    elif mode == "agree":
        passed = np.where(np.isnan(wanted + view), np.nan, np.where(np.sign(wanted) == np.sign(view), wanted, 0.0))
    else:
        passed = wanted * np.minimum(np.abs(view), 1.0)
    before = np.concatenate(([np.nan], passed[:-1]))[: len(passed)]
    target = np.where(~np.isnan(proposal.target) | (passed != before), passed, np.nan)
    # What closes a position goes to the market at once and needs no stop.
    withheld = (passed == 0) & (wanted != 0)
    kept = {
        name: np.where(withheld, np.nan, taken(column, rows))
        for name in NAMES[1:]
        if (column := getattr(proposal, name)) is not None
    }
    return Columns(target=target, **kept)
