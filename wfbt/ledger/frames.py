"""A ledger as tables, for Parquet and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.kernels.abi import Act, Bound, Liquidity, Outcome, Reason
from wfbt.ledger.wording import words

if TYPE_CHECKING:
    from wfbt.ledger.ledger import Ledger

F8 = npt.NDArray[np.float64]


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
    limit, trigger (NaN none) · arrival · price (average of its fills, NaN none) · implementation_shortfall (what
    its fills cost against arrival, in quote of a linear contract and coin of an inverse one; Perold 1988).
    """
    orders = ledger.orders
    price, cost = _filled_at(ledger)
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
            "implementation_shortfall": cost,
        }
    )


def _filled_at(ledger: Ledger) -> tuple[F8, F8]:
    """(M,) average price of each order's fills, NaN where it has none, and what they cost against its arrival."""
    orders = ledger.orders
    by_number = np.argsort(orders["number"], kind="stable")
    numbers = orders["number"][by_number]
    place = np.searchsorted(numbers, ledger.fills["parent"])
    known = place < len(numbers)
    known[known] = numbers[place[known]] == ledger.fills["parent"][known]
    fills, order = ledger.fills[known], by_number[place[known]]
    # Of an inverse contract values add up and prices do not: their average is harmonic.
    v = ledger.v(fills["price"])
    units = np.bincount(order, np.abs(fills["qty"]), len(orders))
    worth = np.bincount(order, np.abs(fills["qty"]) * v, len(orders))
    average = np.full(len(orders), np.nan)
    done = units > 0
    average[done] = worth[done] / units[done]
    if ledger.inverse:
        average = -1.0 / average
    slipped = ledger.multiplier[fills["asset"]] * fills["qty"] * (v - ledger.v(orders["arrival"][order]))
    return average, np.bincount(order, slipped, len(orders)).astype(np.float64)


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
