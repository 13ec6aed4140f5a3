"""The standard error of a Sharpe ratio."""

import numpy as np
import pytest

from wfbt.validation.by_regime import sharpe_error


def test_the_error_of_normal_returns_is_that_of_the_normal_law():
    """Lo (2002): the variance of a Sharpe ratio of independent normal returns is (1 + SR²/2)/n."""
    rng = np.random.default_rng(0)
    returns = rng.normal(0.002, 0.01, 200_000)
    ratio = returns.mean() / returns.std(ddof=1)
    expected = np.sqrt((1 + ratio**2 / 2) / len(returns) * 365)
    assert sharpe_error(returns, 365.0) == pytest.approx(expected, rel=0.01)


def test_the_error_is_the_spread_of_the_ratios_of_many_samples():
    """Returns that fall seldom and far: skewed, fat-tailed, and of an uncertain ratio."""
    rng = np.random.default_rng(1)
    samples = np.where(rng.random((4000, 400)) < 0.05, -0.05, 0.006) + rng.normal(0, 0.005, (4000, 400))
    ratios = samples.mean(axis=1) / samples.std(axis=1, ddof=1) * np.sqrt(365)
    told = np.mean([sharpe_error(one, 365.0) for one in samples])
    assert told == pytest.approx(ratios.std(), rel=0.06)
    plain = np.sqrt((1 + (ratios.mean() / np.sqrt(365)) ** 2 / 2) / 400 * 365)
    assert told > 1.05 * plain
