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


def last_row_alive(ledger: Ledger, most: float) -> int:
    """The last row on which the account was in the market before it stopped for good; the last of all if it never did.

    What flattened it counts: the order comes a bar after the limit is seen, and may cost.
    """
    stop = stop_of(ledger, most)
    if stop is None:
        return len(ledger.ts) - 1
    last_fill = int(ledger.fills["ts"][-1]) if len(ledger.fills) else int(ledger.ts[0])
    # A fill at the open of a bar is in the equity of its close; the close that showed the limit may come after all.
    seen = max(int(np.searchsorted(ledger.ts, last_fill, side="right")), int(np.searchsorted(ledger.ts, stop[0])))
    if stop[1] == EMPTY:
        seen = max(seen, int(np.argmax(ledger.equity <= 0.0)))
    return min(seen, len(ledger.ts) - 1)


def same_history(stops: Iterable[int | None]) -> bool:
    """Did all stop on one UTC day, or none at all?  A few hours make no other history, months do."""
    return len({None if stop is None else (stop - 1) // DAY for stop in stops}) <= 1
