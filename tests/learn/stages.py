"""Stages for what is learnt on: rough markets, numbers to look at, and plain action maps."""

from dataclasses import dataclass

import numpy as np

from tests.engine.stage import market
from tests.engine.test_accounts import WILD, rough
from wfbt.learn.episodes import tiles
from wfbt.learn.stage import Stage


@dataclass(frozen=True)
class Choice:
    """Action k is a target of `targets[k]`."""

    targets: tuple[float, ...] = (float("nan"), 1.0, -1.0)
    assets: int = 1

    @property
    def outputs(self):
        return len(self.targets)

    def to_targets(self, actions):
        return np.array(self.targets)[np.asarray(actions)][:, None]


@dataclass(frozen=True)
class Weights:
    """Directions, then sizes, whose product is the target, times `reach`."""

    assets: int
    reach: float = 1.0

    @property
    def outputs(self):
        return 2 * self.assets

    def to_targets(self, actions):
        given = np.asarray(actions, np.float64)
        return self.reach * given[:, : self.assets] * np.maximum(given[:, self.assets :], 0.0)


def rough_market(rng, rows, assets, missing=0.0, **known):
    return market(*(rough(rng, rows, symbol=f"S{a}", missing=missing, **known) for a in range(assets)))


def rough_stage(seed=0, rows=300, assets=1, setup="plain", actions=None, width=3, **known):
    rng = np.random.default_rng([seed, assets])
    data = rough_market(rng, rows, assets)
    features = rng.normal(size=(rows, width)).astype(np.float32)
    actions = actions or (Choice() if assets == 1 else Weights(assets))
    return Stage.of(data, WILD[setup], features, actions, seed=3, **known)


def whole(stage):
    """One episode that is the whole market."""
    return tiles(stage, (slice(0, len(stage.deck.decisions)),), len(stage.deck.decisions))
