"""Which round trip each fill belongs to."""

import numpy as np

from wfbt.kernels._jit import njit


@njit
def assign_trips(asset, qty, position, closes, opens, moved, after, opened_by, closed_by):
    """Number the round trips (flat to flat, or to a reversal) in the order they open, and return how many there are.

    Parameters
    ----------
    asset : (N,) int64; qty : (N,) float64
        Fills in the order they happened; no quantity is 0.
    position : (A,) float64, in and out
        Zeros on entry; what is held at the end on return.
    closes, opens : (N,) int64, out
        Trip that the fill reduces, and trip that it opens or adds to; −1 none.  A reversal does both.
    moved : (N,) float64, out
        Units of the fill that belong to `closes`, signed; the rest belong to `opens`.
    after : (N,) float64, out
        Position after the fill.
    opened_by, closed_by : (N,) int64, out
        Fill with which each trip began and ended, −1 still open; the first "how many" elements count.
    """
    current = np.full(len(position), -1)
    peak = np.zeros(len(position))  # largest size of the trip so far
    trips = 0
    for n in range(len(asset)):
        a = asset[n]
        before = position[a]
        then = before + qty[n]
        # What rounding leaves behind is no position.
        if abs(then) <= 1e-12 * max(peak[a], abs(qty[n])):
            then = 0.0
        reduces = before * qty[n] < 0.0
        reverses = before * then < 0.0
        closes[n], opens[n], moved[n] = -1, -1, 0.0
        if reduces:
            closes[n] = current[a]
            moved[n] = -before if reverses else qty[n]
            if reverses or then == 0.0:
                closed_by[current[a]] = n
                current[a] = -1
                peak[a] = 0.0
        if not reduces or reverses:
            if current[a] < 0:
                current[a] = trips
                opened_by[trips] = n
                closed_by[trips] = -1
                trips += 1
            opens[n] = current[a]
        peak[a] = max(peak[a], abs(then))
        position[a] = then
        after[n] = then
    return trips
