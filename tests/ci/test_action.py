"""action.yml, by running its steps."""

import json
import re

import pytest
import yaml

import wfbt
from tests.ci.actions import Runner
from tests.ci.shell import ROOT
from tests.runs import write_study
from wfbt.registry.trials import Trials

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
RECORDING = """#!/bin/sh
printf '%s\\n' "$@" > "$RUNNER_TEMP/words.txt"
env > "$RUNNER_TEMP/environment.txt"
for word in "$@"; do if [ -f "$word" ]; then ls -l "$word" >> "$RUNNER_TEMP/modes.txt"; fi; done
exit {code}
"""


def record(runner, code=0, files=(), **given):
    """What the action asks `wfbt` for: its words, with a wfbt that does nothing but end with `code`."""

    class Recorded(Runner):
        def _composite(self, job, machine, inputs):
            (machine.commands / "wfbt").write_text(RECORDING.format(code=code))
            for name in files:
                (machine.workspace / name).parent.mkdir(parents=True, exist_ok=True)
                (machine.workspace / name).write_text("left behind")
            return super()._composite(job, machine, inputs)

    recorded = Recorded(*runner)
    job = recorded.action(**given)
    place = recorded.machine.temporary / "words.txt"
    return recorded, job, place.read_text().splitlines() if place.exists() else None


def test_a_strategy_of_rules_is_walked_and_passes(passed):
    runner, job = passed
    assert job.status == 0, job.log
    assert (job.outputs["status"], job.outputs["exit-code"]) == ("PASS", "0")
    verdict = json.loads((runner.folder / "job0" / "workspace" / job.outputs["verdict"]).read_text())
    assert (verdict["status"], verdict["attestation"]["signatures"]) == ("PASS", [])
    assert any("--first-look" in note for note in verdict["notes"])


def test_the_summary_of_the_job_is_the_verdict(passed):
    _, job = passed
    assert job.summary.startswith("## Verdict: PASS")
    assert "| number of folds | 2 | ≥ 2 | met |" in job.summary


def test_verdict_and_ledger_are_kept_as_an_artifact_and_the_ledger_is_handed_on(passed):
    runner, _ = passed
    names = {path.name for path in (runner.artifacts / "wfbt-verdict").iterdir()}
    assert names == {"verdict.json", "junit.xml", "summary.md", "trials.sqlite"}
    ((key, ledger),) = runner.cache.items()
    assert re.fullmatch(r"wfbt-trials-[0-9a-f]{64}", key)
    assert ledger == (runner.artifacts / "wfbt-verdict" / "trials.sqlite").read_bytes()


def test_it_installs_the_wfbt_of_its_own_commit_with_the_pinned_versions(passed):
    runner, job = passed
    lines = (runner.folder / "job0" / "pip.txt").read_text().splitlines()
    assert [line.split()[-1] for line in lines] == [f"{ROOT}/requirements.lock", str(ROOT)]
    assert ("actions/setup-python@v5", {"python-version": "3.12"}) in job.used


def test_a_breached_limit_fails_the_job_and_the_verdict_is_kept_all_the_same(walked, tmp_path):
    runner = Runner(tmp_path / "runner", walked)
    job = runner.action(criteria="impossible.yaml", **{"run-dir": "reports/run", "first-look": "true"})
    assert (job.status, job.outputs["status"], job.outputs["exit-code"]) == (1, "FAIL", "1")
    assert "::error title=wfbt gate::FAIL" in job.log
    assert "no trade at all" in job.summary
    told = json.loads((runner.artifacts / "wfbt-verdict" / "verdict.json").read_text())
    assert told["status"] == "FAIL"
    assert len(runner.cache) == 1


def test_without_the_ledger_of_earlier_jobs_it_is_inconclusive(walked, tmp_path):
    (walked / "reports" / "trials.sqlite").unlink()
    runner = Runner(tmp_path / "runner", walked)
    job = runner.action(criteria="counts.yaml", **{"run-dir": "reports/run"})
    assert (job.status, job.outputs["status"]) == (4, "INCONCLUSIVE")
    assert "there is no trial ledger" in job.log


def test_a_ledger_that_knows_of_other_looks_is_taken_up_from_the_cache(walked, tmp_path):
    other = write_study(tmp_path / "other", folds={"count": 1, "train": "60d", "embargo": "24h"})
    wfbt.run(other, out=tmp_path / "elsewhere", report=False)
    ledger = walked / "reports" / "trials.sqlite"
    runner = Runner(tmp_path / "runner", walked)
    Trials.open(ledger).merge(Trials.open(tmp_path / "elsewhere" / "trials.sqlite"))
    runner.cache = {"wfbt-trials-1": b"an older one", "wfbt-trials-2": ledger.read_bytes()}
    ledger.unlink()
    job = runner.action(criteria="counts.yaml", **{"run-dir": "reports/run"})
    assert (job.status, job.outputs["status"]) == (0, "PASS"), job.log
    assert len(runner.cache) == 3


def test_inconclusive_lets_the_job_go_on_only_where_that_is_allowed_and_says_so(walked, tmp_path):
    runner = Runner(tmp_path / "runner", walked)
    given = {"run-dir": "reports/run", "criteria": "counts.yaml", "allow-inconclusive": "true"}
    job = runner.action(**given)
    assert (job.status, job.outputs["status"], job.outputs["exit-code"]) == (0, "INCONCLUSIVE", "4")
    assert "::warning title=wfbt gate::INCONCLUSIVE" in job.log
    assert runner.action(**given | {"criteria": "impossible.yaml"}).status == 1


def test_a_run_that_was_edited_is_refused(walked, tmp_path):
    result = walked / "reports" / "run" / "result.json"
    result.write_text(result.read_text().replace('"total_return"', '"Total_return"', 1))
    job = Runner(tmp_path / "runner", walked).action(
        criteria="counts.yaml", **{"run-dir": "reports/run", "first-look": "true"}
    )
    assert (job.status, job.outputs["status"]) == (3, "REFUSED")


def test_the_verdict_is_signed_and_nothing_of_the_key_is_printed_or_left(walked, tmp_path, key):
    runner = Runner(tmp_path / "runner", walked, {"WFBT_SIGN_KEY": key.read_text()})
    told = {"run-dir": "reports/run", "criteria": "counts.yaml", "first-look": "true"}
    job = runner.action(**told, **{"sign-key": key.read_text()})
    assert job.status == 0, job.log
    private = key.read_text().splitlines()[1]
    for path in (path for path in runner.machine.temporary.parent.rglob("*") if path.is_file()):
        assert private.encode() not in path.read_bytes(), path
    assert private not in job.log + job.summary
    words = f'wfbt verify {job.outputs["verdict"]} small.yaml --key "{key.with_suffix(".pub")}"'
    done = runner.machine.bash(words, {}, ())
    assert done.returncode == 0, done.stderr
    other = runner.machine.bash(words.replace("signer.pub", "other.pub"), {}, ())
    assert other.returncode == 3
    folder = runner.machine.bash(words.replace("small.yaml", "reports/run"), {}, ())
    assert folder.returncode == 3
    assert "give the strategy file that the run was made with" in folder.stderr


def test_the_key_is_in_no_environment_and_its_file_is_its_owners_alone(files, tmp_path, key):
    given = {"run-dir": "reports/run", "sign-key": key.read_text()}
    runner, job, words = record((tmp_path / "runner", files), **given)
    assert job.status == 0
    assert "PRIVATE KEY" not in (runner.machine.temporary / "environment.txt").read_text()
    place = words[words.index("--sign") + 1]
    (line,) = (runner.machine.temporary / "modes.txt").read_text().splitlines()
    assert line.startswith("-rw-------")
    assert line.endswith(place)
    assert place.startswith(str(runner.machine.temporary))


def test_the_key_is_given_to_the_step_that_judges_and_to_no_other():
    with_it = [step["name"] for step in ACTION["runs"]["steps"] if "sign-key" in json.dumps(step)]
    assert with_it == ["Judge"]


def test_every_input_reaches_the_gate_as_its_option(files, tmp_path):
    given = {
        "model": "a model", "strategy": "s y.yaml", "models": "m", "criteria": "c.yaml", "profile": "strict",
        "baseline": "old run", "first-look": "true", "out": "o", "trials": "t.sqlite",
    }  # fmt: skip
    runner, job, words = record((tmp_path / "runner", files), **given)
    assert words == [
        "gate", "a model", "--models", "m", "--strategy", "s y.yaml", "--out", "o", "--profile", "strict",
        "--criteria", "c.yaml", "--baseline", "old run", "--first-look",
    ]  # fmt: skip
    assert "WFBT_TRIALS=t.sqlite" in (runner.machine.temporary / "environment.txt").read_text().splitlines()
    assert job.outputs["status"] == "PASS"


def test_text_from_outside_is_never_read_by_a_shell(files, tmp_path):
    given = {"run-dir": "$(touch spoiled); `touch spoiled`; x", "criteria": "; touch spoiled"}
    runner, _, words = record((tmp_path / "runner", files), **given)
    assert words[1] == given["run-dir"]
    assert words[-1] == given["criteria"]
    assert not (runner.machine.workspace / "spoiled").exists()


@pytest.mark.parametrize("code", [2, 5, 70])
def test_where_nothing_was_judged_no_verdict_of_an_earlier_job_is_left(code, files, tmp_path):
    given = {"run-dir": "reports/run", "allow-inconclusive": "true"}
    runner, job, _ = record((tmp_path / "runner", files), code, ["reports/verdict.json"], **given)
    assert (job.status, job.outputs) == (code, {"status": "", "exit-code": str(code), "verdict": ""})
    assert f"::error title=wfbt gate::not judged (exit code {code})" in job.log
    assert not (runner.machine.workspace / "reports" / "verdict.json").exists()


def test_a_walk_that_fails_ends_the_job_with_its_exit_code(files, tmp_path):
    _, job, words = record((tmp_path / "runner", files), 5, strategy="small.yaml")
    assert job.status == 5
    assert words[:2] == ["run", "small.yaml"]


def test_a_job_that_names_nothing_to_judge_is_told_what_to_give(files, tmp_path):
    _, job, words = record((tmp_path / "runner", files))
    assert (job.status, words) == (2, None)
    assert "give strategy, or model and strategy, or run-dir" in job.log


def test_a_job_that_keeps_its_own_ledger_and_installation_uses_neither_cache_nor_pip(files, tmp_path):
    given = {"run-dir": "r", "share-trials": "false", "install": "false", "artifact": ""}
    runner, job, _ = record((tmp_path / "runner", files), **given)
    assert [name for name, _ in job.used] == ["actions/checkout@v4"]
    assert not runner.machine.pip.exists()


def test_actions_from_elsewhere_are_githubs_own_at_a_major_version():
    used = [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z/-]+@v\d+", name) for name in used)
    assert len(used) == 4
