"""What simulated accounts came to, as result.json tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import DAY
from wfbt.risk.proportion import Proportion, proportion
from wfbt.risk.recovery import drawdown_percentiles
from wfbt.risk.survival import loss_probability
from wfbt.simulation.replays import Accounts

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

SPREAD = (5.0, 25.0, 50.0, 75.0, 95.0)
"""Percentiles of outcomes and of a fan."""
FEWEST = 30
"""Paths with a number, below which its percentiles are not shown."""


def share_told(one: Proportion) -> dict[str, Any]:
    """A share of paths with its interval."""
    told = asdict(one)
    why = told.pop("reason")
    return told | {"reasons": {name: why for name in ("estimate", "low", "high") if told[name] is None}}


def spread_told(values: F8, why_not: str) -> dict[str, Any]:
    """Percentiles of the finite ones of (P,) values; `why_not` is said of those that are not."""
    known = values[np.isfinite(values)]
    names = [f"p{percentile:g}" for percentile in SPREAD]
    if len(known) < FEWEST:
        why = why_not if not len(known) else f"{len(known)} of {len(values)} paths have one; {why_not} on the others"
        return {**dict.fromkeys(names), "paths": len(known), "reasons": dict.fromkeys(names, why)}
    found = np.percentile(known, SPREAD)
    return {
        **{name: float(value) for name, value in zip(names, found, strict=True)},
        "paths": len(known),
        "reasons": {},
    }


def drawdowns_told(accounts: Accounts, depth: F8 | None = None) -> list[dict[str, Any]]:
    """Rows of the drawdown table; `depth` (P,) are the drawdowns at bar closes, where they are known."""
    rows = []
    for one in drawdown_percentiles(accounts.outcomes.drawdowns):
        told: dict[str, Any] = {
            "percentile": one.percentile,
            "depth": one.depth,
            "depth_at_bar_closes": None,
            "recovery_days": one.recovery,
            "paths": one.paths,
            "recovered": one.recovered,
        }
        if depth is not None and one.depth is not None:
            told["depth_at_bar_closes"] = float(np.quantile(depth, one.percentile / 100.0, method="higher"))
        reasons = {name: one.reason for name in ("depth", "recovery_days") if told[name] is None}
        if told["depth_at_bar_closes"] is None:
            reasons["depth_at_bar_closes"] = one.reason if one.depth is None else "only daily equity is known"
        rows.append(told | {"reasons": reasons})
    return rows


def ruin_told(accounts: Accounts, days: int, loss: float) -> dict[str, Any]:
    """P(losing `loss` of the start within `days` days) with Wilson's interval, or the rule of three."""
    found = loss_probability(accounts.outcomes.ruined_at, accounts.outcomes.steps, days, loss)
    told: dict[str, Any] = {"loss": loss, "days": days}
    if found.ruined is None:
        names = ("count", "n", "estimate", "low", "high")
        return told | dict.fromkeys(names) | {"reasons": dict.fromkeys(names, found.reason)}
    return told | share_told(found.ruined)


def accounts_told(accounts: Accounts, periods_per_year: float, loss: float, depth: F8 | None = None) -> dict[str, Any]:
    """Returns, Sharpe ratios, drawdowns and ruin of accounts over their horizon."""
    outcomes = accounts.outcomes
    return {
        "total_return": spread_told(outcomes.final - 1.0, "it is not finite"),
        "annual_sharpe": spread_told(outcomes.sharpe * np.sqrt(periods_per_year), "daily returns do not vary"),
        "lost_money": share_told(proportion(int((outcomes.final < 1.0).sum()), len(outcomes))),
        "drawdowns": drawdowns_told(accounts, depth),
        "ruin": ruin_told(accounts, outcomes.steps, loss),
    }


def fan_told(fan: F8, days: I8, dates: Sequence[str] | None = None) -> dict[str, Any]:
    """Percentiles of (P, K) equity after each of (K,) days, counted from 0; the start is 1 on day 0.

    A line joins different paths: none of them need have gone along it.
    """
    lines = np.hstack([np.ones((len(SPREAD), 1)), np.percentile(fan, SPREAD, axis=0)])
    return {
        "days": [0, *(days + 1).tolist()],
        **({} if dates is None else {"dates": list(dates)}),
        "equity": {f"p{percentile:g}": line.tolist() for percentile, line in zip(SPREAD, lines, strict=True)},
    }


def dates_of(begin: int, close_ts: I8) -> list[str]:
    """Days, as dates: that of the beginning, and those that (K,) closes belong to."""
    days = pd.to_datetime(np.concatenate(([begin], close_ts)) - 1, unit="ns", utc=True)
    return [f"{day:%Y-%m-%d}" for day in days]


def iso(ts: int) -> str:
    """Nanoseconds UTC as ISO 8601."""
    return pd.Timestamp(int(ts), tz="UTC").isoformat().replace("+00:00", "Z")


def year_of(periods_per_year: float, horizon: int) -> int:
    """Days of returns in `horizon` ns, at least 2."""
    return max(2, round(horizon / (365 * DAY) * periods_per_year))
