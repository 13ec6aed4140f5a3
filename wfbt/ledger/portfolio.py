"""A ledger as a vectorbt portfolio, for its trade records and its plots."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import LedgerError
from wfbt.kernels.abi import Reason

if TYPE_CHECKING:
    from wfbt.ledger.ledger import Ledger


def to_vectorbt(ledger: Ledger) -> Any:
    """The same orders as a `vectorbt.Portfolio`: every fill at its own price, size and fee, valued at our marks.

    The portfolio is built of order records, not simulated again, so nothing is sized, slipped or rejected anew; several
    fills of one bar stay several orders.  Its index holds the closes of the bars, UTC; an order stands at the close of
    the bar it happened in.  Several symbols share one cash.  A liquidation's fee is the fee of its order; a position
    that the ledger began with is an order at its opening mark without fee; of a contract with a multiplier, sizes are
    units of what it is written on.

    **Funding is not in it**, nor is what the insurance bore: vectorbt knows neither.  Where there was any, its equity
    and its trades' profits differ from ours by just that, and a warning says by how much.  Its statistics are its own
    definitions; those of `Ledger.metrics` are of UTC days.

    LedgerError for inverse contracts, whose profits vectorbt cannot account for.
    """
    if ledger.inverse:
        raise LedgerError(
            "to_vectorbt: an inverse contract earns in coin, quantity over price, and vectorbt counts quantity times "
            "price; only linear contracts can be handed over"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries that it imports
            import vectorbt as vbt
            from vectorbt.portfolio.enums import OrderSide, log_dt, order_dt
    except ImportError as error:
        raise LedgerError(f"to_vectorbt needs vectorbt, which cannot be imported: {error}") from error

    fills, carried = ledger.fills, np.flatnonzero(ledger.opening_position)
    asset = np.append(carried, fills["asset"]).astype(np.int64)
    units = np.append(ledger.opening_position[carried], fills["qty"]) * ledger.multiplier[asset]
    orders = np.zeros(len(asset), order_dt)
    orders["id"], orders["col"] = np.arange(len(asset)), asset
    orders["idx"][len(carried) :] = ledger.fill_rows
    orders["size"], orders["side"] = np.abs(units), np.where(units > 0, OrderSide.Buy, OrderSide.Sell)
    orders["price"] = np.append(ledger.opening_mark[carried], fills["price"])
    orders["fees"][len(carried) :] = fills["fee"] + _liquidation_fees(ledger)

    left_out = {"funding paid": float(ledger.payments["paid"].sum()), "insurance": float(ledger.shortfall.sum())}
    if missing := [f"{name} of {amount:,.2f}" for name, amount in left_out.items() if amount]:
        warnings.warn(f"to_vectorbt: {' and '.join(missing)} of the account is not in this portfolio", stacklevel=3)
    several = len(ledger.symbols) > 1
    index = pd.DatetimeIndex(pd.to_datetime(ledger.ts, unit="ns", utc=True), name="close")
    bar = pd.Timedelta(int(np.median(np.diff(ledger.ts))) if len(ledger.ts) > 1 else 0, unit="ns")
    marks = pd.DataFrame(ledger.mark, index, list(ledger.symbols))
    return vbt.Portfolio(
        vbt.ArrayWrapper(
            index, marks.columns, 2 if several else 1, freq=bar or None, group_by=True if several else None
        ),
        marks if several else marks.iloc[:, 0],
        orders,
        np.zeros(0, log_dt),
        ledger.opening_equity,
        cash_sharing=several,
        fillna_close=True,
    )


def _liquidation_fees(ledger: Ledger) -> npt.NDArray[np.float64]:
    """(N,) each fill's share of the liquidation fee of its bar, by the value liquidated."""
    rows = ledger.fill_rows
    value = np.where(ledger.fills["reason"] == Reason.LIQUIDATION, ledger.traded, 0.0)
    whole = np.bincount(rows, weights=value, minlength=len(ledger.ts))[rows]
    return np.asarray(ledger.liquidation[rows] * np.divide(value, whole, out=np.zeros_like(value), where=whole > 0))
