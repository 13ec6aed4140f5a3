"""Where a run must speak up, or refuse, instead of letting a number mislead."""

import json

import numpy as np
import pytest

import wfbt
from tests.runs import beside_the_ledger, hours, write_strategy, write_study
from wfbt.errors import ConfigError, PolicyError

STATEFUL = """
import itertools
import numpy as np

calls = itertools.count()

def moody(bars, n=5):
    return np.sign(np.sin(np.arange(len(bars)) / n + next(calls)))
"""


def run(path, tmp_path, **options):
    return wfbt.run(path, out=tmp_path / "out", report=False, **options)


def notes(result):
    return "\n".join(result.to_dict()["notes"])


def test_a_rule_that_gives_two_answers_is_refused(tmp_path):
    path = write_study(tmp_path, policy={"rule": "moody.py:moody", "search": {"n": [5, 9]}})
    (tmp_path / "moody.py").write_text(STATEFUL)
    with pytest.raises(PolicyError, match="two answers"):
        run(path, tmp_path)
    assert list((tmp_path / "out").iterdir()) == []


def test_training_windows_too_short_to_choose_by_are_refused(tmp_path):
    path = write_study(tmp_path, folds={"count": 3, "train": "20d"})
    with pytest.raises(ConfigError, match="there is no sharpe to choose by"):
        run(path, tmp_path)


def test_candidates_that_never_trade_are_said_to_be_no_choice(tmp_path):
    flat = "import pandas as pd\n\ndef idle(bars, n=1):\n    return pd.Series(0.0, bars.index)\n"
    path = write_study(tmp_path, policy={"rule": "idle.py:idle", "search": {"n": [1, 2]}})
    (tmp_path / "idle.py").write_text(flat)
    assert "the first one was taken" in notes(run(path, tmp_path))


def test_the_benchmark_of_an_inverse_account_holds_no_contract(tmp_path):
    symbol = {"AAA": {"bars": "bars.parquet", "contract": {"inverse": True, "multiplier": 100}}}
    path = write_study(tmp_path, data={"symbols": symbol}, account={"cash": 10, "leverage": 2})
    result = run(path, tmp_path)
    assert (result.benchmark.equity == 10).all()


def test_the_benchmark_pays_no_funding(tmp_path):
    result = run(write_study(tmp_path), tmp_path)
    assert len(result.benchmark.payments) == 0
    assert len(result.ledger.payments) > 0


def test_what_the_files_do_not_cover_is_noted(tmp_path):
    path = write_study(tmp_path, bars=hours(days=100))
    said = notes(run(path, tmp_path))
    assert "less than data.start to data.end" in said
    bare = write_strategy(tmp_path, "bare.yaml", data={"symbols": {"AAA": {"bars": "bars.parquet"}}})
    assert "no funding is charged" in notes(run(bare, tmp_path))


def test_whole_number_volume_is_questioned(tmp_path):
    bars = hours()
    bars["volume"] = np.floor(bars["volume"])
    assert "if it counts ticks or money, impact is wrong" in notes(run(write_study(tmp_path, bars=bars), tmp_path))


def test_measured_latencies_are_part_of_what_a_run_is(tmp_path):
    write_study(tmp_path)
    path = write_strategy(tmp_path, "measured.yaml", latency={"order": {"model": "empirical", "file": "delays.txt"}})
    ids = []
    for text in ("100 200 300", "100 200 900000"):
        (tmp_path / "delays.txt").write_text(text)
        ids.append(run(path, tmp_path))
    assert ids[0].run_id != ids[1].run_id
    again = wfbt.run(ids[1].folder / "config.resolved.yaml", out=tmp_path / "again", report=False)
    assert again.run_id == ids[1].run_id


def test_a_rerun_without_a_report_keeps_the_report_that_is_there(tmp_path):
    path = write_study(tmp_path)
    first = wfbt.run(path, out=tmp_path / "out")
    page = (first.folder / "index.html").read_bytes()
    wfbt.run(path, out=tmp_path / "out", report=False)
    assert (first.folder / "index.html").read_bytes() == page
    assert [entry.name for entry in beside_the_ledger(tmp_path / "out")] == [first.folder.name]


def test_a_file_where_the_run_folder_must_go_is_left_alone(tmp_path):
    path = write_study(tmp_path)
    folder = run(path, tmp_path).folder
    for entry in folder.iterdir():
        entry.unlink()
    folder.rmdir()
    folder.write_text("mine")
    with pytest.raises(ConfigError, match="is a file where the run folder must go"):
        run(path, tmp_path)
    assert folder.read_text() == "mine"


def test_it_is_said_how_closely_leaks_were_looked_for(tmp_path):
    from wfbt.report.tables import terminal_summary

    result = run(write_study(tmp_path), tmp_path).to_dict()
    told = json.loads(json.dumps(result))["leakage"]
    words = " ".join(terminal_summary(result).split())
    assert f"among {told['tests']:,} tested decisions" in words
    assert f"would have been caught with {told['detection_probability']:.0%} probability" in words
    assert ("Hardly tested for leaks" in words) == (told["detection_probability"] < 0.5)
    assert "No leak test was run" not in words
