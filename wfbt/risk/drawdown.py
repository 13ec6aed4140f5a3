"""The largest drawdown of a Brownian motion with drift: its distribution, its mean and the time until it comes.

Depths are in the units of the path.  For equity that is a geometric Brownian motion these are logs: a drawdown of the
fraction d is −ln(1 − d) deep, and the drift is μ − σ²/2.

Sources: Magdon-Ismail, Atiya, Pratap & Abu-Mostafa 2004; Taylor 1975; Lehoczky 1977.
"""

from __future__ import annotations

from math import exp, expm1, inf, isfinite, log, pi, sqrt

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError

F8 = npt.NDArray[np.float64]

STEEPEST_FALL = -3.0
"""Drift over the horizon in deviations, below which the series loses its digits to cancellation."""

BISECTIONS = 54
NODES = 200
SMALL_ROOT = 0.003
"""Below it the first coefficient is 0/0 to rounding, and its expansion is exact."""


def max_drawdown_probability(depth: float, mu: float, sigma: float, horizon: float) -> float:
    """P(the largest drawdown within the horizon is at least `depth`), watched continuously.

    The drawdown is a Brownian motion with drift −μ, reflected at 0 and absorbed at `depth`: a sum over its eigenvalues
    (Magdon-Ismail et al. 2004, the distribution G_D).  Without drift 2·Σ sin θₙ/θₙ·(1 − exp(−σ²θₙ²T/2h²)) with
    θₙ = (n − ½)π.

    Raises
    ------
    ConfigError
        Where mu·√horizon/sigma < −3: the sum cancels, and a large drawdown is certain anyway.
    """
    m = _drift_in_deviations(mu, sigma, horizon)
    if not depth >= 0.0:
        raise ConfigError(f"depth must be >= 0, was {depth}")
    if depth == 0.0:
        return 1.0
    if m < STEEPEST_FALL:
        raise ConfigError(f"mu·√horizon/sigma must be >= {STEEPEST_FALL:g}, was {m:.3g}: the sum would lose its digits")
    x = depth / (sigma * sqrt(horizon))
    # Beyond it the probability is below 1e-8, and nothing but rounding is left of the sum.
    if x > max(-m, 0.0) + 9.0:
        return 0.0
    return float(1.0 - _no_drawdown(np.array([x]), m)[0])


def expected_max_drawdown(mu: float, sigma: float, horizon: float) -> float:
    """Mean of the largest drawdown within the horizon, watched continuously.

    √(π/2)·σ·√T without drift, the integral of `max_drawdown_probability` otherwise; |μ|T + σ²/|μ| where the drift is
    below −3 deviations, the limit of Magdon-Ismail et al. 2004, there 0.02% from the integral.  The table of that paper
    differs from the integral in the third decimal, and at its upper end by as much from the paper's own limit.
    """
    m = _drift_in_deviations(mu, sigma, horizon)
    spread = sigma * sqrt(horizon)
    if m == 0.0:
        return sqrt(pi / 2.0) * spread
    if m < STEEPEST_FALL:
        return (-m - 1.0 / m) * spread
    # Where to stop: a rising path hardly falls deeper than a few 1/m, a falling one than its drift and 6 deviations.
    most = min(9.0, (45.0 + 2.0 * log(1.0 + m)) / (2.0 * m)) if m > 0.0 else 6.0 - m
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    x = (nodes + 1.0) * most / 2.0
    return float(np.sum(weights * (1.0 - _no_drawdown(x, m)))) * most / 2.0 * spread


def mean_time_to_drawdown(depth: float, mu: float, sigma: float) -> float:
    """Mean time until the first drawdown of `depth`.

    (e^k − 1 − k)·σ²/(2μ²) with k = 2μ·depth/σ², depth²/σ² without drift (Taylor 1975; Lehoczky 1977).
    Infinite where it is beyond measure.
    """
    if not (depth >= 0.0 and sigma > 0.0 and isfinite(mu)):
        raise ConfigError(f"depth must be >= 0, sigma > 0 and mu finite, were {depth}, {sigma} and {mu}")
    k = 2.0 * mu * depth / sigma**2
    natural = (depth / sigma) ** 2
    if abs(k) < 1e-4:  # expanded: the difference would cancel
        return natural * (1.0 + k / 3.0 + k * k / 12.0)
    return inf if k > 700.0 else natural * 2.0 * (expm1(k) - k) / (k * k)


def _drift_in_deviations(mu: float, sigma: float, horizon: float) -> float:
    if not (isfinite(mu) and 0.0 < sigma < inf and 0.0 < horizon < inf):
        raise ConfigError(
            f"mu must be finite, sigma and horizon > 0 and finite, were mu={mu}, sigma={sigma}, horizon={horizon}"
        )
    return mu * sqrt(horizon) / sigma


def _no_drawdown(x: F8, m: float) -> F8:
    """(K,): P(no drawdown as deep as x·σ√T), the drift being m deviations; x (K,) > 0.

    With κ = m·x the eigenvalues are the roots of κ·sin θ = θ·cos θ, one in each ((n − 1)π, nπ); the first is imaginary
    where κ > 1.
    """
    kappa = m * x
    terms = 3 + int(9.1 * float(x.max()) / pi)
    order = np.arange(terms)
    low = np.tile(order * pi, (len(x), 1))
    low[:, 0] = 1e-9
    high = np.tile((order + 1) * pi, (len(x), 1))
    rising = np.tile(order % 2 == 0, (len(x), 1))  # the sign of the function at the upper end
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        above = (kappa[:, None] * np.sin(middle) - middle * np.cos(middle) > 0.0) == rising
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    root = 0.5 * (low + high)
    each = 2.0 * _oscillating(root, kappa[:, None]) * np.exp(-kappa - m * m / 2.0)[:, None]
    each *= np.exp(-((root / x[:, None]) ** 2) / 2.0)
    each[:, 0] = np.where(kappa > 1.0, _decaying(np.maximum(kappa, 1.0), x), each[:, 0])
    return np.asarray(np.clip(each.sum(axis=1), 0.0, 1.0))


def _oscillating(root: F8, kappa: F8) -> F8:
    """Coefficient of a real root: θ·sin θ/(κ² + θ² − κ)."""
    small = root < SMALL_ROOT
    below = np.where(small, 1.0, kappa**2 + root**2 - kappa)
    return np.where(small, 1.5 * (1.0 - 0.3 * root**2), root * np.sin(root) / below)


def _decaying(kappa: F8, x: F8) -> F8:
    """The whole first term where κ > 1: the root is iη with κ = η/tanh η."""
    low, high = np.zeros_like(kappa), kappa.copy()
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        above = middle > kappa * np.tanh(middle)
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    eta = 0.5 * (low + high)
    small = eta < SMALL_ROOT
    safe = np.where(small, 1.0, eta)
    fall = np.exp(-2.0 * safe)
    over_sinh = 2.0 * safe * np.exp(-safe) / (1.0 - fall)  # η/sinh η
    # sinh³η/(sinh η·cosh η − η), its growth e^η/2 taken out and met with e^−κ.
    shape = (1.0 - fall) ** 2 / (1.0 + fall - 2.0 * over_sinh * np.exp(-safe))
    grown = np.where(small, 3.0 * (1.0 + 0.3 * eta**2) * np.exp(-kappa), shape * np.exp(safe - kappa))
    decay = np.where(small, 1.0 - eta**2 / 3.0, over_sinh**2)  # κ² − η²
    return np.asarray(grown * np.exp(-decay / (2.0 * x**2)))


def drawdown_fraction(depth: float) -> float:
    """1 − e^−depth: a depth on the log scale as a fraction of the peak."""
    return 1.0 - exp(-depth)
