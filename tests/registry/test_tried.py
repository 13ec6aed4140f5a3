import dataclasses
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.ledgers import attempt, look
from tests.registry.writers import written_by
from wfbt.data.market import DAY
from wfbt.registry.chain import Chain, entry_hash
from wfbt.registry.looks import IN_FOLDS
from wfbt.registry.trials import Trials
from wfbt.registry.tried import tried

MODEL = "a" * 64


def put(chain, *records):
    """Append what is not there, as the ledger does."""
    for one in records:
        if chain.first(one) is None:
            chain.take(entry_hash(chain.ends, one.identity), chain.ends, one)
    return chain


def chain_of(*records):
    return put(Chain(), *records)


def united(*chains):
    whole = Chain()
    for chain in chains:
        for one in chain:
            if one.sha256 not in whole:
                whole.take(one.sha256, one.parents, one.record)
    return whole


def of(chain, one):
    return tried(one, chain.first(one), chain.before(one))


def last(*records):
    """What is said of the last of the records, tried in turn."""
    return of(chain_of(*records), records[-1])


# Its number, which spends


def test_each_attempt_of_a_family_counts_those_before_it_and_none_that_follow():
    chain = chain_of(*(attempt(number) for number in range(6)))
    assert [of(chain, attempt(number)).number for number in range(6)] == [1, 2, 3, 4, 5, 6]


def test_the_same_attempt_again_is_the_same_attempt():
    chain = chain_of(attempt(1), attempt(2))
    before = [of(chain, attempt(number)) for number in (1, 2)]
    put(chain, attempt(1), attempt(2), attempt(3), attempt(2))
    assert len(chain) == 3
    assert [of(chain, attempt(number)) for number in (1, 2)] == before


@pytest.mark.parametrize(
    "change", [{"criteria": "d" * 64}, {"seed": 9}, {"run": "beef"}, {"model": MODEL}, {"thresholds": ()}], ids=str
)
def test_whatever_is_changed_is_one_attempt_more(change):
    assert last(attempt(1), attempt(1, **change)).number == 2


def test_other_families_with_other_strategies_spend_their_own():
    assert last(attempt(1, family="alpha"), attempt(2, family="beta"), attempt(3)).number == 1


def test_a_model_counts_under_every_name():
    one = attempt(3, model=MODEL)
    assert last(attempt(1, family="alpha", model=MODEL), attempt(2), one).number == 3
    assert last(attempt(1, family="alpha", model="b" * 64), attempt(2), one).number == 2


def test_rules_count_under_every_name():
    """Without a model, what is judged is the strategy and the code that decides."""
    renamed = attempt(1, family="fresh", run="beef", seed=7)
    assert last(attempt(1), renamed).number == 2
    assert last(attempt(1), dataclasses.replace(renamed, code="0")).number == 1
    assert last(attempt(1), dataclasses.replace(renamed, strategy="0")).number == 1


def test_two_without_a_model_have_no_model_in_common():
    assert attempt(1, model=None).judges_the_same_as(attempt(2, model=None)) is False


def test_a_look_is_no_attempt_and_an_attempt_no_look():
    chain = chain_of(look(1), attempt(1), look(2), attempt(2), look(3))
    alone = chain_of(look(1), look(2), look(3))
    assert [chain.count(look(number)) for number in (1, 2, 3)] == [alone.count(look(number)) for number in (1, 2, 3)]
    assert [of(chain, attempt(number)).number for number in (1, 2)] == [1, 2]


# The series whose results were seen


def test_the_looks_of_anyone_at_these_days_up_to_the_attempt_are_the_series():
    strangers = [look(number, family=f"f{number}") for number in range(5)]
    chain = chain_of(look(9), *strangers, attempt(9), look(10))
    assert of(chain, attempt(9)).series == 6
    assert of(chain, attempt(9)).picked


def test_one_look_that_nobody_else_took_is_one_series_and_not_picked():
    assert last(look(1), look(2), attempt(1)).picked
    found = last(look(1), attempt(1))
    assert (found.series, found.picked) == (1, False)
    assert last(attempt(1)).series == 1


def test_looks_at_other_days_and_candidates_inside_folds_are_no_series():
    elsewhere = look(2, weeks=frozenset(), start=look().end, end=look().end + DAY)
    other = look(3, data="9", weeks=frozenset())
    tuned = look(4, kind=IN_FOLDS)
    assert last(look(1), elsewhere, other, tuned, attempt(1)).series == 1
    grown = look(5, data="9", end=look().end + DAY)
    assert last(look(1), grown, attempt(1)).series == 2


# What stands beside it


def notes(*records):
    return list(last(*records).notes)


def test_a_first_attempt_has_no_notes():
    assert notes(look(1), attempt(1, family="other"), attempt(2)) == []


def test_a_later_attempt_is_told_that_its_threshold_is_higher_and_why():
    (told,) = notes(*(attempt(number) for number in range(9)))
    named = ", ".join(f"run {number:012x}" for number in range(5))
    assert told == (
        "This is attempt 9 of trend, so its threshold is higher than that of the first; "
        f"the others: {named}, and 3 more."
    )


def test_the_same_strategy_with_another_seed_is_told_with_its_seeds_whatever_its_name():
    seeds = [attempt(1, seed=seed, run=f"{seed:02x}", model=f"{seed:064x}", family=f"f{seed}") for seed in (3, 4, 5)]
    assert notes(*seeds)[-2] == (
        "The same strategy was also tried with another seed than 5, 2 times: seed 3 in run 03 of f3, "
        "seed 4 in run 04 of f4."
    )
    assert not any("seed" in told for told in notes(attempt(1, seed=5), attempt(1, seed=5, run="ab")))


def test_the_same_model_with_another_seed_of_the_account_is_told():
    told = notes(attempt(1, model=MODEL), attempt(2, model=MODEL))
    assert "The same model was also tried with another seed than 2, once: seed 1 in run 000000000001." in told


@pytest.mark.parametrize(("model", "what"), [(MODEL, "model"), (None, "strategy")])
def test_another_name_is_told(model, what):
    told = notes(attempt(1, family="alpha", model=model), attempt(1, family="beta", model=model))
    assert f"The same {what} was also tried under another name: run 000000000001 of alpha." in told


def asking(number, **thresholds):
    asked = {"drawdown": ("<=", 0.25), "leak": ("is", True), "profit": (">=", 1.3)} | thresholds
    return attempt(
        1,
        run=f"{number:02x}",
        criteria=f"{number:064x}",
        thresholds=tuple((name, *asked[name]) for name in sorted(asked)),
    )


def test_thresholds_that_moved_by_a_hair_are_told_with_both_values():
    assert notes(asking(1), asking(2, drawdown=("<=", 0.26), profit=(">", 1.3)))[-1] == (
        "The thresholds are those of run 01 but for a hair (at most 10%): drawdown <= 0.26, was <= 0.25; "
        "profit > 1.3, was >= 1.3."
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"drawdown": ("<=", 0.28)},
        {"drawdown": ("<=", "mandate.max_drawdown")},
        {"drawdown": ("<=", -0.25)},
        {"leak": ("is", False)},
        {"profit": ("<=", 1.3)},
        {"trips": (">=", 100.0)},
    ],
    ids=str,
)
def test_thresholds_that_are_equal_or_far_apart_are_no_hair(change):
    assert not any("hair" in told for told in notes(asking(1), asking(2, **change)))


def test_zero_is_a_hair_from_nothing_but_itself():
    told = notes(asking(1, loss=("<=", 0.0)), asking(2, loss=("<=", 1e-9)))
    assert not any("hair" in one for one in told)


def test_hairs_are_looked_for_among_all_that_count_and_the_latest_is_named():
    far = asking(3, profit=(">=", 9.0))
    told = notes(asking(1), asking(2, drawdown=("<=", 0.251)), far, asking(4, drawdown=("<=", 0.252)))
    assert any("those of run 02 but for a hair" in one and "was <= 0.251" in one for one in told)


TOGETHER = "Changed together since the last attempt of trend"


def test_rules_of_the_gate_and_what_they_judge_changed_together_are_told():
    told = notes(attempt(1), attempt(2, criteria="d" * 64))
    assert told[-1].startswith(f"{TOGETHER} (run 000000000001): the rules of the gate and what they judge")
    assert notes(attempt(1, strategy="0"), attempt(2, strategy="0", model=MODEL, thresholds=()))[-1].startswith(
        TOGETHER
    )


@pytest.mark.parametrize(
    "change", [{"criteria": "d" * 64}, {"thresholds": ()}, {"strategy": "1"}, {"seed": 8}], ids=str
)
def test_one_thing_changed_at_a_time_is_not_told_as_together(change):
    assert not any(TOGETHER in told for told in notes(attempt(1), attempt(1, **change)))


def test_only_the_last_attempt_of_the_family_is_what_may_have_changed_together():
    changed = attempt(2, criteria="d" * 64)
    assert not any(TOGETHER in told for told in notes(attempt(1), changed, dataclasses.replace(changed, seed=9)))
    assert not any(TOGETHER in told for told in notes(attempt(1, family="other"), changed))


def test_what_was_tried_beside_it_and_is_deeper_is_not_the_last_attempt():
    """After a merge a longer branch does not come before a shorter one."""
    one, changed = attempt(1), attempt(2, criteria="d" * 64)
    beside = chain_of(one, *(dataclasses.replace(changed, seed=seed) for seed in range(3)))
    whole = united(chain_of(one, dataclasses.replace(one, seed=9)), beside)
    assert not any(TOGETHER in told for told in of(whole, dataclasses.replace(one, seed=9)).notes)


# Whether the ledger can say that nobody looked before


def test_a_ledger_that_holds_nothing_but_this_run_does_not_know_what_was_before():
    own = {"run": "ab"}
    cells = [look(number, **own) for number in range(3)]
    assert not last(*cells, attempt(1, **own)).known_before
    assert not last(attempt(1, **own)).known_before
    assert not last(*cells, attempt(1, **own), attempt(1, **own, criteria="d" * 64)).known_before


@pytest.mark.parametrize(
    "other", [look(7, family="far", data="9", weeks=frozenset()), attempt(7)], ids=["look", "attempt"]
)
def test_whatever_of_another_run_came_before_is_known(other):
    own = [look(1, run="ab"), attempt(1, run="ab")]
    assert last(other, *own).known_before
    assert not of(chain_of(*own, other), own[-1]).known_before


# Side by side


def test_attempts_made_side_by_side_count_for_each_other_once_merged():
    """Eight jobs that each try one seed from the same beginning have tried eight, and none was first."""
    start = [look(100), attempt(100)]
    whole = united(*(chain_of(*start, look(number), attempt(number)) for number in range(8)))
    assert [of(whole, attempt(number)).number for number in range(8)] == [9] * 8
    assert [of(whole, attempt(number)).series for number in range(8)] == [9] * 8
    assert of(whole, attempt(100)).number == 1


def test_the_same_attempt_in_two_jobs_is_one():
    whole = united(chain_of(attempt(0), attempt(1), attempt(2)), chain_of(attempt(0), attempt(2)))
    assert [of(whole, attempt(number)).number for number in (0, 1, 2)] == [1, 3, 3]


records = st.builds(
    lambda kind, number, changes: kind(number, family=f"f{number % 2}", **(changes if kind is attempt else {})),
    st.sampled_from((look, attempt)),
    st.integers(0, 5),
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.sampled_from((None, MODEL, "b" * 64)),
            "criteria": st.sampled_from(("c" * 64, "d" * 64)),
            "strategy": st.sampled_from(("0", "1")),
        },
    ),
)


@given(st.lists(records, max_size=14))
@settings(max_examples=200, deadline=None)
def test_the_counts_are_those_of_reading_the_ledger_from_the_top(made):
    """A naive twin: once through the list, as a person with a pencil would."""
    chain, attempts, looks = chain_of(*made), [], []
    for one in made:
        if hasattr(one, "candidate"):
            if one not in looks:
                looks.append(one)
        elif one not in attempts:
            number = 1
            for other in attempts:
                same = other.family == one.family or (other.strategy == one.strategy and other.code == one.code)
                number += same or (one.model is not None and other.model == one.model)
            found = of(chain, one)
            assert (found.number, found.series) == (number, max(1, len(looks)))
            assert found.entry == chain.first(one).sha256
            attempts.append(one)


@st.composite
def jobs(draw):
    """A common beginning, then three branches of their own, which may try the same and may meet again."""
    few = st.lists(records, max_size=4)
    start = draw(few)
    chains = [chain_of(*start, *draw(few)) for _ in range(3)]
    if draw(st.booleans()):
        chains[0] = put(united(chains[0], chains[1]), *draw(few))
    return chains


def told(chain):
    return [one.sha256 for one in chain], chain.ends, [of(chain, one.attempt) for one in chain if one.attempt]


@given(jobs())
@settings(max_examples=100, deadline=None)
def test_no_order_of_merging_attempts_can_be_told_from_another(chains):
    a, b, c = chains
    whole = told(united(a, b, c))
    assert told(united(c, a, b)) == told(united(a, united(c, b))) == told(united(united(b, a), c)) == whole
    assert told(united(a, a)) == told(a)


@given(jobs())
@settings(max_examples=100, deadline=None)
def test_a_merge_never_lowers_what_was_tried(chains):
    whole = united(*chains)
    for chain in chains:
        for one in chain:
            if one.attempt:
                before, after = of(chain, one.attempt), of(whole, one.attempt)
                assert (after.number >= before.number, after.series >= before.series) == (True, True)
                assert after.known_before >= before.known_before


# In the file


def test_an_attempt_is_in_the_file_before_anything_is_said_of_it(tmp_path):
    trials = Trials.open(tmp_path / "t", create=True)
    trials.record([look(1)])
    found = trials.attempt(attempt(1))
    assert (found.number, found.series, found.picked, found.known_before) == (1, 1, False, False)
    assert found.entry == trials.head() == Trials.open(tmp_path / "t").head()
    before = (tmp_path / "t").read_bytes()
    assert Trials.open(tmp_path / "t").attempt(attempt(1)) == found
    assert (tmp_path / "t").read_bytes() == before


def test_a_rerun_after_many_more_says_what_it_said(tmp_path):
    trials = Trials.open(tmp_path / "t", create=True)
    found = []
    for number in range(5):
        trials.record([look(number)])
        found.append(trials.attempt(attempt(number, criteria=f"{number}")))
    assert [Trials.open(tmp_path / "t").attempt(attempt(number, criteria=f"{number}")) for number in range(5)] == found


def test_ledgers_with_attempts_merge_to_the_same_from_both_sides(tmp_path):
    start = Trials.open(tmp_path / "start", create=True)
    start.record([look(0), attempt(0)])
    left, right = (Trials.open(shutil.copy(start.path, tmp_path / name)) for name in ("left", "right"))
    left.record([look(1), attempt(1)])
    right.record([look(2), attempt(2), attempt(3, model=MODEL)])
    one, two = (Trials.open(shutil.copy(trials.path, tmp_path / f"{trials.path.name}2")) for trials in (left, right))
    assert (one.merge(right), two.merge(left)) == (3, 2)
    assert one.head() == two.head()
    for number, model in ((0, None), (1, None), (2, None), (3, MODEL)):
        assert one.attempt(attempt(number, model=model)) == two.attempt(attempt(number, model=model))
    assert [one.attempt(attempt(number)).number for number in (0, 1, 2)] == [1, 4, 3]
    assert one.verify([left.head(), right.head()]) == []


def test_eight_writers_of_twenty_five_attempts_lose_none_and_count_their_own(memory):
    given = written_by(memory / "trials.sqlite", writers=8, count=25, what="attempt")
    trials = Trials.open(memory / "trials.sqlite")
    assert {one.sha256 for one in trials} == {one for hashes in given for one in hashes}
    assert [one.depth for one in trials] == [*range(1, 201)]
    assert trials.verify(one for hashes in given for one in hashes) == []
    for writer in range(8):
        own = [attempt(writer * 100000 + number, family=f"writer{writer}") for number in range(25)]
        assert [trials.attempt(one).number for one in own] == [*range(1, 26)]


def test_attempts_of_a_writer_that_is_killed_are_there_or_were_never_told_of(memory):
    told = set()
    for kill_after in (1, 5, 12):
        (given, _) = written_by(memory / "trials.sqlite", writers=2, count=30, kill_after=kill_after, what="attempt")
        told |= set(given)
        trials = Trials.open(memory / "trials.sqlite")
        assert trials.verify(told) == []
    assert len(told) >= 12
    again = trials.attempt(attempt(0, family="writer0"))
    assert again.number == 1
