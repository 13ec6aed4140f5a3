"""ONNX graphs for the tests of this folder, good and hostile."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.policy.artifact.making import stack


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def stored(name, array):
    return numpy_helper.from_array(np.asarray(array, "f4"), name)


def model_of(nodes, tensors=(), inputs=None, outputs=None, opset=17, domains=(), functions=()):
    graph = helper.make_graph(
        list(nodes),
        "policy",
        inputs or [value("x", ["N", 4])],
        outputs or [value("y", ["N", 3])],
        initializer=list(tensors),
    )
    opsets = [helper.make_opsetid("", opset), *[helper.make_opsetid(domain, 1) for domain in domains]]
    if any(node.domain == "ai.onnx.ml" for node in nodes):
        opsets.append(helper.make_opsetid("ai.onnx.ml", 3))
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)


def mlp(widths=(4, 8, 3), activation="Tanh", seed=1):
    """As torch exports it: Gemm with turned weights."""
    nodes, tensors, at = [], [], "x"
    layers = stack(widths, seed)
    for n, layer in enumerate(layers):
        tensors += [stored(f"w{n}", layer.weight), stored(f"b{n}", layer.bias)]
        after = "y" if n == len(layers) - 1 else f"s{n}"
        nodes.append(helper.make_node("Gemm", [at, f"w{n}", f"b{n}"], [after], transB=1))
        at = after
        if after != "y":
            nodes.append(helper.make_node(activation, [at], [f"a{n}"]))
            at = f"a{n}"
    return model_of(nodes, tensors)


def lstm(hidden=5, inputs=4, outputs=3, seed=2):
    """One LSTM cell whose state goes in and out, and a linear head; also the weights, for a slow twin."""
    random = np.random.default_rng(seed)
    weights = {
        "w": random.normal(0, 0.5, (1, 4 * hidden, inputs)).astype("f4"),
        "r": random.normal(0, 0.5, (1, 4 * hidden, hidden)).astype("f4"),
        "b": random.normal(0, 0.5, (1, 8 * hidden)).astype("f4"),
        "head": random.normal(0, 0.5, (outputs, hidden)).astype("f4"),
    }
    axes = numpy_helper.from_array(np.array([0], "i8"), "axes")
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axes"], ["sequence"]),
        helper.make_node("LSTM", ["sequence", "w", "r", "b", "", "h0", "c0"], ["", "h1", "c1"], hidden_size=hidden),
        helper.make_node("Squeeze", ["h1", "axes"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["y"], transB=1),
    ]
    model = model_of(
        nodes,
        [*(stored(name, array) for name, array in weights.items()), axes],
        [value("x", [1, inputs]), value("h0", [1, 1, hidden]), value("c0", [1, 1, hidden])],
        [value("y", [1, outputs]), value("h1", [1, 1, hidden]), value("c1", [1, 1, hidden])],
    )
    return model, weights


def attention(window=6, inputs=4, outputs=3, seed=4):
    """The newest row asks, all rows of the window answer: softmax(q kᵀ) v and a linear head; also the weights."""
    random = np.random.default_rng(seed)
    weights = {name: random.normal(0, 0.5, (inputs, inputs)).astype("f4") for name in "qkv"}
    weights["head"] = random.normal(0, 0.5, (inputs, outputs)).astype("f4")
    index = numpy_helper.from_array(np.array([window - 1], "i8"), "last")
    axes = numpy_helper.from_array(np.array([1], "i8"), "axes")
    nodes = [
        helper.make_node("Gather", ["x", "last"], ["newest"], axis=1),
        helper.make_node("MatMul", ["newest", "q"], ["asks"]),
        helper.make_node("MatMul", ["x", "k"], ["keys"]),
        helper.make_node("Transpose", ["keys"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["asks", "turned"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["x", "v"], ["answers"]),
        helper.make_node("MatMul", ["shares", "answers"], ["mixed"]),
        helper.make_node("Squeeze", ["mixed", "axes"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["y"]),
    ]
    tensors = [*(stored(name, array) for name, array in weights.items()), index, axes]
    return model_of(nodes, tensors, [value("x", ["N", window, inputs])]), weights


def tree(**forged):
    """One split for each of three outputs: feature 0 > 0 gives 1, −1 and 2, else zeros."""
    attributes = {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [0, 0, 0],
        "nodes_values": [0.0, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "target_treeids": [0, 0, 0],
        "target_nodeids": [2, 2, 2],
        "target_ids": [0, 1, 2],
        "target_weights": [1.0, -1.0, 2.0],
        "n_targets": 3,
    } | forged
    return model_of([helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **attributes)])
