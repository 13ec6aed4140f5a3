"""Paths do not depend on who draws them, and what they come to is counted right."""

from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.risk.histories import SEED, garch, history
from wfbt.errors import ConfigError
from wfbt.risk import monte_carlo
from wfbt.risk.monte_carlo import (
    NEVER,
    Brownian,
    CorrelatedGarch,
    LabelledHistory,
    RegimeSwitching,
    bootstrap,
    fan,
    log_returns,
    simulate,
)
from wfbt.risk.recovery import largest_drawdowns
from wfbt.risk.survival import survival_points


def models():
    past = history(2)
    states = (np.arange(1500) // 50) % 2
    return [
        Brownian.fit(past),
        RegimeSwitching.fit(past, states, np.array([[0.98, 0.02], [0.02, 0.98]])),
        garch(2),
        CorrelatedGarch.fit(garch(2)),
        LabelledHistory.fit(past, states, block=5),
    ]


def same(one, other, count=None):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert np.array_equal(a[:count], b[:count], equal_nan=True), field.name
        else:
            assert a == b


@pytest.mark.parametrize("model", models(), ids=lambda model: f"level {model.level}")
def test_a_path_is_the_same_in_any_thread_batch_and_number_of_paths(model, monkeypatch):
    given = {"steps": 60, "seed": SEED, "weights": [0.7, -0.4], "ruin": 0.1, "drawdown": 0.05}
    found = simulate(model, paths=257, **given)
    same(simulate(model, paths=257, jobs=2, **given), found)
    same(simulate(model, paths=100, **given), found, 100)
    monkeypatch.setattr(monte_carlo, "BATCH", 500)
    same(simulate(model, paths=257, jobs=2, **given), found)
    assert np.ptp(found.final) > 0
    longer = log_returns(model, first=0, paths=2, steps=90, seed=SEED)
    assert np.array_equal(longer[:, :60], log_returns(model, first=0, paths=2, steps=60, seed=SEED))


@pytest.mark.parametrize("model", models(), ids=lambda model: f"level {model.level}")
def test_the_paths_measured_are_the_paths_shown(model):
    r = log_returns(model, first=3, paths=4, steps=50, seed=SEED)
    equity = np.cumprod(1 + np.expm1(r) @ [0.7, -0.4], axis=1)
    found = simulate(model, steps=50, paths=7, seed=SEED, weights=[0.7, -0.4])
    assert_allclose(found.final[3:], equity[:, -1], rtol=1e-12)
    peak = np.maximum.accumulate(np.maximum(equity, 1.0), axis=1)
    assert_allclose(found.depth[3:], (1 - equity / peak).max(axis=1), rtol=1e-9, atol=1e-12)
    assert_allclose(found.under_water[3:], (equity < peak).mean(axis=1))


@pytest.mark.parametrize("model", models(), ids=lambda model: f"level {model.level}")
def test_drawdowns_are_those_that_equity_kept_whole_shows(model):
    returns = log_returns(model, first=0, paths=300, steps=120, seed=SEED)[:, :, 0]
    found = simulate(model, steps=120, paths=300, seed=SEED, weights=[1.0, 0.0]).drawdowns
    expected = largest_drawdowns(np.exp(np.c_[np.zeros(300), np.cumsum(returns, axis=1)]))
    assert_allclose(found.depth, expected.depth, rtol=1e-9, atol=1e-12)
    assert np.array_equal(found.recovery, expected.recovery)
    assert np.array_equal(found.recovered, expected.recovered)


def test_ruin_is_counted_by_capital_and_horizon_as_any_other():
    found = simulate(Brownian.fit(history()), steps=200, paths=500, seed=SEED, ruin=0.1)
    points = survival_points(found.ruined_at, found.steps, [50, 200])
    assert points[1].survived.estimate == 1 - found.ruined.mean()
    assert points[0].survived.estimate == np.mean(found.ruined_at > 50)


def test_a_fan_is_of_the_paths_that_are_measured():
    model = garch(2)
    given = {"steps": 40, "seed": SEED, "weights": [0.7, -0.4], "paths": 300}
    found = fan(model, percentiles=(10, 50), **given)
    assert found.shape == (41, 2) and (found[0] == 1.0).all()
    assert_allclose(found[-1], np.percentile(simulate(model, **given).final, (10, 50)), rtol=1e-12)
    assert (found[1:, 0] < found[1:, 1]).all()


def test_another_seed_is_another_future():
    model = Brownian.fit(history())
    one, other = (simulate(model, steps=20, paths=50, seed=np.random.SeedSequence(n)).final for n in (1, 2))
    assert not np.isin(one, other).any()


def test_ruin_by_a_leveraged_account_is_seen_and_final():
    model = Brownian(symbols=("X",), mean=[0.0], covariance=[[0.04]])
    found = simulate(model, steps=200, paths=500, seed=SEED, weights=[5.0])
    lost = found.final == 0.0
    assert lost.mean() > 0.9
    assert (found.depth[lost] == 1.0).all() and found.ruined[lost].all() and not found.recovered[lost].any()


def test_nothing_is_looked_for_where_no_line_is_given():
    found = simulate(Brownian.fit(history()), steps=300, paths=50, seed=SEED, ruin=None)
    assert (found.ruined_at == NEVER).all() and (found.breached_at == NEVER).all()
    assert np.isnan(found.sharpe).all()


def test_recovery_is_from_the_trough_and_cut_off_at_the_end():
    found = simulate(Brownian.fit(history()), steps=120, paths=400, seed=SEED)
    assert 0.2 < found.recovered.mean() < 0.8
    assert (found.recovery <= 120).all()
    assert (found.longest >= found.recovery).all()


def test_a_bootstrap_knows_what_its_returns_were():
    returns = np.random.default_rng(0).normal(0.001, 0.01, 500)
    found = bootstrap(returns, resamples=4000, seed=SEED)
    assert found.block >= 1 and found.level is None and found.steps == 500
    assert found.mean.mean() == pytest.approx(returns.mean(), abs=4 * 0.01 / np.sqrt(500 * 4000))
    ratio = returns.mean() / returns.std(ddof=1)
    assert np.median(found.sharpe) == pytest.approx(ratio, abs=0.005)
    same(bootstrap(returns, resamples=4000, seed=SEED, jobs=2), found)
    same(bootstrap(returns, resamples=70, seed=SEED), found, 70)


def test_returns_that_never_vary_have_no_sharpe_ratio():
    found = bootstrap(np.zeros(50), resamples=20, seed=SEED)
    assert np.isnan(found.sharpe).all()
    assert (found.depth == 0.0).all() and found.recovered.all() and (found.under_water == 0.0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: simulate(m, steps=0, seed=SEED, weights=[1, 1]), "steps must be in 1"),
        (lambda m: simulate(m, steps=9, paths=0, seed=SEED, weights=[1, 1]), "paths must be in 1"),
        (lambda m: simulate(m, steps=9, seed=SEED), "2 symbols need one weight each"),
        (lambda m: simulate(m, steps=9, seed=SEED, weights=[1.0]), "weights must be 2 finite numbers"),
        (lambda m: simulate(m, steps=9, seed=SEED, weights=[1, 1], ruin=1.0), r"ruin must be a fraction in \(0, 1\)"),
        (lambda m: bootstrap([0.1, -1.5], seed=SEED), r"returns\[1\] = -1.5 loses more than there is"),
        (lambda m: bootstrap([0.1, np.nan], seed=SEED), "finite"),
        (lambda m: bootstrap([0.1, 0.2], seed=SEED, block=3), "block must be in 1 … 2, was 3"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call(models()[0])
