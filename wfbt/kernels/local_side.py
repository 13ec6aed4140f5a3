"""The local side of a book replay: what arrives there, and the requests that a policy makes of it."""

from wfbt.kernels._jit import borrowed, inlined, part
from wfbt.kernels.book_codes import FREE, NEVER, Answer, Ask, Kind, Pause, Status
from wfbt.kernels.book_rows import clear_rows
from wfbt.kernels.bus import append, delay_at, due_next, row_at, spare, take_first
from wfbt.kernels.ladder import make_way, moves, show, shown
from wfbt.kernels.purse import equity_of, pay
from wfbt.kernels.sparse import put_key, room, value_of


@inlined
def is_open(status):
    """Whether an order may still fill."""
    return status == Status.NEW or status == Status.PARTIAL


@part
def known_rows(ladder, view, symbol, rows, s, until):
    """Take in rows of a symbol that are not later than `until`; False where a map is too full for the next one."""
    ladder, rows = borrowed(ladder), borrowed(rows)
    ts, kinds, sides, ticks, lots = rows
    i, end, trades, bought, sold, last = symbol["local"], symbol["local_end"], 0, 0, 0, view["traded_at"]
    while i < end and ts[i] <= until:
        side = int(sides[i])
        if kinds[i] == Kind.DEPTH:
            h, step = 2 * s + (side < 0), side * ticks[i]
            if moves(ladder, h, step) and not make_way(ladder, h, step, lots[i]):
                break
            show(ladder, h, step, lots[i])
        elif kinds[i] == Kind.TRADE:
            trades += 1
            bought += lots[i] if side > 0 else 0
            sold += lots[i] if side < 0 else 0
            last = ticks[i]
        else:
            clear_rows(ladder, s, kinds[i], side, ticks[i])
        i += 1
    symbol["local"] = i
    view["trades"] += trades
    view["bought"] += bought
    view["sold"] += sold
    view["traded_at"] = last
    return i == end or ts[i] > until


@part
def receive_messages(desk, until):
    """Take in all answers and reports that are due by `until`."""
    for s in range(len(desk.symbols)):
        r = 2 * s + 1
        while desk.bus[r]["count"] > 0 and due_next(desk.bus, desk.mail, r) <= until:
            receive_one(desk, desk.symbols[s], s, take_first(desk.bus, desk.mail, r))


@part
def receive_one(desk, symbol, s, m):
    """Let an answer or report change the local account and the local copy of its order."""
    c = desk.copies[s, m["place"]]
    if m["filled"] > 0:
        pay(desk.purses[s], symbol, int(m["side"]), m["filled"], m["price"], m["maker"] != 0)
        symbol["known"] += int(m["side"]) * m["filled"]
    if c["id"] != m["id"] or m["id"] == FREE:
        return
    if m["answer"] != Answer.NONE or m["status"] == Status.FILLED:
        c["waits"] = 0
    if m["answer"] == Answer.CHANGE and m["status"] == Status.REJECTED:
        return
    c["status"] = m["status"]
    c["tick"] = m["tick"]
    c["total"] = m["lots"]
    c["leaves"] = m["leaves"]
    if not is_open(m["status"]):
        symbol["seen_ended"] += 1


@part
def look(desk, now):
    """Bring the view up to date before a decision."""
    for s in range(len(desk.symbols)):
        view, ladder = desk.seen[s], desk.ladder
        bid, ask = ladder.sides[2 * s]["best"], ladder.sides[2 * s + 1]["best"]
        view["now"] = now
        view["bid"] = bid
        view["ask"] = -ask
        view["bid_lots"] = shown(ladder, 2 * s, bid)
        view["ask_lots"] = shown(ladder, 2 * s + 1, ask)
        view["position"] = desk.symbols[s]["known"]
        view["cash"] = desk.purses[s]["cash"]
        view["fees"] = desk.purses[s]["fees"]


@part
def forget(desk):
    """After a decision: trades count from here, and orders that were seen ended are gone."""
    for s in range(len(desk.symbols)):
        view = desk.seen[s]
        view["trades"] = 0
        view["bought"] = 0
        view["sold"] = 0
        if desk.symbols[s]["seen_ended"] > 0:
            used = 0
            for i in range(view["places"]):
                c = desk.copies[s, i]
                if c["id"] != FREE and c["status"] != Status.SENT and not is_open(c["status"]):
                    c["id"] = FREE
                if c["id"] != FREE:
                    used = i + 1
            view["places"] = used
            desk.symbols[s]["seen_ended"] = 0


@part
def send_all(desk, count, now):
    """Send the requests of a decision in their order, but those that are refused on the spot."""
    for i in range(count):
        if not send(desk, desk.asked[i], now):
            desk.course["refused"] += 1


@part
def send(desk, asked, now):
    """Send one request; False where it is refused."""
    s, order = asked["symbol"], asked["id"]
    if s < 0 or s >= len(desk.symbols) or order < 0 or order >= 2**31:
        return False
    place = place_for(desk, s, order, asked)
    if place < 0:
        return False
    symbol, c, new = desk.symbols[s], desk.copies[s, place], asked["ask"] == Ask.NEW
    if new:
        put_key(desk.ids, 0, order, 1)
        c["id"] = order
        c["side"] = asked["side"]
        c["tick"] = asked["tick"]
        c["total"] = asked["lots"]
        c["leaves"] = asked["lots"]
        c["status"] = Status.SENT
        desk.seen[s]["places"] = max(desk.seen[s]["places"], place + 1)
    c["waits"] = 1
    i = row_at(desk.delays, symbol["entry"], symbol["entry_first"], symbol["entry_end"], now)
    symbol["entry"] = i
    delay, bounce, lost = delay_at(desk.delays, i, symbol["entry_end"], desk.settings["linear"], now)
    m = (
        append(desk.bus, desk.mail, 2 * s + 1, now + bounce)
        if lost
        else append(desk.bus, desk.mail, 2 * s, now + delay)
    )
    m["ask"] = asked["ask"]
    m["answer"] = Answer.NEW if new else Answer.CHANGE
    m["status"] = Status.REJECTED  # read only where it is lost
    m["type"] = asked["type"]
    m["tif"] = asked["tif"]
    m["side"] = asked["side"]
    m["place"] = place
    m["id"] = order
    m["tick"] = asked["tick"]
    m["lots"] = asked["lots"]
    m["leaves"] = c["leaves"]
    m["sent"] = now
    m["filled"] = 0
    if lost and new:
        record_lost(desk, asked, now, m["due"])
    return True


@part
def place_for(desk, s, order, asked):
    """Place of a request's order, a free one for a new order; −1 where the request is refused."""
    copies = desk.copies
    if asked["ask"] == Ask.NEW:
        if asked["lots"] <= 0 or (asked["side"] != 1 and asked["side"] != -1) or value_of(desk.ids, 0, order) != 0:
            return -1
        for i in range(copies.shape[1]):
            if copies[s, i]["id"] == FREE:
                return i
        return -1
    for i in range(desk.seen[s]["places"]):
        c = copies[s, i]
        if c["id"] == order:
            fit = is_open(c["status"]) and c["waits"] == 0 and (asked["ask"] == Ask.CANCEL or asked["lots"] > 0)
            return i if fit else -1
    return -1


@part
def record_lost(desk, asked, now, known):
    """Write down an order that the venue lost."""
    e = desk.ended[desk.course["ended"]]
    desk.course["ended"] += 1
    e["id"] = asked["id"]
    e["symbol"] = asked["symbol"]
    e["side"] = asked["side"]
    e["tick"] = asked["tick"]
    e["total"] = asked["lots"]
    e["filled"] = 0
    e["type"] = asked["type"]
    e["tif"] = asked["tif"]
    e["status"] = Status.REJECTED
    e["sent"] = now
    e["arrived"] = -1
    e["ended"] = known


@part
def room_to_decide(desk, samples_over):
    """What there is too little room for, Pause.DONE for nothing, before a decision."""
    most = len(desk.asked)
    if samples_over > 0:
        return Pause.SAMPLES
    if desk.course["ended"] + most > len(desk.ended):
        return Pause.OUTPUT
    if room(desk.ids, 0) < most:
        return Pause.IDS
    for s in range(len(desk.symbols)):
        if spare(desk.bus, desk.mail, 2 * s) < most or spare(desk.bus, desk.mail, 2 * s + 1) < most:
            return Pause.MESSAGES
        free = desk.copies.shape[1] - desk.seen[s]["places"]
        for i in range(desk.seen[s]["places"]):
            free += desk.copies[s, i]["id"] == FREE
        if free < most:
            return Pause.ORDERS
    return Pause.DONE


@part
def sample(pit, desk, samples, now):
    """Write down both sides before the requests of a decision."""
    course, outside = desk.course, pit.ladder.sides
    equity = equity_of(desk.settings["opening"], desk.course, pit.purses, pit.symbols, pit.ladder)
    for s in range(len(desk.symbols)):
        x, symbol = samples[course["samples"]], desk.symbols[s]
        course["samples"] += 1
        x["ts"] = now
        x["symbol"] = s
        x["local_bid"] = desk.seen[s]["bid"]
        x["local_ask"] = desk.seen[s]["ask"]
        x["bid"] = outside[2 * s]["best"]
        x["ask"] = -outside[2 * s + 1]["best"]
        x["local_position"] = symbol["known"]
        x["position"] = symbol["position"]
        x["local_cash"] = desk.purses[s]["cash"]
        x["local_fees"] = desk.purses[s]["fees"]
        x["cash"] = pit.purses[s]["cash"]
        x["fees"] = pit.purses[s]["fees"]
        x["equity"] = equity


@part
def next_arrival(symbols, ts):
    """When the next row is received, NEVER for none, and whether that is known."""
    at = NEVER
    for s in range(len(symbols)):
        symbol = symbols[s]
        if symbol["local"] == symbol["local_end"]:
            if symbol["final"] == 0:
                return NEVER, False
        else:
            at = min(at, ts[symbol["local"]])
    return at, True
