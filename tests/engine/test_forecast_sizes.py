"""Sizes and exits that follow a forecast of volatility."""

import numpy as np
import pytest

import wfbt
from tests.engine.stage import instrument, market
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup
from wfbt.engine.tape import lay_out
from wfbt.errors import ConfigError
from wfbt.policy.base import Columns

DAY = 86_400_000_000_000
FORECAST = np.array([0.2, 0.4, np.nan, 0.8, 0.4])
YEAR = 252.0  # five bars of a Thursday: no weekend was seen


def lowered(forecast, target=(1.0, 0.5, 1.0, -1.0, 0.0), others=0, wants=(), **parts):
    """What an account of one symbol, and of `others` that nobody trades, is told on every row."""
    rows = [instrument([100, 110, 121, 100, 90], symbol=name) for name in ("X", "Y", "Z")[: 1 + others]]
    data = market(*rows)
    setup = Setup(costs=wfbt.Costs.none(), **parts)
    nothing = Columns(target=np.full(5, np.nan))
    columns = {"X": Columns(target=np.array(target, float), **dict(wants)), "Y": nothing, "Z": nothing}
    lowering = Lowering(data, lay_out(data, setup, 0), setup)
    return lowering.say(columns, forecast)


def test_a_size_is_its_target_times_the_goal_over_the_forecast():
    said = lowered({"X": FORECAST}, sizing=wfbt.Sizing(method="volatility", goal=0.3, forecast=True))
    assert said.row.tolist() == [0, 1, 3, 4]  # nothing is said while nothing is forecast
    assert said.size.tolist() == pytest.approx([1.5, 0.375, -0.375, 0.0])


def test_distances_are_multiples_of_the_forecast_over_its_horizon_as_a_share_of_the_close():
    exits = wfbt.Exits(stop_vol=2.0, take_vol=3.0, trail_vol=1.5, horizon=4 * DAY)
    said = lowered({"X": FORECAST}, exits=exits)
    over = FORECAST * np.sqrt(4 / YEAR) * np.array([100, 110, 121, 100, 90])
    np.testing.assert_allclose(said.stop, 2.0 * over, rtol=1e-12)
    np.testing.assert_allclose(said.take, 3.0 * over, rtol=1e-12)
    np.testing.assert_allclose(said.trail, 1.5 * over, rtol=1e-12)


def test_a_policys_own_stop_comes_before_the_forecasts_and_of_several_kinds_the_nearer_holds():
    exits = wfbt.Exits(stop_vol=2.0)
    own = lowered({"X": FORECAST}, wants={"stop": np.full(5, 7.0)}, exits=exits)
    assert own.stop.tolist() == [7.0] * 5
    both = lowered({"X": FORECAST}, exits=wfbt.Exits(stop_vol=2.0, stop_pct=0.03))
    over = 2.0 * FORECAST * np.sqrt(1 / YEAR)
    np.testing.assert_allclose(both.stop, np.minimum(over, 0.03) * np.array([100, 110, 121, 100, 90]), rtol=1e-12)


def test_a_size_by_risk_counts_to_the_forecast_stop():
    sizing = wfbt.Sizing(method="risk", risk=0.01)
    said = lowered({"X": np.full(5, 0.4)}, sizing=sizing, exits=wfbt.Exits(stop_vol=1.0))
    assert said.size.tolist() == pytest.approx(np.array([1, 0.5, 1, -1, 0]) * 0.01 / (0.4 / np.sqrt(YEAR)))


def test_a_symbol_that_is_not_forecast_is_left_alone_where_nobody_trades_it():
    said = lowered({"X": FORECAST}, others=2, sizing=wfbt.Sizing(method="volatility", forecast=True))
    assert set(said.asset) == {0}


def test_what_needs_a_forecast_is_refused_without_one():
    for parts in ({"sizing": wfbt.Sizing(method="volatility", forecast=True)}, {"exits": wfbt.Exits(trail_vol=2.0)}):
        with pytest.raises(ConfigError, match="need a forecast of volatility, which is fitted"):
            lowered(None, **parts)
        with pytest.raises(ConfigError, match="run a strategy file with a volatility section"):
            wfbt.backtest(market(instrument([100] * 4)), [0.5] * 4, **parts)


def test_a_forecast_that_nothing_follows_changes_nothing():
    for parts in ({}, {"sizing": wfbt.Sizing(method="volatility"), "exits": wfbt.Exits(stop_atr=1.0, atr=2)}):
        with_one, without = lowered({"X": FORECAST}, **parts), lowered(None, **parts)
        assert with_one.records().tobytes() == without.records().tobytes()


def test_a_sizing_by_forecast_is_one_by_volatility():
    with pytest.raises(ConfigError, match=r"sizing.forecast is for sizing.method volatility, which was risk"):
        wfbt.Sizing(method="risk", forecast=True)
    with pytest.raises(ConfigError, match=r"exits.stop_vol must be > 0, was -1"):
        wfbt.Exits(stop_vol=-1.0)
    with pytest.raises(ConfigError, match="trail_follow follows the ATR"):
        wfbt.Exits(trail_atr=1.0, trail_vol=1.0, trail_follow=True)
