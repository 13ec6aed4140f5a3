from pathlib import Path

import pytest

from wfbt.errors import ConfigError
from wfbt.policy.base import load_rule
from wfbt.policy.search import candidates


def test_a_grid_varies_the_last_key_fastest_and_keeps_the_fixed_parameters():
    found = candidates({"adx": 14, "fast": 12}, {"fast": [8, 12], "slow": {"low": 32, "high": 64, "step": 16}})
    assert found.dropped == 0
    assert found.params == [{"adx": 14, "fast": fast, "slow": slow} for fast in (8, 12) for slow in (32, 48, 64)]


def test_without_a_search_the_parameters_are_the_one_candidate():
    assert candidates({"n": 3}, {}).params == [{"n": 3}]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"low": 0.1, "high": 0.5, "step": 0.1}, [0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"low": 1, "high": 2, "step": 0.25}, [1.0, 1.25, 1.5, 1.75, 2.0]),
        ({"low": 1, "high": 6, "step": 2}, [1, 3, 5]),
        ({"low": 1, "high": 5.5, "step": 2}, [1, 3, 5]),
        ({"low": -1e-4, "high": 1e-4, "step": 1e-4}, [-1e-4, 0.0, 1e-4]),
        ({"low": 5, "high": 5, "step": 1}, [5]),
    ],
)
def test_a_range_includes_its_high_end_and_does_not_drift(given, expected):
    values = [one["x"] for one in candidates({}, {"x": given}).params]
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]


def test_candidates_the_rule_calls_invalid_are_dropped_and_counted():
    rule = load_rule("sma_cross", Path())
    found = candidates({}, {"fast": [10, 20, 30], "slow": [20, 40]}, valid=rule.is_valid)
    assert [(one["fast"], one["slow"]) for one in found.params] == [(10, 20), (10, 40), (20, 40), (30, 40)]
    assert found.dropped == 2


def test_a_random_search_draws_distinct_points_of_the_grid_and_repeats_itself():
    search = {"a": list(range(100)), "b": {"low": 0, "high": 99, "step": 1}, "c": ["x", "y"]}
    found = candidates({"k": 1}, search, "random", limit=50, seed=3).params
    assert found == candidates({"k": 1}, search, "random", limit=50, seed=3).params
    assert found != candidates({"k": 1}, search, "random", limit=50, seed=4).params
    assert len({(one["a"], one["b"], one["c"]) for one in found}) == 50
    assert found == sorted(found, key=lambda one: (one["a"], one["b"], one["c"]))


def test_a_random_search_larger_than_the_grid_is_the_grid():
    search = {"a": [1, 2], "b": [3, 4]}
    assert candidates({}, search, "random", limit=9) == candidates({}, search)


@pytest.mark.parametrize(
    ("search", "options", "message"),
    [
        ({"n": []}, {}, r"policy\.search\.n is an empty list"),
        ({"n": 5}, {}, r"policy\.search\.n must be a list or \{low, high, step\}, was 5"),
        ({"n": [1, 2, 1]}, {}, r"policy\.search\.n lists 1 twice"),
        ({"n": [1.0, float("nan")]}, {}, r"policy\.search\.n lists nan; values must be finite"),
        ({"n": {"low": 1, "high": 5, "step": 0}}, {}, r"policy\.search\.n\.step must be > 0, was 0"),
        ({"n": {"low": 1, "high": 5, "step": -1}}, {}, r"policy\.search\.n\.step must be > 0, was -1"),
        ({"n": {"low": 9, "high": 5, "step": 1}}, {}, r"policy\.search\.n\.low must be <= high, was 9 > 5"),
        ({"n": {"low": 1, "high": 5}}, {}, r"policy\.search\.n\.step is missing"),
        (
            {"n": {"low": 1, "hihg": 5, "step": 1}},
            {},
            r"policy\.search\.n\.hihg is not part of a range, did you mean high",
        ),
        ({"n": {"low": "1", "high": 5, "step": 1}}, {}, r"policy\.search\.n\.low must be a number, was '1'"),
        ({"n": {"low": 0, "high": 1, "step": 1e-9}}, {}, r"policy\.search\.n has 1,000,000,001 values"),
        (
            {"a": list(range(400)), "b": list(range(300))},
            {},
            r"a 400 x b 300 are 120,000 candidates, more than 100,000",
        ),
        ({"a": [1, 2, 3]}, {"limit": 2}, "a 3 are 3 candidates, more than 2"),
        ({"a": [1, 2, 3]}, {"limit": 0}, "the number of candidates must be a whole number >= 1, was 0"),
        ({"a": [1, 2, 3]}, {"method": "random"}, "a random search needs the number of candidates"),
        ({"a": [1, 2, 3]}, {"method": "gird"}, "search method 'gird' is not known, did you mean grid"),
        (
            {"a": [1, 2]},
            {"valid": lambda params: False, "section": "sleeves.members.x.policy"},
            r"^sleeves\.members\.x\.policy\.search: the rule refuses all 2 candidates, the first with a 1; se",
        ),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused_with_its_key(search, options, message):
    with pytest.raises(ConfigError, match=message):
        candidates({}, search, **options)


def test_without_a_search_it_is_the_parameters_that_make_no_sense():
    with pytest.raises(ConfigError, match=r"^policy\.params: the rule has no meaning with fast 9, slow 3; see"):
        candidates({"fast": 9, "slow": 3}, {}, valid=lambda params: False)


def test_true_and_one_are_different_values():
    assert [one["x"] for one in candidates({}, {"x": [True, 1]}).params] == [True, 1]
