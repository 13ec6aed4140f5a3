"""An ONNX graph, judged before anything runs it: known operators, whole tensors, bounded sizes, nothing outside."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

from wfbt.errors import ArtifactError
from wfbt.policy.artifact.wire import check_weight

MOST_BYTES = 128 * 2**20
MOST_NODES = 10_000
MOST_INITIALIZERS = 4_096
MOST_ELEMENTS = 2**26
"""Numbers that all intermediate results together may hold."""

_STANDARD = ("", "ai.onnx")
_OPERATORS = """
    Abs Add Div Erf Exp Log Max Mean Min Mul Neg Pow Reciprocal Sqrt Sub Sum
    BatchNormalization Gemm LayerNormalization MatMul
    Celu Clip Elu Gelu HardSigmoid HardSwish LeakyRelu LogSoftmax PRelu Relu Selu Sigmoid Softmax Softplus Softsign Tanh
    ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum
    GRU LSTM RNN
    Cast Concat Constant ConstantOfShape Expand Flatten Gather Identity Reshape Shape Slice Split Squeeze Transpose
    Unsqueeze
    And Equal Greater GreaterOrEqual Less LessOrEqual Not Or Where
"""
_TREES = "TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor"
ALLOWED = frozenset(("", name) for name in _OPERATORS.split()) | frozenset(
    ("ai.onnx.ml", name) for name in _TREES.split()
)
"""Operators whose answer depends on their inputs alone and that run no graph of their own, by domain and name."""

Model = Any
"""An onnx.ModelProto; the package has no types that a strict checker could use."""


def read_onnx(data: bytes, source: str) -> Model:
    """The graph in `data`; ArtifactError on whatever could run, read or allocate more than the graph itself.

    Refused: operators outside ALLOWED, other domains, functions, graphs inside nodes, sparse or external tensors,
    tensors whose bytes do not add up, more than MOST_NODES nodes, results beyond MOST_ELEMENTS.
    """
    onnx = import_or_refuse("onnx", source)
    from google.protobuf.message import DecodeError

    if len(data) > MOST_BYTES:
        raise ArtifactError(f"{source}: must be at most {MOST_BYTES:,} bytes long, is {len(data):,}")
    model = onnx.ModelProto()
    check_weight(data, model.DESCRIPTOR, source)
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise ArtifactError(f"{source}: is no ONNX file that can be read: {str(error)[:120]}") from None
    # What this version of the format does not know, another reader might.
    model.DiscardUnknownFields()
    if not model.graph.node or len(model.graph.node) > MOST_NODES:
        raise ArtifactError(f"{source}: must have 1 to {MOST_NODES} nodes, has {len(model.graph.node)}")
    if model.functions or model.training_info:
        raise ArtifactError(f"{source}: holds functions or training graphs of its own; inline them and export it again")
    for opset in model.opset_import:
        if opset.domain not in (*_STANDARD, "ai.onnx.ml"):
            raise ArtifactError(f"{source}: imports the operators of {opset.domain[:60]!r}; only standard ones are run")
    for node in model.graph.node:
        _check_node(node, source)
    if model.graph.sparse_initializer or len(model.graph.initializer) > MOST_INITIALIZERS:
        raise ArtifactError(f"{source}: must have at most {MOST_INITIALIZERS} dense tensors")
    for tensor in (*model.graph.initializer, *_attribute_tensors(model.graph.node)):
        _check_tensor(tensor, source)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError, TypeError) as error:
        raise ArtifactError(f"{source}: is no valid ONNX graph: {_first_line(error)}") from None
    return model


def sizes(model: Model, rows: int, source: str) -> int:
    """Numbers that all results hold when every open dimension is `rows`; ArtifactError where one is not known."""
    onnx = import_or_refuse("onnx", source)
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in fixed.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = rows
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError, TypeError) as error:
        raise ArtifactError(f"{source}: its shapes contradict each other: {_first_line(error)}") from None
    known = {value.name: value.type for value in (*inferred.graph.value_info, *inferred.graph.output)}
    total = sum(_elements(value.type, f"input {value.name[:60]!r}", source) for value in inferred.graph.input)
    for node in inferred.graph.node:
        for name in filter(None, node.output):
            if name not in known:
                raise ArtifactError(f"{source}: the shape of {name[:60]!r} ({node.op_type}) cannot be known beforehand")
            total += _elements(known[name], f"{name[:60]!r} ({node.op_type})", source)
    return total


def open_inputs(model: Model) -> list[Any]:
    """The graph's inputs that are no stored tensors."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in stored]


def _elements(kind: Any, where: str, source: str) -> int:
    if kind.WhichOneof("value") != "tensor_type" or not kind.tensor_type.HasField("shape"):
        raise ArtifactError(f"{source}: {where} must be a tensor of known shape")
    dims = kind.tensor_type.shape.dim
    if any(not dim.HasField("dim_value") or dim.dim_value < 0 for dim in dims):
        raise ArtifactError(f"{source}: {where} has a shape that cannot be known beforehand")
    count = int(prod(dim.dim_value for dim in dims))
    if count > MOST_ELEMENTS:
        raise ArtifactError(f"{source}: {where} would hold {count:,} numbers; at most {MOST_ELEMENTS:,} are made")
    return count


def _check_node(node: Any, source: str) -> None:
    domain = "" if node.domain in _STANDARD else node.domain
    name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    if (domain, node.op_type) not in ALLOWED:
        hint = "; export Q values, logits or means" if node.op_type in ("ArgMax", "TopK", "ZipMap") else ""
        raise ArtifactError(f"{source}: uses the operator {name[:80]!r}, which is not run{hint}")
    for attribute in node.attribute:
        if (
            attribute.HasField("g")
            or attribute.graphs
            or attribute.HasField("sparse_tensor")
            or attribute.sparse_tensors
        ):
            raise ArtifactError(f"{source}: {name} holds a graph or a sparse tensor of its own, which is not run")
        if attribute.ref_attr_name:
            raise ArtifactError(f"{source}: {name} refers to a function's attribute, and there are no functions")
    if node.op_type == "BatchNormalization" and any(a.name == "training_mode" and a.i for a in node.attribute):
        raise ArtifactError(f"{source}: BatchNormalization is in training mode, where rows depend on each other")


def _attribute_tensors(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_tensor(tensor: Any, source: str) -> None:
    from onnx import TensorProto, helper

    where = f"{source}: tensor {tensor.name[:60]!r}"
    if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
        raise ArtifactError(f"{where} lies in another file; save the model with its tensors inside")
    if tensor.HasField("segment"):
        raise ArtifactError(f"{where} is only a segment of one")
    if tensor.data_type not in (
        TensorProto.FLOAT,
        TensorProto.DOUBLE,
        TensorProto.FLOAT16,
        TensorProto.INT64,
        TensorProto.INT32,
        TensorProto.BOOL,
        TensorProto.UINT8,
        TensorProto.INT8,
    ):
        raise ArtifactError(f"{where} is of a kind ({tensor.data_type}) that is not read")
    if any(dim < 0 for dim in tensor.dims):
        raise ArtifactError(f"{where} has a negative length")
    count = prod(tensor.dims)
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    field = helper.tensor_dtype_to_field(tensor.data_type)
    held = len(tensor.raw_data) / dtype.itemsize if tensor.HasField("raw_data") else len(getattr(tensor, field))
    if held != count:
        raise ArtifactError(f"{where} says {count:,} numbers by its shape and holds {held:,.10g}")
    _check_finite(tensor, dtype.kind, where)


def _check_finite(tensor: Any, kind: str, where: str) -> None:
    import numpy as np
    from onnx import numpy_helper

    if kind == "f" and not np.isfinite(numpy_helper.to_array(tensor)).all():
        raise ArtifactError(f"{where} must hold finite numbers, holds NaN or infinity")


def import_or_refuse(name: str, source: str) -> Any:
    """A package of the extra [onnx]; ArtifactError that says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ArtifactError(f"{source}: needs the package {name}; install wfbt[onnx]") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:160]
