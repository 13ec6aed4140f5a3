"""How one account is divided among sleeves, from what they returned on rows that have already passed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.ledger.metrics import FEWEST_DAYS, ROUNDING

F8 = npt.NDArray[np.float64]

METHODS = ("fixed", "inverse_volatility", "min_variance", "hrp")
SHRUNK = ("min_variance", "hrp")
"""Methods that look at how sleeves move together; 1/σ asks for each sleeve's own risk, which shrinkage would blur."""

SLACK = 1e-9
"""By how much given weights may sum to more than 1: the rounding of decimal shares."""


def weights(
    returns: F8,
    method: str,
    *,
    given: Sequence[float] | None = None,
    max_weight: float = 1.0,
    shrink: bool = True,
) -> F8:
    """Shares of the account for S sleeves, fitted on their daily returns and on nothing else.

    Parameters
    ----------
    returns : (D, S) float64
        Simple daily returns of each sleeve alone with the whole account.
    method : str
        fixed: `given`. inverse_volatility: 1/σ. min_variance: least variance, long-only. hrp: hierarchical risk parity.
    given : (S,) of float
        The shares of method fixed, ≥ 0 and at most 1 together.
    max_weight : float
        Most of one sleeve; what it cuts goes to the others in proportion, and stays idle when all are cut.
    shrink : bool
        Whether min_variance and hrp take the covariance of Ledoit and Wolf (2004) instead of the sample's.

    Returns
    -------
    (S,) float64
        ≥ 0, ≤ `max_weight`, together ≤ 1.  A sleeve whose returns do not vary gets 0 from every method but fixed:
        nothing is known of its risk, and 1/σ or the least variance would give it everything.

    Raises
    ------
    ConfigError
        For fewer than 30 days, but of method fixed, which learns nothing.
    """
    if returns.ndim != 2 or returns.shape[1] == 0:
        raise ConfigError(f"allocation needs daily returns of shape (days, sleeves), was given {returns.shape}")
    if method not in METHODS:
        raise ConfigError(f"allocation.method: unknown {method!r}; use {', '.join(METHODS)}")
    days, sleeves = returns.shape
    if method == "fixed":
        return _fixed(given, sleeves, max_weight)
    if given is not None:
        raise ConfigError(f"allocation.method {method} fits its weights, so none may be given")
    if not 0 < max_weight <= 1:
        raise ConfigError(f"allocation.max_weight must lie in (0, 1], was {max_weight}")
    if days < FEWEST_DAYS:
        raise ConfigError(
            f"allocation.method {method} needs at least {FEWEST_DAYS} days of training returns, had {days}; lengthen "
            "folds.train or use method fixed"
        )
    if not np.isfinite(returns).all():
        raise ConfigError(f"allocation: {int((~np.isfinite(returns)).sum())} daily returns are no numbers")
    out = np.zeros(sleeves)
    alive = _alive(returns)
    if alive.size:
        estimate = shrunk_covariance if shrink and method in SHRUNK else covariance
        out[alive] = _capped(_FITS[method](estimate(returns[:, alive]), max_weight), max_weight)
    return out


def _alive(returns: F8) -> npt.NDArray[np.intp]:
    """Sleeves whose returns vary."""
    return np.flatnonzero(returns.std(axis=0, ddof=1) > ROUNDING)


def covariance(returns: F8) -> F8:
    """(S, S) sample covariance of (D, S) returns, ddof 1."""
    return np.atleast_2d(np.asarray(np.cov(returns, rowvar=False, ddof=1), np.float64))


def shrunk_covariance(returns: F8) -> F8:
    """(S, S) covariance drawn towards uncorrelated sleeves of their mean variance: Ledoit and Wolf (2004), section 3.3.

    How far is the sample's own doing: the error of its entries over their distance from that target, at most all of it.
    Moments are about D, as in the paper.
    """
    sample, target, share = _drawn(returns)
    return np.asarray(share * target + (1.0 - share) * sample)


def shrinkage(returns: F8) -> float:
    """How far, 0..1, `weights` draws the covariance of (D, S) returns; at 1 nothing of the sample is left."""
    moving = returns[:, _alive(returns)]
    return _drawn(moving)[2] if moving.shape[1] else 0.0


def _drawn(returns: F8) -> tuple[F8, F8, float]:
    """Sample, target, and the target's share."""
    days, sleeves = returns.shape
    centred = returns - returns.mean(axis=0)
    sample = centred.T @ centred / days
    target = np.trace(sample) / sleeves * np.eye(sleeves)
    distance = np.sum((sample - target) ** 2)
    error = (np.sum(np.sum(centred**2, axis=1) ** 2) / days - np.sum(sample**2)) / days
    share = min(error / distance, 1.0) if distance > 0 else 0.0
    return sample, target, float(share)


def hierarchical_risk_parity(cov: F8) -> F8:
    """(S,) weights that sum to 1, by López de Prado (2016): a tree of correlations, its leaves in order, bisected.

    Distance √((1 − ρ)/2), then the Euclidean distance between its columns, single linkage; each half of the ordered
    leaves gets the share of the other's variance, a cluster being weighted inside by inverse variances.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist

    sleeves = len(cov)
    if sleeves == 1:
        return np.ones(1)
    deviation = np.sqrt(np.diag(cov))
    correlation = np.clip(cov / np.outer(deviation, deviation), -1.0, 1.0)
    distance = np.sqrt((1.0 - correlation) / 2.0)
    order = leaves_list(linkage(pdist(distance), method="single"))
    out = np.ones(sleeves)
    clusters = [order]
    while clusters:
        cluster = clusters.pop()
        half = len(cluster) // 2
        left, right = cluster[:half], cluster[half:]
        share = _cluster_variance(cov, right) / (_cluster_variance(cov, left) + _cluster_variance(cov, right))
        out[left] *= share
        out[right] *= 1.0 - share
        clusters += [part for part in (left, right) if len(part) > 1]
    return out


def _cluster_variance(cov: F8, members: npt.NDArray[np.int32]) -> float:
    inside = cov[np.ix_(members, members)]
    parity = 1.0 / np.diag(inside)
    parity /= parity.sum()
    return float(parity @ inside @ parity)


def _inverse_volatility(cov: F8, _: float) -> F8:
    inverse = 1.0 / np.sqrt(np.diag(cov))
    return np.asarray(inverse / inverse.sum())


def _min_variance(cov: F8, max_weight: float) -> F8:
    """argmin w'Σw, 0 ≤ w ≤ max_weight, Σw as near to 1 as that allows."""
    from scipy.optimize import minimize

    sleeves = len(cov)
    whole = min(1.0, sleeves * max_weight)
    scaled = cov / np.diag(cov).mean()  # variances of daily returns are too small for a solver's tolerances
    found = minimize(
        lambda w: 0.5 * w @ scaled @ w,
        np.full(sleeves, whole / sleeves),
        jac=lambda w: scaled @ w,
        bounds=[(0.0, max_weight)] * sleeves,
        constraints={"type": "eq", "fun": lambda w: w.sum() - whole, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    if not found.success:
        raise ConfigError(f"allocation.method min_variance found no weights ({found.message}); use another method")
    # What the solver leaves of a sleeve it wants none of.
    out = np.where(found.x > 1e-9, found.x, 0.0)
    return np.asarray(out * (whole / out.sum()))


_FITS: dict[str, Callable[[F8, float], F8]] = {
    "inverse_volatility": _inverse_volatility,
    "min_variance": _min_variance,
    "hrp": lambda cov, _: hierarchical_risk_parity(cov),
}


def _fixed(given: Sequence[float] | None, sleeves: int, max_weight: float) -> F8:
    if given is None or len(given) != sleeves:
        raise ConfigError(f"allocation.method fixed needs {sleeves} weights, one per sleeve, was given {given}")
    out = np.array(given, np.float64)
    # Written so that a NaN fails it.
    if not ((out >= 0) & (out <= max_weight)).all() or not out.sum() <= 1 + SLACK:
        raise ConfigError(
            f"allocation.method fixed needs weights from 0 to max_weight {max_weight:g} that sum to at most 1, "
            f"were {', '.join(f'{w:g}' for w in given)}"
        )
    return out


def _capped(shares: F8, most: float) -> F8:
    """Cut shares at `most`, giving what was cut to the others in proportion until nothing is above it."""
    out, free = shares.copy(), np.ones(len(shares), bool)
    total = shares.sum()
    while (over := free & (out > most)).any():
        out[over] = most
        free &= ~over
        rest = out[free].sum()
        if rest > 0:
            out[free] *= (total - most * (~free).sum()) / rest
    return out
