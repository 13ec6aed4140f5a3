"""A run folder as the gate reads it: nothing in it is believed before it has the hash that its manifest keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from wfbt.config.document import read_file
from wfbt.config.messages import sentence, where
from wfbt.config.schema import Mandate
from wfbt.errors import ArtifactError
from wfbt.gate.facts import Daily

MANIFEST, RESULT, DAYS, CONFIG = "manifest.json", "result.json", "daily.parquet", "config.resolved.yaml"
NEEDED = (MANIFEST, RESULT, DAYS, CONFIG)
MOST_BYTES = 200_000_000
"""Of one JSON file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finished:
    """What a finished run left.

    Attributes
    ----------
    folder : Path
    result, manifest, config : mapping
        result.json, manifest.json and config.resolved.yaml.
    daily : Daily
    mandate : Mandate
    changed : tuple of str
        What is not as the manifest says, in words; nothing else here means anything unless it is empty.
    """

    folder: Path
    result: Mapping[str, Any]
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    daily: Daily
    mandate: Mandate
    changed: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the strategy."""
        return str(self.result["name"])

    @property
    def run_id(self) -> str:
        return str(self.result["run_id"])


def read_finished(folder: Path) -> Finished:
    """Read a run folder; ArtifactError where it is none, or lacks what a verdict needs."""
    for name in NEEDED:
        if not (folder / name).is_file():
            raise ArtifactError(
                f"{folder}: has no {name}, so it is no finished run and was not judged; run the strategy again"
            )
    result, manifest = _object(folder / RESULT), _object(folder / MANIFEST)
    for path, told, names in (
        (folder / RESULT, result, {"run_id": str, "name": str, "folds": list, "oos": dict}),
        (folder / MANIFEST, manifest, {"run_id": str, "seed": int, "source_sha256": str, "written": dict}),
    ):
        for key, kind in names.items():
            if not isinstance(told.get(key), kind):
                raise ArtifactError(f"{path}: {key} must be of the kind {kind.__name__}, was {told.get(key)!r:.40}")
    config = read_file(folder / CONFIG).tree
    if not isinstance(config, dict):
        raise ArtifactError(f"{folder / CONFIG}: must be a mapping of keys to values")
    return Finished(
        folder=folder,
        result=result,
        manifest=manifest,
        config=config,
        daily=_days(folder / DAYS, result),
        mandate=_mandate(folder / CONFIG, config),
        changed=tuple(_changed(folder, manifest, result)),
    )


def _object(path: Path) -> dict[str, Any]:
    """A JSON object without numbers that are none; ArtifactError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ArtifactError(f"{path}: must take at most {MOST_BYTES:,} bytes, takes {path.stat().st_size:,}")
        told = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(told, dict):
        raise ArtifactError(f"{path}: must be a JSON object, is {type(told).__name__}")
    return told


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _days(path: Path, result: Mapping[str, Any]) -> Daily:
    try:
        frame: pd.DataFrame = pq.read_table(path, columns=["fold", "strategy", "benchmark"]).to_pandas()
        returns, held = (frame[name].to_numpy(np.float64) for name in ("strategy", "benchmark"))
        fold = frame["fold"].to_numpy(np.int64)
        year = float(result["oos"]["periods_per_year"])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        said = str(error).split("\n")[0]
        raise ArtifactError(f"{path}: is not the daily returns of a run ({said}); run the strategy again") from None
    return Daily(returns=returns, held=held, fold=fold, periods_per_year=year)


def _mandate(path: Path, config: Mapping[str, Any]) -> Mandate:
    try:
        return Mandate.model_validate(config.get("mandate"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in ("mandate", *where(first)))
        raise ArtifactError(f"{path}: {key}: {sentence(first, Mandate)}") from None


def _changed(folder: Path, manifest: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    """Which files have not the hash that the manifest keeps of them."""
    kept = manifest["written"]
    told = [f"{name} is not in its list of files" for name in NEEDED if name != MANIFEST and name not in kept]
    real = folder.resolve()
    for name, sha256 in sorted(kept.items()):
        path = folder / name
        if not path.is_file() or real not in path.resolve().parents:
            told.append(f"{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            told.append(f"{name} was changed")
    if manifest["run_id"] != result["run_id"]:
        told.append(f"it is of the run {manifest['run_id']}, result.json of {result['run_id']}")
    return told
