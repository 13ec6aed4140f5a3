"""Strategies for replays, in integers, so that two replays of one feed can differ by nothing but the replay."""

from __future__ import annotations

from tests.book.twin import FOK, GTC, IOC, LIMIT, MARKET, POST


def quotes(side, half, skew, lots):
    """Ticks wanted by side of the market: around the mid, against the position, never inside the spread.

    bid: min(⌊(bid + ask − 2·skew·⌊position/lots⌋)/2⌋ − half, bid); ask: the mirror image, but for the position's floor.
    """
    double = side.bid + side.ask - 2 * skew * (side.position // lots)
    return {1: min(double // 2 - half, side.bid), -1: max(-(-double // 2) + half, side.ask)}


def market_maker(half, skew, limit, lots):
    """One post-only order a side at the tick of `quotes`.

    An order elsewhere is cancelled; a side without an order at its tick gets one while |position| < limit.
    """
    last = [0]

    def decide(view):
        side = view[0]
        if side.bid is None or side.ask is None:
            return
        want = quotes(side, half, skew, lots)
        have = {1: False, -1: False}
        for order in list(side.orders.values()):
            if order.tick == want[order.side]:
                have[order.side] = True
            else:
                side.cancel(order.id)
        for s in (1, -1):
            if not have[s] and s * side.position < limit:
                last[0] += 1
                side.new(last[0], s, want[s], lots, LIMIT, POST)

    return decide


def mover(half, skew, limit, lots):
    """The same quotes with one order a side, which is modified instead of cancelled."""
    last = [0]

    def decide(view):
        side = view[0]
        if side.bid is None or side.ask is None:
            return
        want = quotes(side, half, skew, lots)
        have = {1: False, -1: False}
        for order in list(side.orders.values()):
            have[order.side] = True
            if order.tick != want[order.side]:
                side.modify(order.id, want[order.side], lots)
        for s in (1, -1):
            if not have[s] and s * side.position < limit:
                last[0] += 1
                side.new(last[0], s, want[s], lots, LIMIT, POST)

    return decide


def arbitrary(seed, markets=True):
    """A request a decision, drawn by a congruential generator: every type, near the touch and through it, 1–4 lots."""
    state, last = [seed], [0]

    def decide(view):
        side = view[0]
        state[0] = (state[0] * 6364136223846793005 + 1442695040888963407) % 2**64
        draw = state[0] >> 33
        what, buys = draw % 10, (draw >> 5) % 2 == 1
        offset, lots = (draw >> 8) % 7 - 2, (draw >> 12) % 4 + 1
        free = [o.id for o in side.orders.values() if o.open and not o.waiting]
        if free and (what == 9 or len(free) > 12):
            side.cancel(min(free))
        if side.bid is None or side.ask is None or what == 9:
            return
        market = what == 7 and markets
        tif = GTC if market else {4: GTC, 5: IOC, 6: FOK}.get(what, POST)
        last[0] += 1
        tick = side.bid - offset if buys else side.ask + offset
        side.new(last[0], 1 if buys else -1, tick, lots, MARKET if market else LIMIT, tif)

    return decide
