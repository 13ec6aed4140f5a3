"""How much of a Sharpe ratio is luck: length of the record, shape of the returns, number of tries.

Sharpe ratios are per observation, not annualised (`min_backtest_length` alone is annual), and kurtosis is raw: a normal
has 3.  Annualised, a Sharpe ratio looks certain: 0.9999999 where 0.9004 is right.
"""

from __future__ import annotations

from math import e, inf, isfinite, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from wfbt.errors import ConfigError
from wfbt.validation.cscv import cscv

F8 = npt.NDArray[np.float64]

EULER_GAMMA = 0.5772156649015329

ROUNDING = 1e-9
"""Two-valued returns have kurtosis 1 + skew² exactly, and their computed moments may fall this far short of it."""


def probabilistic_sharpe(sharpe: float, benchmark: float, n: int, skew: float, kurtosis: float) -> float:
    """Probability that the true Sharpe ratio exceeds `benchmark`, after `n` observations of `sharpe`.

    Φ((SR − SR*)·√(n−1) / √(1 − γ₃·SR + (γ₄−1)/4·SR²)), for independent returns.  Bailey and López de Prado (2012),
    eq. 11.
    """
    _finite(sharpe=sharpe, benchmark=benchmark)
    if not n >= 2:
        raise ConfigError(f"n must be at least 2 observations, was {n}")
    _finite(n=n)
    spread = _spread(sharpe, skew, kurtosis)
    return float(ndtr((sharpe - benchmark) * sqrt((n - 1) / spread)))


def min_track_record_length(sharpe: float, benchmark: float, skew: float, kurtosis: float, confidence: float) -> float:
    """Observations until `probabilistic_sharpe` reaches `confidence`; inf where `sharpe` is not above `benchmark`.

    1 + (1 − γ₃·SR + (γ₄−1)/4·SR²)·(z/(SR − SR*))².  The square would give a length to a loser too.  Bailey and López de
    Prado (2012), eq. 13.
    """
    _finite(sharpe=sharpe, benchmark=benchmark)
    if not 0.5 < confidence < 1:
        raise ConfigError(f"confidence must lie between 0.5 and 1, both excluded, was {confidence}; 0.95 is usual")
    spread = _spread(sharpe, skew, kurtosis)
    if sharpe <= benchmark:
        return inf
    return 1.0 + spread * (float(ndtri(confidence)) / (sharpe - benchmark)) ** 2


def expected_max_sharpe(trials: int, variance: float = 1.0) -> float:
    """Largest Sharpe ratio to expect of `trials` independent worthless strategies whose ratios have `variance`.

    √V·((1−γ)·Φ⁻¹(1 − 1/N) + γ·Φ⁻¹(1 − 1/(N·e))): an approximation from extreme values, 8% low at N = 2 and 0.2% high at
    10,000; exactly 0 at N = 1, where it has no value.  Bailey and López de Prado (2014), eq. 1.
    """
    _whole(trials)
    _finite(variance=variance)
    if variance < 0:
        raise ConfigError(f"variance of the trials' Sharpe ratios must be >= 0, was {variance}")
    if trials == 1:
        return 0.0
    # Φ⁻¹(1 − x) = −Φ⁻¹(x), which keeps its digits where x is small.
    scale = -(1.0 - EULER_GAMMA) * float(ndtri(1.0 / trials)) - EULER_GAMMA * float(ndtri(1.0 / (trials * e)))
    return sqrt(variance) * scale


def deflated_sharpe(sharpe: float, n: int, skew: float, kurtosis: float, trials: int, variance: float) -> float:
    """Probabilistic Sharpe ratio against the best of `trials` worthless strategies.

    `variance` is that of the trials' Sharpe ratios, per observation as they are; of worthless ones 1/(n−1).  One trial
    is the probabilistic Sharpe ratio against 0.  Bailey and López de Prado (2014), eq. 2.
    """
    return probabilistic_sharpe(sharpe, expected_max_sharpe(trials, variance), n, skew, kurtosis)


def min_backtest_length(trials: int, sharpe: float) -> float:
    """Years below which the best of `trials` worthless strategies is expected to show an annual `sharpe` in sample.

    (E[max of N] / SR)², at most 2·ln N / SR².  Bailey, Borwein, López de Prado and Zhu (2014), theorem 2.
    """
    _whole(trials)
    _finite(sharpe=sharpe)
    if sharpe <= 0:
        raise ConfigError(f"sharpe must be > 0, was {sharpe}; it is the annual Sharpe ratio that luck should not reach")
    return (expected_max_sharpe(trials) / sharpe) ** 2


def pbo(returns: F8, splits: int) -> float:
    """Probability that the best of (T, N) `returns` in sample is no better than the median out of sample.

    `splits` even blocks; `cscv` says how, and gives what else there is to know.  On noise the mean is about 0.5 and the
    deviation from run to run 0.2: never a criterion by itself.
    """
    return cscv(returns, splits).pbo


def _spread(sharpe: float, skew: float, kurtosis: float) -> float:
    """n times the asymptotic variance of a Sharpe ratio; not negative, since kurtosis is at least 1 + skew²."""
    _finite(skew=skew, kurtosis=kurtosis)
    least = 1.0 + skew * skew
    if kurtosis < least * (1.0 - ROUNDING):
        raise ConfigError(
            f"kurtosis must be at least 1 + skew² = {least:.6g}, was {kurtosis:.6g}: no distribution has less; was it "
            f"excess kurtosis? Give the raw one, {kurtosis + 3:.6g} (a normal has 3)"
        )
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    if spread <= ROUNDING:
        raise ConfigError(
            f"a Sharpe ratio of {sharpe:.6g} with skew {skew:.6g} and kurtosis {kurtosis:.6g} has no standard error: "
            "these are moments of a series of two values; give more, and more varied, returns"
        )
    return spread


def _finite(**values: float) -> None:
    for name, value in values.items():
        if not isfinite(value):
            raise ConfigError(f"{name} must be a finite number, was {value}; leave out days without a return")


def _whole(trials: int) -> None:
    if not (isfinite(trials) and trials >= 1 and trials == int(trials)):
        raise ConfigError(f"trials must be a whole number of at least 1, was {trials}; count every look, also this one")
