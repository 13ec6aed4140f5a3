"""Resampled rows, and the mean of one resample, against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tests.kernels.test_random import KEY, frozen
from tests.naive import paths
from tests.naive.superior import resample
from wfbt.kernels.excursions import EXCURSION, measure
from wfbt.kernels.resampling import (
    fill_labels,
    fill_matched,
    fill_stationary,
    measure_stationary,
    stationary_mean,
    take_rows,
)

pytestmark = pytest.mark.kernel


def fixed(array):
    out = np.array(array)
    out.flags.writeable = False
    return out


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


def drawn(steps, rows, p, paths=3, first=5):
    out = np.empty((paths, steps), np.int64)
    fill_stationary(out, first, frozen(KEY), rows, p)
    return out


@settings(max_examples=60, deadline=None)
@given(steps=st.integers(1, 300), rows=st.integers(1, 50), p=st.floats(0.005, 1.0))
def test_rows_are_blocks_that_go_round_the_history(steps, rows, p):
    found = drawn(steps, rows, p)
    for i in range(3):
        assert found[i].tolist() == paths.stationary(KEY, 5 + i, steps, rows, p)


def test_every_row_begins_as_many_blocks_and_blocks_are_as_long_as_asked():
    found = drawn(20_000, 40, 0.1, paths=5)
    breaks = np.mean((found[:, 1:] - found[:, :-1]) % 40 != 1)
    # One block in 40 begins where the last one would have gone on.
    assert breaks == pytest.approx(0.1 * 39 / 40, abs=4 * np.sqrt(0.09 / found.size))
    counts = np.bincount(found.ravel(), minlength=40)
    assert np.abs(counts / found.size - 1 / 40).max() < 0.003


@settings(max_examples=60, deadline=None)
@given(data=st.data(), steps=st.integers(1, 120), p=st.floats(0.02, 1.0))
def test_matched_rows_bear_the_label_wanted(data, steps, p):
    labels = [0, 1, 2, *data.draw(st.lists(st.integers(0, 2), max_size=30))]
    wanted = data.draw(st.lists(st.integers(0, 2), min_size=steps, max_size=steps))
    out = np.empty((1, steps), np.int64)
    members = np.argsort(labels, kind="stable")
    given = (np.array(labels), members, np.searchsorted(np.sort(labels), np.arange(4)))
    fill_matched(out, np.array([wanted]), 5, frozen(KEY), *map(fixed, given), p)
    assert [labels[row] for row in out[0]] == wanted
    assert out[0].tolist() == paths.matched(KEY, 5, wanted, labels, p)


def test_with_one_label_they_are_those_of_the_plain_bootstrap():
    out = np.empty((3, 500), np.int64)
    given = (np.zeros(40, np.int64), np.arange(40), np.array([0, 40]))
    fill_matched(out, np.zeros((3, 500), np.int64), 5, frozen(KEY), *map(fixed, given), 0.1)
    assert out.tolist() == drawn(500, 40, 0.1).tolist()


def test_labels_are_a_chain():
    start, transition = np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.4, 0.6]])
    out = np.empty((2, 200), np.int64)
    cumulative = [np.cumsum(one, axis=-1) for one in (start, transition)]
    fill_labels(out, 5, frozen(KEY), *map(fixed, cumulative))
    for i in range(2):
        assert out[i].tolist() == paths.chain(KEY, paths.LABEL, 5 + i, 200, start, transition)


@pytest.mark.parametrize("steps", [30, 200])
def test_a_resample_is_measured_as_its_rows_are(steps):
    rng = np.random.default_rng(0)
    simple = rng.normal(0, 0.05, 80)
    found, expected = np.zeros(4, EXCURSION), np.zeros(4, EXCURSION)
    measure_stationary(found, 5, steps, frozen(KEY), fixed(simple), fixed(np.log1p(simple)), 0.2, -0.3, -0.2)
    rows = drawn(steps, 80, 0.2, paths=4)
    taken = np.empty((4, steps, 1))
    take_rows(taken, fixed(np.log1p(simple)[:, None]), rows)
    measure(expected, taken[:, :, 0].copy(), -0.3, -0.2)
    for name in EXCURSION.names[:-2]:
        assert found[name].tolist() == expected[name].tolist(), name
    assert_allclose(found["mean"], simple[rows].mean(axis=1), rtol=1e-12, atol=1e-17)
    assert_allclose(found["deviation"], simple[rows].std(axis=1, ddof=1), rtol=1e-12)


def test_each_has_one_signature():
    for kernel in (stationary_mean, fill_stationary, fill_labels, fill_matched, take_rows, measure_stationary):
        if hasattr(kernel, "signatures"):
            assert len(kernel.signatures) == 1
