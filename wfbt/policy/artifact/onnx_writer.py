"""A network as an ONNX graph that anybody can run: the normaliser inside, Q values, logits or means as the output."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError
from wfbt.kernels.network import Activation
from wfbt.policy.artifact.building import head_of
from wfbt.policy.artifact.description import Head
from wfbt.policy.artifact.graph import BATCHES
from wfbt.policy.artifact.onnx import import_or_refuse
from wfbt.policy.artifact.onnx_stack import EPSILON
from wfbt.policy.artifact.tensors import F8
from wfbt.policy.network import Layer, Network, Normaliser

OPSET = 17
IR_VERSION = 8
"""Old enough for runtimes of 2022; the first opset with a layer norm."""

OUTPUTS = {Head.Q: "q_values", Head.CATEGORICAL: "logits", Head.BOX: "means"}
INPUT = "observation"
_FUNCTIONS = {Activation.TANH: "Tanh", Activation.RELU: "Relu", Activation.ELU: "Elu"}


def onnx_bytes(network: Network) -> bytes:
    """An ONNX file with input `observation` (N, I) float32 and one output (N, O) float32; equal networks, equal bytes.

    The observation is normalised in float64, as trainers do, and everything after that is float32.
    """
    import_or_refuse("onnx", "export to ONNX")
    graph = _Chain()
    at = graph.normalise(INPUT, network.normaliser) if network.normaliser is not None else INPUT
    for n, layer in enumerate(network.layers):
        at = graph.layer(at, n, layer)
    return graph.finished(at, OUTPUTS[head_of(network)], network)


def check_onnx(data: bytes, network: Network, observations: F8) -> float:
    """The largest difference between ONNX Runtime's outputs of `data` and the network's; ArtifactError beyond 1e-4.

    Relative where outputs are greater than 1, as the file computes in float32.
    """
    runtime = import_or_refuse("onnxruntime", "export to ONNX")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    apart = 0.0
    for begin in range(0, len(observations), BATCHES[0]):
        rows = observations[begin : begin + BATCHES[0]].astype(np.float32)
        (said,) = session.run(None, {INPUT: rows})
        wanted = network.values(rows.astype(np.float64))
        apart = max(apart, float((np.abs(said - wanted) / np.maximum(1.0, np.abs(wanted))).max()))
    if not apart <= 1e-4:
        raise ArtifactError(f"export to ONNX: the file differs from the network by {apart:.3g}, more than 1e-4")
    return apart


class _Chain:
    """Nodes and tensors of a graph in which each node reads the one before it."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper

        self.helper, self.arrays = helper, numpy_helper
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(self.helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def tensor(self, name: str, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        self.tensors.append(self.arrays.from_array(np.ascontiguousarray(array, dtype), name))
        return name

    def normalise(self, at: str, normaliser: Normaliser) -> str:
        from onnx import TensorProto

        wide = np.float64
        at = self.add("Cast", [at], "observation_f64", to=TensorProto.DOUBLE)
        at = self.add("Sub", [at, self.tensor("normaliser.mean", normaliser.mean, wide)], "centred")
        at = self.add("Div", [at, self.tensor("normaliser.deviation", normaliser.deviation, wide)], "scaled")
        if math.isfinite(normaliser.clip):
            low = self.tensor("normaliser.low", np.array(-normaliser.clip), wide)
            high = self.tensor("normaliser.high", np.array(normaliser.clip), wide)
            at = self.add("Clip", [at, low, high], "clipped")
        return self.add("Cast", [at], "normalised", to=TensorProto.FLOAT)

    def layer(self, at: str, n: int, layer: Layer) -> str:
        name = f"layers.{n}"
        weight, bias = self.tensor(f"{name}.weight", layer.weight), self.tensor(f"{name}.bias", layer.bias)
        at = self.add("Gemm", [at, weight, bias], f"{name}.sum", transB=1)
        if layer.norm_gain is not None and layer.norm_shift is not None:
            gain = self.tensor(f"{name}.norm_gain", layer.norm_gain)
            shift = self.tensor(f"{name}.norm_shift", layer.norm_shift)
            at = self.add("LayerNormalization", [at, gain, shift], f"{name}.norm", axis=-1, epsilon=EPSILON)
        if layer.activation is Activation.SILU:
            gate = self.add("Sigmoid", [at], f"{name}.gate")
            return self.add("Mul", [at, gate], f"{name}.out")
        if layer.activation is not Activation.LINEAR:
            return self.add(_FUNCTIONS[layer.activation], [at], f"{name}.out")
        return at

    def finished(self, at: str, output: str, network: Network) -> bytes:
        from onnx import TensorProto, checker

        self.add("Identity", [at], output)
        inputs, outputs = network.layers[0].weight.shape[1], len(network.layers[-1].bias)
        graph = self.helper.make_graph(
            self.nodes,
            "policy",
            [self.helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", inputs])],
            [self.helper.make_tensor_value_info(output, TensorProto.FLOAT, ["rows", outputs])],
            initializer=self.tensors,
        )
        opsets = [self.helper.make_opsetid("", OPSET)]
        model = self.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="wfbt")
        checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))
