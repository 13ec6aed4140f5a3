"""A file of a model's predictions is judged by its manifest: no recomputation shows what the model had seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wfbt.data.store import stamp
from wfbt.engine.tape import Deck
from wfbt.errors import ArtifactError
from wfbt.validation.folds import Fold
from wfbt.validation.walk_forward import rows_of

MOST_BYTES = 1 << 20
KEYS = ("training", "predictions_sha256")


def check_predictions(name: str, path: str, manifest: str | None, folds: Sequence[Fold], deck: Deck, gap: int) -> None:
    """ArtifactError unless the manifest of predictions in the file `path` fits the file and every fold.

    The manifest is JSON: `training`, a list of {start, end} (end exclusive) of all rows that the model, its scaler and
    its selection of features have learnt from, and `predictions_sha256` of the file.  Every test bar must open
    at least `gap` ns (the embargo) after every training window has ended.
    """
    where = f"data.series.{name}"
    if manifest is None:
        raise ArtifactError(
            f"{where}: predictions without a manifest may come from a model that saw the rows it is tested on; give "
            f"{where}.manifest, a JSON file with {' and '.join(KEYS)}"
        )
    told = _read(where, manifest)
    if _digest(where, path) != told["predictions_sha256"]:
        raise ArtifactError(
            f"{where}: {manifest}: predictions_sha256 is not that of {path}: the file was changed, or is another "
            "model's; write both again"
        )
    windows = [_window(where, manifest, one) for one in told["training"]]
    for fold in folds:
        opens = int(deck.close_ts[rows_of(fold.test)[0]]) - deck.period
        for start, end in windows:
            if opens < end + gap:
                raise ArtifactError(
                    f"{where}: {manifest}: the model was trained on {stamp(start)} to {stamp(end)}, and fold "
                    f"{fold.index + 1} is tested from {stamp(opens)} on, before the end of training and its embargo: "
                    "it may have seen what it is tested on; test later, or train earlier"
                )


def _read(where: str, manifest: str) -> dict[str, Any]:
    try:
        with Path(manifest).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"is larger than {MOST_BYTES:,} bytes")
        told = json.loads(data)
        if not isinstance(told, dict):
            raise ValueError("must be a mapping")
        if missing := [key for key in KEYS if key not in told]:
            raise ValueError(f"lacks {' and '.join(missing)}")
        if not isinstance(told["training"], list) or not told["training"]:
            raise ValueError("training must be a list of {start, end}")
    except (OSError, ValueError, RecursionError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        raise ArtifactError(f"{where}.manifest: {manifest}: {text}") from error
    return told


def _window(where: str, manifest: str, given: Any) -> tuple[int, int]:
    """Start and end, ns UTC."""
    try:
        start, end = (pd.Timestamp(given[key]) for key in ("start", "end"))
        start, end = (one.tz_localize("UTC") if one.tzinfo is None else one.tz_convert("UTC") for one in (start, end))
        if not start < end:
            raise ValueError("end must be after start")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"{where}.manifest: {manifest}: training must hold {{start, end}} with times, was {given!r}: {error}"
        ) from error
    return tuple(int(np.int64(one.as_unit("ns").value)) for one in (start, end))  # type: ignore[return-value]


def _digest(where: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(
            f"{where}: {path}: {error.strerror}; predictions are one local file, whose bytes the manifest names"
        ) from error
