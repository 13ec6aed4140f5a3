"""Simulated paths against the closed forms of their models, within four standard errors.

A path is seen at the ends of its steps, so it misses some of what a continuous one does.  In units of a step's
deviation a barrier lies 0.5826 further out (Broadie, Glasserman and Kou 1997) and a drawdown, which has two ends, twice
that (Siegmund 1985).
"""

import json
from math import exp, log, pi, sin, sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from wfbt.ledger.blocks import block_length
from wfbt.risk.monte_carlo import (
    NEVER,
    Brownian,
    FilteredGarch,
    RegimeSwitching,
    bootstrap,
    log_returns,
    simulate,
)

CASES = {
    one["id"]: one
    for one in json.loads(Path(__file__).with_name("monte_carlo.json").read_text(encoding="utf-8"))["cases"]
}
FACTS = {
    one["id"]: one for one in json.loads(Path(__file__).with_name("risk.json").read_text(encoding="utf-8"))["facts"]
}
SHIFT = 0.5825971579390107
"""−ζ(1/2)/√(2π)."""
PATHS = 100_000
SEED = np.random.SeedSequence(2024)


def brownian(mu, sigma, dt):
    """Whose log has drift mu and volatility sigma in the units of dt."""
    return Brownian(symbols=("X",), mean=[mu * dt], covariance=[[sigma**2 * dt]])


def hits(mu, sigma, b, horizon):
    """P(a Brownian motion with drift touches −b)."""
    root = sigma * sqrt(horizon)
    rise = mu * horizon
    return norm.cdf((-b - rise) / root) + exp(-2 * mu * b / sigma**2) * norm.cdf((-b + rise) / root)


def falls(h, sigma, horizon):
    """P(the largest drawdown without drift is at least h); 2·Σ sin θ/θ is 1, and by itself hardly converges."""
    theta = [(n - 0.5) * pi for n in range(1, 200)]
    return 1 - 2 * sum(sin(t) / t * exp(-(sigma**2) * t**2 * horizon / (2 * h**2)) for t in theta)


def within(found, expected, error):
    assert abs(found - expected) < 4 * error, (found, expected, error)


def share(flags, expected):
    within(np.mean(flags), expected, sqrt(expected * (1 - expected) / len(flags)))


@pytest.mark.parametrize("name", ["bm_ruin_0.1_0.2_0.2_1", "bm_ruin_0_0.2_0.3_1"])
@pytest.mark.parametrize("steps", [50, 252, 1000])
def test_ruin_is_that_of_brownian_motion_however_often_it_is_seen(name, steps):
    case = CASES[name]
    mu, sigma, b, horizon = (case["inputs"][key] for key in ("mu", "sigma", "b", "T"))
    assert hits(mu, sigma, b, horizon) == pytest.approx(case["expected"], abs=case["tolerance"])
    dt = horizon / steps
    found = simulate(brownian(mu, sigma, dt), steps=steps, paths=PATHS, seed=SEED, ruin=1 - exp(-b))
    share(found.ruined, hits(mu, sigma, b + SHIFT * sigma * sqrt(dt), horizon))
    assert found.ruined.mean() < case["expected"]


def test_ruin_is_certain_only_as_far_as_the_drift_lets_it_be():
    case = CASES["bm_ruin_inf"]
    mu, sigma, b = (case["inputs"][key] for key in ("mu", "sigma", "b"))
    assert exp(-2 * mu * b / sigma**2) == pytest.approx(case["expected"], abs=case["tolerance"])
    dt, years = 1 / 100, 25
    found = simulate(brownian(mu, sigma, dt), steps=100 * years, paths=20_000, seed=SEED, ruin=1 - exp(-b))
    share(found.ruined, exp(-2 * mu * (b + SHIFT * sigma * sqrt(dt)) / sigma**2))


def test_half_of_a_geometric_motion_is_lost_as_often_as_published():
    case = CASES["gbm_ruin_50"]
    mu, sigma, loss, steps = (case["inputs"][key] for key in ("mu", "sigma", "d", "steps"))
    model = brownian(mu - sigma**2 / 2, sigma, 1 / steps)
    found = simulate(model, steps=steps, paths=PATHS, seed=SEED, ruin=loss)
    share(found.ruined, case["expected"]["discrete_daily"])
    # The continuous figure is out of reach: it would be another simulation.
    assert abs(found.ruined.mean() - case["expected"]["continuous"]) > 4 * sqrt(0.06 * 0.94 / PATHS)
    within(found.final.mean(), exp(mu), found.final.std() / sqrt(PATHS))


@pytest.mark.parametrize("name", ["ruin_disc_0.52_10", "ruin_disc_0.6_5"])
def test_resampled_bets_ruin_the_gambler_as_often_as_feller_says(name):
    """Days of one stake won or lost, drawn one by one; a barrier of whole stakes needs no correction."""
    case = FACTS[name]
    p, units = case["inputs"]["p"], case["inputs"]["k"]
    stake, wins = 0.01, round(100 * p)
    bets = np.expm1(np.repeat([stake, -stake], [wins, 100 - wins]))
    half_a_stake_early = 1.0 - exp(-(units - 0.5) * stake)
    found = bootstrap(bets, resamples=20_000, steps=8_000, seed=SEED, block=1, ruin=half_a_stake_early)
    share(found.ruined, case["expected"])


@pytest.mark.parametrize("name", ["kelly_ruin_0.5", "kelly_ruin_1"])
def test_wealth_at_a_multiple_of_kelly_is_halved_as_often_as_thorp_says(name):
    """Kelly's own size: the log drifts at c·m²·(1 − c/2) with volatility c·m, m the Sharpe ratio."""
    case = FACTS[name]
    multiple, wealth, sharpe = case["inputs"]["c"], case["inputs"]["x"], 1.0
    sigma = multiple * sharpe
    drift = multiple * sharpe**2 - sigma**2 / 2
    dt, years = 1 / 200, 40
    assert exp(-2 * drift * -log(wealth) / sigma**2) == pytest.approx(case["expected"], abs=case["tolerance"])
    found = simulate(brownian(drift, sigma, dt), steps=200 * years, paths=10_000, seed=SEED, ruin=1 - wealth)
    share(found.ruined, exp(-2 * drift * (-log(wealth) + SHIFT * sigma * sqrt(dt)) / sigma**2))


def test_twice_kelly_halves_everybody_in_the_end():
    """No drift is left, so the share that is spared falls like the root of time."""
    case = FACTS["kelly_ruin_2"]
    assert case["expected"] == 1.0
    b, sigma, dt, years = -log(case["inputs"]["x"]), 2.0, 1 / 50, 100
    found = simulate(brownian(0.0, sigma, dt), steps=50 * years, paths=10_000, seed=SEED, ruin=1 - case["inputs"]["x"])
    share(found.ruined, hits(0.0, sigma, b + SHIFT * sigma * sqrt(dt), years))
    assert found.ruined.mean() > 0.95


@pytest.fixture(scope="module")
def drifting():
    """Largest drawdowns without drift, on the log scale, of 1,000 steps a unit of time."""
    found = simulate(brownian(0.0, 1.0, 1e-3), steps=1000, paths=PATHS, seed=SEED, ruin=None)
    return -np.log1p(-found.depth)


def test_the_mean_of_the_largest_drawdown_is_that_of_magdon_ismail(drifting):
    case = CASES["emdd_zero_drift"]
    assert sqrt(pi / 2) == pytest.approx(case["expected"], abs=case["tolerance"])
    within(drifting.mean(), case["expected"] - 2 * SHIFT * sqrt(1e-3), drifting.std() / sqrt(PATHS))


@pytest.mark.parametrize("name", ["pmdd0_0.8", "pmdd0_1.0", "pmdd0_2.0"])
def test_the_distribution_of_the_largest_drawdown_is_that_of_magdon_ismail(drifting, name):
    case = CASES[name]
    h = case["inputs"]["h"]
    assert falls(h, 1.0, 1.0) == pytest.approx(case["expected"], abs=case["tolerance"])
    assert case["expected"] - case["cut"] == pytest.approx(1 / (2000 * pi), rel=1e-3)
    share(drifting >= h, falls(h + 2 * SHIFT * sqrt(1e-3), 1.0, 1.0))


def test_the_first_drawdown_comes_when_taylor_says():
    case = CASES["edd_time"]
    mu, sigma, depth = (case["inputs"][key] for key in ("mu", "sigma", "D"))

    def mean_time(d):
        k = 2 * mu * d / sigma**2
        return (exp(k) - 1 - k) * sigma**2 / (2 * mu**2)

    assert mean_time(depth) == pytest.approx(case["expected"], abs=case["tolerance"])
    dt = 1 / 252
    model = brownian(mu, sigma, dt)
    found = simulate(model, steps=252 * 25, paths=10_000, seed=SEED, ruin=None, drawdown=1 - exp(-depth))
    assert (found.breached_at != NEVER).all()
    times = found.breached_at * dt
    within(times.mean(), mean_time(depth + 2 * SHIFT * sigma * sqrt(dt)), times.std() / 100)


def test_regimes_have_the_moments_of_their_mixture():
    """Var = Σ π(σ² + μ²) − (Σ πμ)², and neighbours lean on each other by how long a regime stays."""
    stay, mu, sigma = (0.95, 0.9), np.array([0.02, -0.03]), np.array([0.01, 0.03])
    transition = np.array([[stay[0], 1 - stay[0]], [1 - stay[1], stay[1]]])
    share_of = np.array([2 / 3, 1 / 3])
    model = RegimeSwitching(
        symbols=("X",), start=share_of, transition=transition, mean=mu[:, None], covariance=(sigma**2)[:, None, None]
    )
    r = log_returns(model, first=0, paths=4000, steps=252, seed=SEED)[:, :, 0]
    mean = share_of @ mu
    variance = share_of @ (sigma**2 + mu**2) - mean**2
    lean = share_of[0] * share_of[1] * (mu[0] - mu[1]) ** 2 * (stay[0] + stay[1] - 1)
    for each, expected in (
        (r, mean),
        ((r - mean) ** 2, variance),
        ((r[:, 1:] - mean) * (r[:, :-1] - mean), lean),
    ):
        rows = each.mean(axis=1)
        within(rows.mean(), expected, rows.std() / sqrt(len(rows)))


def garch(variance):
    given = CASES["garch_uncond"]["inputs"]
    terms = {name: [given[name]] for name in ("omega", "alpha", "beta")}
    return FilteredGarch(
        symbols=("X",), mean=[0.0], gamma=[0.0], variance=[variance], residuals=np.empty((0, 1)), **terms
    )


def test_garch_has_the_variance_and_kurtosis_of_bollerslev():
    expected = CASES["garch_uncond"]["expected"]
    r = log_returns(garch(1.0), first=0, paths=4000, steps=1500, seed=SEED)[:, 500:, 0]
    second, fourth = np.mean(r**2, axis=1), np.mean(r**4, axis=1)
    within(second.mean(), expected["var"], second.std() / sqrt(len(r)))
    within(fourth.mean(), expected["kurt"], fourth.std() / sqrt(len(r)))
    assert fourth.mean() > 3.4  # and a normal has 3


def test_half_of_a_shock_is_left_after_its_half_life():
    case = CASES["garch_halflife"]
    kept = case["inputs"]["ab"]
    assert log(0.5) / log(kept) == pytest.approx(case["expected"], abs=case["tolerance"])
    r = log_returns(garch(5.0), first=0, paths=PATHS, steps=28, seed=SEED)[:, :, 0]
    for step in (0, 7, 14, 27):
        square = r[:, step] ** 2
        within(square.mean(), 1 + 4 * kept**step, square.std() / sqrt(PATHS))


def leaning(rho, rows, number):
    rng = np.random.default_rng([int(10 * rho), number])
    noise = rng.normal(0, 0.01, rows + 100)
    out = np.zeros(rows + 100)
    for t in range(1, rows + 100):
        out[t] = rho * out[t - 1] + noise[t]
    return out[100:]


@pytest.mark.slow
def test_the_bootstrap_finds_the_error_of_a_mean_that_days_one_by_one_would_miss():
    """AR(1), ρ = 0.5: the error of the mean is σ/((1 − ρ)·√n); drawn one by one, days give √3 less."""
    n, blocks, singly = 1000, [], []
    for number in range(200):
        returns = leaning(0.5, n, number)
        seed = np.random.SeedSequence(number)
        blocks.append(bootstrap(returns, resamples=300, seed=seed).mean.std())
        singly.append(bootstrap(returns, resamples=300, seed=seed, block=1).mean.std())
    truth = 0.01 / 0.5 / sqrt(n)
    assert np.mean(blocks) == pytest.approx(truth, rel=0.12)
    assert np.mean(singly) == pytest.approx(truth / sqrt(3), rel=0.02)


@pytest.mark.parametrize("name", ["block_ar1_0.3_1000", "block_ar1_0.5_1000"])
def test_the_length_of_a_block_is_about_that_of_the_true_autocorrelation(name):
    case = CASES[name]
    rho, n = case["inputs"]["rho"], case["inputs"]["n"]
    assert (2 * rho / (1 - rho**2)) ** (2 / 3) * n ** (1 / 3) == pytest.approx(case["expected"]["b_sb"])
    found = [block_length(leaning(rho, n, number)[:, None]) for number in range(100)]
    assert np.median(found) == pytest.approx(case["expected"]["b_sb"], rel=0.25)
