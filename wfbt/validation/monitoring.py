"""Several questions about drift asked at once, with one chance of crying wolf for all of them.

Columns that belong together are a sheet: what the market did, what a policy observes, what it does, what it earns.
Inside a sheet max-T holds the level (Westfall and Young 1993), as it knows how its columns lean on each other; the
level is divided evenly among sheets and the monitor of returns (Bonferroni), whichever of them can be judged.  Holm's
steps over single lines would ask of 100 lines a p that no bootstrap of 499 draws can reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.validation.cusum import Cusum, design_cusum
from wfbt.validation.drift import FEWEST, RESAMPLES, STATISTICS, Drift, drift

F8 = npt.NDArray[np.float64]

MOST_ROWS = 50_000
"""Rows of a sample that are judged; of a longer one the last."""
KNOWN = 0.95
"""Share of rows on which columns that are judged together must be known; another is judged by itself."""
DRIFTED, SAME, UNKNOWN = "drifted", "no evidence", "too little data"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """Columns that are judged together.

    Attributes
    ----------
    name : str
    columns : tuple of str
    reference, recent : (N, K), (M, K) float64
        In the order of time, NaN where a number is not known.
    against : str
        What the reference is, in words.
    """

    name: str
    columns: tuple[str, ...]
    reference: F8
    recent: F8
    against: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One distance of one column.

    Attributes
    ----------
    value, expected : float or None
        The distance, and its mean where nothing has changed.
    p : float or None
        Chance of as much anywhere in all that is asked, where nothing has changed.
    alone : float or None
        The same for this line alone.
    verdict : str
        DRIFTED, SAME or UNKNOWN.
    why_not : str
        Why there is no p, as said of the column.
    """

    column: str
    statistic: str
    value: float | None
    expected: float | None
    p: float | None
    alone: float | None
    verdict: str
    why_not: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A sheet with its verdict: DRIFTED where any line has, else UNKNOWN where most columns could not be judged.

    `reference` and `recent` are the rows that were judged, of the columns that are known together; `block` is the mean
    length of a block of the null, rows, `resamples` how many were drawn: None where nothing was judged.
    """

    name: str
    against: str
    verdict: str
    p: float | None
    reference: int
    recent: int
    block: int | None
    resamples: int | None
    lines: tuple[Line, ...]
    why_not: str
    notes: tuple[str, ...]


def judge(sheet: Sheet, share: float, level: float, seed: np.random.SeedSequence) -> Judged:
    """Judge `sheet` at `share` of the `level` of everything that is asked.

    Rows on which any column is unknown are left out, and a column that is unknown on more than 5% of either sample is
    judged on its own rows: the sheet's share is then divided by how many parts it has.
    """
    notes = []
    reference, recent = sheet.reference[-MOST_ROWS:], sheet.recent[-MOST_ROWS:]
    for whose, all_rows, kept in (("reference", sheet.reference, reference), ("new rows", sheet.recent, recent)):
        if len(all_rows) > len(kept):
            notes.append(f"of {len(all_rows):,} {whose} the last {len(kept):,} are judged")
    known = np.array([
        min((float(np.mean(np.isfinite(side[:, k]))) if len(side) else 0.0) for side in (reference, recent))
        for k in range(len(sheet.columns))
    ])  # fmt: skip
    together = [k for k in range(len(known)) if known[k] >= KNOWN]
    parts = [together] if together else []
    parts += [[k] for k in range(len(known)) if known[k] < KNOWN]
    share /= len(parts)
    # The least p that a bootstrap can give must be well below what is asked for.
    resamples = max(RESAMPLES, ceil(4.0 / (share * level)))
    lines: dict[str, list[Line]] = {}
    found: list[Drift] = []
    rows = [len(reference), len(recent)]
    for part, child in zip(parts, seed.spawn(len(parts)), strict=True):
        names = [sheet.columns[k] for k in part]
        before, after = (_complete(side[:, part]) for side in (reference, recent))
        if part is together:
            rows = [len(before), len(after)]
            left = len(reference) + len(recent) - sum(rows)
            if left:
                notes.append(f"{left:,} rows are left out: not every column is known on them")
        if short := _short(before, after):
            for name in names:
                lines[name] = [_unjudged(name, statistic, short) for statistic in STATISTICS]
            continue
        one = drift(before, after, names, child, resamples=resamples)
        found.append(one)
        for told in one.distances:
            p = None if told.adjusted is None else min(1.0, told.adjusted / share)
            lines.setdefault(told.column, []).append(
                Line(
                    column=told.column,
                    statistic=told.statistic,
                    value=told.value,
                    expected=told.expected,
                    p=p,
                    alone=told.p,
                    verdict=UNKNOWN if p is None else DRIFTED if p <= level else SAME,
                    why_not=told.why_not,
                )
            )
    every = tuple(line for name in sheet.columns for line in lines[name])
    ps = [line.p for line in every if line.p is not None]
    reasons = list(dict.fromkeys(line.why_not for line in every if line.why_not))
    unjudged = sum(any(line.why_not for line in lines[name]) for name in sheet.columns)
    if ps and min(ps) <= level:
        verdict = DRIFTED
    else:
        verdict = UNKNOWN if 2 * unjudged > len(sheet.columns) else SAME
    return Judged(
        name=sheet.name,
        against=sheet.against,
        verdict=verdict,
        p=min(ps, default=None),
        reference=rows[0],
        recent=rows[1],
        block=max((one.block for one in found), default=None) if ps else None,
        resamples=resamples if ps else None,
        lines=every,
        why_not=_told(unjudged, len(sheet.columns), reasons) if verdict == UNKNOWN else "",
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """What a monitor for a fall of the mean saw.

    Attributes
    ----------
    design : Cusum or None
        None where the reference cannot carry one.
    observed : int
        Days that were followed.
    highest : float or None
        The highest sum so far, in deviations; an alarm is where it reaches `design.threshold`.
    alarm : int or None
        The day of the alarm, 0 the first.
    verdict : str
    why_not : str
    """

    design: Cusum | None
    observed: int
    highest: float | None
    alarm: int | None
    verdict: str
    why_not: str


def follow(
    reference: F8, live: F8, shift: float, horizon: int, false_alarm: float, seed: np.random.SeedSequence
) -> Fallen:
    """Follow (M,) live returns against (n,) out-of-sample ones; `shift` in deviations, `horizon` in observations.

    The monitor depends on the reference and the seed alone: asked again with more returns it is the same one, and the
    promise of at most `false_alarm` within the horizon holds for all the times it is asked.  Beyond one horizon it is
    designed for as many as it takes.
    """
    horizon *= max(1, ceil(len(live) / horizon))
    try:
        design = design_cusum(reference, shift, horizon, seed, false_alarm=false_alarm)
    except ConfigError as error:
        return Fallen(
            design=None, observed=len(live), highest=None, alarm=None, verdict=UNKNOWN, why_not=str(error)
        )  # fmt: skip
    if not len(live):
        why = "there is no live return yet"
        return Fallen(design=design, observed=0, highest=None, alarm=None, verdict=UNKNOWN, why_not=why)
    seen = design.watch(live)
    return Fallen(
        design=design,
        observed=len(live),
        highest=float(seen.sums.max()),
        alarm=seen.alarm,
        verdict=SAME if seen.alarm is None else DRIFTED,
        why_not="",
    )


def overall(verdicts: Sequence[str]) -> str:
    """DRIFTED where anything has; SAME where everything asked could be judged and has not; else UNKNOWN."""
    if DRIFTED in verdicts:
        return DRIFTED
    return UNKNOWN if UNKNOWN in verdicts else SAME


def _told(unjudged: int, columns: int, reasons: Sequence[str]) -> str:
    if columns == 1 or (len(reasons) == 1 and unjudged == columns):
        return reasons[0]
    return f"{unjudged} of {columns} columns could not be judged, the first because it {reasons[0]}"


def _complete(rows: F8) -> F8:
    return rows[np.isfinite(rows).all(axis=1)]


def _short(reference: F8, recent: F8) -> str:
    for whose, rows in (("rows of the reference", reference), ("new rows", recent)):
        if len(rows) < FEWEST:
            return f"is known on {len(rows)} {whose}, and a distribution needs {FEWEST}"
    return ""


def _unjudged(column: str, statistic: str, why: str) -> Line:
    return Line(
        column=column, statistic=statistic, value=None, expected=None, p=None, alone=None, verdict=UNKNOWN, why_not=why
    )
