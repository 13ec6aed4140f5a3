"""Choose on training rows, trade the others, fold after fold, as one account.

Each fold replays every candidate over its training rows and picks the best by the objective; the chosen parameters
decide on the test rows.  What the folds decide is stitched and replayed as one continuous account, so positions and
costs cross the borders as they would in life.  Every candidate's returns, winners' and losers', are kept.

Where training or test rows are in several blocks, candidates are replayed on each from opening cash, flat, and their
daily returns are put one after another.  Where blocks are tested by several folds, each path through them is an
account.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.compute import in_order
from wfbt.engine.backtest import replay_ledger, span
from wfbt.engine.closed_loop import Watching, stitched, watching
from wfbt.engine.intents import Heard, Lowering, Said
from wfbt.engine.sweep import replay_lanes
from wfbt.engine.tape import Deck
from wfbt.errors import ConfigError, PolicyError
from wfbt.features.forecast import COLUMN
from wfbt.features.learners import FitRows, Fitted, Learner, learn
from wfbt.kernels.abi import Rules
from wfbt.ledger.chain import Chain
from wfbt.ledger.ledger import Ledger
from wfbt.ledger.metrics import FEWEST_DAYS, daily_returns, objective
from wfbt.policy.base import Columns, Policy, deliberate, evaluate
from wfbt.validation.folds import Fold, Route, paths
from wfbt.validation.realism import Decided

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """What candidates are shown in one fold: frames, whatever was fitted for them, and the rows they may learn from.

    Attributes
    ----------
    frames : mapping
        Bars of each symbol that is traded, with the columns of fitted features.
    train : (K,) int64, or None when nothing is fitted
        Closes of the training bars, ns UTC.
    fits : tuple of FitRows
        What was fitted on which rows; checked to be training rows.
    forecast : mapping of symbol to (T,) float64, or None
        Volatility a year, forecast at each close by what was fitted; None where no model of it is.
    fitted : tuple of Fitted
        What has learnt, in the order of the study's learners.
    """

    frames: Mapping[str, pd.DataFrame]
    train: I8 | None = None
    fits: tuple[FitRows, ...] = ()
    forecast: Mapping[str, F8] | None = None
    fitted: tuple[Fitted, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """A policy, the market it is tried on, and everything that stays the same for all its candidates.

    `learners` are fitted anew on every fold's training rows; what they put out joins the frames.  `scale` is what sizes
    are multiplied by in each regime, by its number; 1 where no regime is known.  With `forecast_limit` the limit on
    volatility judges by the forecast instead of the trailing figure.
    """

    deck: Deck
    frames: Mapping[str, pd.DataFrame]
    rule: Policy
    candidates: Sequence[Mapping[str, Any]]
    lowering: Lowering
    rules: Rules
    objective: str
    jobs: int = 1
    learners: tuple[Learner, ...] = ()
    scale: tuple[float, ...] = ()
    forecast_limit: bool = False

    @property
    def fitted(self) -> bool:
        """Whether anything learns from training rows, so that every fold needs its own columns."""
        return self.rule.fitted or bool(self.learners)

    def view(self, fold: Fold) -> View:
        """What the candidates are shown in `fold`; the same in every fold when nothing is fitted."""
        if not self.fitted:
            return View(frames=self.frames)
        train = training_times(self.deck, fold)
        frames, fits, fitted = learn(self.learners, self.frames, train)
        if self.rule.fitted:
            closes = {symbol: pd.DatetimeIndex(frame.index).as_unit("ns").asi8 for symbol, frame in frames.items()}
            fits += tuple(
                FitRows(what="policy", symbol=symbol, rows=own[np.isin(own, train)]) for symbol, own in closes.items()
            )
        return replace(self.seen(frames, train, fits), fitted=fitted)

    def seen(self, frames: Mapping[str, pd.DataFrame], train: I8 | None, fits: tuple[FitRows, ...] = ()) -> View:
        """A view of `frames` that have the columns of every learner."""
        return View(frames=frames, train=train, fits=fits, forecast=self.forecast_in(frames))

    def forecast_in(self, frames: Mapping[str, pd.DataFrame]) -> dict[str, F8] | None:
        """Volatility a year (T,) that the columns of `frames` forecast; None where no model of it is."""
        if not any(one.key == COLUMN for one in self.learners):
            return None
        return {symbol: frame[COLUMN].to_numpy(np.float64) for symbol, frame in frames.items()}

    def judged(self, shown: Sequence[tuple[View, slice]]) -> Deck:
        """The deck that accounts are judged on, each block of decision bars by the forecasts of its view."""
        if not self.forecast_limit:
            return self.deck
        deck = self.deck
        volatility = np.full(deck.tape.open.shape, np.nan)
        for view, block in shown:
            first, last = span(deck, block.start, block.stop)
            for a, symbol in enumerate(deck.symbols):
                if view.forecast is not None and symbol in view.forecast:
                    rows = deck.decisions[deck.places[a]]
                    known = np.searchsorted(rows, np.arange(first, last), side="right") - 1
                    volatility[first:last, a] = np.append(view.forecast[symbol], np.nan)[known]
        return replace(deck, activity=deck.activity._replace(volatility=volatility))

    def say(self, candidate: int, view: View) -> Said | Watching:
        """What a candidate says on the whole span."""
        return self.saying(self.candidates[candidate], view)

    def saying(self, params: Mapping[str, Any], view: View) -> Said | Watching:
        """What the policy says on the whole span with `params`, which need be no candidate's."""
        if not self.rule.watches:
            return self.lowering.say(self.wants(params, view), view.forecast)
        given = deliberate(self.rule, view.frames, params, view.train)
        scale = {name: self._scaled(frame) for name, frame in view.frames.items()} if self.scale else {}
        deck = self.judged([(view, slice(0, len(self.deck.decisions)))])
        return watching(self.lowering, self.rules, given, view.forecast, scale).on(deck, self.rules)

    def columns(self, candidate: int, view: View) -> dict[str, Columns]:
        """What a candidate wants of every symbol of the deck; of one that is not in `frames`, nothing."""
        return self.wants(self.candidates[candidate], view)

    def wants(self, params: Mapping[str, Any], view: View) -> dict[str, Columns]:
        """What the policy wants with `params`, which need be no candidate's."""
        wants = evaluate(self.rule, view.frames, params, view.train)
        if self.scale:
            wants = {name: replace(one, scale=self._scaled(view.frames[name])) for name, one in wants.items()}
        places = zip(self.deck.symbols, self.deck.places, strict=True)
        return {symbol: wants[symbol] if symbol in wants else nothing(len(own)) for symbol, own in places}

    def _scaled(self, frame: pd.DataFrame) -> F8:
        """(T,) what sizes of a symbol are multiplied by at each close."""
        regime = frame["regime"].to_numpy(np.float64)
        known = ~np.isnan(regime)
        return np.where(known, np.array(self.scale)[np.where(known, regime, 0.0).astype(np.int64)], 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """What the candidates of one fold did: everything a fold has to remember.

    Attributes
    ----------
    scores : (C,) float64
        The objective on training rows, NaN where it is undefined.
    chosen : int
    train_returns : (C, D) float64; test_returns : (C, E) float64
        Daily net returns of each candidate, alone from opening cash, on the fold's training and test rows, one block
        after the other.
    round_trips : (C, 2) int64
        On training and on test rows.
    """

    scores: F8
    chosen: int
    train_returns: F8
    test_returns: F8
    round_trips: I8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldResult:
    """One fold: what was tried, what was chosen, how that did in and out of sample.

    `fits` says what was fitted on which rows, `in_sample` is the chosen candidate's own account over training rows;
    `out_of_sample` the fold's part of the stitched account, or of each path's where there are several.  Either is a
    Chain where it is in several blocks.
    """

    fold: Fold
    params: Mapping[str, Any]
    trial: Trial
    in_sample: Ledger | Chain
    out_of_sample: Ledger | Chain
    fits: tuple[FitRows, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """One stitched account of several: `route` says which fold decided each block, `told` holds `Ledger.metrics`.

    `equity` (T,) is at bar closes of the whole span.
    """

    route: Route
    equity: F8
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WalkForward:
    """All folds, what they decided, and the one account that followed it.

    `views` are what the candidates were shown, by fold; empty where several studies were walked together.  Where blocks
    are tested more than once, `paths` holds every way through them, and `ledger` and `decided` are those of
    `paths[shown]`, the one with the median Sharpe ratio.  `lent` as in
    `Said`, of what was chosen.
    """

    folds: tuple[FoldResult, ...]
    ledger: Ledger
    decided: Decided
    views: tuple[View, ...] = ()
    lent: tuple[tuple[str, str], ...] = ()
    paths: tuple[Path, ...] = ()
    shown: int = 0

    @property
    def route(self) -> Route:
        """Which of the folds decided each block of `ledger`, in time order."""
        return paths([one.fold for one in self.folds])[self.shown]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Where finished folds are kept: `recall(i)` gives a Trial or None, `keep(i, trial)` stores one."""

    recall: Callable[[int], Trial | None] = field(default=lambda index: None)
    keep: Callable[[int, Trial], None] = field(default=lambda index, trial: None)


def nothing(rows: int) -> Columns:
    """Of a symbol that is left alone: no target, and no distance that a sizing could miss."""
    unsaid = np.full(rows, np.nan)
    return Columns(target=unsaid, stop=unsaid)


def rows_of(slices: Sequence[slice]) -> tuple[int, int]:
    """First and last-plus-one decision bar of the stretch that holds all of `slices`, which are in time order."""
    return int(slices[0].start), int(slices[-1].stop)


def spans_of(deck: Deck, slices: Sequence[slice]) -> list[tuple[int, int]]:
    """Execution rows [start, stop) of each block."""
    return [span(deck, block.start, block.stop) for block in slices]


def tested_rows(folds: Sequence[Fold]) -> tuple[int, int]:
    """First and last-plus-one decision bar that any of `folds` tests."""
    return min(rows_of(fold.test)[0] for fold in folds), max(rows_of(fold.test)[1] for fold in folds)


def in_one(ledgers: Sequence[Ledger]) -> Ledger | Chain:
    """The ledger, or several told as one."""
    return ledgers[0] if len(ledgers) == 1 else Chain.of(ledgers)


def lane_returns(deck: Deck, daily: F8, start: int, stop: int, opening: float) -> F8:
    """(L, D) daily returns of lanes over execution rows [start, stop), from their equity at the ends of UTC days."""
    first = int(np.searchsorted(deck.day_rows, start))
    last = int(np.searchsorted(deck.day_rows, stop - 1))
    columns = np.arange(first, last + 1)
    closes = deck.tape.close_ts[np.minimum(deck.day_rows[columns], stop - 1)]
    equity = daily[:, columns[deck.calendar.day_ends(closes)]]
    return daily_returns(np.concatenate([np.full((len(equity), 1), opening), equity], axis=1))


def walk_forward(
    study: Study,
    folds: Sequence[Fold],
    memory: Memory | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> WalkForward:
    """Walk `study` through `folds`.  `progress(what, done, total)` tells of candidates evaluated and folds walked."""
    memory = memory or Memory()
    deck, every = study.deck, slice(0, len(study.deck.decisions))
    trials: list[Trial] = []
    views: list[View] = []
    heard: list[Heard | Watching] | None = None
    for fold in folds:
        trial = memory.recall(fold.index)
        views.append(study.view(fold) if study.fitted or not views else views[0])
        if trial is None:
            train, test = spans_of(deck, fold.train), spans_of(deck, fold.test)
            if study.fitted:
                heard = _hear(study, [start for start, _ in train + test], views[-1], progress)
            elif heard is None:
                starts = [start for one in folds for start, _ in spans_of(deck, one.train + one.test)]
                heard = _hear(study, starts, views[-1], progress)
            trial = _try(study, study.judged([(views[-1], every)]), heard, train, test)
            if trial.train_returns.shape[1] < FEWEST_DAYS and study.objective != "total_return" and len(heard) > 1:
                around = any(one.train[-1].stop > one.test[0].start for one in folds)
                raise ConfigError(
                    f"folds: fold {fold.index + 1} learns from {trial.train_returns.shape[1]} days, and of fewer than "
                    f"{FEWEST_DAYS} there is no {study.objective} to choose by; "
                    + ("ask for fewer folds.groups_out, or add data" if around else "lengthen folds.train")
                )
            memory.keep(fold.index, trial)
            done = "walked"
        else:
            done = "taken from the interrupted run"
        trials.append(trial)
        count = len(study.candidates)
        tried = "1 candidate" if count == 1 else f"{count} candidates"
        progress(f"fold {fold.index + 1} {done}, {tried}", len(trials), len(folds))
    return _stitch(study, folds, trials, views)


def try_fold(study: Study, fold: Fold) -> Trial:
    """What all candidates do in one fold, with nothing taken over from another."""
    view, spans = study.view(fold), spans_of(study.deck, fold.train + fold.test)
    heard = _hear(study, [start for start, _ in spans], view, lambda what, done, total: None)
    deck = study.judged([(view, slice(0, len(study.deck.decisions)))])
    return _try(study, deck, heard, spans[: len(fold.train)], spans[len(fold.train) :])


def training_times(deck: Deck, fold: Fold) -> I8:
    """Closes of the bars that a fold learns from."""
    return np.concatenate([deck.close_ts[block] for block in fold.train])


def _hear(
    study: Study, starts: Sequence[int], view: View, progress: Callable[[str, int, int], None]
) -> list[Heard | Watching]:
    total, done = len(study.candidates), itertools.count(1)

    def hear(candidate: int) -> Heard | Watching:
        heard = study.say(candidate, view).heard_from(starts)
        if (count := next(done)) == total or count % max(1, total // 10) == 0:
            progress("candidates evaluated", count, total)
        return heard

    return in_order(hear, range(total), study.jobs)


def _try(
    study: Study,
    deck: Deck,
    heard: Sequence[Heard | Watching],
    train: Sequence[tuple[int, int]],
    test: Sequence[tuple[int, int]],
) -> Trial:
    """Replay every candidate on each block of training and of test rows, and choose by the training rows alone."""
    count, spans = len(heard), [*train, *test]
    intents = [one.between(*block) for block in spans for one in heard]
    lanes = replay_lanes(deck, intents, [block for block in spans for _ in heard], study.rules, study.jobs)
    returns = [
        lane_returns(deck, lanes.daily[place * count : (place + 1) * count], *block, study.rules.cash)
        for place, block in enumerate(spans)
    ]
    train_returns = np.concatenate(returns[: len(train)], axis=1)
    scores = objective(study.objective, train_returns, deck.calendar.periods_per_year)
    trips = lanes.tallies["trips"].reshape(len(spans), count)
    return Trial(
        scores=scores,
        chosen=int(np.argmax(np.where(np.isnan(scores), -np.inf, scores))),
        train_returns=train_returns,
        test_returns=np.concatenate(returns[len(train) :], axis=1),
        round_trips=np.stack([trips[: len(train)].sum(axis=0), trips[len(train) :].sum(axis=0)], axis=1),
    )


def _stitch(study: Study, folds: Sequence[Fold], trials: Sequence[Trial], views: Sequence[View]) -> WalkForward:
    parts: dict[tuple[int, int], Said | Watching] = {}
    learnt: list[Ledger | Chain] = []
    said: dict[int, Said | Watching] = {}
    for place, (fold, trial, view) in enumerate(zip(folds, trials, views, strict=True)):
        if study.fitted:
            whole = study.say(trial.chosen, view)
        else:
            if trial.chosen not in said:
                said[trial.chosen] = study.say(trial.chosen, view)
            whole = said[trial.chosen]
        learnt.append(_again(study, fold, trial, view, whole))
        for block, rows in zip(fold.test, spans_of(study.deck, fold.test), strict=True):
            parts[place, block.start] = whole.within(*rows)
    routes = paths(folds)

    def told(route: Route) -> Decided:
        heard = stitched([parts[place, block.start] for place, block in route])
        first, last = rows_of([block for _, block in route])
        deck = study.judged([(views[place], block) for place, block in route])
        watching = heard.on(deck, study.rules) if isinstance(heard, Watching) else None
        intents = (watching or heard).intents()
        return Decided(deck=deck, rules=study.rules, intents=intents, first=first, last=last, watching=watching)

    decided = [told(route) for route in routes]
    ledgers = in_order(followed, decided, study.jobs)
    ways = tuple(
        Path(route=route, equity=ledger.equity, told=ledger.metrics())
        for route, ledger in zip(routes, ledgers, strict=True)
        if len(routes) > 1
    )
    traded: dict[tuple[int, int], Ledger] = {
        (place, block.start): part_of(ledger, block, own.first, study.deck)
        for route, ledger, own in zip(routes, ledgers, decided, strict=True)
        for place, block in route
    }
    results = tuple(
        FoldResult(
            fold=fold,
            params=dict(study.candidates[trial.chosen]),
            trial=trial,
            in_sample=in_sample,
            out_of_sample=in_one([traded[place, block.start] for block in fold.test]),
            fits=view.fits,
        )
        for place, (fold, trial, in_sample, view) in enumerate(zip(folds, trials, learnt, views, strict=True))
    )
    shown = median_path(ways) if ways else 0
    return WalkForward(
        folds=results,
        ledger=ledgers[shown],
        decided=decided[shown],
        views=tuple(views),
        lent=tuple(sorted({one for part in parts.values() for one in part.lent})),
        paths=ways,
        shown=shown,
    )


def _again(study: Study, fold: Fold, trial: Trial, view: View, whole: Said | Watching) -> Ledger | Chain:
    """The chosen candidate's accounts over the training rows; PolicyError where they are not what was tried."""
    deck = study.judged([(view, slice(0, len(study.deck.decisions)))])
    spans = spans_of(deck, fold.train)
    heard = whole.heard_from([start for start, _ in spans])
    ledgers = [
        replay_ledger(deck, heard.between(*rows), study.rules, block.start, block.stop)
        for rows, block in zip(spans, fold.train, strict=True)
    ]
    again = np.concatenate([ledger.returns_daily().to_numpy(np.float64) for ledger in ledgers])
    if not np.allclose(again, trial.train_returns[trial.chosen], rtol=1e-9, atol=1e-12):
        raise PolicyError(
            f"{study.rule.name}: asked twice with the same bars and parameters it gave two answers (fold "
            f"{fold.index + 1}); a rule may keep no state between calls and must seed whatever it draws"
        )
    return in_one(ledgers)


def followed(decided: Decided) -> Ledger:
    """The one account that follows what was decided."""
    return replay_ledger(decided.deck, decided.intents, decided.rules, decided.first, decided.last)


def part_of(ledger: Ledger, block: slice, first: int, deck: Deck) -> Ledger:
    """The decision bars of `block` in an account that begins on decision bar `first`."""
    close = deck.close_ts
    begins = int(close[block.start] - deck.period) if block.start == first else int(close[block.start - 1])
    return ledger.slice(begins, int(close[block.stop - 1]))


def median_path(ways: Sequence[Path]) -> int:
    """Which has the median Sharpe ratio, the lower of two in the middle; the first where none has one."""
    known = sorted((way.told["sharpe"], place) for place, way in enumerate(ways) if way.told["sharpe"] is not None)
    return known[(len(known) - 1) // 2][1] if known else 0
