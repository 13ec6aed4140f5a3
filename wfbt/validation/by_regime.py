"""What an account did in each market regime.

Regimes are fitted on each fold's training rows and filtered forward over its test rows.  A day belongs to the regime
that was the most probable at the close of the day before, so the split could have been traded: by the state of the day
itself, calm days would be calm because nothing happened on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.compute import in_order
from wfbt.data.market import HOUR
from wfbt.features.learners import training_frames
from wfbt.features.market_regimes import MARKET, MOST_ROWS, Found, RegimeLearner, RegimePlan, clock_of, most_probable
from wfbt.ledger.ledger import Ledger
from wfbt.ledger.metrics import FEWEST_DAYS, max_drawdown, sharpe, total_return
from wfbt.validation.folds import Fold
from wfbt.validation.sleeves import Portfolio
from wfbt.validation.walk_forward import Study, WalkForward, training_times

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

UNKNOWN = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldRegimes:
    """What one fold's training rows gave.  `bars_a_year` and `period` (ns) put the states into human units."""

    index: int
    rows: int
    found: Found
    notes: tuple[str, ...]
    bars_a_year: float
    period: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegimeDays:
    """The days of an account, by regime.

    Attributes
    ----------
    plan : RegimePlan
    days : (D,) datetime64[D]
    regime : (D,) int64
        Number of the regime at the close of the day before, −1 where none was known.
    returns, benchmark : (D,) float64
    trips : (D,) int64
        Round trips, now closed, that began on the day.
    periods_per_year : float
    folds : tuple of FoldRegimes
    """

    plan: RegimePlan
    days: npt.NDArray[np.datetime64]
    regime: I8
    returns: F8
    benchmark: F8
    trips: I8
    periods_per_year: float
    folds: tuple[FoldRegimes, ...]

    def of_bars(self, ledger: Ledger) -> I8:
        """(T,) the regime of the day that each bar of the account belongs to, known before the day began."""
        ends = ledger.calendar.day_ends(ledger.ts)
        return self.regime[np.searchsorted(ends, np.arange(len(ledger.ts)))]


def by_regime(plan: RegimePlan, study: Study | Portfolio, walk: WalkForward, benchmark: Ledger) -> RegimeDays:
    """Split the stitched account by the market's regime: that of the mean return of all symbols, whatever `plan.of`."""
    plan = replace(plan, of="market")
    frames = _frames(study)
    learner = RegimeLearner(plan=plan, clock=clock_of(frames))
    ledger, close = walk.ledger, study.deck.close_ts

    def fit(fold: Fold) -> tuple[FoldRegimes, F8]:
        train = training_times(study.deck, fold)
        fitted = learner.fit(training_frames(frames, train))
        for rows in fitted.fits:
            rows.check(train)
        _, weights = fitted.paths(frames)[MARKET]
        count = min(len(train), MOST_ROWS)
        days = len(ledger.calendar.day_ends(train[-count:]))
        told = FoldRegimes(
            index=fold.index,
            rows=count,
            found=fitted.found[MARKET],
            notes=fitted.fits[0].notes,
            bars_a_year=count / max(days, 1) * ledger.calendar.periods_per_year,
            period=study.deck.period,
        )
        return told, most_probable(weights)

    fitted = in_order(fit, [one.fold for one in walk.folds], study.jobs)
    ends = ledger.calendar.day_ends(ledger.ts)
    first = np.append(0, ends[:-1] + 1)
    opens = [int(close[block.start]) for _, block in walk.route]
    place = np.searchsorted(opens, ledger.ts[first], side="right") - 1
    fold = np.array([place for place, _ in walk.route])[place]
    # The last close before the day's first.
    before = np.searchsorted(learner.clock, ledger.ts[first]) - 1
    states = np.stack([path for _, path in fitted])[fold, np.maximum(before, 0)]
    known = ~np.isnan(states) & (before >= 0)
    daily = ledger.returns_daily()
    trades = ledger.trades()
    entered = np.searchsorted(
        ledger.ts, pd.DatetimeIndex(trades["entry_ts"][~trades["open"]]).as_unit("ns").asi8, side="right"
    )
    return RegimeDays(
        plan=plan,
        days=daily.index.to_numpy().astype("datetime64[D]"),
        regime=np.where(known, np.where(known, states, 0.0), UNKNOWN).astype(np.int64),
        returns=np.asarray(daily, np.float64),
        benchmark=np.asarray(benchmark.returns_daily(), np.float64),
        trips=np.bincount(np.searchsorted(ends, entered), minlength=len(ends)),
        periods_per_year=ledger.calendar.periods_per_year,
        folds=tuple(told for told, _ in fitted),
    )


def _frames(study: Study | Portfolio) -> Mapping[str, pd.DataFrame]:
    """Bars of every symbol that is traded."""
    if isinstance(study, Study):
        return study.frames
    own = {symbol: frame for member in study.members for symbol, frame in member.study.frames.items()}
    return {symbol: own[symbol] for symbol in study.deck.symbols}


def sharpe_error(returns: F8, periods_per_year: float) -> float:
    """Standard error of the annual Sharpe ratio of independent returns, skewed and fat-tailed as they are.

    √((1 − g₃·SR + (g₄ − 1)/4·SR²)/(n − 1)), per observation.  Mertens (2002); Bailey and López de Prado (2012), eq. 5.
    """
    gap = returns - returns.mean()
    spread = gap.std()
    ratio = returns.mean() / returns.std(ddof=1)
    g3, g4 = np.mean(gap**3) / spread**3, np.mean(gap**4) / spread**4
    return float(np.sqrt(max(1 - g3 * ratio + (g4 - 1) / 4 * ratio**2, 0.0) / (len(returns) - 1) * periods_per_year))


def regimes_told(found: RegimeDays) -> dict[str, Any]:
    """`regimes` of result.json."""
    plan = found.plan
    return {
        "model": plan.model,
        "by": plan.by,
        "names": list(plan.names),
        "known": "a day's regime is the most probable state at the close of the day before, filtered forward with "
        "parameters from its fold's training rows",
        "days": len(found.days),
        "unknown_days": int((found.regime == UNKNOWN).sum()),
        "by_regime": {name: _row(found, number) for number, name in enumerate(plan.names)},
        "folds": [_fold(one) for one in found.folds],
        "stretches": _stretches(found),
    }


def _row(found: RegimeDays, number: int) -> dict[str, Any]:
    inside = found.regime == number
    returns, held = found.returns[inside], found.benchmark[inside]
    days, reasons = int(inside.sum()), {}
    ratio = float(sharpe(returns, found.periods_per_year)) if days >= FEWEST_DAYS else np.nan
    if np.isnan(ratio):
        few = f"{days} days in this regime; a statistic needs at least {FEWEST_DAYS}"
        why = few if days < FEWEST_DAYS else "daily returns do not vary"
        reasons = {"sharpe": why, "sharpe_error": why}
    if not days:
        reasons |= dict.fromkeys(("total_return", "max_drawdown", "benchmark_return"), "no day fell into this regime")
    return {
        "days": days,
        "share": days / len(found.days),
        "sharpe": None if np.isnan(ratio) else ratio,
        "sharpe_error": None if np.isnan(ratio) else sharpe_error(returns, found.periods_per_year),
        "total_return": float(total_return(returns)) if days else None,
        "max_drawdown": float(max_drawdown(np.cumprod(1.0 + returns), 1.0)) if days else None,
        "benchmark_return": float(total_return(held)) if days else None,
        "trades": int(found.trips[inside].sum()),
        "reasons": reasons,
    }


def _fold(one: FoldRegimes) -> dict[str, Any]:
    regimes, plan = one.found.regimes, one.found.plan
    states: dict[str, Any] | None = None
    reasons = {}
    if regimes is None or regimes.fitted is None:
        reasons["states"] = "; ".join(one.notes)
    else:
        model, states = regimes.fitted, {}
        # The first observation of clusters by mean is no single return.
        smooth = plan.model == "kmeans" and plan.by == "mean" and plan.window is not None
        for k, name in enumerate(regimes.names):
            lasts = float(model.stay[k])
            told = {
                "share": float(model.occupancy[k]),
                "mean": float(model.mean[k, 0] * one.bars_a_year),
                "volatility": None if smooth else float(np.sqrt(model.variance[k, 0] * one.bars_a_year)),
                "stay_hours": lasts * one.period / HOUR if np.isfinite(lasts) else None,
            }
            why = {"volatility": "clusters by mean see the mean of a window", "stay_hours": "it was never left"}
            states[name] = {**told, "reasons": {key: why[key] for key, value in told.items() if value is None}}
    return {
        "index": one.index + 1,
        "rows": one.rows,
        "states": states,
        "notes": list(one.notes),
        "reasons": reasons,
    }


def _stretches(found: RegimeDays) -> list[dict[str, Any]]:
    """Runs of days of one regime, first and last day."""
    starts = np.flatnonzero(np.diff(found.regime, prepend=-2))
    ends = np.append(starts[1:], len(found.regime)) - 1
    names = found.plan.names
    return [
        {
            "regime": None if found.regime[a] == UNKNOWN else names[found.regime[a]],
            "first": str(found.days[a]),
            "last": str(found.days[b]),
        }
        for a, b in zip(starts, ends, strict=True)
    ]
