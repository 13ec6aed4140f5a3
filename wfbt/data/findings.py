"""One defect of market data, and how the defects of a series are collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY, HOUR, I8, MINUTE
from wfbt.data.store import Raw, stamp

Mask = npt.NDArray[np.bool_]
Severity = Literal["error", "warning"]

ERRORS = (
    "disorder",
    "duplicates",
    "future",
    "off_grid",
    "missing",
    "nan",
    "non_positive",
    "ohlc",
    "negative_volume",
    "side",
)
WARNINGS = (
    "gap",
    "zero_volume",
    "stale",
    "spike",
    "implausible",
    "volume_scale",
    "session_shift",
    "funding_grid",
    "disagree",
    "unsorted",
    "restated",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One defect.

    Attributes
    ----------
    severity : "error" or "warning"
    symbol, rule : str
    row : int
        The first row concerned, counted from 0 over the files as they are read.
    ts : int
        That row's stamp, ns UTC.
    count : int
        For the rules of single rows (ERRORS but missing; zero_volume, stale, spike, funding_grid, disagree): the rows
        row … row + count − 1 are concerned, no others.  For gap and missing: bars absent before `row`, or altogether.
        Else: how often.
    message : str
    """

    severity: Severity
    symbol: str
    rule: str
    row: int
    ts: int
    count: int
    message: str

    def __str__(self) -> str:
        return f"{self.symbol}: {self.rule} at row {self.row} ({stamp(self.ts)}): {self.message}"


class Report:
    """Findings as they are collected over one series."""

    def __init__(self, raw: Raw, symbol: str) -> None:
        self.raw = raw
        self.symbol = symbol
        self.findings: list[Finding] = []

    def add(self, rule: str, index: int, count: int, message: str) -> None:
        self.findings.append(
            Finding(
                severity="error" if rule in ERRORS else "warning",
                symbol=self.symbol,
                rule=rule,
                row=int(self.raw.row[index]),
                ts=int(self.raw.ts[index]),
                count=int(count),
                message=message,
            )
        )

    def rows(self, rule: str, bad: Mask, message: Callable[[int], str]) -> None:
        """One finding per run of bad rows that stand side by side in the file."""
        if bad.any():
            for start, end in runs(bad, self.raw.row):
                self.add(rule, start, end - start, message(start))

    def at(self, index: I8, ts: I8 | None = None) -> Stamps:
        return Stamps(index=index, ts=self.raw.ts[index] if ts is None else ts)

    def sorted(self) -> list[Finding]:
        return sorted(self.findings, key=lambda f: (f.severity != "error", f.row, f.rule))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stamps:
    """Increasing stamps and where they stand in the rows."""

    index: I8
    ts: I8


def runs(bad: Mask, row: I8 | None = None) -> Iterator[tuple[int, int]]:
    at = np.flatnonzero(bad)
    apart = np.diff(at) > 1
    if row is not None:
        apart |= np.diff(row[at]) > 1
    cuts = np.flatnonzero(apart)
    starts, ends = at[np.r_[0, cuts + 1]], at[np.r_[cuts, len(at) - 1]] + 1
    return zip(starts.tolist(), ends.tolist(), strict=True)


def duration(ns: int) -> str:
    """90 s, 15 m, 1 h, 1 d."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1_000_000_000, "s")):
        if ns % size == 0:
            return f"{ns // size}{unit}"
    return f"{ns / 1e9:g}s"
