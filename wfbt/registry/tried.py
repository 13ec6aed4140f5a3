"""What an attempt at the gate has to answer for: how many there were, how often its days were seen, and what is odd.

Everything is as of the attempt's first entry, so that judging the same run again says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wfbt.registry.attempts import Attempt, Threshold
from wfbt.registry.chain import Entry, distinct_attempts, distinct_looks
from wfbt.registry.looks import OUT_OF_SAMPLE

HAIR = 0.1
"""Thresholds that differ by this share of the greater one, or less, differ by a hair."""

NAMED = 5
"""Attempts that a note names before it counts the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What was tried, up to the first entry of an attempt and with it.

    Attributes
    ----------
    number : int
        k: attempts by its family, and of the same model or strategy under other names.
    series : int
        N: return series whose result was seen, by anyone, at days that it judges too; at least 1.
    notes : tuple of str
        Sentences for the reader of the verdict.
    entry : str
        Hash of its first entry.
    known_before : bool
        Whether the ledger held anything but the looks and attempts of this very run.  One that did not may be new, or
        may have been left behind: it cannot say that nobody looked before.
    """

    number: int
    series: int
    notes: tuple[str, ...]
    entry: str
    known_before: bool

    @property
    def picked(self) -> bool:
        """Whether another series could have been chosen by its result on these days."""
        return self.series > 1


def tried(attempt: Attempt, entry: Entry, before: Sequence[Entry]) -> Tried:
    """Counts and notes of an attempt that is in the ledger as `entry`, after `before`: see `Chain.before`."""
    looks = distinct_looks(before)
    others = [
        one for one in distinct_attempts(before) if one.family == attempt.family or one.judges_the_same_as(attempt)
    ]
    return Tried(
        number=len(others) + 1,
        series=max(1, sum(one.kind == OUT_OF_SAMPLE and one.saw_days_of(attempt) for one in looks)),
        notes=tuple(_notes(attempt, entry, before, others)),
        entry=entry.sha256,
        known_before=any(one.record.run != attempt.run for one in before),
    )


def _notes(attempt: Attempt, entry: Entry, before: Sequence[Entry], others: Sequence[Attempt]) -> Iterator[str]:
    if others:
        yield (
            f"This is attempt {len(others) + 1} of {attempt.family}, so its threshold is higher than that of the "
            f"first; the others: {_named(attempt, others)}."
        )
    reseeded = [
        one
        for one in distinct_attempts(before)
        if one.seed != attempt.seed and (one.strategy == attempt.strategy or _same_model(one, attempt))
    ]
    if reseeded:
        what = "strategy" if any(one.strategy == attempt.strategy for one in reseeded) else "model"
        yield (
            f"The same {what} was also tried with another seed than {attempt.seed}, {_times(len(reseeded))}: "
            f"{_named(attempt, reseeded, seeds=True)}."
        )
    renamed = [one for one in others if one.family != attempt.family]
    if renamed:
        what = "model" if any(_same_model(one, attempt) for one in renamed) else "strategy"
        yield f"The same {what} was also tried under another name: {_named(attempt, renamed)}."
    near = [one for one in others if _by_a_hair(one.thresholds, attempt.thresholds)]
    if near:
        yield (
            f"The thresholds are those of run {near[-1].run} but for a hair (at most {HAIR:.0%}): "
            f"{_changes(near[-1].thresholds, attempt.thresholds)}."
        )
    earlier = [one for one in before if one.depth < entry.depth]
    last = next((one for one in reversed(distinct_attempts(earlier)) if one.family == attempt.family), None)
    if last is not None and _asked(last) != _asked(attempt) and _judged(last) != _judged(attempt):
        yield (
            f"Changed together since the last attempt of {attempt.family} (run {last.run}): the rules of the gate and "
            "what they judge, so which of the two made a difference cannot be told."
        )


def _same_model(one: Attempt, other: Attempt) -> bool:
    return one.model is not None and one.model == other.model


def _asked(attempt: Attempt) -> tuple[str, tuple[Threshold, ...]]:
    return attempt.criteria, attempt.thresholds


def _judged(attempt: Attempt) -> tuple[str | None, str]:
    return attempt.model, attempt.strategy


def _by_a_hair(one: Sequence[Threshold], other: Sequence[Threshold]) -> bool:
    """Whether the same is asked of the same names, by thresholds that are near each other and not all equal."""
    if one == other or [name for name, _, _ in one] != [name for name, _, _ in other]:
        return False
    # > and >= differ by less than a hair.
    return all(a[0] == b[0] and _near(x, y) for (_, a, x), (_, b, y) in zip(one, other, strict=True))


def _near(one: float | bool | str, other: float | bool | str) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= HAIR * max(abs(one), abs(other))
    return type(one) is type(other) and one == other


def _changes(before: Sequence[Threshold], now: Sequence[Threshold]) -> str:
    changed = [
        f"{name} {how} {_shown(value)}, was {was_how} {_shown(was)}"
        for (_, was_how, was), (name, how, value) in zip(before, now, strict=True)
        if (was_how, was) != (how, value)
    ]
    return "; ".join(_shortened(changed))


def _shown(value: float | bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.15g}" if isinstance(value, float) else value


def _named(attempt: Attempt, others: Iterable[Attempt], seeds: bool = False) -> str:
    told = [
        (f"seed {one.seed} in run {one.run}" if seeds else f"run {one.run}")
        + (f" of {one.family}" if one.family != attempt.family else "")
        for one in others
    ]
    return ", ".join(_shortened(told))


def _shortened(told: list[str]) -> list[str]:
    return told if len(told) <= NAMED else [*told[:NAMED], f"and {len(told) - NAMED:,} more"]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
