"""Arrays as a model keeps them: of one shape, finite, and nobody's to change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError

F8 = npt.NDArray[np.float64]

SUMS = 1e-8
"""How far probabilities may be from summing to 1."""


def frozen(array: npt.ArrayLike) -> F8:
    """A contiguous copy that nobody can write to, as kernels take their inputs."""
    out = np.array(array, np.float64, order="C")
    out.flags.writeable = False
    return out


def shaped(name: str, given: npt.ArrayLike, shape: tuple[int, ...]) -> F8:
    array = frozen(given)
    if array.shape != shape:
        raise ConfigError(f"{name} must be of shape {shape}, was {array.shape}")
    if not np.isfinite(array).all():
        raise ConfigError(f"{name} must be finite, was {array.tolist()}")
    return array


def check_probabilities(name: str, given: F8) -> None:
    """ConfigError unless they are ≥ 0 and sum to 1 along the last axis."""
    if (given < 0.0).any() or (np.abs(given.sum(axis=-1) - 1.0) > SUMS).any():
        raise ConfigError(f"{name}: probabilities must be >= 0 and sum to 1, were {given.tolist()}")


def cumulative(probabilities: F8) -> F8:
    """Along the last axis, ending at 1 whatever the rounding."""
    out = np.cumsum(probabilities, axis=-1)
    out[..., -1] = 1.0
    return frozen(out)
