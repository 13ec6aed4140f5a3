"""Market making and arbitrary requests in hftbacktest 2.4.4, in an interpreter of its own.

    PYTHON_WITH_HFTBACKTEST benchmarks/book_peer.py FOLDER

Reads each NAME.json of the folder, a job, and NAME.npz, one symbol's event arrays; runs it in the peer under the
settings where both models coincide; and writes to NAME.out.npz the peer's fills, what its local side knew at each
decision, and its final state.  Run by `book_parity.py`.  The strategies are those of `tests/book/strategies.py`, in
integers, so nothing but the replay can differ.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from hftbacktest import BUY, FILLED, GTC, GTX, LIMIT, MARKET, BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.order import FOK, IOC
from hftbacktest.types import (
    BUY_EVENT,
    DEPTH_CLEAR_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    event_dtype,
)
from numba import njit, uint64

KINDS = np.array([DEPTH_EVENT, TRADE_EVENT, DEPTH_CLEAR_EVENT], np.uint64)


def events(rows, tick_size, lot_size):
    """The peer's records.  Rows once with both flags where the two orders agree, else each row twice with one flag."""
    exchange, local = rows["exch_ts"], rows["local_ts"]
    sides = np.where(rows["side"] > 0, BUY_EVENT, np.where(rows["side"] < 0, SELL_EVENT, 0)).astype(np.uint64)
    flags = KINDS[rows["kind"]] | sides
    order = np.argsort(exchange, kind="stable")
    agree = np.array_equal(order, np.arange(len(order)))
    out = np.zeros(len(flags) * (1 if agree else 2), event_dtype)
    both = [(slice(None), np.arange(len(flags)), np.uint64(EXCH_EVENT | LOCAL_EVENT))]
    apart = [
        (slice(0, None, 2), order, np.uint64(EXCH_EVENT)),
        (slice(1, None, 2), np.argsort(local, kind="stable"), np.uint64(LOCAL_EVENT)),
    ]
    for where, index, flag in both if agree else apart:
        part = out[where]
        part["ev"] = flags[index] | flag
        part["exch_ts"], part["local_ts"] = exchange[index], local[index]
        part["px"] = np.where(rows["kind"][index] == 2, np.nan, rows["tick"][index] * tick_size)
        part["qty"] = rows["lots"][index] * lot_size
    return out


@njit
def gather(hbt, fills, n):
    values = hbt.orders(0).values()
    while values.has_next():
        order = values.get()
        if order.status == FILLED:
            fills[n, 0] = order.exch_timestamp
            fills[n, 1] = 1 if order.side == BUY else -1
            fills[n, 2] = order.exec_price_tick
            fills[n, 3] = order.order_id
            n += 1
    hbt.clear_inactive_orders(0)
    return n


@njit
def look(hbt, seen, k):
    state = hbt.state_values(0)
    seen[k, 0], seen[k, 1], seen[k, 2] = state.position, state.balance, state.fee
    depth = hbt.depth(0)
    bid, ask = depth.best_bid_tick, depth.best_ask_tick
    seen[k, 3] = bid if bid > -(1 << 60) else np.nan
    seen[k, 4] = ask if ask < 1 << 60 else np.nan
    return bid, ask, bid > -(1 << 60) and ask < 1 << 60


@njit
def market_maker(hbt, period, end, half, skew, limit, lots, tick_size, lot_size, fills, seen):
    n, k, last_id = 0, 0, 0
    while True:
        done = hbt.elapse(period)
        n = gather(hbt, fills, n)
        if done != 0:
            return n, k
        if hbt.current_timestamp >= end:  # messages alone do not ask for decisions here
            continue
        bid, ask, sane = look(hbt, seen, k)
        k += 1
        if not sane:
            continue
        position = round(hbt.position(0) / lot_size)
        double = bid + ask - 2 * skew * (position // lots)
        want_bid = min(double // 2 - half, bid)
        want_ask = max(-(-double // 2) + half, ask)
        have_bid = have_ask = False
        values = hbt.orders(0).values()
        while values.has_next():
            order = values.get()
            buys = order.side == BUY
            if order.price_tick == (want_bid if buys else want_ask):
                have_bid |= buys
                have_ask |= not buys
            elif order.cancellable:
                hbt.cancel(0, order.order_id, False)
        if not have_bid and position < limit:
            last_id += 1
            hbt.submit_buy_order(0, last_id, want_bid * tick_size, lots * lot_size, GTX, LIMIT, False)
        if not have_ask and position > -limit:
            last_id += 1
            hbt.submit_sell_order(0, last_id, want_ask * tick_size, lots * lot_size, GTX, LIMIT, False)


@njit
def mover(hbt, period, end, half, skew, limit, lots, tick_size, lot_size, fills, seen):
    n, k, last_id = 0, 0, 0
    while True:
        done = hbt.elapse(period)
        n = gather(hbt, fills, n)
        if done != 0:
            return n, k
        if hbt.current_timestamp >= end:
            continue
        bid, ask, sane = look(hbt, seen, k)
        k += 1
        if not sane:
            continue
        position = round(hbt.position(0) / lot_size)
        double = bid + ask - 2 * skew * (position // lots)
        want_bid = min(double // 2 - half, bid)
        want_ask = max(-(-double // 2) + half, ask)
        have_bid = have_ask = False
        values = hbt.orders(0).values()
        while values.has_next():
            order = values.get()
            buys = order.side == BUY
            have_bid |= buys
            have_ask |= not buys
            want = want_bid if buys else want_ask
            if order.cancellable and order.price_tick != want:
                hbt.modify(0, order.order_id, want * tick_size, lots * lot_size, False)
        if not have_bid and position < limit:
            last_id += 1
            hbt.submit_buy_order(0, last_id, want_bid * tick_size, lots * lot_size, GTX, LIMIT, False)
        if not have_ask and position > -limit:
            last_id += 1
            hbt.submit_sell_order(0, last_id, want_ask * tick_size, lots * lot_size, GTX, LIMIT, False)


@njit
def arbitrary(hbt, period, end, seed, markets, tick_size, lot_size, fills, seen):
    n, k, last_id = 0, 0, 0
    state = uint64(seed)
    while True:
        done = hbt.elapse(period)
        n = gather(hbt, fills, n)
        if done != 0:
            return n, k
        if hbt.current_timestamp >= end:  # messages alone do not ask for decisions here
            continue
        bid, ask, sane = look(hbt, seen, k)
        k += 1
        state = state * uint64(6364136223846793005) + uint64(1442695040888963407)
        draw = state >> uint64(33)
        what, buys = draw % uint64(10), (draw >> uint64(5)) % uint64(2) == 1
        offset = int((draw >> uint64(8)) % uint64(7)) - 2
        lots = int((draw >> uint64(12)) % uint64(4)) + 1
        first, resting = -1, 0
        values = hbt.orders(0).values()
        while values.has_next():
            order = values.get()
            if order.cancellable:
                resting += 1
                if first < 0 or order.order_id < first:
                    first = order.order_id
        if first >= 0 and (what == 9 or resting > 12):
            hbt.cancel(0, first, False)
        if not sane or what == 9:
            continue
        tif = GTX
        if what == 4:
            tif = GTC
        elif what == 5:
            tif = IOC
        elif what == 6:
            tif = FOK
        kind = LIMIT
        if what == 7 and markets:
            tif, kind = GTC, MARKET
        last_id += 1
        if buys:
            hbt.submit_buy_order(0, last_id, (bid - offset) * tick_size, lots * lot_size, tif, kind, False)
        else:
            hbt.submit_sell_order(0, last_id, (ask + offset) * tick_size, lots * lot_size, tif, kind, False)


def latencies(job):
    """The peer's rows of order latency, empty for a constant one."""
    given = job.get("rows", [])
    table = np.zeros(len(given), [("req_ts", "i8"), ("exch_ts", "i8"), ("resp_ts", "i8"), ("_padding", "i8")])
    for i, row in enumerate(given):
        table[i] = (*row, 0)
    return table


def asset(job, rows, table):
    """The peer's asset under the settings where the models coincide."""
    out = BacktestAsset().data(rows)
    out = out.inverse_asset(job["multiplier"]) if job["inverse"] else out.linear_asset(job["multiplier"])
    if len(table):
        out = out.intp_order_latency(table)
    else:
        out = out.constant_order_latency(job["entry"], job["response"])
    queues = {
        "risk_averse": lambda: out.risk_adverse_queue_model(),
        "power1": lambda: out.power_prob_queue_model(job["power"]),
        "power2": lambda: out.power_prob_queue_model2(job["power"]),
        "power3": lambda: out.power_prob_queue_model3(job["power"]),
        "log1": lambda: out.log_prob_queue_model(),
        "log2": lambda: out.log_prob_queue_model2(),
    }
    out = queues[job["queue"]]().no_partial_fill_exchange().trading_value_fee_model(job["maker"], job["taker"])
    return out.tick_size(job["tick_size"]).lot_size(job["lot_size"])


def run(job, raw):
    """Outcome of one job, as arrays."""
    rows = events(raw, job["tick_size"], job["lot_size"])
    end = int(max(raw["exch_ts"].max(), raw["local_ts"].max()))
    decisions = (end - int(min(raw["exch_ts"].min(), raw["local_ts"].min()))) // job["period"] + 1
    fills, seen = np.zeros((2 * decisions + 10, 4), np.int64), np.full((decisions, 5), np.nan)
    # The peer keeps pointers: rows and table must outlive it.
    table = latencies(job)
    replay = HashMapMarketDepthBacktest([asset(job, rows, table)])
    tick, lot = job["tick_size"], job["lot_size"]
    begun = time.perf_counter()
    if job["strategy"] in ("market_maker", "mover"):
        terms = job["period"], end, job["half"], job["skew"], job["limit"], job["lots"]
        n, k = (market_maker if job["strategy"] == "market_maker" else mover)(replay, *terms, tick, lot, fills, seen)
    else:
        n, k = arbitrary(replay, job["period"], end, job["seed"], job["markets"], tick, lot, fills, seen)
    seconds = time.perf_counter() - begun
    state = replay.state_values(0)
    final = [state.position, state.balance, state.fee, state.num_trades, state.trading_volume, state.trading_value]
    replay.close()
    fills = fills[:n]
    fills = fills[np.lexsort((fills[:, 3], fills[:, 2], fills[:, 1], fills[:, 0]))]
    return {"fills": fills, "seen": seen[:k], "final": np.array(final), "seconds": seconds}


def main() -> None:
    for path in sorted(Path(sys.argv[1]).glob("*.json")):
        job = json.loads(path.read_text())
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as raw:
            outcome = run(job, {name: raw[name] for name in raw.files})
        np.savez(path.with_suffix(".out.npz"), **outcome)
        print(path.stem, outcome["seconds"], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
