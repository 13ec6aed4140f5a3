"""The GitLab template, by running its commands."""

import json
import shutil
from xml.etree import ElementTree

import pytest

from tests.ci import gitlab
from tests.ci.shell import Machine

DEFAULTS = gitlab.template()["variables"]
GATE = {"extends": ".wfbt-gate"}


@pytest.fixture
def machine(walked, tmp_path):
    """A job with a run folder and its ledger in the workspace."""
    made = Machine(tmp_path / "job")
    shutil.copytree(walked, made.workspace, dirs_exist_ok=True)
    return made


def judge(machine, criteria="counts.yaml", **given):
    return gitlab.run(machine, GATE, DEFAULTS, WFBT_RUN_DIR="reports/run", WFBT_CRITERIA=criteria, **given)


def record(machine, **given):
    """The words that the job asks wfbt for."""
    (machine.commands / "wfbt").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\" >> words.txt\necho walked\n")
    done = gitlab.run(machine, GATE, DEFAULTS, **given)
    return done, (machine.workspace / "words.txt").read_text().splitlines() if done.returncode == 0 else None


def test_a_run_that_meets_its_criteria_passes_and_all_that_is_kept_is_there(machine):
    done = judge(machine, WFBT_FIRST_LOOK="true")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = gitlab.kept(machine, DEFAULTS)
    assert len(kept) == 4
    assert all(place.is_file() for place in kept.values()), kept
    suites = ElementTree.parse(kept["$WFBT_OUT/junit.xml"]).getroot()
    assert (suites.get("failures"), suites.get("errors")) == ("0", "0")


def test_a_breached_limit_fails_the_job_with_its_junit_report(machine):
    done = judge(machine, "impossible.yaml", WFBT_FIRST_LOOK="true")
    assert done.returncode == 1
    report = ElementTree.parse(machine.workspace / "reports" / "junit.xml").getroot()
    unmet = [case.get("name") for case in report.iter("testcase") if case.find("failure") is not None]
    assert unmet == ["no trade at all"] * 3  # of the whole run and of two folds


def test_without_a_ledger_the_job_is_inconclusive(machine):
    (machine.workspace / "reports" / "trials.sqlite").unlink()
    assert judge(machine).returncode == 4


def test_a_file_variable_signs_and_the_key_is_not_printed(machine, key):
    done = judge(machine, WFBT_FIRST_LOOK="true", WFBT_SIGN_KEY=str(key))
    assert done.returncode == 0, done.stderr
    assert key.read_text().splitlines()[1] not in done.stdout + done.stderr
    told = json.loads((machine.workspace / "reports" / "verdict.json").read_text())
    assert len(told["attestation"]["signatures"]) == 1


def test_every_variable_reaches_the_gate_as_its_option(machine):
    _, words = record(
        machine, WFBT_MODEL="a model", WFBT_STRATEGY="s y.yaml", WFBT_PROFILE="strict", WFBT_CRITERIA="c.yaml",
        WFBT_BASELINE="old run", WFBT_FIRST_LOOK="true", WFBT_OUT="o", WFBT_MODELS="m", WFBT_SIGN_KEY="/key",
    )  # fmt: skip
    assert words == [
        "gate", "a model", "--models", "m", "--strategy", "s y.yaml", "--profile", "strict", "--criteria", "c.yaml",
        "--baseline", "old run", "--first-look", "--sign", "/key", "--out", "o",
    ]  # fmt: skip


def test_rules_are_walked_and_then_judged(machine):
    _, words = record(machine, WFBT_STRATEGY="small.yaml")
    assert words == [
        "run", "small.yaml", "--out", "reports", "--models", "models", "--quiet", "gate", "walked", "--out", "reports",
    ]  # fmt: skip


def test_a_walk_that_fails_ends_the_job_with_its_exit_code(machine):
    done = gitlab.run(machine, GATE, DEFAULTS, WFBT_STRATEGY="none.yaml")
    assert done.returncode == 2
    assert "none.yaml: no such file" in done.stderr


def test_a_job_that_names_nothing_to_judge_is_told_what_to_give(machine):
    done = gitlab.run(machine, GATE, DEFAULTS)
    assert done.returncode == 2
    assert "set WFBT_STRATEGY, or WFBT_MODEL and WFBT_STRATEGY, or WFBT_RUN_DIR" in done.stderr


def test_what_is_installed_is_what_the_job_names_and_nothing_by_a_bare_name(machine):
    package = "wfbt @ git+https://example.com/wfbt@v0.1.0"
    record(machine, WFBT_RUN_DIR="r", WFBT_PACKAGE=package)
    assert machine.pip.read_text().endswith(f"{package}\n")
    machine.pip.unlink()
    record(machine, WFBT_RUN_DIR="r")
    assert not machine.pip.exists()
