"""The five levels, fitted on the training rows of the last fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isinf
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.config.monte_carlo import Labels
from wfbt.data.market import Market, Series
from wfbt.errors import ConfigError, WfbtError
from wfbt.features.forecast import Forecasts
from wfbt.features.garch import Garch, fit_garch
from wfbt.features.learners import training_frames
from wfbt.features.market_regimes import MARKET, RegimeLearner, RegimePlan, clock_of, most_probable
from wfbt.policy.frames import market_frames
from wfbt.risk.history import History, labels_at_open
from wfbt.risk.monte_carlo import Brownian, CorrelatedGarch, FilteredGarch, LabelledHistory, Model, RegimeSwitching
from wfbt.simulation.asked import Asked

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

NAMES: Mapping[int, str] = {
    1: "geometric Brownian motion",
    2: "market regimes",
    3: "GARCH with filtered residuals",
    4: "correlated symbols with joint tails",
    5: "the history itself, by labels",
}

PART = 0.25
"""Of the training rows, that half of a shock to the variance may last at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """One level.

    Attributes
    ----------
    level : int
    model : Model or None
        None where there is no fit.
    parameters : mapping
        What was estimated, per bar unless it is named otherwise; of several symbols a list in their order.
    notes : tuple of str
    why_not : str
    """

    level: int
    model: Model | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    why_not: str = ""


def fit_levels(
    levels: tuple[int, ...], asked: Asked, history: History, plan: RegimePlan | None, labels: Labels | None
) -> tuple[Fit, ...]:
    """Each of `levels`; what cannot be fitted says why and is no error."""
    third: Fit | None = None
    found = []
    for level in levels:
        try:
            if level == 1:
                found.append(_brownian(history))
            elif level == 2:
                found.append(_regimes(asked, history, plan))
            elif level == 5:
                found.append(_labelled(asked.ran.market, history, labels))
            elif level == 4 and len(history.symbols) < 2:
                found.append(Fit(level=4, why_not="one symbol: level 4 is level 3"))
            else:
                third = third or _garch(asked, history)
                found.append(third if level == 3 else _correlated(third))
        except WfbtError as error:
            found.append(Fit(level=level, why_not=str(error)))
    return tuple(found)


def check_labels(labels: Labels | None, market: Market) -> None:
    """ConfigError where the labels name no column that there is."""
    if labels is not None:
        _labelling(labels, market)


def _brownian(history: History) -> Fit:
    model = Brownian.fit(history)
    deviation = np.sqrt(np.diag(model.covariance))
    told = {"mean": model.mean.tolist(), "deviation": deviation.tolist()}
    if len(history.symbols) > 1:
        told["correlation"] = (model.covariance / np.outer(deviation, deviation)).tolist()
    return Fit(level=1, model=model, parameters=told)


def _regimes(asked: Asked, history: History, plan: RegimePlan | None) -> Fit:
    if plan is None:
        return Fit(level=2, why_not="the strategy's regimes section is null")
    # One chain moves all symbols together, as one account holds them.
    notes = () if plan.of == "market" else ("all symbols follow the regimes of their mean return, not each its own",)
    frames = market_frames(asked.ran.market)
    learner = RegimeLearner(plan=replace(plan, of="market"), clock=clock_of(frames))
    fitted = learner.fit(training_frames(frames, asked.train))
    for rows in fitted.fits:
        rows.check(asked.train)
    found = fitted.found[MARKET]
    if found.regimes is None or found.regimes.fitted is None:
        return Fit(level=2, why_not=f"no regimes could be told apart: {'; '.join(found.notes)}")
    chain, names = found.regimes.fitted, found.regimes.names
    clock, weights = fitted.paths(frames)[MARKET]
    own = np.stack([weights[:, plan.names.index(name)] for name in names], axis=1)
    at = np.searchsorted(clock, history.close_ts)
    state = most_probable(own)[at]
    start = own[at[-1]] @ chain.transition
    model = RegimeSwitching.fit(
        history, np.where(np.isnan(state), -1, state).astype(np.int64), chain.transition, start / start.sum()
    )
    told: dict[str, Any] = {
        "states": list(names),
        "start": model.start.tolist(),
        "transition": model.transition.tolist(),
        "stay": np.asarray(chain.stay).tolist(),
        "mean": model.mean.tolist(),
        "deviation": np.sqrt(np.diagonal(model.covariance, axis1=1, axis2=2)).tolist(),
    }
    if any(isinf(bars) for bars in told["stay"]):
        told["stay"] = [None if isinf(bars) else bars for bars in told["stay"]]
        told["reasons"] = {"stay": "the training rows never leave such a state"}
    return Fit(level=2, model=model, parameters=told, notes=(*notes, *fitted.fits[0].notes))


def _garch(asked: Asked, history: History) -> Fit:
    known: dict[str, Any] = {}
    for sleeve in asked.sleeves:
        for one in sleeve.learnt:
            if isinstance(one, Forecasts):
                known |= {symbol: model for symbol, model in one.models.items() if isinstance(model, Garch)}
    columns, ahead, notes = [], [], []
    for a, symbol in enumerate(history.symbols):
        returns = history.returns[:, a]
        model = known.get(symbol)
        if model is None:
            model = _own_garch(returns, "gjr-garch")
            if model.params["alpha"] + model.params["gamma"] < 0.0:
                model = _own_garch(returns, "garch")  # a fall would make a variance negative
            kind = "gjr-garch" if "gamma" in model.params else "garch"
            notes.append(f"{symbol}: a {kind} with t innovations was fitted for this level")
        else:
            notes.append(f"{symbol}: the model of the volatility section, as the last fold has fitted it")
        notes += [f"{symbol}: {note}" for note in model.notes]
        ahead.append(model.one_step(returns))
        own = {name: model.params.get(name, 0.0) for name in ("mu", "omega", "alpha", "gamma", "beta")}
        own, lasting = believable(own, returns, ahead[-1])
        columns.append(own)
        notes += [f"{symbol}: {lasting}"] if lasting else []
    params = {name: np.array([one[name] for one in columns]) for name in columns[0]}
    fitted = FilteredGarch.fit(history, params, np.stack(ahead, axis=1))
    told = {name: values.tolist() for name, values in params.items()}
    told |= {
        "mean": fitted.mean.tolist(),
        "persistence": fitted.persistence.tolist(),
        "deviation_at_start": np.sqrt(fitted.variance).tolist(),
        "largest_residual": np.abs(fitted.residuals).max(axis=0).tolist(),
    }
    return Fit(level=3, model=fitted, parameters=told, notes=tuple(notes))


def _own_garch(returns: F8, model: str) -> Garch:
    made = fit_garch(returns, model, "t", 1)
    assert isinstance(made, Garch)
    return made


def believable(params: Mapping[str, float], returns: F8, ahead: F8) -> tuple[dict[str, float], str]:
    """`params` whose shocks fade within the training rows, and what had to be changed for it; empty where nothing had.

    Of returns (T,), whose variance a row later is `ahead` (T,).  No rows tell of a half-life that is longer than a part
    of them, and with shocks that never fade paths have no variance in the long run.  α, γ and β then shrink together
    until half a shock is gone after a fourth of the rows, and ω gives the rows' own variance in the long run: variance
    targeting (Engle and Mezrich 1996).
    """
    z = (returns[1:] - params["mu"]) / np.sqrt(ahead[:-1])
    z = (z - z.mean()) / z.std()
    falling = float(np.mean(z**2 * (z < 0.0)))
    found = params["alpha"] + params["gamma"] * falling + params["beta"]
    most = 0.5 ** (1.0 / (PART * len(returns)))
    if found <= most:
        return dict(params), ""
    shrunk = {name: params[name] * most / found for name in ("alpha", "gamma", "beta")}
    omega = (1.0 - most) * float(np.mean((returns - returns.mean()) ** 2))
    rows = round(PART * len(returns))
    why = (
        f"half of a shock would last longer than {rows:,} bars, a fourth of the training rows (persistence "
        f"{found:.5f}); taken as {most:.5f}, around the variance of the training rows"
    )
    return dict(params) | shrunk | {"omega": omega}, why


def _correlated(third: Fit) -> Fit:
    if third.model is None:
        return Fit(level=4, why_not=third.why_not)
    assert isinstance(third.model, FilteredGarch)
    model = CorrelatedGarch.fit(third.model)
    correlation = model.loadings @ model.loadings.T
    np.fill_diagonal(correlation, 1.0)
    told = {
        **third.parameters,
        "factors": model.loadings.shape[1],
        "loadings": model.loadings.tolist(),
        "correlation": correlation.tolist(),
        "degrees_of_freedom": None if isinf(model.nu) else float(model.nu),
    }
    if isinf(model.nu):
        told["reasons"] = {"degrees_of_freedom": "a normal copula is likelier than a t with any"}
    return Fit(level=4, model=model, parameters=told, notes=third.notes)


def _labelled(market: Market, history: History, labels: Labels | None) -> Fit:
    given: I8 | None = None
    told: dict[str, Any] = {}
    notes: tuple[str, ...] = (
        "no labels are given (monte_carlo.labels): rows are drawn in blocks, whatever was published then",
    )
    if labels is not None:
        series, column = _labelling(labels, market)
        given = labels_at_open(series, column, history.close_ts - market.period, np.array(labels.cuts))
        seen, counts = np.unique(given, return_counts=True)
        notes = ()
        told = {
            "series": labels.series,
            "column": column,
            "cuts": list(labels.cuts),
            "rows_by_label": {("unknown" if not k else f"{k}"): int(n) for k, n in zip(seen, counts, strict=True)},
        }
        if len(seen) < 2:
            notes = (f"every training row has one label of {labels.series}, so this is the history without labels",)
    model = LabelledHistory.fit(history, given)
    return Fit(level=5, model=model, parameters=told | {"block": model.block}, notes=notes)


def _labelling(labels: Labels, market: Market) -> tuple[Series, str]:
    """The series that labels rows, and its column."""
    series = next(one for one in market.series if one.name == labels.series)
    column = labels.column
    if column is None and len(series.columns) > 1:
        raise ConfigError(
            f"monte_carlo.labels.column must name one of {', '.join(series.columns)}: {series.name} has several"
        )
    column = column or series.columns[0]
    if column not in series.columns:
        raise ConfigError(
            f"monte_carlo.labels.column must be a column of {series.name} ({', '.join(series.columns)}), was {column!r}"
        )
    return series, column
