"""A forecast of volatility as a fitted feature: a model per symbol, learnt from training rows, read forward frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.features.garch import Egarch, Garch, NoFit, fit_garch
from wfbt.features.har import Har, fit_har
from wfbt.features.learners import FitRows, Frames
from wfbt.features.volatility import trailing_sigma_volume

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Model = Garch | Egarch | Har

COLUMN = "volatility"
DAY = 86_400_000_000_000
TRAILING = "trailing"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VolatilityFit(FitRows):
    """What one symbol's model has learnt in one fold.

    Attributes
    ----------
    model : str
        The model in use: the one asked for, or "trailing" where it could not be fitted.
    params : mapping
        In units of the returns; empty for "trailing".
    loglikelihood : float or None
    returns : int
        Returns that the likelihood has seen.
    notes : tuple of str
        Why there is no fit, and what has to be known of one.
    """

    model: str
    params: Mapping[str, float]
    loglikelihood: float | None
    returns: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecasts:
    """A fitted `Volatility`: `models` by symbol, None where the trailing volatility serves instead."""

    asked: Volatility
    fits: tuple[VolatilityFit, ...]
    models: Mapping[str, Model | None]

    def columns(self, frames: Frames) -> dict[str, dict[str, F8]]:
        """`volatility` (T,) of each symbol: a year's, forecast for the next horizon, known at the close of row t."""
        return {symbol: {COLUMN: self.asked.annual(frame, self.models[symbol])} for symbol, frame in frames.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volatility:
    """A model of volatility before it has seen any bar.

    Attributes
    ----------
    model : str
        garch, gjr-garch, egarch or har.
    dist : str or None
        Innovations: normal, t or skewt; None for har.
    horizon, period : int
        Of the forecast and of a bar, ns.  The forecast is over whole bars, rounded up.
    days_a_year : float
        365 or 252.
    closes : mapping of symbol to (T,) int64
        Closes of all bars, ns UTC: they say which training rows follow on each other.
    """

    model: str
    dist: str | None
    horizon: int
    period: int
    days_a_year: float
    closes: Mapping[str, I8]
    _known: dict[tuple[str, bytes], tuple[VolatilityFit, Model | None]] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """The section of the strategy file."""
        return COLUMN

    @property
    def bars(self) -> int:
        """Bars of the horizon."""
        return max(1, -(-self.horizon // self.period))

    def fit(self, frames: Frames) -> Forecasts:
        """Fit every symbol on the rows of its frame, all of them training rows."""
        found = {symbol: self._fit_once(symbol, frame) for symbol, frame in frames.items()}
        return Forecasts(
            asked=self,
            fits=tuple(fit for fit, _ in found.values()),
            models={symbol: model for symbol, (_, model) in found.items()},
        )

    def annual(self, frame: pd.DataFrame, model: Model | None) -> F8:
        """(T,) volatility a year over the next horizon, by `model` or, of None, the trailing one."""
        close = frame["close"].to_numpy(np.float64)
        if model is None:
            sigma, _ = trailing_sigma_volume(close, frame["volume"].to_numpy(np.float64), self.period, self.horizon)
            return np.asarray(sigma * np.sqrt(self.days_a_year * DAY / self.horizon))
        total = model.ahead(bar_returns(close, times_of(frame), self.period))
        return np.sqrt(total / self.bars * (self.days_a_year * DAY / self.period))

    def _fit_once(self, symbol: str, frame: pd.DataFrame) -> tuple[VolatilityFit, Model | None]:
        """Sleeves that trade one symbol learn from the same rows: the same numbers are not asked for twice."""
        rows, close = times_of(frame), frame["close"].to_numpy(np.float64)
        place = symbol, hashlib.sha256(rows.tobytes() + close.tobytes()).digest()
        if place not in self._known:
            self._known[place] = self._fit_one(symbol, rows, close)
        return self._known[place]

    def _fit_one(self, symbol: str, rows: I8, close: F8) -> tuple[VolatilityFit, Model | None]:
        runs = self._runs(symbol, rows, close)
        returns = np.concatenate([np.zeros(0), *runs])
        model: Model | None = None
        notes: tuple[str, ...] = ()
        try:
            if self.model == "har":
                model = fit_har(runs, self.bars, self._windows(rows))
            else:
                assert self.dist is not None
                model = fit_garch(returns, self.model, self.dist, self.bars)
        except NoFit as error:
            notes = (f"{error}; the trailing volatility stands in",)
        if model is not None:
            joined = f"{len(runs)} blocks of training rows are laid end to end"
            notes = (*model.notes, joined) if len(runs) > 1 else model.notes
        fit = VolatilityFit(
            what=COLUMN,
            symbol=symbol,
            rows=rows,
            model=TRAILING if model is None else self.model,
            params={} if model is None else model.params,
            loglikelihood=None if model is None else model.loglikelihood,
            returns=len(returns),
            notes=notes,
        )
        return fit, model

    def _runs(self, symbol: str, rows: I8, close: F8) -> list[F8]:
        """Returns between training rows that are neighbours among all bars; one across a test block tells of it."""
        if not len(rows):
            return []
        returns = bar_returns(close, rows, self.period)
        joints = np.flatnonzero(np.diff(np.searchsorted(self.closes[symbol], rows)) > 1) + 1
        return [one[1:] for one in np.split(returns, joints) if len(one) > 1]

    def _windows(self, rows: I8) -> tuple[int, int, int]:
        """Rows of a day, a week and a month, by how many there are on a usual day."""
        days = (rows - 1) // DAY
        day = int(np.median(np.unique(days, return_counts=True)[1])) if len(rows) else 1
        week, month = (7, 30) if self.days_a_year == 365.0 else (5, 22)
        whole = self.period <= DAY
        return (day, week * day, month * day) if whole else (1, 1, 1)


def times_of(frame: pd.DataFrame) -> I8:
    """(T,) closes of the bars, ns UTC."""
    return pd.DatetimeIndex(frame.index).as_unit("ns").asi8


def bar_returns(close: F8, times: I8, period: int) -> F8:
    """(T,) logarithmic returns, known with row t, NaN at row 0.

    One that spans k bars, because those between are missing, is divided by √k: it is k bars' worth of variance.
    """
    returns = np.full(len(close), np.nan)
    spans = np.maximum(np.diff(times) / period, 1.0)
    returns[1:] = np.diff(np.log(close)) / np.sqrt(spans)
    return returns
