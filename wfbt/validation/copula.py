"""Returns of several assets under other correlations: the same days, the same means and deviations, coupled anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.data.market import Market
from wfbt.errors import DataError

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]

FEWEST = 30
"""Common bars below which a correlation says nothing."""
LEAST = 1e-6
"""Eigenvalue at which a correlation matrix counts as singular."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Move:
    """Factors of one symbol's prices through time: log-linear between (K,) closes, and 1 outside of them."""

    ts: I8
    log: F8

    def at(self, ts: I8) -> F8:
        """(N,) factors at (N,) times, ns."""
        return np.asarray(np.exp(np.interp(ts, self.ts, self.log, left=0.0, right=0.0)))


def nearest_correlation(matrix: F8) -> F8:
    """(A, A) correlation matrix near a symmetric one with a unit diagonal: eigenvalues clipped, the diagonal restored.

    Rousseeuw and Molenberghs (1993), Statistics 47, the eigenvalue method; not the nearest in any norm.
    """
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= LEAST:
        return matrix
    sound = (vectors * np.maximum(values, LEAST)) @ vectors.T
    scale = np.sqrt(np.diag(sound))
    return np.asarray(sound / np.outer(scale, scale))


def coupled(returns: F8, rho: float | None) -> F8:
    """(T, A) `returns` with every correlation `rho`, or, where it is None, with the sign of each turned round.

    Standardised, whitened by the symmetric root of their own correlation and coloured by that of the goal, so that the
    result stays as near to the original as its correlation allows; means and deviations are kept.
    """
    mean, deviation = returns.mean(axis=0), returns.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    z = (returns - mean) / scale
    own = np.asarray(z.T @ z / len(z))
    np.fill_diagonal(own, 1.0)
    goal = np.full_like(own, rho) if rho is not None else -own
    np.fill_diagonal(goal, 1.0)
    goal = nearest_correlation(goal)
    coloured = z @ _power(nearest_correlation(own), -0.5) @ _power(goal, 0.5)
    return np.asarray(mean + scale * coloured)


def _power(matrix: F8, exponent: float) -> F8:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, LEAST) ** exponent) @ vectors.T)


def recoupled(market: Market, start: int, stop: int, rho: float | None) -> dict[str, Move]:
    """How prices of each symbol move from `start` to `stop` (ns, closes) when their returns are `coupled` anew.

    Returns are between closes that all symbols share.  Their means stay, so every price is its own again at the end.
    DataError where there are fewer than FEWEST of them.
    """
    closes = [one.bars.close_ts for one in market.instruments]
    common = closes[0]
    for own in closes[1:]:
        common = np.intersect1d(common, own, assume_unique=True)
    common = common[(common >= start) & (common <= stop)]
    if len(common) <= FEWEST:
        raise DataError(
            f"the symbols share {len(common)} bars there, and of fewer than {FEWEST + 1} there is no correlation"
        )
    prices = np.stack(
        [one.bars.close[np.searchsorted(one.bars.close_ts, common)] for one in market.instruments], axis=1
    )
    returns = np.diff(np.log(prices), axis=0)
    gained = np.cumsum(coupled(returns, rho) - returns, axis=0)
    gained[-1] = 0.0  # but for rounding it is
    return {one.symbol: Move(ts=common, log=np.append(0.0, gained[:, a])) for a, one in enumerate(market.instruments)}
