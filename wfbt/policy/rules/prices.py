"""Rules that look at prices and funding alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import PolicyError
from wfbt.features import indicators
from wfbt.policy.rules.base import carried, check_lengths, columns, rule, targets, two_sided


@rule(valid=lambda fast, slow, **_: fast < slow)
def ema_rsi_adx(
    bars: pd.DataFrame,
    fast: int = 12,
    slow: int = 48,
    rsi: int = 14,
    adx: int = 14,
    adx_min: float = 20.0,
    atr: int = 14,
    stop_atr: float | None = 2.0,
    take_atr: float | None = 3.0,
) -> pd.DataFrame:
    """Follow a trend that RSI and ADX confirm, with a stop and a target in units of ATR.

    Long (1) when the fast EMA is above the slow one, RSI above 50 but not above 80, ADX above `adx_min`; short (−1)
    mirrored: RSI below 50, not below 20.  Flat when the EMAs cross against the position; held in between.  Warm after
    the longest of slow − 1, rsi, 2·adx − 1 and atr rows.  Known at the close.
    """
    check_lengths(fast=fast, slow=slow, rsi=rsi, adx=adx)
    check_lengths(1, atr=atr)
    for name, factor in (("stop_atr", stop_atr), ("take_atr", take_atr)):
        if factor is not None and not factor > 0:
            raise PolicyError(f"{name} must be > 0, or null for none, was {factor}")
    high, low, close = columns(bars, "high", "low", "close")
    spread = indicators.ema(close, fast) - indicators.ema(close, slow)
    strength, trend = indicators.rsi(close, rsi), indicators.adx(high, low, close, adx)
    ranges = indicators.atr(high, low, close, atr)
    # A market that has not moved yet has no range, so no distance, so nothing to say.
    warm = ~np.isnan(spread + strength + trend) & (ranges > 0)
    strong = warm & (trend > adx_min)
    long = strong & (spread > 0) & (strength > 50) & (strength <= 80)
    short = strong & (spread < 0) & (strength < 50) & (strength >= 20)
    side = np.sign(spread)
    crossed = warm & (side != np.concatenate(([0.0], side[:-1])))
    target = carried(warm, (crossed, 0.0), (short, -1.0), (long, 1.0))
    out = {"target": np.where(warm, target, np.nan)}
    for name, factor in (("stop", stop_atr), ("take", take_atr)):
        if factor is not None:
            out[name] = np.where(warm, factor * ranges, np.nan)
    return pd.DataFrame(out, index=bars.index)


@rule(valid=lambda fast, slow, **_: fast < slow)
def sma_cross(bars: pd.DataFrame, fast: int = 24, slow: int = 96, short: bool = True) -> pd.Series[float]:
    """Long (1) while the fast average is above the slow one, short (−1) or flat while below; equal averages hold.

    Warm after slow − 1 rows.  Known at the close.
    """
    check_lengths(fast=fast, slow=slow)
    (close,) = columns(bars, "close")
    spread = indicators.sma(close, fast) - indicators.sma(close, slow)
    target = carried(~np.isnan(spread), (spread > 0, 1.0), (spread < 0, -1.0 if short else 0.0))
    return targets(bars, target)


@rule(valid=lambda entry, exit, **_: exit <= entry)
def breakout(bars: pd.DataFrame, entry: int = 96, exit: int = 48, short: bool = True) -> pd.Series[float]:
    """Donchian channels: long (1) when the close is above the highest high of the `entry` bars before it, until it is
    below the lowest low of the `exit` bars before it; short (−1) mirrored.

    Warm after entry rows.  Known at the close.
    """
    check_lengths(1, entry=entry, exit=exit)
    high, low, close = columns(bars, "high", "low", "close")
    upper, lower = indicators.previous_high(high, entry), indicators.previous_low(low, entry)
    above, below = close > indicators.previous_high(high, exit), close < indicators.previous_low(low, exit)
    return two_sided(bars, ~np.isnan(upper), close > upper, below, close < lower, above, short)


@rule(valid=lambda z, **_: z > 0)
def zscore(bars: pd.DataFrame, n: int = 48, z: float = 2.0, short: bool = True) -> pd.Series[float]:
    """Mean reversion: long (1) when the close is more than `z` deviations below its `n`-bar mean, until it is back at
    the mean; short (−1) mirrored.

    Warm after n − 1 rows.  Known at the close.
    """
    check_lengths(n=n)
    (close,) = columns(bars, "close")
    score = indicators.rolling_zscore(close, n)
    warm = np.arange(len(close)) >= n - 1
    return two_sided(bars, warm, score < -z, score >= 0, score > z, score <= 0, short)


@rule(valid=lambda threshold, **_: threshold >= 0)
def momentum(bars: pd.DataFrame, n: int = 168, threshold: float = 0.0, short: bool = True) -> pd.Series[float]:
    """Long (1) when the close has risen by more than `threshold` over `n` bars, short (−1) when it has fallen by more,
    flat between.

    Warm after n rows.  Known at the close.
    """
    check_lengths(1, n=n)
    (close,) = columns(bars, "close")
    change = indicators.rate_of_change(close, n)
    short_side = -1.0 if short else 0.0
    target = np.where(change > threshold, 1.0, np.where(change < -threshold, short_side, 0.0))
    return targets(bars, np.where(np.isnan(change), np.nan, target))


@rule(valid=lambda above, below, **_: below <= above)
def carry(bars: pd.DataFrame, n: int = 168, above: float = 0.0002, below: float = 0.0) -> pd.Series[float]:
    """Earn funding: short (−1) while the mean of the last `n` bars' funding rate is above `above`, long (1) while it is
    below `below`, flat between.  A positive rate is paid by longs to shorts.

    The rate at a bar is the last one settled by its close, per settlement.  Warm n − 1 rows after the first settlement.
    """
    check_lengths(n=n)
    (rate,) = columns(bars, "funding")
    if np.isnan(rate).all():
        raise PolicyError("there is no funding; give data.symbols.<symbol>.funding or use another rule")
    mean, _ = indicators.rolling_moments(rate, n)
    mean[: int(np.isfinite(rate).argmax()) + n - 1] = np.nan
    target = np.where(mean > above, -1.0, np.where(mean < below, 1.0, 0.0))
    return targets(bars, np.where(np.isnan(mean), np.nan, target))


@rule()
def buy_hold(bars: pd.DataFrame, weight: float = 1.0) -> pd.Series[float]:
    """Hold `weight` of equity from the first bar on; traded once."""
    return targets(bars, np.full(len(bars), float(weight)))


@rule()
def random(bars: pd.DataFrame, seed: int = 0, hold: int = 24) -> pd.Series[float]:
    """Flip a coin every `hold` bars, counted from the first: long (1) or short (−1).  The null a rule has to beat.

    The coin is a hash of `seed` and the bar's close time (SplitMix64, Steele, Lea and Flood 2014), so prices, their
    noise and the number of bars do not change it.  Symbols that share a clock share the coin.
    """
    check_lengths(1, hold=hold)
    if seed < 0:
        raise PolicyError(f"seed must be >= 0, was {seed}")
    times = pd.DatetimeIndex(bars.index).as_unit("ns").asi8[::hold].astype(np.uint64)
    key = _scramble(np.array([seed % 2**64], dtype=np.uint64))
    coin = np.where(_scramble(times ^ key) >> np.uint64(63), 1.0, -1.0)
    return targets(bars, np.repeat(coin, hold)[: len(bars)])


def _scramble(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
