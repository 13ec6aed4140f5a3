"""The page's section on forecasts of volatility: what was fitted, what came, and what that means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wfbt.report.figures import OWN, PAST, laid_out, thin
from wfbt.report.formats import listing, reason
from wfbt.report.worry import worry

MOST_PLOTS = 4
MOST_POINTS = 1500
DOUBTFUL = 0.05


def volatility_section(result: Mapping[str, Any], cell: Callable[..., Any]) -> dict[str, Any]:
    """Rows of the table, sentences and notes; empty where no model was fitted.  `cell` makes one number of a table."""
    told: Mapping[str, Any] = result.get("volatility") or {}
    rows = []
    for symbol, one in told.items():
        # What is missing of a whole group is missing of each of its numbers.
        losses = one["qlike"] or _missing(("model", "trailing", "atr"), reason(one, "qlike"))
        line = one["mz"] or _missing(("alpha", "beta", "r2", "p"), reason(one, "mz"))
        fitted = sum(fold["model"] != "trailing" for fold in one["folds"])
        numbers = [(losses, name, "precise") for name in ("model", "trailing", "atr")]
        numbers += [(line, name, "precise") for name in ("alpha", "beta", "r2", "p")]
        rows.append((symbol, f"{fitted} of {len(one['folds'])}", one["n"], [cell(*number) for number in numbers]))
    first: Mapping[str, Any] = next(iter(told.values()), {})
    return {
        "rows": rows,
        "model": _named(first) if first else "",
        "hours": f"{first['horizon_hours']:g}" if first else "",
        "realised": first.get("realised", ""),
        "worry": volatility_worry(told),
        "sentences": [_sentence(symbol, one) for symbol, one in told.items() if one["qlike"]],
    }


def volatility_worry(told: Mapping[str, Any]) -> str:
    """Forecasts that simpler ones beat, and those that are biased."""
    known = {symbol: one for symbol, one in told.items() if one["qlike"]}
    if not known:
        return "Nobody knows: no forecast could be judged."
    found = []
    for symbol, one in known.items():
        losses = one["qlike"]
        better = [
            words
            for words, key in (("trailing volatility", "trailing"), ("ATR", "atr"))
            if losses[key] < losses["model"]
        ]
        if better:
            found.append(f"{symbol}: {listing(better)} did better than the model")
        if one["mz"] is not None and one["mz"]["p"] is not None and one["mz"]["p"] < DOUBTFUL:
            found.append(f"{symbol}: sizes that trust the forecast trust a biased one")
    return worry(found, "no simpler forecast did better, and none is shown to be biased")


def _missing(names: tuple[str, ...], why: str) -> dict[str, Any]:
    return {**dict.fromkeys(names), "reasons": dict.fromkeys(names, why)}


def _named(one: Mapping[str, Any]) -> str:
    laws = {"normal": "normal", "t": "Student's t", "skewt": "skewed t"}
    law = f" with {laws[one['dist']]} innovations" if one["dist"] else ""
    return f"{one['model'].upper()}{law}"


def _sentence(symbol: str, one: Mapping[str, Any]) -> str:
    """What the losses and the regression of one symbol say."""
    losses, line = one["qlike"], one["mz"]
    against = [f"{_against(losses, 'trailing')} the trailing volatility's", f"{_against(losses, 'atr')} the ATR's"]
    said = f"{symbol}: the forecast's loss is {' and '.join(against)}."
    if line is None:
        return said
    said += f" The realised variance came to {line['alpha']:.3g} + {line['beta']:.2f} × forecast"
    if line["p"] is None:
        return f"{said}."
    if line["p"] < DOUBTFUL:
        return f"{said}: the forecast is biased (p = {line['p']:.2g})."
    return f"{said}, as an unbiased forecast may well do (p = {line['p']:.2g})."


def _against(losses: Mapping[str, float], rival: str) -> str:
    change = losses["model"] / losses[rival] - 1.0
    return f"{abs(change):.0%} {'below' if change < 0 else 'above'}" if round(change, 2) else "as large as"


def volatility_figures(result: Mapping[str, Any]) -> dict[str, go.Figure]:
    """Forecast and realised volatility over the test rows, one line of plots a symbol."""
    told = {symbol: one for symbol, one in (result.get("volatility") or {}).items() if one["n"]}
    shown = list(told.items())[:MOST_PLOTS]
    if not shown:
        return {}
    figure = make_subplots(
        rows=len(shown), shared_xaxes=True, subplot_titles=[escape(name) for name, _ in shown], vertical_spacing=0.08
    )
    for place, (_, one) in enumerate(shown, start=1):
        series = one["series"]
        ts = pd.to_datetime(series["ts"], utc=True).as_unit("ms").asi8
        for name, values, colour, width in (
            ("Realised", series["realised"], PAST, 1.0),
            ("Forecast", series["forecast"], OWN, 1.5),
        ):
            column = np.asarray(values, np.float64)
            rows = thin(column, MOST_POINTS)
            figure.add_trace(
                go.Scatter(
                    x=ts[rows], y=column[rows], name=name, mode="lines", line={"color": colour, "width": width},
                    legendgroup=name, showlegend=place == 1, hovertemplate="%{y:.0%}",
                ),
                row=place, col=1,
            )  # fmt: skip
        figure.update_yaxes(tickformat=".0%", rangemode="tozero", row=place, col=1)
    figure.update_xaxes(type="date", hoverformat="%Y-%m-%d")
    figure.update_annotations(font_size=13)
    return {"volatility": laid_out(figure, 90 + 190 * len(shown), hovermode="x unified")}
