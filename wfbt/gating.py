"""From a finished run to a sealed verdict.  A run folder is judged without anything that could replay it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import wfbt
from wfbt.config.schema import Mandate
from wfbt.errors import ArtifactError, ConfigError, WfbtError
from wfbt.files import replace_whole
from wfbt.gate.attest import MOST_SEED, Bound, Statement, check_private_key
from wfbt.gate.counted import UNKNOWN, VERDICT, count, ledger_of
from wfbt.gate.coverage import asked_less
from wfbt.gate.criteria import Criteria, load_criteria, profile, profiles
from wfbt.gate.deployed import OF_RUN
from wfbt.gate.document import contents, render
from wfbt.gate.finished import CONFIG, RESULT, Finished, read_finished
from wfbt.gate.hashes import data_hash, file_hash, model_hash
from wfbt.gate.integrity import artefact, fold_findings, integrity
from wfbt.gate.judge import Baseline, facts_of, judge
from wfbt.gate.verdict import Finding, Verdict
from wfbt.registry.provenance import sha256
from wfbt.report.verdict import summary_of, with_verdict

JUNIT, SUMMARY, PAGE = "junit.xml", "summary.md", "index.html"
LOCKS = ("requirements.lock", "uv.lock", "poetry.lock", "pdm.lock", "conda-lock.yml")
"""Names of lock files that are looked for in the folder where the gate is run."""

NOT_WALKED = (
    "judged from a run folder whose files have the hashes of its own manifest: that shows an accident, and not "
    "whoever wrote both; wfbt run --gate, and a model given to wfbt gate with an empty --out, compute it anew"
)
"""What a verdict says on a folder that was there before."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """What a run is held against, and how the verdict is sealed.

    Attributes
    ----------
    criteria : Criteria
    criteria_sha256 : str
        Of the criteria file's bytes; of what is asked, for criteria that come with wfbt.
    baseline : Path or None
        A blessed run folder.
    trials : Path or None
        The trial ledger, where it is not the one that the run wrote to.
    first_look : bool
        Whether it was declared that nobody looked at these days before.
    key : bytes or None
        Private key, PEM.
    lock : Path or None
        The lock file of this installation.
    """

    criteria: Criteria
    criteria_sha256: str
    baseline: Path | None = None
    trials: Path | None = None
    first_look: bool = False
    key: bytes | None = None
    lock: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gated:
    """A verdict and where it was written.

    Attributes
    ----------
    verdict : Verdict
    document : mapping
        The content of verdict.json.
    folder : Path
        That holds verdict.json, junit.xml and summary.md.
    """

    verdict: Verdict
    document: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Given:
    """What is judged besides the run: the strategy file and the model, as they are to be deployed.

    Attributes
    ----------
    strategy : str
        sha256 of the bytes of `strategy_file`.
    strategy_file : str
    model : str or None
        `model_hash`.
    no_model : str
        Why there is none.
    finding : Finding or None
        Whether the model is the one that was judged.
    notes : tuple of str
    """

    strategy: str
    strategy_file: str
    model: str | None
    no_model: str
    finding: Finding | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What a verdict is on, and what it is bound to.

    Attributes
    ----------
    verdict : Verdict
    given : Given
    bound : Bound
    files : mapping of str to str
        sha256 of each file of market data.
    seed : int
    result : mapping or None
        result.json; None where no run was made.
    """

    verdict: Verdict
    given: Given
    bound: Bound
    files: Mapping[str, str]
    seed: int
    result: Mapping[str, Any] | None


def terms_of(
    *,
    profile_name: str | None = None,
    criteria: Path | None = None,
    baseline: Path | None = None,
    trials: Path | None = None,
    first_look: bool = False,
    sign: Path | None = None,
    lock: Path | None = None,
) -> Terms:
    """The terms that options name; ConfigError where they cannot be meant."""
    if profile_name is not None and criteria is not None:
        raise ConfigError("--profile and --criteria: give one of them; a criteria file may say extends: strict")
    if criteria is not None and str(criteria) in profiles() and not criteria.exists():
        raise ConfigError(
            f"--criteria: {criteria}: no such file; criteria that come with wfbt are --profile {criteria}"
        )
    asked = load_criteria(criteria) if criteria is not None else profile(profile_name or "default")
    if lock is None:
        lock = next((Path(name) for name in LOCKS if Path(name).is_file()), None)
    elif not lock.is_file():
        raise ConfigError(f"--lock: {lock} is no file")
    return Terms(
        criteria=asked,
        criteria_sha256=asked.sha256 if criteria is None else file_hash(criteria),
        baseline=baseline,
        trials=trials,
        first_look=first_look,
        key=None if sign is None else _read_key(sign),
        lock=lock,
    )


def is_run(path: Path) -> bool:
    """Whether a path is a run folder, whole or not, and no model."""
    return path.is_dir() and any((path / name).exists() for name in (RESULT, CONFIG, "equity.parquet"))


def gate_run(
    folder: Path,
    terms: Terms,
    *,
    out: Path | None = None,
    now: datetime | None = None,
    given: Given | None = None,
    walked: bool = False,
) -> Gated:
    """Judge a finished run, and write the verdict into its folder, and into `out`.

    `walked` says that whoever calls walked it just now, so that nobody else can have written the folder.

    ArtifactError where the folder is no finished run: it is not judged.  The attempt is in the trial ledger before
    anybody can see what came of it.
    """
    run = read_finished(folder)
    given = given or given_of(run, walked)
    baseline = None if terms.baseline is None else _baseline(terms.baseline)
    terms.criteria.check(facts_of(run.result, run.daily, UNKNOWN, run.mandate, terms.criteria.spend, baseline))
    counted = count(run, given.model, terms.criteria, ledger_of(run, terms.trials), terms.first_look)
    folds = fold_findings(run)
    findings = (*integrity(run, folds), *([] if given.finding is None else [given.finding]), counted.finding)
    verdict = judge(
        run.result,
        run.daily,
        counted.tries,
        run.mandate,
        terms.criteria,
        integrity=findings,
        by_fold=folds,
        baseline=baseline,
        notes=(*counted.notes, *given.notes, *_claimed(run)),
    )
    files = {one["path"]: one["sha256"] for one in run.manifest["files"]}
    judged = Judged(
        verdict=replace(
            verdict, notes=(*verdict.notes, *_asks_little(verdict), *_allows_all(run.mandate), *_ruled(run))
        ),
        given=given,
        bound=bound_by(given, terms, files, made_by(run.manifest), counted.heads),
        files=files,
        seed=run.manifest["seed"],
        result=run.result,
    )
    return seal_verdict(judged, terms, folder, out, now)


def _asks_little(verdict: Verdict) -> tuple[str, ...]:
    """What the default gate asks and these criteria do not: a PASS says only what was asked."""
    least = profile("default")
    less = asked_less(least, verdict.to_dict())
    if not less:
        return ()
    told = ", ".join(less[:3]) + (f" and {len(less) - 3} more" if len(less) > 3 else "")
    return (f"the criteria {verdict.criteria} ask less than default: {told}; what was not asked was not shown",)


def _allows_all(mandate: Mandate) -> tuple[str, ...]:
    """Promises of a mandate that nothing can break."""
    empty = {
        "max_drawdown": mandate.max_drawdown >= 1.0,
        "max_stress_loss": mandate.max_stress_loss >= 1.0,
        "min_sharpe": mandate.min_sharpe <= 0.0,
    }
    told = ", ".join(f"{key} {getattr(mandate, key):g}" for key, nothing in empty.items() if nothing)
    return (f"the strategy's own mandate promises nothing by {told}: no account could break it",) if told else ()


def _ruled(run: Finished) -> tuple[str, ...]:
    """Rules from files of the user's own, whose code no deployer's file is held against."""
    told = run.manifest.get("rules") or {"": run.manifest.get("rule")}
    files = [one for one in told.values() if isinstance(one, dict) and ".py" in str(one.get("name"))]
    return tuple(
        f"decided by {one['name']}, whose file has sha256 {one.get('sha256')}: wfbt verify compares the strategy file "
        "and not this code, nor the modules and files that it reads; see that they are what runs"
        for one in files
    )


def given_of(run: Finished, walked: bool) -> Given:
    """The strategy file and the model of a run folder by itself."""
    kept = run.manifest.get("strategy_sha256")
    whole = isinstance(kept, str)
    model, why = _only_model(run)
    return Given(
        strategy=str(kept) if whole else file_hash(run.folder / CONFIG),
        strategy_file=OF_RUN if whole else CONFIG,
        model=None if model is None else hash_of_model(model),
        no_model=why,
        finding=None if model is None else artefact(run, model),
        notes=() if walked else (NOT_WALKED,),
    )


def hash_of_model(model: Path) -> str | None:
    try:
        return model_hash(model)
    except WfbtError:
        return None  # the finding on the artefact says what is wrong with it


def _only_model(run: Finished) -> tuple[Path | None, str]:
    """The one artefact that decides in a run, or why there is none to bind."""
    told = run.result.get("models") or {}
    fixed = [one["path"] for one in told.values() if isinstance(one, dict) and one.get("mode") == "fixed"]
    if not told:
        return None, "rules decide, and no model"
    if len(told) > 1:
        return None, f"{len(told)} models decide together; the run's result names their hashes"
    if not fixed:
        return None, "every fold trained its own network; give the artefact of the last rows to wfbt gate MODEL"
    place = next(iter(models_in(run.config).values()), None)
    if place is None:
        return None, "config.resolved.yaml names no model, and result.json does"
    return (run.folder / place).resolve(), ""


def models_in(tree: Mapping[str, Any]) -> dict[str, str]:
    """Every model that a resolved strategy names, by its key."""
    found: dict[str, str] = {}

    def look(node: Any, place: str) -> None:
        if isinstance(node, Mapping):
            if isinstance(node.get("model"), str) and "rule" in node:
                found[f"{place}.model"] = node["model"]
            for key, value in node.items():
                look(value, f"{place}.{key}")
        elif isinstance(node, list):
            for at, value in enumerate(node):
                look(value, f"{place}[{at}]")

    for key in ("policy", "sleeves"):
        look(tree.get(key), key)
    return found


def _claimed(run: Finished) -> tuple[str, ...]:
    told = run.result.get("models") or {}
    claimed = [key for key, one in told.items() if isinstance(one, dict) and one.get("provenance") == "claimed"]
    if not claimed:
        return ()
    return (
        f"provenance: claimed ({', '.join(claimed)}): when the model was trained is what its maker says; only days "
        "after it was made are certainly new to it",
    )


def _baseline(folder: Path) -> Baseline:
    blessed = read_finished(folder)
    if blessed.changed:
        raise ArtifactError(f"{folder}: {'; '.join(blessed.changed[:3])}; a baseline must be as it was written")
    return Baseline(result=blessed.result, daily=blessed.daily)


def made_by(manifest: Mapping[str, Any]) -> str:
    """Hash of wfbt's source and of the rules."""
    made = {key: manifest.get(key) for key in ("source_sha256", "rule", "rules")}
    return sha256(json.dumps(made, sort_keys=True).encode())


def bound_by(given: Given, terms: Terms, files: Mapping[str, str], source: str, heads: tuple[str, ...]) -> Bound:
    reasons = {}
    if given.model is None:
        reasons["model"] = given.no_model or "the artefact could not be read"
    if terms.lock is None:
        reasons["lock"] = f"no lock file ({', '.join(LOCKS)}) is in the folder where the gate was run"
    heads = tuple(head for head in heads if head)
    if not heads:
        reasons["trials"] = "there is no trial ledger that holds this run"
    return Bound(
        model=given.model,
        strategy=given.strategy,
        criteria=terms.criteria_sha256,
        data=data_hash(files.values()),
        source=source,
        lock=None if terms.lock is None else file_hash(terms.lock),
        trials=heads,
        reasons=reasons,
    )


def seal_verdict(
    judged: Judged, terms: Terms, folder: Path, out: Path | None = None, now: datetime | None = None
) -> Gated:
    """Seal a verdict, put it into `folder` and into `out` in three forms, and into the page."""
    verdict = judged.verdict
    issued = (now or datetime.now(UTC)).replace(microsecond=0)
    statement = Statement(
        status=str(verdict.status),
        bound=judged.bound,
        version=wfbt.__version__,
        seed=min(judged.seed, MOST_SEED),
        issued=issued,
        expires=issued + timedelta(days=terms.criteria.valid_days),
        findings=contents(verdict, bound=judged.bound, strategy_file=judged.given.strategy_file, files=judged.files),
    )
    sealed = render(statement, terms.key)
    document = json.loads(sealed)
    summary = summary_of(verdict, document, judged.result)
    data = {VERDICT: sealed, JUNIT: verdict.to_junit().encode(), SUMMARY: summary.encode()}
    for place in (folder, *([] if out is None or out.resolve() == folder.resolve() else [out])):
        for name, content in data.items():
            _put(place / name, content)
    if (page := folder / PAGE).is_file():
        _put(page, with_verdict(page.read_text(encoding="utf-8"), verdict).encode())
    if steps := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(steps).open("a", encoding="utf-8") as file:
            file.write(summary)
    return Gated(verdict=verdict, document=document, folder=folder)


def _put(path: Path, data: bytes) -> None:
    replace_whole(path, lambda file: file.write(data))


def _read_key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--sign: {path} cannot be read: {error.strerror}") from None
    check_private_key(key, str(path))  # now, and not after an hour of work
    return key
