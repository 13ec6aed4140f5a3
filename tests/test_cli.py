import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import wfbt
from tests.data.parquet import bars_table, write
from tests.runs import beside_the_ledger, numbers, write_strategy, write_study
from wfbt import cli

HEAVY = ("numpy", "pandas", "numba", "pyarrow", "pydantic", "scipy", "yaml", "rich", "talib", "vectorbt", "quantstats")
COMMANDS = (
    (),
    ("run",),
    ("reconcile",),
    ("drift",),
    ("gate",),
    ("data",),
    ("data", "sample"),
    ("data", "check"),
    ("data", "import"),
    ("data", "info"),
    ("check",),
    ("check", "config"),
    ("trials",),
    ("check", "lookahead"),
    ("check", "warmup"),
    ("export",),
    ("train",),
    ("verify",),
    ("schema",),
    ("warmup",),
)
# SIGINT is ignored by what a shell starts in the background, and that is inherited.
LAUNCH = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from wfbt.cli import main; main()"

SLOW_RULE = """
import time

class Patient:
    def fit(self, bars, n=24):
        time.sleep(0.15)
        self.n = n

    def targets(self, bars):
        return (bars["close"].pct_change(self.n) > 0).astype(float)
"""


def call(*words):
    return CliRunner().invoke(cli.main, [str(word) for word in words])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


def names(group, path=()):
    yield path
    for name, command in sorted(getattr(group, "commands", {}).items()):
        yield from names(command, (*path, name))


def test_every_command_is_listed_here():
    assert set(names(cli.main)) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(command, option):
    told = call(*command, option)
    assert told.exit_code == 0
    assert told.stdout.startswith(f"Usage: main {' '.join(command)}".rstrip())
    assert told.stderr == ""


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from wfbt.cli import main\n"
        f"for words in {[[*command, '--help'] for command in COMMANDS]!r}:\n"
        "    try:\n        main(words)\n    except SystemExit as end:\n        assert end.code == 0, words\n"
        f"print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "heavy: []"


def test_the_version_is_said():
    told = call("--version")
    assert (told.exit_code, told.stdout.split()[-1]) == (0, wfbt.__version__)


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("run",),
        ("run", "x.yaml", "--frobnicate"),
        ("run", "x.yaml", "--folds", "0"),
        ("run", "x.yaml", "--folds", "two"),
        ("run", "x.yaml", "--seed", "-1"),
        ("run", "x.yaml", "--jobs", "0"),
        ("run", "x.yaml", "--scheme", "sideways"),
        ("data", "frobnicate"),
        ("check", "config"),
    ],
    ids=" ".join,
)
def test_a_usage_mistake_exits_2_and_says_how_it_is_used(words):
    told = call(*words)
    assert told.exit_code == 2
    assert told.stdout == ""
    assert told.stderr.splitlines()[0].startswith("Usage: ")
    assert told.stderr.splitlines()[-1].startswith("Error: ")


def test_json_is_one_object_on_stdout_and_nothing_else_anywhere(study, tmp_path):
    told = call("run", study, "--out", tmp_path, "--no-report", "--json")
    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout.count("\n") == 1
    printed = json.loads(told.stdout)
    (folder,) = beside_the_ledger(tmp_path)
    assert printed == json.loads((folder / "result.json").read_text())


def test_json_of_a_real_process_is_one_object_too(study, tmp_path):
    command = [sys.executable, "-c", LAUNCH, "run", str(study), "--out", str(tmp_path), "--no-report", "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["name"] == "small"
    assert told.stderr == ""


def test_a_rule_that_prints_does_not_spoil_the_json(study, tmp_path):
    (study.parent / "chatty.py").write_text("def rule(bars):\n    print('hello')\n    return bars['close'] * 0 + 1\n")
    chatty = write_strategy(study.parent, "chatty.yaml", policy={"rule": "chatty.py:rule", "search": {}})
    told = call("run", chatty, "--out", tmp_path, "--no-report", "--json")
    assert json.loads(told.stdout)["name"] == "small"
    assert "hello" in told.stderr


def test_quiet_prints_the_folder_alone(study, tmp_path):
    told = call("run", study, "--out", tmp_path, "--no-report", "--quiet")
    (folder,) = beside_the_ledger(tmp_path)
    assert (told.exit_code, told.stdout, told.stderr) == (0, f"{folder}\n", "")


def test_a_run_ends_with_the_table_and_the_path_to_open_and_its_progress_goes_to_stderr(study, tmp_path):
    told = call("run", study, "--out", tmp_path, "--no-report")
    (folder,) = beside_the_ledger(tmp_path)
    assert told.exit_code == 0
    assert told.stdout.splitlines()[-1] == f"open {folder / 'result.json'}"
    assert "buy and hold" in told.stdout
    lines = told.stderr.splitlines()
    assert all(re.match(r"\[ *\d+\.\d s\] ", line) for line in lines)
    assert sum("6 candidates" in line for line in lines) == 3


def test_options_win_over_set_and_set_over_the_file(study, tmp_path):
    told = call(
        *("run", study, "--out", tmp_path, "--no-report", "--json", "--folds", 2, "--seed", 9),
        *("--set", "folds.count=4", "--set", "account.cash=5000", "--set", "account.cash=7000"),
    )
    printed = json.loads(told.stdout)
    assert (len(printed["folds"]), printed["account"]["cash"]) == (2, 7000)
    manifest = json.loads(next(tmp_path.glob("*/manifest.json")).read_text())
    assert manifest["seed"] == 9


def test_the_default_folder_is_reports_in_the_working_directory(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = call("run", study, "--no-report", "--quiet")
    assert Path(told.stdout.strip()).parts[0] == "reports"
    assert (tmp_path / told.stdout.strip() / "result.json").is_file()


def test_check_config_prints_a_strategy_that_checks_again_to_the_same(study, tmp_path):
    first = call("check", "config", study, "--set", "costs.taker_bps=4")
    assert first.exit_code == 0
    copy = tmp_path / "copy.yaml"
    copy.write_text(first.stdout)
    second = call("check", "config", copy)
    assert second.stdout == first.stdout
    assert "taker_bps: 4" in first.stdout
    assert "adverse: 0.5" in first.stdout  # a default


def test_check_config_exits_2_on_a_mistake(tmp_path):
    told = call("check", "config", write_strategy(tmp_path, folds={"cuont": 3}))
    assert (told.exit_code, told.stdout) == (2, "")
    assert "did you mean count" in told.stderr


def test_check_config_takes_several_files_and_tells_the_mistakes_of_each(study, tmp_path):
    wrong = [write_strategy(tmp_path, f"{name}.yaml", folds={name: 3}) for name in ("cuont", "tset")]
    told = call("check", "config", wrong[0], study, wrong[1])
    assert told.exit_code == 2
    assert told.stdout.startswith(f'--- # "{study}"\n')
    assert [line.partition(": unknown key")[0] for line in told.stderr.splitlines() if "unknown key" in line] == [
        f"ConfigError: {wrong[0]}",
        f"{wrong[1]}",
    ]
    both = call("check", "config", study, study, "--set", "seed=9")
    assert (both.exit_code, both.stdout.count("\nseed: 9\n")) == (0, 2)


def test_check_config_says_nothing_of_good_files_where_it_is_to_be_quiet(study, tmp_path):
    assert call("check", "config", "--quiet", study, study).output == ""
    told = call("check", "config", "--quiet", study, tmp_path / "none.yaml")
    assert (told.exit_code, told.stdout) == (2, "")
    assert "none.yaml: no such file" in told.stderr


def test_check_config_of_no_file_at_all_is_a_mistake():
    assert call("check", "config").exit_code == 2


def test_data_check_exits_0_on_clean_bars_and_5_on_broken_ones(study, tmp_path):
    clean = call("data", "check", study.parent / "bars.parquet")
    assert (clean.exit_code, clean.stdout) == (0, "0 errors, 0 warnings\n")
    table = bars_table(200)
    closes = table["close"].to_pylist()
    closes[17] = closes[3] * -1
    broken = write(tmp_path / "broken.parquet", bars_table(200, close=closes))
    told = call("data", "check", broken)
    assert told.exit_code == 5
    assert "row 17  2024-01-01 17:00:00Z" in told.stdout
    as_json = call("data", "check", broken, "--json")
    assert as_json.exit_code == 5
    assert {(one["severity"], one["row"]) for one in json.loads(as_json.stdout)} == {("error", 17)}


def test_data_check_exits_5_on_what_is_no_data(tmp_path):
    told = call("data", "check", tmp_path / "nothing.parquet")
    assert (told.exit_code, told.stdout) == (5, "")
    assert told.stderr.count("\n") == 1


def test_data_info_tells_the_extent(study):
    told = call("data", "info", study.parent / "bars.parquet")
    facts = dict(line.split(None, 1) for line in told.stdout.splitlines())
    assert told.exit_code == 0
    assert (facts["kind"], facts["rows"], facts["period"]) == ("bars", "2,880", "1h")
    assert (facts["first"], facts["last"]) == ("2024-01-01 00:00:00Z", "2024-04-29 23:00:00Z")
    as_json = json.loads(call("data", "info", study.parent / "funding.parquet", "--json").stdout)
    assert (as_json["kind"], as_json["rows"], as_json["period"]) == ("funding", 360, "8h")


def test_a_sample_is_written_once_and_left_alone(tmp_path):
    folder = tmp_path / "sample"
    assert call("data", "sample", folder).exit_code == 0
    before = (folder / "truth.json").stat().st_mtime_ns
    told = call("data", "sample", folder, "--if-absent")
    assert (told.exit_code, told.stdout) == (0, f"{folder} is there\n")
    assert (folder / "truth.json").stat().st_mtime_ns == before


def test_a_sample_never_overwrites_what_is_no_sample(tmp_path):
    (tmp_path / "precious.txt").write_text("x")
    told = call("data", "sample", tmp_path)
    assert told.exit_code == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["precious.txt"]


def test_the_kernels_can_be_compiled_ahead():
    told = call("warmup")
    assert told.exit_code == 0
    assert told.stdout.startswith("kernels ready in ")


@pytest.mark.parametrize("before", [True, False])
def test_debug_shows_the_traceback_wherever_it_stands(tmp_path, before):
    words = ["check", "config", str(tmp_path / "nothing.yaml")]
    told = call(*(["--debug", *words] if before else [*words, "--debug"]))
    assert isinstance(told.exception, wfbt.WfbtError)
    assert told.exit_code != 0


def test_a_fault_of_wfbt_itself_exits_70_without_a_traceback(study, tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("wfbt.pipeline.run", broken)
    told = call("run", study, "--out", tmp_path)
    assert told.exit_code == 70
    assert "internal error: ZeroDivisionError: planted" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("mode", [[], ["--quiet"], ["--json"]], ids=str)
def test_ctrl_c_exits_130_and_resume_goes_on(study, tmp_path, mode):
    (study.parent / "patient.py").write_text(SLOW_RULE)
    strategy = write_strategy(
        study.parent, "patient.yaml", policy={"rule": "patient.py:Patient", "search": {"n": [12]}}
    )
    out = tmp_path / "out"
    command = [sys.executable, "-c", LAUNCH, "run", str(strategy), "--out", str(out), "--no-report", "--folds", "12"]
    process = subprocess.Popen([*command, *mode], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_a_fold(process, out)
    process.send_signal(signal.SIGINT)
    said, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == ""
    assert told.splitlines()[-1] == "interrupted; finished folds are kept, go on with --resume"
    assert "Traceback" not in told
    (partial,) = out.glob("*")
    kept = len(list(partial.glob(".trials/*.npz")))
    assert partial.name.endswith(".partial")
    assert 1 <= kept < 12
    resumed = call("run", strategy, "--out", out, "--no-report", "--folds", 12, "--quiet", "--resume")
    assert resumed.exit_code == 0
    assert [entry.name for entry in beside_the_ledger(out)] == [Path(resumed.stdout.strip()).name]
    if not mode:
        whole = wfbt.run(strategy, out=tmp_path / "whole", folds=12, report=False)
        assert numbers(Path(resumed.stdout.strip())) == numbers(whole.folder)


def wait_for_a_fold(process, out):
    deadline = time.monotonic() + 60
    while not list(out.glob("*/.trials/*.npz")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "no fold was finished"
        time.sleep(0.02)


def test_a_reader_that_goes_away_causes_no_traceback(study, tmp_path):
    command = [sys.executable, "-c", LAUNCH, "run", str(study), "--out", str(tmp_path), "--no-report", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) != 0
    assert "Traceback" not in told
    (folder,) = beside_the_ledger(tmp_path)
    assert (folder / "result.json").is_file()
