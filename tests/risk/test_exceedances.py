"""Backtests of VaR out of sample."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from wfbt.errors import ConfigError
from wfbt.risk.exceedances import backtest_var, rolling_var
from wfbt.risk.tail import filtered_tail, historical_tail


def hits(pattern):
    """Returns and forecasts whose exceedances are the ones of the pattern."""
    return np.where(np.array(pattern) == 1, -2.0, 0.0), np.ones(len(pattern))


def test_each_rolling_forecast_is_the_historical_var_of_the_rows_before_it():
    returns = np.random.default_rng(1).standard_t(4, 400) * 0.01
    var = rolling_var(returns, 0.95, 150)
    assert np.isnan(var[:150]).all()
    assert var[150:].tolist() == [historical_tail(returns[t - 150 : t], 0.95).var for t in range(150, 400)]


def test_each_filtered_forecast_is_the_filtered_var_of_the_rows_before_it():
    rng = np.random.default_rng(2)
    returns, sigma = rng.standard_t(4, 400) * 0.01, rng.uniform(0.005, 0.02, 400)
    var = rolling_var(returns, 0.99, 200, sigma)
    expected = [filtered_tail(returns[t - 200 : t], sigma[t - 200 : t], sigma[t], 0.99).var for t in range(200, 400)]
    np.testing.assert_allclose(var[200:], expected, rtol=1e-12)


@pytest.mark.parametrize("at", [100, 101, 250, 399])
def test_the_future_does_not_change_a_forecast(at):
    rng = np.random.default_rng(3)
    returns, sigma = rng.normal(0, 0.01, 400), rng.uniform(0.5, 2, 400)
    later, later_sigma = returns.copy(), sigma.copy()
    later[at:] = rng.normal(0, 1, 400 - at)
    later_sigma[at + 1 :] = 9.0
    before, after = rolling_var(returns, 0.95, 100, sigma), rolling_var(later, 0.95, 100, later_sigma)
    np.testing.assert_array_equal(before[: at + 1], after[: at + 1])


def test_a_series_no_longer_than_its_window_has_no_forecast():
    assert np.isnan(rolling_var(np.zeros(100), 0.95, 100)).all()


def test_kupiec_is_the_ratio_of_two_binomial_likelihoods():
    done = backtest_var(*hits([1] * 9 + [0] * 241), 0.99)
    assert (done.n, done.exceedances, done.expected) == (250, 9, pytest.approx(2.5))
    ratio = 2 * (stats.binom.logpmf(9, 250, 9 / 250) - stats.binom.logpmf(9, 250, 0.01))
    assert done.coverage.statistic == pytest.approx(ratio)
    assert done.coverage.p == pytest.approx(stats.chi2.sf(ratio, 1))


@pytest.mark.parametrize(("exceedances", "rejected"), [(0, True), (1, False), (6, False), (7, True)])
def test_kupiec_s_limits_for_a_year_at_one_percent(exceedances, rejected):
    # Kupiec 1995, table 3: with 255 days at p = 0.01 fewer than 7 exceedances are not rejected at 5%.
    done = backtest_var(*hits(([1, 0] * exceedances + [0] * 255)[:255]), 0.99)
    assert (done.coverage.p < 0.05) == rejected


def test_christoffersen_is_the_ratio_of_a_chain_to_a_coin():
    pattern = ([1, 1, 0, 0, 0, 0, 0, 0, 1, 0] * 30)[:300]
    done = backtest_var(*hits(pattern), 0.95)
    moves = np.zeros((2, 2))
    for one, two in pairwise(pattern):
        moves[one, two] += 1
    chain = moves / moves.sum(axis=1, keepdims=True)
    coin = moves.sum(axis=0) / moves.sum()
    ratio = 2 * (np.sum(moves * np.log(chain)) - np.sum(moves * np.log(coin)))
    assert done.independence.statistic == pytest.approx(ratio)
    assert done.conditional.statistic == pytest.approx(ratio + done.coverage.statistic)
    assert done.conditional.p == pytest.approx(stats.chi2.sf(done.conditional.statistic, 2))


def test_clustered_exceedances_of_the_right_number_fail_independence_alone():
    clustered = backtest_var(*hits(([1] * 10 + [0] * 190) * 5), 0.95)
    assert clustered.coverage.statistic == pytest.approx(0.0, abs=1e-9)
    assert clustered.independence.p < 1e-6 and clustered.conditional.p < 1e-6


def test_without_an_exceedance_nothing_is_said_of_independence():
    done = backtest_var(*hits([0] * 500), 0.99)
    assert done.independence is None and done.conditional is None
    assert set(done.reasons) == {"independence", "conditional"}
    assert done.coverage.statistic == pytest.approx(-2 * 500 * np.log(0.99))
    last = backtest_var(*hits([0] * 499 + [1]), 0.99)
    assert last.independence is None and last.exceedances == 1


def test_fewer_than_a_hundred_days_are_not_judged():
    done = backtest_var(*hits([0] * 98 + [1]), 0.95)
    assert done.coverage is done.independence is done.conditional is None
    assert "100" in done.reasons["coverage"]


@pytest.mark.parametrize(("n", "level"), [(500, 0.95), (1000, 0.95), (1000, 0.99)])
def test_a_right_model_is_rejected_by_kupiec_as_often_as_the_binomial_says(n, level):
    counts = np.arange(n + 1)
    p = np.array([backtest_var(*hits([1] * k + [0] * (n - k)), level).coverage.p for k in range(min(n, 150) + 1)])
    rejects = np.append(p, np.zeros(n + 1 - len(p))) < 0.05
    size = stats.binom.pmf(counts, n, 1 - level)[rejects].sum()
    assert 0.03 < size < 0.07
    rng = np.random.default_rng(12)
    var = np.full(n, stats.norm.ppf(level))
    runs = 2000
    share = np.mean([backtest_var(rng.standard_normal(n), var, level).coverage.p < 0.05 for _ in range(runs)])
    assert abs(share - size) < 4 * (size * (1 - size) / runs) ** 0.5


@pytest.mark.slow
def test_historical_var_is_late_after_a_change_of_volatility_and_filtered_var_is_not():
    rng = np.random.default_rng(13)
    sigma = np.where((np.arange(6000) // 50) % 10 == 0, 0.02, 0.005)  # ten wild weeks in a hundred
    returns = rng.standard_normal(6000) * sigma
    plain = backtest_var(returns, rolling_var(returns, 0.95, 500), 0.95)
    filtered = backtest_var(returns, rolling_var(returns, 0.95, 500, sigma), 0.95)
    assert plain.independence.p < 1e-4 and filtered.independence.p > 0.01 and filtered.coverage.p > 0.01


@pytest.mark.parametrize(
    "call",
    [
        lambda: rolling_var(np.zeros(200), 0.99, 99),
        lambda: rolling_var(np.zeros(200), 1.5, 100),
        lambda: rolling_var(np.zeros(200), 0.95, 100, np.zeros(200)),
        lambda: backtest_var(np.zeros(200), np.zeros(199), 0.95),
        lambda: backtest_var(np.zeros(200), np.where(np.arange(200) == 50, np.nan, 1.0), 0.95),
    ],
)
def test_impossible_windows_and_forecasts_are_refused(call):
    with pytest.raises(ConfigError):
        call()


def test_a_hole_in_the_forecasts_is_named():
    with pytest.raises(ConfigError, match="row 50"):
        backtest_var(np.zeros(200), np.where(np.arange(200) == 50, np.nan, 1.0), 0.95)
