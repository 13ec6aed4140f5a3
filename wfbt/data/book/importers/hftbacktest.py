"""hftbacktest's npz files: one structured array `data` of events with flags in their upper bits.

Only the level-2 events are read.  Rows for the exchange alone or for the local side alone, which its preparation makes
where the two clocks disagree on the order, are read where they are local: wfbt orders both sides itself.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from wfbt.data.book.importers.parsed import Parsed, Traded, unsplit
from wfbt.data.book.importers.source import FREE, RATIO, told
from wfbt.data.book.rows import NO_ID, Quotes, last_of
from wfbt.errors import DataError

DEPTH, TRADE, CLEAR, SNAPSHOT, BEST = 1, 2, 3, 4, 5
LOCAL, BUY, SELL = 1 << 30, 1 << 29, 1 << 28
FIELDS = ("ev", "exch_ts", "local_ts", "px", "qty")
CHUNK = 1 << 16
WIDEST = 1 << 10
"""Bytes of one event: the format has 64."""


def read(paths: Sequence[str], symbol: str) -> Iterator[Parsed]:
    """Book and trades, file by file; rows count over all files.  A file names no symbol, so none is checked."""
    return unsplit(_files(paths))


def _files(paths: Sequence[str]) -> Iterator[Parsed]:
    row = 0
    for path in paths:
        with told(path), zipfile.ZipFile(path) as archive:
            name = next((name for name in archive.namelist() if name in ("data.npy", "arr_0.npy")), None)
            if name is None:
                raise DataError(
                    f"{path}: holds no array named data; found {', '.join(archive.namelist())[:200] or 'none'}"
                )
            member = archive.getinfo(name)
            if member.file_size > FREE and member.file_size > RATIO * max(member.compress_size, 1):
                raise DataError(f"{path}: unpacks to more than {RATIO} times its size; that is no recorded feed")
            with archive.open(name) as file:
                dtype, count = _header(file, path)
                for begin in range(0, count, CHUNK):
                    n = min(CHUNK, count - begin)
                    text = file.read(n * dtype.itemsize)
                    if len(text) < n * dtype.itemsize:
                        raise DataError(f"{path}: is cut off after {begin:,} of {count:,} events; get it again")
                    yield _parsed(np.frombuffer(text, dtype), row + begin)
        row += count


def _header(file: Any, path: str) -> tuple[np.dtype[Any], int]:
    """The type of an event and how many there are; only plain numbers are read, nothing is unpickled."""
    try:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(file)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: data is no array ({str(error).splitlines()[0]})") from error
    if len(shape) != 1 or dtype.names is None or dtype.hasobject or dtype.itemsize > WIDEST:
        raise DataError(f"{path}: data must be a list of events with {', '.join(FIELDS)}, is {dtype} of {shape}")
    if lacking := [name for name in FIELDS if name not in dtype.names]:
        raise DataError(f"{path}: events have no {lacking[0]}; found {', '.join(dtype.names)}")
    return dtype, int(shape[0])


def _parsed(events: np.ndarray, row: int) -> Parsed:
    flags = events["ev"].astype(np.int64)
    kind, local = flags & 0xFF, (flags & LOCAL) != 0
    side = np.where(flags & BUY, 1, np.where(flags & SELL, -1, 0)).astype(np.int8)
    rows = np.arange(row, row + len(events))
    recv = events["local_ts"].astype(np.int64)
    book = local & ((kind == DEPTH) | (kind == SNAPSHOT))
    trades = local & (kind == TRADE)
    shot = kind == SNAPSHOT
    out: dict[str, Any] = {}
    if book.any():
        none = np.full(int(book.sum()), NO_ID, np.int64)
        stamp, snap = recv[book], shot[book]
        out["book"] = Quotes(
            row=rows[book],
            exch_ts=events["exch_ts"][book].astype(np.int64),
            recv_ts=stamp,
            side=side[book],
            snapshot=snap,
            last=last_of(stamp, snap),
            first_id=none,
            final_id=none,
            prev_id=none,
            price=events["px"][book].astype(np.float64),
            qty=events["qty"][book].astype(np.float64),
        )
    if trades.any():
        out["trades"] = Traded(
            row=rows[trades],
            exch_ts=events["exch_ts"][trades].astype(np.int64),
            recv_ts=recv[trades],
            price=events["px"][trades].astype(np.float64),
            qty=events["qty"][trades].astype(np.float64),
            side=side[trades],
            trade_id=np.full(int(trades.sum()), NO_ID, np.int64),
        )
    return Parsed(**out)
