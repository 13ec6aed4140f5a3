"""Other futures of a market: cut off, or altered in spans of time; what was known at the cut stays bit for bit.

Bars count as known at their close, rates and trades at their stamp, rows of a series at their publication plus
delay.  Times never move, prices stay possible, and a missing number stays missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.data.market import Bars, Funding, Instrument, Market, Series
from wfbt.data.trades import Trades

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

MILD, MIRROR, WILD = STYLES = ("mild", "mirror", "wild")
"""Half a bar's usual noise on every row; every move turned round; reversed, at ten times the volatility."""

OHLCV = ("open", "high", "low", "close", "volume")
MADE = ("price", "qty", "side")
FURTHEST = 1.5
"""How far, in logarithms, a wild price strays from the real one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spans:
    """W spans of time that become others: after `after` and until `until`, ns, one behind the other.

    `style` (W,) says how, as an index into STYLES.
    """

    after: I8
    until: I8
    style: I8

    @classmethod
    def one(cls, after: int, until: int, style: str) -> Spans:
        """A single span."""
        numbers = (after, until, STYLES.index(style))
        return cls(**dict(zip(("after", "until", "style"), (np.array([n], np.int64) for n in numbers), strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """The K rows of one array that lie in spans: `at` (K,), the `span` of each, and `first` (K,) of its own span."""

    at: I8
    style: I8
    first: I8
    last: I8

    @classmethod
    def of(cls, known: I8, spans: Spans) -> _Rows:
        low = np.searchsorted(known, spans.after, side="right")
        high = np.searchsorted(known, spans.until, side="right")
        counts = np.maximum(high - low, 0)
        span = np.repeat(np.arange(len(low)), counts)
        ends = np.cumsum(counts)
        at = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts) + low[span]
        return cls(at=at, style=spans.style[span], first=low[span], last=high[span] - 1)

    def __len__(self) -> int:
        return len(self.at)

    def only(self, style: int) -> _Rows:
        """The rows in spans of one style."""
        mine = self.style == style
        return _Rows(at=self.at[mine], style=self.style[mine], first=self.first[mine], last=self.last[mine])

    def walks(self, steps: F8) -> F8:
        """(K,) sum of (K,) `steps` within each span."""
        total = np.cumsum(steps)
        begins = np.flatnonzero(self.at == self.first)
        offset = np.zeros(len(steps))
        offset[begins] = total[begins] - steps[begins]
        place = np.maximum.accumulate(np.where(self.at == self.first, np.arange(len(steps)), 0))
        return np.asarray(total - offset[place])

    def choose(self, *values: F8) -> F8:
        """(K,) the one of `values`, in the order of STYLES, that the style of each row asks for."""
        return np.asarray(np.choose(self.style, values))


def prefix(market: Market, now: int) -> Market:
    """What was there at `now`: bars closed, rates settled, trades made and rows available, in arrays of their own.

    Of a series that has not begun its first row is kept, which nobody sees: a rule that asks for it finds its name.
    """

    def cut(bars: Bars | None) -> Bars | None:
        if bars is None:
            return None
        rows = int(np.searchsorted(bars.close_ts, now, side="right"))
        fields: dict[str, Any] = {name: getattr(bars, name)[:rows].copy() for name in ("open_ts", *OHLCV)}
        return replace(bars, **fields)

    def settled(funding: Funding | None) -> Funding | None:
        if funding is None:
            return None
        rows = int(np.searchsorted(funding.ts, now, side="right"))
        return replace(funding, **{name: getattr(funding, name)[:rows].copy() for name in ("ts", "rate", "mark")})

    def published(series: Series) -> Series:
        rows = max(int(np.searchsorted(series.available_ts, now - series.delay, side="right")), 1)
        return replace(series, available_ts=series.available_ts[:rows].copy(), values=series.values[:rows].copy())

    instruments = []
    for one in market.instruments:
        bars = cut(one.bars)
        assert bars is not None
        trades = None if one.trades is None else one.trades.known_by(now)
        own = replace(one, bars=bars, funding=settled(one.funding), trades=trades)
        instruments.append(replace(own, mark=cut(one.mark), execution_bars=cut(one.execution_bars)))
    return replace(market, instruments=tuple(instruments), series=tuple(published(one) for one in market.series))


def altered(market: Market, spans: Spans, rng: np.random.Generator, whole: bool = False) -> Market:
    """`market` with other bars, rates, trades and published numbers in `spans`, drawn from `rng`.

    Marks and execution bars, which no policy sees, become others only where the `whole` market is asked for.
    """
    instruments = tuple(_instrument(one, spans, rng, whole) for one in market.instruments)
    return replace(market, instruments=instruments, series=tuple(_series(one, spans, rng) for one in market.series))


def restored(market: Market, other: Market, now: int) -> Market:
    """`other`, an alteration of `market`, with everything that a policy sees and that was known by `now` as it was."""

    def mixed(own: Any, its: Any, known: I8) -> Any:
        out = its.copy()
        rows = int(np.searchsorted(known, now, side="right"))
        out[:rows] = own[:rows]
        return out

    def bars(own: Bars, its: Bars) -> Bars:
        columns: dict[str, Any] = {name: mixed(getattr(own, name), getattr(its, name), own.close_ts) for name in OHLCV}
        return replace(its, **columns)

    instruments = []
    for own, its in zip(market.instruments, other.instruments, strict=True):
        funding = its.funding
        if own.funding is not None and funding is not None:
            funding = replace(funding, rate=mixed(own.funding.rate, funding.rate, own.funding.ts))
        trades = its.trades
        if own.trades is not None and trades is not None:
            made: dict[str, Any] = {
                name: mixed(getattr(own.trades, name), getattr(trades, name), own.trades.ts) for name in MADE
            }
            trades = replace(trades, **made)
        instruments.append(replace(own, bars=bars(own.bars, its.bars), funding=funding, trades=trades))
    series = tuple(
        replace(its, values=mixed(own.values, its.values, own.available_ts + own.delay))
        for own, its in zip(market.series, other.series, strict=True)
    )
    return replace(market, instruments=tuple(instruments), series=series)


def _instrument(one: Instrument, spans: Spans, rng: np.random.Generator, whole: bool) -> Instrument:
    out = replace(
        one,
        bars=_bars(one.bars, spans, rng),
        funding=None if one.funding is None else _funding(one.funding, spans, rng),
        trades=None if one.trades is None else _trades(one.trades, spans, rng),
    )
    if not whole:
        return out
    return replace(
        out,
        mark=None if one.mark is None else _bars(one.mark, spans, rng),
        execution_bars=None if one.execution_bars is None else _bars(one.execution_bars, spans, rng),
    )


def _bars(bars: Bars, spans: Spans, rng: np.random.Generator) -> Bars:
    rows = _Rows.of(bars.close_ts, spans)
    if not len(rows):
        return bars
    # A bar that had already opened is another one as well: nobody knows it before its close.
    at, turned = rows.at, rows.first + rows.last - rows.at
    sigma = float(np.abs(np.diff(np.log(bars.close))).mean()) or 1e-3 if len(bars) > 1 else 1e-3
    gauss, wick, swell = rng.standard_normal((3, len(at)))
    anchor = bars.close[np.maximum(rows.first - 1, 0)]
    drift = np.exp(rows.walks(0.5 * sigma * gauss))
    strayed = np.exp(np.clip(rows.walks(10 * sigma * gauss), -FURTHEST, FURTHEST))
    wide = np.exp(np.minimum(10 * sigma * np.abs(wick), 1.0))
    turn = anchor * anchor * np.exp(0.1 * sigma * gauss)
    prices = {
        "open": rows.choose(bars.open[at] * drift, turn / bars.open[at], bars.open[turned] * strayed),
        "high": rows.choose(bars.high[at] * drift, turn / bars.low[at], bars.high[turned] * strayed * wide),
        "low": rows.choose(bars.low[at] * drift, turn / bars.high[at], bars.low[turned] * strayed / wide),
        "close": rows.choose(bars.close[at] * drift, turn / bars.close[at], bars.close[turned] * strayed),
    }
    # Products round: a high may come out a digit below the close that it was equal to.
    prices["high"] = np.maximum(prices["high"], np.maximum(prices["open"], prices["close"]))
    prices["low"] = np.minimum(prices["low"], np.minimum(prices["open"], prices["close"]))
    volume = rows.choose(
        bars.volume[at] * np.exp(0.3 * swell), bars.volume[at] * np.exp(swell), bars.volume[turned] * np.exp(2 * swell)
    )
    columns: dict[str, Any] = {
        name: _put(getattr(bars, name), at, new) for name, new in (prices | {"volume": volume}).items()
    }
    return replace(bars, **columns)


def _funding(funding: Funding, spans: Spans, rng: np.random.Generator) -> Funding:
    rows = _Rows.of(funding.ts, spans)
    if not len(rows):
        return funding
    scale = float(np.std(funding.rate)) or 1e-4
    gauss = rng.standard_normal(len(rows))
    # Rates that have been, so that nothing leaves the range of rates but the wild ones.
    drawn = funding.rate[rng.integers(0, len(funding), len(rows))]
    rate = rows.choose(drawn + 0.1 * scale * gauss, -funding.rate[rows.at] + 0.1 * scale * gauss, 10 * scale * gauss)
    return replace(funding, rate=_put(funding.rate, rows.at, rate))


def _trades(trades: Trades, spans: Spans, rng: np.random.Generator) -> Trades:
    rows = _Rows.of(trades.ts, spans)
    if not len(rows):
        return trades
    price, qty, side = trades.price.copy(), trades.qty.copy(), trades.side.copy()
    # Most trades are made at the price of the one before: what is left is small, and there are many to a bar.
    sigma = float(np.abs(np.diff(np.log(trades.price))).mean()) or 1e-6 if len(trades) > 1 else 1e-6
    # There may be millions: each style is drawn for its own alone.
    for style, name in enumerate(STYLES):
        own = rows if (rows.style == style).all() else rows.only(style)
        if not len(own):
            continue
        at = slice(int(own.at[0]), int(own.at[-1]) + 1) if own.at[-1] - own.at[0] == len(own) - 1 else own.at
        turned = own.first + own.last - own.at
        gauss, swell = rng.standard_normal((2, len(own)))
        was, units, aggressor = trades.price[at], trades.qty[at], trades.side[at]
        if name == MILD:
            price[at] = was * np.exp(own.walks(0.5 * sigma * gauss))
            qty[at] = units * np.exp(0.3 * swell)
            side[at] = np.where(swell > 1.0, -aggressor, aggressor)
        elif name == MIRROR:
            anchor = trades.price[np.maximum(own.first - 1, 0)]
            price[at] = anchor * anchor * np.exp(0.1 * sigma * gauss) / was
            qty[at] = units * np.exp(swell)
            side[at] = -aggressor
        else:
            price[at] = trades.price[turned] * np.exp(np.clip(own.walks(10 * sigma * gauss), -FURTHEST, FURTHEST))
            qty[at] = trades.qty[turned] * np.exp(2 * swell)
            side[at] = np.where(gauss > 0, 1, -1)
    return replace(trades, price=price, qty=qty, side=side)


def _series(series: Series, spans: Spans, rng: np.random.Generator) -> Series:
    rows = _Rows.of(series.available_ts + series.delay, spans)
    if not len(rows):
        return series
    values = series.values.copy()
    for place in range(values.shape[1]):
        column = series.values[:, place]
        number = column[~np.isnan(column)]
        if not len(number):
            continue
        # What has been published some time stays what may be published: codes stay codes, shares stay shares.
        drawn, other = number[rng.integers(0, len(number), (2, len(rows)))]
        gauss = rng.standard_normal(len(rows))
        positive = bool((number > 0).all())
        wild = other * np.exp(gauss) if positive else other + 10 * (float(np.std(number)) or 1.0) * gauss
        new = rows.choose(drawn, other, wild)
        values[rows.at, place] = np.where(np.isnan(column[rows.at]), np.nan, new)
    return replace(series, values=values)


def _put(column: F8, at: I8, new: F8) -> F8:
    out = column.copy()
    out[at] = new
    return out
