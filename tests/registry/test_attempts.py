import dataclasses
import json
import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.ledgers import attempt, look
from wfbt.errors import TrialsError, TrialsUnavailable
from wfbt.registry.attempts import attempt_of
from wfbt.registry.chain import entry_hash
from wfbt.registry.looks import strategy_hash
from wfbt.registry.records import keyed, read_record, spelled
from wfbt.registry.trials import Trials

CONFIG = {"name": "small", "seed": 5, "folds": {"count": 3, "matrix": None}, "costs": {"taker_bps": 5}, "mandate": {}}


def ledger(path, *records):
    trials = Trials.open(path, create=True)
    for one in records:
        trials.record([one])
    return trials


def told(trials):
    attempts = [one.attempt for one in trials if one.attempt is not None]
    looks = [one.look for one in trials if one.look is not None]
    return (
        [one.sha256 for one in trials],
        trials.head(),
        [trials.count(one) for one in looks],
        [trials.attempt(one) for one in attempts],
    )


# What an attempt is


def test_every_field_but_the_weeks_makes_another_attempt():
    one = attempt(1)
    changes = {
        "family": "other", "run": "beef", "model": "a" * 64, "strategy": "b" * 64, "seed": 2, "criteria": "c" * 64,
        "thresholds": (), "code": "d", "data": "e", "start": 1, "end": one.end + 1,
    }  # fmt: skip
    assert {*changes} | {"weeks"} == {*type(one).__dataclass_fields__}
    seen = {dataclasses.replace(one, **{name: value}).identity for name, value in changes.items()}
    assert len(seen | {one.identity}) == len(changes) + 1
    assert dataclasses.replace(one, weeks=frozenset()).identity == one.identity


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"family": "\x1b[31mred"}, "an attempt's family must be 1 to 64 letters"),
        ({"run": "../x"}, "run must be hex digits"),
        ({"model": ""}, "model must be hex digits"),
        ({"strategy": None}, "strategy must be hex digits"),
        ({"criteria": "x"}, "criteria must be hex digits"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"seed": True}, "seed must be a whole number >= 0"),
        ({"start": attempt().end}, "must end after it starts"),
        ({"thresholds": (("b", ">=", 1.0), ("a", ">=", 1.0))}, "in the order of their names"),
        ({"thresholds": (("a", ">=", 1.0), ("a", ">=", 2.0))}, "each name once"),
        ({"thresholds": (("a", "==", 1.0),)}, "threshold of a must be one of >=, >, <=, <, is, was '=='"),
        ({"thresholds": (("a", ">=", float("nan")),)}, "must be a number, true, false or a path"),
        ({"thresholds": (("a", ">=", 1),)}, "must be a number, true, false or a path"),
        ({"thresholds": (("a\x1b", ">=", 1.0),)}, "printable characters"),
        ({"thresholds": (("a", ">=", "x\n"),)}, "printable characters"),
        ({"thresholds": (("", ">=", 1.0),)}, "1 to 500"),
    ],
    ids=str,
)
def test_what_cannot_be_an_attempt_is_refused(change, rule):
    with pytest.raises(TrialsError, match=rule):
        attempt(1, **change)


def made(config=CONFIG, thresholds=(("trips", ">=", 100), ("leak", "is", True)), **fields):
    fields = {"run": "ab", "model": None, "criteria": "c" * 64} | fields
    return attempt_of(look(1), config=config, thresholds=thresholds, **fields)


def test_an_attempt_has_the_days_and_the_code_of_its_look():
    one, of = made(), look(1)
    assert (one.family, one.code, one.data, one.start, one.end, one.weeks) == (
        of.family, of.code, of.data, of.start, of.end, of.weeks,
    )  # fmt: skip
    assert (one.run, one.seed, one.model) == ("ab", 5, None)


def test_neither_the_order_of_criteria_nor_how_a_number_is_written_makes_another_attempt():
    assert made().thresholds == (("leak", "is", True), ("trips", ">=", 100.0))
    assert made(thresholds=(("leak", "is", True), ("trips", ">=", 1e2))).identity == made().identity


def test_neither_seed_nor_name_nor_what_cannot_move_the_series_makes_another_strategy():
    same = strategy_hash(CONFIG)
    for change in ({"seed": 6}, {"name": "fresh"}, {"mandate": {"min_sharpe": 2.0}}):
        assert strategy_hash(CONFIG | change) == same == made(CONFIG | change).strategy
    assert made(CONFIG | {"seed": 6}).identity != made().identity
    for change in ({"costs": {"taker_bps": 6}}, {"folds": {"count": 4, "matrix": None}}):
        assert strategy_hash(CONFIG | change) != same


# How it is kept


def test_what_was_attempted_is_read_again_beside_the_looks(tmp_path):
    records = [look(1), attempt(1), look(2), attempt(2, model="a" * 64)]
    wrote = ledger(tmp_path / "t", *records)
    read = Trials.open(tmp_path / "t")
    assert [one.record for one in read] == records
    assert [one.attempt for one in read] == [None, records[1], None, records[3]]
    assert [one.look for one in read] == [records[0], None, records[2], None]
    assert told(read) == told(wrote)
    assert read.verify([one.sha256 for one in read]) == []


def test_a_ledger_from_before_there_were_attempts_has_the_head_it_had(tmp_path):
    """Written down from a wfbt that knew looks alone."""
    trials = ledger(tmp_path / "t", *(look(number) for number in range(3)))
    assert trials.head() == "5143f9c47f743ba51dd78f99779592f93bbde0254c19139268c30786a6cbe692"


def test_the_weeks_of_an_attempt_are_those_of_its_look_and_stored_once(tmp_path):
    ledger(tmp_path / "t", look(1), attempt(1), attempt(2))
    with closing(sqlite3.connect(tmp_path / "t")) as connection:
        assert connection.execute("SELECT count(*) FROM weeks").fetchone() == (1,)


names = st.text(st.characters(categories=("L", "N", "P", "Zs")), min_size=1, max_size=20).filter(str.isprintable)
values = st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | names


@given(
    st.dictionaries(names, st.tuples(st.sampled_from((">=", ">", "<=", "<", "is")), values), max_size=6),
    st.integers(0, 2**63 - 1),
    st.none() | st.text("0123456789abcdef", min_size=1, max_size=64),
)
def test_whatever_is_asked_is_read_as_it_was_spelled(asked, seed, model):
    thresholds = tuple((name, *asked[name]) for name in sorted(asked))
    one = attempt(1, thresholds=thresholds, seed=seed, model=model)
    text, key, marks = spelled(one)
    assert read_record(text, {key: frozenset(marks.split())}.__getitem__) == one


spoilt = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from((attempt(1), look(1))), st.data())
@settings(max_examples=300)
def test_a_forged_record_is_refused_in_words_or_is_one(one, data):
    """Whoever can write a row can also hash it; what it holds must still be a look or an attempt."""
    fields = json.loads(spelled(one)[0])
    name = data.draw(st.sampled_from(sorted(fields)) | st.text(max_size=4))
    fields[name] = data.draw(spoilt)
    forged = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    try:
        read = read_record(forged, lambda key: one.weeks)
    except TrialsError:
        return
    assert {**read.to_dict(), "weeks": fields["weeks"]} == fields


@pytest.mark.parametrize("one", [attempt(1), look(1)], ids=["attempt", "look"])
def test_a_record_in_another_spelling_is_refused(one):
    """Two texts of one attempt would be two entries."""
    text, *_ = spelled(one)
    assert read_record(text, lambda key: one.weeks) == one
    for other in (text.replace(":", ": ", 1), f'{{"start":7,{text[1:]}', f"{text} "):
        with pytest.raises(TrialsError, match="is not spelled as one is"):
            read_record(other, lambda key: one.weeks)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "1", "", '{"kind":"attempt"}', '{"kind":[]}', "{}"], ids=repr)
def test_what_is_neither_look_nor_attempt_is_refused(text):
    with pytest.raises(TrialsError):
        read_record(text, lambda key: frozenset())


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Looks and attempts in turn."""
    records = [one for number in range(4) for one in (look(number), attempt(number))]
    return ledger(tmp_path_factory.mktemp("both") / "trials.sqlite", *records)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_flipped_byte_anywhere_is_refused_or_changes_nothing_that_is_read(both, tmp_path_factory, data):
    whole = bytearray(both.path.read_bytes())
    used = [place for place, byte in enumerate(whole) if byte]
    whole[data.draw(st.sampled_from(used) | st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("flip") / "trials.sqlite"
    path.write_bytes(whole)
    try:
        read = Trials.open(path)
    except (TrialsError, TrialsUnavailable):
        return
    assert told(read) == told(both)


def test_an_attempt_cut_off_the_end_is_missed_by_a_head_kept_elsewhere(both, tmp_path):
    head = both.head()
    cut = ledger(tmp_path / "t", *[one.record for one in both][:-1])
    assert not cut.contains(head)
    cut.attempt(attempt(9))
    assert not cut.contains(head)
    assert Trials.open(shutil.copy(both.path, tmp_path / "copy")).contains(head)


def test_a_forged_attempt_whose_marks_are_not_in_the_file_is_refused(tmp_path):
    trials = ledger(tmp_path / "t", look(1))
    text = attempt(1).to_text(keyed(frozenset({"ab"}))[0])
    parents = trials.head()
    with closing(sqlite3.connect(trials.path)) as connection:
        row = (2, entry_hash((parents,), text), parents, text)
        connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", row)
        connection.commit()
    with pytest.raises(TrialsError, match=r"row 2 was edited.*the marks of its weeks are missing"):
        Trials.open(trials.path)
