"""Regimes on the page: the sentence says what the table can show, and the line is coloured by day."""

import numpy as np
import pytest

from tests.report.conftest import make_run
from wfbt.report.page import render_index
from wfbt.report.regimes import fold_rows, growth_by_regime, meaning

FEW = "12 days in this regime; a statistic needs at least 30"


def regime(days, sharpe, error=0.5, **rest):
    row = {"days": days, "share": days / 1440, "sharpe": sharpe, "sharpe_error": error, "total_return": 0.1}
    row |= {"max_drawdown": 0.05, "benchmark_return": 0.2, "trades": 9, "reasons": {}}
    if sharpe is None:
        row |= {"sharpe_error": None, "reasons": {"sharpe": FEW, "sharpe_error": FEW}}
    return row | rest


def told(calm=1.5, normal=1.0, turbulent=-0.4, error=0.5):
    state = {"share": 0.5, "mean": 0.12, "volatility": 0.34, "stay_hours": 72.0, "reasons": {}}
    return {
        "names": ["calm", "normal", "turbulent"],
        "days": 1440,
        "unknown_days": 10,
        "by_regime": {
            "calm": regime(700, calm, error),
            "normal": regime(718, normal, error),
            "turbulent": regime(12, turbulent, error),
        },
        "folds": [
            {"index": 1, "rows": 8736, "states": {"calm": state, "turbulent": state | {"stay_hours": 9.0}},
             "notes": ["3 states were not kept: <why>"], "reasons": {}},
            {"index": 2, "rows": 90, "states": None, "notes": ["no regimes"], "reasons": {"states": "no regimes"}},
        ],
        "stretches": [
            {"regime": None, "first": "2021-01-01", "last": "2021-01-10"},
            {"regime": "calm", "first": "2021-01-11", "last": "2022-06-30"},
            {"regime": "turbulent", "first": "2022-07-01", "last": "2022-07-12"},
            {"regime": "normal", "first": "2022-07-13", "last": "2024-12-10"},
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return make_run()


def test_the_sentence_says_when_regimes_differ_and_when_the_days_cannot_tell():
    apart = " ".join(meaning(told(calm=2.0, normal=0.1, turbulent=None)))
    assert (
        "The Sharpe ratio was 2.00 ± 0.50 in calm markets and 0.10 ± 0.50 in normal ones, 2.7 standard errors apart"
        in apart
    )
    assert "On 10 of them no regime was known." in apart
    alike = " ".join(meaning(told(turbulent=None)))
    assert "which chance alone shows in one comparison: these days cannot tell the regimes apart" in alike
    # 2.2 standard errors are rare in one comparison, not in the largest of three.
    three = told(calm=1.56, normal=0.8, turbulent=0.0)
    assert "which chance alone shows in 3 comparisons" in " ".join(meaning(three))
    two = told(calm=1.56, normal=0.0, turbulent=None)
    assert "2.2 standard errors apart: chance alone would seldom show that in one comparison" in " ".join(meaning(two))
    assert "48.6% calm, 49.9% normal and 0.8% turbulent" in alike
    none = meaning(told(calm=None, normal=None, turbulent=None))
    assert none == ["No regime lasted long enough out of sample for a statistic."]


def test_a_fold_shows_what_each_state_was_and_what_was_not_kept():
    rows = fold_rows(told())
    assert rows[0] == (1, ["+12.0%, 34.0%, 3.0 days", "—", "+12.0%, 34.0%, 9 h"], "3 states were not kept: <why>")
    assert rows[1] == (2, ["—", "—", "—"], "no regimes")


def test_each_day_is_drawn_once_in_the_colour_of_its_regime(run):
    figure = growth_by_regime(told(), run.curves)
    assert [trace.name for trace in figure.data] == ["calm", "normal", "turbulent", "not known"]
    growth = np.cumprod(1 + run.curves.returns)
    last = {trace.name: trace.y[-2] for trace in figure.data}
    assert last["not known"] == pytest.approx(growth[9])
    assert last["normal"] == pytest.approx(growth[-1])
    drawn = sum(sum(y is not None for y in trace.y) - 1 for trace in figure.data)
    assert drawn == len(growth)
    assert growth_by_regime(None, run.curves) is None


def test_the_page_has_the_table_the_figure_and_the_reason_of_what_is_missing(run):
    page = render_index({**run.result, "regimes": told(turbulent=None)}, run.curves, run.trades)
    assert "<h2>Market regimes</h2>" in page
    assert 'data-figure="regimes"' in page
    assert "<th>calm:<br>log mean, volatility, stay</th>" in page
    assert FEW in page
    assert "3 states were not kept: &lt;why&gt;" in page
    without = render_index({**run.result, "regimes": None}, run.curves, run.trades)
    assert "<h2>Market regimes</h2>" not in without
    assert 'data-figure="regimes"' not in without
