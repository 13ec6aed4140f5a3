"""The rows of a replay: which of them end a day, which is open at a time, and what they show of the calendar."""

import numpy as np
import pytest

from wfbt.data.market import DAY, HOUR, MINUTE, Bars, Instrument, Market
from wfbt.engine.clock import clock_of
from wfbt.ledger.metrics import trading_calendar

STARTS = (0, 17 * MINUTE, -40 * DAY, 3 * DAY + 12 * HOUR)


def market(opens, period):
    ones = np.ones(len(opens))
    bars = Bars(symbol="X", period=period, open_ts=opens, open=ones, high=ones, low=ones, close=ones, volume=ones)
    return Market(instruments=(Instrument(bars=bars),), digest="")


def clocks():
    rng = np.random.default_rng(5)
    for period in (MINUTE, HOUR, 7 * HOUR, DAY, 3 * DAY):
        for start in STARTS:
            even = start + np.arange(400) * period
            yield period, even
            yield period, even[rng.random(400) < 0.8]
            yield period, np.delete(even, slice(50, 300))
            yield period, even[:1]


@pytest.mark.parametrize(("period", "opens"), list(clocks()))
def test_a_day_ends_with_the_last_row_that_closes_in_it_and_a_midnight_close_belongs_to_it(period, opens):
    day = (opens + period - 1) // DAY
    expected = np.flatnonzero(np.append(day[1:] != day[:-1], True))
    assert clock_of(market(opens, period)).day_rows().tolist() == expected.tolist()


@pytest.mark.parametrize(("period", "opens"), list(clocks()))
def test_an_even_clock_and_a_search_agree_on_the_row_that_is_open(period, opens):
    clock = clock_of(market(opens, period))
    closes = opens + period
    times = np.concatenate([closes, closes - 1, closes + 1, [closes[0] - 9 * DAY, closes[-1] + 9 * DAY]])
    assert clock.closed_by(times).tolist() == np.searchsorted(closes, times, side="right").tolist()
    assert (clock.step > 0) == (len(np.unique(np.diff(opens))) == 0 or set(np.diff(opens).tolist()) == {period})


@pytest.mark.parametrize(("period", "opens"), list(clocks()))
def test_the_days_of_an_even_clock_show_the_same_calendar_as_its_closes(period, opens):
    clock = clock_of(market(opens, period))
    assert clock.calendar(clock.day_rows()) == trading_calendar(opens + period)
