"""The bar kernel against its naive twin, its own source, and the identities of a ledger."""

import dataclasses
import os

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose

from tests import markets
from tests.replaying import kernel, naive
from wfbt.kernels.abi import Reason
from wfbt.kernels.bars import replay

COMPILED = hasattr(replay, "py_func")
FEW = int(os.environ.get("WFBT_CASES", "1000" if COMPILED else "60"))


def value(price, inverse):
    return -1.0 / price if inverse else price


def same_records(left, right):
    """Equal bit for bit in every field; the bytes between fields mean nothing."""
    return all(left[name].tobytes() == right[name].tobytes() for name in left.dtype.names)


def assert_same_records(mine, twin, atol, most):
    """Whole numbers equal, quantities and money up to rounding."""
    assert len(mine) == len(twin)
    for one, other in zip(mine, twin, strict=True):
        for name in set(mine.dtype.names) - {"number"}:  # how orders are numbered is not part of the model
            if mine.dtype[name].kind == "i":
                assert int(one[name]) == int(other[name]), (name, other)
            else:
                loose = most * 1e-12 if name in ("goal", "filled", "qty") else atol
                assert_allclose(one[name], other[name], rtol=1e-9, atol=loose, err_msg=f"{name} of {other}")


def assert_same(case, start=0, stop=None):
    fast, slow = kernel(case, start, stop), naive(case, start, stop)
    scale = max(case.rules.cash, float(fast.tally["traded"]))
    atol = 1e-12 * scale
    assert fast.tally["status"] == slow["status"]
    assert_allclose(fast.equity, slow["equity"], rtol=1e-12, atol=atol)
    assert_allclose(fast.cash, slow["cash"], rtol=1e-12, atol=atol)
    assert len(fast.fills) == len(slow["fills"])
    most = np.abs(fast.fills["qty"]).max(initial=0.0)
    assert_allclose(fast.position, slow["position"], rtol=1e-12, atol=1e-13 * most)
    for mine, twin in zip(fast.fills, slow["fills"], strict=True):
        for name in ("asset", "liquidity", "reason", "ts", "row"):
            assert int(mine[name]) == int(twin[name]), (name, twin["row"])
        for name in ("price", "reference", "arrival"):
            assert_allclose(mine[name], twin[name], rtol=1e-12, err_msg=name)
        assert_allclose(mine["qty"], twin["qty"], rtol=1e-12, atol=1e-13 * most, err_msg="qty")
        for name in ("fee", "spread", "impact"):
            assert_allclose(mine[name], twin[name], rtol=1e-12, atol=atol, err_msg=name)
    paid = [p for p in slow["payments"] if p["position"] != 0]
    assert_allclose(fast.payments["paid"], [p["paid"] for p in paid], rtol=1e-12, atol=atol)
    assert fast.payments["ts"].tolist() == [p["ts"] for p in paid]
    for name in ("trips", "wins", "rows_held", "breakers"):
        assert fast.tally[name] == slow[name], name
    for name in ("won", "lost", "liquidation", "shortfall"):
        assert_allclose(fast.tally[name], slow[name], rtol=1e-9, atol=1e3 * atol, err_msg=name)
    for name in ("orders", "events", "liquidations"):
        assert_same_records(getattr(fast, name), slow[name], atol, most)
    assert_allclose(fast.tally["max_drawdown"], slow["max_drawdown"], rtol=1e-12, atol=1e-12)
    return fast


@pytest.mark.kernel
@settings(max_examples=FEW, deadline=None)
@given(case=markets.cases())
def test_the_kernel_agrees_with_its_naive_twin(case):
    assert_same(case)


@pytest.mark.kernel
def test_random_markets_agree_with_the_twin_and_meet_every_reason_to_trade():
    seen = set()
    for seed in range(3_000 if COMPILED else 60):
        seen |= set(assert_same(markets.random_case(np.random.default_rng(seed))).fills["reason"].tolist())
    assert seen == {int(reason) for reason in Reason}


@pytest.mark.kernel
def test_a_lane_may_begin_and_end_anywhere():
    for seed in range(400 if COMPILED else 40):
        rng = np.random.default_rng([1, seed])
        case = markets.random_case(rng)
        rows = len(case.tape.open_ts)
        start = int(rng.integers(0, rows - 1))
        assert_same(case, start, int(rng.integers(start + 2, rows + 1)) if start + 2 <= rows else rows)


@pytest.mark.skipif(not COMPILED, reason="there is nothing compiled to compare with")
def test_compiled_code_equals_its_source_bit_for_bit():
    for seed in range(150):
        case = markets.random_case(np.random.default_rng([2, seed]))
        compiled, source = kernel(case), kernel(case, function=replay.py_func)
        for name in ("equity", "cash", "position", "liquidation", "shortfall", "daily"):
            assert getattr(compiled, name).tobytes() == getattr(source, name).tobytes(), name
        assert same_records(compiled.fills, source.fills)
        assert compiled.tally.tobytes() == source.tally.tobytes()


@pytest.mark.kernel
def test_a_lane_that_waits_before_each_decision_comes_to_the_same_account():
    for seed in range(400 if COMPILED else 12):
        case = markets.random_case(np.random.default_rng(seed))
        through, waited = kernel(case), kernel(case, waits=True)
        for name in ("equity", "cash", "position", "liquidation", "shortfall", "daily"):
            assert getattr(through, name).tobytes() == getattr(waited, name).tobytes(), (seed, name)
        for name in ("fills", "payments", "orders", "events", "liquidations"):
            assert same_records(getattr(through, name), getattr(waited, name)), (seed, name)
        # A glide adds up what stands still in one step.
        sums = {"equity_sum"}
        for name in set(through.tally.dtype.names) - sums:
            assert through.tally[name] == waited.tally[name], (seed, name)
        assert_allclose(through.tally["equity_sum"], waited.tally["equity_sum"], rtol=1e-12)


@pytest.mark.kernel
def test_a_lane_without_a_ledger_tallies_the_same():
    for seed in range(300 if COMPILED else 40):
        case = markets.random_case(np.random.default_rng([3, seed]))
        kept, lean = kernel(case), kernel(case, keep=False)
        assert kept.tally.tobytes() == lean.tally.tobytes()
        assert kept.daily.tobytes() == lean.daily.tobytes()


@pytest.mark.kernel
def test_cash_position_and_equity_add_up_on_every_row():
    for seed in range(400 if COMPILED else 40):
        case = markets.random_case(np.random.default_rng([4, seed]))
        done = kernel(case)
        m, inverse = case.assets["multiplier"], case.assets["inverse"] != 0
        rows, assets = done.position.shape
        flow, held = np.zeros(rows), np.zeros((rows, assets))
        for fill in done.fills:
            a = fill["asset"]
            flow[fill["row"]] -= m[a] * fill["qty"] * value(fill["price"], inverse[a]) + fill["fee"]
            held[fill["row"], a] += fill["qty"]
        for payment in done.payments:
            flow[payment["row"]] -= payment["paid"]
        flow += done.shortfall - done.liquidation
        scale = max(case.rules.cash, float(done.tally["traded"]))
        assert_allclose(done.cash, case.rules.cash + np.cumsum(flow), rtol=0, atol=1e-11 * scale)
        assert_allclose(done.position, np.cumsum(held, axis=0), rtol=0, atol=1e-9 * max(1.0, np.abs(held).max()))
        marks = np.where(np.isnan(case.tape.mark_close), 1.0, case.tape.mark_close)
        worth = done.cash + np.sum(m * done.position * np.where(inverse, -1 / marks, marks), axis=1)
        assert_allclose(done.equity, worth, rtol=0, atol=1e-11 * scale)
        assert (done.equity >= 0).all()


@pytest.mark.kernel
def test_what_a_price_cost_is_spread_plus_impact():
    for seed in range(200 if COMPILED else 30):
        case = markets.random_case(np.random.default_rng([5, seed]))
        for fill in kernel(case).fills:
            c = case.assets[fill["asset"]]
            worse = value(fill["price"], c["inverse"]) - value(fill["reference"], c["inverse"])
            paid = c["multiplier"] * fill["qty"] * worse
            assert_allclose(fill["spread"] + fill["impact"], paid, rtol=1e-9, atol=1e-9 * case.rules.cash)
            assert paid >= -1e-9 * case.rules.cash, "nobody trades better than the market"


@pytest.mark.kernel
def test_the_future_does_not_change_the_past():
    for seed in range(300 if COMPILED else 30):
        rng = np.random.default_rng([6, seed])
        case = markets.random_case(rng)
        rows = len(case.tape.open_ts)
        if rows < 4:
            continue
        cut = int(rng.integers(1, rows - 1))
        arrays = {}
        for name in ("open", "high", "low", "close", "mark_open", "mark_high", "mark_low", "mark_close"):
            table = getattr(case.tape, name).copy()
            table[cut:] *= 1.7
            table.flags.writeable = False
            arrays[name] = table
        for name in ("sigma", "volume"):
            table = getattr(case.tape, name).copy()
            table[cut:] *= 0.3
            table.flags.writeable = False
            arrays[name] = table
        intents = case.intents.copy()
        intents["size"][intents["row"] >= cut] *= -0.5
        other = dataclasses.replace(case, tape=case.tape._replace(**arrays), intents=intents)
        before, after = kernel(case), kernel(other)
        for name in ("equity", "cash", "position"):
            assert getattr(before, name)[:cut].tobytes() == getattr(after, name)[:cut].tobytes()
        past = before.fills[before.fills["row"] < cut]
        assert same_records(past, after.fills[after.fills["row"] < cut])


@pytest.mark.skipif(not COMPILED, reason="there is nothing compiled")
def test_each_kernel_has_one_signature():
    kernel(markets.random_case(np.random.default_rng(7)))
    kernel(markets.random_case(np.random.default_rng(8)), keep=False)
    assert len(replay.signatures) == 1
