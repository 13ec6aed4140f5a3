"""The ruin section: how deep, how likely, with how much money, at which size, and the worst of days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from wfbt.config.monte_carlo import MonteCarlo
from wfbt.data.market import DAY, Market
from wfbt.risk.survival import SmallAccount, survival_curves
from wfbt.simulation.replays import Replayed
from wfbt.simulation.resampled import Lived, Resampled
from wfbt.simulation.sizes import frontier_told, kelly_told
from wfbt.simulation.tails import backtests_told, tails_told
from wfbt.simulation.told import drawdowns_told, iso, ruin_told, share_told, year_of
from wfbt.simulation.worries import frontier_worry, kelly_worry, survival_worry, tails_worry, year_worry

YEAR = 365
HORIZONS = (30, 90, 180, YEAR)
"""Days for which survival is told, beside the horizon itself."""
FRONTIER = 2_000
"""Resamples a position size, at most."""


def min_order_of(given: MonteCarlo, market: Market) -> float:
    """The smallest order in the account's currency: as given, else the largest symbol's lot at its last price."""
    if given.min_order is not None:
        return float(given.min_order)
    least = 0.0
    for one in market.instruments:
        unit, price = one.contract.lot * one.contract.multiplier, float(one.bars.close[-1])
        least = max(least, unit / price if one.contract.inverse else unit * price)
    return least


def stop_told(lived: Lived) -> dict[str, Any]:
    """When the account stopped for good, and how many days after that are no evidence."""
    stopped = None if lived.stopped is None else iso(lived.stopped)
    reasons = {"stopped": "it was not stopped for good"} if stopped is None else {}
    return {"stopped": stopped, "days_left_out": lived.left_out, "reasons": reasons}


def ruin_section(
    given: MonteCarlo,
    lived: Lived,
    own: Resampled,
    levels: Mapping[int, Replayed],
    small: SmallAccount,
    periods_per_year: float,
    kelly_seed: np.random.SeedSequence,
    frontier_seed: np.random.SeedSequence,
    jobs: int,
) -> dict[str, Any]:
    """`ruin` of result.json, of an account that traded on enough days."""
    horizon = int(given.horizon)
    tails, backtests = tails_told(lived.returns), backtests_told(lived.returns)
    frontier = frontier_told(
        lived.returns,
        lived.block,
        given.sizes,
        periods_per_year=periods_per_year,
        days=own.account.outcomes.steps,
        horizon=horizon,
        loss=given.ruin,
        paths=min(given.paths, FRONTIER),
        seed=frontier_seed,
        jobs=jobs,
    )
    kelly = kelly_told(lived.returns, lived.block, periods_per_year, kelly_seed)
    within = _within_a_year(given, own, levels, periods_per_year)
    curves = _survival(given, own, periods_per_year)
    return {
        "loss": given.ruin,
        "days_of_evidence": len(lived.returns),
        **stop_told(lived),
        "block": lived.block,
        "within_a_year": within | {"worry": year_worry(within)},
        "drawdowns": {
            "resampled": drawdowns_told(own.account),
            **{str(level): drawdowns_told(one.account, one.depth) for level, one in levels.items()},
        },
        "survival": {
            "account": {
                "min_order": small.min_order,
                "fixed_cost_a_day": small.fixed_cost,
            },
            "curves": curves,
            "worry": survival_worry(curves),
        },
        "kelly": kelly | {"worry": kelly_worry(kelly)},
        "frontier": {"sizes": frontier, "worry": frontier_worry(frontier)},
        "tail": {"levels": tails, "backtests": backtests, "worry": tails_worry(tails, backtests)},
    }


def _within_a_year(
    given: MonteCarlo, own: Resampled, levels: Mapping[int, Replayed], periods_per_year: float
) -> dict[str, Any]:
    """P(ruin within a year), by what made the paths; each path counts once, in its first year."""
    year = year_of(periods_per_year, YEAR * DAY)
    told = {"resampled": ruin_told(own.account, year, given.ruin)}
    for level, one in levels.items():
        # A year of paths may have a day of returns more or less than the calendar's: they begin within a day.
        steps = one.account.outcomes.steps
        told[str(level)] = ruin_told(one.account, min(year, steps) if given.horizon >= YEAR * DAY else year, given.ruin)
    return told


def _survival(given: MonteCarlo, own: Resampled, periods_per_year: float) -> list[dict[str, Any]]:
    """A curve for each capital, its points by calendar days."""
    longest = int(given.horizon) // DAY
    days = sorted({*HORIZONS, longest})
    steps = [year_of(periods_per_year, day * DAY) for day in days]
    rows = []
    for curve, final in zip(survival_curves(own.capitals, steps), own.capitals.final, strict=True):
        points = []
        for day, point in zip(days, curve.points, strict=True):
            told: dict[str, Any] = {"days": day, "survived": None, "reasons": {"survived": point.reason}}
            if point.survived is not None:
                told |= {"survived": share_told(point.survived), "reasons": {}}
            points.append(told)
        orders = {"too_small": curve.skipped, "missed": curve.missed}
        rows.append(
            {
                "capital": curve.capital,
                "points": points,
                "median_at_end": float(np.median(final)),
                **orders,
                "reasons": {name: "nothing was to be held" for name, share in orders.items() if share is None},
            }
        )
    return rows
