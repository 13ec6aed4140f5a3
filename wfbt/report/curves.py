"""The series a report draws, as one value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.errors import LedgerError

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Stitched out-of-sample series at bar closes, in-sample equity per fold, and daily returns.

    Attributes
    ----------
    symbols : tuple of str
        A of them.
    ts : (T,) int64
        Bar closes, ns UTC, increasing.
    equity : (T,) float64
        Quote, net of all costs.
    benchmark : (T,) float64
        Buy-and-hold from the same opening cash, with costs.
    drawdown : (T,) float64
        Positive fraction of the peak of `equity`.
    weight : (T, A) float64
        Signed notional of each position over equity.
    fold : (T,) int64
        The `index` of the fold each bar belongs to.
    in_sample : tuple of (ts (R,) int64, equity (R,) float64)
        Per fold, the chosen candidate on its training rows.
    days : (D,) datetime64[D]
        UTC days of the daily series.
    returns, benchmark_returns : (D,) float64
        Simple returns of each day.
    paths : tuple of (T,) float64
        Equity of every path through combinatorial folds, of which `equity` is one; none of other folds.
    """

    symbols: tuple[str, ...]
    ts: I8
    equity: F8
    benchmark: F8
    drawdown: F8
    weight: F8
    fold: I8
    in_sample: tuple[tuple[I8, F8], ...]
    days: npt.NDArray[np.datetime64]
    returns: F8
    benchmark_returns: F8
    paths: tuple[F8, ...] = ()

    def __post_init__(self) -> None:
        shapes = {
            "ts": (self.ts, (len(self.ts),)),
            "equity": (self.equity, (len(self.ts),)),
            "benchmark": (self.benchmark, (len(self.ts),)),
            "drawdown": (self.drawdown, (len(self.ts),)),
            "weight": (self.weight, (len(self.ts), len(self.symbols))),
            "fold": (self.fold, (len(self.ts),)),
            "returns": (self.returns, (len(self.days),)),
            "benchmark_returns": (self.benchmark_returns, (len(self.days),)),
        }
        for name, (array, shape) in shapes.items():
            if array.shape != shape:
                raise LedgerError(f"curves.{name} must have shape {shape}, was {array.shape}")
