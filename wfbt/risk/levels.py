"""Levels 1 and 2, and what all five have in common: models of what markets may do, fitted on training rows.

All draw log returns of A symbols a step at a time.  The draws of a path depend on the key, the number of the path and
the step alone, and what two levels draw for the same purpose is the same: level 2 with equal regimes, or level 3 with
α = β = 0 and normal residuals, goes through the very paths of level 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.features.learners import FitRows
from wfbt.kernels import paths
from wfbt.risk.arrays import SUMS, check_probabilities, cumulative, frozen, shaped
from wfbt.risk.history import History

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint64]


class Model(Protocol):
    """What can be simulated."""

    level: ClassVar[int]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Of its A columns."""

    @property
    def fits(self) -> tuple[FitRows, ...]:
        """The rows that it was fitted on."""

    def fill(self, out: F8, first: int, key: U8) -> None:
        """Fill (P, S, A) with log returns of the paths from number `first` on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Brownian:
    """Level 1: geometric Brownian motion.

    Attributes
    ----------
    mean : (A,) float64
        Of the log return of a step.
    covariance : (A, A) float64
        Theirs.
    """

    level: ClassVar[int] = 1
    symbols: tuple[str, ...]
    mean: F8
    covariance: F8
    fits: tuple[FitRows, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", shaped("mean", self.mean, (len(self.symbols),)))
        object.__setattr__(self, "covariance", shaped("covariance", self.covariance, (len(self.symbols),) * 2))
        root(self.covariance)

    @classmethod
    def fit(cls, history: History) -> Brownian:
        """Moments of the training returns, ddof 1."""
        mean, covariance = moments(history.returns)
        return cls(symbols=history.symbols, mean=mean, covariance=covariance, fits=history.fits)

    def fill(self, out: F8, first: int, key: U8) -> None:
        paths.fill_brownian(out, first, key, self.mean, frozen(root(self.covariance)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegimeSwitching:
    """Level 2: normal steps whose moments are those of the state of a Markov chain (Hamilton 1989).

    Attributes
    ----------
    start : (K,) float64
        Probabilities of the states at the first step: what was known of them where the path begins, or their shares in
        the long run (`long_run`).
    transition : (K, K) float64
        From state i to state j in one step.
    mean : (K, A) float64; covariance : (K, A, A) float64
        Of the log return of a step in each state.
    """

    level: ClassVar[int] = 2
    symbols: tuple[str, ...]
    start: F8
    transition: F8
    mean: F8
    covariance: F8
    fits: tuple[FitRows, ...] = ()

    def __post_init__(self) -> None:
        count, assets = len(self.start), len(self.symbols)
        shapes = {"start": (count,), "transition": (count, count), "mean": (count, assets)}
        for name, shape in (shapes | {"covariance": (count, assets, assets)}).items():
            object.__setattr__(self, name, shaped(name, getattr(self, name), shape))
        for name in ("start", "transition"):
            check_probabilities(name, getattr(self, name))
        for one in self.covariance:
            root(one)

    @classmethod
    def fit(cls, history: History, states: I8, transition: F8, start: F8 | None = None) -> RegimeSwitching:
        """Moments of the training returns by the state (T,) of each row, and the chain that was fitted.

        The states may be those of a smoother: they describe training rows, and nothing is traded on them.
        """
        transition = np.asarray(transition, np.float64)
        states = np.asarray(states)
        if states.shape != history.close_ts.shape:
            raise ConfigError(f"states of shape {states.shape} for {len(history.close_ts)} training returns")
        means, covariances = [], []
        for k in range(len(transition)):
            own = history.returns[states == k]
            if len(own) < 2 * len(history.symbols) + 2:
                raise ConfigError(f"state {k}: {len(own)} training rows are too few for its moments; fit fewer states")
            mean, covariance = moments(own)
            means.append(mean)
            covariances.append(covariance)
        return cls(
            symbols=history.symbols,
            start=long_run(transition) if start is None else start,
            transition=transition,
            mean=np.array(means),
            covariance=np.array(covariances),
            fits=history.fits,
        )

    def fill(self, out: F8, first: int, key: U8) -> None:
        self.fill_states(out, np.empty(out.shape[:2], np.int64), first, key)

    def fill_states(self, out: F8, states: I8, first: int, key: U8) -> None:
        """`fill`, and the state (P, S) of each step."""
        roots = frozen([root(one) for one in self.covariance])
        start, transition = cumulative(self.start), cumulative(self.transition)
        paths.fill_regimes(out, states, first, key, start, transition, self.mean, roots)


def long_run(transition: F8) -> F8:
    """(K,) shares of the states of a chain in the long run; ConfigError where they depend on where it starts."""
    count = len(transition)
    system = np.vstack([np.asarray(transition, np.float64).T - np.eye(count), np.ones(count)])
    if np.linalg.matrix_rank(system, tol=SUMS) < count:
        raise ConfigError("transition: the chain never leaves some of its states; say in which it starts")
    found = np.maximum(np.linalg.lstsq(system, np.append(np.zeros(count), 1.0), rcond=None)[0], 0.0)
    return np.asarray(found / found.sum())


def moments(returns: F8) -> tuple[F8, F8]:
    """Mean (A,) and ddof-1 covariance (A, A) of (T, A)."""
    mean = returns.mean(axis=0)
    gap = returns - mean
    # Summed by NumPy: a BLAS may add in another order on another number of threads.
    covariance = np.stack([(gap * gap[:, a : a + 1]).sum(axis=0) for a in range(gap.shape[1])])
    return mean, covariance / (len(gap) - 1)


def root(covariance: F8) -> F8:
    """Lower Cholesky root."""
    if not np.allclose(covariance, covariance.T, rtol=SUMS, atol=0.0):
        raise ConfigError("a covariance must be symmetric")
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError as error:
        raise ConfigError("a covariance must be positive definite: are two symbols the same?") from error
