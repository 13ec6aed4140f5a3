"""`wfbt train` on the command line."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("stable_baselines3", reason="the extra [rl] is not installed")

from tests.learn.lessons import QUICK, write_lesson
from tests.runs import hours
from wfbt import cli
from wfbt.assembly import read_market, study_of
from wfbt.config.load import load_strategy
from wfbt.engine.backtest import span
from wfbt.policies import policies_of
from wfbt.policy.artifact.load import load_artifact
from wfbt.training import opened
from wfbt.validation.walk_forward import training_times

LAUNCH = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from wfbt.cli import main; main()"
WITHOUT = "import sys; sys.modules[{name!r}] = None; from wfbt.cli import main; main()"
ROOT = Path(__file__).resolve().parents[1]


def call(*words):
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def test_it_trains_every_fold_and_the_last_rows_and_says_where(tmp_path):
    path, out = write_lesson(tmp_path), tmp_path / "models"
    done = call("train", path, "--folds", 2, "--seeds", 1, "--out", out, "--jobs", 1, "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert [one["window"] for one in told] == ["1", "2", "final"]
    assert [one["training"]["start"] for one in told] == ["2024-01-01", "2024-01-31", "2024-03-01"]
    for one in told:
        folder = Path(one["folder"])
        assert folder.parent == out / "small"
        assert load_artifact(folder).sha256 == one["sha256"]
        assert [seed["seed"] for seed in one["seeds"]] == [0]
    again = call("train", path, "--folds", 2, "--seeds", 1, "--out", out, "--quiet")
    assert again.stdout.split() == [one["folder"] for one in told]
    table = call("train", path, "--folds", 2, "--seeds", 1, "--out", out)
    assert "2024-01-01 to 2024-02-13  2024-02-14 to 2024-02-29" in table.stdout
    assert all(one["folder"] in table.stdout for one in told)


@pytest.mark.slow
def test_what_it_trained_may_stand_where_a_rule_does(tmp_path):
    told = json.loads(
        call("train", write_lesson(tmp_path), "--folds", 1, "--out", tmp_path / "models", "--json").stdout
    )
    path = write_lesson(tmp_path, policy={"model": told[0]["folder"]})
    run = call("run", path, "--folds", 1, "--out", tmp_path / "reports", "--no-report", "--json")
    assert run.exit_code == 0, run.output
    assert [fold["test_start"][:10] for fold in json.loads(run.stdout)["folds"]] == ["2024-03-01"]


def test_a_strategy_that_trains_nothing_is_refused(tmp_path):
    done = call("train", write_lesson(tmp_path, policy={"rule": "momentum"}))
    assert done.exit_code == 2
    assert "trains nothing" in done.stderr


def test_a_setting_that_its_reward_has_not_is_refused(tmp_path):
    done = call("train", write_lesson(tmp_path, {"reward": {"name": "six", "weights": {"trade": 0.1}}}))
    assert done.exit_code == 2
    assert "trades" in done.stderr


@pytest.mark.parametrize("name", ["torch", "stable_baselines3", "gymnasium"])
def test_without_the_extra_it_says_what_to_install(name, tmp_path):
    path = write_lesson(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(name=name), "train", str(path)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "wfbt[rl]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_keeps_the_seeds_that_are_done(jobs, tmp_path):
    path, out = write_lesson(tmp_path, {"seeds": 40, "steps": 4096}), tmp_path / "models"
    words = ["train", str(path), "--folds", "1", "--out", str(out), "--jobs", str(jobs)]
    process = subprocess.Popen([sys.executable, "-c", LAUNCH, *words], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    deadline = time.monotonic() + 120
    while not list(out.rglob("log.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in said
    assert "Traceback" not in said
    kept = {log: log.read_bytes() for log in out.rglob("log.json")}
    assert 0 < len(kept) < 40
    assert not list(out.rglob("manifest.json"))
    assert all(json.loads(text)["steps"] >= 4096 for text in kept.values())


FITTED = {
    "regimes": {"states": 2, "show": True},
    "volatility": {"model": "har", "sizing": True},
    "sizing": {"method": "volatility", "scale": {"regimes": {"turbulent": 0.5}}},
}


@pytest.mark.parametrize("side", ["alone", "confirm", "propose"])
def test_a_walk_hears_from_a_trained_network_what_its_lesson_heard(side, tmp_path):
    plan = QUICK | {"features": ["rsi_14", "return_4", "volatility_forecast"], "seeds": 2}
    rule = {"rule": "sma_cross", "params": {"fast": 4, "slow": 24}}
    policy = {"train": plan}
    if side != "alone":
        policy = {"hybrid": {"propose": rule, "confirm": rule, "mode": "veto"} | {side: {"train": plan}}}
    config = load_strategy(write_lesson(tmp_path, policy=policy, **FITTED))
    market = read_market(config)
    study, folds, _ = study_of(config, market, policies_of(config), 1, tmp_path / "models")
    schools, _ = opened(config, tmp_path / "models")
    (school,) = schools.values()
    said = 0
    for fold in folds[:2]:
        view, train = study.view(fold), training_times(study.deck, fold)
        for candidate, member in zip(study.candidates, school.artifact(train).members, strict=True):
            rows = span(study.deck, fold.test[0].start, fold.test[0].stop)
            replayed = study.saying(candidate, view).between(*rows)
            taught = school.lesson(train).says(member.levels).between(*rows)
            assert replayed.tobytes() == taught.tobytes()
            said += len(replayed)
    assert said > 5


def test_a_search_of_settings_reads_the_first_training_rows_alone_and_prints_what_gives_them(tmp_path):
    pytest.importorskip("optuna", reason="the extra [tune] is not installed")
    path = write_lesson(tmp_path, {"seeds": 1})
    told = call("train", path, "--tune", 2, "--json")
    assert told.exit_code == 0, told.output
    ((where, found),) = json.loads(told.stdout).items()
    assert where == "policy.train"
    assert set(found["best"]) == {"learning_rate", "gamma", "hidden", "ppo.entropy"}
    assert found["score"] >= found["given"]
    assert not (tmp_path / "models").exists()
    # What comes after the first training rows is another market: nothing of it was read.
    again = tmp_path / "again"
    bars = hours()
    late = slice(24 * 60, None)
    for name in ("open", "high", "low", "close"):
        bars[name] = np.concatenate([bars[name][: 24 * 60], bars[name][late] * 1.5])
    other = write_lesson(again, {"seeds": 1}, bars=bars)
    (second,) = json.loads(call("train", other, "--tune", 2, "--json").stdout).values()
    assert second == found


@pytest.mark.slow
def test_a_recipe_is_judged_by_its_folds_and_only_the_model_that_it_made_of_the_last_rows_is_bound(tmp_path):
    path, store = write_lesson(tmp_path, folds={"count": 2}), tmp_path / "models"
    told = json.loads(call("train", path, "--out", store, "--jobs", 1, "--json").stdout)
    folders = {one["window"]: one["folder"] for one in told}
    asked = ("--strategy", path, "--models", store, "--out", tmp_path / "reports", "--first-look", "--no-report")
    done = call("gate", folders["final"], *asked, "--jobs", 1, "--json")
    verdict = json.loads(done.stdout)
    findings = {one["name"]: one for one in verdict["findings"]}
    assert findings["model of this recipe"]["passed"] is True
    assert done.exit_code == verdict["exit_code"] != 0  # so few days are no evidence
    assert any(note.startswith("retrain") for note in verdict["notes"])
    assert verdict["bound"]["model"]
    other = call("gate", folders["1"], *asked, "--jobs", 1, "--json")
    assert other.exit_code == 3
    assert {one["name"]: one["passed"] for one in json.loads(other.stdout)["findings"]}["model of this recipe"] is False
