import numpy as np
import pytest

from wfbt.errors import PolicyError
from wfbt.features.rolling import previous_high, previous_low, rate_of_change, rolling_moments, rolling_zscore


def two_pass(values, rows):
    """Mean and deviation of each trailing window by the definition."""
    windows = [values[max(0, t - rows + 1) : t + 1] for t in range(len(values))]
    mean = [sum(w) / len(w) for w in windows]
    deviation = [
        np.sqrt(sum((x - m) ** 2 for x in w) / (len(w) - 1)) if len(w) > 1 else np.nan
        for w, m in zip(windows, mean, strict=True)
    ]
    return np.array(mean), np.array(deviation)


@pytest.mark.parametrize("rows", [2, 3, 7, 30, 500])
def test_rolling_moments_are_those_of_the_trailing_window(rows):
    values = np.random.default_rng(rows).normal(3.0, 2.0, 200)
    mean, deviation = rolling_moments(values, rows)
    expected_mean, expected_deviation = two_pass(values, rows)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-12)
    np.testing.assert_allclose(deviation, expected_deviation, rtol=1e-12)


@pytest.mark.parametrize("at", range(100, 130))
def test_a_spike_leaves_no_rounding_behind_when_it_leaves_the_window(at):
    values = np.random.default_rng(0).normal(0.0, 1e-6, 300)
    values[at] = 0.5
    _, deviation = rolling_moments(values, 30)
    np.testing.assert_allclose(deviation, two_pass(values, 30)[1], rtol=1e-12)


def test_equal_rows_deviate_by_exactly_zero():
    values = np.full(100, 0.1)
    values[:20] = np.random.default_rng(1).normal(size=20)
    mean, deviation = rolling_moments(values, 10)
    assert (deviation[30:] == 0.0).all()
    assert (mean[30:] == 0.1).all()


@pytest.mark.parametrize("rows", [2, 5, 30])
def test_rolling_moments_of_a_prefix_are_bit_equal(rows):
    rng = np.random.default_rng(rows)
    values = rng.normal(size=300)
    whole = rolling_moments(values, rows)
    for cut in rng.integers(0, 300, 40):
        for part, full in zip(rolling_moments(values[:cut], rows), whole, strict=True):
            np.testing.assert_array_equal(part, full[:cut])


def test_a_series_begins_at_its_first_number():
    values = np.array([np.nan, np.nan, 1.0, 3.0, 5.0])
    mean, deviation = rolling_moments(values, 2)
    np.testing.assert_array_equal(mean, [np.nan, np.nan, 1.0, 2.0, 4.0])
    np.testing.assert_array_equal(deviation, [np.nan, np.nan, np.nan, np.sqrt(2.0), np.sqrt(2.0)])


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_a_hole_in_the_middle_is_refused_with_its_row(hole):
    with pytest.raises(PolicyError, match="row 3 is"):
        rolling_moments(np.array([np.nan, 1.0, 2.0, hole, 4.0]), 2)


def test_zscore_is_the_distance_to_the_mean_in_deviations():
    np.testing.assert_allclose(
        rolling_zscore([1.0, 2.0, 3.0, 3.0, 3.0], 3), [np.nan, np.nan, 1.0, 1 / np.sqrt(3), np.nan]
    )


def test_previous_extremes_leave_the_current_bar_out():
    values = np.array([1.0, 5.0, 2.0, 9.0, 0.0])
    np.testing.assert_array_equal(previous_high(values, 2), [np.nan, np.nan, 5.0, 5.0, 9.0])
    np.testing.assert_array_equal(previous_low(values, 2), [np.nan, np.nan, 1.0, 2.0, 2.0])


def test_rate_of_change_compares_with_the_row_that_many_bars_before():
    np.testing.assert_array_equal(rate_of_change([1.0, 2.0, 3.0, 1.0], 2), [np.nan, np.nan, 2.0, -0.5])
    np.testing.assert_array_equal(rate_of_change([1.0, 2.0], 5), [np.nan, np.nan])


@pytest.mark.parametrize("rows", [1, 0, -3, 2.5, True, "9"])
def test_a_window_that_is_no_whole_number_of_bars_is_refused(rows):
    with pytest.raises(PolicyError, match="whole number of bars"):
        rolling_moments(np.arange(5.0), rows)
