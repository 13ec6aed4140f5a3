"""What a learned policy observes: features computed, thinned out and scaled; learnt on training rows, then frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError
from wfbt.features.learners import FitRows, Frames
from wfbt.features.market_regimes import closes_of
from wfbt.features.scaling import CLIP, Method, Scaler, fit_scaler
from wfbt.features.selection import Selection, drop_correlated, everything, selection_of
from wfbt.features.spec import FeatureSpec

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationPlan:
    """How observations are made, before any bar is seen.

    Attributes
    ----------
    spec : FeatureSpec
    scaling : str
        As the method of a `Scaler`.
    clip : float
    window : int
        Rows of rolling scaling.
    correlation : float or None
        The |ρ| above which a later feature is left out; None: all are kept.
    """

    spec: FeatureSpec
    scaling: Method = "zscore"
    clip: float = CLIP
    window: int = 0
    correlation: float | None = None

    def fit(self, frames: Frames, train: I8) -> Observation:
        """Learn from the rows of `frames` that close at one of `train` (ns UTC).

        `frames` are whole: features of the first training rows are made of rows before them, as they are in life.
        """
        matrices = self.spec.matrix(frames)
        closes = {symbol: closes_of(frame) for symbol, frame in frames.items()}
        selection = everything(self.spec.names)
        if self.correlation is not None:
            selection = drop_correlated(self.correlation, self.spec.names, matrices, closes, train)
        kept = {symbol: selection.apply(matrix) for symbol, matrix in matrices.items()}
        scaler = fit_scaler(self.scaling, selection.names, kept, closes, train, clip=self.clip, window=self.window)
        observation = Observation(spec=self.spec, selection=selection, scaler=scaler, notes=self.spec.notes(frames))
        for one in observation.fits:
            one.check(train)
        return observation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """A plan that has learnt.

    Attributes
    ----------
    spec, selection, scaler
        In the order in which they are applied.
    notes : tuple of str
        Of how features were made.
    """

    spec: FeatureSpec
    selection: Selection
    scaler: Scaler
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """F names, in the order of the columns."""
        return self.selection.names

    @property
    def fits(self) -> tuple[FitRows, ...]:
        """The training rows that were read, by step and symbol."""
        return (*self.selection.fits, *self.scaler.fits)

    def matrix(self, frames: Frames) -> dict[str, F8]:
        """(T, F) float64 of each symbol; row t is known at the close of bar t.

        A row with a NaN is NaN throughout: there is no observation, and the policy leaves the position alone.
        """
        made = self.spec.matrix(frames)
        return {symbol: self.scaler.apply(self.selection.apply(matrix)) for symbol, matrix in made.items()}

    def to_dict(self) -> dict[str, Any]:
        """The section `features` of a manifest: plain values, enough for `from_dict` with the same source."""
        notes = [*self.notes, *(note for one in self.fits for note in one.notes)]
        return {
            "features": self.spec.entries,
            "names": list(self.spec.names),
            "sha256": self.spec.sha256,
            "warmup": self.spec.warmup + self.scaler.warmup,
            "selection": self.selection.to_dict(),
            "scaler": self.scaler.to_dict(),
            "notes": list(dict.fromkeys(notes)),
        }

    @classmethod
    def from_dict(cls, spec: FeatureSpec, given: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote, for `spec` (parsed from its `features`); ArtifactError where the two differ."""
        if given.get("sha256") != spec.sha256:
            raise ArtifactError(
                "features: the manifest's sha256 is not that of these features as this version computes them "
                f"({str(given.get('sha256'))[:12]} and {spec.sha256[:12]}): train again, or use the version that did"
            )
        selection = selection_of(spec.names, given.get("selection", {}))
        scaler = Scaler.from_dict(given.get("scaler", {}))
        if scaler.names != selection.names:
            raise ArtifactError(
                f"features: the scaler is of {', '.join(scaler.names)}, and {', '.join(selection.names)} are observed"
            )
        return cls(spec=spec, selection=selection, scaler=scaler, notes=tuple(map(str, given.get("notes", ()))))
