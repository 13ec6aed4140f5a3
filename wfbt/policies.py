"""From a policy section to what decides: rules, trained models, networks to be trained, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from wfbt.config import schema
from wfbt.config.policies import Part, Range
from wfbt.config.policies import Policy as PolicySection
from wfbt.config.states import in_order
from wfbt.errors import ConfigError
from wfbt.policy.base import Policy, Rule, load_rule
from wfbt.policy.composite import Composite
from wfbt.policy.composite import Part as MadeOf
from wfbt.policy.ensemble import Ensemble
from wfbt.policy.hybrid import Hybrid
from wfbt.policy.learned import Learned
from wfbt.policy.rotate import Rotation
from wfbt.policy.search import Candidates, candidates
from wfbt.policy.taught import Taught, Teacher


def policies_of(config: schema.Strategy) -> dict[str, Policy]:
    """What decides, by sleeve; the one policy of a strategy without sleeves under the empty name."""
    return {name: policy_of(given, config.base, section) for name, (given, section) in sections_of(config).items()}


def sections_of(config: schema.Strategy) -> dict[str, tuple[PolicySection, str]]:
    """The policy sections of the strategy and where they stand, by sleeve."""
    if config.sleeves is not None:
        return {name: (one.policy, f"sleeves.members.{name}.policy") for name, one in config.sleeves.members.items()}
    if config.policy is None:
        raise ConfigError("policy is required")
    return {"": (config.policy, "policy")}


def policy_of(given: PolicySection, base: Path, section: str = "policy") -> Policy:
    """The rule, model, hybrid, ensemble or rotation that a policy section names, what it is made of loaded."""

    def load(part: Part | PolicySection, section: str) -> MadeOf:
        if part.train is not None:
            return taught_of(part, base, section)
        if part.model is not None:
            return learned_of(part, base, section)
        if part.rule is None:
            raise ConfigError(f"{section} needs a rule")
        return replace(load_rule(part.rule, base, section), searched=frozenset(part.search))

    if given.hybrid is not None:
        return Hybrid(
            propose=load(given.hybrid.propose, f"{section}.hybrid.propose"),
            confirm=load(given.hybrid.confirm, f"{section}.hybrid.confirm"),
            mode=given.hybrid.mode,
            passes=given.hybrid.mode == "veto" if given.hybrid.passes is None else given.hybrid.passes,
        )
    if given.ensemble is not None:
        return Ensemble(
            members=tuple(load(one, f"{section}.ensemble[{place}]") for place, one in enumerate(given.ensemble)),
            weights=tuple(one.weight for one in given.ensemble),
        )
    if given.rotate is not None:
        states = in_order(given.rotate)
        return Rotation(
            states=states,
            rules={
                name: load(part, f"{section}.rotate.{name}")
                for name in states
                if (part := given.rotate[name]) is not None
            },
        )
    return load(given, section)


def learned_of(given: Part | PolicySection, base: Path, section: str) -> Learned:
    """The trained policy that a section names, read without running anything that stands in its files."""
    from wfbt.policy.artifact.load import load_artifact
    from wfbt.policy.learned import spec_of

    assert given.model is not None
    if "://" in given.model:
        raise ConfigError(f"{section}.model: {given.model} is no local path; fetch the folder first")
    artifact = load_artifact(base / given.model)

    def load(name: str) -> Rule:
        return load_rule(name, base, f"{section}.features")

    spec = spec_of(artifact, given.features, load)
    return Learned(name=given.model, artifact=artifact, spec=spec, least=given.least, section=section, base=base)


def taught_of(given: Part | PolicySection, base: Path, section: str) -> Taught:
    """The network that every fold trains, before there is a market to be taught in."""
    from wfbt.features.spec import FeatureSpec

    assert given.train is not None
    features = given.train.features if isinstance(given.train.features, str) else list(given.train.features)
    return Taught(
        name=f"{given.train.algorithm} trained in each fold",
        spec=FeatureSpec.parse(features, lambda name: load_rule(name, base, f"{section}.train.features")),
        seeds=given.train.seeds,
        watches=bool(given.train.account),
        least=given.least,
        section=section,
        base=base,
    )


def enrolled(policy: Policy, teachers: Mapping[str, Teacher]) -> Policy:
    """`policy` with a teacher, by the section that asks for it, of each network that is trained."""
    if isinstance(policy, Taught):
        return policy.enrolled(teachers[f"{policy.section}.train"])
    if isinstance(policy, Composite):
        return policy.with_parts({
            key: part.enrolled(teachers[f"{part.section}.train"]) if isinstance(part, Taught) else part
            for key, part in policy.parts.items()
        })  # fmt: skip
    return policy


def candidates_of(given: PolicySection, policy: Policy, section: str = "policy") -> Candidates:
    """Every combination that a policy section searches; the parameters of a part begin with its key: propose.fast.

    `section` is where it stands, for messages.
    """
    parts: dict[str, Part | PolicySection] = {"": given}
    if given.hybrid is not None:
        parts = {"propose.": given.hybrid.propose, "confirm.": given.hybrid.confirm}
    if given.ensemble is not None:
        parts = {f"{number}.": member for number, member in enumerate(given.ensemble, start=1)}
    if given.rotate is not None:
        parts = {f"{name}.": part for name, part in given.rotate.items() if part is not None}
    params = {key + name: value for key, part in parts.items() for name, value in part.params.items()}
    search = {
        key + name: one.model_dump() if isinstance(one, Range) else list(one)
        for key, part in parts.items()
        for name, one in part.search.items()
    }
    # Every seed of a network is a candidate: how far they lie apart is part of what is told of it.
    for key, own in networks_of(policy).items():
        if f"{key}seed" not in params and f"{key}seed" not in search and len(own.seeds) > 1:
            search[f"{key}seed"] = list(own.seeds)
    return candidates(params, search, valid=policy.is_valid, section=section)


def networks_of(policy: Policy) -> dict[str, Learned | Taught]:
    """The networks of a policy by the key of their part, with its dot; "" of a policy that is one."""
    if isinstance(policy, Learned | Taught):
        return {"": policy}
    parts = policy.parts.items() if isinstance(policy, Composite) else ()
    return {f"{key}.": part for key, part in parts if isinstance(part, Learned | Taught)}
