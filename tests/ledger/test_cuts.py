"""What leverage, or the cash at the price of the fill, takes from an order."""

import numpy as np
import pytest

import wfbt
from wfbt.data.market import HOUR
from wfbt.kernels.abi import Outcome
from wfbt.ledger.cuts import cut_shares

ROWS = 40


def bought_at(opens_at, fraction):
    """An account without leverage that buys after row 9, when 100 is the close and `opens_at` the next open."""
    close = np.full(ROWS, 100.0)
    opens = close.copy()
    opens[10] = opens_at
    bars = wfbt.Bars(
        symbol="X",
        period=HOUR,
        open_ts=np.arange(ROWS) * HOUR,
        open=opens,
        high=np.maximum(opens, close),
        low=np.minimum(opens, close),
        close=close,
        volume=np.full(ROWS, 1e6),
    )
    target = np.where(np.arange(ROWS) >= 9, fraction, 0.0)
    market = wfbt.Market(instruments=(wfbt.Instrument(bars=bars),), digest="")
    account = wfbt.Account(cash=10_000.0, leverage=1.0)
    return wfbt.backtest(market, {"X": target}, costs=wfbt.Costs.none(), account=account)


def test_an_order_dearer_than_the_cash_is_cut_by_what_the_cash_does_not_pay():
    ledger = bought_at(110.0, 1.0)
    assert ledger.orders["outcome"].tolist() == [Outcome.CUT]
    # 100 units were asked; at 110, marked there, 10,000 pays for 90.9.
    assert cut_shares(ledger) == pytest.approx([1 - ledger.orders["filled"][0] / 100])
    assert cut_shares(ledger)[0] == pytest.approx(1 - 1 / 1.1, abs=1e-6)


def test_a_small_gap_cuts_little():
    (share,) = cut_shares(bought_at(100.5, 1.0))
    assert 0 < share < 0.01


def test_an_order_that_was_filled_whole_was_not_cut():
    assert cut_shares(bought_at(110.0, 0.5)).tolist() == [0.0]
