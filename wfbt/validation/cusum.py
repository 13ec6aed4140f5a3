"""Are live returns still those of the out-of-sample test?  A cumulative sum that is told when to worry, and how late.

Page's one-sided CUSUM (1954) for a fall of the mean, in deviations of the reference: S₀ = 0,
Sₜ = max(0, Sₜ₋₁ − zₜ − k) with zₜ = (rₜ − mean)/deviation and k = shift/2, alarm where Sₜ ≥ h.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.validation.drift import FEWEST_BLOCKS, block_of, widened
from wfbt.validation.robustness.resampled import stationary_rows

F8 = npt.NDArray[np.float64]

FEWEST = 60
"""Returns below which a reference says nothing of its mean and deviation."""
RESAMPLES = 999
PATIENCE = 10
"""Horizons that a shifted path is followed for, to see how late the alarm is."""
OVERSHOOT = 1.166
"""What Siegmund adds to the threshold, for a discrete sum of normals steps over it: 2·0.583."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cusum:
    """A monitor, fixed before the first live return.

    Attributes
    ----------
    mean, deviation : float
        Of the reference, per observation; deviation has ddof 1.
    shift : float
        Fall of the mean that it is built for, in deviations.
    threshold : float
        h, in deviations.
    false_alarm : float
        Chance of any alarm within `horizon` observations where nothing has changed.
    horizon : int
    detected : float
        Share of resamples in which a shift there from the start raises the alarm within `horizon`.
    delay : float or None
        Expected observations until it does; None where some never did within PATIENCE horizons.
    why_not : str
    block, resamples, n : int
        Mean length of a block; resamples; returns of the reference.
    """

    mean: float
    deviation: float
    shift: float
    threshold: float
    false_alarm: float
    horizon: int
    detected: float
    delay: float | None
    why_not: str
    block: int
    resamples: int
    n: int

    def watch(self, live: F8) -> Watched:
        """Follow (M,) live returns from the first one; M ≤ horizon, or the promise no longer holds."""
        live = _series(live, "live returns", 1)
        if len(live) > self.horizon:
            raise ConfigError(
                f"live returns: {len(live)} where the monitor promises its false alarms for {self.horizon}; "
                "design one with a longer horizon"
            )
        sums = falls((live - self.mean) / self.deviation, self.shift)
        over = np.flatnonzero(sums >= self.threshold)
        return Watched(sums=sums, alarm=int(over[0]) if len(over) else None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watched:
    """What a monitor saw.

    Attributes
    ----------
    sums : (M,) float64
        Sₜ, known with return t.
    alarm : int or None
        The first t with Sₜ ≥ threshold; None: no alarm so far.
    """

    sums: F8
    alarm: int | None


def design_cusum(
    reference: F8,
    shift: float,
    horizon: int,
    seed: np.random.SeedSequence,
    *,
    false_alarm: float = 0.05,
    resamples: int = RESAMPLES,
) -> Cusum:
    """Find the threshold that (n,) out-of-sample returns reach by themselves with chance `false_alarm` in `horizon`.

    Each resample draws a reference and a live path in blocks (stationary bootstrap, Politis and Romano 1994) and judges
    the one by the moments of the other, so that neither fat tails, autocorrelation nor the error of the reference's own
    mean are taken for a change.  Delays are those of the same paths lowered by `shift` deviations.
    """
    reference = _series(reference, "reference", FEWEST)
    deviation = float(np.std(reference, ddof=1))
    if not deviation > 1e-12 * float(np.max(np.abs(reference))):
        raise ConfigError("reference: returns do not vary, so there is no scale to judge a change by")
    for name, value in (("shift", shift), ("false_alarm", false_alarm)):
        if not (value > 0 and (name == "shift" or value < 1)):
            raise ConfigError(f"{name}: must be above 0{'' if name == 'shift' else ' and below 1'}, was {value}")
    if horizon < 1:
        raise ConfigError(f"horizon: must be at least 1 observation, was {horizon}")
    n = len(reference)
    block = block_of((reference - reference.mean()) / deviation)
    if n < FEWEST_BLOCKS * block:
        raise ConfigError(
            f"reference: {n} returns that lean on their own past for so long that {FEWEST_BLOCKS * block} are needed"
        )
    rng = np.random.default_rng(seed)
    top, delays = np.empty(resamples), np.full(resamples, np.inf)
    paths = []
    for number in range(resamples):
        before = reference[stationary_rows(n, block, rng)]
        if not np.std(before) > 1e-12 * float(np.max(np.abs(reference))):
            raise ConfigError(
                f"reference: only {int(np.count_nonzero(reference != np.median(reference)))} of {n} returns differ "
                "from the usual one, and draws of it do not vary at all; more days with returns are needed"
            )
        rows = [stationary_rows(n, block, rng) for _ in range(ceil(PATIENCE * horizon / n))]
        path = (reference[np.concatenate(rows)[: PATIENCE * horizon]] - before.mean()) / np.std(before, ddof=1)
        top[number] = falls(path[:horizon], shift).max()
        paths.append(path)
    rank = min(resamples - 1, ceil((1.0 - false_alarm) * (resamples + 1)) - 1)
    # A sum with an allowance reaches as high as the variance of its noise, so it is widened like a variance.
    threshold = float(np.nextafter(np.sort(top)[rank] * widened(n, block) ** 2, np.inf))
    for number, path in enumerate(paths):
        over = np.flatnonzero(falls(path - shift, shift) >= threshold)
        if len(over):
            delays[number] = over[0] + 1.0
    found = bool(np.isfinite(delays).all())
    missed = int(np.count_nonzero(np.isinf(delays)))
    return Cusum(
        mean=float(reference.mean()),
        deviation=deviation,
        shift=shift,
        threshold=threshold,
        false_alarm=false_alarm,
        horizon=horizon,
        detected=float(np.mean(delays <= horizon)),
        delay=float(delays.mean()) if found else None,
        why_not="" if found else f"{missed} of {resamples} shifted paths of {PATIENCE * horizon} raised no alarm",
        block=block,
        resamples=resamples,
        n=n,
    )


def falls(z: F8, shift: float) -> F8:
    """(T,) one-sided sums of standardised returns `z`: their running total above its own lowest so far, 0 included."""
    total = np.cumsum(-z - shift / 2.0)
    return np.asarray(total - np.minimum(np.minimum.accumulate(total), 0.0))


def run_length(threshold: float, allowance: float, shift: float) -> float:
    """Expected observations until the alarm of a one-sided CUSUM of independent normals of unit deviation.

    (e^(−2Δb) + 2Δb − 1)/(2Δ²) with Δ = shift − allowance and b = threshold + 1.166; b² where Δ = 0: Siegmund (1985).
    With `shift` 0 it is the time between false alarms.
    """
    gap, b = shift - allowance, threshold + OVERSHOOT
    if abs(gap * b) < 1e-6:
        return b * b
    return (exp(-2.0 * gap * b) + 2.0 * gap * b - 1.0) / (2.0 * gap * gap)


def _series(returns: F8, whose: str, fewest: int) -> F8:
    series = np.asarray(returns, np.float64)
    if series.ndim != 1 or len(series) < fewest:
        raise ConfigError(f"{whose}: at least {fewest} are needed, was given shape {series.shape}")
    if not np.isfinite(series).all():
        raise ConfigError(f"{whose}: number {int(np.argmin(np.isfinite(series)))} is missing; give finite ones only")
    return series
