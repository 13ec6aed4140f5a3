"""Level 5: the history itself, in blocks, conditioned on the labels of an exogenous series."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.features.learners import FitRows
from wfbt.kernels import resampling
from wfbt.risk.arrays import check_probabilities, cumulative, shaped
from wfbt.risk.history import History, weather_block

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledHistory:
    """Level 5: rows of the history itself, in blocks, drawn where they bear the label that the path has then.

    The stationary bootstrap (Politis and Romano 1994) of whole rows.  Labels follow a Markov chain with the frequencies
    of the training rows; a block also ends where the next row has another label than the path.  With one label it is
    the plain bootstrap.

    Attributes
    ----------
    returns : (T, A) float64
    labels : (T,) int64
        0 … L − 1: of the last publication known when the bar opened, so a return never chooses its own label.
    start : (L,) float64; transition : (L, L) float64
        Of the chain of labels.
    block : int
        Mean rows of a block that no label ends.
    members : (T,) int64; bounds : (L + 1,) int64
        What follows: the rows of label k are members[bounds[k] : bounds[k + 1]].
    """

    level: ClassVar[int] = 5
    symbols: tuple[str, ...]
    returns: F8
    labels: I8
    start: F8
    transition: F8
    block: int
    fits: tuple[FitRows, ...] = ()
    members: I8 = field(init=False, repr=False)
    bounds: I8 = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows, count = len(self.labels), len(self.start)
        object.__setattr__(self, "returns", shaped("returns", self.returns, (rows, len(self.symbols))))
        labels = np.array(self.labels, np.int64)
        members = np.argsort(labels, kind="stable")
        bounds = np.searchsorted(labels[members], np.arange(count + 1))
        for name, array in (("labels", labels), ("members", members), ("bounds", bounds)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        for name, shape in (("start", (count,)), ("transition", (count, count))):
            given = shaped(name, getattr(self, name), shape)
            object.__setattr__(self, name, given)
            check_probabilities(name, given)
        if not rows or labels.min() < 0 or labels.max() >= count:
            raise ConfigError(f"labels must be in 0 … {count - 1}, were of {np.unique(labels).tolist()}")
        if missing := sorted(set(range(count)) - set(labels.tolist())):
            raise ConfigError(f"label {missing[0]}: no training row has it, so none can be drawn")
        if not 1 <= self.block <= rows:
            raise ConfigError(f"block must be in 1 … {rows} rows, was {self.block}")

    @classmethod
    def fit(cls, history: History, labels: I8 | None = None, block: int | None = None) -> LabelledHistory:
        """Of training rows and the label of each, None for all alike; labels that no row has are left out.

        `block` None takes `weather_block`.
        """
        given = np.zeros(len(history.close_ts), np.int64) if labels is None else np.asarray(labels, np.int64)
        if given.shape != history.close_ts.shape:
            raise ConfigError(f"labels of shape {given.shape} for {len(history.close_ts)} training returns")
        kept, own = np.unique(given, return_inverse=True)
        moves = np.zeros((len(kept), len(kept)))
        np.add.at(moves, (own[:-1], own[1:]), 1.0)
        # A label seen in the last row alone was never left; it goes where all begin.
        share = np.bincount(own, minlength=len(kept)) / len(own)
        totals = moves.sum(axis=1, keepdims=True)
        return cls(
            symbols=history.symbols,
            returns=history.returns,
            labels=own.astype(np.int64),
            start=share,
            transition=np.where(totals > 0.0, moves / np.maximum(totals, 1.0), share),
            block=weather_block(history.returns) if block is None else block,
            fits=history.fits,
        )

    def rows(self, count: int, steps: int, first: int, key: U8) -> I8:
        """(P, S) rows of the history that the paths from `first` on go through."""
        wanted, out = np.empty((count, steps), np.int64), np.empty((count, steps), np.int64)
        resampling.fill_labels(wanted, first, key, cumulative(self.start), cumulative(self.transition))
        resampling.fill_matched(out, wanted, first, key, self.labels, self.members, self.bounds, 1.0 / self.block)
        return out

    def fill(self, out: F8, first: int, key: U8) -> None:
        resampling.take_rows(out, self.returns, self.rows(len(out), out.shape[1], first, key))
