"""The page's section on markets that never were: how accounts ended there, how deep they fell, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wfbt.report.formats import MISSING, moment, reason, show

CellOf = Callable[[Mapping[str, Any] | None, str, str], Any]

RESAMPLED = "resampled"
ENDS = ("p5", "p50", "p95")


def kinds(told: Mapping[str, Any]) -> list[str]:
    """Keys of the kinds of path that were asked for: levels by number, then the account's own days."""
    return [*sorted(key for key in told if key.isdigit()), RESAMPLED]


def kind_name(key: str, told: Mapping[str, Any] | None = None) -> str:
    """A kind of path in words; `told` is what result.json says of it, which names a level."""
    if key == RESAMPLED:
        return "own days, resampled"
    return f"level {key}, {told['name']}" if told else f"level {key}"


def monte_carlo_section(told: Mapping[str, Any] | None, cell: CellOf) -> dict[str, Any]:
    """What the page shows of `monte_carlo` of result.json; empty without.  `cell(row, key, kind)` makes a number."""
    if not told:
        return {}
    known = {key: told[key] for key in kinds(told) if told[key]}
    return {
        "says": paths_say(told),
        "worry": told["worry"] or f"Nobody knows: {reason(told, 'worry')}.",
        "fans": [(f"fan_{key}", _title(kind_name(key, one)), one["worry"]) for key, one in known.items()],
        "rows": [(_title(kind_name(key, one)), _row(one, cell)) for key, one in known.items()],
        "depths_say": depths_say(known),
        "percentiles": [f"{row['percentile']:g}%" for row in next(iter(known.values()))["drawdowns"]] if known else [],
        "depths": [row for key, one in known.items() for row in _depths(_title(kind_name(key)), one, cell)],
        "recoveries": [
            (
                _title(kind_name(key)),
                [(cell(row, "recovery_days", "count"), _back(row)) for row in one["drawdowns"]],
            )
            for key, one in known.items()
        ],
        "off": [(kind_name(key), reason(told, key)) for key in kinds(told) if not told[key]],
        "notes": _notes(told, known),
    }


def rested(result: Mapping[str, Any]) -> str:
    """That days after a stop for good are no evidence; nothing where the account was never stopped."""
    own = (result.get("monte_carlo") or {}).get(RESAMPLED)
    if not own or not own["stopped"]:
        return ""
    return (
        f"The account was stopped for good on {moment(own['stopped'])[:10]}. Resampled days, sizes and tails are of "
        f"its {own['days_of_evidence']:,} days until then; the {own['days_left_out']:,} days at rest after it would "
        "only have thinned the losses out."
    )


def paths_say(told: Mapping[str, Any]) -> str:
    """One sentence on how the middle accounts ended, of replayed markets and of resampled days."""
    levels = [told[key] for key in kinds(told)[:-1] if told[key]]
    said = []
    if levels:
        middle = _range([one["total_return"]["p50"] for one in levels])
        count = "one kind" if len(levels) == 1 else f"each of {len(levels)} kinds"
        text = (
            f"Through {told['replays']:,} markets of {count}, {told['horizon_days']:g} days long from "
            f"{moment(told['begins'])[:10]} on, the policy of the last fold made {middle} on the middle path"
        )
        held = _range([one["hold"]["total_return"]["p50"] for one in levels if one["hold"]])
        said.append(text if held == MISSING else f"{text}, buy-and-hold on the same paths {held}")
    own = told[RESAMPLED]
    if own:
        ends = own["total_return"]
        said.append(
            f"{own['days_of_evidence']:,} days of its own, drawn again {own['paths']:,} times in blocks of about "
            f"{own['block']}, came to {show(ends['p50'], 'signed')} in the middle and to {show(ends['p5'], 'signed')} "
            "or less in one case of twenty"
        )
    return "; ".join(said) + "." if said else "Nothing could be simulated."


def depths_say(known: Mapping[str, Mapping[str, Any]]) -> str:
    """How deep one path in twenty falls, and how many of the deeper half were back in time."""
    rows = {key: {row["percentile"]: row for row in one["drawdowns"]} for key, one in known.items()}
    deep = {key: row[95.0]["depth"] for key, row in rows.items() if row[95.0]["depth"] is not None}
    if not deep:
        return "How deep the paths fall is not known: there are too few of them."
    worst, mildest = max(deep, key=lambda key: deep[key]), min(deep, key=lambda key: deep[key])
    said = f"One path in twenty falls {show(deep[worst], 'percent')} or more below its peak on {kind_name(worst)}"
    if worst != mildest:
        said += f", {show(deep[mildest], 'percent')} on {kind_name(mildest)}"
    half = rows[worst][50.0]
    return f"{said}. Of the deeper half there, {_back(half)} regained their peak before they ended."


def _range(values: list[float | None]) -> str:
    known = sorted(value for value in values if value is not None)
    if not known:
        return MISSING
    low, high = show(known[0], "signed"), show(known[-1], "signed")
    return low if low == high else f"{low} to {high}"


def _row(one: Mapping[str, Any], cell: CellOf) -> list[Any]:
    # What was not simulated of days drawn again is no number that is missing.
    held = one["hold"]["total_return"] if one.get("hold") else None
    why = {"reasons": dict.fromkeys(ENDS, reason(one, "hold"))}
    return [
        cell(one, "paths", "count"),
        *(cell(one["total_return"], end, "signed") for end in ENDS),
        *(cell(held or why, end, "signed") if "hold" in one else None for end in ENDS),
        cell(one["annual_sharpe"], "p50", "ratio"),
        cell(one["lost_money"], "estimate", "percent"),
        cell(one["liquidated"], "estimate", "percent") if "liquidated" in one else None,
    ]


def _depths(name: str, one: Mapping[str, Any], cell: CellOf) -> list[tuple[str, str, list[Any]]]:
    """Depths seen at the ends of days, and at bar closes where an account was replayed."""
    rows = [(name, "ends of days", [cell(row, "depth", "percent") for row in one["drawdowns"]])]
    if "hold" in one:
        closes = [cell(row, "depth_at_bar_closes", "percent") for row in one["drawdowns"]]
        rows.append(("", "bar closes", closes))
    return rows


def _back(row: Mapping[str, Any]) -> str:
    """How many of the paths that fell so deep were back before they ended."""
    return f"{row['recovered']:,} of {row['paths']:,}" if row["paths"] else MISSING


def _notes(told: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is to be known of all levels, then of some; each once."""
    of_levels = [note for one in known.values() for note in one.get("notes", [])]
    of_levels += [f"level {key}: {note}" for key, one in known.items() if "fit" in one for note in one["fit"]["notes"]]
    return [f"{note[0].upper()}{note[1:]}." for note in dict.fromkeys([*told["notes"], *of_levels]) if note]


def _title(name: str) -> str:
    return name[0].upper() + name[1:]
