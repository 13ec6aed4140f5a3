"""The rows of a replay and the decision bars in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import DAY, Market
from wfbt.errors import DataError
from wfbt.ledger.metrics import SATURDAY, SATURDAYS, Calendar, trading_calendar

I8 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clock:
    """When the rows of a replay open and close.

    Attributes
    ----------
    coarse_open : (T,) int64
        Opens of the decision bars: the union of all symbols' bars.
    open_ts, close_ts : (E,) int64
        Of the execution rows, ns UTC; no row opens before the one before it has closed.
    decisions : (T,) int64
        Row at whose close each decision bar is known.
    step : int
        ns from each close to the next where that is the same everywhere, else 0.
    """

    coarse_open: I8
    open_ts: I8
    close_ts: I8
    decisions: I8
    step: int

    @property
    def plain(self) -> bool:
        """No decision bar is laid out in finer rows."""
        return len(self.open_ts) == len(self.coarse_open)

    def closed_by(self, ts: I8) -> I8:
        """(K,) int64: how many rows have closed by each of `ts`, which is the row that is open then."""
        if not self.step:
            return np.searchsorted(self.close_ts, ts, side="right")
        return np.asarray(np.clip((ts - self.close_ts[0]) // self.step + 1, 0, len(self.close_ts)))

    def day_rows(self) -> I8:
        """(D,) int64: rows with which a UTC day ends, a midnight close with the day before it, and the last row."""
        days = (self.close_ts[[0, -1]] - 1) // DAY
        ends = np.append(self.closed_by(np.arange(days[0] + 1, days[1] + 1) * DAY), len(self.close_ts)) - 1
        return ends[np.diff(ends, append=len(self.close_ts)) > 0]  # a day without a row ends with no row of its own

    def calendar(self, day_rows: I8) -> Calendar:
        """What `trading_calendar` finds in the closes of the decision bars."""
        if not (self.step and self.plain):
            return trading_calendar(self.close_ts[self.decisions])
        # Equal steps say it all: any two closes show the step, and the rows of each day are its share.
        bars, weekday = np.diff(day_rows, prepend=-1), ((self.close_ts[day_rows] - 1) // DAY + 3) % 7
        weekends = bars[weekday == SATURDAY].sum() / len(self.close_ts) > SATURDAYS
        return trading_calendar(self.close_ts[:2], 365.0 if weekends else 252.0)


def clock_of(market: Market) -> Clock:
    """The rows of `market`: its bars, and finer ones where all symbols that have the bar have them without a hole."""
    bars = [one.bars for one in market.instruments]
    coarse_open, period = _union([one.open_ts for one in bars]), market.period
    common = coarse_open is bars[0].open_ts
    if not common and (bad := np.flatnonzero(np.diff(coarse_open) < period)).size:
        when = pd.Timestamp(coarse_open[bad[0] + 1], tz="UTC")
        raise DataError(f"bars of {', '.join(market.symbols)} open out of phase at {when}; resample them to one grid")
    rows = _rows(market, coarse_open)
    if rows is not None:
        return Clock(coarse_open=coarse_open, open_ts=rows[0], close_ts=rows[1], decisions=rows[2], step=0)
    # No step is shorter than the period, so when their sum is no longer, none is.
    even = coarse_open[-1] - coarse_open[0] == (len(coarse_open) - 1) * period
    return Clock(
        coarse_open=coarse_open,
        open_ts=coarse_open,
        close_ts=bars[0].close_ts if common else coarse_open + period,
        decisions=np.arange(len(coarse_open)),
        step=period if even else 0,
    )


def _union(clocks: list[I8]) -> I8:
    """All times of increasing clocks, each once: the first of them itself where they agree."""
    first = clocks[0]
    if all(len(clock) == len(first) and np.array_equal(clock, first) for clock in clocks[1:]):
        return first
    return np.unique(np.concatenate(clocks))


def _rows(market: Market, coarse_open: I8) -> tuple[I8, I8, I8] | None:
    """Opens and closes of all rows, and the row of each decision; None where no symbol has execution bars."""
    instruments, period = market.instruments, market.period
    finer = {i.execution_bars.period for i in instruments if i.execution_bars is not None}
    if not finer:
        return None
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
