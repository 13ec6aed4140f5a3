"""What `wfbt data check` and `wfbt data info` know of a path, and how they print it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from wfbt.data import quality, store
from wfbt.data.findings import ERRORS, Finding, duration
from wfbt.data.store import Raw, stamp

SHOWN = 20
BOOKS = ("book", "bbo")


def series(path: str) -> list[str]:
    """The series that a path holds, each a path to check by itself.

    A file, glob or s3:// address is one.  In a folder, files that lie beside each other are one when they hold the same
    kind of rows at the same step and do not overlap in time, as the parts of a partitioned series do; others stand
    alone, and Parquet that is neither bars, funding, trades nor a book is passed over: an exogenous series is checked
    by its own path.  The days of a partition (day=…) are one series.
    """
    folder = Path(path)
    if "://" in path or not folder.is_dir():
        return [path]
    found: list[str] = []
    for place in sorted({_whole(file.parent) for file in folder.rglob("*.parquet")}):
        if any(place.glob("day=*/*.parquet")):
            found.append(str(place))
            continue
        files = sorted(str(file) for file in place.glob("*.parquet"))
        if len(files) == 1:
            found += [file for file in files if store.is_series(file)]
            continue
        extents = {file: _extent(file) for file in files if store.is_series(file)}
        parts = sorted(extents.values())
        apart = all(before[2] < after[1] for before, after in pairwise(parts))
        one_kind = len({(kind, step) for kind, _, _, step in parts}) == 1
        found += [str(place)] if parts and apart and one_kind and len(parts) == len(files) else list(extents)
    return found or [path]


def _whole(place: Path) -> Path:
    return place.parent if place.name.startswith("day=") else place


def _extent(file: str) -> tuple[str, int, int, int]:
    if (kind := store.kind(file)) in BOOKS:
        return kind, 0, 0, 0  # each stands alone
    kind, raw = _read(file)
    step = 0 if kind == "trades" else quality.modal_step(np.unique(raw.ts))
    return kind, int(raw.ts.min()), int(raw.ts.max()), step


def check(path: str, *, now: int | None = None, max_missing: float = 0.05) -> list[Finding]:
    """Findings of bars, funding, trades, a book, best quotes or an exogenous series; the columns say which."""
    if (kind := store.kind(path)) in BOOKS:
        from wfbt.data.book.inspect import check_bests, check_book

        return (check_book if kind == "book" else check_bests)(path, Path(path).stem or path, now=now)
    return _judge(*_read(path), path, now, max_missing)


def info(path: str, *, now: int | None = None) -> dict[str, Any]:
    """Extent of a path: kind, rows, files, first, last, period, columns, zone, digest; gaps with row, time and bars."""
    if (kind := store.kind(path)) in BOOKS:
        from wfbt.data.book.inspect import info_bests, info_book

        return info_book(path, now=now) if kind == "book" else info_bests(path)
    kind, raw = _read(path)
    return {
        "path": path,
        "kind": kind,
        "rows": len(raw),
        "files": list(raw.files),
        "first": stamp(raw.ts.min()),
        "last": stamp(raw.ts.max()),
        "period": _period(raw, kind),
        "columns": [raw.clock, *raw.columns],
        "zone": raw.zone,
        "digest": store.digest("", {"ts": raw.ts, **raw.columns}),
        "gaps": [
            {"row": f.row, "ts": stamp(f.ts), "absent": f.count, "message": f.message}
            for f in _judge(kind, raw, path, now, 0.05)
            if f.rule == "gap"
        ],
    }


def render_findings(findings: Sequence[Finding], *, all: bool = False) -> str:
    """One line a finding, errors first, gathered by rule; long lists are cut unless `all`."""
    errors = sum(f.severity == "error" for f in findings)
    lines = [f"{_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}"]
    ordered = sorted(findings, key=lambda f: (f.severity != "error", f.rule, f.row))
    width = max((len(str(f.row + f.count - 1)) for f in findings), default=0)
    for (severity, rule), group in groupby(ordered, key=lambda f: (f.severity, f.rule)):
        members = list(group)
        lines += ["", f"{severity} {rule} ({len(members):,})"]
        shown = members if all or len(members) <= SHOWN else members[: SHOWN // 2]
        for f in shown:
            rows = f" +{f.count - 1:,} rows" if rule in _RUNS and f.count > 1 else ""
            lines.append(f"  row {f.row:>{width}}  {stamp(f.ts)}  {f.message}{rows}")
        lines += _cut(len(members) - len(shown), f"{rule} findings")
    return "\n".join(lines)


def render_info(info: dict[str, Any], *, all: bool = False) -> str:
    """An aligned line per fact, then the gaps; long lists are cut unless `all`."""
    files = info["files"]
    facts = {
        "kind": info["kind"],
        "rows": f"{info['rows']:,}",
        "files": files[0] if len(files) == 1 else f"{len(files):,}, {files[0]} to {files[-1]}",
        "first": info["first"],
        "last": info["last"],
        "period": info["period"] or "unknown",
        **_book_facts(info),
        "columns": " ".join(info["columns"]),
        "zone": info["zone"],
        "sha256": info["digest"],
        "gaps": f"{len(info['gaps']):,}",
    }
    pad = max(8, max(map(len, facts)) + 1)
    lines = [f"{name:<{pad}}{value}" for name, value in facts.items()]
    gaps = info["gaps"]
    shown = gaps if all or len(gaps) <= SHOWN else gaps[: SHOWN // 2]
    width = max((len(str(gap["row"])) for gap in shown), default=0)
    lines += [f"  row {gap['row']:>{width}}  {gap['ts']}  {gap['message']}" for gap in shown]
    lines += _cut(len(gaps) - len(shown), "gaps")
    return "\n".join(lines)


def _book_facts(info: dict[str, Any]) -> dict[str, str]:
    if info["kind"] != "book":
        return {}
    latency = ", ".join(f"{name} {value:,.3f} ms" for name, value in info["latency_ms"].items())
    return {
        "venue": info["venue"] or "unknown",
        "tick": f"{info['tick_size']:g}, lot {info['lot_size']:g}, {info['grid']}",
        "messages": f"{info['messages']:,}, of which {info['snapshots']:,} snapshots",
        "levels": f"{info['most_levels']:,} at most",
        "latency": latency,
    }


_RUNS = {*ERRORS, "zero_volume", "stale", "funding_grid", "disagree"} - {"missing"}


def _read(path: str) -> tuple[str, Raw]:
    kind = store.kind(path)
    if kind == "series":
        return kind, store.read_series(path, "")
    reader = {"bars": store.read_bars, "funding": store.read_funding, "trades": store.read_trades}[kind]
    return kind, reader(path, "")


def _judge(kind: str, raw: Raw, path: str, now: int | None, max_missing: float) -> list[Finding]:
    now, name = time.time_ns() if now is None else now, Path(path).stem or path
    if kind == "series":
        return quality.check_series(raw, name, now)
    if kind == "trades":
        return quality.check_trades(raw, name, now)
    judge = quality.check_bars if kind == "bars" else quality.check_funding
    return judge(raw, name, now, max_missing)


def _period(raw: Raw, kind: str) -> str:
    if kind in ("series", "trades"):
        return ""  # they come when they come
    ts = raw.ts if kind == "bars" else quality.snap(raw.ts)[0]
    # Sorted, as newest-first and appended files have a period too.
    step = quality.modal_step(np.unique(ts))
    return duration(step) if step else ""


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _cut(hidden: int, noun: str) -> list[str]:
    return [f"  … and {hidden:,} more {noun}; --all shows them"] if hidden else []
