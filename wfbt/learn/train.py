"""One network trained from one seed: the algorithm on its lanes, watched by what it makes of the rows kept back."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from wfbt.config.training import Train
from wfbt.errors import ConfigError
from wfbt.learn.asked import Confirming, Proposing
from wfbt.learn.env import spaces_of
from wfbt.learn.hierarchy import Goals, Manager, Worker
from wfbt.learn.lanes import Lanes
from wfbt.learn.lesson import Lesson
from wfbt.learn.networks import network_of, one_thread, policy_of, put, said_by
from wfbt.learn.sb3 import LaneVecEnv
from wfbt.policy.artifact.description import Level
from wfbt.policy.network import Network

F8 = npt.NDArray[np.float64]
Networks = Mapping[str, Network]
Tell = Callable[[int, float | None], None]

PROBES = 64
WALK = 8
"""Lanes and bars of the walk whose observations become probes: as many as both together multiply to, at most PROBES."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """What one seed has learnt.

    Attributes
    ----------
    seed : int
    networks : mapping of level to Network
    outputs : mapping of level to (N, O) float64
        Torch's own outputs on the lesson's probes.
    log : mapping
        Plain values: steps, scores by the rows kept back, why it stopped.
    """

    seed: int
    networks: Networks
    outputs: Mapping[str, F8]
    log: Mapping[str, Any]


def train(
    lesson: Lesson,
    seed: int,
    root: int,
    *,
    warm: Networks | None = None,
    board: Path | None = None,
    tell: Tell = lambda steps, score: None,
) -> Trained:
    """Train a network on the rows of `lesson` that are not kept back, and keep the best by those that are.

    The same lesson, `seed` and `root`, the run's own, give the same weights on one machine.

    Parameters
    ----------
    warm : mapping of level to Network
        Weights to begin with.
    board : Path
        Folder for TensorBoard.
    tell : function of (steps, score)
        Called after each look at the rows kept back.
    """
    with one_thread(), warnings.catch_warnings():
        # Their advice on sizes of batches and on devices; ours are checked where they are read.
        warnings.filterwarnings("ignore", category=UserWarning, module="stable_baselines3")
        return _train(lesson, seed, root, warm, board, tell)


def _train(lesson: Lesson, seed: int, root: int, warm: Networks | None, board: Path | None, tell: Tell) -> Trained:
    plan = lesson.plan
    drawn = int(np.random.SeedSequence([root, seed]).generate_state(1)[0])
    models = _models(lesson, drawn, board)
    for name, network in (warm or {}).items():
        put(models[name], network)
    watch = Watch(lesson, models, tell)
    learner = models[lesson.deciding]
    log: dict[str, Any] = {"seed": seed, "untrained": watch.untrained()}
    learner.learn(plan.steps, callback=watch, log_interval=1 if board is not None else 1_000_000_000)
    watch.finish()
    learner.env.close()
    networks = {name: network_of(model, lesson.levels[name]) for name, model in models.items()}
    rows = probes(lesson)
    log |= {
        "steps": int(learner.num_timesteps),
        "stopped": watch.why,
        "looks": watch.looks,
        "best": watch.best,
        "chosen_at": watch.best_at,
        "on_training_rows": lesson.score(networks, lesson.kept),
    }
    outputs = {name: said_by(model, lesson.levels[name], rows[name]) for name, model in models.items()}
    return Trained(seed=seed, networks=networks, outputs=outputs, log=log)


def probes(lesson: Lesson) -> dict[str, F8]:
    """(N, I) raw observations of each level, of accounts that act at random on rows that are trained on."""
    stage, rng = lesson.stage, np.random.default_rng(0)
    lanes = Lanes(stage, lesson.episodes, WALK, seed=0)
    lanes.begin(np.arange(WALK))
    wide = lesson.raw.shape[1]
    rows: list[F8] = []
    for _ in range(PROBES // WALK):
        known = np.flatnonzero(~lanes.blind.any(axis=1))
        rows.append(np.concatenate([lesson.raw[lanes.bar[known]], lanes.seen[known, wide:].astype(np.float64)], axis=1))
        choices = stage.actions.outputs
        targets = stage.targets(
            rng.integers(0, choices, WALK) if stage.discrete else rng.uniform(-1.0, 1.0, (WALK, choices))
        )
        if lanes.step(targets):
            lanes.begin(np.flatnonzero(lanes.over))
    lanes.close()
    seen = np.concatenate(rows)
    out = dict.fromkeys(lesson.levels, seen)
    if lesson.plan.hierarchical is not None:
        goals = lesson.plan.hierarchical.goals
        out["worker"] = np.concatenate([seen, np.eye(goals)[rng.integers(0, goals, len(seen))]], axis=1)
    return out


class Watch(BaseCallback):
    """Looks at the rows kept back every so often, remembers the best, and ends what no longer gets better."""

    def __init__(self, lesson: Lesson, models: Mapping[str, Any], tell: Tell) -> None:
        super().__init__()
        self.lesson, self.models, self.tell = lesson, models, tell
        self.best: float | None = None
        self.best_at = self.seen_at = self.since = 0
        self.looks: list[dict[str, Any]] = []
        self.why = "all steps were taken"
        self._kept: dict[str, Any] = {}
        self._over = False

    def untrained(self) -> float | None:
        """The score before the first step; ConfigError where the rows kept back are too few for one."""
        given = self.lesson.plan.validation
        if given is None:
            return None
        if (score := self.lesson.score(self._networks())) is None:
            days = sum(block.stop - block.start for block in self.lesson.held)
            raise ConfigError(
                f"train.validation: {days} rows are kept back, too few days for a {given.score}; lengthen folds.train, "
                "raise validation.share, or set validation: null"
            )
        return score

    def finish(self) -> None:
        """Look once more, and go back to the best."""
        if self.lesson.plan.validation is None:
            return
        if self.seen_at < self.num_timesteps:
            self._look()
        for name, state in self._kept.items():
            self.models[name].policy.load_state_dict(state)

    def _on_rollout_start(self) -> None:
        given = self.lesson.plan.validation
        if given is None:
            if self.num_timesteps >= self.seen_at + max(self.lesson.plan.steps // 20, 1):
                self.seen_at = self.num_timesteps
                self.tell(self.num_timesteps, None)
            return
        if self.num_timesteps >= self.seen_at + given.every:
            self._look()
            if self.since >= given.patience:
                self.why = f"{given.patience} looks without a better {given.score}"
                self._over = True

    def _on_step(self) -> bool:
        return not self._over

    def _look(self) -> None:
        self.seen_at = self.num_timesteps
        score = self.lesson.score(self._networks())
        assert score is not None, "the same rows had a score before the first step"
        self.looks.append({"steps": self.num_timesteps, "score": score})
        self.since += 1
        if self.best is None or score > self.best:
            self.best, self.best_at, self.since = score, self.num_timesteps, 0
            self._kept = {name: copy.deepcopy(one.policy.state_dict()) for name, one in self.models.items()}
        self.tell(self.num_timesteps, score)

    def _networks(self) -> dict[str, Network]:
        return {name: network_of(model, self.lesson.levels[name]) for name, model in self.models.items()}


def _models(lesson: Lesson, seed: int, board: Path | None) -> dict[str, Any]:
    """Untrained models by level; the one that decides has the lanes."""
    plan, stage, episodes = lesson.plan, lesson.stage, lesson.episodes
    if plan.algorithm == "dqn":
        return {"policy": _dqn(plan, lesson.levels["policy"], _lanes(lesson, seed), seed, board)}
    if plan.hierarchical is None:
        return {"policy": _ppo(PPO, plan, lesson.levels["policy"], _lanes(lesson, seed), seed, board)}
    given = plan.hierarchical
    lanes = Goals(stage, episodes, plan.lanes, given.every, given.goals, seed=seed)
    manager = _ppo(PPO, plan, lesson.levels["manager"], None, seed, None, setup=False)
    manager.observation_space, manager.action_space = spaces_of(stage)[0], spaces.Discrete(given.goals)
    manager.n_envs = plan.lanes
    manager._setup_model()
    manager.set_logger(configure(None, []))
    worker = _ppo(Worker, plan, lesson.levels["worker"], lanes, seed, board)
    assert plan.ppo is not None
    lanes.manager = worker.manager = Manager(manager, plan.lanes, given.every, plan.ppo.gae)
    worker.by, worker.turn = given.train, given.turn
    return {"manager": manager, "worker": worker}


def _lanes(lesson: Lesson, seed: int) -> LaneVecEnv:
    beside, plan = lesson.beside, lesson.plan
    if beside is None:
        return LaneVecEnv(lesson.stage, lesson.episodes, plan.lanes, seed=seed)
    kind = Proposing if beside.proposes else Confirming
    return kind(lesson.stage, lesson.episodes, plan.lanes, lesson.agent.other, beside.mode, beside.passes, seed=seed)


def _ppo(
    kind: type[PPO], plan: Train, level: Level, lanes: Any, seed: int, board: Path | None, setup: bool = True
) -> Any:
    given = plan.ppo
    assert given is not None
    policy, settings = policy_of(plan, level)
    return kind(
        policy,
        lanes,
        learning_rate=_rate(plan),
        n_steps=given.rollout // plan.lanes,
        batch_size=plan.batch,
        n_epochs=given.epochs,
        gamma=plan.gamma,
        gae_lambda=given.gae,
        clip_range=given.clip,
        ent_coef=float(given.entropy),
        vf_coef=float(given.value),
        max_grad_norm=given.max_grad,
        policy_kwargs=settings,
        tensorboard_log=None if board is None else str(board),
        seed=seed,
        device="cpu",
        _init_setup_model=setup,
    )


def _dqn(plan: Train, level: Level, lanes: Any, seed: int, board: Path | None) -> DQN:
    given = plan.dqn
    assert given is not None
    policy, settings = policy_of(plan, level)
    steps = max(1, given.train_every // plan.lanes)
    return DQN(
        policy,
        lanes,
        learning_rate=_rate(plan),
        buffer_size=max(given.buffer, plan.lanes),
        learning_starts=given.starts,
        batch_size=plan.batch,
        gamma=plan.gamma,
        train_freq=steps,
        gradient_steps=max(1, steps * plan.lanes // given.train_every),
        target_update_interval=given.target_every,
        exploration_fraction=given.explore,
        exploration_final_eps=given.explore_to,
        max_grad_norm=given.max_grad,
        policy_kwargs=settings,
        tensorboard_log=None if board is None else str(board),
        seed=seed,
        device="cpu",
    )


def _rate(plan: Train) -> float | Callable[[float], float]:
    """The learning rate, or what it is by the share of the training that is still to come."""
    rate = plan.learning_rate
    if plan.schedule == "linear":
        return lambda remaining: rate * remaining
    if plan.schedule == "cosine":
        return lambda remaining: rate * 0.5 * (1.0 - cos(pi * remaining))
    return rate
