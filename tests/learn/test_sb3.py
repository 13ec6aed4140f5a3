"""Lanes behind the interface of Stable-Baselines3 are the lanes themselves."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="the extra [rl] is not installed")

from gymnasium.vector import AutoresetMode

from tests.learn.stages import Choice, Weights, rough_stage
from wfbt.errors import ConfigError
from wfbt.learn.env import TradingVectorEnv
from wfbt.learn.episodes import random_starts, tiles
from wfbt.learn.sb3 import LaneVecEnv


@pytest.mark.parametrize("assets", [1, 3])
@pytest.mark.parametrize("jobs", [1, 2])
def test_it_steps_like_the_vector_environment_that_begins_anew_in_the_same_step(assets, jobs):
    stage = rough_stage(assets=assets, setup="guarded")
    episodes = random_starts(stage, (slice(0, 300),), 9)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 3, (50, 5)) if assets == 1 else rng.uniform(0, 1, (50, 5, 6))
    vector = TradingVectorEnv(stage, episodes, 5, autoreset=AutoresetMode.SAME_STEP)
    lanes = LaneVecEnv(stage, episodes, 5, jobs=jobs)
    lanes.seed(8)
    assert lanes.reset().tobytes() == vector.reset(seed=8)[0].tobytes()
    ended = 0
    for action in actions:
        shown, rewards, terminated, truncated, info = vector.step(action)
        seen, also, dones, infos = lanes.step(action)
        assert seen.tobytes() == shown.tobytes()
        assert also.tobytes() == rewards.astype(np.float32).tobytes()
        assert dones.tolist() == (terminated | truncated).tolist()
        for lane in np.flatnonzero(dones):
            ended += 1
            assert infos[lane]["terminal_observation"].tobytes() == info["final_obs"][lane].tobytes()
            assert infos[lane]["TimeLimit.truncated"] == truncated[lane]
            assert infos[lane]["equity"] == info["final_info"]["equity"][lane]
        assert all(infos[lane] == {} for lane in np.flatnonzero(~dones))
    assert ended >= 25
    lanes.close()


def test_an_episode_tells_the_sum_of_its_rewards_and_its_steps():
    stage = rough_stage()
    lanes = LaneVecEnv(stage, tiles(stage, (slice(0, 100),), 6, drawn=False), 2)
    lanes.reset()
    total = np.zeros(2)
    for _ in range(6):
        _, _, dones, infos = lanes.step(np.array([1, 2]))
        total += lanes.lanes.rewards
    assert dones.all()
    assert [info["episode"]["r"] for info in infos] == total.tolist()
    assert [info["episode"]["l"] for info in infos] == [6, 6]


def test_a_liquidation_is_not_taken_for_the_end_of_the_rows():
    stage = rough_stage(setup="wrecked", actions=Choice((np.nan, 15.0)))
    lanes = LaneVecEnv(stage, tiles(stage, (slice(0, 300),), 250, drawn=False), 1)
    lanes.reset()
    done = False
    while not done:
        _, _, (done,), (info,) = lanes.step(np.array([1]))
    assert info["TimeLimit.truncated"] is False
    assert lanes.lanes.bar[0] == 250  # the next tile has begun


def test_an_observation_outlives_the_step_after_it():
    stage = rough_stage()
    lanes = LaneVecEnv(stage, tiles(stage, (slice(0, 100),), 6), 3)
    before = lanes.reset()
    kept = before.copy()
    after = lanes.step(np.zeros(3, np.int64))[0]
    assert before.tobytes() == kept.tobytes() != after.tobytes()


def test_lanes_are_no_objects_that_could_be_set_or_called():
    stage = rough_stage()
    lanes = LaneVecEnv(stage, tiles(stage, (slice(0, 100),), 6), 3)
    assert lanes.env_is_wrapped(object) == [False] * 3
    assert lanes.get_attr("render_mode", [0, 2]) == [None, None]
    with pytest.raises(ConfigError, match="build another stage"):
        lanes.set_attr("reward", 1)
    with pytest.raises(ConfigError, match="fly cannot be called"):
        lanes.env_method("fly")


@pytest.mark.slow
@pytest.mark.parametrize("assets", [1, 2])
def test_algorithms_train_on_it_and_a_seed_trains_the_same_policy_again(assets):
    torch = pytest.importorskip("torch", reason="the extra [rl] is not installed")
    from stable_baselines3 import PPO

    torch.set_num_threads(1)
    stage = rough_stage(assets=assets, actions=Choice() if assets == 1 else Weights(assets), width=4)

    def trained(jobs):
        lanes = LaneVecEnv(stage, random_starts(stage, (slice(0, 250),), 20), 8, jobs=jobs)
        model = PPO("MlpPolicy", lanes, n_steps=32, batch_size=64, n_epochs=2, seed=5, device="cpu")
        model.learn(600)
        lanes.close()
        assert len(model.ep_info_buffer) >= 8
        return [one.detach().numpy().tobytes() for one in model.policy.parameters()]

    assert trained(1) == trained(2)
