"""What a run was made of: hashes of the source, versions of what it stands on, and the id that follows from them."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wfbt

# What can move a number; a changed version of any of these is another run.
NUMERIC = ("arch", "numba", "numpy", "pandas", "pyarrow", "scipy", "TA-Lib")


def source_sha256() -> str:
    """Hash of every Python file of this wfbt."""
    root = Path(wfbt.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """wfbt, Python and the libraries that can move a number."""
    import importlib.metadata  # slow to import, and no ledger needs it to be read

    out = {"wfbt": wfbt.__version__, "python": platform.python_version()}
    return out | {name: importlib.metadata.version(name) for name in NUMERIC}


def run_id(parts: dict[str, Any]) -> str:
    """Twelve hex digits of a hash over everything that decides the result."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def machine() -> dict[str, str]:
    """Where it ran; recorded, not hashed."""
    return {"system": platform.system(), "machine": platform.machine(), "python": sys.version.split()[0]}


def sha256(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def tree_sha256(tree: Mapping[str, Any]) -> str:
    """Hash of plain JSON values, however they are laid out, but for a key `sha256`, which may hold it."""
    told = {key: value for key, value in tree.items() if key != "sha256"}
    return sha256(json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
