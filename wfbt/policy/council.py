"""Several networks as one policy: who is asked, of what, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError
from wfbt.kernels.abi import Seen
from wfbt.kernels.network import LAYER
from wfbt.kernels.rollout import (
    AGREE,
    ALONE,
    DIRECTED,
    DISCRETE,
    ONE_HOT,
    SCALE,
    SIZED,
    TARGET,
    TOGETHER,
    VALUES,
    VETO,
    Council,
    on_paper,
)
from wfbt.policy.actions import Continuous, Discrete
from wfbt.policy.columns import Columns
from wfbt.policy.network import Network
from wfbt.policy.slow import GraphMember

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Mode = Literal["alone", "veto", "agree", "scale"]

JOINS: Mapping[str, int] = {"one_hot": ONE_HOT, "values": VALUES, "target": TARGET}
MODES: Mapping[str, int] = {"alone": ALONE, "veto": VETO, "agree": AGREE, "scale": SCALE}
SEEN = {one.name.lower(): one for one in Seen}
"""What an account can see of itself, by name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """One network of a council.

    Attributes
    ----------
    network : Network
    actions : Discrete or Continuous
        What its outputs stand for; of a manager, which names no target, how they are read.
    columns : tuple of int
        Which columns of the features it reads, in its order.
    seen : tuple of str
        What it sees of the account, names of SEEN in its order, those of assets before those of the whole.
    weight : float
        Its share of the sum; of a manager nothing.
    least : float
        An action less probable than this is no action; 0: any.
    each : bool
        Asked about each asset by itself, its target divided by their number.
    every : int
        A manager's decision bars from one goal to the next; 0: it is none.
    joins : "one_hot", "values" or "target"
        What a manager hands its worker.
    """

    network: Network
    actions: Discrete | Continuous
    columns: tuple[int, ...]
    seen: tuple[str, ...] = ()
    weight: float = 1.0
    least: float = 0.0
    each: bool = False
    every: int = 0
    joins: Literal["one_hot", "values", "target"] = "one_hot"

    def __post_init__(self) -> None:
        if self.network.outputs != self.actions.outputs:
            raise ArtifactError(
                f"the action map stands for {self.actions.outputs} outputs, and the network has {self.network.outputs}"
            )
        codes = [SEEN[name] for name in self.seen]
        if codes != sorted(codes, key=lambda code: code >= Seen.DRAWDOWN):
            raise ArtifactError(f"what is seen of assets comes before what is seen of the account, was {self.seen}")
        if self.least and self.network.head.kind != "categorical":
            raise ArtifactError(f"only a categorical head has probabilities to hold against {self.least:g}")
        if self.every and self.joins == "one_hot" and self.network.head.kind == "box":
            raise ArtifactError("a manager with a box head chooses no action to hand on: join it by values or target")

    @property
    def handed(self) -> int:
        """Numbers that a manager hands its worker; 0 of others."""
        if not self.every:
            return 0
        return self.actions.assets if self.joins == "target" else self.network.outputs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deliberation:
    """What networks decide by, on each symbol's own bars.

    Attributes
    ----------
    members : tuple of Member
        A manager stands before its worker.
    features : mapping of symbol to (T_a, F) float64
        Known at each bar's close; NaN: not known.
    other : mapping of symbol to Columns, or None
        What rules beside them name.
    mode : "alone", "veto", "agree" or "scale"
    mirrored : bool
        The networks propose and the rules confirm.
    passes : bool
        A proposal passes where who confirms abstains.
    slow : GraphMember or None
        A graph that is asked in Python in place of all members.
    acting : mapping of symbol to (T_a,) int64, or None
        Which member decides at each bar, −1: none, and everything is flat.  None: all of them together.
    """

    members: tuple[Member, ...]
    features: Mapping[str, F8]
    other: Mapping[str, Columns] | None = None
    mode: Mode = "alone"
    mirrored: bool = False
    passes: bool = False
    acting: Mapping[str, I8] | None = None
    slow: GraphMember | None = None

    def __post_init__(self) -> None:
        assets = len(self.features)
        goals = 0
        for place, one in enumerate(self.members):
            wanted = self.inputs_of(one, assets) + goals
            if one.network.inputs != wanted:
                raise ArtifactError(
                    f"network {place} reads {one.network.inputs} numbers, and its observation has {wanted}: "
                    f"{len(one.columns)} features and {', '.join(one.seen) or 'nothing of the account'}"
                    f"{f' of {assets} symbols' if assets > 1 and not one.each else ''}"
                    f"{f', and {goals} of its manager' if goals else ''}"
                )
            if not one.every and not one.each and one.actions.assets != assets:
                raise ArtifactError(f"network {place} has targets for {one.actions.assets} assets of {assets}")
            goals = one.handed

    def inputs_of(self, member: Member, assets: int) -> int:
        """Numbers in an observation of a member, a manager's goal left out."""
        count = 1 if member.each else assets
        of_asset = sum(SEEN[name] < Seen.DRAWDOWN for name in member.seen)
        return count * (len(member.columns) + of_asset) + len(member.seen) - of_asset

    @property
    def seen(self) -> tuple[str, ...]:
        """What any of them sees of the account."""
        if self.slow is not None:
            return self.slow.seen
        return tuple(name for name in SEEN if any(name in one.seen for one in self.members))

    @property
    def of_asset(self) -> int:
        """How many of `seen` are of each asset."""
        return sum(SEEN[name] < Seen.DRAWDOWN for name in self.seen)

    @property
    def codes(self) -> I8:
        """(K,) codes of `seen`."""
        codes: I8 = _fixed(np.array([SEEN[name] for name in self.seen], np.int64))
        return codes

    def laid_out(self, places: Mapping[str, I8], rows: int) -> tuple[F8, F8, I8]:
        """(T, A, F) features, (T, A) what the rules name and (T,) who acts, on decision bars of which `places` are
        each symbol's.
        """
        depth = next(iter(self.features.values())).shape[1]
        features = np.full((rows, len(places), depth), np.nan)
        other = np.full((rows if self.mode != "alone" else 1, len(places)), np.nan)
        for a, (symbol, own) in enumerate(places.items()):
            if symbol in self.features:
                features[own, a] = self.features[symbol]
            if self.other is not None:
                other[own, a] = self.other[symbol].target
            if self.other is not None and self.mirrored:
                other[:, a] = _standing(other[:, a])
        acting = np.full(1, TOGETHER)
        if self.acting is not None:
            # Where symbols have regimes of their own, that of the first with a bar there counts.
            acting = np.full(rows, TOGETHER)
            for symbol, own in places.items():
                acting[own] = np.where(acting[own] == TOGETHER, self.acting[symbol], acting[own])
            acting[acting == TOGETHER] = -1
        return _fixed(features), _fixed(other), _fixed(acting)

    def on_paper(self, closes: Mapping[str, F8], places: Mapping[str, I8], rows: int) -> dict[str, Columns]:
        """Columns of each symbol if every target were had at once and for nothing.

        That is what they want where `seen` is empty; else it is what a leak shows in as well as in their account.
        """
        features, other, acting = self.laid_out(places, rows)
        close = np.full((rows, len(places)), np.nan)
        for a, (symbol, own) in enumerate(places.items()):
            close[own, a] = closes[symbol]
        targets = np.empty((rows, len(places)))
        on_paper(
            council_of(self.members, self.seen), features, _fixed(close), self.codes, self.of_asset, other,
            MODES[self.mode], self.mirrored, self.passes, acting, targets,
        )  # fmt: skip
        return {symbol: self.kept(symbol, targets[own, a], len(own)) for a, (symbol, own) in enumerate(places.items())}

    def kept(self, symbol: str, target: F8, rows: int) -> Columns:
        """`target` (T_a,) with the distances of the rule's proposal that it comes from."""
        if self.other is None or self.mirrored:
            return Columns(target=target)
        wants = self.other[symbol]
        withheld = (target == 0) & (wants.target != 0)
        return Columns(
            target=target,
            **{
                name: np.where(withheld, np.nan, column)
                for name in ("stop", "take", "trail")
                if (column := getattr(wants, name)) is not None
            },
        )


def council_of(members: Sequence[Member], seen: Sequence[str]) -> Council:
    """The members as kernels read them; `seen` is what any of them sees of the account."""
    nets = [one.network.pack() for one in members]
    sizes = np.array([len(net.numbers) for net in nets])
    layers = np.concatenate([net.layers for net in nets])
    first_layer = _borders([len(net.layers) for net in nets])
    for m, begin in enumerate(np.cumsum(sizes) - sizes):
        own = layers[first_layer[m] : first_layer[m + 1]]
        own["weight"] += begin
        own["bias"] += begin
        own["norm"] += np.where(own["norm"] >= 0, begin, 0)
    most = max(one.network.outputs for one in members)
    table = np.full((len(members), most), np.nan)
    for m, one in enumerate(members):
        if isinstance(one.actions, Discrete):
            table[m, : len(one.actions.targets)] = one.actions.targets
    assert layers.dtype == LAYER
    return Council(
        numbers=_fixed(np.concatenate([net.numbers for net in nets])),
        layers=_fixed(layers),
        first_layer=first_layer,
        normal=_fixed(np.concatenate([net.normal for net in nets], axis=1)),
        first_input=_borders([one.network.inputs for one in members]),
        clip=_fixed(np.array([net.clip for net in nets])),
        bounds=_fixed(np.concatenate([net.bounds for net in nets], axis=1)),
        first_output=_borders([one.network.outputs for one in members]),
        squash=_fixed(np.array([net.squash for net in nets])),
        kind=_fixed(np.array([_kind(one) for one in members])),
        table=_fixed(table),
        dead_zone=_fixed(np.array([getattr(one.actions, "dead_zone", 0.0) for one in members])),
        least=_fixed(np.array([one.least for one in members])),
        weight=_fixed(np.array([0.0 if one.every else one.weight for one in members])),
        columns=_fixed(np.concatenate([np.array(one.columns, np.int64) for one in members])),
        sees=_fixed(np.concatenate([np.array([seen.index(name) for name in one.seen], np.int64) for one in members])),
        first_seen=_borders([len(one.seen) for one in members]),
        first_column=_borders([len(one.columns) for one in members]),
        each=_fixed(np.array([one.each for one in members])),
        every=_fixed(np.array([one.every for one in members])),
        joins=_fixed(np.array([JOINS[one.joins] for one in members])),
        handed=_fixed(np.array([one.handed for one in members])),
        sums=sum(not one.every for one in members) > 1 or any(one.weight != 1.0 for one in members if not one.every),
        width=max(one.network.width for one in members),
        most=most,
    )


def together(asked: Sequence[Deliberation], weights: Sequence[float]) -> Deliberation:
    """All of them as one, each with its weight."""
    weighed = zip(_shifted(asked), weights, strict=True)
    return replace(
        _joined(asked), members=tuple(replace(member, weight=weight) for own, weight in weighed for member in own)
    )


def taking_turns(asked: Sequence[Deliberation | None], regime: Mapping[str, F8]) -> Deliberation:
    """That of the current regime decides; None, and no known regime, is flat."""
    there = [one for one in asked if one is not None]
    members = [one for own in _shifted(there) for one in own]
    if len(members) > len(there):
        raise ArtifactError("rotation: a manager and its worker cannot take turns with others")
    place = np.array(
        [-1 if one is None else sum(other is not None for other in asked[:k]) for k, one in enumerate(asked)]
    )
    acting = {
        symbol: np.where(np.isnan(own), -1, place[np.nan_to_num(own, nan=0.0).astype(np.int64)])
        for symbol, own in regime.items()
    }
    return replace(_joined(there), members=tuple(members), acting=acting)


def _joined(asked: Sequence[Deliberation]) -> Deliberation:
    first = asked[0]
    if any(one.slow is not None for one in asked):
        raise ArtifactError("an ONNX graph that watches its account is replayed alone, not with others")
    return replace(
        first,
        members=tuple(member for own in _shifted(asked) for member in own),
        features={symbol: np.concatenate([one.features[symbol] for one in asked], axis=1) for symbol in first.features},
    )


def _shifted(asked: Sequence[Deliberation]) -> list[list[Member]]:
    """Members that find their columns among those of all."""
    out, begin = [], 0
    for one in asked:
        out.append([replace(member, columns=tuple(begin + i for i in member.columns)) for member in one.members])
        begin += next(iter(one.features.values())).shape[1]
    return out


def _kind(member: Member) -> int:
    if isinstance(member.actions, Discrete):
        return DISCRETE
    return SIZED if member.actions.sized else DIRECTED


def _borders(lengths: Sequence[int]) -> I8:
    borders: I8 = _fixed(np.concatenate(([0], np.cumsum(lengths))).astype(np.int64))
    return borders


def _standing(column: F8) -> F8:
    rows = np.maximum.accumulate(np.where(np.isnan(column), -1, np.arange(len(column))))
    return np.where(rows >= 0, column[np.maximum(rows, 0)], np.nan)


def _fixed(array: Any) -> Any:
    array.flags.writeable = False
    return array
