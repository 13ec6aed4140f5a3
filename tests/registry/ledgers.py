"""Looks and attempts that need no run, and markets they could have been taken at."""

from typing import Any

import numpy as np

from wfbt.data.market import DAY, HOUR, Bars, Instrument, Market
from wfbt.registry.attempts import Attempt
from wfbt.registry.looks import Look

MONDAY = 19_723 * DAY  # 2024-01-01, ns


def look(number: int = 0, **fields: Any) -> Look:
    """The `number`-th of many looks at the same ten weeks."""
    told: dict[str, Any] = {
        "family": "trend",
        "candidate": f"{number:064x}",
        "code": "c0de" * 16,
        "data": "da7a" * 16,
        "start": MONDAY,
        "end": MONDAY + 70 * DAY,
        "weeks": frozenset(f"{week:016x}" for week in range(10)),
        "n": 70,
        "sharpe": 0.01 * number - 0.05,
        "candidates": 6,
        "run": f"{number:012x}",
    }
    return Look(**(told | fields))


def attempt(number: int = 0, **fields: Any) -> Attempt:
    """The `number`-th of many attempts, each of another run, strategy and seed, at the days of `look`."""
    told: dict[str, Any] = {
        "family": "trend",
        "run": f"{number:012x}",
        "model": None,
        "strategy": f"{number:064x}",
        "seed": number,
        "criteria": "c817" * 16,
        "thresholds": (("profit factor", ">=", 1.3), ("round trips", ">=", 100.0), ("within", "<=", "mandate.loss")),
        "code": "c0de" * 16,
        "data": "da7a" * 16,
        "start": MONDAY,
        "end": MONDAY + 70 * DAY,
        "weeks": frozenset(f"{week:016x}" for week in range(10)),
    }
    return Attempt(**(told | fields))


def market(closes: np.ndarray, *, symbol: str = "AAA", start: int = MONDAY, period: int = HOUR) -> Market:
    """Bars without a range around given closes."""
    ts = start + period * np.arange(len(closes))
    bars = Bars(
        symbol=symbol, period=period, open_ts=ts, open=closes, high=closes, low=closes, close=closes,
        volume=np.ones(len(closes)),
    )  # fmt: skip
    return Market(instruments=(Instrument(bars=bars),), digest="f00d" * 16)


def walk(days: int, seed: int = 1) -> np.ndarray:
    """Hourly closes that wander."""
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 24 * days)))
