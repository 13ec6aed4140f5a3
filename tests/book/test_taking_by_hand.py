"""Orders that take, worked out by hand."""

import pytest

from tests.book.scenes import BOOK, MS, fills, play
from tests.book.twin import FOK, GTC, IOC, LIMIT, MARKET, POST, Delays

BUY, SELL = 1, -1


def test_a_market_order_sweeps_three_levels_at_their_own_prices():
    run = play(BOOK, {5: [("new", 1, BUY, 0, 9, MARKET)]})
    assert fills(run) == [(5, 1, 1, 101, 3), (5, 1, 1, 102, 4), (5, 1, 1, 103, 2)]
    assert run.exchanges[0].holding.cash == -(3 * 101 + 4 * 102 + 2 * 103)


def test_a_market_order_larger_than_the_book_leaves_the_rest_unfilled():
    run = play(BOOK, {5: [("new", 1, BUY, 0, 20, MARKET)]})
    assert sum(f.lots for f in run.fills) == 12
    assert run[0].position == 12 and not run[0].orders


def test_whole_fills_ignore_what_is_displayed():
    run = play(BOOK, {5: [("new", 1, BUY, 0, 9, MARKET)]}, partial=False)
    assert fills(run) == [(5, 1, 1, 101, 9)]


@pytest.mark.parametrize("partial", [True, False])
def test_a_market_order_that_finds_nothing_expires(partial):
    run = play([(0, "bid", 99, 10)], {5: [("new", 1, BUY, 0, 1, MARKET)]}, partial=partial)
    assert not run.fills and not run[0].orders and run[0].position == 0


def test_an_immediate_order_takes_what_is_within_its_limit_and_lapses():
    run = play(BOOK, {5: [("new", 1, BUY, 102, 9, LIMIT, IOC)]})
    assert fills(run) == [(5, 1, 1, 101, 3), (5, 1, 1, 102, 4)]
    assert not run.exchanges[0].orders


def test_fill_or_kill_takes_all_or_nothing():
    assert not play(BOOK, {5: [("new", 1, BUY, 102, 8, LIMIT, FOK)]}).fills
    run = play(BOOK, {5: [("new", 1, BUY, 102, 7, LIMIT, FOK)]})
    assert fills(run) == [(5, 1, 1, 101, 3), (5, 1, 1, 102, 4)]


def test_a_marketable_limit_takes_and_rests_with_the_remainder_at_the_front():
    run = play([*BOOK, (10, "sell", 101, 1)], {5: [("new", 1, BUY, 101, 5, LIMIT, GTC)]})
    assert fills(run) == [(5, 1, 1, 101, 3), (10, 1, 1, 101, 1)]
    assert [f.maker for f in run.fills] == [False, True]
    assert run.exchanges[0].orders[1].leaves == 1


def test_a_post_only_order_that_would_take_expires():
    run = play(BOOK, {5: [("new", 1, BUY, 101, 1, LIMIT, POST), ("new", 2, BUY, 100, 1, LIMIT, POST)]})
    assert not run.fills and list(run.exchanges[0].orders) == [2]


def test_five_takers_share_the_one_lot_displayed_when_takers_deplete_it():
    five = {5: [("new", i, BUY, 101, 1, LIMIT, IOC) for i in range(5)]}
    book = [(0, "bid", 99, 10), (0, "ask", 101, 1)]
    assert fills(play(book, five, depletion=True)) == [(5, 0, 1, 101, 1)]
    assert len(play(book, five).fills) == 5


def test_a_depleted_level_is_whole_again_at_its_next_row():
    again = {t: [("new", t, BUY, 101, 3, LIMIT, IOC)] for t in (5, 7, 9)}
    run = play([*BOOK, (8, "ask", 101, 3)], again, depletion=True)
    assert fills(run) == [(5, 5, 1, 101, 3), (9, 9, 1, 101, 3)]


def test_a_post_only_order_may_rest_where_we_took_all_there_was():
    run = play(BOOK, {5: [("new", 1, BUY, 101, 3, LIMIT, IOC), ("new", 2, BUY, 101, 1, LIMIT, POST)]}, depletion=True)
    assert list(run.exchanges[0].orders) == [2]


def test_square_root_impact_is_paid_on_all_that_an_order_takes():
    run = play(BOOK, {5: [("new", 1, BUY, 0, 4, MARKET)]}, impact=Delays([0], [0.01]))
    assert [f.price for f in run.fills] == [101 * 1.02, 102 * 1.02]


def test_impact_never_costs_more_than_a_sale_yields():
    book = [(0, "bid", 99, 10_000), (0, "ask", 101, 1)]
    run = play(book, {5: [("new", 1, SELL, 0, 10_000, MARKET)]}, impact=Delays([0], [1.0]))
    assert run.fills[0].price == pytest.approx(99 * 0.01, rel=1e-12)


def test_fees_are_a_share_of_the_value_traded_linear_and_inverse():
    script = {5: [("new", 1, BUY, 0, 3, MARKET)]}
    linear = play(BOOK, script, taker=0.001, multiplier=2.0).exchanges[0].holding
    assert (linear.cash, linear.fees) == (-606.0, pytest.approx(0.606, rel=1e-12))
    inverse = play(BOOK, script, taker=0.001, multiplier=100.0, inverse=True).exchanges[0].holding
    assert (inverse.cash, inverse.fees) == (pytest.approx(300 / 101, rel=1e-12), pytest.approx(0.3 / 101, rel=1e-12))


def test_an_order_reaches_the_exchange_after_its_delay_and_its_fill_is_known_after_another():
    moved = [*BOOK, (7, "ask", 101, 0)]
    late = play(moved, {5: [("new", 1, BUY, 105, 1, LIMIT, IOC)]}, entry=3, response=4)
    assert fills(late) == [(8, 1, 1, 102, 1)]
    assert late.fills[0].local_ts == 12 * MS
    positions = {s[0][0] // MS: (s[0][5], s[0][6]) for s in late.samples}
    assert positions[7] == (0, 0) and positions[8] == positions[11] == (0, 1) and positions[12] == (1, 1)


def test_a_request_without_delay_meets_the_rows_of_its_own_instant():
    run = play([*BOOK, (5, "ask", 101, 0)], {5: [("new", 1, BUY, 105, 1, LIMIT, IOC)]})
    assert fills(run) == [(5, 1, 1, 102, 1)]
