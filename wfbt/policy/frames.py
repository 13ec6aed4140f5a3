"""The bars of a symbol as a rule sees them, with what else was known at each close."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from wfbt.data.market import F8, Bars, Instrument, Market, Series
from wfbt.data.timeframes import coarser, label
from wfbt.errors import ConfigError
from wfbt.features.trades import trade_columns

OHLCV = ("open", "high", "low", "close", "volume")


def bars_frame(instrument: Instrument, series: Sequence[Series] = (), timeframes: Sequence[int] = ()) -> pd.DataFrame:
    """(T, 6 + …) frame indexed by bar close (UTC): open, high, low, close, volume, funding and what is joined to them.

    Row t is known at its index.  Funding is the last rate settled at or before that close, NaN before the first.  Where
    there are single trades, `features.trades.trade_columns` adds what those before the close say.  For each of
    `timeframes` (ns) open_4h … volume_4h hold the last coarser bar closed at or before it, and each of `series` that is
    for this symbol adds the last row known by then.  ConfigError where two columns have one name.
    """
    bars = instrument.bars
    rate = np.full(len(bars), np.nan)
    if instrument.funding is not None:
        known = np.searchsorted(instrument.funding.ts, bars.close_ts, side="right")
        rate[known > 0] = instrument.funding.rate[known[known > 0] - 1]
    columns = {name: getattr(bars, name) for name in OHLCV} | {"funding": rate}
    if instrument.trades is not None:
        columns |= trade_columns(instrument.trades, bars)
    for span in timeframes:
        columns |= _closed(bars, span)
    for one in series:
        if one.symbol in (None, instrument.symbol):
            for name, values in _known(one, bars):
                # The index is called ts.
                if name in columns or name == "ts":
                    taken = ", ".join(["ts", *columns])
                    raise ConfigError(
                        f"data.series.{one.name}: a rule would see its values as {name}, and sees {taken} already; "
                        "call the series something else"
                    )
                columns[name] = values
    index = pd.DatetimeIndex(bars.close_ts.view("datetime64[ns]"), tz="UTC", name="ts")
    # One block whose columns are contiguous: joined column by column a frame takes ten times as long.
    return pd.DataFrame(np.stack(list(columns.values())).T, index=index, columns=list(columns), copy=False)


def market_frames(market: Market) -> dict[str, pd.DataFrame]:
    """`bars_frame` of every symbol, in the market's order."""
    return {one.symbol: bars_frame(one, market.series, market.timeframes) for one in market.instruments}


def _closed(bars: Bars, span: int) -> dict[str, F8]:
    """(T,) columns of the last bar of `span` ns that had closed at each bar's close, NaN before the first."""
    coarse, known = coarser(bars, span)
    row = np.searchsorted(known, bars.close_ts, side="right")
    return {f"{name}_{label(span)}": np.append(np.nan, getattr(coarse, name))[row] for name in OHLCV}


def _known(series: Series, bars: Bars) -> Iterator[tuple[str, F8]]:
    return zip(series.names, series.known_at(bars.close_ts).T, strict=True)
