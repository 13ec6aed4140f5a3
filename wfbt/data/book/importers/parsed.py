"""What importers give: chunks of book rows, trades and best quotes, in the order of the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from wfbt.data.arrays import F8, I1, I8
from wfbt.data.book.rows import NO_ID, Quotes, ended

CHUNK = 1 << 16
"""Rows that an importer gathers before it hands them on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traded:
    """Trades: `exch_ts`, `recv_ts` ns UTC, `price`, `qty`, `side` of the aggressor, `trade_id` or NO_ID."""

    row: I8
    exch_ts: I8
    recv_ts: I8
    price: F8
    qty: F8
    side: I1
    trade_id: I8

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: Any) -> Self:
        """The rows of a mask, of indices or of a slice."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quoted:
    """Best quotes: stamps, both sides' price and quantity, and the update they belong to or NO_ID."""

    row: I8
    exch_ts: I8
    recv_ts: I8
    bid: F8
    bid_qty: F8
    ask: F8
    ask_qty: F8
    update_id: I8

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: Any) -> Self:
        """The rows of a mask, of indices or of a slice."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Depths:
    """Sums of a book at `ts` (K,) ns UTC: `columns` of (K,) float64, NaN where one is not given."""

    ts: I8
    columns: Mapping[str, F8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parsed:
    """A chunk of whatever a source holds."""

    book: Quotes | None = None
    trades: Traded | None = None
    bests: Quoted | None = None
    depths: Depths | None = None


def unsplit(parts: Iterable[Parsed]) -> Iterator[Parsed]:
    """The same chunks, a message that goes on in the next one not ended: for formats that mark no ends."""
    before: Quotes | None = None
    for part in parts:
        if part.book is None:
            yield part
            continue
        if before is not None:
            yield Parsed(book=ended(before, part.book))
        before = part.book
        yield Parsed(trades=part.trades, bests=part.bests)
    if before is not None:
        yield Parsed(book=before)


class Gathered:
    """Rows of messages that come one by one, as chunks of arrays."""

    def __init__(self) -> None:
        self._book: list[tuple[Any, ...]] = []
        self._levels: list[np.ndarray] = []
        self._trades: list[tuple[Any, ...]] = []
        self._bests: list[tuple[Any, ...]] = []
        self._rows = 0
        self._passed: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self._rows

    def message(
        self,
        row: int,
        exch_ts: int,
        recv_ts: int,
        bids: np.ndarray,
        asks: np.ndarray,
        *,
        snapshot: bool = False,
        first_id: int = NO_ID,
        final_id: int = NO_ID,
        prev_id: int = NO_ID,
    ) -> None:
        """A change of the book: (n, 2) prices and quantities of both sides.

        One without levels makes no row; the next one then reaches back to what it follows.
        """
        n = len(bids) + len(asks)
        if self._passed is not None and not snapshot:
            first_id, prev_id = self._passed
        self._passed = None
        if not n:
            self._passed = None if snapshot else (first_id, prev_id)
            return
        self._book.append((row, exch_ts, recv_ts, len(bids), len(asks), snapshot, first_id, final_id, prev_id))
        self._levels += [part for part in (bids, asks) if len(part)]
        self._rows += n

    def trade(self, *given: Any) -> None:
        """A trade, in the order of Traded's fields."""
        self._trades.append(given)
        self._rows += 1

    def best(self, *given: Any) -> None:
        """A best quote, in the order of Quoted's fields."""
        self._bests.append(given)
        self._rows += 1

    def parsed(self) -> Parsed:
        """What was gathered since the last call."""
        out = Parsed(book=self._quotes(), trades=_made(Traded, self._trades), bests=_made(Quoted, self._bests))
        self._book, self._levels, self._trades, self._bests, self._rows = [], [], [], [], 0
        return out

    def _quotes(self) -> Quotes | None:
        if not self._book:
            return None
        row, exch, recv, bids, asks, shot, first, final, prev = (
            np.array(column) for column in zip(*self._book, strict=True)
        )
        counts = bids + asks
        levels = np.concatenate(self._levels)
        ends = np.cumsum(counts)
        place = np.arange(len(levels)) - np.repeat(ends - counts, counts)
        last = np.zeros(len(levels), np.bool_)
        last[ends - 1] = True
        repeated = {
            name: np.repeat(column.astype(np.int64), counts)
            for name, column in (
                ("row", row),
                ("exch_ts", exch),
                ("recv_ts", recv),
                ("first_id", first),
                ("final_id", final),
                ("prev_id", prev),
            )
        }
        return Quotes(
            **repeated,
            side=np.where(place < np.repeat(bids, counts), 1, -1).astype(np.int8),
            snapshot=np.repeat(shot.astype(np.bool_), counts),
            last=last,
            price=levels[:, 0],
            qty=levels[:, 1],
        )


_KINDS = {"side": np.int8, "price": np.float64, "qty": np.float64, "bid": np.float64, "ask": np.float64}
_KINDS |= {"bid_qty": np.float64, "ask_qty": np.float64}


def _made(kind: Any, rows: list[tuple[Any, ...]]) -> Any:
    if not rows:
        return None
    names = [f.name for f in fields(kind)]
    columns = zip(*rows, strict=True)
    return kind(**{name: np.array(c, _KINDS.get(name, np.int64)) for name, c in zip(names, columns, strict=True)})
