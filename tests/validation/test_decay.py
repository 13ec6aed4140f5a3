"""Half-lives of signals whose half-life is known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from wfbt.validation.decay import Signal, decay_curve, half_lives

LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)


def fading(half_life, strength=0.3, rows=30_000, seed=0):
    """An AR(1) signal, and returns of which it knows `strength` for the next bar."""
    rng = np.random.default_rng(seed)
    phi = 0.5 ** (1 / half_life)
    noise = rng.standard_normal(rows)
    value = np.empty(rows)
    value[0] = noise[0]
    for t in range(1, rows):
        value[t] = phi * value[t - 1] + np.sqrt(1 - phi**2) * noise[t]
    returns = np.zeros(rows)
    returns[1:] = 0.001 * (strength * value[:-1] + np.sqrt(1 - strength**2) * rng.standard_normal(rows - 1))
    return Signal(value=value, close=100 * np.exp(np.cumsum(returns)))


def curve(*signals, resamples=200, seed=1):
    return decay_curve(signals, LAGS, resamples, np.random.SeedSequence(seed))


@pytest.mark.parametrize("half_life", [3.0, 8.0])
def test_the_interval_holds_the_half_life_of_a_signal_that_fades(half_life):
    found = curve(fading(half_life))
    assert found.half_life == pytest.approx(half_life, rel=0.3)
    assert found.low <= half_life <= found.high
    assert found.p <= 0.05


def test_the_coefficients_are_rank_correlations_with_single_bars():
    one = fading(5.0, rows=3000)
    found = curve(one)
    returns = one.close[1:] / one.close[:-1] - 1
    for k, lag in enumerate(LAGS):
        expected = spearmanr(one.value[: len(one.value) - lag], returns[lag - 1 :]).statistic
        assert found.ic[k] == pytest.approx(expected, abs=1e-12)


def test_a_signal_that_knows_nothing_has_no_half_life_but_a_reason():
    found = [curve(fading(5.0, strength=0.0, rows=4000, seed=seed)) for seed in range(20)]
    told = [one for one in found if one.half_life is not None]
    assert len(told) <= 4  # 5 % of them are allowed to
    assert all("cannot be told from chance" in one.why_not for one in found if one.half_life is None and one.p > 0.05)


def test_two_symbols_are_one_signal_with_less_error():
    alone, both = curve(fading(5.0)), curve(fading(5.0), fading(5.0, seed=9))
    assert both.n == 2 * alone.n
    assert both.error[0] < 0.85 * alone.error[0]


def test_an_exact_curve_gives_its_own_half_life():
    lags = np.array(LAGS)
    exact = 0.1 * 2.0 ** (-lags / 6.0)
    life, strength, _ = half_lives(exact[None, :], np.full(len(lags), 0.01), lags)
    assert life[0] == pytest.approx(6.0, rel=0.03)
    assert strength[0] == pytest.approx(0.1, rel=0.03)
    life, strength, gained = half_lives(-exact[None, :], np.full(len(lags), 0.01), lags)
    assert strength[0] == 0.0 == gained[0]


def test_the_same_seed_gives_the_same_interval():
    one = fading(5.0, rows=4000)
    assert (curve(one).low, curve(one).high) == (curve(one).low, curve(one).high)
    assert not np.array_equal(curve(one).error, curve(one, seed=2).error)
