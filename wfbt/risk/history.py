"""What a simulation learns from: the log returns of training rows, and which rows those were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.data.market import Bars, Series
from wfbt.errors import ConfigError, DataError
from wfbt.features.learners import FitRows
from wfbt.ledger.blocks import block_length
from wfbt.risk.arrays import frozen

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

FEWEST_ROWS = 30
"""Returns below which nothing is fitted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Log returns of A symbols over the same T bars, in time order.

    Rows need not be neighbours: a bar whose predecessor is no training row has no return here.

    Attributes
    ----------
    symbols : tuple of str
    close_ts : (T,) int64
        When each return is known, ns UTC.
    returns : (T, A) float64
        ln close less ln of the close before.
    read : (K,) int64
        Closes of every bar that was read, increasing: those of the returns and of their predecessors.
    """

    symbols: tuple[str, ...]
    close_ts: I8
    returns: F8
    read: I8

    def __post_init__(self) -> None:
        if self.returns.shape != (len(self.close_ts), len(self.symbols)):
            raise ConfigError(
                f"a history of {len(self.close_ts)} rows and {len(self.symbols)} symbols has returns of shape "
                f"{self.returns.shape}"
            )
        if len(self.returns) < FEWEST_ROWS:
            raise DataError(
                f"{', '.join(self.symbols)}: {len(self.returns)} training returns; a simulation needs {FEWEST_ROWS}"
            )
        if not np.isfinite(self.returns).all():
            row, column = np.argwhere(~np.isfinite(self.returns))[0]
            raise DataError(f"{self.symbols[column]}: return {row} is {self.returns[row, column]}, not a number")
        for column, symbol in enumerate(self.symbols):
            if not np.ptp(self.returns[:, column]) > 0.0:
                raise DataError(f"{symbol}: its training returns are all alike, so there is nothing to simulate")
        object.__setattr__(self, "returns", frozen(self.returns))

    @classmethod
    def of(cls, bars: tuple[Bars, ...], train: I8 | None = None) -> History:
        """Of bars whose closes (ns UTC) are among `train`, all where it is None; rows that every symbol has.

        A return needs the bar before it to be a training row too.
        """
        common = bars[0].close_ts
        for one in bars[1:]:
            common = np.intersect1d(common, one.close_ts)
        close = np.stack([one.close[np.searchsorted(one.close_ts, common)] for one in bars], axis=1)
        known = np.ones(len(common), np.bool_) if train is None else np.isin(common, train)
        kept = np.flatnonzero(known[1:] & known[:-1]) + 1
        return cls(
            symbols=tuple(one.symbol for one in bars),
            close_ts=common[kept],
            returns=np.log(close[kept] / close[kept - 1]),
            read=np.union1d(common[kept], common[kept - 1]),
        )

    @property
    def fits(self) -> tuple[FitRows, ...]:
        """The rows of each symbol that a fit on this history has read."""
        return tuple(FitRows(what="monte_carlo", symbol=symbol, rows=self.read) for symbol in self.symbols)


def weather_block(returns: F8) -> int:
    """Mean length of a block for (T, A) returns: the longer of what their mean and what their size asks for.

    Politis and White's length is that of the mean, and returns that hardly lean on each other ask for a day or two.
    Drawdowns come of storms, which are in |r|: so short a block would take them apart.
    """
    return max(block_length(returns), block_length(np.abs(returns)))


def labels_at_open(series: Series, column: str, open_ts: I8, cuts: F8) -> I8:
    """(N,) label of each of the bars that open at `open_ts`: what was published and known by then.

    0 where nothing was known, 1 below the first of `cuts` (increasing), and so on.
    """
    if column not in series.columns:
        raise ConfigError(f"{series.name}: has no column {column!r}; it has {', '.join(series.columns)}")
    if (np.diff(cuts) <= 0).any():
        raise ConfigError(f"cuts must increase, were {cuts.tolist()}")
    value = series.known_at(open_ts)[:, series.columns.index(column)]
    return np.where(np.isnan(value), 0, 1 + np.searchsorted(cuts, value, side="right")).astype(np.int64)
