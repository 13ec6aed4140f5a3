"""Messages between the two sides, first in first out, and how long they take."""

from math import trunc

from wfbt.kernels._jit import inlined, part
from wfbt.kernels.book_codes import NEVER


@inlined
def due_next(bus, mail, r):
    """When the first message of a bus is due."""
    return mail[r, bus[r]["head"]]["due"] if bus[r]["count"] > 0 else NEVER


@inlined
def spare(bus, mail, r):
    """How many more messages a bus takes."""
    return mail.shape[1] - bus[r]["count"]


@inlined
def append(bus, mail, r, due):
    """A message to be filled in, due no earlier than the one before it."""
    b = bus[r]
    b["due"] = max(due, b["due"])
    m = mail[r, (b["head"] + b["count"]) & (mail.shape[1] - 1)]
    b["count"] += 1
    m["due"] = b["due"]
    return m


@inlined
def take_first(bus, mail, r):
    """The first message of a bus, taken off it; it can be read until the next is appended."""
    m = mail[r, bus[r]["head"]]
    bus[r]["head"] = (bus[r]["head"] + 1) & (mail.shape[1] - 1)
    bus[r]["count"] -= 1
    return m


@part
def row_at(rows, at, first, end, now):
    """The last of rows [first, end) that is not later than `now`, the first before that; `at` was one earlier."""
    i = max(at, first)
    while i + 1 < end and rows[i + 1]["ts"] <= now:
        i += 1
    return i


@part
def between(x0, x1, y0, y1, now):
    """y on the line through two rows, cut toward zero."""
    return y0 + trunc((y1 - y0) / (x1 - x0) * (now - x0))


@part
def delay_at(rows, i, end, linear, now):
    """The delay at `now`, until a loss is known, and whether what is sent is lost; `i` is from `row_at`."""
    a = rows[i]
    if linear == 0 or now < a["ts"] or i + 1 >= end:
        return a["delay"], a["bounce"], a["lost"] != 0
    b = rows[i + 1]
    return (
        between(a["ts"], b["ts"], a["delay"], b["delay"], now),
        between(a["ts"], b["ts"], a["bounce"], b["bounce"], now),
        a["lost"] != 0 or b["lost"] != 0,
    )
