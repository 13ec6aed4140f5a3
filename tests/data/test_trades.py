import numpy as np
import pyarrow as pa
import pytest

from tests.data.parquet import NOW, START, bars_table, stamps, write
from wfbt.data import quality, store
from wfbt.data.inspect import check, info, series
from wfbt.data.load import load_market
from wfbt.data.market import HOUR
from wfbt.data.trades import Trades
from wfbt.errors import DataError

COUNT = 500


def given(**changed):
    rng = np.random.default_rng(5)
    columns = {
        "ts": START + np.sort(rng.integers(0, 30 * HOUR // 10**6, COUNT)) * 10**6,
        "price": 100 + rng.normal(0, 0.01, COUNT),
        "qty": rng.uniform(1, 2, COUNT),
        "side": np.where(rng.random(COUNT) < 0.5, 1, -1).astype(np.int8),
        "trade_id": np.arange(COUNT) + 7,
    }
    return columns | changed


def table(**changed):
    columns = given(**changed)
    return pa.table({"ts": stamps(columns.pop("ts")), **columns})


def raw(tmp_path, **changed):
    return store.read_trades(write(tmp_path / "trades.parquet", table(**changed)), "A")


def findings(tmp_path, **changed):
    return [(f.severity, f.rule, f.row, f.count) for f in quality.check_trades(raw(tmp_path, **changed), "A", NOW)]


def changed_at(name, rows, value):
    column = given()[name].copy()
    column[rows] = value
    return {name: column}


def test_sound_trades_have_no_findings(tmp_path):
    assert findings(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (changed_at("price", [10, 11], 0.0), [("error", "non_positive", 10, 2)]),
        (changed_at("qty", 3, -1.0), [("error", "non_positive", 3, 1)]),
        (changed_at("price", 9, np.nan), [("error", "nan", 9, 1)]),
        (changed_at("qty", 9, np.inf), [("error", "nan", 9, 1)]),
        (changed_at("side", [5, 300], 0), [("error", "side", 5, 1), ("error", "side", 300, 1)]),
        (changed_at("side", 2, 2), [("error", "side", 2, 1)]),
        (changed_at("ts", 499, NOW + 10**9), [("error", "future", 499, 1)]),
        (changed_at("ts", 250, START - 10**9), [("error", "disorder", 250, 1)]),
        (changed_at("trade_id", 40, 45), [("error", "duplicates", 40, 1)]),
        ({"ts": given()["ts"][::-1].copy()}, [("error", "disorder", 0, 500)]),
    ],
)
def test_each_defect_is_found_where_it_is(tmp_path, change, found):
    assert findings(tmp_path, **change) == found


def test_trades_that_are_alike_in_all_but_their_id_are_two(tmp_path):
    change = {name: np.repeat(values[::2], 2) for name, values in given().items() if name != "trade_id"}
    assert findings(tmp_path, **change) == []
    without = table(**change).drop(["trade_id"])
    assert quality.check_trades(store.read_trades(write(tmp_path / "b.parquet", without), "A"), "A", NOW) == []


def test_ids_beyond_what_a_float_tells_apart_are_not_judged(tmp_path):
    assert findings(tmp_path, trade_id=np.arange(COUNT) + 2**60) == []


def test_an_id_that_is_text_is_not_read(tmp_path):
    assert tuple(raw(tmp_path, trade_id=[f"t{i}" for i in range(COUNT)]).columns) == ("price", "qty", "side")


@pytest.fixture
def folder(tmp_path):
    bars = bars_table(
        48, open=np.full(48, 100.0), high=np.full(48, 101.0), low=np.full(48, 99.0), close=np.full(48, 100.0)
    )
    write(tmp_path / "bars.parquet", bars)
    write(tmp_path / "trades.parquet", table())
    return tmp_path


def load(folder, **rest):
    return load_market({"A": {"bars": "bars.parquet", "trades": "trades.parquet"}}, base=folder, now=NOW, **rest)


def test_a_market_holds_trades_and_says_what_they_are_for(folder):
    market = load(folder)
    trades = market.instruments[0].trades
    assert len(trades) == COUNT
    assert trades.until == trades.ts[-1]
    np.testing.assert_array_equal(trades.side, given()["side"])
    assert any("features are made of them, and no order is filled by them" in note for note in market.notes)


def test_the_digest_follows_trades(folder):
    base = load(folder).digest
    assert load_market({"A": {"bars": "bars.parquet"}}, base=folder, now=NOW).digest != base
    for change in (changed_at("qty", 7, 9.0), changed_at("side", 7, -given()["side"][7])):
        write(folder / "trades.parquet", table(**change))
        assert load(folder).digest != base


def test_only_the_trades_of_the_span_are_read(folder):
    trades = load(folder, start=START + 10 * HOUR, end=START + 20 * HOUR).instruments[0].trades
    assert trades.ts[0] >= START + 10 * HOUR
    assert trades.ts[-1] < START + 20 * HOUR


def test_defects_of_trades_stop_the_load_and_are_mended_only_when_asked(folder):
    repeated = np.r_[0:200, 199, 200:COUNT]
    write(folder / "trades.parquet", table().take(repeated))
    with pytest.raises(DataError, match=r"A: duplicates at row 200 .* repeats the id of row 199 with the same values"):
        load(folder)
    market = load(folder, repair=["duplicates"])
    np.testing.assert_array_equal(market.instruments[0].trades.ts, given()["ts"])
    write(folder / "trades.parquet", table(**changed_at("side", 7, 0)))
    with pytest.raises(DataError, match=r"A: side at row 7 .*: side is 1 or -1, the aggressor's; was 0"):
        load(folder)
    assert len(load(folder, repair=["side"]).instruments[0].trades) == COUNT - 1


def test_trades_outside_the_range_of_their_bar_are_a_warning(folder):
    write(folder / "trades.parquet", table(**changed_at("price", 250, 102.0)))
    (found,) = load(folder).findings
    assert (found.rule, found.severity, found.count) == ("disagree", "warning", 1)
    row = int((given()["ts"][250] - START) // HOUR)
    assert found.row == row


def test_a_column_that_is_missing_is_named(folder):
    write(folder / "trades.parquet", table().drop(["side"]))
    with pytest.raises(DataError, match="column side is missing; needs ts, price, qty, side"):
        load(folder)


def test_data_check_and_info_know_trades(folder):
    path = str(folder / "trades.parquet")
    assert check(path, now=NOW) == []
    told = info(path, now=NOW)
    assert (told["kind"], told["rows"], told["gaps"]) == ("trades", COUNT, [])
    assert path in series(str(folder))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"side": np.array([1, 257, 1])}, "side must be 1 or -1 at row 1, was 257"),
        ({"price": np.array([1.0, np.nan, 1.0])}, "price must be > 0 at row 1"),
        ({"qty": np.array([1.0, 1.0, 0.0])}, "qty must be > 0 at row 2"),
        ({"ts": np.array([2, 1, 3])}, "ts goes back at row 1"),
        ({"qty": np.ones(2)}, "differ in length"),
    ],
)
def test_trades_that_cannot_be_are_refused(change, said):
    sound = {"ts": np.array([1, 1, 2]), "price": np.ones(3), "qty": np.ones(3), "side": np.array([1, -1, 1])}
    Trades(**sound)
    with pytest.raises(DataError, match=said):
        Trades(**sound | change)


def test_trades_cannot_be_written_to():
    trades = Trades(ts=np.array([1]), price=np.ones(1), qty=np.ones(1), side=np.ones(1))
    for name in ("ts", "price", "qty", "side"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(trades, name)[0] = 2


def test_what_was_known_keeps_no_view_of_the_rest_and_is_complete_to_then():
    trades = Trades(ts=np.arange(5), price=np.ones(5), qty=np.ones(5), side=np.ones(5))
    cut = trades.known_by(2)
    assert (cut.ts.tolist(), cut.until, cut.ts.base) == ([0, 1, 2], 2, None)
    assert (trades.known_by(9).until, trades.since(3).ts.tolist()) == (4, [3, 4])
