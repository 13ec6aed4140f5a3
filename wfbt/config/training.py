"""Section on a policy that is trained: what it observes, what it may do, what it is paid for, and how it learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, field_validator, model_validator

from wfbt.config.section import Section
from wfbt.config.values import ByKey, File, Fraction, Identifier, Listed, NonNegative, Number, PartOfOne, Positive

MOST_SEEDS = 100
MOST_STEPS = 10_000_000_000
NAMED: Mapping[str, float | None] = {"hold": None, "buy": 1.0, "sell": -1.0, "flat": 0.0}
"""Actions by name: the target each stands for; None leaves the position alone."""

Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)]
Width = Annotated[int, Field(ge=1, le=4_096)]
Seen = Literal["position", "target", "unrealised", "holding", "drawdown", "gross", "today"]


def _action(value: object) -> float | None:
    if isinstance(value, str):
        if value not in NAMED:
            raise ValueError(f"must be one of {', '.join(NAMED)}, or a signed fraction of equity")
        return NAMED[value]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1_000:
        raise ValueError(f"must be one of {', '.join(NAMED)}, or a signed fraction of equity")
    return float(value)


def _features(value: object) -> Any:
    if isinstance(value, str):
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("must be the name of a set, or a list of features such as [rsi_14, {macd: {fast: 12}}]")
    for one in value:
        if not isinstance(one, str) and not (isinstance(one, dict) and len(one) == 1):
            raise ValueError("must list names, and names with their parameters such as {rsi: {n: 14}}")
    return tuple(value)


Features = Annotated[Any, PlainValidator(_features)]
"""The name of a set of features, or a list of them."""


class Box(Section):
    """A direction in −1..1 of each symbol and, `sized`, a size in 0..1 of each; targets up to `dead_zone` are flat."""

    sized: bool = True
    dead_zone: PartOfOne = 0.0


class Action(Section):
    """What the network decides: one choice of a few targets, or a number of each symbol."""

    discrete: Annotated[tuple[Annotated[Any, PlainValidator(_action)], ...] | None, Listed] = None
    continuous: Box | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.discrete is None) == (self.continuous is None):
            raise ValueError("needs discrete, such as [hold, buy, sell], or continuous, such as {sized: true}")
        if self.discrete is not None:
            if not 2 <= len(self.discrete) <= 1_000 or len(set(self.discrete)) < len(self.discrete):
                raise ValueError("must have 2 to 1000 discrete actions, no two of them alike")
        return self


class Reward(Section):
    """What training maximises, by name, with its weights and settings in place of the defaults."""

    name: Literal["six", "sortino", "differential_sharpe", "log_return", "portfolio"] = "six"
    weights: Annotated[dict[Identifier, Number], ByKey] = Field(default={})


class Episodes(Section):
    """What an account lives through before it begins anew.

    day: UTC days; session: `begin` to `end`, hours UTC; length: one after another, of `length` decisions; random: of
    `length` decisions, from any row.
    """

    by: Literal["day", "session", "length", "random"] = "random"
    length: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    begin: Annotated[float, Field(ge=0, lt=24)] | None = None
    end: Annotated[float, Field(gt=0, le=24)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _usual_length(cls, value: Any) -> Any:
        if isinstance(value, dict) and "length" not in value and value.get("by", "random") in ("length", "random"):
            return value | {"length": 512}
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        counted = self.by in ("length", "random")
        if counted != (self.length is not None):
            raise ValueError(f"by {self.by} {'needs' if counted else 'has no'} length, in decisions")
        timed = self.by == "session"
        for name in ("begin", "end"):
            if timed != (getattr(self, name) is not None):
                raise ValueError(f"by {self.by} {'needs' if timed else 'has no'} {name}, in hours UTC")
        return self


class Ppo(Section):
    """What only PPO has; `rollout` are decisions between updates, of all lanes together."""

    gae: Fraction = 0.95
    clip: Fraction = 0.2
    value: NonNegative = 0.5
    entropy: NonNegative = 0.01
    epochs: Annotated[int, Field(ge=1, le=1_000)] = 10
    rollout: Annotated[int, Field(ge=2, le=100_000_000)] = 2_048
    max_grad: Positive = 0.5


class Dqn(Section):
    """What only DQN has; counts are decisions, of all lanes together."""

    buffer: Annotated[int, Field(ge=1, le=100_000_000)] = 100_000
    starts: Annotated[int, Field(ge=0, le=100_000_000)] = 1_000
    train_every: Annotated[int, Field(ge=1, le=1_000_000)] = 4
    target_every: Steps = 1_000
    explore: Fraction = 0.2
    explore_to: Annotated[float, Field(ge=0, le=1)] = 0.02
    max_grad: Positive = 10.0


class Validation(Section):
    """The end of the training rows, kept to choose by: how often it is looked at, by what money, and when to stop."""

    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    every: Steps = 10_000
    patience: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    score: Literal["sharpe", "total_return"] = "sharpe"


class Hierarchical(Section):
    """A manager that names one of `goals` every `every` bars, which the worker reads.

    joint: both learn from every rollout; alternate: one of them for `turn` rollouts, then the other.
    """

    every: Annotated[int, Field(ge=2, le=100_000)]
    goals: Annotated[int, Field(ge=2, le=64)] = 4
    train: Literal["joint", "alternate"] = "joint"
    turn: Annotated[int, Field(ge=1, le=1_000_000)] = 4


def _off(value: object) -> object:
    return None if value is False else value


def _seeds(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MOST_SEEDS:
            raise ValueError(f"must be 1 to {MOST_SEEDS}, or a list of seeds")
        return tuple(range(value))
    return tuple(value) if isinstance(value, list) else value


class Train(Section):
    """A network trained anew on each fold's training rows, once for each seed."""

    algorithm: Literal["ppo", "dqn"] = "ppo"
    features: Features = "bars"
    scaling: Literal["zscore", "minmax", "none"] = "zscore"
    clip: Positive = 10.0
    correlation: Annotated[float, Field(gt=0, le=1)] | None = None
    account: Annotated[tuple[Seen, ...], Listed] = ("position", "unrealised", "holding", "drawdown")
    action: Action = Action(discrete=(None, 1.0, -1.0))
    hidden: Annotated[Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)], Listed] = (128, 64, 32)
    activation: Literal["tanh", "relu", "silu", "elu"] = "tanh"
    layer_norm: bool = False
    reward: Reward = Reward()
    episodes: Episodes = Episodes()
    steps: Steps = 200_000
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], BeforeValidator(_seeds)] = tuple(range(5))
    lanes: Annotated[int, Field(ge=1, le=65_536)] = 16
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 3e-4
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    gamma: Fraction = 0.99
    batch: Annotated[int, Field(ge=2, le=10_000_000)] = 64
    ppo: Ppo | None = None
    dqn: Dqn | None = None
    validation: Annotated[Validation | None, BeforeValidator(_off)] = Validation()
    warm_start: File | None = None
    hierarchical: Hierarchical | None = None

    @model_validator(mode="before")
    @classmethod
    def _own_settings(cls, value: Any) -> Any:
        """The section of the algorithm, with its defaults, where the file leaves it out."""
        if not isinstance(value, dict):
            return value
        name = value.get("algorithm", "ppo")
        return value | {name: {}} if name in ("ppo", "dqn") and value.get(name) is None else value

    @field_validator("account")
    @classmethod
    def _each_once(cls, account: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(account)) < len(account):
            raise ValueError("must not name anything twice")
        return account

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not 1 <= len(seeds) <= MOST_SEEDS or len(set(seeds)) < len(seeds):
            raise ValueError(f"must be 1 to {MOST_SEEDS} different seeds")
        return seeds

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        other = "dqn" if self.algorithm == "ppo" else "ppo"
        if getattr(self, other) is not None:
            raise ValueError(f"has {other}, and algorithm is {self.algorithm}: keep the section of the algorithm")
        if self.algorithm == "dqn" and self.action.discrete is None:
            raise ValueError("with algorithm dqn chooses among discrete actions; use ppo for continuous ones")
        if self.algorithm == "dqn" and self.hierarchical is not None:
            raise ValueError("with hierarchical needs algorithm ppo")
        if self.ppo is not None:
            if self.ppo.rollout % self.lanes or self.ppo.rollout < 2 * self.lanes:
                raise ValueError(
                    f"has ppo.rollout {self.ppo.rollout}, which must be a multiple of lanes ({self.lanes}), two or more"
                )
            if self.ppo.rollout % self.batch:
                raise ValueError(
                    f"has ppo.rollout {self.ppo.rollout}, which must be a multiple of batch ({self.batch})"
                )
        return self
