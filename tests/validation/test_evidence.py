"""Standard errors that know of autocorrelation: against plain sums, against least squares, and in their size."""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from wfbt.errors import ConfigError
from wfbt.validation.evidence import (
    alpha_test,
    autocorrelated_sharpe,
    automatic_lag,
    moments,
    scale_factor,
    sharpe_test,
    variance_factor,
)


def leaning(rho: float, n: int, seed: int, mean: float = 0.0) -> np.ndarray:
    """An AR(1) of daily returns."""
    shocks = np.random.default_rng(seed).normal(0.0, 0.01, n + 50)
    series = np.zeros(n + 50)
    for t in range(1, n + 50):
        series[t] = rho * series[t - 1] + shocks[t]
    return series[50:] + mean


def test_moments_are_those_of_the_sample_and_kurtosis_is_raw():
    returns = np.random.default_rng(1).standard_t(5, 400) * 0.01
    told = moments(returns)
    assert told.n == 400
    assert told.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1), rel=1e-12)
    assert told.skew == pytest.approx(stats.skew(returns), rel=1e-12)
    assert told.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-12)


def test_the_long_run_variance_is_bartletts_sum():
    series = leaning(0.4, 300, 2)
    factor, lag = variance_factor(series)
    gap = series - sum(series) / 300
    gamma = [sum(gap[t] * gap[t - j] for t in range(j, 300)) / 300 for j in range(lag + 1)]
    plain = sum((1 - abs(j) / (lag + 1)) * gamma[abs(j)] for j in range(-lag, lag + 1)) / gamma[0]
    assert lag >= 3
    assert factor == pytest.approx(plain, rel=1e-12)


def test_the_automatic_lag_is_that_of_newey_and_west():
    series = leaning(0.3, 1000, 3)
    gap = series - series.mean()
    gamma = [float(gap[j:] @ gap[: 1000 - j]) for j in range(7)]  # ⌊4·(1000/100)^(2/9)⌋ = 6
    level = gamma[0] + 2 * sum(gamma[1:])
    slope = 2 * sum(j * gamma[j] for j in range(1, 7))
    assert automatic_lag(series) == int(1.1447 * ((slope / level) ** 2 * 1000) ** (1 / 3))


def test_returns_that_lean_on_each_other_weigh_less_and_those_that_swing_back_no_more():
    assert 2.0 < variance_factor(leaning(0.5, 5000, 4))[0] < 3.5  # (1 + ρ)/(1 − ρ) = 3
    assert variance_factor(leaning(-0.5, 5000, 4))[0] == 1.0
    swings = sharpe_test(leaning(-0.5, 500, 4, mean=0.001))
    assert swings.z == pytest.approx(swings.estimate * sqrt(500), rel=1e-12)


def test_z_is_the_t_statistic_of_the_mean():
    returns = leaning(0.2, 800, 5, mean=0.0004)
    found = sharpe_test(returns)
    error = returns.std(ddof=1) * sqrt(found.factor / 800)
    assert found.z == pytest.approx(returns.mean() / error, rel=1e-12)
    assert found.upper(0.95) == pytest.approx(found.estimate + 1.6448536 * found.error, rel=1e-6)


def test_alpha_and_beta_are_those_of_least_squares():
    held = leaning(0.0, 600, 6)
    returns = 0.0003 + 0.7 * held + leaning(0.0, 600, 7) * 0.5
    found, beta = alpha_test(returns, held)
    line = stats.linregress(held, returns)
    assert (found.estimate, beta) == (pytest.approx(line.intercept, rel=1e-9), pytest.approx(line.slope, rel=1e-9))
    # Of independent errors the robust one is the classical one, up to the sample.
    assert found.error / sqrt(found.factor) == pytest.approx(line.intercept_stderr, rel=0.1)


def test_alpha_is_robust_where_the_errors_grow_with_the_benchmark():
    """The sandwich of White, by matrices."""
    rng = np.random.default_rng(8)
    held = rng.normal(0.002, 0.02, 900)
    returns = 0.0002 + 0.5 * held + rng.normal(0, 1, 900) * (0.002 + np.abs(held))
    found, _ = alpha_test(returns, held)
    x = np.column_stack([np.ones(900), held])
    left = returns - x @ np.linalg.lstsq(x, returns, rcond=None)[0]
    bread = np.linalg.inv(x.T @ x)
    white = bread @ (x.T * left**2) @ x @ bread
    assert found.error == pytest.approx(sqrt(white[0, 0] * found.factor * 900 / 898), rel=1e-9)


def test_holding_the_benchmark_has_no_alpha_to_test():
    held = leaning(0.1, 200, 9)
    with pytest.raises(ConfigError, match="a multiple of the benchmark's"):
        alpha_test(0.5 * held, held)
    with pytest.raises(ConfigError, match="those of the benchmark do not vary"):
        alpha_test(held, np.zeros(200))
    with pytest.raises(ConfigError, match="same observations"):
        alpha_test(held, held[1:])


def test_a_year_of_leaning_days_is_worth_less_than_its_root():
    returns = leaning(0.3, 2000, 10, mean=0.0005)
    found, lags = autocorrelated_sharpe(returns, 365)
    assert lags >= 1
    plain = moments(returns).sharpe * sqrt(365)
    assert 0.6 < found / plain < 0.85  # √((1 − ρ)/(1 + ρ)) = 0.73
    assert scale_factor(np.zeros(11), 12) == pytest.approx(sqrt(12))
    assert scale_factor(np.array([]), 1) == 1.0


def test_autocorrelations_that_leave_no_variance_are_refused():
    with pytest.raises(ConfigError, match="leave a sum of returns no variance"):
        scale_factor(np.array([-0.9]), 12)
    with pytest.raises(ConfigError, match="whole number of observations"):
        scale_factor(np.zeros(3), 0)


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        (np.zeros(100), "do not vary"),
        (np.full(100, 0.001), "do not vary"),
        (np.ones(10), "at least 30 observations"),
        (np.ones((50, 2)), "at least 30 observations"),
        (np.r_[np.nan, np.arange(99)], "number 0 is missing"),
    ],
)
def test_series_without_evidence_are_refused(returns, message):
    with pytest.raises(ConfigError, match=message):
        sharpe_test(returns)


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.1, -0.2])
def test_worthless_strategies_pass_no_more_often_than_promised(rho):
    """2000 histories of 1000 days: of z > 1.645 at most 5% are promised, with a deviation of 0.5%.

    The automatic lag of so few days leaves some of the autocorrelation out, which 6.5% allows for.
    """
    z = np.array([sharpe_test(leaning(rho, 1000, 10_000 + i)).z for i in range(2000)])
    assert np.mean(z > 1.645) < 0.065
    if rho < 0:  # nothing is gained by swinging back
        assert np.std(z) < 0.9
