"""A rule for each regime: that of the current one decides."""

import numpy as np
import pytest

from wfbt.errors import ConfigError, PolicyError
from wfbt.policy.base import Columns, evaluate, load_rule
from wfbt.policy.rotate import Rotation, rotated
from wfbt.policy.search import candidates

N = np.nan
STATES = ("calm", "normal", "turbulent")
OWN = """
import numpy as np
import pandas as pd


def level(bars, size=0.5):
    return np.full(len(bars), size)


def bracketed(bars, reach=2.0):
    return pd.DataFrame({"target": 1.0, "stop": reach * np.arange(1.0, len(bars) + 1)}, index=bars.index)


def waits(bars):
    return pd.DataFrame({"target": 1.0, "limit": bars["close"] * 0.99}, index=bars.index)


class Fitted:
    def fit(self, bars, quantile=0.5):
        self.low = bars["close"].quantile(quantile)

    def targets(self, bars):
        return np.where(bars["close"] < self.low, -1.0, 1.0)
"""


def says(target, **distances):
    return Columns(target=np.array(target, float), **{name: np.array(one, float) for name, one in distances.items()})


@pytest.fixture
def rotation(tmp_path):
    (tmp_path / "own.py").write_text(OWN)

    def make(**rules):
        return Rotation(
            states=STATES,
            rules={state: load_rule(rule, tmp_path, f"policy.rotate.{state}") for state, rule in rules.items()},
        )

    return make


@pytest.fixture
def frames(walk):
    return {"X": walk(120, 1), "Y": walk(120, 2)}


def with_regime(frames, regime):
    return {
        symbol: frame.assign(regime=np.resize(regime, len(frame)).astype(float)) for symbol, frame in frames.items()
    }


def test_the_rule_of_the_regime_decides_and_a_switch_takes_up_what_the_new_one_stands_at():
    regime = np.array([N, 0, 0, 1, 1, 0, 0, 2, 2, 1])
    calm = says([0.2, N, 0.3, N, 0.9, N, N, N, N, N])
    normal = says([N, N, N, N, -0.5, N, N, -0.6, N, N])
    out = rotated(regime, [calm, normal, None])
    # Unknown is flat; calm stands at 0.2, then 0.3; normal has not spoken, then says −0.5; calm has gone on to 0.9.
    np.testing.assert_array_equal(out.target, [0.0, 0.2, 0.3, 0.0, -0.5, 0.9, N, 0.0, N, -0.6])
    assert out.stop is None and out.limit is None


def test_distances_are_the_acting_rules_and_come_with_its_last_target():
    regime = np.array([0, 0, 1, 1, 0, 2])
    calm = says([1.0, N, N, 0.5, N, N], stop=[10, 11, 12, 13, 14, 15], take=[20, 20, 20, 23, 20, 20])
    normal = says([N, -1.0, N, N, N, N], stop=[1, 2, 3, 4, 5, 6])
    out = rotated(regime, [calm, normal, None])
    np.testing.assert_array_equal(out.target, [1.0, N, -1.0, N, 0.5, 0.0])
    spoken = ~np.isnan(out.target)
    np.testing.assert_array_equal(out.stop[spoken], [10, 2, 13, N])
    np.testing.assert_array_equal(out.take[spoken], [20, N, 23, N])
    assert out.trail is None


def test_one_rule_in_every_regime_is_that_rule():
    rng = np.random.default_rng(0)
    target = np.where(rng.random(200) < 0.3, rng.choice([-1.0, 0.0, 0.5], 200), N)
    target[0] = 0.0
    one = says(target)
    out = rotated(np.zeros(200), [one, None, None])
    np.testing.assert_array_equal(out.target, target)
    switching = rotated(rng.integers(0, 3, 200).astype(float), [one, one, one])
    stands = np.maximum.accumulate(np.where(np.isnan(target), 0, np.arange(200)))
    spoken = ~np.isnan(switching.target)
    np.testing.assert_array_equal(switching.target[spoken], target[stands][spoken])


@pytest.mark.parametrize("cut", [1, 37, 99])
def test_no_later_row_changes_an_earlier_one(cut):
    rng = np.random.default_rng(1)
    regime = rng.choice([N, 0, 1, 2], 100)
    parts = [np.where(rng.random(100) < 0.4, rng.normal(size=100), N) for _ in range(3)]
    whole = rotated(regime, [says(part) for part in parts]).target
    np.testing.assert_array_equal(rotated(regime[:cut], [says(part[:cut]) for part in parts]).target, whole[:cut])


def test_parameters_are_named_by_state_and_searched_together(rotation):
    policy = rotation(calm="own.py:level", normal="own.py:level")
    assert policy.bind({"calm.size": 0.1}) == {"calm.size": 0.1, "normal.size": 0.5}
    found = candidates({}, {"calm.size": [0.1, 0.2], "normal.size": [0.3, 0.4]}, valid=policy.is_valid)
    assert len(found.params) == 4
    with pytest.raises(ConfigError, match="belongs to no part of the rotation; its parts are calm, normal"):
        policy.bind({"turbulent.size": 1.0})


def test_each_rule_acts_in_its_own_regime_on_every_symbol(rotation, frames):
    policy = rotation(calm="own.py:level", turbulent="buy_hold")
    alone = evaluate(policy, with_regime({"X": frames["X"]}, [0, 1, 2]), {"calm.size": 0.3})
    np.testing.assert_array_equal(alone["X"].target[:6], [0.3, 0.0, 1.0, 0.3, 0.0, 1.0])
    both = rotation(normal="buy_hold", turbulent="momentum")
    for columns in evaluate(both, with_regime(frames, [0, 1]), {"turbulent.n": 3}).values():
        np.testing.assert_array_equal(columns.target[:4], [0.0, 0.5, 0.0, 0.5])


def test_a_part_that_is_fitted_makes_the_whole_fitted(rotation):
    policy = rotation(calm="own.py:Fitted", normal="buy_hold")
    assert policy.fitted and not rotation(calm="buy_hold").fitted
    assert policy.kind == "rotation"
    assert policy.name == "rotation of own.py:Fitted and buy_hold"
    assert policy.source_sha256 != rotation(calm="own.py:Fitted", turbulent="buy_hold").source_sha256


def test_a_market_without_regimes_and_orders_that_wait_are_refused(rotation, frames):
    with pytest.raises(PolicyError, match="have no regime; a run learns it from training rows"):
        evaluate(rotation(calm="buy_hold"), frames, {})
    with pytest.raises(PolicyError, match=r"rotation: own\.py:waits in normal puts out limit for"):
        evaluate(rotation(normal="own.py:waits"), with_regime({"X": frames["X"]}, [1]), {})
