"""The bar replay: many lanes of intents over one market, each lane one account.

Time runs outside, assets inside.  The steps of a row and their numbers are those of docs/execution.md.  Between two
events a lane glides: a tight loop that proves, bar by bar, that nothing can happen, and hands over when it cannot.
"""

from math import inf, isnan, nan

import numpy as np

from wfbt.kernels._jit import borrowed, njit, part, prefetch
from wfbt.kernels.abi import Act, Liquidity, Outcome, Reason, Schedule, Status
from wfbt.kernels.account import (
    NEVER,
    end_drawdown,
    goal_after_costs,
    notional_of,
    pay_funding,
    settle_until,
    trade,
    value,
)
from wfbt.kernels.costs import delayed_price, step_to
from wfbt.kernels.exits import (
    bare,
    cancel_work,
    end_order,
    gapped,
    leave_at,
    leave_by_bracket,
    ratchets,
    reached,
    room_of,
    set_levels,
    stays,
    stop_price,
    stopped,
)
from wfbt.kernels.exposure import PASS, judge, watch
from wfbt.kernels.fees import begin_fees, end_day
from wfbt.kernels.glide import glide_together
from wfbt.kernels.liquidation import end_account, liquidate_account, liquidate_wallets
from wfbt.kernels.margin import (
    affordable,
    backing,
    free_margin,
    liquidation_mark,
    mark_span,
)
from wfbt.kernels.orders import (
    at_open,
    cancel_all,
    describe,
    farthest,
    forget,
    grows,
    inside_bar,
    lapse,
    set_brackets,
    side_of,
    supersede,
    write_order,
)

# Where nothing happens, little of a row is read: what the next intents but AHEAD will need is asked of the memory in
# advance, unless it is NEAR enough (in cells) to be there, or the whole market fits in the cache.
AHEAD = 1
NEAR = 8
CACHED = 50_000
DUST = 1e-9  # of the opening cash: an account that has no more is empty
DAY = 86_400_000_000_000


@part
def first_row_after(stamps, row):
    """Index of the first stamp that belongs to a later row."""
    low, high = 0, len(stamps)
    while low < high:
        middle = (low + high) // 2
        if stamps[middle]["row"] <= row:
            low = middle + 1
        else:
            high = middle
    return low


@part
def first_from(values, least):
    """Index of the first of sorted `values` that is not less than `least`."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


@part
def next_true(flags, first, last):
    """Index of the first of flags[first:last] that is set; `last` where none is."""
    while first < last and not flags[first]:
        first += 1
    return first


@part
def begin_lane(account, state, tiers, rules):
    """An account with its cash and nothing else."""
    account["cash"] = rules["cash"]
    account["peak"] = rules["cash"]
    account["trough"] = rules["cash"]
    account["day_equity"] = rules["cash"]
    account["losses"] = 0
    account["cool_until"] = -NEVER
    account["blocked_until"] = -NEVER
    account["orders"] = 0
    for a in range(len(state)):
        s = state[a]
        s["position"] = 0.0
        s["wallet"] = 0.0
        s["margin"] = tiers[a, tiers.shape[1] - 1]["rate"]
        s["hour"] = -1
        s["judged"] = -1
        s["hour_filled"] = 0.0
        s["left"] = -NEVER // 2
        s["flatten"] = 0
        s["later"] = 0
        s["inside"] = 0
        s["exited"] = 0
        bare(s)
        forget(s)


@part
def flatten_all(state, flight, work, orders, keep, ts):
    """Drop every order and target and close every position at its next open."""
    for a in range(len(state)):
        cancel_all(state[a], flight, work, a, orders, keep, ts)
        if state[a]["position"] != 0.0:
            if state[a]["flatten"] == 0:
                state[a]["flattened"] = 0.0
            state[a]["flatten"] = 1


@part
def leaves_all(state):
    """Is every position already on its way out?"""
    staying = 0
    for a in range(len(state)):
        staying += state[a]["position"] != 0.0 and state[a]["flatten"] == 0
    return staying == 0


@part
def trips(account, worth, now, rules):
    """Does a breaker act at this close?  Then it blocks: the daily one until midnight, the drawdown one for good."""
    if account["blocked_until"] == NEVER:
        return False
    if worth <= account["peak"] * (1.0 - rules["drawdown"]):
        account["blocked_until"] = NEVER
        return True
    if now > account["blocked_until"] and worth <= account["day_equity"] * (1.0 - rules["daily_loss"]):
        account["blocked_until"] = -(-now // DAY) * DAY
        return True
    return False


@part
def while_cooling(goal, position):
    """The goal that may be sent, whether it was on the other side, and whether anything may be sent."""
    if goal * position < 0.0:
        return 0.0, True, True
    return goal, False, abs(goal) <= abs(position)


@part
def drift_of(sigma, gauss, row, asset):
    """Diffusion over one horizon that belongs to a decision; 0 where nothing is known."""
    if len(sigma) <= row or len(gauss) <= row or isnan(sigma[row, asset]):
        return 0.0
    return sigma[row, asset] * gauss[row, asset]


@part
def days_until(close_ts, row):
    """UTC days that end between a row and the next; a midnight close belongs to the day before it."""
    if row + 1 >= len(close_ts):
        return 1
    return (close_ts[row + 1] - 1) // DAY - (close_ts[row] - 1) // DAY


@njit
def replay(
    tape, terms, stamps, contracts, day_rows, intents, lanes, given, slots, activity, venue, fills, payments, orders,
    events, liquidations, equity, cash, position, liquidation, shortfall, daily, tallies, desk,
):  # fmt: skip
    """Replay every lane and fill the outputs in place.

    A lane that `waits` stops before it decides at each decision row, and the next call takes it up there: whoever
    decides by what the account has become writes its intents in between.  Nothing else differs from a lane that runs
    through.  One whose `waits` is negative is left alone.

    Parameters
    ----------
    tape : Tape
    terms : (T, A) TERMS
    stamps : (K,) STAMP, sorted by (row, asset, ts)
    contracts : (A,) ASSET
    day_rows : (D,) int64
        Rows with which a UTC day ends, and the last row of the market.
    intents : (I,) INTENT, sorted by (row, asset) within a lane
    lanes : (L,) LANE, in and out
    given : (1,) RULES
        `half_spread` follows `activity.wider` while the replay runs, and is as given again after it.
    slots : int
        Most orders of one asset that can be in flight at once.
    activity : Activity
    venue : Venue
    fills : (N,) FILL, out
        The ledger is kept when `equity` has more than one row, and there is one lane then.  Otherwise all outputs but
        `daily` and `tallies` have one row and are scratch.
    payments : (K or 1,) PAYMENT, out
    orders : (O,) ORDER_LOG; events : (E,) EVENT; liquidations : (Q,) LIQUIDATION, out
        Written when the ledger is kept.
    equity, cash, liquidation, shortfall : (R,) float64, out; position : (R, A) float64, out
        At the closes of the lane's rows.  Zeroed by the caller: what stays 0 is not touched.
    daily : (L, D) float64, out
        Equity at the end of each UTC day of the lane and at its last row; other elements are not touched.
    tallies : (L,) TALLY, out, zeroed by the caller
        `status` FILLS_FULL: `fills`, `orders`, `events` or `liquidations` was too short, and the outputs are worthless.
    desk : Desk, in and out
        Of one lane, used by all in turn; where lanes wait, of as many as there are.  The caller owns it: a record keeps
        no array of the kernel's own alive.
    """
    # Counting what the caller holds costs more than the lanes that stand for one decision only.
    tape, activity, venue, desk = borrowed(tape), borrowed(activity), borrowed(venue), borrowed(desk)
    terms, stamps, contracts, day_rows = borrowed(terms), borrowed(stamps), borrowed(contracts), borrowed(day_rows)
    intents, lanes, tallies, daily = borrowed(intents), borrowed(lanes), borrowed(tallies), borrowed(daily)
    fills, payments, orders, events = borrowed(fills), borrowed(payments), borrowed(orders), borrowed(events)
    liquidations, equity, cash, position = borrowed(liquidations), borrowed(equity), borrowed(cash), borrowed(position)
    liquidation, shortfall = borrowed(liquidation), borrowed(shortfall)
    rules = given[0]
    open_ts, close_ts, decision = tape.open_ts, tape.close_ts, tape.decision
    assets = tape.open.shape[1]
    # Flat and unsigned: `x` is asset a on this row, `y` on the row before; nothing has to be multiplied or wrapped.
    open, high = borrowed(tape.open.ravel()), borrowed(tape.high.ravel())
    low, close = borrowed(tape.low.ravel()), borrowed(tape.close.ravel())
    mark_open, mark_high = borrowed(tape.mark_open.ravel()), borrowed(tape.mark_high.ravel())
    mark_low, mark_close = borrowed(tape.mark_low.ravel()), borrowed(tape.mark_close.ravel())
    term = borrowed(terms.ravel())
    keep = len(equity) > 1
    step = 1 if keep else 0
    floor_of, roof_of = np.zeros(assets), np.zeros(assets)
    breakers = rules["daily_loss"] < inf or rules["drawdown"] < inf
    banded = rules["band"] < inf
    dust = DUST * rules["cash"]
    turns = 2 if assets > 1 else 1
    far = len(open) > CACHED
    most_fills = assets * (slots + 10)  # that one row can make
    # What is on at all: the arrays that nothing asks for have one element.
    traded, hourly = borrowed(activity.traded.ravel()), borrowed(activity.hourly.ravel())
    follow = borrowed(activity.follow.ravel())
    wider, usual = activity.wider, rules["half_spread"]
    widens = len(wider) > 1
    tiers, fees, bounds, final, slices = venue.tiers, venue.fees, venue.bounds, venue.final, venue.slices
    by_hour = rules["hourly"] < inf
    by_volume = rules["participation"] < inf or rules["touch"] > 0.0 or rules["schedule"] == Schedule.POV
    capped = rules["participation"] < inf or by_hour
    paced = rules["min_interval"] > 0
    intricate = capped or paced or rules["schedule"] != Schedule.WHOLE
    isolated = rules["isolated"] != 0
    ratcheted = rules["ratchet_after"] < inf
    follows = rules["follow"] != 0
    tiered_fees = len(fees) > 0
    bounded, watched = False, False
    for bound in range(len(bounds)):
        bounded |= bounds[bound]["most"] < inf
        watched |= bounds[bound]["most"] < inf and bounds[bound]["act"] == Act.FLATTEN
    delists = False
    for a in range(assets):
        delists |= final[a] >= 0
    spans = np.zeros((assets, 2))
    stirs = np.zeros(assets, np.int64)  # assets whose exits this row may touch
    room, shares, shares_of_hour = inf, nan, nan

    for lane in range(len(lanes)):
        start, stop, k, last = lanes[lane]["start"], lanes[lane]["stop"], lanes[lane]["first"], lanes[lane]["last"]
        if lanes[lane]["waits"] < 0:
            continue
        tally = tallies[lane]
        own = lane if len(desk.carry) > 1 else 0
        carry, account, ring = desk.carry[own], desk.accounts[own], desk.ring[own]
        state, flight, work = desk.state[own], desk.flight[own], desk.work[own]
        waits_here = lanes[lane]["waits"] != 0
        resumes = waits_here and carry["under_way"] != 0
        quiet, flat = False, True
        if resumes:
            t, n, p = carry["row"], carry["fills"], carry["payments"]
            day, stamp = carry["day"], carry["stamp"]
            halted, total, worth = False, carry["total"], carry["worth"]
            for a in range(assets):
                flat &= state[a]["position"] == 0.0
        else:
            begin_lane(account, state, tiers, rules)
            begin_fees(account, ring, fees, rules)
            t, n, p = start, 0, 0
            day = first_from(day_rows, start)
            stamp = first_row_after(stamps, start)
            while k < last and intents[k]["row"] < start:
                k += 1
            halted, total, worth = False, 0.0, rules["cash"]
            tally["status"] = Status.DONE
        midnight = day_rows[day] if day < len(day_rows) else stop
        pays = stamps[stamp]["row"] if stamp < len(stamps) else stop
        carry["under_way"] = 0

        while t < stop:
            begin, now, row = open_ts[t], close_ts[t], t * assets
            fallen_short, fee_of_venue = 0.0, 0.0
            if keep and (
                n + most_fills > len(fills)
                or tally["orders"] + assets > len(orders)
                or (bounded and tally["events"] + assets >= len(events))
                or tally["liquidations"] + assets > len(liquidations)
            ):
                tally["status"] = Status.FILLS_FULL
                break

            if t > start and not halted and not quiet and not resumes:
                if widens:
                    rules["half_spread"] = usual * wider[t]
                stamped = False
                if pays <= t:
                    while stamp < len(stamps) and stamps[stamp]["row"] < t:
                        stamp += 1
                    for a in range(assets):
                        state[a]["stamp"] = -1
                    while stamp < len(stamps) and stamps[stamp]["row"] == t:
                        stamped = True
                        if state[stamps[stamp]["asset"]]["stamp"] < 0:
                            state[stamps[stamp]["asset"]]["stamp"] = stamp
                        stamp += 1
                    pays = stamps[stamp]["row"] if stamp < len(stamps) else stop

                # 1. Orders and funding, asset by asset; what reduces a position comes first and frees margin.
                deferred = False
                waiting = False
                for turn in range(turns):
                    if turn == 1 and not deferred:
                        break
                    for a in range(assets):
                        s, c = state[a], contracts[a]
                        x, y = np.uint64(row + a), np.uint64(row + a - assets)
                        opening = open[x]
                        trades = not isnan(opening)
                        if turn == 1:
                            if s["later"] == 0:
                                continue
                        elif assets > 1:
                            s["later"] = 0
                            if (
                                s["flying"] == 0 and s["working"] == 0 and s["flatten"] == 0 and not stamped
                                and begin < s["deadline"]
                            ):  # fmt: skip
                                s["inside"] = 0
                                s["exited"] = 0
                                s["anchor"] = opening
                                continue
                            # The newest order that is live by the close, or the order at work, tells what is wanted.
                            goal = farthest(work[a]) if s["working"] != 0 else 0.0
                            for i in range(s["flying"]):
                                if flight[a, i]["arrive"] < now:
                                    goal = farthest(flight[a, i])
                            if trades and grows(s["position"], goal):
                                s["later"] = 1
                                deferred = True
                                continue
                        s["inside"] = 0
                        s["exited"] = 0
                        s["anchor"] = opening
                        if by_volume:
                            shares = traded[x]
                        if by_hour:
                            shares_of_hour = hourly[x]
                        tried = False
                        settles = stamped and s["stamp"] >= 0
                        if settles:
                            p = settle_until(account, tally, s, c, stamps, payments, p, step, t, a, begin)
                        if s["position"] == 0.0:
                            if trades:
                                s["flatten"] = 0
                        elif trades and (
                            s["flatten"] != 0
                            or (begin >= s["deadline"] and (s["working"] == 0 or work[a]["log"] >= 0))
                        ):  # fmt: skip
                            if capped:
                                room = room_of(s, rules, shares, shares_of_hour, begin)
                            reason = Reason.BREAKER if s["flatten"] != 0 else Reason.TIME
                            n += step * leave_at(
                                account, tally, s, c, work[a], orders[max(work[a]["log"], 0)], fills[n], keep, opening,
                                False, reason, term[y]["impact"], room, t, begin, now, a, rules,
                            )  # fmt: skip
                            if s["position"] == 0.0:
                                s["flatten"] = 0
                            tried = reason == Reason.TIME  # what it leaves at work goes on at the next open
                        if s["working"] != 0 and work[a]["plain"] == 0 and work[a]["expire"] <= begin:
                            lapse(s, work[a], orders[max(work[a]["log"], 0)], keep)
                        while s["flying"] > 0 or (s["working"] != 0 and not tried):
                            # The order at work goes first, then those in flight, the earliest arrival first.
                            order, at = work[a], begin
                            chosen = -1
                            if not trades or s["working"] == 0 or tried:
                                for i in range(s["flying"]):
                                    due = flight[a, i]["arrive"]
                                    if due < now and (chosen < 0 or due < flight[a, chosen]["arrive"]):
                                        chosen = i
                                if chosen < 0:
                                    break
                                at = max(flight[a, chosen]["arrive"], begin)
                            delay = at - begin
                            lapses = (
                                chosen >= 0 and flight[a, chosen]["plain"] == 0 and flight[a, chosen]["expire"] <= at
                            )
                            if delay > 0 and trades and not lapses and s["inside"] == 0 and s["position"] != 0.0:
                                # An exit that the open gapped through is done before an order arrives inside the bar.
                                passed, take = gapped(s, c["tick"], opening, False)
                                if passed:
                                    n += step * leave_by_bracket(
                                        account, tally, s, c, work[a], orders[max(work[a]["log"], 0)], fills[n], keep,
                                        opening, take, term[y]["impact"], shares, shares_of_hour, t, begin, begin, now,
                                        a, rules,
                                    )  # fmt: skip
                            if chosen >= 0:
                                # What was decided before it is superseded, even if it should arrive later.
                                if keep and (chosen > 0 or s["working"] != 0):
                                    supersede(s, flight, work, a, chosen, orders, at)
                                s["flying"] -= chosen + 1
                                if s["flying"] == 0 and trades and flight[a, chosen]["plain"] != 0:
                                    order = flight[a, chosen]
                                else:
                                    work[a] = flight[a, chosen]
                                    for i in range(s["flying"]):
                                        flight[a, i] = flight[a, chosen + 1 + i]
                                if not trades:
                                    s["working"] = 1
                                    if work[a]["plain"] == 0 and work[a]["expire"] <= at:
                                        lapse(s, work[a], orders[max(work[a]["log"], 0)], keep)
                                    continue
                            s["working"] = 0
                            tried = True
                            if settles:
                                p = settle_until(account, tally, s, c, stamps, payments, p, step, t, a, at)
                            if order["plain"] == 0:
                                n += step * at_open(
                                    account, tally, state, contracts, a, order, orders[max(order["log"], 0)], fills[n],
                                    keep, slices, mark_open, row, opening, high[x], low[x], shares, shares_of_hour,
                                    term[y]["impact"], t, begin, at, now, rules,
                                )  # fmt: skip
                                continue
                            if order["reason"] == Reason.BAND and s["position"] == 0.0:
                                if keep:
                                    end_order(orders[order["log"]], Outcome.CANCELLED, at)
                                continue  # closed while the rebalance flew

                            goal = order["goal"]
                            elsewhere, gross = account["cash"], 0.0
                            for b in range(assets):
                                if b != a and state[b]["position"] != 0.0:
                                    v = value(mark_open[np.uint64(row + b)], contracts[b]["inverse"])
                                    elsewhere += contracts[b]["multiplier"] * state[b]["position"] * v
                                    gross += contracts[b]["multiplier"] * abs(state[b]["position"] * v)
                            reference, fee_rate = opening, account["taker"]
                            if rules["at_fill"]:
                                goal = goal_after_costs(elsewhere, s, c, order["size"], reference, fee_rate, rules)
                            if delay > 0 and order["slide"] != 0.0:
                                # Without a branch: which way a target goes cannot be predicted.
                                side = side_of(goal, s["position"])
                                reference = delayed_price(
                                    opening, high[x], low[x], order["slide"], rules["adverse"], side
                                )  # fmt: skip
                                if rules["at_fill"]:
                                    goal = goal_after_costs(elsewhere, s, c, order["size"], reference, fee_rate, rules)
                            if isolated:
                                funds = free_margin(account, state, contracts)
                            else:
                                funds = elsewhere + c["multiplier"] * s["position"] * value(reference, c["inverse"])
                            delta = step_to(goal, s["position"], c["lot"])
                            qty, slip = affordable(
                                s, c, delta, reference, rules["half_spread"], order["impact"], fee_rate, funds, gross,
                                rules,
                            )  # fmt: skip
                            price = 0.0
                            if qty != 0.0:
                                opened, price = trade(
                                    account, tally, s, c, fills[n], keep, qty, reference, slip, rules["half_spread"],
                                    fee_rate, c["tick"], nan, t, at, now, order["number"], order["number"],
                                    order["arrival"], a, Liquidity.TAKER, order["reason"], rules,
                                )  # fmt: skip
                                n += step
                                if delay > 0:
                                    s["inside"] = 1
                                    s["anchor"] = reference
                                set_brackets(s, order, c, price, opened, at, rules)
                            if keep:
                                log = orders[order["log"]]
                                log["filled"] = qty
                                log["value"] = abs(qty) * price
                                end_order(log, Outcome.FILLED if qty == delta else Outcome.CUT, at)
                        waiting |= s["working"] != 0
                        if settles:
                            p = settle_until(account, tally, s, c, stamps, payments, p, step, t, a, NEVER)

                # 2. Exits that the open, or the moment of an entry, has gapped through.
                exposed, stirring = False, 1
                if assets > 1:
                    stirring = 0
                    for a in range(assets):
                        if not waiting and not delists:
                            if state[a]["position"] == 0.0:
                                continue
                            x = np.uint64(row + a)
                            if stays(state[a], low[x], high[x], rules):
                                exposed = True
                                continue
                        stirs[stirring] = a
                        stirring += 1
                for i in range(stirring):
                    a = stirs[i]
                    s, c = state[a], contracts[a]
                    if s["position"] == 0.0:
                        continue
                    x, y = np.uint64(row + a), np.uint64(row + a - assets)
                    if not isnan(open[x]):
                        passed, take = gapped(s, c["tick"], s["anchor"], s["inside"] != 0)
                        if passed:
                            n += step * leave_by_bracket(
                                account, tally, s, c, work[a], orders[max(work[a]["log"], 0)], fills[n], keep,
                                s["anchor"], take, term[y]["impact"], traded[x] if by_volume else nan,
                                hourly[x] if by_hour else nan, t, begin, begin if s["inside"] == 0 else now - 1, now,
                                a, rules,
                            )  # fmt: skip
                            if s["position"] == 0.0:
                                continue
                    exposed = True

                # 2b. Orders at work that the bar's path triggers, or whose limit opens or grows a position.
                if waiting:
                    exposed = False
                    for a in range(assets):
                        x = np.uint64(row + a)
                        if state[a]["working"] != 0 and not isnan(open[x]):
                            n += step * inside_bar(
                                account, tally, state, contracts, a, work[a], orders[max(work[a]["log"], 0)], fills[n],
                                keep, slices, mark_open, row, open[x], high[x], low[x],
                                traded[x] if by_volume else nan, hourly[x] if by_hour else nan, True, t, begin, now,
                                rules,
                            )  # fmt: skip
                        exposed |= state[a]["position"] != 0.0

                # 3. Liquidation, every mark moving in a straight line to its adverse extreme.
                if exposed and isolated:
                    n, fee_of_venue, fallen_short = liquidate_wallets(
                        account, tally, state, flight, work, contracts, spans, tiers, mark_open, mark_high, mark_low,
                        row, fills, n, orders, liquidations, keep, t, begin, now, rules,
                    )  # fmt: skip
                elif exposed:
                    worth_1, need_1 = account["cash"], 0.0
                    for a in range(assets):
                        s, c = state[a], contracts[a]
                        if s["position"] != 0.0:
                            x = np.uint64(row + a)
                            _, last_mark = mark_span(s, mark_open[x], mark_high[x], mark_low[x])
                            at_worst = c["multiplier"] * s["position"] * value(last_mark, c["inverse"])
                            worth_1 += at_worst
                            need_1 += s["margin"] * abs(at_worst)
                    if worth_1 <= need_1 * (1.0 + 1e-12):
                        # No tier asks for more than the highest rate; now exactly.
                        n, fee_of_venue, fallen_short = liquidate_account(
                            account, tally, state, flight, work, contracts, spans, tiers, mark_open, mark_high,
                            mark_low, row, fills, n, orders, liquidations, keep, t, begin, now, rules,
                        )  # fmt: skip

                # 4, 5, 6. Stop, take, orders that reduce, delisting and trail, inside the bar.
                for i in range(stirring):
                    a = stirs[i]
                    s, c = state[a], contracts[a]
                    x, y = np.uint64(row + a), np.uint64(row + a - assets)
                    if s["position"] != 0.0 and not isnan(open[x]):
                        if by_volume:
                            shares = traded[x]
                        if by_hour:
                            shares_of_hour = hourly[x]
                        hit, take = s["exited"] == 0 and stopped(s, low[x], high[x]), False
                        if not hit and s["inside"] == 0 and s["exited"] == 0:
                            long = s["position"] > 0.0
                            take = reached(high[x] if long else low[x], s["target"], c["tick"], long)
                        if hit or take:
                            n += step * leave_by_bracket(
                                account, tally, s, c, work[a], orders[max(work[a]["log"], 0)], fills[n], keep,
                                s["target"] if take else stop_price(s), take, term[y]["impact"], shares,
                                shares_of_hour, t, begin, now - 1, now, a, rules,
                            )  # fmt: skip
                        if waiting and not hit and s["working"] != 0 and s["position"] != 0.0 and s["inside"] == 0:
                            before = s["position"]
                            n += step * inside_bar(
                                account, tally, state, contracts, a, work[a], orders[max(work[a]["log"], 0)], fills[n],
                                keep, slices, mark_open, row, open[x], high[x], low[x], shares, shares_of_hour, False,
                                t, begin, now, rules,
                            )  # fmt: skip
                            if before * s["position"] < 0.0 and stopped(s, low[x], high[x]):
                                n += step * leave_by_bracket(
                                    account, tally, s, c, work[a], orders[max(work[a]["log"], 0)], fills[n], keep,
                                    stop_price(s), False, term[y]["impact"], shares, shares_of_hour, t, begin, now - 1,
                                    now, a, rules,
                                )  # fmt: skip
                    if delists and final[a] == t:
                        if s["position"] != 0.0:
                            n += step * leave_at(
                                account, tally, s, c, work[a], orders[max(work[a]["log"], 0)], fills[n], keep,
                                close[x], False, Reason.DELISTED, term[y]["impact"], inf, t, now - 1, now, a, rules,
                            )  # fmt: skip
                        cancel_all(s, flight, work, a, orders, keep, now - 1)
                    if s["position"] != 0.0:
                        trailing = not isnan(s["trail"])
                        if trailing and follows and decision[t] and not isnan(follow[x]):
                            s["trail"] = follow[x]
                            set_levels(s, c["tick"], rules)
                        if s["inside"] == 0 and not isnan(open[x]):
                            long = s["position"] > 0.0
                            s["extreme"] = max(s["extreme"], high[x]) if long else min(s["extreme"], low[x])
                            if trailing or (ratcheted and ratchets(s, rules)):
                                set_levels(s, c["tick"], rules)

            if not resumes:
                # 7. Close.
                worth, flat = account["cash"], True
                for a in range(assets):
                    s, c = state[a], contracts[a]
                    if s["position"] != 0.0:
                        x = np.uint64(row + a)
                        flat = False
                        worth += c["multiplier"] * s["position"] * value(mark_close[x], c["inverse"])
                if worth <= dust and not halted:
                    halted = True
                    n, fee, short = end_account(
                        account, tally, state, flight, work, contracts, spans, mark_close, row, fills, n, orders,
                        liquidations, keep, t, begin, now, rules,
                    )  # fmt: skip
                    fee_of_venue += fee
                    fallen_short += short
                    worth, flat = 0.0, True
                    tally["status"] = Status.HALTED
                total += worth
                if not flat:
                    tally["rows_held"] += 1
                if keep:
                    equity[t - start] = worth
                    cash[t - start] = account["cash"]
                    if not flat:
                        for a in range(assets):
                            position[t - start, a] = state[a]["position"]
                if fee_of_venue != 0.0 or fallen_short != 0.0:
                    tally["liquidation"] += fee_of_venue
                    tally["shortfall"] += fallen_short
                    if keep:
                        liquidation[t - start] = fee_of_venue
                        shortfall[t - start] = fallen_short
                if worth > account["peak"]:
                    end_drawdown(tally, account["peak"], account["trough"])
                    account["peak"] = worth
                    account["trough"] = worth
                account["trough"] = min(account["trough"], worth)

                # 8. Breakers.
                if breakers and not halted and trips(account, worth, now, rules):
                    tally["breakers"] += 1
                    flatten_all(state, flight, work, orders, keep, now)
                if t == midnight:
                    account["day_equity"] = worth
                    daily[lane, day] = worth
                    day += 1
                    midnight = day_rows[day] if day < len(day_rows) else stop
                    if tiered_fees:
                        end_day(account, ring, fees, days_until(close_ts, t))
                elif t == stop - 1 and day < len(day_rows):
                    daily[lane, day] = worth

            # 9. Decision.
            if decision[t] and not halted and t < stop - 1:
                if waits_here and not resumes:
                    carry["under_way"] = 1
                    carry["row"], carry["fills"], carry["payments"] = t, n, p
                    carry["day"], carry["stamp"] = day, stamp
                    carry["total"], carry["worth"] = total, worth
                    break
                resumes = False
                while k < last:
                    intent = intents[np.uint64(k)]
                    if intent["row"] > t:
                        break
                    if intent["row"] == t and not (delists and 0 <= final[intent["asset"]] <= t):
                        s = state[np.uint64(intent["asset"])]
                        s["held"] = intent["size"]
                        s["intent"] = k
                        s["judged"] = t
                        s["refused"] = 0
                    k += 1
                    if far and k + AHEAD < last:
                        soon = intents[np.uint64(k + AHEAD)]
                        x, z = np.uint64(soon["row"] * assets + soon["asset"]), np.uint64(soon["row"])
                        if x > np.uint64(row + NEAR):
                            prefetch(open, x)
                            prefetch(close, x)
                            prefetch(term, x)
                            prefetch(open_ts, z)
                            prefetch(close_ts, z)
                            prefetch(decision, z)
                cooling = now < account["cool_until"]
                for turn in range(2 if banded else 1):  # targets, then rebalances
                    for a in range(assets):
                        s, c = state[a], contracts[a]
                        fresh = turn == 0
                        if fresh:
                            if isnan(s["held"]):
                                continue
                        elif s["position"] == 0.0 or not isnan(s["held"]) or s["judged"] == t:
                            continue
                        if account["blocked_until"] == NEVER:
                            s["held"] = nan  # it could never be sent
                            continue
                        x = np.uint64(row + a)
                        intent = intents[s["intent"]]
                        busy = s["flying"] > 0 or s["working"] != 0
                        waits = now < account["blocked_until"] or isnan(open[x]) or isnan(mark_close[x])
                        if busy and s["flying"] + (1 if s["working"] != 0 else 0) >= rules["max_open"]:
                            waits = True
                        size = s["held"] if fresh else s["wanted"]
                        if not fresh and (waits or busy or cooling or isnan(size) or size == 0.0):
                            continue
                        unit = c["multiplier"] * abs(value(close[x], c["inverse"]))
                        notional = notional_of(size, worth, rules)
                        goal, simple, other, other_size = notional / unit, not intricate, 0.0, nan
                        if not fresh:
                            if abs(unit * s["position"] / worth - notional / worth) <= rules["band"]:
                                continue
                        elif not (
                            isnan(intent["limit"])
                            and isnan(intent["trigger"])
                            and isnan(intent["other_size"])
                            and intent["expire"] == NEVER
                        ):
                            simple, other_size = False, intent["other_size"]
                            if not isnan(other_size):
                                other = notional_of(other_size, worth, rules) / unit
                        sends = not waits
                        if fresh and cooling and sends:
                            goal, opposite, sends = while_cooling(goal, s["position"])
                            size = 0.0 if opposite else size
                            other, against, fits = while_cooling(other, s["position"])
                            other_size = 0.0 if against and not isnan(other_size) else other_size
                            sends &= fits
                            waits = opposite or against or not sends
                        if fresh and bounded and sends:
                            aim = goal if isnan(other_size) or abs(goal) >= abs(other) else other
                            act, allowed = judge(
                                aim, a, intent["stop"], worth, state, flight, work, contracts, close, mark_close, row,
                                bounds, activity, t, now, events[tally["events"] if keep else 0], rules,
                            )  # fmt: skip
                            if act == Act.CAP:
                                goal, other = (allowed, other * (allowed / aim)) if aim == goal else (
                                    goal * (allowed / aim), allowed
                                )  # fmt: skip
                                size *= allowed / aim
                                other_size *= allowed / aim
                            if act != PASS and not (act == Act.REFUSE and s["refused"] != 0):
                                tally["events"] += 1
                            if act == Act.REFUSE:
                                s["refused"], sends, waits = 1, False, True
                            if act == Act.FLATTEN:
                                flatten_all(state, flight, work, orders, keep, now)
                                continue
                        if waits and intent["row"] == t and work[a]["log"] >= 0:  # an exit at work goes on
                            cancel_work(s, work[a], orders[max(work[a]["log"], 0)], keep, now)
                        if not sends:
                            continue
                        if (
                            busy
                            or s["flatten"] != 0
                            or step_to(goal, s["position"], c["lot"]) != 0.0
                            or (not isnan(other_size) and step_to(other, s["position"], c["lot"]) != 0.0)
                        ):
                            order = flight[a, s["flying"]]
                            s["flying"] += 1
                            order["number"] = account["orders"]
                            account["orders"] += 1
                            order["row"] = t
                            order["arrive"] = term[x]["arrive"]
                            order["slide"] = term[x]["slide"]
                            order["impact"] = term[x]["impact"]
                            order["arrival"] = close[x]
                            order["goal"] = goal
                            order["size"] = size
                            order["stop"] = intent["stop"]
                            order["take"] = intent["take"]
                            order["trail"] = intent["trail"]
                            order["reason"] = Reason.TARGET if fresh else Reason.BAND
                            order["plain"] = 1 if simple else 0
                            order["log"] = 0
                            if not simple:
                                describe(order, intent, other, other_size, rules)
                                order["late"] = 0
                                if paced:
                                    leaves = max(now, s["left"] + rules["min_interval"])
                                    s["left"] = leaves
                                    order["arrive"] += leaves - now
                                    if leaves > now:
                                        order["late"] = 1
                                        order["slide"] = drift_of(tape.sigma, tape.gauss, t, a)
                            if keep:
                                order["log"] = tally["orders"]
                                write_order(orders[tally["orders"]], order, a, close_ts[stop - 1])
                            tally["orders"] += 1
                        if fresh and not waits:
                            s["wanted"] = size
                            s["held"] = nan
                if watched and not leaves_all(state) and watch(
                    worth, state, flight, work, contracts, close, mark_close, row, bounds, activity, t, now,
                    events[tally["events"] if keep else 0], rules,
                ):  # fmt: skip
                    tally["events"] += 1
                    flatten_all(state, flight, work, orders, keep, now)
            t += 1
            quiet = False

            # Glide to the next row on which something is due.
            due = min(stop - 1, intents[k]["row"] if k < last and not halted else stop)
            if flat or assets > 1:  # one asset's glide passes the end of a day by itself
                due = min(due, midnight)
            if waits_here and not halted:
                due = min(due, next_true(decision, t, due))
            # Where every row has a decision, a lane that waits stands on the due one: it too may be found quiet.
            judges = waits_here and (flat or assets == 1)
            if t > due or (t == due and not judges):
                continue
            if not flat:
                if assets > 1:  # one asset's glide pays its funding by itself
                    due = min(due, pays)
                if delists:
                    for a in range(assets):
                        if state[a]["position"] != 0.0 and final[a] >= 0:
                            due = min(due, final[a])
                if t > due or (t == due and not judges) or ((banded or watched) and not waits_here):
                    continue
            busy = False
            for a in range(assets):
                s = state[a]
                busy |= s["flying"] > 0 or s["working"] != 0 or s["flatten"] != 0 or not isnan(s["held"])
            if busy:
                continue
            if keep and n + most_fills > len(fills):
                continue
            funds, t0 = account["cash"], t
            if flat:
                total += (due - t) * worth
                if keep:
                    for o in range(t - start, due - start):
                        equity[o] = worth
                        cash[o] = funds
                t, quiet = due, True
                continue
            least = dust
            if breakers:
                in_day = account["day_equity"] * (1.0 - rules["daily_loss"])
                least = max(dust, account["peak"] * (1.0 - rules["drawdown"]), in_day)
            if assets > 1:
                t, worth, total = glide_together(
                    account, tally, state, contracts, open_ts, high, low, mark_open, mark_high, mark_low, mark_close,
                    floor_of, roof_of, t, due, least, total, worth, equity, cash, position, start, keep, breakers,
                    rules,
                )  # fmt: skip
            else:
                peak, trough = account["peak"], account["trough"]
                s, c = state[0], contracts[0]
                units, inverse = c["multiplier"] * s["position"], c["inverse"]
                long = units > 0.0
                deadline = s["deadline"]
                trailing = not isnan(s["trail"])
                moving = trailing or (ratcheted and ratchets(s, rules))
                margin = liquidation_mark(backing(account, s, c, rules), s, c)
                margin *= 1.0 + 1e-9 if long else 1.0 - 1e-9
                ends = final[0] if delists else -1
                if deadline != NEVER and t < due:
                    due = min(due, first_from(open_ts, deadline))
                level, target = s["level"], s["target"]
                while pays < t:
                    stamp += 1
                    pays = stamps[stamp]["row"] if stamp < len(stamps) else stop
                while True:
                    if t >= due and (open_ts[t] >= deadline or t == ends):
                        break
                    if t == pays:
                        while pays == t:
                            pay_funding(account, tally, s, c, payments[p], keep, stamps[stamp], t)
                            p += step
                            stamp += 1
                            pays = stamps[stamp]["row"] if stamp < len(stamps) else stop
                        funds = account["cash"]
                        margin = liquidation_mark(backing(account, s, c, rules), s, c)
                        margin *= 1.0 + 1e-9 if long else 1.0 - 1e-9
                    x = np.uint64(t)
                    # Written so that a NaN, a missing bar, hands over.
                    if long:
                        if not (low[x] > level and high[x] <= target and mark_low[x] > margin):
                            break
                    elif not (high[x] < level and low[x] >= target and mark_high[x] < margin):
                        break
                    if moving:
                        follows_now = follows and trailing and decision[t] and not isnan(follow[x])
                        if follows_now:
                            s["trail"] = follow[x]
                        if follows_now or (high[x] > s["extreme"] if long else low[x] < s["extreme"]):
                            s["extreme"] = max(s["extreme"], high[x]) if long else min(s["extreme"], low[x])
                            set_levels(s, c["tick"], rules)
                            level = s["level"]
                    if t >= due:
                        quiet = True
                        break
                    worth = funds + units * value(mark_close[x], inverse)
                    if worth <= least:
                        quiet = True
                        break
                    total += worth
                    if worth > peak:
                        end_drawdown(tally, peak, trough)
                        peak, trough = worth, worth
                        if breakers:
                            least = max(least, peak * (1.0 - rules["drawdown"]))
                    trough = min(trough, worth)
                    if keep:
                        o = np.uint64(t - start)
                        equity[o] = worth
                        cash[o] = funds
                        position[o, 0] = s["position"]
                    if t == midnight:
                        account["day_equity"] = worth
                        daily[lane, day] = worth
                        day += 1
                        midnight = day_rows[day] if day < len(day_rows) else stop
                        if tiered_fees:
                            end_day(account, ring, fees, days_until(close_ts, t))
                        if breakers:
                            in_day = worth * (1.0 - rules["daily_loss"])
                            least = max(dust, peak * (1.0 - rules["drawdown"]), in_day)
                    t += 1
                account["peak"] = peak
                account["trough"] = trough
            tally["rows_held"] += t - t0

        tally["equity"] = worth
        tally["equity_sum"] = total
        if carry["under_way"] == 0:
            end_drawdown(tally, account["peak"], account["trough"])
            carry["row"], carry["worth"] = t, worth
            if waits_here:
                lanes[lane]["waits"] = -1
    rules["half_spread"] = usual
    return
