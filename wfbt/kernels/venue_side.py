"""The exchange's side of a book replay: its rows, requests and funding, and which of them comes next."""

from enum import IntEnum
from math import isnan

from wfbt.kernels._jit import borrowed, inlined, part
from wfbt.kernels.book_abi import Pit
from wfbt.kernels.book_codes import NEVER, Kind, Pause
from wfbt.kernels.book_rows import clear_rows, restore
from wfbt.kernels.bus import due_next
from wfbt.kernels.ladder import has_mid, make_way, mid, moves, show
from wfbt.kernels.purse import settle
from wfbt.kernels.resting import depth_met, lacks, trade_through


class Turn(IntEnum):
    """What the exchange does next."""

    END = 0  # nothing until the time it was asked about
    WAIT = 1  # nobody knows before more rows are given
    STAMP = 2
    QUIET = 3  # rows that meet nobody
    ROWS = 4  # rows that own orders may meet
    REQUEST = 5


@inlined
def next_row(symbol, ts):
    """Time of the next row of a symbol, NEVER for none."""
    return ts[symbol["exchange"]] if symbol["exchange"] < symbol["exchange_end"] else NEVER


@part
def first_answer(pit, until):
    """When the first message of any symbol becomes known, if that is before `until`."""
    for s in range(len(pit.symbols)):
        until = min(until, due_next(pit.bus, pit.mail, 2 * s + 1))
    return until


@part
def next_turn(pit, ts, until):
    """What comes next and of which symbol, and how far that may go before something else must be looked at.

    The earliest is first, at one instant the lowest symbol, and of one symbol its rows; funding is before everything.
    """
    symbols = pit.symbols
    first, at, row_first, payer, stamp = -1, NEVER, True, -1, NEVER
    for s in range(len(symbols)):
        symbol = symbols[s]
        if symbol["exchange"] == symbol["exchange_end"] and symbol["final"] == 0:
            return Turn.WAIT, s, until
        row, due = next_row(symbol, ts), due_next(pit.bus, pit.mail, 2 * s)
        if min(row, due) < at:
            first, at, row_first = s, min(row, due), row <= due
        if symbol["stamp"] < symbol["stamp_end"] and pit.steps[symbol["stamp"]]["ts"] < stamp:
            payer, stamp = s, pit.steps[symbol["stamp"]]["ts"]
    if payer >= 0 and stamp <= at and stamp <= until:
        return Turn.STAMP, payer, stamp
    if first < 0 or at > until:
        return Turn.END, 0, until
    if not row_first:
        return Turn.REQUEST, first, at
    bound = min(until, stamp - 1)
    for s in range(len(symbols)):
        due = due_next(pit.bus, pit.mail, 2 * s)
        if s == first:
            bound = min(bound, due)
        else:
            bound = min(bound, min(next_row(symbols[s], ts), due) - (1 if s < first else 0))
    return turn_of_rows(pit, first), first, bound


@part
def turn_of_rows(pit, s):
    """Whether rows of a symbol can meet anything of ours."""
    if pit.symbols[s]["live"] > 0 or pit.settings["depletion"] != 0:
        return Turn.ROWS
    if pit.settings["maintenance"] > 0.0:
        for a in range(len(pit.symbols)):
            if pit.symbols[a]["position"] != 0:
                return Turn.ROWS
    return Turn.QUIET


@part
def met_rows(given, rows, s, until, one):
    """Take in rows of a symbol that are not later than `until` while they may meet something, or just `one`."""
    # Borrowed here, where LLVM can see it: counting arrays took most of a row's time.
    rows = borrowed(rows)
    pit = Pit(
        given.course, given.settings, borrowed(given.purses), borrowed(given.symbols), borrowed(given.bus),
        borrowed(given.mail), borrowed(given.ladder), borrowed(given.taken), borrowed(given.orders),
        borrowed(given.own), borrowed(given.line), borrowed(given.delays), borrowed(given.steps),
        borrowed(given.fills), borrowed(given.ended),
    )  # fmt: skip
    ts, kinds, sides, ticks, lots = rows
    symbol, quiet = pit.symbols[s], pit.settings["depletion"] == 0
    i, end = symbol["exchange"], symbol["exchange_end"]
    code = Pause.DONE
    while i < end and ts[i] <= until:
        code = met_row(pit, s, kinds[i], int(sides[i]), ticks[i], lots[i], ts[i])
        if code != Pause.DONE:
            break
        i += 1
        if one or (quiet and symbol["live"] == 0):
            break
    symbol["exchange"] = i
    return code


@inlined
def met_row(pit, s, kind, side, tick, lots, now):
    """Take in one row that own orders, or what they took, may meet."""
    own = pit.own
    if kind == Kind.DEPTH:
        h, step = 2 * s + (side < 0), side * tick
        if moves(pit.ladder, h, step) and not make_way(pit.ladder, h, step, lots):
            return Pause.LEVELS
        if own[h]["last"] <= step <= own[h]["first"] or (lots > 0 and own[h ^ 1]["first"] + step >= 0):
            live = pit.symbols[s]["live"]
            code = lacks(pit, s, live, live)
            if code != Pause.DONE:
                return code
            depth_met(pit, s, h, step, lots, now)
        else:
            show(pit.ladder, h, step, lots)
    elif kind == Kind.TRADE:
        h, step = 2 * s + (side > 0), -side * tick
        if own[h]["first"] >= step:
            live = pit.symbols[s]["live"]
            code = lacks(pit, s, live, live)
            if code != Pause.DONE:
                return code
            trade_through(pit, s, h, step, lots, now)
    else:
        clear_rows(pit.ladder, s, kind, side, tick)
    if pit.settings["depletion"] != 0:
        restore(pit.taken, s, kind, side, tick)
    return Pause.DONE


@part
def pay_stamp(pit, s):
    """Settle the next funding stamp of a symbol; one without a mark, before there was a mid, finds no position."""
    symbol = pit.symbols[s]
    stamp = pit.steps[symbol["stamp"]]
    symbol["stamp"] += 1
    mark = stamp["mark"]
    if isnan(mark) and has_mid(pit.ladder, 2 * s):
        mark = mid(pit.ladder, 2 * s, symbol["tick"])
    if not isnan(mark):
        settle(pit.purses[s], symbol, symbol["position"], mark, stamp["value"])
