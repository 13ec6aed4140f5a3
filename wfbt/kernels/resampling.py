"""Resampled rows of a history: the stationary bootstrap (Politis and Romano 1994), and its means.

A block begins anew with probability p at each step, else the row after the last one follows; the first row follows the
last.
"""

from math import floor, log, log1p

import numpy as np

from wfbt.kernels._jit import inlined, njit
from wfbt.kernels.excursions import begin, end, follow
from wfbt.kernels.random import fill_words, uniform

# What a draw is for; far from the streams of `paths`.
BLOCK, LABEL = 8 << 32, 9 << 32
AHEAD = 64
"""Blocks that are drawn together."""


@inlined
def after(row, rows):
    """The row that follows in a block."""
    return row + 1 if row + 1 < rows else 0


@njit
def stationary_mean(values, start, fresh, p, mean):
    """Fill `mean` (N,) with that of one resample of the rows of `values` (T, N).

    `start` (T,) int64 are rows where a block may begin and `fresh` (T,) uniform draws: at t a block begins at start[t]
    where fresh[t] ≤ p.
    """
    rows, count = values.shape
    for n in range(count):
        mean[n] = 0.0
    row = 0
    for t in range(rows):
        row = start[t] if t == 0 or fresh[t] <= p else after(row, rows)
        for n in range(count):
            mean[n] += values[row, n]
    for n in range(count):
        mean[n] /= rows


@njit
def fill_blocks(starts, lengths, words, key, path, number, rate):
    """Fill where in (0, 1) the blocks from `number` on begin, and their lengths, (N,) each; `words` (2·N,) is scratch.

    Lengths are geometric, 1/p on average: rate = 1/ln(1 − p), 0 where p = 1.  N is even.
    """
    fill_words(words, key, BLOCK, path, 2 * number)
    for n in range(len(starts)):
        starts[n] = uniform(words[2 * n])
        lengths[n] = 1.0 + floor(log(uniform(words[2 * n + 1])) * rate)


@inlined
def rate_of(p):
    """1/ln(1 − p)."""
    return 1.0 / log1p(-p) if p < 1.0 else 0.0


@njit
def fill_stationary(out, first, key, rows, p):
    """Fill `out` (P, S) int64 with the rows, of `rows`, that paths `first` … draw."""
    paths, steps = out.shape
    starts, lengths, words = np.empty(AHEAD), np.empty(AHEAD), np.empty(2 * AHEAD, np.uint64)
    rate = rate_of(p)
    for i in range(paths):
        row, number, stop = 0, 0, 0
        for t in range(steps):
            if t == stop:
                n = number % AHEAD
                if n == 0:
                    fill_blocks(starts, lengths, words, key, first + i, number, rate)
                row = min(int(starts[n] * rows), rows - 1)
                stop = t + int(min(lengths[n], steps))
                number += 1
            out[i, t] = row
            row = after(row, rows)


@njit
def fill_labels(out, first, key, start, transition):
    """Fill `out` (P, S) int64 with labels of a Markov chain; cumulative `start` (L,) and `transition` (L, L)."""
    paths, steps = out.shape
    words = np.empty(steps, np.uint64)
    for i in range(paths):
        fill_words(words, key, LABEL, first + i, 0)
        k = 0
        for t in range(steps):
            u, before, k = uniform(words[t]), k, 0
            while u > (start[k] if t == 0 else transition[before, k]):
                k += 1
            out[i, t] = k


@njit
def fill_matched(out, wanted, first, key, labels, members, bounds, p):
    """The same of rows whose label is the one wanted at the step; a block also ends where the next row has another.

    `wanted` (P, S) int64 are the labels of the paths, `labels` (T,) int64 those of the rows, and
    members[bounds[k] : bounds[k + 1]] the rows with label k, increasing: at least one of each that is wanted.  With one
    label the rows are those of `fill_stationary`.
    """
    paths, steps = out.shape
    rows = len(labels)
    starts, lengths, words = np.empty(AHEAD), np.empty(AHEAD), np.empty(2 * AHEAD, np.uint64)
    rate = rate_of(p)
    for i in range(paths):
        row, number, left = 0, 0, 0.0
        for t in range(steps):
            k = wanted[i, t]
            row = after(row, rows)
            left -= 1.0
            if left <= 0.0 or labels[row] != k:
                n = number % AHEAD
                if n == 0:
                    fill_blocks(starts, lengths, words, key, first + i, number, rate)
                count = bounds[k + 1] - bounds[k]
                row = members[bounds[k] + min(int(starts[n] * count), count - 1)]
                left = lengths[n]
                number += 1
            out[i, t] = row


@njit
def take_rows(out, values, rows):
    """Fill `out` (P, S, A) with values[rows]: `values` (T, A), `rows` (P, S) int64."""
    paths, steps, columns = out.shape
    for i in range(paths):
        for t in range(steps):
            for a in range(columns):
                out[i, t, a] = values[rows[i, t], a]


@njit
def measure_stationary(out, first, steps, key, simple, logs, p, floor, limit):
    """Fill `out` (P,) of EXCURSION with what resamples of `steps` ≥ 2 of (T,) returns come to.

    `logs` are ln(1 + `simple`).  The rows are those of `fill_stationary`, never kept; `floor` and `limit` as in
    `measure`.
    """
    rows = len(simple)
    starts, lengths, words = np.empty(AHEAD), np.empty(AHEAD), np.empty(2 * AHEAD, np.uint64)
    rate = rate_of(p)
    for i in range(len(out)):
        begin(out[i])
        row, number, stop = 0, 0, 0
        x, peak, deepest, total, squares = 0.0, 0.0, 0.0, 0.0, 0.0
        for t in range(steps):
            if t == stop:
                n = number % AHEAD
                if n == 0:
                    fill_blocks(starts, lengths, words, key, first + i, number, rate)
                row = min(int(starts[n] * rows), rows - 1)
                stop = t + int(min(lengths[n], steps))
                number += 1
            total += simple[row]
            squares += simple[row] * simple[row]
            x += logs[row]
            peak, deepest = follow(out[i], x, peak, deepest, t + 1, floor, limit)
            row = after(row, rows)
        end(out[i], x, deepest, steps)
        spread = (squares - total * total / steps) / (steps - 1.0)
        out[i]["mean"], out[i]["deviation"] = total / steps, spread**0.5 if spread > 0.0 else 0.0
