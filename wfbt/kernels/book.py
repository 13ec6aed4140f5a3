"""The replay of order books: two sides with clocks of their own, which meet only in messages.

Between two decisions the exchange's side is taken to the later one, then the local side: what the policy decides with
has arrived, and nothing else is handed to it.  `docs/book.md` says what happens; this module, in which order.
"""

from wfbt.kernels._jit import borrowed, njit, part
from wfbt.kernels.book_abi import Desk, Pit
from wfbt.kernels.book_codes import NEVER, Decide, Pause
from wfbt.kernels.book_rows import quiet_rows
from wfbt.kernels.closing import check_margin
from wfbt.kernels.local_side import (
    forget,
    known_rows,
    look,
    next_arrival,
    receive_messages,
    room_to_decide,
    sample,
    send_all,
)
from wfbt.kernels.requests import handle_request
from wfbt.kernels.venue_side import Turn, first_answer, met_rows, next_turn, pay_stamp

PLAN, VENUE, LOCAL, ASK = 0, 1, 2, 3
"""What is under way: finding the next decision, one of the sides, or the decision."""


@part
def rows_remain(symbols):
    """Whether any row is still to come after an instant to which both sides have been taken."""
    # Every row is received no earlier than it happened: the last one received is the last of all.
    left = 0
    for s in range(len(symbols)):
        left += symbols[s]["local_end"] - symbols[s]["local"]
    return left > 0


@njit
def replay_book(hall, terms, exchange_rows, local_rows, step, params, out):
    """Replay as far as rows and room allow; the Pause that says which.

    Parameters
    ----------
    hall : Hall, in and out
        Each SYMBOL says which rows of the two lists, delays and steps are its own.
    terms : Terms
    exchange_rows, local_rows : Rows
        The same rows by exchange and by local time; each list is taken in by itself, and may end anywhere.
    step : compiled function
        See `wfbt.kernels.book_policies`.
    params : (P,) float64
    out : Output
    """
    hall, terms, out, params = borrowed(hall), borrowed(terms), borrowed(out), borrowed(params)
    exchange_rows, local_rows = borrowed(exchange_rows), borrowed(local_rows)
    course, settings, symbols, bus = hall.course[0], terms.settings[0], hall.symbols, hall.bus
    pit = Pit(
        course, settings, hall.true, symbols, bus, hall.mail, hall.outside, hall.taken, hall.orders, hall.own,
        hall.line, terms.delays, terms.steps, out.fills, out.ended,
    )  # fmt: skip
    desk = Desk(
        course, settings, hall.told, symbols, bus, hall.mail, hall.inside, hall.seen, hall.copies, hall.ids,
        hall.asked, terms.delays, out.ended,
    )  # fmt: skip
    watched, follows = settings["maintenance"] > 0.0, settings["decide"] == Decide.ALL
    while True:
        if course["phase"] == PLAN:
            at = settings["start"] + (course["tick"] + 1) * settings["period"]
            if settings["decide"] != Decide.CLOCK:
                at, known = next_arrival(symbols, local_rows.ts)
                if not known:
                    return Pause.LOCAL_ROWS
            course["until"] = at
            course["phase"] = VENUE
        while course["phase"] == VENUE:
            if course["check"] != 0:
                code = check_margin(pit, course["check"])
                if code != Pause.DONE:
                    return code
            until = first_answer(pit, course["until"]) if follows else course["until"]
            turn, s, bound = next_turn(pit, exchange_rows.ts, until)
            code = Pause.DONE
            if turn == Turn.END:
                course["until"] = until
                course["phase"] = LOCAL
                break
            if turn == Turn.WAIT:
                return Pause.EXCHANGE_ROWS
            if turn == Turn.STAMP:
                pay_stamp(pit, s)
            elif turn == Turn.QUIET:
                i = quiet_rows(pit.ladder, exchange_rows, s, symbols[s]["exchange"], symbols[s]["exchange_end"], bound)
                symbols[s]["exchange"] = i
                if i < symbols[s]["exchange_end"] and exchange_rows.ts[i] <= bound:
                    return Pause.LEVELS
                continue
            elif turn == Turn.ROWS:
                if watched:
                    bound = exchange_rows.ts[symbols[s]["exchange"]]
                code = met_rows(pit, exchange_rows, s, bound, watched or follows)
            else:
                code = handle_request(pit, s, bound)
            if code != Pause.DONE:
                return code
            if watched:
                course["check"] = bound
        if course["phase"] == LOCAL:
            for s in range(len(symbols)):
                # Rows change no order and messages no book: each can be taken in by itself.
                if not known_rows(desk.ladder, desk.seen[s], symbols[s], local_rows, s, course["until"]):
                    return Pause.LEVELS
                if symbols[s]["local"] == symbols[s]["local_end"] and symbols[s]["final"] == 0:
                    return Pause.LOCAL_ROWS
            receive_messages(desk, course["until"])
            course["phase"] = ASK
        now = course["until"]
        if now == NEVER:
            return Pause.DONE
        if not rows_remain(symbols):
            # Messages alone ask for no decision, or a policy that always sends would never end.
            course["until"] = NEVER
            course["phase"] = VENUE
            continue
        code = room_to_decide(desk, course["samples"] + len(symbols) - len(out.samples))
        if code != Pause.DONE:
            return code
        look(desk, now)
        sample(pit, desk, out.samples, now)
        count = step(hall.seen, hall.copies, hall.inside, params, hall.memory, hall.asked)
        if count < 0 or count > len(hall.asked):
            return Pause.ASKED
        forget(desk)
        send_all(desk, count, now)
        course["tick"] += 1
        course["decisions"] += 1
        course["phase"] = PLAN
