"""Each level is the one below it where its own freedom is taken away, and each says what it cannot be."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from tests.risk.histories import SEED, garch, history
from wfbt.errors import ConfigError
from wfbt.risk.copula import fit_copula, log_likelihood
from wfbt.risk.levels import long_run
from wfbt.risk.monte_carlo import (
    LEVELS,
    Brownian,
    CorrelatedGarch,
    FilteredGarch,
    LabelledHistory,
    RegimeSwitching,
    bootstrap,
    log_returns,
    simulate,
)


def drawn(model, paths=40, steps=100, first=0):
    return log_returns(model, first=first, paths=paths, steps=steps, seed=SEED)


def alike(one, other):
    """Terminal returns, largest steps and depths of two levels cannot be told apart."""
    for of in (lambda r: r.sum(axis=1), lambda r: r.min(axis=1), lambda r: np.abs(r).mean(axis=1)):
        for a in range(one.shape[2]):
            assert stats.ks_2samp(of(one[:, :, a]), of(other[:, :, a])).pvalue > 1e-3


def test_there_are_five_levels_in_order():
    assert list(LEVELS) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("assets", [1, 3])
def test_equal_regimes_are_brownian_motion_step_for_step(assets):
    one = Brownian.fit(history(assets))
    two = RegimeSwitching(
        symbols=one.symbols,
        start=[0.3, 0.7],
        transition=[[0.9, 0.1], [0.5, 0.5]],
        mean=np.stack([one.mean] * 2),
        covariance=np.stack([one.covariance] * 2),
    )
    assert np.array_equal(drawn(one), drawn(two))


def test_variance_that_never_changes_under_normal_residuals_is_brownian_motion_step_for_step():
    one = Brownian(symbols=("S0",), mean=[0.0005], covariance=[[1e-4]])
    three = garch(residuals=np.empty((0, 1)), alpha=0.0, gamma=0.0, beta=0.0)
    assert_allclose(drawn(three), drawn(one), rtol=1e-12)


def test_one_symbol_with_a_copula_is_the_same_symbol_without():
    three = garch()
    four = CorrelatedGarch.fit(three)
    assert four.loadings.shape == (1, 0) and four.nu == inf
    alike(drawn(three, 4000), drawn(four, 4000, first=10_000))
    heavy = CorrelatedGarch(margins=three, loadings=np.zeros((1, 0)), nu=3.0)
    alike(drawn(three, 4000), drawn(heavy, 4000, first=20_000))


def test_without_labels_the_fifth_is_the_plain_bootstrap_of_rows():
    past = history()
    five = LabelledHistory.fit(past, block=7)
    simple = np.expm1(past.returns[:, 0])
    found = simulate(five, steps=200, paths=300, seed=SEED)
    expected = bootstrap(simple, steps=200, resamples=300, seed=SEED, block=7)
    assert_allclose(found.final, expected.final, rtol=1e-12)
    assert_allclose(found.depth, expected.depth, rtol=1e-9)


def test_labels_that_say_nothing_change_nothing():
    past = history(2)
    labels = np.random.default_rng(5).integers(0, 3, len(past.returns))
    plain, labelled = LabelledHistory.fit(past), LabelledHistory.fit(past, labels)
    alike(drawn(plain, 4000), drawn(labelled, 4000, first=10_000))


def test_the_fifth_draws_what_the_fourth_does_where_rows_are_independent():
    """No clustering, no labels: both draw rows of the same margins, joined as they were."""
    past = history(2)
    z = (past.returns - past.returns.mean(axis=0)) / past.returns.std(axis=0)
    still = garch(2, residuals=z, alpha=0.0, gamma=0.0, beta=0.0, variance=float(past.returns[:, 0].var()))
    five = LabelledHistory(
        symbols=past.symbols,
        returns=0.0005 + z * past.returns[:, 0].std(),
        labels=np.zeros(len(z), int),
        start=[1.0],
        transition=[[1.0]],
        block=1,
    )
    four, drawn_rows = drawn(CorrelatedGarch.fit(still), 4000), drawn(five, 4000, first=10_000)
    alike(four, drawn_rows)
    both = [stats.kendalltau(*one.reshape(-1, 2)[:40_000].T).statistic for one in (four, drawn_rows)]
    assert both[0] == pytest.approx(both[1], abs=0.03)


def test_labels_that_tell_make_the_paths_that_follow_them():
    """Calm and storm: what falls under a label is drawn under it alone."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(40) % 2, 25)
    past = history(1, rows=1000)
    five = LabelledHistory.fit(
        type(past)(
            symbols=past.symbols,
            close_ts=past.close_ts,
            returns=np.where(labels, 0.05, 0.005)[:, None] * rng.normal(size=(1000, 1)),
            read=past.read,
        ),
        labels,
        block=10,
    )
    key = SEED.generate_state(2, np.uint64)
    key.flags.writeable = False
    rows = five.rows(50, 200, 0, key)
    r = drawn(five, 50, 200)[:, :, 0]
    storm = labels[rows] == 1
    assert np.array_equal(r, five.returns[rows, 0])
    assert r[storm].std() / r[~storm].std() == pytest.approx(10, rel=0.1)
    assert np.mean(labels[rows[:, 1:]] == labels[rows[:, :-1]]) == pytest.approx(24 / 25, abs=0.01)


def test_a_brownian_fit_is_the_moments_of_its_rows():
    past = history(3)
    model = Brownian.fit(past)
    assert_allclose(model.covariance, np.cov(past.returns, rowvar=False), rtol=1e-12)
    assert_allclose(model.mean, past.returns.mean(axis=0))
    r = drawn(model, 2000, 50).reshape(-1, 3)
    assert_allclose(np.cov(r, rowvar=False), model.covariance, rtol=0.03)


def test_regimes_take_their_moments_from_the_rows_of_their_state():
    past = history(2)
    states = (np.arange(1500) // 100) % 2
    model = RegimeSwitching.fit(past, states, np.array([[0.99, 0.01], [0.02, 0.98]]))
    assert_allclose(model.mean[1], past.returns[states == 1].mean(axis=0))
    assert_allclose(model.covariance[0], np.cov(past.returns[states == 0], rowvar=False), rtol=1e-12)
    assert_allclose(model.start, [2 / 3, 1 / 3])
    assert [one.symbol for one in model.fits] == ["S0", "S1"] and model.fits[0].rows is past.read


def test_residuals_are_returns_over_the_deviation_foreseen():
    past = history()
    ahead = np.full((1500, 1), 4e-4)
    ahead[-1] = 9e-4
    params = {"mu": [0.001], "omega": [1e-5], "alpha": [0.1], "beta": [0.8]}
    model = FilteredGarch.fit(past, {name: np.array(value) for name, value in params.items()}, ahead)
    z = (past.returns[1:] - 0.001) / 0.02
    assert_allclose(model.residuals, (z - z.mean()) / z.std(), rtol=1e-12)
    assert model.variance[0] == 9e-4
    assert model.mean[0] == past.returns.mean()
    assert model.persistence[0] == pytest.approx(0.9)


def test_residuals_of_several_symbols_fall_together():
    """Whole rows are drawn, so the correlation of shocks is that of the residuals."""
    three = garch(2, alpha=0.0, gamma=0.0, beta=0.0)
    r = drawn(three, 400, 200).reshape(-1, 2)
    assert np.corrcoef(r.T)[0, 1] == pytest.approx(np.corrcoef(three.residuals.T)[0, 1], abs=0.02)


@pytest.mark.parametrize("tails", [3.0, 6.0])
def test_a_copula_finds_the_factor_and_the_tails_that_made_the_data(tails):
    found = fit_copula(history(6, rows=3000, tails=tails).returns)
    assert found.nu == pytest.approx(tails, rel=0.35)
    assert found.loadings.shape == (6, 1)
    assert_allclose(found.loadings, 0.8, atol=0.05)


def test_a_normal_copula_is_found_where_tails_are_independent():
    rng = np.random.default_rng(3)
    data = 0.8 * rng.normal(size=(3000, 1)) + 0.6 * rng.normal(size=(3000, 5))
    assert fit_copula(data).nu >= 30


@pytest.mark.parametrize("nu", [4.0, inf])
def test_the_likelihood_is_that_of_the_densities(nu):
    rng = np.random.default_rng(4)
    ranks = rng.uniform(size=(50, 2))
    correlation = np.array([[1.0, 0.5], [0.5, 1.0]])
    law = stats.norm() if nu == inf else stats.t(nu)
    joint = stats.multivariate_normal(cov=correlation) if nu == inf else stats.multivariate_t(shape=correlation, df=nu)
    x = law.ppf(ranks)
    expected = joint.logpdf(x).sum() - law.logpdf(x).sum()
    assert log_likelihood(ranks, correlation, nu) == pytest.approx(expected, rel=1e-10)


def test_extremes_come_together_under_a_t_copula_and_not_under_a_normal_one():
    """Of the worst 0.5% of steps of one symbol, how many are among the worst of the other."""
    shares = []
    for nu in (3.0, inf):
        four = CorrelatedGarch(margins=garch(2, alpha=0.0, gamma=0.0, beta=0.0), loadings=[[0.7], [0.7]], nu=nu)
        r = drawn(four, 1000, 200).reshape(-1, 2)
        worst = r <= np.quantile(r, 0.005, axis=0)
        shares.append(worst.all(axis=1).sum() / worst[:, 0].sum())
    lower_tail = 2 * stats.t(4).cdf(-np.sqrt(4 * (1 - 0.49) / (1 + 0.49)))  # λ of Demarta and McNeil (2005), ρ = 0.49
    assert shares[0] == pytest.approx(lower_tail, abs=0.06)
    assert shares[1] < 0.6 * shares[0]


def test_the_long_run_of_a_chain_is_what_it_returns_to():
    transition = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.5, 0.5]])
    share = long_run(transition)
    assert_allclose(share @ transition, share, atol=1e-14)
    with pytest.raises(ConfigError, match="never leaves some of its states"):
        long_run(np.eye(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Brownian(symbols=("X",), mean=[0.0, 1.0], covariance=[[1.0]]), r"mean must be of shape \(1,\)"),
        (
            lambda: Brownian(symbols=("X", "Y"), mean=[0.0, 0.0], covariance=[[1.0, 1.0], [1.0, 1.0]]),
            "positive definite",
        ),
        (
            lambda: RegimeSwitching(
                symbols=("X",), start=[1.0], transition=[[0.9]], mean=[[0.0]], covariance=[[[1.0]]]
            ),
            "transition: probabilities must be >= 0 and sum to 1",
        ),
        (lambda: replace(garch(), beta=np.array([1.0])), r"shocks to the variance never die \(persistence 1.0"),
        (lambda: garch(alpha=0.01, gamma=-0.5), "alpha \\+ gamma must be >= 0"),
        (lambda: CorrelatedGarch(margins=garch(), loadings=np.array([[1.1]]), nu=4.0), "sum to more than 1"),
        (lambda: CorrelatedGarch(margins=garch(), loadings=np.zeros((1, 0)), nu=2.0), "nu must be > 2"),
        (lambda: CorrelatedGarch.fit(garch(residuals=np.empty((0, 1)))), "fit level 3 on training rows"),
        (lambda: LabelledHistory.fit(history(), np.zeros(3)), "labels of shape"),
        (lambda: LabelledHistory.fit(history(), block=0), "block must be in 1 … 1500 rows, was 0"),
        (
            lambda: RegimeSwitching.fit(history(), np.r_[np.zeros(1499), 1], np.array([[0.9, 0.1], [0.5, 0.5]])),
            "state 1: 1 training rows are too few",
        ),
    ],
)
def test_what_cannot_be_simulated_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
