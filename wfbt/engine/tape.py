"""A market laid out for the kernel: one clock, marks, trailing impact inputs, funding stamps, order arrivals.

The clock is the union of all symbols' bars.  Where every symbol that has a bar also has execution bars that cover it
without a hole, that row is replaced by the finer ones: things fill on them, decisions stay at the coarse close.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import DAY, Instrument, Market
from wfbt.engine.costs import HORIZON, Costs
from wfbt.engine.latency import Latency
from wfbt.errors import DataError
from wfbt.features.volatility import trailing_sigma_volume
from wfbt.kernels.abi import ASSET, STAMP, TERMS, Tape
from wfbt.ledger.metrics import Calendar, trading_calendar

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deck:
    """A market ready to replay, shared by every lane.

    Attributes
    ----------
    symbols : tuple of str
    tape : Tape
        E execution rows.
    terms : (E, A) TERMS
    stamps : (K,) STAMP
    contracts : (A,) ASSET
    day_rows : (D,) int64
        Execution rows with which a UTC day ends, and the last row.
    decisions : (T,) int64
        Execution row at whose close decision bar t is known.
    places : tuple of (T_a,) int64
        For each symbol, the decision bars that are its own.
    slots : int
        Most orders of one symbol in flight at once.
    calendar : Calendar
        Which closes make a day of returns.
    notes : tuple of str
        What had to be assumed; for the manifest.
    """

    symbols: tuple[str, ...]
    period: int
    tape: Tape
    terms: npt.NDArray[np.void]
    stamps: npt.NDArray[np.void]
    contracts: npt.NDArray[np.void]
    day_rows: I8
    decisions: I8
    places: tuple[I8, ...]
    slots: int
    calendar: Calendar
    horizon: int
    notes: tuple[str, ...]

    @property
    def close_ts(self) -> I8:
        """(T,) int64: closes of the decision bars."""
        return self.tape.close_ts[self.decisions]

    def carried(self) -> F8:
        """(T, A) float64: marks at the closes of the decision bars."""
        return self.tape.mark_close[self.decisions]


def lay_out(market: Market, costs: Costs, latency: Latency, maintenance: float, seed: int) -> Deck:
    """Lay `market` out under these costs and delays.  The draws of `latency` are keyed by (seed, symbol, bar time)."""
    instruments = market.instruments
    coarse_open = _union([i.bars.open_ts for i in instruments])
    if (bad := np.flatnonzero(np.diff(coarse_open) < market.period)).size:
        when = pd.Timestamp(coarse_open[bad[0] + 1], tz="UTC")
        raise DataError(f"bars of {', '.join(market.symbols)} open out of phase at {when}; resample them to one grid")
    open_ts, close_ts, decisions = _clock(instruments, coarse_open, market.period)
    rows, assets = len(open_ts), len(instruments)
    alone = assets == 1 and rows == len(coarse_open)  # one symbol on its own bars: its arrays are the columns
    decision = np.zeros(rows, bool)
    decision[decisions] = True
    fine = np.diff(np.r_[-1, decisions]) > 1  # decision bars that are laid out in finer rows
    notes: list[str] = []
    if any(i.execution_bars is not None for i in instruments):
        notes.append(f"execution bars fill the orders of {int(fine.sum())} of {len(decisions)} bars")
        if fine.any() and any(i.mark is not None for i in instruments):
            notes.append(
                "inside execution bars trade prices stand in for the mark; the mark itself counts at their end"
            )

    if alone:
        columns = {name: getattr(instruments[0].bars, name).reshape(-1, 1) for name in PRICES}
    else:
        columns = {name: np.full((rows, assets), np.nan) for name in PRICES}
    marks = {name: np.empty((rows, assets)) for name in PRICES}
    sigma, volume = np.full((rows, assets), np.nan), np.full((rows, assets), np.nan)
    arrive, gauss = np.empty((rows, assets), np.int64), np.zeros((rows, assets))
    delayed = False
    contracts = np.zeros(assets, ASSET)
    stamps, places = [], []
    horizon = costs.impact.horizon if costs.impact else HORIZON
    for a, one in enumerate(instruments):
        own = np.arange(rows) if alone else np.searchsorted(coarse_open, one.bars.open_ts)
        places.append(own)
        if not alone:
            _place_bars(columns, a, one, own, decisions, fine, open_ts)
        if alone and one.mark is None:
            marks = columns
        else:
            notes += _place_marks(marks, columns, a, one, coarse_open, decisions, fine)
        delay = latency.delays(seed, one.symbol, close_ts)
        late = bool(delay.any())
        delayed |= late
        arrive[:, a] = close_ts + delay
        if late:
            gauss[:, a] = latency.price_draws(seed, one.symbol, close_ts)
        if costs.impact or late:
            notes += _place_impact(sigma, volume, a, one, decisions[own], horizon, costs)
        stamps.append(_stamps(one, a, open_ts, close_ts, marks["open"][:, a]))
        notes += _coverage(one, int(coarse_open[-1]))
        c = contracts[a]
        c["multiplier"], c["inverse"] = one.contract.multiplier, float(one.contract.inverse)
        c["tick"], c["lot"], c["maintenance"] = one.contract.tick, one.contract.lot, maintenance
        if costs.impact:
            c["temporary"] = costs.impact.temporary if one.impact is None else one.impact
            c["permanent"] = costs.impact.permanent if one.impact is None else one.impact / 2

    day = (close_ts - 1) // DAY
    day_end = np.append(day[1:] != day[:-1], True)
    every = np.concatenate(stamps)
    tape = Tape(
        open_ts=open_ts,
        close_ts=close_ts,
        decision=decision,
        day_end=day_end,
        **columns,
        **{f"mark_{name}": marks[name] for name in PRICES},
        sigma=sigma,
        volume=volume,
        arrive=arrive,
        gauss=gauss,
    )
    for array in tape:
        array.setflags(write=False)
    return Deck(
        symbols=market.symbols,
        period=market.period,
        tape=tape,
        terms=terms_of(tape, contracts, horizon),
        stamps=every[np.lexsort((every["ts"], every["asset"], every["row"]))],
        contracts=contracts,
        day_rows=np.flatnonzero(day_end),
        decisions=decisions,
        places=tuple(places),
        slots=_most_in_flight(close_ts, arrive, decisions) if delayed else 1,
        calendar=trading_calendar(close_ts[decisions]),
        horizon=horizon,
        notes=tuple(notes),
    )


def _coverage(one: Instrument, last_open: int) -> list[str]:
    """What a symbol's files do not cover, and a grid that cannot be meant."""
    bars, notes = one.bars, []
    least = float(bars.low.min())
    if one.contract.tick > least / 10:
        raise DataError(
            f"{one.symbol}: contract.tick {one.contract.tick:g} is more than a tenth of the price {least:g}"
        )
    if bars.open_ts[-1] < last_open:
        ends = pd.Timestamp(int(bars.close_ts[-1]), tz="UTC")
        notes.append(f"{one.symbol}: its bars end on {ends:%Y-%m-%d %H:%M}; what is held then stays at its last mark")
    if one.funding is None:
        notes.append(f"{one.symbol}: no funding file was given, so no funding is charged")
    elif len(one.funding):
        first, last = int(one.funding.ts[0]), int(one.funding.ts[-1])
        usual = int(np.median(np.diff(one.funding.ts))) if len(one.funding) > 1 else DAY
        missing = max(0, first - int(bars.open_ts[0]) - usual) + max(0, int(bars.close_ts[-1]) - last - usual)
        if missing > 0:
            notes.append(
                f"{one.symbol}: no funding is known, and none charged, on {missing / DAY:,.1f} days of its bars"
            )
    return notes


def _union(clocks: list[I8]) -> I8:
    """All times of increasing clocks, each once."""
    first = clocks[0]
    if all(len(clock) == len(first) and np.array_equal(clock, first) for clock in clocks[1:]):
        return first
    return np.unique(np.concatenate(clocks))


def _most_in_flight(close_ts: I8, arrive: I8, decisions: I8) -> int:
    """Rows that the slowest order of any decision waits: as many of its symbol can be on their way at once."""
    live = np.searchsorted(close_ts, arrive[decisions], side="right") - decisions[:, None]
    return int(max(1, live.max(initial=1)))


def terms_of(tape: Tape, contracts: npt.NDArray[np.void], horizon: float) -> npt.NDArray[np.void]:
    """(T, A) TERMS: arrival, slide and impact of an order decided on each row."""
    out = np.zeros(tape.open.shape, TERMS)
    out["arrive"] = tape.arrive
    if not (tape.arrive > tape.close_ts[:, None]).any() and not (contracts["temporary"] + contracts["permanent"]).any():
        return out
    rows = len(tape.open_ts)
    live = np.minimum(np.searchsorted(tape.close_ts, tape.arrive, side="right"), rows - 1)
    delay = np.maximum(tape.arrive - tape.open_ts[live], 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        slide = tape.sigma * np.sqrt(delay / horizon) * tape.gauss
        impact = (contracts["temporary"] + contracts["permanent"]) * tape.sigma / np.sqrt(tape.volume)
    out["slide"] = np.where(np.isnan(slide), 0.0, slide)
    out["impact"] = np.where(tape.volume > 0, np.nan_to_num(impact, nan=0.0, posinf=0.0), 0.0)
    return out


def _clock(instruments: tuple[Instrument, ...], coarse_open: I8, period: int) -> tuple[I8, I8, I8]:
    """Opens and closes of all rows, and the row at whose close each decision bar is known."""
    finer = {i.execution_bars.period for i in instruments if i.execution_bars is not None}
    if not finer:
        return coarse_open, coarse_open + period, np.arange(len(coarse_open))
    if len(finer) > 1 or period % min(finer) or min(finer) >= period:
        raise DataError(
            "execution_bars must share one period that divides the bars'; found "
            + ", ".join(f"{p / 60e9:g}m" for p in sorted(finer))
            + f" in {period / 60e9:g}m"
        )
    (small,) = finer
    parts = period // small
    whole = np.ones(len(coarse_open), bool)
    for one in instruments:
        present = np.isin(coarse_open, one.bars.open_ts)
        if one.execution_bars is None:
            whole &= ~present
            continue
        ts = one.execution_bars.open_ts
        slot = np.searchsorted(coarse_open, ts, side="right") - 1
        within = (slot >= 0) & (ts - coarse_open[slot] < period) & ((ts - coarse_open[slot]) % small == 0)
        count = np.bincount(slot[within], minlength=len(coarse_open))
        whole &= ~present | (count == parts)
    lengths = np.where(whole, parts, 1)
    decisions = np.cumsum(lengths) - 1
    bar = np.repeat(np.arange(len(coarse_open)), lengths)
    part = np.arange(len(bar)) - (decisions - lengths + 1)[bar]
    open_ts = coarse_open[bar] + part * small
    return open_ts, open_ts + np.where(whole[bar], small, period), decisions


def _place_bars(
    columns: dict[str, F8], a: int, one: Instrument, own: I8, decisions: I8, fine: npt.NDArray[np.bool_], open_ts: I8
) -> None:
    whole = ~fine[own]
    for name in PRICES:
        columns[name][decisions[own[whole]], a] = getattr(one.bars, name)[whole]
    if one.execution_bars is not None and fine.any():
        ts = one.execution_bars.open_ts
        row = np.minimum(np.searchsorted(open_ts, ts), len(open_ts) - 1)
        bar = np.searchsorted(decisions, row)
        mine = (open_ts[row] == ts) & fine[np.minimum(bar, len(fine) - 1)] & np.isin(bar, own)
        for name in PRICES:
            columns[name][row[mine], a] = getattr(one.execution_bars, name)[mine]


def _place_marks(
    marks: dict[str, F8],
    columns: dict[str, F8],
    a: int,
    one: Instrument,
    coarse_open: I8,
    decisions: I8,
    fine: npt.NDArray[np.bool_],
) -> list[str]:
    """Marks where they are known, else the trades' own prices; where the symbol has no bar its last mark stands."""
    notes = []
    for name in PRICES:
        marks[name][:, a] = columns[name][:, a]
    if one.mark is not None:
        at = np.searchsorted(coarse_open, one.mark.open_ts)
        known = (at < len(coarse_open)) & (coarse_open[np.minimum(at, len(coarse_open) - 1)] == one.mark.open_ts)
        bar = at[known]
        covered = int((~np.isnan(columns["close"][decisions[bar], a])).sum())
        whole = ~fine[bar]
        for name in PRICES:
            marks[name][decisions[bar[whole]], a] = getattr(one.mark, name)[known][whole]
        # Inside finer rows only the close of the coarse mark has a known place.
        marks["close"][decisions[bar], a] = one.mark.close[known]
        bars = len(one.bars)
        if covered < bars:
            notes.append(f"{one.symbol}: no mark price for {bars - covered} of {bars} bars; their own prices stand in")
    absent = np.isnan(marks["close"][:, a])
    if absent.any():
        last = pd.Series(marks["close"][:, a]).ffill().to_numpy()
        for name in PRICES:
            marks[name][absent, a] = last[absent]
    return notes


def _place_impact(sigma: F8, volume: F8, a: int, one: Instrument, rows: I8, horizon: int, costs: Costs) -> list[str]:
    """σ and V of each row as known at its close: those of the symbol's last closed bar."""
    deviation, traded = trailing_sigma_volume(one.bars.close, one.bars.volume, one.bars.period, horizon)
    notes = []
    if one.adv is not None:
        traded = np.where(np.isnan(deviation), np.nan, one.adv)
    elif one.volume == "none" or not one.bars.volume.any():
        traded = np.full(len(traded), np.nan)
    elif costs.impact:
        notes.append(f"{one.symbol}: the first 2 bars have no trailing volatility, so an order there has no impact")
    if len(rows) == len(sigma):
        sigma[:, a], volume[:, a] = deviation, traded
        return notes
    place = np.searchsorted(rows, np.arange(len(sigma)), side="right") - 1
    known = place >= 0
    sigma[known, a] = deviation[place[known]]
    volume[known, a] = traded[place[known]]
    return notes


def _stamps(one: Instrument, a: int, open_ts: I8, close_ts: I8, mark_open: F8) -> npt.NDArray[np.void]:
    """Funding settlements with the row that pays each and the mark it is paid at."""
    if one.funding is None:
        return np.zeros(0, STAMP)
    funding = one.funding
    inside = (funding.ts > open_ts[0]) & (funding.ts < close_ts[-1])
    out = np.zeros(int(inside.sum()), STAMP)
    out["ts"], out["asset"], out["rate"] = funding.ts[inside], a, funding.rate[inside]
    out["row"] = np.searchsorted(close_ts, out["ts"], side="right")
    mark = funding.mark[inside]
    out["mark"] = np.where(np.isnan(mark), mark_open[out["row"]], mark)
    return np.asarray(out[~np.isnan(out["mark"])])
