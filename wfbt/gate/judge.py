"""Hold a finished run against criteria."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wfbt.config.schema import Mandate
from wfbt.errors import ConfigError
from wfbt.gate.criteria import Criteria, Criterion, Kind
from wfbt.gate.facts import Daily, Facts, Tries, baseline_facts, gate_facts
from wfbt.gate.metrics import BASELINE, EVERY, Metric, Missing, Value, parse_metric, read_metric
from wfbt.gate.spending import days_needed
from wfbt.gate.verdict import Finding, Verdict, must_be, shown_value

ALWAYS = (
    Criterion(
        name="no leak was found",
        metric="leakage.passed",
        operator="is",
        threshold=True,
        kind=Kind.INTEGRITY,
        why="what decides with the future has no future",
        remedy="wfbt check lookahead names the bar and the column",
    ),
    Criterion(
        name="daily returns are those of the result",
        metric="gate.returns_agree",
        operator="is",
        threshold=True,
        kind=Kind.INTEGRITY,
        why="a verdict on other returns than the reported ones says nothing",
        remedy="run the strategy again",
    ),
)
"""Asked whatever the criteria file says."""

EDGE = Criterion(
    name="Sharpe ratio that is still possible",
    metric="gate.sharpe_high",
    operator=">=",
    threshold="mandate.min_sharpe",
    kind=Kind.LIMIT,
    why="where the upper bound lies below the edge that was declared, more data will not bring it",
    remedy="no more of the same data will do; change the strategy, or declare a smaller edge before the next attempt",
)
"""Not asked of a winner picked on the judged window: its bound is biased."""

AGAINST_BASELINE = (
    Criterion(
        name="Sharpe ratio not below the baseline's",
        metric="gate.baseline_change",
        operator=">=",
        threshold=0.0,
        interval="gate.baseline_change_high",
        kind=Kind.RULE,
        why="what takes the place of a blessed strategy should not be worse",
    ),
    Criterion(
        name="drawdown not much above the baseline's",
        metric="relative_change(oos.max_drawdown)",
        operator="<=",
        threshold=0.2,
        kind=Kind.RULE,
        why="the same return at deeper falls is a worse strategy",
    ),
)
"""Asked besides where there is a baseline."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """A blessed run that this one is compared with.

    Attributes
    ----------
    result : mapping
        Its result.json.
    daily : Daily
    """

    result: Mapping[str, Any]
    daily: Daily


_HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}


def judge(
    result: Mapping[str, Any],
    daily: Daily,
    tries: Tries,
    mandate: Mandate,
    criteria: Criteria,
    integrity: tuple[Finding, ...] = (),
    by_fold: Sequence[tuple[int, Finding]] = (),
    baseline: Baseline | None = None,
    notes: tuple[str, ...] = (),
) -> Verdict:
    """The verdict on a run.

    `result` is result.json as read; whatever is missing in it, or is no finite number, is a criterion that is not met.
    `integrity` are findings on what no result can say of itself: the artefact, its manifest, the trial ledger.
    """
    facts = facts_of(result, daily, tries, mandate, criteria.spend, baseline)
    asked = (*ALWAYS, *(() if tries.picked else (EDGE,)), *criteria.criteria)
    asked += () if baseline is None else AGAINST_BASELINE
    needed = _days(facts["gate"], daily, mandate)
    findings = (*integrity, *(find(one, facts) for one in asked))
    run_id = result.get("run_id")
    return Verdict(
        run_id=run_id if isinstance(run_id, str) else "",
        criteria=criteria.name,
        criteria_sha256=criteria.sha256,
        spend=criteria.spend,
        attempt=tries.attempt,
        series=tries.series,
        picked=tries.picked,
        findings=findings,
        notes=(*((needed,) if needed else ()), *notes),
        by_fold=(*by_fold, *_by_fold(asked, facts)),
    )


def facts_of(
    result: Mapping[str, Any],
    daily: Daily,
    tries: Tries,
    mandate: Mandate,
    spend: float,
    baseline: Baseline | None = None,
) -> dict[str, Any]:
    """What metrics are read from: the result, with `gate`, `mandate` and `baseline` in place of its own such keys."""
    gate, before = gate_facts(result, daily, tries, spend), None
    if baseline is not None:
        compared = baseline_facts(daily, baseline.daily)
        gate |= compared | {"reasons": gate["reasons"] | compared["reasons"]}
        before = {**baseline.result, "gate": gate_facts(baseline.result, baseline.daily, tries, spend)}
    return {**result, "gate": gate, "mandate": mandate.model_dump(), BASELINE: before}


def _by_fold(asked: Sequence[Criterion], facts: Mapping[str, Any]) -> Iterator[tuple[int, Finding]]:
    """What each fold says to criteria that ask every fold, and to limits of the whole account, which bind its parts."""
    folds = facts.get("folds")
    for place, fold in enumerate(folds if isinstance(folds, list) else []):
        number = fold.get("index") if isinstance(fold, dict) else None
        for one in asked:
            path = _path_in_fold(one, place)
            if path is not None and isinstance(number, int):
                yield number, find(replace(one, metric=path, interval=None), facts)


def _path_in_fold(criterion: Criterion, place: int) -> str | None:
    metric, text = parse_metric(criterion.metric), criterion.metric
    if metric.change is None and metric.steps[:1] == ("oos",) and criterion.kind is Kind.LIMIT:
        return f"folds[{place}].out_of_sample{text.removeprefix('oos')}"
    if metric.reducer is None or metric.steps[:2] != ("folds", EVERY):
        return None
    own = re.sub(r"folds(\.|)(\[\*\]|\*)", f"folds[{place}]", text, count=1)
    return own if EVERY in metric.steps[2:] else own[own.index("(") + 1 : -1].strip()


def find(criterion: Criterion, facts: Mapping[str, Any]) -> Finding:
    """What `facts` say of one criterion."""
    metric = parse_metric(criterion.metric)
    values = read_metric(metric, facts)
    threshold = _threshold(criterion, facts)
    if isinstance(threshold, Missing):
        return _found(criterion, None, None, None, f"the threshold is not known: {threshold.why}")
    passed = _combined(metric, values, criterion.operator, threshold)
    missing = next((value for value in values if isinstance(value, Missing)), None)
    told = [_holds_told(value, criterion.operator, threshold) for value in values]
    wrong = next((text for text in told if text), None)
    value = _one_of(metric, values, criterion.operator)
    if passed is None:
        why = missing.why if missing else wrong or "it could not be compared"
        return _found(criterion, value, threshold, None, why)
    why = f"{shown_value(value)}, must be {must_be(criterion.operator, threshold)}"
    if passed:
        return _found(criterion, value, threshold, True, why)
    doubt = _doubt(criterion, facts, threshold)
    return _found(criterion, value, threshold, False, why + doubt, doubtful=bool(doubt))


def _found(
    criterion: Criterion,
    value: float | bool | None,
    threshold: float | bool | None,
    passed: bool | None,
    why: str,
    doubtful: bool = False,
) -> Finding:
    return Finding(
        criterion=criterion,
        value=value,
        threshold=threshold,
        passed=passed,
        open=doubtful,
        why=why,
        to_change="" if passed else _to_change(criterion, passed, doubtful),
    )


def _to_change(criterion: Criterion, passed: bool | None, doubtful: bool) -> str:
    if criterion.remedy:
        return criterion.remedy
    if passed is None:
        return f"it has to be known first ({criterion.metric})"
    if doubtful or criterion.kind is Kind.EVIDENCE:
        return "more data may tell"
    if criterion.kind is Kind.COUNT:
        return "more data"
    return f"a run in which it is ({criterion.metric}): more of the same data will hardly change it"


def _threshold(criterion: Criterion, facts: Mapping[str, Any]) -> Value:
    if not isinstance(criterion.threshold, str):
        return criterion.threshold
    (value,) = read_metric(parse_metric(criterion.threshold), facts)
    if isinstance(value, bool):
        return Missing(why=f"{criterion.threshold} must be a number, is {shown_value(value)}")
    return value


def _holds(value: Value, how: str, threshold: float | bool) -> bool | None:
    """None where there is no value of the threshold's kind."""
    if isinstance(value, Missing) or isinstance(value, bool) != (how == "is"):
        return None
    return value is threshold if how == "is" else _HOLDS[how](value, threshold)


def _holds_told(value: Value, how: str, threshold: float | bool) -> str | None:
    if isinstance(value, Missing) or _holds(value, how, threshold) is not None:
        return None
    return f"must be {'true or false' if how == 'is' else 'a number'}, is {shown_value(value)}"


def _combined(metric: Metric, values: list[Value], how: str, threshold: float | bool) -> bool | None:
    """One answer of many.  A number that is missing may have been the least or the greatest."""
    held = [_holds(value, how, threshold) for value in values]
    if metric.reducer == "any":
        return True if True in held else None if None in held else False
    if metric.reducer in ("min", "max"):
        extreme = _one_of(metric, values, how)
        return None if None in held or extreme is None else _holds(extreme, how, threshold)
    return False if False in held else None if None in held else True


def _one_of(metric: Metric, values: list[Value], how: str) -> float | bool | None:
    """The value to show: the only one, or the one nearest to deciding."""
    known = [value for value in values if not isinstance(value, Missing)]
    if not known or (len(known) < len(values) and metric.reducer in ("min", "max")):
        return None
    if metric.reducer is None or metric.reducer in ("min", "max"):
        return known[0] if metric.reducer is None else min(known) if metric.reducer == "min" else max(known)
    lowest = (how in (">=", ">", "is")) == (metric.reducer == "all")
    return min(known) if lowest else max(known)


def _doubt(criterion: Criterion, facts: Mapping[str, Any], threshold: float | bool) -> str:
    """Why falling short is not yet a failure, or nothing."""
    if criterion.interval is None:
        return ""
    metric = parse_metric(criterion.interval)
    values = read_metric(metric, facts)
    ends = _combined(metric, values, criterion.operator, threshold)
    if ends is False:
        return ""
    told = _one_of(metric, values, criterion.operator)
    return (
        f"; its interval is not known ({_missing(values)})"
        if ends is None
        else (f"; but its interval reaches {shown_value(told)}")
    )


def _missing(values: list[Value]) -> str:
    return next((value.why for value in values if isinstance(value, Missing)), "it is no number")


def _days(gate: Facts, daily: Daily, mandate: Mandate) -> str:
    """How much data a strategy of the declared edge would need, in a sentence."""
    factor, z = gate["variance_factor"], gate["threshold"]
    if factor is None or z is None or not mandate.min_sharpe > 0:
        return ""
    try:
        days = [days_needed(z, mandate.min_sharpe, daily.periods_per_year, factor, power) for power in (0.5, 0.8)]
    except (ConfigError, OverflowError):
        return ""
    return (
        f"a strategy whose true Sharpe ratio is {mandate.min_sharpe:g} (mandate.min_sharpe) shows z ≥ {z:.2f} after "
        f"{days[0]} days with an even chance and after {days[1]} with four in five; these are {len(daily.returns)}"
    )
