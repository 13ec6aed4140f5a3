"""What single trades say of each bar: numbers that join its frame, known at its close.

Trades before the close alone are read.  They begin and end in the middle of a bar as a rule: what is seen of those two
is a part, and is left out.  A bar between them that nobody traded in has 0 trades, which is known.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY, MINUTE, Bars
from wfbt.data.trades import Trades
from wfbt.features.rolling import rolling_moments

F8 = npt.NDArray[np.float64]

WINDOWS = (1, 5, 15)
"""Minutes before a bar's close over which prices change."""

LARGE = 5.0
"""A trade is large that is more than so many times as large as the mean one of the day before its bar."""

GATHERED = ("trade_buys", "trade_sells", "trade_bought", "trade_sold", "trade_value", "trade_dispersion")
CHANGES = tuple(f"trade_change_{minutes}m" for minutes in WINDOWS)
TRADE_COLUMNS = (*GATHERED, *CHANGES, "trade_large")


def trade_columns(trades: Trades, bars: Bars) -> dict[str, F8]:
    """Columns (T,) of what was traded in each bar, known at its close; NaN where trades are unknown.

    trade_buys, trade_sells : trades by who was in a hurry
    trade_bought, trade_sold : their units
    trade_value : price · units, summed
    trade_dispersion : ddof-1 deviation of the trades' sizes over their mean; NaN with fewer than two
    trade_change_1m, _5m, _15m : log of the last price over the last one before close − window; NaN where no trade was
        made in the window.  It reads trades, not bars: of longer bars it is the change in their last minutes, of
        shorter ones it reaches over several.
    trade_large : units moved by trades of more than LARGE times the mean size of the bars of a day before this one (of
        those there are; of one bar where bars are longer); NaN where nobody traded in them
    """
    from wfbt.kernels.trades import Of, gather_trades, sum_large

    assert trades.until is not None
    windows = np.array(WINDOWS, np.int64) * MINUTE
    out = np.full((len(GATHERED) + len(WINDOWS), len(bars)), np.nan)
    gather_trades(
        out,
        trades.ts,
        trades.price,
        trades.qty,
        trades.side,
        trades.until,
        bars.open_ts,
        bars.close_ts,
        windows,
        np.zeros(len(windows), np.int64),
    )
    usual = _mean_size(out[Of.BUYS] + out[Of.SELLS], out[Of.BOUGHT] + out[Of.SOLD], max(-(-DAY // bars.period), 1))
    usual[np.isnan(out[Of.BUYS])] = np.nan
    large = np.full(len(bars), np.nan)
    sum_large(large, trades.ts, trades.qty, bars.open_ts, bars.close_ts, LARGE * usual)
    return dict(zip(TRADE_COLUMNS, (*out, large), strict=True))


def _mean_size(count: F8, units: F8, rows: int) -> F8:
    """(T,) units by trade over up to `rows` bars before each, of those whose trades are known."""
    out = np.full(len(count), np.nan)
    known = np.flatnonzero(~np.isnan(count))
    if len(known) < 2:
        return out
    inside = slice(known[0], known[-1] + 1)
    if rows > 1:
        trades, volume = (rolling_moments(column[inside], rows)[0] for column in (count, units))
    else:
        trades, volume = count[inside], units[inside]
    before = np.divide(volume, trades, out=np.full(len(trades), np.nan), where=trades > 0)
    out[known[0] + 1 : known[-1] + 1] = before[:-1]
    return out
