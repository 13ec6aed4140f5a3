"""Small accounts over simulated paths, the closed forms, and the tail fits.

    python benchmarks/risk.py

Answers are checked before anything is timed.
"""

from __future__ import annotations

import sys
from math import log
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from machine import best, describe, peak_mib, row

from wfbt.risk.drawdown import expected_max_drawdown
from wfbt.risk.exceedances import backtest_var, rolling_var
from wfbt.risk.recovery import drawdown_percentiles, kaplan_meier, largest_drawdowns
from wfbt.risk.ruin import gbm_ruin
from wfbt.risk.survival import NEVER, SmallAccount, replay_capitals, survival_curves
from wfbt.risk.tail import pareto_tail

PATHS, STEPS = 10_000, 365
CAPITALS = (10_000.0, 25_000.0, 50_000.0, 100_000.0, 250_000.0)


def small_accounts() -> None:
    print(f"\n{PATHS:,} paths × {STEPS} days × {len(CAPITALS)} capitals (one thread)")
    rng = np.random.default_rng(0)
    sigma, mu = 0.4, 0.15
    returns = np.expm1(rng.normal((mu - sigma**2 / 2) / STEPS, sigma / STEPS**0.5, (PATHS, STEPS)))
    exposure = rng.choice([-1.0, 0.3, 1.0], (PATHS, STEPS))
    free = replay_capitals(returns, exposure, CAPITALS, SmallAccount())
    alive = free.ruined_at == NEVER
    wealth = np.prod(1.0 + returns, axis=1)
    assert np.allclose((free.final / np.array(CAPITALS)[:, None])[alive], np.tile(wealth, (5, 1))[alive], rtol=1e-10)
    ruined = 1.0 - alive[0].mean()
    exact = gbm_ruin(mu, sigma, 0.5, 1.0, STEPS)
    assert abs(ruined - exact) < 4 * (exact * (1 - exact) / PATHS) ** 0.5, (ruined, exact)
    account = SmallAccount(min_order=5_000.0, fixed_cost=5.0, leverage=2.0)
    for name, terms in (("without frictions", SmallAccount()), ("minimum order, fixed cost, leverage", account)):
        seconds = best(lambda: replay_capitals(returns, exposure, CAPITALS, terms), 3)  # noqa: B023
        nanos = seconds * 1e9 / PATHS / STEPS / len(CAPITALS)
        row(f"replay, {name}", f"{nanos:.1f} ns/day", "<= 15", nanos <= 15)
    seconds = best(lambda: survival_curves(replay_capitals(returns, exposure, CAPITALS, account), [30, 90, 365]), 3)
    row("replay and survival curves", f"{seconds * 1e3:.0f} ms", "<= 400", seconds <= 0.4)
    equity = np.hstack([np.ones((PATHS, 1)), np.cumprod(1.0 + returns, axis=1)])
    found = largest_drawdowns(equity)
    assert kaplan_meier(found.recovery, found.recovered).n == PATHS
    seconds = best(lambda: drawdown_percentiles(largest_drawdowns(equity)), 3)
    row("drawdowns and recoveries of all paths", f"{seconds * 1e3:.0f} ms", "<= 400", seconds <= 0.4)


def forms_and_tails() -> None:
    print("\nclosed forms and tails")
    assert abs(expected_max_drawdown(1e3, 1.0, 1.0) * 500 - log(5e5) / 4 - 0.49088) < 1e-4
    seconds = best(lambda: expected_max_drawdown(1.0, 1.0, 1.0), 3)
    row("mean largest drawdown with drift", f"{seconds * 1e3:.0f} ms", "<= 200", seconds <= 0.2)
    returns = np.random.default_rng(1).standard_t(4, 2_000) * 0.01
    assert pareto_tail(returns, 0.99).es is not None
    seconds = best(lambda: pareto_tail(returns, 0.99), 3)
    row("Pareto tail of 2,000 days", f"{seconds * 1e3:.0f} ms", "<= 100", seconds <= 0.1)
    seconds = best(lambda: backtest_var(returns, rolling_var(returns, 0.99, 500), 0.99), 3)
    row("rolling VaR and its tests, 2,000 days", f"{seconds * 1e3:.0f} ms", "<= 100", seconds <= 0.1)


if __name__ == "__main__":
    print(describe())
    small_accounts()
    forms_and_tails()
    print(f"\npeak memory {peak_mib():,.0f} MiB")
