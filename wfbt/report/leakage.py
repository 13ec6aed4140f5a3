"""What the leak tests came to, in words and as cells of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wfbt.report.formats import listing, moment

WORDS = {
    "prefix": "the data cut off there",
    "mild": "mild noise",
    "mirror": "every move turned round",
    "wild": "ten times the volatility, reversed",
    "comb": "short spans changed, many at once",
    "new process": "prefixes in a process that has seen nothing later",
}

FAIR_CHANCE = 0.5
"""Below this chance to catch a leak, not to have found one says little."""


def sentence(told: Mapping[str, Any] | None) -> str:
    """One line: how many decisions were tested, and what a leak's chance to show was.  Empty where nothing is known."""
    if not told or "passed" not in told:
        return ""
    if not told["passed"]:
        return f"A leak was found: {told['leak']['text']}."
    tests, found = told["tests"], told["detection_probability"]
    caught = "over 99%" if found > 0.99 else "under 1%" if found < 0.01 else f"{found:.0%}"
    peeks = f"a rule that peeks in 1 of 200 decisions would have been caught with {caught} probability"
    if found < FAIR_CHANCE:
        return (
            f"Hardly tested for leaks: none was found among {tests:,} tested decisions, but {peeks}; "
            "wfbt check lookahead STRATEGY looks longer."
        )
    return f"No leak was found among {tests:,} tested decisions: {peeks}."


def described(told: Mapping[str, Any]) -> list[str]:
    """What `wfbt check lookahead` prints."""
    lines = []
    if not told["passed"]:
        leak = told["leak"]
        lines += [f"LEAK  {leak['text']}"]
        if len(leak["columns"]) > 1:
            lines.append(f"all that changed at this cut: {', '.join(leak['columns'])}")
        return lines
    lines += [sentence(told), ""]
    lines += [f"{name:<28} {value}" for name, value in rows(told)]
    lines += [f"it cannot see: {what}" for what in told["what_it_cannot_see"]]
    return lines + [f"note: {note}" for note in told["notes"]]


def rows(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The coverage as a table."""
    by = told["volatility"]
    return [
        ("decisions tested", f"{told['tests']:,}, at {told['rows_tested']:,} of {told['rows']:,} bars"),
        ("in calm, middling, wild bars", f"{by['calm']:,}, {by['middling']:,}, {by['wild']:,}"),
        ("bars up to a day before a cut", f"{told['rows_covered']:.1%}"),
        ("a leak in 0.5% shows with", f"{told['detection_probability']:.1%}"),
        ("cuts with all that follows", f"{told['cuts']:,}; {told['fills']:,} with fills"),
        ("prefixes in a new process", f"{told['prefixes']:,}"),
        (
            "candidates asked",
            f"{told['candidates']:,} of {told['candidates_all']:,}, {told['candidates_chosen']:,} chosen",
        ),
        ("evaluations", f"{told['evaluations']:,}; {told['refused']:,} refused by the policy"),
    ]


def section(told: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the page shows; empty where no test was run."""
    if not told or "passed" not in told:
        return {}
    return {
        "sentence": sentence(told),
        "rows": rows(told),
        "schemes": listing([WORDS.get(name, name) for name in told["schemes"]]),
        "unseen": told["what_it_cannot_see"],
        "notes": told["notes"],
    }


def warmth(told: Mapping[str, Any]) -> list[str]:
    """What `wfbt check warmup` prints."""
    lines = [f"{'symbol':<12} {'column':<16} {'bars':>8}  agrees"]
    for one in told["columns"]:
        how = "exactly" if one["tolerance"] == 0 else f"within {one['tolerance']:g}"
        bars = "never" if one["bars"] is None else f"{one['bars']:,}"
        given = ", ".join(f"{key} {value}" for key, value in one["params"].items())
        lines.append(f"{one['symbol']:<12} {one['name']:<16} {bars:>8}  {how}" + (f", with {given}" if given else ""))
    if not told["columns"]:
        lines = [f"nothing could be measured: {told['reasons']['bars']}"]
    lines += ["", f"the folds give {told['given']:,} bars before the first test bar ({moment(told['first_test'])})"]
    return lines + [f"note: {note}" for note in told["notes"]]
