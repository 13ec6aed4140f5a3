"""GARCH(1,1), GJR-GARCH and EGARCH: fitted by maximum likelihood on training returns, then read forward, frozen.

Bollerslev (1986); Glosten, Jagannathan and Runkle (1993); Nelson (1991).  With e[t] = r[t] − μ = σ[t]·z[t],

    garch       σ²[t+1] = ω + α·e[t]² + β·σ²[t]
    gjr-garch   σ²[t+1] = ω + (α + γ·1{e[t] < 0})·e[t]² + β·σ²[t]
    egarch      ln σ²[t+1] = ω + α·(|z[t]| − √(2/π)) + γ·z[t] + β·ln σ²[t]

and z normal, Student's t or Hansen's (1994) skewed t, of variance 1.  Everything is in units of the returns themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import WfbtError

F8 = npt.NDArray[np.float64]

FEWEST_RETURNS = 250
"""Of fewer a likelihood this flat says nothing."""

BOUND = 1e-6
"""Nearer to a bound than this a parameter is at it."""

BACKCAST, MEMORY = 75, 0.94
"""The variance before the first row is an exponential average of so many first squares."""

RANGE = 1e6
"""An EGARCH variance stays within this multiple and this part of the training rows' own: exp() of a wild residual is no
forecast."""

TERMS: Mapping[str, Mapping[str, Any]] = {
    "garch": {"vol": "GARCH", "o": 0},
    "gjr-garch": {"vol": "GARCH", "o": 1},
    "egarch": {"vol": "EGARCH", "o": 1},
}
NAMES = {"alpha[1]": "alpha", "gamma[1]": "gamma", "beta[1]": "beta"}


class NoFit(WfbtError):
    """Training rows that a volatility model cannot be fitted on."""

    exit_code = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Garch:
    """A fitted GARCH or GJR-GARCH.

    Attributes
    ----------
    params : mapping
        mu omega alpha [gamma] beta, and what shapes the innovations: nu, or eta and lambda.
    bars : int
        How many rows ahead it looks.
    below : float
        E[z²·1{z < 0}]: a half where innovations are symmetric.
    backcast : float
        The variance before the first row, of training rows alone.
    loglikelihood : float
    notes : tuple of str
        What has to be known of the fit.
    """

    params: Mapping[str, float]
    bars: int
    below: float
    backcast: float
    loglikelihood: float
    notes: tuple[str, ...] = ()

    @property
    def persistence(self) -> float:
        """What is left of a shock after one row: α + γ·E[z²·1{z < 0}] + β."""
        return self.params["alpha"] + self.params.get("gamma", 0.0) * self.below + self.params["beta"]

    def one_step(self, returns: F8) -> F8:
        """(T,) variance of the next row, known with row t of `returns` (T,); NaN there is no observation."""
        from wfbt.kernels.variance import fill_garch

        p = self.params
        ahead = np.empty(len(returns))
        own = p["omega"], p["alpha"], p.get("gamma", 0.0), p["beta"], self.below, self.backcast
        fill_garch(ahead, np.ascontiguousarray(returns - p["mu"]), *own)
        return ahead

    def ahead(self, returns: F8) -> F8:
        """(T,) variance of the next `bars` rows together: Σ over k < bars of E[σ²[t+1+k]], in closed form.

        E[σ²[t+1+k]] = p·E[σ²[t+k]] + ω with the persistence p.  With p ≥ 1 it grows instead of returning to a mean.
        """
        slopes = self.persistence ** np.arange(self.bars)
        added = np.concatenate(([0.0], np.cumsum(slopes[:-1])))
        return np.asarray(slopes.sum() * self.one_step(returns) + self.params["omega"] * added.sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Egarch:
    """A fitted EGARCH; attributes as those of `Garch`.

    `innovations` are the training rows' own z, over which several steps ahead are expected: under Student's t no moment
    of exp(|z|) exists, so the fitted density cannot be asked.  `usual` is the variance of the training rows: what is
    RANGE times above or below it is not believed.
    """

    params: Mapping[str, float]
    bars: int
    backcast: float
    usual: float
    innovations: F8
    loglikelihood: float
    notes: tuple[str, ...] = ()

    def one_step(self, returns: F8) -> F8:
        """(T,) variance of the next row, known with row t of `returns` (T,); NaN there is no observation."""
        return np.exp(self._logs(returns))

    def _logs(self, returns: F8) -> F8:
        from wfbt.kernels.variance import fill_egarch

        p = self.params
        logs = np.empty(len(returns))
        own = p["omega"], p["alpha"], p["gamma"], p["beta"], np.log(self.backcast)
        bounds = np.log(self.usual / RANGE), np.log(self.usual * RANGE)
        fill_egarch(logs, np.ascontiguousarray(returns - p["mu"]), *own, *bounds)
        return logs

    def ahead(self, returns: F8) -> F8:
        """(T,) variance of the next `bars` rows together, in closed form.

        ln σ² is linear in its own past, so E[σ²[t+1+k]] = σ²[t+1]^(β^k) · Π over j < k of E[exp(β^j·(ω + g(z)))] with
        g(z) = α·(|z| − √(2/π)) + γ·z, each expectation a mean over `innovations`.
        """
        from wfbt.kernels.variance import MEAN_SIZE, fill_powers

        p = self.params
        z = self.innovations
        news = p["alpha"] * (np.abs(z) - MEAN_SIZE) + p["gamma"] * z
        slopes = p["beta"] ** np.arange(self.bars)
        constants = np.zeros(self.bars)
        for k in range(1, self.bars):
            constants[k] = constants[k - 1] + np.log(np.mean(np.exp(slopes[k - 1] * (p["omega"] + news))))
        total = np.empty(len(returns))
        fill_powers(total, self._logs(returns), constants, slopes)
        return total


def fit_garch(returns: F8, model: str, dist: str, bars: int) -> Garch | Egarch:
    """Fit `model` (garch, gjr-garch, egarch) with `dist` (normal, t, skewt) innovations on `returns` (N,), no NaN.

    Forecasts look `bars` rows ahead.  The rows are taken as one series, as they come.  NoFit says why there is no fit.
    The optimiser is that of the arch package, which likes returns of a size near 1: they are scaled by a power of ten.
    """
    check_returns(returns)
    from arch.univariate import arch_model

    scale = float(10.0 ** -np.floor(np.log10(returns.std())))
    law: Any = dist
    asked: Any = arch_model(scale * returns, mean="Constant", p=1, q=1, dist=law, rescale=False, **TERMS[model])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what arch warns of is asked for below
        found: Any = asked.fit(disp="off", show_warning=False)
    given = {NAMES.get(name, name): float(value) for name, value in found.params.items()}
    if found.convergence_flag != 0:
        raise NoFit(f"the likelihood of {model} with {dist} innovations was not brought to its maximum")
    if not all(np.isfinite(value) for value in given.values()):
        raise NoFit(f"the fit of {model} with {dist} innovations gave no finite parameters")
    squares = (returns - given["mu"] / scale) ** 2
    weights = MEMORY ** np.arange(min(BACKCAST, len(squares)))
    # Prices that stand still at first would be a variance of 0, of which an EGARCH has no logarithm.
    backcast = float((weights * squares[: len(weights)]).sum() / weights.sum()) or float(squares.mean())
    shape = {name: value for name, value in given.items() if name in ("nu", "eta", "lambda")}
    heavy = [f"{name} is at its bound" for name in ("nu", "eta") if given.get(name, 3.0) < 2.05 + BOUND]
    common: dict[str, Any] = {
        "bars": bars,
        "backcast": backcast,
        "loglikelihood": float(found.loglikelihood) + len(returns) * float(np.log(scale)),
    }
    if model == "egarch":
        params = {
            "mu": given["mu"] / scale,
            "omega": given["omega"] - 2.0 * float(np.log(scale)) * (1.0 - given["beta"]),
            **{name: given[name] for name in ("alpha", "gamma", "beta")},
            **shape,
        }
        lasting = ["beta is at its bound of 1: a shock never fades"] if given["beta"] >= 1.0 - BOUND else []
        return Egarch(
            params=params,
            usual=float(squares.mean()),
            innovations=np.asarray(found.std_resid, np.float64),
            notes=(*lasting, *heavy),
            **common,
        )
    fitted = Garch(
        params={
            "mu": given["mu"] / scale,
            "omega": given["omega"] / scale**2,
            **{name: given[name] for name in ("alpha", "gamma", "beta") if name in given},
            **shape,
        },
        below=float(asked.distribution.partial_moment(2, 0.0, np.array(list(shape.values())) if shape else None)),
        notes=tuple(heavy),
        **common,
    )
    if fitted.persistence < 1.0 - BOUND:
        return fitted
    # A lasting shock is no fault in a forecast of a day: the sum over a horizon stays finite.
    stays = "persistence is at its bound of 1: variance has no mean to return to"
    return replace(fitted, notes=(stays, *fitted.notes))


def check_returns(returns: F8) -> None:
    """NoFit on too few returns, on any that is no number, and on prices that stand still."""
    if len(returns) < FEWEST_RETURNS:
        raise NoFit(f"{len(returns)} training returns are fewer than {FEWEST_RETURNS}")
    if not np.isfinite(returns).all():
        raise NoFit(f"training return {int(np.flatnonzero(~np.isfinite(returns))[0])} is no number")
    if not returns.std() > 0.0:
        raise NoFit("the price did not move on the training rows")
