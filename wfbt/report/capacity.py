"""The page's section on size and age: how much money the decisions carry, and how long a signal lasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from math import log10
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wfbt.report.figures import HELD, LOSS, OWN, PAST, laid_out, log_ticks
from wfbt.report.formats import listing, reason, show
from wfbt.report.worry import worry

CellOf = Callable[[Mapping[str, Any] | None, str, str], Any]

SIZED = (
    ("slippage_bps", "bps"),
    ("cost_bps", "bps"),
    ("annual_return", "signed"),
    ("retention", "percent"),
    ("sharpe", "ratio"),
    ("profit_a_year", "money"),
    ("unfilled", "percent"),
)
MOST_SIGNALS = 6
HALF = 0.5
SHORT = 0.1
"""More of the orders than at the smallest size may end short of their goal before an account is another."""
ROOM = 10.0
"""Below so many times the account's size, a size that halves the alpha is near."""
COLOURS = (OWN, HELD, PAST, LOSS, "#4d9a6a", "#8f6bc2")


def capacity_section(told: Mapping[str, Any] | None, cell: CellOf) -> dict[str, Any]:
    """Sentences and a row for each size."""
    if told is None:
        return {"rows": [], "sentences": [], "worry": ""}
    rows = [(show(one["size"], "money"), [cell(one, key, kind) for key, kind in SIZED]) for one in told["sizes"]]
    return {"rows": rows, "sentences": capacity_sentences(told), "worry": capacity_worry(told)}


def capacity_worry(told: Mapping[str, Any]) -> str:
    """Is there room above the money that the account begins with?"""
    if told["alpha"] is None:
        return f"Nobody knows: {reason(told, 'half')}."
    half, own, found = told["half"], told["own_size"], []
    if not told["impact"] and not told["caps"]:
        found.append("nothing was charged for size, so this says nothing of a larger account")
    if told["alpha"] <= 0:
        found.append(f"without any impact it makes {show(told['alpha'], 'signed')} a year, and no size mends that")
    if half is not None and own * ROOM > half:
        found.append(
            f"half of the alpha is gone at {show(half, 'money')}, and the account begins with {show(own, 'money')}"
        )
    if (short := _short(told)) is not None and (half is None or short["size"] < half):
        found.append(
            f"at {show(short['size'], 'money')} {show(short['unfilled'], 'percent')} of the orders end short of their "
            "goal: from there on what is kept is made by smaller positions, not by this strategy"
        )
    again = [
        one for one in told["sizes"] if half is not None and one["size"] > half and (one["retention"] or 0.0) > HALF
    ]
    if again:
        largest = again[-1]
        found.append(
            f"{show(largest['size'], 'money')} keeps {show(largest['retention'], 'percent')} again: the replays went "
            "different ways, so none of these sizes is a border"
        )
    if found or half is not None:
        return worry(found, f"half of the alpha is left at more than {ROOM:g} times the size of the account")
    return worry([], f"no size tried took half of the alpha ({reason(told, 'half')})")


def _short(told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first size at which more orders end short of their goal than at the smallest."""
    known = [one for one in told["sizes"] if one["unfilled"] is not None]
    return next((one for one in known if one["unfilled"] > known[0]["unfilled"] + SHORT), None)


def capacity_sentences(told: Mapping[str, Any]) -> list[str]:
    """Where size begins to hurt, and whether the account is there already."""
    out = []
    if not told["impact"] and not told["caps"]:
        out.append(
            "Neither impact nor a cap on volume is configured, so every size costs the same: no limit was tested."
        )
    half, best, own = told["half"], told["best"], told["own_size"]
    if half is None:
        out.append(f"Where half the alpha is left is not known: {reason(told, 'half')}.")
    else:
        out.append(f"Half of the alpha of {show(told['alpha'], 'percent')} a year is left at {show(half, 'money')}.")
        if own > half:
            out.append(f"The account begins with {show(own, 'money')}, beyond that: it is its own worst enemy.")
    if best is not None:
        out.append(f"Profit in money is largest at {show(best, 'money')}; more money than that makes less.")
    elif half is not None:
        out.append(f"Where profit in money is largest is not known: {reason(told, 'best')}.")
    slipped = [one["slippage_bps"] for one in told["sizes"] if one["slippage_bps"] is not None]
    if slipped:
        first, last = (show(one, "bps") for one in (slipped[0], slipped[-1]))
        out.append(f"Slippage goes from {first} bps of the value traded at the smallest size to {last} at the largest.")
    return out


def decay_section(told: Mapping[str, Any] | None, cell: CellOf) -> dict[str, Any]:
    """Sentences and a row for each signal."""
    if told is None:
        return {"rows": [], "sentences": [], "worry": "", "level": ""}
    rows = []
    for name, one in told["signals"].items():
        first = {
            "ic": one["ic"][0] if one["ic"] else None,
            "error": one["error"][0] if one["error"] else None,
            "reasons": {key: reason(one, key) for key in ("ic", "error")},
        }
        cells = [cell(first, "ic", "precise"), cell(first, "error", "precise"), cell(one, "p", "ratio")]
        cells += [cell(one, key, "hours") for key in ("half_life_hours", "low_hours", "high_hours")]
        rows.append((name, cells))
    return {
        "rows": rows,
        "sentences": decay_sentences(told),
        "worry": decay_worry(told),
        "level": show(told["level"], "percent"),
    }


def decay_worry(told: Mapping[str, Any]) -> str:
    """Which signals are traded too late, and which cannot be told from chance."""
    blind = [_called(name) for name, one in told["signals"].items() if one["half_life_hours"] is None]
    late = [_called(name) for name, one in told["signals"].items() if one["outlasts"] is False]
    found = [f"what {listing(late)} knew may be worth half before it is traded"] if late else []
    if blind:
        found.append(f"nothing shows how long {listing(blind)} lasts, or that it lasts at all")
    return worry(found, "every signal outlasts twice the time from decision to fill")


def _called(name: str) -> str:
    return "the signal" if name == "all" else f"the signal of {name}"


def decay_sentences(told: Mapping[str, Any]) -> list[str]:
    """How long the signals last against the time it takes to trade on them."""
    out: list[str] = []
    unknown: dict[str, list[str]] = {}
    needed = told["needed_hours"]
    for name, one in told["signals"].items():
        life, low = one["half_life_hours"], one["low_hours"]
        if life is None:
            unknown.setdefault(reason(one, "half_life_hours"), []).append("the signal" if name == "all" else name)
            continue
        what = "The signal" if name == "all" else f"The signal of {name}"
        said = f"{what} loses half of what it knows in {show(life, 'hours')} hours"
        if low is not None and needed is not None:
            worry = "which it outlasts" if one["outlasts"] else "which it may not outlast: it is traded too late"
            said += (
                f", in no less than {show(low, 'hours')} ({show(told['level'], 'percent')} interval); twice the time "
            )
            said += f"from decision to fill is {show(needed, 'precise')} hours, {worry}"
        out.append(said + ".")
    return out + [f"No half-life of {listing(names)}: {why}." for why, names in unknown.items()]


def capacity_figures(result: Mapping[str, Any]) -> dict[str, go.Figure]:
    """Return and slippage by size, and correlation by lag."""
    drawn = {"capacity": _by_size(result.get("capacity")), "decay": _by_lag(result.get("decay"))}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _by_size(told: Mapping[str, Any] | None) -> go.Figure | None:
    rows = [one for one in (told or {}).get("sizes", []) if one["annual_return"] is not None]
    if not told or not rows:
        return None
    size = [one["size"] for one in rows]
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    for key, name, colour, form, second in (
        ("annual_return", "Return a year", OWN, "%{y:.1%}", False),
        ("slippage_bps", "Slippage, bps", HELD, "%{y:.1f} bps", True),
    ):
        figure.add_trace(
            go.Scatter(
                x=size, y=[one[key] for one in rows], name=name, mode="lines+markers", line={"color": colour},
                hovertemplate=form,
            ),
            secondary_y=second,
        )  # fmt: skip
    for key, label in (("half", "half the alpha"), ("best", "most money")):
        if told[key] is not None:
            figure.add_vline(x=told[key], line={"color": PAST, "dash": "dot"})
            # On a logarithmic axis plotly takes a shape's place as it is, and an annotation's as its logarithm.
            figure.add_annotation(
                x=log10(told[key]), y=1.0, yref="paper", text=label, showarrow=False, xanchor="left", yanchor="top",
                font={"size": 11, "color": PAST},
            )  # fmt: skip
    figure.update_xaxes(type="log", title_text="size of the account", tickformat="~s")
    figure.update_yaxes(title_text="return a year", tickformat=".1%", secondary_y=False)
    figure.update_yaxes(
        title_text="slippage, bps",
        tickformat="~g",
        nticks=6,
        tickmode="auto",
        rangemode="tozero",
        showgrid=False,
        secondary_y=True,
    )
    return laid_out(figure, 320, hovermode="x unified")


def _by_lag(told: Mapping[str, Any] | None) -> go.Figure | None:
    known = [(name, one) for name, one in (told or {}).get("signals", {}).items() if one["ic"]]
    if not told or not known:
        return None
    figure, hours = go.Figure(), told["period_hours"]
    for (name, one), colour in zip(known[:MOST_SIGNALS], COLOURS, strict=False):
        figure.add_trace(
            go.Scatter(
                x=[lag * hours for lag in one["lags"]], y=one["ic"], name=escape("Signal" if name == "all" else name),
                error_y={"type": "data", "array": one["error"], "color": colour, "thickness": 1, "width": 2},
                mode="lines+markers", line={"color": colour}, hovertemplate="%{y:.4f}",
            )
        )  # fmt: skip
    figure.add_hline(y=0.0, line={"color": PAST, "width": 1})
    ends = [lag * hours for _, one in known for lag in (one["lags"][0], one["lags"][-1])]
    figure.update_xaxes(type="log", title_text="hours after the decision", tickvals=log_ticks(min(ends), max(ends)))
    figure.update_yaxes(title_text="rank correlation")
    return laid_out(figure, 300)
