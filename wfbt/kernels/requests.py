"""Requests at the exchange: new orders, cancels and modifies."""

from wfbt.kernels._jit import part
from wfbt.kernels.book_codes import Answer, Ask, Pause, Status, Tif, Type
from wfbt.kernels.bus import take_first
from wfbt.kernels.ladder import NOTHING, next_below, shown, stored
from wfbt.kernels.purse import allows
from wfbt.kernels.resting import answer_with, fill, lacks, line_up, record_end, step_out, tell
from wfbt.kernels.sparse import room
from wfbt.kernels.taking import deplete, next_offer, offered, survey, taker_price


@part
def handle_request(pit, s, now):
    """Handle the first request of a bus; Pause.DONE, or what there is too little room for, and nothing is changed."""
    m = pit.mail[2 * s, pit.bus[2 * s]["head"]]
    place = m["place"]
    o = pit.orders[s, place]
    levels = 0
    if m["ask"] != Ask.CANCEL:
        half = (0 if m["side"] > 0 else 1) if m["ask"] == Ask.NEW else o["half"]
        market = (m["type"] if m["ask"] == Ask.NEW else o["type"]) == Type.MARKET
        limit = NOTHING if market else (-m["tick"] if half == 0 else m["tick"])
        _, levels = survey(pit, 2 * s + (1 - half), limit, m["lots"])
        if pit.settings["depletion"] != 0 and room(pit.taken, 2 * s + (1 - half)) < levels:
            return Pause.TAKEN
    code = lacks(pit, s, levels + 1, 1)
    if code != Pause.DONE:
        return code
    take_first(pit.bus, pit.mail, 2 * s)
    if m["ask"] == Ask.NEW:
        o["id"] = m["id"]
        o["half"] = 0 if m["side"] > 0 else 1
        o["step"] = m["side"] * m["tick"]
        o["total"] = m["lots"]
        o["leaves"] = m["lots"]
        o["filled"] = 0
        o["type"] = m["type"]
        o["tif"] = m["tif"]
        o["status"] = Status.SENT
        o["sent"] = m["sent"]
        o["arrived"] = now
        enter(pit, s, place, now, Answer.NEW)
        return Pause.DONE
    if o["id"] != m["id"] or (o["status"] != Status.NEW and o["status"] != Status.PARTIAL):
        tell(pit, s, place, m["id"], Status.REJECTED, now, Answer.CHANGE, 0, 0, 0.0, False)
        return Pause.DONE
    h = 2 * s + o["half"]
    i = 0
    while pit.line[h, i] != place:
        i += 1
    if m["ask"] == Ask.CANCEL or m["lots"] <= o["filled"]:
        step_out(pit, s, h, i)
        o["status"] = Status.CANCELED
        answer_with(pit, s, place, now, Answer.CHANGE)
        record_end(pit, s, place, now)
        return Pause.DONE
    step = (1 - 2 * o["half"]) * m["tick"]
    if step == o["step"] and m["lots"] <= o["total"]:
        o["total"] = m["lots"]
        o["leaves"] = m["lots"] - o["filled"]
        answer_with(pit, s, place, now, Answer.CHANGE)
        return Pause.DONE
    step_out(pit, s, h, i)
    o["step"] = step
    o["total"] = m["lots"]
    o["leaves"] = m["lots"] - o["filled"]
    o["sent"] = m["sent"]
    o["arrived"] = now
    enter(pit, s, place, now, Answer.CHANGE)
    return Pause.DONE


@part
def finish(pit, s, place, now, status, answer):
    """End an order that does not rest."""
    pit.orders[s, place]["status"] = status
    answer_with(pit, s, place, now, answer)
    record_end(pit, s, place, now)


@part
def open_lots(pit, s, h):
    """Lots of own orders at rest on a half."""
    total = 0
    for i in range(pit.own[h]["count"]):
        total += pit.orders[s, pit.line[h, i]]["leaves"]
    return total


@part
def enter(pit, s, place, now, answer):
    """Let an order meet the book: it takes, rests or ends."""
    settings = pit.settings
    o = pit.orders[s, place]
    h = 2 * s + o["half"]
    side, opposite = 1 - 2 * o["half"], h ^ 1
    if pit.course["halted"] != 0 or (
        settings["leverage"] > 0.0
        and not allows(
            settings, pit.course, pit.purses, pit.symbols, pit.ladder, s, side, o["leaves"], open_lots(pit, s, h)
        )
    ):
        # Also where a modify let it enter again: the order is gone, not the change.
        finish(pit, s, place, now, Status.REJECTED, Answer.NEW)
        return
    market = o["type"] == Type.MARKET
    limit = NOTHING if market else -o["step"]
    best = next_offer(pit, opposite, pit.ladder.sides[opposite]["best"], limit)
    if best == NOTHING:
        if market or o["tif"] == Tif.FOK or o["tif"] == Tif.IOC:
            finish(pit, s, place, now, Status.EXPIRED, answer)
        else:
            rest(pit, s, place, now, Status.NEW, answer)
        return
    if not market and o["tif"] == Tif.POST:
        finish(pit, s, place, now, Status.EXPIRED, answer)
        return
    if settings["partial"] == 0:
        price = -side * best * pit.symbols[s]["tick"]
        fill(pit, s, place, now, o["leaves"], -side * best, price, False, answer)
        return
    found, _ = survey(pit, opposite, limit, o["leaves"])
    if not market and o["tif"] == Tif.FOK and found < o["leaves"]:
        finish(pit, s, place, now, Status.EXPIRED, answer)
        return
    walk(pit, s, place, now, opposite, best, found, answer)
    if o["leaves"] > 0:
        if not market and o["tif"] == Tif.GTC:
            rest(pit, s, place, now, Status.PARTIAL, answer)
        else:
            finish(pit, s, place, now, Status.EXPIRED, answer)


@part
def walk(pit, s, place, now, h, step, lots, answer):
    """Take `lots` of what half `h` offers, from `step` outward."""
    side, left = 2 * (h & 1) - 1, lots
    while left > 0:
        q = min(left, offered(pit, h, step))
        if q > 0:
            tick = -side * step
            price = taker_price(pit, pit.symbols[s], tick, side, lots, now)
            if pit.settings["depletion"] != 0:
                deplete(pit, h, step, q)
            fill(pit, s, place, now, q, tick, price, False, answer)
            left -= q
        step = next_below(pit.ladder, h, step)


@part
def rest(pit, s, place, now, status, answer):
    """Let an order wait at its price, behind what is displayed there."""
    o = pit.orders[s, place]
    h = 2 * s + o["half"]
    if pit.settings["partial"] != 0:
        o["front"] = float(shown(pit.ladder, h, o["step"]))
    else:
        o["front"] = float(stored(pit.ladder, h, o["step"]))
    o["traded"] = 0.0
    o["status"] = status
    line_up(pit, s, place)
    answer_with(pit, s, place, now, answer)
