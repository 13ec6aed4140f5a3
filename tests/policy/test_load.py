import hashlib
import os
import sys

import pytest

from wfbt.errors import ConfigError, PolicyError
from wfbt.policy.base import REQUIRED, load_rule
from wfbt.policy.rules import BUILT_IN

SOURCE = "def rule(bars, n, k=3, *, flag=True):\n    return bars['close'] * 0 + n\n"


def test_a_built_in_is_found_with_its_parameters(tmp_path):
    rule = load_rule("sma_cross", tmp_path)
    assert rule.call is BUILT_IN["sma_cross"]
    assert rule.kind == "function"
    assert rule.source is None
    assert dict(rule.parameters) == {"fast": 24, "slow": 96, "short": True}
    assert len(rule.source_sha256) == 64


def test_a_near_built_in_is_suggested(tmp_path):
    with pytest.raises(PolicyError, match="ema_rsi_axd is no built-in rule, did you mean ema_rsi_adx"):
        load_rule("ema_rsi_axd", tmp_path)


def test_an_unknown_built_in_lists_those_there_are(tmp_path):
    with pytest.raises(PolicyError, match=r"there are ema_rsi_adx, sma_cross, .*, and your own as file\.py:attr"):
        load_rule("qqqq", tmp_path)


def test_a_file_is_read_relative_to_the_strategy(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "own.py").write_text(SOURCE)
    rule = load_rule("sub/own.py:rule", tmp_path)
    assert rule.source == (tmp_path / "sub" / "own.py").resolve()
    assert rule.source_sha256 == hashlib.sha256(SOURCE.encode()).hexdigest()
    assert dict(rule.parameters) == {"n": REQUIRED, "k": 3, "flag": True}


def test_an_edit_within_the_same_second_is_not_missed(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("def rule(bars, n=1):\n    return n\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    first = load_rule("own.py:rule", tmp_path)
    path.write_text("def rule(bars, n=2):\n    return n\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    second = load_rule("own.py:rule", tmp_path)
    assert (first.parameters["n"], second.parameters["n"]) == (1, 2)
    assert first.source_sha256 != second.source_sha256


def test_loading_a_file_leaves_no_module_and_no_byte_code_behind(tmp_path):
    (tmp_path / "own.py").write_text(SOURCE)
    before = set(sys.modules), list(sys.path)
    load_rule("own.py:rule", tmp_path)
    assert (set(sys.modules), list(sys.path)) == before
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]


def test_an_installed_package_is_named_by_module(tmp_path, monkeypatch):
    package = tmp_path / "rules_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "trend.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    rule = load_rule("rules_of_mine.trend:rule", tmp_path / "elsewhere")
    assert rule.source == package / "trend.py"
    assert rule.source_sha256 == hashlib.sha256(SOURCE.encode()).hexdigest()
    for name in ("rules_of_mine", "rules_of_mine.trend"):
        monkeypatch.delitem(sys.modules, name)


def test_a_class_takes_the_parameters_of_its_fit(tmp_path):
    (tmp_path / "own.py").write_text(
        "class Rule:\n    def fit(self, bars, n=4): ...\n    def targets(self, bars): ...\n"
    )
    rule = load_rule("own.py:Rule", tmp_path)
    assert rule.kind == "class"
    assert dict(rule.parameters) == {"n": 4}


@pytest.mark.parametrize(
    ("source", "spec", "message"),
    [
        ("", "gone.py:rule", "gone.py:rule: no file .*gone.py; the path is relative to the strategy file"),
        ("", "own.py", "own.py: name the function or class too, as in own.py:my_rule"),
        ("", "own.py:", "a rule is a built-in name, file.py:attr or package.module:attr"),
        ("def momentun(bars): pass", "own.py:momentum", "there is no momentum in own.py, did you mean momentun"),
        ("rule = 3", "own.py:rule", "own.py:rule is int, not a function or a class"),
        ("def rule(): pass", "own.py:rule", "its first argument must be the bars"),
        ("def rule(bars, n, /): pass", "own.py:rule", "n is positional-only"),
        ("class rule:\n    def targets(self, bars): pass", "own.py:rule", "fit is missing; a rule class has fit"),
        ("x = 1\ny = x / 0", "own.py:rule", "own.py:rule: own.py:2: ZeroDivisionError: division by zero"),
        ("x = 1\nif x\n", "own.py:rule", "own.py:rule: own.py:2: SyntaxError"),
        ("import no_such_module_here", "own.py:rule", "own.py:1: ModuleNotFoundError: No module named"),
        ("raise SystemExit(0)", "own.py:rule", "own.py:1: SystemExit: 0"),
        ("", "no_such_package.mod:rule", "ModuleNotFoundError: No module named 'no_such_package'"),
    ],
)
def test_a_rule_that_cannot_be_loaded_says_why(tmp_path, source, spec, message):
    (tmp_path / "own.py").write_text(source)
    with pytest.raises(PolicyError, match=message):
        load_rule(spec, tmp_path)


def test_an_unknown_parameter_suggests_the_near_one_and_lists_the_valid(tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"policy\.params\.fsat is not a parameter of sma_cross, did you mean fast\?; it takes fast, slow, short",
    ):
        load_rule("sma_cross", tmp_path).bind({"fsat": 3})


def test_a_missing_parameter_is_named(tmp_path):
    (tmp_path / "own.py").write_text(SOURCE)
    rule = load_rule("own.py:rule", tmp_path)
    with pytest.raises(ConfigError, match=r"policy\.params\.n is missing: own\.py:rule needs it; it takes n, k, flag"):
        rule.bind({"k": 1})
    assert rule.bind({"n": 9}) == {"n": 9, "k": 3, "flag": True}


def test_a_rule_with_open_keywords_takes_any(tmp_path):
    (tmp_path / "own.py").write_text("def rule(bars, **more):\n    return bars\n")
    assert load_rule("own.py:rule", tmp_path).bind({"anything": 1}) == {"anything": 1}


def test_valid_sees_defaults_and_its_own_mistakes_are_reported(tmp_path):
    (tmp_path / "own.py").write_text(
        "def rule(bars, a=1, b=2):\n    return bars\nrule.valid = lambda a, b: 1 / a < b\n"
    )
    rule = load_rule("own.py:rule", tmp_path)
    assert rule.is_valid({"b": 3})
    assert not rule.is_valid({"b": 1})
    with pytest.raises(PolicyError, match=r"own\.py:rule: valid\(\): own\.py:3: ZeroDivisionError"):
        rule.is_valid({"a": 0})
