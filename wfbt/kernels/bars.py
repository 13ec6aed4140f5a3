"""The bar replay: many lanes of intents over one market, each lane one account.

Time runs outside, assets inside.  The steps of a row and their numbers are those of docs/execution.md.  Between two
events a lane glides: a tight loop that proves, bar by bar, that nothing can happen, and hands over when it cannot.
"""

from math import inf, isnan, nan

import numpy as np

from wfbt.kernels._jit import njit, prefetch
from wfbt.kernels.abi import ORDER, STATE, Liquidity, Reason, Status
from wfbt.kernels.account import (
    NEVER,
    affordable,
    bare,
    close_gapped,
    copy_order,
    end_drawdown,
    end_trip,
    forget,
    goal_after_costs,
    grows,
    is_due,
    leave_at,
    liquidate,
    liquidation_mark,
    mark_span,
    notional_of,
    pay_funding,
    reached,
    set_levels,
    settle,
    trade,
    value,
)
from wfbt.kernels.costs import delayed_price, step_to

# Where nothing happens, little of a row is read: what the next intents but AHEAD will need is asked of the memory in
# advance, unless it is NEAR enough (in cells) to be there, or the whole market fits in the cache.
AHEAD = 1
NEAR = 8
CACHED = 50_000
DAY = 86_400_000_000_000


@njit
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


@njit
def replay(
    tape, terms, stamps, contracts, day_rows, intents, lanes, given, slots, fills, payments, equity, cash, position,
    liquidation, shortfall, daily, tallies, accounts,
):  # fmt: skip
    """Replay every lane and fill the outputs in place.

    Parameters
    ----------
    tape : Tape
    terms : (T, A) TERMS
    stamps : (K,) STAMP, sorted by (row, asset, ts)
    contracts : (A,) ASSET
    day_rows : (D,) int64
        Rows with which a UTC day ends, and the last row of the market.
    intents : (I,) INTENT, sorted by (row, asset) within a lane
    lanes : (L,) LANE
    given : (1,) RULES
    slots : int
        Most orders of one asset that can be in flight at once.
    fills : (N,) FILL, out
        The ledger is kept when `equity` has more than one row, and there is one lane then.  Otherwise all outputs but
        `daily` and `tallies` have one row and are scratch.
    payments : (K or 1,) PAYMENT, out
    equity, cash, liquidation, shortfall : (R,) float64, out; position : (R, A) float64, out
        At the closes of the lane's rows.  Zeroed by the caller: what stays 0 is not touched.
    daily : (L, D) float64, out
        Equity at the end of each UTC day of the lane and at its last row; other elements are not touched.
    tallies : (L,) TALLY, out, zeroed by the caller
        `status` FILLS_FULL: `fills` was too short, and the outputs are worthless.
    accounts : (1,) ACCOUNT, out
        The account of the last lane.  The caller owns it: a record keeps no array of the kernel's own alive.
    """
    rules = given[0]
    open_ts, close_ts, decision = tape.open_ts, tape.close_ts, tape.decision
    assets = tape.open.shape[1]
    # Flat and unsigned: `x` is asset a on this row, `y` on the row before; nothing has to be multiplied or wrapped.
    open, high, low, close = tape.open.ravel(), tape.high.ravel(), tape.low.ravel(), tape.close.ravel()
    mark_open, mark_high = tape.mark_open.ravel(), tape.mark_high.ravel()
    mark_low, mark_close = tape.mark_low.ravel(), tape.mark_close.ravel()
    term = terms.ravel()
    keep = len(equity) > 1
    step = 1 if keep else 0
    state = np.zeros(assets, STATE)
    flight = np.zeros((assets, slots), ORDER)
    work = np.zeros(assets, ORDER)
    account = accounts[0]
    floor_of, roof_of = np.zeros(assets), np.zeros(assets)
    breakers = rules["daily_loss"] < inf or rules["drawdown"] < inf
    banded = rules["band"] < inf
    turns = 2 if assets > 1 else 1
    far = len(open) > CACHED
    most_fills = assets * (slots + 6)  # that one row can make

    for lane in range(len(lanes)):
        start, stop, k, last = lanes[lane]["start"], lanes[lane]["stop"], lanes[lane]["first"], lanes[lane]["last"]
        tally = tallies[lane]
        account["cash"] = rules["cash"]
        account["peak"] = rules["cash"]
        account["trough"] = rules["cash"]
        account["day_equity"] = rules["cash"]
        account["losses"] = 0
        account["cool_until"] = -NEVER
        account["blocked_until"] = -NEVER
        account["orders"] = 0
        for a in range(assets):
            s = state[a]
            s["position"] = 0.0
            s["flatten"] = 0
            s["inside"] = 0
            bare(s)
            forget(s)
        n, p = 0, 0
        day = np.searchsorted(day_rows, start)
        midnight = day_rows[day] if day < len(day_rows) else stop
        stamp = first_row_after(stamps, start)
        pays = stamps[stamp]["row"] if stamp < len(stamps) else stop
        while k < last and intents[k]["row"] < start:
            k += 1
        halted, quiet = False, False
        tally["status"] = Status.DONE
        t = start

        while t < stop:
            begin, now, row = open_ts[t], close_ts[t], t * assets
            fallen_short, fee_of_venue = 0.0, 0.0
            if keep and n + most_fills > len(fills):
                tally["status"] = Status.FILLS_FULL
                break

            if t > start and not halted and not quiet:
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
                for turn in range(turns):
                    if turn == 1 and not deferred:
                        break
                    for a in range(assets):
                        s, c = state[a], contracts[a]
                        x, y = np.uint64(row + a), np.uint64(row + a - assets)
                        opening = open[x]
                        trades = not isnan(opening)
                        if assets > 1:
                            # The newest order that is live by the close, or the order at work, tells what is wanted.
                            goal = work[a]["goal"] if s["working"] != 0 else 0.0
                            for i in range(s["flying"]):
                                if flight[a, i]["arrive"] < now:
                                    goal = flight[a, i]["goal"]
                            later = trades and grows(s["position"], goal)
                            deferred |= later
                            if later != (turn == 1):
                                continue
                        s["inside"] = 0
                        s["anchor"] = opening
                        settles = stamped and s["stamp"] >= 0
                        while settles and s["stamp"] < len(stamps) and is_due(stamps[s["stamp"]], t, a, begin):
                            p = settle(account, tally, s, c, stamps[s["stamp"]], payments[p], p, step, t)
                        if s["position"] == 0.0:
                            s["flatten"] = 0
                        elif trades and (s["flatten"] != 0 or begin >= s["deadline"]):
                            broken, wanted, waiting = s["flatten"] != 0, s["wanted"], s["working"]
                            reason = Reason.BREAKER if broken else Reason.TIME
                            leave_at(
                                account, tally, s, c, fills[n], keep, opening, False, reason, term[y]["impact"],
                                t, begin, now, a, rules,
                            )  # fmt: skip
                            n += step
                            s["flatten"] = 0
                            if broken:
                                # What was decided since the breaker stands.
                                s["wanted"] = wanted
                                s["working"] = waiting
                        while s["flying"] > 0 or s["working"] != 0:
                            # The order at work goes first, then those in flight, the earliest arrival first.
                            order, at = work[a], begin
                            if not trades or s["working"] == 0:
                                chosen = -1
                                for i in range(s["flying"]):
                                    due = flight[a, i]["arrive"]
                                    if due < now and (chosen < 0 or due < flight[a, chosen]["arrive"]):
                                        chosen = i
                                if chosen < 0:
                                    break
                                # What was decided before it is superseded, even if it should arrive later.
                                s["flying"] -= chosen + 1
                                if s["flying"] == 0 and trades:
                                    order = flight[a, chosen]
                                else:
                                    copy_order(order, flight[a, chosen])
                                    for i in range(s["flying"]):
                                        copy_order(flight[a, i], flight[a, chosen + 1 + i])
                                if not trades:
                                    s["working"] = 1
                                    continue
                                at = max(order["arrive"], begin)
                            s["working"] = 0
                            delay = at - begin
                            if delay > 0 and s["inside"] == 0 and s["position"] != 0.0:
                                # An exit that the open gapped through is done before an order arrives inside the bar.
                                if close_gapped(
                                    account, tally, s, c, fills[n], keep, opening, False, term[y]["impact"],
                                    t, begin, now, a, rules,
                                ):  # fmt: skip
                                    n += step
                            while settles and s["stamp"] < len(stamps) and is_due(stamps[s["stamp"]], t, a, at):
                                p = settle(account, tally, s, c, stamps[s["stamp"]], payments[p], p, step, t)
                            if order["rebalance"] != 0 and s["position"] == 0.0:
                                continue  # closed while the rebalance flew

                            goal = order["goal"]
                            elsewhere, gross = account["cash"], 0.0
                            for b in range(assets):
                                if b != a and state[b]["position"] != 0.0:
                                    v = value(mark_open[np.uint64(row + b)], contracts[b]["inverse"])
                                    elsewhere += contracts[b]["multiplier"] * state[b]["position"] * v
                                    gross += contracts[b]["multiplier"] * abs(state[b]["position"] * v)
                            reference = opening
                            if rules["at_fill"]:
                                goal = goal_after_costs(elsewhere, s, c, order["size"], reference, rules)
                            if delay > 0 and order["slide"] != 0.0:
                                towards = step_to(goal, s["position"], 0.0)
                                # Without a branch: which way a target goes cannot be predicted.
                                side = 1.0 * (towards > 0.0) - 1.0 * (towards < 0.0)
                                reference = delayed_price(
                                    opening, high[x], low[x], order["slide"], rules["adverse"], side
                                )  # fmt: skip
                                if rules["at_fill"]:
                                    goal = goal_after_costs(elsewhere, s, c, order["size"], reference, rules)
                            own = c["multiplier"] * s["position"] * value(reference, c["inverse"])
                            qty, slip = affordable(
                                s, c, goal, reference, order["impact"], elsewhere + own, gross, rules
                            )
                            if qty == 0.0:
                                continue
                            reason = Reason.BAND if order["rebalance"] != 0 else Reason.TARGET
                            opened, price = trade(
                                account, tally, s, c, fills[n], keep, qty, reference, slip, rules["half_spread"],
                                rules["taker"], t, at, now, order["number"], order["arrival"], a, Liquidity.TAKER,
                                reason, rules,
                            )  # fmt: skip
                            if delay > 0:
                                s["inside"] = 1
                                s["anchor"] = reference
                            if order["rebalance"] == 0:
                                s["stop"] = order["stop"]
                                s["take"] = order["take"]
                                s["trail"] = order["trail"]
                                s["extreme"] = price
                                if opened:
                                    s["deadline"] = at + rules["time_exit"] if rules["time_exit"] > 0 else NEVER
                            set_levels(s, c["tick"])
                            n += step
                        while settles and s["stamp"] < len(stamps) and is_due(stamps[s["stamp"]], t, a, NEVER):
                            p = settle(account, tally, s, c, stamps[s["stamp"]], payments[p], p, step, t)

                # 2. Exits that the open, or the moment of an entry, has gapped through.
                exposed = False
                for a in range(assets):
                    s, c = state[a], contracts[a]
                    if s["position"] == 0.0:
                        continue
                    x, y = np.uint64(row + a), np.uint64(row + a - assets)
                    if not isnan(open[x]):
                        if close_gapped(
                            account, tally, s, c, fills[n], keep, s["anchor"], s["inside"] != 0,
                            term[y]["impact"], t, begin if s["inside"] == 0 else now - 1, now, a, rules,
                        ):  # fmt: skip
                            n += step
                            continue
                    exposed = True

                # 3. Liquidation, every mark moving in a straight line to its adverse extreme.
                if exposed:
                    worth_1, need_1 = account["cash"], 0.0
                    for a in range(assets):
                        s, c = state[a], contracts[a]
                        if s["position"] != 0.0:
                            x = np.uint64(row + a)
                            _, final = mark_span(s, mark_open[x], mark_high[x], mark_low[x])
                            at_worst = c["multiplier"] * s["position"] * value(final, c["inverse"])
                            worth_1 += at_worst
                            need_1 += c["maintenance"] * abs(at_worst)
                    if worth_1 <= need_1:
                        worth_0, need_0 = account["cash"], 0.0
                        for a in range(assets):
                            s, c = state[a], contracts[a]
                            if s["position"] != 0.0:
                                x = np.uint64(row + a)
                                first, _ = mark_span(s, mark_open[x], mark_high[x], mark_low[x])
                                at_first = c["multiplier"] * s["position"] * value(first, c["inverse"])
                                worth_0 += at_first
                                need_0 += c["maintenance"] * abs(at_first)
                        spare, short = worth_0 - need_0, worth_1 - need_1
                        theta = spare / (spare - short) if spare > 0.0 else 0.0
                        for a in range(assets):
                            s, c = state[a], contracts[a]
                            forget(s)
                            if s["position"] == 0.0:
                                continue
                            x = np.uint64(row + a)
                            first, final = mark_span(s, mark_open[x], mark_high[x], mark_low[x])
                            v0, v1 = value(first, c["inverse"]), value(final, c["inverse"])
                            liquidate(
                                account, tally, s, c, fills[n], v0 + theta * (v1 - v0), t,
                                begin if theta == 0.0 and s["inside"] == 0 else now - 1, account["orders"], a,
                            )  # fmt: skip
                            account["orders"] += 1
                            n += step
                        # The fee comes once all is closed, from what is left.
                        for a in range(assets):
                            s, c = state[a], contracts[a]
                            if s["position"] == 0.0:
                                continue
                            x = np.uint64(row + a)
                            first, final = mark_span(s, mark_open[x], mark_high[x], mark_low[x])
                            v0, v1 = value(first, c["inverse"]), value(final, c["inverse"])
                            closed = c["multiplier"] * abs(s["position"] * (v0 + theta * (v1 - v0)))
                            fee = min(rules["liquidation_fee"] * closed, max(account["cash"], 0.0))
                            account["cash"] -= fee
                            fee_of_venue += fee
                            end_trip(account, tally, s["trip"] - fee, closed, now, rules)
                            s["position"] = 0.0
                            bare(s)
                        if account["cash"] < 0.0:
                            fallen_short = -account["cash"]
                            account["cash"] = 0.0

                # 4, 5, 6. Stop, take and trail inside the bar.
                for a in range(assets):
                    s, c = state[a], contracts[a]
                    x, y = np.uint64(row + a), np.uint64(row + a - assets)
                    if s["position"] == 0.0 or isnan(open[x]):
                        continue
                    long, level = s["position"] > 0.0, s["level"]
                    reason, maker = Reason.TRAIL if s["trailed"] != 0 else Reason.STOP, False
                    hit = min(low[x], s["anchor"]) <= level if long else max(high[x], s["anchor"]) >= level
                    if not hit and s["inside"] == 0:
                        level, maker, reason = s["target"], True, Reason.TAKE
                        hit = reached(high[x] if long else low[x], level, c["tick"], long)
                    if hit:
                        leave_at(
                            account, tally, s, c, fills[n], keep, level, maker, reason, term[y]["impact"],
                            t, now - 1, now, a, rules,
                        )  # fmt: skip
                        n += step
                    elif s["inside"] == 0:
                        s["extreme"] = max(s["extreme"], high[x]) if long else min(s["extreme"], low[x])
                        if not isnan(s["trail"]):
                            set_levels(s, c["tick"])

            # 7. Close.
            worth, flat = account["cash"], True
            for a in range(assets):
                s, c = state[a], contracts[a]
                if s["position"] != 0.0:
                    x = np.uint64(row + a)
                    flat = False
                    worth += c["multiplier"] * s["position"] * value(mark_close[x], c["inverse"])
            if worth <= 0.0 and not halted:
                halted = True
                for a in range(assets):
                    s, c = state[a], contracts[a]
                    forget(s)
                    if s["position"] != 0.0:
                        x = np.uint64(row + a)
                        at_mark = value(mark_close[x], c["inverse"])
                        liquidate(account, tally, s, c, fills[n], at_mark, t, now - 1, account["orders"], a)
                        account["orders"] += 1
                        n += step
                        closed = c["multiplier"] * abs(s["position"] * at_mark)
                        end_trip(account, tally, s["trip"], closed, now, rules)
                        s["position"] = 0.0
                        bare(s)
                fallen_short -= account["cash"]
                account["cash"] = 0.0
                worth, flat = 0.0, True
                tally["status"] = Status.HALTED
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
            if breakers and not halted and account["blocked_until"] < NEVER:
                tripped = False
                if worth <= account["peak"] * (1.0 - rules["drawdown"]):
                    tripped = True
                    account["blocked_until"] = NEVER
                elif now > account["blocked_until"] and worth <= account["day_equity"] * (1.0 - rules["daily_loss"]):
                    tripped = True
                    account["blocked_until"] = -(-now // DAY) * DAY
                if tripped:
                    tally["breakers"] += 1
                    for a in range(assets):
                        forget(state[a])
                        if state[a]["position"] != 0.0:
                            state[a]["flatten"] = 1
            if t == midnight:
                account["day_equity"] = worth
                daily[lane, day] = worth
                day += 1
                midnight = day_rows[day] if day < len(day_rows) else stop
            elif t == stop - 1 and day < len(day_rows):
                daily[lane, day] = worth

            # 9. Decision.
            if decision[t] and not halted and t < stop - 1:
                while k < last:
                    intent = intents[np.uint64(k)]
                    if intent["row"] > t:
                        break
                    if intent["row"] == t:
                        s = state[np.uint64(intent["asset"])]
                        s["held"] = intent["size"]
                        s["held_stop"] = intent["stop"]
                        s["held_take"] = intent["take"]
                        s["held_trail"] = intent["trail"]
                        s["working"] = 0
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
                for a in range(assets):
                    s, c = state[a], contracts[a]
                    fresh = not isnan(s["held"])
                    if not fresh and not (banded and s["position"] != 0.0):
                        continue
                    if account["blocked_until"] == NEVER:
                        s["held"] = nan  # it could never be sent
                        continue
                    x = np.uint64(row + a)
                    if now < account["blocked_until"] or isnan(open[x]) or isnan(mark_close[x]):
                        continue
                    size = s["held"] if fresh else s["wanted"]
                    if not fresh and (cooling or isnan(size) or size == 0.0 or s["flying"] > 0 or s["working"] != 0):
                        continue
                    unit = c["multiplier"] * abs(value(close[x], c["inverse"]))
                    notional = notional_of(size, worth, rules)
                    goal, waits = notional / unit, False
                    if not fresh:
                        if abs(unit * s["position"] / worth - notional / worth) <= rules["band"]:
                            continue
                    elif cooling and goal != 0.0:
                        if goal * s["position"] < 0.0:
                            goal, size, waits = 0.0, 0.0, True
                        elif abs(goal) > abs(s["position"]):
                            continue
                    if s["flying"] > 0 or s["flatten"] != 0 or step_to(goal, s["position"], c["lot"]) != 0.0:
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
                        order["stop"] = s["held_stop"]
                        order["take"] = s["held_take"]
                        order["trail"] = s["held_trail"]
                        order["rebalance"] = 0 if fresh else 1
                    if fresh and not waits:
                        s["wanted"] = size
                        s["held"] = nan
            t += 1
            quiet = False

            # Glide to the next row on which something is due.
            due = min(stop - 1, intents[k]["row"] if k < last and not halted else stop)
            if flat or assets > 1:  # one asset's glide passes the end of a day by itself
                due = min(due, midnight)
            if t >= due:
                continue
            if not flat:
                if assets > 1:  # one asset's glide pays its funding by itself
                    due = min(due, pays)
                if banded or t >= due:
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
                if keep:
                    for o in range(t - start, due - start):
                        equity[o] = worth
                        cash[o] = funds
                t, quiet = due, True
                continue
            peak, trough = account["peak"], account["trough"]
            least = 0.0
            if breakers:
                in_day = account["day_equity"] * (1.0 - rules["daily_loss"])
                least = max(0.0, peak * (1.0 - rules["drawdown"]), in_day)
            if assets == 1:
                s, c = state[0], contracts[0]
                units, inverse = c["multiplier"] * s["position"], c["inverse"]
                long = units > 0.0
                deadline = s["deadline"]
                trailing = not isnan(s["trail"])
                margin = liquidation_mark(funds, s["position"], c)
                margin *= 1.0 + 1e-9 if long else 1.0 - 1e-9
                if deadline != NEVER:
                    due = min(due, np.searchsorted(open_ts, deadline))
                level, target = s["level"], s["target"]
                while pays < t:
                    stamp += 1
                    pays = stamps[stamp]["row"] if stamp < len(stamps) else stop
                while True:
                    if t >= due and open_ts[t] >= deadline:
                        break
                    if t == pays:
                        while pays == t:
                            pay_funding(account, tally, s, c, payments[p], keep, stamps[stamp], t)
                            p += step
                            stamp += 1
                            pays = stamps[stamp]["row"] if stamp < len(stamps) else stop
                        funds = account["cash"]
                        margin = liquidation_mark(funds, s["position"], c)
                        margin *= 1.0 + 1e-9 if long else 1.0 - 1e-9
                    x = np.uint64(t)
                    # Written so that a NaN, a missing bar, hands over.
                    if long:
                        if not (low[x] > level and high[x] <= target and mark_low[x] > margin):
                            break
                    elif not (high[x] < level and low[x] >= target and mark_high[x] < margin):
                        break
                    if trailing and (high[x] > s["extreme"] if long else low[x] < s["extreme"]):
                        s["extreme"] = high[x] if long else low[x]
                        set_levels(s, c["tick"])
                        level = s["level"]
                    if t >= due:
                        quiet = True
                        break
                    worth = funds + units * value(mark_close[x], inverse)
                    if worth <= least:
                        quiet = True
                        break
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
                        if breakers:
                            in_day = worth * (1.0 - rules["daily_loss"])
                            least = max(0.0, peak * (1.0 - rules["drawdown"]), in_day)
                    t += 1
            else:
                for a in range(assets):
                    if state[a]["position"] != 0.0:
                        level, target = state[a]["level"], state[a]["target"]
                        long = state[a]["position"] > 0.0
                        floor_of[a] = level if long else target
                        roof_of[a] = target if long else level
                still = True
                while t < due:
                    worth, worst, need = funds, funds, 0.0
                    for a in range(assets):
                        s, c = state[a], contracts[a]
                        if s["position"] == 0.0:
                            continue
                        x = np.uint64(t * assets + a)
                        # Open bounds on both sides: a touch that would do nothing only costs a full row.
                        still = low[x] > floor_of[a] and high[x] < roof_of[a] and open_ts[t] < s["deadline"]
                        if not still or not isnan(s["trail"]):
                            still = False
                            break
                        units = c["multiplier"] * s["position"]
                        worth += units * value(mark_close[x], c["inverse"])
                        adverse = units * value(
                            min(mark_open[x], mark_low[x]) if units > 0.0 else max(mark_open[x], mark_high[x]),
                            c["inverse"],
                        )
                        worst += adverse
                        need += c["maintenance"] * abs(adverse)
                    if not still or worst <= need + 1e-9 * abs(funds) or worth <= least:
                        break
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
                        for a in range(assets):
                            position[o, a] = state[a]["position"]
                    t += 1
            account["peak"] = peak
            account["trough"] = trough
            tally["rows_held"] += t - t0

        end_drawdown(tally, account["peak"], account["trough"])
        tally["equity"] = worth
    return
