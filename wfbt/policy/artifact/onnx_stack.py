"""A feed-forward network out of an ONNX graph that is a plain chain, so that it need not be run there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError
from wfbt.policy.artifact.description import Function, Scaling
from wfbt.policy.artifact.layouts import Affine, Stack, checked_stack
from wfbt.policy.artifact.onnx import Model, open_inputs
from wfbt.policy.artifact.tensors import F8

EPSILON = 1e-5
"""Of a layer norm: torch's and ONNX's default, and the only one that a network here has."""

_FUNCTIONS = {"Tanh": Function.TANH, "Relu": Function.RELU, "Elu": Function.ELU}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """What a plain graph computes: its layers, the function after each, and a normaliser in front where it has one."""

    stack: Stack
    functions: tuple[Function, ...]
    scaling: Scaling | None


@dataclass(slots=True, eq=False)
class _Layer:
    weight: F8
    bias: F8
    gain: F8 | None = None
    shift: F8 | None = None
    function: Function = Function.LINEAR


@dataclass(slots=True, eq=False)
class _Front:
    """What stands before the first layer, as ((x − mean) / deviation) cut at ±clip."""

    mean: F8 | None = None
    deviation: F8 | None = None
    clip: float | None = None
    order: list[str] = field(default_factory=list)


def chain_of(model: Model, source: str) -> Chain:
    """The layers of `model`; ArtifactError that names the node where it stops being a plain chain."""
    return _Walk(model, source).chain()


class _Walk:
    """From the one input to the one output, node by node."""

    def __init__(self, model: Model, source: str) -> None:
        from onnx import numpy_helper

        self.source = source
        graph = model.graph
        self.constants: dict[str, npt.NDArray[Any]] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.readers: dict[str, list[Any]] = defaultdict(list)
        for node in graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = self.constant(node)
                continue
            for name in node.input:
                self.readers[name].append(node)
        inputs = open_inputs(model)
        if len(inputs) != 1 or len(graph.output) != 1:
            raise self.wrong(
                f"has {len(inputs)} inputs and {len(graph.output)} outputs, a plain network has one of each"
            )
        self.begin, self.end = inputs[0].name, graph.output[0].name
        self.layers: list[_Layer] = []
        self.front = _Front()

    def wrong(self, text: str) -> ArtifactError:
        return ArtifactError(
            f"{self.source}: {text}; manifest.json says that it is a feed-forward network (architecture). "
            "Describe it under graph instead, and it is run as it stands"
        )

    def constant(self, node: Any) -> npt.NDArray[Any]:
        from onnx import numpy_helper

        for attribute in node.attribute:
            match attribute.name:
                case "value":
                    return numpy_helper.to_array(attribute.t)
                case "value_float":
                    return np.array(attribute.f)
                case "value_floats":
                    return np.array(list(attribute.floats))
                case "value_int" | "value_ints":
                    return np.array(list(attribute.ints) or attribute.i)
        raise self.wrong("holds a constant that is no tensor of numbers")

    def chain(self) -> Chain:
        at, steps = self.begin, 0
        while at != self.end:
            readers = self.readers[at]
            if steps > 1_000 or not readers or (len(readers) > 1 and not self.is_silu(at)):
                raise self.wrong(f"{at[:60]!r} is read by {len(readers)} nodes, not by the next of a chain")
            at = self.silu(at) if len(readers) > 1 else self.step(readers[0], at)
            steps += 1
        if self.readers[at] or not self.layers:
            raise self.wrong("ends in something that is no layer")
        stack = tuple(
            Affine(weight=one.weight, bias=one.bias, norm_gain=one.gain, norm_shift=one.shift) for one in self.layers
        )
        functions = tuple(one.function for one in self.layers)
        return Chain(stack=checked_stack(stack, self.source), functions=functions, scaling=self.scaling())

    def step(self, node: Any, at: str) -> str:
        attributes = {a.name: a for a in node.attribute}
        kind = node.op_type
        if list(node.input).count(at) != 1 or len([name for name in node.output if name]) != 1:
            raise self.wrong(f"{kind} makes no chain")
        if kind in ("Identity", "Cast") or (kind == "Flatten" and self.whole(attributes, "axis", 1) == 1):
            self.check_cast(node, attributes)
        elif kind == "Gemm":
            self.gemm(node, attributes, at)
        elif kind == "MatMul":
            self.need(node.input[0] == at, "MatMul takes its weights from the left")
            weight = self.numbers(node.input[1])
            self.need(weight.ndim == 2, "MatMul has weights that are no matrix")
            self.layers.append(_Layer(weight.T.copy(), np.zeros(weight.shape[1])))
        elif kind == "LayerNormalization":
            self.layer_norm(node, attributes)
        elif kind in _FUNCTIONS:
            self.need(kind != "Elu" or self.real(attributes, "alpha", 1.0) == 1.0, "Elu has an alpha that is not 1")
            self.activate(_FUNCTIONS[kind])
        elif kind == "Add" and self.layers:
            self.add(self.numbers(next(name for name in node.input if name != at)))
        elif kind in ("Add", "Sub", "Div", "Mul", "Clip") and not self.layers:
            self.scale(node, at)
        else:
            raise self.wrong(f"{kind} is no part of a feed-forward network")
        return str(node.output[0])

    def need(self, holds: bool, text: str) -> None:
        if not holds:
            raise self.wrong(text)

    def check_cast(self, node: Any, attributes: dict[str, Any]) -> None:
        from onnx import TensorProto

        if node.op_type == "Cast":
            self.need(attributes["to"].i in (TensorProto.FLOAT, TensorProto.DOUBLE), "Cast rounds to another type")

    def gemm(self, node: Any, attributes: dict[str, Any], at: str) -> None:
        self.need(node.input[0] == at, "Gemm takes its weights from the left")
        plain = self.real(attributes, "alpha", 1.0) == 1.0 == self.real(attributes, "beta", 1.0)
        self.need(plain and not self.whole(attributes, "transA", 0), "Gemm scales or turns its input")
        weight = self.numbers(node.input[1])
        self.need(weight.ndim == 2, "Gemm has weights that are no matrix")
        weight = weight.copy() if self.whole(attributes, "transB", 0) else weight.T.copy()
        bias = self.numbers(node.input[2]).reshape(-1) if len(node.input) > 2 and node.input[2] else np.zeros(1)
        self.need(bias.size in (1, len(weight)), "Gemm has a bias that does not fit")
        self.layers.append(_Layer(weight, np.broadcast_to(bias, (len(weight),)).copy()))

    def layer_norm(self, node: Any, attributes: dict[str, Any]) -> None:
        last = self.last("LayerNormalization")
        width = len(last.bias)
        self.need(last.gain is None, "a layer has two norms")
        self.need(self.whole(attributes, "axis", -1) in (-1, 1), "LayerNormalization is not over the last axis")
        close = abs(self.real(attributes, "epsilon", EPSILON) - EPSILON) < 1e-9
        self.need(close, f"LayerNormalization has an epsilon that is not {EPSILON}")
        last.gain = self.numbers(node.input[1]).reshape(-1)
        shifted = len(node.input) > 2 and node.input[2]
        last.shift = self.numbers(node.input[2]).reshape(-1) if shifted else np.zeros(width)

    def last(self, kind: str) -> _Layer:
        """The layer that is still open for what stands between its sum and its function."""
        self.need(bool(self.layers) and self.layers[-1].function is Function.LINEAR, f"{kind} follows no affine map")
        return self.layers[-1]

    def activate(self, function: Function) -> None:
        self.last(function.value).function = function

    def add(self, bias: F8) -> None:
        last = self.last("Add")
        bias = bias.reshape(-1)
        self.need(last.gain is None and bias.size in (1, len(last.bias)), "Add is no bias")
        last.bias = last.bias + bias

    def scale(self, node: Any, at: str) -> None:
        kind, front = node.op_type, self.front
        front.order.append(kind)
        if kind == "Clip":
            bounds = [self.numbers(name) for name in node.input[1:]]
            self.need(len(bounds) == 2 and all(one.size == 1 for one in bounds), "Clip has no two bounds")
            low, high = (float(one.reshape(())) for one in bounds)
            self.need(low == -high < 0.0, "Clip is not symmetric")
            front.clip = high
            return
        self.need(node.input[0] == at or kind in ("Add", "Mul"), f"{kind} takes the observation from the right")
        number = self.numbers(next(name for name in node.input if name != at)).reshape(-1)
        if kind in ("Sub", "Add"):
            front.mean = number if kind == "Sub" else -number
        else:
            self.need(bool((number > 0.0).all()), f"{kind} turns the sign of the observation")
            front.deviation = number if kind == "Div" else 1.0 / number

    def scaling(self) -> Scaling | None:
        front, width = self.front, self.layers[0].weight.shape[1]
        if not front.order:
            return None
        wanted = [
            kind
            for kind, given in zip("-/|", (front.mean, front.deviation, front.clip), strict=True)
            if given is not None
        ]
        signs = {"Sub": "-", "Add": "-", "Div": "/", "Mul": "/", "Clip": "|"}
        self.need(
            [signs[kind] for kind in front.order] == wanted, "its normaliser is not (x − mean) / deviation, clipped"
        )
        mean = np.zeros(1) if front.mean is None else front.mean
        deviation = np.ones(1) if front.deviation is None else front.deviation
        self.need(mean.size in (1, width) and deviation.size in (1, width), "its normaliser does not fit its inputs")
        return Scaling(
            mean=tuple(np.broadcast_to(mean, (width,)).tolist()),
            deviation=tuple(np.broadcast_to(deviation, (width,)).tolist()),
            clip=front.clip,
        )

    def is_silu(self, at: str) -> bool:
        kinds = sorted(node.op_type for node in self.readers[at])
        return kinds == ["Mul", "Sigmoid"]

    def silu(self, at: str) -> str:
        """x · sigmoid(x), which ONNX writes as two nodes."""
        gate, product = sorted(self.readers[at], key=lambda node: node.op_type == "Mul")
        self.need(
            sorted(product.input) == sorted((at, gate.output[0])) and len(self.readers[gate.output[0]]) == 1,
            "Mul and Sigmoid are no SiLU",
        )
        self.activate(Function.SILU)
        return str(product.output[0])

    def numbers(self, name: str) -> F8:
        self.need(name in self.constants, f"{name[:60]!r} is no stored tensor")
        return self.constants[name].astype(np.float64)

    @staticmethod
    def whole(attributes: dict[str, Any], name: str, default: int) -> int:
        return int(attributes[name].i) if name in attributes else default

    @staticmethod
    def real(attributes: dict[str, Any], name: str, default: float) -> float:
        return float(attributes[name].f) if name in attributes else default
