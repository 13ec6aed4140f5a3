"""What the trial ledger says of a run that is about to be judged; the attempt is written down before that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wfbt.gate.criteria import SPENT, Criteria
from wfbt.gate.facts import Tries
from wfbt.gate.finished import Finished
from wfbt.gate.integrity import finding
from wfbt.gate.verdict import Finding
from wfbt.registry.attempts import Threshold, attempt_of
from wfbt.registry.families import kept_heads, look_of_run
from wfbt.registry.looks import candidate_hash
from wfbt.registry.trials import Trials, ledger_file

VERDICT = "verdict.json"
UNKNOWN = Tries(attempt=None, series=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was tried before, and whether a ledger can say so.

    Attributes
    ----------
    tries : Tries
    finding : Finding
        On the ledger itself.
    heads : tuple of str
        What ended the ledger once the attempt was in it, sorted; none where there is no ledger.
    notes : tuple of str
    """

    tries: Tries
    finding: Finding
    heads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def ledger_of(run: Finished, given: Path | None) -> Path:
    """The trial ledger of a run: as given, else where its strategy says, else beside its folder."""
    named = run.config.get("trials")
    return given or ledger_file(run.folder / str(named) if named else None, run.folder.resolve().parent)


def count(run: Finished, model: str | None, criteria: Criteria, place: Path, first_look: bool) -> Counted:
    """Record that a run is held against criteria, in the ledger at `place`, and say what was tried up to then.

    `model` is the hash of the artefact, None for rules.  `first_look` declares what no ledger can show: that nobody saw
    these days before.  A ledger that was edited raises TrialsError.
    """
    if not place.exists():
        return _untold(run, place, f"there is no trial ledger at {place}", first_look)
    trials = Trials.open(place)
    if (lost := _lost(run, trials, place)) is not None:
        return Counted(tries=UNKNOWN, finding=_finding(False, lost), heads=_heads(trials))
    kept = run.manifest.get("trials") or {}
    look = look_of_run(trials, run.run_id, run.name, kept.get("head"))
    if look is None:
        return _untold(run, place, f"{place} does not hold the look of this run", first_look)
    if look.candidate != candidate_hash(run.manifest["config"]):
        why = f"the look that the manifest names in {place} is of another strategy than its config"
        return Counted(tries=UNKNOWN, finding=_finding(False, why), heads=_heads(trials))
    told = trials.attempt(
        attempt_of(
            look,
            run=run.run_id,
            config=run.manifest["config"],
            model=model,
            criteria=criteria.sha256,
            thresholds=thresholds_of(criteria, run.mandate.model_dump()),
        )
    )
    heads = _heads(trials)
    if not told.known_before and not first_look:
        why = f"{place} holds nothing but this very run, so it cannot say whether anybody looked at these days before"
        return Counted(tries=UNKNOWN, finding=_finding(None, why), heads=heads, notes=told.notes)
    return Counted(
        tries=Tries(attempt=told.number, series=told.series, picked=told.picked),
        finding=_finding(True, f"attempt {told.number}, and {told.series} series seen at these days, by {place.name}"),
        heads=heads,
        notes=told.notes + (_declared(told.known_before) if first_look else ()),
    )


def thresholds_of(criteria: Criteria, mandate: Mapping[str, float | bool]) -> list[Threshold]:
    """What is asked, with the mandate's own numbers and the spend: moved by a hair they are seen too."""
    asked: list[Threshold] = [(SPENT, "<=", criteria.spend)]
    for one in criteria.criteria:
        value = one.threshold
        if isinstance(value, str) and value.startswith("mandate."):
            value = mandate.get(value.removeprefix("mandate."), value)
        asked.append((one.name, one.operator, value))
    return asked


def _untold(run: Finished, place: Path, why: str, first_look: bool) -> Counted:
    """What can be said where no ledger knows the run: a first look where it is declared, and nothing denies it."""
    denied = _denied(run, place) if first_look else None
    if denied is not None or not first_look:
        return Counted(tries=UNKNOWN, finding=_finding(None, why if denied is None else f"{why}, and {denied}"))
    told = _finding(True, f"{why}; a first look was declared")
    return Counted(tries=Tries(attempt=1, series=1), finding=told, notes=_declared(False))


def _denied(run: Finished, place: Path) -> str | None:
    """What the run, or what lies beside it, shows of a ledger that counted more than a first look."""
    looks = (run.result.get("trials") or {}).get("looks_by_anyone")
    if isinstance(looks, int) and looks > 1:
        return f"its absence is no first look: result.json was look {looks} at these days"
    reports = run.folder.resolve().parent
    counted = [name for name, _ in _verdict_heads(reports)]
    if place.resolve().parent == reports:
        counted += [name for name in kept_heads(reports) if name != run.folder.resolve().name]
    if counted:
        return (
            f"its absence is no first look: {', '.join(sorted(set(counted))[:3])} keeps the head of one that was there"
        )
    return None


def _verdict_heads(reports: Path) -> list[tuple[str, str]]:
    """Heads of the trial ledger that the verdicts in a folder of runs are bound to, with the file of each."""
    heads: list[tuple[str, str]] = []
    for path in sorted(reports.glob(f"*/{VERDICT}")):
        try:
            bound = json.loads(path.read_text(encoding="utf-8"))["bound"]["trials"]
            heads += [(f"{path.parent.name}/{VERDICT}", head) for head in bound if isinstance(head, str)]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # no verdict of ours
    return heads


def _declared(known: bool) -> tuple[str]:
    if known:
        return ("--first-look was given, but the trial ledger knows of other looks or attempts: its counts were used",)
    return ("--first-look: whoever ran the gate declared that nobody had seen these days; no ledger shows it",)


def _lost(run: Finished, trials: Trials, place: Path) -> str | None:
    """Which earlier runs or verdicts beside this one the ledger should hold and does not."""
    reports = run.folder.resolve().parent
    heads: list[tuple[str, str]] = []
    if place.resolve().parent == reports:
        heads += kept_heads(reports).items()
    heads += _verdict_heads(reports)
    missing = list(dict.fromkeys(name for name, head in heads if not trials.contains(head)))
    if not missing:
        return None
    return f"{place} lacks the head that {', '.join(missing[:3])} keeps: it was cut, or is another ledger"


def _heads(trials: Trials) -> tuple[str, ...]:
    return tuple(sorted(head for head in trials.head().split("+") if head))


def _finding(passed: bool | None, why: str) -> Finding:
    return finding(
        "trial ledger knows what was tried",
        "trials",
        passed,
        why,
        "the best of many tries is good by luck, so tries have to be counted",
        "restore the ledger, or join it with the one that is meant by wfbt trials --merge"
        if passed is False
        else "hand the trial ledger on from job to job (--trials), or declare --first-look where these days are new",
    )
