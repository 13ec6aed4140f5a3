"""Walk a strategy file without writing a run folder, and ask whether it looks ahead and how much past it needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wfbt.assembly import read_market, study_of
from wfbt.compute import cores
from wfbt.config import schema
from wfbt.config.load import load_strategy
from wfbt.errors import ArtifactError, ConfigError, PolicyError
from wfbt.policies import policies_of
from wfbt.registry.memory import fold_memory
from wfbt.results import iso, leakage_dict
from wfbt.training import teach_folds
from wfbt.validation.folds import Fold
from wfbt.validation.gauntlet import Subject, gauntlet
from wfbt.validation.leakage import Effort, effort_of_check, effort_of_run
from wfbt.validation.questions import chosen_questions
from wfbt.validation.sleeves import Portfolio, PortfolioWalk, walk_sleeves
from wfbt.validation.walk_forward import Study, WalkForward, rows_of, walk_forward
from wfbt.validation.warmup import warm_up

Progress = Callable[[str, int, int], None]


@contextmanager
def naming(strategy: str | os.PathLike[str]) -> Iterator[None]:
    """Put the strategy file's name before what is wrong with it."""
    try:
        yield
    except (ConfigError, PolicyError, ArtifactError) as error:
        text, name = str(error), os.fspath(strategy)
        raise (error if text.startswith(name) else type(error)(f"{name}: {text}")) from error


def check_lookahead(
    strategy: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    cuts: int | None = None,
    models: Path | None = None,
    jobs: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Walk a strategy forward and look for leaks as long as it takes; what result.json would hold under `leakage`."""
    config = load_strategy(strategy, overrides=overrides)
    jobs = jobs or cores()
    with naming(strategy):
        policies = policies_of(config)
        progress("reading the market", 0, 0)
        market = read_market(config)
        study, plan, _ = study_of(config, market, policies, jobs, models)
        teach_folds(config, study, plan, models, jobs, progress)
        walk = walked(study, plan, None, False, progress)
        verdict = gauntlet(subjects(study, walk), effort_of_check(cuts), config.seed, jobs, progress)
    return leakage_dict(verdict, market)


def check_warmup(
    strategy: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    tolerance: float = 1e-6,
    models: Path | None = None,
    jobs: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """How many bars each column of a strategy needs until more of them change nothing, and how many its folds give."""
    config = load_strategy(strategy, overrides=overrides)
    with naming(strategy):
        policies = policies_of(config)
        market = read_market(config)
        study, plan, _ = study_of(config, market, policies, jobs or cores(), models)
        teach_folds(config, study, plan, models, jobs or cores(), progress)
        walk = walked(study, plan, None, False, progress)
        asked = [chosen_questions(one.name, one.study, one.walk) for one in subjects(study, walk)]
        # Of a candidate that was chosen in several folds the last leaves the most bars before its training rows.
        picked = [one for group in asked for one in {one.candidate: one for one in group}.values()]
        found = warm_up(picked, tolerance, config.seed)
    first = rows_of(plan[0].test)[0]
    return {
        "columns": [
            {
                "kind": one.key[0],
                "symbol": one.key[1],
                "name": one.key[2],
                "bars": one.rows,
                "tolerance": one.tolerance,
                "params": dict(one.params),
            }
            for one in found
        ],
        "given": first,
        "first_test": iso(study.deck.close_ts[first] - study.deck.period),
        "notes": [
            f"{one.key[2]} of {one.key[1]} did not come to agree within {one.longest:,} bars: it remembers all its past"
            for one in found
            if one.rows is None
        ],
        "reasons": {}
        if found
        else {"bars": "the fits leave no bars before their training rows at which the data could begin instead"},
    }


def walked(
    study: Study | Portfolio, plan: Sequence[Fold], trials: Path | None, resume: bool, progress: Progress
) -> WalkForward:
    """Walk the study or the sleeves, keeping finished folds in the folder `trials`."""
    if isinstance(study, Portfolio):
        return walk_sleeves(
            study, plan, lambda sleeve: None if trials is None else fold_memory(trials / sleeve, resume), progress
        )
    return walk_forward(study, plan, None if trials is None else fold_memory(trials, resume), progress)


def subjects(study: Study | Portfolio, walk: WalkForward) -> list[Subject]:
    """What is tested for leaks: the one study, or every sleeve's."""
    if isinstance(study, Study):
        return [Subject(name="", study=study, walk=walk)]
    assert isinstance(walk, PortfolioWalk)
    return [Subject(name=one.name, study=one.study, walk=walk.alone[one.name]) for one in study.members]


def effort(config: schema.Strategy, study: Study | Portfolio, walk: WalkForward) -> Effort:
    """As the strategy says, else by how many evaluations the walk has made."""
    given = config.leaks.evaluations
    tried = len(study.candidates) if isinstance(study, Study) else study.tried
    return effort_of_run(tried + len(walk.folds), len(study.deck.close_ts), None if given == "auto" else given)
