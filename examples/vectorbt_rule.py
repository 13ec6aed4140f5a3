"""Follow a moving average while prices go somewhere: features from vectorbt, one of its own and one made with it."""

import numpy as np
import vectorbt as vbt


def efficiency(close, window):
    """(T, 1) how straight the last `window` bars went, 0 to 1: net move over the path walked (Kaufman 1995)."""
    step = np.abs(np.diff(close, axis=0, prepend=np.nan))
    path = np.full(close.shape, np.nan)
    walked = np.cumsum(step[1:], axis=0)
    path[window:] = walked[window - 1 :] - np.concatenate([np.zeros((1, close.shape[1])), walked[:-window]])
    move = np.full(close.shape, np.nan)
    move[window:] = np.abs(close[window:] - close[:-window])
    return np.divide(move, path, out=np.full(close.shape, np.nan), where=path > 0)


Efficiency = vbt.IndicatorFactory(
    class_name="Efficiency", input_names=["close"], param_names=["window"], output_names=["ratio"]
).from_apply_func(efficiency)


def straight_trend(bars, window=96, least=0.15):
    """Long above the average and short below it while the way there was straight; flat while it is not."""
    close = bars["close"]
    average = vbt.MA.run(close, window).ma
    ratio = Efficiency.run(close, window).ratio
    side = np.sign(close - average).where(ratio > least, 0.0)
    return side.where(average.notna() & ratio.notna())  # NaN until both are warm
