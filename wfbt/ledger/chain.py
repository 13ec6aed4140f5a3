"""Accounts over separate stretches of time, told as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.ledger import metrics
from wfbt.ledger.ledger import Ledger

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """What is kept of ledgers that begin one after another, each on its own: their returns, one after the other.

    Attributes
    ----------
    ts : (D,) int64
        The last close of each day of returns, ns UTC.
    days : (D,) int64
        That day, since 1970-01-01.
    returns : (D,) float64
        Of each day; the first of a stretch is from its own opening equity.
    opening_equity : float
        Of the first stretch.
    told : mapping
        Every number of `metrics.summarise`, of equity that grows on from stretch to stretch: a day that two share
        counts once.  Profits of round trips are in the quote of the stretch's own account.
    """

    ts: I8
    days: I8
    returns: F8
    opening_equity: float
    told: dict[str, Any]

    @classmethod
    def of(cls, ledgers: Sequence[Ledger]) -> Chain:
        """Of `ledgers` in time order.  LedgerError at the first that does not reconcile."""
        for ledger in ledgers:
            ledger.reconcile()
        ts = np.concatenate([ledger.ts for ledger in ledgers])
        calendar = metrics.trading_calendar(ts, ledgers[0].calendar.days_a_year)
        ends = [calendar.day_ends(ledger.ts) for ledger in ledgers]
        daily = [metrics.daily_equity(ledger.ts, ledger.equity, ledger.opening_equity, calendar) for ledger in ledgers]
        opening = ledgers[0].opening_equity
        grown, traded, curves = opening, 0.0, []
        for ledger in ledgers:
            scale = grown / ledger.opening_equity if ledger.opening_equity > 0 else 0.0
            traded += scale * float(ledger.traded.sum())
            curves.append(scale * ledger.equity)
            grown = float(curves[-1][-1])
        trips = [trades[~trades["open"]] for trades in (ledger.trades() for ledger in ledgers)]
        told = metrics.summarise(
            ts=ts,
            equity=np.concatenate(curves),
            opening=opening,
            calendar=calendar,
            held=np.concatenate([(ledger.position != 0).any(axis=1) for ledger in ledgers]),
            traded=traded,
            profits=np.concatenate([one["profit"].to_numpy(np.float64) for one in trips]),
            profit_shares=np.concatenate([one["return"].to_numpy(np.float64) for one in trips]),
            holding_hours=np.concatenate([one["holding_hours"].to_numpy(np.float64) for one in trips]),
        )
        return cls(
            days=np.concatenate([calendar.days(ledger.ts[end]) for ledger, end in zip(ledgers, ends, strict=True)]),
            ts=np.concatenate([ledger.ts[end] for ledger, end in zip(ledgers, ends, strict=True)]),
            returns=np.concatenate([metrics.daily_returns(one) for one in daily]),
            opening_equity=opening,
            told=told,
        )

    @property
    def equity(self) -> F8:
        """(D,) what the opening equity of the first stretch grows to by the end of each day."""
        return np.asarray(self.opening_equity * np.cumprod(1.0 + self.returns), np.float64)

    def metrics(self) -> dict[str, Any]:
        """Every number of `metrics.summarise`."""
        return dict(self.told)

    def reconcile(self) -> None:
        """Nothing is left to prove: each ledger was reconciled before it was taken apart."""

    def returns_daily(self) -> pd.Series[float]:
        """Daily returns, indexed by the (zone-less, UTC) day they belong to."""
        index = pd.DatetimeIndex(self.days.astype("datetime64[D]").astype("datetime64[ns]"), name="day")
        return pd.Series(self.returns, index=index, name="return")
