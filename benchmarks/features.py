"""Features: what a fold's fits cost, what reading them forward costs, and what observing bars and trades does.

Answers are checked before any time.

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

from wfbt.data.market import MINUTE, Bars, Instrument, Market
from wfbt.data.trades import Trades
from wfbt.features.forecast import Volatility
from wfbt.features.garch import fit_garch
from wfbt.features.learners import learn
from wfbt.features.spec import FeatureSpec
from wfbt.policy.frames import market_frames

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
FOLDS, TRAIN, ROWS, TRADES = 12, 8_760, 50_000, 5_000_000


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


def traded() -> Market:
    """Minutes of the returns above, and five million trades in them."""
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(returns(ROWS)))
    opens = np.append(100.0, close[:-1])
    open_ts = np.arange(ROWS) * MINUTE
    bars = Bars(
        symbol="X",
        period=MINUTE,
        open_ts=open_ts,
        open=opens,
        high=np.maximum(opens, close) * 1.001,
        low=np.minimum(opens, close) * 0.999,
        close=close,
        volume=rng.uniform(1, 9, ROWS),
    )
    at = np.sort(rng.integers(0, ROWS * MINUTE, TRADES))
    trades = Trades(
        ts=at,
        price=close[at // MINUTE] * rng.uniform(0.9995, 1.0005, TRADES),
        qty=np.exp(rng.standard_normal(TRADES)),
        side=np.where(rng.random(TRADES) < 0.5, 1, -1).astype(np.int8),
    )
    return Market(instruments=(Instrument(bars=bars, trades=trades),), digest="")


def observing() -> float:
    """The 18 features of bars and trades, from a market that is read to matrices."""
    market, spec = traded(), FeatureSpec.parse("bars_trades")

    def matrix() -> np.ndarray:
        return spec.matrix(market_frames(market))["X"]

    one, made = market.instruments[0], matrix()
    row, names = 30_000, spec.names
    inside = (one.trades.ts >= one.bars.open_ts[row]) & (one.trades.ts < one.bars.close_ts[row])
    side, qty = one.trades.side[inside], one.trades.qty[inside]
    assert made.shape == (ROWS, 18)
    assert np.isfinite(made[100:-1]).all()
    assert np.isclose(made[row, names.index("trade_imbalance")], side.mean())
    assert np.isclose(made[row, names.index("flow_imbalance")], (side * qty).sum() / qty.sum())
    assert np.isclose(made[row, names.index("size_dispersion")], qty.std(ddof=1) / qty.mean())
    return best(matrix, 5)


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
    Case(f"18 features: {ROWS:,} bars, {TRADES:,} trades", 0.300, observing),
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
