"""What one network is taught on: rows, what is observed of them, and the account that it decides for.

The account is laid out by the very functions that lay out its replay, with a network of zeros in the place of the one
that is to be trained: what is trained is what is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.config.training import Train
from wfbt.engine.accounts import OF_ASSETS
from wfbt.engine.backtest import replay_ledger, span
from wfbt.engine.closed_loop import Agent, Watching, watching
from wfbt.engine.intents import Lowering
from wfbt.errors import ConfigError
from wfbt.features.learners import Frames
from wfbt.features.observation import Observation
from wfbt.kernels.abi import Rules
from wfbt.learn.episodes import Episodes, daily, random_starts, sessions, tiles
from wfbt.learn.reward import reward_named, usual_move
from wfbt.learn.stage import Stage
from wfbt.ledger.metrics import FEWEST_DAYS, objective
from wfbt.policy import actions as acting
from wfbt.policy.artifact.building import build_actions, build_head, build_normaliser
from wfbt.policy.artifact.description import Architecture, Continuous, Discrete, Function, Head, Joined, Level, Scaling
from wfbt.policy.columns import Columns
from wfbt.policy.council import Deliberation, Member, Mode
from wfbt.policy.learned import OF
from wfbt.policy.network import Activation, Layer, Network

F4 = npt.NDArray[np.float32]
F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Rows = tuple[slice, ...]

STATIONARY = 1e-12
"""Deviation of daily returns below which an account has not moved at all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """What decides beside the network: a rule that proposes what it confirms, or one that confirms what it proposes.

    Attributes
    ----------
    wants : mapping of symbol to Columns
        What the rule names at each bar.
    mode : "veto", "agree" or "scale"
    proposes : bool
        The network proposes, and the rule confirms.
    passes : bool
        A proposal passes where who confirms abstains.
    """

    wants: Mapping[str, Columns]
    mode: Mode
    proposes: bool = False
    passes: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """One fold's material.

    Attributes
    ----------
    plan : Train
    lowering : Lowering
    rules : Rules
    frames : mapping of symbol to DataFrame
        With the columns of what was fitted on the fold's training rows.
    observation : Observation
        Fitted on `kept`.
    kept, held : tuple of slice
        Decision bars that are trained on, and those that are kept back to choose by; none of them is in both.
    forecast : mapping of symbol to (T_a,) float64, or None
        Volatility that sizes follow.
    scale : mapping of symbol to (T_a,) float64
        What sizes are multiplied by; empty: 1.
    beside : Beside or None
    """

    plan: Train
    lowering: Lowering
    rules: Rules
    frames: Frames
    observation: Observation
    kept: Rows
    held: Rows
    forecast: Mapping[str, F8] | None = None
    scale: Mapping[str, F8]
    beside: Beside | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """In the order of the account's assets."""
        return tuple(self.frames)

    @cached_property
    def seen(self) -> tuple[str, ...]:
        """What is observed of the account: what is of each asset first."""
        return tuple(sorted(self.plan.account, key=lambda name: name not in OF_ASSETS))

    @cached_property
    def levels(self) -> Mapping[str, Level]:
        """The networks as a manifest describes them: `policy`, or `manager` and `worker`."""
        plan = self.plan
        if plan.hierarchical is None:
            return {"policy": self._level(self._actions(), 0)}
        goals = plan.hierarchical.goals
        # A goal is a number alone: these targets stand for nothing.
        named = Discrete(targets=tuple(float(one) for one in np.linspace(-1.0, 1.0, goals)))
        return {
            "manager": self._level(named, 0, period=plan.hierarchical.every, joins=Joined.ONE_HOT),
            "worker": self._level(self._actions(), goals),
        }

    @property
    def deciding(self) -> str:
        """The level that trades."""
        return "policy" if "policy" in self.levels else "worker"

    @cached_property
    def actions(self) -> acting.Discrete | acting.Continuous:
        """What the deciding network's outputs mean."""
        return build_actions(self.levels[self.deciding].actions)

    @cached_property
    def agent(self) -> Agent:
        """The account's side of the replay; its networks are all zeros."""
        return self._watching({name: blank(level) for name, level in self.levels.items()}).parts[0][0]

    @cached_property
    def raw(self) -> F8:
        """(T, A·F) features as they are observed before scaling, asset after asset; NaN: not known."""
        columns = [self.observation.spec.names.index(name) for name in self.observation.names]
        own = self.agent.features[:, :, columns]
        return np.ascontiguousarray(own.reshape(len(own), -1))

    @cached_property
    def stage(self) -> Stage:
        """What every lane shares."""
        return Stage(
            deck=self.lowering.deck,
            rules=self.rules,
            sheet=self.agent.sheet,
            slices=self.lowering.slices,
            features=normalised(self.raw, self._scaling(0), slice(0, self.raw.shape[1])),
            actions=self.actions,
            reward=self._reward(),
            seen=self.seen,
        )

    @cached_property
    def episodes(self) -> Episodes:
        """Those of the rows that are trained on."""
        given, stage = self.plan.episodes, self.stage
        if given.by == "day":
            return daily(stage, self.kept)
        if given.by == "session":
            assert given.begin is not None and given.end is not None
            return sessions(stage, self.kept, given.begin, given.end)
        assert given.length is not None
        return (random_starts if given.by == "random" else tiles)(stage, self.kept, given.length)

    def says(self, networks: Mapping[str, Network]) -> Watching:
        """What an account hears from trained `networks`, by level."""
        return self._watching(networks)

    def score(self, networks: Mapping[str, Network], rows: Rows | None = None) -> float | None:
        """What deterministic `networks` make of `rows` (the held ones) in money, each block from opening cash, flat.

        The plan's score of daily returns after all costs.  An account that never moves has a Sharpe ratio of 0 here,
        so that one which loses is not preferred to it.  None where there are too few days.
        """
        rows, deck = self.held if rows is None else rows, self.lowering.deck
        said, parts = self.says(networks), []
        for block in rows:
            intents = said.between(*span(deck, block.start, block.stop))
            ledger = replay_ledger(deck, intents, self.rules, block.start, block.stop)
            parts.append(ledger.returns_daily().to_numpy(np.float64))
        returns: F8 = np.concatenate([*parts, np.zeros(0)])
        name = self.plan.validation.score if self.plan.validation else "sharpe"
        if name == "sharpe" and len(returns) < FEWEST_DAYS:
            return None
        if len(returns) and np.abs(returns).max() < STATIONARY:
            return 0.0
        found = float(objective(name, returns[np.newaxis], deck.calendar.periods_per_year)[0])
        return None if np.isnan(found) else found

    def _watching(self, networks: Mapping[str, Network]) -> Watching:
        columns = tuple(self.observation.spec.names.index(name) for name in self.observation.names)
        members = tuple(
            Member(
                network=networks[name],
                actions=build_actions(level.actions),
                columns=columns,
                seen=self.seen,
                every=level.period or 0,
                joins=(level.joins or Joined.ONE_HOT).value,
            )
            for name, level in self.levels.items()
        )
        given = Deliberation(members=members, features=self._matrix)
        if (beside := self.beside) is not None:
            given = Deliberation(
                members=members,
                features=self._matrix,
                other=beside.wants,
                mode=beside.mode,
                mirrored=beside.proposes,
                passes=beside.passes,
            )
        return watching(self.lowering, self.rules, given, self.forecast, self.scale)

    @cached_property
    def _matrix(self) -> dict[str, F8]:
        return self.observation.spec.matrix(self.frames)

    def _level(
        self, actions: Discrete | Continuous, goals: int, period: int | None = None, joins: Joined | None = None
    ) -> Level:
        plan, several = self.plan, len(self.symbols) > 1
        of_assets = [name for name in self.seen if name in OF_ASSETS]
        whole = [name for name in self.seen if name not in OF_ASSETS]
        features, account = self.observation.names, self.seen
        if several:
            features = tuple(f"{symbol}{OF}{name}" for symbol in self.symbols for name in self.observation.names)
            account = (*(f"{symbol}{OF}{name}" for symbol in self.symbols for name in of_assets), *whole)
        inputs = len(features) + len(account) + goals
        head = Head.BOX if isinstance(actions, Continuous) else Head.Q if plan.algorithm == "dqn" else Head.CATEGORICAL
        return Level(
            features=features,
            account=account,
            architecture=Architecture(
                layers=(inputs, *plan.hidden, actions.outputs),
                activation=Function(plan.activation),
                layer_norm=plan.layer_norm,
                head=head,
                squash=False,
            ),
            graph=None,
            normaliser=self._scaling(len(account) + goals),
            period=period,
            joins=joins,
            actions=actions,
        )

    def _actions(self) -> Discrete | Continuous:
        given = self.plan.action
        if given.discrete is not None:
            return Discrete(targets=given.discrete)
        assert given.continuous is not None
        return Continuous(
            assets=self.symbols, sized=given.continuous.sized, dead_zone=float(given.continuous.dead_zone)
        )

    def _scaling(self, others: int) -> Scaling:
        """Of the features of every asset, and of `others` inputs that are taken as they are."""
        scaler, assets = self.observation.scaler, len(self.symbols)
        return Scaling(
            mean=(*(scaler.centre.tolist() * assets), *([0.0] * others)),
            deviation=(*(scaler.scale.tolist() * assets), *([1.0] * others)),
            clip=None if scaler.clip == inf else float(scaler.clip),
        )

    def _reward(self) -> Any:
        given: dict[str, Any] = dict(self.plan.reward.weights)
        reward = reward_named(self.plan.reward.name, given)
        if "unit" in given or not hasattr(reward, "unit"):
            return reward
        return reward_named(
            self.plan.reward.name, given | {"unit": usual_move(self.lowering.deck.carried(), self.kept)}
        )


def normalised(raw: F8, scaling: Scaling, columns: slice) -> F4:
    """`raw` (N, C) as the network sees it, bit for bit; C are the `columns` of its inputs.  NaN stays."""
    mean, deviation = np.array(scaling.mean)[columns], np.array(scaling.deviation)[columns]
    clip = inf if scaling.clip is None else scaling.clip
    out: F4 = np.clip((raw - mean) * (1.0 / deviation), -clip, clip).astype(np.float32)
    return out


def blank(level: Level) -> Network:
    """The network that `level` describes, all its weights 0."""
    told = level.architecture
    assert told is not None
    layers = []
    for n, (inputs, outputs) in enumerate(zip(told.layers, told.layers[1:], strict=False)):
        last = n == len(told.layers) - 2
        norm = told.layer_norm and not last
        layers.append(
            Layer(
                weight=np.zeros((outputs, inputs), np.float32),
                bias=np.zeros(outputs, np.float32),
                activation=Activation.LINEAR if last else Activation[told.activation.name],
                norm_gain=np.ones(outputs, np.float32) if norm else None,
                norm_shift=np.zeros(outputs, np.float32) if norm else None,
            )
        )
    return Network(
        layers=tuple(layers), head=build_head(told, level.actions), normaliser=build_normaliser(level.normaliser)
    )


def rows_at(close_ts: I8, train: I8) -> Rows:
    """Decision bars that close at `train` (K,), ns UTC, as blocks; ConfigError where one is no close of the market."""
    rows = np.searchsorted(close_ts, train)
    if (
        not len(train)
        or (rows >= len(close_ts)).any()
        or (close_ts[np.minimum(rows, len(close_ts) - 1)] != train).any()
    ):
        raise ConfigError("training rows must be closes of the market's decision bars, in time order")
    borders = np.flatnonzero(np.diff(rows) != 1) + 1
    return tuple(slice(int(block[0]), int(block[-1]) + 1) for block in np.split(rows, borders))
