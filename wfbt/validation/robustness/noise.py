"""Prices that are a little wrong when the policy looks, and right when its orders fill.

Orders filled on noisy prices would trade against the noise itself: a rule that buys dips earns every one of them back,
and a Sharpe ratio comes from nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from wfbt.data.market import Bars, Market
from wfbt.engine.intents import Lowering
from wfbt.features.learners import apply
from wfbt.features.rolling import rolling_moments
from wfbt.policy.frames import market_frames
from wfbt.validation.robustness.replays import Intents, Views, asked, chosen, shown, stream, studies_of
from wfbt.validation.sleeves import Portfolio, parts_of
from wfbt.validation.walk_forward import Study, View, WalkForward

F8 = npt.NDArray[np.float64]

TAG = 0x4E4F4953
WINDOW = 100
"""Bars of the volatility that caps the noise."""

CAP = 0.5
"""Of a bar's volatility: more would drown the prices of a quiet market."""


def deviations(close: F8, noise: float) -> F8:
    """(T,) deviation of the noise on the logarithm of each bar's prices: `noise`, or half the bar's volatility if less.

    The volatility is that of the last WINDOW returns; on the first bars that of the first WINDOW.  A price that does
    not move gets no noise.
    """
    returns = np.diff(np.log(close))
    if len(returns) < 2:
        return np.zeros(len(close))
    window = min(WINDOW, len(returns))
    known = np.append(np.nan, rolling_moments(returns, window)[1])
    known[:window] = known[window]
    return np.minimum(noise, CAP * known)


def noisy(bars: Bars, noise: float, rng: np.random.Generator) -> Bars:
    """`bars` with normal noise on the logarithms of open, high, low and close, each its own draw.

    High and low are then moved out to where open and close are, so every bar stays one.
    """
    draws = rng.standard_normal((4, len(bars))) * deviations(bars.close, noise)
    opens, high, low, close = (
        getattr(bars, name) * np.exp(draw) for name, draw in zip(("open", "high", "low", "close"), draws, strict=True)
    )
    return replace(
        bars,
        open=opens,
        close=close,
        high=np.maximum(high, np.maximum(opens, close)),
        low=np.minimum(low, np.minimum(opens, close)),
    )


def misread(study: Study | Portfolio, walk: WalkForward, noise: float, seed: int, number: int) -> Intents:
    """What the walk would have decided, draw `number`, with each fold's parameters as they were chosen.

    Rules, fitted features, distances and sizes see noisy bars; execution bars, marks and single trades stay as they
    are.  Features that were fitted keep what they learnt from the true prices and read the noisy ones; a fitted rule,
    which cannot be asked in parts, learns from noisy training rows anew.
    """
    rng = stream(seed, TAG, number)
    lowering = study.lowering
    wrong = {one.symbol: noisy(one.bars, noise, rng) for one in lowering.market.instruments}
    market = _with(lowering.market, wrong)
    frames = market_frames(market)
    views: dict[str, tuple[View, ...]] = {}
    for name, own in shown(walk).items():
        one = studies_of(study)[name]
        seen = {symbol: frames[symbol] for symbol in one.frames}
        if not one.fitted:
            views[name] = (View(frames=seen),) * len(own)
            continue
        views[name] = tuple(
            replace(view, frames=joined, forecast=one.forecast_in(joined))
            for view in own
            for joined in (apply(view.fitted, seen),)
        )
    told: Views = views
    return asked(_reading(study, market, wrong), walk, chosen(walk), told)


def _with(market: Market, wrong: Mapping[str, Bars]) -> Market:
    """`market` with other bars; those of a sleeve's pair are its symbol's."""
    return replace(
        market,
        instruments=tuple(
            replace(one, bars=replace(bars, symbol=one.symbol))
            for one in market.instruments
            for bars in (wrong[one.symbol] if one.symbol in wrong else wrong[parts_of(one.symbol)[0]],)
        ),
    )


def _reading(study: Study | Portfolio, market: Market, wrong: Mapping[str, Bars]) -> Study | Portfolio:
    """The study whose decisions are lowered by the eye of `market`, onto the same deck."""
    if isinstance(study, Study):
        return replace(study, lowering=Lowering(market, study.deck, study.lowering.setup))
    given = study.book_lowering
    return replace(study, book_lowering=Lowering(_with(given.market, wrong), study.book, given.setup))
