"""The one `njit` of wfbt.

Numba stamps a cached kernel with its own file only: after an edit to a helper in another file, the caller would go on
returning the old answer.  This package imports nothing else from wfbt, so its source is the kernels' whole identity,
and a hash of it names the cache directory.
"""

import hashlib
import os
from pathlib import Path

import numba


def _cache_dir() -> str:
    identity = hashlib.sha256(f"{numba.__version__} bounds={numba.config.BOUNDSCHECK}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        identity.update(path.name.encode() + b"\0" + path.read_bytes())
    base = os.environ.get("WFBT_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wfbt"
    return str(Path(base) / identity.hexdigest()[:16])


CACHE_DIR = _cache_dir()


def njit(function, inline=False):
    """Compile lazily, without the GIL, cached across processes; IEEE division, NaN kept, no fastmath."""
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, CACHE_DIR
    try:
        return numba.njit(function, cache=True, nogil=True, error_model="numpy", forceinline=inline)
    finally:
        numba.config.CACHE_DIR = before


def inlined(function):
    """The same for a helper that vanishes into its caller: a call with twenty arguments costs more than its arithmetic.

    It gets scalars and records, or is called seldom: an array is counted in and out at every call, inlined or not.
    """
    return njit(function, inline=True)
