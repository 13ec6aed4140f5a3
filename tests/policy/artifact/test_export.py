import json
import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from tests.policy.artifact.forging import payload, ppo_arrays, ppo_data, sb3_zip, torch_file
from tests.policy.artifact.making import architecture, artefact, observations, scaling, tree_of, write_tree
from wfbt import cli
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.load import load_artifact
from wfbt.policy.artifact.tensors import read_tensors


def call(*words):
    return CliRunner().invoke(cli.main, ["export", *map(str, words)])


@pytest.fixture
def folder(tmp_path):
    artefact(tmp_path / "policy", told=architecture((4, 8, 3), "silu", True), normaliser=scaling(4))
    return tmp_path / "policy"


def test_an_artefact_goes_to_onnx_and_back_and_stays_the_same_policy(folder):
    pytest.importorskip("onnxruntime", reason="ONNX needs wfbt[onnx]")
    told = call(folder, "--to", "onnx")
    assert (told.exit_code, told.stderr) == (0, "")
    assert "seed-0.onnx: ONNX Runtime agrees within" in told.stdout
    there = folder.with_name("policy-onnx")
    assert call(there, "--to", "safetensors", "--out", folder.with_name("back")).exit_code == 0
    rows = observations(4, 100)
    first, *others = (load_artifact(place) for place in (folder, there, folder.with_name("back")))
    for other in others:
        assert other.manifest.levels == first.manifest.levels
        for ours, theirs in zip(first.members, other.members, strict=True):
            said = theirs.levels["policy"].values(rows)
            np.testing.assert_allclose(said, ours.levels["policy"].values(rows), rtol=1e-5, atol=1e-6)


def test_one_seed_is_exported_alone(folder):
    assert call(folder / "seed-1.safetensors", "--to", "safetensors", "--out", folder.with_name("one")).exit_code == 0
    assert [member.seed for member in load_artifact(folder.with_name("one")).members] == [1]


def completed(folder):
    """A template with what only a person knows."""
    tree = tree_of(folder)
    tree["levels"]["policy"] |= {
        "features": ["rsi", "adx", "spread", "volume"],
        "account": [],
        "actions": {"kind": "discrete", "targets": [1.0, -1.0, 0.0]},
    }
    tree |= {
        "training": {"start": "2020-01-01", "end": "2022-01-01"},
        "embargo": "24h",
        "data": {"period": "1h", "symbols": ["BTCUSDT"], "digests": None},
    }
    return tree


def test_a_zip_without_a_manifest_becomes_weights_and_a_manifest_to_complete(tmp_path):
    (tmp_path / "ppo.zip").write_bytes(sb3_zip())
    told = call(tmp_path / "ppo.zip", "--to", "safetensors")
    assert told.exit_code == 0
    there = tmp_path / "ppo-safetensors"
    tree = tree_of(there)
    assert tree["provenance"] == "claimed"
    level = tree["levels"]["policy"]
    assert level["architecture"] == {
        "layers": [4, 8, 3],
        "activation": "tanh",
        "layer_norm": False,
        "head": "categorical",
        "squash": False,
    }
    assert level["features"] is None and tree["training"] == {"start": None, "end": None}
    with pytest.raises(ArtifactError) as caught:
        load_artifact(there)
    for key in ("levels.policy.features", "levels.policy.actions", "training.start", "embargo", "data.symbols"):
        assert key in str(caught.value)
    assert str(caught.value).endswith("are null, which says that they are not known; write what they are")
    write_tree(there, completed(there))
    assert load_artifact(there).parity is None


def test_a_zip_without_a_manifest_becomes_no_graph(tmp_path):
    (tmp_path / "ppo.zip").write_bytes(sb3_zip())
    told = call(tmp_path / "ppo.zip", "--to", "onnx")
    assert told.exit_code == 3
    assert "its activation and normaliser are not known" in told.stderr


@pytest.mark.parametrize("name", ["model.pth", "vecnormalize.pkl"])
@pytest.mark.parametrize("to", ["onnx", "safetensors"])
def test_a_pickle_exits_3_and_names_what_a_person_can_do_and_runs_nothing(name, to, tmp_path):
    (tmp_path / name).write_bytes(payload(tmp_path / "canary"))
    told = call(tmp_path / name, "--to", to)
    assert told.exit_code == 3
    assert told.stderr.startswith(f"ArtifactError: {tmp_path / name}: is no model that is read")
    assert f"wfbt export {name} --to safetensors --trust-pickle" in told.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_a_hostile_zip_exits_3_in_a_real_process_and_runs_nothing(tmp_path):
    (tmp_path / "ppo.zip").write_bytes(sb3_zip(policy=torch_file({}, payload(tmp_path / "canary"))))
    command = [sys.executable, "-m", "wfbt", "export", str(tmp_path / "ppo.zip"), "--to", "safetensors"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 3
    assert "asks for posix.system" in told.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ppo.zip"]


def test_a_trusted_torch_file_is_opened_with_a_loud_line(tmp_path):
    arrays = {name.replace("action_net", "mlp.9"): array for name, array in ppo_arrays().items() if "action" in name}
    (tmp_path / "net.pth").write_bytes(torch_file(arrays))
    told = call(tmp_path / "net.pth", "--to", "safetensors", "--trust-pickle")
    assert told.exit_code == 0
    assert "RUNNING WHATEVER STANDS IN" in told.stderr
    there = tmp_path / "net-safetensors"
    found = read_tensors((there / "net.safetensors").read_bytes(), "f")
    np.testing.assert_array_equal(found["layers.0.weight"], arrays["mlp.9.weight"])
    assert tree_of(there)["levels"]["policy"]["architecture"]["activation"] is None


def test_a_whole_torch_module_is_opened_only_when_it_is_trusted(tmp_path):
    torch = pytest.importorskip("torch", reason="a whole module needs wfbt[rl]")
    torch.set_num_threads(1)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    torch.save(module, tmp_path / "net.pt")
    assert call(tmp_path / "net.pt", "--to", "safetensors").exit_code == 3
    assert call(tmp_path / "net.pt", "--to", "safetensors", "--trust-pickle").exit_code == 0
    told = tree_of(tmp_path / "net-safetensors")["levels"]["policy"]["architecture"]
    assert (told["layers"], told["layer_norm"]) == ([4, 8, 3], True)


def test_a_trusted_normaliser_becomes_the_numbers_of_a_manifest(tmp_path):
    statistics = SimpleNamespace(mean=np.array([1.0, 2.0]), var=np.array([4.0, 9.0]))
    (tmp_path / "vec.pkl").write_bytes(pickle.dumps(SimpleNamespace(obs_rms=statistics, epsilon=0.0, clip_obs=10.0)))
    told = call(tmp_path / "vec.pkl", "--to", "safetensors", "--trust-pickle")
    assert told.exit_code == 0
    found = json.loads((tmp_path / "vec-safetensors" / "normaliser.json").read_text())
    assert found == {"mean": [1.0, 2.0], "deviation": [2.0, 3.0], "clip": 10.0}


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"a": 1}), b"cno_such_module\nname\n."])
def test_a_trusted_file_that_holds_something_else_exits_3(content, tmp_path):
    (tmp_path / "vec.pkl").write_bytes(content)
    told = call(tmp_path / "vec.pkl", "--to", "safetensors", "--trust-pickle")
    assert told.exit_code == 3
    assert "vec.pkl" in told.stderr


def test_trust_is_refused_where_none_is_needed(tmp_path):
    (tmp_path / "ppo.zip").write_bytes(sb3_zip(data=ppo_data()))
    told = call(tmp_path / "ppo.zip", "--to", "safetensors", "--trust-pickle")
    assert told.exit_code == 2
    assert "leave out --trust-pickle" in told.stderr


def test_an_export_writes_over_nothing(folder):
    assert call(folder, "--to", "safetensors", "--out", folder).exit_code == 3
    assert call(folder.with_name("absent"), "--to", "onnx").exit_code == 2
    (folder / "taken").write_text("a file")
    told = call(folder, "--to", "safetensors", "--out", folder / "taken")
    assert told.exit_code == 2 and "taken: cannot be written" in told.stderr


def test_the_folder_that_one_stands_in_is_exported_beside_itself(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert call(".", "--to", "safetensors").exit_code == 0
    assert load_artifact(folder.with_name("policy-safetensors")).parity <= 1e-6
