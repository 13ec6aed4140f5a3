"""What a step is worth, beside the same from a finished ledger and from the paper."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wfbt
from tests.engine.stage import FREE, instrument, market
from tests.engine.test_accounts import WILD
from tests.learn.stages import Choice, Weights, rough_market, whole
from tests.naive import reward as naive
from wfbt.engine.setup import Setup
from wfbt.errors import ConfigError
from wfbt.learn.episodes import Episodes
from wfbt.learn.lanes import Lanes
from wfbt.learn.reward import (
    REWARDS,
    DifferentialSharpe,
    LogReturn,
    Portfolio,
    Six,
    reward_named,
    told,
    usual_move,
)
from wfbt.learn.stage import Stage

ROWS = 300
# The running sums of a window are off by rounding, some 1e-17 of squares against a floor of 1e-8.
CLOSE = 1e-9


def stage_of(data, setup, reward, assets, reach=1.0):
    targets = (np.nan, 0.0, reach / assets, -reach / assets, 0.4 * reach / assets)
    features = np.zeros((len(data.instruments[0].bars), 1), np.float32)
    return Stage.of(data, setup, features, Choice(targets), seed=3, reward=reward, terminal="ruin")


def played(stage, actions):
    """(T − 2,) rewards of one episode over the whole market, and the (T, A) targets that were told."""
    lanes = Lanes(stage, whole(stage), 1)
    lanes.begin(np.zeros(1, np.int64))
    targets, rewards = np.full((len(stage.deck.decisions), stage.assets), np.nan), []
    while not lanes.over[0]:
        bar = lanes.bar[0]
        targets[bar] = stage.targets(actions[bar : bar + 1])[0]
        lanes.step(targets[bar : bar + 1])
        rewards.append(lanes.rewards[0])
    return np.array(rewards), targets


def facts(data, setup, targets):
    """What the ledger of the same targets says, as the naive rewards read it."""
    parts = {part: getattr(setup, part) for part in ("costs", "latency", "account", "sizing", "exits", "limits")}
    ledger = wfbt.backtest(data, targets, seed=3, **parts)
    fills = [
        (int(f["row"]), int(f["asset"]), float(f["qty"]), float(f["price"]), float(f["spread"])) for f in ledger.fills
    ]
    last = len(ledger.equity) - 1  # an environment's account waits on the market's last bar but one
    return ledger.equity[:last].tolist(), ledger.position[:last].tolist(), ledger.mark[:last].tolist(), fills


def seldom(rng, assets):
    """Actions that trade one bar in four."""
    every = rng.integers(0, 5, (ROWS, assets))
    every[rng.random((ROWS, assets)) < 0.75] = 0
    return every[:, 0] if assets == 1 else every


@pytest.mark.parametrize("measure", ["sharpe", "sortino"])
@pytest.mark.parametrize("name", ["plain", "late", "guarded"])
@pytest.mark.parametrize("assets", [1, 3])
def test_the_six_parts_are_those_of_the_ledger_of_the_same_targets(measure, name, assets):
    rng = np.random.default_rng([7, assets])
    data = rough_market(rng, ROWS, assets)
    reward = Six(measure=measure, window=9, threshold=0.05, max_trades=2.0, reference=5.0)
    rewards, targets = played(stage_of(data, WILD[name], reward, assets), seldom(rng, assets))
    expected = naive.six(
        *facts(data, WILD[name], targets), weights=(1.0, 0.5, 1.0, 0.3, 0.2, 0.4), downside=measure == "sortino",
        unit=0.01, window=9, threshold=0.05, max_trades=2.0, reference=5.0,
    )  # fmt: skip
    assert rewards == pytest.approx(expected, rel=CLOSE, abs=CLOSE)


@pytest.mark.parametrize("weight", ["drawdown", "trades", "holding", "spread", "ratio", "returns"])
def test_each_of_the_six_parts_alone_is_that_of_the_ledger(weight):
    rng = np.random.default_rng(8)
    data = rough_market(rng, ROWS, 2)
    names = ("returns", "ratio", "drawdown", "trades", "holding", "spread")
    weights = {name: float(name == weight) for name in names}
    rewards, targets = played(stage_of(data, WILD["plain"], Six(**weights), 2), seldom(rng, 2))
    expected = naive.six(
        *facts(data, WILD["plain"], targets), weights=tuple(weights.values()), downside=False, unit=0.01, window=32,
        threshold=0.1, max_trades=10.0, reference=24.0,
    )  # fmt: skip
    assert np.any(rewards != 0.0)
    assert rewards == pytest.approx(expected, rel=CLOSE, abs=CLOSE)


@pytest.mark.parametrize("assets", [1, 3])
def test_the_portfolio_reward_is_that_of_the_ledger(assets):
    rng = np.random.default_rng([9, assets])
    data = rough_market(rng, ROWS, assets)
    setup = Setup(account=wfbt.Account(leverage=5), sizing=wfbt.Sizing(max_position=5.0))
    reward = Portfolio(window=7, free=0.5, most=2.0)
    rewards, targets = played(stage_of(data, setup, reward, assets, reach=2.0), seldom(rng, assets))
    equity, position, mark, _ = facts(data, setup, targets)
    expected = naive.portfolio(
        equity, position, mark, weights=(1.0, 0.5, 0.2, 0.3), free=0.5, most=2.0, unit=0.01, window=7
    )
    assert rewards == pytest.approx(expected, rel=CLOSE, abs=CLOSE)


def test_the_differential_sharpe_ratio_and_the_log_return_are_those_of_the_ledger():
    rng = np.random.default_rng(10)
    data, actions = rough_market(rng, ROWS, 1), seldom(rng, 1)
    rewards, targets = played(stage_of(data, WILD["plain"], DifferentialSharpe(rate=0.05), 1), actions)
    equity, *_ = facts(data, WILD["plain"], targets)
    expected = naive.differential_sharpe(naive.returns(equity), 0.05, 0.01)
    assert rewards == pytest.approx(expected, rel=1e-10, abs=1e-12)
    rewards, _ = played(stage_of(data, WILD["plain"], LogReturn(), 1), actions)
    assert rewards == pytest.approx(naive.log_return(equity), rel=1e-12, abs=1e-15)
    assert rewards.sum() == pytest.approx(log(equity[-1] / equity[0]), rel=1e-12)


def test_the_differential_sharpe_ratio_is_the_slope_of_the_moving_one():
    # S(η) = A/√(B − A²) after the next return; its derivative at η = 0 is D.
    gains = [0.01, -0.004, 0.007, 0.012, -0.02, 0.003]
    first = second = 0.0
    for r, step in zip(gains, naive.differential_sharpe(gains, 0.3, 1e-9), strict=True):
        if second > 0.0:

            def moving(eta, r=r, first=first, second=second):
                a, b = first + eta * (r - first), second + eta * (r * r - second)
                return a / sqrt(b - a * a)

            assert step == pytest.approx((moving(1e-6) - moving(-1e-6)) / 2e-6, rel=1e-6)
        first, second = first + 0.3 * (r - first), second + 0.3 * (r * r - second)


@pytest.mark.kernel
def test_a_decision_earns_nothing_of_the_bar_that_it_was_made_on():
    # Bar 1 rises by a tenth before its close, bar 3 from its open to its close.
    prices = [100.0, (100.0, 110.0, 100.0, 110.0), 110.0, (110.0, 121.0, 110.0, 121.0), 121.0, 121.0]
    data = market(instrument(prices, symbol="A"))
    setup = Setup(costs=FREE)
    long_at = {row: np.where(np.arange(6) == row, 2, 0) for row in (1, 2)}
    seen_rise, _ = played(
        Stage.of(data, setup, np.zeros((6, 1)), Choice((np.nan, 0.0, 1.0)), reward=LogReturn()), long_at[1]
    )
    assert seen_rise.tolist() == pytest.approx([0.0, 0.0, log(1.1), 0.0])
    later, _ = played(
        Stage.of(data, setup, np.zeros((6, 1)), Choice((np.nan, 0.0, 1.0)), reward=LogReturn()), long_at[2]
    )
    assert later.tolist() == pytest.approx([0.0, 0.0, log(1.1), 0.0])
    flat = np.where(np.arange(6) == 3, 2, 0)
    too_late, _ = played(Stage.of(data, setup, np.zeros((6, 1)), Choice((np.nan, 0.0, 1.0)), reward=LogReturn()), flat)
    assert too_late.tolist() == [0.0, 0.0, 0.0, 0.0]


def test_what_comes_later_changes_no_earlier_reward():
    rng = np.random.default_rng(12)
    data, actions = rough_market(rng, ROWS, 1), seldom(rng, 1)
    one = data.instruments[0].bars
    factor = np.where(np.arange(ROWS) > 200, 1.7, 1.0)
    rows = list(zip(one.open * factor, one.high * factor, one.low * factor, one.close * factor, strict=True))
    altered = market(instrument(rows, symbol="S0", volume=1e5))
    unaltered = market(
        instrument(list(zip(one.open, one.high, one.low, one.close, strict=True)), symbol="S0", volume=1e5)
    )
    before, _ = played(stage_of(unaltered, WILD["plain"], Six(), 1), actions)
    after, _ = played(stage_of(altered, WILD["plain"], Six(), 1), actions)
    assert before[:200].tobytes() == after[:200].tobytes()
    assert before[200] != after[200]


PENALTIES = [
    Six(returns=0.0, ratio=0.0, holding=0.0, drawdown=1.0, trades=0.0, spread=0.0, threshold=0.01),
    Six(returns=0.0, ratio=0.0, holding=0.0, drawdown=0.0, trades=1.0, spread=0.0),
    Six(returns=0.0, ratio=0.0, holding=0.0, drawdown=0.0, trades=0.0, spread=1.0),
    Portfolio(returns=0.0, ratio=0.0, concentration=1.0, leverage=0.0),
    Portfolio(returns=0.0, ratio=0.0, concentration=0.0, leverage=1.0, free=0.1, most=0.5),
]
ROUGH = rough_market(np.random.default_rng(13), 80, 2)


@pytest.mark.parametrize("reward", PENALTIES, ids=["drawdown", "trades", "spread", "concentration", "leverage"])
@given(actions=st.lists(st.tuples(*[st.integers(0, 4)] * 2), min_size=80, max_size=80))
@settings(max_examples=15, deadline=None)
def test_what_is_taken_off_is_within_nothing_and_its_weight(reward, actions):
    rewards, _ = played(stage_of(ROUGH, WILD["plain"], reward, 2), np.array(actions))
    assert (rewards <= 0.0).all() and (rewards >= -1.0).all()


@pytest.mark.kernel
@pytest.mark.parametrize("reward", PENALTIES, ids=["drawdown", "trades", "spread", "concentration", "leverage"])
def test_every_penalty_is_met(reward):
    actions = np.random.default_rng(14).integers(0, 5, (80, 2))
    rewards, _ = played(stage_of(ROUGH, WILD["plain"], reward, 2), actions)
    assert rewards.min() < 0.0


@given(actions=st.lists(st.integers(0, 4), min_size=80, max_size=80), width=st.integers(2, 50))
@settings(max_examples=15, deadline=None)
def test_ratio_and_holding_are_within_one(actions, width):
    for name in ("ratio", "holding"):
        weights = {one: float(one == name) for one in ("returns", "ratio", "drawdown", "trades", "holding", "spread")}
        data = rough_market(np.random.default_rng(15), 80, 1)
        rewards, _ = played(stage_of(data, WILD["plain"], Six(**weights, window=width), 1), np.array(actions))
        assert (np.abs(rewards) <= 1.0).all()


@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_remembers_nothing_of_the_episode_before(name):
    rng = np.random.default_rng(16)
    stage = stage_of(rough_market(rng, ROWS, 1), WILD["plain"], reward_named(name), 1)
    episodes = Episodes(first=np.array([0, 100]), last=np.array([90, 250]), drawn=False)
    actions = rng.integers(0, 5, ROWS)

    def rewards(numbers):
        lanes = Lanes(stage, episodes, 1)
        for number in numbers:
            lanes.begin(np.zeros(1, np.int64), np.array([number]))
            told = []
            while not lanes.over[0]:
                lanes.step(stage.targets(actions[lanes.bar]))
                told.append(lanes.rewards[0])
        return np.array(told).tobytes()

    assert rewards([1]) == rewards([0, 1]) == rewards([1, 0, 1])


def test_a_lost_account_is_rewarded_with_what_it_lost():
    rng = np.random.default_rng([1, 1])
    setup = WILD["wrecked"]
    data = rough_market(rng, ROWS, 1)
    actions = np.full(ROWS, 2)
    for reward, least in ((LogReturn(), log(1e-6)), (Six(returns=1.0, ratio=0.0, drawdown=0.0), -100.0)):
        rewards, _ = played(stage_of(data, setup, reward, 1, reach=15.0), actions)
        assert np.isfinite(rewards).all()
        assert rewards.min() >= least - 1.0


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("sixx", {}, "did you mean six"),
        ("six", {"treshold": 0.1}, "did you mean threshold"),
        ("sortino", {"measure": "sharpe"}, "'measure' is unknown"),
        ("log_return", {"unit": 1.0}, "has no settings"),
        ("six", {"window": 1}, "whole number of 2 to"),
        ("six", {"trades": -0.1}, r"reward.trades must be >= 0, was -0.1"),
        ("six", {"unit": 0.0}, r"reward.unit must be > 0, was 0"),
        ("six", {"threshold": 1.0}, r"must be >= 0 and < 1, was 1"),
        ("portfolio", {"most": 1.0}, r"reward.most must be > 1"),
        ("differential_sharpe", {"rate": float("nan")}, r"reward.rate must be > 0 and <= 1, was nan"),
    ],
)
def test_a_reward_that_cannot_be_meant_is_refused(name, params, words):
    with pytest.raises(ConfigError, match=words):
        reward_named(name, params)


@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_is_made_again_of_what_a_manifest_tells(name):
    reward = reward_named(name)
    assert told(reward)["name"] == name
    assert reward_named(**told(reward)) == reward


def test_the_usual_move_is_that_of_training_rows_alone():
    marks = np.array([[100.0], [101.0], [99.99], [500.0], [400.0], [404.0]])
    assert usual_move(marks, (slice(0, 3), slice(4, 6))) == pytest.approx(0.01)
    with pytest.raises(ConfigError, match="two returns that are not 0"):
        usual_move(marks, (slice(0, 2),))


def test_continuous_weights_are_rewarded_alike():
    rng = np.random.default_rng(17)
    data = rough_market(rng, 100, 3)
    stage = Stage.of(data, WILD["plain"], np.zeros((100, 1)), Weights(3), seed=3, reward=Portfolio())
    rewards, targets = played(stage, rng.uniform([-1.0] * 3 + [0.0] * 3, 1.0, (100, 6)))
    equity, position, mark, _ = facts(data, WILD["plain"], targets)
    expected = naive.portfolio(
        equity, position, mark, weights=(1.0, 0.5, 0.2, 0.3), free=1.0, most=3.0, unit=0.01, window=32
    )
    assert rewards == pytest.approx(expected, rel=CLOSE, abs=CLOSE)
