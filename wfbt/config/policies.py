"""Sections on what decides and what of it is searched: one rule, several as one, or sleeves that share the account."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from wfbt.config.section import Section
from wfbt.config.training import Features, Train
from wfbt.config.values import (
    ByKey,
    Choice,
    File,
    Fraction,
    Identifier,
    Listed,
    Number,
    Parameter,
    Positive,
    RuleName,
    SleeveName,
    SymbolName,
)

MOST_CHOICES = 10_000


class Range(Section):
    """low, low + step, … up to high."""

    low: Number
    high: Number
    step: Annotated[Number, Field(gt=0)]

    @field_validator("high")
    @classmethod
    def _low_first(cls, high: float, info: ValidationInfo) -> float:
        if "low" in info.data and high < info.data["low"]:
            raise ValueError(f"must be >= low ({info.data['low']})")
        return high

    @field_validator("step")
    @classmethod
    def _few_steps(cls, step: float, info: ValidationInfo) -> float:
        if {"low", "high"} <= info.data.keys() and (info.data["high"] - info.data["low"]) / step >= MOST_CHOICES:
            raise ValueError(f"must give at most {MOST_CHOICES} values between low and high")
        return step


def _different(value: object) -> object:
    if isinstance(value, dict | Section):
        return value
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list, or a range with low, high and step")
    if not 1 <= len(value) <= MOST_CHOICES:
        raise ValueError(f"must list 1 to {MOST_CHOICES} values")
    # True equals 1 in Python but not here.
    scalars = [(isinstance(item, bool), item) for item in value if not isinstance(item, list | tuple | dict)]
    if len(set(scalars)) < len(scalars):
        raise ValueError("must not list a value twice")
    return tuple(value)


Choices = Annotated[
    Annotated[tuple[Choice, ...], Tag("@list")] | Annotated[Range, Tag("@range")],
    Discriminator(lambda value: "@list" if isinstance(value, tuple) else "@range"),
    BeforeValidator(_different),
]


NOTHING_NAMED = (
    "needs a rule: a built-in name, file.py:name or package.module:name; or a model: the folder that wfbt train wrote"
)


class Part(Section):
    """A rule, with its parameters and those to search over; or a trained model.

    `features` says how what a model observes is computed, where its names do not; an action that it finds less probable
    than `least` is none.
    """

    rule: RuleName | None = None
    model: File | None = None
    features: Features | None = None
    least: Annotated[float, Field(ge=0, lt=1)] = 0.0
    train: Train | None = None
    params: Annotated[dict[Identifier, Parameter], ByKey] = Field(default={})
    search: Annotated[dict[Identifier, Choices], ByKey] = Field(default={})

    @model_validator(mode="after")
    def _decides(self) -> Self:
        if sum(one is not None for one in (self.rule, self.model, self.train)) != 1:
            raise ValueError(NOTHING_NAMED)
        _only_of_models(self)
        if self.train is not None and (self.params or self.search):
            raise ValueError("with train has no params or search: what is learnt is chosen in train")
        return self


class Member(Part):
    """A rule or a model and its share of an ensemble."""

    weight: Positive


class Hybrid(Section):
    """One proposes, another confirms.  `passes`: a proposal passes while who confirms abstains; null: in veto alone."""

    propose: Part
    confirm: Part
    mode: Literal["veto", "agree", "scale"]
    passes: bool | None = None


def _share_out(members: tuple[Member, ...]) -> tuple[Member, ...]:
    # Decimals add up as they are read: 0.3 + 0.25 + 0.2 + 0.15 + 0.1 is 1.
    total = sum(Decimal(str(member.weight)) for member in members)
    if total > 1:
        raise ValueError(
            f"must have weights that add up to at most 1, not {total}; sizing and leverage scale the whole"
        )
    return members


class Policy(Section):
    """What decides, with its parameters and those to search over."""

    rule: RuleName | None = None
    model: File | None = None
    features: Features | None = None
    least: Annotated[float, Field(ge=0, lt=1)] = 0.0
    train: Train | None = None
    hybrid: Hybrid | None = None
    ensemble: Annotated[tuple[Member, ...], Listed, Field(min_length=1), AfterValidator(_share_out)] | None = None
    rotate: Annotated[dict[Identifier, Part | None], ByKey] | None = None
    params: Annotated[dict[Identifier, Parameter], ByKey] = Field(default={})
    search: Annotated[dict[Identifier, Choices], ByKey] = Field(default={})

    @model_validator(mode="after")
    def _decides(self) -> Self:
        given = [
            name
            for name in ("rule", "model", "train", "hybrid", "ensemble", "rotate")
            if getattr(self, name) is not None
        ]
        if not given:
            raise ValueError(NOTHING_NAMED)
        _only_of_models(self)
        if len(given) > 1:
            raise ValueError(f"has {' and '.join(given)}: keep one of them")
        if self.rule is None and self.model is None and (self.params or self.search):
            raise ValueError(f"with {given[0]} has no params or search of its own: write them beside each rule")
        return self


def _only_of_models(given: Part | Policy) -> None:
    if given.model is not None or (given.train is not None and given.features is None):
        return
    for name, value in (("features", given.features), ("least", given.least or None)):
        if value is not None:
            where = "train.features" if given.train is not None else "a model"
            raise ValueError(f"has {name}, which belongs to {where}")


class Sleeve(Section):
    """One of several strategies that share the account."""

    policy: Policy
    symbols: Annotated[Annotated[tuple[SymbolName, ...], Field(min_length=1)] | None, Listed] = None
    weight: Fraction | None = None

    @field_validator("symbols")
    @classmethod
    def _each_once(cls, symbols: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if symbols is not None and len(set(symbols)) < len(symbols):
            raise ValueError("must not list a symbol twice")
        # The order of symbols has no meaning.
        return symbols and tuple(sorted(symbols))


class Allocation(Section):
    """How the account is divided among sleeves in each fold."""

    method: Literal["fixed", "inverse_volatility", "min_variance", "hrp"] = "inverse_volatility"
    max_weight: Fraction = 1.0
    shrink: bool = True


class Sleeves(Section):
    """Several strategies, each choosing its own parameters, in one account."""

    members: Annotated[dict[SleeveName, Sleeve], Field(min_length=1), ByKey]
    allocation: Allocation = Allocation()
    netting: bool = False

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        given = {name: one.weight for name, one in self.members.items() if one.weight is not None}
        if self.allocation.method != "fixed":
            if given:
                raise ValueError(
                    f"has a weight for {', '.join(given)}, but allocation.method {self.allocation.method} fits the "
                    "weights: leave it out, or set method fixed"
                )
            return self
        if missing := [name for name in self.members if name not in given]:
            raise ValueError(f"with allocation.method fixed needs a weight for {', '.join(missing)}")
        # Decimals add up as they are read.
        total = sum(Decimal(str(weight)) for weight in given.values())
        if total > 1:
            raise ValueError(f"must have weights that add up to at most 1, not {total}; leverage scales the whole")
        if above := [name for name, weight in given.items() if weight > self.allocation.max_weight]:
            raise ValueError(
                f"has a weight above allocation.max_weight ({self.allocation.max_weight:g}) for {', '.join(above)}"
            )
        return self
