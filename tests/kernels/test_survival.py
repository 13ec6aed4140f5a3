"""The small-account kernel: by hand, against its naive twin and against itself interpreted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.naive.survival import replay
from wfbt.kernels.survival import NEVER, replay_capitals

pytestmark = pytest.mark.kernel


def run(kernel, returns, exposure, capital, min_order=0.0, fixed_cost=0.0, leverage=10.0, ruin=0.5):
    returns, exposure = np.atleast_2d(np.array(returns, float)), np.atleast_2d(np.array(exposure, float))
    capital = np.array(capital, float)
    for array in (returns, exposure, capital):
        array.setflags(write=False)
    shape = (len(capital), len(returns))
    ruined_at, made, skipped = (np.full(shape, -7) for _ in range(3))
    final, wanting, missing = (np.full(shape, np.nan) for _ in range(3))
    kernel(
        returns, exposure, capital, float(min_order), float(fixed_cost), float(leverage), float(ruin), ruined_at, final,
        made, skipped, wanting, missing,
    )  # fmt: skip
    return ruined_at, final, made, skipped, wanting, missing


def test_an_order_below_the_minimum_is_not_made_and_earns_nothing():
    ruined_at, final, made, skipped, wanting, missing = run(
        replay_capitals, [0.01, 0.01], [0.5, 0.5], [100.0, 1000.0], min_order=60
    )
    assert wanting[:, 0].tolist() == [1.0, 1.0] and missing[:, 0].tolist() == [1.0, 0.0]
    assert final[0, 0] == 100.0 and skipped[0, 0] == 2 and made[0, 0] == 0
    assert final[1, 0] == pytest.approx(1020.1)  # the second order reduces 510 to 505
    assert (ruined_at == NEVER).all()


def test_an_order_of_just_the_minimum_is_made():
    _, final, made, *_ = run(replay_capitals, [0.01], [0.5], [100.0], min_order=50)
    assert made[0, 0] == 1 and final[0, 0] == pytest.approx(101.0)


def test_an_order_that_reduces_is_made_however_small():
    _, final, made, skipped, *_ = run(replay_capitals, [0.0, 0.0, 0.0], [1.0, 0.9, 0.0], [100.0], min_order=50)
    assert final[0, 0] == 100.0 and made[0, 0] == 3 and skipped[0, 0] == 0


def test_leverage_cuts_the_position_and_so_its_return():
    _, final, *_ = run(replay_capitals, [0.30], [3.0], [100.0], leverage=1.0)
    assert final[0, 0] == pytest.approx(110.0)


def test_fixed_costs_ruin_the_small_account_first():
    ruined_at, final, *_ = run(replay_capitals, np.zeros(10), np.zeros(10), [10.0, 20.0, 1000.0], fixed_cost=1.0)
    assert ruined_at[:, 0].tolist() == [5, 10, NEVER]
    assert final[:, 0].tolist() == [5.0, 10.0, 990.0]


def test_a_gap_through_zero_leaves_nothing_and_no_debt():
    ruined_at, final, *_ = run(replay_capitals, [-1.5, 0.5], [5.0, 5.0], [100.0])
    assert ruined_at[0, 0] == 1 and final[0, 0] == 0.0


def test_without_frictions_every_account_earns_the_strategy_s_return():
    rng = np.random.default_rng(5)
    returns = rng.normal(0.001, 0.01, (20, 200))
    exposure = rng.uniform(-2, 2, (20, 200))
    _, final, *_ = run(replay_capitals, returns, exposure, [10.0, 1e6], ruin=0.99)
    np.testing.assert_allclose(final / [[10.0], [1e6]], np.tile(np.prod(1 + returns, axis=1), (2, 1)), rtol=1e-11)


steps = st.integers(1, 12)
weight = st.sampled_from([0.0, 0.0, 0.05, 0.5, 1.0, 1.5, 3.0, -0.05, -0.5, -1.0, -2.5])
earned = st.floats(-0.4, 0.4).map(lambda value: round(value, 6))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(earned, weight), min_size=1, max_size=15),
    st.sampled_from([50.0, 100.0, 1000.0]),
    st.sampled_from([0.0, 10.0, 45.0]),
    st.sampled_from([0.0, 0.25]),
    st.sampled_from([0.8, 2.0, 100.0]),
    st.sampled_from([0.3, 0.5, 1.0]),
)
def test_the_kernel_does_what_its_naive_twin_does(path, capital, min_order, fixed_cost, leverage, ruin):
    returns, exposure = [r for r, _ in path], [w for _, w in path]
    got = run(replay_capitals, returns, exposure, [capital], min_order, fixed_cost, leverage, ruin)
    when, equity, made, missed, asked, lacked = replay(
        returns, exposure, capital, min_order, fixed_cost, leverage, ruin
    )
    ruined_at, final, orders, skipped, wanting, missing = (values[0, 0] for values in got)
    assert (wanting, missing) == pytest.approx((asked, lacked), rel=1e-9, abs=1e-9)
    assert final == pytest.approx(equity, rel=1e-12, abs=1e-9)
    assert ruined_at == (NEVER if when is None else when)
    # Rounding may make of no order a vanishing one, or the other way round.
    assert abs(orders + skipped - made - missed) <= len(path)
    assert min_order == 0.0 or skipped == pytest.approx(missed, abs=1)


@pytest.mark.skipif(not hasattr(replay_capitals, "py_func"), reason="numba is off: there is nothing to compare with")
def test_compiled_and_interpreted_agree_bit_for_bit():
    rng = np.random.default_rng(11)
    returns, exposure = rng.normal(0, 0.03, (5, 80)), rng.uniform(-1, 2, (5, 80))
    case = (returns, exposure, [100.0, 1000.0], 30.0, 0.1, 1.5, 0.5)
    for compiled, interpreted in zip(run(replay_capitals, *case), run(replay_capitals.py_func, *case), strict=True):
        assert np.array_equal(compiled, interpreted)
    assert len(replay_capitals.signatures) == 1
