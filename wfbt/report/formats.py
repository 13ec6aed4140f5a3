"""How a number, a time and a missing value are written; the same on the page and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MISSING = "—"
NO_REASON = "no reason was recorded"

METRICS: tuple[tuple[str, str, str], ...] = (
    ("total_return", "Total return", "signed"),
    ("annual_return", "Return per year", "signed"),
    ("volatility", "Volatility per year", "percent"),
    ("sharpe", "Sharpe", "ratio"),
    ("sortino", "Sortino", "ratio"),
    ("calmar", "Calmar", "ratio"),
    ("max_drawdown", "Deepest drawdown", "percent"),
    ("exposure", "Time with a position", "percent"),
    ("turnover", "Turnover per year (× equity)", "ratio"),
    ("trades", "Round trips", "count"),
    ("win_rate", "Round trips won", "percent"),
    ("profit_factor", "Profit factor", "ratio"),
    ("avg_trade", "Average profit per round trip", "money"),
    ("avg_holding_hours", "Average holding time (hours)", "hours"),
    ("days", "Days", "count"),
)
"""Key in result.json, words, and kind of every headline number."""

COSTS: tuple[tuple[str, str], ...] = (
    ("fees", "Fees"),
    ("spread", "Spread"),
    ("impact", "Impact"),
    ("funding", "Funding"),
    ("liquidation", "Liquidation"),
)

CAUSES: dict[str, str] = {
    "gross": "At the prices of its decisions",
    "delay": "Delay",
    "spread": "Spread",
    "impact": "Impact",
    "fees": "Fees",
    "funding": "Funding",
    "liquidation": "Liquidation",
    "shortfall": "Insurance",
}
"""Causes of the attribution in words."""

EXITS: dict[str, str] = {"target": "rule", "take": "take-profit", "trail": "trailing stop", "time": "time limit"}
"""What closed a round trip, where the word of trades.parquet could be read as another thing."""


def show(value: Any, kind: str) -> str:
    """`value` as text of one kind: percent, fine, signed, change, ratio, precise, step, money, bps, hours, count, text.

    fine is a percentage of two digits, signed one with its sign, change a difference of two in percentage points, step
    a ratio with its sign.
    """
    if value is None:
        return MISSING
    match kind:
        case "percent":
            return f"{_unsigned(value, 3):,.1%}"
        case "fine":
            return f"{_unsigned(value, 4):,.2%}"
        case "signed":
            return f"{value:+,.1%}" if round(value, 3) else "0.0%"
        case "ratio":
            return f"{_unsigned(value, 2):,.2f}"
        case "precise":
            return f"{value:,.3g}"
        case "change":
            return f"{100 * value:+,.2f} pp" if round(value, 4) else "0.00 pp"
        case "step":
            return f"{value:+,.2f}" if round(value, 2) else "0.00"
        case "bps":
            return f"{_unsigned(value, 1):,.1f}"
        case "money":
            return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}" if round(value, 2) else "0"
        case "hours":
            return f"{value:,.1f}"
        case "count":
            return f"{value:,.0f}"
        case _:
            return plain(value)


def _unsigned(value: float, digits: int) -> float:
    """`value`, but 0 without a sign where it rounds to 0."""
    return value if round(value, digits) else 0.0


def plain(value: Any) -> str:
    """A value of unknown type, as a person would write it."""
    match value:
        case None:
            return MISSING
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.6g}"
        case int():
            return f"{value:,}"
        case Mapping():
            return ", ".join(f"{k} {plain(v)}" for k, v in value.items())
        case list() | tuple():
            return ", ".join(plain(v) for v in value)
        case _:
            return str(value)


def reason(section: Mapping[str, Any] | None, key: str) -> str:
    """Why `key` of a section of result.json is null."""
    return str(((section or {}).get("reasons") or {}).get(key) or NO_REASON)


def moment(iso: str) -> str:
    """An ISO time in UTC as a date, with its minutes only when it is not midnight."""
    date, _, clock = iso.partition("T")
    return date if clock[:5] in ("", "00:00") else f"{date} {clock[:5]}"


def params(chosen: Mapping[str, Any]) -> str:
    """Parameters on one line."""
    return ", ".join(f"{name} {plain(value)}" for name, value in chosen.items()) or "none"


def listing(words: list[str], last: str = "and") -> str:
    """Words as a person lists them: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
