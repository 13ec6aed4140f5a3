"""Tests of the best of many: against a naive twin, against arch, and their size on noise."""

import numpy as np
import pytest
from arch.bootstrap import SPA, StationaryBootstrap, StepM, optimal_block_length
from numpy.testing import assert_allclose

from tests.naive import superior as naive
from wfbt.errors import ConfigError
from wfbt.ledger.blocks import block_length, optimal_blocks
from wfbt.validation.superior import long_run_deviation, resampled_means, stepwise, superior


def seed(*words: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(list(words))


def noise(length: int = 300, count: int = 8, number: int = 0) -> np.ndarray:
    """Worthless candidates of one kind, unequally bold, each day leaning a little on the day before."""
    rng = np.random.default_rng(number)
    shocks = rng.normal(0.0, 0.01, (length + 1, count)) + rng.normal(0.0, 0.005, (length + 1, 1))
    return (shocks[1:] + 0.2 * shocks[:-1]) * np.linspace(0.5, 3.0, count)


def edge(length: int = 300, count: int = 8) -> np.ndarray:
    returns = noise(length, count)
    returns[:, 2] += 0.004
    return returns


@pytest.mark.parametrize("returns", [noise(60, 4), edge(60, 4), noise(60, 4) - 0.002], ids=["noise", "edge", "poor"])
@pytest.mark.parametrize("block", [1, 5])
def test_every_p_value_is_that_of_the_definition(returns, block):
    found = superior(returns, None, seed(3), resamples=99, block=block)
    counts = naive.tests(returns, block, 99, np.random.default_rng(seed(3)))
    assert [round(100 * p) - 1 for p in (found.lower, found.p, found.upper, found.reality_check)] == counts
    assert_allclose(long_run_deviation(returns, block), naive.long_run_deviation(returns, block), rtol=1e-10)


def test_the_resamples_are_those_of_arch_on_the_same_draws():
    returns = noise(200, 3)
    theirs = [
        data[0].mean(axis=0)
        for (data, _) in StationaryBootstrap(4, returns, seed=np.random.default_rng(seed(1))).bootstrap(50)
    ]
    assert_allclose(resampled_means(returns, 4, 50, seed(1)), theirs, rtol=0, atol=1e-16)


@pytest.mark.parametrize("returns", [noise(), edge()], ids=["noise", "edge"])
def test_on_scaled_gains_arch_finds_the_same(returns):
    """arch does not studentise, so it is given gains that already are."""
    found = superior(returns, None, seed(5), resamples=400, block=3)
    losses = -returns / long_run_deviation(returns, 3)
    theirs = SPA(np.zeros(300), losses, block_size=3, reps=400, seed=np.random.default_rng(seed(5)))
    theirs.compute()
    ours = [(p * 401 - 1) / 400 for p in (found.lower, found.p, found.upper)]
    assert_allclose(ours, theirs.pvalues.to_numpy(), atol=1e-12)
    white = SPA(np.zeros(300), -returns, block_size=3, reps=400, seed=np.random.default_rng(seed(5)))
    white.compute()
    assert (found.reality_check * 401 - 1) / 400 == pytest.approx(white.pvalues["upper"], abs=1e-12)
    step = StepM(np.zeros(300), losses, block_size=3, reps=400, seed=np.random.default_rng(seed(5)))
    step.compute()
    assert list(found.better) == step.superior_models


def test_an_edge_is_found_and_named_and_the_worthless_are_not():
    found = superior(edge(1000), None, seed(2))
    assert found.best == 2
    assert found.better == (2,)
    assert found.p < 0.01
    assert superior(noise(1000), None, seed(2)).better == ()


def test_the_step_goes_on_where_the_first_find_had_hidden_the_second():
    simulated = np.array([[1.0, 0.1, 0.1], [1.2, 0.2, 0.1], [0.9, 0.3, 0.1], [1.1, 0.2, 0.2]])
    mean = np.array([2.0, 0.5, 0.05])
    assert stepwise(mean[:2], simulated[:, :2], 0.25) == [0, 1]
    assert stepwise(mean, simulated, 0.25) == [0, 1]


def test_a_best_candidate_worse_than_the_benchmark_has_p_value_one():
    found = superior(noise() - 0.01, None, seed(1))
    assert (found.lower, found.p, found.upper, found.reality_check) == (1.0, 1.0, 1.0, 1.0)
    assert found.better == ()


def test_studentising_keeps_a_bold_loser_from_hiding_a_careful_winner():
    rng = np.random.default_rng(8)
    careful = rng.normal(0.0004, 0.002, (800, 1))
    bold = rng.normal(0.0, 0.08, (800, 6))
    found = superior(np.hstack([careful, bold]), None, seed(4))
    assert found.p < 0.01
    assert found.reality_check > 0.2


def test_the_benchmark_is_taken_off_every_candidate():
    returns, held = noise(), np.random.default_rng(9).normal(0.0, 0.02, 300)
    assert superior(returns + held[:, None], held, seed(1)).p == superior(returns, None, seed(1)).p


def test_a_candidate_that_is_the_benchmark_is_counted_and_left_out():
    returns = np.column_stack([np.zeros(300), edge(), np.zeros(300)])
    found = superior(returns, None, seed(2))
    assert (found.candidates, found.same, found.best) == (10, 2, 3)
    assert found.p == superior(edge(), None, seed(2)).p
    with pytest.raises(ConfigError, match="no candidate ever differs"):
        superior(np.zeros((300, 3)), None, seed(2))


def test_the_same_seed_gives_the_same_bits_and_another_another():
    one, two, other = (superior(noise(), None, seed(number)) for number in (1, 1, 2))
    assert one == two
    assert other.p != one.p


@pytest.mark.parametrize("length", [30, 31, 60, 250, 1000, 2500])
def test_the_blocks_are_those_of_arch(length):
    """Columns from swinging back to nearly a random walk, and with jumps."""
    rng = np.random.default_rng(length)
    columns = rng.normal(0.0, 1.0, (length, 60))
    columns[:, 40:] = rng.standard_t(3, (length, 20))
    for t in range(1, length):
        columns[t] += np.linspace(-0.9, 0.98, 60) * columns[t - 1]
    assert_allclose(optimal_blocks(columns), optimal_block_length(columns)["stationary"], rtol=1e-9)


def test_the_block_grows_with_autocorrelation():
    rng = np.random.default_rng(0)
    shocks = rng.normal(0.0, 1.0, (2000, 5))
    leaning = shocks.copy()
    for t in range(1, len(leaning)):
        leaning[t] += 0.5 * leaning[t - 1]
    # Politis and White for an AR(1) of 0.5: (2ρ/(1−ρ²))^⅔·n^⅓ = 15.3.
    assert 1 <= block_length(shocks) <= 4
    assert 9 <= block_length(leaning) <= 24


@pytest.mark.parametrize(
    ("returns", "benchmark", "message"),
    [
        (np.zeros(40), None, r"needs returns \(observations, candidates\)"),
        (np.zeros((20, 3)), None, "20 observations"),
        (noise(40, 2), np.zeros(39), "benchmark has"),
        (np.where(np.arange(40)[:, None] == 7, np.nan, noise(40, 2)), None, r"returns\[7, 0\]"),
    ],
)
def test_what_cannot_be_tested_is_refused(returns, benchmark, message):
    with pytest.raises(ConfigError, match=message):
        superior(returns, benchmark, seed(0))


@pytest.mark.slow
def test_on_noise_the_test_rejects_about_as_often_as_it_says():
    """400 histories of 10 worthless candidates: of p ≤ 10%, 10% are expected, with a deviation of 1.5%."""
    p = [superior(noise(250, 10, 1000 + i), None, seed(i), resamples=199).p for i in range(400)]
    assert 0.05 <= np.mean(np.array(p) <= 0.10) <= 0.16
    assert np.mean(np.array(p) <= 0.05) <= 0.10
