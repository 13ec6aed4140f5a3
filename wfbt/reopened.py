"""A run folder opened again: all it was made of, there and unchanged, and what its last fold chose, to decide on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wfbt.assembly import identity_of, read_market, rules_in
from wfbt.config import schema
from wfbt.config.load import load_strategy
from wfbt.data.market import Market
from wfbt.engine.backtest import replay_ledger
from wfbt.errors import ArtifactError, ConfigError, DataError
from wfbt.ledger.ledger import Ledger
from wfbt.policies import enrolled, networks_of
from wfbt.policy.artifact.load import load_artifact
from wfbt.policy.taught import StoredTeacher, Taught, rows_sha256
from wfbt.registry import provenance
from wfbt.schools import MODELS
from wfbt.validation.folds import Fold
from wfbt.validation.sleeves import Portfolio, SleeveFold, said_again
from wfbt.validation.walk_forward import Study, Trial, View, spans_of, training_times

FILES = ("config.resolved.yaml", "manifest.json", "result.json", "equity.parquet")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A run folder: what was asked for, what it was made of, what came of it, and where trained networks are."""

    folder: Path
    config: schema.Strategy
    manifest: Mapping[str, Any]
    result: Mapping[str, Any]
    models: Path
    notes: tuple[str, ...]

    @property
    def fold(self) -> Mapping[str, Any]:
        """What is told of the last fold."""
        last: Mapping[str, Any] = self.result["folds"][-1]
        return last


def open_run(folder: Path, models: str | os.PathLike[str] | None) -> Run:
    """Read what stands in a run folder; ArtifactError where something is missing or contradicts its manifest."""
    for name in FILES:
        if not (folder / name).is_file():
            raise ArtifactError(f"{folder} is no run folder: it has no {name}; name one that wfbt run has written")
    try:
        manifest, result = (json.loads((folder / name).read_text("utf-8")) for name in ("manifest.json", "result.json"))
    except ValueError as error:
        raise ArtifactError(f"{folder}: its manifest.json or result.json is no JSON: {error}; run it again") from error
    for name, tree, keys in (
        ("manifest.json", manifest, ("run_id", "config_sha256", "data_sha256", "source_sha256")),
        ("result.json", result, ("run_id", "folds", "events")),
    ):
        if missing := [key for key in keys if not isinstance(tree, dict) or not tree.get(key)]:
            raise ArtifactError(f"{folder}: {name} has no {missing[0]}; it is no whole run: run it again")
    if manifest["run_id"] != result["run_id"]:
        raise ArtifactError(f"{folder}: manifest.json and result.json are of two runs; run it again")
    config = load_strategy(folder / "config.resolved.yaml")
    own = provenance.sha256(json.dumps(identity_of(config), sort_keys=True).encode())
    if own != manifest["config_sha256"]:
        raise ArtifactError(
            f"{folder}: config.resolved.yaml is not what the run was made of (sha256 {own[:12]}…, the manifest has "
            f"{str(manifest['config_sha256'])[:12]}…); run it again"
        )
    notes = []
    if manifest["source_sha256"] != provenance.source_sha256():
        notes.append("the run was made by another version of wfbt than the one that compares")
    return Run(
        folder=folder, config=config, manifest=manifest, result=result, models=Path(models or MODELS),
        notes=tuple(notes),
    )  # fmt: skip


def market_of(run: Run) -> Market:
    """The data of the run; ArtifactError where they are no longer what they were."""
    try:
        market = read_market(run.config)
    except DataError as error:
        raise ArtifactError(f"{run.folder}: the data it was made of cannot be read any more: {error}") from error
    if market.digest != run.manifest["data_sha256"]:
        raise ArtifactError(
            f"{run.folder}: the data that its config.resolved.yaml names have changed since the run (sha256 "
            f"{market.digest[:12]}…, the manifest has {str(run.manifest['data_sha256'])[:12]}…); restore them, or run "
            "it again"
        )
    return market


def check_rule(run: Run, study: Study | Portfolio) -> None:
    """ArtifactError where what decides is not what decided; networks that were trained are checked by their files."""
    for name, policy in rules_in(study).items():
        if any(isinstance(one, Taught) for one in networks_of(policy).values()):
            continue
        was = run.manifest["rule"] if not name else run.manifest["rules"][name]
        if policy.source_sha256 != was["sha256"]:
            raise ArtifactError(
                f"{run.folder}: {policy.name} has changed since the run (sha256 {policy.source_sha256[:12]}…, the "
                f"manifest has {was['sha256'][:12]}…); restore it, or run it again"
            )


def with_networks(run: Run, study: Study | Portfolio, fold: Fold) -> Study | Portfolio:
    """The study whose networks are those that the run's last fold trained, read and compared with their hashes."""
    if isinstance(study, Portfolio):
        return study  # a sleeve trains none
    found = {key: one for key, one in networks_of(study.rule).items() if isinstance(one, Taught)}
    if not found:
        return study
    if run.config.folds.scheme == "cpcv":
        raise ConfigError("folds.scheme cpcv trains no network on what comes last; compare a run with scheme rolling")
    rows = training_times(study.deck, fold)
    teachers = {}
    for key, taught in found.items():
        each = run.result["models"][key.rstrip(".") or "policy"]["each"]
        last = max(each, key=lambda one: (one["training"]["end"], (one["validation"] or {}).get("end", "")))
        place = next(
            (
                one
                for one in (Path(last["path"]), run.models / run.config.name / Path(last["path"]).name)
                if one.is_dir()
            ),
            None,
        )
        if place is None:
            raise ArtifactError(
                f"the network of the last fold is not at {last['path']}; name the folder of the run's networks with "
                "--models"
            )
        artifact = load_artifact(place)
        if artifact.sha256 != last["sha256"]:
            raise ArtifactError(
                f"{place}: is not the network of the run's last fold (sha256 {artifact.sha256[:12]}…, the run has "
                f"{last['sha256'][:12]}…); restore it, or run it again"
            )
        teachers[f"{taught.section}.train"] = StoredTeacher(
            folder=place.parent,
            keys={rows_sha256(rows): place.name},
            seeds=taught.seeds,
            watches=taught.watches,
            sha256=taught.source_sha256,
        )
    return replace(study, rule=enrolled(study.rule, teachers))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deployed:
    """What the last fold chose, deciding over the whole span.

    `views` are what it is shown, by sleeve; `account` replays decision bars [first, last) as an account that begins
    flat and is not stopped for good by the drawdown limit: it would do nothing for the rest of a span, and what is
    compared is what it does.
    """

    views: Mapping[str, View]
    account: Callable[[int, int], Ledger]


def deployed(run: Run, study: Study | Portfolio, fold: Fold) -> Deployed:
    """What the run's last fold chose, on `study`, which may go on where the run ended; ArtifactError if it chose what
    the strategy does not offer.
    """
    if isinstance(study, Study):
        study = replace(study, rules=study.rules._replace(drawdown=np.inf))
        view = study.view(fold)
        chosen = _candidate(study, run.fold["params"])
        deck = study.judged([(view, slice(0, len(study.deck.decisions)))])
        said = study.say(chosen, view)

        def account(first: int, last: int) -> Ledger:
            ((start, stop),) = spans_of(study.deck, [slice(first, last)])
            return replay_ledger(deck, said.heard_from([start]).between(start, stop), study.rules, first, last)

        return Deployed(views={"": view}, account=account)
    last = run.result["sleeves"]["folds"][-1]
    views = {one.name: one.study.view(fold) for one in study.members}
    shares = tuple(
        SleeveFold(
            name=one.name,
            weight=float(last["weights"][one.name]),
            params=last["params"][one.name],
            trial=_untried(_candidate(one.study, last["params"][one.name])),
        )
        for one in study.members
    )

    def together(first: int, last: int) -> Ledger:
        intents = said_again(study, shares, views, (first, last), {}).intents()
        return replay_ledger(study.book, intents, study.rules._replace(drawdown=np.inf), first, last)

    return Deployed(views=views, account=together)


def _candidate(study: Study, params: Mapping[str, Any]) -> int:
    """The place of `params`, which have been through JSON, among the candidates."""
    wanted = json.dumps(dict(params), sort_keys=True)
    for place, one in enumerate(study.candidates):
        if json.dumps(dict(one), sort_keys=True) == wanted:
            return place
    raise ArtifactError(f"result.json: the parameters of the last fold, {wanted}, are none of the strategy's")


def _untried(chosen: int) -> Trial:
    none = np.zeros((0, 0))
    return Trial(
        scores=np.zeros(0), chosen=chosen, train_returns=none, test_returns=none, round_trips=np.zeros((0, 2), np.int64)
    )
