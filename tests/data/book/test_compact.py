"""Compact files: the same rows out as in, a file a day, read in bounded memory."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.book.feeds import GRID, NOW, levels
from wfbt.data.book.compact import BookDays, Days, described
from wfbt.data.book.inspect import info_book
from wfbt.data.book.parquet import open_book
from wfbt.data.book.read import EventReader, read_events
from wfbt.data.book.rows import joined
from wfbt.data.book.stream import Feed
from wfbt.data.market import DAY
from wfbt.errors import DataError

HOUR = 3600 * 10**9
ROWS = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.integers(1, 2**40), st.integers(0, 2**40), st.just(False), st.booleans()),
    min_size=1,
    max_size=40,
)


def write(folder, chunks, name="X"):
    """The feed of some chunks, as an import writes it."""
    feed = Feed(chunks, GRID, strict=False, now=NOW)
    writer = BookDays(days := Days(folder, name, described(name, GRID)))
    for part in feed.run():
        writer.add(part.rows, feed.book.levels())
    days.close()


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_rows_come_back_as_they_went_in(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("book")
    rows = [*rows[:-1], (*rows[-1][:4], True)]
    given_rows = levels(rows, step=HOUR)
    write(folder, [given_rows])
    back = joined(list(open_book(str(folder)).chunks()))
    for field in ("exch_ts", "recv_ts", "side", "tick", "lots", "snapshot", "last", "first_id", "final_id", "prev_id"):
        assert np.array_equal(getattr(back, field), getattr(given_rows, field)), field
    assert len({str(file.parent.name) for file in folder.rglob("*.parquet")}) == len(
        np.unique(given_rows.recv_ts // DAY)
    )


def busy(days, a_day=20_000):
    """A book that changes near its best, so that its levels stay few."""
    rng = np.random.default_rng(4)
    n = days * a_day
    side = rng.choice([1, -1], n)
    tick = 1000 - side * rng.integers(1, 50, n)
    last = np.ones(n, bool)
    rows = list(zip(side, tick, rng.integers(1, 9, n), np.arange(n) == 0, last, strict=True))
    return levels(rows, step=DAY // a_day)


def peak(folder):
    """Most bytes in use by numpy and by arrow while all events are read."""
    tracemalloc.start()
    arrow, events = 0, 0
    for part in EventReader(str(folder), symbol="X", now=NOW):
        arrow, events = max(arrow, pa.total_allocated_bytes()), events + len(part)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used + arrow, events


@pytest.mark.slow
def test_sixteen_days_are_read_in_the_memory_of_four(tmp_path):
    for days in (4, 16):
        rows = busy(days)
        write(tmp_path / str(days), [rows.take(slice(k, k + 10_000)) for k in range(0, len(rows), 10_000)])
    peak(tmp_path / "4")  # imports and compilation are no part of it
    four, few = peak(tmp_path / "4")
    sixteen, many = peak(tmp_path / "16")
    assert many > 3.9 * few
    assert sixteen < 1.05 * four


def test_days_that_go_back_are_refused(tmp_path):
    days = Days(tmp_path, "X", described("X", GRID))
    table = pa.table({"tick": [1]})
    days.add(table, "2024-06-02")
    with pytest.raises(DataError, match="rows of 2024-06-01 come after those of a later day"):
        days.add(table, "2024-06-01")


def test_a_file_without_its_description_is_refused(tmp_path):
    write(tmp_path, [levels([(1, 10, 1, True, False), (-1, 12, 1, True, True)])])
    (path,) = tmp_path.rglob("*.parquet")
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(DataError, match="does not say what a tick is; import it anew"):
        open_book(str(path))
    pq.write_table(table.replace_schema_metadata({b"wfbt.book": b"[]"}), path)
    with pytest.raises(DataError, match="description is damaged"):
        open_book(str(path))
    pq.write_table(table.replace_schema_metadata({b"wfbt.book": b'{"tick_size": 0, "lot_size": 1}'}), path)
    with pytest.raises(DataError, match="tick_size must be > 0"):
        open_book(str(path))


def test_the_same_rows_make_the_same_bytes_and_digest(tmp_path):
    rows = [(1, 10, 1, True, False), (-1, 12, 1, True, True), *[(1, 9, k, False, True) for k in range(60)]]
    for folder in ("a", "b"):
        write(tmp_path / folder, [levels(rows, step=HOUR)])
    found = [[f.read_bytes() for f in sorted((tmp_path / folder).rglob("*.parquet"))] for folder in ("a", "b")]
    assert found[0] == found[1]
    assert len(found[0]) == 4
    assert info_book(str(tmp_path / "a"), now=NOW)["rows"] == 62
    assert len(read_events(str(tmp_path / "a"), now=NOW)) == 63
