"""The bars of a symbol as a rule sees them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from wfbt.data.market import Instrument, Market


def bars_frame(instrument: Instrument) -> pd.DataFrame:
    """(T, 6) frame indexed by bar close (UTC): open, high, low, close, volume, funding.

    Row t is known at its index.  Funding is the last rate settled at or before that close, NaN before the first.
    """
    bars = instrument.bars
    rate = np.full(len(bars), np.nan)
    if instrument.funding is not None:
        known = np.searchsorted(instrument.funding.ts, bars.close_ts, side="right")
        rate[known > 0] = instrument.funding.rate[known[known > 0] - 1]
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    index = pd.DatetimeIndex(pd.to_datetime(bars.close_ts, unit="ns", utc=True), name="ts")
    return pd.DataFrame({**columns, "funding": rate}, index=index)


def market_frames(market: Market) -> dict[str, pd.DataFrame]:
    """`bars_frame` of every symbol, in the market's order."""
    return {instrument.symbol: bars_frame(instrument) for instrument in market.instruments}
