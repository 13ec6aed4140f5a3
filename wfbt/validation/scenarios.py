"""What a bad day does to a market: shocks, thin books, halted venues, stale feeds, correlations that break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.data.market import Bars, Instrument, Market
from wfbt.data.trades import Trades
from wfbt.engine.activity import hourly_volume
from wfbt.engine.latency import Latency, keyed_uniform
from wfbt.engine.tape import Deck, terms_of
from wfbt.validation.copula import recoupled

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]
Factor = Callable[[I8], F8]

MOST_TRIES = 20
"""An order is through after as many failures, whatever the draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One bad day.  What is left at its default does not happen.

    Attributes
    ----------
    name, what : str
        For the table; `what` says in words what happens.
    at : int or None
        ns UTC from which it happens, a bar's close; None: found by `worst`.
    worst : str
        What makes a moment the worst: `long`, `short` (largest net exposure of that sign), `gross` (largest sum of
        exposures, the middle of `lasts`), `trading` (most traded within `lasts`), `held` (largest loss while no order
        is served), `all` (the whole account; nothing to find).
    shock : float
        Relative move of all prices, −0.3 a fall of 30 %, spread over `bars` bars that each open on their part of it.
    recover : float
        Share of the move that comes back over the next `bars` bars; the rest stays.
    symbols : tuple of str, or None for all
        Whose prices and volume are changed.
    spread, volume : float
        Multiples of the half spread and of all volume for `lasts` ns.
    outage : int
        ns in which no order is matched, no stop triggered and no position liquidated, while marks move.
    stale : int
        Bars that the feed lags behind for `lasts` ns.
    couple : str
        `rho` or `flip`: what becomes of correlations for `lasts` ns; empty: nothing.
    rho : float
        Correlation of every pair under `couple` rho.
    fails, retry : float, int
        Probability that an order is refused or lost, and ns until it is sent again.
    """

    name: str
    what: str
    at: int | None = None
    worst: str = "gross"
    shock: float = 0.0
    bars: int = 1
    recover: float = 0.0
    symbols: tuple[str, ...] | None = None
    spread: float = 1.0
    volume: float = 1.0
    lasts: int = 0
    outage: int = 0
    stale: int = 0
    couple: str = ""
    rho: float = 0.0
    fails: float = 0.0
    retry: int = 0

    def length(self, period: int) -> int:
        """ns from its beginning until nothing more happens; 0 of one without beginning or end."""
        moving = 2 * self.bars * period if self.shock else 0
        return max(moving, self.outage, self.lasts)

    @property
    def reprices(self) -> bool:
        """Whether any price differs."""
        return bool(self.shock or self.couple)

    @property
    def told(self) -> bool:
        """Whether a policy could see it in its bars."""
        return bool(self.reprices or self.stale or self.volume != 1.0)

    def of(self, symbol: str) -> bool:
        """Whether it changes prices and volume of `symbol`."""
        return self.symbols is None or symbol in self.symbols


def priced(market: Market, scenario: Scenario, at: int) -> Market:
    """The market that fills the orders: prices as they are after the shock, volume as it was."""
    if not scenario.reprices:
        return market
    if scenario.couple:
        moves = recoupled(market, at, at + scenario.lasts, scenario.rho if scenario.couple == "rho" else None)
        factors: dict[str, tuple[Factor, Factor]] = {symbol: (move.at, move.at) for symbol, move in moves.items()}
    else:
        step = _step(scenario, at, market.period)
        factors = {symbol: (step, lambda ts: step(ts - 1)) for symbol in market.symbols if scenario.of(symbol)}
    return replace(
        market,
        instruments=tuple(
            _moved(one, *factors[one.symbol]) if one.symbol in factors else one for one in market.instruments
        ),
    )


def seen(market: Market, scenario: Scenario, at: int) -> Market:
    """The market as the policy sees it: `market` (of `priced`) with the thinner volume, or bars too late."""
    if scenario.volume == 1.0 and not scenario.stale:
        return market
    ends = at + scenario.lasts
    out = []
    for one in market.instruments:
        bars = one.bars
        inside = (bars.open_ts >= at) & (bars.open_ts < ends)
        if scenario.of(one.symbol) and scenario.volume != 1.0:
            bars = replace_bars(bars, volume=np.where(inside, bars.volume * scenario.volume, bars.volume))
        if scenario.stale:
            rows = np.arange(len(bars))
            rows = np.where(inside, np.maximum(rows - scenario.stale, 0), rows)
            bars = replace_bars(
                bars, **{name: getattr(bars, name)[rows] for name in ("open", "high", "low", "close", "volume")}
            )
        out.append(replace(one, bars=bars, trades=one.trades and _fewer(one.trades, scenario, at, one.symbol)))
    return replace(market, instruments=tuple(out))


def replace_bars(bars: Bars, **columns: F8) -> Bars:
    """`bars` with other prices or volume at the same times."""
    kept = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")} | columns
    return Bars(symbol=bars.symbol, period=bars.period, open_ts=bars.open_ts, **kept)


def _step(scenario: Scenario, at: int, period: int) -> Factor:
    """What prices are multiplied by in each bar: a bar opens on its part of the move, so that it is a gap."""
    bottom, end = 1.0 + scenario.shock, 1.0 + scenario.shock * (1.0 - scenario.recover)
    path = np.concatenate(
        [
            [1.0],
            bottom ** (np.arange(1, scenario.bars + 1) / scenario.bars),
            bottom * (end / bottom) ** (np.arange(1, scenario.bars + 1) / scenario.bars),
        ]
    )

    def factor(ts: I8) -> F8:
        return np.asarray(path[np.clip((ts - at) // period + 1, 0, len(path) - 1)])

    return factor


def _moved(one: Instrument, opening: Factor, closing: Factor) -> Instrument:
    """An instrument whose bars open and close on factors, by time, of their prices, their reach kept in proportion."""

    def bars(given: Bars) -> Bars:
        open_, close = given.open * opening(given.open_ts), given.close * closing(given.close_ts)
        top, bottom = np.maximum(given.open, given.close), np.minimum(given.open, given.close)
        high = np.maximum(open_, close) * np.maximum(given.high / top, 1.0)
        low = np.minimum(open_, close) * np.minimum(given.low / bottom, 1.0)
        return replace_bars(given, open=open_, high=high, low=low, close=close)

    funding = one.funding
    if funding is not None:
        # The mark of a stamp at a bar's open is the one before the bar moved.
        funding = replace(funding, mark=funding.mark * opening(funding.ts - 1))
    trades = one.trades
    if trades is not None:
        # As its bar's open has: what was traded inside says how the bar went from there.
        trades = replace(trades, price=trades.price * opening(trades.ts))
    return replace(
        one,
        bars=bars(one.bars),
        mark=one.mark and bars(one.mark),
        execution_bars=one.execution_bars and bars(one.execution_bars),
        funding=funding,
        trades=trades,
    )


def _fewer(trades: Trades, scenario: Scenario, at: int, symbol: str) -> Trades:
    """Smaller trades where volume is thinner, and none where bars come too late: a feed that is stuck sends neither."""
    inside = (trades.ts >= at) & (trades.ts < at + scenario.lasts)
    if scenario.stale:
        kept = ~inside
        made: dict[str, Any] = {name: getattr(trades, name)[kept] for name in ("ts", "price", "qty", "side")}
        return replace(trades, **made)
    if not scenario.of(symbol):
        return trades
    return replace(trades, qty=np.where(inside, trades.qty * scenario.volume, trades.qty))


def thinned(deck: Deck, scenario: Scenario, at: int) -> Deck:
    """The deck with a wider spread and less volume in the rows of the scenario.

    Volume is that of the row, which caps count, and at once the trailing one that impact is made of: a book empties in
    no time, and an average over a day would hide it.
    """
    tape, activity = deck.tape, deck.activity
    ends = at + scenario.lasts
    rows = (tape.open_ts >= at) & (tape.open_ts < ends)
    if scenario.spread != 1.0:
        activity = activity._replace(wider=np.where(rows, scenario.spread, 1.0))
    if scenario.volume != 1.0:
        own = np.array([scenario.of(_symbol(name)) for name in deck.symbols])
        decided = (tape.close_ts >= at) & (tape.close_ts < ends)
        if len(tape.volume):
            tape = tape._replace(volume=_scaled(tape.volume, decided, own, scenario.volume))
        if len(activity.traded) == len(rows):
            traded = _scaled(activity.traded, rows, own, scenario.volume)
            activity = activity._replace(traded=traded, hourly=hourly_volume(traded, tape.open_ts))
        if len(activity.depth) == len(rows):
            activity = activity._replace(depth=_scaled(activity.depth, decided, own, scenario.volume))
    return replace(deck, tape=tape, activity=activity, terms=terms_of(tape, deck.contracts, deck.horizon))


def _symbol(name: str) -> str:
    """The symbol of a column; a sleeve's own position is named symbol@sleeve."""
    return name.rpartition("@")[0] or name


def _scaled(table: F8, rows: npt.NDArray[np.bool_], columns: npt.NDArray[np.bool_], factor: float) -> F8:
    out: F8 = np.where(rows[:, None] & columns[None, :], table * factor, table)
    return out


def halted(deck: Deck, at: int, length: int) -> Deck:
    """The deck without matching from `at` for `length` ns.

    No bar trades, so nothing fills and nothing triggers.  The venue's own mark stands still until it is back, so nobody
    is liquidated; what positions are worth is counted at the marks as they move, and the first bar after is a gap.
    """
    tape = deck.tape
    rows = np.flatnonzero((tape.open_ts >= at) & (tape.open_ts < at + length))
    if not len(rows):
        return deck
    columns = {name: getattr(tape, name).copy() for name in ("open", "high", "low", "close")}
    marks = {name: getattr(tape, f"mark_{name}").copy() for name in ("open", "high", "low")}
    before = tape.mark_close[max(rows[0] - 1, 0)]
    for a, last in enumerate(deck.venue.final):
        own = rows[rows != last]  # what is delisted is closed on its last bar, which has to be there
        for column in columns.values():
            column[own, a] = np.nan
        for mark in marks.values():
            mark[own, a] = before[a]
    return replace(deck, tape=tape._replace(**columns, **{f"mark_{name}": mark for name, mark in marks.items()}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing(Latency):
    """Delays of orders of which some fail and are sent again; draws are keyed by (seed, symbol, bar).

    Attributes
    ----------
    base : Latency
    fails : float
        Probability that a try is refused or lost.
    retry : int
        ns from one try to the next.
    """

    base: Latency
    fails: float
    retry: int

    @classmethod
    def of(cls, base: Latency, fails: float, retry: int) -> Failing:
        """The delays of `base`, and those of trying again."""
        return cls(
            order=base.order, feed=base.feed, response=base.response, adverse=base.adverse, base=base, fails=fails,
            retry=retry,
        )  # fmt: skip

    @property
    def instant(self) -> bool:
        """Never: an order may fail."""
        return False

    def tries(self, seed: int, symbol: str, ts: I8) -> I8:
        """(T,) failures before the order of each decision time is through: geometric, at most MOST_TRIES."""
        u = keyed_uniform(seed, symbol, "fails", ts)
        tries: I8 = np.minimum(np.floor(np.log(u) / np.log(self.fails)), MOST_TRIES).astype(np.int64)
        return tries

    def delays(self, seed: int, symbol: str, ts: I8) -> I8:
        """(T,) ns from each decision time to a live order, all retries included."""
        return self.base.delays(seed, symbol, ts) + self.retry * self.tries(seed, symbol, ts)

    def price_draws(self, seed: int, symbol: str, ts: I8) -> F8:
        """(T,) standard normal, those of the orders when none fails."""
        return self.base.price_draws(seed, symbol, ts)
