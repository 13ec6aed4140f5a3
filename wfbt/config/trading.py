"""Sections on how orders are worked, what the venue charges by size and what a portfolio may hold."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from wfbt.config.section import Section, tag_of_model
from wfbt.config.values import (
    UNITS,
    Bps,
    ByKey,
    Duration,
    Fraction,
    Identifier,
    Listed,
    NonNegative,
    PartOfOne,
    Positive,
    Rebatable,
    Span,
)

Count = Annotated[int, Field(ge=2, le=10_000)]


class Participation(Section):
    """Most of the traded volume that may be one's own; null switches each off."""

    order: Fraction | None = 0.05
    hour: Fraction | None = 0.10


class Twap(Section):
    """Equal parts at equal times."""

    model: Literal["twap"] = "twap"
    over: Span
    slices: Count


class Vwap(Section):
    """Parts at equal times, sized by the volume usual at their time of day."""

    model: Literal["vwap"] = "vwap"
    over: Span
    slices: Count
    profile: Span = Duration.parse("20d")

    @field_validator("profile")
    @classmethod
    def _some_day(cls, profile: Duration) -> Duration:
        if profile < UNITS["d"]:
            raise ValueError("must be at least 1d")
        return profile


class Pov(Section):
    """A share of every row's volume."""

    model: Literal["pov"] = "pov"
    share: Fraction


class Iceberg(Section):
    """A limit order of which a part shows."""

    model: Literal["iceberg"] = "iceberg"
    display: Fraction


Schedule = Annotated[
    Annotated[Twap, Tag("@twap")]
    | Annotated[Vwap, Tag("@vwap")]
    | Annotated[Pov, Tag("@pov")]
    | Annotated[Iceberg, Tag("@iceberg")],
    Discriminator(
        tag_of_model,
        custom_error_type="no_model",
        custom_error_message="must have a model: twap, vwap, pov or iceberg",
    ),
]


class Orders(Section):
    """How the policy's orders stand at the venue and are worked."""

    min_interval: Duration = Duration.parse("30s")
    max_open: Annotated[int, Field(ge=1, le=1_000)] | None = 10
    touch: Annotated[float, Field(ge=0, le=1)] = 0.0
    post_only: bool = False
    schedule: Schedule | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_interval and self.max_open is None:
            raise ValueError("has min_interval without max_open: waiting orders would pile up without end")
        if self.post_only and self.schedule is not None:
            raise ValueError("has post_only and a schedule: a schedule takes; keep one of them")
        return self


class Tier(Section):
    """Maintenance margin of notional up to `up_to`; the last tier has none."""

    up_to: Positive | None = None
    maintenance: PartOfOne


def _rising(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    for lower, upper in pairwise(tiers):
        if lower.up_to is None or (upper.up_to is not None and upper.up_to <= lower.up_to):
            raise ValueError("must list rising up_to, and leave it out only on the last tier")
        if upper.maintenance < lower.maintenance:
            raise ValueError("must not ask for less maintenance of more notional")
    return tiers


Tiers = Annotated[tuple[Tier, ...], Listed, Field(min_length=1), AfterValidator(_rising)]


class FeeTier(Section):
    """Fees from a value traded in 30 days on."""

    volume: NonNegative
    maker_bps: Rebatable
    taker_bps: Bps


def _rising_volumes(tiers: tuple[FeeTier, ...]) -> tuple[FeeTier, ...]:
    """Fee tiers that begin at 0 and rise."""
    if tiers and tiers[0].volume != 0:
        raise ValueError("must begin at volume 0")
    if any(upper.volume <= lower.volume for lower, upper in pairwise(tiers)):
        raise ValueError("must list rising volumes")
    return tiers


FeeTiers = Annotated[tuple[FeeTier, ...], Listed, AfterValidator(_rising_volumes)]


class Cap(Section):
    """A limit and what it does: cut the order, leave the target pending, or close every position."""

    most: Positive
    act: Literal["cap", "refuse", "flatten"] = "cap"


class Correlated(Cap):
    """The limit on what moves together, and from which correlation on things do."""

    threshold: Annotated[float, Field(ge=-1, le=1)] = 0.7


def _spell(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"most": value}
    if value is None or isinstance(value, dict | Cap):
        return value
    raise ValueError("must be a number, or {most: NUMBER, act: cap, refuse or flatten}")


Limit = Annotated[Cap, BeforeValidator(_spell)]
CorrelatedLimit = Annotated[Correlated, BeforeValidator(_spell)]


class Ratchet(Section):
    """Once the best price is `after` stop distances beyond the entry, the stop keeps the share `keep` of it."""

    after: Positive
    keep: Annotated[float, Field(gt=0, lt=1)]


class Scale(Section):
    """What makes sizes smaller; null and false switch each off."""

    volatility: Positive | None = None
    correlation: bool = False
    regimes: Annotated[dict[Identifier, Annotated[float, Field(ge=0, le=1)]], ByKey] = Field(default={})
