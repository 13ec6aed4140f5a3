"""Trailing means and deviations, in one pass over the series."""

from math import sqrt

from wfbt.kernels._jit import njit


@njit
def fill_moments(mean, deviation, series, rows, tail, tail_squares):
    """Fill `mean` and `deviation` (T,) of a series (T,); `tail` and `tail_squares` are scratch, (rows − 1,).

    `features.rolling.rolling_moments` says how.
    """
    width, size = rows - 1, len(series)
    for begin in range(0, size, width):
        reference = series[0] if begin == 0 else series[begin - 1]
        total, squares = 0.0, 0.0
        for j in range(width - 1, -1, -1):
            if begin > 0:
                gap = series[begin - width + j] - reference
                total += gap
                squares += gap * gap
            tail[j] = total
            tail_squares[j] = squares
        total, squares = 0.0, 0.0
        for j in range(min(width, size - begin)):
            i = begin + j
            gap = series[i] - reference
            total += gap
            squares += gap * gap
            count = float(rows) if begin > 0 else float(j + 1)
            both = total + tail[j]
            mean[i] = reference + both / count
            if i > 0:
                spread = max(squares + tail_squares[j] - both * both / count, 0.0)
                deviation[i] = sqrt(spread / (count - 1.0))
