"""A ledger as tables, for Parquet and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from wfbt.kernels.abi import Liquidity, Reason
from wfbt.ledger.wording import words

if TYPE_CHECKING:
    from wfbt.ledger.ledger import Ledger


def fills_frame(ledger: Ledger) -> pd.DataFrame:
    """One row per fill, in words.

    timestamp (UTC) · symbol · side (buy, sell) · qty (> 0) · price · reference · arrival · fee · spread · impact ·
    slippage · liquidity · reason · order · parent.  Slippage is (price − reference)·side, per unit; spread and impact
    are what it cost, in quote.
    """
    fills = ledger.fills
    side = np.sign(fills["qty"])
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(fills["ts"], unit="ns", utc=True),
            "symbol": np.array(ledger.symbols, dtype=object)[fills["asset"]],
            "side": np.where(side > 0, "buy", "sell").astype(object),
            "qty": np.abs(fills["qty"]),
            **{name: fills[name] for name in ("price", "reference", "arrival", "fee", "spread", "impact")},
            "slippage": (fills["price"] - fills["reference"]) * side,
            "liquidity": words(fills["liquidity"], Liquidity),
            "reason": words(fills["reason"], Reason),
            "order": fills["order"],
            "parent": fills["parent"],
        }
    )


def equity_frame(ledger: Ledger) -> pd.DataFrame:
    """One row per bar.

    timestamp (of the close, UTC) · equity · cash · drawdown · gross_exposure · fees · funding · liquidation · shortfall
    (of the bar), then position_<symbol> and mark_<symbol> of each.
    """
    names = ("equity", "cash", "drawdown", "gross_exposure", "fees", "funding", "liquidation", "shortfall")
    columns = {name: getattr(ledger, name) for name in names}
    for a, symbol in enumerate(ledger.symbols):
        columns[f"position_{symbol}"] = ledger.position[:, a]
        columns[f"mark_{symbol}"] = ledger.mark[:, a]
    return pd.DataFrame({"timestamp": pd.to_datetime(ledger.ts, unit="ns", utc=True), **columns})
