"""One rule proposes, another confirms."""

import numpy as np
import pytest

from wfbt.errors import ConfigError, PolicyError
from wfbt.policy.base import Columns, evaluate, load_rule
from wfbt.policy.columns import NAMES
from wfbt.policy.hybrid import Hybrid, confirmed
from wfbt.policy.search import candidates

N = np.nan
OWN = """
import numpy as np
import pandas as pd


def dips(bars, n=5):
    fall = bars["close"].pct_change(n)
    target = np.where(fall < -0.02, 0.5, np.where(fall > 0.02, -0.5, np.nan))
    target[fall.abs() < 0.002] = 0.0
    reach = (bars["high"] - bars["low"]).rolling(n).mean()
    return pd.DataFrame({"target": target, "stop": 2 * reach, "take": 3 * reach}, index=bars.index)


class Fitted:
    def fit(self, bars, quantile=0.5):
        self.low = bars["close"].quantile(quantile)

    def targets(self, bars):
        return np.where(bars["close"] < self.low, -1.0, 1.0)


def either(bars):
    target = np.ones(len(bars))
    return pd.DataFrame({"target": target, "other": -target}, index=bars.index)


def nothing(bars):
    return np.full(len(bars), np.nan)
"""


@pytest.fixture
def hybrid(tmp_path):
    (tmp_path / "own.py").write_text(OWN)

    def make(propose, confirm, mode="veto"):
        return Hybrid(
            propose=load_rule(propose, tmp_path, "policy.hybrid.propose"),
            confirm=load_rule(confirm, tmp_path, "policy.hybrid.confirm"),
            mode=mode,
        )

    return make


def passed(target, opinion, mode, **rest):
    given = {name: np.array(column, dtype=float) for name, column in rest.items()}
    return confirmed(Columns(target=np.array(target, dtype=float), **given), np.array(opinion, dtype=float), mode)


def test_a_veto_stops_what_the_other_rule_is_against_and_nothing_else():
    out = passed([N, 1, 1, 1, -1, -1, 0.5, 0], [N, N, 1, -1, -1, 0.2, 0, 1], "veto")
    np.testing.assert_array_equal(out.target, [N, 1, 1, 0, -1, 0, 0.5, 0])


def test_to_agree_the_signs_must_be_equal():
    out = passed([N, 1, 1, 1, -1, -1, 0.5, 0], [N, N, 1, -1, -1, 0.2, 0, 1], "agree")
    np.testing.assert_array_equal(out.target, [N, N, 1, 0, -1, 0, 0, 0])


def test_to_scale_is_to_multiply_by_the_size_of_the_others_target_up_to_one():
    out = passed([N, 1, 1, 1, -1, -1, 0.5, 0], [N, N, 0.25, -0.5, -3, 0.5, 0, 1], "scale")
    np.testing.assert_array_equal(out.target, [N, N, 0.25, 0.5, -1, -0.5, 0, 0])


def test_what_both_said_last_stands_until_they_say_another_number():
    out = passed([1, N, N, N, N, -1, N], [N, 1, -1, N, 1, N, N], "veto")
    # Vetoed when the other turns, back when it relents, and vetoed again when the proposal turns.
    np.testing.assert_array_equal(out.target, [1, N, 0, N, 1, 0, N])


def test_the_proposers_distances_stay_with_its_target_and_a_veto_carries_none():
    out = passed([1, N, N, N, 1], [1, N, -1, 1, N], "veto", stop=[5, 9, 9, 9, 7], limit=[90, 91, 92, 93, 94])
    np.testing.assert_array_equal(out.target, [1, N, 0, 1, 1])
    np.testing.assert_array_equal(out.stop[[0, 2, 3, 4]], [5, N, 5, 7])
    np.testing.assert_array_equal(out.limit[[0, 2, 3, 4]], [90, N, 90, 94])


@pytest.mark.parametrize("mode", ["veto", "agree", "scale"])
def test_a_proposer_that_has_said_nothing_has_nothing_to_confirm(mode):
    out = passed([N, N, 1], [1, -1, 1], mode, stop=[3, 3, 3])
    np.testing.assert_array_equal(out.target, [N, N, 1])
    np.testing.assert_array_equal(out.stop, [N, N, 3])


@pytest.mark.parametrize(
    ("confirm", "params", "mode"),
    [("buy_hold", {"confirm.weight": 0.0}, "veto"), ("own.py:nothing", {}, "veto"), ("buy_hold", {}, "scale")],
)
def test_a_confirmation_that_never_objects_leaves_the_proposal_as_it_is(hybrid, newsy, confirm, params, mode):
    policy, frames = hybrid("own.py:dips", confirm, mode), {"BTC": newsy(600, seed=3)}
    alone, out = evaluate(policy.propose, frames, {})["BTC"], evaluate(policy, frames, params)["BTC"]
    said = ~np.isnan(alone.target)
    assert 20 < said.sum() < 580
    np.testing.assert_array_equal(out.target, alone.target)
    for name in NAMES[1:]:
        if (column := getattr(alone, name)) is not None:
            np.testing.assert_array_equal(getattr(out, name)[said], column[said])


def test_sentiment_vetoes_longs_while_it_is_low_and_shorts_while_it_is_high(hybrid, newsy):
    frame = newsy(800, seed=5)
    policy = hybrid("sma_cross", "sentiment")
    params = {"propose.fast": 3, "propose.slow": 9, "confirm.low": -0.2, "confirm.high": 0.3}
    out = evaluate(policy, {"BTC": frame}, params)["BTC"].target
    alone = evaluate(policy.propose, {"BTC": frame}, {"fast": 3, "slow": 9})["BTC"].target
    news = frame["news"].to_numpy()
    against = ((alone > 0) & (news < -0.2)) | ((alone < 0) & (news > 0.3))
    np.testing.assert_array_equal(out, np.where(against, 0.0, alone))
    assert against.sum() > 100


def test_a_built_in_proposal_is_divided_among_the_symbols_and_a_confirmation_is_not(hybrid, newsy):
    frames = {"A": newsy(100, seed=1), "B": newsy(100, seed=2)}
    policy = hybrid("buy_hold", "buy_hold", "scale")
    out = evaluate(policy, frames, {"propose.weight": 0.8, "confirm.weight": -0.5})
    assert {float(value) for one in out.values() for value in one.target} == {0.2}


@pytest.mark.parametrize("mode", ["veto", "agree", "scale"])
@pytest.mark.parametrize(("propose", "confirm"), [("own.py:dips", "sentiment"), ("ema_rsi_adx", "own.py:Fitted")])
def test_a_hybrid_is_causal_to_the_bit(hybrid, newsy, propose, confirm, mode):
    policy, frame = hybrid(propose, confirm, mode), newsy(500, seed=8)
    train = frame.index[:150].asi8
    whole = evaluate(policy, {"BTC": frame}, {}, train)["BTC"]
    for cut in np.random.default_rng(4).integers(160, 500, 25):
        scrambled = frame.copy()
        scrambled.iloc[cut:] = newsy(500, seed=2000 + cut).iloc[cut:] * 3.0
        for other in (frame.iloc[:cut], scrambled):
            part = evaluate(policy, {"BTC": other}, {}, train)["BTC"]
            for name in NAMES:
                one, same = getattr(whole, name), getattr(part, name)
                assert (one is None) == (same is None)
                if one is not None:
                    np.testing.assert_array_equal(same[:cut], one[:cut])


def test_a_hybrid_with_a_fitted_side_is_fitted_on_training_rows_and_needs_them(hybrid, newsy):
    policy, frame = hybrid("buy_hold", "own.py:Fitted"), newsy(300, seed=2)
    assert policy.fitted
    assert not hybrid("buy_hold", "sentiment").fitted
    train = frame.index[40:140].asi8
    out = evaluate(policy, {"BTC": frame}, {"confirm.quantile": 0.3}, train)["BTC"].target
    low = frame["close"].iloc[40:140].quantile(0.3)
    standing = np.where(frame["close"] < low, 0.0, 1.0)
    np.testing.assert_array_equal(out, standing)
    assert 0 < standing.mean() < 1
    with pytest.raises(PolicyError, match=r"own\.py:Fitted is fitted, so it needs training rows"):
        evaluate(policy, {"BTC": frame}, {})


def test_both_sides_are_searched_and_each_keeps_its_own_rules(hybrid):
    policy = hybrid("sma_cross", "momentum")
    search = {"propose.fast": [5, 20], "propose.slow": [10, 30], "confirm.n": [3, 4]}
    found = candidates({"propose.short": False}, search, valid=policy.is_valid)
    assert found.dropped == 2
    assert [(one["propose.fast"], one["propose.slow"], one["confirm.n"]) for one in found.params] == [
        *((5, 10, 3), (5, 10, 4), (5, 30, 3), (5, 30, 4)),
        *((20, 30, 3), (20, 30, 4)),
    ]
    assert policy.bind(found.params[0]) == {
        "propose.fast": 5,
        "propose.slow": 10,
        "propose.short": False,
        "confirm.n": 3,
        "confirm.threshold": 0.0,
        "confirm.short": True,
    }


def test_its_source_is_that_of_both_sides(hybrid, tmp_path):
    first = hybrid("own.py:dips", "sentiment")
    assert first.name == "hybrid of own.py:dips and sentiment"
    assert first.source_sha256 == hybrid("own.py:dips", "sentiment").source_sha256
    assert first.source_sha256 != hybrid("sentiment", "own.py:dips").source_sha256
    (tmp_path / "own.py").write_text(OWN + "\n# edited\n")
    again = Hybrid(propose=load_rule("own.py:dips", tmp_path), confirm=first.confirm, mode="veto")
    assert first.source_sha256 != again.source_sha256


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"propose.fats": 3}, r"policy\.hybrid\.propose\.params\.fats is not a parameter of sma_cross, did you mean"),
        ({"confirm.low": "x"}, r"policy\.hybrid\.confirm\.params\.low of sentiment must be a number, was 'x'"),
        (
            {"fast": 3},
            r"params\.fast belongs to no part of the hybrid; its parts are propose, confirm, as in propose\.f",
        ),
        (
            {"propose.fast": 50, "propose.slow": 40},
            "hybrid of sma_cross and sentiment has no meaning with propose.fast",
        ),
    ],
)
def test_a_parameter_that_cannot_be_meant_names_its_side(hybrid, newsy, params, message):
    with pytest.raises(ConfigError, match=message):
        evaluate(hybrid("sma_cross", "sentiment"), {"BTC": newsy(50, seed=1)}, params)


def test_two_orders_of_which_one_fills_cannot_be_confirmed(hybrid, newsy):
    with pytest.raises(PolicyError, match=r"hybrid: own\.py:either puts out other for BTC"):
        evaluate(hybrid("own.py:either", "own.py:nothing"), {"BTC": newsy(60, seed=3)}, {})
