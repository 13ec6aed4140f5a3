"""Order flow on books of dictionaries, event by event, sharing no code with the kernel."""

import math


def geometric(drawn, mean):
    return 1 if mean <= 1 else 1 + math.floor(math.log(drawn) / math.log(1 - 1 / mean))


class FlowBook:
    """A day of `Flows` and a `FeedDelay`, from draws of (E,), (E, 3) and (E, 4)."""

    def __init__(self, flows, delay, price):
        self.flows, self.delay = flows, delay
        self.sides = {1: {}, -1: {}}
        self.log_price, self.signal = math.log(price), 0.0
        self.local = 0
        self.rows, self.trades = [], []

    def best(self, side):
        held = self.sides[side]
        return (max(held) if side == 1 else min(held)) if held else None

    def show(self, time, side, tick):
        self.message.append([time, self.now_local, side, tick, self.sides[side].get(tick, 0)])

    def take(self, time, side, tick, lots):
        """An aggressor of `side` takes lots at a tick of the other side."""
        left = self.sides[-side][tick] - lots
        self.trades.append([time, self.now_local, side, tick, lots])
        if left:
            self.sides[-side][tick] = left
        else:
            del self.sides[-side][tick]
        self.show(time, -side, tick)

    def day(self, waits, normals, uniforms, begin, end):
        f, d = self.flows, self.delay
        rate = f.limits + f.cancels + f.markets
        decay, time = math.log(2) / f.half_life, begin
        for wait, normal, (what, u0, u1, u2) in zip(waits, normals, uniforms, strict=True):
            step = int(wait / rate * 1e6) * 1000 + 1000
            time += step
            if time >= end:
                return
            seconds = step * 1e-9
            self.log_price += f.sigma * (f.signal * self.signal * seconds + math.sqrt(seconds) * normal[0])
            kept = math.exp(-decay * seconds)
            self.signal = kept * self.signal + math.sqrt(1 - kept * kept) * normal[1]
            fair = math.exp(self.log_price) / f.tick_size
            late = d.base_ms * 1e6 + d.median_ms * 1e6 * math.exp(d.spread * normal[2])
            self.now_local, self.message = max(self.local, time + int(late)), []
            informed = False
            for side in (1, -1):
                while (best := self.best(-side)) is not None and (best - fair) * side < -f.half_spread:
                    self.take(time, side, best, self.sides[-side][best])
                    informed = True
            kind = what * rate
            if informed:
                pass
            elif kind < f.limits:
                side = 1 if u0 < 0.5 else -1
                away = f.half_spread + geometric(u1, f.depth + 1) - 1
                tick = math.floor(fair - away) if side == 1 else math.ceil(fair + away)
                other = self.best(-side)
                if other is not None:
                    tick = min(tick, other - 1) if side == 1 else max(tick, other + 1)
                self.sides[side][tick] = self.sides[side].get(tick, 0) + geometric(u2, f.lots)
                self.show(time, side, tick)
            elif kind < f.limits + f.cancels:
                side = 1 if u0 < 0.5 else -1
                if (best := self.best(side)) is not None:
                    tick = best - side * (geometric(u1, f.depth + 1) - 1)
                    if tick in self.sides[side]:
                        left = self.sides[side][tick] - geometric(u2, f.lots)
                        self.sides[side][tick] = left
                        if left <= 0:
                            del self.sides[side][tick]
                        self.show(time, side, tick)
            else:
                side = 1 if u0 < 1 / (1 + math.exp(-f.lean * self.signal)) else -1
                left = geometric(u1, f.taken)
                while left > 0 and (best := self.best(-side)) is not None:
                    lots = min(left, self.sides[-side][best])
                    left -= lots
                    self.take(time, side, best, lots)
            if self.message:
                self.rows += [[*row, int(k == len(self.message) - 1)] for k, row in enumerate(self.message)]
                self.local = self.now_local
