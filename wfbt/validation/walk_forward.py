"""Choose on the past, trade the future, fold after fold, as one account.

Each fold replays every candidate over its training rows and picks the best by the objective; the chosen parameters
decide on the test rows.  What the folds decide is stitched and replayed as one continuous account, so positions and
costs cross the borders as they would in life.  Every candidate's returns, winners' and losers', are kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.compute import in_order
from wfbt.engine.backtest import replay_ledger, span
from wfbt.engine.intents import Heard, Lowering, Said
from wfbt.engine.sweep import replay_lanes
from wfbt.engine.tape import Deck
from wfbt.errors import ConfigError, PolicyError
from wfbt.features.forecast import COLUMN
from wfbt.features.learners import FitRows, Learner, learn
from wfbt.kernels.abi import Rules
from wfbt.ledger.ledger import Ledger
from wfbt.ledger.metrics import FEWEST_DAYS, daily_returns, objective
from wfbt.policy.base import Columns, Policy, evaluate
from wfbt.validation.folds import Fold
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
    """

    frames: Mapping[str, pd.DataFrame]
    train: I8 | None = None
    fits: tuple[FitRows, ...] = ()
    forecast: Mapping[str, F8] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """A policy, the market it is tried on, and everything that stays the same for all its candidates.

    `learners` are fitted anew on every fold's training rows; what they put out joins the frames.
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

    @property
    def fitted(self) -> bool:
        """Whether anything learns from training rows, so that every fold needs its own columns."""
        return self.rule.fitted or bool(self.learners)

    def view(self, fold: Fold) -> View:
        """What the candidates are shown in `fold`; the same in every fold when nothing is fitted."""
        if not self.fitted:
            return View(frames=self.frames)
        train = training_times(self.deck, fold)
        frames, fits = learn(self.learners, self.frames, train)
        if self.rule.fitted:
            closes = {symbol: pd.DatetimeIndex(frame.index).as_unit("ns").asi8 for symbol, frame in frames.items()}
            fits += tuple(
                FitRows(what="policy", symbol=symbol, rows=own[np.isin(own, train)]) for symbol, own in closes.items()
            )
        forecast = None
        if any(one.key == COLUMN for one in self.learners):
            forecast = {symbol: frame[COLUMN].to_numpy(np.float64) for symbol, frame in frames.items()}
        return View(frames=frames, train=train, fits=fits, forecast=forecast)

    def say(self, candidate: int, view: View) -> Said:
        """What a candidate says on the whole span."""
        return self.lowering.say(self.columns(candidate, view), view.forecast)

    def columns(self, candidate: int, view: View) -> dict[str, Columns]:
        """What a candidate wants of every symbol of the deck; of one that is not in `frames`, nothing."""
        wants = evaluate(self.rule, view.frames, self.candidates[candidate], view.train)
        places = zip(self.deck.symbols, self.deck.places, strict=True)
        return {symbol: wants[symbol] if symbol in wants else nothing(len(own)) for symbol, own in places}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """What the candidates of one fold did: everything a fold has to remember.

    Attributes
    ----------
    scores : (C,) float64
        The objective on training rows, NaN where it is undefined.
    chosen : int
    train_returns : (C, D) float64; test_returns : (C, E) float64
        Daily net returns of each candidate, alone from opening cash, on the fold's training and test rows.
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
    `out_of_sample` the fold's part of the one stitched account.
    """

    fold: Fold
    params: Mapping[str, Any]
    trial: Trial
    in_sample: Ledger
    out_of_sample: Ledger
    fits: tuple[FitRows, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WalkForward:
    """All folds, what they decided, and the one account that followed it.

    `views` are what the candidates were shown, by fold; empty where several studies were walked together.
    `lent` as in `Said`, of what was chosen.
    """

    folds: tuple[FoldResult, ...]
    ledger: Ledger
    decided: Decided
    views: tuple[View, ...] = ()
    lent: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Where finished folds are kept: `recall(i)` gives a Trial or None, `keep(i, trial)` stores one."""

    recall: Callable[[int], Trial | None] = field(default=lambda index: None)
    keep: Callable[[int, Trial], None] = field(default=lambda index, trial: None)


def nothing(rows: int) -> Columns:
    """Of a symbol that is left alone: no target, and no distance that a sizing could miss."""
    unsaid = np.full(rows, np.nan)
    return Columns(target=unsaid, stop=unsaid)


def rows_of(slices: tuple[slice, ...]) -> tuple[int, int]:
    """First and last-plus-one decision bar of a block that is in one piece."""
    (one,) = slices
    return int(one.start), int(one.stop)


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
    deck = study.deck
    trials: list[Trial] = []
    views: list[View] = []
    heard: list[Heard] | None = None
    for fold in folds:
        trial = memory.recall(fold.index)
        views.append(study.view(fold) if study.fitted or not views else views[0])
        if trial is None:
            train, test = span(deck, *rows_of(fold.train)), span(deck, *rows_of(fold.test))
            if study.fitted:
                heard = _hear(study, [train[0], test[0]], views[-1], progress)
            elif heard is None:
                starts = [span(deck, *rows_of(block))[0] for one in folds for block in (one.train, one.test)]
                heard = _hear(study, starts, views[-1], progress)
            trial = _try(study, heard, train, test)
            if trial.train_returns.shape[1] < FEWEST_DAYS and study.objective != "total_return" and len(heard) > 1:
                raise ConfigError(
                    f"folds: fold {fold.index + 1} learns from {trial.train_returns.shape[1]} days, and of fewer than "
                    f"{FEWEST_DAYS} there is no {study.objective} to choose by; lengthen folds.train"
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


def training_times(deck: Deck, fold: Fold) -> I8:
    """Closes of the bars that a fold learns from."""
    return deck.close_ts[slice(*rows_of(fold.train))]


def _hear(study: Study, starts: Sequence[int], view: View, progress: Callable[[str, int, int], None]) -> list[Heard]:
    total, done = len(study.candidates), itertools.count(1)

    def hear(candidate: int) -> Heard:
        heard = study.say(candidate, view).heard_from(starts)
        if (count := next(done)) == total or count % max(1, total // 10) == 0:
            progress("candidates evaluated", count, total)
        return heard

    return in_order(hear, range(total), study.jobs)


def _try(study: Study, heard: Sequence[Heard], train: tuple[int, int], test: tuple[int, int]) -> Trial:
    """Replay every candidate on the training and on the test rows, and choose by the training rows alone."""
    deck, count = study.deck, len(heard)
    intents = [one.between(*train) for one in heard] + [one.between(*test) for one in heard]
    lanes = replay_lanes(deck, intents, [train] * count + [test] * count, study.rules, study.jobs)
    train_returns = lane_returns(deck, lanes.daily[:count], *train, study.rules.cash)
    scores = objective(study.objective, train_returns, deck.calendar.periods_per_year)
    trips = lanes.tallies["trips"]
    return Trial(
        scores=scores,
        chosen=int(np.argmax(np.where(np.isnan(scores), -np.inf, scores))),
        train_returns=train_returns,
        test_returns=lane_returns(deck, lanes.daily[count:], *test, study.rules.cash),
        round_trips=np.stack([trips[:count], trips[count:]], axis=1),
    )


def _stitch(study: Study, folds: Sequence[Fold], trials: Sequence[Trial], views: Sequence[View]) -> WalkForward:
    deck = study.deck
    parts: list[Said] = []
    learnt: list[Ledger] = []
    said: dict[int, Said] = {}
    for fold, trial, view in zip(folds, trials, views, strict=True):
        train = span(deck, *rows_of(fold.train))
        if study.fitted:
            whole = study.say(trial.chosen, view)
        else:
            if trial.chosen not in said:
                said[trial.chosen] = study.say(trial.chosen, view)
            whole = said[trial.chosen]
        own = whole.heard_from([train[0]]).between(*train)
        learnt.append(replay_ledger(deck, own, study.rules, *rows_of(fold.train)))
        again = learnt[-1].returns_daily().to_numpy(np.float64)
        if not np.allclose(again, trial.train_returns[trial.chosen], rtol=1e-9, atol=1e-12):
            raise PolicyError(
                f"{study.rule.name}: asked twice with the same bars and parameters it gave two answers (fold "
                f"{fold.index + 1}); a rule may keep no state between calls and must seed whatever it draws"
            )
        parts.append(whole.within(*span(deck, *rows_of(fold.test))))
    first, last = rows_of(folds[0].test)[0], rows_of(folds[-1].test)[1]
    intents = Said.stitched(parts).intents()
    decided = Decided(deck=deck, rules=study.rules, intents=intents, first=first, last=last)
    ledger = replay_ledger(deck, intents, study.rules, first, last)
    close = deck.close_ts
    results = []
    for fold, trial, in_sample, view in zip(folds, trials, learnt, views, strict=True):
        begin, end = rows_of(fold.test)
        opens = int(close[begin] - deck.period)
        results.append(
            FoldResult(
                fold=fold,
                params=dict(study.candidates[trial.chosen]),
                trial=trial,
                in_sample=in_sample,
                out_of_sample=ledger.slice(opens if begin == first else int(close[begin - 1]), int(close[end - 1])),
                fits=view.fits,
            )
        )
    lent = tuple(sorted({one for part in parts for one in part.lent}))
    return WalkForward(folds=tuple(results), ledger=ledger, decided=decided, views=tuple(views), lent=lent)
