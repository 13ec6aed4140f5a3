"""Trailing windows: the value at row t is made of rows ≤ t and is bit-equal whatever follows t.

Leading NaN are skipped: the series begins at its first number.  A NaN or an infinity after that is refused, since every
recursion downstream would carry it to the end in silence.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import PolicyError

F8 = npt.NDArray[np.float64]


def first_number(values: F8, name: str) -> int:
    """Row of the first number of (T,) `values`, T when there is none; PolicyError on a hole or an infinity after it."""
    if values.ndim != 1:
        raise PolicyError(f"{name} needs one value per bar, was given an array of shape {values.shape}")
    number = np.isfinite(values)
    if number.all():
        return 0
    start = int(number.argmax()) if number.any() else len(values)
    bad = np.flatnonzero(~number & ((np.arange(len(values)) >= start) | np.isinf(values)))
    if bad.size:
        raise PolicyError(f"{name}: row {bad[0]} is {values[bad[0]]}; only leading NaN are skipped; fill or drop it")
    return start


def check_length(rows: int, name: str, least: int = 2) -> None:
    """Refuse a window length that is not a whole number of at least `least` bars."""
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < least:
        raise PolicyError(f"{name} must be a whole number of bars >= {least}, was {rows!r}")


def rolling_moments(values: npt.ArrayLike, rows: int) -> tuple[F8, F8]:
    """Mean and ddof-1 deviation of the last `rows` rows, (T,) each, known with row t.

    Shorter windows before `rows` rows are there: the mean from the first row on, the deviation from the second.

    Rows are cut into blocks of `rows − 1`, so every window is the tail of one block and the head of the next, and holds
    the last row of the first.  Both parts are summed outwards from there, as differences to that row.  Nothing summed
    is ever taken away again, so a spike leaves no rounding behind when it leaves the window; and as the reference lies
    inside the window, its squared distance to the mean is at most the sum of squares: no catastrophic cancellation.
    Equal rows deviate by exactly 0.
    """
    check_length(rows, "rows")
    series = np.asarray(values, dtype=np.float64)
    start = first_number(series, "rolling_moments")
    mean, deviation = np.full(len(series), np.nan), np.full(len(series), np.nan)
    size = len(series) - start
    if size == 0:
        return mean, deviation
    from wfbt.kernels.rolling import fill_moments

    fill_moments(mean[start:], deviation[start:], np.ascontiguousarray(series[start:]), rows, *np.empty((2, rows - 1)))
    return mean, deviation


def rolling_zscore(values: npt.ArrayLike, rows: int) -> F8:
    """(T,) distance of row t from the mean of the last `rows` rows (t among them), in their ddof-1 deviations.

    NaN until `rows` rows are there, and where they are all equal.
    """
    series = np.asarray(values, dtype=np.float64)
    mean, deviation = rolling_moments(series, rows)
    score = np.full(len(series), np.nan)
    np.divide(series - mean, deviation, out=score, where=deviation > 0)
    score[: first_number(series, "rolling_zscore") + rows - 1] = np.nan
    return score


def previous_high(high: npt.ArrayLike, rows: int) -> F8:
    """(T,) highest of the `rows` rows before t, without t: Donchian's upper band.  NaN for the first `rows` rows."""
    return _previous(high, rows, "max")


def previous_low(low: npt.ArrayLike, rows: int) -> F8:
    """(T,) lowest of the `rows` rows before t, without t: Donchian's lower band.  NaN for the first `rows` rows."""
    return _previous(low, rows, "min")


def _previous(values: npt.ArrayLike, rows: int, extreme: str) -> F8:
    check_length(rows, "rows", 1)
    series = np.asarray(values, dtype=np.float64)
    first_number(series, f"previous {extreme}")
    return pd.Series(series).rolling(rows).agg(extreme).shift(1).to_numpy(dtype=np.float64)


def rate_of_change(values: npt.ArrayLike, rows: int) -> F8:
    """(T,) values[t] / values[t − rows] − 1, known with row t.  NaN for the first `rows` rows."""
    check_length(rows, "rows", 1)
    series = np.asarray(values, dtype=np.float64)
    first_number(series, "rate_of_change")
    change = np.full(len(series), np.nan)
    change[rows:] = series[rows:] / series[:-rows] - 1.0
    return change
