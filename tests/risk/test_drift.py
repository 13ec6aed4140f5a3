"""All levels fitted on one history agree on what they do not disagree about."""

import numpy as np
import pytest

from tests.risk.histories import SEED, history
from wfbt.risk.monte_carlo import (
    Brownian,
    CorrelatedGarch,
    FilteredGarch,
    LabelledHistory,
    RegimeSwitching,
    log_returns,
)


def fitted(past):
    rows, assets = past.returns.shape
    params = {"mu": 0.002, "omega": 1e-5, "alpha": 0.02, "beta": 0.95}  # a mu that is no mean
    three = FilteredGarch.fit(
        past, {name: np.full(assets, value) for name, value in params.items()}, np.full((rows, assets), 3e-4)
    )
    states = (np.arange(rows) // 100) % 2
    moves = np.array([[0.99, 0.01], [0.01, 0.99]])
    return [
        Brownian.fit(past),
        RegimeSwitching.fit(past, states, moves),
        three,
        CorrelatedGarch.fit(three),
        LabelledHistory.fit(past, states),
    ]


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_the_drift_of_every_level_is_that_of_the_training_rows(level):
    past = history(2)
    model = fitted(past)[level - 1]
    means = log_returns(model, first=0, paths=2000, steps=200, seed=SEED).mean(axis=1)
    error = means.std(axis=0) / np.sqrt(2000)
    assert (np.abs(means.mean(axis=0) - past.returns.mean(axis=0)) < 4 * error + 1e-5).all()
    assert (4 * error + 1e-5 < 2e-4).all()
