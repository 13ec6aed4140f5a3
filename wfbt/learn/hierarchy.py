"""A manager and its worker, trained on the same lanes: the manager names a goal every few bars, the worker reads it.

The worker's reward is that of its bar, the manager's the sum over the bars that its goal stood, discounted by as many
bars.  Goals are drawn while training, and the manager learns from those that were drawn.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.type_aliases import RolloutBufferSamples

from wfbt.learn.env import F4
from wfbt.learn.episodes import Episodes
from wfbt.learn.sb3 import LaneVecEnv
from wfbt.learn.stage import Stage

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
B1 = npt.NDArray[np.bool_]


class Goals(LaneVecEnv):
    """Lanes whose observation ends with the goal that a manager has named, one-hot; zeros before the first.

    Parameters
    ----------
    every : int
        Decision bars from one goal to the next, counted from the begin of an episode.
    goals : int
    """

    manager: Manager

    def __init__(self, stage: Stage, episodes: Episodes, count: int, every: int, goals: int, *, seed: int = 0) -> None:
        super().__init__(stage, episodes, count, seed=seed)
        self.every, self.goals = every, goals
        self.goal = np.zeros((count, goals), np.float32)
        width = stage.width + goals
        large = np.finfo(np.float32).max
        self.observation_space = spaces.Box(-large, large, (width,), np.float32)

    def reset(self) -> F4:
        """Begin episodes in all lanes."""
        seen = super().reset()
        self.goal[:] = 0.0
        self.manager.forget()
        self._name(seen, np.ones(self.num_envs, bool))
        return np.concatenate([seen, self.goal], axis=1)

    def step_wait(self) -> tuple[F4, F4, npt.NDArray[np.bool_], list[dict[str, Any]]]:
        """Step all lanes, and let the manager name a goal where its time has come."""
        seen, rewards, dones, infos = super().step_wait()
        self.manager.earn(rewards)
        for lane in np.flatnonzero(dones):
            last = infos[lane]["terminal_observation"]
            self.manager.end(int(lane), last, infos[lane]["TimeLimit.truncated"])
            infos[lane]["terminal_observation"] = np.concatenate([last, self.goal[lane]])
        self.goal[dones] = 0.0
        turn = self.lanes.bar - self.lanes.began
        self._name(seen, turn % self.every == 0)
        return np.concatenate([seen, self.goal], axis=1), rewards, dones, infos

    def _name(self, seen: F4, due: B1) -> None:
        lanes = np.flatnonzero(due & ~self.lanes.blind.any(axis=1))
        if len(lanes):
            self.goal[lanes] = np.eye(self.goals, dtype=np.float32)[self.manager.choose(lanes, seen[lanes])]


@dataclass(slots=True)
class Choice:
    """What a manager chose once, and what came of it."""

    seen: F4
    goal: int
    log_probability: float
    value: float
    reward: float = 0.0
    after: float = 0.0  # value of what followed
    ended: bool = False


class Manager:
    """A PPO that is fed with what its goals earned."""

    def __init__(self, model: Any, lanes: int, every: int, gae: float) -> None:
        self.model, self.every, self.gae = model, every, gae
        self._open: list[Choice | None] = [None] * lanes
        self._told: list[list[Choice]] = [[] for _ in range(lanes)]

    def forget(self) -> None:
        """Begin with no choice under way."""
        self._open = [None] * len(self._open)

    def choose(self, lanes: I8, seen: F4) -> I8:
        """Goals of the `lanes`; their last choice is over."""
        with torch.no_grad():
            goals, values, logs = self.model.policy(torch.from_numpy(np.ascontiguousarray(seen)))
        chosen: I8 = goals.numpy().astype(np.int64)
        for place, lane in enumerate(lanes):
            if (before := self._open[lane]) is not None:
                before.after = float(values[place])
                self._told[lane].append(before)
            self._open[lane] = Choice(
                seen=seen[place].copy(),
                goal=int(chosen[place]),
                log_probability=float(logs[place]),
                value=float(values[place]),
            )
        return chosen

    def earn(self, rewards: F4) -> None:
        """Add the rewards (N,) of one bar."""
        for one, reward in zip(self._open, rewards, strict=True):
            if one is not None:
                one.reward += float(reward)

    def end(self, lane: int, last: F4, cut: bool) -> None:
        """An episode is over: of one that was only cut off, what would have followed counts."""
        if (one := self._open[lane]) is None:
            return
        if cut:
            with torch.no_grad():
                one.after = float(self.model.policy.predict_values(torch.from_numpy(last[np.newaxis]))[0])
        one.ended = True
        self._told[lane].append(one)
        self._open[lane] = None

    def learn(self, remaining: float) -> None:
        """Learn from all choices that are over; `remaining` is the share of the training that is still to come."""
        told = Told.of(self._told, self.model.gamma**self.every, self.gae)
        self._told = [[] for _ in self._told]
        if told is None:
            return
        self.model._current_progress_remaining = remaining
        self.model.rollout_buffer = told
        self.model.train()

    def drop(self) -> None:
        """Learn nothing from what was chosen so far."""
        self._told = [[] for _ in self._told]


class Told:
    """Choices of all lanes in one table, as PPO reads a rollout."""

    def __init__(self, choices: list[Choice], advantages: F8) -> None:
        self._seen = torch.from_numpy(np.stack([one.seen for one in choices]))
        self._goals = torch.tensor([[one.goal] for one in choices], dtype=torch.float32)
        self._logs = torch.tensor([one.log_probability for one in choices], dtype=torch.float32)
        self.values = np.array([one.value for one in choices], np.float32)
        self.returns = (advantages + self.values).astype(np.float32)
        self._advantages = torch.from_numpy(advantages.astype(np.float32))

    @classmethod
    def of(cls, lanes: list[list[Choice]], gamma: float, gae: float) -> Told | None:
        """With advantages by generalised estimation (Schulman et al. 2016, eq. 16); None of fewer than two choices."""
        choices: list[Choice] = []
        advantages: list[float] = []
        for own in lanes:
            ahead, found = 0.0, []
            for one in reversed(own):
                ahead = one.reward + gamma * one.after - one.value + (0.0 if one.ended else gamma * gae * ahead)
                found.append(ahead)
            choices += own
            advantages += reversed(found)
        return cls(choices, np.array(advantages)) if len(choices) > 1 else None

    def get(self, batch: int) -> Generator[RolloutBufferSamples, None, None]:
        """All of it in batches, in an order drawn from NumPy's generator, which the seed has set."""
        order = np.random.permutation(len(self.values))  # noqa: NPY002 - as Stable-Baselines3 draws its own
        values, returns = torch.from_numpy(self.values), torch.from_numpy(self.returns)
        for begin in range(0, len(order), batch):
            rows = torch.from_numpy(order[begin : begin + batch])
            if len(rows) > 1:
                yield RolloutBufferSamples(
                    self._seen[rows], self._goals[rows], values[rows], self._logs[rows], self._advantages[rows],
                    returns[rows],
                )  # fmt: skip


class Worker(PPO):
    """The PPO that trades; after each rollout it, its manager or both of them learn."""

    manager: Manager
    by: Literal["joint", "alternate"] = "joint"
    turn = 1
    rollouts = 0

    def train(self) -> None:
        """Learn from the rollout, as whose turn it is."""
        managing = self.by == "alternate" and self.rollouts // self.turn % 2 == 1
        if self.by == "joint" or not managing:
            super().train()
        if self.by == "joint" or managing:
            self.manager.learn(self._current_progress_remaining)
        else:
            self.manager.drop()
        self.rollouts += 1
