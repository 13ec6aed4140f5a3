"""What participation caps, following trails and exposure limits look up on each row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY, HOUR, Instrument, Market
from wfbt.engine.exposure import daily_marks_returns, trailing_correlations
from wfbt.engine.setup import Setup
from wfbt.errors import ConfigError
from wfbt.features.indicators import atr
from wfbt.kernels.abi import Activity, Tape

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

NOTHING = Activity(
    traded=np.full((1, 1), np.nan),
    hourly=np.full((1, 1), np.nan),
    follow=np.full((1, 1), np.nan),
    depth=np.full((1, 1), np.nan),
    volatility=np.full((1, 1), np.nan),
    ended=np.zeros(1, np.int64),
    days=np.full((1, 1), np.nan),
    correlations=np.full((1, 1, 1), np.nan),
)
for _array in NOTHING:
    _array.setflags(write=False)


def hourly_volume(traded: F8, open_ts: I8) -> F8:
    """(T, A) volume of each row's clock hour from its first row through this one; an unknown row counts 0.

    A row that spans whole hours is an hour of its own.
    """
    hour = open_ts // HOUR
    total = np.cumsum(np.nan_to_num(traded, nan=0.0), axis=0)
    first = np.searchsorted(hour, hour, side="left")
    before = np.where((first > 0)[:, None], total[np.maximum(first - 1, 0)], 0.0)
    return np.where(np.isnan(traded), np.nan, total - before)


def days_ended(rows: int, day_rows: I8) -> I8:
    """(T,) UTC days ended by each row's close."""
    out = np.zeros(rows, np.int64)
    out[day_rows] = 1
    return np.cumsum(out)


def annual_volatility(sigma: F8, horizon: int, days_a_year: float) -> F8:
    """(T, A) volatility a year from one over the impact horizon."""
    return np.asarray(sigma * np.sqrt(days_a_year * DAY / horizon))


def needs_volume(setup: Setup) -> bool:
    """Whether anything of `setup` asks what was traded in a row."""
    schedule = setup.orders.schedule
    return bool(setup.costs.participation or setup.orders.touch or (schedule and schedule.model == "pov"))


def volume_known(one: Instrument) -> bool:
    """Whether its bars say what was traded, in units."""
    return one.volume == "units" and bool(one.bars.volume.any())


def volume_notes(one: Instrument, setup: Setup) -> list[str]:
    """What of `setup` a symbol is not held to because nobody knows its volume; ConfigError on a share of it.

    That its orders have no impact is said when the market is read.
    """
    if volume_known(one):
        return []
    participation = setup.costs.participation
    model = setup.orders.schedule.model if setup.orders.schedule else None
    off = ["the parts of orders.schedule are equal"] if model == "vwap" else []
    if one.adv is None:
        if model == "pov":
            raise ConfigError(
                f"{one.symbol}: orders.schedule pov takes a share of the volume, and that is not in units; give "
                "data.symbols.*.adv, or another schedule"
            )
        if participation and (participation.order or participation.hour):
            off.append("fills are not cut to it")
        if setup.orders.touch:
            off.append("a limit that is only touched is not filled")
        if setup.limits.exposure.liquidity is not None:
            off.append("limits.liquidity is not judged")
    why = "its volume is not in units" + ("" if one.adv else " and no adv is given")
    return [f"{one.symbol}: {why}: {', '.join(off)}"] if off else []


def mend_volume(column: F8, one: Instrument, length: I8, horizon: int) -> None:
    """Put what is known instead of a volume that is not in units into `column` (T,), the symbol's rows, in place."""
    here = ~np.isnan(column)
    if one.adv is not None:
        column[here] = one.adv * length[here] / horizon
    elif not volume_known(one):
        column[here] = np.nan


def activity_of(
    market: Market,
    tape: Tape,
    traded: F8,
    day_rows: I8,
    days_a_year: float,
    setup: Setup,
    horizon: int,
    places: Sequence[I8],
    decisions: I8,
) -> Activity:
    """What `setup` asks for, and one element for the rest.

    `traded` is (T, A), units traded in each row, where `needs_volume`; `places` and `decisions` are those of the deck.
    """
    rows, exposure = len(tape.open_ts), setup.limits.exposure
    out = NOTHING
    if needs_volume(setup):
        out = out._replace(traded=traded, hourly=hourly_volume(traded, tape.open_ts))
    if setup.exits.trail_follow and setup.exits.trail_atr is not None:
        follow = np.full(tape.open.shape, np.nan)
        for a, one in enumerate(market.instruments):
            bars = one.bars
            follow[decisions[places[a]], a] = setup.exits.trail_atr * atr(
                bars.high, bars.low, bars.close, setup.exits.atr
            )
        out = out._replace(follow=follow)
    participation = setup.costs.participation
    if exposure.liquidity is not None and participation is not None and participation.order is not None:
        out = out._replace(depth=participation.order * tape.volume * (DAY / horizon))
    if exposure.volatility is not None:
        out = out._replace(volatility=annual_volatility(tape.sigma, horizon, days_a_year))
    if exposure.var is not None or exposure.cvar is not None or exposure.correlated is not None:
        days = daily_marks_returns(tape.mark_close, day_rows)
        out = out._replace(ended=days_ended(rows, day_rows), days=days)
        if exposure.correlated is not None:
            out = out._replace(correlations=trailing_correlations(days, exposure.window))
    return out
