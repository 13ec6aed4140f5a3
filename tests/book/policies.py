"""Policies for the kernel and for its twin: one source, compiled for the one and interpreted for the other."""

import numpy as np

from wfbt.kernels._jit import part
from wfbt.kernels.book_abi import COPY, REQUEST, VIEW
from wfbt.kernels.book_codes import FREE, Ask, Tif, Type
from wfbt.kernels.book_policies import ask_cancel, ask_new
from wfbt.kernels.ladder import NOTHING


@part
def draw(memory, most):
    """A number in [0, most) from a generator whose state, below 2³¹, is memory[1] (Park and Miller 1988)."""
    state = (int(memory[1]) * 48271) % 2147483647
    memory[1] = state
    return (state // 7) % most


def anything(view, copies, ladder, params, memory, asked):
    """Any request: new orders of every kind near the touch, cancels and modifies of any order, unknown ids.

    `params`: the seed, most lots, ticks around the touch, whether to modify.
    """
    if memory[1] == 0.0:
        memory[1] = 1.0 + params[0]
    n = 0
    for s in range(len(view)):
        v = view[s]
        what, side = draw(memory, 12), 1 - 2 * draw(memory, 2)
        lots, shift = 1 + draw(memory, int(params[1])), draw(memory, 2 * int(params[2]) + 1) - int(params[2])
        pick = draw(memory, max(int(memory[0]), 1)) + 1
        if v["bid"] == NOTHING or v["ask"] == -NOTHING or what == 11:
            continue
        tick = v["bid"] + shift if side > 0 else v["ask"] - shift
        if what < 7:
            memory[0] += 1.0
            tif = (Tif.GTC, Tif.GTC, Tif.POST, Tif.POST, Tif.IOC, Tif.FOK, Tif.GTC)[what]
            n = ask_new(asked, n, s, int(memory[0]), side, tick, lots, Type.MARKET if what == 6 else Type.LIMIT, tif)
        elif what < 9 or params[3] == 0.0:
            n = ask_cancel(asked, n, s, pick)
        else:
            asked[n]["ask"] = Ask.MODIFY
            asked[n]["symbol"] = s
            asked[n]["id"] = pick
            asked[n]["tick"] = tick
            asked[n]["lots"] = lots
            n += 1
    return n


def nothing(view, copies, ladder, params, memory, asked):
    """No request ever."""
    return 0


def on_twin(step, params, symbols, first_id=0, requests=16, memory=16):
    """The same policy as the twin asks it."""
    view, copies = np.zeros(symbols, VIEW), np.zeros((symbols, 1024), COPY)
    asked, kept, given = np.zeros(requests, REQUEST), np.zeros(memory), np.array(params, float)
    kept[0] = first_id

    def decide(told):
        copies["id"] = FREE
        for s in range(symbols):
            side = told[s]
            view[s]["now"], view[s]["position"] = told.now, side.position
            view[s]["bid"] = NOTHING if side.bid is None else side.bid
            view[s]["ask"] = -NOTHING if side.ask is None else side.ask
            view[s]["bid_lots"] = 0 if side.bid is None else side.shown(1, side.bid)
            view[s]["ask_lots"] = 0 if side.ask is None else side.shown(-1, side.ask)
            view[s]["places"] = len(side.orders)
            for i, order in enumerate(side.orders.values()):
                copies[s, i]["id"], copies[s, i]["side"] = order.id, order.side
                copies[s, i]["tick"], copies[s, i]["status"] = order.tick, order.status
                copies[s, i]["waits"] = order.waiting
        for request in asked[: step(view, copies, None, given, kept, asked)]:
            side = told[int(request["symbol"])]
            what = {name: int(request[name]) for name in REQUEST.names}
            if what["ask"] == Ask.NEW:
                side.new(what["id"], what["side"], what["tick"], what["lots"], what["type"], what["tif"])
            elif what["ask"] == Ask.CANCEL:
                side.cancel(what["id"])
            else:
                side.modify(what["id"], what["tick"], what["lots"])

    return decide
