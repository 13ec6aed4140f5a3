"""How residuals of several symbols hang together: common factors, and a t copula for what happens in the tails."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import inf, isinf, lgamma, log, pi

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.kernels.paths import BEND, TABLE

F8 = npt.NDArray[np.float64]

OWN = 0.02
"""Least share of a symbol's variance that is its own: without any, two symbols could be one."""
ROUNDS = 100
DEGREES = (2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, inf)
"""Degrees of freedom that are tried; the likelihood is too flat to tell finer ones apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Copula:
    """A fitted t copula.

    Attributes
    ----------
    loadings : (A, F) float64
        On independent factors, as many as the correlations have eigenvalues above 1.
    nu : float
        Degrees of freedom of greatest likelihood, one of DEGREES; infinite: normal.
    correlation : (A, A) float64
        What the loadings make of it.
    """

    loadings: F8
    nu: float
    correlation: F8


def fit_copula(residuals: F8) -> Copula:
    """Of (N, A) residuals.

    Correlations from Kendall's τ, sin(πτ/2), which holds for any elliptical copula whatever the margins; factors by
    iterated principal axes; ν by the likelihood of the ranks (Demarta and McNeil 2005, on the estimation by τ).  One
    symbol has neither.
    """
    residuals = np.asarray(residuals, np.float64)
    assets = residuals.shape[1]
    if assets == 1:
        return Copula(loadings=np.zeros((1, 0)), nu=inf, correlation=np.ones((1, 1)))
    from scipy.stats import kendalltau, rankdata

    tau = np.eye(assets)
    for a, b in combinations(range(assets), 2):
        tau[a, b] = tau[b, a] = kendalltau(residuals[:, a], residuals[:, b]).statistic
    if not np.isfinite(tau).all():
        raise ConfigError("residuals of a symbol are all alike, so nothing hangs together with them")
    loadings = principal_axes(np.sin(0.5 * pi * tau))
    own = 1.0 - np.sum(loadings**2, axis=1)
    correlation = loadings @ loadings.T + np.diag(own)
    ranks = rankdata(residuals, axis=0) / (len(residuals) + 1.0)
    likelihood = [log_likelihood(ranks, correlation, nu) for nu in DEGREES]
    return Copula(loadings=loadings, nu=DEGREES[int(np.argmax(likelihood))], correlation=correlation)


def principal_axes(correlation: F8) -> F8:
    """(A, F) loadings whose products are the (A, A) correlations, the diagonal apart."""
    factors = max(1, int(np.count_nonzero(np.linalg.eigvalsh(correlation) > 1.0)))
    others = np.abs(correlation - np.eye(len(correlation)))
    shared = others.max(axis=1)
    loadings = np.zeros((len(correlation), factors))
    for _ in range(ROUNDS):
        reduced = correlation - np.eye(len(correlation)) + np.diag(shared)
        values, vectors = np.linalg.eigh(reduced)
        loadings = vectors[:, -factors:] * np.sqrt(np.maximum(values[-factors:], 0.0))
        shared = np.minimum(np.sum(loadings**2, axis=1), 1.0 - OWN)
    # The sign of an eigenvector is nobody's: a factor rises with most symbols.
    loadings = loadings * np.where(loadings.sum(axis=0) < 0.0, -1.0, 1.0)
    most = np.sqrt((1.0 - OWN) / np.maximum(np.sum(loadings**2, axis=1), 1.0 - OWN))
    return np.asarray(loadings * most[:, None])


def log_likelihood(ranks: F8, correlation: F8, nu: float) -> float:
    """Of (N, A) probabilities under a t copula, normal where ν is infinite."""
    from scipy.special import ndtri, stdtrit

    n, assets = ranks.shape
    x = ndtri(ranks) if isinf(nu) else stdtrit(nu, ranks)
    root = np.linalg.cholesky(correlation)
    quadratic = np.sum(np.linalg.solve(root, x.T) ** 2, axis=0)
    volume = float(np.sum(np.log(np.diag(root))))
    if isinf(nu):
        return float(-0.5 * np.sum(quadratic - np.sum(x * x, axis=1)) - n * volume)
    joint = -0.5 * (nu + assets) * np.log1p(quadratic / nu)
    alone = -0.5 * (nu + 1.0) * np.sum(np.log1p(x * x / nu), axis=1)
    scale = lgamma(0.5 * (nu + assets)) - lgamma(0.5 * nu) - 0.5 * assets * log(nu * pi)
    scale -= assets * (lgamma(0.5 * (nu + 1.0)) - lgamma(0.5 * nu) - 0.5 * log(nu * pi))
    return float(np.sum(joint - alone) + n * (scale - volume))


@lru_cache(maxsize=16)
def probabilities(nu: float) -> F8:
    """(TABLE + 1,) distribution function of Student's t at x = BEND·r/(1 − |r|), r even from −1 to 1."""
    from scipy.special import ndtr, stdtr

    r = np.linspace(-1.0, 1.0, TABLE + 1)[1:-1]
    x = BEND * r / (1.0 - np.abs(r))
    out = np.concatenate(([0.0], ndtr(x) if isinf(nu) else stdtr(nu, x), [1.0]))
    out.flags.writeable = False
    return out
