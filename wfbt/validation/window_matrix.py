"""One walk-forward for every pair of window lengths, all judged on the same span."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.config.values import Duration
from wfbt.errors import ConfigError
from wfbt.validation.folds import Fold, ends_of, learnt_before
from wfbt.validation.walk_forward import WalkForward

I8 = npt.NDArray[np.int64]

TOLD = ("sharpe", "total_return", "annual_return", "max_drawdown", "trades", "days")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """The walk-forward of one pair of lengths (ns): how many folds, and `Ledger.metrics` of its stitched account."""

    train: int
    test: int
    folds: int
    told: Mapping[str, Any]


def window_matrix(
    walk: Callable[[Sequence[Fold]], WalkForward],
    open_ts: I8,
    end: int,
    trains: Sequence[int],
    tests: Sequence[int],
    purge: int = 0,
    embargo: int = 0,
    label_end: I8 | None = None,
    *,
    anchored: bool = False,
) -> tuple[Pair, ...]:
    """Walk every pair of `trains` and `tests` (ns), in that order; `walk(folds)` is asked once a pair.

    All are tested on the same bars, from the end of the longest training to `end`, so the last window of a pair may be
    shorter than the others.  `open_ts`, `end`, `label_end` are those of `folds.over_time`.  Each pair is a look at
    out-of-sample data.
    """
    if anchored and len(trains) > 1:
        raise ConfigError(
            "folds.matrix.train: anchored folds learn from the first bar on whatever the length, so one is enough, "
            f"was {len(trains)}"
        )
    first, ends = int(open_ts[0]) + max(trains), ends_of(open_ts, label_end)
    if first >= end:
        raise ConfigError("folds.matrix.train: the longest covers all the data and leaves nothing to test on")
    pairs = []
    for train in trains:
        for test in tests:
            borders = [first + test * i for i in range(math.ceil((end - first) / test))] + [end]
            if np.searchsorted(open_ts, borders[-2]) == len(open_ts):
                del borders[-2]  # nothing was traded in the short window at the end
            folds = list(learnt_before(open_ts, borders, train, purge, embargo, ends, anchored=anchored))
            pairs.append(Pair(train=train, test=test, folds=len(folds), told=walk(folds).ledger.metrics()))
    return tuple(pairs)


def matrix_told(pairs: Sequence[Pair]) -> dict[str, Any]:
    """All pairs as plain values; `cells` is how many looks at out-of-sample data they were."""
    return {
        "train": [str(Duration(length)) for length in dict.fromkeys(pair.train for pair in pairs)],
        "test": [str(Duration(length)) for length in dict.fromkeys(pair.test for pair in pairs)],
        "cells": len(pairs),
        "pairs": [
            {
                "train": str(Duration(pair.train)),
                "test": str(Duration(pair.test)),
                "folds": pair.folds,
                **{key: pair.told[key] for key in TOLD},
                "reasons": {key: why for key, why in pair.told["reasons"].items() if key in TOLD},
            }
            for pair in pairs
        ],
    }
