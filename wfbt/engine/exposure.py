"""Exposure limits of an account, and the days of returns and correlations that some of them judge by."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.kernels.abi import LIMIT, Act, Bound

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
LEAST_DAYS = 30


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit and what happens to an order that would break it.

    Attributes
    ----------
    most : float
    act : str
        "cap" cuts the order, "refuse" leaves its target pending, "flatten" closes every position.
    """

    most: float
    act: Literal["cap", "refuse", "flatten"] = "cap"

    def __post_init__(self) -> None:
        if not (self.most > 0 and isfinite(self.most)):
            raise ConfigError(f"an exposure limit must be > 0, was {self.most}")
        if self.act not in ("cap", "refuse", "flatten"):
            raise ConfigError(f"an exposure limit may cap, refuse or flatten, not {self.act!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What a portfolio may hold, in multiples of equity unless said; None switches each off.

    Attributes
    ----------
    gross, net, asset : Cap or None
        Σ|notional|, |Σ notional|, |notional| of one symbol.
    concentration : Cap or None
        |notional| of one symbol as a share of the gross limit (of leverage where there is none).
    correlated : Cap or None
        Σ|notional| of symbols whose returns move together by at least `correlated_at` with one that is held or traded.
    var, cvar : Cap or None
        Loss of the portfolio on the worst `tail` of the last `window` days: their least, their mean.
    liquidity : Cap or None
        Days it takes to leave a position at the participation allowed per order.
    stops : Cap or None
        Loss if every stop is hit; a position without one counts whole.
    volatility : Cap or None
        Annual volatility of the symbol that is traded.
    """

    gross: Cap | None = None
    net: Cap | None = None
    asset: Cap | None = None
    concentration: Cap | None = None
    correlated: Cap | None = None
    var: Cap | None = None
    cvar: Cap | None = None
    liquidity: Cap | None = None
    stops: Cap | None = None
    volatility: Cap | None = None
    correlated_at: float = 0.7
    tail: float = 0.05
    window: int = 250

    def __post_init__(self) -> None:
        if not -1 <= self.correlated_at <= 1:
            raise ConfigError(f"limits.correlated.threshold must lie in -1..1, was {self.correlated_at}")
        if not 0 < self.tail < 1:
            raise ConfigError(f"limits.tail must lie between 0 and 1, was {self.tail}")
        if not LEAST_DAYS <= self.window <= 10_000:
            raise ConfigError(f"limits.window must be {LEAST_DAYS} to 10000 days, was {self.window}")

    def cap(self, bound: Bound) -> Cap | None:
        """The limit of this kind."""
        found: Cap | None = getattr(self, bound.name.lower())
        return found

    def bounds(self) -> npt.NDArray[np.void]:
        """(10,) LIMIT, in the order in which they are judged."""
        out = np.zeros(len(Bound), LIMIT)
        out["most"] = inf
        for bound in Bound:
            if (cap := self.cap(bound)) is not None:
                out[bound] = (cap.most, Act[cap.act.upper()])
        return out


def daily_marks_returns(mark_close: F8, day_rows: I8) -> F8:
    """(D, A) simple returns of marks from one UTC day's end to the next, NaN for the first and before a listing."""
    closes = mark_close[day_rows]
    out = np.full(closes.shape, np.nan)
    out[1:] = closes[1:] / closes[:-1] - 1.0
    return out


def trailing_correlations(days: F8, window: int) -> F8:
    """(D + 1, A, A) correlation of the last `window` of the first k days; NaN below 30 days in common.

    Days on which either of two is missing count for neither.
    """
    count, assets = days.shape
    out = np.full((count + 1, assets, assets), np.nan)
    known = ~np.isnan(days)
    filled, there = np.where(known, days, 0.0), known.astype(np.float64)
    for k in range(LEAST_DAYS, count + 1):
        x, m = filled[max(0, k - window) : k], there[max(0, k - window) : k]
        n = m.T @ m
        with np.errstate(divide="ignore", invalid="ignore"):
            mean, square = (x.T @ m) / n, ((x * x).T @ m) / n
            deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
            covariance = (x.T @ x) / n - mean * mean.T
            out[k] = np.where(n >= LEAST_DAYS, covariance / (deviation * deviation.T), np.nan)
    return np.clip(out, -1.0, 1.0)
