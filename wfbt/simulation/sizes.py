"""What the account would have grown and risked at other sizes: Kelly's, how little is known of it, and the frontier."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.data.market import DAY
from wfbt.risk.kelly import growth_ruin_frontier, kelly_fraction, kelly_growth
from wfbt.risk.monte_carlo import bootstrap
from wfbt.risk.proportion import proportion
from wfbt.simulation.told import share_told

F8 = npt.NDArray[np.float64]

RESAMPLES = 2_000
"""For the interval of Kelly's size."""
EDGES = (2.5, 97.5)


def kelly_told(returns: F8, block: int, periods_per_year: float, seed: np.random.SeedSequence) -> dict[str, Any]:
    """Kelly's size in multiples of the size traded, from (D,) daily returns that vary.

    The interval is that of resamples as long as the account: of the same days in another order a mean is as uncertain
    as this one.
    """
    mu, sigma = float(returns.mean()) * periods_per_year, float(returns.std(ddof=1)) * np.sqrt(periods_per_year)
    again = bootstrap(returns, resamples=RESAMPLES, steps=len(returns), seed=seed, block=block, ruin=None)
    varied = again.deviation > 0.0
    means = again.mean[varied] * periods_per_year
    fractions = again.mean[varied] / again.deviation[varied] ** 2
    (mu_low, mu_high), (low, high) = np.percentile(means, EDGES), np.percentile(fractions, EDGES)
    best = kelly_fraction(mu, sigma)
    return {
        "mu": {"estimate": mu, "low": float(mu_low), "high": float(mu_high)},
        "sigma": sigma,
        "fraction": {"estimate": best, "low": float(low), "high": float(high)},
        "half": best / 2.0,
        "growth": kelly_growth(mu, sigma, best),
        "growth_as_traded": kelly_growth(mu, sigma, 1.0),
        "resamples": int(varied.sum()),
    }


def frontier_told(
    returns: F8,
    block: int,
    sizes: Sequence[float],
    *,
    periods_per_year: float,
    days: int,
    horizon: int,
    loss: float,
    paths: int,
    seed: np.random.SeedSequence,
    jobs: int,
) -> list[dict[str, Any]]:
    """Growth and ruin within `horizon` ns (`days` days of returns) at multiples of the size traded.

    Once by the closed form of a Brownian motion, once by resampled days times the size.  Neither knows of the impact of
    larger orders or of the limits that would stop them.
    """
    mu, sigma = float(returns.mean()) * periods_per_year, float(returns.std(ddof=1)) * np.sqrt(periods_per_year)
    exact = growth_ruin_frontier(mu, sigma, sizes, loss=loss, horizon=horizon / (365 * DAY))
    rows = []
    for size, form in zip(sizes, exact.sizes, strict=True):
        scaled = np.maximum(size * returns, -1.0)
        found = bootstrap(scaled, resamples=paths, steps=days, seed=seed, block=block, ruin=loss, jobs=jobs)
        with np.errstate(divide="ignore"):
            growth = float(np.median(np.log(found.final))) * periods_per_year / days
        reasons = {} if form.multiple is not None else {"multiple_of_kelly": form.reason}
        if not isfinite(growth):
            reasons["median_growth"] = "more than half of the accounts lost everything"
        rows.append(
            {
                "size": size,
                "multiple_of_kelly": form.multiple,
                "growth": form.growth,
                "ruin_closed_form": form.ruin,
                "ruin_ever_closed_form": form.ruin_ever,
                "median_growth": growth if isfinite(growth) else None,
                "ruin": share_told(proportion(int(found.ruined.sum()), len(found))),
                "depth_p95": float(np.quantile(found.depth, 0.95, method="higher")),
                "reasons": reasons,
            }
        )
    return rows
