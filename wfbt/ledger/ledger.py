"""What one account did, whatever produced it: fills, funding, cash, position and equity."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import LedgerError
from wfbt.kernels.abi import EVENT, FILL, LIQUIDATION, ORDER_LOG, PAYMENT
from wfbt.ledger import frames, metrics, portfolio, reconcile, trades
from wfbt.ledger.metrics import Calendar
from wfbt.ledger.reconcile import Reconciliation
from wfbt.ledger.wording import stamp

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]
Records = npt.NDArray[np.void]


def _none() -> F8:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ledger:
    """One account over T bars and A symbols.

    With v(p) = p for a linear contract, −1/p for an inverse one (whose account is in the coin), and m the multiplier,
    equity = cash + Σ m·position·v(mark), and cash changes by −m·qty·v(price) − fee with each fill, by −paid with each
    funding payment, by −liquidation + shortfall with each row.  `reconcile` proves it.

    Attributes
    ----------
    symbols : tuple of str
    ts : (T,) int64
        Closes of the bars, ns UTC.
    equity, cash : (T,) float64
        At the closes, in quote.
    position, mark : (T, A) float64
        Units held and mark price at the closes; a mark may be NaN where nothing is held.
    fills : (N,) FILL
        In the order they happened.  A fill, and a payment, belongs to the first bar that closes after its `ts`; `row`
        counts on the clock of whoever filled it.  A fill for LIQUIDATION has no fee of its own.
    payments : (K,) PAYMENT
        Funding; positive `paid` left the account.
    orders : (M,) ORDER_LOG
        Every order of the policy, filled or not, in the order they were sent.  Fills of a schedule name theirs as
        `parent`.
    events : (V,) EVENT
        Exposure limits that acted.
    liquidations : (Q,) LIQUIDATION
        Positions that the venue closed.
    liquidation, shortfall : (T,) float64
        Liquidation fees charged, and losses beyond the account that the insurance bore, in each bar.
    multiplier : (A,) float64
    inverse : bool
    opening_cash : float
    opening_position, opening_mark : (A,) float64
        What the account began with, at which mark; none unless it is a slice of a longer ledger.
    opening_ts : int or None
        When it began, ns UTC; required when it began with a position.
    days_a_year : float or None
        365 or 252; None: as the bars show (`metrics.trading_calendar`).
    breakers : int or None
        How often a limit stopped the account; None: not known of a slice.
    halted : bool
        Equity reached zero.
    """

    symbols: tuple[str, ...]
    ts: I8
    equity: F8
    cash: F8
    position: F8
    mark: F8
    fills: Records
    payments: Records
    liquidation: F8
    shortfall: F8
    multiplier: F8
    inverse: bool
    opening_cash: float
    opening_position: F8 = field(default_factory=_none)
    opening_mark: F8 = field(default_factory=_none)
    opening_ts: int | None = None
    days_a_year: float | None = None
    breakers: int | None = None
    halted: bool = False
    orders: Records = field(default_factory=lambda: np.zeros(0, ORDER_LOG))
    events: Records = field(default_factory=lambda: np.zeros(0, EVENT))
    liquidations: Records = field(default_factory=lambda: np.zeros(0, LIQUIDATION))

    def __post_init__(self) -> None:
        self._admit(np.array, ())

    @classmethod
    def owning(cls, sound: Collection[str] = (), **columns: Any) -> Ledger:
        """The ledger of arrays that nobody else writes to: checked like any other, but frozen in place, not copied.

        `sound` names columns whose values were checked where they came from: ts that increase, marks > 0 throughout,
        liquidation and shortfall of finite numbers ≥ 0.
        """
        self = object.__new__(cls)
        for one in fields(cls):
            given = one.name in columns or (one.default is MISSING and one.default_factory is MISSING)
            default = one.default if one.default_factory is MISSING else one.default_factory()
            object.__setattr__(self, one.name, columns[one.name] if given else default)
        self._admit(np.asarray, sound)
        return self

    def _admit(self, take: Callable[..., Any], sound: Collection[str]) -> None:
        rows, assets = len(self.ts), len(self.symbols)
        if rows == 0 or assets == 0:
            raise LedgerError(f"a ledger needs at least one bar and one symbol, had {rows} and {assets}")
        for name, empty in (("opening_position", 0.0), ("opening_mark", np.nan)):
            if np.size(getattr(self, name)) == 0:
                object.__setattr__(self, name, np.full(assets, empty))
        self._freeze(take, "ts", np.dtype(np.int64), (rows,))
        for name in ("equity", "cash", "liquidation", "shortfall"):
            self._freeze(take, name, np.dtype(np.float64), (rows,))
        for name in ("position", "mark"):
            self._freeze(take, name, np.dtype(np.float64), (rows, assets))
        for name in ("multiplier", "opening_position", "opening_mark"):
            self._freeze(take, name, np.dtype(np.float64), (assets,))
        self._freeze(take, "fills", FILL, (len(self.fills),))
        self._freeze(take, "payments", PAYMENT, (len(self.payments),))
        for name, dtype in (("orders", ORDER_LOG), ("events", EVENT), ("liquidations", LIQUIDATION)):
            self._freeze(take, name, dtype, (len(getattr(self, name)),))
        kinds = np.unique(np.asarray(self.inverse, np.bool_))
        if len(kinds) > 1:
            raise LedgerError("linear and inverse contracts settle in different currencies and cannot share a ledger")
        object.__setattr__(self, "inverse", bool(kinds[0]))
        self._check(sound)

    def _freeze(self, take: Callable[..., Any], name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        given = np.asarray(getattr(self, name))
        if dtype.names and given.dtype != dtype:
            raise LedgerError(f"ledger.{name} must be records of wfbt.kernels.abi, were {given.dtype}")
        array = take(given, dtype=dtype, order="C")
        if array.shape != shape:
            raise LedgerError(f"ledger.{name} must have shape {shape}, had {array.shape}")
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    def _check(self, sound: Collection[str]) -> None:
        if "ts" not in sound and not (self.ts[1:] > self.ts[:-1]).all():
            bad = np.flatnonzero(self.ts[1:] <= self.ts[:-1])
            raise LedgerError(f"ledger.ts must increase; row {bad[0] + 1} ({stamp(self.ts[bad[0] + 1])}) does not")
        if not np.isfinite(self.opening_cash):
            raise LedgerError(f"ledger.opening_cash must be a number, was {self.opening_cash}")
        if self.opening_position.any() and self.opening_ts is None:
            raise LedgerError("ledger.opening_ts is needed: the ledger begins with a position")
        if not np.all(np.isfinite(self.multiplier) & (self.multiplier > 0)):
            raise LedgerError(f"ledger.multiplier must be > 0, was {self.multiplier.tolist()}")
        for name in ("equity", "cash", "position", "liquidation", "shortfall"):
            if name in sound:
                continue
            column = getattr(self, name)
            fine = np.isfinite(column)
            if name in ("liquidation", "shortfall"):
                fine &= column >= 0
            if not fine.all():
                row = int(np.flatnonzero(~fine.reshape(len(column), -1).all(axis=1))[0])
                raise LedgerError(f"row {row} ({stamp(self.ts[row])}): {name} cannot be {column[row].tolist()}")
        # Written so that a NaN, which is the least and the most of its column, fails it.
        if (
            "mark" not in sound
            and not (self.mark.min() > 0 and self.mark.max() < np.inf)
            and (unmarked := (self.position != 0) & ~(np.isfinite(self.mark) & (self.mark > 0))).any()
        ):
            row, asset = (int(x) for x in np.argwhere(unmarked)[0])
            raise LedgerError(
                f"row {row} ({stamp(self.ts[row])}): {self.symbols[asset]} is held at a mark of {self.mark[row, asset]}"
            )
        for kind, records, prices in (("fill", self.fills, ("price", "reference")), ("payment", self.payments, ())):
            self._check_records(kind, records, prices)
        if (bad := np.flatnonzero(self.fills["qty"] == 0)).size:
            raise LedgerError(f"fill {bad[0]} ({stamp(self.fills['ts'][bad[0]])}): its quantity is 0")

    def _check_records(self, kind: str, records: Records, prices: tuple[str, ...]) -> None:
        inside = records["ts"] < self.ts[-1]
        if self.opening_ts is not None:
            inside &= records["ts"] >= self.opening_ts
        known = (records["asset"] >= 0) & (records["asset"] < len(self.symbols))
        sound = np.ones(len(records), bool)
        for name in records.dtype.names or ():
            if records.dtype[name] == np.float64 and name != "arrival":
                sound &= np.isfinite(records[name])
        for name in prices:
            sound &= records[name] > 0
        for rule, fine in (("its time lies outside the ledger", inside), ("asset is not a symbol", known), ("", sound)):
            if (bad := np.flatnonzero(~fine)).size:
                i = int(bad[0])
                raise LedgerError(f"{kind} {i} ({stamp(records['ts'][i])}): {rule or f'impossible: {records[i]}'}")

    def v(self, price: npt.ArrayLike) -> F8:
        """Value of one unit per multiplier at `price`: the price itself, or −1/price of an inverse contract."""
        price = np.asarray(price, np.float64)
        return -1.0 / price if self.inverse else price

    def worth(self, position: F8, mark: F8) -> F8:
        """Signed value of positions at marks of the same shape, (…, A); 0 where nothing is held, whatever the mark."""
        return np.asarray(self.multiplier * position * self.v(np.where(position == 0, 1.0, mark)))

    @property
    def opening_equity(self) -> float:
        """Cash and position before the first bar."""
        return float(self.opening_cash + self.worth(self.opening_position, self.opening_mark).sum())

    @property
    def fill_rows(self) -> I8:
        """(N,) int64: the bar each fill belongs to; a fill at a close, which is an open too, is the next bar's."""
        return np.searchsorted(self.ts, self.fills["ts"], side="right")

    @property
    def payment_rows(self) -> I8:
        """(K,) int64: the bar each payment belongs to."""
        return np.searchsorted(self.ts, self.payments["ts"], side="right")

    @property
    def traded(self) -> F8:
        """(N,) float64: value of each fill, unsigned."""
        return np.asarray(
            np.abs(self.multiplier[self.fills["asset"]] * self.fills["qty"] * self.v(self.fills["price"]))
        )

    @property
    def funding(self) -> F8:
        """(T,) float64: funding paid in each bar, positive where it left the account."""
        return self._by_row(self.payment_rows, self.payments["paid"])

    @property
    def fees(self) -> F8:
        """(T,) float64: trading fees of each bar."""
        return self._by_row(self.fill_rows, self.fills["fee"])

    def _by_row(self, rows: I8, amounts: F8) -> F8:
        return np.bincount(rows, weights=amounts, minlength=len(self.ts)).astype(np.float64)

    @property
    def drawdown(self) -> F8:
        """(T,) float64: how far equity is below its highest close or opening, as a positive fraction of that."""
        return metrics.drawdown(self.equity, self.opening_equity)

    @property
    def gross_exposure(self) -> F8:
        """(T,) float64: Σ m·|position·v(mark)| in multiples of equity; NaN where a position stands on no equity."""
        gross = np.abs(self.worth(self.position, self.mark)).sum(axis=1)
        alive = self.equity > 0
        return np.where(alive, gross / np.where(alive, self.equity, 1.0), np.where(gross > 0, np.nan, 0.0))

    @property
    def calendar(self) -> Calendar:
        """Which bars make a day of returns, and how many days a year."""
        return metrics.trading_calendar(self.ts, self.days_a_year)

    def returns_daily(self) -> pd.Series[float]:
        """Daily returns, indexed by the (zone-less, UTC) day they belong to."""
        calendar = self.calendar
        returns = metrics.daily_returns(metrics.daily_equity(self.ts, self.equity, self.opening_equity, calendar))
        days = calendar.days(self.ts)[calendar.day_ends(self.ts)]
        index = pd.DatetimeIndex(days.astype("datetime64[D]").astype("datetime64[ns]"), name="day")
        return pd.Series(returns, index=index, name="return")

    def reconcile(self, rtol: float = 1e-9) -> Reconciliation:
        """Prove the identities above; LedgerError at the first row that breaks one."""
        return reconcile.reconcile(self, rtol)

    def trades(self) -> pd.DataFrame:
        """Round trips, one row each, in the order they opened: columns of `trades.round_trips`."""
        return trades.round_trips(self)

    def metrics(self) -> dict[str, Any]:
        """Every number of `metrics.summarise`."""
        trips = self.trades()
        closed = trips[~trips["open"]]
        return metrics.summarise(
            ts=self.ts,
            equity=self.equity,
            opening=self.opening_equity,
            calendar=self.calendar,
            held=(self.position != 0).any(axis=1),
            traded=float(self.traded.sum()),
            profits=closed["profit"].to_numpy(np.float64),
            profit_shares=closed["return"].to_numpy(np.float64),
            holding_hours=closed["holding_hours"].to_numpy(np.float64),
        )

    def fills_frame(self) -> pd.DataFrame:
        """Fills in words, for Parquet and people: columns of `frames.fills_frame`."""
        return frames.fills_frame(self)

    def equity_frame(self) -> pd.DataFrame:
        """The account bar by bar: columns of `frames.equity_frame`."""
        return frames.equity_frame(self)

    def orders_frame(self) -> pd.DataFrame:
        """Every order of the policy, filled or not: columns of `frames.orders_frame`."""
        return frames.orders_frame(self)

    def events_frame(self) -> pd.DataFrame:
        """Exposure limits that acted: columns of `frames.events_frame`."""
        return frames.events_frame(self)

    def liquidations_frame(self) -> pd.DataFrame:
        """Positions that the venue closed: columns of `frames.liquidations_frame`."""
        return frames.liquidations_frame(self)

    def to_vectorbt(self) -> Any:
        """The same orders as a `vectorbt.Portfolio`, **without funding**: see `portfolio.to_vectorbt`."""
        return portfolio.to_vectorbt(self)

    def slice(self, start_ns: int, stop_ns: int) -> Ledger:
        """The bars that close in (start, stop], as an account that begins with what was held at `start`.

        Its opening equity is the equity at the last close at or before `start`; a position carried in counts as entered
        there, at the mark and without cost, so its profit in the slice is the slice's own.
        """
        first, last = (int(x) for x in np.searchsorted(self.ts, (start_ns, stop_ns), side="right"))
        if first >= last:
            raise LedgerError(f"no bar of the ledger closes after {stamp(start_ns)} and by {stamp(stop_ns)}")
        fills = (self.fill_rows >= first) & (self.fill_rows < last)
        payments = (self.payment_rows >= first) & (self.payment_rows < last)
        begin = int(self.ts[first - 1]) if first else np.iinfo(np.int64).min

        def within(records: Records, name: str) -> Records:
            return np.asarray(records[(records[name] >= begin) & (records[name] < self.ts[last - 1])])

        return Ledger(
            symbols=self.symbols,
            ts=self.ts[first:last],
            equity=self.equity[first:last],
            cash=self.cash[first:last],
            position=self.position[first:last],
            mark=self.mark[first:last],
            fills=self.fills[fills],
            payments=self.payments[payments],
            orders=within(self.orders, "live"),
            events=self.events[(self.events["ts"] > begin) & (self.events["ts"] <= self.ts[last - 1])],
            liquidations=within(self.liquidations, "ts"),
            liquidation=self.liquidation[first:last],
            shortfall=self.shortfall[first:last],
            multiplier=self.multiplier,
            inverse=self.inverse,
            opening_cash=float(self.cash[first - 1]) if first else self.opening_cash,
            opening_position=self.position[first - 1] if first else self.opening_position,
            opening_mark=self.mark[first - 1] if first else self.opening_mark,
            opening_ts=int(self.ts[first - 1]) if first else self.opening_ts,
            days_a_year=self.calendar.days_a_year,
            halted=self.halted and self.equity[last - 1] <= 0,
        )


def costs_split(ledger: Ledger) -> dict[str, float]:
    """What trading cost in all, in quote: fees, spread, impact, funding, liquidation.

    Spread and impact are in the prices paid, the others were charged; funding is negative where it was earned.
    """
    return {
        "fees": float(ledger.fills["fee"].sum()),
        "spread": float(ledger.fills["spread"].sum()),
        "impact": float(ledger.fills["impact"].sum()),
        "funding": float(ledger.payments["paid"].sum()),
        "liquidation": float(ledger.liquidation.sum()),
    }
