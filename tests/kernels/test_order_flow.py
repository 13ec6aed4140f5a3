"""Order flow by the kernel against the same draws on books of dictionaries."""

import numpy as np
import pytest

from tests.naive.flow import FlowBook
from wfbt.data.book.synthetic import FLOWS, FeedDelay
from wfbt.kernels.order_flow import At, Flow, flow_day

pytestmark = pytest.mark.kernel

SECOND = 10**9


def compiled(flows, delay, draws, end, room=4000, origin=None):
    values = {
        Flow.LIMITS: flows.limits, Flow.CANCELS: flows.cancels, Flow.MARKETS: flows.markets, Flow.DEPTH: flows.depth,
        Flow.HALF: flows.half_spread, Flow.LOTS: flows.lots, Flow.TAKEN: flows.taken, Flow.SIGMA: flows.sigma,
        Flow.SIGNAL: flows.signal, Flow.DECAY: np.log(2.0) / flows.half_life, Flow.LEAN: flows.lean,
        Flow.BASE_LATENCY: delay.base_ms * 1e6, Flow.MEDIAN_LATENCY: delay.median_ms * 1e6,
        Flow.SPREAD_LATENCY: delay.spread,
    }  # fmt: skip
    flow = np.array([values[place] for place in range(Flow.SIZE)])
    middle = round(flows.price / flows.tick_size)
    origin = middle - 500 if origin is None else origin
    lots, at = np.zeros((2, 1000), np.int64), np.zeros(At.SIZE, np.int64)
    price = np.array([np.log(flows.price), 0.0])
    rows, trades = np.empty((room, 6), np.int64), np.empty((room, 5), np.int64)
    truth, counts = np.zeros((end // SECOND, 4)), np.zeros(2, np.int64)
    code = flow_day(lots, origin, at, price, flow, *draws, 0, end, flows.tick_size, rows, trades, truth, counts)
    return code, rows[: counts[0]], trades[: counts[1]], truth, at, lots


def drawn(n, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_exponential(n), rng.standard_normal((n, 3)), 1 - rng.random((n, 4))


@pytest.mark.parametrize("symbol", FLOWS)
@pytest.mark.parametrize("seed", range(5))
def test_each_event_does_what_it_does_to_a_plain_book(symbol, seed):
    flows, delay, draws, end = FLOWS[symbol], FeedDelay(), drawn(1500, seed), 300 * SECOND
    code, rows, trades, _, at, lots = compiled(flows, delay, draws, end)
    plain = FlowBook(flows, delay, flows.price)
    plain.day(*draws, 0, end)
    assert code == 0
    assert rows.tolist() == plain.rows
    assert trades.tolist() == plain.trades
    origin = round(flows.price / flows.tick_size) - 500
    for own, side in enumerate((1, -1)):
        assert {int(k) + origin: int(lots[own, k]) for k in np.flatnonzero(lots[own])} == plain.sides[side]
    assert (at[At.BID], at[At.ASK]) == (plain.best(1) or 0, plain.best(-1) or 0)


def test_the_truth_of_a_second_is_what_stood_before_it():
    flows, delay, draws = FLOWS["LARGEUSDT"], FeedDelay(), drawn(1500, 3)
    _, _, _, truth, _, _ = compiled(flows, delay, draws, 300 * SECOND)
    assert truth[0].tolist() == [pytest.approx(flows.price), 0.0, 0.0, 0.0]
    _, _, _, short, at, _ = compiled(flows, delay, draws, 120 * SECOND)
    assert np.array_equal(short, truth[:120])
    assert truth[120, 2:].tolist() == [at[At.BID], at[At.ASK]]


def test_too_little_room_and_a_price_out_of_range_are_codes():
    flows, delay = FLOWS["LARGEUSDT"], FeedDelay()
    assert compiled(flows, delay, drawn(50, 0), 300 * SECOND)[0] == 1  # too few draws
    assert compiled(flows, delay, drawn(1500, 0), 300 * SECOND, room=2001)[0] == 1  # rows
    assert compiled(flows, delay, drawn(1500, 0), 300 * SECOND, origin=10_000)[0] == 2


def test_it_has_one_signature():
    if hasattr(flow_day, "signatures"):
        assert len(flow_day.signatures) == 1
