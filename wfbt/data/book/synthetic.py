"""Days of an order-driven book with known truth: the efficient price, the signal, the rates, the law of the latency."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from wfbt.data.arrays import F8, I8
from wfbt.data.book.compact import Days, book_table, day_of, described, trades_table
from wfbt.data.book.grid import Grid
from wfbt.data.book.importers.parsed import Traded
from wfbt.data.book.rows import NO_ID, Levels
from wfbt.data.market import DAY, MINUTE, SECOND
from wfbt.data.store import GENERATED, write_table
from wfbt.errors import ConfigError
from wfbt.files import replace_whole, sync_folder

VERSION = 1
FIRST = int(np.datetime64("2025-06-28", "ns").astype(np.int64))
DAYS = 3
MADE = "by wfbt data sample"
WARM = 3_600 * SECOND
"""Before the first day: long enough for a book to forget that it was empty."""
REACH = 0.5
"""The price may move by this share of where it begins; days that a person would look at stay far inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """Order flow of one symbol.  Rates are arrivals a second, of both sides together.

    Attributes
    ----------
    price, tick_size, lot_size : float
        Where it begins; the grid.
    limits, cancels, markets : float
        Rates.  A cancellation that finds nothing at its place does nothing.
    depth, half_spread : float
        Ticks: the mean distance of a limit order behind the nearest place it may stand, and of that place from the
        efficient price.
    lots, taken : float
        Mean lots of a limit order or a cancellation, and of a market order.
    sigma : float
        Deviation of the efficient price's log return over a second.
    signal, half_life : float
        Deviation of the drift of that price a second, in units of sigma, and the seconds after which half is left.
    lean : float
        Log odds of a market order to buy, per deviation of the signal.
    """

    price: float
    tick_size: float
    lot_size: float
    limits: float
    cancels: float
    markets: float
    depth: float
    half_spread: float
    lots: float
    taken: float
    sigma: float
    signal: float
    half_life: float
    lean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedDelay:
    """Time from the exchange to here: `base_ms`, and beyond it a lognormal of `median_ms`; first-in first-out."""

    base_ms: float = 2.0
    median_ms: float = 1.5
    spread: float = 0.6


# A tick of 5 bp is the spread most of the time and queues are long; one of 0.2 bp is a small part of the spread.
FLOWS = {
    "LARGEUSDT": Flows(
        price=20.0,
        tick_size=0.01,
        lot_size=1.0,
        limits=1.8,
        cancels=1.2,
        markets=0.3,
        depth=3.0,
        half_spread=0.05,
        lots=60.0,
        taken=80.0,
        sigma=6e-5,
        signal=0.04,
        half_life=30.0,
        lean=0.9,
    ),
    "SMALLUSDT": Flows(
        price=5000.0,
        tick_size=0.1,
        lot_size=0.001,
        limits=1.8,
        cancels=1.3,
        markets=0.3,
        depth=12.0,
        half_spread=2.5,
        lots=500.0,
        taken=700.0,
        sigma=6e-5,
        signal=0.04,
        half_life=30.0,
        lean=0.9,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulated:
    """One day: the book's rows, the trades, and the truth of each second before what happens in it.

    Attributes
    ----------
    opening : Levels
        The book at the begin of the day, a snapshot of the last message before it.
    efficient, signal : (86400,) float64
        The efficient price in quote, and the signal in its own deviations.
    bid, ask : (86400,) int64
        Best ticks at the exchange; 0 where a side is empty.
    """

    opening: Levels
    rows: Levels
    trades: Traded
    efficient: F8
    signal: F8
    bid: I8
    ask: I8


class OrderFlow:
    """Days of one symbol's book, one after the other."""

    def __init__(self, flows: Flows, delay: FeedDelay, sequence: np.random.SeedSequence, first: int = FIRST) -> None:
        """Its first day begins at `first`, ns UTC, with what an hour of order flow has made of an empty book."""
        from wfbt.kernels.order_flow import At, Flow

        self.flows, self.first, self.day = flows, first, 0
        self.grid = Grid(tick_size=flows.tick_size, lot_size=flows.lot_size)
        middle = round(flows.price / flows.tick_size)
        reach = int(REACH * middle)
        self._origin = max(middle - reach, 1)
        self._lots = np.zeros((2, middle + reach - self._origin), np.int64)
        self._at = np.zeros(At.SIZE, np.int64)
        self._price = np.array([np.log(flows.price), 0.0])
        self._sequence = sequence
        self._flow = np.zeros(Flow.SIZE)
        given = {
            Flow.LIMITS: flows.limits,
            Flow.CANCELS: flows.cancels,
            Flow.MARKETS: flows.markets,
            Flow.DEPTH: flows.depth,
            Flow.HALF: flows.half_spread,
            Flow.LOTS: flows.lots,
            Flow.TAKEN: flows.taken,
            Flow.SIGMA: flows.sigma,
            Flow.SIGNAL: flows.signal,
            Flow.DECAY: np.log(2.0) / flows.half_life,
            Flow.LEAN: flows.lean,
            Flow.BASE_LATENCY: delay.base_ms * 1e6,
            Flow.MEDIAN_LATENCY: delay.median_ms * 1e6,
            Flow.SPREAD_LATENCY: delay.spread,
        }
        for place, value in given.items():
            self._flow[place] = value
        self._row = 0
        self._last: Levels | None = None
        self._run(first - WARM, first)
        self._at[At.LIMITS :] = 0

    def next_day(self) -> Simulated:
        """The next day of the book."""
        opening = self._standing()
        begin = self.first + self.day * DAY
        made, prints, truth = self._run(begin, begin + DAY)
        k = len(prints)
        self.day += 1
        return Simulated(
            opening=opening,
            rows=made,
            trades=Traded(
                row=np.arange(k),
                exch_ts=prints[:, 0],
                recv_ts=prints[:, 1],
                price=self.grid.prices(prints[:, 3]),
                qty=self.grid.quantities(prints[:, 4]),
                side=prints[:, 2].astype(np.int8),
                trade_id=np.arange(k) + (self.day - 1) * 10_000_000 + 1,
            ),
            efficient=truth[:, 0],
            signal=truth[:, 1],
            bid=truth[:, 2].astype(np.int64),
            ask=truth[:, 3].astype(np.int64),
        )

    def _run(self, begin: int, end: int) -> tuple[Levels, np.ndarray, np.ndarray]:
        """Rows of the book, trades and truth from `begin` to before `end`, ns."""
        from wfbt.kernels.order_flow import flow_day

        rng = np.random.default_rng(self._sequence.spawn(1)[0])
        # Events are Poisson: ten deviations more than their mean are never reached.
        mean = self._flow[:3].sum() * (end - begin) / SECOND
        events = int(mean + 10 * np.sqrt(mean)) + 100
        draws = (rng.standard_exponential(events), rng.standard_normal((events, 3)), 1 - rng.random((events, 4)))
        room = 2 * events + 4 * self._lots.shape[1]
        rows, trades = np.empty((room, 6), np.int64), np.empty((room, 5), np.int64)
        truth, counts = np.zeros(((end - begin) // SECOND, 4)), np.zeros(2, np.int64)
        state = (self._lots, self._origin, self._at, self._price, self._flow)
        if code := flow_day(*state, *draws, begin, end, self.grid.tick_size, rows, trades, truth, counts):
            raise ConfigError(f"order flow: {('too many rows for a day', 'the price left its range')[code - 1]}")
        n, k = counts.tolist()
        made = self._levels(rows[:n])
        self._row += n
        self._last = made.take(slice(n - 1, None)) if n else self._last
        return made, trades[:k], truth

    def counts(self) -> dict[str, int]:
        """Arrivals so far that did something: limit orders, cancellations, market orders, and who knows better."""
        from wfbt.kernels.order_flow import At

        names = {"limits": At.LIMITS, "cancels": At.CANCELS, "markets": At.MARKETS, "informed": At.INFORMED}
        return {name: int(self._at[place]) for name, place in names.items()}

    def _levels(self, rows: np.ndarray) -> Levels:
        n = len(rows)
        last = rows[:, 5] == 1
        # One update a message, numbered through all days.
        update = self._updates() + np.cumsum(last) - last
        return Levels(
            row=self._row + np.arange(n),
            exch_ts=rows[:, 0],
            recv_ts=rows[:, 1],
            side=rows[:, 2].astype(np.int8),
            snapshot=np.zeros(n, np.bool_),
            last=last,
            first_id=np.full(n, NO_ID),
            final_id=update,
            prev_id=update - 1,
            tick=rows[:, 3],
            lots=rows[:, 4],
        )

    def _updates(self) -> int:
        return 1 if self._last is None else int(self._last.final_id[0]) + 1

    def _standing(self) -> Levels:
        assert self._last is not None, "an hour of order flow leaves a message"
        bids, asks = np.flatnonzero(self._lots[0])[::-1], np.flatnonzero(self._lots[1])
        n = len(bids) + len(asks)
        last = np.zeros(n, np.bool_)
        last[-1] = True
        return Levels(
            row=np.full(n, self._last.row[0]),
            exch_ts=np.full(n, self._last.exch_ts[0]),
            recv_ts=np.full(n, self._last.recv_ts[0]),
            side=np.repeat(np.array([1, -1], np.int8), [len(bids), len(asks)]),
            snapshot=np.ones(n, np.bool_),
            last=last,
            first_id=np.full(n, NO_ID),
            final_id=np.full(n, self._last.final_id[0]),
            prev_id=np.full(n, NO_ID),
            tick=np.concatenate([bids, asks]) + self._origin,
            lots=np.concatenate([self._lots[0][bids], self._lots[1][asks]]),
        )


def write_books(folder: str | os.PathLike[str], seed: int = 7, days: int = DAYS) -> None:
    """Write the books of FLOWS into `folder`, complete or not at all; the same seed gives the same bytes.

    Raises ConfigError when the folder holds anything but earlier ones.
    """
    target = Path(folder)
    if target.exists() and not (target / "truth.json").is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target}: exists and holds no sample books; give an empty or a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    aside, former = (target.with_name(f".{target.name}.{end}") for end in ("part", "old"))
    for leftover in (aside, former):
        if leftover.exists():
            shutil.rmtree(leftover)
    delay, told = FeedDelay(), {}
    for sequence, (symbol, flows) in zip(np.random.SeedSequence(seed).spawn(len(FLOWS)), FLOWS.items(), strict=True):
        told[symbol] = _write_symbol(aside, symbol, OrderFlow(flows, delay, sequence), days)
    truth = {
        "generator": "wfbt data sample",
        "version": VERSION,
        "seed": seed,
        "days": days,
        "feed_delay": asdict(delay),
        "symbols": told,
    }
    text = json.dumps(truth, indent=2) + "\n"
    replace_whole(aside / "truth.json", lambda sink: sink.write(text.encode()))
    if target.exists():
        target.rename(former)
    aside.rename(target)
    sync_folder(target.parent)
    if former.exists():
        shutil.rmtree(former)


def _write_symbol(folder: Path, symbol: str, source: OrderFlow, days: int) -> dict[str, Any]:
    told = described(symbol, source.grid, venue="generated", clock_offset=0, version=VERSION)
    book, tape = (Days(folder / kind, symbol, told, generated=MADE) for kind in ("book", "trades"))
    truths, traded = [], []
    for _ in range(days):
        day = source.next_day()
        for rows, write in ((day.rows, book), (day.trades, tape)):
            # Received on the next day is kept there, as an import would.
            cut = int(np.searchsorted(rows.recv_ts // DAY, day.rows.recv_ts[0] // DAY, side="right"))
            assert cut == len(rows), "the last messages of a day are received in it"
            name = day_of(rows.recv_ts[0])
            if isinstance(rows, Levels):
                write.add(book_table(rows), name, book_table(day.opening))
            else:
                write.add(trades_table(rows), name)
        truths.append(day)
        traded.append(day.trades)
    book.close()
    tape.close()
    _write_truth(folder / "truth" / f"{symbol}.parquet", source, truths)
    write_table(folder / "bars" / symbol / "bars_1m.parquet", _bars(source, traded, days))
    seconds = days * DAY / SECOND
    return {
        **asdict(source.flows),
        "arrivals": source.counts(),
        "arrivals_per_second": {name: round(count / seconds, 6) for name, count in source.counts().items()},
    }


def _write_truth(path: Path, source: OrderFlow, days: list[Simulated]) -> None:
    """efficient (to a hundredth of a tick), signal, bid and ask of every second."""
    tick = source.grid.tick_size
    n = sum(len(day.efficient) for day in days)
    columns: dict[str, np.ndarray] = {
        "efficient": np.round(np.concatenate([day.efficient for day in days]) / tick, 2) * tick,
        "signal": np.concatenate([day.signal for day in days]).astype(np.float32),
        "bid": np.concatenate([day.bid for day in days]) * tick,
        "ask": np.concatenate([day.ask for day in days]) * tick,
    }
    ts = source.first + SECOND * np.arange(n)
    write_table(path, _table(ts, columns))


def _bars(source: OrderFlow, traded: list[Traded], days: int) -> pa.Table:
    """Minutes of the trades by their time at the exchange; one without any holds the last price and no volume."""
    ts, price, qty = (np.concatenate([getattr(one, name) for one in traded]) for name in ("exch_ts", "price", "qty"))
    minutes = source.first + MINUTE * np.arange(days * DAY // MINUTE)
    begin = np.searchsorted(ts, minutes)
    end = np.searchsorted(ts, minutes + MINUTE)
    some = end > begin
    # The last price before each minute; the first one of all where there is none yet.
    before = price[np.maximum(begin - 1, 0)]
    out = {name: before.copy() for name in ("open", "high", "low", "close")}
    at = begin[some]
    out["open"][some], out["close"][some] = price[at], price[end[some] - 1]
    out["high"][some], out["low"][some] = np.maximum.reduceat(price, at), np.minimum.reduceat(price, at)
    whole = np.zeros(len(minutes))
    lots = np.rint(qty / source.grid.lot_size).astype(np.int64)
    whole[some] = source.grid.quantities(np.add.reduceat(lots, at))
    columns: dict[str, np.ndarray] = {**out, "volume": whole}
    return _table(minutes, columns)


def _table(ts: I8, columns: dict[str, np.ndarray]) -> pa.Table:
    stamps = pa.array(ts // 1000, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    made = pa.table({"ts": stamps, **{name: pa.array(values) for name, values in columns.items()}})
    return made.replace_schema_metadata({GENERATED: MADE.encode()})
