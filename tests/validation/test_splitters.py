"""Folds in scikit-learn's hands, and what unpurged labels do there."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from wfbt.errors import ConfigError
from wfbt.validation.folds import anchored, combinatorial_purged, purged, rolling
from wfbt.validation.splitters import Splitter, rows_in

N = 240
SPLITTERS = {
    "rolling": Splitter(rolling, count=4, train=100),
    "anchored": Splitter(anchored, count=4, train=100, embargo=5),
    "purged": Splitter(purged, folds=5, purge=3),
    "cpcv": Splitter(combinatorial_purged, groups=5, test_groups=2),
    "as many as fit": Splitter(rolling, count=None, train=100, test=30),
}


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(N, 3))
    return values, (values[:, 0] + rng.normal(size=N) > 0).astype(int)


@pytest.mark.parametrize("name", SPLITTERS)
def test_scikit_learn_scores_a_model_on_every_fold(sample, name):
    splitter = SPLITTERS[name]
    scores = cross_val_score(LogisticRegression(), *sample, cv=splitter)
    assert len(scores) == splitter.get_n_splits(sample[0])
    assert scores.mean() > 0.6


@pytest.mark.parametrize("name", SPLITTERS)
def test_what_is_split_are_the_rows_of_the_folds(sample, name):
    splitter = SPLITTERS[name]
    for (train, test), fold in zip(splitter.split(*sample), splitter.folds(sample[0]), strict=True):
        assert train.dtype == test.dtype == np.int64
        np.testing.assert_array_equal(train, rows_in(fold.train))
        np.testing.assert_array_equal(test, rows_in(fold.test))


def test_a_search_takes_a_splitter(sample):
    found = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=SPLITTERS["purged"]).fit(*sample)
    assert found.n_splits_ == 5


def test_the_number_of_splits_needs_data_only_where_it_depends_on_them():
    assert SPLITTERS["cpcv"].get_n_splits() == 10
    assert SPLITTERS["anchored"].get_n_splits() == 4
    with pytest.raises(ConfigError, match="needs X"):
        SPLITTERS["as many as fit"].get_n_splits()


def test_a_splitter_says_what_it_is():
    assert repr(SPLITTERS["purged"]) == "Splitter(purged, folds=5, purge=3)"


HORIZON = 20


def overlapping_noise(seed, n=1500):
    """Trailing means of noise, and whether the mean of the next `HORIZON` draws is positive: nothing can be known."""
    draws = np.random.default_rng(seed).normal(size=n + 2 * HORIZON)
    sums = np.convolve(draws, np.ones(HORIZON), "valid")
    features = np.column_stack([np.arange(n) / 10.0, sums[:n]])
    return features, (sums[HORIZON : HORIZON + n] > 0).astype(int), np.minimum(np.arange(n) + HORIZON - 1, n - 1)


@pytest.mark.slow
def test_noise_is_foreseen_where_labels_overlap_and_not_where_they_are_purged():
    shuffled, unguarded, guarded = [], [], []
    model = KNeighborsClassifier(5)
    for seed in range(10):
        features, labels, ends = overlapping_noise(seed)
        schemes = {
            "shuffled": (KFold(10, shuffle=True, random_state=seed), shuffled),
            # Blocks of 25 rows: hardly a test row lies further than a label's length from a train row.
            "unguarded": (Splitter(purged, folds=60), unguarded),
            "guarded": (Splitter(purged, folds=60, label_end=ends), guarded),
        }
        for splits, scores in schemes.values():
            scores.append(cross_val_score(model, features, labels, cv=splits).mean())
    doubt = 3 * np.std(guarded, ddof=1) / np.sqrt(len(guarded))
    assert abs(np.mean(guarded) - 0.5) < doubt < 0.06
    assert np.mean(unguarded) > 0.6
    assert np.mean(shuffled) > 0.8
