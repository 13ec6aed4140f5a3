"""A run folder as the gate reads it: nothing in it is believed before it has the hash that its manifest keeps."""

from __future__ import annotations

import hashlib
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
from wfbt.gate.shape import Schema, parse, shaped
from wfbt.registry.provenance import tree_sha256

MANIFEST, RESULT, DAYS, CONFIG = "manifest.json", "result.json", "daily.parquet", "config.resolved.yaml"
NEEDED = (MANIFEST, RESULT, DAYS, CONFIG)
MOST_BYTES = 200_000_000
"""Of one JSON file."""
MOST_A_DAY = 1e6
"""A return beyond it is a damaged number, and its square may be none."""

_TEXT, _SOME = {"type": "string"}, {"type": ["object", "null"]}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_RESULT = {
    "type": "object",
    "required": ["run_id", "name", "folds", "oos"],
    "properties": {
        "run_id": _TEXT,
        "name": _TEXT,
        "folds": {"type": "array", "items": {"type": "object"}},
        "oos": {"type": "object"},
        "models": _SOME,
    },
}
_FILE = {"type": "object", "required": ["path", "sha256"], "properties": {"path": _TEXT, "sha256": _SHA256}}
_MANIFEST = {
    "type": "object",
    "required": ["run_id", "seed", "config", "source_sha256", "files", "written"],
    "properties": {
        "run_id": _TEXT,
        "seed": {"type": "integer", "minimum": 0},
        "config": {
            "type": "object",
            "required": ["seed", "folds"],
            "properties": {"seed": {"type": "integer"}, "folds": {"type": "object"}},
        },
        "source_sha256": _SHA256,
        "strategy_sha256": {**_SHA256, "type": ["string", "null"]},
        "trials": {**_SOME, "properties": {"head": {"type": ["string", "null"]}}},
        "files": {"type": "array", "minItems": 1, "items": _FILE},
        "written": {"type": "object"},
    },
}
"""What is read of them without asking first; the rest is looked for where it is needed."""


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
    result, manifest = _object(folder / RESULT, _RESULT), _object(folder / MANIFEST, _MANIFEST)
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


def _object(path: Path, shape: Schema) -> dict[str, Any]:
    """A JSON object of a shape, without repeated keys and numbers that are none; ArtifactError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ArtifactError(f"{path}: must take at most {MOST_BYTES:,} bytes, takes {path.stat().st_size:,}")
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from None
    told: dict[str, Any] = shaped(parse(data, str(path), MOST_BYTES), shape, str(path))
    return told


def _days(path: Path, result: Mapping[str, Any]) -> Daily:
    try:
        frame: pd.DataFrame = pq.read_table(path, columns=["fold", "strategy", "benchmark"]).to_pandas()
        returns, held = (frame[name].to_numpy(np.float64) for name in ("strategy", "benchmark"))
        fold = frame["fold"].to_numpy(np.int64)
        year = float(result["oos"]["periods_per_year"])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        said = str(error).split("\n")[0]
        raise ArtifactError(f"{path}: is not the daily returns of a run ({said}); run the strategy again") from None
    for name, series in (("strategy", returns), ("benchmark", held)):
        if (np.abs(series) > MOST_A_DAY).any():  # a day that is missing is no number, and is judged as such
            raise ArtifactError(
                f"{path}: {name} must be the returns of days, is {np.nanmax(np.abs(series)):.3g} on one; run the "
                "strategy again"
            )
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
    told = [] if manifest.get("sha256") == _own_hash(manifest) else [f"{MANIFEST} was changed"]
    told += [f"{name} is not in its list of files" for name in NEEDED if name != MANIFEST and name not in kept]
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


def _own_hash(manifest: Mapping[str, Any]) -> str | None:
    try:
        return tree_sha256(manifest)
    except RecursionError:  # read, and yet too deep to be written
        return None
