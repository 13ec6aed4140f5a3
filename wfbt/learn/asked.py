"""Lanes whose network is not alone: one that confirms what a rule proposes, or proposes what a rule confirms.

What passes is what `wfbt.kernels.rollout.decide` lets pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.learn.env import F4
from wfbt.learn.episodes import Draws, Episodes
from wfbt.learn.sb3 import LaneVecEnv
from wfbt.learn.stage import Stage
from wfbt.policy.council import Mode

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
B1 = npt.NDArray[np.bool_]
Stepped = tuple[F4, F4, B1, list[dict[str, Any]]]


class Accompanied(LaneVecEnv):
    """Lanes that remember of each asset what was last proposed and what passed of it.

    Parameters
    ----------
    other : (T, A) float64
        What the rule names at each decision bar, NaN nothing.
    mode : "veto", "agree" or "scale"
    passes : bool
        A proposal passes where who confirms abstains.
    """

    def __init__(
        self, stage: Stage, episodes: Episodes, count: int, other: F8, mode: Mode, passes: bool, *, seed: int = 0
    ) -> None:
        super().__init__(stage, episodes, count, seed=seed)
        self.other, self.mode, self.passes = other, mode, passes
        self.proposed = np.full((count, stage.assets), np.nan)
        self.passed = np.full((count, stage.assets), np.nan)

    def _begin(self, lanes: I8) -> None:
        self.lanes.begin(lanes)
        self.proposed[lanes] = self.passed[lanes] = np.nan

    def _draw_again(self) -> None:
        if self._seeds[0] is not None:
            self.lanes.draws = Draws(self.lanes.episodes, self._seeds[0], self.num_envs)
        self._reset_seeds()
        self._reset_options()


class Proposing(Accompanied):
    """The network decides at every bar, and the rule's last number stands against what it names."""

    def reset(self) -> F4:
        """Begin episodes in all lanes."""
        self._draw_again()
        self._begin(np.arange(self.num_envs))
        return self.lanes.seen

    def step_wait(self) -> Stepped:
        """Step all lanes."""
        lanes = self.lanes
        wanted = np.where(lanes.blind, np.nan, self._targets)
        named, before = ~np.isnan(wanted), self.passed.copy()
        self.proposed = np.where(named, wanted, self.proposed)
        passed = confirmed(self.proposed, self.other[lanes.bar], self.mode, self.passes)
        self.passed = np.where(np.isnan(self.proposed), before, passed)
        changed = named | (self.passed != before)
        lanes.step(np.where(changed, self.passed, np.nan), known=True)
        rewards, dones = lanes.rewards.astype(np.float32), lanes.over.copy()
        infos = self._blank
        if dones.any():
            infos = [self.ended(lane) if dones[lane] else one for lane, one in enumerate(infos)]
            self._begin(np.flatnonzero(dones))
        return lanes.seen, rewards, dones, infos


class Confirming(Accompanied):
    """The network is asked where the rule proposes something new, and at no other bar: a step ends at the next one.

    Its reward is the sum of those of the bars that it took.  Episodes without a proposal are not played.
    """

    def __init__(
        self, stage: Stage, episodes: Episodes, count: int, other: F8, mode: Mode, passes: bool, *, seed: int = 0
    ) -> None:
        super().__init__(stage, with_proposals(episodes, other), count, other, mode, passes, seed=seed)
        self._shown = np.zeros((count, stage.width), np.float32)

    def reset(self) -> F4:
        """Begin episodes in all lanes, and go to where each is first asked."""
        self._draw_again()
        self._begin(np.arange(self.num_envs))
        self._go(np.zeros(self.num_envs), np.zeros(self.num_envs, bool), list(self._blank))
        return self._shown.copy()

    def step_wait(self) -> Stepped:
        """Answer what every lane was asked, and go to where each is asked next."""
        lanes, proposal = self.lanes, self.other[self.lanes.bar]
        opinion = np.where(lanes.blind, np.nan, self._targets)
        new = self._new()
        self.proposed = np.where(new, proposal, self.proposed)
        self.passed = np.where(new, confirmed(proposal, opinion, self.mode, self.passes), self.passed)
        rewards, dones, infos = np.zeros(self.num_envs), np.zeros(self.num_envs, bool), list(self._blank)
        self._advance(np.ones(self.num_envs, bool), rewards, dones, infos)
        self._go(rewards, dones, infos)
        return self._shown.copy(), rewards.astype(np.float32), dones, infos

    def _go(self, rewards: F8, dones: B1, infos: list[dict[str, Any]]) -> None:
        """Step every lane that is not asked where it stands until it is."""
        while (idle := ~self._new().any(axis=1)).any():
            self._advance(np.asarray(idle), rewards, dones, infos)
        self._shown[:] = self.lanes.seen

    def _new(self) -> B1:
        """(N, A) what is proposed anew at the close where each lane stands."""
        proposal = self.other[self.lanes.bar]
        new: B1 = ~np.isnan(proposal) & (proposal != self.proposed)
        return new

    def _advance(self, chosen: B1, rewards: F8, dones: B1, infos: list[dict[str, Any]]) -> None:
        """One bar of the `chosen` lanes; what follows the end of an episode is not this decision's reward."""
        lanes = self.lanes
        targets = np.where(np.isnan(self.other[lanes.bar]), np.nan, self.passed)
        lanes.step(targets, chosen, known=True)
        rewards += np.where(dones, 0.0, lanes.rewards)
        if (over := np.flatnonzero(lanes.over)).size:
            for lane in over:
                if not dones[lane]:
                    infos[lane] = self.ended(int(lane))
            dones[over] = True
            self._begin(over)


def confirmed(wanted: F8, opinion: F8, mode: Mode, passes: bool) -> F8:
    """(N, A) what is left of proposals; of an abstention, NaN, all or nothing."""
    if mode == "veto":
        left = np.where(wanted * opinion < 0.0, 0.0, wanted)
    elif mode == "agree":
        left = np.where(np.sign(wanted) == np.sign(opinion), wanted, 0.0)
    else:
        left = wanted * np.minimum(np.abs(opinion), 1.0)
    return np.where(np.isnan(opinion), wanted if passes else 0.0, left)


def with_proposals(episodes: Episodes, other: F8) -> Episodes:
    """Those in which the rule names anything before the end; ConfigError where it never does."""
    said = np.concatenate(([0], np.cumsum(~np.isnan(other).all(axis=1))))
    spoken = said[episodes.last - 1] > said[episodes.first]
    if not spoken.any():
        raise ConfigError("the rule proposes nothing on the training rows, so there is nothing to confirm")
    return Episodes(first=episodes.first[spoken], last=episodes.last[spoken], drawn=episodes.drawn)
