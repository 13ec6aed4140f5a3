"""A trained policy that decides: networks from an artefact, asked about the features that they were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import ArtifactError, ConfigError
from wfbt.features.learners import Frames
from wfbt.features.spec import FeatureSpec
from wfbt.policy.artifact.building import build_actions
from wfbt.policy.artifact.description import Joined, Level
from wfbt.policy.artifact.graph import Graph
from wfbt.policy.artifact.load import Artifact
from wfbt.policy.artifact.load import Member as Trained
from wfbt.policy.artifact.manifest import Provenance
from wfbt.policy.columns import Columns
from wfbt.policy.council import SEEN, Deliberation, Member
from wfbt.policy.network import Network
from wfbt.policy.slow import GraphMember
from wfbt.policy.wording import near

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
OF = "/"
"""Between symbol and name, in an observation of several symbols at once: BTCUSDT/rsi_14."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """A network, or a manager and its worker, as the strategy file names it.

    Attributes
    ----------
    name : str
        As written there.
    artifact : Artifact
    spec : FeatureSpec
        Of every feature that any of its networks observes.
    least : float
        An action less probable than this is no action: it abstains; 0: any is one.
    section : str
        Where the strategy file names it.
    base : Path
        The folder from which functions of features are found.
    """

    kind: ClassVar[str] = "network"
    fitted: ClassVar[bool] = False
    per_symbol: ClassVar[bool] = False

    name: str
    artifact: Artifact
    spec: FeatureSpec
    least: float = 0.0
    section: str = "policy"
    base: Path = Path()

    def __post_init__(self) -> None:
        manifest = self.artifact.manifest
        for name, level in manifest.levels.items():
            for seen in level.account:
                if (own := seen.rpartition(OF)[2]) not in SEEN:
                    raise ArtifactError(
                        f"{self.name}: levels.{name}.account names {own!r}{near(own, SEEN)}; an account sees "
                        f"{', '.join(SEEN)}"
                    )
        if manifest.provenance is Provenance.RECORDED and manifest.features_sha256 != self.spec.sha256:
            raise ArtifactError(
                f"{self.name}: was trained on features of sha256 {str(manifest.features_sha256)[:12]}…, this version "
                f"computes {self.spec.sha256[:12]}…; train again, or use the version that trained it"
            )

    @property
    def place(self) -> str:
        """Name for messages, after the section where a strategy has several."""
        return self.name if self.section == "policy" else f"{self.section}: {self.name}"

    @property
    def source_sha256(self) -> str:
        """Of the artefact, and of what its features are."""
        return self.artifact.sha256

    @property
    def seeds(self) -> tuple[int, ...]:
        """Numbers of the members that were read, 0 … where the manifest knows none."""
        known = (member.seed for member in self.artifact.members)
        return tuple(number if seed is None else seed for number, seed in enumerate(known))

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The seed alone."""
        return {"seed": self.seeds[0]}

    @property
    def watches(self) -> bool:
        """Whether it observes anything of its account."""
        return any(level.account for level in self.artifact.manifest.levels.values())

    @property
    def slow(self) -> bool:
        """Whether it is a graph that is asked in Python."""
        return any(isinstance(one, Graph) for member in self.artifact.members for one in member.levels.values())

    def bind(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The seed; ConfigError on anything else, or one that was not trained."""
        for key in params:
            if key != "seed":
                raise ConfigError(f"{self.section}.params.{key} is not a parameter of a model; it takes seed")
        seed = params.get("seed", self.seeds[0])
        if seed not in self.seeds:
            raise ConfigError(
                f"{self.section}.params.seed must be one of {', '.join(map(str, self.seeds))}, the seeds of "
                f"{self.name}, was {seed!r}"
            )
        return {"seed": seed}

    def is_valid(self, params: Mapping[str, Any]) -> bool:
        """Whether there is such a member."""
        return self.bind(params) is not None

    def label_horizon(self, params: Mapping[str, Any]) -> int:
        """Nothing is fitted here."""
        return 0

    def columns(self, frames: Frames, params: Mapping[str, Any], train: I8 | None = None) -> dict[str, Columns]:
        """What it wants of each symbol; on paper, if it watches its account."""
        if self.slow:
            return self._slowly(params).columns_of(frames, self.spec.matrix(frames))
        clock, places = on_one_clock(frames)
        closes = {symbol: frame["close"].to_numpy(np.float64) for symbol, frame in frames.items()}
        return self.deliberation(frames, params).on_paper(closes, places, len(clock))

    def settled(self, frames: Frames, params: Mapping[str, Any], train: I8 | None) -> Learned:
        """It has learnt what it will."""
        return self

    def opinion(self, frames: Frames, params: Mapping[str, Any], train: I8 | None = None) -> dict[str, Columns]:
        """The same."""
        return self.columns(frames, params, train)

    def deliberation(self, frames: Frames, params: Mapping[str, Any], train: I8 | None = None) -> Deliberation:
        """What its networks decide by, on `frames`."""
        if self.slow:
            graph = self._slowly(params)
            graph.check(len(frames))
            return Deliberation(members=(), features=self.spec.matrix(frames), slow=graph)
        symbols = tuple(frames)
        members = []
        member = self._member(params)
        for name, level in self._levels:
            each, features, own = self._read(level, symbols)
            network = member.levels[name]
            assert isinstance(network, Network)
            members.append(
                Member(
                    network=network,
                    actions=build_actions(level.actions),
                    columns=tuple(self.spec.names.index(one) for one in features),
                    seen=own,
                    least=self.least if level.period is None else 0.0,
                    each=each,
                    every=level.period or 0,
                    joins=(level.joins or Joined.ONE_HOT).value,
                )
            )
        return Deliberation(members=tuple(members), features=self.spec.matrix(frames))

    @property
    def _levels(self) -> Sequence[tuple[str, Level]]:
        levels = self.artifact.manifest.levels
        return [(name, levels[name]) for name in ("manager", "worker", "policy") if name in levels]

    def _member(self, params: Mapping[str, Any]) -> Trained:
        return self.artifact.members[self.seeds.index(self.bind(params)["seed"])]

    def _slowly(self, params: Mapping[str, Any]) -> GraphMember:
        (name, level), *others = self._levels
        graph = self._member(params).levels[name]
        if others or not isinstance(graph, Graph):
            raise ArtifactError(f"{self.place}: a manager and its worker must both be plain networks")
        return GraphMember(
            graph=graph,
            actions=build_actions(level.actions),
            columns=tuple(self.spec.names.index(one) for one in level.features),
            seen=level.account,
            name=self.place,
        )

    @cached_property
    def trained_on(self) -> tuple[str, ...]:
        """Symbols, in the order of the manifest."""
        return self.artifact.manifest.data.symbols

    def _read(self, level: Level, symbols: Sequence[str]) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
        """Whether it is asked about each symbol by itself, the features of one symbol, and what is seen of accounts."""
        if not any(OF in one for one in (*level.features, *level.account)):
            return len(symbols) > 1, level.features, level.account
        own = tuple(one.partition(OF)[2] for one in level.features if one.partition(OF)[0] == symbols[0])
        of_asset = tuple(one.partition(OF)[2] for one in level.account if one.partition(OF)[0] == symbols[0])
        whole = tuple(one for one in level.account if OF not in one)
        features = tuple(f"{symbol}{OF}{one}" for symbol in symbols for one in own)
        account = (*(f"{symbol}{OF}{one}" for symbol in symbols for one in of_asset), *whole)
        if level.features != features or level.account != account:
            raise ArtifactError(
                f"{self.place}: observes {', '.join(level.features[:3])}, … of {', '.join(self.trained_on)}; it must "
                f"trade these symbols in this order, and the strategy trades {', '.join(symbols)}"
            )
        return False, own, (*of_asset, *whole)


def spec_of(artifact: Artifact, given: Sequence[Any] | str | None = None, load: Any = None) -> FeatureSpec:
    """The features that an artefact's networks observe, computed as `given` says where it says anything."""
    names = dict.fromkeys(
        one.rpartition(OF)[2] for level in artifact.manifest.levels.values() for one in level.features
    )
    spec = FeatureSpec.parse(list(names) if given is None else given, load)
    if missing := [one for one in names if one not in spec.names]:
        raise ArtifactError(
            f"{artifact.path}: observes {missing[0]}, which policy.features does not name; there are "
            f"{', '.join(spec.names)}"
        )
    return spec


def on_one_clock(frames: Frames) -> tuple[I8, dict[str, I8]]:
    """Closes (T,) of the bars of any symbol, ns UTC, and the places of each symbol's own among them."""
    own = {symbol: pd.DatetimeIndex(frame.index).as_unit("ns").asi8 for symbol, frame in frames.items()}
    clock = np.unique(np.concatenate(list(own.values())))
    return clock, {symbol: np.searchsorted(clock, closes) for symbol, closes in own.items()}
