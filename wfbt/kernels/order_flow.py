"""A book that order flow makes around a price that is known: limit orders, cancellations, market orders.

Orders arrive as in Cont, Stoikov and Talreja (2010), a Poisson process each; they are placed around an efficient price
that diffuses by itself, and quotes which that price has passed are taken at once by who knows it (Glosten and Milgrom
1985).
"""

from enum import IntEnum
from math import exp, floor, log, sqrt

import numpy as np

from wfbt.kernels._jit import njit, part


class Flow(IntEnum):
    """Parameters of one symbol, float64."""

    LIMITS = 0  # arrivals a second, of both sides together
    CANCELS = 1
    MARKETS = 2
    DEPTH = 3  # mean distance of a limit order from the nearest tick at which it may stand, in ticks
    HALF = 4  # ticks between the efficient price and the nearest quote
    LOTS = 5  # mean lots of a limit order
    TAKEN = 6  # mean lots of a market order
    SIGMA = 7  # deviation of the efficient price's log return over a second
    SIGNAL = 8  # stationary deviation of the signal: drift of the log price a second, in units of SIGMA
    DECAY = 9  # the signal's mean reversion a second
    LEAN = 10  # log odds of a market order to buy, per deviation of the signal
    BASE_LATENCY = 11  # ns
    MEDIAN_LATENCY = 12  # ns beyond the base
    SPREAD_LATENCY = 13  # deviation of its logarithm
    SIZE = 14


class At(IntEnum):
    """Where a symbol's book stands between two days, int64."""

    BID = 0  # best ticks; 0 where a side is empty
    ASK = 1
    LOCAL = 2  # the last time of receipt, ns
    LIMITS = 3
    CANCELS = 4
    MARKETS = 5
    INFORMED = 6
    SIZE = 7


@part
def geometric(drawn, mean):
    """1, 2, … with the given mean, from a uniform in (0, 1)."""
    if mean <= 1.0:
        return 1
    return 1 + np.int64(floor(log(drawn) / log(1.0 - 1.0 / mean)))


@njit
def flow_day(lots, origin, at, price, flow, waits, normals, uniforms, begin, end, tick, rows, trades, truth, counts):
    """One day of a book, from `begin` to before `end` (ns); its rows, its trades, and the truth at each whole second.

    `lots` (2, W) holds bids and asks by tick − `origin`; `at` is as At says; `price` (2,) is the log of the efficient
    price in quote and the signal in deviations; `tick` the tick size.  Each event takes its row of the draws: `waits`
    (E,) standard exponential, `normals` (E, 3), `uniforms` (E, 4) in (0, 1).

    Filled: `rows` (N, 6): exch_ts, recv_ts, side, tick, lots, whether the message ends; `trades` (K, 5): exch_ts,
    recv_ts, aggressor, tick, lots; `truth` (S, 4): efficient price, signal, best bid, best ask, of second begin + s,
    before what happens in it; `counts` (2,): rows and trades.  Returns 0, 1 where there is no room or no draw for more,
    or 2 where the price leaves the ticks that `lots` has.
    """
    width = lots.shape[1]
    rate = flow[Flow.LIMITS] + flow[Flow.CANCELS] + flow[Flow.MARKETS]
    n, k, second, event, now = 0, 0, 0, 0, begin
    while True:
        if event == len(waits):
            return 1
        wait = np.int64(waits[event] / rate * 1e6) * 1000 + 1000
        time = now + wait
        while second < len(truth) and begin + second * 1_000_000_000 <= min(time, end - 1):
            truth[second, 0], truth[second, 1] = exp(price[0]), price[1]
            truth[second, 2], truth[second, 3] = at[At.BID], at[At.ASK]
            second += 1
        if time >= end:
            # The next day draws its first event anew: waiting times have no memory.
            counts[0], counts[1] = n, k
            return 0
        if n + 2 * width > len(rows) or k + 2 * width > len(trades):
            counts[0], counts[1] = n, k
            return 1
        now = time
        seconds = wait * 1e-9
        kept = exp(-flow[Flow.DECAY] * seconds)
        moved = flow[Flow.SIGNAL] * price[1] * seconds + sqrt(seconds) * normals[event, 0]
        price[0] += flow[Flow.SIGMA] * moved
        price[1] = kept * price[1] + sqrt(1.0 - kept * kept) * normals[event, 1]
        fair = exp(price[0]) / tick
        late = flow[Flow.BASE_LATENCY] + flow[Flow.MEDIAN_LATENCY] * exp(flow[Flow.SPREAD_LATENCY] * normals[event, 2])
        local = max(at[At.LOCAL], time + np.int64(late))
        first, kind = n, uniforms[event, 0] * rate
        u0, u1, u2 = uniforms[event, 1], uniforms[event, 2], uniforms[event, 3]
        event += 1
        # Whatever stands on the wrong side of the efficient price is taken first.
        informed = 0
        for side in (1, -1):
            other = 1 if side > 0 else 0
            best = at[At.ASK] if side > 0 else at[At.BID]
            while best > 0 and (best - fair) * side < -flow[Flow.HALF]:
                trades[k, 0], trades[k, 1], trades[k, 2], trades[k, 3] = time, local, side, best
                trades[k, 4] = lots[other, best - origin]
                k += 1
                lots[other, best - origin] = 0
                rows[n, 0], rows[n, 1], rows[n, 2], rows[n, 3], rows[n, 4], rows[n, 5] = time, local, -side, best, 0, 0
                n += 1
                best = next_best(lots[other], origin, best, side)
                informed = 1
            if side > 0:
                at[At.ASK] = best
            else:
                at[At.BID] = best
        if informed:
            at[At.INFORMED] += 1
        elif kind < flow[Flow.LIMITS]:
            side = 1 if u0 < 0.5 else -1
            away = flow[Flow.HALF] + geometric(u1, flow[Flow.DEPTH] + 1.0) - 1.0
            level = np.int64(floor(fair - away)) if side > 0 else -np.int64(floor(-fair - away))
            # Only makers: never at or beyond the other side's best.
            if side > 0 and at[At.ASK] > 0:
                level = min(level, at[At.ASK] - 1)
            if side < 0 and at[At.BID] > 0:
                level = max(level, at[At.BID] + 1)
            place = level - origin
            if place < 0 or place >= width or level <= 0:
                return 2
            own = 0 if side > 0 else 1
            lots[own, place] += geometric(u2, flow[Flow.LOTS])
            rows[n, 0], rows[n, 1], rows[n, 2], rows[n, 3] = time, local, side, level
            rows[n, 4], rows[n, 5] = lots[own, place], 0
            n += 1
            if side > 0:
                at[At.BID] = max(at[At.BID], level)
            elif at[At.ASK] == 0 or level < at[At.ASK]:
                at[At.ASK] = level
            at[At.LIMITS] += 1
        elif kind < flow[Flow.LIMITS] + flow[Flow.CANCELS]:
            side = 1 if u0 < 0.5 else -1
            own = 0 if side > 0 else 1
            best = at[At.BID] if side > 0 else at[At.ASK]
            level = best - side * (geometric(u1, flow[Flow.DEPTH] + 1.0) - 1)
            place = level - origin
            if best > 0 and 0 <= place < width and lots[own, place] > 0:
                gone = min(geometric(u2, flow[Flow.LOTS]), lots[own, place])
                lots[own, place] -= gone
                rows[n, 0], rows[n, 1], rows[n, 2], rows[n, 3] = time, local, side, level
                rows[n, 4], rows[n, 5] = lots[own, place], 0
                n += 1
                if lots[own, place] == 0 and level == best:
                    best = next_best(lots[own], origin, best, -side)
                    if side > 0:
                        at[At.BID] = best
                    else:
                        at[At.ASK] = best
                at[At.CANCELS] += 1
        else:
            side = 1 if u0 < 1.0 / (1.0 + exp(-flow[Flow.LEAN] * price[1])) else -1
            other = 1 if side > 0 else 0
            best = at[At.ASK] if side > 0 else at[At.BID]
            left = geometric(u1, flow[Flow.TAKEN])
            if best > 0:
                at[At.MARKETS] += 1
            while left > 0 and best > 0:
                place = best - origin
                taken = min(left, lots[other, place])
                left -= taken
                lots[other, place] -= taken
                trades[k, 0], trades[k, 1], trades[k, 2], trades[k, 3] = time, local, side, best
                trades[k, 4] = taken
                k += 1
                rows[n, 0], rows[n, 1], rows[n, 2], rows[n, 3] = time, local, -side, best
                rows[n, 4], rows[n, 5] = lots[other, place], 0
                n += 1
                if lots[other, place] == 0:
                    best = next_best(lots[other], origin, best, side)
            if side > 0:
                at[At.ASK] = best
            else:
                at[At.BID] = best
        if n > first:
            rows[n - 1, 5] = 1
            at[At.LOCAL] = local


@part
def next_best(lots, origin, best, outward):
    """The nearest tick that holds something beyond `best`, going up or down; 0 where none does."""
    place = best - origin + outward
    while 0 <= place < len(lots):
        if lots[place] > 0:
            return place + origin
        place += outward
    return 0
