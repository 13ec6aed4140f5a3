"""A trained policy from its folder: every file hashed, read without running it, and compared with its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wfbt.errors import ArtifactError, ConfigError
from wfbt.policy.artifact.files import read_whole
from wfbt.policy.artifact.graph import Graph
from wfbt.policy.artifact.manifest import ACCEPTED, NAME, Manifest, Provenance, parse_manifest, sha256
from wfbt.policy.artifact.models import MOST_BYTES, read_model
from wfbt.policy.artifact.probes import MOST_BYTES as MOST_PROBE_BYTES
from wfbt.policy.artifact.probes import parity, probes_of
from wfbt.policy.artifact.strict import MOST_BYTES as MOST_MANIFEST_BYTES
from wfbt.policy.artifact.tensors import F8, read_tensors
from wfbt.policy.network import Network


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """What one seed trained: a network or graph by level (`policy`, or `manager` and `worker`)."""

    seed: int | None
    levels: Mapping[str, Network | Graph]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Artifact:
    """A trained policy that was read safely.

    Attributes
    ----------
    path : Path
        Its folder.
    manifest : Manifest
    sha256 : str
        Of manifest.json, which holds those of all other files.
    members : tuple of Member
        One a seed, in the manifest's order.
    parity : float or None
        The largest difference on the probes, relative beyond 1.  None where there are none, which only a claim may
        have.
    """

    path: Path
    manifest: Manifest
    sha256: str
    members: tuple[Member, ...]
    parity: float | None

    @property
    def provenance(self) -> Provenance:
        """Who filled the manifest in."""
        return self.manifest.provenance


def load_artifact(path: Path) -> Artifact:
    """The policy in the folder `path`, or in the folder of the model file `path`, then with its seed alone.

    ArtifactError (exit 3) on a file that is not on the accept list, is hostile or damaged, on a manifest that is
    missing or contradicts the files, and where outputs on the probes are not those of the trained network;
    ConfigError (exit 2) where there is no such path.  Nothing in a file is ever executed.
    """
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder; a model is a folder with {NAME}, or a model file in it")
    folder = path if path.is_dir() else path.parent
    if not path.is_dir() and path.name != NAME:
        refuse_unless_accepted(path)
    if not (folder / NAME).exists():
        raise ArtifactError(
            f"{folder / NAME}: is missing; a model is not replayed without its origin. For a model made elsewhere, "
            f"`wfbt export {path} --to safetensors` writes one to be completed"
        )
    told = read_whole(folder / NAME, MOST_MANIFEST_BYTES)
    manifest = parse_manifest(told, str(folder / NAME))
    seeds = manifest.seeds
    if not path.is_dir() and path.name != NAME:
        seeds = tuple(model.seed for model in manifest.models if model.file == path.name)
        if not seeds:
            raise ArtifactError(f"{folder / NAME}: models does not name {path.name}; add it with its sha256")
    probes = _read_probes(folder, manifest)
    apart: list[float] = []
    members = tuple(_read_member(folder, manifest, seed, probes, apart) for seed in seeds)
    return Artifact(
        path=folder,
        manifest=manifest,
        sha256=sha256(told),
        members=members,
        parity=max(apart) if apart else None,
    )


def refuse_unless_accepted(path: Path) -> None:
    """ArtifactError for a file that cannot be read without running it, or that is no model at all."""
    if path.suffix in ACCEPTED:
        return
    raise ArtifactError(
        f"{path}: is no model that is read: {', '.join(ACCEPTED)} are (a .zip is one of Stable-Baselines3). "
        "A pickle (.pth, .pt, .pkl, .joblib, a saved VecNormalize) can run anything when it is opened. If you made it "
        f"yourself, run `wfbt export {path.name} --to safetensors --trust-pickle` once, by hand"
    )


def _read_member(
    folder: Path, manifest: Manifest, seed: int | None, probes: Mapping[str, F8] | None, apart: list[float]
) -> Member:
    levels: dict[str, Network | Graph] = {}
    for model in manifest.models:
        if model.seed != seed:
            continue
        source = str(folder / model.file)
        data = _verified(folder / model.file, model.sha256, MOST_BYTES)
        level = manifest.levels[model.level]
        inputs = manifest.inputs(model.level)
        levels[model.level] = network = read_model(data, level, inputs, source)
        if probes is not None:
            assert manifest.probes is not None
            place = str(folder / manifest.probes.file)
            observations, outputs = probes_of(probes, model.level, inputs, model.file, place)
            apart.append(parity(network, level.head, observations, outputs, source))
    return Member(seed=seed, levels=levels)


def _read_probes(folder: Path, manifest: Manifest) -> Mapping[str, F8] | None:
    if manifest.probes is None:
        return None
    place = folder / manifest.probes.file
    return read_tensors(_verified(place, manifest.probes.sha256, MOST_PROBE_BYTES), str(place))


def _verified(path: Path, digest: str, most: int) -> bytes:
    """The bytes at `path`, once they are those that the manifest names."""
    data = read_whole(path, most)
    if (found := sha256(data)) != digest:
        raise ArtifactError(
            f"{path}: has sha256 {found[:16]}…, manifest.json says {digest[:16]}…; it is not the file that was "
            "described. Restore it, or describe this one"
        )
    return data
