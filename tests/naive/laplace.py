"""The distribution of the largest drawdown by inverting a Laplace transform: no eigenvalues."""

from cmath import cosh, exp, sinh, sqrt
from math import comb
from math import exp as real_exp

ACCURACY = 22.0
TERMS, AVERAGED = 30, 14


def drawdown_probability(depth, mu, horizon=1.0):
    """P(a Brownian motion of unit volatility and drift mu has a drawdown of `depth` before the horizon).

    Taylor (1975) gives E exp(−s·τ) of the time τ of the first such drawdown; P(τ > t) has the transform (1 − that)/s,
    inverted by the Fourier series of Abate & Whitt (1995) with Euler's averaging.
    """

    def transform(s):
        rate = sqrt(mu * mu + 2.0 * s)
        first = rate * exp(-mu * depth) / (rate * cosh(rate * depth) - mu * sinh(rate * depth))
        return (1.0 - first) / s

    scale = real_exp(ACCURACY / 2.0) / horizon
    total = 0.5 * scale * transform(complex(ACCURACY / (2.0 * horizon))).real
    partial = []
    for k in range(1, TERMS + AVERAGED + 1):
        s = complex(ACCURACY, 2.0 * k * 3.141592653589793) / (2.0 * horizon)
        total += scale * (-1) ** k * transform(s).real
        partial.append(total)
    alive = sum(comb(AVERAGED, j) * partial[TERMS - 1 + j] for j in range(AVERAGED + 1)) / 2**AVERAGED
    return 1.0 - alive
