"""What regimes of a market are learnt from, and what a rule sees of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from wfbt.data.market import HOUR
from wfbt.errors import PolicyError
from wfbt.features.learners import learn, training_frames
from wfbt.features.market_regimes import (
    RegimeLearner,
    RegimePlan,
    clock_of,
    find,
    mean_returns,
    observations,
)

ROWS = 3000
PLAN = RegimePlan()


def frame(close, rows=None, start=0):
    rows = np.arange(len(close)) if rows is None else rows
    index = pd.DatetimeIndex(pd.to_datetime(start + (rows + 1) * HOUR, unit="ns", utc=True), name="ts")
    return pd.DataFrame({"close": np.asarray(close, float)}, index=index)


def walk(seed, rows=ROWS):
    """A price that moves little, some and much by turns of 250 bars."""
    rng = np.random.default_rng(seed)
    sigma = np.array([0.002, 0.006, 0.02])[np.arange(rows) // 250 % 3]
    return 100 * np.exp(np.cumsum(sigma * rng.normal(size=rows)))


@pytest.fixture(scope="module")
def frames():
    return {"A": frame(walk(1)), "B": frame(walk(2))}


def learner(frames, **options):
    return RegimeLearner(plan=replace(PLAN, **options), clock=clock_of(frames))


def columns(frames, train, **options):
    one = learner(frames, **options)
    return one.fit(training_frames(frames, train)).columns(frames)


def test_a_market_moves_by_the_mean_return_of_the_symbols_that_have_a_bar():
    """B is listed at the third bar and misses the fifth; the sixth is measured from its own last close."""
    a = frame([100.0, 110.0, 110.0, 99.0, 99.0, 108.9])
    b = frame([50.0, 55.0, 66.0], np.array([2, 3, 5]))
    clock, returns = mean_returns({"A": a, "B": b})
    np.testing.assert_array_equal(clock, (np.arange(6) + 1) * HOUR)
    up, down = np.log(1.1), np.log(0.9)
    expected = [np.nan, up, 0.0, (up + down) / 2, 0.0, (up + np.log(1.2)) / 2]
    np.testing.assert_allclose(returns, expected, atol=1e-15)


def test_what_is_observed_is_the_return_and_the_volatility_of_the_window():
    returns = np.array([np.nan, 0.01, -0.02, 0.02, 0.0, 0.0, 0.0])
    seen = observations(replace(PLAN, window=3), returns)
    assert np.isnan(seen[:3]).all()
    np.testing.assert_array_equal(seen[3:, 0], returns[3:])
    np.testing.assert_allclose(seen[3, 1], np.log(np.sqrt((0.01**2 + 0.02**2 + 0.02**2) / 3)), rtol=1e-14)
    assert np.isfinite(seen[6]).all()  # nothing moved for a whole window
    assert np.isnan(observations(replace(PLAN, window=10), returns)).all()
    np.testing.assert_array_equal(observations(replace(PLAN, window=None), returns), returns[:, None])


def test_a_rule_sees_the_number_of_the_regime_and_each_probability(frames):
    seen = columns(frames, clock_of(frames)[:2000])
    assert set(seen) == {"A", "B"}
    assert list(seen["A"]) == ["regime", "regime_calm", "regime_normal", "regime_turbulent"]
    weights = np.stack([seen["A"][name] for name in list(seen["A"])[1:]], axis=1)
    assert np.isnan(weights[:24]).all() and not np.isnan(weights[24:]).any()
    np.testing.assert_allclose(weights[24:].sum(axis=1), 1.0)
    np.testing.assert_array_equal(seen["A"]["regime"][24:], weights[24:].argmax(axis=1))
    truth = np.arange(ROWS) // 250 % 3
    assert np.mean(seen["A"]["regime"][2000:] == truth[2000:]) > 0.85
    np.testing.assert_array_equal(seen["A"]["regime"], seen["B"]["regime"])


def test_each_symbol_may_have_a_regime_of_its_own():
    """Of two symbols that are never turbulent at once, each has its own turbulence."""
    quiet = walk(1)
    frames = {"A": frame(quiet), "B": frame(quiet[::-1])}
    seen = columns(frames, clock_of(frames)[:2000], of="own")
    assert (seen["A"]["regime"][24:] != seen["B"]["regime"][24:]).mean() > 0.3
    alone = columns({"A": frames["A"]}, clock_of(frames)[:2000], of="own")
    np.testing.assert_array_equal(alone["A"]["regime"], seen["A"]["regime"])


@pytest.mark.parametrize("options", [{}, {"of": "own"}, {"model": "kmeans"}, {"model": "kmeans", "by": "mean"}])
def test_the_future_does_not_change_what_a_rule_sees_of_the_past(frames, options):
    train, cut = clock_of(frames)[:1500], 1700
    rng = np.random.default_rng(0)
    altered = {
        symbol: frame(np.append(one["close"][:cut], one["close"].iloc[cut - 1] * rng.uniform(0.5, 2.0, ROWS - cut)))
        for symbol, one in frames.items()
    }
    cropped = {symbol: one.iloc[:cut] for symbol, one in frames.items()}
    whole = columns(frames, train, **options)
    for other in (altered, cropped):
        for symbol, told in columns(other, train, **options).items():
            for name, column in told.items():
                np.testing.assert_array_equal(column[:cut], whole[symbol][name][:cut])


def test_the_rows_that_were_read_are_the_training_rows(frames):
    train = clock_of(frames)[100:1600]
    joined, fits, _ = learn([learner(frames)], frames, train)
    assert [(one.what, one.symbol) for one in fits] == [("regimes", "A"), ("regimes", "B")]
    for one in fits:
        np.testing.assert_array_equal(one.rows, train)
    assert "regime_turbulent" in joined["A"]
    with pytest.raises(PolicyError, match="no training rows"):
        fits[0].check(train[1:])


def test_nothing_is_learnt_from_the_rows_between_two_training_blocks(frames):
    """What happens between them moves the price of the second block, and neither a return nor a state crosses over."""
    train = np.concatenate([clock_of(frames)[:1000], clock_of(frames)[1500:2500]])
    close = frames["A"]["close"].to_numpy().copy()
    close[1000:] *= 7.0
    close[1000:1500] *= np.linspace(0.1, 3.0, 500)
    one = {"A": frames["A"]}
    fitted = [
        learner(some).fit(training_frames(some, train)).found["market"].regimes.fitted
        for some in (one, {"A": frame(close)})
    ]
    np.testing.assert_allclose(fitted[0].mean, fitted[1].mean, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(fitted[0].transition, fitted[1].transition, rtol=1e-5, atol=1e-9)


def test_a_missing_bar_of_one_symbol_does_not_part_the_training_rows(frames):
    rows = np.delete(np.arange(ROWS), [700, 701])
    holed = {"A": frames["A"], "B": frame(walk(2)[rows], rows)}
    found = learner(holed).fit(training_frames(holed, clock_of(holed)[:1500])).found["market"]
    whole = learner(frames).fit(training_frames(frames, clock_of(frames)[:1500])).found["market"]
    np.testing.assert_allclose(found.regimes.fitted.mean, whole.regimes.fitted.mean, rtol=0.2)
    assert len(found.notes) == 0


def test_of_very_many_training_rows_the_last_are_read(frames, monkeypatch):
    monkeypatch.setattr("wfbt.features.market_regimes.MOST_ROWS", 1200)
    clock = clock_of(frames)
    few = learner(frames).fit(training_frames(frames, clock[:2000]))
    assert few.fits[0].notes == ("learnt from the last 1,200 of 2,000 training rows",)
    np.testing.assert_array_equal(few.fits[0].rows, clock[800:2000])
    same = learner(frames).fit(training_frames(frames, clock[800:2000]))
    np.testing.assert_array_equal(few.found["market"].regimes.fitted.mean, same.found["market"].regimes.fitted.mean)


def test_fewer_states_keep_their_names_and_say_why():
    """Two volatilities, and a few shocks of the louder one that are no third regime."""
    rng = np.random.default_rng(3)
    loud = np.arange(4000) // 400 % 2 == 1
    x = np.where(loud, 0.02, 0.002) * rng.normal(size=4000)
    x[loud & (np.arange(4000) % 50 == 0)] *= 12.0
    found = find(replace(PLAN, window=None), x[:, None], [4000])
    weights = found.weights(x[:, None])
    assert found.regimes.names == ("calm", "turbulent")
    assert found.notes[0].startswith("3 states were not kept: turbulent holds ")
    assert np.mean(weights.argmax(axis=1) == np.where(loud, 2, 0)) > 0.95
    assert weights.shape == (4000, 3)
    np.testing.assert_array_equal(weights[:, 1], 0.0)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)


def test_where_nothing_can_be_learnt_nothing_is_known_and_the_reason_stands_beside_the_rows(frames):
    train = clock_of(frames)[:150]
    joined, fits, _ = learn([learner(frames)], frames, train)
    assert joined["A"][["regime", "regime_calm"]].isna().all().all()
    assert fits[0].notes[0] == "3 states were not kept: 126 training rows are fewer than 100 for each state"
    assert fits[0].notes[-1] == "no regimes"
    still = {"A": frame(np.full(ROWS, 100.0))}
    _, fits, _ = learn([learner(still)], still, clock_of(still)[:1000])
    assert "does not vary" in fits[0].notes[0]
