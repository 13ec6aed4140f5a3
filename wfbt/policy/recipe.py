"""A policy as plain values, so that another process can load it from its own files again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wfbt.errors import PolicyError
from wfbt.features.spec import FeatureSpec
from wfbt.policy.artifact.load import load_artifact
from wfbt.policy.base import Policy
from wfbt.policy.composite import Part
from wfbt.policy.ensemble import Ensemble
from wfbt.policy.hybrid import Hybrid
from wfbt.policy.learned import Learned, spec_of
from wfbt.policy.load import load_rule
from wfbt.policy.rotate import Rotation
from wfbt.policy.rule import Rule
from wfbt.policy.taught import StoredTeacher, Taught


def recipe(policy: Policy) -> dict[str, Any]:
    """What `made` makes the same policy of; PolicyError for a kind that no file names."""
    if isinstance(policy, Taught):
        stored = policy.stored()
        return {
            "taught": {"folder": str(stored.folder), "keys": dict(stored.keys), "sha256": stored.sha256},
            "seeds": list(policy.seeds),
            "watches": policy.watches,
            "features": policy.spec.entries,
            "base": str(policy.base.resolve()),
            "least": policy.least,
            "section": policy.section,
        }
    if isinstance(policy, Learned):
        return {
            "model": str(policy.artifact.path.resolve()),
            "features": policy.spec.entries,
            "base": str(policy.base.resolve()),
            "least": policy.least,
            "section": policy.section,
        }
    if isinstance(policy, Rule):
        where = policy.name if policy.source is None or ":" not in policy.name else _from_root(policy)
        return {"rule": where, "section": policy.section}
    if isinstance(policy, Hybrid):
        return {
            "propose": recipe(policy.propose),
            "confirm": recipe(policy.confirm),
            "mode": policy.mode,
            "passes": policy.passes,
        }
    if isinstance(policy, Ensemble):
        return {"members": [recipe(one) for one in policy.members], "weights": list(policy.weights)}
    if isinstance(policy, Rotation):
        return {"states": list(policy.states), "rules": {state: recipe(one) for state, one in policy.rules.items()}}
    raise PolicyError(f"{policy.name}: a {policy.kind} cannot be loaded again in a process of its own")


def _from_root(rule: Rule) -> str:
    """The file from the root on, so that the other process may stand anywhere; a module keeps its name."""
    where, _, attr = rule.name.rpartition(":")
    is_file = where.endswith(".py") or "/" in where or "\\" in where
    return f"{rule.source}:{attr}" if is_file else rule.name


def made(given: dict[str, Any]) -> Policy:
    """The policy of a `recipe`, its files executed in this process."""
    if "rule" in given:
        return load_rule(given["rule"], Path("/"), given["section"])
    if "taught" in given:
        return _taught(given)
    if "model" in given:
        base = Path(given["base"])
        artifact = load_artifact(Path(given["model"]))
        spec = spec_of(artifact, given["features"], lambda name: load_rule(name, base, given["section"]))
        return Learned(
            name=given["model"], artifact=artifact, spec=spec, least=given["least"], section=given["section"], base=base
        )
    if "mode" in given:
        return Hybrid(
            propose=_part(given["propose"]), confirm=_part(given["confirm"]), mode=given["mode"], passes=given["passes"]
        )
    if "states" in given:
        rules = {state: _part(one) for state, one in given["rules"].items()}
        return Rotation(states=tuple(given["states"]), rules=rules)
    return Ensemble(members=tuple(_part(one) for one in given["members"]), weights=tuple(given["weights"]))


def _taught(given: dict[str, Any]) -> Taught:
    base, seeds = Path(given["base"]), tuple(given["seeds"])
    return Taught(
        name="train",
        spec=FeatureSpec.parse(given["features"], lambda name: load_rule(name, base, given["section"])),
        seeds=seeds,
        watches=given["watches"],
        least=given["least"],
        section=given["section"],
        base=base,
        teacher=StoredTeacher(
            folder=Path(given["taught"]["folder"]),
            keys=given["taught"]["keys"],
            seeds=seeds,
            watches=given["watches"],
            sha256=given["taught"]["sha256"],
        ),
    )


def _part(given: dict[str, Any]) -> Part:
    part = made(given)
    assert isinstance(part, Part)
    return part
