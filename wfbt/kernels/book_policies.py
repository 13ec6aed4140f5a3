"""Policies of a book replay: compiled functions of what is known locally, asked at each decision.

A step is called as step(view, copies, ladder, params, memory, asked) with (S,) VIEW, (S, Q) COPY, the local Ladder,
(P,) float64 of its own settings, (M,) float64 that it may keep anything in and that begin as 0, and (R,) REQUEST.  It
fills `asked` from its beginning and returns how many requests it makes.  Nothing of the exchange's side is in reach.
"""

from collections.abc import Callable
from functools import cache

import numba

from wfbt.kernels import _jit
from wfbt.kernels.book_abi import open_hall
from wfbt.kernels.book_codes import FREE, Ask, Status, Tif, Type
from wfbt.kernels.ladder import NOTHING


@cache
def signature():
    """What every step is compiled for: one kernel serves all of them, and stays cached when a policy is edited."""
    hall = open_hall(1, ring=4)
    numbers = numba.types.float64[::1]
    types = [numba.typeof(x) for x in (hall.seen, hall.copies, hall.inside)]
    return numba.types.int64(*types, numbers, numbers, numba.typeof(hall.asked))


@cache
def compiled(step: Callable[..., int]):
    """A step as `replay_book` takes it, cached on disk where its source is in a file."""
    if numba.config.DISABLE_JIT:
        return step
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, _jit.CACHE_DIR
    try:
        return numba.cfunc(signature(), cache=True, nopython=True, error_model="numpy")(step)
    finally:
        numba.config.CACHE_DIR = before


@_jit.inlined
def ask_new(asked, n, symbol, order, side, tick, lots, kind, tif):
    """Request a new order in place `n`; the next place."""
    asked[n]["ask"] = Ask.NEW
    asked[n]["symbol"] = symbol
    asked[n]["id"] = order
    asked[n]["side"] = side
    asked[n]["tick"] = tick
    asked[n]["lots"] = lots
    asked[n]["type"] = kind
    asked[n]["tif"] = tif
    return n + 1


@_jit.inlined
def ask_cancel(asked, n, symbol, order):
    """Request in place `n` that an order be cancelled; the next place."""
    asked[n]["ask"] = Ask.CANCEL
    asked[n]["symbol"] = symbol
    asked[n]["id"] = order
    return n + 1


def market_maker(view, copies, ladder, params, memory, asked):
    """Quote both sides of each book with post-only orders, and cancel what is not where it should be.

    `params`: lots of a quote, most lots held on either side, ticks that a quote stands behind the touch.
    """
    n = 0
    for s in range(len(view)):
        v = view[s]
        if v["bid"] == NOTHING or v["ask"] == -NOTHING:
            continue
        for side in (1, -1):
            tick = v["bid"] - int(params[2]) if side > 0 else v["ask"] + int(params[2])
            wanted, quoted = side * v["position"] < params[1], False
            for i in range(v["places"]):
                c = copies[s, i]
                live = c["status"] == Status.NEW or c["status"] == Status.PARTIAL
                if c["id"] == FREE or c["side"] != side or not (live or c["status"] == Status.SENT):
                    continue
                if wanted and c["tick"] == tick:
                    quoted = True
                elif live and c["waits"] == 0 and n < len(asked):
                    n = ask_cancel(asked, n, s, c["id"])
            if wanted and not quoted and n < len(asked):
                n = ask_new(asked, n, s, int(memory[0]), side, tick, int(params[0]), Type.LIMIT, Tif.POST)
                memory[0] += 1.0
    return n


def imbalance_taker(view, copies, ladder, params, memory, asked):
    """Take the touch of the thinner side while the other one is much thicker.

    `params`: lots of an order, most lots held on either side, least (bid − ask) / (bid + ask) of the lots at the touch.
    """
    n = 0
    for s in range(len(view)):
        v = view[s]
        if v["bid"] == NOTHING or v["ask"] == -NOTHING or n == len(asked):
            continue
        lean = (v["bid_lots"] - v["ask_lots"]) / (v["bid_lots"] + v["ask_lots"])
        side = 1 if lean > 0.0 else -1
        if abs(lean) >= params[2] and side * v["position"] + params[0] <= params[1]:
            tick = v["ask"] if side > 0 else v["bid"]
            n = ask_new(asked, n, s, int(memory[0]), side, tick, int(params[0]), Type.LIMIT, Tif.IOC)
            memory[0] += 1.0
    return n
