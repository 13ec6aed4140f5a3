from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import wfbt
from wfbt.data.market import DAY, HOUR
from wfbt.engine.backtest import backtest
from wfbt.errors import ConfigError, PolicyError
from wfbt.features import indicators
from wfbt.features.memo import Memo
from wfbt.ledger.ledger import costs_split
from wfbt.policy.base import NAMES, evaluate, load_rule
from wfbt.policy.frames import market_frames
from wfbt.validation import sweep as screens

START = 19_723 * DAY  # 2024-01-01
SAME = (
    *("sharpe", "sortino", "calmar", "annual_return", "total_return", "max_drawdown", "volatility", "win_rate"),
    *("profit_factor", "trades", "avg_trade", "exposure"),
)
GRID = {"fast": [5, 10, 20], "slow": range(30, 70, 10)}


def instrument(symbol, seed, rows=1_500, drop=0):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    opens = np.r_[100.0, close[:-1]] * np.exp(rng.normal(0, 0.001, rows))
    bars = wfbt.Bars(
        symbol=symbol,
        period=HOUR,
        open_ts=START + np.arange(rows)[drop:] * HOUR,
        open=opens[drop:],
        high=(np.maximum(opens, close) * (1 + rng.uniform(0, 0.005, rows)))[drop:],
        low=(np.minimum(opens, close) * (1 - rng.uniform(0, 0.005, rows)))[drop:],
        close=close[drop:],
        volume=rng.uniform(500, 5000, rows)[drop:],
    )
    stamps = START + np.arange(8, rows, 8) * HOUR
    funding = wfbt.Funding(ts=stamps, rate=rng.normal(0, 1e-4, len(stamps)), mark=np.full(len(stamps), np.nan))
    return wfbt.Instrument(bars=bars, funding=funding)


@pytest.fixture(scope="module")
def market():
    return wfbt.Market(instruments=(instrument("X", 1),), digest="")


@pytest.fixture(scope="module")
def pair():
    return wfbt.Market(instruments=(instrument("X", 1), instrument("Y", 2, drop=300)), digest="")


REALISM = {
    "costs": wfbt.Costs(),
    "latency": wfbt.Latency.uniform(1e8, 5e8),
    "account": wfbt.Account(cash=50_000.0, leverage=2),
    "exits": wfbt.Exits(stop_atr=4.0, take_atr=6.0),
    "limits": wfbt.Limits(max_daily_loss=0.05, losses=4, cool_down=12 * HOUR),
    "seed": 3,
}


def alone(market, rule, params, **settings):
    """The ledger of one lane, as a user would get it."""
    said = evaluate(load_rule(rule, Path()) if isinstance(rule, str) else rule, market_frames(market), params)
    frames = {
        symbol: pd.DataFrame({name: column for name in NAMES if (column := getattr(one, name)) is not None})
        for symbol, one in said.items()
    }
    return backtest(market, frames, **settings)


def check_lane(found, lane, ledger):
    told, row = ledger.metrics(), found.metrics.iloc[lane]
    for name in SAME:
        assert_allclose(row[name], np.nan if told[name] is None else told[name], rtol=1e-9, err_msg=name)
    assert_allclose(row["turnover"], np.nan if told["turnover"] is None else told["turnover"], rtol=1e-9)
    for name, amount in costs_split(ledger).items():
        assert_allclose(row[name], amount, rtol=1e-9, err_msg=name)
    assert row["equity"] == ledger.equity[-1]
    assert row["fills"] == len(ledger.fills)
    assert_allclose(row["traded"], ledger.traded.sum(), rtol=1e-9)
    assert (row["status"], row["breakers"]) == ("halted" if ledger.halted else "done", ledger.breakers)
    daily = ledger.returns_daily()
    assert_array_equal(found.returns.iloc[lane], daily)
    assert found.returns.columns.equals(daily.index)


@pytest.mark.parametrize(
    ("rule", "grid"),
    [
        ("sma_cross", {**GRID, "short": [True, False]}),
        ("ema_rsi_adx", {"fast": [5, 10], "slow": [20, 40], "rsi": [7, 14], "stop_atr": [2.0, None]}),
        ("breakout", {"entry": [24, 48], "exit": [12, 24]}),
    ],
)
def test_each_lane_is_the_backtest_of_its_parameters(market, rule, grid):
    found = wfbt.sweep(market, rule, grid, **REALISM)
    assert len(found) == len(found.metrics) == len(found.returns) == len(found.params)
    assert found.metrics["trades"].min() > 5
    for lane, params in enumerate(found.params):
        check_lane(found, lane, alone(market, rule, params, **REALISM))


def test_each_lane_of_several_symbols_is_the_backtest_of_its_parameters(pair):
    found = wfbt.sweep(pair, "sma_cross", GRID, **REALISM)
    for lane, params in enumerate(found.params):
        check_lane(found, lane, alone(pair, "sma_cross", params, **REALISM))


@pytest.mark.parametrize(
    "sizing",
    [
        wfbt.Sizing(method="risk", risk=0.02),
        wfbt.Sizing(method="volatility", goal=0.3),
        wfbt.Sizing(method="fixed", notional=20_000.0),
        wfbt.Sizing(price="fill", band=0.02),
    ],
    ids=lambda sizing: f"{sizing.method} {sizing.price}",
)
def test_each_lane_of_any_sizing_is_the_backtest_of_its_parameters(market, sizing):
    found = wfbt.sweep(market, "sma_cross", GRID, sizing=sizing, **REALISM)
    for lane, params in enumerate(found.params[::4]):
        check_lane(found, 4 * lane, alone(market, "sma_cross", params, sizing=sizing, **REALISM))


def test_a_lane_that_is_ruined_says_so_and_keeps_its_ruin_in_the_returns(market):
    ruinous = {"costs": wfbt.Costs(taker_bps=900, half_spread_bps=500, impact=None)}
    found = wfbt.sweep(market, "random", {"hold": [2]}, **ruinous)
    check_lane(found, 0, alone(market, "random", {"hold": 2}, **ruinous))
    assert found.metrics["total_return"][0] < -0.99


def test_a_lane_that_never_trades_has_no_statistic_of_trades(market):
    row = wfbt.sweep(market, "buy_hold", {"weight": [0.0]}).metrics.iloc[0]
    assert row[["win_rate", "profit_factor", "avg_trade", "sharpe"]].isna().all()
    assert row[["trades", "fills", "exposure", "total_return", "max_drawdown", "fees"]].tolist() == [0] * 6


@pytest.mark.parametrize("changed", [{"jobs": 1}, {"jobs": 3}, {"chunk": 1}, {"chunk": 5, "jobs": 2}])
def test_no_result_depends_on_threads_or_chunks(market, changed):
    whole = wfbt.sweep(market, "ema_rsi_adx", {"fast": [5, 8, 12], "slow": [20, 30, 40]}, **REALISM)
    cut = wfbt.sweep(market, "ema_rsi_adx", {"fast": [5, 8, 12], "slow": [20, 30, 40]}, **REALISM, **changed)
    pd.testing.assert_frame_equal(whole.metrics, cut.metrics, check_exact=True)
    pd.testing.assert_frame_equal(whole.returns, cut.returns, check_exact=True)


def test_numbers_that_repeat_after_a_silence_say_nothing_new(market):
    rows = len(market.instruments[0].bars)
    wanted = np.random.default_rng(0).choice([np.nan, 0.0, 0.5, -0.5], rows)
    found = wfbt.sweep(market, lambda bars: wanted, [{}], **REALISM)
    check_lane(found, 0, backtest(market, wanted, **REALISM))


def rising(bars, n=24):
    return (bars["close"].pct_change(n) > 0).astype(float)


def test_a_function_is_a_rule_as_well_as_its_file_is(market, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "def rising(bars, n=24):\n    return (bars['close'].pct_change(n) > 0).astype(float)\n"
    )
    monkeypatch.chdir(tmp_path)
    by_name, by_function = (wfbt.sweep(market, rule, {"n": [6, 24]}) for rule in ("mine.py:rising", rising))
    pd.testing.assert_frame_equal(by_name.metrics, by_function.metrics, check_exact=True)


def test_a_rule_that_writes_to_its_bars_changes_nothing_for_the_next_lane(market):
    def vandal(bars, n):
        out = rising(bars, n)
        bars["close"] = 1.0
        bars.loc[bars.index[5], "open"] = -1.0
        mean = indicators.sma(bars["high"], 5)
        mean[:] = 0.0
        return out

    found = wfbt.sweep(market, vandal, {"n": [6, 24]}, jobs=1)
    pd.testing.assert_frame_equal(found.metrics, wfbt.sweep(market, rising, {"n": [6, 24]}).metrics, check_exact=True)


def test_a_grid_is_every_combination_with_the_last_key_fastest_and_a_list_is_taken_as_it_stands(market):
    found = wfbt.sweep(market, "sma_cross", {"fast": np.array([10, 40]), "slow": {"low": 20, "high": 40, "step": 20}})
    assert found.params == [{"fast": 10, "slow": 20}, {"fast": 10, "slow": 40}]
    assert found.dropped == 2
    listed = wfbt.sweep(market, "sma_cross", [{"fast": 10, "slow": 40}, {"slow": 20, "fast": 10}])
    assert_array_equal(listed.metrics["sharpe"], found.metrics["sharpe"][::-1])


def test_the_best_lane_has_the_most_of_what_is_earned_and_the_least_of_what_is_lost(market):
    found = wfbt.sweep(market, "sma_cross", GRID, **REALISM)
    assert found.best() == found.params[int(found.metrics["sharpe"].argmax())]
    assert found.best("max_drawdown") == found.params[int(found.metrics["max_drawdown"].argmin())]
    for by in ("sharp", "status"):
        with pytest.raises(ConfigError, match=f"best: '{by}' is no metric of a sweep; use one of sharpe"):
            found.best(by)
    idle = wfbt.sweep(market, "buy_hold", {"weight": [0.0]})
    with pytest.raises(ConfigError, match="best: no lane has a sharpe"):
        idle.best()


class Learner:
    def fit(self, bars):
        pass

    def targets(self, bars):
        return bars["close"] * 0


@pytest.mark.parametrize(
    ("policy", "grid", "settings", "error", "says"),
    [
        (Learner, {}, {}, ConfigError, "Learner is a class, which is fitted"),
        (7, {}, {}, ConfigError, "a policy is a rule's name or a function, not int"),
        (lambda: 0, {}, {}, ConfigError, "the first argument of <lambda> must be the bars"),
        (rising, [], {}, ConfigError, "the grid is an empty list"),
        (rising, [3], {}, ConfigError, r"grid\[0\] must be a dict of parameters, was 3"),
        (rising, {"n": [1]}, {"chunk": 0}, ConfigError, "chunk must be >= 1, was 0"),
        (rising, [{"m": 1}], {}, ConfigError, "sweep.params.m is not a parameter of rising"),
        ("sma_crass", {}, {}, PolicyError, "sma_crass is no built-in rule"),
        ("sma_cross", [{"fast": 9, "slow": 3}], {}, ConfigError, r"no meaning .*\(with fast 9, slow 3\)"),
        ("momentum", {"n": [5, -1]}, {}, PolicyError, r"momentum: X: .*was -1 \(with n -1\)"),
    ],
)
def test_what_cannot_be_swept_is_refused_by_name(market, policy, grid, settings, error, says):
    with pytest.raises(error, match=says):
        wfbt.sweep(market, policy, grid, **settings)


def test_a_fitted_rule_of_a_file_is_refused(market, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "class Learner:\n    def fit(self, bars): ...\n    def targets(self, bars): return bars['close'] * 0\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"mine\.py:Learner is fitted, and of all rows it would see its future"):
        wfbt.sweep(market, "mine.py:Learner", [{}])


def frozen(values):
    column = np.array(values, np.float64)
    column.flags.writeable = False
    return column


def test_an_indicator_recalled_is_the_indicator_computed():
    close, other = frozen(np.arange(50.0) ** 1.5), np.arange(50.0)
    memo = Memo([close])
    plain = [indicators.sma(close, 5), indicators.sma(close, 6), indicators.ema(close, 5), indicators.sma(other, 5)]
    with memo.in_use():
        for _ in range(2):
            found = [indicators.sma(close, 5), indicators.sma(close, 6), indicators.ema(close, 5)]
            for one, expected in zip([*found, indicators.sma(other, 5)], plain, strict=True):
                assert_array_equal(one, expected)
                one[:] = 0.0


def test_a_column_that_may_change_is_never_recalled():
    close = frozen(np.arange(50.0))
    changing = np.arange(50.0)
    with Memo([close]).in_use():
        before = indicators.sma(changing, 5)
        changing += 1.0
        assert_allclose(indicators.sma(changing, 5), before + 1.0)
        assert_array_equal(indicators.sma(close[10:], 5)[4:], indicators.sma(close, 5)[14:])


def test_a_memo_computes_once_and_forgets_the_least_recently_used_first():
    close, asked = frozen(np.arange(10.0)), []
    memo = Memo([close], most=2 * close.nbytes)

    def ask(n):
        def compute():
            asked.append(n)
            return close * n

        assert_array_equal(memo.recall("times", n, [close], compute), close * n)

    for n in (1, 2, 1, 3, 1, 2):
        ask(n)
    assert asked == [1, 2, 3, 2]


def test_a_sweep_is_reached_from_the_package():
    assert wfbt.sweep is screens.sweep
    assert wfbt.Sweep is screens.Sweep
