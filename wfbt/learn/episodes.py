"""Where episodes begin and end, in decision bars, and which lane plays which of them.

An episode [first, last) of decision bars is decided at the closes of first … last − 2; the last close only shows what
became of it.  It lies within one block of training rows, so it never crosses rows that were left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY, HOUR
from wfbt.errors import ConfigError
from wfbt.learn.stage import Stage

I8 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Episodes:
    """Episodes to be played.

    Attributes
    ----------
    first, last : (E,) int64
        Decision bars [first, last) of each, two or more.
    drawn : bool
        Each lane draws its episodes with replacement; otherwise lane i of N plays i, i + N, i + 2·N … in a circle.
    """

    first: I8
    last: I8
    drawn: bool = True

    def __post_init__(self) -> None:
        if not len(self.first):
            raise ConfigError("no episode fits into the training rows; give more rows, or shorter episodes")
        if (self.last - self.first < 2).any() or (self.first < 0).any():
            raise ConfigError("an episode must have 2 decision bars or more")
        for one in (self.first, self.last):
            one.flags.writeable = False

    def __len__(self) -> int:
        return len(self.first)


class Draws:
    """Which episode each of N lanes plays next; lane i's do not depend on what the other lanes do."""

    def __init__(self, episodes: Episodes, seed: int, lanes: int) -> None:
        self.episodes, self.seed = episodes, seed
        self.played = np.zeros(lanes, np.int64)
        self._rounds: dict[int, I8] = {}

    def next(self, lanes: I8) -> I8:
        """Numbers of the next episodes of `lanes`."""
        rounds = self.played[lanes]
        self.played[lanes] += 1
        if not self.episodes.drawn:
            return (lanes + rounds * len(self.played)) % len(self.episodes)
        return np.array([self._round(int(k))[i] for i, k in zip(lanes, rounds, strict=True)], np.int64)

    def _round(self, number: int) -> I8:
        """(N,) every lane's episode of a round."""
        if number not in self._rounds:
            for done in [k for k in self._rounds if k < self.played.min() - 1]:
                del self._rounds[done]
            rng = np.random.default_rng(np.random.SeedSequence([self.seed, number]))
            self._rounds[number] = rng.integers(0, len(self.episodes), len(self.played))
        return self._rounds[number]


def daily(stage: Stage, rows: tuple[slice, ...], *, drawn: bool = True) -> Episodes:
    """UTC days, midnight close to midnight close; the parts of days at the ends of the rows too."""
    return sessions(stage, rows, 0.0, 24.0, drawn=drawn)


def sessions(stage: Stage, rows: tuple[slice, ...], begin: float, end: float, *, drawn: bool = True) -> Episodes:
    """Closes from `begin` to `end`, hours UTC, of every day; over midnight where `end` is not later than `begin`."""
    if not (0.0 <= begin < 24.0 and 0.0 < end <= 24.0):
        raise ConfigError(f"a session must begin in 0..24 and end in 0..24 hours UTC, was {begin:g} to {end:g}")
    start, span = round(begin * HOUR), round((end - begin if end > begin else end - begin + 24.0) * HOUR)
    close = stage.deck.close_ts
    days = np.arange((close[0] - start) // DAY - 1, (close[-1] - start) // DAY + 1)
    opens = days * DAY + start
    first = np.searchsorted(close, opens, side="left")
    last = np.searchsorted(close, opens + span, side="right")
    return _within(stage, rows, first, last, drawn)


def tiles(stage: Stage, rows: tuple[slice, ...], length: int, *, drawn: bool = True) -> Episodes:
    """One after another, of `length` decisions; the last of each block may be shorter.

    The close that ends one is the close at which the next decides first.
    """
    _check_length(length)
    first = np.concatenate([np.arange(block.start, block.stop, length) for block in rows])
    return _within(stage, rows, first, first + length + 1, drawn)


def random_starts(stage: Stage, rows: tuple[slice, ...], length: int) -> Episodes:
    """Of `length` decisions, from any row that has as many after it in its block and whose features are known."""
    _check_length(length)
    known = np.asarray(stage.known.all(axis=1))
    starts = [np.arange(block.start, _stop(stage, block) - length) for block in rows]
    first = np.concatenate([own[known[own]] for own in starts]) if starts else np.zeros(0, np.int64)
    return Episodes(first=first, last=first + length + 1)


def hold_out(rows: tuple[slice, ...], share: float, embargo: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Training rows without their end, and that end: the last `share` of the rows.

    No row that is left to train on is within `embargo` rows before the first one held out.
    """
    total = sum(block.stop - block.start for block in rows)
    wanted = round(share * total)
    if not 0.0 < share < 1.0 or embargo < 0:
        raise ConfigError(f"a validation part must be a share in 0..1, with an embargo >= 0; was {share} and {embargo}")
    held: list[slice] = []
    for block in reversed(rows):
        if wanted <= 0:
            break
        begin = max(block.start, block.stop - wanted)
        wanted -= block.stop - begin
        held.insert(0, slice(begin, block.stop))
    until = held[0].start - embargo if held else 0
    kept = tuple(slice(block.start, min(block.stop, until)) for block in rows if block.start < until)
    if not held or not kept:
        raise ConfigError(
            f"{total} training rows cannot be split into a validation part of {share:g} and {embargo} rows of embargo"
        )
    return kept, tuple(held)


def _within(stage: Stage, rows: tuple[slice, ...], first: I8, last: I8, drawn: bool) -> Episodes:
    """What of each [first, last) lies in each block, begun at the first row whose features are all known."""
    known = np.flatnonzero(stage.known.all(axis=1))
    begins, ends = [], []
    for block in rows:
        begin = np.maximum(first, block.start)
        place = np.searchsorted(known, begin)
        begin = np.append(known, len(stage.known))[place]
        end = np.minimum(last, _stop(stage, block))
        chosen = (end - begin >= 2) & (first < block.stop) & (last > block.start)
        begins.append(begin[chosen])
        ends.append(end[chosen])
    return Episodes(
        first=np.concatenate(begins) if begins else np.zeros(0, np.int64),
        last=np.concatenate(ends) if ends else np.zeros(0, np.int64),
        drawn=drawn,
    )


def _stop(stage: Stage, block: slice) -> int:
    """Where a block ends for episodes: an account that waits at a close needs one more bar in the market."""
    rows = len(stage.deck.decisions)
    if not 0 <= block.start < block.stop <= rows:
        raise ConfigError(f"training rows {block.start} … {block.stop} are not within the market's 0 … {rows}")
    return int(min(block.stop, rows - 1))


def _check_length(length: int) -> None:
    if length < 1:
        raise ConfigError(f"an episode must have 1 decision or more, was {length}")
