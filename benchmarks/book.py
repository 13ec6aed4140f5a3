"""A market maker on five million rows of a generated order book, every 100 ms, beside hftbacktest.

python benchmarks/book.py

The peer runs where WFBT_HFT_PYTHON names an interpreter that has hftbacktest, or where this one has it.  Both are given
the same rows and must give the same answer before anything is timed; then they take turns, and the least times count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

ROWS, TURNS = 5_000_000, 4
TICK, LOT, DELAY, PERIOD = 0.1, 0.001, 5_000_000, 100_000_000
SIZE, MOST = 1, 20
NAMES = ("exch_ts", "local_ts", "kind", "side", "tick", "lots")


@njit
def walk(rng, exch_ts, local_ts, kind, side, tick, lots):
    """Fill rows of a book that is never crossed: trades at the touch, and levels that come, go and change."""
    span, touch = 1 << 16, np.array([100_000, 100_001])
    book = np.zeros((2, span), np.int64)
    n, i, now, known = len(tick), 0, 1_000_000, 0
    for d in range(40):
        for h in range(2):
            u = touch[h] - d if h == 0 else touch[h] + d
            book[h, u % span] = rng.integers(1, 200)
            exch_ts[i], local_ts[i], kind[i], side[i], tick[i] = 1, 1, 0, 1 - 2 * h, u
            lots[i] = book[h, u % span]
            i += 1
    while i < n - 2:
        now += 1 + int(rng.exponential(1e6))
        known = max(known, now + 2_000_000 + int(rng.exponential(5e5)))
        h = rng.integers(0, 2)
        sign, u, what = 1 - 2 * h, touch[h], rng.random()
        if what < 0.12:
            size = min(book[h, u % span], rng.integers(1, 40))
            exch_ts[i], local_ts[i], kind[i], side[i], tick[i], lots[i] = now, known, 1, -sign, u, size
            i += 1
            after = book[h, u % span] - size
        elif what < 0.16 and touch[1] - touch[0] > 1:
            u += sign
            after = rng.integers(1, 200)
        else:
            d = min(int(rng.exponential(5.0)), 39)
            u -= sign * d
            after = 0 if d > 3 and rng.random() < 0.1 else rng.integers(1, 200)
        book[h, u % span] = after
        exch_ts[i], local_ts[i], kind[i], side[i], tick[i], lots[i] = now, known, 0, sign, u, after
        i += 1
        if after > 0:
            touch[h] = max(touch[h], u) if h == 0 else min(touch[h], u)
        while book[h, touch[h] % span] == 0:
            touch[h] -= sign
        book[h, (touch[h] - 45 * sign) % span] = 0
    return i


def feed(rows: int = ROWS, seed: int = 1) -> dict[str, np.ndarray]:
    """The six columns of about so many rows."""
    columns = {name: np.zeros(rows, np.int8 if name in ("kind", "side") else np.int64) for name in NAMES}
    used = walk(np.random.default_rng(seed), *columns.values())
    return {name: column[:used] for name, column in columns.items()}


def peer(path: str) -> None:
    """Answer each line of standard input, a kind of depth, with one replay of the peer's: seconds and results."""
    import hftbacktest as hft
    from hftbacktest.types import event_dtype

    rows = dict(np.load(path))
    events = np.zeros(len(rows["tick"]), event_dtype)
    sides = np.where(rows["side"] > 0, hft.BUY_EVENT, hft.SELL_EVENT)
    kinds = np.where(rows["kind"] == 1, hft.TRADE_EVENT, hft.DEPTH_EVENT)
    events["ev"] = hft.EXCH_EVENT | hft.LOCAL_EVENT | sides | kinds
    events["exch_ts"], events["local_ts"] = rows["exch_ts"], rows["local_ts"]
    events["px"], events["qty"] = rows["tick"] * TICK, rows["lots"] * LOT
    buy, gtx, limit = hft.BUY, hft.GTX, hft.LIMIT

    @njit
    def quote(bot, last):
        decisions, order = 0, 1
        # The peer goes on while messages are under way; the last row ends the decisions.
        while bot.current_timestamp + PERIOD < last and bot.elapse(PERIOD) == 0:
            decisions += 1
            bot.clear_inactive_orders(0)
            depth, held = bot.depth(0), round(bot.position(0) / LOT)
            for s in (1, -1):
                at = depth.best_bid_tick if s > 0 else depth.best_ask_tick
                wanted, quoted = s * held < MOST, False
                orders = bot.orders(0).values()
                while orders.has_next():
                    one = orders.get()
                    if (one.side == buy) != (s > 0):
                        continue
                    if wanted and one.price_tick == at:
                        quoted = True
                    elif one.cancellable:
                        bot.cancel(0, one.order_id, False)
                if wanted and not quoted:
                    if s > 0:
                        bot.submit_buy_order(0, order, at * TICK, SIZE * LOT, gtx, limit, False)
                    else:
                        bot.submit_sell_order(0, order, at * TICK, SIZE * LOT, gtx, limit, False)
                    order += 1
        bot.elapse(100 * PERIOD)  # to the end of what is under way
        return decisions

    for line in sys.stdin:
        asset = (
            hft.BacktestAsset()
            .data(events)
            .linear_asset(1.0)
            .constant_order_latency(DELAY, DELAY)
            .power_prob_queue_model3(3.0)
            .no_partial_fill_exchange()
            .trading_value_fee_model(-0.00005, 0.0007)
            .tick_size(TICK)
            .lot_size(LOT)
            .last_trades_capacity(0)
        )
        if line.strip() == "roi":
            asset = asset.roi_lb((rows["tick"].min() - 100) * TICK).roi_ub((rows["tick"].max() + 100) * TICK)
            bot = hft.ROIVectorMarketDepthBacktest([asset])
        else:
            bot = hft.HashMapMarketDepthBacktest([asset])
        begun = time.thread_time()
        decisions = quote(bot, int(rows["local_ts"].max()))
        taken, state = time.thread_time() - begun, bot.state_values(0)
        bot.close()
        result = [decisions, state.position, state.balance, state.fee, state.num_trades, state.trading_value]
        print(json.dumps([taken, result]), flush=True)


def ours(rows: dict[str, np.ndarray]) -> Any:
    """A replay to be repeated, with an account opened anew each time: its seconds and results."""
    from wfbt.engine.book_events import BookEvents
    from wfbt.engine.book_replay import replay_book
    from wfbt.engine.book_venue import Asking, BookModel, BookVenue, Delays
    from wfbt.kernels.book_policies import market_maker

    way = Delays.constant(DELAY)
    venue = BookVenue(tick_size=TICK, lot_size=LOT, maker_bps=-0.5, taker_bps=7.0, entry=way, response=way)
    events = BookEvents(**rows)

    def replay() -> tuple[float, list[float]]:
        begun = time.thread_time()
        done = replay_book(
            {"X": events}, {"X": venue}, market_maker, [SIZE, MOST, 0], asking=Asking.clock(PERIOD),
            model=BookModel(partial=False), requests=8,
        )  # fmt: skip
        taken, purse = time.thread_time() - begun, done.exchange[0]
        figures = (len(done.ts), int(done.positions[0]) * LOT, *(purse[x] for x in ("cash", "fees", "trades", "value")))
        return taken, [float(x) for x in figures]

    return replay


def main() -> None:
    """Print the table."""
    from machine import describe, row

    print(describe())
    rows = feed()
    replay = ours(rows)
    begun = time.perf_counter()
    _, answer = replay()
    print(f"first replay, compiled or read from the cache: {time.perf_counter() - begun:.1f} s")
    python = os.environ.get("WFBT_HFT_PYTHON") or (sys.executable if find_spec("hftbacktest") else "")
    times: dict[str, list[float]] = {"wfbt": []}
    if python:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "rows.npz")
            np.savez(path, **rows)
            command = [python, __file__, "peer", path]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
                assert other.stdin is not None and other.stdout is not None
                for turn in range(TURNS + 1):
                    for kind in ("roi", "hash"):
                        other.stdin.write(kind + "\n")
                        other.stdin.flush()
                        taken, theirs = json.loads(other.stdout.readline())
                        np.testing.assert_allclose(answer, theirs, rtol=1e-12)
                        times.setdefault(kind, []).extend([taken] if turn else [])
                    times["wfbt"].append(replay()[0])
                other.stdin.close()
    else:
        print("hftbacktest is not here: set WFBT_HFT_PYTHON to an interpreter that has it")
        times["wfbt"] = [replay()[0] for _ in range(TURNS)]
    best = {name: min(taken) for name, taken in times.items()}
    size = len(rows["tick"]) / 1e6
    row("wfbt, rows a second", f"{size / best['wfbt']:.1f} M", "", True)
    for kind, least in (("roi", 1.5), ("hash", 2.0)):
        if kind in best:
            ratio = best[kind] / best["wfbt"]
            name = f"hftbacktest, {kind} depth, rows a second; wfbt is so much faster"
            row(name, f"{size / best[kind]:.1f} M   {ratio:.2f}x", f">= {least}x", ratio >= least)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        peer(sys.argv[2])
    else:
        sys.path.insert(0, str(Path(__file__).parent))
        main()
