"""Generated order flow: the rows that a feed of a limit order book would carry, any number of them, by seed.

Orders of exponential size arrive and leave at random around each other (zero intelligence: Smith, Farmer, Gillemot and
Krishnamurthy 2003), takers lean to one side for a while, so the mid wanders.  Some of a feed's bad habits are in it on
purpose: a new quote told before the quote that it crosses is withdrawn, withdrawals that are never told, snapshots,
many rows of one instant, and trades that travel apart from depth, so that the two orders of the list differ.
"""

from __future__ import annotations

import numpy as np
from numba import njit

DEPTH, TRADE, CLEAR = 0, 1, 2
SPAN = 1 << 14
"""Ticks that the market may move in all; the flow turns back at the ends."""


@njit
def uniform(state):
    """Splitmix64 (Steele, Lea and Flood 2014) on state[0]; in (0, 1)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (np.float64(z >> np.uint64(11)) + 0.5) / 9007199254740992.0


@njit
def size(state, mean):
    return 1 + int(-np.log(uniform(state)) * mean)


@njit
def flow(n, seed, gap, mean, quirks, ts, kind, side, tick, lots):
    """Fill `n` rows in exchange order; the book's truth is `bids` and `asks` over SPAN ticks."""
    state = np.array([seed], np.uint64)
    book = np.zeros((2, SPAN), np.int64)  # 0 bids, 1 asks
    middle = SPAN // 2
    for d in range(1, 40):
        book[0, middle - d] = size(state, mean * d)
        book[1, middle + d] = size(state, mean * d)
    bid, ask = middle - 1, middle + 1
    i, now, lean, due_snapshot, anchor = 0, 0.0, 0.5, True, middle
    while i < n - 256:
        now += -np.log(uniform(state)) * gap
        t = np.int64(now)
        if due_snapshot or (quirks and uniform(state) < 2e-5):
            due_snapshot = False
            ts[i], kind[i], side[i], tick[i], lots[i] = t, CLEAR, 0, 0, 0
            i += 1
            for d in range(60):
                if bid - d > 0 and book[0, bid - d] > 0:
                    ts[i], kind[i], side[i], tick[i], lots[i] = t, DEPTH, 1, bid - d, book[0, bid - d]
                    i += 1
                if ask + d < SPAN and book[1, ask + d] > 0:
                    ts[i], kind[i], side[i], tick[i], lots[i] = t, DEPTH, -1, ask + d, book[1, ask + d]
                    i += 1
            continue
        # Takers lean back to the middle, the more the further they have pushed it.
        home = 0.5 - 8.0 * (bid - middle) / SPAN
        lean = min(max(lean + 0.008 * (uniform(state) - 0.5) + 0.002 * (home - lean), 0.35), 0.65)
        what = uniform(state)
        if ask - bid > 40:  # a side has been eaten up: makers first
            what = 0.3
        else:
            anchor = (bid + ask) // 2
        buys = uniform(state) < (lean if what < 0.12 else 0.5)
        if what < 0.12:  # a taker: eats the other side level by level
            want = size(state, mean * 1.5)
            s = 1 if buys else 0
            step = 1 if buys else -1
            at = ask if buys else bid
            first, begun, last = i, at, at
            while want > 0 and 0 < at < SPAN - 1 and abs(at - begun) < 40 and i < n - 128:
                have = book[s, at]
                if have > 0:
                    take, last = min(have, want), at
                    want -= take
                    book[s, at] = have - take
                    ts[i], kind[i], side[i], tick[i], lots[i] = t, TRADE, step, at, take
                    i += 1
                if want > 0:
                    at += step
            final = i
            emptied = -1
            if quirks and book[s, last] == 0 and uniform(state) < 0.3:
                # A maker follows at the price just emptied, and the feed tells of him first.
                emptied = at = last
                book[1 - s, at] = size(state, mean)
                if buys:
                    bid = at
                else:
                    ask = at
                ts[i], kind[i], side[i], tick[i], lots[i] = t, DEPTH, step, at, book[1 - s, at]
                i += 1
            for k in range(first, final):
                if quirks and book[s, tick[k]] == 0 and tick[k] != emptied and uniform(state) < 2e-3:
                    continue
                ts[i], kind[i], side[i], tick[i], lots[i] = t, DEPTH, -step, tick[k], book[s, tick[k]]
                i += 1
        elif what < 0.58:  # a maker, some inside the spread
            d = int(-np.log(uniform(state)) * 4.0)
            at = min(ask - 1 - d, anchor + 3) if buys else max(bid + 1 + d, anchor - 3)
            at = min(max(at, 1), SPAN - 2)
            s = 0 if buys else 1
            book[s, at] += size(state, mean)
            if buys:
                bid = max(bid, at)
            else:
                ask = min(ask, at)
            ts[i], kind[i], side[i], tick[i], lots[i] = t, DEPTH, 1 if buys else -1, at, book[s, at]
            i += 1
        else:  # a cancel, of part of a level or all of it
            d = int(-np.log(uniform(state)) * 5.0)
            at = bid - d if buys else ask + d
            s = 0 if buys else 1
            if at <= 0 or at >= SPAN - 1 or book[s, at] == 0:
                continue
            gone = book[s, at] if uniform(state) < 0.25 else 1 + int(uniform(state) * book[s, at])
            gone = min(gone, book[s, at])
            book[s, at] -= gone
            ts[i], kind[i], side[i], tick[i], lots[i] = t, DEPTH, 1 if buys else -1, at, book[s, at]
            i += 1
        while ask < SPAN - 2 and book[1, ask] == 0:
            ask += 1
        while bid > 1 and book[0, bid] == 0:
            bid -= 1
    return i


def generated(
    rows,
    seed=0,
    gap_ns=500_000.0,
    mean_lots=6.0,
    quirks=True,
    feed_ns=2_000_000,
    base_tick=100_000,
    start=1_700_000_000_000_000_000,
):
    """About `rows` rows of one symbol, as a dict of the six event arrays in local order.

    `gap_ns` is the mean time between arrivals; feed latency is half of `feed_ns` and an exponential of the other half,
    apart for trades and depth, each first-in first-out.
    """
    n = rows + 256
    ts, tick, lots = (np.zeros(n, np.int64) for _ in range(3))
    kind, side = (np.zeros(n, np.int8) for _ in range(2))
    used = min(flow(n, np.uint64(seed * 2 + 1), gap_ns, mean_lots, quirks, ts, kind, side, tick, lots), rows)
    exch, kind, side, tick, lots = (x[:used] for x in (ts + start, kind, side, tick, lots))
    rng = np.random.default_rng([seed, 71])
    # One delay an instant and channel: rows of one message arrive together.
    delay = (feed_ns / 2 * (1.0 + rng.exponential(size=used))).astype(np.int64)
    same = np.r_[False, exch[1:] == exch[:-1]]
    leader = np.maximum.accumulate(np.where(same, 0, np.arange(used)))
    local = exch + delay[leader]
    for channel in (kind == TRADE, kind != TRADE):
        local[channel] = np.maximum.accumulate(
            local[channel] + (0 if quirks is False else feed_ns // 8 * (kind[channel] == TRADE))
        )
    order = np.argsort(local, kind="stable")
    arrays = {
        "exch_ts": exch,
        "local_ts": local,
        "kind": kind,
        "side": side,
        "tick": tick + base_tick * (kind != CLEAR),
        "lots": lots,
    }
    return {name: np.ascontiguousarray(x[order]) for name, x in arrays.items()}
