"""Arrays that what is validated once keeps: contiguous, of one type, read-only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

I1 = npt.NDArray[np.int8]
I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]


def read_only(array: npt.ArrayLike, dtype: Any) -> Any:
    """`array` as a contiguous array of `dtype` that nobody can write to, copied where others could reach it."""
    out = np.ascontiguousarray(array, dtype=dtype)
    if out is array or out.base is not None:
        out = out.copy()
    out.flags.writeable = False
    return out
