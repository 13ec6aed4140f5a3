"""What built-in rules are registered with and made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import PolicyError
from wfbt.features.rolling import check_length
from wfbt.policy.wording import near

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def rule(
    valid: Callable[..., bool] | None = None, sees_all: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say of a built-in what its signature cannot.

    `valid(**params)` says which parameters make sense together.  A rule that `sees_all` gets the frames of all symbols
    as a dict, whatever their number, and its targets are shares of the whole account; any other is asked about each
    symbol alone.
    """

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        vars(function)["sees_all"] = sees_all
        if valid is not None:
            vars(function)["valid"] = valid
        return function

    return mark


def check_lengths(least: int = 2, **lengths: int) -> None:
    """Refuse window lengths that are not whole numbers of at least `least` bars."""
    for name, rows in lengths.items():
        check_length(rows, name, least)


def columns(bars: pd.DataFrame, *names: str) -> tuple[F8, ...]:
    """(T,) float64 each, as they stand in the frame."""
    return tuple(bars[name].to_numpy(dtype=np.float64) for name in names)


def joined_series(bars: pd.DataFrame, name: str) -> F8:
    """(T,) exogenous series as known at each bar's close, NaN where nothing is known; PolicyError where it is not."""
    if name not in bars:
        raise PolicyError(
            f"there is no column {name}{near(name, bars.columns)}; it needs the entry data.series.{name}, or, for one "
            f"column of several, that of the series the name begins with; there are {', '.join(bars.columns)}"
        )
    (values,) = columns(bars, name)
    if np.isnan(values).all():
        raise PolicyError(f"{name} is known at no bar; look at the times and the delay of data.series, or start later")
    return values


def targets(bars: pd.DataFrame, target: F8) -> pd.Series[float]:
    """(T,) numbers under the index of the bars."""
    return pd.Series(target, index=bars.index, name="target")


def carried(warm: Mask, *events: tuple[Mask, float]) -> F8:
    """(T,) value of the last event, a later one in the list winning its row; 0 before the first, NaN before `warm`.

    `warm` is false up to some row and events count from there on.
    """
    value = np.full(len(warm), np.nan)
    if warm.any():
        value[warm.argmax()] = 0.0
    for happened, new in events:
        np.copyto(value, new, where=happened & warm)
    rows = np.flatnonzero(value == value)
    if len(rows) and len(rows) < len(value) - rows[0]:
        value[rows[0] :] = np.repeat(value[rows], np.diff(rows, append=len(value)))
    return value


def two_sided(
    bars: pd.DataFrame, warm: Mask, buy: Mask, end_long: Mask, sell: Mask, end_short: Mask, short: bool
) -> pd.Series[float]:
    """A long machine less a short one; they never overlap, as whatever starts one ends the other."""
    target = carried(warm, (end_long, 0.0), (buy, 1.0))
    if short:
        target = target - carried(warm, (end_short, 0.0), (sell, 1.0))
    return targets(bars, target)
