"""Draws by their definitions in whole numbers; nothing from wfbt.

Words come from numpy's own generator, normals from a ziggurat whose layers are found by bisection.
"""

from functools import cache
from math import erfc, exp, log, pi, sqrt

import numpy as np

LAYERS = 256


def words(key, stream, path, count, attempt=0):
    """The first `count` words at the address (·, stream, path, attempt) under `key`."""
    # numpy counts up before it draws, so the first block is that of one more.
    before = ((attempt << 192) | (path << 128) | (stream << 64)) - 1
    counter = [(before % 2**256 >> shift) % 2**64 for shift in (0, 64, 128, 192)]
    state = np.random.Philox(counter=np.array(counter, np.uint64), key=np.array(key, np.uint64))
    return [int(word) for word in state.random_raw(count)]


def block(key, place, stream, path, attempt):
    """The four words of one counter."""
    before = ((attempt << 192) | (path << 128) | (stream << 64) | place) - 1
    counter = [(before % 2**256 >> shift) % 2**64 for shift in (0, 64, 128, 192)]
    state = np.random.Philox(counter=np.array(counter, np.uint64), key=np.array(key, np.uint64))
    return [int(word) for word in state.random_raw(4)]


def uniform(word):
    return ((word >> 12) + 0.5) / 2**52


def density(x):
    return exp(-x * x / 2)


def pile(base):
    """Edges from the outermost layer in, each of the area of the first with its tail; and what is left at the top."""
    area = base * density(base) + sqrt(pi / 2) * erfc(base / sqrt(2))
    edges = [area / density(base), base]
    while len(edges) < LAYERS:
        height = area / edges[-1] + density(edges[-1])
        if height >= 1.0:
            return edges, -1.0
        edges.append(sqrt(-2 * log(height)))
    return edges, 1.0 - density(edges[-1]) - area / edges[-1]


@cache
def edges():
    """Of the base for which the last layer just reaches the top of the density."""
    short, long = 3.0, 4.0
    for _ in range(100):
        middle = (short + long) / 2
        short, long = (middle, long) if pile(middle)[1] < 0 else (short, middle)
    return [*pile(long)[0], 0.0]


def normal(word, key, place, stream, path):
    """By Marsaglia and Tsang: under the density of a random layer, or another try."""
    edge = edges()
    layer, sign, u, attempt = word & 255, -1.0 if word >> 8 & 1 else 1.0, uniform(word), 0
    while True:
        x = u * edge[layer]
        if x < edge[layer + 1]:
            return sign * x
        if layer == 0:
            while True:
                attempt += 1
                w = block(key, place, stream, path, attempt)
                tail = -log(uniform(w[0])) / edge[1]
                if -2 * log(uniform(w[1])) > tail * tail:
                    return sign * (edge[1] + tail)
        attempt += 1
        w = block(key, place, stream, path, attempt)
        height = density(edge[layer]) + uniform(w[0]) * (density(edge[layer + 1]) - density(edge[layer]))
        if height < density(x):
            return sign * x
        layer, u = w[1] & 255, uniform(w[2])


def normals(key, stream, path, count):
    return [normal(word, key, place, stream, path) for place, word in enumerate(words(key, stream, path, count))]
