"""A REST snapshot and the differences around it, joined into one book that is known from the snapshot on.

The rules are those that Binance publishes for spot ("How to manage a local order book correctly": an event's first
update follows the last one of the event before) and for USD-M and COIN-M futures (its `pu` is the `u` of the event
before).  Feeds that send their own snapshot (Bybit) count messages instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from wfbt.data.arrays import I8
from wfbt.data.book.findings import Log
from wfbt.data.book.rows import NO_ID, Levels, joined, starts
from wfbt.data.store import stamp

MOST_HELD = 1 << 20
"""Rows of differences that are kept while a snapshot is awaited."""


class Synchroniser:
    """Joins snapshots and differences of one feed, message by message.

    Differences that come before the first snapshot are held back, MOST_HELD rows at most.  When it comes, those it
    contains are dropped and the others follow it, stamped with its time of receipt: before then the book was not known
    here.  A feed without ids, or one that sends no snapshot, passes as it is.  A snapshot that is older than a book
    that is in sequence adds nothing and is left out; after a break it mends the book.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._held: list[Levels] = []
        self._known = False
        self._broken = False
        self._began = False
        self._final = NO_ID
        self._bridge = NO_ID  # the snapshot that the next difference has to reach back to

    def run(self, chunks: Iterable[Levels]) -> Iterator[Levels]:
        """Chunks of whole messages in, chunks of whole messages out."""
        for chunk in chunks:
            if len(chunk) and (parts := list(self._apply(chunk))):
                yield joined(parts)
        if self._held and not self._known:
            self._cold(self._held[0], "no snapshot ever comes: levels appear only as they change")
            yield from self._pass(joined(self._held))

    def _apply(self, chunk: Levels) -> Iterator[Levels]:
        if not self._began:
            self._began = True
            if chunk.final_id[0] == NO_ID:
                self._known = True
                if not chunk.snapshot[0]:
                    self._cold(chunk, "it begins without a snapshot: levels appear only as they change")
        begins = starts(chunk)
        turned = np.flatnonzero(np.diff(chunk.snapshot[begins].astype(np.int8))) + 1
        # Each snapshot is a part of its own, each stretch of differences another.
        snapshots = np.flatnonzero(chunk.snapshot[begins])
        cuts = np.unique(np.concatenate([[0], turned, snapshots, [len(begins)]]))
        ends = np.append(begins, len(chunk))
        for start, end in pairwise(cuts.tolist()):
            part = chunk.take(slice(int(ends[start]), int(ends[end])))
            yield from self._snapshot(part) if part.snapshot[0] else self._differences(part)

    def _snapshot(self, part: Levels) -> Iterator[Levels]:
        final = int(part.final_id[0])
        chained = part.first_id[0] != NO_ID or part.prev_id[0] != NO_ID
        if final == NO_ID or not self._chained(part, chained):
            if self._held and not self._known:
                self._cold(self._held[0], "the messages before the first snapshot are not used")
            self._known, self._broken, self._held = True, False, []
            self._final, self._bridge = final, NO_ID
            yield part
            return
        if self._known and not self._broken and self._final != NO_ID and final <= self._final:
            self._log.add(
                "stale_snapshot",
                part.row[0],
                part.recv_ts[0],
                len(part),
                f"a snapshot of update {final} comes when the book stands at {self._final}; it is left out",
            )
            return
        held = joined(self._held) if self._held else None
        self._held, self._final, self._bridge = [], final, final
        waited = not self._known
        self._known, self._broken = True, False
        yield part
        if held is None:
            return
        after = held.take(held.final_id > final if held.prev_id[0] == NO_ID else held.final_id >= final)
        if waited:
            span = (int(part.recv_ts[0]) - int(held.recv_ts[0])) / 1e9
            messages = int(np.count_nonzero(held.last))
            self._log.add(
                "cold_start",
                held.row[0],
                held.recv_ts[0],
                messages,
                f"{messages:,} messages in {span:.3f} s come before the snapshot; the book is known from it on, "
                f"and {int(np.count_nonzero(after.last)):,} of them follow it",
            )
        if len(after):
            yield from self._differences(replace(after, recv_ts=np.full(len(after), part.recv_ts[0])))

    def _chained(self, part: Levels, chained: bool) -> bool:
        """Whether the feed's differences carry ranges of updates, so that a snapshot can stand among them."""
        return bool(chained) or (bool(self._held) and self._held[0].first_id[0] != NO_ID)

    def _differences(self, part: Levels) -> Iterator[Levels]:
        if self._known:
            yield from self._pass(part)
            return
        self._hold(part)
        if sum(len(one) for one in self._held) > MOST_HELD:
            held, self._held = joined(self._held), []
            self._cold(held, f"no snapshot comes among the first {len(held):,} rows: levels appear only as they change")
            yield from self._pass(held)

    def _pass(self, part: Levels) -> Iterator[Levels]:
        if part.final_id[0] == NO_ID:
            yield part
            return
        if self._bridge != NO_ID:
            futures = part.prev_id[0] != NO_ID
            kept = part.final_id >= self._bridge if futures else part.final_id > self._bridge
            if not kept.all():
                part = part.take(kept)
                if not len(part):
                    return
        begins = starts(part)
        first, final, prev = part.first_id[begins], part.final_id[begins], part.prev_id[begins]
        before = np.concatenate([[self._final], final[:-1]])
        if prev[0] != NO_ID:
            broken = prev != before
        elif first[0] != NO_ID:
            broken = first != before + 1
        else:
            broken = final != before + 1
        if before[0] == NO_ID:
            broken[0] = False
        if self._bridge != NO_ID:
            # The first after a snapshot may begin before it, as long as it does not begin after it.
            begins_at = prev[0] if prev[0] != NO_ID else (first[0] if first[0] != NO_ID else final[0]) - 1
            broken[0] = begins_at > self._bridge
            self._bridge = NO_ID
        for at in np.flatnonzero(broken).tolist():
            self._break(part, begins, at, first, prev, before)
        self._final = int(final[-1])
        if self._broken:
            self._hold(part)
        yield part

    def _break(self, part: Levels, begins: I8, at: int, first: I8, prev: I8, before: I8) -> None:
        row = int(begins[at])
        since = stamp(part.recv_ts[begins[at] - 1]) if at else "the message before"
        follows = f"follows update {prev[at]}" if prev[at] != NO_ID else f"begins with update {first[at]}"
        if prev[at] == NO_ID and first[at] == NO_ID:
            follows = f"is update {part.final_id[row]}"
        self._log.add(
            "sequence",
            part.row[row],
            part.recv_ts[row],
            1,
            f"the message {follows}, but the one before ends with {before[at]}: what came between ({since}) is lost, "
            "and the book is wrong until the next snapshot",
        )
        self._broken, self._held = True, []

    def _hold(self, part: Levels) -> None:
        self._held.append(part)
        while self._broken and len(self._held) > 1 and sum(len(one) for one in self._held) > MOST_HELD:
            self._held.pop(0)

    def _cold(self, part: Levels, why: str) -> None:
        self._known = True
        self._log.add("cold_start", part.row[0], part.recv_ts[0], 1, why)
