"""Liquidation of a book replay's account: its orders go, its positions are closed by taking, and it trades no more."""

from math import floor

from wfbt.kernels._jit import part
from wfbt.kernels.book_codes import FREE, Answer, Pause, Status
from wfbt.kernels.ladder import NOTHING, mid, next_below
from wfbt.kernels.purse import equity_of, exhausted, pay
from wfbt.kernels.resting import answer_with, lacks, record_end, record_fill, step_out, tell
from wfbt.kernels.sparse import room
from wfbt.kernels.taking import deplete, offered, survey, taker_price


@part
def check_margin(pit, now):
    """Liquidate the account where its margin is exhausted."""
    course, settings = pit.course, pit.settings
    course["check"] = 0
    if not exhausted(settings, course, pit.purses, pit.symbols, pit.ladder):
        return Pause.DONE
    # All of it or nothing: come back here before anything else once there is room.
    course["check"] = now
    fills, ended = 0, 0
    for s in range(len(pit.symbols)):
        h = 2 * s + (1 if pit.symbols[s]["position"] < 0 else 0)
        _, levels = survey(pit, h, NOTHING, abs(pit.symbols[s]["position"]))
        if settings["depletion"] != 0 and room(pit.taken, h) < levels:
            return Pause.TAKEN
        fills += levels + 1
        ended += pit.symbols[s]["live"]
        code = lacks(pit, s, fills, ended)
        if code != Pause.DONE:
            return code
    course["check"] = 0
    liquidate(pit, now)
    return Pause.DONE


@part
def liquidate(pit, now):
    """Cancel every order, close every position, and charge the fee up to what is left."""
    amount = 0.0
    for s in range(len(pit.symbols)):
        while pit.symbols[s]["live"] > 0:
            cancel_first(pit, s, now)
        if pit.symbols[s]["position"] != 0:
            amount += close_out(pit, s, now)
    left = equity_of(pit.settings["opening"], pit.course, pit.purses, pit.symbols, pit.ladder)
    pit.course["liquidation"] += min(pit.settings["liquidation_fee"] * amount, max(left, 0.0))
    pit.course["shortfall"] += max(-left, 0.0)
    pit.course["halted"] = 1


@part
def cancel_first(pit, s, now):
    """Cancel the order of a symbol that has rested longest."""
    half, at, place = -1, -1, -1
    for h in range(2 * s, 2 * s + 2):
        for i in range(pit.own[h]["count"]):
            other = pit.line[h, i]
            if place < 0 or pit.orders[s, other]["number"] < pit.orders[s, place]["number"]:
                half, at, place = h, i, other
    step_out(pit, s, half, at)
    pit.orders[s, place]["status"] = Status.CANCELED
    answer_with(pit, s, place, now, Answer.NONE)
    record_end(pit, s, place, now)


@part
def close_out(pit, s, now):
    """Close a position whole, at what its book offers; the amount."""
    symbol = pit.symbols[s]
    side = -1 if pit.symbols[s]["position"] > 0 else 1
    h = 2 * s + (1 if side > 0 else 0)
    lots = abs(pit.symbols[s]["position"])
    step, amount, left = pit.ladder.sides[h]["best"], 0.0, lots
    if step == NOTHING:
        price = mid(pit.ladder, 2 * s, symbol["tick"])
        return close_at(pit, s, now, side, lots, floor(price / symbol["tick"] + 0.5), price)
    if pit.settings["partial"] == 0:
        tick = -side * step
        return close_at(pit, s, now, side, lots, tick, tick * symbol["tick"])
    while left > 0:
        further = next_below(pit.ladder, h, step)
        here = offered(pit, h, step)
        # What the book does not offer goes at the last tick that it has.
        q = min(left, here) if further != NOTHING else left
        if q > 0:
            tick = -side * step
            price = taker_price(pit, symbol, tick, side, lots, now)
            if pit.settings["depletion"] != 0:
                deplete(pit, h, step, min(q, here))
            amount += close_at(pit, s, now, side, q, tick, price)
            left -= q
        step = further
    return amount


@part
def close_at(pit, s, now, side, lots, tick, price):
    """One fill of a liquidation; its amount."""
    fee, amount = pay(pit.purses[s], pit.symbols[s], side, lots, price, False)
    pit.symbols[s]["position"] += side * lots
    o = pit.orders[s, 0]
    half, o["half"] = o["half"], (0 if side > 0 else 1)
    due = tell(pit, s, 0, FREE, Status.FILLED, now, Answer.NONE, lots, tick, price, False)
    o["half"] = half
    record_fill(pit, s, now, due, FREE, side, tick, lots, price, fee, False, 1)
    return amount
