"""Days and correlations that exposure limits judge by, and volumes that cap fills."""

import numpy as np
import pytest

from wfbt.data.market import DAY, HOUR, MINUTE
from wfbt.engine.activity import annual_volatility, days_ended, hourly_volume
from wfbt.engine.exposure import Cap, Exposure, daily_marks_returns, trailing_correlations
from wfbt.errors import ConfigError
from wfbt.kernels.abi import Act, Bound


def test_correlations_are_those_of_the_days_that_two_symbols_share():
    rng = np.random.default_rng(1)
    days = rng.normal(size=(120, 3))
    days[:, 1] += days[:, 0]
    days[:50, 2] = np.nan
    known = trailing_correlations(days, window=90)
    assert known[100][0, 1] == pytest.approx(np.corrcoef(days[10:100, 0], days[10:100, 1])[0, 1], rel=1e-12)
    assert known[100][0, 2] == pytest.approx(np.corrcoef(days[50:100, 0], days[50:100, 2])[0, 1], rel=1e-12)
    assert np.isnan(known[79][0, 2]) and not np.isnan(known[80][0, 2])
    assert np.isnan(known[29]).all()


def test_correlations_of_k_days_know_nothing_of_the_next():
    rng = np.random.default_rng(2)
    days = rng.normal(size=(80, 2))
    other = days.copy()
    other[60:] = rng.normal(size=(20, 2))
    np.testing.assert_array_equal(trailing_correlations(days, 50)[:61], trailing_correlations(other, 50)[:61])


def test_daily_returns_are_from_one_day_s_end_to_the_next():
    marks = np.array([[10.0], [11.0], [12.0], [9.0], [18.0]])
    np.testing.assert_allclose(daily_marks_returns(marks, np.array([1, 3, 4]))[:, 0], [np.nan, 9 / 11 - 1, 1.0])


def test_the_hour_s_volume_adds_up_inside_the_hour_and_begins_anew_with_the_next():
    open_ts = 2 * HOUR + np.arange(8) * 20 * MINUTE
    traded = np.arange(1.0, 9.0).reshape(-1, 1)
    assert hourly_volume(traded, open_ts)[:, 0].tolist() == [1, 3, 6, 4, 9, 15, 7, 15]


def test_a_row_of_a_day_is_an_hour_of_its_own():
    traded = np.array([[5.0], [7.0]])
    assert hourly_volume(traded, np.array([0, DAY]))[:, 0].tolist() == [5.0, 7.0]


def test_a_day_has_ended_at_its_last_close():
    assert days_ended(5, np.array([1, 3])).tolist() == [0, 1, 1, 2, 2]


def test_volatility_a_year_grows_with_the_root_of_time():
    assert annual_volatility(np.array([[0.02]]), DAY, 365.0)[0, 0] == pytest.approx(0.02 * 365**0.5)


def test_limits_are_judged_in_one_order_and_off_unless_given():
    bounds = Exposure(gross=Cap(2.0), cvar=Cap(0.08, "flatten")).bounds()
    assert bounds[Bound.GROSS]["most"] == 2.0 and bounds[Bound.CVAR]["act"] == Act.FLATTEN
    assert np.isinf(bounds["most"]).sum() == len(Bound) - 2
    with pytest.raises(ConfigError, match="refuse or flatten"):
        Cap(1.0, "ignore")
