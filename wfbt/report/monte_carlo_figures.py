"""Figures of simulated paths: a fan of equity for each kind of them, how deep they fall, and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

import plotly.graph_objects as go

from wfbt.report.figures import GROWTH, HELD, OWN, laid_out, log_ticks
from wfbt.report.monte_carlo import kind_name, kinds

WIDE, NARROW = "rgba(59,120,216,0.14)", "rgba(59,120,216,0.28)"
KIND_COLOURS = {
    "1": "#3b78d8", "2": "#3f9c8f", "3": "#8f6bc2", "4": "#c2568f", "5": "#7f8f2f", "resampled": "#8a93a3",
}  # fmt: skip
FEWEST_POINTS = 2
"""Of a line: one alone shows nothing that the table does not."""
DIGITS = 4
"""Of what is drawn; result.json has them all."""


def monte_carlo_figures(told: Mapping[str, Any] | None) -> dict[str, go.Figure]:
    """Every figure there is something to draw for, by name."""
    known = {key: told[key] for key in kinds(told) if told[key]} if told else {}
    if not known:
        return {}
    scale = _scale(known)
    drawn: dict[str, go.Figure | None] = {f"fan_{key}": _fan(one, scale) for key, one in known.items()}
    drawn["mc_drawdowns"] = _by_percentile(known, "depth", "largest drawdown", ".0%")
    drawn["mc_recoveries"] = _by_percentile(known, "recovery_days", "days from trough to peak regained", ",.0f")
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _scale(known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One axis for all fans, so that they compare: logarithmic where equity leaves a factor of GROWTH."""
    ends = [value for one in known.values() for name in ("p5", "p95") for value in one["fan"]["equity"][name]]
    ends += [value for one in known.values() for value in (one["fan"].get("hold") or {}).get("p50", [])]
    low, high = min(ends), max(ends)
    if low > 0.0 and (high > GROWTH or low < 1.0 / GROWTH):
        ticks = log_ticks(low, high)
        return {
            "type": "log", "range": [log10(low) - 0.02, log10(high) + 0.02], "tickmode": "array", "tickvals": ticks,
        }  # fmt: skip
    room = 0.04 * ((high - low) or 1.0)
    return {"type": "linear", "range": [low - room, high + room]}


def _fan(one: Mapping[str, Any], scale: Mapping[str, Any]) -> go.Figure:
    """Bands that hold nine of ten and half of the paths at each time, the middle, and that of buy-and-hold."""
    fan = one["fan"]
    x, equity = fan.get("dates") or fan["days"], fan["equity"]
    figure = go.Figure()
    for low, high, colour in (("p5", "p95", WIDE), ("p25", "p75", NARROW)):
        figure.add_trace(_line(x, equity[low], low, None))
        figure.add_trace(_line(x, equity[high], high, None, fill="tonexty", fillcolor=colour))
    if fan.get("hold"):
        figure.add_trace(_line(x, fan["hold"]["p50"], "buy and hold", HELD))
    figure.add_trace(_line(x, equity["p50"], "middle", OWN))
    figure.update_xaxes(
        type="date" if "dates" in fan else "linear", hoverformat="%Y-%m-%d" if "dates" in fan else None, nticks=5,
        title_text=None if "dates" in fan else "days",
    )  # fmt: skip
    figure.update_yaxes(tickformat=".3~g", **scale)
    return laid_out(figure, 260, hovermode="x unified", showlegend=False)


def _line(x: Sequence[Any], y: Sequence[float], name: str, colour: str | None, **more: Any) -> go.Scatter:
    return go.Scatter(
        x=x, y=_rounded(y), name=name, mode="lines", hovertemplate="%{y:.3f}",
        line={"width": 1.8, "color": colour} if colour else {"width": 0}, **more,
    )  # fmt: skip


def _by_percentile(known: Mapping[str, Mapping[str, Any]], key: str, words: str, form: str) -> go.Figure | None:
    """A line for each kind of path; a percentile without a number leaves a gap."""
    figure = go.Figure()
    for kind, one in known.items():
        values = [row[key] for row in one["drawdowns"]]
        if sum(value is not None for value in values) >= FEWEST_POINTS:
            figure.add_trace(
                go.Scatter(
                    x=[f"{row['percentile']:g}%" for row in one["drawdowns"]], y=_rounded(values), mode="lines+markers",
                    name=kind_name(kind), line={"color": KIND_COLOURS[kind], "width": 1.6}, marker={"size": 6},
                    hovertemplate=f"%{{y:{form}}}",
                )
            )  # fmt: skip
    if not figure.data:
        return None
    figure.update_xaxes(type="category", title_text="percentile of the paths' largest drawdowns")
    figure.update_yaxes(title_text=words, tickformat=form, rangemode="tozero")
    return laid_out(figure, 340, hovermode="x unified", showlegend=True)


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.{DIGITS}g}") for value in values]
