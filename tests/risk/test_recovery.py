"""Drawdowns of paths, and recoveries of which some were cut off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from wfbt.errors import ConfigError
from wfbt.risk.recovery import Drawdowns, drawdown_percentiles, kaplan_meier, largest_drawdowns

durations = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(durations.filter(lambda pairs: any(observed for _, observed in pairs)))
def test_the_product_limit_is_that_of_statsmodels(pairs):
    times, observed = [time for time, _ in pairs], [seen for _, seen in pairs]
    got = kaplan_meier(times, observed)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = SurvfuncRight(np.array(times, float), np.array(observed, int))
        error = expected.surv_prob_se
    np.testing.assert_array_equal(got.times, expected.surv_times)
    np.testing.assert_allclose(got.survival, expected.surv_prob, rtol=1e-12, atol=1e-15)
    alive = got.survival > 0
    np.testing.assert_allclose(got.standard_error[alive], error[alive], rtol=1e-12)
    np.testing.assert_array_equal(got.at_risk, expected.n_risk)
    np.testing.assert_array_equal(got.events, expected.n_events)


def test_heavy_censoring_leaves_the_median_where_it_is():
    rng = np.random.default_rng(8)
    truth, cut = rng.exponential(10.0, 40_000), rng.exponential(5.0, 40_000)  # two of three are cut off
    times, observed = np.minimum(truth, cut), truth <= cut
    got = kaplan_meier(times, observed)
    assert got.censored / got.n == pytest.approx(2 / 3, abs=0.01)
    assert got.quantile(0.5) == pytest.approx(10 * np.log(2), rel=0.03)
    assert np.median(times[observed]) < 0.5 * got.quantile(0.5)  # what dropping them would say
    reference = SurvfuncRight(times, observed.astype(int))
    assert got.quantile(0.5) == reference.quantile(0.5)
    np.testing.assert_allclose(got.survival, reference.surv_prob, rtol=1e-9)


def test_without_censoring_it_is_the_empirical_distribution():
    got = kaplan_meier([3, 1, 2, 2, 6, 6], [True] * 6)
    np.testing.assert_allclose(got.survival, [5 / 6, 3 / 6, 2 / 6, 0])
    assert got.quantile(0.5) == 2.0 and got.quantile(0.9) == 6.0


def test_when_all_were_cut_off_there_is_no_quantile():
    got = kaplan_meier([5.0, 7.0], [False, False])
    assert got.quantile(0.5) is None and len(got.times) == 0 and got.censored == 2


@given(durations)
def test_survival_only_falls_and_cutting_off_more_only_raises_it(pairs):
    times, observed = np.array([time for time, _ in pairs]), np.array([seen for _, seen in pairs])
    some = kaplan_meier(times, observed)
    assert (np.diff(some.survival) <= 1e-12).all() and ((some.survival >= 0) & (some.survival < 1)).all()
    all_seen = kaplan_meier(times, np.ones(len(times), bool))
    at = np.searchsorted(all_seen.times, some.times)
    assert (some.survival >= all_seen.survival[at] - 1e-12).all()


def one_path(equity):
    """Depth, recovery and whether it recovered, step by step."""
    peak, deepest, trough, target = equity[0], 0.0, 0, equity[0]
    for t, value in enumerate(equity):
        peak = max(peak, value)
        if 1 - value / peak > deepest:
            deepest, trough, target = 1 - value / peak, t, peak
    for t in range(trough, len(equity)):
        if equity[t] >= target:
            return deepest, t - trough, True
    return deepest, len(equity) - 1 - trough, False


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(1, 20), min_size=9, max_size=9), min_size=1, max_size=5))
def test_the_largest_drawdown_and_its_recovery_are_those_of_a_walk_along_the_path(equity):
    got = largest_drawdowns(equity)
    expected = [one_path(path) for path in equity]
    np.testing.assert_allclose(got.depth, [e[0] for e in expected], rtol=1e-12)
    assert got.recovery.tolist() == [e[1] for e in expected]
    assert got.recovered.tolist() == [e[2] for e in expected]


def test_percentiles_are_observed_depths_with_the_median_recovery_from_there():
    n = 200
    depth = np.arange(1, n + 1) / 1000
    found = Drawdowns(depth=depth, recovery=np.arange(n) * 1.0, recovered=np.arange(n) < 195)
    rows = drawdown_percentiles(found)
    assert [row.percentile for row in rows] == [50, 75, 90, 95, 99]
    depths = [row.depth for row in rows]
    assert depths == sorted(depths) and set(depths) <= set(depth)
    assert rows[0].paths == 100 and rows[0].recovery == pytest.approx(149, abs=1)
    last = rows[-1]
    assert last.paths == 2 and last.recovered == 0 and last.recovery is None and "half" in last.reason


def test_a_median_that_few_paths_reach_is_none():
    """Two of 128 come back, when only three are still under water: the estimate falls to a third at 272."""
    recovery = np.r_[np.full(125, 20.0), 272.0, 272.0, 300.0]
    back = np.r_[np.zeros(125, bool), True, True, False]
    found = Drawdowns(depth=np.full(128, 0.3), recovery=recovery, recovered=back)
    assert kaplan_meier(recovery, back).quantile(0.5) == 272.0
    row = drawdown_percentiles(found)[0]
    assert row.recovery is None and (row.paths, row.recovered) == (128, 2)
    assert "2 of 128" in row.reason and "3 still under water" in row.reason and "at least 10" in row.reason


def test_too_few_paths_give_no_percentile_but_a_reason():
    found = Drawdowns(depth=np.full(50, 0.1), recovery=np.ones(50), recovered=np.ones(50, bool))
    rows = {row.percentile: row for row in drawdown_percentiles(found)}
    assert rows[95.0].depth == 0.1
    assert rows[99.0].depth is None and "100" in rows[99.0].reason
    few = Drawdowns(depth=np.full(29, 0.1), recovery=np.ones(29), recovered=np.ones(29, bool))
    assert all(row.depth is None for row in drawdown_percentiles(few))


@pytest.mark.parametrize(
    "call",
    [
        lambda: kaplan_meier([1.0, -1.0], [True, True]),
        lambda: kaplan_meier([1.0], [True, False]),
        lambda: largest_drawdowns([[0.0, 1.0]]),
        lambda: largest_drawdowns([1.0, 2.0]),
        lambda: drawdown_percentiles(largest_drawdowns(np.ones((50, 3))), [0.0]),
        lambda: kaplan_meier([1.0], [True]).quantile(1.0),
    ],
)
def test_impossible_durations_and_paths_are_refused(call):
    with pytest.raises(ConfigError):
        call()
