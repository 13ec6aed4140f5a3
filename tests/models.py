"""Artefacts of small untrained networks that observe named features, as training would write them."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from wfbt.config.values import Duration, Time
from wfbt.features.spec import FeatureSpec
from wfbt.policy.artifact.building import describe_network
from wfbt.policy.artifact.description import Continuous, Discrete, Joined, Level
from wfbt.policy.artifact.load import Artifact, Member
from wfbt.policy.artifact.manifest import Manifest, Provenance, Reward, Rows, Trainer, Window
from wfbt.policy.artifact.save import save_artifact
from wfbt.policy.network import Activation, Head, Layer, Network, Normaliser

DIGEST = "ab" * 32
FEATURES = ("return_1", "return_24", "rsi_14", "realised_volatility_24")
THREE = Discrete(targets=(None, 1.0, -1.0))


def network(inputs: int, outputs: int, *, seed: int, kind: str = "categorical", low: tuple[float, ...] = ()) -> Network:
    """Two layers of random weights, large enough to say different things at different bars."""
    rng = np.random.default_rng(seed)
    return Network(
        layers=(
            Layer(weight=rng.normal(0, 1.5, (16, inputs)), bias=rng.normal(0, 0.5, 16), activation=Activation.TANH),
            Layer(weight=rng.normal(0, 1.0, (outputs, 16)), bias=rng.normal(0, 0.3, outputs)),
        ),
        head=Head(kind=kind, low=low, high=(1.0,) * len(low)),
        normaliser=Normaliser(mean=np.zeros(inputs), deviation=scales(inputs), clip=10.0),
    )


def scales(inputs: int) -> np.ndarray:
    """About what the features deviate by."""
    usual = {"return_1": 0.01, "return_24": 0.05, "rsi_14": 0.5, "realised_volatility_24": 0.01}
    own = [usual.get(name, 1.0) for name in FEATURES]
    return np.array([own[i % len(own)] if i < len(own) else 1.0 for i in range(inputs)])


def artefact(
    folder: Path,
    levels: dict[str, dict[str, Any]],
    *,
    symbols: tuple[str, ...] = ("AAA",),
    seeds: tuple[int, ...] = (0,),
    training: tuple[str, str] = ("2023-01-01", "2024-01-01"),
    **manifest: Any,
) -> Artifact:
    """`levels` give for each network features, account, actions, and period and joins of a manager."""
    given: dict[str, Level] = {}
    members = []
    widths: dict[str, int] = {}
    handed = 0
    for name, told in levels.items():
        own = {"features": FEATURES, "account": (), "actions": THREE, "period": None, "joins": None} | told
        widths[name] = len(own["features"]) + len(own["account"]) + handed
        levels[name] = own
        handed = own["actions"].outputs if own["period"] else 0
    for seed in seeds:
        networks = {}
        for number, (name, own) in enumerate(levels.items()):
            box = isinstance(own["actions"], Continuous)
            low = ()
            if box:
                assets = len(own["actions"].assets)
                low = (-1.0,) * assets + (0.0,) * (own["actions"].outputs - assets)
            networks[name] = network(
                widths[name], own["actions"].outputs, seed=100 * seed + number, kind="box" if box else "categorical",
                low=low,
            )  # fmt: skip
            architecture, scaling = describe_network(networks[name])
            given[name] = Level(**own, architecture=architecture, graph=None, normaliser=scaling)
        members.append(Member(seed=seed, levels=networks))
    rng = np.random.default_rng(9)
    probes = {name: rng.normal(0, 1, (20, width)) for name, width in widths.items()}
    outputs = [{name: one.values(probes[name]) for name, one in member.levels.items()} for member in members]
    names = list(dict.fromkeys(one.rpartition("/")[2] for own in levels.values() for one in own["features"]))
    whole = {
        "provenance": Provenance.RECORDED,
        "models": (),
        "levels": given,
        "features_sha256": FeatureSpec.parse(names).sha256,
        "reward": Reward(name="six", weights={"return": 1.0}),
        "training": Window(start=Time.parse(training[0]), end=Time.parse(training[1])),
        "validation": None,
        "embargo": Duration.parse("24h"),
        "data": Rows(period=Duration.parse("1h"), symbols=symbols, digests=dict.fromkeys(symbols, DIGEST)),
        "trainer": Trainer(algorithm="PPO", hyperparameters={"gamma": 0.99}),
        "code_sha256": DIGEST,
        "lock_sha256": DIGEST,
        "probes": None,
    }
    return save_artifact(folder, Manifest(**(whole | manifest)), members, probes, outputs)


def manager(every: int, goals: int = 3, **told: Any) -> dict[str, Any]:
    """A manager's level: its outputs stand for nothing but the goal that is chosen."""
    return {
        "actions": Discrete(targets=tuple(float(goal) for goal in range(goals))),
        "period": every,
        "joins": Joined.ONE_HOT,
    } | told


def is_number(value: Any) -> bool:
    """Whether a metric of result.json is there and finite."""
    return isinstance(value, int | float) and math.isfinite(value)
