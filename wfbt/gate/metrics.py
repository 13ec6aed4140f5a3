"""Where a criterion reads: paths into result.json, and all, any, min or max over what they name.

`oos.sharpe`, `folds[0].params.fast`, `ruin.tail.levels["0.95"][0].es`; `*` or `[*]` stands for every fold, regime or
scenario.  `change(oos.sharpe)` is what it gained on the baseline, `relative_change(oos.sharpe)` that as a share of the
baseline's size.  A path is text that is matched, never code that runs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wfbt.config.messages import key_text, nearest, shown
from wfbt.errors import ConfigError

EVERY = object()
"""The step that stands for every element."""

REDUCERS = ("all", "any", "min", "max")
CHANGES = ("change", "relative_change")
BASELINE = "baseline"
"""The key of the facts under which those of the baseline stand."""

_CALL = re.compile(r"(\w+)\((.*)\)")
_STEP = re.compile(
    r'\.?(?P<name>\w[\w-]*)|\.?(?P<every>\*)|\[(?:(?P<index>-?\d{1,6})|(?P<inner>\*)|(?P<key>"[^"\\]+"))\]'
)

Step = str | int | object


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A parsed expression.

    Attributes
    ----------
    reducer : str or None
        One of `REDUCERS`; a path that names several values needs one.
    change : str or None
        One of `CHANGES`: against the baseline.
    steps : tuple
        Keys, list indices, and EVERY.
    """

    reducer: str | None
    change: str | None = None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A value that is not there, and why."""

    why: str


Value = float | bool | Missing


def parse_metric(text: str) -> Metric:
    """The expression that `text` spells; ConfigError where it spells none."""
    call = _CALL.fullmatch(text.strip())
    reducer, path = (call[1], call[2].strip()) if call else (None, text.strip())
    functions = (*REDUCERS, *CHANGES)
    if reducer is not None and reducer not in functions:
        near = nearest(reducer, functions)
        raise ConfigError(
            f"metric {shown(text)}: {reducer} is not one of {', '.join(functions)}"
            + (f"; did you mean {near}?" if near else "")
        )
    steps: list[Step] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        # A dot or a bracket before every step but the first, and none before that one.
        if not found or (path[at] in ".[") != (at > 0):
            break
        at = found.end()
        if found["name"]:
            steps.append(found["name"])
        elif found["index"]:
            steps.append(int(found["index"]))
        elif found["key"]:
            steps.append(found["key"][1:-1])
        else:
            steps.append(EVERY)
    if not steps or at < len(path):
        raise ConfigError(
            f"metric {shown(text)} is no path such as oos.sharpe, folds[0].out_of_sample.sharpe or "
            "min(folds[*].out_of_sample.sharpe)"
        )
    change, reducer = (reducer, None) if reducer in CHANGES else (None, reducer)
    if (EVERY in steps) != (reducer is not None):
        rule = "names several values; say all, any, min or max of them" if reducer is None else "has no * to go over"
        raise ConfigError(f"metric {shown(text)} {rule}")
    return Metric(reducer=reducer, change=change, steps=tuple(steps))


def read_metric(metric: Metric, facts: Mapping[str, Any]) -> list[Value]:
    """The values that `metric` names in `facts`, at least one: finite numbers, booleans, or why there is none."""
    values = _read(facts, metric.steps, ())
    return values if metric.change is None else [_change(metric, facts, values[0])]


def _change(metric: Metric, facts: Mapping[str, Any], now: Value) -> Value:
    baseline = facts.get(BASELINE)
    if baseline is None:
        return Missing(why="no --baseline was given to compare with")
    (before,) = _read(baseline, metric.steps, ())
    for value, whose in ((now, ""), (before, "of the baseline: ")):
        if isinstance(value, Missing):
            return Missing(why=f"{whose}{value.why}")
    if isinstance(now, bool) or isinstance(before, bool) or isinstance(now, Missing) or isinstance(before, Missing):
        return Missing(why="true and false have no difference")
    if metric.change == "change":
        return now - before
    return (now - before) / abs(before) if before else Missing(why="the baseline's is 0, and of 0 nothing is a share")


def check_metric(text: str, facts: Mapping[str, Any]) -> None:
    """ConfigError that names the near key, if `text` asks for a key that `facts` lack.

    What is null there, such as a section that was switched off, is known: it is missing, not misspelt.
    """
    steps = parse_metric(text).steps
    nodes: list[tuple[Any, tuple[str | int, ...]]] = [(facts, ())]
    for step in steps:
        if isinstance(step, str) and nodes and not any(isinstance(node, dict) and step in node for node, _ in nodes):
            mappings = [(node, path) for node, path in nodes if isinstance(node, dict)]
            if not mappings and all(node is None for node, _ in nodes):
                return
            known = sorted({key for node, _ in mappings for key in node if isinstance(key, str) and key != "reasons"})
            near = nearest(step, known)
            told = f"; did you mean {near}?" if near else f"; there are {', '.join(known[:12])}" if known else ""
            place = key_text(nodes[0][1]) or "the result"
            raise ConfigError(f"metric {shown(text)}: {place} has no {shown(step)}{told}")
        nodes = [below for node, path in nodes for below in _below(node, path, step)]


def _below(node: Any, path: tuple[str | int, ...], step: Step) -> list[tuple[Any, tuple[str | int, ...]]]:
    if step is EVERY:
        return [(inner, (*path, key)) for key, inner in _every(node)]
    if isinstance(step, str):
        return [(node[step], (*path, step))] if isinstance(node, dict) and step in node else []
    assert isinstance(step, int)
    return [(node[step], (*path, step))] if isinstance(node, list) and -len(node) <= step < len(node) else []


def _every(node: Any) -> list[tuple[str | int, Any]]:
    if isinstance(node, dict):
        return [(key, node[key]) for key in node if key != "reasons"]
    return list(enumerate(node)) if isinstance(node, list) else []


def _read(node: Any, steps: tuple[Step, ...], path: tuple[str | int, ...]) -> list[Value]:
    for at, step in enumerate(steps):
        if step is EVERY:
            inside = _every(node)
            if not inside:
                return [Missing(why=f"{key_text(path)} holds nothing")]
            return [value for key, inner in inside for value in _read(inner, steps[at + 1 :], (*path, key))]
        below = _below(node, path, step)
        if not below or below[0][0] is None:
            assert isinstance(step, str | int)
            return [Missing(why=_why(node, step, (*path, step), absent=not below))]
        (node, path), *_ = below
    return [_value(node, path)]


def _why(node: Any, step: str | int, path: tuple[str | int, ...], absent: bool) -> str:
    reasons = node.get("reasons") if isinstance(node, dict) else None
    told = reasons.get(step) if isinstance(reasons, dict) else None
    if isinstance(told, str) and told:
        return told
    return f"{key_text(path)} is not in the result" if absent else f"{key_text(path)} is null, without a reason"


def _value(found: Any, path: tuple[str | int, ...]) -> Value:
    if isinstance(found, bool):
        return found
    if isinstance(found, int | float):
        try:
            number = float(found)
        except OverflowError:
            return Missing(why=f"{key_text(path)} is too large for a number")
        return number if math.isfinite(number) else Missing(why=f"{key_text(path)} is {number}, which is no number")
    return Missing(why=f"{key_text(path)} must be a number, is {json.dumps(found, default=str)[:40]}")
