"""Means of resampled rows."""

from wfbt.kernels._jit import njit


@njit
def stationary_mean(values, start, fresh, p, mean):
    """Fill `mean` (N,) with that of one resample of the rows of `values` (T, N), by the stationary bootstrap.

    `start` (T,) int64 are rows where a block may begin and `fresh` (T,) uniform draws: at t a block begins at start[t]
    where fresh[t] ≤ p, else the row after the last one follows, and the first row follows the last.
    """
    rows, count = values.shape
    for n in range(count):
        mean[n] = 0.0
    row = 0
    for t in range(rows):
        if t == 0 or fresh[t] <= p:
            row = start[t]
        else:
            row = row + 1 if row + 1 < rows else 0
        for n in range(count):
            mean[n] += values[row, n]
    for n in range(count):
        mean[n] /= rows
