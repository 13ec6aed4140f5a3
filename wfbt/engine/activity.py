"""What participation caps, following trails and exposure limits look up on each row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY, HOUR
from wfbt.kernels.abi import Activity

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

NOTHING = Activity(
    traded=np.full((1, 1), np.nan),
    hourly=np.full((1, 1), np.nan),
    follow=np.full((1, 1), np.nan),
    depth=np.full((1, 1), np.nan),
    volatility=np.full((1, 1), np.nan),
    ended=np.zeros(1, np.int64),
    days=np.full((1, 1), np.nan),
    correlations=np.full((1, 1, 1), np.nan),
)
for _array in NOTHING:
    _array.setflags(write=False)


def hourly_volume(traded: F8, open_ts: I8) -> F8:
    """(T, A) volume of each row's clock hour from its first row through this one; an unknown row counts 0.

    A row that spans whole hours is an hour of its own.
    """
    hour = open_ts // HOUR
    total = np.cumsum(np.nan_to_num(traded, nan=0.0), axis=0)
    first = np.searchsorted(hour, hour, side="left")
    before = np.where((first > 0)[:, None], total[np.maximum(first - 1, 0)], 0.0)
    return np.where(np.isnan(traded), np.nan, total - before)


def days_ended(rows: int, day_rows: I8) -> I8:
    """(T,) UTC days ended by each row's close."""
    out = np.zeros(rows, np.int64)
    out[day_rows] = 1
    return np.cumsum(out)


def annual_volatility(sigma: F8, horizon: int, days_a_year: float) -> F8:
    """(T, A) volatility a year from one over the impact horizon."""
    return np.asarray(sigma * np.sqrt(days_a_year * DAY / horizon))
