"""What a manifest says of one network: what it observes, how it is built, how its inputs are scaled."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from wfbt.errors import ArtifactError

MOST_LAYERS = 64
WIDEST = 65_536


class Head(StrEnum):
    """What the outputs are: Q values, logits, or means of a continuous action."""

    Q = "q"
    CATEGORICAL = "categorical"
    BOX = "box"


def repeated(names: Iterable[str]) -> str | None:
    """The first name that stands there a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


class Joined(StrEnum):
    """How a manager's output joins the worker's observation, behind its features and account."""

    TARGET = "target"
    ONE_HOT = "one_hot"
    VALUES = "values"


class Function(StrEnum):
    """An activation by its name."""

    LINEAR = "linear"
    TANH = "tanh"
    RELU = "relu"
    SILU = "silu"
    ELU = "elu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrete:
    """One asset's choice: the signed fraction of equity of each action, in the order of the outputs; None holds."""

    targets: tuple[float | None, ...]

    def __post_init__(self) -> None:
        if len(self.targets) < 2 or all(target is None for target in self.targets):
            raise ArtifactError(f"targets must be two or more, not all null, was {list(self.targets[:8])}")
        if bad := [target for target in self.targets if target is not None and not math.isfinite(target)]:
            raise ArtifactError(f"targets must be finite, or null to leave the position alone, was {bad[0]}")

    @property
    def outputs(self) -> int:
        """How many outputs it reads."""
        return len(self.targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuous:
    """A direction −1..1 of each asset and, where `sized`, then a size 0..1 of each; their product is the target.

    Targets of `dead_zone` or less are flat.
    """

    assets: tuple[str, ...]
    sized: bool
    dead_zone: float

    def __post_init__(self) -> None:
        if not self.assets or len(set(self.assets)) < len(self.assets):
            raise ArtifactError(
                f"assets must name one or more, each once, was {', '.join(self.assets[:8]) or 'nothing'}"
            )
        if not 0.0 <= self.dead_zone < 1.0:
            raise ArtifactError(f"dead_zone must be >= 0 and < 1, was {self.dead_zone}")

    @property
    def outputs(self) -> int:
        """How many outputs it reads."""
        return len(self.assets) * (2 if self.sized else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A feed-forward network.

    Attributes
    ----------
    layers : tuple of int
        Widths: inputs, hidden layers, outputs.
    activation : Function
        Of every hidden layer; the last is linear.
    layer_norm : bool
        Whether a layer norm stands between each hidden layer's affine map and its activation.
    head : Head
    squash : bool
        Whether the action of a box head is tanh of the means; the outputs stay the means.
    """

    layers: tuple[int, ...]
    activation: Function
    layer_norm: bool
    head: Head
    squash: bool

    def __post_init__(self) -> None:
        if not 2 <= len(self.layers) <= MOST_LAYERS:
            raise ArtifactError(f"layers must be 2 to {MOST_LAYERS} widths, inputs first, has {len(self.layers)}")
        if bad := [width for width in self.layers if not 1 <= width <= WIDEST]:
            raise ArtifactError(f"layers must be widths from 1 to {WIDEST}, was {bad[0]}")
        if self.squash and self.head is not Head.BOX:
            raise ArtifactError(f"squash goes with the head box, the head is {self.head}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """How an ONNX graph that is no plain network is asked.

    Attributes
    ----------
    head : Head
        What its output is.
    output : str
        Name of the output that holds Q values, logits or means.
    states : tuple of (str, str)
        Inputs that carry state and the outputs that give the next; they start at zero.
    window : int
        Rows of observations it sees at once, the newest last; 1 is the newest alone.
    normalised : bool
        Whether the graph scales its inputs itself, by the normaliser that the manifest repeats.
    """

    head: Head
    output: str
    states: tuple[tuple[str, str], ...]
    window: int
    normalised: bool

    def __post_init__(self) -> None:
        if not 1 <= self.window <= WIDEST:
            raise ArtifactError(f"window must be 1 to {WIDEST} rows, was {self.window}")
        names = [name for pair in self.states for name in pair]
        if len(set(names)) < len(names) or self.output in names:
            raise ArtifactError(f"states must name each input and output once, and not the output {self.output!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """A frozen normaliser: (x − mean) / deviation, cut at ±clip (null: not cut)."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    clip: float | None

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.deviation):
            raise ArtifactError(f"deviation must be as long as mean, {len(self.mean)}, has {len(self.deviation)}")
        if bad := [one for one in self.mean if not math.isfinite(one)]:
            raise ArtifactError(f"mean must be finite, was {bad[0]}")
        if bad := [one for one in self.deviation if not (one > 0.0 and math.isfinite(one))]:
            raise ArtifactError(f"deviation must be > 0 and finite, was {bad[0]}")
        if self.clip is not None and not (self.clip > 0.0 and math.isfinite(self.clip)):
            raise ArtifactError(f"clip must be > 0 and finite, or null, was {self.clip}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One network of an artefact: the only one, the manager, or the worker.

    Attributes
    ----------
    features : tuple of str
        Names in the order of the inputs, each known at the decision.
    account : tuple of str
        What it sees of its own account, after the features: position, unrealised, holding, drawdown, cash, ….
    architecture : Architecture or None
        Of a feed-forward network; None for an ONNX graph that is run as it stands.
    graph : Ports or None
        Of such a graph.
    normaliser : Scaling or None
        Over all inputs, in their order.
    period : int or None
        Bars between decisions of a manager; None for others.
    joins : Joined or None
        How the output of a manager joins the worker's observation; None for others.
    actions : Discrete or Continuous
        What the outputs mean; a manager's too.
    """

    features: tuple[str, ...]
    account: tuple[str, ...]
    architecture: Architecture | None
    graph: Ports | None
    normaliser: Scaling | None
    period: int | None
    joins: Joined | None
    actions: Discrete | Continuous

    def __post_init__(self) -> None:
        if (self.architecture is None) == (self.graph is None):
            raise ArtifactError("architecture or graph must be given, one of the two")
        for name, listed in (("features", self.features), ("account", self.account)):
            if (twice := repeated(listed)) is not None:
                raise ArtifactError(f"{name} must name each once, {twice!r} stands there twice")
        if self.period is not None and self.period < 1:
            raise ArtifactError(f"period must be at least 1 bar, was {self.period}")
        outputs = self.actions.outputs
        if self.architecture is not None and self.architecture.layers[-1] != outputs:
            raise ArtifactError(
                f"architecture.layers ends with {self.architecture.layers[-1]} outputs, "
                f"actions needs {outputs}; correct the one that is wrong"
            )
        if isinstance(self.actions, Discrete) == (self.head is Head.BOX):
            raise ArtifactError(
                f"actions is {type(self.actions).__name__.lower()}, the head {self.head}; "
                "q and categorical go with discrete, box with continuous"
            )

    @property
    def head(self) -> Head:
        """What the outputs are."""
        if self.architecture is not None:
            return self.architecture.head
        assert self.graph is not None
        return self.graph.head

    @property
    def joined(self) -> int:
        """How many inputs of the worker this manager gives."""
        match self.joins:
            case None:
                return 0
            case Joined.TARGET:
                return 1 if isinstance(self.actions, Discrete) else len(self.actions.assets)
        return self.actions.outputs
