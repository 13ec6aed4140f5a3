"""An exogenous series is known from its publication and a delay on, and holds what its file holds."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.parquet import NOW, START, bars_table, funding_table, stamps, write
from wfbt.data import store
from wfbt.data.inspect import check, info, series
from wfbt.data.load import load_market
from wfbt.data.market import DAY, HOUR, MINUTE, Series
from wfbt.errors import ConfigError, DataError


def news_table(available, tz="UTC", unit="us", **columns):
    given = columns or {"mood": np.arange(float(len(available)))}
    return pa.table({"published_at": stamps(available, unit, tz), **given})


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "bars.parquet", bars_table(24 * 10))
    write(tmp_path / "news.parquet", news_table(START + DAY * np.arange(10)))
    return tmp_path


def load(folder, spec=None, **rest):
    given = {"path": "news.parquet"} | (spec or {})
    options = {"now": NOW, "base": folder, "series": {"news": given}} | rest
    return load_market({"A": {"bars": "bars.parquet"}}, **options)


def only(market):
    (one,) = market.series
    return one


def made(available, values, **rest):
    return Series(name="s", columns=("a",), available_ts=available, values=np.reshape(values, (-1, 1)), **rest)


# What is known when


def test_a_row_is_known_from_its_publication_and_the_delay_on():
    one = made([100, 200], [1.0, 2.0], delay=10)
    times = np.array([0, 109, 110, 209, 210, 10**6])
    np.testing.assert_array_equal(one.known_at(times)[:, 0], [np.nan, np.nan, 1, 1, 2, 2])


def test_a_row_is_not_believed_beyond_its_age():
    one = made([100, 200], [1.0, 2.0], delay=10, max_age=50)
    times = np.array([110, 150, 151, 209, 210, 250, 251])
    np.testing.assert_array_equal(one.known_at(times)[:, 0], [1, 1, np.nan, np.nan, 2, 2, np.nan])


def test_a_row_without_an_opinion_ends_the_opinion_before_it():
    one = made([100, 200], [1.0, np.nan])
    np.testing.assert_array_equal(one.known_at(np.array([199, 200]))[:, 0], [1, np.nan])


def test_a_series_cannot_be_changed_or_be_out_of_order():
    one = made([100, 200], [1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        one.values[0] = 5
    with pytest.raises(DataError, match="s: available_ts not increasing at row 1"):
        made([200, 200], [1.0, 2.0])
    with pytest.raises(DataError, match="s: row 1 is infinite; NaN means no opinion"):
        made([100, 200], [1.0, np.inf])
    with pytest.raises(DataError, match="s: a series needs at least one row"):
        made([], [])
    with pytest.raises(ConfigError, match=r"data.series.s.max_age must be longer than delay \(1h\), was 1h"):
        made([100], [1.0], delay=HOUR, max_age=HOUR)


# Reading


def test_a_series_holds_what_its_file_holds(folder):
    market = load(folder, {"available": "published_at", "delay": "15m", "columns": ["mood"], "max_age": "36h"})
    one = only(market)
    assert (one.name, one.columns, one.names, one.symbol) == ("news", ("mood",), ("news",), None)
    assert (one.delay, one.max_age) == (15 * MINUTE, 36 * HOUR)
    np.testing.assert_array_equal(one.available_ts, START + DAY * np.arange(10))
    np.testing.assert_array_equal(one.values[:, 0], np.arange(10.0))
    assert (market.notes, market.findings) == ((), ())


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("tz", ["UTC", "America/New_York", "+05:30"])
def test_time_is_the_same_in_any_unit_and_zone(folder, unit, tz):
    write(folder / "news.parquet", news_table(START + DAY * np.arange(10), unit=unit, tz=tz))
    np.testing.assert_array_equal(only(load(folder)).available_ts, START + DAY * np.arange(10))


def test_several_columns_keep_their_order_and_are_named_after_the_series(folder):
    at = START + DAY * np.arange(3)
    write(folder / "news.parquet", news_table(at, b=np.arange(3), a=np.arange(3) / 2, words=["x", "y", "z"]))
    market = load(folder)
    assert only(market).names == ("news_b", "news_a")
    np.testing.assert_array_equal(only(market).values, [[0, 0], [1, 0.5], [2, 1]])
    assert market.notes[0] == "news: left out what is no number: words"
    assert only(load(folder, {"columns": ["a", "b"]})).columns == ("a", "b")
    assert only(load(folder, {"columns": ["a"]})).names == ("news",)


def test_null_is_no_opinion(folder):
    write(folder / "news.parquet", news_table(START + DAY * np.arange(3), mood=pa.array([1.0, None, np.nan])))
    np.testing.assert_array_equal(only(load(folder)).values[:, 0], [1, np.nan, np.nan])


def test_rows_out_of_order_are_sorted_and_said_so(folder):
    at = START + DAY * np.arange(10)
    write(folder / "news.parquet", news_table(at[::-1], mood=np.arange(10.0)[::-1]))
    market = load(folder)
    np.testing.assert_array_equal(only(market).values[:, 0], np.arange(10.0))
    assert market.notes == ("news: sorted by published_at, 10 of 10 rows moved",)
    assert [(f.rule, f.row, f.count) for f in market.findings] == [("unsorted", 1, 9)]
    assert market.digest == load_in_order(folder).digest


def load_in_order(folder):
    write(folder / "news.parquet", news_table(START + DAY * np.arange(10)))
    return load(folder)


def test_of_rows_with_one_stamp_the_last_in_the_file_counts(folder):
    at = START + DAY * np.array([0, 2, 1, 2, 2])
    write(folder / "news.parquet", news_table(at, mood=[0.0, 1.0, 2.0, 3.0, 4.0]))
    market = load(folder)
    np.testing.assert_array_equal(only(market).values[:, 0], [0, 2, 4])
    assert market.notes[1] == (
        "news: 2 rows were followed by another of the same published_at; the last in the file counts"
    )
    assert [(f.rule, f.row, f.count) for f in market.findings] == [("unsorted", 2, 1), ("restated", 3, 2)]


def test_joining_needs_the_publication_and_never_guesses_it(folder):
    at = START + DAY * np.arange(3)
    table = news_table(at).add_column(0, "happened_at", stamps(at - HOUR))
    write(folder / "news.parquet", table)
    with pytest.raises(ConfigError) as caught:
        load(folder)
    assert str(caught.value) == (
        f"data.series.news: {folder}/news.parquet has the timestamps happened_at, published_at; "
        "say in `available` which of them is when a row could be known"
    )
    one = only(load(folder, {"available": "published_at"}))
    assert one.columns == ("mood",)
    np.testing.assert_array_equal(one.available_ts, at)


def test_files_of_a_folder_are_one_series_in_the_order_of_their_names(folder):
    whole = load(folder).digest
    table = pq.read_table(folder / "news.parquet")
    for name, part in (("b", table.slice(6)), ("a", table.slice(0, 6))):
        write(folder / "news" / f"{name}.parquet", part)
    assert load(folder, {"path": "news"}).digest == whole
    assert load(folder, {"path": "news/*.parquet"}).digest == whole


# Dates


def test_the_last_row_before_the_start_is_known_at_the_start(folder):
    start, end = START + 5 * DAY + HOUR, START + 7 * DAY
    np.testing.assert_array_equal(only(load(folder, start=start, end=end)).values[:, 0], [5, 6])
    # An hour later the row of that midnight is just here, or on its way still.
    for delay, value in (("1h", 5), ("61m", 4)):
        one = only(load(folder, {"delay": delay}, start=start, end=end))
        assert one.known_at(np.array([start]))[0, 0] == value


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("shuffled", [False, True])
def test_only_what_is_needed_is_read_and_what_is_read_is_right(folder, statistics, shuffled, monkeypatch):
    rng = np.random.default_rng(3)
    at = START + HOUR * np.arange(240)
    order = rng.permutation(240) if shuffled else np.arange(240)
    table = news_table(at[order], mood=np.arange(240.0)[order], other=np.zeros(240))
    pq.write_table(table, folder / "news.parquet", row_group_size=24, write_statistics=statistics)
    seen = []
    plain = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_groups",
        lambda self, groups, columns: seen.append((tuple(groups), columns)) or plain(self, groups, columns=columns),
    )
    start, end = START + 72 * HOUR, START + 96 * HOUR
    raw = store.read_series(str(folder / "news.parquet"), "news", None, ["mood"], start, end)
    np.testing.assert_array_equal(np.sort(raw["mood"]), np.arange(71.0, 96.0))
    assert seen[0][1] == ["published_at", "mood"]
    if statistics and not shuffled:
        assert seen[0][0] == (2, 3)


def test_the_last_row_before_the_start_is_found_in_any_file(folder):
    """The file that ends last need not be read last."""
    for name, hours in (("z", [0, 1]), ("a", [2, 3]), ("m", [50, 51])):
        write(folder / "news" / f"{name}.parquet", news_table(START + HOUR * np.array(hours), mood=np.array(hours)))
    raw = store.read_series(str(folder / "news"), "news", start=START + 10 * HOUR)
    np.testing.assert_array_equal(raw["mood"], [3, 50, 51])


def test_where_a_series_begins_late_or_ends_early_a_note_says_so(folder):
    write(folder / "news.parquet", news_table(START + HOUR * np.arange(72, 96)))
    assert load(folder).notes == (
        "news: its first row is of 2024-01-04 00:00:00Z; it is NaN before",
        "news: its last row is of 2024-01-04 23:00:00Z and is held to the end",
    )
    assert load(folder, {"max_age": "6h"}).notes[1] == (
        "news: its last row is of 2024-01-04 23:00:00Z and is held for 6h"
    )


def test_whether_a_series_begins_late_is_told_of_the_symbol_that_sees_it(tmp_path):
    write(tmp_path / "old.parquet", bars_table(24 * 10))
    write(tmp_path / "new.parquet", bars_table(ts=START + HOUR * np.arange(24 * 8, 24 * 10)))
    write(tmp_path / "news.parquet", news_table(START + DAY * np.arange(5, 10)))
    symbols = {name: {"bars": f"{name}.parquet"} for name in ("old", "new")}
    given = {"path": "news.parquet"}
    every = load_market(symbols, series={"news": given}, base=tmp_path, now=NOW)
    assert [note for note in every.notes if note.startswith("news")] == [
        "news: its first row is of 2024-01-06 00:00:00Z; it is NaN before"
    ]
    alone = load_market(symbols, series={"news": given | {"symbol": "new"}}, base=tmp_path, now=NOW)
    assert not [note for note in alone.notes if note.startswith("news")]


def test_a_timeframe_longer_than_the_data_is_told_as_one_that_never_closes(folder):
    assert [note for note in load(folder, timeframes=["1d", "30d"]).notes if "30d" in note or "1d" in note] == [
        "A: no bar of 30d begins and ends within its bars, so open_30d and its kind are NaN"
    ]


# Identity


def test_the_digest_follows_the_content_of_a_series(folder):
    base = load(folder).digest
    assert load(folder, series=None).digest != base
    assert load(folder, {"delay": "1h"}).digest != base
    assert load(folder, {"max_age": "1h"}).digest != base
    assert load(folder, {"symbol": "A"}).digest != base
    values = np.arange(10.0)
    values[7] = np.nextafter(7, 8)
    write(folder / "news.parquet", news_table(START + DAY * np.arange(10), mood=values))
    assert load(folder).digest != base
    # What is published after the end is no part of it.
    early = load(folder, end=START + 6 * DAY).digest
    write(folder / "news.parquet", news_table(START + DAY * np.arange(10)))
    assert load(folder, end=START + 6 * DAY).digest == early


# What is refused


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (news_table([START, NOW + HOUR]), r"^news: future at row 1 .*: later than now .*; see: wfbt data check "),
        (news_table([START], mood=[np.inf]), r"^news: nan at row 0 .*: infinite: mood inf; see"),
        (news_table([START], mood=["good"]), r"^news: .*: no column of numbers beside published_at; found mood; a ser"),
        (pa.table({"mood": [1.0]}), r"^news: .*: no column of timestamps says when a row could be known; found mood"),
        (pa.table({"at": pa.array([0], pa.timestamp("us")), "mood": [1.0]}), r"^news: .*: at has no time zone"),
        (
            pa.table({"at": pa.array([0, None], pa.timestamp("us", "UTC")), "mood": [1.0, 2.0]}),
            r"^news: .*: at is empty at row 1; remove the row",
        ),
        (news_table([]), r"^news: .*: the file holds no rows"),
    ],
    ids=["future", "infinite", "text", "no time", "no zone", "null time", "no rows"],
)
def test_what_is_no_series_is_refused(folder, table, message):
    write(folder / "news.parquet", table)
    with pytest.raises(DataError, match=message):
        load(folder)


def test_rows_of_the_future_can_be_dropped_where_asked(folder):
    write(folder / "news.parquet", news_table([START, NOW + HOUR]))
    market = load(folder, repair=["future"])
    assert len(only(market)) == 1
    assert market.notes[0].startswith("news series: repaired future: dropped 1 row, first at row 1")


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ({"available": "known_at"}, DataError, r"column known_at is missing; needs known_at, mood, found published_at"),
        ({"available": "mood", "columns": ["mood"]}, DataError, r"mood must be a timestamp with a time zone"),
        ({"columns": ["moood"]}, DataError, r"column moood is missing; needs published_at, moood, found published_at"),
        ({"columns": ["words"]}, DataError, r"column words must hold numbers, was string"),
        ({"columns": ["published_at"]}, ConfigError, r"data.series.news.columns: published_at is when a row could be"),
        (
            {"columns": ["mood", "mood"]},
            ConfigError,
            r"data.series.news.columns must not name a column twice, was mood, mood",
        ),
        ({"columns": "mood"}, ConfigError, r"data.series.news.columns must be a list of columns, was 'mood'"),
        (
            {"dealy": "1h"},
            ConfigError,
            r"data.series.news: unknown key 'dealy', did you mean 'delay'; valid are path, avail",
        ),
        ({"delay": 15}, ConfigError, r"data.series.news.delay must be a duration with a unit such as .*, was 15"),
        ({"path": None}, ConfigError, r"data.series.news: path is missing"),
        ({"path": "none.parquet"}, DataError, r"news: .*none.parquet: no Parquet file found"),
        ({"symbol": "B"}, ConfigError, r"data.series.news.symbol must be one of A, was B"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder, spec, error, message):
    at = START + DAY * np.arange(3)
    write(folder / "news.parquet", news_table(at, mood=np.ones(3), words=["x"] * 3))
    with pytest.raises(error, match=message):
        load(folder, spec)


def test_files_in_two_zones_are_refused(folder):
    for name, tz in (("a", "UTC"), ("b", "Asia/Tokyo")):
        write(folder / "news" / f"{name}.parquet", news_table([START], tz=tz))
    with pytest.raises(DataError, match="mixed timezones: published_at is in Asia/Tokyo, UTC"):
        load(folder, {"path": "news"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["90m"], r"data.timeframes: 90m must be a multiple of the bars' period \(1h\) and longer"),
        (["1h"], r"data.timeframes: 1h must be a multiple of the bars' period \(1h\) and longer"),
        (["4h", "4h"], r"data.timeframes must be at most 8, each named once"),
        ([f"{n}h" for n in range(2, 11)], r"data.timeframes must be at most 8, each named once"),
        (["4"], r"data.timeframes must be a duration such as .*, was '4'"),
    ],
)
def test_timeframes_are_multiples_of_the_bars(folder, given, message):
    with pytest.raises(ConfigError, match=message):
        load(folder, timeframes=given)


# wfbt data check and info


def test_check_and_info_know_a_series_by_its_columns(folder):
    at = START + DAY * np.array([0, 2, 1, 1])
    path = write(folder / "news.parquet", news_table(at))
    told = info(path, now=NOW)
    assert (told["kind"], told["rows"], told["period"], told["columns"]) == ("series", 4, "", ["published_at", "mood"])
    assert (told["first"], told["gaps"]) == ("2024-01-01 00:00:00Z", [])
    assert [str(f) for f in check(path, now=NOW)] == [
        "news: unsorted at row 2 (2024-01-02 00:00:00Z): 1 row stands before an earlier one; sorted on reading",
        "news: restated at row 3 (2024-01-02 00:00:00Z): 1 row has a stamp that an earlier row has; "
        "of each the last one counts",
    ]


def test_bars_or_funding_that_lack_a_column_are_not_taken_for_a_series(tmp_path):
    for table, column in ((bars_table(), "close"), (funding_table(), "rate")):
        lacking = table.drop_columns([column])
        if column == "rate":
            lacking = lacking.append_column("price", lacking["mark_price"])
        with pytest.raises(DataError, match=r"neither bars .* nor funding .* nor a series"):
            store.kind(write(tmp_path / "a.parquet", lacking))


def test_a_folder_is_looked_through_for_bars_and_funding_alone(folder):
    assert series(str(folder)) == [str(folder / "bars.parquet")]
