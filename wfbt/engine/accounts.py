"""Accounts that wait before each decision, for whoever decides by what they have become.

The replay is the one of every backtest: an account that is told the same targets here and there is the same account,
bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.engine.backtest import span
from wfbt.engine.intents import ABSENT
from wfbt.engine.tape import Deck
from wfbt.errors import ConfigError
from wfbt.kernels.abi import (
    EVENT,
    FILL,
    INTENT,
    LANE,
    LIQUIDATION,
    ORDER_LOG,
    PAYMENT,
    TALLY,
    Rules,
    Seen,
    desk_of,
    record_of,
    watch_of,
)

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
B1 = npt.NDArray[np.bool_]

SEEN = {one.name.lower(): one for one in Seen}
"""What an account can see of itself, by name."""

OF_ASSETS = tuple(name for name, code in SEEN.items() if code < Seen.DRAWDOWN)


class Accounts:
    """N accounts over one deck.

    `begin` opens some of them, `step` tells each what it wants and takes it to its next decision.  An account that has
    come to the end of its span, or has lost everything, is no longer `waiting` until it is begun again.

    Parameters
    ----------
    deck : Deck
    rules : Rules
    sheet : (T, A) SHEET
        Of the deck's lowering.
    slices : int
        `Lowering.slices`.
    count : int
        N.
    """

    def __init__(self, deck: Deck, rules: Rules, sheet: npt.NDArray[np.void], slices: int, count: int) -> None:
        assets = len(deck.symbols)
        self.deck, self.rules, self.sheet, self.slices = deck, record_of(rules), sheet, slices
        self.lanes = np.zeros(count, LANE)
        self.lanes["waits"] = -1
        self.lanes["first"] = np.arange(count) * assets
        self.lanes["last"] = self.lanes["first"] + assets
        self.desk, self.watch = desk_of(count, assets, deck.slots), watch_of(count, assets)
        self.tallies, self.intents = np.zeros(count, TALLY), market_orders(count, assets)
        self.bars = np.searchsorted(deck.decisions, np.arange(len(deck.tape.open_ts)))
        self._daily = np.full((count, len(deck.day_rows)), np.nan)
        self._scratch = (
            np.zeros(1, FILL), np.zeros(1, PAYMENT), np.zeros(1, ORDER_LOG), np.zeros(1, EVENT),
            np.zeros(1, LIQUIDATION), np.zeros(1), np.zeros(1), np.zeros((1, assets)), np.zeros(1), np.zeros(1),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.lanes)

    @property
    def waiting(self) -> B1:
        """(N,) whether the account has a decision before it."""
        return np.asarray(self.desk.carry["under_way"] != 0)

    @property
    def bar(self) -> I8:
        """(N,) decision bar at whose close each account stands."""
        row = self.desk.carry["row"] - np.where(self.waiting, 0, 1)
        return np.asarray(self.bars[np.maximum(row, 0)])

    @property
    def equity(self) -> F8:
        """(N,) at that close, quote."""
        return np.asarray(self.desk.carry["worth"])

    def begin(self, chosen: I8, first: I8, last: I8) -> None:
        """Open the `chosen` accounts anew, flat, on decision bars [first, last); each waits at the close of `first`."""
        if (first < 0).any() or (last > len(self.deck.decisions)).any() or (last - first < 2).any():
            raise ConfigError(f"a span of decisions must hold 2 bars or more of 0 … {len(self.deck.decisions)}")
        rows = [span(self.deck, int(a), int(b)) for a, b in zip(first, last, strict=True)]
        self.lanes["waits"] = -1
        self.lanes["start"][chosen] = [start for start, _ in rows]
        self.lanes["stop"][chosen] = [stop for _, stop in rows]
        self.lanes["waits"][chosen] = 1
        self.desk.carry["under_way"][chosen] = 0
        self.tallies[chosen] = np.zeros(1, TALLY)
        self.intents.reshape(len(self), -1)["row"][chosen] = -1
        self.watch.submitted[chosen] = self.watch.held[chosen] = self.watch.side[chosen] = 0
        self._replay()
        self.lanes["waits"] = np.where(self.waiting, 1, -1)

    def step(self, targets: F8, chosen: B1 | None = None) -> None:
        """Tell each waiting account its (N, A) targets, as a column of a policy would, and go to its next decision.

        With `chosen` (N,) only those; the others stay where they are.
        """
        from wfbt.kernels.agent import submit

        if chosen is not None:
            self._only(chosen)
        submit(targets, self.bars, self.sheet, self.slices, self.desk, self.watch, self.intents, self.lanes)
        self._replay()
        if chosen is not None:
            self._only(self.waiting)

    def observe(self, seen: Sequence[Seen] | I8, out: F8, first: int = 0, chosen: B1 | None = None) -> None:
        """Write what each waiting account sees of itself into columns `first` … of `out` (N, X); once a decision.

        With `chosen` (N,) only those.
        """
        from wfbt.kernels.agent import observe

        codes = np.asarray(seen, np.int64)
        if chosen is not None:
            self._only(chosen)
        observe(self.desk, self.watch, self.deck.contracts, self.deck.tape.mark_close, codes, self.lanes, first, out)
        if chosen is not None:
            self._only(self.waiting)

    def _only(self, chosen: B1) -> None:
        """Pass over the accounts that do not wait, or are not `chosen`."""
        self.lanes["waits"] = np.where(self.waiting & chosen, 1, -1)

    def follow(self, *council: Any) -> int:
        """Let networks decide for the one account there is: `wfbt.kernels.rollout.rollout` from `council` on."""
        from wfbt.kernels.rollout import rollout

        self.lanes["waits"] = 1
        return int(rollout(*self._market(), self.watch, self.sheet, self.slices, self.bars, *council))

    def _replay(self) -> None:
        from wfbt.kernels.bars import replay

        replay(*self._market())

    def _market(self) -> tuple[Any, ...]:
        deck = self.deck
        return (
            deck.tape, deck.terms, deck.stamps, deck.contracts, deck.day_rows, self.intents, self.lanes, self.rules,
            deck.slots, deck.activity, deck.venue, *self._scratch, self._daily, self.tallies, self.desk,
        )  # fmt: skip


def market_orders(lanes: int, assets: int) -> npt.NDArray[np.void]:
    """(L·A,) INTENT, a place for each asset of each lane; what `wfbt.kernels.agent.submit` leaves as it is."""
    intents = np.zeros((lanes, assets), INTENT)
    intents["row"], intents["asset"] = -1, np.arange(assets)
    for name, value in ABSENT.items():
        intents[name] = value
    return intents.reshape(-1)


def width(seen: Sequence[str], assets: int) -> int:
    """Columns that the names in `seen` make."""
    return sum(assets if name in OF_ASSETS else 1 for name in seen)
