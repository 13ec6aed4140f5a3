"""Combinatorial purged folds against skfolio's, where the conventions coincide.

They differ where the groups do not divide the rows evenly (skfolio gives the remainder to the last group, wfbt spreads
it), in that skfolio refuses one test group and gaps as long as a group, and in that it knows no ends of labels.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skfolio.model_selection import CombinatorialPurgedCV

from wfbt.validation.folds import combinatorial_purged, paths
from wfbt.validation.splitters import Splitter, rows_in


@given(
    groups=st.integers(3, 8),
    out=st.integers(2, 7),
    size=st.integers(16, 30),
    purge=st.integers(0, 5),
    embargo=st.integers(0, 5),
)
def test_splits_paths_and_rows_are_those_of_skfolio(groups, out, size, purge, embargo):
    if out >= groups:
        return
    n = groups * size
    theirs = CombinatorialPurgedCV(n_folds=groups, n_test_folds=out, purged_size=purge, embargo_size=embargo)
    ours = list(combinatorial_purged(n, groups, out, purge, embargo))
    assert len(ours) == theirs.n_splits == Splitter(combinatorial_purged, groups=groups, test_groups=out).get_n_splits()
    assert len(paths(ours)) == theirs.n_test_paths
    for fold, (train, tests) in zip(ours, theirs.split(np.zeros((n, 1))), strict=True):
        np.testing.assert_array_equal(rows_in(fold.train), train)
        np.testing.assert_array_equal(rows_in(fold.test), np.concatenate(tests))
    path_of = {(place, block.start): path for path, route in enumerate(paths(ours)) for place, block in route}
    told = [[path_of[place, block.start] for block in fold.test] for place, fold in enumerate(ours)]
    np.testing.assert_array_equal(told, theirs.get_path_ids())


def test_a_remainder_is_spread_here_and_given_to_the_last_group_there():
    theirs = CombinatorialPurgedCV(n_folds=3, n_test_folds=2)
    ((_, (_, last)),) = [split for place, split in enumerate(theirs.split(np.zeros((14, 1)))) if place == 1]
    *_, fold = combinatorial_purged(14, 3, 2)
    assert len(last) == 6
    assert [block.stop - block.start for block in fold.test] == [5, 5]


def test_a_single_test_group_is_refused_there_and_is_purged_k_fold_here():
    with pytest.raises(ValueError, match="n_test_folds"):
        CombinatorialPurgedCV(n_folds=3, n_test_folds=1)
    assert len(list(combinatorial_purged(30, 3, 1))) == 3
