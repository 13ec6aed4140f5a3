"""Trailing volatility and volume over the impact horizon: what an order is measured against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.features.rolling import F8, rolling_moments

LEAST_ROWS = 30


def trailing_sigma_volume(
    close: npt.ArrayLike, volume: npt.ArrayLike, period_ns: int, horizon_ns: int
) -> tuple[F8, F8]:
    """Volatility of returns and volume over one impact horizon, (T,) each, known at the close of row t.

    The window is max(horizon, 30 bars), in whole rows (rounded up), ending with row t.  σ is the ddof-1 deviation of
    the simple bar returns in it times √(bars per horizon); V the mean volume per bar in it times bars per horizon.  For
    bars longer than the horizon that is a fraction.  While the series is shorter than the window, all of it is used;
    with fewer than 2 returns (the first 2 rows) both are NaN.
    """
    if period_ns <= 0 or horizon_ns <= 0:
        raise ConfigError(f"bar period and impact horizon must be > 0 ns, were {period_ns} and {horizon_ns}")
    close, volume = np.asarray(close, dtype=np.float64), np.asarray(volume, dtype=np.float64)
    returns = np.full(len(close), np.nan)
    returns[1:] = close[1:] / close[:-1] - 1.0
    bars_per_horizon = horizon_ns / period_ns
    rows = max(-(-horizon_ns // period_ns), LEAST_ROWS)
    _, deviation = rolling_moments(returns, rows)
    mean, _ = rolling_moments(volume, rows)
    mean[:2] = np.nan
    return deviation * np.sqrt(bars_per_horizon), mean * bars_per_horizon
