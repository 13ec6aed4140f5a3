"""The examples that train, each at the small size that its own first lines name."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import wfbt
from tests.test_examples import FEW, TRAINED, check_result
from wfbt.config.load import load_strategy
from wfbt.config.training import Validation
from wfbt.data.synthetic import write_sample

pytest.importorskip("stable_baselines3", reason="training needs the extra [rl]")

from wfbt.learn import train as training
from wfbt.learn.networks import network_of, one_thread
from wfbt.training import opened, train, windows_of

ROOT = Path(__file__).resolve().parents[1]
NAMES = [path.stem for path in TRAINED]
SMALLER = ("robustness=null", "stress=null", "capacity=null", "decay=null", *FEW)
"""What is not about training is tested with the other examples."""


def small(path):
    """The overrides that the example's head gives for its small size."""
    head = path.read_text().partition("\nname:")[0]
    return tuple(re.findall(r"--set (\S+)", head))


@pytest.fixture(scope="module", params=NAMES)
def trained(request, tmp_path_factory):
    """An example, its overrides, and the folder with what `wfbt train` made of it."""
    folder = ROOT / "datasets" / "sample"
    if not (folder / "SOLUSDT" / "trades.parquet").exists():
        write_sample(folder)
    path = ROOT / "examples" / f"{request.param}.yaml"
    overrides = small(path)
    models = tmp_path_factory.mktemp(request.param)
    found = train(path, overrides=overrides, out=models, jobs=1)
    return path, overrides, models, found


def test_the_examples_that_train_are_these():
    assert NAMES == ["dqn_scalp", "hierarchical", "ppo_confirm", "ppo_features"]


@pytest.mark.parametrize("name", NAMES)
def test_the_small_size_is_the_same_strategy_with_five_seeds(name):
    path = ROOT / "examples" / f"{name}.yaml"
    here, full = load_strategy(path, overrides=small(path)), load_strategy(path)
    assert (here.name, here.data.symbols, here.costs) == (full.name, full.data.symbols, full.costs)
    assert len(plan_of(here).seeds) == len(plan_of(full).seeds) == 5
    assert here.folds.count == 1
    assert plan_of(here).steps < plan_of(full).steps


@pytest.mark.slow
def test_an_example_trains_then_runs_on_what_it_trained_and_passes_the_leak_tests(trained, tmp_path):
    path, overrides, models, found = trained
    assert [one.window for one in found] == ["1", "final"]
    before = {entry: entry.stat().st_mtime_ns for entry in models.rglob("*") if entry.is_file()}
    # A leak would end it with LeakError.
    result = wfbt.run(path, overrides=[*overrides, *SMALLER], out=tmp_path, models=models, jobs=1, report=False)
    assert {entry: entry.stat().st_mtime_ns for entry in models.rglob("*") if entry.is_file()} == before
    result.ledger.reconcile()
    check_result(result, result.folder)
    told = json.loads((result.folder / "result.json").read_text())
    assert told["leakage"]["passed"]
    assert told["leakage"]["tests"] > 0
    (model,) = told["models"].values()
    assert (model["mode"], model["provenance"], len(model["seeds"])) == ("retrain", "recorded", 5)
    assert [one["sha256"] for one in model["each"]] == [one.artifact.sha256 for one in found[:-1]]
    assert told["seeds"]["count"] == 5
    if path.stem == "ppo_confirm":  # its sizes follow the proposal's stops, and a coin has none
        assert "needs a stop" in told["baselines"]["reasons"]["random"]
    else:
        assert told["baselines"]["random"]["accounts"] == 100
    assert (told["baselines"]["rule_alone"] is None) == (path.stem != "ppo_confirm")


@pytest.mark.slow
def test_five_seeds_together_earn_more_on_training_rows_than_before_they_trained(trained):
    path, overrides, models, _ = trained
    config = load_strategy(path, overrides=overrides)
    schools, deck = opened(config, models)
    (school,) = schools.values()
    rows = windows_of(config, deck)[0][1]
    lesson = school.lesson(rows)
    money = replace(lesson, plan=lesson.plan.model_copy(update={"validation": Validation(score="total_return")}))
    after = [money.score(member.levels, lesson.kept) for member in school.artifact(rows).members]
    before = []
    for seed in school.seeds:
        drawn = int(np.random.SeedSequence([config.seed, seed]).generate_state(1)[0])
        with one_thread():
            models_of = training._models(lesson, drawn, None)
            start = {name: network_of(model, lesson.levels[name]) for name, model in models_of.items()}
        before.append(money.score(start, lesson.kept))
    assert len(after) == len(before) == 5
    assert np.mean(after) > np.mean(before)


def plan_of(config):
    """The section that says how the example's network learns."""
    policy = config.policy
    return policy.train or policy.hybrid.confirm.train
