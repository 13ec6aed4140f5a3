"""Slices of TWAP and VWAP orders."""

import numpy as np
import pytest

import wfbt
from wfbt.data.market import DAY, HOUR
from wfbt.engine.orders import Orders, Schedule
from wfbt.engine.schedule import even_slices, volume_slices
from wfbt.errors import ConfigError


def hours(volume):
    rows = len(volume)
    price = np.full(rows, 100.0)
    return wfbt.Bars(
        symbol="X", period=HOUR, open_ts=np.arange(rows) * HOUR, open=price, high=price, low=price, close=price,
        volume=np.asarray(volume, float),
    )  # fmt: skip


def test_twap_slices_are_equal_and_evenly_spaced():
    slices = even_slices(np.array([5 * HOUR]), Schedule.twap(over=4 * HOUR, slices=4))[0]
    assert slices["ts"].tolist() == [5 * HOUR, 6 * HOUR, 7 * HOUR, 8 * HOUR]
    assert slices["share"].tolist() == [0.25, 0.5, 0.75, 1.0]


def test_vwap_slices_follow_a_known_daily_profile():
    profile = np.arange(1.0, 25.0)
    bars = hours(np.tile(profile, 10))
    at = 5 * DAY + 3 * HOUR
    slices = volume_slices(np.array([at]), np.array([at]), bars, Schedule.vwap(over=4 * HOUR, slices=4))[0]
    due = profile[3:7]
    np.testing.assert_allclose(slices["share"], np.cumsum(due) / due.sum(), rtol=1e-12)


def test_a_vwap_over_midnight_follows_the_profile_round_the_clock():
    profile = np.arange(1.0, 25.0)
    at = 5 * DAY + 22 * HOUR
    slices = volume_slices(
        np.array([at]), np.array([at]), hours(np.tile(profile, 10)), Schedule.vwap(over=4 * HOUR, slices=4)
    )[0]
    due = profile[[22, 23, 0, 1]]
    np.testing.assert_allclose(slices["share"], np.cumsum(due) / due.sum(), rtol=1e-12)


def test_a_vwap_knows_no_volume_after_its_decision():
    rng = np.random.default_rng(0)
    volume = rng.uniform(1, 9, 240)
    later = volume.copy()
    later[5 * 24 :] = rng.uniform(1, 9, 240 - 5 * 24)
    at = np.array([5 * DAY + 7 * HOUR])
    schedule = Schedule.vwap(over=6 * HOUR, slices=5, profile=3 * DAY)
    assert (
        volume_slices(at, at, hours(volume), schedule).tobytes()
        == volume_slices(at, at, hours(later), schedule).tobytes()
    )


def test_without_a_whole_day_of_history_a_vwap_is_a_twap():
    at = np.array([7 * HOUR])
    schedule = Schedule.vwap(over=4 * HOUR, slices=4)
    slices = volume_slices(at, at, hours(np.arange(1.0, 49.0)), schedule)
    np.testing.assert_array_equal(slices["share"], even_slices(at, schedule)["share"])


def test_an_order_that_waits_needs_an_end_of_the_queue():
    with pytest.raises(ConfigError, match="max_open"):
        Orders(min_interval=1, max_open=None)
    with pytest.raises(ConfigError, match="exclude each other"):
        Orders(post_only=True, schedule=Schedule.pov(0.1))
