import dataclasses
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.policy.artifact.forging import payload, ppo_arrays, ppo_data, sb3_zip
from tests.policy.artifact.making import (
    architecture,
    artefact,
    level,
    manifest,
    network,
    observations,
    scaling,
    signed,
    tree_of,
    write_tree,
)
from wfbt.errors import ArtifactError, ConfigError
from wfbt.policy.artifact.description import Discrete, Joined
from wfbt.policy.artifact.load import Member, load_artifact
from wfbt.policy.artifact.manifest import Provenance, sha256
from wfbt.policy.artifact.save import save_artifact
from wfbt.policy.artifact.tensors import read_tensors, tensor_bytes


@pytest.fixture
def folder(tmp_path):
    artefact(tmp_path / "policy", normaliser=scaling(4))
    return tmp_path / "policy"


def refused(path):
    with pytest.raises(ArtifactError) as caught:
        load_artifact(path)
    assert caught.value.exit_code == 3
    return str(caught.value)


def edited(folder, *path, value):
    tree = tree_of(folder)
    at = tree
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    write_tree(folder, tree)


def test_what_was_saved_is_loaded_with_the_same_outputs(folder):
    found = load_artifact(folder)
    rows = observations(4, 200, seed=8)
    assert [member.seed for member in found.members] == [0, 1]
    assert found.provenance is Provenance.RECORDED
    for member in found.members:
        trained = network(architecture(), scaling(4), member.seed)
        np.testing.assert_allclose(member.levels["policy"].values(rows), trained.values(rows), rtol=1e-6, atol=1e-6)
    assert found.parity <= 1e-6
    assert found.sha256 == sha256((folder / "manifest.json").read_bytes())


def test_the_same_policy_is_written_with_the_same_bytes(folder, tmp_path):
    artefact(tmp_path / "again", normaliser=scaling(4))
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


def test_a_model_file_stands_for_its_seed(folder):
    assert [member.seed for member in load_artifact(folder / "seed-1.safetensors").members] == [1]
    assert [member.seed for member in load_artifact(folder / "manifest.json").members] == [0, 1]


def test_a_policy_is_not_written_over_another(folder):
    with pytest.raises(ArtifactError, match="is not written over another"):
        artefact(folder)


def test_a_manager_and_its_worker_are_read_from_one_folder(tmp_path):
    managing, working = architecture((4, 6, 2)), architecture((6, 8, 3))
    levels = {
        "manager": level(managing, period=12, joins=Joined.ONE_HOT, actions=Discrete(targets=(1.0, None))),
        "worker": level(working, scaling(6)),
    }
    levels["worker"] = dataclasses.replace(levels["worker"], features=("rsi", "adx", "spread"))
    networks = {"manager": network(managing), "worker": network(working, scaling(6))}
    rows = {"manager": observations(4), "worker": observations(6)}
    said = {name: networks[name].values(rows[name]) for name in networks}
    found = save_artifact(tmp_path / "p", manifest(levels=levels), [Member(seed=4, levels=networks)], rows, [said])
    assert sorted(found.members[0].levels) == ["manager", "worker"]
    assert found.manifest.levels["manager"].period == 12
    assert found.manifest.policy.account == ("position",)


@pytest.mark.parametrize(
    "name", ["model.pth", "model.pt", "model.pkl", "vecnormalize.pkl", "model.joblib", "model", "m.h5"]
)
def test_a_file_off_the_accept_list_is_not_opened_and_the_way_out_is_named(name, tmp_path):
    (tmp_path / name).write_bytes(payload(tmp_path / "canary"))
    said = refused(tmp_path / name)
    assert f"wfbt export {name} --to safetensors --trust-pickle" in said
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", ["policy.safetensors", "policy.onnx", "policy.zip"])
def test_a_pickle_that_takes_an_accepted_name_is_refused_and_not_run(name, folder, tmp_path):
    if name.endswith(".onnx"):
        pytest.importorskip("onnx", reason="reading ONNX needs wfbt[onnx]")
    data = payload(tmp_path / "canary")
    (folder / name).write_bytes(data)
    tree = tree_of(folder)
    tree["models"] = [tree["models"][0] | {"file": name, "sha256": sha256(data)}]
    write_tree(folder, tree)
    assert name in refused(folder)
    assert not (tmp_path / "canary").exists()


def test_a_path_that_is_not_there_is_a_mistake_of_usage(tmp_path):
    with pytest.raises(ConfigError, match="no such file or folder"):
        load_artifact(tmp_path / "policy.safetensors")


def test_a_model_without_a_manifest_is_refused(folder):
    (folder / "manifest.json").unlink()
    assert "is missing; a model is not replayed without its origin" in refused(folder)
    assert "wfbt export" in refused(folder / "seed-0.safetensors")


def test_a_file_that_was_changed_after_it_was_described_is_refused(folder):
    data = bytearray((folder / "seed-0.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "seed-0.safetensors").write_bytes(data)
    said = refused(folder)
    assert "has sha256" in said and "manifest.json says" in said


def test_a_file_that_the_manifest_does_not_name_is_refused(folder):
    shutil.copy(folder / "seed-0.safetensors", folder / "other.safetensors")
    assert "models does not name other.safetensors" in refused(folder / "other.safetensors")


def test_a_file_that_is_gone_is_refused(folder):
    (folder / "seed-1.safetensors").unlink()
    assert "seed-1.safetensors: cannot be read: No such file" in refused(folder)


def test_a_pipe_or_a_folder_in_the_place_of_a_model_is_refused_and_not_waited_for(folder):
    for place, make in ((folder / "seed-0.safetensors", os.mkfifo), (folder / "probes.safetensors", os.mkdir)):
        place.unlink()
        make(place)
        assert "must be a regular file" in refused(folder)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("architecture", "layers"), [4, 9, 3], "says architecture.layers [4, 9, 3], the file holds [4, 8, 3]"),
        (("architecture", "layers"), [4, 8, 8, 3], "the file holds [4, 8, 3]"),
        (("architecture", "layer_norm"), True, "says architecture.layer_norm true, layer 0 of the file has none"),
        (("architecture", "activation"), "relu", "outputs on its probes differ by up to"),
        (("normaliser",), None, "outputs on its probes differ by up to"),
        (("normaliser", "clip"), 0.5, "outputs on its probes differ by up to"),
        (("features",), ["rsi", "adx"], "2 features, 1 of account are 3; correct the one that is wrong"),
        (("actions", "targets"), [1.0, -1.0], "ends with 3 outputs, actions needs 2"),
    ],
    ids=range(8),
)
def test_a_manifest_that_contradicts_its_file_is_refused_with_both_values(path, value, said, folder):
    edited(folder, "levels", "policy", *path, value=value)
    assert said in refused(folder)


def test_other_weights_than_those_that_were_trained_are_caught_by_the_probes(folder):
    path = folder / "seed-0.safetensors"
    arrays = {name: np.array(array) for name, array in read_tensors(path.read_bytes(), "f").items()}
    arrays["layers.1.bias"] = arrays["layers.1.bias"] + 2e-4
    signed(folder, "seed-0.safetensors", tensor_bytes(arrays))
    assert "outputs on its probes differ by up to 0.0002, more than 0.0001" in refused(folder)


def test_another_action_on_a_probe_is_refused_however_near_the_outputs_are(folder):
    path = folder / "probes.safetensors"
    arrays = {name: np.array(array) for name, array in read_tensors(path.read_bytes(), "f").items()}
    outputs = arrays["seed-0.safetensors.outputs"]
    weights = folder / "seed-0.safetensors"
    layers = {name: np.array(array) for name, array in read_tensors(weights.read_bytes(), "f").items()}
    # Two actions that are the same but for a hair.
    layers["layers.1.weight"][1] = layers["layers.1.weight"][0]
    layers["layers.1.bias"][1] = layers["layers.1.bias"][0] + 2e-5
    layers["layers.1.bias"][2] = -50.0
    signed(folder, "seed-0.safetensors", tensor_bytes(layers))
    edited(folder, "probes", value=None)
    edited(folder, "provenance", value="claimed")
    said = load_artifact(folder).members[0].levels["policy"].values(arrays["policy.observations"])
    outputs[:] = said[:, [1, 0, 2]]
    data = tensor_bytes(arrays)
    path.write_bytes(data)
    edited(folder, "probes", value={"file": "probes.safetensors", "sha256": sha256(data)})
    assert "chooses action 1 on probe 0, the trained network 0" in refused(folder)


def test_a_claim_may_have_no_probes_and_then_no_parity_is_told(folder):
    edited(folder, "provenance", value="claimed")
    edited(folder, "probes", value=None)
    found = load_artifact(folder)
    assert (found.provenance, found.parity) == (Provenance.CLAIMED, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays: arrays.pop("policy.observations"), "holds no 'policy.observations'"),
        (lambda arrays: arrays.pop("seed-1.safetensors.outputs"), "holds no 'seed-1.safetensors.outputs'"),
        (
            lambda arrays: arrays.update({"policy.observations": np.zeros((5, 7))}),
            "must be 1 to 4096 rows of 4 inputs, has (5, 7)",
        ),
        (lambda arrays: arrays.update({"policy.observations": np.zeros((0, 4))}), "must be 1 to 4096 rows"),
        (lambda arrays: arrays.update({"seed-0.safetensors.outputs": np.zeros((50, 2))}), "which say (50, 2)"),
    ],
    ids=range(5),
)
def test_probes_that_do_not_fit_are_refused(change, said, folder):
    path = folder / "probes.safetensors"
    arrays = dict(read_tensors(path.read_bytes(), "probes"))
    change(arrays)
    signed(folder, "probes.safetensors", tensor_bytes(arrays))
    assert said in refused(folder)


def zip_folder(folder, **data):
    folder.mkdir()
    content = sb3_zip(ppo_arrays((4, 8, 3)), ppo_data(**data))
    (folder / "ppo.zip").write_bytes(content)
    told = {"file": "ppo.zip", "sha256": sha256(content), "level": "policy", "seed": None}
    artefact(folder / "other")
    tree = tree_of(folder / "other")
    tree |= {"models": [told], "provenance": "claimed", "probes": None}
    write_tree(folder, tree)
    return folder


def test_a_zip_is_read_by_its_manifest(tmp_path):
    found = load_artifact(zip_folder(tmp_path / "p"))
    rows = observations(4)
    arrays = ppo_arrays((4, 8, 3))
    hidden = np.tanh(rows @ arrays["mlp_extractor.policy_net.0.weight"].T + arrays["mlp_extractor.policy_net.0.bias"])
    logits = hidden @ arrays["action_net.weight"].T + arrays["action_net.bias"]
    np.testing.assert_allclose(found.members[0].levels["policy"].values(rows), logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("architecture", "activation"), "relu", "says architecture.activation relu, the file says tanh"),
        (("architecture", "head"), "q", "says head q, the file says categorical"),
    ],
)
def test_a_zip_that_says_otherwise_than_its_manifest_is_refused(path, value, said, tmp_path):
    folder = zip_folder(tmp_path / "p")
    edited(folder, "levels", "policy", *path, value=value)
    assert said in refused(folder)


WITHOUT = """
import sys
for name in ("torch", "onnx", "onnxruntime", "stable_baselines3", "gymnasium"):
    sys.modules[name] = None
from pathlib import Path
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.load import load_artifact
print(load_artifact(Path(sys.argv[1])).parity <= 1e-6)
try:
    load_artifact(Path(sys.argv[2]))
except ArtifactError as error:
    print(error)
"""


def test_probes_are_checked_without_any_extra_and_onnx_says_which_it_needs(folder, tmp_path):
    (folder / "seed-1.safetensors").rename(folder / "seed-1.onnx")
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    tree = tree_of(other)
    tree["models"][1]["file"] = "seed-1.onnx"
    write_tree(other, tree)
    command = [sys.executable, "-c", WITHOUT, folder / "seed-0.safetensors", other]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0] == "True"
    assert told[1].endswith("needs the package onnx; install wfbt[onnx]")


@pytest.mark.parametrize(("off", "accepted"), [(0.5e-4, True), (2e-4, False)])
def test_large_outputs_are_compared_by_their_size(off, accepted, tmp_path):
    """A trainer's float32 knows seven digits of a Q value of a million."""
    told = architecture(head="q")
    net = network(told)
    last = dataclasses.replace(net.layers[-1], weight=net.layers[-1].weight * 1e6)
    net = dataclasses.replace(net, layers=(*net.layers[:-1], last))
    rows = observations(4)
    arguments = [
        tmp_path / "p",
        manifest(levels={"policy": level(told)}),
        [Member(seed=0, levels={"policy": net})],
        {"policy": rows},
        [{"policy": net.values(rows) * (1 + off)}],
    ]
    if accepted:
        assert save_artifact(*arguments).parity == pytest.approx(off, rel=0.01)
    else:
        with pytest.raises(ArtifactError, match="outputs on its probes differ"):
            save_artifact(*arguments)
