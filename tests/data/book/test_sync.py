"""A snapshot that comes late, early or twice among differences, by the rules of the venues."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.book.feeds import MS, levels, rules, run
from tests.naive import books as naive
from wfbt.data.book.rows import NO_ID, joined


@st.composite
def feeds(draw):
    """A true stream of updates, as a client sees it: differences, and a snapshot that comes when it comes."""
    futures = draw(st.booleans())
    number, truth, messages, states = draw(st.integers(1, 50)), {}, [], []
    for _ in range(draw(st.integers(2, 12))):
        first = number + 1 + (draw(st.integers(0, 2)) if futures else 0)
        changes = draw(
            st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=4)
        )
        before = number
        inside = []
        for k, change in enumerate(changes):
            naive.apply(truth, {"changes": [change]})
            inside.append((first + k, dict(truth)))
        number = first + len(changes) - 1
        messages.append({"first": first, "final": number, "prev": before, "changes": changes})
        states.append(inside)
    made = draw(st.integers(0, len(messages) - 1))
    update, held = draw(st.sampled_from(states[made]))
    arrives = draw(st.integers(0, len(messages) - 1))
    feed = [*messages[:arrives], {"snapshot": update, "levels": held}, *messages[arrives:]]
    return futures, feed


def as_levels(feed, futures):
    rows, ids = [], []
    for message in feed:
        if "snapshot" in message:
            changes = [(side, tick, lots) for (side, tick), lots in message["levels"].items()]
            ids.append((message["snapshot"], message["snapshot"], NO_ID))
        else:
            changes = message["changes"]
            ids.append((message["first"], message["final"], message["prev"] if futures else NO_ID))
        shot = "snapshot" in message
        rows += [(*change, shot, k == len(changes) - 1) for k, change in enumerate(changes)]
    return levels(rows, ids)


def has_levels(feed):
    return all(message.get("levels", True) for message in feed)


@settings(max_examples=150, deadline=None)
@given(feeds())
def test_the_book_is_the_one_that_a_client_by_the_venues_page_has(drawn):
    futures, feed = drawn
    if not has_levels(feed):
        return
    _, feed_ = run(as_levels(feed, futures))
    side, tick, lots = feed_.book.levels()
    found = {(int(s), int(t)): int(q) for s, t, q in zip(side, tick, lots, strict=True)}
    assert found == naive.synchronised(feed, futures)


@settings(max_examples=100, deadline=None)
@given(feeds(), st.integers(1, 20))
def test_neither_chunks_nor_a_second_pass_change_what_comes_out(drawn, size):
    futures, feed = drawn
    if not has_levels(feed):
        return
    rows = as_levels(feed, futures)
    once = joined([part.rows for part in run(rows)[0]])
    chunks = [rows.take(slice(k, k + size)) for k in range(0, len(rows), size)]
    for again in (run(chunks)[0], run(once)[0]):
        again = joined([part.rows for part in again])
        for name in ("exch_ts", "recv_ts", "side", "tick", "lots", "snapshot", "last", "final_id"):
            assert np.array_equal(getattr(again, name), getattr(once, name)), name


def message(first, final, prev=NO_ID, *, tick=100, lots=1, shot=False):
    return [(1, tick, lots, shot, True)], (first, final, prev)


def fed(*messages, **corrections):
    rows = [row for rows, _ in messages for row in rows]
    return run(levels(rows, [ids for _, ids in messages]), **corrections)


def test_what_was_held_back_is_known_when_the_snapshot_is():
    parts, feed = fed(
        message(1, 5, tick=50), message(6, 9, tick=51), message(7, 7, shot=True, tick=60), message(10, 12, tick=52)
    )
    rows = joined([part.rows for part in parts])
    # The first message is in the snapshot; the second reaches beyond it and follows it at once.
    assert rows.tick.tolist() == [60, 51, 52]
    assert ((rows.recv_ts - rows.recv_ts[0]) // MS).tolist() == [0, 0, 100]
    (cold,) = [f for f in feed.log.findings() if f.rule == "cold_start"]
    assert cold.count == 2


@pytest.mark.parametrize(
    "broken",
    [
        (message(1, 1, shot=True), message(2, 3), message(5, 6)),  # spot: update 4 is lost
        (message(1, 1, shot=True), message(2, 3, 1), message(5, 6, 4)),  # futures: pu is not the u before
        (message(NO_ID, 7, shot=True), message(NO_ID, 8), message(NO_ID, 10)),  # a count of messages
        (message(1, 1, shot=True), message(2, 3), message(3, 6)),  # spot: update 3 comes twice
    ],
)
def test_a_break_in_the_sequence_is_found_where_it_is(broken):
    _, feed = fed(*broken)
    (found,) = [f for f in feed.log.findings() if f.severity == "error"]
    assert (found.rule, found.row) == ("sequence", 2)


def test_a_snapshot_after_which_updates_are_lost_is_found():
    _, feed = fed(message(5, 5, shot=True), message(8, 9))
    assert rules(feed, "error") == ["sequence"]


def test_a_snapshot_mends_a_break_and_takes_what_came_before_it_along():
    _, feed = fed(
        message(1, 1, shot=True, tick=10),
        message(2, 3, tick=11),
        message(7, 8, tick=12),
        message(9, 9, tick=13),
        message(8, 8, shot=True, tick=20),
        message(10, 11, tick=14),
    )
    assert [f.row for f in feed.log.findings() if f.rule == "sequence"] == [2]
    assert feed.book.levels()[1].tolist() == [20, 14, 13]


def test_an_old_snapshot_does_not_turn_back_a_book_in_sequence():
    _, feed = fed(message(1, 1, shot=True), message(2, 6, tick=101), message(4, 4, shot=True, tick=7), message(7, 7))
    assert rules(feed) == ["stale_snapshot"]
    assert feed.book.levels()[1].tolist() == [101, 100]


def test_a_feed_without_ids_passes_and_begins_cold():
    rows = levels([(1, 5, 1, False, True), (-1, 7, 1, False, True)])
    parts, feed = run(rows)
    assert sum(len(part.rows) for part in parts) == 2
    assert rules(feed) == ["cold_start"]


def test_a_feed_whose_snapshot_never_comes_passes_and_begins_cold():
    parts, feed = fed(message(1, 2, tick=5), message(3, 4, tick=6))
    assert joined([part.rows for part in parts]).tick.tolist() == [5, 6]
    assert rules(feed) == ["cold_start"]


def test_a_restarted_service_begins_a_new_book():
    _, feed = fed(
        message(NO_ID, 70, shot=True, tick=5), message(NO_ID, 71, tick=6), message(NO_ID, 1, shot=True, tick=8)
    )
    assert rules(feed) == []
    assert feed.book.levels()[1].tolist() == [8]
