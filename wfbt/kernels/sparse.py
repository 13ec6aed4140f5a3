"""Maps from integers to integers that live in arrays: open addressing with linear probing.

A key that is not held has the value 0.  Nothing here allocates: who puts keys in asks first for `room`, and hands over
a larger array (`roomier`) where there is none.
"""

import numpy as np

from wfbt.kernels._jit import inlined, njit, part

CELL = np.dtype([("key", np.int64), ("value", np.int64)], align=True)
"""A place of a map, free where `value` is 0; |key| < 2³¹.

Maps are the rows of an (R, C + 1) array, C a power of two: the cell after the last place counts the keys held.
"""


def empty_maps(maps: int, places: int) -> np.ndarray:
    """(maps, places + 1) CELL that hold nothing."""
    return np.zeros((maps, places + 1), CELL)


def roomier(cells: np.ndarray) -> np.ndarray:
    """The same maps with twice the places."""
    out = empty_maps(len(cells), 2 * (cells.shape[1] - 1))
    copy_into(cells, out)
    return out


@njit
def copy_into(cells, out):
    """Put all that some maps hold into others."""
    for r in range(len(cells)):
        for i in range(cells.shape[1] - 1):
            if cells[r, i]["value"] != 0:
                put_key(out, r, cells[r, i]["key"], cells[r, i]["value"])


@inlined
def home(key, mask):
    """Where a key is looked for first: multiplicative hashing (Knuth, volume 3, section 6.4)."""
    return ((key * 2654435769) >> 16) & mask


@inlined
def held(cells, r):
    """Keys that map `r` holds."""
    return cells[r, cells.shape[1] - 1]["value"]


@part
def place_of(cells, r, key):
    """Where map `r` holds a key, or the free place where it would."""
    mask = cells.shape[1] - 2
    i = home(key, mask)
    while cells[r, i]["value"] != 0 and cells[r, i]["key"] != key:
        i = (i + 1) & mask
    return i


@inlined
def room(cells, r):
    """How many more keys map `r` takes: it stays three quarters full at most, so that probes end soon."""
    return (cells.shape[1] - 1) * 3 // 4 - held(cells, r)


@inlined
def value_of(cells, r, key):
    """Value of a key, 0 where it is not held."""
    return cells[r, place_of(cells, r, key)]["value"] if held(cells, r) > 0 else 0


@part
def put_key(cells, r, key, value):
    """Hold `value` for a key, nothing where that is 0; the value before."""
    i = place_of(cells, r, key)
    before = cells[r, i]["value"]
    if value != 0:
        cells[r, i]["key"] = key
        cells[r, i]["value"] = value
        cells[r, cells.shape[1] - 1]["value"] += 1 if before == 0 else 0
    elif before != 0:
        free_place(cells, r, i)
    return before


@part
def free_place(cells, r, hole):
    """Let go of the key at a place, and move up what probing would no longer find behind it."""
    mask = cells.shape[1] - 2
    i = (hole + 1) & mask
    while cells[r, i]["value"] != 0:
        if (i - home(cells[r, i]["key"], mask)) & mask >= (i - hole) & mask:
            cells[r, hole]["key"] = cells[r, i]["key"]
            cells[r, hole]["value"] = cells[r, i]["value"]
            hole = i
        i = (i + 1) & mask
    cells[r, hole]["value"] = 0
    cells[r, cells.shape[1] - 1]["value"] -= 1


@part
def highest_below(cells, r, key, none):
    """Highest key below `key`, `none` where there is none."""
    found = none
    for i in range(cells.shape[1] - 1):
        if cells[r, i]["value"] != 0 and found < cells[r, i]["key"] < key:
            found = cells[r, i]["key"]
    return found


@part
def drop_from(cells, r, key):
    """Let go of every key that is not below `key`."""
    # What moves up may have been passed already, around the end: go over them until nothing is found.
    found = held(cells, r) > 0
    while found:
        found, i = False, 0
        while i < cells.shape[1] - 1:
            if cells[r, i]["value"] != 0 and cells[r, i]["key"] >= key:
                free_place(cells, r, i)
                found = True
            else:
                i += 1
