"""Rows of an order book's feed, in their two orders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.errors import DataError
from wfbt.kernels.book_abi import Rows
from wfbt.kernels.book_codes import Kind

I8 = npt.NDArray[np.int64]
I1 = npt.NDArray[np.int8]

HIGHEST = 2**31
"""No tick is as far from 0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BookEvents:
    """Consecutive rows of one symbol, in the order in which they were received.

    Attributes
    ----------
    exch_ts, local_ts : (n,) int64
        ns UTC: when a row's event happened at the exchange, and when it was received, which is when it is known.
        `local_ts` does not decrease, and is never before `exch_ts`.
    kind : (n,) int8
        `wfbt.kernels.book_codes.Kind`: DEPTH, TRADE, CLEAR or CLEAR_TO.
    side : (n,) int8
        1 bid, −1 ask; of a trade the aggressor's; 0 only of a CLEAR of both sides.
    tick : (n,) int64
        Price in ticks, of magnitude below 2³¹; of no meaning for CLEAR.
    lots : (n,) int64
        DEPTH: what the level now shows, 0 deletes it; TRADE: > 0; else of no meaning.

    Raises DataError where a row breaks a rule.
    """

    exch_ts: I8
    local_ts: I8
    kind: I1
    side: I1
    tick: I8
    lots: I8

    def __post_init__(self) -> None:
        for name in ("exch_ts", "local_ts", "kind", "side", "tick", "lots"):
            kind = np.int8 if name in ("kind", "side") else np.int64
            given = np.asarray(getattr(self, name))
            if given.ndim != 1 or given.dtype.kind not in "iu":
                raise DataError(f"book events: {name} must be one row of whole numbers, was {given.dtype}{given.shape}")
            array = np.ascontiguousarray(given, kind)
            if array.dtype != given.dtype and not np.array_equal(array, given):
                raise DataError(f"book events: {name} has numbers that {kind.__name__} does not hold")
            if array.flags.writeable:
                array = array.copy() if array is given or array.base is given else array
                array.flags.writeable = False
            object.__setattr__(self, name, array)
        if len({len(getattr(self, name)) for name in self.__slots__}) > 1:
            raise DataError("book events: exch_ts, local_ts, kind, side, tick and lots must be equally long")
        quote = (self.kind == Kind.DEPTH) | (self.kind == Kind.CLEAR_TO)
        for broken, rule in (
            (self.local_ts < self.exch_ts, "local_ts must not be before exch_ts: correct the clock on import"),
            (np.r_[False, np.diff(self.local_ts) < 0], "local_ts must not decrease"),
            ((self.kind < 0) | (self.kind > Kind.CLEAR_TO), "kind must be 0 DEPTH, 1 TRADE, 2 CLEAR or 3 CLEAR_TO"),
            (np.abs(self.side) > 1, "side must be 1, -1 or 0"),
            ((self.side == 0) & (self.kind != Kind.CLEAR), "side 0 is only for CLEAR"),
            ((quote | (self.kind == Kind.TRADE)) & (np.abs(self.tick) >= HIGHEST), "|tick| must be below 2^31"),
            ((self.kind == Kind.DEPTH) & (self.lots < 0), "lots of DEPTH must be >= 0"),
            ((self.kind == Kind.TRADE) & (self.lots <= 0), "lots of TRADE must be > 0"),
        ):
            if broken.any():
                row = int(np.flatnonzero(broken)[0])
                told = ", ".join(f"{name} {getattr(self, name)[row]}" for name in self.__slots__)
                raise DataError(f"book events: row {row}: {rule} ({told})")

    def __len__(self) -> int:
        return len(self.exch_ts)

    def rows(self, ts: I8, order: npt.NDArray[np.intp] | None = None) -> Rows:
        """As a kernel walks them, by `ts`, in `order` or as they stand."""
        columns = (ts, self.kind, self.side, self.tick, self.lots)
        return Rows(*(columns if order is None else (_fixed(x[order]) for x in columns)))


def _fixed(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    array.flags.writeable = False
    return array


NO_ROWS = Rows(
    *(
        _fixed(np.zeros(0, kind))
        for kind in (np.dtype(np.int64), np.dtype(np.int8), np.dtype(np.int8), np.dtype(np.int64), np.dtype(np.int64))
    )
)


def joined(parts: list[Rows]) -> Rows:
    """Rows one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Rows(*(_fixed(np.concatenate(column)) for column in zip(*parts, strict=True))) if parts else NO_ROWS


class Window:
    """The rows of one symbol that a replay has at hand, in both orders, read part by part.

    Rows are handed to the exchange once no later part can hold an earlier one: a row is received `late` ns after it
    happened at most.  With a single part that is not asked.
    """

    def __init__(self, symbol: str, parts: Iterable[BookEvents], late: int) -> None:
        self.symbol, self.late = symbol, late
        self.parts: Iterator[BookEvents] = iter(parts)
        self.exchange, self.local, self.waiting = NO_ROWS, NO_ROWS, NO_ROWS
        self.given = self.last = -(2**63)
        self.following = next(self.parts, None)
        self.final = False
        self.more(0, 0)

    def earliest(self) -> int | None:
        """The earliest time of any row, None for no rows; before any is let go."""
        while True:
            times = [int(rows.ts[0]) for rows in (self.exchange, self.waiting) if len(rows.ts)]
            if self.final or (times and min(times) <= self.last - self.late):
                return min(times, default=None)
            self.more(0, 0)

    def let_go(self, exchange: int, local: int) -> None:
        """Let go of so many rows of each order, which have been taken in."""
        self.exchange, self.local = _after(self.exchange, exchange), _after(self.local, local)

    def more(self, exchange: int, local: int) -> None:
        """Let go of rows taken in and read the next part, if there is one."""
        self.let_go(exchange, local)
        part = self.following
        if part is None:
            self.final = True
            return
        self.following = next(self.parts, None)
        if len(part) and part.local_ts[0] < self.last:
            raise DataError(
                f"{self.symbol}: book events: a part begins with local_ts {part.local_ts[0]}, before the last of the "
                f"part before it, {self.last}"
            )
        if len(part) and part.exch_ts.min() < self.given:
            raise DataError(
                f"{self.symbol}: book events: a row happened at {part.exch_ts.min()}, received more than the "
                f"{self.late} ns later that the replay allows; let it allow more"
            )
        self.last = int(part.local_ts[-1]) if len(part) else self.last
        self.local = joined([x for x in (self.local, part.rows(part.local_ts)) if len(x.ts)])
        pool = joined([x for x in (self.waiting, part.rows(part.exch_ts)) if len(x.ts)])
        if np.any(pool.ts[1:] < pool.ts[:-1]):
            order = np.argsort(pool.ts, kind="stable")
            pool = Rows(*(_fixed(x[order]) for x in pool))
        self.final = self.following is None
        ripe = len(pool.ts)
        if not self.final:
            self.given = max(self.given, self.last - self.late)
            ripe = int(np.searchsorted(pool.ts, self.given, "right"))
        self.exchange = joined([x for x in (self.exchange, Rows(*(x[:ripe] for x in pool))) if len(x.ts)])
        self.waiting = _after(pool, ripe)


def _after(rows: Rows, first: int) -> Rows:
    return Rows(*(x[first:] for x in rows)) if first else rows
