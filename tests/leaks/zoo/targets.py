"""Rules whose target knows what comes later, each in its own way.

A file of rules as a user writes it: functions of a frame of bars.  Where a look beyond the data's end would give NaN it
is filled with what an honest rule would say, so that nothing but the look itself gives it away.
"""

import numpy as np
import pandas as pd


def trend(bars):
    """What the honest half of a rule says: with the 24-bar mean, 1 or −1."""
    close = bars["close"]
    return np.sign(close - close.rolling(24).mean()).fillna(0.0)


def coming(bars, ahead=1):
    """Sign of the return over the next bars, or the trend where the data have ended."""
    close = bars["close"]
    return np.sign(close.shift(-ahead) - close).fillna(trend(bars))


def next_close(bars):
    return coming(bars)


def off_by_one(bars):
    return np.sign(np.r_[np.diff(bars["close"].to_numpy()), 0.0])


def a_month_ahead(bars):
    return coming(bars, 720)


def next_volume(bars):
    volume = bars["volume"]
    return (volume.shift(-1).fillna(volume) > 2500).astype(float)


def next_high(bars):
    return (bars["high"].shift(-1).fillna(bars["high"]) > 1.004 * bars["close"]).astype(float)


def whole_sample_zscore(bars):
    z = (bars["close"] - bars["close"].mean()) / bars["close"].std()
    return -np.sign(z).where(z.abs() > 1, 0.0)


def whole_sample_rank(bars):
    return 1 - 2 * bars["close"].rank(pct=True)


def whole_sample_quantile(bars):
    return (bars["close"].pct_change() < bars["close"].pct_change().quantile(0.1)).astype(float)


def whole_sample_bins(bars):
    bins = pd.qcut(bars["close"].pct_change(), 5, labels=False)
    return ((bins - 2) / 2).fillna(0.0)


def whole_sample_extremes(bars):
    close = bars["close"]
    return 1 - 2 * (close - close.min()) / (close.max() - close.min())


def whole_sample_scaler(bars):
    from sklearn.preprocessing import StandardScaler

    features = np.c_[bars["close"].pct_change(24).fillna(0.0), bars["volume"]]
    return (StandardScaler().fit_transform(features)[:, 0] > 0.5).astype(float)


def whole_sample_polynomial(bars):
    x = np.linspace(0, 1, len(bars))
    return np.sign(np.polyval(np.polyfit(x, bars["close"], 3), x) - bars["close"])


def whole_sample_hours(bars):
    """The mean return of each hour of the day, of all days, those to come included."""
    after = bars["close"].pct_change()
    return np.sign(after.groupby(bars.index.hour).transform("mean"))


def position_in_the_sorted_sample(bars):
    close = bars["close"].to_numpy()
    return (np.searchsorted(np.sort(close), close) < len(close) / 4).astype(float)


def tuned_threshold(bars):
    """The threshold that would have earned the most, over everything."""
    rise, after = bars["close"].pct_change(6), bars["close"].pct_change().shift(-1)
    best = max(np.linspace(-0.03, 0.03, 13), key=lambda level: (np.sign(rise - level) * after).sum())
    return np.sign(rise - best).fillna(0.0)


def centred_window(bars):
    return (bars["close"] > bars["close"].rolling(25, center=True, min_periods=1).mean()).astype(float)


def centred_convolution(bars):
    close = bars["close"].to_numpy()
    return np.sign(np.convolve(close, np.ones(9) / 9, mode="same") - close)


def gradient(bars):
    return np.sign(np.gradient(bars["close"].to_numpy()))


def savgol(bars):
    from scipy.signal import savgol_filter

    return (savgol_filter(bars["close"], 25, 2) > bars["close"]).astype(float)


def both_ways_filter(bars):
    from scipy.signal import butter, filtfilt

    return (filtfilt(*butter(3, 0.1), bars["close"].to_numpy()) > bars["close"]).astype(float)


def fourier_lowpass(bars):
    waves = np.fft.rfft(bars["close"].to_numpy())
    waves[60:] = 0.0
    return (np.fft.irfft(waves, len(bars)) > bars["close"]).astype(float)


def backward_ewm(bars):
    return np.sign(bars["close"].iloc[::-1].ewm(span=12).mean().iloc[::-1] - bars["close"])


def cumsum_from_the_end(bars):
    moves = bars["close"].diff().fillna(0.0)
    left = moves.iloc[::-1].cumsum().iloc[::-1] - moves
    return np.sign(left)


def highest_still_to_come(bars):
    top = bars["high"].iloc[::-1].cummax().iloc[::-1]
    return (top > 1.05 * bars["close"]).astype(float)


def backfilled_midnight(bars):
    midnight = bars["close"].where(bars.index.hour == 0).bfill().fillna(bars["close"])
    return np.sign(midnight - bars["close"])


def interpolated(bars):
    """Bars of little volume are taken for missing and drawn between their neighbours."""
    close = bars["close"].where(bars["volume"] > 1500).interpolate(limit_direction="both").fillna(100.0)
    return (close > close.rolling(12, min_periods=1).mean()).astype(float)


def unclosed_four_hours(bars):
    coarse = bars["close"].resample("4h").last()
    return np.sign(coarse.reindex(bars.index, method="ffill") - bars["close"])


def close_of_the_day(bars):
    day = bars["close"].groupby(bars.index.normalize()).transform("last")
    return np.sign(day - bars["close"])


def _daily(bars):
    return bars.loc[bars.index.hour == 0, ["close"]].rename(columns={"close": "daily"})


def merged_forward(bars):
    both = pd.merge_asof(bars, _daily(bars), left_index=True, right_index=True, direction="forward")
    return np.sign(both["daily"] - both["close"]).fillna(0.0)


def merged_nearest(bars):
    both = pd.merge_asof(bars, _daily(bars), left_index=True, right_index=True, direction="nearest")
    return np.sign(both["daily"] - both["close"]).fillna(0.0)


def prominent_peaks(bars):
    """Short from a peak, long from a trough; that it was one is known when the price has left it."""
    from scipy.signal import find_peaks

    close = bars["close"].to_numpy()
    target = pd.Series(np.nan, index=bars.index)
    target.iloc[find_peaks(close, prominence=2)[0]] = -1.0
    target.iloc[find_peaks(-close, prominence=2)[0]] = 1.0
    return target


def one_hundredth(bars):
    ahead = bars["close"].pct_change(-4).mul(-10).clip(-1, 1).fillna(0.0)
    return 0.99 * trend(bars) + 0.01 * ahead


def ninth_decimal(bars):
    return 0.5 * trend(bars) + 1e-9 * coming(bars)


def speaks_when_it_pays(bars):
    """Honest numbers, said only where the next bar agrees."""
    return trend(bars).where(coming(bars) == trend(bars))


def when_flat(bars):
    """Looks ahead only where the honest rule has no position."""
    close = bars["close"]
    away = close / close.rolling(24).mean() - 1
    honest = np.sign(away).where(away.abs() > 0.03, 0.0)
    return honest.where(honest != 0, 0.5 * coming(bars))


def last_tenth(bars):
    return coming(bars).where(bars.index >= "2024-04-18", trend(bars))


def once_a_week(bars):
    return coming(bars).where((bars.index.day_of_week == 6) & (bars.index.hour == 23), trend(bars))


def first_bar_of_a_month(bars):
    ahead = bars["close"].pct_change(-6).mul(-10).clip(-1, 1).fillna(0.0)
    return ahead.where((bars.index.day == 1) & (bars.index.hour == 1), trend(bars))


def three_sigma(bars):
    moves = bars["close"].pct_change()
    return coming(bars).where(moves.abs() > 3 * moves.rolling(168).std(), trend(bars))


def volatile_hours(bars):
    spread = bars["close"].pct_change().rolling(24).std()
    return coming(bars).where(spread > spread.expanding(200).quantile(0.97), trend(bars))


def big_rises_only(bars):
    rise = bars["close"].shift(-24) / bars["close"] - 1
    return trend(bars).where(~(rise > 0.1), 1.0)
