"""Funding, margin and liquidation in a replayed book, worked out by hand."""

from math import nan

import pytest

from tests.book.scenes import BOOK, MS, fills, play
from tests.book.twin import LIMIT, MARKET

BUY, SELL = 1, -1


def test_funding_is_paid_on_the_position_just_before_its_stamp():
    stamps = [(5 * MS, 0.01, 100.0), (6 * MS, 0.01, 100.0), (7 * MS, 0.01, nan)]
    run = play(BOOK, {5: [("new", 1, BUY, 0, 3, MARKET)]}, funding=stamps)
    # Nothing at 5, when the order only arrives; 3·100·1% at 6; at the exchange's mid of 100 at 7.
    assert run.exchanges[0].funding == pytest.approx(6.0, rel=1e-12)
    assert run.equity() == pytest.approx(-3 * 101 + 3 * 100 - 6.0, rel=1e-12)


def test_shorts_are_paid_a_positive_rate_and_inverse_contracts_pay_in_the_coin():
    stamps = [(6 * MS, 0.01, 100.0)]
    run = play(BOOK, {5: [("new", 1, SELL, 0, 3, MARKET)]}, funding=stamps)
    assert run.exchanges[0].funding == pytest.approx(-3.0, rel=1e-12)
    run = play(BOOK, {5: [("new", 1, BUY, 0, 3, MARKET)]}, funding=stamps, inverse=True, multiplier=100.0)
    assert run.exchanges[0].funding == pytest.approx(100 * 3 / 100 * 0.01, rel=1e-12)


def test_an_order_beyond_the_leverage_is_rejected_and_what_reduces_is_not():
    terms = {"opening": 200.0, "leverage": 2.0}
    # 4 lots at the mid of 100 are 400; 5 are more than twice the equity.
    run = play(
        BOOK, {5: [("new", 1, BUY, 99, 5)], 6: [("new", 2, BUY, 99, 4)], 7: [("new", 3, BUY, 98, 1)]}, terms=terms
    )
    assert list(run.exchanges[0].orders) == [2] and list(run[0].orders) == [2]
    # Once the equity has fallen, a long of 3 may be sold but not added to.
    rows = [*BOOK, (10, "bid", 60, 9), (10, "bid", 98, 0), (10, "bid", 99, 0), (10, "ask", 70, 9)]
    script = {
        5: [("new", 1, BUY, 0, 3, MARKET)],
        12: [("new", 2, BUY, 0, 1, MARKET)],
        13: [("new", 3, SELL, 0, 2, MARKET)],
    }
    run = play(rows, script, terms=terms)
    assert [f.id for f in run.fills] == [1, 3]


def test_no_order_is_accepted_at_leverage_before_there_is_a_price():
    run = play([(0, "bid", 99, 10)], {5: [("new", 1, BUY, 99, 1)]}, terms={"opening": 1e9, "leverage": 2.0})
    assert not run.exchanges[0].orders


def test_a_long_is_liquidated_when_its_equity_meets_maintenance():
    terms = {"opening": 30.0, "maintenance": 0.05, "liquidation_fee": 0.01}
    rows = [*BOOK, (10, "bid", 90, 1), (10, "bid", 89, 9), (10, "bid", 98, 0), (10, "bid", 99, 0)]
    script = {5: [("new", 1, BUY, 0, 2, MARKET), ("new", 2, BUY, 80, 1, LIMIT)]}
    run = play(rows, script, terms=terms)
    # Bought 2 at 101.  Mid (90 + 101)/2 = 95.5: equity 30 − 202 + 191 = 19 > 0.05·191, so it holds.
    assert not run.halted and fills(run) == [(5, 1, 1, 101, 2)]
    script[20] = [("new", 3, BUY, 0, 1, MARKET)]
    rows += [(15, "ask", 91, 5)]
    run = play(rows, script, terms=terms)
    # Mid 90.5: equity 30 − 202 + 181 = 9 ≤ 9.05.  One sold at 90, one at 89; the fee is 1% of 179.
    assert fills(run)[1:] == [(15, -1, -1, 90, 1), (15, -1, -1, 89, 1)]
    assert [f.reason for f in run.fills] == [0, 1, 1]
    assert run.liquidation_fees == pytest.approx(1.79, rel=1e-12)
    assert run.equity() == pytest.approx(30 - 202 + 179 - 1.79, rel=1e-12)
    assert run.halted and not run.exchanges[0].orders and not run[0].orders and run[0].position == 0


def test_a_gap_beyond_ruin_is_the_insurances_loss_and_leaves_no_fee():
    terms = {"opening": 30.0, "maintenance": 0.05, "liquidation_fee": 0.01}
    rows = [*BOOK, (10, "clear", 0, 0), (10, "bid", 70, 1), (10, "ask", 72, 1)]
    run = play(rows, {5: [("new", 1, BUY, 0, 2, MARKET)]}, terms=terms, partial=False)
    assert fills(run)[1:] == [(10, -1, -1, 70, 2)]
    assert (run.liquidation_fees, run.shortfall, run.equity()) == (0.0, 32.0, 0.0)
