"""What fills, funding and a liquidation do to the account of a book replay, whose quantities are lots.

Cash holds no fees, and the local side has a copy that changes when reports arrive, so this is not the record of
`wfbt.kernels.account`; what a price is worth is the same function.
"""

from math import isnan

from wfbt.kernels._jit import inlined, part
from wfbt.kernels.account import value
from wfbt.kernels.ladder import has_mid, mid


@inlined
def pay(purse, symbol, side, lots, price, maker):
    """Book a fill in cash, fees and counts; its fee and its amount."""
    m, units = symbol["multiplier"], lots * symbol["lot"]
    if symbol["inverse"] == 0.0:
        amount = m * price * units
        purse["cash"] -= side * amount
    else:
        amount = m * units / price
        purse["cash"] += side * amount
    fee = (symbol["maker"] if maker else symbol["taker"]) * amount
    purse["fees"] += fee
    purse["trades"] += 1
    purse["volume"] += units
    purse["value"] += amount
    return fee, amount


@inlined
def settle(purse, symbol, position, mark, rate):
    """Pay funding on the position held just before a stamp."""
    if position != 0:
        worth = symbol["multiplier"] * position * symbol["lot"] * abs(value(mark, symbol["inverse"]))
        purse["funding"] += worth * rate


@part
def notional(symbol, lots, price):
    """Value of some lots at a price."""
    return abs(lots) * symbol["lot"] * symbol["multiplier"] * abs(value(price, symbol["inverse"]))


@part
def equity_of(opening, course, purses, symbols, ladder):
    """Equity with every position at its mid; NaN while a position's book has never had one."""
    total = opening - course["liquidation"] + course["shortfall"]
    for s in range(len(symbols)):
        c = symbols[s]
        total += purses[s]["cash"] - purses[s]["fees"] - purses[s]["funding"]
        if c["position"] != 0:
            if not has_mid(ladder, 2 * s):
                return float("nan")
            at = value(mid(ladder, 2 * s, c["tick"]), c["inverse"])
            total += c["multiplier"] * c["position"] * c["lot"] * at
    return total


@part
def exhausted(settings, course, purses, symbols, ladder):
    """Whether equity has come down to the maintenance of what is held."""
    need = 0.0
    for s in range(len(symbols)):
        if symbols[s]["position"] != 0 and has_mid(ladder, 2 * s):
            need += notional(symbols[s], symbols[s]["position"], mid(ladder, 2 * s, symbols[s]["tick"]))
    if need == 0.0:
        return False
    equity = equity_of(settings["opening"], course, purses, symbols, ladder)
    return not isnan(equity) and equity <= settings["maintenance"] * need


@part
def allows(settings, course, purses, symbols, ladder, s, side, lots, resting):
    """Whether margin admits an order of `lots` beside `resting` open lots of its side."""
    held = symbols[s]["position"]
    goal = abs(held + side * (lots + resting))
    if goal <= abs(held):
        return True
    if not has_mid(ladder, 2 * s):
        return False
    gross = notional(symbols[s], goal, mid(ladder, 2 * s, symbols[s]["tick"]))
    for a in range(len(symbols)):
        if a != s and symbols[a]["position"] != 0:
            gross += notional(symbols[a], symbols[a]["position"], mid(ladder, 2 * a, symbols[a]["tick"]))
    return gross <= settings["leverage"] * equity_of(settings["opening"], course, purses, symbols, ladder)
