"""What the default gate says of runs."""

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfbt.config.schema import Mandate
from wfbt.errors import ConfigError
from wfbt.gate.criteria import Criteria, Criterion, Kind, profile, profiles
from wfbt.gate.facts import Daily, Tries, baseline_facts
from wfbt.gate.verdict import Status

from .runs import FIRST, daily, found, judged, result

OF = daily()
GOOD = result(OF)
PROFILES = {name: profile(name) for name in profiles()}


def places(node, path=()):
    """The path of everything inside, inner nodes too."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, inner in inside:
        yield (*path, key)
        yield from places(inner, (*path, key))


PLACES = list(places(GOOD))


def changed(told, path, value):
    """A copy with `value` at `path`."""
    copy = deepcopy(told)
    node = copy
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return copy


def without(told, path):
    copy = deepcopy(told)
    node = copy
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    return copy


def spoilt(told, path, how):
    match how:
        case "absent":
            return without(told, path)
        case "null":
            return changed(told, path, None)
        case "nan":
            return changed(told, path, float("nan"))
        case "infinite":
            return changed(told, path, float("inf"))
        case "list":
            return changed(told, path, [])
        case "mapping":
            return changed(told, path, {})
    return changed(told, path, how)


WAYS = ["absent", "null", "nan", "infinite", "list", "mapping", "text", "3.0", ""]

YEAR = GOOD["ruin"]["within_a_year"]["3"]

BREACHES = {
    "leak": (("leakage", "passed"), False, "REFUSED"),
    "other returns": (("oos", "total_return"), 9.0, "REFUSED"),
    "drawdown": (("oos", "max_drawdown"), 0.3, "FAIL"),
    "simulated drawdown": (("ruin", "drawdowns", "2", 1, "depth"), 0.3, "FAIL"),
    "ruin": (("ruin", "within_a_year", "3"), YEAR | {"low": 0.011, "high": 0.02}, "FAIL"),
    "ruin, in doubt": (("ruin", "within_a_year", "3", "high"), 0.02, "INCONCLUSIVE"),
    "stress": (("stress", "scenarios", 0, "loss"), 0.6, "FAIL"),
    "stress by itself": (("stress", "within_mandate"), False, "FAIL"),
    "costs": (("robustness", "costs", "levels", 0, "sharpe"), -2.0, "FAIL"),
    "costs, in doubt": (("robustness", "costs", "levels", 0, "sharpe"), -0.1, "INCONCLUSIVE"),
    "parameters": (("robustness", "params", "quantiles", "median"), 0.1, "FAIL"),
    "parameters, in doubt": (("robustness", "params", "quantiles", "median"), 2.0, "INCONCLUSIVE"),
    "noise": (("robustness", "noise", "quantiles", "median"), 0.1, "FAIL"),
    "delay": (("robustness", "delay", "quantiles", "median"), 0.1, "FAIL"),
    "one bar": (("robustness", "delay", "fixed", 1, "sharpe"), 0.1, "FAIL"),
    "best fold, in doubt": (("overfitting", "fold_concentration", "without_best"), -0.1, "INCONCLUSIVE"),
    "number of round trips": (("oos", "trades"), 99, "INCONCLUSIVE"),
}


@pytest.mark.parametrize("name", PROFILES)
def test_a_run_that_has_everything_passes(name):
    verdict = judged(GOOD, OF, criteria=PROFILES[name])
    assert verdict.status is Status.PASS, [one.why for one in verdict.findings if one.passed is not True]
    assert all(one.to_change == "" for one in verdict.findings)


@pytest.mark.parametrize("name", BREACHES)
def test_one_thing_wrong_decides(name):
    path, value, status = BREACHES[name]
    verdict = judged(changed(GOOD, path, value), OF)
    assert verdict.status == status
    (unmet,) = [one for one in verdict.findings if one.passed is not True]
    assert unmet.passed is False
    assert unmet.to_change


def test_without_a_trial_ledger_nothing_is_evidence():
    for tries in (Tries(attempt=None, series=1), Tries(attempt=1, series=None)):
        verdict = judged(GOOD, OF, tries)
        assert verdict.status is Status.INCONCLUSIVE
        assert found(verdict, "z of the Sharpe ratio").passed is None
        assert "ledger" in found(verdict, "z of the Sharpe ratio").why


def test_the_threshold_is_that_of_the_attempt_and_of_the_series_seen():
    verdict = judged(GOOD, OF, Tries(attempt=1, series=50))
    assert round(found(verdict, "z of the Sharpe ratio").threshold, 2) == 3.72
    assert (
        found(verdict, "z of alpha after buy-and-hold").threshold == found(verdict, "z of the Sharpe ratio").threshold
    )


def test_too_little_evidence_is_inconclusive_and_a_bound_below_the_declared_edge_fails():
    some = daily(sharpe=1.0, days=800)
    verdict = judged(result(some, sharpe=1.0), some)
    assert verdict.status is Status.INCONCLUSIVE
    assert found(verdict, "Sharpe ratio that is still possible").passed is True
    assert "more data" in found(verdict, "z of the Sharpe ratio").to_change
    assert any("even chance" in note for note in verdict.notes)
    none = daily(sharpe=0.05, days=2000)
    verdict = judged(result(none, sharpe=0.05), none)
    assert verdict.status is Status.FAIL
    assert found(verdict, "Sharpe ratio that is still possible").passed is False


def test_a_winner_picked_on_the_window_is_not_failed_by_its_biased_bound():
    none = daily(sharpe=0.05, days=2000)
    verdict = judged(result(none, sharpe=0.05), none, Tries(attempt=1, series=50, picked=True))
    assert "Sharpe ratio that is still possible" not in {one.criterion.name for one in verdict.findings}
    assert verdict.status is Status.INCONCLUSIVE


def test_leveraged_buy_and_hold_has_a_sharpe_ratio_and_no_alpha():
    rng = np.random.default_rng(8)
    held = daily(sharpe=3.0).returns
    of = replace(OF, returns=2.0 * held + 1e-4 * rng.standard_normal(len(held)), held=held)
    verdict = judged(result(of), of)
    assert found(verdict, "z of the Sharpe ratio").passed is True
    assert found(verdict, "z of alpha after buy-and-hold").passed is False
    assert verdict.status is Status.INCONCLUSIVE


def test_the_best_fold_may_be_proven_to_be_all_there_is():
    rng = np.random.default_rng(2)
    returns = 0.01 * rng.standard_normal(1200) - 0.002
    returns[OF.fold == 3] += 0.05
    of = replace(OF, returns=returns)
    told = changed(result(of), ("overfitting", "fold_concentration", "without_best"), -0.8)
    one = found(judged(told, of), "profit without the best fold")
    assert one.passed is False
    assert not one.open


def test_fewer_than_thirty_days_are_no_statistic():
    few = daily(days=20)
    verdict = judged(result(few), few)
    assert verdict.status is Status.INCONCLUSIVE
    assert "30" in found(verdict, "z of the Sharpe ratio").why


def test_five_folds_are_too_few_for_a_rule_to_fail():
    few = daily(folds=5)
    told = changed(result(few), ("robustness", "params", "quantiles", "median"), -2.0)
    verdict = judged(told, few)
    assert found(verdict, "number of folds").passed is False
    assert not found(verdict, "Sharpe kept with parameters moved, or by other seeds").open
    assert verdict.status is Status.INCONCLUSIVE


def test_a_level_that_did_not_run_is_not_a_level_that_passed():
    left_out = changed(GOOD, ("monte_carlo", "2"), None)
    left_out["monte_carlo"]["reasons"]["2"] = "monte_carlo.levels leaves it out"
    verdict = judged(left_out, OF)
    assert verdict.status is Status.INCONCLUSIVE
    assert "leaves it out" in found(verdict, "chance of losing half in a year").why


def test_with_two_symbols_level_four_and_broken_correlations_have_to_run():
    verdict = judged(changed(GOOD, ("data", "ETHUSDT"), {}), OF)
    assert verdict.status is Status.INCONCLUSIVE
    assert found(verdict, "chance of losing half in a year").passed is None
    assert found(verdict, "worst stress").why == "one symbol is traded"


def test_every_kind_of_stress_has_to_be_played():
    for at, kind in ((2, "liquidity crisis"), (4, "exchange outage")):
        one = found(judged(without(GOOD, ("stress", "scenarios", at)), OF), "worst stress")
        assert one.passed is None
        assert kind in one.why


def test_combinatorial_paths_are_no_series_to_judge():
    assert judged(GOOD | {"paths": []}, OF).status is Status.INCONCLUSIVE


def test_a_section_that_was_switched_off_is_told_with_its_reason():
    told = GOOD | {"stress": None, "reasons": {"stress": "the strategy's stress section is null"}}
    verdict = judged(told, OF)
    assert verdict.status is Status.INCONCLUSIVE
    assert found(verdict, "worst stress").why == "the strategy's stress section is null"


def test_the_result_cannot_bring_its_own_facts_or_mandate():
    forged = changed(GOOD, ("oos", "max_drawdown"), 0.4) | {"gate": {"sharpe_z": 9.0}, "mandate": {"max_drawdown": 1.0}}
    assert judged(forged, OF).status is Status.FAIL


def test_the_mandate_is_what_the_strategy_promised():
    promised = Mandate(max_drawdown=0.1, max_stress_loss=0.5, min_sharpe=1.0)
    assert judged(GOOD, OF, mandate=promised).status is Status.FAIL


def test_all_any_min_and_max_ask_every_regime():
    def asked(metric, operator, threshold):
        one = Criterion(name="r", metric=metric, operator=operator, threshold=threshold, kind=Kind.RULE, why="w")
        return Criteria(name="c", spend=0.01, criteria=(one,))

    lost = changed(GOOD, ("regimes", "by_regime", "wild", "sharpe"), None)
    sharpe = "(regimes.by_regime.*.sharpe)"
    for metric, threshold, whole, partly in [
        ("all" + sharpe, 0.5, True, None),
        ("all" + sharpe, 1.5, False, None),
        ("all" + sharpe, 2.5, False, False),
        ("any" + sharpe, 1.5, True, True),
        ("any" + sharpe, 2.5, False, None),
        ("min" + sharpe, 0.5, True, None),
        ("max" + sharpe, 1.5, True, None),
        ("max" + sharpe, 2.5, False, None),
    ]:
        criteria = asked(metric, ">=", threshold)
        assert found(judged(GOOD, OF, criteria=criteria), "r").passed is whole, (metric, threshold)
        assert found(judged(lost, OF, criteria=criteria), "r").passed is partly, (metric, threshold)


def test_a_number_is_not_true_and_true_is_no_number():
    assert judged(changed(GOOD, ("leakage", "passed"), 1), OF).status is Status.INCONCLUSIVE
    assert judged(changed(GOOD, ("oos", "max_drawdown"), False), OF).status is Status.INCONCLUSIVE


def test_a_failed_check_from_outside_refuses_the_run():
    outside = replace(found(judged(GOOD, OF), "no leak was found"), passed=False, to_change="sign it")
    assert judged(GOOD, OF, integrity=(outside,)).status is Status.REFUSED


def test_series_of_different_days_are_refused():
    with pytest.raises(ConfigError, match="same days"):
        replace(OF, held=OF.held[1:])


def test_the_verdict_of_the_same_run_is_the_same_text():
    first, again = (judged(deepcopy(GOOD), daily()) for _ in range(2))
    assert json.dumps(first.to_dict(), allow_nan=False) == json.dumps(again.to_dict(), allow_nan=False)
    assert (first.to_junit(), first.to_markdown()) == (again.to_junit(), again.to_markdown())


@pytest.mark.parametrize("name", PROFILES)
@settings(max_examples=40, deadline=None)
@given(
    breach=st.sampled_from(sorted(BREACHES)),
    spoils=st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(WAYS)), min_size=1, max_size=3),
)
def test_spoiling_a_result_never_turns_a_non_pass_into_a_pass(name, breach, spoils):
    path, value, _ = BREACHES[breach]
    wrong = changed(GOOD, path, value)
    if judged(wrong, OF, criteria=PROFILES[name]).status is Status.PASS:
        return  # research asks for fewer round trips
    for place, how in spoils:
        try:
            wrong = spoilt(wrong, place, how)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier one took the place away
    assert judged(wrong, OF, criteria=PROFILES[name]).status is not Status.PASS


@pytest.mark.parametrize("how", WAYS)
def test_spoiling_the_breach_itself_never_makes_a_pass(how):
    for path, value, _ in BREACHES.values():
        for depth in range(1, len(path) + 1):
            wrong = spoilt(changed(GOOD, path, value), path[:depth], how)
            assert judged(wrong, OF).status is not Status.PASS, path[:depth]


@given(tries=st.sampled_from([FIRST, Tries(attempt=3, series=200)]), days=st.integers(0, 60), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_missing_day_never_passes(tries, days, seed):
    holed = OF.returns.copy()
    holed[np.random.default_rng(seed).integers(0, len(holed), days + 1)] = np.nan
    assert judged(GOOD, replace(OF, returns=holed), tries).status is not Status.PASS


SEEDS = {"count": 5, "interquartile_mean": 2.6, "interval": {"low": 1.1, "high": 3.4}}


@pytest.mark.parametrize(
    ("params", "seeds", "share"),
    [
        (None, SEEDS, 2.6 / 3.0),
        ({"reach": 0.2, "quantiles": {"median": 2.4}}, SEEDS, 2.4 / 3.0),
        ({"reach": 0.2, "quantiles": {"median": 2.9}}, SEEDS, 2.6 / 3.0),
        (None, SEEDS | {"interval": {"low": -0.3, "high": 3.4}}, -0.3 / 3.0),
        (None, {"count": 1, "reasons": {}}, None),
        (None, None, None),
    ],
)
def test_a_network_is_moved_by_its_seeds_and_a_rule_by_its_parameters(params, seeds, share):
    told = result(OF)
    told["robustness"]["params"] = params
    if seeds is not None:
        told["seeds"] = seeds
    one = found(judged(told, OF), "Sharpe kept with parameters moved, or by other seeds")
    assert one.value == (None if share is None else pytest.approx(share))
    assert one.passed is (None if share is None else share >= 0.7)


def test_a_squeeze_of_shorts_costs_an_account_nothing_that_was_never_short():
    told = deepcopy(GOOD)
    squeeze = {"name": "flash melt-up, one bar", "loss": None, "reasons": {"loss": "the account was never net short"}}
    told["stress"]["scenarios"].append(squeeze)
    one = found(judged(told, OF), "worst stress")
    assert (one.value, one.passed) == (0.3, True)
    squeeze["reasons"]["loss"] = "it was not played"
    assert found(judged(told, OF), "worst stress").passed is None


TIMID = {
    "params": (("robustness", "params", "reach"), 0.001, "Sharpe kept with parameters moved, or by other seeds"),
    "noise": (("robustness", "noise", "noise"), 1e-9, "Sharpe kept with noisy prices"),
    "delay": (("robustness", "delay", "fixed"), [{"bars": 0, "sharpe": 3.0}, {"bars": 1, "sharpe": 2.9}],
              "Sharpe kept with entries delayed"),
    "crisis": (("stress", "scenarios", 2, "severity", "spread"), 1.1, "worst stress"),
    "outage": (("stress", "scenarios", 4, "severity", "outage_hours"), 1.0, "worst stress"),
}  # fmt: skip


@pytest.mark.parametrize("name", TIMID)
def test_a_test_that_the_strategy_made_too_mild_is_not_one_that_was_met(name):
    path, value, criterion = TIMID[name]
    verdict = judged(changed(GOOD, path, value), OF)
    assert verdict.status is Status.INCONCLUSIVE
    assert found(verdict, criterion).passed is None


def test_one_flash_crash_as_deep_as_the_gate_asks_is_enough():
    mild = changed(GOOD, ("stress", "scenarios", 0, "severity", "shock"), -0.01)
    assert judged(mild, OF).status is Status.PASS
    none = changed(mild, ("stress", "scenarios", 1, "severity", "shock"), -0.01)
    assert found(judged(none, OF), "worst stress").passed is None


def test_days_that_do_not_vary_cannot_be_compared_with_a_baseline():
    still = Daily(returns=np.zeros(100), held=OF.held[:100], fold=np.ones(100, np.int64), periods_per_year=365.0)
    told = baseline_facts(still, still)
    assert told["baseline_change"] is None
    assert "do not vary" in told["reasons"]["baseline_change"]
