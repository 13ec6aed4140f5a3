"""Between what files and manifests say and the types that act on it; nothing else here knows those types."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError, WfbtError
from wfbt.kernels.network import Activation
from wfbt.policy import network as acting
from wfbt.policy.artifact.description import Architecture, Continuous, Discrete, Function, Head, Scaling
from wfbt.policy.artifact.layouts import Stack, widths
from wfbt.policy.artifact.tensors import F8


def build_network(
    stack: Stack, told: Architecture, actions: Discrete | Continuous, scaling: Scaling | None, source: str
) -> acting.Network:
    """The network that `told` makes of `stack`; ArtifactError where the two contradict each other."""
    if widths(stack) != told.layers:
        raise ArtifactError(
            f"{source}: manifest.json says architecture.layers {list(told.layers)}, the file holds "
            f"{list(widths(stack))}; correct the manifest, or give the model that it describes"
        )
    for n, layer in enumerate(stack):
        wanted = told.layer_norm and n < len(stack) - 1
        if (layer.norm_gain is not None) != wanted:
            raise ArtifactError(
                f"{source}: manifest.json says architecture.layer_norm {'true' if told.layer_norm else 'false'}, "
                f"layer {n} of the file has {'one' if layer.norm_gain is not None else 'none'}; correct the manifest"
            )
    codes = (*[Activation[told.activation.name]] * (len(stack) - 1), Activation.LINEAR)
    try:
        return acting.Network(
            layers=tuple(
                acting.Layer(
                    weight=single(one.weight),
                    bias=single(one.bias),
                    activation=code,
                    norm_gain=None if one.norm_gain is None else single(one.norm_gain),
                    norm_shift=None if one.norm_shift is None else single(one.norm_shift),
                )
                for one, code in zip(stack, codes, strict=True)
            ),
            head=build_head(told, actions),
            normaliser=build_normaliser(scaling),
        )
    except WfbtError as error:
        raise ArtifactError(f"{source}: {error}") from None


def single(array: F8) -> npt.NDArray[np.float32]:
    """In 32 bits, as networks run; what is beyond them is infinite, which the network refuses by its place."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def build_head(told: Architecture, actions: Discrete | Continuous) -> acting.Head:
    """What the outputs are; a box is as wide as its actions: directions −1..1, sizes 0..1."""
    if not isinstance(actions, Continuous) or told.head is not Head.BOX:
        return acting.Head(kind=told.head.value)
    assets = len(actions.assets)
    low = (-1.0,) * assets + (0.0,) * (actions.outputs - assets)
    return acting.Head(kind="box", low=low, high=(1.0,) * actions.outputs, squash=told.squash)


def build_normaliser(scaling: Scaling | None) -> acting.Normaliser | None:
    """The same as arrays."""
    if scaling is None:
        return None
    clip = math.inf if scaling.clip is None else scaling.clip
    return acting.Normaliser(mean=np.array(scaling.mean), deviation=np.array(scaling.deviation), clip=clip)


def build_actions(told: Discrete | Continuous) -> acting.Discrete | acting.Continuous:
    """The action map that a manifest describes; a target of null is NaN, which leaves the position alone."""
    if isinstance(told, Discrete):
        return acting.Discrete(targets=tuple(math.nan if one is None else one for one in told.targets))
    return acting.Continuous(assets=len(told.assets), sized=told.sized, dead_zone=told.dead_zone)


def describe_network(network: acting.Network) -> tuple[Architecture, Scaling | None]:
    """What a manifest says of `network`; ArtifactError when its hidden layers differ in kind."""
    *hidden, last = network.layers
    kinds = {(layer.activation, layer.norm_gain is not None) for layer in hidden} or {(Activation.LINEAR, False)}
    if len(kinds) > 1 or last.activation is not Activation.LINEAR or last.norm_gain is not None:
        raise ArtifactError(
            "a network must have hidden layers of one kind, and end with an affine map, to be described"
        )
    ((activation, layer_norm),) = kinds
    sizes = (network.layers[0].weight.shape[1], *(len(layer.bias) for layer in network.layers))
    architecture = Architecture(
        layers=tuple(int(size) for size in sizes),
        activation=Function[activation.name],
        layer_norm=layer_norm,
        head=head_of(network),
        squash=network.head.squash,
    )
    scaling = network.normaliser
    if scaling is None:
        return architecture, None
    return architecture, Scaling(
        mean=tuple(scaling.mean.tolist()),
        deviation=tuple(scaling.deviation.tolist()),
        clip=float(scaling.clip) if math.isfinite(scaling.clip) else None,
    )


def head_of(network: acting.Network) -> Head:
    """What the outputs of `network` are, in a manifest's word."""
    return Head(network.head.kind)


def network_tensors(network: acting.Network) -> dict[str, F8]:
    """Names and arrays that `stack_of` reads back."""
    out: dict[str, F8] = {}
    for n, layer in enumerate(network.layers):
        for name in ("weight", "bias", "norm_gain", "norm_shift"):
            if (array := getattr(layer, name)) is not None:
                out[f"layers.{n}.{name}"] = array.astype(np.float64)
    return out
