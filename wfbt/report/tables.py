"""The table a person wants at the end of `wfbt run`, as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from wfbt.report.formats import COSTS, listing, moment, params, plain, show
from wfbt.report.summary import findings, searched, span

WIDTH = 100
_GAP = "  "


def terminal_summary(result: Mapping[str, Any]) -> str:
    """Folds, strategy against buy-and-hold, costs and what to make of them; no line is wider than `WIDTH`."""
    symbols = listing([str(symbol) for symbol in result.get("data") or {}] or ["no data"])
    head = f"{result.get('name')}{_GAP}run {result.get('run_id')}{_GAP}{symbols}{_GAP}{span(result)}"
    blocks = [
        _cut(head),
        _folds(result.get("folds") or []),
        _sleeves(result.get("sleeves") or {}),
        _totals(result),
        _costs(result.get("costs") or {}),
        "\n".join(textwrap.fill(sentence, WIDTH) for sentence in findings(result)),
        "\n".join(
            textwrap.fill(f"note: {note}", WIDTH, subsequent_indent="      ") for note in result.get("notes") or []
        ),
    ]
    return "\n\n".join(block for block in blocks if block)


def _folds(folds: list[Mapping[str, Any]]) -> str:
    moved, fixed = searched(folds)
    rows = [["fold", "out of sample", "Sharpe in", "out", "return/yr", "drawdown", "trades", "/".join(moved)]]
    for fold in folds:
        chosen = fold.get("params") or {}
        inside, outside = fold.get("in_sample") or {}, fold.get("out_of_sample") or {}
        rows.append(
            [
                str(fold["index"]),
                f"{moment(fold['test_start'])[:10]} to {moment(fold['test_end'])[:10]}",
                show(inside.get("sharpe"), "ratio"),
                show(outside.get("sharpe"), "ratio"),
                show(outside.get("annual_return"), "signed"),
                show(outside.get("max_drawdown"), "percent"),
                show(outside.get("trades"), "count"),
                "/".join(plain(chosen.get(name)) for name in moved),
            ]
        )
    table = _columns(rows, left={1, 7})
    return f"{table}\n{textwrap.fill(f'the same in every fold: {params(fixed)}', WIDTH)}" if fixed else table


def _sleeves(told: Mapping[str, Any]) -> str:
    """A row per sleeve: its share of the account in the folds, what it made there, and alone with all of it."""
    if not told:
        return ""
    rows = [["sleeve", "share", "profit", "alone return", "Sharpe", "drawdown"]]
    for name, one in told["members"].items():
        shares = [fold["weights"][name] for fold in told["folds"]]
        low, high = show(min(shares), "percent"), show(max(shares), "percent")
        rows.append(
            [
                name,
                low if low == high else f"{low} to {high}",
                show(one["profit"], "money"),
                show(one["alone"]["total_return"], "signed"),
                show(one["alone"]["sharpe"], "ratio"),
                show(one["alone"]["max_drawdown"], "percent"),
            ]
        )
    return _columns(rows, left={0})


def _totals(result: Mapping[str, Any]) -> str:
    rows = [["", "return", "return/yr", "Sharpe", "Sortino", "drawdown", "trades"]]
    for label, section in (
        ("strategy, net of costs", result.get("oos") or {}),
        ("buy and hold", result.get("benchmark") or {}),
    ):
        rows.append(
            [
                label,
                show(section.get("total_return"), "signed"),
                show(section.get("annual_return"), "signed"),
                show(section.get("sharpe"), "ratio"),
                show(section.get("sortino"), "ratio"),
                show(section.get("max_drawdown"), "percent"),
                show(section.get("trades"), "count"),
            ]
        )
    return _columns(rows, left={0})


def _costs(costs: Mapping[str, Any]) -> str:
    parts = [f"{words.lower()} {show(costs.get(key), 'money')}" for key, words in COSTS]
    return textwrap.fill("costs: " + ", ".join(parts), WIDTH)


def _columns(rows: list[list[str]], left: set[int]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [text.ljust(widths[i]) if i in left else text.rjust(widths[i]) for i, text in enumerate(row)]
        lines.append(_cut(_GAP.join(cells).rstrip()))
    return "\n".join(lines)


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
