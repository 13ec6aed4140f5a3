"""Overfitting statistics of a large search; answers are checked before anything is timed.

    python benchmarks/overfitting.py

200 candidates over 1,000 days: cross-validation over all halves of 16 blocks, and the tests of the best of many.
"""

from __future__ import annotations

import sys
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
from arch.bootstrap import SPA

sys.path.insert(0, str(Path(__file__).parent))
from machine import best, describe, row

from wfbt.validation.cscv import cscv
from wfbt.validation.superior import long_run_deviation, superior

DAYS, CANDIDATES, SPLITS, RESAMPLES, BLOCK = 1000, 200, 16, 1000, 5


def candidates() -> np.ndarray:
    """(T, N) daily returns that lean on the day before and on each other."""
    rng = np.random.default_rng(0)
    shocks = rng.normal(0.0, 0.01, (DAYS + 1, CANDIDATES)) + rng.normal(0.0, 0.005, (DAYS + 1, 1))
    return shocks[1:] + 0.1 * shocks[:-1]


def seed() -> np.random.SeedSequence:
    """The same draws for both."""
    return np.random.SeedSequence(7)


def plain_ranks(returns: np.ndarray, choices: int) -> np.ndarray:
    """Logits of the first choices of blocks, from the rows themselves."""
    blocks = np.array_split(np.arange(len(returns)), SPLITS)
    logits = []
    for chosen, _ in zip(combinations(range(SPLITS), SPLITS // 2), range(choices), strict=False):
        inside = np.concatenate([blocks[s] for s in chosen])
        outside = np.setdiff1d(np.arange(len(returns)), inside)
        ratios = [returns[rows].mean(axis=0) / returns[rows].std(axis=0, ddof=1) for rows in (inside, outside)]
        rank = (ratios[1] <= ratios[1][np.argmax(ratios[0])]).sum()
        logits.append(np.log(rank / (CANDIDATES + 1 - rank)))
    return np.array(logits)


def arch_test(returns: np.ndarray) -> SPA:
    """The same test by arch, of gains that are studentised already."""
    losses = -returns / long_run_deviation(returns, BLOCK)
    test = SPA(np.zeros(DAYS), losses, block_size=BLOCK, reps=RESAMPLES, seed=np.random.default_rng(seed()))
    test.compute()
    return test


def check(returns: np.ndarray) -> None:
    """Equal logits, and equal p-values on equal draws."""
    found = cscv(returns, SPLITS)
    np.testing.assert_allclose(found.logits[:500], plain_ranks(returns, 500), rtol=1e-12)
    ours = superior(returns, None, seed(), resamples=RESAMPLES, block=BLOCK)
    theirs = arch_test(returns).pvalues
    shares = [(p * (RESAMPLES + 1) - 1) / RESAMPLES for p in (ours.lower, ours.p, ours.upper)]
    np.testing.assert_allclose(shares, theirs, atol=1e-12)
    print(f"500 of {len(found.logits):,} choices agree with the rows themselves, and three p-values with arch")


def main() -> None:
    warnings.simplefilter("ignore")
    print(describe())
    returns = candidates()
    check(returns)
    print(f"\n{CANDIDATES} candidates × {DAYS:,} days, one thread, CPU seconds")
    halves = best(lambda: cscv(returns, SPLITS))
    row("cross-validation, 12,870 choices", f"{halves:.3f} s", "<= 1 s", halves <= 1.0)
    ours = best(lambda: superior(returns, None, seed(), resamples=RESAMPLES, block=BLOCK))
    row(f"SPA, reality check and stepwise, {RESAMPLES:,} resamples", f"{ours:.3f} s", "<= 3 s", ours <= 3.0)
    chosen = best(lambda: superior(returns, None, seed(), resamples=RESAMPLES), 3)
    row("the same with the block length chosen", f"{chosen:.3f} s", "<= 3 s", chosen <= 3.0)
    theirs = best(lambda: arch_test(returns), 3)
    print(f"    arch, for SPA alone: {theirs:.3f} s, {theirs / ours:.1f} times as long")


if __name__ == "__main__":
    main()
