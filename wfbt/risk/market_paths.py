"""Whole markets that never were: bars, volume, funding and series along a simulated path, for a policy to be replayed.

A model says how closes move.  The rest of a bar (its gap, its wicks, its volume, the funding rate and what was
published then) is that of one row of the history, the same row for all symbols, so a bar has a shape that some bar had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wfbt.data.market import Bars, Funding, Instrument, Market, Series
from wfbt.data.store import digest
from wfbt.errors import ConfigError
from wfbt.kernels.resampling import fill_stationary
from wfbt.risk.arrays import frozen
from wfbt.risk.history import History, weather_block
from wfbt.risk.labelled import LabelledHistory
from wfbt.risk.levels import Model
from wfbt.risk.monte_carlo import log_returns

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes:
    """Everything of the training bars but their returns, a row a return of the history.

    Attributes
    ----------
    market : Market
        Whose instruments and series are imitated.
    gap : (T, A) float64
        Open over the close before.
    above, below : (T, A) float64
        High over the larger of open and close, ≥ 1, and low over the smaller, in (0, 1].
    volume : (T, A) float64
        Units.
    funding : (T, A) float64
        The last rate settled by the close of the row, NaN where there was none.
    published : tuple of (T, F) float64
        What each series of the market said when the row opened.
    close : (A,) float64
        The last of training.
    block : int
        Mean length of a block of rows.
    """

    market: Market
    gap: F8
    above: F8
    below: F8
    volume: F8
    funding: F8
    published: tuple[F8, ...]
    close: F8
    block: int

    @classmethod
    def of(cls, market: Market, history: History) -> Shapes:
        """Of the bars whose returns are those of `history`."""
        if history.symbols != market.symbols:
            raise ConfigError(f"the history is of {history.symbols}, the market of {market.symbols}")
        columns: dict[str, list[F8]] = {name: [] for name in ("gap", "above", "below", "volume", "funding")}
        last = []
        for one in market.instruments:
            bars = one.bars
            row = np.searchsorted(bars.close_ts, history.close_ts)
            body_high = np.maximum(bars.open[row], bars.close[row])
            body_low = np.minimum(bars.open[row], bars.close[row])
            columns["gap"].append(bars.open[row] / bars.close[row - 1])
            columns["above"].append(bars.high[row] / body_high)
            columns["below"].append(bars.low[row] / body_low)
            columns["volume"].append(bars.volume[row])
            columns["funding"].append(_rates(one.funding, history.close_ts))
            last.append(float(bars.close[row[-1]]))
        return cls(
            market=market,
            **{name: frozen(np.stack(values, axis=1)) for name, values in columns.items()},
            published=tuple(frozen(one.known_at(history.close_ts - market.period)) for one in market.series),
            close=frozen(last),
            block=weather_block(history.returns),
        )


def market_path(model: Model, shapes: Shapes, *, number: int, open_ts: I8, seed: np.random.SeedSequence) -> Market:
    """The market along path `number` of a model, its bars opening at `open_ts` (S,), ns UTC.

    Closes go on from the last of training by the returns that `simulate` goes through under the same seed.  At level 5
    the rows are those that the returns come from; below, they are drawn apart from them, in blocks, so volume and what
    was published know nothing of the returns, and only level 5 can try a policy that reads a series.  Funding settles
    on the grid of the history's own settlements.  There is no mark price and no finer bar.
    """
    made = _walked(model, shapes, None, number, open_ts, seed)
    return replace(made, digest=_digest(made.instruments, made.series))


def continued(
    model: Model, shapes: Shapes, before: Market, *, number: int, open_ts: I8, seed: np.random.SeedSequence
) -> Market:
    """`before`, the last bars of training, and `market_path` after it, as one market.

    `before` ends with the last row of the history.  A series of it is known at its closes as it was.  There is no
    digest: such markets are made by the thousand, and hashing one takes longer than replaying it.
    """
    return _walked(model, shapes, before, number, open_ts, seed)


def _walked(
    model: Model, shapes: Shapes, before: Market | None, number: int, open_ts: I8, seed: np.random.SeedSequence
) -> Market:
    if model.symbols != shapes.market.symbols:
        raise ConfigError(f"the model is of {model.symbols}, the market of {shapes.market.symbols}")
    steps = len(open_ts)
    returns = log_returns(model, first=number, paths=1, steps=steps, seed=seed)[0]
    rows = _rows(model, shapes, number, steps, seed)
    close = shapes.close * np.exp(np.cumsum(returns, axis=0))
    last = np.vstack([shapes.close, close[:-1]])
    opens = last * shapes.gap[rows]
    columns = {
        "open": opens,
        "high": np.maximum(opens, close) * shapes.above[rows],
        "low": np.minimum(opens, close) * shapes.below[rows],
        "close": close,
        "volume": shapes.volume[rows],
    }
    name = f"simulated: level {model.level}, path {number}"
    instruments = []
    for a, one in enumerate(shapes.market.instruments):
        past = None if before is None else before.instruments[a]
        bars = Bars(
            symbol=one.symbol,
            period=one.bars.period,
            open_ts=open_ts if past is None else np.concatenate([past.bars.open_ts, open_ts]),
            **{
                key: column[:, a].copy() if past is None else np.concatenate([getattr(past.bars, key), column[:, a]])
                for key, column in columns.items()
            },
        )
        funding = _funding(one.funding, open_ts, one.bars.period, shapes.funding[rows, a])
        if funding is not None and past is not None and past.funding is not None:
            funding = _after(past.funding, funding)
        plain = replace(one, mark=None, execution_bars=None, trades=None)
        instruments.append(replace(plain, bars=bars, funding=funding, generated=name))
    series = tuple(
        _published(None if before is None else before.series[i], one, open_ts, values[rows])
        for i, (one, values) in enumerate(zip(shapes.market.series, shapes.published, strict=True))
    )
    return Market(
        instruments=tuple(instruments),
        digest="",
        notes=(name,),
        series=series,
        timeframes=shapes.market.timeframes,
    )


def _after(past: Funding, funding: Funding) -> Funding:
    """The settlements of the one and then those of the other."""
    names = ("ts", "rate", "mark")
    ts, rate, mark = (np.concatenate([getattr(past, name), getattr(funding, name)]) for name in names)
    return Funding(ts=ts, rate=rate, mark=mark)


def _published(past: Series | None, one: Series, open_ts: I8, values: F8) -> Series:
    """What the path's bars know from their opens on, after what is known in `past`."""
    if past is not None:
        known = past.available_ts < open_ts[0]
        open_ts = np.concatenate([past.available_ts[known], open_ts])
        values = np.concatenate([past.values[known], values])
    return replace(one, available_ts=open_ts, values=values, delay=0, max_age=None)


def _rows(model: Model, shapes: Shapes, number: int, steps: int, seed: np.random.SeedSequence) -> I8:
    """(S,) rows of the history whose shapes the bars take."""
    key = seed.generate_state(4, np.uint64).astype(np.uint64)
    key.flags.writeable = False
    if isinstance(model, LabelledHistory):
        if len(model.labels) != len(shapes.gap):
            raise ConfigError("the model and the shapes of bars are of different histories")
        return np.asarray(model.rows(1, steps, number, key[:2])[0])
    out = np.empty((1, steps), np.int64)
    fill_stationary(out, number, key[2:], len(shapes.gap), 1.0 / shapes.block)
    return np.asarray(out[0])


def _rates(funding: Funding | None, close_ts: I8) -> F8:
    """(T,) the last rate settled by each close."""
    out = np.full(len(close_ts), np.nan)
    if funding is not None and len(funding):
        row = np.searchsorted(funding.ts, close_ts, side="right") - 1
        out[row >= 0] = funding.rate[row[row >= 0]]
    return out


def _funding(funding: Funding | None, open_ts: I8, period: int, rate: F8) -> Funding | None:
    """Settlements within the bars, on the usual grid; `rate` (S,) is that of each bar, NaN where it is unknown."""
    if funding is None:
        return None
    if len(funding) < 2:
        return replace(funding, ts=funding.ts[:0], rate=funding.rate[:0], mark=funding.mark[:0])
    every = int(np.median(np.diff(funding.ts)))
    first = int(open_ts[0])
    ts = np.arange(first + (int(funding.ts[-1]) - first) % every, int(open_ts[-1]) + period, every, dtype=np.int64)
    row = np.searchsorted(open_ts, ts, side="right") - 1
    kept = (ts < open_ts[row] + period) & np.isfinite(rate[row])
    return Funding(ts=ts[kept], rate=rate[row[kept]], mark=np.full(int(kept.sum()), np.nan))


def _digest(instruments: Sequence[Instrument], series: tuple[Series, ...]) -> str:
    """sha256 over what was simulated."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for one in instruments:
        bars = {name: getattr(one.bars, name) for name in ("open_ts", "open", "high", "low", "close", "volume")}
        arrays |= {f"{one.symbol}.{name}": values for name, values in bars.items()}
        if one.funding is not None:
            arrays |= {f"{one.symbol}.funding.ts": one.funding.ts, f"{one.symbol}.funding.rate": one.funding.rate}
    arrays |= {f"series.{each.name}": each.values for each in series}
    return digest("simulated", arrays)
