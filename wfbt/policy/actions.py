"""What a network's actions mean: the targets that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf, isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError
from wfbt.kernels.network import weigh_many

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrete:
    """A finite choice, of one asset: action k moves it to `targets[k]`.

    Attributes
    ----------
    targets : tuple of float
        Signed fraction of equity of each action, at least two.  NaN leaves the position alone: (nan, 1.0, −1.0) is
        hold, long, short.
    """

    targets: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(float(one) for one in self.targets))
        if len(self.targets) < 2:
            raise ArtifactError(f"the action map: targets must be at least 2, were {list(self.targets)}")
        if bad := [one for one in self.targets if isinf(one)]:
            raise ArtifactError(f"the action map: a target must be finite or NaN (hold), was {bad[0]}")
        if all(isnan(one) for one in self.targets):
            raise ArtifactError("the action map: every target is NaN (hold), so nothing would ever trade")

    @property
    def outputs(self) -> int:
        """Outputs of the network that chooses."""
        return len(self.targets)

    @property
    def assets(self) -> int:
        """Assets it has targets for."""
        return 1

    def pack(self) -> F8:
        """(K,) table of the targets, read-only, for `wfbt.kernels.network.target_of`."""
        table = np.array(self.targets)
        table.flags.writeable = False
        return table

    def to_targets(self, actions: npt.ArrayLike) -> F8:
        """(N, 1) targets of the actions (N,), of which −1, nothing known, leaves the position alone."""
        given = np.asarray(actions)
        if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
            raise ArtifactError(f"the action map: actions must be (N,) whole numbers, were {_form(given)}")
        if (bad := np.flatnonzero((given < -1) | (given >= len(self.targets)))).size:
            raise ArtifactError(
                f"the action map: action {given[bad[0]]} in row {bad[0]} has no target: it holds {len(self.targets)}"
            )
        out: F8 = np.array([*self.targets, np.nan])[given]  # −1 finds the NaN at the end
        return out[:, np.newaxis]


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuous:
    """A direction, and where `sized` a size, of each asset: target = direction × size.

    Attributes
    ----------
    assets : int
        An action holds the A directions first and then, where sized, the A sizes: 2A numbers.  Directions are taken
        in −1..1 and sizes in 0..1: a size below 0 is none, and never turns a direction round.
    sized : bool
        False: an action is the A directions alone, and they are the targets.
    dead_zone : float
        In 0..1 (less than 1).  A target of this size or less is 0: flat, not held.
    """

    assets: int
    sized: bool = True
    dead_zone: float = 0.0

    def __post_init__(self) -> None:
        if self.assets < 1:
            raise ArtifactError(f"the action map: assets must be >= 1, was {self.assets}")
        if not 0.0 <= self.dead_zone < 1.0:
            raise ArtifactError(f"the action map: dead_zone must be >= 0 and < 1, was {self.dead_zone}")

    @property
    def outputs(self) -> int:
        """Outputs of the network that decides."""
        return self.assets * (2 if self.sized else 1)

    def to_targets(self, actions: npt.ArrayLike) -> F8:
        """(N, A) targets of the actions (N, A or 2A); NaN, nothing known, leaves the position alone."""
        given = np.ascontiguousarray(actions, np.float64).view()
        if given.ndim != 2 or given.shape[1] != self.outputs:
            raise ArtifactError(f"the action map: actions must be (N, {self.outputs}), were {_form(given)}")
        given.flags.writeable = False
        out = np.empty((len(given), self.assets))
        weigh_many(given, self.sized, self.dead_zone, out)
        return out


def _form(array: npt.NDArray[Any]) -> str:
    return f"{array.shape} of {array.dtype}"
