"""A ledger as tables, for Parquet and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from wfbt.kernels.abi import Act, Bound, Liquidity, Outcome, Reason
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


def orders_frame(ledger: Ledger) -> pd.DataFrame:
    """One row per order of the policy, filled or not, in words.

    order · symbol · live, ended, expire (UTC; expire NaT: never) · outcome · reason · goal · filled (signed units) ·
    limit, trigger (NaN none) · arrival · price (average of its fills, NaN none) · shortfall (what its fills cost
    against arrival, in quote of a linear contract and coin of an inverse one).
    """
    orders = ledger.orders
    filled = orders["filled"]
    done = filled != 0
    price = np.full(len(orders), np.nan)
    price[done] = orders["value"][done] / np.abs(filled[done])
    multiplier = ledger.multiplier[orders["asset"]]
    shortfall = np.zeros(len(orders))
    shortfall[done] = multiplier[done] * filled[done] * (ledger.v(price[done]) - ledger.v(orders["arrival"][done]))
    expire = pd.Series(pd.to_datetime(orders["expire"], unit="ns", utc=True))
    return pd.DataFrame(
        {
            "order": orders["number"],
            "symbol": np.array(ledger.symbols, dtype=object)[orders["asset"]],
            "live": pd.to_datetime(orders["live"], unit="ns", utc=True),
            "ended": pd.to_datetime(orders["ended"], unit="ns", utc=True),
            "expire": expire.mask(orders["expire"] == np.iinfo(np.int64).max),
            "outcome": words(orders["outcome"], Outcome),
            "reason": words(orders["reason"], Reason),
            **{name: orders[name] for name in ("goal", "filled", "limit", "trigger", "arrival")},
            "price": price,
            "shortfall": shortfall,
        }
    )


def events_frame(ledger: Ledger) -> pd.DataFrame:
    """One row per act of an exposure limit: timestamp (UTC) · symbol (of the order; "account") · limit · act · value ·
    most, both in quote, units or a share as the limit is."""
    events = ledger.events
    names = np.array([*ledger.symbols, "account"], dtype=object)
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(events["ts"], unit="ns", utc=True),
            "symbol": names[events["asset"]],
            "limit": words(events["bound"], Bound),
            "act": words(events["act"], Act),
            "value": events["value"],
            "most": events["most"],
        }
    )


def liquidations_frame(ledger: Ledger) -> pd.DataFrame:
    """One row per position that the venue closed: timestamp (UTC) · symbol · qty · price · bankruptcy (price at which
    nothing was left) · fee · shortfall (what the insurance bore)."""
    closed = ledger.liquidations
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(closed["ts"], unit="ns", utc=True),
            "symbol": np.array(ledger.symbols, dtype=object)[closed["asset"]],
            **{name: closed[name] for name in ("qty", "price", "bankruptcy", "fee", "shortfall")},
        }
    )
