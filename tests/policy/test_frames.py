import numpy as np
import pandas as pd

from wfbt.data.market import HOUR, Bars, Funding, Instrument, Market
from wfbt.policy.frames import bars_frame, market_frames

START = pd.Timestamp("2024-01-01", tz="UTC").value


def instrument(symbol="BTC", funding=None):
    close = np.arange(10.0, 14.0)
    open_ts = START + HOUR * np.arange(4)
    bars = Bars(
        symbol=symbol, period=HOUR, open_ts=open_ts, open=close, high=close, low=close, close=close, volume=np.ones(4)
    )
    return Instrument(bars=bars, funding=funding)


def test_bars_are_stamped_with_their_close():
    frame = bars_frame(instrument())
    assert frame.index[0] == pd.Timestamp("2024-01-01 01:00", tz="UTC")
    assert list(frame.columns) == ["open", "high", "low", "close", "volume", "funding"]
    np.testing.assert_array_equal(frame["close"], [10.0, 11.0, 12.0, 13.0])
    assert frame["funding"].isna().all()


def test_funding_is_the_last_rate_settled_by_the_close():
    stamps = START + np.array([2 * HOUR, 3 * HOUR + 1])  # at a close, and just after one
    rates = Funding(ts=stamps, rate=np.array([0.1, 0.2]), mark=np.array([np.nan, np.nan]))
    np.testing.assert_array_equal(bars_frame(instrument(funding=rates))["funding"], [np.nan, 0.1, 0.1, 0.2])


def test_every_symbol_has_a_frame_in_the_order_of_the_market():
    market = Market(instruments=(instrument("Z"), instrument("A")), digest="")
    assert list(market_frames(market)) == ["Z", "A"]
