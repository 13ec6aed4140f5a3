"""Exposure limits: what is planned, both sides of each limit, and what a limit that is broken does.

Cold code: it runs when a limit is on and an order is about to be sent.
"""

from math import ceil, inf, isnan, nan

import numpy as np

from wfbt.kernels._jit import part
from wfbt.kernels.abi import Act, Bound, Reason
from wfbt.kernels.account import value
from wfbt.kernels.orders import farthest

LEAST_DAYS = 30
BISECTIONS = 60
PASS = -1
SLACK = 1e-12  # a limit is not broken by the last bits of sums that meet it; a goal that is cut to it has none


@part
def loss_per_unit(units, start, stop_price, inverse):
    """What one unit loses from `start` = v(price) to its stop, in v; all of it without one."""
    if isnan(stop_price) or stop_price <= 0.0 or stop_price == inf:
        return abs(start)
    side = 1.0 if units > 0.0 else -1.0
    return max(0.0, side * (start - value(stop_price, inverse)))


@part
def plan(state, flight, work, contracts, close, mark_close, row, ordered, units, losses, worth):
    """Units that each asset is going to (`ordered`) or holds, their loss to the stop and their signed value."""
    for a in range(len(state)):
        s, c = state[a], contracts[a]
        at = value(mark_close[row + a], c["inverse"])
        units[a], start = s["position"], at
        stop_price = s["level"] if s["position"] != 0.0 else nan  # an exit may have left a rebalance on its way
        if ordered and (s["flying"] > 0 or s["working"] != 0):
            order = flight[a, s["flying"] - 1] if s["flying"] > 0 else work[a]
            units[a] = farthest(order)
            if order["reason"] == Reason.TARGET:
                last_price = mark_close[row + a] if isnan(close[row + a]) else close[row + a]
                stop_price = last_price - (order["stop"] if units[a] > 0.0 else -order["stop"])
                start = value(last_price, c["inverse"])
        losses[a], worth[a] = 0.0, 0.0
        if units[a] != 0.0:
            losses[a] = loss_per_unit(units[a], start, stop_price, c["inverse"])
            worth[a] = c["multiplier"] * units[a] * abs(at)


@part
def tail_loss(worth, days, ended, mean, rules):
    """Loss on the worst share of the last days: their mean, or their least."""
    first = max(0, ended - rules["window"])
    if ended - first < LEAST_DAYS:
        return 0.0
    # The worst days only, in order: a limit looks at few of many, and sorts them sixty times.
    count = max(1, ceil(rules["tail"] * (ended - first) - 1e-9))
    worst, kept = np.zeros(count), 0
    for i in range(first, ended):
        loss = 0.0
        for a in range(len(worth)):
            if not isnan(days[i, a]):
                loss -= worth[a] * days[i, a]
        if kept == count and loss <= worst[0]:
            continue
        k = 0 if kept == count else kept
        if kept < count:
            kept += 1
            while k > 0 and worst[k - 1] > loss:
                worst[k] = worst[k - 1]
                k -= 1
        else:
            while k + 1 < count and worst[k + 1] < loss:
                worst[k] = worst[k + 1]
                k += 1
        worst[k] = loss
    if not mean:
        return worst[0]
    total = 0.0
    for i in range(count):
        total += worst[i]
    return total / count


@part
def measure(bound, a, units, losses, worth, equity, contracts, bounds, activity, t, rules):
    """What is planned, and the most that the limit allows; 0 where it cannot be judged."""
    most = bounds[bound]["most"]
    allowed, total = most * equity, 0.0
    if bound == Bound.GROSS:
        for b in range(len(worth)):
            total += abs(worth[b])
        return total, allowed
    if bound == Bound.NET:
        for b in range(len(worth)):
            total += worth[b]
        return abs(total), allowed
    if bound == Bound.ASSET:
        return abs(worth[a]), allowed
    if bound == Bound.CONCENTRATION:
        gross = bounds[Bound.GROSS]["most"]
        return abs(worth[a]), most * (gross if gross < inf else rules["leverage"]) * equity
    if bound == Bound.CORRELATED:
        k = activity.ended[t]
        for b in range(len(worth)):
            if b == a or worth[b] == 0.0 or worth[a] == 0.0:
                continue
            together = activity.correlations[k, a, b]
            if (together if worth[a] * worth[b] > 0.0 else -together) >= rules["correlated_at"]:
                total += abs(worth[b])
        return (abs(worth[a]) + total if total > 0.0 else 0.0), allowed
    if bound == Bound.VAR or bound == Bound.CVAR:
        return tail_loss(worth, activity.days, activity.ended[t], bound == Bound.CVAR, rules), allowed
    if bound == Bound.LIQUIDITY:
        depth = activity.depth[t, a]
        return (0.0, inf) if isnan(depth) else (abs(units[a]), most * depth)
    if bound == Bound.STOPS:
        for b in range(len(worth)):
            total += contracts[b]["multiplier"] * abs(units[b]) * losses[b]
        return total, allowed
    volatility = activity.volatility[t, a]
    return (0.0 if isnan(volatility) else volatility), most


@part
def first_broken(last, a, units, losses, worth, equity, contracts, bounds, activity, t, rules, slack):
    """The first limit before `last` that is broken by more than `slack`, or PASS, and both sides of it."""
    for bound in range(last):
        if bounds[bound]["most"] < inf:
            planned, most = measure(bound, a, units, losses, worth, equity, contracts, bounds, activity, t, rules)
            if planned > most * (1.0 + slack):
                return bound, planned, most
    return PASS, 0.0, inf


@part
def write_event(out, ts, row, asset, bound, act, planned, most):
    """Record a limit that acted."""
    out["ts"] = ts
    out["row"] = row
    out["asset"] = asset
    out["bound"] = bound
    out["act"] = act
    out["value"] = planned
    out["most"] = most


@part
def aim_at(g, a, distance, arrival, at, contracts, units, losses, worth):
    """Plan an order to `g` of one asset, its stop at a distance from the close."""
    units[a], losses[a], worth[a] = g, 0.0, 0.0
    if g != 0.0:
        stop_price = arrival - (distance if g > 0.0 else -distance)
        losses[a] = loss_per_unit(g, value(arrival, contracts[a]["inverse"]), stop_price, contracts[a]["inverse"])
        worth[a] = contracts[a]["multiplier"] * g * abs(at)


@part
def lessens(g, position):
    """Is this goal no larger than what is held?  Then no limit minds it."""
    return g == 0.0 or (g * position > 0.0 and abs(g) <= abs(position))


@part
def judge(
    g, a, distance, equity, state, flight, work, contracts, close, mark_close, row, bounds, activity, t, now, event,
    rules,
):  # fmt: skip
    """What the limits make of an order to `g`: Act or PASS, and the goal that is left.  Writes `event` unless PASS."""
    position = state[a]["position"]
    if lessens(g, position):
        return PASS, g
    assets = len(state)
    units, losses, worth = np.zeros(assets), np.zeros(assets), np.zeros(assets)
    plan(state, flight, work, contracts, close, mark_close, row, True, units, losses, worth)
    arrival = close[row + a]
    at = value(mark_close[row + a], contracts[a]["inverse"])
    aim_at(g, a, distance, arrival, at, contracts, units, losses, worth)
    kinds = len(bounds)
    broken, planned, most = first_broken(
        kinds, a, units, losses, worth, equity, contracts, bounds, activity, t, rules, SLACK
    )  # fmt: skip
    if broken == PASS:
        return PASS, g
    act = bounds[broken]["act"]
    write_event(event, now, t, a, broken, act, planned, most)
    if act != Act.CAP:
        return act, g
    least = position if g * position > 0.0 else 0.0
    if bounds[Bound.VOLATILITY]["most"] < inf:
        wild, calm = measure(Bound.VOLATILITY, a, units, losses, worth, equity, contracts, bounds, activity, t, rules)
        if wild > calm * (1.0 + SLACK):
            if bounds[Bound.VOLATILITY]["act"] != Act.CAP:
                return act, least  # no size would pass
            g *= calm / wild
            if lessens(g, position):
                return act, g
    # Size does not change volatility, so it is not asked again.
    aim_at(g, a, distance, arrival, at, contracts, units, losses, worth)
    broken, _, _ = first_broken(
        kinds - 1, a, units, losses, worth, equity, contracts, bounds, activity, t, rules, SLACK
    )  # fmt: skip
    if broken == PASS:
        return act, g
    start, nothing = least, 1e-9 * abs(g)
    for _ in range(BISECTIONS):
        middle = 0.5 * (least + g)
        aim_at(middle, a, distance, arrival, at, contracts, units, losses, worth)
        broken, _, _ = first_broken(
            kinds - 1, a, units, losses, worth, equity, contracts, bounds, activity, t, rules, 0.0
        )  # fmt: skip
        if broken == PASS:
            least = middle
        else:
            g = middle
    return act, (least if abs(least - start) > nothing else start)


@part
def watch(equity, state, flight, work, contracts, close, mark_close, row, bounds, activity, t, now, event, rules):
    """Does what is held break a limit that flattens?  Writes `event` when it does."""
    assets = len(state)
    units, losses, worth = np.zeros(assets), np.zeros(assets), np.zeros(assets)
    plan(state, flight, work, contracts, close, mark_close, row, False, units, losses, worth)
    for bound in range(len(bounds) - 1):
        if bounds[bound]["act"] != Act.FLATTEN or bounds[bound]["most"] == inf or bound == Bound.CONCENTRATION:
            continue
        each = bound == Bound.ASSET or bound == Bound.CORRELATED or bound == Bound.LIQUIDITY
        for a in range(assets if each else 1):
            planned, most = measure(bound, a, units, losses, worth, equity, contracts, bounds, activity, t, rules)
            if planned > most * (1.0 + SLACK):
                write_event(event, now, t, a if each else -1, bound, Act.FLATTEN, planned, most)
                return True
    return False
