"""Five models of the market step by step, by their definitions; nothing from wfbt."""

from math import exp, inf, log, log1p, sqrt

import numpy as np
from scipy import stats

from tests.naive.random import block, normal, normals, uniform, words

NORMAL, STATE, ROW, COMMON, SCALE, AGAIN = (k << 32 for k in range(6))
BLOCK, LABEL = 8 << 32, 9 << 32


def brownian(key, path, steps, mean, root):
    z = np.array([normals(key, NORMAL + a, path, steps) for a in range(len(mean))]).T
    return mean + z @ np.tril(root).T


def pick(probabilities, u):
    total = 0.0
    for k, p in enumerate(probabilities):
        total += p
        if u <= total:
            return k
    return len(probabilities) - 1


def chain(key, stream, path, steps, start, transition):
    states = []
    for word in words(key, stream, path, steps):
        states.append(pick(transition[states[-1]] if states else start, uniform(word)))
    return states


def regimes(key, path, steps, start, transition, mean, root):
    states = chain(key, STATE, path, steps, start, transition)
    each = [brownian(key, path, steps, mean[k], root[k]) for k in range(len(mean))]
    return np.array([each[k][t] for t, k in enumerate(states)]), states


def vary(z, mean, terms, variance):
    """Returns of one asset with GJR-GARCH variances."""
    omega, alpha, gamma, beta = terms
    out = []
    for one in z:
        shock = sqrt(variance) * one
        out.append(mean + shock)
        variance = omega + alpha * shock**2 + (gamma * shock**2 if shock < 0 else 0.0) + beta * variance
    return out


def garch(key, path, steps, mean, terms, variance, residuals):
    if len(residuals):
        rows = [word * len(residuals) >> 64 for word in words(key, ROW, path, steps)]
        z = residuals[rows].T
    else:
        z = [normals(key, NORMAL + a, path, steps) for a in range(len(mean))]
    return np.array([vary(z[a], mean[a], terms[a], variance[a]) for a in range(len(mean))]).T


def scale(key, path, t, nu):
    """√(ν/χ²), the gamma variate behind it by Marsaglia and Tsang."""
    d = nu / 2 - 1 / 3
    first = words(key, SCALE, path, t + 1)[t]
    x, u = normal(first, key, t, SCALE, path), uniform(words(key, SCALE + 1, path, t + 1)[t])
    attempt = 0
    while True:
        v = (1 + x / sqrt(9 * d)) ** 3
        if v > 0 and log(u) < x * x / 2 + d - d * v + d * log(v):
            return sqrt(nu / (2 * d * v))
        w = block(key, t, AGAIN + attempt, path, 0)
        x, u = normal(w[0], key, t, AGAIN + attempt, path), uniform(w[1])
        attempt += 1


def correlated(key, path, steps, mean, terms, variance, quantiles, loadings, nu):
    assets, factors = loadings.shape
    common = np.array([normals(key, COMMON + f, path, steps) for f in range(factors)]).reshape(factors, steps)
    heavy = np.array([1.0 if nu == inf else scale(key, path, t, nu) for t in range(steps)])
    law = stats.norm if nu == inf else stats.t(nu)
    out = []
    for a in range(assets):
        own = sqrt(1 - sum(loadings[a] ** 2)) * np.array(normals(key, NORMAL + a, path, steps))
        u = law.cdf((loadings[a] @ common + own) * heavy)
        z = quantiles[a][np.minimum((u * quantiles.shape[1]).astype(int), quantiles.shape[1] - 1)]
        out.append(vary(z, mean[a], terms[a], variance[a]))
    return np.array(out).T


def combined(returns, weights):
    """Log returns of an account that holds `weights` of its equity at each step."""
    gains = [sum(w * (exp(r) - 1) for w, r in zip(weights, row, strict=True)) for row in returns]
    return [log1p(gain) if gain > -1 else -inf for gain in gains]


def blocks(key, path, p, count):
    """Where in (0, 1) each block begins, and its length: trials until one of probability p succeeds."""
    drawn = words(key, BLOCK, path, 2 * count)
    out = []
    for n in range(count):
        u, length = uniform(drawn[2 * n + 1]), 1
        if p < 1:
            length += int(log(u) / log(1 - p))
        out.append((uniform(drawn[2 * n]), length))
    return out


def stationary(key, path, steps, rows, p):
    out = []
    for begin, length in blocks(key, path, p, steps):
        out += [(int(begin * rows) + k) % rows for k in range(min(length, steps))]
        if len(out) >= steps:
            return out[:steps]
    raise AssertionError("a block has at least one row")


def matched(key, path, wanted, labels, p):
    drawn = iter(blocks(key, path, p, len(wanted)))
    out, left = [], 0
    for k in wanted:
        follows = (out[-1] + 1) % len(labels) if out else None
        if left > 0 and labels[follows] == k:
            out.append(follows)
        else:
            begin, left = next(drawn)
            members = [row for row, label in enumerate(labels) if label == k]
            out.append(members[int(begin * len(members))])
        left -= 1
    return out


def excursions(returns, floor, limit):
    """What a path of log returns comes to, from its whole history at each step."""
    level = [0.0]
    for r in returns:
        level.append(level[-1] + r)
    n = len(returns)
    peaks = [max(level[: t + 1]) for t in range(n + 1)]
    fall = [peaks[t] - level[t] if level[t] < peaks[t] else 0.0 for t in range(n + 1)]
    deepest = max(fall)
    trough = fall.index(deepest)
    regained = next((t for t in range(trough, n + 1) if level[t] >= peaks[trough]), None)
    at_peak = [t for t in range(n + 1) if fall[t] == 0.0]
    spells = [later - sooner for sooner, later in zip(at_peak, [*at_peak[1:], n], strict=True)]
    return {
        "final": exp(level[-1]),
        "depth": 1 - exp(-deepest),
        "trough_at": trough,
        "regained_at": regained,
        "peak_at": at_peak[-1],
        "peaks": len(at_peak) - 1,
        "longest": max([one for one in spells[:-1] if one > 1] + spells[-1:]),
        "ruined_at": next((t for t in range(1, n + 1) if level[t] <= floor), None),
        "breached_at": next((t for t in range(1, n + 1) if fall[t] > 0 and -fall[t] <= limit), None),
    }
