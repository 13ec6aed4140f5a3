"""What a person decided to change in a book feed.  Nothing else is ever changed, and each change leaves a note."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from wfbt.config.values import Duration
from wfbt.data.arrays import I1, I8
from wfbt.data.book.findings import RULES, Log
from wfbt.data.book.rows import Levels, Mask, joined
from wfbt.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """Changes asked for.

    Attributes
    ----------
    clock_offset : int
        ns added to the time of receipt, of rows and trades alike: mends a clock that runs behind the venue's.
    hold_clock : bool
        A time of receipt before the last one is lifted to it.
    swap_sides : bool
        Bids are asks and asks are bids.
    drop_outliers : float or None
        Levels beyond so many times the mid, or its inverse, are left out; > 1.
    drop_crossed : bool
        Levels that a later message crosses or locks and did not touch are deleted behind it.
    accept : tuple of str
        Rules whose findings are errors, and taken as they are.
    """

    clock_offset: int = 0
    hold_clock: bool = False
    swap_sides: bool = False
    drop_outliers: float | None = None
    drop_crossed: bool = False
    accept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.drop_outliers is not None and not (1 < self.drop_outliers < np.inf):
            raise ConfigError(f"corrections.drop_outliers must be > 1, was {self.drop_outliers}: it is a multiple")
        for rule in self.accept:
            if rule not in RULES:
                raise ConfigError(
                    f"corrections.accept: {rule!r} is no rule{_near(rule, RULES)}; valid are {', '.join(RULES)}"
                )

    @classmethod
    def parse(cls, given: Mapping[str, Any] | None) -> Self:
        """Corrections as a strategy file writes them, durations with their unit."""
        given, valid = dict(given or {}), tuple(f.name for f in fields(cls))
        for key in given:
            if key not in valid:
                raise ConfigError(
                    f"corrections: unknown key {key!r}{_near(str(key), valid)}; valid are {', '.join(valid)}"
                )
        for key in ("hold_clock", "swap_sides", "drop_crossed"):
            if not isinstance(given.get(key, False), bool):
                raise ConfigError(f"corrections.{key} must be true or false, was {given[key]!r}")
        if "clock_offset" in given:
            given["clock_offset"] = _signed(given["clock_offset"])
        if (factor := given.get("drop_outliers")) is not None and (
            isinstance(factor, bool) or not isinstance(factor, (int, float))
        ):
            raise ConfigError(f"corrections.drop_outliers must be a number > 1, was {factor!r}")
        accept = given.get("accept", ())
        if isinstance(accept, str) or not all(isinstance(rule, str) for rule in accept):
            raise ConfigError(f"corrections.accept must be a list of rules, was {accept!r}")
        return cls(**given | {"accept": tuple(accept)})

    def told(self) -> dict[str, Any]:
        """What differs from no correction, as `parse` reads it."""
        out = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        if "clock_offset" in out:
            sign, size = ("-" if self.clock_offset < 0 else ""), abs(self.clock_offset)
            out["clock_offset"] = f"{sign}{Duration(size)}"
        if "accept" in out:
            out["accept"] = list(self.accept)
        return out


class Clock:
    """Corrects sides and times of receipt, chunk by chunk."""

    def __init__(self, corrections: Corrections, log: Log) -> None:
        self._corrections, self._log = corrections, log
        self._latest = np.iinfo(np.int64).min
        self._held = 0

    def correct(self, rows: Levels) -> Levels:
        """The rows with the corrections that need no book."""
        asked = self._corrections
        if asked.clock_offset:
            rows = replace(rows, recv_ts=rows.recv_ts + asked.clock_offset)
        if asked.hold_clock and len(rows):
            held: I8 = np.maximum.accumulate(np.maximum(rows.recv_ts, self._latest))
            self._held += int(np.count_nonzero(held != rows.recv_ts))
            self._latest = int(held[-1])
            rows = replace(rows, recv_ts=held)
        if asked.swap_sides:
            rows = replace(rows, side=-rows.side)
        return rows

    def finish(self) -> None:
        """Say what was done."""
        told = self._corrections.told()
        if "clock_offset" in told:
            self._log.notes.append(f"{self._log.symbol}: {told['clock_offset']} added to the time of receipt")
        if self._held:
            self._log.notes.append(f"{self._log.symbol}: {self._held:,} times of receipt lifted to the one before them")
        if self._corrections.swap_sides:
            self._log.notes.append(f"{self._log.symbol}: bids and asks swapped")


def with_deletions(rows: Levels, far: Mask, at: I8, side: I1, tick: I8) -> Levels:
    """The rows that are not `far`, and behind the message that ends at each of `at` the deletion of a level."""
    extra = rows.take(at)
    gone = np.zeros(len(at), np.bool_)
    both = joined([rows, replace(extra, side=side, tick=tick, lots=np.zeros(len(at), np.int64), snapshot=gone)])
    place = np.concatenate([np.arange(len(rows)), at])
    order = np.argsort(place, kind="stable")
    both, place = both.take(order), place[order]
    # A message ends with the last of its deletions.
    both = replace(both, last=both.last & np.append(place[1:] != place[:-1], True))
    return kept(both, ~np.concatenate([far, gone])[order])


def kept(rows: Levels, sound: Mask) -> Levels:
    """The sound rows; a message whose last row goes ends with the one before it."""
    if sound.all():
        return rows
    message: I8 = np.cumsum(rows.last) - rows.last
    left, whose = rows.take(sound), message[sound]
    ended = np.zeros(int(message[-1]) + 1, np.bool_)
    ended[message[rows.last]] = True
    return replace(left, last=np.append(whose[1:] != whose[:-1], True)[: len(left)] & ended[whose])


def _signed(value: Any) -> int:
    text = value.strip() if isinstance(value, str) else value
    negative = isinstance(text, str) and text.startswith("-")
    try:
        size = int(Duration.parse(text[1:] if negative else text))
    except ValueError as error:
        raise ConfigError(f"corrections.clock_offset {error}, was {value!r}") from error
    return -size if negative else size


def _near(word: str, valid: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, valid, n=1)
    return f", did you mean {near[0]!r}" if near else ""
