"""A run before it is made: what decides its numbers, and where its folder goes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wfbt.assembly import identity_of, read_market, rules_in, study_of
from wfbt.checks import naming
from wfbt.compute import cores
from wfbt.config import schema
from wfbt.config.load import load_strategy
from wfbt.data.market import Market
from wfbt.policies import policies_of
from wfbt.policy.base import Policy
from wfbt.registry import provenance
from wfbt.registry.trials import ledger_file
from wfbt.simulation.fits import check_labels
from wfbt.validation.folds import Fold
from wfbt.validation.sleeves import Portfolio
from wfbt.validation.walk_forward import Study

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planned:
    """What a strategy file, its options and its market come to.

    Attributes
    ----------
    strategy : Path
        The file.
    strategy_sha256 : str or None
        Of its bytes; None where options were set on top of them.
    config : Strategy
    policies : mapping of str to Policy
        By sleeve.
    market : Market
    study : Study or Portfolio
    plan : list of Fold
    dropped : int
        Candidates that the rules call invalid.
    identity : mapping
        What the run id hashes.
    run_id : str
    final : Path
        The run folder.
    trials : Path
        The trial ledger.
    store : Path or None
        Where what is trained is kept.
    jobs : int
    begun : float
        `time.monotonic` before anything was read.
    """

    strategy: Path
    strategy_sha256: str | None
    config: schema.Strategy
    policies: Mapping[str, Policy]
    market: Market
    study: Study | Portfolio
    plan: list[Fold]
    dropped: int
    identity: Mapping[str, Any]
    run_id: str
    final: Path
    trials: Path
    store: Path | None
    jobs: int
    begun: float


def planned(
    strategy: str | os.PathLike[str],
    *,
    folds: int | None = None,
    scheme: str | None = None,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    models: str | os.PathLike[str] | None = None,
    trials: Path | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Planned:
    """Read a strategy file and its market, and say what run it asks for.

    `trials` is the trial ledger in place of the strategy's own; the other arguments are those of `run`.
    """
    begun = time.monotonic()
    config = load_strategy(strategy, overrides=overrides, folds=folds, scheme=scheme, seed=seed)
    sha256 = provenance.sha256(Path(strategy).read_bytes())  # now: it may be edited while markets are read
    bare = not overrides and folds is None and scheme is None and seed is None
    jobs = jobs or cores()
    with naming(strategy):
        policies = policies_of(config)
        progress("reading the market", 0, 0)
        market = read_market(config)
        check_labels(config.monte_carlo.labels if config.monte_carlo else None, market)
        store = None if models is None else Path(models)
        study, plan, dropped = study_of(config, market, policies, jobs, store)
        policies = rules_in(study)
    identity = {
        "config": identity_of(config),
        "data": market.digest,
        "rule": {name: policy.source_sha256 for name, policy in policies.items()},
        "source": provenance.source_sha256(),
        "versions": provenance.versions(),
    }
    run_id = provenance.run_id(identity)
    return Planned(
        strategy=Path(strategy),
        strategy_sha256=sha256 if bare else None,
        config=config,
        policies=policies,
        market=market,
        study=study,
        plan=plan,
        dropped=dropped,
        identity=identity,
        run_id=run_id,
        final=Path(out or "reports") / f"{config.name}-{run_id}",
        trials=trials or ledger_file(config.trials and config.locate(config.trials), out),
        store=store,
        jobs=jobs,
        begun=begun,
    )
