"""Liquidation: where on their paths the marks exhaust the margin, and what the venue closes there.

Cold code: it runs when an account, or a wallet, meets its maintenance or has lost everything.
"""

from math import nan

from wfbt.kernels._jit import part
from wfbt.kernels.abi import Liquidity, Reason
from wfbt.kernels.account import end_trip, value
from wfbt.kernels.exits import bare
from wfbt.kernels.margin import backing, mark_span
from wfbt.kernels.orders import cancel_all


@part
def tier_of(tiers, asset, notional):
    """Index of the margin tier that a notional is in."""
    k = 0
    while k < tiers.shape[1] - 1 and notional > tiers[asset, k]["cap"]:
        k += 1
    return k


@part
def gap_at(theta, backed, first, last, state, contracts, spans, tiers):
    """Equity less maintenance of assets [first, last) at `theta` of their paths, and its slope."""
    gap, slope = backed, 0.0
    for a in range(first, last):
        s, c = state[a], contracts[a]
        if s["position"] == 0.0:
            continue
        units = c["multiplier"] * s["position"]
        v0 = spans[a, 0]
        change = spans[a, 1] - v0
        at = v0 + theta * change
        notional = abs(units * at)
        tier = tiers[a, tier_of(tiers, a, notional)]
        gap += units * at - (tier["rate"] * notional - tier["amount"])
        slope += units * change - tier["rate"] * abs(units) * (change if at > 0.0 else -change)
    return gap, slope


@part
def liquidation_point(backed, first, last, state, contracts, spans, tiers):
    """Where on their way to the adverse extreme the marks exhaust the margin; −1 when they do not."""
    theta = 1.0
    gap, slope = gap_at(theta, backed, first, last, state, contracts, spans, tiers)
    if gap > 0.0:
        return -1.0
    at_first, _ = gap_at(0.0, backed, first, last, state, contracts, spans, tiers)
    if at_first <= 0.0:
        return 0.0
    # Newton from the right: the gap is concave and piecewise linear, so each step stays right of the root and the last
    # one, on the root's own piece, is exact.
    for _ in range(2 * tiers.size + 2):
        step = max(theta - gap / slope, 0.0)
        if step >= theta:
            break
        theta = step
        gap, slope = gap_at(theta, backed, first, last, state, contracts, spans, tiers)
        if gap >= 0.0:
            break
    return theta


@part
def lay_spans(spans, state, contracts, mark_open, mark_high, mark_low, row):
    """v at the start and at the end of each mark's path on this row."""
    for a in range(len(state)):
        if state[a]["position"] != 0.0:
            x = row + a
            first, final = mark_span(state[a], mark_open[x], mark_high[x], mark_low[x])
            spans[a, 0] = value(first, contracts[a]["inverse"])
            spans[a, 1] = value(final, contracts[a]["inverse"])


@part
def lay_marks(spans, state, contracts, mark, row):
    """v at one mark of each asset, wherever its bar was entered."""
    for a in range(len(state)):
        if state[a]["position"] != 0.0:
            spans[a, 0] = value(mark[row + a], contracts[a]["inverse"])
            spans[a, 1] = spans[a, 0]


@part
def liquidate(
    account, tally, state, contracts, spans, theta, backed, first, last, fills, n, liquidations, keep, t, begin, now,
    rules,
):  # fmt: skip
    """Let the venue close the positions of assets [first, last) at `theta`: no spread, impact or ticks.

    The fee comes once all is closed, from what is left of `backed`: the account's cash, or one wallet.  Returns the
    next fill slot, the fees and what is missing.
    """
    equity = backed
    for a in range(first, last):
        if state[a]["position"] != 0.0:
            v = spans[a, 0] + theta * (spans[a, 1] - spans[a, 0])
            equity += contracts[a]["multiplier"] * state[a]["position"] * v
            account["cash"] += contracts[a]["multiplier"] * state[a]["position"] * v
    left = equity if rules["isolated"] != 0 else account["cash"]
    fees, latest = 0.0, -1
    for a in range(first, last):
        s, c = state[a], contracts[a]
        if s["position"] == 0.0:
            continue
        m, inverse, qty = c["multiplier"], c["inverse"], -s["position"]
        v = spans[a, 0] + theta * (spans[a, 1] - spans[a, 0])
        price = -1.0 / v if inverse != 0.0 else v
        ts = begin if theta == 0.0 and s["inside"] == 0 else now - 1
        closed = m * abs(qty * v)
        fee = min(rules["liquidation_fee"] * closed, max(left, 0.0))
        left -= fee
        fees += fee
        if keep:
            out = fills[n]
            out["order"] = account["orders"]
            out["parent"] = account["orders"]
            out["asset"] = a
            out["liquidity"] = Liquidity.VENUE
            out["reason"] = Reason.LIQUIDATION
            out["ts"] = ts
            out["row"] = t
            out["qty"] = qty
            out["price"] = price
            out["reference"] = price
            out["arrival"] = price
            out["fee"] = 0.0
            out["spread"] = 0.0
            out["impact"] = 0.0
            n += 1
            latest = tally["liquidations"]
            record = liquidations[latest]
            record["ts"] = ts
            record["row"] = t
            record["asset"] = a
            record["qty"] = qty
            record["price"] = price
            record["bankruptcy"] = bankruptcy_price(v, equity, m * s["position"], inverse)
            record["fee"] = fee
            record["shortfall"] = 0.0
        account["orders"] += 1
        account["cash"] -= fee
        tally["fills"] += 1
        tally["liquidations"] += 1
        tally["traded"] += closed
        trip = s["trip"] - m * qty * (v - value(s["entry"], inverse)) - fee
        end_trip(account, tally, trip, closed, now, rules)
        s["position"] = 0.0
        s["wallet"] = 0.0
        bare(s)
    short = max(-left, 0.0)
    if latest >= 0:
        liquidations[latest]["shortfall"] = short
    return n, fees, short


@part
def bankruptcy_price(v, equity, units, inverse):
    """Mark at which the equity behind a position would be zero; NaN when that is no price."""
    at = v - equity / units
    if inverse != 0.0:
        return -1.0 / at if at < 0.0 else nan
    return at if at > 0.0 else nan


@part
def liquidate_wallets(
    account, tally, state, flight, work, contracts, spans, tiers, mark_open, mark_high, mark_low, row, fills, n, orders,
    liquidations, keep, t, begin, now, rules,
):  # fmt: skip
    """Close each isolated position whose wallet this bar exhausts.  The next fill slot, fees, and what is missing."""
    fees, missing = 0.0, 0.0
    lay_spans(spans, state, contracts, mark_open, mark_high, mark_low, row)
    for a in range(len(state)):
        s = state[a]
        if s["position"] == 0.0:
            continue
        backed = backing(account, s, contracts[a], rules)
        theta = liquidation_point(backed, a, a + 1, state, contracts, spans, tiers)
        if theta < 0.0:
            continue
        at = begin if theta == 0.0 and s["inside"] == 0 else now - 1
        cancel_all(s, flight, work, a, orders, keep, at)
        n, fee, short = liquidate(
            account, tally, state, contracts, spans, theta, backed, a, a + 1, fills, n, liquidations, keep, t, begin,
            now, rules,
        )  # fmt: skip
        account["cash"] += short
        fees += fee
        missing += short
    return n, fees, missing


@part
def liquidate_account(
    account, tally, state, flight, work, contracts, spans, tiers, mark_open, mark_high, mark_low, row, fills, n, orders,
    liquidations, keep, t, begin, now, rules,
):  # fmt: skip
    """Close everything if this bar exhausts the cross margin.  The next fill slot, fees, and what is missing."""
    assets = len(state)
    lay_spans(spans, state, contracts, mark_open, mark_high, mark_low, row)
    theta = liquidation_point(account["cash"], 0, assets, state, contracts, spans, tiers)
    if theta < 0.0:
        return n, 0.0, 0.0
    at = begin if theta == 0.0 else now - 1
    for a in range(assets):
        if state[a]["position"] != 0.0 and state[a]["inside"] != 0:
            at = now - 1
    for a in range(assets):
        cancel_all(state[a], flight, work, a, orders, keep, at)
    n, fees, missing = liquidate(
        account, tally, state, contracts, spans, theta, account["cash"], 0, assets, fills, n, liquidations, keep, t,
        begin, now, rules,
    )  # fmt: skip
    if missing > 0.0:
        account["cash"] = 0.0
    return n, fees, missing


@part
def end_account(
    account, tally, state, flight, work, contracts, spans, mark, row, fills, n, orders, liquidations, keep, t, begin,
    now, rules,
):  # fmt: skip
    """Close an account that has nothing left.  The next fill slot, what the venue keeps, and what is missing."""
    lay_marks(spans, state, contracts, mark, row)
    for a in range(len(state)):
        cancel_all(state[a], flight, work, a, orders, keep, now)
    n, _, _ = liquidate(
        account, tally, state, contracts, spans, 1.0, account["cash"], 0, len(state), fills, n, liquidations, keep, t,
        begin, now, rules,
    )  # fmt: skip
    left = account["cash"]
    account["cash"] = 0.0
    return n, max(left, 0.0), -min(left, 0.0)
