"""Trades and best quotes beside a book: judged row by row, corrected alike, on the same grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from wfbt.data import store
from wfbt.data.arrays import I8
from wfbt.data.book.corrections import Corrections
from wfbt.data.book.events import Prints
from wfbt.data.book.findings import Log, total
from wfbt.data.book.grid import Grid
from wfbt.data.book.importers.parsed import Quoted, Traded
from wfbt.data.book.parquet import BATCH, extent, opened, stamps
from wfbt.data.book.rows import NO_ID, Mask
from wfbt.errors import DataError

R = TypeVar("R", Traded, Quoted)


class Tape:
    """Judges and corrects trades or best quotes, chunk by chunk."""

    def __init__(self, log: Log, corrections: Corrections, now: int, grid: Grid | None = None) -> None:
        """Without a grid nothing is off it."""
        self._log, self._corrections, self._grid, self._now = log, corrections, grid, now
        self._latest = self._raw = np.iinfo(np.int64).min
        self._id = NO_ID
        self._negative: list[int] = []

    def trades(self, rows: Traded) -> Traded:
        """The sound trades, their clock corrected."""
        sound = np.ones(len(rows), np.bool_)
        for name in ("price", "qty"):
            values = getattr(rows, name)
            sound &= self._said(rows, "nan", ~np.isfinite(values), lambda i, v=values, n=name: f"{n} is no number")  # type: ignore[misc]
            bad = np.isfinite(values) & (values <= 0)
            sound &= self._said(rows, "non_positive", bad, lambda i, v=values, n=name: f"{n} must be > 0, was {v[i]:g}")  # type: ignore[misc]
        wrong = (rows.side != 1) & (rows.side != -1)
        sound &= self._said(rows, "side", wrong, lambda i: "side must be 1 (the buyer was the aggressor) or -1")
        if self._grid is not None:
            for rule, name, whole in (("off_tick", "price", self._grid.ticks), ("off_lot", "qty", self._grid.lots)):
                values = getattr(rows, name)
                off = whole(np.where(sound, values, 0.0))[1]
                words = f"is no multiple of the {rule[4:]}"
                sound &= self._said(rows, rule, off, lambda i, v=values, n=name, w=words: f"{n} {v[i]:.12g} {w}")  # type: ignore[misc]
        return self._timed(rows.take(sound))

    def bests(self, rows: Quoted) -> Quoted:
        """The sound best quotes, their clock corrected; one without a side is left out."""
        sound = np.ones(len(rows), np.bool_)
        for name in ("bid", "bid_qty", "ask", "ask_qty"):
            values = getattr(rows, name)
            sound &= self._said(rows, "nan", ~np.isfinite(values), lambda i, n=name: f"{n} is no number")  # type: ignore[misc]
            bad = np.isfinite(values) & (values <= 0)
            sound &= self._said(rows, "non_positive", bad, lambda i, v=values, n=name: f"{n} must be > 0, was {v[i]:g}")  # type: ignore[misc]
        self._said(rows, "crossed", sound & (rows.bid > rows.ask), lambda i: "the bid is above the ask")
        self._said(rows, "locked", sound & (rows.bid == rows.ask), lambda i: "the bid equals the ask")
        ids = rows.update_id
        if len(ids) and ids[0] != NO_ID:
            back = ids < np.concatenate([[self._id], ids[:-1]])
            self._said(rows, "sequence", back, lambda i: f"update {ids[i]} comes after a later one")
            self._id = int(ids[-1])
        return self._timed(rows.take(sound))

    def finish(self) -> None:
        """Say what only the whole stream shows."""
        if self._negative:
            row, ts, count, least = self._negative
            self._log.add(
                "negative_latency",
                row,
                ts,
                count,
                f"{count:,} rows are received before they happen, by up to {-least / 1e6:,.3f} ms: "
                f"add corrections.clock_offset, at least {-(least // 1_000_000)}ms, and what the feed takes",
            )
            self._negative = []

    def _timed(self, rows: R) -> R:
        recv = rows.recv_ts + self._corrections.clock_offset
        if not len(recv):
            return rows
        before = np.concatenate([[self._latest], recv[:-1]])
        if self._corrections.hold_clock:
            recv = np.maximum.accumulate(np.maximum(recv, self._latest))
        else:
            back = recv < before
            self._said(rows, "disorder", back, lambda i: "received earlier than the row before it")
        self._said(rows, "future", recv > self._now, lambda i: "later than now")
        self._latest = max(self._latest, int(recv[-1]))
        latency: I8 = recv - rows.exch_ts
        if (count := total(latency < 0)) > 0:
            at = int(np.argmax(latency < 0))
            self._negative = self._negative or [int(rows.row[at]), int(recv[at]), 0, 0]
            self._negative[2] += count
            self._negative[3] = min(self._negative[3], int(latency.min()))
        return replace(rows, recv_ts=recv)

    def _said(self, rows: Traded | Quoted, rule: str, bad: Mask, words: Callable[[int], str]) -> Mask:
        self._log.rows(rule, bad, rows.row, rows.recv_ts, words)
        return ~bad


def read_trades(path: str, symbol: str = "", start: int | None = None, end: int | None = None) -> Iterator[Traded]:
    """Trades of Parquet files by batches: ts, price, qty, side, and recv_ts and an id where they have one.

    Files without recv_ts know no receipt: it is ts then.  Those received before `start`, ns UTC, and from `end` on are
    left out, and files that hold no others are not read.
    """
    wanted = ("recv_ts", "trade_id", "agg_id", "id")
    for batch, offset, at in _batches(path, symbol, ("ts", "price", "qty", "side"), wanted, start, end):
        exch = stamps(batch["ts"], "ts", at)
        recv = stamps(batch["recv_ts"], "recv_ts", at) if "recv_ts" in batch else exch
        identity = next((batch[name] for name in ("trade_id", "agg_id", "id") if name in batch), None)
        side = _number(batch["side"])
        out = Traded(
            row=np.arange(offset, offset + len(exch)),
            exch_ts=exch,
            recv_ts=recv,
            price=_number(batch["price"]),
            qty=_number(batch["qty"]),
            side=np.where(np.abs(side) == 1, side, 0).astype(np.int8),
            trade_id=np.full(len(exch), NO_ID) if identity is None else _number(identity).astype(np.int64),
        )
        if start is not None:
            out = out.take(out.recv_ts >= start)
        if end is not None:
            out = out.take(out.recv_ts < end)
        yield out


def read_bests(path: str, symbol: str = "") -> Iterator[Quoted]:
    """Best quotes of Parquet files by batches: ts, bid, bid_qty, ask, ask_qty, and recv_ts and update_id if there."""
    names = ("ts", "bid", "bid_qty", "ask", "ask_qty")
    for batch, offset, at in _batches(path, symbol, names, ("recv_ts", "update_id")):
        exch = stamps(batch["ts"], "ts", at)
        n = len(exch)
        yield Quoted(
            row=np.arange(offset, offset + n),
            exch_ts=exch,
            recv_ts=stamps(batch["recv_ts"], "recv_ts", at) if "recv_ts" in batch else exch,
            **{name: _number(batch[name]) for name in names[1:]},
            update_id=batch["update_id"].fill_null(NO_ID).to_numpy(zero_copy_only=False)
            if "update_id" in batch
            else np.full(n, NO_ID),
        )


def on_grid(rows: Traded, grid: Grid) -> Prints:
    """Sound trades in ticks and lots."""
    return Prints(
        exch_ts=rows.exch_ts,
        recv_ts=rows.recv_ts,
        side=rows.side,
        tick=grid.ticks(rows.price)[0],
        lots=grid.lots(rows.qty)[0],
    )


def _number(column: Any) -> np.ndarray:
    import pyarrow as pa

    out: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return out


def _batches(
    path: str,
    symbol: str,
    needed: tuple[str, ...],
    wanted: tuple[str, ...],
    start: int | None = None,
    end: int | None = None,
) -> Iterator[tuple[dict[str, Any], int, str]]:
    """The columns needed, and those wanted that there are, batch by batch, with the number of the first row."""
    offset = 0
    for one in store.resolve(path, symbol):
        at = f"{symbol}: {one[0]}" if symbol else one[0]
        parquet = opened(one, symbol)
        with store.guard(symbol, one[0]):
            there = parquet.schema_arrow.names
            if lacking := [column for column in needed if column not in there]:
                raise DataError(
                    f"{at}: column {lacking[0]} is missing; needs {', '.join(needed)}, "
                    f"found {', '.join(there) or 'none'}"
                )
            first, last = extent(parquet)
            row = offset
            offset += parquet.metadata.num_rows
            if (start is not None and last < start) or (end is not None and first >= end):
                continue
            columns = [*needed, *(column for column in wanted if column in there)]
            for batch in parquet.iter_batches(batch_size=BATCH, columns=columns):
                yield dict(zip(batch.schema.names, batch.columns, strict=True)), row, at
                row += batch.num_rows
