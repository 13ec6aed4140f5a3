"""Parquet files of books: as venues' rows stand in them, or compact as `wfbt data import` writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wfbt.data import store
from wfbt.data.arrays import F8, I8
from wfbt.data.book.grid import Grid, learn
from wfbt.data.book.rows import NO_ID, Levels, Quotes, ended, last_of
from wfbt.data.book.shown import both_sides
from wfbt.errors import DataError

BATCH = 1 << 17
"""Rows that are read at a time."""
TOLD = b"wfbt.book"
"""Key in the metadata of a compact file, under which a JSON object describes it."""
RAW = ("exch_ts", "recv_ts", "side", "price", "qty", "is_snapshot")
COMPACT = ("exch_ts", "recv_ts", "side", "tick", "lots", "is_snapshot")
_IDS = {
    "first_id": ("first_update_id", "first_id"),
    "final_id": ("final_update_id", "final_id"),
    "prev_id": ("prev_final_update_id", "prev_id"),
}
_UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
MOST_TOLD = 1 << 20
"""Bytes of the description that are read: more is no description."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BookFiles:
    """Files of one book, in the order in which they are read.

    Attributes
    ----------
    path, symbol : str
        What the user wrote.
    files : tuple of str
    grid : Grid
        As the files say, the caller gave, or the prices and quantities lie.
    learned : bool
        The grid is what the values lie on; the contract's may be coarser for a part of them.
    told : mapping
        What a compact file says of itself: venue, clock_offset, corrections, notes.  Empty for others.
    """

    path: str
    symbol: str
    files: tuple[tuple[str, Any], ...]
    grid: Grid
    learned: bool
    told: dict[str, Any]

    def chunks(self, start: int | None = None, end: int | None = None) -> Iterator[Quotes | Levels]:
        """Rows by batches, from the file that holds `start` on, received before `end` (ns UTC).

        What a file carries over from the one before it is left out where that one was read too.
        """
        offset, first = 0, True
        for place, (name, _) in enumerate(self.files):
            parquet = opened(self.files[place], self.symbol)
            count = parquet.metadata.num_rows
            following = self.files[place + 1] if place + 1 < len(self.files) else None
            early = start is not None and following is not None and _opens(following, self.symbol, start)
            late = end is not None and extent(parquet)[0] >= end
            if not early and not late:
                skip = 0 if first else int(_told(parquet).get("carried", 0))
                with store.guard(self.symbol, name):
                    yield from self._rows(parquet, name, offset, skip, end)
                first = False
            offset += count

    def _rows(
        self, parquet: pq.ParquetFile, name: str, offset: int, skip: int, end: int | None
    ) -> Iterator[Quotes | Levels]:
        if shown := _shown(parquet):
            yield from _quotes_shown(parquet, shown, name, offset, end)
            return
        columns = _columns(parquet, name, self.symbol)
        batches = parquet.iter_batches(batch_size=BATCH, columns=list(dict.fromkeys(columns.values())))
        for rows in _unsplit(_chunks(batches, columns, offset, name, self.symbol), "last_in_msg" in columns):
            if skip:
                rows, skip = rows.take(slice(skip, None)), max(skip - len(rows), 0)
            if end is not None:
                rows = rows.take(rows.recv_ts < end)
            if len(rows):
                yield rows


def open_book(
    path: str, symbol: str = "", *, tick_size: float | None = None, lot_size: float | None = None
) -> BookFiles:
    """The book at a file, folder, glob or s3:// address; nothing is read but what the grid needs.

    Raises DataError where the files are no book, or of several grids.
    """
    files = tuple(store.resolve(path, symbol))
    told: dict[str, Any] = {}
    for place, one in enumerate(files):
        parquet = opened(one, symbol)
        if not _shown(parquet):
            _columns(parquet, one[0], symbol)
        said = _told(parquet)
        if place and any(said.get(key) != told.get(key) for key in ("symbol", "tick_size", "lot_size", "clock_offset")):
            raise DataError(
                f"{one[0]}: symbol, tick_size, lot_size and clock_offset must be those of {files[0][0]}; "
                "read one symbol at a time, and import all of it alike"
            )
        told = told or said
    if "tick_size" in told and tick_size is None and lot_size is None:
        grid, learned = Grid(tick_size=float(told["tick_size"]), lot_size=float(told["lot_size"])), False
    elif tick_size is not None and lot_size is not None and "tick_size" not in told:
        grid, learned = Grid(tick_size=tick_size, lot_size=lot_size), False
    elif "tick_size" in told:
        grid, learned = Grid(tick_size=float(told["tick_size"]), lot_size=float(told["lot_size"])), False
        given = (
            tick_size if tick_size is not None else grid.tick_size,
            lot_size if lot_size is not None else grid.lot_size,
        )
        if given != (grid.tick_size, grid.lot_size):
            raise DataError(
                f"{path}: tick {given[0]} and lot {given[1]} are given, but the files are in ticks of {grid.tick_size} "
                f"and lots of {grid.lot_size}; import them anew to change that"
            )
    else:
        found = learn(_values(files, symbol))
        grid = Grid(
            tick_size=found.tick_size if tick_size is None else tick_size,
            lot_size=found.lot_size if lot_size is None else lot_size,
        )
        learned = True
    return BookFiles(path=path, symbol=symbol, files=files, grid=grid, learned=learned, told=told)


def stamps(column: Any, name: str, at: str) -> I8:
    """(N,) int64 ns UTC of a column of timestamps with a zone."""
    if not pa.types.is_timestamp(column.type) or not column.type.tz:
        raise DataError(
            f"{at}: {name} must be a timestamp with a time zone, was {column.type}; write timestamp[ns, UTC]"
        )
    if column.null_count:
        raise DataError(f"{at}: {name} is empty in {column.null_count:,} rows; remove them")
    counts = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    unit = _UNITS[column.type.unit]
    if len(counts) and max(abs(int(counts.min())), abs(int(counts.max()))) > np.iinfo(np.int64).max // unit:
        raise DataError(f"{at}: {name} is outside the years 1678 to 2262; correct its unit")
    out: I8 = counts * unit
    return out


def opened(one: tuple[str, Any], symbol: str) -> pq.ParquetFile:
    name, filesystem = one
    with store.guard(symbol, name):
        # Read ahead, a file would be in memory at once.
        return pq.ParquetFile(name, filesystem=filesystem, pre_buffer=False)


def _columns(parquet: pq.ParquetFile, name: str, symbol: str) -> dict[str, str]:
    """Which column of the file each field comes from."""
    at = f"{symbol}: {name}" if symbol else name
    schema = parquet.schema_arrow
    names = schema.names
    compact = "tick" in names
    required = COMPACT if compact else RAW
    if single := [column for column in ("order_id", "action") if column in names]:
        raise DataError(
            f"{at}: has {single[0]}: single orders (L3), not the sizes of levels; gather them to levels first"
        )
    if lacking := [column for column in required if column not in names]:
        raise DataError(
            f"{at}: column {lacking[0]} is missing; a book needs {', '.join(required)}, "
            f"found {', '.join(names) or 'none'}"
        )
    if compact and TOLD not in (schema.metadata or {}):
        raise DataError(f"{at}: holds ticks and lots, but does not say what a tick is; import it anew")
    if not parquet.metadata.num_rows:
        raise DataError(f"{at}: the file holds no rows; remove it or download it again")
    found = {column: column for column in (*required, "last_in_msg") if column in names}
    for field, spellings in _IDS.items():
        for spelling in spellings:
            if spelling in names:
                found[field] = spelling
                break
    for column in set(found.values()):
        if names.count(column) > 1:
            raise DataError(f"{at}: column {column} appears twice; keep one")
    return found


def _chunk(batch: pa.RecordBatch, columns: dict[str, str], offset: int, name: str, symbol: str) -> Quotes | Levels:
    at = f"{symbol}: {name}" if symbol else name
    n = batch.num_rows

    def column(field: str) -> Any:
        return batch.column(batch.schema.get_field_index(columns[field]))

    def whole(field: str) -> I8:
        if field not in columns:
            return np.full(n, NO_ID, np.int64)
        values = column(field)
        if not pa.types.is_integer(values.type):
            raise DataError(f"{at}: column {columns[field]} must hold whole numbers, was {values.type}")
        out: I8 = values.fill_null(NO_ID).cast(pa.int64()).to_numpy(zero_copy_only=False)
        return out

    def number(field: str) -> F8:
        values = column(field)
        if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
            raise DataError(f"{at}: column {columns[field]} must hold numbers, was {values.type}")
        out: F8 = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return out

    snapshot = column("is_snapshot")
    if not pa.types.is_boolean(snapshot.type):
        raise DataError(f"{at}: column is_snapshot must hold true or false, was {snapshot.type}")
    exch, recv = stamps(column("exch_ts"), "exch_ts", at), stamps(column("recv_ts"), "recv_ts", at)
    shot = snapshot.fill_null(False).to_numpy(zero_copy_only=False)
    sides = whole("side")
    given = {
        "row": np.arange(offset, offset + n),
        "exch_ts": exch,
        "recv_ts": recv,
        # 257 would wrap to 1; what is no side is told from its row, as 0.
        "side": np.where(np.abs(sides) == 1, sides, 0).astype(np.int8),
        "snapshot": shot,
        "last": column("last_in_msg").fill_null(False).to_numpy(zero_copy_only=False)
        if "last_in_msg" in columns
        else last_of(recv, shot),
        "first_id": whole("first_id"),
        "final_id": whole("final_id"),
        "prev_id": whole("prev_id"),
    }
    if "tick" in columns:
        return Levels(**given, tick=whole("tick"), lots=whole("lots"))
    return Quotes(**given, price=number("price"), qty=number("qty"))


def _shown(parquet: pq.ParquetFile) -> int:
    """How many levels a side a file shows with every row (ask_px_0, ask_qty_0, bid_px_0, …); 0 for other files."""
    names = set(parquet.schema_arrow.names)
    levels = 0
    while {f"{side}_{what}_{levels}" for side in ("ask", "bid") for what in ("px", "qty")} <= names:
        levels += 1
    return levels if {"ts"} <= names else 0


def _quotes_shown(parquet: pq.ParquetFile, levels: int, name: str, offset: int, end: int | None) -> Iterator[Quotes]:
    """Changes of the levels shown, each row of the file a message, the first a snapshot; one clock for both times."""
    parts = {
        (side, what): [f"{side}_{what}_{k}" for k in range(levels)] for side in ("bid", "ask") for what in ("px", "qty")
    }
    state = {key: np.full((1, levels), np.nan) for key in parts}
    fresh, wanted = True, ["ts", *(column for columns in parts.values() for column in columns)]
    for batch in parquet.iter_batches(batch_size=max(BATCH // levels, 1), columns=wanted):
        ts = stamps(batch.column(batch.schema.get_field_index("ts")), "ts", name)
        for key, columns in parts.items():
            made = [batch.column(batch.schema.get_field_index(c)).cast(pa.float64(), safe=False) for c in columns]
            told = np.column_stack([column.to_numpy(zero_copy_only=False) for column in made])
            state[key] = np.concatenate([state[key][-1:], told])
        at, side, price, qty = both_sides(
            (state["bid", "px"], state["bid", "qty"]), (state["ask", "px"], state["ask", "qty"])
        )
        none = np.full(len(at), NO_ID, np.int64)
        rows = Quotes(
            row=offset + at,
            exch_ts=ts[at],
            recv_ts=ts[at],
            side=side,
            snapshot=(at == 0) & fresh,
            last=np.append(at[1:] != at[:-1], True)[: len(at)],
            first_id=none,
            final_id=none,
            prev_id=none,
            price=price,
            qty=qty,
        )
        offset, fresh = offset + batch.num_rows, False
        if end is not None:
            rows = rows.take(rows.recv_ts < end)
        if len(rows):
            yield rows


def _chunks(
    batches: Iterator[pa.RecordBatch], columns: dict[str, str], offset: int, name: str, symbol: str
) -> Iterator[Quotes | Levels]:
    for batch in batches:
        yield _chunk(batch, columns, offset, name, symbol)
        offset += batch.num_rows


def _unsplit(chunks: Iterator[Quotes | Levels], marked: bool) -> Iterator[Quotes | Levels]:
    """Where the file does not mark their ends, messages go on from one batch to the next."""
    if marked:
        yield from chunks
        return
    before: Quotes | Levels | None = None
    for chunk in chunks:
        if before is not None:
            yield ended(before, chunk)
        before = chunk
    if before is not None:
        yield before


def _told(parquet: pq.ParquetFile) -> dict[str, Any]:
    """What a compact file says of itself."""
    text = (parquet.schema_arrow.metadata or {}).get(TOLD)
    if text is None:
        return {}
    try:
        said = json.loads(text) if len(text) <= MOST_TOLD else None
    except ValueError:
        said = None
    if not isinstance(said, dict) or not all(
        isinstance(said.get(key), (int, float)) and not isinstance(said.get(key), bool)
        for key in ("tick_size", "lot_size")
    ):
        raise DataError("a book file's own description is damaged; import it anew")
    return said


def _values(files: tuple[tuple[str, Any], ...], symbol: str) -> Iterator[tuple[F8, F8]]:
    for one in files:
        parquet = opened(one, symbol)
        sides = [(f"{side}_px_{k}", f"{side}_qty_{k}") for side in ("ask", "bid") for k in range(_shown(parquet))]
        with store.guard(symbol, one[0]):
            for pair in sides or [("price", "qty")]:
                for batch in parquet.iter_batches(batch_size=BATCH, columns=list(pair)):
                    price, qty = (
                        batch.column(batch.schema.get_field_index(name)).cast(pa.float64(), safe=False) for name in pair
                    )
                    yield price.to_numpy(zero_copy_only=False), qty.to_numpy(zero_copy_only=False)


def _opens(one: tuple[str, Any], symbol: str, by: int) -> bool:
    """Whether a file's rows begin by a time, so that the one before it need not be read."""
    parquet = opened(one, symbol)
    return extent(parquet)[0] <= by and bool(_told(parquet).get("carried"))


def extent(parquet: pq.ParquetFile) -> tuple[int, int]:
    """The first and the last of a file's times, ns UTC, by its statistics; everything where it has none.

    Of receipt where the file has it, else ts.
    """
    low, high = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    schema = parquet.schema_arrow
    clock = "recv_ts" if "recv_ts" in schema.names else "ts"
    column = schema.names.index(clock)
    unit = _UNITS["ms" if schema.field(column).type.unit == "s" else schema.field(column).type.unit]
    for group in range(parquet.num_row_groups):
        statistics = parquet.metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_min_max:
            return int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)
        low, high = min(low, statistics.min_raw * unit), max(high, statistics.max_raw * unit)
    return int(low), int(high)
