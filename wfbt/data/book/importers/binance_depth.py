"""Binance's bookDepth archive: sums within percentages of the price every half minute, as a series of numbers.

It is no book, as no level is known: nothing can be replayed on it.  It can be a series that a policy sees.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wfbt.data.book.importers.parsed import Depths
from wfbt.data.book.importers.source import number, tables
from wfbt.errors import DataError

COLUMNS = {"timestamp": pa.string(), "percentage": pa.float64(), "depth": pa.float64(), "notional": pa.float64()}
PERCENTAGES = (-5.0, -4.0, -3.0, -2.0, -1.0, -0.2, 0.2, 1.0, 2.0, 3.0, 4.0, 5.0)


def named(what: str, percentage: float) -> str:
    """depth_bid_5pct, notional_ask_0_2pct."""
    side = "bid" if percentage < 0 else "ask"
    return f"{what}_{side}_{abs(percentage):g}pct".replace(".", "_")


def read(path: str) -> Iterator[Depths]:
    """A row for each stamp, NaN where it has no sum within a percentage."""
    held: list[np.ndarray] = []
    for batch in tables(path, (), COLUMNS):
        rows = np.column_stack([_time(batch, path), *(number(batch, name) for name in list(COLUMNS)[1:])])
        both = np.concatenate([*held, rows])
        # The rows of the last stamp may go on in the next batch.
        others = np.flatnonzero(both[:, 0] != both[-1, 0])
        cut = int(others[-1]) + 1 if others.size else 0
        held = [both[cut:]]
        if cut:
            yield _pivoted(both[:cut], path)
    if held:
        yield _pivoted(held[0], path)


def _time(batch: pa.RecordBatch, path: str) -> np.ndarray:
    """Seconds since 1970: a double holds them."""
    try:
        stamps = pc.strptime(batch.column("timestamp"), format="%Y-%m-%d %H:%M:%S", unit="s")
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path}: timestamp must be written 2024-06-01 00:00:30: {str(error).splitlines()[0]}"
        ) from error
    if stamps.null_count:
        raise DataError(f"{path}: column timestamp is empty in {stamps.null_count:,} rows")
    out: np.ndarray = stamps.cast(pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return out


def _pivoted(rows: np.ndarray, path: str) -> Depths:
    seconds = rows[:, 0]
    fresh = np.concatenate([[True], seconds[1:] != seconds[:-1]])
    at = np.cumsum(fresh) - 1
    unknown = ~np.isin(rows[:, 1], PERCENTAGES)
    if unknown.any():
        raise DataError(f"{path}: percentage {rows[np.argmax(unknown), 1]:g} is none of ±0.2, ±1 to ±5")
    columns = {}
    for place, what in ((2, "depth"), (3, "notional")):
        for percentage in PERCENTAGES:
            values = np.full(int(at[-1]) + 1, np.nan)
            mine = rows[:, 1] == percentage
            values[at[mine]] = rows[mine, place]
            columns[named(what, percentage)] = values
    return Depths(ts=seconds[fresh].astype(np.int64) * 1_000_000_000, columns=columns)
