"""A rule or a network for each market regime: that of the current one decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError, PolicyError
from wfbt.policy.columns import NAMES, Columns
from wfbt.policy.composite import F8, I8, Composite, Network, Part, standing, taken
from wfbt.policy.council import Deliberation, taking_turns
from wfbt.policy.rule import Frames

DISTANCES = ("stop", "take", "trail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation(Composite):
    """What the rule of the current regime would hold; flat in a regime without one and while none is known.

    Attributes
    ----------
    states : tuple of str
        Names of the regimes: state k is `regime` k of the frames.
    rules : mapping
        Rule by state, keyed so in parameter names (`calm.fast`).
    """

    kind: ClassVar[str] = "rotation"

    states: tuple[str, ...]
    rules: Mapping[str, Part]

    @property
    def parts(self) -> Mapping[str, Part]:
        """The rules by state."""
        return self.rules

    def with_parts(self, parts: Mapping[str, Part]) -> Rotation:
        """The same of other parts, by the same keys."""
        return replace(self, rules=parts)

    def columns(
        self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None = None
    ) -> dict[str, Columns]:
        """The acting rule's target of each symbol, as a share of the whole account.

        All rules watch all bars, and the last number of each stands until its next one.  A row names a target where the
        acting rule does, and where the regime changes: then what the new one's stands at, with the distances that came
        with it.  PolicyError on frames without a `regime`, and on a rule that puts out more than distances.
        """
        for symbol, frame in frames.items():
            if "regime" not in frame:
                raise PolicyError(f"rotation: the bars of {symbol} have no regime; a run learns it from training rows")
        shares = self.split(params)
        said = {}
        for state, rule in self.rules.items():
            said[state] = rule.columns(frames, shares[state], train)
            for symbol, columns in said[state].items():
                _check_orders(state, rule, symbol, columns)
        return {
            symbol: rotated(
                frame["regime"].to_numpy(np.float64),
                [said[state][symbol] if state in said else None for state in self.states],
            )
            for symbol, frame in frames.items()
        }

    def deliberation(self, frames: Frames, params: Mapping[str, Any], train: I8 | None = None) -> Deliberation:
        """The networks by regime; all of them see the one position, whoever opened it."""
        shares = self.split(params)
        asked: list[Deliberation | None] = []
        for state in self.states:
            rule = self.rules.get(state)
            if rule is not None and not isinstance(rule, Network):
                raise ConfigError(
                    f"rotation: {rule.name} in {state} is a rule, and others watch the account that it shares; let "
                    "them see nothing of it"
                )
            asked.append(None if rule is None else rule.deliberation(frames, shares[state], train))
        regime = {symbol: frame["regime"].to_numpy(np.float64) for symbol, frame in frames.items()}
        return taking_turns(asked, regime)


def rotated(regime: F8, said: Sequence[Columns | None]) -> Columns:
    """Columns of a symbol whose rule at row t is number `regime[t]`, (T,), of `said`; NaN and None are flat."""
    rows = len(regime)
    target, spoken = np.zeros(rows), np.zeros(rows, np.bool_)
    given = [name for name in DISTANCES if any(one is not None and getattr(one, name) is not None for one in said)]
    distances = {name: np.full(rows, np.nan) for name in given}
    for number, one in enumerate(said):
        if one is None:
            continue
        acts = regime == number
        stands = standing(one.target)
        # Before its first number a rule holds nothing.
        target[acts] = np.nan_to_num(taken(one.target, stands), nan=0.0)[acts]
        spoken |= acts & ~np.isnan(one.target)
        for name in given:
            if (column := getattr(one, name)) is not None:
                distances[name][acts] = taken(column, stands)[acts]
    changed = np.ones(rows, np.bool_)
    now = np.where(np.isnan(regime), -1.0, regime)
    changed[1:] = now[1:] != now[:-1]
    # What closes a position goes to the market at once and needs no stop.
    kept = {name: np.where(target == 0, np.nan, column) for name, column in distances.items()}
    return Columns(target=np.where(spoken | changed, target, np.nan), **kept)


def _check_orders(state: str, rule: Part, symbol: str, columns: Columns) -> None:
    waits = [name for name in NAMES[1:] if name not in DISTANCES]
    given = [name for name in waits if (one := getattr(columns, name)) is not None and not np.isnan(one).all()]
    if given:
        raise PolicyError(
            f"rotation: {rule.name} in {state} puts out {' and '.join(given)} for {symbol}, and of an order that waits "
            "for a price it is not known what it would hold when its regime begins; let it put out a target alone"
        )
