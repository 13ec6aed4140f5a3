from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.ledger.accounts import DAY, HOUR, MONDAY, Book, random_ledger
from tests.ledger.test_trips import twin
from tests.naive import metrics as naive
from wfbt.errors import ConfigError
from wfbt.ledger import metrics

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "bars"
FRIDAY = MONDAY + 4 * DAY
KEYS = [
    "sharpe",
    "sortino",
    "calmar",
    "annual_return",
    "total_return",
    "max_drawdown",
    "volatility",
    "win_rate",
    "profit_factor",
    "trades",
    "avg_trade",
    "avg_holding_hours",
    "exposure",
    "turnover",
]


def by_day(equity, opening=100.0, start=MONDAY):
    """The numbers of an account without trades, on daily bars from `start`."""
    ts = start + DAY * np.arange(1, len(equity) + 1)
    none = np.zeros(0)
    return metrics.summarise(
        ts=ts,
        equity=np.asarray(equity, float),
        opening=opening,
        calendar=metrics.trading_calendar(ts),
        held=np.zeros(len(ts), bool),
        traded=0.0,
        profits=none,
        profit_shares=none,
        holding_hours=none,
    )


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("weekends", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_every_number_is_that_of_the_naive_twin(seed, weekends, inverse):
    ledger = random_ledger(seed, days=70, inverse=inverse, weekends=weekends, assets=1 + seed % 2)
    fast = ledger.metrics()
    slow = naive.summary(
        ledger.ts.tolist(),
        ledger.equity.tolist(),
        ledger.opening_equity,
        ledger.position.tolist(),
        sum(
            ledger.multiplier[f["asset"]] * abs(f["qty"] * naive.unit_value(f["price"], inverse)) for f in ledger.fills
        ),
        twin(ledger),
    )
    assert fast["periods_per_year"] == slow["periods_per_year"] == (365 if weekends else 252)
    assert fast["reasons"] == {}
    # A statistic of returns is as exact as the returns, which carry the rounding of 1 + r.
    floor = {"avg_trade": 1e-12 * ledger.opening_cash, "total_return": 1e-14}
    for key, value in slow.items():
        assert fast[key] == pytest.approx(value, rel=1e-12, abs=floor.get(key, 1e-13)), key


def test_all_keys_of_a_result_are_there():
    assert set(KEYS) <= set(by_day([101.0]))


def test_a_close_at_midnight_belongs_to_the_day_before():
    calendar = metrics.Calendar(periods_per_year=365.0, weekends=True)
    ts = np.array([MONDAY + DAY - HOUR, MONDAY + DAY, MONDAY + DAY + 1])
    assert calendar.days(ts).tolist() == [19_723, 19_723, 19_724]
    assert metrics.daily_equity(ts, np.array([1.0, 2.0, 3.0]), 9.0, calendar).tolist() == [9.0, 2.0, 3.0]


def test_days_are_utc_days_also_when_clocks_change():
    spring = pd.date_range("2024-03-30", "2024-04-02", freq="h", tz="UTC").as_unit("ns").asi8[1:]
    calendar = metrics.trading_calendar(spring, 365)
    assert np.diff(calendar.day_ends(spring)).tolist() == [24, 24]


def test_sunday_hours_join_monday_and_saturday_hours_join_friday_in_a_five_day_market():
    calendar = metrics.Calendar(periods_per_year=252.0, weekends=False)
    friday_noon, saturday, sunday = FRIDAY + 12 * HOUR, FRIDAY + DAY + HOUR, FRIDAY + 3 * DAY - HOUR
    ts = np.array([friday_noon, saturday, sunday, sunday + 2 * HOUR])
    friday = FRIDAY // DAY
    assert calendar.days(ts).tolist() == [friday, friday, friday + 3, friday + 3]
    assert calendar.day_ends(ts).tolist() == [1, 3]


def test_a_market_with_saturdays_has_365_days_and_one_without_252():
    hours = MONDAY + HOUR * np.arange(1, 24 * 28 + 1)
    weekday = ((hours - 1) // DAY + 3) % 7
    assert metrics.trading_calendar(hours).periods_per_year == 365
    assert metrics.trading_calendar(hours[weekday < 5]).periods_per_year == 252
    assert metrics.trading_calendar(hours[weekday != 5]).periods_per_year == 252


def test_a_slice_of_weekdays_keeps_the_calendar_of_its_ledger():
    ledger = random_ledger(1, days=21)
    days = ledger.slice(MONDAY, MONDAY + 3 * DAY)
    assert metrics.trading_calendar(days.ts).periods_per_year == 252
    assert days.metrics()["periods_per_year"] == 365


def test_bars_longer_than_a_day_are_periods_of_their_own():
    ts = MONDAY + 7 * DAY * np.arange(1, 41)
    calendar = metrics.trading_calendar(ts)
    assert calendar.periods_per_year == pytest.approx(365.25 / 7)
    assert len(calendar.day_ends(ts)) == 40


@pytest.mark.parametrize(
    ("file", "year"),
    [("BTCUSDT_perp_1h", 365), ("XAUUSD_1h", 252), ("EURUSD_1h", 252), ("SP500_1d", 252), ("GOOG_1d", 252)],
)
def test_real_markets_show_how_many_days_they_trade(file, year):
    path = REAL / f"{file}.parquet"
    if not path.exists():
        pytest.skip(f"no real data at {path}")
    opens = pd.read_parquet(path, columns=["ts"])["ts"].astype("datetime64[ns, UTC]").astype("int64").to_numpy()
    ts = opens + (DAY if file.endswith("1d") else HOUR)
    calendar = metrics.trading_calendar(ts)
    assert calendar.periods_per_year == year
    days = calendar.days(ts)
    assert (np.diff(days) >= 0).all()
    if year == 252:
        assert not np.isin((days + 3) % 7, (5, 6)).any()


def test_numbers_of_a_small_account_are_those_worked_out_by_hand():
    # 15 × (+10%, −5%): growth 1.045 per pair.
    equity = 100.0 * np.cumprod([1.10, 0.95] * 15)
    m = by_day(equity)
    deviation = 0.075 * sqrt(30 / 29)
    assert m["days"] == 30
    assert m["total_return"] == pytest.approx(1.045**15 - 1)
    assert m["annual_return"] == pytest.approx(1.045 ** (15 * 365 / 30) - 1)
    assert m["volatility"] == pytest.approx(deviation * sqrt(365))
    assert m["sharpe"] == pytest.approx(0.025 / deviation * sqrt(365))
    assert m["sortino"] == pytest.approx(0.025 / (0.05 / sqrt(2)) * sqrt(365))
    assert m["max_drawdown"] == pytest.approx(0.05)
    assert m["calmar"] == pytest.approx(m["annual_return"] / 0.05)


def test_opening_equity_is_the_first_peak():
    assert by_day([80.0, 90.0])["max_drawdown"] == pytest.approx(0.2)


def test_twenty_nine_days_have_no_statistic_and_say_why():
    walk = 100.0 * np.cumprod([1.01, 0.995] * 15)
    short, long = by_day(walk[:29]), by_day(walk)
    for key in ("sharpe", "sortino", "calmar", "volatility", "annual_return"):
        assert short[key] is None
        assert "29 days" in short["reasons"][key]
        assert long[key] is not None
    assert short["total_return"] is not None


def test_what_does_not_exist_is_none_with_a_reason_and_never_zero_or_infinite():
    flat = by_day(np.full(40, 100.0))
    assert flat["sharpe"] is None
    assert "do not vary" in flat["reasons"]["sharpe"]
    assert flat["volatility"] == 0.0
    assert flat["calmar"] is None
    assert flat["win_rate"] is None
    assert "no round trip" in flat["reasons"]["win_rate"]
    up = by_day(100.0 * np.cumprod([1.01, 1.02] * 20))
    assert up["sortino"] is None
    assert up["reasons"]["sortino"] == "no day lost money"
    explosive = by_day(100.0 * 1e30 ** np.arange(1, 3).repeat(15))
    assert explosive["annual_return"] is None
    assert explosive["calmar"] is None
    for result in (flat, up, explosive):
        numbers = [v for k, v in result.items() if k not in ("reasons",) and v is not None]
        assert np.isfinite(numbers).all()
        assert {k for k in KEYS if result[k] is None} | {"avg_trade_return"} == set(result["reasons"])


def test_steady_growth_has_no_sharpe_ratio_for_its_rounding_errors():
    steady = by_day(100.0 * 1.01 ** np.arange(1, 61))
    assert steady["sharpe"] is None


def test_profit_factor_without_a_loss_is_none_and_says_so():
    book = Book(1, 1000.0, False)
    book.fill(MONDAY, 0, 1.0, 100.0)
    book.close(MONDAY + HOUR, [110.0])
    book.fill(MONDAY + HOUR, 0, -1.0, 110.0)
    book.close(MONDAY + 2 * HOUR, [110.0])
    m = book.ledger().metrics()
    assert m["profit_factor"] is None
    assert m["reasons"]["profit_factor"] == "no round trip lost money"
    assert (m["win_rate"], m["trades"], m["avg_trade"], m["avg_holding_hours"]) == (1.0, 1, 10.0, 1.0)
    assert m["avg_trade_return"] == pytest.approx(0.1)
    assert m["exposure"] == 0.5
    assert m["turnover"] == pytest.approx(210 / 1010 * 252)


def test_a_ruined_account_keeps_its_ruin_in_every_statistic():
    m = by_day([*(100.0 * np.cumprod([1.01, 0.99] * 10)), *np.zeros(20)])
    assert m["total_return"] == m["annual_return"] == -1.0
    assert m["max_drawdown"] == 1.0
    returns = np.array([0.01, -0.01] * 10 + [-1.0] + [0.0] * 19)
    assert m["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * sqrt(365), rel=1e-10)


def test_an_account_that_begins_with_nothing_says_so():
    m = by_day(np.zeros(40), opening=0.0)
    for key in ("total_return", "sharpe", "max_drawdown", "turnover"):
        assert m[key] is None
        assert "no equity" in m["reasons"][key]


@pytest.mark.parametrize("name", ["sharpe", "sortino", "calmar", "annual_return", "total_return"])
def test_an_objective_over_lanes_is_the_number_of_each_lane(name):
    equity = 100.0 * np.cumprod(1 + np.random.default_rng(3).normal(0.001, 0.02, (5, 90)), axis=1)
    returns = metrics.daily_returns(np.column_stack([np.full(5, 100.0), equity]))
    lanes = metrics.objective(name, returns, 365.0)
    assert lanes.shape == (5,)
    np.testing.assert_allclose(lanes, [by_day(lane)[name] for lane in equity], rtol=1e-12)


def test_an_objective_that_does_not_exist_is_nan_in_its_lane_only():
    returns = np.random.default_rng(3).normal(0.001, 0.02, (3, 60))
    returns[1] = 0.0
    for name in ("sharpe", "sortino", "calmar"):
        assert np.isnan(metrics.objective(name, returns, 365.0)).tolist() == [False, True, False]
        assert np.isnan(metrics.objective(name, returns[:, :29], 365.0)).all()
    assert metrics.objective("total_return", returns, 365.0)[1] == 0.0


def test_an_unknown_objective_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown 'sharp'; use one of sharpe, sortino, calmar"):
        metrics.objective("sharp", np.zeros((1, 40)), 365.0)
