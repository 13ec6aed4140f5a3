"""Compact Parquet files of one symbol, a file a day: whole ticks and lots, and what makes them readable by themselves.

A day of a book opens with the levels that the day before left, so that it can be read alone; the description says how
many rows that is, and who reads both days leaves them out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wfbt.data.arrays import I1, I8
from wfbt.data.book.grid import Grid
from wfbt.data.book.importers.parsed import Depths, Quoted, Traded
from wfbt.data.book.parquet import TOLD
from wfbt.data.book.rows import NO_ID, Levels
from wfbt.data.market import DAY
from wfbt.data.store import GENERATED
from wfbt.errors import DataError
from wfbt.files import sync_folder

GROUP = 1 << 17
"""Rows of a row group."""
NAME = "part-0.parquet"
_STAMP = pa.timestamp("ns", tz="UTC")
_DELTA = ("exch_ts", "recv_ts", "ts", "first_id", "final_id", "prev_id", "trade_id", "update_id")


def day_of(ts: int) -> str:
    """2025-06-01, UTC."""
    return str(np.datetime64(int(ts) // DAY, "D"))


def days(recv_ts: I8) -> list[tuple[int, int]]:
    """Begin and end of each stretch of rows of one UTC day."""
    day = recv_ts // DAY
    cuts = np.flatnonzero(day[1:] != day[:-1]) + 1
    edges = [0, *cuts.tolist(), len(recv_ts)]
    return list(pairwise(edges))


class Days:
    """Writes the rows of one kind and one symbol, day by day, each file whole or not at all."""

    def __init__(self, folder: Path, symbol: str, told: Mapping[str, Any], *, generated: str = "") -> None:
        """`folder` gets symbol=…/day=…; `told` goes into each file.  Days that it described alike are left alone."""
        self._folder = folder / f"symbol={symbol}"
        self._told = dict(told)
        self._generated = generated
        self._day = ""
        self._writer: pq.ParquetWriter | None = None
        self._sink: Any = None
        self._held: list[pa.Table] = []
        self._rows = 0
        self._done: set[str] = set()
        self.written: dict[str, int] = {}
        self.kept: list[str] = []

    def add(self, table: pa.Table, day: str, opening: pa.Table | None = None) -> None:
        """Rows of one day, which may not be before the last one; `opening` comes first in a new file."""
        if day != self._day:
            self.close()
            if day in self._done or (self._day and day < self._day):
                raise DataError(f"{self._folder}: rows of {day} come after those of a later day; sort the sources")
            self._day = day
            self._open(table.schema, 0 if opening is None else len(opening))
            if opening is not None and self._writer is not None:
                self._held.append(opening)
        if self._writer is None:
            return
        self._held.append(table)
        self._rows += len(table)
        while sum(len(one) for one in self._held) >= GROUP:
            self._flush(GROUP)

    def close(self) -> None:
        """Finish the file of the day."""
        if self._day:
            self._done.add(self._day)
        if self._writer is None:
            return
        self._flush(None)
        self._writer.close()
        self._sink.flush()
        os.fsync(self._sink.fileno())
        self._sink.close()
        os.replace(self._aside, self._path)
        sync_folder(self._path.parent)
        self.written[self._day] = self._rows
        self._writer, self._rows = None, 0

    def abandon(self) -> None:
        """Leave the file of the day unfinished and out of sight."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._aside.unlink(missing_ok=True)
            self._writer = None

    @property
    def _path(self) -> Path:
        return self._folder / f"day={self._day}" / NAME

    @property
    def _aside(self) -> Path:
        return self._path.with_name(f".{NAME}.part")

    def _open(self, schema: pa.Schema, carried: int) -> None:
        text = json.dumps({**self._told, "carried": carried}, sort_keys=True)
        if self._is_done(text):
            self.kept.append(self._day)
            return
        metadata = {TOLD: text.encode()} | ({GENERATED: self._generated.encode()} if self._generated else {})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._sink = self._aside.open("wb")
        delta = {name: "DELTA_BINARY_PACKED" for name in _DELTA if name in schema.names}
        self._writer = pq.ParquetWriter(
            self._sink,
            schema.with_metadata(metadata),
            compression="zstd",
            use_dictionary=[name for name in schema.names if name not in delta],
            column_encoding=delta,
        )

    def _is_done(self, text: str) -> bool:
        try:
            there = pq.read_schema(self._path).metadata or {}
        except (OSError, pa.ArrowException):
            return False
        return bool(there.get(TOLD) == text.encode())

    def _flush(self, rows: int | None) -> None:
        held = pa.concat_tables(self._held)
        part = held if rows is None else held.slice(0, rows)
        assert self._writer is not None
        if len(part):
            self._writer.write_table(part.combine_chunks().replace_schema_metadata(self._writer.schema.metadata))
        self._held = [] if rows is None or len(held) == rows else [held.slice(rows)]


def book_table(rows: Levels) -> pa.Table:
    """exch_ts, recv_ts, side, tick, lots, is_snapshot, last_in_msg, and the ids that the venue gives."""
    columns: dict[str, Any] = {
        "exch_ts": _stamps(rows.exch_ts),
        "recv_ts": _stamps(rows.recv_ts),
        "side": pa.array(rows.side),
        "tick": pa.array(rows.tick),
        "lots": pa.array(rows.lots),
        "is_snapshot": pa.array(rows.snapshot),
        "last_in_msg": pa.array(rows.last),
        "first_id": pa.array(rows.first_id),
        "final_id": pa.array(rows.final_id),
        "prev_id": pa.array(rows.prev_id),
    }
    return pa.table(columns)


def trades_table(rows: Traded) -> pa.Table:
    """ts, recv_ts, price, qty, side, trade_id: the schema of trades that all of wfbt reads."""
    columns: dict[str, Any] = {
        "ts": _stamps(rows.exch_ts),
        "recv_ts": _stamps(rows.recv_ts),
        "price": pa.array(rows.price),
        "qty": pa.array(rows.qty),
        "side": pa.array(rows.side),
    }
    if len(rows) and rows.trade_id[0] != NO_ID:
        columns["trade_id"] = pa.array(rows.trade_id)
    return pa.table(columns)


def bests_table(rows: Quoted) -> pa.Table:
    """ts, recv_ts, bid, bid_qty, ask, ask_qty, update_id."""
    columns: dict[str, Any] = {"ts": _stamps(rows.exch_ts), "recv_ts": _stamps(rows.recv_ts)}
    columns |= {name: pa.array(getattr(rows, name)) for name in ("bid", "bid_qty", "ask", "ask_qty", "update_id")}
    return pa.table(columns)


def depths_table(rows: Depths) -> pa.Table:
    """ts and a column for each sum, empty where it is not given: a series."""
    return pa.table(
        {"ts": _stamps(rows.ts), **{name: pa.array(v, from_pandas=True) for name, v in rows.columns.items()}}
    )


class BookDays:
    """Writes the rows of a book by days, each opened by the levels that stood when it began."""

    def __init__(self, days: Days) -> None:
        self._days = days
        self._before: Levels | None = None
        self._day = ""

    def add(self, rows: Levels, levels: tuple[I1, I8, I8]) -> None:
        """Rows of one day, and the levels of the book after them."""
        day = day_of(rows.recv_ts[0])
        opening = None
        if day != self._day and self._before is not None and not rows.snapshot[0]:
            opening = book_table(self._before)
        self._days.add(book_table(rows), day, opening)
        self._day, self._before = day, _standing(rows, levels)


def _standing(rows: Levels, levels: tuple[I1, I8, I8]) -> Levels | None:
    """The levels of a book as a snapshot of the last message's time and ids."""
    side, tick, lots = levels
    n = len(side)
    if not n:
        return None
    one = rows.take(slice(len(rows) - 1, None))
    last = np.zeros(n, np.bool_)
    last[-1] = True

    def same(values: I8) -> I8:
        return np.full(n, values[0], np.int64)

    return Levels(
        row=same(one.row),
        exch_ts=same(one.exch_ts),
        recv_ts=same(one.recv_ts),
        side=side,
        snapshot=np.ones(n, np.bool_),
        last=last,
        first_id=np.full(n, NO_ID),
        final_id=same(one.final_id),
        prev_id=np.full(n, NO_ID),
        tick=tick,
        lots=lots,
    )


def described(symbol: str, grid: Grid, **more: Any) -> dict[str, Any]:
    """What each compact file says of itself."""
    return {"symbol": symbol, "tick_size": grid.tick_size, "lot_size": grid.lot_size, **more}


def _stamps(ts: I8) -> pa.Array:
    return pa.array(ts).cast(_STAMP)
