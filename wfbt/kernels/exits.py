"""Exits of a position: the levels of its brackets, and what leaving at one does.  Records and scalars only."""

from math import inf, isnan, nan, sqrt

from wfbt.kernels._jit import inlined, part
from wfbt.kernels.abi import Outcome, Reason, Schedule
from wfbt.kernels.account import NEVER, trade
from wfbt.kernels.costs import on_grid, slippage, whole_lots

HOUR = 3_600_000_000_000


@inlined
def stop_level(state, tick, rules):
    """Price at which stop, trail or ratchet closes the position (0 or inf: never), and which of them it is."""
    long = state["position"] > 0.0
    side = 1.0 if long else -1.0
    level, because = 0.0 if long else inf, Reason.STOP
    if not isnan(state["stop"]):
        level = state["entry"] - side * state["stop"]
    if not isnan(state["trail"]) and side * (state["extreme"] - side * state["trail"]) > side * level:
        level, because = state["extreme"] - side * state["trail"], Reason.TRAIL
    if ratchets(state, rules):
        gained = side * (state["extreme"] - state["entry"])
        kept = state["entry"] + side * rules["ratchet_keep"] * gained
        if gained >= rules["ratchet_after"] * state["risk"] and side * kept > side * level:
            level, because = kept, Reason.RATCHET
    if level <= 0.0 or level == inf:
        return 0.0 if long else inf, because
    return on_grid(level, -side, tick), because


@inlined
def ratchets(state, rules):
    """May a ratchet move with the extreme?"""
    return rules["ratchet_after"] < inf and not isnan(state["risk"])


@inlined
def take_level(state, tick):
    """Limit price of the take-profit; inf or 0: none."""
    long = state["position"] > 0.0
    if isnan(state["take"]):
        return inf if long else 0.0
    if long:
        level = on_grid(state["entry"] + state["take"], -1.0, tick)
        return level if level > 0.0 else inf
    level = state["entry"] - state["take"]
    return on_grid(level, 1.0, tick) if level > 0.0 else 0.0


@inlined
def set_levels(state, tick, rules):
    """Put the prices of the exits in force into the state: after an order's fill, and when a trail moves."""
    level, because = stop_level(state, tick, rules)
    state["level"] = level
    state["because"] = because
    state["target"] = take_level(state, tick)


@inlined
def bare(state):
    """No brackets; the time exit goes with the position."""
    state["stop"] = nan
    state["take"] = nan
    state["trail"] = nan
    state["risk"] = nan
    if state["position"] == 0.0:
        state["deadline"] = NEVER
    else:  # what caps left of it
        state["level"] = 0.0 if state["position"] > 0.0 else inf
        state["target"] = inf if state["position"] > 0.0 else 0.0


@inlined
def reached(price, target, tick, long):
    """Has `price` traded through a resting sale (`long`) or purchase: by a tick, or strictly beyond without one."""
    if tick == 0.0:
        return price > target if long else price < target
    through = tick * (1.0 - 1e-9)
    return price >= target + through if long else price <= target - through


@inlined
def stopped(state, low, high):
    """Has the bar's path touched the level?"""
    if state["position"] > 0.0:
        return min(low, state["anchor"]) <= state["level"]
    return max(high, state["anchor"]) >= state["level"]


@inlined
def stays(state, low, high, rules):
    """Can this bar touch no exit, nor move one?  Without trail and ratchet an extreme tells nothing.

    A missing bar never says so, and a bound that is met exactly does not either.
    """
    level, target, anchor = state["level"], state["target"], state["anchor"]
    floor, roof = (level, target) if state["position"] > 0.0 else (target, level)
    return (
        low > floor and anchor > floor and high < roof and anchor < roof
        and isnan(state["trail"]) and not ratchets(state, rules)
    )  # fmt: skip


@inlined
def stop_price(state):
    """Where a stop that the path touches is done: at its level, or where an entry inside the bar was already beyond."""
    if state["inside"] == 0:
        return state["level"]
    if state["position"] > 0.0:
        return min(state["level"], state["anchor"])
    return max(state["level"], state["anchor"])


@inlined
def moved_by(filled, contract, impact):
    """How far the units filled before have moved the price for good, as a fraction."""
    both = contract["temporary"] + contract["permanent"]
    return impact * (contract["permanent"] / both) * sqrt(filled) if both > 0.0 else 0.0


@inlined
def end_order(log, outcome, ts):
    """Write into the order log how an order ended."""
    log["outcome"] = outcome
    log["ended"] = ts


@inlined
def cancel_work(state, work, log, keep, ts):
    """Take the order at work, if any, out of the market."""
    if state["working"] != 0:
        if keep and work["log"] >= 0:
            end_order(log, Outcome.CANCELLED, ts)
        state["working"] = 0


@part
def go_on(state, work, number, reason, filled, level, row):
    """Make an order at work of an exit that its room has cut."""
    state["working"] = 1
    work["number"] = number
    work["row"] = row
    work["arrival"] = level
    work["goal"] = 0.0
    work["size"] = 0.0
    work["reason"] = reason
    work["log"] = -1
    work["plain"] = 0
    work["limit"] = nan
    work["trigger"] = nan
    work["other_size"] = nan
    work["rests"] = NEVER
    work["watched"] = row
    work["expire"] = NEVER
    work["schedule"] = Schedule.WHOLE
    work["late"] = 0
    work["acted"] = row
    work["start"] = state["position"]
    work["filled"] = filled


@inlined
def room_of(state, rules, traded, hourly, begin):
    """Units that the caps leave an order or an exit on this row."""
    room = inf
    if not isnan(traded):
        room = rules["participation"] * traded if rules["participation"] < inf else inf
    if rules["hourly"] < inf:
        hour = begin // HOUR
        if state["hour"] != hour:
            state["hour"] = hour
            state["hour_filled"] = 0.0
        if not isnan(hourly):
            most = rules["hourly"] * hourly
            rest = most - state["hour_filled"]
            room = min(room, rest if rest > 1e-12 * most else 0.0)  # what rounding leaves is nothing
    return room


@part
def leave_at(
    account, tally, state, contract, work, log, out, keep, price, maker, reason, impact, room, row, ts, now, asset,
    rules,
):  # fmt: skip
    """Close the position at `price`, as far as `room` goes: as maker at exactly it, as taker with spread and impact.

    What is left of a take-profit waits for its bracket, of a breaker's exit for its next open; of others it goes to
    work.  True when something was filled.
    """
    qty = -state["position"]
    cut = room < abs(qty)
    if cut:
        qty = whole_lots(room if qty > 0.0 else -room, contract["lot"])
        cut = qty != -state["position"]
    take, number = reason == Reason.TAKE, account["orders"]
    if qty != 0.0:
        spread = rules["half_spread"]
        if reason == Reason.BREAKER:
            spread += moved_by(state["flattened"], contract, impact)
            state["flattened"] += abs(qty)
        slip = 0.0 if maker else slippage(qty, impact, spread)
        trade(
            account, tally, state, contract, out, keep, qty, price, slip, 0.0 if maker else rules["half_spread"],
            account["maker"] if maker else account["taker"], contract["tick"], nan, row, ts, now, number, number,
            price, asset, 1 if maker else 0, reason, rules,
        )  # fmt: skip
    elif take or reason == Reason.BREAKER:
        if not take:
            bare(state)
        return False
    account["orders"] += 1
    if reason == Reason.BREAKER:
        bare(state)  # what was decided since the breaker stands
        return True
    # No re-entry until the target changes.  Orders in flight are newer targets and go on.
    cancel_work(state, work, log, keep, ts)
    state["wanted"] = nan
    if not cut:
        bare(state)
    elif take:
        state["exited"] = 1
    else:
        bare(state)
        go_on(state, work, number, reason, qty, price, row)
    return qty != 0.0


@inlined
def gapped(state, tick, price, stop_only):
    """Has `price` gapped through an exit, and is it the take-profit?"""
    long = state["position"] > 0.0
    if price <= state["level"] if long else price >= state["level"]:
        return True, False
    take = not stop_only and state["exited"] == 0 and reached(price, state["target"], tick, long)
    return take, take


@part
def leave_by_bracket(
    account, tally, state, contract, work, log, out, keep, price, take, impact, traded, hourly, row, begin, ts, now,
    asset, rules,
):  # fmt: skip
    """Close a position that its take-profit, or else its stop, trail or ratchet, ends; True when something filled."""
    room = room_of(state, rules, traded, hourly, begin)
    return leave_at(
        account, tally, state, contract, work, log, out, keep, price, take, Reason.TAKE if take else state["because"],
        impact, room, row, ts, now, asset, rules,
    )  # fmt: skip
