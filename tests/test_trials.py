"""Runs and the trial ledger: what a run records, what it says of it, and what `wfbt trials` shows."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

import wfbt
from tests.registry.ledgers import look
from tests.runs import hours, numbers, write_study
from wfbt import cli
from wfbt.errors import TrialsError, TrialsUnavailable
from wfbt.registry.attempts import attempt_of
from wfbt.registry.families import look_of_run
from wfbt.registry.looks import candidate_hash
from wfbt.registry.trials import Trials

FILE = "trials.sqlite"


def call(*words):
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def run(strategy, out, *overrides, **options):
    return wfbt.run(strategy, out=out, report=False, jobs=1, overrides=overrides, **options)


def counted(result):
    told = result.to_dict()["trials"]
    return told["looks_by_family"], told["looks_by_anyone"], told["candidates_in_folds"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def looked(study, tmp_path_factory):
    """A ledger of three looks, two of one family, and the runs that took them."""
    out = tmp_path_factory.mktemp("looked")
    done = [run(study, out), run(study, out, "costs.taker_bps=7"), run(study, out, "name=fresh")]
    return out, done


def test_a_run_records_one_look_at_its_test_rows(looked):
    out, done = looked
    first = next(iter(Trials.open(out / FILE))).look
    told = done[0].to_dict()
    assert first.family == "small"
    assert first.run == done[0].run_id
    assert first.candidates == 6
    assert first.n == told["oos"]["days"] == 60
    assert first.sharpe == pytest.approx(told["oos"]["sharpe"] / 365**0.5)
    window = [datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for ns in (first.start, first.end)]
    assert window == [told["folds"][0]["test_start"], told["folds"][-1]["test_end"]]
    assert len(first.weeks) == 8  # 2024-03-04 to 2024-04-28


def test_each_changed_run_is_a_look_more_and_a_new_name_does_not_reset_the_count(looked):
    _, done = looked
    assert [counted(one) for one in done] == [(1, 1, 6), (2, 2, 12), (1, 3, 18)]


def test_a_rerun_after_later_looks_has_the_same_bytes_and_adds_nothing(study, looked, tmp_path):
    out, done = looked
    shutil.copytree(out, tmp_path / "out")
    before = (tmp_path / "out" / FILE).read_bytes()
    again = run(study, tmp_path / "out")
    assert numbers(again.folder) == numbers(done[0].folder)
    assert (tmp_path / "out" / FILE).read_bytes() == before


def test_the_manifest_keeps_the_head_that_the_result_tells(looked):
    out, done = looked
    ledger = Trials.open(out / FILE)
    heads = [one.sha256 for one in ledger]
    for one, head in zip(done, heads, strict=True):
        manifest = json.loads((one.folder / "manifest.json").read_text())
        assert manifest["trials"] == {"file": FILE, "head": head}
        assert one.to_dict()["trials"]["head"] == head
    assert ledger.head() == heads[-1]


@pytest.mark.parametrize(
    "override",
    [
        "report.tearsheets=oos",
        "mandate.min_sharpe=2",
        "leaks.evaluations=20",
        "stress={}",
        "capacity={}",
        "decay={}",
        "monte_carlo={levels: []}",
    ],
)
def test_what_cannot_move_the_series_makes_no_other_look(study, tmp_path, override):
    first = run(study, tmp_path)
    second = run(study, tmp_path, override)
    assert first.run_id != second.run_id
    assert counted(second) == counted(first)


@pytest.mark.parametrize("override", ["seed=6", "data.end=2024-04-29", "policy.search.fast=[4]", "folds.count=2"])
def test_what_moves_the_series_makes_another_look_at_the_same_days(study, tmp_path, override):
    run(study, tmp_path)
    assert counted(run(study, tmp_path, override))[:2] == (2, 2)


def test_windows_without_a_day_in_common_do_not_count_for_each_other(study, tmp_path):
    run(study, tmp_path, "data.end=2024-03-20", "folds.train=40d", "folds.count=1")
    later = run(study, tmp_path, "data.start=2024-01-20", "folds.train=60d", "folds.count=1")
    assert later.to_dict()["folds"][0]["test_start"] == "2024-03-20T00:00:00Z"
    assert counted(later)[:2] == (2, 1)


def test_a_file_that_grew_by_a_day_is_known_again(tmp_path):
    bars = hours(days=120)
    short = {name: values[: 24 * 119] for name, values in bars.items()}
    run(write_study(tmp_path / "short", short), tmp_path / "out")
    grown = run(write_study(tmp_path / "grown", bars), tmp_path / "out", "name=grown")
    assert counted(grown)[:2] == (1, 2)


def test_a_run_that_died_after_it_looked_looks_again_as_the_same_look(study, tmp_path, monkeypatch):
    def dies(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("wfbt.pipeline._write_tables", dies)
        with pytest.raises(KeyboardInterrupt):
            run(study, tmp_path)
    assert len(Trials.open(tmp_path / FILE)) == 1
    assert counted(run(study, tmp_path, resume=True)) == (1, 1, 6)
    assert len(Trials.open(tmp_path / FILE)) == 1


# Attempts at the gate


def attempted(trials, folder, criteria="c" * 64):
    """What an attempt of the run in `folder` is told, from what the folder holds."""
    result = json.loads((folder / "result.json").read_text())
    found = look_of_run(trials, result["run_id"], result["name"], result["trials"]["head"])
    config = json.loads((folder / "manifest.json").read_text())["config"]
    assert found.candidate == candidate_hash(config)
    asked = (("round trips", ">=", 100), ("leak", "is", True))
    return trials.attempt(
        attempt_of(found, run=result["run_id"], config=config, model=None, criteria=criteria, thresholds=asked)
    )


def test_the_looks_that_were_taken_first_are_the_series_of_an_attempt(looked, tmp_path):
    out, done = looked
    trials = Trials.open(shutil.copy(out / FILE, tmp_path / FILE))
    told = [attempted(trials, one.folder) for one in done]
    assert [(one.number, one.series, one.picked, one.known_before) for one in told] == [
        (1, 3, True, True), (2, 3, True, True), (2, 3, True, True),
    ]  # fmt: skip
    assert told[2].notes[-1] == (f"The same strategy was also tried under another name: run {done[0].run_id} of small.")
    assert attempted(Trials.open(tmp_path / FILE), done[0].folder) == told[0]


def test_the_first_attempt_of_a_first_run_is_one_of_one_and_the_ledger_may_be_new(study, tmp_path):
    done = run(study, tmp_path)
    told = attempted(Trials.open(tmp_path / FILE), done.folder)
    assert (told.number, told.series, told.picked, told.known_before, told.notes) == (1, 1, False, False, ())


def test_the_pairs_of_a_matrix_are_series_and_not_what_is_judged(study, tmp_path):
    done = run(study, tmp_path, "folds.matrix={train: [40d, 60d], test: [20d]}")
    trials = Trials.open(tmp_path / FILE)
    told = attempted(trials, done.folder)
    assert (told.number, told.series, told.known_before) == (1, 3, False)
    assert look_of_run(trials, done.run_id, "small") is None


def test_a_run_that_took_the_look_of_an_earlier_one_is_judged_by_that_look(study, tmp_path):
    first, second = (run(study, tmp_path, f"mandate.min_sharpe={least}") for least in (1, 2))
    trials = Trials.open(tmp_path / FILE)
    assert first.run_id != second.run_id
    told = attempted(trials, second.folder)
    assert (told.number, told.series, told.known_before) == (1, 1, True)
    assert look_of_run(trials, second.run_id, "small") is None


def test_another_seed_is_told_as_the_same_strategy(study, tmp_path):
    for seed in (5, 6):
        done = run(study, tmp_path, f"seed={seed}")
        told = attempted(Trials.open(tmp_path / FILE), done.folder)
    assert (told.number, told.series) == (2, 2)
    assert told.notes[-1].startswith("The same strategy was also tried with another seed than 6, once: seed 5 in run")


# Where it is


def test_the_strategy_wins_over_the_environment_and_that_over_the_reports_folder(study, tmp_path, monkeypatch):
    monkeypatch.setenv("WFBT_TRIALS", str(tmp_path / "shared" / "all.sqlite"))
    shared = run(study, tmp_path / "out")
    own = write_study(tmp_path / "study", trials="../own.sqlite")
    run(own, tmp_path / "out")
    assert len(Trials.open(tmp_path / "shared" / "all.sqlite")) == 1
    assert len(Trials.open(tmp_path / "own.sqlite")) == 1
    assert not (tmp_path / "out" / FILE).exists()
    assert shared.to_dict()["trials"]["file"] == "all.sqlite"
    assert str(tmp_path) not in (shared.folder / "result.json").read_text()


def test_the_resolved_strategy_finds_the_ledger_from_the_run_folder(tmp_path):
    done = run(write_study(tmp_path / "study", trials="own.sqlite"), tmp_path / "out")
    again = run(done.folder / "config.resolved.yaml", tmp_path / "again")
    assert again.run_id == done.run_id
    assert numbers(again.folder) == numbers(done.folder)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.sqlite")] == ["study/own.sqlite"]


def test_a_ledger_that_was_edited_stops_a_run_before_it_walks(study, looked, tmp_path):
    damaged = tmp_path / FILE
    damaged.write_bytes((looked[0] / FILE).read_bytes().replace(b'"n":60', b'"n":61', 1))
    steps = []
    with pytest.raises(TrialsError, match=r"row \d was edited"):
        run(study, tmp_path, progress=lambda what, done, total: steps.append(what))
    assert not any("fold" in step for step in steps)
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE]


def test_a_ledger_that_cannot_be_written_after_the_walk_stops_the_run_and_keeps_its_folds(study, tmp_path, monkeypatch):
    def locked(*args, **kwargs):
        raise TrialsUnavailable("locked")

    with monkeypatch.context() as patch:
        patch.setattr(Trials, "record", locked)
        with pytest.raises(TrialsUnavailable):
            run(study, tmp_path)
    (partial,) = tmp_path.glob("*.partial")
    assert len([*partial.glob(".trials/*.npz")]) == 3
    assert not (partial / "result.json").exists()
    run(study, tmp_path, resume=True)


def test_a_place_that_is_none_exits_2(study, tmp_path):
    (tmp_path / "file").touch()
    told = call("run", study, "--out", tmp_path / "out", "--set", f"trials={tmp_path}/file/t.sqlite", "--no-report")
    assert told.exit_code == 2
    assert "file/t.sqlite: the trial ledger cannot be written there" in told.stderr


# What a person reads


def test_the_page_and_the_summary_say_how_often_this_was_tried(study, looked, tmp_path):
    shutil.copytree(looked[0], tmp_path / "out")
    told = call("run", study, "--out", tmp_path / "out", "--set", "costs.taker_bps=7", "--quiet")
    page = (Path(told.stdout.strip()) / "index.html").read_text()
    assert "How often was this tried?" in page
    assert "These out-of-sample days had been looked at once before" in page
    summary = call("run", study, "--out", tmp_path / "new", "--no-report").stdout
    assert "This is the first look at these out-of-sample days that the trial ledger knows of." in summary


def test_trials_shows_families_and_the_looks_of_one(looked):
    out, done = looked
    told = call("trials", "--file", out / FILE)
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [["fresh", "1", "1"], ["small", "2", "1"]]
    assert lines[-1] == f"3 entries, head {done[-1].to_dict()['trials']['head']}"
    one = call("trials", "small", "--file", out / FILE)
    assert [line.split()[3] for line in one.stdout.splitlines()[1:3]] == [done[0].run_id, done[1].run_id]


def test_trials_shows_the_attempts_of_a_family_below_its_looks(looked, tmp_path):
    out, done = looked
    trials = Trials.open(shutil.copy(out / FILE, tmp_path / FILE))
    for criteria in ("c" * 64, "d" * 64):
        attempted(trials, done[0].folder, criteria)
    lines = call("trials", "--file", tmp_path / FILE).stdout.splitlines()
    assert [line.split()[:4] for line in lines[1:3]] == [["fresh", "1", "1", "0"], ["small", "2", "1", "2"]]
    lines = call("trials", "small", "--file", tmp_path / FILE).stdout.splitlines()
    assert lines[4] == "Attempts at the gate:"
    assert [line.split()[:6] for line in lines[6:8]] == [
        [number, "3", done[0].run_id, "5", criteria * 12, "—"] for number, criteria in (("1", "c"), ("2", "d"))
    ]
    assert lines[-1].startswith("5 entries, head ")
    told = json.loads(call("trials", "small", "--file", tmp_path / FILE, "--json").stdout)
    assert [row["attempt"] for row in told["attempts"]] == [1, 2]
    assert told["attempts"][1]["notes"]


def test_trials_as_json_is_one_object(looked):
    out, done = looked
    told = json.loads(call("trials", "--file", out / FILE, "--json").stdout)
    assert (told["entries"], told["findings"]) == (3, [])
    small = told["families"][1]
    ratios = sorted(one.to_dict()["oos"]["sharpe"] / 365**0.5 for one in done[:2])
    assert [small["worst_sharpe"], small["best_sharpe"]] == pytest.approx(ratios)
    assert small["first_window"] == ["2024-03-01", "2024-04-30"]
    of_one = json.loads(call("trials", "fresh", "--file", out / FILE, "--json").stdout)
    assert [(row["looks_by_family"], row["looks_by_anyone"]) for row in of_one["looks"]] == [(1, 3)]


def test_a_family_nobody_knows_exits_2_and_names_those_that_are_known(looked):
    told = call("trials", "smal", "--file", looked[0] / FILE)
    assert told.exit_code == 2
    assert "it knows fresh, small" in told.stderr


def test_trials_says_where_no_ledger_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = call("trials")
    assert (told.exit_code, told.stdout) == (2, "")
    assert "reports/trials.sqlite: there is no trial ledger" in told.stderr


def test_verify_finds_a_ledger_that_was_cut_by_the_run_folders_beside_it(looked, tmp_path):
    out = Path(shutil.copytree(looked[0], tmp_path / "out"))
    assert call("trials", "--file", out / FILE, "--verify").exit_code == 0
    kept = Trials.open(out / FILE)
    (out / FILE).unlink()
    Trials.open(out / FILE, create=True).record([one.look for one in kept][:2])
    told = call("trials", "--file", out / FILE, "--verify")
    assert told.exit_code == 3
    assert f"the head {kept.head()} is not in it" in told.stderr
    as_json = call("trials", "--file", out / FILE, "--verify", "--json")
    assert as_json.exit_code == 3
    assert len(json.loads(as_json.stdout)["findings"]) == 1


def test_a_head_that_is_there_exits_0_one_that_is_not_3_and_what_is_none_2(looked):
    out, done = looked
    head = done[0].to_dict()["trials"]["head"]
    assert call("trials", "--file", out / FILE, "--head", head).exit_code == 0
    assert call("trials", "--file", out / FILE, "--head", head, "--head", "0" * 64).exit_code == 3
    assert call("trials", "--file", out / FILE, "--head", "latest").exit_code == 2


def test_an_edited_ledger_exits_3_and_names_the_row(looked, tmp_path):
    path = Path(shutil.copy(looked[0] / FILE, tmp_path / FILE))
    with closing(sqlite3.connect(path)) as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entries_update'").fetchone()
        connection.execute("DROP TRIGGER entries_update")
        connection.execute("UPDATE entries SET look = replace(look, 'small', 'large') WHERE row = 2")
        connection.execute(sql)
        connection.commit()
    told = call("trials", "--file", path)
    assert (told.exit_code, told.stdout) == (3, "")


def test_ledgers_of_jobs_are_merged_and_hold_every_head(looked, tmp_path):
    out, _ = looked
    other = Trials.open(tmp_path / "other.sqlite", create=True)
    other.record([look(1), look(2)])
    for whole in ("one.sqlite", "two.sqlite"):
        sources = [out / FILE, other.path] if whole == "one.sqlite" else [other.path, out / FILE, other.path]
        words = [word for source in sources for word in ("--merge", source)]
        told = call("trials", "--file", tmp_path / whole, *words, "--json", "--head", other.head())
        assert told.exit_code == 0
        assert json.loads(told.stdout)["entries"] == 5
    heads = {Trials.open(tmp_path / name).head() for name in ("one.sqlite", "two.sqlite")}
    assert heads == {"+".join(sorted((Trials.open(out / FILE).head(), other.head())))}


def test_a_damaged_ledger_is_not_merged_and_nothing_is_made_of_it(tmp_path):
    (tmp_path / "bad.sqlite").write_text("no ledger")
    told = call("trials", "--file", tmp_path / "whole.sqlite", "--merge", tmp_path / "bad.sqlite")
    assert told.exit_code == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["bad.sqlite"]
