"""How deep simulated paths fall and how long they take to climb out, paths that never did included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FEWEST_PATHS = 30
PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0)
FEWEST_KNOWN = 10
"""Paths that came back by the median recovery, and that were still under water then, below which there is none.

The end of a survival curve is made of whoever is left: with two under water at day 272, one return halves it.
"""
ROUNDING = 1e-12
"""Of a survival estimate: 1 − 1/3 − 1/6 is to count as one half."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KaplanMeier:
    """The product-limit estimate of P(T > t) from durations of which some were cut off.

    Attributes
    ----------
    times : (K,) float64
        Distinct times at which something happened, increasing.
    survival, standard_error : (K,) float64
        P(T > t) just after each, and its Greenwood error; 0 where nothing survives.
    at_risk, events : (K,) int64
        Durations not over before each time, and those that ended there.
    n, censored : int
        All durations, and those that were cut off.
    """

    times: F8
    survival: F8
    standard_error: F8
    at_risk: I8
    events: I8
    n: int
    censored: int

    def quantile(self, share: float) -> float | None:
        """The first time by which at least `share` of the durations are over; None where they were cut off before."""
        if not 0.0 < share < 1.0:
            raise ConfigError(f"share must be in (0, 1), was {share}")
        over = np.flatnonzero(self.survival <= 1.0 - share + ROUNDING)
        return float(self.times[over[0]]) if len(over) else None


def kaplan_meier(durations: npt.ArrayLike, observed: npt.ArrayLike) -> KaplanMeier:
    """Estimate from (n,) durations ≥ 0 and (n,) bool, False where a duration was cut off (Kaplan & Meier 1958).

    What is cut off at t was still at risk at t.  It is taken to be like the rest: that its end was cut off must say
    nothing about when it would have come.
    """
    durations, observed = np.asarray(durations, np.float64), np.asarray(observed, np.bool_)
    if durations.ndim != 1 or durations.shape != observed.shape:
        raise ConfigError(f"durations and observed must be of one shape (n,), were {durations.shape}, {observed.shape}")
    if not (np.isfinite(durations).all() and (durations >= 0.0).all()):
        raise ConfigError("durations must be finite and >= 0")
    n = len(durations)
    times, counts = np.unique(durations[observed], return_counts=True)
    events = counts.astype(np.int64)
    at_risk = (n - np.searchsorted(np.sort(durations), times, side="left")).astype(np.int64)
    survival = np.cumprod(1.0 - events / at_risk, dtype=np.float64)
    left = at_risk - events
    variance = np.cumsum(np.where(left > 0, events / (at_risk * np.maximum(left, 1)), 0.0))
    return KaplanMeier(
        times=times,
        survival=survival,
        standard_error=survival * np.sqrt(variance),
        at_risk=at_risk,
        events=events,
        n=n,
        censored=n - int(events.sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawdowns:
    """The largest drawdown of each path.

    Attributes
    ----------
    depth : (P,) float64
        Positive fraction of the peak.
    recovery : (P,) float64
        Periods from its trough until the peak was regained, or until the path ended.
    recovered : (P,) bool
        False: the path ended first.
    """

    depth: F8
    recovery: F8
    recovered: Flags

    def __post_init__(self) -> None:
        if not self.depth.shape == self.recovery.shape == self.recovered.shape == (len(self.depth),):
            raise ConfigError(
                "depth, recovery and recovered must be of one shape (paths,), were "
                f"{self.depth.shape}, {self.recovery.shape}, {self.recovered.shape}"
            )
        if not (np.isfinite(self.depth).all() and (self.depth >= 0.0).all()):
            raise ConfigError("depths of drawdowns must be finite and >= 0")


def largest_drawdowns(equity: npt.ArrayLike) -> Drawdowns:
    """Measure (P, S + 1) equity: the start, then S period closes.  The first of equally deep troughs counts."""
    equity = np.asarray(equity, np.float64)
    if equity.ndim != 2 or equity.shape[1] < 1 or not np.isfinite(equity).all() or not (equity[:, 0] > 0.0).all():
        raise ConfigError(f"equity must be finite, of shape (paths, steps + 1) and start above 0, was {equity.shape}")
    peak = np.maximum.accumulate(equity, axis=1)
    fall = 1.0 - equity / peak
    trough = np.argmax(fall, axis=1)
    rows = np.arange(len(equity))
    back = (equity >= peak[rows, trough][:, None]) & (np.arange(equity.shape[1]) >= trough[:, None])
    recovered = back.any(axis=1)
    until = np.where(recovered, np.argmax(back, axis=1), equity.shape[1] - 1)
    return Drawdowns(depth=fall[rows, trough], recovery=(until - trough).astype(np.float64), recovered=recovered)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawdownPercentile:
    """One row of the drawdown table.

    Attributes
    ----------
    percentile : float
        Of the paths' largest drawdowns, in percent.
    depth : float or None
        Positive fraction of the peak, one that was observed: no interpolation makes it milder.
    recovery : float or None
        Median periods from trough to peak regained, among the paths at least that deep (Kaplan–Meier); None where
        fewer than FEWEST_KNOWN had come back by then, or were still under water.
    paths, recovered : int
        Paths at least that deep, and those that regained their peak before they ended.
    reason : str
        Why a number is None.
    """

    percentile: float
    depth: float | None
    recovery: float | None
    paths: int
    recovered: int
    reason: str = ""


def drawdown_percentiles(
    drawdowns: Drawdowns, percentiles: Sequence[float] = PERCENTILES
) -> tuple[DrawdownPercentile, ...]:
    """The depth that so many percent of the paths stay within, and the median recovery from at least that depth.

    The trough of a path is the deepest point of its horizon, so a late trough has little time to recover and counts as
    cut off, not as never: dropping it would shorten the median.
    """
    n = len(drawdowns.depth)
    rows = []
    for percentile in percentiles:
        if not 0.0 < percentile < 100.0:
            raise ConfigError(f"percentiles must be in (0, 100), one was {percentile}")
        beyond = n * (100.0 - percentile) / 100.0
        if n < FEWEST_PATHS or round(beyond, 9) < 1.0:
            why = f"{n} paths; a percentile of {percentile:g} needs at least {fewest_paths(percentile)}"
            rows.append(
                DrawdownPercentile(percentile=percentile, depth=None, recovery=None, paths=0, recovered=0, reason=why)
            )
            continue
        depth = float(np.quantile(drawdowns.depth, percentile / 100.0, method="higher"))
        deep = drawdowns.depth >= depth
        durations = kaplan_meier(drawdowns.recovery[deep], drawdowns.recovered[deep])
        recovery, why = _median(durations)
        rows.append(
            DrawdownPercentile(
                percentile=percentile,
                depth=depth,
                recovery=recovery,
                paths=durations.n,
                recovered=durations.n - durations.censored,
                reason=why,
            )
        )
    return tuple(rows)


def _median(durations: KaplanMeier) -> tuple[float | None, str]:
    """The median of recoveries that enough paths tell of, or why there is none."""
    median = durations.quantile(0.5)
    if median is None:
        return None, "fewer than half regained their peak before the paths ended"
    place = int(np.searchsorted(durations.times, median))
    back, left = int(durations.events[: place + 1].sum()), int(durations.at_risk[place])
    if back >= FEWEST_KNOWN and left >= FEWEST_KNOWN:
        return median, ""
    return None, (
        f"{back} of {durations.n} paths had regained their peak by the median, with {left} still under water just "
        f"before; at least {FEWEST_KNOWN} of each are needed"
    )


def fewest_paths(percentile: float) -> int:
    """Paths below which a percentile is not shown: 30, and enough for one path beyond it."""
    return max(FEWEST_PATHS, int(np.ceil(round(100.0 / (100.0 - percentile), 9))))
