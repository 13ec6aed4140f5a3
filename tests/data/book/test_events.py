"""Events of a replay: merged from a book and its trades, validated once."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.book.feeds import MS, START, levels, walk
from wfbt.data.book.events import BookEvents, Kind, Prints, merged
from wfbt.errors import DataError

COLUMNS = ("exch_ts", "local_ts", "kind", "side", "tick", "lots")


def prints(recv, tick=7):
    recv = np.array(recv, np.int64)
    n = len(recv)
    return Prints(
        exch_ts=recv - 1, recv_ts=recv, side=np.ones(n, np.int8), tick=np.arange(n) + tick, lots=np.full(n, 3, np.int64)
    )


def depth(recv):
    made = levels([(1, k + 1, 1, False, True) for k in range(len(recv))])
    return replace(made, recv_ts=np.array(recv, np.int64), exch_ts=np.array(recv, np.int64) - 1)


def cut(rows, at):
    edges = [0, *sorted({min(k, len(rows)) for k in at}), len(rows)]
    return [rows.take(slice(a, b)) for a, b in pairwise(edges)]


TIMES = st.lists(st.integers(1, 8), max_size=12).map(sorted)
CUTS = st.lists(st.integers(0, 12), max_size=3)


@settings(max_examples=300, deadline=None)
@given(TIMES, TIMES, CUTS, CUTS)
def test_events_stand_in_order_of_receipt_and_trades_before_changes_of_their_time(a, b, cut_a, cut_b):
    parts = list(merged(cut(depth(a), cut_a) if a else [], cut(prints(b), cut_b) if b else [], 0.1, 1.0))
    got = [
        (int(t), int(k), int(p)) for part in parts for t, k, p in zip(part.local_ts, part.kind, part.tick, strict=True)
    ]
    want = sorted(
        [(t, 1 - Kind.TRADE, i, Kind.TRADE, i + 7) for i, t in enumerate(b)]
        + [(t, 1 - Kind.DEPTH, i, Kind.DEPTH, i + 1) for i, t in enumerate(a)]
    )
    assert got == [(t, int(kind), tick) for t, _, _, kind, tick in want]


def test_a_snapshot_is_a_clear_of_both_sides_and_its_levels():
    (events,) = merged([levels(walk(2))], [], 0.1, 0.001)
    assert events.kind.tolist() == [Kind.CLEAR, *[Kind.DEPTH] * 22]
    assert (events.side[0], events.exch_ts[0]) == (0, START)
    assert (events.local_ts[-1] - events.exch_ts[-1]) == 5 * MS


def sound(**changed):
    given_ = {
        "exch_ts": [1, 2, 2, 4],
        "local_ts": [3, 3, 3, 5],
        "kind": [Kind.CLEAR, Kind.DEPTH, Kind.DEPTH, Kind.TRADE],
        "side": [0, 1, -1, 1],
        "tick": [0, 10, 12, 12],
        "lots": [0, 5, 0, 2],
    }
    return {name: np.array(values) for name, values in (given_ | changed).items()}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"local_ts": [3, 3, 1, 5]}, "row 2 was received before row 1"),
        ({"exch_ts": [1, 4, 2, 4]}, "row 1 is received before it happens"),
        ({"kind": [2, 0, 4, 1]}, "kind must be -1 to 3, was 4"),
        ({"kind": [2, 0, -1, 1]}, "kind below 0"),
        ({"side": [0, 1, 0, 1]}, "side 0, which only CLEAR may have"),
        ({"side": [0, 1, 2, 1]}, "side other than"),
        ({"side": [0, 1, 257, 1]}, "was 257"),
        ({"tick": [0, 10, 0, 12]}, "row 2 has a tick of 0"),
        ({"lots": [0, 5, -1, 2]}, "row 2 has a size below 0"),
        ({"lots": [0, 5, 0, 0]}, "row 3 is a trade of nothing"),
        ({"lots": [0, 5, 0]}, "lots has 3 rows"),
    ],
)
def test_events_that_cannot_be_are_refused(changed, words):
    with pytest.raises(DataError, match=words):
        BookEvents(**sound(**changed), tick_size=0.1, lot_size=1.0)


def test_events_are_read_only_and_of_one_type_each():
    events = BookEvents(**sound(), tick_size=0.1, lot_size=1.0)
    for f in fields(BookEvents)[:6]:
        array = getattr(events, f.name)
        assert not array.flags.writeable
        assert array.dtype == (np.int8 if f.name in ("kind", "side") else np.int64)
    with pytest.raises(DataError, match="tick_size must be > 0"):
        BookEvents(**sound(), tick_size=0.0, lot_size=1.0)
