"""What `wfbt data check` and `wfbt data info` say of the files of a book or of its best quotes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wfbt.data.arrays import F8
from wfbt.data.book.corrections import Corrections
from wfbt.data.book.findings import Log
from wfbt.data.book.importers.parsed import Quoted
from wfbt.data.book.ladder import Best
from wfbt.data.book.parquet import BookFiles, open_book
from wfbt.data.book.rows import NO_ID, Levels, joined
from wfbt.data.book.stream import Feed
from wfbt.data.book.tape import Tape, read_bests
from wfbt.data.findings import Finding
from wfbt.data.store import stamp
from wfbt.errors import DataError

ALIVE = 1_000_000_000
"""ns after the last best quote for which it is taken to hold."""


def check_book(
    path: str,
    symbol: str = "",
    *,
    bests: str | None = None,
    tick_size: float | None = None,
    lot_size: float | None = None,
    corrections: Mapping[str, Any] | None = None,
    now: int | None = None,
) -> list[Finding]:
    """Everything wrong with a book: errors first, each in row order.

    With `bests`, a path to best quotes of the same venue, each message's best of both sides is compared with the quote
    of the last update that it contains.
    """
    files = open_book(path, symbol, tick_size=tick_size, lot_size=lot_size)
    feed = _feed(files, corrections, now)
    compared = None if bests is None else Compared(read_bests(bests, symbol), feed, files.path)
    for part in feed.run():
        if compared is not None:
            compared.look(part.ends, part.best)
    if compared is not None:
        compared.finish()
    return feed.log.findings()


def check_bests(path: str, symbol: str = "", *, now: int | None = None) -> list[Finding]:
    """Everything wrong with best quotes: errors first, each in row order."""
    log = Log(symbol)
    tape = Tape(log, Corrections(), time.time_ns() if now is None else now)
    for rows in read_bests(path, symbol):
        tape.bests(rows)
    tape.finish()
    return log.findings()


def info_book(path: str, symbol: str = "", *, now: int | None = None) -> dict[str, Any]:
    """Extent, grid, messages, snapshots, deepest book, latency and digest of a book.

    The latency is that of rows in ms: the least one, and of chunk by chunk the median and the 99th percentile, whose
    medians are called typical and high.
    """
    files = open_book(path, symbol)
    feed = _feed(files, None, now)
    sha = hashlib.sha256(f"{files.grid.tick_size!r} {files.grid.lot_size!r}\n".encode())
    rows = messages = snapshots = deepest = 0
    first, last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    latency: list[F8] = []
    for part in feed.run():
        got = part.rows
        rows, messages = rows + len(got), messages + len(part.best.at)
        snapshots += int(np.count_nonzero(got.snapshot & got.last))
        first, last = min(first, int(got.recv_ts.min())), max(last, int(got.recv_ts.max()))
        deepest = max(deepest, len(feed.book.levels()[0]))
        latency.append(np.asarray(np.percentile(got.recv_ts - got.exch_ts, (0, 50, 99))))
        # Row by row, so that it does not depend on where the chunks end.
        sha.update(np.column_stack([got.exch_ts, got.recv_ts, got.side, got.tick, got.lots, got.snapshot]).data)
    if not rows:
        raise DataError(f"{path}: no sound row; run wfbt data check {path}")
    spread = np.array(latency) / 1e6
    return {
        "path": path,
        "kind": "book",
        "rows": rows,
        "files": [name for name, _ in files.files],
        "first": stamp(first),
        "last": stamp(last),
        "period": "",
        "columns": ["exch_ts", "recv_ts", "side", "tick", "lots"],
        "zone": "UTC",
        "digest": sha.hexdigest(),
        "gaps": [
            {"row": f.row, "ts": stamp(f.ts), "absent": f.count, "message": f.message}
            for f in feed.log.findings()
            if f.rule in ("silence", "sequence")
        ],
        "tick_size": files.grid.tick_size,
        "lot_size": files.grid.lot_size,
        "grid": "learned from the values" if files.learned else "of the file",
        "messages": messages,
        "snapshots": snapshots,
        "most_levels": deepest,
        "latency_ms": {
            "least": float(spread[:, 0].min()),
            "typical": float(np.median(spread[:, 1])),
            "high": float(np.median(spread[:, 2])),
        },
        "venue": files.told.get("venue") or None,
    }


def info_bests(path: str, symbol: str = "") -> dict[str, Any]:
    """Extent and digest of best quotes."""
    sha, rows = hashlib.sha256(), 0
    first, last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    for part in read_bests(path, symbol):
        rows += len(part)
        first, last = min(first, int(part.exch_ts.min())), max(last, int(part.exch_ts.max()))
        prices = np.column_stack([part.bid, part.bid_qty, part.ask, part.ask_qty]).view(np.int64)
        sha.update(np.column_stack([part.exch_ts, part.recv_ts, part.update_id, prices]).data)
    if not rows:
        raise DataError(f"{path}: holds no rows")
    return {
        "path": path,
        "kind": "bbo",
        "rows": rows,
        "files": [path],
        "first": stamp(first),
        "last": stamp(last),
        "period": "",
        "columns": ["ts", "recv_ts", "bid", "bid_qty", "ask", "ask_qty", "update_id"],
        "zone": "UTC",
        "digest": sha.hexdigest(),
        "gaps": [],
    }


@dataclass(slots=True)
class Compared:
    """Compares a rebuilt book with the venue's own best quotes, message by message, by the ids of updates.

    Attributes
    ----------
    messages, equal : int
        How many messages have a quote to compare with, and how many agree in all four numbers.
    """

    quotes: Iterator[Quoted]
    feed: Feed
    path: str
    messages: int = 0
    equal: int = 0
    _held: Any = None
    _done: bool = False
    _asked: int = NO_ID

    def look(self, ends: Levels, best: Best) -> None:
        """Compare the messages of one chunk: the row each ends with, and the best after it."""
        final = ends.final_id
        if not len(final):
            return
        held = self._until(int(final.max()))
        if held is None or (held.update_id == NO_ID).any():
            return
        at = np.searchsorted(held.update_id, final, side="right") - 1
        # Quotes tell changes only: the last one holds, but not long after the recording of quotes has ended.
        beyond = self._done & (final > held.update_id[-1]) & (ends.recv_ts > held.recv_ts[-1] + ALIVE)
        there = (at >= 0) & (final != NO_ID) & ~beyond
        grid, at = self.feed.grid, np.maximum(at, 0)
        said = (
            grid.ticks(held.bid)[0][at],
            grid.lots(held.bid_qty)[0][at],
            grid.ticks(held.ask)[0][at],
            grid.lots(held.ask_qty)[0][at],
        )
        found = (best.bid, best.bid_lots, best.ask, best.ask_lots)
        same = np.logical_and.reduce([a == b for a, b in zip(said, found, strict=True)])
        self.messages += int(np.count_nonzero(there))
        self.equal += int(np.count_nonzero(there & same))
        for i in np.flatnonzero(there & ~same).tolist():
            self.feed.log.add(
                "bbo_disagrees",
                int(ends.row[i]),
                int(ends.recv_ts[i]),
                1,
                f"after update {final[i]} the book's best is {found[0][i]} / {found[2][i]} ticks with "
                f"{found[1][i]} / {found[3][i]} lots, the venue's {said[0][i]} / {said[2][i]} with "
                f"{said[1][i]} / {said[3][i]}",
            )

    def finish(self) -> None:
        """Say how many messages were compared."""
        self.feed.log.notes.append(f"{self.equal:,} of {self.messages:,} messages agree with the best quotes")
        if not self.messages:
            raise DataError(f"{self.path}: no message has an id among those of the best quotes; nothing was compared")

    def _until(self, final: int) -> Quoted | None:
        """The quotes that may be asked for, read on to the first beyond an id."""
        while not self._done and (self._held is None or self._held.update_id[-1] <= final):
            more = next(self.quotes, None)
            if more is None:
                self._done = True
            else:
                self._held = more if self._held is None else joined([self._held, more])
        held: Quoted | None = self._held
        if held is not None:
            # Ids of a feed only grow: what comes before the last quote up to this chunk's first is not asked for again.
            first = int(np.searchsorted(held.update_id, self._asked, side="right")) - 1
            self._held = held = held.take(slice(max(first, 0), None))
            self._asked = final
        return held


def _feed(files: BookFiles, corrections: Mapping[str, Any] | None, now: int | None) -> Feed:
    return Feed(
        files.chunks(),
        files.grid,
        symbol=files.symbol,
        corrections=Corrections.parse(corrections),
        strict=False,
        now=now,
    )
