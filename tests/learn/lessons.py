"""Small strategies that train something, and networks with random weights that fit them."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from tests.data.parquet import START, bars_table, write
from tests.runs import hours, write_study
from wfbt.config.load import load_strategy
from wfbt.data.market import HOUR
from wfbt.learn.lesson import blank
from wfbt.policy.artifact.description import Level
from wfbt.policy.network import Network
from wfbt.training import opened, windows_of

QUICK: dict[str, Any] = {
    "features": ["rsi_14", "return_4", "volume_z"],
    "hidden": [8, 8],
    "steps": 256,
    "seeds": 2,
    "lanes": 4,
    "batch": 32,
    "ppo": {"rollout": 64, "epochs": 2},
    "episodes": {"by": "length", "length": 48},
    "validation": {"share": 0.25, "every": 64, "patience": 100, "score": "total_return"},
}
"""A network that learns nothing worth knowing in half a second."""

LIGHT: dict[str, Any] = {"sizing": {"method": "fraction"}, "exits": None, "robustness": None}


def write_lesson(folder, plan=None, *, bars=None, policy=None, **sections):
    """A study on disk whose policy is trained as `plan` says, in place of QUICK's keys."""
    policy = {"train": QUICK | (plan or {})} if policy is None else policy
    given = {**LIGHT, "policy": None, **sections}
    path = write_study(folder, hours() if bars is None else bars, **given)
    tree = json.loads(path.read_text()) | {"policy": policy}
    path.write_text(json.dumps(tree, indent=1))
    return path


def add_symbol(path, bars):
    """A second symbol, BBB, beside the first, with gaps that the first has not."""
    there = np.ones(len(bars["close"]), bool)
    there[[200, 201, 500, 731]] = False
    ts = (START + HOUR * np.arange(len(there)))[there]
    write(path.parent / "other.parquet", bars_table(ts=ts, **{name: values[there] for name, values in bars.items()}))
    tree = json.loads(path.read_text())
    tree["data"]["symbols"]["BBB"] = {"bars": "other.parquet"}
    path.write_text(json.dumps(tree))


def open_school(path, store, **known):
    """The only school of a strategy file, and its windows by name."""
    config = load_strategy(path)
    schools, deck = opened(config, store, **known)
    ((_, school),) = schools.items()
    return school, dict(windows_of(config, deck))


def random_network(level: Level, seed: int) -> Network:
    """A network as `level` describes it, with weights that make it decide now this and now that."""
    rng, made = np.random.default_rng(seed), blank(level)
    layers = [
        replace(one, weight=rng.normal(size=one.weight.shape) / np.sqrt(one.weight.shape[1]) * 2.0)
        for one in made.layers
    ]
    # How long a position is held moves slowly, and would have the last word for weeks.
    reads = np.where(np.arange(made.inputs) < len(level.features), 1.0, 0.3)
    layers[0] = replace(layers[0], weight=layers[0].weight * reads)
    return replace(made, layers=tuple(layers))
