"""Closed forms of ruin: what a simulation must reproduce where the answer is known.

A barrier is a positive distance below the start, in the units of the path (log units for a geometric Brownian motion).
"""

from __future__ import annotations

from math import exp, expm1, inf, isfinite, isinf, log, sqrt

from scipy.special import log_ndtr, ndtr

from wfbt.errors import ConfigError

DISCRETE_SHIFT = 0.5825971579390107
"""−ζ(1/2)/√(2π): how far, in σ√Δt, a barrier seen only at steps lies beyond one seen always."""


def ruin_probability(p: float, units: int, target: int | None = None) -> float:
    """Gambler's ruin: the probability of losing all of `units` stakes, one at a time at even odds.

    Parameters
    ----------
    p : float
        Probability of winning a bet, in [0, 1].
    units : int
        Stakes at the start.
    target : int, optional
        Stop as a winner at so many; never without it, and then ruin is certain for p ≤ 1/2.

    Notes
    -----
    With ρ = (1 − p)/p: ρ^units without a target, (ρ^units − ρ^target)/(1 − ρ^target) with one, 1 − units/target at
    p = 1/2 (Feller, vol. 1, XIV.2).
    """
    if not 0.0 <= p <= 1.0:
        raise ConfigError(f"p must be a probability in [0, 1], was {p}")
    if units < 0 or int(units) != units:
        raise ConfigError(f"units must be a whole number >= 0, was {units}")
    if target is not None and (target < units or target < 1 or int(target) != target):
        raise ConfigError(f"target must be a whole number >= units ({units}) and >= 1, was {target}")
    if units == 0:
        return 1.0
    if target == units or p == 1.0:
        return 0.0
    if p == 0.0:
        return 1.0
    drift = log((1.0 - p) / p)
    if target is None:
        return 1.0 if drift >= 0.0 else exp(units * drift)
    if drift == 0.0:
        return 1.0 - units / target
    if drift < 0.0:
        return exp(units * drift) * expm1((target - units) * drift) / expm1(target * drift)
    return expm1((units - target) * drift) / expm1(-target * drift)


def barrier_probability(mu: float, sigma: float, barrier: float, horizon: float, steps: int | None = None) -> float:
    """P(Brownian motion with drift touches −barrier within the horizon).

    Parameters
    ----------
    mu, sigma : float
        Drift and volatility per unit of time, and per root of it.
    barrier : float
        Distance below the start, ≥ 0.
    horizon : float
        Time, may be infinite.
    steps : int, optional
        Look only so many times, evenly, the last time at the horizon: the barrier moves away by
        0.5826·σ·√(horizon/steps) (Broadie, Glasserman & Kou 1997).  Good where many steps fit
        between the start and the barrier.

    Notes
    -----
    Φ((−b − μT)/(σ√T)) + exp(−2μb/σ²)·Φ((−b + μT)/(σ√T)); exp(−2μb/σ²) for ever, 1 where μ ≤ 0 (reflection; Harrison
    1985, ch. 1).
    """
    if not (isfinite(mu) and sigma > 0.0 and isfinite(sigma)):
        raise ConfigError(f"mu must be finite and sigma > 0, were {mu} and {sigma}")
    if not (barrier >= 0.0 and horizon >= 0.0):
        raise ConfigError(f"barrier and horizon must be >= 0, were {barrier} and {horizon}")
    if steps is not None:
        if steps < 1 or isinf(horizon):
            raise ConfigError(f"steps must be >= 1 within a finite horizon, were {steps} in {horizon}")
        if barrier > 0.0:
            barrier += DISCRETE_SHIFT * sigma * sqrt(horizon / steps)
    if barrier == 0.0:
        return 1.0
    if horizon == 0.0 or isinf(barrier):
        return 0.0
    if isinf(horizon):
        return 1.0 if mu <= 0.0 else exp(-2.0 * mu * barrier / sigma**2)
    spread = sigma * sqrt(horizon)
    # In logs: for a falling path the exponential alone overflows.
    reflected = exp(-2.0 * mu * barrier / sigma**2 + float(log_ndtr((mu * horizon - barrier) / spread)))
    return min(1.0, float(ndtr((-barrier - mu * horizon) / spread)) + reflected)


def gbm_ruin(mu: float, sigma: float, loss: float, horizon: float = inf, steps: int | None = None) -> float:
    """P(a geometric Brownian motion ever falls by the fraction `loss` from its start within the horizon).

    `mu` is the drift of the simple return: the log drifts at mu − σ²/2, to a barrier at −ln(1 − loss).
    """
    return barrier_probability(mu - sigma**2 / 2, sigma, log_depth(loss), horizon, steps)


def log_depth(loss: float) -> float:
    """−ln(1 − loss): a loss of a fraction in [0, 1) as a distance on the log scale."""
    if not 0.0 <= loss < 1.0:
        raise ConfigError(f"loss must be a fraction in [0, 1), was {loss}")
    return -log(1.0 - loss)


def gain_to_recover(loss: float) -> float:
    """The gain, as a fraction, that makes good a loss: loss/(1 − loss); 100% after 50%."""
    return expm1(log_depth(loss))


def recovery_probability(loss: float, growth: float, sigma: float, horizon: float, steps: int | None = None) -> float:
    """P(equity that is `loss` below its peak regains it within the horizon).

    `growth` is the drift of log equity (μ − σ²/2): the climb is a first passage seen upside down.
    """
    return barrier_probability(-growth, sigma, log_depth(loss), horizon, steps)


def mean_recovery_time(loss: float, growth: float) -> float:
    """Mean time to regain the peak from `loss` below it: −ln(1 − loss)/growth; infinite without growth."""
    depth = log_depth(loss)
    if depth == 0.0:
        return 0.0
    return depth / growth if growth > 0.0 else inf
