"""Recorded books: rebuilt, compared with the venue's own best quotes, and their findings written by hand."""

import numpy as np
import pytest

from wfbt.data.book.grid import Grid
from wfbt.data.book.inspect import Compared, check_bests, check_book, info_book
from wfbt.data.book.parquet import open_book
from wfbt.data.book.read import EventReader, read_events
from wfbt.data.book.stream import Feed
from wfbt.data.book.tape import read_bests
from wfbt.errors import DataError

NOW = int(np.datetime64("2026-07-01", "ns").astype(np.int64))
# symbol: tick, lot, messages after the snapshot and with it that a quote is known for, error and warning rules.
PAIRS = {
    "BTCUSDT_spot_20240808": (Grid(tick_size=0.01, lot_size=1e-6), 3450, {"negative_latency"}, {"cold_start"}),
    "BTCUSDT_usdm_20240808": (
        Grid(tick_size=0.1, lot_size=0.001),
        6548,
        {"negative_latency"},
        {"cold_start", "outlier"},
    ),
    "BTCUSD_coinm_20240808": (
        Grid(tick_size=0.1, lot_size=1.0),
        26825,
        {"negative_latency"},
        {"cold_start", "outlier"},
    ),
}
OTHERS = {
    "BTCUSD_bitstamp_20150501": ({}, set(), {"cold_start", "crossed", "locked"}),
    "XRPUSDT_bybit_ob500_20241201": ({}, set(), set()),
}


def l2(folder, name):
    return str(folder / "l2" / f"{name}_l2.parquet")


@pytest.mark.parametrize("name", PAIRS)
def test_the_rebuilt_best_equals_the_venues_on_every_message(real_data, name):
    grid, messages, _, _ = PAIRS[name]
    files = open_book(l2(real_data, name), name)
    assert files.grid == grid
    feed = Feed(files.chunks(), files.grid, symbol=name, strict=False, now=NOW)
    compared = Compared(read_bests(str(real_data / "l2" / f"{name}_bbo.parquet")), feed, files.path)
    ended = 0
    for part in feed.run():
        compared.look(part.ends, part.best)
        ended += len(part.ends)
    assert (compared.equal, compared.messages) == (messages, messages)
    # All of them: none was left out of the comparison.
    assert ended == messages


@pytest.mark.parametrize("name", PAIRS)
def test_a_real_book_shows_what_its_manifest_says(real_data, name):
    _, _, errors, warnings = PAIRS[name]
    found = check_book(l2(real_data, name), now=NOW, bests=str(real_data / "l2" / f"{name}_bbo.parquet"))
    assert {f.rule for f in found if f.severity == "error"} == errors
    assert {f.rule for f in found if f.severity == "warning"} == warnings


@pytest.mark.parametrize("name", OTHERS)
def test_other_books_show_what_their_manifest_says(real_data, name):
    _, errors, warnings = OTHERS[name]
    found = check_book(l2(real_data, name), now=NOW)
    assert {f.rule for f in found if f.severity == "error"} == errors
    assert {f.rule for f in found if f.severity == "warning"} == warnings


def test_bitstamp_is_crossed_or_locked_after_0_4_percent_of_its_events(real_data):
    found = check_book(l2(real_data, "BTCUSD_bitstamp_20150501"), now=NOW)
    assert sum(f.count for f in found if f.rule in ("crossed", "locked")) == pytest.approx(0.004 * 31_846, rel=0.2)


def test_three_quantities_of_the_spot_book_are_no_whole_lots(real_data):
    found = check_book(l2(real_data, "BTCUSDT_spot_20240808"), tick_size=0.01, lot_size=1e-5, now=NOW)
    assert sum(f.count for f in found if f.rule == "off_lot") == 3


@pytest.mark.parametrize("name", PAIRS)
def test_best_quotes_are_sound_but_for_their_clock(real_data, name):
    found = check_bests(str(real_data / "l2" / f"{name}_bbo.parquet"), now=NOW)
    assert {f.rule for f in found} <= {"negative_latency"}


def test_a_quote_that_differs_is_found(real_data, tmp_path):
    import pyarrow.parquet as pq

    table = pq.read_table(real_data / "l2" / "BTCUSDT_usdm_20240808_bbo.parquet")
    bid = table["bid"].to_numpy().copy()
    bid[30_000:30_040] -= 0.1
    path = tmp_path / "bbo.parquet"
    pq.write_table(table.set_column(table.schema.names.index("bid"), "bid", [bid]), path)
    found = check_book(l2(real_data, "BTCUSDT_usdm_20240808"), now=NOW, bests=str(path))
    wrong = [f for f in found if f.rule == "bbo_disagrees"]
    assert wrong
    assert all(f.severity == "error" and "ticks" in f.message for f in wrong)


@pytest.mark.parametrize("name", ["usdm", "spot"])
def test_a_book_received_before_it_happens_is_refused_until_the_clock_is_mended(real_data, name):
    book = l2(real_data, f"BTCUSDT_{name}_20240808")
    trades = str(real_data / "trades" / f"BTCUSDT_{name}_20240808_trades.parquet")
    with pytest.raises(DataError, match=r"negative_latency.*add corrections\.clock_offset, at least 12\d\dms"):
        list(EventReader(book, trades, symbol="BTCUSDT"))
    events = read_events(book, trades, symbol="BTCUSDT", corrections={"clock_offset": "1300ms"})
    assert (events.local_ts >= events.exch_ts).all()
    assert np.bincount(events.kind).tolist() == [
        len(events) - np.bincount(events.kind)[1:].sum(),
        *np.bincount(events.kind)[1:],
    ]
    assert (events.kind == 2).sum() == 1
    assert (events.kind == 1).sum() == {"usdm": 21_313, "spot": 9_757}[name]


def test_the_digest_of_a_book_does_not_depend_on_how_it_is_read(real_data, monkeypatch):
    path = l2(real_data, "XRPUSDT_bybit_ob500_20241201")
    once = info_book(path, now=NOW)
    monkeypatch.setattr("wfbt.data.book.parquet.BATCH", 100)
    assert info_book(path, now=NOW)["digest"] == once["digest"]
    assert (once["messages"], once["snapshots"], once["rows"]) == (50, 1, 3966)


def test_a_book_that_shows_ten_levels_is_rebuilt_as_it_shows_them(real_data):
    import pyarrow.parquet as pq

    path = str(real_data / "l2" / "AAPL_lobster10_20120621_first1000.parquet")
    files = open_book(path, "AAPL")
    assert files.grid == Grid(tick_size=0.01, lot_size=1.0)
    feed = Feed(files.chunks(), files.grid, symbol="AAPL", now=NOW)
    (part,) = feed.run()
    assert feed.log.findings() == []
    table = pq.read_table(path)
    side, tick, lots = feed.book.levels()
    for own, name in ((1, "bid"), (-1, "ask")):
        last = [round(table[f"{name}_px_{k}"][-1].as_py() * 100) for k in range(10)]
        size = [round(table[f"{name}_qty_{k}"][-1].as_py()) for k in range(10)]
        assert (tick[side == own].tolist(), lots[side == own].tolist()) == (last, size)
    rows = part.ends.row
    assert np.array_equal(part.best.bid, np.rint(table["bid_px_0"].to_numpy()[rows] * 100))
    assert np.array_equal(part.best.ask, np.rint(table["ask_px_0"].to_numpy()[rows] * 100))
    assert info_book(path, now=NOW)["kind"] == "book"


@pytest.mark.parametrize("name", ["BTCUSD_bitstamp_20150501_orders", "ESH4_mbo_20231225_part1"])
def test_single_orders_are_no_levels(real_data, name):
    with pytest.raises(DataError, match=r"is missing|single orders \(L3\)"):
        open_book(str(real_data / "l3" / f"{name}.parquet"))
