"""A screen of an SMA cross, closes to Sharpe ratios, beside vectorbt; answers are compared before anything is timed.

    python benchmarks/sweep.py

Both trade long or flat at the next open with all of their equity and a fee of 10 bps.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from kernels import market
from machine import describe, peak_mib, row

import wfbt

ROWS, LANES, CHECKED = 50_000, 1_000, 200
COSTS = wfbt.Costs(maker_bps=10, taker_bps=10, half_spread_bps=0, impact=None)
SETTINGS = {"costs": COSTS, "account": wfbt.Account(maintenance=0.0), "sizing": wfbt.Sizing(price="fill"), "jobs": 2}


def pairs(count: int) -> list[dict[str, object]]:
    """Fast and slow lengths of `count` crosses."""
    every = [(fast, slow) for fast in range(5, 30) for slow in range(40, 240, 5)]
    return [{"fast": fast, "slow": slow, "short": False} for fast, slow in every[:: len(every) // count]]


def bare(data: wfbt.Market) -> wfbt.Market:
    """The same bars without funding, which vectorbt does not know."""
    return wfbt.Market(instruments=(wfbt.Instrument(bars=data.instruments[0].bars),), digest="")


def wall(work: Callable[[], object], repeats: int) -> float:
    """Least wall seconds: threads count, and so does waiting for the other."""
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def vectorbt_screen(bars: wfbt.Bars, crosses: list[dict[str, object]]):
    """The same crosses in vectorbt's own vocabulary."""
    import vectorbt as vbt

    index = pd.to_datetime(bars.open_ts)
    close, opens = pd.Series(bars.close, index), pd.Series(bars.open, index)
    fast = vbt.MA.run(close, window=[one["fast"] for one in crosses], short_name="fast")
    slow = vbt.MA.run(close, window=[one["slow"] for one in crosses], short_name="slow")
    # The first warm bar is an entry too when the fast average is already above.
    above = fast.ma.to_numpy() > slow.ma.to_numpy()
    before = np.vstack([np.zeros((2, above.shape[1]), bool), above[:-2]])
    now = np.vstack([np.zeros((1, above.shape[1]), bool), above[:-1]])
    return vbt.Portfolio.from_signals(
        close, pd.DataFrame(now & ~before, index), pd.DataFrame(before & ~now, index), price=opens, open=opens,
        size=np.inf, min_size=0.0, direction="longonly", fees=0.001, init_cash=1e5, freq="1h", accumulate=False,
        engine="numba",
    )  # fmt: skip


def check(data: wfbt.Market, crosses: list[dict[str, object]]) -> None:
    """Equal orders, final equity and daily Sharpe ratios, lane by lane."""
    found = wfbt.sweep(data, "sma_cross", crosses, **SETTINGS)
    theirs = vectorbt_screen(data.instruments[0].bars, crosses)
    orders = np.bincount(theirs.orders.records["col"], minlength=len(crosses))
    assert orders.tolist() == found.metrics["fills"].tolist()
    value = theirs.value().to_numpy()
    np.testing.assert_allclose(found.metrics["equity"], value[-1], rtol=1e-9)
    ends = np.r_[np.arange(23, ROWS, 24), ROWS - 1] if ROWS % 24 else np.arange(23, ROWS, 24)
    daily = np.vstack([np.full((1, len(crosses)), 1e5), value[ends]])
    returns = daily[1:] / daily[:-1] - 1.0
    sharpe = returns.mean(axis=0) / returns.std(axis=0, ddof=1) * 365**0.5
    np.testing.assert_allclose(found.metrics["sharpe"], sharpe, rtol=1e-9)
    print(f"{len(crosses)} lanes agree: {orders.sum():,} orders, final equity and Sharpe ratios to 1e-9")


def coins(bars: pd.DataFrame, seed: int = 0) -> np.ndarray:
    """A new target on 5% of the bars."""
    rng = np.random.default_rng(seed)
    target = np.full(len(bars), np.nan)
    said = np.flatnonzero(rng.random(len(bars)) < 0.05)
    target[said] = rng.uniform(-0.3, 0.3, len(said))
    return target


def main() -> None:
    warnings.simplefilter("ignore")
    print(describe())
    data = bare(market(ROWS))
    crosses = pairs(LANES)
    wfbt.sweep(data, "sma_cross", crosses[:2], **SETTINGS)
    before = peak_mib()
    screen = wall(lambda: wfbt.sweep(data, "sma_cross", crosses, **SETTINGS), 3)
    grew = peak_mib() - before
    full = market(ROWS)
    seeds = {"seed": range(LANES)}
    dense = wall(lambda: wfbt.sweep(full, coins, seeds, costs=wfbt.Costs(maker_bps=0, taker_bps=0.05), jobs=2), 2)
    grew_dense = peak_mib() - before
    check(data, pairs(20))
    few = pairs(CHECKED)
    theirs = wall(lambda: vectorbt_screen(data.instruments[0].bars, few).sharpe_ratio(), 2)
    ours = wall(lambda: wfbt.sweep(data, "sma_cross", few, **SETTINGS), 3)
    print(f"\n{LANES:,} lanes × {ROWS:,} bars, two threads, wall seconds")
    cells = LANES * ROWS / 1e9
    row("SMA cross, closes to metrics", f"{screen:.2f} s", "<= 1.5 s", screen <= 1.5)
    print(f"    {screen / cells:.1f} ns per bar and lane")
    row("intents on 5% of bars, funding, impact, drawn by the rule", f"{dense:.2f} s", "<= 1.5 s", dense <= 1.5)
    row("most memory above the market", f"{max(grew, grew_dense):.0f} MiB", "<= 500 MiB", max(grew, grew_dense) <= 500)
    ratio = theirs / ours
    row(f"{CHECKED} crosses against vectorbt", f"{ratio:.1f} x faster", ">= 20", ratio >= 20)
    print(f"    {ours:.2f} against {theirs:.2f} s; peak memory with vectorbt {peak_mib():,.0f} MiB")


if __name__ == "__main__":
    main()
