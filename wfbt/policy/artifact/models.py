"""A model file of any accepted kind, read as its manifest describes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wfbt.errors import ArtifactError
from wfbt.policy.artifact.building import build_network
from wfbt.policy.artifact.description import Architecture, Function, Level, Scaling
from wfbt.policy.artifact.graph import Graph, read_graph
from wfbt.policy.artifact.layouts import stack_of
from wfbt.policy.artifact.onnx import read_onnx
from wfbt.policy.artifact.onnx_stack import chain_of
from wfbt.policy.artifact.sb3 import read_sb3
from wfbt.policy.artifact.tensors import read_tensors
from wfbt.policy.network import Network

MOST_BYTES = 256 * 2**20


def read_model(data: bytes, level: Level, inputs: int, source: str) -> Network | Graph:
    """The network in `data`, a file called `source`; ArtifactError on a hostile file or one unlike its manifest."""
    kind = Path(source).suffix
    told = level.architecture
    if told is None:
        if kind != ".onnx":
            raise ArtifactError(f"{source}: manifest.json describes a graph, and only .onnx files hold one")
        return read_graph(data, level, inputs, source)
    scaling = level.normaliser
    if kind == ".safetensors":
        return build_network(stack_of(read_tensors(data, source), source), told, level.actions, scaling, source)
    if kind == ".zip":
        saved = read_sb3(data, source)
        _agree(source, "head", told.head.value, saved.head.value)
        _agree_activation(source, told, saved.activation)
        if saved.squash is not None:
            _agree(source, "squash", str(told.squash).lower(), str(saved.squash).lower())
        return build_network(saved.stack, told, level.actions, scaling, source)
    chain = chain_of(read_onnx(data, source), source)
    if len(set(chain.functions[:-1])) > 1 or chain.functions[-1] is not Function.LINEAR:
        raise ArtifactError(
            f"{source}: has the activations {', '.join(chain.functions)}; a feed-forward network here has one kind in "
            "its hidden layers and none at the end. Describe it under graph instead"
        )
    _agree_activation(source, told, chain.functions[0] if len(chain.functions) > 1 else None)
    if chain.scaling is not None:
        _agree_scaling(source, scaling, chain.scaling)
    return build_network(chain.stack, told, level.actions, scaling, source)


def _agree(source: str, key: str, told: str, found: str) -> None:
    if told != found:
        raise ArtifactError(
            f"{source}: manifest.json says {key} {told}, the file says {found}; correct the manifest, "
            "or give the model that it describes"
        )


def _agree_activation(source: str, told: Architecture, found: Function | None) -> None:
    if found is not None and len(told.layers) > 2:
        _agree(source, "architecture.activation", told.activation.value, found.value)


def _agree_scaling(source: str, told: Scaling | None, found: Scaling) -> None:
    if told is None:
        raise ArtifactError(
            f"{source}: normalises its inputs and manifest.json says normaliser null; copy the file's numbers there"
        )
    # A graph may keep them as float32.
    same = len(told.mean) == len(found.mean) and all(
        np.allclose(ours, theirs, rtol=1e-6, atol=0.0)
        for ours, theirs in (
            (told.mean, found.mean),
            (told.deviation, found.deviation),
            (told.clip or 0.0, found.clip or 0.0),
        )
    )
    if not same:
        raise ArtifactError(
            f"{source}: manifest.json has another normaliser than the file; they must be the same numbers"
        )
