"""Small networks, manifests and artefacts for the tests of this folder."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np

from wfbt.config.values import Duration, Time
from wfbt.policy.artifact.building import build_network
from wfbt.policy.artifact.description import Architecture, Continuous, Discrete, Function, Head, Level, Scaling
from wfbt.policy.artifact.layouts import Affine
from wfbt.policy.artifact.load import Member
from wfbt.policy.artifact.manifest import Manifest, Provenance, Reward, Rows, Trainer, Window, sha256
from wfbt.policy.artifact.save import save_artifact

DIGEST = "ab" * 32
FEATURES = ("rsi", "adx", "spread")


def stack(widths, seed=1, layer_norm=False):
    random = np.random.default_rng(seed)
    out = []
    for n, (inputs, outputs) in enumerate(pairwise(widths)):
        norm = layer_norm and n < len(widths) - 2
        out.append(
            Affine(
                weight=random.normal(0, 1 / np.sqrt(inputs), (outputs, inputs)),
                bias=random.normal(0, 0.1, outputs),
                norm_gain=random.uniform(0.5, 1.5, outputs) if norm else None,
                norm_shift=random.normal(0, 0.1, outputs) if norm else None,
            )
        )
    return tuple(out)


def architecture(widths=(4, 8, 3), activation="tanh", layer_norm=False, head="categorical", squash=False):
    return Architecture(
        layers=tuple(widths),
        activation=Function(activation),
        layer_norm=layer_norm,
        head=Head(head),
        squash=squash,
    )


def scaling(width, clip=10.0):
    random = np.random.default_rng(9)
    return Scaling(
        mean=tuple(random.normal(0, 3, width).tolist()),
        deviation=tuple(random.uniform(0.5, 4, width).tolist()),
        clip=clip,
    )


def network(told=None, normaliser=None, seed=1):
    told = told or architecture()
    outputs = told.layers[-1]
    actions: Discrete | Continuous = Discrete(targets=(None, *[1.0] * (outputs - 1)))
    if told.head is Head.BOX:
        actions = Continuous(assets=tuple(f"S{n}" for n in range(outputs)), sized=False, dead_zone=0.0)
    return build_network(stack(told.layers, seed, told.layer_norm), told, actions, normaliser, "a network")


def level(told=None, normaliser=None, **other):
    told = told or architecture()
    given = {
        "features": FEATURES[: told.layers[0] - 1],
        "account": ("position",),
        "architecture": told,
        "graph": None,
        "normaliser": normaliser,
        "period": None,
        "joins": None,
        "actions": Discrete(targets=(1.0, -1.0, None)),
    }
    return Level(**(given | other))


def manifest(**other):
    given = {
        "provenance": Provenance.RECORDED,
        "models": (),
        "levels": {"policy": level()},
        "features_sha256": DIGEST,
        "reward": Reward(name="pnl", weights={"pnl": 1.0, "drawdown": -1.0}),
        "training": Window(start=Time.parse("2020-01-01"), end=Time.parse("2022-01-01")),
        "validation": Window(start=Time.parse("2022-01-02"), end=Time.parse("2022-06-01")),
        "embargo": Duration.parse("24h"),
        "data": Rows(period=Duration.parse("1h"), symbols=("BTCUSDT",), digests={"BTCUSDT": DIGEST}),
        "trainer": Trainer(algorithm="PPO", hyperparameters={"gamma": 0.99, "net_arch": (8,), "device": None}),
        "code_sha256": DIGEST,
        "lock_sha256": DIGEST,
        "probes": None,
    }
    return Manifest(**(given | other))


def observations(width, rows=50, seed=3):
    return np.random.default_rng(seed).normal(0, 2, (rows, width))


def artefact(folder, seeds=(0, 1), told=None, normaliser=None):
    """A folder with one tiny network a seed, as training would write it."""
    told = told or architecture()
    rows = observations(told.layers[0])
    members = [Member(seed=seed, levels={"policy": network(told, normaliser, seed)}) for seed in seeds]
    outputs = [{"policy": member.levels["policy"].values(rows)} for member in members]
    whole = manifest(levels={"policy": level(told, normaliser)})
    return save_artifact(folder, whole, members, {"policy": rows}, outputs)


def tree_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def write_tree(folder, tree):
    (folder / "manifest.json").write_text(json.dumps(tree))


def signed(folder, name, data):
    """Put `data` in the place of a file and say so in the manifest, as whoever forges one would."""
    (folder / name).write_bytes(data)
    tree = tree_of(folder)
    for model in tree["models"]:
        if model["file"] == name:
            model["sha256"] = sha256(data)
    if tree["probes"] and tree["probes"]["file"] == name:
        tree["probes"]["sha256"] = sha256(data)
    write_tree(folder, tree)
