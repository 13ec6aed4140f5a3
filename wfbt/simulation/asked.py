"""A finished run as it is asked about markets that never were: what it chose and learnt in its last fold, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import Market
from wfbt.engine.backtest import span
from wfbt.engine.setup import Setup
from wfbt.engine.tape import Deck
from wfbt.features.learners import Fitted, Frames, apply
from wfbt.kernels.abi import Rules
from wfbt.policy.base import Policy
from wfbt.simulation.delays import Drawn
from wfbt.validation.again import Ran
from wfbt.validation.sleeves import Portfolio, PortfolioFold, PortfolioWalk, said_again
from wfbt.validation.walk_forward import Study, View, WalkForward, training_times

I8 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sleeve:
    """One strategy of the account, settled.

    Attributes
    ----------
    study : Study
        Its rule learns no more.
    params : mapping
        What the last fold chose.
    learnt : tuple of Fitted
        Regimes and forecasts of volatility, fitted in that fold.
    """

    name: str
    study: Study
    params: Mapping[str, Any]
    learnt: tuple[Fitted, ...]

    @property
    def policy(self) -> Policy:
        """What decides."""
        return self.study.rule

    def shown(self, frames: Frames) -> dict[str, pd.DataFrame]:
        """`frames` with the columns of what has learnt, filtered forward along them."""
        return apply(self.learnt, frames)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """The account of the last fold.

    Attributes
    ----------
    ran : Ran
        Of the settled study.
    sleeves : tuple of Sleeve
        One where the strategy has none.
    train : (K,) int64
        Closes of the bars that the fold learns from, ns UTC.
    blocks : (B,) int64
        The first of those in each stretch that no test rows interrupt.
    fitted : bool
        Whether a rule has learnt: such a rule is asked one question at a time.
    delays : mapping
        Of each latency (by its identity: the account's, and that of sleeves' pairs).
    """

    ran: Ran
    sleeves: tuple[Sleeve, ...]
    train: I8
    blocks: I8
    fitted: bool
    delays: dict[int, Drawn] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, ran: Ran) -> Asked:
        """The last fold knows the most and its parameters would be traded next."""
        walk = ran.walk
        fold = walk.folds[-1]
        if isinstance(ran.study, Study):
            sleeves: tuple[Sleeve, ...] = (_settled("", ran.study, walk),)
            study: Study | Portfolio = sleeves[0].study
        else:
            assert isinstance(walk, PortfolioWalk)
            sleeves = tuple(_settled(one.name, one.study, walk.alone[one.name]) for one in ran.study.members)
            members = zip(ran.study.members, sleeves, strict=True)
            study = replace(ran.study, members=tuple(replace(one, study=own.study) for one, own in members))
        deck = ran.plain.deck
        return cls(
            ran=replace(ran, study=study, said={}),
            sleeves=sleeves,
            train=training_times(deck, fold.fold),
            blocks=deck.close_ts[[block.start for block in fold.fold.train]],
            fitted=any(one.study.rule is not other.rule for one, other in zip(sleeves, _studies(ran), strict=True)),
        )

    @property
    def setup(self) -> Setup:
        """Costs, delays, sizing, exits and limits."""
        return self.ran.plain.lowering.setup

    @property
    def rules(self) -> Rules:
        """The same, as the kernel is told."""
        return self.ran.study.rules

    def decides(self, market: Market, first: int, last: int) -> tuple[Deck, npt.NDArray[np.void], tuple[int, int]]:
        """What the account hears on decision bars [first, last) of `market`, flat before, on which deck and rows."""
        there = self.ran.on(market, market, self._drawn)
        if isinstance(there, Study):
            (sleeve,) = self.sleeves
            view = _view(there, sleeve)
            said = there.say(self.ran.walk.folds[-1].trial.chosen, view)
            deck = there.judged([(view, slice(0, len(there.deck.decisions)))])
            rows = span(deck, first, last)
            return deck, said.within(*rows).intents(), rows
        fold = self.ran.walk.folds[-1]
        assert isinstance(fold, PortfolioFold)
        views = {one.name: _view(one.study, sleeve) for one, sleeve in zip(there.members, self.sleeves, strict=True)}
        rows = span(there.book, first, last)
        return there.book, said_again(there, fold.sleeves, views, (first, last), {}).intents(), rows

    def _drawn(self, setup: Setup) -> Setup:
        """`setup` with delays that are drawn once for all markets."""
        key = id(setup.latency)
        if key not in self.delays:
            self.delays[key] = Drawn.of(setup.latency)
        return replace(setup, latency=self.delays[key])


def _studies(ran: Ran) -> tuple[Study, ...]:
    return (ran.study,) if isinstance(ran.study, Study) else tuple(one.study for one in ran.study.members)


def _settled(name: str, study: Study, walk: WalkForward) -> Sleeve:
    """A sleeve as its own last fold left it."""
    view, trial = walk.views[-1], walk.folds[-1].trial
    params = study.candidates[trial.chosen]
    rule = study.rule.settled(view.frames, params, view.train)
    return Sleeve(name=name, study=replace(study, rule=rule), params=params, learnt=view.fitted)


def _view(there: Study, sleeve: Sleeve) -> View:
    frames = sleeve.shown(there.frames)
    return there.seen(frames, None)
