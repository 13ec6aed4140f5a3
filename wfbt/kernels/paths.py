"""Simulated log returns of A assets: (P, S, A), path by path, each from its own address in the stream of draws.

In each kernel `first` is the number of the batch's first path, `key` (2,) uint64 the generator's, and all arrays but
`out` are read-only.
"""

from math import exp, factorial, inf, isinf, log, log1p, sqrt

import numpy as np

from wfbt.kernels._jit import inlined, njit
from wfbt.kernels.random import below, fill_normals, fill_words, normal, philox, uniform

# What a draw is for; the number of the asset or factor is added.
NORMAL, STATE, ROW, COMMON, SCALE, AGAIN = 0, 1 << 32, 2 << 32, 3 << 32, 4 << 32, 5 << 32
TABLE = 2048
"""Cells of the table that maps a t variate to its probability."""
LAST, ONE = np.uint32(TABLE - 1), np.uint32(1)
BEND = 2.0
SMALL = 0.12
F2, F3, F4, F5, F6, F7, F8, F9, F10 = (1.0 / factorial(k) for k in range(2, 11))
"""The table is even in x/(2 + |x|): fine in the middle, and it reaches infinity."""


@njit
def fill_brownian(out, first, key, mean, root):
    """Independent normal steps: `mean` (A,), `root` (A, A) the lower Cholesky root of their covariance."""
    paths, steps, assets = out.shape
    words, z = np.empty(steps, np.uint64), np.empty((assets, steps))
    for p in range(paths):
        for a in range(assets):
            fill_normals(z[a], words, key, NORMAL + a, first + p)
        for t in range(steps):
            for a in range(assets):
                value = mean[a]
                for b in range(a + 1):
                    value += root[a, b] * z[b, t]
                out[p, t, a] = value


@njit
def fill_regimes(out, states, first, key, start, transition, mean, root):
    """Normal steps whose `mean` (K, A) and `root` (K, A, A) are those of the state of a Markov chain of K states.

    `start` (K,) and the rows of `transition` (K, K) are cumulative, their last number 1.  `states` (P, S) int64 is
    filled too.
    """
    paths, steps, assets = out.shape
    words, z, chain = np.empty(steps, np.uint64), np.empty((assets, steps)), np.empty(steps, np.uint64)
    for p in range(paths):
        fill_words(chain, key, STATE, first + p, 0)
        for a in range(assets):
            fill_normals(z[a], words, key, NORMAL + a, first + p)
        k = 0
        for t in range(steps):
            u, before, k = uniform(chain[t]), k, 0
            while u > (start[k] if t == 0 else transition[before, k]):
                k += 1
            states[p, t] = k
            for a in range(assets):
                value = mean[k, a]
                for b in range(a + 1):
                    value += root[k, a, b] * z[b, t]
                out[p, t, a] = value


@inlined
def grown(variance, z, omega, alpha, gamma, beta):
    """σ² of the next step: ω + (α + γ·1{z < 0})·σ²·z² + β·σ²; written so that no root is waited for."""
    return omega + variance * (beta + (alpha + gamma if z < 0.0 else alpha) * z * z)


@njit
def fill_garch(out, first, key, mean, terms, variance, residuals):
    """Steps μ + σ·z with GJR-GARCH variances: Glosten, Jagannathan and Runkle (1993); γ = 0 is Bollerslev (1986).

    `terms` (A, 4) are ω, α, γ, β, `variance` (A,) σ² of the first step.  z is a row of `residuals` (N, A), drawn whole,
    so the assets stay as alike as they were; where N = 0 it is normal and independent.
    """
    paths, steps, assets = out.shape
    count = len(residuals)
    words, z = np.empty(steps, np.uint64), np.empty(steps)
    for p in range(paths):
        if count:
            fill_words(words, key, ROW, first + p, 0)
        for a in range(assets):
            if count == 0:
                fill_normals(z, words, key, NORMAL + a, first + p)
            else:
                for t in range(steps):
                    z[t] = residuals[below(words[t], count), a]
            omega, alpha, gamma, beta = terms[a, 0], terms[a, 1], terms[a, 2], terms[a, 3]
            own, level = variance[a], mean[a]
            for t in range(steps):
                out[p, t, a] = level + sqrt(own) * z[t]
                own = grown(own, z[t], omega, alpha, gamma, beta)


@inlined
def gamma_kept(x, u, d, c):
    """d·(1 + c·x)³ for a normal x where a uniform u keeps it, else 0: Marsaglia and Tsang (2000), shape d + 1/3 ≥ 1."""
    v = 1.0 + c * x
    if v <= 0.0:
        return 0.0
    v = v * v * v
    if u < 1.0 - 0.0331 * x * x * x * x or log(u) < 0.5 * x * x + d * (1.0 - v + log(v)):
        return d * v
    return 0.0


@njit
def seldom_gamma(d, c, place, path, k0, k1):
    """What comes in the place of a gamma variate that was not kept, from streams that nothing else uses."""
    stream = AGAIN
    while True:
        w0, w1, _, _ = philox(np.uint64(place), np.uint64(stream), np.uint64(path), np.uint64(0), k0, k1)
        value = gamma_kept(normal(w0, place, stream, path, k0, k1), uniform(w1), d, c)
        if value > 0.0:
            return value
        stream += 1


@njit
def fill_scales(out, z, words, key, path, nu):
    """Fill `out` (S,) with √(ν/χ²), χ² of ν ≥ 2 degrees of freedom: what makes normals Student's t.  Ones for ν = ∞."""
    out[:] = 1.0
    if isinf(nu):
        return
    d = nu / 2.0 - 1.0 / 3.0
    c = 1.0 / sqrt(9.0 * d)
    fill_normals(z, words, key, SCALE, path)
    fill_words(words, key, SCALE + 1, path, 0)
    for t in range(len(out)):
        value = gamma_kept(z[t], uniform(words[t]), d, c)
        if value == 0.0:
            value = seldom_gamma(d, c, t, path, key[0], key[1])
        out[t] = sqrt(nu / (2.0 * value))


@njit
def fill_correlated(out, first, key, mean, terms, variance, residuals, loadings, own, nu, table):
    """Steps of A such variances whose z hang together by a t copula with common factors.

    x = √(ν/χ²)·(loadings·g + own·e) with g (F,) and e (A,) normal: one χ² a step for all assets, which is what makes
    them fall together; ν infinite is the normal copula.  z is the quantile of row a of `residuals` (A, N), sorted, at
    the probability of x, read from `table` (TABLE + 1,).  `loadings` (A, F) and `own` (A,) have squares that sum to 1.
    """
    paths, steps, assets = out.shape
    factors, count = loadings.shape[1], residuals.shape[1]
    last = np.uint32(count - 1)
    words, scale = np.empty(steps, np.uint64), np.empty(steps)
    g, z = np.empty((factors, steps)), np.empty(steps)
    for p in range(paths):
        for f in range(factors):
            fill_normals(g[f], words, key, COMMON + f, first + p)
        fill_scales(scale, z, words, key, first + p, nu)
        for a in range(assets):
            fill_normals(z, words, key, NORMAL + a, first + p)
            for t in range(steps):
                z[t] *= own[a]
            for f in range(factors):
                for t in range(steps):
                    z[t] += loadings[a, f] * g[f, t]
            for t in range(steps):
                x = z[t] * scale[t]
                z[t] = (x / (BEND + abs(x)) + 1.0) * (0.5 * TABLE)
            for t in range(steps):
                cell = min(np.uint32(z[t]), LAST)
                u = table[cell] + (z[t] - cell) * (table[cell + ONE] - table[cell])
                z[t] = residuals[a, min(np.uint32(u * count), last)]
            omega, alpha, gamma, beta = terms[a, 0], terms[a, 1], terms[a, 2], terms[a, 3]
            own_variance, level = variance[a], mean[a]
            for t in range(steps):
                out[p, t, a] = level + sqrt(own_variance) * z[t]
                own_variance = grown(own_variance, z[t], omega, alpha, gamma, beta)


@inlined
def small_gain(r):
    """e^r − 1 by its series, exact to rounding for |r| ≤ SMALL: several at a time, where exp takes one."""
    return r * (1.0 + r * (F2 + r * (F3 + r * (F4 + r * (F5 + r * (F6 + r * (F7 + r * (F8 + r * (F9 + r * F10)))))))))


@njit
def combine(out, returns, weights):
    """Fill `out` (P, S) with log returns of an account that holds `weights` (A,) of its equity, anew at each step.

    −inf where nothing is left.
    """
    paths, steps, assets = returns.shape
    gains = np.empty((steps, assets))
    for p in range(paths):
        for t in range(steps):
            for a in range(assets):
                gains[t, a] = small_gain(returns[p, t, a])
        for t in range(steps):
            total = 0.0
            for a in range(assets):
                if abs(returns[p, t, a]) > SMALL:
                    gains[t, a] = exp(returns[p, t, a]) - 1.0
                total += weights[a] * gains[t, a]
            out[p, t] = log1p(total) if total > -1.0 else -inf
