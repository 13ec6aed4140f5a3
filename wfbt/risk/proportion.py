"""How far a share of simulated paths may lie from the probability that it estimates."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from wfbt.errors import ConfigError

Z = 1.959963984540054
"""Two-sided 95% of a normal."""

RULE_OF_THREE = 3.0
"""n trials without a single event put the probability below 3/n with 95% confidence: (1 − p)ⁿ = 0.05."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A share of independent paths and its 95% interval.

    The interval is of the sampling of paths alone: it knows nothing of the error of the model that made them.

    Attributes
    ----------
    count, n : int
        Paths on which it happened, and all paths.
    estimate, low, high : float or None
        count / n and Wilson's interval; where it never happened, `high` is 3/n (the rule of three), and where it always
        did, `low` is 1 − 3/n.
    reason : str
        Why they are None.
    """

    count: int
    n: int
    estimate: float | None
    low: float | None
    high: float | None
    reason: str = ""


def proportion(count: int, n: int) -> Proportion:
    """The share `count` of `n` with Wilson's 95% score interval (Wilson 1927); None where there are no trials."""
    if not 0 <= count <= n:
        raise ConfigError(f"a proportion needs 0 <= count <= n, was {count} of {n}")
    if n == 0:
        return Proportion(count=0, n=0, estimate=None, low=None, high=None, reason="there are no paths")
    p = count / n
    scale = 1.0 + Z * Z / n
    centre = (p + Z * Z / (2 * n)) / scale
    half = Z / scale * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    low = max(0.0, centre - half) if count else 0.0
    high = min(1.0, centre + half) if count < n else 1.0
    if count == 0:
        high = min(1.0, RULE_OF_THREE / n)
    elif count == n:
        low = max(0.0, 1.0 - RULE_OF_THREE / n)
    return Proportion(count=count, n=n, estimate=p, low=low, high=high)
