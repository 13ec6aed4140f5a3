"""The policy of a finished walk asked again, and what the accounts that follow its answers make.

What each fold chose (parameters, weights of sleeves) stands.  The answers are stitched as the walk stitched them, over
the path it shows, and replayed out of sample as one account.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.compute import in_order
from wfbt.engine.backtest import span
from wfbt.engine.closed_loop import Watching, stitched
from wfbt.engine.intents import Said
from wfbt.engine.sweep import replay_lanes
from wfbt.kernels.abi import INTENT
from wfbt.ledger.metrics import sharpe
from wfbt.policy.base import Columns
from wfbt.validation.realism import Decided
from wfbt.validation.sleeves import Portfolio, PortfolioFold, PortfolioWalk, forecast_of, pages_of, say_pages
from wfbt.validation.walk_forward import Study, View, WalkForward, lane_returns, rows_of

F8 = npt.NDArray[np.float64]
Intents = npt.NDArray[np.void]
Params = Mapping[str, Sequence[Mapping[str, Any]]]
"""Parameters by sleeve (the empty name without sleeves) and then by fold."""

Views = Mapping[str, Sequence[View]]
"""What the policy is shown, likewise."""

Ask = Callable[[], Intents | None]
"""Intents of one account, made when it is their turn; None where there are none to be had."""

MOST_BYTES = 96 * 2**20
"""Of intents that all threads together hold."""

MOST_LANES = 32


def studies_of(study: Study | Portfolio) -> dict[str, Study]:
    """The studies by sleeve; one without sleeves under the empty name."""
    return {"": study} if isinstance(study, Study) else {one.name: one.study for one in study.members}


def chosen(walk: WalkForward) -> Params:
    """What the folds chose."""
    return {name: [one.params for one in own.folds] for name, own in _walks(walk).items()}


def shown(walk: WalkForward) -> Views:
    """What the folds were shown."""
    return {name: own.views for name, own in _walks(walk).items()}


def _walks(walk: WalkForward) -> Mapping[str, WalkForward]:
    return walk.alone if isinstance(walk, PortfolioWalk) else {"": walk}


def asked(study: Study | Portfolio, walk: WalkForward, params: Params, views: Views) -> Intents:
    """Intents of the stitched account if the folds had chosen `params` and the policy had been shown `views`.

    With `chosen(walk)` and `shown(walk)` they are those of `walk.decided`.  Of several paths it is the one shown.
    """
    if isinstance(study, Study):
        whole: dict[tuple[int, str], Said | Watching] = {}
        told = []
        for place, block in walk.route:
            own, view = params[""][place], views[""][place]
            key = place if study.fitted else -1, json.dumps(own, sort_keys=True, default=str)
            if key not in whole:
                whole[key] = study.saying(own, view)
            told.append(whole[key].within(*span(study.deck, block.start, block.stop)))
        return stitched(told).intents()
    known: dict[tuple[str, int, str], Mapping[str, Columns]] = {}
    parts, carried = [], dict[str, float]()
    for place, fold in enumerate(walk.folds):
        assert isinstance(fold, PortfolioFold)
        wants = {}
        for member in study.members:
            own, view = params[member.name][place], views[member.name][place]
            once = member.name, place if member.study.fitted else -1, json.dumps(own, sort_keys=True, default=str)
            if once not in known:
                known[once] = member.study.wants(own, view)
            wants[member.name] = known[once]
        forecast = forecast_of({member.name: views[member.name][place] for member in study.members})
        pages = pages_of(study, fold.sleeves, wants)
        parts.append(say_pages(study, pages, forecast, rows_of(fold.fold.test), carried))
    return Said.stitched(parts).intents()


def returns_of(decided: Decided, asks: Sequence[Ask], jobs: int, progress: Callable[[int], None]) -> F8:
    """(L, D) daily returns of the accounts that follow `asks` instead of what was `decided`; NaN where one is None.

    Each is replayed by itself, so nothing depends on `jobs` or on how they are put together.  `progress` hears how many
    are done, ten times or less.
    """
    deck, rules = decided.deck, decided.rules
    rows = span(deck, decided.first, decided.last)
    most = MOST_BYTES // (2 * jobs * max(1, decided.intents.nbytes))
    size = max(1, min(MOST_LANES, most, -(-len(asks) // max(1, jobs))))
    done = 0

    def some(part: Sequence[Ask]) -> F8:
        nonlocal done
        given = [ask() for ask in part]
        heard = [np.zeros(0, INTENT) if one is None else one for one in given]
        lanes = replay_lanes(deck, heard, [rows] * len(heard), rules)
        out = lane_returns(deck, lanes.daily, *rows, rules.cash)
        out[[one is None for one in given]] = np.nan
        before, done = done, done + len(part)
        if done * 10 // len(asks) > before * 10 // len(asks):
            progress(done)
        return out

    parts = in_order(some, [asks[i : i + size] for i in range(0, len(asks), size)], jobs)
    return np.concatenate(parts)


def sharpes(decided: Decided, asks: Sequence[Ask], jobs: int, progress: Callable[[int], None]) -> F8:
    """(L,) annualised Sharpe ratios of `returns_of`; NaN where there is none."""
    if not asks:
        return np.empty(0)
    return sharpe(returns_of(decided, asks, jobs, progress), decided.deck.calendar.periods_per_year)


def stream(seed: int, tag: int, number: int) -> np.random.Generator:
    """The draws of one replay of one test, whichever thread makes it."""
    return np.random.default_rng(np.random.SeedSequence([seed, tag, number]))
