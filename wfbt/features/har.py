"""Heterogeneous autoregression of realised variance: the next horizon from the last day, week and month.

Corsi (2009), equation 9, as a direct regression on the horizon that is asked for:

    mean of r² over the next h rows = c + b_day·RV_day + b_week·RV_week + b_month·RV_month + error

where each RV is the mean of r² over the rows of the last day, week and month, all ending with row t.  Least squares, so
no distribution is assumed.  Everything is in units of squared returns per row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.features.garch import FEWEST_RETURNS, NoFit, check_returns
from wfbt.features.rolling import rolling_moments

F8 = npt.NDArray[np.float64]

TERMS = ("day", "week", "month")
FLOOR = 1e-4
"""Of the mean variance: the least that is forecast should a training horizon have stood still."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Har:
    """A fitted HAR.

    Attributes
    ----------
    params : mapping
        const day week month.
    bars : int
        How many rows ahead it looks.
    windows : (day, week, month) in rows
    least : float
        The smallest variance per row of any training horizon.  A regression can go below it, and below zero.
    loglikelihood : None
        There is none.
    notes : tuple of str
        What has to be known of the fit.
    """

    params: Mapping[str, float]
    bars: int
    windows: tuple[int, int, int]
    least: float
    loglikelihood: None = None
    notes: tuple[str, ...] = ()

    def ahead(self, returns: F8) -> F8:
        """(T,) variance of the next `bars` rows together, known with row t of `returns` (T,), which begin with NaN.

        NaN until a day of returns is there; a week and a month that are not complete are what is there of them.
        """
        total = np.full(len(returns), self.params["const"])
        for name, column in zip(TERMS, _means(returns, self.windows), strict=True):
            total += self.params[name] * column
        total[: self.windows[0]] = np.nan
        return np.asarray(np.maximum(total, self.least) * self.bars)


def fit_har(runs: Sequence[F8], bars: int, windows: tuple[int, int, int]) -> Har:
    """Fit on `runs`: returns (N,) of rows that follow on each other, from which no window and no horizon reaches out.

    `windows` are the rows of a day, a week and a month.  NoFit says why there is no fit.
    """
    if not windows[0] < windows[1] < windows[2]:
        raise NoFit("har needs several bars a week; those of these bars are longer than a day")
    check_returns(np.concatenate([np.zeros(0), *runs]))
    regressors, targets = [], []
    for run in runs:
        rows = slice(windows[2] - 1, len(run) - bars)
        if rows.start < rows.stop:
            forward = _mean(run[::-1] ** 2, bars)[::-1]
            targets.append(forward[1:][rows])
            regressors.append(np.stack([column[rows] for column in _means(run, windows)], axis=1))
    rows_left = sum(len(one) for one in targets)
    if rows_left < FEWEST_RETURNS:
        raise NoFit(
            f"har has {rows_left} training rows with a month before and a horizon after them, "
            f"fewer than {FEWEST_RETURNS}"
        )
    target, columns = np.concatenate(targets), np.concatenate(regressors)
    size = float(target.mean())
    if not size > 0.0:
        raise NoFit("the price did not move on the training rows")
    design = np.column_stack([np.ones(rows_left), columns / size])
    # Sums without a threaded library: one order of addition, on any number of cores.
    gram = np.einsum("ti,tj->ij", design, design)
    if np.linalg.cond(gram) > 1e12:
        raise NoFit("the variances of the last day, week and month do not differ on the training rows")
    const, *slopes = np.linalg.solve(gram, np.einsum("ti,t->i", design, target))
    return Har(
        params={"const": float(const)} | {name: float(b) / size for name, b in zip(TERMS, slopes, strict=True)},
        bars=bars,
        windows=windows,
        least=max(float(target.min()), FLOOR * size),
    )


def _means(returns: F8, windows: Sequence[int]) -> list[F8]:
    """(T,) means of squared returns over each of `windows` rows, of what is there before the first is full."""
    return [_mean(returns**2, rows) for rows in windows]


def _mean(squares: F8, rows: int) -> F8:
    return squares if rows == 1 else rolling_moments(squares, rows)[0]
