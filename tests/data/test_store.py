import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.parquet import START, bars_table, funding_table, write
from wfbt.data import store
from wfbt.data.inspect import check, info
from wfbt.data.market import HOUR
from wfbt.errors import DataError


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_stamps_of_every_unit_are_the_same_nanoseconds(tmp_path, unit):
    raw = store.read_bars(write(tmp_path / "a.parquet", bars_table(unit=unit)), "A")
    np.testing.assert_array_equal(raw.ts, START + HOUR * np.arange(200))


@pytest.mark.parametrize("tz", ["Europe/Moscow", "America/New_York", "+03:00", "-0530"])
def test_a_zone_changes_how_a_stamp_is_shown_not_when_it_is(tmp_path, tz):
    raw = store.read_bars(write(tmp_path / "a.parquet", bars_table(tz=tz)), "A")
    assert raw.ts[0] == START
    assert raw.zone == tz


def test_values_survive_the_file_bit_for_bit(tmp_path):
    table = bars_table()
    raw = store.read_bars(write(tmp_path / "a.parquet", table), "A")
    for name in store.BARS:
        np.testing.assert_array_equal(raw[name], table[name].to_numpy())


def test_whole_numbers_are_accepted_and_null_is_nan(tmp_path):
    n = 200
    table = bars_table(n, volume=pa.array([None, *range(n - 1)], pa.int32()))
    raw = store.read_bars(write(tmp_path / "a.parquet", table), "A")
    assert np.isnan(raw["volume"][0])
    assert raw["volume"][-1] == n - 2


def test_other_columns_are_not_read(tmp_path):
    path = write(tmp_path / "a.parquet", bars_table(note=["x"] * 200, quote_volume=np.ones(200)))
    assert set(store.read_bars(path, "A").columns) == {*store.BARS, "quote_volume"}


def test_a_folder_a_glob_and_a_file_list_read_the_same_rows(tmp_path):
    write(tmp_path / "2024-02.parquet", bars_table(100, start=START + 100 * HOUR))
    write(tmp_path / "2024-01.parquet", bars_table(100))
    for path in (tmp_path, tmp_path / "*.parquet", tmp_path / "2024-0?.parquet", tmp_path.as_uri()):
        raw = store.read_bars(str(path), "A")
        np.testing.assert_array_equal(raw.ts, START + HOUR * np.arange(200))
        assert [name.rpartition("/")[2] for name in raw.files] == ["2024-01.parquet", "2024-02.parquet"]


def test_a_date_range_is_inclusive_at_its_start_and_exclusive_at_its_end(tmp_path):
    path = write(tmp_path / "a.parquet", bars_table())
    raw = store.read_bars(path, "A", START + 10 * HOUR, START + 20 * HOUR)
    np.testing.assert_array_equal(raw.ts, START + HOUR * np.arange(10, 20))
    np.testing.assert_array_equal(raw.row, np.arange(10, 20))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_row_groups_outside_the_dates_are_not_read(tmp_path, unit, monkeypatch):
    path = tmp_path / "a.parquet"
    pq.write_table(bars_table(unit=unit), path, row_group_size=20)
    asked = []
    read = pq.ParquetFile.read_row_groups

    def watched(self, groups, **rest):
        asked.extend(groups)
        return read(self, groups, **rest)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", watched)
    raw = store.read_bars(str(path), "A", START + 45 * HOUR, START + 75 * HOUR)
    assert asked == [2, 3]
    np.testing.assert_array_equal(raw.row, np.arange(45, 75))


def test_a_range_without_rows_says_so(tmp_path):
    path = write(tmp_path / "a.parquet", bars_table())
    with pytest.raises(DataError, match=r"A: .*no rows at or after 2024-04-10 .*wfbt data info"):
        store.read_bars(path, "A", START + 100 * 24 * HOUR)


def changed_type(name, type_):
    table = bars_table()
    index = table.column_names.index(name)
    return table.set_column(index, name, table[name].cast(type_))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (bars_table().drop_columns("volume"), "column volume is missing"),
        (bars_table().drop_columns("ts"), "column ts is missing"),
        (bars_table().rename_columns(["time", *store.BARS]), "column ts is missing.*found time"),
        (changed_type("close", pa.string()), "column close must hold numbers, was string"),
        (changed_type("ts", pa.int64()), "ts must be a timestamp with a time zone, was int64"),
        (changed_type("ts", pa.timestamp("us")), "ts has no time zone"),
        (bars_table(tz="Mars/Olympus"), "unknown time zone 'Mars/Olympus'"),
        (bars_table().slice(0, 0), "holds no rows"),
        (bars_table().append_column("open", pa.array(np.ones(200))), "column open appears twice"),
        (bars_table(3, ts=np.array([0, 1, 2])).set_column(0, "ts", pa.array([0, None, 2], pa.timestamp("s", "UTC"))),
         "ts is empty at row 1"),
        (bars_table(2, ts=np.array([0, 1])).set_column(0, "ts", pa.array([0, 2**60], pa.timestamp("us", "UTC"))),
         "ts at row 1 is outside the years 1800 to 2262"),
    ],
)  # fmt: skip
def test_a_wrong_schema_names_the_file_the_rule_and_the_value(tmp_path, table, said):
    path = tmp_path / "wrong.parquet"
    pq.write_table(table, path)
    with pytest.raises(DataError, match=said) as caught:
        store.read_bars(str(path), "A")
    assert str(caught.value).startswith(f"A: {path}")


def test_files_in_different_zones_are_refused(tmp_path):
    write(tmp_path / "a.parquet", bars_table())
    write(tmp_path / "b.parquet", bars_table(tz="Asia/Tokyo"))
    with pytest.raises(DataError, match="mixed timezones: ts is in Asia/Tokyo, UTC"):
        store.read_bars(str(tmp_path), "A")


@pytest.mark.parametrize("missing", ["none.parquet", "folder/", "*.parquet", "a\0b", "none://x", "s3//x"])
def test_a_path_without_files_says_so(tmp_path, missing):
    with pytest.raises(DataError, match=r"no Parquet file found|NUL|not a readable"):
        store.read_bars(str(tmp_path / missing) if "://" not in missing else missing, "A")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 100, b"ts,open\n1,2\n", bytes(4096)])
def test_what_is_not_parquet_is_one_line(tmp_path, content):
    path = tmp_path / "bad.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a readable Parquet file") as caught:
        store.read_bars(str(path), "A")
    assert "\n" not in str(caught.value)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole = (tmp_path / "a.parquet", write(tmp_path / "a.parquet", bars_table()))[0].read_bytes()
    path = tmp_path / "cut.parquet"
    for length in np.linspace(0, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            check(str(path))


def test_flipped_bytes_are_refused_or_read_but_never_crash(tmp_path):
    write(tmp_path / "a.parquet", bars_table())
    whole = np.frombuffer((tmp_path / "a.parquet").read_bytes(), np.uint8)
    rng = np.random.default_rng(5)
    path = tmp_path / "flipped.parquet"
    refused = 0
    for _ in range(300):
        flipped = whole.copy()
        # The last kilobyte holds the footer, where a change does the most harm.
        at = rng.integers(len(whole) - 1500, len(whole), 3)
        flipped[at] = rng.integers(0, 256, 3)
        path.write_bytes(flipped.tobytes())
        try:
            check(str(path))
            info(str(path))
        except DataError:
            refused += 1
    assert refused > 50


def test_the_columns_say_what_a_path_holds(tmp_path):
    assert store.kind(write(tmp_path / "a.parquet", bars_table())) == "bars"
    assert store.kind(write(tmp_path / "b.parquet", funding_table())) == "funding"
    with pytest.raises(DataError, match=r"neither bars .* nor funding .* found the columns price, ts"):
        store.kind(write(tmp_path / "c.parquet", bars_table().select(["ts", "open"]).rename_columns(["ts", "price"])))


def test_the_same_table_is_written_as_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        store.write_table(tmp_path / name, bars_table())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_digest_changes_with_any_name_or_value():
    base = {"ts": np.arange(3), "open": np.ones(3)}
    other = {
        store.digest("A", base),
        store.digest("B", base),
        store.digest("A", {"ts": np.arange(3), "high": np.ones(3)}),
        store.digest("A", {"ts": np.arange(3), "open": np.array([1, 1, np.nextafter(1, 2)])}),
        store.digest("A", {"ts": np.arange(3), "open": np.ones(3, np.float32)}),
    }
    assert len(other) == 5
    assert store.digest("A", base) in other
