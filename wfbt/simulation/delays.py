"""Delays that thousands of markets with one clock share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.engine.latency import Latency

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn(Latency):
    """The delays and price draws of `drawn`, the last of each symbol kept: they depend on the seed and the bar alone.

    They are a sixth of the work of laying a market out.
    """

    drawn: Latency
    _known: dict[tuple[str, int, str], tuple[I8, npt.NDArray[Any]]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, drawn: Latency) -> Drawn:
        """The same distributions."""
        return cls(order=drawn.order, feed=drawn.feed, response=drawn.response, adverse=drawn.adverse, drawn=drawn)

    def delays(self, seed: int, symbol: str, ts: I8) -> I8:
        """(T,) ns from each decision time `ts` to a live order."""
        return self._recall("delays", seed, symbol, ts)

    def price_draws(self, seed: int, symbol: str, ts: I8) -> F8:
        """(T,) standard normal: how the price of each decision's order diffuses while it travels."""
        return self._recall("price_draws", seed, symbol, ts)

    def _recall(self, what: str, seed: int, symbol: str, ts: I8) -> npt.NDArray[Any]:
        known = self._known.get((what, seed, symbol))
        if known is None or not np.array_equal(known[0], ts):
            known = ts, getattr(self.drawn, what)(seed, symbol, ts)
            known[1].setflags(write=False)
            self._known[what, seed, symbol] = known
        return known[1]
