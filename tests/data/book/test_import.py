"""`wfbt data import`: tiny files by each format's public description, and what comes out of them."""

import gzip
import io
import json
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.data.book.feeds import MS, NOW
from wfbt.data import store
from wfbt.data.book.convert import import_files
from wfbt.data.book.corrections import Corrections
from wfbt.data.book.importers import binance_archive, binance_stream, bybit, hftbacktest, lobster, source, tardis
from wfbt.data.book.inspect import check_book, info_book
from wfbt.data.book.parquet import TOLD, open_book
from wfbt.data.book.read import read_events
from wfbt.data.book.rows import joined
from wfbt.errors import ConfigError, DataError

T = 1_717_243_200_000  # 2024-06-01 12:00 UTC, in ms


def written(path, text):
    data = text.encode() if isinstance(text, str) else text
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(data, mtime=0))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.stem, data)
    else:
        path.write_bytes(data)
    return str(path)


def parsed(reader, *paths, symbol="BTCUSDT"):
    parts = list(reader.read(paths, symbol))
    return [
        joined(found) if (found := [getattr(p, kind) for p in parts if getattr(p, kind) is not None]) else None
        for kind in ("book", "trades", "bests")
    ]


def depth(at, first, final, prev, bids=(), asks=(), symbol="BTCUSDT", lag=5):
    said = {"e": "depthUpdate", "E": at + 1, "T": at, "s": symbol, "U": first, "u": final, "pu": prev}
    said |= {"b": [list(level) for level in bids], "a": [list(level) for level in asks]}
    return f"{(at + lag) * MS} " + json.dumps({"stream": f"{symbol.lower()}@depth@0ms", "data": said})


def futures_lines(days=1):
    """A snapshot after two differences, then a difference every ten minutes, a trade and a quote with each."""
    snapshot = {"lastUpdateId": 12, "E": T + 30, "T": T + 15, "bids": [["99.9", "1.000"]], "asks": [["100.1", "2.000"]]}
    lines = [
        depth(T, 1, 9, 0, bids=[("99.8", "5")]),
        depth(T + 10, 11, 14, 9, bids=[("99.9", "1.5")]),
        f"{(T + 30) * MS} " + json.dumps(snapshot),
    ]
    final = 14
    for k in range(1, 144 * days):
        at = T + k * 600_000
        lines.append(depth(at, final + 2, final + 5, final, asks=[("100.2", f"{k % 7}")]))
        trade = {"e": "trade", "E": at + 1, "T": at, "s": "BTCUSDT", "t": k, "p": "100.1", "q": "0.010", "X": "MARKET"}
        lines.append(f"{(at + 4) * MS} " + json.dumps({"stream": "btcusdt@trade", "data": trade | {"m": k % 2 == 0}}))
        best = {"e": "bookTicker", "u": final + 5, "s": "BTCUSDT", "b": "99.9", "B": "1.5", "a": "100.1", "A": "2"}
        lines.append(f"{(at + 6) * MS} " + json.dumps({"data": best | {"T": at, "E": at + 1}}))
        final += 5
    return lines


def test_a_binance_futures_stream_becomes_days_that_check_out(tmp_path):
    path = written(tmp_path / "raw.gz", "\n".join(futures_lines(2)) + "\n")
    out = tmp_path / "out"
    done = import_files("binance-stream", [path], out, symbol="BTCUSDT", tick_size=0.1, lot_size=0.001, now=NOW)
    days = ["2024-06-01", "2024-06-02", "2024-06-03"]
    assert {kind: sorted(rows) for kind, rows in done.rows.items()} == dict.fromkeys(("book", "trades", "bbo"), days)
    assert [f.rule for f in done.findings] == ["cold_start"]
    assert sum(done.rows["trades"].values()) == 287
    book, bbo = out / "book/symbol=BTCUSDT", out / "bbo/symbol=BTCUSDT"
    assert check_book(str(book), now=NOW, bests=str(bbo)) == []
    # Trades are read by all that reads trades.
    trades = store.read_trades(str(out / "trades/symbol=BTCUSDT"), "BTCUSDT")
    assert set(np.unique(trades["side"])) == {-1.0, 1.0}
    assert trades["price"][0] == 100.1
    events = read_events(str(book), str(out / "trades/symbol=BTCUSDT"), symbol="BTCUSDT", now=NOW)
    assert (events.tick_size, events.lot_size, len(events)) == (0.1, 0.001, 1 + 2 + 1 + 287 + 287)


def test_a_day_is_read_alone_as_it_stands_after_the_days_before_it(tmp_path):
    path = written(tmp_path / "raw", "\n".join(futures_lines(2)))
    import_files("binance-stream", [path], tmp_path, symbol="BTCUSDT", tick_size=0.1, lot_size=0.001, now=NOW)
    book = tmp_path / "book/symbol=BTCUSDT"
    second = str(book / "day=2024-06-02")
    assert check_book(second, now=NOW) == []
    alone = read_events(second, symbol="B", now=NOW)
    whole = read_events(str(book), symbol="B", now=NOW)
    assert (whole.kind == 2).sum() == 1
    assert (alone.kind[0], alone.kind[1:5].tolist()) == (2, [0, 0, 0, 0])
    start = int(np.datetime64("2024-06-02", "ns").astype(np.int64))
    from_day = read_events(str(book), symbol="B", start=start, end=start + 86_400 * 10**9, now=NOW)
    assert np.array_equal(from_day.tick, alone.tick)
    for name in ("exch_ts", "local_ts", "side", "tick", "lots"):
        inside = (whole.local_ts >= start) & (whole.local_ts < start + 86_400 * 10**9)
        assert np.array_equal(getattr(whole, name)[inside], getattr(alone, name)[4:]), name


def test_an_import_again_leaves_the_days_alone_and_another_setting_writes_them_anew(tmp_path):
    path = written(tmp_path / "raw", "\n".join(futures_lines()))
    given = {"symbol": "BTCUSDT", "tick_size": 0.1, "lot_size": 0.001, "now": NOW}
    first = import_files("binance-stream", [path], tmp_path, **given)
    file = tmp_path / "book/symbol=BTCUSDT/day=2024-06-01/part-0.parquet"
    bytes_, stat = file.read_bytes(), file.stat().st_mtime_ns
    again = import_files("binance-stream", [path], tmp_path, **given)
    assert again.rows == {}
    assert again.kept == {kind: sorted(rows) for kind, rows in first.rows.items()}
    assert file.stat().st_mtime_ns == stat
    # A day that an import which was killed had not finished is written.
    file.unlink()
    more = import_files("binance-stream", [path], tmp_path, **given)
    assert more.rows == {"book": {"2024-06-01": first.rows["book"]["2024-06-01"]}}
    assert file.read_bytes() == bytes_
    moved = import_files("binance-stream", [path], tmp_path, corrections=Corrections(clock_offset=MS), **given)
    assert moved.rows == first.rows
    told = json.loads(pq.read_schema(file).metadata[TOLD])
    assert (told["clock_offset"], told["corrections"], told["venue"]) == (MS, {"clock_offset": "1ms"}, "binance")
    assert told["sources"][0]["bytes"] == len((tmp_path / "raw").read_bytes())
    said = json.loads((tmp_path / "book/symbol=BTCUSDT/import.json").read_text())
    assert "BTCUSDT: 1ms added to the time of receipt" in said["notes"]


def test_the_grid_is_learned_where_it_is_not_given_and_said(tmp_path):
    path = written(tmp_path / "raw", "\n".join(futures_lines()))
    done = import_files("binance-stream", [path], tmp_path, symbol="BTCUSDT", now=NOW)
    assert (done.grid.tick_size, done.grid.lot_size) == (0.1, 0.01)
    assert any("give --tick and --lot" in note for note in done.notes)


def test_a_stream_with_a_lost_message_is_refused_and_leaves_nothing_half(tmp_path):
    lines = futures_lines()
    del lines[30]
    path = written(tmp_path / "raw", "\n".join(lines))
    given = {"symbol": "BTCUSDT", "tick_size": 0.1, "lot_size": 0.001, "now": NOW}
    with pytest.raises(DataError, match=r"BTCUSDT: sequence at row \d+ .*wrong until the next snapshot"):
        import_files("binance-stream", [path], tmp_path / "out", **given)
    # Days of trades and quotes that were complete before the break stand; no day of the book, and nothing unfinished.
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert {file.parts[-4:] for file in files} == {
        (kind, "symbol=BTCUSDT", "day=2024-06-01", "part-0.parquet") for kind in ("trades", "bbo")
    }
    done = import_files(
        "binance-stream", [path], tmp_path / "out", corrections=Corrections(accept=("sequence",)), **given
    )
    assert "sequence" in [f.rule for f in done.findings]
    # What was accepted on import is accepted on reading.
    read_events(str(tmp_path / "out/book"), symbol="BTCUSDT", now=NOW)


def test_spot_has_no_transaction_time_and_other_symbols_are_passed_over(tmp_path):
    update = {"e": "depthUpdate", "E": T, "s": "BTCUSDT", "U": 5, "u": 7, "b": [["1.5", "2"]], "a": []}
    ticker = {"u": 9, "s": "BTCUSDT", "b": "1", "B": "2", "a": "3", "A": "4"}
    lines = [
        f"{T}123 " + json.dumps(update),
        json.dumps(update | {"s": "ETHUSDT"}),
        f"{T}456 " + json.dumps({"stream": "btcusdt@bookTicker", "data": ticker}),
        f"{T}789 " + json.dumps({"lastUpdateId": 8, "bids": [["1", "1"]], "asks": [["2", "1"]]}),
        json.dumps(
            {"e": "trade", "E": T, "s": "BTCUSDT", "t": 1, "p": "0", "q": "1", "X": "INSURANCE_FUND", "m": True}
        ),
    ]
    book, trades, bests = parsed(binance_stream, written(tmp_path / "a.jsonl", "\n".join(lines)))
    assert book.exch_ts.tolist() == [T * MS] * 3
    assert book.recv_ts.tolist() == [T * MS + 123_000, *[T * MS + 789_000] * 2]
    assert (book.prev_id.tolist(), book.first_id.tolist()) == ([-1] * 3, [5, 8, 8])
    assert trades is None
    assert (bests.exch_ts[0], bests.ask[0]) == (T * MS + 456_000, 3.0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 is no JSON"),
        ("[1]", "must hold a JSON object, holds list"),
        ("12 {}", "no time of receipt"),
        ("9999999999999999999 {}", "no time of receipt"),
        ('{"e": "depthUpdate", "s": "BTCUSDT", "E": 4000000000000000000, "U": 1, "u": 2}', "must be a time in ms"),
        ('{"e": "depthUpdate", "s": "BTCUSDT", "E": 1717243200000, "U": "x", "u": 2}', "U must be a whole number"),
        ('{"e": "depthUpdate", "s": "BTCUSDT", "E": 1717243200000, "U": 1, "u": 2, "b": [["1"]]}', "no pairs of price"),
        (
            '{"e": "depthUpdate", "s": "BTCUSDT", "E": 1717243200000, "U": 1, "u": 2, "b": [["1", "x"]]}',
            "no pairs of price",
        ),
        (
            '{"e": "trade", "s": "BTCUSDT", "E": 1717243200000, "t": 1, "p": null, "q": "1", "m": true}',
            "p must be a number",
        ),
        (
            '{"e": "trade", "s": "BTCUSDT", "E": 1717243200000, "t": 1, "p": "1", "q": "1", "m": 1}',
            "must be true or false",
        ),
        ("[" * 100_000, "line 2 is no JSON"),
    ],
)
def test_a_line_that_is_no_message_is_named(tmp_path, line, words):
    path = written(tmp_path / "raw", depth(T, 1, 2, 0, bids=[("1", "1")]) + "\n" + line + "\n")
    with pytest.raises(DataError, match=words):
        parsed(binance_stream, path)


def test_a_gzip_that_is_cut_off_is_said_to_be(tmp_path):
    whole = gzip.compress("\n".join(futures_lines()).encode())
    (tmp_path / "raw.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="the file is cut off"):
        parsed(binance_stream, str(tmp_path / "raw.gz"))


def test_a_file_that_unpacks_to_no_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "FREE", 1 << 20)
    path = written(tmp_path / "bomb.gz", b"\n" * (1 << 24))
    with pytest.raises(DataError, match="unpacks to more than 400 times"):
        parsed(binance_stream, path)


def test_a_line_without_an_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "LONGEST", 1 << 10)
    with pytest.raises(DataError, match="line 1 is longer"):
        parsed(binance_stream, written(tmp_path / "raw", b"{" * 5000))


def test_a_zip_of_several_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", "x")
        archive.writestr("b", "y")
    with pytest.raises(DataError, match="must hold one file, holds 2"):
        parsed(bybit, str(tmp_path / "a.zip"))


def bybit_line(kind, at, update, bids=(), asks=()):
    data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": update, "seq": 10 * update}
    return json.dumps({"topic": "orderbook.500.BTCUSDT", "type": kind, "ts": at + 40, "data": data, "cts": at})


def test_a_bybit_archive_of_snapshots_and_deltas(tmp_path):
    lines = [
        bybit_line("snapshot", T, 7, [["100", "1"], ["99", "2"]], [["101", "3"]]),
        bybit_line("delta", T + 100, 8, [["99", "0"]], [["100.5", "4"]]),
        bybit_line("delta", T + 200, 9, [], []),
        bybit_line("delta", T + 300, 10, [["100.4", "1"]], []),
    ]
    path = written(tmp_path / "2024-06-01_BTCUSDT_ob500.data.zip", "\n".join(lines))
    book, trades, _ = parsed(bybit, path)
    assert trades is None
    assert book.snapshot.tolist() == [True] * 3 + [False] * 3
    assert book.last.tolist() == [False, False, True, False, True, True]
    assert ((book.recv_ts - book.exch_ts) // MS).tolist() == [40] * 6
    assert book.price.tolist() == [100, 99, 101, 99, 100.5, 100.4]


def test_a_delta_without_levels_breaks_no_sequence(tmp_path):
    lines = [bybit_line("snapshot", T, 7, [["100", "1"]], [["101", "3"]])]
    lines += [bybit_line("delta", T + 100 * k, 7 + k, [["99", str(k)]] if k % 2 else []) for k in range(1, 9)]
    path = written(tmp_path / "a.jsonl", "\n".join(lines))
    done = import_files("bybit", [path], tmp_path, symbol="BTCUSDT", tick_size=0.5, lot_size=1.0, now=NOW)
    assert done.findings == []


TARDIS = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"


def test_a_tardis_book_keeps_messages_and_snapshots(tmp_path, monkeypatch):
    us = T * 1000
    rows = [(us, us + 50, "true", side, price, 1) for side, price in (("bid", 99), ("ask", 101), ("ask", 102))]
    rows += [(us + k, us + 100 + k // 2, "false", "bid", 98, k) for k in range(5)]
    rows.append((us + 9, us + 900, "false", "ask", 101, 0))
    text = TARDIS + "".join("binance,BTCUSDT," + ",".join(map(str, row)) + "\n" for row in rows)
    text += f"binance,ETHUSDT,{us + 9},{us + 901},false,ask,1,1\n"
    path = written(tmp_path / "binance_incremental_book_L2_2024-06-01_BTCUSDT.csv.gz", text)
    book, _, _ = parsed(tardis, path)
    assert book.last.tolist() == [False, False, True, False, True, False, True, True, True]
    assert book.snapshot.tolist() == [True] * 3 + [False] * 6
    assert book.side.tolist() == [1, -1, -1, 1, 1, 1, 1, 1, -1]
    monkeypatch.setattr(source, "BLOCK", 200)
    assert np.array_equal(parsed(tardis, path)[0].last, book.last)


def test_tardis_trades_and_tickers(tmp_path):
    us = T * 1000
    trades = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n" + "".join(
        f"b,btcusdt,{us},{us + 7},{k},{side},100.5,{k + 1}\n" for k, side in enumerate(("buy", "sell", "unknown"))
    )
    ticker = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n"
    ticker += f"b,BTCUSDT,{us},{us + 3},1,101,100,2\n"
    paths = written(tmp_path / "trades.csv", trades), written(tmp_path / "ticker.csv", ticker)
    _, made, bests = parsed(tardis, *paths)
    # A side that is not known is none: it is found, not guessed.
    assert made.side.tolist() == [1, -1, 0]
    assert (bests.bid[0], bests.ask[0], bests.row[0]) == (100, 101, 3)
    with pytest.raises(DataError, match="side must be 1"):
        import_files("tardis", paths[:1], tmp_path, symbol="BTCUSDT", tick_size=0.5, lot_size=1, now=NOW)


def test_stamps_of_another_unit_are_refused(tmp_path):
    text = TARDIS + f"b,BTCUSDT,{T},{T},false,bid,100,1\n"
    with pytest.raises(DataError, match="no stamps of one unit, us, since 1970"):
        parsed(tardis, written(tmp_path / "ms.csv", text))
    text = AGG + f"7,1,1,1,1,{T},true\n8,1,1,1,1,{T}000,true\n"
    with pytest.raises(DataError, match="no stamps of one unit, s or ms or us or ns"):
        parsed(binance_archive, written(tmp_path / "mixed.csv", text))


AGG = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"


@pytest.mark.parametrize("header", [AGG, ""])
def test_aggregated_trades_of_the_archive_with_and_without_a_header(tmp_path, header):
    text = header + f"7,0.7097,19,1,1,{T},false\n8,0.7096,2254,2,6,{T + 98},true\n"
    _, trades, _ = parsed(binance_archive, written(tmp_path / "BTCUSDT-aggTrades-2024-06-01.zip", text))
    assert trades.trade_id.tolist() == [7, 8]
    assert trades.side.tolist() == [1, -1]
    assert trades.exch_ts.tolist() == [T * MS, (T + 98) * MS]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (f"7,100.5,2,201,{T},True,True\n", [7]),  # spot trades, ms
        (f"7,100.5,2,201,{T}000,False,True\n", [7]),  # spot trades since 2025, us
        (f"7,100.5,2,1,2,{T}000,False,True\n", [7]),  # spot aggTrades
        (f"id,price,qty,quote_qty,time,is_buyer_maker\n7,100.5,2,201,{T},true\n", [7]),  # futures trades
    ],
)
def test_other_trades_of_the_archive(tmp_path, text, ids):
    _, trades, _ = parsed(binance_archive, written(tmp_path / "t.csv", text))
    assert (trades.trade_id.tolist(), trades.price[0], trades.qty[0]) == (ids, 100.5, 2.0)
    assert trades.exch_ts[0] == T * MS


def test_best_quotes_of_the_archive_and_what_is_none_of_its_files(tmp_path):
    text = ",".join(binance_archive.BOOK_TICKER) + f"\n5,100,1,101,2,{T},{T + 3}\n"
    _, _, bests = parsed(binance_archive, written(tmp_path / "q.csv", text))
    assert (bests.update_id[0], bests.recv_ts[0] - bests.exch_ts[0]) == (5, 3 * MS)
    with pytest.raises(DataError, match="named after another symbol"):
        parsed(binance_archive, written(tmp_path / "ETHUSDT-trades-2024-06.csv", text))
    with pytest.raises(DataError, match="neither aggTrades nor trades"):
        parsed(binance_archive, written(tmp_path / "x.csv", "a,b\n1,2\n"))


def test_sums_of_the_depth_become_a_series(tmp_path, monkeypatch):
    rows = [(f"2024-06-01 23:59:{s:02d}", p, 10 * p * p, s) for s in (0, 30) for p in (-5, -1, 1, 5)]
    rows += [("2024-06-02 00:00:00", p, 7, 8) for p in (-5, -0.2, 0.2)]
    text = "timestamp,percentage,depth,notional\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    path = written(tmp_path / "BTCUSDT-bookDepth-2024-06-01.zip", text)
    monkeypatch.setattr(source, "BLOCK", 64)
    done = import_files("binance-archive", [path], tmp_path / "o", symbol="BTCUSDT", now=NOW)
    assert done.rows == {"depth": {"2024-06-01": 2, "2024-06-02": 1}}
    series = store.read_series(str(tmp_path / "o/depth/symbol=BTCUSDT"), "depth")
    assert series["depth_bid_5pct"].tolist() == [250, 250, 7]
    assert series["notional_ask_1pct"].tolist()[:2] == [0, 30]
    assert np.isnan(series["depth_ask_0_2pct"]).tolist() == [True, True, False]
    monkeypatch.undo()
    for line, words in (("2024-06-01,1,1,1", "must be written 2024"), ("2024-06-01 00:00:00,7,1,1", "percentage 7 is")):
        bad = written(tmp_path / "bad.csv", f"timestamp,percentage,depth,notional\n{line}\n")
        with pytest.raises(DataError, match=words):
            list(binance_archive.read([bad], "BTCUSDT"))


HFT = np.dtype(
    [
        ("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"),
        ("qty", "<f8"), ("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8"),
    ]
)  # fmt: skip
BOTH, EXCHANGE, LOCAL, BUY, SELL = 3 << 30, 1 << 31, 1 << 30, 1 << 29, 1 << 28


def hft_file(path, events, dtype=HFT):
    array = np.zeros(len(events), dtype)
    for row, (flags, at, px, qty) in enumerate(events):
        array[row]["ev"], array[row]["exch_ts"], array[row]["local_ts"] = flags, at * MS, (at + 5) * MS
        array[row]["px"], array[row]["qty"] = px, qty
    np.savez_compressed(path, data=array)
    return str(path)


def test_hftbacktests_events(tmp_path):
    events = [
        (3 | BOTH | BUY, T, 99.0, 0),  # clear to a price, before a snapshot
        (4 | BOTH | BUY, T, 99.0, 1.0),
        (4 | BOTH | SELL, T, 101.0, 2.0),
        (1 | BOTH | SELL, T + 5, 100.5, 1.0),
        (2 | BOTH | BUY, T + 6, 100.5, 0.5),
        (1 | EXCHANGE | SELL, T + 7, 100.5, 0.5),
        (1 | LOCAL | SELL, T + 7, 100.5, 0.5),
    ]
    book, trades, _ = parsed(hftbacktest, hft_file(tmp_path / "a.npz", events))
    assert book.price.tolist() == [99, 101, 100.5, 100.5]
    assert book.snapshot.tolist() == [True, True, False, False]
    assert book.last.tolist() == [False, True, True, True]
    assert (trades.side.tolist(), trades.qty.tolist()) == ([1], [0.5])


def test_an_npz_that_asks_to_be_unpickled_is_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", data=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="must be a list of events"):
        parsed(hftbacktest, str(tmp_path / "evil.npz"))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="no array named data"):
        parsed(hftbacktest, str(tmp_path / "other.npz"))
    np.savez(tmp_path / "less.npz", data=np.zeros(3, [("ev", "u8"), ("px", "f8")]))
    with pytest.raises(DataError, match="have no exch_ts"):
        parsed(hftbacktest, str(tmp_path / "less.npz"))


def test_an_npz_that_claims_more_events_than_it_has_is_said_to_be_cut_off(tmp_path):
    raw = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        raw, {"descr": np.lib.format.dtype_to_descr(HFT), "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(tmp_path / "cut.npz", "w") as archive:
        archive.writestr("data.npy", raw.getvalue() + b"\0" * 640)
    with pytest.raises(DataError, match="cut off after 0 of"):
        parsed(hftbacktest, str(tmp_path / "cut.npz"))


NAME = "AAPL_2012-06-21_34200000_57600000_{}_2.csv"


def lobster_files(folder, shown=None):
    messages = [
        "34200.004241176,1,16113575,18,5853300,1",
        "34200.025551909,1,16120456,18,5859100,-1",
        "34200.2,5,0,7,5856000,1",
        "34200.201743105,4,16120456,18,5859100,-1",
        "34200.5,7,0,0,-1,-1",
    ]
    books = shown or [
        "5859400,200,5853300,18,5859800,200,5853000,150",
        "5859100,18,5853300,18,5859400,200,5853000,150",
        "5859100,18,5853300,18,5859400,200,5853000,150",
        "5859400,200,5853300,18,5859800,200,5853000,150",
        "9999999999,0,5853300,18,9999999999,0,-9999999999,0",
    ]
    written(folder / NAME.format("orderbook"), "\n".join(books) + "\n")
    return written(folder / NAME.format("message"), "\n".join(messages) + "\n")


def test_a_lobster_book_is_the_one_of_its_file_at_every_row(tmp_path):
    path = lobster_files(tmp_path)
    book, trades, _ = parsed(lobster, path, symbol="AAPL")
    open_ = np.datetime64("2012-06-21T13:30", "ns").astype(np.int64)
    assert (book.recv_ts[0] - open_, book.row[0]) == (4_241_176, 0)
    assert book.snapshot.tolist() == [True] * 4 + [False] * 7
    state, states = {}, {}
    for row, side, price, qty in zip(book.row, book.side, book.price, book.qty, strict=True):
        state[side, price] = qty
        states[int(row)] = {key: value for key, value in state.items() if value}
    assert states[1] == {(-1, 585.91): 18, (-1, 585.94): 200, (1, 585.33): 18, (1, 585.30): 150}
    assert states[3] == {(-1, 585.94): 200, (-1, 585.98): 200, (1, 585.33): 18, (1, 585.30): 150}
    assert states[4] == {(1, 585.33): 18}
    # Whom an order that stood in the book traded with: the hidden bid met a seller, the ask a buyer.
    assert (trades.side.tolist(), trades.price.tolist(), trades.qty.tolist()) == ([-1, 1], [585.6, 585.91], [7, 18])


def test_lobster_files_that_do_not_belong_together_are_refused(tmp_path):
    path = lobster_files(tmp_path, ["5859400,200,5853300,18,5859800,200,5853000,150"])
    with pytest.raises(DataError, match="ends before"):
        parsed(lobster, path, symbol="AAPL")
    with pytest.raises(DataError, match="is of AAPL, not of MSFT"):
        parsed(lobster, path, symbol="MSFT")
    with pytest.raises(DataError, match="must be named TICKER_"):
        parsed(lobster, written(tmp_path / "m.csv", "1"), symbol="AAPL")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"form": "kraken"}, "'kraken' is no format"),
        ({"symbol": "../x"}, "--symbol must be letters"),
        ({"symbol": ""}, "--symbol must be letters"),
        ({"tick_size": 0.0}, "--tick must be > 0"),
        ({"lot_size": float("nan")}, "--lot must be > 0"),
    ],
)
def test_an_import_that_cannot_be_meant_is_refused(tmp_path, given, words):
    settings = {"form": "bybit", "symbol": "BTCUSDT", "tick_size": 0.1, "lot_size": 1.0} | given
    with pytest.raises(ConfigError, match=words):
        import_files(settings.pop("form"), ["x"], tmp_path, **settings)


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        import_files("bybit", [str(tmp_path / "x")], tmp_path, symbol="A", tick_size=0.1, lot_size=1.0)


def test_sources_without_the_symbol_are_refused(tmp_path):
    path = written(tmp_path / "raw", "\n".join(line for line in futures_lines() if "lastUpdateId" not in line))
    with pytest.raises(DataError, match="nothing of ETHUSDT was found"):
        import_files("binance-stream", [path], tmp_path, symbol="ETHUSDT", tick_size=0.1, lot_size=0.001, now=NOW)


def test_files_of_two_grids_are_not_read_as_one_book(tmp_path):
    path = written(tmp_path / "raw", "\n".join(futures_lines()))
    for folder, tick in (("a", 0.1), ("b", 0.05)):
        import_files("binance-stream", [path], tmp_path / "o" / folder, symbol="BTCUSDT", tick_size=tick, lot_size=1e-3)
    with pytest.raises(DataError, match="must be those of"):
        open_book(str(tmp_path / "o/*/book/**/*.parquet"))
    with pytest.raises(DataError, match=r"tick 0\.2 and lot 0\.001 are given, but the files are in ticks of 0\.1"):
        open_book(str(tmp_path / "o/a/book"), tick_size=0.2)
    assert info_book(str(tmp_path / "o/a/book"), now=NOW)["venue"] == "binance"
