"""Figures of the papers on overfitting, and the wrong ones that two common slips give."""

import json
from math import comb, erf, log, sqrt
from pathlib import Path

import numpy as np
import pytest

from wfbt.errors import ConfigError
from wfbt.validation.cscv import cscv
from wfbt.validation.evidence import scale_factor, sharpe_test
from wfbt.validation.overfitting import (
    deflated_sharpe,
    expected_max_sharpe,
    min_backtest_length,
    min_track_record_length,
    pbo,
    probabilistic_sharpe,
)

CASES = {
    one["id"]: one
    for one in json.loads(Path(__file__).with_name("overfitting.json").read_text(encoding="utf-8"))["cases"]
}


def kind(prefix):
    return pytest.mark.parametrize(
        "case", [CASES[name] for name in CASES if name.startswith(prefix)], ids=lambda c: c["id"]
    )


def near(case, key=None):
    expected = case["expected"] if key is None else case["expected"][key]
    return pytest.approx(expected, rel=0, abs=case["tolerance"])


@kind("psr_")
def test_the_probabilistic_sharpe_ratio_is_the_published_one(case):
    given = case["inputs"]
    found = probabilistic_sharpe(given["sr_monthly"], given["bench"], given["T"], given["skew"], given["kurt"])
    assert found == near(case)
    assert round(found, 3) == 0.982  # as the paper prints it


@kind("mintrl_")
def test_the_minimum_track_record_is_the_published_one(case):
    given = case["inputs"]
    q = given["q"]
    length = min_track_record_length(
        given["sr_ann"] / sqrt(q), given["bench_ann"] / sqrt(q), given["skew"], given["kurt"], given["conf"]
    )
    assert length / q == near(case)


@kind("emax_")
def test_the_expected_maximum_is_the_approximation_and_not_the_integral(case):
    """Its error is part of the published method: a better integral would be another statistic."""
    found = expected_max_sharpe(case["inputs"]["N"])
    assert found == near(case, "approx")
    assert abs(found - case["expected"]["exact"]) < 0.05


@pytest.mark.parametrize("name", ["dsr_N100_-3_10", "dsr_N100_0_3"])
def test_the_deflated_sharpe_ratio_is_the_published_one(name):
    case = CASES[name]
    given = case["inputs"]
    q = given["q"]
    variance = given["var_sr_ann"] / q
    assert expected_max_sharpe(given["N"], variance) == near(case, "sr0")
    shape = (given["T"], given["skew"], given["kurt"])
    assert deflated_sharpe(given["sr_ann"] / sqrt(q), *shape, given["N"], variance) == near(case, "dsr")


def test_fewer_trials_reach_the_confidence_that_the_paper_prints():
    sharpe, variance = 2.5 / sqrt(250), 0.5 / 250
    assert round(deflated_sharpe(sharpe, 1250, -3, 10, 46, variance), 4) == 0.9505
    assert round(deflated_sharpe(sharpe, 1250, 0, 3, 88, variance), 4) == 0.9505


def test_of_one_trial_the_deflated_is_the_probabilistic_sharpe_ratio():
    case = CASES["dsr_N1"]
    given = case["inputs"]
    sharpe, shape = given["sr_ann"] / sqrt(given["q"]), (given["T"], given["skew"], given["kurt"])
    assert deflated_sharpe(sharpe, *shape, 1, 0.002) == near(case)
    assert deflated_sharpe(sharpe, *shape, 1, 0.002) == probabilistic_sharpe(sharpe, 0.0, *shape)


def test_an_annual_sharpe_ratio_gives_a_false_certainty():
    """Nothing can tell 2.5 a year from 2.5 a day, so this is what the slip costs."""
    case = CASES["dsr_trap_annualised"]
    given = case["inputs"]
    shape = (given["T"], given["skew"], given["kurt"])
    assert deflated_sharpe(given["sr_ann"], *shape, given["N"], given["var_sr_ann"]) == near(case, "wrong")


def test_excess_kurtosis_would_flatter_and_is_refused_where_no_distribution_has_it():
    case = CASES["dsr_trap_annualised"]
    given = case["inputs"]
    q = given["q"]
    sharpe, excess = given["sr_ann"] / sqrt(q), given["kurt"] - 3
    best = expected_max_sharpe(given["N"], given["var_sr_ann"] / q)
    spread = 1 - given["skew"] * sharpe + (excess - 1) / 4 * sharpe**2
    wrong = 0.5 * (1 + erf((sharpe - best) * sqrt((given["T"] - 1) / spread) / sqrt(2)))
    assert wrong == near(case, "wrong_excess_kurt")
    with pytest.raises(ConfigError, match=r"at least 1 \+ skew² = 10, was 7.*excess kurtosis.*the raw one, 10"):
        deflated_sharpe(sharpe, given["T"], given["skew"], excess, given["N"], given["var_sr_ann"] / q)


@kind("minbtl_")
def test_the_minimum_backtest_length_is_the_published_one_and_below_its_bound(case):
    given = case["inputs"]
    assert min_backtest_length(given["N"], given["sr"]) == near(case, "years")
    assert 2 * log(given["N"]) / given["sr"] ** 2 == near(case, "bound")


def test_five_years_bear_45_configurations():
    assert min_backtest_length(45, 1.0) <= 5.0 < min_backtest_length(46, 1.0)


@kind("cscv_")
def test_sixteen_blocks_are_halved_in_12870_ways(case):
    blocks = case["inputs"]["S"]
    returns = np.random.default_rng(0).normal(0, 0.01, (160, 3))
    assert len(cscv(returns, blocks).logits) == case["expected"] == comb(blocks, blocks // 2)


@pytest.mark.slow
@kind("pbo_noise_")
def test_on_noise_the_winner_is_as_likely_below_as_above_the_median(case):
    """An expectation: one run has a deviation of 0.2, the mean of 30 one of 0.037, and three of those are 0.11."""
    count = case["inputs"]["N"]
    found = [pbo(np.random.default_rng([count, seed]).normal(0, 0.01, (640, count)), 16) for seed in range(30)]
    assert np.mean(found) == pytest.approx(case["expected"], abs=0.11)
    assert np.std(found) < 0.35


def test_the_scale_of_an_ar1_is_that_of_lo():
    """A monthly Sharpe ratio times 3.46 is that of a year, times 2.88 where a month leans 20% on the last."""
    case = CASES["lo_scale"]
    for rho, row in case["expected"].items():
        for q, factor in zip(case["inputs"]["q"], row, strict=True):
            found = scale_factor(float(rho) ** np.arange(1, q), q)
            assert found == pytest.approx(factor, rel=0, abs=case["tolerance"]), (rho, q)


def test_the_error_of_a_sharpe_ratio_of_normal_returns_is_that_of_lo():
    """√((1 + SR²/2)/T); of a sample with exactly that ratio and the moments of a normal, up to the sample's own."""
    case = CASES["lo_se"]
    sharpe, n = case["inputs"]["sr"], case["inputs"]["T"]
    assert sqrt((1 + sharpe**2 / 2) / n) == near(case)
    noise = np.random.default_rng(4).normal(0, 1, n)
    noise = (noise - noise.mean()) / noise.std(ddof=1) + sharpe
    found = sharpe_test(noise)
    assert found.estimate == pytest.approx(sharpe, rel=1e-12)
    assert found.error == pytest.approx(case["expected"] * sqrt(found.factor), rel=0.02)
