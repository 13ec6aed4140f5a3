"""Rows of a book feed as arrays: a level and what it now holds, in messages, with the ids that chain them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from wfbt.data.arrays import F8, I1, I8

Mask = npt.NDArray[np.bool_]
NO_ID = -1
LONGEST = 1 << 22
"""Rows of a message: a thousand times the deepest book, so what is longer was not marked."""
R = TypeVar("R", bound="Stamped")
J = TypeVar("J")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stamped:
    """What every row of a book feed has, whichever unit its price is in.

    Attributes
    ----------
    row : (N,) int64
        Where each row stands in the files as they are read; rows that a reader adds carry that of the row that made
        it add them.
    exch_ts, recv_ts : (N,) int64
        ns UTC: when the venue says it happened, when it was received here.
    side : (N,) int8
        1 bid, −1 ask.
    snapshot : (N,) bool
        The row belongs to a message that replaces the whole book.
    last : (N,) bool
        The message ends with this row: only then does the book stand as the venue meant it.
    first_id, final_id, prev_id : (N,) int64
        Of the message: the first and the last update in it, and the last of the message before; NO_ID where the venue
        gives none.
    """

    row: I8
    exch_ts: I8
    recv_ts: I8
    side: I1
    snapshot: Mask
    last: Mask
    first_id: I8
    final_id: I8
    prev_id: I8

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: Any) -> Self:
        """The rows of a mask, of indices or of a slice."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quotes(Stamped):
    """Rows as the venue quotes them: `price` and `qty` (N,) float64, a qty of 0 deletes the level."""

    price: F8
    qty: F8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels(Stamped):
    """Rows on the grid of the contract: `tick` and `lots` (N,) int64, 0 lots delete the level."""

    tick: I8
    lots: I8


def joined(parts: Sequence[J]) -> J:
    """Parts, dataclasses of arrays, one after the other as one."""
    if len(parts) == 1:
        return parts[0]
    kind: Any = type(parts[0])
    made: J = kind(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(kind)})
    return made


def whole_messages(chunks: Iterable[R]) -> Iterator[R]:
    """The same rows, cut only where a message ends.

    What comes after the last end, and what goes on for more than LONGEST rows, comes as a chunk without an end.
    """
    held: list[R] = []
    for chunk in chunks:
        ends = np.flatnonzero(chunk.last)
        if not ends.size:
            held.append(chunk)
            if sum(map(len, held)) > LONGEST:
                yield joined(held)
                held = []
            continue
        cut = int(ends[-1]) + 1
        yield joined([*held, chunk.take(slice(0, cut))])
        held = [chunk.take(slice(cut, None))] if cut < len(chunk) else []
    if held:
        yield joined(held)


def ended(before: R, after: R) -> R:
    """`before` with its end marked only if `after` does not go on with its last message.

    For feeds that mark no ends: a message is rows of one time, and a snapshot goes on to its last row.
    """
    before.last[-1] = not follows(before, after)
    return before


def follows(before: Stamped, after: Stamped) -> bool:
    """Whether a row goes on with the message of the last row before it."""
    if before.snapshot[-1] != after.snapshot[0]:
        return False
    return bool(before.snapshot[-1] or before.recv_ts[-1] == after.recv_ts[0])


def last_of(recv_ts: I8, snapshot: Mask) -> Mask:
    """(N,) bool: where a message ends, by the same rule; the last row is taken to."""
    apart = (snapshot[1:] != snapshot[:-1]) | (~snapshot[1:] & (recv_ts[1:] != recv_ts[:-1]))
    out: Mask = np.append(apart, True)
    return out


def starts(rows: Stamped) -> I8:
    """(M,) int64: where each message begins, in rows that begin with one."""
    if not len(rows):
        return np.empty(0, np.int64)
    begins: I8 = np.flatnonzero(np.r_[True, rows.last[:-1]])
    return begins
