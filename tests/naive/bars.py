"""The bar replay once more, slowly, from docs/execution.md alone: it imports nothing from wfbt.

The methods of `Replay` stand in the order of the page and carry the names of its paragraphs.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, inf, isnan, nan, sqrt
from typing import Any

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
NEVER = 2**63 - 1
TARGET, BAND, STOP, TRAIL, TAKE, TIME, LIQUIDATION, BREAKER, DELISTED, RATCHET = range(10)
TAKER, MAKER, VENUE = range(3)
EQUITY, NOTIONAL = range(2)
WHOLE, SLICES, POV, ICEBERG = range(4)
OPEN, FILLED, CUT, REPLACED, EXPIRED, REJECTED, CANCELLED = range(7)
GROSS, NET, ASSET, CONCENTRATION, CORRELATED, VAR, CVAR, LIQUIDITY, STOPS, VOLATILITY = range(10)
CAP, REFUSE, FLATTEN = range(3)
EPSILON = 1e-9  # of a tick or a lot
ROUNDING = 1e-12
DUST = 1e-9  # of the opening cash, which is none
PART = 1e-9  # of an order, the least that counts
OFF = {
    "participation": inf,
    "hourly": inf,
    "touch": 0.0,
    "post_only": False,
    "min_interval": 0,
    "max_open": 2**62,
    "schedule": WHOLE,
    "share": 0.0,
    "isolated": False,
    "ratchet_after": inf,
    "ratchet_keep": 0.0,
    "follow": False,
    "correlated_at": 0.7,
    "tail": 0.05,
    "window": 250,
    "monthly": 0.0,
}


def replay(
    tape: Any,
    intents: Sequence[Mapping[str, Any]],
    stamps: Sequence[Mapping[str, Any]],
    assets: Sequence[Mapping[str, Any]],
    rules: Mapping[str, Any],
    start: int = 0,
    stop: int | None = None,
    activity: Any = None,
    venue: Any = None,
) -> dict[str, Any]:
    """Replay the rows [start, stop) of one lane and return everything that happened to its account.

    Curves have one entry per row; opening cash − Σ m·qty·v(price) − fees − funding − liquidation + shortfall = cash.
    `activity` and `venue` may be left out where nothing asks for them.
    """
    last = len(tape.open_ts) if stop is None else stop
    return Replay(tape, intents, stamps, assets, rules, start, last, activity, venue).run()


def sign(x: float) -> int:
    return (x > 0) - (x < 0)


def exceeds(value: float, most: float, slack: float = ROUNDING) -> bool:
    """Is a limit broken, by more than rounding?"""
    return value > most * (1 + slack)


def down(x: float, grid: float) -> float:
    return floor(x / grid + EPSILON) * grid if grid > 0 else x


def up(x: float, grid: float) -> float:
    return ceil(x / grid - EPSILON) * grid if grid > 0 else x


class Spec:
    """One asset's contract and coefficients."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.m = float(row["multiplier"])
        self.inverse = float(row["inverse"]) != 0.0
        self.tick = float(row["tick"])
        self.lot = float(row["lot"])
        self.permanent = float(row["permanent"])
        self.impact = float(row["temporary"]) + float(row["permanent"])
        self.tiers = [(inf, float(row["maintenance"]), 0.0)]  # (cap, rate, amount)

    def v(self, price: float) -> float:
        return -1.0 / price if self.inverse else price

    def price(self, v: float) -> float:
        return -1.0 / v if self.inverse else v

    def whole_lots(self, delta: float) -> float:
        return sign(delta) * down(abs(delta), self.lot)

    def need(self, notional: float) -> float:
        for cap, rate, amount in self.tiers:
            if notional <= cap:
                return rate * notional - amount
        raise AssertionError("the last tier has no cap")


class Leg:
    """One of the two legs of an order, or its only one."""

    def __init__(self, size: float, goal: float, limit: float = nan, trigger: float = nan) -> None:
        self.size, self.goal, self.limit, self.trigger = size, goal, limit, trigger
        self.rests = False
        self.since: float = inf  # the first row inside whose bar it may act


class Order:
    """A position to move to, from the decision on row d; or what is left of an exit."""

    def __init__(self, number: int, reason: int, d: int, legs: list[Leg]) -> None:
        self.number, self.reason, self.d, self.legs = number, reason, d, legs
        self.live: int = 0
        self.expire: int = NEVER
        self.brackets: tuple[float, float, float] | None = None  # None: keeps those in force
        self.schedule = WHOLE
        self.slices: list[tuple[int, float]] = []
        self.log: dict[str, Any] | None = None  # an exit is in no log
        self.handled = False
        self.start = nan
        self.filled = 0.0
        self.acted = -1  # row on which a leg filled, or could have if there had been room

    @property
    def exits(self) -> bool:
        return self.reason not in (TARGET, BAND)

    @property
    def goal(self) -> float:
        """Of an OCO pair the larger."""
        return max((leg.goal for leg in self.legs), key=abs)


class State:
    """What the account knows of one asset."""

    def __init__(self) -> None:
        self.position = 0.0
        self.entry = nan
        self.stop = self.take = self.trail = nan
        self.extreme = nan
        self.risk = nan
        self.wallet = 0.0
        self.deadline: float = inf
        self.trip = 0.0
        self.inside = False
        self.anchor = nan
        self.exited = False  # an exit of steps 2 to 5 happened on this row, and no order has filled since
        self.flight: list[Order] = []
        self.working: Order | None = None
        self.held: Mapping[str, Any] | None = None
        self.refused = False  # the refusal of the target held has been told
        self.wanted = nan
        self.flatten: Order | None = None
        self.left: float = -inf
        self.hour = -1
        self.hour_filled = 0.0

    def brackets_off(self) -> None:
        self.stop = self.take = self.trail = self.risk = nan


class Replay:
    def __init__(self, tape, intents, stamps, assets, rules, start, stop, activity=None, venue=None):
        self.open_ts = [int(x) for x in tape.open_ts]
        self.close_ts = [int(x) for x in tape.close_ts]
        self.decision = [bool(x) for x in tape.decision]
        self.day_end = [bool(x) for x in tape.day_end]
        for name in ("open", "high", "low", "close", "mark_open", "mark_high", "mark_low", "mark_close"):
            setattr(self, name, [[float(x) for x in row] for row in getattr(tape, name)])
        for name in ("sigma", "volume", "gauss"):
            setattr(self, name, [[float(x) for x in row] for row in getattr(tape, name)])
        self.arrive = [[int(x) for x in row] for row in tape.arrive]
        self.first, self.last = start, stop - 1
        self.specs = [Spec(row) for row in assets]
        self.states = [State() for _ in assets]
        self.intents = {
            (int(i["row"]), int(i["asset"])): {name: kind(i[name]) for name, kind in INTENT_FIELDS.items()}
            for i in intents
        }
        self.stamps = [{k: i[k].item() if hasattr(i[k], "item") else i[k] for k in STAMP_FIELDS} for i in stamps]
        self.rules = OFF | {key: value.item() if hasattr(value, "item") else value for key, value in rules.items()}

        self.activity = activity
        self.usual_half_spread = self.rules["half_spread"]
        self.fees: list[tuple[float, float, float]] = []  # (volume, maker, taker)
        self.bounds = [(inf, CAP)] * 10
        self.final = [-1] * len(self.specs)
        self.slices: list[tuple[int, float]] = []
        if venue is not None:
            for spec, tiers in zip(self.specs, venue.tiers, strict=True):
                spec.tiers = [(float(k["cap"]), float(k["rate"]), float(k["amount"])) for k in tiers]
            self.fees = [(float(k["volume"]), float(k["maker"]), float(k["taker"])) for k in venue.fees]
            self.bounds = [(float(k["most"]), int(k["act"])) for k in venue.bounds]
            self.final = [int(row) for row in venue.final]
            self.slices = [(int(k["ts"]), float(k["share"])) for k in venue.slices]

        self.cash = float(self.rules["cash"])
        self.day_equity = self.cash
        self.peak = self.cash
        self.losses = 0
        self.cool_until = -inf
        self.blocked_until = -inf
        self.halted = False
        self.traded_by_day: dict[int, float] = {}
        self.fee_rates(self.day(start))

        self.equity_curve, self.cash_curve, self.position_curve = [], [], []
        self.fills, self.payments = [], []
        self.orders: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.liquidations: list[dict[str, Any]] = []
        self.numbers = 0
        self.liquidation_fees = self.shortfall = 0.0
        self.trips = self.wins = 0
        self.won = self.lost = 0.0
        self.breakers_fired = 0

    def run(self) -> dict[str, Any]:
        opening = self.cash
        for t in range(self.first, self.last + 1):
            if not self.halted:
                self.row(t)
            else:
                self.equity = 0.0
            self.equity_curve.append(self.equity)
            self.cash_curve.append(self.cash)
            self.position_curve.append([state.position for state in self.states])
        for record in self.orders:
            if record["outcome"] == OPEN:
                record["ended"] = self.close_ts[self.last]
        return {
            "status": int(self.halted),
            "equity": self.equity_curve,
            "cash": self.cash_curve,
            "position": self.position_curve,
            "fills": self.fills,
            "payments": self.payments,
            "orders": self.orders,
            "events": self.events,
            "liquidations": self.liquidations,
            "liquidation": self.liquidation_fees,
            "shortfall": self.shortfall,
            "trips": self.trips,
            "wins": self.wins,
            "won": self.won,
            "lost": self.lost,
            "breakers": self.breakers_fired,
            "rows_held": sum(any(p != 0 for p in row) for row in self.position_curve),
            "max_drawdown": max_drawdown(self.equity_curve, opening),
            "tally": {
                "fills": len(self.fills),
                "payments": len(self.payments),
                "orders": len(self.orders),
                "events": len(self.events),
                "liquidations": len(self.liquidations),
            },
        }

    def row(self, t: int) -> None:
        everything = range(len(self.states))
        if self.activity is not None and len(self.activity.wider) > 1:
            self.rules["half_spread"] = self.usual_half_spread * float(self.activity.wider[t])
        if t > self.first:
            growing = [self.grows(t, a) for a in everything]
            for turn in (False, True):
                for a in everything:
                    if growing[a] == turn:
                        self.orders_and_funding(t, a)
            for a in everything:
                self.gapped_exit(t, a)
            for a in everything:
                self.resting_orders_that_grow(t, a)
            self.liquidation(t)
            for a in everything:
                self.stop(t, a)
                self.take(t, a)
                self.resting_orders_that_reduce(t, a)
                self.trail(t, a)
                self.delisting(t, a)
        self.at_close(t)
        if self.halted:
            return
        if t > self.first:
            self.breakers(t)
        self.end_of_day(t)
        if self.decision[t] and t < self.last:
            self.decide(t)

    def trades(self, t: int, a: int) -> bool:
        return not isnan(self.open[t][a])

    def exposed(self, t: int, a: int) -> bool:
        return self.trades(t, a) and self.states[a].position != 0

    def within(self, t: int) -> int:
        """When what happens inside the bar is said to have happened."""
        return self.close_ts[t] - 1

    def next_number(self) -> int:
        self.numbers += 1
        return self.numbers - 1

    # 1. Orders and funding

    def grows(self, t: int, a: int) -> bool:
        state = self.states[a]
        if not self.trades(t, a):
            return False
        live = [order for order in state.flight if order.live < self.close_ts[t]]
        orders = live or ([state.working] if state.working is not None else [])
        return bool(orders) and abs(orders[-1].goal) > abs(state.position) * (1 + 1e-9)

    def orders_and_funding(self, t: int, a: int) -> None:
        state, opens = self.states[a], self.open_ts[t]
        state.inside, state.anchor, state.exited = False, self.open[t][a], False
        due = [s for s in self.stamps if s["row"] == t and s["asset"] == a]
        due.sort(key=lambda s: s["ts"])

        self.pay_until(due, opens)
        if self.trades(t, a):
            self.breaker_flatten_or_time_exit(t, a)
        self.order_at_work(t, a)
        while (order := self.next_live_order(t, a)) is not None:
            ts = max(order.live, opens)
            lapses = order.expire <= ts
            if not lapses and self.trades(t, a) and ts > opens and not state.inside:
                self.gapped_exit(t, a)
            self.pay_until(due, ts)
            self.replace(a, order, ts)
            if lapses:
                self.end(a, order, EXPIRED, order.expire)
                continue
            state.working = order
            if self.trades(t, a):
                self.try_at_open(t, a, order, ts, ts - opens)
        self.pay_until(due, inf)

    def order_at_work(self, t: int, a: int) -> None:
        state = self.states[a]
        order = state.working
        if order is None or order.acted == t:  # what a time exit of this open left
            return
        if order.expire <= self.open_ts[t]:
            self.finish(a, order, EXPIRED, order.expire)
        elif self.trades(t, a):
            self.try_at_open(t, a, order, self.open_ts[t], 0)

    def next_live_order(self, t: int, a: int) -> Order | None:
        """The live order that arrives first, still in flight."""
        live = [order for order in self.states[a].flight if order.live < self.close_ts[t]]
        return min(live, key=lambda order: (order.live, order.d)) if live else None

    def replace(self, a: int, order: Order, ts: int) -> None:
        """Take a live order out of the flight; those decided before it, and the one at work, are dropped."""
        state = self.states[a]
        for other in state.flight:
            if other.d < order.d:
                self.end(a, other, REPLACED, ts)
        state.flight = [other for other in state.flight if other.d > order.d]
        if state.working is not None:
            self.finish(a, state.working, REPLACED, ts)

    def pay_until(self, due: list[dict[str, Any]], ts: float) -> None:
        while due and due[0]["ts"] <= ts:
            self.pay(due.pop(0))

    def pay(self, stamp: dict[str, Any]) -> None:
        state, spec = self.states[stamp["asset"]], self.specs[stamp["asset"]]
        if state.position == 0:
            return
        payment = spec.m * state.position * abs(spec.v(stamp["mark"])) * stamp["rate"]
        self.cash -= payment
        state.trip -= payment
        state.wallet -= payment
        self.payments.append(
            {
                "ts": stamp["ts"],
                "row": stamp["row"],
                "asset": stamp["asset"],
                "position": state.position,
                "rate": stamp["rate"],
                "mark": stamp["mark"],
                "paid": payment,
            }
        )

    def breaker_flatten_or_time_exit(self, t: int, a: int) -> None:
        state, opens = self.states[a], self.open[t][a]
        if state.position == 0:
            state.flatten = None
        elif state.flatten is not None:
            self.taker_exit(t, a, state.flatten, opens, self.open_ts[t])
            state.brackets_off()
            if state.position == 0:
                state.flatten = None
        elif self.open_ts[t] >= state.deadline and not (state.working is not None and state.working.exits):
            self.exit_and_go_on(t, a, opens, TIME, self.open_ts[t])

    # Filling a market order

    def step(self, spec: Spec, goal: float, position: float) -> float:
        if abs(goal - position) <= ROUNDING * max(abs(goal), abs(position)):
            return 0.0
        return spec.whole_lots(goal - position)

    def goal(self, t: int, a: int, leg: Leg, reference: float, exits: bool = False) -> float:
        return self.goal_at_fill(t, a, leg.size, reference) if self.rules["at_fill"] and not exits else leg.goal

    def reference_price(self, t: int, a: int, order: Order, leg: Leg, offset: int) -> float:
        opens, sigma = self.open[t][a], self.sigma[order.d][a]
        if offset == 0 or isnan(sigma):
            return opens
        goal, position = self.goal(t, a, leg, opens), self.states[a].position
        side = 0 if abs(goal - position) <= ROUNDING * max(abs(goal), abs(position)) else sign(goal - position)
        adverse = self.rules["adverse"]
        z = opens * sigma * sqrt(offset / self.rules["horizon"]) * self.gauss[order.d][a]
        moved = opens + (1 - adverse) * z + adverse * side * abs(z)
        return min(max(moved, self.low[t][a]), self.high[t][a])

    def equity_at_fill(self, t: int, a: int, reference: float) -> float:
        total = self.cash
        for b, (state, spec) in enumerate(zip(self.states, self.specs, strict=True)):
            if state.position != 0:
                x = reference if b == a else self.mark_open[t][b]
                total += spec.m * state.position * spec.v(x)
        return total

    def goal_at_fill(self, t: int, a: int, size: float, reference: float) -> float:
        spec = self.specs[a]
        notional = self.notional(size, self.equity_at_fill(t, a, reference))
        side = sign(notional)
        unit = spec.m * abs(spec.v(reference))
        return notional / (unit * (1 + side * self.rules["half_spread"]) * (1 + self.taker))

    def try_at_open(self, t: int, a: int, order: Order, ts: int, offset: int) -> None:
        """Handle an order, or try one at work again at a later open: its first leg, then the other."""
        state = self.states[a]
        if not order.handled:
            order.handled, order.start = True, state.position
        if order.reason == BAND and state.position == 0:
            self.finish(a, order, CANCELLED, ts)
            return
        idle = 0
        for leg in list(order.legs):
            reference = self.reference_price(t, a, order, leg, offset)
            if self.step(self.specs[a], self.goal(t, a, leg, reference, order.exits), state.position) == 0:
                idle += 1
            elif self.try_leg(t, a, order, leg, reference, ts, offset):
                order.acted = t
                return
        if idle == len(order.legs):
            self.finish(a, order, FILLED, ts)

    def try_leg(self, t: int, a: int, order: Order, leg: Leg, reference: float, ts: int, offset: int) -> bool:
        """True when the leg acted: it filled, found no room, or was rejected."""
        goal = self.goal(t, a, leg, reference, order.exits)
        side = sign(goal - self.states[a].position)
        if order.schedule in (SLICES, POV) and offset > 0:
            return False
        if not isnan(leg.trigger):
            if side * (reference - self.trigger_price(a, leg, side)) < 0:
                leg.since = min(leg.since, t + (offset > 0))
                return False
            leg.trigger = nan
        inside = offset > 0
        if isnan(leg.limit):
            self.fill_order(t, a, order, leg, reference, ts, inside)
            return True
        limit = self.limit_price(a, leg, side)
        if leg.rests:
            if not self.through(a, side, reference, limit):
                return False
            self.fill_order(t, a, order, leg, reference, ts, inside, maker=True)
            return True
        return self.new_limit(t, a, order, leg, side, reference, ts, inside, t + (offset > 0))

    def fill_order(
        self,
        t: int,
        a: int,
        order: Order,
        leg: Leg,
        reference: float,
        ts: int,
        inside: bool,
        maker: bool = False,
        side: int = 0,
        most: float = inf,
        limit: float = nan,
    ) -> None:
        """Fill what may be filled now; `side`, where given, is the only side it may be on."""
        state, spec = self.states[a], self.specs[a]
        goal = self.goal(t, a, leg, reference, order.exits)
        whole = self.step(spec, goal, state.position)
        if whole == 0:
            self.finish(a, order, FILLED, ts)
            return
        if side != 0 and sign(whole) != side:
            return
        room = min(most, self.room(t, a, order), self.scheduled(t, order, goal, state.position))
        wanted = self.within_room(spec, whole, room)
        if wanted == 0:
            return
        qty = self.within_margin(t, a, order, wanted, reference, maker)
        if qty == 0:
            self.finish(a, order, CUT, ts)
            return
        before = state.position
        if order.exits:
            self.taker_fill(t, a, order, qty, reference, t - 1, ts, reference)
            price = nan
        elif maker:
            price = self.maker_fill(t, a, order, qty, reference, reference, ts, self.close[order.d][a])
        else:
            price = self.taker_fill(t, a, order, qty, reference, order.d, ts, self.close[order.d][a], limit)
        if leg is not order.legs[0] and not state.flight:
            state.wanted = leg.size
        order.legs = [leg]
        if inside:
            state.inside, state.anchor = True, reference
        self.set_brackets(order, state, before, price, ts)
        if qty != wanted:
            self.finish(a, order, CUT, ts)
        elif wanted == whole or self.step(spec, goal, state.position) == 0:
            self.finish(a, order, FILLED, ts)

    def set_brackets(self, order: Order, state: State, before: float, price: float, ts: int) -> None:
        if order.brackets is None:
            return
        state.exited = False
        state.stop, state.take, state.trail = order.brackets
        state.extreme = price
        if state.position != 0 and sign(state.position) != sign(before):
            state.risk = state.stop
            if self.rules["time_exit"] > 0:
                state.deadline = ts + self.rules["time_exit"]

    # Leverage (cross margin)

    def within_margin(self, t: int, a: int, order: Order, delta: float, reference: float, maker: bool) -> float:
        state, spec = self.states[a], self.specs[a]
        after = state.position + delta
        if not (abs(after) > abs(state.position) or after * state.position < 0):
            return delta
        side, value = sign(delta), abs(spec.v(reference))
        price, rate = reference, self.maker
        if not maker:
            price = reference * (1 + side * self.slip(order.d, a, abs(delta), order.filled))
            rate = self.taker
        c = side * (spec.v(price) - spec.v(reference)) / value + rate * abs(spec.v(price)) / value
        if self.rules["isolated"]:
            return self.within_free(a, delta, spec.m * value, c, price, rate)
        return self.within_leverage(t, a, delta, reference, c)

    def within_leverage(self, t: int, a: int, delta: float, reference: float, c: float) -> float:
        state, spec = self.states[a], self.specs[a]
        position, leverage = state.position, self.rules["leverage"]
        after, p = position + delta, abs(position)
        equity = self.equity_at_fill(t, a, reference)
        other = 0.0
        for b, (another, contract) in enumerate(zip(self.states, self.specs, strict=True)):
            if b != a and another.position != 0:
                other += contract.m * abs(another.position) * abs(contract.v(self.mark_open[t][b]))
        u = spec.m * abs(spec.v(reference))
        if after * position < 0:
            q = (leverage * equity - leverage * c * u * p - other) / (u * (1 + leverage * c))
            least = 0.0
        else:
            q = (leverage * equity + leverage * c * u * p - other) / (u * (1 + leverage * c))
            least = p
        if abs(after) <= q * (1 + ROUNDING):
            return delta
        return self.dropped_to(spec, least, q - least, sign(after), position, delta)

    def dropped_to(self, spec: Spec, least: float, more: float, side: int, position: float, delta: float) -> float:
        """The quantity after which `more` than the `least` is held."""
        more = max(more, 0.0)
        if spec.lot == 0:
            more = floor(more / (PART * abs(delta)) + 0.01) * PART * abs(delta)
        cut = self.step(spec, side * (least + more), position)
        return cut if abs(cut) > ROUNDING * abs(delta) else 0.0

    # Price

    def slip(self, d: int, a: int, qty: float, filled: float) -> float:
        spec, unit = self.specs[a], self.impact_unit(d, a)
        impact = spec.permanent * unit * sqrt(abs(filled)) + spec.impact * unit * sqrt(qty)
        return min(self.rules["half_spread"] + impact, 0.99)

    def impact_unit(self, d: int, a: int) -> float:
        """σ / √volume of row d, or 0 when it is not known."""
        sigma, volume = self.sigma[d][a], self.volume[d][a]
        return 0.0 if isnan(sigma) or isnan(volume) or volume <= 0 else sigma / sqrt(volume)

    def taker_fill(
        self,
        t: int,
        a: int,
        order: Order,
        qty: float,
        reference: float,
        d: int,
        ts: int,
        arrival: float,
        limit: float = nan,
    ) -> float:
        spec, side = self.specs[a], sign(qty)
        price = reference * (1 + side * self.slip(d, a, abs(qty), order.filled))
        if side > 0:
            price = up(price, spec.tick)
        else:
            price = max(down(price, spec.tick), spec.tick)
        if not isnan(limit):
            price = min(price, limit) if side > 0 else max(price, limit)
        fee = spec.m * abs(qty) * abs(spec.v(price)) * self.taker
        spread = spec.m * abs(qty) * abs(spec.v(reference)) * self.rules["half_spread"]
        impact = spec.m * qty * (spec.v(price) - spec.v(reference)) - spread
        self.record(t, a, order, TAKER, ts, qty, price, reference, arrival, fee, spread, impact)
        self.apply(t, a, qty, price, fee)
        return price

    def maker_fill(
        self, t: int, a: int, order: Order, qty: float, price: float, reference: float, ts: int, arrival: float
    ) -> float:
        spec = self.specs[a]
        fee = spec.m * abs(qty) * abs(spec.v(price)) * self.maker
        impact = spec.m * qty * (spec.v(price) - spec.v(reference))
        self.record(t, a, order, MAKER, ts, qty, price, reference, arrival, fee, 0.0, impact)
        self.apply(t, a, qty, price, fee)
        return price

    def record(self, t, a, order, liquidity, ts, qty, price, reference, arrival, fee, spread, impact) -> None:
        self.fills.append(
            {
                "order": order.number if order.schedule == WHOLE else self.next_number(),
                "parent": order.number,
                "asset": a,
                "liquidity": liquidity,
                "reason": order.reason,
                "ts": ts,
                "row": t,
                "qty": qty,
                "price": price,
                "reference": reference,
                "arrival": arrival,
                "fee": fee,
                "spread": spread,
                "impact": impact,
            }
        )
        order.filled += abs(qty) if order.reason == BREAKER else qty
        if order.log is not None:
            order.log["filled"] += qty
            order.log["value"] += abs(qty) * price
        spec = self.specs[a]
        if order.reason not in (LIQUIDATION, DELISTED):
            self.count_in_hour(t, a, abs(qty))
        if order.reason != LIQUIDATION:
            value = spec.m * abs(qty) * (1.0 if spec.inverse else price)
            self.traded_by_day[self.day(t)] = self.traded_by_day.get(self.day(t), 0.0) + value

    # Applying a fill

    def apply(self, t: int, a: int, qty: float, price: float, fee: float) -> None:
        state, spec = self.states[a], self.specs[a]
        self.cash -= spec.m * qty * spec.v(price) + fee
        before = state.position
        after = before + qty
        if abs(after) < (spec.lot / 2 if spec.lot > 0 else ROUNDING * abs(qty)):
            after = 0.0
        state.position = after
        self.move_wallet(a, before, after, qty, price)
        if before == 0:
            state.entry = price
            state.trip = -fee
        elif sign(qty) == sign(before):
            state.entry = self.average(spec, state.entry, abs(before), price, abs(qty))
            state.trip -= fee
        else:
            closed = min(abs(qty), abs(before))
            state.trip += spec.m * closed * sign(before) * (spec.v(price) - spec.v(state.entry))
            if after == 0:
                state.trip -= fee
                self.end_trip(t, state, spec.m * closed * abs(spec.v(price)))
            elif sign(after) == sign(before):
                state.trip -= fee
            else:
                share = fee * abs(before) / abs(qty)
                state.trip -= share
                self.end_trip(t, state, spec.m * closed * abs(spec.v(price)))
                state.trip = -(fee - share)
                state.entry = price

    @staticmethod
    def average(spec: Spec, entry: float, held: float, price: float, added: float) -> float:
        if spec.inverse:
            return (held + added) / (held / entry + added / price)
        return (entry * held + price * added) / (held + added)

    def end_trip(self, t: int, state: State, value_closed: float) -> None:
        self.trips += 1
        if abs(state.trip) <= 1e-9 * value_closed:
            state.trip = 0.0
        if state.trip > 0:
            self.wins += 1
            self.won += state.trip
            self.losses = 0
        elif state.trip < 0:
            self.lost -= state.trip
            self.losses += 1
            if self.rules["losses"] > 0 and self.losses >= self.rules["losses"]:
                self.cool_until = self.close_ts[t] + self.rules["cool_down"]
                self.losses = 0
        state.trip = 0.0

    # Caps

    def room(self, t: int, a: int, order: Order) -> float:
        rules, state, room = self.rules, self.states[a], inf
        if rules["participation"] < inf:
            room = at_most(room, rules["participation"] * self.known("traded", t, a))
        if order.schedule == POV:
            room = at_most(room, rules["share"] * self.known("traded", t, a))
        if rules["hourly"] < inf:
            whole = rules["hourly"] * self.known("hourly", t, a)
            filled = state.hour_filled if state.hour == self.open_ts[t] // HOUR else 0.0
            # What is no more than the rounding of what has been filled is no room.
            left = whole - filled
            room = at_most(room, 0.0 if left <= ROUNDING * whole else left)
        return room

    def known(self, name: str, t: int, a: int) -> float:
        return float(getattr(self.activity, name)[t][a])

    def count_in_hour(self, t: int, a: int, qty: float) -> None:
        state, hour = self.states[a], self.open_ts[t] // HOUR
        if state.hour != hour:
            state.hour, state.hour_filled = hour, 0.0
        state.hour_filled += qty

    @staticmethod
    def within_room(spec: Spec, delta: float, room: float) -> float:
        if abs(delta) <= room:
            return delta
        cut = spec.whole_lots(sign(delta) * room)
        return cut if abs(cut) > ROUNDING * abs(delta) else 0.0

    # Limits

    def limit_price(self, a: int, leg: Leg, side: int) -> float:
        tick = self.specs[a].tick
        return down(leg.limit, tick) if side > 0 else up(leg.limit, tick)

    def through(self, a: int, side: int, price: float, limit: float) -> bool:
        """Is a price beyond the limit of a resting order, a buy of side 1?"""
        tick = self.specs[a].tick
        if tick == 0:
            return price < limit if side > 0 else price > limit
        return price <= limit - tick * (1 - EPSILON) if side > 0 else price >= limit + tick * (1 - EPSILON)

    def new_limit(
        self,
        t: int,
        a: int,
        order: Order,
        leg: Leg,
        side: int,
        reference: float,
        ts: int,
        inside: bool,
        since: int,
    ) -> bool:
        """A limit meets the market at `reference`: a taker, or it rests from row `since`; True when it acted."""
        spec, limit, unit = self.specs[a], self.limit_price(a, leg, side), self.impact_unit(order.d, a)
        moved = spec.permanent * unit * sqrt(abs(order.filled))
        b = side * (limit / reference - 1) - self.rules["half_spread"] - moved
        stays = order.schedule not in (SLICES, POV)
        if b < 0:
            leg.rests, leg.since = stays, since
            return False
        if self.rules["post_only"]:
            self.finish(a, order, REJECTED, ts)
            return True
        leg.rests, leg.since = stays, t + 1
        most = (b / (spec.impact * unit)) ** 2 if spec.impact * unit > 0 else inf
        self.fill_order(t, a, order, leg, reference, ts, inside, side=side, most=most, limit=limit)
        return True

    # Triggers

    def trigger_price(self, a: int, leg: Leg, side: int) -> float:
        tick = self.specs[a].tick
        return up(leg.trigger, tick) if side > 0 else down(leg.trigger, tick)

    # OCO, 2b and 5b. Resting orders inside the bar

    def resting_orders_that_grow(self, t: int, a: int) -> None:
        if self.trades(t, a):
            self.inside_the_bar(t, a, growing=True)

    def resting_orders_that_reduce(self, t: int, a: int) -> None:
        state = self.states[a]
        if self.exposed(t, a) and not state.inside:
            before = state.position
            self.inside_the_bar(t, a, growing=False)
            if state.position * before < 0:
                self.stop(t, a)

    def inside_the_bar(self, t: int, a: int, growing: bool) -> None:
        state, opens = self.states[a], self.open[t][a]
        order = state.working
        if order is None or not order.handled or order.exits or order.acted == t:
            return
        able = []
        for leg in order.legs:
            goal = self.goal(t, a, leg, opens)
            side = sign(self.step(self.specs[a], goal, state.position))
            if side == 0 or leg.since > t:
                continue
            grows = state.position == 0 or (goal * state.position > 0 and abs(goal) > abs(state.position) * (1 + 1e-9))
            if not isnan(leg.trigger):
                price = self.trigger_price(a, leg, side)
                reached = self.high[t][a] >= price if side > 0 else self.low[t][a] <= price
                mine = growing
            else:
                price = self.limit_price(a, leg, side) if leg.rests else nan
                reached = self.low[t][a] <= price if side > 0 else self.high[t][a] >= price
                mine = leg.rests and grows == growing
            if mine and reached:
                able.append((leg, side, price))
        if able:
            leg, side, price = min(able, key=lambda one: abs(one[2] - opens))
            order.acted = t
            if isnan(leg.trigger):
                self.limit_reached(t, a, order, leg, side, price)
            else:
                self.trigger_reached(t, a, order, leg, side, price)

    def limit_reached(self, t: int, a: int, order: Order, leg: Leg, side: int, limit: float) -> None:
        most = inf
        if not self.through(a, side, self.low[t][a] if side > 0 else self.high[t][a], limit):
            most = self.rules["touch"] * self.known("traded", t, a) if self.rules["touch"] > 0 else 0.0
            most = 0.0 if isnan(most) else most
        self.fill_order(t, a, order, leg, limit, self.within(t), True, maker=True, side=side, most=most)

    def trigger_reached(self, t: int, a: int, order: Order, leg: Leg, side: int, trigger: float) -> None:
        leg.trigger = nan
        if isnan(leg.limit):
            self.fill_order(t, a, order, leg, trigger, self.within(t), True, side=side)
        else:
            self.new_limit(t, a, order, leg, side, trigger, self.within(t), True, t + 1)

    # Schedules

    def scheduled(self, t: int, order: Order, goal: float, position: float) -> float:
        """What the schedule leaves to fill now."""
        whole = goal - order.start
        if order.schedule == ICEBERG:
            return self.rules["share"] * abs(whole)
        if order.schedule != SLICES:
            return inf
        later = order.live - order.slices[0][0]
        due = [share for ts, share in order.slices if ts + later <= self.open_ts[t]]
        if not due:
            return 0.0
        if due[-1] >= 1:
            return inf
        left = (order.start + due[-1] * whole - position) * sign(goal - position)
        return left if left > ROUNDING * max(abs(goal), abs(order.start)) else 0.0

    # Exits under caps

    def new_exit(self, t: int, reason: int) -> Order:
        return Order(self.next_number(), reason, t, [Leg(0.0, 0.0)])

    def taker_exit(self, t: int, a: int, order: Order, reference: float, ts: int) -> None:
        """Close what the caps allow."""
        state = self.states[a]
        qty = self.within_room(self.specs[a], -state.position, self.room(t, a, order))
        if qty != 0:
            self.taker_fill(t, a, order, qty, reference, t - 1, ts, reference)

    def exit_and_go_on(self, t: int, a: int, reference: float, reason: int, ts: int) -> None:
        """A stop, trail, ratchet or time exit; what the caps cut goes on as an order at work."""
        state, order = self.states[a], self.new_exit(t, reason)
        self.taker_exit(t, a, order, reference, ts)
        self.after_exit(a, ts)
        if state.position != 0:
            order.handled, order.acted = True, t
            state.working = order

    def take_profit(self, t: int, a: int, price: float, ts: int) -> None:
        """As maker, on the tick; what the caps cut keeps its brackets."""
        state, spec = self.states[a], self.specs[a]
        order = self.new_exit(t, TAKE)
        qty = self.within_room(spec, -state.position, self.room(t, a, order))
        if qty == 0:
            return
        on_tick = up(price, spec.tick) if qty > 0 else max(down(price, spec.tick), spec.tick)
        brackets = state.stop, state.take, state.trail, state.risk
        self.maker_fill(t, a, order, qty, on_tick, price, ts, price)
        self.after_exit(a, ts)
        if state.position != 0:
            state.stop, state.take, state.trail, state.risk = brackets

    def after_exit(self, a: int, ts: int) -> None:
        state = self.states[a]
        state.brackets_off()
        state.wanted = nan
        state.exited = True
        if state.working is not None:
            self.finish(a, state.working, CANCELLED, ts)

    # After an order is complete

    def finish(self, a: int, order: Order, outcome: int, ts: int) -> None:
        """The order at work ends."""
        self.end(a, order, outcome, ts)
        self.states[a].working = None

    def end(self, a: int, order: Order, outcome: int, ts: int) -> None:
        if order.log is not None:
            order.log["outcome"], order.log["ended"] = outcome, ts
        if outcome in (EXPIRED, REJECTED) and not self.states[a].flight:
            self.states[a].wanted = nan

    def forget(self, a: int, ts: int) -> None:
        """Orders in flight, working and held are cleared."""
        state = self.states[a]
        for order in state.flight:
            self.end(a, order, CANCELLED, ts)
        if state.working is not None:
            self.finish(a, state.working, CANCELLED, ts)
        state.flight = []
        state.held = None
        state.wanted = nan

    # 2. Gapped exits

    def stop_level(self, a: int) -> tuple[float | None, int]:
        state, spec = self.states[a], self.specs[a]
        side = sign(state.position)
        if side == 0:
            return None, STOP
        levels = [
            (state.entry - side * state.stop, STOP),
            (state.extreme - side * state.trail, TRAIL),
            (self.ratchet(state, side), RATCHET),
        ]
        best, reason = nan, STOP
        for level, why in levels:
            if not isnan(level) and (isnan(best) or side * level > side * best):
                best, reason = level, why
        if isnan(best):
            return None, STOP
        best = down(best, spec.tick) if side > 0 else up(best, spec.tick)
        return (best if best > 0 else None), reason

    def ratchet(self, state: State, side: int) -> float:
        gain = side * (state.extreme - state.entry)
        if self.rules["ratchet_after"] == inf or isnan(state.risk) or gain < self.rules["ratchet_after"] * state.risk:
            return nan
        return state.entry + self.rules["ratchet_keep"] * (state.extreme - state.entry)

    def take_level(self, a: int) -> float | None:
        state, spec = self.states[a], self.specs[a]
        if isnan(state.take):
            return None
        if state.position > 0:
            level = down(state.entry + state.take, spec.tick)
        else:
            level = up(state.entry - state.take, spec.tick)
        return level if level > 0 else None

    def gapped_exit(self, t: int, a: int) -> None:
        state = self.states[a]
        if not self.exposed(t, a) or state.exited:
            return
        stop, reason = self.stop_level(a)
        take = self.take_level(a)
        long = state.position > 0
        if stop is not None and (state.anchor <= stop if long else state.anchor >= stop):
            ts = self.within(t) if state.inside else self.open_ts[t]
            self.exit_and_go_on(t, a, state.anchor, reason, ts)
        elif take is not None and not state.inside and self.through(a, -sign(state.position), self.open[t][a], take):
            self.take_profit(t, a, self.open[t][a], self.open_ts[t])

    # 3. Liquidation

    def liquidation(self, t: int) -> None:
        held = [a for a, state in enumerate(self.states) if state.position != 0]
        if self.rules["isolated"]:
            for a in held:
                self.liquidate(t, [a])
        elif held:
            self.liquidate(t, held)

    def liquidate(self, t: int, held: list[int]) -> None:
        """Close the positions that stand behind one another if their margin is used up on this row."""
        begin, end = {}, {}
        for a in held:
            state, spec = self.states[a], self.specs[a]
            first = state.anchor if state.inside else self.mark_open[t][a]
            last = first
            if self.trades(t, a):
                last = min(first, self.mark_low[t][a]) if state.position > 0 else max(first, self.mark_high[t][a])
            begin[a], end[a] = spec.v(first), spec.v(last)
        if self.spare(end) > 0:
            return
        theta = 0.0 if self.spare(begin) <= 0 else self.crossing(begin, end)
        values = {a: begin[a] + theta * (end[a] - begin[a]) for a in held}
        ts = {a: self.open_ts[t] if theta == 0 and not self.states[a].inside else self.within(t) for a in held}
        self.close_at_marks(t, values, self.rules["liquidation_fee"], ts)
        for a in held if self.rules["isolated"] else range(len(self.states)):
            self.forget(a, max(ts.values()))

    def backing(self, values: dict[int, float]) -> float:
        """Equity behind these positions at these v: the account's, or of an isolated position its wallet's."""
        equity = 0.0 if self.rules["isolated"] else self.cash
        for a, v in values.items():
            state, spec = self.states[a], self.specs[a]
            if self.rules["isolated"]:
                equity += state.wallet + spec.m * state.position * (v - spec.v(state.entry))
            else:
                equity += spec.m * state.position * v
        return equity

    def spare(self, values: dict[int, float]) -> float:
        """Equity less what maintenance needs."""
        need = 0.0
        for a, v in values.items():
            need += self.specs[a].need(self.specs[a].m * abs(self.states[a].position) * abs(v))
        return self.backing(values) - need

    def crossing(self, begin: dict[int, float], end: dict[int, float]) -> float:
        """Where spare margin, straight between the points at which a notional passes a tier's cap, reaches zero."""
        points = [0.0, 1.0]
        for a in begin:
            size = self.specs[a].m * abs(self.states[a].position)
            for cap, _, _ in self.specs[a].tiers:
                span = size * (abs(end[a]) - abs(begin[a]))
                if cap < inf and span != 0:
                    theta = (cap - size * abs(begin[a])) / span
                    if 0 < theta < 1:
                        points.append(theta)
        points.sort()

        def spare_at(theta: float) -> float:
            return self.spare({a: begin[a] + theta * (end[a] - begin[a]) for a in begin})

        for left, right in pairwise(points):
            if spare_at(right) <= 0:
                return left + (right - left) * spare_at(left) / (spare_at(left) - spare_at(right))
        return 1.0

    def close_at_marks(self, t: int, values: dict[int, float], rate: float, ts: dict[int, int]) -> None:
        """`rate` None: the account is closed at a halt, whatever its margin."""
        isolated = self.rules["isolated"] and rate is not None
        wallets = self.backing(values)
        for a, v in values.items():
            self.cash += self.specs[a].m * self.states[a].position * v
        equity = left = wallets if isolated else self.cash
        records = []
        for a, v in values.items():
            state, spec = self.states[a], self.specs[a]
            held, price = state.position, spec.price(v)
            fee = 0.0 if rate is None else min(rate * spec.m * abs(held) * abs(v), max(left, 0.0))
            left -= fee
            self.cash -= fee
            self.liquidation_fees += fee
            order = self.new_exit(t, LIQUIDATION)
            self.record(t, a, order, VENUE, ts[a], -held, price, price, price, 0.0, 0.0, 0.0)
            zero = v - equity / (spec.m * held)
            records.append(
                {
                    "ts": ts[a],
                    "row": t,
                    "asset": a,
                    "qty": -held,
                    "price": price,
                    "bankruptcy": spec.price(zero) if (zero < 0 if spec.inverse else zero > 0) else nan,
                    "fee": fee,
                    "shortfall": 0.0,
                }
            )
            state.trip += spec.m * held * (v - spec.v(state.entry)) - fee
            state.position = state.wallet = 0.0
            state.brackets_off()
            self.end_trip(t, state, spec.m * abs(held) * abs(v))
        if left < 0:
            records[-1]["shortfall"] = -left
            self.shortfall -= left
            self.cash = self.cash - left if isolated else 0.0
        self.liquidations += records

    # 4. Stop, 5. Take, 6. Trail, 6b. Delisting, asset by asset

    def stop(self, t: int, a: int) -> None:
        state = self.states[a]
        if not self.exposed(t, a) or state.exited:
            return
        level, reason = self.stop_level(a)
        if level is None:
            return
        if state.position > 0:
            touched = min(self.low[t][a], state.anchor) <= level
            reference = min(level, state.anchor)
        else:
            touched = max(self.high[t][a], state.anchor) >= level
            reference = max(level, state.anchor)
        if touched:
            self.exit_and_go_on(t, a, reference, reason, self.within(t))

    def take(self, t: int, a: int) -> None:
        state = self.states[a]
        if not self.exposed(t, a) or state.exited or state.inside:
            return
        level, best = self.take_level(a), self.high[t][a] if state.position > 0 else self.low[t][a]
        if level is not None and self.through(a, -sign(state.position), best, level):
            self.take_profit(t, a, level, self.within(t))

    def trail(self, t: int, a: int) -> None:
        state = self.states[a]
        if self.rules["follow"] and self.decision[t] and state.position != 0 and not isnan(state.trail):
            follow = self.known("follow", t, a)
            state.trail = state.trail if isnan(follow) else follow
        if not self.trades(t, a) or state.inside:
            return
        if state.position > 0:
            state.extreme = max(state.extreme, self.high[t][a])
        elif state.position < 0:
            state.extreme = min(state.extreme, self.low[t][a])

    def delisting(self, t: int, a: int) -> None:
        if t != self.final[a]:
            return
        state = self.states[a]
        if state.position != 0:
            order, price = self.new_exit(t, DELISTED), self.close[t][a]
            self.taker_fill(t, a, order, -state.position, price, t - 1, self.within(t), price)
        state.brackets_off()
        self.forget(a, self.within(t))

    # 7. Close

    def at_close(self, t: int) -> None:
        marks = {
            a: spec.v(self.mark_close[t][a])
            for a, (state, spec) in enumerate(zip(self.states, self.specs, strict=True))
            if state.position != 0
        }
        self.equity = self.cash
        for a, v in marks.items():
            self.equity += self.specs[a].m * self.states[a].position * v
        if self.equity <= DUST * self.rules["cash"]:
            if marks:
                self.close_at_marks(t, marks, None, dict.fromkeys(marks, self.within(t)))
            self.shortfall -= min(self.cash, 0.0)
            self.liquidation_fees += max(self.cash, 0.0)
            self.cash = self.equity = 0.0
            self.halted = True
            for a in range(len(self.states)):
                self.forget(a, self.close_ts[t])

    # 8. Breakers

    def breakers(self, t: int) -> None:
        self.peak = max(self.peak, self.equity)
        if self.blocked_until == inf:
            return
        if self.equity <= self.peak * (1 - self.rules["drawdown"]):
            self.blocked_until = inf
        elif self.close_ts[t] > self.blocked_until and self.equity <= self.day_equity * (1 - self.rules["daily_loss"]):
            self.blocked_until = -(-self.close_ts[t] // DAY) * DAY
        else:
            return
        self.breakers_fired += 1
        self.flatten_everything(t)

    def flatten_everything(self, t: int) -> None:
        for a, state in enumerate(self.states):
            if state.position != 0 and state.flatten is None:
                state.flatten = self.new_exit(t, BREAKER)
            self.forget(a, self.close_ts[t])

    def end_of_day(self, t: int) -> None:
        if self.day_end[t] or t == self.last:
            self.day_equity = self.equity
        if self.day_end[t] and t < self.last:
            self.fee_rates(self.day(t + 1))

    def blocked(self, t: int) -> bool:
        return self.close_ts[t] < self.blocked_until

    def cooling(self, t: int) -> bool:
        return self.close_ts[t] < self.cool_until

    # 9. Decision

    def decide(self, t: int) -> None:
        fresh = set()
        for a, state in enumerate(self.states):
            delisted = self.final[a] >= 0 and t >= self.final[a]
            if (t, a) in self.intents and not delisted:
                fresh.add(a)
                state.held, state.refused = self.intents[t, a], False
        for a, state in enumerate(self.states):
            if state.held is not None:
                self.decide_held(t, a)
                work = state.working
                if state.held is not None and a in fresh and work is not None and not work.exits:
                    self.finish(a, work, CANCELLED, self.close_ts[t])
        for a in range(len(self.states)):
            if a not in fresh:
                self.band(t, a)
        self.judge_positions(t)

    def decide_held(self, t: int, a: int) -> None:
        state = self.states[a]
        held = state.held
        if self.blocked(t) or len(state.flight) + (state.working is not None) >= self.rules["max_open"]:
            return
        if not self.trades(t, a) or isnan(self.mark_close[t][a]):
            return
        legs = [Leg(held["size"], self.goal_now(t, a, held["size"]), held["limit"], held["trigger"])]
        if not isnan(held["other_size"]):
            other = self.goal_now(t, a, held["other_size"])
            legs.append(Leg(held["other_size"], other, held["other_limit"], held["other_trigger"]))
        if self.cooling(t):
            opposite = [leg for leg in legs if leg.goal * state.position < 0]
            growing = [leg for leg in legs if leg not in opposite and leg.size != 0 and not self.lessens(a, leg.goal)]
            if growing:
                return
            if opposite:
                for leg in opposite:
                    leg.size = leg.goal = 0.0
                self.send(t, a, legs, TARGET, held)
                return
        if self.within_exposure(t, a, legs, held["stop"]):
            self.send(t, a, legs, TARGET, held)
            state.held = None
            state.wanted = legs[0].size

    def lessens(self, a: int, goal: float) -> bool:
        """Does a goal not exceed the position on its own side?"""
        position = self.states[a].position
        return goal * position > 0 and abs(goal) <= abs(position)

    def notional(self, size: float, equity: float) -> float:
        if equity <= 0:
            return 0.0
        notional = size if self.rules["size"] == NOTIONAL else size * equity
        most = self.rules["max_position"] * equity
        return min(max(notional, -most), most)

    def goal_now(self, t: int, a: int, size: float) -> float:
        spec = self.specs[a]
        return self.notional(size, self.equity) / (spec.m * abs(spec.v(self.close[t][a])))

    def send(self, t: int, a: int, legs: list[Leg], reason: int, held: Mapping[str, Any] | None) -> None:
        state = self.states[a]
        nothing = all(self.step(self.specs[a], leg.goal, state.position) == 0 for leg in legs)
        if nothing and not state.flight and state.working is None and state.flatten is None:
            return
        leaves = max(self.close_ts[t], state.left + self.rules["min_interval"])
        state.left = leaves
        order = Order(self.next_number(), reason, t, legs)
        order.live = self.arrive[t][a] + leaves - self.close_ts[t]
        order.schedule = self.rules["schedule"]
        if held is not None:
            order.brackets = held["stop"], held["take"], held["trail"]
            order.expire = held["expire"]
            order.slices = self.slices[held["first_slice"] : held["last_slice"]]
        if order.schedule == SLICES and not order.slices:
            order.schedule = WHOLE
        order.log = {
            "number": order.number,
            "asset": a,
            "outcome": OPEN,
            "reason": reason,
            "row": t,
            "live": order.live,
            "expire": order.expire,
            "goal": legs[0].goal,
            "limit": legs[0].limit,
            "trigger": legs[0].trigger,
            "arrival": self.close[t][a],
            "filled": 0.0,
            "value": 0.0,
            "ended": 0,
        }
        self.orders.append(order.log)
        state.flight.append(order)

    def band(self, t: int, a: int) -> None:
        state, spec = self.states[a], self.specs[a]
        busy = state.flight or state.working is not None or state.held is not None
        if busy or self.blocked(t) or self.cooling(t) or not self.trades(t, a):
            return
        if isnan(state.wanted) or state.wanted == 0 or state.position == 0:
            return
        weight = spec.m * state.position * abs(spec.v(self.close[t][a])) / self.equity
        wanted = self.notional(state.wanted, self.equity) / self.equity
        if abs(weight - wanted) > self.rules["band"]:
            self.send(t, a, [Leg(state.wanted, self.goal_now(t, a, state.wanted))], BAND, None)

    # Fee tiers

    def day(self, t: int) -> int:
        return (self.close_ts[t] - 1) // DAY

    def fee_rates(self, today: int) -> None:
        """The rates of the rows that close on a UTC day."""
        self.maker, self.taker = self.rules["maker"], self.rules["taker"]
        begun = self.day(self.first)
        traded = sum(self.traded_by_day.get(day, 0.0) for day in range(max(begun, today - 30), today))
        traded += self.rules["monthly"] * max(0, begun - (today - 30)) / 30
        for volume, maker, taker in self.fees:
            if volume <= traded:
                self.maker, self.taker = maker, taker

    # Isolated margin

    def move_wallet(self, a: int, before: float, after: float, qty: float, price: float) -> None:
        state, spec = self.states[a], self.specs[a]
        unit = spec.m * abs(spec.v(price)) / self.rules["leverage"]
        if after == 0:
            state.wallet = 0.0
        elif before == 0 or after * before < 0:
            state.wallet = abs(after) * unit
        elif abs(after) > abs(before):
            state.wallet += abs(qty) * unit
        else:
            state.wallet -= abs(qty) / abs(before) * state.wallet

    def free(self) -> float:
        free = self.cash
        for state, spec in zip(self.states, self.specs, strict=True):
            if state.position != 0:
                free += spec.m * state.position * spec.v(state.entry) - state.wallet
        return free

    def within_free(self, a: int, delta: float, u: float, c: float, price: float, rate: float) -> float:
        state, spec = self.states[a], self.specs[a]
        position, after, free = state.position, state.position + delta, self.free()
        kept = abs(position)
        if after * position < 0:
            closing = spec.m * position * (spec.v(price) - spec.v(state.entry))
            free += state.wallet + closing - rate * spec.m * abs(position) * abs(spec.v(price))
            kept = 0.0
        x = max(0.0, free / (u * (1 / self.rules["leverage"] + c)))
        if abs(after) - kept <= x * (1 + ROUNDING):
            return delta
        return self.dropped_to(spec, kept, x, sign(after), position, delta)

    # Exposure limits

    def planned(self, a: int) -> tuple[float, Order | None]:
        """The position that is planned, and the order that plans it."""
        state = self.states[a]
        order = max(state.flight, key=lambda order: order.d) if state.flight else state.working
        return (state.position, None) if order is None else (order.goal, order)

    def exposures(self, t: int, units: list[float]) -> list[float]:
        exposure = []
        for a, (planned, spec) in enumerate(zip(units, self.specs, strict=True)):
            exposure.append(0.0 if planned == 0 else spec.m * planned * abs(spec.v(self.mark_close[t][a])))
        return exposure

    def judged(self, t: int, a: int, bound: int, units: list[float], to_stop: list[float]) -> tuple[float, float]:
        """What a limit limits, and at what; (0, inf) where there is nothing to judge."""
        most, equity, nothing = self.bounds[bound][0], self.equity, (0.0, inf)
        if most == inf:
            return nothing
        n = self.exposures(t, units)
        if bound == GROSS:
            return sum(abs(x) for x in n), most * equity
        if bound == NET:
            return abs(sum(n)), most * equity
        if bound == ASSET:
            return abs(n[a]), most * equity
        if bound == CONCENTRATION:
            gross = self.bounds[GROSS][0]
            return abs(n[a]), most * (self.rules["leverage"] if gross == inf else gross) * equity
        if bound == CORRELATED:
            table = self.activity.correlations[int(self.activity.ended[t])]
            with_it = [
                abs(x)
                for b, x in enumerate(n)
                if b != a and x != 0 and sign(n[a]) * sign(x) * float(table[a][b]) >= self.rules["correlated_at"]
            ]
            return (abs(n[a]) + sum(with_it), most * equity) if with_it else nothing
        if bound in (VAR, CVAR):
            known = int(self.activity.ended[t])
            days = [[float(r) for r in row] for row in self.activity.days[max(0, known - self.rules["window"]) : known]]
            if len(days) < 30:
                return nothing
            losses = sorted(-sum(x * (0.0 if isnan(r) else r) for x, r in zip(n, row, strict=True)) for row in days)
            worst = losses[-ceil(self.rules["tail"] * len(losses) - EPSILON) :]
            return (worst[0] if bound == VAR else sum(worst) / len(worst)), most * equity
        if bound == LIQUIDITY:
            depth = self.known("depth", t, a)
            return nothing if isnan(depth) else (abs(units[a]), most * depth)
        if bound == STOPS:
            return sum(
                s.m * abs(q) * loss for s, q, loss in zip(self.specs, units, to_stop, strict=True)
            ), most * equity
        vol = self.known("volatility", t, a)
        return nothing if isnan(vol) else (vol, most)

    def loss_to(self, a: int, now: float, level: float | None, side: int) -> float:
        """Loss per unit, in v, of a position of this side if the price goes from now to its stop."""
        spec = self.specs[a]
        if level is None or isnan(level) or level <= 0:
            return abs(spec.v(now))
        return max(0.0, side * (spec.v(now) - spec.v(level)))

    def loss_planned(self, t: int, a: int, units: float, order: Order | None) -> float:
        """Loss per unit to the stop of what is held, or of an order in flight or at work."""
        if units == 0:
            return 0.0
        if order is None or order.brackets is None:
            return self.loss_to(a, self.mark_close[t][a], self.stop_level(a)[0], sign(units))
        now = self.close[t][a] if self.trades(t, a) else self.mark_close[t][a]
        return self.loss_to(a, now, now - sign(units) * order.brackets[0], sign(units))

    def within_exposure(self, t: int, a: int, legs: list[Leg], stop: float) -> bool:
        """May the order be sent?  Its legs are cut when a limit says so."""
        plans = [self.planned(b) for b in range(len(self.states))]
        losses = [self.loss_planned(t, b, *plan) for b, plan in enumerate(plans)]
        goal, close = max((leg.goal for leg in legs), key=abs), self.close[t][a]

        def judge(g: float, bound: int) -> tuple[float, float]:
            units = [g if b == a else plan[0] for b, plan in enumerate(plans)]
            loss = self.loss_to(a, close, close - sign(g) * stop, sign(g)) if g != 0 else 0.0
            return self.judged(t, a, bound, units, [loss if b == a else x for b, x in enumerate(losses)])

        def broken(g: float, bounds: Sequence[int], slack: float = ROUNDING) -> int | None:
            if g == 0 or self.lessens(a, g):
                return None
            for bound in bounds:
                if exceeds(*judge(g, bound), slack):
                    return bound
            return None

        bound = broken(goal, range(10))
        if bound is None:
            return True
        act = self.bounds[bound][1]
        if act != REFUSE or not self.states[a].refused:
            self.tell(t, a, bound, *judge(goal, bound))
        if act == REFUSE:
            self.states[a].refused = True
            return False
        if act == FLATTEN:
            self.flatten_everything(t)
            return False
        self.scale(legs, self.capped(a, goal, judge, broken) / goal)
        return True

    def capped(self, a: int, goal: float, judge: Any, broken: Any) -> float:
        bounds = list(range(10))
        if self.bounds[VOLATILITY][1] == CAP:
            bounds.remove(VOLATILITY)
            vol, most = judge(goal, VOLATILITY)
            if exceeds(vol, most):
                goal *= most / vol
        if broken(goal, bounds) is None:
            return goal
        position = self.states[a].position
        begin = position if position * goal > 0 else 0.0
        low, high = begin, goal
        for _ in range(60):
            middle = (low + high) / 2
            if broken(middle, bounds, 0.0) is None:
                low = middle
            else:
                high = middle
        return low if abs(low - begin) > PART * abs(goal) else begin

    @staticmethod
    def scale(legs: list[Leg], factor: float) -> None:
        for leg in legs:
            leg.goal *= factor
            leg.size *= factor

    def tell(self, t: int, a: int, bound: int, value: float, most: float) -> None:
        self.events.append(
            {
                "ts": self.close_ts[t],
                "row": t,
                "asset": a,
                "bound": bound,
                "act": self.bounds[bound][1],
                "value": value,
                "most": most,
            }
        )

    def judge_positions(self, t: int) -> None:
        """After the decisions of a row, limits that flatten are judged once more on positions alone."""
        held = [a for a, state in enumerate(self.states) if state.position != 0]
        if all(self.states[a].flatten is not None for a in held):
            return
        units = [state.position for state in self.states]
        losses = [self.loss_planned(t, a, q, None) for a, q in enumerate(units)]
        for bound in (GROSS, NET, ASSET, CORRELATED, VAR, CVAR, LIQUIDITY, STOPS):
            if self.bounds[bound][1] != FLATTEN:
                continue
            alone = bound in (ASSET, CORRELATED, LIQUIDITY)
            for a in held if alone else held[:1]:
                value, most = self.judged(t, a, bound, units, losses)
                if exceeds(value, most):
                    self.tell(t, a if alone else -1, bound, value, most)
                    self.flatten_everything(t)
                    return


STAMP_FIELDS = ("ts", "row", "asset", "rate", "mark")
INTENT_FIELDS = {
    "size": float,
    "stop": float,
    "take": float,
    "trail": float,
    "limit": float,
    "trigger": float,
    "other_size": float,
    "other_limit": float,
    "other_trigger": float,
    "expire": int,
    "first_slice": int,
    "last_slice": int,
}


def at_most(room: float, cap: float) -> float:
    """The smaller; NaN counts as no cap."""
    return room if isnan(cap) else min(room, cap)


def max_drawdown(equity: Sequence[float], peak: float) -> float:
    worst = 0.0
    for value in equity:
        peak = max(peak, value)
        worst = max(worst, 1 - value / peak)
    return worst
