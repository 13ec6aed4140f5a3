"""The monte_carlo section: what else might have come, and which accounts would have lived through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from wfbt.config.inputs import Column
from wfbt.config.messages import nearest
from wfbt.config.section import Section
from wfbt.config.values import Duration, Listed, NonNegative, Positive


def _rising(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if any(after <= before for before, after in pairwise(value)):
        raise ValueError("must rise from one to the next")
    return value


def _readable(value: Duration) -> Duration:
    if not _SHORTEST <= value <= _LONGEST:
        raise ValueError(f"must be from {_SHORTEST} to {_LONGEST}")
    return value


def _counted(value: Any) -> int | str:
    if value == "auto" or (type(value) is int and 30 <= value <= 100_000):
        return value  # type: ignore[no-any-return]
    raise ValueError("must be a whole number from 30 to 100000, or auto")


_SHORTEST, _LONGEST = Duration.parse("30d"), Duration.parse("3650d")

Rising = AfterValidator(_rising)
Level = Annotated[int, Field(ge=1, le=5)]
Horizon = Annotated[Duration, AfterValidator(_readable)]


class Labels(Section):
    """Which series labels the rows of level 5; a label changes at each of `cuts`.  `column` null: its only one."""

    series: str
    column: Column | None = None
    cuts: Annotated[tuple[float, ...], Listed, Field(min_length=1, max_length=20), Rising] = (0.0,)


class MonteCarlo(Section):
    """Paths that never were.

    `paths` resample the account's own returns; `replays` are markets a level, through which the policy is replayed.
    """

    levels: Annotated[tuple[Level, ...], Listed, Rising] = (1, 2, 3, 4, 5)
    paths: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    replays: Annotated[Any, PlainValidator(_counted)] = "auto"
    horizon: Horizon = Duration.parse("365d")
    ruin: Annotated[float, Field(gt=0, lt=1)] = 0.5
    capital: Annotated[tuple[Positive, ...], Listed, Field(min_length=1, max_length=20), Rising] = (
        1e4, 2.5e4, 5e4, 1e5, 2.5e5,
    )  # fmt: skip
    sizes: Annotated[tuple[Positive, ...], Listed, Field(min_length=1, max_length=40), Rising] = (
        0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0,
    )  # fmt: skip
    labels: Labels | None = None
    fixed_cost: NonNegative = 0.0
    min_order: NonNegative | None = None


def _off(value: object) -> object:
    return None if value is False or value == [] else value


MaybeMonteCarlo = Annotated[MonteCarlo | None, BeforeValidator(_off)]


def check_labels(given: MonteCarlo | None, series: Mapping[str, Any]) -> None:
    """Hold the labels to the series there are, and to their columns where the strategy names them."""
    if given is None or given.labels is None:
        return
    name, column = given.labels.series, given.labels.column
    if name not in series:
        raise _across("monte_carlo.labels.series", "data.series", name, tuple(series))
    known = series[name].columns
    if column is not None and known is not None and column not in known:
        raise _across("monte_carlo.labels.column", f"data.series.{name}.columns", column, known)


def _across(key: str, where: str, value: str, known: Sequence[str]) -> PydanticCustomError:
    near = nearest(value, tuple(known))
    rule = f"must be of {where} ({', '.join(known) or 'there is none'})" + (f"; did you mean {near}?" if near else "")
    return PydanticCustomError("across", "{rule}", {"key": key, "rule": rule, "value": value})
