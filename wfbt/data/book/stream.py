"""From the rows of a feed to a book: on the grid, corrected as asked, synchronised, judged, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from wfbt.data.book.corrections import Clock, Corrections, with_deletions
from wfbt.data.book.findings import Log
from wfbt.data.book.grid import Grid
from wfbt.data.book.judge import FAR, Clocks, Rows, Tops
from wfbt.data.book.ladder import Best, Book
from wfbt.data.book.rows import Levels, Quotes, starts, whole_messages
from wfbt.data.book.sync import Synchroniser
from wfbt.data.market import DAY
from wfbt.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rebuilt:
    """A stretch of whole messages.

    Attributes
    ----------
    rows : Levels
        As corrected.
    ends : Levels
        The last row of each message as it came: (M,), with its times and ids.
    best : Best
        The best of both sides after each message, `at` and `far` by the rows as they came.
    """

    rows: Levels
    ends: Levels
    best: Best


class Feed:
    """One pass over the rows of one book.

    Attributes
    ----------
    log : Log
        Findings and notes, complete when `run` has come to its end.
    book : Book
        The levels after the rows that came out so far.
    """

    def __init__(
        self,
        chunks: Iterable[Quotes | Levels],
        grid: Grid,
        *,
        symbol: str = "",
        corrections: Corrections | None = None,
        strict: bool = True,
        now: int | None = None,
        advice: str = "see: wfbt data check",
    ) -> None:
        """`strict`: the first error that was not accepted is raised as DataError; else it is a finding among others.

        `now` is ns UTC: later stamps are errors; the clock by default.  `advice` ends the message of an error.
        """
        self.log = Log(symbol)
        self.grid = grid
        self._chunks = chunks
        self._corrections = corrections or Corrections()
        self._strict = strict
        self._advice = advice
        self._now = time.time_ns() if now is None else now
        self._factor = self._corrections.drop_outliers or FAR
        self._clocks = Clocks(self.log, self._now)
        skip = self._corrections.drop_outliers is not None
        self.book = Book(factor=self._factor, skip=skip, uncross=self._corrections.drop_crossed)

    def run(self) -> Iterator[Rebuilt]:
        """The book's rows and bests, chunk by chunk.

        Raises DataError at the first error that was not accepted, if strict.
        """
        tops = Tops(self.log)
        dropped = uncrossed = 0
        synchronised = Synchroniser(self.log).run(self._prepared())
        for rows in _by_day(synchronised):
            best = self.book.apply(rows)
            tops.look(rows, best)
            ends = rows.take(best.at)
            far = best.far if self._corrections.drop_outliers is not None else np.zeros(len(rows), np.bool_)
            if far.any() or len(best.gone_at):
                dropped, uncrossed = dropped + int(np.count_nonzero(far)), uncrossed + len(best.gone_at)
                rows = with_deletions(rows, far, best.gone_at, best.gone_side, best.gone_tick)
            self._raise()
            yield Rebuilt(rows=rows, ends=ends, best=best)
        tops.finish(self._factor)
        if dropped:
            self.log.notes.append(
                f"{self.log.symbol}: dropped {dropped:,} levels beyond {self._factor:g} times the mid"
            )
        if uncrossed:
            self.log.notes.append(f"{self.log.symbol}: deleted {uncrossed:,} stale levels that a later message crossed")
        self._raise()

    def _prepared(self) -> Iterator[Levels]:
        """Whole messages on the grid, with the corrections that need no book."""
        judge, clock, clocks = Rows(self.grid, self.log), Clock(self._corrections, self.log), self._clocks
        for chunk in whole_messages(self._chunks):
            if not chunk.last[-1]:
                ends = np.flatnonzero(chunk.last)
                cut = int(ends[-1]) + 1 if ends.size else 0
                self.log.add(
                    "truncated",
                    chunk.row[cut],
                    chunk.recv_ts[cut],
                    len(chunk) - cut,
                    f"the file ends inside a message: its last {len(chunk) - cut:,} rows are not used",
                )
                chunk = chunk.take(slice(0, cut))
            if not len(chunk):
                continue
            rows = clock.correct(judge.on_grid(chunk))
            clocks.look(rows)
            if self._strict:
                clocks.tell_negative()
            if len(rows):
                yield rows
        clocks.finish()
        clock.finish()

    def _raise(self) -> None:
        if self._strict and (found := self.log.first_error(self._corrections.accept)) is not None:
            raise DataError(f"{found}; {self._advice}")


def _by_day(chunks: Iterable[Levels]) -> Iterator[Levels]:
    """The same rows, cut also where a UTC day of receipt ends: who writes a file a day needs the book between them."""
    for rows in chunks:
        begins = starts(rows)
        day = rows.recv_ts[begins] // DAY
        cuts = begins[np.flatnonzero(day[1:] != day[:-1]) + 1]
        for begin, end in pairwise([0, *cuts.tolist(), len(rows)]):
            yield rows.take(slice(begin, end))
