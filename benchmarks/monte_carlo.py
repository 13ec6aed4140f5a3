"""Paths of the five levels and resamples of returns, one thread; answers are checked before anything is timed.

    python benchmarks/monte_carlo.py

The bootstrap stands beside arch's, whose statistic is written in NumPy.  Last, what a run does: the example's policy is
replayed, with its costs, delays, stops and limits, through a year of hourly bars a path.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
from arch.bootstrap import StationaryBootstrap, optimal_block_length

sys.path.insert(0, str(Path(__file__).parent))
from machine import best, describe, peak_mib, row

from wfbt.assembly import read_market, study_of
from wfbt.config.load import load_strategy
from wfbt.policies import policies_of
from wfbt.risk.monte_carlo import (
    Brownian,
    CorrelatedGarch,
    FilteredGarch,
    LabelledHistory,
    Model,
    Outcomes,
    RegimeSwitching,
    bootstrap,
    simulate,
)
from wfbt.simulation.asked import Asked
from wfbt.simulation.origin import origin_of
from wfbt.simulation.replays import Course, Replayed, replayed
from wfbt.validation.again import Ran
from wfbt.validation.walk_forward import walk_forward

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "ema_rsi_adx.yaml"
YEAR, REPLAYS = 365 * 86_400_000_000_000, 1_000
PATHS, STEPS, ASSETS = 100_000, 252, 10
ROWS, RESAMPLES = 10_000, 1_000
SEED = np.random.SeedSequence(1)


def garch(assets: int) -> FilteredGarch:
    """Daily variances under residuals with tails, of a common factor."""
    rng = np.random.default_rng(0)
    z = np.sqrt(4 / rng.chisquare(4, (1500, 1))) * (
        0.8 * rng.normal(size=(1500, 1)) + 0.6 * rng.normal(size=(1500, assets))
    )
    terms = {"mean": 0.0, "omega": 1.2e-5, "alpha": 0.05, "gamma": 0.04, "beta": 0.9, "variance": 4e-4}
    return FilteredGarch(
        symbols=tuple(f"S{a}" for a in range(assets)),
        residuals=(z - z.mean(axis=0)) / z.std(axis=0),
        **{name: np.full(assets, value) for name, value in terms.items()},
    )


def leaning() -> np.ndarray:
    """Returns of a day that lean on the day before."""
    noise = np.random.default_rng(3).normal(0.0004, 0.01, ROWS + 1)
    return noise[1:] + 0.3 * noise[:-1]


def sharpe_and_drawdown(returns: np.ndarray) -> np.ndarray:
    """The statistic that arch resamples."""
    equity = np.cumprod(1.0 + returns)
    peak = np.maximum.accumulate(np.maximum(equity, 1.0))
    return np.array([returns.mean() / returns.std(ddof=1), (1.0 - equity / peak).max()])


def check_bootstrap(returns: np.ndarray, block: int) -> None:
    """The same distribution of both statistics as arch's, within what 2,000 resamples each can tell."""
    ours = bootstrap(returns, resamples=2000, seed=SEED, block=block)
    theirs = StationaryBootstrap(block, returns, seed=1).apply(sharpe_and_drawdown, 2000)
    for one, other in ((ours.sharpe, theirs[:, 0]), (ours.depth, theirs[:, 1])):
        error = np.sqrt((one.var() + other.var()) / 2000)
        assert abs(one.mean() - other.mean()) < 4 * error
        assert abs(one.std() / other.std() - 1.0) < 4 / np.sqrt(2000)
    print(f"blocks of {block}: Sharpe ratio and drawdown are distributed as arch's")


def check_paths(found: Outcomes, variance: float, name: str) -> None:
    """Log growth has the variance of its steps."""
    growth = np.log(found.final)
    spread = np.sqrt(np.mean((growth - growth.mean()) ** 4) - growth.var() ** 2) / np.sqrt(len(growth))
    assert abs(growth.var() - STEPS * variance) < 4 * spread, name


def example() -> Course:
    """Paths of a year after the example's last fold, whose search is shortened: what it chose costs alike to replay."""
    config = load_strategy(EXAMPLE, folds=12, overrides=["policy.search={fast: [8, 12]}"])
    study, plan, _ = study_of(config, read_market(config), policies_of(config), 1)
    ran = Ran.of(study, walk_forward(study, plan), config.seed)
    asked = Asked.of(ran)
    return Course.of(asked, origin_of(asked, YEAR), ran.walk.ledger.calendar, SEED, 0.5)


def same(one: Replayed, other: Replayed) -> bool:
    """Whether the first paths of both came to the same."""
    count = min(len(one.depth), len(other.depth))
    return all(
        np.array_equal(mine[:count], its[:count])
        for mine, its in ((one.account.fan, other.account.fan), (one.depth, other.depth), (one.trips, other.trips))
    )


def replay() -> None:
    """A policy through a thousand markets."""
    course = example()
    model = Brownian.fit(course.origin.history)
    few = replayed(course, model, 40, 1)
    assert same(few, replayed(course, model, 40, 2)) and few.trips.sum() > 0
    bars = len(course.origin.open_ts)
    print(f"\n{REPLAYS:,} market paths × {bars:,} bars with a replay of {EXAMPLE.stem}: the same paths on two threads")
    before = peak_mib()
    taken = best(lambda: replayed(course, model, REPLAYS, 1), 3)
    row("path, indicators, orders and account, one thread", f"{taken:.1f} s", "<= 5 s", taken <= 5)
    grew = peak_mib() - before
    row("most memory above the market", f"{grew:.0f} MiB", "<= 64 MiB", grew <= 64)


def main() -> None:
    print(describe())
    returns = leaning()
    block = round(float(optimal_block_length(returns)["stationary"].iloc[0]))
    check_bootstrap(returns, block)
    one = garch(1)
    regimes = RegimeSwitching(
        symbols=("S0",), start=[2 / 3, 1 / 3], transition=[[0.95, 0.05], [0.1, 0.9]], mean=[[0.0]] * 2,
        covariance=[[[1e-4]], [[9e-4]]],
    )  # fmt: skip
    flat = np.random.default_rng(2).normal(0.0, 0.01, (1500, 1))
    rows = LabelledHistory(
        symbols=("S0",), returns=flat, labels=np.arange(1500) // 50 % 2, start=[0.5, 0.5],
        transition=[[0.98, 0.02], [0.02, 0.98]], block=10,
    )  # fmt: skip
    cases: list[tuple[str, Model, float | None, float]] = [
        ("level 1, Brownian", Brownian(symbols=("S0",), mean=[0.0], covariance=[[4e-4]]), 4e-4, 0.3),
        ("level 2, two regimes", regimes, (2 * 1e-4 + 9e-4) / 3, 1.0),
        ("level 3, GARCH with filtered residuals", one, None, 1.0),
        (f"level 4, {ASSETS} correlated assets", CorrelatedGarch.fit(garch(ASSETS)), None, 4.0),
        ("level 5, rows matched on labels", rows, None, 1.0),
    ]
    for name, model, variance, _ in cases:
        weights = np.full(len(model.symbols), 1.0 / len(model.symbols))
        found = simulate(model, steps=STEPS, paths=20_000, seed=SEED, weights=weights)
        again = simulate(model, steps=STEPS, paths=20_000, seed=SEED, weights=weights, jobs=2)
        assert np.array_equal(found.final, again.final) and np.array_equal(found.depth, again.depth)
        if variance is not None:
            check_paths(found, variance, name)
    print("every level: the same paths on one thread and on two")
    print(f"\n{PATHS:,} paths × {STEPS} steps with drawdown and ruin, one thread, CPU seconds")
    before = peak_mib()
    for name, model, _, target in cases:
        weights = np.full(len(model.symbols), 1.0 / len(model.symbols))
        taken = best(partial(simulate, model, steps=STEPS, paths=PATHS, seed=SEED, weights=weights), 3)
        row(name, f"{taken:.2f} s", f"<= {target:g} s", taken <= target)
    grew = peak_mib() - before
    row("most memory above the models", f"{grew:.0f} MiB", "<= 64 MiB", grew <= 64)
    print(f"\n{RESAMPLES:,} stationary resamples × {ROWS:,} returns, Sharpe ratio and drawdown, one thread")
    ours = best(partial(bootstrap, returns, resamples=RESAMPLES, seed=SEED, block=block), 7)
    theirs = best(lambda: StationaryBootstrap(block, returns, seed=1).apply(sharpe_and_drawdown, RESAMPLES), 5)
    row(f"bootstrap, blocks of {block}", f"{ours * 1e3:.0f} ms", "", True)
    row("against arch", f"{theirs / ours:.1f} x faster", ">= 4", theirs >= 4 * ours)
    replay()


if __name__ == "__main__":
    main()
