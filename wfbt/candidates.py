"""From a model and its strategy to a verdict: the walk that the criteria need, or the same walk taken up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from wfbt.config import schema
from wfbt.config.load import load_strategy, resolved
from wfbt.errors import ArtifactError, ConfigError, LeakError, WfbtError
from wfbt.gate.finished import read_finished
from wfbt.gate.hashes import file_hash, model_hash
from wfbt.gate.integrity import artefact, finding, taught
from wfbt.gate.verdict import Verdict
from wfbt.gating import (
    NOT_WALKED,
    Gated,
    Given,
    Judged,
    Terms,
    bound_by,
    gate_run,
    hash_of_model,
    made_by,
    models_in,
    seal_verdict,
)
from wfbt.learn.school import School
from wfbt.manifests import input_files
from wfbt.pipeline import carry_out
from wfbt.planning import Planned, planned
from wfbt.policies import networks_of
from wfbt.policy.taught import Taught
from wfbt.registry.provenance import source_sha256
from wfbt.schools import taught_in
from wfbt.training import FINAL, windows_of

Progress = Callable[[str, int, int], None]

LAST_ROWS = (
    "retrain: every fold was decided by a network trained on its own rows, so the verdict is on the recipe; "
    "the model is what the recipe makes of the last rows, which no later day has tested"
)
"""What a verdict says on a model whose recipe was judged."""


def gate_model(
    model: Path,
    strategy: Path,
    terms: Terms,
    *,
    out: Path | None = None,
    store: Path | None = None,
    jobs: int | None = None,
    report: bool = True,
    progress: Progress = lambda what, done, total: None,
    command: Sequence[str] = (),
) -> Gated:
    """Walk a strategy forward with a model, or take up the same run where its folder is whole, and judge it.

    Where the strategy names one model, `model` takes its place; where it trains its network, `model` must be what that
    training leaves of the last rows in the folder `store`.  A leak or an artefact that is refused becomes a verdict,
    REFUSED, in the folder <name>-refused.
    """
    config = load_strategy(strategy)
    sha256_of_strategy = file_hash(strategy)
    overrides = _overrides(config, model, strategy)
    try:
        sha256_of_model = model_hash(model)
        asked = planned(
            strategy, overrides=overrides, out=out, jobs=jobs, models=store, trials=terms.trials, progress=progress
        )
        if file_hash(strategy) != sha256_of_strategy:
            raise ConfigError(f"{strategy}: was changed while it was read; judge it again")
        taken_up = _there(asked)
        if not taken_up:
            carry_out(asked, report=report, progress=progress, command=command)
    except (LeakError, ArtifactError) as error:
        return _refused(config, model, strategy, terms, error, out)
    run = read_finished(asked.final)
    last = _last_rows(asked)
    given = Given(
        strategy=sha256_of_strategy,  # a file that is edited during the walk is not the one that was walked
        strategy_file=strategy.name,
        model=sha256_of_model,
        no_model="",
        finding=artefact(run, model) if last is None else taught(model, last),
        notes=(*((NOT_WALKED,) if taken_up else ()), *((LAST_ROWS,) if last is not None else ())),
    )
    return gate_run(asked.final, terms, out=out, given=given)


def _overrides(config: schema.Strategy, model: Path, strategy: Path) -> list[str]:
    """What puts `model` into a strategy; nothing where it is there, or is trained there."""
    tree = resolved(config)
    named = models_in(tree)
    trained = taught_in(config) if config.policy is not None else {}
    if len(named) + len(trained) != 1:
        what = f"names {len(named)} models and trains {len(trained)}" if named or trained else "has no network"
        raise ConfigError(
            f"{strategy}: {what}, and {model} can stand for one; run it with wfbt run and judge its run folder"
            + ("" if named or trained else ", or both by wfbt run --gate")
        )
    if trained or Path(config.locate(next(iter(named.values())))).resolve() == model.resolve():
        return []
    place = next(iter(named))
    if "[" in place:
        raise ConfigError(f"{strategy}: {place} is in a list; write {model} there")
    return [f"{place}={json.dumps(str(model.resolve()))}"]


def _last_rows(asked: Planned) -> Path | None:
    """Where the training of a strategy leaves its network of the last rows; None where it trains none."""
    for policy in asked.policies.values():
        for one in networks_of(policy).values():
            if isinstance(one, Taught) and isinstance(one.teacher, School):
                windows = dict(windows_of(asked.config, asked.study.deck))
                return one.teacher.folder(windows[FINAL])
    return None


def _there(asked: Planned) -> bool:
    """Whether the run was made before and its folder is as it was written."""
    try:
        run = read_finished(asked.final)
    except WfbtError:
        return False
    return not run.changed and run.run_id == asked.run_id


def _refused(
    config: schema.Strategy, model: Path, strategy: Path, terms: Terms, error: WfbtError, out: Path | None
) -> Gated:
    """The verdict on what must not be judged."""
    leak = isinstance(error, LeakError)
    found = finding(
        "no leak was found" if leak else "model read with its manifest",
        "leak" if leak else "model",
        False,
        str(error),
        "what decides with the future has no future" if leak else "a model of unknown origin may have seen anything",
        "wfbt check lookahead names the bar and the column" if leak else "train it with wfbt train, which records it",
    )
    verdict = Verdict(
        run_id="",
        criteria=terms.criteria.name,
        criteria_sha256=terms.criteria.sha256,
        spend=terms.criteria.spend,
        attempt=None,
        series=None,
        picked=False,
        findings=(found,),
        notes=("refused before it was judged, so it is no attempt and no look",),
    )
    folder = Path(out or "reports") / f"{config.name}-refused"
    given = Given(
        strategy=file_hash(strategy),
        strategy_file=strategy.name,
        model=hash_of_model(model),
        no_model="the artefact was refused",
        finding=found,
    )
    files = {one["path"]: one["sha256"] for one in input_files(config, folder)}
    source = {"source_sha256": source_sha256()}
    bound = bound_by(given, terms, files, made_by(source), ())
    judged = Judged(verdict=verdict, given=given, bound=bound, files=files, seed=config.seed, result=None)
    return seal_verdict(judged, terms, folder, out)
