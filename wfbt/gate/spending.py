"""How much evidence an attempt at the gate needs: every look and every attempt makes luck likelier.

Attempts spend a fixed chance of passing by luck: spend·1/(k·(k + 1)) at the k-th, which over all k sums to `spend`.
Nothing is refunded, so trying until it passes does not help.
"""

from __future__ import annotations

from math import ceil, expm1, log1p, sqrt

from scipy.special import ndtri

from wfbt.errors import ConfigError

SPEND = 0.01
"""Chance that a family of strategies without merit ever passes, over all its attempts."""


def alpha_of(attempt: int, spend: float = SPEND) -> float:
    """Chance of passing by luck that the family's `attempt`-th try may spend, 1 for the first: spend/(k·(k + 1))."""
    if not _whole(attempt):
        raise ConfigError(f"an attempt at the gate is counted from 1, was {attempt}")
    if not 0 < spend < 1:
        raise ConfigError(f"spend is a chance between 0 and 1, was {spend}")
    return spend / (attempt * (attempt + 1.0))


def threshold(attempt: int, series: int, spend: float = SPEND) -> float:
    """z that the best of `series` worthless, independent return series reaches with chance `alpha_of(attempt)`.

    Φ⁻¹((1 − α)^(1/N)), Šidák's correction; N counts the series whose result on the judged window was seen before one
    was chosen: 1 for a stitched walk-forward nobody peeked at.
    """
    if not _whole(series):
        raise ConfigError(f"the number of return series seen must be at least 1, was {series}")
    # From the upper tail: (1 − α)^(1/N) itself rounds to 1 for large N.
    tail = -expm1(log1p(-alpha_of(attempt, spend)) / series)
    return -float(ndtri(tail))


def days_needed(z: float, sharpe: float, periods: float, factor: float = 1.0, power: float = 0.5) -> int:
    """Days after which a strategy of true annualised `sharpe` reaches z with chance `power`.

    ⌈periods·factor·((z + Φ⁻¹(power))/sharpe)²⌉ for `periods` days a year and a long-run variance of `factor` times
    that of independent days; z as normal around sharpe·√(n/(periods·factor)).
    """
    if not (sharpe > 0 and periods > 0 and factor > 0 and 0 < power < 1):
        raise ConfigError(
            "days needed: sharpe, periods and factor must be > 0 and power between 0 and 1, "
            f"were {sharpe}, {periods}, {factor} and {power}"
        )
    reached = max(0.0, z + float(ndtri(power)))
    return ceil((sqrt(periods * factor) * reached / sharpe) ** 2)


def _whole(count: int) -> bool:
    return isinstance(count, int) and not isinstance(count, bool) and count >= 1
