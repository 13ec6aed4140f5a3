"""What the front of the book replay refuses, and what its windows hold."""

import numpy as np
import pytest

from wfbt.engine.book_events import BookEvents, Window
from wfbt.engine.book_replay import replay_book
from wfbt.engine.book_venue import Asking, BookAccount, BookModel, BookVenue, Delays, Funding, round_trips
from wfbt.errors import ConfigError, DataError, PolicyError
from wfbt.kernels.book_policies import market_maker

GOOD = {
    "exch_ts": [10, 20, 30],
    "local_ts": [11, 21, 31],
    "kind": [0, 0, 1],
    "side": [1, -1, 1],
    "tick": [99, 101, 101],
    "lots": [5, 5, 1],
}
VENUE = BookVenue(tick_size=0.5, lot_size=1.0)


def events(**changes):
    return BookEvents(**{name: np.array(column) for name, column in (GOOD | changes).items()})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"local_ts": [11, 19, 31]}, "row 1: local_ts must not be before exch_ts"),
        ({"exch_ts": [10, 9, 8], "local_ts": [11, 10, 31]}, "row 1: local_ts must not decrease"),
        ({"kind": [0, 7, 1]}, "row 1: kind"),
        ({"side": [1, 2, 1]}, "row 1: side must be"),
        ({"side": [1, -1, 0]}, "row 2: side 0 is only for CLEAR"),
        ({"lots": [5, -1, 1]}, "row 1: lots of DEPTH"),
        ({"lots": [5, 5, 0]}, "row 2: lots of TRADE"),
        ({"tick": [99, 2**40, 101]}, "row 1: |tick|"),
        ({"tick": [99, 101]}, "equally long"),
        ({"kind": [0, 1000, 1]}, "int8 does not hold"),
        ({"tick": [99.5, 101.0, 101.0]}, "whole numbers"),
    ],
)
def test_a_row_that_breaks_a_rule_is_named(changes, told):
    with pytest.raises(DataError) as error:
        events(**changes)
    assert told in str(error.value)


def test_events_are_read_only_and_leave_what_they_were_given_alone():
    given = np.array(GOOD["tick"])
    made = BookEvents(**{name: np.array(column) for name, column in GOOD.items()} | {"tick": given})
    assert given.flags.writeable
    assert not made.tick.flags.writeable
    given[0] = 7
    assert made.tick[0] == 99


def test_a_row_that_comes_later_than_allowed_is_refused_not_reordered():
    late = events(exch_ts=[5, 40, 41], local_ts=[50, 51, 52])
    window = Window("X", [events(), events(exch_ts=[32, 33, 34], local_ts=[33, 34, 35]), late], 3)
    window.more(0, 0)
    with pytest.raises(DataError, match="received more than the 3 ns later"):
        window.more(0, 0)


def test_parts_follow_each_other():
    window = Window("X", [events(), events()], 100)
    with pytest.raises(DataError, match="before the last of the part before it"):
        window.more(0, 0)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: BookModel(queue="power4"), "queue must be one of"),
        (lambda: BookModel(partial=False, depletion=True), "depletion needs partial"),
        (lambda: BookVenue(tick_size=0.0, lot_size=1.0), "tick_size must be > 0"),
        (lambda: BookAccount(leverage=-1.0), "leverage must be >= 0"),
        (lambda: Asking.clock(0), "period must be > 0"),
    ],
)
def test_terms_that_cannot_be_meant_are_refused(wrong, told):
    with pytest.raises(ConfigError, match=told):
        wrong()


def test_delays_that_go_back_in_time_are_refused():
    with pytest.raises(DataError, match="must be >= 0 ns"):
        Delays.constant(-1)
    with pytest.raises(DataError, match="increase strictly"):
        Delays(ts=np.array([2, 1]), delay=np.array([1, 1]))
    with pytest.raises(DataError, match="as long as ts"):
        Funding(ts=np.array([1, 2]), rate=np.array([0.1]), mark=np.array([1.0, 2.0]))


def test_a_round_trip_that_never_met_the_venue_is_lost_and_answers_nothing():
    there, back = round_trips([10, 20], [13, 0], [17, 29])
    assert there.flags().tolist() == [False, True]
    assert there.bounce is not None
    assert (there.delay[0], there.bounce.tolist()) == (3, [7, 9])
    assert (back.ts.tolist(), back.delay.tolist()) == ([13], [4])


def test_symbols_and_venues_must_be_the_same():
    with pytest.raises(ConfigError, match="one venue for each symbol"):
        replay_book({"X": events()}, {"Y": VENUE}, market_maker, [1, 1, 0], asking=Asking.clock(1))


def broken(view, copies, ladder, params, memory, asked):
    return view.no_such_thing


def greedy(view, copies, ladder, params, memory, asked):
    return len(asked) + 1


def test_a_policy_that_does_not_compile_is_named():
    with pytest.raises(PolicyError, match="broken: not a step that compiles"):
        replay_book({"X": events()}, {"X": VENUE}, broken, [], asking=Asking.clock(1))


def test_a_policy_that_asks_for_more_than_there_is_room_for_is_refused():
    with pytest.raises(PolicyError, match="more requests than the 16"):
        replay_book({"X": events()}, {"X": VENUE}, greedy, [], asking=Asking.clock(1))
