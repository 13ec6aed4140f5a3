"""A trained policy into its folder: one safetensors file a network, probes, and the manifest last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError, ConfigError
from wfbt.files import replace_whole
from wfbt.policy.artifact.building import network_tensors
from wfbt.policy.artifact.graph import Graph
from wfbt.policy.artifact.load import Artifact, Member, load_artifact
from wfbt.policy.artifact.manifest import NAME, Manifest, ModelFile, ProbeFile, manifest_bytes, sha256
from wfbt.policy.artifact.probes import NAME as PROBES
from wfbt.policy.artifact.tensors import tensor_bytes

Outputs = Mapping[str, npt.ArrayLike]


def save_artifact(
    folder: Path,
    manifest: Manifest,
    members: Sequence[Member],
    observations: Mapping[str, npt.ArrayLike],
    outputs: Sequence[Outputs],
) -> Artifact:
    """Write what was trained into `folder` and read it back, which checks it; equal arguments, equal bytes.

    `manifest.models` and `.probes` are filled in here and may be empty.  `observations` are (N, I) by level;
    `outputs` has for each member the trained networks' own outputs (N, O) by level, from whatever trained them.
    """
    files: list[tuple[ModelFile, bytes]] = []
    probes = {f"{level}.observations": np.asarray(rows, dtype=np.float64) for level, rows in observations.items()}
    for member, said in zip(members, outputs, strict=True):
        for level, network in member.levels.items():
            name = _name(
                member.seed, level, len(member.levels), ".onnx" if isinstance(network, Graph) else ".safetensors"
            )
            data = network.data if isinstance(network, Graph) else tensor_bytes(network_tensors(network))
            files.append((ModelFile(file=name, sha256=sha256(data), level=level, seed=member.seed), data))
            probes[f"{name}.outputs"] = np.asarray(said[level], dtype=np.float64)
    told = tensor_bytes(probes)
    whole = replace(
        manifest,
        models=tuple(model for model, _ in files),
        probes=ProbeFile(file=PROBES, sha256=sha256(told)),
    )
    write_files(folder, [(model.file, data) for model, data in files] + [(PROBES, told)], manifest_bytes(whole))
    return load_artifact(folder)


def write_files(folder: Path, files: Sequence[tuple[str, bytes]], manifest: bytes | None) -> None:
    """Each file whole, the manifest last: a folder without one is no artefact.  ArtifactError if one is there.

    ConfigError where the folder cannot be written.
    """
    if (folder / NAME).exists():
        raise ArtifactError(f"{folder / NAME}: is there; a model is not written over another, choose a new folder")
    try:
        for name, data in (*files, *([(NAME, manifest)] if manifest is not None else [])):
            replace_whole(folder / name, partial(_put, data))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror or error}") from None


def _put(data: bytes, stream: BinaryIO) -> None:
    stream.write(data)


def _name(seed: int | None, level: str, levels: int, suffix: str) -> str:
    parts = [*([level] if levels > 1 or seed is None else []), *([f"seed-{seed}"] if seed is not None else [])]
    return "-".join(parts) + suffix
