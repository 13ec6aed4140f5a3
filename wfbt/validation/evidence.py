"""Standard errors of a Sharpe ratio and of alpha that know of autocorrelation.

Returns that lean on each other are fewer observations than they look.  Where they swing back instead, the correction
would make the evidence stronger; it never does here: no variance counts for less than that of independent returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from wfbt.errors import ConfigError
from wfbt.ledger.metrics import ROUNDING

F8 = npt.NDArray[np.float64]

FEWEST = 30
"""Observations below which an autocorrelation says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What a Sharpe ratio and its luck depend on, per observation.

    Attributes
    ----------
    n : int
    sharpe : float
        Mean over ddof-1 deviation.
    skew, kurtosis : float
        Of the sample (ddof 0); a normal has kurtosis 3.
    """

    n: int
    sharpe: float
    skew: float
    kurtosis: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """An estimate per observation against 0.

    Attributes
    ----------
    estimate : float
    error : float
        Its standard error.
    z : float
        Standard normal where the true value is 0.
    factor : float
        Long-run variance over that of independent observations, at least 1.
    lag : int
        Autocorrelations that were counted.
    """

    estimate: float
    error: float
    z: float
    factor: float
    lag: int

    def upper(self, confidence: float = 0.95) -> float:
        """One-sided upper bound."""
        return self.estimate + float(ndtri(confidence)) * self.error


def moments(returns: F8) -> Moments:
    """Moments of (n,) returns; ConfigError where they do not vary."""
    returns = _series(returns)
    gap = returns - returns.mean()
    square = float(np.mean(gap**2))
    return Moments(
        n=len(returns),
        sharpe=float(returns.mean() / np.std(returns, ddof=1)),
        skew=float(np.mean(gap**3) / square**1.5),
        kurtosis=float(np.mean(gap**4) / square**2),
    )


def automatic_lag(series: F8) -> int:
    """Bartlett lags for the long-run variance of a (n,) series: Newey and West (1994), without prewhitening.

    L = ⌊1.1447·((s₁/s₀)²·n)^⅓⌋, where s₀ = γ₀ + 2·Σγⱼ and s₁ = 2·Σj·γⱼ over the first ⌊4·(n/100)^(2/9)⌋ lags.
    """
    n = len(series)
    pilot = min(int(4.0 * (n / 100.0) ** (2.0 / 9.0)), n - 1)
    gamma = _autocovariances(series, pilot)
    lags = np.arange(1, pilot + 1)
    level = gamma[0] + 2.0 * float((gamma[1:]).sum())
    slope = 2.0 * float((lags * gamma[1:]).sum())
    if level <= 0:  # swings back within the pilot lags: nothing to add
        return 0
    return min(int(1.1447 * ((slope / level) ** 2 * n) ** (1.0 / 3.0)), n - 1)


def variance_factor(series: F8) -> tuple[float, int]:
    """Long-run variance of a (n,) series over its variance, at least 1, and the lags it took.

    Bartlett weights 1 − j/(L + 1), Newey and West (1987), L by `automatic_lag`.
    """
    lag = automatic_lag(series)
    gamma = _autocovariances(series, lag)
    weights = 1.0 - np.arange(1, lag + 1) / (lag + 1.0)
    return max(1.0, 1.0 + 2.0 * float((weights * gamma[1:]).sum() / gamma[0])), lag


def sharpe_test(returns: F8) -> Tested:
    """The Sharpe ratio per observation of (n,) returns against 0.

    z = SR·√n / √factor, which is the HAC t-statistic of the mean.  The error, for bounds, also knows the shape of the
    returns: √(factor·(1 − γ₃·SR + (γ₄−1)/4·SR²)/n); Lo (2002) eq. 9 where they are normal and independent.
    """
    told = moments(returns)
    factor, lag = variance_factor(_series(returns))
    shape = 1.0 - told.skew * told.sharpe + (told.kurtosis - 1.0) / 4.0 * told.sharpe**2
    return Tested(
        estimate=told.sharpe,
        error=sqrt(factor * shape / told.n),
        z=told.sharpe * sqrt(told.n / factor),
        factor=factor,
        lag=lag,
    )


def alpha_test(returns: F8, held: F8) -> tuple[Tested, float]:
    """Alpha per observation of (n,) returns after regression on `held`, and beta.

    The error is that of the regression's own terms, eₜ·(1 − h̄·(hₜ − h̄)/s²): robust to heteroscedasticity, and by
    `variance_factor` to autocorrelation.
    """
    returns, held = _series(returns), _series(held, "those of the benchmark")
    if len(returns) != len(held):
        raise ConfigError(f"returns ({len(returns)}) and benchmark ({len(held)}) must be of the same observations")
    n = len(returns)
    gap = held - held.mean()
    spread = float(np.mean(gap**2))
    beta = float(np.mean(gap * returns)) / spread
    alpha = float(returns.mean()) - beta * float(held.mean())
    left = returns - alpha - beta * held
    if float(np.std(left)) <= ROUNDING:
        raise ConfigError("returns are a multiple of the benchmark's: nothing is left that could be alpha")
    terms = left * (1.0 - held.mean() * gap / spread)
    factor, lag = variance_factor(terms)
    error = sqrt(factor * float(np.var(terms)) / (n - 2))
    return Tested(estimate=alpha, error=error, z=alpha / error, factor=factor, lag=lag), beta


def scale_factor(autocorrelations: F8, q: int) -> float:
    """η(q): what a Sharpe ratio per observation is multiplied by for q of them; √q where nothing is correlated.

    q / √(q + 2·Σₖ (q−k)·ρₖ) over the given ρ₁, ρ₂ …; those not given are 0.  Lo (2002), on time
    aggregation.
    """
    if q != int(q) or q < 1:
        raise ConfigError(f"q must be a whole number of observations, was {q}")
    rho = np.asarray(autocorrelations, np.float64)[: int(q) - 1]
    total = q + 2.0 * float(((q - np.arange(1, len(rho) + 1)) * rho).sum())
    if not total > 0:
        raise ConfigError("these autocorrelations leave a sum of returns no variance; give fewer of them")
    return float(q) / sqrt(total)


def autocorrelated_sharpe(returns: F8, q: int) -> tuple[float, int]:
    """Sharpe ratio of q observations together, and how many autocorrelations it counts.

    Lo counts all q − 1, which is sound for 12 months.  Of 365 days nearly all are noise, so it is the first
    `automatic_lag` of them here, and never fewer than one.
    """
    returns = _series(returns)
    lag = max(1, automatic_lag(returns))
    gamma = _autocovariances(returns, lag)
    return moments(returns).sharpe * scale_factor(gamma[1:] / gamma[0], q), lag


def _autocovariances(series: F8, most: int) -> F8:
    """(most + 1,) of lags 0 to `most`, each over n."""
    gap = series - series.mean()
    # Summed by NumPy: a BLAS may add in another order on another number of threads.
    return np.array([float((gap[lag:] * gap[: len(gap) - lag]).sum()) for lag in range(most + 1)]) / len(series)


def _series(returns: F8, whose: str = "returns") -> F8:
    series = np.asarray(returns, np.float64)
    if series.ndim != 1 or len(series) < FEWEST:
        raise ConfigError(f"{whose}: at least {FEWEST} observations are needed, was given shape {series.shape}")
    if not np.isfinite(series).all():
        raise ConfigError(f"{whose}: number {int(np.argmin(np.isfinite(series)))} is missing; give finite ones only")
    if float(np.std(series)) <= ROUNDING:
        raise ConfigError(f"{whose} do not vary, so there is nothing to divide by")
    return series
