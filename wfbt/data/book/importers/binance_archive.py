"""Binance public archives (CSV in a zip): aggTrades, trades, bookTicker, bookDepth, told apart by their columns.

They know no receipt: recv_ts is the time of the event.  Older files have no header; stamps are in ms, of spot since
2025 in µs.  bookDepth becomes a series of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from wfbt.data.book.importers import binance_depth
from wfbt.data.book.importers.parsed import Parsed, Quoted, Traded
from wfbt.data.book.importers.source import first_line, nanoseconds, number, tables, whole
from wfbt.errors import DataError

AGG_TRADES = ("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker")
TRADES = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker")
BOOK_TICKER = (
    "update_id",
    "best_bid_price",
    "best_bid_qty",
    "best_ask_price",
    "best_ask_qty",
    "transaction_time",
    "event_time",
)
SPOT_LAST = "is_best_match"


def read(paths: Sequence[str], symbol: str) -> Iterator[Parsed]:
    """Trades, best quotes or sums of the depth, file by file; rows count over all files, without headers.

    The symbol of a file stands in its name alone, so a file that is named after another one is refused.
    """
    row = 0
    for path in paths:
        name = path.replace("\\", "/").rpartition("/")[2]
        if "-" in name and not name.upper().startswith(symbol.upper()):
            raise DataError(f"{path}: is named after another symbol than {symbol}")
        if first_line(path).startswith("timestamp,percentage"):
            for depths in binance_depth.read(path):
                yield Parsed(depths=depths)
            continue
        columns = _columns(path)
        types = {name: pa.float64() for name in columns if name.startswith(("price", "qty", "quantity", "best_"))}
        types.pop("best_match", None)
        types = {name: kind for name, kind in types.items() if name != SPOT_LAST}
        for key in ("agg_trade_id", "id", "update_id", "transact_time", "time", "transaction_time", "event_time"):
            if key in columns:
                types[key] = pa.int64()
        if "is_buyer_maker" in columns:
            types["is_buyer_maker"] = pa.bool_()
        for batch in tables(path, columns, types):
            rows = np.arange(row, row + batch.num_rows)
            row += batch.num_rows
            if "update_id" in types:
                yield Parsed(bests=_bests(batch, rows, path))
            else:
                yield Parsed(trades=_trades(batch, rows, path))


def _columns(path: str) -> tuple[str, ...]:
    """The columns of a file, by its header or by how many there are."""
    first = [field.strip() for field in first_line(path).split(",")]
    for known in (AGG_TRADES, TRADES, BOOK_TICKER):
        if first[0] == known[0] and set(known) <= {*first}:
            return tuple(first)
    if first[0].isdigit():
        # Trades end with a boolean after five or six fields, bookTicker is numbers throughout.
        flags = sum(field.lower() in ("true", "false") for field in first)
        for known, extra in ((TRADES, 0), (TRADES, 1), (AGG_TRADES, 0), (AGG_TRADES, 1)):
            if len(first) == len(known) + extra and flags == 1 + extra and _clock_at(known, first):
                return (*known, SPOT_LAST)[: len(known) + extra]
        if len(first) == len(BOOK_TICKER) and not flags:
            return BOOK_TICKER
    raise DataError(f"{path}: neither aggTrades nor trades nor bookTicker; it begins with {','.join(first)[:120]}")


def _clock_at(known: tuple[str, ...], first: list[str]) -> bool:
    """Spot trades have as many fields as futures aggTrades: only one of them has its flag in the right place."""
    return first[known.index("is_buyer_maker")].lower() in ("true", "false")


def _trades(batch: pa.RecordBatch, rows: np.ndarray, path: str) -> Traded:
    aggregated = "agg_trade_id" in batch.schema.names
    happened = nanoseconds(whole(batch, "transact_time" if aggregated else "time", path), path)
    maker = batch.column("is_buyer_maker")
    if maker.null_count:
        raise DataError(f"{path}: is_buyer_maker is empty in {maker.null_count:,} rows")
    return Traded(
        row=rows,
        exch_ts=happened,
        recv_ts=happened,
        price=number(batch, "price"),
        qty=number(batch, "quantity" if aggregated else "qty"),
        side=np.where(maker.to_numpy(zero_copy_only=False), -1, 1).astype(np.int8),
        trade_id=whole(batch, "agg_trade_id" if aggregated else "id", path),
    )


def _bests(batch: pa.RecordBatch, rows: np.ndarray, path: str) -> Quoted:
    happened, sent = (nanoseconds(whole(batch, name, path), path) for name in ("transaction_time", "event_time"))
    return Quoted(
        row=rows,
        exch_ts=happened,
        recv_ts=sent,
        bid=number(batch, "best_bid_price"),
        bid_qty=number(batch, "best_bid_qty"),
        ask=number(batch, "best_ask_price"),
        ask_qty=number(batch, "best_ask_qty"),
        update_id=whole(batch, "update_id", path),
    )
