"""Where simulated markets begin: after the training rows of the last fold, on bars that warm the indicators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY, Bars, Funding, Market, Series
from wfbt.engine.setup import Setup
from wfbt.features.learners import Frames
from wfbt.policy.answers import FEATURE, INTENT, Key, answer, unequal
from wfbt.policy.frames import market_frames
from wfbt.risk.history import History
from wfbt.risk.market_paths import Shapes
from wfbt.simulation.asked import Asked, Sleeve

I8 = npt.NDArray[np.int64]

WEEK = 7 * DAY
FEWEST_WARM = 64
"""Bars before a path, at least."""
LEAST_ROWS = 30
"""Of returns that an impact's volatility is taken over, whatever its horizon."""
AGREED = 4
"""Of the warm bars the last fourth has to say what a longer past says."""
TOLERANCE = 1e-6
"""Relative, of what is no decision: an average of everything forgets, but never wholly."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Origin:
    """What all paths have in common.

    Attributes
    ----------
    history : History
        Returns of the training rows of the last fold.
    shapes : Shapes
    before : Market
        The last bars of training, in front of every path; nothing is traded on them.
    warm : int
        How many decision bars those are.
    open_ts : (S,) int64
        Opens of a path's bars, ns UTC.
    train : (K,) int64
        Closes of the training bars, ns UTC.
    notes : tuple of str
    """

    history: History
    shapes: Shapes
    before: Market
    warm: int
    open_ts: I8
    train: I8
    notes: tuple[str, ...]


def origin_of(asked: Asked, horizon: int) -> Origin:
    """Of paths of `horizon` ns.  DataError where the training rows are too few or all alike."""
    market = asked.ran.market
    history = History.of(tuple(one.bars for one in market.instruments), asked.train)
    begin = int(history.close_ts[-1])
    first = asked.blocks[np.searchsorted(asked.blocks, begin, side="right") - 1]
    block = history.close_ts[history.close_ts >= first]
    before, warm, notes = _warm(asked, begin, block, market)
    if begin < asked.train[-1]:
        ended = [one.symbol for one in market.instruments if one.bars.close_ts[-1] < asked.train[-1]]
        why = f"the bars of {', '.join(ended)} end there" if ended else "later bars are not of all symbols"
        notes = (*notes, f"paths begin before the training rows end, and all symbols live on along them: {why}")
    return Origin(
        history=history,
        shapes=Shapes.of(market, history),
        before=before,
        warm=warm,
        open_ts=clock_after(block - market.period, begin, market.period, horizon),
        train=asked.train,
        notes=(*notes, *_absent(market)),
    )


def clock_after(opens: I8, begin: int, period: int, horizon: int) -> I8:
    """(S,) opens of the bars within `horizon` ns after `begin`, on the weekly pattern of the training `opens` (T,).

    The last whole weeks of training, at most 52, moved on by as many weeks and again: a market that closes at weekends
    closes on its paths too.
    """
    weeks = min((begin - int(opens[0])) // WEEK, 52)
    span = weeks * WEEK
    pattern = opens[opens >= begin - span]
    if not weeks or (np.diff(pattern) == period).all() or period > WEEK:
        return np.arange(begin, begin + horizon - period + 1, period, dtype=np.int64)
    found = np.concatenate([pattern + turn * span for turn in range(1, horizon // span + 2)])
    return np.asarray(found[found + period <= begin + horizon])


def between(market: Market, start: int, end: int) -> Market:
    """The bars of `market` that open at `start` (ns) or later and close by `end`, and what was known at them."""

    def cut(bars: Bars) -> Bars:
        low, high = np.searchsorted(bars.open_ts, start), np.searchsorted(bars.close_ts, end, side="right")
        names = ("open_ts", "open", "high", "low", "close", "volume")
        return replace(bars, **{name: getattr(bars, name)[low:high].copy() for name in names})

    def settled(funding: Funding) -> Funding:
        # The last rate before the start stands at it, as in life.
        low = max(int(np.searchsorted(funding.ts, start, side="right")) - 1, 0)
        high = int(np.searchsorted(funding.ts, end))
        return replace(funding, **{name: getattr(funding, name)[low:high].copy() for name in ("ts", "rate", "mark")})

    instruments = tuple(
        replace(
            one,
            bars=cut(one.bars),
            funding=None if one.funding is None else settled(one.funding),
            mark=None,
            execution_bars=None,
        )
        for one in market.instruments
    )
    closes = np.unique(np.concatenate([one.bars.close_ts for one in instruments]))

    def known(series: Series) -> Series:
        return replace(series, available_ts=closes, values=series.known_at(closes), delay=0, max_age=None)

    return replace(market, instruments=instruments, series=tuple(known(one) for one in market.series))


def _warm(asked: Asked, begin: int, block: I8, market: Market) -> tuple[Market, int, tuple[str, ...]]:
    """The shortest past after which the policy says what it says with all of the block behind it."""
    first = int(block[0]) - market.period
    whole = between(market, first, begin)
    most = len(np.unique(np.concatenate([one.bars.close_ts for one in whole.instruments])))
    count = min(most, max(FEWEST_WARM, _asked_by(asked.setup, market.period)))
    said = _said(asked, whole)
    while count < most:
        start = int(block[max(0, len(block) - count)]) - market.period
        some = between(market, start, begin)
        if _agree(said, _said(asked, some), max(1, count // AGREED)):
            return some, len(np.unique(np.concatenate([one.bars.close_ts for one in some.instruments]))), ()
        count *= 2
    note = f"no shorter past than all {most:,} bars of the last training block makes the policy say what they do"
    return whole, most, (note,)


def _asked_by(setup: Setup, period: int) -> int:
    """Bars that costs, sizes and limits look back on."""
    horizon = setup.costs.impact.horizon if setup.costs.impact else DAY
    bars = max(-(-horizon // period), LEAST_ROWS) + 1
    exposure = setup.limits.exposure
    if exposure.var or exposure.cvar or exposure.correlated or setup.sizing.diversify:
        bars = max(bars, -(-(exposure.window + 1) * DAY // period))
    return int(bars)


def _said(asked: Asked, market: Market) -> dict[tuple[Any, ...], npt.NDArray[np.float64]]:
    """Every column that every sleeve sees and puts out on `market`, by sleeve and key."""
    found: dict[tuple[Any, ...], npt.NDArray[np.float64]] = {}
    frames = market_frames(market)
    for sleeve in asked.sleeves:
        shown = sleeve.shown({symbol: frames[symbol] for symbol in sleeve.study.frames})
        if sleeve.policy.watches:
            found |= {(sleeve.name, *key): column for key, column in _considered(sleeve, shown).items()}
            continue
        told = answer(shown, sleeve.policy.columns(shown, sleeve.params))
        found |= {(sleeve.name, *key): column for key, column in told.columns.items()}
    return found


def _considered(sleeve: Sleeve, shown: Frames) -> dict[Key, npt.NDArray[np.float64]]:
    """What networks that watch their account decide by, the account apart: that begins anew with each path."""
    given = sleeve.policy.deliberation(shown, sleeve.params)
    found = dict(answer(shown, given.other or {}).columns)
    for symbol, columns in given.features.items():
        found |= {(FEATURE, symbol, f"observed {place}"): column for place, column in enumerate(columns.T)}
    for symbol, who in (given.acting or {}).items():
        found[FEATURE, symbol, "who decides"] = who.astype(np.float64)
    return found


def _agree(
    whole: dict[tuple[Any, ...], npt.NDArray[np.float64]],
    some: dict[tuple[Any, ...], npt.NDArray[np.float64]],
    rows: int,
) -> bool:
    """Whether all columns are alike on their last `rows`: targets exactly."""
    for key, column in some.items():
        tolerance = 0.0 if key[1] == INTENT and key[-1] == "target" else TOLERANCE
        if key not in whole or unequal(whole[key][-rows:], column[-rows:], tolerance).any():
            return False
    return True


def _absent(market: Market) -> tuple[str, ...]:
    """What the market has and its paths have not."""
    notes = []
    if marked := [one.symbol for one in market.instruments if one.mark is not None]:
        notes.append(f"{', '.join(marked)}: paths have no mark price; trade prices value the account on them")
    if finer := [one.symbol for one in market.instruments if one.execution_bars is not None]:
        notes.append(f"{', '.join(finer)}: paths have no execution bars; orders fill on the decision bars themselves")
    return tuple(notes)
