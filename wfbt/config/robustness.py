"""The robustness section: what is altered before the policy is asked, or its decisions are replayed, once more."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from wfbt.config.section import Section


def _off(value: object) -> object:
    return None if value is False else value


def _several(value: object) -> object:
    if value is None or value is False:
        return ()
    return tuple(value) if isinstance(value, list) else value


Switched = BeforeValidator(_off)
"""null or false: not tested."""

Several = BeforeValidator(_several)
"""A list; null, false or empty: not tested."""

Count = Annotated[int, Field(ge=1, le=100_000)]
Inside = Annotated[float, Field(gt=0, lt=1)]


class Robustness(Section):
    """How far each thing is moved and how often; a part that is null or false is not tested."""

    params: Annotated[Inside | None, Switched] = 0.2
    samples: Count = 32
    delay: Annotated[Annotated[int, Field(ge=1, le=1_000)] | None, Switched] = 5
    noise: Annotated[Annotated[float, Field(gt=0, le=0.1)] | None, Switched] = 0.001
    draws: Count = 20
    skip: Annotated[tuple[Inside, ...], Field(max_length=20), Several] = (0.05, 0.1, 0.2)
    replays: Count = 200
    bootstrap: Annotated[Annotated[int, Field(ge=100, le=100_000)] | None, Switched] = 1_000
    costs: Annotated[tuple[Annotated[float, Field(gt=1, le=100)], ...], Field(max_length=20), Several] = (2.0, 5.0)
    latency: Annotated[Annotated[float, Field(gt=1, le=10_000)] | None, Switched] = 5.0
    offsets: Annotated[tuple[Inside, ...], Field(max_length=20), Several] = (0.25, 0.5, 0.75)


MaybeRobustness = Annotated[Robustness | None, Switched]
