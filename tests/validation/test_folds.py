"""Folds: what is learnt from shares no label with what is tested, and walk-forward lies wholly before it."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfbt.errors import ConfigError
from wfbt.validation.folds import anchored, combinatorial_purged, over_time, paths, purged, rolling
from wfbt.validation.splitters import rows_in

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


def test_a_scheme_nobody_knows_is_refused():
    with pytest.raises(ConfigError, match="kfold"):
        over_time(np.arange(10) * HOUR, 10 * HOUR, 2, 4 * HOUR, scheme="kfold")


# Learning from both sides


def overlaps(train, tests, label_end, purge, embargo):
    """Whether a train row may not be learnt from, by comparing its label window with every test row's."""
    reach = -1
    for test in tests:
        reach = max(reach, test + purge, label_end[test])
        if label_end[train] >= test - purge and train <= test + purge:
            return True
        if train <= label_end[test] and test <= label_end[train]:
            return True
    return reach < train <= reach + embargo


def naive(n, blocks, label_end, purge, embargo):
    """Train rows around test `blocks`, row by row."""
    return [
        row
        for row in range(n)
        if not any(overlaps(row, range(block.start, block.stop), label_end, purge, embargo) for block in blocks)
    ]


@st.composite
def labelled(draw, smallest=12, largest=60):
    n = draw(st.integers(smallest, largest))
    reaches = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    given = draw(st.booleans())
    return n, [row + reach for row, reach in enumerate(reaches)] if given else None


@given(
    data=labelled(),
    groups=st.integers(2, 6),
    out=st.integers(1, 3),
    purge=st.integers(0, 4),
    embargo=st.integers(0, 4),
)
def test_no_train_rows_label_meets_a_test_rows_whichever_side_it_lies(data, groups, out, purge, embargo):
    n, ends = data
    if out >= groups:
        return
    given_ends = None if ends is None else np.array(ends)
    plain = ends or list(range(n))
    schemes = [lambda: combinatorial_purged(n, groups, out, purge, embargo, given_ends)]
    schemes += [lambda: purged(n, groups, purge, embargo, given_ends)] if out == 1 else []
    blocks = [slice(n * i // groups, n * (i + 1) // groups) for i in range(groups)]
    for scheme in schemes:
        folds = scheme()
        for tested in itertools.combinations(blocks, out):
            learnt = naive(n, tested, plain, purge, embargo)
            if not learnt:
                with pytest.raises(ConfigError, match="learn from"):
                    next(folds)
                break
            fold = next(folds)
            assert fold.test == tested
            assert rows_in(fold.train).tolist() == learnt


@given(
    data=labelled(30, 60),
    count=st.integers(1, 4),
    train=st.integers(12, 20),
    purge=st.integers(0, 4),
    embargo=st.integers(0, 4),
    whole=st.booleans(),
)
def test_walk_forward_learns_from_each_row_whose_label_was_known_in_time(data, count, train, purge, embargo, whole):
    n, ends = data
    given_ends = None if ends is None else np.array(ends)
    plain = ends or list(range(n))
    folds = (anchored if whole else rolling)(n, count, train, None, purge, embargo, given_ends)
    for i in range(count):
        begin = train + (n - train) * i // count
        known = [row for row in range(0 if whole else begin - train, begin) if plain[row] < begin - purge - embargo]
        if not known:
            with pytest.raises(ConfigError, match="learn from"):
                next(folds)
            return
        fold = next(folds)
        assert rows_in(fold.train).tolist() == known
        assert fold.test[0].start == begin


def test_purged_folds_by_hand():
    first, second, third = purged(30, 3, purge=2, embargo=3)
    assert (first.train, first.test) == ((slice(15, 30),), (slice(0, 10),))
    assert (second.train, second.test) == ((slice(0, 8), slice(25, 30)), (slice(10, 20),))
    assert (third.train, third.test) == ((slice(0, 18),), (slice(20, 30),))
    assert [(fold.purge, fold.embargo) for fold in (first, second, third)] == [(2, 3), (2, 3), (2, 0)]


def test_a_label_that_reaches_over_the_border_takes_its_row_out_on_either_side():
    ends = np.arange(20)
    ends[3] = 11  # before the second block, known only inside it
    ends[14] = 17  # inside it, known only after it
    _, second, _, _ = purged(20, 4, label_end=ends)
    assert second.test == (slice(5, 10),)
    assert second.train == (slice(0, 3), slice(4, 5), slice(10, 20))
    *_, third, _ = purged(20, 4, label_end=ends)
    assert (third.test, third.train) == ((slice(10, 15),), (slice(0, 3), slice(4, 10), slice(18, 20)))


def test_a_fixed_label_horizon_and_a_purge_of_its_length_leave_the_same_rows():
    by_label = [fold.train for fold in purged(300, 5, embargo=7, label_end=np.arange(300) + 11)]
    assert by_label == [fold.train for fold in purged(300, 5, purge=11, embargo=7)]


def test_every_block_is_tested_once_by_purged_folds_and_the_blocks_tile_the_rows():
    blocks = [fold.test[0] for fold in purged(103, 7)]
    assert blocks[0].start == 0
    assert blocks[-1].stop == 103
    assert all(one.stop == other.start for one, other in itertools.pairwise(blocks))


@pytest.mark.parametrize("groups", range(2, 9))
@pytest.mark.parametrize("out", range(1, 5))
def test_each_path_covers_each_group_once_and_each_fold_lends_each_of_its_groups_once(groups, out):
    if out >= groups:
        return
    folds = list(combinatorial_purged(240, groups, out))
    assert len(folds) == math.comb(groups, out)
    routes = paths(folds)
    assert len(routes) == math.comb(groups - 1, out - 1)
    used = [(place, block.start) for route in routes for place, block in route]
    assert len(used) == len(set(used)) == len(folds) * out
    for route in routes:
        assert np.array_equal(rows_in(tuple(block for _, block in route)), np.arange(240))
        for place, block in route:
            assert block in folds[place].test


def test_schemes_that_test_each_block_once_have_one_path():
    for scheme in (rolling(100, 4, 40), anchored(100, 4, 40), purged(100, 4)):
        folds = list(scheme)
        assert paths(folds) == (tuple((place, fold.test[0]) for place, fold in enumerate(folds)),)


def test_paths_through_blocks_tested_unequally_often_are_refused():
    with pytest.raises(ConfigError, match="more often"):
        paths(list(combinatorial_purged(60, 4, 2))[:-1])


@pytest.mark.parametrize("scheme", ["purged", "cpcv"])
def test_folds_over_even_time_are_those_over_rows(scheme):
    open_ts = np.arange(400) * HOUR
    timed = over_time(open_ts, 400 * HOUR, 5, DAY, purge=6 * HOUR, embargo=9 * HOUR, scheme=scheme)
    by_rows = purged(400, 5, 6, 9) if scheme == "purged" else combinatorial_purged(400, 5, 2, 6, 9)
    assert timed == list(by_rows)


def test_a_gap_in_the_data_counts_towards_purge_and_embargo():
    hours = np.r_[0:100, 150:250] * HOUR
    fold, _ = over_time(hours, 250 * HOUR, 2, DAY, purge=10 * HOUR, embargo=40 * HOUR, scheme="purged")
    assert (fold.test, fold.train) == ((slice(0, 100),), (slice(125, 200),))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: purged(100, 1), "folds must be at least 2 .*was 1"),
        (lambda: combinatorial_purged(100, 5, 5), "test_groups .*fewer than the 5 groups, was 5"),
        (lambda: combinatorial_purged(100, 5, 0), "test_groups must be at least 1 .*was 0"),
        (lambda: purged(100, 4, purge=100), r"folds.purge must be shorter than the data \(100\), was 100"),
        (lambda: purged(100, 4, embargo=300), "folds.embargo must be shorter than the data"),
        (lambda: purged(100, 2, purge=50), "no row to learn from"),
        (lambda: purged(3, 4), "test no bar at all"),
        (lambda: purged(0, 4), "no rows"),
        (lambda: purged(100, 4, embargo=-1), ">= 0"),
        (lambda: purged(10, 2, label_end=np.arange(9)), "label_end must be 10 row numbers"),
        (lambda: purged(10, 2, label_end=np.r_[0:9, 3]), "label_end of row 9 must be that row or a later one, was 3"),
    ],
)
def test_purged_folds_that_cannot_be_are_refused(make, says):
    with pytest.raises(ConfigError, match=says):
        list(make())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"count": None, "scheme": "purged"}, "folds.count is required"),
        ({"count": 1, "scheme": "purged"}, "folds.count must be at least 2"),
        ({"count": 4, "scheme": "cpcv", "groups_out": 4}, "folds.groups_out must be less than folds.count"),
    ],
)
def test_folds_over_time_that_cannot_be_name_the_key(arguments, says):
    with pytest.raises(ConfigError, match=says):
        over_time(np.arange(100) * HOUR, 100 * HOUR, train=DAY, **arguments)


def test_no_more_folds_are_walked_than_a_run_can_hold():
    hours = np.arange(3_000) * HOUR
    assert len(over_time(hours, 3_000 * HOUR, 1_000, train=DAY)) == 1_000
    for windows in ({"count": 1_001}, {"count": None, "test": HOUR}):
        with pytest.raises(ConfigError, match="test windows are asked for, and at most 1,000 are walked"):
            over_time(hours, 3_000 * HOUR, train=DAY, **windows)
