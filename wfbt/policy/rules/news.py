"""Rules that read an exogenous series, as it was known at each bar's close."""

from __future__ import annotations

import numpy as np
import pandas as pd

from wfbt.features import indicators
from wfbt.policy.rules.base import I8, Mask, check_lengths, columns, joined_series, rule, targets


@rule(valid=lambda bad, good, **_: bad <= good)
def divergence(
    bars: pd.DataFrame,
    series: str = "news",
    bad: float = -0.3,
    good: float = 0.3,
    n: int = 24,
    hold: int = 24,
    short: bool = True,
) -> pd.Series[float]:
    """Buy what bad news does not push down: long (1) when the series is below `bad` and the close is not below that of
    `n` bars ago; short (−1) mirrored: above `good`, and the close not above.

    Held until `hold` bars after the condition was last met, and no longer than to the bar at which the news turns: a
    long ends when the series is above `good`, a short when it is below `bad`.  A series that is not known starts
    nothing and ends nothing.  Warm after n rows and the first value of the series.  Known at the close.
    """
    check_lengths(1, n=n, hold=hold)
    (close,) = columns(bars, "close")
    mood = joined_series(bars, series)
    change = indicators.rate_of_change(close, n)
    dark, bright = mood < bad, mood > good
    target = _lasting(dark & (change >= 0), bright, hold)
    if short:
        target = target - _lasting(bright & (change <= 0), dark, hold)
    warm = ~np.isnan(change) & np.logical_or.accumulate(~np.isnan(mood))
    return targets(bars, np.where(warm, target, np.nan))


@rule(valid=lambda low, high, **_: low <= high)
def sentiment(bars: pd.DataFrame, series: str = "news", low: float = -0.3, high: float = 0.3) -> pd.Series[float]:
    """Side with the mood: short (−1) while the series is below `low`, long (1) while it is above `high`, flat between.

    As the confirming side of a hybrid in mode veto it forbids longs below `low` and shorts above `high`.  Flat where
    the series is not known any more.  Warm with the first value of the series.  Known at the close.
    """
    mood = joined_series(bars, series)
    target = np.where(mood < low, -1.0, np.where(mood > high, 1.0, 0.0))
    return targets(bars, np.where(np.logical_or.accumulate(~np.isnan(mood)), target, np.nan))


def _lasting(starts: Mask, ends: Mask, bars: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(T,) 1 for `bars` rows from each start, that row first, but not from an end on; else 0."""
    rows = np.arange(len(starts))

    def last(happened: Mask) -> I8:
        return np.maximum.accumulate(np.where(happened, rows, -1))

    began = last(starts)
    return ((began >= 0) & (rows - began < bars) & (last(ends) < began)).astype(np.float64)
