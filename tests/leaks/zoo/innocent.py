"""Rules that look as if they knew what comes later, and do not."""

import hashlib

import numpy as np
import pandas as pd


def trend(bars):
    close = bars["close"]
    return np.sign(close - close.rolling(24).mean()).fillna(0.0)


def expanding_zscore(bars):
    past = bars["close"].expanding(48)
    return (-(bars["close"] - past.mean()) / past.std()).clip(-1, 1)


def shifted_forward(bars):
    return np.sign(bars["close"].shift(1) - bars["close"].shift(2)).fillna(0.0)


def shifted_there_and_back(bars):
    return np.sign(bars["close"].shift(-1).shift(2) - bars["close"].shift(3)).fillna(0.0)


def peaks_once_confirmed(bars):
    """A peak counts when three lower bars have followed it: by then they are past."""
    high = bars["high"]
    peak = (high.shift(3) == high.rolling(7).max()) & (high < high.shift(3))
    trough = bars["low"].shift(3) == bars["low"].rolling(7).min()
    return pd.Series(np.select([peak, trough], [-1.0, 1.0], np.nan), index=bars.index)


def closed_four_hours(bars):
    """Labelled by their end and joined from there on."""
    coarse = bars["close"].resample("4h", closed="right", label="right").last()
    return np.sign(bars["close"] - coarse.reindex(bars.index, method="ffill")).fillna(0.0)


def close_of_the_day_before(bars):
    days = bars.index.normalize()
    last = bars["close"].groupby(days).last().shift(1)
    return np.sign(bars["close"].to_numpy() - last.reindex(days).to_numpy())


def high_of_the_day_so_far(bars):
    top = bars["high"].groupby(bars.index.normalize()).cummax()
    return (bars["close"] > 0.995 * top).astype(float)


def merged_backward(bars):
    daily = bars.loc[bars.index.hour == 0, ["close"]].rename(columns={"close": "daily"})
    both = pd.merge_asof(bars, daily, left_index=True, right_index=True, direction="backward")
    return np.sign(both["close"] - both["daily"]).fillna(0.0)


def zscore_with_holes(bars):
    close = bars["close"].where(bars["volume"] > 1500)
    seen = close.rolling(72, min_periods=20)
    return (-(close - seen.mean()) / seen.std()).clip(-1, 1)


def savgol_of_the_last_bars(bars):
    """The filter's value at the end of its window needs no bar beyond it."""
    from scipy.signal import lfilter, savgol_coeffs

    smooth = lfilter(savgol_coeffs(25, 2, pos=24), 1.0, bars["close"].to_numpy())
    return np.where(np.arange(len(bars)) < 25, 0.0, np.sign(smooth - bars["close"].to_numpy()))


def fourier_causal(bars):
    """A causal filter applied by transforms, whose rounding hangs on the length of the data."""
    from scipy.signal import fftconvolve

    rise = np.log(bars["close"].to_numpy() / bars["close"].iloc[0])
    smooth = fftconvolve(rise, np.ones(24) / 24)[: len(bars)]
    return np.clip(4 * (rise - smooth), -1, 1)


def seeded_draws(bars):
    return pd.Series(np.random.default_rng(7).random(len(bars)) > 0.5, index=bars.index).astype(float)


def drawn_by_the_clock(bars):
    return np.array([hashlib.sha256(str(ts).encode()).digest()[0] % 2 for ts in bars.index.asi8 // 10**10], float)


def counts_its_calls(bars):
    """Remembers, but nothing that a target hangs on."""
    counts_its_calls.calls = getattr(counts_its_calls, "calls", 0) + len(bars)
    return trend(bars)


def refuses_short_data(bars):
    if len(bars) < 300:
        raise ValueError("300 bars at least are needed")
    return trend(bars)


def hysteresis(bars):
    said, target = 0.0, []
    for away in bars["close"].pct_change(12).to_numpy():
        said = 1.0 if away > 0.02 else 0.0 if away < -0.01 else said
        target.append(said)
    return np.array(target)


def brackets_of_the_past(bars):
    """Highest highs and lowest lows, all of bars gone by."""
    close, low, high = bars["close"], bars["low"].rolling(24).min(), bars["high"].rolling(24).max()
    return pd.DataFrame(
        {
            "target": trend(bars).clip(lower=0),
            "limit": 0.5 * (close + low),
            "stop": (close - low).clip(lower=0.05),
            "take": (high - close).clip(lower=0.05),
            "expire": 6.0,
        }
    )


def lagged_pair(bars):
    lead = bars["BBB"]["close"].pct_change().shift(1)
    return pd.DataFrame({"AAA": 0.5 * np.sign(lead).fillna(0.0), "BBB": 0.5 * trend(bars["BBB"])})


def news_as_told(bars):
    news = bars["news"].ffill()
    return ((news - news.rolling(72).mean()) / news.rolling(72).std()).clip(-1, 1)


def funding_settled(bars):
    return -np.sign(bars["funding"].rolling(24).mean()).fillna(0.0)


class ScalesOnTrainingRows:
    def fit(self, bars):
        self.mean, self.deviation = bars["close"].mean(), bars["close"].std()

    def targets(self, bars):
        return (-(bars["close"] - self.mean) / self.deviation).clip(-1, 1)


class LabelsWithinTraining:
    """Labels read later bars, all of which are training rows."""

    label_horizon = 12

    def fit(self, bars):
        label = bars["close"].shift(-12) / bars["close"] - 1
        self.sign = np.sign(label.corr(bars["close"].pct_change(12)))

    def targets(self, bars):
        return self.sign * np.sign(bars["close"].pct_change(12)).fillna(0.0)


class FilteredStates:
    """Two volatilities learnt on training rows; the state's probability is read forward, bar by bar."""

    def fit(self, bars):
        moves = self.seen(bars)
        self.scale = moves.std() * np.array([0.7, 1.5])

    @staticmethod
    def seen(bars):
        return bars["close"].pct_change().fillna(0.0).to_numpy()

    def targets(self, bars):
        calm, said = 0.5, []
        for near, far in np.exp(-0.5 * (self.seen(bars)[:, None] / self.scale) ** 2) / self.scale:
            before = 0.95 * calm + 0.05 * (1 - calm)
            calm = before * near / (before * near + (1 - before) * far)
            said.append(calm)
        return np.round(said, 6)
