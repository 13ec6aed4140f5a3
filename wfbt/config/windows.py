"""Window lengths that a walk-forward is tried with beside its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from wfbt.config.section import Section
from wfbt.config.values import Duration, Listed, Span


def _different(value: tuple[Duration, ...]) -> tuple[Duration, ...]:
    if len(set(value)) < len(value):
        raise ValueError("must not name one length twice")
    return value


Lengths = Annotated[tuple[Span, ...], Listed, Field(min_length=1, max_length=12), AfterValidator(_different)]


class WindowMatrix(Section):
    """Each length of training with each length of test: one walk-forward a pair."""

    train: Lengths
    test: Lengths
