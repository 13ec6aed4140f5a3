"""Graphs that only ONNX Runtime can run, as columns: asked in batches, or bar by bar where they remember."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError
from wfbt.features.learners import Frames
from wfbt.features.spec import FeatureSpec
from wfbt.policy.actions import Continuous, Discrete
from wfbt.policy.artifact.building import build_actions
from wfbt.policy.artifact.description import Level
from wfbt.policy.artifact.graph import Graph
from wfbt.policy.columns import Columns

F8 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphColumns:
    """One graph, asked about each symbol by itself, its target divided by their number.

    Attributes
    ----------
    graph : Graph
    level : Level
        What it observes and what its outputs mean.
    spec : FeatureSpec
    name : str
        For messages.
    """

    graph: Graph
    level: Level
    spec: FeatureSpec
    name: str

    def columns(self, frames: Frames, features: Mapping[str, F8]) -> dict[str, Columns]:
        """What it wants of each symbol; a row of which any feature is not known names nothing.

        What it remembers goes on from known row to known row.
        """
        actions = build_actions(self.level.actions)
        if self.level.account:
            raise ArtifactError(
                f"{self.name}: an ONNX graph that is no plain network and observes its account "
                f"({', '.join(self.level.account)}) is not replayed: each bar would be asked in Python; train it "
                "without, or export it as a plain network"
            )
        if actions.assets != 1:
            raise ArtifactError(f"{self.name}: a graph with targets for {actions.assets} symbols is not replayed")
        columns = [self.spec.names.index(one) for one in self.level.features]
        return {symbol: Columns(target=self._targets(features[symbol][:, columns], actions, len(frames)))
                for symbol in frames}  # fmt: skip

    def _targets(self, observations: F8, actions: Discrete | Continuous, symbols: int) -> F8:
        known = np.isfinite(observations).all(axis=1)
        target = np.full(len(observations), np.nan)
        if not known.any():
            return target
        values = self.graph.values(observations[known])
        whole = np.isfinite(values).all(axis=1)
        said = np.full(len(values), np.nan)
        if isinstance(actions, Discrete):
            said[whole] = actions.to_targets(values[whole].argmax(axis=1).astype(np.int64))[:, 0]
        else:
            said[whole] = actions.to_targets(np.clip(values[whole], -1.0, 1.0))[:, 0]
        target[known] = said / symbols
        return target
