"""How good the folds' forecasts of volatility were on their test rows, against what came and against simpler ones.

Realised is the sum of squared logarithmic bar returns over the forecast's horizon, taken every horizon so that no two
overlap; all variances are a year's.  Only such a proxy of the true variance is seen, and QLIKE is one of the losses
that rank forecasts by it as the truth would (Patton 2011).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import DAY, HOUR
from wfbt.features.forecast import Volatility, VolatilityFit, times_of
from wfbt.features.indicators import atr
from wfbt.validation.sleeves import Portfolio, PortfolioWalk
from wfbt.validation.walk_forward import Study, WalkForward

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

FEWEST = 30
"""Horizons of which a forecast is judged."""

RANGE_OF_SIGMA = np.sqrt(8.0 / np.pi)
"""Expected range of a driftless Brownian motion of deviation 1 (Feller 1951): what turns an ATR into a deviation."""

REALISED = "sum of squared log returns of bar closes over each horizon, horizons not overlapping, annualised"


def qlike(realised: F8, forecast: F8) -> float:
    """Mean of v/f − ln(v/f) − 1, v (N,) realised and f (N,) forecast variance, both > 0: 0 where all are equal.

    Patton (2011), equation 24 with b = −2, up to terms of v alone.  Too low a forecast costs more than too high a one.
    """
    ratio = realised / forecast
    return float(np.mean(ratio - np.log(ratio) - 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Realised = α + β·forecast + error, least squares (Mincer and Zarnowitz 1969).

    Attributes
    ----------
    alpha, beta, r2 : float
    p : float or None
        Of α = 0 and β = 1 together: Wald test, errors robust to heteroskedasticity and autocorrelation (Newey and West
        1987) over `lags`.  None where nothing is left to explain.
    lags : int
        ⌊4·(n/100)^(2/9)⌋.
    """

    alpha: float
    beta: float
    r2: float
    p: float | None
    lags: int


def mincer_zarnowitz(realised: F8, forecast: F8) -> Calibration | None:
    """Regress (N,) realised on (N,) forecast variance; None where the forecast never moves."""
    from statsmodels.regression.linear_model import OLS

    if np.ptp(forecast) <= 1e-12 * np.abs(forecast).max():
        return None
    lags = int(4 * (len(forecast) / 100) ** (2 / 9))
    # In units of the mean forecast, so that no small number is taken for none.
    size = float(np.mean(forecast))
    design = np.column_stack([np.ones(len(forecast)), forecast / size])
    found = OLS(realised / size, design).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    exact = float(np.abs(found.resid).max()) < 1e-12
    p = None if exact else float(found.wald_test((np.eye(2), np.array([0.0, 1.0])), use_f=False, scalar=True).pvalue)
    alpha, beta = found.params
    return Calibration(alpha=float(alpha) * size, beta=float(beta), r2=float(found.rsquared), p=p, lags=lags)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sampled:
    """Variances a year of one symbol over N horizons that do not overlap, by the time they were forecast at.

    Attributes
    ----------
    ts : (N,) int64
        Closes at which the forecasts were known, ns UTC.
    realised, model, atr, trailing : (N,) float64
    still : int
        Horizons left out because nothing moved in them.
    """

    ts: I8
    realised: F8
    model: F8
    atr: F8
    trailing: F8
    still: int


def sampled(
    frame: pd.DataFrame, forecast: F8, blocks: Sequence[tuple[int, int]], asked: Volatility, length: int
) -> Sampled:
    """What came of `forecast` (T,), a volatility a year, on the rows of `frame` that close within `blocks`.

    Each of `blocks` is the first and the last close, ns; `length` are the bars of the ATR.
    """
    times, bars = times_of(frame), asked.bars
    high, low, close = (frame[name].to_numpy(np.float64) for name in ("high", "low", "close"))
    squares = np.append(0.0, np.diff(np.log(close)) ** 2)
    total = np.cumsum(squares)
    borders = [(int(np.searchsorted(times, first)), int(np.searchsorted(times, last + 1))) for first, last in blocks]
    at = np.concatenate([np.zeros(0, np.int64), *(np.arange(begin, stop, bars) for begin, stop in borders)])
    at = at[at + bars < len(times)]
    year = asked.days_a_year * DAY / asked.period
    realised = (total[at + bars] - total[at]) / bars * year
    columns = {
        "realised": realised,
        "model": forecast[at] ** 2,
        "atr": (atr(high, low, close, length) / close / RANGE_OF_SIGMA)[at] ** 2 * year,
        "trailing": asked.annual(frame, None)[at] ** 2,
    }
    moved = realised > 0
    good = moved & np.logical_and.reduce([np.isfinite(one) & (one > 0) for one in columns.values()])
    return Sampled(ts=times[at][good], still=int((~moved).sum()), **{name: one[good] for name, one in columns.items()})


def forecast_quality(study: Study | Portfolio, walk: WalkForward, length: int) -> dict[str, Any] | None:
    """The `volatility` of result.json, by symbol; None where no model of it was fitted."""
    out: dict[str, Any] = {}
    for own, walked in _studies(study, walk):
        asked = next((one for one in own.learners if isinstance(one, Volatility)), None)
        if asked is None:
            continue
        for symbol, frame in own.frames.items():
            if symbol not in out:
                out[symbol] = _of_symbol(symbol, frame, own, walked, asked, length)
    return out or None


def fit_notes(walk: WalkForward) -> list[str]:
    """What has to be known of the fits, the folds it holds for by number."""
    found: dict[tuple[str, str], list[int]] = {}
    for one in walk.folds:
        for fit in one.fits:
            if isinstance(fit, VolatilityFit):
                for note in fit.notes:
                    folds = found.setdefault((fit.symbol, note), [])
                    if one.fold.index + 1 not in folds:
                        folds.append(one.fold.index + 1)
    return [
        f"volatility: {symbol}, fold{'s' if len(folds) > 1 else ''} {', '.join(str(fold) for fold in folds)}: {note}"
        for (symbol, note), folds in found.items()
    ]


def _studies(study: Study | Portfolio, walk: WalkForward) -> list[tuple[Study, WalkForward]]:
    if isinstance(study, Study):
        return [(study, walk)]
    assert isinstance(walk, PortfolioWalk)
    return [(member.study, walk.alone[member.name]) for member in study.members]


def _of_symbol(
    symbol: str, frame: pd.DataFrame, study: Study, walk: WalkForward, asked: Volatility, length: int
) -> dict[str, Any]:
    close = study.deck.close_ts
    parts = []
    for one, view in zip(walk.folds, walk.views, strict=True):
        assert view.forecast is not None
        blocks = [(int(close[block.start]), int(close[block.stop - 1])) for block in one.fold.test]
        parts.append(sampled(frame, view.forecast[symbol], blocks, asked, length))
    fits = [(one.fold.index + 1, fit) for one in walk.folds for fit in one.fits if _is(fit, symbol)]
    judged = {name: np.concatenate([getattr(one, name) for one in parts]) for name in ("realised", *_RIVALS)}
    ts = np.concatenate([one.ts for one in parts])
    n, reasons = len(ts), {}
    losses: Mapping[str, float] | None = None
    calibration: dict[str, Any] | None = None
    if n < FEWEST:
        why = f"{n} horizons of {asked.horizon / HOUR:g} h were forecast out of sample, fewer than {FEWEST}"
        reasons = dict.fromkeys(("qlike", "mz"), why)
    else:
        losses = {name: qlike(judged["realised"], judged[name]) for name in _RIVALS}
        fitted = mincer_zarnowitz(judged["realised"], judged["model"])
        if fitted is None:
            reasons["mz"] = "the forecast never moves"
        else:
            calibration = {name: getattr(fitted, name) for name in fitted.__slots__}
            exact = {"p": "nothing is left to explain"} if fitted.p is None else {}
            calibration["reasons"] = exact
    return {
        "model": asked.model,
        "dist": asked.dist,
        "horizon_hours": asked.horizon / HOUR,
        "folds": [_told(index, fit) for index, fit in fits],
        "realised": REALISED,
        "n": n,
        "still": sum(one.still for one in parts),
        "qlike": losses,
        "mz": calibration,
        "series": {
            "ts": [pd.Timestamp(int(one), tz="UTC").isoformat().replace("+00:00", "Z") for one in ts],
            "forecast": np.sqrt(judged["model"]).tolist(),
            "realised": np.sqrt(judged["realised"]).tolist(),
        },
        "reasons": reasons | ({} if asked.dist else {"dist": "har is fitted by least squares"}),
    }


_RIVALS = ("model", "atr", "trailing")


def _is(fit: object, symbol: str) -> bool:
    return isinstance(fit, VolatilityFit) and fit.symbol == symbol


def _told(index: int, fit: Any) -> dict[str, Any]:
    missing = {} if fit.loglikelihood is not None else {"loglikelihood": "nothing was fitted by likelihood"}
    return {
        "index": index,
        "model": fit.model,
        "params": dict(fit.params),
        "returns": fit.returns,
        "loglikelihood": fit.loglikelihood,
        "notes": list(fit.notes),
        "reasons": missing,
    }
