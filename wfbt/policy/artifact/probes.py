"""Observations and what the trained network said of them, so that a reader that misunderstood a file is caught."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wfbt.errors import ArtifactError, WfbtError
from wfbt.policy.artifact.description import Head
from wfbt.policy.artifact.graph import Graph
from wfbt.policy.artifact.tensors import F8
from wfbt.policy.network import Network

NAME = "probes.safetensors"
MOST_BYTES = 64 * 2**20
MOST_ROWS = 4_096
TOLERANCE = 1e-4
"""Between outputs; relative beyond 1, as whoever trained computed in float32."""


def probes_of(arrays: Mapping[str, F8], level: str, inputs: int, file: str, source: str) -> tuple[F8, F8]:
    """Observations (N, inputs) of a level, and the outputs (N, O) of one of its files; ArtifactError when absent."""
    for name in (f"{level}.observations", f"{file}.outputs"):
        if name not in arrays:
            raise ArtifactError(f"{source}: holds no {name!r}; probes are needed for every model file")
    observations, outputs = arrays[f"{level}.observations"], arrays[f"{file}.outputs"]
    if observations.ndim != 2 or observations.shape[1] != inputs or not 1 <= len(observations) <= MOST_ROWS:
        raise ArtifactError(
            f"{source}: {level}.observations must be 1 to {MOST_ROWS} rows of {inputs} inputs, has {observations.shape}"
        )
    return observations, outputs


def parity(model: Network | Graph, head: Head, observations: F8, outputs: F8, source: str) -> float:
    """The largest difference, relative beyond 1, between what `model` says of the probes and what was said in training.

    Probes are consecutive bars: a graph with state or a window walks through them, and rows before its window is full
    are left out of `outputs`.  ArtifactError beyond TOLERANCE, or when another action follows.
    """
    try:
        with np.errstate(all="ignore"):
            said = model.values(observations)
    except WfbtError as error:
        raise ArtifactError(f"{source}: cannot be asked about its probes: {error}") from None
    said = said[len(said) - len(outputs) :] if len(outputs) <= len(said) else said
    if said.shape != outputs.shape or np.isnan(said).any():
        raise ArtifactError(f"{source}: gives outputs {said.shape} on its probes, which say {outputs.shape}")
    if isinstance(model, Graph):
        _check_rows_apart(model, observations, source)
    with np.errstate(all="ignore"):
        apart = float((np.abs(said - outputs) / np.maximum(1.0, np.abs(outputs))).max(initial=0.0))
    if not apart <= TOLERANCE:
        raise ArtifactError(
            f"{source}: outputs on its probes differ by up to {apart:.3g}, more than {TOLERANCE:g}; "
            "the activation, the normaliser or the file is not the one that was trained"
        )
    if head is not Head.BOX and (other := np.flatnonzero(said.argmax(axis=1) != outputs.argmax(axis=1))).size:
        raise ArtifactError(
            f"{source}: chooses action {said[other[0]].argmax()} on probe {other[0]}, "
            f"the trained network {outputs[other[0]].argmax()}"
        )
    return apart


def _check_rows_apart(graph: Graph, observations: F8, source: str) -> None:
    """Asked all at once and one by one a graph must say the same: else a row knows of those after it."""
    together = graph.values(observations)
    walk = graph.stepper()
    alone = np.array([walk.step(row) for row in observations])
    if not np.allclose(together, alone, rtol=TOLERANCE / 10, atol=TOLERANCE / 10, equal_nan=True):
        raise ArtifactError(f"{source}: rows asked together depend on each other; a bar would know of later ones")
