"""Figures of ruin: within a year by kind of path, survival by capital, growth and ruin by size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from wfbt.report.figures import HELD, LOSS, OWN, PAST, laid_out
from wfbt.report.formats import show
from wfbt.report.monte_carlo import RESAMPLED, kind_name

CAPITALS = ("#3b78d8", "#c98a1b", "#8f6bc2", "#3f9c8f", "#c2568f", "#8a93a3")
AREAS = (
    "rgba(59,120,216,0.15)", "rgba(201,138,27,0.15)", "rgba(143,107,194,0.15)", "rgba(63,156,143,0.15)",
    "rgba(194,86,143,0.15)", "rgba(138,147,163,0.15)",
)  # fmt: skip
KELLY_AREA, LOSS_AREA = "rgba(138,147,163,0.16)", "rgba(208,80,106,0.16)"


def ruin_figures(told: Mapping[str, Any] | None) -> dict[str, go.Figure]:
    """Every figure there is something to draw for, by name."""
    if not told:
        return {}
    drawn = {
        "ruin_year": _within_a_year(told["within_a_year"]),
        "ruin_survival": _survival(told["survival"]),
        "ruin_growth": _growth(told),
        "ruin_size": _ruin(told),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _within_a_year(told: Mapping[str, Any]) -> go.Figure | None:
    """Estimate and interval of each kind of path, the probability from 0."""
    keys = [key for key in (RESAMPLED, *sorted((key for key in told if key.isdigit()), reverse=True)) if key in told]
    known = [(key, told[key]) for key in keys if told[key]["high"] is not None]
    if not known:
        return None
    x = [one["estimate"] for _, one in known]
    figure = go.Figure(
        go.Scatter(
            x=x, y=[kind_name(key) for key, _ in known], mode="markers", cliponaxis=False,
            marker={"color": LOSS, "size": 8},
            error_x={
                "type": "data", "symmetric": False, "array": [one["high"] - one["estimate"] for _, one in known],
                "arrayminus": [one["estimate"] - one["low"] for _, one in known], "color": LOSS, "width": 5,
            },
            customdata=[[show(one["estimate"], "fine"), show(one["high"], "fine")] for _, one in known],
            hovertemplate="%{y}: %{customdata[0]}, at most %{customdata[1]}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(rangemode="tozero", tickformat="~%", nticks=6, title_text="probability within a year")
    figure.update_yaxes(type="category", ticklabelstandoff=10)
    return laid_out(figure, 120 + 32 * len(known), showlegend=False)


def _survival(told: Mapping[str, Any]) -> go.Figure | None:
    """Share alive by day for each capital, with Wilson's band."""
    figure = go.Figure()
    lows = []
    alike: dict[tuple[tuple[float, ...], ...], list[str]] = {}
    for curve in told["curves"]:
        points = [point for point in curve["points"] if point["survived"] is not None]
        if points:
            parts = [tuple(point["survived"][end] for point in points) for end in ("low", "high", "estimate")]
            key = (tuple(point["days"] for point in points), *parts)
            alike.setdefault(key, []).append(show(curve["capital"], "money"))
    # Curves that lie on each other are one line, named after all of them.
    for place, ((x, low, high, middle), names) in enumerate(alike.items()):
        colour, name = CAPITALS[place % len(CAPITALS)], " · ".join(names)
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, "legendgroup": name}
        figure.add_trace(go.Scatter(x=x, y=low, **edge))
        figure.add_trace(go.Scatter(x=x, y=high, fill="tonexty", fillcolor=AREAS[place % len(AREAS)], **edge))
        figure.add_trace(
            go.Scatter(
                x=x, y=middle, name=name, mode="lines+markers", line={"color": colour, "width": 1.8},
                marker={"size": 5}, cliponaxis=False, legendgroup=name, hovertemplate="%{y:.2%}",
            )
        )  # fmt: skip
        lows += list(low)
    if not lows:
        return None
    room = max(0.0005, 0.08 * (1.0 - min(lows)))
    figure.update_xaxes(title_text="days", rangemode="tozero")
    figure.update_yaxes(title_text="still alive", tickformat="~%", range=[max(0.0, min(lows) - room), 1.0], nticks=6)
    return laid_out(figure, 320, hovermode="x unified", showlegend=True)


def _growth(told: Mapping[str, Any]) -> go.Figure | None:
    """Growth a year by size: closed form and resamples, Kelly's size marked."""
    rows = told["frontier"]["sizes"]
    size = [row["size"] for row in rows]
    figure = go.Figure()
    for key, name, colour in (("growth", "closed form", PAST), ("median_growth", "resampled days, median", OWN)):
        figure.add_trace(
            go.Scatter(
                x=size, y=[row[key] for row in rows], name=name, mode="lines+markers", hovertemplate="%{y:.1%}",
                line={"color": colour, "width": 1.8}, marker={"size": 6},
            )
        )  # fmt: skip
    figure.update_yaxes(title_text="log growth a year", tickformat=".0%", rangemode="tozero")
    return _by_size(figure, told)


def _ruin(told: Mapping[str, Any]) -> go.Figure | None:
    """Probability of ruin within the horizon by size, with Wilson's band; Kelly's size marked."""
    rows = told["frontier"]["sizes"]
    size = [row["size"] for row in rows]
    known = [row for row in rows if row["ruin"]["estimate"] is not None]
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure = go.Figure()
    if known:
        x = [row["size"] for row in known]
        figure.add_trace(go.Scatter(x=x, y=[row["ruin"]["low"] for row in known], **edge))
        high = [row["ruin"]["high"] for row in known]
        figure.add_trace(go.Scatter(x=x, y=high, fill="tonexty", fillcolor=LOSS_AREA, **edge))
    for name, values, colour in (
        ("closed form", [row["ruin_closed_form"] for row in rows], PAST),
        ("resampled days", [row["ruin"]["estimate"] for row in rows], LOSS),
    ):
        figure.add_trace(
            go.Scatter(
                x=size, y=values, name=name, mode="lines+markers", hovertemplate="%{y:.2%}",
                line={"color": colour, "width": 1.8}, marker={"size": 6},
            )
        )  # fmt: skip
    figure.update_yaxes(title_text="ruined within the horizon", tickformat="~%", rangemode="tozero")
    return _by_size(figure, told)


def _by_size(figure: go.Figure, told: Mapping[str, Any]) -> go.Figure:
    """The size traded, and Kelly's with its interval where they lie among the sizes tried."""
    last, best = max(row["size"] for row in told["frontier"]["sizes"]), told["kelly"]["fraction"]
    # One label at the foot and one at the head: the two lines may lie close together.
    label = {"annotation_font_size": 11, "annotation_font_color": PAST}
    figure.add_vline(
        x=1.0,
        line={"color": PAST, "width": 1, "dash": "dot"},
        annotation_text="as traded",
        annotation_position="bottom right",
        **label,
    )
    if best["estimate"] > 0.0 and best["low"] < last:
        left, right = max(best["low"], 0.0), min(best["high"], last)
        figure.add_vrect(x0=left, x1=right, fillcolor=KELLY_AREA, line_width=0, layer="below")
    if 0.0 < best["estimate"] <= last:
        figure.add_vline(
            x=best["estimate"],
            line={"color": HELD, "width": 1.6},
            annotation_text="Kelly",
            annotation_position="top right",
            **label,
        )
    figure.update_xaxes(title_text="size, in multiples of the one traded", range=[0.0, last * 1.03], ticksuffix="×")
    return laid_out(figure, 320, hovermode="x unified", showlegend=True)
