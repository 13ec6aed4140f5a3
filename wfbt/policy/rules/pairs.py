"""A rule on two symbols at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from wfbt.errors import ConfigError, PolicyError
from wfbt.features import indicators
from wfbt.policy.rules.base import F8, carried, check_lengths, columns, rule
from wfbt.policy.wording import near


@rule(valid=lambda below, z, **_: -1 <= below <= 1 and z > 0, sees_all=True)
def correlation(
    bars: Mapping[str, pd.DataFrame],
    pair: tuple[str, ...] = (),
    n: int = 168,
    below: float = 0.5,
    z: float = 1.0,
) -> dict[str, pd.Series[float]]:
    """Trade two symbols back together after their correlation has broken down.

    Over the last `n` bars that both have: when the correlation of their log returns is below `below` and the log ratio
    of their closes more than `z` deviations from its mean, half of equity short in the symbol that is dear by that
    measure and half long in the other, until the ratio is back at its mean.  `pair` names the two symbols; empty: the
    two of the run.  Other symbols are left alone, and so is each where the other has no bar.  Warm after n rows that
    both have.  Known at the close.
    """
    check_lengths(n=n)
    first, second = _pair(bars, pair)
    both = bars[first].index.intersection(bars[second].index)
    logs = [np.log(columns(bars[symbol].loc[both], "close")[0]) for symbol in (first, second)]
    score = indicators.rolling_zscore(logs[0] - logs[1], n)
    linked = rolling_correlation(np.diff(logs[0], prepend=np.nan), np.diff(logs[1], prepend=np.nan), n)
    broken, warm = linked < below, np.arange(len(both)) >= n
    dear = carried(warm, (score <= 0, 0.0), (broken & (score > z), 1.0))
    cheap = carried(warm, (score >= 0, 0.0), (broken & (score < -z), 1.0))
    spread = 0.5 * (cheap - dear)
    out = {symbol: pd.Series(np.nan, index=frame.index) for symbol, frame in bars.items()}
    for symbol, side in ((first, spread), (second, -spread)):
        out[symbol] = pd.Series(side, index=both).reindex(bars[symbol].index)
    return out


def rolling_correlation(x: F8, y: F8, n: int) -> F8:
    """(T,) correlation of the last `n` numbers of (T,) `x` and `y`, which may begin with NaN at the same row.

    From the deviations of the sum and of the difference, each of which is exact to rounding whatever has left the
    window.  NaN until `n` numbers are there and where one of the two does not move.
    """
    plus, minus, own, other = (indicators.rolling_moments(values, n)[1] for values in (x + y, x - y, x, y))
    out = np.full(len(x), np.nan)
    scale = 4 * own * other
    np.divide(plus**2 - minus**2, scale, out=out, where=scale > 0)
    start = int(np.isfinite(x).argmax()) if np.isfinite(x).any() else len(x)
    out[: start + n - 1] = np.nan
    # Rounding may lead a hair beyond.
    clipped: F8 = np.clip(out, -1.0, 1.0)
    return clipped


def _pair(bars: Mapping[str, pd.DataFrame], pair: tuple[str, ...]) -> tuple[str, str]:
    for symbol in pair:
        if symbol not in bars:
            raise ConfigError(f"pair names {symbol!r}, which is no symbol of this run{near(symbol, bars)}")
    chosen = tuple(pair) or tuple(bars)
    if len(chosen) != 2 or chosen[0] == chosen[1]:
        raise PolicyError(
            f"it trades two different symbols, was given {', '.join(chosen)}; name two in data.symbols, or two of them "
            "in pair: [A, B]"
        )
    return chosen[0], chosen[1]
