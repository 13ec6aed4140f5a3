"""Drawdowns, recoveries and first passages against their definitions over the whole path."""

from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.naive import paths as naive
from wfbt.kernels.excursions import EXCURSION, measure
from wfbt.kernels.survival import NEVER

pytestmark = pytest.mark.kernel


def measured(returns, floor=-inf, limit=-inf):
    out = np.zeros(1, EXCURSION)
    measure(out, np.array([returns], np.float64), floor, limit)
    return out[0]


# Eighths add up without rounding, so peaks are regained to the last bit and troughs tie.
STEPS = st.lists(st.integers(-6, 6).map(lambda k: k / 8), min_size=1, max_size=40)


@settings(max_examples=300, deadline=None)
@given(returns=STEPS, floor=st.integers(-12, -1), limit=st.integers(-12, -1))
def test_a_path_comes_to_what_its_whole_history_says(returns, floor, limit):
    found = measured(returns, floor / 8, limit / 8)
    for name, expected in naive.excursions(returns, floor / 8, limit / 8).items():
        assert found[name] == (NEVER if expected is None else pytest.approx(expected, rel=1e-14)), name


def test_a_drawdown_by_hand():
    """100, 110, 88, 99, 121, 108.9, 115: 20% from 110 to 88, back above it two steps later."""
    equity = np.array([100, 110, 88, 99, 121, 108.9, 115])
    found = measured(np.diff(np.log(equity)), log(0.9), log(0.85))
    assert found["depth"] == pytest.approx(0.2)
    assert (found["trough_at"], found["regained_at"]) == (2, 4)
    assert (found["ruined_at"], found["breached_at"]) == (2, 2)
    assert (found["peaks"], found["longest"], found["peak_at"]) == (2, 3, 4)
    assert found["final"] == pytest.approx(1.15)


def test_who_has_lost_all_is_ruined_and_does_not_come_back():
    found = measured([0.1, -inf, 0.5], log(0.5), log(0.5))
    assert (found["final"], found["depth"]) == (0.0, 1.0)
    assert (found["ruined_at"], found["breached_at"], found["regained_at"]) == (2, 2, NEVER)


def test_a_path_that_only_rises_has_no_drawdown():
    found = measured([0.1, 0.1, 0.2], -0.1, -0.1)
    assert (found["depth"], found["trough_at"], found["regained_at"]) == (0.0, 0, 0)
    assert (found["ruined_at"], found["breached_at"]) == (NEVER, NEVER)


def test_it_has_one_signature():
    if hasattr(measure, "signatures"):
        assert len(measure.signatures) == 1
