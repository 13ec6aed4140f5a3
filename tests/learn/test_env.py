"""An environment is the account of a backtest that is told the same targets."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("gymnasium", reason="the extra [rl] is not installed")

from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import wfbt
from tests.engine.stage import instrument, market
from tests.engine.test_accounts import WILD
from tests.learn.stages import Choice, Weights, rough_market, rough_stage, whole
from wfbt.data.market import HOUR
from wfbt.engine.accounts import SEEN
from wfbt.engine.setup import Setup
from wfbt.errors import ConfigError
from wfbt.kernels.reward import appraise
from wfbt.learn.env import TradingEnv, TradingVectorEnv
from wfbt.learn.episodes import Episodes, daily, random_starts, tiles
from wfbt.learn.reward import LogReturn, Six
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


def rollout(env, actions, seed=None, options=None):
    """Everything that one episode gives back: observations, rewards, and the account of each step."""
    seen, info = env.reset(seed=seed, options=options)
    told = [seen.tobytes(), info["bar"], info["equity"], info["position"].tobytes()]
    for action in actions:
        seen, reward, terminated, truncated, info = env.step(action)
        told += [seen.tobytes(), reward, terminated, truncated, info["bar"], info["position"].tobytes()]
        told += [info[name] for name in ("equity", "fees", "spread", "impact", "funding", "liquidation")]
        if terminated or truncated:
            break
    return told


@given(
    before=st.lists(st.integers(0, 9), max_size=3),
    number=st.integers(0, 9),
    name=st.sampled_from(["guarded", "late", "wrecked", "thin"]),
    draw=st.integers(0, 3),
)
@settings(max_examples=25, deadline=None)
def test_an_episode_after_any_others_is_the_episode_alone(before, number, name, draw):
    reach = REACH.get(name, 1.0)
    stage = rough_stage(setup=name, actions=Choice((np.nan, 0.0, reach, -reach)), seen=tuple(SEEN))
    episodes = tiles(stage, (slice(20, 250),), 23)
    actions = np.random.default_rng(draw).integers(0, 4, 40)
    alone = rollout(TradingEnv(stage, episodes), actions, options={"episode": number})
    env = TradingEnv(stage, episodes)
    for other in before:
        rollout(env, actions[::-1], options={"episode": other})
    assert rollout(env, actions, options={"episode": number}) == alone


def test_a_seed_is_the_same_episodes_again_and_another_seed_is_not():
    stage = rough_stage()
    episodes = random_starts(stage, (slice(0, 300),), 20)
    actions = np.random.default_rng(0).integers(0, 3, 20)
    env = TradingEnv(stage, episodes)
    first = [rollout(env, actions, seed=4), *(rollout(env, actions) for _ in range(3))]
    again = TradingEnv(stage, episodes, seed=4)
    assert [rollout(again, actions) for _ in range(4)] == first
    assert len({told[1] for told in first}) > 1
    assert rollout(env, actions, seed=5)[1] != first[0][1]


def test_an_environment_that_nobody_seeds_is_the_same_every_time():
    stage = rough_stage()
    episodes = random_starts(stage, (slice(0, 300),), 20)
    assert TradingEnv(stage, episodes).reset()[1]["bar"] == TradingEnv(stage, episodes).reset()[1]["bar"]


def steps_of(env, actions, seed=None):
    """All that a vector gives back over some steps."""
    seen, info = env.reset(seed=seed)
    told = [seen.tobytes(), info["bar"].tobytes()]
    for action in actions:
        seen, rewards, terminated, truncated, info = env.step(action)
        told += [one.tobytes() for one in (seen, rewards, terminated, truncated, info["equity"], info["bar"])]
    env.close()
    return told


@pytest.mark.parametrize("autoreset", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("assets", [1, 3])
def test_threads_and_copies_change_no_number_and_lanes_differ(autoreset, assets):
    stage = rough_stage(assets=assets, setup="guarded")
    episodes = random_starts(stage, (slice(0, 300),), 12)
    rng = np.random.default_rng(0)
    shape = (60, 7) if assets == 1 else (60, 7, 6)
    actions = rng.integers(0, 3, shape) if assets == 1 else rng.uniform(0, 1, shape)
    ways = [{"jobs": jobs, "copy": copy} for jobs in (1, 2, 3, 16) for copy in (True, False)]
    told = [steps_of(TradingVectorEnv(stage, episodes, 7, autoreset=autoreset, **way), actions, 9) for way in ways]
    assert all(one == told[0] for one in told)
    assert len(np.unique(np.frombuffer(told[0][1], np.int64))) > 3
    assert steps_of(TradingVectorEnv(stage, episodes, 7, autoreset=autoreset), actions, 10) != told[0]


def test_a_lane_of_a_vector_is_the_single_environment_of_the_same_episodes():
    stage = rough_stage(setup="guarded")
    episodes = tiles(stage, (slice(0, 200),), 15, drawn=False)
    actions = np.random.default_rng(3).integers(0, 3, 15)
    vector = TradingVectorEnv(stage, episodes, 3)
    shown, _ = vector.reset()
    single = TradingEnv(stage, episodes)
    for step in range(15):
        if step == 0:
            alone = [single.reset(options={"episode": 1})[0]]
            assert alone[0].tobytes() == shown[1].tobytes()
        seen, rewards, terminated, truncated, _ = vector.step(np.full(3, actions[step]))
        one, reward, ended, cut, _ = single.step(actions[step])
        assert (seen[1].tobytes(), rewards[1], terminated[1], truncated[1]) == (one.tobytes(), reward, ended, cut)
    assert truncated[1]


def test_next_step_begins_anew_in_the_step_after_with_no_reward():
    stage = rough_stage()
    env = TradingVectorEnv(stage, tiles(stage, (slice(0, 100),), 4, drawn=False), 2)
    env.reset()
    bars, cut, rewards = [], [], []
    for _ in range(10):
        seen, reward, _, truncated, info = env.step(np.ones(2, np.int64))
        bars.append(info["bar"][0])
        cut.append(bool(truncated[0]))
        rewards.append(reward[0])
        if info["bar"][0] == 8 and not truncated[0]:
            assert seen[0].tolist() == [*stage.features[8].tolist(), 0.0, 0.0, 0.0, 0.0]
            assert (reward[0], info["equity"][0], info["fees"][0]) == (0.0, 100_000.0, 0.0)
    # Lane 0 of two plays every other tile: 0 … 4, then 8 … 12.
    assert bars == [1, 2, 3, 4, 8, 9, 10, 11, 12, 16]
    assert cut == [False] * 3 + [True] + [False] * 4 + [True, False]
    assert rewards[4] == rewards[9] == 0.0


def test_same_step_hands_over_the_last_observation_and_account_of_what_ended():
    stage = rough_stage()
    episodes = tiles(stage, (slice(0, 100),), 4, drawn=False)
    actions = np.random.default_rng(1).integers(0, 3, (4, 2))
    after, same = (
        TradingVectorEnv(stage, episodes, 2, autoreset=AutoresetMode(mode)) for mode in ("NextStep", "SameStep")
    )
    after.reset()
    same.reset()
    for action in actions:
        last, rewards, _, cut, ended = after.step(action)
        shown, again, _, also, info = same.step(action)
        assert (rewards.tobytes(), cut.tobytes()) == (again.tobytes(), also.tobytes())
    assert cut.all() and info["_final_obs"].all() and info["_final_info"].all()
    assert all(info["final_obs"][lane].tobytes() == last[lane].tobytes() for lane in range(2))
    assert info["final_info"]["equity"].tobytes() == ended["equity"].tobytes()
    assert shown[0, :3].tolist() == stage.features[8].tolist()
    assert info["equity"].tolist() == [100_000.0] * 2


def test_lanes_are_begun_anew_by_a_mask_where_nothing_does_it_for_them():
    stage = rough_stage()
    env = TradingVectorEnv(stage, tiles(stage, (slice(0, 100),), 2, drawn=False), 2, autoreset=AutoresetMode.DISABLED)
    env.reset()
    for _ in range(2):
        *_, truncated, _ = env.step(np.zeros(2, np.int64))
    assert truncated.all()
    with pytest.raises(ConfigError, match="episode of lane 0 is over"):
        env.step(np.zeros(2, np.int64))
    _, info = env.reset(options={"reset_mask": np.array([True, True]), "episode": np.array([3, 4])})
    assert info["bar"].tolist() == [6, 8]
    env.step(np.zeros(2, np.int64))
    _, info = env.reset(options={"reset_mask": np.array([False, True])})
    assert info["bar"][0] == 7
    for options, words in (({"episode": 99}, "no episode 99"), ({"epsiode": 0}, "no option 'epsiode'")):
        with pytest.raises(ConfigError, match=words):
            env.reset(options=options)
    with pytest.raises(ConfigError, match="2 bools"):
        env.reset(options={"reset_mask": np.array([False, False])})


def test_a_liquidation_terminates_and_the_end_of_the_rows_truncates():
    reach = REACH["wrecked"]
    stage = rough_stage(setup="wrecked", actions=Choice((np.nan, reach)))
    env = TradingEnv(stage, whole(stage))
    env.reset()
    over = False
    while not over:
        seen, reward, terminated, truncated, info = env.step(1)
        over = terminated or truncated
    assert terminated and not truncated
    assert info["liquidation"] > 0.0 and info["position"].tolist() == [0.0]
    assert np.isfinite(seen).all() and reward < -1.0
    with pytest.raises(ConfigError, match="call reset"):
        env.step(1)


def test_an_account_that_is_stopped_for_good_is_over_once_it_is_flat():
    setup = Setup(limits=wfbt.Limits(max_drawdown=0.05))
    data = rough_market(np.random.default_rng([0, 1]), 300, 1)
    stage = Stage.of(data, setup, np.zeros((300, 1)), Choice((np.nan, 1.0, -1.0)), seen=("position", "drawdown"))
    env = TradingEnv(stage, whole(stage))
    env.reset()
    over, downs = False, []
    while not over:
        seen, _, terminated, truncated, info = env.step(1)
        downs.append(float(seen[2]))
        over = terminated or truncated
    assert terminated and downs[-2] > 0.05
    assert info["position"].tolist() == [0.0]


def test_what_is_decided_for_an_asset_whose_features_are_not_known_is_ignored():
    rng = np.random.default_rng(2)
    data = rough_market(rng, 60, 2)
    features = rng.normal(size=(60, 3)).astype(np.float32)
    features[10:20, 1] = np.nan
    stage = Stage.of(data, WILD["plain"], features, Weights(2), seed=3, owners=np.array([0, 1, -1]))
    env = TradingEnv(stage, whole(stage))
    _, info = env.reset()
    actions, targets = rng.uniform([-1, -1, 0, 0], 1, (60, 4)), np.full((60, 2), np.nan)
    equity = [info["equity"]]
    for bar in range(58):
        seen, _, _, _, info = env.step(actions[bar])
        targets[bar] = stage.targets(actions[bar][None])[0]
        equity.append(info["equity"])
        assert np.isfinite(seen).all()
        assert (seen[1] == 0.0) == (10 <= bar + 1 < 20)
    targets[10:20, 1] = np.nan
    ledger = wfbt.backtest(data, targets, seed=3, **{part: getattr(WILD["plain"], part) for part in PARTS})
    assert np.array(equity).tobytes() == ledger.equity[:59].tobytes()


def test_an_observation_is_the_row_of_its_own_close_and_the_account_at_it():
    stage = rough_stage(assets=2, actions=Weights(2), seen=("position", "gross", "target"))
    assert stage.observed() == ("S0.position", "S0.target", "S1.position", "S1.target", "gross")
    env = TradingEnv(stage, whole(stage))
    env.reset()
    seen, _, _, _, info = env.step(np.array([1.0, -1.0, 0.5, 0.25], np.float32))
    value = info["position"] * stage.deck.tape.mark_close[1] / info["equity"]
    assert info["bar"] == 1
    assert seen[:3].tolist() == stage.features[1].tolist()
    expected = [value[0], 0.5, value[1], -0.25, np.abs(value).sum()]
    assert seen[3:].tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"features": np.zeros((5, 1))}, r"features must be \(300, X\)"),
        ({"features": np.full((300, 1), np.inf)}, "feature 0 is inf at row 0"),
        ({"seen": ("postion",)}, "did you mean position"),
        ({"seen": ("today", "today")}, "something twice"),
        ({"actions": Weights(3)}, "the action map has 3 assets"),
        ({"owners": np.array([0, 1])}, "owners must be 1 numbers of −1 … 0"),
        ({"terminal": "never"}, "terminal must be liquidation or ruin"),
    ],
)
def test_a_stage_that_cannot_be_meant_is_refused(known, words):
    data = rough_market(np.random.default_rng(0), 300, 1)
    given = {"features": np.zeros((300, 1)), "actions": Choice()} | known
    with pytest.raises(ConfigError, match=words):
        Stage.of(data, Setup(), given.pop("features"), given.pop("actions"), **given)


def test_lanes_refuse_an_episode_to_the_very_end_of_the_market():
    stage = rough_stage()
    with pytest.raises(ConfigError, match="must end by decision bar 299"):
        TradingEnv(stage, Episodes(first=np.array([0]), last=np.array([300])))
    with pytest.raises(ConfigError, match="lanes and jobs must be >= 1"):
        TradingVectorEnv(stage, whole(stage), 0)


def test_without_gymnasium_the_extra_is_named():
    blocked = "import sys; sys.modules['gymnasium'] = None; import wfbt.learn.env"
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert 'pip install "wfbt[rl]"' in done.stderr and "ConfigError" in done.stderr


def test_stages_of_all_kinds_share_one_compiled_kernel():
    for assets in (1, 2):
        for seen in ((), ("today",)):
            stage = rough_stage(assets=assets, actions=Weights(assets), seen=seen, reward=LogReturn())
            env = TradingVectorEnv(stage, whole(stage), 4, jobs=2)
            env.reset()
            env.step(np.zeros((4, 2 * assets)))
            env.close()
    assert len(appraise.signatures) == 1


@pytest.mark.parametrize("name", ["plain", "late", "guarded", "wrecked"])
def test_an_episode_knows_nothing_beyond_its_last_close(name):
    reach, rng = REACH.get(name, 1.0), np.random.default_rng(3)
    bars = rough_market(rng, 120, 1).instruments[0].bars
    features, actions = rng.normal(size=(120, 2)), rng.integers(0, 4, 60)
    told = []
    for later in (1.0, 1.5):
        factor = np.where(np.arange(120) > 60, later, 1.0)
        prices = np.stack([getattr(bars, column) * factor for column in ("open", "high", "low", "close")], axis=1)
        data = market(instrument([tuple(row) for row in prices.tolist()], symbol="S0", volume=1e5 * factor))
        shown = features * factor[:, None]
        stage = Stage.of(data, WILD[name], shown, Choice((np.nan, 0.0, reach, -reach)), seed=3)
        env = TradingEnv(stage, Episodes(first=np.array([30]), last=np.array([61])))
        told.append(rollout(env, actions))
    assert len(told[0]) > 100
    assert told[0] == told[1]


def test_with_execution_bars_a_step_is_still_a_decision_bar_and_the_backtest():
    rng = np.random.default_rng(4)
    fine = rough_market(rng, 400, 1, volatility=0.005).instruments[0].bars
    quarter = {name: getattr(fine, name) for name in ("open", "high", "low", "close", "volume")}
    minutes = wfbt.Bars(symbol="S0", period=HOUR // 4, open_ts=np.arange(400) * (HOUR // 4), **quarter)
    by_hour = {name: column.reshape(100, 4) for name, column in quarter.items()}
    coarse = wfbt.Bars(
        symbol="S0", period=HOUR, open_ts=np.arange(100) * HOUR, open=by_hour["open"][:, 0].copy(),
        high=by_hour["high"].max(axis=1), low=by_hour["low"].min(axis=1), close=by_hour["close"][:, 3].copy(),
        volume=by_hour["volume"].sum(axis=1),
    )  # fmt: skip
    data = market(wfbt.Instrument(bars=coarse, execution_bars=minutes))
    stage = Stage.of(data, WILD["late"], np.zeros((100, 1)), Choice(), seed=3)
    assert not stage.deck.plain
    env = TradingEnv(stage, whole(stage))
    _, info = env.reset()
    equity, targets = [info["equity"]], np.full(100, np.nan)
    for bar, action in enumerate(rng.integers(0, 3, 98)):
        targets[bar] = stage.targets(np.array([action]))[0, 0]
        *_, info = env.step(action)
        equity.append(info["equity"])
    assert info["bar"] == 98
    ledger = judged_by_backtest(data, "late", targets)
    assert len(ledger.fills) > 20
    assert np.array(equity).tobytes() == ledger.equity[:99].tobytes()


def test_an_inverse_contract_and_an_episode_in_the_middle_are_the_backtest_of_those_rows():
    rng = np.random.default_rng(6)
    data = rough_market(rng, 120, 1, inverse=True, multiplier=100.0)
    stage = Stage.of(data, WILD["plain"], np.zeros((120, 1)), Choice(), seed=3, reward=Six())
    env = TradingEnv(stage, Episodes(first=np.array([40]), last=np.array([90])))
    _, info = env.reset()
    equity, targets = [info["equity"]], np.full(120, np.nan)
    for action in rng.integers(0, 3, 49):
        targets[info["bar"]] = stage.targets(np.array([action]))[0, 0]
        _, _, _, truncated, info = env.step(action)
        equity.append(info["equity"])
    assert truncated
    ledger = judged_by_backtest(data, "plain", targets)
    assert np.array(equity).tobytes() == ledger.equity[40:90].tobytes()
    assert info["position"].tolist() == ledger.position[89].tolist()


def test_a_choice_for_several_assets_is_one_for_each():
    stage = rough_stage(assets=3, actions=Choice((np.nan, 1.0, -0.5)))
    targets = stage.targets(np.array([[1, 0, 2], [2, 2, 1]]))
    np.testing.assert_array_equal(targets, [[1.0, np.nan, -0.5], [-0.5, -0.5, 1.0]])
    assert stage.targets(np.array([[0, 0, 0]])).shape == (1, 3)
