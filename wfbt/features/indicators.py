"""TA-Lib's standard indicators on (T,) float64 arrays: causal, NaN until warm.

TA-Lib's averages are seeded at the start of what they are given, so a value depends on where the series starts.  They
are always computed from the first row of the data, never from the first row of a fold: row t sees the same past in
every fold.  A NaN in the middle would turn everything after it into NaN; only leading NaN are skipped, others refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import talib

from wfbt.errors import PolicyError
from wfbt.features.memo import recall
from wfbt.features.rolling import (
    F8,
    check_length,
    first_number,
    previous_high,
    previous_low,
    rate_of_change,
    rolling_moments,
    rolling_zscore,
)

__all__ = [
    "adx",
    "atr",
    "bollinger",
    "ema",
    "macd",
    "previous_high",
    "previous_low",
    "rate_of_change",
    "rolling_moments",
    "rolling_zscore",
    "rsi",
    "sma",
]


def ema(values: npt.ArrayLike, n: int) -> F8:
    """Exponential average with weight 2/(n+1), seeded with the mean of the first `n` rows.

    TA-Lib EMA.  Known at the close of row t; n − 1 rows of warm-up.
    """
    return _apply(talib.EMA, "ema", n, values)


def sma(values: npt.ArrayLike, n: int) -> F8:
    """Mean of the last `n` rows.  TA-Lib SMA.  Known at the close of row t; n − 1 rows of warm-up."""
    return _apply(talib.SMA, "sma", n, values)


def rsi(close: npt.ArrayLike, n: int) -> F8:
    """Relative strength index, 0 to 100: 100·up/(up + down), Wilder averages (weight 1/n) of rises and falls.

    TA-Lib RSI, after Wilder (1978), seeded with the mean of the first `n` changes.  Known at the close of row t; n rows
    of warm-up.
    """
    return _apply(talib.RSI, "rsi", n, close)


def adx(high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike, n: int) -> F8:
    """Average directional index, 0 to 100: how strongly prices trend, whichever way.

    TA-Lib ADX, after Wilder (1978).  Known at the close of row t; 2n − 1 rows of warm-up.
    """
    return _apply(talib.ADX, "adx", n, high, low, close)


def atr(high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike, n: int) -> F8:
    """Average true range in price units: Wilder average of max(high, previous close) − min(low, previous close).

    TA-Lib ATR, after Wilder (1978), seeded with the mean of the first `n` ranges.  Known at the close of row t; n rows
    of warm-up.
    """
    return _apply(talib.ATR, "atr", n, high, low, close, least=1)


def macd(close: npt.ArrayLike, fast: int = 12, slow: int = 26, signal: int = 9) -> F8:
    """MACD less its signal line, in price units: EMA(fast) − EMA(slow), less the EMA(signal) of that.

    TA-Lib MACD (the histogram), after Appel (2005); the fast average is seeded where the slow one is.  Known at the
    close of row t; slow + signal − 2 rows of warm-up.
    """
    check_length(fast, "macd: fast")
    check_length(slow, "macd: slow", int(fast) + 1)
    check_length(signal, "macd: signal", 1)
    series = np.ascontiguousarray(close, dtype=np.float64)

    def compute() -> F8:
        start = first_number(series, "macd")
        out = np.full(len(series), np.nan)
        if start < len(out):
            out[start:] = talib.MACD(series[start:], int(fast), int(slow), int(signal))[2]
        return out

    return recall(f"macd {int(fast)} {int(slow)}", int(signal), [series], compute)


def bollinger(close: npt.ArrayLike, n: int) -> F8:
    """Distance of the close from the mean of the last `n` rows, in their deviations (of a population, ddof 0).

    Bollinger (2001): ±2 are the usual bands.  Known at the close of row t; n − 1 rows of warm-up; NaN where all `n` are
    equal, as there are no bands then.
    """
    check_length(n, "bollinger: n")
    series = np.asarray(close, dtype=np.float64)
    first_number(series, "bollinger")
    return rolling_zscore(series, n) * float(np.sqrt(n / (n - 1)))


def _apply(function: Callable[..., Any], name: str, n: int, *columns: npt.ArrayLike, least: int = 2) -> F8:
    check_length(n, f"{name}: n", least)
    series = [np.ascontiguousarray(column, dtype=np.float64) for column in columns]
    if len({len(one) for one in series}) > 1:
        raise PolicyError(f"{name}: columns differ in length: {', '.join(str(len(one)) for one in series)} rows")

    def compute() -> F8:
        start = max(first_number(one, name) for one in series)
        out = np.full(len(series[0]), np.nan)
        if start < len(out):
            out[start:] = function(*(one[start:] for one in series), timeperiod=int(n))
        return out

    return recall(name, int(n), series, compute)
