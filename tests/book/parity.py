"""Jobs on which the replay and hftbacktest 2.4.4 must agree fill by fill, and what it means to agree.

`benchmarks/book_parity.py` asks both; `golden/` keeps the peer's answers on small feeds, for tests without the peer.
"""

from __future__ import annotations

import time

import numpy as np

from tests.book.feeds import generated
from tests.book.strategies import arbitrary, market_maker, mover
from tests.book.twin import Clock, Delays, Feed, Venue, replay
from tests.conftest import REAL as SHARED

START = 1_700_000_000_000_000_000
MS = 1_000_000

BASE = {
    "tick_size": 0.5,
    "lot_size": 0.0009765625,
    "multiplier": 1.0,
    "inverse": False,
    "entry": 5 * MS,
    "response": 5 * MS,
    "maker": -0.00005,
    "taker": 0.0007,
    "queue": "power3",
    "power": 3.0,
    "period": 100 * MS,
    "strategy": "market_maker",
    "half": 0,
    "skew": 1,
    "limit": 40,
    "lots": 4,
    "markets": False,
    "quirks": True,
    "seed": 1,
    "feed_seed": 1,
    "mean_lots": 6.0,
}
"""A lot of 2⁻¹⁰ makes the peer's quantities exact, so that no half lot hangs on a rounding.

Market orders are asked for only where no side is ever empty: there the peer fills them at the lowest integer.
"""

WAVES = [
    [
        START + k * 7 * MS,
        START + k * 7 * MS + 2 * MS + k % 3 * 3_500_001,
        START + k * 7 * MS + 4 * MS + k % 3 * 5_000_001,
    ]
    for k in range(4000)
]
"""Rows (request, exchange, response) between which delays are interpolated, changing all the time."""

EACH_10 = {"period": 10 * MS}
ARBITRARY = {"strategy": "arbitrary", "period": 1 * MS}
USDM = {"symbol": "BTCUSDT_usdm", "tick_size": 0.1, "lot_size": 0.001}
COINM = {"symbol": "BTCUSD_coinm", "tick_size": 0.1, "lot_size": 1.0, "inverse": True, "multiplier": 100.0}

CASES = {
    "maker-power3-100ms": {},
    "maker-power3-10ms": EACH_10,
    "maker-risk-averse-100ms": {"queue": "risk_averse"},
    "maker-risk-averse-10ms": EACH_10 | {"queue": "risk_averse"},
    "maker-one-behind-10ms": EACH_10 | {"half": 1, "feed_seed": 2},
    "maker-power1-10ms": EACH_10 | {"queue": "power1", "power": 2.0, "feed_seed": 3},
    "maker-power2-10ms": EACH_10 | {"queue": "power2", "power": 0.5, "feed_seed": 4},
    "maker-log1-10ms": EACH_10 | {"queue": "log1", "feed_seed": 5},
    "maker-log2-10ms": EACH_10 | {"queue": "log2", "feed_seed": 6},
    "maker-decimal-10ms": EACH_10 | {"tick_size": 0.1, "lot_size": 0.001, "feed_seed": 7},
    "maker-inverse-10ms": EACH_10 | {"inverse": True, "multiplier": 100.0, "lot_size": 1.0, "feed_seed": 8},
    "maker-interpolated-10ms": EACH_10 | {"rows": WAVES, "feed_seed": 9},
    "maker-no-delay-10ms": EACH_10 | {"entry": 0, "response": 0, "feed_seed": 10},
    "mover-power3-10ms": EACH_10 | {"strategy": "mover", "feed_seed": 16},
    "mover-risk-averse-1ms": {"strategy": "mover", "period": MS, "queue": "risk_averse", "half": 1, "feed_seed": 17},
    "arbitrary-power3-10ms": ARBITRARY | {"period": 10 * MS, "feed_seed": 11, "seed": 12},
    "arbitrary-risk-averse-1ms": ARBITRARY | {"queue": "risk_averse", "feed_seed": 13},
    "arbitrary-slow-1ms": ARBITRARY | {"entry": 30 * MS, "response": 70 * MS, "feed_seed": 14, "seed": 15},
    # Of this length whatever is asked: in a longer feed a side is empty for once.
    "arbitrary-markets-1ms": ARBITRARY
    | {"markets": True, "quirks": False, "feed_seed": 18, "seed": 19, "feed_rows": 10_000},
    # Deep levels, on which orders grow old: here the models of the queue differ most.
    **{
        f"queue-{model}-1ms": ARBITRARY
        | {"queue": model, "feed_seed": 21, "seed": 22, "mean_lots": 60.0, "lot_size": 0.25}
        for model in ("risk_averse", "power1", "power2", "power3", "log1", "log2")
    },
    "real-usdm-power3-100ms": USDM,
    "real-usdm-power3-10ms": USDM | EACH_10,
    "real-usdm-risk-averse-10ms": USDM | EACH_10 | {"queue": "risk_averse"},
    "real-usdm-arbitrary-10ms": USDM | ARBITRARY | EACH_10,
    "real-coinm-power3-100ms": COINM,
    "real-coinm-power3-10ms": COINM | EACH_10,
    "real-coinm-risk-averse-10ms": COINM | EACH_10 | {"queue": "risk_averse"},
}
"""Each with what it changes of BASE.  A `symbol` is minutes of a real day, from the shared data."""


def real(symbol: str, tick_size: float, lot_size: float) -> dict:
    """Event arrays of a shared file.

    Its clock, which is behind the exchange's, is set right by one shift, and a snapshot begins with a clear.
    """
    import pyarrow.parquet as pq

    l2, trades = (
        pq.read_table(SHARED / kind / f"{symbol}_20240808_{name}.parquet").to_pandas()
        for kind, name in (("l2", "l2"), ("trades", "trades"))
    )
    snapshot = l2["is_snapshot"].to_numpy()
    first = l2.index[snapshot & ~np.r_[False, snapshot[:-1]]]
    parts = []
    for frame, when, kind, order in ((l2, "exch_ts", 0, 1), (trades, "ts", 1, 1), (l2.loc[first], "exch_ts", 2, 0)):
        parts.append(
            {
                "exch_ts": frame[when].dt.as_unit("ns").astype(np.int64).to_numpy(),
                "local_ts": frame["recv_ts"].dt.as_unit("ns").astype(np.int64).to_numpy(),
                "kind": np.full(len(frame), kind, np.int8),
                "side": frame["side"].to_numpy().astype(np.int8) * np.int8(kind != 2),
                "tick": np.rint(frame["price"].to_numpy() / tick_size).astype(np.int64),
                "lots": np.rint(frame["qty"].to_numpy() / lot_size).astype(np.int64),
                "place": np.full(len(frame), order),
            }
        )
    rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    rows["local_ts"] += 10_000_000 - int((rows["local_ts"] - rows["exch_ts"]).min())
    # A clear stands before its snapshot; rows of one message keep their order.
    order = np.lexsort((rows.pop("place"), rows["local_ts"]))
    return {key: np.ascontiguousarray(x[order]) for key, x in rows.items()}


def job_of(name: str, rows: int) -> dict:
    """Settings of a case; `rows` is the length of a generated feed."""
    return BASE | {"feed_rows": rows} | CASES[name]


def feed_of(job: dict) -> dict:
    """Event arrays of a job."""
    if "symbol" in job:
        return real(job["symbol"], job["tick_size"], job["lot_size"])
    return generated(job["feed_rows"], seed=job["feed_seed"], mean_lots=job["mean_lots"], quirks=job["quirks"])


def ours(job: dict, rows: dict, partial: bool = False) -> dict:
    """Outcome of the naive twin, in the peer's terms."""
    delays = Delays.constant(job["entry"]), Delays.constant(job["response"])
    if "rows" in job:
        delays = Delays.measured(job["rows"], linear=True)
    shared = ("tick_size", "lot_size", "multiplier", "inverse", "maker", "taker", "queue", "power")
    venue = Venue(partial=partial, entry=delays[0], response=delays[1], **{name: job[name] for name in shared})
    decide = {
        "market_maker": lambda: market_maker(job["half"], job["skew"], job["limit"], job["lots"]),
        "mover": lambda: mover(job["half"], job["skew"], job["limit"], job["lots"]),
        "arbitrary": lambda: arbitrary(job["seed"], job["markets"]),
    }[job["strategy"]]()
    begun = time.perf_counter()
    run = replay([Feed(**rows)], [venue], decide, Clock(job["period"]))
    seconds = time.perf_counter() - begun
    sign = -1.0 if job["inverse"] else 1.0
    fills = sorted((f.exch_ts, f.side, f.tick, f.id) for f in run.fills)
    none = float("nan")
    seen = [
        (s[5] * job["lot_size"], sign * s[7], s[8], none if s[1] is None else s[1], none if s[2] is None else s[2])
        for (s,) in run.samples
    ]
    end = run.locals[0].holding
    final = [end.position * job["lot_size"], sign * end.cash, end.fees, end.trades, end.volume, end.value]
    return {
        "fills": np.array(fills, np.int64).reshape(-1, 4),
        "seen": np.array(seen),
        "final": np.array(final),
        "seconds": seconds,
        "makers": sum(f.maker for f in run.fills),
    }


def differences(theirs: dict, mine: dict, lot_size: float) -> list[str]:
    """What is not as it should be, in words."""
    found = []
    if len(theirs["seen"]) != len(mine["seen"]):
        found.append(f"decisions: {len(theirs['seen'])} there, {len(mine['seen'])} here")
    n = min(len(theirs["seen"]), len(mine["seen"]))
    lots = [np.rint(x["seen"][:n, 0] / lot_size) for x in (theirs, mine)]
    for what, a, b in (
        ("position", *lots),
        ("best bid", theirs["seen"][:n, 3], mine["seen"][:n, 3]),
        ("best ask", theirs["seen"][:n, 4], mine["seen"][:n, 4]),
    ):
        unequal = ~((a == b) | (np.isnan(a) & np.isnan(b)))
        if unequal.any():
            k = int(unequal.argmax())
            found.append(f"{what} at decision {k}: {a[k]} there, {b[k]} here ({unequal.sum()} differ)")
    if not np.array_equal(theirs["fills"], mine["fills"]):
        common = min(len(theirs["fills"]), len(mine["fills"]))
        rows = np.flatnonzero((theirs["fills"][:common] != mine["fills"][:common]).any(1))
        k = int(rows[0]) if len(rows) else common
        there, here = (x["fills"][k].tolist() if k < len(x["fills"]) else None for x in (theirs, mine))
        found.append(f"fill {k} of {len(theirs['fills'])}: {there} there, {here} here")
    # Money is a difference of sums: its rounding is measured against what was summed.
    value = theirs["final"][5]
    held = [np.rint(x["final"][0] / lot_size) for x in (theirs, mine)]
    compare(found, "final position in lots", *held, 0.0)
    for k, what, size in ((1, "balance", value), (2, "fees", 0.0007 * value), (3, "trades", 0.0)):
        compare(found, f"final {what}", theirs["final"][k], mine["final"][k], size)
    for k, what in ((4, "volume"), (5, "value")):
        compare(found, f"final {what}", theirs["final"][k], mine["final"][k], theirs["final"][k])
    for k, what, size in ((1, "balance", value), (2, "fees", 0.0007 * value)):
        compare(found, f"{what} at decisions", theirs["seen"][:n, k], mine["seen"][:n, k], size)
    return found


def compare(found: list[str], what: str, a: object, b: object, size: float) -> None:
    """Note the largest difference if it is beyond 1e-12 of `size`."""
    gap = float(np.max(np.abs(np.subtract(a, b)), initial=0.0))
    if not gap <= 1e-12 * size:
        found.append(f"{what}: apart by {gap!r} of {size!r}")
