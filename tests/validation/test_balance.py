"""Borders moved until every test window holds its part of each label."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfbt.errors import ConfigError
from wfbt.validation.balance import balanced
from wfbt.validation.folds import anchored, purged, rolling


def judged(folds):
    return [fold.test[0] for fold in folds]


def unevenness(labels, borders):
    """Squared distance of each window's shares from those of all tested rows, by counting."""
    known = sorted(set(labels))
    everything = labels[borders[0] : borders[-1]]
    total = 0.0
    for a, b in itertools.pairwise(borders):
        inside = labels[a:b]
        total += sum((inside.count(one) / len(inside) - everything.count(one) / len(everything)) ** 2 for one in known)
    return total


def lacks(labels, borders):
    everything = set(labels[borders[0] : borders[-1]])
    return any(set(labels[a:b]) != everything for a, b in itertools.pairwise(borders))


@given(
    labels=st.lists(st.integers(0, 2), min_size=24, max_size=48),
    count=st.integers(2, 4),
    train=st.sampled_from([None, 8]),
)
def test_no_other_borders_within_reach_are_more_even(labels, count, train):
    n, first = len(labels), train or 0
    even = [first + (n - first) * i // count for i in range(count + 1)]
    reach = round(0.25 * (n - first) / count)
    choices = itertools.product(*[range(at - reach, at + reach + 1) for at in even[1:-1]])
    possible = [
        borders
        for inner in choices
        if max(abs(at - by) for at, by in zip(inner, even[1:-1], strict=True)) <= 0.25 * (n - first) / count + 0.5
        and not lacks(labels, borders := [first, *inner, n])
    ]
    if not possible:
        with pytest.raises(ConfigError, match="every label"):
            list(balanced(labels, count, train))
        return
    blocks = judged(balanced(labels, count, train))
    found = [blocks[0].start, *(block.stop for block in blocks)]
    assert unevenness(labels, found) == pytest.approx(min(unevenness(labels, one) for one in possible), abs=1e-12)


def test_a_window_that_would_hold_one_regime_alone_is_moved_to_hold_two():
    labels = np.repeat(["calm", "wild", "calm"], [110, 30, 60])
    assert judged(purged(200, 2)) == [slice(0, 100), slice(100, 200)]
    first, second = judged(balanced(labels, 2))
    assert first.stop == second.start
    assert 110 < first.stop <= 125


@pytest.mark.parametrize("whole", [False, True])
def test_labels_that_are_even_already_leave_the_folds_as_they_are(whole):
    labels = np.arange(240) % 3
    like = (anchored if whole else rolling)(240, 4, 60, purge=2, embargo=3)
    assert list(balanced(labels, 4, 60, purge=2, embargo=3, anchored=whole)) == list(like)
    assert list(balanced(labels, 4, purge=2)) == list(purged(240, 4, purge=2))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"labels": np.repeat([0, 1], 50), "count": 4}, "window 1 has none of 1"),
        ({"labels": np.arange(100) % 2, "count": 4, "slack": 0.5}, "slack must be .* was 0.5"),
        ({"labels": np.r_[np.nan, np.ones(99)], "count": 4}, "row 0 has none"),
        ({"labels": np.ones((10, 2)), "count": 4}, "one label for each row"),
        ({"labels": np.arange(100) % 2, "count": 1}, "count must be at least 2"),
    ],
)
def test_what_cannot_be_balanced_is_refused(arguments, says):
    with pytest.raises(ConfigError, match=says):
        list(balanced(**arguments))
