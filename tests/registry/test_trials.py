import functools
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.ledgers import look
from tests.registry.writers import written_by
from wfbt.errors import ConfigError, TrialsError, TrialsUnavailable
from wfbt.registry import trials as module
from wfbt.registry.trials import Trials, ledger_file

COLUMNS = ("row", "sha256", "parents", "look")


def ledger_of(path, numbers, **fields):
    trials = Trials.open(path, create=True)
    for number in numbers:
        trials.record([look(number, **fields)])
    return trials


def tampered(path, *statements):
    """Change a ledger as somebody would who knows SQLite: triggers off, then on again."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid")
        triggers = triggers.fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement, *values in statements:
            connection.execute(statement, *values)
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()
    return path


def told(trials):
    return [one.sha256 for one in trials], trials.head(), [trials.count(one.look) for one in trials]


# What is recorded is there


def test_what_was_recorded_is_read_again(tmp_path):
    path = tmp_path / "deep" / "trials.sqlite"
    wrote = ledger_of(path, range(5))
    read = Trials.open(path)
    assert told(read) == told(wrote)
    assert [one.look for one in read] == [look(number) for number in range(5)]
    assert read.head() == [*read][-1].sha256
    assert read.verify([one.sha256 for one in read]) == []


def test_an_identical_look_adds_nothing_and_finds_its_first_entry(tmp_path):
    trials = ledger_of(tmp_path / "trials.sqlite", range(3))
    before = trials.path.read_bytes()
    (entry,) = Trials.open(trials.path).record([look(1, sharpe=9.0, run="beef")])
    assert entry == [*trials][1]
    assert trials.path.read_bytes() == before
    assert Trials.open(trials.path).count(look(1)).anyone == 2


def test_looks_recorded_together_follow_each_other_and_count_once(tmp_path):
    trials = Trials.open(tmp_path / "trials.sqlite", create=True)
    entries = trials.record([look(1), look(2), look(1)])
    assert [one.depth for one in entries] == [1, 2, 1]
    assert told(Trials.open(trials.path)) == told(trials)


def test_the_same_looks_in_the_same_order_have_the_same_head_everywhere(tmp_path):
    assert ledger_of(tmp_path / "a", range(4)).head() == ledger_of(tmp_path / "b", range(4)).head()
    assert ledger_of(tmp_path / "c", (1, 0, 2, 3)).head() != ledger_of(tmp_path / "d", range(4)).head()


def test_two_that_have_it_open_see_what_the_other_adds(tmp_path):
    left = Trials.open(tmp_path / "trials.sqlite", create=True)
    right = Trials.open(left.path)
    left.record([look(1)])
    right.record([look(2)])
    (entry,) = left.record([look(2)])
    assert entry.depth == 2
    assert left.count(look(2)) == right.count(look(2))


def test_weeks_that_many_looks_share_are_stored_once(tmp_path):
    trials = ledger_of(tmp_path / "trials.sqlite", range(9))
    with closing(sqlite3.connect(trials.path)) as connection:
        assert connection.execute("SELECT count(*) FROM weeks").fetchone() == (1,)


def test_between_operations_the_one_file_is_everything(tmp_path):
    trials = ledger_of(tmp_path / "trials.sqlite", range(3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["trials.sqlite"]
    copy = shutil.copy(trials.path, tmp_path / "copy.sqlite")
    assert told(Trials.open(copy)) == told(trials)


# What was edited or cut is refused


def test_the_file_itself_refuses_to_change_what_is_in_it(tmp_path):
    trials = ledger_of(tmp_path / "trials.sqlite", range(3))
    row = "SELECT 9, sha256, parents, look FROM entries WHERE row = 2"
    for statement in (
        "UPDATE entries SET look = '{}' WHERE row = 2",
        "DELETE FROM entries WHERE row = 3",
        "UPDATE weeks SET marks = ''",
        "DELETE FROM weeks",
        "INSERT OR REPLACE INTO entries VALUES (3, 'a', '', '{}')",
        f"INSERT OR REPLACE INTO entries {row}",
        f"INSERT OR REPLACE INTO entries {row.replace('9', '4')}",
    ):
        with (
            closing(sqlite3.connect(trials.path)) as connection,
            pytest.raises(sqlite3.IntegrityError, match="append-only"),
        ):
            connection.execute(statement)
    assert told(Trials.open(trials.path)) == told(trials)


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    return ledger_of(tmp_path_factory.mktemp("five") / "trials.sqlite", range(5))


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_character_of_any_stored_field_is_named_with_its_row(five, tmp_path_factory, data):
    path = Path(shutil.copy(five.path, tmp_path_factory.mktemp("flip") / "trials.sqlite"))
    row = data.draw(st.integers(1, 5))
    column = data.draw(st.sampled_from(("sha256", "parents", "look") if row > 1 else ("sha256", "look")))
    with closing(sqlite3.connect(path)) as connection:
        (text,) = connection.execute(f"SELECT {column} FROM entries WHERE row = ?", (row,)).fetchone()
    place = data.draw(st.integers(0, len(text) - 1))
    flipped = bytearray(text.encode())
    flipped[place] ^= data.draw(st.integers(1, 255))
    tampered(path, (f"UPDATE entries SET {column} = CAST(? AS TEXT) WHERE row = ?", (bytes(flipped), row)))
    with pytest.raises(TrialsError, match=rf"trials.sqlite: row {row} was edited"):
        Trials.open(path)
    assert five.verify() == []


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_changed_mark_of_a_week_is_found(five, tmp_path_factory, data):
    path = Path(shutil.copy(five.path, tmp_path_factory.mktemp("flip") / "trials.sqlite"))
    with closing(sqlite3.connect(path)) as connection:
        key, marks = connection.execute("SELECT sha256, marks FROM weeks").fetchone()
    column, text = data.draw(st.sampled_from((("sha256", key), ("marks", marks))))
    flipped = bytearray(text.encode())
    flipped[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    tampered(path, (f"UPDATE weeks SET {column} = CAST(? AS TEXT)", (bytes(flipped),)))
    with pytest.raises(TrialsError, match="row 1 was edited"):
        Trials.open(path)


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_a_flipped_byte_anywhere_in_the_file_is_refused_or_changes_nothing_that_is_read(five, tmp_path_factory, data):
    whole = bytearray(five.path.read_bytes())
    used = [place for place, byte in enumerate(whole) if byte]
    whole[data.draw(st.sampled_from(used) | st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("flip") / "trials.sqlite"
    path.write_bytes(whole)
    try:
        read = Trials.open(path)
    except (TrialsError, TrialsUnavailable):
        return
    assert told(read) == told(five)


@pytest.mark.parametrize("row", [1, 2, 4])
def test_a_row_taken_out_of_the_middle_is_missed(five, tmp_path, row):
    path = tampered(shutil.copy(five.path, tmp_path / "trials.sqlite"), (f"DELETE FROM entries WHERE row = {row}",))
    with pytest.raises(TrialsError, match=rf"row {row} was edited, or a row before it taken out: the next"):
        Trials.open(path)
    tampered(path, (f"UPDATE entries SET row = row - 1 WHERE row > {row}",))
    with pytest.raises(TrialsError, match=rf"row {row} was edited.*which it follows, is not before it"):
        Trials.open(path)


def test_rows_cut_off_the_end_are_missed_by_a_head_kept_elsewhere(five, tmp_path):
    path = tampered(shutil.copy(five.path, tmp_path / "trials.sqlite"), ("DELETE FROM entries WHERE row > 3",))
    cut = Trials.open(path)
    assert len(cut) == 3
    assert not cut.contains(five.head())
    assert cut.contains([*five][2].sha256)
    (finding,) = cut.verify([five.head(), [*five][2].sha256])
    assert f"the head {five.head()} is not in it" in finding
    cut.record([look(number) for number in range(20, 30)])
    assert not cut.contains(five.head())


def test_a_ledger_rewritten_from_a_changed_look_on_has_other_heads(five, tmp_path):
    forged = ledger_of(tmp_path / "trials.sqlite", (0, 9, 2, 3, 4))
    assert len(forged) == len(five)
    assert [forged.contains(one.sha256) for one in five] == [True, False, False, False, False]


def test_a_ledger_that_is_cut_while_it_is_open_is_missed(tmp_path):
    trials = ledger_of(tmp_path / "trials.sqlite", range(4))
    tampered(trials.path, ("DELETE FROM entries WHERE row = 4",))
    with pytest.raises(TrialsError, match="row 4 was there and is gone"):
        trials.record([look(7)])


def test_a_ledger_without_its_triggers_is_refused(tmp_path):
    trials = ledger_of(tmp_path / "trials.sqlite", range(2))
    with closing(sqlite3.connect(trials.path)) as connection:
        connection.execute("DROP TRIGGER entries_delete")
    with pytest.raises(TrialsError, match="tables or triggers were changed"):
        Trials.open(trials.path)
    assert "tables or triggers were changed" in trials.verify()[0]


@pytest.mark.parametrize("size", [1, 100, 511, 4096, 8192, 12288, 20000])
def test_a_truncated_file_is_refused(five, tmp_path, size):
    path = tmp_path / "trials.sqlite"
    path.write_bytes(five.path.read_bytes()[:size])
    assert size < five.path.stat().st_size
    with pytest.raises(TrialsError, match=r"is no trial ledger, or a damaged one|it is not as long as it says"):
        Trials.open(path, create=True)


def test_an_emptied_file_is_no_new_ledger(tmp_path):
    path = tmp_path / "trials.sqlite"
    path.touch()
    with pytest.raises(TrialsError, match="is empty, so it was cut"):
        Trials.open(path, create=True)


def test_what_is_no_trial_ledger_is_refused_and_left_as_it_is(tmp_path):
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("dear diary\n" * 100)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE entries (row INTEGER)")
    before = other.read_bytes()
    with pytest.raises(TrialsError, match=r"notes.txt: is no trial ledger"):
        Trials.open(text, create=True)
    with pytest.raises(TrialsError, match=r"other.sqlite: is a database, but no trial ledger"):
        Trials.open(other, create=True)
    assert other.read_bytes() == before


def test_a_ledger_of_a_newer_wfbt_is_refused(tmp_path):
    trials = ledger_of(tmp_path / "trials.sqlite", range(1))
    with closing(sqlite3.connect(trials.path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(TrialsError, match=r"newer wfbt \(schema 2, known 1\)"):
        Trials.open(trials.path)


def test_where_there_is_none_none_is_made_unasked(tmp_path):
    with pytest.raises(TrialsUnavailable, match="there is no trial ledger; wfbt run makes one"):
        Trials.open(tmp_path / "trials.sqlite")
    assert not [*tmp_path.iterdir()]


def test_a_place_that_cannot_hold_a_ledger_is_named(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "file" / "trials.sqlite", tmp_path / "folder", tmp_path / "dangling"):
        for act in (functools.partial(Trials.open, create=True), Trials.check_place):
            with pytest.raises(TrialsUnavailable, match=r"cannot be (read and )?written there .* WFBT_TRIALS"):
                act(path)


def test_a_place_that_is_good_is_not_touched_by_asking(tmp_path):
    Trials.check_place(tmp_path / "deep" / "trials.sqlite")
    assert not [*tmp_path.iterdir()]


def test_a_lock_held_too_long_is_said(tmp_path):
    trials = ledger_of(tmp_path / "trials.sqlite", range(2))
    with closing(sqlite3.connect(trials.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        waiting = Trials.open(trials.path, timeout=0.05)
        for act in (lambda: waiting.record([look(5)]), lambda: Trials.check_place(trials.path, timeout=0.05)):
            with pytest.raises(TrialsUnavailable, match=r"kept the trial ledger locked for 0.05 s"):
                act()
    assert waiting.record([look(5)])[0].depth == 3


def test_the_place_is_as_given_else_as_the_environment_says_else_the_reports(monkeypatch):
    assert ledger_file(None, None) == Path("reports/trials.sqlite")
    assert ledger_file(None, "out") == Path("out/trials.sqlite")
    monkeypatch.setenv("WFBT_TRIALS", "/shared/all.sqlite")
    assert ledger_file(None, "out") == Path("/shared/all.sqlite")
    assert ledger_file("own.sqlite", "out") == Path("own.sqlite")
    monkeypatch.setenv("WFBT_TRIALS", "s3://bucket/all.sqlite")
    with pytest.raises(ConfigError, match=r"WFBT_TRIALS: s3://bucket/all\.sqlite must be a file of this machine"):
        ledger_file(None, "out")


# Merging


@given(
    st.lists(st.integers(0, 5), max_size=3), st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=3, max_size=3)
)
@settings(max_examples=25, deadline=None)
def test_ledgers_of_parallel_jobs_merge_to_the_same_whatever_the_order(tmp_path_factory, start, branches):
    folder = tmp_path_factory.mktemp("jobs")
    ledger_of(folder / "start", start)
    jobs = []
    for number, branch in enumerate(branches):
        jobs.append(ledger_of(shutil.copy(folder / "start", folder / str(number)), branch))
    merged = []
    for name, order in (("left", (0, 1, 2, 0)), ("right", (2, 1, 0))):
        whole = Trials.open(folder / name, create=True)
        for number in order:
            whole.merge(jobs[number])
        merged.append(whole)
    assert told(merged[0]) == told(merged[1]) == told(Trials.open(folder / "left"))
    assert merged[0].merge(merged[1]) == 0
    for job in jobs:
        assert merged[0].contains(job.head())
    assert merged[1].verify(job.head() for job in jobs) == []
    assert not jobs[0].contains(merged[0].head()) or jobs[0].head() == merged[0].head()


def test_a_merged_ledger_goes_on_as_one(tmp_path):
    left, right = ledger_of(tmp_path / "left", (1, 2)), ledger_of(tmp_path / "right", (1, 3))
    left.merge(right)
    both = left.head()
    assert both.count("+") == 1
    (entry,) = left.record([look(4)])
    again = Trials.open(left.path)
    assert again.head() == entry.sha256
    assert again.contains(both) and again.contains(right.head())
    assert again.count(look(4)).anyone == 4


# Many writers, some of them killed


def test_writers_that_begin_at_once_share_one_new_ledger(memory):
    given = written_by(memory / "trials.sqlite", writers=4, count=20)
    trials = Trials.open(memory / "trials.sqlite")
    assert {one.sha256 for one in trials} == {one for hashes in given for one in hashes}
    assert [one.depth for one in trials] == [*range(1, 81)]
    assert [entry.name for entry in memory.iterdir()] == ["trials.sqlite"]


@pytest.mark.slow
def test_eight_writers_of_a_thousand_looks_lose_nothing_they_were_told_of_when_one_is_killed(memory):
    given = written_by(memory / "trials.sqlite", writers=8, count=1000, kill_after=317)
    trials = Trials.open(memory / "trials.sqlite")
    acknowledged = {one for hashes in given for one in hashes}
    assert len(acknowledged) >= 7317
    assert trials.verify(acknowledged) == []
    # The one that was killed may have had a look in the file that it could not tell of.
    assert 0 <= len(trials) - len(acknowledged) <= 1
    assert [one.depth for one in trials] == [*range(1, len(trials) + 1)]


@pytest.mark.slow
def test_a_writer_killed_again_and_again_leaves_a_whole_ledger(memory):
    acknowledged = set()
    for time_round in range(12):
        (given, _) = written_by(memory / "trials.sqlite", writers=2, count=40, kill_after=3 + time_round * 2)
        acknowledged |= set(given)
        assert Trials.open(memory / "trials.sqlite").verify(acknowledged) == []


def test_what_is_committed_is_synced_to_the_disk(tmp_path, monkeypatch):
    """Commits that the system may still hold back would be lost with its power."""
    seen = []
    connect = sqlite3.connect

    def watched(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(seen.append)
        return connection

    trials = ledger_of(tmp_path / "trials.sqlite", range(1))
    monkeypatch.setattr(module.sqlite3, "connect", watched)
    trials.record([look(1)])
    assert seen.index("PRAGMA synchronous = EXTRA") < seen.index("BEGIN IMMEDIATE") < seen.index("COMMIT")
    with closing(connect(trials.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
