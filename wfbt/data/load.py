"""From a strategy's symbols to a Market: read, judged, mended only as asked, and noted."""

from __future__ import annotations

import difflib
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wfbt.config.values import Duration
from wfbt.data import quality, store
from wfbt.data.findings import WARNINGS, Finding, Mask, duration
from wfbt.data.market import DAY, I8, Bars, Contract, Funding, Instrument, Market, Series
from wfbt.data.store import Raw, stamp
from wfbt.data.timeframes import coarser, label
from wfbt.data.trades import Trades
from wfbt.errors import ConfigError, DataError

KEYS = ("bars", "funding", "mark", "execution_bars", "trades", "contract", "impact", "volume", "adv")
SERIES = ("path", "available", "delay", "columns", "symbol", "max_age")
DROPPED = ("nan", "ohlc", "non_positive", "negative_volume", "off_grid", "future", "spike", "side")
REPAIRS = ("duplicates", "disorder", *DROPPED, "missing")
# Errors that the engine can live with once a person has said so.
ACCEPTABLE = ("missing", "future", *WARNINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What to do about one rule's findings, in one symbol or all, from `start` to before `end` (ns UTC).

    duplicates: keep the first of exact repeats; disorder: sort by time; missing: accept, as nothing can be filled in;
    other rules: drop the rows.  `accept` leaves the rows alone and takes the findings as they are.
    """

    rule: str
    symbol: str | None = None
    start: int | None = None
    end: int | None = None
    accept: bool = False

    def __post_init__(self) -> None:
        valid = ACCEPTABLE if self.accept else REPAIRS
        if self.rule not in valid:
            verb = "accepted" if self.accept else "repaired"
            raise ConfigError(
                f"quality: {self.rule!r} is nothing that can be {verb}{_near(self.rule, valid)}; "
                f"valid are {', '.join(valid)}"
            )

    def meets(self, symbol: str, ts: Any) -> Any:
        """Whether the repair is meant for the stamps of a symbol; elementwise."""
        inside = np.full(np.shape(ts), self.symbol in (None, symbol))
        if self.start is not None:
            inside &= ts >= self.start
        if self.end is not None:
            inside &= ts < self.end
        return inside


def load_market(
    symbols: Mapping[str, Mapping[str, Any]],
    *,
    start: Any = None,
    end: Any = None,
    max_missing: float = 0.05,
    repair: Iterable[str | Mapping[str, Any]] = (),
    series: Mapping[str, Mapping[str, Any]] | None = None,
    timeframes: Iterable[str | Duration] = (),
    base: str | os.PathLike[str] | None = None,
    now: int | None = None,
) -> Market:
    """The market of some symbols over [start, end).

    Parameters
    ----------
    symbols : mapping
        Per symbol: `bars` (path), and optionally `funding`, `mark`, `execution_bars`, `trades` (paths), `contract`
        (tick, lot, multiplier, inverse), `impact`, `volume` ("units" or "none") and `adv`.
    start, end : int ns UTC or anything pandas.Timestamp accepts
        Without a zone: UTC.
    max_missing : float
        The share of bars that may be absent from a series' own weekly pattern.
    repair : sequence of str or mapping
        Names of rules, or {rule, symbol, from, to, accept}.  Each that did something leaves a note in the market.
    series : mapping
        Per name what is no bar but known to a policy: `path`, and optionally `available` (the timestamps that say when
        a row could be known), `delay` (from then to us), `columns`, `symbol` (the only one to see it) and `max_age`.
    timeframes : sequence of str
        Durations of the coarser bars that a policy sees too, such as 4h and 1d.
    base : path
        The folder that relative paths start from.
    now : int ns UTC
        Later stamps are errors; the clock by default.
    """
    reader = _Reader(
        start=nanoseconds(start, "start"),
        end=nanoseconds(end, "end"),
        max_missing=max_missing,
        repairs=tuple(_parse_repair(item) for item in repair),
        base=os.fspath(base) if base is not None else "",
        now=time.time_ns() if now is None else now,
        findings=[],
        notes=[],
    )
    if reader.start is not None and reader.end is not None and reader.start >= reader.end:
        raise ConfigError(f"end must be after start ({stamp(reader.start)}), was {stamp(reader.end)}")
    instruments = tuple(_instrument(reader, symbol, spec) for symbol, spec in symbols.items())
    joined = tuple(_series(reader, name, spec, instruments) for name, spec in (series or {}).items())
    market = Market(
        instruments=instruments,
        digest=_digest(instruments, joined),
        findings=tuple(reader.findings),
        notes=tuple(reader.notes),
        series=joined,
        timeframes=tuple(int(_duration(span, "data.timeframes")) for span in timeframes),
    )
    return replace(market, notes=(*market.notes, *_never_closed(market)))


def nanoseconds(value: Any, name: str) -> int | None:
    """ns UTC of an int (already that) or of anything pandas.Timestamp accepts; None stays None."""
    if value is None or isinstance(value, (int, np.integer)):
        return None if value is None else int(value)
    import pandas as pd

    try:
        time_ = pd.Timestamp(value)
        time_ = time_.tz_localize("UTC") if time_.tzinfo is None else time_.tz_convert("UTC")
        return int(time_.as_unit("ns").value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(f"{name} must be a date such as 2020-01-01, was {value!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """How to read, and what has been said while reading."""

    start: int | None
    end: int | None
    max_missing: float
    repairs: Sequence[Repair]
    base: str
    now: int
    findings: list[Finding]
    notes: list[str]

    def path(self, path: Any) -> str:
        text = os.fspath(path)
        return text if "://" in text else os.path.join(self.base, text)

    def bars(self, path: Any, symbol: str, role: str) -> tuple[Raw, Bars]:
        """Bars of one file, sound after the repairs asked for."""

        def check(raw: Raw) -> list[Finding]:
            return quality.check_bars(raw, symbol, self.now, self.max_missing, has_volume=role != "mark")

        raw = store.read_bars(self.path(path), symbol, self.start, self.end)
        raw = self.sound(raw, symbol, role, check)
        if not (period := quality.modal_step(raw.ts)):
            raise DataError(f"{symbol}: {raw.path}: one bar is no series; see: wfbt data info {raw.path}")
        columns = {name: raw[name] for name in store.BARS}
        return raw, Bars(symbol=symbol, period=period, open_ts=raw.ts, **columns)

    def funding(self, path: Any, symbol: str) -> Funding:
        """Funding of one file, its stamps snapped to the minutes they mean."""

        def check(raw: Raw) -> list[Finding]:
            return quality.check_funding(raw, symbol, self.now, self.max_missing)

        raw = store.read_funding(self.path(path), symbol, self.start, self.end)
        raw = self.sound(raw, symbol, "funding", check)
        ts, snapped = quality.snap(raw.ts)
        if snapped:
            self.notes.append(f"{symbol}: {snapped:,} funding stamps within 100 ms of a round minute moved to it")
        mark = raw.columns.get("mark_price", np.full(len(raw), np.nan))
        return Funding(ts=ts, rate=raw["rate"], mark=mark, snapped=snapped)

    def trades(self, path: Any, symbol: str, bars: Raw) -> Trades:
        """Trades of one file, in time order; what they say of the bars is a finding."""

        def check(raw: Raw) -> list[Finding]:
            return quality.check_trades(raw, symbol, self.now)

        raw = store.read_trades(self.path(path), symbol, self.start, self.end)
        raw = self.sound(raw, symbol, "trades", check, quality.repeated_trades)
        self.findings.extend(quality.compare_trades(bars, raw, symbol))
        self.notes.append(
            f"{symbol}: {len(raw):,} trades from {stamp(raw.ts[0])} to {stamp(raw.ts[-1])}: "
            "features are made of them, and no order is filled by them"
        )
        return Trades(ts=raw.ts, price=raw["price"], qty=raw["qty"], side=raw["side"].astype(np.int8))

    def sound(
        self,
        raw: Raw,
        symbol: str,
        role: str,
        check: Callable[[Raw], list[Finding]],
        repeats: Callable[[Raw], Mask] = quality.exact_repeats,
    ) -> Raw:
        """The rows after the repairs, of which `repeats` names those that say nothing new; raises on errors left."""
        label = symbol if role == "bars" else f"{symbol} {role}"
        findings = check(raw)
        if any(f.severity == "error" or f.rule == "spike" for f in findings):
            mended = self._mend(raw, symbol, label, findings, repeats)
            if mended is not raw:
                raw, findings = mended, check(mended)
        findings = self._accept(symbol, label, findings)
        if errors := [f for f in findings if f.severity == "error"]:
            more = f" and {len(errors) - 1:,} more errors" if len(errors) > 1 else ""
            raise DataError(f"{errors[0]}{more}; see: wfbt data check {raw.path}")
        self.findings.extend(findings)
        return raw

    def _mend(
        self, raw: Raw, symbol: str, label: str, findings: Sequence[Finding], repeats: Callable[[Raw], Mask]
    ) -> Raw:
        drop = np.zeros(len(raw), dtype=bool)
        sort = False
        for repair in self.repairs:
            named = [f for f in findings if f.rule == repair.rule]
            if repair.accept or not named or repair.rule == "missing":
                continue
            if repair.rule == "disorder":
                sort |= any(repair.meets(symbol, f.ts) for f in named)
                continue
            if repair.rule == "duplicates":
                rows = repeats(raw)
            else:
                rows = np.zeros(len(raw), dtype=bool)
                for finding in named:
                    begin, end = np.searchsorted(raw.row, [finding.row, finding.row + finding.count])
                    rows[begin:end] = True
            rows &= repair.meets(symbol, raw.ts)
            if rows.any():
                self._note(raw, label, f"repaired {repair.rule}: dropped", rows)
                drop |= rows
        if drop.any():
            raw = raw.take(~drop)
            if not len(raw):
                raise DataError(f"{label}: the repairs leave no row of {raw.path}; see: wfbt data check {raw.path}")
        if sort:
            order = np.argsort(raw.ts, kind="stable")
            moved = order != np.arange(len(raw))
            if moved.any():
                self._note(raw, label, "repaired disorder: moved", moved)
                raw = raw.take(order)
        return raw

    def _accept(self, symbol: str, label: str, findings: Sequence[Finding]) -> list[Finding]:
        kept = list(findings)
        for repair in self.repairs:
            if not (repair.accept or repair.rule == "missing"):
                continue
            taken = [f for f in kept if f.rule == repair.rule and repair.meets(symbol, f.ts)]
            if taken:
                kept = [f for f in kept if not (f.rule == repair.rule and repair.meets(symbol, f.ts))]
                first, words = taken[0], "1 finding" if len(taken) == 1 else f"{len(taken):,} findings"
                self.notes.append(
                    f"{label}: accepted {repair.rule}: {words}, "
                    f"first at row {first.row} ({stamp(first.ts)}): {first.message}"
                )
        return kept

    def _note(self, raw: Raw, label: str, done: str, rows: Any) -> None:
        first, count = int(np.argmax(rows)), int(np.count_nonzero(rows))
        words = "1 row" if count == 1 else f"{count:,} rows"
        self.notes.append(f"{label}: {done} {words}, first at row {raw.row[first]} ({stamp(raw.ts[first])})")


def _parse_repair(item: str | Mapping[str, Any]) -> Repair:
    if isinstance(item, str):
        return Repair(rule=item)
    _only(item, ("rule", "symbol", "from", "to", "accept"), "repair")
    if "rule" not in item:
        raise ConfigError(f"repair: needs a rule, was {dict(item)!r}; valid are {', '.join(REPAIRS)}")
    return Repair(
        rule=str(item["rule"]),
        symbol=item.get("symbol"),
        start=nanoseconds(item.get("from"), "repair: from"),
        end=nanoseconds(item.get("to"), "repair: to"),
        accept=bool(item.get("accept", False)),
    )


def _only(given: Mapping[str, Any], valid: Sequence[str], where: str) -> None:
    for key in given:
        if key not in valid:
            raise ConfigError(f"{where}: unknown key {key!r}{_near(str(key), valid)}; valid are {', '.join(valid)}")


def _near(word: str, valid: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, valid, n=1)
    return f", did you mean {near[0]!r}" if near else ""


def _instrument(reader: _Reader, symbol: str, spec: Mapping[str, Any]) -> Instrument:
    _only(spec, KEYS, symbol)
    if not spec.get("bars"):
        raise ConfigError(f"{symbol}: bars is missing; give a file, a folder, a glob or an s3:// address")
    contract = spec.get("contract") or {}
    _only(contract, ("tick", "lot", "multiplier", "inverse"), f"{symbol}.contract")
    volume = spec.get("volume") or "units"
    if volume not in ("units", "none"):
        raise ConfigError(f"{symbol}: volume must be units or none, was {volume!r}")
    adv = spec.get("adv")
    raw, bars = reader.bars(spec["bars"], symbol, "bars")
    if not bars.volume.any():
        volume = "none"
    if volume == "none" and adv is None:
        why = "bars hold no volume" if not bars.volume.any() else "volume is not in units"
        reader.notes.append(f"{symbol}: {why} and no adv is given: impact is off")
    elif volume == "units" and adv is None and np.array_equal(bars.volume, np.floor(bars.volume)):
        reader.notes.append(
            f"{symbol}: volume is whole numbers throughout and taken as units of {symbol}; "
            "if it counts ticks or money, impact is wrong: set volume: none, or adv"
        )
    execution = None
    if spec.get("execution_bars"):
        fine, execution = reader.bars(spec["execution_bars"], symbol, "execution_bars")
        if execution.period >= bars.period or bars.period % execution.period:
            raise DataError(
                f"{symbol}: execution_bars must be finer than the bars and divide them; "
                f"they are {duration(execution.period)}, the bars {duration(bars.period)}"
            )
        reader.findings.extend(quality.compare_bars(raw, fine, symbol))
    return Instrument(
        bars=bars,
        funding=reader.funding(spec["funding"], symbol) if spec.get("funding") else None,
        mark=reader.bars(spec["mark"], symbol, "mark")[1] if spec.get("mark") else None,
        execution_bars=execution,
        trades=reader.trades(spec["trades"], symbol, raw) if spec.get("trades") else None,
        contract=Contract(**contract),
        impact=spec.get("impact"),
        volume=volume,
        adv=adv,
        generated=raw.generated,
    )


def _series(reader: _Reader, name: str, spec: Mapping[str, Any], instruments: Sequence[Instrument]) -> Series:
    where = f"data.series.{name}"
    _only(spec, SERIES, where)
    if not spec.get("path"):
        raise ConfigError(f"{where}: path is missing; give a file, a folder, a glob or an s3:// address")
    columns = spec.get("columns")
    if isinstance(columns, str):
        raise ConfigError(f"{where}.columns must be a list of columns, was {columns!r}")
    if columns and len(set(columns)) < len(columns):
        raise ConfigError(f"{where}.columns must not name a column twice, was {', '.join(columns)}")
    delay = int(_duration(spec.get("delay") or 0, f"{where}.delay"))
    max_age = spec.get("max_age")

    def check(raw: Raw) -> list[Finding]:
        return quality.check_series(raw, name, reader.now)

    raw = store.read_series(
        reader.path(spec["path"]),
        name,
        spec.get("available"),
        columns,
        # What was on its way at the start is known soon after.
        None if reader.start is None else reader.start - delay,
        reader.end,
    )
    raw = reader.sound(raw, name, "series", check)
    if raw.left_out:
        reader.notes.append(f"{name}: left out what is no number: {', '.join(raw.left_out)}")
    raw = _in_order(reader, raw, name)
    read = Series(
        name=name,
        columns=tuple(raw.columns),
        available_ts=raw.ts,
        values=np.column_stack(list(raw.columns.values())),
        delay=delay,
        max_age=None if max_age is None else int(_duration(max_age, f"{where}.max_age")),
        symbol=spec.get("symbol"),
    )
    _note_extent(reader, read, instruments)
    return read


def _in_order(reader: _Reader, raw: Raw, name: str) -> Raw:
    """Rows by time, and of one stamp the last in the file, with a note of what that changed."""
    order: I8 = np.argsort(raw.ts, kind="stable")
    moved = order != np.arange(len(raw))
    if moved.any():
        reader.notes.append(f"{name}: sorted by {raw.clock}, {np.count_nonzero(moved):,} of {len(raw):,} rows moved")
    raw = raw.take(order)
    last = np.append(np.diff(raw.ts) > 0, True)
    if dropped := int(np.count_nonzero(~last)):
        words = "1 row was" if dropped == 1 else f"{dropped:,} rows were"
        reader.notes.append(f"{name}: {words} followed by another of the same {raw.clock}; the last in the file counts")
    return raw.take(last)


def _never_closed(market: Market) -> list[str]:
    """Say which timeframes are too long for a symbol's bars: a rule would see nothing but NaN."""
    return [
        f"{one.symbol}: no bar of {label(span)} begins and ends within its bars, so open_{label(span)} and its kind "
        "are NaN"
        for span in market.timeframes
        for one in market.instruments
        if not (coarser(one.bars, span)[1] <= one.bars.close_ts[-1]).any()
    ]


def _note_extent(reader: _Reader, series: Series, every: Sequence[Instrument]) -> None:
    """Say where a series begins after its bars, or falls silent before them for longer than it ever was."""
    instruments = [one for one in every if series.symbol in (None, one.symbol)]
    if not instruments:
        return  # a symbol that is not there is refused by the market
    begins = min(int(one.bars.close_ts[0]) for one in instruments)
    ends = max(int(one.bars.close_ts[-1]) for one in instruments)
    first, last = int(series.available_ts[0]), int(series.available_ts[-1])
    silence = max(DAY, int(np.diff(series.available_ts).max(initial=0)))
    if first + series.delay > begins + DAY:
        reader.notes.append(f"{series.name}: its first row is of {stamp(first)}; it is NaN before")
    if ends - last > silence:
        then = "is held to the end" if series.max_age is None else f"is held for {Duration(series.max_age)}"
        reader.notes.append(f"{series.name}: its last row is of {stamp(last)} and {then}")


def _duration(value: Any, where: str) -> Duration:
    try:
        return Duration.parse(value)
    except ValueError as error:
        raise ConfigError(f"{where} {error}, was {value!r}") from error


def _digest(instruments: Iterable[Instrument], series: Iterable[Series]) -> str:
    sha = hashlib.sha256()
    for i in instruments:
        contract = i.contract
        arrays = {"contract": np.array([contract.tick, contract.lot, contract.multiplier, float(contract.inverse)])}
        for role, bars in (("bars", i.bars), ("mark", i.mark), ("execution_bars", i.execution_bars)):
            if bars is not None:
                arrays |= {f"{role}.{name}": getattr(bars, name) for name in ("open_ts", *store.BARS)}
        if i.funding is not None:
            arrays |= {f"funding.{name}": getattr(i.funding, name) for name in ("ts", "rate", "mark")}
        if i.trades is not None:
            arrays |= {f"trades.{name}": getattr(i.trades, name) for name in ("ts", "price", "qty", "side")}
        sha.update(store.digest(i.symbol, arrays).encode())
    for one in series:
        title = f"{one.name} of {one.symbol or 'all'}: {', '.join(one.columns)}"
        rules = np.array([one.delay, -1 if one.max_age is None else one.max_age], np.int64)
        arrays = {"rules": rules, "available_ts": one.available_ts, "values": one.values}
        sha.update(store.digest(title, arrays).encode())
    return sha.hexdigest()
