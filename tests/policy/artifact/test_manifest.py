import json
import math

import pytest

from tests.policy.artifact.making import DIGEST, architecture, level, manifest, scaling, write_tree
from wfbt.config.values import Duration, Time
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.description import Continuous, Discrete, Head, Joined, Ports
from wfbt.policy.artifact.manifest import (
    Manifest,
    ModelFile,
    ProbeFile,
    Provenance,
    Rows,
    Window,
    manifest_bytes,
    parse_manifest,
)

MODEL = ModelFile(file="seed-0.safetensors", sha256=DIGEST, level="policy", seed=0)
PROBES = ProbeFile(file="probes.safetensors", sha256=DIGEST)


def complete(**other):
    return manifest(**({"models": (MODEL,), "probes": PROBES} | other))


def tree(**other):
    return json.loads(manifest_bytes(complete(**other)))


def parsed(told):
    return parse_manifest(json.dumps(told).encode(), "manifest.json")


def changed(path, value):
    told = tree()
    at = told
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return told


def hierarchy():
    managing = level(architecture((4, 6, 2)), period=12, joins=Joined.ONE_HOT, actions=Discrete(targets=(1.0, None)))
    working = level(architecture((6, 8, 3)), account=("position",))
    return {"manager": managing, "worker": working}


@pytest.mark.parametrize(
    "told",
    [
        complete(),
        complete(levels={"policy": level(normaliser=scaling(4, clip=None))}),
        complete(provenance=Provenance.CLAIMED, features_sha256=None, reward=None, trainer=None, code_sha256=None),
        complete(
            levels=hierarchy(),
            models=(
                ModelFile(file="manager-seed-3.safetensors", sha256=DIGEST, level="manager", seed=3),
                ModelFile(file="worker-seed-3.safetensors", sha256=DIGEST, level="worker", seed=3),
            ),
        ),
        complete(
            levels={
                "policy": level(
                    architecture=None,
                    graph=Ports(head=Head.BOX, output="y", states=(("h0", "h1"),), window=5, normalised=True),
                    actions=Continuous(assets=("A", "B"), sized=True, dead_zone=0.05),
                )
            },
            data=Rows(period=Duration.parse("1h"), symbols=("A", "B"), digests={"A": DIGEST, "B": DIGEST}),
        ),
    ],
    ids=["network", "unclipped", "claimed", "hierarchy", "graph"],
)
def test_a_manifest_read_back_is_equal_and_writes_the_same_bytes(told):
    written = manifest_bytes(told)
    again = parse_manifest(written, "manifest.json")
    assert again == told
    assert manifest_bytes(again) == written


def test_a_worker_observes_what_its_manager_gives():
    told = complete(
        levels=hierarchy(),
        models=tuple(
            ModelFile(file=f"{name}.safetensors", sha256=DIGEST, level=name, seed=None)
            for name in ("manager", "worker")
        ),
    )
    assert told.inputs("manager") == 4
    assert told.inputs("worker") == 3 + 1 + 2
    assert told.policy is told.levels["worker"]


def test_rows_are_new_to_a_model_after_its_last_window_and_the_embargo():
    told = complete(embargo=Duration.parse("36h"))
    assert told.seen_until() == Time.parse("2022-06-02T12:00Z")
    assert complete(validation=None).seen_until() == Time.parse("2022-01-02")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("provenence",), "recorded", "provenence is no key; did you mean provenance?"),
        (("format",), 2, "format must be 1, was 2"),
        (("format",), True, "format must be a whole number, was true"),
        (("provenance",), "proven", 'provenance must be one of recorded, claimed, was "proven"'),
        (("models",), [], "models must name one model file or more, has none"),
        (("models", 0, "file"), "../policy.safetensors", "must be the name of a file beside the manifest"),
        (("models", 0, "file"), "policy.pth", "that ends in .safetensors or .onnx or .zip"),
        (("models", 0, "sha256"), "AB" * 32, "sha256 must be a sha256 of 64 hex digits"),
        (("models", 0, "seed"), 1.5, "models[0].seed must be a whole number, was the number 1.5"),
        (("models", 0, "level"), "worker", "models must hold one file for each of policy"),
        (("levels", "policy", "features"), None, "levels.policy.features is null"),
        (("levels", "policy", "features", 1), 7, "levels.policy.features[1] must be text, was the number 7"),
        (("levels", "policy", "features"), ["rsi", "rsi", "adx"], "features must name each once"),
        (("levels", "policy", "features"), ["rsi"], "begins with 4 inputs; 1 features, 1 of account are 2"),
        (("levels", "policy", "architecture", "layers"), [4, 8, 5], "ends with 5 outputs, actions needs 3"),
        (("levels", "policy", "architecture", "layers"), [4, 0, 3], "layers must be widths from 1"),
        (("levels", "policy", "architecture", "activation"), "tahn", "did you mean tanh?"),
        (("levels", "policy", "architecture", "squash"), True, "squash goes with the head box"),
        (("levels", "policy", "architecture", "head"), "box", "box with continuous"),
        (("levels", "policy", "architecture"), None, "architecture or graph must be given"),
        (("levels", "policy", "actions", "kind"), "discreet", "levels.policy.actions.kind must be one of"),
        (("levels", "policy", "actions", "targets"), [None, None, None], "not all null"),
        (("levels", "policy", "period"), 4, "only a manager has one"),
        (("levels", "policy", "normaliser"), {"mean": [0], "deviation": [1], "clip": 10}, "must have 4 numbers, has 1"),
        (("levels", "policy", "normaliser"), {"mean": [0], "deviation": [0], "clip": 10}, "deviation must be > 0"),
        (("levels", "boss"), None, "levels.boss is null"),
        (("training", "end"), "2019-01-01", "training.end must be after start"),
        (("training", "start"), "yesterday", "training.start must be a UTC date or time"),
        (("validation", "start"), "2021-12-31", "validation must not share rows with training"),
        (("embargo",), "a day", "embargo must be a duration"),
        (("data", "symbols"), [], "symbols must name one symbol or more"),
        (("data", "digests"), {"ETHUSDT": DIGEST}, "digests must be of the symbols, BTCUSDT, was of ETHUSDT"),
        (("reward",), None, "reward must not be null where provenance is recorded; write claimed"),
        (("reward", "weights", "pnl"), "1", "reward.weights.pnl must be a number"),
        (
            ("trainer", "hyperparameters", "net_arch"),
            {"pi": [8]},
            "must be a number, text, true, false, null or a list",
        ),
        (("probes",), None, "probes must not be null where provenance is recorded"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_told_by_its_key_its_rule_and_its_value(path, value, said):
    with pytest.raises(ArtifactError) as caught:
        parsed(changed(path, value))
    assert str(caught.value).startswith("manifest.json: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("key", list(tree()))
def test_every_key_is_required(key):
    told = tree()
    del told[key]
    with pytest.raises(ArtifactError, match=f"manifest.json: {key} is missing"):
        parsed(told)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"\xff", "must be UTF-8 text"),
        (b'{"format": NaN}', 'holds "NaN"; a number must be finite'),
        (b'{"format": -Infinity}', "a number must be finite"),
        (b'{"format": 1e999}', "a number must be finite"),
        (b'{"format": ' + b"9" * 5000 + b"}", "a number must be finite"),
        (b'{"format": 1, "format": 1}', "repeats the key"),
        (b"[" * 100_000, "is nested more than 16 levels deep"),
        (b'{"a": ' * 17 + b"1" + b"}" * 17, "is nested more than 16 levels deep"),
        (b'"' + b"x" * 4_000_000 + b'"', "must be at most 4,000,000 bytes long"),
        (b"[]", "the file must be a mapping"),
        (b'{"\\ud800": 1}', "a key is printable text"),
        (b'{"a": "' + b'\\"' * 1_500_000, "is not valid JSON"),
        (b'{"models": [' + b"null, " * 500_000 + b"null]}", "is missing"),
    ],
    ids=range(15),
)
def test_what_is_no_manifest_is_refused_before_it_is_believed(data, said):
    with pytest.raises(ArtifactError) as caught:
        parse_manifest(data, "manifest.json")
    assert said in str(caught.value)


def test_numbers_that_no_json_has_never_reach_a_manifest(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        manifest_bytes(complete(reward=complete().reward.__class__(name="pnl", weights={"pnl": math.nan})))


def test_brackets_inside_text_are_no_depth():
    told = tree()
    told["trainer"]["hyperparameters"]["note"] = "[" * 100 + '\\"{'
    assert parsed(told).trainer.hyperparameters["note"].startswith("[[[")


def test_windows_and_rows_are_checked_when_they_are_made():
    day = Time.parse("2020-01-01")
    with pytest.raises(ArtifactError, match="end must be after start"):
        Window(start=day, end=day)
    with pytest.raises(ArtifactError, match="period must be > 0"):
        Rows(period=Duration.parse("0s"), symbols=("A",), digests=None)


def test_a_seed_has_one_file_for_each_level(tmp_path):
    other = ModelFile(file="b.safetensors", sha256=DIGEST, level="policy", seed=0)
    with pytest.raises(ArtifactError, match="one file for each of policy of seed 0, has policy, policy"):
        complete(models=(MODEL, other))
    write_tree(tmp_path, tree())
    assert isinstance(parse_manifest((tmp_path / "manifest.json").read_bytes(), "m"), Manifest)


def test_what_is_traded_was_trained_on():
    trading = level(architecture((4, 8, 2), head="box"), actions=Continuous(assets=("SOL",), sized=True, dead_zone=0.0))
    with pytest.raises(ArtifactError, match=r"data\.symbols must hold what actions\.assets trades, lacks SOL"):
        complete(levels={"policy": trading})


def test_a_manifest_of_very_many_names_is_judged_at_once():
    names = [f"f{n}" for n in range(200_000)]
    with pytest.raises(ArtifactError, match="begins with 4 inputs; 200000 features"):
        parsed(changed(("levels", "policy", "features"), names))
    with pytest.raises(ArtifactError, match="'f7' stands there twice"):
        parsed(changed(("levels", "policy", "features"), [*names, "f7"]))
    models = [{"file": f"m{n}.zip", "sha256": DIGEST, "level": "policy", "seed": n} for n in range(20_000)]
    with pytest.raises(ArtifactError, match="models must name at most 1000 files, has 20000"):
        parsed(changed(("models",), models))
