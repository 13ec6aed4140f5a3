"""The one account: what a fill, a funding payment and a liquidation do to cash, position and round trip.

Records and scalars in; the records are changed in place.  Every engine calls these, so what a model trained in is what
it is judged in.
"""

from wfbt.kernels._jit import inlined, part
from wfbt.kernels.costs import on_tick

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
def wallet_after(wallet, before, after, margin):
    """Isolated margin once the position has changed: a closed share takes its share out, an opened unit puts in."""
    if before * after <= 0.0:
        return margin * abs(after)
    if abs(after) < abs(before):
        return wallet * (abs(after) / abs(before))
    return wallet + margin * (abs(after) - abs(before))


@inlined
def book(account, tally, state, contract, qty, price, fee, now, rules):
    """Move `qty` units at `price` into the position; True when that opened or reversed it."""
    m, inverse = contract["multiplier"], contract["inverse"]
    v = value(price, inverse)
    account["cash"] -= m * qty * v + fee
    traded = m * abs(qty) * abs(v)
    tally["traded"] += traded
    account["today"] += traded if inverse == 0.0 else m * abs(qty)
    state["hour_filled"] += abs(qty)
    before = state["position"]
    after = before + qty
    if abs(after) < (0.5 * contract["lot"] if contract["lot"] > 0.0 else 1e-12 * abs(qty)):
        after = 0.0
    state["position"] = after
    if rules["isolated"] != 0:
        state["wallet"] = wallet_after(state["wallet"], before, after, m * abs(v) / rules["leverage"])
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
    account, tally, state, contract, out, keep, qty, reference, slip, half_spread, fee_rate, tick, bound, row, ts, now,
    order, parent, arrival, asset, liquidity, reason, rules,
):  # fmt: skip
    """Fill and book `qty`, recording it if `keep`; whether that opened or reversed the position, and the price.

    The price is never beyond `bound`, NaN for none.
    """
    side = 1.0 if qty > 0.0 else -1.0
    price = on_tick(reference * (1.0 + side * slip), side, tick)
    if side * price > side * bound:
        price = bound
    m, inverse = contract["multiplier"], contract["inverse"]
    at_reference, at_price = value(reference, inverse), value(price, inverse)
    fee = m * abs(qty) * abs(at_price) * fee_rate
    spread = m * abs(qty) * abs(at_reference) * half_spread
    impact = m * qty * (at_price - at_reference) - spread
    if keep:
        out["order"] = order
        out["parent"] = parent
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
    state["wallet"] -= paid
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


@part
def settle_until(account, tally, state, contract, stamps, payments, paid, step, row, asset, until):
    """Pay the stamps of a row and asset that are not later than `until`; the next payment slot."""
    i = state["stamp"]
    while i < len(stamps) and stamps[i]["row"] == row and stamps[i]["asset"] == asset and stamps[i]["ts"] <= until:
        if state["position"] != 0.0:
            pay_funding(account, tally, state, contract, payments[paid], step > 0, stamps[i], row)
            paid += step
        i += 1
    state["stamp"] = i
    return paid


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
def goal_after_costs(worth_elsewhere, state, contract, size, reference, taker, rules):
    """Position whose value after half spread and fee is the target's share of equity at `reference`."""
    m, at = contract["multiplier"], value(reference, contract["inverse"])
    notional = notional_of(size, worth_elsewhere + m * state["position"] * at, rules)
    side = 1.0 if notional > 0.0 else -1.0
    return notional / (m * abs(at) * (1.0 + side * rules["half_spread"]) * (1.0 + taker))
