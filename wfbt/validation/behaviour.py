"""What an account did, bar by bar and in sum, so that two spans of it can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY
from wfbt.ledger.ledger import Ledger

F8 = npt.NDArray[np.float64]
FLAT = 1e-9
"""A weight below this share of equity is what rounding to lots leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """The behaviour of a span, of one symbol.

    Attributes
    ----------
    long, short, flat : float
        Shares of the bars.
    weight : float
        Mean size of the position, in multiples of equity.
    turnover : float
        Value traded a day, in multiples of equity.
    trades : float
        Bars with a trade, a day.
    """

    long: float
    short: float
    flat: float
    weight: float
    turnover: float
    trades: float


def actions(ledger: Ledger) -> dict[str, F8]:
    """(T,) columns of each symbol, NaN where nothing is left of the account.

    `side` is 1, 0 or −1, `weight` the signed position at the close and `traded` the change of it in the bar, both at
    that close's mark in multiples of equity.  Row t is known at the close of bar t.
    """
    alive = ledger.equity > 0
    equity = np.where(alive, ledger.equity, np.nan)[:, None]
    weight = ledger.worth(ledger.position, ledger.mark) / equity
    if ledger.inverse:
        weight = -weight  # −1/price grows with the price, and is negative: a long is worth less than nothing
    before = np.concatenate([ledger.opening_position[None], ledger.position[:-1]])
    change = ledger.position - before
    traded = np.abs(ledger.worth(change, ledger.mark)) / equity
    out = {}
    for a, symbol in enumerate(ledger.symbols):
        side = np.where(np.abs(weight[:, a]) > FLAT, np.sign(weight[:, a]), 0.0)
        out[f"{symbol} side"] = np.where(alive, side, np.nan)
        out[f"{symbol} weight"] = weight[:, a]
        out[f"{symbol} traded"] = traded[:, a]
    return out


def habits(columns: dict[str, F8], ts: npt.NDArray[np.int64], period: int) -> dict[str, Habits]:
    """The sums of `actions` over (T,) closes `ts`, by symbol."""
    out = {}
    days = (int(ts[-1]) - int(ts[0]) + period) / DAY
    for name in columns:
        symbol, _, what = name.rpartition(" ")
        if what != "side":
            continue
        side, weight, traded = (columns[f"{symbol} {one}"] for one in ("side", "weight", "traded"))
        known = ~np.isnan(weight)
        if not known.any():
            continue
        out[symbol] = Habits(
            long=float(np.mean(side[known] > 0)),
            short=float(np.mean(side[known] < 0)),
            flat=float(np.mean(side[known] == 0)),
            weight=float(np.mean(np.abs(weight[known]))),
            turnover=float(traded[known].sum() / days),
            trades=float(np.count_nonzero(traded[known] > FLAT) / days),
        )
    return out
