"""Rules on an exogenous series, against twins that walk one bar after another."""

from pathlib import Path

import numpy as np
import pytest

from wfbt.errors import PolicyError
from wfbt.policy.base import evaluate, load_rule


def run(name, frame, **params):
    return evaluate(load_rule(name, Path()), {"BTC": frame}, params)["BTC"].target


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_divergence_is_its_description_step_by_step(newsy, seed):
    frame = newsy(1500, seed=seed)
    frame.loc[frame.index[700:760], "news"] = np.nan  # not believed any more
    close, news = frame["close"].to_numpy(), frame["news"].to_numpy()
    side, met, expected = 0.0, -1, []
    for t in range(len(close)):
        if t < 6:
            expected.append(np.nan)
            continue
        if (side > 0 and news[t] > 0.4) or (side < 0 and news[t] < -0.5):
            side = 0.0
        if news[t] < -0.5 and close[t] >= close[t - 6]:
            side, met = 1.0, t
        if news[t] > 0.4 and close[t] <= close[t - 6]:
            side, met = -1.0, t
        if t - met >= 5:
            side = 0.0
        expected.append(side)
    np.testing.assert_array_equal(run("divergence", frame, bad=-0.5, good=0.4, n=6, hold=5), expected)
    assert {-1.0, 0.0, 1.0} <= set(expected)


def test_bad_news_that_pushes_the_price_down_is_not_bought(newsy):
    frame = newsy(40, seed=1).assign(news=-0.9)
    falling = frame.assign(close=np.linspace(100, 60, 40))
    assert set(run("divergence", falling, n=5)[5:]) == {0.0}
    assert set(run("divergence", frame.assign(close=100.0), n=5)[5:]) == {1.0}


def test_sentiment_sides_with_the_mood_and_is_flat_where_it_is_not_known_any_more(newsy):
    frame = newsy(6, seed=1).assign(news=[np.nan, -0.4, -0.3, 0.4, np.nan, -0.9])
    np.testing.assert_array_equal(run("sentiment", frame), [np.nan, -1.0, 0.0, 1.0, 0.0, -1.0])


@pytest.mark.parametrize("name", ["divergence", "sentiment"])
def test_an_absent_series_names_the_entry_it_needs(newsy, name):
    frame = newsy(40, seed=1).rename(columns={"news": "news_mood"})
    wanted = rf"{name}: BTC: there is no column news.*needs the entry data\.series\.news.*news_mood"
    with pytest.raises(PolicyError, match=wanted):
        run(name, frame)
    assert np.isfinite(run(name, frame, series="news_mood")[30:]).all()


def test_a_series_that_is_never_known_is_refused(newsy):
    with pytest.raises(PolicyError, match="news is known at no bar; look at the times and the delay"):
        run("sentiment", newsy(40, seed=1).assign(news=np.nan))
