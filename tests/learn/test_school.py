"""Artefacts are trained once, on training rows alone, and are the same again."""

import json
import multiprocessing
import pickle
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="the extra [rl] is not installed")

from tests.learn.lessons import QUICK, open_school, write_lesson
from tests.runs import hours
from wfbt.data.market import DAY, HOUR
from wfbt.errors import ArtifactError, ConfigError
from wfbt.learn import train as training
from wfbt.learn.lesson import blank
from wfbt.learn.networks import network_of
from wfbt.learn.sb3 import LaneVecEnv
from wfbt.policy.artifact.load import load_artifact
from wfbt.policy.artifact.manifest import Provenance
from wfbt.policy.artifact.tensors import read_tensors
from wfbt.training import train

KINDS = {
    "ppo": {},
    "dqn": {"algorithm": "dqn", "ppo": None, "dqn": {"starts": 50}, "layer_norm": True},
    "box": {"action": {"continuous": {"sized": True, "dead_zone": 0.05}}, "schedule": "linear"},
    "layer norm": {"layer_norm": True, "activation": "silu", "schedule": "cosine", "scaling": "minmax"},
    "joint": {"hierarchical": {"every": 6, "goals": 3}},
    "alternate": {"hierarchical": {"every": 6, "goals": 3, "train": "alternate", "turn": 1}},
    "sortino by days": {"reward": {"name": "sortino", "weights": {"trades": 0.1}}, "episodes": {"by": "day"}},
    "all rows": {"validation": None, "scaling": "none", "account": ["position"]},
}


def weights(artifact):
    """Every number of every network, by seed and level."""
    return {
        (member.seed, level): [layer.weight.tobytes() + layer.bias.tobytes() for layer in network.layers]
        for member in artifact.members
        for level, network in member.levels.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_learns_the_same_weights(kind, tmp_path):
    path = write_lesson(tmp_path, KINDS[kind])
    made = []
    for store in ("one", "two"):
        school, windows = open_school(path, tmp_path / store)
        made.append(school.artifact(windows["1"]))
    assert made[0].sha256 == made[1].sha256
    assert weights(made[0]) == weights(made[1])
    assert made[0].parity < 1e-5
    seeds = {seed: [own for (other, _), own in weights(made[0]).items() if other == seed] for seed in (0, 1)}
    assert seeds[0] != seeds[1]
    folders = [one.path for one in made]
    prefixes = ["manager-", "worker-"] if "hierarchical" in KINDS[kind] else [""]
    names = {f"{prefix}seed-{seed}.safetensors" for prefix in prefixes for seed in (0, 1)}
    assert {file.name for file in folders[0].iterdir()} == names | {
        "manifest.json",
        "probes.safetensors",
        "training.json",
    }
    assert all((folders[0] / one.name).read_bytes() == one.read_bytes() for one in folders[1].iterdir())


def test_another_seed_of_the_run_is_another_network(tmp_path):
    made = []
    for seed in (5, 6):
        school, windows = open_school(write_lesson(tmp_path, seed=seed), tmp_path / "models")
        made.append((school.key(windows["1"]), weights(school.artifact(windows["1"]))))
    assert made[0][0] != made[1][0]
    assert made[0][1] != made[1][1]


def test_what_the_manifest_calls_training_is_what_was_trained_on(tmp_path, monkeypatch):
    seen = []

    class Watched(LaneVecEnv):
        def step_wait(self):
            seen.append(self.lanes.bar.copy())
            stepped = super().step_wait()
            seen.append(self.lanes.bar.copy())
            return stepped

    monkeypatch.setattr(training, "LaneVecEnv", Watched)
    path = write_lesson(tmp_path, {"episodes": {"by": "random", "length": 24}, "steps": 2048, "seeds": 1})
    school, windows = open_school(path, tmp_path / "models")
    train = windows["2"]
    manifest = school.artifact(train).manifest
    close = school.lowering.deck.close_ts
    rows = np.unique(np.concatenate(seen))
    kept = close[rows]
    assert manifest.training.start == train[0] - HOUR
    assert manifest.validation.end == train[-1]
    assert manifest.training.start < kept.min() and kept.max() <= manifest.training.end
    # 60 days less the embargo before the test window, of which a quarter is kept back, another embargo before it.
    assert manifest.validation.end - manifest.validation.start == round(59 * 24 * 0.25) * HOUR
    assert manifest.validation.start - manifest.training.end == DAY
    assert len(rows) > 0.8 * (manifest.training.end - manifest.training.start) / HOUR
    assert manifest.embargo == DAY
    assert manifest.provenance is Provenance.RECORDED


def altered(bars, rows, seed=1):
    """Other prices on `rows`."""
    rng = np.random.default_rng(seed)
    out = {name: values.copy() for name, values in bars.items()}
    for name in ("open", "high", "low", "close"):
        out[name][rows] *= 1.5
    out["volume"][rows] = rng.uniform(100, 200, len(out["volume"][rows]))
    return out


def test_rows_kept_back_and_rows_after_training_move_no_weight(tmp_path):
    last = {"validation": QUICK["validation"] | {"every": 100_000}, "seeds": 1}
    made = []
    for name, rows in (("plain", slice(0, 0)), ("altered", slice(47 * 24, None))):
        (tmp_path / name).mkdir()
        path = write_lesson(tmp_path / name, last, bars=altered(hours(), rows))
        school, windows = open_school(path, tmp_path / name / "models")
        assert school.lesson(windows["1"]).kept[-1].stop < 47 * 24
        made.append(school.artifact(windows["1"]))
    first, second = (one.manifest for one in made)
    assert first.data.digests != second.data.digests
    assert first.levels["policy"].normaliser == second.levels["policy"].normaliser
    assert weights(made[0]) == weights(made[1])


def test_data_that_come_later_are_no_reason_to_train_again(tmp_path):
    keys = []
    for name, days in (("short", 110), ("long", 120)):
        (tmp_path / name).mkdir()
        bars = {column: values[: 24 * days] for column, values in hours().items()}
        folds = {"count": 2, "train": "60d", "test": "20d"}
        path = write_lesson(tmp_path / name, bars=bars, folds=folds)
        school, windows = open_school(path, tmp_path)
        keys.append([school.key(windows[name]) for name in ("1", "2", "final")])
    assert keys[0][:2] == keys[1][:2]
    assert keys[0][2] != keys[1][2]


@pytest.mark.parametrize(
    "changed",
    [
        {"costs": {"taker_bps": 7}},
        {"policy": {"train": QUICK | {"steps": 320}}},
        {"policy": {"train": QUICK | {"reward": {"name": "log_return"}}}},
        {"policy": {"train": QUICK | {"features": ["rsi_14", "return_5", "volume_z"]}}},
        {"latency": {"order": {"model": "uniform", "low": "100ms", "high": "600ms"}}},
        {"folds": {"count": 3, "train": "60d", "embargo": "25h"}},
    ],
)
def test_what_changes_the_lesson_changes_the_key(changed, tmp_path):
    school, windows = open_school(write_lesson(tmp_path), tmp_path / "models")
    other, others = open_school(write_lesson(tmp_path, **changed), tmp_path / "models")
    assert school.sha256 != other.sha256
    assert school.key(windows["1"]) != other.key(others["1"])


def test_seeds_that_were_done_when_training_was_killed_are_not_trained_again(tmp_path, monkeypatch):
    path = write_lesson(tmp_path, {"seeds": 3})
    whole, windows = open_school(path, tmp_path / "whole")
    wanted = whole.artifact(windows["1"])
    school, _ = open_school(path, tmp_path / "killed")
    real, begun = training._train, []

    def killed(lesson, seed, *rest):
        begun.append(seed)
        if begun == [0, 1]:
            raise KeyboardInterrupt
        return real(lesson, seed, *rest)

    monkeypatch.setattr(training, "_train", killed)
    with pytest.raises(KeyboardInterrupt):
        school.artifact(windows["1"])
    again, _ = open_school(path, tmp_path / "killed")
    assert again.missing(windows["1"]) == (1, 2)
    assert again.artifact(windows["1"]).sha256 == wanted.sha256
    assert begun == [0, 1, 1, 2]
    assert again.artifact(windows["1"]).sha256 == wanted.sha256
    assert begun == [0, 1, 1, 2]


def test_a_stored_teacher_of_plain_values_loads_what_was_trained(tmp_path):
    school, windows = open_school(write_lesson(tmp_path), tmp_path / "models")
    made = school.artifact(windows["1"])
    teacher = pickle.loads(pickle.dumps(school.stored([windows["1"]])))
    assert teacher.artifact(windows["1"]).sha256 == made.sha256
    assert (teacher.seeds, teacher.watches, teacher.sha256) == ((0, 1), True, school.sha256)
    with pytest.raises(ArtifactError, match="run wfbt train"):
        teacher.artifact(windows["2"])


def test_the_best_look_is_what_is_kept(tmp_path):
    school, windows = open_school(write_lesson(tmp_path, {"seeds": 1, "steps": 1024}), tmp_path / "models")
    lesson = school.lesson(windows["1"])
    (member,) = school.artifact(windows["1"]).members
    (log,) = school.logs(windows["1"])
    scores = [look["score"] for look in log["looks"]]
    assert len(scores) == 16
    assert log["best"] == max(scores) > min(scores)
    assert log["chosen_at"] == log["looks"][int(np.argmax(scores))]["steps"] < 1024
    assert lesson.score(member.levels) == log["best"]


def test_training_ends_when_nothing_gets_better(tmp_path):
    impatient = {"validation": QUICK["validation"] | {"patience": 2}, "steps": 100_000, "seeds": 1}
    school, windows = open_school(write_lesson(tmp_path, impatient), tmp_path / "models")
    school.artifact(windows["1"])
    (log,) = school.logs(windows["1"])
    assert log["steps"] == log["chosen_at"] + 2 * 64 + 4  # the step that finds it over
    assert log["stopped"] == "2 looks without a better total_return"


def test_warm_weights_come_from_another_market_and_its_scaling_does_not(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    there, windows = open_school(write_lesson(tmp_path / "there", bars=hours(seed=8)), tmp_path / "models")
    source = there.artifact(windows["1"])
    path = write_lesson(tmp_path / "here", {"warm_start": str(source.path), "learning_rate": 1e-12})
    school, windows = open_school(path, tmp_path / "here")
    made = school.artifact(windows["1"])
    cold, _ = open_school(write_lesson(tmp_path / "here", {"learning_rate": 1e-12}), tmp_path / "here")
    begun = cold.artifact(windows["1"])
    for number in (0, 1):
        first, warm, untaught = (one.members[number].levels["policy"].layers[0].weight for one in (source, made, begun))
        assert np.abs(warm - first).max() < 1e-6 < np.abs(warm - untaught).max()
    assert made.manifest.levels["policy"].normaliser == begun.manifest.levels["policy"].normaliser
    assert made.manifest.levels["policy"].normaliser != source.manifest.levels["policy"].normaliser


def test_warm_weights_that_know_what_is_tested_are_refused(tmp_path):
    school, windows = open_school(write_lesson(tmp_path), tmp_path / "models")
    source = school.artifact(windows["2"])
    other, _ = open_school(write_lesson(tmp_path, {"warm_start": str(source.path)}), tmp_path / "models")
    assert other.artifact(windows["3"]).manifest.seeds == (0, 1)
    with pytest.raises(ArtifactError, match="would know what is tested"):
        other.artifact(windows["1"])


def test_warm_weights_of_another_shape_are_refused(tmp_path):
    school, windows = open_school(write_lesson(tmp_path), tmp_path / "models")
    source = school.artifact(windows["1"])
    other, _ = open_school(write_lesson(tmp_path, {"hidden": [8], "warm_start": str(source.path)}), tmp_path / "models")
    with pytest.raises(ConfigError, match="warm_start"):
        other.artifact(windows["1"])


def test_too_few_days_to_choose_by_are_refused_before_anything_is_trained(tmp_path):
    path = write_lesson(tmp_path, {"validation": {"share": 0.25, "score": "sharpe"}})
    school, windows = open_school(path, tmp_path / "models")
    with pytest.raises(ConfigError, match="too few days"):
        school.artifact(windows["1"])


def test_a_network_that_trades_nothing_scores_nothing(tmp_path):
    school, windows = open_school(write_lesson(tmp_path), tmp_path / "models")
    lesson = school.lesson(windows["1"])
    still = blank(lesson.levels["policy"])  # of equal logits the first is chosen: hold
    assert lesson.score({"policy": still}) == 0.0


@pytest.mark.slow
def test_several_windows_are_the_same_on_two_processes_as_on_one(tmp_path):
    path = write_lesson(tmp_path, {"seeds": 2}, folds={"count": 1, "train": "60d", "embargo": "24h"})
    said = []
    one = train(path, out=tmp_path / "one", jobs=1)
    two = train(path, out=tmp_path / "two", jobs=2, progress=lambda what, done, total: said.append((done, total)))
    assert [own.window for own in one] == ["1", "final"]
    assert [own.artifact.sha256 for own in one] == [own.artifact.sha256 for own in two]
    assert said[-1] == (4 * 256, 4 * 256)
    told = two[1].to_dict()
    assert load_artifact(two[1].artifact.path).sha256 == told["sha256"]
    assert json.loads(json.dumps(told))["seeds"][1]["seed"] == 1


def test_discrete_actions_of_several_symbols_are_refused(tmp_path):
    path = write_lesson(tmp_path)
    tree = json.loads(path.read_text())
    tree["data"]["symbols"]["BBB"] = tree["data"]["symbols"]["AAA"]
    path.write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match="continuous"):
        open_school(path, tmp_path / "models")


def test_directions_of_several_symbols_are_learnt_together(tmp_path):
    path = write_lesson(tmp_path, {"action": {"continuous": {"sized": False}}, "account": ["drawdown", "position"]})
    tree = json.loads(path.read_text())
    tree["data"]["symbols"]["BBB"] = tree["data"]["symbols"]["AAA"]
    path.write_text(json.dumps(tree))
    school, windows = open_school(path, tmp_path / "models")
    level = school.artifact(windows["1"]).manifest.policy
    assert level.features == tuple(
        f"{symbol}/{name}" for symbol in ("AAA", "BBB") for name in ("rsi_14", "return_4", "volume_z_24")
    )
    assert level.account == ("AAA/position", "BBB/position", "drawdown")
    assert level.actions.assets == ("AAA", "BBB")


def test_weights_of_torch_are_those_of_the_artefact(tmp_path):
    school, windows = open_school(write_lesson(tmp_path, {"layer_norm": True}), tmp_path / "models")
    lesson = school.lesson(windows["1"])
    models = training._models(lesson, 3, None)
    network = network_of(models["policy"], lesson.levels["policy"])
    bare = replace(network, normaliser=None)
    seen = np.random.default_rng(2).normal(size=(50, network.inputs)).astype(np.float32)
    actions, _ = models["policy"].predict(seen, deterministic=True)
    assert np.array_equal(bare.actions(seen), actions)


def test_probes_are_observations_of_training_rows(tmp_path):
    school, windows = open_school(write_lesson(tmp_path), tmp_path / "models")
    folder = school.artifact(windows["1"]).path
    rows = read_tensors((folder / "probes.safetensors").read_bytes(), "probes")["policy.observations"]
    lesson = school.lesson(windows["1"])
    block = lesson.raw[lesson.kept[0]]
    assert len(rows) > 40
    assert all((block == row[: block.shape[1]]).all(axis=1).any() for row in rows)


@pytest.mark.slow
def test_a_process_that_is_ended_from_outside_is_told_and_costs_no_finished_seed(tmp_path):
    path = write_lesson(tmp_path, {"seeds": 12}, folds={"count": 1, "train": "60d", "embargo": "24h"})
    ended = []

    def end_one(what, done, total):
        if "trained" in what and not ended:
            ended.append(multiprocessing.active_children()[0])
            ended[0].kill()

    with pytest.raises(ConfigError, match="fewer --jobs"):
        train(path, out=tmp_path / "models", jobs=2, progress=end_one)
    assert list((tmp_path / "models").rglob("log.json"))
    assert len(train(path, out=tmp_path / "models", jobs=1)) == 2


def test_too_few_days_kept_back_have_no_sharpe_ratio_even_of_an_account_that_never_moves(tmp_path):
    plan = {"validation": {"share": 0.25, "every": 64, "patience": 100, "score": "sharpe"}}
    school, windows = open_school(write_lesson(tmp_path, plan), tmp_path / "models")
    lesson = school.lesson(windows["1"])
    still = {"policy": blank(lesson.levels["policy"])}
    days = (lesson.held[0].stop - lesson.held[0].start) // 24
    assert days < 30
    assert lesson.score(still) is None
