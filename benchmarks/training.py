"""PPO of a 128-64-32 network on 30 features: decisions a second, collecting and learning together, torch on one thread.

    python benchmarks/training.py

The same network, algorithm and epochs on 64 lanes with batches of 2,048 and of 64, and, where it is installed, on
gym-trading-env as its own examples use it: one environment, rollouts of 2,048, batches of 64.
"""

from __future__ import annotations

import sys
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from kernels import market
from machine import describe, row

import wfbt
from wfbt.config.training import Train
from wfbt.engine.setup import Setup
from wfbt.learn.episodes import random_starts
from wfbt.learn.networks import one_thread
from wfbt.learn.sb3 import LaneVecEnv
from wfbt.learn.stage import Stage
from wfbt.policy.actions import Discrete

BARS, FEATURES, EPISODE = 50_000, 30, 512
WANTED = 4.0
MIDNIGHT = 1_600_041_600_000_000_000


def ours(**plan: Any) -> float:
    """Decisions a second of CPU, of the plan's settings."""
    from stable_baselines3 import PPO

    given = Train.model_validate(plan)
    assert given.ppo is not None
    features = np.random.default_rng(0).normal(size=(BARS, FEATURES))
    stage = Stage.of(
        market(BARS), Setup(account=wfbt.Account(leverage=3)), features, Discrete(targets=(np.nan, 1.0, -1.0))
    )
    lanes = LaneVecEnv(stage, random_starts(stage, (slice(0, BARS),), EPISODE), given.lanes)
    model = PPO(
        "MlpPolicy", lanes, n_steps=given.ppo.rollout // given.lanes, batch_size=given.batch, n_epochs=given.ppo.epochs,
        ent_coef=given.ppo.entropy, policy_kwargs=network(), seed=0, device="cpu",
    )  # fmt: skip
    return timed(model, given.ppo.rollout)


def theirs() -> float:
    """The same of gym-trading-env."""
    import gym_trading_env  # noqa: F401 - it registers its environment
    import gymnasium
    from stable_baselines3 import PPO

    rng, bars = np.random.default_rng(0), market(BARS).instruments[0].bars
    index = pd.DatetimeIndex(pd.to_datetime(bars.open_ts + MIDNIGHT, unit="ns"), name="date")
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    columns |= {f"feature_{k}": rng.normal(size=BARS) for k in range(FEATURES)}
    env = gymnasium.make(
        "TradingEnv", df=pd.DataFrame(columns, index=index), positions=[-1, 0, 1], trading_fees=0.0005,
        borrow_interest_rate=0.0003 / 100, verbose=0,
    )  # fmt: skip
    return timed(PPO("MlpPolicy", env, ent_coef=0.01, policy_kwargs=network(), seed=0, device="cpu"), 2_048)


def network() -> dict[str, Any]:
    """Actor and critic of three layers."""
    from torch import nn

    return {"net_arch": {"pi": [128, 64, 32], "vf": [128, 64, 32]}, "activation_fn": nn.Tanh}


def timed(model: Any, rollout: int) -> float:
    """Decisions a second of CPU over two rollouts and what is learnt from them, after one to warm up."""
    best = 0.0
    model.learn(rollout)
    for _ in range(3):
        begun = time.thread_time()
        model.learn(2 * rollout)
        best = max(best, 2 * rollout / (time.thread_time() - begun))
    return best


def main() -> None:
    warnings.filterwarnings("ignore")
    print(describe())
    with one_thread():
        batched = ours(lanes=64, batch=2_048, ppo={"rollout": 16_384})
        small = ours(lanes=64, batch=64)
        single = ours(lanes=1, batch=64)
        print(row_text("64 lanes, rollout 16,384, batch 2,048", batched))
        print(row_text("64 lanes, rollout 2,048, batch 64", small))
        print(row_text("1 lane, rollout 2,048, batch 64", single))
        if find_spec("gym_trading_env") is None:
            print("gym-trading-env is not installed, and not timed")
            return
        peer = theirs()
        print(row_text("gym-trading-env, rollout 2,048, batch 64", peer))
        row(
            "batch 2,048 against gym-trading-env",
            f"{batched / peer:.1f} x",
            f">= {WANTED:g} x",
            batched >= WANTED * peer,
        )


def row_text(name: str, rate: float) -> str:
    """One line."""
    return f"{name:<44} {rate:>10,.0f} decisions/s"


if __name__ == "__main__":
    main()
