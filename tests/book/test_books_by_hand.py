"""Displayed books, clocks and delays, worked out by hand."""

import pytest

from tests.book.naive_book import Book, Delays
from tests.book.scenes import BOOK, MS, feed, fills, play
from tests.book.twin import IOC, LIMIT, Clock, Local, Venue, replay

BID, ASK, BUY, SELL = 1, -1, 1, -1


def book(*rows):
    out = Book()
    for side, tick, lots in rows:
        out.depth(side, tick, lots)
    return out


def test_the_newer_side_of_a_crossed_book_wins_and_hides_the_older():
    b = book((BID, 99, 5), (ASK, 100, 7), (ASK, 102, 8), (BID, 101, 3))
    assert (b.best(BID), b.best(ASK)) == (101, 102)
    assert (b.lots(ASK, 100), b.shown(ASK, 100)) == (7, 0)
    b.depth(BID, 101, 0)
    assert (b.best(BID), b.best(ASK)) == (99, 102)
    b.depth(ASK, 100, 6)
    assert b.best(ASK) == 100


def test_a_touching_quote_crosses():
    b = book((BID, 99, 5), (ASK, 100, 7), (BID, 100, 3))
    assert (b.best(BID), b.best(ASK)) == (100, None)


def test_a_hidden_bid_comes_back_when_the_bids_above_it_go():
    b = book((BID, 98, 5), (BID, 100, 5), (ASK, 100, 7), (ASK, 100, 0), (BID, 101, 2), (BID, 101, 0))
    assert b.best(BID) == 100


def test_a_hidden_bid_below_the_lowest_bid_since_the_side_was_exhausted_does_not():
    b = book((BID, 99, 5), (ASK, 99, 7))
    assert b.best(BID) is None
    b = book((BID, 100, 5), (BID, 98, 5), (ASK, 100, 7), (BID, 98, 0), (ASK, 100, 0), (BID, 103, 2), (BID, 103, 0))
    assert b.best(BID) is None
    assert b.lots(BID, 100) == 5


def test_a_clear_empties_and_a_clear_to_a_price_leaves_what_is_behind_it():
    b = book((BID, 99, 5), (BID, 98, 6), (BID, 97, 7), (ASK, 101, 1), (ASK, 102, 2), (ASK, 103, 3))
    b.clear_to(BID, 99)
    assert (b.best(BID), b.shown(BID, 98)) == (98, 6)
    b.clear_to(ASK, 102)
    assert b.levels(ASK) == [103]
    b.clear(BID)
    assert (b.best(BID), b.levels(BID), b.best(ASK)) == (None, [], 103)
    b.clear(0)
    assert b.levels(ASK) == []


def test_a_deletion_of_what_is_not_there_is_nothing():
    b = book((BID, 99, 5), (BID, 98, 0), (ASK, 101, 0))
    assert (b.levels(BID), b.levels(ASK)) == ([99], [])


def test_a_snapshot_leaves_own_orders_and_their_places():
    rows = [*BOOK, (10, "clear", 0, 0), (10, "bid", 99, 12), (10, "ask", 101, 3)]
    run = play(rows, {5: [("new", 1, BUY, 99, 4)]})
    assert not run.fills and run.exchanges[0].orders[1].front == 10.0


# Clocks.


def test_decisions_are_every_period_from_the_first_row_to_before_the_last():
    seen = []
    replay(
        [feed([(3, "bid", 9, 1), (10, "bid", 9, 2)])],
        [Venue(tick_size=1, lot_size=1)],
        lambda v: seen.append(v.now),
        Clock(2 * MS),
    )
    assert seen == [5 * MS, 7 * MS, 9 * MS]  # 11 is the last row's receipt


def test_a_decision_knows_a_row_received_at_its_instant_and_none_later():
    seen = {}
    rows = [(0, "bid", 97, 1), (4, "bid", 98, 1), (5, "bid", 99, 1), (20, "bid", 97, 2)]
    replay([feed(rows)], [Venue(tick_size=1, lot_size=1)], lambda v: seen.setdefault(v.now // MS, v[0].bid), Clock(MS))
    assert (seen[4], seen[5], seen[6]) == (97, 98, 99)


def test_local_events_are_decided_on_once_an_instant():
    seen = []
    rows = [(1, "bid", 97, 1), (4, "bid", 98, 1), (4, "buy", 98, 1), (6, "bid", 99, 1), (20, "bid", 97, 2)]
    replay(
        [feed(rows)], [Venue(tick_size=1, lot_size=1)], lambda v: seen.append((v.now // MS, len(v[0].trades))), Local()
    )
    assert seen == [(2, 0), (5, 1), (7, 0)]


@pytest.mark.parametrize(("responses", "instants"), [(True, [2, 8, 11]), (False, [2, 11])])
def test_responses_are_local_events_if_asked_for(responses, instants):
    seen = []

    def decide(view):
        seen.append(view.now // MS)
        view[0].new(1, BUY, 90, 1)

    venue = Venue(tick_size=1, lot_size=1, entry=Delays.constant(2 * MS), response=Delays.constant(4 * MS))
    replay(
        [feed([(1, "bid", 97, 1), (10, "bid", 98, 1), (20, "bid", 98, 2)])], [venue], decide, Local(responses=responses)
    )
    assert seen == instants


def test_two_symbols_meet_on_one_axis_of_time():
    seen = []

    def decide(view):
        seen.append((view.now // MS, view[0].bid, view[1].bid))
        if view[1].bid == 52 and not view[0].used:
            view[0].new(1, BUY, 0, 1, 1)

    first = feed([(0, "bid", 9, 1), (0, "ask", 10, 1), (6, "ask", 10, 0), (6, "ask", 11, 5), (9, "bid", 9, 2)])
    second = feed([(0, "bid", 51, 1), (4, "bid", 52, 1), (9, "bid", 51, 2)])
    venue = Venue(tick_size=1, lot_size=1, entry=Delays.constant(2 * MS))
    run = replay([first, second], [venue, venue], decide, Clock(MS))
    assert seen[4:6] == [(5, 9, 52), (6, 9, 52)]
    assert [(f.exch_ts // MS, f.symbol, f.tick) for f in run.fills] == [(7, 0, 11)]


# Delays.


def test_steps_hold_from_their_row_to_the_next():
    delays = Delays([10, 20, 30], [1, 5, 2])
    assert [delays.at(t)[0] for t in (0, 10, 19, 20, 29, 30, 99)] == [1, 1, 1, 5, 5, 2, 2]


def test_lines_run_between_rows_and_are_cut_toward_zero():
    delays = Delays([10, 20, 30], [1, 5, 2], linear=True)
    assert [delays.at(t)[0] for t in (0, 10, 12, 13, 20, 21, 28, 30, 99)] == [1, 1, 1, 2, 5, 5, 3, 2, 2]


def test_measured_rows_give_both_ways():
    entry, response = Delays.measured([(100, 110, 125), (200, 230, 240)], linear=True)
    assert (entry.at(150)[0], response.at(170)[0]) == (20, 13)


def test_a_lost_request_is_known_to_be_lost_after_its_round_trip():
    entry, _ = Delays.measured([(0, 1 * MS, 2 * MS), (10 * MS, 0, 17 * MS), (20 * MS, 21 * MS, 22 * MS)], linear=False)
    run = play(
        BOOK, {5: [("new", 1, BUY, 99, 1)], 12: [("new", 2, BUY, 99, 1)], 18: [("new", 2, BUY, 99, 1)]}, entry=entry
    )
    assert run.sent == [True, True, False] and list(run.exchanges[0].orders) == [1]
    assert 2 not in run[0].orders
    linear, _ = Delays.measured([(0, 1, 2), (10, 0, 16), (20, 21, 24)], linear=True)
    assert [linear.at(t) for t in (5, 15, 20)] == [(4, True), (5, True), (1, False)]


def test_a_later_request_never_overtakes_an_earlier_one():
    entry = Delays([0, 6 * MS], [5 * MS, 1 * MS])
    script = {5: [("new", 1, BUY, 101, 3, LIMIT, IOC)], 6: [("new", 2, BUY, 101, 3, LIMIT, IOC)]}
    run = play(BOOK, script, entry=entry)
    assert [(f.exch_ts // MS, f.id) for f in run.fills] == [(10, 1), (10, 2)]


def test_a_trade_before_the_order_arrives_does_not_fill_it():
    script = {5: [("new", 1, BUY, 100, 1)]}
    assert not play([*BOOK, (7, "sell", 100, 5)], script, entry=3).fills
    assert fills(play([*BOOK, (9, "sell", 100, 5)], script, entry=3)) == [(9, 1, 1, 100, 1)]


def test_a_feed_whose_receipt_comes_before_the_event_is_refused():
    with pytest.raises(AssertionError):
        feed([(5, "bid", 99, 1, -1)])
