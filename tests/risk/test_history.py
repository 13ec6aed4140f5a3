"""What a simulation learns from: training rows alone, and labels that were known in time."""

import numpy as np
import pytest

from tests.risk.histories import HOUR, history
from wfbt.data.market import Bars, Series
from wfbt.errors import DataError
from wfbt.ledger.blocks import block_length
from wfbt.risk.history import History, labels_at_open, weather_block


def bars(symbol="X", rows=100, first=0, number=0):
    close = 100 * np.exp(np.cumsum(np.random.default_rng(number).normal(0, 0.01, rows)))
    return Bars(
        symbol=symbol, period=HOUR, open_ts=HOUR * np.arange(first, first + rows), open=close, high=close, low=close,
        close=close, volume=np.ones(rows),
    )  # fmt: skip


def test_a_return_needs_both_its_closes_among_the_training_rows():
    one = bars()
    train = np.r_[one.close_ts[:40], one.close_ts[60:]]
    found = History.of((one,), train)
    assert found.close_ts.tolist() == np.r_[one.close_ts[1:40], one.close_ts[61:]].tolist()
    assert found.returns[39, 0] == np.log(one.close[61] / one.close[60])
    assert found.read.tolist() == train.tolist()
    found.fits[0].check(train)


def test_what_lies_outside_training_changes_nothing():
    one = bars()
    close = one.close.copy()
    close[50:] *= 3
    other = Bars(
        symbol="X", period=HOUR, open_ts=one.open_ts, open=close, high=close, low=close, close=close, volume=one.volume
    )
    train = one.close_ts[:50]
    assert np.array_equal(History.of((one,), train).returns, History.of((other,), train).returns)


def test_symbols_share_the_rows_that_all_have():
    found = History.of((bars("X"), bars("Y", first=20, number=1)))
    assert found.symbols == ("X", "Y")
    assert found.close_ts.tolist() == (HOUR * np.arange(22, 101)).tolist()
    assert [one.symbol for one in found.fits] == ["X", "Y"]


def test_too_few_rows_and_dead_markets_are_said():
    with pytest.raises(DataError, match="X: 19 training returns; a simulation needs 30"):
        History.of((bars(rows=20),))
    with pytest.raises(DataError, match="all alike"):
        History(symbols=("X",), close_ts=np.arange(50), returns=np.zeros((50, 1)), read=np.arange(50))


def series(values, delay=0, max_age=None):
    ts = 10 * HOUR * np.arange(1, len(values) + 1)
    return Series(
        name="news", columns=("tone",), available_ts=ts, values=np.array(values)[:, None], delay=delay, max_age=max_age
    )


def test_a_label_is_that_of_the_last_publication_known_when_the_bar_opens():
    opens = HOUR * np.array([9, 10, 11, 20, 29, 30])
    cuts = np.array([0.0])
    assert labels_at_open(series([-1.0, 1.0, np.nan]), "tone", opens, cuts).tolist() == [0, 1, 1, 2, 2, 0]
    late = series([-1.0, 1.0, np.nan], delay=HOUR)
    assert labels_at_open(late, "tone", opens, cuts).tolist() == [0, 0, 1, 1, 2, 2]
    old = series([-1.0, 1.0, np.nan], max_age=HOUR)
    assert labels_at_open(old, "tone", opens, cuts).tolist() == [0, 1, 1, 2, 0, 0]


def test_blocks_are_as_long_as_storms_even_where_returns_do_not_lean():
    rng = np.random.default_rng(0)
    storm = np.repeat(rng.choice([0.005, 0.03], 100), 30)
    returns = (storm * rng.normal(size=3000))[:, None]
    assert block_length(returns) <= 4
    assert weather_block(returns) > 15
    assert weather_block(history().returns) <= 4
