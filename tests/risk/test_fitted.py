"""Levels 2 and 3 of what the features fit: regimes by a chain, variances by GJR-GARCH."""

import numpy as np
import pytest

from tests.risk.histories import HOUR, SEED
from wfbt.features.garch import fit_garch
from wfbt.features.regimes import Regimes
from wfbt.risk.monte_carlo import FilteredGarch, History, RegimeSwitching, log_returns


def told(returns):
    ts = HOUR * np.arange(1, len(returns) + 2)
    return History(symbols=("X",), close_ts=ts[1:], returns=returns[:, None], read=ts)


def test_a_fitted_garch_simulates_the_variance_that_made_its_rows():
    rng = np.random.default_rng(0)
    variance, returns = 1e-4, []
    for z in rng.normal(size=6000):
        returns.append(np.sqrt(variance) * z)
        variance = 2e-6 + 0.06 * returns[-1] ** 2 + (0.08 * returns[-1] ** 2 if z < 0 else 0.0) + 0.88 * variance
    past = told(np.array(returns))
    fitted = fit_garch(past.returns[:, 0], "gjr-garch", "normal", 1)
    params = {name: np.array([value]) for name, value in fitted.params.items()}
    model = FilteredGarch.fit(past, params, fitted.one_step(past.returns[:, 0])[:, None])
    assert model.persistence[0] == pytest.approx(0.98, abs=0.015)
    assert model.residuals.std() == pytest.approx(1.0) and len(model.residuals) == 5999
    r = log_returns(model, first=0, paths=500, steps=1500, seed=SEED)[:, 500:, 0]
    assert np.mean(r**2) == pytest.approx(2e-6 / 0.02, rel=0.35)
    fall, rise = r[:, :-1] < 0, r[:, :-1] > 0
    assert np.mean(r[:, 1:][fall] ** 2) > 1.05 * np.mean(r[:, 1:][rise] ** 2)


def test_a_fitted_chain_simulates_the_storms_that_made_its_rows():
    rng = np.random.default_rng(1)
    state = (np.cumsum(rng.random(4000) < 0.02)) % 2
    past = told(np.where(state, 0.03, 0.008) * rng.normal(size=4000))
    chain = Regimes(states=2).fit(past.returns)
    states = np.argmax(chain.filter(past.returns), axis=1)
    model = RegimeSwitching.fit(past, states, chain.fitted.transition)
    assert np.sqrt(model.covariance[:, 0, 0]) == pytest.approx([0.008, 0.03], rel=0.1)
    assert np.diag(model.transition) == pytest.approx([0.98, 0.98], abs=0.01)
    r = log_returns(model, first=0, paths=400, steps=500, seed=SEED)[:, :, 0]
    assert r.std() == pytest.approx(past.returns.std(), rel=0.1)
    size = np.abs(r)
    lean = np.corrcoef(size[:, 1:].ravel(), size[:, :-1].ravel())[0, 1]
    own = np.abs(past.returns[:, 0])
    assert lean == pytest.approx(np.corrcoef(own[1:], own[:-1])[0, 1], abs=0.08)
