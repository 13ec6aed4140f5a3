"""`monte_carlo` and `ruin` of result.json: markets that never were, days in another order, and what they would cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.config.monte_carlo import MonteCarlo
from wfbt.data.market import DAY, Market
from wfbt.engine.latency import Latency
from wfbt.errors import WfbtError
from wfbt.features.market_regimes import RegimePlan
from wfbt.ledger.metrics import FEWEST_DAYS, ROUNDING
from wfbt.risk.proportion import proportion
from wfbt.risk.survival import SmallAccount
from wfbt.simulation.asked import Asked
from wfbt.simulation.fits import NAMES, Fit, fit_levels
from wfbt.simulation.origin import origin_of
from wfbt.simulation.replays import Course, Replayed, replayed
from wfbt.simulation.resampled import Lived, Resampled, resampled
from wfbt.simulation.ruin import min_order_of, ruin_section, stop_told
from wfbt.simulation.told import accounts_told, dates_of, fan_told, iso, share_told, spread_told, year_of
from wfbt.simulation.worries import overall_worry, paths_worry
from wfbt.validation.again import Ran

F8 = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]

TAG = 0x4D4F4E54
BARS = 18_000_000
"""Bars of all symbols that a level replays when replays is auto: some seconds of work."""
MOST_REPLAYS, FEWEST_REPLAYS = 600, 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulations:
    """Both sections.

    Attributes
    ----------
    monte_carlo : mapping
    ruin : mapping or None
    why_no_ruin : str
    """

    monte_carlo: dict[str, Any]
    ruin: dict[str, Any] | None
    why_no_ruin: str


def simulations(
    given: MonteCarlo, ran: Ran, plan: RegimePlan | None, drawdown_limit: float, jobs: int, progress: Progress
) -> Simulations:
    """Simulate what `given` asks of a finished run; `plan` is that of its regimes, `drawdown_limit` its mandate's.

    Nothing is chosen from what is found, so it is no look at data out of sample.
    """
    calendar = ran.walk.ledger.calendar
    markets, again, more, spare = np.random.SeedSequence([ran.seed, TAG]).spawn(4)
    told, found = _markets(given, Asked.of(ran), markets, plan, drawdown_limit, jobs, progress)
    lived, why_not = _lived(ran)
    ruin = None
    if lived is None:
        told["reasons"]["resampled"] = why_not
    else:
        # No leverage: the account kept within it whenever it ordered, and drifted to what it held beyond.
        small = SmallAccount(min_order=min_order_of(given, ran.market), fixed_cost=given.fixed_cost)
        own = resampled(
            lived,
            days=year_of(calendar.periods_per_year, int(given.horizon)),
            paths=given.paths,
            seed=again,
            ruin=given.ruin,
            capitals=given.capital,
            small=small,
            jobs=jobs,
        )
        told["resampled"] = _resampled_told(lived, own, calendar.periods_per_year, given.ruin, drawdown_limit)
        ruin = ruin_section(given, lived, own, found, small, calendar.periods_per_year, more, spare, jobs)
    worries = {name: one["worry"] for name in (*map(str, NAMES), "resampled") if (one := told[name])}
    told["worry"] = overall_worry(worries) if worries else None
    if not worries:
        told["reasons"]["worry"] = "nothing could be simulated"
    progress("Monte Carlo: resampled days and ruin", 1, 1)
    return Simulations(monte_carlo=told, ruin=ruin, why_no_ruin=why_not)


def _markets(
    given: MonteCarlo,
    asked: Asked,
    seed: np.random.SeedSequence,
    plan: RegimePlan | None,
    drawdown_limit: float,
    jobs: int,
    progress: Progress,
) -> tuple[dict[str, Any], dict[int, Replayed]]:
    """What replays through each level's markets came to, told and by level; levels without any say why."""
    told: dict[str, Any] = {str(level): None for level in NAMES}
    told |= {"resampled": None, "begins": None, "train": None, "warm_bars": None, "replays": None}
    told |= {"paths": given.paths, "horizon_days": int(given.horizon) / DAY, "ruin": given.ruin, "notes": []}
    reasons = {str(level): "monte_carlo.levels leaves it out" for level in NAMES if level not in given.levels}
    told["reasons"] = reasons
    found: dict[int, Replayed] = {}
    try:
        origin = origin_of(asked, int(given.horizon))
    except WfbtError as error:
        names = (*(str(level) for level in given.levels), "begins", "train", "warm_bars", "replays")
        reasons |= dict.fromkeys(names, str(error))
        return told, found
    market = asked.ran.market
    course = Course.of(asked, origin, asked.ran.walk.ledger.calendar, seed, given.ruin)
    count = replays_of(given, len(origin.open_ts) * len(market.symbols))
    told |= {
        "begins": iso(origin.open_ts[0]),
        "train": {
            "rows": len(origin.history.close_ts),
            "first": iso(origin.history.close_ts[0]),
            "last": iso(origin.history.close_ts[-1]),
        },
        "warm_bars": origin.warm,
        "replays": count,
        "notes": [*origin.notes, *_notes(market, asked.setup.latency)],
    }
    for place, fit in enumerate(fit_levels(given.levels, asked, origin.history, plan, given.labels), start=1):
        key = str(fit.level)
        if fit.model is None:
            reasons[key] = fit.why_not
        else:
            try:
                found[fit.level] = replayed(course, fit.model, count, jobs)
            except WfbtError as error:  # the run itself was replayed: what broke is this market, not the strategy
                reasons[key] = str(error)
            else:
                told[key] = _level_told(fit, found[fit.level], course, drawdown_limit)
        progress(f"Monte Carlo: level {key}", place, len(given.levels))
    return told, found


def replays_of(given: MonteCarlo, bars: int) -> int:
    """Market paths of a level, one of which has `bars` bars of all symbols together."""
    if given.replays != "auto":
        return int(given.replays)
    return max(FEWEST_REPLAYS, min(MOST_REPLAYS, BARS // bars))


def _lived(ran: Ran) -> tuple[Lived | None, str]:
    """The days of the out-of-sample account, or why they cannot be resampled."""
    ledger = ran.walk.ledger
    lived = Lived.of(ledger, float(ran.study.rules.drawdown))
    days = len(lived.returns)
    if days < FEWEST_DAYS:
        before = "" if lived.stopped is None else f" before {lived.cause} stopped it on {iso(lived.stopped)[:10]}"
        return None, f"{days} days of returns out of sample{before}; at least {FEWEST_DAYS} are needed"
    if not len(ledger.fills):
        return None, "it never traded out of sample"
    if not lived.returns.std(ddof=1) > ROUNDING:
        return None, "daily returns out of sample do not vary"
    return lived, ""


def _level_told(fit: Fit, found: Replayed, course: Course, drawdown_limit: float) -> dict[str, Any]:
    year, origin = course.calendar.periods_per_year, course.origin
    paths = len(found.depth)
    inverse = bool(course.asked.ran.plain.deck.contracts["inverse"][0])
    told: dict[str, Any] = {
        "name": NAMES[fit.level],
        "paths": paths,
        "days": len(course.day_ends),
        "bars": len(origin.open_ts),
        **accounts_told(found.account, year, course.ruin, found.depth),
        "liquidated": share_told(proportion(int(found.liquidated.sum()), paths)),
        "never_traded": share_told(proportion(int((found.trips == 0).sum()), paths)),
        "round_trips": spread_told(found.trips.astype(np.float64), ""),
        "hold": None if inverse else accounts_told(found.hold, year, course.ruin),
    }
    close = origin.open_ts[course.day_ends[course.shown]] + course.asked.ran.market.period
    told["fan"] = fan_told(found.account.fan, course.shown, dates_of(int(origin.open_ts[0]), close))
    told["fan"]["hold"] = None if inverse else fan_told(found.hold.fan, course.shown)["equity"]
    reasons = {}
    if inverse:
        reasons["hold"] = "the account is in the coin: to hold the coin is to hold no contract"
        told["fan"]["reasons"] = {"hold": reasons["hold"]}
    told["fit"] = {"parameters": dict(fit.parameters), "notes": list(fit.notes)}
    told["worry"] = paths_worry(told, drawdown_limit)
    return told | {"notes": _level_notes(fit.level, course.asked.ran.market), "reasons": reasons}


def _resampled_told(
    lived: Lived, found: Resampled, periods_per_year: float, ruin: float, drawdown_limit: float
) -> dict[str, Any]:
    told = {
        "paths": len(found.account.outcomes),
        "days": found.account.outcomes.steps,
        "days_of_evidence": len(lived.returns),
        **stop_told(lived),
        "block": lived.block,
        **accounts_told(found.account, periods_per_year, ruin),
        "fan": fan_told(found.account.fan, found.shown),
    }
    return told | {"worry": paths_worry(told, drawdown_limit, replayed=False)}


def _level_notes(level: int, market: Market) -> list[str]:
    """What a level cannot say of what a policy may read."""
    if level == 5:
        return []
    names = ["volume", *(one.name for one in market.series)]
    if len(names) == 1:
        comes, them = "volume along a path comes from other rows than its returns and knows", "it"
    else:
        listed = f"{', '.join(names[:-1])} and {names[-1]}"
        comes, them = f"{listed} along a path come from other rows than its returns and know", "them"
    return [f"{comes} nothing of them; what a policy makes of {them} is tried at level 5 alone"]


def _notes(market: Market, latency: Latency) -> list[str]:
    notes = ["equity is seen at the ends of days; what happens within a day shows in the drawdowns at bar closes alone"]
    if not latency.instant:
        notes.append("the delay of an order depends on the seed and its bar, so it is the same on every path")
    if any(one.funding is not None for one in market.instruments):
        notes.append("funding along a path settles at rates that were paid in training")
    notes.append(
        "every path drifts as training did, and of that mean a year of a market knows little: compare the policy with "
        "buy-and-hold on the same paths, not with 0"
    )
    return notes
