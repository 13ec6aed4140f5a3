"""The numbers a learned policy observes, one function each, in the form in which they are observed.

Prices and volumes drift: they enter as logarithms of ratios, shares and deviations, which a network can meet again.  A
formula takes the frame of one symbol (rows are bars, the index their closes) and gives (T,) float64, of which row t is
made of rows ≤ t and known at the close of bar t.  NaN is what cannot be known, never 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.features import indicators
from wfbt.features.rolling import rolling_moments, rolling_zscore

F8 = npt.NDArray[np.float64]

DAY = 86_400_000_000_000
WEEK = 7 * DAY
MONDAY = 3 * DAY
"""From midnight of the first Thursday of 1970 back to its Monday."""


def column(frame: pd.DataFrame, name: str) -> F8:
    """(T,) a column of the frame as it stands."""
    return frame[name].to_numpy(np.float64)


def to_previous_close(frame: pd.DataFrame, name: str) -> F8:
    """log(price / close of the bar before)."""
    return _from_previous(frame, column(frame, name))


def vwap(frame: pd.DataFrame) -> F8:
    """log(VWAP / close of the bar before): of the bar's trades where there are any, else of its typical price.

    The typical price is (high + low + close) / 3.
    """
    typical = (column(frame, "high") + column(frame, "low") + column(frame, "close")) / 3
    return _from_previous(frame, np.where(traded(frame), _mean_price(frame), typical))


def traded(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """(T,) whether the trades of a bar are known and there are any."""
    if "trade_value" not in frame:
        return np.zeros(len(frame), np.bool_)
    return np.nan_to_num(column(frame, "trade_value")) > 0


def relative_volume(frame: pd.DataFrame, n: int) -> F8:
    """Volume / mean volume of the last n bars, this one among them; NaN where none was traded in all of them."""
    return _to_mean(column(frame, "volume"), n)


def log_return(frame: pd.DataFrame, n: int) -> F8:
    """log(close / close n bars ago)."""
    close = column(frame, "close")
    out = np.full(len(close), np.nan)
    out[n:] = np.log(close[n:] / close[:-n])
    return out


def realised_volatility(frame: pd.DataFrame, n: int) -> F8:
    """Root of the mean of the last n squared log returns: of one bar, about a mean of 0."""
    mean, _ = rolling_moments(log_return(frame, 1) ** 2, n)
    mean[:n] = np.nan
    return np.sqrt(mean)


def rsi(frame: pd.DataFrame, n: int) -> F8:
    """RSI of the close, moved from 0 … 100 to −1 … 1."""
    return indicators.rsi(column(frame, "close"), n) / 50 - 1


def adx(frame: pd.DataFrame, n: int) -> F8:
    """ADX / 100."""
    return indicators.adx(column(frame, "high"), column(frame, "low"), column(frame, "close"), n) / 100


def ema_distance(frame: pd.DataFrame, n: int) -> F8:
    """log(close / EMA of n bars)."""
    close = column(frame, "close")
    return np.log(close / indicators.ema(close, n))


def atr_share(frame: pd.DataFrame, n: int) -> F8:
    """ATR / close."""
    close = column(frame, "close")
    return indicators.atr(column(frame, "high"), column(frame, "low"), close, n) / close


def macd(frame: pd.DataFrame, fast: int, slow: int, signal: int) -> F8:
    """(MACD − its signal line) / close."""
    close = column(frame, "close")
    return indicators.macd(close, fast, slow, signal) / close


def bollinger(frame: pd.DataFrame, n: int) -> F8:
    """Distance of the close from its mean of n bars, in their deviations."""
    return indicators.bollinger(column(frame, "close"), n)


def volume_z(frame: pd.DataFrame, n: int) -> F8:
    """Distance of the volume from its mean of n bars, in their ddof-1 deviations."""
    return rolling_zscore(column(frame, "volume"), n)


def of_hour(frame: pd.DataFrame, wave: Callable[[F8], F8]) -> F8:
    """Sine or cosine of the time of day (UTC) at the close, once round from midnight."""
    return wave(2 * np.pi * (_closes(frame) % DAY) / DAY)


def of_weekday(frame: pd.DataFrame, wave: Callable[[F8], F8]) -> F8:
    """Sine or cosine of the time of the week (UTC) at the close, once round from Monday's midnight."""
    return wave(2 * np.pi * ((_closes(frame) + MONDAY) % WEEK) / WEEK)


def trade_imbalance(frame: pd.DataFrame) -> F8:
    """(buys − sells) / trades of the bar, counted by aggressor: −1 … 1."""
    return _imbalance(column(frame, "trade_buys"), column(frame, "trade_sells"))


def flow_imbalance(frame: pd.DataFrame) -> F8:
    """(units bought − units sold) / units of the bar, by aggressor: −1 … 1."""
    return _imbalance(column(frame, "trade_bought"), column(frame, "trade_sold"))


def trade_frequency(frame: pd.DataFrame, n: int) -> F8:
    """Trades of the bar / mean trades of the last n bars, this one among them."""
    return _to_mean(column(frame, "trade_buys") + column(frame, "trade_sells"), n)


def volume_acceleration(frame: pd.DataFrame) -> F8:
    """(units of the bar − units of the bar before) / both: −1 … 1."""
    units = _units(frame)
    return _imbalance(units, np.append(np.nan, units[:-1]))


def large_trades(frame: pd.DataFrame) -> F8:
    """Share of the bar's units that large trades moved."""
    return _ratio(column(frame, "trade_large"), _units(frame))


def _units(frame: pd.DataFrame) -> F8:
    return column(frame, "trade_bought") + column(frame, "trade_sold")


def _mean_price(frame: pd.DataFrame) -> F8:
    if "trade_value" not in frame:
        return np.full(len(frame), np.nan)
    return _ratio(column(frame, "trade_value"), _units(frame))


def _from_previous(frame: pd.DataFrame, price: F8) -> F8:
    out = np.full(len(price), np.nan)
    out[1:] = np.log(price[1:] / column(frame, "close")[:-1])
    return out


def _to_mean(values: F8, n: int) -> F8:
    """(T,) `values` over their mean of n rows, of the stretch between the first number and the last."""
    out = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < n:
        return out
    inside = slice(known[0], known[-1] + 1)
    mean, _ = rolling_moments(values[inside], n)
    mean[: n - 1] = np.nan
    out[inside] = _ratio(values[inside], mean)
    return out


def _imbalance(one: F8, other: F8) -> F8:
    return _ratio(one - other, one + other)


def _ratio(part: F8, whole: F8) -> F8:
    out: F8 = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return out


def _closes(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    return np.asarray(pd.DatetimeIndex(frame.index).as_unit("ns").asi8, np.int64)
