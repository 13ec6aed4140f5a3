"""What is wrong with a book feed, chunk by chunk: rows, clocks, and the book that they build."""

from __future__ import annotations

from typing import Any

import numpy as np

from wfbt.data.arrays import I8
from wfbt.data.book.corrections import kept
from wfbt.data.book.findings import Log, total
from wfbt.data.book.grid import MOST, Grid
from wfbt.data.book.ladder import Best
from wfbt.data.book.rows import Levels, Mask, Quotes, Stamped
from wfbt.data.findings import runs

FAR = 5.0
"""A level beyond so many times the mid, or its inverse, is an outlier."""
SWAPPED = 0.5
"""The share of messages after which a book is crossed, beyond which bids must be asks."""
LEAST = 20
SILENCE = 60 * 1_000_000_000
MINUTE = 60 * 1_000_000_000
MOST_BLOCKS = 1024
DRIFT = 10_000_000
"""ns that the smallest latency may change by over a stream."""


class Rows:
    """Puts rows on the grid and leaves out what can be no level, with a finding for each run of them."""

    def __init__(self, grid: Grid, log: Log) -> None:
        self._grid, self._log = grid, log

    def on_grid(self, rows: Quotes | Levels) -> Levels:
        """The sound rows, their prices in ticks and quantities in lots."""
        if isinstance(rows, Quotes):
            return self._quotes(rows)
        sound = self._side(rows)
        sound &= self._said(rows, "non_positive", rows.tick <= 0, lambda i: f"tick must be > 0, was {rows.tick[i]}")
        sound &= self._said(rows, "negative_qty", rows.lots < 0, lambda i: f"lots must be >= 0, was {rows.lots[i]}")
        for rule, values in (("off_tick", rows.tick), ("off_lot", rows.lots)):
            wild = values > MOST
            sound &= self._said(rows, rule, wild, lambda i, v=values: f"{v[i]} is no count")
        return kept(rows, sound)

    def _quotes(self, rows: Quotes) -> Levels:
        grid, price, qty = self._grid, rows.price, rows.qty
        sound = self._side(rows)
        finite = np.isfinite(price) & np.isfinite(qty)
        sound &= self._said(rows, "nan", ~finite, lambda i: f"not a number: price {price[i]:g}, qty {qty[i]:g}")
        sound &= self._said(
            rows, "non_positive", finite & (price <= 0), lambda i: f"price must be > 0, was {price[i]:.10g}"
        )
        sound &= self._said(
            rows,
            "negative_qty",
            finite & (qty < 0),
            lambda i: f"qty must be >= 0 (0 deletes the level), was {qty[i]:g}",
        )
        with np.errstate(invalid="ignore", over="ignore"):
            tick, off_tick = grid.ticks(price)
            lots, off_lot = grid.lots(qty)
        sound &= self._said(
            rows,
            "off_tick",
            sound & off_tick,
            lambda i: f"price {price[i]:.12g} is no multiple of the tick {grid.tick_size:g}",
        )
        sound &= self._said(
            rows, "off_lot", sound & off_lot, lambda i: f"qty {qty[i]:.12g} is no multiple of the lot {grid.lot_size:g}"
        )
        levels = Levels(
            **{name: getattr(rows, name) for name in Stamped.__slots__},
            tick=tick,
            lots=lots,
        )
        return kept(levels, sound)

    def _side(self, rows: Stamped) -> Mask:
        wrong = (rows.side != 1) & (rows.side != -1)
        return self._said(rows, "side", wrong, lambda i: "side must be 1 (bid) or -1 (ask)")

    def _said(self, rows: Stamped, rule: str, bad: Mask, words: Any) -> Mask:
        self._log.rows(rule, bad, rows.row, rows.recv_ts, words)
        return ~bad


class Clocks:
    """Looks at both clocks: order, future, latency below zero, and latency that drifts."""

    def __init__(self, log: Log, now: int) -> None:
        self._log, self._now = log, now
        self._recv = self._exch = np.iinfo(np.int64).min
        self._negative: list[int] = []
        self._count = 0
        self._backwards: list[int] = []
        self._width = MINUTE
        self._blocks: dict[int, int] = {}

    def look(self, rows: Levels) -> None:
        """Take in a chunk; what needs all of them is said by `finish`."""
        if not len(rows):
            return
        log, recv, exch = self._log, rows.recv_ts, rows.exch_ts
        before = np.concatenate([[self._recv], recv[:-1]])
        log.rows("disorder", recv < before, rows.row, recv, lambda i: "received earlier than the row before it")
        log.rows("future", recv > self._now, rows.row, recv, lambda i: "later than now")
        latency = recv - exch
        if total(latency < 0):
            at = int(np.argmax(latency < 0))
            self._negative = self._negative or [int(rows.row[at]), int(recv[at]), 0]
            self._negative[2] = min(self._negative[2], int(latency.min()))
            self._count += total(latency < 0)
        ends = rows.last
        recv, exch, row = recv[ends], exch[ends], rows.row[ends]
        # A snapshot asked for over REST is older than what came before it; that is its nature.
        stream = ~rows.snapshot[ends]
        back = np.zeros(len(recv), np.bool_)
        if len(recv):
            latest = np.maximum.accumulate(np.where(stream, exch, np.iinfo(np.int64).min))
            back = stream & (exch < np.maximum(np.concatenate([[self._exch], latest[:-1]]), self._exch))
            self._exch = max(self._exch, int(latest[-1]))
        if total(back):
            at = int(np.argmax(back))
            self._backwards = self._backwards or [int(row[at]), int(recv[at]), 0]
            self._backwards[2] += total(back)
        self._silence(recv, row)
        self._smallest(recv[stream], (recv - exch)[stream])
        self._recv = max(self._recv, int(rows.recv_ts[-1]))

    def _silence(self, recv: I8, row: I8) -> None:
        if not len(recv):
            return
        if self._recv > np.iinfo(np.int64).min:
            recv, row = np.concatenate([[self._recv], recv]), np.concatenate([[row[0]], row])
        steps = np.diff(recv)
        usual = float(np.median(steps)) if len(steps) else 0.0
        for at in np.flatnonzero((steps > SILENCE) & (steps > 100 * usual)).tolist():
            self._log.add(
                "silence", row[at + 1], recv[at + 1], 1, f"nothing for {steps[at] / 1e9:.1f} s before this message"
            )

    def _smallest(self, recv: I8, latency: I8) -> None:
        if not len(recv):
            return
        block = recv // self._width
        cuts = np.flatnonzero(np.concatenate([[True], block[1:] != block[:-1]]))
        for key, least in zip(block[cuts].tolist(), np.minimum.reduceat(latency, cuts).tolist(), strict=True):
            self._blocks[key] = min(least, self._blocks.get(key, least))
        while len(self._blocks) > MOST_BLOCKS:
            self._width *= 2
            wider: dict[int, int] = {}
            for key, least in self._blocks.items():
                wider[key // 2] = min(least, wider.get(key // 2, least))
            self._blocks = wider

    def tell_negative(self) -> None:
        """Say what was received before it happened, once."""
        if self._negative:
            row, ts, least = self._negative
            self._log.add(
                "negative_latency",
                row,
                ts,
                self._count,
                f"{self._count:,} rows are received before they happen, by up to {-least / 1e6:,.3f} ms: the clock "
                f"here is behind; add corrections.clock_offset, at least {-(least // 1_000_000)}ms, "
                "and what the feed takes",
            )
            self._negative = []

    def finish(self) -> None:
        """Say what only the whole stream shows."""
        self.tell_negative()
        if self._backwards:
            row, ts, count = self._backwards
            self._log.add(
                "exch_disorder", row, ts, count, f"{count:,} messages happen before one that came before them"
            )
        least = np.array([self._blocks[key] for key in sorted(self._blocks)], np.float64)
        if len(least) >= 6:
            third = len(least) // 3
            change = float(np.median(least[-third:]) - np.median(least[:third]))
            apart = float(np.median(np.abs(np.diff(least))))
            if abs(change) > max(DRIFT, 5 * apart):
                span = (max(self._blocks) - min(self._blocks)) * self._width * 2 / 3
                self._log.add(
                    "latency_drift",
                    0,
                    min(self._blocks) * self._width,
                    len(least),
                    f"the smallest latency changes by {change / 1e6:+,.1f} ms over the stream, "
                    f"{change / span * 1e6:+,.2f} parts in a million: one of the clocks drifts",
                )


class Tops:
    """Looks at the best of both sides after each message, and at levels far from them."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._messages = 0
        self._crossed = 0
        self._far = [0, 0, 0]

    def look(self, rows: Levels, best: Best) -> None:
        """Take in a chunk of rows and what the book was after each of its messages."""
        row, ts = rows.row[best.at], rows.recv_ts[best.at]
        self._messages += total(best.both)
        self._crossed += total(best.both & (best.bid > best.ask))
        for rule, bad, words in (
            ("crossed", best.both & (best.bid > best.ask), "is above"),
            ("locked", best.both & (best.bid == best.ask), "equals"),
        ):
            if bad.any():
                for start, end in runs(bad):
                    self._log.add(
                        rule,
                        row[start],
                        ts[start],
                        end - start,
                        f"after this message{'' if end - start == 1 else f' and {end - start - 1:,} more'} "
                        f"the best bid, tick {best.bid[start]}, {words} the best ask, tick {best.ask[start]}",
                    )
        if best.far.any():
            at = int(np.argmax(best.far))
            if not self._far[2]:
                self._far = [int(rows.row[at]), int(rows.recv_ts[at]), 0]
            self._far[2] += total(best.far)

    def finish(self, factor: float) -> None:
        """Say what only the whole stream shows."""
        if self._messages >= LEAST and self._crossed > SWAPPED * self._messages:
            self._log.add(
                "sides_swapped",
                0,
                0,
                self._crossed,
                f"the book is crossed after {self._crossed / self._messages:.0%} of the messages: bids are asks; "
                "add corrections.swap_sides",
            )
        row, ts, count = self._far
        if count:
            self._log.add(
                "outlier", row, ts, count, f"{count:,} rows set a level beyond {factor:g} times the mid, or its inverse"
            )
