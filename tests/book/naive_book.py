"""A displayed book, a place in a queue and a delay, as docs/book.md states them: dictionaries, floats and loops."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import floor, inf, isinf, isnan, log, trunc

DEPTH, TRADE, CLEAR, CLEAR_TO = 0, 1, 2, 3


class Book:
    """What one side of the wire sees.  Bids and asks are kept under the same code by counting asks in −tick."""

    def __init__(self):
        self.stored = {1: {}, -1: {}}  # side → {side·tick: lots}
        self.top = {1: -inf, -1: -inf}  # best, as side·tick
        self.mark = {1: inf, -1: inf}  # lowest since the side was last exhausted, as side·tick

    def best(self, side):
        """Best tick of a side, None when it shows nothing."""
        top = self.top[side]
        return None if top == -inf else side * top

    def lots(self, side, tick):
        """Stored lots, those of hidden levels too."""
        return self.stored[side].get(side * tick, 0)

    def shown(self, side, tick):
        """Stored lots, unless the other side's newer quote hides them."""
        return self.lots(side, tick) if side * tick <= self.top[side] else 0

    def levels(self, side):
        """Ticks that are shown, the best first."""
        return [side * k for k in sorted(self.stored[side], reverse=True) if k <= self.top[side]]

    def depth(self, side, tick, lots):
        """A level's new size; what was stored before."""
        stored, k = self.stored[side], side * tick
        before = stored.get(k, 0)
        if lots > 0:
            stored[k] = lots
            if k > self.top[side]:
                self.top[side] = k
                other = -side
                if -k <= self.top[other]:
                    self.top[other] = self._below(other, -k)
            self.mark[side] = min(self.mark[side], k)
        else:
            stored.pop(k, None)
            if k == self.top[side]:
                self._fall(side, k)
        return before

    def clear(self, side):
        """Empty one side, or both with 0."""
        for s in (1, -1) if side == 0 else (side,):
            self.stored[s].clear()
            self.top[s], self.mark[s] = -inf, inf

    def clear_to(self, side, tick):
        """Remove the levels at `tick` and better."""
        k = side * tick
        for level in [level for level in self.stored[side] if level >= k]:
            del self.stored[side][level]
        if self.top[side] >= k:
            self._fall(side, k)

    def _below(self, side, k):
        return max((level for level in self.stored[side] if self.mark[side] <= level < k), default=-inf)

    def _fall(self, side, k):
        self.top[side] = self._below(side, k)
        if self.top[side] == -inf:
            self.mark[side] = inf


def share_behind(model, power, before, behind, lot_size):
    """p: the share of cancelled lots that stood behind; NaN where the formula has none."""
    try:
        if model == "power1":
            return behind**power / (behind**power + before**power)
        if model == "power2":
            return behind**power / (before + behind) ** power
        if model == "power3":
            return 1.0 - (before / (before + behind)) ** power
        a, b = before * lot_size, behind * lot_size
        if model == "log1":
            return log(1.0 + b) / (log(1.0 + b) + log(1.0 + a))
        if model == "log2":
            return log(1.0 + b) / log(1.0 + a + b)
    except ZeroDivisionError:
        return divided(model, power, before, behind, lot_size)
    except (TypeError, ValueError):  # a complex power or the logarithm of a negative number
        return float("nan")
    raise ValueError(f"unknown queue model {model}")


def divided(model, power, before, behind, lot_size):
    """What IEEE division by zero gives: ±∞ over something, NaN over nothing."""
    top = {"power1": behind**power, "power2": behind**power, "power3": before}.get(model, log(1.0 + behind * lot_size))
    return inf if top != 0.0 else float("nan")


def front_after(model, power, front, cum, prev, new, lot_size):
    """Lots before an order once its level shows `new` instead of `prev`; `cum` were traded in between."""
    if model == "risk_averse":
        return min(front, float(new))
    change = prev - new - cum
    if change < 0.0:
        return min(front, float(new))
    back = prev - front
    p = share_behind(model, power, front, back, lot_size)
    if isinstance(p, complex) or isnan(p):
        return float(new)
    if isinf(p):
        p = 1.0
    estimate = front - (1.0 - p) * change + min(back - p * change, 0.0)
    return float(new) if isnan(estimate) else min(estimate, float(new))


def whole(x):
    """Nearest whole number of lots, halves up."""
    return floor(x + 0.5)


@dataclass
class Delays:
    """Rows of a delay as a function of time: steps, or straight lines between them."""

    ts: list
    delay: list
    linear: bool = False
    lost: list | None = None
    bounce: list | None = None

    @classmethod
    def constant(cls, ns):
        return cls([0], [ns])

    @classmethod
    def measured(cls, rows, linear):
        """(entry, response) from rows (request, exchange, response); exchange ≤ 0 marks a lost request."""
        entry = cls(
            [r for r, _, _ in rows], [e - r for r, e, _ in rows], linear,
            [e <= 0 for _, e, _ in rows], [p - r for r, _, p in rows],
        )  # fmt: skip
        kept = [row for row in rows if row[1] > 0]
        return entry, cls([e for _, e, _ in kept], [p - e for _, e, p in kept], linear)

    def at(self, t):
        """(delay, lost): after how long it arrives, or after how long we learn that it did not."""
        i = bisect_right(self.ts, t) - 1
        if i < 0:
            return self._between(0, 0, t)
        between = self.linear and i + 1 < len(self.ts)
        return self._between(i, i + 1 if between else i, t)

    def _between(self, i, j, t):
        lost = bool(self.lost) and (self.lost[i] or self.lost[j])
        y = self.bounce if lost else self.delay
        if i == j:
            return y[i], lost
        x1, x2 = self.ts[i], self.ts[j]
        return y[i] + trunc(float(y[j] - y[i]) / float(x2 - x1) * float(t - x1)), lost
