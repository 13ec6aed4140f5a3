"""The sample market is what its truth says, and the same every time."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from wfbt.data import quality, store
from wfbt.data.inspect import check
from wfbt.data.load import load_market
from wfbt.data.synthetic import ASSETS, write_sample
from wfbt.errors import ConfigError

SYMBOLS = tuple(ASSETS)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("market") / "sample"
    write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def truth(sample):
    table = pq.read_table(sample / "truth.parquet")
    return {name: table[name].to_numpy() for name in table.column_names}


def bars(sample, symbol, name="bars_1h"):
    return store.read_bars(str(sample / symbol / f"{name}.parquet"), symbol)


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(sample, tmp_path):
    write_sample(tmp_path / "again")
    write_sample(tmp_path / "other", seed=8)
    assert content(tmp_path / "again") == content(sample)
    other = content(tmp_path / "other")
    assert set(other) == set(content(sample))
    assert all(other[name] != data for name, data in content(sample).items())


def test_the_folder_replaces_an_older_sample_and_nothing_else(tmp_path):
    target = tmp_path / "sample"
    target.mkdir()
    (target / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match="is no sample market"):
        write_sample(target)
    assert (target / "mine.txt").read_text() == "keep"
    (target / "mine.txt").unlink()
    write_sample(target)
    write_sample(target, seed=8)
    assert json.loads((target / "truth.json").read_text())["seed"] == 8
    assert [p.name for p in tmp_path.iterdir()] == ["sample"]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_sample_has_no_findings(sample, symbol):
    for name in ("bars_1h", "funding"):
        assert check(str(sample / symbol / f"{name}.parquet")) == []
    assert quality.check_bars(bars(sample, symbol, "mark_1h"), symbol, 2 * 10**18, has_volume=False) == []
    assert len(bars(sample, symbol)) == 48_192


def test_its_trades_gather_to_the_bars_of_their_days(sample):
    """Prices exactly, sizes to the lot; aggressors lean with the bar, and sizes are lognormal."""
    whole = bars(sample, "SOLUSDT")
    path = str(sample / "SOLUSDT" / "trades.parquet")
    assert check(path) == []
    raw = store.read_trades(path, "SOLUSDT")
    rows = slice(-60 * 24, None)
    opens = whole.ts[rows]
    bar = np.searchsorted(opens, raw.ts, side="right") - 1
    begins = np.searchsorted(bar, np.arange(len(opens)))
    assert np.array_equal(raw.ts[begins], opens)
    assert np.array_equal(raw["price"][begins], whole["open"][rows])
    assert np.array_equal(raw["price"][np.append(begins[1:], len(raw)) - 1], whole["close"][rows])
    assert np.array_equal(np.maximum.reduceat(raw["price"], begins), whole["high"][rows])
    assert np.array_equal(np.minimum.reduceat(raw["price"], begins), whole["low"][rows])
    lots = np.rint(raw["qty"] * 1000)
    assert (lots >= 1).all()
    assert np.array_equal(np.add.reduceat(lots, begins), np.rint(whole["volume"][rows] * 1000))
    signed = np.add.reduceat(raw["side"] * raw["qty"], begins) / whole["volume"][rows]
    moved = np.log(whole["close"][rows] / whole["open"][rows])
    assert 0.4 < np.corrcoef(signed, moved)[0, 1] < 0.9
    sizes = np.log(raw["qty"] / np.add.reduceat(raw["qty"], begins)[bar])
    assert abs(pd.Series(sizes).skew()) < 0.2
    assert (sample / "SOLUSDT" / "trades.parquet").stat().st_size < 15e6


def test_it_loads_as_one_market(sample):
    given = {
        s: {"bars": f"{s}/bars_1h.parquet", "funding": f"{s}/funding.parquet", "mark": f"{s}/mark_1h.parquet"}
        for s in SYMBOLS
    }
    given["BTCUSDT"]["execution_bars"] = "BTCUSDT/bars_1m.parquet"
    market = load_market(given, base=sample)
    assert market.symbols == SYMBOLS
    assert (market.findings, market.notes) == ((), ())


def test_minutes_gather_to_the_hours(sample):
    hours, minutes = bars(sample, "BTCUSDT"), bars(sample, "BTCUSDT", "bars_1m")
    assert len(minutes) == 60 * 1440
    hours = hours.take(slice(-1440, None))
    np.testing.assert_array_equal(minutes["open"][::60], hours["open"])
    np.testing.assert_array_equal(minutes["close"][59::60], hours["close"])
    np.testing.assert_array_equal(minutes["high"].reshape(-1, 60).max(axis=1), hours["high"])
    np.testing.assert_array_equal(minutes["low"].reshape(-1, 60).min(axis=1), hours["low"])
    lots = np.rint(minutes["volume"] * 1000).reshape(-1, 60).sum(axis=1)
    np.testing.assert_array_equal(lots, np.rint(hours["volume"] * 1000))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_prices_are_on_the_tick_grid(sample, symbol):
    per_unit = ASSETS[symbol].per_unit
    for name in ("open", "high", "low", "close"):
        price = bars(sample, symbol)[name]
        np.testing.assert_array_equal(np.rint(price * per_unit) / per_unit, price)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_returns_have_the_volatility_that_the_truth_says(sample, truth, symbol):
    raw = bars(sample, symbol)
    z = (np.log(raw["close"] / raw["open"]) - truth[f"{symbol}_drift"]) / truth[f"{symbol}_sigma"]
    quiet = z[~truth[f"{symbol}_jump"]]
    assert abs(quiet.mean()) < 0.015
    assert abs(quiet.std() - 1) < 0.01
    # Divided by their volatility returns are normal again: all fat tails come from volatility and jumps.
    assert abs(np.mean(quiet**4) / np.var(quiet) ** 2 - 3) < 0.15
    assert np.std(z[truth[f"{symbol}_jump"]]) > 3


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_volatility_clusters_and_returns_do_not(sample, symbol):
    moves = np.diff(np.log(bars(sample, symbol)["close"]))
    size = np.abs(moves)
    assert np.corrcoef(size[24:], size[:-24])[0, 1] > 0.15
    assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 0.03


def test_symbols_move_together(sample):
    moves = np.array([np.diff(np.log(bars(sample, symbol)["close"])) for symbol in SYMBOLS])
    off_diagonal = np.corrcoef(moves)[np.triu_indices(3, 1)]
    assert (off_diagonal > 0.6).all()
    assert (off_diagonal < 0.9).all()


def test_regimes_last_for_days_and_order_the_volatility(truth):
    regime = truth["regime"]
    assert set(np.unique(regime)) == {0, 1, 2}
    changes = np.count_nonzero(np.diff(regime))
    assert 24 * 5 < len(regime) / (changes + 1) < 24 * 20
    calm, normal, turbulent = (truth["BTCUSDT_sigma"][regime == state].mean() for state in range(3))
    assert calm < normal < turbulent


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_volume_follows_volatility_and_rests_at_weekends(sample, truth, symbol):
    raw = bars(sample, symbol)
    volume = np.log(raw["volume"])
    assert np.corrcoef(volume, np.log(truth[f"{symbol}_sigma"]))[0, 1] > 0.6
    weekend = (raw.ts // (24 * 3600 * 10**9) + 3) % 7 >= 5
    assert volume[weekend].mean() < volume[~weekend].mean() - 0.2


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_funding_is_paid_at_the_mark_and_follows_the_premium_before_it(sample, symbol):
    funding = store.read_funding(str(sample / symbol / "funding.parquet"), symbol)
    price, mark = bars(sample, symbol), bars(sample, symbol, "mark_1h")
    np.testing.assert_array_equal(funding["mark_price"], mark["open"][::8])
    premium = (1 - mark["open"] / price["open"]).reshape(-1, 8).mean(axis=1)
    rate = funding["rate"][1:]
    assert np.corrcoef(rate, premium[:-1])[0, 1] > 0.5
    assert np.median(rate) == pytest.approx(1e-4)
    assert np.abs(rate).max() <= 0.0075


def test_news_is_published_after_it_happened_and_in_order(sample):
    news = pq.read_table(sample / "news.parquet").to_pandas()
    assert (news["published_at"] > news["event_at"]).all()
    assert news["published_at"].is_monotonic_increasing
    assert news["published_at"].is_unique
    assert news["sentiment"].between(-1, 1).all()
    assert 9_000 < len(news) < 10_000


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_news_leans_weakly_to_what_comes_and_not_to_what_was(sample, symbol):
    news, raw = pq.read_table(sample / "news.parquet").to_pandas(), bars(sample, symbol)
    lead = json.loads((sample / "news.json").read_text())["news"]["lead_hours"]
    first = np.searchsorted(raw.ts, pd.DatetimeIndex(news["published_at"]).as_unit("ns").asi8)
    inside = (first >= lead) & (first + lead <= len(raw))
    first, mood = first[inside], news["sentiment"].to_numpy()[inside]
    ahead = np.log(raw["close"][first + lead - 1] / raw["open"][first])
    behind = np.log(raw["open"][first] / raw["open"][first - lead])
    assert 0.04 < np.corrcoef(mood, ahead)[0, 1] < 0.16
    assert abs(np.corrcoef(mood, behind)[0, 1]) < 0.03
