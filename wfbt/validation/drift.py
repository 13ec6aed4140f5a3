"""Have features and returns left the distribution that the strategy was judged on?

Three distances between an earlier and a later sample, each against its own null: what the earlier sample comes to when
both are drawn from it in blocks.  Textbook thresholds and p-values take rows for independent; of rows that lean on each
other they cry wolf (a Kolmogorov-Smirnov test at 5 % rejects most pairs of windows of one AR(1) of 0.9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from wfbt.errors import ConfigError
from wfbt.ledger.blocks import optimal_blocks
from wfbt.validation.robustness.resampled import stationary_rows

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

STATISTICS = ("psi", "ks", "wasserstein")
FEWEST = 60
"""Rows below which a sample says nothing of its distribution."""
RESAMPLES = 499
BINS = 10
STILL = 1e-12
"""A column whose deviation is below this share of its size does not vary."""
MOST_CELLS = 1 << 20
"""Rows times resamples that are held at once."""
FEWEST_BLOCKS = 15
"""Blocks in the reference below which a column is not judged."""
FEWEST_MOVES = 30
"""Changes from row to row in the reference below which a column is not judged: a handful of events has no block."""
STRETCH = 2.0
"""Blocks are this many times the optimal length.

That length is optimal for the error of a variance; short blocks cut dependence off and make the null too narrow.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """One distance of one column.

    Attributes
    ----------
    column, statistic : str
    value : float or None
        "psi" and "ks" are pure numbers, "wasserstein" is in deviations of the reference.
    expected : float or None
        Mean of it where nothing has changed.
    p : float or None
        Chance of as much where nothing has changed, for this distance alone.
    adjusted : float or None
        The same chance for any distance of any column judged with it: max-T, Westfall and Young (1993).
    why_not : str
        Why there is no p.
    """

    column: str
    statistic: str
    value: float | None
    expected: float | None
    p: float | None
    adjusted: float | None
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """All distances, by column and then by STATISTICS.

    Attributes
    ----------
    distances : tuple of Distance
    p : float or None
        Least adjusted p: of "nothing has changed".  None where no column could be judged.
    reference, recent : int
        Rows of each sample.
    block : int
        Mean length of a block, rows: what the most persistent of the judged columns asks for.
    resamples : int
    """

    distances: tuple[Distance, ...]
    p: float | None
    reference: int
    recent: int
    block: int
    resamples: int


def drift(
    reference: F8,
    recent: F8,
    columns: Sequence[str],
    seed: np.random.SeedSequence,
    *,
    resamples: int = RESAMPLES,
) -> Drift:
    """Find distances between (N, K) `reference` rows and (M, K) `recent` ones, the columns named in `columns`.

    Rows are in the order of time and equally spaced; all are known when the last recent one is.  For the null both
    samples are drawn from the reference by the stationary bootstrap (Politis and Romano 1994), whole rows at once, so
    that columns stay as alike as they are.  The least p is 1/(resamples + 1).  What wanders without a level (prices,
    equity) has no distribution to leave: give returns.

    ConfigError where fewer than FEWEST rows or a number that is not finite were given.
    """
    columns = tuple(columns)
    reference, recent = _sample(reference, columns, "reference"), _sample(recent, columns, "recent")
    mean, deviation = reference.mean(axis=0), reference.std(axis=0)
    why_not = _why_not(reference, recent, deviation, mean)
    judged = np.array([k for k, why in enumerate(why_not) if not why], np.int64)
    scaled = (reference[:, judged] - mean[judged]) / deviation[judged]
    later = (recent[:, judged] - mean[judged]) / deviation[judged]
    found = np.array([distances(one, new) for one, new in zip(scaled.T, later.T, strict=True)])
    block = max((block_of(one) for one in scaled.T), default=1)
    told: dict[str, list[Distance]] = {}
    if len(judged):
        null = _null(scaled, len(recent), block, resamples, np.random.default_rng(seed))
        expected = null.mean(axis=0)
        p = _p(found, null)
        # One scale for all, so that the largest of them can be compared with the largest of each resample.
        spread = null.std(axis=0)
        adjusted = _p(_scaled(found, expected, spread), _scaled(null, expected, spread).max(axis=(1, 2))[:, None, None])
        for k, column in enumerate(judged):
            told[columns[column]] = [
                Distance(
                    column=columns[column],
                    statistic=statistic,
                    value=float(found[k, s]),
                    expected=float(expected[k, s]),
                    p=float(p[k, s]),
                    adjusted=float(adjusted[k, s]),
                )
                for s, statistic in enumerate(STATISTICS)
            ]
    for name, why in zip(columns, why_not, strict=True):
        if why:
            told[name] = [_unjudged(name, statistic, why) for statistic in STATISTICS]
    return Drift(
        distances=tuple(one for name in columns for one in told[name]),
        p=float(adjusted.min()) if len(judged) else None,
        reference=len(reference),
        recent=len(recent),
        block=block,
        resamples=resamples if len(judged) else 0,
    )


def _scaled(values: F8, expected: F8, spread: F8) -> F8:
    """(…, K, 3) distances in deviations of their nulls; of a null that is one number 0, and infinite beyond it.

    PSI is such a one where nine rows in ten are the largest number: its bins cannot tell them from the rest.
    """
    gap = values - expected
    fixed = ~(spread > STILL * np.maximum(np.abs(expected), 1.0))
    return np.where(fixed, np.where(gap > STILL, np.inf, 0.0), gap / np.where(fixed, 1.0, spread))


def block_of(series: F8) -> int:
    """Mean length of a block for (N,) `series`: what its level or its size asks for, stretched."""
    sides, size = [series], np.abs(series)
    if size.std() > STILL * size.mean():  # what is 1 or −1, as often the one as the other, has one size
        sides.append(size)
    return ceil(STRETCH * float(np.max(optimal_blocks(np.column_stack(sides)))))


def widened(length: int, block: int) -> float:
    """What a null from `length` rows in blocks is widened by: few blocks know their own variance badly and too low.

    √(n/(n − b))·t/z at 97.5 %, with as many degrees of freedom as there are blocks, less one: a rule of thumb after
    Student (1908), whose effect on AR(1) series the tests hold to its promise.
    """
    return sqrt(length / (length - block)) * float(stdtrit(length / block - 1.0, 0.975) / ndtri(0.975))


def distances(reference: F8, recent: F8) -> tuple[float, float, float]:
    """PSI, Kolmogorov-Smirnov and Wasserstein distance of two samples (N,) and (M,), in the units given.

    PSI = Σ (aᵢ − eᵢ)·ln(aᵢ/eᵢ) over bins between deciles of the reference, with half a count more in each bin so that
    an empty one is finite: Kullback and Leibler's divergence (1951) both ways, Jeffreys' J.  KS = sup |F − G|,
    Kolmogorov (1933), Smirnov (1948).  Wasserstein = ∫ |F − G| dx, of order 1: Vallender (1974).
    """
    grid = np.sort(np.concatenate([reference, recent]))
    gap = np.abs(
        np.searchsorted(np.sort(reference), grid, "right") / len(reference)
        - np.searchsorted(np.sort(recent), grid, "right") / len(recent)
    )
    edges = _edges(reference)
    counts = [np.bincount(np.searchsorted(edges, one), minlength=len(edges) + 1) for one in (reference, recent)]
    return float(_psi(counts[0], counts[1])), float(gap.max()), float((gap[:-1] * np.diff(grid)).sum())


def _null(scaled: F8, recent: int, block: int, resamples: int, rng: np.random.Generator) -> F8:
    """(B, K, 3) distances between two samples that are both drawn from `scaled`, (N, K)."""
    length = len(scaled)
    out = np.empty((resamples, scaled.shape[1], len(STATISTICS)))
    batch = max(1, MOST_CELLS // length)
    for start in range(0, resamples, batch):
        part = out[start : start + batch]
        drawn = [(_drawn(length, length, block, rng), _drawn(length, recent, block, rng)) for _ in part]
        first, second = (np.array(one, np.float64) for one in zip(*drawn, strict=True))
        for k, column in enumerate(scaled.T):
            part[:, k] = _of_counts(column, first, second)
    return out * widened(length, block)


def _drawn(length: int, steps: int, block: int, rng: np.random.Generator) -> I8:
    """(N,) how often each row comes in a resample of `steps` rows."""
    rows = [stationary_rows(length, block, rng) for _ in range(ceil(steps / length))]
    return np.bincount(np.concatenate(rows)[:steps], minlength=length)


def _of_counts(column: F8, first: F8, second: F8) -> F8:
    """(B, 3) `distances` of samples that hold `column`, (N,), as often as (B, N) `first` and `second` say."""
    order = np.argsort(column, kind="stable")
    steps = np.diff(column[order])
    gap = np.abs(
        np.cumsum(first[:, order], axis=1) / first[0].sum() - np.cumsum(second[:, order], axis=1) / second[0].sum()
    )[:, :-1]
    edges = _edges(column)
    inside = np.searchsorted(edges, column)
    into = np.zeros((len(column), len(edges) + 1))
    into[np.arange(len(column)), inside] = 1.0
    # Counts are whole, so the product is exact in whatever order it is summed.
    return np.column_stack(
        [_psi(first @ into, second @ into), np.max(gap * (steps > 0), axis=1), (gap * steps).sum(axis=1)]
    )


def _edges(reference: F8) -> F8:
    """Inner edges of the bins of PSI; fewer than BINS − 1 where values repeat."""
    return np.unique(np.quantile(reference, np.arange(1, BINS) / BINS))


def _psi(reference: npt.NDArray[Any], recent: npt.NDArray[Any]) -> F8:
    """PSI of counts (…, bins)."""
    expected, actual = (
        (counts + 0.5) / (counts.sum(axis=-1, keepdims=True) + 0.5 * counts.shape[-1]) for counts in (reference, recent)
    )
    return np.asarray(((actual - expected) * np.log(actual / expected)).sum(axis=-1), np.float64)


def _p(found: F8, null: F8) -> F8:
    """Share of (B, …) resamples that reach `found`, which itself counts as one."""
    return np.asarray((np.count_nonzero(null >= found, axis=0) + 1) / (len(null) + 1), np.float64)


def _why_not(reference: F8, recent: F8, deviation: F8, mean: F8) -> list[str]:
    """Why each column cannot be judged; empty where it can."""
    out = []
    for k in range(reference.shape[1]):
        why = ""
        if not deviation[k] > STILL * abs(mean[k]):
            why = "does not vary in the reference, so there is no scale to judge a change by"
            if np.any(recent[:, k] != reference[0, k]):
                why += "; it has changed since"
        elif (moves := int(np.count_nonzero(np.diff(reference[:, k])))) < FEWEST_MOVES:
            why = f"changes {moves} times in the reference, and at least {FEWEST_MOVES} changes are needed"
        else:
            rows = FEWEST_BLOCKS * block_of((reference[:, k] - mean[k]) / deviation[k])
            if rows > len(reference):
                why = (
                    f"leans on its own past for so long that a reference of {rows} rows is needed, not {len(reference)}"
                )
        out.append(why)
    return out


def _unjudged(column: str, statistic: str, why: str) -> Distance:
    return Distance(column=column, statistic=statistic, value=None, expected=None, p=None, adjusted=None, why_not=why)


def _sample(rows: F8, columns: tuple[str, ...], whose: str) -> F8:
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(columns) or not columns or len(set(columns)) != len(columns):
        raise ConfigError(f"{whose}: must be rows of {len(columns)} columns of different names, has shape {rows.shape}")
    if len(rows) < FEWEST:
        raise ConfigError(f"{whose}: {len(rows)} rows; a distribution needs at least {FEWEST}: wait for more")
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise ConfigError(f"{whose}: row {row} of {columns[column]} is {rows[row, column]}; give finite numbers only")
    return rows
