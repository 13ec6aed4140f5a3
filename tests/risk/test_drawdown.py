"""The largest drawdown of a Brownian motion against an inverted Laplace transform."""

from math import inf, pi, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.naive.laplace import drawdown_probability
from wfbt.errors import ConfigError
from wfbt.risk.drawdown import (
    drawdown_fraction,
    expected_max_drawdown,
    max_drawdown_probability,
    mean_time_to_drawdown,
)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.3, 4.0), st.floats(-2.9, 6.0))
def test_its_distribution_is_that_of_the_inverted_transform(depth, mu):
    assert max_drawdown_probability(depth, mu, 1.0, 1.0) == pytest.approx(drawdown_probability(depth, mu), abs=2e-9)


@pytest.mark.parametrize("depth", [0.5, 1.0, 2.0])
def test_it_is_continuous_where_the_first_root_turns_imaginary(depth):
    below, at, above = (max_drawdown_probability(depth, (1 + e) / depth, 1.0, 1.0) for e in (-1e-5, 0.0, 1e-5))
    assert at == pytest.approx((below + above) / 2, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.1, 3.0), st.floats(-2.0, 4.0), st.floats(0.1, 3.0))
def test_it_is_scale_free_and_falls_with_depth_and_with_drift(depth, mu, sigma):
    base = max_drawdown_probability(depth, mu, 1.0, 1.0)
    assert max_drawdown_probability(depth * sigma, mu * sigma, sigma, 1.0) == pytest.approx(base, abs=1e-9)
    assert max_drawdown_probability(depth * 2, mu / 2, 1.0, 4.0) == pytest.approx(base, abs=1e-9)
    assert max_drawdown_probability(depth * 1.1, mu, 1.0, 1.0) <= base + 1e-9
    assert max_drawdown_probability(depth, mu + 0.1, 1.0, 1.0) <= base + 1e-9


@pytest.mark.parametrize("mu", [-2.5, -1.0, 1.0, 3.0, 8.0])
def test_its_mean_is_the_sum_of_the_inverted_distribution(mu):
    # Below 0.3 deviations a drawdown is certain unless the drift is strong; the midpoint rule there errs by little.
    width = 0.01
    total = sum(drawdown_probability(width * (i + 0.5), mu) * width for i in range(20, 900))
    head = sum(max_drawdown_probability(width * (i + 0.5), mu, 1.0, 1.0) * width for i in range(20))
    assert expected_max_drawdown(mu, 1.0, 1.0) == pytest.approx(total + head, rel=1e-4)


def test_its_mean_is_continuous_through_zero_drift():
    assert expected_max_drawdown(1e-9, 0.2, 4.0) == pytest.approx(sqrt(pi / 2) * 0.4, rel=1e-8)
    assert expected_max_drawdown(-1e-9, 0.2, 4.0) == pytest.approx(sqrt(pi / 2) * 0.4, rel=1e-8)


@given(st.floats(0.01, 1.0), st.floats(0.05, 1.0))
def test_the_mean_time_to_a_drawdown_is_continuous_through_zero_drift_and_grows_with_it(depth, sigma):
    natural = (depth / sigma) ** 2
    assert mean_time_to_drawdown(depth, 0.0, sigma) == pytest.approx(natural)
    edge = 1e-4 * sigma**2 / (2 * depth)
    below, above = (mean_time_to_drawdown(depth, edge * f, sigma) for f in (0.999, 1.001))
    assert above == pytest.approx(below, rel=1e-6) and above > natural
    assert mean_time_to_drawdown(depth, -edge * 1e4, sigma) < natural


def test_a_drawdown_that_practically_never_comes_takes_for_ever():
    assert mean_time_to_drawdown(10.0, 10.0, 0.1) == inf


def test_a_depth_of_log_two_is_half_the_peak():
    assert drawdown_fraction(0.6931471805599453) == pytest.approx(0.5)


def test_a_fall_too_steep_for_the_series_is_refused_and_its_mean_is_the_limit():
    with pytest.raises(ConfigError, match="lose its digits"):
        max_drawdown_probability(1.0, -3.1, 1.0, 1.0)
    assert expected_max_drawdown(-4.0, 1.0, 1.0) == pytest.approx(4.25)
    assert expected_max_drawdown(-3.0, 1.0, 1.0) == pytest.approx(expected_max_drawdown(-3.0001, 1.0, 1.0), rel=3e-4)
