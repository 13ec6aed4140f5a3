"""What no result can say of itself: whether the run folder is whole, repeats itself, and what the trial ledger holds.

A finding that is False makes a verdict REFUSED; one that is None, as nothing could be looked at, keeps it from PASS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from wfbt.config.values import Duration
from wfbt.errors import WfbtError
from wfbt.gate.criteria import Criterion, Kind
from wfbt.gate.finished import Finished
from wfbt.gate.verdict import Finding
from wfbt.policy.artifact.load import load_artifact
from wfbt.registry import provenance

COSTS = {"fees": "fee", "spread": "spread", "impact": "impact"}
"""Keys of result.costs, and the columns of fills.parquet that they are the sums of."""


APART = "what a fold learnt from must not be what it is judged on"
FITTED = "a scaler or a regime that was fitted on test rows knows them"


def integrity(run: Finished, folds: Sequence[tuple[int, Finding]]) -> tuple[Finding, ...]:
    """What the folder of a run says of itself; `folds` are its `fold_findings`."""
    return (
        _whole(run),
        _same_program(run),
        _repeats(run),
        _of_all("folds learnt before they were tested", "apart", APART, folds),
        _of_all("fitted on training rows", "fits", FITTED, folds),
        _tradable(run),
        _adds_up(run),
    )


def finding(name: str, key: str, passed: bool | None, why: str, protects: str, to_change: str) -> Finding:
    """A finding of integrity: what was seen, what it protects from, and what would change it."""
    criterion = Criterion(
        name=name, metric=f"integrity.{key}", operator="is", threshold=True, kind=Kind.INTEGRITY, why=protects
    )
    return Finding(
        criterion=criterion,
        value=passed,
        threshold=True,
        passed=passed,
        why=why,
        to_change="" if passed else to_change,
    )


def _whole(run: Finished) -> Finding:
    return finding(
        "run folder as it was written",
        "whole",
        not run.changed,
        "; ".join(run.changed[:5]) or f"{len(run.manifest['written'])} files have the hashes that the manifest keeps",
        "what was edited after the run is no result of it",
        "run the strategy again",
    )


def _same_program(run: Finished) -> Finding:
    own, kept = provenance.source_sha256(), run.manifest["source_sha256"]
    return finding(
        "run by this wfbt",
        "program",
        True if own == kept else None,
        f"source {own[:12]}" if own == kept else f"the run is of source {kept[:12]}, this wfbt of {own[:12]}",
        "nobody can vouch for what another program computed",
        "run the strategy again with this wfbt, or judge it with the one it was run with",
    )


def _repeats(run: Finished) -> Finding:
    told = run.manifest.get("rerun")
    known = isinstance(told, Mapping) and isinstance(told.get("equal"), bool)
    equal = told["equal"] if isinstance(told, Mapping) and known else None
    why = "no fold was walked again"
    if isinstance(told, Mapping) and known:
        what = "the same, bit by bit" if equal else "something else"
        why = f"fold {told.get('fold')} was walked again and came to {what}"
    return finding(
        "one fold repeats itself",
        "repeats",
        equal,
        why,
        "a run that cannot repeat itself is no evidence",
        "seed whatever the policy draws, keep no state in it, and run again",
    )


def fold_findings(run: Finished) -> list[tuple[int, Finding]]:
    """What each fold, by its number, says of its own rows: learnt before it was tested, by fits on training rows."""
    told = run.result["folds"]
    embargo = _embargo(run)
    out = []
    for place, fold in enumerate(told, start=1):
        before = told[place - 2] if place > 1 else None
        out += [
            (place, _apart(fold, before, embargo, two_sided=_two_sided(run))),
            (place, _fitted(fold)),
        ]
    return out


def _apart(fold: Any, before: Any, embargo: pd.Timedelta | None, two_sided: bool) -> Finding:
    """Whether training ended an embargo before the test, and the fold before was tested until then at most."""

    def found(passed: bool | None, why: str, change: str = "run the strategy again") -> Finding:
        return finding("learnt before it was tested", "apart", passed, why, APART, change)

    if two_sided:
        why = "folds of this scheme learn from both sides of their test"
        return found(None, why, "use folds.scheme rolling or anchored")
    try:
        begun, learnt, opens, closes = (
            pd.Timestamp(fold[key]) for key in ("train_start", "train_end", "test_start", "test_end")
        )
        tested = None if before is None else pd.Timestamp(before["test_end"])
        if embargo is None:
            return found(None, "config.resolved.yaml has no folds.embargo")
        if not begun < learnt or not opens < closes:
            return found(False, "a window ends before it begins")
        if learnt + embargo > opens:
            return found(False, f"it learns until {_day(learnt)}, and is tested from {_day(opens)} on")
        if tested is not None and tested > opens:
            return found(False, f"it is tested from {_day(opens)} on, the fold before until {_day(tested)}")
    except (KeyError, TypeError, ValueError) as error:
        return found(None, f"it does not say when it was learnt and tested ({error})")
    return found(True, f"learnt until {_day(learnt)}, tested from {_day(opens)} to {_day(closes)}")


def _fitted(fold: Any) -> Finding:
    """Whether every scaler, model and selection was fitted on rows of the training window."""

    def found(passed: bool | None, why: str) -> Finding:
        return finding("fitted on training rows", "fits", passed, why, FITTED, "run the strategy again")

    try:
        start, end = pd.Timestamp(fold["train_start"]), pd.Timestamp(fold["train_end"])
        for fit in fold["fits"]:
            if fit["first"] is None or "blocks" in fold:
                continue
            if not start < pd.Timestamp(fit["first"]) <= pd.Timestamp(fit["last"]) <= end:
                return found(False, f"{fit['what']} of {fit['symbol']} was fitted from {fit['first']} to {fit['last']}")
        count = len(fold["fits"])
    except (KeyError, TypeError, ValueError) as error:
        return found(None, f"it does not say what was fitted ({error})")
    return found(True, f"{count} fits in the training window" if count else "nothing was fitted")


def _of_all(name: str, key: str, protects: str, folds: Sequence[tuple[int, Finding]]) -> Finding:
    """One finding on all folds: the first that is not met says why."""
    own = [(place, one) for place, one in folds if one.criterion.metric == f"integrity.{key}"]
    wrong = [(place, one) for place, one in own if one.passed is False]
    unknown = [(place, one) for place, one in own if one.passed is None]
    passed = False if wrong else None if unknown or not own else True
    told = [f"fold {place}: {one.why}" for place, one in (wrong or unknown)[:3]]
    change = (wrong or unknown)[0][1].to_change if wrong or unknown else "run the strategy again"
    return finding(name, key, passed, "; ".join(told) or f"so in each of {len(own)} folds", protects, change)


def _embargo(run: Finished) -> pd.Timedelta | None:
    try:
        return pd.Timedelta(int(Duration.parse(str(run.config["folds"]["embargo"]))), unit="ns")
    except (KeyError, TypeError, ValueError):
        return None


def _day(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _two_sided(run: Finished) -> bool:
    walk = run.result.get("walk")
    return isinstance(walk, Mapping) and walk.get("tradable") is False


def _tradable(run: Finished) -> Finding:
    two = _two_sided(run)
    return finding(
        "an account that could have been traded",
        "tradable",
        None if two else True,
        str(run.result["walk"].get("why", "folds learn from later data")) if two else "folds walk forward",
        "folds that learn from later days show how stable a choice is, and not what it would have earned",
        "run with folds.scheme rolling or anchored",
    )


def _adds_up(run: Finished) -> Finding:
    """Whether the tables of the folder come to what the result says of money."""
    name, protects = "accounts add up", "money that comes from nowhere is a mistake of the books"
    try:
        equity = pq.read_table(run.folder / "equity.parquet", columns=["equity"]).column("equity").to_numpy()
        fills = pq.read_table(run.folder / "fills.parquet").to_pandas()
        total, costs = float(run.result["oos"]["total_return"]), run.result["costs"]
        cash = float(run.result["account"]["cash"])
        if not 0 < cash < np.inf:
            return finding(
                name, "adds_up", False, f"no account opens with {cash:g}", protects, "run the strategy again"
            )
        wrong = []
        if "paths" not in run.result and not isclose(equity[-1] / cash - 1.0, total, rel_tol=1e-9, abs_tol=1e-9):
            wrong.append(f"equity ends at {equity[-1]:,.2f}, and {total:+.4%} on {cash:,.2f} is something else")
        grown = np.concatenate(([cash], equity))
        fallen, deepest = float(np.max(1.0 - grown / np.maximum.accumulate(grown))), run.result["oos"]["max_drawdown"]
        if (
            "paths" not in run.result
            and deepest is not None
            and not isclose(fallen, float(deepest), rel_tol=1e-9, abs_tol=1e-9)
        ):
            wrong.append(f"equity falls by {fallen:.4%} at worst, the result says {float(deepest):.4%}")
        for key, column in COSTS.items():
            paid = float(fills[column].sum())
            if not isclose(paid, float(costs[key]), rel_tol=1e-6, abs_tol=1e-6 * cash):
                wrong.append(f"fills paid {paid:,.2f} of {key}, the result says {float(costs[key]):,.2f}")
        if not np.isfinite(equity).all():
            wrong.append("equity is no number somewhere")
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, IndexError) as error:
        why = f"the tables could not be read ({str(error).splitlines()[0]})"
        return finding(name, "adds_up", None, why, protects, "run the strategy again")
    why = "; ".join(wrong) or f"{len(equity):,} bars and {len(fills):,} fills come to the totals of the result"
    return finding(name, "adds_up", not wrong, why, protects, "run the strategy again")


def artefact(run: Finished, model: Path) -> Finding:
    """Whether a model that was there before the run is read safely, with its manifest, and the run was made with it."""
    name, protects = "model read with its manifest", "a model of unknown origin may have seen the days it is judged on"
    change = "give the artefact that the run was made with, or run again with this one"
    try:
        found = load_artifact(model)
    except WfbtError as error:
        return finding(name, "model", False, str(error), protects, change)
    used = _hashes(run.result.get("models"))
    if found.sha256 not in used:
        why = f"{model} has sha256 {found.sha256[:12]}, the run used {', '.join(one[:12] for one in used) or 'none'}"
        return finding(name, "model", False, why, protects, change)
    why = f"sha256 {found.sha256[:12]}, provenance {found.manifest.provenance.value}"
    return finding(name, "model", True, why, protects, change)


def taught(model: Path, last: Path) -> Finding:
    """Whether a model is what the strategy's own training leaves of the last rows, in the folder `last`."""
    name, protects = "model of this recipe", "folds that were trained anew judge a recipe, and only what it made"
    change = "train it with wfbt train and the same strategy, seeds and data, and give the folder of the last rows"
    try:
        given = load_artifact(model)
        if not last.exists():
            why = f"the strategy's own training of the last rows is not in {last}"
            return finding(name, "model", None, why, protects, "run wfbt train with the same strategy and --models")
        made = load_artifact(last)
    except WfbtError as error:
        return finding(name, "model", False, str(error), protects, change)
    same = given.sha256 == made.sha256
    why = f"{model} has sha256 {given.sha256[:12]}, the recipe's own {made.sha256[:12]}"
    return finding(name, "model", same, why, protects, change)


def _hashes(models: Any) -> Sequence[str]:
    """sha256 of the manifests of every artefact that decided in a run."""
    out: list[str] = []
    for one in models.values() if isinstance(models, Mapping) else ():
        parts = [one, *(one.get("each") or ())] if isinstance(one, Mapping) else []
        out += [part["sha256"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("sha256"), str)]
    return out
