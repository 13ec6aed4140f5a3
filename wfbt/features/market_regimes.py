"""Regimes of a market: what they are learnt from, and the columns that a rule sees of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.config.regimes import Regimes as RegimesSection
from wfbt.config.states import STATES
from wfbt.errors import DataError
from wfbt.features.learners import FitRows, Frames
from wfbt.features.regimes import Chain, Model, Order, Regimes
from wfbt.features.rolling import rolling_moments

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

MARKET = "market"
MOST_ROWS = 50_000
"""Training rows that are read, the last ones: years of minutes hold no more regimes than can be learnt from these."""

LEAST_VOLATILITY = 1e-8
"""Of a bar; the logarithm of a stretch of equal prices stays finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimePlan:
    """How regimes are told.

    Attributes
    ----------
    states, model, by, starts, seed
        As in `Regimes`.
    window : int or None
        Bars of the realised volatility that is observed beside the return of each bar.  None: returns alone.
    of : str
        "market": one regime of all symbols, learnt from the mean of their returns.  "own": one of each symbol.
    """

    states: int = 3
    model: Model = "hmm"
    by: Order = "variance"
    window: int | None = 24
    of: Literal["market", "own"] = "market"
    starts: int = 3
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Of the states, in rising order."""
        return STATES[self.by][self.states]


def regime_plan(given: RegimesSection | None, seed: int) -> RegimePlan | None:
    """The plan of a strategy's section; None where it is null."""
    if given is None:
        return None
    asked = {name: getattr(given, name) for name in ("states", "model", "by", "window", "of", "starts")}
    return RegimePlan(seed=seed, **asked)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What training rows gave: regimes, fewer than asked or none, and why.

    Attributes
    ----------
    plan : RegimePlan
    regimes : Regimes or None
        None where no number of states could be told apart.
    notes : tuple of str
    """

    plan: RegimePlan
    regimes: Regimes | None
    notes: tuple[str, ...]

    def weights(self, x: F8) -> F8:
        """(T, states) filtered probabilities by the plan's names: 0 of a state not found, NaN where none is known."""
        out = np.full((len(x), self.plan.states), np.nan)
        if self.regimes is None:
            return out
        own = self.regimes.filter(x)
        known = ~np.isnan(own[:, 0])
        out[known] = 0.0
        for column, name in enumerate(self.regimes.names):
            out[known, self.plan.names.index(name)] = own[known, column]
        return out


def find(plan: RegimePlan, x: F8, lengths: list[int]) -> Found:
    """As many states as can be told apart in observations (T, F) made of blocks of `lengths`; at most as planned."""
    notes: list[str] = []
    for states in range(plan.states, 1, -1):
        regimes = Regimes(states, seed=plan.seed, by=plan.by, model=plan.model, starts=plan.starts)
        try:
            regimes.fit(x, lengths)
        except DataError as error:
            notes.append(str(error).removeprefix("regimes: "))
            continue
        if doubts := regimes.doubts():
            notes.append(f"{states} states were not kept: {doubts[0]}")
            continue
        if isinstance(regimes.fitted, Chain) and not regimes.fitted.converged:
            notes.append(f"the fit had not converged after {len(regimes.fitted.history)} steps")
        return Found(plan=plan, regimes=regimes, notes=tuple(notes))
    return Found(plan=plan, regimes=None, notes=(*notes, "no regimes"))


def closes_of(frame: pd.DataFrame) -> I8:
    """Closes of a frame's bars, ns UTC."""
    return np.asarray(pd.DatetimeIndex(frame.index).as_unit("ns").asi8, np.int64)


def clock_of(frames: Frames) -> I8:
    """Every close of any symbol, increasing."""
    closes = [closes_of(frame) for frame in frames.values()]
    return closes[0] if len(closes) == 1 else np.unique(np.concatenate(closes))


def mean_returns(frames: Frames) -> tuple[I8, F8]:
    """Closes (T,) of any symbol, and the mean log return there of those that have a bar; NaN in the first row.

    A return is from a symbol's own last close.  Where only a symbol's first bar closes, nothing moved: 0.
    """
    clock = clock_of(frames)
    total, count = np.zeros(len(clock)), np.zeros(len(clock))
    for frame in frames.values():
        rows = np.searchsorted(clock, closes_of(frame)[1:])
        total[rows] += np.diff(np.log(frame["close"].to_numpy(np.float64)))
        count[rows] += 1.0
    returns = np.divide(total, count, out=np.zeros(len(clock)), where=count > 0)
    returns[:1] = np.nan
    return clock, returns


def observations(plan: RegimePlan, returns: F8) -> F8:
    """(T, F) of (T,) log returns whose first is NaN: the return, and the logarithm of its realised volatility.

    Row t is made of returns ≤ t; NaN until the window is full.  Clusters by mean see the window's mean return in place
    of the last one, which is all noise to whoever has no memory.
    """
    if plan.window is None:
        return returns[:, None]
    if len(returns) <= plan.window:
        return np.full((len(returns), 2), np.nan)
    squares, _ = rolling_moments(returns**2, plan.window)
    volatility = np.log(np.maximum(np.sqrt(squares), LEAST_VOLATILITY))
    first = rolling_moments(returns, plan.window)[0] if (plan.model, plan.by) == ("kmeans", "mean") else returns
    out = np.stack([first, volatility], axis=1)
    out[: plan.window] = np.nan
    return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegimeLearner:
    """Fits regimes on training rows.

    Attributes
    ----------
    plan : RegimePlan
    clock : (T,) int64
        Every close of the frames it will be shown parts of, ns UTC: training rows that do not follow one another there
        are blocks of their own, across which no return is taken and no state carried.
    """

    plan: RegimePlan
    clock: I8

    key = "regimes"

    def fit(self, frames: Frames) -> FittedRegimes:
        """Learn from the last 50,000 training rows; what cannot be learnt is said in notes, and is never an error."""
        frames, notes = _last(frames)
        rows = clock_of(frames)
        ends = np.flatnonzero(np.diff(np.searchsorted(self.clock, rows)) != 1) + 1
        found = {}
        for name, group in groups(self.plan, frames).items():
            blocks = []
            for block in np.split(rows, ends):
                inside = {symbol: _between(frame, block[0], block[-1]) for symbol, frame in group.items()}
                if listed := {symbol: frame for symbol, frame in inside.items() if len(frame)}:
                    blocks.append(observations(self.plan, mean_returns(listed)[1]))
            lengths = [len(block) for block in blocks]
            x = np.concatenate(blocks) if blocks else np.empty((0, 1))
            found[name] = find(self.plan, x, lengths)
        fits = tuple(
            FitRows(
                what=self.key,
                symbol=symbol,
                rows=closes_of(frame),
                notes=(*notes, *found[self.group_of(symbol)].notes),
            )
            for symbol, frame in frames.items()
        )
        return FittedRegimes(plan=self.plan, found=found, fits=fits)

    def group_of(self, symbol: str) -> str:
        """Under which name the regimes of a symbol are kept."""
        return MARKET if self.plan.of == "market" else symbol


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedRegimes:
    """Regimes by group: "market", or each symbol."""

    plan: RegimePlan
    found: Mapping[str, Found]
    fits: tuple[FitRows, ...]

    def paths(self, frames: Frames) -> dict[str, tuple[I8, F8]]:
        """Closes (T,) and filtered probabilities (T, states) of each group, over all of `frames`."""
        out = {}
        for name, group in groups(self.plan, frames).items():
            clock, returns = mean_returns(group)
            out[name] = clock, self.found[name].weights(observations(self.plan, returns))
        return out

    def columns(self, frames: Frames) -> dict[str, dict[str, F8]]:
        """Of each symbol `regime`, the number of the most probable state, and `regime_calm` … its probability.

        Filtered: row t is made of rows ≤ t.  NaN before the first full window, and throughout where nothing was found.
        """
        out = {}
        for name, (clock, weights) in self.paths(frames).items():
            told = {"regime": most_probable(weights)}
            told |= {f"regime_{state}": weights[:, k] for k, state in enumerate(self.plan.names)}
            for symbol in frames if name == MARKET and self.plan.of == "market" else (name,):
                rows = np.searchsorted(clock, closes_of(frames[symbol]))
                out[symbol] = {key: column[rows] for key, column in told.items()}
        return out


def most_probable(weights: F8) -> F8:
    """(T,) column of the largest of (T, states) probabilities; NaN where they are."""
    known = ~np.isnan(weights[:, 0])
    return np.where(known, np.argmax(np.nan_to_num(weights, nan=0.0), axis=1).astype(np.float64), np.nan)


def groups(plan: RegimePlan, frames: Frames) -> dict[str, Frames]:
    """The frames that share a regime."""
    return {MARKET: frames} if plan.of == "market" else {symbol: {symbol: frame} for symbol, frame in frames.items()}


def _last(frames: Frames) -> tuple[Frames, tuple[str, ...]]:
    """The last rows of `frames`, and a note where there are more."""
    clock = clock_of(frames)
    if len(clock) <= MOST_ROWS:
        return frames, ()
    kept = {symbol: _between(frame, clock[-MOST_ROWS], clock[-1]) for symbol, frame in frames.items()}
    return kept, (f"learnt from the last {MOST_ROWS:,} of {len(clock):,} training rows",)


def _between(frame: pd.DataFrame, first: np.int64, last: np.int64) -> pd.DataFrame:
    low, high = np.searchsorted(closes_of(frame), [first, last + 1])
    return frame.iloc[low:high]
