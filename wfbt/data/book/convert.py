"""`wfbt data import`: what venues and vendors publish, as compact Parquet of one symbol, a file a day."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wfbt.data.book import compact
from wfbt.data.book.compact import BookDays, Days, day_of, days
from wfbt.data.book.corrections import Corrections
from wfbt.data.book.findings import Log
from wfbt.data.book.grid import Grid, learn
from wfbt.data.book.importers.parsed import Depths, Parsed, Quoted, Traded
from wfbt.data.book.rows import Quotes
from wfbt.data.book.stream import Feed
from wfbt.data.book.tape import Tape
from wfbt.data.findings import Finding
from wfbt.errors import ConfigError, DataError
from wfbt.files import replace_whole

VERSION = 1
VENUES = {
    "binance-stream": "binance",
    "binance-archive": "binance",
    "tardis": "",
    "lobster": "nasdaq",
    "bybit": "bybit",
    "hftbacktest": "",
}
FORMATS = tuple(VENUES)
KINDS = ("book", "trades", "bbo", "depth")
ADVICE = "mend the source, or take it as it is: --correct accept=[RULE]"
Reader = Callable[[Sequence[str], str], Iterator[Parsed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    grid : Grid
    rows : mapping
        By kind (book, trades, bbo, depth) the rows of each day written.
    kept : mapping
        By kind the days that an earlier import of the same sources had written.
    findings, notes : lists
        What was found in the sources, and what was changed.
    """

    grid: Grid
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    kept: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def import_files(
    form: str,
    sources: Sequence[str],
    out: str | Path,
    *,
    symbol: str,
    tick_size: float | None = None,
    lot_size: float | None = None,
    venue: str = "",
    corrections: Corrections | None = None,
    now: int | None = None,
) -> Imported:
    """Write `out`/{book,trades,bbo,depth}/symbol=…/day=…, and beside the days import.json, which says how.

    Sources are read in the order given and must follow each other in time.  Where tick or lot is not given it is
    learned in a pass of its own.  Days that an import of the same sources with the same settings wrote are left alone.

    Raises ConfigError for an unknown format, DataError at the first error in the sources that `corrections` does not
    accept; the day it stands in is not written.
    """
    if form not in FORMATS:
        raise ConfigError(f"import: {form!r} is no format; valid are {', '.join(FORMATS)}")
    if not symbol or not all(letter.isalnum() or letter in "-_." for letter in symbol) or symbol.startswith("."):
        raise ConfigError(f"--symbol must be letters, digits, -, _ and ., was {symbol!r}")
    for name, value in (("--tick", tick_size), ("--lot", lot_size)):
        if value is not None and not 0 < value < float("inf"):
            raise ConfigError(f"{name} must be > 0, was {value}")
    asked, now = corrections or Corrections(), time.time_ns() if now is None else now
    reader, paths = _reader(form), [str(source) for source in sources]
    grid, learned = _grid(reader, paths, symbol, tick_size, lot_size)
    told = compact.described(
        symbol,
        grid,
        venue=venue or VENUES[form],
        clock_offset=asked.clock_offset,
        corrections=asked.told(),
        format=form,
        version=VERSION,
        sources=_identity(paths),
    )
    done = _Import(Path(out), symbol, told, grid, asked, now).run(reader(paths, symbol))
    if not done.rows and not done.kept:
        raise DataError(f"{', '.join(paths)}: nothing of {symbol} was found; is --symbol as the files write it?")
    if learned and {*done.rows, *done.kept} != {"depth"}:
        done.notes.append(
            f"{symbol}: tick {grid.tick_size:g} and lot {grid.lot_size:g} are what prices and quantities lie on; "
            "the contract's may be coarser: give --tick and --lot"
        )
    _describe(Path(out), symbol, told, done)
    return done


class _Import:
    """One pass over what an importer gives."""

    def __init__(
        self, out: Path, symbol: str, told: dict[str, Any], grid: Grid, corrections: Corrections, now: int
    ) -> None:
        self._symbol, self._grid, self._corrections, self._now = symbol, grid, corrections, now
        self._days = {kind: Days(out / kind, symbol, told) for kind in KINDS}
        self._log = Log(symbol)
        self._tapes = {kind: Tape(self._log, corrections, now, grid) for kind in ("trades", "bbo")}

    def run(self, parsed: Iterator[Parsed]) -> Imported:
        feed = Feed(
            self._books(parsed),
            self._grid,
            symbol=self._symbol,
            corrections=self._corrections,
            now=self._now,
            advice=ADVICE,
        )
        book = BookDays(self._days["book"])
        try:
            for part in feed.run():
                if len(part.rows):
                    book.add(part.rows, feed.book.levels())
            for tape in self._tapes.values():
                tape.finish()
            self._raise()
            for one in self._days.values():
                one.close()
        finally:
            for one in self._days.values():
                one.abandon()
        return Imported(
            grid=self._grid,
            rows={kind: one.written for kind, one in self._days.items() if one.written},
            kept={kind: one.kept for kind, one in self._days.items() if one.kept},
            findings=sorted(
                [*feed.log.findings(), *self._log.findings()], key=lambda f: (f.severity != "error", f.row, f.rule)
            ),
            notes=[*feed.log.notes, *self._log.notes],
        )

    def _books(self, parsed: Iterator[Parsed]) -> Iterator[Quotes]:
        """The book's rows; what comes between them is written as it passes."""
        for part in parsed:
            if part.trades is not None:
                self._write("trades", self._tapes["trades"].trades(part.trades))
            if part.bests is not None:
                self._write("bbo", self._tapes["bbo"].bests(part.bests))
            if part.depths is not None:
                self._sums(part.depths)
            self._raise()
            if part.book is not None:
                yield part.book

    def _write(self, kind: str, rows: Traded | Quoted) -> None:
        for begin, end in days(rows.recv_ts):
            if begin < end:
                some = rows.take(slice(begin, end))
                table = compact.trades_table(some) if isinstance(some, Traded) else compact.bests_table(some)
                self._days[kind].add(table, day_of(some.recv_ts[0]))

    def _sums(self, rows: Depths) -> None:
        for begin, end in days(rows.ts):
            some = {name: values[begin:end] for name, values in rows.columns.items()}
            table = compact.depths_table(Depths(ts=rows.ts[begin:end], columns=some))
            self._days["depth"].add(table, day_of(rows.ts[begin]))

    def _raise(self) -> None:
        if (found := self._log.first_error(self._corrections.accept)) is not None:
            raise DataError(f"{found}; {ADVICE}")


def _reader(form: str) -> Reader:
    from wfbt.data.book.importers import binance_archive, binance_stream, bybit, hftbacktest, lobster, tardis

    readers = (binance_stream, binance_archive, tardis, lobster, bybit, hftbacktest)
    read: Reader = readers[FORMATS.index(form)].read
    return read


def _grid(
    reader: Reader, paths: list[str], symbol: str, tick_size: float | None, lot_size: float | None
) -> tuple[Grid, bool]:
    if tick_size is not None and lot_size is not None:
        return Grid(tick_size=tick_size, lot_size=lot_size), False
    found = learn(pair for part in reader(paths, symbol) for pair in _pairs(part))
    return (
        Grid(
            tick_size=found.tick_size if tick_size is None else tick_size,
            lot_size=found.lot_size if lot_size is None else lot_size,
        ),
        True,
    )


def _pairs(part: Parsed) -> Iterator[tuple[Any, Any]]:
    if part.book is not None:
        yield part.book.price, part.book.qty
    if part.trades is not None:
        yield part.trades.price, part.trades.qty
    if part.bests is not None:
        yield part.bests.bid, part.bests.bid_qty
        yield part.bests.ask, part.bests.ask_qty
    if part.depths is not None:
        # Sums lie on no grid of prices; any will do where there is nothing else.
        yield np.ones(1), np.ones(1)


def _identity(paths: list[str]) -> list[dict[str, Any]]:
    """Name, size and sha256 of each source."""
    out = []
    for path in paths:
        place = Path(path)
        if not place.is_file():
            raise DataError(f"{path}: no such file")
        with place.open("rb") as file:
            out.append(
                {
                    "name": place.name,
                    "bytes": place.stat().st_size,
                    "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
                }
            )
    return out


def _describe(out: Path, symbol: str, told: dict[str, Any], done: Imported) -> None:
    """import.json of each kind: settings, sources, days, findings and notes."""
    for kind in {*done.rows, *done.kept}:
        text = json.dumps(
            {
                **told,
                "rows": done.rows.get(kind, {}),
                "kept": done.kept.get(kind, []),
                "findings": [asdict(f) for f in done.findings],
                "notes": done.notes,
            },
            indent=2,
            sort_keys=True,
        )
        place = out / kind / f"symbol={symbol}" / "import.json"
        replace_whole(place, lambda sink, text=text: sink.write(text.encode() + b"\n"))  # type: ignore[misc]
