"""Resampled days of an account."""

import numpy as np
import pytest

from wfbt.kernels.resampling import stationary_mean
from wfbt.validation.robustness.resampled import resamples, stationary_rows


def returns(n=400, seed=1, mean=0.001):
    return np.random.default_rng(seed).normal(mean, 0.01, n)


@pytest.mark.parametrize("block", [1, 7])
def test_rows_are_those_of_the_kernel_that_tests_candidates(block):
    values = returns()
    rows = stationary_rows(len(values), block, np.random.default_rng(9))
    rng = np.random.default_rng(9)
    start, fresh, mean = (
        rng.integers(len(values), size=len(values), dtype=np.int64),
        rng.random(len(values)),
        np.empty(1),
    )
    stationary_mean(np.ascontiguousarray(values[:, None]), start, fresh, 1.0 / block, mean)
    assert values[rows].mean() == pytest.approx(mean[0], rel=1e-12)


def test_blocks_are_as_long_as_asked_on_average():
    rows = stationary_rows(200_000, 10, np.random.default_rng(2))
    broken = np.count_nonzero((np.diff(rows) % 200_000) != 1) + 1
    assert len(rows) / broken == pytest.approx(10, rel=0.03)


def test_the_same_seed_gives_the_same_resamples_and_more_of_them_begin_alike():
    once, again, more = (resamples(returns(), n, 5, 365.0) for n in (100, 100, 150))
    for name in ("sharpe", "annual_return", "max_drawdown"):
        assert np.array_equal(getattr(once, name), getattr(again, name))
        assert np.array_equal(getattr(once, name), getattr(more, name)[:100])
    assert not np.array_equal(once.sharpe, resamples(returns(), 100, 6, 365.0).sharpe)


def test_the_spread_of_independent_days_is_the_standard_error_of_a_sharpe_ratio():
    values = returns(n=1_000)
    found = resamples(values, 1_000, 5, 365.0)
    assert found.sharpe.std() == pytest.approx(np.sqrt(365.0 / 1_000), rel=0.2)
    assert np.median(found.sharpe) == pytest.approx(values.mean() / values.std(ddof=1) * np.sqrt(365), abs=0.1)


def test_days_that_cling_together_are_drawn_together_and_spread_more():
    rng = np.random.default_rng(3)
    clinging = np.empty(1_000)
    clinging[0] = 0.0
    for t, shock in enumerate(rng.normal(0, 0.01, 999), start=1):
        clinging[t] = 0.6 * clinging[t - 1] + shock
    found = resamples(clinging, 500, 5, 365.0)
    assert found.block > 3
    assert found.sharpe.std() > 1.4 * np.sqrt(365.0 / 1_000)


def test_days_without_any_return_have_no_sharpe_ratio_and_no_drawdown():
    found = resamples(np.zeros(100), 100, 5, 365.0)
    assert np.isnan(found.sharpe).all()
    assert not found.max_drawdown.any()
