"""Files of the run folder, each written aside, synced and renamed: a reader sees the old file or the whole new one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wfbt.errors import LedgerError
from wfbt.files import replace_whole


def write_json(path: Path, obj: Any) -> None:
    """Write `obj` as indented JSON in insertion order; a number that is not finite is refused."""
    text = json.dumps(_plain(obj, path.name, ""), ensure_ascii=False, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with the line ends it has."""
    data = text.encode("utf-8")
    replace_whole(path, lambda file: file.write(data))


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write the columns of `frame`, without its index, as Parquet (zstd)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    replace_whole(path, lambda file: pq.write_table(table, file, compression="zstd"))


def _plain(value: Any, name: str, key: str) -> Any:
    """`value` in JSON's own types; NumPy scalars and arrays become numbers and lists."""
    if isinstance(value, dict):
        return {str(k): _plain(v, name, f"{key}.{k}" if key else str(k)) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v, name, f"{key}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        raise LedgerError(f"{name}: {key} is {value}; a missing number must be null with a reason beside it")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise LedgerError(
        f"{name}: {key} is a {type(value).__name__}, which JSON cannot hold; write it as text or a number"
    )
