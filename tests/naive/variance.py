"""Conditional variances once more, slowly, from the equations alone: it imports nothing from wfbt.

Each row is a loop over what is known by then; several rows ahead, expectations are taken one after another.
"""

from collections.abc import Sequence
from math import exp, isnan, log, pi, sqrt


def garch(residuals: Sequence[float], omega, alpha, gamma, beta, below, before) -> list[float]:
    """σ²[t+1] of each row, from the recursion started anew for every row."""
    out = []
    for t in range(len(residuals)):
        variance = before
        for e in residuals[: t + 1]:
            if isnan(e):
                variance = omega + (alpha + gamma * below + beta) * variance
            elif e < 0:
                variance = omega + (alpha + gamma) * e**2 + beta * variance
            else:
                variance = omega + alpha * e**2 + beta * variance
        out.append(variance)
    return out


def egarch(residuals: Sequence[float], omega, alpha, gamma, beta, before, least, most) -> list[float]:
    """ln σ²[t+1] of each row; `before`, `least` and `most` are variances."""
    out = []
    for t in range(len(residuals)):
        level = log(before)
        for e in residuals[: t + 1]:
            z = 0.0 if isnan(e) else e / sqrt(exp(level))
            size = 0.0 if isnan(e) else abs(z) - sqrt(2 / pi)
            level = omega + alpha * size + gamma * z + beta * level
            level = min(max(level, log(least)), log(most))
        out.append(level)
    return out


def garch_ahead(variance: float, omega, persistence, bars: int) -> float:
    """Variance of the next `bars` rows together, the first of them `variance`."""
    total, expected = 0.0, variance
    for _ in range(bars):
        total += expected
        expected = omega + persistence * expected
    return total


def egarch_ahead(level: float, omega, alpha, gamma, beta, innovations: Sequence[float], bars: int) -> float:
    """Mean over every path of `bars` − 1 innovations, each one of `innovations`."""
    paths, total = [level], exp(level)
    for _ in range(bars - 1):
        paths = [omega + alpha * (abs(z) - sqrt(2 / pi)) + gamma * z + beta * one for one in paths for z in innovations]
        total += sum(exp(one) for one in paths) / len(paths)
    return total


def har_ahead(returns: Sequence[float], const, slopes, windows, least, bars: int, t: int) -> float:
    """Variance of the `bars` rows after row t; row 0 has no return."""
    total = const
    for slope, rows in zip(slopes, windows, strict=True):
        squares = [returns[i] ** 2 for i in range(max(1, t - rows + 1), t + 1)]
        total += slope * sum(squares) / len(squares)
    return max(total, least) * bars
