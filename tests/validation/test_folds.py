"""Folds: what is tested lies after what is learnt from, and nothing is tested twice."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfbt.errors import ConfigError
from wfbt.validation.folds import anchored, over_time, rolling

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def test_rolling_folds_by_hand():
    first, second = rolling(100, 2, 40, purge=2, embargo=3)
    assert (first.train, first.test) == ((slice(0, 35),), (slice(40, 70),))
    assert (second.train, second.test) == ((slice(30, 65),), (slice(70, 100),))
    assert (first.purge, first.embargo) == (2, 3)


def test_anchored_folds_learn_from_the_beginning():
    first, second = anchored(100, 2, 40)
    assert first.train == (slice(0, 40),)
    assert second.train == (slice(0, 70),)


def test_folds_by_length_take_as_many_as_fit():
    folds = list(rolling(100, None, 40, test=25))
    assert [fold.test[0] for fold in folds] == [slice(40, 65), slice(65, 90)]


@given(
    n=st.integers(50, 2_000),
    count=st.integers(1, 20),
    train=st.integers(20, 40),
    purge=st.integers(0, 9),
    embargo=st.integers(0, 9),
    whole=st.booleans(),
)
def test_tests_tile_what_follows_train_and_never_touch_it(n, count, train, purge, embargo, whole):
    if n - train < count:
        return
    folds = list((anchored if whole else rolling)(n, count, train, purge=purge, embargo=embargo))
    assert len(folds) == count
    assert folds[0].test[0].start == train
    assert folds[-1].test[0].stop == n
    for fold, following in itertools.pairwise(folds):
        assert fold.test[0].stop == following.test[0].start
    for fold in folds:
        assert fold.test[0].start - fold.train[0].stop == purge + embargo
        assert fold.train[0].start == (0 if whole else fold.test[0].start - train)
    sizes = [fold.test[0].stop - fold.test[0].start for fold in folds]
    assert max(sizes) - min(sizes) <= 1


def test_lengths_in_time_are_not_moved_by_weekends():
    hours = np.arange(0, 120 * 24) * HOUR
    weekday = (hours // DAY + 3) % 7
    open_ts = hours[weekday < 5]
    folds = over_time(open_ts, int(hours[-1] + HOUR), 4, 60 * DAY, embargo=DAY)
    for i, fold in enumerate(folds):
        border = open_ts[0] + 60 * DAY + i * (hours[-1] + HOUR - open_ts[0] - 60 * DAY) // 4
        rows = fold.test[0]
        assert open_ts[rows.start] >= border
        assert open_ts[rows.start - 1] < border
        assert open_ts[fold.train[0].stop - 1] < border - DAY
        assert open_ts[fold.train[0].start] >= border - 60 * DAY


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"n": 100, "count": 80, "train": 40}, "no bar at all"),
        ({"n": 100, "count": 2, "train": 100}, "leaves nothing to test"),
        ({"n": 100, "count": 2, "train": 10, "embargo": 10}, "nothing would be left"),
        ({"n": 100, "count": 5, "train": 40, "test": 20}, "do not fit"),
        ({"n": 100, "count": None, "train": 40}, "give count"),
        ({"n": 100, "count": 2, "train": 40, "purge": -1}, ">= 0"),
        ({"n": 0, "count": 2, "train": 40}, "no rows"),
    ],
)
def test_folds_that_cannot_be_are_refused(arguments, says):
    with pytest.raises(ConfigError, match=says):
        list(rolling(**arguments))


def test_a_scheme_that_is_not_walked_is_refused():
    with pytest.raises(ConfigError, match="cpcv"):
        over_time(np.arange(10) * HOUR, 10 * HOUR, 2, 4 * HOUR, scheme="cpcv")
