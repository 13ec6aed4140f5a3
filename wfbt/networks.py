"""What a run tells of the networks that decide in it: where they come from, how far their seeds lie apart, what they
have to beat.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from wfbt.ledger.ledger import Ledger
from wfbt.policies import networks_of
from wfbt.policy.learned import Learned
from wfbt.policy.taught import Taught
from wfbt.validation.baselines import baselines_told
from wfbt.validation.seeds import seed_key, seeds_told
from wfbt.validation.sleeves import Portfolio
from wfbt.validation.walk_forward import Study, WalkForward


def networks_section(study: Study | Portfolio, walk: WalkForward, benchmark: Ledger, seed: int) -> dict[str, Any]:
    """The keys `models`, `seeds` and `baselines` of result.json; nothing where no network decides."""
    if isinstance(study, Portfolio):
        found = {
            f"{member.name}.{key}".rstrip("."): model
            for member in study.members
            for key, model in networks_of(member.study.rule).items()
        }
        return {"models": {key: _told(model) for key, model in found.items()}} if found else {}
    models = {key.rstrip("."): model for key, model in networks_of(study.rule).items()}
    if not models:
        return {}
    key = seed_key(study.candidates[0])
    spread = None if key is None else seeds_told(study, walk, key, seed)
    return {
        "models": {key or "policy": _told(model) for key, model in models.items()},
        "seeds": spread
        or {"count": 1, "reasons": {"each": "one seed was trained: how far others would lie is unknown"}},
        "baselines": baselines_told(study, walk, benchmark),
    }


def _told(model: Learned | Taught) -> dict[str, Any]:
    if isinstance(model, Learned):
        return _of_one(model) | {"mode": "fixed"}
    told = [_of_one(one) for one in model.known.values()]
    told.sort(key=lambda one: str(one["training"]["start"]))
    last = told[-1]
    shared = {
        key: last[key] for key in ("provenance", "algorithm", "seeds", "features", "account", "levels", "decides")
    }
    each = ("path", "sha256", "training", "validation", "parity")
    return {
        "path": model.name,
        "sha256": model.source_sha256,
        **shared,
        "training": {"start": told[0]["training"]["start"], "end": last["training"]["end"]},
        "validation": last["validation"],
        "embargo_hours": last["embargo_hours"],
        "parity": max((one["parity"] for one in told if one["parity"] is not None), default=None),
        "mode": "retrain",
        "each": [{key: one[key] for key in each} for one in told],
    }


def _of_one(model: Learned) -> dict[str, Any]:
    manifest = model.artifact.manifest
    windows = {"training": manifest.training, "validation": manifest.validation}
    return {
        "path": model.name,
        "sha256": model.artifact.sha256,
        "provenance": manifest.provenance.value,
        "algorithm": manifest.trainer.algorithm if manifest.trainer else None,
        "seeds": list(model.seeds),
        "features": list(model.spec.names),
        "account": list(dict.fromkeys(seen for level in manifest.levels.values() for seen in level.account)),
        "levels": {
            name: list(level.architecture.layers) if level.architecture else "onnx graph"
            for name, level in manifest.levels.items()
        },
        **{
            name: None if one is None else {"start": _iso(int(one.start)), "end": _iso(int(one.end))}
            for name, one in windows.items()
        },
        "embargo_hours": int(manifest.embargo) / 3.6e12,
        "decides": "bar by bar in ONNX Runtime, slowly"
        if model.slow
        else "inside the replay, by what its account has become"
        if model.watches
        else "by features alone",
        "parity": model.artifact.parity,
    }


def _iso(ts: int) -> str:
    return pd.Timestamp(ts, tz="UTC").isoformat().replace("+00:00", "Z")
