"""Folds whose borders are moved until every test window holds its part of each regime."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.validation.folds import Fold, ends_of, groups_of, learnt_around, learnt_before, windows

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

PLACES = 33
"""Places at which a border is tried; the even one is among them."""

ABSENT = 1e6
"""What a window without one of the labels costs: more than any unevenness of shares."""


def balanced(
    labels: Any,
    count: int,
    train: int | None = None,
    slack: float = 0.25,
    purge: int = 0,
    embargo: int = 0,
    label_end: I8 | None = None,
    *,
    anchored: bool = False,
) -> Iterator[Fold]:
    """Folds over the rows of (n,) `labels` whose test windows have shares of the labels as like each other as can be.

    Each border may leave its even place by `slack` of an even window.  Among the borders tried, those are taken whose
    windows' shares of the labels have the least squared distance from the shares of all tested rows; equal ones stay
    nearest to the even place.  With `train`, windows tile [train, n) and are learnt from the `train` rows before each;
    without, they tile [0, n) and each is learnt from all the others, as in `folds.purged`.

    Where the borders lie is decided with all labels known.  ConfigError where a window would lack a label.
    """
    codes, names = _codes(labels)
    n = len(codes)
    if not 0 <= slack < 0.5:
        raise ConfigError(f"slack must be at least 0 and less than 0.5 of a window, was {slack:g}")
    rows = np.arange(n)
    even = groups_of(rows, n, count, "count") if train is None else windows(rows, n, count, train, None)
    borders = _moved(even, slack, codes, names)
    ends = ends_of(rows, label_end)
    if train is None:
        yield from learnt_around(rows, borders, 1, purge, embargo, ends)
    else:
        yield from learnt_before(rows, borders, train, purge, embargo, ends, anchored=anchored)


def _codes(labels: Any) -> tuple[I8, npt.NDArray[Any]]:
    given = np.asarray(labels)
    if given.ndim != 1 or not len(given):
        raise ConfigError(f"labels must be one label for each row, had shape {given.shape}")
    if given.dtype.kind == "f" and np.isnan(given).any():
        row = int(np.flatnonzero(np.isnan(given))[0])
        raise ConfigError(f"labels: row {row} has none; label it, or balance the rows after it")
    names, codes = np.unique(given, return_inverse=True)
    return codes.astype(np.int64), names


def _moved(even: Sequence[int], slack: float, codes: I8, names: npt.NDArray[Any]) -> list[int]:
    """The best path through the places of each border, found border by border (dynamic programming)."""
    first, last = even[0], even[-1]
    # Of each label: rows before each place.
    counts = np.zeros((len(codes) + 1, len(names)))
    np.cumsum(codes[:, None] == np.arange(len(names)), axis=0, out=counts[1:])
    whole = (counts[last] - counts[first]) / (last - first)
    reach = slack * (last - first) / (len(even) - 1)
    offsets = np.unique(np.round(np.linspace(-reach, reach, PLACES)).astype(np.int64))
    offsets = offsets[np.argsort(np.abs(offsets), kind="stable")]  # of equal ones the first is taken
    places = [np.array([first]), *(at + offsets for at in even[1:-1]), np.array([last])]
    cost = np.zeros(1)
    came: list[I8] = []
    for before, after in itertools.pairwise(places):
        steps = cost[:, None] + _unevenness(counts, before, after, whole)
        came.append(np.argmin(steps, axis=0))
        cost = np.min(steps, axis=0)
    if cost[0] >= ABSENT:
        lacking = _lacking(counts, even, whole, names)
        raise ConfigError(
            f"count: no borders within {slack:g} of a window give each of {len(even) - 1} windows a row of every label"
            f"{lacking}; ask for fewer windows or allow more slack"
        )
    chosen = [0]
    for back in reversed(came):
        chosen.append(int(back[chosen[-1]]))
    return [int(place[i]) for place, i in zip(places, reversed(chosen), strict=True)]


def _unevenness(counts: F8, before: I8, after: I8, whole: F8) -> F8:
    """(P, Q) squared distance of the shares in [before, after) from `whole`; `ABSENT` more for a label not there."""
    inside = counts[after][None, :, :] - counts[before][:, None, :]
    rows = np.maximum(after[None, :] - before[:, None], 1)
    away = np.sum((inside / rows[:, :, None] - whole) ** 2, axis=2)
    missing = ((inside <= 0) & (whole > 0)).any(axis=2)
    return np.asarray(np.where(missing, away + ABSENT, away), np.float64)


def _lacking(counts: F8, even: Sequence[int], whole: F8, names: npt.NDArray[Any]) -> str:
    inside = np.diff(counts[np.asarray(even)], axis=0)
    found = [(window, label) for window, label in np.argwhere((inside <= 0) & (whole > 0))]
    return f" (at even borders window {found[0][0] + 1} has none of {names[found[0][1]]})" if found else ""
