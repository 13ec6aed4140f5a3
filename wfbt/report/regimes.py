"""Market regimes on the page: what the account did in each, how sure that is, and when each ruled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from math import hypot
from statistics import NormalDist
from typing import Any

import numpy as np
import plotly.graph_objects as go

from wfbt.report.curves import Curves
from wfbt.report.figures import laid_out
from wfbt.report.formats import MISSING, listing, reason, show
from wfbt.report.worry import worry

COLOURS = {
    **dict.fromkeys(("calm", "bull"), "#3f9c8f"),
    **dict.fromkeys(("normal", "sideways"), "#3b78d8"),
    **dict.fromkeys(("tense", "rising"), "#c98a1b"),
    **dict.fromkeys(("turbulent", "bear"), "#d0506a"),
}
UNKNOWN = "#8a93a3"

COLUMNS: tuple[tuple[str, str], ...] = (
    ("days", "count"),
    ("share", "percent"),
    ("sharpe", "ratio"),
    ("sharpe_error", "ratio"),
    ("total_return", "signed"),
    ("max_drawdown", "percent"),
    ("trades", "count"),
    ("benchmark_return", "signed"),
)


def regimes_section(told: Mapping[str, Any] | None, cell: Callable[..., Any]) -> dict[str, Any]:
    """What the page shows of `regimes` of result.json; `cell(row, key, kind)` makes a number of a table."""
    if not told:
        return {}
    return {
        "meaning": meaning(told),
        "worry": regimes_worry(told),
        "rows": [(name, [cell(row, key, kind) for key, kind in COLUMNS]) for name, row in told["by_regime"].items()],
        "names": told["names"],
        "folds": fold_rows(told),
    }


def meaning(told: Mapping[str, Any]) -> list[str]:
    """What the table by regime says, and what it does not."""
    rows = told["by_regime"]
    judged = {name: row for name, row in rows.items() if row["sharpe"] is not None}
    if not judged:
        return ["No regime lasted long enough out of sample for a statistic."]
    split = listing([f"{show(row['share'], 'percent')} {name}" for name, row in rows.items() if row["days"]])
    sentences = [f"The days out of sample were {split}."]
    if unknown := told["unknown_days"]:
        sentences.append(f"On {show(unknown, 'count')} of them no regime was known.")
    if len(judged) > 1:
        gaps = {
            (a, b): abs(judged[a]["sharpe"] - judged[b]["sharpe"])
            / max(hypot(judged[a]["sharpe_error"], judged[b]["sharpe_error"]), 1e-12)
            for a, b in combinations(judged, 2)
        }
        pair = max(gaps, key=lambda one: gaps[one])
        better, worse = sorted(pair, key=lambda name: -judged[name]["sharpe"])
        both = f"{_ratio(judged[better])} in {better} markets and {_ratio(judged[worse])} in {worse} ones"
        count = f"{len(gaps)} comparisons" if len(gaps) > 1 else "one comparison"
        # Of several comparisons the largest is shown, so it has to be larger (Bonferroni).
        if gaps[pair] >= NormalDist().inv_cdf(1 - 0.025 / len(gaps)):
            verdict = f"{gaps[pair]:.1f} standard errors apart: chance alone would seldom show that in {count}"
        else:
            verdict = f"which chance alone shows in {count}: these days cannot tell the regimes apart"
        sentences.append(f"The Sharpe ratio was {both}, {verdict}.")
    return sentences


def regimes_worry(told: Mapping[str, Any]) -> str:
    """Regimes in which the account lost, or the only one in which it gained."""
    rows = {name: row for name, row in told["by_regime"].items() if row["days"] and row["total_return"] is not None}
    lost = [name for name, row in rows.items() if row["total_return"] < 0]
    won = [name for name, row in rows.items() if row["total_return"] > 0]
    if not rows:
        return "Nobody knows: no regime has a return."
    found = []
    if lost:
        parts = [f"{show(-rows[name]['total_return'], 'percent')} in {name} markets" for name in lost]
        found.append(f"it lost {listing(parts)}")
    if len(won) == 1 and len(rows) > 1:
        found.append(f"{won[0]} markets made all that it gained")
    return worry(found, "it lost in no regime")


def _ratio(row: Mapping[str, Any]) -> str:
    return f"{row['sharpe']:,.2f} ± {row['sharpe_error']:,.2f}"


def fold_rows(told: Mapping[str, Any]) -> list[tuple[int, list[str], str]]:
    """Of each fold: its number, of each regime mean and volatility per year and mean stay, and what is to be said."""
    rows = []
    for fold in told["folds"]:
        states = fold["states"] or {}
        cells = [_state(states[name]) if name in states else MISSING for name in told["names"]]
        rows.append((fold["index"], cells, "; ".join(fold["notes"]) or ("" if states else reason(fold, "states"))))
    return rows


def _state(one: Mapping[str, Any]) -> str:
    stay = one["stay_hours"]
    lasts = "never left" if stay is None else f"{stay / 24:,.1f} days" if stay >= 48 else f"{stay:,.0f} h"
    return f"{show(one['mean'], 'signed')}, {show(one['volatility'], 'percent')}, {lasts}"


def growth_by_regime(told: Mapping[str, Any] | None, curves: Curves) -> go.Figure | None:
    """Growth of 1 at the close of each day, coloured by the regime that the day belongs to."""
    if not told or not told["stretches"] or not len(curves.days):
        return None
    days, growth = curves.days, np.cumprod(1.0 + curves.returns)
    figure = go.Figure()
    for name in (*told["names"], None):
        x: list[str | None] = []
        y: list[float | None] = []
        for one in told["stretches"]:
            if one["regime"] == name:
                begin, end = np.searchsorted(days, np.array([one["first"], one["last"]], "datetime64[D]"))
                # A day's line begins where the day before ended.
                x += [str(days[begin - 1] if begin else days[0]), *(str(day) for day in days[begin : end + 1]), None]
                y += [float(growth[begin - 1]) if begin else 1.0, *growth[begin : end + 1].tolist(), None]
        if x:
            figure.add_trace(
                go.Scatter(
                    x=x, y=y, name=name or "not known", mode="lines", connectgaps=False,
                    line={"color": COLOURS.get(name or "", UNKNOWN), "width": 1.8},
                    hovertemplate="%{x}: %{y:.3f}",
                )
            )  # fmt: skip
    figure.update_xaxes(type="date", hoverformat="%Y-%m-%d")
    figure.update_yaxes(title_text="growth of 1", tickformat="~g")
    return laid_out(figure, 320)
