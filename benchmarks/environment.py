"""Environment steps a second: 30 features, one call a step, beside gym-trading-env where it is to be had.

    python benchmarks/environment.py

A step is a decision on one of three actions, drawn at random, and everything that follows from it: order, fill, costs,
funding, reward and the next observation.  Answers are checked before anything is timed: every lane is the backtest of
its own targets, and threads change no byte.  On one thread times are CPU seconds, on two wall seconds.

Set PEER_PYTHON to an interpreter that has gym-trading-env where this one has not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from kernels import market
from machine import best, describe, row

import wfbt
from wfbt.engine.setup import Setup
from wfbt.learn.env import TradingEnv, TradingVectorEnv
from wfbt.learn.episodes import random_starts, tiles
from wfbt.learn.lanes import Lanes
from wfbt.learn.sb3 import LaneVecEnv
from wfbt.learn.stage import Stage

ROWS, FEATURES, LENGTH = 100_000, 30, 1_440
LANES = (64, 1_024)
WANTED, OWN_SHARE, TIMES_PEER = 10e6, 40.0, 50.0
PEER_STEPS = 20_000

PEER = """
import sys, time
import numpy as np, pandas as pd
try:
    import gymnasium as gym
    import gym_trading_env.environments as peer
except ImportError as missing:
    raise SystemExit(f"absent: {missing}")
given = np.load(sys.argv[1])
index = pd.DatetimeIndex(pd.to_datetime(given["ts"], unit="ns"))
frame = pd.DataFrame({name: given[name] for name in ("open", "high", "low", "close", "volume")}, index=index)
for k, column in enumerate(given["features"].T):
    frame[f"feature_{k}"] = column
env = peer.TradingEnv(df=frame, positions=[0, 1], trading_fees=0.0, borrow_interest_rate=0.0, initial_position=0,
                      portfolio_initial_value=100_000.0, verbose=0)
env.reset(seed=0)
begun = time.process_time()
for action in given["actions"].tolist():
    *_, info = env.step(action)
print(time.process_time() - begun, info["portfolio_valuation"])
"""


@dataclass(frozen=True)
class Choice:
    """Action k moves to `targets[k]`."""

    targets: tuple[float, ...] = (float("nan"), 1.0, -1.0)
    assets: int = 1

    @property
    def outputs(self) -> int:
        """Actions."""
        return len(self.targets)

    def to_targets(self, actions: np.ndarray) -> np.ndarray:
        """(N, 1) targets."""
        return np.take(np.array(self.targets), actions)[:, np.newaxis]


def check(data: wfbt.Market, stage: Stage, setup: Setup) -> None:
    """Every lane is its backtest, and threads change nothing."""
    episodes = tiles(stage, (slice(0, 3_000),), 2_500, drawn=False)
    actions = np.random.default_rng(1).integers(0, 3, (2_500, 6))
    told = []
    for jobs in (1, 2):
        env = TradingVectorEnv(stage, episodes, 6, jobs=jobs)
        env.reset(options={"episode": 0})
        steps = [env.step(action) for action in actions]
        env.close()
        told.append(
            [(seen.tobytes(), rewards.tobytes(), info["equity"].tobytes()) for seen, rewards, *_, info in steps]
        )
    assert told[0] == told[1]
    equity = np.array([np.frombuffer(one[2]) for one in told[0]])
    for lane in range(6):
        targets = np.full(ROWS, np.nan)
        targets[:2_500] = stage.targets(actions[:, lane])[:, 0]
        ledger = wfbt.backtest(data, targets, costs=setup.costs, account=setup.account)
        assert ledger.equity[1:2_501].tobytes() == np.ascontiguousarray(equity[:, lane]).tobytes()


def rate(step: Callable[[np.ndarray], object], actions: np.ndarray, repeats: int, threads: int) -> float:
    """Lane steps a second."""
    for action in actions[:20]:
        step(action)

    def work() -> None:
        for action in actions:
            step(action)

    if threads == 1:
        return actions.size / best(work, repeats)
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return actions.size / min(taken)


def own_share(stage: Stage, episodes: object, count: int, actions: np.ndarray) -> float:
    """CPU ns a lane and step that are spent beside the accounts themselves."""
    lanes = Lanes(stage, episodes, count)
    lanes.begin(np.arange(count))
    accounts, taken = lanes._parts[0].accounts, [0.0]

    def timed(method: Callable[..., None]) -> Callable[..., None]:
        def run(*given: object, **named: object) -> None:
            begun = time.thread_time()
            method(*given, **named)
            taken[0] += time.thread_time() - begun

        return run

    accounts.step, accounts.observe = timed(accounts.step), timed(accounts.observe)
    shares = []
    for _ in range(5):
        taken[0], begun = 0.0, time.thread_time()
        for action in actions:
            lanes.step(stage.targets(action))
            if lanes.over.any():
                lanes.begin(np.flatnonzero(lanes.over))
        shares.append((time.thread_time() - begun - taken[0]) / actions.size * 1e9)
    return min(shares)


def peer_rate(data: wfbt.Market, features: np.ndarray) -> float | None:
    """Steps a second of gym-trading-env, once its account has come out as ours without costs does."""
    bars = data.instruments[0].bars
    actions = np.random.default_rng(3).integers(0, 2, PEER_STEPS)
    with tempfile.TemporaryDirectory() as folder:
        given, code = Path(folder) / "given.npz", Path(folder) / "peer.py"
        rows = slice(0, PEER_STEPS + 2)
        prices = {name: getattr(bars, name)[rows] for name in ("open", "high", "low", "close", "volume")}
        np.savez(given, ts=bars.open_ts[rows], features=features[rows], actions=actions, **prices)
        code.write_text(PEER, encoding="utf-8")
        python = os.environ.get("PEER_PYTHON", sys.executable)
        done = subprocess.run([python, str(code), str(given)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"gym-trading-env is not timed: {done.stderr.strip().splitlines()[-1]}")
        return None
    seconds, valuation = map(float, done.stdout.split()[-2:])
    # Its fills are at the close just observed, which is the next open in this market, so without costs we agree.
    free = Setup(costs=wfbt.Costs.none(), account=wfbt.Account(cash=1e5))
    stage = Stage.of(wfbt.Market(instruments=(unfunded(data),), digest=""), free, features, Choice((0.0, 1.0)))
    env = TradingEnv(stage, tiles(stage, (slice(0, PEER_STEPS + 2),), PEER_STEPS + 1))
    env.reset()
    for action in actions:
        *_, info = env.step(action)
    assert abs(info["equity"] / valuation - 1.0) < 1e-9, (info["equity"], valuation)
    return PEER_STEPS / seconds


def unfunded(data: wfbt.Market) -> wfbt.Instrument:
    """Its instrument without funding, which the peer does not know."""
    one = data.instruments[0]
    return wfbt.Instrument(bars=one.bars, contract=one.contract, volume=one.volume)


def main() -> None:
    print(describe())
    data, setup = market(ROWS), Setup(account=wfbt.Account(leverage=3))
    features = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)
    stage = Stage.of(data, setup, features, Choice())
    check(data, stage, setup)
    episodes = random_starts(stage, (slice(0, ROWS),), LENGTH)
    fastest = 0.0
    for count in LANES:
        actions = np.random.default_rng(2).integers(0, 3, (max(100, 400_000 // count), count))
        for threads in (1, 2):
            vector = TradingVectorEnv(stage, episodes, count, jobs=threads, copy=False)
            adapter = LaneVecEnv(stage, episodes, count, jobs=threads)
            for name, env in (("vector environment", vector), ("Stable-Baselines3 VecEnv", adapter)):
                env.reset()
                found = rate(env.step, actions, 5, threads)
                env.close()
                fastest = max(fastest, found)
                target = WANTED if count == LANES[-1] else 0.0
                wanted = f">= {WANTED / 1e6:.0f} M" if target else ""
                row(f"{name}, {count:,} lanes, {threads} thread(s)", f"{found / 1e6:.2f} M/s", wanted, found >= target)
        if count == LANES[-1]:
            share = own_share(stage, episodes, count, actions)
            row(
                f"of it beside the accounts, {count:,} lanes",
                f"{share:.0f} ns",
                f"<= {OWN_SHARE:.0f} ns",
                share <= OWN_SHARE,
            )
    single = TradingEnv(stage, episodes)
    single.reset()

    def step(action: np.ndarray) -> None:
        if any(single.step(int(action))[2:4]):
            single.reset()

    found = rate(step, np.random.default_rng(4).integers(0, 3, 4_000), 3, 1)
    row("one environment", f"{found / 1e3:.1f} k/s", "", True)
    if (peer := peer_rate(data, features)) is not None:
        row("gym-trading-env", f"{peer / 1e3:.1f} k/s", "", True)
        times = fastest / peer
        row(
            "ours at its fastest, times gym-trading-env",
            f"{times:.0f} x",
            f">= {TIMES_PEER:.0f} x",
            times >= TIMES_PEER,
        )


if __name__ == "__main__":
    main()
