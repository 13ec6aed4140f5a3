"""What margin allows and what it ends: leverage, isolated wallets, maintenance tiers and liquidation."""

from math import floor, inf, nan

from wfbt.kernels._jit import inlined, njit
from wfbt.kernels.abi import Liquidity, Reason
from wfbt.kernels.account import end_trip, value
from wfbt.kernels.costs import slippage, step_to
from wfbt.kernels.exits import bare


@inlined
def affordable(state, contract, delta, reference, spread, impact, fee_rate, funds, other, rules):
    """`delta` cut to what margin allows after the costs of getting there, and its slippage.

    Under cross margin `funds` is equity and `other` the gross value of the other assets, both just before the fill at
    `reference`; under isolated margin `funds` is what is free.  The costs are those of the whole fill, so one that is
    cut is cut a little deeper than it need be, never too little.
    """
    position = state["position"]
    if delta == 0.0:
        return 0.0, 0.0
    after = position + delta
    same_side = after * position > 0.0
    slip = slippage(delta, impact, spread)
    if after == 0.0 or (same_side and abs(after) <= abs(position)):
        return delta, slip
    side = 1.0 if delta > 0.0 else -1.0
    inverse = contract["inverse"]
    at_reference = value(reference, inverse)
    at_price = at_reference * (1.0 + side * slip)
    if inverse == 0.0:
        cost = slip + fee_rate * (1.0 + side * slip)
    else:
        at_price = value(reference * (1.0 + side * slip), inverse)
        cost = (side * (at_price - at_reference) + fee_rate * abs(at_price)) / abs(at_reference)
    unit = contract["multiplier"] * abs(at_reference)
    held = abs(position) if same_side else -abs(position)
    if rules["isolated"] != 0:
        most = most_isolated(state, contract, same_side, at_price, cost, unit, fee_rate, funds, rules)
    else:
        if abs(after) * unit + other <= rules["leverage"] * (funds - cost * unit * abs(delta)):
            return delta, slip
        most = (rules["leverage"] * (funds + cost * unit * held) - other) / (unit * (1.0 + rules["leverage"] * cost))
    if abs(after) <= most * (1.0 + 1e-12):
        return delta, slip
    cut = cut_to(most, held if same_side else 0.0, side, position, delta, contract["lot"])
    return cut, slippage(cut, impact, spread) if cut != 0.0 else 0.0


@njit
def cut_to(most, least, side, position, delta, lot):
    """Quantity that leaves a |position| of `most`, but never below `least`; 0 when that is next to nothing.

    What margin leaves is a small difference of large sums.  Without lots it counts in billionths of the order, so that
    the rounding of those sums decides nothing: it is far less than a hundredth of that.
    """
    more, part = max(most - least, 0.0), 1e-9 * abs(delta)
    if lot == 0.0:
        more = floor(more / part + 0.01) * part
    cut = step_to(side * (least + more), position, lot)
    return cut if abs(cut) > 1e-12 * abs(delta) else 0.0


@njit
def most_isolated(state, contract, same_side, at_price, cost, unit, fee_rate, free, rules):
    """Largest |position| after the fill that free margin can carry."""
    position = state["position"]
    if not same_side and position != 0.0:
        # What the closing part sets free, or loses.
        m = contract["multiplier"]
        free += state["wallet"] + m * position * (at_price - value(state["entry"], contract["inverse"]))
        free -= fee_rate * m * abs(position) * abs(at_price)
    grown = max(free / (unit * (1.0 / rules["leverage"] + cost)), 0.0)
    return abs(position) + grown if same_side else grown


@njit
def free_margin(account, state, contracts):
    """Cash, entries and wallets of an isolated account: what new wallets may take."""
    free = account["cash"]
    for a in range(len(state)):
        s, c = state[a], contracts[a]
        if s["position"] != 0.0:
            free += c["multiplier"] * s["position"] * value(s["entry"], c["inverse"]) - s["wallet"]
    return free


@inlined
def backing(account, state, contract, rules):
    """Equity behind a single position, but for the value of its units."""
    if rules["isolated"] == 0:
        return account["cash"]
    return state["wallet"] - contract["multiplier"] * state["position"] * value(state["entry"], contract["inverse"])


@inlined
def liquidation_mark(backed, state, contract):
    """Mark at which one position alone meets its highest maintenance rate; 0 (long) or inf (short): never."""
    m, inverse, position = contract["multiplier"], contract["inverse"], state["position"]
    # backed + m·q·v = rate·m·|q|·|v|, with |v| = v for a linear contract and −v for an inverse one.
    need = state["margin"] * m * abs(position) * (-1.0 if inverse != 0.0 else 1.0)
    slope = m * position - need
    v = -backed / slope if slope != 0.0 else nan
    if inverse != 0.0:
        if v < 0.0:
            return -1.0 / v
        # A short whose cash covers every price, or a long that no fall can reach.
        return 0.0 if position > 0.0 else inf
    if v > 0.0:
        return v
    return 0.0 if position > 0.0 else inf


@inlined
def mark_span(state, mark_open, mark_high, mark_low):
    """First and adverse extreme mark of this bar for the position held."""
    first = state["anchor"] if state["inside"] != 0 else mark_open
    return first, min(first, mark_low) if state["position"] > 0.0 else max(first, mark_high)


@njit
def tier_of(tiers, asset, notional):
    """Index of the margin tier that a notional is in."""
    k = 0
    while k < tiers.shape[1] - 1 and notional > tiers[asset, k]["cap"]:
        k += 1
    return k


@njit
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


@njit
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


@njit
def lay_spans(spans, state, contracts, mark_open, mark_high, mark_low, row):
    """v at the start and at the end of each mark's path on this row."""
    for a in range(len(state)):
        if state[a]["position"] != 0.0:
            x = row + a
            first, final = mark_span(state[a], mark_open[x], mark_high[x], mark_low[x])
            spans[a, 0] = value(first, contracts[a]["inverse"])
            spans[a, 1] = value(final, contracts[a]["inverse"])


@njit
def lay_marks(spans, state, contracts, mark, row):
    """v at one mark of each asset, wherever its bar was entered."""
    for a in range(len(state)):
        if state[a]["position"] != 0.0:
            spans[a, 0] = value(mark[row + a], contracts[a]["inverse"])
            spans[a, 1] = spans[a, 0]


@njit
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


@njit
def bankruptcy_price(v, equity, units, inverse):
    """Mark at which the equity behind a position would be zero; NaN when that is no price."""
    at = v - equity / units
    if inverse != 0.0:
        return -1.0 / at if at < 0.0 else nan
    return at if at > 0.0 else nan
