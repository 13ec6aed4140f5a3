"""Times and codes as a person reads them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

NEVER_NET = "the account was never net"
"""How it is said that a move against shorts, or against longs, met an account that never held any."""


def stamp(ts: int) -> str:
    """ns UTC as a date and a time."""
    return f"{pd.Timestamp(int(ts), tz='UTC').strftime('%Y-%m-%d %H:%M:%S')}Z"


def words(codes: Any, kind: type[IntEnum]) -> npt.NDArray[np.object_]:
    """Codes of an enum that counts from 0, as its names in lower case."""
    return np.array([member.name.lower() for member in kind], dtype=object)[np.asarray(codes, np.int64)]
