"""Sections on what is learnt from each fold's training rows beside a policy's own parameters."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from wfbt.config.section import Section
from wfbt.config.values import Duration, Span


class Volatility(Section):
    """A model of volatility, what it forecasts, and whether sizes and the limit on volatility follow it."""

    model: Literal["garch", "gjr-garch", "egarch", "har"] = "gjr-garch"
    dist: Literal["normal", "t", "skewt"] | None = "t"
    horizon: Span = Duration.parse("24h")
    sizing: bool = False
    limit: bool = False

    @model_validator(mode="before")
    @classmethod
    def _without_innovations(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("model") == "har" and "dist" not in value:
            return value | {"dist": None}
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.model == "har" and self.dist is not None:
            raise ValueError(f"has dist {self.dist}, but har is fitted by least squares: leave dist out")
        if self.model != "har" and self.dist is None:
            raise ValueError(f"with model {self.model} needs dist: normal, t or skewt")
        return self


def _off(value: object) -> object:
    return None if value is False else value


MaybeVolatility = Annotated[Volatility | None, BeforeValidator(_off)]
