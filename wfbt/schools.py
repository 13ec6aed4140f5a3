"""From a strategy's plain values to the schools of its parts that are trained."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.config import schema
from wfbt.config.load import resolved
from wfbt.config.policies import Part
from wfbt.config.policies import Policy as PolicySection
from wfbt.config.training import Train
from wfbt.data.market import Bars, Market
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup
from wfbt.errors import ConfigError
from wfbt.features.learners import Frames, Learner
from wfbt.features.spec import FeatureSpec
from wfbt.kernels.abi import Rules
from wfbt.learn.reward import reward_named
from wfbt.learn.school import Company, School
from wfbt.policy.artifact.load import load_artifact
from wfbt.policy.base import load_rule

MODELS = "models"
"""The folder of artefacts unless told otherwise."""

Taught = tuple[Train, Part | None, Any]
"""What is trained, the part beside it, and the hybrid that they make."""


def taught_in(config: schema.Strategy) -> dict[str, Taught]:
    """The parts of a strategy that are trained, by where they stand; ConfigError on what cannot be trained."""
    if config.sleeves is not None:
        for name, member in config.sleeves.members.items():
            if _parts(member.policy, f"sleeves.members.{name}.policy"):
                raise ConfigError(
                    f"sleeves.members.{name}.policy: a network is not trained inside a sleeve; train it alone"
                )
        return {}
    assert config.policy is not None
    return _parts(config.policy, "policy")


def _parts(given: PolicySection, section: str) -> dict[str, Taught]:
    found: dict[str, Taught] = {}
    if given.train is not None:
        found[f"{section}.train"] = (given.train, None, None)
    if (hybrid := given.hybrid) is not None:
        if hybrid.propose.train is not None and hybrid.confirm.train is not None:
            raise ConfigError(f"{section}.hybrid: train one side, and give the other as a rule")
        for side, other in (("propose", hybrid.confirm), ("confirm", hybrid.propose)):
            part = getattr(hybrid, side)
            if part.train is not None:
                found[f"{section}.hybrid.{side}.train"] = (part.train, other, hybrid)
    for place, member in enumerate(given.ensemble or ()):
        if member.train is not None:
            found[f"{section}.ensemble[{place}].train"] = (member.train, None, None)
    for name, one in (given.rotate or {}).items():
        if one is not None and one.train is not None:
            found[f"{section}.rotate.{name}.train"] = (one.train, None, None)
    return found


def schools_of(
    config: schema.Strategy,
    *,
    market: Market,
    setup: Setup,
    lowering: Lowering,
    rules: Rules,
    frames: Frames,
    learners: tuple[Learner, ...] = (),
    regime_scale: tuple[float, ...] = (),
    store: Path | None = None,
    seeds: int | None = None,
) -> dict[str, School]:
    """A school of each part that is trained, by where it stands; `seeds` in place of how many each asks for.

    What stands beside `config` is what its study is made of.
    """
    digests = market_digests(market, frames)
    tree = resolved(config)
    words = f"{setup!r} {tree['volatility']!r} {tree['regimes']!r} {config.data.timeframes!r}"
    out = {}
    for section, (plan, beside, hybrid) in taught_in(config).items():
        _check(config, plan, section)
        if seeds is not None:
            plan = plan.model_copy(update={"seeds": tuple(range(seeds))})
        company = None
        if beside is not None:
            company = _company(config, beside, hybrid, section)
        out[section] = School(
            plan=plan,
            spec=_spec(config, plan, section),
            lowering=lowering,
            rules=rules,
            frames=frames,
            learners=learners,
            regime_scale=regime_scale,
            company=company,
            embargo=int(config.folds.embargo),
            seed=config.seed,
            setup=words,
            digests=digests,
            warm=None if plan.warm_start is None else load_artifact(Path(config.locate(plan.warm_start))),
            store=(store or Path(MODELS)) / config.name,
        )
    return out


def market_digests(market: Market, frames: Frames) -> Callable[[int], Mapping[str, str]]:
    """sha256 of what is known of each symbol up to a moment, ns UTC: bars, series, funding, marks, its contract."""

    @functools.lru_cache(maxsize=256)
    def digests(until: int) -> Mapping[str, str]:
        out = {}
        for one in market.instruments:
            digest = hashlib.sha256(repr((one.symbol, one.contract, one.impact, one.volume, one.adv)).encode())
            frame = frames[one.symbol]
            closes = pd.DatetimeIndex(frame.index).as_unit("ns").asi8
            own = frame[closes <= until]
            digest.update(repr(list(own.columns)).encode())
            _feed(digest, closes[closes <= until], *(own[name].to_numpy(np.float64) for name in own))
            for bars in (one.mark, one.execution_bars):
                if bars is not None:
                    _feed(digest, *_until(bars, until))
            if one.funding is not None:
                rows = one.funding.ts <= until
                _feed(digest, one.funding.ts[rows], one.funding.rate[rows], one.funding.mark[rows])
            out[one.symbol] = digest.hexdigest()
        return out

    return digests


def _until(bars: Bars, until: int) -> list[npt.NDArray[Any]]:
    rows = bars.close_ts <= until
    return [getattr(bars, name)[rows] for name in ("open_ts", "open", "high", "low", "close", "volume")]


def _feed(digest: Any, *arrays: npt.NDArray[Any]) -> None:
    for array in arrays:
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())


def _company(config: schema.Strategy, part: Part, hybrid: Any, section: str) -> Company:
    proposes = ".propose." in section
    where = section.replace("propose.train" if proposes else "confirm.train", "confirm" if proposes else "propose")
    if part.rule is None:
        raise ConfigError(f"{where} must be a rule beside a network that is trained")
    if part.search:
        raise ConfigError(f"{where}.search: beside a network that is trained a rule keeps its parameters; use params")
    rule = load_rule(part.rule, config.base, where)
    params = dict(part.params)
    if rule.label_horizon(params):
        raise ConfigError(f"{where}: {rule.name} learns from labels, which is not offered beside a network")
    passes = hybrid.mode == "veto" if hybrid.passes is None else hybrid.passes
    return Company(rule=rule, params=params, mode=hybrid.mode, proposes=proposes, passes=passes)


def _check(config: schema.Strategy, plan: Train, section: str) -> None:
    reward_named(plan.reward.name, plan.reward.weights)  # refuses what it does not know
    if plan.action.discrete is not None and len(config.data.symbols) > 1:
        raise ConfigError(
            f"{section}.action: discrete actions are of one symbol, and {len(config.data.symbols)} are traded; use "
            "{continuous: {sized: true}}"
        )
    if plan.hierarchical is not None and ".hybrid." in section:
        raise ConfigError(f"{section}.hierarchical: a manager and its worker are trained alone, not in a hybrid")
    if config.volatility is not None and config.volatility.limit:
        raise ConfigError(f"volatility.limit: is not offered beside {section}")


def _spec(config: schema.Strategy, plan: Train, section: str) -> FeatureSpec:
    given = plan.features if isinstance(plan.features, str) else list(plan.features)
    return FeatureSpec.parse(given, lambda name: load_rule(name, config.base, section))
