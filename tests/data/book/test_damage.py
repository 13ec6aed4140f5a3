"""Damaged files are read or refused in one line that says so, whatever was done to them."""

import gzip
import random
from pathlib import Path

import pytest

from tests.data.book import test_import as files
from tests.data.book.feeds import NOW, levels, walk, write_book
from wfbt.data.book.convert import import_files
from wfbt.data.book.inspect import check_book
from wfbt.data.book.read import read_events
from wfbt.errors import WfbtError

TRIES = 60


def damaged(data, rng):
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at = rng.randrange(len(out))
        what = rng.randrange(4)
        if what == 0:
            out[at] = rng.randrange(256)
        elif what == 1:
            del out[at : at + rng.randrange(1, 50)]
        elif what == 2:
            out[at:at] = bytes(rng.choice(b'0123456789,.-"[]{}e\n') for _ in range(rng.randrange(1, 12)))
        else:
            out = out[: at + 1]
        out = out or bytearray(b"x")
    return bytes(out)


def told(work):
    """Whether it was refused; anything but one line of ours is raised."""
    said = None
    try:
        work()
    except WfbtError as error:
        said = str(error)
    assert said is None or (said and "\n" not in said)
    return said is not None


def sources(folder):
    at = files.T * 1000
    book = [
        (at + k, at + k + 5, str(k < 3).lower(), "bid" if k % 2 else "ask", 100 + (k % 2 == 0), k) for k in range(9)
    ]
    lines = [
        files.bybit_line("snapshot", files.T, 7, [["100", "1"], ["99", "2"]], [["101", "3"]]),
        files.bybit_line("delta", files.T + 100, 8, [["99", "0"]], [["100.5", "4"]]),
    ]
    flags = [
        (4 | files.BOTH | files.BUY, 99.0),
        (4 | files.BOTH | files.SELL, 101.0),
        (2 | files.BOTH | files.BUY, 101.0),
    ]
    npz = files.hft_file(folder / "whole.npz", [(flag, files.T, price, 1.0) for flag, price in flags])
    return {
        "binance-stream": "\n".join(files.futures_lines()[:40]).encode(),
        "bybit": "\n".join(lines).encode(),
        "tardis": (files.TARDIS + "".join("b,BTCUSDT," + ",".join(map(str, row)) + "\n" for row in book)).encode(),
        "binance-archive": f"{files.AGG}7,0.7,19,1,1,{files.T},false\n8,0.6,2254,2,6,{files.T + 98},true\n".encode(),
        "hftbacktest": Path(npz).read_bytes(),
    }


@pytest.mark.parametrize("form", ["binance-stream", "bybit", "tardis", "binance-archive", "hftbacktest"])
def test_a_damaged_source_is_imported_or_refused(tmp_path, form):
    whole, rng = sources(tmp_path)[form], random.Random(form)
    refused = 0
    for n in range(TRIES):
        path = tmp_path / "source"
        packed = n % 3 == 0 and form != "hftbacktest"
        path.write_bytes(damaged(gzip.compress(whole) if packed else whole, rng))
        grid = {"tick_size": 0.1, "lot_size": 0.001} if n % 2 else {}
        refused += told(lambda: import_files(form, [str(path)], tmp_path / "o", symbol="BTCUSDT", now=NOW, **grid))  # noqa: B023 - called at once
    assert refused > TRIES / 2


def test_damaged_lobster_files_are_imported_or_refused(tmp_path):
    rng, refused = random.Random(1), 0
    for n in range(TRIES):
        message = Path(files.lobster_files(tmp_path))
        hurt = message if n % 2 else message.with_name(files.NAME.format("orderbook"))
        hurt.write_bytes(damaged(hurt.read_bytes(), rng))
        given = {"symbol": "AAPL", "tick_size": 0.01, "lot_size": 1.0, "now": NOW}
        refused += told(lambda: import_files("lobster", [str(message)], tmp_path / "o", **given))  # noqa: B023 - called at once
    assert refused > TRIES / 2


@pytest.mark.parametrize("compact", [False, True])
def test_a_damaged_parquet_book_is_read_or_refused(tmp_path, compact):
    path = Path(write_book(tmp_path / "book.parquet", levels(walk(), [(k + 1, k + 1, k) for k in range(101)])))
    if compact:
        raw = files.written(tmp_path / "raw", "\n".join(files.futures_lines()))
        import_files("binance-stream", [raw], tmp_path / "o", symbol="BTCUSDT", tick_size=0.1, lot_size=0.001, now=NOW)
        path = next((tmp_path / "o/book").rglob("*.parquet"))
    rng, hurt, whole = random.Random(2), tmp_path / "hurt.parquet", path.read_bytes()
    refused = 0
    for _ in range(TRIES):
        hurt.write_bytes(damaged(whole, rng))
        refused += told(lambda: check_book(str(hurt), now=NOW))
        told(lambda: read_events(str(hurt), now=NOW))
    assert refused > TRIES / 2
