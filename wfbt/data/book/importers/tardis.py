"""Tardis downloadable CSV files: incremental_book_L2, trades and book_ticker, told apart by their columns.

Stamps are microseconds.  Rows of one message share their local_timestamp; is_snapshot is true while a book is built
anew, and the book before it is gone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import numpy as np
import pyarrow as pa

from wfbt.data.book.importers.parsed import Parsed, Quoted, Traded, unsplit
from wfbt.data.book.importers.source import first_line, nanoseconds, number, tables, whole
from wfbt.data.book.rows import NO_ID, Quotes, last_of
from wfbt.errors import DataError

US = 1_000
_STAMPS = {"timestamp": pa.int64(), "local_timestamp": pa.int64()}
_NAMED = {"symbol": pa.string(), **_STAMPS}
BOOK = {**_NAMED, "is_snapshot": pa.bool_(), "side": pa.string(), "price": pa.float64(), "amount": pa.float64()}
TRADES = {**_NAMED, "side": pa.string(), "price": pa.float64(), "amount": pa.float64()}
BESTS = {
    **_NAMED,
    **dict.fromkeys(("ask_amount", "ask_price", "bid_price", "bid_amount"), pa.float64()),
}


def read(paths: Sequence[str], symbol: str) -> Iterator[Parsed]:
    """Rows of one symbol, file by file; rows count over all files, without the headers."""
    return unsplit(_files(paths, symbol))


def _files(paths: Sequence[str], symbol: str) -> Iterator[Parsed]:
    row = 0
    for path in paths:
        columns = first_line(path).split(",")
        if "is_snapshot" in columns:
            row = yield from _book(path, symbol, row)
        elif "bid_price" in columns:
            row = yield from _bests(path, symbol, row)
        elif "id" in columns:
            row = yield from _trades(path, symbol, row)
        else:
            raise DataError(
                f"{path}: neither incremental_book_L2 nor trades nor book_ticker; found {', '.join(columns)[:200]}"
            )


def _book(path: str, symbol: str, row: int) -> Generator[Parsed, None, int]:
    for batch in tables(path, (), BOOK):
        rows, mine = np.arange(row, row + batch.num_rows), _mine(batch, symbol)
        row += batch.num_rows
        batch, rows = batch.filter(pa.array(mine)), rows[mine]
        n = batch.num_rows
        if not n:
            continue
        recv = _time(batch, "local_timestamp", path)
        shot = batch.column("is_snapshot").fill_null(False).to_numpy(zero_copy_only=False)
        none = np.full(n, NO_ID, np.int64)
        chunk = Quotes(
            row=rows,
            exch_ts=_time(batch, "timestamp", path),
            recv_ts=recv,
            side=_sides(batch, "bid", "ask"),
            snapshot=shot,
            last=last_of(recv, shot),
            first_id=none,
            final_id=none,
            prev_id=none,
            price=number(batch, "price"),
            qty=number(batch, "amount"),
        )
        yield Parsed(book=chunk)
    return row


def _trades(path: str, symbol: str, row: int) -> Generator[Parsed, None, int]:
    for batch in tables(path, (), TRADES):
        rows, mine = np.arange(row, row + batch.num_rows), _mine(batch, symbol)
        row += batch.num_rows
        batch, rows = batch.filter(pa.array(mine)), rows[mine]
        if batch.num_rows:
            yield Parsed(
                trades=Traded(
                    row=rows,
                    exch_ts=_time(batch, "timestamp", path),
                    recv_ts=_time(batch, "local_timestamp", path),
                    price=number(batch, "price"),
                    qty=number(batch, "amount"),
                    side=_sides(batch, "buy", "sell"),
                    # Ids are text on some venues, and serve to find repeats alone.
                    trade_id=np.full(batch.num_rows, NO_ID, np.int64),
                )
            )
    return row


def _bests(path: str, symbol: str, row: int) -> Generator[Parsed, None, int]:
    for batch in tables(path, (), BESTS):
        rows, mine = np.arange(row, row + batch.num_rows), _mine(batch, symbol)
        row += batch.num_rows
        batch, rows = batch.filter(pa.array(mine)), rows[mine]
        if batch.num_rows:
            yield Parsed(
                bests=Quoted(
                    row=rows,
                    exch_ts=_time(batch, "timestamp", path),
                    recv_ts=_time(batch, "local_timestamp", path),
                    bid=number(batch, "bid_price"),
                    bid_qty=number(batch, "bid_amount"),
                    ask=number(batch, "ask_price"),
                    ask_qty=number(batch, "ask_amount"),
                    update_id=np.full(batch.num_rows, NO_ID, np.int64),
                )
            )
    return row


def _time(batch: pa.RecordBatch, name: str, path: str) -> np.ndarray:
    return nanoseconds(whole(batch, name, path), path, (US,))


def _mine(batch: pa.RecordBatch, symbol: str) -> np.ndarray:
    import pyarrow.compute as pc

    same = pc.equal(pc.utf8_upper(batch.column("symbol")), symbol.upper()).fill_null(False)
    out: np.ndarray = same.to_numpy(zero_copy_only=False)
    return out


def _sides(batch: pa.RecordBatch, up: str, down: str) -> np.ndarray:
    """1, −1, and 0 for what is neither: it is found to be no side."""
    import pyarrow.compute as pc

    column = batch.column("side")
    high, low = (pc.equal(column, word).fill_null(False).to_numpy(zero_copy_only=False) for word in (up, down))
    out: np.ndarray = high.astype(np.int8) - low.astype(np.int8)
    return out
