"""sha256 of what a verdict binds: a model with its manifest, market data, any other file.

A deployer's side imports this module: it stands on the standard library alone, and opens nothing that it hashes.
Links are followed: what counts is the bytes that whoever opens the path would read.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wfbt.errors import ArtifactError, ConfigError
from wfbt.gate.shape import parse, shaped
from wfbt.policy.artifact.files import read_whole

MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 4_000_000

_NAMED = {
    "type": "object",
    "required": ["file", "sha256"],
    "properties": {"file": {"type": "string"}, "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
}
_SHAPE = {
    "type": "object",
    "required": ["models", "probes"],
    "properties": {
        "models": {"type": "array", "minItems": 1, "maxItems": 1000, "items": _NAMED},
        "probes": {**_NAMED, "type": ["object", "null"]},
    },
}
"""What of a manifest says which files there are; whether all of it is right, its reader judges."""


def file_hash(path: Path) -> str:
    """Of a file's bytes; ArtifactError where it cannot be read or is no regular file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ArtifactError(f"{path}: must be a regular file")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ArtifactError(f"{path}: cannot be read: {reason}") from None


def model_hash(path: Path) -> str:
    """Of a model: over names and hashes of manifest.json and of every file that it names.

    `path` is the folder, or a file in it, which stands for the whole.  ArtifactError where there is no manifest, where
    it does not name `path`, or where a file is missing or is not the one that it describes; ConfigError where there is
    no such path.
    """
    if not os.path.exists(path):
        raise ConfigError(f"{path}: no such file or folder; a model is a folder with {MANIFEST}, or a file in it")
    folder = path if os.path.isdir(path) else path.parent
    place = folder / MANIFEST
    if not os.path.exists(place):
        raise ArtifactError(
            f"{place}: is missing; a model is judged and deployed with the manifest that was written beside it"
        )
    raw = read_whole(place, MOST_MANIFEST_BYTES)
    told = shaped(parse(raw, str(place), MOST_MANIFEST_BYTES), _SHAPE, str(place))
    held = {MANIFEST: hashlib.sha256(raw).hexdigest()}
    for one in (*told["models"], *([told["probes"]] if told["probes"] else [])):
        held[one["file"]] = _held(folder, one["file"], one["sha256"])
    if folder != path and path.name not in held:
        raise ArtifactError(f"{place}: names no {path.name}, but {', '.join(sorted(held)[:8])}; give one of them")
    return _hash(sorted(held.items()))


def data_hash(digests: Iterable[str]) -> str:
    """Of market data: over the hashes of its files, in whatever order they are given."""
    return _hash(sorted(digests))


def data_files(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, and every *.parquet below the folders among them; ConfigError where there is none."""
    found: list[Path] = []
    for path in paths:
        if not os.path.exists(path):
            raise ConfigError(f"data: {path}: no such file or folder; give Parquet files of this machine")
        if not os.path.isdir(path):
            found.append(path)
            continue
        below = [Path(top, name) for top, _, names in os.walk(path) for name in names if name.endswith(".parquet")]
        if not below:
            raise ConfigError(f"data: {path}: holds no .parquet file; give the folder of those that were judged on")
        found += sorted(below)
    return found


def _held(folder: Path, name: str, told: str) -> str:
    if name in ("", ".", "..") or Path(name).name != name:
        raise ArtifactError(f"{folder / MANIFEST}: must name files beside it, names {name[:100]!r}")
    found = file_hash(folder / name)
    if found != told:
        raise ArtifactError(
            f"{folder / name}: has sha256 {found}, {MANIFEST} says {told}; it was changed or exchanged: restore it"
        )
    return found


def _hash(tree: Any) -> str:
    return hashlib.sha256(json.dumps(tree, separators=(",", ":")).encode("ascii")).hexdigest()
