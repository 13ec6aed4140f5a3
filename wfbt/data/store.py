"""Parquet in and out: files are not trusted on the way in, and complete or absent on the way out."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wfbt.data.market import F8, I8
from wfbt.errors import ConfigError, DataError
from wfbt.files import replace_whole

BARS = ("open", "high", "low", "close", "volume")
FUNDING = ("rate",)
TRADES = ("price", "qty", "side")
BBO = ("bid", "ask", "bid_qty", "ask_qty")
BOOK_STAMPS = {"exch_ts", "recv_ts", "side"}
SHOWN_BOOK = {"ts", "ask_px_0", "ask_qty_0", "bid_px_0", "bid_qty_0"}
TRADE_IDS = ("trade_id", "agg_id", "id")
GENERATED = b"generated"
"""Key in a file's metadata under which a generated market says so."""
_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_STORED = {"milliseconds": 1_000_000, "microseconds": 1_000, "nanoseconds": 1}
# What int64 ns hold, and so that the difference of two times does too.
_EARLIEST = int(np.datetime64("1800-01-01", "ns").astype(np.int64))
_LATEST = int(np.iinfo(np.int64).max)
_OFFSET = re.compile(r"[+-]\d\d:?\d\d")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raw:
    """Rows as they stand in the files, not yet judged.

    Attributes
    ----------
    path : str
        What the user wrote.
    files : tuple of str
        What it stands for, in reading order.
    zone : str
        The zone that ts carries; the values are ns UTC whatever it says.
    row : (T,) int64
        Where each row stands in the concatenation of the files.
    ts : (T,) int64
    columns : dict of (T,) float64
        NaN where the file holds null.
    generated : str
        What the files say made them, where they are no record of a real market.
    clock : str
        The column that ts comes from.
    left_out : tuple of str
        Columns of a series that hold no numbers and were not asked for.
    """

    path: str
    files: tuple[str, ...]
    zone: str
    row: I8
    ts: I8
    columns: Mapping[str, F8]
    generated: str = ""
    clock: str = "ts"
    left_out: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> F8:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, index: Any) -> Self:
        """The rows of a mask or of indices, which keep their row numbers."""
        columns = {name: values[index] for name, values in self.columns.items()}
        return replace(self, row=self.row[index], ts=self.ts[index], columns=columns)


def read_bars(path: str, symbol: str, start: int | None = None, end: int | None = None) -> Raw:
    """OHLCV rows with start ≤ ts < end (ns UTC), and quote_volume where the files have it."""
    return _read(_open(path, symbol), path, symbol, BARS, ("quote_volume",), start, end)


def read_funding(path: str, symbol: str, start: int | None = None, end: int | None = None) -> Raw:
    """Funding rows with start ≤ ts < end (ns UTC), and mark_price where the files have it."""
    return _read(_open(path, symbol), path, symbol, FUNDING, ("mark_price",), start, end)


def read_trades(path: str, symbol: str, start: int | None = None, end: int | None = None) -> Raw:
    """Price, qty and aggressor side of trades with start ≤ ts < end (ns UTC), and their id where the files have one."""
    files = _open(path, symbol)
    ids = [name for name in TRADE_IDS if all(_holds_numbers(file, name) for file in files)]
    return _read(files, path, symbol, TRADES, ids[:1], start, end)


def read_series(
    path: str,
    name: str,
    available: str | None = None,
    columns: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
) -> Raw:
    """Rows of an exogenous series with start ≤ availability < end (ns UTC), and what stood before: the last ones.

    `available` is the column that says when a row could be known, needed where files have several timestamps;
    `columns` are the numbers to read, all there are by default.  Rows come as they stand in the files, in any order and
    repeated; of those before `start` the ones of the latest stamp are kept, as they are what was known then.
    """
    files = _open(path, name)
    with guard(name, path):
        clock = _clock(files, path, name, available)
        files = [replace(file, clock=clock) for file in files]
        numbers, others = _values(files, clock)
    if not (wanted := tuple(columns or numbers)):
        raise DataError(
            f"{_at(name, path)}: no column of numbers beside {clock}; found {', '.join(others) or 'none'}; "
            "a series is numbers"
        )
    if clock in wanted and clock in _timestamps(files):
        raise ConfigError(f"data.series.{name}.columns: {clock} is when a row could be known; name columns of numbers")
    raw = _read(files, path, name, wanted, (), _last_before(files, name, start), end)
    raw = replace(raw, clock=clock, left_out=() if columns else others)
    if start is None or not (early := raw.ts < start).any():
        return raw
    return raw.take(~early | (raw.ts == raw.ts[early].max()))


def kind(path: str) -> str:
    """What the columns say that a path holds: bars, funding, trades, bbo, book, or a series of numbers."""
    files = _open(path, "")
    names = {name for file in files for name in file.parquet.schema_arrow.names}
    if {"ts", *BARS} <= names:
        return "bars"
    if {"ts", *FUNDING} <= names:
        return "funding"
    if {"ts", *TRADES} <= names:
        return "trades"
    if {"ts", *BBO} <= names:
        return "bbo"
    if names >= BOOK_STAMPS or names >= SHOWN_BOOK:
        return "book"
    # What lacks a column of these is a damaged file of theirs before it is a series.
    if not names & {*BARS, *FUNDING, "price", "qty"} and len(_timestamps(files)) == 1:
        return "series"
    raise DataError(
        f"{path}: neither bars (ts, {', '.join(BARS)}) nor funding (ts, {', '.join(FUNDING)}) "
        f"nor trades (ts, {', '.join(TRADES)}) nor a book (exch_ts, recv_ts, side, price, qty, is_snapshot) "
        f"nor best quotes (ts, {', '.join(BBO)}) nor a series (numbers beside one timestamp); "
        f"found the columns {', '.join(sorted(names)) or 'none'}"
    )


def is_series(path: str) -> bool:
    """Whether a file may hold bars, funding, trades or a book; what cannot be read is left to the reader to refuse."""
    try:
        names = set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError):
        return True
    return (
        names >= BOOK_STAMPS
        or names >= SHOWN_BOOK
        or any({"ts", *columns} <= names for columns in (BARS, FUNDING, TRADES, BBO))
    )


def write_table(path: str | os.PathLike[str], table: pa.Table) -> None:
    """Write aside, sync, rename: a reader sees the old file or the new one.  Same table, same bytes."""
    replace_whole(Path(path), lambda sink: pq.write_table(table, sink, compression="zstd"))


def digest(symbol: str, arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 over a symbol and the names, types, lengths and raw bytes of its arrays, in the order given."""
    sha = hashlib.sha256(f"{symbol}\n".encode())
    for name, values in arrays.items():
        sha.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        sha.update(np.ascontiguousarray(values).data)
    return sha.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    name: str
    parquet: pq.ParquetFile
    clock: str = "ts"


@contextmanager
def guard(symbol: str, name: str) -> Iterator[None]:
    """Turn whatever a hostile or damaged file raises into one line."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, RuntimeError) as error:
        said = str(error).strip().split("\n")[0].rstrip(".")
        if name.lower().endswith((".csv", ".csv.gz", ".txt", ".json")):
            what = "pandas converts it: read_csv, a ts column with a time zone, then to_parquet"
        else:
            what = f"download it again, then run wfbt data check {name}"
        raise DataError(f"{_at(symbol, name)}: not a readable Parquet file ({said}); {what}") from error


def _open(path: str, symbol: str) -> list[_File]:
    files = []
    for name, filesystem in resolve(path, symbol):
        with guard(symbol, name):
            files.append(_File(name=name, parquet=pq.ParquetFile(name, filesystem=filesystem)))
    return files


def file_hashes(path: str, symbol: str) -> list[tuple[str, str]]:
    """Name and sha256 of every file that a path, folder, glob or URI stands for, sorted by name."""
    out = []
    for name, filesystem in resolve(path, symbol):
        digest = hashlib.sha256()
        with guard(symbol, name), filesystem.open_input_stream(name) if filesystem else open(name, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        out.append((name, digest.hexdigest()))
    return out


def resolve(path: str, symbol: str) -> list[tuple[str, Any]]:
    """The files that a path, folder, glob or URI stands for, sorted by name."""
    if "\0" in path:
        raise DataError(f"a path cannot hold a NUL character, was {path!r}")
    if "://" in path:
        found, filesystem = _resolve_remote(path, symbol)
    else:
        filesystem = None
        if os.path.isfile(path):
            found = [path]
        elif os.path.isdir(path):
            found = [str(file) for file in Path(path).rglob("*.parquet") if file.is_file()]
        else:
            found = [file for file in glob.glob(path, recursive=True) if os.path.isfile(file)]
    if not found:
        raise DataError(
            f"{_at(symbol, path)}: no Parquet file found; give a file, a folder, a glob or an s3:// address"
        )
    return [(name, filesystem) for name in sorted(found)]


def _resolve_remote(path: str, symbol: str) -> tuple[list[str], Any]:
    from pyarrow import fs

    with guard(symbol, path):
        wild = re.search(r"[*?\[]", path)
        base = path[: wild.start()].rpartition("/")[0] if wild else path
        filesystem, inner = fs.FileSystem.from_uri(base)
        if not wild and filesystem.get_file_info(inner).type == fs.FileType.File:
            return [inner], filesystem
        names = [
            info.path
            for info in filesystem.get_file_info(fs.FileSelector(inner, recursive=True, allow_not_found=True))
            if info.type == fs.FileType.File
        ]
        pattern = inner.rstrip("/") + (path[len(base) :] if wild else "/*.parquet")
        return [name for name in names if fnmatch(name, pattern)], filesystem


def _timestamps(files: Sequence[_File]) -> list[str]:
    """Columns that hold timestamps, in the order of the files."""
    fields = (field for file in files for field in file.parquet.schema_arrow)
    return list(dict.fromkeys(field.name for field in fields if pa.types.is_timestamp(field.type)))


def _clock(files: Sequence[_File], path: str, name: str, available: str | None) -> str:
    """The column that says when a row of a series could be known."""
    if available is not None:
        return available
    found = _timestamps(files)
    if len(found) > 1:
        raise ConfigError(
            f"data.series.{name}: {path} has the timestamps {', '.join(found)}; "
            "say in `available` which of them is when a row could be known"
        )
    if not found:
        names = ", ".join(dict.fromkeys(column for file in files for column in file.parquet.schema_arrow.names))
        raise DataError(
            f"{_at(name, path)}: no column of timestamps says when a row could be known; found {names or 'none'}"
        )
    return found[0]


def _values(files: Sequence[_File], clock: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns beside the clock that hold numbers, and those that hold neither numbers nor times."""
    fields = [field for file in files for field in file.parquet.schema_arrow if field.name != clock]
    numbers = dict.fromkeys(field.name for field in fields if _is_number(field.type))
    others = dict.fromkeys(f.name for f in fields if f.name not in numbers and not pa.types.is_timestamp(f.type))
    return tuple(numbers), tuple(others)


def _last_before(files: Sequence[_File], name: str, start: int | None) -> int | None:
    """A time from which to read, so that the last row before `start` is read too; None: from the beginning."""
    if start is None:
        return None
    latest = []
    for file in files:
        with guard(name, file.name):
            for group in range(file.parquet.num_row_groups):
                extent = _extent(file, group)
                if extent is not None and extent[1] < start:
                    latest.append(extent[1])
    return max(latest, default=None)


def _read(
    files: Sequence[_File],
    path: str,
    symbol: str,
    required: Sequence[str],
    optional: Sequence[str],
    start: int | None,
    end: int | None,
) -> Raw:
    clock = files[0].clock
    zones = set()
    for file in files:
        with guard(symbol, file.name):
            _check_columns(file, symbol, required)
            zones.add(_zone(file, symbol))
    if len(zones) > 1:
        raise DataError(
            f"{_at(symbol, path)}: mixed timezones: {clock} is in {', '.join(sorted(zones))}; "
            "write all files in one zone"
        )
    shared = set.intersection(*(set(file.parquet.schema_arrow.names) for file in files))
    names = [*required, *(name for name in optional if name in shared)]
    parts, offset = [], 0
    for file in files:
        with guard(symbol, file.name):
            parts.append(_read_file(file, symbol, names, offset, start, end))
            offset += file.parquet.metadata.num_rows
    row, ts, *columns = (
        pieces[0] if len(pieces) == 1 else np.concatenate(pieces) for pieces in zip(*parts, strict=True)
    )
    if not len(ts):
        raise DataError(
            f"{_at(symbol, path)}: no rows at or after {_said(start)} and before {_said(end)}; "
            f"run wfbt data info {path} to see what it covers"
        )
    return Raw(
        path=path,
        files=tuple(file.name for file in files),
        zone=zones.pop(),
        row=row,
        ts=ts,
        columns=dict(zip(names, columns, strict=True)),
        generated=_generated(files),
    )


def _generated(files: Sequence[_File]) -> str:
    """The first note of a file that says it was generated."""
    for file in files:
        if note := (file.parquet.schema_arrow.metadata or {}).get(GENERATED):
            return str(note.decode("utf-8", "replace"))[:200]
    return ""


def _at(symbol: str, name: str) -> str:
    return f"{symbol}: {name}" if symbol else name


def _said(ts: int | None) -> str:
    return "any time" if ts is None else stamp(ts)


def stamp(ts: int) -> str:
    """2023-11-05 01:00:00Z, with as many decimals as it needs."""
    whole, rest = divmod(int(ts), 1_000_000_000)
    text = str(np.datetime64(whole, "s")).replace("T", " ")
    return text + (f".{rest:09d}".rstrip("0") if rest else "") + "Z"


def _check_columns(file: _File, symbol: str, required: Sequence[str]) -> None:
    schema = file.parquet.schema_arrow
    found = ", ".join(schema.names) or "none"
    if lacking := [name for name in (file.clock, *required) if name not in schema.names]:
        raise DataError(
            f"{_at(symbol, file.name)}: column {lacking[0]} is missing; "
            f"needs {file.clock}, {', '.join(required)}, found {found}; run wfbt data info {file.name}"
        )
    for name in (file.clock, *required):
        if schema.names.count(name) > 1:
            raise DataError(f"{_at(symbol, file.name)}: column {name} appears twice; found {found}; keep one")
        if name != file.clock and not _is_number(schema.field(name).type):
            raise DataError(
                f"{_at(symbol, file.name)}: column {name} must hold numbers, was {schema.field(name).type}; "
                "convert it to float64"
            )
    if not file.parquet.metadata.num_rows:
        raise DataError(f"{_at(symbol, file.name)}: the file holds no rows; remove it or download it again")


def _holds_numbers(file: _File, name: str) -> bool:
    schema = file.parquet.schema_arrow
    return schema.names.count(name) == 1 and _is_number(schema.field(name).type)


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _zone(file: _File, symbol: str) -> str:
    type_, clock = file.parquet.schema_arrow.field(file.clock).type, file.clock
    if not pa.types.is_timestamp(type_):
        raise DataError(
            f"{_at(symbol, file.name)}: {clock} must be a timestamp with a time zone, was {type_}; "
            "convert it to timestamp[us, UTC]"
        )
    zone = type_.tz
    if not zone:
        raise DataError(
            f"{_at(symbol, file.name)}: {clock} has no time zone ({type_}); "
            "say which one it is in by writing timestamp[us, UTC]"
        )
    if zone != "UTC" and not _OFFSET.fullmatch(zone):
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise DataError(
                f"{_at(symbol, file.name)}: {clock} has an unknown time zone {zone!r}; write it in UTC"
            ) from error
    return str(zone)


def _read_file(
    file: _File, symbol: str, names: Sequence[str], offset: int, start: int | None, end: int | None
) -> list[np.ndarray]:
    """Row numbers, ts and the named columns of one file, without the row groups and rows outside [start, end)."""
    parquet, clock = file.parquet, file.clock
    unit = _NANOSECONDS[parquet.schema_arrow.field(clock).type.unit]
    groups, rows = [], []
    for group in range(parquet.num_row_groups):
        count = parquet.metadata.row_group(group).num_rows
        if _overlaps(file, group, start, end):
            groups.append(group)
            rows.append(np.arange(offset, offset + count))
        offset += count
    # Columns that are not asked for are never read; nor are row groups whose statistics lie outside the dates.
    table = parquet.read_row_groups(groups, columns=[clock, *names])
    row = np.concatenate([np.empty(0, np.int64), *rows])
    if table[clock].null_count:
        bad = int(np.flatnonzero(table[clock].is_null().to_numpy())[0])
        raise DataError(f"{_at(symbol, file.name)}: {clock} is empty at row {row[bad]}; remove the row")
    count = table[clock].cast(pa.int64()).to_numpy()
    if (wild := np.flatnonzero((count > _LATEST // unit) | (count < _EARLIEST // unit))).size:
        raise DataError(
            f"{_at(symbol, file.name)}: {clock} at row {row[wild[0]]} is outside the years 1800 to 2262; "
            "correct its unit"
        )
    out = [row, count * unit, *(table[name].cast(pa.float64(), safe=False).to_numpy() for name in names)]
    if start is None and end is None:
        return out
    inside = np.ones(len(row), dtype=bool)
    if start is not None:
        inside &= out[1] >= start
    if end is not None:
        inside &= out[1] < end
    return out if inside.all() else [values[inside] for values in out]


def _overlaps(file: _File, group: int, start: int | None, end: int | None) -> bool:
    if (start is None and end is None) or (extent := _extent(file, group)) is None:
        return True
    return (end is None or extent[0] < end) and (start is None or extent[1] >= start)


def _extent(file: _File, group: int) -> tuple[int, int] | None:
    """Earliest and latest stamp of a row group, ns UTC, where its statistics say so."""
    columns = file.parquet.metadata.row_group(group)
    at = next((i for i in range(columns.num_columns) if columns.column(i).path_in_schema == file.clock), None)
    if at is None or (statistics := columns.column(at).statistics) is None or not statistics.has_min_max:
        return None
    # Statistics are in the unit of the file, which need not be that of the schema: seconds are stored as milliseconds.
    stored = json.loads(file.parquet.schema.column(at).logical_type.to_json()).get("timeUnit")
    if stored not in _STORED:
        return None
    return statistics.min_raw * _STORED[stored], statistics.max_raw * _STORED[stored]
