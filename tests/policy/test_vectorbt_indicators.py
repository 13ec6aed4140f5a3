"""The example rule made of vectorbt's indicators: what it computes, and that it knows nothing of the future."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from wfbt.policy.base import evaluate, load_rule

pytestmark = pytest.mark.slow  # vectorbt compiles in every process
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def rule():
    return load_rule("vectorbt_rule.py:straight_trend", EXAMPLES)


def frame(rows=400, seed=2):
    close = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, rows)))
    index = pd.date_range("2024-01-01 01:00", periods=rows, freq="h", tz="UTC")
    return pd.DataFrame(dict.fromkeys(("open", "high", "low", "close", "volume", "funding"), close), index=index)


def test_it_is_long_above_the_average_and_short_below_it_where_the_way_was_straight(rule):
    bars, window, least = frame(), 20, 0.3
    close = bars["close"].to_numpy()
    expected = np.full(len(close), np.nan)
    for t in range(window, len(close)):
        path = sum(abs(close[i] - close[i - 1]) for i in range(t - window + 1, t + 1))
        straight = abs(close[t] - close[t - window]) / path > least
        expected[t] = np.sign(close[t] - close[t - window + 1 : t + 1].mean()) if straight else 0.0
    said = evaluate(rule, {"X": bars}, {"window": window, "least": least})["X"].target
    assert_array_equal(said, expected)
    assert {-1.0, 0.0, 1.0} <= set(said)


@pytest.mark.parametrize("rows", [120, 250, 399])
def test_what_it_says_does_not_change_with_what_comes_after(rule, rows):
    bars = frame()
    whole = evaluate(rule, {"X": bars}, {"window": 24})["X"].target
    assert_allclose(evaluate(rule, {"X": bars[:rows]}, {"window": 24})["X"].target, whole[:rows])
