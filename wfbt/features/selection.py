"""Features that say what an earlier one says already, found on training rows and left out ever after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError, ConfigError
from wfbt.features.learners import FitRows
from wfbt.features.scaling import Closes, Matrices, fit_rows, training_rows

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A feature that was left out, the earlier one that it follows, and their correlation on training rows."""

    name: str
    like: str
    rho: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """The features that are observed.

    Attributes
    ----------
    kept : tuple of int
        Columns, increasing.
    names : tuple of str
        Of those.
    dropped : tuple of Dropped
    fits : tuple of FitRows
        The training rows of each symbol that were read.
    """

    kept: tuple[int, ...]
    names: tuple[str, ...]
    dropped: tuple[Dropped, ...] = ()
    fits: tuple[FitRows, ...] = ()

    def apply(self, matrix: F8) -> F8:
        """(T, kept) of (T, F)."""
        return np.ascontiguousarray(matrix[:, list(self.kept)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return {
            "kept": list(self.names),
            "dropped": [{"name": one.name, "like": one.like, "rho": one.rho} for one in self.dropped],
        }


def everything(names: Sequence[str]) -> Selection:
    """Nothing left out, nothing learnt."""
    return Selection(kept=tuple(range(len(names))), names=tuple(names))


def drop_correlated(most: float, names: Sequence[str], matrices: Matrices, closes: Closes, train: I8) -> Selection:
    """Leave out, in order, each feature whose |ρ| with a kept earlier one is above `most` on complete training rows.

    ρ is Pearson's, of all symbols together.  A feature that is constant there correlates with nothing, and is kept: the
    scaler says of it that it is.  Arguments are those of `fit_scaler`; `most` lies in (0, 1].
    """
    if not 0 < most <= 1:
        raise ConfigError(f"features: a correlation to drop above lies in (0, 1], was {most}")
    rows, read = training_rows(names, matrices, closes, train)
    moved = rows - rows.mean(axis=0)
    moved[:, rows.min(axis=0) == rows.max(axis=0)] = 0.0
    size = np.sqrt((moved**2).sum(axis=0))
    unit = moved / np.where(size > 0, size, 1.0)
    kept: list[int] = []
    dropped: list[Dropped] = []
    for place, name in enumerate(names):
        # No product of matrices: its sums would hang on how many threads make it.
        rho = (unit[:, kept] * unit[:, [place]]).sum(axis=0)
        closest = int(np.argmax(np.abs(rho))) if kept else -1
        if kept and abs(rho[closest]) > most:
            dropped.append(Dropped(name=name, like=names[kept[closest]], rho=float(rho[closest])))
        else:
            kept.append(place)
    notes = tuple(f"{one.name} is left out: ρ {one.rho:.3f} with {one.like}" for one in dropped)
    return Selection(
        kept=tuple(kept), names=tuple(names[i] for i in kept), dropped=tuple(dropped), fits=fit_rows(read, notes)
    )


def selection_of(names: Sequence[str], given: Mapping[str, Any]) -> Selection:
    """What `Selection.to_dict` wrote, for features called `names`; ArtifactError on anything else."""
    kept, dropped = given.get("kept"), given.get("dropped")
    if not isinstance(kept, list) or not kept or [one for one in names if one in kept] != kept:
        raise ArtifactError(f"features: kept must be some of {', '.join(names)}, in their order, was {kept!r}")
    if not isinstance(dropped, list) or not all(_said(one) for one in dropped):
        raise ArtifactError("features: dropped must be a list of {name, like, rho}")
    return Selection(
        kept=tuple(names.index(one) for one in kept),
        names=tuple(kept),
        dropped=tuple(Dropped(name=one["name"], like=one["like"], rho=float(one["rho"])) for one in dropped),
    )


def _said(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and set(one) == {"name", "like", "rho"}
        and isinstance(one["name"], str)
        and isinstance(one["like"], str)
        and isinstance(one["rho"], float)
    )
