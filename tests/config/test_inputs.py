"""What a policy sees beside its own bars, as the strategy file writes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wfbt.config.load import dump_yaml, resolved
from wfbt.config.schema import Strategy
from wfbt.config.values import UNITS, Duration

Load = Callable[..., Strategy]
Refusal = Callable[..., str]
NEWS = "data.series.news={path: n.parquet, available: published_at, delay: 15m, columns: [mood], max_age: 6h}"


def test_a_series_is_read_as_it_is_written_and_written_as_it_was_read(load: Load) -> None:
    data = load("", (NEWS, "data.series.chain={path: 'c/*.parquet', symbol: BRK.B}", "data.timeframes=[4h, 1w]")).data
    news, chain = data.series["news"], data.series["chain"]
    assert list(data.series) == ["chain", "news"]
    assert (news.path, news.available, news.delay, news.columns) == ("n.parquet", "published_at", 900e9, ("mood",))
    assert news.max_age == Duration.parse("6h")
    assert (chain.available, chain.delay, chain.columns, chain.symbol, chain.max_age) == (None, 0, None, "BRK.B", None)
    assert data.timeframes == (4 * UNITS["h"], UNITS["w"])
    tree = resolved(load("", (NEWS, "data.timeframes=[4h, 1w]")))
    assert tree["data"]["series"]["news"] == {
        "path": "n.parquet",
        "available": "published_at",
        "delay": "15m",
        "columns": ["mood"],
        "symbol": None,
        "max_age": "6h",
        "predictions": False,
        "manifest": None,
    }
    assert tree["data"]["timeframes"] == ["4h", "7d"]
    assert resolved(load(dump_yaml(tree).encode())) == tree


def test_without_them_there_are_none(load: Load) -> None:
    assert (load().data.series, load().data.timeframes) == ({}, ())
    assert load("", ("data.series=null", "data.timeframes=null")) == load()


GOLDEN = {
    "data.series={news: {available: t}}": "data.series.news.path is required",
    "data.series={news: n.parquet}": 'data.series.news must be a mapping of keys to values, was the text "n.parquet"',
    "data.series={news: {path: n, dealy: 5m}}": "unknown key data.series.news.dealy; did you mean delay?",
    "data.series={news: {path: n, delay: 15}}": (
        "data.series.news.delay must be a duration with a unit such as 365d, 24h, 15m, 10s or 100ms, was 15"
    ),
    "data.series={news: {path: n, delay: 6h, max_age: 6h}}": (
        'data.series.news.max_age must be longer than delay (6h), or no row is ever seen, was "6h"'
    ),
    "data.series={news: {path: n, max_age: 0}}": "data.series.news.max_age must be > 0, was 0",
    "data.series={news: {path: n, columns: mood}}": 'data.series.news.columns must be a list, was the text "mood"',
    "data.series={news: {path: n, columns: []}}": "data.series.news.columns must have at least 1 entry, was []",
    "data.series={news: {path: n, columns: [a, a]}}": "data.series.news.columns must not name one twice",
    "data.series={news: {path: n, symbol: BTC}}": (
        'data.series.news.symbol must be one of data.symbols (BRK.B, BTCUSDT), was "BTC"'
    ),
    "data.series={my-news: {path: n}}": (
        'data.series.my-news must be the name of a series: letters, digits and _, a letter first, was "my-news"'
    ),
    "data.timeframes=4h": 'data.timeframes must be a list, was the text "4h"',
    "data.timeframes=[4]": (
        "data.timeframes[0] must be a duration with a unit such as 365d, 24h, 15m, 10s or 100ms, was 4"
    ),
    "data.timeframes=[0]": "data.timeframes[0] must be > 0, was 0",
    "data.timeframes=[24h, 1d]": "data.timeframes must not name one twice",
    "data.timeframes=[1h, 2h, 3h, 4h, 5h, 6h, 7h, 8h, 9h]": "data.timeframes must name at most 8",
}


@pytest.mark.parametrize("setting", GOLDEN)
def test_a_wrong_input_gets_one_line(setting: str, refusal: Refusal) -> None:
    key = setting.partition("=")[0]
    assert refusal("", (setting,)) == f"strategy.yaml: {GOLDEN[setting]} (--set {key})"
