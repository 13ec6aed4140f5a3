"""A weekly pattern is what a series habitually shows, and no excuse for what it has lost."""

import numpy as np
import pytest

from tests.data.parquet import START
from wfbt.data import week
from wfbt.data.market import DAY, HOUR, MINUTE


def missing(ts, period):
    pattern = week.learn(ts, period)
    return pattern.expected(ts) - pattern.present(ts)


def test_a_market_without_closes_promises_every_bar():
    ts = START + HOUR * np.arange(24 * 100)
    pattern = week.learn(ts, HOUR)
    assert pattern.expected(ts) == pattern.present(ts) == 2400


def test_nights_and_weekends_are_not_missing():
    ts = START + MINUTE * np.arange(60 * 24 * 7 * 8)
    day, minute = (ts - START) // DAY % 7, ts % DAY // MINUTE
    session = ts[(day < 5) & (minute >= 14 * 60 + 30) & (minute < 21 * 60)]
    assert missing(session, MINUTE) == 0
    lost = np.delete(session, np.arange(1000, 1600))
    assert missing(lost, MINUTE) == 600


def test_weekdays_alone_are_a_daily_market_and_its_holidays_are_missing():
    ts = START + DAY * np.arange(7 * 52)
    weekdays = ts[(ts - START) // DAY % 7 < 5]
    assert missing(weekdays, DAY) == 0
    assert missing(np.delete(weekdays, [50, 100, 101]), DAY) == 3


@pytest.mark.parametrize(("clock", "begins"), [("US", "2024-03-10T07"), ("EU", "2024-03-31T01")])
def test_a_break_that_follows_summer_time_is_recognised(clock, begins):
    ts = START + HOUR * np.arange(24 * 364)
    start = np.datetime64(begins, "ns").astype(np.int64)
    end = np.datetime64({"US": "2024-11-03T06", "EU": "2024-10-27T01"}[clock], "ns").astype(np.int64)
    local = ts + HOUR * ((ts >= start) & (ts < end))
    market = ts[local % DAY // HOUR != 22]
    assert week.learn(market, HOUR).clock == clock
    assert missing(market, HOUR) == 0


def test_one_week_shows_no_habit_of_its_own_hours():
    ts = START + HOUR * np.arange(24 * 5)
    assert missing(np.delete(ts, np.arange(30, 40)), HOUR) == 10


def test_absent_bars_of_all_gaps_are_the_missing_ones():
    rng = np.random.default_rng(2)
    ts = START + MINUTE * np.flatnonzero(rng.random(60 * 24 * 30) > 0.3)
    pattern = week.learn(ts, MINUTE)
    assert pattern.absent(ts[:-1], ts[1:]).sum() == missing(ts, MINUTE) > 0


@pytest.mark.parametrize("period", [1_000_000_000, 7 * MINUTE, 5 * DAY])
def test_periods_that_do_not_tile_the_week_by_minutes_miss_what_is_absent(period):
    ts = START + period * np.arange(5000)
    pattern = week.learn(ts, period)
    assert missing(ts, period) == 0
    assert pattern.absent(ts[[10]], ts[[10 + 4]]).tolist() == [3]
