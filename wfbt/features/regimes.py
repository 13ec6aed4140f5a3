"""Market regimes: the hidden states of a Markov chain, or k-means clusters, learnt from training rows.

Out of sample only the forward filter is used: the probability of each state given the rows so far.  Smoothed states and
the most probable path look ahead, even with parameters from the past, and there is no function for them.  Hamilton
(1989); Rabiner (1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wfbt.config.states import STATES
from wfbt.errors import ConfigError, DataError
from wfbt.kernels.states import fill_forward, fill_likelihoods, fit_chain

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Order = Literal["variance", "mean"]
Model = Literal["hmm", "kmeans"]

FEWEST_ROWS = 10
"""Training rows for each state below which nothing is fitted at all."""

LEAST_ROWS = 100
"""Training rows that a state needs on average not to be doubted."""

LEAST_SHARE = 0.05
"""A state that holds less of the training rows describes a few days, not a regime."""

LEAST_STAY = 3.0
"""Bars: a state that lasts less on average is noise by another name."""

FLOOR = 1e-4
"""Least variance of a state in units of the training variance: one that shrinks to it has fallen onto equal rows."""

STEPS = 500
GAIN = 1e-6
"""Log-likelihood a row; a step that gains less ends the fit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """A fitted chain, its K states in rising order.

    Attributes
    ----------
    start : (K,) float64
        Probabilities in the first row of a block.
    transition : (K, K) float64
        From state i to state j in one row.
    mean, variance : (K, F) float64
        Of each observation, in its own units.
    occupancy : (K,) float64
        Expected share of the training rows.
    history : (S,) float64
        Log-likelihood of the training rows, standardised, at each step of the best start.
    converged : bool
    """

    start: F8
    transition: F8
    mean: F8
    variance: F8
    occupancy: F8
    history: F8
    converged: bool = True

    @property
    def stay(self) -> F8:
        """(K,) expected rows of a visit to each state; infinite where it is never left."""
        with np.errstate(divide="ignore"):
            return 1.0 / (1.0 - np.minimum(np.diag(self.transition), 1.0))

    def filter(self, x: F8) -> F8:
        """(T, K) P(state | rows ≤ t) of (T, F) observations; a row with a NaN only moves the chain on."""
        likelihood, weight = np.empty((2, len(x), len(self.start)))
        shift, scale = np.empty((2, len(x)))
        fill_likelihoods(likelihood, shift, x, self.mean.copy(), self.variance.copy())
        fill_forward(weight, scale, likelihood, self.start.copy(), self.transition.copy(), 0, len(x))
        return weight


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clusters:
    """K-means clusters in rising order: hard labels, no memory but for gaps.

    Attributes
    ----------
    used : slice
        The columns that distances are measured in.
    spread : (F,) float64
        Deviation of each column over the training rows, the unit of distance.
    mean, variance : (K, F) float64
        Of each observation; the means are the centres.
    occupancy : (K,) float64
        Share of the training rows.
    transition : (K, K) float64
        Frequency of moves from one row to the next in training.
    """

    used: slice
    spread: F8
    mean: F8
    variance: F8
    occupancy: F8
    transition: F8

    @property
    def stay(self) -> F8:
        """(K,) rows of a visit to each state in training, on average."""
        with np.errstate(divide="ignore"):
            return 1.0 / (1.0 - np.minimum(np.diag(self.transition), 1.0))

    def filter(self, x: F8) -> F8:
        """(T, K) 1 for the nearest centre, else 0; a row with a NaN stays where it was."""
        known = ~np.isnan(x).any(axis=1)
        rows = np.maximum.accumulate(np.where(known, np.arange(len(x)), 0))
        return np.eye(len(self.mean))[self.label(np.nan_to_num(x[rows], nan=0.0))]

    def label(self, x: F8) -> I8:
        """(T,) the nearest centre of each row."""
        used = self.used
        gaps = [np.sum(((x - one)[:, used] / self.spread[used]) ** 2, axis=1) for one in self.mean]
        return np.asarray(np.argmin(np.stack(gaps, axis=1), axis=1), np.int64)


class Regimes:
    """Regimes of a series of observations, whose first column is a return.

    Parameters
    ----------
    states : int
        2, 3 or 4.
    by : str
        What orders and names the states: the variance (calm … turbulent) or the mean (bear … bull) of the first column.
    model : str
        "hmm": a Markov chain with normal observations, independent within a state.  "kmeans": clusters of single rows;
        ordered by variance it looks at the columns after the first, if there are any.
    starts : int
        Where the search begins: once at rows sorted by size, then at rows drawn with `seed`; the likeliest is kept.

    Attributes
    ----------
    names : tuple of str
        Of the states, in order.
    fitted : Chain or Clusters or None
    rows : int
        Training rows that were read.
    """

    def __init__(
        self, states: int = 3, *, seed: int = 0, by: Order = "variance", model: Model = "hmm", starts: int = 3
    ) -> None:
        if by not in STATES:
            raise ConfigError(f"regimes.by must be variance or mean, was {by!r}")
        if states not in STATES[by]:
            raise ConfigError(f"regimes.states must be 2, 3 or 4, was {states!r}")
        if model not in ("hmm", "kmeans"):
            raise ConfigError(f"regimes.model must be hmm or kmeans, was {model!r}")
        if starts < 1:
            raise ConfigError(f"regimes.starts must be >= 1, was {starts!r}")
        self.states, self.seed, self.by, self.model, self.starts = states, seed, by, model, starts
        self.names = STATES[by][states]
        self.fitted: Chain | Clusters | None = None
        self.rows = 0

    def fit(self, train: Any, lengths: Sequence[int] | None = None) -> Regimes:
        """Learn from (T,) or (T, F) observations, made of blocks of `lengths` rows with a gap between each two.

        Rows with a NaN at the head of a block are left out.  DataError where there are fewer than 10 rows a state, a
        row in the middle is missing, or a column does not vary.
        """
        x = _table(train)
        sizes = np.array([len(x)] if lengths is None else lengths, np.int64)
        if sizes.sum() != len(x) or (sizes <= 0).any():
            raise ConfigError(f"regimes: blocks of {sizes.tolist()} rows are not the {len(x)} rows given")
        x, sizes = _complete(x, sizes)
        if len(x) < FEWEST_ROWS * self.states:
            raise DataError(f"regimes: nothing is learnt of {self.states} states from {len(x)} training rows")
        centre, spread = x.mean(axis=0), x.std(axis=0)
        if not (spread > 1e-12 * (1.0 + np.abs(centre))).all():
            raise DataError("regimes: an observation does not vary over the training rows")
        scaled = (x - centre) / spread
        if self.model == "hmm":
            self.fitted = self._chain(scaled, sizes, centre, spread)
        else:
            self.fitted = self._clusters(x, scaled, sizes, spread)
        self.rows = len(x)
        return self

    def filter(self, x: Any) -> F8:
        """(T, states) probabilities of each state given the rows so far; row t is known when row t is.

        NaN until the first row without a NaN.  Later rows with a NaN say nothing: the chain moves on by itself.
        """
        if self.fitted is None:
            raise ConfigError("regimes: fit before filtering")
        table = _table(x)
        if table.shape[1] != self.fitted.mean.shape[1]:
            raise ConfigError(
                f"regimes: fitted on {self.fitted.mean.shape[1]} observations a row, given {table.shape[1]}"
            )
        out = np.full((len(table), self.states), np.nan)
        known = np.flatnonzero(~np.isnan(table).any(axis=1))
        if len(known):
            out[known[0] :] = self.fitted.filter(table[known[0] :].copy())
        return out

    def doubts(self) -> list[str]:
        """Why the fitted states may be no regimes; empty where nothing speaks against them."""
        model = self.fitted
        if model is None:
            return []
        found = []
        if self.rows < LEAST_ROWS * self.states:
            found.append(f"{self.rows} training rows are fewer than {LEAST_ROWS} for each state")
        for name, share, stay in zip(self.names, model.occupancy, model.stay, strict=True):
            if share < LEAST_SHARE:
                found.append(f"{name} holds {share:.1%} of the training rows, less than {LEAST_SHARE:.0%}")
            elif stay < LEAST_STAY:
                found.append(f"{name} lasts {stay:.1f} bars on average, less than {LEAST_STAY:g}")
        if isinstance(model, Chain):
            if (np.diff(model.history) < -1e-9 * np.abs(model.history[1:])).any():
                found.append("the likelihood fell while fitting")
            total = model.occupancy @ (model.variance + (model.mean - model.occupancy @ model.mean) ** 2)
            if (model.variance <= 2.0 * FLOOR * total).any():
                found.append("a state has shrunk onto rows that are all alike")
        return found

    def _chain(self, x: F8, lengths: I8, centre: F8, spread: F8) -> Chain:
        seeds = np.random.SeedSequence([self.seed, 0x52454749]).spawn(self.starts)
        chains = [self._climb(x, lengths, None if i == 0 else np.random.default_rng(s)) for i, s in enumerate(seeds)]
        best = max(range(len(chains)), key=lambda i: chains[i].history[-1])
        one = self._settle(x, lengths, chains[best])
        mean, variance = centre + spread * one.mean, spread**2 * one.variance
        order = np.argsort(variance[:, 0] if self.by == "variance" else mean[:, 0], kind="stable")
        return Chain(
            start=one.start[order],
            transition=one.transition[np.ix_(order, order)],
            mean=mean[order],
            variance=variance[order],
            occupancy=one.occupancy[order],
            history=one.history,
            converged=one.converged,
        )

    def _climb(self, x: F8, lengths: I8, rng: np.random.Generator | None) -> Chain:
        """The chain that expectation maximisation reaches from one start."""
        rows, count = len(x), self.states
        if rng is None:
            # The last column rises with volatility, or is the return itself.
            size = np.abs(x[:, 0]) if x.shape[1] == 1 else x[:, -1]
            group = np.empty(rows, np.int64)
            group[np.argsort(size, kind="stable")] = np.arange(rows) * count // rows
        else:
            middles = x[rng.choice(rows, count, replace=False)]
            group = np.argmin(((x[:, None, :] - middles) ** 2).sum(axis=2), axis=1)
        groups = [x[group == k] for k in range(count)]
        mean = np.array([one.mean(axis=0) if len(one) else x[k] for k, one in enumerate(groups)])
        variance = np.array([one.var(axis=0) if len(one) else np.ones(x.shape[1]) for one in groups])
        variance = np.maximum(variance, 0.05)
        start = np.full(count, 1.0 / count)
        transition = np.full((count, count), 0.05 / (count - 1)) + np.eye(count) * (0.95 - 0.05 / (count - 1))
        occupancy, history = np.empty(count), np.empty(STEPS)
        likelihood, weight = np.empty((2, rows, count))
        shift, scale = np.empty((2, rows))
        steps = fit_chain(
            x, lengths, start, transition, mean, variance, occupancy, history, FLOOR, GAIN * rows,
            likelihood, shift, weight, scale,
        )  # fmt: skip
        return Chain(
            start=start,
            transition=transition,
            mean=mean,
            variance=variance,
            occupancy=occupancy,
            history=history[:steps].copy(),
            converged=steps < STEPS,
        )

    def _settle(self, x: F8, lengths: I8, found: Chain) -> Chain:
        """The fit that counts: hmmlearn's, from where our own search over the starts has ended.

        From there its steps are few, so a dozen folds cost a fraction of what searching with it would.  A start that
        ended on a degenerate state is left as it is, to be doubted.
        """
        if (found.variance <= 2.0 * FLOOR).any() or (found.occupancy * len(x) < 1.0).any():
            return found
        from hmmlearn.hmm import GaussianHMM
        from threadpoolctl import threadpool_limits

        model = GaussianHMM(
            self.states, init_params="", n_iter=STEPS, tol=GAIN * len(x), covars_prior=0.0, covars_weight=0.0
        )
        model.startprob_, model.transmat_ = found.start, found.transition
        model.means_, model.covars_ = found.mean, found.variance
        # Partial sums by thread would make the parameters depend on how many there are.
        with threadpool_limits(limits=1):
            model.fit(x, lengths.tolist())
            occupancy = model.predict_proba(x, lengths.tolist()).mean(axis=0)
        return Chain(
            start=model.startprob_,
            transition=model.transmat_,
            mean=model.means_,
            variance=np.maximum(np.diagonal(model.covars_, axis1=1, axis2=2), FLOOR),
            occupancy=occupancy,
            history=np.append(found.history, np.array(model.monitor_.history, np.float64)),
            converged=found.converged and bool(model.monitor_.converged),
        )

    def _clusters(self, x: F8, scaled: F8, lengths: I8, spread: F8) -> Clusters:
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        seed = int(np.random.SeedSequence([self.seed, 0x4B4D4E53]).generate_state(1)[0])
        # The sign of a single return would split every regime in two.
        used = slice(1, None) if self.by == "variance" and x.shape[1] > 1 else slice(None)
        # Partial sums by thread would make the centres depend on how many there are.
        with threadpool_limits(limits=1):
            label = KMeans(self.states, n_init=self.starts, random_state=seed).fit(scaled[:, used]).labels_
        groups = [x[label == k] for k in range(self.states)]
        mean, variance = (np.array([f(one, axis=0) for one in groups]) for f in (np.mean, np.var))
        order = np.argsort(variance[:, 0] if self.by == "variance" else mean[:, 0], kind="stable")
        found = Clusters(
            used=used,
            spread=spread,
            mean=mean[order],
            variance=variance[order],
            occupancy=np.array([len(groups[k]) for k in order]) / len(x),
            transition=np.eye(self.states),
        )
        label = found.label(x)
        moves = np.zeros((self.states, self.states))
        within = np.ones(len(x) - 1, np.bool_)
        within[np.cumsum(lengths)[:-1] - 1] = False
        np.add.at(moves, (label[:-1][within], label[1:][within]), 1.0)
        left = moves.sum(axis=1, keepdims=True)
        found.transition[:] = np.divide(moves, left, out=np.eye(self.states), where=left > 0)
        return found


def _table(x: Any) -> F8:
    """(T, F) float64, a copy."""
    table = np.array(x, dtype=np.float64, order="C")
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or table.shape[1] == 0:
        raise ConfigError(f"regimes: observations are (T,) or (T, F), not of shape {table.shape}")
    if np.isinf(table).any():
        raise DataError(f"regimes: row {int(np.flatnonzero(np.isinf(table).any(axis=1))[0])} is infinite")
    return table


def _complete(x: F8, lengths: I8) -> tuple[F8, I8]:
    """The rows of each block after those with a NaN at its head, and how many those are."""
    missing = np.asarray(np.isnan(x).any(axis=1))
    kept, sizes, begin = [], [], 0
    for length in lengths.tolist():
        block = missing[begin : begin + length]
        head = int(np.argmin(block)) if not block.all() else length
        if block[head:].any():
            raise DataError(
                f"regimes: row {begin + head + int(np.flatnonzero(block[head:])[0])} of training is missing"
            )
        if head < length:
            kept.append(x[begin + head : begin + length])
            sizes.append(length - head)
        begin += length
    return (np.concatenate(kept) if kept else x[:0]), np.array(sizes, np.int64)
