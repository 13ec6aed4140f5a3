"""Round trips and performance numbers once more, slowly and from their definitions: it imports nothing from wfbt."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import fsum, nan, sqrt
from typing import Any

HOUR = 3_600_000_000_000
LIQUIDATION = 6


def unit_value(price: float, inverse: bool) -> float:
    return -1.0 / price if inverse else price


def bar_of(ts: int, closes: Sequence[int]) -> int:
    """The first bar that closes after `ts`."""
    return next(row for row, close in enumerate(closes) if close > ts)


def round_trips(
    symbols: Sequence[str],
    closes: Sequence[int],
    fills: Sequence[Mapping[str, Any]],
    payments: Sequence[Mapping[str, Any]],
    liquidation: Sequence[float],
    final_mark: Sequence[float],
    multiplier: Sequence[float],
    inverse: bool,
) -> list[dict[str, Any]]:
    """Walk through the fills and payments of each symbol in time, one trip in hand."""
    trips = []
    for a in range(len(symbols)):
        events = [(p["ts"], 0, i, p) for i, p in enumerate(payments) if p["asset"] == a]
        events += [(f["ts"], 1, i, f) for i, f in enumerate(fills) if f["asset"] == a]
        trip: dict[str, Any] | None = None
        for _, kind, number, event in sorted(events, key=lambda e: e[:3]):
            if kind == 0:
                trip["funding"].append(event["paid"])
                continue
            held = fsum(trip["units"]) if trip else 0.0
            left = event["qty"]
            if trip and held * left < 0:
                reverses = abs(left) > abs(held) + 1e-9
                part = -held if reverses else left
                add(trip, event, part, fills, closes, liquidation, multiplier, inverse)
                left = left + held if reverses else 0.0
                if abs(fsum(trip["units"])) < 1e-9:
                    trip["closed_by"] = event
                    trips.append(trip)
                    trip = None
            if left:
                if trip is None:
                    trip = {"asset": a, "number": number, "opened_by": event, "closed_by": None, "units": []}
                    for name in ("into", "out", "fees", "spread", "impact", "funding", "liquidation", "flow"):
                        trip[name] = []
                    trip["quantity"] = 0.0
                add(trip, event, left, fills, closes, liquidation, multiplier, inverse)
        if trip:
            trips.append(trip)
    trips.sort(key=lambda t: t["number"])
    return [finish(t, symbols, closes, final_mark, multiplier, inverse) for t in trips]


def add(trip, fill, units, fills, closes, liquidation, multiplier, inverse):
    """Book `units` of a fill into a trip, and as large a share of what the fill cost."""
    m, v, share = multiplier[fill["asset"]], unit_value(fill["price"], inverse), units / fill["qty"]
    grows = fsum(trip["units"]) * units >= 0
    trip["into" if grows else "out"].append((abs(units), v))
    trip["units"].append(units)
    trip["quantity"] = max(trip["quantity"], abs(fsum(trip["units"])))
    trip["flow"].append(-m * units * v)
    for name, key in (("fees", "fee"), ("spread", "spread"), ("impact", "impact")):
        trip[name].append(fill[key] * share)
    if fill["reason"] == LIQUIDATION:
        row = bar_of(fill["ts"], closes)
        forced = [f for f in fills if f["reason"] == LIQUIDATION and bar_of(f["ts"], closes) == row]
        worth = [multiplier[f["asset"]] * abs(f["qty"] * unit_value(f["price"], inverse)) for f in forced]
        trip["liquidation"].append(liquidation[row] * m * abs(units * v) / fsum(worth))


def finish(trip, symbols, closes, final_mark, multiplier, inverse):
    def average(pieces):
        if not pieces:
            return nan
        v = fsum(q * x for q, x in pieces) / fsum(q for q, _ in pieces)
        return -1.0 / v if inverse else v

    first, last, m = trip["opened_by"], trip["closed_by"], multiplier[trip["asset"]]
    sums = {name: fsum(trip[name]) for name in ("fees", "spread", "impact", "funding", "liquidation")}
    profit = fsum(trip["flow"]) - sums["fees"] - sums["funding"] - sums["liquidation"]
    if last is None:
        profit += m * fsum(trip["units"]) * unit_value(final_mark[trip["asset"]], inverse)
    entry_price = average(trip["into"])
    exit_ts = closes[-1] if last is None else last["ts"]
    return {
        "symbol": symbols[trip["asset"]],
        "direction": "long" if trip["units"][0] > 0 else "short",
        "quantity": trip["quantity"],
        "entry_price": entry_price,
        "exit_price": average(trip["out"]),
        **sums,
        "profit": profit,
        "return": profit / (m * trip["quantity"] * abs(unit_value(entry_price, inverse))),
        "holding_hours": (exit_ts - first["ts"]) / HOUR,
        "bars": (len(closes) if last is None else bar_of(last["ts"], closes)) - bar_of(first["ts"], closes),
        "open": last is None,
    }


def day_of(close: int, weekends: bool) -> str:
    """The UTC day a close belongs to, as a date; midnight belongs to the day before."""
    moment = datetime.fromtimestamp((close - 1) // 1_000_000_000, UTC)
    if not weekends:
        if moment.strftime("%A") == "Saturday":
            moment -= timedelta(days=1)
        if moment.strftime("%A") == "Sunday":
            moment += timedelta(days=1)
    return moment.strftime("%Y-%m-%d")


def summary(
    closes: Sequence[int],
    equity: Sequence[float],
    opening: float,
    position: Sequence[Sequence[float]],
    traded: float,
    trips: Sequence[Mapping[str, Any]],
) -> dict[str, float | None]:
    """The numbers of a result; None where there is none."""
    saturdays = sum(datetime.fromtimestamp((t - 1) // 1_000_000_000, UTC).strftime("%A") == "Saturday" for t in closes)
    weekends = saturdays > len(closes) / 20
    year = 365 if weekends else 252
    last_of_day = {}
    for close, value in zip(closes, equity, strict=True):
        last_of_day[day_of(close, weekends)] = value
    returns, before = [], opening
    for value in last_of_day.values():
        returns.append(value / before - 1 if before > 0 else 0.0)
        before = value
    days = len(returns)
    mean = fsum(returns) / days

    deepest, peak = 0.0, opening
    for value in equity:
        peak = max(peak, value)
        deepest = max(deepest, (peak - value) / peak)

    total = equity[-1] / opening - 1
    out = dict.fromkeys(("sharpe", "sortino", "volatility", "annual_return", "calmar"))
    if days >= 30:
        deviation = sqrt(fsum((r - mean) ** 2 for r in returns) / (days - 1))
        downside = sqrt(fsum(r * r for r in returns if r < 0) / days)
        out["volatility"] = deviation * sqrt(year)
        out["sharpe"] = mean / deviation * sqrt(year) if deviation > 1e-14 else None
        out["sortino"] = mean / downside * sqrt(year) if downside > 0 else None
        out["annual_return"] = (equity[-1] / opening) ** (year / days) - 1 if equity[-1] > 0 else -1.0
        out["calmar"] = out["annual_return"] / deepest if deepest > 0 else None

    done = [t for t in trips if not t["open"]]
    won = fsum(t["profit"] for t in done if t["profit"] > 0)
    lost = -fsum(t["profit"] for t in done if t["profit"] < 0)
    return out | {
        "total_return": total,
        "max_drawdown": deepest,
        "win_rate": sum(t["profit"] > 0 for t in done) / len(done) if done else None,
        "profit_factor": won / lost if lost > 0 else None,
        "trades": len(done),
        "avg_trade": fsum(t["profit"] for t in done) / len(done) if done else None,
        "avg_trade_return": fsum(t["return"] for t in done) / len(done) if done else None,
        "avg_holding_hours": fsum(t["holding_hours"] for t in done) / len(done) if done else None,
        "exposure": sum(any(row) for row in position) / len(position),
        "turnover": traded / (fsum(equity) / len(equity)) / (days / year),
        "days": days,
        "periods_per_year": year,
    }
