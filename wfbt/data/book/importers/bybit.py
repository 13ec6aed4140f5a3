"""Bybit order-book archives (ob200, ob500): JSON lines, in a zip or plain, of snapshots and deltas.

`cts` is the time of the matching engine and `ts` that of publication: the archive knows no other receipt.  `u` counts
the messages of a book; 1 is a snapshot after a restart of the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wfbt.data.book.importers.json_lines import integer, levels, messages, milliseconds
from wfbt.data.book.importers.parsed import CHUNK, Gathered, Parsed
from wfbt.data.book.rows import NO_ID
from wfbt.errors import DataError


def read(paths: Sequence[str], symbol: str) -> Iterator[Parsed]:
    """The book of one symbol, in the order of the lines; rows count over all files."""
    gathered, row = Gathered(), 0
    for path in paths:
        before = row
        for number, received, said in messages(path):
            row = before + number - 1
            data, kind = said.get("data"), said.get("type")
            if not isinstance(data, dict) or not str(said.get("topic", "")).startswith("orderbook."):
                continue
            if str(data.get("s", "")).upper() != symbol.upper():
                continue
            if kind not in ("snapshot", "delta"):
                raise DataError(f"{path}: line {number}: type must be snapshot or delta, was {str(kind)[:40]!r}")
            published = milliseconds(said, "ts", path, number)
            happened = milliseconds(said, "cts", path, number) if "cts" in said else published
            update = integer(data, "u", path, number)
            snapshot = kind == "snapshot" or update == 1
            bids, asks = (levels(data.get(side), path, number) for side in ("b", "a"))
            gathered.message(
                row,
                happened,
                published if received is None else received,
                bids,
                asks,
                snapshot=snapshot,
                final_id=update,
                prev_id=NO_ID if snapshot else update - 1,
            )
            if len(gathered) >= CHUNK:
                yield gathered.parsed()
        row += 1
    yield gathered.parsed()
