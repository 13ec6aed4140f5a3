"""index.html: one run as a person reads it, in a single file that asks no other host for anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from wfbt.report.capacity import capacity_figures, capacity_section, decay_section
from wfbt.report.curves import Curves
from wfbt.report.figures import figures, grows_apart, monthly_returns
from wfbt.report.formats import CAUSES, EXITS, METRICS, MISSING, moment, params, plain, reason, show
from wfbt.report.leakage import section
from wfbt.report.monte_carlo import monte_carlo_section, rested
from wfbt.report.monte_carlo_figures import monte_carlo_figures
from wfbt.report.networks import networks_section
from wfbt.report.openings import cost_told, folds_told
from wfbt.report.overfitting import luck, luck_told
from wfbt.report.regimes import growth_by_regime, regimes_section
from wfbt.report.robustness import robustness_figures, robustness_section
from wfbt.report.ruin import ruin_section
from wfbt.report.ruin_figures import ruin_figures
from wfbt.report.stress import stress_section
from wfbt.report.summary import break_even, grouped, headlines, searched, span, stopped_apart
from wfbt.report.trials import tried
from wfbt.report.verdict import not_judged
from wfbt.report.volatility import volatility_figures, volatility_section
from wfbt.report.walks import walk_parts
from wfbt.report.worry import unworried

LATER = (
    "leakage", "regimes", "volatility", "robustness", "stress", "overfitting", "monte_carlo", "ruin",
    "capacity", "decay",
)  # fmt: skip
SHOWN_TRADES = 10
SHOWN_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a table.  `note` is the footnote that says why it is missing, 0 for none."""

    text: str
    note: int = 0
    why: str = ""
    tone: str = ""


@dataclass(slots=True)
class Notes:
    """Reasons of missing numbers, each numbered once, in the order met."""

    reasons: list[str] = field(default_factory=list)

    def cell(self, section: Mapping[str, Any] | None, key: str, kind: str) -> Cell:
        """The number under `key`, or a dash with its reason."""
        value = (section or {}).get(key)
        if value is None:
            why = reason(section, key)
            if why not in self.reasons:
                self.reasons.append(why)
            return Cell(MISSING, self.reasons.index(why) + 1, why)
        text = show(value, kind)
        return Cell(text, tone="loss" if kind in ("signed", "change", "step") and text.startswith("-") else "")


def render_index(result: Mapping[str, Any], curves: Curves, trades: pd.DataFrame, tearsheets: str = "all") -> str:
    """The whole page.  Text from strategy files is escaped; the same input gives the same bytes.

    `tearsheets` are those beside it, as `report.tearsheets` of the strategy: all, oos (none of a fold) or none.
    """
    notes = Notes()
    folds = result.get("folds") or []
    moved, fixed = searched(folds)
    plots = figures(result, curves, trades) | volatility_figures(result) | capacity_figures(result)
    plots |= robustness_figures(result.get("robustness")) | monte_carlo_figures(result.get("monte_carlo"))
    plots |= ruin_figures(result.get("ruin"))
    if (by_regime := growth_by_regime(result.get("regimes"), curves)) is not None:
        plots["regimes"] = by_regime
    drawn = {name: _script_json(figure.to_json()) for name, figure in plots.items()}
    page: str = _template().render(
        result=result,
        verdict=Markup(not_judged()),
        span=span(result),
        headlines=headlines(result),
        grouped=grouped(result),
        log_account=grows_apart(curves),
        metrics=_metrics(result, notes),
        folds=[_fold(fold, moved, notes) for fold in folds],
        fixed=params(fixed) if fixed else "",
        sleeves=_sleeves(result.get("sleeves") or {}, notes),
        networks=networks_section(result, notes.cell),
        regimes=regimes_section(result.get("regimes"), notes.cell),
        ladder=_ladder(result, notes),
        ladder_apart=stopped_apart(result.get("realism") or {}),
        break_even=break_even(result),
        cost_told=cost_told(result),
        folds_told=folds_told(result),
        no_ladder=reason(result, "realism"),
        causes=_causes(result, notes),
        no_causes=reason(result, "attribution"),
        missed=_missed(result, notes),
        luck=luck(result, notes),
        volatility=volatility_section(result, notes.cell),
        luck_told=luck_told(result),
        robust=robustness_section(result.get("robustness"), notes.cell),
        stress=stress_section(result.get("stress"), notes.cell),
        paths_made=monte_carlo_section(result.get("monte_carlo"), notes.cell),
        rested=rested(result),
        ruined=ruin_section(result.get("ruin"), notes.cell),
        unworried=unworried,
        capacity=capacity_section(result.get("capacity"), notes.cell),
        decay=decay_section(result.get("decay"), notes.cell),
        months=_months(curves),
        trades=_trades(trades),
        efficiency=notes.cell(result, "walk_forward_efficiency", "ratio"),
        tried=tried(result),
        **walk_parts(result, notes),
        leakage=section(result.get("leakage")),
        data=_data(result.get("data") or {}),
        assumptions=[
            {name: plain(entry.get(name)) for name in ("key", "value", "note")}
            for entry in result.get("assumptions") or []
        ],
        later=[(key.replace("_", " "), reason(result, key)) for key in LATER if result.get(key) is None],
        notes=notes.reasons,
        tearsheets=tearsheets,
        figures=drawn,
        plotly=_plotly(),
    )
    return page


def _metrics(result: Mapping[str, Any], notes: Notes) -> list[tuple[str, Cell, Cell]]:
    oos, held = result.get("oos"), result.get("benchmark")
    return [(words, notes.cell(oos, key, kind), notes.cell(held, key, kind)) for key, words, kind in METRICS]


def _fold(fold: Mapping[str, Any], moved: list[str], notes: Notes) -> dict[str, Any]:
    inside, outside = fold.get("in_sample"), fold.get("out_of_sample")
    chosen = fold.get("params") or {}
    return {
        "index": fold["index"],
        "link": ""
        if len((fold.get("blocks") or {}).get("test", [])) > 1
        else f"folds/{fold['index']:02d}/tearsheet.html",
        "train": _stretch(fold, "train"),
        "test": _stretch(fold, "test"),
        "params": ", ".join(f"{name} {plain(chosen[name])}" for name in moved if name in chosen),
        "cells": [
            notes.cell(inside, "sharpe", "ratio"),
            notes.cell(outside, "sharpe", "ratio"),
            notes.cell(inside, "annual_return", "signed"),
            notes.cell(outside, "annual_return", "signed"),
            notes.cell(inside, "max_drawdown", "percent"),
            notes.cell(outside, "max_drawdown", "percent"),
            notes.cell(inside, "trades", "count"),
            notes.cell(outside, "trades", "count"),
        ],
    }


def _stretch(fold: Mapping[str, Any], name: str) -> str:
    """From when to when, and in how many blocks where there are several."""
    blocks = len((fold.get("blocks") or {}).get(name, [])) or 1
    days = f"{moment(fold[f'{name}_start'])[:10]} to {moment(fold[f'{name}_end'])[:10]}"
    return days if blocks == 1 else f"{days}, {blocks} blocks"


def _sleeves(told: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """What each sleeve earned in the account and alone, and its share of the account in each fold."""
    members = told.get("members") or {}
    rows = []
    for name, one in members.items():
        alone = one["alone"]
        cells = [
            notes.cell(one, "profit", "money"),
            notes.cell(one, "return", "signed"),
            notes.cell(alone, "total_return", "signed"),
            notes.cell(alone, "sharpe", "ratio"),
            notes.cell(alone, "max_drawdown", "percent"),
            notes.cell(one, "candidates", "count"),
        ]
        rows.append((name, one["policy"], ", ".join(one["symbols"]), cells))
    return {
        "rows": rows,
        "names": list(members),
        "weights": [
            (fold["index"], [notes.cell(fold["weights"], name, "percent") for name in members])
            for fold in told.get("folds") or []
        ],
        "method": str(told.get("method", "")).replace("_", " "),
        "netting": told.get("netting"),
    }


def _ladder(result: Mapping[str, Any], notes: Notes) -> list[tuple[str, list[Cell]]]:
    """One row a step: its numbers, and what the step changed of the first and the third."""
    rows = []
    for rung in (result.get("realism") or {}).get("ladder") or []:
        change = rung.get("change")
        cells = [
            notes.cell(rung, "total_return", "signed"),
            notes.cell(change, "total_return", "change") if change else Cell(""),
            notes.cell(rung, "annual_return", "signed"),
            notes.cell(rung, "sharpe", "ratio"),
            notes.cell(change, "sharpe", "step") if change else Cell(""),
            notes.cell(rung, "max_drawdown", "percent"),
            notes.cell(rung, "trades", "count"),
        ]
        note = rung.get("note")
        rows.append((f"{rung['step']} ({note})" if note else rung["step"], cells))
    # The first is where it begins and the last the run itself; what lies between is added.
    ends = (0, len(rows) - 1)
    return [(step.capitalize() if i in ends else f"+ {step}", cells) for i, (step, cells) in enumerate(rows)]


def _causes(result: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """From the decisions to the money: by cause, and by cause within each symbol and session."""
    told = result.get("attribution") or {}
    split = told.get("by_cause") or {}
    gross = split.get("gross")
    names = [name for name in told.get("causes") or [] if name != "shortfall" or split[name] != 0]

    def share(value: float) -> str:
        return f"{value / gross:,.1%}" if gross is not None and gross > 0 else MISSING

    def of(rows: Mapping[str, Any] | None) -> list[tuple[str, list[Cell]]]:
        return [
            (
                name,
                [
                    *(notes.cell(row, key, "money") for key in (*names, "net")),
                    notes.cell(row, "fills", "count"),
                    notes.cell(row, "cost_bps", "bps"),
                ],
            )
            for name, row in (rows or {}).items()
        ]

    return {
        "known": bool(split),
        "rows": [(CAUSES.get(name, name), notes.cell(split, name, "money"), share(split[name])) for name in names],
        "net": notes.cell(split, "net", "money") if split else None,
        "net_share": share(split["net"]) if split else "",
        "bps": notes.cell(split, "cost_bps", "bps") if split else None,
        "traded": show(split.get("traded"), "money"),
        "names": ["Decisions" if name == "gross" else CAUSES.get(name, name) for name in names],
        "symbols": of(told.get("by_symbol")),
        "sessions": of(told.get("by_session")),
        "regimes": of(told.get("by_regime")),
        "no_sessions": reason(told, "by_session") if told.get("by_session") is None else "",
        "why": "" if gross is not None and gross > 0 else "Shares are left out: the decisions themselves made nothing.",
    }


def _missed(result: Mapping[str, Any], notes: Notes) -> list[tuple[str, list[Cell]]]:
    """What orders that ended short of their goal did not get: a row for each symbol that had some."""
    told = (result.get("attribution") or {}).get("unfilled") or {}
    kinds = (("orders", "count"), ("units", "text"), ("missed", "money"))
    return [
        (symbol, [notes.cell(row, key, kind) for key, kind in kinds]) for symbol, row in told.items() if row["orders"]
    ]


def _months(curves: Curves) -> list[tuple[int, list[tuple[str, str]]]]:
    """Rows of the calendar: text and background.  Blue gains and red losses, full colour from 15% on."""
    table = []
    for year, values in monthly_returns(curves).items():
        row = []
        for value in values:
            if value is None:
                row.append(("", ""))
                continue
            colour = "var(--gain)" if value >= 0 else "var(--loss)"
            depth = min(abs(value) / 0.15, 1.0) * 55
            row.append((show(value, "signed"), f"color-mix(in srgb, {colour} {depth:.0f}%, transparent)"))
        table.append((year, row))
    return table


def _trades(trades: pd.DataFrame) -> dict[str, Any]:
    """The best and the worst, or all of them where they are few."""
    ordered = trades.sort_values(["profit", "entry_ts"], ascending=[False, True], kind="stable")
    if len(ordered) <= 2 * SHOWN_TRADES:
        groups = [("All round trips, best first", ordered)] if len(ordered) else []
    else:
        groups = [
            (f"Best {SHOWN_TRADES}", ordered.head(SHOWN_TRADES)),
            (f"Worst {SHOWN_TRADES}", ordered.tail(SHOWN_TRADES)[::-1]),
        ]
    return {
        "count": len(trades),
        "open": int(trades["open"].sum()) if "open" in trades else 0,
        "groups": [(title, [_trade(row) for row in _records(some)]) for title, some in groups],
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def _trade(row: Mapping[str, Any]) -> dict[str, Any]:
    direction = row["direction"]
    if not isinstance(direction, str):
        direction = "long" if direction > 0 else "short"
    return {
        "symbol": row["symbol"],
        "direction": direction,
        "entry": _instant(row["entry_ts"]),
        "exit": "still open" if row["open"] else _instant(row["exit_ts"]),
        "hours": show(row["holding_hours"], "hours"),
        "entry_price": f"{row['entry_price']:,.6g}",
        "exit_price": f"{row['exit_price']:,.6g}",
        "costs": show(row["fees"] + row["spread"] + row["impact"] + row["funding"], "money"),
        "profit": show(row["profit"], "money"),
        "return": f"{row['return']:+.2%}",
        "reason": EXITS.get(str(row["exit_reason"]), str(row["exit_reason"])),
    }


def _instant(ts: Any) -> str:
    # A fill at the end of a bar is stamped a nanosecond before it.
    return f"{pd.to_datetime(ts, utc=True).round('s'):%Y-%m-%d %H:%M}"


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    """A table of what was read, whatever the reader recorded of each symbol, and what was found in it."""
    columns = list(dict.fromkeys(key for facts in data.values() for key in facts if key != "findings"))
    numbers = {key for facts in data.values() for key, value in facts.items() if type(value) in (int, float)}
    rows = [(symbol, [(_fact(facts.get(key)), key in numbers) for key in columns]) for symbol, facts in data.items()]
    found: list[tuple[str, str]] = []
    for symbol, facts in data.items():
        listed = facts.get("findings") or []
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            listed = [listed]
        found += [(symbol, plain(finding)) for finding in listed]
    return {
        "columns": [(key.replace("_", " "), key in numbers) for key in columns],
        "rows": rows,
        "findings": found[:SHOWN_FINDINGS],
        "more": max(0, len(found) - SHOWN_FINDINGS),
    }


def _fact(value: Any) -> str:
    return moment(value) if isinstance(value, str) and value[4:5] == "-" and "T" in value else plain(value)


def _script_json(text: str) -> Markup:
    # Inside <script>, only "<" could end the element or open a comment.
    return Markup(text.replace("<", "\\u003c"))


@cache
def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("wfbt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html.j2")
