"""How much evidence the k-th attempt needs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfbt.errors import ConfigError
from wfbt.gate.spending import alpha_of, days_needed, threshold


@pytest.mark.parametrize(("series", "z"), [(1, 2.58), (50, 3.72)])
def test_the_first_attempt_asks_for_the_published_z(series, z):
    assert round(threshold(1, series), 2) == z


def test_all_attempts_together_spend_what_was_declared():
    spent = sum(alpha_of(attempt) for attempt in range(1, 10_001))
    assert spent == pytest.approx(0.01 * (1 - 1 / 10_001), rel=1e-12)


@given(st.integers(1, 50), st.integers(1, 10**9))
def test_more_attempts_and_more_series_never_ask_for_less(attempt, series):
    assert threshold(attempt + 1, series) > threshold(attempt, series)
    assert threshold(attempt, series + 1) >= threshold(attempt, series)


@given(st.integers(1, 20), st.integers(1, 200))
def test_the_best_of_so_many_normals_stays_below_it_as_often_as_declared(attempt, series):
    below = 0.5 * math.erfc(-threshold(attempt, series) / math.sqrt(2))
    assert below**series == pytest.approx(1 - alpha_of(attempt), abs=1e-9)


def test_the_threshold_of_a_billion_series_does_not_drown_in_rounding():
    # So far out, the best of N exceeds z with chance N·(1 − Φ(z)), less half its square.
    beyond = 10**9 * 0.5 * math.erfc(threshold(1, 10**9) / math.sqrt(2))
    assert beyond == pytest.approx(-math.log1p(-0.005), rel=1e-9)


def test_after_the_days_needed_that_share_of_simulated_strategies_gets_there():
    days = days_needed(2.58, 2.0, 365.0, power=0.8)
    draws = np.random.default_rng(3).standard_normal((4000, days)) + 2.0 / math.sqrt(365.0)
    z = draws.mean(axis=1) / draws.std(axis=1, ddof=1) * math.sqrt(days)
    # Binomial deviation of 4,000 draws is 0.006.
    assert np.mean(z >= 2.58) == pytest.approx(0.8, abs=0.025)


@pytest.mark.parametrize("count", [0, -1, 1.0, True, None])
def test_what_is_no_count_is_refused(count):
    with pytest.raises(ConfigError, match="1"):
        threshold(count, 1)
    with pytest.raises(ConfigError, match="at least 1"):
        threshold(1, count)


def test_a_chance_beyond_one_is_refused():
    with pytest.raises(ConfigError, match="between 0 and 1"):
        alpha_of(1, 1.5)
    with pytest.raises(ConfigError, match="must be > 0"):
        days_needed(2.58, 0.0, 365.0)
