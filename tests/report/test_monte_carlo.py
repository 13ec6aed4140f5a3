"""What the page shows of markets that never were."""

import json
import math
import re
from copy import deepcopy

import pytest

from tests.report.simulated import simulated
from tests.report.test_page import HOSTILE, Reader, figure, without_plotly
from wfbt.report.monte_carlo import monte_carlo_section, paths_say, rested
from wfbt.report.monte_carlo_figures import monte_carlo_figures
from wfbt.report.page import Notes, render_index


@pytest.fixture
def told():
    return deepcopy(simulated()["monte_carlo"])


def page(run, **more) -> str:
    return render_index(run.result | more, run.curves, run.trades)


def words(html: str) -> str:
    text = Reader(without_plotly(html)).words
    begin = text.index("Markets that never were")
    return text[begin : text.index("What it cost", begin)]


def test_the_section_opens_with_what_the_paths_made_and_with_what_would_worry(fake, told):
    text = words(page(fake(folds=2, days=60), monte_carlo=told))
    assert text.startswith(f"Markets that never were {paths_say(told)} What would worry {told['worry']}")
    assert "200 markets of each of 2 kinds, 365 days long from 2024-05-15 on" in text
    assert f"{told['1']['hold']['total_return']['p50']:+,.1%}" in text


def test_every_kind_of_path_has_a_fan_with_its_own_worry_and_all_fans_have_one_scale(fake, told):
    html = page(fake(folds=2, days=60), monte_carlo=told)
    fans = {name: figure(html, f"fan_{name}") for name in ("1", "3", "resampled")}
    assert len({tuple(one["layout"]["yaxis"]["range"]) for one in fans.values()}) == 1
    assert told["3"]["worry"] in words(html)
    named = [{trace["name"] for trace in fans[name]["data"]} for name in ("1", "resampled")]
    assert named[0] - named[1] == {"buy and hold"}


def test_a_fan_draws_the_percentiles_of_result_json(told):
    drawn = {trace.name: list(trace.y) for trace in monte_carlo_figures(told)["fan_1"].data}
    assert drawn["middle"] == pytest.approx(told["1"]["fan"]["equity"]["p50"], rel=1e-3)
    assert drawn["p95"] == pytest.approx(told["1"]["fan"]["equity"]["p95"], rel=1e-3)
    assert drawn["buy and hold"] == pytest.approx(told["1"]["fan"]["hold"]["p50"], rel=1e-3)


@pytest.mark.parametrize(("top", "kind"), [(2.9, "linear"), (3.1, "log")])
def test_fans_that_leave_a_factor_of_three_are_drawn_on_a_logarithmic_axis(top, kind, told):
    for key in ("1", "3", "resampled"):
        for line in told[key]["fan"]["equity"].values():
            line[:] = [1.0] * (len(line) - 1) + [1.5]
        if "hold" in told[key]["fan"]:
            told[key]["fan"]["hold"]["p50"][:] = [1.0]
    told["1"]["fan"]["equity"]["p95"][-1] = top
    assert monte_carlo_figures(told)["fan_3"].layout.yaxis.type == kind


def test_a_level_that_was_not_simulated_says_why(fake, told):
    assert "Not simulated, level 4: one symbol: level 4 is level 3." in words(
        page(fake(folds=2, days=60), monte_carlo=told)
    )


def test_depths_stand_for_every_percentile_at_ends_of_days_and_at_bar_closes(fake, told):
    text = words(page(fake(folds=2, days=60), monte_carlo=told))
    rows = told["1"]["drawdowns"]
    assert "Paths Seen at 50% 75% 90% 95% 99%" in text
    assert "Level 1 ends of days " + " ".join(f"{row['depth']:.1%}" for row in rows) in text
    assert "bar closes " + " ".join(f"{row['depth_at_bar_closes']:.1%}" for row in rows) in text


def test_recoveries_say_how_many_came_back_and_a_missing_median_why(fake, told):
    row = told["resampled"]["drawdowns"][4]
    row |= {"recovery_days": None, "recovered": 0, "paths": 2, "reasons": {"recovery_days": "none came back"}}
    html = page(fake(folds=2, days=60), monte_carlo=told)
    assert "0 of 2" in words(html)
    assert "none came back" in Reader(without_plotly(html)).words


def test_a_curve_of_recoveries_needs_two_points(told):
    for key in ("1", "3", "resampled"):
        for row in told[key]["drawdowns"][1:]:
            row["recovery_days"] = None
        told[key]["drawdowns"][0]["recovery_days"] = 20.0
    assert "mc_recoveries" not in monte_carlo_figures(told)
    told["1"]["drawdowns"][1]["recovery_days"] = 40.0
    drawn = monte_carlo_figures(told)["mc_recoveries"].data
    assert [(trace.name, list(trace.y)[1:]) for trace in drawn] == [("level 1", [40.0, None, None, None])]


def test_the_axis_of_depths_begins_at_zero(told):
    assert monte_carlo_figures(told)["mc_drawdowns"].layout.yaxis.rangemode == "tozero"


def test_without_any_path_nothing_is_drawn_and_the_reason_stands_there(fake):
    why = "the warm-up needs more rows than there are"
    told = {"1": None, "resampled": None, "worry": None, "notes": [], "begins": None, "replays": None}
    told["reasons"] = {"1": why, "resampled": "it never traded out of sample", "worry": "nothing could be simulated"}
    text = words(page(fake(folds=2, days=60), monte_carlo=told))
    assert "Nothing could be simulated. What would worry Nobody knows: nothing could be simulated." in text
    assert f"Not simulated, level 1: {why}." in text
    assert "Not simulated, own days, resampled: it never traded out of sample." in text
    assert monte_carlo_figures(told) == {}


def test_an_account_in_the_coin_has_no_buy_and_hold_beside_it_and_says_why(fake, told):
    why = "the account is in the coin"
    for key in ("1", "3"):
        told[key] |= {"hold": None, "reasons": {"hold": why}}
        told[key]["fan"]["hold"] = None
    html = page(fake(folds=2, days=60), monte_carlo=told)
    assert "buy-and-hold on the same paths" not in words(html)
    titles = [attributes.get("title") for tag, attributes in Reader(without_plotly(html)).tags if tag == "td"]
    assert titles.count(why) == 6  # three numbers of each level
    assert {trace["name"] for trace in figure(html, "fan_1")["data"]} == {"p5", "p25", "p75", "p95", "middle"}


def test_switched_off_it_is_among_what_was_not_evaluated(fake):
    run = fake(folds=2, days=60)
    run.result["reasons"] |= {"monte_carlo": "it is switched off", "ruin": "monte_carlo is switched off"}
    text = Reader(without_plotly(page(run, monte_carlo=None, ruin=None))).words
    assert "Markets that never were" not in text
    assert "monte carlo it is switched off ruin monte_carlo is switched off" in text


def test_days_of_rest_after_a_stop_are_said_to_be_left_out(fake, told):
    run = fake(folds=2, days=60)
    assert rested({"monte_carlo": told}) == ""
    told["resampled"] |= {"stopped": "2021-02-03T05:00:00Z", "days_left_out": 1200}
    text = Reader(without_plotly(page(run, monte_carlo=told, ruin=simulated()["ruin"]))).words
    assert text.count("The account was stopped for good on 2021-02-03.") == 2
    assert text.count("the 1,200 days at rest after it would only have thinned the losses out") == 2


def test_names_and_notes_from_outside_stay_text(fake, told):
    told["notes"], told["reasons"]["4"], told["1"]["name"] = [HOSTILE], HOSTILE, HOSTILE
    html = without_plotly(page(fake(folds=2, days=60), monte_carlo=told))
    assert HOSTILE in Reader(html).words
    assert all("onerror" not in attributes for _, attributes in Reader(html).tags)


def test_no_figure_holds_a_number_that_is_not_finite(told):
    html = [figure.to_json() for figure in monte_carlo_figures(told).values()]
    assert html
    for text in html:
        assert not re.search(r"NaN|Infinity", text)
        for trace in json.loads(text)["data"]:
            assert all(value is None or math.isfinite(value) for value in trace["y"])


def test_what_simulated_paths_worry_about_stands_among_the_warnings(fake, told):
    run = fake(folds=2, days=60)
    told["worry"] = "2 of 3 kinds of path worry; level 1: deep."
    text = Reader(without_plotly(page(run, monte_carlo=told))).words
    assert "Simulated paths: 2 of 3 kinds of path worry; level 1: deep." in text
    told["worry"] = "Nothing here worries by itself: not at any level."
    assert "Simulated paths:" not in Reader(without_plotly(page(run, monte_carlo=told))).words


def test_each_note_is_said_once(told):
    notes = monte_carlo_section(told, Notes().cell)["notes"]
    assert notes == [
        "Funding along a path settles at rates paid in training.",
        "Level 1: persistence was cut.",
        "Level 3: persistence was cut.",
    ]
