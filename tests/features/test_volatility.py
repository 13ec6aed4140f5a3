from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wfbt.errors import ConfigError
from wfbt.features.volatility import trailing_sigma_volume

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
REAL = Path(__file__).parents[3] / "shared" / "data" / "bars"


def market(rows, seed=0):
    rng = np.random.default_rng(seed)
    return 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows))), rng.uniform(0, 50, rows)


def by_definition(close, volume, rows, bars_per_horizon):
    """Each row's window written out."""
    sigma, total = np.full(len(close), np.nan), np.full(len(close), np.nan)
    for t in range(2, len(close)):
        first = max(0, t - rows + 1)
        returns = [close[i] / close[i - 1] - 1 for i in range(max(1, first), t + 1)]
        sigma[t] = np.std(returns, ddof=1) * bars_per_horizon**0.5
        total[t] = np.mean(volume[first : t + 1]) * bars_per_horizon
    return sigma, total


@pytest.mark.parametrize(
    ("period", "horizon", "rows", "bars_per_horizon"),
    [
        (HOUR, DAY, 30, 24.0),  # 24 bars are fewer than 30
        (HOUR // 4, DAY, 96, 96.0),
        (DAY, DAY, 30, 1.0),
        (7 * DAY, DAY, 30, 1 / 7),  # a bar longer than the horizon: a fraction of it
        (7 * HOUR, 300 * HOUR, 43, 300 / 7),  # 42.9 bars: whole rows that cover the horizon
    ],
)
def test_sigma_and_volume_are_those_of_the_trailing_window(period, horizon, rows, bars_per_horizon):
    close, volume = market(150)
    sigma, total = trailing_sigma_volume(close, volume, period, horizon)
    expected_sigma, expected_total = by_definition(close, volume, rows, bars_per_horizon)
    np.testing.assert_allclose(sigma, expected_sigma, rtol=1e-12)
    np.testing.assert_allclose(total, expected_total, rtol=1e-12)


def test_fewer_than_two_returns_say_nothing():
    for rows in range(3):
        sigma, total = trailing_sigma_volume(*market(rows), HOUR, DAY)
        assert sigma.shape == total.shape == (rows,)
        assert np.isnan(sigma).all()
        assert np.isnan(total).all()


def test_three_prices_give_the_first_value():
    sigma, total = trailing_sigma_volume([100.0, 110.0, 99.0], [1.0, 2.0, 6.0], HOUR, 4 * HOUR)
    np.testing.assert_allclose(sigma, [np.nan, np.nan, np.sqrt(0.02) * 2.0])  # returns +0.1 and −0.1
    np.testing.assert_allclose(total, [np.nan, np.nan, 12.0])


def test_the_future_changes_no_bit_of_the_past():
    rng = np.random.default_rng(5)
    close, volume = market(400)
    whole = trailing_sigma_volume(close, volume, HOUR, DAY)
    for cut in rng.integers(1, 400, 40):
        altered = close.copy(), volume.copy()
        altered[0][cut:] = rng.uniform(1, 1e6, 400 - cut)
        altered[1][cut:] = rng.uniform(0, 1e9, 400 - cut)
        for full, prefix, other in zip(
            whole,
            trailing_sigma_volume(close[:cut], volume[:cut], HOUR, DAY),
            trailing_sigma_volume(*altered, HOUR, DAY),
            strict=True,
        ):
            np.testing.assert_array_equal(prefix, full[:cut])
            np.testing.assert_array_equal(other[:cut], full[:cut])


def test_a_market_that_stands_still_has_no_volatility_and_no_volume():
    sigma, total = trailing_sigma_volume(np.full(60, 0.3), np.zeros(60), HOUR, DAY)
    assert (sigma[2:] == 0).all()
    assert (total[2:] == 0).all()


def test_an_impossible_horizon_is_refused():
    with pytest.raises(ConfigError, match="must be > 0 ns, were 3600000000000 and 0"):
        trailing_sigma_volume(*market(5), HOUR, 0)


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared real data are not beside the repository")
def test_real_hourly_bars_agree_with_the_definition():
    bars = pd.read_parquet(REAL / "BTCUSDT_perp_1h.parquet").iloc[:2000]
    close, volume = bars["close"].to_numpy(), bars["volume"].to_numpy()
    sigma, total = trailing_sigma_volume(close, volume, HOUR, DAY)
    expected_sigma, expected_total = by_definition(close, volume, 30, 24.0)
    np.testing.assert_allclose(sigma, expected_sigma, rtol=1e-11)
    np.testing.assert_allclose(total, expected_total, rtol=1e-11)
