"""Findings of streams: a book has too many rows to keep one of each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wfbt.data.arrays import I8
from wfbt.data.book.rows import Mask
from wfbt.data.findings import Finding, runs

ERRORS = (
    "nan",
    "side",
    "non_positive",
    "negative_qty",
    "off_tick",
    "off_lot",
    "disorder",
    "future",
    "negative_latency",
    "sequence",
    "truncated",
    "sides_swapped",
    "bbo_disagrees",
)
WARNINGS = (
    "cold_start",
    "crossed",
    "locked",
    "outlier",
    "latency_drift",
    "exch_disorder",
    "silence",
    "stale_snapshot",
)
RULES = (*ERRORS, *WARNINGS)
KEPT = 100
"""Findings of one rule that are kept by themselves; further ones are counted."""


class Log:
    """What was found and what was changed in one stream, in bounded memory."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.notes: list[str] = []
        self._kept: dict[str, list[Finding]] = {}
        self._more: dict[str, list[int]] = {}

    def add(self, rule: str, row: int, ts: int, count: int, message: str) -> None:
        """One finding: the first row concerned, its stamp in ns UTC, how many rows or messages, and words."""
        kept = self._kept.setdefault(rule, [])
        if len(kept) < KEPT:
            kept.append(
                Finding(
                    severity="error" if rule in ERRORS else "warning",
                    symbol=self.symbol,
                    rule=rule,
                    row=int(row),
                    ts=int(ts),
                    count=int(count),
                    message=message,
                )
            )
        else:
            more = self._more.setdefault(rule, [int(row), int(ts), 0, 0])
            more[2] += 1
            more[3] += int(count)

    def rows(self, rule: str, bad: Mask, row: I8, ts: I8, message: Callable[[int], str]) -> None:
        """One finding per run of bad rows that stand side by side in the file."""
        if bad.any():
            for start, end in runs(bad, row):
                self.add(rule, row[start], ts[start], end - start, message(start))

    def count(self, rule: str) -> int:
        """Rows or messages concerned so far."""
        return sum(f.count for f in self._kept.get(rule, ())) + (self._more[rule][3] if rule in self._more else 0)

    def first_error(self, accepted: tuple[str, ...] = ()) -> Finding | None:
        """The first finding of error that was not accepted."""
        errors = (f for rule, kept in self._kept.items() if rule in ERRORS and rule not in accepted for f in kept)
        return min(errors, key=lambda f: f.row, default=None)

    def findings(self) -> list[Finding]:
        """Errors first, each in row order; what was only counted comes as one finding of its rule."""
        out = [f for kept in self._kept.values() for f in kept]
        for rule, (row, ts, times, count) in self._more.items():
            first = self._kept[rule][0]
            out.append(
                Finding(
                    severity=first.severity,
                    symbol=self.symbol,
                    rule=rule,
                    row=row,
                    ts=ts,
                    count=count,
                    message=f"and {times:,} more like the {KEPT} before it",
                )
            )
        return sorted(out, key=lambda f: (f.severity != "error", f.row, f.rule))


def total(mask: Mask) -> int:
    """How many are true."""
    return int(np.count_nonzero(mask))
