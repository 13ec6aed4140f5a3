"""The two ends of a turn: what an account sees of itself before it decides, and the orders that its decision makes."""

from math import isnan, log, nan

from wfbt.kernels._jit import njit, part
from wfbt.kernels.abi import Seen
from wfbt.kernels.account import NEVER, value


@njit
def submit(targets, bars, sheet, slices, desk, watch, intents, lanes):
    """Make intents of what each waiting lane wants.

    A number that is not the last one named becomes the intent of the lane's row, as `wfbt.engine.intents` makes it of a
    column; NaN, and a number whose size is not known, leave the position alone.

    Parameters
    ----------
    targets : (L, A) float64
    bars : (T,) int64
        Decision bar of each execution row.
    sheet : Sheet
    slices : int
        Of each order's schedule; 0: none.
    desk : Desk; watch : Watch, in and out
    intents : (L·A,) INTENT, in and out
        One place for each asset of each lane: a target that waits for leave stays there.
    lanes : (L,) LANE, in and out
        Get the places of their intents.
    """
    assets = targets.shape[1]
    for lane in range(len(lanes)):
        lanes[lane]["first"] = lane * assets
        lanes[lane]["last"] = (lane + 1) * assets
        if desk.carry[lane]["under_way"] != 0 and lanes[lane]["waits"] > 0:
            submit_one(targets[lane], bars, sheet, slices, desk.carry[lane]["row"], watch, lane, lane * assets, intents)


@part
def submit_one(targets, bars, sheet, slices, row, watch, lane, first, intents):
    """The intents of one lane."""
    bar = bars[row]
    for a in range(len(targets)):
        target = targets[a]
        if isnan(target) or target == watch.submitted[lane, a]:
            continue
        if target == 0.0:
            size = sheet.flat[bar, a]
        elif target > 0.0:
            size = target * sheet.long[bar, a]
        else:
            size = -target * sheet.short[bar, a]
        if isnan(size):
            continue
        watch.submitted[lane, a] = target
        intent = intents[first + a]
        intent["row"] = row
        intent["asset"] = a
        intent["size"] = size
        intent["stop"] = sheet.stop[bar, a]
        intent["take"] = sheet.take[bar, a]
        intent["trail"] = sheet.trail[bar, a]
        intent["limit"] = nan
        intent["trigger"] = nan
        intent["other_size"] = nan
        intent["other_limit"] = nan
        intent["other_trigger"] = nan
        intent["expire"] = NEVER
        intent["first_slice"] = (bar * len(targets) + a) * slices
        intent["last_slice"] = intent["first_slice"] + slices


@njit
def observe(desk, watch, contracts, mark_close, seen, lanes, first, out):
    """What each waiting lane sees of itself at its row's close; once a decision, since it counts how long is held.

    Parameters
    ----------
    desk : Desk; watch : Watch, in and out
    contracts : (A,) ASSET
    mark_close : (E, A) float64
    seen : (K,) int64
        Codes of `Seen`: those of each asset in the order given, asset by asset, then those of the account.
    lanes : (L,) LANE
    first : int
        Column of `out` to begin at.
    out : (L, X) float64, out
        A lane that does not wait keeps its row.
    """
    for lane in range(len(lanes)):
        if desk.carry[lane]["under_way"] != 0 and lanes[lane]["waits"] > 0:
            observe_one(
                desk.carry[lane], desk.accounts[lane], desk.state[lane], watch, lane, contracts, mark_close, seen,
                first, out[lane],
            )  # fmt: skip


@part
def observe_one(carry, account, state, watch, lane, contracts, mark_close, seen, first, out):
    """The view of one lane."""
    row, worth = carry["row"], carry["worth"]
    gross, j = 0.0, first
    for a in range(len(state)):
        s, c = state[a], contracts[a]
        units = s["position"]
        side = 1.0 if units > 0.0 else (-1.0 if units < 0.0 else 0.0)
        if side == 0.0:
            watch.held[lane, a] = 0
        elif side == watch.side[lane, a]:
            watch.held[lane, a] += 1
        else:
            watch.held[lane, a] = 1
        watch.side[lane, a] = side
        weight, earned = 0.0, 0.0
        if side != 0.0:
            mark, entry = value(mark_close[row, a], c["inverse"]), value(s["entry"], c["inverse"])
            weight = c["multiplier"] * units * abs(mark) / worth
            earned = side * (mark - entry) / abs(entry)
            gross += abs(weight)
        for i in range(len(seen)):
            code = seen[i]
            if code == Seen.POSITION:
                out[j] = weight
            elif code == Seen.TARGET:
                out[j] = watch.submitted[lane, a]
            elif code == Seen.UNREALISED:
                out[j] = earned
            elif code == Seen.HOLDING:
                out[j] = log(1.0 + watch.held[lane, a])
            else:
                continue
            j += 1
    for i in range(len(seen)):
        code = seen[i]
        if code == Seen.DRAWDOWN:
            out[j] = 1.0 - worth / account["peak"]
        elif code == Seen.GROSS:
            out[j] = gross
        elif code == Seen.TODAY:
            out[j] = worth / account["day_equity"] - 1.0
        else:
            continue
        j += 1
