"""Draws that depend on a key and a time alone, in one pass."""

import numpy as np

from wfbt.kernels._jit import njit


@njit
def fill_uniforms(out, ts, first, second):
    """Fill `out` with the finaliser of splitmix64, twice, over each of `ts` and the key (first, second)."""
    for i in range(len(ts)):
        z = np.uint64(ts[i]) * np.uint64(0x9E3779B97F4A7C15) + first
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = (z ^ (z >> np.uint64(31))) + second
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = (z ^ (z >> np.uint64(31))) + first
        # The largest half is rounded up to 1, at which a quantile is infinite.
        out[i] = min((np.float64(z >> np.uint64(11)) + 0.5) * 2.0**-53, 1.0 - 2.0**-53)
