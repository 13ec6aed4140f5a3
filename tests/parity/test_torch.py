"""Networks as torch computes them, and policies as stable-baselines3 asks them, with the same weights."""

from math import inf

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.networks import network
from wfbt.policy.network import Activation, Head, Layer, Network, Normaliser

torch = pytest.importorskip("torch", reason="torch is not installed")
torch.set_num_threads(1)

MODULES = {
    Activation.LINEAR: torch.nn.Identity,
    Activation.TANH: torch.nn.Tanh,
    Activation.RELU: torch.nn.ReLU,
    Activation.SILU: torch.nn.SiLU,
    Activation.ELU: torch.nn.ELU,
}


def in_torch(net):
    modules = []
    for layer in net.layers:
        outputs, inputs = layer.weight.shape
        modules.append(torch.nn.Linear(inputs, outputs))
        if layer.norm is not None:
            modules.append(torch.nn.LayerNorm(outputs))
        modules.append(MODULES[layer.activation]())
    whole, given = torch.nn.Sequential(*modules), []
    for layer in net.layers:
        given += [layer.weight, layer.bias, *(layer.norm or ())]
    with torch.no_grad():
        for parameter, array in zip(whole.parameters(), given, strict=True):
            parameter.copy_(torch.from_numpy(array.copy()))
    return whole


def of_torch(net, rows):
    if net.normaliser is not None:
        one = net.normaliser
        rows = np.clip((rows - one.mean) / one.deviation, -one.clip, one.clip)
    with torch.no_grad():
        return in_torch(net)(torch.from_numpy(rows.astype(np.float32))).numpy()


def observations(folder):
    """(50,000, 30) of hourly BTC bars: returns, ranges and volumes over several spans, in units of their deviation."""
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(folder / "bars" / "BTCUSDT_perp_1h.parquet")
    high, low, close, volume = (np.log1p(table[name].to_numpy()) for name in ("high", "low", "close", "volume"))
    spans = (1, 2, 3, 4, 6, 8, 12, 24, 48, 96)
    columns = []
    for span in spans:
        columns.append(close[span:] - close[:-span])
        columns.append((high - low)[span:] + (high - low)[:-span])
        columns.append(volume[span:] - volume[:-span])
    rows = np.stack([column[-50_000:] for column in columns], axis=1)
    return rows, Normaliser(mean=rows.mean(axis=0), deviation=rows.std(axis=0), clip=10.0)


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "normed"])
@pytest.mark.parametrize("activation", list(Activation)[1:], ids=lambda one: one.name.lower())
def test_values_on_real_bars_are_torchs_and_so_are_the_actions(real_data, activation, norm):
    rows, normaliser = observations(real_data)
    drawn = network([30, 128, 64, 32, 3], activation, norm, seed=20 + activation)
    net = Network(layers=drawn.layers, head=Head(kind="categorical"), normaliser=normaliser)
    theirs = of_torch(net, rows)
    assert_allclose(net.values(rows), theirs, rtol=0, atol=5e-6)
    assert len(set(net.actions(rows))) == 3
    assert (net.actions(rows) == theirs.argmax(axis=1)).mean() >= 0.9999


def test_probabilities_are_torchs():
    net = network([5, 9, 4], head=Head(kind="categorical"))
    rows = np.random.default_rng(2).normal(size=(200, 5))
    theirs = torch.softmax(torch.from_numpy(net.values(rows)), dim=1).numpy()
    assert_allclose(net.probabilities(rows), theirs, rtol=1e-12)


@pytest.fixture(scope="module")
def spaces():
    pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    return pytest.importorskip("gymnasium").spaces


def agent(spaces, algorithm, actions, policy, **how):
    """An untrained agent."""
    import gymnasium
    import stable_baselines3

    class Still(gymnasium.Env):
        observation_space = spaces.Box(-inf, inf, (12,), np.float32)
        action_space = actions

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros(12, np.float32), {}

        def step(self, action):
            return np.zeros(12, np.float32), 0.0, False, True, {}

    kind = getattr(stable_baselines3, algorithm)
    return kind("MlpPolicy", Still(), policy_kwargs=policy, seed=5, device="cpu", **how)


def layers_of(modules, activation):
    """Its layers, once the last has been drawn anew and wide: an untrained one hardly tells its actions apart."""
    linear = [one for one in modules if isinstance(one, torch.nn.Linear)]
    rng = np.random.default_rng(1)
    with torch.no_grad():
        linear[-1].weight.copy_(torch.from_numpy(rng.normal(size=linear[-1].weight.shape)))
    arrays = [(one.weight.detach().numpy(), one.bias.detach().numpy()) for one in linear]
    kinds = [activation] * (len(linear) - 1) + [Activation.LINEAR]
    return tuple(Layer(weight=w, bias=b, activation=kind) for (w, b), kind in zip(arrays, kinds, strict=True))


@pytest.mark.parametrize("squash", [False, True])
def test_a_ppo_box_acts_as_its_deterministic_predict(spaces, squash):
    low, high = (-1.0, 0.0, -0.5), (1.0, 1.0, 0.25)
    space = spaces.Box(np.array(low, np.float32), np.array(high, np.float32))
    # Only with state-dependent noise can this trainer squash.
    policy = {"net_arch": [32, 16], "activation_fn": torch.nn.Tanh, "squash_output": squash}
    made = agent(spaces, "PPO", space, policy, use_sde=squash)
    layers = layers_of([*made.policy.mlp_extractor.policy_net, made.policy.action_net], Activation.TANH)
    net = Network(layers=layers, head=Head(kind="box", low=low, high=high, squash=squash))
    rows = np.random.default_rng(1).normal(size=(5_000, 12)).astype(np.float32)
    theirs, _ = made.predict(rows, deterministic=True)
    assert_allclose(net.actions(rows), theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize("algorithm", ["PPO", "DQN"])
def test_a_choice_is_that_of_the_deterministic_predict(spaces, algorithm):
    relu = {"net_arch": [32, 16], "activation_fn": torch.nn.ReLU}
    made = agent(spaces, algorithm, spaces.Discrete(3), relu)
    if algorithm == "PPO":
        modules, kind = [*made.policy.mlp_extractor.policy_net, made.policy.action_net], "categorical"
    else:
        modules, kind = list(made.q_net.q_net), "q"
    net = Network(layers=layers_of(modules, Activation.RELU), head=Head(kind=kind))
    rows = np.random.default_rng(1).normal(size=(5_000, 12)).astype(np.float32)
    theirs, _ = made.predict(rows, deterministic=True)
    assert len(set(net.actions(rows))) == 3
    assert (net.actions(rows) == theirs).mean() >= 0.9999


def test_observations_are_normalised_as_vec_normalize_does():
    """clip((x − mean) / √(variance + ε), −clip, clip), in 64 bits, then rounded to 32."""
    vec = pytest.importorskip("stable_baselines3.common.vec_env.vec_normalize", reason="stable-baselines3 is missing")
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(500, 6)) * [1, 10, 100, 1e-3, 1, 1e6] + [0, 5, -20, 0, 3, 0]
    running = vec.RunningMeanStd(shape=(6,))
    running.update(rows[:200])
    theirs = np.clip((rows - running.mean) / np.sqrt(running.var + 1e-8), -2.0, 2.0).astype(np.float32)
    same = Layer(weight=np.eye(6), bias=np.zeros(6))
    normaliser = Normaliser(mean=running.mean, deviation=np.sqrt(running.var + 1e-8), clip=2.0)
    net = Network(layers=(same,), head=Head(kind="q"), normaliser=normaliser)
    assert_allclose(net.values(rows), theirs, rtol=2e-7)
