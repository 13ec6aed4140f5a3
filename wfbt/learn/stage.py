"""All that lanes share: a market, the rules of an account, what is seen of both and what decisions mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from wfbt.data.market import Market
from wfbt.engine.accounts import SEEN, width
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.tape import Deck, lay_out
from wfbt.errors import ConfigError
from wfbt.kernels.abi import Rules
from wfbt.learn.reward import Reward, Six

F4 = npt.NDArray[np.float32]
F8 = npt.NDArray[np.float64]
B1 = npt.NDArray[np.bool_]

STANDARD = ("position", "unrealised", "holding", "drawdown")
"""What an account sees of itself unless told otherwise."""


class Actions(Protocol):
    """What a policy's actions mean.

    A map with `targets` is a finite choice, of each asset where there are several: (N,) whole numbers make (N, 1)
    targets.  Any other is a box of `outputs` numbers: a direction in −1..1 of each asset and then, where it is `sized`,
    a size in 0..1 of each; (N, outputs) numbers make (N, A) targets.  A target is NaN where the position is to be left
    alone.
    """

    @property
    def assets(self) -> int:
        """A."""

    @property
    def outputs(self) -> int:
        """Actions to choose from, or numbers in an action."""

    def to_targets(self, actions: npt.ArrayLike) -> F8:
        """Targets of the actions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """Everything that is the same for every lane and episode.

    T decision bars, A assets, X features, V numbers that an account sees of itself.

    Attributes
    ----------
    deck : Deck
    rules : Rules
    sheet : (T, A) SHEET
    slices : int
        Of the deck's lowering.
    features : (T, X) float32
        Row t is known at the close of decision bar t; NaN is not known yet and is shown as 0.
    actions : Actions
    reward : Reward
    seen : tuple of str
        What an account sees of itself, names of `wfbt.engine.accounts.SEEN`; of each asset first, then of the account.
    owners : (X,) int64 or None
        Asset that each feature is of, −1 of all; None: every feature is of all.
    terminal : "liquidation" or "ruin"
        What ends an episode early: the first liquidation of anything, or only the loss of everything.
    known : (T, A) bool
        Whether all features of an asset are known at a row.  Where they are not, what is decided for it is ignored.
    """

    deck: Deck
    rules: Rules
    sheet: npt.NDArray[np.void]
    slices: int
    features: F4
    actions: Actions
    reward: Reward = field(default_factory=Six)
    seen: tuple[str, ...] = STANDARD
    owners: npt.NDArray[np.int64] | None = None
    terminal: Literal["liquidation", "ruin"] = "liquidation"
    known: B1 = field(init=False)

    def __post_init__(self) -> None:
        rows, assets = len(self.deck.decisions), len(self.deck.symbols)
        given = np.asarray(self.features, np.float32)
        if given.ndim != 2 or len(given) != rows:
            raise ConfigError(f"features must be ({rows}, X): a row for each decision bar; they are {given.shape}")
        if np.isinf(given).any():
            row, column = (int(one[0]) for one in np.nonzero(np.isinf(given)))
            raise ConfigError(
                f"feature {column} is {given[row, column]} at row {row}; it must be finite, NaN for unknown"
            )
        if bad := [name for name in self.seen if name not in SEEN]:
            near = get_close_matches(bad[0], list(SEEN), 1)
            raise ConfigError(
                f"seen names {bad[0]!r}{f' (did you mean {near[0]}?)' if near else ''}; there are {', '.join(SEEN)}"
            )
        if len(set(self.seen)) < len(self.seen):
            raise ConfigError(f"seen names something twice: {', '.join(self.seen)}")
        if self.terminal not in ("liquidation", "ruin"):
            raise ConfigError(f"terminal must be liquidation or ruin, was {self.terminal!r}")
        if self.actions.assets != assets and not (self.discrete and self.actions.assets == 1):
            raise ConfigError(
                f"the action map has {self.actions.assets} assets, the market {', '.join(self.deck.symbols)}"
            )
        owners = np.full(given.shape[1], -1) if self.owners is None else np.asarray(self.owners, np.int64)
        if owners.shape != (given.shape[1],) or ((owners < -1) | (owners >= assets)).any():
            raise ConfigError(f"owners must be {given.shape[1]} numbers of −1 … {assets - 1}, one for each feature")
        known = np.stack(
            [~np.isnan(given[:, (owners == a) | (owners == -1)]).any(axis=1) for a in range(assets)], axis=1
        )
        shown = np.ascontiguousarray(np.nan_to_num(given, nan=0.0))
        for name, array in (("features", shown), ("known", np.ascontiguousarray(known)), ("owners", owners)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @staticmethod
    def of(
        market: Market,
        setup: Setup,
        features: npt.ArrayLike,
        actions: Actions,
        *,
        seed: int = 0,
        forecast: Mapping[str, F8] | None = None,
        **known: Any,
    ) -> Stage:
        """A stage on `market` as `setup` rules it; `known` are further attributes, `seed` is that of the delays."""
        deck = lay_out(market, setup, seed)
        lowering = Lowering(market, deck, setup)
        return Stage(
            deck=deck,
            rules=rules_of(setup, deck.horizon),
            sheet=lowering.sheet(forecast),
            slices=lowering.slices,
            features=np.asarray(features, np.float32),
            actions=actions,
            **known,
        )

    @property
    def assets(self) -> int:
        """A."""
        return len(self.deck.symbols)

    @property
    def discrete(self) -> bool:
        """Whether an action is a choice of a few."""
        return hasattr(self.actions, "targets")

    @property
    def width(self) -> int:
        """X + V, numbers in an observation: the features, then what the account sees of itself."""
        return int(self.features.shape[1]) + width(self.seen, self.assets)

    def observed(self) -> tuple[str, ...]:
        """Names of the V last numbers of an observation, in their order."""
        of_assets = [name for name in self.seen if width((name,), 2) == 2]
        each = [f"{symbol}.{name}" for symbol in self.deck.symbols for name in of_assets]
        return (*each, *(name for name in self.seen if name not in of_assets))

    def targets(self, actions: npt.ArrayLike) -> F8:
        """(N, A) targets of N actions."""
        if not self.discrete:
            return self.actions.to_targets(actions)
        chosen = np.asarray(actions)
        if self.actions.assets == self.assets:
            return self.actions.to_targets(chosen)
        return self.actions.to_targets(chosen.reshape(-1)).reshape(len(chosen), self.assets)

    def lost(self) -> F8:
        """(V,) what an account that has lost everything sees: it holds nothing, and is down by all it had."""
        whole: Mapping[str, float] = {"drawdown": 1.0, "today": -1.0}
        return np.array([whole.get(name, 0.0) for name in self.observed()])


def codes(seen: Sequence[str]) -> npt.NDArray[np.int64]:
    """What kernels call the names in `seen`."""
    return np.array([SEEN[name] for name in seen], np.int64)
