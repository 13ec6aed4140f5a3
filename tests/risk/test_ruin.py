"""Closed forms of ruin: limits, orderings, and small cases solved another way."""

from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfbt.errors import ConfigError
from wfbt.risk.kelly import growth_ruin_frontier, kelly_fraction, kelly_ruin
from wfbt.risk.ruin import (
    barrier_probability,
    gain_to_recover,
    gbm_ruin,
    mean_recovery_time,
    recovery_probability,
    ruin_probability,
)


@pytest.mark.parametrize("p", [0.3, 0.5, 0.500001, 0.55, 0.9])
def test_ruin_before_a_target_solves_its_difference_equation(p):
    target = 12
    # q_k = p·q_(k+1) + (1 − p)·q_(k−1), q_0 = 1, q_target = 0.
    system, right = np.eye(target + 1), np.zeros(target + 1)
    right[0] = 1.0
    for k in range(1, target):
        system[k, k + 1], system[k, k - 1] = -p, p - 1.0
    expected = np.linalg.solve(system, right)
    got = [ruin_probability(p, k, target) for k in range(target + 1)]
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


@given(st.floats(0.01, 0.99), st.integers(1, 50), st.integers(0, 200))
def test_a_target_makes_ruin_less_likely_and_a_far_one_does_not(p, units, further):
    never = ruin_probability(p, units)
    assert ruin_probability(p, units, units + further) <= never + 1e-12
    if abs(p - 0.5) > 0.05:
        assert ruin_probability(p, units, units + 5000) == pytest.approx(never, abs=1e-9)


def test_a_fair_or_worse_game_ruins_for_certain():
    assert ruin_probability(0.5, 10) == ruin_probability(0.2, 1000) == 1.0


def test_nobody_is_ruined_by_a_sure_win_and_everybody_by_a_sure_loss():
    assert ruin_probability(1.0, 3) == 0.0 and ruin_probability(0.0, 3, 5) == 1.0 and ruin_probability(0.9, 0) == 1.0


def test_huge_stakes_do_not_overflow():
    assert ruin_probability(0.3, 10_000, 20_000) == 1.0
    assert ruin_probability(0.7, 10_000, 20_000) == 0.0


@pytest.mark.parametrize(
    "bad", [lambda: ruin_probability(1.1, 3), lambda: ruin_probability(0.5, 2.5), lambda: ruin_probability(0.5, 9, 8)]
)
def test_an_impossible_game_is_refused(bad):
    with pytest.raises(ConfigError):
        bad()


@given(
    st.floats(-3, 3), st.floats(0.05, 2), st.floats(0.01, 5), st.floats(0.01, 20), st.floats(1.0, 10), st.floats(1.0, 3)
)
def test_a_nearer_barrier_a_longer_time_and_a_lower_drift_are_touched_more(mu, sigma, barrier, horizon, longer, nearer):
    base = barrier_probability(mu, sigma, barrier, horizon)
    slack = 1e-12
    assert 0.0 <= base <= 1.0
    assert barrier_probability(mu, sigma, barrier, horizon * longer) >= base - slack
    assert barrier_probability(mu, sigma, barrier / nearer, horizon) >= base - slack
    assert barrier_probability(mu - 0.1, sigma, barrier, horizon) >= base - slack
    assert barrier_probability(mu, sigma, barrier, horizon, steps=100) <= base + slack
    assert barrier_probability(mu, sigma, barrier, inf) >= base - slack


def test_a_long_horizon_tends_to_for_ever():
    assert barrier_probability(0.1, 0.2, 0.3, 1e5) == pytest.approx(barrier_probability(0.1, 0.2, 0.3, inf), rel=1e-9)


def test_a_steep_fall_is_certain_and_does_not_overflow():
    assert barrier_probability(-50.0, 0.01, 1.0, 10.0) == pytest.approx(1.0)


@pytest.mark.slow
def test_the_discrete_correction_meets_a_simulation_where_the_continuous_form_does_not():
    mu, sigma, loss, steps, paths = 0.15, 0.4, 0.5, 252, 400_000
    rng = np.random.default_rng(20)
    ruined = 0
    for _ in range(20):
        step = (mu - sigma**2 / 2) / steps + sigma / steps**0.5 * rng.standard_normal((paths // 20, steps))
        ruined += int((np.cumsum(step, axis=1).min(axis=1) <= log(1 - loss)).sum())
    share = ruined / paths
    error = (share * (1 - share) / paths) ** 0.5
    assert abs(share - gbm_ruin(mu, sigma, loss, 1.0, steps)) < 4 * error
    assert abs(share - gbm_ruin(mu, sigma, loss, 1.0)) > 8 * error


def test_a_loss_of_a_half_needs_a_gain_of_a_whole():
    assert gain_to_recover(0.5) == pytest.approx(1.0)
    assert gain_to_recover(0.2) == pytest.approx(0.25)


@given(st.floats(0.0, 0.95), st.floats(0.01, 2.0))
def test_recovering_in_the_mean_takes_the_log_loss_over_the_growth(loss, growth):
    assert exp(growth * mean_recovery_time(loss, growth)) * (1 - loss) == pytest.approx(1.0)


def test_an_account_that_does_not_grow_recovers_only_by_luck():
    assert mean_recovery_time(0.1, 0.0) == inf
    assert recovery_probability(0.1, -0.2, 0.3, inf) < 1.0 == recovery_probability(0.1, 0.2, 0.3, inf)


@given(st.floats(0.05, 3.0), st.floats(0.05, 0.9), st.floats(0.1, 1.5), st.floats(0.05, 0.6))
def test_the_frontier_at_a_multiple_of_kelly_is_thorp_s(multiple, loss, sharpe, sigma):
    fraction = multiple * kelly_fraction(sharpe * sigma, sigma)
    (size,) = growth_ruin_frontier(sharpe * sigma, sigma, [fraction], loss=loss).sizes
    assert size.multiple == pytest.approx(multiple)
    if abs(multiple - 2.0) > 1e-6:
        assert size.ruin_ever == pytest.approx(kelly_ruin(multiple, 1 - loss), rel=1e-9)
    assert size.ruin <= size.ruin_ever + 1e-12


def test_beyond_kelly_more_size_means_less_growth_and_more_ruin():
    sizes = growth_ruin_frontier(0.1, 0.2, [1.0, 2.5, 4.0, 5.0]).sizes
    assert [size.growth for size in sizes] == pytest.approx([0.08, 0.125, 0.08, 0.0])
    ruin = [size.ruin_ever for size in sizes]
    assert ruin == sorted(ruin) and ruin[-1] == 1.0


def test_a_strategy_without_edge_has_no_kelly_multiple_and_says_so():
    (size,) = growth_ruin_frontier(-0.1, 0.2, [1.0]).sizes
    assert size.multiple is None and size.reason and size.ruin_ever == 1.0
