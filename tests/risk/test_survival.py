"""Survival by capital and horizon, and the intervals around it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from wfbt.errors import ConfigError
from wfbt.kernels import survival
from wfbt.risk.proportion import proportion
from wfbt.risk.survival import (
    NEVER,
    SmallAccount,
    first_passage,
    loss_probability,
    replay_capitals,
    survival_curves,
    survival_points,
)


@given(st.integers(2, 5000), st.floats(0.0, 1.0))
def test_the_interval_is_wilson_s(n, share):
    count = min(n - 1, max(1, round(share * n)))
    got = proportion(count, n)
    assert (got.low, got.high) == pytest.approx(proportion_confint(count, n, 0.05, "wilson"), abs=1e-12)
    assert got.low <= got.estimate <= got.high


def test_what_never_happened_may_happen_three_times_in_n():
    assert proportion(0, 10_000).high == pytest.approx(3e-4)
    assert proportion(0, 10_000).low == 0.0
    assert proportion(10_000, 10_000).low == pytest.approx(1 - 3e-4)
    # The exact one-sided 95% bound is a hair below it.
    assert 1 - 0.05 ** (1 / 10_000) < 3e-4 < 1.002 * (1 - 0.05 ** (1 / 10_000))


def test_no_path_gives_no_probability():
    none = proportion(0, 0)
    assert none.estimate is none.low is none.high is None and none.reason
    with pytest.raises(ConfigError):
        proportion(3, 2)


def coverage(p, n):
    """Exact probability that the interval holds p, by summing over all counts."""
    counts = np.arange(n + 1)
    holds = [proportion(int(k), n).low <= p <= proportion(int(k), n).high for k in counts]
    return binom.pmf(counts, n, p)[holds].sum()


def test_the_interval_covers_what_it_promises():
    covered = [coverage(p, 200) for p in np.linspace(0.02, 0.98, 97)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.005)
    assert min(covered) > 0.92


def test_the_upper_end_errs_for_rare_ruin_no_more_than_one_in_twenty():
    n = 1000
    for p in (0.0005, 0.001, 0.0029, 0.0031, 0.005, 0.01, 0.02):
        too_low = [proportion(k, n).high < p for k in range(n + 1)]
        assert binom.pmf(np.arange(n + 1), n, p)[too_low].sum() <= 0.05


def paths(n=200, steps=120, seed=3, drift=-0.002, sigma=0.03):
    return np.random.default_rng(seed).normal(drift, sigma, (n, steps))


def test_survival_falls_with_the_horizon():
    replays = replay_capitals(paths(), np.ones(120), [1000.0, 5000.0], SmallAccount(fixed_cost=1.0))
    for curve in survival_curves(replays, [0, 10, 30, 60, 120]):
        alive = [point.survived.count for point in curve.points]
        assert alive == sorted(alive, reverse=True) and alive[0] == 200 and alive[-1] < 200


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 5.0))
def test_with_fixed_costs_no_path_ruins_the_larger_account_before_the_smaller(seed, fixed_cost):
    account = SmallAccount(fixed_cost=fixed_cost)
    replays = replay_capitals(paths(30, 60, seed), np.ones(60), [100.0, 300.0, 1000.0, 10_000.0], account)
    assert (np.diff(replays.ruined_at.astype(float), axis=0) >= 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([2.0, 8.0, 1024.0]))
def test_only_the_ratio_of_capital_to_minimum_and_cost_matters(seed, scale):
    returns = paths(20, 60, seed)
    exposure = np.random.default_rng(seed).uniform(-1, 1, returns.shape)
    base = replay_capitals(returns, exposure, [100.0], SmallAccount(min_order=30, fixed_cost=0.2, leverage=0.8))
    account = SmallAccount(min_order=30 * scale, fixed_cost=0.2 * scale, leverage=0.8)
    scaled = replay_capitals(returns, exposure, [100.0 * scale], account)
    assert np.array_equal(base.ruined_at, scaled.ruined_at)
    np.testing.assert_allclose(scaled.final, base.final * scale, rtol=1e-12)


def test_the_share_of_orders_too_small_falls_with_capital():
    exposure = np.random.default_rng(1).uniform(0.05, 0.3, (50, 100))
    replays = replay_capitals(
        np.zeros((50, 100)) + 1e-4, exposure, [100.0, 400.0, 2000.0, 1e6], SmallAccount(min_order=20)
    )
    curves = survival_curves(replays, [100])
    skipped, missed = [curve.skipped for curve in curves], [curve.missed for curve in curves]
    assert missed == sorted(missed, reverse=True) and missed[0] > 0.1 and missed[-1] < 1e-4
    assert skipped == sorted(skipped, reverse=True) and skipped[0] > 0.3 and skipped[-1] < 0.01


def test_orders_that_only_follow_the_drift_of_a_position_are_missed_at_no_loss():
    """Held at 1 give or take a thousandth: no such order is large enough, and next to nothing is missed."""
    exposure = np.random.default_rng(1).uniform(0.999, 1.001, (50, 300))
    returns = np.random.default_rng(2).normal(0.0, 0.001, (50, 300))
    (curve,) = survival_curves(replay_capitals(returns, exposure, [1e4], SmallAccount(min_order=100)), [300])
    assert curve.skipped > 0.3 and 0.0 < curve.missed < 0.01


def test_the_answer_does_not_depend_on_the_number_of_threads():
    given_ = (paths(), np.ones(120), [100.0, 1000.0, 5000.0], SmallAccount(min_order=50, fixed_cost=0.5))
    one, four = replay_capitals(*given_, jobs=1), replay_capitals(*given_, jobs=4)
    for name in ("ruined_at", "final", "made", "skipped", "wanting", "missing"):
        assert getattr(one, name).tobytes() == getattr(four, name).tobytes()


def test_any_layout_of_the_inputs_meets_the_same_kernel():
    before = getattr(survival.replay_capitals, "signatures", [])[:]
    returns = paths(20, 30)
    same = [
        replay_capitals(given_, exposure, [100.0], SmallAccount(min_order=50)).final.tobytes()
        for given_ in (returns, np.asfortranarray(returns), returns.tolist())
        for exposure in (np.ones(30), np.ones((20, 30)))
    ]
    assert len(set(same)) == 1
    assert len(getattr(survival.replay_capitals, "signatures", [])) <= max(1, len(before))


def test_a_horizon_beyond_the_paths_is_not_guessed():
    short, known = survival_points([5, NEVER], 100, [101, 100])
    assert short.survived is None and "100 periods" in short.reason
    assert known.survived.count == 1


def test_the_first_passage_is_the_first_close_at_or_below_the_level():
    equity = [[100, 60, 50, 90], [100, 51, 60, 70], [100, 40, 30, 20]]
    assert first_passage(equity, 0.5).tolist() == [2, NEVER, 1]


def test_half_lost_in_a_year_counts_the_first_year_only():
    ruined_at = np.full(1000, NEVER)
    ruined_at[:10] = 200
    ruined_at[10:50] = 400
    year = loss_probability(ruined_at, steps=730, horizon=365)
    assert year.ruined.count == 10 and year.ruined.estimate == 0.01 and year.ruined.high > 0.017
    assert loss_probability(ruined_at, steps=300, horizon=365).ruined is None
    assert loss_probability(np.full(1000, NEVER), 365, 365).ruined.high == pytest.approx(0.003)


@pytest.mark.parametrize(
    "call",
    [
        lambda: SmallAccount(min_order=-1),
        lambda: SmallAccount(leverage=0.0),
        lambda: SmallAccount(fixed_cost=float("nan")),
        lambda: replay_capitals(np.zeros(3), np.zeros(3), [1.0], SmallAccount()),
        lambda: replay_capitals(np.zeros((2, 3)), np.zeros(2), [1.0], SmallAccount()),
        lambda: replay_capitals(np.zeros((2, 3)), np.zeros(3), [0.0], SmallAccount()),
        lambda: replay_capitals(np.zeros((2, 3)), np.zeros(3), [1.0], SmallAccount(), ruin=0.0),
        lambda: replay_capitals(np.full((2, 3), np.nan), np.zeros(3), [1.0], SmallAccount()),
        lambda: first_passage([[0.0, 1.0]], 0.5),
        lambda: first_passage([[1.0, 1.0]], 1.5),
        lambda: survival_points([1], 5, [-1]),
    ],
)
def test_impossible_accounts_and_paths_are_refused(call):
    with pytest.raises(ConfigError):
        call()
