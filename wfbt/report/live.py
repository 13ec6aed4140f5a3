"""A live log beside its replay, as plain text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from wfbt.report.formats import MISSING

WIDTH = 100
MOST = 10
"""Orders listed of those that one side alone has."""


def live_summary(found: Mapping[str, Any]) -> str:
    """What `Comparison.to_dict` holds, worst news first; no line is wider than `WIDTH`."""
    counts = f"{found['matched']} orders matched, {len(found['missed'])} missed (in the replay alone), "
    counts += f"{len(found['extra'])} extra (in the log alone)"
    blocks = [
        f"{found['run']}  {found['start']} to {found['stop']}\n{counts}",
        _differences(found),
        _settings(found["settings"]),
        _orders("missed", found["missed"]),
        _orders("extra", found["extra"]),
        "\n".join(textwrap.fill(f"note: {note}", WIDTH, subsequent_indent="      ") for note in found["notes"]),
    ]
    return "\n\n".join(block for block in blocks if block)


def _differences(found: Mapping[str, Any]) -> str:
    lines = [f"{'live against replay':<42}{'median':>12}{'mean':>12}{'p95':>12}{'orders':>10}"]
    for key, label, digits in (
        ("price_bps", "price, bps against the trader", 2),
        ("delay_s", "delay of orders decided at a close, s", 3),
        ("fee_bps", "fee, bps of value", 2),
        ("quantity", "quantity, × replayed", 4),
    ):
        one = found[key]
        cells = "".join(f"{_number(one[name], digits):>12}" for name in ("median", "mean", "p95"))
        lines.append(f"{label:<42}{cells}{one['observations']:>10}")
    return "\n".join(lines)


def _settings(settings: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"{'settings that would have matched':<42}{'replayed':>12}{'live':>12}{'± error':>12}{'orders':>10}"]
    for key, one in settings.items():
        cells = "".join(f"{_number(one[name], 3):>12}" for name in ("replayed", "live", "error"))
        lines.append(f"{key + ', ' + one['unit']:<42}{cells}{one['observations']:>10}")
        if one["reason"]:
            lines.append(textwrap.fill(one["reason"], WIDTH, initial_indent="    ", subsequent_indent="    "))
    return "\n".join(lines)


def _orders(label: str, orders: list[Mapping[str, Any]]) -> str:
    lines = [
        f"{label}  {one['timestamp']}  {one['symbol']}  {one['side']:<4}  {one['qty']:,.6g} at {one['price']:,.6g}"
        for one in orders[:MOST]
    ]
    if len(orders) > MOST:
        lines.append(f"{label}  and {len(orders) - MOST} more; --json lists all")
    return "\n".join(lines)


def _number(value: float | None, digits: int) -> str:
    return MISSING if value is None else f"{value:,.{digits}f}"
