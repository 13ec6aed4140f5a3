"""Lanes as Stable-Baselines3 wants them: one object, no Python per lane."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.learn.env import F4, spaces_of
from wfbt.learn.episodes import Draws, Episodes
from wfbt.learn.lanes import Lanes
from wfbt.learn.stage import Stage

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as missing:
    raise ConfigError(
        f'training needs stable-baselines3 ({missing}); install it with: pip install "wfbt[rl]"'
    ) from missing


class LaneVecEnv(VecEnv):
    """N lanes behind one call.  An episode that is over begins anew in the same step.

    Infos are empty but for lanes whose episode has just ended.  Those hold `terminal_observation`,
    `TimeLimit.truncated` (so that the value of what would have come is added where only the rows were at their end,
    and not after a liquidation), `episode` (r: sum of rewards, l: steps, t: 0, no clock being read) and `equity`.  The
    empty ones are one and the same dict: write nothing into it.

    Observations are those of `Lanes`: overwritten by the step after the next, which is later than any algorithm of
    Stable-Baselines3 looks.

    Parameters
    ----------
    stage, episodes, count, seed, jobs
        As of `TradingVectorEnv`.
    """

    def __init__(self, stage: Stage, episodes: Episodes, count: int, *, seed: int = 0, jobs: int = 1) -> None:
        self.stage = stage
        self.lanes = Lanes(stage, episodes, count, seed=seed, jobs=jobs)
        super().__init__(count, *spaces_of(stage))
        self._blank: list[dict[str, Any]] = [{}] * count
        self._targets = np.zeros((count, stage.assets))

    def reset(self) -> F4:
        """Begin episodes in all lanes; after `seed`, with its draws."""
        if self._seeds[0] is not None:
            self.lanes.draws = Draws(self.lanes.episodes, self._seeds[0], self.num_envs)
        self._reset_seeds()
        self._reset_options()
        self.lanes.begin(np.arange(self.num_envs))
        return self.lanes.seen

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Keep what the actions mean for `step_wait`."""
        self._targets = self.stage.targets(actions)

    def step_wait(self) -> tuple[F4, F4, npt.NDArray[np.bool_], list[dict[str, Any]]]:
        """Step all lanes."""
        lanes = self.lanes
        ended = lanes.step(self._targets)
        rewards, dones, infos = lanes.rewards.astype(np.float32), lanes.over.copy(), self._blank
        if ended:
            infos = infos.copy()
            over = np.flatnonzero(dones)
            for lane in over:
                infos[lane] = self.ended(int(lane))
            lanes.begin(over)
        return lanes.seen, rewards, dones, infos

    def ended(self, lane: int) -> dict[str, Any]:
        """What is told of a lane whose episode is over, before the next begins."""
        lanes = self.lanes
        return {
            "terminal_observation": lanes.seen[lane].copy(),
            "TimeLimit.truncated": bool(lanes.truncated[lane]),
            "episode": {
                "r": float(lanes.memory["rewards"][lane]),
                "l": int(lanes.bar[lane] - lanes.began[lane]),
                "t": 0.0,
            },
            "equity": float(lanes.books[lane, 0]),
        }

    def close(self) -> None:
        """End the threads."""
        self.lanes.close()

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """The same attribute for every lane."""
        if attr_name == "render_mode":
            return [None for _ in self._get_indices(indices)]
        return [getattr(self.lanes, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Refused: lanes have nothing that may be set."""
        raise ConfigError(f"lanes have nothing to be set, {attr_name} was to be; build another stage")

    def env_method(
        self, method_name: str, *method_args: Any, indices: int | Iterable[int] | None = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refused: lanes are no objects that could be called."""
        raise ConfigError(f"lanes are not objects of their own, so {method_name} cannot be called on them")

    def env_is_wrapped(self, wrapper_class: Any, indices: int | Iterable[int] | None = None) -> list[bool]:
        """No lane is wrapped."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[npt.NDArray[np.uint8] | None]:
        """Nothing is drawn."""
        return [None] * self.num_envs
