"""One symbol as the strategy knows it: what has arrived, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from tests.book.naive_book import CLEAR, CLEAR_TO, DEPTH, TRADE, Book
from tests.book.naive_orders import CANCELED, EXPIRED, FILLED, GTC, LIMIT, REJECTED, Holding, Message, Order


class Side:
    """One symbol as the local side knows it."""

    def __init__(self, symbol, replay):
        self.symbol, self.replay = symbol, replay
        self.book, self.holding, self.trades = Book(), Holding(), []
        self.orders, self.used = {}, set()  # open or awaiting their first answer; every id ever used

    bid = property(lambda self: self.book.best(1))
    ask = property(lambda self: self.book.best(-1))
    position = property(lambda self: self.holding.position)
    cash = property(lambda self: self.holding.cash)
    fees = property(lambda self: self.holding.fees)

    def shown(self, side, tick):
        return self.book.shown(side, tick)

    def data(self, now, kind, side, tick, lots):
        if kind == DEPTH:
            self.book.depth(side, tick, lots)
        elif kind == TRADE:
            self.trades.append((now, side, tick, lots))
        elif kind == CLEAR:
            self.book.clear(side)
        elif kind == CLEAR_TO:
            self.book.clear_to(side, tick)

    def handle(self, message):
        if message.fill is not None:
            self.holding.take(self.replay.venues[self.symbol], message.fill)
        known, told = self.orders.get(message.id), message.order
        if known is None:  # a liquidation, which we did not ask for
            return
        if told.status != REJECTED or message.asks == "new":
            known.status, known.tick, known.lots, known.filled = told.status, told.tick, told.lots, told.filled
        if message.answer:
            known.waiting = False
        if known.status in (EXPIRED, FILLED, CANCELED, REJECTED):
            del self.orders[message.id]

    # Requests.

    def new(self, id, side, tick, lots, type=LIMIT, tif=GTC):
        if id in self.used or lots <= 0:
            return False
        order = Order(id, side, tick, lots, type, tif)
        self.used.add(id)
        self.orders[id] = order
        return self._send("new", order)

    def cancel(self, id):
        order = self.orders.get(id)
        if order is None or not order.open or order.waiting:
            return False
        order.waiting = True
        return self._send("cancel", order)

    def modify(self, id, tick, lots):
        order = self.orders.get(id)
        if order is None or not order.open or order.waiting or lots <= 0:
            return False
        order.waiting = True
        return self._send("modify", replace(order, tick=tick, lots=lots))

    def _send(self, asks, order):
        now, s = self.replay.now, self.symbol
        delay, lost = self.replay.venues[s].entry.at(now)
        if lost:
            self.replay.responses[s].send(Message(order.id, asks, replace(order, status=REJECTED)), now + delay)
        else:
            self.replay.requests[s].send(Message(order.id, asks, replace(order)), now + delay)
        return True
