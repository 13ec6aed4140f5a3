"""A made-up run of the shape the pipeline hands to the report."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from wfbt.report.curves import Curves
from wfbt.report.page import LATER

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
START = np.datetime64("2021-01-01", "ns").astype(np.int64)
IDLE = "no position was held"
METRIC_KEYS = (
    "sharpe", "sortino", "calmar", "annual_return", "total_return", "max_drawdown", "volatility", "win_rate",
    "profit_factor", "trades", "avg_trade", "avg_holding_hours", "exposure", "turnover",
)  # fmt: skip


@dataclass(frozen=True)
class FakeRun:
    result: dict[str, Any]
    curves: Curves
    trades: pd.DataFrame


def iso(ts: int) -> str:
    return f"{np.datetime64(int(ts), 's' if ts < 10**12 else 'ns').astype('datetime64[s]')}Z"


def section(returns: np.ndarray, equity: np.ndarray, trips: int) -> dict[str, Any]:
    """Metrics of daily returns and an equity curve, as the ledger would give them."""
    total = equity[-1] / equity[0] - 1
    annual = (1 + total) ** (365 / len(returns)) - 1
    drawdown = float((1 - equity / np.maximum.accumulate(equity)).max())
    downside = np.sqrt((np.minimum(returns, 0) ** 2).mean())
    return {
        "sharpe": float(returns.mean() / returns.std(ddof=1) * np.sqrt(365)),
        "sortino": float(returns.mean() / downside * np.sqrt(365)),
        "calmar": float(annual / drawdown),
        "annual_return": float(annual),
        "total_return": float(total),
        "max_drawdown": drawdown,
        "volatility": float(returns.std(ddof=1) * np.sqrt(365)),
        "win_rate": 0.41,
        "profit_factor": 1.07,
        "trades": trips,
        "avg_trade": float((equity[-1] - equity[0]) / max(trips, 1)),
        "avg_holding_hours": 31.4,
        "exposure": 0.57,
        "turnover": 88.2,
        "days": len(returns),
        "periods_per_year": 365,
        "reasons": {},
    }


def missing(why: str) -> dict[str, Any]:
    """A section without one number."""
    return dict.fromkeys(METRIC_KEYS) | {
        "days": None,
        "periods_per_year": None,
        "reasons": dict.fromkeys(METRIC_KEYS, why),
    }


CAUSES = ("gross", "delay", "spread", "impact", "fees", "funding", "liquidation", "shortfall")
STEPS = ("ideal", "fees and spread", "latency", "impact", "funding", "as configured")


def split(*amounts: float, fills: int = 40) -> dict[str, Any]:
    """One row of an attribution, from an amount for each cause."""
    traded = 50_000.0 * fills
    cost = -sum(amounts[1:5]) / traded * 1e4 if fills else None
    row = dict(zip(CAUSES, amounts, strict=True)) | {"net": sum(amounts), "fills": fills, "traded": traded}
    return row | {"cost_bps": cost, "reasons": {} if fills else {"cost_bps": "nothing was traded"}}


def attribution(symbols: tuple[str, ...], trips: int) -> dict[str, Any]:
    """Three sessions, and the same for each symbol."""
    if not trips:
        nothing = split(*[0.0] * len(CAUSES), fills=0)
        parts = [nothing] * 3
        whole = nothing
    else:
        parts = [
            split(9000.0, -400.0, -300.0, -150.0, -2000.0, 100.0, 0.0, 0.0),
            split(-2500.0, -300.0, -300.0, -150.0, -2100.0, 100.0, 0.0, 0.0),
            split(4000.0, -100.0, -212.0, -155.9, -2020.4, 118.2, 0.0, 0.0),
        ]
        whole = split(*[sum(part[name] for part in parts) for name in CAUSES], fills=120)
    return {
        "causes": list(CAUSES),
        "by_cause": whole,
        "by_symbol": dict.fromkeys(symbols, parts[0]),
        "by_session": dict(zip(("Asia", "Europe", "America"), parts, strict=True)),
        "unfilled": {symbol: {"orders": 0, "units": 0.0, "missed": 0.0} for symbol in symbols},
        "reasons": {},
    }


def realism(trips: int) -> dict[str, Any]:
    """A ladder that loses a little on every step."""
    rows: list[dict[str, Any]] = []
    for height, step in enumerate(STEPS):
        down = min(height, 4)
        row = {"sharpe": 1.2 - 0.1 * down, "annual_return": 0.11 - 0.02 * down, "total_return": 0.5 - 0.08 * down}
        row |= {"max_drawdown": 0.2 + 0.01 * down, "trades": trips}
        before = rows[-1] if rows else None
        change = before and {key: row[key] - before[key] for key in row} | {"reasons": {}}
        rows.append({"step": step, **row, "change": change, "reasons": {} if before else {"change": "the first"}})
    found = {
        "multiple": 1.83,
        "bps": 12.1,
        "paid_bps": 6.6,
        "monotone": True,
        "crossings": 1,
        "tried": [],
        "reasons": {},
    }
    return {"ladder": rows, "break_even": found}


def sleeves() -> dict[str, Any]:
    """Two sleeves of which one is given nothing in the second fold."""
    alone = {"total_return": 0.5, "sharpe": 1.2, "max_drawdown": 0.2, "reasons": {}}
    members = {
        name: {
            "policy": rule,
            "symbols": symbols,
            "candidates": 4,
            "profit": 1234.0,
            "return": 0.01234,
            "alone": alone,
            "reasons": {},
        }
        for name, rule, symbols in (("trend", "sma_cross", ["AAA", "BBB"]), ("carry", "carry", ["AAA"]))
    }
    folds = [
        {"index": 1, "weights": {"trend": 0.6, "carry": 0.4}},
        {"index": 2, "weights": {"trend": 0.0, "carry": 0.4}},
    ]
    return {"netting": False, "method": "min_variance", "members": members, "folds": folds}


def make_trades(rng: np.random.Generator, symbols: tuple[str, ...], count: int, rows: int) -> pd.DataFrame:
    entry = np.sort(rng.integers(0, rows - 60, count))
    held = rng.integers(1, 60, count)
    returns = rng.standard_t(3, count) * 0.02
    price = rng.uniform(20_000, 60_000, count)
    return pd.DataFrame(
        {
            "symbol": rng.choice(symbols, count),
            "direction": rng.choice([1, -1], count),
            "entry_ts": START + entry * HOUR,
            "exit_ts": START + (entry + held) * HOUR,
            "quantity": rng.uniform(0.1, 2, count),
            "entry_price": price,
            "exit_price": price * (1 + returns),
            "fees": rng.uniform(5, 30, count),
            "spread": rng.uniform(1, 4, count),
            "impact": rng.uniform(1, 9, count),
            "funding": rng.normal(0, 5, count),
            "profit": returns * 50_000,
            "return": returns,
            "holding_hours": held.astype(float),
            "exit_reason": rng.choice(["target", "stop", "take", "trail"], count),
            "open": np.arange(count) == count - 1,
        }
    )


def make_run(
    folds: int = 12,
    symbols: tuple[str, ...] = ("BTCUSDT",),
    days: int = 1440,
    trips: int = 400,
    name: str = "ema-rsi-adx",
    seed: int = 7,
    drift: float = 0.0,
    steps: np.ndarray | None = None,
) -> FakeRun:
    """A run over hourly bars; `steps` replaces the random hourly log returns of the market."""
    rng = np.random.default_rng(seed)
    rows = days * 24
    market = rng.standard_t(4, rows) * 0.006 + 0.00002 if steps is None else steps[:rows]
    weight = (
        np.repeat(np.sign(rng.normal(0.2, 1, (rows // 30 + 1, len(symbols)))), 30, axis=0)[:rows] * 0.6 / len(symbols)
    )
    if trips == 0:
        weight = np.zeros_like(weight)
    own = weight.sum(axis=1) * market + drift * (weight != 0).any(axis=1)
    ts = START + (np.arange(rows) + 1) * HOUR
    equity, benchmark = 1e5 * np.exp(np.cumsum(own)), 1e5 * np.exp(np.cumsum(market))
    fold = np.arange(rows) * folds // rows
    daily, held = own.reshape(days, 24).sum(axis=1), market.reshape(days, 24).sum(axis=1)
    daily, held = np.expm1(daily), np.expm1(held)
    train = 120 * 24
    listed, inside = [], []
    for index in range(folds):
        block = np.flatnonzero(fold == index)
        first, last = ts[block[0]] - HOUR, ts[block[-1]]
        past = np.exp(np.cumsum(rng.normal(0.0001, 0.004, train)))
        inside.append((first - np.arange(train, 0, -1) * HOUR, 1e5 * past))
        past_daily = past[23::24][1:] / past[23::24][:-1] - 1
        own_daily = daily[block[0] // 24 : block[-1] // 24 + 1]
        listed.append(
            {
                "index": index,
                "train_start": iso(first - train * HOUR),
                "train_end": iso(first),
                "test_start": iso(first),
                "test_end": iso(last),
                "params": {
                    "fast": int(rng.choice([8, 12, 16, 24])), "slow": int(rng.choice([32, 48, 64, 80, 96])), "rsi": 14,
                },
                "candidates": 96,
                "in_sample": section(past_daily, past, 40),
                "out_of_sample": section(own_daily, equity[block], trips // folds) if trips else missing(IDLE),
            }
        )  # fmt: skip
    later = dict.fromkeys(LATER, "this version does not compute it")
    result = {
        "run_id": "3f9c1a7be2d04c55",
        "schema_version": "1",
        "name": name,
        "folds": listed,
        "oos": section(daily, equity, trips) if trips else missing(IDLE) | {"total_return": 0.0, "trades": 0},
        "benchmark": section(held, benchmark, 1),
        "costs": {
            "fees": 6120.4, "spread": 812.0, "impact": 455.9, "funding": -318.2, "liquidation": 0.0, "reasons": {},
        },
        "attribution": attribution(symbols, trips),
        "realism": realism(trips),
        "walk_forward_efficiency": 0.34,
        "account": {"cash": 100_000.0, "leverage": 3},
        "events": {"liquidations": 0, "breakers": 3, "halted": False, "shortfall": 0.0},
        "assumptions": [
            {"key": "latency.order", "value": "uniform 100ms to 500ms", "note": "a short delay costs something"},
            {"key": "costs.taker_bps", "value": 5.0, "note": "paid on notional by every order that takes"},
        ],
        "notes": ["2 funding stamps were snapped to a round minute"],
        "data": {
            symbol: {
                "rows": rows, "first": iso(START), "last": iso(ts[-1]), "period": "1h", "funding_stamps": days * 3,
                "mark": False, "findings": ["2021-02-11 03:00Z: gap of 2 bars"],
            }
            for symbol in symbols
        },
        "trials": {
            "looks_by_family": 3, "looks_by_anyone": 5, "candidates_in_folds": 480, "head": "ab" * 32,
            "file": "trials.sqlite",
        },
        "reasons": later,
        **dict.fromkeys(LATER),
    }  # fmt: skip
    curves = Curves(
        symbols=symbols,
        ts=ts,
        equity=equity,
        benchmark=benchmark,
        drawdown=1 - equity / np.maximum.accumulate(equity),
        weight=weight,
        fold=fold,
        in_sample=tuple(inside),
        days=np.datetime64("2021-01-01", "D") + np.arange(days),
        returns=daily,
        benchmark_returns=held,
    )
    return FakeRun(result=result, curves=curves, trades=make_trades(rng, symbols, trips, rows))


@pytest.fixture
def fake() -> Callable[..., FakeRun]:
    return make_run


@pytest.fixture
def all_missing() -> FakeRun:
    """A run whose every metric is null."""
    run = make_run(folds=2, days=60, trips=6)
    why = "60 days are too few"
    run.result["oos"] = missing(why)
    run.result["benchmark"] = missing(why)
    run.result["costs"] = dict.fromkeys(("fees", "spread", "impact", "funding", "liquidation")) | {
        "reasons": {"fees": why}
    }
    run.result["attribution"] = None
    run.result["realism"] = None
    run.result["reasons"] |= {"attribution": why, "realism": why}
    run.result["walk_forward_efficiency"] = None
    for fold in run.result["folds"]:
        fold["in_sample"] = missing(why)
        fold["out_of_sample"] = missing(why)
    return run
