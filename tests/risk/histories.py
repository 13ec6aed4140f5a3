"""Histories and fitted levels to simulate from."""

import numpy as np

from wfbt.risk.monte_carlo import FilteredGarch, History

HOUR = 3_600_000_000_000
SEED = np.random.SeedSequence(77)


def history(assets=1, rows=1500, number=0, tails=4.0):
    """Returns with a common factor and tails that come together."""
    rng = np.random.default_rng(number)
    heavy = np.sqrt(tails / rng.chisquare(tails, (rows, 1)))
    returns = 0.01 * heavy * (0.8 * rng.normal(size=(rows, 1)) + 0.6 * rng.normal(size=(rows, assets)))
    ts = HOUR * np.arange(1, rows + 2)
    symbols = tuple(f"S{a}" for a in range(assets))
    return History(symbols=symbols, close_ts=ts[1:], returns=returns, read=ts)


def garch(assets=1, residuals=None, alpha=0.05, gamma=0.04, beta=0.9, variance=1e-4):
    """Level 3 whose variance starts where it stays on average, if z has variance 1."""
    if residuals is None:
        z = history(assets).returns
        residuals = (z - z.mean(axis=0)) / z.std(axis=0)
    omega = variance * (1 - alpha - gamma / 2 - beta)
    terms = {"omega": omega, "alpha": alpha, "gamma": gamma, "beta": beta, "variance": variance, "mean": 0.0005}
    return FilteredGarch(
        symbols=tuple(f"S{a}" for a in range(assets)),
        residuals=residuals,
        **{name: np.full(assets, value) for name, value in terms.items()},
    )
