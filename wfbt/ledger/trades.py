"""Round trips: from flat to flat, or to a reversal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import HOUR
from wfbt.errors import LedgerError
from wfbt.kernels.abi import Reason
from wfbt.ledger.wording import stamp, words

if TYPE_CHECKING:
    from wfbt.ledger.ledger import Ledger

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]


def round_trips(ledger: Ledger) -> pd.DataFrame:
    """One row per round trip, in the order they opened.

    symbol · direction (long, short) · entry_ts · exit_ts (UTC; NaT while open) · quantity (largest held) · entry_price
    · exit_price (averages over its fills; of an inverse contract harmonic; NaN while nothing was closed) · fees ·
    spread · impact · funding · liquidation · profit (net, in quote; spread and impact are in the prices; an open trip
    is valued at the last mark) · return (profit over the value of `quantity` at the entry price) · holding_hours · bars
    (closes it was held over) · exit_reason (of the last fill; missing while open) · open.

    A fill that reverses is split by quantity, with its fee, spread and impact.  A funding payment belongs to the trip
    that held the position just before it.  Liquidation fees of one bar are shared by the value of the positions
    liquidated in it.  A position the ledger began with counts as entered at its opening mark, without cost.  What the
    insurance bore is nobody's profit: Σ profit = Σ change of equity − Σ shortfall.
    """
    from wfbt.kernels.trips import assign_trips

    fills, assets = ledger.fills, len(ledger.symbols)
    carried = np.flatnonzero(ledger.opening_position)
    none = np.zeros(len(carried))
    asset = np.append(carried, fills["asset"]).astype(np.int64)
    qty = np.append(ledger.opening_position[carried], fills["qty"])
    price = np.append(ledger.opening_mark[carried], fills["price"])
    ts = np.append(np.full(len(carried), ledger.opening_ts or 0), fills["ts"]).astype(np.int64)
    fee, spread, impact = (np.append(none, fills[name]) for name in ("fee", "spread", "impact"))
    reason = np.append(none, fills["reason"]).astype(np.int64)
    # A slice begins with the close of the bar before its first, and is in bar −1 until then.
    row = np.append(none - 1, ledger.fill_rows).astype(np.int64)

    size = len(asset)
    closes, opens, opened_by, closed_by = (np.full(size, -1, np.int64) for _ in range(4))
    moved, after = np.zeros(size), np.zeros(size)
    last_position = np.zeros(assets)
    count = assign_trips(asset, qty, last_position, closes, opens, moved, after, opened_by, closed_by)
    opened_by, closed_by = opened_by[:count], closed_by[:count]
    is_open = closed_by < 0

    out, into = np.flatnonzero(closes >= 0), np.flatnonzero(opens >= 0)
    piece = np.append(out, into)
    trip = np.append(closes[out], opens[into])
    units = np.append(moved[out], qty[into] - moved[into])
    share = units / qty[piece]
    money = ledger.multiplier[asset] * ledger.v(price)

    def total(weights: F8) -> F8:
        return np.bincount(trip, weights=weights, minlength=count).astype(np.float64)

    def average(fill: I8, of: I8, amount: F8) -> F8:
        """Price at which `amount` units of the fills changed hands on average, per trip."""
        units = np.bincount(of, weights=amount, minlength=count)
        value = np.bincount(of, weights=amount * ledger.v(price[fill]), minlength=count)
        some = units > 0
        mean = np.divide(value, units, out=np.ones(count), where=some)
        return np.where(some, -1.0 / mean if ledger.inverse else mean, np.nan)

    quantity = np.zeros(count)
    np.maximum.at(quantity, opens[into], np.abs(after[into]))
    entry_price = average(into, opens[into], np.abs(units[len(out) :]))
    exit_price = average(out, closes[out], np.abs(units[: len(out)]))
    fees = total(fee[piece] * share)
    trip_asset = asset[opened_by]
    funding = np.bincount(
        _paying_trip(ledger, asset, ts, len(carried), np.where(opens >= 0, opens, closes)),
        weights=ledger.payments["paid"],
        minlength=count,
    )
    liquidation = total(_liquidation_fees(ledger, row, reason, np.abs(qty * money), len(carried))[piece] * share)
    final = ledger.worth(last_position, ledger.mark[-1])[trip_asset]
    profit = np.where(is_open, final, 0.0) - total(units * money[piece]) - fees - funding - liquidation

    entry_ts, exit_ts = ts[opened_by], np.where(is_open, ledger.ts[-1], ts[closed_by])
    left = row[closed_by]
    left[is_open] = len(ledger.ts)
    symbols = np.array(ledger.symbols, dtype=object)
    entered = ledger.multiplier[trip_asset] * quantity * np.abs(ledger.v(entry_price))
    return pd.DataFrame(
        {
            "symbol": symbols[trip_asset],
            "direction": np.where(after[opened_by] > 0, "long", "short").astype(object),
            "entry_ts": pd.to_datetime(entry_ts, unit="ns", utc=True),
            "exit_ts": pd.Series(pd.to_datetime(exit_ts, unit="ns", utc=True)).mask(is_open),
            "quantity": quantity,
            "entry_price": entry_price,
            "exit_price": exit_price,
            "fees": fees,
            "spread": total(spread[piece] * share),
            "impact": total(impact[piece] * share),
            "funding": funding,
            "liquidation": liquidation,
            "profit": profit,
            "return": profit / entered,
            "holding_hours": (exit_ts - entry_ts) / HOUR,
            "bars": left - row[opened_by],
            "exit_reason": _words(reason[closed_by], is_open),
            "open": is_open,
        }
    )


def _words(reason: I8, is_open: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    said = words(reason, Reason)
    said[is_open] = None
    return said


def _paying_trip(ledger: Ledger, asset: I8, ts: I8, carried: int, trip: I8) -> I8:
    """(K,) int64: the trip each payment belongs to, that of the last fill before its stamp.

    An exit gapped through is stamped with the open, yet it is found after the stamps inside its bar were paid: then the
    account is flat by the times, and the payment is the trip's that has just ended.
    """
    payer = np.zeros(len(ledger.payments), np.int64)
    for a in np.unique(ledger.payments["asset"]):
        mine, filled = np.flatnonzero(ledger.payments["asset"] == a), np.flatnonzero(asset == a)
        when = ts[filled]
        when[filled < carried] = np.iinfo(np.int64).min  # what was carried in was held before any stamp
        # On a tie the stamp comes first.  The running maximum puts such an exit after the entry in its own bar.
        place = np.searchsorted(np.maximum.accumulate(when), ledger.payments["ts"][mine], side="left") - 1
        if (place < 0).any():
            i = int(mine[np.flatnonzero(place < 0)[0]])
            raise LedgerError(
                f"funding payment {i} ({stamp(ledger.payments['ts'][i])}) is paid on {ledger.symbols[int(a)]}, "
                "of which nothing had been held"
            )
        payer[mine] = trip[filled[place]]
    return payer


def _liquidation_fees(ledger: Ledger, row: I8, reason: I8, value: F8, carried: int) -> F8:
    """(N,) float64: the share of its bar's liquidation fee that falls to each fill, by value liquidated."""
    forced = (reason == Reason.LIQUIDATION) & (np.arange(len(row)) >= carried)
    fees = np.zeros(len(row))
    by_row = np.bincount(row[forced], weights=value[forced], minlength=len(ledger.ts))
    fees[forced] = ledger.liquidation[row[forced]] * value[forced] / by_row[row[forced]]
    return fees
