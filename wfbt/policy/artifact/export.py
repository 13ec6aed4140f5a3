"""Hand a network over: to ONNX for whoever runs it, to safetensors from what others saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from wfbt.errors import ArtifactError, ConfigError
from wfbt.policy.artifact.building import network_tensors
from wfbt.policy.artifact.files import read_whole
from wfbt.policy.artifact.foreign import write_bare, write_trusted
from wfbt.policy.artifact.graph import Graph
from wfbt.policy.artifact.load import Artifact, load_artifact, refuse_unless_accepted
from wfbt.policy.artifact.manifest import NAME, ModelFile, manifest_bytes, sha256
from wfbt.policy.artifact.onnx_writer import check_onnx, onnx_bytes
from wfbt.policy.artifact.probes import MOST_BYTES as MOST_PROBE_BYTES
from wfbt.policy.artifact.save import write_files
from wfbt.policy.artifact.tensors import F8, read_tensors, tensor_bytes
from wfbt.policy.network import Network

CHECKED_ROWS = 1_000
SEED = 20_240_229
"""Of the observations on which an exported file is compared; any would do."""


def export_model(path: Path, to: str, out: Path | None = None, *, trust_pickle: bool = False) -> tuple[Path, list[str]]:
    """Write the model at `path` as `to` (onnx or safetensors) into a new folder; the folder, and what to tell.

    An artefact becomes an artefact; a model without a manifest becomes weights and a manifest to be completed.
    ArtifactError on what is refused; a pickle is opened only with `trust_pickle`.
    """
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder")
    folder = out or _beside(path.resolve(), to)
    if trust_pickle:
        return write_trusted(path, to, folder), []
    if path.is_file() and path.name != NAME:
        refuse_unless_accepted(path)
    if path.is_dir() or (path.parent / NAME).exists():
        return _export_artifact(load_artifact(path), to, folder)
    if to == "onnx":
        raise ArtifactError(
            f"{path}: has no {NAME} beside it, so its activation and normaliser are not known; run "
            f"`wfbt export {path.name} --to safetensors` first and complete the manifest that it writes"
        )
    return write_bare(path, folder), []


def _beside(path: Path, to: str) -> Path:
    return path.with_name(f"{path.stem if path.is_file() else path.name or 'model'}-{to}")


def _export_artifact(artifact: Artifact, to: str, folder: Path) -> tuple[Path, list[str]]:
    manifest = artifact.manifest
    files: list[tuple[str, bytes]] = []
    models: list[ModelFile] = []
    told: list[str] = []
    renamed: dict[str, str] = {}
    for member in artifact.members:
        for model in (one for one in manifest.models if one.seed == member.seed):
            network = member.levels[model.level]
            if isinstance(network, Graph):
                raise ArtifactError(
                    f"{artifact.path / model.file}: is run as a graph, and stays the ONNX file that it is"
                )
            name = f"{Path(model.file).stem}.{to}"
            if to == "onnx":
                data = onnx_bytes(network)
                apart = check_onnx(data, network, _observations(network))
                told.append(f"{name}: ONNX Runtime agrees within {apart:.1e} on {CHECKED_ROWS:,} observations")
            else:
                data = tensor_bytes(network_tensors(network))
            files.append((name, data))
            models.append(replace(model, file=name, sha256=sha256(data)))
            renamed[model.file] = name
    probes = manifest.probes
    if probes is not None:
        data = tensor_bytes(_probes(artifact, renamed))
        files.append((probes.file, data))
        probes = replace(probes, sha256=sha256(data))
    write_files(folder, files, manifest_bytes(replace(manifest, models=tuple(models), probes=probes)))
    load_artifact(folder)
    return folder, told


def _probes(artifact: Artifact, renamed: dict[str, str]) -> dict[str, F8]:
    """The probes under the new names of the files, without those of seeds that are left out."""
    assert artifact.manifest.probes is not None
    place = artifact.path / artifact.manifest.probes.file
    arrays = read_tensors(read_whole(place, MOST_PROBE_BYTES), str(place))
    outputs = {f"{new}.outputs": arrays[f"{old}.outputs"] for old, new in renamed.items()}
    return {f"{level}.observations": arrays[f"{level}.observations"] for level in artifact.manifest.levels} | outputs


def _observations(network: Network) -> F8:
    """Observations spread as the normaliser expects them, a few beyond where it clips."""
    drawn = np.random.default_rng(SEED).standard_t(4, (CHECKED_ROWS, network.layers[0].weight.shape[1]))
    scaling = network.normaliser
    return drawn if scaling is None else drawn * scaling.deviation + scaling.mean
