"""Kelly's size, growth and ruin by size, and the worst of days."""

import numpy as np
import pytest

from wfbt.risk.kelly import growth_ruin_frontier
from wfbt.simulation.sizes import frontier_told, kelly_told
from wfbt.simulation.tails import MEMORY, backtests_told, exponential_volatility, tails_told

SEED = np.random.SeedSequence(11)
YEAR = 365 * 86_400_000_000_000


def days(mean=0.001, deviation=0.02, count=1000, seed=0):
    found = np.random.default_rng(seed).normal(0.0, 1.0, count)
    return mean + deviation * (found - found.mean()) / found.std(ddof=1)


def frontier(returns, sizes=(0.5, 1.0, 2.0), **given):
    options = {"periods_per_year": 365.0, "days": 365, "horizon": YEAR, "loss": 0.3, "paths": 4000, "jobs": 1}
    return frontier_told(returns, 1, sizes, seed=SEED, **(options | given))


def test_kellys_size_is_mean_over_variance_and_its_interval_holds_it():
    told = kelly_told(days(), 1, 365.0, SEED)
    assert told["fraction"]["estimate"] == pytest.approx(0.001 / 0.02**2)
    assert told["fraction"]["low"] < told["fraction"]["estimate"] < told["fraction"]["high"]
    assert told["half"] == told["fraction"]["estimate"] / 2
    assert told["growth"] == pytest.approx(365 * 0.001**2 / (2 * 0.02**2))


def test_four_years_of_a_sharpe_ratio_of_one_leave_kellys_size_uncertain_by_half_of_it_either_way():
    mean, deviation, count = 1 / 365, 1 / np.sqrt(365), 4 * 365
    told = kelly_told(days(mean, deviation, count), 1, 365.0, SEED)["fraction"]
    # σ(μ) = σ/√T: a true ratio of 1 over four years is 1 ± 0.5, two of them either side.
    assert told["low"] == pytest.approx(told["estimate"] * (1 - 1.96 * 0.5), abs=0.1)
    assert told["high"] == pytest.approx(told["estimate"] * (1 + 1.96 * 0.5), abs=0.15)


def test_resampled_normal_days_are_ruined_as_often_as_the_closed_form_says_or_a_little_less():
    returns = days(0.0002, 0.015, 4000)
    rows = frontier(returns)
    mu, sigma = returns.mean() * 365, returns.std(ddof=1) * np.sqrt(365)
    exact = growth_ruin_frontier(mu, sigma, (0.5, 1.0, 2.0), loss=0.3, horizon=1.0)
    for row, form in zip(rows, exact.sizes, strict=True):
        assert row["ruin_closed_form"] == form.ruin
        # Seen once a day, so not above what is seen always by more than chance, nor far below it.
        assert row["ruin"]["low"] < form.ruin < row["ruin"]["high"] + 0.05
        assert row["median_growth"] == pytest.approx(form.growth, abs=0.05)
    shares = [row["ruin"]["estimate"] for row in rows]
    assert shares == sorted(shares) and shares[-1] > shares[0]


def test_without_an_edge_no_size_is_kellys():
    rows = frontier(days(-0.001), paths=200)
    assert all(row["multiple_of_kelly"] is None and "multiple_of_kelly" in row["reasons"] for row in rows)


def test_the_forecast_volatility_is_the_exponential_average_of_squares_before_the_day():
    returns = np.r_[0.0, 0.0, days(count=40)]
    sigma, ahead = exponential_volatility(returns)
    assert sigma[0] == sigma[1] == sigma[2] == 0.0 and sigma[3] > 0.0
    for t in range(3, len(returns) + 1):
        weights = MEMORY ** np.arange(t)[::-1]
        expected = np.sqrt((weights * returns[:t] ** 2).sum() / weights.sum())
        assert (sigma[t] if t < len(returns) else ahead) == pytest.approx(expected)


def test_every_method_gives_both_numbers_or_says_why_not():
    for returns in (days(), days(count=40), np.r_[np.zeros(300), days(count=40)]):
        for rows in tails_told(returns).values():
            assert [row["method"] for row in rows] == [
                "historical", "filtered", "cornish_fisher", "pareto", "normal", "student",
            ]  # fmt: skip
            for row in rows:
                missing = {name for name in ("var", "es", "n") if row[name] is None}
                assert missing == set(row["reasons"]) and all(row["reasons"].values())
                if row["es"] is not None:
                    assert row["es"] >= row["var"]


def test_normal_days_have_the_tail_of_a_normal_by_every_method():
    told = tails_told(days(0.0, 0.01, 4000))
    for level, z in (("0.95", 1.6449), ("0.99", 2.3263)):
        for row in told[level]:
            assert row["var"] == pytest.approx(0.01 * z, rel=0.12), row["method"]


def test_forecasts_of_var_are_judged_on_days_after_their_window():
    rows = backtests_told(days())
    assert {(row["method"], row["level"]) for row in rows} == {
        (method, level) for method in ("historical", "filtered") for level in (0.95, 0.99)
    }
    for row in rows:
        assert row["n"] in (749, 750) and row["coverage"]["p"] > 0.001
    few = backtests_told(days(count=300))
    assert all(row["coverage"] is None and "100" in row["reasons"]["coverage"] for row in few)


def test_an_account_that_stood_still_at_first_is_judged_from_its_first_move():
    rows = backtests_told(np.r_[np.zeros(50), days()])
    assert {row["method"]: row["n"] for row in rows if row["level"] == 0.95} == {"historical": 800, "filtered": 749}
