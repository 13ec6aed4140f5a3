"""The page's section on bad days: what each took, and what of it should worry a reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from wfbt.report.formats import MISSING, listing, moment, reason, show
from wfbt.report.worry import worry

CellOf = Callable[[Mapping[str, Any] | None, str, str], Any]

LOST = (("loss", "percent"), ("loss_without", "percent"), ("liquidations", "count"))
KEPT = (("return", "signed"), ("max_drawdown", "percent"))


def stress_section(told: Mapping[str, Any] | None, cell: CellOf) -> dict[str, Any]:
    """Sentences and tables; `rows` is empty where nothing was tested."""
    if told is None:
        return {"rows": [], "sentences": [], "idle": [], "episodes": [], "missing": []}
    rows: list[Any] = []
    idle: dict[str, list[str]] = {}
    for one in told["scenarios"]:
        if one["loss"] is None:
            idle.setdefault(reason(one, "loss"), []).append(one["name"])
            continue
        passed = "yes" if one["within_mandate"] else "no"
        at = moment(one["at"]) if one["at"] else MISSING
        deeper = replace(cell(one, "drawdown_change", "change"), tone="loss" if one["drawdown_change"] > 5e-5 else "")
        cells = [cell(one, "return_change", "change"), deeper, *(cell(one, key, kind) for key, kind in LOST)]
        rows.append((one["name"], one["what"], at, cells, passed))
    history = told["history"] or {}
    known = {key: one for key, one in (history.get("episodes") or {}).items() if one is not None}
    calendar = history.get("calendar") or {}
    parts = [(one["what"], one) for one in known.values()]
    parts += [(key if key != "other" else "all other days", calendar[key]) for key in calendar if key != "reasons"]
    episodes = [
        (words, [cell(one, f"{whose}{key}", kind) for whose in ("", "benchmark_") for key, kind in KEPT])
        for words, one in parts
        if one is not None
    ]
    missing = sorted({why for key, why in (history.get("reasons") or {}).items() if key not in known})
    return {
        "rows": rows,
        "sentences": stress_sentences(told),
        "idle": [(listing(names), why) for why, names in idle.items()],
        "episodes": episodes,
        "missing": missing,
    }


def stress_sentences(told: Mapping[str, Any]) -> list[str]:
    """What a reader should take away, and what would be a reason to worry."""
    played = {one["name"]: one for one in told["scenarios"] if one["loss"] is not None}
    if not played:
        return ["No scenario could be played: the account held nothing that one could have met."]
    worst = played[told["worst"]]
    most = told["max_stress_loss"]
    out = [
        f"The worst is {worst['name']}: {show(worst['loss'], 'percent')} of the equity before it was gone at the "
        f"lowest close of its aftermath; the mandate allows {show(most, 'percent')}."
    ]
    beyond = [name for name, one in played.items() if not one["within_mandate"]]
    broken = [name for name, one in played.items() if one["liquidations"] > 0 or one["shortfall"] > 0]
    if beyond:
        out.append(f"Beyond the mandate: {listing(beyond)}. Less leverage is the one cure that helps against a gap.")
    if broken:
        out.append(
            f"The venue liquidated the account in {listing(broken)}: stops do not hold where prices gap over them."
        )
    helped = [name for name, one in played.items() if one["return_change"] > abs(worst["return_change"])]
    if helped:
        out.append(f"That {listing(helped)} would have paid so well says how much of the result hangs on single days.")
    if len(out) == 1:
        out.append(worry([], "nothing was liquidated and no loss left the mandate"))
    return out
