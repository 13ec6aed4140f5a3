"""What a replay takes of one symbol: changes of the book and trades, in the order in which they were received."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from wfbt.data.arrays import I1, I8, read_only
from wfbt.data.book.rows import Levels
from wfbt.errors import DataError


class Kind(IntEnum):
    """What a row of events is."""

    DEPTH = 0  # the size now displayed at a level; 0 deletes it
    TRADE = 1
    CLEAR = 2  # the side is empty, both with side 0
    CLEAR_TO = 3  # bids at or above the tick, asks at or below it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BookEvents:
    """Events of one symbol, n of them, in the order of receipt; equal times stand in the order of the rows.

    Attributes
    ----------
    exch_ts, local_ts : (n,) int64
        ns UTC: when it happened at the exchange, which need not increase, and when it was received; local_ts ≥ exch_ts.
    kind : (n,) int8
        Kind.
    side : (n,) int8
        1 bid, −1 ask; of a trade the aggressor's, 1 a buyer; 0 only with CLEAR, for both.
    tick, lots : (n,) int64
        Price and size in units of the grid.  DEPTH: lots ≥ 0; TRADE: lots > 0; ignored with CLEAR.
    tick_size, lot_size : float
        Quote per unit of a tick and units of a lot, both > 0.
    """

    exch_ts: I8
    local_ts: I8
    kind: I1
    side: I1
    tick: I8
    lots: I8
    tick_size: float
    lot_size: float

    def __post_init__(self) -> None:
        for name in ("exch_ts", "local_ts", "tick", "lots"):
            object.__setattr__(self, name, read_only(getattr(self, name), np.int64))
        for name in ("kind", "side"):
            wide = np.asarray(getattr(self, name))
            if wide.size and not (wide.min() >= -1 and wide.max() <= 3):
                raise DataError(f"book: {name} must be -1 to 3, was {wide[np.argmax((wide < -1) | (wide > 3))]}")
            object.__setattr__(self, name, read_only(wide, np.int8))
        for name in ("local_ts", "kind", "side", "tick", "lots"):
            if getattr(self, name).shape != self.exch_ts.shape:
                raise DataError(f"book: {name} has {len(getattr(self, name))} rows, exch_ts {len(self.exch_ts)}")
        for name in ("tick_size", "lot_size"):
            if not (getattr(self, name) > 0 and np.isfinite(getattr(self, name))):
                raise DataError(f"book: {name} must be > 0, was {getattr(self, name)}")
        if (bad := np.flatnonzero(np.diff(self.local_ts) < 0)).size:
            raise DataError(f"book: row {bad[0] + 1} was received before row {bad[0]}")
        levels = (self.kind == Kind.DEPTH) | (self.kind == Kind.TRADE)
        self._forbid(
            self.local_ts < self.exch_ts, "is received before it happens; add corrections.clock_offset on reading"
        )
        self._forbid(self.kind < 0, "has a kind below 0")
        self._forbid((self.side == 0) & (self.kind != Kind.CLEAR), "has side 0, which only CLEAR may have")
        self._forbid((self.side < -1) | (self.side > 1), "has a side other than 1, -1 and 0")
        self._forbid(levels & (self.tick <= 0), "has a tick of 0 or less")
        self._forbid((self.kind == Kind.DEPTH) & (self.lots < 0), "has a size below 0")
        self._forbid((self.kind == Kind.TRADE) & (self.lots <= 0), "is a trade of nothing")

    def _forbid(self, bad: np.ndarray, words: str) -> None:
        if bad.any():
            raise DataError(f"book: row {int(np.argmax(bad))} {words}")

    def __len__(self) -> int:
        return len(self.exch_ts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prints:
    """Trades on the grid of the book: (K,) int64 but `side`, int8, of the aggressor; in order of receipt."""

    exch_ts: I8
    recv_ts: I8
    side: I1
    tick: I8
    lots: I8

    def __len__(self) -> int:
        return len(self.exch_ts)

    def take(self, index: np.ndarray | slice) -> Prints:
        """The trades of a mask, of indices or of a slice."""
        return Prints(**{name: getattr(self, name)[index] for name in self.__slots__})


class _Columns:
    """Arrays of events, not yet a BookEvents."""

    NAMES = ("exch_ts", "local_ts", "kind", "side", "tick", "lots")

    def __init__(self, **arrays: np.ndarray) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["exch_ts"])

    def take(self, index: np.ndarray | slice) -> _Columns:
        return _Columns(**{name: values[index] for name, values in self.arrays.items()})


def depth_events(rows: Levels) -> _Columns:
    """DEPTH rows, and a CLEAR of both sides before each snapshot."""
    shot = rows.snapshot & np.concatenate([[True], rows.last[:-1]]) if len(rows) else rows.snapshot
    at = np.flatnonzero(shot)
    source = np.insert(np.arange(len(rows)), at, at)
    clear = np.zeros(len(source), np.bool_)
    clear[at + np.arange(len(at))] = True
    return _Columns(
        exch_ts=rows.exch_ts[source],
        local_ts=rows.recv_ts[source],
        kind=np.where(clear, Kind.CLEAR, Kind.DEPTH).astype(np.int8),
        side=np.where(clear, 0, rows.side[source]).astype(np.int8),
        tick=np.where(clear, 0, rows.tick[source]),
        lots=np.where(clear, 0, rows.lots[source]),
    )


def trade_events(prints: Prints) -> _Columns:
    """TRADE rows."""
    return _Columns(
        exch_ts=prints.exch_ts,
        local_ts=prints.recv_ts,
        kind=np.full(len(prints), Kind.TRADE, np.int8),
        side=prints.side,
        tick=prints.tick,
        lots=prints.lots,
    )


def merged(
    depth: Iterable[Levels], prints: Iterable[Prints], tick_size: float, lot_size: float
) -> Iterator[BookEvents]:
    """Two streams in order of receipt as one, chunk by chunk; trades stand before changes of the same time.

    A venue matches first and shows what is left of the level then.
    """
    left, right = (depth_events(one) for one in depth), (trade_events(one) for one in prints)
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if a is not None and not len(a):
            a = next(left, None)
            continue
        if b is not None and not len(b):
            b = next(right, None)
            continue
        if a is None or b is None:
            one = a if a is not None else b
            assert one is not None
            part, a, b = (
                one,
                (next(left, None) if a is not None else None),
                (next(right, None) if b is not None else None),
            )
        else:
            # Up to the earlier of the two ends nothing more can come in between, but trades of that very time.
            times_a, times_b = a.arrays["local_ts"], b.arrays["local_ts"]
            end = min(times_a[-1], times_b[-1])
            cut_a = int(np.searchsorted(times_a, end, side="left" if times_b[-1] == end else "right"))
            cut_b = int(np.searchsorted(times_b, end, side="right"))
            ahead, behind = b.take(slice(0, cut_b)), a.take(slice(0, cut_a))
            a, b = a.take(slice(cut_a, None)), b.take(slice(cut_b, None))
            both = {name: np.concatenate([ahead.arrays[name], behind.arrays[name]]) for name in _Columns.NAMES}
            order = np.argsort(both["local_ts"], kind="stable")
            part = _Columns(**both).take(order)
        if len(part):
            yield BookEvents(**part.arrays, tick_size=tick_size, lot_size=lot_size)
