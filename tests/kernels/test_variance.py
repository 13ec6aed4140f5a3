"""The variance filters against their naive twins and their own source."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tests.naive import variance as naive
from wfbt.kernels.variance import fill_egarch, fill_garch, fill_powers

COMPILED = hasattr(fill_garch, "py_func")

residuals = st.lists(
    st.floats(-0.2, 0.2, allow_subnormal=False) | st.just(0.0) | st.just(np.nan), min_size=1, max_size=40
).map(np.array)
shares = st.floats(0.0, 0.5)


def filtered(fill, column, *given):
    out = np.full(len(column), np.nan)
    fill(out, column, *given)
    return out


@pytest.mark.kernel
@settings(max_examples=100, deadline=None, derandomize=True)
@given(residuals, st.floats(1e-8, 1e-3), shares, st.floats(-0.2, 0.5), st.floats(0.2, 1.0), st.floats(0.1, 0.9))
def test_a_garch_filter_is_the_recursion_of_its_equation(column, omega, alpha, gamma, beta, below):
    gamma = max(gamma, -alpha)
    mine = filtered(fill_garch, column, omega, alpha, gamma, beta, below, 1e-4)
    assert_allclose(mine, naive.garch(column, omega, alpha, gamma, beta, below, 1e-4), rtol=1e-12)


@pytest.mark.kernel
@settings(max_examples=100, deadline=None, derandomize=True)
@given(residuals, st.floats(-1.0, 0.1), st.floats(-0.2, 0.5), st.floats(-0.3, 0.3), st.floats(0.5, 1.0))
def test_an_egarch_filter_is_the_recursion_of_its_equation(column, omega, alpha, gamma, beta):
    mine = filtered(fill_egarch, column, omega, alpha, gamma, beta, np.log(1e-4), np.log(1e-8), np.log(1.0))
    twin = naive.egarch(column, omega, alpha, gamma, beta, 1e-4, 1e-8, 1.0)
    assert_allclose(mine, twin, rtol=1e-9)


@pytest.mark.kernel
def test_powers_are_summed_over_the_horizon():
    logs = np.log([0.5, 2.0])
    total = filtered(fill_powers, logs, np.array([0.0, np.log(3.0)]), np.array([1.0, 0.5]))
    assert_allclose(total, [0.5 + 3 * 0.5**0.5, 2.0 + 3 * 2.0**0.5], rtol=1e-14)


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("fill", "given"),
    [
        (fill_garch, (1e-6, 0.05, 0.1, 0.9, 0.5, 1e-4)),
        (fill_egarch, (-0.2, 0.2, -0.1, 0.98, np.log(1e-4), np.log(1e-8), np.log(1e3))),
    ],
    ids=["garch", "egarch"],
)
def test_a_prefix_is_filtered_to_the_same_bits_and_compiled_code_is_its_source(fill, given):
    rng = np.random.default_rng(5)
    column = rng.normal(0, 0.01, 300)
    column[rng.random(300) < 0.05] = np.nan
    whole = filtered(fill, column, *given)
    for cut in rng.integers(1, 300, 30):
        altered = column.copy()
        altered[cut:] = rng.normal(0, 10.0, 300 - cut)
        assert_array_equal(filtered(fill, column[:cut], *given), whole[:cut])
        assert_array_equal(filtered(fill, altered, *given)[:cut], whole[:cut])
    if COMPILED:
        assert_array_equal(filtered(fill.py_func, column, *given), whole)
        assert len(fill.signatures) == 1


@pytest.mark.kernel
@pytest.mark.parametrize(("gamma", "bound"), [(-0.1, 1e2), (-0.3, 1e-10)])
def test_a_wild_residual_is_bounded_and_forgotten(gamma, bound):
    """An EGARCH takes exp() of a residual in units of its deviation; one price gone mad must not end the series."""
    column = 0.01 * np.resize([1.0, -1.0], 2_000)
    column[10] = 14.0
    bounds = np.log(1e-10), np.log(1e2)
    levels = filtered(fill_egarch, column, -0.2, 0.2, gamma, 0.98, np.log(1e-4), *bounds)
    assert levels[10] == np.log(bound)
    assert abs(levels[-1] - levels[9]) < 1.0
