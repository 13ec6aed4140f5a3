"""Where to learn and where to be judged: folds over rows or over time.

Walk-forward folds learn from what came before the test alone.  Purged k-fold and its combinatorial form learn from what
comes after it too, so no account that follows them could have been traded.

A row's label window is [row, label_end[row]], both included: the rows whose prices its label has read.  No train row's
window meets a test block's, which runs from its first row to the end of its last label (López de Prado 2018, ch. 7).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError

I8 = npt.NDArray[np.int64]
Route = tuple[tuple[int, slice], ...]

MOST_SPLITS = 1_000
"""Folds that a run walks; each replays every candidate over all the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Where one choice is made and where it is judged.

    Attributes
    ----------
    train, test : tuple of slice
        Rows, in time order; no train row lies within `purge` rows of a test block, nor within `embargo` more after one.
        Groups that are tested together are blocks of their own, adjacent or not.
    purge, embargo : int
        Rows left out.
    """

    index: int
    train: tuple[slice, ...]
    test: tuple[slice, ...]
    purge: int = 0
    embargo: int = 0


def rolling(
    n: int,
    count: int | None,
    train: int,
    test: int | None = None,
    purge: int = 0,
    embargo: int = 0,
    label_end: I8 | None = None,
) -> Iterator[Fold]:
    """`count` test windows that tile rows [train, n), each learnt from the `train` rows before it.

    All lengths are rows.  `test` None divides evenly; `count` None takes as many windows of `test` rows as fit.  Purge
    and embargo come out of the end of train, as does each row whose label window ends within them or later.
    """
    rows = np.arange(n)
    borders = windows(rows, n, count, train, test)
    yield from learnt_before(rows, borders, train, purge, embargo, ends_of(rows, label_end), anchored=False)


def anchored(
    n: int,
    count: int | None,
    train: int,
    test: int | None = None,
    purge: int = 0,
    embargo: int = 0,
    label_end: I8 | None = None,
) -> Iterator[Fold]:
    """Like `rolling`, but every fold learns from row 0 on."""
    rows = np.arange(n)
    borders = windows(rows, n, count, train, test)
    yield from learnt_before(rows, borders, train, purge, embargo, ends_of(rows, label_end), anchored=True)


def purged(n: int, folds: int, purge: int = 0, embargo: int = 0, label_end: I8 | None = None) -> Iterator[Fold]:
    """`folds` blocks of n rows in time order, each tested once and learnt from all the others, later ones too.

    A train row is left out when it lies within `purge` rows of the test block on either side, when its label window
    meets the test block's, and within `embargo` rows after whichever of the two ends later.
    """
    rows = np.arange(n)
    borders = groups_of(rows, n, folds, "folds")
    yield from learnt_around(rows, borders, 1, purge, embargo, ends_of(rows, label_end))


def combinatorial_purged(
    n: int, groups: int, test_groups: int, purge: int = 0, embargo: int = 0, label_end: I8 | None = None
) -> Iterator[Fold]:
    """C(groups, test_groups) folds of n rows in `groups` blocks: each combination is tested once, in order.

    Train rows are left out as in `purged`, around every test block (López de Prado 2018, ch. 12).
    """
    if not 1 <= test_groups < groups:
        raise ConfigError(f"test_groups must be at least 1 and fewer than the {groups} groups, was {test_groups}")
    rows = np.arange(n)
    borders = groups_of(rows, n, groups, "groups")
    yield from learnt_around(rows, borders, test_groups, purge, embargo, ends_of(rows, label_end))


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
    groups_out: int = 2,
    label_end: I8 | None = None,
) -> list[Fold]:
    """Folds whose lengths are ns of time, so that weekends and gaps do not shift a border.

    `open_ts` (T,) are the opens of the bars, `end` the close of the last one, `label_end` (T,) a row for each.  purged
    and cpcv divide the whole span into `count` blocks and have no use for `train` and `test`; cpcv tests `groups_out`
    of them together.
    """
    ends = ends_of(open_ts, label_end)
    if scheme in ("rolling", "anchored"):
        borders = windows(open_ts, end, count, train, test)
        if len(borders) - 1 > MOST_SPLITS:
            raise ConfigError(
                f"folds: {len(borders) - 1:,} test windows are asked for, and at most {MOST_SPLITS:,} are walked: "
                "lower folds.count, or lengthen folds.test"
            )
        return list(learnt_before(open_ts, borders, train, purge, embargo, ends, anchored=scheme == "anchored"))
    if scheme not in ("purged", "cpcv"):
        raise ConfigError(f"folds.scheme: {scheme!r} is unknown; use rolling, anchored, purged or cpcv")
    if count is None:
        raise ConfigError(f"folds.count is required with folds.scheme {scheme}: it divides the whole span")
    out = groups_out if scheme == "cpcv" else 1
    borders = groups_of(open_ts, end, count, "folds.count")
    if out >= count:
        raise ConfigError(f"folds.groups_out must be less than folds.count ({count}), was {out}")
    if (splits := math.comb(count, out)) > MOST_SPLITS:
        raise ConfigError(
            f"folds.groups_out: {out} of {count} groups can be chosen in {splits:,} ways, and at most {MOST_SPLITS:,} "
            "are walked; lower folds.count or folds.groups_out"
        )
    return list(learnt_around(open_ts, borders, out, purge, embargo, ends))


def paths(folds: Sequence[Fold]) -> tuple[Route, ...]:
    """Ways through all test blocks in time order: of each block, which of `folds` (its place) decides it.

    Path j takes of every block the j-th fold that tests it.  So each (fold, block) is used once and each path covers
    every block once: C(N−1, k−1) paths of combinatorial folds, one of all others.
    """
    deciders: dict[tuple[int, int], list[int]] = {}
    for place, fold in enumerate(folds):
        for block in fold.test:
            deciders.setdefault((block.start, block.stop), []).append(place)
    counts = {len(places) for places in deciders.values()}
    if len(counts) != 1:
        raise ConfigError("folds: there is no path through test blocks of which some are tested more often than others")
    return tuple(
        tuple((deciders[block][path], slice(*block)) for block in sorted(deciders)) for path in range(counts.pop())
    )


def overlapping(fold: Fold, label_end: I8) -> int:
    """How many train rows have a label whose window meets that of a test row's, given the last row of each, (n,)."""
    ends = np.asarray(label_end)
    met = np.zeros(len(ends), np.bool_)
    for block in fold.test:
        met |= (ends >= block.start) & (np.arange(len(ends)) <= max(block.stop - 1, int(ends[block].max())))
    return int(sum(met[block].sum() for block in fold.train))


def windows(position: I8, end: int, count: int | None, train: int, test: int | None) -> list[int]:
    """Borders of the test windows of a walk-forward, in the unit of `position` (rows, ns), all up to `end`."""
    if not len(position):
        raise ConfigError("folds: there are no rows")
    first = int(position[0]) + train
    room = end - first
    if room <= 0:
        raise ConfigError("folds.train leaves nothing to test on: it covers all the data; shorten it or add data")
    if test is None:
        if count is None:
            raise ConfigError("folds: give count, or test, the length of a test window")
        return [first + room * i // count for i in range(count + 1)]
    if not test > 0:
        raise ConfigError(f"folds.test must be > 0, was {test}")
    fit = room // test
    if count is None:
        count = fit
    if count > fit or count == 0:
        raise ConfigError(f"folds: {count or 1} test windows of that length do not fit after train; {fit} do")
    return [first + test * i for i in range(count + 1)]


def groups_of(position: I8, end: int, count: int, key: str) -> list[int]:
    """Borders that divide [position[0], end) evenly into `count` groups; `key` names the count in messages."""
    if count < 2:
        raise ConfigError(f"{key} must be at least 2 where a fold learns from the groups it does not test, was {count}")
    if not len(position):
        raise ConfigError("folds: there are no rows")
    first = int(position[0])
    return [first + (end - first) * i // count for i in range(count + 1)]


def ends_of(position: I8, label_end: I8 | None) -> I8:
    """(n,) position just after each row's label window, which is the row alone where there are no labels."""
    if label_end is None:
        return position + 1
    given, n = np.asarray(label_end), len(position)
    if given.shape != (n,) or given.dtype.kind not in "iu":
        raise ConfigError(f"label_end must be {n} row numbers, one for each row, had shape {given.shape}")
    if (before := np.flatnonzero(given < np.arange(n))).size:
        row = int(before[0])
        raise ConfigError(f"label_end of row {row} must be that row or a later one, was {given[row]}")
    # A label that ends after the data reaches at least to their last row.
    return np.asarray(position[np.minimum(given, n - 1)] + 1, np.int64)


def learnt_before(
    position: I8, borders: Sequence[int], train: int, purge: int, embargo: int, ends: I8, *, anchored: bool
) -> Iterator[Fold]:
    """Test windows between `borders`, each learnt from the `train` before it, all in the unit of `position`."""
    _check_gaps(purge, embargo)
    if train <= purge + embargo:
        raise ConfigError("folds.train must be longer than purge + embargo: nothing would be left to learn from")
    rows, count = _rows_between(position, borders), len(borders) - 1
    for i in range(count):
        begin = 0 if anchored else int(np.searchsorted(position, borders[i] - train))
        stop = int(np.searchsorted(position, borders[i] - purge - embargo))
        known = ends[begin:stop] <= borders[i] - purge - embargo
        if not known.any():
            raise ConfigError(f"folds: fold {i + 1} of {count} would have no bar to learn from")
        learnt = _blocks(known, begin)
        gap = int(rows[i]) - learnt[-1].stop
        after = int(rows[i]) - int(np.searchsorted(position, borders[i] - embargo))
        yield Fold(
            index=i,
            train=learnt,
            test=(slice(int(rows[i]), int(rows[i + 1])),),
            purge=gap - after,
            embargo=after,
        )


def learnt_around(
    position: I8, borders: Sequence[int], test_groups: int, purge: int, embargo: int, ends: I8
) -> Iterator[Fold]:
    """Every combination of `test_groups` groups between `borders`, each learnt from the rows around it."""
    _check_gaps(purge, embargo)
    length = borders[-1] - borders[0]
    for name, gap in (("purge", purge), ("embargo", embargo)):
        if gap >= length:
            raise ConfigError(f"folds.{name} must be shorter than the data ({length}), was {gap}")
    rows, count = _rows_between(position, borders), len(borders) - 1
    # Of each group: where its label windows end, and then what is blocked for learning.
    reach = [int(ends[a:b].max()) for a, b in itertools.pairwise(rows)]
    blocked = [
        (position < max(after + purge, labels) + embargo) & (ends > before - purge)
        for (before, after), labels in zip(itertools.pairwise(borders), reach, strict=True)
    ]
    for index, tested in enumerate(itertools.combinations(range(count), test_groups)):
        free = ~np.logical_or.reduce([blocked[group] for group in tested])
        if not free.any():
            raise ConfigError(
                f"folds: fold {index + 1} of {math.comb(count, test_groups)} would have no row to learn from: test, "
                f"purge {purge}, embargo {embargo} and label windows leave none of {len(position)}; shorten them or "
                "ask for fewer groups"
            )
        begins = [borders[group] for group in tested if group]
        stops = [borders[group + 1] for group in tested if group + 1 < count]
        yield Fold(
            index=index,
            train=_blocks(free, 0),
            test=tuple(slice(int(rows[group]), int(rows[group + 1])) for group in tested),
            purge=_fewest_rows(position, [(at - purge, at) for at in begins] + [(at, at + purge) for at in stops]),
            embargo=_fewest_rows(position, [(at + purge, at + purge + embargo) for at in stops]),
        )


def _fewest_rows(position: I8, intervals: Sequence[tuple[int, int]]) -> int:
    """Rows in whichever of the intervals [from, to) has the fewest; 0 of none."""
    return min((int(np.diff(np.searchsorted(position, interval))[0]) for interval in intervals), default=0)


def _check_gaps(purge: int, embargo: int) -> None:
    if min(purge, embargo) < 0:
        raise ConfigError(f"folds: purge and embargo must be >= 0, were {purge} and {embargo}")


def _rows_between(position: I8, borders: Sequence[int]) -> I8:
    """First row at or after each border; ConfigError where two borders have no row between them."""
    rows = np.searchsorted(position, borders)
    if (empty := np.flatnonzero(np.diff(rows) == 0)).size:
        raise ConfigError(
            f"folds: fold {empty[0] + 1} of {len(borders) - 1} would test no bar at all; "
            f"ask for fewer folds ({len(position) - int(rows[0])} bars are left to test on)"
        )
    return np.asarray(rows, np.int64)


def _blocks(chosen: npt.NDArray[np.bool_], first: int) -> tuple[slice, ...]:
    """The runs of chosen rows, counted from `first`."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False])).astype(np.int8))) + first
    return tuple(slice(int(a), int(b)) for a, b in edges.reshape(-1, 2))
