import numpy as np
import pytest

from wfbt.errors import PolicyError
from wfbt.features import indicators


def bars(rows, seed=0):
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, rows)))
    return close * (1 + rng.uniform(0, 0.02, rows)), close * (1 - rng.uniform(0, 0.02, rows)), close


CALLS = {
    "ema": lambda high, low, close: indicators.ema(close, 10),
    "sma": lambda high, low, close: indicators.sma(close, 10),
    "rsi": lambda high, low, close: indicators.rsi(close, 10),
    "adx": lambda high, low, close: indicators.adx(high, low, close, 10),
    "atr": lambda high, low, close: indicators.atr(high, low, close, 10),
    "macd": lambda high, low, close: indicators.macd(close, 4, 9, 3),
    "bollinger": lambda high, low, close: indicators.bollinger(close, 10),
}
WARM = {"ema": 9, "sma": 9, "rsi": 10, "adx": 19, "atr": 10, "macd": 10, "bollinger": 9}


def wilder(values, n):
    """Wilder's average: the mean of the first n, then a weight of 1/n."""
    out = [sum(values[:n]) / n]
    for x in values[n:]:
        out.append(out[-1] + (x - out[-1]) / n)
    return np.array(out)


def test_ema_is_the_recursion_seeded_with_the_first_mean():
    _, _, close = bars(40)
    expected = [close[:5].mean()]
    for x in close[5:]:
        expected.append(expected[-1] + (x - expected[-1]) * 2 / 6)
    np.testing.assert_allclose(indicators.ema(close, 5)[4:], expected, rtol=1e-12)


def test_sma_is_the_mean_of_the_last_rows():
    np.testing.assert_allclose(indicators.sma([1.0, 2.0, 6.0, 4.0], 2), [np.nan, 1.5, 4.0, 5.0])


def test_rsi_is_the_share_of_rises_in_wilder_averages():
    _, _, close = bars(60)
    change = np.diff(close)
    up, down = wilder(np.maximum(change, 0), 14), wilder(np.maximum(-change, 0), 14)
    np.testing.assert_allclose(indicators.rsi(close, 14)[14:], 100 * up / (up + down), rtol=1e-12)


def test_atr_is_the_wilder_average_of_true_ranges():
    high, low, close = bars(60)
    ranges = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    np.testing.assert_allclose(indicators.atr(high, low, close, 14)[14:], wilder(ranges, 14), rtol=1e-12)


def test_macd_is_two_averages_less_their_own_average():
    _, _, close = bars(60)

    def average(values, n, start):
        out = [values[start - n + 1 : start + 1].mean()]
        for x in values[start + 1 :]:
            out.append(out[-1] + (x - out[-1]) * 2 / (n + 1))
        return np.array(out)

    # The fast average begins where the slow one does.
    line = average(close, 4, 8) - average(close, 9, 8)
    expected = line[2:] - average(line, 3, 2)
    np.testing.assert_allclose(indicators.macd(close, 4, 9, 3)[10:], expected, rtol=1e-10, atol=1e-12)


def test_bollinger_counts_deviations_of_a_population_and_knows_none_where_prices_stand():
    assert indicators.bollinger([1.0, 2.0, 3.0, 6.0], 4)[3] == pytest.approx(3 / np.sqrt(3.5))
    assert np.isnan(indicators.bollinger([5.0] * 6, 3)).all()


def test_adx_is_high_in_a_straight_rise():
    close = np.linspace(100.0, 200.0, 80)
    np.testing.assert_allclose(indicators.adx(close + 0.5, close - 0.5, close, 14)[27:], 100.0)


@pytest.mark.parametrize("name", CALLS)
def test_warm_up_is_as_documented(name):
    out = CALLS[name](*bars(50))
    assert np.isnan(out[: WARM[name]]).all()
    assert np.isfinite(out[WARM[name] :]).all()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_series_shorter_than_the_warm_up_is_all_nan(name, rows):
    out = CALLS[name](*bars(rows))
    assert out.shape == (rows,)
    assert np.isnan(out).all()


@pytest.mark.parametrize("name", CALLS)
def test_leading_nan_only_shift_the_start(name):
    columns = bars(60)
    shifted = [np.concatenate((np.full(7, np.nan), column)) for column in columns]
    np.testing.assert_array_equal(CALLS[name](*shifted)[7:], CALLS[name](*columns))
    assert np.isnan(CALLS[name](*(np.full(30, np.nan) for _ in columns))).all()


@pytest.mark.parametrize("name", CALLS)
def test_an_indicator_of_a_prefix_is_bit_equal(name):
    columns = bars(300)
    whole = CALLS[name](*columns)
    for cut in np.random.default_rng(3).integers(1, 300, 40):
        np.testing.assert_array_equal(CALLS[name](*(column[:cut] for column in columns)), whole[:cut])


@pytest.mark.parametrize("name", CALLS)
def test_a_hole_is_refused_by_name_and_row(name):
    columns = [column.copy() for column in bars(60)]
    columns[2][33] = np.nan
    with pytest.raises(PolicyError, match=rf"{name}: row 33 is nan"):
        CALLS[name](*columns)


def test_columns_of_different_length_are_refused():
    with pytest.raises(PolicyError, match="differ in length: 5, 5, 4"):
        indicators.atr(np.ones(5), np.ones(5), np.ones(4), 2)


@pytest.mark.parametrize("n", [1, 0, 2.0, None, True])
def test_an_impossible_period_is_refused(n):
    with pytest.raises(PolicyError, match="ema: n must be a whole number of bars >= 2"):
        indicators.ema(np.ones(9), n)
