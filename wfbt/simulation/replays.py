"""The policy, replayed through markets that never were, and buy-and-hold beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

import numpy as np
import numpy.typing as npt

from wfbt.compute import in_order
from wfbt.engine.sweep import replay_lanes
from wfbt.kernels.excursions import EXCURSION, measure
from wfbt.ledger.metrics import ROUNDING, Calendar
from wfbt.risk.market_paths import continued
from wfbt.risk.monte_carlo import Model, Outcomes, outcomes
from wfbt.simulation.asked import Asked
from wfbt.simulation.origin import Origin
from wfbt.validation.walk_forward import lane_returns

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

BATCH = 32
"""Paths of a task."""
DATES = 60
"""Of a fan, about."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Accounts:
    """What P accounts came to, seen at the ends of D days.

    Attributes
    ----------
    outcomes : Outcomes
        Of daily equity; steps are days.
    fan : (P, K) float64
        Equity, the start being 1, on the days `Course.shown`.
    """

    outcomes: Outcomes
    fan: F8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """One level's paths.

    Attributes
    ----------
    account, hold : Accounts
        Of the policy, and of one that buys all symbols in equal parts where the path begins and keeps them.
    depth : (P,) float64
        Largest drawdown of the policy's account at bar closes.
    liquidated : (P,) bool
    trips : (P,) int64
        Round trips.
    """

    account: Accounts
    hold: Accounts
    depth: F8
    liquidated: npt.NDArray[np.bool_]
    trips: I8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """What a path is run on.

    Attributes
    ----------
    origin : Origin
    asked : Asked
    calendar : Calendar
        Of the run's own out-of-sample account.
    seed : SeedSequence
        Of the market paths: at every level path k takes the same draws.
    ruin : float
        Fraction of the start whose loss is ruin.
    day_ends : (D,) int64
        Bars of a path with which its days of returns end.
    shown : (K,) int64
        Days of the fan.
    """

    origin: Origin
    asked: Asked
    calendar: Calendar
    seed: np.random.SeedSequence
    ruin: float
    day_ends: I8
    shown: I8

    @classmethod
    def of(cls, asked: Asked, origin: Origin, calendar: Calendar, seed: np.random.SeedSequence, ruin: float) -> Course:
        """Of paths that begin at `origin`."""
        ends = calendar.day_ends(origin.open_ts + asked.ran.market.period)
        return cls(
            origin=origin,
            asked=asked,
            calendar=calendar,
            seed=seed,
            ruin=ruin,
            day_ends=ends,
            shown=shown_of(len(ends)),
        )


def shown_of(days: int) -> I8:
    """(K,) about 60 of `days` days, even, the last among them."""
    return np.unique(np.linspace(0, days - 1, min(days, DATES)).round().astype(np.int64))


class Tally:
    """Numbers of accounts as they come in, each in its own slot."""

    def __init__(self, paths: int, shown: I8, ruin: float) -> None:
        self.excursions = np.zeros(paths, EXCURSION)
        self.fan = np.empty((paths, len(shown)))
        self._shown, self._floor = shown, log(1.0 - ruin)
        self.ruin = ruin

    def take(self, first: int, returns: F8) -> None:
        """The (P, D) daily returns of accounts from number `first` on."""
        part = self.excursions[first : first + len(returns)]
        with np.errstate(divide="ignore"):
            logs = np.log1p(np.maximum(returns, -1.0))
        measure(part, np.ascontiguousarray(logs), self._floor, -np.inf)
        deviation = returns.std(axis=1, ddof=1)
        part["mean"], part["deviation"] = returns.mean(axis=1), np.where(deviation > ROUNDING, deviation, 0.0)
        self.fan[first : first + len(returns)] = np.exp(np.cumsum(logs, axis=1))[:, self._shown]

    def accounts(self, level: int | None, days: int, block: int | None = None) -> Accounts:
        """All of them."""
        return Accounts(outcomes=outcomes(self.excursions, level, days, self.ruin, None, block), fan=self.fan)


def replayed(course: Course, model: Model, paths: int, jobs: int) -> Replayed:
    """Run the policy through paths 0 … `paths` − 1 of `model`.  A path's numbers depend on its own number alone."""
    days = len(course.day_ends)
    own, hold = (Tally(paths, course.shown, course.ruin) for _ in range(2))
    depth, liquidated, trips = np.empty(paths), np.empty(paths, np.bool_), np.empty(paths, np.int64)

    def some(first: int) -> None:
        count = min(BATCH, paths - first)
        returns, held = np.empty((count, days)), np.empty((count, days))
        for i in range(count):
            returns[i], held[i], tally = _one(course, model, first + i)
            depth[first + i], trips[first + i] = tally["max_drawdown"], tally["trips"]
            liquidated[first + i] = tally["liquidations"] > 0
        own.take(first, returns)
        hold.take(first, held)

    # What has learnt is one object, and a user's own: no two threads may ask it at a time.
    in_order(some, range(0, paths, BATCH), 1 if course.asked.fitted else jobs)
    return Replayed(
        account=own.accounts(model.level, days),
        hold=hold.accounts(model.level, days),
        depth=depth,
        liquidated=liquidated,
        trips=trips,
    )


def _one(course: Course, model: Model, number: int) -> tuple[F8, F8, np.void]:
    """Daily returns (D,) of the policy and of buy-and-hold along one path, and the tally of the policy's account."""
    origin, asked = course.origin, course.asked
    market = continued(model, origin.shapes, origin.before, number=number, open_ts=origin.open_ts, seed=course.seed)
    first, last = origin.warm, origin.warm + len(origin.open_ts)
    deck, intents, rows = asked.decides(market, first, last)
    lanes = replay_lanes(deck, [intents], [rows], asked.rules)
    # A horizon of a few weeks need not show by itself that its market closes at weekends.
    deck = deck if deck.calendar == course.calendar else replace(deck, calendar=course.calendar)
    returns = lane_returns(deck, lanes.daily, *rows, asked.rules.cash)[0]
    closes = np.stack([one.bars.close[-len(origin.open_ts) :] for one in market.instruments], axis=1)
    worth = (closes[course.day_ends] / origin.shapes.close).mean(axis=1)
    cost = asked.rules.taker + asked.rules.half_spread
    wealth = np.concatenate(([1.0], worth * (1.0 - cost)))
    return returns, wealth[1:] / wealth[:-1] - 1.0, lanes.tallies[0]
