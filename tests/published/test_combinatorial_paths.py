"""Counts and sizes of combinatorial purged folds: López de Prado (2018), 12.3, and an independent implementation."""

import pytest

from wfbt.validation.folds import combinatorial_purged, paths
from wfbt.validation.splitters import rows_in

# Groups, tested together, splits = C(N, k), paths = C(N−1, k−1).
COUNTS = [(3, 2, 3, 2), (5, 2, 10, 4), (6, 2, 15, 5), (10, 2, 45, 9), (16, 8, 12870, 6435)]

# 600 rows in 6 groups, 2 tested together, purge 5, embargo 3: rows to learn from, and the path of each tested group.
TRAIN_SIZES = [392, 379, 379, 379, 387, 387, 374, 374, 382, 387, 374, 382, 387, 382, 395]
PATH_IDS = [
    *((0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (1, 1), (2, 1), (3, 1), (4, 1), (2, 2), (3, 2), (4, 2)),
    *((3, 3), (4, 3), (4, 4)),
]


@pytest.mark.parametrize(("groups", "out", "splits", "count"), COUNTS)
def test_there_are_as_many_splits_and_paths_as_published(groups, out, splits, count):
    folds = list(combinatorial_purged(10 * groups, groups, out))
    assert len(folds) == splits
    assert len(paths(folds)) == count


def test_sizes_and_paths_of_the_worked_example_are_reproduced():
    folds = list(combinatorial_purged(600, 6, 2, purge=5, embargo=3))
    assert [len(rows_in(fold.train)) for fold in folds] == TRAIN_SIZES
    path_of = {(place, block.start): path for path, route in enumerate(paths(folds)) for place, block in route}
    told = [tuple(path_of[place, block.start] for block in fold.test) for place, fold in enumerate(folds)]
    assert told == PATH_IDS
