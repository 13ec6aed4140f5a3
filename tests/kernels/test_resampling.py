"""The mean of one resample against its rows, written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tests.naive.superior import resample
from wfbt.kernels.resampling import stationary_mean

pytestmark = pytest.mark.kernel


@settings(max_examples=100, deadline=None)
@given(rows=st.integers(1, 40), count=st.integers(1, 5), p=st.floats(0.01, 1.0), seed=st.integers(0, 2**32 - 1))
def test_the_mean_is_that_of_the_rows_drawn(rows, count, p, seed):
    rng = np.random.default_rng(seed)
    values, start, fresh = rng.normal(0, 1, (rows, count)), rng.integers(rows, size=rows), rng.random(rows)
    mean = np.full(count, np.nan)
    stationary_mean(values, start, fresh, p, mean)
    drawn = resample(start, fresh, p)
    assert_allclose(mean, [sum(values[row, n] for row in drawn) / rows for n in range(count)], rtol=1e-12, atol=1e-15)


def test_a_block_that_never_ends_goes_round_the_history():
    values = np.arange(5.0)[:, None]
    mean = np.empty(1)
    stationary_mean(values, np.array([3, 0, 0, 0, 0]), np.full(5, 0.5), 0.1, mean)
    assert mean[0] == 2.0


def test_it_has_one_signature():
    if hasattr(stationary_mean, "signatures"):
        assert len(stationary_mean.signatures) == 1
