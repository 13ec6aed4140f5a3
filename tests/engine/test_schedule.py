"""Slices of TWAP and VWAP orders."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

import wfbt
from wfbt.data.market import DAY, HOUR, MINUTE
from wfbt.engine.exposure import Cap, Exposure
from wfbt.engine.orders import Orders, Participation, Schedule
from wfbt.engine.schedule import coarse_note, even_slices, slices_of, volume_slices
from wfbt.engine.setup import setup_with
from wfbt.engine.tape import lay_out
from wfbt.errors import ConfigError

PRICES = ("open", "high", "low", "close")


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


def test_the_times_of_many_slices_of_a_long_order_do_not_overflow():
    """Steps times length would be beyond 64 bits."""
    schedule = Schedule.twap(over=30 * DAY, slices=7200)
    slices = even_slices(np.array([0]), schedule)[0]
    np.testing.assert_array_equal(slices["ts"], np.arange(7200) * (30 * DAY // 7200))
    shares = volume_slices(np.array([2 * DAY]), np.array([2 * DAY]), hours(np.ones(96)), schedule)[0]["share"]
    np.testing.assert_allclose(shares, np.arange(1, 7201) / 7200, rtol=1e-9)


def test_a_profile_costs_memory_by_the_day_and_not_by_the_decision():
    """A minute's profile for each of ten thousand decisions would be a hundred megabytes."""
    rows = 10_000
    bars = wfbt.Bars(
        symbol="X", period=MINUTE, open_ts=np.arange(rows) * MINUTE, **dict.fromkeys(PRICES, np.full(rows, 100.0)),
        volume=np.ones(rows),
    )  # fmt: skip
    at = bars.open_ts + MINUTE
    tracemalloc.start()
    volume_slices(at, at, bars, Schedule.vwap(over=HOUR, slices=4))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20e6


def test_slices_beyond_the_memory_are_refused_before_they_are_laid_out():
    tape = SimpleNamespace(open_ts=np.array([0]), close_ts=np.array([MINUTE]))
    market = SimpleNamespace(instruments=(None,))
    decisions = np.broadcast_to(0, 500_000)
    with pytest.raises(ConfigError, match=r"1440 slices for each of 500,000 decisions take 10\.7 GiB of memory"):
        slices_of(market, tape, decisions, Schedule.twap(over=DAY, slices=1440))


def test_slices_on_rows_longer_than_they_are_apart_are_told_of():
    tape = SimpleNamespace(open_ts=np.array([0, 1, 2]) * MINUTE, close_ts=np.array([1, 2, 62]) * MINUTE)
    assert coarse_note(tape, Schedule.twap(over=HOUR, slices=12)) == [
        "orders.schedule: slices are 5m apart, but 1 of 3 rows last 60m, on which several are one order"
    ]
    assert coarse_note(tape, Schedule.twap(over=2 * HOUR, slices=2)) == []


UNKNOWN = {
    "fills are not cut to it": {"costs": wfbt.Costs(participation=Participation())},
    "a limit that is only touched is not filled": {"orders": Orders(touch=0.1)},
    "limits.liquidity is not judged, fills are not cut to it": {
        "costs": wfbt.Costs(participation=Participation()),
        "limits": wfbt.Limits(exposure=Exposure(liquidity=Cap(1.0))),
    },
    "the parts of orders.schedule are equal": {"orders": Orders(schedule=Schedule.vwap(over=4 * HOUR, slices=4))},
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_an_unknown_volume_switches_off_is_told(what):
    bars = hours(np.ones(96))
    setup = setup_with(**UNKNOWN[what])
    for instrument in (wfbt.Instrument(bars=bars, volume="none"), wfbt.Instrument(bars=hours(np.zeros(96)))):
        notes = lay_out(wfbt.Market(instruments=(instrument,), digest=""), setup, 0).notes
        (told,) = [note for note in notes if "not in units" in note]
        prefix, _, off = told.rpartition(": ")
        assert prefix == "X: its volume is not in units and no adv is given"
        assert sorted(off.split(", ")) == sorted(what.split(", "))
    known = lay_out(wfbt.Market(instruments=(wfbt.Instrument(bars=bars),), digest=""), setup, 0)
    assert not [note for note in known.notes if "not in units" in note]


def test_a_share_of_a_volume_that_nobody_knows_is_refused():
    setup = setup_with(orders=Orders(schedule=Schedule.pov(0.1)))
    one = wfbt.Instrument(bars=hours(np.ones(96)), volume="none")
    with pytest.raises(ConfigError, match=r"X: orders\.schedule pov takes a share of the volume"):
        lay_out(wfbt.Market(instruments=(one,), digest=""), setup, 0)
    known = wfbt.Instrument(bars=hours(np.ones(96)), volume="none", adv=240.0)
    deck = lay_out(wfbt.Market(instruments=(known,), digest=""), setup, 0)
    np.testing.assert_allclose(deck.activity.traded, 10.0, rtol=1e-12)


def test_slices_belong_to_the_decision_on_execution_bars_too():
    """Orders decided at the close of each hour find their own slices, whatever the rows between."""
    coarse = hours(np.ones(48))
    fine_bars = wfbt.Bars(
        symbol="X", period=15 * MINUTE, open_ts=np.arange(48 * 4) * 15 * MINUTE,
        **dict.fromkeys(PRICES, np.full(48 * 4, 100.0)), volume=np.full(48 * 4, 0.25),
    )  # fmt: skip
    market = wfbt.Market(instruments=(wfbt.Instrument(bars=coarse, execution_bars=fine_bars),), digest="")
    target = np.where(np.arange(48) < 20, 0.0, 1.0)
    ledger = wfbt.backtest(
        market, target, costs=wfbt.Costs.none(), orders=Orders(schedule=Schedule.twap(over=2 * HOUR, slices=8))
    )
    assert ledger.fills["ts"].tolist() == [21 * HOUR + k * 15 * MINUTE for k in range(8)]
    np.testing.assert_allclose(ledger.fills["qty"], 125.0, rtol=1e-12)
    assert len(ledger.orders) == 1
