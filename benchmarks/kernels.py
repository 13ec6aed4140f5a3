"""The bar kernel on one thread, beside a fee-only floor on the same intents and beside vectorbt on the same orders.

    python benchmarks/kernels.py

Answers are checked before anything is timed.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numba
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from machine import best, describe, peak_mib, row

import wfbt
from wfbt.data.market import HOUR, MINUTE
from wfbt.engine.backtest import replay_ledger
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.sweep import replay_lanes
from wfbt.engine.tape import lay_out
from wfbt.kernels.abi import (
    EVENT,
    FILL,
    INTENT,
    LANE,
    LIQUIDATION,
    ORDER_LOG,
    PAYMENT,
    TALLY,
    Rules,
    desk_of,
    record_of,
)
from wfbt.kernels.bars import replay


def market(rows: int, period: int = HOUR, seed: int = 0) -> wfbt.Market:
    """A mean-reverting market that no account outgrows, with funding every eight hours."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    close = 100 * np.exp(lfilter([1.0], [1.0, -0.9995], rng.normal(0, 0.004, rows)))
    opens = np.r_[100.0, close[:-1]]
    bars = wfbt.Bars(
        symbol=f"X{seed:02}",
        period=period,
        open_ts=np.arange(rows) * period,
        open=opens,
        high=np.maximum(opens, close) * (1 + np.abs(rng.normal(0, 0.002, rows))),
        low=np.minimum(opens, close) * (1 - np.abs(rng.normal(0, 0.002, rows))),
        close=close,
        volume=np.full(rows, 4e6),
    )
    stamps = np.arange(8 * HOUR, rows * period, 8 * HOUR)
    funding = wfbt.Funding(ts=stamps, rate=np.full(len(stamps), 1e-6), mark=np.full(len(stamps), np.nan))
    return wfbt.Market(instruments=(wfbt.Instrument(bars=bars, funding=funding),), digest="")


COSTS = wfbt.Costs(maker_bps=0.02, taker_bps=0.05, half_spread_bps=0.01)
LATENCY = wfbt.Latency.uniform(1e8, 5e8, adverse=0.0)
ACCOUNT_ = wfbt.Account(cash=1e5, leverage=3)
LIMITS = wfbt.Limits(max_daily_loss=0.5, max_drawdown=0.95, losses=1000, cool_down=HOUR, max_leverage=3)
SETUP = Setup(costs=COSTS, latency=LATENCY, account=ACCOUNT_, sizing=wfbt.Sizing(max_position=1.0), limits=LIMITS)


def together(assets: int, rows: int, period: int) -> wfbt.Market:
    """That many such markets in one account."""
    return wfbt.Market(instruments=tuple(market(rows, period, a).instruments[0] for a in range(assets)), digest="")


def intents(rows: int, share: float, seed: int, brackets: bool, assets: int = 1) -> np.ndarray:
    """New targets on a random `share` of rows of each asset, with stops and take-profits or without."""
    rng = np.random.default_rng(seed)
    at = np.flatnonzero(rng.random(rows * assets) < share)
    out = np.zeros(len(at), INTENT)
    out["row"], out["asset"] = np.divmod(at, assets)
    out["size"] = rng.uniform(-0.3, 0.3, len(at)) / assets**0.5
    for name, distance in (("stop", 2.0), ("take", 3.0), ("trail", np.nan)):
        out[name] = distance if brackets else np.nan
    for name in ("limit", "trigger", "other_size", "other_limit", "other_trigger"):
        out[name] = np.nan
    out["expire"] = np.iinfo(np.int64).max
    return out


@numba.njit
def floor_kernel(opens, close, target, cash, fee, equity):
    """All that is left when only fees are charged: the least work that replays these targets."""
    position, acted, fills = 0.0, 0.0, 0
    equity[0] = cash
    for t in range(1, len(opens)):
        wanted = target[t - 1]
        if wanted == wanted and wanted != acted:
            acted = wanted
            qty = wanted * equity[t - 1] / close[t - 1] - position
            cash -= qty * opens[t] + abs(qty) * opens[t] * fee
            position += qty
            fills += 1
        equity[t] = cash + position * close[t]
    return fills


def kernel_seconds(deck, said, rules: Rules) -> tuple[float, np.void]:
    """Least time of one full-ledger replay, the memory it writes included, and its tally."""
    rows, assets = deck.tape.open.shape
    lanes = np.zeros(1, LANE)
    lanes["stop"], lanes["last"] = rows, len(said)
    tally = np.zeros(1, TALLY)
    room = 2 * len(said) + 64 * assets

    def work() -> None:
        tally[:] = np.zeros(1, TALLY)
        columns = [np.zeros(rows) for _ in range(4)]
        equity, cash, liquidation, shortfall = columns
        replay(
            deck.tape, deck.terms, deck.stamps, deck.contracts, deck.day_rows, said, lanes, record_of(rules),
            deck.slots, deck.activity, deck.venue, np.zeros(room, FILL), np.zeros(max(1, len(deck.stamps)), PAYMENT),
            np.zeros(room, ORDER_LOG), np.zeros(1 + assets, EVENT), np.zeros(room, LIQUIDATION), equity, cash,
            np.zeros((rows, assets)), liquidation, shortfall, np.full((1, len(deck.day_rows)), np.nan), tally,
            desk_of(1, assets, deck.slots),
        )  # fmt: skip

    work()
    return best(work), tally[0]


def full_realism() -> None:
    print("\nfull realism: brackets, latency, impact, funding, liquidation, breakers, cool-down, leverage (one thread)")
    rows = 1_000_000
    data = market(rows, MINUTE)
    deck = lay_out(data, SETUP, seed=1)
    rules = rules_of(SETUP, deck.horizon)
    bars = data.instruments[0].bars
    for name, share, brackets, most in (
        ("1 × 1 M minutes, full ledger, no intent but the first", 0.0, False, 6.0),
        ("1 × 1 M minutes, full ledger, intents on 5% of bars", 0.05, True, 15.0),
        ("1 × 1 M minutes, full ledger, an intent every bar", 1.0, False, 50.0),
    ):
        said = intents(rows, share or 1.0, 1, brackets)
        if not share:
            said = said[:1]
        ledger = replay_ledger(deck, said, rules)
        ledger.reconcile()
        seconds, tally = kernel_seconds(deck, said, rules)
        assert tally["equity"] == ledger.equity[-1]
        target = np.full(rows, np.nan)
        target[said["row"]] = said["size"]
        equity = np.empty(rows)
        floor_kernel(bars.open, bars.close, target, 1e5, 5e-6, equity)
        floor = best(lambda: floor_kernel(bars.open, bars.close, target, 1e5, 5e-6, np.empty(rows)))  # noqa: B023
        nanos = seconds * 1e9 / rows
        fills = tally["fills"] / rows
        row(name, f"{nanos:.1f} ns/bar", f"<= {most:g}", nanos <= most)
        row(
            f"    fills per bar {fills:.3f}; ratio to the fee-only floor",
            f"{seconds / floor:.1f} x",
            "<= 10",
            seconds / floor <= 10,
        )
    rows, lanes = 10_000, 1_000
    deck = lay_out(market(rows), SETUP, seed=1)
    many = [intents(rows, 0.05, seed, True) for seed in range(lanes)]
    whole = [(0, rows)] * lanes
    done = replay_lanes(deck, many, whole, rules)
    for lane in (0, 500, 999):
        assert done.tallies["equity"][lane] == replay_ledger(deck, many[lane], rules).equity[-1]
    seconds = best(lambda: replay_lanes(deck, many, whole, rules), 3)
    nanos = seconds * 1e9 / rows / lanes
    row("1000 × 10 k hours, metrics only, intents on 5% of bars", f"{nanos:.1f} ns/bar", "<= 8", nanos <= 8)
    print(f"    fills per bar {done.tallies['fills'].sum() / rows / lanes:.3f}")


def portfolio() -> None:
    print("\na portfolio under the same realism, one account (one thread)")
    assets, rows = 50, 20_000
    deck = lay_out(together(assets, rows, MINUTE), SETUP, seed=1)
    rules = rules_of(SETUP, deck.horizon)
    for name, share, most in (
        ("50 assets × 20 k minutes, full ledger, intents on 5% of bars", 0.05, 15.0),
        ("50 assets × 20 k minutes, full ledger, held without a fill", 0.0, 4.0),
    ):
        said = intents(rows, share or 1.0, 1, share > 0, assets)
        if not share:
            said = said[:assets]
        ledger = replay_ledger(deck, said, rules)
        ledger.reconcile()
        seconds, tally = kernel_seconds(deck, said, rules)
        assert tally["equity"] == ledger.equity[-1] and tally["fills"] == len(ledger.fills)
        assert tally["fills"] == assets if not share else tally["fills"] > 0.9 * len(said)
        nanos = seconds * 1e9 / rows / assets
        row(name, f"{nanos:.1f} ns/bar/asset", f"<= {most:g}", nanos <= most)
        print(f"    fills per bar and asset {tally['fills'] / rows / assets:.3f}")


def against_vectorbt() -> None:
    print("\nwhole calls against vectorbt's from_signals, Numba engine, the same orders")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vectorbt as vbt
    costs = wfbt.Costs(taker_bps=5, maker_bps=5, half_spread_bps=2, impact=None)
    account = wfbt.Account(cash=1e5, maintenance=0.0)
    sizing = wfbt.Sizing(price="fill")
    for rows, columns in ((1_000_000, 1), (10_000, 1_000)):
        data = market(rows)
        bars = data.instruments[0].bars
        rng = np.random.default_rng(3)
        held = np.repeat(rng.random((rows // 20, columns)) < 0.5, 20, axis=0).astype(float)
        index = pd.to_datetime(bars.open_ts)
        wanted = np.vstack([np.zeros((1, columns)), held[:-1]])
        before = np.vstack([np.zeros((1, columns)), wanted[:-1]])
        frame = {name: pd.Series(getattr(bars, name), index) for name in ("open", "close")}
        entries = pd.DataFrame((wanted > 0) & (before == 0), index)
        exits = pd.DataFrame((wanted == 0) & (before > 0), index)

        def theirs():
            return vbt.Portfolio.from_signals(
                close=frame["close"], entries=entries, exits=exits, price=frame["open"], open=frame["open"],  # noqa: B023
                size=np.inf, min_size=0.0, direction="longonly", fees=0.0005, slippage=0.0002, init_cash=1e5, freq="1h",
                accumulate=False, engine="numba",
            )  # fmt: skip

        if columns == 1:

            def ours():
                return wfbt.backtest(data, held[:, 0], costs=costs, account=account, sizing=sizing)  # noqa: B023

            count = len(ours().fills)
        else:

            def ours():
                setup = Setup(costs=costs, account=account, sizing=sizing)
                deck = lay_out(data, setup, 0)  # noqa: B023
                lowering = Lowering(data, deck, setup)  # noqa: B023
                rules = rules_of(setup, deck.horizon)
                from wfbt.policy.base import Columns

                said = [lowering.lower({"X00": Columns(target=held[:, lane])}) for lane in range(columns)]  # noqa: B023
                return replay_lanes(deck, said, [(0, rows)] * columns, rules)  # noqa: B023

            count = int(ours().tallies["fills"].sum())
        peer = theirs()
        peer.value()
        assert len(peer.orders.records) == count, (len(peer.orders.records), count)
        mine, other = best(ours, 3), best(lambda: theirs().value(), 2)
        row(
            f"{columns} × {rows:,}: {count:,} equal orders", f"{other / mine:.1f} x faster", ">= 10", other / mine >= 10
        )
        print(f"    {mine * 1e9 / rows / columns:.1f} against {other * 1e9 / rows / columns:.1f} ns per bar and column")


if __name__ == "__main__":
    print(describe())
    begun = time.perf_counter()
    full_realism()
    portfolio()
    against_vectorbt()
    print(f"\npeak memory {peak_mib():,.0f} MiB, {time.perf_counter() - begun:.0f} s in all")
