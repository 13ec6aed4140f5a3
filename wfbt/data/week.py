"""When a market habitually trades: the weekly pattern that a series promises by its own stamps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from wfbt.data.market import DAY, HOUR, I8, MINUTE

WEEK = 7 * DAY
MONDAY = 3 * DAY  # the epoch was a Thursday: ts + MONDAY counts from a Monday

# A slot of the week counts as open when a bar opens in it in a tenth of the weeks.  So low a bar keeps a file that has
# lost most of its minutes from declaring the loss normal; a market that is closed has none at all.
HABIT = 0.1
# Markets close for half an hour or longer; shorter holes are lost bars.
SHORTEST_CLOSE = 30 * MINUTE
# And not more often than three times a trading day: a file with a hole in every hour has lost bars in every hour.
MOST_CLOSES = 15
# Fewer weeks than these are folded by day instead: one look at a slot shows no habit.
SHORT = 14 * DAY


@cache
def _summer(rule: str) -> I8:
    """UTC ns at which summer time begins (even places) and ends (odd ones), 1970 to 2099."""
    years = np.arange(1970, 2100)

    def sunday(month: int, nth: int) -> I8:
        """Day numbers of the nth Sunday of a month; 0 is the last one of the month before."""
        first = np.array([f"{year}-{month:02d}-01" for year in years], dtype="datetime64[D]").astype(np.int64)
        return first + (3 - first) % 7 + 7 * (nth - 1)

    if rule == "US":
        start = np.where(years < 2007, sunday(4, 1), sunday(3, 2)) * DAY + 7 * HOUR
        end = np.where(years < 2007, sunday(11, 0), sunday(11, 1)) * DAY + 6 * HOUR
    else:
        start, end = sunday(4, 0) * DAY + HOUR, sunday(11, 0) * DAY + HOUR
    return np.column_stack([start, end]).ravel()


def _wall(ts: I8, clock: str) -> I8:
    """`ts` on a clock that is an hour ahead in summer, as the hours of markets are fixed on theirs."""
    if clock == "UTC":
        return ts
    return ts + HOUR * (np.searchsorted(_summer(clock), ts, side="right") % 2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pattern:
    """Slots of the week in which a series habitually has bars.

    Attributes
    ----------
    period, slot : int
        ns; a slot is as long as a bar, but a minute at least.
    clock : str
        UTC, or the summer-time rule (US, EU) that the market's hours follow.
    before : (S + 1,) int64
        Open slots before each slot of the week.
    """

    period: int
    slot: int
    clock: str
    before: I8

    def _promised(self, slots: I8) -> I8:
        """Open slots before each absolute slot number, up to a constant."""
        weeks, place = np.divmod(slots, len(self.before) - 1)
        promised: I8 = weeks * self.before[-1] + self.before[place]
        return promised

    def expected(self, ts: I8) -> int:
        """How many bars the pattern promises from the first stamp to the last, both included."""
        wall = _wall(ts[[0, -1]], self.clock)
        first, last = self._promised(wall // self.slot + np.array([0, 1]))
        before, after = wall % self.slot // self.period
        bars = self.slot // self.period
        return max(int((last - first) * bars - before - (bars - 1 - after)), 0)

    def present(self, ts: I8) -> int:
        """How many of the stamps lie in open slots."""
        place = _wall(ts, self.clock) // self.slot % (len(self.before) - 1)
        return int(np.count_nonzero(np.diff(self.before)[place]))

    def absent(self, left: I8, right: I8) -> I8:
        """Promised bars strictly between each pair of neighbouring stamps."""
        first, last = (_wall(ts, self.clock) // self.slot for ts in (left, right))
        inside = (self._promised(last) - self._promised(np.minimum(first + 1, last))) * (self.slot // self.period)
        if self.slot == self.period:
            return inside
        return np.where(last - first <= 1, (right - left) // self.period - 1, inside)


def learn(ts: I8, period: int) -> Pattern:
    """The weekly pattern of strictly increasing stamps, on whichever clock leaves the fewest bars missing."""
    slot = max(period, MINUTE)
    if WEEK % slot or slot % period:
        return Pattern(period=period, slot=period, clock="UTC", before=np.array([0, 1]))
    best = _fold(ts, period, slot, "UTC")
    if best.expected(ts) == best.present(ts):
        return best
    for clock in ("US", "EU"):
        other = _fold(ts, period, slot, clock)
        closes = other.before[-1] < len(other.before) - 1
        if closes and _share_missing(other, ts) < _share_missing(best, ts):
            best = other
    return best


def _share_missing(pattern: Pattern, ts: I8) -> float:
    expected = pattern.expected(ts)
    return 1 - pattern.present(ts) / expected if expected else 0.0


def _fold(ts: I8, period: int, slot: int, clock: str) -> Pattern:
    length = WEEK // slot
    slots = _wall(ts, clock) // slot
    slots = slots[np.r_[True, np.diff(slots) > 0]]
    seen = np.bincount(slots % length, minlength=length)
    total = int(slots[-1] - slots[0]) + 1
    possible = np.full(length, total // length)
    possible[(slots[0] + np.arange(total % length)) % length] += 1
    if ts[-1] - ts[0] < SHORT and slot <= DAY:
        seen, possible = _by_day(seen, slot), _by_day(possible, slot)
    # What could be seen once only shows no habit and counts as open.
    is_open = (seen >= HABIT * possible) & (seen > 0) | (possible < 2)
    is_open = _without_odd_closes(is_open, slot)
    return Pattern(period=period, slot=slot, clock=clock, before=np.r_[0, np.cumsum(is_open)])


def _by_day(counts: I8, slot: int) -> I8:
    """Counts per slot of the week, summed over the weekdays and over the weekend."""
    days = counts.reshape(7, DAY // slot)
    weekend = np.isin((np.arange(7) + MONDAY // DAY) % 7, (5, 6))
    folded: I8 = np.where(weekend[:, None], days[weekend].sum(axis=0), days[~weekend].sum(axis=0)).ravel()
    return folded


def _without_odd_closes(is_open: np.ndarray, slot: int) -> np.ndarray:
    if is_open.all() or not is_open.any():
        return np.ones_like(is_open)
    # The week is a ring: turn it so that no closed run crosses its seam.
    turn = int(np.argmax(is_open))
    ring = np.roll(is_open, -turn)
    edges = np.diff(np.r_[0, ~ring, 0].astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    brief = (ends - starts) * slot < SHORTEST_CLOSE
    if np.count_nonzero(~brief) > MOST_CLOSES:
        return np.ones_like(is_open)
    delta = np.zeros(len(ring) + 1, dtype=np.int64)
    delta[starts[brief]] += 1
    delta[ends[brief]] -= 1
    return np.roll(ring | (np.cumsum(delta[:-1]) > 0), turn)
