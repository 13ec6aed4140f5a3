"""What must hold of the statistics of luck whatever they are given."""

from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wfbt.errors import ConfigError
from wfbt.validation.cscv import cscv
from wfbt.validation.overfitting import (
    deflated_sharpe,
    expected_max_sharpe,
    min_backtest_length,
    min_track_record_length,
    pbo,
    probabilistic_sharpe,
)

sharpes = st.floats(-0.5, 0.5)
lengths = st.integers(2, 5000)
trial_counts = st.integers(1, 10**6)


@st.composite
def shapes(draw):
    """Skew, and a kurtosis that some distribution has with it."""
    skew = draw(st.floats(-3, 3))
    return skew, 1 + skew**2 + draw(st.floats(0.1, 20))


@given(sharpe=sharpes, benchmark=sharpes, n=lengths, more=st.integers(1, 1000), shape=shapes())
def test_a_longer_record_moves_the_probability_away_from_a_half(sharpe, benchmark, n, more, shape):
    short, long = (probabilistic_sharpe(sharpe, benchmark, days, *shape) for days in (n, n + more))
    assert long >= short if sharpe >= benchmark else long <= short


@given(sharpe=sharpes, benchmark=sharpes, more=st.floats(0, 0.5), n=lengths, shape=shapes())
def test_a_higher_benchmark_is_never_more_probably_beaten(sharpe, benchmark, more, n, shape):
    low, high = (probabilistic_sharpe(sharpe, one, n, *shape) for one in (benchmark, benchmark + more))
    assert high <= low


@given(sharpe=st.floats(0, 0.5), more=st.floats(0, 0.5), n=lengths, shape=shapes())
def test_a_higher_sharpe_is_never_less_probable_against_cash(sharpe, more, n, shape):
    """(SR/√v)' = (1 − γ₃·SR/2)/v^1.5, so it is so up to SR = 2/γ₃, beyond which no such returns exist for long."""
    assume(shape[0] * (sharpe + more) <= 2)
    low, high = (probabilistic_sharpe(one, 0.0, n, *shape) for one in (sharpe, sharpe + more))
    assert high >= low - 1e-12


@given(sharpe=sharpes, n=lengths, shape=shapes(), trials=trial_counts, more=trial_counts)
def test_every_further_trial_deflates(sharpe, n, shape, trials, more):
    variance = 1 / max(n - 1, 1)
    plain = probabilistic_sharpe(sharpe, 0.0, n, *shape)
    few, many = (deflated_sharpe(sharpe, n, *shape, count, variance) for count in (trials, trials + more))
    assert many <= few <= plain


@given(sharpe=st.floats(0.01, 0.5), gap=st.floats(0.01, 0.5), shape=shapes(), confidence=st.floats(0.51, 0.999))
def test_the_minimum_track_record_is_where_the_probability_reaches_the_confidence(sharpe, gap, shape, confidence):
    length = min_track_record_length(sharpe, sharpe - gap, *shape, confidence)
    assume(length >= 2)
    assert probabilistic_sharpe(sharpe, sharpe - gap, length, *shape) == pytest.approx(confidence, abs=1e-9)


@given(sharpe=sharpes, more=st.floats(0, 0.5), shape=shapes())
def test_no_record_is_long_enough_for_what_is_not_above_the_benchmark(sharpe, more, shape):
    assert min_track_record_length(sharpe, sharpe + more, *shape, 0.95) == inf


@given(trials=trial_counts, variance=st.floats(0, 10), more=trial_counts)
def test_the_expected_maximum_grows_with_trials_and_scales_with_the_deviation(trials, variance, more):
    assert expected_max_sharpe(trials + more) > expected_max_sharpe(trials) >= 0
    assert expected_max_sharpe(trials, variance) == pytest.approx(sqrt(variance) * expected_max_sharpe(trials))
    assert expected_max_sharpe(1, variance) == 0.0


@given(trials=st.integers(2, 10**6), sharpe=st.floats(0.1, 5))
def test_the_minimum_backtest_length_stays_below_its_bound(trials, sharpe):
    assert 0 < min_backtest_length(trials, sharpe) <= 2 * np.log(trials) / sharpe**2


tables = st.builds(
    lambda seed, count, rows: np.random.default_rng(seed).integers(-40, 41, (rows, count)) / 1024.0,
    st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(16, 40),
)  # fmt: skip


@settings(max_examples=50)
@given(returns=tables, power=st.integers(-6, 6))
def test_pbo_knows_no_unit(returns, power):
    """A power of two, so that ties stay ties."""
    assert pbo(returns * 2.0**power, 8) == pbo(returns, 8)


@settings(max_examples=50)
@given(returns=tables, seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_candidates_does_not_matter(returns, seed):
    order = np.random.default_rng(seed).permutation(returns.shape[1])
    one, other = cscv(returns, 8), cscv(returns[:, order], 8)
    assert np.array_equal(one.logits, other.logits)
    assert np.array_equal(one.in_sample, other.in_sample)
    np.testing.assert_allclose(one.out_of_sample, other.out_of_sample, rtol=1e-12, atol=1e-15)


@settings(max_examples=50)
@given(returns=tables, seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_blocks_does_not_matter(returns, seed):
    """Whole blocks are moved, so every choice has its twin."""
    even = returns[: len(returns) // 8 * 8]
    blocks = even.reshape(8, -1, even.shape[1])
    moved = blocks[np.random.default_rng(seed).permutation(8)].reshape(even.shape)
    assert pbo(moved, 8) == pbo(even, 8)


@settings(max_examples=50)
@given(returns=tables)
def test_identical_candidates_are_no_better_than_the_median(returns):
    found = cscv(np.repeat(returns[:, :1], 4, axis=1), 8)
    assert found.pbo == 1.0
    assert set(found.logits.tolist()) == {0.0}
    assert found.dominates == (False, False)


GOOD = {"sharpe": 0.1, "benchmark": 0.0, "n": 500, "skew": 0.0, "kurtosis": 3.0}


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"n": 1}, "n must be at least 2"),
        ({"n": nan}, "n must be at least 2"),
        ({"n": inf}, "n must be a finite number"),
        ({"sharpe": nan}, "sharpe must be a finite number, was nan"),
        ({"benchmark": inf}, "benchmark must be a finite number, was inf"),
        ({"skew": nan}, "skew must be a finite number"),
        ({"kurtosis": 0.2}, "excess kurtosis.*the raw one, 3.2"),
        ({"skew": 2.0, "kurtosis": 4.0}, r"at least 1 \+ skew² = 5"),
        ({"sharpe": 2.0, "skew": 1.0, "kurtosis": 2.0}, "series of two values"),
    ],
)
def test_what_no_returns_can_have_is_refused(given_, message):
    with pytest.raises(ConfigError, match=message):
        probabilistic_sharpe(**GOOD | given_)


def test_what_cannot_be_counted_is_refused():
    for trials in (0, -1, 1.5, nan, inf):
        with pytest.raises(ConfigError, match="trials must be a whole number of at least 1"):
            expected_max_sharpe(trials)
    with pytest.raises(ConfigError, match="variance of the trials' Sharpe ratios must be >= 0"):
        expected_max_sharpe(3, -0.1)
    for confidence in (0.5, 1.0, nan):
        with pytest.raises(ConfigError, match="confidence must lie between"):
            min_track_record_length(0.1, 0.0, 0.0, 3.0, confidence)
    for sharpe in (0.0, -1.0):
        with pytest.raises(ConfigError, match="sharpe must be > 0"):
            min_backtest_length(10, sharpe)


@pytest.mark.parametrize(
    ("returns", "splits", "message"),
    [
        (np.zeros(100), 4, r"shape \(observations, candidates\)"),
        (np.zeros((100, 1)), 4, "compares candidates and was given 1"),
        (np.zeros((100, 3)), 5, "even number from 2 to 20, was 5"),
        (np.zeros((100, 3)), 22, "even number from 2 to 20, was 22"),
        (np.zeros((100, 3)), 0, "even number from 2 to 20, was 0"),
        (np.zeros((31, 3)), 16, "31 observations are too few for 16 splits.*at least 32"),
        (np.full((100, 3), nan), 4, r"returns\[0, 0\] is nan"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused(returns, splits, message):
    with pytest.raises(ConfigError, match=message):
        pbo(returns, splits)
