"""What the leak tests ask: one candidate of one study, on the market as it was and on others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import Market
from wfbt.errors import PolicyError, WfbtError
from wfbt.features.learners import Fitted, training_frames
from wfbt.policy.answers import FEATURE, INTENT, Answer, answer, differences
from wfbt.policy.base import evaluate
from wfbt.policy.frames import market_frames
from wfbt.validation.folds import Fold
from wfbt.validation.walk_forward import Study, View, WalkForward

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LULL = 24
"""Bars whose mean move tells a calm stretch from a wild one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """One candidate as one fold saw it; of a study that fits nothing, as every fold did.

    Attributes
    ----------
    sleeve : str
        Empty where there is but one study.
    fold : Fold or None
        Whose training rows were learnt from; None when nothing is fitted.
    view : View
        What the walk showed the candidate.
    fitted : tuple
        The features as fitted on the fold's training rows, in their order.
    chosen : bool
        Whether a fold chose it.
    """

    sleeve: str
    study: Study
    candidate: int
    fold: Fold | None
    view: View
    fitted: tuple[Fitted, ...] = ()
    chosen: bool = True

    @property
    def params(self) -> Mapping[str, Any]:
        """Of the candidate."""
        return self.study.candidates[self.candidate]

    @property
    def market(self) -> Market:
        """As it was."""
        return self.study.lowering.market

    @cached_property
    def base(self) -> Answer:
        """What it was shown and what it says of the whole span."""
        return answer(self.view.frames, self.say(self.view.frames))

    @cached_property
    def rows(self) -> tuple[int, int]:
        """First and last-plus-one decision bar after which the future may change: decisions there, and rows to come."""
        spoken = [own[~np.isnan(self.base.columns[INTENT, symbol, "target"])] for symbol, own in self.places.items()]
        first = min((int(own[0]) for own in spoken if len(own)), default=self.clock_rows)
        if self.view.train is not None:
            first = max(first, int(np.searchsorted(self.study.deck.close_ts, self.view.train[-1])))
        return first, max(first, self.clock_rows - 1)

    @property
    def clock_rows(self) -> int:
        """Decision bars in all."""
        return len(self.study.deck.close_ts)

    @cached_property
    def begun(self) -> int:
        """The first decision bar by which every symbol it is shown has a bar."""
        return max((int(own[0]) for own in self.places.values()), default=0)

    @cached_property
    def places(self) -> dict[str, I8]:
        """The decision bars that are each symbol's own, of the symbols it is shown."""
        deck = self.study.deck
        return {
            symbol: own for symbol, own in zip(deck.symbols, deck.places, strict=True) if symbol in self.view.frames
        }

    @cached_property
    def changes(self) -> I8:
        """Decision bars at which the target of any symbol is another number than before, increasing."""
        changed = np.zeros(self.clock_rows, np.bool_)
        for symbol, own in self.places.items():
            target = self.base.columns[INTENT, symbol, "target"]
            before = np.concatenate(([np.nan], target[:-1]))[: len(target)]
            changed[own[(target != before) & ~np.isnan(target)]] = True
        return np.flatnonzero(changed)

    @cached_property
    def regime(self) -> I8:
        """(T,) regime of each decision bar, −1 unknown: the one that it is shown, else thirds of volatility."""
        symbol, frame = next(iter(self.view.frames.items()))
        if "regime" not in frame:
            return thirds(self.study)
        out = np.full(self.clock_rows, -1)
        out[self.places[symbol]] = np.nan_to_num(frame["regime"].to_numpy(np.float64), nan=-1.0).astype(np.int64)
        return out

    def frames(self, market: Market) -> dict[str, pd.DataFrame]:
        """What it would be shown of another market by what was fitted on the real one."""
        frames = {symbol: one for symbol, one in market_frames(market).items() if symbol in self.view.frames}
        for one in self.fitted:
            for symbol, columns in one.columns(frames).items():
                frames[symbol] = frames[symbol].assign(**columns)
        return frames

    def say(self, frames: Mapping[str, pd.DataFrame]) -> Any:
        """Columns of each symbol."""
        return evaluate(self.study.rule, frames, self.params, self.view.train)

    def ask(self, market: Market) -> Answer | None:
        """What it says of another market; None where it refuses it, which is no leak."""
        try:
            frames = self.frames(market)
            return answer(frames, self.say(frames))
        except WfbtError:  # counted by whoever asks: a refusal is no leak
            return None

    def again(self) -> Answer:
        """What it says of the market as it was, asked anew."""
        frames = self.frames(self.market)
        return answer(frames, self.say(frames))

    def check_steady(self, before: Answer | None = None) -> None:
        """PolicyError when the same question has two answers: that would look like a leak and is none."""
        found = differences(before or self.base, self.again(), int(self.study.deck.close_ts[-1]))
        if not found:
            return
        (kind, symbol, name), one = found[0].key, found[0]
        when = f"{pd.Timestamp(one.ts, tz='UTC'):%Y-%m-%d %H:%M}"
        if kind == FEATURE:
            raise PolicyError(
                f"{name} of {symbol}: fitted twice on the same rows it gave two values at {when}; seed it"
            )
        raise PolicyError(
            f"{self.study.rule.name}: asked twice with the same bars and parameters it gave two answers ({name} of "
            f"{symbol} at {when}: {one.was:g} and {one.now:g}); a rule may keep no state between calls and must seed "
            "whatever it draws"
        )


def thirds(study: Study) -> I8:
    """(T,) whether each decision bar is a calm (0), middling (1) or wild (2) one of the first symbol; −1 unknown."""
    close, own = study.lowering.market.instruments[0].bars.close, study.deck.places[0]
    moves = pd.Series(np.abs(np.diff(np.log(close), prepend=np.nan))).rolling(LULL, min_periods=1).mean().to_numpy()
    out = np.full(len(study.deck.close_ts), -1)
    known = ~np.isnan(moves)
    if known.any():
        out[own[known]] = np.searchsorted(np.quantile(moves[known], [1 / 3, 2 / 3]), moves[known])
    return out


def chosen_questions(sleeve: str, study: Study, walk: WalkForward) -> list[Question]:
    """One for each candidate that a fold chose, and for each fold where anything is fitted."""
    out: list[Question] = []
    for one, view in zip(walk.folds, walk.views, strict=True):
        if not study.fitted:
            if all(other.candidate != one.trial.chosen for other in out):
                own = Question(sleeve=sleeve, study=study, candidate=one.trial.chosen, fold=None, view=walk.views[0])
                out.append(own)
            continue
        out.append(
            Question(
                sleeve=sleeve,
                study=study,
                candidate=one.trial.chosen,
                fold=one.fold,
                view=view,
                fitted=_fitted_again(study, view),
            )
        )
    return out


def other_questions(asked: list[Question], most: int) -> list[Question]:
    """Up to `most` candidates of the same study that no fold chose, spread over the search."""
    study = asked[0].study
    rest = np.setdiff1d(np.arange(len(study.candidates)), [one.candidate for one in asked])
    picked = rest[np.unique(np.linspace(0, len(rest) - 1, min(most, len(rest))).astype(int))] if len(rest) else rest
    return [replace(asked[0], candidate=int(candidate), chosen=False) for candidate in picked]


def _fitted_again(study: Study, view: View) -> tuple[Fitted, ...]:
    """The study's features, fitted on the training rows of `view`."""
    if not study.learners:
        return ()
    assert view.train is not None
    frames: dict[str, pd.DataFrame] = dict(study.frames)
    out = []
    for learner in study.learners:
        fitted = learner.fit(training_frames(frames, view.train))
        for symbol, columns in fitted.columns(frames).items():
            frames[symbol] = frames[symbol].assign(**columns)
        out.append(fitted)
    return tuple(out)
