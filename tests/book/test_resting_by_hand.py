"""Orders that rest, worked out by hand."""

import pytest

from tests.book.naive_book import front_after
from tests.book.scenes import BOOK, fills, play
from tests.book.twin import GTC, LIMIT, POST

BUY, SELL = 1, -1


def resting(*orders):
    return {5: [("new", i + 1, side, tick, lots, LIMIT, POST) for i, (side, tick, lots) in enumerate(orders)]}


def open_orders(run):
    return {i: (o.leaves, o.front) for i, o in run.exchanges[0].orders.items()}


def test_two_of_four_lots_fill_when_a_trade_goes_two_lots_past_the_queue():
    run = play([*BOOK, (10, "sell", 99, 12), (20, "sell", 99, 1)], resting((BUY, 99, 4)))
    assert fills(run) == [(10, 1, 1, 99, 2), (20, 1, 1, 99, 1)]
    assert open_orders(run) == {1: (1, 0.0)}
    assert (run[0].position, run[0].orders[1].leaves) == (3, 1)


def test_two_own_orders_behind_five_share_a_trade_of_six_first_come_first_served():
    book = [(0, "bid", 99, 5), (0, "ask", 101, 3)]
    run = play([*book, (10, "sell", 99, 6)], resting((BUY, 99, 2), (BUY, 99, 2)))
    assert fills(run) == [(10, 1, 1, 99, 1)]
    assert open_orders(run) == {1: (1, 0.0), 2: (2, 0.0)}
    more = play([*book, (10, "sell", 99, 6), (11, "sell", 99, 2)], resting((BUY, 99, 2), (BUY, 99, 2)))
    assert fills(more)[1:] == [(11, 1, 1, 99, 1), (11, 2, 1, 99, 1)]


def test_whole_fills_give_the_same_trade_to_every_order_of_the_level():
    book = [(0, "bid", 99, 5), (0, "ask", 101, 3)]
    run = play([*book, (10, "sell", 99, 6)], resting((BUY, 99, 2), (BUY, 99, 2)), partial=False)
    assert fills(run) == [(10, 1, 1, 99, 2), (10, 2, 1, 99, 2)]


def test_lots_that_came_between_two_own_orders_trade_between_them():
    # 5 of the market, 2 of ours, 3 of the market (5 displayed becomes 8), 2 of ours: a trade of 9 is one lot short.
    rows = [(0, "bid", 99, 5), (0, "ask", 101, 3), (7, "bid", 99, 8), (10, "sell", 99, 9)]
    script = {5: [("new", 1, BUY, 99, 2)], 8: [("new", 2, BUY, 99, 2)]}
    run = play(rows, script)
    assert fills(run) == [(10, 1, 1, 99, 2)]
    assert open_orders(run) == {2: (2, 1.0)}
    assert fills(play([*rows, (11, "sell", 99, 3)], script))[1:] == [(11, 2, 1, 99, 2)]


@pytest.mark.parametrize(("partial", "lots"), [(True, 3), (False, 4)])
def test_a_trade_through_the_price_fills_no_more_than_it_brought_unless_fills_are_whole(partial, lots):
    run = play([*BOOK, (10, "sell", 98, 3)], resting((BUY, 99, 4)), partial=partial)
    assert fills(run) == [(10, 1, 1, 99, lots)]


def test_the_better_price_fills_first():
    book = [(0, "bid", 97, 1), (0, "ask", 101, 3)]
    run = play([*book, (10, "sell", 97, 3)], resting((BUY, 98, 2), (BUY, 99, 2)))
    assert fills(run) == [(10, 2, 1, 99, 2), (10, 1, 1, 98, 1)]


def test_a_quote_that_reaches_us_fills_with_the_lots_that_arrive():
    book = [(0, "bid", 99, 10), (0, "ask", 103, 3)]
    rows = [*book, (10, "bid", 101, 3), (20, "bid", 101, 2), (30, "bid", 101, 5)]
    run = play(rows, resting((SELL, 101, 5)))
    assert fills(run) == [(10, 1, -1, 101, 3), (30, 1, -1, 101, 2)]
    whole = play(rows, resting((SELL, 101, 5)), partial=False)
    assert fills(whole) == [(10, 1, -1, 101, 5)]


def test_a_maker_fills_at_its_own_price_and_pays_the_makers_fee():
    run = play([*BOOK, (10, "bid", 102, 9)], resting((SELL, 101, 4)), maker=-0.0001, taker=0.001)
    (fill,) = run.fills
    assert (fill.price, fill.maker, fill.fee) == (101.0, True, pytest.approx(-0.0404, rel=1e-12))


def test_trades_on_the_other_side_or_short_of_the_price_do_nothing():
    run = play([*BOOK, (10, "buy", 99, 50), (11, "sell", 100, 50)], resting((BUY, 99, 4)))
    assert not run.fills and open_orders(run) == {1: (4, 10.0)}


# Queue models.  10 lots displayed, we join behind them; 4 more join behind us; 14 falls to 10.


@pytest.mark.parametrize(
    ("model", "front"),
    [
        ("risk_averse", 10.0),
        # p = b³/(b³ + a³) = 64/1064; est = 10 − (1 − p)·4 + min(4 − 4p, 0)
        ("power1", 10 - (1 - 64 / 1064) * 4),
        # p = b³/(a + b)³ = 64/2744
        ("power2", 10 - (1 - 64 / 2744) * 4),
        # p = 1 − (10/14)³
        ("power3", 10 - (1000 / 2744) * 4),
    ],
)
def test_cancels_are_shared_between_front_and_back_as_the_model_says(model, front):
    rows = [*BOOK, (10, "bid", 99, 14), (20, "bid", 99, 10)]
    run = play(rows, resting((BUY, 99, 4)), queue=model, power=3.0)
    assert run.exchanges[0].orders[1].front == pytest.approx(front, rel=1e-14)


def test_the_logarithmic_models_count_units_not_lots():
    from math import log

    rows = [*BOOK, (10, "bid", 99, 14), (20, "bid", 99, 10)]
    a, b = log(1 + 10 * 0.1), log(1 + 4 * 0.1)
    run = play(rows, resting((BUY, 99, 4)), queue="log1", lot_size=0.1)
    assert run.exchanges[0].orders[1].front == pytest.approx(10 - (1 - b / (a + b)) * 4, rel=1e-14)
    run = play(rows, resting((BUY, 99, 4)), queue="log2", lot_size=0.1)
    assert run.exchanges[0].orders[1].front == pytest.approx(10 - (1 - b / log(1 + 14 * 0.1)) * 4, rel=1e-14)


@pytest.mark.parametrize("model", ["risk_averse", "power1", "power2", "power3", "log1", "log2"])
def test_a_fall_that_trades_explain_moves_the_front_once(model):
    rows = [*BOOK, (10, "sell", 99, 3), (10, "bid", 99, 7)]
    run = play(rows, resting((BUY, 99, 4)), queue=model)
    assert run.exchanges[0].orders[1].front == 7.0


@pytest.mark.parametrize("model", ["risk_averse", "power1", "power2", "power3", "log1", "log2"])
def test_a_level_that_empties_leaves_nobody_before_us(model):
    run = play([*BOOK, (10, "bid", 99, 0)], resting((BUY, 99, 4)), queue=model)
    assert run.exchanges[0].orders[1].front == 0.0
    assert front_after(model, 2.5, 0.0, 0.0, 0, 0, 1.0) == 0.0


def test_half_a_lot_past_the_front_fills_and_less_does_not():
    # Power 3, n = 1: p = 1 − a/(a + b).  10 before us and 2 behind; 12 falls to 7: 10 − 5·10/12 = 5.8333 stay before.
    rows = [*BOOK, (8, "bid", 99, 12), (10, "bid", 99, 7)]
    short = play([*rows, (20, "sell", 99, 6)], resting((BUY, 99, 4)), queue="power3", power=1.0)
    assert not short.fills and open_orders(short)[1][1] == pytest.approx(10 - 50 / 12 - 6, rel=1e-12)
    # 10 before and 20 behind; 30 falls to 28: the front keeps 10 − 2·10/30 = 9.3333, and 10 is 0.6667 past it.
    past = play(
        [*BOOK, (8, "bid", 99, 30), (10, "bid", 99, 28), (20, "sell", 99, 10)],
        resting((BUY, 99, 4)),
        queue="power3",
        power=1.0,
    )
    assert fills(past) == [(20, 1, 1, 99, 1)]


# Cancel and modify.


def test_a_cancel_that_comes_too_late_changes_nothing():
    script = resting((BUY, 99, 4)) | {9: [("cancel", 1)]}
    run = play([*BOOK, (10, "sell", 98, 9)], script, entry=2, response=2)
    assert fills(run) == [(10, 1, 1, 99, 4)]
    assert run.sent == [True, True] and run[0].position == 4


def test_a_cancel_in_time_removes_the_order():
    script = resting((BUY, 99, 4)) | {6: [("cancel", 1)]}
    run = play([*BOOK, (10, "sell", 98, 9)], script)
    assert not run.fills and not run[0].orders and not run.exchanges[0].orders


def test_one_request_at_a_time_and_none_for_an_order_that_is_not_known_to_be_open():
    script = resting((BUY, 99, 4)) | {
        6: [("cancel", 1)],
        9: [("cancel", 1), ("cancel", 1), ("cancel", 7), ("new", 1, BUY, 98, 1)],
    }
    run = play(BOOK, script, entry=1, response=2)
    # At 6 the answer, due at 8, is still on its way.
    assert run.sent == [True, False, True, False, False, False]


def test_a_smaller_total_at_the_same_price_keeps_the_place():
    script = resting((BUY, 99, 4)) | {8: [("modify", 1, 99, 2)]}
    run = play([*BOOK, (7, "bid", 99, 15), (10, "sell", 99, 11)], script)
    assert fills(run) == [(10, 1, 1, 99, 1)] and open_orders(run) == {1: (1, 0.0)}


@pytest.mark.parametrize("change", [("modify", 1, 99, 5), ("modify", 1, 98, 4)])
def test_a_larger_total_or_another_price_goes_to_the_back(change):
    run = play([*BOOK, (7, "bid", 99, 15), (7, "bid", 98, 15)], resting((BUY, 99, 4)) | {8: [change]})
    assert open_orders(run) == {1: (change[3], 15.0)}


def test_a_modify_counts_what_filled_on_its_way():
    # Total 4, cut to 3 while 2 fill: one is left, not three.
    script = resting((BUY, 99, 4)) | {9: [("modify", 1, 99, 3)]}
    rows = [*BOOK, (10, "sell", 99, 12)]
    assert open_orders(play(rows, script, entry=3)) == {1: (1, 0.0)}
    gone = resting((BUY, 99, 4)) | {9: [("modify", 1, 99, 2)]}
    run = play(rows, gone, entry=3)
    assert open_orders(run) == {} and not run[0].orders and run[0].position == 2


def test_a_post_only_order_moved_across_the_spread_is_gone():
    run = play(BOOK, resting((BUY, 99, 4)) | {8: [("modify", 1, 101, 4)]})
    assert not run.fills and not run.exchanges[0].orders and not run[0].orders


def test_a_limit_moved_across_the_spread_takes():
    run = play(BOOK, {5: [("new", 1, BUY, 99, 4, LIMIT, GTC)], 8: [("modify", 1, 101, 4)]})
    assert fills(run) == [(8, 1, 1, 101, 3)] and open_orders(run) == {1: (1, 0.0)}
