"""A 30-128-64-32-3 policy over 100,000 bars: inside compiled code, in a batch, and as other runtimes ask it.

python benchmarks/network.py

Others are timed where they are installed, with one thread: the agent's predict and onnxruntime on the first 2,000
bars, given per bar; what sees its own last action (stepped) is asked bar after bar, the rest for all rows at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

sys.path.insert(0, str(Path(__file__).parent))
from machine import best, describe, row

from wfbt.kernels.network import choose, forward, forward_many
from wfbt.policy.network import Activation, Head, Layer, Network

BARS, SAMPLE, INPUTS, HIDDEN = 100_000, 2_000, 30, [128, 64, 32]


@njit(nogil=True)
def step_through(net, market, scratch, values, actions):
    """Ask at each bar what to do, given the market and the action of the bar before."""
    observation = np.empty(market.shape[1])
    held = 0
    for t in range(len(market)):
        observation[:] = market[t]
        observation[-1] = held - 1.0
        forward(net, observation, scratch, values)
        held = choose(values)
        actions[t] = held


def drawn() -> Network:
    """Weights at random, which cost as much to ask as trained ones; wide enough that every action occurs."""
    rng, sizes = np.random.default_rng(0), [INPUTS, *HIDDEN, 3]
    layers = [
        Layer(weight=rng.normal(size=(o, i)) * np.sqrt(2.0 / i), bias=np.zeros(o), activation=Activation.TANH)
        for i, o in pairwise(sizes)
    ]
    layers[-1] = replace(layers[-1], activation=Activation.LINEAR)
    return Network(layers=tuple(layers), head=Head(kind="categorical"))


def exact(net: Network, rows: np.ndarray) -> np.ndarray:
    """Logits in 64 bits."""
    for layer in net.layers:
        rows = rows @ layer.weight.T.astype(np.float64) + layer.bias
        if layer.activation == Activation.TANH:
            rows = np.tanh(rows)
    return rows


def in_agent(net: Network) -> Any:
    """A PPO agent with the network's weights."""
    import gymnasium
    import torch
    from stable_baselines3 import PPO

    class Still(gymnasium.Env):  # type: ignore[type-arg]
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (INPUTS,), np.float32)
        action_space = gymnasium.spaces.Discrete(net.outputs)

    policy = {"net_arch": HIDDEN, "activation_fn": torch.nn.Tanh}
    agent = PPO("MlpPolicy", Still(), policy_kwargs=policy, seed=0, device="cpu")
    linear = [*agent.policy.mlp_extractor.policy_net[::2], agent.policy.action_net]
    with torch.no_grad():
        for theirs, ours in zip(linear, net.layers, strict=True):
            theirs.weight.copy_(torch.from_numpy(ours.weight.copy()))
            theirs.bias.copy_(torch.from_numpy(ours.bias.copy()))
    return agent


def in_onnx(net: Network) -> Callable[[np.ndarray], np.ndarray]:
    """The network as a session with one thread."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, numbers, flow = [], [], "x0"
    for k, layer in enumerate(net.layers):
        numbers += [numpy_helper.from_array(layer.weight, f"w{k}"), numpy_helper.from_array(layer.bias, f"b{k}")]
        nodes.append(helper.make_node("Gemm", [flow, f"w{k}", f"b{k}"], [f"y{k}"], transB=1))
        flow = f"y{k}"
        if layer.activation == Activation.TANH:
            nodes.append(helper.make_node("Tanh", [flow], [f"x{k + 1}"]))
            flow = f"x{k + 1}"
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])]
        for name, size in (("x0", net.inputs), (flow, net.outputs))
    ]
    graph = helper.make_graph(nodes, "policy", *ends, numbers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x0": x})[0]


def main() -> None:
    """Check that all agree, then time them."""
    print(describe())
    market = np.random.default_rng(1).normal(size=(BARS, INPUTS))
    market.flags.writeable = False
    net = drawn()
    packed, scratch = net.pack(), np.empty((2, 1, net.width), np.float32)
    values, actions, many = np.empty(net.outputs), np.empty(BARS, np.int64), np.empty((BARS, net.outputs))

    step_through(packed, market, scratch, values, actions)
    assert len(set(actions[:SAMPLE])) == net.outputs, "some action never occurs"
    seen = market.copy()
    seen[1:, -1] = actions[:-1] - 1.0
    seen[0, -1] = -1.0
    logits = exact(net, seen)
    assert (logits.argmax(axis=1) == actions).mean() >= 0.9999
    forward_many(packed, market, many)
    gap = np.abs(many - exact(net, market)).max()
    assert gap < 1e-4, gap
    print(f"{BARS:,} bars: actions are those of 64 bits, logits within {gap:.1e} of them")

    stepped = 1e6 / BARS * best(lambda: step_through(packed, market, scratch, values, actions))
    batch = 1e6 / BARS * best(lambda: forward_many(packed, market, many))
    row("inside compiled code, one bar at a time", f"{stepped:.2f} us a bar", "<= 2 us", stepped <= 2)
    row("in a batch", f"{batch:.2f} us a bar", "<= 1.2 us", batch <= 1.2)
    if find_spec("torch") and find_spec("stable_baselines3"):
        beside_torch(net, market, actions, many, stepped, batch)
    else:
        print("torch and stable-baselines3 are not installed: nothing to compare with")
    if find_spec("onnxruntime") and find_spec("onnx"):
        session, one = in_onnx(net), market[:, np.newaxis].astype(np.float32)
        answers = np.array([session(one[t])[0] for t in range(SAMPLE)])
        assert np.abs(answers - many[:SAMPLE]).max() < 1e-4
        taken = 1e6 / SAMPLE * best(lambda: [session(one[t]) for t in range(SAMPLE)], 3)
        beside(f"onnxruntime, one at a time ({SAMPLE:,} bars)", taken, stepped, 2)
    else:
        print("onnx and onnxruntime are not installed: nothing to compare with")


def beside_torch(
    net: Network, market: np.ndarray, actions: np.ndarray, many: np.ndarray, stepped: float, batch: float
) -> None:
    """The same weights asked by a PPO agent, one bar at a time on a part of the bars, and by torch for all at once."""
    import torch

    torch.set_num_threads(1)
    agent, singles = in_agent(net), market.astype(np.float32)
    rows = torch.from_numpy(singles.copy())

    def ask_agent() -> list[int]:
        held, taken = 0, []
        for t in range(SAMPLE):
            singles[t, -1] = held - 1.0
            held = int(agent.predict(singles[t], deterministic=True)[0])
            taken.append(held)
        return taken

    def ask_torch() -> np.ndarray:
        with torch.no_grad():
            return agent.policy.action_net(agent.policy.mlp_extractor.policy_net(rows)).numpy()

    assert (np.array(ask_agent()) == actions[:SAMPLE]).all(), "the agent's own steps and the compiled ones differ"
    assert np.abs(many - ask_torch()).max() < 1e-4
    taken = 1e6 / SAMPLE * best(ask_agent, 3)
    beside(f"stable-baselines3 predict, one at a time ({SAMPLE:,} bars)", taken, stepped, 40)
    beside("torch, in a batch", 1e6 / BARS * best(ask_torch), batch, 1)


def beside(name: str, theirs: float, ours: float, wanted: float) -> None:
    """Another's time, and how many times ours it is."""
    row(f"{name}: {theirs:.1f} us a bar", f"{theirs / ours:.1f} x ours", f">= {wanted} x", theirs >= wanted * ours)


if __name__ == "__main__":
    main()
