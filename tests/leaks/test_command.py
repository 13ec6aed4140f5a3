import json

from click.testing import CliRunner

from tests.leaks.clean import RULES as CLEAN
from tests.leaks.looking import strategy
from tests.leaks.planted import RULES as PLANTED
from wfbt.cli import main


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_a_leak_is_told_with_exit_code_3(tmp_path):
    told = call("check", "lookahead", strategy(tmp_path, PLANTED["stop_knows_the_low"][0]))
    assert told.exit_code == 3
    assert told.stdout.startswith("LEAK  stop of AAA at 2024-")
    assert "later values of AAA low change it" in told.stdout


def test_a_leak_as_json(tmp_path):
    told = call("check", "lookahead", strategy(tmp_path, PLANTED["shift"][0]), "--json")
    assert told.exit_code == 3
    found = json.loads(told.stdout)
    assert found["passed"] is False
    assert found["leak"]["reads"] == ["AAA close"]


def test_a_clean_strategy_is_told_with_its_coverage(tmp_path):
    told = call("check", "lookahead", strategy(tmp_path, CLEAN["talib_sar"]), "--cuts", 60)
    assert told.exit_code == 0
    assert "found among " in told.stdout.splitlines()[0]
    assert "prefixes in a new process" in told.stdout


def test_a_key_may_be_set_for_one_check(tmp_path):
    source = """
def rule(bars, ahead=0):
    return np.sign(bars["close"].shift(-ahead).diff(3))
"""
    path = strategy(tmp_path, source)
    assert call("check", "lookahead", path, "--cuts", 20).exit_code == 0
    assert call("check", "lookahead", path, "--cuts", 20, "--set", "policy.params={ahead: 2}").exit_code == 3


def test_the_warm_up_is_told_by_column(tmp_path):
    told = call("check", "warmup", strategy(tmp_path, CLEAN["rolling_quantile"]))
    assert told.exit_code == 0
    assert any(line.split()[:3] == ["AAA", "target", "71"] for line in told.stdout.splitlines())
    assert "the folds give 1,440 bars" in told.stdout
