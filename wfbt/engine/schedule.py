"""The slices of TWAP and VWAP orders: when which part of a parent is due, known when it is decided."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY, MINUTE, Bars, Market
from wfbt.engine.orders import Schedule
from wfbt.errors import ConfigError
from wfbt.kernels.abi import SLICE, Tape

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


def even_slices(live: I8, schedule: Schedule) -> npt.NDArray[np.void]:
    """(N, n) SLICE: n equal parts at equal times of orders that go live at `live` (N,) ns."""
    steps = np.arange(schedule.slices)
    out = np.zeros((len(live), schedule.slices), SLICE)
    out["ts"] = live[:, None] + steps * schedule.over // schedule.slices
    out["share"] = (steps + 1) / schedule.slices
    return out


def volume_slices(live: I8, decided: I8, bars: Bars, schedule: Schedule) -> npt.NDArray[np.void]:
    """(N, n) SLICE whose parts follow the volume usual at their time of day.

    The profile is the mean volume of each bar of the UTC day over the whole days of `schedule.profile` that ended by
    `decided` (N,) ns; inside a bar it is even.  Where there is no whole day yet, or no volume, the parts are equal.
    """
    out = even_slices(live, schedule)
    slots = max(1, DAY // bars.period)
    day = bars.open_ts // DAY
    first, days = int(day[0]), int(day[-1] - day[0]) + 1
    table = np.zeros((days, slots))
    np.add.at(table, (day - first, np.minimum((bars.open_ts % DAY) // bars.period, slots - 1)), bars.volume)
    # Row k sums the first k days; the first day of data may be a part of a day and does not count.
    total = np.zeros((days + 1, slots))
    total[1:] = np.cumsum(table, axis=0)
    ended = np.clip(decided // DAY - first, 1, days)
    since = np.maximum(ended - schedule.profile // DAY, 1)
    mean = total[ended] - total[since]
    within = np.zeros((len(live), slots + 1))
    within[:, 1:] = np.cumsum(mean, axis=1)
    whole = within[:, -1:]
    edges = live[:, None] + np.arange(schedule.slices + 1) * schedule.over // schedule.slices
    passed = _volume_to(edges, within, bars.period) + (edges // DAY) * whole
    parts = np.diff(passed, axis=1)
    of = parts.sum(axis=1, keepdims=True)
    usual = (of > 0).ravel()
    share = np.cumsum(parts[usual] / of[usual], axis=1)
    share[:, -1] = 1.0
    out["share"][usual] = share
    return out


def _volume_to(times: I8, within: F8, period: int) -> F8:
    """(N, m) volume usual from midnight to each time of day, even inside a slot."""
    slots = within.shape[1] - 1
    place = (times % DAY) / (DAY / slots if slots == 1 else period)
    slot = np.minimum(place.astype(np.int64), slots - 1)
    rows = np.arange(len(times))[:, None]
    below = within[rows, slot]
    return np.asarray(below + (within[rows, slot + 1] - below) * np.minimum(place - slot, 1.0))


def slices_of(market: Market, tape: Tape, schedule: Schedule | None) -> npt.NDArray[np.void]:
    """(T·A·n,) SLICE of an order decided on each row, by (row, asset); none without such a schedule.

    ConfigError where slices are closer than the rows that would fill them: several would be one order at one price.
    """
    if schedule is None or schedule.model not in ("twap", "vwap"):
        return np.zeros(0, SLICE)
    apart, shortest = schedule.over // schedule.slices, int((tape.close_ts - tape.open_ts).min())
    if apart < shortest:
        raise ConfigError(
            f"orders.schedule: {schedule.slices} slices over {schedule.over / MINUTE:g}m are {apart / MINUTE:g}m "
            f"apart, but the bars that fill them last {shortest / MINUTE:g}m; take fewer slices or give execution_bars"
        )
    rows, assets = tape.open.shape
    out = np.zeros((rows, assets, schedule.slices), SLICE)
    for a, one in enumerate(market.instruments):
        live = np.ascontiguousarray(tape.arrive[:, a])
        if schedule.model == "twap":
            out[:, a] = even_slices(live, schedule)
        else:
            out[:, a] = volume_slices(live, tape.close_ts, one.bars, schedule)
    return out.reshape(-1)
