"""Folds as scikit-learn's cross-validators are asked for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.validation.folds import Fold

I8 = npt.NDArray[np.int64]


class Splitter:
    """A scheme of `validation.folds` with its arguments but n: `Splitter(purged, folds=5, purge=24, label_end=ends)`.

    What scikit-learn takes as `cv`.  The rows of X are in time order and as many as `label_end` has.
    """

    def __init__(self, scheme: Callable[..., Iterator[Fold]], **arguments: Any) -> None:
        self.scheme, self.arguments = scheme, arguments

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items() if name != "label_end")
        return f"Splitter({self.scheme.__name__}, {given})"

    def folds(self, X: Any) -> list[Fold]:
        """The folds of as many rows as X has."""
        return list(self.scheme(X.shape[0] if hasattr(X, "shape") else len(X), **self.arguments))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[I8, I8]]:
        """Row numbers to learn from and to be judged on, increasing, of each fold in turn; `y` and `groups` unread."""
        for fold in self.folds(X):
            yield rows_in(fold.train), rows_in(fold.test)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many folds there are; without X where the arguments say so themselves."""
        if X is not None:
            return len(self.folds(X))
        given = self.arguments
        if "groups" in given:
            return math.comb(given["groups"], given["test_groups"])
        count = given.get("folds", given.get("count"))
        if count is None:
            raise ConfigError("get_n_splits needs X: as many windows as fit depend on how many rows there are")
        return int(count)


def rows_in(blocks: tuple[slice, ...]) -> I8:
    """(K,) row numbers of blocks of rows, increasing."""
    return np.concatenate([np.arange(block.start, block.stop) for block in blocks])
