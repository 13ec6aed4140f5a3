"""When an account stopped for good, and whether accounts that are to be compared did so on the same day."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from wfbt.data.market import DAY
from wfbt.ledger.ledger import Ledger

LIMIT = "the drawdown limit"
EMPTY = "an empty account"


def limit_reached(ledger: Ledger, most: float | None) -> int | None:
    """The close (ns UTC) at which the drawdown limit `most` was reached, after which nothing more is traded."""
    beyond = np.flatnonzero(ledger.drawdown >= most) if most is not None else np.zeros(0, np.int64)
    return int(ledger.ts[beyond[0]]) if len(beyond) else None


def stop_of(ledger: Ledger, most: float) -> tuple[int, str] | None:
    """When (ns UTC) and by what the account stopped for good: LIMIT or EMPTY.  `most` is inf where no limit is set."""
    reached = limit_reached(ledger, most)
    if reached is not None:
        return reached, LIMIT
    if ledger.halted:
        return (int(ledger.fills["ts"][-1]) if len(ledger.fills) else int(ledger.ts[0])), EMPTY
    return None


def same_history(stops: Iterable[int | None]) -> bool:
    """Did all stop on one UTC day, or none at all?  A few hours make no other history, months do."""
    return len({None if stop is None else (stop - 1) // DAY for stop in stops}) <= 1
