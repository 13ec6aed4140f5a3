"""Gymnasium environments over the accounts of the replay: one, and many in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.kernels.reward import BOOK
from wfbt.learn.episodes import Draws, Episodes
from wfbt.learn.lanes import Lanes
from wfbt.learn.stage import Stage

try:
    import gymnasium as gym
    from gymnasium import spaces
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ImportError as missing:
    raise ConfigError(f'environments need gymnasium ({missing}); install it with: pip install "wfbt[rl]"') from missing

F4 = npt.NDArray[np.float32]
F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
B1 = npt.NDArray[np.bool_]
Info = dict[str, Any]

LARGEST = np.finfo(np.float32).max


def spaces_of(stage: Stage) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    """Observation and action space of one lane.

    An observation is the X features and what the account sees of itself, finite float32.  An action is a choice, one of
    each asset where there are several, or a box: the directions in −1..1 and then, of a map that has them, the sizes in
    0..1.
    """
    seen = spaces.Box(-LARGEST, LARGEST, (stage.width,), np.float32)
    actions, assets = stage.actions, stage.assets
    if stage.discrete:
        return seen, spaces.Discrete(actions.outputs) if assets == 1 else spaces.MultiDiscrete(
            [actions.outputs] * assets
        )
    low = np.full(actions.outputs, -1.0, np.float32)
    low[assets:] = 0.0
    return seen, spaces.Box(low, np.ones_like(low), dtype=np.float32)


class TradingEnv(gym.Env[F4, Any]):
    """One account that decides at every decision bar's close.

    An observation is all that is known at a close; the action is filled on a later bar, and the step returns with the
    next close.  `terminated` says that the account was liquidated, has lost everything or is stopped for good by its
    drawdown limit; `truncated` that the episode's rows are at their end.

    Parameters
    ----------
    stage : Stage
    episodes : Episodes
    seed : int
        Of the draws of episodes until `reset` is given another.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own attribute

    def __init__(self, stage: Stage, episodes: Episodes, *, seed: int = 0) -> None:
        self.stage, self.render_mode = stage, None
        self.lanes = Lanes(stage, episodes, 1, seed=seed)
        self.observation_space, self.action_space = spaces_of(stage)
        self._seed = seed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[F4, Info]:
        """Begin the next episode, or the one whose number is given as options["episode"]."""
        if seed is None and self._np_random is None:
            seed = self._seed
        super().reset(seed=seed)
        if seed is not None:
            self.lanes.draws = Draws(self.lanes.episodes, seed, 1)
        _, numbers = _asked(options, self.lanes)
        self.lanes.begin(np.zeros(1, np.int64), numbers)
        return self.lanes.seen[0].copy(), self._info()

    def step(self, action: Any) -> tuple[F4, float, bool, bool, Info]:
        """Decide, and stand at the next close."""
        lanes = self.lanes
        if lanes.over[0]:
            raise ConfigError("the episode is over: call reset before the next step")
        lanes.step(self.stage.targets(np.asarray(action)[np.newaxis]))
        ended = bool(lanes.terminated[0]), bool(lanes.truncated[0])
        return lanes.seen[0].copy(), float(lanes.rewards[0]), *ended, self._info()

    def _info(self) -> Info:
        lanes = self.lanes
        money = {name: float(lanes.books[0, k]) for k, name in enumerate(BOOK)}
        return {**money, "position": lanes.positions[0].copy(), "bar": int(lanes.bar[0])}


class TradingVectorEnv(VectorEnv[F4, Any, Any]):
    """N accounts, stepped by one call.

    With NEXT_STEP an episode that is over begins anew in the call after: its action is ignored and its reward 0.  With
    SAME_STEP it begins anew in the call that ends it; info then holds the last observation as `final_obs` and the
    account as it ended as `final_info`.

    Parameters
    ----------
    stage : Stage
    episodes : Episodes
    count : int
        N.
    seed : int
        Of the draws of episodes until `reset` is given another.
    jobs : int
        Threads; they change no number.
    autoreset : AutoresetMode
    copy : bool
        Whether each observation is an array of its own; without, it is overwritten by the step after the next.
    """

    def __init__(
        self,
        stage: Stage,
        episodes: Episodes,
        count: int,
        *,
        seed: int = 0,
        jobs: int = 1,
        autoreset: AutoresetMode = AutoresetMode.NEXT_STEP,
        copy: bool = True,
    ) -> None:
        self.stage, self.num_envs, self.autoreset, self.copy = stage, count, autoreset, copy
        self.metadata = {"render_modes": [], "autoreset_mode": autoreset}
        self.lanes = Lanes(stage, episodes, count, seed=seed, jobs=jobs)
        self.single_observation_space, self.single_action_space = spaces_of(stage)
        self.observation_space = batch_space(self.single_observation_space, count)
        self.action_space = batch_space(self.single_action_space, count)
        self._seed = seed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[F4, Info]:
        """Begin episodes in all lanes, or in those of options["reset_mask"] (N,) bool.

        options["episode"] (N,) int are their numbers; else each lane draws its next.
        """
        if seed is None and self._np_random is None:
            seed = self._seed
        super().reset(seed=seed)
        if seed is not None:
            self.lanes.draws = Draws(self.lanes.episodes, seed, self.num_envs)
        chosen, numbers = _asked(options, self.lanes)
        self.lanes.begin(chosen, numbers)
        return self._shown(), self._info()

    def step(self, actions: Any) -> tuple[F4, F8, B1, B1, Info]:
        """Decide in every lane, and stand at the next close."""
        lanes = self.lanes
        waiting = np.flatnonzero(lanes.over)
        if len(waiting) and self.autoreset == AutoresetMode.DISABLED:
            raise ConfigError(f"the episode of lane {waiting[0]} is over: call reset with a reset_mask")
        ended = lanes.step(self.stage.targets(actions))
        info: Info = {}
        if self.autoreset == AutoresetMode.NEXT_STEP:
            if len(waiting):
                lanes.begin(waiting)
        elif ended and self.autoreset == AutoresetMode.SAME_STEP:
            over = np.flatnonzero(lanes.over)
            info = self._final(over)
            lanes.begin(over)
        rewards, terminated, truncated = lanes.rewards.copy(), lanes.terminated.copy(), lanes.truncated.copy()
        return self._shown(), rewards, terminated, truncated, self._info() | info

    def close_extras(self, **kwargs: Any) -> None:
        """End the threads."""
        self.lanes.close()

    def _shown(self) -> F4:
        return self.lanes.seen.copy() if self.copy else self.lanes.seen

    def _info(self) -> Info:
        lanes = self.lanes
        books, every = lanes.books.copy(), np.ones(self.num_envs, bool)
        info: Info = {name: books[:, k] for k, name in enumerate(BOOK)}
        info |= {"position": lanes.positions.copy(), "bar": lanes.bar.copy()}
        return info | {f"_{name}": every for name in info}

    def _final(self, over: I8) -> Info:
        """What is left of episodes that are over."""
        mask = np.zeros(self.num_envs, bool)
        mask[over] = True
        last = np.full(self.num_envs, None, object)
        for lane in over:
            last[lane] = self.lanes.seen[lane].copy()
        ended = self._info()
        masks = {name: mask for name in ended if name.startswith("_")}
        return {"final_obs": last, "_final_obs": mask, "final_info": ended | masks, "_final_info": mask}


def _asked(options: dict[str, Any] | None, lanes: Lanes) -> tuple[I8, I8 | None]:
    """Lanes to begin anew, and the numbers of their episodes; None: the next that they draw."""
    options = options or {}
    if bad := [name for name in options if name not in ("episode", "reset_mask")]:
        raise ConfigError(f"reset has no option {bad[0]!r}; it has episode and reset_mask")
    chosen = np.arange(len(lanes))
    if "reset_mask" in options:
        mask = np.asarray(options["reset_mask"])
        if mask.shape != (len(lanes),) or mask.dtype != bool or not mask.any():
            raise ConfigError(f"reset_mask must be {len(lanes)} bools, one of them true")
        chosen = np.flatnonzero(mask)
    if "episode" not in options:
        return chosen, None
    numbers = np.broadcast_to(np.asarray(options["episode"], np.int64), len(lanes))[chosen]
    if ((numbers < 0) | (numbers >= len(lanes.episodes))).any():
        raise ConfigError(f"there is no episode {numbers.max()}: there are {len(lanes.episodes)}, from 0")
    return chosen, numbers
