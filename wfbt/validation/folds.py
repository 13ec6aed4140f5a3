"""Where to learn and where to be judged: walk-forward folds over rows or over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError

I8 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One step of a walk-forward.

    Attributes
    ----------
    train, test : tuple of slice
        Rows; no train row lies within `purge` rows of a test block, nor within `embargo` more after one.
    purge, embargo : int
        Rows left out.
    """

    index: int
    train: tuple[slice, ...]
    test: tuple[slice, ...]
    purge: int = 0
    embargo: int = 0


def rolling(
    n: int, count: int | None, train: int, test: int | None = None, purge: int = 0, embargo: int = 0
) -> Iterator[Fold]:
    """`count` test windows that tile rows [train, n), each learnt from the `train` rows before it.

    All lengths are rows.  `test` None divides evenly; `count` None takes as many windows of `test` rows as fit.  Purge
    and embargo come out of the end of train.
    """
    yield from _walk(np.arange(n), n, count, train, test, purge, embargo, anchored=False)


def anchored(
    n: int, count: int | None, train: int, test: int | None = None, purge: int = 0, embargo: int = 0
) -> Iterator[Fold]:
    """Like `rolling`, but every fold learns from row 0 on."""
    yield from _walk(np.arange(n), n, count, train, test, purge, embargo, anchored=True)


def over_time(
    open_ts: I8,
    end: int,
    count: int | None,
    train: int,
    test: int | None = None,
    purge: int = 0,
    embargo: int = 0,
    *,
    scheme: str = "rolling",
) -> list[Fold]:
    """Folds whose lengths are ns of time, so that weekends and gaps do not shift a border.

    `open_ts` (T,) are the opens of the bars, `end` the close of the last one.
    """
    if scheme not in ("rolling", "anchored"):
        raise ConfigError(f"folds.scheme: {scheme!r} is not walked by this version; use rolling or anchored")
    return list(_walk(open_ts, end, count, train, test, purge, embargo, anchored=scheme == "anchored"))


def _walk(
    position: I8, end: int, count: int | None, train: int, test: int | None, purge: int, embargo: int, *, anchored: bool
) -> Iterator[Fold]:
    """Folds over rows at increasing `position`s of any unit (rows, ns), all before `end`."""
    if min(purge, embargo) < 0:
        raise ConfigError(f"folds: purge and embargo must be >= 0, were {purge} and {embargo}")
    if train <= purge + embargo:
        raise ConfigError("folds.train must be longer than purge + embargo: nothing would be left to learn from")
    if not len(position):
        raise ConfigError("folds: there are no rows")
    first = int(position[0]) + train
    room = end - first
    if room <= 0:
        raise ConfigError("folds.train leaves nothing to test on: it covers all the data; shorten it or add data")
    if test is None:
        if count is None:
            raise ConfigError("folds: give count, or test, the length of a test window")
        borders = [first + room * i // count for i in range(count + 1)]
    else:
        if not test > 0:
            raise ConfigError(f"folds.test must be > 0, was {test}")
        fit = room // test
        if count is None:
            count = fit
        if count > fit or count == 0:
            raise ConfigError(f"folds: {count or 1} test windows of that length do not fit after train; {fit} do")
        borders = [first + test * i for i in range(count + 1)]
    rows = np.searchsorted(position, borders)
    if (empty := np.flatnonzero(np.diff(rows) == 0)).size:
        raise ConfigError(
            f"folds: fold {empty[0] + 1} of {count} would test no bar at all; "
            f"ask for fewer folds ({len(position) - int(rows[0])} bars are left to test on)"
        )
    for i in range(count):
        begin = 0 if anchored else int(np.searchsorted(position, borders[i] - train))
        stop = int(np.searchsorted(position, borders[i] - purge - embargo))
        if stop <= begin:
            raise ConfigError(f"folds: fold {i + 1} of {count} would have no bar to learn from")
        gap = int(rows[i]) - stop
        cut = int(np.searchsorted(position, borders[i] - embargo))
        yield Fold(
            index=i,
            train=(slice(begin, stop),),
            test=(slice(int(rows[i]), int(rows[i + 1])),),
            purge=cut - stop,
            embargo=gap - (cut - stop),
        )
