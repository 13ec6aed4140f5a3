"""What feeds of JSON lines share: a time of receipt in front, and levels as pairs of decimals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from wfbt.data.book.importers.source import EARLIEST, LATEST, lines
from wfbt.errors import DataError

_UNITS = {10: 1_000_000_000, 13: 1_000_000, 16: 1_000, 19: 1}
_NONE = np.empty((0, 2))


def messages(path: str) -> Iterator[tuple[int, int | None, dict[str, Any]]]:
    """Line number, time of receipt in ns UTC if the line begins with one, and the JSON object, of each line.

    The time of receipt is a whole number in s, ms, us or ns, as its digits tell.
    """
    for number, line in lines(path):
        received = None
        if line[:1].isdigit():
            front, _, line = line.partition(b" ")
            if not front.isdigit() or len(front) not in _UNITS:
                raise DataError(f"{path}: line {number} begins with {front[:30]!r}, which is no time of receipt")
            received = int(front) * _UNITS[len(front)]
            if not EARLIEST <= received < LATEST:
                raise DataError(f"{path}: line {number} begins with {front.decode()}, which is no time of receipt")
        try:
            said = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path}: line {number} is no JSON; if it is the last one the file was cut off: remove the line"
            ) from error
        if not isinstance(said, dict):
            raise DataError(f"{path}: line {number} must hold a JSON object, holds {type(said).__name__}")
        yield number, received, said


def levels(given: Any, path: str, number: int) -> np.ndarray:
    """(n, 2) float64 of pairs [price, quantity]."""
    if not given:
        return _NONE
    try:
        out = np.array(given, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: line {number} has levels that are no pairs of price and quantity") from error
    if out.ndim != 2 or out.shape[1] != 2:
        raise DataError(f"{path}: line {number} has levels that are no pairs of price and quantity")
    return out


def integer(said: dict[str, Any], key: str, path: str, number: int) -> int:
    """A whole number of a message."""
    value = said.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 62:
        raise DataError(f"{path}: line {number}: {key} must be a whole number, was {str(value)[:40]!r}")
    return value


def milliseconds(said: dict[str, Any], key: str, path: str, number: int) -> int:
    """A time of a message, in ns UTC; written in ms since 1970."""
    stamp = integer(said, key, path, number) * 1_000_000
    if not EARLIEST <= stamp < LATEST:
        raise DataError(f"{path}: line {number}: {key} must be a time in ms since 1970, was {said[key]}")
    return stamp


def decimal(said: dict[str, Any], key: str, path: str, number: int) -> float:
    """A decimal of a message, written as text."""
    try:
        return float(said[key])
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: line {number}: {key} must be a number, was {str(said.get(key))[:40]!r}") from error
