"""What is wrong with a book, each defect put into a sound one."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.data.book.feeds import GRID, MS, NOW, START, levels, quotes, rules, run, walk, write_book
from wfbt.data.book.corrections import Corrections
from wfbt.data.book.findings import KEPT, Log
from wfbt.data.book.grid import Grid, learn
from wfbt.data.book.inspect import check_book
from wfbt.data.book.parquet import open_book
from wfbt.data.book.rows import joined
from wfbt.errors import ConfigError, DataError


def changed(name, row, value):
    made = quotes(walk())
    values = getattr(made, name).copy()
    values[row] = value
    return replace(made, **{name: values})


def found(rows, **corrections):
    _, feed = run(rows, **corrections)
    return [(f.severity, f.rule, f.row, f.count) for f in feed.log.findings()]


def test_a_sound_book_has_no_findings():
    assert found(quotes(walk())) == []


@pytest.mark.parametrize(
    ("name", "row", "value", "rule"),
    [
        ("price", 30, np.nan, "nan"),
        ("qty", 30, np.inf, "nan"),
        ("price", 30, 0.0, "non_positive"),
        ("qty", 30, -0.001, "negative_qty"),
        ("price", 30, 99.95, "off_tick"),
        ("qty", 30, 0.0005, "off_lot"),
        ("qty", 30, 1e-12, "off_lot"),
        ("side", 30, 0, "side"),
    ],
)
def test_a_row_that_is_no_level_is_found_and_left_out(name, row, value, rule):
    rows = changed(name, row, value)
    assert found(rows) == [("error", rule, row, 1)]
    without = joined([rows.take(slice(0, row)), rows.take(slice(row + 1, None))])
    assert np.array_equal(run(rows)[1].book.levels(), run(without)[1].book.levels())


def test_a_message_whose_last_row_is_none_still_ends():
    rows = quotes(levels([(1, 9, 1, True, False), (-1, 11, 1, True, True), (1, 10, 1, False, True)]))
    rows = replace(rows, price=np.array([0.9, np.nan, 1.0]))
    parts, _ = run(rows)
    assert joined([part.rows for part in parts]).last.tolist() == [True, True]


def test_errors_that_stand_side_by_side_are_one_finding():
    assert found(changed("price", slice(30, 34), -1.0)) == [("error", "non_positive", 30, 4)]


def test_a_clock_that_goes_back_is_found():
    rows = quotes(walk())
    recv = rows.recv_ts.copy()
    recv[40] -= 150 * MS
    assert ("error", "disorder", 40, 1) in found(replace(rows, recv_ts=recv))
    _, feed = run(replace(rows, recv_ts=recv), hold_clock=True)
    assert "disorder" not in rules(feed)
    assert feed.log.notes == ["X: 1 times of receipt lifted to the one before them"]


def test_rows_from_the_future_are_found():
    rows = quotes(walk())
    recv = rows.recv_ts.copy()
    recv[-1] = NOW + 1
    assert ("error", "future", len(rows) - 1, 1) in found(replace(rows, recv_ts=recv))


def test_a_clock_behind_the_venues_is_found_and_mended_as_told():
    rows = quotes(walk())
    late = replace(rows, recv_ts=rows.recv_ts - 1_271_400_000)
    ((severity, rule, row, count),) = found(late)
    assert (severity, rule, row, count) == ("error", "negative_latency", 0, len(rows))
    _, feed = run(late)
    assert "at least 1267ms" in feed.log.findings()[0].message
    parts, feed = run(late, clock_offset="1271400us")
    assert rules(feed) == []
    assert np.array_equal(joined([part.rows for part in parts]).recv_ts, rows.recv_ts)
    assert feed.log.notes == ["X: 1271400us added to the time of receipt"]


def test_a_drifting_clock_is_found_and_a_jittering_one_is_not():
    rng = np.random.default_rng(1)
    rows = quotes(levels(walk(3000), step=1000 * MS))
    jitter = rng.lognormal(0, 1, len(rows)) * MS
    jittering = np.maximum.accumulate(rows.exch_ts + jitter.astype(np.int64))
    assert found(replace(rows, recv_ts=jittering)) == []
    drifting = jittering + (rows.exch_ts - START) // 50_000  # 20 parts in a million
    assert [f[1] for f in found(replace(rows, recv_ts=drifting))] == ["latency_drift"]


def test_a_message_that_happens_before_the_one_before_it_is_found():
    rows = quotes(walk())
    exch = rows.exch_ts.copy()
    exch[50] -= 300 * MS
    assert found(replace(rows, exch_ts=exch)) == [("warning", "exch_disorder", 50, 1)]


def test_silence_is_found():
    rows = quotes(walk())
    after = np.arange(len(rows)) >= 60
    pause = 90 * 10**9 * after
    got = found(replace(rows, recv_ts=rows.recv_ts + pause, exch_ts=rows.exch_ts + pause))
    assert got == [("warning", "silence", 60, 1)]


def test_swapped_sides_are_found_and_swapped_back_as_told():
    rows = quotes(walk())
    swapped = replace(rows, side=-rows.side)
    assert "sides_swapped" in rules(run(swapped)[1], "error")
    _, feed = run(swapped, swap_sides=True)
    assert rules(feed) == []
    assert np.array_equal(feed.book.levels(), run(rows)[1].book.levels())


CROSSED = [
    (1, 999, 5, True, False),
    (-1, 1001, 5, True, False),
    (-1, 1002, 5, True, True),
    (1, 1001, 3, False, True),  # locked: the ask at 1001 is stale
    (1, 1002, 3, False, True),  # crossed
    (-1, 1001, 0, False, True),
    (-1, 1002, 0, False, True),
    (-1, 1005, 1, False, True),
]


def test_crossed_and_locked_books_are_found():
    assert found(levels(CROSSED)) == [
        ("warning", "locked", 3, 1),
        ("warning", "crossed", 4, 1),
        ("warning", "locked", 5, 1),
    ]


def test_stale_levels_are_deleted_as_told_and_where_they_were_crossed():
    parts, feed = run(levels(CROSSED), drop_crossed=True)
    assert rules(feed) == []
    rows = joined([part.rows for part in parts])
    deleted = [
        (int(s), int(t))
        for s, t, q, n in zip(rows.side, rows.tick, rows.lots, rows.row, strict=True)
        if q == 0 and n in (3, 4)
    ]
    assert deleted == [(-1, 1001), (-1, 1002)]
    # The deletions end the messages that they follow, so a rebuilt book is never crossed.
    _, other = run(rows)
    assert rules(other) == []
    assert feed.log.notes == ["X: deleted 2 stale levels that a later message crossed"]


def test_levels_far_from_the_price_are_found_and_left_out_as_told():
    rows = [*walk(), (-1, 9000, 4, False, False), (1, 995, 7, False, True), (1, 100, 4, False, True)]
    assert found(levels(rows)) == [("warning", "outlier", 120, 2)]
    parts, feed = run(levels(rows), drop_outliers=3)
    tick = joined([part.rows for part in parts]).tick
    assert 9000 not in tick and 100 not in tick and 995 in tick
    assert feed.log.notes == ["X: dropped 2 levels beyond 3 times the mid"]


def test_a_file_that_ends_inside_a_message_is_found():
    rows = [*walk(), (1, 990, 1, False, False), (1, 991, 1, False, False)]
    assert found(levels(rows)) == [("error", "truncated", 120, 2)]


def test_a_strict_feed_stops_at_the_first_error_and_says_what_to_do():
    with pytest.raises(
        DataError, match=r"X: off_tick at row 30 .*99\.95 is no multiple of the tick 0\.1.*wfbt data check"
    ):
        run(changed("price", 30, 99.95), strict=True)
    parts, _ = run(changed("price", 30, 99.95), strict=True, accept=["off_tick"])
    assert parts


def test_findings_beyond_a_hundred_of_a_rule_are_counted():
    log = Log("X")
    for row in range(KEPT + 50):
        log.add("crossed", row, START, 2, "")
    assert len(log.findings()) == KEPT + 1
    assert log.findings()[-1].count == 100
    assert log.count("crossed") == 2 * (KEPT + 50)


@pytest.mark.parametrize("sizes", [(0.0, 1.0), (0.1, 0.0), (-0.1, 1.0), (np.nan, 1.0), (np.inf, 1.0)])
def test_a_tick_or_lot_of_nothing_is_refused(sizes):
    with pytest.raises(DataError, match="must be > 0"):
        Grid(tick_size=sizes[0], lot_size=sizes[1])


@pytest.mark.parametrize(
    ("tick", "lot"), [(0.1, 0.001), (0.25, 1.0), (1e-8, 100.0), (0.5, 1e-8), (0.00001, 1e-5), (5.0, 10.0)]
)
def test_a_grid_is_learned_from_what_lies_on_it(tick, lot):
    rng = np.random.default_rng(2)
    grid = Grid(tick_size=tick, lot_size=lot)
    counts = rng.integers(1, 10**6, 500)
    got = learn([(grid.prices(counts[:200]), grid.quantities(counts[200:])), (grid.prices(counts[:1]), np.zeros(1))])
    assert (got.tick_size, got.lot_size) == (tick, lot)
    assert grid.ticks(grid.prices(counts))[0].tolist() == counts.tolist()
    assert not grid.lots(grid.quantities(counts))[1].any()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"clock_ofset": "1s"}, "did you mean 'clock_offset'"),
        ({"clock_offset": 3}, "must be a duration"),
        ({"drop_outliers": 0.5}, "must be > 1"),
        ({"drop_outliers": True}, "must be a number"),
        ({"swap_sides": "yes"}, "must be true or false"),
        ({"accept": "sequence"}, "must be a list"),
        ({"accept": ["sequense"]}, "did you mean 'sequence'"),
    ],
)
def test_corrections_that_cannot_be_meant_are_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        Corrections.parse(given)


def test_corrections_are_told_as_they_are_written():
    given = {"clock_offset": "-1500ms", "drop_outliers": 5, "accept": ["sequence"], "hold_clock": True}
    assert Corrections.parse(Corrections.parse(given).told()) == Corrections.parse(given)
    assert Corrections.parse({}).told() == {}


def columns_of(path, **changed_columns):
    return write_book(path, walk(), **changed_columns)


@pytest.mark.parametrize(
    ("name", "column", "words"),
    [
        ("recv_ts", pa.array(np.zeros(120, np.int64)), "must be a timestamp with a time zone"),
        ("price", pa.array(["1"] * 120), "price must hold numbers"),
        ("is_snapshot", pa.array(np.zeros(120, np.int64)), "is_snapshot must hold true or false"),
        ("side", pa.array(np.ones(120)), "side must hold whole numbers"),
    ],
)
def test_columns_of_another_type_are_refused(tmp_path, name, column, words):
    with pytest.raises(DataError, match=words):
        check_book(columns_of(tmp_path / "b.parquet", **{name: column}), tick_size=0.1, lot_size=0.001)


def test_a_side_that_would_wrap_round_is_no_side(tmp_path):
    side = np.ones(120, np.int64)
    side[7] = 257
    findings = check_book(columns_of(tmp_path / "b.parquet", side=pa.array(side)), now=NOW)
    assert ("side", 7) in [(f.rule, f.row) for f in findings]


def test_a_truncated_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "b.parquet"
    columns_of(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        open_book(str(path))


def test_messages_without_marks_are_rows_of_one_time(tmp_path, monkeypatch):
    marked = columns_of(tmp_path / "a.parquet")
    bare = columns_of(tmp_path / "b.parquet", marked=False, ids=False)
    monkeypatch.setattr("wfbt.data.book.parquet.BATCH", 7)
    ends = [joined(list(open_book(path).chunks())).last.tolist() for path in (marked, bare)]
    assert ends[0] == ends[1]


def test_the_grid_of_the_check_is_the_contracts():
    assert GRID.ticks(np.array([0.1 * 3]))[0].tolist() == [3]


def test_counts_that_no_book_has_are_found_in_compact_rows():
    rows = levels(walk())
    tick = rows.tick.copy()
    tick[40], tick[50] = 2**62, -1
    assert found(replace(rows, tick=tick)) == [("error", "off_tick", 40, 1), ("error", "non_positive", 50, 1)]
