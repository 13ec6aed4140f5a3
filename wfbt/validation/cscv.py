"""Combinatorially symmetric cross-validation: does the best in one half of the history stay good in the other?

The rows are cut into S blocks.  Each choice of half of them is once in sample, the rest out of sample: the candidate
with the best Sharpe ratio in sample is looked up among all out of sample.  Bailey, Borwein, López de Prado and Zhu
(2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.kernels.cscv import split_halves

F8 = npt.NDArray[np.float64]

MOST_SPLITS = 20
"""184,756 choices; two blocks more are four times the work and tell nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cscv:
    """What the winner of each of C = C(S, S/2) choices did on the rows left out.  Sharpe ratios are per observation.

    Attributes
    ----------
    candidates, splits : int
    logits : (C,) float64
        ln(ω/(1−ω)) of the winner's relative rank out of sample, ω = rank/(N + 1); 0 is the median.
    in_sample, out_of_sample : (C,) float64
        The winner's Sharpe ratio.
    average : (C,) float64
        Mean Sharpe ratio of all candidates out of sample: what a blind choice gets.
    """

    candidates: int
    splits: int
    logits: F8
    in_sample: F8
    out_of_sample: F8
    average: F8

    @property
    def pbo(self) -> float:
        """Share of choices whose winner is no better than the median out of sample."""
        return float(np.mean(self.logits <= 0.0))

    @property
    def slope(self) -> float:
        """Slope of the winner's Sharpe ratio out of sample on that in sample; NaN where the latter does not vary.

        Negative: the better it looked, the worse it was.  It is so for worthless candidates too, and without any
        overfitting: the two halves share one history, so what one has the other lacks.
        """
        gap = self.in_sample - self.in_sample.mean()
        spread = float((gap * gap).sum())
        if spread <= 1e-24 * float((self.in_sample * self.in_sample).sum()):
            return float("nan")
        return float((gap * self.out_of_sample).sum()) / spread

    @property
    def loss(self) -> float:
        """Share of choices whose winner has a negative Sharpe ratio out of sample."""
        return float(np.mean(self.out_of_sample < 0.0))

    @property
    def dominates(self) -> tuple[bool, bool]:
        """Whether choosing the winner beats a blind choice out of sample in the first and in the second order."""
        own, blind = np.sort(self.out_of_sample), np.sort(self.average)
        grid = np.union1d(own, blind)
        below = np.searchsorted(own, grid, side="right") / len(own)
        blindly = np.searchsorted(blind, grid, side="right") / len(blind)
        gap = blindly - below
        area = np.cumsum(gap[:-1] * np.diff(grid))
        rounding = 1e-12 * float(grid[-1] - grid[0])
        second = bool((area >= -rounding).all() and (area > rounding).any())
        return bool((gap >= 0).all() and (gap > 0).any()), second


def cscv(returns: F8, splits: int) -> Cscv:
    """Walk all choices of `splits`/2 of `splits` blocks of (T, N) `returns`, N candidates over the same T observations.

    Blocks are consecutive and all rows are used: where T is no multiple of S the first blocks have one row more.  A
    candidate that does not vary on a half has Sharpe ratio 0 there, as cash has.  Candidates that are equal out of
    sample share the mean of their ranks; where several are best in sample their ranks out of sample are averaged.  So
    the order of the candidates does not matter, and identical candidates give logit 0, which counts as overfitting: the
    best of equals is no better than the median.
    """
    returns = np.ascontiguousarray(returns, np.float64)
    if returns.ndim != 2:
        raise ConfigError(f"pbo needs returns of shape (observations, candidates), was given {returns.shape}")
    length, count = returns.shape
    if count < 2:
        raise ConfigError(f"pbo compares candidates and was given {count}; give the returns of every one tried")
    if splits != int(splits) or splits % 2 or not 2 <= splits <= MOST_SPLITS:
        raise ConfigError(f"splits must be an even number from 2 to {MOST_SPLITS}, was {splits}; 16 is usual")
    if length < 2 * splits:
        raise ConfigError(
            f"{length} observations are too few for {splits} splits, which need two rows each: give at least "
            f"{2 * splits}, or fewer splits (rows are observations, columns candidates)"
        )
    if not np.isfinite(returns).all():
        row, column = np.argwhere(~np.isfinite(returns))[0]
        raise ConfigError(
            f"returns[{row}, {column}] is {returns[row, column]}; every candidate needs a return on every observation, "
            "0 where it held nothing"
        )
    splits = int(splits)
    edges = np.array([len(part) for part in np.array_split(np.arange(length), splits)])
    starts = np.concatenate([[0], np.cumsum(edges)[:-1]])
    choices = comb(splits, splits // 2)
    out = np.empty((4, choices))
    split_halves(
        np.add.reduceat(returns, starts, axis=0),
        np.add.reduceat(returns * returns, starts, axis=0),
        edges.astype(np.float64),
        np.empty(splits // 2, np.int64),
        np.empty((2, 2, count)),
        np.empty((2, count)),
        *out,
    )
    rank, best, then, average = out
    return Cscv(
        candidates=count,
        splits=splits,
        logits=np.log(rank / (count + 1.0 - rank)),
        in_sample=best,
        out_of_sample=then,
        average=average,
    )
