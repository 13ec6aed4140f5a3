"""Robustness in one sentence: which tests the account failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wfbt.report.formats import listing

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
