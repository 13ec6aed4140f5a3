"""What the page shows of ruin."""

import json
import math
import re
from copy import deepcopy

import pytest

from tests.report.simulated import simulated
from tests.report.test_page import Reader, figure, without_plotly
from wfbt.report.page import Notes, render_index
from wfbt.report.ruin import kelly_says, ruin_section, survival_says, tail_says, year_says
from wfbt.report.ruin_figures import ruin_figures


@pytest.fixture
def told():
    return deepcopy(simulated()["ruin"])


def page(run, told) -> str:
    return render_index(run.result | {"ruin": told}, run.curves, run.trades)


def words(html: str) -> str:
    text = Reader(without_plotly(html)).words
    begin = text.index("Ruin ")
    return text[begin : text.index("What it cost", begin)]


def test_each_part_opens_with_its_numbers_and_with_what_would_worry(fake, told):
    text = words(page(fake(folds=2, days=60), told))
    parts = [
        (year_says(told), told["within_a_year"]["worry"]),
        (survival_says(told["survival"]["curves"]), told["survival"]["worry"]),
        (kelly_says(told["kelly"]), told["kelly"]["worry"]),
        (tail_says(told), told["tail"]["worry"]),
    ]
    for says, worry in parts:
        assert f"{says} What would worry {worry}" in text
    assert f"What would worry {told['frontier']['worry']}" in text


def test_half_lost_within_a_year_stands_with_its_bound_for_every_kind_of_path(fake, told):
    told["within_a_year"]["1"] |= {"count": 3, "n": 200, "estimate": 0.015, "low": 0.0051, "high": 0.0431}
    text = words(page(fake(folds=2, days=60), told))
    assert "Losing 50% within a year" in text
    assert "Level 1 3 200 1.50% 0.51% 4.31%" in text


def test_where_nobody_was_ruined_the_bound_is_said_and_not_zero(told):
    for one in (told["within_a_year"][key] for key in ("1", "3", "resampled")):
        one |= {"count": 0, "n": 200, "estimate": 0.0, "low": 0.0, "high": 0.015}
    assert year_says(told).startswith("No account lost 50% of its start within a year on any path")
    assert "up to 1.50%" in year_says(told)


def test_ruin_on_resampled_days_alone_is_not_laid_to_a_level(told):
    for key, count in (("1", 0), ("3", 0), ("resampled", 7)):
        told["within_a_year"][key] |= {"count": count, "n": 200, "estimate": count / 200, "high": 0.05}
    assert "7 of 200 accounts on resampled days and 0 of 200 replayed at each level" in year_says(told)


def test_paths_shorter_than_a_year_say_so_in_place_of_a_probability(fake, told):
    why = "paths of 90 days are shorter than 365"
    names = ("count", "n", "estimate", "low", "high")
    for key in ("1", "3", "resampled"):
        told["within_a_year"][key] |= dict.fromkeys(names) | {"reasons": dict.fromkeys(names, why)}
    html = page(fake(folds=2, days=60), told)
    assert "How likely it is to lose 50% within a year is not known." in words(html)
    assert why in Reader(without_plotly(html)).words
    assert "ruin_year" not in ruin_figures(told)


def test_survival_stands_by_capital_with_its_lower_bound_and_orders_too_small(fake, told):
    curve = told["survival"]["curves"][0]
    curve |= {"missed": 0.345, "median_at_end": 987.0}
    curve["points"][-1]["survived"] |= {"estimate": 0.4, "low": 0.3512}
    text = words(page(fake(folds=2, days=60), told))
    assert "After 30 days After 90 days After 180 days After 365 days" in text
    assert "40.00% 35.12% 34.5% 987" in text
    assert "The smallest order is worth 50.00, and an account pays nothing a day whatever it does." in text
    assert (
        "Of accounts that begin with 1,000, those that live shortest, 40.00% were still alive after 365 days." in text
    )


def test_accounts_that_live_longer_than_the_days_they_follow_are_said_to_be_milder(fake, told):
    own = told["within_a_year"]["resampled"]
    own |= {"count": 100, "n": 200, "estimate": 0.5, "low": 0.43, "high": 0.57}
    for curve in told["survival"]["curves"]:
        curve["points"][-1]["survived"] |= {"estimate": 0.9, "low": 0.85}
    assert "of which 50.00% end in ruin" in words(page(fake(folds=2, days=60), told))
    told["survival"]["curves"][0]["points"][-1]["survived"] |= {"estimate": 0.6, "low": 0.53}
    assert "live longer than the days they follow" not in words(page(fake(folds=2, days=60), told))


def test_a_horizon_beyond_the_paths_has_its_reason(fake, told):
    for curve in told["survival"]["curves"]:
        curve["points"][-1] |= {"survived": None, "reasons": {"survived": "the paths end before"}}
    html = page(fake(folds=2, days=60), told)
    assert "the paths end before" in Reader(without_plotly(html)).words
    assert "not known" in survival_says(told["survival"]["curves"])


def test_curves_of_survival_that_lie_on_each_other_are_one_line_named_after_all(told):
    curves = told["survival"]["curves"]
    curves[1]["points"] = curves[0]["points"]
    drawn = [trace.name for trace in ruin_figures(told)["ruin_survival"].data if trace.name]
    assert drawn == ["1,000 · 100,000"]
    curves[1]["points"] = deepcopy(curves[0]["points"])
    curves[1]["points"][0]["survived"]["estimate"] = 0.5
    drawn = [trace.name for trace in ruin_figures(told)["ruin_survival"].data if trace.name]
    assert drawn == ["1,000", "100,000"]


def test_survival_never_has_an_axis_beyond_certainty(told):
    assert ruin_figures(told)["ruin_survival"].layout.yaxis.range[1] == 1.0


@pytest.mark.parametrize(("estimate", "low", "marked"), [(1.6, 0.2, True), (-2.0, -5.0, False), (40.0, 9.0, False)])
def test_kellys_size_is_marked_where_it_lies_among_the_sizes_tried(estimate, low, marked, told):
    told["kelly"]["fraction"] |= {"estimate": estimate, "low": low}
    labels = [one.text for one in ruin_figures(told)["ruin_growth"].layout.annotations]
    assert ("Kelly" in labels) == marked
    assert "as traded" in labels


def test_a_losing_account_is_told_that_kellys_size_is_none(told):
    told["kelly"]["fraction"]["estimate"] = -2.0
    assert "Kelly's size is none at all" in kelly_says(told["kelly"])
    told["kelly"]["fraction"]["estimate"] = 1.63
    assert "Kelly's size is 1.63 times the one traded" in kelly_says(told["kelly"])


def test_the_line_of_the_size_traded_stands_out_and_each_size_has_growth_ruin_and_its_bound(fake, told):
    html = page(fake(folds=2, days=60), told)
    row = next(one for one in told["frontier"]["sizes"] if one["size"] == 1.0)
    assert re.search(r'<tr class="total"><td>1×</td>', html)
    assert f"{row['ruin']['estimate']:.2%} {row['ruin']['high']:.2%} {row['depth_p95']:.1%}" in words(html)


def test_the_tail_stands_by_method_and_a_method_without_a_number_says_why(fake, told):
    rows = {row["method"]: row for row in told["tail"]["levels"]["0.99"]}
    rows["student"] |= {"var": None, "es": None, "reasons": dict.fromkeys(("var", "es"), "no deviation")}
    html = page(fake(folds=2, days=60), told)
    text = words(html)
    for method in ("Historical", "Cornish–Fisher", "Pareto tail", "Normal", "Student's t"):
        assert method in text
    assert f"{rows['historical']['var']:.2%} {rows['historical']['es']:.2%}" in text
    assert "no deviation" in Reader(without_plotly(html)).words


def test_backtests_show_what_came_what_was_expected_and_each_p(fake, told):
    row = told["tail"]["backtests"][0]
    row |= {"n": 350, "exceedances": 31, "expected": 17.5, "independence": None}
    row["coverage"], row["reasons"] = {"statistic": 8.1, "p": 0.0043}, {"independence": "none followed another"}
    html = page(fake(folds=2, days=60), told)
    assert "Historical, 95% 350 31 17.5 0.0043 —" in words(html)
    assert "none followed another" in Reader(without_plotly(html)).words


def test_a_tail_that_too_few_days_can_tell_is_not_called_calm():
    few = simulated(days=60)["ruin"]
    assert "The worst day in a hundred is not known" in tail_says(few)
    assert few["tail"]["worry"] == "Nobody knows: there are too few days to test a forecast of the tail."


def test_probabilities_are_drawn_from_zero(told):
    drawn = ruin_figures(told)
    assert drawn["ruin_size"].layout.yaxis.rangemode == "tozero"
    assert drawn["ruin_year"].layout.xaxis.rangemode == "tozero"


def test_no_figure_holds_a_number_that_is_not_finite(told):
    for one in (told, simulated(drift=-0.02, volatility=0.2)["ruin"]):
        for drawn in ruin_figures(one).values():
            text = drawn.to_json()
            assert not re.search(r"NaN|Infinity", text)
            for trace in json.loads(text)["data"]:
                numbers = [value for value in (*trace["y"], *trace["x"]) if not isinstance(value, str)]
                assert all(value is None or math.isfinite(value) for value in numbers)


def test_without_ruin_nothing_is_shown_or_drawn(fake):
    assert ruin_section(None, Notes().cell) == {}
    assert ruin_figures(None) == {}
    run = fake(folds=2, days=60)
    run.result["reasons"]["ruin"] = "it never traded out of sample"
    assert "ruin it never traded out of sample" in Reader(without_plotly(page(run, None))).words


def test_every_figure_has_its_place(fake, told):
    html = page(fake(folds=2, days=60), told)
    for name in ruin_figures(told):
        assert figure(html, name)["data"]
        assert f'data-figure="{name}"' in html
