"""VaR and expected shortfall."""

from math import ceil

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from wfbt.errors import ConfigError
from wfbt.risk.tail import (
    cornish_fisher_tail,
    filtered_tail,
    historical_tail,
    normal_tail,
    pareto_tail,
    student_tail,
)

LEVELS = st.sampled_from([0.9, 0.95, 0.975, 0.99])


@given(st.lists(st.floats(-0.2, 0.2), min_size=100, max_size=150), LEVELS)
def test_the_historical_var_is_an_order_statistic_and_es_the_integral_of_the_quantile(returns, level):
    tail = historical_tail(returns, level)
    losses, n = sorted(-r for r in returns), len(returns)
    assert tail.var == losses[ceil(round(n * level, 9)) - 1] or tail.var == losses[ceil(round(n * level, 9)) % n]
    # 1/(1 − a)·∫ of the empirical quantile over (a, 1).
    edges = np.clip(np.arange(n + 1) / n, level, 1.0)
    assert tail.es == pytest.approx(float(np.diff(edges) @ losses) / (1 - level), abs=1e-12)
    assert tail.es >= tail.var


@given(st.lists(st.floats(-0.2, 0.2), min_size=100, max_size=150), LEVELS, st.floats(0.1, 5), st.floats(-0.1, 0.1))
def test_historical_risk_scales_and_shifts_with_returns(returns, level, scale, shift):
    base, moved = historical_tail(returns, level), historical_tail(np.array(returns) * scale + shift, level)
    assert moved.var == pytest.approx(base.var * scale - shift, abs=1e-12)
    assert moved.es == pytest.approx(base.es * scale - shift, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), LEVELS)
def test_expected_shortfall_is_subadditive(seed, level):
    one, two = np.random.default_rng(seed).standard_t(3, (2, 300)) * 0.01
    together = historical_tail(one + two, level).es
    assert together <= historical_tail(one, level).es + historical_tail(two, level).es + 1e-12


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_parametric_es_is_the_integral_of_the_quantile(level):
    for tail, law in (
        (normal_tail(level, 0.001, 0.02), stats.norm(-0.001, 0.02)),
        (student_tail(level, 3.5, 0.001), stats.t(3.5, -0.001)),
        (student_tail(level, 5, 0.001, 0.02), stats.t(5, -0.001, 0.02 * 0.6**0.5)),
    ):
        assert tail.var == pytest.approx(law.ppf(level))
        area, _ = integrate.quad(lambda u, law=law: law.isf(u), 0, 1 - level)
        assert tail.es == pytest.approx(area / (1 - level), rel=1e-6)


def test_a_cauchy_has_no_expected_shortfall():
    tail = student_tail(0.95, 1.0)
    assert tail.es is None and "no mean" in tail.reason and tail.var == pytest.approx(stats.cauchy.ppf(0.95))


def test_too_few_returns_give_a_reason_and_no_number():
    returns = np.linspace(-0.1, 0.1, 99)
    for tail, needed in (
        (historical_tail(returns[:29], 0.95), "30"),
        (historical_tail(returns, 0.99), "100"),
        (cornish_fisher_tail(returns, 0.95), "100"),
        (pareto_tail(returns, 0.95), "200"),
        (filtered_tail(returns[:20], np.ones(20), 1.0, 0.95), "30"),
    ):
        assert tail.var is None and tail.es is None and needed in tail.reason


def test_cornish_fisher_of_normal_returns_is_nearly_normal():
    quantiles = stats.norm.ppf((np.arange(5000) + 0.5) / 5000) * 0.01
    tail = cornish_fisher_tail(quantiles, 0.99)
    exact = normal_tail(0.99, 0.0, 0.01)
    assert (tail.var, tail.es) == pytest.approx((exact.var, exact.es), rel=0.01)


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_cornish_fisher_is_the_published_expansion_and_its_es_the_integral_of_it(level):
    losses = (stats.gamma(40).rvs(4000, random_state=4) - 40) * 0.001
    tail = cornish_fisher_tail(-losses, level)
    mean, sigma, s = losses.mean(), losses.std(ddof=1), stats.skew(losses)
    k = stats.kurtosis(losses)

    def quantile(p):
        z = stats.norm.ppf(p)
        bent = z + (z * z - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s * s / 36
        return mean + sigma * bent

    assert tail.var == pytest.approx(quantile(level))
    area, _ = integrate.quad(quantile, level, 1 - 1e-12, limit=200)
    assert tail.es == pytest.approx(area / (1 - level), rel=1e-5)


def test_cornish_fisher_refuses_moments_for_which_it_is_no_quantile():
    returns = np.append(np.random.default_rng(2).normal(0, 0.01, 400), [-0.15])
    tail = cornish_fisher_tail(returns, 0.99)
    assert tail.var is None and "domain" in tail.reason and tail.parameters["skew"] > 3
    flat = cornish_fisher_tail(np.zeros(200), 0.95)
    assert flat.var is None and "vary" in flat.reason


@pytest.mark.parametrize("nu", [3, 5])
def test_the_pareto_tail_finds_the_risk_of_a_t(nu):
    tail, exact = pareto_tail(np.random.default_rng(1).standard_t(nu, 40_000), 0.995), student_tail(0.995, nu)
    assert tail.var == pytest.approx(exact.var, rel=0.05)
    assert tail.es == pytest.approx(exact.es, rel=0.1)
    assert tail.parameters["excesses"] == 4000


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3, 0.6])
def test_the_pareto_tail_finds_the_shape_of_a_pareto_law(shape):
    losses = stats.genpareto(shape).rvs(40_000, random_state=5)
    tail = pareto_tail(-losses, 0.99)
    assert tail.parameters["shape"] == pytest.approx(shape, abs=4 * (1 + shape) / 4000**0.5)  # four standard errors
    assert tail.var == pytest.approx(stats.genpareto(shape).ppf(0.99), rel=0.05)


def test_the_pareto_tail_is_mcneil_frey_and_embrechts_formula():
    rng = np.random.default_rng(3)
    tail = pareto_tail(-rng.pareto(3.0, 2000) * 0.01, 0.99)
    u, k, xi, beta = (tail.parameters[name] for name in ("threshold", "excesses", "shape", "scale"))
    assert k == 200
    assert tail.var == pytest.approx(u + beta / xi * ((2000 / k * 0.01) ** -xi - 1))
    area, _ = integrate.quad(lambda q: u + stats.genpareto(xi, 0, beta).isf(q * 2000 / k), 0, 0.01)
    assert tail.es == pytest.approx(area / 0.01, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-4, 0.01, 100.0]))
def test_the_pareto_tail_scales_and_its_es_is_beyond_its_var(seed, scale):
    returns = np.random.default_rng(seed).standard_t(4, 500)
    base, scaled = pareto_tail(returns, 0.99), pareto_tail(returns * scale, 0.99)
    # The tail of some samples ends at a point, where a maximum of the likelihood has no standard error.
    assume(base.var is not None and scaled.var is not None)
    assert scaled.var == pytest.approx(base.var * scale, rel=1e-3)
    assert base.es is None or base.es > base.var
    assert base.var >= base.parameters["threshold"]


def test_a_tail_without_mean_has_no_expected_shortfall_and_one_without_spread_no_fit():
    wild = pareto_tail(-np.random.default_rng(6).pareto(0.6, 5000), 0.99)
    assert wild.var > 0 and wild.es is None and "no mean" in wild.reason
    flat = pareto_tail(np.zeros(500), 0.99)
    assert flat.var is None and flat.reason
    inside = pareto_tail(np.random.default_rng(7).normal(0, 1, 1000), 0.5)
    assert inside.var is None and "threshold" in inside.reason


def test_the_filtered_tail_follows_the_forecast():
    rng = np.random.default_rng(9)
    sigma = np.where(np.arange(2000) < 1000, 0.005, 0.02)
    returns = rng.standard_normal(2000) * sigma
    calm, wild = filtered_tail(returns, sigma, 0.005, 0.95), filtered_tail(returns, sigma, 0.02, 0.95)
    assert wild.var == pytest.approx(4 * calm.var) and wild.es == pytest.approx(4 * calm.es)
    assert calm.var == pytest.approx(normal_tail(0.95, 0.0, 0.005).var, rel=0.06)
    assert calm.var < 0.7 * historical_tail(returns, 0.95).var < wild.var


@pytest.mark.parametrize(
    "call",
    [
        lambda: historical_tail([0.0] * 50, 1.0),
        lambda: historical_tail([0.0] * 50, 0.05),
        lambda: historical_tail([float("nan")] * 50, 0.95),
        lambda: filtered_tail([0.0] * 50, [0.0] * 50, 1.0, 0.95),
        lambda: filtered_tail([0.0] * 50, [1.0] * 49, 1.0, 0.95),
        lambda: filtered_tail([0.0] * 50, [1.0] * 50, 0.0, 0.95),
        lambda: student_tail(0.95, 2.0, 0.0, 1.0),
        lambda: normal_tail(0.95, 0.0, -1.0),
    ],
)
def test_impossible_levels_and_inputs_are_refused(call):
    with pytest.raises(ConfigError):
        call()
