"""The bar replay once more, slowly, from docs/execution.md alone: it imports nothing from wfbt.

The methods of `Replay` stand in the order of the page and carry the names of its paragraphs.
"""

from collections.abc import Mapping, Sequence
from math import ceil, floor, inf, isnan, nan, sqrt
from typing import Any

DAY = 86_400_000_000_000
TARGET, BAND, STOP, TRAIL, TAKE, TIME, LIQUIDATION, BREAKER = range(8)
TAKER, MAKER, VENUE = range(3)
EQUITY, NOTIONAL = range(2)
EPSILON = 1e-9  # of a tick or a lot


def replay(
    tape: Any,
    intents: Sequence[Mapping[str, Any]],
    stamps: Sequence[Mapping[str, Any]],
    assets: Sequence[Mapping[str, Any]],
    rules: Mapping[str, Any],
    start: int = 0,
    stop: int | None = None,
) -> dict[str, Any]:
    """Replay the rows [start, stop) of one lane and return everything that happened to its account.

    Curves have one entry per row; opening cash − Σ m·qty·v(price) − fees − funding − liquidation + shortfall = cash.
    """
    lane = Replay(tape, intents, stamps, assets, rules, start, len(tape.open_ts) if stop is None else stop)
    return lane.run()


def sign(x: float) -> int:
    return (x > 0) - (x < 0)


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
        self.impact = float(row["temporary"]) + float(row["permanent"])
        self.maintenance = float(row["maintenance"])

    def v(self, price: float) -> float:
        return -1.0 / price if self.inverse else price

    def price(self, v: float) -> float:
        return -1.0 / v if self.inverse else v

    def whole_lots(self, delta: float) -> float:
        return sign(delta) * down(abs(delta), self.lot)


class Order:
    """A position to move to, from the decision on row d."""

    def __init__(self, d: int, arrive: int, goal: float, size: float, brackets: tuple[float, float, float] | None):
        self.d, self.arrive, self.goal, self.size = d, arrive, goal, size
        self.brackets = brackets  # None: a rebalance of the band, which keeps those in force


class Leg:
    """What the account knows of one asset."""

    def __init__(self) -> None:
        self.position = 0.0
        self.entry = nan
        self.stop = self.take = self.trail = nan
        self.extreme = nan
        self.deadline: float = inf
        self.trip = 0.0
        self.inside = False
        self.anchor = nan
        self.flight: list[Order] = []
        self.working: Order | None = None
        self.held: Mapping[str, Any] | None = None
        self.wanted = nan
        self.flatten = False

    def brackets_off(self) -> None:
        self.stop = self.take = self.trail = nan

    def forget(self) -> None:
        self.flight = []
        self.working = None
        self.held = None
        self.wanted = nan


class Replay:
    def __init__(self, tape, intents, stamps, assets, rules, start, stop):
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
        self.legs = [Leg() for _ in assets]
        self.intents = {
            (int(i["row"]), int(i["asset"])): {k: float(i[k]) for k in ("size", "stop", "take", "trail")}
            for i in intents
        }
        self.stamps = [{k: i[k].item() if hasattr(i[k], "item") else i[k] for k in STAMP_FIELDS} for i in stamps]
        self.rules = {key: value.item() if hasattr(value, "item") else value for key, value in rules.items()}

        self.cash = float(self.rules["cash"])
        self.day_equity = self.cash
        self.peak = self.cash
        self.losses = 0
        self.cool_until = -inf
        self.blocked_until = -inf
        self.halted = False

        self.equity_curve, self.cash_curve, self.position_curve = [], [], []
        self.fills, self.payments = [], []
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
            self.position_curve.append([leg.position for leg in self.legs])
        return {
            "status": int(self.halted),
            "equity": self.equity_curve,
            "cash": self.cash_curve,
            "position": self.position_curve,
            "fills": self.fills,
            "payments": self.payments,
            "liquidation": self.liquidation_fees,
            "shortfall": self.shortfall,
            "trips": self.trips,
            "wins": self.wins,
            "won": self.won,
            "lost": self.lost,
            "breakers": self.breakers_fired,
            "rows_held": sum(any(p != 0 for p in row) for row in self.position_curve),
            "max_drawdown": max_drawdown(self.equity_curve, opening),
        }

    def row(self, t: int) -> None:
        if t > self.first:
            growing = [self.grows(t, a) for a in range(len(self.legs))]
            for turn in (False, True):
                for a in range(len(self.legs)):
                    if growing[a] == turn:
                        self.orders_and_funding(t, a)
            self.gapped_exits(t)
            self.liquidation(t)
            for a in self.exposed(t):
                self.stop(t, a)
                self.take(t, a)
                self.trail(t, a)
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

    # 1. Orders and funding

    def grows(self, t: int, a: int) -> bool:
        leg = self.legs[a]
        if not self.trades(t, a):
            return False
        live = [order for order in leg.flight if order.arrive < self.close_ts[t]]
        orders = live or ([leg.working] if leg.working is not None else [])
        return bool(orders) and abs(orders[-1].goal) > abs(leg.position) * (1 + 1e-9)

    def orders_and_funding(self, t: int, a: int) -> None:
        leg, opens = self.legs[a], self.open_ts[t]
        leg.inside, leg.anchor = False, self.open[t][a]
        due = [s for s in self.stamps if s["row"] == t and s["asset"] == a]
        due.sort(key=lambda s: s["ts"])

        self.pay_until(due, opens)
        if self.trades(t, a):
            self.breaker_flatten_or_time_exit(t, a)

        if self.trades(t, a) and leg.working is not None:
            waiting, leg.working = leg.working, None
            self.fill_order(t, a, waiting, opens, 0)
        while (order := self.next_live_order(t, a)) is not None:
            if self.trades(t, a):
                ts = max(order.arrive, opens)
                if ts > opens and not leg.inside and leg.position != 0:
                    self.gapped_exit(t, a)
                self.pay_until(due, ts)
                self.fill_order(t, a, order, ts, ts - opens)
            else:
                leg.working = order
        self.pay_until(due, inf)

    def next_live_order(self, t: int, a: int) -> Order | None:
        """Take the live order that arrives first out of the flight, and drop those decided before it."""
        leg = self.legs[a]
        live = [order for order in leg.flight if order.arrive < self.close_ts[t]]
        if not live:
            return None
        order = min(live, key=lambda order: (order.arrive, order.d))
        leg.flight = [other for other in leg.flight if other.d > order.d]
        return order

    def pay_until(self, due: list[dict[str, Any]], ts: float) -> None:
        while due and due[0]["ts"] <= ts:
            self.pay(due.pop(0))

    def pay(self, stamp: dict[str, Any]) -> None:
        leg, spec = self.legs[stamp["asset"]], self.specs[stamp["asset"]]
        if leg.position == 0:
            return
        payment = spec.m * leg.position * abs(spec.v(stamp["mark"])) * stamp["rate"]
        self.cash -= payment
        leg.trip -= payment
        self.payments.append(
            {
                "ts": stamp["ts"],
                "row": stamp["row"],
                "asset": stamp["asset"],
                "position": leg.position,
                "rate": stamp["rate"],
                "mark": stamp["mark"],
                "paid": payment,
            }
        )

    def breaker_flatten_or_time_exit(self, t: int, a: int) -> None:
        leg, opens = self.legs[a], self.open[t][a]
        flatten, leg.flatten = leg.flatten, False
        if leg.position == 0:
            return
        if flatten:
            self.taker_exit(t, a, opens, BREAKER, self.open_ts[t])
            leg.brackets_off()
        elif self.open_ts[t] >= leg.deadline:
            self.taker_exit(t, a, opens, TIME, self.open_ts[t])
            self.after_exit(a)

    def fill_order(self, t: int, a: int, order: Order, ts: int, offset: int) -> None:
        leg, spec = self.legs[a], self.specs[a]
        reference = self.reference_price(t, a, order, offset)
        goal = self.goal_at_fill(t, a, order, reference) if self.rules["at_fill"] else order.goal
        if order.brackets is None and leg.position == 0:
            return
        delta = self.step(spec, goal, leg.position)
        if delta != 0:
            delta = self.within_leverage(t, a, order.d, goal, delta, reference)
        if delta == 0:
            return
        before = leg.position
        reason = BAND if order.brackets is None else TARGET
        price = self.taker_fill(t, a, delta, reference, order.d, reason, ts, self.close[order.d][a])
        if offset > 0:
            leg.inside, leg.anchor = True, reference
        if order.brackets is not None:
            leg.stop, leg.take, leg.trail = order.brackets
            leg.extreme = price
            if self.rules["time_exit"] > 0 and leg.position != 0 and sign(leg.position) != sign(before):
                leg.deadline = ts + self.rules["time_exit"]

    @staticmethod
    def step(spec: Spec, goal: float, position: float) -> float:
        if abs(goal - position) <= 1e-12 * max(abs(goal), abs(position)):
            return 0.0
        return spec.whole_lots(goal - position)

    def reference_price(self, t: int, a: int, order: Order, offset: int) -> float:
        opens, sigma = self.open[t][a], self.sigma[order.d][a]
        if offset == 0 or isnan(sigma):
            return opens
        goal = self.goal_at_fill(t, a, order, opens) if self.rules["at_fill"] else order.goal
        position = self.legs[a].position
        side = 0 if abs(goal - position) <= 1e-12 * max(abs(goal), abs(position)) else sign(goal - position)
        adverse = self.rules["adverse"]
        z = opens * sigma * sqrt(offset / self.rules["horizon"]) * self.gauss[order.d][a]
        moved = opens + (1 - adverse) * z + adverse * side * abs(z)
        return min(max(moved, self.low[t][a]), self.high[t][a])

    def equity_at_fill(self, t: int, a: int, reference: float) -> float:
        total = self.cash
        for b, (leg, spec) in enumerate(zip(self.legs, self.specs, strict=True)):
            if leg.position != 0:
                x = reference if b == a else self.mark_open[t][b]
                total += spec.m * leg.position * spec.v(x)
        return total

    def goal_at_fill(self, t: int, a: int, order: Order, reference: float) -> float:
        spec = self.specs[a]
        notional = self.notional(order.size, self.equity_at_fill(t, a, reference))
        side = sign(notional)
        unit = spec.m * abs(spec.v(reference))
        return notional / (unit * (1 + side * self.rules["half_spread"]) * (1 + self.rules["taker"]))

    def within_leverage(self, t: int, a: int, d: int, goal: float, delta: float, reference: float) -> float:
        leg, spec = self.legs[a], self.specs[a]
        position = leg.position
        after = position + delta
        opposite = after * position < 0
        if not (abs(after) > abs(position) or opposite):
            return delta
        side, leverage, p = sign(delta), self.rules["leverage"], abs(position)
        price = reference * (1 + side * self.slip(d, a, abs(delta)))
        value = abs(spec.v(reference))
        c = side * (spec.v(price) - spec.v(reference)) / value + self.rules["taker"] * abs(spec.v(price)) / value
        equity = self.equity_at_fill(t, a, reference)
        other = 0.0
        for b, (another, contract) in enumerate(zip(self.legs, self.specs, strict=True)):
            if b != a and another.position != 0:
                other += contract.m * abs(another.position) * abs(contract.v(self.mark_open[t][b]))
        u = spec.m * value
        if opposite:
            q = (leverage * equity - leverage * c * u * p - other) / (u * (1 + leverage * c))
            least = 0.0
        else:
            q = (leverage * equity + leverage * c * u * p - other) / (u * (1 + leverage * c))
            least = p
        if abs(goal) <= q * (1 + 1e-12):
            return delta
        cut = self.step(spec, sign(goal) * max(q, least), position)
        return cut if abs(cut) > 1e-12 * abs(delta) else 0.0

    def slip(self, d: int, a: int, qty: float) -> float:
        sigma, volume = self.sigma[d][a], self.volume[d][a]
        impact = 0.0
        if not isnan(sigma) and not isnan(volume) and volume > 0:
            impact = self.specs[a].impact * sigma * sqrt(qty / volume)
        return min(self.rules["half_spread"] + impact, 0.99)

    def taker_fill(
        self, t: int, a: int, qty: float, reference: float, d: int, reason: int, ts: int, arrival: float
    ) -> float:
        spec, side = self.specs[a], sign(qty)
        price = reference * (1 + side * self.slip(d, a, abs(qty)))
        if side > 0:
            price = up(price, spec.tick)
        else:
            price = max(down(price, spec.tick), spec.tick)
        fee = spec.m * abs(qty) * abs(spec.v(price)) * self.rules["taker"]
        spread = spec.m * abs(qty) * abs(spec.v(reference)) * self.rules["half_spread"]
        impact = spec.m * qty * (spec.v(price) - spec.v(reference)) - spread
        self.record(t, a, reason, TAKER, ts, qty, price, reference, arrival, fee, spread, impact)
        self.apply(t, a, qty, price, fee)
        return price

    def taker_exit(self, t: int, a: int, reference: float, reason: int, ts: int) -> None:
        self.taker_fill(t, a, -self.legs[a].position, reference, t - 1, reason, ts, reference)

    def maker_exit(self, t: int, a: int, price: float, ts: int, level: float) -> None:
        spec, qty = self.specs[a], -self.legs[a].position
        reference, price = price, up(price, spec.tick) if qty > 0 else max(down(price, spec.tick), spec.tick)
        fee = spec.m * abs(qty) * abs(spec.v(price)) * self.rules["maker"]
        impact = spec.m * qty * (spec.v(price) - spec.v(reference))
        self.record(t, a, TAKE, MAKER, ts, qty, price, reference, level, fee, 0.0, impact)
        self.apply(t, a, qty, price, fee)

    def record(self, t, a, reason, liquidity, ts, qty, price, reference, arrival, fee, spread, impact) -> None:
        self.fills.append(
            {
                "asset": a,
                "liquidity": liquidity,
                "reason": reason,
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

    # Applying a fill

    def apply(self, t: int, a: int, qty: float, price: float, fee: float) -> None:
        leg, spec = self.legs[a], self.specs[a]
        self.cash -= spec.m * qty * spec.v(price) + fee
        before = leg.position
        after = before + qty
        if abs(after) < (spec.lot / 2 if spec.lot > 0 else 1e-12 * abs(qty)):
            after = 0.0
        leg.position = after
        if before == 0:
            leg.entry = price
            leg.trip = -fee
        elif sign(qty) == sign(before):
            leg.entry = self.average(spec, leg.entry, abs(before), price, abs(qty))
            leg.trip -= fee
        else:
            closed = min(abs(qty), abs(before))
            leg.trip += spec.m * closed * sign(before) * (spec.v(price) - spec.v(leg.entry))
            if after == 0:
                leg.trip -= fee
                self.end_trip(t, leg, spec.m * closed * abs(spec.v(price)))
            elif sign(after) == sign(before):
                leg.trip -= fee
            else:
                share = fee * abs(before) / abs(qty)
                leg.trip -= share
                self.end_trip(t, leg, spec.m * closed * abs(spec.v(price)))
                leg.trip = -(fee - share)
                leg.entry = price

    @staticmethod
    def average(spec: Spec, entry: float, held: float, price: float, added: float) -> float:
        if spec.inverse:
            return (held + added) / (held / entry + added / price)
        return (entry * held + price * added) / (held + added)

    def end_trip(self, t: int, leg: Leg, value_closed: float) -> None:
        self.trips += 1
        if abs(leg.trip) <= 1e-9 * value_closed:
            leg.trip = 0.0
        if leg.trip > 0:
            self.wins += 1
            self.won += leg.trip
            self.losses = 0
        elif leg.trip < 0:
            self.lost -= leg.trip
            self.losses += 1
            if self.rules["losses"] > 0 and self.losses >= self.rules["losses"]:
                self.cool_until = self.close_ts[t] + self.rules["cool_down"]
                self.losses = 0
        leg.trip = 0.0

    # 2. Gapped exits

    def stop_level(self, a: int) -> tuple[float | None, int]:
        leg, spec = self.legs[a], self.specs[a]
        side = sign(leg.position)
        fixed = leg.entry - side * leg.stop
        trailing = leg.extreme - side * leg.trail
        if isnan(leg.stop) and isnan(leg.trail):
            return None, STOP
        if isnan(leg.stop) or (not isnan(leg.trail) and side * trailing > side * fixed):
            level, reason = trailing, TRAIL
        else:
            level, reason = fixed, STOP
        level = down(level, spec.tick) if side > 0 else up(level, spec.tick)
        return (level if level > 0 else None), reason

    def take_level(self, a: int) -> float | None:
        leg, spec = self.legs[a], self.specs[a]
        if isnan(leg.take):
            return None
        if leg.position > 0:
            level = down(leg.entry + leg.take, spec.tick)
        else:
            level = up(leg.entry - leg.take, spec.tick)
        return level if level > 0 else None

    def traded_through(self, a: int, price: float, level: float) -> bool:
        tick = self.specs[a].tick
        if self.legs[a].position > 0:
            return price > level if tick == 0 else price >= level + tick * (1 - EPSILON)
        return price < level if tick == 0 else price <= level - tick * (1 - EPSILON)

    def exposed(self, t: int) -> list[int]:
        return [a for a, leg in enumerate(self.legs) if leg.position != 0 and self.trades(t, a)]

    def gapped_exits(self, t: int) -> None:
        for a in self.exposed(t):
            self.gapped_exit(t, a)

    def gapped_exit(self, t: int, a: int) -> None:
        leg = self.legs[a]
        stop, reason = self.stop_level(a)
        take = self.take_level(a)
        long = leg.position > 0
        if stop is not None and (leg.anchor <= stop if long else leg.anchor >= stop):
            self.taker_exit(t, a, leg.anchor, reason, self.within(t) if leg.inside else self.open_ts[t])
            self.after_exit(a)
        elif take is not None and not leg.inside and self.traded_through(a, self.open[t][a], take):
            self.maker_exit(t, a, self.open[t][a], self.open_ts[t], self.open[t][a])
            self.after_exit(a)

    def within(self, t: int) -> int:
        """When an exit inside the bar is said to have happened."""
        return self.close_ts[t] - 1

    def after_exit(self, a: int) -> None:
        leg = self.legs[a]
        leg.brackets_off()
        leg.wanted = nan
        leg.working = None

    # 3. Liquidation

    def liquidation(self, t: int) -> None:
        held = [a for a, leg in enumerate(self.legs) if leg.position != 0]
        if not held:
            return
        begin, end = {}, {}
        for a in held:
            leg, spec = self.legs[a], self.specs[a]
            first = leg.anchor if leg.inside else self.mark_open[t][a]
            last = first
            if self.trades(t, a):
                last = min(first, self.mark_low[t][a]) if leg.position > 0 else max(first, self.mark_high[t][a])
            begin[a], end[a] = spec.v(first), spec.v(last)
        spare_begin, spare_end = self.spare(begin), self.spare(end)
        if spare_end > 0:
            return
        theta = 0.0 if spare_begin <= 0 else spare_begin / (spare_begin - spare_end)
        values = {a: begin[a] + theta * (end[a] - begin[a]) for a in held}
        self.liquidate(t, values, theta == 0.0)

    def spare(self, values: dict[int, float]) -> float:
        """Equity less what maintenance needs, at these v."""
        equity, need = self.cash, 0.0
        for a, v in values.items():
            leg, spec = self.legs[a], self.specs[a]
            equity += spec.m * leg.position * v
            need += spec.maintenance * spec.m * abs(leg.position) * abs(v)
        return equity - need

    def liquidate(self, t: int, values: dict[int, float], at_start: bool) -> None:
        self.close_at_marks(t, values, self.rules["liquidation_fee"], at_start)
        if self.cash < 0:
            self.shortfall -= self.cash
            self.cash = 0.0
        for leg in self.legs:
            leg.forget()

    def close_at_marks(self, t: int, values: dict[int, float], rate: float, at_start: bool) -> None:
        for a, v in values.items():
            self.cash += self.specs[a].m * self.legs[a].position * v
        for a, v in values.items():
            leg, spec = self.legs[a], self.specs[a]
            held, price = leg.position, spec.price(v)
            fee = min(rate * spec.m * abs(held) * abs(v), max(self.cash, 0.0))
            self.cash -= fee
            self.liquidation_fees += fee
            ts = self.open_ts[t] if at_start and not leg.inside else self.within(t)
            self.record(t, a, LIQUIDATION, VENUE, ts, -held, price, price, price, 0.0, 0.0, 0.0)
            leg.trip += spec.m * held * (v - spec.v(leg.entry)) - fee
            leg.position = 0.0
            leg.brackets_off()
            self.end_trip(t, leg, spec.m * abs(held) * abs(v))

    # 4. Stop, 5. Take, 6. Trail, asset by asset

    def stop(self, t: int, a: int) -> None:
        leg = self.legs[a]
        level, reason = self.stop_level(a)
        if level is None:
            return
        if leg.position > 0:
            touched = min(self.low[t][a], leg.anchor) <= level
        else:
            touched = max(self.high[t][a], leg.anchor) >= level
        if touched:
            self.taker_exit(t, a, level, reason, self.within(t))
            self.after_exit(a)

    def take(self, t: int, a: int) -> None:
        leg, level = self.legs[a], self.take_level(a)
        if level is None or leg.inside or leg.position == 0:
            return
        if self.traded_through(a, self.high[t][a] if leg.position > 0 else self.low[t][a], level):
            self.maker_exit(t, a, level, self.within(t), level)
            self.after_exit(a)

    def trail(self, t: int, a: int) -> None:
        leg = self.legs[a]
        if leg.position > 0 and not leg.inside:
            leg.extreme = max(leg.extreme, self.high[t][a])
        elif leg.position < 0 and not leg.inside:
            leg.extreme = min(leg.extreme, self.low[t][a])

    # 7. Close

    def at_close(self, t: int) -> None:
        marks = {
            a: spec.v(self.mark_close[t][a])
            for a, (leg, spec) in enumerate(zip(self.legs, self.specs, strict=True))
            if leg.position != 0
        }
        self.equity = self.cash
        for a, v in marks.items():
            self.equity += self.specs[a].m * self.legs[a].position * v
        if self.equity <= 0:
            self.close_at_marks(t, marks, 0.0, False)
            self.shortfall -= self.cash
            self.cash = self.equity = 0.0
            self.halted = True

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
        for leg in self.legs:
            leg.flatten = leg.position != 0
            leg.forget()

    def end_of_day(self, t: int) -> None:
        if self.day_end[t] or t == self.last:
            self.day_equity = self.equity

    def blocked(self, t: int) -> bool:
        return self.close_ts[t] < self.blocked_until

    def cooling(self, t: int) -> bool:
        return self.close_ts[t] < self.cool_until

    # 9. Decision

    def decide(self, t: int) -> None:
        fresh = {a: self.intents[t, a] for a in range(len(self.legs)) if (t, a) in self.intents}
        for a, intent in fresh.items():
            self.legs[a].held = intent
            self.legs[a].working = None
        for a, leg in enumerate(self.legs):
            if leg.held is not None:
                self.decide_held(t, a)
        for a in range(len(self.legs)):
            if a not in fresh:
                self.band(t, a)

    def decide_held(self, t: int, a: int) -> None:
        leg = self.legs[a]
        held = leg.held
        if self.blocked(t) or not self.trades(t, a) or isnan(self.mark_close[t][a]):
            return
        size, goal = held["size"], self.goal_now(t, a, held["size"])
        brackets = (held["stop"], held["take"], held["trail"])
        if self.cooling(t) and size != 0:
            if goal * leg.position < 0:
                self.send(t, a, 0.0, 0.0, brackets)
                return
            if not (goal * leg.position > 0 and abs(goal) <= abs(leg.position)):
                return
        self.send(t, a, goal, size, brackets)
        leg.held = None
        leg.wanted = size

    def notional(self, size: float, equity: float) -> float:
        if equity <= 0:
            return 0.0
        notional = size if self.rules["size"] == NOTIONAL else size * equity
        most = self.rules["max_position"] * equity
        return min(max(notional, -most), most)

    def goal_now(self, t: int, a: int, size: float) -> float:
        spec = self.specs[a]
        return self.notional(size, self.equity) / (spec.m * abs(spec.v(self.close[t][a])))

    def send(self, t: int, a: int, goal: float, size: float, brackets: tuple[float, float, float] | None) -> None:
        leg = self.legs[a]
        if self.step(self.specs[a], goal, leg.position) == 0 and not leg.flight and not leg.flatten:
            return
        leg.flight.append(Order(t, self.arrive[t][a], goal, size, brackets))

    def band(self, t: int, a: int) -> None:
        leg, spec = self.legs[a], self.specs[a]
        busy = leg.flight or leg.working is not None or leg.held is not None
        if busy or self.blocked(t) or self.cooling(t) or not self.trades(t, a):
            return
        if isnan(leg.wanted) or leg.wanted == 0 or leg.position == 0:
            return
        weight = spec.m * leg.position * abs(spec.v(self.close[t][a])) / self.equity
        wanted = self.notional(leg.wanted, self.equity) / self.equity
        if abs(weight - wanted) > self.rules["band"]:
            self.send(t, a, self.goal_now(t, a, leg.wanted), leg.wanted, None)


STAMP_FIELDS = ("ts", "row", "asset", "rate", "mark")


def max_drawdown(equity: Sequence[float], peak: float) -> float:
    worst = 0.0
    for value in equity:
        peak = max(peak, value)
        worst = max(worst, 1 - value / peak)
    return worst
