"""Robustness on the page: what was altered, what was left of the Sharpe ratio, and what of it would worry a reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from wfbt.report.figures import HELD, LOSS, OWN, PAST, laid_out
from wfbt.report.formats import MISSING, listing, reason, show
from wfbt.report.robustness_words import NAMES, robustness_worry

MOST_CURVES = 12
HALF = 0.5
"""Of the Sharpe ratio: what may be lost before a sentence says so."""


def robustness_section(told: Mapping[str, Any] | None, cell: Callable[..., Any]) -> dict[str, Any]:
    """What the page shows of `robustness` of result.json; empty without.  `cell(row, key, kind)` makes a number."""
    if not told:
        return {}
    return {
        "worry": robustness_worry(told),
        "says": (
            "There is no Sharpe ratio out of sample."
            if told["base"] is None
            else f"The Sharpe ratio out of sample is {show(told['base'], 'ratio')}."
        ),
        "rows": [row for key in NAMES if told[key] for row in _rows(key, told[key], cell)],
        "off": [(NAMES[key].lower(), reason(told, key)) for key in NAMES if not told[key]],
        "sentences": [
            *_loss(told),
            *(said for said in (_SENTENCES[key](told[key], told) for key in NAMES if told[key]) if said),
        ],
    }


def _loss(told: Mapping[str, Any]) -> list[str]:
    """What has to be said before anything else where there is no gain to be robust."""
    if told["base"] is None or told["base"] > 0:
        return []
    return ["The run made no gain, so no share of one can be kept: what follows says only how firmly it lost."]


def _rows(key: str, one: Mapping[str, Any], cell: Callable[..., Any]) -> list[dict[str, Any]]:
    """Lines of the table: one a test, or one a level of it."""
    if "levels" in one:
        return [_row(f"{NAMES[key]}, {_level(key, level)}", level, cell) for level in one["levels"]]
    return [_row(NAMES[key] if key != "latency" else f"{NAMES[key]}, ×{one['multiple']:g}", one, cell)]


def _level(key: str, level: Mapping[str, Any]) -> str:
    if key == "costs":
        return f"×{level['multiple']:g}"
    return f"{level['missed']:.0%}" if key == "skip" else f"{level['share']:.0%} of a window on"


def _row(name: str, one: Mapping[str, Any], cell: Callable[..., Any]) -> dict[str, Any]:
    found = one.get("quantiles")
    single = "quantiles" not in one
    why = {"reasons": dict.fromkeys(("q05", "median", "q95"), reason(one, "quantiles"))}
    middle = cell(one, "sharpe", "ratio") if single else cell(found or why, "median", "ratio")
    return {
        "name": name,
        "n": show(one.get("n"), "count") if not single else "1",
        "cells": [
            cell(found or why, "q05", "ratio") if not single else None,
            middle,
            cell(found or why, "q95", "ratio") if not single else None,
            cell(one, "share_of_base", "percent"),
        ],
        "criterion": one.get("criterion") or "",
        "passes": {True: "yes", False: "no", None: MISSING}[one["passes"]] if one.get("criterion") else "",
        "why": reason(one, "passes") if one.get("criterion") and one["passes"] is None else "",
        "tone": "loss" if one.get("passes") is False else "",
    }


def _params(one: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    if not one["quantiles"]:
        return "Parameters: no neighbour has a Sharpe ratio."
    reach, low = one["reach"], one["quantiles"]["q05"]
    said = (
        f"Parameters up to ±{reach:.0%} away, all at once, gave a Sharpe ratio of {one['quantiles']['median']:.2f} in "
        f"the middle and below {low:.2f} in one of twenty"
    )
    if told["base"] is not None and told["base"] > one["quantiles"]["q95"]:
        said += (
            "; the choice itself is better than nineteen in twenty of its neighbours, which is what a needle looks like"
        )
    moves = sorted(one["curves"].items(), key=lambda item: -(item[1]["span"] or 0.0))[:2]
    if moves:
        said += f". {listing([name for name, _ in moves])} matter{'s' if len(moves) == 1 else ''} most"
    if one["refused"]:
        said += f". The rule refused {one['refused']} neighbours"
    if not _gained(told):
        best = one["quantiles"]["q95"]
        return said + (
            f". One in twenty reaches {best:.2f} where the choice loses: the spread of luck, and no better choice."
            if best > 0
            else ". Nineteen of twenty neighbours lose too: no other choice nearby would have saved it."
        )
    return said + (
        ". Close neighbours lose what the choice makes." if low <= 0 else ". Its close neighbours make money too."
    )


def _delay(one: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    first = one["fixed"][1]["sharpe"]
    if first is None or told["base"] is None:
        return "Late decisions: there is no Sharpe ratio to compare."
    last = one["fixed"][-1]
    said = f"One bar late the Sharpe ratio is {first:.2f} where it was {told['base']:.2f}"
    if last["bars"] > 1 and last["sharpe"] is not None:
        said += f", {last['bars']} bars late {last['sharpe']:.2f}"
    if not _gained(told):
        return said + "."
    if first <= 0:
        return said + ". It is gone one bar later: it lived on fills that nobody gets."
    return said + (
        ". More than half of it hangs on the first bar."
        if first < HALF * told["base"]
        else ". It does not need the first fill."
    )


def _noise(one: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    if not one["quantiles"]:
        return "Misread prices: no account has a Sharpe ratio."
    low, high = one["quantiles"]["q05"], one["quantiles"]["q95"]
    said = f"With prices misread by {one['noise']:.2%} it lies between {low:.2f} and {high:.2f} in nine of ten draws"
    if told["base"] is not None and high - low > abs(told["base"]):
        return said + ". That span is wider than the result: its signals hang on the last digit of a price."
    return said + ", a span that is narrower than the result."


def _skip(one: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    known = [level for level in one["levels"] if level["quantiles"]]
    if not known:
        return ""
    last = known[-1]
    low = last["quantiles"]["q05"]
    said = (
        f"With {last['missed']:.0%} of its {one['entries']:,} entries missed one account in twenty stays below "
        f"{low:.2f}."
    )
    if not _gained(told):
        return said
    few = low < HALF * told["base"]
    return said + (" A few trades made the result." if few else " No handful of trades made the result.")


def _bootstrap(one: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    if not one["quantiles"]:
        return ""
    growth, fall = one["annual_return"], one["max_drawdown"]
    said = f"Other orders of the same days, in blocks of {one['block_days']}, would in one of twenty cases have had a "
    said += f"Sharpe ratio below {one['quantiles']['q05']:.2f}"
    if growth and fall:
        said += f", grown less than {growth['q05']:+.1%} a year or fallen by more than {fall['q95']:.1%}"
    if not _gained(told):
        return said + "."
    if one["quantiles"]["q05"] > 0:
        return said + ". That is above zero: the days carry their result in another order too."
    return said + ". That is below zero: luck alone could have made this result."


def _costs(one: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    known = [
        f"{level['sharpe']:.2f} at ×{level['multiple']:g}" for level in one["levels"] if level["sharpe"] is not None
    ]
    if not known:
        return ""
    said = f"Dearer trading leaves {listing(known)}."
    if not _gained(told):
        return said
    left = next(level["sharpe"] for level in one["levels"] if level["sharpe"] is not None)
    thin = left < HALF * told["base"]
    return said + (" Such an edge is thinner than anybody's guess of its costs." if thin else "")


def _latency(one: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    if one["sharpe"] is None:
        return ""
    return f"With every delay ×{one['multiple']:g} it is {one['sharpe']:.2f}."


def _offsets(one: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    known = [level for level in one["levels"] if level["sharpe"] is not None and level["base"] is not None]
    if not known:
        return ""
    pairs = listing([f"{level['sharpe']:.2f} ({level['base']:.2f})" for level in known])
    return (
        f"With the folds cut elsewhere and searched anew it came to {pairs}; in brackets the run itself on the same "
        f"days. {_moved(known)}"
    )


def _moved(known: Sequence[Mapping[str, Any]]) -> str:
    """Did a gain and a loss change places with the borders of the folds?"""
    turned = [one for one in known if (one["sharpe"] > 0) != (one["base"] > 0)]
    if turned:
        return "A result that changes its sign with the borders was found by them."
    return "Its sign does not hang on the borders."


def _gained(told: Mapping[str, Any]) -> bool:
    return told["base"] is not None and bool(told["base"] > 0)


_SENTENCES: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "params": _params,
    "delay": _delay,
    "noise": _noise,
    "skip": _skip,
    "bootstrap": _bootstrap,
    "costs": _costs,
    "latency": _latency,
    "offsets": _offsets,
}


def robustness_figures(told: Mapping[str, Any] | None) -> dict[str, go.Figure]:
    """The surface of two parameters, each parameter alone, and what delays and noise leave; those there is data for."""
    if not told:
        return {}
    drawn: dict[str, go.Figure | None] = {
        "robust_surface": _surface(told["params"]),
        "robust_params": _curves(told["params"]),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None} | _timing(told)


def _signed(share: float) -> str:
    return "chosen" if share == 0 else f"{share:+.0%}"


def _surface(one: Mapping[str, Any] | None) -> go.Figure | None:
    """Sharpe ratio over the two parameters whose curves span most."""
    if not one or not one["surface"]:
        return None
    steps, surface = [_signed(step) for step in one["steps"]], one["surface"]
    known = [value for row in surface["sharpe"] for value in row if value is not None]
    if not known:
        return None
    figure = go.Figure(
        go.Heatmap(
            x=steps, y=steps, z=surface["sharpe"], zmid=0.0, colorscale=[[0, LOSS], [0.5, "#e8ebf0"], [1, OWN]],
            text=[[MISSING if value is None else f"{value:.2f}" for value in row] for row in surface["sharpe"]],
            texttemplate="%{text}", textfont={"color": "#1b2230"}, showscale=False, xgap=2, ygap=2,
            hovertemplate="%{x}, %{y}: %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text=escape(surface["columns"]), type="category")
    figure.update_yaxes(title_text=escape(surface["rows"]), title_standoff=12, type="category")
    return laid_out(figure, 340)


def _curves(one: Mapping[str, Any] | None) -> go.Figure | None:
    """Sharpe ratio as each parameter alone moves, those that matter most first."""
    if not one or not one["curves"]:
        return None
    ordered = sorted(one["curves"].items(), key=lambda item: -(item[1]["span"] or 0.0))[:MOST_CURVES]
    figure = go.Figure()
    for place, (name, own) in enumerate(ordered):
        figure.add_trace(
            go.Scatter(
                x=[_signed(step) for step in one["steps"]], y=own["sharpe"], name=escape(name), mode="lines+markers",
                line={"width": 1.8 if place < 3 else 1.0, **({"color": (OWN, HELD, LOSS)[place]} if place < 3 else {})},
                hovertemplate="%{x}: %{y:.2f}",
            )
        )  # fmt: skip
    figure.update_xaxes(type="category")
    figure.update_yaxes(title_text="Sharpe")
    return laid_out(figure, 340)


def _timing(told: Mapping[str, Any]) -> dict[str, go.Figure]:
    """Sharpe ratio by bars late, and of each draw of noise, on one scale."""
    late = told["delay"]["fixed"] if told["delay"] else []
    ordered = sorted(value for value in (told["noise"] or {}).get("draws", []) if value is not None)
    known = [one["sharpe"] for one in late if one["sharpe"] is not None]
    drawn = {}
    if known:
        drawn["robust_late"] = go.Figure(
            go.Scatter(
                x=[one["bars"] for one in late], y=[one["sharpe"] for one in late], mode="lines+markers",
                line={"color": OWN, "width": 1.8}, hovertemplate="%{x} bars: %{y:.2f}<extra></extra>",
            )
        )  # fmt: skip
        drawn["robust_late"].update_xaxes(title_text="bars late", dtick=1 if len(late) < 12 else None)
    if ordered:
        drawn["robust_misread"] = go.Figure(
            go.Scatter(
                x=list(range(1, len(ordered) + 1)), y=ordered, mode="markers", marker={"color": HELD, "size": 6},
                hovertemplate="%{y:.2f}<extra></extra>",
            )
        )  # fmt: skip
        drawn["robust_misread"].update_xaxes(title_text="draws, lowest first")
    base = [told["base"]] if told["base"] is not None else []
    ends = [*known, *ordered, *base]
    for figure in drawn.values():
        if base:
            figure.add_hline(y=base[0], line={"color": PAST, "width": 1, "dash": "dot"})
        room = 0.06 * ((max(ends) - min(ends)) or 1.0)
        figure.update_yaxes(title_text="Sharpe", range=[min(ends) - room, max(ends) + room])
        laid_out(figure, 300, showlegend=False)
    return drawn
