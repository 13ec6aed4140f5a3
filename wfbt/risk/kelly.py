"""Position size between growth and ruin.

Sources: Kelly 1956; Thorp 2006, "The Kelly criterion in blackjack, sports betting and the stock market".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log1p

from wfbt.errors import ConfigError
from wfbt.risk.ruin import barrier_probability, log_depth


def binary_kelly(p: float, odds: float = 1.0) -> float:
    """The fraction of wealth that grows fastest on a bet won with probability p at `odds` to one: p − (1 − p)/odds.

    Negative: the bet is worth taking from the other side only.
    """
    if not (0.0 <= p <= 1.0 and odds > 0.0):
        raise ConfigError(f"p must be in [0, 1] and odds > 0, were {p} and {odds}")
    return p - (1.0 - p) / odds


def binary_growth(p: float, fraction: float, odds: float = 1.0) -> float:
    """Expected log growth of wealth per bet at a fraction staked: p·ln(1 + odds·f) + (1 − p)·ln(1 − f)."""
    if not (0.0 <= p <= 1.0 and odds > 0.0 and -1.0 / odds < fraction < 1.0):
        raise ConfigError(f"p must be in [0, 1], odds > 0 and −1/odds < fraction < 1, were {p}, {odds} and {fraction}")
    return p * log1p(odds * fraction) + (1.0 - p) * log1p(-fraction)


def kelly_fraction(mu: float, sigma: float, rate: float = 0.0) -> float:
    """(μ − r)/σ²: the notional over equity that grows fastest when returns are continuous."""
    if not sigma > 0.0:
        raise ConfigError(f"sigma must be > 0, was {sigma}")
    return (mu - rate) / sigma**2


def kelly_growth(mu: float, sigma: float, fraction: float, rate: float = 0.0) -> float:
    """Growth of log equity at a constant fraction f: r + f·(μ − r) − f²σ²/2, at most r + (Sharpe ratio)²/2."""
    return rate + fraction * (mu - rate) - (fraction * sigma) ** 2 / 2.0


def kelly_ruin(multiple: float, wealth: float) -> float:
    """P(equity ever falls to the fraction `wealth` of its start) at `multiple` of the Kelly fraction, with r = 0.

    wealth^(2/multiple − 1); certain from twice Kelly on (Thorp 2006, section 7).
    """
    if not (multiple >= 0.0 and 0.0 < wealth <= 1.0):
        raise ConfigError(f"multiple must be >= 0 and wealth in (0, 1], were {multiple} and {wealth}")
    if wealth == 1.0 or multiple >= 2.0:
        return 1.0
    return 0.0 if multiple == 0.0 else float(wealth ** (2.0 / multiple - 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeOutcome:
    """What one constant position size means for growth and for ruin.

    Attributes
    ----------
    fraction : float
        Notional over equity.
    multiple : float or None
        Of the Kelly fraction; None where there is no edge and so no Kelly fraction.
    growth : float
        Of log equity per unit of time.
    ruin : float
        P(the loss within the horizon).
    ruin_ever : float
        P(the loss at any time).
    reason : str
        Why there is no multiple.
    """

    fraction: float
    multiple: float | None
    growth: float
    ruin: float
    ruin_ever: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """Growth against ruin by position size, and what it was computed from."""

    mu: float
    sigma: float
    rate: float
    loss: float
    horizon: float
    sizes: tuple[SizeOutcome, ...]


def growth_ruin_frontier(
    mu: float,
    sigma: float,
    fractions: Sequence[float],
    *,
    loss: float = 0.5,
    horizon: float = 1.0,
    rate: float = 0.0,
) -> Frontier:
    """Growth and P(losing `loss` of the start) for each position size, log equity being a Brownian motion.

    `mu` and `sigma` are those of the strategy at a notional of 1, per unit of the time of `horizon`; they are taken as
    known.  An estimate of mu errs by σ/√T, which is why half of Kelly is the usual caution.
    """
    best = kelly_fraction(mu, sigma, rate)
    sizes = []
    for fraction in fractions:
        if not 0.0 < fraction < inf:
            raise ConfigError(f"fractions must be > 0 and finite, one was {fraction}")
        growth = kelly_growth(mu, sigma, fraction, rate)
        spread = fraction * sigma
        sizes.append(
            SizeOutcome(
                fraction=fraction,
                multiple=fraction / best if best > 0.0 else None,
                growth=growth,
                ruin=barrier_probability(growth, spread, log_depth(loss), horizon),
                ruin_ever=barrier_probability(growth, spread, log_depth(loss), inf),
                reason="" if best > 0.0 else "there is no return above the rate, so no size is Kelly's",
            )
        )
    return Frontier(mu=mu, sigma=sigma, rate=rate, loss=loss, horizon=horizon, sizes=tuple(sizes))
