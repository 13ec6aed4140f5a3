"""The rule on two symbols, against a twin that walks one bar after another."""

from pathlib import Path

import numpy as np
import pytest

from wfbt.errors import ConfigError, PolicyError
from wfbt.policy.base import evaluate, load_rule
from wfbt.policy.rules.pairs import rolling_correlation

RULE = load_rule("correlation", Path())
PARAMS = {"n": 20, "below": 0.3, "z": 1.0}


def run(frames, **params):
    return {symbol: one.target for symbol, one in evaluate(RULE, frames, params).items()}


@pytest.fixture
def linked(walk):
    """Two symbols that share half of their moves, the second without three of its bars."""

    def frames(rows, seed):
        first, second = walk(rows, seed), walk(rows, seed + 500)
        second = second.assign(close=np.sqrt(first["close"] * second["close"]) / 5)
        return {"A": first, "B": second.drop(second.index[[30, 31, 90]])}

    return frames


def test_correlation_is_its_description_step_by_step(linked):
    frames = linked(1200, seed=2)
    both = frames["A"].index.intersection(frames["B"].index)
    a, b = (np.log(frames[symbol].loc[both, "close"].to_numpy()) for symbol in "AB")
    side, expected = 0.0, [np.nan] * 20
    for t in range(20, len(both)):
        ratio = (a - b)[t - 19 : t + 1]
        z = (ratio[-1] - ratio.mean()) / ratio.std(ddof=1)
        linked_by = np.corrcoef(np.diff(a[t - 20 : t + 1]), np.diff(b[t - 20 : t + 1]))[0, 1]
        if side * z >= 0:
            side = 0.0
        if linked_by < 0.3 and abs(z) > 1.0:
            side = -np.sign(z)
        expected.append(0.5 * side)
    out = run(frames, **PARAMS)
    kept = frames["A"].index.isin(both)
    np.testing.assert_array_equal(out["A"][kept], expected)
    np.testing.assert_array_equal(out["B"], -np.array(expected))
    assert np.isnan(out["A"][~kept]).all()
    assert {-0.5, 0.0, 0.5} <= set(expected)


def test_a_prefix_and_a_scrambled_future_give_the_same_bits(linked):
    frames, others = linked(400, seed=3), linked(400, seed=9)
    whole = run(frames, **PARAMS)
    for cut in np.random.default_rng(1).integers(6, 399, 25):
        now = frames["A"].index[cut]
        past = {symbol: frame[frame.index <= now] for symbol, frame in frames.items()}
        part = run(past, **PARAMS)
        mixed = {symbol: frame.copy() for symbol, frame in frames.items()}
        for symbol, frame in mixed.items():
            frame.loc[frame.index > now, "close"] = 3 * others[symbol]["close"].reindex(frame.index).ffill()
        scrambled = run(mixed, **PARAMS)
        for symbol, frame in past.items():
            np.testing.assert_array_equal(part[symbol], whole[symbol][: len(frame)])
            np.testing.assert_array_equal(scrambled[symbol][: len(frame)], whole[symbol][: len(frame)])


def test_a_pair_leaves_other_symbols_alone_and_is_not_divided_among_them(linked, walk):
    frames = linked(300, seed=4)
    out = run({**frames, "C": walk(300, seed=5)}, pair=["A", "B"], **PARAMS)
    alone = run(frames, **PARAMS)
    for symbol in "AB":
        np.testing.assert_array_equal(out[symbol], alone[symbol])
    assert np.isnan(out["C"]).all()


def test_the_correlation_is_that_of_its_window_also_after_a_spike_has_left_it():
    x, y = np.random.default_rng(7).normal(0, 0.01, (2, 400))
    y += 0.5 * x
    x[0] = y[0] = np.nan
    x[100], y[101] = 1e5, -1e4
    found = rolling_correlation(x, y, 30)
    expected = [np.corrcoef(x[t - 29 : t + 1], y[t - 29 : t + 1])[0, 1] for t in range(30, 400)]
    assert np.isnan(found[:30]).all()
    np.testing.assert_allclose(found[30:], expected, rtol=0, atol=1e-9)


def test_prices_that_stand_still_have_no_correlation_and_start_nothing(walk):
    frames = {symbol: walk(100, seed=1).assign(close=7.0) for symbol in "AB"}
    assert set(run(frames, **PARAMS)["A"][20:]) == {0.0}


@pytest.mark.parametrize(
    ("symbols", "params", "error", "message"),
    [
        ("A", {}, PolicyError, r"correlation: it trades two different symbols, was given A; name two"),
        ("ABC", {}, PolicyError, "was given A, B, C; name two in data.symbols, or two of them in pair"),
        ("AB", {"pair": ["A", "A"]}, PolicyError, "two different symbols, was given A, A"),
        ("AB", {"pair": ["A", "X"]}, ConfigError, "pair names 'X', which is no symbol of this run"),
        ("AB", {"below": 1.5}, ConfigError, "no meaning with .*below 1.5"),
    ],
)
def test_what_is_no_pair_is_refused(walk, symbols, params, error, message):
    with pytest.raises(error, match=message):
        run({symbol: walk(60, seed=1) for symbol in symbols}, **params)
