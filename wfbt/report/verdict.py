"""The verdict as people read it: on the page of the run, and as the summary of a CI job."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from wfbt.gate.criteria import Kind
from wfbt.gate.verdict import MEANING, Finding, Verdict, cell, must_be, sentence, shown_value
from wfbt.report.formats import show

BEGIN, END = "<!-- verdict -->", "<!-- /verdict -->"
"""What the page keeps around the place where the verdict is written."""

WIDTH = 100

MOST_SHOWN = 1e300
"""A whole number beyond it is no float."""

WORDS = {True: "met", False: "not met", None: "not known"}


def not_judged() -> str:
    """What stands on the page of a run until it is judged."""
    told = "Not judged yet. <code>wfbt gate</code> and the name of this folder hold it against criteria."
    return f'{BEGIN}\n<section>\n<h2>Verdict</h2>\n<p class="quiet">{told}</p>\n</section>\n{END}'


def with_verdict(page: str, verdict: Verdict) -> str:
    """The page with the verdict in its place; unchanged where it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    return head + _section(verdict) + tail if begin and end else page


def _section(verdict: Verdict) -> str:
    unmet = [one for one in verdict.findings if one.passed is not True]
    lines = [BEGIN, "<section>", f"<h2>Verdict: {verdict.status}</h2>", f"<p>{MEANING[verdict.status]}</p>"]
    calm = " calm" if not unmet else ""
    for one in _weightiest(unmet):
        told = f"<b>{escape(one.criterion.name)}</b> {escape(one.why)}. {escape(sentence(one.to_change))}"
        lines.append(f'<p class="worry{calm}">{told}</p>')
    lines += [
        '<div class="wide"><table>',
        '<thead><tr><th>Criterion</th><th class="n">Value</th><th class="n">Must be</th><th></th>'
        "<th>What it protects from</th></tr></thead><tbody>",
    ]
    for one in sorted(verdict.findings, key=_order):
        must = must_be(one.criterion.operator, one.threshold)
        tone = "" if one.passed else ' class="loss"'
        lines.append(
            f'<tr><td>{escape(one.criterion.name)}</td><td class="n">{escape(shown_value(one.value))}</td>'
            f'<td class="n">{escape(must)}</td><td{tone}>{WORDS[one.passed]}</td>'
            f'<td class="words">{escape(one.criterion.why)}</td></tr>'
        )
    lines.append("</tbody></table></div>")
    if verdict.notes:
        lines += ["<ul>", *(f"<li>{escape(note)}</li>" for note in verdict.notes), "</ul>"]
    told = f"Judged by the criteria <code>{escape(verdict.criteria)}</code> ({verdict.criteria_sha256[:12]})"
    lines += [f'<p class="quiet">{told}; all of it with hashes is in <code>verdict.json</code>.</p>', "</section>", END]
    return "\n".join(lines)


def _weightiest(unmet: Sequence[Finding]) -> list[Finding]:
    """Those that decide first."""
    return sorted(unmet, key=_order)


def _order(one: Finding) -> tuple[int, int]:
    rank = {False: 0, None: 1, True: 2}[one.passed]
    return rank, list(Kind).index(one.criterion.kind)


def verdict_told(verdict: Verdict) -> str:
    """The verdict on a terminal: what is unmet with its reason, then what was met, in one line."""
    lines = [f"{verdict.status}: {MEANING[verdict.status]}"]
    for one in sorted(verdict.findings, key=_order):
        if one.passed is not True:
            head = f"  {WORDS[one.passed]:<10}{one.criterion.name}: "
            told = f"{head}{one.why}. {sentence(one.to_change)}".rstrip()
            lines += textwrap.wrap(told, WIDTH, subsequent_indent=" " * 14)
    met = [one.criterion.name for one in verdict.findings if one.passed]
    if met:
        lines += textwrap.wrap(f"  {'met':<10}" + ", ".join(met), WIDTH, subsequent_indent=" " * 12)
    for note in verdict.notes:
        lines += textwrap.wrap(f"  note      {note}", WIDTH, subsequent_indent=" " * 12)
    return "\n".join(lines)


def _inside(tree: Any, key: Any) -> Mapping[str, Any]:
    """The mapping at a key of a result that may be anybody's; an empty one where there is none."""
    found = tree[key] if isinstance(tree, list) or key in tree else None
    return found if isinstance(found, Mapping) else {}


def _shown(value: Any, kind: str) -> str:
    """A number as pages show it; whatever else stands in its place is none."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST_SHOWN
    return show(value if number else None, kind)


def summary_of(verdict: Verdict, document: Mapping[str, Any], result: Mapping[str, Any] | None) -> str:
    """summary.md: the verdict, the run it is on, and how to hold a deployment against it."""
    lines = [verdict.to_markdown().rstrip()]
    if result is not None:
        oos, held = (_inside(result, key) for key in ("oos", "benchmark"))
        folds = result.get("folds") or [{}]
        first, last = _inside(folds, 0).get("test_start"), _inside(folds, -1).get("test_end")
        span = f"{cell(str(first)[:10])} to {cell(str(last)[:10])}"
        lines += [
            "",
            f"### {cell(str(result.get('name')))}, run {cell(verdict.run_id)}, out of sample {span}",
            "",
            "| | Strategy, net of costs | Buy and hold |",
            "|---|---:|---:|",
        ]
        for words, key, kind in (
            ("Total return", "total_return", "signed"),
            ("Sharpe ratio", "sharpe", "ratio"),
            ("Drawdown", "max_drawdown", "percent"),
            ("Round trips", "trades", "count"),
        ):
            lines.append(f"| {words} | {_shown(oos.get(key), kind)} | {_shown(held.get(key), kind)} |")
    bound, signed = document["bound"], document["attestation"]["signatures"]
    lines += [
        "",
        f"Valid from {document['issued']} to {document['expires']}, "
        + (f"signed by the key {signed[0]['keyid'][:16]}…" if signed else "not signed: --sign seals it with a key")
        + ". "
        + ", ".join(f"{what} {_short(bound[what])}" for what in ("model", "strategy", "criteria", "data"))
        + f", wfbt {document['version']} {_short(bound['source'])}.",
    ]
    return "\n".join(lines) + "\n"


def _short(sha256: str | None) -> str:
    return "none" if sha256 is None else sha256[:12]
