"""Tearsheets draw, agree with our numbers, ask nobody, and say so when there is nothing to draw."""

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wfbt.errors import LedgerError
from wfbt.report.tearsheet import write_tearsheet

REMOTE = re.compile(r"https?:|(?:src|href)\s*=\s*[\"']?//|@import|url\(\s*[\"']?//")


def daily(days: int, seed: int = 3, freq: str = "D") -> tuple[pd.Series, pd.Series]:
    rng = np.random.default_rng(seed)
    index = pd.date_range("2021-03-01", periods=days, freq=freq)
    return pd.Series(rng.normal(0.0006, 0.02, days), index), pd.Series(rng.normal(0.0008, 0.03, days), index)


def row(html: str, name: str) -> list[float]:
    """Numbers of one metric row: benchmark, strategy."""
    found = re.search(rf"<tr><td>{re.escape(name)}\s*</td><td>(.*?)</td><td>(.*?)</td></tr>", html)
    assert found is not None, name
    return [float(text.strip().rstrip("%").replace(",", "")) for text in found.groups()]


@pytest.fixture(scope="module")
def sheet(tmp_path_factory) -> tuple[str, pd.Series, pd.Series]:
    """A sheet of 400 days whose first 60 are flat, as before a first trade."""
    returns, benchmark = daily(400)
    returns.iloc[:60] = 0.0
    path = tmp_path_factory.mktemp("sheet") / "tearsheet.html"
    assert write_tearsheet(path, returns, benchmark, "run <b>{{metrics}}</b>", 365) is None
    return path.read_text(encoding="utf-8"), returns, benchmark


def test_quantstats_agrees_with_our_definitions_though_the_first_days_are_flat(sheet):
    html, returns, benchmark = sheet
    for column, series in ((0, benchmark), (1, returns)):
        wealth = np.concatenate([[1.0], (1 + series).cumprod()])
        deepest = (wealth / np.maximum.accumulate(wealth) - 1).min()
        downside = np.sqrt((np.minimum(series, 0) ** 2).mean())
        expected = {
            "Sharpe": series.mean() / series.std(ddof=1) * np.sqrt(365),
            "Sortino": series.mean() / downside * np.sqrt(365),
            "CAGR%": 100 * (wealth[-1] ** (365 / 400) - 1),
            "Cumulative Return": 100 * (wealth[-1] - 1),
            "Volatility (ann.)": 100 * series.std(ddof=1) * np.sqrt(365),
            "Max Drawdown": 100 * deepest,
        }
        for name, value in expected.items():
            label = name.rstrip("%")
            assert row(html, label)[column] == pytest.approx(value, abs=0.0051), name


def test_a_year_of_252_days_is_annualised_by_252(tmp_path):
    returns, benchmark = daily(300, freq="B")
    write_tearsheet(tmp_path / "t.html", returns, benchmark, "gold", 252)
    html = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert row(html, "Sharpe")[1] == pytest.approx(returns.mean() / returns.std() * np.sqrt(252), abs=0.0051)


def test_a_tearsheet_asks_no_other_host(sheet):
    assert not REMOTE.search(sheet[0])


def test_a_title_is_text_and_never_markup(sheet):
    html = sheet[0]
    assert "<b>" not in html
    assert "run &lt;b&gt;&#123;&#123;metrics}}&lt;/b&gt;" in html


def test_rows_that_repeat_the_whole_record_or_mislead_are_left_out(sheet):
    html = sheet[0]
    for name in ("3Y (ann.)", "5Y (ann.)", "10Y (ann.)", "Risk of Ruin"):
        assert f"<td>{name}" not in html
    assert "<td>1Y" in html
    assert "EOY Returns  vs Benchmark" not in html  # the chart QuantStats labels a year late


def test_the_same_returns_give_the_same_bytes(sheet, tmp_path):
    html, returns, benchmark = sheet
    write_tearsheet(tmp_path / "again.html", returns, benchmark, "run <b>{{metrics}}</b>", 365)
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html


def test_it_can_be_handed_to_a_process_pool(tmp_path):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        reason = pool.submit(write_tearsheet, tmp_path / "t.html", *daily(5), "short", 365).result()
    assert reason == "5 days are fewer than 30: no statistic of them means anything."
    assert (tmp_path / "t.html").exists()


def lost_all(returns: pd.Series) -> pd.Series:
    returns = returns.copy()
    returns.iloc[40] = -1.0
    returns.iloc[41:] = 0.0
    return returns


def one_day(returns: pd.Series) -> pd.Series:
    flat = returns * 0.0
    flat.iloc[20] = 0.01
    return flat


@pytest.mark.parametrize(
    ("days", "change"), [(90, lost_all), (90, one_day), (30, abs)], ids=["ruin", "one day", "gains"]
)
def test_odd_returns_are_drawn_all_the_same(tmp_path, days, change):
    returns, benchmark = daily(days)
    assert write_tearsheet(tmp_path / "t.html", change(returns), benchmark, "odd", 365) is None
    assert (tmp_path / "t.html").read_text(encoding="utf-8").count("<svg") >= 8


@pytest.mark.parametrize(
    ("returns", "why"),
    [
        (daily(29)[0], "29 days are fewer than 30"),
        (daily(0)[0], "0 days are fewer than 30"),
        (daily(60)[0] * 0.0, "no position was held"),
        (daily(60)[0] * 0.0 + 0.001, "every day returned 0.1000%"),
        (one_day(daily(60)[0]) * 150, "would take such returns for prices"),
    ],
    ids=["few days", "no days", "idle", "constant", "like prices"],
)
def test_where_nothing_can_be_drawn_the_page_says_why(tmp_path, returns, why):
    reason = write_tearsheet(tmp_path / "t.html", returns, returns * 0.5, "<i>x</i>", 365)
    html = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert reason is not None
    assert why in reason
    assert why in html
    assert "<i>" not in html
    assert not REMOTE.search(html)


def test_a_failure_of_quantstats_becomes_a_page_that_names_it(tmp_path, monkeypatch):
    from quantstats import reports

    def fail(*_args, **_kwargs):
        raise ValueError("x values are identical")

    monkeypatch.setattr(reports, "html", fail)
    reason = write_tearsheet(tmp_path / "t.html", *daily(60), "x", 365)
    assert reason == "QuantStats could not draw these returns (ValueError: x values are identical)."
    assert "x values are identical" in (tmp_path / "t.html").read_text(encoding="utf-8")


def test_returns_that_are_no_daily_series_are_refused(tmp_path):
    returns, benchmark = daily(40)
    path: Path = tmp_path / "t.html"
    with pytest.raises(LedgerError, match="tz-naive"):
        write_tearsheet(path, returns.tz_localize("UTC"), benchmark.tz_localize("UTC"), "x", 365)
    with pytest.raises(LedgerError, match="same days"):
        write_tearsheet(path, returns, benchmark.iloc[1:], "x", 365)
    returns.iloc[3] = np.nan
    with pytest.raises(LedgerError, match="returns is not a number on 2021-03-04"):
        write_tearsheet(path, returns, benchmark, "x", 365)
    assert not path.exists()
