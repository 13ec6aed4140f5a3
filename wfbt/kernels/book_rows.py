"""What rows of the feed do to one side's books, and to what own orders have taken there."""

from wfbt.kernels._jit import borrowed, part
from wfbt.kernels.book_codes import Kind
from wfbt.kernels.ladder import NOTHING, clear_side, clear_to, make_way, moves, show
from wfbt.kernels.sparse import drop_from, put_key


@part
def clear_rows(ladder, s, kind, side, tick):
    """Take in a CLEAR or CLEAR_TO of symbol s."""
    if kind == Kind.CLEAR_TO:
        clear_to(ladder, 2 * s + (0 if side > 0 else 1), side * tick)
        return
    if side >= 0:
        clear_side(ladder, 2 * s)
    if side <= 0:
        clear_side(ladder, 2 * s + 1)


@part
def restore(taken, s, kind, side, tick):
    """Make available again what own orders took of the levels that a row is about."""
    if kind == Kind.DEPTH:
        put_key(taken, 2 * s + (0 if side > 0 else 1), side * tick, 0)
    elif kind == Kind.CLEAR_TO:
        drop_from(taken, 2 * s + (0 if side > 0 else 1), side * tick)
    elif kind == Kind.CLEAR:
        if side >= 0:
            drop_from(taken, 2 * s, NOTHING)
        if side <= 0:
            drop_from(taken, 2 * s + 1, NOTHING)


@part
def quiet_rows(ladder, rows, s, first, end, until):
    """Take in rows of a symbol that are not later than `until`, with nobody there to notice.

    The first row not taken in; that is one for which a map is too full if it is not later than `until`.
    """
    ladder, rows = borrowed(ladder), borrowed(rows)
    ts, kinds, sides, ticks, lots = rows
    i = first
    while i < end and ts[i] <= until:
        if kinds[i] == Kind.DEPTH:
            side = int(sides[i])
            h, step = 2 * s + (side < 0), side * ticks[i]
            if moves(ladder, h, step) and not make_way(ladder, h, step, lots[i]):
                return i
            show(ladder, h, step, lots[i])
        elif kinds[i] != Kind.TRADE:
            clear_rows(ladder, s, kinds[i], int(sides[i]), ticks[i])
        i += 1
    return i
