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
from wfbt.engine.activity import activity_of, mend_volume, needs_volume, volume_known, volume_notes
from wfbt.engine.clock import Clock, clock_of
from wfbt.engine.costs import HORIZON, Costs
from wfbt.engine.schedule import coarse_note, slices_of
from wfbt.engine.setup import Setup
from wfbt.engine.venue import fee_tiers, margin_tiers
from wfbt.errors import DataError
from wfbt.features.volatility import trailing_sigma_volume
from wfbt.kernels.abi import ASSET, STAMP, TERMS, Activity, Tape, Venue
from wfbt.ledger.metrics import Calendar

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
        E execution rows.  sigma and volume, or gauss, have no row where these costs and delays never ask for them.
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
    activity : Activity
        What caps, following trails and exposure limits look up.
    venue : Venue
        Tiers, exposure limits, last rows and slices; those of decision bar t at (t·A + asset)·n.
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
    activity: Activity
    venue: Venue
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        # Also of an altered deck: the kernel is compiled once, for arrays that cannot be written to.
        for array in (*self.tape, *self.activity, *self.venue):
            array.setflags(write=False)

    @property
    def close_ts(self) -> I8:
        """(T,) int64: closes of the decision bars."""
        return self.tape.close_ts if self.plain else self.tape.close_ts[self.decisions]

    def carried(self) -> F8:
        """(T, A) float64: marks at the closes of the decision bars."""
        return self.tape.mark_close if self.plain else self.tape.mark_close[self.decisions]

    @property
    def plain(self) -> bool:
        """Every row is a decision bar."""
        return len(self.decisions) == len(self.tape.open_ts)


def lay_out(market: Market, setup: Setup, seed: int) -> Deck:
    """Lay `market` out for `setup`.  The draws of its latency are keyed by (seed, symbol, bar time).

    Arrays of the market that need no change are taken as they are, and what the setup never asks for (draws,
    volatility, volume) is not computed.
    """
    costs, latency, exposure = setup.costs, setup.latency, setup.limits.exposure
    instruments, clock = market.instruments, clock_of(market)
    open_ts, close_ts, decisions = clock.open_ts, clock.close_ts, clock.decisions
    rows, assets = len(open_ts), len(instruments)
    alone = assets == 1 and clock.plain  # one symbol on its own bars: its arrays are the columns
    if clock.plain:
        decision, fine = np.ones(rows, bool), np.zeros(rows, bool)
    else:
        decision = np.zeros(rows, bool)
        decision[decisions] = True
        fine = np.diff(decisions, prepend=-1) > 1  # decision bars that are laid out in finer rows
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
    if alone and instruments[0].mark is None:
        marks = columns
    else:
        marks = {name: np.empty((rows, assets)) for name in PRICES}
    delays = None if latency.instant else [latency.delays(seed, one.symbol, close_ts) for one in instruments]
    late = [delays is not None and bool(delays[a].any()) for a in range(assets)]
    judged = exposure.volatility is not None or exposure.liquidity is not None
    measured = rows if costs.impact or any(late) or judged else 0
    sigma, volume = np.full((measured, assets), np.nan), np.full((measured, assets), np.nan)
    gauss = np.zeros((rows if any(late) else 0, assets))
    contracts = np.zeros(assets, ASSET)
    traded = {"volume": np.full((rows, assets) if needs_volume(setup) else (1, 1), np.nan)}
    final = np.full(assets, -1, np.int64)
    stamps, places = [], []
    horizon = costs.impact.horizon if costs.impact else HORIZON
    for a, one in enumerate(instruments):
        if len(one.bars) == len(decisions):
            own = decisions if clock.plain else np.arange(len(decisions))
        else:
            own = np.searchsorted(clock.coarse_open, one.bars.open_ts)
        places.append(own)
        if not alone:
            _place_bars(columns, a, one, own, decisions, fine, open_ts)
        if needs_volume(setup):
            _place_bars(traded, a, one, own, decisions, fine, open_ts)
            mend_volume(traded["volume"][:, a], one, close_ts - open_ts, horizon)
        notes += volume_notes(one, setup)
        if one.bars.open_ts[-1] < clock.coarse_open[-1]:
            final[a] = decisions[own[-1]]
        if marks is not columns:
            notes += _place_marks(marks, columns, a, one, clock.coarse_open, decisions, fine)
        if late[a]:
            gauss[:, a] = latency.price_draws(seed, one.symbol, close_ts)
        if costs.impact or late[a] or judged:
            notes += _place_impact(sigma, volume, a, one, own if clock.plain else decisions[own], horizon, costs)
        stamps.append(_stamps(one, a, clock, marks["open"][:, a]))
        notes += _coverage(one, int(clock.coarse_open[-1]))
        c = contracts[a]
        c["multiplier"], c["inverse"] = one.contract.multiplier, float(one.contract.inverse)
        c["tick"], c["lot"], c["maintenance"] = one.contract.tick, one.contract.lot, setup.account.maintenance
        if costs.impact:
            c["temporary"] = costs.impact.temporary if one.impact is None else one.impact
            c["permanent"] = costs.impact.permanent if one.impact is None else one.impact / 2

    day_rows = clock.day_rows()
    day_end = np.zeros(rows, bool)
    day_end[day_rows] = True
    tape = Tape(
        open_ts=open_ts,
        close_ts=close_ts,
        decision=decision,
        day_end=day_end,
        **columns,
        **{f"mark_{name}": marks[name] for name in PRICES},
        sigma=sigma,
        volume=volume,
        arrive=_arrivals(close_ts, delays, assets),
        gauss=gauss,
    )
    notes += coarse_note(tape, setup.orders.schedule)
    calendar = clock.calendar(day_rows)
    activity = activity_of(
        market, tape, traded["volume"], day_rows, calendar.days_a_year, setup, horizon, places, decisions
    )
    venue = Venue(
        tiers=margin_tiers(market.symbols, setup.account.tiers, setup.account.maintenance),
        fees=fee_tiers(costs.fee_tiers),
        bounds=exposure.bounds(),
        final=final,
        slices=slices_of(market, tape, decisions, setup.orders.schedule),
    )
    return Deck(
        symbols=market.symbols,
        period=market.period,
        tape=tape,
        terms=terms_of(tape, contracts, horizon),
        stamps=_in_order(stamps),
        contracts=contracts,
        day_rows=day_rows,
        decisions=decisions,
        places=tuple(places),
        slots=_slots(clock, tape.arrive, any(late), setup),
        calendar=calendar,
        horizon=horizon,
        activity=activity,
        venue=venue,
        notes=tuple(notes),
    )


def _arrivals(close_ts: I8, delays: list[I8] | None, assets: int) -> I8:
    """(E, A) int64: when an order decided at each close is live."""
    if delays is None:
        return np.ascontiguousarray(np.broadcast_to(close_ts[:, None], (len(close_ts), assets)))
    return np.stack([close_ts + delay for delay in delays], axis=1)


def _in_order(stamps: list[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    """Stamps of all symbols by (row, asset, ts); those of one symbol are in the order of its file."""
    if len(stamps) == 1:
        return stamps[0]
    every = np.concatenate(stamps)
    return every[np.lexsort((every["ts"], every["asset"], every["row"]))]


def _coverage(one: Instrument, last_open: int) -> list[str]:
    """What a symbol's files do not cover, and a grid that cannot be meant."""
    bars, notes = one.bars, []
    if one.contract.tick > 0 and one.contract.tick > (least := float(bars.low.min())) / 10:
        raise DataError(
            f"{one.symbol}: contract.tick {one.contract.tick:g} is more than a tenth of the price {least:g}"
        )
    if bars.open_ts[-1] < last_open:
        ends = pd.Timestamp(int(bars.close_ts[-1]), tz="UTC")
        notes.append(
            f"{one.symbol}: its bars end on {ends:%Y-%m-%d %H:%M}; what is held then is closed at its last price"
        )
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


def _slots(clock: Clock, arrive: I8, late: bool, setup: Setup) -> int:
    """Most orders of a symbol that can be on their way at once."""
    orders = setup.orders
    if orders.min_interval and orders.max_open:
        return orders.max_open  # an order that waits for its turn is on its way too
    most = _most_in_flight(clock, arrive) if late else 1
    return min(most, orders.max_open or most)


def _most_in_flight(clock: Clock, arrive: I8) -> int:
    """Rows that the slowest order of any decision waits: as many of its symbol can be on their way at once."""
    decisions = clock.decisions
    live = clock.closed_by(arrive if clock.plain else arrive[decisions])
    return int(max(1, (live - decisions[:, None]).max(initial=1)))


def terms_of(tape: Tape, contracts: npt.NDArray[np.void], horizon: float) -> npt.NDArray[np.void]:
    """(T, A) TERMS: arrival, slide and impact of an order decided on each row."""
    out = np.zeros(tape.open.shape, TERMS)
    coefficient = contracts["temporary"] + contracts["permanent"]
    delayed = len(tape.gauss) > 0 and bool((tape.arrive > tape.close_ts[:, None]).any())
    if not delayed and not coefficient.any():
        out["arrive"] = tape.arrive
        return out
    from wfbt.kernels.terms import fill_terms

    given = [getattr(tape, name).view() for name in ("open_ts", "close_ts", "arrive", "sigma", "volume", "gauss")]
    for array in given:
        array.setflags(write=False)  # of a market or built here: the kernel is compiled once
    fill_terms(out, *given, coefficient, horizon)
    return out


def _place_bars(
    columns: dict[str, F8], a: int, one: Instrument, own: I8, decisions: I8, fine: npt.NDArray[np.bool_], open_ts: I8
) -> None:
    whole = ~fine[own]
    for name in columns:
        columns[name][decisions[own[whole]], a] = getattr(one.bars, name)[whole]
    if one.execution_bars is not None and fine.any():
        ts = one.execution_bars.open_ts
        row = np.minimum(np.searchsorted(open_ts, ts), len(open_ts) - 1)
        bar = np.searchsorted(decisions, row)
        mine = (open_ts[row] == ts) & fine[np.minimum(bar, len(fine) - 1)] & np.isin(bar, own)
        for name in columns:
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
    elif not volume_known(one):
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


def _stamps(one: Instrument, a: int, clock: Clock, mark_open: F8) -> npt.NDArray[np.void]:
    """Funding settlements with the row that pays each and the mark it is paid at, by time."""
    if one.funding is None:
        return np.zeros(0, STAMP)
    funding = one.funding
    first = np.searchsorted(funding.ts, clock.open_ts[0], side="right")
    inside = slice(first, np.searchsorted(funding.ts, clock.close_ts[-1], side="left"))
    ts, mark = funding.ts[inside], funding.mark[inside]
    row = clock.closed_by(ts)
    mark = np.where(np.isnan(mark), mark_open[row], mark)
    out = np.zeros(len(ts), STAMP)
    out["ts"], out["row"], out["asset"], out["rate"], out["mark"] = ts, row, a, funding.rate[inside], mark
    unknown = np.isnan(mark)
    return np.asarray(out[~unknown]) if unknown.any() else out
