"""Market regimes of twelve folds of 8,760 hourly bars, three starts each, and the filter; the answer is checked first.

python benchmarks/regimes.py
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from machine import best, describe, row

from wfbt.compute import in_order
from wfbt.features.market_regimes import RegimePlan, observations
from wfbt.features.regimes import Regimes

ROWS, FOLDS, STEP = 8_760, 12, 3_000


def wall(work: Callable[[], object], repeats: int = 3) -> float:
    """Least wall seconds: threads count."""
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def bars(rows: int) -> np.ndarray:
    """Observations of hourly returns whose volatility stays at one of three levels for days."""
    rng = np.random.default_rng(1)
    level = np.zeros(rows, np.int64)
    turns = rng.random(rows) < 1 / 72
    for t in range(1, rows):
        level[t] = rng.integers(3) if turns[t] else level[t - 1]
    returns = np.array([0.003, 0.006, 0.014])[level] * rng.standard_t(5, rows)
    returns[0] = np.nan
    return observations(RegimePlan(), returns)[24:]


def theirs(x: np.ndarray) -> tuple[float, float]:
    """Log-likelihood that hmmlearn reaches from its own three starts, and the seconds it takes."""
    from hmmlearn.hmm import GaussianHMM

    begun, reached = time.perf_counter(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(3):
            reached.append(GaussianHMM(3, n_iter=500, tol=1e-6 * len(x), random_state=seed).fit(x).score(x))
    return max(reached), time.perf_counter() - begun


def main() -> None:
    """Check the fit against hmmlearn, then time fits and filter."""
    print(describe())
    x = bars(ROWS + STEP * FOLDS)
    one = x[:ROWS]
    scaled = (one - one.mean(axis=0)) / one.std(axis=0)
    fitted = Regimes(3).fit(one).fitted
    assert fitted is not None
    reached, taken = theirs(scaled)
    ours = float(fitted.history[-1])  # type: ignore[union-attr]
    assert ours > reached - 1e-4 * abs(reached), (ours, reached)
    print(f"log-likelihood of a fold: ours {ours:,.1f}, hmmlearn {reached:,.1f} in {taken:.1f} s")

    def fit(fold: int) -> Regimes:
        return Regimes(3).fit(x[fold * STEP : fold * STEP + ROWS])

    for jobs in (1, 2):
        seconds = wall(lambda jobs=jobs: in_order(fit, range(FOLDS), jobs))
        row(
            f"{FOLDS} folds x {ROWS:,} rows, 3 starts, {jobs} thread{'s' * (jobs > 1)}",
            f"{seconds:.2f} s",
            "<= 8 s",
            seconds <= 8,
        )
    regimes, many = Regimes(3).fit(one), np.resize(x, (50_000, 2))
    regimes.filter(many)
    seconds = best(lambda: regimes.filter(many))
    row("filter, 50,000 rows x 3 states", f"{1e3 * seconds:.1f} ms", "<= 10 ms", seconds <= 0.010)


if __name__ == "__main__":
    main()
