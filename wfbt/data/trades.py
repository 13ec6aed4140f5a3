"""Single trades of one symbol: what was paid, how much of it, and who was in a hurry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from wfbt.data.arrays import F8, I1, I8, read_only
from wfbt.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trades:
    """Trades as the venue reported them.  They make features and fill no orders.

    Attributes
    ----------
    ts : (K,) int64
        ns UTC, never decreasing: several trades may share a stamp, and stand in the order of the file.
    price, qty : (K,) float64
        Quote per unit and units, both > 0.
    side : (K,) int8
        Of the aggressor: 1 a buyer, −1 a seller.
    until : int or None
        The time to which trades are complete, ns UTC: bars that close later have unknown trades, not none.  None: that
        of the last trade.
    """

    ts: I8
    price: F8
    qty: F8
    side: I1
    until: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ts", read_only(self.ts, np.int64))
        object.__setattr__(self, "price", read_only(self.price, np.float64))
        object.__setattr__(self, "qty", read_only(self.qty, np.float64))
        # 257 would wrap to 1: what is no side must not become one by being stored in a byte.
        wide = np.asarray(self.side)
        if (bad := np.flatnonzero((wide != 1) & (wide != -1))).size:
            raise DataError(f"trades: side must be 1 or -1 at row {bad[0]}, was {wide[bad[0]]}")
        object.__setattr__(self, "side", read_only(self.side, np.int8))
        if not self.ts.shape == self.price.shape == self.qty.shape == self.side.shape:
            raise DataError("trades: ts, price, qty and side differ in length")
        if (bad := np.flatnonzero(np.diff(self.ts) < 0)).size:
            raise DataError(f"trades: ts goes back at row {bad[0] + 1}")
        for name in ("price", "qty"):
            values = getattr(self, name)
            if (bad := np.flatnonzero(~((values > 0) & (values < np.inf)))).size:
                raise DataError(f"trades: {name} must be > 0 at row {bad[0]}, was {values[bad[0]]}")
        if self.until is None:
            object.__setattr__(self, "until", int(self.ts[-1]) if len(self.ts) else 0)

    def __len__(self) -> int:
        return len(self.ts)

    def known_by(self, now: int) -> Self:
        """The trades up to `now` (ns UTC), in arrays of their own; complete to then at most."""
        rows = int(np.searchsorted(self.ts, now, side="right"))
        assert self.until is not None
        return type(self)(
            ts=self.ts[:rows],
            price=self.price[:rows],
            qty=self.qty[:rows],
            side=self.side[:rows],
            until=min(self.until, now),
        )

    def since(self, start: int) -> Self:
        """The trades from `start` (ns UTC) on, in arrays of their own."""
        rows = int(np.searchsorted(self.ts, start))
        return type(self)(
            ts=self.ts[rows:], price=self.price[rows:], qty=self.qty[rows:], side=self.side[rows:], until=self.until
        )
