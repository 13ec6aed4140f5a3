import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.naive.trades import bars_of_trades
from wfbt.data.load import load_market
from wfbt.data.market import DAY, HOUR, MINUTE, Bars
from wfbt.data.trades import Trades
from wfbt.features.trades import TRADE_COLUMNS, trade_columns
from wfbt.kernels import trades as kernels

START = int(np.datetime64("2024-01-01", "ns").astype(np.int64))
NAIVE = ("buys", "sells", "bought", "sold", "value", "dispersion", "change_1m", "change_5m", "change_15m", "large")


def flat_bars(rows, period, start=START):
    one = np.ones(rows)
    return Bars(
        symbol="A",
        period=period,
        open_ts=start + period * np.arange(rows),
        open=one,
        high=one,
        low=one,
        close=one,
        volume=one,
    )


def random_trades(count, span, seed=0, start=START):
    """Prices of a walk, sizes of a few lots, stamps that may be shared."""
    rng = np.random.default_rng(seed)
    return Trades(
        ts=start + np.sort(rng.integers(0, span // 1_000_000, count)) * 1_000_000,
        price=100 * np.exp(np.cumsum(rng.normal(0, 1e-4, count))),
        qty=np.ceil(np.exp(rng.normal(1, 1.5, count))) / 8,
        side=np.where(rng.random(count) < 0.5, 1, -1),
    )


def naive(trades, bars):
    rows = list(zip(trades.ts.tolist(), trades.price.tolist(), trades.qty.tolist(), trades.side.tolist(), strict=True))
    spans = list(zip(bars.open_ts.tolist(), bars.close_ts.tolist(), strict=True))
    said = bars_of_trades(rows, spans, trades.until)
    return {
        column: np.array([np.nan if one[name] is None else one[name] for one in said])
        for column, name in zip(TRADE_COLUMNS, NAIVE, strict=True)
    }


def agree(trades, bars):
    fast, slow = trade_columns(trades, bars), naive(trades, bars)
    assert tuple(fast) == TRADE_COLUMNS
    for name in TRADE_COLUMNS:
        np.testing.assert_allclose(fast[name], slow[name], rtol=1e-12, atol=1e-15, err_msg=name)
    return fast


@pytest.mark.parametrize("period", [MINUTE, 5 * MINUTE, HOUR, DAY])
def test_columns_are_what_looking_at_every_trade_for_every_bar_gives(period):
    rows = {MINUTE: 90, 5 * MINUTE: 60, HOUR: 60, DAY: 6}[period]
    found = agree(random_trades(600, rows * period), flat_bars(rows, period))
    assert all(np.isfinite(column).any() for column in found.values())


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 80),
    st.integers(1, 40),
    st.sampled_from([MINUTE, 3 * MINUTE, 20 * MINUTE, 13 * HOUR, 2 * DAY]),
    st.integers(0, 2**20),
    st.floats(-0.3, 0.6),
)
def test_columns_are_the_slow_ones_wherever_trades_begin_and_end(count, rows, period, seed, shift):
    span = max(int(rows * period * 0.7), 10**9)
    agree(random_trades(count, span, seed, START + int(shift * rows * period)), flat_bars(rows, period))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 400), st.sampled_from([MINUTE, 7 * MINUTE, HOUR, 2 * DAY]), st.integers(1, 49), st.integers(0, 99)
)
def test_a_bar_knows_nothing_of_trades_after_its_close(count, period, cut, seed):
    bars, trades = flat_bars(50, period), random_trades(count, 50 * period, seed)
    now = int(bars.close_ts[cut - 1])
    whole, early = trade_columns(trades, bars), trade_columns(trades.known_by(now), flat_bars(cut, period))
    for name in TRADE_COLUMNS:
        assert early[name].tobytes() == whole[name][:cut].tobytes(), name


def test_a_trade_at_the_close_belongs_to_the_next_bar():
    at = START + np.array([0, HOUR - 1, HOUR, HOUR])
    price, side = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 1, -1, -1])
    trades = Trades(ts=at, price=price, qty=np.ones(4), side=side, until=START + 2 * HOUR)
    found = trade_columns(trades, flat_bars(2, HOUR))
    assert found["trade_buys"].tolist() == [2.0, 0.0]
    assert found["trade_sells"].tolist() == [0.0, 2.0]
    assert found["trade_value"].tolist() == [3.0, 7.0]


def test_nobody_trading_is_none_inside_and_unknown_outside():
    trades = Trades(
        ts=START + np.array([90, 95, 250]) * MINUTE, price=np.ones(3), qty=np.ones(3), side=np.array([1, -1, 1])
    )
    found = trade_columns(trades, flat_bars(7, HOUR))
    # The second and the fifth bar are seen in part.
    np.testing.assert_array_equal(found["trade_buys"], [np.nan, np.nan, 0, 0, np.nan, np.nan, np.nan])


def test_a_change_of_price_is_that_of_the_last_minutes_however_long_the_bar():
    at = START + DAY - np.array([16, 14, 4, 0.5]) * MINUTE
    price = np.array([100.0, 104.0, 110.0, 121.0])
    trades = Trades(ts=at.astype(np.int64), price=price, qty=np.ones(4), side=np.ones(4))
    found = trade_columns(trades, flat_bars(1, DAY))
    assert found["trade_change_1m"][0] == pytest.approx(np.log(121 / 110))
    assert found["trade_change_5m"][0] == pytest.approx(np.log(121 / 104))
    assert found["trade_change_15m"][0] == pytest.approx(np.log(1.21))


def test_a_change_of_price_is_unknown_where_the_window_is_empty():
    trades = Trades(ts=START + np.array([0, 50]) * MINUTE, price=np.ones(2), qty=np.ones(2), side=np.ones(2))
    found = trade_columns(trades, flat_bars(2, HOUR))
    assert np.isnan(found["trade_change_1m"]).all()
    assert np.isnan(found["trade_change_5m"]).all()
    np.testing.assert_array_equal(found["trade_change_15m"], [0.0, np.nan])


def test_a_trade_is_large_by_the_sizes_of_the_day_before_it_alone():
    sizes = np.array([1.0, 1.0, 5.0, 5.01, 1.0])
    at = START + np.array([0, 1, 60, 61, 62]) * MINUTE
    trades = Trades(ts=at, price=np.ones(5), qty=sizes, side=np.ones(5), until=START + 2 * HOUR)
    found = trade_columns(trades, flat_bars(2, HOUR))
    np.testing.assert_array_equal(found["trade_large"], [np.nan, 5.01])


def test_a_market_before_its_first_trade_is_one_without():
    found = trade_columns(random_trades(10, HOUR).known_by(START - 1), flat_bars(3, HOUR))
    assert all(np.isnan(column).all() for column in found.values())


@pytest.mark.kernel
def test_the_kernels_give_their_own_source_to_the_bit():
    bars, trades = flat_bars(20, 5 * MINUTE), random_trades(300, 100 * MINUTE, 3)
    windows = np.array([1, 5, 15]) * MINUTE
    outs = []
    for gather, large in (
        (kernels.gather_trades, kernels.sum_large),
        (getattr(kernels.gather_trades, "py_func", None), getattr(kernels.sum_large, "py_func", None)),
    ):
        out, moved = np.full((9, 20), np.nan), np.full(20, np.nan)
        if gather is None:
            continue
        columns = (trades.ts, trades.price, trades.qty, trades.side)
        gather(out, *columns, trades.until, bars.open_ts, bars.close_ts, windows, np.zeros(3, np.int64))
        large(moved, trades.ts, trades.qty, bars.open_ts, bars.close_ts, np.full(20, 2.0))
        outs.append(out.tobytes() + moved.tobytes())
    assert len(set(outs)) == 1
    for kernel in (kernels.gather_trades, kernels.sum_large):
        assert len(getattr(kernel, "signatures", [0])) == 1, "each is compiled once"


@pytest.mark.parametrize(
    ("file", "period"),
    [
        ("APEUSDT_perp_aggtrades_20241018", 5 * MINUTE),
        ("BTCUSDT_spot_20240808_trades", MINUTE // 6),
        ("BTCUSDT_usdm_20240808_trades", MINUTE // 6),
        ("BTCUSD_bitstamp_20150501_trades", 15 * MINUTE),
        ("BTCUSD_coinm_20240808_trades", MINUTE // 4),
    ],
)
def test_real_trades_say_what_pandas_finds_in_them(real_data, tmp_path, file, period):
    path = real_data / "trades" / f"{file}.parquet"
    raw = pd.read_parquet(path)
    ts = raw["ts"].astype("datetime64[ns, UTC]").astype("int64")
    raw["bar"] = ts // period * period
    opens = np.arange(raw["bar"].min(), raw["bar"].max() + period, period)
    by = raw.groupby("bar")
    price = by["price"].agg(["first", "max", "min", "last"]).reindex(opens).ffill()
    price.columns = ["open", "high", "low", "close"]
    table = price.assign(volume=by["qty"].sum().reindex(opens).fillna(0.0))
    table.insert(0, "ts", pd.to_datetime(opens, utc=True))
    table.to_parquet(tmp_path / "bars.parquet", index=False)
    (one,) = load_market({"A": {"bars": tmp_path / "bars.parquet", "trades": path}}).instruments
    found = pd.DataFrame(trade_columns(one.trades, one.bars), index=opens)
    # Of the first bar and of the last a part is seen.
    assert found.loc[opens[[0, -1]], "trade_buys"].isna().all()
    own = found.loc[opens[1:-1]]
    signed = raw.assign(bought=raw["qty"].where(raw["side"] == 1, 0.0), value=raw["price"] * raw["qty"]).groupby("bar")
    np.testing.assert_array_equal(
        own["trade_buys"], (raw["side"] == 1).groupby(raw["bar"]).sum().reindex(own.index, fill_value=0)
    )
    np.testing.assert_allclose(
        own["trade_bought"], signed["bought"].sum().reindex(own.index, fill_value=0), rtol=1e-11, atol=1e-12
    )
    np.testing.assert_allclose(own["trade_value"], signed["value"].sum().reindex(own.index, fill_value=0), rtol=1e-11)
    spread = (by["qty"].std() / by["qty"].mean()).reindex(own.index)
    np.testing.assert_allclose(own["trade_dispersion"], spread, rtol=1e-9)
    last = pd.Series(raw["price"].to_numpy(), index=ts.to_numpy()).groupby(level=0).last()
    closes = own.index.to_numpy() + period
    now, then = (
        last.reindex(last.index.union(at - 1)).ffill().reindex(at - 1).to_numpy() for at in (closes, closes - MINUTE)
    )
    traded = np.searchsorted(ts, closes) > np.searchsorted(ts, closes - MINUTE)
    np.testing.assert_allclose(
        own["trade_change_1m"], np.where(traded, np.log(now / then), np.nan), rtol=1e-9, atol=1e-15
    )
