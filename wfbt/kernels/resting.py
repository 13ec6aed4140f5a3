"""Own orders at rest in a replayed book: their line, their queue positions, and what fills them."""

from math import floor

from wfbt.kernels._jit import inlined, part
from wfbt.kernels.book_codes import FREE, Answer, Pause, Status
from wfbt.kernels.bus import append, delay_at, row_at, spare
from wfbt.kernels.ladder import NOTHING, show
from wfbt.kernels.purse import pay
from wfbt.kernels.queues import front_after


@inlined
def lacks(pit, s, fills, ended):
    """What there is too little room for, Pause.DONE for nothing, before so many fills and ends of orders."""
    course = pit.course
    if course["fills"] + fills > len(pit.fills) or course["ended"] + ended > len(pit.ended):
        return Pause.OUTPUT
    if spare(pit.bus, pit.mail, 2 * s + 1) < fills + ended:
        return Pause.MESSAGES
    return Pause.DONE


@part
def tell(pit, s, place, order, status, now, answer, lots, tick, price, maker):
    """Send what became of an order, with a fill of `lots` if there is one; when that will be known."""
    o, symbol = pit.orders[s, place], pit.symbols[s]
    i = row_at(pit.delays, symbol["response"], symbol["response_first"], symbol["response_end"], now)
    symbol["response"] = i
    delay, _, _ = delay_at(pit.delays, i, symbol["response_end"], pit.settings["linear"], now)
    m = append(pit.bus, pit.mail, 2 * s + 1, now + delay)
    m["answer"] = answer
    m["status"] = status
    m["side"] = 1 - 2 * o["half"]
    m["maker"] = maker
    m["place"] = place
    m["id"] = order
    m["tick"] = o["step"] * (1 - 2 * o["half"])
    m["lots"] = o["total"]
    m["leaves"] = o["leaves"]
    m["filled"] = lots
    m["filled_at"] = tick
    m["price"] = price
    return m["due"]


@inlined
def answer_with(pit, s, place, now, answer):
    """Answer a request by what its order has become."""
    o = pit.orders[s, place]
    tell(pit, s, place, o["id"], o["status"], now, answer, 0, 0, 0.0, False)


@part
def record_end(pit, s, place, now):
    """Write down an order that has ended."""
    o, course = pit.orders[s, place], pit.course
    e = pit.ended[course["ended"]]
    course["ended"] += 1
    e["id"] = o["id"]
    e["symbol"] = s
    e["side"] = 1 - 2 * o["half"]
    e["tick"] = o["step"] * (1 - 2 * o["half"])
    e["total"] = o["total"]
    e["filled"] = o["filled"]
    e["type"] = o["type"]
    e["tif"] = o["tif"]
    e["status"] = o["status"]
    e["sent"] = o["sent"]
    e["arrived"] = o["arrived"]
    e["ended"] = now


@part
def record_fill(pit, s, now, due, order, side, tick, lots, price, fee, maker, reason):
    """Write down a fill."""
    course = pit.course
    f = pit.fills[course["fills"]]
    course["fills"] += 1
    f["exch_ts"] = now
    f["local_ts"] = due
    f["symbol"] = s
    f["id"] = order
    f["side"] = side
    f["tick"] = tick
    f["lots"] = lots
    f["price"] = price
    f["fee"] = fee
    f["maker"] = maker
    f["reason"] = reason


@part
def fill(pit, s, place, now, lots, tick, price, maker, answer):
    """Fill lots of an order, book and report it; an order that is complete ends."""
    o = pit.orders[s, place]
    side = 1 - 2 * o["half"]
    o["leaves"] -= lots
    o["filled"] += lots
    o["status"] = Status.PARTIAL if o["leaves"] > 0 else Status.FILLED
    fee, _ = pay(pit.purses[s], pit.symbols[s], side, lots, price, maker)
    pit.symbols[s]["position"] += side * lots
    answer = answer if o["leaves"] == 0 else Answer.NONE
    due = tell(pit, s, place, o["id"], o["status"], now, answer, lots, tick, price, maker)
    record_fill(pit, s, now, due, o["id"], side, tick, lots, price, fee, maker, 0)
    if o["leaves"] == 0:
        record_end(pit, s, place, now)


@inlined
def fill_at_rest(pit, s, place, now, lots):
    """Fill lots of an order at its own tick, as maker."""
    o = pit.orders[s, place]
    tick = o["step"] * (1 - 2 * o["half"])
    fill(pit, s, place, now, lots, tick, tick * pit.symbols[s]["tick"], True, Answer.NONE)


@part
def note_ends(pit, s, h):
    """Bring up to date what is known of a line without reading it."""
    own = pit.own[h]
    n = own["count"]
    own["first"] = pit.orders[s, pit.line[h, 0]]["step"] if n > 0 else NOTHING
    own["last"] = pit.orders[s, pit.line[h, n - 1]]["step"] if n > 0 else -NOTHING


@part
def line_up(pit, s, place):
    """Put an order into the line of its half: by price, and behind those that arrived before it."""
    course = pit.course
    o = pit.orders[s, place]
    h = 2 * s + o["half"]
    i = pit.own[h]["count"]
    while i > 0 and pit.orders[s, pit.line[h, i - 1]]["step"] < o["step"]:
        pit.line[h, i] = pit.line[h, i - 1]
        i -= 1
    pit.line[h, i] = place
    pit.own[h]["count"] += 1
    o["number"] = course["arrivals"]
    course["arrivals"] += 1
    pit.symbols[s]["live"] += 1
    note_ends(pit, s, h)


@part
def step_out(pit, s, h, i):
    """Take the order at place `i` of a line out of it."""
    pit.own[h]["count"] -= 1
    for j in range(i, pit.own[h]["count"]):
        pit.line[h, j] = pit.line[h, j + 1]
    pit.symbols[s]["live"] -= 1
    note_ends(pit, s, h)


@part
def fill_down_to(pit, s, h, step, now, lots):
    """Fill a line from its best down to `step`: whole orders where `lots` < 0, else from `lots`; what is left."""
    left = lots
    while pit.own[h]["first"] >= step:
        place = pit.line[h, 0]
        leaves = pit.orders[s, place]["leaves"]
        if lots >= 0.0:
            q = min(leaves, floor(left + 0.5))
            left = max(left - q, 0.0)
        else:
            q = leaves
        if q > 0:
            fill_at_rest(pit, s, place, now, q)
        if q < leaves:
            break
        step_out(pit, s, h, 0)
    return left


@inlined
def trade_through(pit, s, h, step, lots, now):
    """A trade of `lots` at `step` against half `h`, where an order stands at it or better."""
    partial = pit.settings["partial"] != 0
    left = float(lots)
    if pit.own[h]["first"] > step:
        left = fill_down_to(pit, s, h, step + 1, now, left if partial else -1.0)
    if partial:
        share_trade(pit, s, h, step, lots, left, now)
        return
    i = 0
    while i < pit.own[h]["count"] and pit.orders[s, pit.line[h, i]]["step"] == step:
        place = pit.line[h, i]
        o = pit.orders[s, place]
        o["front"] -= lots
        o["traded"] += lots
        if o["front"] <= -0.5:
            fill_at_rest(pit, s, place, now, o["leaves"])
            step_out(pit, s, h, i)
        else:
            i += 1


@part
def share_trade(pit, s, h, step, lots, left, now):
    """Let what is `left` of a trade pass the market's lots before our orders at `step`, and fill them in turn."""
    i = 0
    while i < pit.own[h]["count"] and pit.orders[s, pit.line[h, i]]["step"] > step:
        i += 1
    first, passed, short = i, 0.0, FREE
    missing = 0.0
    while i < pit.own[h]["count"] and pit.orders[s, pit.line[h, i]]["step"] == step:
        place = pit.line[h, i]
        o = pit.orders[s, place]
        before = max(o["front"] - passed, 0.0)
        if left <= before:
            passed += left
            break
        left -= before
        passed += before
        q = min(o["leaves"], floor(left + 0.5))
        if q == 0:
            passed += left
            short, missing = place, left
            break
        fill_at_rest(pit, s, place, now, q)
        left = max(left - q, 0.0)
        o["front"] = 0.0
        if o["leaves"] == 0:
            step_out(pit, s, h, i)
        else:
            i += 1
        if left == 0.0:
            break
    i = first
    while i < pit.own[h]["count"] and pit.orders[s, pit.line[h, i]]["step"] == step:
        o = pit.orders[s, pit.line[h, i]]
        o["front"] = -missing if pit.line[h, i] == short else max(o["front"] - passed, 0.0)
        o["traded"] += lots
        i += 1


@inlined
def queue_up(pit, s, h, step, before, lots):
    """Move our orders at `step` in its queue, once that shows `lots` instead of `before`."""
    settings = pit.settings
    ahead = NOTHING * 1.0
    for i in range(pit.own[h]["count"]):
        o = pit.orders[s, pit.line[h, i]]
        if o["step"] < step:
            break
        if o["step"] == step:
            o["front"] = front_after(
                o["front"], o["traded"], before, lots, settings["queue"], settings["power"], pit.symbols[s]["lot"]
            )
            o["traded"] = 0.0
            if settings["partial"] != 0:
                o["front"] = max(o["front"], ahead)
                ahead = o["front"]


@inlined
def depth_met(pit, s, h, step, lots, now):
    """Show a level where own orders stand at it, or on the other half where it reaches them."""
    best = pit.ladder.sides[h]["best"]
    before = show(pit.ladder, h, step, lots)
    own = pit.own[h]
    if own["last"] <= step <= own["first"]:
        queue_up(pit, s, h, step, before, lots)
    if lots == 0 or pit.own[h ^ 1]["first"] + step < 0:
        return
    if pit.settings["partial"] == 0:
        if pit.ladder.sides[h]["best"] > best:
            fill_down_to(pit, s, h ^ 1, -step, now, -1.0)
    else:
        arrived = lots if step > best else max(lots - before, 0)
        fill_down_to(pit, s, h ^ 1, -step, now, float(arrived))
