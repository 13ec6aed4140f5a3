"""The venue of one symbol, as docs/book.md states it: acceptance, queues, fills."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan, sqrt

from tests.book.naive_book import CLEAR, CLEAR_TO, DEPTH, TRADE, Book, front_after, whole
from tests.book.naive_orders import (
    CANCELED,
    EXPIRED,
    FILLED,
    FOK,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    NEW,
    PARTIAL,
    POST,
    REJECTED,
    Fill,
    Holding,
    Message,
)


class Exchange:
    """The venue of one symbol: its book, our orders in it, our account there."""

    def __init__(self, symbol, venue, replay):
        self.symbol, self.venue, self.replay = symbol, venue, replay
        self.book, self.holding = Book(), Holding()
        self.orders, self.arrivals, self.depleted, self.mid = {}, 0, {}, nan
        self.funding = 0.0

    # Messages.

    def respond(self, now, message):
        return self.replay.responses[self.symbol].send(message, now + self.venue.response.at(now)[0])

    def answer(self, now, order, asks):
        self.respond(now, Message(order.id, asks, replace(order)))

    def handle(self, now, message):
        {"new": self.enter, "cancel": self.cancel, "modify": self.modify}[message.asks](now, message.order)

    def cancel(self, now, order):
        mine = self.orders.pop(order.id, None)
        if mine is None:
            self.answer(now, replace(order, status=REJECTED), "cancel")
        else:
            mine.status = CANCELED
            self.answer(now, mine, "cancel")

    def modify(self, now, order):
        mine = self.orders.get(order.id)
        if mine is None:
            self.answer(now, replace(order, status=REJECTED), "modify")
        elif order.lots <= mine.filled:
            del self.orders[mine.id]
            mine.status = CANCELED
            self.answer(now, mine, "modify")
        elif order.tick == mine.tick and order.lots <= mine.lots:
            mine.lots = order.lots
            self.answer(now, mine, "modify")
        else:
            del self.orders[mine.id]
            mine.tick, mine.lots = order.tick, order.lots
            # What its answer rejects is an order that is gone, not the change of one that stays.
            self.enter(now, mine, "new")

    def enter(self, now, order, asks="new"):
        order = replace(order)
        if self.replay.refuses(self, order):
            order.status = REJECTED
        elif not self.reach(order):
            if order.type == MARKET or order.tif in (FOK, IOC):
                order.status = EXPIRED
            else:
                self.rest(order)
        elif order.tif == POST and order.type == LIMIT:
            order.status = EXPIRED
        else:
            taken = self.reach(order)
            if not self.venue.partial:
                taken = [(self.book.best(-order.side), order.leaves)]
            elif order.tif == FOK and order.type == LIMIT and sum(lots for _, lots in taken) < order.leaves:
                taken = []
            self.sweep(now, order, taken)
            if order.leaves == 0:
                return
            if order.type == LIMIT and order.tif == GTC:
                self.rest(order)
            else:
                order.status = EXPIRED
        self.answer(now, order, asks)

    def rest(self, order):
        order.status = PARTIAL if order.filled else NEW
        self.arrivals += 1
        order.arrival = self.arrivals
        seen = self.book.shown if self.venue.partial else self.book.lots
        order.front, order.cum = float(seen(order.side, order.tick)), 0.0
        self.orders[order.id] = order

    # Taking.

    def reach(self, order, unbounded=False):
        """(tick, lots) that the order would take, level by level; whole mode: the levels it crosses."""
        out, left = [], order.leaves
        for tick in self.book.levels(-order.side):
            if order.type == LIMIT and not unbounded and order.side * tick > order.side * order.tick:
                break
            available = self.book.shown(-order.side, tick) - self.depleted.get((-order.side, tick), 0)
            lots = min(left, available)
            if lots > 0:
                out.append((tick, lots))
                left -= lots
        return out

    def sweep(self, now, order, taken, reason=0):
        total = sum(lots for _, lots in taken) * self.venue.lot_size
        for tick, lots in taken:
            if self.venue.partial and self.venue.depletion and reason >= 0:
                key = (-order.side, tick)
                self.depleted[key] = self.depleted.get(key, 0) + lots
            price = tick * self.venue.tick_size
            if self.venue.impact is not None and self.venue.partial:
                slip = min(self.venue.impact.at(now)[0] * sqrt(total), 0.99)
                price *= 1.0 + order.side * slip
            self.fill(now, order, tick, lots, price, maker=False, reason=reason)

    def fill(self, now, order, tick, lots, price, maker, reason=0):
        rate = self.venue.maker if maker else self.venue.taker
        fee = rate * self.venue.amount(price, lots)
        fill = Fill(now, 0, self.symbol, order.id, order.side, tick, lots, price, maker, fee, reason)
        order.filled += lots
        order.status = FILLED if order.leaves == 0 else PARTIAL
        if maker and order.leaves == 0:
            del self.orders[order.id]
        self.holding.take(self.venue, fill)
        self.replay.fills.append(fill)
        answers = not maker and order.leaves == 0
        fill.local_ts = self.respond(now, Message(order.id, "new", replace(order), answers, fill))

    # The feed.

    def mine(self, side, worst=None, at=None):
        """Own orders of a side in priority: as good as `worst` or better, or exactly `at` a tick."""
        chosen = [
            o for o in self.orders.values()
            if o.side == side and (at is None or o.tick == at) and (worst is None or side * o.tick >= side * worst)
        ]  # fmt: skip
        return sorted(chosen, key=lambda o: (-side * o.tick, o.arrival))

    def data(self, now, kind, side, tick, lots):
        if kind == DEPTH:
            self.depth(now, side, tick, lots)
        elif kind == TRADE:
            (self.trade_partly if self.venue.partial else self.trade_whole)(now, -side, tick, lots)
        elif kind == CLEAR:
            self.book.clear(side)
            self.depleted = {k: v for k, v in self.depleted.items() if side not in (0, k[0])}
        elif kind == CLEAR_TO:
            self.book.clear_to(side, tick)
            self.depleted = {k: v for k, v in self.depleted.items() if k[0] != side or side * k[1] < side * tick}
        bid, ask = self.book.best(1), self.book.best(-1)
        if bid is not None and ask is not None:
            self.mid = (bid * self.venue.tick_size + ask * self.venue.tick_size) / 2.0

    def depth(self, now, side, tick, lots):
        venue, before = self.venue, self.book.best(side)
        prev = self.book.depth(side, tick, lots)
        self.depleted.pop((side, tick), None)
        furthest = -inf
        for order in self.mine(side, at=tick):
            order.front = front_after(venue.queue, venue.power, order.front, order.cum, prev, lots, venue.lot_size)
            if venue.queue != "risk_averse":
                order.cum = 0.0
            if venue.partial:
                furthest = order.front = max(order.front, furthest)
        better = before is None or side * tick > side * before
        if lots == 0:
            return
        if not venue.partial:
            if better:
                for order in self.mine(-side, worst=tick):
                    self.make(now, order, order.leaves)
            return
        left = lots if better else max(lots - prev, 0)
        for order in self.mine(-side, worst=tick):
            left -= self.make(now, order, min(order.leaves, left))

    def make(self, now, order, lots):
        """A resting order fills `lots` at its own price."""
        if lots > 0:
            self.fill(now, order, order.tick, lots, order.tick * self.venue.tick_size, maker=True)
        return lots

    def trade_whole(self, now, side, tick, lots):
        for order in self.mine(side, worst=tick):
            if order.tick == tick:
                order.front -= lots
                order.cum += lots
                if order.front > -0.5:
                    continue
            self.make(now, order, order.leaves)

    def trade_partly(self, now, side, tick, lots):
        left = float(lots)
        for order in self.mine(side, worst=tick):
            if order.tick != tick:
                left -= self.make(now, order, min(order.leaves, whole(left)))
        level, passed, short, stopped, reached = self.mine(side, at=tick), 0.0, 0.0, None, []
        for order in level:
            ahead = max(order.front - passed, 0.0)
            if left <= ahead:
                passed += left
                break
            left -= ahead
            passed += ahead
            lots_filled = min(order.leaves, whole(left))
            if lots_filled == 0:
                passed += left
                short, stopped = left, order
                break
            self.make(now, order, lots_filled)
            reached.append(order.id)
            left = max(left - lots_filled, 0.0)
            if left == 0.0:
                break
        for order in level:
            if order.leaves == 0:
                continue
            if order.id in reached:
                order.front = 0.0
            else:
                order.front = -short if order is stopped else max(order.front - passed, 0.0)
            order.cum += lots
