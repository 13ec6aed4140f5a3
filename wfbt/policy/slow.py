"""Graphs that only ONNX Runtime can run: asked in batches, or bar by bar where they remember or watch their account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, nan

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError
from wfbt.features.learners import Frames
from wfbt.policy.actions import Continuous, Discrete
from wfbt.policy.artifact.graph import Graph, Stepper
from wfbt.policy.columns import Columns

F8 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphMember:
    """One graph that decides alone.

    Attributes
    ----------
    graph : Graph
    actions : Discrete or Continuous
    columns : tuple of int
        Which columns of the features it reads, in its order.
    seen : tuple of str
        What it sees of its account: then it is asked in Python at each bar, some 10 to 100 µs, of one symbol alone.
    name : str
        For messages.
    """

    graph: Graph
    actions: Discrete | Continuous
    columns: tuple[int, ...]
    seen: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        if self.actions.assets != 1:
            raise ArtifactError(f"{self.name}: a graph with targets for {self.actions.assets} symbols is not replayed")

    def columns_of(self, frames: Frames, features: Mapping[str, F8]) -> dict[str, Columns]:
        """What it wants of each symbol, its target divided by their number; on paper, if it watches its account.

        A row of which any feature is not known names nothing, and what it remembers goes on from known row to known
        row.
        """
        self.check(len(frames))
        out = {}
        for symbol, frame in frames.items():
            rows = features[symbol][:, list(self.columns)]
            if self.seen:
                target = self._on_paper(rows, frame["close"].to_numpy(np.float64))
            else:
                target = self._in_batches(rows) / len(frames)
            out[symbol] = Columns(target=target)
        return out

    def check(self, symbols: int) -> None:
        """ArtifactError where it would watch an account of several symbols."""
        if self.seen and symbols > 1:
            raise ArtifactError(
                f"{self.name}: an ONNX graph that watches its account ({', '.join(self.seen)}) is replayed of one "
                f"symbol alone, and the strategy trades {symbols}"
            )

    def _in_batches(self, rows: F8) -> F8:
        known = np.isfinite(rows).all(axis=1)
        target = np.full(len(rows), nan)
        if known.any():
            target[known] = [self.wanted(values) for values in self.graph.values(rows[known])]
        return target

    def asked(self, stepper: Stepper, features: F8, view: F8) -> float:
        """Its target after this bar's features and what its account sees; NaN where any of it is not known."""
        observation = np.concatenate([features, view])
        return self.wanted(stepper.step(observation)) if np.isfinite(observation).all() else nan

    def wanted(self, values: F8) -> float:
        """The target that outputs (O,) stand for; NaN where its window is not full."""
        if not np.isfinite(values).all():
            return nan
        if isinstance(self.actions, Discrete):
            return float(self.actions.to_targets(np.array([int(values.argmax())]))[0, 0])
        return float(self.actions.to_targets(np.clip(values, -1.0, 1.0)[None])[0, 0])

    def _on_paper(self, rows: F8, close: F8) -> F8:
        """(T,) targets where each is had at once, at the close and for nothing: as `wfbt.kernels.rollout.on_paper`."""
        stepper, target = self.graph.stepper(), np.full(len(rows), nan)
        weight, entry, held, worth, peak = 0.0, nan, 0, 1.0, 1.0
        for t, features in enumerate(rows):
            earned = weight * (close[t] / close[t - 1] - 1.0) if t else 0.0
            worth = max(worth * (1.0 + earned), 1e-9)
            peak = max(peak, worth)
            held = held + 1 if weight else 0
            told = {
                "position": weight,
                "target": weight,
                "unrealised": float(np.sign(weight)) * (close[t] / entry - 1.0) if weight else 0.0,
                "holding": log(1.0 + held),
                "drawdown": 1.0 - worth / peak,
                "gross": abs(weight),
                "today": earned,
            }
            wanted = self.asked(stepper, features, np.array([told[name] for name in self.seen]))
            target[t] = wanted
            if wanted == wanted and wanted != weight:
                if wanted * weight <= 0.0:
                    entry, held = close[t], 0
                weight = wanted
        return target
