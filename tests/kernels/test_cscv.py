"""Cross-validation over all halves against its naive twin, in exact fractions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tests.naive.cscv import cscv as naive
from wfbt.kernels import cscv as kernel
from wfbt.validation.cscv import cscv

pytestmark = pytest.mark.kernel


def assert_same(returns, splits):
    fast, slow = cscv(returns, splits), naive(returns.tolist(), splits)
    # Logits are of ranks, so they are equal or wrong; near ties are excluded by the data.
    assert fast.logits.tolist() == pytest.approx([one["logit"] for one in slow], rel=1e-14, abs=1e-15)
    assert np.array_equal(fast.logits <= 0, np.array([one["logit"] for one in slow]) <= 0)
    for name, key in (("in_sample", "best"), ("out_of_sample", "then"), ("average", "average")):
        assert_allclose(getattr(fast, name), [one[key] for one in slow], rtol=1e-11, atol=1e-13, err_msg=name)
    return fast


@settings(max_examples=60, deadline=None)
@given(
    splits=st.sampled_from([2, 4, 6]),
    more=st.integers(0, 7),
    count=st.integers(2, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_kernel_agrees_with_its_naive_twin(splits, more, count, seed):
    rng = np.random.default_rng(seed)
    assert_same(rng.normal(0.0, 0.01, (2 * splits + more, count)), splits)


@settings(max_examples=60, deadline=None)
@given(splits=st.sampled_from([2, 4, 6]), count=st.integers(2, 7), seed=st.integers(0, 2**32 - 1))
def test_ties_and_candidates_that_never_trade_agree_with_the_twin(splits, count, seed):
    """Copies of a few candidates, some flat throughout and some on whole blocks; exact in binary, so ties are ties."""
    rng = np.random.default_rng(seed)
    length = 3 * splits
    kinds = rng.integers(-3, 4, (length, 2)) / 64.0
    kinds[: length // 2, 0] = 0.0
    pool = np.column_stack([kinds, np.zeros(length), np.full(length, 1 / 64)])
    assert_same(pool[:, rng.integers(0, 4, count)], splits)


def test_a_winner_that_keeps_winning_is_never_overfitted_and_one_that_reverses_always_is():
    rng = np.random.default_rng(1)
    noise = rng.normal(0.0, 0.01, (160, 5))
    steady = noise.copy()
    steady[:, 3] += 0.05
    found = assert_same(steady[:32], 4)
    assert found.pbo == 0.0
    assert cscv(steady, 8).logits.tolist() == [np.log(5.0)] * 70
    # Two blocks: what was good in one is bad in the other.
    swing = np.repeat([[0.01, -0.01], [-0.01, 0.01]], 20, axis=0) + rng.normal(0.0, 1e-3, (40, 1))
    assert cscv(swing, 2).pbo == 1.0
    assert cscv(swing, 2).loss == 1.0


def test_the_compiled_kernel_equals_its_own_source_bit_for_bit():
    compiled = kernel.split_halves
    if not hasattr(compiled, "py_func"):
        pytest.skip("interpreted")
    rng = np.random.default_rng(2)
    total, squares = rng.normal(0, 1, (6, 4)), rng.uniform(5, 9, (6, 4))
    args = lambda: [np.empty(3, np.int64), np.empty((2, 2, 4)), np.empty((2, 4)), *np.empty((4, 20))]  # noqa: E731
    one, other = args(), args()
    compiled(total, squares, np.full(6, 9.0), *one)
    compiled.py_func(total, squares, np.full(6, 9.0), *other)
    for mine, theirs in zip(one[3:], other[3:], strict=True):
        assert mine.tobytes() == theirs.tobytes()
    assert len(compiled.signatures) == 1
