"""A book rebuilt by the kernel against one kept in dictionaries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.book.feeds import levels
from tests.naive import books as naive
from wfbt.data.book import ladder
from wfbt.data.book.ladder import Book
from wfbt.kernels.levels import apply_rows

pytestmark = pytest.mark.kernel

ROWS = st.lists(
    st.tuples(
        st.sampled_from([1, -1]),
        st.integers(1, 12),
        st.sampled_from([0, 0, 1, 2, 5]),
        st.sampled_from([False, False, False, True]),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


def told(best):
    return list(zip(best.bid.tolist(), best.bid_lots.tolist(), best.ask.tolist(), best.ask_lots.tolist(), strict=True))


@settings(max_examples=300, deadline=None)
@given(rows=ROWS, factor=st.sampled_from([None, 1.5, 3.0]), skip=st.booleans(), uncross=st.booleans())
def test_a_book_is_what_its_rows_say_one_by_one(rows, factor, skip, uncross):
    book = Book(factor=factor or np.inf, skip=skip, uncross=uncross)
    best = book.apply(levels(rows))
    plain, bests, far, gone = naive.rebuild(rows, factor, skip, uncross)
    assert told(best) == bests
    assert best.far.tolist() == far
    assert list(zip(best.gone_at.tolist(), best.gone_side.tolist(), best.gone_tick.tolist(), strict=True)) == gone
    side, tick, lots = book.levels()
    found = {(int(s), int(t)): int(q) for s, t, q in zip(side, tick, lots, strict=True)}
    assert found == {(s, t): held[0] for s in (1, -1) for t, held in plain.sides[s].items()}


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, cut=st.integers(0, 60), uncross=st.booleans())
def test_where_the_rows_are_cut_changes_nothing(rows, cut, uncross):
    rows = [*rows[:-1], (*rows[-1][:4], True)]
    given_rows = levels(rows)
    once = Book(factor=2.0, uncross=uncross)
    whole = once.apply(given_rows)
    twice = Book(factor=2.0, uncross=uncross)
    parts = [twice.apply(given_rows.take(part)) for part in (slice(0, cut), slice(cut, None))]
    assert [one for part in parts for one in told(part)] == told(whole)
    assert np.concatenate([part.far for part in parts]).tolist() == whole.far.tolist()
    for a, b in zip(once.levels(), twice.levels(), strict=True):
        assert np.array_equal(a, b)


def test_a_book_grows_with_its_levels(monkeypatch):
    monkeypatch.setattr(ladder, "ROOM", 2)
    rng = np.random.default_rng(0)
    rows = [(1, int(t), 1, False, True) for t in rng.permutation(np.arange(1, 200))]
    book = Book()
    best = book.apply(levels(rows))
    assert best.bid.tolist() == np.maximum.accumulate([r[1] for r in rows]).tolist()
    assert book.levels()[1].tolist() == list(range(199, 0, -1))


def test_levels_far_from_the_price_cost_nothing():
    rows = [(1, 1, 1, False, False), (-1, 10**12, 1, False, False), (1, 600_000, 1, False, False)]
    book = Book()
    best = book.apply(levels([*rows, (-1, 600_001, 2, False, True)]))
    assert told(best) == [(600_000, 1, 600_001, 2)]


def test_it_has_one_signature():
    if hasattr(apply_rows, "signatures"):
        assert len(apply_rows.signatures) == 1
