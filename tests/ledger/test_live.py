"""A log made of the replay's own fills, changed in known ways, gives those changes back."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose

import wfbt
from wfbt import cli
from wfbt.data.market import DAY, HOUR
from wfbt.errors import ConfigError, DataError
from wfbt.ledger.live import Replay, compare, read_run
from wfbt.ledger.trade_log import plain_symbol, read_log

START = 19_723 * DAY  # 2024-01-01
CONTRACTS = {name: {"multiplier": 1.0, "inverse": False} for name in ("BTCUSDT", "ETH-PERP")}
COSTS = {"maker_bps": 2.0, "taker_bps": 5.0, "half_spread_bps": 0.5, "impact": {"temporary": 0.1, "permanent": 0.05}}
SECOND = 1_000_000_000
LATENCY = 5 * SECOND


def instrument(symbol, seed, rows=600):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    opens = np.r_[100.0, close[:-1]]
    return wfbt.Instrument(
        bars=wfbt.Bars(
            symbol=symbol, period=HOUR, open_ts=START + np.arange(rows) * HOUR, open=opens, close=close,
            high=np.maximum(opens, close) * 1.004, low=np.minimum(opens, close) * 0.996,
            volume=rng.uniform(100, 20_000, rows),
        )
    )  # fmt: skip


def replay_of(cash):
    market = wfbt.Market(instruments=(instrument("BTCUSDT", 1), instrument("ETH-PERP", 2)), digest="")
    target = np.repeat(np.random.default_rng(3).choice([-0.5, 0.0, 0.2, 0.5], (100, 2)), 6, axis=0)
    ledger = wfbt.backtest(
        market,
        target,
        account=wfbt.Account(cash=cash, leverage=2),
        latency=wfbt.Latency.constant(LATENCY),
        exits=wfbt.Exits(take_pct=0.015),
    )
    ledger.reconcile()
    return Replay(name="run", fills=ledger.fills_frame(), closes=ledger.ts, contracts=CONTRACTS, costs=COSTS)


@pytest.fixture(scope="module", params=[1e3, 1e5, 1e7], ids="cash {:.0e}".format)
def replay(request):
    return replay_of(request.param)


def log_of(replay, delay=0, half=0.5, factor=1.0, taker=5.0, maker=2.0):
    """What a venue would have sent had the replay been right but for these; delay in ns after the replay's fills."""
    fills = replay.fills
    sign = np.where(fills["side"] == "buy", 1.0, -1.0)
    taken = fills["liquidity"] == "taker"
    cost = sign * (fills["price"] / fills["reference"] - 1.0)
    impact = cost - fills["spread"] / (fills["qty"] * fills["reference"])
    price = fills["reference"] * (1 + sign * np.where(taken, half * 1e-4 + factor * impact, 0.0))
    return pd.DataFrame(
        {
            "ts": pd.DatetimeIndex(fills["timestamp"]).as_unit("ns").asi8 + delay,
            "symbol": fills["symbol"],
            "side": fills["side"],
            "price": price,
            "qty": fills["qty"],
            "fee": fills["qty"] * price * np.where(taken, taker, maker) * 1e-4,
            "currency": "",
            "liquidity": fills["liquidity"],
            "order": "",
        }
    )


def setting(found, key):
    (one,) = [one for one in found.settings if one.key == key]
    return one


def test_a_replay_beside_itself_matches_order_by_order_without_a_difference(replay):
    found = compare(replay, log_of(replay))
    assert len(found.matched) == len(replay.fills) > 100
    assert len(found.missed) == len(found.extra) == 0
    assert_allclose(found.matched["price_bps"], 0, atol=1e-7)
    assert_allclose(found.matched["fee_bps"], 0, atol=1e-7)
    assert (found.matched["delay_s"] == 0).all()
    for one in found.settings:
        assert_allclose(one.live, one.replayed, rtol=1e-6)
        assert one.observations >= 10


def test_costs_and_delays_of_a_log_are_found_whatever_the_size_of_the_account(replay):
    rng = np.random.default_rng(8)
    # Less than half of what lies between an exit at a bar's end and the next order: who is nearest is who is meant.
    delay = rng.integers(0, 2 * SECOND, len(replay.fills))
    found = compare(replay, log_of(replay, delay=delay, half=1.7, factor=2.5, taker=6.5, maker=-0.25))
    assert_allclose(setting(found, "costs.half_spread_bps").live, 1.7, rtol=1e-6)
    assert_allclose(setting(found, "costs.impact").live, 2.5, rtol=1e-6)
    assert_allclose(setting(found, "costs.taker_bps").live, 6.5, rtol=1e-9)
    assert_allclose(setting(found, "costs.maker_bps").live, -0.25, rtol=1e-9)
    decided = (replay.fills["reason"] == "target").to_numpy()
    waited = (LATENCY + delay[decided]) / SECOND
    assert_allclose(setting(found, "latency.order median").live, np.median(waited), rtol=1e-9)
    assert_allclose(setting(found, "latency.order p95").live, np.quantile(waited, 0.95), rtol=1e-9)
    assert_allclose(setting(found, "latency.order p95").replayed, 5.0, rtol=1e-9)
    assert_allclose(found.matched["delay_s"], delay / SECOND, rtol=1e-9)


def test_a_worse_price_is_positive_on_either_side(replay):
    log = log_of(replay)
    sign = np.where(log["side"] == "buy", 1.0, -1.0)
    log["price"] = replay.fills["price"] * (1 + sign * 3e-4)
    assert_allclose(compare(replay, log).matched["price_bps"], 3.0)


def test_noise_in_prices_widens_the_error_and_stays_within_it():
    replay, rng = replay_of(1e5), np.random.default_rng(1)
    log = log_of(replay, half=1.0, factor=2.0)
    log["price"] *= 1 + rng.normal(0, 1e-4, len(log))
    found = compare(replay, log)
    for key, truth in (("costs.half_spread_bps", 1.0), ("costs.impact", 2.0)):
        one = setting(found, key)
        assert 0 < abs(one.live - truth) < 3 * one.error


def test_what_one_side_alone_did_is_missed_or_extra():
    replay = replay_of(1e5)
    log = log_of(replay)
    extra = log.iloc[[40]].assign(ts=log["ts"].iloc[40] + 30 * 60 * SECOND, qty=0.125)
    found = compare(replay, pd.concat([log.drop(index=[10, 20]), extra], ignore_index=True))
    assert len(found.matched) == len(replay.fills) - 2
    assert found.missed["timestamp"].tolist() == replay.fills["timestamp"].iloc[[10, 20]].tolist()
    assert found.extra["qty"].tolist() == [0.125]


def test_the_fills_of_an_order_count_once():
    replay = replay_of(1e5)
    log = log_of(replay)
    log["order"] = [f"o{i}" for i in range(len(log))]
    low, high = log.assign(qty=log["qty"] * 0.25), log.assign(qty=log["qty"] * 0.75, ts=log["ts"] + SECOND)
    low["price"], high["price"] = log["price"] * 0.997, log["price"] * 1.001
    low["fee"], high["fee"] = log["fee"] * 0.5, log["fee"] * 0.5
    found = compare(replay, pd.concat([high, low], ignore_index=True))
    assert len(found.matched) == len(replay.fills)
    assert_allclose(found.matched["live_price"], replay.fills["price"])
    assert_allclose(found.matched["live_qty"], replay.fills["qty"])
    assert_allclose(found.matched["live_fee"], log["fee"])
    assert (found.matched["delay_s"] == 0).all()


def test_orders_match_the_nearest_in_time_and_none_beyond_the_window():
    fills = replay_of(1e5).fills.iloc[[0, 0, 0]].reset_index(drop=True)
    fills["timestamp"] = pd.to_datetime(START + np.array([1, 2, 3]) * HOUR, utc=True)
    fills["parent"] = fills["order"] = [0, 1, 2]
    replay = Replay(
        name="run", fills=fills, closes=START + np.arange(1, 9) * HOUR, contracts=CONTRACTS, costs=COSTS
    )  # fmt: skip
    log = log_of(replay)
    log["ts"] = START + np.array([1.1, 2.5, 2.9]) * HOUR
    log["ts"] = log["ts"].astype(np.int64)
    matched = compare(replay, log).matched
    assert_allclose(matched["delay_s"], [360, 1800, -360])
    narrow = compare(replay, log, within=600 * SECOND)
    assert (len(narrow.matched), len(narrow.missed), len(narrow.extra)) == (2, 1, 1)


def test_a_few_orders_are_not_evidence():
    replay = replay_of(1e5)
    found = compare(replay, log_of(replay).iloc[:9])
    assert all(one.live is None and one.reason.startswith("not enough evidence") for one in found.settings)
    assert {one.observations for one in found.settings} <= set(range(10))


def test_where_noise_hides_the_impact_it_is_taken_as_replayed_and_the_spread_is_found():
    replay, rng = replay_of(1e5), np.random.default_rng(1)
    log = log_of(replay, half=3.0)
    log["price"] *= 1 + rng.normal(0, 2e-3, len(log))
    found = compare(replay, log)
    impact, half = setting(found, "costs.impact"), setting(found, "costs.half_spread_bps")
    assert impact.live is None
    assert impact.reason.startswith("orders differ too little in impact: its error would be")
    assert impact.observations == half.observations > 100
    assert abs(half.live - 3.0) < 3 * half.error


def test_without_impact_in_the_replay_none_is_estimated_and_the_spread_is():
    replay = replay_of(1e5)
    fills = replay.fills.assign(impact=0.0)
    sign = np.where(fills["side"] == "buy", 1.0, -1.0)
    fills["price"] = fills["reference"] * (1 + sign * np.where(fills["liquidity"] == "taker", 0.5e-4, 0.0))
    replay = Replay(name="run", fills=fills, closes=replay.closes, contracts=CONTRACTS, costs={**COSTS, "impact": None})
    found = compare(replay, log_of(replay, half=2.0))
    assert setting(found, "costs.impact").live is None
    assert setting(found, "costs.impact").reason.startswith("the replayed orders all have the same impact")
    assert_allclose(setting(found, "costs.half_spread_bps").live, 2.0)


def test_fees_in_the_coin_bought_are_turned_into_quote_and_fees_in_another_are_unknown():
    replay = replay_of(1e5)
    log = log_of(replay)
    coin = log.assign(fee=log["fee"] / log["price"], currency=log["symbol"].str[:3])
    assert_allclose(compare(replay, coin).matched["live_fee"], log["fee"])
    found = compare(replay, log.assign(currency="BNB"))
    assert found.matched["live_fee"].isna().all()
    assert "fees in BNB cannot be turned into the account's currency and are left out" in found.notes
    assert setting(found, "costs.taker_bps").reason.startswith("not enough evidence")


def test_symbols_that_the_run_does_not_trade_are_left_out_and_said():
    replay = replay_of(1e5)
    log = log_of(replay)
    log.loc[3, "symbol"] = "DOGE/USDT"
    found = compare(replay, log)
    assert (len(found.missed), len(found.extra)) == (1, 0)
    assert found.notes[0] == "1 fills of DOGE/USDT are of symbols the run does not trade; left out"
    with pytest.raises(DataError, match="the log is of DOGE, the run of BTCUSDT, ETH-PERP; they have no symbol"):
        compare(replay, log.assign(symbol="DOGE"))
    with pytest.raises(DataError, match="they have no time in common"):
        compare(replay, log.assign(ts=log["ts"] + 1000 * DAY))


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "BTCUSDT", "btc-usdt", "BTC_USDT", "BTC/USDT"])
def test_a_symbol_is_the_same_however_it_is_written(symbol):
    assert plain_symbol(symbol) == "BTCUSDT"


CCXT = (
    "id,order,timestamp,datetime,symbol,type,side,takerOrMaker,price,amount,cost,fee.cost,fee.currency\n"
    "1,a,1704067200250,2024-01-01T00:00:00.250Z,BTC/USDT:USDT,market,buy,taker,100.5,2,201,0.1005,USDT\n"
    "2,a,1704067201000,2024-01-01T00:00:01.000Z,BTC/USDT:USDT,market,sell,maker,101,1,101,,\n"
)
VARIANTS = {
    "ccxt": CCXT,
    "a dict for the fee": "timestamp,symbol,side,price,amount,fee,takerOrMaker,order\n"
    "1704067200250,BTC/USDT:USDT,buy,100.5,2,\"{'cost': 0.1005, 'currency': 'USDT'}\",taker,a\n"
    "1704067201000,BTC/USDT:USDT,sell,101,1,{},maker,a\n",
    "other names": "Time, Symbol, Side, Price, Qty, Fee Cost, Fee Currency, Liquidity, Order ID\n"
    '2024-01-01 00:00:00.250, BTC/USDT:USDT, BUY, "100.5", 2, 0.1005, usdt, T, a\n'
    "2024-01-01 00:00:01, BTC/USDT:USDT, Sell, 101, 1, , , M, a\n",
    "ns": "timestamp,symbol,side,price,size,fee_cost,fee_currency,maker,order\n"
    "1704067200250000000,BTC/USDT:USDT,buy,100.5,2,0.1005,USDT,False,a\n"
    "1704067201000000000,BTC/USDT:USDT,sell,101,1,,,True,a\n",
    "seconds": "timestamp,symbol,side,price,size,fee_cost,fee_currency,maker,order\n"
    "1704067200.25,BTC/USDT:USDT,buy,100.5,2,0.1005,USDT,False,a\n"
    "1704067201,BTC/USDT:USDT,sell,101,1,,,True,a\n",
}


@pytest.mark.parametrize("name", VARIANTS)
def test_an_export_is_understood_however_its_columns_are_called(tmp_path, name):
    (tmp_path / "fills.csv").write_text(VARIANTS[name])
    log = read_log(tmp_path / "fills.csv")
    assert log["ts"].tolist() == [START + SECOND // 4, START + SECOND]
    assert log["side"].tolist() == ["buy", "sell"]
    assert log["price"].tolist() == [100.5, 101.0]
    assert log["qty"].tolist() == [2.0, 1.0]
    assert_allclose(log["fee"], [0.1005, np.nan])
    assert log["currency"].tolist() == ["USDT", ""]
    assert log["liquidity"].tolist() == ["taker", "maker"]
    assert log["order"].tolist() == ["a", "a"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("price,", "cost2,"), r"no column for the price \(one of price, .*\); it has id, order"),
        (("buy", "hold"), "line 2: side must be buy or sell, was 'hold'"),
        (("100.5", "-1"), "line 2: price must be a number > 0, was '-1'"),
        (("101,1,101", "101,none,101"), "line 3: amount must be a number > 0, was 'none'"),
        (("0.1005", "free"), "line 2: the fee must be a number, was 'free'"),
        (("maker", "both"), "line 3: liquidity must be taker or maker, was 'both'"),
        (("\n2,", "\n1,"), "line 3: each trade id comes once; exported twice[?], was '1'"),
        (("1704067201000", "yesterday"), "line 2: the time must be ISO 8601|line 3: the time must be ISO 8601"),
        ((CCXT[CCXT.index("\n") + 1 :], ""), "there is no fill in it, only a header"),
        ((CCXT, ""), "cannot be read as CSV"),
    ],
)
def test_a_log_that_cannot_be_meant_is_refused_with_its_line(tmp_path, change, says):
    (tmp_path / "fills.csv").write_text(CCXT.replace(*change, 1) if change[0] != CCXT else "")
    with pytest.raises(DataError, match=r"fills\.csv: " + f"({says})"):
        read_log(tmp_path / "fills.csv")


def test_an_inverse_contract_is_counted_in_coin():
    fills = replay_of(1e5).fills.iloc[:12].copy()
    fills["symbol"] = "BTCUSD"
    fills["fee"] = 100.0 * fills["qty"] / fills["price"] * 5e-4
    contracts = {"BTCUSD": {"multiplier": 100.0, "inverse": True}}
    replay = Replay(
        name="run", fills=fills, closes=START + np.arange(1, 900) * HOUR, contracts=contracts, costs=COSTS
    )  # fmt: skip
    log = log_of(replay).assign(symbol="BTC/USD:BTC", currency="BTC", price=fills["price"])
    log["fee"] = 100.0 * log["qty"] / log["price"] * 7e-4
    assert_allclose(compare(replay, log).matched["fee_bps"], 2.0)


@pytest.fixture
def folder(tmp_path):
    replay = replay_of(1e5)
    run = tmp_path / "run-1"
    run.mkdir()
    replay.fills.to_parquet(run / "fills.parquet")
    pd.DataFrame({"timestamp": pd.to_datetime(replay.closes, utc=True)}).to_parquet(run / "equity.parquet")
    symbols = {name: {"contract": contract} for name, contract in CONTRACTS.items()}
    (run / "config.resolved.yaml").write_text(json.dumps({"data": {"symbols": symbols}, "costs": COSTS}))
    log = log_of(replay, delay=SECOND, half=1.5).drop(index=[5]).drop(columns=["currency", "order"])
    log.rename(columns={"ts": "timestamp", "qty": "amount"}).to_csv(tmp_path / "fills.csv", index=False)
    return run


def call(*words):
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def test_the_command_prints_a_table_or_one_json_object(folder):
    csv = folder.parent / "fills.csv"
    told = call("reconcile", folder, csv)
    assert (told.exit_code, told.stderr) == (0, "")
    assert "1 missed (in the replay alone), 0 extra (in the log alone)" in told.stdout
    assert max(len(line) for line in told.stdout.splitlines()) <= 100
    printed = call("reconcile", folder, csv, "--json")
    assert printed.stdout.count("\n") == 1
    found = json.loads(printed.stdout)
    assert found == compare(read_run(folder), read_log(csv)).to_dict()
    assert_allclose(found["settings"]["costs.half_spread_bps"]["live"], 1.5, rtol=1e-6)
    assert_allclose(found["delay_s"]["median"], 1.0)
    assert len(found["missed"]) == 1


def test_the_command_exits_by_the_contract(folder, tmp_path):
    csv = folder.parent / "fills.csv"
    assert call("reconcile", folder, tmp_path / "none.csv").exit_code == 2
    told = call("reconcile", tmp_path, csv)
    assert told.exit_code == 2
    assert "is no run folder: it has no fills.parquet" in told.stderr
    told = call("reconcile", folder, csv, "--within", "soon")
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr.startswith("ConfigError: --within: ")
    assert len(json.loads(call("reconcile", folder, csv, "--within", "100ms", "--json").stdout)["extra"]) > 100
    csv.write_text("nothing\n1\n")
    told = call("reconcile", folder, csv)
    assert (told.exit_code, told.stdout) == (5, "")
    assert told.stderr.startswith("DataError: ")
    with pytest.raises(ConfigError):
        read_run(tmp_path)
