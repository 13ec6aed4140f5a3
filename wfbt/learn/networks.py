"""Between Stable-Baselines3's modules and plain networks: how they are built, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor, MlpExtractor, create_mlp
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn

from wfbt.config.training import Train
from wfbt.errors import ConfigError
from wfbt.learn.lesson import normalised
from wfbt.policy.artifact.building import build_head, build_normaliser
from wfbt.policy.artifact.description import Level
from wfbt.policy.network import Activation, Layer, Network

F8 = npt.NDArray[np.float64]

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU, "elu": nn.ELU}


class Clipped(FlattenExtractor):
    """The observation within ±clip throughout, as a frozen normaliser leaves it."""

    def __init__(self, observation_space: Any, clip: float) -> None:
        super().__init__(observation_space)
        self.clip = clip

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """The same, clipped."""
        return torch.clamp(super().forward(observations), -self.clip, self.clip)


class NormedActorCritic(ActorCriticPolicy):
    """Actor and critic with a layer norm between each hidden layer's affine map and its activation."""

    def _build_mlp_extractor(self) -> None:
        assert isinstance(self.net_arch, dict)
        self.mlp_extractor = MlpExtractor(self.features_dim, self.net_arch, self.activation_fn, self.device)
        for name, hidden in (("policy_net", self.net_arch["pi"]), ("value_net", self.net_arch["vf"])):
            modules = create_mlp(self.features_dim, 0, hidden, self.activation_fn, post_linear_modules=[nn.LayerNorm])
            setattr(self.mlp_extractor, name, nn.Sequential(*modules).to(self.device))


class NormedDqn(DQNPolicy):
    """Q values with a layer norm between each hidden layer's affine map and its activation."""

    def make_q_net(self) -> QNetwork:
        """One of the two."""
        made = super().make_q_net()
        outputs = int(made.action_space.n)
        modules = create_mlp(
            made.features_dim, outputs, made.net_arch, made.activation_fn, post_linear_modules=[nn.LayerNorm]
        )
        made.q_net = nn.Sequential(*modules).to(self.device)
        return made


def policy_of(plan: Train, level: Level) -> tuple[str | type[Any], dict[str, Any]]:
    """What Stable-Baselines3 calls the policy, and its settings."""
    hidden = list(plan.hidden)
    settings: dict[str, Any] = {"activation_fn": ACTIVATIONS[plan.activation]}
    if level.normaliser is not None and level.normaliser.clip is not None:
        settings |= {
            "features_extractor_class": Clipped,
            "features_extractor_kwargs": {"clip": level.normaliser.clip},
        }
    if plan.algorithm == "dqn":
        return (NormedDqn if plan.layer_norm else "MlpPolicy"), settings | {"net_arch": hidden}
    settings |= {"net_arch": {"pi": hidden, "vf": hidden}}
    return (NormedActorCritic if plan.layer_norm else "MlpPolicy"), settings


def modules_of(model: Any) -> list[nn.Module]:
    """The modules between observation and outputs, in order; a model's own, not copies."""
    policy = model.policy
    if hasattr(policy, "q_net"):
        return list(policy.q_net.q_net)
    return [*policy.mlp_extractor.policy_net, policy.action_net]


def network_of(model: Any, level: Level) -> Network:
    """What `model` has learnt, as the network that `level` describes."""
    told = level.architecture
    assert told is not None
    layers: list[Layer] = []
    for place, module in enumerate(modules := modules_of(model)):
        if not isinstance(module, nn.Linear):
            continue
        after = modules[place + 1] if place + 1 < len(modules) else None
        norm = after if isinstance(after, nn.LayerNorm) else None
        layers.append(
            Layer(
                weight=_array(module.weight),
                bias=_array(module.bias),
                activation=Activation.LINEAR if after is None else Activation[told.activation.name],
                norm_gain=None if norm is None else _array(norm.weight),
                norm_shift=None if norm is None else _array(norm.bias),
            )
        )
    return Network(
        layers=tuple(layers), head=build_head(told, level.actions), normaliser=build_normaliser(level.normaliser)
    )


def put(model: Any, network: Network) -> None:
    """Begin with the weights of `network`; ConfigError where it is built otherwise."""
    linear = [one for one in modules_of(model) if isinstance(one, nn.Linear)]
    norms = [one for one in modules_of(model) if isinstance(one, nn.LayerNorm)]
    shapes = [tuple(one.weight.shape) for one in linear]
    given = [layer.weight.shape for layer in network.layers]
    if shapes != given or len(norms) != sum(layer.norm is not None for layer in network.layers):
        raise ConfigError(
            f"warm_start: its layers are {given}, those to be trained {shapes}; observe as many features, and keep "
            "hidden, layer_norm and the actions as they were there"
        )
    with torch.no_grad():
        for module, layer in zip(linear, network.layers, strict=True):
            module.weight.copy_(torch.from_numpy(layer.weight.copy()))
            module.bias.copy_(torch.from_numpy(layer.bias.copy()))
        for norm, layer in zip(norms, network.layers, strict=False):
            assert layer.norm is not None
            norm.weight.copy_(torch.from_numpy(layer.norm[0].copy()))
            norm.bias.copy_(torch.from_numpy(layer.norm[1].copy()))
    if hasattr(model.policy, "q_net_target"):
        model.policy.q_net_target.load_state_dict(model.policy.q_net.state_dict())


def said_by(model: Any, level: Level, observations: F8) -> F8:
    """(N, O) what torch itself makes of raw `observations` (N, I): values, logits or means."""
    assert level.normaliser is not None
    seen = normalised(observations, level.normaliser, slice(0, observations.shape[1]))
    policy = model.policy
    policy.set_training_mode(False)
    with torch.no_grad():
        out = torch.from_numpy(seen)
        for module in modules_of(model):
            out = module(out)
    return out.numpy().astype(np.float64)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: the same sums in the same order, and no threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _array(tensor: torch.Tensor) -> npt.NDArray[np.float32]:
    return tensor.detach().cpu().numpy().astype(np.float32)
