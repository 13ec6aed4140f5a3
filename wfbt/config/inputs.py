"""What a policy sees beside its own bars: exogenous series and coarser timeframes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from wfbt.config.section import Section
from wfbt.config.values import ByKey, Duration, File, Listed, Span, SymbolName

MOST_TIMEFRAMES = 8


def _series_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", value, re.ASCII):
        raise ValueError("must be the name of a series: letters, digits and _, a letter first")
    return value


def _different(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(value)) < len(value):
        raise ValueError("must not name one twice")
    return value


def _few(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(value) > MOST_TIMEFRAMES:
        raise ValueError(f"must name at most {MOST_TIMEFRAMES}")
    return value


Column = Annotated[str, Field(min_length=1, max_length=256)]


class Series(Section):
    """Numbers from a file of their own, known from their publication and a delay on.

    `predictions` are those of a trained model, whose `manifest` says what it was trained on.
    """

    path: File
    available: Column | None = None
    delay: Duration = Duration(0)
    columns: Annotated[tuple[Column, ...], Listed, Field(min_length=1), AfterValidator(_different)] | None = None
    symbol: SymbolName | None = None
    max_age: Span | None = None
    predictions: bool = False
    manifest: File | None = None

    @field_validator("max_age")
    @classmethod
    def _outlives_the_delay(cls, max_age: Duration | None, info: ValidationInfo) -> Duration | None:
        if max_age is not None and "delay" in info.data and max_age <= info.data["delay"]:
            raise ValueError(f"must be longer than delay ({info.data['delay']}), or no row is ever seen")
        return max_age

    @field_validator("manifest")
    @classmethod
    def _of_predictions(cls, manifest: str | None, info: ValidationInfo) -> str | None:
        if manifest is not None and not info.data.get("predictions"):
            raise ValueError("belongs to predictions: true, which says that a model made these numbers")
        return manifest


ManySeries = Annotated[
    dict[Annotated[str, AfterValidator(_series_name)], Series],
    BeforeValidator(lambda value: {} if value is None else value),
    ByKey,
]
"""Series by the name that a rule knows them by."""

Timeframes = Annotated[
    tuple[Span, ...],
    BeforeValidator(lambda value: () if value is None else value),
    Listed,
    AfterValidator(_few),
    AfterValidator(_different),
]
"""Periods of coarser bars."""
