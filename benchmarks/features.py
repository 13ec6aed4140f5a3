"""Fitted features: what a fold's fits cost, and what reading them forward costs; answers are checked before any time.

    python benchmarks/features.py

A case is a name, a target and a function that checks and times itself: `CASES` is the place for more.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from machine import best, describe, row

from wfbt.features.forecast import Volatility
from wfbt.features.garch import fit_garch
from wfbt.features.learners import learn

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
FOLDS, TRAIN, ROWS = 12, 8_760, 50_000


class Case(NamedTuple):
    """One line of the table: `run` gives seconds, after it has checked its answer."""

    name: str
    target: float
    run: Callable[[], float]


def returns(rows: int, seed: int = 0) -> np.ndarray:
    """A GJR-GARCH of hourly size with Student's t innovations: α 0.05, γ 0.06, β 0.9."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(6, rows) * np.sqrt(4 / 6)
    out, variance = np.empty(rows), 3e-5
    for t, z in enumerate(shocks):
        out[t] = z * np.sqrt(variance)
        variance = 6e-7 + (0.05 + 0.06 * (z < 0)) * out[t] ** 2 + 0.9 * variance
    return out


def frame(rows: int) -> pd.DataFrame:
    """Bars of those returns."""
    index = pd.DatetimeIndex(pd.to_datetime(np.arange(1, rows + 1) * HOUR, unit="ns", utc=True))
    return pd.DataFrame({"close": 100 * np.exp(np.cumsum(returns(rows))), "volume": np.ones(rows)}, index=index)


def learner(model: str, dist: str | None, closes: np.ndarray) -> Volatility:
    """As a strategy file asks for it."""
    return Volatility(model=model, dist=dist, horizon=DAY, period=HOUR, days_a_year=365.0, closes={"X": closes})


def folds(model: str, dist: str | None) -> float:
    """Fits and columns of twelve folds of a year, one symbol."""
    rows = TRAIN + FOLDS * 3_000
    given = {"X": frame(rows)}
    closes = np.arange(1, rows + 1) * HOUR
    taken = 0.0
    learn([learner(model, dist, closes)], given, closes[:1_200])  # imports and compiles
    asked = learner(model, dist, closes)
    for fold in range(FOLDS):
        train = closes[fold * 3_000 : fold * 3_000 + TRAIN]
        begun = time.perf_counter()
        joined, (fit,), _ = learn([asked], given, train)
        taken += time.perf_counter() - begun
        assert fit.model == model, fit.notes
        if model == "gjr-garch":
            assert abs(fit.params["beta"] - 0.9) < 0.05
        forecast = joined["X"]["volatility"].to_numpy()[800:]
        assert np.isfinite(forecast).all() and 0.3 < np.median(forecast) < 0.7
    return taken


def reading(model: str) -> float:
    """A forecast of a day at each of fifty thousand rows, from fitted parameters."""
    column = np.concatenate([[np.nan], returns(ROWS - 1)])
    fitted = fit_garch(column[1 : TRAIN + 1], model, "t", 24)
    whole = fitted.ahead(column)
    assert np.array_equal(fitted.ahead(column[:20_000]), whole[:20_000])
    return best(lambda: fitted.ahead(column), 10)


def importing() -> float:
    """CPU seconds that the first fit of a process spends on imports, beyond what wfbt has imported by then."""
    code = "import pandas, scipy, numba, time; t = time.process_time(); import arch.univariate; "
    code += "print(time.process_time() - t)"
    told = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    return min(float(one.stdout) for one in told)


MODELS = ("garch", "gjr-garch", "egarch")
KINDS = (("garch", "normal"), ("gjr-garch", "t"), ("gjr-garch", "skewt"), ("egarch", "t"), ("har", None))
CASES = [
    Case("import of arch", 3.0, importing),
    *(
        Case(f"{model}, {dist or 'least squares'}: {FOLDS} folds × {TRAIN:,} rows", 5.0, partial(folds, model, dist))
        for model, dist in KINDS
    ),
    *(Case(f"{model}: 24 bars ahead at {ROWS:,} rows", 0.010, partial(reading, model)) for model in MODELS),
]


def main() -> None:
    print(describe())
    for case in CASES:
        seconds = case.run()
        told = f"{seconds:.2f} s" if case.target >= 1 else f"{1e3 * seconds:.2f} ms"
        limit = f"<= {case.target:g} s" if case.target >= 1 else f"<= {1e3 * case.target:g} ms"
        row(case.name, told, limit, seconds <= case.target)


if __name__ == "__main__":
    main()
