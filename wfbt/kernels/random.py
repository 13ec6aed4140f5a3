"""Random numbers by their place: a counter-based generator, so that a draw depends on its key and its address alone.

Philox4x64-10 (Salmon, Moraes, Dror and Shaw 2011), the generator that numpy calls Philox.  The address of a draw is
(place, stream, path): the `place`-th draw of one purpose on one path.  Neither threads nor batches nor the number of
paths can move it.
"""

from math import exp, log, sqrt

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from wfbt.kernels._jit import inlined, njit

LAYERS = 256
BASE = 3.654152885361009
"""Where the tail begins with 256 layers of equal area (Marsaglia and Tsang 2000)."""
INDEX = np.uint64(LAYERS - 1)
SIGN, ONE, BITS = np.uint64(8), np.uint64(1), np.uint64(12)


def _layers():
    """Edges (LAYERS + 1,) of the ziggurat from the outermost in, and the density exp(−x²/2) at each."""
    tail = float(np.sqrt(np.pi / 2.0)) * _upper(BASE)
    area = BASE * exp(-BASE * BASE / 2.0) + tail
    edge = np.empty(LAYERS + 1)
    edge[0], edge[1], edge[LAYERS] = area * exp(BASE * BASE / 2.0), BASE, 0.0
    for i in range(2, LAYERS):
        edge[i] = sqrt(-2.0 * log(area / edge[i - 1] + exp(-(edge[i - 1] ** 2) / 2.0)))
    return edge, np.exp(-edge * edge / 2.0)


def _upper(x):
    """Twice the upper tail of a standard normal, far out: Laplace's continued fraction."""
    below = x
    for k in range(60, 0, -1):
        below = x + k / below
    return 2.0 * exp(-x * x / 2.0) / sqrt(2.0 * np.pi) / below


EDGE, DENSITY = _layers()


def high(a, b):
    """The upper 64 bits of the product of two uint64."""
    return np.uint64((int(a) * int(b)) >> 64)


def low(a, b):
    """The lower 64 bits of it."""
    return np.uint64((int(a) * int(b)) & 0xFFFFFFFFFFFFFFFF)


def add(a, b):
    """The sum of two uint64, round the end."""
    return np.uint64((int(a) + int(b)) & 0xFFFFFFFFFFFFFFFF)


@intrinsic
def _high(typing, a, b):
    def generate(context, builder, signature, arguments):
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(one, wide) for one in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@overload(high, inline="always")
def _high_compiled(a, b):
    def multiply(a, b):
        return _high(a, b)

    return multiply


@overload(low, inline="always")
def _low_compiled(a, b):
    def multiply(a, b):
        return a * b

    return multiply


@overload(add, inline="always")
def _add_compiled(a, b):
    def plus(a, b):
        return a + b

    return plus


@inlined
def philox(c0, c1, c2, c3, k0, k1):
    """Four uint64 of the counter (c0, c1, c2, c3) under the key (k0, k1), all uint64."""
    for _ in range(10):
        h0, l0 = high(np.uint64(0xD2E7470EE14C6C93), c0), low(np.uint64(0xD2E7470EE14C6C93), c0)
        h1, l1 = high(np.uint64(0xCA5A826395121157), c2), low(np.uint64(0xCA5A826395121157), c2)
        c0, c1, c2, c3 = h1 ^ c1 ^ k0, l1, h0 ^ c3 ^ k1, l0
        k0 = add(k0, np.uint64(0x9E3779B97F4A7C15))
        k1 = add(k1, np.uint64(0xBB67AE8584CAA73B))
    return c0, c1, c2, c3


@njit
def fill_words(out, key, stream, path, place):
    """Fill `out` (N,) uint64 with the draws of (stream, path) from `place` on, under `key` (2,) uint64.

    `place` is a multiple of 4.
    """
    k0, k1 = key[0], key[1]
    c1, c2, zero = np.uint64(stream), np.uint64(path), np.uint64(0)
    count, begin = len(out), place // 4
    for b in range(count // 4):
        w0, w1, w2, w3 = philox(np.uint64(begin + b), c1, c2, zero, k0, k1)
        out[4 * b], out[4 * b + 1], out[4 * b + 2], out[4 * b + 3] = w0, w1, w2, w3
    rest = count % 4
    if rest:
        w0, w1, w2, _ = philox(np.uint64(begin + count // 4), c1, c2, zero, k0, k1)
        out[count - rest] = w0
        if rest > 1:
            out[count - rest + 1] = w1
        if rest > 2:
            out[count - rest + 2] = w2


@inlined
def uniform(word):
    """In (0, 1), from the upper 52 bits of a word: half of one more would be rounded up to 1."""
    return (np.float64(word >> BITS) + 0.5) * 2.0**-52


@inlined
def below(word, count):
    """A whole number in 0 … count − 1 from a word; no draw is rejected, the bias is below count/2⁶⁴."""
    return np.int64(high(word, np.uint64(count)))


@njit
def seldom_normal(layer, x, place, stream, path, k0, k1):
    """Whether |z| = x, of `layer` and outside the next one, is kept; if not, another: 1 in 80 normals comes here.

    What further draws it takes are those of the same place with a fourth counter above 0, so they are nobody else's.
    """
    attempt = 0
    while True:
        attempt += 1
        w0, w1, w2, _ = philox(np.uint64(place), np.uint64(stream), np.uint64(path), np.uint64(attempt), k0, k1)
        if layer == 0:
            tail = -log(uniform(w0)) / BASE
            if -2.0 * log(uniform(w1)) > tail * tail:
                return BASE + tail
            continue
        if DENSITY[layer] + uniform(w0) * (DENSITY[layer + 1] - DENSITY[layer]) < exp(-0.5 * x * x):
            return x
        layer = np.int64(w1 & INDEX)
        x = uniform(w2) * EDGE[layer]
        if x < EDGE[layer + 1]:
            return x


@inlined
def normal(word, place, stream, path, k0, k1):
    """Standard normal of the word at its address, by the ziggurat of Marsaglia and Tsang (2000).

    Layer, sign and size take different bits of the word (Doornik 2005).
    """
    layer = np.int64(word & INDEX)
    x = uniform(word) * EDGE[layer]
    if x >= EDGE[layer + 1]:
        x = seldom_normal(layer, x, place, stream, path, k0, k1)
    return -x if (word >> SIGN) & ONE else x


@njit
def fill_normals(out, words, key, stream, path):
    """Fill `out` (N,) with the standard normals of (stream, path); `words` (N,) uint64 is scratch."""
    fill_words(words, key, stream, path, 0)
    k0, k1 = key[0], key[1]
    for n in range(len(out)):
        out[n] = normal(words[n], n, stream, path, k0, k1)
