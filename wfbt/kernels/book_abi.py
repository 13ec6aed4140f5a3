"""What crosses into the replay of order books: record dtypes, and the arrays that hold its state.

S symbols, Q places for orders of each, R requests of one decision.  Times are int64 ns UTC, prices integer ticks,
quantities integer lots.  The *half* of a buy, or of a bid, is 0, that of a sell 1; row 2s + half of a ladder is that
half of symbol s's book, and a *step* is a tick turned so that higher is better (`wfbt.kernels.ladder`).
"""

from typing import NamedTuple

import numpy as np

from wfbt.kernels.book_codes import FREE
from wfbt.kernels.ladder import NOTHING, Ladder, empty_ladder
from wfbt.kernels.sparse import empty_maps

DELAY = np.dtype(
    [("ts", np.int64), ("delay", np.int64), ("bounce", np.int64), ("lost", np.int64)],
    align=True,
)
"""Latency from `ts` on: of a request that is lost, `bounce` until that is known."""

STEP = np.dtype([("ts", np.int64), ("value", np.float64), ("mark", np.float64)], align=True)
"""Impact per √unit from `ts` on, or a settlement of funding: its rate, and its mark, NaN for the exchange's mid."""

SETTINGS = np.dtype(
    [
        ("partial", np.int64),
        ("queue", np.int64),
        ("power", np.float64),
        ("depletion", np.int64),
        ("linear", np.int64),  # delays are interpolated
        ("decide", np.int64),
        ("start", np.int64),
        ("period", np.int64),
        ("opening", np.float64),  # equity before the first event
        ("leverage", np.float64),  # 0: off
        ("maintenance", np.float64),  # 0: off
        ("liquidation_fee", np.float64),
    ],
    align=True,
)

PURSE = np.dtype(
    [
        ("cash", np.float64),  # without fees
        ("fees", np.float64),
        ("funding", np.float64),
        ("trades", np.int64),
        ("volume", np.float64),  # units
        ("value", np.float64),
    ],
    align=True,
)
"""One symbol's part of the account, as the exchange or as the local side has it."""

COURSE = np.dtype(
    [
        ("phase", np.int64),
        ("until", np.int64),  # end of the stretch under way
        ("tick", np.int64),  # of the clock
        ("arrivals", np.int64),  # orders that have come to rest
        ("halted", np.int64),
        ("check", np.int64),  # margin is to be checked before the next step
        ("fills", np.int64),
        ("ended", np.int64),
        ("samples", np.int64),
        ("refused", np.int64),  # requests refused on the spot
        ("decisions", np.int64),
        ("liquidation", np.float64),  # fees charged
        ("shortfall", np.float64),
    ],
    align=True,
)

SYMBOL = np.dtype(
    [
        ("tick", np.float64),
        ("lot", np.float64),
        ("multiplier", np.float64),
        ("inverse", np.float64),  # 1.0 inverse, 0.0 linear
        ("maker", np.float64),  # fractions of the amount
        ("taker", np.float64),
        ("position", np.int64),  # lots, at the exchange
        ("known", np.int64),  # and as far as is known locally
        ("live", np.int64),  # own orders at rest
        ("seen_ended", np.int64),  # orders known to have ended since the last decision
        ("exchange", np.int64),  # next row of the feed
        ("exchange_end", np.int64),
        ("local", np.int64),
        ("local_end", np.int64),
        ("entry", np.int64),  # row of the delay last read
        ("entry_first", np.int64),
        ("entry_end", np.int64),
        ("response", np.int64),
        ("response_first", np.int64),
        ("response_end", np.int64),
        ("impact", np.int64),
        ("impact_first", np.int64),
        ("impact_end", np.int64),
        ("stamp", np.int64),  # next settlement
        ("stamp_end", np.int64),
        ("final", np.int64),  # no rows follow those given
    ],
    align=True,
)
"""One symbol: its contract, what is held, and how far it has come in its parts of what is given."""

BUS = np.dtype([("head", np.int64), ("count", np.int64), ("due", np.int64)], align=True)
"""A ring of messages, first in first out; `due` is that of the last.  Row 2s has requests, row 2s + 1 what answers."""

MESSAGE = np.dtype(
    [
        ("due", np.int64),
        ("ask", np.int8),
        ("answer", np.int8),
        ("status", np.int8),
        ("type", np.int8),
        ("tif", np.int8),
        ("side", np.int8),
        ("maker", np.int8),
        ("place", np.int64),
        ("id", np.int64),
        ("tick", np.int64),
        ("lots", np.int64),  # total
        ("leaves", np.int64),
        ("sent", np.int64),
        ("filled", np.int64),  # lots of the fill it reports, 0 none
        ("filled_at", np.int64),  # its tick
        ("price", np.float64),
    ],
    align=True,
)

RESTING = np.dtype(
    [
        ("id", np.int64),
        ("half", np.int64),
        ("step", np.int64),
        ("total", np.int64),
        ("leaves", np.int64),
        ("filled", np.int64),
        ("number", np.int64),  # of its arrival
        ("front", np.float64),  # the market's lots before it
        ("traded", np.float64),  # at its level, since that last changed
        ("type", np.int64),
        ("tif", np.int64),
        ("status", np.int64),
        ("sent", np.int64),
        ("arrived", np.int64),
    ],
    align=True,
)
"""An order at the exchange; one that has ended keeps its place until the next one there."""

OWN = np.dtype([("first", np.int64), ("last", np.int64), ("count", np.int64)], align=True)
"""Own orders at rest on one half: the best and the worst step, NOTHING and −NOTHING for none."""

COPY = np.dtype(
    [
        ("id", np.int64),  # FREE: no order
        ("side", np.int64),
        ("tick", np.int64),
        ("total", np.int64),
        ("leaves", np.int64),
        ("status", np.int64),
        ("waits", np.int64),  # a request of it is not answered
    ],
    align=True,
)
"""An order as far as is known locally; it goes after the first decision that saw it ended."""

VIEW = np.dtype(
    [
        ("now", np.int64),
        ("bid", np.int64),  # ticks; NOTHING and −NOTHING for none
        ("ask", np.int64),
        ("bid_lots", np.int64),
        ("ask_lots", np.int64),
        ("position", np.int64),  # lots
        ("cash", np.float64),
        ("fees", np.float64),
        ("trades", np.int64),  # since the last decision
        ("bought", np.int64),  # lots of those whose aggressor bought
        ("sold", np.int64),
        ("traded_at", np.int64),  # tick of the last trade ever received, 0 before the first
        ("places", np.int64),  # no order is in a place from here on
    ],
    align=True,
)
"""What one symbol looks like locally at a decision."""

REQUEST = np.dtype(
    [
        ("ask", np.int64),
        ("symbol", np.int64),
        ("id", np.int64),  # 0 ≤ id < 2³¹
        ("side", np.int64),
        ("tick", np.int64),
        ("lots", np.int64),  # of a modify the new total, filled lots included
        ("type", np.int64),
        ("tif", np.int64),
    ],
    align=True,
)

BOOK_FILL = np.dtype(
    [
        ("exch_ts", np.int64),
        ("local_ts", np.int64),  # receipt of its report
        ("symbol", np.int64),
        ("id", np.int64),  # FREE of a liquidation
        ("side", np.int64),
        ("tick", np.int64),
        ("lots", np.int64),
        ("price", np.float64),
        ("fee", np.float64),
        ("maker", np.int64),
        ("reason", np.int64),  # 0 order, 1 liquidation
    ],
    align=True,
)

ENDED = np.dtype(
    [
        ("id", np.int64),
        ("symbol", np.int64),
        ("side", np.int64),
        ("tick", np.int64),
        ("total", np.int64),
        ("filled", np.int64),
        ("type", np.int64),
        ("tif", np.int64),
        ("status", np.int64),
        ("sent", np.int64),  # the new order, or the modify that let it enter again
        ("arrived", np.int64),  # −1: it was lost on its way
        ("ended", np.int64),
    ],
    align=True,
)
"""The life of an order, written when it ends; an order that a venue lost ends when that is known locally."""

SAMPLE = np.dtype(
    [
        ("ts", np.int64),
        ("symbol", np.int64),
        ("local_bid", np.int64),
        ("local_ask", np.int64),
        ("bid", np.int64),
        ("ask", np.int64),
        ("local_position", np.int64),
        ("position", np.int64),
        ("local_cash", np.float64),
        ("local_fees", np.float64),
        ("cash", np.float64),
        ("fees", np.float64),
        ("equity", np.float64),  # of the whole account at the exchange
    ],
    align=True,
)
"""Both sides of one symbol at a decision, before its requests; `local_…` is what the policy knew."""


class Rows(NamedTuple):
    """The feed in one order, symbol after symbol."""

    ts: np.ndarray  # (n,) i8, exchange or local time
    kind: np.ndarray  # (n,) i1
    side: np.ndarray  # (n,) i1
    tick: np.ndarray  # (n,) i8
    lots: np.ndarray  # (n,) i8


class Hall(NamedTuple):
    """A replay under way: it may be left at any pause and taken up again."""

    course: np.ndarray  # (1,) COURSE
    true: np.ndarray  # (S,) PURSE, the exchange's
    told: np.ndarray  # (S,) PURSE, as far as is known locally
    symbols: np.ndarray  # (S,) SYMBOL
    bus: np.ndarray  # (2S,) BUS
    mail: np.ndarray  # (2S, B) MESSAGE; B is a power of two
    outside: Ladder  # 2S sides as the exchange has them
    taken: np.ndarray  # 2S maps from step to lots depleted
    orders: np.ndarray  # (S, Q) RESTING
    own: np.ndarray  # (2S,) OWN
    line: np.ndarray  # (2S, Q) i8, places of own orders at rest by price, then arrival
    inside: Ladder  # 2S sides as they are known locally
    seen: np.ndarray  # (S,) VIEW
    copies: np.ndarray  # (S, Q) COPY
    ids: np.ndarray  # a map: ids that have been used
    asked: np.ndarray  # (R,) REQUEST of one decision
    memory: np.ndarray  # f8, the policy's own


class Terms(NamedTuple):
    """What the venue rules; rows of a symbol stand together, between the bounds of its SYMBOL."""

    settings: np.ndarray  # (1,) SETTINGS
    delays: np.ndarray  # DELAY of requests and of messages
    steps: np.ndarray  # STEP of impact and of funding


class Output(NamedTuple):
    """Where results go; what is in them is counted in COURSE."""

    fills: np.ndarray  # BOOK_FILL
    ended: np.ndarray  # ENDED
    samples: np.ndarray  # SAMPLE


class Pit(NamedTuple):
    """The exchange's side: all that its code is handed."""

    course: np.ndarray  # a record, like the next
    settings: np.ndarray
    purses: np.ndarray
    symbols: np.ndarray
    bus: np.ndarray
    mail: np.ndarray
    ladder: Ladder
    taken: np.ndarray
    orders: np.ndarray
    own: np.ndarray
    line: np.ndarray
    delays: np.ndarray
    steps: np.ndarray
    fills: np.ndarray
    ended: np.ndarray


class Desk(NamedTuple):
    """The local side: all that its code is handed."""

    course: np.ndarray  # a record, like the next
    settings: np.ndarray
    purses: np.ndarray
    symbols: np.ndarray
    bus: np.ndarray
    mail: np.ndarray
    ladder: Ladder
    seen: np.ndarray
    copies: np.ndarray
    ids: np.ndarray
    asked: np.ndarray
    delays: np.ndarray
    ended: np.ndarray


def open_hall(
    symbols: int, requests: int = 16, places: int = 64, memory: int = 16, ring: int = 2**16, messages: int = 256
) -> Hall:
    """A hall in which nothing has happened.  `messages` and `ring` are powers of two."""
    own = np.zeros(2 * symbols, OWN)
    own["first"], own["last"] = NOTHING, -NOTHING
    orders = np.zeros((symbols, places), RESTING)
    orders["id"] = FREE
    copies = np.zeros((symbols, places), COPY)
    copies["id"] = FREE
    return Hall(
        course=np.zeros(1, COURSE),
        true=np.zeros(symbols, PURSE),
        told=np.zeros(symbols, PURSE),
        symbols=np.zeros(symbols, SYMBOL),
        bus=np.zeros(2 * symbols, BUS),
        mail=np.zeros((2 * symbols, messages), MESSAGE),
        outside=empty_ladder(symbols, ring),
        taken=empty_maps(2 * symbols, 64),
        orders=orders,
        own=own,
        line=np.zeros((2 * symbols, places), np.int64),
        inside=empty_ladder(symbols, ring),
        seen=np.zeros(symbols, VIEW),
        copies=copies,
        ids=empty_maps(1, 1024),
        asked=np.zeros(requests, REQUEST),
        memory=np.zeros(memory),
    )
