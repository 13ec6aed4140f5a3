"""Zips that Stable-Baselines3 itself wrote, compared with what torch says of them."""

import json

import numpy as np
import pytest

from tests.policy.artifact.making import artefact, observations, tree_of, write_tree
from wfbt.policy.artifact.description import Function, Head
from wfbt.policy.artifact.export import export_model
from wfbt.policy.artifact.load import load_artifact
from wfbt.policy.artifact.manifest import sha256
from wfbt.policy.artifact.sb3 import read_sb3
from wfbt.policy.artifact.template import template_of
from wfbt.policy.artifact.tensors import tensor_bytes

pytest.importorskip("stable_baselines3", reason="training needs wfbt[rl]")

import gymnasium
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

torch.set_num_threads(1)


class Walk(gymnasium.Env):
    """Four numbers that drift; a reward for whatever the first says."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32)

    def __init__(self, continuous=False):
        box = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = box if continuous else gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.count = np.zeros(4, np.float32), 0
        return self.at, {}

    def step(self, action):
        self.count += 1
        self.at = self.at + self.np_random.normal(0, 1, 4).astype(np.float32)
        return self.at, float(self.at[0] * np.sum(action)), self.count == 20, False, {}


def ppo(continuous=False, **kwargs):
    return PPO("MlpPolicy", Walk(continuous), n_steps=32, batch_size=32, n_epochs=2, seed=3, device="cpu", **kwargs)


def dqn(**kwargs):
    return DQN("MlpPolicy", Walk(), learning_starts=8, buffer_size=100, seed=3, device="cpu", **kwargs)


MODELS = {
    "ppo": (lambda: ppo(policy_kwargs={"net_arch": [16, 8]}), Head.CATEGORICAL, Function.TANH),
    "ppo-relu": (lambda: ppo(policy_kwargs={"activation_fn": torch.nn.ReLU}), Head.CATEGORICAL, Function.RELU),
    "ppo-box": (lambda: ppo(True, policy_kwargs={"net_arch": {"pi": [8], "vf": [16]}}), Head.BOX, Function.TANH),
    "ppo-linear": (lambda: ppo(policy_kwargs={"net_arch": []}), Head.CATEGORICAL, Function.TANH),
    "dqn": (lambda: dqn(policy_kwargs={"net_arch": [16, 8]}), Head.Q, Function.RELU),
    "dqn-elu": (lambda: dqn(policy_kwargs={"activation_fn": torch.nn.ELU}), Head.Q, Function.ELU),
}


def said_by_torch(model, rows):
    given = torch.as_tensor(rows, dtype=torch.float32)
    with torch.no_grad():
        if isinstance(model, DQN):
            return model.q_net(given).numpy()
        spread = model.policy.get_distribution(given).distribution
        return (
            spread.mean
            if hasattr(spread, "loc")
            else model.policy.action_net(model.policy.mlp_extractor.forward_actor(given))
        ).numpy()


@pytest.fixture(params=MODELS)
def trained(request, tmp_path):
    make, head, function = MODELS[request.param]
    model = make().learn(64)
    model.save(tmp_path / "model.zip")
    return model, head, function, tmp_path / "model.zip"


def complete(folder, model_file, level_of):
    """What a person would write down of a model made elsewhere, with torch's own outputs as probes."""
    data = (folder / model_file).read_bytes()
    artefact(folder / "other")
    tree = tree_of(folder / "other")
    level = level_of["levels"]["policy"]
    box = level["architecture"]["head"] == "box"
    continuous = {"kind": "continuous", "assets": ["A", "B"], "sized": False, "dead_zone": 0.0}
    actions = continuous if box else {"kind": "discrete", "targets": [1.0, -1.0, 0.0]}
    level |= {"features": list("abcd"), "account": [], "actions": actions}
    models = [{"file": model_file, "sha256": sha256(data), "level": "policy", "seed": None}]
    tree["data"] |= {"symbols": ["A", "B"], "digests": None}
    write_tree(folder, tree | {"provenance": "claimed", "levels": {"policy": level}, "models": models, "probes": None})


def test_a_zip_that_was_trained_says_what_torch_says(trained):
    model, head, function, path = trained
    saved = read_sb3(path.read_bytes(), str(path))
    assert (saved.head, saved.activation) == (head, function)
    complete(path.parent, "model.zip", template_of(path))
    rows = observations(4, 300).astype(np.float32).astype(np.float64)
    wanted = said_by_torch(model, rows)
    probes = tensor_bytes({"policy.observations": rows, "model.zip.outputs": wanted})
    (path.parent / "probes.safetensors").write_bytes(probes)
    tree = tree_of(path.parent)
    tree["probes"] = {"file": "probes.safetensors", "sha256": sha256(probes)}
    write_tree(path.parent, tree)
    found = load_artifact(path.parent)
    network = found.members[0].levels["policy"]
    np.testing.assert_allclose(network.values(rows), wanted, rtol=0, atol=1e-5)
    assert found.parity <= 1e-5
    if head is not Head.BOX:
        chosen, _ = model.predict(rows.astype(np.float32), deterministic=True)
        np.testing.assert_array_equal(network.values(rows).argmax(axis=1), chosen)
    there, _ = export_model(path.parent / "manifest.json", "safetensors", path.parent / "exported")
    again = load_artifact(there).members[0].levels["policy"]
    np.testing.assert_allclose(again.values(rows), wanted, rtol=0, atol=1e-5)


def test_a_saved_vecnormalize_becomes_the_normaliser_that_it_was(tmp_path):
    market = VecNormalize(DummyVecEnv([Walk]), clip_obs=4.0)
    market.seed(1)
    market.reset()
    for _ in range(50):
        market.step(np.zeros(1, int))
    market.save(str(tmp_path / "vec.pkl"))
    there, _ = export_model(tmp_path / "vec.pkl", "safetensors", tmp_path / "out", trust_pickle=True)
    told = json.loads((there / "normaliser.json").read_text())
    rows = observations(4, 100).astype(np.float32)
    ours = np.clip((rows - told["mean"]) / told["deviation"], -told["clip"], told["clip"])
    np.testing.assert_allclose(ours, market.normalize_obs(rows), rtol=1e-6, atol=1e-6)
