"""The same days in another order: what else the daily returns of the account could have added up to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.ledger import metrics
from wfbt.ledger.blocks import block_length
from wfbt.validation.robustness.replays import stream

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

TAG = 0x424F4F54


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resamples:
    """(B,) float64 each: Sharpe ratio and growth per year, largest drawdown of daily closes; NaN where undefined."""

    sharpe: F8
    annual_return: F8
    max_drawdown: F8
    block: int


def resamples(returns: F8, count: int, seed: int, periods_per_year: float) -> Resamples:
    """Resample (D,) daily `returns` of the account by the stationary bootstrap, blocks of the best mean length.

    Whole days of the whole account are drawn, so its symbols stay as alike as they were.  Politis and Romano (1994);
    the length is that of Politis and White (2004), as corrected by Patton, Politis and White (2009).
    """
    block = block_length(returns[:, None]) if np.ptp(returns) > 0 else 1
    found = np.empty((3, count))
    for number in range(count):
        drawn = returns[stationary_rows(len(returns), block, stream(seed, TAG, number))]
        total = metrics.total_return(drawn)
        found[0, number] = metrics.sharpe(drawn, periods_per_year)
        found[1, number] = metrics.annual_return(total, len(drawn), periods_per_year)
        found[2, number] = metrics.max_drawdown(np.asarray(np.cumprod(1.0 + drawn), np.float64), 1.0)
    return Resamples(sharpe=found[0], annual_return=found[1], max_drawdown=found[2], block=block)


def stationary_rows(length: int, block: int, rng: np.random.Generator) -> I8:
    """(T,) rows of one resample: blocks of geometric length with mean `block`, the first row following the last."""
    start = rng.integers(length, size=length, dtype=np.int64)
    fresh = rng.random(length) <= 1.0 / block
    fresh[0] = True
    rows = np.arange(length)
    began = np.maximum.accumulate(np.where(fresh, rows, 0))
    return np.asarray((start[began] + rows - began) % length)
