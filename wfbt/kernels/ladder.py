"""The displayed levels of a book: lots by integer tick, near the touch in a masked ring, far from it in a sparse map.

A *side* is one half of one book, in *steps*: its ticks turned so that a higher step is a better price (a bid's tick, an
ask's tick with its sign changed).  One routine so serves both halves, and rows 2k and 2k + 1 are the bids and asks of
one book: it is crossed when their best steps add up to 0 or more.  The ring covers the steps [base, base + ring size);
a level outside it, which in real feeds may be millions of ticks away, is in the map.  `moves` says when the ring would
have to move, or the map to grow, before an event, and `make_way` does it.

Where the map has no room, nothing has been changed: the caller hands over larger arrays and goes on where it stopped.
"""

from typing import NamedTuple

import numpy as np

from wfbt.kernels._jit import inlined, part
from wfbt.kernels.sparse import drop_from, empty_maps, free_place, held, highest_below, put_key, room, value_of

NOTHING = -(2**62)
"""Step of the best level of a side that shows none: worse than every price."""

SIDE = np.dtype(
    [
        ("best", np.int64),  # step of the best level, NOTHING for none
        ("mark", np.int64),  # lowest step shown since the side was last exhausted, −NOTHING after that
        ("last", np.int64),  # its best when both sides last had one, NOTHING before; known while one has none
        ("low", np.int64),  # no level of the ring is below it
        ("base", np.int64),  # the ring's lowest step
    ],
    align=True,
)


class Ladder(NamedTuple):
    """R sides, two for each book.  A level that is not stored has no lots; one above its side's best is hidden."""

    sides: np.ndarray  # (R,) SIDE
    ring: np.ndarray  # (R, N) i8, lots of step u at u mod N; N is a power of two
    far: np.ndarray  # R maps (`wfbt.kernels.sparse`) from step to lots


def empty_ladder(books: int, ring: int = 2**16, far: int = 2**10) -> Ladder:
    """Books without a level."""
    out = Ladder(
        sides=np.zeros(2 * books, SIDE), ring=np.zeros((2 * books, ring), np.int64), far=empty_maps(2 * books, far)
    )
    out.sides["best"] = out.sides["last"] = NOTHING
    out.sides["mark"] = -NOTHING
    out.sides["low"] = ring
    return out


@inlined
def inside(ladder, s, step):
    """Whether the ring covers a step."""
    base = ladder.sides[s]["base"]
    return base <= step < base + ladder.ring.shape[1]


@inlined
def moves(ladder, s, step):
    """Whether the ring must move, or the map may be too full, before an event at `step` can be taken in."""
    side = ladder.sides[s]
    if not inside(ladder, s, step):
        return True
    # A best that has fallen low has its next levels in the map, where they are slow to find.
    return side["best"] - side["base"] < ladder.ring.shape[1] >> 2 and side["best"] != NOTHING


@part
def make_way(ladder, s, step, lots):
    """Do what `moves` asks for; False where the map is too full, and nothing has been changed."""
    side = ladder.sides[s]
    best = max(side["best"], step) if lots != 0 else side["best"]
    size, above = ladder.ring.shape[1], best - side["base"]
    if best != NOTHING and (above < size >> 2 or above >= size):
        return recentre(ladder, s, best) and (inside(ladder, s, step) or room(ladder.far, s) > 0)
    return inside(ladder, s, step) or room(ladder.far, s) > 0


@part
def recentre(ladder, s, step):
    """Move the ring so that `step` is three quarters up it; False where the map is too full for what falls out."""
    side, far = ladder.sides[s], ladder.far
    size, base, low = ladder.ring.shape[1], side["base"], side["low"]
    mask, target = size - 1, step - (size - (size >> 2))
    # Both places of the ring cover [first, last): what is outside falls out.
    first, last = max(base, target), min(base, target) + size
    leaving = 0
    for u in range(low, base + size):
        if (u < first or u >= last) and ladder.ring[s, u & mask] != 0:
            leaving += 1
    if leaving >= room(far, s):
        return False
    kept = target + size
    for u in range(low, base + size):
        if ladder.ring[s, u & mask] != 0:
            if first <= u < last:
                kept = min(kept, u)
            else:
                put_key(far, s, u, ladder.ring[s, u & mask])
                ladder.ring[s, u & mask] = 0
    side["base"] = target
    # What moves up in the map may have been passed already, around its end: go over it until nothing is inside.
    found = held(far, s) > 0
    while found:
        found, i = False, 0
        while i < far.shape[1] - 1:
            u = far[s, i]["key"]
            if far[s, i]["value"] != 0 and target <= u < target + size:
                ladder.ring[s, u & mask] = far[s, i]["value"]
                kept = min(kept, u)
                free_place(far, s, i)
                found = True
            else:
                i += 1
    side["low"] = kept
    return True


@inlined
def stored(ladder, s, step):
    """Lots stored at a step, hidden or not."""
    if inside(ladder, s, step):
        return ladder.ring[s, step & (ladder.ring.shape[1] - 1)]
    return value_of(ladder.far, s, step)


@inlined
def shown(ladder, s, step):
    """Lots shown at a step: none above the best."""
    return stored(ladder, s, step) if step <= ladder.sides[s]["best"] else 0


@part
def next_below(ladder, s, step):
    """Highest step stored below `step`, NOTHING for none."""
    side, far = ladder.sides[s], ladder.far
    mask = ladder.ring.shape[1] - 1
    top, low = side["base"] + mask, side["low"]
    if held(far, s) > 0 and step > top + 1:
        found = highest_below(far, s, step, NOTHING)
        if found > top:
            return found
    u = min(step - 1, top)
    while u >= low:
        if ladder.ring[s, u & mask] != 0:
            return u
        u -= 1
    return highest_below(far, s, min(step, side["base"]), NOTHING) if held(far, s) > 0 else NOTHING


@part
def fall(ladder, s, step):
    """Find the best of a side below `step`, which was its best or better; none that is below its mark."""
    side = ladder.sides[s]
    found = next_below(ladder, s, step)
    side["best"] = found if found >= side["mark"] else NOTHING
    return side["best"] != NOTHING


@inlined
def remember(ladder, s, best, other):
    """Keep the touch that a book is about to lose, if both its sides show something."""
    if best != NOTHING and other != NOTHING:
        ladder.sides[s]["last"] = best
        ladder.sides[s ^ 1]["last"] = other


@part
def lose_best(ladder, s, step):
    """Go on below the best of a side, from `step` downward."""
    before = ladder.sides[s]["best"]
    if not fall(ladder, s, step):
        ladder.sides[s]["mark"] = -NOTHING
        remember(ladder, s, before, ladder.sides[s ^ 1]["best"])


@part
def hide_from(ladder, s, step, before):
    """Hide the levels at `step` or better, which the other side, whose best was `before`, has crossed."""
    best = ladder.sides[s]["best"]
    if not fall(ladder, s, step):
        remember(ladder, s, best, before)


@inlined
def show(ladder, s, step, lots):
    """Set a level, once way has been made; what was stored there.

    The newer side of a crossed book wins: the older one's levels stay stored, and are only hidden.
    """
    side = ladder.sides[s]
    if inside(ladder, s, step):
        i = step & (ladder.ring.shape[1] - 1)
        before = ladder.ring[s, i]
        ladder.ring[s, i] = lots
        side["low"] = min(side["low"], step)
    else:
        before = put_key(ladder.far, s, step, lots)
    if lots == 0:
        if step == side["best"]:
            lose_best(ladder, s, step)
    else:
        best = side["best"]
        if step > best:
            side["best"] = step
            if step + ladder.sides[s ^ 1]["best"] >= 0:
                hide_from(ladder, s ^ 1, -step, best)
        side["mark"] = min(side["mark"], step)
    return before


@part
def drop_levels(ladder, s, step):
    """Take away every level at `step` or better."""
    side = ladder.sides[s]
    size = ladder.ring.shape[1]
    for u in range(max(side["low"], step), side["base"] + size):
        ladder.ring[s, u & (size - 1)] = 0
    drop_from(ladder.far, s, step)


@part
def clear_side(ladder, s):
    """Take away every level of a side."""
    side = ladder.sides[s]
    remember(ladder, s, side["best"], ladder.sides[s ^ 1]["best"])
    drop_levels(ladder, s, NOTHING)
    side["best"], side["mark"] = NOTHING, -NOTHING


@part
def clear_to(ladder, s, step):
    """Take away every level of a side at `step` or better."""
    drop_levels(ladder, s, step)
    if ladder.sides[s]["best"] >= step:
        lose_best(ladder, s, step)


@inlined
def has_mid(ladder, s):
    """Whether a book, whose bids are side `s`, has ever shown both sides at once."""
    both = ladder.sides[s]["best"] != NOTHING and ladder.sides[s + 1]["best"] != NOTHING
    return both or ladder.sides[s]["last"] != NOTHING


@inlined
def mid(ladder, s, tick_size):
    """Middle of the touch of a book whose bids are side `s`, of the last that it had where a side shows nothing."""
    bid, ask = ladder.sides[s]["best"], ladder.sides[s + 1]["best"]
    if bid == NOTHING or ask == NOTHING:
        bid, ask = ladder.sides[s]["last"], ladder.sides[s + 1]["last"]
    return (bid * tick_size + -ask * tick_size) / 2.0
