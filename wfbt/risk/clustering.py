"""Levels 3 and 4: variances that remember, of each symbol by itself and of several together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.features.learners import FitRows
from wfbt.kernels import paths
from wfbt.risk.arrays import SUMS, frozen, shaped
from wfbt.risk.copula import fit_copula, probabilities
from wfbt.risk.history import History

F8 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilteredGarch:
    """Level 3: GJR-GARCH variances under residuals drawn from those of the training rows.

    r = μ + σ·z, σ² of the next step = ω + (α + γ·1{z < 0})·(σ·z)² + β·σ².  Filtered historical simulation
    (Barone-Adesi, Giannopoulos and Vosper 1999).  Several symbols draw the residuals of one row, so they stay as alike
    as they were.

    Attributes
    ----------
    mean, omega, alpha, gamma, beta : (A,) float64
    variance : (A,) float64
        σ² of the first step.
    residuals : (N, A) float64
        z of the training rows; N = 0: standard normal and independent.
    """

    level: ClassVar[int] = 3
    symbols: tuple[str, ...]
    mean: F8
    omega: F8
    alpha: F8
    gamma: F8
    beta: F8
    variance: F8
    residuals: F8
    fits: tuple[FitRows, ...] = ()

    def __post_init__(self) -> None:
        assets = len(self.symbols)
        for name in ("mean", "omega", "alpha", "gamma", "beta", "variance"):
            object.__setattr__(self, name, shaped(name, getattr(self, name), (assets,)))
        object.__setattr__(self, "residuals", shaped("residuals", self.residuals, (len(self.residuals), assets)))
        for name, least in (("omega", 0.0), ("alpha", 0.0), ("beta", 0.0), ("variance", 0.0)):
            if (getattr(self, name) < least).any():
                raise ConfigError(f"{name} must be >= 0, was {getattr(self, name).tolist()}")
        if (self.alpha + self.gamma < 0.0).any():
            raise ConfigError("alpha + gamma must be >= 0, or a fall makes a variance negative")
        if (bad := np.flatnonzero(self.persistence >= 1.0)).size:
            raise ConfigError(
                f"{self.symbols[bad[0]]}: shocks to the variance never die (persistence "
                f"{self.persistence[bad[0]]:.4f} >= 1), so paths have no spread to speak of; fit on more rows"
            )

    @classmethod
    def fit(cls, history: History, params: Mapping[str, F8], ahead: F8) -> FilteredGarch:
        """Residuals of the training rows under fitted variances, brought to mean 0 and variance 1.

        Parameters
        ----------
        params : mapping
            mu omega alpha [gamma] beta, (A,) each.
        ahead : (T, A) float64
            Variance of the row after each training row, known with it.

        Notes
        -----
        The drift is the mean of the training returns, as at every level.  `mu` serves to find the residuals: under
        innovations with tails it is no mean, and levels would differ by what a year of its error comes to.
        """
        ahead = shaped("ahead", ahead, history.returns.shape)
        if not (ahead > 0.0).all():
            raise ConfigError("ahead: variances must be > 0")
        z = (history.returns[1:] - np.asarray(params["mu"])) / np.sqrt(ahead[:-1])
        z = (z - z.mean(axis=0)) / z.std(axis=0)
        return cls(
            symbols=history.symbols,
            mean=history.returns.mean(axis=0),
            omega=params["omega"],
            alpha=params["alpha"],
            gamma=params.get("gamma", np.zeros(len(history.symbols))),
            beta=params["beta"],
            variance=ahead[-1],
            residuals=z,
            fits=history.fits,
        )

    @property
    def persistence(self) -> F8:
        """(A,) what one step leaves of a shock to the variance: α·E[z²] + γ·E[z²·1{z < 0}] + β, z as they are drawn."""
        z = self.residuals
        square, falling = (np.mean(z**2, axis=0), np.mean(z**2 * (z < 0.0), axis=0)) if len(z) else (1.0, 0.5)
        return np.asarray(self.alpha * square + self.gamma * falling + self.beta)

    @property
    def terms(self) -> F8:
        """(A, 4) ω, α, γ, β."""
        return frozen(np.stack([self.omega, self.alpha, self.gamma, self.beta], axis=1))

    def fill(self, out: F8, first: int, key: U8) -> None:
        paths.fill_garch(out, first, key, self.mean, self.terms, self.variance, self.residuals)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorrelatedGarch:
    """Level 4: such variances, joined by common factors and a copula whose tails depend on each other.

    Attributes
    ----------
    margins : FilteredGarch
        Each symbol by itself.
    loadings : (A, F) float64
        Of the symbols on independent standard factors; squares sum to at most 1 a symbol, the rest is its own.
    nu : float
        Degrees of freedom of the t copula, > 2; infinite: a normal copula, whose extremes come one at a time.
    own : (A,) float64; quantiles : (A, N) float64
        What follows: the loading of each symbol on itself, and its residuals in order.
    """

    level: ClassVar[int] = 4
    margins: FilteredGarch
    loadings: F8
    nu: float
    own: F8 = field(init=False, repr=False)
    quantiles: F8 = field(init=False, repr=False)

    def __post_init__(self) -> None:
        loadings = np.asarray(self.loadings, np.float64)
        if loadings.ndim != 2:
            raise ConfigError(f"loadings must be of shape (symbols, factors), were {loadings.shape}")
        object.__setattr__(self, "loadings", shaped("loadings", loadings, (len(self.symbols), loadings.shape[1])))
        if (np.sum(self.loadings**2, axis=1) > 1.0 + SUMS).any():
            raise ConfigError("loadings: the squares of one symbol's sum to more than 1")
        if not self.nu > 2.0:
            raise ConfigError(f"nu must be > 2, was {self.nu}")
        if not len(self.margins.residuals):
            raise ConfigError("level 4 draws quantiles of residuals, and there are none; fit level 3 on training rows")
        own = np.sqrt(np.maximum(1.0 - np.sum(self.loadings**2, axis=1), 0.0))
        object.__setattr__(self, "own", frozen(own))
        object.__setattr__(self, "quantiles", frozen(np.sort(self.margins.residuals.T, axis=1)))

    @property
    def symbols(self) -> tuple[str, ...]:
        return self.margins.symbols

    @property
    def fits(self) -> tuple[FitRows, ...]:
        return self.margins.fits

    @classmethod
    def fit(cls, margins: FilteredGarch) -> CorrelatedGarch:
        """Factors and tails of the residuals of level 3: see `wfbt.risk.copula`."""
        found = fit_copula(margins.residuals)
        return cls(margins=margins, loadings=found.loadings, nu=found.nu)

    def fill(self, out: F8, first: int, key: U8) -> None:
        margins = self.margins
        paths.fill_correlated(
            out, first, key, margins.mean, margins.terms, margins.variance, self.quantiles, self.loadings, self.own,
            float(self.nu), probabilities(self.nu),
        )  # fmt: skip
