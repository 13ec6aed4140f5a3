"""What the exchange, the local side and the wire between them share: contracts, orders, fills, messages, accounts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf

from tests.book.naive_book import Delays

LIMIT, MARKET = 0, 1
GTC, POST, FOK, IOC = 0, 1, 2, 3
NONE, NEW, EXPIRED, FILLED, CANCELED, PARTIAL, REJECTED = 0, 1, 2, 3, 4, 5, 6


@dataclass(kw_only=True)
class Venue:
    """One symbol's contract, fees, delays and models."""

    tick_size: float
    lot_size: float
    multiplier: float = 1.0
    inverse: bool = False
    maker: float = 0.0
    taker: float = 0.0
    partial: bool = True
    queue: str = "power3"
    power: float = 3.0
    depletion: bool = False
    impact: Delays | None = None
    entry: Delays = field(default_factory=lambda: Delays.constant(0))
    response: Delays = field(default_factory=lambda: Delays.constant(0))
    funding: list = field(default_factory=list)

    def unit(self, price):
        """v(price)."""
        return -1.0 / price if self.inverse else price

    def amount(self, price, lots):
        qty = lots * self.lot_size
        return self.multiplier * qty / price if self.inverse else self.multiplier * price * qty


@dataclass
class Holding:
    """Position and money in one symbol, as the exchange or the local side knows them."""

    position: int = 0
    cash: float = 0.0
    fees: float = 0.0
    trades: int = 0
    volume: float = 0.0
    value: float = 0.0

    def take(self, venue, fill):
        amount = venue.amount(fill.price, fill.lots)
        self.position += fill.side * fill.lots
        self.cash += (1 if venue.inverse else -1) * fill.side * amount
        self.fees += fill.fee
        self.trades += 1
        self.volume += fill.lots * venue.lot_size
        self.value += amount


@dataclass
class Fill:
    exch_ts: int
    local_ts: int
    symbol: int
    id: int
    side: int
    tick: int
    lots: int
    price: float
    maker: bool
    fee: float
    reason: int


@dataclass
class Order:
    id: int
    side: int
    tick: int
    lots: int
    type: int = LIMIT
    tif: int = GTC
    filled: int = 0
    status: int = NONE
    arrival: int = 0
    front: float = 0.0
    cum: float = 0.0
    waiting: bool = True

    @property
    def leaves(self):
        return self.lots - self.filled

    @property
    def open(self):
        return self.status in (NEW, PARTIAL)


@dataclass
class Message:
    """A request (`asks`) or a response; `answer` ends the request."""

    id: int
    asks: str
    order: Order
    answer: bool = True
    fill: Fill | None = None


class Bus:
    """First in, first out."""

    def __init__(self):
        self.queue = deque()
        self.last = -inf

    def send(self, message, due):
        self.last = max(due, self.last)
        self.queue.append((self.last, message))
        return self.last

    def due(self):
        return self.queue[0][0] if self.queue else inf
