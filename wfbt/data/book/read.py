"""Events for a replay, from the files of a book and of its trades, chunk by chunk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import chain
from typing import Any

import numpy as np

from wfbt.data.book.corrections import Corrections
from wfbt.data.book.events import BookEvents, Prints, merged
from wfbt.data.book.findings import Log
from wfbt.data.book.parquet import open_book
from wfbt.data.book.rows import Levels
from wfbt.data.book.stream import Feed
from wfbt.data.book.tape import Tape, on_grid, read_trades
from wfbt.data.findings import Finding
from wfbt.errors import DataError


class EventReader:
    """Events of one symbol, read once from the beginning.

    Iterating gives BookEvents in order of receipt, whose memory does not grow with the length of the span.  `findings`
    and `notes` are complete when the iteration has ended; notes say what was corrected, accepted or assumed and belong
    into the manifest.

    Attributes
    ----------
    symbol : str
    grid : Grid
        tick_size and lot_size of the events.
    """

    def __init__(
        self,
        book: str,
        trades: str | None = None,
        *,
        symbol: str = "",
        tick_size: float | None = None,
        lot_size: float | None = None,
        start: int | None = None,
        end: int | None = None,
        corrections: Mapping[str, Any] | Corrections | None = None,
        now: int | None = None,
    ) -> None:
        """Open the files; nothing but what the grid needs is read yet.

        `tick_size` and `lot_size` are those of the contract; where the files do not say them and they are not given
        they are learned, with a note.  `start` and `end` are ns UTC of receipt: reading begins with the file that
        holds `start`, so that the book is known there, and ends before `end`; events before `start` build the book.
        """
        asked = corrections if isinstance(corrections, Corrections) else Corrections.parse(corrections)
        self._files = open_book(book, symbol, tick_size=tick_size, lot_size=lot_size)
        told = self._files.told.get("corrections")
        accepted = told.get("accept", []) if isinstance(told, dict) else []
        self._corrections = replace(asked, accept=tuple(dict.fromkeys([*asked.accept, *accepted])))
        self._trades = trades
        self.symbol, self.grid = symbol, self._files.grid
        self._start, self._end = start, end
        self._now = time.time_ns() if now is None else now
        self._logs: list[Log] = []

    def __iter__(self) -> Iterator[BookEvents]:
        # The clock that decides what is before `end` is the corrected one.
        end = None if self._end is None else self._end - self._corrections.clock_offset
        feed = Feed(
            self._files.chunks(self._start, end),
            self.grid,
            symbol=self.symbol,
            corrections=self._corrections,
            now=self._now,
        )
        log = Log(self.symbol)
        self._logs = [feed.log, log]
        if self._files.learned:
            feed.log.notes.append(
                f"{self.symbol}: tick {self.grid.tick_size:g} and lot {self.grid.lot_size:g} are what prices and "
                "quantities lie on; the contract's may be coarser: set contract.tick and contract.lot"
            )
        book = self._rows(feed)
        first = next(book, None)
        if first is None:
            return
        # Where reading begins with a later file, so do the trades: at the book that opens it.
        since = None if self._start is None else int(first.recv_ts[0]) - self._corrections.clock_offset
        prints = self._prints(log, since, end)
        yield from merged(chain([first], book), prints, self.grid.tick_size, self.grid.lot_size)

    @property
    def findings(self) -> list[Finding]:
        """What was found in the book and in the trades."""
        return [finding for log in self._logs for finding in log.findings()]

    @property
    def notes(self) -> list[str]:
        """What was corrected, accepted or assumed."""
        accepted = [
            f"{self.symbol}: accepted {rule}: {count:,} rows or messages"
            for rule in self._corrections.accept
            if (count := sum(log.count(rule) for log in self._logs))
        ]
        return [*(note for log in self._logs for note in log.notes), *accepted]

    @staticmethod
    def _rows(feed: Feed) -> Iterator[Levels]:
        for part in feed.run():
            if len(part.rows):
                yield part.rows

    def _prints(self, log: Log, start: int | None, end: int | None) -> Iterator[Prints]:
        if self._trades is None:
            log.notes.append(f"{self.symbol}: no trades are given: queues move by changes of the book alone")
            return
        tape = Tape(log, self._corrections, self._now, self.grid)
        unknown = True
        for rows in read_trades(self._trades, self.symbol, start, end):
            if len(rows):
                unknown = unknown and bool((rows.recv_ts == rows.exch_ts).all())
            rows = tape.trades(rows)
            tape.finish()
            if (found := log.first_error(self._corrections.accept)) is not None:
                raise DataError(f"{found}; see: wfbt data check {self._trades}")
            yield on_grid(rows, self.grid)
        if unknown:
            log.notes.append(f"{self.symbol}: trades have no time of receipt of their own: they are known when made")


def read_events(book: str, trades: str | None = None, **settings: Any) -> BookEvents:
    """All events of EventReader's settings as one: for spans that fit into memory."""
    reader = EventReader(book, trades, **settings)
    parts = list(reader)
    names = [f.name for f in fields(BookEvents) if f.name not in ("tick_size", "lot_size")]
    if not parts:
        raise DataError(f"{book}: no events in the span asked for; see: wfbt data info {book}")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return BookEvents(**joined, tick_size=reader.grid.tick_size, lot_size=reader.grid.lot_size)
