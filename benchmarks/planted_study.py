"""A strategy over a planted market, on disk: run, looked at and judged as a user's would be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from wfbt.assembly import buy_and_hold, identity_of, read_market, rules_in, study_of
from wfbt.checks import walked
from wfbt.config.load import load_strategy
from wfbt.config.schema import Strategy
from wfbt.data.market import Market
from wfbt.data.planted import FIRST, Planted, signal_names, write_planted
from wfbt.gate.counted import thresholds_of
from wfbt.gate.criteria import Criteria, Kind
from wfbt.gate.facts import Daily, Tries
from wfbt.gate.judge import judge
from wfbt.gate.verdict import Verdict
from wfbt.gating import Terms, gate_run
from wfbt.ledger.ledger import Ledger
from wfbt.pipeline import run
from wfbt.policies import policies_of
from wfbt.registry import provenance
from wfbt.registry.attempts import attempt_of
from wfbt.registry.looks import Look, look_of
from wfbt.registry.trials import FILE, Trials
from wfbt.tables import judged_days
from wfbt.validation.walk_forward import Study, WalkForward

RULE = Path(__file__).with_name("signal_rule.py")
TRAIN = 2190
"""Days that a fold chooses on: with fewer the best of 49 worthless signals is often ahead of the planted one."""

FOLDS = 12

SECTIONS: dict[str, Any] = {
    # As a rule that trades daily has it: three losing trades in a row are no reason to miss a month.
    "limits": {"cooldown": None},
    "folds": {"count": FOLDS, "train": f"{TRAIN}d"},
    # What the default gate asks for, and counts that answer it: of one ruined path in 600 the upper bound is below 1%.
    "leaks": {"evaluations": 8},
    "regimes": {"starts": 1},
    "robustness": {
        "samples": 8, "draws": 8, "replays": 50, "skip": None, "bootstrap": None, "costs": [2.0], "latency": None,
        "offsets": None,
    },
    "stress": {"history": False},
    "capacity": None,
    "decay": None,
    "monte_carlo": {"paths": 600, "replays": 600, "capital": [100_000], "sizes": [1.0]},
    "report": {"tearsheets": "none"},
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """A strategy walked and recorded as a look, without the run folder.

    `identity` is the resolved strategy as a run id hashes it, `metrics` are those of the stitched account.
    """

    config: Strategy
    identity: Mapping[str, Any]
    market: Market
    walk: WalkForward
    benchmark: Ledger
    metrics: Mapping[str, Any]
    look: Look

    @property
    def sharpe(self) -> float | None:
        """Annual, out of sample; None where it never traded."""
        value: float | None = self.metrics["sharpe"]
        return value

    def chose(self, column: str) -> float:
        """Share of the folds that chose a column."""
        return float(np.mean([one.params["column"] == column for one in self.walk.folds]))

    @property
    def daily(self) -> Daily:
        """Its days, for the gate."""
        days = judged_days(self.walk, self.benchmark)
        return Daily(
            returns=days["strategy"].to_numpy(),
            held=days["benchmark"].to_numpy(),
            fold=days["fold"].to_numpy(np.int64),
            periods_per_year=self.walk.ledger.calendar.periods_per_year,
        )

    def result(self) -> dict[str, Any]:
        """Of result.json what a walk alone can say."""
        return {
            "run_id": self.look.run,
            "data": {symbol: {} for symbol in self.config.data.symbols},
            "folds": [{"index": one.fold.index + 1} for one in self.walk.folds],
            "oos": self.metrics,
            "benchmark": self.benchmark.metrics(),
        }


def write_market(folder: Path, planted: Planted, seed: np.random.SeedSequence) -> str:
    """Bars and signals into `folder`; gives the planted column."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_planted(folder, planted, seed)


def write_strategy(folder: Path, planted: Planted, *, name: str, seed: int, column: str | None = None) -> Path:
    """A strategy that searches all signals in every fold, or trades `column` alone, over the market in `folder`."""
    span = [str(np.datetime64(FIRST, "ns").astype("datetime64[D]") + days) for days in (0, planted.days)]
    chosen = {"search": {"column": signal_names(planted)}} if column is None else {"params": {"column": column}}
    tree = {
        "name": name,
        "seed": seed,
        "data": {
            "start": span[0],
            "end": span[1],
            "symbols": {"AAA": {"bars": "bars.parquet"}},
            "series": {"signals": {"path": "signals.parquet", "available": "published_at"}},
        },
        "policy": {"rule": f"{RULE}:follow", "params": {"level": planted.level, **chosen.pop("params", {})}, **chosen},
        **SECTIONS,
    }
    path = folder / f"{name}-{seed}-{column or 'all'}.yaml"
    path.write_text(json.dumps(tree))  # JSON is YAML
    return path


def evident(verdict: Verdict) -> bool:
    """Whether all that is asked of the evidence was met."""
    return all(one.passed for one in verdict.findings if one.criterion.kind is Kind.EVIDENCE)


def attempted(seen: Walked, strategy: Path, out: Path, *, whole: bool, terms: Terms) -> Verdict:
    """The verdict on a strategy that was `seen`, an attempt in the ledger of `out`.

    Where the evidence of the walk is short already, leak tests, replays, stresses and Monte Carlo are not asked, as
    nothing that they say could make it PASS.  With `whole` they are asked all the same.
    """
    tries = tries_of(seen, out, terms.criteria)
    verdict = judge(seen.result(), seen.daily, tries, seen.config.mandate, terms.criteria)
    if not whole and not evident(verdict):
        return verdict
    made = run(strategy, out=out, report=False, jobs=1)
    verdict = gate_run(made.folder, terms).verdict
    if (verdict.attempt, verdict.series) != (tries.attempt, tries.series):
        raise AssertionError("the run took another look or attempt than the walk had taken")
    return verdict


def tries_of(seen: Walked, out: Path, criteria: Criteria) -> Tries:
    """Record the attempt in the ledger of `out`, as the gate does before it judges, and say what was tried by now."""
    attempt = attempt_of(
        seen.look,
        run=seen.look.run,
        config=seen.identity,
        model=None,
        criteria=criteria.sha256,
        thresholds=thresholds_of(criteria, seen.config.mandate.model_dump()),
    )
    told = Trials.open(out / FILE).attempt(attempt)
    return Tries(attempt=told.number, series=told.series, picked=told.picked)


def looked(strategy: Path, out: Path, market: Market | None = None) -> Walked:
    """Walk a strategy as a run does, and record its look in the ledger of `out`.

    Of a `market` that was read before, the files are not read again.
    """
    config = load_strategy(strategy)
    policies = policies_of(config)
    market = market or read_market(config)
    study, plan, _ = study_of(config, market, policies, 1)
    assert isinstance(study, Study)
    walk = walked(study, plan, None, False, lambda what, done, total: None)
    identity = {
        "config": identity_of(config),
        "data": market.digest,
        "rule": {name: policy.source_sha256 for name, policy in rules_in(study).items()},
        **wfbt_itself(),
    }
    metrics = walk.ledger.metrics()
    told = {
        "name": config.name,
        "oos": metrics,
        "folds": [{"candidates": len(study.candidates)} for _ in walk.folds],
    }
    look = look_of(provenance.run_id(identity), identity, market, walk, told)
    Trials.open(out / FILE, create=True).record([look])
    held = buy_and_hold(study, config, plan)
    return Walked(
        config=config, identity=identity["config"], market=market, walk=walk, benchmark=held, metrics=metrics, look=look
    )


@cache
def wfbt_itself() -> dict[str, Any]:
    """What of a run's identity is the same for all of them."""
    return {"source": provenance.source_sha256(), "versions": provenance.versions()}
