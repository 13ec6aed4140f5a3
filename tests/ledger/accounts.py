"""Accounts kept by hand: random ones that add up, and small ones from a list of fills."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from wfbt.kernels.abi import FILL, PAYMENT, Liquidity, Reason
from wfbt.ledger.ledger import Ledger

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
MONDAY = 19_723 * DAY  # 2024-01-01
FIVE_DAY_WEEK = tuple(h < 5 * 24 or h >= 6 * 24 + 22 for h in range(7 * 24))  # with Sunday's two last hours


class Book:
    """Keeps one account event by event, with nothing but the definitions."""

    def __init__(self, assets: int, cash: float, inverse: bool, multiplier: Any = 1.0) -> None:
        self.opening = self.cash = cash
        self.inverse = inverse
        self.multiplier = np.broadcast_to(np.asarray(multiplier, float), assets)
        self.held = [0.0] * assets
        self.fills: list[tuple[Any, ...]] = []
        self.payments: list[tuple[Any, ...]] = []
        self.rows: list[tuple[Any, ...]] = []
        self.charged = self.borne = 0.0

    def v(self, price: float) -> float:
        return -1.0 / price if self.inverse else price

    def fill(
        self, ts: int, asset: int, qty: float, price: float, fee: float = 0.0, spread: float = 0.0,
        reference: float | None = None, reason: int = Reason.TARGET, liquidity: int = Liquidity.TAKER,
    ) -> None:  # fmt: skip
        m = self.multiplier[asset]
        reference = price if reference is None else reference
        impact = m * qty * (self.v(price) - self.v(reference)) - spread
        self.cash -= m * qty * self.v(price) + fee
        self.held[asset] += qty
        if abs(self.held[asset]) < 1e-9:
            self.held[asset] = 0.0
        n = len(self.fills)
        record = (n, n, asset, liquidity, reason, ts, len(self.rows), qty, price, reference, reference)
        self.fills.append((*record, fee, spread, impact))

    def pay(self, ts: int, asset: int, rate: float, mark: float) -> None:
        paid = self.multiplier[asset] * self.held[asset] * abs(self.v(mark)) * rate
        self.cash -= paid
        self.payments.append((ts, len(self.rows), asset, self.held[asset], rate, mark, paid))

    def charge(self, fee: float) -> None:
        self.cash -= fee
        self.charged += fee

    def bear(self, shortfall: float) -> None:
        self.cash += shortfall
        self.borne += shortfall

    def close(self, ts: int, mark: Iterable[float]) -> None:
        mark = list(mark)
        worth = sum(self.multiplier[a] * q * self.v(mark[a]) for a, q in enumerate(self.held) if q)
        self.rows.append((ts, self.cash + worth, self.cash, list(self.held), mark, self.charged, self.borne))
        self.charged = self.borne = 0.0

    def ledger(self, **more: Any) -> Ledger:
        ts, equity, cash, position, mark, charged, borne = zip(*self.rows, strict=True)
        columns = {
            "symbols": tuple("ABC"[: len(self.held)]),
            "ts": np.array(ts),
            "equity": np.array(equity),
            "cash": np.array(cash),
            "position": np.array(position),
            "mark": np.array(mark),
            "fills": np.array(self.fills, FILL),
            "payments": np.array(self.payments, PAYMENT),
            "liquidation": np.array(charged),
            "shortfall": np.array(borne),
            "multiplier": np.array(self.multiplier),
            "inverse": self.inverse,
            "opening_cash": self.opening,
        }
        return Ledger(**(columns | more))


def random_ledger(seed: int, days: int = 45, assets: int = 2, inverse: bool = False, weekends: bool = True) -> Ledger:
    """Hourly bars of an account that adds up: reversals, partial closes, funding, liquidations and shortfalls."""
    rng = np.random.default_rng(seed)
    level = rng.choice([3.0, 100.0, 20_000.0], assets)
    multiplier = rng.choice([1.0, 0.1, 10.0], assets) * (level if inverse else 1.0)
    book = Book(assets, 10.0 if inverse else 100_000.0, inverse, multiplier)
    price = level.copy()
    for hour in range(24 * days):
        opens, closes = MONDAY + hour * HOUR, MONDAY + (hour + 1) * HOUR
        if not weekends and not FIVE_DAY_WEEK[hour % 168]:
            continue
        for a in range(assets):
            unit = multiplier[a] * abs(book.v(price[a]))
            lot = 10.0 ** round(np.log10(book.opening / unit)) / 50
            stamped = rng.random() < 0.1
            if stamped and book.held[a]:
                book.pay(opens, a, float(rng.normal(0, 1e-3)), float(price[a]))
            for ts in np.sort(rng.integers(opens, closes, rng.choice([0, 1, 2], p=[0.8, 0.15, 0.05]))):
                held = book.held[a]
                qty = float(rng.choice([-held, -held / 2, -2 * held, lot * int(rng.integers(-9, 10)), 0.1 * lot]))
                if qty == 0 or abs(held + qty) > 25 * lot:
                    continue
                reference = float(price[a] * np.exp(rng.normal(0, 0.002)))
                worse = float(1 + np.sign(qty) * rng.uniform(0, 0.001))
                value = multiplier[a] * abs(qty * book.v(reference))
                reason = int(rng.choice([Reason.TARGET, Reason.BAND]))
                book.fill(int(ts), a, qty, reference * worse, value * 5e-4, value * 5e-5, reference, reason)
            price[a] *= np.exp(rng.normal(0, 0.004))
        if rng.random() < 0.005:
            for a in range(assets):
                if book.held[a]:
                    book.fill(
                        closes - 1, a, -book.held[a], float(price[a]), reason=Reason.LIQUIDATION,
                        liquidity=Liquidity.VENUE,
                    )  # fmt: skip
                    book.charge(book.opening * 1e-3)
            book.bear(book.opening * 5e-4)
        book.close(closes, price)
    return book.ledger()
