import json

import numpy as np
import pytest

from tests.leaks.clean import RULES as CLEAN
from tests.leaks.looking import looked, strategy, two_symbols
from tests.leaks.planted import RULES as PLANTED
from wfbt.checks import check_lookahead
from wfbt.errors import LeakError, PolicyError
from wfbt.pipeline import run
from wfbt.validation.leakage import detection, needed

QUICK = 150


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_named(name, tmp_path, monkeypatch):
    source, column = PLANTED[name]
    monkeypatch.chdir(tmp_path)
    told = looked(tmp_path, source)
    assert not told["passed"]
    assert told["leak"]["column"] == column
    assert told["leak"]["symbol"] == "AAA"
    assert told["leak"]["bar"] <= told["leak"]["cut"]
    assert column in told["leak"]["text"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_rule_is_not_accused(name, tmp_path):
    told = looked(tmp_path, CLEAN[name], cuts=QUICK)
    assert told["passed"], told["leak"]
    assert told["tests"] >= QUICK


def test_there_are_thirty_clean_rules():
    assert len(CLEAN) >= 30


def test_a_run_that_leaks_exits_3_and_publishes_nothing(tmp_path):
    path = strategy(tmp_path, PLANTED["shift"][0])
    with pytest.raises(LeakError, match=r"small\.yaml: target of AAA at 2024-.* knows what comes after") as caught:
        run(path, out=tmp_path / "out")
    assert caught.value.exit_code == 3
    assert "wfbt check lookahead" in str(caught.value)
    assert [one.name for one in (tmp_path / "out").iterdir()] == []


def test_a_run_says_how_closely_it_looked(tmp_path):
    path = strategy(tmp_path, CLEAN["rolling_quantile"])
    told = run(path, out=tmp_path / "out", report=False).to_dict()["leakage"]
    assert told["passed"]
    assert told["leak"] is None
    assert told["reasons"] == {"leak": "none was found"}
    assert told["cuts"] >= 3
    assert told["prefixes"] == 12
    assert told["fills"] == 2
    assert told["candidates"] == told["candidates_all"] == 1
    assert told["detection_probability"] == pytest.approx(detection(told["tests"]))
    assert sum(told["volatility"].values()) == told["rows_tested"] <= told["tests"]
    assert told["what_it_cannot_see"]


def test_the_same_run_looks_at_the_same_places(tmp_path):
    path = strategy(tmp_path, CLEAN["talib_rsi"], policy={"search": {}})
    one, other = (run(path, out=tmp_path / str(jobs), report=False, jobs=jobs).to_dict()["leakage"] for jobs in (1, 3))
    assert json.dumps(one) == json.dumps(other)


def test_a_strategy_may_ask_for_less_and_the_result_says_so(tmp_path):
    path = strategy(tmp_path, CLEAN["expanding_mean"], leaks={"evaluations": 8})
    told = run(path, out=tmp_path / "out", report=False).to_dict()["leakage"]
    assert told["evaluations"] < 30
    assert told["detection_probability"] < 0.2


def test_a_rule_that_draws_without_a_seed_gives_two_answers_and_is_no_leak(tmp_path):
    source = """
def rule(bars):
    return pd.Series(np.sign(np.random.normal(size=len(bars))), bars.index)
"""
    with pytest.raises(PolicyError, match="two answers"):
        looked(tmp_path, source, cuts=8)


def test_a_rule_that_another_process_answers_otherwise_is_no_leak(tmp_path):
    source = """
import os

PHASE = os.getpid()


def rule(bars):
    return pd.Series(np.where((np.arange(len(bars)) * 2654435761 + PHASE * 40503) % 1009 < 504, 1.0, -1.0), bars.index)
"""
    with pytest.raises(PolicyError, match="two new processes"):
        looked(tmp_path, source, cuts=8)


def test_a_leak_through_another_symbol_is_named_with_its_input(tmp_path):
    source = """
def rule(bars):
    later = bars["BBB"]["close"].shift(-1)
    return pd.DataFrame({"AAA": np.sign(later - bars["BBB"]["close"]), "BBB": 0.0}, bars["AAA"].index)
"""
    leak = check_lookahead(two_symbols(tmp_path, source))["leak"]
    assert (leak["symbol"], leak["column"], leak["reads"]) == ("AAA", "target", ["BBB close"])


def test_two_symbols_without_a_leak_are_not_accused(tmp_path):
    source = """
def rule(bars):
    lead = bars["BBB"]["close"].diff(12)
    return {symbol: 0.5 * np.sign(frame["close"].diff(6) + lead) for symbol, frame in bars.items()}
"""
    assert check_lookahead(two_symbols(tmp_path, source), cuts=QUICK)["passed"]


def test_a_leak_of_some_candidates_is_found_where_a_fold_chose_one(tmp_path):
    source = """
def rule(bars, ahead=0):
    return np.sign(bars["close"].shift(-ahead) - bars["close"].shift(2))
"""
    leak = check_lookahead(strategy(tmp_path, source, policy={"search": {"ahead": [0, 3]}}))["leak"]
    assert leak["params"] == {"ahead": 3}


def test_the_chance_to_see_a_leak_is_that_of_one_touched_decision_among_those_tested():
    rng = np.random.default_rng(0)
    seen = (rng.random((4000, 300)) < 0.005 * 0.5).any(axis=1).mean()
    assert detection(300) == pytest.approx(seen, abs=0.02)
    assert detection(needed(0.95)) >= 0.95 > detection(needed(0.95) - 1)


def test_the_frame_that_a_rule_is_asked_about_is_its_own(tmp_path):
    """A rule that writes to its bars changes no later answer."""
    source = """
def rule(bars):
    bars["close"] *= 2.0
    return np.sign(bars["close"].diff(12))
"""
    assert looked(tmp_path, source, cuts=20)["passed"]
