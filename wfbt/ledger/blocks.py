"""How long the blocks of a resampled history have to be, so that its days stay in their weather."""

from __future__ import annotations

from math import ceil, log10, sqrt

import numpy as np
import numpy.typing as npt

F8 = npt.NDArray[np.float64]

ROUNDING = 1e-12
"""A long-run variance below this share of the variance is rounding."""


def block_length(returns: F8) -> int:
    """Median of `optimal_blocks` over the columns of (T, N), at least 1: whole rows are drawn, one length for all."""
    return max(1, round(float(np.median(optimal_blocks(returns)))))


def optimal_blocks(returns: F8) -> F8:
    """(N,) best mean length of a block of the stationary bootstrap, for the mean of each column of (T, N).

    (|g|/σ²)^⅔·T^⅓ with g = Σ λ·|k|·γₖ and σ² = Σ λ·γₖ over lags −M to M, λ flat to M/2 and falling to 0 at M; M is
    twice the lag from which a run of correlations is insignificant.  Politis and White (2004), corrected by Patton,
    Politis and White (2009).  The lag is found as arch finds it, so the lengths are the same; arch takes seconds to
    import.
    """
    length = len(returns)
    gap = returns - returns.mean(axis=0)
    run = max(5, int(log10(length)))
    most = ceil(sqrt(length)) + run
    products = np.array([(gap[k:] * gap[: length - k]).sum(axis=0) for k in range(most + 1)])
    squares = np.cumsum(gap * gap, axis=0)
    lags = np.arange(most + 1)
    norm = np.sqrt((squares[-1] - squares[lags]) * squares[length - 2 - lags])
    small = np.abs(products) < 2.0 * sqrt(log10(length) / length) * norm
    quiet = np.array([small[k : k + run].all(axis=0) for k in range(most - run + 1)])
    first = np.where(quiet.any(axis=0), np.argmax(quiet, axis=0), most)
    reach = np.minimum(2 * np.maximum(first, 1), most)
    weights = np.clip(2.0 * (1.0 - lags[:, None] / reach), 0.0, 1.0)
    weights[0] = 0.5  # lag 0 has no negative twin
    variance = 2.0 * (weights * products).sum(axis=0) / length
    slope = 2.0 * (weights * lags[:, None] * products).sum(axis=0) / length
    best = (np.abs(slope) / np.maximum(np.abs(variance), ROUNDING * products[0] / length)) ** (2.0 / 3.0)
    longest = ceil(min(3.0 * sqrt(length), length / 3.0))
    return np.asarray(np.minimum(best * length ** (1.0 / 3.0), longest))
