"""Ruin, drawdown, Kelly and tail risk against published figures and closed forms."""

import json
from math import inf
from pathlib import Path

import numpy as np
import pytest

from wfbt.risk.drawdown import expected_max_drawdown, max_drawdown_probability, mean_time_to_drawdown
from wfbt.risk.kelly import binary_growth, binary_kelly, kelly_fraction, kelly_growth, kelly_ruin
from wfbt.risk.ruin import barrier_probability, gbm_ruin, ruin_probability
from wfbt.risk.tail import normal_tail, student_tail

FACTS = {
    fact["id"]: fact for fact in json.loads(Path(__file__).with_name("risk.json").read_text(encoding="utf-8"))["facts"]
}


def facts(*beginnings):
    return [pytest.param(fact, id=name) for name, fact in FACTS.items() if name.startswith(beginnings)]


@pytest.mark.parametrize("fact", facts("ruin_disc"))
def test_the_gambler_is_ruined_as_often_as_feller_says(fact):
    given = fact["inputs"]
    assert ruin_probability(given["p"], given["k"]) == pytest.approx(fact["expected"], abs=fact["tolerance"])


@pytest.mark.parametrize("fact", facts("bm_ruin"))
def test_a_brownian_path_touches_its_barrier_as_reflection_says(fact):
    given = fact["inputs"]
    probability = barrier_probability(given["mu"], given["sigma"], given["b"], given.get("T", inf))
    assert probability == pytest.approx(fact["expected"], abs=fact["tolerance"])


def test_half_is_lost_as_often_as_the_continuous_and_the_daily_form_say():
    given, expected = FACTS["gbm_ruin_50"]["inputs"], FACTS["gbm_ruin_50"]["expected"]
    always = gbm_ruin(given["mu"], given["sigma"], given["d"], given["T"])
    daily = gbm_ruin(given["mu"], given["sigma"], given["d"], given["T"], given["steps"])
    assert always == pytest.approx(expected["continuous"], abs=1e-10)
    assert daily == pytest.approx(expected["discrete_daily"], abs=1e-10)


def test_kelly_stakes_and_growth_are_those_of_the_papers():
    given, expected = FACTS["kelly_bin"]["inputs"], FACTS["kelly_bin"]["expected"]
    fraction = binary_kelly(given["p"], given["b"])
    assert fraction == pytest.approx(expected["f"], abs=1e-12)
    assert binary_growth(given["p"], fraction, given["b"]) == pytest.approx(expected["g"], abs=1e-12)
    given, expected = FACTS["kelly_cont"]["inputs"], FACTS["kelly_cont"]["expected"]
    fraction = kelly_fraction(given["mu"], given["sigma"], given["r"])
    assert fraction == pytest.approx(expected["f"], abs=1e-12)
    assert kelly_growth(given["mu"], given["sigma"], fraction, given["r"]) == pytest.approx(expected["g"], abs=1e-12)


@pytest.mark.parametrize("fact", facts("kelly_ruin"))
def test_wealth_at_a_multiple_of_kelly_falls_as_thorp_says(fact):
    given = fact["inputs"]
    assert kelly_ruin(given["c"], given["x"]) == pytest.approx(fact["expected"], abs=fact["tolerance"])


def test_the_mean_largest_drawdown_without_drift_is_root_half_pi():
    fact = FACTS["emdd_zero_drift"]
    assert expected_max_drawdown(0.0, 1.0, 1.0) == pytest.approx(fact["expected"], abs=fact["tolerance"])


def test_the_mean_time_to_a_drawdown_is_taylor_s():
    fact = FACTS["edd_time"]
    given = fact["inputs"]
    mean = mean_time_to_drawdown(given["D"], given["mu"], given["sigma"])
    assert mean == pytest.approx(fact["expected"], abs=fact["tolerance"])


@pytest.mark.parametrize("fact", facts("pmdd0"))
def test_the_published_distribution_of_the_largest_drawdown_is_a_sum_cut_after_2000_terms(fact):
    given = fact["inputs"]
    order = (np.arange(1, 2001) - 0.5) * np.pi
    decay = np.exp(-((given["sigma"] * order / given["h"]) ** 2) * given["T"] / 2)
    cut = 2.0 * np.sum(np.sin(order) / order * (1.0 - decay))
    assert cut == pytest.approx(fact["expected"], abs=1e-9)
    # The part without decay sums to 1; what is cut off is the alternating tail of 2·Σ sin θ/θ.
    missing = 1.0 - 2.0 * np.sum(np.sin(order) / order)
    whole = max_drawdown_probability(given["h"], 0.0, given["sigma"], given["T"])
    assert whole - missing == pytest.approx(fact["expected"], abs=1e-9)


@pytest.mark.parametrize("fact", facts("normal_var"))
def test_normal_var_and_es_are_the_textbook_s(fact):
    tail = normal_tail(fact["inputs"]["a"])
    assert (tail.var, tail.es) == pytest.approx(
        (fact["expected"]["VaR"], fact["expected"]["ES"]), abs=fact["tolerance"]
    )


@pytest.mark.parametrize("fact", facts("t3_", "t4_", "t5_"))
def test_student_var_and_es_are_the_textbook_s(fact):
    given, expected = fact["inputs"], fact["expected"]
    standard, unit = student_tail(given["a"], given["nu"]), student_tail(given["a"], given["nu"], sigma=1.0)
    assert (standard.var, standard.es) == pytest.approx((expected["VaR"], expected["ES"]), abs=fact["tolerance"])
    assert (unit.var, unit.es) == pytest.approx(
        (expected["VaR_unitvar"], expected["ES_unitvar"]), abs=fact["tolerance"]
    )


def test_the_mean_largest_drawdown_of_a_strong_drift_tends_to_the_published_limits():
    # E = 2σ²/μ·Q(μ²T/2σ²) with Q(x) → ln(x)/4 + 0.49088 upwards, and x + 1/2 downwards.
    for x in (1e5, 1e6):
        mu = (2.0 * x) ** 0.5
        assert expected_max_drawdown(mu, 1.0, 1.0) * mu / 2.0 - np.log(x) / 4.0 == pytest.approx(0.49088, abs=2e-5)
    for x in (4.0, 4.4):
        mu = (2.0 * x) ** 0.5
        assert expected_max_drawdown(-mu, 1.0, 1.0) * mu / 2.0 == pytest.approx(x + 0.5, rel=1e-3)
