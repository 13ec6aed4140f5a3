"""Small tables and files for the tests of the data package."""

import numpy as np
import pyarrow as pa

from wfbt.data.market import HOUR
from wfbt.data.store import BARS, Raw, write_table

START = int(np.datetime64("2024-01-01", "ns").astype(np.int64))
NOW = int(np.datetime64("2026-01-01", "ns").astype(np.int64))


def columns(n, seed=0):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.005, n)))
    open_ = np.r_[100.0, close[:-1]]
    reach = 1 + rng.uniform(0, 0.002, n)
    return {
        "open": open_,
        "high": np.maximum(open_, close) * reach,
        "low": np.minimum(open_, close) / reach,
        "close": close,
        "volume": rng.uniform(1, 10, n),
    }


def stamps(ts, unit="us", tz="UTC"):
    per = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    return pa.array(np.asarray(ts) // per, pa.int64()).cast(pa.timestamp(unit, tz=tz))


def bars_table(n=200, *, start=START, period=HOUR, unit="us", tz="UTC", seed=0, ts=None, **changed):
    ts = start + period * np.arange(n) if ts is None else ts
    return pa.table({"ts": stamps(ts, unit, tz), **columns(len(ts), seed), **changed})


def funding_table(n=60, *, start=START, interval=8 * HOUR, ts=None, **changed):
    ts = start + interval * np.arange(n) if ts is None else ts
    given = {"rate": np.full(len(ts), 1e-4), "mark_price": np.full(len(ts), 100.0)} | changed
    return pa.table({"ts": stamps(ts), **given})


def write(path, table):
    write_table(path, table)
    return str(path)


def raw_bars(ts, **changed):
    given = columns(len(ts)) | changed
    return Raw(
        path="x", files=("x",), zone="UTC", row=np.arange(len(ts)), ts=ts, columns={name: given[name] for name in BARS}
    )
