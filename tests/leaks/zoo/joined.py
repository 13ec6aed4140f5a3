"""Rules that know another symbol's future, or that of what was joined to their bars."""

import numpy as np
import pandas as pd


def trend(bars):
    close = bars["close"]
    return np.sign(close - close.rolling(24).mean()).fillna(0.0)


def other_symbol_leads(bars):
    """AAA follows what BBB does next; BBB is honest."""
    after = bars["BBB"]["close"].pct_change().shift(-1)
    return pd.DataFrame({"AAA": 0.5 * np.sign(after).fillna(0.0), "BBB": 0.5 * trend(bars["BBB"])})


def only_the_second(bars):
    after = bars["BBB"]["close"].pct_change().shift(-1)
    return pd.DataFrame({"AAA": 0.5 * trend(bars["AAA"]), "BBB": 0.5 * np.sign(after).fillna(0.0)})


def weighted_by_whole_sample_risk(bars):
    """Honest directions; the weight of AAA is set by what BBB's volatility turns out to be."""
    risk = bars["BBB"]["close"].pct_change().std()
    return pd.DataFrame({"AAA": (0.002 / risk) * trend(bars["AAA"]), "BBB": 0.2 * trend(bars["BBB"])})


def stop_of_the_second(bars):
    low = bars["BBB"]["low"].shift(-1).fillna(bars["BBB"]["low"])
    away = (bars["BBB"]["close"] - low).clip(lower=0.1)
    return {
        "AAA": 0.5 * trend(bars["AAA"]),
        "BBB": pd.DataFrame({"target": 0.5 * trend(bars["BBB"]), "stop": away}),
    }


def next_funding(bars):
    """Short before the rate that is to be paid rises."""
    rate = bars["funding"]
    return -np.sign(rate.shift(-8).fillna(rate) - rate).fillna(0.0)


def funding_backfilled(bars):
    settled = bars["funding"].where(bars.index.hour % 8 == 0).bfill().fillna(0.0)
    return (settled > 0).astype(float)


def news_on_event_time(bars):
    """Undoes the delay of publication: the series where it happened instead of where it was told."""
    return np.sign(bars["news"].shift(-2)).fillna(0.0)


def news_normalised_by_all(bars):
    news = bars["news"]
    return ((news - news.mean()) / news.std()).clip(-1, 1)


def four_hours_under_way(bars):
    """The coarse bar of `data.timeframes` that is not closed yet."""
    return np.sign(bars["close_4h"].shift(-3).fillna(bars["close_4h"]) - bars["close"]).fillna(0.0)


def ahead(bars, bars_ahead=0):
    """A search that reaches into the future when it is let."""
    return np.sign(bars["close"].shift(-bars_ahead) - bars["close"].shift(1)).fillna(0.0)


def turns_back(bars):
    """What vetoes or joins honest rules: −1 before a fall."""
    after = bars["close"].shift(-3).fillna(bars["close"]) / bars["close"] - 1
    return np.sign(after).where(after.abs() > 0.005, 0.0)


def next_regime(bars):
    regime = bars["regime"]
    return regime.shift(-1).fillna(regime).fillna(0.0).eq(0).astype(float)


def next_forecast(bars):
    forecast = bars["volatility"]
    return (forecast.shift(-1).fillna(forecast) > forecast).astype(float)
