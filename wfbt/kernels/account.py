"""The one account: what a fill, a funding payment and a liquidation do to cash, position and round trip.

Records and scalars in; the records are changed in place.  Every engine calls these, so what a model trained in is what
it is judged in.
"""

from math import inf, isnan, nan

from wfbt.kernels._jit import inlined
from wfbt.kernels.abi import Reason
from wfbt.kernels.costs import on_tick, slippage, step_to

NEVER = 2**63 - 1


@inlined
def value(price, inverse):
    """v(p): quote per unit of a linear contract, −1/p (coin per dollar) of an inverse one."""
    # A loop, run once or not at all: LLVM makes of a branch a division whose result a linear contract waits for.
    while inverse > 0.0:
        price = -1.0 / price
        inverse -= 1.0
    return price


@inlined
def end_trip(account, tally, trip, closed, now, rules):
    """Count a finished round trip; too many losses in a row begin a cool-down.

    `closed` is the value that the last fill closed: a result that is only its rounding is neither won nor lost.
    """
    trip = trip if abs(trip) > 1e-9 * closed else 0.0
    # Sums instead of branches: whether a trip wins cannot be predicted.
    tally["trips"] += 1
    tally["wins"] += 1 if trip > 0.0 else 0
    tally["won"] += max(trip, 0.0)
    tally["lost"] -= min(trip, 0.0)
    losses = (0 if trip > 0.0 else account["losses"]) + (1 if trip < 0.0 else 0)
    if rules["losses"] > 0 and losses >= rules["losses"]:
        account["cool_until"] = now + rules["cool_down"]
        losses = 0
    account["losses"] = losses


@inlined
def book(account, tally, state, contract, qty, price, fee, now, rules):
    """Move `qty` units at `price` into the position; True when that opened or reversed it."""
    m, inverse = contract["multiplier"], contract["inverse"]
    v = value(price, inverse)
    account["cash"] -= m * qty * v + fee
    tally["traded"] += m * abs(qty) * abs(v)
    before = state["position"]
    after = before + qty
    if abs(after) < (0.5 * contract["lot"] if contract["lot"] > 0.0 else 1e-12 * abs(qty)):
        after = 0.0
    state["position"] = after
    if before == 0.0:
        state["entry"] = price
        state["trip"] = -fee
        return True
    if before * qty > 0.0:
        held, added = abs(before), abs(qty)
        if inverse != 0.0:
            state["entry"] = (held + added) / (held / state["entry"] + added / price)
        else:
            state["entry"] = (held * state["entry"] + added * price) / (held + added)
        state["trip"] -= fee
        return False
    closed = min(abs(qty), abs(before))
    side = 1.0 if before > 0.0 else -1.0
    reversed_ = after * before < 0.0
    old_fee = fee * closed / abs(qty) if reversed_ else fee
    state["trip"] += m * closed * side * (v - value(state["entry"], inverse)) - old_fee
    if reversed_ or after == 0.0:
        end_trip(account, tally, state["trip"], m * closed * abs(v), now, rules)
        state["trip"] = old_fee - fee
        state["entry"] = price
    return reversed_


@inlined
def trade(
    account, tally, state, contract, out, keep, qty, reference, slip, half_spread, fee_rate, row, ts, now, order,
    arrival, asset, liquidity, reason, rules,
):  # fmt: skip
    """Fill and book `qty`, recording it if `keep`; whether that opened or reversed the position, and the price."""
    side = 1.0 if qty > 0.0 else -1.0
    price = on_tick(reference * (1.0 + side * slip), side, contract["tick"])
    m, inverse = contract["multiplier"], contract["inverse"]
    at_reference, at_price = value(reference, inverse), value(price, inverse)
    fee = m * abs(qty) * abs(at_price) * fee_rate
    spread = m * abs(qty) * abs(at_reference) * half_spread
    impact = m * qty * (at_price - at_reference) - spread
    if keep:
        out["order"] = order
        out["parent"] = order
        out["asset"] = asset
        out["liquidity"] = liquidity
        out["reason"] = reason
        out["ts"] = ts
        out["row"] = row
        out["qty"] = qty
        out["price"] = price
        out["reference"] = reference
        out["arrival"] = arrival
        out["fee"] = fee
        out["spread"] = spread
        out["impact"] = impact
    tally["fills"] += 1
    tally["fees"] += fee
    tally["spread"] += spread
    tally["impact"] += impact
    return book(account, tally, state, contract, qty, price, fee, now, rules), price


@inlined
def pay_funding(account, tally, state, contract, out, keep, stamp, row):
    """Settle one stamp on the position held just before it.  A positive rate: longs pay."""
    paid = contract["multiplier"] * state["position"] * abs(value(stamp["mark"], contract["inverse"])) * stamp["rate"]
    account["cash"] -= paid
    state["trip"] -= paid
    tally["funding"] += paid
    tally["payments"] += 1
    if keep:
        out["ts"] = stamp["ts"]
        out["row"] = row
        out["asset"] = stamp["asset"]
        out["position"] = state["position"]
        out["rate"] = stamp["rate"]
        out["mark"] = stamp["mark"]
        out["paid"] = paid


@inlined
def grows(position, goal):
    """Would moving to `goal` leave a larger position than is held?

    A reversal to the same size is no growth, however its units were rounded.
    """
    return abs(goal) > abs(position) * (1.0 + 1e-9)


@inlined
def is_due(stamp, row, asset, until):
    """Is this stamp one of the row and asset, and not later than `until`?"""
    return stamp["row"] == row and stamp["asset"] == asset and stamp["ts"] <= until


@inlined
def settle(account, tally, state, contract, stamp, payment, paid, step, row):
    """Pay the next stamp of an asset and go on to the one after; the next payment slot."""
    state["stamp"] += 1
    if state["position"] == 0.0:
        return paid
    pay_funding(account, tally, state, contract, payment, step > 0, stamp, row)
    return paid + step


@inlined
def end_drawdown(tally, peak, trough):
    """Remember how deep equity fell below a peak: asked once it has a new one, not at every new low."""
    tally["max_drawdown"] = max(tally["max_drawdown"], 1.0 - trough / peak)


@inlined
def notional_of(size, equity, rules):
    """Signed quote value of a target of `size`, after the cap per symbol."""
    if equity <= 0.0:
        return 0.0
    notional = size * equity if rules["size"] == 0 else size
    cap = rules["max_position"] * equity
    return min(max(notional, -cap), cap)


@inlined
def affordable(state, contract, goal, reference, impact, equity, other, rules):
    """Quantity to `goal`, cut to what leverage allows after the costs of getting there, and its slippage.

    `equity` and `other` (gross value of the other assets) are taken just before the fill at `reference`.  The costs are
    those of the whole order, so an order that is cut is cut a little deeper than it need be, never too little.
    """
    position = state["position"]
    delta = step_to(goal, position, contract["lot"])
    after = position + delta
    same_side = after * position > 0.0
    if delta == 0.0:
        return 0.0, 0.0
    slip = slippage(delta, impact, rules["half_spread"])
    if after == 0.0 or (same_side and abs(after) <= abs(position)):
        return delta, slip
    side = 1.0 if delta > 0.0 else -1.0
    inverse = contract["inverse"]
    at_reference = value(reference, inverse)
    if inverse == 0.0:
        cost = slip + rules["taker"] * (1.0 + side * slip)
    else:
        at_price = value(reference * (1.0 + side * slip), inverse)
        cost = (side * (at_price - at_reference) + rules["taker"] * abs(at_price)) / abs(at_reference)
    unit = contract["multiplier"] * abs(at_reference)
    if abs(after) * unit + other <= rules["leverage"] * (equity - cost * unit * abs(delta)):
        return delta, slip
    held = abs(position) if same_side else -abs(position)
    most = (rules["leverage"] * (equity + cost * unit * held) - other) / (unit * (1.0 + rules["leverage"] * cost))
    if abs(after) <= most * (1.0 + 1e-12):
        return delta, slip
    least = held if same_side else 0.0
    cut = step_to(side * max(most, least), position, contract["lot"])
    if abs(cut) <= 1e-12 * abs(delta):
        return 0.0, 0.0
    return cut, slippage(cut, impact, rules["half_spread"])


@inlined
def stop_level(state, tick):
    """Price at which the stop or the trail closes the position (0 or inf: never), and whether it is the trail."""
    if state["position"] > 0.0:
        level, trailing = 0.0, False
        if not isnan(state["stop"]):
            level = state["entry"] - state["stop"]
        if not isnan(state["trail"]) and state["extreme"] - state["trail"] > level:
            level, trailing = state["extreme"] - state["trail"], True
        if level <= 0.0:
            return 0.0, False
        return on_tick(level, -1.0, tick), trailing
    level, trailing = inf, False
    if not isnan(state["stop"]):
        level = state["entry"] + state["stop"]
    if not isnan(state["trail"]) and state["extreme"] + state["trail"] < level:
        level, trailing = state["extreme"] + state["trail"], True
    if level == inf:
        return inf, False
    return on_tick(level, 1.0, tick), trailing


@inlined
def take_level(state, tick):
    """Limit price of the take-profit; inf or 0: none."""
    long = state["position"] > 0.0
    if isnan(state["take"]):
        return inf if long else 0.0
    if long:
        return on_tick(state["entry"] + state["take"], -1.0, tick)
    level = state["entry"] - state["take"]
    return on_tick(level, 1.0, tick) if level > 0.0 else 0.0


@inlined
def set_levels(state, tick):
    """Put the prices of the exits in force into the state: after an order's fill, and when a trail moves."""
    level, trailed = stop_level(state, tick)
    state["level"] = level
    state["trailed"] = 1 if trailed else 0
    state["target"] = take_level(state, tick)


@inlined
def liquidation_mark(cash, position, contract):
    """Mark at which one position alone meets its maintenance margin; 0 (long) or inf (short): never."""
    m, inverse, maintenance = contract["multiplier"], contract["inverse"], contract["maintenance"]
    # cash + m·q·v = maintenance·m·|q|·|v|, with |v| = v for a linear contract and −v for an inverse one.
    need = maintenance * m * abs(position) * (-1.0 if inverse != 0.0 else 1.0)
    slope = m * position - need
    v = -cash / slope if slope != 0.0 else nan
    if inverse != 0.0:
        if v < 0.0:
            return -1.0 / v
        # A short whose cash covers every price, or a long that no fall can reach.
        return 0.0 if position > 0.0 else inf
    if v > 0.0:
        return v
    return 0.0 if position > 0.0 else inf


@inlined
def forget(state):
    """Drop every order and target of an asset."""
    state["flying"] = 0
    state["working"] = 0
    state["held"] = nan
    state["wanted"] = nan


@inlined
def bare(state):
    """No brackets and no time exit."""
    state["stop"] = nan
    state["take"] = nan
    state["trail"] = nan
    state["deadline"] = NEVER


@inlined
def leave(state):
    """After an exit: no re-entry until the target changes.  Orders in flight are newer targets and go on."""
    bare(state)
    state["wanted"] = nan
    state["working"] = 0


@inlined
def liquidate(account, tally, state, contract, out, at, row, ts, order, asset):
    """Let the venue close a position at `at` = v(mark): no spread, impact or ticks; the fee comes afterwards."""
    m, inverse = contract["multiplier"], contract["inverse"]
    price = -1.0 / at if inverse != 0.0 else at
    qty = -state["position"]
    out["order"] = order
    out["parent"] = order
    out["asset"] = asset
    out["liquidity"] = 2
    out["reason"] = Reason.LIQUIDATION
    out["ts"] = ts
    out["row"] = row
    out["qty"] = qty
    out["price"] = price
    out["reference"] = price
    out["arrival"] = price
    out["fee"] = 0.0
    out["spread"] = 0.0
    out["impact"] = 0.0
    tally["fills"] += 1
    tally["traded"] += m * abs(qty) * abs(at)
    account["cash"] -= m * qty * at
    state["trip"] += m * -qty * (at - value(state["entry"], inverse))


@inlined
def goal_after_costs(worth_elsewhere, state, contract, size, reference, rules):
    """Position whose value after half spread and fee is the target's share of equity at `reference`."""
    m, at = contract["multiplier"], value(reference, contract["inverse"])
    notional = notional_of(size, worth_elsewhere + m * state["position"] * at, rules)
    side = 1.0 if notional > 0.0 else -1.0
    return notional / (m * abs(at) * (1.0 + side * rules["half_spread"]) * (1.0 + rules["taker"]))


@inlined
def reached(price, target, tick, long):
    """Has `price` traded through a resting take-profit: by a tick, or strictly beyond where there is none."""
    if tick == 0.0:
        return price > target if long else price < target
    through = tick * (1.0 - 1e-9)
    return price >= target + through if long else price <= target - through


@inlined
def mark_span(state, mark_open, mark_high, mark_low):
    """First and adverse extreme mark of this bar for the position held."""
    first = state["anchor"] if state["inside"] != 0 else mark_open
    return first, min(first, mark_low) if state["position"] > 0.0 else max(first, mark_high)


@inlined
def copy_order(to, order):
    """Copy one ORDER record into another."""
    to["number"] = order["number"]
    to["row"] = order["row"]
    to["arrive"] = order["arrive"]
    to["slide"] = order["slide"]
    to["impact"] = order["impact"]
    to["arrival"] = order["arrival"]
    to["goal"] = order["goal"]
    to["size"] = order["size"]
    to["stop"] = order["stop"]
    to["take"] = order["take"]
    to["trail"] = order["trail"]
    to["rebalance"] = order["rebalance"]


@inlined
def close_gapped(
    account, tally, state, contract, out, keep, price, stop_only, impact, row, ts, now, asset, rules,
):  # fmt: skip
    """Exit at `price` what it has gapped through; True when that happened."""
    long, level = state["position"] > 0.0, state["level"]
    reason, maker = Reason.TRAIL if state["trailed"] != 0 else Reason.STOP, False
    if not (price <= level if long else price >= level):
        if stop_only or not reached(price, state["target"], contract["tick"], long):
            return False
        reason, maker = Reason.TAKE, True
    leave_at(account, tally, state, contract, out, keep, price, maker, reason, impact, row, ts, now, asset, rules)
    return True


@inlined
def leave_at(
    account, tally, state, contract, out, keep, price, maker, reason, impact, row, ts, now, asset, rules,
):  # fmt: skip
    """Close the whole position at `price`: as maker at exactly it, as taker with spread, impact and ticks."""
    qty = -state["position"]
    slip = 0.0 if maker else slippage(qty, impact, rules["half_spread"])
    trade(
        account, tally, state, contract, out, keep, qty, price, slip, 0.0 if maker else rules["half_spread"],
        rules["maker"] if maker else rules["taker"], row, ts, now, account["orders"], price, asset, 1 if maker else 0,
        reason, rules,
    )  # fmt: skip
    account["orders"] += 1
    leave(state)
