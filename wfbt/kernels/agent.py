"""The two ends of a turn: what an account sees of itself before it decides, and the orders that its decision makes."""

from math import isnan, log

from wfbt.kernels._jit import borrowed, inlined, njit
from wfbt.kernels.abi import Seen
from wfbt.kernels.account import value


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
    sheet : (D, A) SHEET
    slices : int
        Of each order's schedule; 0: none.
    desk : Desk; watch : Watch, in and out
    intents : (L·A,) INTENT, in and out
        One place for each asset of each lane: a target that waits for leave stays there.  What a market order does not
        have is not touched.
    lanes : (L,) LANE
    """
    desk, watch, sheet, bars = borrowed(desk), borrowed(watch), borrowed(sheet), borrowed(bars)
    targets, intents, lanes = borrowed(targets), borrowed(intents), borrowed(lanes)
    assets = targets.shape[1]
    for lane in range(len(lanes)):
        if lanes[lane]["waits"] > 0:
            submit_one(targets[lane], bars, sheet, slices, desk.carry[lane]["row"], watch, lane, lane * assets, intents)


@inlined
def submit_one(targets, bars, sheet, slices, row, watch, lane, first, intents):
    """The intents of one lane."""
    bar = bars[row]
    for a in range(len(targets)):
        target = targets[a]
        if isnan(target) or target == watch.submitted[lane, a]:
            continue
        made = sheet[bar, a]
        size = abs(target) * (made["long"] if target > 0.0 else made["short"]) if target != 0.0 else made["flat"]
        if isnan(size):
            continue
        watch.submitted[lane, a] = target
        intent = intents[first + a]
        intent["row"] = row
        intent["size"] = size
        intent["stop"] = made["stop"]
        intent["take"] = made["take"]
        intent["trail"] = made["trail"]
        if slices > 0:
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
    desk, watch, contracts, mark_close = borrowed(desk), borrowed(watch), borrowed(contracts), borrowed(mark_close)
    seen, lanes, out = borrowed(seen), borrowed(lanes), borrowed(out)
    for lane in range(len(lanes)):
        if lanes[lane]["waits"] > 0:
            observe_one(
                desk.carry[lane], desk.accounts[lane], desk.state[lane], watch, lane, contracts, mark_close, seen,
                first, out[lane],
            )  # fmt: skip


@inlined
def observe_one(carry, account, state, watch, lane, contracts, mark_close, seen, first, out):
    """The view of one lane."""
    row, worth = carry["row"], carry["worth"]
    gross, j = 0.0, first
    for a in range(len(state)):
        s, c = state[a], contracts[a]
        units = s["position"]
        # Products instead of branches: which way an account turns cannot be predicted.
        side = 1.0 * (units > 0.0) - 1.0 * (units < 0.0)
        held = (watch.held[lane, a] * (side == watch.side[lane, a]) + 1) * (side != 0.0)
        watch.held[lane, a] = held
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
                out[j] = log(1.0 + held)
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
