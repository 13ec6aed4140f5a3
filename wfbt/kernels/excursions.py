"""How deep a path falls, how long it stays below its peak, and when it first crosses a line."""

from math import exp, nan

import numpy as np

from wfbt.kernels._jit import inlined, njit
from wfbt.kernels.survival import NEVER

EXCURSION = np.dtype(
    [
        ("final", np.float64),  # equity at the end, the start being 1
        ("depth", np.float64),  # largest drawdown, positive fraction of the peak
        ("trough_at", np.int64),  # the step that ends at its trough, the first of equally deep ones; 0 without drawdown
        ("regained_at", np.int64),  # the step that ends at the peak before it, or above; NEVER
        ("peak_at", np.int64),  # the last step that ends at a peak
        ("peaks", np.int64),  # how many do
        ("longest", np.int64),  # most steps from a peak until it was regained or the path ended
        ("ruined_at", np.int64),  # the first step that ends at or below the floor; NEVER
        ("breached_at", np.int64),  # the first step that ends so deep below the peak; NEVER
        ("mean", np.float64),  # of the simple returns; NaN where only their logs are known
        ("deviation", np.float64),  # theirs, ddof 1
    ],
    align=True,
)


@inlined
def begin(out):
    """A path before its first step."""
    out["trough_at"], out["regained_at"], out["peak_at"], out["peaks"], out["longest"] = 0, 0, 0, 0, 0
    out["ruined_at"], out["breached_at"] = NEVER, NEVER
    out["mean"], out["deviation"] = nan, nan


@inlined
def follow(out, x, peak, deepest, t, floor, limit):
    """The log of the peak and of the deepest drawdown when step t has ended at x.

    What seldom changes stands in the record: as many numbers more in the loop would not fit the registers.
    """
    if x >= peak:
        if out["peak_at"] < t - 1:
            out["longest"] = max(out["longest"], t - out["peak_at"])
            if out["trough_at"] > out["peak_at"]:
                out["regained_at"] = t
        out["peak_at"] = t
        out["peaks"] += 1
        return x, deepest
    if x <= floor and out["ruined_at"] == NEVER:
        out["ruined_at"] = t
    if x - peak < deepest:
        deepest = x - peak
        out["trough_at"], out["regained_at"] = t, NEVER
        if deepest <= limit and out["breached_at"] == NEVER:
            out["breached_at"] = t
    return peak, deepest


@inlined
def end(out, x, deepest, steps):
    """A path after its last step."""
    out["final"], out["depth"] = exp(x), 1.0 - exp(deepest)
    out["longest"] = max(out["longest"], steps - out["peak_at"])


@njit
def measure(out, returns, floor, limit):
    """Fill `out` (P,) of EXCURSION from (P, S) log returns of equity that starts at 1, seen at the ends of steps.

    `floor` and `limit` are the logs of an equity and of 1 less a drawdown, ≤ 0; −inf where all is lost, in both and in
    the returns.
    """
    paths, steps = returns.shape
    for p in range(paths):
        begin(out[p])
        x, peak, deepest = 0.0, 0.0, 0.0
        for t in range(steps):
            x += returns[p, t]
            peak, deepest = follow(out[p], x, peak, deepest, t + 1, floor, limit)
        end(out[p], x, deepest, steps)
