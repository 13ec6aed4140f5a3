"""The slices of TWAP and VWAP orders: when which part of a parent is due, known when it is decided."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY, MINUTE, Bars, Market
from wfbt.engine.activity import volume_known
from wfbt.engine.orders import Schedule
from wfbt.errors import ConfigError
from wfbt.kernels.abi import SLICE, Tape

MOST_BYTES = 2**31
BLOCK = 2**20  # slices at once: their shares take several times the memory that they do

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


def even_slices(live: I8, schedule: Schedule) -> npt.NDArray[np.void]:
    """(N, n) SLICE: n equal parts at equal times of orders that go live at `live` (N,) ns."""
    out = np.zeros((len(live), schedule.slices), SLICE)
    out["ts"] = live[:, None] + _offsets(schedule)[:-1]
    out["share"] = (np.arange(schedule.slices) + 1) / schedule.slices
    return out


def _offsets(schedule: Schedule) -> I8:
    """(n + 1,) ns from the first slice to each slice and to the end."""
    steps = np.arange(schedule.slices + 1)
    each, rest = divmod(schedule.over, schedule.slices)  # steps · over can be beyond 64 bits
    return steps * each + steps * rest // schedule.slices


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
    after = np.arange(days + 1)
    since = np.maximum(after - schedule.profile // DAY, np.minimum(after, 1))
    within = np.zeros((days + 1, slots + 1))
    within[:, 1:] = np.cumsum(total - total[since], axis=1)
    block = max(1, BLOCK // schedule.slices)
    for low in range(0, len(live), block):
        some = slice(low, low + block)
        ended = np.clip(decided[some] // DAY - first, 1, days)
        edges = live[some, None] + _offsets(schedule)
        passed = _volume_to(edges, ended, within, bars.period) + (edges // DAY) * within[ended, -1:]
        parts = np.diff(passed, axis=1)
        of = parts.sum(axis=1, keepdims=True)
        usual = (of > 0).ravel()
        share = np.cumsum(parts[usual] / of[usual], axis=1)
        share[:, -1] = 1.0
        out["share"][some][usual] = share
    return out


def _volume_to(times: I8, ended: I8, within: F8, period: int) -> F8:
    """(N, m) volume usual from midnight to each time of day, even inside a slot; row k of `within` is after k days."""
    slots = within.shape[1] - 1
    place = (times % DAY) / (DAY / slots if slots == 1 else period)
    slot = np.minimum(place.astype(np.int64), slots - 1)
    below = within[ended[:, None], slot]
    return np.asarray(below + (within[ended[:, None], slot + 1] - below) * np.minimum(place - slot, 1.0))


def coarse_note(tape: Tape, schedule: Schedule | None) -> list[str]:
    """Say on how many rows several slices are one order, as the row is longer than they are apart."""
    if schedule is None or not schedule.slices:
        return []
    apart, length = schedule.over / schedule.slices, tape.close_ts - tape.open_ts
    if not (count := int((length > apart).sum())):
        return []
    return [
        f"orders.schedule: slices are {apart / MINUTE:g}m apart, but {count:,} of {len(length):,} rows last "
        f"{length.max() / MINUTE:g}m, on which several are one order"
    ]


def slices_of(market: Market, tape: Tape, decisions: I8, schedule: Schedule | None) -> npt.NDArray[np.void]:
    """(T·A·n,) SLICE of an order of each decision bar, (T,) `decisions`, by (bar, asset); none without such a schedule.

    ConfigError where slices are closer than the rows that would fill them: several would be one order at one price; and
    where they take more memory than MOST_BYTES.
    """
    if schedule is None or schedule.model not in ("twap", "vwap"):
        return np.zeros(0, SLICE)
    apart, shortest = schedule.over // schedule.slices, int((tape.close_ts - tape.open_ts).min())
    if apart < shortest:
        raise ConfigError(
            f"orders.schedule: {schedule.slices} slices over {schedule.over / MINUTE:g}m are {apart / MINUTE:g}m "
            f"apart, but the bars that fill them last {shortest / MINUTE:g}m; take fewer slices or give execution_bars"
        )
    bars, assets = len(decisions), len(market.instruments)
    if (needed := bars * assets * schedule.slices * SLICE.itemsize) > MOST_BYTES:
        raise ConfigError(
            f"orders.schedule: {schedule.slices} slices for each of {bars * assets:,} decisions take "
            f"{needed / 2**30:,.1f} GiB of memory, at most {MOST_BYTES / 2**30:g} are allowed; take fewer slices, or "
            "longer bars with execution_bars to fill them"
        )
    out = np.zeros((bars, assets, schedule.slices), SLICE)
    for a, one in enumerate(market.instruments):
        live = tape.arrive[decisions, a]
        if schedule.model == "twap" or not volume_known(one):
            out[:, a] = even_slices(live, schedule)
        else:
            out[:, a] = volume_slices(live, tape.close_ts[decisions], one.bars, schedule)
    return out.reshape(-1)
