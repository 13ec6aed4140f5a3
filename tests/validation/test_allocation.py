import random

import numpy as np
import pytest

from tests.naive import allocation as naive
from wfbt.errors import ConfigError
from wfbt.validation.allocation import METHODS, hierarchical_risk_parity, shrinkage, shrunk_covariance, weights

FITTED = [method for method in METHODS if method != "fixed"]


def with_covariance(cov, days=64, seed=0):
    """(D, S) returns whose sample covariance is `cov` to rounding."""
    raw = np.random.default_rng(seed).normal(size=(days, len(cov)))
    raw -= raw.mean(axis=0)
    whitened = raw @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(raw, rowvar=False)))).T
    return whitened @ np.linalg.cholesky(np.asarray(cov, float)).T


def correlated(deviations, rho):
    cov = np.outer(deviations, deviations) * rho
    np.fill_diagonal(cov, np.square(deviations))
    return cov


def returns_of(sleeves, seed, days=250):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(sleeves, sleeves)) + 0.5
    return 0.01 * rng.normal(size=(days, sleeves)) @ mix


# By hand


def test_inverse_volatility_gives_twice_the_risk_half_the_share():
    returns = with_covariance(correlated([0.01, 0.02], 0.3))
    np.testing.assert_allclose(weights(returns, "inverse_volatility"), [2 / 3, 1 / 3], rtol=1e-12)


def test_the_least_variance_of_two_uncorrelated_sleeves_is_by_inverse_variance():
    returns = with_covariance(correlated([0.01, 0.02], 0.0))
    np.testing.assert_allclose(weights(returns, "min_variance", shrink=False), [0.8, 0.2], rtol=1e-6)


def test_the_least_variance_of_two_correlated_sleeves_is_the_textbooks():
    # w = (σ2² − ρσ1σ2)/(σ1² + σ2² − 2ρσ1σ2) = (4 − 0.5)/(1 + 4 − 1)
    returns = with_covariance(correlated([0.01, 0.02], 0.25))
    np.testing.assert_allclose(weights(returns, "min_variance", shrink=False), [0.875, 0.125], rtol=1e-6)


def test_nothing_is_sold_short_to_lower_the_variance():
    # With ρ = 0.9 the unbounded answer is 1.57 and −0.57.
    returns = with_covariance(correlated([0.01, 0.02], 0.9))
    assert weights(returns, "min_variance", shrink=False).tolist() == [1.0, 0.0]


def test_hierarchical_risk_parity_of_two_sleeves_is_by_inverse_variance_whatever_their_correlation():
    for rho in (-0.5, 0.0, 0.9):
        returns = with_covariance(correlated([0.01, 0.02], rho))
        np.testing.assert_allclose(weights(returns, "hrp", shrink=False), [0.8, 0.2], rtol=1e-9)


@pytest.mark.parametrize("method", FITTED)
@pytest.mark.parametrize("sleeves", [1, 2, 3, 5])
@pytest.mark.parametrize("shrink", [True, False])
def test_sleeves_of_one_volatility_without_correlation_share_equally(method, sleeves, shrink):
    returns = with_covariance(1e-4 * np.eye(sleeves))
    got = weights(returns, method, shrink=shrink)
    np.testing.assert_allclose(got, np.full(sleeves, 1 / sleeves), rtol=1e-6)


def test_fixed_weights_are_those_given_and_need_no_days():
    assert weights(np.zeros((0, 3)), "fixed", given=[0.5, 0.3, 0.1]).tolist() == [0.5, 0.3, 0.1]


# Against an independent implementation, and the paper


@pytest.mark.parametrize("sleeves", [2, 3, 4, 7, 12])
@pytest.mark.parametrize("seed", range(4))
def test_hierarchical_risk_parity_is_the_naive_one(sleeves, seed):
    returns = returns_of(sleeves, seed)
    expected = naive.hrp(naive.covariance(returns.tolist()))
    np.testing.assert_allclose(weights(returns, "hrp", shrink=False), expected, rtol=1e-9)


def test_hierarchical_risk_parity_of_the_papers_ten_assets():
    """López de Prado (2016): five series, and five more that follow some of them with noise."""
    normal, uniform = np.random.RandomState(12345), random.Random(12345)
    first = normal.normal(size=(10_000, 5))
    followed = [int(5 * uniform.random()) for _ in range(5)]
    returns = np.hstack([first, first[:, followed] + normal.normal(0, 0.25, size=(10_000, 5))])
    cov = np.cov(returns, rowvar=False)
    published = [7.00, 7.59, 10.84, 19.03, 9.72, 10.19, 6.62, 9.10, 7.12, 12.79]
    assert np.round(100 * hierarchical_risk_parity(cov), 2).tolist() == published
    np.testing.assert_allclose(100 * np.array(naive.hrp(cov.tolist())), published, atol=0.005)


@pytest.mark.parametrize("sleeves", [2, 3])
@pytest.mark.parametrize("cap", [1.0, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_no_mix_on_a_fine_grid_has_less_variance(sleeves, cap, seed):
    returns = returns_of(sleeves, seed)
    cov = naive.covariance(returns.tolist())
    got = weights(returns, "min_variance", max_weight=cap, shrink=False)
    grid = naive.min_variance(cov, cap, 200)
    assert naive.variance(cov, got) <= naive.variance(cov, grid) * (1 + 1e-9)
    np.testing.assert_allclose(got, grid, atol=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_the_shrunk_covariance_is_that_of_ledoit_and_wolf(seed):
    returns = returns_of(4, seed, days=40)
    got = shrunk_covariance(returns)
    np.testing.assert_allclose(got, naive.shrunk(returns.tolist()), rtol=1e-9, atol=1e-15)
    library = pytest.importorskip("sklearn.covariance")
    np.testing.assert_allclose(got, library.ledoit_wolf(returns)[0], rtol=1e-9, atol=1e-15)


def test_shrinkage_trusts_a_short_sample_less():
    cov = correlated([0.01, 0.03], 0.0)
    gap = {}
    for days in (40, 4000):
        with_it, without = (weights(with_covariance(cov, days), "min_variance", shrink=s) for s in (True, False))
        gap[days] = abs(with_it[0] - without[0])
    assert gap[40] > gap[4000] > 0


def test_how_far_a_covariance_is_drawn_is_that_of_ledoit_and_wolf_among_sleeves_that_move():
    library = pytest.importorskip("sklearn.covariance")
    for seed in range(3):
        returns = returns_of(4, seed, days=40)
        assert shrinkage(returns) == pytest.approx(library.ledoit_wolf(returns)[1], rel=1e-9)
        assert shrinkage(np.column_stack([returns, np.zeros(40)])) == shrinkage(returns)
    assert shrinkage(np.random.default_rng(0).normal(size=(40, 2))) == 1.0
    assert shrinkage(np.zeros((40, 2))) == 0.0


# What always holds


@pytest.mark.parametrize("method", FITTED)
@pytest.mark.parametrize("cap", [1.0, 0.5, 0.3, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_shares_under_their_cap_and_idle_only_when_all_are_cut(method, cap, seed):
    got = weights(returns_of(5, seed), method, max_weight=cap)
    assert (got >= 0).all() and (got <= cap * (1 + 1e-12)).all()
    assert got.sum() == pytest.approx(min(1.0, 5 * cap), rel=1e-12)


def test_what_a_cap_cuts_goes_to_the_others_in_proportion():
    returns = with_covariance(correlated([0.01, 0.02, 0.04], 0.0))
    # Uncapped 4/7, 2/7, 1/7; at 0.5 the rest is shared two to one.
    got = weights(returns, "inverse_volatility", max_weight=0.5)
    np.testing.assert_allclose(got, [0.5, 1 / 3, 1 / 6], rtol=1e-12)


@pytest.mark.parametrize("method", FITTED)
def test_weights_do_not_depend_on_the_order_of_days_nor_on_a_common_scale(method):
    returns = returns_of(4, 7)
    got = weights(returns, method)
    np.testing.assert_allclose(weights(returns[::-1], method), got, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(weights(0.1 * returns, method), got, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", FITTED)
def test_a_sleeve_that_never_moved_gets_nothing_and_the_others_share_as_if_it_were_not_there(method):
    returns = returns_of(3, 1)
    idle = np.insert(returns, 1, 0.0, axis=1)
    got = weights(idle, method)
    assert got[1] == 0.0
    np.testing.assert_allclose(np.delete(got, 1), weights(returns, method), rtol=1e-12)
    assert weights(np.zeros((60, 2)), method).tolist() == [0.0, 0.0]


# Refusals


@pytest.mark.parametrize("method", FITTED)
def test_of_fewer_than_thirty_days_no_weight_is_fitted(method):
    assert weights(returns_of(2, 0, days=30), method).sum() == pytest.approx(1.0)
    with pytest.raises(ConfigError, match=f"method {method} needs at least 30 days of training returns, had 29"):
        weights(returns_of(2, 0, days=29), method)


@pytest.mark.parametrize("given", [None, [0.5], [0.7, 0.4], [-0.1, 0.5], [np.nan, 0.5], [0.7, 0.1]])
def test_impossible_fixed_weights_are_refused(given):
    with pytest.raises(ConfigError, match=r"allocation\.method fixed needs"):
        weights(np.zeros((40, 2)), "fixed", given=given, max_weight=0.6)


@pytest.mark.parametrize("options", [{"given": [0.5, 0.5]}, {"max_weight": 0.0}, {"max_weight": 1.1}])
def test_options_that_contradict_a_fitted_method_are_refused(options):
    with pytest.raises(ConfigError, match=r"allocation\."):
        weights(returns_of(2, 0), "hrp", **options)


def test_returns_that_are_no_numbers_are_refused():
    returns = returns_of(2, 0)
    returns[3, 1] = np.nan
    with pytest.raises(ConfigError, match="1 daily returns are no numbers"):
        weights(returns, "hrp")
    with pytest.raises(ConfigError, match="unknown 'equal'"):
        weights(returns_of(2, 0), "equal")
