"""An environment is the account of a backtest that is told the same targets."""

import warnings

import numpy as np
import pytest

pytest.importorskip("gymnasium", reason="the extra [rl] is not installed")

from gymnasium.utils.env_checker import check_env

import wfbt
from tests.engine.test_accounts import WILD
from tests.learn.stages import Choice, Weights, rough_market, rough_stage, whole
from wfbt.learn.env import TradingEnv, TradingVectorEnv
from wfbt.learn.episodes import daily
from wfbt.learn.reward import LogReturn
from wfbt.learn.stage import Stage

PARTS = ("costs", "latency", "account", "sizing", "exits", "limits")
REACH = {"wrecked": 15.0, "isolated": 8.0}


def whole_stage(name, assets, seed, discrete):
    """A stage on a rough market, and that market."""
    rng = np.random.default_rng([seed, assets])
    data = rough_market(rng, 300, assets, missing=0.03 if assets > 1 else 0.0)
    reach = REACH.get(name, 1.0) / assets
    actions = Choice((np.nan, 0.0, reach, -reach, 0.3 * reach)) if discrete else Weights(assets, reach)
    features = rng.normal(size=(300, 2))
    return data, Stage.of(data, WILD[name], features, actions, seed=3, reward=LogReturn(), terminal="ruin")


def judged_by_backtest(data, name, targets):
    return wfbt.backtest(data, targets, seed=3, **{part: getattr(WILD[name], part) for part in PARTS})


@pytest.mark.parametrize("name", WILD)
@pytest.mark.parametrize(("assets", "discrete"), [(1, True), (1, False), (3, True), (3, False)])
def test_equity_at_every_step_is_that_of_the_backtest_of_the_same_targets(name, assets, discrete):
    data, stage = whole_stage(name, assets, 1, discrete)
    env = TradingEnv(stage, whole(stage))
    env.action_space.seed(11)
    _, info = env.reset(seed=0)
    targets, equity, over = np.full((300, assets), np.nan), [info["equity"]], False
    while not over:
        action = env.action_space.sample()
        targets[info["bar"]] = stage.targets(np.asarray(action)[None])[0]
        _, _, terminated, truncated, info = env.step(action)
        equity.append(info["equity"])
        over = terminated or truncated
    ledger = judged_by_backtest(data, name, targets)
    assert np.array(equity).tobytes() == ledger.equity[: len(equity)].tobytes()
    assert truncated == (not ledger.halted)
    assert len(equity) == 299 or ledger.halted
    assert info["fees"] > 0.0


def test_wild_environments_met_funding_liquidation_and_ruin():
    met = set()
    for name in WILD:
        _, stage = whole_stage(name, 1, 1, True)
        env = TradingEnv(stage, whole(stage))
        env.action_space.seed(11)
        env.reset(seed=0)
        over = False
        while not over:
            _, _, terminated, truncated, info = env.step(env.action_space.sample())
            over = terminated or truncated
        met |= {part for part in ("funding", "liquidation", "impact", "spread") if info[part] != 0.0}
        met |= {"ruin"} if terminated else set()
    assert met == {"funding", "liquidation", "impact", "spread", "ruin"}


@pytest.mark.parametrize("assets", [1, 3])
def test_every_lane_of_a_vector_is_the_backtest_of_its_own_targets(assets):
    data, stage = whole_stage("late", assets, 2, discrete=assets == 1)
    env = TradingVectorEnv(stage, whole(stage), 5)
    env.action_space.seed(5)
    env.reset(seed=0)
    targets, equity = np.full((5, 300, assets), np.nan), []
    for bar in range(298):
        action = env.action_space.sample()
        targets[:, bar] = stage.targets(action)
        _, _, terminated, truncated, info = env.step(action)
        equity.append(info["equity"])
    assert truncated.all() and not terminated.any()
    for lane in range(5):
        ledger = judged_by_backtest(data, "late", targets[lane])
        assert np.stack(equity)[:, lane].tobytes() == ledger.equity[1:299].tobytes()


@pytest.mark.parametrize("assets", [1, 3])
def test_gymnasium_and_stable_baselines3_find_nothing_to_correct(assets):
    checked = pytest.importorskip("stable_baselines3.common.env_checker", reason="the extra [rl] is not installed")
    for actions in (Choice(), Weights(assets)):
        stage = rough_stage(assets=assets, actions=actions)
        env = TradingEnv(stage, daily(stage, (slice(0, 300),)))
        check_env(env, skip_render_check=True)
        with warnings.catch_warnings():
            if not stage.discrete:  # sizes are in 0..1, which is a remark and no fault
                warnings.filterwarnings("ignore", "We recommend you to use a symmetric")
            checked.check_env(env)
