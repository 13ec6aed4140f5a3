"""Who trains a policy for each fold, as the replay sees it: rows in, a trained artefact out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError
from wfbt.policy.artifact.load import Artifact, load_artifact
from wfbt.policy.artifact.manifest import NAME

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


def rows_sha256(train: I8) -> str:
    """Hash of the closes (K,) of training rows, ns UTC."""
    return hashlib.sha256(np.ascontiguousarray(train, "<i8").tobytes()).hexdigest()
