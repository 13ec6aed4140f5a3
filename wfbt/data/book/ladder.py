"""A book rebuilt from its rows: the best of both sides after each message, and all levels when asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wfbt.data.arrays import I1, I8
from wfbt.data.book.rows import Levels, Mask
from wfbt.kernels.levels import Ladder, apply_rows

ROOM = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Best:
    """The best of both sides after each of M messages.

    Attributes
    ----------
    at : (M,) int64
        The index, in the rows given, with which the message ends.
    bid, bid_lots, ask, ask_lots : (M,) int64
        Ticks and lots; an empty side has 0 lots.
    far : (N,) bool
        Rows that set a level beyond `factor` times the mid before their message.
    gone_at, gone_tick : (G,) int64, gone_side : (G,) int8
        Stale levels deleted after the message that ends at row `gone_at`.
    """

    at: I8
    bid: I8
    bid_lots: I8
    ask: I8
    ask_lots: I8
    far: Mask
    gone_at: I8
    gone_side: I1
    gone_tick: I8

    @property
    def both(self) -> Mask:
        """(M,) bool: both sides hold something."""
        held: Mask = (self.bid_lots > 0) & (self.ask_lots > 0)
        return held


class Book:
    """The levels of one book as rows are applied.  It grows with the number of levels, never with that of rows."""

    def __init__(self, *, factor: float = np.inf, skip: bool = False, uncross: bool = False) -> None:
        """`factor` of the mid makes a level far; `skip` leaves far levels out, `uncross` deletes stale ones."""
        self._state = np.zeros(Ladder.SIZE, np.int64)
        self._levels = [np.zeros((2, ROOM), np.int64) for _ in range(3)]
        self._rules = (float(factor), skip, uncross)

    def apply(self, rows: Levels) -> Best:
        """Apply rows in their order; they may begin or end inside a message."""
        n, ends = len(rows), int(np.count_nonzero(rows.last))
        far, best, at = np.zeros(n, np.bool_), np.empty((ends, 4), np.int64), np.empty(ends, np.int64)
        most = n + int(self._state[Ladder.BIDS] + self._state[Ladder.ASKS]) if self._rules[2] else 1
        gone = np.empty((most, 3), np.int64)
        self._state[Ladder.GONE] = 0
        # One kind of array, so one specialisation: what comes from Parquet is read-only, what is computed is not.
        given = [_lent(one) for one in (rows.side, rows.tick, rows.lots, rows.snapshot, rows.last)]
        row, told = 0, 0
        while row < n:
            row, more = apply_rows(
                self._state, *self._levels, *given, row, *self._rules, far, best[told:], at[told:], gone
            )
            told += more
            if row < n:
                self._levels = [np.concatenate([one, np.zeros_like(one)], axis=1) for one in self._levels]
        gone = gone[: self._state[Ladder.GONE]]
        return Best(
            at=at,
            bid=best[:, 0],
            bid_lots=best[:, 1],
            ask=best[:, 2],
            ask_lots=best[:, 3],
            far=far,
            gone_at=gone[:, 0],
            gone_side=gone[:, 1].astype(np.int8),
            gone_tick=gone[:, 2],
        )

    def levels(self) -> tuple[I1, I8, I8]:
        """Side, tick and lots of every level: bids from the best down, then asks from the best up."""
        bids, asks = int(self._state[Ladder.BIDS]), int(self._state[Ladder.ASKS])
        keys, lots, _ = self._levels
        side = np.repeat(np.array([1, -1], np.int8), [bids, asks])
        tick = np.concatenate([keys[0, :bids][::-1], -keys[1, :asks][::-1]])
        return side, tick, np.concatenate([lots[0, :bids][::-1], lots[1, :asks][::-1]])


def _lent(array: Any) -> Any:
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
