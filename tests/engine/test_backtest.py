"""What `wfbt.backtest` does, in numbers that can be checked by hand."""

import re

import numpy as np
import pandas as pd
import pytest

import wfbt
from wfbt.data.market import DAY, HOUR, MINUTE
from wfbt.engine.account import Ratchet
from wfbt.errors import ConfigError, DataError, PolicyError

FREE = wfbt.Costs.none()


def bars(close, *, symbol="X", period=HOUR, start=0, opens=None, spread=0.0, volume=1e9):
    close = np.asarray(close, float)
    opens = np.r_[close[0], close[:-1]] if opens is None else np.asarray(opens, float)
    return wfbt.Bars(
        symbol=symbol,
        period=period,
        open_ts=start + np.arange(len(close)) * period,
        open=opens,
        high=np.maximum(opens, close) + spread,
        low=np.minimum(opens, close) - spread,
        close=close,
        volume=np.full(len(close), volume),
    )


def market(*instruments):
    made = tuple(i if isinstance(i, wfbt.Instrument) else wfbt.Instrument(bars=i) for i in instruments)
    return wfbt.Market(instruments=made, digest="")


def test_a_target_is_decided_at_the_close_and_filled_at_the_next_open():
    ledger = wfbt.backtest(market(bars([100, 110, 121], opens=[100, 105, 115])), [1.0, 1.0, 1.0], costs=FREE)
    assert ledger.fills["price"].tolist() == [105.0]
    assert ledger.fills["arrival"].tolist() == [100.0]


def test_a_constant_target_trades_once():
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 500)))
    ledger = wfbt.backtest(market(bars(close)), np.full(500, 0.5), costs=FREE)
    assert len(ledger.fills) == 1


def test_doubling_a_tenth_of_a_percent_fee_on_200_reinvested_fills_costs_18_percent_of_wealth():
    target = np.tile([1.0, 0.0], 101)[:201]
    data = market(bars(np.full(201, 100.0)))

    def wealth(bps):
        costs = wfbt.Costs(taker_bps=bps, maker_bps=0, half_spread_bps=0, impact=None)
        sizing = wfbt.Sizing(price="fill")
        ledger = wfbt.backtest(data, target, costs=costs, sizing=sizing)
        assert len(ledger.fills) == 200
        return ledger.equity[-1]

    assert wealth(20) / wealth(10) == pytest.approx(0.8185, abs=0.0005)


def test_impact_is_sigma_times_the_root_of_participation():
    rng = np.random.default_rng(2)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 200)))
    data = market(bars(close, volume=1_000.0))
    target = np.where(np.arange(200) < 100, 0.0, 0.5)
    ledger = wfbt.backtest(data, target, costs=wfbt.Costs(half_spread_bps=0, taker_bps=0))
    (fill,) = ledger.fills
    window = close[100 - 29 : 101]
    returns = close[100 - 29 : 101] / close[100 - 30 : 100] - 1
    assert len(window) == len(returns) == 30
    sigma, volume = returns.std(ddof=1) * np.sqrt(24), 24_000.0
    expected = fill["reference"] * (1 + 0.15 * sigma * np.sqrt(fill["qty"] / volume))
    assert fill["price"] == pytest.approx(expected, rel=1e-12)


def test_a_symbols_own_impact_replaces_the_temporary_coefficient_and_halves_for_the_permanent():
    rng = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 200)))
    costs = wfbt.Costs(half_spread_bps=0, taker_bps=0)
    target = np.where(np.arange(200) < 100, 0.0, 0.5)
    own = wfbt.Instrument(bars=bars(close, volume=1_000.0), impact=0.4)
    default = wfbt.backtest(market(bars(close, volume=1_000.0)), target, costs=costs).fills[0]
    dear = wfbt.backtest(market(own), target, costs=costs).fills[0]
    assert (dear["price"] - dear["reference"]) / (default["price"] - default["reference"]) == pytest.approx(0.6 / 0.15)


def test_a_delay_within_the_bar_costs_something_but_not_a_bar():
    rng = np.random.default_rng(4)
    rows = 3_000
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    data = market(bars(close, spread=1.0))
    target = np.tile([1.0, 0.0], rows // 2)

    def wealth(latency):
        return wfbt.backtest(data, target, costs=FREE, latency=latency, seed=5).equity[-1]

    second = 1_000_000_000
    instant, delayed, late = (wealth(wfbt.Latency.constant(ns)) for ns in (0, second, HOUR))
    assert late != delayed != instant
    assert delayed < instant
    fills = wfbt.backtest(data, target, costs=FREE, latency=wfbt.Latency.constant(second), seed=5).fills
    moved = np.abs(fills["reference"] / close[fills["row"] - 1] - 1)
    assert 0 < moved.mean() < 0.001


def test_a_delay_longer_than_a_bar_leaves_the_order_pending():
    ledger = wfbt.backtest(
        market(bars([100, 101, 102, 103, 104])), [1.0] * 5, costs=FREE, latency=wfbt.Latency.constant(2 * HOUR)
    )
    assert ledger.fills["row"].tolist() == [3]


def test_a_draw_belongs_to_its_bar_whatever_the_slice():
    ts = np.arange(1_000) * HOUR
    latency = wfbt.Latency.uniform(1e8, 5e8)
    whole = latency.delays(7, "BTC", ts), latency.price_draws(7, "BTC", ts)
    part = latency.delays(7, "BTC", ts[300:400]), latency.price_draws(7, "BTC", ts[300:400])
    assert np.array_equal(whole[0][300:400], part[0])
    assert np.array_equal(whole[1][300:400], part[1])
    assert not np.array_equal(whole[0], latency.delays(8, "BTC", ts))
    assert 1e8 <= whole[0].min() < 1.1e8 < 4.9e8 < whole[0].max() <= 5e8
    assert abs(whole[1].mean()) < 0.1 and abs(whole[1].std() - 1) < 0.1


@pytest.mark.parametrize(
    "latency",
    [
        wfbt.Latency.lognormal(2e8, 0.5),
        wfbt.Latency.empirical([1e8, 2e8, 9e8]),
        wfbt.Latency(order=wfbt.Delay(model="uniform", low=0, high=4e8), feed=wfbt.Delay(low=5e7, high=5e7)),
    ],
)
def test_every_model_of_latency_is_never_negative_and_varies(latency):
    delay = latency.delays(1, "X", np.arange(5_000) * HOUR)
    assert delay.min() >= 0 and len(np.unique(delay)) > 2
    assert np.median(delay) == pytest.approx(2e8 + (5e7 if latency.feed.low else 0), rel=0.1)


def test_funding_is_paid_by_what_is_held_at_the_stamp():
    ten = market(
        wfbt.Instrument(
            bars=bars([100.0] * 10),
            funding=wfbt.Funding(
                ts=np.array([3, 5, 8]) * HOUR, rate=np.array([0.01, 0.02, 0.04]), mark=np.full(3, np.nan)
            ),
        )
    )
    # Decided at the close of bar 2 (hour 3), filled at that moment, after the stamp; out at hour 8, after its stamp.
    target = np.array([np.nan, np.nan, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    ledger = wfbt.backtest(ten, target, costs=FREE, account=wfbt.Account(cash=1_000))
    assert ledger.payments["rate"].tolist() == [0.02, 0.04]
    assert ledger.payments["paid"].tolist() == [20.0, 40.0]


def test_a_stamp_one_second_after_the_exit_accrues_nothing():
    late = market(
        wfbt.Instrument(
            bars=bars([100.0] * 6),
            funding=wfbt.Funding(ts=np.array([3 * HOUR + 10**9]), rate=np.array([0.01]), mark=np.array([np.nan])),
        )
    )
    ledger = wfbt.backtest(late, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0], costs=FREE)
    assert len(ledger.payments) == 0


def test_execution_bars_fill_the_orders_where_they_cover_the_bar():
    coarse = bars([100, 104, 108, 112], opens=[100, 100, 104, 108])
    minutes = bars(100 + np.arange(1, 61) / 15, period=MINUTE, start=HOUR, opens=100 + np.arange(60) / 15)
    both = market(wfbt.Instrument(bars=coarse, execution_bars=minutes))
    delayed = wfbt.Latency.constant(30 * MINUTE)
    ledger = wfbt.backtest(both, [1.0, 0.0, 0.0, 0.0], costs=FREE, latency=delayed)
    # Bar 1 is laid out in minutes: half an hour in, the open is 102. Bar 2 is not: its open, diffused.
    assert ledger.fills["price"][0] == 102.0
    assert len(ledger.ts) == 4
    assert ledger.ts.tolist() == [HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR]


def test_a_stop_on_execution_bars_is_hit_at_its_minute():
    coarse = bars([100, 100, 100], opens=[100, 100, 100], spread=5.0)
    path = np.r_[np.full(20, 100.0), np.full(20, 96.0), np.full(20, 104.0)]
    minutes = bars(path, period=MINUTE, start=HOUR)
    wants = pd.DataFrame({"target": [1.0, 1.0, 1.0], "stop": [3.0] * 3, "take": [3.0] * 3})
    hourly = wfbt.backtest(market(coarse), wants, costs=FREE)
    minutely = wfbt.backtest(market(wfbt.Instrument(bars=coarse, execution_bars=minutes)), wants, costs=FREE)
    assert hourly.fills["price"].tolist() == [100.0, 97.0]
    assert minutely.fills["price"].tolist() == [100.0, 97.0]
    first_up = minutes.__class__(
        **{name: getattr(minutes, name) for name in ("symbol", "period", "open_ts", "volume")},
        **{
            name: 200.0 - getattr(minutes, {"high": "low", "low": "high"}.get(name, name))
            for name in ("open", "high", "low", "close")
        },
    )
    target_first = wfbt.backtest(market(wfbt.Instrument(bars=coarse, execution_bars=first_up)), wants, costs=FREE)
    assert target_first.fills["price"].tolist() == [100.0, 103.0], "the minutes show that the target came first"


def test_risk_sizing_loses_its_share_when_the_stop_is_hit():
    wants = pd.DataFrame({"target": [1.0, np.nan, np.nan], "stop": [2.0] * 3})
    ledger = wfbt.backtest(
        market(bars([100, 100, 90], opens=[100, 100, 100])),
        wants,
        costs=FREE,
        account=wfbt.Account(cash=10_000, leverage=3),
        sizing=wfbt.Sizing(method="risk", risk=0.01),
    )
    assert ledger.fills["qty"].tolist() == [50.0, -50.0]
    assert ledger.equity[-1] == 9_900.0


def test_risk_sizing_refuses_a_policy_without_a_stop():
    with pytest.raises(PolicyError, match="needs a stop"):
        wfbt.backtest(market(bars([100] * 5)), np.ones(5), sizing=wfbt.Sizing(method="risk"))


def test_volatility_sizing_holds_less_when_the_market_moves_more():
    rng = np.random.default_rng(6)
    calm, wild = (100 * np.exp(np.cumsum(rng.normal(0, s, 400))) for s in (0.002, 0.02))
    sizing = wfbt.Sizing(method="volatility", goal=0.2)
    account = wfbt.Account(leverage=50)
    target = np.where(np.arange(400) < 200, 0.0, 1.0)
    held = [wfbt.backtest(market(bars(c)), target, costs=FREE, sizing=sizing, account=account) for c in (calm, wild)]
    weight = [(one.position * one.mark).ravel()[201] / one.equity[201] for one in held]
    year = np.sqrt(365 * 24)
    assert weight[0] == pytest.approx(0.2 / (0.002 * year), rel=0.35)
    assert weight[1] == pytest.approx(0.2 / (0.02 * year), rel=0.35)


def test_fixed_sizing_trades_a_notional():
    sizing = wfbt.Sizing(method="fixed", notional=5_000)
    ledger = wfbt.backtest(market(bars([100] * 4)), [0.5] * 4, costs=FREE, sizing=sizing)
    assert ledger.fills["qty"].tolist() == [25.0]


def test_lots_and_ticks_round_against_the_trader():
    one = wfbt.Instrument(bars=bars([100.0] * 4), contract=wfbt.Contract(tick=0.5, lot=0.1))
    costs = wfbt.Costs(half_spread_bps=10, taker_bps=0, impact=None)
    account = wfbt.Account(cash=1_000)
    ledger = wfbt.backtest(market(one), [0.0329, 0.0329, 0.0, 0.0], costs=costs, account=account)
    assert ledger.fills["qty"].tolist() == pytest.approx([0.3, -0.3])
    assert ledger.fills["price"].tolist() == [100.5, 99.5]


def test_symbols_share_one_account_and_a_missing_bar_cannot_trade():
    first = bars([100.0] * 6, symbol="A")
    second = bars([50.0] * 4, symbol="B", start=2 * HOUR)
    targets = {"A": np.full(6, 0.5), "B": np.full(4, 0.5)}
    ledger = wfbt.backtest(market(first, second), targets, costs=FREE, account=wfbt.Account(cash=1_000))
    assert ledger.position[-1].tolist() == [5.0, 10.0]
    assert ledger.fills["row"].tolist() == [1, 3]


def test_liquidation_happens_at_the_mark_where_maintenance_is_met():
    account = wfbt.Account(cash=1_000, leverage=10, maintenance=0.005, liquidation_fee_bps=50)
    ledger = wfbt.backtest(market(bars([100, 100, 80], opens=[100, 100, 100])), [10.0] * 3, costs=FREE, account=account)
    # 100 units from 100: 1000 + 100·(p − 100) = 0.005·100·p
    price = 9_000 / (100 * 0.995)
    assert ledger.fills["price"][1] == pytest.approx(price, rel=1e-12)
    left = 1_000 + 100 * (price - 100)
    assert ledger.liquidation.sum() == pytest.approx(min(0.005 * 100 * price, left), rel=1e-9)
    assert ledger.equity[-1] == pytest.approx(0.0, abs=1e-6)


def test_a_gap_beyond_bankruptcy_leaves_zero_and_the_rest_to_the_insurance():
    account = wfbt.Account(cash=1_000, leverage=10, maintenance=0.005)
    ledger = wfbt.backtest(
        market(bars([100, 100, 80, 80], opens=[100, 100, 85, 80])), [10.0] * 4, costs=FREE, account=account
    )
    assert ledger.equity[2:].tolist() == [0.0, 0.0]
    assert ledger.shortfall.sum() == pytest.approx(500.0)
    assert ledger.halted


def test_the_daily_breaker_flattens_until_midnight():
    day = 24
    close = np.full(3 * day, 100.0)
    close[5:] = 90.0
    limits = wfbt.Limits(max_daily_loss=0.05)
    target = np.where(np.arange(len(close)) % 2 == 0, 1.0, 0.9)
    ledger = wfbt.backtest(market(bars(close)), target, costs=FREE, limits=limits)
    held = ledger.position[:, 0] > 0
    assert held[1:6].all() and not held[6:24].any() and held[25:].all()


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: wfbt.Costs(taker_bps=-1), ConfigError, "taker_bps"),
        (lambda: wfbt.Costs(participation={"order": 0.05}), ConfigError, "participation"),
        (lambda: wfbt.Account(leverage=0), ConfigError, "leverage"),
        (lambda: wfbt.Account(margin="portfolio"), ConfigError, "cross or isolated"),
        (lambda: wfbt.Sizing(method="kelly"), ConfigError, "kelly"),
        (lambda: wfbt.Sizing(method="fixed"), ConfigError, "notional"),
        (lambda: wfbt.Latency(adverse=2), ConfigError, "adverse"),
        (lambda: wfbt.Limits(max_daily_loss=5), ConfigError, "max_daily_loss"),
        (lambda: wfbt.backtest(market(bars([100] * 5)), np.ones(4)), PolicyError, "4 targets for 5 bars"),
        (lambda: wfbt.backtest(market(bars([100] * 5)), [1, 1, np.inf, 1, 1]), PolicyError, "row 2"),
        (
            lambda: wfbt.backtest(market(bars([100] * 2)), pd.DataFrame({"target": [1, 1], "limit": [99, -99]})),
            PolicyError,
            "limit",
        ),
        (lambda: market(bars([100] * 5), bars([100] * 5, symbol="Y", period=DAY)), DataError, "one period"),
        (
            lambda: wfbt.backtest(market(bars([100] * 5), bars([1] * 5, symbol="Y", start=MINUTE)), np.ones((10, 2))),
            DataError,
            "out of phase",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(wrong, error, says):
    with pytest.raises(error, match=says):
        wrong()


def test_stress_never_makes_a_venue_cheaper():
    costs = wfbt.Costs(maker_bps=-1.0).stressed(2.0)
    assert (costs.taker_bps, costs.half_spread_bps, costs.maker_bps) == (10.0, 1.0, -0.5)
    assert costs.impact == wfbt.Impact.sqrt(0.2, 0.1)


def test_targets_with_the_wrong_times_are_refused():
    data = market(bars([100.0] * 4))
    closes = pd.to_datetime((np.arange(4) + 1) * HOUR, utc=True)
    assert len(wfbt.backtest(data, pd.Series(1.0, closes), costs=FREE).fills) == 1
    with pytest.raises(PolicyError, match="must be the closes of its bars"):
        wfbt.backtest(data, pd.Series(1.0, closes - pd.Timedelta("1h")), costs=FREE)


def test_a_target_without_a_stop_is_refused_once_stops_are_known():
    wants = pd.DataFrame({"target": [1.0, -1.0, -1.0], "stop": [2.0, np.nan, 2.0]})
    with pytest.raises(PolicyError, match="row 1"):
        wfbt.backtest(market(bars([100] * 3)), wants, sizing=wfbt.Sizing(method="risk"))


@pytest.mark.parametrize("samples", [[1.0, np.nan], [np.inf], []])
def test_delays_that_are_no_numbers_are_refused(samples):
    with pytest.raises(ConfigError, match="empirical"):
        wfbt.Latency.empirical(samples)


def test_a_grid_coarser_than_the_price_is_refused():
    one = wfbt.Instrument(bars=bars([100.0] * 4), contract=wfbt.Contract(tick=1000.0))
    with pytest.raises(DataError, match="tick"):
        wfbt.backtest(market(one), [1.0] * 4)


@pytest.mark.parametrize("names", [("A", "B"), ("B", "A")])
def test_a_rotation_at_full_leverage_does_not_depend_on_names(names):
    first, second = (bars([100.0] * 6, symbol=name) for name in names)
    targets = {names[0]: np.array([1.0, 1, 1, 0, 0, 0]), names[1]: np.array([0.0, 0, 0, 1, 1, 1])}
    ordered = sorted([first, second], key=lambda one: one.symbol)
    ledger = wfbt.backtest(market(*ordered), targets, costs=FREE, account=wfbt.Account(cash=1_000))
    held = dict(zip(ledger.symbols, ledger.position[-1].tolist(), strict=True))
    assert held == {names[0]: 0.0, names[1]: 10.0}


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("expire", 1.5, "expire is 1.5 at row 5; it must be a whole number of bars >= 1, NaN for never"),
        ("expire", 0.0, "expire is 0.0 at row 5; it must be a whole number of bars >= 1, NaN for never"),
        ("limit", -1.0, "limit is -1.0 at row 5; it must be > 0, NaN for none"),
        ("other", np.inf, "other is inf at row 5; use NaN for no second order"),
    ],
)
def test_columns_of_orders_that_cannot_be_meant_are_refused(column, value, says):
    given = np.full(20, np.nan)
    given[5] = value
    with pytest.raises(PolicyError, match=re.escape(f"X: {says}")):
        wfbt.backtest(market(bars(np.full(20, 100.0))), pd.DataFrame({"target": np.ones(20), column: given}))


def test_the_other_of_two_orders_may_be_a_sale():
    close = np.r_[np.full(5, 100.0), np.full(15, 90.0)]
    frame = pd.DataFrame({"target": 1.0, "trigger": 110.0, "other": -1.0, "other_trigger": 95.0}, index=range(20))
    ledger = wfbt.backtest(market(bars(close)), frame, costs=FREE)
    assert ledger.position[-1, 0] < 0


def test_an_order_that_expires_beyond_the_calendar_never_expires():
    """A million million bars of an hour do not fit into 64 bits of nanoseconds."""
    frame = pd.DataFrame({"target": np.ones(20), "limit": 90.0, "expire": 1e12})
    close = np.r_[np.full(10, 100.0), np.full(10, 80.0)]
    ledger = wfbt.backtest(market(bars(close)), frame, costs=FREE)
    assert len(ledger.fills) == 1
    assert ledger.orders_frame()["expire"].isna().all()


def test_a_trail_of_the_policys_own_cannot_follow_the_range():
    frame = pd.DataFrame({"target": np.ones(40), "trail": 5.0})
    with pytest.raises(PolicyError, match=r"X: the policy returned trail, and exits\.trail_follow would replace"):
        wfbt.backtest(market(bars(np.full(40, 100.0))), frame, exits=wfbt.Exits(trail_atr=2.0, trail_follow=True))


def test_a_ratchet_without_any_stop_is_refused():
    exits = wfbt.Exits(ratchet=Ratchet(after=1.0, keep=0.5))
    with pytest.raises(PolicyError, match=r"X: exits\.ratchet counts in stop distances, and there is no stop"):
        wfbt.backtest(market(bars(np.full(40, 100.0))), np.ones(40), exits=exits)
