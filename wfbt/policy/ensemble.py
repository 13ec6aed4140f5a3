"""A weighted sum of rules and networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError, PolicyError
from wfbt.policy.columns import NAMES, Columns
from wfbt.policy.composite import F8, I8, Composite, Network, Part, standing, taken
from wfbt.policy.council import Deliberation, together
from wfbt.policy.rule import Frames

DIGITS = 12
"""Decimals of a sum: 0.1 + 0.2 − 0.3 is to be 0, not an order for the 17th digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble(Composite):
    """What its members would hold alone, each with its share of the account, as one position.

    Attributes
    ----------
    members : tuple of Rule or Learned
        Keyed "1", "2", … in parameter names.
    weights : tuple of float
        Of each member, as written: > 0, not normalised, together at most 1.
    """

    kind: ClassVar[str] = "ensemble"

    members: tuple[Part, ...]
    weights: tuple[float, ...]

    @property
    def parts(self) -> Mapping[str, Part]:
        """The members by their number, from 1."""
        return {str(number): member for number, member in enumerate(self.members, start=1)}

    def with_parts(self, parts: Mapping[str, Part]) -> Ensemble:
        """The same of other parts, by the same keys."""
        return replace(self, members=tuple(parts[key] for key in self.parts))

    def columns(
        self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None = None
    ) -> dict[str, Columns]:
        """Σ weight · target of each symbol, as a share of the whole account.

        A row names a target where any member does.  A member's last number stands until its next one; before its first
        it holds nothing, so it counts as 0.  PolicyError on a member that puts out distances or prices.
        """
        shares = self.split(params)
        said = {}
        for key, member in self.parts.items():
            said[key] = member.columns(frames, shares[key], train)
            for symbol, columns in said[key].items():
                _check_bare(key, member, symbol, columns)
        return {
            symbol: Columns(target=weighted([one[symbol].target for one in said.values()], self.weights))
            for symbol in frames
        }

    def deliberation(self, frames: Frames, params: Mapping[str, Any], train: I8 | None = None) -> Deliberation:
        """The networks together, each with its weight; all of them see the one position that they share."""
        shares = self.split(params)
        asked = []
        for key, member in self.parts.items():
            if not isinstance(member, Network):
                raise ConfigError(
                    f"ensemble: member {key} ({member.name}) is a rule, and others watch the account that it shares; "
                    "let them see nothing of it, or confirm the rule in a hybrid"
                )
            asked.append(member.deliberation(frames, shares[key], train))
        return together(asked, self.weights)


def weighted(targets: list[F8], weights: tuple[float, ...]) -> F8:
    """(T,) sum of the standing `targets`, (T,) each, times `weights`; NaN on rows where none of them is a number."""
    total, spoken = np.zeros(len(targets[0])), np.zeros(len(targets[0]), dtype=np.bool_)
    for target, weight in zip(targets, weights, strict=True):
        total += weight * np.nan_to_num(taken(target, standing(target)), nan=0.0)
        spoken |= ~np.isnan(target)
    return np.where(spoken, np.round(total, DIGITS), np.nan)


def _check_bare(key: str, member: Part, symbol: str, columns: Columns) -> None:
    given = [
        name for name in NAMES[1:] if (column := getattr(columns, name)) is not None and not np.isnan(column).all()
    ]
    if given:
        raise PolicyError(
            f"ensemble: member {key} ({member.name}) puts out {' and '.join(given)} for {symbol}, and one position "
            "cannot have the brackets of several rules: let it put out none (ema_rsi_adx: stop_atr null, "
            "take_atr null) and give exits: for the whole"
        )
