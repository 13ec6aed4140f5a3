"""What a trial ledger says: its families side by side, the looks of one of them, and whether run folders agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wfbt.errors import ConfigError
from wfbt.registry.looks import OUT_OF_SAMPLE, Look
from wfbt.registry.trials import Trials


def families(trials: Trials) -> list[dict[str, Any]]:
    """One row a family, by name: looks, other families at the same days, first and last window, extremes of Sharpe.

    A look that was taken twice and merged is one; Sharpe ratios are per observation.
    """
    looks = _distinct(trials)
    names = sorted({one.family for one in looks})
    # Few windows are looked at by many looks.
    seen = {name: _windows([one for one in looks if one.family == name]) for name in names}
    rows = []
    for name in names:
        own = [one for one in looks if one.family == name]
        sharpes = [one.sharpe for one in own if one.sharpe is not None]
        others = [
            other for other in names if other != name and any(a.saw_days_of(b) for a in seen[name] for b in seen[other])
        ]
        rows.append(
            {
                "family": name,
                "looks": len(own),
                "others_at_these_days": len(others),
                "first_window": _dates(min(own, key=lambda one: (one.start, one.end))),
                "last_window": _dates(max(own, key=lambda one: (one.end, one.start))),
                "worst_sharpe": min(sharpes, default=None),
                "best_sharpe": max(sharpes, default=None),
                "reasons": {} if sharpes else dict.fromkeys(("worst_sharpe", "best_sharpe"), "no look of it has one"),
            }
        )
    return rows


def looks_of(trials: Trials, family: str) -> list[dict[str, Any]]:
    """The looks of a family in the order of the ledger, each with the counts it was given; ConfigError without any."""
    looks = _distinct(trials)
    own = [one for one in looks if one.family == family]
    if not own:
        known = ", ".join(sorted({one.family for one in looks})) or "none"
        raise ConfigError(f"{trials.path}: holds no look of the family {family}; it knows {known}")
    rows = []
    for one in own:
        counts, entry = trials.count(one), trials.record([one])[0]
        rows.append(
            {
                **one.to_dict(),
                "window": _dates(one),
                "looks_by_family": counts.family,
                "looks_by_anyone": counts.anyone,
                "candidates_in_folds": counts.candidates,
                "entry": entry.sha256,
                "reasons": {} if one.sharpe is not None else {"sharpe": "it had none"},
            }
        )
    return rows


def kept_heads(folder: Path) -> dict[str, str]:
    """Heads that the manifests of the run folders in `folder` keep, by run folder."""
    heads = {}
    for path in sorted(folder.glob("*/manifest.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))["trials"]["head"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # an older run, or no manifest of ours: it keeps no head
        if isinstance(told, str):
            heads[path.parent.name] = told
    return heads


def _distinct(trials: Trials) -> list[Look]:
    """Each look once, at its first place."""
    looks = {one.look.identity: one.look for one in reversed([*trials]) if one.look.kind == OUT_OF_SAMPLE}
    return list(reversed(looks.values()))


def _windows(looks: Sequence[Look]) -> list[Look]:
    """One look for each window of the same data."""
    return list({(one.data, one.start, one.end): one for one in looks}.values())


def _dates(one: Look) -> tuple[str, str]:
    first, last = (datetime.fromtimestamp(ns // 10**9, UTC).date().isoformat() for ns in (one.start, one.end))
    return first, last
