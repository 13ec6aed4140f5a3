"""A QuantStats tearsheet of daily returns against buy-and-hold, mended where QuantStats would mislead.

QuantStats 0.0.86 labels the bars of its yearly chart one year late, repeats the whole record as "3Y", "5Y" and "10Y"
of a short one, computes a risk of ruin without stake or payoff, and cuts the days before the first trade unless told
not to, which moves Sharpe and growth.  The yearly chart and those rows are left out here (the yearly table is right)
and every day counts, so Sharpe, Sortino, volatility and annual growth equal result.json; where a number differs by
definition the page says how.
"""

from __future__ import annotations

import logging
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from wfbt.errors import LedgerError
from wfbt.report.artifacts import write_text

MIN_DAYS = 30
STRATEGY, BENCHMARK = "Strategy", "Buy and hold"

# Days a record must span before QuantStats' row of that name says anything the whole record does not.
_ROW_NEEDS_DAYS = {"3M": 90, "6M": 181, "1Y": 365, "3Y (ann.)": 1064, "5Y (ann.)": 1795, "10Y (ann.)": 3620}


def write_tearsheet(
    path: Path, returns: pd.Series[float], benchmark: pd.Series[float], title: str, periods_per_year: int
) -> str | None:
    """Write one self-contained tearsheet; return None, or the reason why the page holds a sentence instead.

    `returns` and `benchmark` are simple daily returns on one tz-naive daily index.  Same input, same bytes.
    """
    _validate(path, returns, benchmark)
    reason = _unfit(returns, benchmark)
    html = ""
    if reason is None:
        try:
            html = _render(returns, benchmark, title, periods_per_year)
        except (ValueError, TypeError, AttributeError, ArithmeticError, LookupError) as error:
            reason = f"QuantStats could not draw these returns ({type(error).__name__}: {error})."
    if reason is not None:
        html = _templates().get_template("tearsheet_missing.html.j2").render(
            title=title, reason=reason, days=_table_of_days(returns, benchmark)
        )  # fmt: skip
    write_text(path, html)
    return reason


def _validate(path: Path, returns: pd.Series[float], benchmark: pd.Series[float]) -> None:
    if not returns.index.equals(benchmark.index):
        raise LedgerError(f"{path.name}: returns and benchmark must have the same days")
    if len(returns) and (not isinstance(returns.index, pd.DatetimeIndex) or returns.index.tz is not None):
        raise LedgerError(f"{path.name}: daily returns need a tz-naive DatetimeIndex, had {returns.index.dtype}")
    for name, series in (("returns", returns), ("benchmark", benchmark)):
        if (bad := np.flatnonzero(~np.isfinite(series.to_numpy(dtype=float)))).size:
            raise LedgerError(f"{path.name}: {name} is not a number on {series.index[bad[0]]:%Y-%m-%d}")


def _unfit(returns: pd.Series[float], benchmark: pd.Series[float]) -> str | None:
    """Why QuantStats must not be asked, if so."""
    if len(returns) < MIN_DAYS:
        return f"{len(returns)} days are fewer than {MIN_DAYS}: no statistic of them means anything."
    if returns.max() == returns.min():
        held = "no position was held" if returns.max() == 0 else f"every day returned {returns.max():.4%}"
        return f"The daily returns do not vary ({held}), so there is no risk to measure."
    for name, series in ((STRATEGY, returns), (BENCHMARK, benchmark)):
        if series.min() >= 0 and series.max() > 1:
            return f"{name}: no day lost and one more than doubled; QuantStats would take such returns for prices."
    return None


def _render(returns: pd.Series[float], benchmark: pd.Series[float], title: str, periods_per_year: int) -> str:
    import matplotlib

    if "matplotlib.pyplot" not in sys.modules:
        matplotlib.use("Agg")
    with _third_party_quiet():
        import matplotlib.pyplot as plt
        from quantstats import reports

        span = (returns.index[-1] - returns.index[0]).days + 1
        # QuantStats fills {{…}} by text replacement, so braces in a title must not look like its marks.
        safe_title = Markup(str(escape(title)).replace("{", "&#123;"))
        page = _templates().get_template("tearsheet.html.j2").render(
            title=safe_title, rolling=len(returns) > periods_per_year, periods_per_year=periods_per_year
        )  # fmt: skip
        with (
            tempfile.TemporaryDirectory() as folder,
            # Ids in the SVG come from this salt instead of a random one.
            matplotlib.rc_context({"svg.hashsalt": "wfbt"}),
        ):
            others = set(plt.get_fignums())
            template, output = Path(folder) / "template.html", Path(folder) / "tearsheet.html"
            template.write_text(page, encoding="utf-8")
            try:
                # QuantStats says that it is typed, and is not.
                reports.html(  # type: ignore[no-untyped-call]
                    returns.rename(STRATEGY),
                    benchmark.rename(BENCHMARK),
                    output=str(output),
                    template_path=str(template),
                    periods_per_year=periods_per_year,
                    strategy_title=STRATEGY,
                    benchmark_title=BENCHMARK,
                    match_dates=False,
                )
            finally:
                for number in set(plt.get_fignums()) - others:
                    plt.close(number)
            return _mend(output.read_text(encoding="utf-8"), span)


def _mend(html: str, span: int) -> str:
    """Drop what names the day of printing or another host, and the rows that say nothing about this record."""
    foreign = r"<\?xml.*?\?>\s*|<!DOCTYPE svg.*?>\s*|<metadata>.*?</metadata>\s*| xmlns(?::xlink)?=\"[^\"]*\""
    html = re.sub(foreign, "", html, flags=re.DOTALL)
    misleading = ["Risk of Ruin", *(row for row, days in _ROW_NEEDS_DAYS.items() if span < days)]
    rows = "|".join(re.escape(row) for row in misleading)
    html = re.sub(rf"<tr><td>(?:{rows})\s*</td>.*?</tr>\n?", "", html)
    # A small-form percent sign that most fonts lack.
    return html.replace("﹪", "")


@contextmanager
def _third_party_quiet() -> Iterator[None]:
    """Silence the font search and the warnings QuantStats, seaborn and SciPy raise about their own code."""
    fonts = logging.getLogger("matplotlib.font_manager")

    def keep(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("findfont:")

    fonts.addFilter(keep)
    try:
        with warnings.catch_warnings():
            for module in (r"quantstats(\..*)?", r"seaborn(\..*)?"):
                warnings.filterwarnings("ignore", module=module)
            warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"(scipy|numpy|pandas)\..*")
            yield
    finally:
        fonts.removeFilter(keep)


def _table_of_days(returns: pd.Series[float], benchmark: pd.Series[float]) -> list[tuple[str, str, str]]:
    """The days themselves, where they are few enough to read."""
    if len(returns) >= MIN_DAYS:
        return []
    rows = zip(returns.index, returns, benchmark, strict=True)
    return [(f"{day:%Y-%m-%d}", f"{own:+.2%}", f"{other:+.2%}") for day, own, other in rows]


@cache
def _templates() -> Environment:
    # Square brackets: the double braces in these templates belong to QuantStats.
    return Environment(
        loader=PackageLoader("wfbt.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
    )
