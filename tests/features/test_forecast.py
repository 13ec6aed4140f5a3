"""The volatility learner: what it reads of a fold, what it puts out, and what stands in where nothing can be fitted."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from wfbt.features.forecast import TRAILING, Volatility, bar_returns, times_of
from wfbt.features.learners import learn, training_frames
from wfbt.features.volatility import trailing_sigma_volume

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
ROWS = 3_000
CLOSES = np.arange(1, ROWS + 1) * HOUR
MODELS = [("garch", "normal"), ("gjr-garch", "t"), ("egarch", "skewt"), ("har", None)]
TRAIN = CLOSES[400:2_000]


def frame(seed=0, closes=CLOSES):
    """Bars whose volatility comes and goes."""
    rng = np.random.default_rng(seed)
    waves = 0.004 * np.exp(0.7 * np.sin(np.arange(len(closes)) / 60) + 0.3 * rng.normal(size=len(closes)))
    close = 100 * np.exp(np.cumsum(waves * rng.normal(size=len(closes))))
    index = pd.DatetimeIndex(pd.to_datetime(closes, unit="ns", utc=True), name="ts")
    return pd.DataFrame({"close": close, "volume": np.ones(len(closes))}, index=index)


def asked(model="gjr-garch", dist="t", horizon=DAY, closes=CLOSES, days=365.0):
    return Volatility(
        model=model, dist=dist, horizon=horizon, period=HOUR, days_a_year=days, closes={"X": closes, "Y": closes}
    )


def column(learner, frames, train=TRAIN):
    joined, fits, _ = learn([learner], frames, train)
    return joined["X"]["volatility"].to_numpy(), fits


@pytest.mark.parametrize(("model", "dist"), MODELS)
def test_what_happens_on_test_rows_changes_no_parameter_and_no_earlier_forecast(model, dist):
    given = frame()
    column_, (fit,) = column(asked(model, dist), {"X": given})
    rng = np.random.default_rng(1)
    for cut in (2_000, 2_300, 2_990):
        altered = given.copy()
        altered.loc[altered.index[cut:], "close"] = rng.uniform(1, 1e6, ROWS - cut)
        again, (other,) = column(asked(model, dist), {"X": altered})
        assert dict(other.params) == dict(fit.params)
        assert_array_equal(again[:cut], column_[:cut])
        prefix, _ = column(asked(model, dist), {"X": given.iloc[:cut]})
        assert_array_equal(prefix, column_[:cut])


@pytest.mark.parametrize(("model", "dist"), MODELS)
def test_what_happens_on_training_rows_changes_the_parameters(model, dist):
    _, (fit,) = column(asked(model, dist), {"X": frame()})
    altered = frame()
    altered.loc[altered.index[1_000:], "close"] *= 1.05
    _, (other,) = column(asked(model, dist), {"X": altered})
    assert dict(other.params) != dict(fit.params)
    assert_array_equal(fit.rows, TRAIN)


def test_a_forecast_is_a_volatility_a_year():
    flat = frame()
    rng = np.random.default_rng(4)
    flat["close"] = 100 * np.exp(np.cumsum(rng.normal(0, 0.005, ROWS)))
    expected = 0.005 * np.sqrt(365 * 24)
    for model, dist in MODELS:
        forecast, _ = column(asked(model, dist), {"X": flat})
        assert np.nanmedian(forecast) == pytest.approx(expected, rel=0.05)
    weekdays, _ = column(asked(days=252.0), {"X": flat})
    assert np.nanmedian(weekdays) == pytest.approx(expected * np.sqrt(252 / 365), rel=0.05)


def test_a_longer_horizon_forgets_more_of_today():
    day, _ = column(asked(horizon=DAY), {"X": frame()})
    week, _ = column(asked(horizon=7 * DAY), {"X": frame()})
    assert np.log(week).std() < 0.9 * np.log(day).std()


def test_a_horizon_is_in_whole_bars_and_at_least_one():
    assert asked(horizon=DAY).bars == 24
    assert asked(horizon=DAY + 1).bars == 25
    assert asked(horizon=HOUR // 2).bars == 1


@pytest.mark.parametrize(
    ("train", "why"),
    [
        (TRAIN[:200], "199 training returns are fewer than 250"),
        (TRAIN[:0], "0 training returns are fewer than 250"),
        (TRAIN[:1], "0 training returns are fewer than 250"),
    ],
)
def test_where_nothing_can_be_fitted_the_trailing_volatility_stands_in_and_the_fit_says_why(train, why):
    given = frame()
    forecast, (fit,) = column(asked(), {"X": given}, train)
    assert fit.model == TRAILING and dict(fit.params) == {} and fit.loglikelihood is None
    assert fit.notes == (f"{why}; the trailing volatility stands in",)
    sigma, _ = trailing_sigma_volume(given["close"], given["volume"], HOUR, DAY)
    assert_array_equal(forecast, sigma * np.sqrt(365.0))


def test_prices_that_stand_still_in_training_are_said_and_stood_in_for():
    given = frame()
    given.loc[given.index[400:2_000], "close"] = 100.0
    _, (fit,) = column(asked(), {"X": given})
    assert fit.notes == ("the price did not move on the training rows; the trailing volatility stands in",)


def test_one_symbol_without_a_fit_leaves_the_others_theirs():
    still = frame(1)
    still.loc[still.index[400:2_000], "close"] = 100.0
    _, fits = column(asked(), {"X": frame(), "Y": still})
    assert [(fit.symbol, fit.model) for fit in fits] == [("X", "gjr-garch"), ("Y", TRAILING)]


@pytest.mark.parametrize(("model", "dist"), MODELS)
def test_the_return_across_a_test_block_is_not_learnt_from(model, dist):
    """Training on both sides of rows [1200, 1400): where the price stands after them is not what moved before."""
    train = np.concatenate([CLOSES[:1_200], CLOSES[1_400:2_600]])
    _, (fit,) = column(asked(model, dist), {"X": frame()}, train)
    moved = frame()
    moved.loc[moved.index[1_400:], "close"] *= 3.0
    _, (other,) = column(asked(model, dist), {"X": moved}, train)
    assert fit.returns == other.returns == 1_199 + 1_199
    # Multiplied, prices keep their returns up to rounding; an optimiser stops somewhere else in the last digits.
    assert_allclose(list(other.params.values()), list(fit.params.values()), rtol=1e-3, atol=1e-6)
    assert fit.notes[-1] == "2 blocks of training rows are laid end to end"


def test_a_return_over_missing_bars_counts_as_that_many_bars_of_variance():
    times = np.array([1, 2, 6, 7]) * HOUR
    returns = bar_returns(np.array([100.0, 110.0, 220.0, 110.0]), times, HOUR)
    assert np.isnan(returns[0])
    assert_allclose(returns[1:], [np.log(1.1), np.log(2.0) / 2, -np.log(2.0)])


def test_missing_bars_inside_training_do_not_split_it():
    closes = np.delete(CLOSES, slice(900, 905))
    _, (fit,) = column(asked(closes=closes), {"X": frame(closes=closes)}, CLOSES[400:2_000])
    assert fit.returns == 1_594 and not any("blocks" in note for note in fit.notes)


def test_a_har_counts_its_day_by_the_rows_of_a_usual_day():
    """A market open eight hours a day has days of eight rows."""
    days = np.arange(0, 400) * DAY
    closes = (days[:, None] + np.arange(9, 17) * HOUR).ravel()
    learner = asked("har", None, closes=closes, days=252.0)
    given = frame(closes=closes)
    fitted = learner.fit(training_frames({"X": given}, closes[:2_000]))
    assert fitted.models["X"].windows == (8, 40, 176)


def test_the_same_rows_are_fitted_once(monkeypatch):
    from wfbt.features import forecast

    calls = []
    fit = forecast.fit_garch
    monkeypatch.setattr(forecast, "fit_garch", lambda *given: calls.append(1) or fit(*given))
    learner = asked()
    one, _ = column(learner, {"X": frame()})
    two, _ = column(learner, {"X": frame()})
    assert_array_equal(one, two)
    assert len(calls) == 1
    column(learner, {"X": frame(1)})
    assert len(calls) == 2


def test_closes_are_read_in_nanoseconds():
    given = frame()
    given.index = given.index.as_unit("s")
    assert_array_equal(times_of(given), CLOSES)
