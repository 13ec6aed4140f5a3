"""Feeds that show a fixed number of levels with every row: what changes from one row to the next."""

from __future__ import annotations

import numpy as np

from wfbt.data.arrays import F8, I1, I8

ROOM = 1 << 22
"""Pairs of levels that are compared at a time."""


def changes(price: F8, size: F8, side: int) -> tuple[I8, I1, F8, F8]:
    """Row, side, price and size of what changes from each of (n + 1, L) states to the next on one side.

    A level that is NaN or holds nothing is none.  One that moves out of what is shown is deleted, and set again when it
    comes back: the book rebuilt is what is shown, no more.
    """
    real = np.isfinite(price) & (size > 0)
    was, now, held, holds = price[:-1], price[1:], real[:-1], real[1:]
    changed = np.flatnonzero(((was != now) | (size[:-1] != size[1:])).any(axis=1))
    some = max(ROOM // max(price.shape[1], 1) ** 2, 1)
    out = []
    for begin in range(0, len(changed), some):
        at = changed[begin : begin + some]
        # Which level of the state before each level of the state after is.
        same = (now[at][:, :, None] == was[at][:, None, :]) & holds[at][:, :, None] & held[at][:, None, :]
        before = np.where(same, size[:-1][at][:, None, :], 0).sum(axis=2)
        event, level = np.nonzero(holds[at] & (before != size[1:][at]))
        out.append((at[event], now[at][event, level], size[1:][at][event, level]))
        event, level = np.nonzero(held[at] & ~same.any(axis=1))
        out.append((at[event], was[at][event, level], np.zeros(len(event))))
    if not out:
        return np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0), np.empty(0)
    index, levels, sizes = (np.concatenate(columns) for columns in zip(*out, strict=True))
    return index, np.full(len(index), side, np.int8), levels, sizes


def both_sides(bids: tuple[F8, F8], asks: tuple[F8, F8]) -> tuple[I8, I1, F8, F8]:
    """Changes of both sides, each given by the price and size of (n + 1, L) states, row by row, deletions first."""
    parts = [changes(*bids, 1), changes(*asks, -1)]
    at, side, price, qty = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((qty > 0, at))
    return at[order], side[order], price[order], qty[order]
