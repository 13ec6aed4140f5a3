"""Markets, intents and rules for the bar kernel and its naive twin: random, drawn, and to check by hand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from wfbt.kernels.abi import ASSET, INTENT, STAMP, Rules, Size, Tape

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

    def __repr__(self) -> str:
        rows, assets = self.tape.open.shape
        return f"Case({rows} rows, {assets} assets, {len(self.intents)} intents, {self.rules})"

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        """What Hypothesis prints of a failing case; of itself it would print every array."""
        printer.text(repr(self))  # type: ignore[attr-defined]


def random_case(rng: np.random.Generator, assets: int | None = None, rows: int | None = None) -> Case:
    """A case with features of its own; the same generator state gives the same case."""
    rows = int(rng.integers(2, 81)) if rows is None else rows
    assets = int(rng.integers(1, 5)) if assets is None else assets
    features = frozenset(name for name in FEATURES if rng.random() < _SHARE.get(name, 0.5))
    return build(rng, rows, assets, features)


@st.composite
def cases(draw: st.DrawFn, max_rows: int = 80, max_assets: int = 4) -> Case:
    """Cases whose structure is drawn, so that a failure shrinks to few rows, assets and features."""
    rows = draw(st.integers(2, max_rows))
    assets = draw(st.integers(1, max_assets))
    features = frozenset(name for name in FEATURES if draw(st.booleans()))
    return build(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), rows, assets, features)


def build(rng: np.random.Generator, rows: int, assets: int, features: frozenset[str]) -> Case:
    """Draw one case that has exactly these features."""
    period = int(rng.choice([MINUTE, HOUR, 6 * HOUR, DAY], p=[0.1, 0.5, 0.3, 0.1]))
    open_ts, close_ts = _clock(rng, rows, period, features)
    decision = rng.random(rows) < rng.choice([0.3, 0.7]) if "sparse" in features else np.ones(rows, bool)
    vol = float(rng.choice([0.08, 0.2]) if "wild" in features else rng.choice([0.002, 0.01, 0.03]))
    inverse = "inverse" in features
    cash = 2.0 if inverse else 10_000.0
    level = np.array([rng.choice([1.0, 100.0, 20_000.0]) for _ in range(assets)])
    spec = _specs(rng, level, cash, inverse, features)

    bars = np.empty((4, rows, assets))
    marks = np.empty((4, rows, assets))
    for a in range(assets):
        bars[:, :, a] = _bars(rng, rows, level[a], vol, spec["tick"][a], features)
        absent = _absent(rng, rows, features)
        marks[:, :, a] = _marks(rng, bars[:, :, a], vol, absent, features)
        bars[:, absent, a] = np.nan

    sigma, volume = _impact_inputs(rng, (rows, assets), vol, level, spec, cash, features)
    arrive = _arrivals(rng, close_ts, assets, period, features)
    tape = tape_of(
        open_ts, close_ts, bars, marks, sigma, volume, arrive, rng.standard_normal((rows, assets)), decision=decision
    )
    rules = _rules(rng, cash, period, features)
    return Case(
        tape=tape,
        intents=_intents(rng, tape, rules, level, vol, features),
        stamps=_stamps(rng, tape, level, features),
        assets=spec,
        rules=rules,
    )


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
        leverage=float(rng.choice([1.0, 2.0, 3.0, 5.0, 10.0], p=[0.15, 0.15, 0.2, 0.2, 0.3])),
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
    )


def _intents(
    rng: np.random.Generator, tape: Tape, rules: Rules, level: np.ndarray, vol: float, features: frozenset[str]
) -> np.ndarray:
    """Targets that differ from the last one, as the lowering of a policy emits them."""
    share = float(rng.choice([0.6, 0.95])) if "eager" in features else float(rng.choice([0.08, 0.25]))
    scale = rules.cash if rules.size == Size.NOTIONAL else 1.0
    common = np.array([0.0, 0.0, 0.3, -0.3, 0.5, 1.0, -1.0])
    rows, last = [], np.zeros(len(level))
    for t in np.flatnonzero(tape.decision):
        for a in range(len(level)):
            if rng.random() >= share:
                continue
            size = float(rng.choice(common)) if rng.random() < 0.7 else float(rng.normal())
            size *= float(rng.uniform(0.5, 2.0)) * rules.leverage if "leverage" in features else 1.0
            size *= scale
            if size == last[a]:
                continue
            last[a] = size
            brackets = [np.nan, np.nan, np.nan]
            if "brackets" in features:
                price = tape.close[t, a] if np.isfinite(tape.close[t, a]) else level[a]
                reach = price * vol * rng.uniform(0.2, 4.0, 3)
                reach = np.where(rng.random(3) < 0.03, price * 1.5, reach)
                brackets = list(np.where(rng.random(3) < 0.6, reach, np.nan))
            rows.append((t, a, size, *brackets, *MARKET_ORDER))
    return np.array(rows, INTENT)


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
    intents: Iterable[tuple[float, ...]] = (),
    stamps: Iterable[tuple[float, int, float, float]] = (),
    *,
    marks: Sequence[Any] | None = None,
    delay: float | Sequence[float] = 0.0,
    sigma: float = np.nan,
    volume: float = np.nan,
    gauss: float = 0.0,
    start: float = 0.0,
    spec: Mapping[str, float] | None = None,
    **rules: Any,
) -> Case:
    """A case of round numbers: hourly rows from a midnight, free of cost, of limits and of delay unless said.

    `bars` is (open, high, low, close) per row, or one such list per asset; None is missing.  `intents` are (row, asset,
    size[, stop, take, trail]); `stamps` are (hours since that midnight, asset, rate, mark); `delay` (of all
    rows or of each) and `start` are hours.
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

    open_ts = MONDAY + (int(start) + np.arange(rows)) * HOUR
    close_ts = open_ts + HOUR
    arrive = (close_ts + (np.broadcast_to(delay, rows) * HOUR).astype(np.int64))[:, None]
    given = [(*intent, *[np.nan] * (6 - len(intent))) for intent in intents]
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
    return Case(
        tape=tape_of(open_ts, close_ts, shaped, marked, sigma, volume, arrive, gauss),
        intents=np.array([(*one, *MARKET_ORDER) for one in given], INTENT),
        stamps=np.sort(np.array(settled, STAMP), order=("row", "asset", "ts")),
        assets=table,
        rules=quiet._replace(**rules),
    )


def _stack(columns: Sequence[Sequence[Bar]]) -> np.ndarray:
    rows = [[(np.nan,) * 4 if bar is None else bar for bar in column] for column in columns]
    return np.ascontiguousarray(np.array(rows, np.float64).transpose(2, 1, 0))
