"""What a trial ledger says: families side by side, looks and attempts of one of them, and of a run; and kept heads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wfbt.errors import ConfigError
from wfbt.registry.attempts import Attempt
from wfbt.registry.chain import distinct_attempts, distinct_looks
from wfbt.registry.looks import OUT_OF_SAMPLE, Judged, Look, same_days
from wfbt.registry.trials import Trials


def families(trials: Trials) -> list[dict[str, Any]]:
    """One row a family, by name: looks, attempts, others at the same days, first and last window, extremes of Sharpe.

    What was recorded twice and merged is one; Sharpe ratios are per observation.
    """
    looks, attempts = _looks(trials), distinct_attempts(trials)
    records: list[Look | Attempt] = [*looks, *attempts]
    names = sorted({one.family for one in records})
    # Few windows are looked at by many looks.
    seen = {name: _windows([one for one in records if one.family == name]) for name in names}
    rows = []
    for name in names:
        own = [one for one in looks if one.family == name]
        sharpes = [one.sharpe for one in own if one.sharpe is not None]
        others = [
            other for other in names if other != name and any(same_days(a, b) for a in seen[name] for b in seen[other])
        ]
        rows.append(
            {
                "family": name,
                "looks": len(own),
                "attempts": sum(one.family == name for one in attempts),
                "others_at_these_days": len(others),
                "first_window": _dates(min(seen[name], key=lambda one: (one.start, one.end))),
                "last_window": _dates(max(seen[name], key=lambda one: (one.end, one.start))),
                "worst_sharpe": min(sharpes, default=None),
                "best_sharpe": max(sharpes, default=None),
                "reasons": {} if sharpes else dict.fromkeys(("worst_sharpe", "best_sharpe"), "no look of it has one"),
            }
        )
    return rows


def looks_of(trials: Trials, family: str) -> list[dict[str, Any]]:
    """The looks of a family in the order of the ledger, each with the counts it was given.

    ConfigError where the ledger knows no such family.
    """
    looks = _looks(trials)
    known = sorted({one.family for one in looks} | {one.family for one in distinct_attempts(trials)})
    if family not in known:
        raise ConfigError(f"{trials.path}: holds no look of the family {family}; it knows {', '.join(known) or 'none'}")
    rows = []
    for one in looks:
        if one.family != family:
            continue
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


def attempts_of(trials: Trials, family: str) -> list[dict[str, Any]]:
    """The attempts of a family at the gate in the order of the ledger, each with its counts and notes; maybe none."""
    rows = []
    for one in distinct_attempts(trials):
        if one.family == family:
            found = trials.attempt(one)
            rows.append(
                {
                    **one.to_dict(),
                    "window": _dates(one),
                    "attempt": found.number,
                    "series": found.series,
                    "notes": list(found.notes),
                    "entry": found.entry,
                    "reasons": {} if one.model is not None else {"model": "rules, without a model"},
                }
            )
    return rows


def look_of_run(trials: Trials, run: str, family: str, head: str | None = None) -> Look | None:
    """The look that a run took out of sample; None where the ledger does not hold it.

    `head`, as result.json keeps it under trials, names the entry: an earlier run may have taken the same look.  Without
    it the look is known by the run's id, unless the run took several: a matrix of window lengths takes one a cell.
    """
    looks = {
        one.identity: one.look
        for one in trials
        if one.look is not None
        and one.look.kind == OUT_OF_SAMPLE
        and one.look.family == family
        and (one.look.run == run if head is None else one.sha256 == head)
    }
    return next(iter(looks.values())) if len(looks) == 1 else None


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


def _looks(trials: Trials) -> list[Look]:
    return [one for one in distinct_looks(trials) if one.kind == OUT_OF_SAMPLE]


def _windows(records: Sequence[Judged]) -> list[Judged]:
    """One for each window of the same data."""
    return list({(one.data, one.start, one.end): one for one in records}.values())


def _dates(one: Judged) -> tuple[str, str]:
    first, last = (datetime.fromtimestamp(ns // 10**9, UTC).date().isoformat() for ns in (one.start, one.end))
    return first, last
