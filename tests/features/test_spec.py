"""Features by name: what each number is, when it is known, and what makes two specifications one."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.test_trades import START, random_trades
from wfbt.data.market import MINUTE, Bars, Contract, Funding, Instrument, Market, Series
from wfbt.errors import ConfigError, PolicyError
from wfbt.features import spec as spec_module
from wfbt.features.registry import FEATURES, ORDER_BOOK, PRESETS
from wfbt.features.spec import FeatureSpec
from wfbt.policy.frames import market_frames
from wfbt.policy.load import load_rule

PARSED = [
    *PRESETS["bars_trades"],
    *(name for name in PRESETS["bars"] if name not in PRESETS["bars_trades"]),
    "funding",
    "series_mood",
]
ALL = FeatureSpec.parse(PARSED)


def market(rows=400, period=5 * MINUTE, seed=0, trades=6_000):
    rng = np.random.default_rng(seed)
    open_ts = START + period * np.arange(rows)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.003, rows)))
    opens = np.r_[100.0, close[:-1]] * np.exp(rng.normal(0, 0.0003, rows))
    bars = Bars(
        symbol="A",
        period=period,
        open_ts=open_ts,
        open=opens,
        high=np.maximum(opens, close) * (1 + rng.uniform(0, 0.002, rows)),
        low=np.minimum(opens, close) * (1 - rng.uniform(0, 0.002, rows)),
        close=close,
        volume=rng.uniform(1, 9, rows),
    )
    funding = Funding(
        ts=open_ts[::96], rate=rng.normal(0, 1e-4, len(open_ts[::96])), mark=np.full(len(open_ts[::96]), np.nan)
    )
    one = Instrument(
        bars=bars,
        funding=funding,
        trades=random_trades(trades, rows * period, seed) if trades else None,
        contract=Contract(),
    )
    mood = Series(
        name="mood", columns=("mood",), available_ts=open_ts[::7] + 1, values=rng.normal(0, 1, (len(open_ts[::7]), 1))
    )
    return Market(instruments=(one,), digest="", series=(mood,))


FRAMES = market_frames(market())
FRAME = FRAMES["A"]
MATRIX = ALL.matrix(FRAMES)["A"]


def column(name, frames=None):
    return FeatureSpec.parse([name]).matrix(FRAMES if frames is None else frames)["A"][:, 0]


def same(name, expected):
    found = column(name)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=name)
    assert np.isfinite(found).any()


def test_bar_features_are_what_pandas_makes_of_bars():
    close = FRAME["close"]
    for name in ("open", "high", "low", "close"):
        same(name, np.log(FRAME[name] / close.shift(1)))
    same("volume_24", FRAME["volume"] / FRAME["volume"].rolling(24).mean())
    same("return_4", np.log(close / close.shift(4)))
    same("realised_volatility_24", np.sqrt((np.log(close / close.shift(1)) ** 2).rolling(24).mean()))
    same("volume_z_24", (FRAME["volume"] - FRAME["volume"].rolling(24).mean()) / FRAME["volume"].rolling(24).std())
    same("funding", FRAME["funding"])
    same("series_mood", FRAME["mood"])
    same("hour_sin", np.sin(2 * np.pi * (FRAME.index.hour + FRAME.index.minute / 60) / 24))
    days = FRAME.index.day_of_week + (FRAME.index.hour + FRAME.index.minute / 60) / 24
    same("weekday_cos", np.cos(2 * np.pi * days / 7))


def test_trade_features_are_what_pandas_makes_of_the_gathered_trades():
    count = FRAME["trade_buys"] + FRAME["trade_sells"]
    units = FRAME["trade_bought"] + FRAME["trade_sold"]
    typical = (FRAME["high"] + FRAME["low"] + FRAME["close"]) / 3
    price = (FRAME["trade_value"] / units.where(units > 0)).fillna(typical)
    same("vwap", np.log(price / FRAME["close"].shift(1)))
    same("trade_imbalance", (FRAME["trade_buys"] - FRAME["trade_sells"]) / count.where(count > 0))
    same("flow_imbalance", (FRAME["trade_bought"] - FRAME["trade_sold"]) / units.where(units > 0))
    same("trade_frequency_24", count / count.rolling(24).mean())
    same("volume_acceleration", (units - units.shift(1)) / (units + units.shift(1)))
    same("large_trades", FRAME["trade_large"] / units.where(units > 0))
    same("size_dispersion", FRAME["trade_dispersion"])
    for minutes in (1, 5, 15):
        same(f"change_{minutes}m", FRAME[f"trade_change_{minutes}m"])


def test_indicators_are_those_of_ta_lib_in_their_observed_form():
    high, low, close = (FRAME[name].to_numpy() for name in ("high", "low", "close"))
    same("rsi_14", talib.RSI(close, 14) / 50 - 1)
    same("adx_14", talib.ADX(high, low, close, 14) / 100)
    same("ema_12", np.log(close / talib.EMA(close, 12)))
    same("atr_14", talib.ATR(high, low, close, 14) / close)
    same("macd_12_26_9", talib.MACD(close, 12, 26, 9)[2] / close)
    upper, middle, _ = talib.BBANDS(close, 20, 2.0, 2.0)
    same("bollinger_20", 2 * (close - middle) / (upper - middle))


def test_the_sets_have_the_features_that_were_agreed():
    assert [len(PRESETS[name]) for name in ("bars", "bars_trades")] == [16, 18]
    assert len(ORDER_BOOK) == 12
    assert not set(ORDER_BOOK) & set(FEATURES)
    for name, members in PRESETS.items():
        assert FeatureSpec.parse(name).names == members


@pytest.mark.parametrize("name", [*ALL.names, "rsi_3", "macd_3_7_2", "bollinger_5", "trade_frequency_5"])
def test_a_feature_is_unknown_for_its_warm_up_and_known_after_it(name):
    spec, frames = FeatureSpec.parse([name]), market_frames(market(period=MINUTE, trades=20_000))
    first = int(np.isfinite(spec.matrix(frames)["A"][:, 0]).argmax())
    # Trades begin inside the first bar, which is then not theirs.
    begun = int(np.isfinite(frames["A"]["trade_buys"]).argmax()) if spec.needs == {"trades"} else 0
    exact = not name.startswith("change_")
    assert first == spec.warmup + begun if exact else first <= spec.warmup + begun


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 399), st.integers(0, 3))
def test_a_row_knows_nothing_of_the_rows_after_it(cut, seed):
    given_ = market(seed=seed)
    one = given_.instruments[0]
    now = int(one.bars.close_ts[cut - 1])
    fields = {name: getattr(one.bars, name)[:cut] for name in ("open_ts", "open", "high", "low", "close", "volume")}
    early = replace(
        given_, instruments=(replace(one, bars=replace(one.bars, **fields), trades=one.trades.known_by(now)),)
    )
    whole, part = ALL.matrix(market_frames(given_))["A"], ALL.matrix(market_frames(early))["A"]
    np.testing.assert_allclose(part, whole[:cut], rtol=1e-12, atol=0)


def test_a_market_without_trades_is_refused_by_what_needs_them_and_says_so_of_its_vwap():
    bare = market_frames(market(trades=0))
    with pytest.raises(
        ConfigError, match=r"change_1m needs trades \(data\.symbols\.<symbol>\.trades\), and A has none"
    ):
        FeatureSpec.parse(["return_1", "change_1m"]).matrix(bare)
    spec = FeatureSpec.parse(["vwap"])
    typical = bare["A"][["high", "low", "close"]].mean(axis=1)
    np.testing.assert_allclose(
        spec.matrix(bare)["A"][1:, 0], np.log(typical / bare["A"]["close"].shift(1))[1:], rtol=1e-9
    )
    assert spec.notes(bare) == ("A: vwap is (high + low + close) / 3 on 400 of 400 bars, which have no trades",)
    assert FeatureSpec.parse(["return_1"]).notes(bare) == ()


@pytest.mark.parametrize(
    ("entry", "lacks"),
    [
        ("funding", "funding"),
        ("series_none", "the column none"),
        ("regime_calm", "regime_calm"),
        ("volatility_forecast", "volatility"),
    ],
)
def test_a_frame_that_lacks_what_a_feature_needs_is_refused(entry, lacks):
    bare = {"A": FRAME.assign(funding=np.nan)}
    with pytest.raises(ConfigError, match=f"{entry} needs .*{lacks}.* and A has none"):
        FeatureSpec.parse([entry]).matrix(bare)


def test_what_was_learnt_of_regimes_and_volatility_is_observed():
    frames = {"A": FRAME.assign(regime_calm=0.25, volatility=0.5)}
    found = FeatureSpec.parse(["regime_calm", "volatility_forecast", {"series": {"column": "regime_calm"}}]).matrix(
        frames
    )
    assert found["A"][7].tolist() == [0.25, 0.5, 0.25]


def test_there_are_many_ways_to_write_one_feature():
    written = ["rsi", {"rsi": {"n": 14}}, "rsi_14", {"rsi": None}]
    assert {FeatureSpec.parse([one]).names for one in written} == {("rsi_14",)}
    assert {FeatureSpec.parse([one]).sha256 for one in written} == {FeatureSpec.parse(["rsi"]).sha256}
    assert FeatureSpec.parse(["macd"]).names == ("macd_12_26_9",)


def test_what_is_written_down_is_read_back():
    spec = FeatureSpec.parse(["bars_trades", "return_7", {"macd": {"fast": 5}}, "series_mood"])
    again = FeatureSpec.parse(json.loads(json.dumps(spec.entries)))
    assert (again.names, again.sha256, again.warmup) == (spec.names, spec.sha256, spec.warmup)


def test_another_order_other_parameters_and_other_source_make_another_specification(tmp_path, monkeypatch):
    base = FeatureSpec.parse(["rsi", "return_1"]).sha256
    others = [["return_1", "rsi"], ["rsi_15", "return_1"], ["rsi"], ["rsi", "return_1", "hour_sin"]]
    assert len({base, *(FeatureSpec.parse(one).sha256 for one in others)}) == 5
    edited = tmp_path / "formulas.py"
    edited.write_bytes(spec_module.SOURCES[0].read_bytes() + b"\n")
    monkeypatch.setattr(spec_module, "SOURCES", (edited, *spec_module.SOURCES[1:]))
    assert FeatureSpec.parse(["rsi", "return_1"]).sha256 != base


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("rsi_0", "rsi_0 is no feature, did you mean rsi"),
        ("retrun_1", "did you mean return"),
        ("return", "return needs n, a whole number of bars >= 1, was None"),
        ({"rsi": {"m": 14}}, "m is not a parameter of rsi; it takes n"),
        ({"rsi": {"n": 14.0}}, "a whole number of bars >= 2, was 14.0"),
        ({"rsi": {"n": True}}, "a whole number of bars >= 2, was True"),
        ({"hour_sin": {"n": 1}}, "it takes no parameters"),
        ({"macd": {"fast": 30}}, r"macd\.fast must be < slow \(26\), was 30"),
        ({"rsi": 14}, "takes parameters by name"),
        ({"rsi": {}, "adx": {}}, "must be a feature, or one with its parameters"),
        (7, "must be a feature, or one with its parameters"),
        ("series", "series needs column"),
        ("series_close", "would be a raw price or volume; name the feature close"),
        ("spread", "spread is read from an order book, and books are not replayed in this version"),
        ("mine.py:f", "mine.py:f needs columns, the names that it returns"),
        ({"mine.py:f": {"columns": ["a"]}}, "none is read here"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(entry, said):
    with pytest.raises(ConfigError, match=rf"features\[1\].*{said}"):
        FeatureSpec.parse(["return_1", entry])


@pytest.mark.parametrize("name", ORDER_BOOK)
def test_features_of_an_order_book_are_refused_by_name(name):
    with pytest.raises(ConfigError, match=f"{name} is read from an order book"):
        FeatureSpec.parse([name])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], "names none"),
        (["rsi", "rsi_14"], "rsi_14 is named twice"),
        ([f"return_{n}" for n in range(1, 300)], "at most 256"),
    ],
)
def test_lists_that_cannot_be_meant_are_refused(entries, said):
    with pytest.raises(ConfigError, match=said):
        FeatureSpec.parse(entries)


OWN = """
import pandas as pd


def lead(bars, n=3):
    return pd.DataFrame({"up": bars["close"].diff(n), "down": -bars["close"].diff(n)}, index=bars.index)


def wrong(bars, what="series"):
    good = pd.DataFrame({"up": bars["close"]}, index=bars.index)
    made = {"series": bars["close"], "names": good.rename(columns={"up": "down"}), "rows": good.iloc[1:]}
    made["text"] = good.astype(str) + "x"
    if what == "raise":
        raise KeyError("vwap")
    return made[what]


class Learns:
    def fit(self, bars):
        pass

    def targets(self, bars):
        pass
"""


@pytest.fixture
def load(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    return lambda name: load_rule(name, tmp_path, "features")


def test_a_function_of_ones_own_adds_the_columns_that_it_promises(load):
    spec = FeatureSpec.parse(["return_1", {"mine.py:lead": {"columns": ["up", "down"], "n": 5}}], load)
    assert spec.names == ("return_1", "up", "down")
    made = spec.matrix(FRAMES)["A"]
    np.testing.assert_array_equal(made[:, 1], FRAME["close"].diff(5))
    np.testing.assert_array_equal(made[:, 2], -made[:, 1])
    assert spec.entries[1] == {"mine.py:lead": {"columns": ["up", "down"], "n": 5}}


def test_an_edit_to_ones_own_function_makes_another_specification(load, tmp_path):
    entry = [{"mine.py:lead": {"columns": ["up", "down"]}}]
    base = FeatureSpec.parse(entry, load).sha256
    assert FeatureSpec.parse(entry, load).sha256 == base
    (tmp_path / "mine.py").write_text(OWN + "\n# another\n")
    assert FeatureSpec.parse(entry, load).sha256 != base


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("series", "returned Series; return a DataFrame"),
        ("names", "returned the columns down, and up are promised"),
        ("rows", "returned 399 rows on an index of its own for 400 bars"),
        ("text", "returned what is no number"),
        ("raise", "A: KeyError: 'vwap'"),
    ],
)
def test_what_ones_own_function_may_not_return_is_refused(load, what, said):
    spec = FeatureSpec.parse([{"mine.py:wrong": {"columns": ["up"], "what": what}}], load)
    with pytest.raises(PolicyError, match=f"mine.py:wrong.*{said}"):
        spec.matrix(FRAMES)


def test_a_class_is_no_feature(load):
    with pytest.raises(ConfigError, match="is a class; a feature is a function of bars, and learns nothing"):
        FeatureSpec.parse([{"mine.py:Learns": {"columns": ["up"]}}], load)


def test_a_function_cannot_change_the_frame_that_it_is_shown():
    def vandal(bars):
        bars["close"] = 0.0
        bars.index.name = "mine"
        return pd.DataFrame({"a": bars["close"]}, index=bars.index)

    spec = FeatureSpec.parse(
        [{"x:vandal": {"columns": ["a"]}}], lambda name: SimpleNamespace(call=vandal, source_sha256=name)
    )
    spec.matrix(FRAMES)
    assert FRAME["close"].iloc[0] > 0
    assert FRAME.index.name == "ts"


def test_hours_begin_at_midnight_and_weeks_on_monday():
    index = pd.DatetimeIndex(["2024-01-01T00:00Z", "2024-01-01T06:00Z", "2024-01-03T12:00Z"])
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close", "volume", "funding"), 1.0), index=index)
    names = ["hour_sin", "hour_cos", "weekday_sin", "weekday_cos"]
    found = FeatureSpec.parse(names).matrix({"A": frame})["A"]
    half = 2 * np.pi * 2.5 / 7
    np.testing.assert_allclose(found[0], [0, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(found[1, :2], [1, 0], atol=1e-12)
    np.testing.assert_allclose(found[2], [0, -1, np.sin(half), np.cos(half)], atol=1e-12)
