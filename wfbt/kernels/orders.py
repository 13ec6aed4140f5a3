"""One order at the venue: its room, its limit and trigger, its legs and its schedule.

An order is judged (may a leg act, at which reference, for how many units) and then filled, like a market order, by
`fill_order`.  Orders that complete when they are handled and nothing cuts, `plain` ones, never come here.
"""

from math import inf, isnan, nan, sqrt

from wfbt.kernels._jit import inlined, part
from wfbt.kernels.abi import Outcome, Reason, Schedule
from wfbt.kernels.account import NEVER, goal_after_costs, trade, value
from wfbt.kernels.costs import delayed_price, on_grid, step_to, whole_lots
from wfbt.kernels.exits import cancel_work, end_order, moved_by, reached, room_of, set_levels
from wfbt.kernels.margin import affordable, free_margin


@inlined
def farthest(order):
    """Of the legs' goals the one of larger size."""
    if order["plain"] != 0 or isnan(order["other_size"]) or abs(order["goal"]) >= abs(order["other_goal"]):
        return order["goal"]
    return order["other_goal"]


@inlined
def grows(position, goal):
    """Would moving to `goal` leave a larger position than is held?

    A reversal to the same size is no growth, however its units were rounded.
    """
    return abs(goal) > abs(position) * (1.0 + 1e-9)


@inlined
def set_brackets(state, order, contract, price, opened, at, rules):
    """What an order's fill does to the exits in force; a rebalance moves them with the entry."""
    if order["reason"] == Reason.TARGET:
        state["stop"] = order["stop"]
        state["take"] = order["take"]
        state["trail"] = order["trail"]
        state["extreme"] = price
        if opened:
            state["risk"] = order["stop"]
            state["deadline"] = at + rules["time_exit"] if rules["time_exit"] > 0 else NEVER
    if order["reason"] == Reason.TARGET or order["reason"] == Reason.BAND:
        state["exited"] = 0
        set_levels(state, contract["tick"], rules)


@inlined
def forget(state):
    """Drop every order and target of an asset."""
    state["flying"] = 0
    state["working"] = 0
    state["held"] = nan
    state["wanted"] = nan


@part
def cancel_all(state, flight, work, asset, orders, keep, ts):
    """Drop every order and target of an asset that has traded."""
    if keep:
        for i in range(state["flying"]):
            end_order(orders[flight[asset, i]["log"]], Outcome.CANCELLED, ts)
        cancel_work(state, work[asset], orders[max(work[asset]["log"], 0)], keep, ts)
    forget(state)


@inlined
def give_up(state, outcome):
    """What an order wanted that lapsed or was rejected is wanted no more, unless a newer one is on its way."""
    if (outcome == Outcome.EXPIRED or outcome == Outcome.REJECTED) and state["flying"] == 0:
        state["wanted"] = nan


@part
def lapse(state, order, log, keep):
    """The order at work has reached its time."""
    state["working"] = 0
    give_up(state, Outcome.EXPIRED)
    if keep:
        end_order(log, Outcome.EXPIRED, order["expire"])


@part
def supersede(state, flight, work, asset, older, orders, ts):
    """Write that the first `older` orders in flight and the one at work are replaced by a newer one."""
    for i in range(older):
        end_order(orders[flight[asset, i]["log"]], Outcome.REPLACED, ts)
    if state["working"] != 0 and work[asset]["log"] >= 0:
        end_order(orders[work[asset]["log"]], Outcome.REPLACED, ts)


@part
def describe(order, intent, other_goal, other_size, rules):
    """Set what only an order that is not plain has; a rebalance has none of the intent's."""
    fresh = order["reason"] == Reason.TARGET
    order["limit"] = intent["limit"] if fresh else nan
    order["trigger"] = intent["trigger"] if fresh else nan
    order["other_goal"] = other_goal
    order["other_size"] = other_size if fresh else nan
    order["other_limit"] = intent["other_limit"] if fresh else nan
    order["other_trigger"] = intent["other_trigger"] if fresh else nan
    order["expire"] = intent["expire"] if fresh else NEVER
    order["first_slice"] = intent["first_slice"]
    order["last_slice"] = intent["last_slice"]
    order["schedule"] = rules["schedule"]
    if rules["schedule"] == Schedule.SLICES and (not fresh or intent["first_slice"] >= intent["last_slice"]):
        order["schedule"] = Schedule.WHOLE
    order["rests"] = NEVER
    order["other_rests"] = NEVER
    order["watched"] = -1
    order["acted"] = -1
    order["filled"] = 0.0


@part
def write_order(log, order, asset, ended):
    """Write an order that is sent into the order log."""
    plain = order["plain"] != 0
    log["number"] = order["number"]
    log["asset"] = asset
    log["outcome"] = Outcome.OPEN
    log["reason"] = order["reason"]
    log["row"] = order["row"]
    log["live"] = order["arrive"]
    log["expire"] = NEVER if plain else order["expire"]
    log["goal"] = order["goal"]
    log["limit"] = nan if plain else order["limit"]
    log["trigger"] = nan if plain else order["trigger"]
    log["arrival"] = order["arrival"]
    log["filled"] = 0.0
    log["value"] = 0.0
    log["ended"] = ended


@part
def elsewhere(state, contracts, mark_open, row, asset, cash):
    """Equity but for the units of one asset, and gross value of the others, at the opens of their marks."""
    worth, gross = cash, 0.0
    for b in range(len(state)):
        if b != asset and state[b]["position"] != 0.0:
            held = contracts[b]["multiplier"] * state[b]["position"]
            held *= value(mark_open[row + b], contracts[b]["inverse"])
            worth += held
            gross += abs(held)
    return worth, gross


@inlined
def leg_of(order, leg):
    """Goal, size, limit, trigger and the row from which the limit rests, of one leg."""
    if leg == 0:
        return order["goal"], order["size"], order["limit"], order["trigger"], order["rests"]
    return order["other_goal"], order["other_size"], order["other_limit"], order["other_trigger"], order["other_rests"]


@inlined
def let_rest(order, leg, row):
    """A leg has no trigger to wait for any more; its limit rests from `row` on."""
    if leg == 0:
        order["trigger"] = nan
        order["rests"] = row
    else:
        order["other_trigger"] = nan
        order["other_rests"] = row


@inlined
def keep_leg(order, leg):
    """The other leg is gone."""
    if leg == 1:
        order["goal"] = order["other_goal"]
        order["size"] = order["other_size"]
        order["limit"] = order["other_limit"]
        order["trigger"] = order["other_trigger"]
        order["rests"] = order["other_rests"]
    order["other_size"] = nan


@inlined
def side_of(goal, position):
    """+1 to buy, −1 to sell, 0 when goal and position differ by no more than rounding."""
    towards = step_to(goal, position, 0.0)
    return 1.0 * (towards > 0.0) - 1.0 * (towards < 0.0)


@inlined
def room_within(limit, reference, side, spread, impact):
    """Units that a taker may fill at `reference` before its price passes the limit; −1 when the limit rests instead."""
    spare = side * (limit / reference - 1.0) - spread
    if spare < 0.0:
        return -1.0
    return (spare / impact) * (spare / impact) if impact > 0.0 else inf


@part
def due_share(slices, first, last, live, begin):
    """Cumulative share that is due at `begin`, the first slice being due at `live`; 0 before it."""
    share, later = 0.0, live - slices[first]["ts"]
    for i in range(first, last):
        if slices[i]["ts"] + later > begin:
            break
        share = slices[i]["share"]
    return share


@part
def scheduled_room(order, slices, goal, position, side, traded, begin, delay, rules):
    """Units that the order's schedule leaves it now."""
    kind = order["schedule"]
    if kind == Schedule.ICEBERG:
        return rules["share"] * abs(goal - order["start"])
    if kind == Schedule.WHOLE:
        return inf
    if delay > 0:
        return 0.0
    if kind == Schedule.POV:
        return inf if isnan(traded) else rules["share"] * traded
    share = due_share(slices, order["first_slice"], order["last_slice"], order["arrive"], begin)
    if share >= 1.0:
        return inf
    rest = side * (order["start"] + share * (goal - order["start"]) - position)
    return rest if share > 0.0 and rest > 1e-12 * max(abs(goal), abs(order["start"])) else 0.0


@part
def fill_order(
    account, tally, state, contracts, a, order, leg, log, out, keep, mark_open, row, side, reference, maker, bound,
    room, impact, slices, traded, begin, delay, t, at, now, rules,
):  # fmt: skip
    """Fill a leg at `reference` for at most `room` units; whether anything was filled, and the Outcome.

    Inside the bar `side` is that of the goal at the open, and nothing fills against it; at an open it is 0.
    """
    s, c = state[a], contracts[a]
    goal, size, _, _, _ = leg_of(order, leg)
    worth, gross = elsewhere(state, contracts, mark_open, row, a, account["cash"])
    if rules["at_fill"] != 0:
        goal = goal_after_costs(worth, s, c, size, reference, account["taker"], rules)
    delta = step_to(goal, s["position"], c["lot"])
    order["acted"] = t
    if delta == 0.0:
        return False, Outcome.FILLED
    if room <= 0.0 or delta * side < 0.0:
        return False, Outcome.OPEN
    side = 1.0 if delta > 0.0 else -1.0
    if order["schedule"] != Schedule.WHOLE:
        room = min(room, scheduled_room(order, slices, goal, s["position"], side, traded, begin, delay, rules))
    cut = delta
    if room <= 1e-12 * abs(delta):
        return False, Outcome.OPEN
    if room < abs(delta):
        cut = whole_lots(room if delta > 0.0 else -room, c["lot"])
        if cut == 0.0:
            return False, Outcome.OPEN
    spread = 0.0 if maker else rules["half_spread"]
    paid = spread if maker else spread + moved_by(abs(order["filled"]), c, impact)
    fee_rate = account["maker"] if maker else account["taker"]
    if rules["isolated"] != 0:
        funds = free_margin(account, state, contracts)
    else:
        funds = worth + c["multiplier"] * s["position"] * value(reference, c["inverse"])
    qty, slip = affordable(s, c, cut, reference, paid, 0.0 if maker else impact, fee_rate, funds, gross, rules)
    if qty == 0.0:
        return False, Outcome.CUT
    arrival = order["arrival"] if order["log"] >= 0 else reference
    number = order["number"]
    if order["schedule"] != Schedule.WHOLE:
        number = account["orders"]
        account["orders"] += 1
    opened, price = trade(
        account, tally, s, c, out, keep, qty, reference, slip, spread, fee_rate, 0.0 if maker else c["tick"], bound,
        t, at, now, number, order["number"], arrival, a, 1 if maker else 0, order["reason"], rules,
    )  # fmt: skip
    if leg == 1 and s["flying"] == 0:
        s["wanted"] = size
    keep_leg(order, leg)
    order["filled"] += qty
    if keep and order["log"] >= 0:
        log["filled"] += qty
        log["value"] += abs(qty) * price
    set_brackets(s, order, c, price, opened, at, rules)
    if qty != cut:
        return True, Outcome.CUT
    # What rounding leaves of an order that was filled in parts is nothing to do.
    return True, Outcome.FILLED if cut == delta or step_to(goal, s["position"], c["lot"]) == 0.0 else Outcome.OPEN


@part
def try_leg(
    account, tally, state, contracts, a, order, leg, log, out, keep, slices, mark_open, row, opening, high, low,
    traded, hourly, exit_impact, t, begin, at, now, rules,
):  # fmt: skip
    """Handle one leg, or try it again, at the open or at the delayed price; whether it filled, and the Outcome."""
    s, c = state[a], contracts[a]
    goal, size, limit, trigger, rests = leg_of(order, leg)
    delay, tick = at - begin, c["tick"]
    worth = 0.0
    if rules["at_fill"] != 0:
        worth, _ = elsewhere(state, contracts, mark_open, row, a, account["cash"])
        goal = goal_after_costs(worth, s, c, size, opening, account["taker"], rules)
    side = side_of(goal, s["position"])
    reference = opening
    if delay > 0 and order["slide"] != 0.0:
        slide = order["slide"] * sqrt(delay / rules["horizon"]) if order["late"] != 0 else order["slide"]
        reference = delayed_price(opening, high, low, slide, rules["adverse"], side)
        if rules["at_fill"] != 0:
            goal = goal_after_costs(worth, s, c, size, reference, account["taker"], rules)
            side = side_of(goal, s["position"])
    if step_to(goal, s["position"], c["lot"]) == 0.0:
        return False, Outcome.FILLED  # nothing to do
    if not isnan(trigger):
        if side * reference < side * on_grid(trigger, side, tick):
            return False, Outcome.OPEN
        let_rest(order, leg, NEVER)
    impact = order["impact"] if order["log"] >= 0 else exit_impact
    room = room_of(s, rules, traded, hourly, begin)
    maker, bound = False, nan
    if not isnan(limit):
        bound = on_grid(limit, -side, tick)
        works = order["schedule"] == Schedule.SLICES or order["schedule"] == Schedule.POV
        if rests <= t:
            if not reached(opening, bound, tick, side < 0.0):
                return False, Outcome.OPEN
            maker = True
        else:
            taken = room_within(
                bound, reference, side, rules["half_spread"] + moved_by(abs(order["filled"]), c, impact), impact
            )
            if taken < 0.0:
                if not works:
                    let_rest(order, leg, t if delay == 0 else t + 1)
                return False, Outcome.OPEN
            if not works:
                if rules["post_only"] != 0 and order["schedule"] == Schedule.WHOLE:
                    return False, Outcome.REJECTED
                let_rest(order, leg, t + 1)
            room = min(room, taken)
    filled, outcome = fill_order(
        account, tally, state, contracts, a, order, leg, log, out, keep, mark_open, row, 0.0, reference,
        maker, nan if maker else bound, room, impact, slices, traded, begin, delay, t, at, now, rules,
    )  # fmt: skip
    if filled and delay > 0:
        s["inside"] = 1
        s["anchor"] = reference
    return filled, outcome


@part
def at_open(
    account, tally, state, contracts, a, order, log, out, keep, slices, mark_open, row, opening, high, low, traded,
    hourly, exit_impact, t, begin, at, now, rules,
):  # fmt: skip
    """Handle an order, or try the one at work again, leg after leg; what is not complete is at work.

    True when it filled.
    """
    s = state[a]
    s["working"] = 0
    if order["watched"] < 0:
        order["watched"] = t if at == begin else t + 1
        order["start"] = s["position"]
    filled, outcome = False, Outcome.OPEN
    if order["expire"] <= at:
        outcome = Outcome.EXPIRED
    elif order["reason"] == Reason.BAND and s["position"] == 0.0:
        outcome = Outcome.CANCELLED  # an exit closed it while the rebalance was on its way
    else:
        lasts = 0  # legs that are not done
        for leg in range(2):
            if leg == 1 and isnan(order["other_size"]):
                break
            filled, outcome = try_leg(
                account, tally, state, contracts, a, order, leg, log, out, keep, slices, mark_open, row, opening, high,
                low, traded, hourly, exit_impact, t, begin, at, now, rules,
            )  # fmt: skip
            if filled or order["acted"] == t or (outcome != Outcome.OPEN and outcome != Outcome.FILLED):
                break
            lasts += outcome == Outcome.OPEN
        if not filled and outcome == Outcome.FILLED and lasts > 0:
            outcome = Outcome.OPEN  # the other leg has something to do
    if outcome == Outcome.OPEN:
        s["working"] = 1
    else:
        give_up(s, outcome)
        if keep and order["log"] >= 0:
            end_order(log, outcome, order["expire"] if outcome == Outcome.EXPIRED else at)
    return filled


@part
def inside_bar(
    account, tally, state, contracts, a, order, log, out, keep, slices, mark_open, row, opening, high, low, traded,
    hourly, growing, t, begin, now, rules,
):  # fmt: skip
    """Let the path of the bar trigger and fill the order at work: steps 2b (`growing`) and 5b.  True when it filled."""
    s, c = state[a], contracts[a]
    tick, position = c["tick"], s["position"]
    if order["plain"] != 0 or order["acted"] == t or order["watched"] < 0 or order["watched"] > t:
        return False
    chosen, nearest, at_price, side_chosen, touched = -1, inf, nan, 0.0, False
    for leg in range(2):
        if leg == 1 and isnan(order["other_size"]):
            break
        goal, size, limit, trigger, rests = leg_of(order, leg)
        if isnan(trigger) and rests > t:
            continue
        if rules["at_fill"] != 0:
            worth, _ = elsewhere(state, contracts, mark_open, row, a, account["cash"])
            goal = goal_after_costs(worth, s, c, size, opening, account["taker"], rules)
        side = side_of(goal, position)
        if step_to(goal, position, c["lot"]) == 0.0:
            continue
        only_touched = False
        if not isnan(trigger):
            price = on_grid(trigger, side, tick)
            acts = growing and (high >= price if side > 0.0 else low <= price)
        else:
            price = on_grid(limit, -side, tick)
            larger = goal * position > 0.0 and grows(position, goal)
            acts = growing == (position == 0.0 or larger)
            if acts and not reached(low if side > 0.0 else high, price, tick, side < 0.0):
                only_touched = True
                acts = low <= price if side > 0.0 else high >= price
        if acts and abs(price - opening) < nearest:
            chosen, nearest, at_price, side_chosen, touched = leg, abs(price - opening), price, side, only_touched
    if chosen < 0:
        return False
    order["acted"] = t
    goal, size, limit, trigger, _ = leg_of(order, chosen)
    room = room_of(s, rules, traded, hourly, begin)
    if touched:
        most = rules["touch"] * traded
        room = min(room, most if most > 0.0 else 0.0)
    maker, bound, outcome, filled = isnan(trigger), nan, Outcome.OPEN, False
    if not maker:
        let_rest(order, chosen, t + 1)
        if not isnan(limit):
            bound = on_grid(limit, -side_chosen, tick)
            spread = rules["half_spread"] + moved_by(abs(order["filled"]), c, order["impact"])
            taken = room_within(bound, at_price, side_chosen, spread, order["impact"])
            if taken < 0.0:
                return False
            if rules["post_only"] != 0:
                outcome = Outcome.REJECTED
            room = min(room, taken)
    if outcome == Outcome.OPEN:
        filled, outcome = fill_order(
            account, tally, state, contracts, a, order, chosen, log, out, keep, mark_open, row, side_chosen, at_price,
            maker, bound, room, order["impact"], slices, traded, begin, 0, t, now - 1, now, rules,
        )  # fmt: skip
    if filled:
        s["inside"] = 1
        s["anchor"] = at_price
    if outcome != Outcome.OPEN:
        s["working"] = 0
        give_up(s, outcome)
        if keep and order["log"] >= 0:
            end_order(log, outcome, now - 1)
    return filled
