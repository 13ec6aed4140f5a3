"""manifest.json: where a model comes from, what it observes and what its outputs mean."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from wfbt.config.values import Duration, Time
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.description import Continuous, Level, repeated
from wfbt.policy.artifact.fields import plain, read
from wfbt.policy.artifact.strict import parse_json

VERSION = 1
NAME = "manifest.json"
MOST_MODELS = 1_000
ACCEPTED = (".safetensors", ".onnx", ".zip")
"""What a model file may be; a .zip is one that Stable-Baselines3 saved."""

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
Told = bool | int | float | str | tuple[bool | int | float | str | None, ...] | None
"""A plain value that only people read."""


class Provenance(StrEnum):
    """Who filled a manifest in: `wfbt train` while training, or a person for a model made elsewhere."""

    RECORDED = "recorded"
    CLAIMED = "claimed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One model file of the folder: the network of `level` trained with `seed` (None: not known)."""

    file: str
    sha256: str
    level: str
    seed: int | None

    def __post_init__(self) -> None:
        check_name("file", self.file, ACCEPTED)
        check_sha256("sha256", self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFile:
    """The file that holds probe observations and the trained networks' outputs on them."""

    file: str
    sha256: str

    def __post_init__(self) -> None:
        check_name("file", self.file, (".safetensors",))
        check_sha256("sha256", self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Rows from `start` up to and without `end`, ns UTC."""

    start: Time
    end: Time

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ArtifactError(f"end must be after start, {self.start}, was {self.end}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What training maximised: a name and its terms' weights."""

    name: str
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The market it was trained in: length of a bar, symbols in order, sha256 of each one's content or None."""

    period: Duration
    symbols: tuple[str, ...]
    digests: Mapping[str, str] | None

    def __post_init__(self) -> None:
        if not self.period > 0:
            raise ArtifactError(f"period must be > 0, was {self.period}")
        if not self.symbols or len(set(self.symbols)) < len(self.symbols):
            raise ArtifactError(
                f"symbols must name one symbol or more, each once, was {', '.join(self.symbols) or '[]'}"
            )
        if self.digests is None:
            return
        if set(self.digests) != set(self.symbols):
            given = ", ".join(list(self.digests)[:8]) or "none"
            raise ArtifactError(f"digests must be of the symbols, {', '.join(self.symbols[:8])}, was of {given}")
        for symbol, digest in self.digests.items():
            check_sha256(f"digests.{symbol}", digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """Who trained: the algorithm and its hyperparameters."""

    algorithm: str
    hyperparameters: Mapping[str, Told]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that is said of an artefact.  What a person who claims may leave null is None where it is not known.

    Attributes
    ----------
    format : int
        Version of this layout.
    provenance : Provenance
    models : tuple of ModelFile
        Every seed has one file for each level.
    levels : Mapping
        `policy`, or `manager` and `worker`.
    features_sha256 : str or None
        Hash of the specification of the features.
    reward : Reward or None
    training, validation : Window
        What was trained on, and what else was looked at to choose (None: nothing, or for a claim not known).
    embargo : Duration
        How long after these windows rows still count as seen.
    data : Rows
    trainer : Trainer or None
    code_sha256, lock_sha256 : str or None
        Of the program and of its locked dependencies.
    probes : ProbeFile or None
    """

    format: int = VERSION
    provenance: Provenance
    models: tuple[ModelFile, ...]
    levels: Mapping[str, Level]
    features_sha256: str | None
    reward: Reward | None
    training: Window
    validation: Window | None
    embargo: Duration
    data: Rows
    trainer: Trainer | None
    code_sha256: str | None
    lock_sha256: str | None
    probes: ProbeFile | None

    def __post_init__(self) -> None:
        if self.format != VERSION:
            raise ArtifactError(f"format must be {VERSION}, was {self.format}; this wfbt reads no other")
        _check_levels(self.levels)
        _check_models(self.models, self.levels)
        traded = self.policy.actions
        if isinstance(traded, Continuous) and (
            strange := [one for one in traded.assets if one not in self.data.symbols]
        ):
            raise ArtifactError(
                f"data.symbols must hold what actions.assets trades, lacks {strange[0]}; it has "
                + ", ".join(self.data.symbols[:8])
            )
        for name in ("features_sha256", "code_sha256", "lock_sha256"):
            if (digest := getattr(self, name)) is not None:
                check_sha256(name, digest)
        if self.validation and self.validation.start < self.training.end and self.training.start < self.validation.end:
            raise ArtifactError(
                f"validation must not share rows with training, {self.training.start} to {self.training.end}, "
                f"was {self.validation.start} to {self.validation.end}"
            )
        if self.provenance is Provenance.RECORDED:
            needed = ("features_sha256", "reward", "trainer", "code_sha256", "lock_sha256")
            if missing := [name for name in needed if getattr(self, name) is None]:
                raise ArtifactError(f"{missing[0]} must not be null where provenance is recorded; write claimed")
            if self.data.digests is None:
                raise ArtifactError("data.digests must not be null where provenance is recorded; write claimed")

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """One a member, in the order of the models."""
        return tuple(dict.fromkeys(model.seed for model in self.models))

    @property
    def policy(self) -> Level:
        """The level that trades."""
        return self.levels["policy"] if "policy" in self.levels else self.levels["worker"]

    def inputs(self, level: str) -> int:
        """Width of what the network of `level` observes: features, account, and what a manager gives."""
        told = self.levels[level]
        given = self.levels["manager"].joined if level == "worker" else 0
        return len(told.features) + len(told.account) + given

    def seen_until(self) -> Time:
        """The first moment, ns UTC, whose rows are new to the model: end of its windows plus the embargo."""
        ends = [self.training.end, *([self.validation.end] if self.validation else [])]
        return Time(max(ends) + self.embargo)


def parse_manifest(data: bytes, source: str) -> Manifest:
    """The manifest in `data`; ArtifactError that names `source`, the key, the rule and the value."""
    manifest = read(Manifest, parse_json(data, source), source)
    if not manifest.models:
        raise ArtifactError(f"{source}: models must name one model file or more, has none")
    if manifest.provenance is Provenance.RECORDED and manifest.probes is None:
        raise ArtifactError(f"{source}: probes must not be null where provenance is recorded; write claimed")
    return manifest


def manifest_bytes(manifest: Manifest) -> bytes:
    """What stands in manifest.json: equal manifests, equal bytes."""
    return json_bytes(plain(manifest))


def json_bytes(tree: object) -> bytes:
    """A tree as people read it, finite numbers only."""
    return (json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sha256(data: bytes) -> str:
    """64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def check_name(key: str, name: str, suffixes: tuple[str, ...]) -> None:
    """Refuse what is no plain name of a file in the manifest's own folder."""
    if not _FILE.fullmatch(name) or Path(name).suffix not in suffixes:
        raise ArtifactError(
            f"{key} must be the name of a file beside the manifest that ends in {' or '.join(suffixes)}, was {name!r}"
        )


def check_sha256(key: str, digest: str) -> None:
    """Refuse what is no digest."""
    if not _SHA256.fullmatch(digest):
        raise ArtifactError(f"{key} must be a sha256 of 64 hex digits (0-9, a-f), was {digest[:80]!r}")


def _check_levels(levels: Mapping[str, Level]) -> None:
    if set(levels) not in ({"policy"}, {"manager", "worker"}):
        raise ArtifactError(f"levels must be policy, or manager and worker, was {', '.join(levels) or 'nothing'}")
    for name, level in levels.items():
        managing = name == "manager"
        for key in ("period", "joins"):
            if (getattr(level, key) is not None) != managing:
                raise ArtifactError(
                    f"levels.{name}.{key} must be {'given' if managing else 'null'}; only a manager has one"
                )
        given = levels["manager"].joined if name == "worker" else 0
        inputs = len(level.features) + len(level.account) + given
        if not inputs:
            raise ArtifactError(f"levels.{name}.features and account are both empty; the network observes nothing")
        if level.architecture and level.architecture.layers[0] != inputs:
            raise ArtifactError(
                f"levels.{name}.architecture.layers begins with {level.architecture.layers[0]} inputs; "
                f"{len(level.features)} features, {len(level.account)} of account"
                + (f" and {given} of the manager" if given else "")
                + f" are {inputs}; correct the one that is wrong"
            )
        if level.normaliser and len(level.normaliser.mean) != inputs:
            raise ArtifactError(
                f"levels.{name}.normaliser.mean must have {inputs} numbers, has {len(level.normaliser.mean)}"
            )


def _check_models(models: tuple[ModelFile, ...], levels: Mapping[str, Level]) -> None:
    if len(models) > MOST_MODELS:
        raise ArtifactError(f"models must name at most {MOST_MODELS} files, has {len(models)}")
    if (twice := repeated(model.file for model in models)) is not None:
        raise ArtifactError(f"models must name each file once, {twice} stands there twice")
    for seed in dict.fromkeys(model.seed for model in models):
        if seed is not None and seed < 0:
            raise ArtifactError(f"models must have seeds >= 0, was {seed}")
        found = [model.level for model in models if model.seed == seed]
        if sorted(found) != sorted(levels):
            raise ArtifactError(
                f"models must hold one file for each of {', '.join(levels)} of seed {seed}, has {', '.join(found[:8])}"
            )
