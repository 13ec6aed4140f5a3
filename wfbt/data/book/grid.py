"""The grid of a contract: prices as whole ticks and quantities as whole lots, so that equality is exact."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wfbt.data.arrays import F8, I8
from wfbt.data.book.rows import Mask
from wfbt.errors import DataError

OFF = 1e-3
ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""How far from a whole number a quotient may lie, and how much further for its own size."""
MOST = 2.0**47
FINEST = 10
"""Decimals: no venue quotes finer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Tick and lot of one contract, in quote per unit and in units; both > 0."""

    tick_size: float
    lot_size: float

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size"):
            value = getattr(self, name)
            if not (value > 0 and np.isfinite(value)):
                raise DataError(f"{name} must be > 0, was {value}; take it from the venue's contract specification")

    def ticks(self, price: F8) -> tuple[I8, Mask]:
        """(N,) whole ticks, and where the price lies on none."""
        return _whole(price, self.tick_size)

    def lots(self, qty: F8) -> tuple[I8, Mask]:
        """(N,) whole lots, and where the quantity is none of them."""
        return _whole(qty, self.lot_size)

    def prices(self, tick: I8) -> F8:
        """(N,) float64: the doubles next to tick × tick_size as the venue writes it."""
        return _decimal(tick, self.tick_size)

    def quantities(self, lots: I8) -> F8:
        """(N,) float64."""
        return _decimal(lots, self.lot_size)


def _whole(values: F8, unit: float) -> tuple[I8, Mask]:
    quotient = values / unit
    nearest = np.rint(quotient)
    size = np.abs(nearest)
    off: Mask = ~((np.abs(quotient - nearest) <= OFF + ROUNDING * size) & (size < MOST))
    # Nothing may vanish by rounding: less than a lot is off the grid, however little it is.
    off |= (nearest == 0) & (values != 0)
    return np.where(off, 0, nearest).astype(np.int64), off


def _decimal(count: I8, unit: float) -> F8:
    # 3 × 0.1 is 0.30000000000000004; 3 / 10 is what the venue wrote.  Most units are one over a whole number.
    inverse = round(1 / unit)
    if inverse and 1 / inverse == unit:
        return np.asarray(count / inverse, np.float64)
    return np.asarray(count * unit, np.float64)


class Finer:
    """The coarsest grid that values seen so far lie on, as multiples of a power of ten."""

    def __init__(self) -> None:
        self._steps: dict[int, int] = {}
        self._decimals = 0

    def see(self, values: F8) -> None:
        """Take in finite values; what lies on no decimal grid is left to be found off the grid."""
        values = np.unique(np.abs(values[np.isfinite(values) & (values != 0)]))
        # What is beyond any grid is found to be off it later.
        values = values[values * 10.0**self._decimals < MOST]
        if not values.size:
            return
        while self._decimals < FINEST:
            scaled = values * 10.0**self._decimals
            apart = np.abs(scaled - np.rint(scaled)) <= OFF + ROUNDING * scaled
            if apart.all() or scaled.max() >= MOST / 10:
                break
            self._decimals += 1
        scaled = np.rint(values * 10.0**self._decimals)
        found = int(np.gcd.reduce(scaled[scaled != 0].astype(np.int64))) if scaled.any() else 0
        if found:
            before = self._steps.get(self._decimals, 0)
            self._steps[self._decimals] = math.gcd(before, found)

    def step(self) -> float:
        """The grid; DataError where nothing but zeros was seen."""
        finest = max(self._steps, default=0)
        whole = 0
        for decimals, step in self._steps.items():
            whole = math.gcd(whole, step * 10 ** (finest - decimals))
        if not whole:
            raise DataError("no price or quantity to learn the tick and the lot from; give both")
        return float(whole / 10**finest)


def learn(prices: Iterable[tuple[F8, F8]]) -> Grid:
    """The coarsest grid of decimals that pairs of prices and quantities lie on."""
    tick, lot = Finer(), Finer()
    for price, qty in prices:
        tick.see(price)
        lot.see(qty)
    return Grid(tick_size=tick.step(), lot_size=lot.step())
