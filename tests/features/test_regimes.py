"""Regimes of a series: recovered where they are there, ordered, named, doubted, and filtered without a look ahead."""

import warnings

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM
from hypothesis import given, settings
from hypothesis import strategies as st

from wfbt.errors import ConfigError, DataError
from wfbt.features.regimes import Regimes
from wfbt.features.rolling import rolling_moments

SIGMA = {2: (0.005, 0.02), 3: (0.003, 0.01, 0.03)}
MEAN = {2: (0.001, -0.002), 3: (0.001, 0.0, -0.004)}


def simulated(count, rows=6000, stay=0.99, seed=0):
    """Returns that are normal in each of `count` states, calm first, and the states."""
    rng = np.random.default_rng(seed)
    move = np.full((count, count), (1 - stay) / (count - 1)) + np.eye(count) * (stay - (1 - stay) / (count - 1))
    state = np.zeros(rows, np.int64)
    for t in range(1, rows):
        state[t] = rng.choice(count, p=move[state[t - 1]])
    return np.array(MEAN[count])[state] + np.array(SIGMA[count])[state] * rng.normal(size=rows), state


@pytest.fixture(scope="module")
def two():
    return simulated(2)


@pytest.mark.parametrize("count", [2, 3])
def test_simulated_states_are_recovered_from_the_training_rows_of_another_path(count):
    train, _ = simulated(count, seed=1)
    test, state = simulated(count, seed=2)
    regimes = Regimes(count).fit(train)
    weight = regimes.filter(test)
    assert weight.shape == (len(test), count)
    assert np.mean(weight.argmax(axis=1) == state) > 0.9
    np.testing.assert_allclose(np.sqrt(regimes.fitted.variance[:, 0]), SIGMA[count], rtol=0.08)
    np.testing.assert_allclose(regimes.fitted.mean[:, 0], MEAN[count], atol=4 * max(SIGMA[count]) / np.sqrt(1500))
    np.testing.assert_allclose(np.diag(regimes.fitted.transition), 0.99, atol=0.01)
    assert regimes.fitted.converged
    assert regimes.doubts() == []


def test_states_are_named_from_calm_to_turbulent_or_from_bear_to_bull(two):
    x, _ = two
    by_variance, by_mean = Regimes(2).fit(x), Regimes(2, by="mean").fit(x)
    assert (by_variance.names, by_mean.names) == (("calm", "turbulent"), ("bear", "bull"))
    assert np.diff(by_variance.fitted.variance[:, 0]) > 0
    assert np.diff(by_mean.fitted.mean[:, 0]) > 0
    # The calm state of this series is the one that rises.
    np.testing.assert_allclose(by_variance.filter(x)[:, 0], by_mean.filter(x)[:, 1], atol=1e-9)
    assert Regimes(3).names == ("calm", "normal", "turbulent")
    assert Regimes(3, by="mean").names == ("bear", "sideways", "bull")


def test_the_same_seed_gives_the_same_bits_and_more_starts_no_worse_a_likelihood(two):
    x, _ = two
    first, again = Regimes(3, seed=4).fit(x), Regimes(3, seed=4).fit(x)
    np.testing.assert_array_equal(first.filter(x), again.filter(x))
    reached = [Regimes(3, seed=4, starts=starts).fit(x).fitted.history[-1] for starts in (1, 3, 6)]
    assert reached[0] <= reached[1] <= reached[2]


def test_blocks_are_chains_of_their_own(two):
    """Blocks in another order are the same blocks: nothing is carried from one into the next."""
    x, _ = two
    one = Regimes(2, starts=1).fit(x, [2000, 1500, 2500])
    other = Regimes(2, starts=1).fit(np.concatenate([x[3500:], x[:2000], x[2000:3500]]), [2500, 2000, 1500])
    np.testing.assert_allclose(one.fitted.transition, other.fitted.transition, rtol=1e-9)
    np.testing.assert_allclose(one.fitted.mean, other.fitted.mean, rtol=1e-9)
    joined = Regimes(2, starts=1).fit(x)
    assert not np.allclose(one.fitted.transition, joined.fitted.transition, atol=1e-6)


def test_missing_rows_at_the_head_of_a_block_are_left_out(two):
    x, _ = two
    gap = np.full(24, np.nan)
    padded = np.concatenate([gap, x[:3000], gap, x[3000:], gap])
    one = Regimes(2).fit(padded, [3024, 3024, 24])
    np.testing.assert_array_equal(one.fitted.mean, Regimes(2).fit(x, [3000, 3000]).fitted.mean)
    with pytest.raises(DataError, match="row 3024 of training is missing"):
        Regimes(2).fit(padded)


def test_nothing_is_known_before_the_first_row_and_a_hole_leaves_the_chain_to_itself(two):
    x, _ = two
    regimes = Regimes(2).fit(x)
    holed = x[:100].copy()
    holed[:10] = np.nan
    holed[50:52] = np.nan
    weight = regimes.filter(holed)
    assert np.isnan(weight[:10]).all()
    np.testing.assert_allclose(weight[10:].sum(axis=1), 1.0)
    np.testing.assert_allclose(weight[50], weight[49] @ regimes.fitted.transition, rtol=1e-12)
    assert np.isnan(regimes.filter(np.full(5, np.nan))).all()


@pytest.mark.parametrize("model", ["hmm", "kmeans"])
@settings(max_examples=25, deadline=None)
@given(cut=st.integers(1, 299), seed=st.integers(0, 2**32 - 1))
def test_a_row_is_labelled_by_the_rows_before_it_alone(model, cut, seed):
    rng = np.random.default_rng(seed)
    regimes = FITTED[model]
    x = rng.normal(0, 0.02, (300, 2))
    x[rng.random(300) < 0.02] = np.nan
    other = x.copy()
    other[cut:] = rng.normal(0, 100, (300 - cut, 2))
    whole = regimes.filter(x)
    np.testing.assert_array_equal(regimes.filter(x[:cut]), whole[:cut])
    np.testing.assert_array_equal(regimes.filter(other)[:cut], whole[:cut])


def with_volatility(x, rows=24):
    return np.stack([x, np.log(np.sqrt(rolling_moments(x**2, rows)[0]))], axis=1)[rows:]


FITTED = {model: Regimes(3, model=model).fit(with_volatility(simulated(3)[0])) for model in ("hmm", "kmeans")}


def test_clusters_are_hard_labels_of_single_rows():
    x, state = simulated(3, seed=5)
    weight = FITTED["kmeans"].filter(with_volatility(x))
    assert set(np.unique(weight)) == {0.0, 1.0}
    assert np.mean(weight.argmax(axis=1) == state[24:]) > 0.8
    assert (np.diff(FITTED["kmeans"].fitted.variance[:, 0]) > 0).all()
    assert FITTED["kmeans"].doubts() == []


def test_few_training_rows_are_doubted(two):
    x, _ = two
    assert Regimes(3).fit(x[:250]).doubts()[0] == "250 training rows are fewer than 100 for each state"


def test_a_state_of_few_rows_and_one_that_flickers_are_doubted(two):
    x, _ = two
    spiked = x.copy()
    spiked[::500] = 1.0
    assert any("of the training rows, less than 5%" in doubt for doubt in Regimes(3).fit(spiked).doubts())
    rng = np.random.default_rng(0)
    flicker = np.where(rng.random(4000) < 0.5, 0.05, -0.05) + rng.normal(0, 0.001, 4000)
    assert "bars on average, less than 3" in Regimes(2).fit(flicker).doubts()[0]


def test_a_state_that_shrinks_onto_equal_rows_is_doubted():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.01, 3000)
    x[1000:2000] = 0.0
    assert Regimes(2).fit(x).doubts() == ["a state has shrunk onto rows that are all alike"]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"states": 1}, "regimes.states must be 2, 3 or 4, was 1"),
        ({"by": "skew"}, "regimes.by must be variance or mean, was 'skew'"),
        ({"model": "gmm"}, "regimes.model must be hmm or kmeans, was 'gmm'"),
        ({"starts": 0}, "regimes.starts must be >= 1, was 0"),
    ],
)
def test_what_regimes_cannot_be_is_refused(options, rule):
    with pytest.raises(ConfigError, match=rule):
        Regimes(**options)


def test_what_cannot_be_learnt_from_is_refused(two):
    x, _ = two
    with pytest.raises(DataError, match="nothing is learnt of 3 states from 25 training rows"):
        Regimes(3).fit(x[:25])
    with pytest.raises(DataError, match="does not vary"):
        Regimes(2).fit(np.full(1000, 0.1))
    with pytest.raises(DataError, match="row 7 is infinite"):
        Regimes(2).fit(np.where(np.arange(1000) == 7, np.inf, x[:1000]))
    with pytest.raises(ConfigError, match="fit before filtering"):
        Regimes(2).filter(x)
    with pytest.raises(ConfigError, match="fitted on 1 observations a row, given 2"):
        Regimes(2).fit(x).filter(np.ones((5, 2)))
    with pytest.raises(ConfigError, match=r"blocks of \[10, 20\] rows are not the 6000 rows"):
        Regimes(2).fit(x, [10, 20])


@pytest.mark.slow
def test_on_noise_filtered_states_earn_nothing_where_decoded_ones_seem_to():
    """Long in the state of the highest mean, entered at the close that shows it.

    Parameters are from the past in all three; what is decoded over the whole test block has seen the block's end.
    """
    ratios: dict[str, list[float]] = {"filtered": [], "decoded": [], "smoothed": []}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        returns = 0.02 * rng.standard_t(5, 2000)
        x = rolling_moments(returns, 5)[0]
        regimes = Regimes(3, by="mean", seed=seed).fit(x[5:1000])
        theirs = GaussianHMM(3, covariance_type="diag")
        one = regimes.fitted
        theirs.startprob_, theirs.transmat_, theirs.means_ = one.start, one.transition, one.mean
        theirs.covars_, theirs.n_features = one.variance, 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            states = {
                "filtered": regimes.filter(x)[1000:].argmax(axis=1),
                "decoded": theirs.predict(x[1000:, None]),
                "smoothed": theirs.predict_proba(x[1000:, None]).argmax(axis=1),
            }
        for name, state in states.items():
            earned = np.where(state[:-1] == 2, returns[1001:], 0.0)
            ratios[name].append(earned.mean() / earned.std(ddof=1) * np.sqrt(365) if earned.any() else 0.0)
    mean = {name: np.mean(own) for name, own in ratios.items()}
    error = {name: np.std(own, ddof=1) / np.sqrt(len(own)) for name, own in ratios.items()}
    assert abs(mean["filtered"]) < 3 * error["filtered"]
    assert error["filtered"] < 0.15
    assert mean["decoded"] == pytest.approx(1.4, abs=0.3)
    assert mean["smoothed"] == pytest.approx(1.4, abs=0.3)
