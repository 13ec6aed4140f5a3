"""One proposes, another confirms: rules, networks, or one of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError, PolicyError
from wfbt.policy.columns import NAMES, Columns
from wfbt.policy.composite import F8, I8, Composite, Network, Part, standing, taken
from wfbt.policy.council import Deliberation
from wfbt.policy.learned import on_one_clock
from wfbt.policy.rule import Frames

Mode = Literal["veto", "agree", "scale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hybrid(Composite):
    """The targets of `propose`, as far as `confirm` lets them pass; distances and prices are the proposer's alone.

    Attributes
    ----------
    propose, confirm : Rule or Learned
        Rules stand until they say another number; what they say of a bar is known at its close.  A network that
        confirms is asked when something new is proposed, and its answer stands until the next proposal.
    mode : str
        "veto": a target passes unless the other's has the opposite sign.  "agree": only while the signs are equal.
        "scale": multiplied by the size of the other's target, at most 1, whatever its sign.  What does not pass is 0.
    passes : bool
        Where a network takes part: whether a proposal passes while who confirms abstains.  Of two rules, one that has
        said nothing yet vetoes nothing, and leaves the position alone in the other modes.
    """

    kind: ClassVar[str] = "hybrid"

    propose: Part
    confirm: Part
    mode: Mode
    passes: bool = False

    @property
    def parts(self) -> Mapping[str, Part]:
        """Both."""
        return {"propose": self.propose, "confirm": self.confirm}

    def with_parts(self, parts: Mapping[str, Part]) -> Hybrid:
        """The same of other parts, by the same keys."""
        return replace(self, propose=parts["propose"], confirm=parts["confirm"])

    def columns(
        self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None = None
    ) -> dict[str, Columns]:
        """The proposal of each symbol as confirmed, as a share of the whole account.

        The confirming rule's target counts as it says it: a built-in's is not divided by the number of symbols.
        """
        networks = [part for part in (self.propose, self.confirm) if isinstance(part, Network)]
        if networks and not any(part.slow for part in networks):
            clock, places = on_one_clock(frames)
            closes = {symbol: frame["close"].to_numpy(np.float64) for symbol, frame in frames.items()}
            return self.deliberation(frames, params, train).on_paper(closes, places, len(clock))
        shares = self.split(params)
        proposals = self.propose.columns(frames, shares["propose"], train)
        opinions = self.confirm.opinion(frames, shares["confirm"], train)
        self._check_single(proposals)
        said = {symbol: opinions[symbol].target for symbol in proposals}
        if isinstance(self.confirm, Network):
            told = [(symbol, one.target) for symbol, one in proposals.items()]
            said = {symbol: answers(target, said[symbol], self.mode, self.passes) for symbol, target in told}
        return {symbol: confirmed(one, said[symbol], self.mode) for symbol, one in proposals.items()}

    def deliberation(self, frames: Frames, params: Mapping[str, Any], train: I8 | None = None) -> Deliberation:
        """The network that confirms beside what is proposed, or the one that proposes beside what confirms."""
        for part in self.parts.values():
            if isinstance(part, Network) and part.slow:
                raise ConfigError(
                    f"hybrid: {part.name} is an ONNX graph, and one of both watches the account; let neither see "
                    "anything of it, or export the graph as a plain network"
                )
        shares = self.split(params)
        if isinstance(self.confirm, Network) and (self.confirm.watches or not isinstance(self.propose, Network)):
            if self.propose.watches:
                raise ConfigError(
                    f"hybrid: {self.propose.name} and {self.confirm.name} both watch the account; let the one that "
                    "proposes see nothing of it"
                )
            proposals = self.propose.columns(frames, shares["propose"], train)
            self._check_single(proposals)
            own = self.confirm.deliberation(frames, shares["confirm"], train)
            return replace(own, other=proposals, mode=self.mode, passes=self.passes)
        return self._against(frames, shares, train)

    def _against(self, frames: Frames, shares: Mapping[str, Mapping[str, Any]], train: I8 | None) -> Deliberation:
        """The network that proposes; who confirms says at every bar what it thinks."""
        assert isinstance(self.propose, Network)
        opinions = self.confirm.opinion(frames, shares["confirm"], train)
        own = self.propose.deliberation(frames, shares["propose"], train)
        return replace(own, other=opinions, mode=self.mode, passes=self.passes, mirrored=True)

    def _check_single(self, proposals: Mapping[str, Columns]) -> None:
        for symbol, one in proposals.items():
            if one.other is not None and not np.isnan(one.other).all():
                raise PolicyError(
                    f"hybrid: {self.propose.name} puts out other for {symbol}, and of two orders on either side of the "
                    "market none can be confirmed before one is filled; let it put out one"
                )


def answers(proposal: F8, opinion: F8, mode: Mode, passes: bool) -> F8:
    """(T,) what a network that is asked at new proposals alone answers; NaN elsewhere, so that it stands.

    Where it has no opinion (NaN) its answer is one that lets the proposal pass, or that does not.
    """
    rows = standing(proposal)
    earlier = np.concatenate(([-1], rows[:-1]))[: len(rows)]
    before = taken(proposal, earlier)
    asked = ~np.isnan(proposal) & (proposal != before)
    side = np.sign(proposal)
    silent = side if passes else (np.zeros(len(side)) if mode == "scale" else -side)
    return np.where(asked, np.where(np.isnan(opinion), silent, opinion), np.nan)


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
