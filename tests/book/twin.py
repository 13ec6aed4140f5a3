"""The order-book replay of docs/book.md again: slow, plain, and sharing nothing with wfbt.

    outcome = replay([feed], [Venue(tick_size=0.1, lot_size=0.001)], decide, Clock(100_000_000))

`decide(view)` is called at each decision.  It sees `view.now` and, by symbol number, `view[0]`: the local book (`bid`,
`ask`, `shown(side, tick)`), `position`, `cash`, `fees`, `orders` and the `trades` since the last decision; it asks by
`view[0].new(...)`, `.cancel(id)`, `.modify(id, tick, lots)`, each of which tells whether the request was sent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from math import inf, isnan

from tests.book.naive_book import Delays, whole
from tests.book.naive_exchange import Exchange
from tests.book.naive_local import Side
from tests.book.naive_orders import CANCELED, FOK, GTC, IOC, LIMIT, MARKET, POST, Bus, Message, Order, Venue

__all__ = [
    "FOK",
    "GTC",
    "IOC",
    "LIMIT",
    "MARKET",
    "POST",
    "Clock",
    "Delays",
    "Feed",
    "Local",
    "Terms",
    "Venue",
    "replay",
]


@dataclass(kw_only=True)
class Feed:
    """Rows of one symbol in local order, all int."""

    exch_ts: list
    local_ts: list
    kind: list
    side: list
    tick: list
    lots: list

    def __post_init__(self):
        for name in ("exch_ts", "local_ts", "kind", "side", "tick", "lots"):
            setattr(self, name, [int(x) for x in getattr(self, name)])
        assert self.local_ts == sorted(self.local_ts)
        assert all(e <= r for e, r in zip(self.exch_ts, self.local_ts, strict=True))

    def row(self, i):
        return self.kind[i], self.side[i], self.tick[i], self.lots[i]


@dataclass(kw_only=True)
class Terms:
    """The account's rules; 0 switches one off."""

    opening: float = 0.0
    leverage: float = 0.0
    maintenance: float = 0.0
    liquidation_fee: float = 0.0


@dataclass
class Clock:
    period: int
    start: int | None = None


@dataclass
class Local:
    responses: bool = True


class Replay:
    """All symbols on one axis of time."""

    def __init__(self, feeds, venues, terms):
        self.feeds, self.venues, self.terms = feeds, venues, terms
        self.now, self.fills, self.samples = None, [], []
        self.liquidation_fees, self.shortfall, self.halted = 0.0, 0.0, False
        n = len(feeds)
        self.requests, self.responses = [Bus() for _ in range(n)], [Bus() for _ in range(n)]
        self.exchanges = [Exchange(s, venues[s], self) for s in range(n)]
        self.locals = [Side(s, self) for s in range(n)]
        self.by_local = [deque(sorted(range(len(f.local_ts)), key=f.local_ts.__getitem__)) for f in feeds]
        self.by_exchange = [deque(sorted(range(len(f.exch_ts)), key=f.exch_ts.__getitem__)) for f in feeds]
        self.stamps = sorted(
            ((ts, s, rate, mark) for s, v in enumerate(venues) for ts, rate, mark in v.funding), key=lambda x: x[:2]
        )

    def __getitem__(self, symbol):
        return self.locals[symbol]

    def next_step(self):
        """(time, symbol, stream) of the next step, None at the end."""
        steps = []
        for s, feed in enumerate(self.feeds):
            if self.by_local[s]:
                steps.append((feed.local_ts[self.by_local[s][0]], s, 0))
            if self.by_exchange[s]:
                steps.append((feed.exch_ts[self.by_exchange[s][0]], s, 2))
            for bus, stream in ((self.responses[s], 1), (self.requests[s], 3)):
                if bus.queue:
                    steps.append((bus.due(), s, stream))
        return min(steps, default=None)

    def step(self, time, s, stream):
        self.settle(time)
        if stream == 0:
            i = self.by_local[s].popleft()
            self.locals[s].data(time, *self.feeds[s].row(i))
        elif stream == 1:
            while self.responses[s].due() == time:
                self.locals[s].handle(self.responses[s].queue.popleft()[1])
        elif stream == 2:
            i = self.by_exchange[s].popleft()
            self.exchanges[s].data(time, *self.feeds[s].row(i))
            self.liquidate(time)
        else:
            while self.requests[s].due() == time:
                self.exchanges[s].handle(time, self.requests[s].queue.popleft()[1])
            self.liquidate(time)

    # The account.

    def settle(self, time):
        while self.stamps and self.stamps[0][0] <= time:
            self.pay(*self.stamps.pop(0))

    def value(self, s, position):
        """Signed value of a position at the exchange's mid."""
        venue, mid = self.venues[s], self.exchanges[s].mid
        return 0.0 if position == 0 else venue.multiplier * position * venue.lot_size * venue.unit(mid)

    def equity(self):
        total = self.terms.opening - self.liquidation_fees + self.shortfall
        for s, x in enumerate(self.exchanges):
            total += x.holding.cash - x.holding.fees - x.funding + self.value(s, x.holding.position)
        return total

    def refuses(self, exchange, order):
        if self.halted:
            return True
        if self.terms.leverage <= 0.0:
            return False
        held = exchange.holding.position
        waiting = sum(o.leaves for o in exchange.orders.values() if o.side == order.side)
        reach = abs(held + order.side * (order.leaves + waiting))
        if isnan(exchange.mid):
            return True
        if reach <= abs(held):
            return False
        others = sum(abs(self.value(s, x.holding.position)) for s, x in enumerate(self.exchanges) if x is not exchange)
        return abs(self.value(exchange.symbol, reach)) + others > self.terms.leverage * self.equity()

    def pay(self, ts, s, rate, mark):
        x, venue = self.exchanges[s], self.venues[s]
        mark = x.mid if isnan(mark) else mark
        held = x.holding.position
        if held != 0:
            x.funding += venue.multiplier * held * venue.lot_size * abs(venue.unit(mark)) * rate
        self.liquidate(ts)

    def liquidate(self, now):
        if self.terms.maintenance <= 0.0 or self.halted:
            return
        notional = sum(abs(self.value(s, x.holding.position)) for s, x in enumerate(self.exchanges))
        if notional == 0.0 or isnan(notional) or self.equity() > self.terms.maintenance * notional:
            return
        self.halted, owed = True, 0.0
        for x in self.exchanges:
            for order in sorted(x.orders.values(), key=lambda o: o.arrival):
                del x.orders[order.id]
                order.status = CANCELED
                x.respond(now, Message(order.id, "cancel", replace(order), answer=False))
            held = x.holding.position
            if held == 0:
                continue
            first = len(self.fills)
            order = Order(-1, -1 if held > 0 else 1, 0, abs(held), MARKET)
            best = x.book.best(-order.side)
            taken = x.reach(order) if x.venue.partial else ([] if best is None else [(best, order.leaves)])
            left = order.leaves - sum(lots for _, lots in taken)
            if taken and left:
                taken[-1] = (taken[-1][0], taken[-1][1] + left)
            if taken:
                x.sweep(now, order, taken, reason=1)
            else:
                tick = whole(x.mid / x.venue.tick_size)
                x.fill(now, order, tick, order.leaves, x.mid, maker=False, reason=1)
            owed += sum(self.terms.liquidation_fee * x.venue.amount(f.price, f.lots) for f in self.fills[first:])
        self.liquidation_fees += min(owed, max(self.equity(), 0.0))
        self.shortfall += max(-self.equity(), 0.0)

    def sample(self):
        return [
            (self.now, a.bid, a.ask, x.book.best(1), x.book.best(-1), a.position, x.holding.position, a.cash, a.fees,
             x.holding.cash, x.holding.fees)
            for a, x in zip(self.locals, self.exchanges, strict=True)
        ]  # fmt: skip


def replay(feeds, venues, decide, when, terms=None):
    """Run it; the Replay, with `fills`, `samples`, `exchanges` and `locals` as they are at the end."""
    run = Replay(feeds, venues, terms or Terms())
    times = [min(min(f.exch_ts), min(f.local_ts)) for f in feeds if f.exch_ts]
    end = max((t for f in feeds for t in (*f.exch_ts, *f.local_ts)), default=-inf)
    at = inf
    if isinstance(when, Clock):
        at = (min(times, default=0) if when.start is None else when.start) + when.period
    while (step := run.next_step()) is not None:
        if step[0] > at and at < end:
            run.settle(at)
            run.now = at
            run.samples.append(run.sample())
            decide(run)
            for side in run.locals:
                side.trades.clear()
            at = at + when.period if isinstance(when, Clock) else inf
            continue
        run.step(*step)
        if isinstance(when, Local) and (step[2] == 0 or (step[2] == 1 and when.responses)):
            at = step[0]
    run.settle(inf)
    return run
