"""Buy a dip in an uptrend, sell the bounce: a rule of your own."""

import numpy as np
import pandas as pd

from wfbt.features.indicators import atr, rsi, sma


def buy_the_dip(bars, trend=200, n=3, low=20, high=60):
    close = bars["close"]
    uptrend, strength = close > sma(close, trend), rsi(close, n)
    target = np.where(uptrend & (strength < low), 1.0, np.nan)  # NaN leaves the position alone
    target[~uptrend | (strength > high)] = 0.0
    stop = 3.0 * atr(bars["high"], bars["low"], close, 14)
    return pd.DataFrame({"target": target, "stop": stop}, index=bars.index)


buy_the_dip.valid = lambda low, high, **_: low < high  # candidates that make no sense are not tried
