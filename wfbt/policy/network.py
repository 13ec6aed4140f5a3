"""A trained network as plain numbers: what readers of model files make, and what replays ask.

Nothing here knows how the network was trained or stored; no training library is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError
from wfbt.kernels.network import LAYER, Activation, Net, bound_many, choose_many, forward_many, softmax_many
from wfbt.policy.actions import Continuous, Discrete

__all__ = ["Activation", "Continuous", "Discrete", "Head", "Layer", "Network", "Normaliser"]

F4 = npt.NDArray[np.float32]
F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

MOST_LAYERS = 64
MOST_UNITS = 4_096
MOST_WEIGHTS = 50_000_000
SMALLEST = float(np.finfo(np.float64).tiny)
CACHE_LINE = 16
"""float32 in a line of the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One dense layer: activation(norm(weight · x + bias)).

    Attributes
    ----------
    weight : (O, I) float32
        As trainers store it: a row per output.
    bias : (O,) float32
    activation : Activation
    norm_gain, norm_shift : (O,) float32 or None
        Of a layer norm between sum and activation, ε = 1e-5; both or neither.

    Whether the numbers make sense is checked by the `Network`, which knows the layer's place.
    """

    weight: F4
    bias: F4
    activation: Activation = Activation.LINEAR
    norm_gain: F4 | None = None
    norm_shift: F4 | None = None

    def __post_init__(self) -> None:
        for name in ("weight", "bias", "norm_gain", "norm_shift"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _read_only(getattr(self, name), np.float32))
        if self.activation not in list(Activation):
            known = ", ".join(f"{one.value} {one.name.lower()}" for one in Activation)
            raise ArtifactError(f"a layer: activation must be one of {known}, was {self.activation!r}")
        object.__setattr__(self, "activation", Activation(self.activation))

    @property
    def norm(self) -> tuple[F4, F4] | None:
        """Gain and shift of the layer norm, if there is one."""
        if self.norm_gain is None or self.norm_shift is None:
            return None
        return self.norm_gain, self.norm_shift


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normaliser:
    """What is done to each observation first, frozen since training: clip((x − mean) / deviation, −clip, clip).

    Attributes
    ----------
    mean, deviation : (I,) float64
        In units of the observation.  Deviations are > 0; a trainer's ε on the variance is inside them.
    clip : float
        In deviations, > 0; inf: none.
    """

    mean: F8
    deviation: F8
    clip: float = np.inf

    def __post_init__(self) -> None:
        for name in ("mean", "deviation"):
            object.__setattr__(self, name, _read_only(getattr(self, name), np.float64))
            _refuse_first("the normaliser", name, getattr(self, name), np.isfinite(getattr(self, name)), "be finite")
        if self.mean.ndim != 1 or self.mean.shape != self.deviation.shape:
            raise ArtifactError(
                f"the normaliser: mean and deviation must be (I,) alike, were {self.mean.shape} and "
                f"{self.deviation.shape}"
            )
        # Of what is smaller still the reciprocal is infinite.
        _refuse_first("the normaliser", "deviation", self.deviation, self.deviation >= SMALLEST, "be > 0")
        if not self.clip > 0.0:
            raise ArtifactError(f"the normaliser: clip must be > 0, was {self.clip}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the outputs are.

    Attributes
    ----------
    kind : "q", "categorical" or "box"
        Values of the actions, logits of the actions, or the means of a continuous action.  The action is the one of the
        greatest value or logit (the first of equals), or the means themselves, within the bounds.
    low, high : tuple of float
        Bounds of a box, one for each output; empty: −1 and 1.
    squash : bool
        A box's means are not clipped: their tanh is stretched from −1..1 onto the bounds.
    """

    kind: Literal["q", "categorical", "box"]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    squash: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("q", "categorical", "box"):
            raise ArtifactError(f"the head: kind must be q, categorical or box, was {self.kind!r}")
        if self.kind != "box" and (self.low or self.high or self.squash):
            raise ArtifactError(f"the head: bounds and squash belong to a box, and kind is {self.kind}")
        if len(self.low) != len(self.high):
            raise ArtifactError(f"the head: low has {len(self.low)} bounds, high {len(self.high)}")
        for k, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if not -np.inf < low < high < np.inf:
                raise ArtifactError(f"the head: bounds must be finite, low < high; those of output {k}: {low}, {high}")

    def bounds(self, outputs: int) -> F8:
        """(2, O) low and high."""
        if not self.low:
            return np.array([[-1.0], [1.0]]).repeat(outputs, axis=1)
        return np.array([self.low, self.high])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """Observations in, actions out: a chain of layers, what stands before it, and what its outputs are.

    An observation that is not finite throughout has NaN values, and no action: −1, or NaN.

    Attributes
    ----------
    layers : tuple of Layer
        At most 64, of at most 4,096 units, 50 million weights together; each reads what the one before it puts out.
    head : Head
    normaliser : Normaliser or None
    """

    layers: tuple[Layer, ...]
    head: Head
    normaliser: Normaliser | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not 1 <= len(self.layers) <= MOST_LAYERS:
            raise ArtifactError(f"a network must have 1 to {MOST_LAYERS} layers, has {len(self.layers)}")
        before: int | None = None
        for place, layer in enumerate(self.layers):
            before = _checked(f"layer {place}", layer, before)
        if (weights := sum(layer.weight.size for layer in self.layers)) > MOST_WEIGHTS:
            raise ArtifactError(f"a network must have at most {MOST_WEIGHTS:,} weights, has {weights:,}")
        if self.normaliser is not None and len(self.normaliser.mean) != self.inputs:
            raise ArtifactError(
                f"the normaliser: it has {len(self.normaliser.mean)} inputs, and layer 0 reads {self.inputs}"
            )
        if self.head.low and len(self.head.low) != self.outputs:
            raise ArtifactError(f"the head: it has bounds of {len(self.head.low)} outputs of {self.outputs}")

    @property
    def inputs(self) -> int:
        """Numbers in an observation."""
        return int(self.layers[0].weight.shape[1])

    @property
    def outputs(self) -> int:
        """Logits, values or means."""
        return int(self.layers[-1].weight.shape[0])

    @property
    def width(self) -> int:
        """Most units of any layer, the inputs among them: kernels that step it need scratch (2, 1, width) float32."""
        return max(self.inputs, *(len(layer.bias) for layer in self.layers))

    def pack(self) -> Net:
        """The network as kernels read it."""
        sheet = np.zeros(len(self.layers), LAYER)
        parts: list[tuple[int, F4]] = []
        size = 0

        def place(*arrays: F4) -> int:
            # A layer that begins in the middle of a cache line takes a fifth longer.
            nonlocal size
            begin = size = -(-size // CACHE_LINE) * CACHE_LINE
            for array in arrays:
                parts.append((size, array))
                size += array.size
            return begin

        for one, layer in zip(sheet, self.layers, strict=True):
            one["outputs"], one["inputs"] = layer.weight.shape
            one["weight"] = place(layer.weight.T)
            one["bias"] = place(layer.bias)
            one["norm"] = -1 if layer.norm is None else place(*layer.norm)
            one["activation"] = layer.activation
        numbers = _aligned(size)
        for begin, array in parts:
            numbers[begin : begin + array.size] = array.ravel()
        normal, clip = np.stack([np.zeros(self.inputs), np.ones(self.inputs)]), np.inf
        if self.normaliser is not None:
            normal = np.stack([self.normaliser.mean, 1.0 / self.normaliser.deviation])
            clip = float(self.normaliser.clip)
        bounds = self.head.bounds(self.outputs)
        for packed in (numbers, sheet, normal, bounds):
            packed.flags.writeable = False
        return Net(numbers, sheet, normal, clip, self.width, bounds, self.head.squash)

    def values(self, observations: npt.ArrayLike) -> F8:
        """(N, O) logits, values or means of the observations (N, I); NaN where a row is not finite throughout."""
        rows = np.ascontiguousarray(observations, np.float64).view()
        if rows.ndim != 2 or rows.shape[1] != self.inputs:
            raise ArtifactError(f"the network reads observations (N, {self.inputs}), was given {rows.shape}")
        rows.flags.writeable = False
        out = np.empty((len(rows), self.outputs))
        forward_many(self.pack(), rows, out)
        return out

    def actions(self, observations: npt.ArrayLike) -> I8 | F8:
        """What it does: (N,) int64, −1 where nothing can be decided; of a box (N, K) float64, NaN there."""
        values = self.values(observations)
        values.flags.writeable = False
        if self.head.kind == "box":
            means = np.empty(values.shape)
            bounds = self.head.bounds(self.outputs)
            bounds.flags.writeable = False
            bound_many(values, bounds, self.head.squash, means)
            return means
        chosen = np.empty(len(values), np.int64)
        choose_many(values, chosen)
        return chosen

    def probabilities(self, observations: npt.ArrayLike) -> F8:
        """(N, O) softmax of a categorical head's logits; NaN where nothing can be decided."""
        if self.head.kind != "categorical":
            raise ArtifactError(
                f"the head: probabilities are those of a categorical head, and kind is {self.head.kind}"
            )
        logits = self.values(observations)
        logits.flags.writeable = False
        out = np.empty(logits.shape)
        softmax_many(logits, out)
        return out


def _checked(where: str, layer: Layer, before: int | None) -> int:
    """Outputs of a layer that reads `before` numbers, once it has been seen to make sense."""
    if layer.weight.ndim != 2 or 0 in layer.weight.shape:
        raise ArtifactError(f"{where}: weight must be (outputs, inputs), both >= 1, was {layer.weight.shape}")
    outputs, inputs = layer.weight.shape
    if max(outputs, inputs) > MOST_UNITS:
        raise ArtifactError(f"{where}: at most {MOST_UNITS:,} units, weight is {layer.weight.shape}")
    if before is not None and inputs != before:
        raise ArtifactError(f"{where}: it reads {inputs} numbers, and the layer before it puts out {before}")
    if (layer.norm_gain is None) != (layer.norm_shift is None):
        raise ArtifactError(f"{where}: a layer norm has norm_gain and norm_shift, one was missing")
    for name in ("weight", "bias", "norm_gain", "norm_shift"):
        array = getattr(layer, name)
        if array is None:
            continue
        if name != "weight" and array.shape != (outputs,):
            raise ArtifactError(f"{where}: {name} must be ({outputs},), was {array.shape}")
        _refuse_first(where, name, array, np.isfinite(array), "be finite in 32 bits")
    return int(outputs)


def _refuse_first(where: str, name: str, array: npt.NDArray[Any], sound: npt.NDArray[np.bool_], rule: str) -> None:
    if sound.all():
        return
    place = tuple(int(axis[0]) for axis in np.nonzero(~sound))
    element = ", ".join(map(str, place))
    raise ArtifactError(f"{where}: {name}[{element}] must {rule}, was {array[place]}; the model is damaged or diverged")


def _read_only(array: npt.ArrayLike, dtype: Any) -> Any:
    with np.errstate(over="ignore"):  # beyond 32 bits is infinite, which is refused by its place
        out = np.array(array, dtype=dtype, order="C")
    out.flags.writeable = False
    return out


def _aligned(size: int) -> F4:
    """(size,) zeros that begin with a cache line."""
    block = np.zeros(size + CACHE_LINE, np.float32)
    skip = -(block.ctypes.data // block.itemsize) % CACHE_LINE
    return block[skip : skip + size]
