from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wfbt.errors import ConfigError, PolicyError
from wfbt.features import indicators
from wfbt.policy.base import evaluate, load_rule
from wfbt.policy.rules import BUILT_IN

HERE = Path(__file__).parent
SHORT_WINDOWS = {
    "ema_rsi_adx": {"fast": 5, "slow": 20, "rsi": 7, "adx": 7, "adx_min": 15.0, "atr": 7},
    "sma_cross": {"fast": 3, "slow": 11},
    "breakout": {"entry": 12, "exit": 5},
    "zscore": {"n": 15, "z": 1.5},
    "momentum": {"n": 9, "threshold": 0.01},
    "carry": {"n": 16, "above": 1e-4, "below": 0.0},
    "session": {"zone": "America/New_York", "open": "09:30", "close": "16:00", "range": 90},
    "divergence": {"n": 6, "hold": 5},
    "sentiment": {"low": -0.5, "high": 0.4},
    "buy_hold": {"weight": 0.7},
    "random": {"seed": 4, "hold": 5},
}
WARM = {
    "ema_rsi_adx": 19,
    "sma_cross": 10,
    "breakout": 12,
    "zscore": 14,
    "momentum": 9,
    "carry": 20,
    "session": 0,
    "divergence": 6,
    "sentiment": 4,
    "buy_hold": 0,
    "random": 0,
}


def run(name, frame, **params):
    return evaluate(load_rule(name, HERE), {"BTC": frame}, params)["BTC"]


def bars_of(close):
    close = np.asarray(close, dtype=float)
    index = pd.date_range("2024-01-01", periods=len(close), freq="h", tz="UTC")
    columns = {"open": close, "high": close + 0.5, "low": close - 0.5, "close": close, "volume": 1.0, "funding": np.nan}
    return pd.DataFrame(columns, index=index)


def same(left, right, rows):
    for name in ("target", "stop", "take", "trail", "limit", "expire"):
        one, other = getattr(left, name), getattr(right, name)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one[:rows], other[:rows])


def test_every_rule_on_one_symbol_is_held_to_causality_here():
    assert set(SHORT_WINDOWS) == set(WARM) == {name for name in BUILT_IN if load_rule(name, HERE).per_symbol}


@pytest.mark.parametrize("name", SHORT_WINDOWS)
def test_a_prefix_gives_the_same_bits(name, newsy):
    frame = newsy(600, seed=11)
    whole = run(name, frame, **SHORT_WINDOWS[name])
    for cut in np.random.default_rng(1).integers(6, 600, 40):
        same(run(name, frame.iloc[:cut], **SHORT_WINDOWS[name]), whole, cut)


@pytest.mark.parametrize("name", SHORT_WINDOWS)
def test_a_scrambled_future_changes_no_bit_of_the_past(name, newsy):
    frame = newsy(600, seed=12)
    whole = run(name, frame, **SHORT_WINDOWS[name])
    for cut in np.random.default_rng(2).integers(6, 600, 40):
        scrambled = frame.copy()
        scrambled.iloc[cut:] = newsy(600, seed=1000 + cut).iloc[cut:] * 3.0
        same(run(name, scrambled, **SHORT_WINDOWS[name]), whole, cut)


@pytest.mark.parametrize("name", SHORT_WINDOWS)
def test_warm_up_is_as_documented_and_says_nothing(name, newsy):
    target = run(name, newsy(300, seed=3), **SHORT_WINDOWS[name]).target
    assert np.isnan(target[: WARM[name]]).all()
    assert np.isfinite(target[WARM[name] :]).all()


@pytest.mark.parametrize("name", sorted(set(SHORT_WINDOWS) - {"buy_hold"}))
def test_a_long_walk_takes_both_sides(name, newsy):
    assert {-1.0, 1.0} <= set(run(name, newsy(2000, seed=4), **SHORT_WINDOWS[name]).target)


@pytest.mark.parametrize("name", ["sma_cross", "breakout", "zscore", "momentum", "session", "divergence"])
def test_without_short_the_longs_stay_the_same_and_shorts_are_flat(name, newsy):
    frame = newsy(1000, seed=5)
    both = run(name, frame, **SHORT_WINDOWS[name]).target
    long = run(name, frame, **SHORT_WINDOWS[name], short=False).target
    np.testing.assert_array_equal(long, np.maximum(both, 0.0))


@pytest.mark.parametrize("name", SHORT_WINDOWS)
def test_targets_are_divided_by_the_number_of_symbols(name, newsy):
    frames = {"A": newsy(200, seed=1), "B": newsy(200, seed=2), "C": newsy(150, seed=3)}
    together = evaluate(load_rule(name, HERE), frames, SHORT_WINDOWS[name])
    for symbol, frame in frames.items():
        alone = run(name, frame, **SHORT_WINDOWS[name])
        np.testing.assert_array_equal(together[symbol].target, alone.target / 3)


@pytest.mark.parametrize("name", sorted(set(SHORT_WINDOWS) - {"carry", "divergence", "sentiment"}))
def test_a_market_that_stands_still_breaks_no_rule(name):
    run(name, bars_of(np.full(100, 7.0)), **SHORT_WINDOWS[name])


def test_ema_rsi_adx_is_its_description_step_by_step(walk):
    frame = walk(1500, seed=6)
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    fast, slow = indicators.ema(close, 5), indicators.ema(close, 20)
    rsi, adx, atr = indicators.rsi(close, 7), indicators.adx(high, low, close, 7), indicators.atr(high, low, close, 7)
    side, expected = 0.0, []
    for t in range(len(close)):
        if t < 19:
            expected.append(np.nan)
            continue
        if side * (fast[t] - slow[t]) < 0:
            side = 0.0
        if adx[t] > 15 and fast[t] > slow[t] and 50 < rsi[t] <= 80:
            side = 1.0
        if adx[t] > 15 and fast[t] < slow[t] and 20 <= rsi[t] < 50:
            side = -1.0
        expected.append(side)
    out = run("ema_rsi_adx", frame, **SHORT_WINDOWS["ema_rsi_adx"], stop_atr=1.5, take_atr=4.0)
    np.testing.assert_array_equal(out.target, expected)
    np.testing.assert_array_equal(out.stop[19:], 1.5 * atr[19:])
    np.testing.assert_array_equal(out.take[19:], 4.0 * atr[19:])
    assert {-1.0, 0.0, 1.0} <= set(expected)


def test_ema_rsi_adx_has_no_target_where_it_has_no_distance():
    close = np.concatenate((np.full(60, 50.0), np.linspace(50.0, 80.0, 60)))
    frame = bars_of(close)
    frame.loc[frame.index[:60], ["high", "low"]] = 50.0  # no range yet, so an ATR of 0
    out = run("ema_rsi_adx", frame, **SHORT_WINDOWS["ema_rsi_adx"])
    np.testing.assert_array_equal(np.isnan(out.target), np.isnan(out.stop))
    np.testing.assert_array_equal(np.isnan(out.target), np.isnan(out.take))
    assert np.isnan(out.target[:60]).all()
    assert np.isfinite(out.target[60:]).all()


def test_ema_rsi_adx_without_a_factor_returns_no_such_column(walk):
    out = run("ema_rsi_adx", walk(100, seed=1), stop_atr=2.0, take_atr=None)
    assert out.stop is not None
    assert out.take is None


def test_sma_cross_holds_while_the_averages_are_equal():
    target = run("sma_cross", bars_of([1.0, 3.0, 5.0, 5.0, 5.0, 5.0, 2.0]), fast=2, slow=3).target
    np.testing.assert_array_equal(target, [np.nan, np.nan, 1.0, 1.0, 1.0, 1.0, -1.0])


def test_breakout_is_its_description_step_by_step(walk):
    frame = walk(1500, seed=8)
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    side, expected = 0.0, [np.nan] * 12
    for t in range(12, len(close)):
        if close[t] > high[t - 12 : t].max():
            side = 1.0
        elif close[t] < low[t - 12 : t].min():
            side = -1.0
        elif (side > 0 and close[t] < low[t - 5 : t].min()) or (side < 0 and close[t] > high[t - 5 : t].max()):
            side = 0.0
        expected.append(side)
    np.testing.assert_array_equal(run("breakout", frame, entry=12, exit=5).target, expected)
    assert {-1.0, 0.0, 1.0} <= set(expected)


def test_zscore_is_its_description_step_by_step(walk):
    frame = walk(1500, seed=9)
    close = frame["close"].to_numpy()
    side, expected = 0.0, [np.nan] * 14
    for t in range(14, len(close)):
        window = close[t - 14 : t + 1]
        z = (close[t] - window.mean()) / window.std(ddof=1)
        if side * z >= 0:
            side = 0.0
        if abs(z) > 1.5:
            side = -np.sign(z)
        expected.append(side)
    np.testing.assert_array_equal(run("zscore", frame, n=15, z=1.5).target, expected)
    assert {-1.0, 0.0, 1.0} <= set(expected)


def test_momentum_needs_more_than_the_threshold():
    target = run("momentum", bars_of([64.0, 64.0, 80.0, 110.0, 60.0]), n=1, threshold=0.25).target
    np.testing.assert_array_equal(target, [np.nan, 0.0, 0.0, 1.0, -1.0])


def test_carry_stands_on_the_side_that_is_paid():
    frame = bars_of(np.full(6, 100.0)).assign(funding=[np.nan, 0.0003, 0.0003, -0.0005, -0.0005, 0.0006])
    target = run("carry", frame, n=2, above=0.0002, below=0.0).target
    np.testing.assert_array_equal(target, [np.nan, np.nan, -1.0, 1.0, 1.0, 0.0])


def test_carry_without_funding_says_what_to_give():
    with pytest.raises(PolicyError, match=r"carry: BTC: there is no funding; give data\.symbols\.<symbol>\.funding"):
        run("carry", bars_of(np.ones(50)))


def test_buy_hold_wants_one_weight_from_the_first_bar_on():
    np.testing.assert_array_equal(run("buy_hold", bars_of(np.ones(4)), weight=0.6).target, [0.6] * 4)


def test_coins_are_flipped_every_hold_bars_and_fall_evenly(walk):
    target = run("random", walk(20_000, seed=0), seed=1, hold=5).target
    assert set(target) == {-1.0, 1.0}
    flips = target.reshape(-1, 5)
    assert (flips == flips[:, :1]).all()
    assert abs(flips[:, 0].mean()) < 4 / np.sqrt(len(flips))
    assert abs(np.mean(flips[1:, 0] * flips[:-1, 0])) < 4 / np.sqrt(len(flips))


def test_coins_depend_on_seed_and_time_and_not_on_prices(walk):
    frame = walk(500, seed=0)
    target = run("random", frame, seed=1, hold=1).target
    np.testing.assert_array_equal(run("random", walk(500, seed=9), seed=1, hold=1).target, target)
    np.testing.assert_array_equal(run("random", frame.iloc[100:], seed=1, hold=1).target, target[100:])
    coarse = frame.set_axis(frame.index.as_unit("us"))
    np.testing.assert_array_equal(run("random", coarse, seed=1, hold=1).target, target)
    assert not np.array_equal(run("random", frame, seed=2, hold=1).target, target)


@pytest.mark.parametrize(
    ("name", "params", "error", "message"),
    [
        ("sma_cross", {"fast": 1}, PolicyError, "sma_cross: BTC: fast must be a whole number of bars >= 2, was 1"),
        ("sma_cross", {"fast": 9.0}, ConfigError, r"policy.params.fast of sma_cross must be a whole number, was 9.0"),
        ("sma_cross", {"short": 1}, ConfigError, "short of sma_cross must be true or false, was 1"),
        ("sma_cross", {"fast": 50, "slow": 50}, ConfigError, "no meaning with fast 50, slow 50"),
        ("breakout", {"entry": 10, "exit": 20}, ConfigError, "no meaning with entry 10, exit 20"),
        ("ema_rsi_adx", {"adx_min": "20"}, ConfigError, "adx_min of ema_rsi_adx must be a number, was '20'"),
        ("ema_rsi_adx", {"stop_atr": 0}, PolicyError, "stop_atr must be > 0, or null for none, was 0"),
        ("ema_rsi_adx", {"adx_min": None}, ConfigError, "adx_min of ema_rsi_adx must be a number, was None"),
        ("momentum", {"threshold": float("nan")}, ConfigError, "threshold of momentum must be a number, was nan"),
        ("zscore", {"z": 0.0}, ConfigError, "zscore has no meaning"),
        ("random", {"seed": -1}, PolicyError, "seed must be >= 0, was -1"),
        ("random", {"hold": 0}, PolicyError, "hold must be a whole number of bars >= 1, was 0"),
    ],
)
def test_impossible_parameters_are_named_with_their_value(name, params, error, message):
    with pytest.raises(error, match=message):
        run(name, bars_of(np.ones(30)), **params)
