"""Parts of index.html about how the folds were walked: paths, window lengths, and what was fitted on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wfbt.report.formats import moment, show

if TYPE_CHECKING:
    from wfbt.report.page import Notes

FULL = 2.0
"""The Sharpe ratio at which a cell has its full colour."""

QUANTILES = (
    ("lowest", "Lowest"),
    ("q25", "First quartile"),
    ("median", "Median"),
    ("q75", "Third quartile"),
    ("highest", "Highest"),
)
SPREAD = (("sharpe", "Sharpe", "ratio"), ("total_return", "Return", "signed"), ("max_drawdown", "Drawdown", "percent"))
OF_PATH = (*SPREAD, ("trades", "Round trips", "count"))


def walk_parts(result: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """What the partial templates of these parts need."""
    return {"paths": _paths(result, notes), "matrix": _matrix(result, notes), "fits": _fits(result)}


def _paths(result: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """Quantiles over the paths, and a row for each."""
    told, walk = result.get("paths") or [], result.get("walk") or {}
    if not told:
        return {"rows": []}
    found = walk["spread"]
    apart = {
        key: found[key] or {"reasons": dict.fromkeys(dict(QUANTILES), found["reasons"][key])} for key, *_ in SPREAD
    }
    return {
        "shown": walk["shown"],
        "same": same_account(told),
        "columns": [words for _, words, _ in OF_PATH],
        "spread_columns": [words for _, words, _ in SPREAD],
        "spread": [
            (words, [notes.cell(apart[key], name, kind) for key, _, kind in SPREAD]) for name, words in QUANTILES
        ],
        "rows": [
            (
                one["path"],
                ", ".join(str(fold) for fold in one["folds"]),
                [notes.cell(one, key, kind) for key, _, kind in OF_PATH],
            )
            for one in told
        ],
    }


def same_account(told: Sequence[Mapping[str, Any]]) -> bool:
    """Is every path one and the same account?  Then no number of theirs but the folds differs."""
    accounts = [{key: value for key, value in one.items() if key not in ("path", "folds")} for one in told]
    return len(accounts) > 1 and all(one == accounts[0] for one in accounts)


def _matrix(result: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """Sharpe ratio, return and folds of each pair; blue gains and red losses."""
    told = result.get("matrix") or {}
    if not told:
        return {"rows": []}
    pairs = {(pair["train"], pair["test"]): pair for pair in told["pairs"]}
    return {
        "cells": told["cells"],
        "tests": told["test"],
        "days": next(iter(pairs.values()))["days"],
        "rows": [(train, [_pair(pairs[train, test], notes) for test in told["test"]]) for train in told["train"]],
    }


def _pair(pair: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    sharpe = pair["sharpe"]
    depth = 0.0 if sharpe is None else min(abs(sharpe) / FULL, 1.0) * 55
    colour = "var(--gain)" if (sharpe or 0.0) >= 0 else "var(--loss)"
    return {
        "sharpe": notes.cell(pair, "sharpe", "ratio"),
        "return": show(pair["total_return"], "signed"),
        "folds": pair["folds"],
        "background": f"color-mix(in srgb, {colour} {depth:.0f}%, transparent)",
    }


def _fits(result: Mapping[str, Any]) -> list[tuple[int, str]]:
    """One line a fold: what was fitted, on how many rows from when to when."""
    lines = []
    for fold in result.get("folds") or []:
        whats: dict[str, list[Mapping[str, Any]]] = {}
        for fit in fold.get("fits") or []:
            whats.setdefault(fit["what"], []).append(fit)
        if whats:
            lines.append((fold["index"], "; ".join(_fit(what, fits) for what, fits in whats.items())))
    return lines


def _fit(what: str, fits: list[Mapping[str, Any]]) -> str:
    some = [fit for fit in fits if fit["rows"]]
    symbols = ", ".join(dict.fromkeys(fit["symbol"] for fit in fits))
    if not some:
        return f"{what} of {symbols}: on no row"
    first, last = min(fit["first"] for fit in some), max(fit["last"] for fit in some)
    rows = sum(fit["rows"] for fit in some)
    return f"{what} of {symbols}: {rows:,} rows closing {moment(first)} to {moment(last)}"
