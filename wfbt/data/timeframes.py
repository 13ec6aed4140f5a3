"""Coarser bars out of a symbol's own, and when each of them is known."""

from __future__ import annotations

import numpy as np

from wfbt.config.values import UNITS, Duration
from wfbt.data.market import I8, Bars
from wfbt.data.week import MONDAY, WEEK


def label(span: int) -> str:
    """What a rule calls a timeframe of `span` ns: 4h, 1d, 1w, in its largest whole unit."""
    return f"{span // UNITS['w']}w" if span % UNITS["w"] == 0 else str(Duration(span))


def coarser(bars: Bars, span: int) -> tuple[Bars, I8]:
    """Bars of `span` ns, a multiple of the bars' period, and (K,) ns UTC from when on each is known.

    Boundaries are whole spans since 1970-01-01 UTC, those of whole weeks since a Monday.  A bar is known at its close,
    also where its last fine bars are missing: only then is it certain that they are.  A span without any fine bar gives
    no bar, and the one in which the fine bars begin, if that is not at its opening, none either: its open, extremes and
    volume would be of a part.  The one in which they end is known after their end.
    """
    shift = MONDAY if span % WEEK == 0 else 0
    opens = (bars.open_ts + shift) // span * span - shift
    first = np.flatnonzero(np.diff(opens, prepend=opens[:1] - span) > 0)
    if len(bars) and bars.open_ts[0] - opens[0] >= bars.period:
        first = first[1:]
    last = np.append(first[1:], len(bars))[: len(first)] - 1
    made = Bars(
        symbol=bars.symbol,
        period=span,
        open_ts=opens[first],
        open=bars.open[first],
        high=np.maximum.reduceat(bars.high, first),
        low=np.minimum.reduceat(bars.low, first),
        close=bars.close[last],
        volume=np.add.reduceat(bars.volume, first),
    )
    # Where fine bars are off the boundary the last one closes after it.
    return made, np.maximum(made.close_ts, bars.close_ts[last])
