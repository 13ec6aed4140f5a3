"""The page's section on robustness."""

import numpy as np
import pytest

from wfbt.report.page import Notes, render_index
from wfbt.report.robustness import robustness_figures, robustness_section
from wfbt.report.robustness_words import robustness_finding
from wfbt.validation.robustness.verdicts import Base, Criterion, judged

STEPS = [-0.2, -0.1, 0.0, 0.1, 0.2]


def curve(*values):
    return {"sharpe": list(values), "span": max(values) - min(values)}


def section(base=1.0, middle=0.8):
    near = np.linspace(middle - 0.2, middle + 0.2, 21)
    own = Base(sharpe=base)
    params = judged(
        "moved", near, own, Criterion(share=0.7, low=True), reach=0.2, parameters=["fast", "slow"], steps=STEPS,
        curves={"fast": curve(0.9, 1.0, base, 1.0, 0.9), "<slow>": curve(0.1, 0.5, base, 0.5, 0.2)},
        surface={"rows": "<slow>", "columns": "fast", "sharpe": [[row] * 5 for row in (0.1, 0.2, 1.0, None, -1.0)]},
        refused_nearby=0, refused_why="",
    )  # fmt: skip
    late = judged("late", near, own, Criterion(share=0.5, low=True), kept=0.4, fixed=[
        {"bars": bars, "sharpe": value, "reasons": {}} for bars, value in enumerate((base, 0.4, 0.3))
    ])  # fmt: skip
    misread = judged("noise", near, own, Criterion(share=0.7), noise=0.001, draws=near.tolist())
    missed = {
        "entries": 1_234, "n": 21, "reasons": {},
        "levels": [judged("missed", near, own, Criterion(), missed=share) for share in (0.05, 0.1)],
    }  # fmt: skip
    stressed = {
        "multiple": 2.0, "base": base, "sharpe": 0.25, "total_return": 0.1, "share_of_base": 0.25,
        "criterion": "Sharpe ratio > 0", "passes": True, "reasons": {},
    }  # fmt: skip
    off = "it is switched off in the robustness section"
    return {
        "base": base, "of": "Sharpe", "params": params, "delay": late, "noise": misread, "skip": missed,
        "bootstrap": None, "costs": {"n": 1, "levels": [stressed], "reasons": {}}, "latency": None, "offsets": None,
        "reasons": {"bootstrap": off, "latency": off, "offsets": "folds.scheme cpcv has no test windows"},
    }  # fmt: skip


def shown(told):
    return robustness_section(told, Notes().cell)


def test_a_line_of_the_table_is_a_test_or_one_level_of_it():
    assert [row["name"] for row in shown(section())["rows"]] == [
        "Parameters moved", "Decisions late", "Prices misread", "Entries missed, 5%", "Entries missed, 10%",
        "Costs, ×2",
    ]  # fmt: skip


def test_the_table_says_what_passes_and_leaves_out_what_is_not_judged():
    rows = {row["name"]: row for row in shown(section())["rows"]}
    assert [rows[name]["passes"] for name in ("Parameters moved", "Decisions late", "Costs, ×2")] == [
        "yes",
        "no",
        "yes",
    ]
    assert rows["Decisions late"]["tone"] == "loss"
    assert rows["Entries missed, 5%"]["passes"] == ""


def test_the_share_of_late_decisions_is_that_of_one_bar():
    rows = {row["name"]: row for row in shown(section())["rows"]}
    assert rows["Decisions late"]["cells"][3].text == "40.0%"
    assert rows["Parameters moved"]["cells"][3].text == "80.0%"


def test_a_choice_above_its_neighbours_is_called_a_needle():
    assert any("a needle" in said for said in shown(section(base=1.5))["sentences"])
    assert not any("a needle" in said for said in shown(section(base=0.8))["sentences"])


def test_a_loss_is_said_before_anything_else():
    told = shown(section(base=-0.5))
    assert told["sentences"][0].startswith("The run made no gain")
    rows = {row["name"]: row for row in told["rows"]}
    assert rows["Parameters moved"]["passes"] == "—"
    assert "no gain means nothing" in rows["Parameters moved"]["why"]


def test_what_was_not_tested_says_why():
    assert dict(shown(section())["off"]) == {
        "days resampled": "it is switched off in the robustness section",
        "delays": "it is switched off in the robustness section",
        "folds cut elsewhere": "folds.scheme cpcv has no test windows",
    }


def test_figures_are_drawn_of_what_there_is():
    told = section()
    assert set(robustness_figures(told)) == {"robust_surface", "robust_params", "robust_late", "robust_misread"}
    assert robustness_figures(None) == {}
    told |= {"params": None, "delay": None, "noise": None}
    assert robustness_figures(told) == {}


def test_the_page_has_the_section_and_escapes_what_the_strategy_named(fake):
    run = fake(folds=2, days=60)
    page = render_index({**run.result, "robustness": section()}, run.curves, run.trades)
    assert "<h2>Robustness</h2>" in page
    assert "&lt;slow&gt;" in page
    assert "<slow>" not in page
    without = render_index({**run.result, "robustness": None}, run.curves, run.trades)
    assert "<h2>Robustness</h2>" not in without


@pytest.mark.parametrize("key", ["params", "delay", "noise"])
def test_a_test_without_any_sharpe_ratio_is_told_as_such(key):
    told = section()
    told[key] |= {"quantiles": None, "share_of_base": None, "passes": None}
    told[key]["reasons"] = dict.fromkeys(("quantiles", "share_of_base", "passes"), "no account has a Sharpe ratio")
    if key == "delay":
        told[key]["fixed"] = [{"bars": bars, "sharpe": None, "reasons": {"sharpe": "none"}} for bars in range(3)]
    rows = {row["name"]: row for row in shown(told)["rows"]}
    name = {"params": "Parameters moved", "delay": "Decisions late", "noise": "Prices misread"}[key]
    assert rows[name]["passes"] == "—"
    assert rows[name]["cells"][0].why == "no account has a Sharpe ratio"


def test_one_sentence_names_the_tests_that_were_failed():
    told = section()
    assert robustness_finding(told) == ["It failed 1 of 4 tests of robustness: decisions late."]
    told["delay"]["passes"] = True
    assert robustness_finding(told) == ["It stood all 4 tests of robustness that could be judged."]
    told["costs"]["levels"][0]["passes"] = False
    assert robustness_finding(told) == ["It failed 1 of 4 tests of robustness: costs ×2."]
    assert robustness_finding(None) == []
