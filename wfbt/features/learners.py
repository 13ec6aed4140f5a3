"""Features that are fitted: learnt from a fold's training rows, then read forward over the whole span.

What is fitted records its rows, and whoever asked for the fit checks them against the fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import ConfigError, PolicyError

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitRows:
    """The rows of one symbol that something was fitted on.

    Attributes
    ----------
    what : str
        What was fitted, as the strategy file calls it: regimes, volatility, policy.
    symbol : str
    rows : (K,) int64
        Closes, ns UTC, of every bar that the fit has read in any way, increasing.
    notes : tuple of str
        What has to be known of the fit: that it did not converge, or found less than was asked for.
    """

    what: str
    symbol: str
    rows: I8
    notes: tuple[str, ...] = ()

    def check(self, train: I8) -> None:
        """PolicyError unless every row is one of the closes (ns UTC) in `train`."""
        beyond = self.rows[~np.isin(self.rows, train)]
        if len(beyond):
            first = pd.Timestamp(int(beyond[0]), tz="UTC")
            raise PolicyError(
                f"{self.what}: was fitted on {len(beyond)} of {len(self.rows)} rows of {self.symbol} that are no "
                f"training rows of its fold, the first closing {first:%Y-%m-%d %H:%M}; fit on what fit() receives alone"
            )


class Fitted(Protocol):
    """A feature that has learnt."""

    @property
    def fits(self) -> tuple[FitRows, ...]:
        """The rows it was fitted on, by symbol."""

    def columns(self, frames: Frames) -> dict[str, dict[str, F8]]:
        """Columns (T,) to join to each symbol's frame; row t depends on the fit and on rows ≤ t of `frames`."""


class Learner(Protocol):
    """A feature before it has seen any bar."""

    @property
    def key(self) -> str:
        """The section of the strategy file that asks for it."""

    def fit(self, frames: Frames) -> Fitted:
        """Learn from `frames`, which hold training rows alone."""


def training_frames(frames: Frames, train: I8) -> dict[str, pd.DataFrame]:
    """The rows of each frame that close at one of `train` (ns UTC).

    Training rows may be in several blocks: `attrs["blocks"]` of each frame holds the first and the last close of each.
    What reaches from one into the next (a shift, a window) would span test rows that are not there.
    """
    times = pd.DatetimeIndex(pd.to_datetime(train, unit="ns", utc=True))
    out = {}
    for symbol, frame in frames.items():
        rows = np.flatnonzero(frame.index.isin(times))
        blocks = [block for block in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(block)]
        out[symbol] = frame.iloc[rows]
        out[symbol].attrs["blocks"] = tuple((frame.index[block[0]], frame.index[block[-1]]) for block in blocks)
    return out


def learn(
    learners: Iterable[Learner], frames: Frames, train: I8
) -> tuple[dict[str, pd.DataFrame], tuple[FitRows, ...], tuple[Fitted, ...]]:
    """`frames` with the columns of `learners` fitted on the rows that close at `train`, what each fit has read, and
    what has learnt.

    A learner sees the columns of those before it.  ConfigError where two columns have one name, PolicyError where a fit
    has read a row that is not in `train`.
    """
    out = dict(frames)
    fits: list[FitRows] = []
    fitted: list[Fitted] = []
    for learner in learners:
        one = learner.fit(training_frames(out, train))
        for fit in one.fits:
            fit.check(train)
        fits += one.fits
        fitted.append(one)
        for symbol, columns in one.columns(out).items():
            if taken := sorted(set(columns) & set(out[symbol].columns)):
                raise ConfigError(
                    f"{learner.key}: a rule would see its column {taken[0]}, and sees one of that name already; "
                    "call the series something else"
                )
            out[symbol] = out[symbol].assign(**columns)
    return out, tuple(fits), tuple(fitted)


def apply(fitted: Iterable[Fitted], frames: Frames) -> dict[str, pd.DataFrame]:
    """`frames` with the columns of what has learnt already, which may have been shown other prices."""
    out = dict(frames)
    for one in fitted:
        for symbol, columns in one.columns(out).items():
            out[symbol] = out[symbol].assign(**columns)
    return out
