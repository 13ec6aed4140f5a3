"""Interactive figures (plotly) of one run.  The page, which knows light from dark, colours text and grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wfbt.report.curves import F8, I8, Curves
from wfbt.report.formats import CAUSES, plain, show
from wfbt.report.summary import searched

MAX_POINTS = 3000
MAX_BANDS = 300
GROWTH = 3.0
"""Beyond this factor the equity is drawn on a logarithmic axis."""
OWN, HELD, PAST, LOSS = "#3b78d8", "#c98a1b", "#8a93a3", "#d0506a"
_STEP_NAMES = {"gross": "Decisions"}
_OWN_AREA, _LINE = "rgba(59,120,216,0.18)", "rgba(128,136,150,0.55)"


def figures(result: Mapping[str, Any], curves: Curves, trades: pd.DataFrame) -> dict[str, go.Figure]:
    """Every figure there is something to draw for, by name."""
    folds = result.get("folds") or []
    drawn = {
        "account": account(curves),
        "growth": growth(curves),
        "paths": paths(result, curves),
        "sharpe": sharpe_by_fold(folds),
        "parameters": parameters(folds),
        "cost": waterfall(result),
        "trades": trade_results(trades),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def thin(values: F8, limit: int = MAX_POINTS) -> I8:
    """Rows of (T,) `values` to draw: at most `limit`, among them the ends and the extremes of equal stretches."""
    n = len(values)
    if n <= limit:
        return np.arange(n)
    stretch = -(-n // ((limit - 2) // 2))
    stretches = -(-n // stretch)
    padded = np.concatenate([values, np.full(stretches * stretch - n, values[-1])]).reshape(stretches, stretch)
    base = np.arange(stretches) * stretch
    rows = np.concatenate([[0], base + padded.argmin(axis=1), base + padded.argmax(axis=1), [n - 1]])
    return np.unique(np.minimum(rows, n - 1))


def grows_apart(curves: Curves) -> bool:
    """Does either curve leave a factor of GROWTH about its start?  Then equal steps of a plain axis mislead."""
    both = np.stack((curves.equity, curves.benchmark))
    if not both.size or not (both > 0).all():
        return False  # no logarithm
    ratio = both / both[:, :1]
    return bool(ratio.max() > GROWTH or ratio.min() < 1 / GROWTH)


LADDERS = (
    (1.0,),
    (1.0, 3.0),
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0),
)
"""Steps of a decade, from few to many."""
FEWEST_TICKS = 4


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, both above 0, for a logarithmic axis: the fewest that mark it.

    Plotly's own choice names every digit of a decade, or of a small range none but its ends.
    """
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    ticks: list[float] = []
    for ladder in LADDERS:
        marks = [float(f"{step}e{decade}") for decade in range(first, last + 1) for step in ladder]
        ticks = [mark for mark in marks if low <= mark <= high]
        if len(ticks) >= FEWEST_TICKS:
            break
    return ticks


def account(curves: Curves) -> go.Figure | None:
    """Equity against buy-and-hold, drawdown and exposure on one time axis, with the fold borders."""
    if not len(curves.ts):
        return None
    figure = make_subplots(rows=3, shared_xaxes=True, row_heights=[0.56, 0.22, 0.22], vertical_spacing=0.045)
    held_peak = np.maximum.accumulate(curves.benchmark)
    held_drawdown = np.where(held_peak > 0, 1 - curves.benchmark / np.where(held_peak > 0, held_peak, 1.0), 0.0)
    lines = (
        (1, "Strategy", curves.equity, OWN, ",.0f", None),
        (1, "Buy and hold", curves.benchmark, HELD, ",.0f", None),
        (2, "Buy and hold", -held_drawdown, HELD, ".1%", None),
        (2, "Strategy", -curves.drawdown, OWN, ".1%", "tozeroy"),
    )
    for row, name, values, colour, form, fill in lines:
        figure.add_trace(_line(curves.ts, values, name, colour, form, fill=fill, legend=row == 1), row=row, col=1)
    figure.add_traces(_exposure(curves), rows=3, cols=1)
    borders = np.flatnonzero(np.diff(curves.fold, prepend=curves.fold[0] - 1))
    for border in borders:
        x = _ms(curves.ts[border : border + 1])[0]
        figure.add_shape(
            type="line",
            x0=x,
            x1=x,
            y0=0,
            y1=1,
            xref="x",
            yref="paper",
            line={"color": _LINE, "width": 1, "dash": "dot"},
        )
        # The label names the fold that begins here.
        figure.add_annotation(
            x=x, y=1, xref="x", yref="paper", text=str(curves.fold[border]), showarrow=False,
            xanchor="left", yanchor="top", font={"size": 10, "color": PAST},
        )  # fmt: skip
    apart, both = grows_apart(curves), np.stack((curves.equity, curves.benchmark))
    # The page takes the ticks away again when its reader asks for the plain axis.
    ticks = log_ticks(float(both.min()), float(both.max())) if both.min() > 0 else None
    figure.update_yaxes(
        title_text="equity", tickformat="~s", type="log" if apart else "linear", tickvals=ticks,
        tickmode="array" if apart else "auto", row=1,
    )  # fmt: skip
    figure.update_yaxes(title_text="drawdown", tickformat=".0%", row=2)
    figure.update_yaxes(title_text="exposure", tickformat=".0%", row=3)
    figure.update_xaxes(type="date", hoverformat="%Y-%m-%d %H:%M")
    return laid_out(figure, 640, hovermode="x unified")


def growth(curves: Curves) -> go.Figure | None:
    """Growth of 1: each fold's choice on its training rows, and the account out of sample."""
    if not len(curves.ts) or not curves.in_sample:
        return None
    figure = go.Figure()
    limit = max(100, MAX_POINTS // len(curves.in_sample))
    for number, (ts, equity) in enumerate(curves.in_sample):
        if len(ts):
            figure.add_trace(
                _line(
                    ts,
                    equity / equity[0],
                    "In sample, as chosen",
                    PAST,
                    ".2f",
                    width=1,
                    legend=number == 0,
                    limit=limit,
                )
            )
    figure.add_trace(
        _line(curves.ts, curves.equity / curves.equity[0], "Out of sample", OWN, ".2f", width=2, legend=True)
    )
    figure.update_xaxes(type="date", hoverformat="%Y-%m-%d")
    drawn = np.concatenate([np.asarray(trace.y, np.float64) for trace in figure.data])
    ticks = log_ticks(float(drawn.min()), float(drawn.max())) if drawn.min() > 0 else None
    figure.update_yaxes(title_text="growth of 1", tickformat="~g", tickvals=ticks, tickmode="auto")
    return laid_out(figure, 340)


def paths(result: Mapping[str, Any], curves: Curves) -> go.Figure | None:
    """Equity of every path through combinatorial folds, the one that the page tells of above the others."""
    if not curves.paths:
        return None
    figure = go.Figure()
    limit, shown = max(100, MAX_POINTS // len(curves.paths)), result["walk"]["shown"] - 1
    others = [path for place, path in enumerate(curves.paths) if place != shown]
    for number, equity in enumerate(others):
        line = _line(curves.ts, equity, "Other paths", PAST, ",.0f", width=1, legend=number == 0, limit=limit)
        figure.add_trace(line)
    figure.add_trace(_line(curves.ts, curves.paths[shown], f"Path {shown + 1}", OWN, ",.0f", width=2, legend=True))
    figure.update_xaxes(type="date", hoverformat="%Y-%m-%d")
    figure.update_yaxes(title_text="equity", tickformat="~s")
    return laid_out(figure, 340)


def sharpe_by_fold(folds: Sequence[Mapping[str, Any]]) -> go.Figure | None:
    """Sharpe ratio per fold in and out of sample."""
    names = [str(fold["index"]) for fold in folds]
    inside = [(fold.get("in_sample") or {}).get("sharpe") for fold in folds]
    outside = [(fold.get("out_of_sample") or {}).get("sharpe") for fold in folds]
    if len(folds) < 2 or all(value is None for value in (*inside, *outside)):
        return None
    figure = go.Figure(
        [
            go.Bar(x=names, y=inside, name="In sample", marker_color=PAST, hovertemplate="fold %{x}: %{y:.2f}"),
            go.Bar(x=names, y=outside, name="Out of sample", marker_color=OWN, hovertemplate="fold %{x}: %{y:.2f}"),
        ]
    )
    figure.update_xaxes(title_text="fold", type="category")
    figure.update_yaxes(title_text="Sharpe")
    return laid_out(figure, 300, barmode="group")


def parameters(folds: Sequence[Mapping[str, Any]]) -> go.Figure | None:
    """One small step chart for each parameter that moved over the folds."""
    moved, _ = searched(folds)
    if not moved:
        return None
    across = min(3, len(moved))
    down = -(-len(moved) // across)
    figure = make_subplots(
        rows=down, cols=across, subplot_titles=[_safe(name) for name in moved], vertical_spacing=0.3 / down
    )
    index = [str(fold["index"]) for fold in folds]
    for number, name in enumerate(moved):
        row, col = number // across + 1, number % across + 1
        chosen = [(fold.get("params") or {}).get(name) for fold in folds]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in chosen)
        figure.add_trace(
            go.Scatter(
                x=index, y=chosen if numeric else [_safe(plain(value)) for value in chosen], mode="lines+markers",
                line={"color": OWN, "shape": "hvh", "width": 1.5}, marker={"size": 6}, showlegend=False,
                hovertemplate="fold %{x}: %{y}<extra></extra>",
            ),
            row=row, col=col,
        )  # fmt: skip
        figure.update_yaxes(type="linear" if numeric else "category", row=row, col=col)
    figure.update_xaxes(type="category")
    figure.update_annotations(font_size=13)
    return laid_out(figure, 60 + 180 * down)


def waterfall(result: Mapping[str, Any]) -> go.Figure | None:
    """From what the decisions were worth to what was left, one step for each cause that did anything."""
    told = result.get("attribution") or {}
    split = told.get("by_cause") or {}
    if not split.get("fills"):
        return None
    causes = [name for name in told["causes"] if name == "gross" or split[name] != 0]
    amounts = [split[name] for name in causes]
    tops = np.cumsum(amounts)
    bottom, top = min(0.0, *tops), max(0.0, *tops)
    figure = go.Figure(
        go.Waterfall(
            x=[*(_STEP_NAMES.get(name, CAUSES.get(name, name)) for name in causes), "Net"],
            y=[*amounts, split["net"]],
            measure=["absolute", *["relative"] * (len(causes) - 1), "total"],
            text=[show(value, "money") for value in (*amounts, split["net"])],
            textposition="outside",
            cliponaxis=False,
            increasing={"marker": {"color": OWN}},
            decreasing={"marker": {"color": LOSS}},
            totals={"marker": {"color": PAST}},
            connector={"line": {"color": _LINE, "width": 1}},
            hovertemplate="%{x}: %{text}<extra></extra>",
        )
    )
    # Room for the labels beyond the highest and the lowest bar.
    room = 0.12 * ((top - bottom) or 1.0)
    figure.update_yaxes(title_text="quote currency", tickformat="~s", range=[bottom - room, top + room])
    figure.update_xaxes(showgrid=False)
    return laid_out(figure, 330, showlegend=False)


def trade_results(trades: pd.DataFrame) -> go.Figure | None:
    """How often a round trip returned how much, net of its costs."""
    if not len(trades):
        return None
    returns = trades["return"].to_numpy(dtype=float)
    width = _bin_width(returns)
    # Zero is an edge, so no bin mixes gains with losses.
    edges = np.arange(np.floor(returns.min() / width), np.floor(returns.max() / width) + 2) * width
    counts, _ = np.histogram(returns, edges)
    middle = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure(
        go.Bar(
            x=middle, y=counts, width=width * 0.92, marker_color=[LOSS if x < 0 else OWN for x in middle],
            customdata=np.stack([edges[:-1], edges[1:]], axis=1),
            hovertemplate="%{customdata[0]:.2%} to %{customdata[1]:.2%}: %{y}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text="return of the round trip", tickformat=".1%")
    figure.update_yaxes(title_text="round trips")
    return laid_out(figure, 300, showlegend=False)


def monthly_returns(curves: Curves) -> dict[int, list[float | None]]:
    """Compounded return of each calendar month by year, None for months without a day; a thirteenth entry: the year."""
    if not len(curves.days):
        return {}
    months = curves.days.astype("datetime64[M]").astype(np.int64)
    unique, first = np.unique(months, return_index=True)
    growth_of = np.multiply.reduceat(1 + curves.returns, first)
    table: dict[int, list[float | None]] = {}
    for month, value in zip(unique, growth_of, strict=True):
        table.setdefault(1970 + int(month) // 12, [None] * 13)[int(month) % 12] = float(value) - 1
    for months_of in table.values():
        months_of[12] = float(np.prod([1 + value for value in months_of[:12] if value is not None])) - 1
    return table


def _exposure(curves: Curves) -> list[go.Scatter]:
    """Net exposure, and gross where several symbols trade: the mean of neighbouring bars over the band they span."""
    ts, net = curves.ts, curves.weight.sum(axis=1)
    first = np.arange(0, len(ts), -(-len(ts) // MAX_BANDS))
    bars = np.diff(np.append(first, len(ts)))
    x = _ms(ts[first])
    low, high = np.minimum.reduceat(net, first), np.maximum.reduceat(net, first)
    edge = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "hoverinfo": "skip", "showlegend": False}
    traces = [
        go.Scatter(x=x, y=low, **edge),
        go.Scatter(x=x, y=high, fill="tonexty", fillcolor=_OWN_AREA, **edge),
    ]
    named = [("Net exposure", net, OWN)]
    if len(curves.symbols) > 1:
        named.append(("Gross exposure", np.abs(curves.weight).sum(axis=1), PAST))
    for name, values, colour in named:
        traces.append(
            go.Scatter(
                x=x, y=np.add.reduceat(values, first) / bars, name=name, mode="lines",
                line={"color": colour, "width": 1.2, "shape": "hv"}, showlegend=len(named) > 1,
                hovertemplate="%{y:.0%}",
            )
        )  # fmt: skip
    return traces


def _bin_width(returns: F8) -> float:
    """A round bin width that gives at most about 50 bins."""
    extent = max(float(returns.max() - returns.min()), float(np.abs(returns).max()), 1e-4)
    rough = extent / 50
    power = 10.0 ** np.floor(np.log10(rough))
    return float(power * next(step for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-12)))


def _line(
    ts: I8,
    values: F8,
    name: str,
    colour: str,
    form: str,
    *,
    width: float = 1.4,
    fill: str | None = None,
    legend: bool = False,
    limit: int = MAX_POINTS,
) -> go.Scatter:
    rows = thin(values, limit)
    return go.Scatter(
        x=_ms(ts[rows]), y=values[rows], name=name, mode="lines", line={"color": colour, "width": width},
        fill=fill, fillcolor=_OWN_AREA if fill else None, showlegend=legend, legendgroup=name,
        hovertemplate=f"%{{y:{form}}}",
    )  # fmt: skip


def _ms(ts: I8) -> npt.NDArray[np.float64]:
    """Plotly's dates: milliseconds since 1970."""
    return ts / 1e6


def _safe(text: str) -> str:
    # Plotly reads a subset of HTML in every label.
    return escape(text)


def laid_out(figure: go.Figure, height: int, **layout: Any) -> go.Figure:
    """`figure` at a height, on no background, its legend above it."""
    legend = {"orientation": "h", "y": 1.02, "x": 0, "yanchor": "bottom"}
    figure.update_layout(
        template="none", height=height, margin={"l": 62, "r": 18, "t": 34, "b": 44}, legend=legend,
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", **layout,
    )  # fmt: skip
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure
