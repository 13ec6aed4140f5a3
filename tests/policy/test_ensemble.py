"""A weighted sum of rules."""

import numpy as np
import pytest

from wfbt.errors import ConfigError, PolicyError
from wfbt.policy.base import evaluate, load_rule
from wfbt.policy.ensemble import Ensemble, weighted
from wfbt.policy.search import candidates

N = np.nan
FITTED = """
import numpy as np


class Fitted:
    def fit(self, bars, quantile=0.5):
        self.low = bars["close"].quantile(quantile)

    def targets(self, bars):
        return np.where(bars["close"] < self.low, -1.0, 1.0)
"""


@pytest.fixture
def ensemble(tmp_path):
    (tmp_path / "own.py").write_text(FITTED)

    def make(**members):
        rules = tuple(
            load_rule(spec.replace("own", "own.py:Fitted"), tmp_path, "policy.ensemble[0]") for spec in members
        )
        return Ensemble(members=rules, weights=tuple(members.values()))

    return make


def test_it_holds_what_its_members_would_hold_each_with_its_share():
    targets = [[N, N, 1, N, N, -1], [N, 0.5, N, N, 0, N], [N, N, N, N, N, 1]]
    found = weighted([np.array(one, dtype=float) for one in targets], (0.5, 0.2, 0.1))
    # Silent until one of them speaks; one that has not spoken yet holds nothing; where none speaks nothing is new.
    np.testing.assert_allclose(found, [N, 0.1, 0.6, N, 0.5, -0.4], rtol=0, atol=1e-15)


def test_members_that_cancel_out_are_flat_and_not_a_rounding_away_from_it():
    targets = [np.array([1.0]), np.array([1.0]), np.array([-1.0])]
    assert weighted(targets, (0.1, 0.2, 0.3))[0] == 0.0


def test_one_member_of_weight_one_is_that_rule(ensemble, newsy):
    policy, frames = ensemble(sma_cross=1.0), {"BTC": newsy(400, seed=1)}
    alone = evaluate(policy.members[0], frames, {"fast": 5, "slow": 20})["BTC"].target
    np.testing.assert_array_equal(evaluate(policy, frames, {"1.fast": 5, "1.slow": 20})["BTC"].target, alone)


def test_weights_are_taken_as_written_and_built_ins_divided_among_the_symbols(ensemble, newsy):
    policy = ensemble(buy_hold=0.3, sentiment=0.2)
    frames = {"A": newsy(30, seed=1).assign(news=0.9), "B": newsy(30, seed=2).assign(news=-0.9)}
    out = evaluate(policy, frames, {"1.weight": 0.5})
    assert set(out["A"].target) == {(0.15 + 0.2) / 2}
    assert set(np.round(out["B"].target, 15)) == {-0.025}


def test_a_member_with_brackets_is_refused_until_it_puts_out_none(ensemble, newsy):
    policy, frames = ensemble(momentum=0.5, ema_rsi_adx=0.5), {"BTC": newsy(300, seed=1)}
    wanted = r"ensemble: member 2 \(ema_rsi_adx\) puts out stop and take for BTC.*give exits: for the whole"
    with pytest.raises(PolicyError, match=wanted):
        evaluate(policy, frames, {})
    out = evaluate(policy, frames, {"2.stop_atr": None, "2.take_atr": None})["BTC"]
    assert out.stop is out.take is None


def test_an_ensemble_is_causal_to_the_bit(ensemble, newsy):
    policy, frame = ensemble(breakout=0.3, divergence=0.25, own=0.2, session=0.15, zscore=0.1), newsy(600, seed=6)
    params = {"1.entry": 12, "1.exit": 5, "2.n": 6, "5.n": 15}
    train = frame.index[:150].asi8
    whole = evaluate(policy, {"BTC": frame}, params, train)["BTC"].target
    assert len(set(whole[160:])) > 10
    for cut in np.random.default_rng(4).integers(160, 600, 25):
        scrambled = frame.copy()
        scrambled.iloc[cut:] = newsy(600, seed=2000 + cut).iloc[cut:] * 3.0
        for other in (frame.iloc[:cut], scrambled):
            part = evaluate(policy, {"BTC": other}, params, train)["BTC"].target
            np.testing.assert_array_equal(part[:cut], whole[:cut])


def test_a_fitted_member_learns_from_training_rows_only(ensemble, newsy):
    policy, frame = ensemble(own=0.5, buy_hold=0.25), newsy(300, seed=2)
    assert policy.fitted
    out = evaluate(policy, {"BTC": frame}, {"1.quantile": 0.3}, frame.index[40:140].asi8)["BTC"].target
    low = frame["close"].iloc[40:140].quantile(0.3)
    np.testing.assert_array_equal(out, np.where(frame["close"] < low, -0.25, 0.75))
    with pytest.raises(PolicyError, match="needs training rows"):
        evaluate(policy, {"BTC": frame}, {})


def test_members_are_searched_together_under_their_numbers(ensemble):
    policy = ensemble(sma_cross=0.6, breakout=0.4)
    assert policy.name == "ensemble of sma_cross and breakout"
    search = {"1.fast": [10, 30], "1.slow": [20, 40], "2.exit": [24, 200]}
    found = candidates({"2.entry": 96}, search, valid=policy.is_valid)
    assert (len(found.params), found.dropped) == (3, 5)
    assert found.params[0] == {"2.entry": 96, "1.fast": 10, "1.slow": 20, "2.exit": 24}
    with pytest.raises(
        ConfigError, match=r"policy\.params\.3\.n belongs to no part of the ensemble; its parts are 1, 2"
    ):
        policy.bind({"3.n": 4})


def test_a_rule_may_be_a_member_twice(ensemble, newsy, tmp_path):
    rule = load_rule("momentum", tmp_path)
    policy = Ensemble(members=(rule, rule), weights=(0.5, 0.5))
    frames = {"BTC": newsy(200, seed=1)}
    out = evaluate(policy, frames, {"1.n": 3, "2.n": 30})["BTC"].target
    short, long = (evaluate(rule, frames, {"n": n})["BTC"].target for n in (3, 30))
    np.testing.assert_array_equal(out[30:], (0.5 * short + 0.5 * long)[30:])
