"""Small books and files of them for the tests."""

import numpy as np
import pyarrow as pa

from wfbt.data.book.corrections import Corrections
from wfbt.data.book.grid import Grid
from wfbt.data.book.rows import NO_ID, Levels, Quotes
from wfbt.data.book.stream import Feed
from wfbt.data.store import write_table

START = int(np.datetime64("2024-06-01T12:00", "ns").astype(np.int64))
NOW = int(np.datetime64("2026-01-01", "ns").astype(np.int64))
MS = 1_000_000
GRID = Grid(tick_size=0.1, lot_size=0.001)


def levels(rows, ids=None, start=START, step=100 * MS, latency=5 * MS):
    """Levels of rows (side, tick, lots, snapshot, last), a message each `step`; `ids`: first, final, prev of each."""
    side, tick, lots, snapshot, last = (np.array(column) for column in zip(*rows, strict=True))
    message = np.cumsum(last) - last
    exch = start + step * message
    given = np.full((int(message[-1]) + 1, 3), NO_ID) if ids is None else np.array(ids)
    return Levels(
        row=np.arange(len(side)),
        exch_ts=exch,
        recv_ts=exch + latency,
        side=side.astype(np.int8),
        snapshot=snapshot.astype(bool),
        last=last.astype(bool),
        first_id=given[message, 0],
        final_id=given[message, 1],
        prev_id=given[message, 2],
        tick=tick.astype(np.int64),
        lots=lots.astype(np.int64),
    )


def quotes(rows, **changed):
    """The same as prices and quantities on GRID."""
    made = levels(rows) if isinstance(rows, list) else rows
    stamped = {name: getattr(made, name) for name in Quotes.__mro__[1].__slots__}
    columns = {"price": made.tick / 10, "qty": made.lots / 1000}
    return Quotes(**(stamped | columns | changed))


# 100 messages around a mid of 1000 ticks, after a snapshot of ten levels a side.
def walk(n=100, seed=3):
    rng = np.random.default_rng(seed)
    rows = [(side, 1000 - side * (1 + k), 50 + k, True, False) for side in (1, -1) for k in range(10)]
    rows[-1] = (*rows[-1][:4], True)
    for _ in range(n):
        side = int(rng.choice([1, -1]))
        rows.append((side, 1000 - side * int(rng.integers(1, 12)), int(rng.integers(0, 90)), False, True))
    return rows


def book_columns(rows, *, marked=True, ids=True):
    """The columns of a raw file as the shared data have them."""
    got = quotes(rows)
    columns = {
        "exch_ts": stamps(got.exch_ts),
        "recv_ts": stamps(got.recv_ts),
        "side": pa.array(got.side),
        "price": pa.array(got.price),
        "qty": pa.array(got.qty),
        "is_snapshot": pa.array(got.snapshot),
    }
    if marked:
        columns["last_in_msg"] = pa.array(got.last)
    if ids:
        columns |= {
            "first_update_id": pa.array(got.first_id),
            "final_update_id": pa.array(got.final_id),
            "prev_final_update_id": pa.array(got.prev_id),
        }
    return columns


def stamps(ts):
    return pa.array(np.asarray(ts)).cast(pa.timestamp("ns", tz="UTC"))


def write_book(path, rows, *, marked=True, ids=True, **changed):
    write_table(path, pa.table(book_columns(rows, marked=marked, ids=ids) | changed))
    return str(path)


def run(chunks, grid=GRID, strict=False, **corrections):
    """Everything that comes out of a feed, as one, and the feed."""
    chunks = chunks if isinstance(chunks, list) else [chunks]
    feed = Feed(chunks, grid, symbol="X", corrections=Corrections.parse(corrections), strict=strict, now=NOW)
    return list(feed.run()), feed


def rules(feed, severity=None):
    return sorted({f.rule for f in feed.log.findings() if severity in (None, f.severity)})
