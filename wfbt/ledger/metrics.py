"""The one definition of every performance number.

A close at midnight UTC belongs to the day before it.  Statistics are of daily returns over every day on which the
market traded, held or not.  Functions of `returns` take (..., D) arrays and reduce the last axis, so that one account
and a thousand lanes of a search share a definition; they give NaN where the number does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY
from wfbt.errors import ConfigError

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]

FEWEST_DAYS = 30
"""Below it there is no statistic, only an anecdote."""

ROUNDING = 1e-14
"""A deviation of daily returns below it is what 1.0 + r − 1.0 leaves behind, not risk."""

SATURDAYS = 0.05
"""A market trades at weekends when more than this share of its bars falls on a Saturday (24/7 has one in seven)."""

SATURDAY, SUNDAY = 5, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Which rows make one day of returns, and how many days make a year.

    Attributes
    ----------
    periods_per_year : float
        365 where the market trades at weekends, 252 elsewhere; bars longer than a day are counted by their own length.
    weekends : bool
        False: Sunday's opening hours join Monday, and what runs on into Saturday joins Friday.
    bars : bool
        Bars are longer than a day, so each is a period of its own.
    """

    periods_per_year: float
    weekends: bool
    bars: bool = False

    @property
    def days_a_year(self) -> float:
        """365 or 252."""
        return 365.0 if self.weekends else 252.0

    def days(self, ts: I8) -> I8:
        """(T,) int64: the day (since 1970-01-01) of returns that each close at `ts` ns UTC belongs to."""
        day = (np.asarray(ts, np.int64) - 1) // DAY
        if self.weekends or self.bars:
            return day
        weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
        return np.asarray(day - (weekday == SATURDAY) + (weekday == SUNDAY))

    def day_ends(self, ts: I8) -> I8:
        """(D,) int64: the last row of each day of returns."""
        if self.bars:
            return np.arange(len(ts))
        day = self.days(ts)
        return np.flatnonzero(np.append(day[1:] != day[:-1], True)) if len(day) else np.zeros(0, np.int64)


def trading_calendar(ts: I8, days_a_year: float | None = None) -> Calendar:
    """The calendar that (T,) bar closes show.

    `days_a_year` (365 or 252) overrules what they show: a slice of a few weekdays cannot know of its weekends.
    """
    if days_a_year is not None and days_a_year not in (252.0, 365.0):
        raise ConfigError(f"days_a_year must be 365 (trades at weekends) or 252, was {days_a_year}")
    ts = np.asarray(ts, np.int64)
    if days_a_year is None:
        weekends = bool(len(ts) and np.mean(((ts - 1) // DAY + 3) % 7 == SATURDAY) > SATURDAYS)
    else:
        weekends = days_a_year == 365.0
    step = float(np.median(np.diff(ts))) if len(ts) > 1 else 0.0
    if step > DAY:
        return Calendar(periods_per_year=365.25 * DAY / step, weekends=weekends, bars=True)
    return Calendar(periods_per_year=365.0 if weekends else 252.0, weekends=weekends)


def daily_equity(ts: I8, equity: F8, opening: float, calendar: Calendar) -> F8:
    """(D + 1,) float64: `opening`, then equity at the last close of each day."""
    return np.append(opening, np.asarray(equity, np.float64)[calendar.day_ends(ts)])


def daily_returns(daily: F8) -> F8:
    """(..., D) simple returns of (..., D + 1) daily equity.

    A day that begins with nothing returns 0: after the −1 of a ruin there is nothing left to lose, and the ruin stays
    in every statistic.
    """
    before, after = daily[..., :-1], daily[..., 1:]
    alive = before > 0
    return np.where(alive, after / np.where(alive, before, 1.0) - 1.0, 0.0)


def sharpe(returns: F8, periods_per_year: float) -> F8:
    """Mean over ddof-1 deviation, annualised; NaN when returns do not vary or number fewer than 30."""
    enough = returns.shape[-1] >= FEWEST_DAYS
    deviation = _deviation(returns)
    return _ratio(returns.mean(axis=-1), deviation, (deviation > ROUNDING) & enough, periods_per_year**0.5)


def sortino(returns: F8, periods_per_year: float) -> F8:
    """Mean over downside deviation (root mean square of min(r, 0) over all days, target 0), annualised."""
    enough = returns.shape[-1] >= FEWEST_DAYS
    downside = np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2, axis=-1)) if enough else np.zeros(returns.shape[:-1])
    return _ratio(returns.mean(axis=-1), downside, (downside > ROUNDING) & enough, periods_per_year**0.5)


def volatility(returns: F8, periods_per_year: float) -> F8:
    """Annualised ddof-1 deviation; NaN for fewer than 30 days."""
    return _where(returns.shape[-1] >= FEWEST_DAYS, _deviation(returns) * periods_per_year**0.5)


def total_return(returns: F8) -> F8:
    """Compounded growth over all days, as a fraction."""
    return np.asarray(np.prod(1.0 + returns, axis=-1) - 1.0)


def annual_return(total: F8 | float, days: int, periods_per_year: float) -> F8:
    """Geometric growth per year of `total` return in `days`; −1 when everything was lost; NaN below 30 days."""
    if days < FEWEST_DAYS:
        return np.full(np.shape(total), np.nan)
    with np.errstate(over="ignore"):
        growth = np.maximum(1.0 + np.asarray(total, np.float64), 0.0) ** (periods_per_year / days) - 1.0
    return _where(np.isfinite(growth), growth)


def drawdown(equity: F8, opening: F8 | float) -> F8:
    """(..., T): loss from the highest close so far, or the opening equity, as a positive fraction of it."""
    peak = np.maximum(np.maximum.accumulate(equity, axis=-1), np.asarray(opening, np.float64)[..., None])
    alive = peak > 0
    return np.where(alive, 1.0 - equity / np.where(alive, peak, 1.0), 0.0)


def max_drawdown(equity: F8, opening: F8 | float) -> F8:
    """The largest `drawdown` over the last axis."""
    return np.asarray(np.max(drawdown(equity, opening), axis=-1, initial=0.0))


def calmar(annual: F8 | float, largest: F8 | float) -> F8:
    """Annual return over the largest drawdown; NaN when nothing was ever lost."""
    return _ratio(np.asarray(annual), np.asarray(largest), np.asarray(largest) > ROUNDING)


def profit_factor(profits: F8) -> float:
    """Profits of the winning round trips over losses of the losing ones; NaN without a loss."""
    lost = -float(np.minimum(profits, 0.0).sum())
    return float(np.maximum(profits, 0.0).sum()) / lost if lost > 0 else np.nan


def _deviation(returns: F8) -> F8:
    return np.std(returns, axis=-1, ddof=1) if returns.shape[-1] > 1 else np.full(returns.shape[:-1], np.nan)


def _where(condition: Any, values: Any) -> F8:
    return np.where(condition, values, np.nan)


def _ratio(top: Any, bottom: Any, defined: Any, scale: float = 1.0) -> F8:
    return _where(defined, top / np.where(defined, bottom, 1.0) * scale)


def _calmar_of(returns: F8, periods_per_year: float) -> F8:
    wealth = np.asarray(np.cumprod(1.0 + returns, axis=-1), np.float64)
    return calmar(_annual_of(returns, periods_per_year), max_drawdown(wealth, np.ones(returns.shape[:-1])))


def _annual_of(returns: F8, periods_per_year: float) -> F8:
    return annual_return(total_return(returns), returns.shape[-1], periods_per_year)


OBJECTIVES: dict[str, Callable[[F8, float], F8]] = {
    "sharpe": sharpe,
    "sortino": sortino,
    "calmar": _calmar_of,
    "annual_return": _annual_of,
    "total_return": lambda returns, _: total_return(returns),
}


def objective(name: str, returns: F8, periods_per_year: float) -> F8:
    """(L,) float64: what a search maximises, of (L, D) daily returns; NaN where it is not defined.

    The drawdown in calmar is that of daily closes here, as lanes keep no other.
    """
    if name not in OBJECTIVES:
        raise ConfigError(f"objective: unknown {name!r}; use one of {', '.join(OBJECTIVES)}")
    if returns.ndim != 2:
        raise ConfigError(f"objective {name} needs daily returns of shape (lanes, days), was given {returns.shape}")
    if returns.shape[1] == 0:
        return np.full(len(returns), np.nan)
    return OBJECTIVES[name](returns, periods_per_year)


def summarise(
    *,
    ts: I8,
    equity: F8,
    opening: float,
    calendar: Calendar,
    held: npt.NDArray[np.bool_],
    traded: float,
    profits: F8,
    profit_shares: F8,
    holding_hours: F8,
) -> dict[str, Any]:
    """Every number of a result, None where it does not exist, and why.

    Parameters
    ----------
    ts, equity : (T,)
        Bar closes, ns UTC, and equity there.
    opening : float
        Equity before the first bar.
    held : (T,) bool
        Rows that close with a position; exposure is their share.
    traded : float
        Value of all fills; turnover is traded over mean equity per year of `periods_per_year` days.
    profits, profit_shares, holding_hours : (K,) float64
        Of the round trips that closed: net profit in quote, the same over the value entered, and hours.

    Returns
    -------
    dict
        sharpe sortino calmar annual_return total_return max_drawdown volatility win_rate profit_factor trades avg_trade
        (mean net profit of a round trip, quote) avg_trade_return (mean of profit over value entered) avg_holding_hours
        exposure turnover; days, periods_per_year; reasons: key → why it is None.
    """
    year = calendar.periods_per_year
    returns = daily_returns(daily_equity(ts, equity, opening, calendar))
    days, trades = len(returns), len(profits)
    few = f"{days} days of returns; a statistic needs at least {FEWEST_DAYS}" if days < FEWEST_DAYS else ""
    broke = "" if opening > 0 else "there was no equity to begin with"
    idle = "" if trades else "no round trip was closed"
    mean_equity = float(np.mean(equity)) if len(equity) else 0.0
    reasons: dict[str, str] = {}

    def number(key: str, why_not: str, compute: Callable[[], Any], undefined: str = "it is not a finite number") -> Any:
        value = np.nan if why_not else float(compute())
        if np.isfinite(value):
            return value
        reasons[key] = why_not or undefined
        return None

    total = number("total_return", broke, lambda: equity[-1] / opening - 1.0 if days else 0.0)
    annual = number("annual_return", broke or few, lambda: annual_return(total, days, year), "growth is beyond measure")
    largest = number("max_drawdown", broke, lambda: max_drawdown(equity, opening))
    return {
        "sharpe": number("sharpe", broke or few, lambda: sharpe(returns, year), "daily returns do not vary"),
        "sortino": number("sortino", broke or few, lambda: sortino(returns, year), "no day lost money"),
        "calmar": number(
            "calmar",
            broke or few or ("" if annual is not None else reasons["annual_return"]),
            lambda: calmar(annual, largest),
            "equity never fell below a peak",
        ),
        "annual_return": annual,
        "total_return": total,
        "max_drawdown": largest,
        "volatility": number("volatility", broke or few, lambda: volatility(returns, year)),
        "win_rate": number("win_rate", idle, lambda: np.mean(profits > 0)),
        "profit_factor": number("profit_factor", idle, lambda: profit_factor(profits), "no round trip lost money"),
        "trades": trades,
        "avg_trade": number("avg_trade", idle, lambda: np.mean(profits)),
        "avg_trade_return": number("avg_trade_return", idle, lambda: np.mean(profit_shares)),
        "avg_holding_hours": number("avg_holding_hours", idle, lambda: np.mean(holding_hours)),
        "exposure": number("exposure", "" if len(held) else "there are no bars", lambda: np.mean(held)),
        "turnover": number(
            "turnover",
            "" if mean_equity > 0 and days else "there was no equity to turn over",
            lambda: traded / mean_equity / (days / year),
        ),
        "days": days,
        "periods_per_year": year,
        "reasons": reasons,
    }
