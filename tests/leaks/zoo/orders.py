"""Rules with an honest target whose orders or brackets know what comes later."""

import numpy as np
import pandas as pd


def trend(bars, n=24):
    close = bars["close"]
    return np.sign(close - close.rolling(n).mean()).fillna(0.0)


def width(bars, n=24):
    return (bars["high"] - bars["low"]).rolling(n, min_periods=1).mean()


def coming(bars, column, most, ahead=24):
    """The highest or lowest of the coming bars, this one's where the data have ended."""
    rolled = bars[column].iloc[::-1].rolling(ahead, min_periods=1)
    return (rolled.max() if most else rolled.min()).iloc[::-1].shift(-1).fillna(bars[column])


def stop_beyond_the_low_to_come(bars):
    away = bars["close"] - coming(bars, "low", most=False)
    return pd.DataFrame({"target": trend(bars), "stop": away.clip(lower=0) + width(bars)})


def stop_where_it_will_help(bars):
    """A stop or none, by whether the next day ends lower."""
    falls = bars["close"].shift(-24).fillna(bars["close"]) < bars["close"]
    return pd.DataFrame({"target": trend(bars), "stop": (2 * width(bars)).where(falls)})


def take_at_the_high_to_come(bars):
    away = coming(bars, "high", most=True) - bars["close"]
    return pd.DataFrame({"target": trend(bars).clip(lower=0), "take": away.clip(lower=0.01)})


def trail_of_the_volatility_to_come(bars):
    ahead = width(bars.iloc[::-1]).iloc[::-1]
    return pd.DataFrame({"target": trend(bars), "trail": 3 * ahead})


def limit_at_the_low_to_come(bars):
    return pd.DataFrame({"target": trend(bars).clip(lower=0), "limit": coming(bars, "low", most=False, ahead=6)})


def limit_at_a_whole_sample_depth(bars):
    depth = (1 - bars["low"] / bars["open"]).quantile(0.8)
    return pd.DataFrame({"target": trend(bars).clip(lower=0), "limit": bars["close"] * (1 - depth)})


def trigger_at_the_high_to_come(bars):
    above = np.maximum(bars["close"] * 1.001, 0.999 * coming(bars, "high", most=True, ahead=6))
    return pd.DataFrame({"target": trend(bars).clip(lower=0), "trigger": above})


def expires_when_it_would_hurt(bars):
    falls = bars["close"].shift(-6).fillna(bars["close"]) < bars["close"]
    return pd.DataFrame(
        {
            "target": trend(bars).clip(lower=0),
            "limit": bars["close"] - 0.5 * width(bars),
            "expire": np.where(falls, 1.0, 12.0),
        },
        index=bars.index,
    )


def other_limit_to_come(bars):
    """Of two orders that cancel each other, the second stands where the price will be."""
    return pd.DataFrame(
        {
            "target": trend(bars).clip(lower=0),
            "limit": bars["close"] - 2 * width(bars),
            "other": 0.5 * trend(bars).clip(lower=0),
            "other_limit": coming(bars, "low", most=False, ahead=6),
        }
    )
