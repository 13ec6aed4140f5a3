"""The commands on books: import, check, info."""

import json

import pytest
from click.testing import CliRunner

from tests.data.book.feeds import levels, walk, write_book
from tests.data.book.test_import import futures_lines, written
from wfbt import cli
from wfbt.data.inspect import series


def call(*words):
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def test_import_then_check_then_info(tmp_path):
    source = written(tmp_path / "raw.gz", "\n".join(futures_lines()))
    given = ("data", "import", "binance-stream", source, "--symbol", "BTCUSDT", "--tick", "0.1", "--lot", "0.001")
    out = tmp_path / "out"
    told = call(*given, "--out", out, "--correct", "clock_offset=2ms")
    assert told.exit_code == 0, told.output
    assert "book 2024-06-01: " in told.output
    assert "2ms added to the time of receipt" in told.output
    again = call(*given, "--out", out, "--correct", "clock_offset=2ms", "--json")
    assert json.loads(again.stdout)["kept"]["trades"] == ["2024-06-01", "2024-06-02"]
    book, bbo = out / "book/symbol=BTCUSDT", out / "bbo/symbol=BTCUSDT"
    assert series(str(out)) == [str(bbo), str(book), str(out / "trades/symbol=BTCUSDT")]
    assert call("data", "check", out).exit_code == 0
    assert call("data", "check", book, "--bbo", bbo).exit_code == 0
    told = call("data", "info", book)
    assert "messages 145, of which 1 snapshots" in told.output
    assert "least 7.000 ms" in told.output
    assert json.loads(call("data", "info", bbo, "--json").stdout)["kind"] == "bbo"


def test_check_exits_5_on_a_broken_book(tmp_path):
    path = write_book(tmp_path / "book.parquet", walk())
    assert call("data", "check", path).exit_code == 0
    assert call("data", "check", path, "--tick", "0.1", "--lot", "0.001").exit_code == 0
    told = call("data", "check", path, "--tick", "0.3")
    assert told.exit_code == 5
    assert "no multiple of the tick 0.3" in told.output
    told = call("data", "check", path, "--tick", "0")
    assert (told.exit_code, "tick_size must be > 0" in told.output + told.stderr) == (5, True)


def test_an_import_of_broken_lines_exits_5_in_one_line(tmp_path):
    source = written(tmp_path / "raw", "{\n")
    told = call("data", "import", "bybit", source, "--symbol", "A", "--tick", 1, "--lot", 1, "--out", tmp_path / "o")
    assert told.exit_code == 5
    assert told.stderr.count("\n") == 1
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("correct", "words"),
    [("clock_offset", "must be KEY=VALUE"), ("clock=1s", "did you mean"), ("accept=[", "cannot be read")],
)
def test_corrections_that_cannot_be_meant_exit_2(tmp_path, correct, words):
    told = call("data", "import", "bybit", "x", "--symbol", "A", "--out", tmp_path, "--correct", correct)
    assert told.exit_code == 2
    assert words in told.stderr


def test_a_book_without_ids_or_marks_is_read_as_it_stands(tmp_path):
    bare = write_book(tmp_path / "bare.parquet", levels(walk()), marked=False, ids=False)
    told = call("data", "info", bare, "--json")
    assert json.loads(told.stdout)["messages"] == 101
