"""Hansen's and White's tests by their definitions, one resample and one candidate at a time; nothing from wfbt."""

from math import log, sqrt


def resample(start, fresh, p):
    """Rows of one resample of the stationary bootstrap."""
    rows = []
    for t in range(len(start)):
        begins = not rows or fresh[t] <= p
        rows.append(int(start[t]) if begins else (rows[-1] + 1) % len(start))
    return rows


def long_run_deviation(gains, block):
    """ω of each column: every pair of days, weighted by how likely a resample keeps them together."""
    n, keep = len(gains), 1.0 - 1.0 / block
    out = []
    for column in gains.T:
        gap = [value - sum(column) / n for value in column]
        total = sum(value * value for value in gap) / n
        for i in range(1, n):
            together = (n - i) / n * keep**i + i / n * keep ** (n - i)
            total += 2.0 * together * sum(gap[t] * gap[t + i] for t in range(n - i)) / n
        out.append(sqrt(total))
    return out


def tests(gains, block, resamples, rng):
    """Counts of resamples that reach the statistic: lower, consistent, upper, reality check."""
    n, columns = gains.shape
    omega = long_run_deviation(gains, block)
    mean = [sum(gains[:, k]) / n for k in range(columns)]
    observed = max(0.0, *(sqrt(n) * mean[k] / omega[k] for k in range(columns)))
    raw = max(0.0, *(sqrt(n) * one for one in mean))
    counts = [0, 0, 0, 0]
    for _ in range(resamples):
        start = rng.integers(n, size=n)
        rows = resample(start, rng.random(n), 1.0 / block)
        best = [0.0, 0.0, 0.0, 0.0]
        for k in range(columns):
            again = sum(gains[row, k] for row in rows) / n
            relevant = sqrt(n) * mean[k] / omega[k] >= -sqrt(2.0 * log(log(n)))
            for j, centre in enumerate([max(mean[k], 0.0), mean[k] if relevant else 0.0, mean[k]]):
                best[j] = max(best[j], sqrt(n) * (again - centre) / omega[k])
            best[3] = max(best[3], sqrt(n) * (again - mean[k]))
        for j in range(4):
            counts[j] += best[j] >= (raw if j == 3 else observed)
    return counts
