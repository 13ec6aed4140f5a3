"""How many bars a strategy needs before its first decision, found by letting the data begin later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.data.market import Bars, Funding, Market
from wfbt.errors import WfbtError
from wfbt.policy.answers import INTENT, Key, answer, unequal
from wfbt.policy.frames import market_frames
from wfbt.validation.questions import Question

I8 = npt.NDArray[np.int64]

STARTS = 8
FEW_VALUES = 64
"""Columns of no more different numbers are decisions and have to agree exactly."""
SHORTEST = 0.2
"""Share of the data that has to be left to see whether a column comes to agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """One column's warm-up.

    Attributes
    ----------
    key : (str, str, str)
        feature or intent, symbol, name.
    rows : int or None
        Bars from the beginning of the data until it agrees with a longer past for good, in the worst case tried; None
        where it never came to agree.
    tolerance : float
        Relative.
    longest : int
        Bars that were left to come to agree.
    params : mapping
        Of the candidate that was the slowest.
    """

    key: Key
    rows: int | None
    tolerance: float
    longest: int
    params: Mapping[str, Any]


def since(market: Market, start: int) -> Market:
    """`market` from `start` on (ns): bars that open, rates settled and trades made no earlier.  Series stay whole."""

    def cut(bars: Bars) -> Bars:
        first = int(np.searchsorted(bars.open_ts, start))
        names = ("open_ts", "open", "high", "low", "close", "volume")
        return replace(bars, **{name: getattr(bars, name)[first:].copy() for name in names})

    def settled(funding: Funding) -> Funding:
        # The last rate before the start stands at it, as in life.
        first = max(int(np.searchsorted(funding.ts, start, side="right")) - 1, 0)
        return replace(funding, **{name: getattr(funding, name)[first:].copy() for name in ("ts", "rate", "mark")})

    instruments = tuple(
        replace(
            one,
            bars=cut(one.bars),
            funding=None if one.funding is None else settled(one.funding),
            trades=None if one.trades is None else one.trades.since(start),
            mark=None,
            execution_bars=None,
        )
        for one in market.instruments
    )
    return replace(market, instruments=instruments)


def warm_up(questions: Sequence[Question], tolerance: float, seed: int) -> list[Warmth]:
    """The warm-up of every column that `questions` put out, the slowest of them over candidates and beginnings.

    What is fitted stays fitted on the same training rows, so data then begin no later than those.
    """
    worst: dict[Key, Warmth] = {}
    for place, question in enumerate(questions):
        for start in _starts(question, np.random.default_rng([seed, place])):
            for one in _one(question, int(start), tolerance):
                known = worst.get(one.key)
                slower = known is None or (known.rows is not None and (one.rows is None or one.rows > known.rows))
                if slower:
                    worst[one.key] = one
    return sorted(worst.values(), key=lambda one: (one.key[0] != INTENT, one.key[1]))


def _starts(question: Question, rng: np.random.Generator) -> I8:
    """Decision bars at which the data may begin instead."""
    last = int(question.clock_rows * (1 - SHORTEST))
    if question.view.train is not None:
        last = min(last, int(np.searchsorted(question.study.deck.close_ts, question.view.train[0])))
    first = min(max(question.begun, 1), last)
    if last <= first:
        return np.zeros(0, np.int64)
    return np.unique(rng.integers(first, last, STARTS))


def _one(question: Question, start: int, tolerance: float) -> list[Warmth]:
    deck = question.study.deck
    opens = int(deck.close_ts[start]) - deck.period
    try:
        market = since(question.market, opens)
        frames = {symbol: one for symbol, one in market_frames(market).items() if symbol in question.view.frames}
        for fitted in question.fitted:
            for symbol, columns in fitted.columns(frames).items():
                frames[symbol] = frames[symbol].assign(**columns)
        late = answer(frames, question.say(frames))
    except WfbtError:  # what refuses data as too short has no warm-up from there
        return []
    out = []
    for key, column in late.columns.items():
        whole = question.base.columns.get(key)
        rows = len(column)
        if whole is None or not rows:
            continue
        few = len(np.unique(whole[~np.isnan(whole)])) <= FEW_VALUES
        allowed = 0.0 if few else tolerance
        apart = np.flatnonzero(unequal(whole[-rows:], column, allowed))
        settled = int(apart[-1]) + 1 if len(apart) else 0
        # What differs to the end has not come to agree; one row of luck at the end is no agreement.
        never = settled > rows * (1 - SHORTEST / 2)
        found = None if never else settled
        out.append(Warmth(key=key, rows=found, tolerance=allowed, longest=rows, params=question.params))
    return out
