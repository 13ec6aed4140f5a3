"""Robustness in one sentence: which tests the account failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wfbt.report.formats import listing
from wfbt.report.worry import worry

NAMES = {
    "params": "Parameters moved",
    "delay": "Decisions late",
    "noise": "Prices misread",
    "skip": "Entries missed",
    "bootstrap": "Days resampled",
    "costs": "Costs",
    "latency": "Delays",
    "offsets": "Folds cut elsewhere",
}


def robustness_finding(told: Mapping[str, Any] | None) -> list[str]:
    """Which of the tests that have a criterion and could be judged were failed; nothing where none was judged."""
    judged = {}
    for key, name in NAMES.items():
        one = (told or {}).get(key) or {}
        for level in one.get("levels", [one]):
            if level.get("passes") is not None:
                times = f" ×{level['multiple']:g}" if "multiple" in level else ""
                judged[f"{name.lower()}{times}"] = level["passes"]
    if not judged:
        return []
    failed = [name for name, passes in judged.items() if not passes]
    if not failed:
        return [f"It stood all {len(judged)} tests of robustness that could be judged."]
    return [f"It failed {len(failed)} of {len(judged)} tests of robustness: {listing(failed)}."]


def robustness_worry(told: Mapping[str, Any]) -> str:
    """What of the tests would worry: a loss to begin with, a needle, and every criterion that was missed."""
    base, found = told["base"], []
    if base is None:
        return "Nobody knows: the run has no Sharpe ratio that a test could be held against."
    if base <= 0:
        found.append(f"its Sharpe ratio is {base:.2f} before anything is altered")
    params = told["params"]
    if params and params["quantiles"] and base > max(0.0, params["quantiles"]["q95"]):
        found.append(f"nineteen in twenty neighbours of its parameters stay below {params['quantiles']['q95']:.2f}")
    judged = 0
    for key, name in NAMES.items():
        one = told[key] or {}
        for level in one.get("levels", [one]):
            judged += level.get("passes") is not None
            if level.get("passes") is False:
                times = f" ×{level['multiple']:g}" if "multiple" in level else ""
                found.append(f"{name.lower()}{times} leave {_left(key, level)} (enough is: {level['criterion']})")
    if not found and not judged:
        return "Nobody knows: no test could be judged."
    return worry(found, f"it stood all {judged} tests that could be judged")


def _left(key: str, level: Mapping[str, Any]) -> str:
    """The Sharpe ratio that a test left, and the end of its range where the criterion looks there."""
    if not level.get("quantiles"):
        return "none" if level.get("sharpe") is None else f"{level['sharpe']:.2f}"
    low, middle = level["quantiles"]["q05"], level["quantiles"]["median"]
    if key == "delay" and level.get("share_of_base") is not None:
        return f"{level['share_of_base']:.0%} of it one bar late and {low:.2f} in one case of twenty"
    return f"{middle:.2f} in the middle and {low:.2f} in one case of twenty"
