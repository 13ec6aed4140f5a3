"""Whether a forecast of volatility is judged as the literature judges it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfbt.features.forecast import Volatility
from wfbt.validation.forecasts import RANGE_OF_SIGMA, mincer_zarnowitz, qlike, sampled

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def truth(rows=4_000, seed=0):
    """A variance that moves, and a chi-squared proxy of it whose mean it is."""
    rng = np.random.default_rng(seed)
    variance = 0.3 * np.exp(np.sin(np.arange(rows) / 50))
    return variance, variance * rng.chisquare(24, rows) / 24


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.floats(0.2, 5.0))
def test_no_multiple_of_a_forecast_loses_less_than_the_one_whose_mean_ratio_is_one(multiple):
    variance, seen = truth()
    best = variance * np.mean(seen / variance)
    assert qlike(seen, multiple * best) >= qlike(seen, best)


def test_the_true_variance_loses_less_than_any_other_although_only_a_proxy_is_seen():
    variance, seen = truth()
    rng = np.random.default_rng(1)
    for other in (1.2 * variance, 0.8 * variance, variance * np.exp(rng.normal(0, 0.1, 4_000)), variance[::-1]):
        assert qlike(seen, variance) < qlike(seen, other)


def test_qlike_is_zero_for_a_perfect_forecast_and_punishes_too_low_more_than_too_high():
    one = np.ones(3)
    assert qlike(one, one) == 0.0
    assert qlike(one, 0.5 * one) == pytest.approx(2 - np.log(2) - 1)
    assert qlike(one, 2 * one) == pytest.approx(0.5 + np.log(2) - 1)
    assert qlike(one, 0.5 * one) > qlike(one, 2 * one)


def test_a_perfect_forecast_has_alpha_0_beta_1_and_nothing_left_to_test():
    variance, _ = truth(200)
    found = mincer_zarnowitz(variance, variance)
    assert found.alpha == pytest.approx(0.0, abs=1e-12)
    assert found.beta == pytest.approx(1.0, abs=1e-12)
    assert found.r2 == pytest.approx(1.0)
    assert found.p is None


def test_an_unbiased_forecast_is_rejected_as_often_as_its_level_says():
    p = [mincer_zarnowitz(seen, variance).p for variance, seen in (truth(1_000, seed) for seed in range(200))]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.11


def test_a_biased_forecast_is_found_out():
    variance, seen = truth()
    found = mincer_zarnowitz(seen, 2.0 * variance + 0.1)
    assert found.beta == pytest.approx(0.5, abs=0.03)
    assert found.alpha == pytest.approx(-0.05, abs=0.02)
    assert found.p < 1e-6


def test_the_errors_of_the_regression_are_newey_wests():
    """The Wald statistic written out: (b − b0)' V⁻¹ (b − b0), V of Bartlett-weighted products of the scores."""
    variance, seen = truth(300)
    found = mincer_zarnowitz(seen, variance)
    assert found.lags == int(4 * 3 ** (2 / 9))
    design = np.column_stack([np.ones(300), variance])
    b, *_ = np.linalg.lstsq(design, seen)
    scores = design * (seen - design @ b)[:, None]
    meat = scores.T @ scores
    for lag in range(1, found.lags + 1):
        cross = scores[lag:].T @ scores[:-lag]
        meat += (1 - lag / (found.lags + 1)) * (cross + cross.T)
    bread = np.linalg.inv(design.T @ design)
    off = b - [0.0, 1.0]
    wald = off @ np.linalg.inv(bread @ meat @ bread) @ off
    assert found.p == pytest.approx(np.exp(-wald / 2), rel=1e-6)  # the tail of a chi-squared with two degrees
    assert [found.alpha, found.beta] == pytest.approx(b.tolist())


def test_a_forecast_that_never_moves_has_no_regression():
    _, seen = truth(100)
    assert mincer_zarnowitz(seen, np.full(100, 0.3)) is None


def stage(close, high=1.01, low=0.99):
    closes = np.arange(1, len(close) + 1) * HOUR
    index = pd.DatetimeIndex(pd.to_datetime(closes, unit="ns", utc=True))
    columns = {"high": close * high, "low": close * low, "close": close, "volume": np.ones(len(close))}
    asked = Volatility(model="har", dist=None, horizon=4 * HOUR, period=HOUR, days_a_year=365.0, closes={"X": closes})
    return pd.DataFrame(columns, index=index), closes, asked


def test_realised_is_the_sum_of_squared_returns_of_horizons_that_do_not_overlap():
    rng = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 100)))
    frame, closes, asked = stage(close)
    forecast = rng.uniform(0.2, 0.9, 100)
    blocks = [(int(closes[40]), int(closes[50])), (int(closes[60]), int(closes[99]))]
    found = sampled(frame, forecast, blocks, asked, 14)
    at = [40, 44, 48, *range(60, 96, 4)]  # at row 96 the data end before the horizon does
    assert found.ts.tolist() == closes[at].tolist()
    expected = [sum(np.log(close[i + 1] / close[i]) ** 2 for i in range(t, t + 4)) / 4 * 365 * 24 for t in at]
    np.testing.assert_allclose(found.realised, expected, rtol=1e-9)
    np.testing.assert_array_equal(found.model, forecast[at] ** 2)
    assert found.still == 0


def test_a_range_is_turned_into_the_deviation_of_the_walk_that_made_it():
    """Hours of a fine random walk: their mean range over the deviation of an hour is √(8/π)."""
    rng = np.random.default_rng(2)
    walk = np.cumsum(rng.normal(0, 0.01 / np.sqrt(2_000), (4_000, 2_000)), axis=1)
    ranges = np.maximum(walk.max(axis=1), 0.0) - np.minimum(walk.min(axis=1), 0.0)
    assert ranges.mean() / 0.01 == pytest.approx(RANGE_OF_SIGMA, rel=0.03)
    assert abs(RANGE_OF_SIGMA - 1.5957691216) < 1e-9


def test_horizons_in_which_nothing_moved_are_counted_and_left_out():
    close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 100)))
    close[60:70] = close[60]
    frame, closes, asked = stage(close)
    found = sampled(frame, np.full(100, 0.5), [(int(closes[40]), int(closes[99]))], asked, 14)
    assert found.still == 2
    assert not set(closes[[60, 64]]) & set(found.ts)
