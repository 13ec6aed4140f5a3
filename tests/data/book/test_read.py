"""Events of a replay, read from the files of a book and of its trades."""

import numpy as np
import pyarrow as pa
import pytest

from tests.data.book.feeds import MS, NOW, START, stamps, walk, write_book
from wfbt.data.book.events import Kind
from wfbt.data.book.read import EventReader, read_events
from wfbt.data.store import write_table
from wfbt.errors import DataError

COUNT = 50
GIVEN = {"symbol": "X", "tick_size": 0.1, "lot_size": 0.001, "now": NOW}


@pytest.fixture
def book(tmp_path):
    return write_book(tmp_path / "book.parquet", walk())


def trades(path, *, received=True, **changed):
    exch = START + 200 * MS * np.arange(COUNT)
    columns = {
        "ts": exch,
        "recv_ts": exch + 6 * MS,
        "price": np.full(COUNT, 100.1),
        "qty": np.full(COUNT, 0.005),
        "side": np.where(np.arange(COUNT) % 2, 1, -1).astype(np.int8),
    } | changed
    if not received:
        del columns["recv_ts"]
    write_table(path, pa.table({k: stamps(v) if k.endswith("ts") else pa.array(v) for k, v in columns.items()}))
    return str(path)


def with_value(name, row, value):
    values = {
        "price": np.full(COUNT, 100.1),
        "qty": np.full(COUNT, 0.005),
        "side": np.ones(COUNT, np.int64),
        "recv_ts": START + 200 * MS * np.arange(COUNT) + 6 * MS,
    }[name]
    values[row] = value
    return {name: values}


def test_trades_stand_among_the_changes_at_their_time_of_receipt(tmp_path, book):
    events = read_events(book, trades(tmp_path / "t.parquet"), **GIVEN)
    made = events.kind == Kind.TRADE
    assert made.sum() == COUNT
    assert set(events.tick[made]) == {1001} and set(events.lots[made]) == {5}
    assert (np.diff(events.local_ts) >= 0).all()


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        (with_value("price", 7, np.nan), "nan"),
        (with_value("price", 7, 0.0), "non_positive"),
        (with_value("qty", 7, -1.0), "non_positive"),
        (with_value("side", 7, 257), "side"),
        (with_value("price", 7, 100.15), "off_tick"),
        (with_value("qty", 7, 0.0051), "off_lot"),
        (with_value("recv_ts", 7, START), "disorder"),
        (with_value("recv_ts", 49, NOW + 10), "future"),
        ({"recv_ts": START + 200 * MS * np.arange(COUNT) - 3}, "negative_latency"),
    ],
)
def test_trades_that_cannot_be_are_refused_by_row_and_rule(tmp_path, book, changed, rule):
    with pytest.raises(DataError, match=rf"X: {rule} at row \d+ .*see: wfbt data check"):
        read_events(book, trades(tmp_path / "t.parquet", **changed), **GIVEN)


def test_what_was_assumed_is_noted(tmp_path, book):
    reader = EventReader(book, trades(tmp_path / "t.parquet", received=False), symbol="X", now=NOW)
    list(reader)
    assert [note.split(":")[1][:22] for note in reader.notes] == [" tick 0.1 and lot 0.00", " trades have no time o"]
    alone = EventReader(book, **GIVEN)
    list(alone)
    assert alone.notes == ["X: no trades are given: queues move by changes of the book alone"]
    assert alone.findings == []


def test_corrections_move_both_clocks_and_accepted_rules_are_noted(tmp_path, book):
    plain = read_events(book, trades(tmp_path / "t.parquet"), **GIVEN)
    moved = EventReader(
        book,
        trades(tmp_path / "t.parquet", **with_value("qty", 7, 0.0051)),
        corrections={"clock_offset": "7ms", "accept": ["off_lot"]},
        **GIVEN,
    )
    events = np.concatenate([part.local_ts for part in moved])
    assert len(events) == len(plain) - 1
    assert events[0] == plain.local_ts[0] + 7 * MS
    assert moved.notes == ["X: 7ms added to the time of receipt", "X: accepted off_lot: 1 rows or messages"]


def test_reading_ends_before_the_end(tmp_path, book):
    whole = read_events(book, trades(tmp_path / "t.parquet"), **GIVEN)
    end = int(whole.local_ts[60])
    part = read_events(book, trades(tmp_path / "t.parquet"), end=end, **GIVEN)
    assert len(part) == np.searchsorted(whole.local_ts, end)
    late = read_events(
        book, trades(tmp_path / "t.parquet"), end=end + 7 * MS, corrections={"clock_offset": "7ms"}, **GIVEN
    )
    assert len(late) == len(part)
    with pytest.raises(DataError, match="no events in the span asked for"):
        read_events(book, end=START, **GIVEN)
