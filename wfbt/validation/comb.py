"""Many cuts in one evaluation: short spans of the market become others, far enough apart that a rule forgets between.

A leak that looks one bar ahead shows at the row just before the change and nowhere else, so every row that is to be
tested needs a cut of its own, hundreds of them; a rule that forgets within m bars can be asked about T/m of them at
once.  A difference in front of a span is only a suspicion, as what is left of the span before it looks the same: it is
put to the exact test, one cut with everything before it as it was.  So no rule is accused for its memory, and one that
never forgets is asked about one cut at a time, elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wfbt.data.market import Market
from wfbt.policy.answers import Difference, differences, masks
from wfbt.validation.futures import STYLES, Spans, altered, restored
from wfbt.validation.questions import Question

I8 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SPAN = 24
"""Bars that change behind each cut; a look further ahead than this meets other spans, or the exact tests."""
QUIET = 8
"""Rows without a difference after which a rule has forgotten the span before."""
FORGOTTEN = 1e-6
"""Relative difference that counts as none here: averages forget slowly, and the exact tests look closer."""
FIRST_TEETH = 6
FEWEST_TEETH = 3
MOST_SUSPECTS = 4
"""Suspicions of one evaluation that are put to the exact test."""
MOST_REFUTED = 12
"""Refuted suspicions after which this is no way to ask the rule."""


@dataclass(slots=True)
class Combed:
    """What came of combing one question.

    Attributes
    ----------
    rows : list of int
        Decision bars whose decision was seen to stand whatever follows.
    evaluations : int
    memory : int
        Bars within which it was seen to forget.
    proof : tuple or None
        A market that differs only after a decision bar, that bar, and what differs up to it: a leak.
    ended : str
        Why fewer rows than wanted were combed; empty where none are missing.
    """

    rows: list[int] = field(default_factory=list)
    evaluations: int = 0
    memory: int = 0
    proof: tuple[Market, int, list[Difference]] | None = None
    ended: str = ""


def comb(question: Question, wanted: int, most: int, rng: np.random.Generator, memory: int = 0) -> Combed:
    """Comb until `wanted` rows are tested or `most` evaluations made.

    `memory` is what candidates like this one were seen to need, 0 where nothing is known; then it is measured first.
    """
    first, last = question.rows
    out, refuted = Combed(memory=memory), 0
    measured = memory > 0
    spacing = _spacing(memory) if measured else (last - first) // FIRST_TEETH
    memory = memory if measured else spacing // 2 - SPAN
    while len(out.rows) < wanted and out.evaluations < most:
        if memory < QUIET or (last - first) // max(spacing, 1) < FEWEST_TEETH:
            out.ended = "it remembers for too long" if measured else "too few rows"
            break
        teeth = _teeth(question, spacing, wanted - len(out.rows) if measured else FIRST_TEETH, rng)
        close = question.study.deck.close_ts
        stops = np.minimum(teeth + SPAN, len(close) - 1)
        styles = rng.integers(0, len(STYLES), len(teeth))
        other = altered(question.market, Spans(after=close[teeth], until=close[stops], style=styles), rng)
        out.evaluations += 1
        said = question.ask(other)
        if said is None:
            out.ended = "it refuses markets whose numbers jump"
            break
        differs = _differs(question, masks(question.base, said, FORGOTTEN))
        suspects, clean, lags = _read(differs, teeth, stops, memory)
        for tooth, lag in suspects[:MOST_SUSPECTS]:
            row = int(teeth[tooth])
            market = restored(question.market, other, int(close[row]))
            out.evaluations += 1
            again = question.ask(market)
            found = differences(question.base, again, int(close[row])) if again is not None else []
            if found:
                out.proof = (market, row, found)
                return out
            refuted += 1
            memory = max(memory, int(1.3 * lag) + 1)
        if refuted > MOST_REFUTED:
            out.ended = "it remembers for too long"
            break
        out.rows += [int(row) for row in teeth[clean] if row not in out.rows]
        if not measured:
            # Most spans are forgotten sooner than the longest one; what is not will be refuted, or not counted.
            memory, measured = max(int(np.quantile(lags, 0.8)) if len(lags) else 0, QUIET), True
        elif clean.mean() < 0.7:
            memory *= 2
        out.memory = memory
        spacing = _spacing(memory)
    return out


def _spacing(memory: int) -> int:
    """Rows of a cell whose first quarter holds the cut: what is left is a span, its memory and quiet rows."""
    return 4 * (memory + SPAN + 2 * QUIET) // 3 + 1


def _teeth(question: Question, spacing: int, wanted: int, rng: np.random.Generator) -> I8:
    """Rows to cut after, in the first quarter of cells of `spacing` rows: at random, and where the target changes."""
    (first, last), reach = question.rows, max(spacing // 4, 1)
    starts = np.arange(first + int(rng.integers(0, spacing)), last, spacing)
    if len(starts) > wanted:
        starts = np.sort(rng.choice(starts, max(wanted, FEWEST_TEETH), replace=False))
    teeth = starts + rng.integers(0, reach, len(starts))
    low = np.searchsorted(question.changes, starts)
    high = np.searchsorted(question.changes, starts + reach)
    moved = (high > low) & (np.arange(len(starts)) % 2 == 1)
    teeth[moved] = question.changes[rng.integers(low[moved], high[moved])]
    return np.asarray(np.unique(teeth[teeth < last]), np.int64)


def _differs(question: Question, found: dict[tuple[str, str, str], Mask]) -> Mask:
    """(T,) decision bars at which any column of any symbol differs."""
    out = np.zeros(question.clock_rows, np.bool_)
    for (_, symbol, _), mask in found.items():
        out[question.places[symbol][: len(mask)][mask]] = True
    return out


def _read(differs: Mask, teeth: I8, stops: I8, memory: int) -> tuple[list[tuple[int, int]], Mask, I8]:
    """Suspected teeth, each with its distance from the span before; which are clean; how long each span was remembered.

    A difference is suspect when it comes after quiet rows and later than `memory` rows after the span before: in front
    of the first span, always.
    """
    total = np.concatenate(([0], np.cumsum(differs)))
    rows = np.flatnonzero(differs)
    rows = rows[rows <= teeth[-1]]
    tooth = np.searchsorted(teeth, rows)
    lag = np.where(tooth > 0, rows - stops[np.maximum(tooth, 1) - 1], np.iinfo(np.int64).max)
    quiet = total[rows] == total[np.maximum(rows - QUIET, 0)]
    suspicious = (tooth == 0) | (quiet & (lag > memory))
    places, where = np.unique(tooth[suspicious], return_index=True)
    suspects = [
        (int(place), int(min(lag[suspicious][at], len(differs)))) for place, at in zip(places, where, strict=True)
    ]
    clean: Mask = total[teeth + 1] == total[np.maximum(teeth + 1 - QUIET, 0)]
    clean[places] = False
    # Rows just in front of the next span may differ for another reason.
    ends = np.append(teeth[1:], len(differs) - 1) - SPAN - QUIET
    lags = []
    for stop, end in zip(stops, ends, strict=True):
        between = np.flatnonzero(differs[stop + 1 : max(end, stop + 1)])
        lags.append(int(between[-1]) + 1 if len(between) else 0)
    return suspects, clean, np.array(lags, np.int64)
