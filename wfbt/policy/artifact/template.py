"""The manifest of a model made elsewhere, as far as its file tells; null is what a person has to complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wfbt.errors import ArtifactError
from wfbt.policy.artifact.description import Function, Head, Scaling
from wfbt.policy.artifact.fields import plain
from wfbt.policy.artifact.files import read_whole
from wfbt.policy.artifact.layouts import Stack, stack_of, widths
from wfbt.policy.artifact.load import refuse_unless_accepted
from wfbt.policy.artifact.manifest import VERSION, sha256
from wfbt.policy.artifact.models import MOST_BYTES
from wfbt.policy.artifact.onnx import open_inputs, read_onnx
from wfbt.policy.artifact.onnx_stack import chain_of
from wfbt.policy.artifact.sb3 import read_sb3
from wfbt.policy.artifact.tensors import read_tensors


def template_of(path: Path) -> dict[str, Any]:
    """A manifest.json tree for the model file `path`, provenance `claimed`: its hash and what the file says of itself.

    ArtifactError for a file that is not on the accept list, hostile or damaged.
    """
    refuse_unless_accepted(path)
    data, source = read_whole(path, MOST_BYTES), str(path)
    if path.suffix == ".zip":
        saved = read_sb3(data, source)
        level = described(saved.stack, saved.activation, saved.head, saved.squash, None)
    elif path.suffix == ".safetensors":
        level = described(stack_of(read_tensors(data, source), source), None, None, None, None)
    else:
        level = _onnx_level(data, source)
    return template(path.name, data, level)


def template(file: str, data: bytes, level: dict[str, Any]) -> dict[str, Any]:
    """The tree for one model file whose level is described already."""
    return {
        "format": VERSION,
        "provenance": "claimed",
        "models": [{"file": file, "sha256": sha256(data), "level": "policy", "seed": None}],
        "levels": {"policy": level},
        "features_sha256": None,
        "reward": None,
        "training": {"start": None, "end": None},
        "validation": None,
        "embargo": None,
        "data": {"period": None, "symbols": None, "digests": None},
        "trainer": None,
        "code_sha256": None,
        "lock_sha256": None,
        "probes": None,
    }


def described(
    stack: Stack, activation: Function | None, head: Head | None, squash: bool | None, scaling: Scaling | None
) -> dict[str, Any]:
    """What a stack of layers tells of its level."""
    architecture = {
        "layers": list(widths(stack)),
        "activation": plain(activation),
        "layer_norm": any(layer.norm_gain is not None for layer in stack),
        "head": plain(head),
        # Only means can be squashed.
        "squash": squash if head is Head.BOX else None if head is None else False,
    }
    return _level(architecture, None, plain(scaling))


def _level(architecture: Any, graph: Any, scaling: Any) -> dict[str, Any]:
    return {
        "features": None,
        "account": None,
        "architecture": architecture,
        "graph": graph,
        "normaliser": scaling,
        "period": None,
        "joins": None,
        "actions": None,
    }


def _onnx_level(data: bytes, source: str) -> dict[str, Any]:
    model = read_onnx(data, source)
    try:
        chain = chain_of(model, source)
    except ArtifactError:
        return _level(None, _ports(model), None)
    kinds = set(chain.functions[:-1]) or {Function.LINEAR}
    if len(kinds) > 1 or chain.functions[-1] is not Function.LINEAR:
        return _level(None, _ports(model), plain(chain.scaling))
    return described(chain.stack, kinds.pop(), None, None, chain.scaling)


def _ports(model: Any) -> dict[str, Any]:
    outputs = [value.name for value in model.graph.output]
    inputs = open_inputs(model)
    alone = len(inputs) == 1 and len(outputs) == 1
    return {
        "head": None,
        "output": outputs[0] if len(outputs) == 1 else None,
        "states": [] if alone else None,
        "window": None,
        "normalised": None,
    }
