"""Durations, times and the other plain values a strategy file is written in."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, PlainValidator
from pydantic_core import CoreSchema, core_schema

UNITS = {
    "w": 7 * 86_400_000_000_000,
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
"""ns in each unit of a duration; m is a minute."""

LONGEST = 36_525 * UNITS["d"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DURATION = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,18}))?[ ]?(w|d|h|ms|m|us|s|ns)", re.ASCII)
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?[ ]?(Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    re.ASCII,
)


class Duration(int):
    """A length of time in ns, written 365d, 24h, 15m, 100ms, 250us or 1w; `str` writes it back."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a duration; raise ValueError with the rule it breaks.  A bare number has no unit: only 0 passes."""
        if isinstance(value, cls):
            return value
        if type(value) is int and value == 0:
            return cls(0)
        if type(value) in (int, float):
            raise ValueError("must be a duration with a unit such as 365d, 24h, 15m, 10s or 100ms")
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError("must be a duration such as 365d, 24h, 15m, 10s or 100ms")
        whole, fraction, unit = match.groups()
        ns, rest = divmod(int(whole + (fraction or "")) * UNITS[unit], 10 ** len(fraction or ""))
        if rest:
            raise ValueError("must be a whole number of nanoseconds")
        if ns > LONGEST:
            raise ValueError("must be at most 100 years (36525d)")
        return cls(ns)

    def __str__(self) -> str:
        if self == 0:
            return "0s"
        # Weeks are read but not written: 364d says more than 52w.
        unit = next(u for u in ("d", "h", "m", "s", "ms", "us", "ns") if self % UNITS[u] == 0)
        return f"{int(self) // UNITS[unit]}{unit}"

    __repr__ = __str__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)


class Time(int):
    """A moment in ns since 1970, UTC, written 2020-01-01 or 2020-01-01T12:00Z; `str` writes it back."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a time (naive means UTC); raise ValueError with the rule it breaks."""
        if isinstance(value, cls):
            return value
        if isinstance(value, date):
            value = value.isoformat()
        match = _TIME.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError("must be a UTC date or time such as 2020-01-01 or 2020-01-01T12:00Z")
        day, minute, second, fraction, zone = match.groups()
        try:
            moment = datetime.fromisoformat(f"{day}T{minute or '00:00'}:{second or '00'}{zone or 'Z'}")
        except ValueError:
            raise ValueError("must be a date and time that exist") from None
        if not 1700 <= moment.year < 2260:
            raise ValueError("must lie between 1700 and 2260")
        return cls((moment - EPOCH) // timedelta(seconds=1) * UNITS["s"] + int((fraction or "").ljust(9, "0")))

    def __str__(self) -> str:
        seconds, ns = divmod(int(self), UNITS["s"])
        moment = EPOCH + timedelta(seconds=seconds)
        if ns == 0 and moment.time() == EPOCH.time():
            return moment.strftime("%Y-%m-%d")
        fraction = f".{ns:09d}".rstrip("0") if ns else ""
        return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"

    __repr__ = __str__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)


Scalar = bool | int | float | str | None


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, bool | str):
        return value
    try:
        return _number(value)
    except ValueError:
        raise ValueError("must be a finite number, text, true, false or null") from None


def _parameter(value: object) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_scalar(item) for item in value)
    if isinstance(value, dict):
        raise ValueError("must be a number, text, true, false, null or a list of these")
    return _scalar(value)


def _auto(value: object) -> Duration | str:
    if value == "auto":
        return "auto"
    try:
        return Duration.parse(value)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def _file(value: str) -> str:
    if not value.strip() or len(value) > 4096:
        raise ValueError("must be a path of 1 to 4096 characters")
    if not value.isprintable():
        raise ValueError("must be a path without control characters")
    return value


def _matches(pattern: str, rule: str) -> AfterValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(rule)
        return value

    return AfterValidator(check)


def _to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _by_key(value: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(value.items()))


Number = Annotated[int | float, PlainValidator(_number)]
"""A finite number that keeps being an int or a float, for a policy's parameters."""

Choice = Annotated[Scalar, PlainValidator(_scalar)]
Parameter = Annotated[Any, PlainValidator(_parameter)]
AutoDuration = Annotated[Any, PlainValidator(_auto)]
"""A Duration or the text "auto"."""

Span = Annotated[Duration, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]
PartOfOne = Annotated[float, Field(ge=0, lt=1)]
Bps = Annotated[float, Field(ge=0, lt=10_000)]
Rebatable = Annotated[float, Field(gt=-10_000, lt=10_000)]
"""bps of a fee that is a rebate when negative."""

File = Annotated[str, AfterValidator(_file)]
"""A path, glob or s3:// address, kept as written."""

Name = Annotated[
    str,
    _matches(
        r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}",
        "must be 1 to 64 letters, digits, '.', '_' or '-', not starting with '.' or '-'",
    ),
]
SymbolName = Annotated[
    str,
    _matches(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,63}", "must be a symbol of 1 to 64 letters, digits or . _ : / @ -"),
]
Identifier = Annotated[
    str, _matches(r"[A-Za-z_][A-Za-z0-9_]{0,63}", "must be a parameter name: letters, digits and _, not a digit first")
]
SleeveName = Annotated[
    str,
    _matches(r"[A-Za-z_][A-Za-z0-9_]{0,63}", "must be the name of a sleeve: letters, digits and _, not a digit first"),
]
RuleName = Annotated[
    str,
    _matches(
        r"[A-Za-z_]\w*|[^:\x00-\x1f]*\.py:[A-Za-z_]\w*|[A-Za-z_][\w.]*:[A-Za-z_]\w*",
        "must be a built-in rule, file.py:name or package.module:name",
    ),
]

Listed = BeforeValidator(_to_tuple)
ByKey = AfterValidator(_by_key)
"""The order of keys has no meaning: sorting makes that true for everything downstream."""
