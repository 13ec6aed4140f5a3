"""An attempt: a run was held against criteria, whatever came of it.

It is written down before it is judged, so that nobody can look at a verdict and forget it.  The same run held against
the same criteria again is the same attempt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from wfbt.errors import TrialsError
from wfbt.registry import provenance
from wfbt.registry.looks import Judged, Look, check_judged, same_days, strategy_hash

KIND = "attempt"
"""What its text in the ledger says it is; a look names one of its own kinds there."""

OPERATORS = (">=", ">", "<=", "<", "is")

Threshold = tuple[str, str, float | bool | str]
"""Name of a criterion, how its metric is compared, and with what; a text is a path to the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run, held against one set of criteria.

    Attributes
    ----------
    family : str
        Name of the strategy.
    run : str
        Id of the run that is judged.
    model : str or None
        sha256 of the model; None for rules.
    strategy : str
        `wfbt.registry.looks.strategy_hash`: the same for all its seeds and names.
    seed : int
        Of the run.
    criteria : str
        sha256 of all that is asked.
    thresholds : tuple of Threshold
        As asked, by name, each name once.
    code, data, start, end, weeks
        Of the look that the run took: what decided, and the judged days.
    """

    family: str
    run: str
    model: str | None
    strategy: str
    seed: int
    criteria: str
    thresholds: tuple[Threshold, ...]
    code: str
    data: str
    start: int
    end: int
    weeks: frozenset[str]

    def __post_init__(self) -> None:
        hashes = ("run", "strategy", "criteria", "code", "data") + (() if self.model is None else ("model",))
        check_judged(self, "an attempt", hashes, ("seed", "start", "end"))
        for name, operator, value in self.thresholds:
            for text in (name, *((value,) if isinstance(value, str) else ())):
                if not isinstance(text, str) or not text.isprintable() or not 1 <= len(text) <= 500:
                    raise TrialsError(f"an attempt's thresholds must be of 1 to 500 printable characters, was {text!r}")
            if operator not in OPERATORS:
                raise TrialsError(
                    f"an attempt's threshold of {name} must be one of {', '.join(OPERATORS)}, was {operator!r}"
                )
            if not (isinstance(value, bool | str) or (isinstance(value, float) and math.isfinite(value))):
                raise TrialsError(
                    f"an attempt's threshold of {name} must be a number, true, false or a path, was {value!r}"
                )
        names = [name for name, _, _ in self.thresholds]
        if names != sorted({*names}):
            raise TrialsError("an attempt's thresholds must be in the order of their names, each name once")

    @property
    def identity(self) -> str:
        """What two entries of one attempt have in common: all but the weeks, which follow from data and window."""
        return provenance.sha256(self.to_text("").encode())

    def judges_the_same_as(self, other: Attempt) -> bool:
        """Whether both judge the same model, or the same strategy of the same code, whatever its name and seed."""
        if self.model is not None and self.model == other.model:
            return True
        return (self.strategy, self.code) == (other.strategy, other.code)

    def saw_days_of(self, other: Judged) -> bool:
        """Whether both windows hold the same days of the same market."""
        return same_days(self, other)

    def to_text(self, weeks: str) -> str:
        """Canonical JSON, with `weeks` (their key) in place of the marks."""
        return json.dumps(self.to_dict() | {"weeks": weeks}, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """All but the marks."""
        told = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "weeks"}
        return told | {"kind": KIND, "thresholds": [list(one) for one in self.thresholds]}


def attempt_of(
    look: Look,
    *,
    run: str,
    config: Mapping[str, Any],
    model: str | None,
    criteria: str,
    thresholds: Iterable[tuple[str, str, float | bool | str]],
) -> Attempt:
    """The attempt of a run whose look is in the ledger.

    Parameters
    ----------
    run : str
        Id of the judged run; the look may be of an earlier one that took it first.
    config : mapping
        The resolved strategy as the run id hashes it: without the places of its files, and with its seed.
    model : str or None
        sha256 of the model; None for rules.
    criteria : str
        sha256 of all that is asked.
    thresholds : iterable of Threshold
        In any order; whole numbers are numbers.
    """
    return Attempt(
        family=look.family,
        run=run,
        model=model,
        strategy=strategy_hash(config),
        seed=config["seed"],
        criteria=criteria,
        thresholds=tuple(
            sorted(((name, how, _number(value)) for name, how, value in thresholds), key=lambda one: one[0])
        ),
        code=look.code,
        data=look.data,
        start=look.start,
        end=look.end,
        weeks=look.weeks,
    )


def _number(value: float | bool | str) -> float | bool | str:
    return float(value) if type(value) is int else value
