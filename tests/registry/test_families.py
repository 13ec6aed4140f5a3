import functools

import pytest

from tests.registry.ledgers import MONDAY, attempt, look
from wfbt.data.market import DAY
from wfbt.errors import ConfigError
from wfbt.registry.families import attempts_of, families, look_of_run, looks_of
from wfbt.registry.looks import IN_FOLDS
from wfbt.registry.trials import Trials


@pytest.fixture
def trials(tmp_path):
    return Trials.open(tmp_path / "t", create=True)


def test_the_look_of_a_run_is_found_by_the_head_that_its_result_keeps(trials):
    entries = trials.record([look(1, run="ab"), look(2, run="ab"), look(3, run="cd"), attempt(4)])
    find = functools.partial(look_of_run, trials)
    assert find("ab", "trend", entries[1].sha256) == look(2, run="ab")
    # The same look, taken by an earlier run.
    assert find("ef", "trend", entries[2].sha256) == look(3, run="cd")
    assert find("ab", "other", entries[1].sha256) is None
    assert find("ab", "trend", entries[3].sha256) is None
    assert find("ab", "trend", "0" * 64) is None


def test_without_a_head_a_run_is_known_by_its_id_unless_it_took_several(trials):
    trials.record([look(1, run="ab"), look(2, run="ab"), look(3, run="cd"), look(4, run="cd", kind=IN_FOLDS)])
    assert look_of_run(trials, "cd", "trend") == look(3, run="cd")
    assert look_of_run(trials, "ab", "trend") is None
    assert look_of_run(trials, "ef", "trend") is None
    assert look_of_run(trials, "cd", "other") is None


# What is shown


def test_attempts_stand_beside_the_looks_of_their_family_and_are_none_themselves(trials):
    trials.record([look(1), look(2, family="other"), attempt(1), attempt(2), attempt(2)])
    told = {row["family"]: (row["looks"], row["attempts"]) for row in families(trials)}
    assert told == {"other": (1, 0), "trend": (1, 2)}
    assert [row["run"] for row in looks_of(trials, "trend")] == [f"{1:012x}"]


def test_the_attempts_of_a_family_are_listed_with_what_they_were_told(trials):
    trials.record(
        [look(1), attempt(1), attempt(9, family="other"), look(2, family="other"), attempt(2, model="a" * 64)]
    )
    first, second = attempts_of(trials, "trend")
    assert (first["attempt"], first["series"], first["run"], first["seed"]) == (1, 1, f"{1:012x}", 1)
    assert (second["attempt"], second["series"], second["model"]) == (2, 2, "a" * 64)
    assert first["notes"] == [] and second["notes"][0].startswith("This is attempt 2 of trend")
    assert (first["reasons"], second["reasons"]) == ({"model": "rules, without a model"}, {})
    assert second["entry"] == trials.head()
    assert "weeks" not in first


def test_a_family_that_only_tried_the_gate_is_shown_with_its_days(trials):
    """Merged from a ledger whose looks are elsewhere."""
    trials.record([attempt(1, family="bare", start=MONDAY + DAY), look(1, family="other")])
    bare = families(trials)[0]
    assert (bare["looks"], bare["attempts"], bare["others_at_these_days"]) == (0, 1, 1)
    assert bare["first_window"] == bare["last_window"] == ("2024-01-02", "2024-03-11")
    assert bare["best_sharpe"] is None and bare["reasons"]["best_sharpe"]
    assert looks_of(trials, "bare") == []
    with pytest.raises(ConfigError, match="it knows bare, other"):
        looks_of(trials, "trend")
