"""Does the best of many candidates beat a benchmark, or is it the luck of having tried many?

Hansen's test of superior predictive ability (2005), White's reality check (2000) and Romano and Wolf's stepwise test
(2005, with Hansen's critical values), all on resamples of the stationary bootstrap (Politis and Romano 1994): whole
rows are drawn, so candidates stay as alike as they are, in blocks, so days stay in their weather.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.kernels.resampling import stationary_mean
from wfbt.ledger.blocks import block_length

F8 = npt.NDArray[np.float64]

FEWEST = 30
RESAMPLES = 1000
STILL = 1e-12
"""A candidate whose variance about the benchmark is below this share of its mean square is the benchmark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Superior:
    """p-values of "no candidate is better than the benchmark".

    With B resamples the least is 1/(B + 1): what no resample reached is rare, not impossible.

    Attributes
    ----------
    lower, p, upper : float
        Hansen's test, studentised.  `p` is the consistent one, which disregards candidates too poor to matter and is
        meant where one number is asked for; `lower` takes every poor candidate for as poor as it was and errs in favour
        of the best, `upper` takes all for as good as the benchmark and errs against it.
    reality_check : float
        White's: not studentised, all candidates as good as the benchmark.
    better : tuple of int
        Candidates that beat the benchmark: with probability 1 − `size` no worthless one is among them.
    best : int
        The candidate with the largest studentised mean.
    candidates, same, n : int
        How many were given, how many of them never differed from the benchmark, and observations.
    block : int
        Mean length of a block.
    resamples : int
    size : float
    """

    lower: float
    p: float
    upper: float
    reality_check: float
    better: tuple[int, ...]
    best: int
    candidates: int
    same: int
    n: int
    block: int
    resamples: int
    size: float


def superior(
    returns: F8,
    benchmark: F8 | None,
    seed: np.random.SeedSequence,
    *,
    resamples: int = RESAMPLES,
    size: float = 0.05,
    block: int | None = None,
) -> Superior:
    """Test (T, N) `returns` of N candidates against those of a benchmark, (T,), or against cash (None).

    The gain of a candidate is its return less the benchmark's.  `block` is the mean length of a block; None takes the
    median of the candidates' optimal lengths (Politis and White 2004, Patton, Politis and White 2009).

    Ours and not arch's, which leaves the statistics unstudentised whatever its option of that name says, draws anew for
    each test and takes five times as long; given studentised gains and the same draws it finds the same.
    """
    gains, varied = _gains(returns, benchmark)
    if block is None:
        block = block_length(gains)
    deviation = long_run_deviation(gains, block)
    scaled = gains / deviation
    mean = scaled.mean(axis=0)
    resampled = resampled_means(scaled, block, resamples, seed)
    # What is left of each candidate's mean under "no better than the benchmark".
    relevant = np.where(mean >= -sqrt(2.0 * log(log(len(gains))) / len(gains)), mean, 0.0)
    consistent = resampled - relevant
    return Superior(
        lower=_p(mean, resampled - np.maximum(mean, 0.0)),
        p=_p(mean, consistent),
        upper=_p(mean, resampled - mean),
        reality_check=_p(mean * deviation, (resampled - mean) * deviation),
        better=tuple(int(varied[one]) for one in stepwise(mean, consistent, size)),
        best=int(varied[np.argmax(mean)]),
        candidates=np.shape(returns)[1],
        same=np.shape(returns)[1] - len(varied),
        n=len(gains),
        block=block,
        resamples=resamples,
        size=size,
    )


def resampled_means(values: F8, block: int, resamples: int, seed: np.random.SeedSequence) -> F8:
    """(B, N) means of resamples of the rows of (T, N) by the stationary bootstrap, blocks of mean length `block`."""
    values = np.ascontiguousarray(values, np.float64)
    rng = np.random.default_rng(seed)
    length = len(values)
    means = np.empty((resamples, values.shape[1]))
    for mean in means:
        start = rng.integers(length, size=length, dtype=np.int64)
        stationary_mean(values, start, rng.random(length), 1.0 / block, mean)
    return means


def stepwise(mean: F8, simulated: F8, size: float) -> list[int]:
    """Columns found better, step by step: what is found leaves, and the rest is tested among fewer.

    `mean` (N,) against (B, N) means `simulated` where no candidate is better.
    """
    left = np.ones(len(mean), np.bool_)
    while left.any():
        critical = np.quantile(simulated[:, left].max(axis=1), 1.0 - size)
        found = left & (mean > max(float(critical), 0.0))
        if not found.any():
            break
        left &= ~found
    return [int(one) for one in np.flatnonzero(~left)]


def _p(mean: F8, simulated: F8) -> float:
    """Share of resamples whose best is as good as the best of `mean`, which itself counts as one.

    The statistic is never below 0: a best candidate no better than the benchmark is no evidence whatever.
    """
    top = float(mean.max())
    reached = np.count_nonzero(simulated.max(axis=1) >= top) if top > 0 else len(simulated)
    return float((reached + 1) / (len(simulated) + 1))


def long_run_deviation(gains: F8, block: int) -> F8:
    """(N,) deviation of √T times the mean of (T, N), under the stationary bootstrap itself.

    ω² = γ₀ + 2·Σᵢ κᵢ·γᵢ with κᵢ = (1 − i/T)·(1 − p)^i + (i/T)·(1 − p)^(T − i), p = 1/block: Politis and Romano (1994),
    as Hansen (2005) uses it.
    """
    length = len(gains)
    i = np.arange(1, length)
    keep = 1.0 - 1.0 / block
    kappa = (1.0 - i / length) * keep**i + (i / length) * keep ** (length - i)
    spectrum = np.fft.rfft(gains - gains.mean(axis=0), n=2 * length, axis=0)
    gamma = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[:length] / length
    variance = gamma[0] + 2.0 * (kappa[:, None] * gamma[1:]).sum(axis=0)
    # The weights are positive definite, so only rounding could bring it to 0.
    return np.asarray(np.sqrt(np.maximum(variance, STILL * gamma[0])))


def _gains(returns: F8, benchmark: F8 | None) -> tuple[F8, npt.NDArray[np.int64]]:
    """(T, K) gains over the benchmark of the candidates that differ from it, and which they are."""
    returns = np.asarray(returns, np.float64)
    if returns.ndim != 2 or not returns.shape[1]:
        raise ConfigError(f"a test of candidates needs returns (observations, candidates), not {returns.shape}")
    if len(returns) < FEWEST:
        raise ConfigError(f"{len(returns)} observations; a test of candidates needs at least {FEWEST}")
    held = np.zeros(len(returns)) if benchmark is None else np.asarray(benchmark, np.float64)
    if held.shape != returns.shape[:1]:
        raise ConfigError(f"the benchmark has {held.shape} returns where the candidates have {len(returns)}")
    gains = returns - held[:, None]
    if not np.isfinite(gains).all():
        row, column = np.argwhere(~np.isfinite(gains))[0]
        raise ConfigError(
            f"returns[{row}, {column}] less the benchmark's is {gains[row, column]}; give finite ones only"
        )
    varied = np.flatnonzero(np.var(gains, axis=0) > STILL * np.mean(gains * gains, axis=0))
    if not len(varied):
        raise ConfigError("no candidate ever differs from the benchmark, so there is nothing to test")
    return np.ascontiguousarray(gains[:, varied]), varied
