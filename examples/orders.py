"""Rules whose orders wait for a price."""

import numpy as np
import pandas as pd


def bids(bars, n=48, depth=0.5, patience=6):
    """Own it while the close is below its mean, bid and asked for half a range away, for `patience` bars."""
    mean = bars["close"].rolling(n).mean()
    reach = depth * (bars["high"] - bars["low"]).rolling(n).mean()
    target = (bars["close"] < mean).astype(float).where(mean.notna())
    limit = bars["close"] + reach.where(target == 0, -reach)
    return pd.DataFrame({"target": target, "limit": limit, "expire": float(patience)}, index=bars.index)


def straddle(bars, n=24, width=1.0, hold=24):
    """Once every `hold` bars a stop order on either side of the market, of which the first to be reached cancels the
    other; a trailing stop of twice the width takes it out again."""
    reach = width * (bars["high"] - bars["low"]).rolling(n).mean()
    turn = np.arange(len(bars)) // hold % 2 == 0
    warm = reach.notna()
    # 1 and −1 in turn, so that each straddle is a new target.
    side = pd.Series(np.where(turn, 1.0, -1.0), bars.index).where(warm)
    return pd.DataFrame(
        {
            "target": side,
            "trigger": bars["close"] + side * reach,
            "other": -side,
            "other_trigger": bars["close"] - side * reach,
            "expire": float(hold),
            "trail": 2 * reach,
        }
    )
