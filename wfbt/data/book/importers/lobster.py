"""LOBSTER: a message file and the order-book file beside it, row by row the same events of one day of NASDAQ.

Times are seconds after midnight in New York, prices dollars × 10 000.  The order book shows a fixed number of levels:
what a message moves out of them is deleted here and set again when it comes back, so that the book rebuilt is the
file's own at every row.  There is one clock: rows are received when they happen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from wfbt.data.book.importers.parsed import Parsed, Traded
from wfbt.data.book.importers.source import number, tables, whole
from wfbt.data.book.rows import NO_ID, Quotes
from wfbt.data.book.shown import both_sides
from wfbt.errors import DataError

MESSAGE = ("time", "type", "order_id", "size", "price", "direction")
EXECUTED, HIDDEN, CROSS, HALT = 4, 5, 6, 7
SCALE = 10_000
EMPTY = 9_999_999_999
_NAME = re.compile(
    r"(?P<ticker>[^_/]+)_(?P<day>\d{4}-\d\d-\d\d)_(?P<start>\d+)_(?P<end>\d+)_message_(?P<levels>\d+)\.csv"
)


def read(paths: Sequence[str], symbol: str) -> Iterator[Parsed]:
    """Book and trades of message files, each with its order-book file beside it; rows count over all files."""
    row = 0
    for path in [path for path in paths if "_orderbook_" not in path]:
        found = _NAME.fullmatch(Path(path).name)
        if found is None:
            raise DataError(f"{path}: must be named TICKER_YYYY-MM-DD_START_END_message_LEVELS.csv, as LOBSTER does")
        if found["ticker"].upper() != symbol.upper():
            raise DataError(f"{path}: is of {found['ticker']}, not of {symbol}")
        midnight = int(datetime.fromisoformat(found["day"]).replace(tzinfo=ZoneInfo("America/New_York")).timestamp())
        shape = int(found["levels"])
        if not 1 <= shape <= 1000:
            raise DataError(f"{path}: {shape} levels; LOBSTER has 1 to 200")
        book = str(Path(path).with_name(Path(path).name.replace("_message_", "_orderbook_")))
        messages = tables(path, MESSAGE, {"time": pa.string(), **dict.fromkeys(MESSAGE[1:], pa.int64())})
        columns = [
            f"{side}_{what}_{level}" for level in range(shape) for side in ("ask", "bid") for what in ("px", "qty")
        ]
        shown = _Paired(tables(book, columns, dict.fromkeys(columns, pa.int64())), columns, book)
        before = np.zeros((1, 4 * shape), np.int64)
        before[0, 0::4], before[0, 2::4] = EMPTY, -EMPTY
        fresh = True
        for batch in messages:
            state = shown.rows(batch.num_rows)
            if len(state) < batch.num_rows:
                raise DataError(f"{book}: ends before {path} does; the two must have a row for each event")
            yield _parsed(batch, np.concatenate([before, state]), midnight, row, fresh, path)
            before, fresh = state[-1:], False
            row += batch.num_rows
        if len(shown.rows(1)):
            raise DataError(f"{book}: goes on after {path} ends; the two must have a row for each event")


class _Paired:
    """Rows of one file as many at a time as another asks for."""

    def __init__(self, batches: Iterator[pa.RecordBatch], columns: Sequence[str], path: str) -> None:
        self._batches, self._columns, self._path = batches, columns, path
        self._left = np.empty((0, len(columns)), np.int64)

    def rows(self, count: int) -> np.ndarray:
        parts = [self._left]
        while sum(len(part) for part in parts) < count and (batch := next(self._batches, None)) is not None:
            parts.append(np.column_stack([whole(batch, name, self._path) for name in self._columns]))
        both = np.concatenate(parts)
        self._left = both[count:]
        return both[:count]


def _parsed(batch: pa.RecordBatch, states: np.ndarray, midnight: int, row: int, fresh: bool, path: str) -> Parsed:
    ts = _time(batch, midnight, path)
    kind, rows = whole(batch, "type", path), np.arange(row, row + batch.num_rows)
    if (bad := np.flatnonzero((kind < 1) | (kind > HALT))).size:
        raise DataError(f"{path}: row {row + int(bad[0])} has event type {kind[bad[0]]}, which LOBSTER has not")
    bids, asks = ((_prices(states[:, first::4]), states[:, first + 1 :: 4].astype(np.float64)) for first in (2, 0))
    at, side, price, qty = both_sides(bids, asks)
    none = np.full(len(at), NO_ID, np.int64)
    book = Quotes(
        row=rows[at],
        exch_ts=ts[at],
        recv_ts=ts[at],
        side=side,
        snapshot=(at == 0) & fresh,
        last=np.append(at[1:] != at[:-1], True)[: len(at)],
        first_id=none,
        final_id=none,
        prev_id=none,
        price=price / SCALE,
        qty=qty,
    )
    # Halts carry a price of −1, 0 or 1; crosses have no aggressor.
    traded = (kind == EXECUTED) | (kind == HIDDEN)
    return Parsed(
        book=book if len(at) else None,
        trades=Traded(
            row=rows[traded],
            exch_ts=ts[traded],
            recv_ts=ts[traded],
            price=number(batch, "price")[traded] / SCALE,
            qty=number(batch, "size")[traded],
            # The direction is that of the order that stood in the book.
            side=-whole(batch, "direction", path)[traded].astype(np.int8),
            trade_id=np.full(int(traded.sum()), NO_ID, np.int64),
        )
        if traded.any()
        else None,
    )


def _prices(stated: np.ndarray) -> np.ndarray:
    """Prices × 10 000, NaN where the file has its mark of an empty level."""
    return np.where(np.abs(stated) < EMPTY, stated.astype(np.float64), np.nan)


def _time(batch: pa.RecordBatch, midnight: int, path: str) -> np.ndarray:
    """ns UTC.  The text is read digit by digit: a double has not enough of them for nanoseconds."""
    import pyarrow.compute as pc

    if batch.column("time").null_count:
        raise DataError(f"{path}: column time is empty in {batch.column('time').null_count:,} rows")
    parts = pc.split_pattern(batch.column("time"), ".", max_splits=1)
    try:
        seconds = pc.list_element(parts, 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
        pointed = pc.equal(pc.list_value_length(parts), 2).to_numpy(zero_copy_only=False)
        fraction = np.zeros(batch.num_rows, np.int64)
        if pointed.any():
            digits = pc.list_element(parts.filter(pa.array(pointed)), 1)
            padded = pc.utf8_slice_codeunits(pc.utf8_rpad(digits, 9, "0"), 0, 9)
            fraction[pointed] = padded.cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise DataError(f"{path}: time must be seconds after midnight: {str(error).splitlines()[0]}") from error
    out: np.ndarray = (midnight + seconds) * 1_000_000_000 + fraction
    return out
