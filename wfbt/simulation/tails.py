"""Value at risk and expected shortfall of one day by every method, and how the forecasts of VaR did out of sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.risk.exceedances import Likelihood, backtest_var, rolling_var
from wfbt.risk.tail import (
    TailRisk,
    cornish_fisher_tail,
    filtered_tail,
    historical_tail,
    normal_tail,
    pareto_tail,
    student_tail,
)

F8 = npt.NDArray[np.float64]

LEVELS = (0.95, 0.99)
WINDOW = 250
"""Days before each from which its VaR is forecast: about a year of trading."""
MEMORY = 0.94
"""Of the exponential average of squares that forecasts a day's volatility (RiskMetrics 1996)."""
TWO = 2.0
"""Below so many degrees of freedom a t has no deviation."""


def tails_told(returns: F8) -> dict[str, list[dict[str, Any]]]:
    """Every method at each level, of (D,) daily returns that vary."""
    sigma, ahead = exponential_volatility(returns)
    nu, centre, scale = _student(returns)
    found: dict[str, list[dict[str, Any]]] = {}
    for level in LEVELS:
        rows = [
            historical_tail(returns, level),
            _filtered(returns, sigma, ahead, level),
            cornish_fisher_tail(returns, level),
            pareto_tail(returns, level),
            normal_tail(level, float(returns.mean()), float(returns.std(ddof=1))),
        ]
        if nu > TWO:
            rows.append(student_tail(level, nu, centre, scale * sqrt(nu / (nu - 2.0))))
        else:
            why = f"the likeliest t has {nu:.2f} degrees of freedom, and below {TWO:g} it has no deviation"
            rows.append(TailRisk(method="student", level=level, n=None, var=None, es=None, reason=why))
        found[f"{level:g}"] = [_row(one) for one in rows]
    return found


def backtests_told(returns: F8) -> list[dict[str, Any]]:
    """Historical and filtered VaR, forecast each day from the days before it, against what came."""
    sigma, _ = exponential_volatility(returns)
    known = int(np.argmax(sigma > 0.0)) if (sigma > 0.0).any() else len(returns)
    rows = []
    for level in LEVELS:
        for method in ("historical", "filtered"):
            own = returns if method == "historical" else returns[known:]
            if method == "filtered" and not (sigma[known:] > 0.0).all():
                own = own[:0]
            forecast = rolling_var(own, level, WINDOW, None if method == "historical" else sigma[known:][: len(own)])
            found = backtest_var(own, forecast, level)
            told = asdict(found) | {"method": method, "window": WINDOW}
            for name in ("coverage", "independence", "conditional"):
                one: Likelihood | None = getattr(found, name)
                told[name] = None if one is None else asdict(one)
            told["reasons"] = dict(found.reasons)
            rows.append(told)
    return rows


def exponential_volatility(returns: F8) -> tuple[F8, float]:
    """(D,) volatility forecast for each day from those before it, 0 while nothing has moved, and that for the next."""
    from scipy.signal import lfilter

    averaged = np.asarray(lfilter([1.0 - MEMORY], [1.0, -MEMORY], returns**2), np.float64)
    # The average of n squares has had 1 − λⁿ of the weight.
    weight = 1.0 - MEMORY ** np.arange(1, len(returns) + 1)
    deviation = np.sqrt(averaged / weight)
    return np.concatenate(([0.0], deviation[:-1])), float(deviation[-1])


def _filtered(returns: F8, sigma: F8, ahead: float, level: float) -> TailRisk:
    known = int(np.argmax(sigma > 0.0))
    if not ahead > 0.0 or not (sigma[known:] > 0.0).all():
        why = "the account stood still so long that its forecast volatility is 0"
        return TailRisk(method="filtered", level=level, n=len(returns), var=None, es=None, reason=why)
    return filtered_tail(returns[known:], sigma[known:], ahead, level)


def _student(returns: F8) -> tuple[float, float, float]:
    """Degrees of freedom, centre and scale of greatest likelihood."""
    from scipy.stats import t

    unit = float(returns.std(ddof=1))
    with np.errstate(all="ignore"):
        nu, centre, scale = (float(value) for value in t.fit(returns / unit))
    return nu, centre * unit, scale * unit


def _row(one: TailRisk) -> dict[str, Any]:
    parameters: Mapping[str, float] = one.parameters
    told = {
        "method": one.method,
        "n": one.n,
        "var": one.var,
        "es": one.es,
        "parameters": dict(parameters),
    }
    reasons = {name: one.reason for name in ("var", "es") if told[name] is None}
    if one.n is None:
        reasons["n"] = "a law of known shape, fitted to all of them"
    return told | {"reasons": reasons}
