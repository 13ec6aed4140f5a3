"""A model as Stable-Baselines3 saves it: a zip of tensors and of JSON, whose pickled texts are never touched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from wfbt.errors import ArtifactError
from wfbt.policy.artifact.archive import Archive
from wfbt.policy.artifact.description import Function, Head
from wfbt.policy.artifact.layouts import Stack, stack_of, widths
from wfbt.policy.artifact.strict import parse_json
from wfbt.policy.artifact.torch_state import read_state

MOST_DATA = 8_000_000
"""Bytes of the JSON; a DQN keeps some of its buffers there as text."""

_NAMES = {"Tanh": Function.TANH, "ReLU": Function.RELU, "SiLU": Function.SILU, "ELU": Function.ELU}
_CLASS = re.compile(r"<class 'torch\.nn\.modules\.activation\.(\w{1,40})'>", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Saved:
    """What a zip of Stable-Baselines3 says without being run.

    Attributes
    ----------
    stack : tuple of Affine
        The deterministic policy: PPO's means or logits, DQN's Q values.
    head : Head
    activation : Function or None
        Where the JSON names it in plain text, or leaves it at the default of its own policies.
    squash : bool or None
        Whether the policy squashes its means, where the JSON says so.
    """

    stack: Stack
    head: Head
    activation: Function | None
    squash: bool | None


def read_sb3(data: bytes, source: str) -> Saved:
    """Read the zip in `data`; ArtifactError on anything but a feed-forward PPO or DQN policy, nothing being run."""
    archive = Archive(data, source)
    told = parse_json(archive.read("data", MOST_DATA), f"{source}: data", most=MOST_DATA, finite=False)
    if not isinstance(told, dict):
        raise ArtifactError(f"{source}: data must be a mapping of keys to values")
    stack = stack_of(read_state(archive.read("policy.pth"), f"{source}: policy.pth"), f"{source}: policy.pth")
    space = _section(told, "action_space")
    kind = str(space.get(":type:"))
    inputs, outputs = widths(stack)[0], widths(stack)[-1]
    shape = _section(told, "observation_space").get("_shape")
    if isinstance(shape, list) and shape != [inputs]:
        raise ArtifactError(f"{source}: data says observations of shape {str(shape)[:60]}, policy.pth takes {inputs}")
    is_q = "exploration_rate" in told
    if "discrete.Discrete" in kind:
        if str(space.get("n")) != str(outputs):
            raise ArtifactError(f"{source}: data says {str(space.get('n'))[:20]} actions, policy.pth gives {outputs}")
        head = Head.Q if is_q else Head.CATEGORICAL
    elif "box.Box" in kind and not is_q:
        _check_bounds(space, source)
        head = Head.BOX
    else:
        raise ArtifactError(f"{source}: data must name a Discrete or a Box action space, names {kind[:80]}")
    return Saved(stack=stack, head=head, activation=_activation(told, is_q, source), squash=_squash(told))


def _check_bounds(space: dict[str, Any], source: str) -> None:
    """Means are directions −1..1 and sizes 0..1 here: another box would be cut or stretched otherwise."""
    for key, known in (("low", ("-1.", "0.")), ("high", ("1.",))):
        if stray := [one for one in re.findall(r"[^\s\[\],]+", str(space.get(key, ""))) if one not in known]:
            raise ArtifactError(
                f"{source}: data says that actions have {key} {stray[0][:20]}; a box of directions (−1 to 1) and sizes "
                "(0 to 1) is read, train with such a one"
            )


def _section(told: dict[str, Any], key: str) -> dict[str, Any]:
    found = told.get(key)
    return found if isinstance(found, dict) else {}


def _activation(told: dict[str, Any], is_q: bool, source: str) -> Function | None:
    options = _section(told, "policy_kwargs")
    if "activation_fn" in options:
        match = _CLASS.fullmatch(str(options["activation_fn"]))
        if match and match[1] not in _NAMES:
            raise ArtifactError(
                f"{source}: data names the activation {match[1]}; {', '.join(_NAMES)} are read, "
                "export a model with another to ONNX instead"
            )
        return _NAMES[match[1]] if match else None
    module = str(_section(told, "policy_class").get("__module__"))
    # Options that are kept as pickled text may hide one.
    if ":serialized:" in options or not module.startswith("stable_baselines3."):
        return None
    return Function.RELU if is_q else Function.TANH


def _squash(told: dict[str, Any]) -> bool | None:
    options = _section(told, "policy_kwargs")
    if "squash_output" in options:
        return options["squash_output"] is True
    return None if ":serialized:" in options else False
