"""The forward filter and the fit of a hidden chain against their twins, against hmmlearn and against themselves."""

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.naive.states import expectation_maximisation, filtered_by_paths
from wfbt.features.regimes import Chain
from wfbt.kernels import states


def chain(rng, count, columns):
    transition = rng.dirichlet(np.ones(count) * 2, count)
    return Chain(
        start=rng.dirichlet(np.ones(count)),
        transition=transition,
        mean=rng.normal(0, 1, (count, columns)),
        variance=rng.uniform(0.2, 2, (count, columns)),
        occupancy=np.full(count, 1 / count),
        history=np.zeros(1),
    )


def drawn(rng, one, rows):
    """Observations of a chain, and its states."""
    state = np.empty(rows, np.int64)
    for t in range(rows):
        state[t] = rng.choice(len(one.start), p=one.start if t == 0 else one.transition[state[t - 1]])
    return one.mean[state] + np.sqrt(one.variance[state]) * rng.normal(size=(rows, one.mean.shape[1])), state


def fitted(function, x, lengths, one, steps, floor=1e-4, gain=-np.inf):
    """What a fit makes of a chain's parameters."""
    start, transition, mean, variance = (np.array(a) for a in (one.start, one.transition, one.mean, one.variance))
    count, history, occupancy = len(start), np.empty(steps), np.empty(len(start))
    scratch = np.empty((len(x), count)), np.empty(len(x)), np.empty((len(x), count)), np.empty(len(x))
    lengths = np.array(lengths, np.int64)
    done = function(x, lengths, start, transition, mean, variance, occupancy, history, floor, gain, *scratch)
    return start, transition, mean, variance, occupancy, history[:done]


@pytest.mark.kernel
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("columns", [1, 2])
def test_the_filter_sums_over_every_path_that_the_states_may_have_taken(count, columns):
    rng = np.random.default_rng(count + 10 * columns)
    one = chain(rng, count, columns)
    x, _ = drawn(rng, one, 7)
    x[4, 0] = np.nan
    weight = one.filter(x)
    for t in range(len(x)):
        expected = filtered_by_paths(x[: t + 1].tolist(), one.start, one.transition, one.mean, one.variance)
        np.testing.assert_allclose(weight[t], expected, rtol=1e-12)


def test_the_filter_is_hmmlearns_last_row_of_every_prefix():
    rng = np.random.default_rng(1)
    one = chain(rng, 3, 2)
    x, _ = drawn(rng, one, 120)
    theirs = GaussianHMM(3, covariance_type="diag")
    theirs.startprob_, theirs.transmat_, theirs.means_ = one.start, one.transition, one.mean
    theirs.covars_, theirs.n_features = one.variance, 2
    expected = np.array([theirs.predict_proba(x[: t + 1])[-1] for t in range(len(x))])
    np.testing.assert_allclose(one.filter(x), expected, rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(1, 3), st.floats(0.0, 0.3), st.data())
def test_no_row_after_a_cut_changes_a_probability_before_it(seed, count, columns, holes, data):
    rng = np.random.default_rng(seed)
    one = chain(rng, count, columns)
    x, _ = drawn(rng, one, 60)
    x[rng.random(len(x)) < holes] = np.nan
    cut = data.draw(st.integers(1, len(x)))
    altered = x.copy()
    altered[cut:] = 1e6 * rng.normal(size=altered[cut:].shape)
    whole = one.filter(x)
    np.testing.assert_array_equal(one.filter(x[:cut]), whole[:cut])
    np.testing.assert_array_equal(one.filter(altered)[:cut], whole[:cut])
    np.testing.assert_allclose(whole.sum(axis=1), 1.0, rtol=1e-12)


def test_an_observation_that_no_state_explains_leaves_probabilities():
    one = chain(np.random.default_rng(2), 2, 1)
    weight = one.filter(np.array([[0.0], [1e9], [-1e200], [0.0]]))
    assert np.isfinite(weight).all()


@pytest.mark.kernel
def test_a_state_that_cannot_be_reached_stays_impossible_however_well_it_fits():
    one = Chain(
        start=np.array([1.0, 0.0]),
        transition=np.eye(2),
        mean=np.array([[0.0], [1000.0]]),
        variance=np.ones((2, 1)),
        occupancy=np.array([1.0, 0.0]),
        history=np.zeros(1),
    )
    np.testing.assert_array_equal(one.filter(np.full((5, 1), 1000.0)), np.tile([1.0, 0.0], (5, 1)))


@pytest.mark.kernel
@pytest.mark.parametrize("lengths", [[60], [25, 35], [1, 30, 29]])
def test_each_step_of_a_fit_is_the_textbooks(lengths):
    rng = np.random.default_rng(len(lengths))
    one = chain(rng, 3, 2)
    x, _ = drawn(rng, one, 60)
    ours = fitted(states.fit_chain, x, lengths, one, 5)
    theirs = expectation_maximisation(x, lengths, one.start, one.transition, one.mean, one.variance, 1e-4, 5)
    for got, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.kernel
def test_a_fit_interpreted_is_the_fit_compiled():
    rng = np.random.default_rng(5)
    one = chain(rng, 2, 2)
    x, _ = drawn(rng, one, 40)
    plain = getattr(states.fit_chain, "py_func", states.fit_chain)
    for got, expected in zip(
        fitted(plain, x, [15, 25], one, 4), fitted(states.fit_chain, x, [15, 25], one, 4), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(1, 2))
def test_no_step_of_a_fit_lowers_the_likelihood(seed, count, columns):
    rng = np.random.default_rng(seed)
    one = chain(rng, count, columns)
    x, _ = drawn(rng, one, 200)
    x[rng.random(len(x)) < 0.1] = 0.25  # rows that are alike, for a variance to shrink onto
    *_, variance, occupancy, history = fitted(states.fit_chain, x, [80, 120], one, 40, floor=1e-3)
    assert (np.diff(history) >= -1e-9 * np.abs(history[1:])).all()
    assert (variance >= 1e-3).all()
    assert occupancy.sum() == pytest.approx(1.0, rel=1e-12)


def test_a_fit_reaches_the_likelihood_of_hmmlearn_without_its_priors():
    rng = np.random.default_rng(8)
    truth = Chain(
        start=np.array([0.5, 0.5]),
        transition=np.array([[0.97, 0.03], [0.05, 0.95]]),
        mean=np.array([[0.1, -1.0], [-0.1, 1.0]]),
        variance=np.array([[0.5, 0.3], [2.0, 0.4]]),
        occupancy=np.full(2, 0.5),
        history=np.zeros(1),
    )
    x, _ = drawn(rng, truth, 1500)
    ours = fitted(states.fit_chain, x, [700, 800], truth, 300, gain=1e-9)
    theirs = GaussianHMM(
        2, covariance_type="diag", n_iter=300, tol=1e-9, init_params="", covars_prior=0.0, covars_weight=0.0
    )
    theirs.startprob_, theirs.transmat_, theirs.means_ = truth.start, truth.transition, truth.mean
    theirs.covars_ = truth.variance
    theirs.fit(x, lengths=[700, 800])
    assert ours[-1][-1] == pytest.approx(theirs.score(x, lengths=[700, 800]), abs=1e-3)
    np.testing.assert_allclose(ours[2], theirs.means_, atol=1e-4)
    np.testing.assert_allclose(ours[1], theirs.transmat_, atol=1e-4)
