"""What a policy was shown and what it said, side by side, and where two such answers differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.policy.columns import NAMES, Columns

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

TOLERANCE = 1e-12
"""Relative: a BLAS product differs in its last bits with the number of rows, and no decision hangs on them."""

BARE = ("open", "high", "low", "close", "volume")
FEATURE, INTENT, FILL = "feature", "intent", "fill"

Key = tuple[str, str, str]
"""What it is (feature, intent or fill), of which symbol, and its name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """Every column by key, (T_a,) each, and the closes (T_a,), ns UTC, of each symbol's rows."""

    closes: Mapping[str, I8]
    columns: Mapping[Key, F8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One number that is not what it was: `row` of the symbol's own rows, `ts` its close."""

    key: Key
    row: int
    ts: int
    was: float
    now: float


def answer(frames: Mapping[str, pd.DataFrame], said: Mapping[str, Columns]) -> Answer:
    """The features in `frames` and what was `said` on them.  A column of intents that is absent counts as NaN.

    Open, high, low, close and volume are no features: they are what everything else is made of.
    """
    closes = {symbol: pd.DatetimeIndex(frame.index).as_unit("ns").asi8 for symbol, frame in frames.items()}
    columns: dict[Key, F8] = {}
    for symbol, frame in frames.items():
        for name in frame.columns.difference(list(BARE), sort=False):
            columns[FEATURE, symbol, str(name)] = frame[name].to_numpy(dtype=np.float64)
    for symbol, wants in said.items():
        for name in NAMES:
            if (column := getattr(wants, name)) is not None:
                columns[INTENT, symbol, name] = column
    return Answer(closes=closes, columns=columns)


def unequal(one: F8, other: F8, tolerance: float = TOLERANCE) -> Mask:
    """(T,) where two columns differ by more than `tolerance` of the larger number, or of the column's middle one."""
    same: Mask = (one == other) | ((one != one) & (other != other))
    if same.all():
        return ~same
    with np.errstate(invalid="ignore"):
        apart, size = np.abs(one - other), np.abs(one)
        same |= apart <= tolerance * np.maximum(size, np.abs(other))
        if not same.all() and np.isfinite(size).any():
            same |= apart <= tolerance * float(np.median(size[np.isfinite(size)]))
    return np.asarray(~same)


def masks(one: Answer, other: Answer, tolerance: float, until: int | None = None) -> dict[Key, Mask]:
    """Where each column differs, on the rows closed by `until` (ns; None: all) that both have."""
    out: dict[Key, Mask] = {}
    for key in dict.fromkeys([*one.columns, *other.columns]):
        closes = one.closes[key[1]]
        rows = len(closes) if until is None else int(np.searchsorted(closes, until, side="right"))
        rows = min(rows, len(other.closes[key[1]]))
        mine, its = (which.columns.get(key) for which in (one, other))
        blank = np.full(rows, np.nan)
        out[key] = unequal(blank if mine is None else mine[:rows], blank if its is None else its[:rows], tolerance)
    return out


def differences(one: Answer, other: Answer, until: int, tolerance: float = TOLERANCE) -> list[Difference]:
    """The first row of each column that differs though it was closed by `until`: features first, then by time."""
    found = []
    for key, mask in masks(one, other, tolerance, until).items():
        if mask.any():
            row = int(mask.argmax())
            was, now = (
                float(which.columns[key][row]) if key in which.columns else float("nan") for which in (one, other)
            )
            found.append(Difference(key=key, row=row, ts=int(one.closes[key[1]][row]), was=was, now=now))
    return sorted(found, key=lambda one: (one.key[0] != FEATURE, one.ts))
