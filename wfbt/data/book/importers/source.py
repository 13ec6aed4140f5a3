"""Text files from elsewhere, plain, gzip or zip: read in order and in bounded memory, whatever they claim to hold."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from wfbt.errors import DataError

LONGEST = 1 << 24
"""Bytes of a line: the snapshot of the deepest book is a hundredth of it."""
BLOCK = 1 << 22
UNITS = (1_000_000_000, 1_000_000, 1_000, 1)
_NAMES = dict(zip(UNITS, ("s", "ms", "us", "ns"), strict=True))
EARLIEST, LATEST = 631_152_000 * 10**9, 8_836_000_000 * 10**9
"""ns: what is no time between 1990 and 2250 is no time of a feed."""
RATIO = 400
"""Times that a file may grow when it is unpacked, once it is beyond FREE bytes: text of a feed grows fifteenfold."""
FREE = 1 << 28


class _Measured(io.RawIOBase):
    """A stream that counts what comes out of it and stops at what no honest file unpacks to."""

    def __init__(self, inner: Any, name: str, packed: int) -> None:
        self._inner, self._name, self._packed, self._seen = inner, name, packed, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(len(buffer))
        self._seen += len(data)
        if self._seen > FREE and self._seen > RATIO * self._packed:
            raise DataError(
                f"{self._name}: unpacks to more than {RATIO} times its {self._packed:,} bytes; that is no recorded feed"
            )
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """The text in a file, in a .gz, or in a .zip that holds one file."""
    place = Path(path)
    with told(path):
        if not place.is_file():
            raise DataError(f"{path}: no such file")
        packed = place.stat().st_size
        with place.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic[:2] == b"\x1f\x8b":
                yield io.BufferedReader(_Measured(gzip.GzipFile(fileobj=file), path, packed), BLOCK)
            elif magic == b"PK\x03\x04":
                with zipfile.ZipFile(file) as archive:
                    members = [member for member in archive.infolist() if not member.is_dir()]
                    if len(members) != 1:
                        raise DataError(f"{path}: a zip must hold one file, holds {len(members)}; unpack it")
                    with archive.open(members[0]) as inner:
                        yield io.BufferedReader(_Measured(inner, path, packed), BLOCK)
            else:
                yield file


@contextmanager
def told(path: str) -> Iterator[None]:
    """Turn what damaged files raise into one line that names them."""
    try:
        yield
    except EOFError as error:
        raise DataError(
            f"{path}: the file is cut off: it ends before its compressed stream does; get it again"
        ) from error
    except (OSError, zipfile.BadZipFile, zlib.error, pa.ArrowException, RuntimeError, NotImplementedError) as error:
        said = str(error).strip().split("\n")[0].rstrip(".")
        raise DataError(f"{path}: cannot be read ({said}); get it again") from error


def lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1, without those that are empty.

    Raises DataError for a line that is longer than any message, and for a file that is cut off.
    """
    with opened(path) as file:
        number = 0
        while line := file.readline(LONGEST):
            number += 1
            if len(line) == LONGEST:
                raise DataError(f"{path}: line {number} is longer than {LONGEST:,} bytes; that is no feed of lines")
            if line := line.strip():
                yield number, line


def first_line(path: str) -> str:
    """The first line of a file of text, at most 64 KiB of it."""
    with opened(path) as file:
        first = file.readline(1 << 16).decode("utf-8", "replace").strip()
    if not first:
        raise DataError(f"{path}: holds no rows")
    return first


def tables(path: str, columns: Sequence[str], types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    """Batches of a CSV file.

    `columns` are the names where the file has no header, which begins with a number then.  Only those of `types` are
    read, and they must all be there.
    """
    first = first_line(path)
    with opened(path) as file:
        names = [name.strip().strip('"') for name in first.split(",")]
        headed = not names[0].replace(".", "", 1).isdigit()
        given = names if headed else list(columns[: len(names)])
        if lacking := [name for name in types if name not in given]:
            raise DataError(
                f"{path}: column {lacking[0]} is missing; needs {', '.join(types)}, found {', '.join(given)}"
            )
        if not headed and len(names) > len(columns):
            raise DataError(f"{path}: has {len(names)} columns and no header, expected {', '.join(columns)}")
        reader = pyarrow.csv.open_csv(
            pa.PythonFile(file, mode="r"),
            read_options=pyarrow.csv.ReadOptions(
                column_names=None if headed else given, block_size=BLOCK, use_threads=False
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict(types), include_columns=list(types), strings_can_be_null=True
            ),
        )
        yield from reader


def number(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """A column as float64, NaN where it is empty."""
    out: np.ndarray = batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return out


def whole(batch: pa.RecordBatch, name: str, path: str) -> np.ndarray:
    """A column as int64."""
    column = batch.column(name)
    if column.null_count:
        raise DataError(f"{path}: column {name} is empty in {column.null_count:,} rows")
    out: np.ndarray = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return out


def nanoseconds(stamp: np.ndarray, path: str, units: Sequence[int] = UNITS) -> np.ndarray:
    """Stamps since 1970 as ns: in which of the units they are shows in their size, for years from 1990 to 2250."""
    if not len(stamp):
        return stamp
    low, high = int(stamp.min()), int(stamp.max())
    for unit in units:
        if low * unit >= EARLIEST and high * unit < LATEST:
            return stamp * unit
    names = " or ".join(_NAMES[unit] for unit in units)
    raise DataError(f"{path}: {low} to {high} are no stamps of one unit, {names}, since 1970")
