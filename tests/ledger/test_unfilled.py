"""What orders that ended short of their goal did not get."""

import numpy as np
import pytest

import wfbt
from tests.engine.stage import FREE, instrument, market, said
from wfbt.ledger.attribution import unfilled


def test_a_bid_that_lapses_misses_what_the_market_rose_meanwhile():
    # Half of 100,000 at 100 is 500 units, bid for at 90.  It lapses at the close of row 4, a bar that ends at 110.
    rows = [100, 100, 103, 106, (106, 110, 106, 110), 111]
    ledger = wfbt.backtest(
        market(instrument(rows)), said(len(rows), {1: {"target": 0.5, "limit": 90.0, "expire": 3.0}}), costs=FREE
    )
    assert len(ledger.fills) == 0
    missed = unfilled(ledger).iloc[0]
    assert missed["orders"] == 1
    assert missed["units"] == pytest.approx(500.0)
    assert missed["missed"] == pytest.approx(500.0 * (110.0 - 100.0))


def test_an_order_that_fills_whole_misses_nothing():
    rows = [100, 100, 103, 106]
    ledger = wfbt.backtest(market(instrument(rows)), said(len(rows), {1: 0.5}), costs=FREE)
    assert len(ledger.fills) == 1
    np.testing.assert_array_equal(unfilled(ledger).to_numpy(), [[0, 0.0, 0.0]])
