"""What margin allows: leverage and isolated wallets, and the mark at which it is exhausted."""

from math import floor, inf, nan

from wfbt.kernels._jit import inlined, part
from wfbt.kernels.account import value
from wfbt.kernels.costs import slippage, step_to


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


@part
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


@part
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


@part
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
