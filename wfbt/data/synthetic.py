"""A sample market with known truth: regimes, clustering volatility, jumps, correlated symbols, funding and mark."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from wfbt.data.market import DAY, F8, HOUR, I8, MINUTE
from wfbt.data.store import GENERATED, write_table
from wfbt.errors import ConfigError
from wfbt.files import replace_whole, sync_folder

VERSION = 1
STEPS = 60  # minutes per hour
FIRST = int(np.datetime64("2020-01-01", "ns").astype(np.int64))
LAST = int(np.datetime64("2025-07-01", "ns").astype(np.int64))
FINE_DAYS = 60
I1 = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One symbol of the sample.

    Attributes
    ----------
    price : float
        At the start.
    per_unit : int
        Ticks in one quote unit.
    sigma : float
        Deviation of an hour's log return, typically.
    growth : float
        Log return a year over the whole path, whatever the seed.
    market : float
        Correlation of its diffusion with the common factor.
    lots : float
        Lots of 0.001 units traded in a typical hour.
    """

    price: float
    per_unit: int
    sigma: float
    growth: float
    market: float
    lots: float


ASSETS = {
    "BTCUSDT": Asset(price=7200.0, per_unit=10, sigma=0.0055, growth=0.49, market=0.92, lots=9e6),
    "ETHUSDT": Asset(price=130.0, per_unit=100, sigma=0.0070, growth=0.54, market=0.88, lots=9e7),
    "SOLUSDT": Asset(price=20.0, per_unit=1000, sigma=0.0105, growth=0.40, market=0.78, lots=4e8),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """What all symbols share.  Triples are for the regimes calm, normal, turbulent.

    Attributes
    ----------
    stay_days : mean length of a regime
    volatility : factor on sigma
    jumps : expected jumps an hour, of which half hit all symbols at once
    drift : hourly drift in units of sigma
    jump_size : deviation of a jump in units of the hour's sigma
    cluster, cluster_spread : hourly persistence and stationary deviation of log volatility within a regime
    trend, trend_spread : hourly persistence of the drift, and its deviation in units of sigma: known perfectly it would
        be worth a Sharpe ratio of about two a year before costs, and a rule sees it only through prices
    basis, basis_spread : hourly persistence and deviation of the premium of the last price over the mark
    """

    stay_days: tuple[float, float, float] = (18.0, 12.0, 5.0)
    volatility: tuple[float, float, float] = (0.65, 1.0, 1.9)
    jumps: tuple[float, float, float] = (0.0004, 0.001, 0.004)
    drift: tuple[float, float, float] = (0.006, 0.0, -0.012)
    jump_size: float = 4.0
    cluster: float = 0.985
    cluster_spread: float = 0.30
    trend: float = 0.992
    trend_spread: float = 0.02
    basis: float = 0.97
    basis_spread: float = 0.0003


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is said about the market.

    Attributes
    ----------
    every_hours : mean time from one item to the next
    delay_minutes : median of the time from an event to its publication
    lead_hours : hours after the publication that an item says something about
    lead : correlation of an item's mood with the mean log return of all symbols over those hours, each in units of its
        own deviation; its square is the share of the move that was known
    spread : deviation of the mood, before tanh brings it into −1 … 1
    """

    every_hours: float = 5.0
    delay_minutes: float = 12.0
    lead_hours: int = 24
    lead: float = 0.1
    spread: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """How the minutes of one symbol were traded.

    Attributes
    ----------
    symbol : the one whose single trades are written
    days : how many, the last ones
    a_minute : trades beyond the four that make a minute's open, high, low and close, in an hour of mean volume; they
        grow with its root
    size_spread : deviation of the logarithm of a trade's size
    lean : log odds of a buyer being the aggressor, by the minute's return in its own deviations
    """

    symbol: str = "SOLUSDT"
    days: int = 60
    a_minute: float = 4.0
    size_spread: float = 1.2
    lean: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Path:
    """Minute prices of one symbol in ticks, (hours, 60) int64, and the truth behind them, (hours,)."""

    open: I8
    high: I8
    low: I8
    close: I8
    sigma: F8
    drift: F8
    jump: npt.NDArray[np.bool_]


def write_sample(folder: str | os.PathLike[str], seed: int = 7) -> None:
    """Write the sample market into `folder`, complete or not at all; the same seed gives the same bytes.

    Raises ConfigError when the folder holds anything but an earlier sample.
    """
    target = Path(folder)
    if target.exists() and not (target / "truth.json").is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target}: exists and is no sample market; give an empty or a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Fixed names beside the target: what a killed run leaves, the next one takes over.
    aside, former = (target.with_name(f".{target.name}.{end}") for end in ("part", "old"))
    for leftover in (aside, former):
        if leftover.exists():
            shutil.rmtree(leftover)
    _write(aside, seed)
    if target.exists():
        target.rename(former)
    aside.rename(target)
    sync_folder(target.parent)
    if former.exists():
        shutil.rmtree(former)


def _write(folder: Path, seed: int) -> None:
    dynamics = Dynamics()
    ts = np.arange(FIRST, LAST, HOUR)
    # What is drawn for news and trades comes last and from streams of its own: it moves no price.
    common, *own, told_later, ticked = np.random.SeedSequence(seed).spawn(3 + len(ASSETS))
    rng = np.random.default_rng(common)
    regime = _regimes(rng, dynamics, len(ts))
    factor = rng.standard_normal((len(ts), STEPS), dtype=np.float32)
    cluster = _autoregression(rng, dynamics.cluster, len(ts))
    trend = _autoregression(rng, dynamics.trend, len(ts))
    crashes = rng.random(len(ts)) < 0.5 * np.array(dynamics.jumps)[regime]
    crash_sizes = rng.standard_normal(len(ts))
    truth: dict[str, np.ndarray] = {"regime": regime}
    moves = np.zeros(len(ts))
    for sequence, (symbol, asset) in zip(own, ASSETS.items(), strict=True):
        rng = np.random.default_rng(sequence)
        shared = (regime, factor, cluster, trend, crashes, crash_sizes)
        path = _walk(rng, asset, dynamics, ts, *shared)
        moves += np.log(path.close[:, -1] / path.open[:, 0]) / path.sigma / len(ASSETS)
        lots = _write_symbol(folder / symbol, rng, asset, dynamics, ts, path, fine=symbol == "BTCUSDT")
        if symbol == Tape().symbol:
            _write_trades(folder / symbol, np.random.default_rng(ticked), asset, Tape(), ts, path, lots, seed)
        truth |= {f"{symbol}_sigma": path.sigma, f"{symbol}_jump": path.jump, f"{symbol}_drift": path.drift}
    write_table(folder / "truth.parquet", _table(ts, truth))
    told = {
        "generator": "wfbt data sample",
        "version": VERSION,
        "seed": seed,
        "regimes": ["calm", "normal", "turbulent"],
        "assets": {symbol: asdict(asset) for symbol, asset in ASSETS.items()},
        "dynamics": asdict(dynamics),
    }
    text = json.dumps(told, indent=2) + "\n"
    replace_whole(folder / "truth.json", lambda sink: sink.write(text.encode()))
    _write_news(folder, np.random.default_rng(told_later), News(), ts, moves, seed)


def _write_news(folder: Path, rng: np.random.Generator, news: News, ts: I8, moves: F8, seed: int) -> None:
    """Items whose mood leans, weakly, to where `moves` (hours,) goes in the hours after their publication."""
    n = round(len(ts) / news.every_hours)
    event = rng.integers(ts[0] // MINUTE, (ts[-1] - DAY) // MINUTE, n) * MINUTE
    delay = np.ceil(news.delay_minutes * np.exp(0.7 * rng.standard_normal(n))).astype(np.int64) * MINUTE
    # In order of publication, one item a minute.
    published, kept = np.unique(event + delay, return_index=True)
    event, n = event[kept], len(kept)
    # From the first hour that begins at or after the publication on.
    begins = np.searchsorted(ts, published)
    path = np.r_[0.0, np.cumsum(moves)]
    ahead = path[np.minimum(begins + news.lead_hours, len(ts))] - path[begins]
    ahead = (ahead - ahead.mean()) / ahead.std()
    mood = news.lead * ahead + np.sqrt(1 - news.lead**2) * rng.standard_normal(n)
    columns = {
        "event_at": _stamps(event),
        "published_at": _stamps(published),
        "sentiment": pa.array(np.round(np.tanh(news.spread * mood), 3)),
    }
    made = pa.table(columns).replace_schema_metadata({GENERATED: b"by wfbt data sample"})
    write_table(folder / "news.parquet", made)
    text = json.dumps({"generator": "wfbt data sample", "seed": seed, "news": asdict(news)}, indent=2) + "\n"
    replace_whole(folder / "news.json", lambda sink: sink.write(text.encode()))


def _regimes(rng: np.random.Generator, dynamics: Dynamics, n: int) -> I1:
    """(n,) int8: a Markov chain of 0 calm, 1 normal, 2 turbulent, as sojourns of geometric length."""
    visits = n  # at least an hour each: always enough
    # Each change goes to one of the other two states with equal chance: +1 or +2 around the ring.
    states = (1 + np.cumsum(rng.integers(1, 3, visits))) % 3
    lengths = rng.geometric(1 / (24 * np.array(dynamics.stay_days)[states]))
    enough = int(np.searchsorted(np.cumsum(lengths), n)) + 1
    return np.repeat(states[:enough], lengths[:enough])[:n].astype(np.int8)


def _autoregression(rng: np.random.Generator, persistence: float, n: int) -> F8:
    """(n,) AR(1) of unit variance, started from its stationary law."""
    from scipy.signal import lfilter

    shocks = rng.standard_normal(n) * np.sqrt(1 - persistence**2)
    start = rng.standard_normal()
    out: F8 = lfilter([1.0], [1.0, -persistence], shocks, zi=[persistence * start])[0]
    return out


def _walk(
    rng: np.random.Generator,
    asset: Asset,
    dynamics: Dynamics,
    ts: I8,
    regime: I1,
    factor: npt.NDArray[np.float32],
    cluster: F8,
    trend: F8,
    crashes: npt.NDArray[np.bool_],
    crash_sizes: F8,
) -> _Path:
    n = len(ts)
    hours = ts // HOUR % 24
    own = _autoregression(rng, dynamics.cluster, n)
    log_vol = dynamics.cluster_spread * (0.8 * cluster + 0.6 * own) + 0.15 * np.cos((hours - 15) * np.pi / 12)
    sigma = asset.sigma * np.array(dynamics.volatility)[regime] * np.exp(log_vol - dynamics.cluster_spread**2 / 2)
    persistent = 0.7 * trend + np.sqrt(1 - 0.7**2) * _autoregression(rng, dynamics.trend, n)
    drift = sigma * (np.array(dynamics.drift)[regime] + dynamics.trend_spread * persistent)
    drift += asset.growth * HOUR / (365 * DAY) - drift.mean()
    alone = rng.random(n) < 0.5 * np.array(dynamics.jumps)[regime]
    sizes = np.where(crashes, crash_sizes, 0.0) + np.where(alone, rng.standard_normal(n), 0.0)
    noise = asset.market * factor + np.sqrt(1 - asset.market**2) * rng.standard_normal(factor.shape, dtype=np.float32)
    steps = noise * (sigma / np.sqrt(STEPS))[:, None]
    steps[np.arange(n), rng.integers(0, STEPS, n)] += dynamics.jump_size * sigma * sizes
    # Chance is centred over the whole path, so that every seed ends at prices that a venue could quote.
    steps += (drift / STEPS)[:, None] - steps.mean()
    log_close = np.log(asset.price) + np.cumsum(steps.ravel())
    log_open = np.r_[np.log(asset.price), log_close[:-1]]
    # Extremes of a Brownian bridge between a minute's ends: Karatzas and Shreve (1991), problem 2.8.
    variance = np.repeat(sigma**2 / STEPS, STEPS)
    squared = (log_close - log_open) ** 2

    def reach() -> F8:
        uniform = 1.0 - rng.random(n * STEPS, dtype=np.float32)
        out: F8 = np.sqrt(squared - 2 * variance * np.log(uniform)) / 2
        return out

    middle = (log_open + log_close) / 2
    high, low = np.exp(middle + reach()), np.exp(middle - reach())
    ticks = [
        np.maximum(np.rint(price * asset.per_unit), 1).astype(np.int64) for price in (np.exp(log_close), high, low)
    ]
    close, high_ticks, low_ticks = ticks
    open_ = np.r_[max(round(asset.price * asset.per_unit), 1), close[:-1]]
    shape = (n, STEPS)
    return _Path(
        open=open_.reshape(shape),
        high=np.maximum(high_ticks, np.maximum(open_, close)).reshape(shape),
        low=np.minimum(low_ticks, np.minimum(open_, close)).reshape(shape),
        close=close.reshape(shape),
        sigma=sigma,
        drift=drift,
        jump=crashes | alone,
    )


def _write_symbol(
    folder: Path, rng: np.random.Generator, asset: Asset, dynamics: Dynamics, ts: I8, path: _Path, *, fine: bool
) -> I8:
    """Write its bars, marks and funding; gives the (hours,) lots traded."""
    ticks = {
        "open": path.open[:, 0],
        "high": path.high.max(axis=1),
        "low": path.low.min(axis=1),
        "close": path.close[:, -1],
    }
    prices = {name: values / asset.per_unit for name, values in ticks.items()}
    lots = _lots(rng, asset, ts, path, prices)
    write_table(folder / "bars_1h.parquet", _table(ts, {**prices, "volume": lots / 1000}))
    if fine:
        rows = slice(-FINE_DAYS * 24, None)
        minutes = {name: getattr(path, name)[rows] for name in ticks}
        swing = (minutes["high"] - minutes["low"]) + minutes["close"].mean() * 1e-4
        share = swing * np.exp(0.5 * rng.standard_normal(swing.shape))
        split = rng.multinomial(lots[rows], share / share.sum(axis=1, keepdims=True))
        columns = {name: values.ravel() / asset.per_unit for name, values in minutes.items()}
        at = np.arange(ts[rows][0], ts[-1] + HOUR, MINUTE)
        write_table(folder / "bars_1m.parquet", _table(at, {**columns, "volume": split.ravel() / 1000}))
    # A premium rises where price has trended up; the mark follows the price without it.
    lean = path.drift / path.sigma / dynamics.trend_spread
    premium = dynamics.basis_spread * (0.5 * lean + _autoregression(rng, dynamics.basis, len(ts)))
    after = np.r_[premium[1:], premium[-1]]
    mark = {"open": prices["open"] * (1 - premium), "close": prices["close"] * (1 - after)}
    average = 1 - (premium + after) / 2
    mark["high"] = np.maximum(prices["high"] * average, np.maximum(mark["open"], mark["close"]))
    mark["low"] = np.minimum(prices["low"] * average, np.minimum(mark["open"], mark["close"]))
    grid = asset.per_unit * 100
    mark = {name: np.rint(mark[name] * grid) / grid for name in ("open", "high", "low", "close")}
    write_table(folder / "mark_1h.parquet", _table(ts, {**mark, "volume": np.zeros(len(ts))}))
    mean = premium.reshape(-1, 8).mean(axis=1)
    # The premium of the eight hours before a settlement, pulled to one basis point as venues do.
    mean = np.r_[mean[0], mean[:-1]]
    rate = np.clip(mean + np.clip(1e-4 - mean, -5e-4, 5e-4), -0.0075, 0.0075)
    columns = {"rate": np.round(rate, 8), "mark_price": mark["open"][::8]}
    write_table(folder / "funding.parquet", _table(ts[::8], columns))
    return lots


def _write_trades(
    folder: Path, rng: np.random.Generator, asset: Asset, tape: Tape, ts: I8, path: _Path, lots: I8, seed: int
) -> None:
    """Single trades under the last hours of bars_1h: prices gather to the bars exactly, sizes to their volume."""
    rows = slice(-tape.days * 24, None)
    minute = {name: getattr(path, name)[rows].ravel() for name in ("open", "high", "low", "close")}
    begins = np.repeat(ts[rows], STEPS) + np.tile(np.arange(STEPS) * MINUTE, tape.days * 24)
    busy = np.sqrt(lots[rows] / lots[rows].mean())
    count = 4 + rng.poisson(tape.a_minute * np.repeat(busy, STEPS))
    of = np.repeat(np.arange(len(begins)), count)
    first = np.cumsum(count) - count
    # The first trade of a minute stands at its begin; a later one may share a stamp with its neighbour.
    since = rng.integers(0, MINUTE // 1_000_000, len(of)) * 1_000_000
    since[first] = 0
    at = begins[of] + since
    at = at[np.lexsort((at, of))]
    price = rng.integers(minute["low"][of], minute["high"][of] + 1)
    # Two between the first and the last reach the high and the low, in either order.
    turned = rng.random(len(begins)) < 0.5
    price[first], price[first + count - 1] = minute["open"], minute["close"]
    price[first + 1] = np.where(turned, minute["high"], minute["low"])
    price[first + 2] = np.where(turned, minute["low"], minute["high"])
    # Shares of an hour's lots, cut where their running sum is whole: every trade has a lot, and none is lost.
    weight = np.exp(tape.size_spread * rng.standard_normal(len(of)))
    hour = of // STEPS
    starts = np.searchsorted(hour, np.arange(tape.days * 24))
    total = np.cumsum(weight)
    before = np.concatenate(([0.0], total))[starts]
    ends = np.append(starts[1:], len(of))
    whole = total[ends - 1] - before
    trades = ends - starts
    spare = (lots[rows] - trades)[hour]
    reached = np.rint((total - before[hour]) / whole[hour] * spare).astype(np.int64)
    reached[ends - 1] = spare[ends - 1]
    filled = np.diff(reached, prepend=0)
    filled[starts] = reached[starts]
    moved = np.log(minute["close"] / minute["open"]) / np.repeat(path.sigma[rows] / np.sqrt(STEPS), STEPS)
    bought = rng.random(len(of)) < 1 / (1 + np.exp(-tape.lean * moved[of]))
    columns = {
        "price": price / asset.per_unit,
        "qty": (filled + 1) / 1000,
        "side": np.where(bought, 1, -1).astype(np.int8),
    }
    write_table(folder / "trades.parquet", _table(at, columns))
    text = json.dumps({"generator": "wfbt data sample", "seed": seed, "trades": asdict(tape)}, indent=2) + "\n"
    replace_whole(folder / "trades.json", lambda sink: sink.write(text.encode()))


def _lots(rng: np.random.Generator, asset: Asset, ts: I8, path: _Path, prices: dict[str, F8]) -> I8:
    """(hours,) traded lots: more with volatility, with the day's and the week's rhythm, and where price has moved."""
    hours, days = ts // HOUR % 24, (ts // DAY + 3) % 7
    rhythm = np.exp(0.35 * np.cos((hours - 15) * np.pi / 12)) * np.where(days >= 5, 0.65, 1.0)
    moved = np.log(prices["high"] / prices["low"]) / path.sigma
    noise = np.exp(0.35 * rng.standard_normal(len(ts)))
    lots = asset.lots * (path.sigma / asset.sigma) ** 0.8 * rhythm * (0.4 + 0.4 * moved) * noise
    whole: I8 = np.maximum(np.rint(lots), 1000).astype(np.int64)
    return whole


def _table(ts: I8, columns: dict[str, np.ndarray]) -> pa.Table:
    made = pa.table({"ts": _stamps(ts), **{name: pa.array(np.ascontiguousarray(v)) for name, v in columns.items()}})
    return made.replace_schema_metadata({GENERATED: b"by wfbt data sample"})


def _stamps(ts: I8) -> pa.Array:
    return pa.array(ts // 1000, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
