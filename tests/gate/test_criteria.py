"""Criteria files, and the paths they read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfbt.errors import ConfigError
from wfbt.gate.criteria import Criterion, Kind, load_criteria, profile, profiles
from wfbt.gate.judge import facts_of
from wfbt.gate.metrics import Missing, check_metric, parse_metric, read_metric

from .runs import FIRST, MANDATE, daily, result

TREE = {
    "oos": {"sharpe": 1.5, "sortino": None, "reasons": {"sortino": "no day lost"}},
    "folds": [{"sharpe": 1.0}, {"sharpe": 2.0}, {}],
    "regimes": {"calm": {"n": 1}, "wild": {"n": 2}, "reasons": {}},
    "tail": {"0.95": [3.0]},
    "bad": {"nan": float("nan"), "text": "1.5", "flag": True, "huge": 10**400},
    "stress": None,
}

ONE = """
version: 1
name: mine
spend: 0.01
criteria:
  - {name: a, metric: oos.sharpe, operator: ">", threshold: 1, kind: rule, why: because}
"""


def values(text):
    return read_metric(parse_metric(text), TREE)


def written(tmp_path, text):
    path = tmp_path / "criteria.yaml"
    path.write_text(text)
    return path


def test_paths_reach_keys_indices_quoted_keys_and_every_element():
    assert values("oos.sharpe") == [1.5]
    assert values("folds[-2].sharpe") == [2.0]
    assert values('tail["0.95"][0]') == [3.0]
    assert values("max(regimes.*.n)") == [1.0, 2.0]
    assert values("min(folds[*].sharpe)")[:2] == [1.0, 2.0]


def test_what_is_no_finite_number_or_boolean_is_missing():
    for name in ("nan", "text", "huge", "absent"):
        (found,) = values(f"bad.{name}")
        assert isinstance(found, Missing), name
    assert values("bad.flag") == [True]


def test_a_null_is_missing_for_the_reason_beside_it():
    assert values("oos.sortino") == [Missing(why="no day lost")]
    assert values("stress.worst") == [Missing(why="stress is null, without a reason")]


def test_every_element_of_nothing_is_missing():
    assert isinstance(values("all(stress.scenarios[*].loss)")[0], Missing)
    assert isinstance(values("all(folds[2].*)")[0], Missing)


@pytest.mark.parametrize(
    "text",
    ["", "oos..sharpe", ".oos", "oos.", "[0]", "oos sharpe", "oos*", "folds[x]", "folds[*].sharpe", "all(oos.sharpe)",
     "__import__('os').system('true')", "min(min(folds[*].sharpe))", "oos.sharpe + 1", "mean(folds[*].sharpe)"],
)  # fmt: skip
def test_what_spells_no_path_is_refused(text):
    with pytest.raises(ConfigError, match="metric"):
        parse_metric(text)


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_a_config_error(text):
    try:
        metric = parse_metric(text)
    except ConfigError:
        return
    assert read_metric(metric, TREE)


def test_an_unknown_metric_names_the_near_one():
    with pytest.raises(ConfigError, match=r"oos has no .sharp.; did you mean sharpe"):
        check_metric("oos.sharp", TREE)
    with pytest.raises(ConfigError, match="did you mean regimes"):
        check_metric("all(regime.*.n)", TREE)
    check_metric("stress.worst", TREE)
    check_metric("oos.sortino", TREE)


@pytest.mark.parametrize("name", profiles())
def test_a_profile_that_comes_with_wfbt_knows_all_its_metrics(name):
    of = daily()
    asked = profile(name)
    asked.check(facts_of(result(of), of, FIRST, MANDATE, asked.spend))


def test_strict_asks_for_no_less_and_research_for_no_more_than_default():
    strict, default, research = (profile(name) for name in ("strict", "default", "research"))
    assert strict.spend < default.spend < research.spend
    assert {one.name for one in default.criteria} == {one.name for one in research.criteria}
    assert {one.name for one in default.criteria} < {one.name for one in strict.criteria}
    assert strict.sha256 != default.sha256 != research.sha256


def test_the_hash_knows_what_is_asked_and_not_how_it_is_written(tmp_path):
    first = load_criteria(written(tmp_path, ONE)).sha256
    assert load_criteria(written(tmp_path, "# why\n" + ONE)).sha256 == first
    assert load_criteria(written(tmp_path, ONE.replace("threshold: 1", "threshold: 1.01"))).sha256 != first


def test_a_criterion_of_the_same_name_takes_the_place_of_the_inherited_one(tmp_path):
    text = "version: 1\nname: mine\nextends: default\ncriteria:\n" + (
        "  - {name: number of folds, metric: gate.folds, operator: '>=', threshold: 9, kind: count, why: more}\n"
    )
    mine, default = load_criteria(written(tmp_path, text)), profile("default")
    assert [one.name for one in mine.criteria] == [one.name for one in default.criteria]
    assert [one.threshold for one in mine.criteria if one.name == "number of folds"] == [9]
    assert mine.spend == default.spend


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kind: rule", "kind: rul", "did you mean rule"),
        ("threshold: 1", "treshold: 1", "did you mean threshold"),
        ('operator: ">"', "operator: is", "true or false"),
        ("metric: oos.sharpe", "metric: oos..sharpe", "is no path"),
        ("threshold: 1", "threshold: .nan", "finite"),
        ("spend: 0.01", "", "spend is required"),
        ("spend: 0.01", "spend: 2", "must be < 1"),
        ("version: 1", "version: 2", "version must be 1, was 2"),
        ("criteria:", "criteria:\n  - {name: spend, metric: oos.days, operator: '>', threshold: 1, kind: rule, why: n}",
         "must not be spend"),
        ("why: because}", "why: because}\n" + ONE.splitlines()[-1], "repeats"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_criteria_file_is_told_with_file_and_rule(tmp_path, old, new, told):
    assert old in ONE
    with pytest.raises(ConfigError, match=told) as error:
        load_criteria(written(tmp_path, ONE.replace(old, new)))
    assert "criteria.yaml" in str(error.value)


def test_criteria_that_ask_nothing_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="passes everything"):
        load_criteria(written(tmp_path, "version: 1\nname: none\nspend: 0.01\n"))


def test_an_unknown_profile_names_the_near_one():
    with pytest.raises(ConfigError, match="did you mean strict"):
        profile("strikt")


def test_a_least_of_truths_is_refused():
    with pytest.raises(ConfigError, match="all and any"):
        Criterion(name="x", metric="min(a.*)", operator="is", threshold=True, kind=Kind.RULE, why="y")
