"""Simulated steps against the models written out, path by path."""

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from tests.kernels.test_random import KEY, frozen
from tests.naive import paths as naive
from wfbt.kernels import paths
from wfbt.risk.copula import probabilities

STEPS, FIRST, PATHS = 60, 7, 3


def fixed(array):
    out = np.array(array, np.float64, order="C")
    out.flags.writeable = False
    return out


def roots(count, seed=0):
    """Cholesky roots of `count` covariances of 3 assets."""
    rng = np.random.default_rng(seed)
    each = rng.normal(0, 0.01, (count, 20, 3))
    return fixed([np.linalg.cholesky(one.T @ one) for one in each])


TERMS = fixed([[1e-5, 0.08, 0.0, 0.9], [2e-5, 0.02, 0.1, 0.85], [1e-6, 0.0, 0.0, 0.0]])
MEAN, VARIANCE = fixed([0.001, -0.002, 0.0]), fixed([1e-4, 4e-4, 1e-6])
RESIDUALS = fixed(np.random.default_rng(1).standard_t(4, (50, 3)))
LOADINGS = fixed([[0.8, 0.1], [0.5, -0.5], [0.0, 0.0]])
OWN = fixed(np.sqrt(1 - np.sum(LOADINGS**2, axis=1)))


def simulated(kernel, *given, steps=STEPS, assets=3, extra=()):
    out = np.empty((PATHS, steps, assets))
    kernel(out, *extra, FIRST, frozen(KEY), *given)
    return out


def test_brownian_steps_are_the_mean_and_a_root_times_normals():
    root = roots(1)[0]
    found = simulated(paths.fill_brownian, MEAN, fixed(root))
    for p in range(PATHS):
        assert_allclose(found[p], naive.brownian(KEY, FIRST + p, STEPS, MEAN, root), rtol=1e-12, atol=1e-16)


def test_regimes_are_a_chain_that_chooses_among_brownian_steps():
    start, transition = np.array([0.2, 0.5, 0.3]), np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.0, 0.4, 0.6]])
    mean, root = fixed(np.random.default_rng(2).normal(0, 0.01, (3, 3))), roots(3)
    states = np.empty((PATHS, STEPS), np.int64)
    cumulative = [np.cumsum(one, axis=-1) for one in (start, transition)]
    found = simulated(paths.fill_regimes, *map(fixed, cumulative), mean, root, extra=(states,))
    for p in range(PATHS):
        expected, chain = naive.regimes(KEY, FIRST + p, STEPS, start, transition, mean, root)
        assert states[p].tolist() == chain
        assert_allclose(found[p], expected, rtol=1e-12, atol=1e-16)
    assert set(states.ravel()) == {0, 1, 2}


@pytest.mark.parametrize("residuals", [RESIDUALS, RESIDUALS[:0]], ids=["drawn", "normal"])
def test_variances_remember_shocks_and_falls_more_than_rises(residuals):
    found = simulated(paths.fill_garch, MEAN, TERMS, VARIANCE, fixed(residuals))
    for p in range(PATHS):
        expected = naive.garch(KEY, FIRST + p, STEPS, MEAN, TERMS, VARIANCE, residuals)
        assert_allclose(found[p], expected, rtol=1e-11, atol=1e-16)


@pytest.mark.parametrize("nu", [2.5, 4.0, 30.0, inf])
def test_correlated_steps_are_quantiles_of_a_t_copula(nu):
    quantiles = fixed(np.sort(RESIDUALS.T, axis=1))
    given = (MEAN, TERMS, VARIANCE, quantiles, LOADINGS, OWN, nu, probabilities(nu))
    found = simulated(paths.fill_correlated, *given)
    for p in range(PATHS):
        expected = naive.correlated(KEY, FIRST + p, STEPS, MEAN, TERMS, VARIANCE, quantiles, LOADINGS, nu)
        assert_allclose(found[p], expected, rtol=1e-11, atol=1e-16)


@pytest.mark.parametrize("nu", [2.2, 5.0, 100.0])
def test_the_scales_make_a_chi_square(nu):
    out, z, words = np.empty(4000), np.empty(4000), np.empty(4000, np.uint64)
    found = []
    for path in range(25):
        paths.fill_scales(out, z, words, frozen(KEY), path, nu)
        found.append(nu / out**2)
    assert stats.kstest(np.concatenate(found), stats.chi2(nu).cdf).pvalue > 1e-3


@pytest.mark.parametrize("nu", [2.5, 4.0, 30.0, inf])
def test_the_table_of_probabilities_is_right_between_its_cells(nu):
    law = stats.norm if nu == inf else stats.t(nu)
    r = np.random.default_rng(3).uniform(-1, 1, 2000)
    x = paths.BEND * r / (1 - np.abs(r))
    place = (r + 1) * paths.TABLE / 2
    table = probabilities(nu)
    cell = place.astype(int)
    found = table[cell] + (place - cell) * (table[cell + 1] - table[cell])
    assert_allclose(found, law.cdf(x), atol=2e-6)


@pytest.mark.kernel
@settings(max_examples=100, deadline=None)
@given(
    returns=st.lists(st.lists(st.floats(-2, 2), min_size=2, max_size=2), min_size=1, max_size=5),
    weights=st.lists(st.floats(-3, 3), min_size=2, max_size=2),
)
def test_an_account_earns_what_its_weights_earn(returns, weights):
    out = np.empty((1, len(returns)))
    paths.combine(out, np.array([returns]), fixed(weights))
    expected = naive.combined(returns, weights)
    # Near a total loss a digit of the gain is many digits of its log.
    assert_allclose(np.exp(out[0]), np.exp(expected), rtol=1e-12, atol=1e-13)


@pytest.mark.kernel
def test_a_small_gain_is_exact_to_rounding():
    r = np.linspace(-paths.SMALL, paths.SMALL, 2001)
    assert_allclose([paths.small_gain(one) for one in r], np.expm1(r), rtol=5e-16 * sqrt(2))


def test_each_has_one_signature():
    for kernel in (paths.fill_brownian, paths.fill_regimes, paths.fill_garch, paths.fill_correlated, paths.combine):
        if hasattr(kernel, "signatures"):
            assert len(kernel.signatures) == 1
