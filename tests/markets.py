"""Markets, intents and rules for the bar kernel and its naive twin: random, drawn, and to check by hand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from wfbt.kernels.abi import (
    ASSET,
    FEE,
    INTENT,
    LIMIT,
    SLICE,
    STAMP,
    TIER,
    Act,
    Activity,
    Bound,
    Rules,
    Schedule,
    Size,
    Tape,
    Venue,
)

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MONDAY = 19_723 * DAY  # 2024-01-01

FEATURES = (
    "wild",  # bars that move by a tenth or more, with jumps between them
    "jumps",
    "missing",
    "late",  # an asset that is listed after the first row
    "marks",  # marks that differ from the bars
    "unknown",  # sigma and volume NaN or zero on some rows
    "calm",  # no sigma anywhere: no impact
    "thin",  # volume so small that impact reaches its cap
    "ticks",
    "off_grid",  # prices between the ticks
    "lots",
    "inverse",
    "latency",
    "slow",  # latency of several bars, with orders overtaking each other
    "uneven",  # rows of different length with gaps between them
    "sparse",  # decisions on some rows only
    "eager",  # targets on most rows
    "stamps",
    "brackets",
    "costs",
    "at_fill",
    "notional",
    "band",
    "max_position",
    "leverage",  # targets beyond what leverage allows
    "time_exit",
    "daily_loss",
    "drawdown",
    "cooldown",
)
# What market orders on their own do not meet.
ORDER_FEATURES = (
    "limits",  # near the market on both sides: marketable, touched, traded through
    "triggers",
    "stop_limits",
    "oco",
    "expire",
    "post_only",
    "participation",  # orders of several times what a row trades
    "hourly",  # rows shorter than an hour, capped by the clock hour's volume
    "slices",
    "pov",
    "iceberg",
    "min_interval",
    "max_open",
    "ratchet",
    "follow",
    "delisted",
    "fee_tiers",
    "margin_tiers",
    "isolated",
    "bounds",
)
SCHEDULES = ("slices", "pov", "iceberg")
# A scheduled order has one leg, no trigger, and is never post-only.
_UNSCHEDULED = frozenset({"triggers", "stop_limits", "oco", "post_only"})
# Features that do nothing without others.
_NEEDS = {
    "post_only": "limits",
    "expire": "limits",
    "min_interval": "eager",
    "max_open": "limits",
    "ratchet": "brackets",
    "follow": "brackets",
    "fee_tiers": "costs",
    "margin_tiers": "leverage",
    "isolated": "leverage",
}
_SHARE = {
    "wild": 0.35,
    "calm": 0.15,
    "thin": 0.15,
    "late": 0.2,
    "inverse": 0.25,
    "notional": 0.25,
    "max_position": 0.3,
    "daily_loss": 0.3,
    "drawdown": 0.2,
}


# No limit, no trigger, no other leg; never lapses, is not sliced.
MARKET_ORDER = (np.nan, np.nan, np.nan, np.nan, np.nan, 2**63 - 1, 0, 0)


@dataclass(frozen=True, repr=False)
class Case:
    """What one lane of the kernel, and its twin, replay."""

    tape: Tape
    intents: np.ndarray  # (N,) INTENT, sorted by (row, asset)
    stamps: np.ndarray  # (K,) STAMP, sorted by (row, asset, ts)
    assets: np.ndarray  # (A,) ASSET
    rules: Rules
    activity: Activity = None  # type: ignore[assignment]  # nothing asks for any when it is left out
    venue: Venue = None  # type: ignore[assignment]  # plain when it is left out

    def __post_init__(self) -> None:
        if self.activity is None:
            object.__setattr__(self, "activity", quiet_activity(self.tape))
        if self.venue is None:
            object.__setattr__(self, "venue", plain_venue(self.assets, self.rules))
        for array in self.activity:
            array.flags.writeable = False

    def __repr__(self) -> str:
        rows, assets = self.tape.open.shape
        return f"Case({rows} rows, {assets} assets, {len(self.intents)} intents, {self.rules})"

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        """What Hypothesis prints of a failing case; of itself it would print every array."""
        printer.text(repr(self))  # type: ignore[attr-defined]


def quiet_activity(tape: Tape) -> Activity:
    """What no cap, trail or limit asks for: one element per axis, whatever the tape."""
    table = np.full((1, 1), np.nan)
    return Activity(
        traded=table,
        hourly=table,
        follow=table,
        depth=table,
        volatility=table,
        ended=np.zeros(1, np.int64),
        days=table,
        correlations=np.full((1, 1, 1), np.nan),
    )


def plain_venue(assets: np.ndarray, rules: Rules) -> Venue:
    """One margin tier per asset, no fee tiers, no exposure limits, nothing delisted, no slices."""
    tiers = np.zeros((len(assets), 1), TIER)
    tiers["cap"] = np.inf
    tiers["rate"] = assets["maintenance"][:, None]
    return Venue(
        tiers=tiers,
        fees=np.zeros(0, FEE),
        bounds=np.array([(np.inf, int(Act.CAP))] * len(Bound), LIMIT),
        final=np.full(len(assets), -1, np.int64),
        slices=np.zeros(0, SLICE),
    )


def random_case(rng: np.random.Generator, assets: int | None = None, rows: int | None = None) -> Case:
    """A case with features of its own; the same generator state gives the same case.

    Four in ten have market orders only, three in ten one of the features beyond them, the others some.
    """
    rows = int(rng.integers(2, 81)) if rows is None else rows
    assets = int(rng.integers(1, 5)) if assets is None else assets
    features = {name for name in FEATURES if rng.random() < _SHARE.get(name, 0.5)}
    kind = rng.random()
    if kind >= 0.7:
        features |= {name for name in ORDER_FEATURES if rng.random() < 0.3}
    elif kind >= 0.4:
        features.add(str(rng.choice(ORDER_FEATURES)))
    return build(rng, rows, assets, frozenset(features))


@st.composite
def cases(draw: st.DrawFn, max_rows: int = 80, max_assets: int = 4) -> Case:
    """Cases whose structure is drawn, so that a failure shrinks to few rows, assets and features."""
    rows = draw(st.integers(2, max_rows))
    assets = draw(st.integers(1, max_assets))
    features = {name for name in FEATURES if draw(st.booleans())}
    beyond = draw(st.integers(0, 2))
    if beyond == 1:
        features.add(draw(st.sampled_from(ORDER_FEATURES)))
    elif beyond == 2:
        features |= set(draw(st.lists(st.sampled_from(ORDER_FEATURES), unique=True, max_size=8)))
    return build(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), rows, assets, frozenset(features))


def build(rng: np.random.Generator, rows: int, assets: int, features: frozenset[str]) -> Case:
    """Draw one case that has these features, those they need, and none that they exclude."""
    features = _consistent(rng, features)
    period = int(rng.choice([MINUTE, HOUR, 6 * HOUR, DAY], p=[0.1, 0.5, 0.3, 0.1]))
    if "hourly" in features:
        period = int(rng.choice([5, 15, 20])) * MINUTE
    elif "fee_tiers" in features:
        period = int(rng.choice([3 * HOUR, 6 * HOUR, DAY]))
    open_ts, close_ts = _clock(rng, rows, period, features)
    decision = rng.random(rows) < rng.choice([0.3, 0.7]) if "sparse" in features else np.ones(rows, bool)
    vol = float(rng.choice([0.08, 0.2]) if "wild" in features else rng.choice([0.002, 0.01, 0.03]))
    inverse = "inverse" in features
    cash = 2.0 if inverse else 10_000.0
    level = np.array([rng.choice([1.0, 100.0, 20_000.0]) for _ in range(assets)])
    spec = _specs(rng, level, cash, inverse, features)

    bars = np.empty((4, rows, assets))
    marks = np.empty((4, rows, assets))
    final = np.full(assets, -1, np.int64)
    for a in range(assets):
        bars[:, :, a] = _bars(rng, rows, level[a], vol, spec["tick"][a], features)
        absent = _absent(rng, rows, features)
        if "delisted" in features and rows > 2 and rng.random() < 0.6:
            # The row after which the bars end is the last that has one.
            present = np.flatnonzero(~absent[: int(rng.integers(1, rows - 1)) + 1])
            if len(present) > 0:
                final[a] = present[-1]
                absent[final[a] + 1 :] = True
        marks[:, :, a] = _marks(rng, bars[:, :, a], vol, absent, features)
        bars[:, absent, a] = np.nan

    sigma, volume = _impact_inputs(rng, (rows, assets), vol, level, spec, cash, features)
    arrive = _arrivals(rng, close_ts, assets, period, features)
    tape = tape_of(
        open_ts, close_ts, bars, marks, sigma, volume, arrive, rng.standard_normal((rows, assets)), decision=decision
    )
    rules = _rules(rng, cash, period, features)
    intents, slices = _intents(rng, tape, rules, level, vol, period, features)
    stamps = _stamps(rng, tape, level, features)
    unit = np.where(spec["inverse"] == 1.0, spec["multiplier"] / level, spec["multiplier"] * level)
    activity = _activity(rng, tape, rules, cash / unit, vol, features)
    venue = plain_venue(spec, rules)._replace(
        final=final, slices=slices, **_tiers_and_bounds(rng, assets, cash, level, inverse, vol, features)
    )
    if venue.bounds["most"][[Bound.VAR, Bound.CVAR, Bound.CORRELATED]].min() < np.inf:
        activity = activity._replace(**_history(rng, tape, vol))
        rules = rules._replace(
            correlated_at=float(rng.choice([0.0, 0.3, 0.7])),
            tail=float(rng.choice([0.05, 0.1])),
            window=int(rng.choice([30, 36, 250])),
        )
    if rng.random() < 0.2:  # the spread widens on some rows
        activity = activity._replace(wider=rng.choice([1.0, 10.0], rows))
    return Case(tape, intents, stamps, spec, rules, activity, venue)


def _consistent(rng: np.random.Generator, features: frozenset[str]) -> frozenset[str]:
    """One schedule at most; either it or the orders that it excludes."""
    drawn = set(features)
    schedules = [name for name in SCHEDULES if name in drawn]
    if schedules:
        drawn -= set(schedules)
        if not drawn & _UNSCHEDULED or rng.random() < 0.5:
            drawn -= _UNSCHEDULED
            drawn.add(schedules[int(rng.integers(len(schedules)))])
    for name, needed in _NEEDS.items():
        if name in drawn:
            drawn.add(needed)
    return frozenset(drawn)


def tape_of(
    open_ts: Any,
    close_ts: Any,
    bars: np.ndarray,
    marks: np.ndarray,
    sigma: Any,
    volume: Any,
    arrive: Any,
    gauss: Any,
    *,
    decision: Any = True,
) -> Tape:
    """Pack arrays into the kernel's tape; `bars` and `marks` are (4, T, A), open high low close."""
    shape = bars.shape[1:]
    day = (np.asarray(close_ts) - 1) // DAY
    packed = Tape(
        open_ts=np.ascontiguousarray(open_ts, dtype=np.int64),
        close_ts=np.ascontiguousarray(close_ts, dtype=np.int64),
        decision=np.array(np.broadcast_to(decision, shape[0]), dtype=np.bool_),
        day_end=np.append(np.diff(day) != 0, False),
        open=np.array(bars[0]),
        high=np.array(bars[1]),
        low=np.array(bars[2]),
        close=np.array(bars[3]),
        mark_open=np.array(marks[0]),
        mark_high=np.array(marks[1]),
        mark_low=np.array(marks[2]),
        mark_close=np.array(marks[3]),
        sigma=np.array(np.broadcast_to(sigma, shape), dtype=np.float64),
        volume=np.array(np.broadcast_to(volume, shape), dtype=np.float64),
        arrive=np.array(np.broadcast_to(arrive, shape), dtype=np.int64),
        gauss=np.array(np.broadcast_to(gauss, shape), dtype=np.float64),
    )
    for array in packed:
        array.flags.writeable = False
    return packed


def _clock(rng: np.random.Generator, rows: int, period: int, features: frozenset[str]) -> tuple[np.ndarray, np.ndarray]:
    length, gap = np.full(rows, period), np.zeros(rows, np.int64)
    if "uneven" in features:
        length = rng.choice([period // 4, period // 2, period, 2 * period], rows)
        gap = np.where(rng.random(rows) < 0.3, rng.choice([period // 4, period, 3 * period], rows), 0)
    start = MONDAY + int(rng.integers(0, 24)) * HOUR
    close_ts = start + np.cumsum(length + gap)
    return close_ts - length, close_ts


def _specs(
    rng: np.random.Generator, level: np.ndarray, cash: float, inverse: bool, features: frozenset[str]
) -> np.ndarray:
    spec = np.zeros(len(level), ASSET)
    for a, price in enumerate(level):
        multiplier = float(rng.choice([1.0, 100.0] if inverse else [1.0, 1.0, 0.1, 10.0]))
        unit = multiplier / price if inverse else multiplier * price
        some = 10.0 ** round(np.log10(cash / unit))
        tick = float(rng.choice([1e-4, 1e-3, 5e-3])) * price if "ticks" in features and rng.random() < 0.8 else 0.0
        lot = float(rng.choice([1e-3, 0.01, 0.1, 0.5])) * some if "lots" in features and rng.random() < 0.8 else 0.0
        temporary = float(rng.choice([0.05, 0.1, 0.5])) if "costs" in features else 0.0
        maintenance = float(rng.choice([0.001, 0.005, 0.05]))
        spec[a] = (multiplier, float(inverse), tick, lot, temporary, temporary / 2, maintenance)
    return spec


def _bars(
    rng: np.random.Generator, rows: int, level: float, vol: float, tick: float, features: frozenset[str]
) -> np.ndarray:
    """(4, T): a random walk with open high low close, on the tick grid unless off it."""
    gap = rng.normal(0.0, vol / 3, rows) * (rng.random(rows) < 0.5)
    if "jumps" in features or "wild" in features:
        gap += (rng.random(rows) < 0.06) * rng.normal(0.0, rng.choice([0.1, 0.6]), rows)
    body = rng.normal(rng.choice([-0.2, 0.0, 0.2]) * vol, vol, rows)
    path = np.cumsum(gap + body)
    close, open_ = level * np.exp(path), level * np.exp(path - body)
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0.0, vol / 2, rows)) * (rng.random(rows) < 0.8))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0.0, vol / 2, rows)) * (rng.random(rows) < 0.8))
    bars = np.stack([open_, high, low, close])
    if tick > 0 and "off_grid" not in features:
        bars = np.maximum(np.round(bars / tick), 1.0) * tick
    return bars


def _absent(rng: np.random.Generator, rows: int, features: frozenset[str]) -> np.ndarray:
    absent = np.zeros(rows, bool)
    if "missing" in features:
        absent = rng.random(rows) < rng.choice([0.05, 0.3])
        absent[0] = False
    if "late" in features and rng.random() < 0.5:
        absent[: int(rng.integers(1, rows))] = True
    return absent


def _marks(
    rng: np.random.Generator, bars: np.ndarray, vol: float, absent: np.ndarray, features: frozenset[str]
) -> np.ndarray:
    marks = bars.copy()
    if "marks" in features and rng.random() < 0.8:
        rows = bars.shape[1]
        open_, close = (bars[k] * np.exp(rng.normal(0.0, vol / 4, rows)) for k in (0, 3))
        high = np.maximum(np.maximum(open_, close), bars[1] * np.exp(rng.normal(0.0, vol / 4, rows)))
        low = np.minimum(np.minimum(open_, close), bars[2] * np.exp(rng.normal(0.0, vol / 4, rows)))
        marks = np.stack([open_, high, low, close])
    last = np.nan
    for t in range(bars.shape[1]):
        if absent[t]:
            marks[:, t] = last
        last = marks[3, t]
    return marks


def _impact_inputs(
    rng: np.random.Generator,
    shape: tuple[int, int],
    vol: float,
    level: np.ndarray,
    spec: np.ndarray,
    cash: float,
    features: frozenset[str],
) -> tuple[np.ndarray, np.ndarray]:
    sigma = vol * rng.choice([1.0, 5.0]) * np.exp(rng.normal(0.0, 0.3, shape))
    unit = np.where(spec["inverse"] == 1.0, spec["multiplier"] / level, spec["multiplier"] * level)
    volume = cash / unit * 10.0 ** (rng.uniform(0.0, 4.0, shape) - (5.0 if "thin" in features else 0.0))
    if "unknown" in features:
        sigma[: int(rng.integers(0, 4))] = np.nan
        volume[: int(rng.integers(0, 4))] = np.nan
        sigma[rng.random(shape) < 0.1] = np.nan
        volume[rng.random(shape) < 0.1] = np.nan
        volume[rng.random(shape) < 0.1] = 0.0
    if "calm" in features:
        sigma[:] = np.nan
    return sigma, volume


def _arrivals(
    rng: np.random.Generator, close_ts: np.ndarray, assets: int, period: int, features: frozenset[str]
) -> np.ndarray:
    shape = (len(close_ts), assets)
    delay = np.zeros(shape)
    if "slow" in features:
        delay = rng.uniform(0.0, 3.5, shape)
        delay = np.where(rng.random(shape) < 0.2, np.round(delay), delay)
    elif "latency" in features:
        delay = rng.uniform(0.0, 0.9, shape) * (rng.random(shape) < 0.8)
    return close_ts[:, None] + (delay * period).astype(np.int64)


def _rules(rng: np.random.Generator, cash: float, period: int, features: frozenset[str]) -> Rules:
    costs = "costs" in features
    return Rules(
        cash=cash,
        leverage=10.0
        if "margin_tiers" in features
        else float(rng.choice([1.0, 2.0, 3.0, 5.0, 10.0], p=[0.15, 0.15, 0.2, 0.2, 0.3])),
        # Never as much as maintenance: what is left after a liquidation would be the noise of two equal sums.
        liquidation_fee=float(rng.choice([0.0, 0.003, 0.02])),
        maker=float(rng.choice([0.0002, -0.0001])) if costs else 0.0,
        taker=float(rng.choice([0.0005, 0.001, 0.01])) if costs else 0.0,
        half_spread=float(rng.choice([0.0, 0.00005, 0.005])) if costs else 0.0,
        horizon=float(DAY),
        adverse=float(rng.choice([0.0, 0.5, 1.0])),
        size=int(Size.NOTIONAL if "notional" in features else Size.EQUITY),
        at_fill="at_fill" in features,
        max_position=float(rng.choice([0.5, 1.0, 2.0])) if "max_position" in features else np.inf,
        band=float(rng.choice([0.001, 0.01, 0.1])) if "band" in features else np.inf,
        time_exit=int(rng.choice([period // 2, period, 3 * period, 7 * period + 1])) if "time_exit" in features else 0,
        daily_loss=float(rng.choice([0.005, 0.03, 0.1])) if "daily_loss" in features else np.inf,
        drawdown=float(rng.choice([0.05, 0.3])) if "drawdown" in features else np.inf,
        losses=int(rng.integers(1, 4)) if "cooldown" in features else 0,
        cool_down=int(rng.choice([period // 2, 2 * period, 10 * period])),
        **_order_rules(rng, cash, period, features),
    )


def _order_rules(rng: np.random.Generator, cash: float, period: int, features: frozenset[str]) -> dict[str, Any]:
    """What is not off of the rules that market orders on their own do not need."""
    rules: dict[str, Any] = {"isolated": "isolated" in features, "post_only": "post_only" in features}
    rules["follow"] = "follow" in features
    if "participation" in features:
        rules["participation"] = float(rng.choice([0.05, 0.3, 1.0]))
    if "hourly" in features:
        rules["hourly"] = float(rng.choice([0.05, 0.3, 1.0]))
    if features & {"limits", "stop_limits", "oco"}:
        rules["touch"] = float(rng.choice([0.0, 0.1, 1.0]))
    if "min_interval" in features:
        rules["min_interval"] = int(rng.choice([period // 2, 2 * period, 5 * period]))
    if "max_open" in features:
        rules["max_open"] = int(rng.choice([1, 1, 2, 3]))
    for name, schedule in zip(SCHEDULES, (Schedule.SLICES, Schedule.POV, Schedule.ICEBERG), strict=True):
        if name in features:
            rules["schedule"] = int(schedule)
            rules["share"] = float(rng.choice([0.1, 0.3, 0.5]))
    if "fee_tiers" in features:
        rules["monthly"] = cash * float(rng.choice([0.0, 1.0, 10.0]))
    if "ratchet" in features:
        rules["ratchet_after"] = float(rng.choice([0.25, 0.5, 1.0]))
        rules["ratchet_keep"] = float(rng.choice([0.0, 0.5, 0.9]))
    return rules


def _intents(
    rng: np.random.Generator,
    tape: Tape,
    rules: Rules,
    level: np.ndarray,
    vol: float,
    period: int,
    features: frozenset[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Targets that differ from the last one, as the lowering of a policy emits them, and their slices."""
    share = float(rng.choice([0.6, 0.95])) if "eager" in features else float(rng.choice([0.08, 0.25]))
    scale = rules.cash if rules.size == Size.NOTIONAL else 1.0
    common = np.array([0.0, 0.0, 0.3, -0.3, 0.5, 1.0, -1.0])
    rows, last = [], np.zeros(len(level))
    slices: list[tuple[int, float]] = []

    def draw_size() -> float:
        size = float(rng.choice(common)) if rng.random() < 0.7 else float(rng.normal())
        size *= float(rng.uniform(0.5, 2.0)) * rules.leverage if "leverage" in features else 1.0
        return size * scale

    for t in np.flatnonzero(tape.decision):
        for a in range(len(level)):
            if rng.random() >= share:
                continue
            size = draw_size()
            if size == last[a]:
                continue
            last[a] = size
            brackets = [np.nan, np.nan, np.nan]
            price = tape.close[t, a] if np.isfinite(tape.close[t, a]) else level[a]
            if "brackets" in features:
                reach = price * vol * rng.uniform(0.2, 4.0, 3)
                reach = np.where(rng.random(3) < 0.03, price * 1.5, reach)
                brackets = list(np.where(rng.random(3) < 0.6, reach, np.nan))
            order = list(MARKET_ORDER)
            kinds = [name for name in ("limits", "triggers", "stop_limits") if name in features]
            if kinds and rng.random() < 0.8:
                order[0:2] = _leg_prices(rng, tape, t, a, price, vol, str(rng.choice(kinds)))
            if "oco" in features and rng.random() < 0.7:
                legs = ("limits", "triggers", "stop_limits")
                order[0:2] = _leg_prices(rng, tape, t, a, price, vol, str(rng.choice(legs)))
                other = draw_size() if rng.random() < 0.7 else size
                order[2:5] = (other, *_leg_prices(rng, tape, t, a, price, vol, str(rng.choice(legs))))
            if "expire" in features and rng.random() < 0.7:
                last_row = min(t + int(rng.integers(1, 6)), len(tape.open_ts) - 1)
                anywhere = int(tape.close_ts[t]) + int(rng.uniform(0.0, 4.0) * period)
                order[5] = anywhere if rng.random() < 0.5 else int(tape.open_ts[last_row])
            if "slices" in features and rng.random() < 0.9:
                order[6:8] = _slices(rng, int(tape.close_ts[t]), period, slices)
            rows.append((t, a, size, *brackets, *order))
    return np.array(rows, INTENT), np.array(slices, SLICE)


def _leg_prices(
    rng: np.random.Generator, tape: Tape, t: int, a: int, price: float, vol: float, kind: str
) -> tuple[float, float]:
    """Limit and trigger of a leg, near the market; some exactly where a bar to come turns."""

    def near(centre: float, reach: float) -> float:
        if rng.random() < 0.3:
            row = min(t + int(rng.integers(1, 4)), len(tape.open_ts) - 1)
            turn = (tape.low if rng.random() < 0.5 else tape.high)[row, a]
            if np.isfinite(turn):
                return float(turn)
        return float(centre * np.exp(rng.normal(0.0, reach)))

    if kind == "limits":
        return near(price, vol), np.nan
    trigger = near(price, vol)
    return (near(trigger, vol / 2), trigger) if kind == "stop_limits" else (np.nan, trigger)


def _slices(rng: np.random.Generator, begin: int, period: int, slices: list[tuple[int, float]]) -> tuple[int, int]:
    """Append the slices of one intent, on the clock or anywhere; some shares do not grow."""
    first, count = len(slices), int(rng.integers(1, 7))
    step = period if rng.random() < 0.5 else int(rng.integers(period // 3, 2 * period))
    begin += 0 if rng.random() < 0.6 else int(rng.integers(0, 2 * period))
    parts = rng.random(count) * (rng.random(count) < 0.8)
    parts[0] += 0.1
    shares = np.cumsum(parts) / parts.sum()
    shares[-1] = 1.0
    slices.extend((begin + k * step, float(min(share, 1.0))) for k, share in enumerate(shares))
    return first, len(slices)


def _activity(
    rng: np.random.Generator, tape: Tape, rules: Rules, some: np.ndarray, vol: float, features: frozenset[str]
) -> Activity:
    """Volumes of a fraction to a few times what the cash buys (`some`), trailing distances, depth and volatility."""
    shape, activity = tape.open.shape, quiet_activity(tape)
    trades = np.isfinite(tape.open)
    traded = np.where(trades, some * 10.0 ** rng.uniform(-2.5, 0.5, shape), 0.0)
    traded[trades & (rng.random(shape) < 0.05)] = 0.0
    if "unknown" in features:
        traded[rng.random(shape) < 0.1] = np.nan
    if rules.participation < np.inf or rules.schedule == Schedule.POV or rules.touch > 0:
        activity = activity._replace(traded=traded)
    if rules.hourly < np.inf:
        hours, hourly = tape.open_ts // HOUR, traded.copy()
        for t in range(1, shape[0]):
            if hours[t] == hours[t - 1]:
                hourly[t] += hourly[t - 1]
        activity = activity._replace(hourly=hourly)
    if rules.follow:
        distance = np.where(trades, tape.close * vol * rng.uniform(0.3, 3.0, shape), np.nan)
        distance[rng.random(shape) < 0.3] = np.nan
        activity = activity._replace(follow=distance)
    if "bounds" in features:
        depth, volatility = some * 10.0 ** rng.uniform(-1.0, 1.0, shape), rng.uniform(0.1, 1.0, shape)
        depth[rng.random(shape) < 0.1] = np.nan
        volatility[rng.random(shape) < 0.1] = np.nan
        activity = activity._replace(depth=depth, volatility=volatility)
    return activity


def _history(rng: np.random.Generator, tape: Tape, vol: float) -> dict[str, np.ndarray]:
    """Returns of days before the tape and on it, and correlations; random, as nothing computes them from prices."""
    assets = tape.open.shape[1]
    ended = tape.close_ts // DAY - tape.close_ts[0] // DAY + int(rng.choice([0, 29, 45, 60]))
    known = int(ended[-1])
    days = rng.normal(0.0, vol, (max(1, known), assets))
    days[rng.random(days.shape) < 0.05] = np.nan
    correlations = rng.uniform(-1.0, 1.0, (known + 1, assets, assets))
    correlations = (correlations + correlations.transpose(0, 2, 1)) / 2
    correlations[rng.random(known + 1) < 0.1] = np.nan
    return {"ended": ended, "days": days, "correlations": np.ascontiguousarray(correlations)}


def _tiers_and_bounds(
    rng: np.random.Generator,
    assets: int,
    cash: float,
    level: np.ndarray,
    inverse: bool,
    vol: float,
    features: frozenset[str],
) -> dict[str, np.ndarray]:
    drawn: dict[str, np.ndarray] = {}
    if "margin_tiers" in features:
        tiers = np.zeros((assets, 3), TIER)
        for a in range(assets):
            caps = cash * np.sort(rng.uniform(0.2, 6.0, 2))
            rates = np.sort(rng.choice([0.001, 0.01, 0.025, 0.05, 0.1, 0.2], 3, replace=False))
            amounts = np.append(0.0, np.cumsum(caps * np.diff(rates)))  # no jump at a cap
            tiers[a] = list(zip([*caps, np.inf], rates, amounts, strict=True))
        drawn["tiers"] = tiers
    if "fee_tiers" in features:
        quote = cash * level.mean() if inverse else cash
        volumes = [0.0, *(quote * np.sort(10.0 ** rng.uniform(-0.5, 1.5, 2)))]
        takers = np.sort(rng.choice([0.0002, 0.0005, 0.001, 0.002, 0.01], 3, replace=False))[::-1]
        makers = [0.0002, 0.0001, float(rng.choice([0.0, -0.0001]))]
        drawn["fees"] = np.array(list(zip(volumes, makers, takers, strict=True)), FEE)
    if "bounds" in features:
        bounds = np.array([(np.inf, int(Act.CAP))] * len(Bound), LIMIT)
        reach = 3.0 if "leverage" in features else 1.0
        most = {
            Bound.GROSS: reach * rng.uniform(0.3, 1.5),
            Bound.NET: reach * rng.uniform(0.2, 1.0),
            Bound.ASSET: reach * rng.uniform(0.2, 0.8),
            Bound.CONCENTRATION: rng.uniform(0.05, 0.6),
            Bound.CORRELATED: reach * rng.uniform(0.1, 0.7),
            Bound.VAR: reach * vol * rng.uniform(0.2, 1.5),
            Bound.CVAR: reach * vol * rng.uniform(0.3, 2.0),
            Bound.LIQUIDITY: rng.uniform(0.1, 1.0),
            Bound.STOPS: reach * rng.choice([vol, 0.5]) * rng.uniform(0.3, 2.0),
            Bound.VOLATILITY: rng.uniform(0.2, 0.9),
        }
        for bound in rng.choice(len(Bound), int(rng.choice([1, 1, 2, 4])), replace=False):
            bounds[bound] = (most[Bound(bound)], int(rng.choice(len(Act), p=[0.5, 0.3, 0.2])))
        drawn["bounds"] = bounds
    return drawn


def _stamps(rng: np.random.Generator, tape: Tape, level: np.ndarray, features: frozenset[str]) -> np.ndarray:
    """Settlements at opens, at closes, at arrivals, inside bars and in gaps."""
    rows = []
    if "stamps" in features:
        share, largest = float(rng.choice([0.1, 0.5])), float(rng.choice([0.001, 0.02]))
        span = (int(tape.open_ts[0]), int(tape.close_ts[-1]))
        for a in range(len(level)):
            anywhere = rng.integers(*span, len(tape.open_ts))
            times = np.concatenate([tape.open_ts, tape.close_ts, tape.arrive[:, a], anywhere])
            for ts in np.unique(times[rng.random(len(times)) < share / 2]):
                row = int(np.searchsorted(tape.close_ts, ts, side="right"))
                if row < len(tape.close_ts):
                    near = tape.open[row, a] if np.isfinite(tape.open[row, a]) else level[a]
                    rows.append((ts, row, a, rng.normal(0.0, largest), near * np.exp(rng.normal(0.0, 0.002))))
    return np.sort(np.array(rows, STAMP), order=("row", "asset", "ts"))


Bar = tuple[float, float, float, float] | None


def quiet_case(
    bars: Sequence[Bar] | Sequence[Sequence[Bar]],
    intents: Iterable[tuple[float, ...] | Mapping[str, float]] = (),
    stamps: Iterable[tuple[float, int, float, float]] = (),
    *,
    marks: Sequence[Any] | None = None,
    delay: float | Sequence[float] = 0.0,
    sigma: float = np.nan,
    volume: float = np.nan,
    gauss: float = 0.0,
    start: float = 0.0,
    length: float = 1.0,
    spec: Mapping[str, float] | None = None,
    activity: Mapping[str, Any] | None = None,
    venue: Mapping[str, Any] | None = None,
    **rules: Any,
) -> Case:
    """A case of round numbers: hourly rows from a midnight, free of cost, of limits and of delay unless said.

    `bars` is (open, high, low, close) per row, or one such list per asset; None is missing.  `intents` are (row, asset,
    size[, stop, take, trail]) or fields of INTENT by name; `stamps` are (hours since that midnight, asset, rate, mark);
    `delay` (of all rows or of each), `start` and the `length` of a row are hours.  `activity` and `venue` are fields
    that are not quiet or plain; what is (T, A) of the first may be a scalar or one number per row.
    """
    columns: Any = [bars] if bars[0] is None or not isinstance(bars[0][0], tuple | type(None)) else bars
    shaped = _stack(columns)
    rows, assets = shaped.shape[1:]
    if marks is None:
        marked = shaped.copy()
    else:
        marked = _stack([marks] if not isinstance(marks[0][0], tuple | type(None)) else marks)
    for t in range(1, rows):
        missing = np.isnan(shaped[0, t])
        marked[:, t, missing] = marked[3, t - 1, missing]

    open_ts = MONDAY + int(start) * HOUR + np.arange(rows) * int(length * HOUR)
    close_ts = open_ts + int(length * HOUR)
    arrive = (close_ts + (np.broadcast_to(delay, rows) * HOUR).astype(np.int64))[:, None]
    given = []
    for intent in intents:
        blank = dict(zip(INTENT.names or (), (0, 0, *[np.nan] * 4, *MARKET_ORDER), strict=True))
        named = intent if isinstance(intent, Mapping) else dict(zip(INTENT.names or (), intent, strict=False))
        given.append(tuple((blank | dict(named)).values()))
    settled = []
    for hours, asset, rate, mark in stamps:
        ts = MONDAY + int(hours * HOUR)
        settled.append((ts, int(np.searchsorted(close_ts, ts, side="right")), asset, rate, mark))
    contract = {"multiplier": 1.0} | dict(spec or {})
    table = np.zeros(assets, ASSET)
    for name, value in contract.items():
        table[name] = value
    quiet = Rules(
        cash=1000.0,
        leverage=10.0,
        liquidation_fee=0.0,
        maker=0.0,
        taker=0.0,
        half_spread=0.0,
        horizon=float(DAY),
        adverse=0.5,
        size=int(Size.EQUITY),
        at_fill=False,
        max_position=np.inf,
        band=np.inf,
        time_exit=0,
        daily_loss=np.inf,
        drawdown=np.inf,
        losses=0,
        cool_down=0,
    )
    quiet = quiet._replace(**rules)
    tape = tape_of(open_ts, close_ts, shaped, marked, sigma, volume, arrive, gauss)
    known = dict(activity or {})
    for name in ("traded", "hourly", "follow", "depth", "volatility"):
        if name in known:
            per_row = np.asarray(known[name], np.float64)
            per_row = per_row[:, None] if per_row.ndim == 1 else per_row
            known[name] = np.array(np.broadcast_to(per_row, (rows, assets)))
    return Case(
        tape=tape,
        intents=np.array(given, INTENT),
        stamps=np.sort(np.array(settled, STAMP), order=("row", "asset", "ts")),
        assets=table,
        rules=quiet,
        activity=quiet_activity(tape)._replace(**known),
        venue=plain_venue(table, quiet)._replace(**dict(venue or {})),
    )


def _stack(columns: Sequence[Sequence[Bar]]) -> np.ndarray:
    rows = [[(np.nan,) * 4 if bar is None else bar for bar in column] for column in columns]
    return np.ascontiguousarray(np.array(rows, np.float64).transpose(2, 1, 0))
