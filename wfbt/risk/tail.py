"""Value at risk and expected shortfall of one period.

Losses are positive fractions of equity.  At level a, VaR is the loss that is not exceeded with probability a, ES the
mean loss in the worst 1 − a.  Too few returns give None and a reason.

Sources: McNeil, Frey & Embrechts 2015; Acerbi & Tasche 2002; Maillard 2012 (Cornish–Fisher); Barone-Adesi,
Giannopoulos & Vosper 1999 (filtered historical simulation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, isfinite, log, sqrt

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError

F8 = npt.NDArray[np.float64]

FEWEST_DAYS = 30
FEWEST_FOR_MOMENTS = 100
FEWEST_FOR_TAIL = 200
TAIL_SHARE, FEWEST_EXCESSES = 0.1, 30
"""The threshold of the Pareto tail leaves the worst tenth beyond it, and no fewer than 30."""

FARTHEST = 5.0
"""Deviations within which a Cornish–Fisher quantile has to rise."""

NO_MEAN = 1.0
"""From this shape on a Pareto tail has no mean."""

LIGHTEST = -0.5
"""Below this shape the likelihood of a Pareto tail has no regular maximum (Smith 1985)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailRisk:
    """VaR and ES by one method.

    Attributes
    ----------
    method : str
        normal, student, historical, cornish_fisher, pareto or filtered.
    level : float
        a, such as 0.95.
    n : int or None
        Returns used; None for a parametric law.
    var, es : float or None
        Positive fractions of equity lost.
    parameters : mapping
        What the method estimated or was given.
    reason : str
        Why a number is None.
    """

    method: str
    level: float
    n: int | None
    var: float | None
    es: float | None
    parameters: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


def normal_tail(level: float, mu: float = 0.0, sigma: float = 1.0) -> TailRisk:
    """Of a return that is normal: VaR = −μ + σ·z, ES = −μ + σ·φ(z)/(1 − a)."""
    _check(level)
    _positive("sigma", sigma)
    from scipy.special import ndtri

    z = float(ndtri(level))
    density = exp(-z * z / 2.0) / sqrt(2.0 * np.pi)
    return TailRisk(
        method="normal",
        level=level,
        n=None,
        var=-mu + sigma * z,
        es=-mu + sigma * density / (1.0 - level),
        parameters={"mu": mu, "sigma": sigma},
    )


def student_tail(level: float, nu: float, mu: float = 0.0, sigma: float | None = None) -> TailRisk:
    """Of a return that is Student's t with `nu` degrees of freedom.

    `sigma` is its deviation (nu > 2); without it the t is the standard one, whose variance is nu/(nu − 2).
    ES = −μ + scale·g(t)/(1 − a)·(nu + t²)/(nu − 1), which needs nu > 1.
    """
    _check(level)
    if not nu > 0.0:
        raise ConfigError(f"nu must be > 0, was {nu}")
    if sigma is not None:
        _positive("sigma", sigma)
        if not nu > 2.0:
            raise ConfigError(f"a t with a deviation needs nu > 2, was {nu}")
    from scipy.special import gammaln, stdtrit

    scale = 1.0 if sigma is None else sigma * sqrt((nu - 2.0) / nu)
    t = float(stdtrit(nu, level))
    logs = float(gammaln((nu + 1.0) / 2.0) - gammaln(nu / 2.0)) - 0.5 * log(nu * np.pi)
    density = exp(logs - (nu + 1.0) / 2.0 * np.log1p(t * t / nu))
    mean = nu > 1.0
    return TailRisk(
        method="student",
        level=level,
        n=None,
        var=-mu + scale * t,
        es=-mu + scale * density / (1.0 - level) * (nu + t * t) / (nu - 1.0) if mean else None,
        parameters={"mu": mu, "scale": scale, "nu": nu},
        reason="" if mean else f"a t with nu = {nu:g} has no mean",
    )


def fewest_returns(level: float) -> int:
    """Returns below which a level is not shown: 30, and enough to expect one beyond it."""
    return max(FEWEST_DAYS, int(np.ceil(round(1.0 / (1.0 - level), 9))))


def historical_tail(returns: npt.ArrayLike, level: float) -> TailRisk:
    """Of the returns themselves: the loss of rank ⌊n(1 − a)⌋ + 1, and the mean of the worst n(1 − a).

    Where n(1 − a) is no whole number, the last loss counts by its fraction (Acerbi & Tasche 2002).
    """
    losses = _losses(returns, level)
    return _empirical("historical", losses, level, 1.0, {})


def filtered_tail(returns: npt.ArrayLike, sigma: npt.ArrayLike, next_sigma: float, level: float) -> TailRisk:
    """Of the returns in units of their forecast volatility, brought to tomorrow's.

    Parameters
    ----------
    returns, sigma : (T,)
        sigma[t] > 0 is the forecast for returns[t] that was known before it (EWMA or GARCH).
    next_sigma : float
        The forecast for the coming period.
    level : float
    """
    losses, sigma = _losses(returns, level), np.asarray(sigma, np.float64)
    _matches(losses, sigma)
    _positive("next_sigma", next_sigma)
    return _empirical("filtered", losses / sigma, level, next_sigma, {"next_sigma": next_sigma})


def cornish_fisher_tail(returns: npt.ArrayLike, level: float) -> TailRisk:
    """Of the normal quantile bent by skewness and kurtosis; None outside the domain in which that is a quantile.

    The bent quantile is z + (z² − 1)·S/6 + (z³ − 3z)·K/24 − (2z³ − 5z)·S²/36, K the excess kurtosis.  Its domain
    is where it rises, where its derivative, a parabola, has no root (Maillard 2012): here within 5 deviations, as a
    sample of a normal would fail at some far z half the time.  ES is its mean over the tail in closed form.
    """
    losses = _losses(returns, level)
    n = len(losses)
    fewest = max(FEWEST_FOR_MOMENTS, fewest_returns(level))
    if n < fewest:
        return _too_few("cornish_fisher", level, n, fewest)
    mean = float(losses.mean())
    centred = losses - mean
    sigma = float(centred.std(ddof=1))
    second = float(np.mean(centred**2))
    if not second > 0.0:
        return _null("cornish_fisher", level, n, "the returns do not vary")
    skew = float(np.mean(centred**3)) / second**1.5
    kurtosis = float(np.mean(centred**4)) / second**2 - 3.0
    parameters = {"mean_loss": mean, "sigma": sigma, "skew": skew, "excess_kurtosis": kurtosis}
    # In losses the upper tail counts, so the skewness is that of losses.
    if not _rises(kurtosis / 8.0 - skew**2 / 6.0, skew / 3.0, 1.0 - kurtosis / 8.0 + 5.0 * skew**2 / 36.0):
        why = (
            f"skewness {skew:.3g} and excess kurtosis {kurtosis:.3g} of the losses are outside the domain of the "
            "Cornish–Fisher expansion; use the historical or the Pareto tail"
        )
        return _null("cornish_fisher", level, n, why, parameters)
    from scipy.special import ndtri

    z = float(ndtri(level))
    # E[Z], E[Z²], E[Z³] given Z > z.
    first = exp(-z * z / 2.0) / sqrt(2.0 * np.pi) / (1.0 - level)
    means = (first, 1.0 + z * first, (z * z + 2.0) * first)

    def bent(one: float, two: float, three: float) -> float:
        return float(
            one
            + (two - 1.0) * skew / 6.0
            + (three - 3.0 * one) * kurtosis / 24.0
            - (2.0 * three - 5.0 * one) * skew**2 / 36.0
        )

    return TailRisk(
        method="cornish_fisher",
        level=level,
        n=n,
        var=mean + sigma * bent(z, z * z, z**3),
        es=mean + sigma * bent(*means),
        parameters=parameters,
    )


def pareto_tail(returns: npt.ArrayLike, level: float) -> TailRisk:
    """Of a generalised Pareto law fitted to the losses beyond a threshold.

    The threshold leaves the worst tenth beyond it, at least 30 losses.  With shape ξ, scale β, threshold u and k of n
    losses beyond it, VaR = u + β/ξ·((n(1 − a)/k)^−ξ − 1) and ES = (VaR + β − ξ·u)/(1 − ξ) (McNeil, Frey & Embrechts
    2015, section 5.2).  ES is None where ξ ≥ 1: such a tail has no mean.
    """
    losses = _losses(returns, level)
    n = len(losses)
    fewest = max(FEWEST_FOR_TAIL, fewest_returns(level))
    if n < fewest:
        return _too_few("pareto", level, n, fewest)
    beyond = max(FEWEST_EXCESSES, int(np.ceil(round(TAIL_SHARE * n, 9))))
    worst = -np.sort(-losses)
    threshold = float(worst[beyond])
    excess = worst[worst > threshold] - threshold
    k = len(excess)
    if k < FEWEST_EXCESSES or excess[0] == excess[-1]:
        return _null("pareto", level, n, f"{k} losses, or equal ones, lie beyond {threshold:.3g}; a tail needs 30")
    if round(n * (1.0 - level), 9) > k:
        return _null("pareto", level, n, f"level {level:g} lies inside the threshold at {1.0 - k / n:.3f}")
    from scipy.stats import genpareto

    unit = float(excess.mean())
    with np.errstate(all="ignore"):
        shape, _, scale = (float(value) for value in genpareto.fit(excess / unit, floc=0.0))
    scale *= unit
    parameters = {"threshold": threshold, "excesses": float(k), "shape": shape, "scale": scale}
    if not (isfinite(shape) and isfinite(scale) and scale > 0.0 and shape > LIGHTEST):
        return _null("pareto", level, n, f"the fit has no regular maximum (shape {shape:.3g})", parameters)
    ratio = log(n * (1.0 - level) / k)
    rise = -ratio if abs(shape) < 1e-9 else float(np.expm1(-shape * ratio)) / shape
    var = threshold + scale * rise
    mean = shape < NO_MEAN
    return TailRisk(
        method="pareto",
        level=level,
        n=n,
        var=var,
        es=(var + scale - shape * threshold) / (1.0 - shape) if mean else None,
        parameters=parameters,
        reason="" if mean else f"a tail of shape {shape:.3g} has no mean",
    )


def tail_rank(n: int, level: float) -> tuple[int, float]:
    """Whole losses in the worst n(1 − a), and the fraction of the next one; VaR is that next one."""
    worst = round(n * (1.0 - level), 9)
    return int(worst), worst - int(worst)


def _rises(square: float, linear: float, constant: float) -> bool:
    """A parabola is positive within FARTHEST deviations: at both ends and at its vertex."""
    at = [-FARTHEST, FARTHEST]
    if square != 0.0 and abs(linear / (2.0 * square)) < FARTHEST:
        at.append(-linear / (2.0 * square))
    return all(square * z * z + linear * z + constant > 0.0 for z in at)


def _empirical(method: str, losses: F8, level: float, scale: float, parameters: Mapping[str, float]) -> TailRisk:
    n = len(losses)
    if n < fewest_returns(level):
        return _too_few(method, level, n, fewest_returns(level))
    whole, part = tail_rank(n, level)
    worst = -np.sort(-losses)
    var = float(worst[whole])
    # Written from VaR upwards, so that rounding cannot put the mean of the tail below its edge.
    es = var + float(np.sum(worst[:whole] - var)) / (whole + part)
    return TailRisk(method=method, level=level, n=n, var=scale * var, es=scale * es, parameters=parameters)


def _check(level: float) -> None:
    if not 0.5 <= level < 1.0:
        raise ConfigError(f"level must be in [0.5, 1), such as 0.95, was {level}")


def _positive(name: str, value: float) -> None:
    if not (value > 0.0 and isfinite(value)):
        raise ConfigError(f"{name} must be > 0 and finite, was {value}")


def _losses(returns: npt.ArrayLike, level: float) -> F8:
    _check(level)
    losses = -np.asarray(returns, np.float64)
    if losses.ndim != 1 or not np.isfinite(losses).all():
        raise ConfigError(f"returns must be finite and of shape (T,), were {losses.shape}")
    return losses


def _matches(losses: F8, sigma: F8) -> None:
    if sigma.shape != losses.shape or not (np.isfinite(sigma) & (sigma > 0.0)).all():
        raise ConfigError(f"sigma must be > 0, finite and of shape {losses.shape}, was {sigma.shape}")


def _null(method: str, level: float, n: int, reason: str, parameters: Mapping[str, float] | None = None) -> TailRisk:
    return TailRisk(method=method, level=level, n=n, var=None, es=None, parameters=parameters or {}, reason=reason)


def _too_few(method: str, level: float, n: int, fewest: int) -> TailRisk:
    return _null(method, level, n, f"{n} returns; {method} at {level:g} needs at least {fewest}")
