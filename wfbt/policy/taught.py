"""A policy that is trained on each fold's rows, and who trains it: rows in, a trained artefact out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError, ConfigError, PolicyError
from wfbt.features.learners import Frames
from wfbt.features.spec import FeatureSpec
from wfbt.policy.artifact.load import Artifact, load_artifact
from wfbt.policy.artifact.manifest import NAME
from wfbt.policy.columns import Columns
from wfbt.policy.council import Deliberation
from wfbt.policy.learned import Learned

I8 = npt.NDArray[np.int64]


class Teacher(Protocol):
    """What a policy that is trained on each fold's rows asks for its networks."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the networks that each fold gets."""

    @property
    def watches(self) -> bool:
        """Whether they observe anything of their account."""

    @property
    def sha256(self) -> str:
        """Of all that decides what is learnt but the rows: the plan, the account, the source."""

    def artifact(self, train: I8) -> Artifact:
        """What was trained on the rows that close at `train` (K,), ns UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTeacher:
    """A teacher of plain values, which loads what was trained before and trains nothing.

    Attributes
    ----------
    folder : Path
        Of the strategy's artefacts, which are folders in it.
    keys : Mapping
        Folder of the artefact by `rows_sha256` of the training rows.
    seeds, watches, sha256
        Those of the teacher that trained.
    """

    folder: Path
    keys: Mapping[str, str]
    seeds: tuple[int, ...]
    watches: bool
    sha256: str

    def artifact(self, train: I8) -> Artifact:
        """The artefact of these rows; ArtifactError where none was trained on them, or it is not whole."""
        key = self.keys.get(rows_sha256(train))
        if key is None or not (self.folder / key / NAME).exists():
            raise ArtifactError(
                f"{self.folder}: holds nothing trained on the {len(train):,} rows that are asked for; run wfbt train"
            )
        return load_artifact(self.folder / key)


@dataclass(frozen=True, kw_only=True, eq=False)
class Taught:
    """A network that every fold trains anew on its own rows.

    Attributes
    ----------
    name : str
        For messages.
    spec : FeatureSpec
        What it observes.
    seeds : tuple of int
        One network of each, every one a candidate.
    watches : bool
        Whether it observes anything of its account.
    least : float
        An action less probable than this is no action.
    section : str
        Where the strategy file asks for it.
    base : Path
        The folder from which functions of features are found.
    teacher : Teacher or None
        None until the market is there to be taught in.
    """

    kind: ClassVar[str] = "network"
    fitted: ClassVar[bool] = True
    per_symbol: ClassVar[bool] = False
    slow: ClassVar[bool] = False

    name: str
    spec: FeatureSpec
    seeds: tuple[int, ...]
    watches: bool
    least: float = 0.0
    section: str = "policy"
    base: Path = Path()
    teacher: Teacher | None = None
    known: dict[str, Learned] = field(default_factory=dict, repr=False)
    _one: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def place(self) -> str:
        """Name for messages, after the section where a strategy has several."""
        return self.name if self.section == "policy" else f"{self.section}: {self.name}"

    @property
    def source_sha256(self) -> str:
        """Of all that decides what is learnt but the rows."""
        return "" if self.teacher is None else self.teacher.sha256

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The seed alone."""
        return {"seed": self.seeds[0]}

    def bind(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The seed; ConfigError on anything else, or one that is not trained."""
        for key in params:
            if key != "seed":
                raise ConfigError(f"{self.section}.params.{key} is not a parameter of a network; it takes seed")
        seed = params.get("seed", self.seeds[0])
        if seed not in self.seeds:
            raise ConfigError(
                f"{self.section}.params.seed must be one of {', '.join(map(str, self.seeds))}, was {seed!r}"
            )
        return {"seed": seed}

    def is_valid(self, params: Mapping[str, Any]) -> bool:
        """Whether there is such a seed."""
        return self.bind(params) is not None

    def label_horizon(self, params: Mapping[str, Any]) -> int:
        """0: what is rewarded lies within the training rows."""
        return 0

    def enrolled(self, teacher: Teacher) -> Taught:
        """The same, taught by `teacher`."""
        return replace(self, teacher=teacher, known={})

    def learned(self, train: I8 | None) -> Learned:
        """What was trained on the rows that close at `train` (ns UTC), or is trained now."""
        if train is None or self.teacher is None:
            raise PolicyError(f"{self.place} is trained, so it needs training rows: run it walk-forward")
        key = rows_sha256(train)
        with self._one:  # candidates are asked on several threads, and what is missing is trained once
            if key not in self.known:
                artifact = self.teacher.artifact(train)
                self.known[key] = Learned(
                    name=str(artifact.path),
                    artifact=artifact,
                    spec=self.spec,
                    least=self.least,
                    section=self.section,
                    base=self.base,
                )
            return self.known[key]

    def columns(self, frames: Frames, params: Mapping[str, Any], train: I8 | None = None) -> dict[str, Columns]:
        """What the network of these rows wants; on paper, if it watches its account."""
        return self.learned(train).columns(frames, params)

    def opinion(self, frames: Frames, params: Mapping[str, Any], train: I8 | None = None) -> dict[str, Columns]:
        """The same."""
        return self.columns(frames, params, train)

    def deliberation(self, frames: Frames, params: Mapping[str, Any], train: I8 | None = None) -> Deliberation:
        """What the network of these rows decides by."""
        return self.learned(train).deliberation(frames, params)

    def settled(self, frames: Frames, params: Mapping[str, Any], train: I8 | None) -> Learned:
        """The network of these rows: it learns no more."""
        return self.learned(train)

    def stored(self) -> StoredTeacher:
        """Whoever has what was trained so far, of plain values, for another process."""
        paths = {key: one.artifact.path for key, one in self.known.items()}
        folder = next((path.parent for path in paths.values()), Path())
        return StoredTeacher(
            folder=folder.resolve(),
            keys={key: path.name for key, path in paths.items()},
            seeds=self.seeds,
            watches=self.watches,
            sha256=self.source_sha256,
        )


def rows_sha256(train: I8) -> str:
    """Hash of the closes (K,) of training rows, ns UTC."""
    return hashlib.sha256(np.ascontiguousarray(train, "<i8").tobytes()).hexdigest()
