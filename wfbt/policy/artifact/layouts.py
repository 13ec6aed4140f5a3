"""From named tensors to a stack of layers: under which names trainers keep a feed-forward network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from wfbt.config.messages import shown
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.description import MOST_LAYERS, WIDEST
from wfbt.policy.artifact.tensors import F8, finite

_OWN = re.compile(r"layers\.(\d{1,3})\.(weight|bias|norm_gain|norm_shift)", re.ASCII)
_SEQUENTIAL = re.compile(r"((?:[A-Za-z_]\w*\.)*)(\d{1,3})\.(weight|bias)", re.ASCII)
_UNUSED = ("value_net.", "mlp_extractor.value_net.", "q_net_target.")
"""What a trainer needs and a policy does not."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Affine:
    """One layer as a file holds it: everything but its activation."""

    weight: F8
    bias: F8
    norm_gain: F8 | None = None
    norm_shift: F8 | None = None


Stack = tuple[Affine, ...]


def stack_of(tensors: Mapping[str, npt.NDArray[Any]], source: str) -> Stack:
    """The layers that wfbt, Stable-Baselines3 (PPO, DQN) or a torch Sequential keep so; ArtifactError on others."""
    if any(_OWN.fullmatch(name) for name in tensors):
        return checked_stack(_own(tensors, source), source)
    if "action_net.weight" in tensors:
        order = ("mlp_extractor.shared_net.", "mlp_extractor.policy_net.")
        return checked_stack(_modules(tensors, order, ("action_net",), (*_UNUSED, "log_std"), source), source)
    if any(name.startswith("q_net.q_net.") for name in tensors):
        return checked_stack(_modules(tensors, ("q_net.q_net.",), (), _UNUSED, source), source)
    prefixes = {match[1] for name in tensors if (match := _SEQUENTIAL.fullmatch(name))}
    if len(prefixes) == 1:
        return checked_stack(_modules(tensors, tuple(prefixes), (), (), source), source)
    raise ArtifactError(
        f"{source}: holds {_listed(tensors)}, which is no feed-forward PPO or DQN policy of Stable-Baselines3, "
        "no torch Sequential and no network of wfbt; export the model to ONNX instead"
    )


def widths(stack: Stack) -> tuple[int, ...]:
    """Inputs, hidden widths, outputs."""
    return (stack[0].weight.shape[1], *(layer.weight.shape[0] for layer in stack))


def _own(tensors: Mapping[str, npt.NDArray[Any]], source: str) -> Iterable[Affine]:
    found: dict[int, dict[str, F8]] = {}
    for name, array in tensors.items():
        match = _OWN.fullmatch(name)
        if match is None:
            raise ArtifactError(f"{source}: holds {shown(name)}, which is no part of a network of wfbt")
        found.setdefault(int(match[1]), {})[match[2]] = finite(array, f"{source}: {name}")
    for n in range(len(found)):
        parts = found.get(n, {})
        if not {"weight", "bias"} <= set(parts) or ("norm_gain" in parts) != ("norm_shift" in parts):
            raise ArtifactError(
                f"{source}: layer {n} needs weight and bias, and norm_gain with norm_shift, has {_listed(parts)}"
            )
        yield Affine(**parts)


def _modules(
    tensors: Mapping[str, npt.NDArray[Any]],
    numbered: tuple[str, ...],
    last: tuple[str, ...],
    unused: tuple[str, ...],
    source: str,
) -> Iterable[Affine]:
    """Affine maps, and layer norms behind them, in the order of their numbers under each prefix."""
    modules: list[str] = []
    for prefix in numbered:
        found = {int(match[2]) for name in tensors if (match := _SEQUENTIAL.fullmatch(name)) and match[1] == prefix}
        modules += [f"{prefix}{n}" for n in sorted(found)]
    modules += last
    names = {f"{module}.{part}" for module in modules for part in ("weight", "bias")}
    if stray := [name for name in tensors if name not in names and not name.startswith(unused)]:
        raise ArtifactError(
            f"{source}: holds {_listed(stray)} besides a feed-forward policy; export such a model to ONNX instead"
        )
    if missing := sorted(names - set(tensors)):
        raise ArtifactError(f"{source}: holds no {missing[0]}; a layer has a weight and a bias")
    layers: list[Affine] = []
    for module in modules:
        weight, bias = (
            finite(tensors[f"{module}.{part}"], f"{source}: {module}.{part}") for part in ("weight", "bias")
        )
        if weight.ndim == 1 and layers and layers[-1].norm_gain is None:
            before = layers.pop()
            layers.append(Affine(weight=before.weight, bias=before.bias, norm_gain=weight, norm_shift=bias))
        else:
            layers.append(Affine(weight=weight, bias=bias))
    return layers


def checked_stack(layers: Iterable[Affine], source: str) -> Stack:
    """The layers, once each is seen to take what the one before it gives; else ArtifactError."""
    stack = tuple(layers)
    if not 1 <= len(stack) < MOST_LAYERS:
        raise ArtifactError(f"{source}: must hold 1 to {MOST_LAYERS - 1} layers, holds {len(stack)}")
    width = None
    for n, layer in enumerate(stack):
        shape = layer.weight.shape
        if layer.weight.ndim != 2 or not all(1 <= side <= WIDEST for side in shape):
            raise ArtifactError(f"{source}: layer {n} must have weights of (outputs, inputs), has {shape}")
        if width is not None and shape[1] != width:
            raise ArtifactError(f"{source}: layer {n} takes {shape[1]} numbers, the one before it gives {width}")
        width = shape[0]
        for name in ("bias", "norm_gain", "norm_shift"):
            array = getattr(layer, name)
            if array is not None and array.shape != (width,):
                raise ArtifactError(f"{source}: layer {n} must have a {name} of {(width,)}, has {array.shape}")
    return stack


def _listed(names: Iterable[str]) -> str:
    some = [shown(name) for name in sorted(names)]
    return ", ".join(some[:6]) + (f" and {len(some) - 6} more" if len(some) > 6 else "") or "nothing"
