"""Conditional variances, one step ahead, in one pass over the residuals.

A row without a residual (NaN) counts as what was expected of it, so nothing is learnt from it.
"""

from math import exp, isnan, pi, sqrt

from wfbt.kernels._jit import njit

MEAN_SIZE = sqrt(2.0 / pi)  # E|z| of a standard normal, which EGARCH takes from |z| whatever the innovations


@njit
def fill_garch(ahead, residuals, omega, alpha, gamma, beta, below, backcast):
    """Fill `ahead` (T,) with σ²[t+1] = ω + (α + γ·1{e < 0})·e[t]² + β·σ²[t].

    `below` is the share of the variance that is expected of e < 0, `backcast` the variance before row 0.
    """
    variance = backcast
    for t in range(len(residuals)):
        e = residuals[t]
        square, falling = variance, below * variance
        if not isnan(e):
            square = e * e
            falling = square if e < 0.0 else 0.0
        variance = omega + alpha * square + gamma * falling + beta * variance
        ahead[t] = variance


@njit
def fill_egarch(ahead, residuals, omega, alpha, gamma, beta, backcast, least, most):
    """Fill `ahead` (T,) with ln σ²[t+1] = ω + α·(|z[t]| − √(2/π)) + γ·z[t] + β·ln σ²[t], z = e/σ, in `least`..`most`.

    `backcast` is the logarithm of the variance before row 0.  Without bounds one wild residual could end the series:
    with γ < −α a large gain lowers the variance, the next gain is larger still in its units, and soon there is nothing
    to divide by.
    """
    level = backcast
    for t in range(len(residuals)):
        news = 0.0
        if not isnan(residuals[t]):
            z = residuals[t] / exp(0.5 * level)
            news = alpha * (abs(z) - MEAN_SIZE) + gamma * z
        level = max(least, min(omega + news + beta * level, most))
        ahead[t] = level


@njit
def fill_powers(total, logs, constants, slopes):
    """Fill `total` (T,) with Σ over k of exp(constants[k] + slopes[k]·logs[t])."""
    for t in range(len(logs)):
        value = 0.0
        for k in range(len(slopes)):
            value += exp(constants[k] + slopes[k] * logs[t])
        total[t] = value
