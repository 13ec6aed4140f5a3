"""Whether losses exceed a forecast VaR as often, and as independently, as it says.

Sources: Kupiec 1995 (proportion of failures); Christoffersen 1998 (independence, conditional coverage).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.risk.tail import fewest_returns, tail_rank

F8 = npt.NDArray[np.float64]

FEWEST_DAYS = 100


def rolling_var(returns: npt.ArrayLike, level: float, window: int, sigma: npt.ArrayLike | None = None) -> F8:
    """(T,) historical VaR of returns[t] from the `window` returns before it; NaN while there are fewer.

    With `sigma` (T,), sigma[t] a forecast for returns[t] known before it, the window holds returns in units of their
    forecasts, and their quantile is brought to sigma[t]: filtered historical simulation.
    """
    losses = -np.asarray(returns, np.float64)
    if losses.ndim != 1 or not np.isfinite(losses).all():
        raise ConfigError(f"returns must be finite and of shape (T,), were {losses.shape}")
    if not 0.5 <= level < 1.0:
        raise ConfigError(f"level must be in [0.5, 1), such as 0.95, was {level}")
    if window < fewest_returns(level):
        raise ConfigError(f"window must be >= {fewest_returns(level)} at level {level:g}, was {window}")
    scale = np.ones(len(losses))
    if sigma is not None:
        scale = np.asarray(sigma, np.float64)
        if scale.shape != losses.shape or not (np.isfinite(scale) & (scale > 0.0)).all():
            raise ConfigError(f"sigma must be > 0, finite and of shape {losses.shape}, was {scale.shape}")
    var = np.full(len(losses), np.nan)
    if len(losses) > window:
        past = np.lib.stride_tricks.sliding_window_view(losses / scale, window)[:-1]
        rank = window - 1 - tail_rank(window, level)[0]
        var[window:] = np.partition(past, rank, axis=1)[:, rank] * scale[window:]
    return var


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """One likelihood-ratio test: the statistic and its asymptotic p-value."""

    statistic: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VarBacktest:
    """Forecasts of VaR against what happened.

    Attributes
    ----------
    level : float
    n, exceedances : int
        Days with a forecast, and those that lost more than it.
    expected : float
        n·(1 − level).
    coverage : Likelihood or None
        Kupiec: exceedances come as often as they should.
    independence : Likelihood or None
        Christoffersen: an exceedance does not make another more likely on the next day.
    conditional : Likelihood or None
        Both together.
    reasons : mapping
        Name → why it is None.
    """

    level: float
    n: int
    exceedances: int
    expected: float
    coverage: Likelihood | None
    independence: Likelihood | None
    conditional: Likelihood | None
    reasons: Mapping[str, str]


def backtest_var(returns: npt.ArrayLike, var: npt.ArrayLike, level: float) -> VarBacktest:
    """Judge (T,) forecasts against (T,) returns; leading NaN forecasts are days without one.

    A high p-value is no praise: 250 days at 99% hold 2.5 exceedances and hardly tell a right model from a wrong one.
    """
    returns, var = np.asarray(returns, np.float64), np.asarray(var, np.float64)
    if returns.ndim != 1 or returns.shape != var.shape or not np.isfinite(returns).all():
        raise ConfigError(f"returns must be finite and, like var, of shape (T,), were {returns.shape}, {var.shape}")
    if not 0.5 <= level < 1.0:
        raise ConfigError(f"level must be in [0.5, 1), such as 0.95, was {level}")
    known = np.flatnonzero(np.isfinite(var))
    first = int(known[0]) if len(known) else len(var)
    if len(known) != len(var) - first:
        gap = first + int(np.flatnonzero(~np.isfinite(var[first:]))[0])
        raise ConfigError(f"var must be finite from its first forecast on, row {gap} was {var[gap]}")
    hits = -returns[first:] > var[first:]
    n, x = len(hits), int(hits.sum())
    rate = 1.0 - level
    coverage = independence = conditional = None
    reasons: dict[str, str] = {}
    if n < FEWEST_DAYS:
        reasons = dict.fromkeys(
            ("coverage", "independence", "conditional"),
            f"{n} days with a forecast; a test needs at least {FEWEST_DAYS}",
        )
    else:
        coverage = _likelihood(2.0 * (_bernoulli(n - x, x, x / n) - _bernoulli(n - x, x, rate)), 1)
        independence = _independence(hits)
        if independence is None:
            lone = "no day but the last exceeded its VaR, so none could be followed by another"
            reasons = {"independence": lone, "conditional": lone}
        else:
            conditional = _likelihood(coverage.statistic + independence.statistic, 2)
    return VarBacktest(
        level=level,
        n=n,
        exceedances=x,
        expected=n * rate,
        coverage=coverage,
        independence=independence,
        conditional=conditional,
        reasons=reasons,
    )


def _independence(hits: npt.NDArray[np.bool_]) -> Likelihood | None:
    before, after = hits[:-1], hits[1:]
    quiet, hit = int(np.sum(~before & after)), int(np.sum(before & after))
    calm, followed = int(np.sum(~before & ~after)), int(np.sum(before & ~after))
    if hit + followed == 0 or quiet + calm == 0:
        return None
    pooled = (quiet + hit) / len(after)
    apart = _bernoulli(calm, quiet, quiet / (calm + quiet)) + _bernoulli(followed, hit, hit / (followed + hit))
    return _likelihood(2.0 * (apart - _bernoulli(calm + followed, quiet + hit, pooled)), 1)


def _bernoulli(failures: int, successes: int, p: float) -> float:
    from scipy.special import xlog1py, xlogy

    return float(xlog1py(failures, -p) + xlogy(successes, p))


def _likelihood(statistic: float, freedom: int) -> Likelihood:
    from scipy.special import chdtrc

    statistic = max(0.0, statistic)  # rounding of two equal likelihoods
    return Likelihood(statistic=statistic, p=float(chdtrc(freedom, statistic)))
