"""Accounts that wait for decisions: nanoseconds of one thread that each costs per decision.

    python benchmarks/accounts.py

Beside them the cheapest step there is: cash, position and a fee, in one compiled loop.  Answers are checked before
anything is timed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from machine import describe, row

import wfbt
from wfbt.data.market import HOUR
from wfbt.engine.accounts import SEEN, Accounts
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.tape import lay_out
from wfbt.kernels.agent import submit

ROWS, SPAN, BLOCK = 20_000, 9_000, 20
SETUP = Setup(costs=wfbt.Costs(taker_bps=1), account=wfbt.Account(leverage=3), limits=wfbt.Limits(max_drawdown=0.9))
OWN = [SEEN[name] for name in ("position", "unrealised", "holding", "drawdown")]
MOST = {"step": 110.0, "hold": 80.0, "observe": 15.0, "submit": 15.0}  # ns a lane, of 1024 with one asset


def market(assets: int) -> wfbt.Market:
    """Random walks with funding every eight hours."""
    rng, made = np.random.default_rng(0), []
    for a in range(assets):
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.005, ROWS)))
        opens = np.r_[100.0, close[:-1]]
        high = np.maximum(opens, close) * (1 + np.abs(rng.normal(0, 0.002, ROWS)))
        low = np.minimum(opens, close) * (1 - np.abs(rng.normal(0, 0.002, ROWS)))
        bars = wfbt.Bars(
            symbol=f"X{a}", period=HOUR, open_ts=np.arange(ROWS) * HOUR, open=opens, high=high, low=low, close=close,
            volume=np.full(ROWS, 1e5),
        )  # fmt: skip
        ts = np.arange(8 * HOUR, ROWS * HOUR, 8 * HOUR)
        funding = wfbt.Funding(ts=ts, rate=rng.normal(0, 1e-5, len(ts)), mark=np.full(len(ts), np.nan))
        made.append(wfbt.Instrument(bars=bars, funding=funding))
    return wfbt.Market(instruments=tuple(made), digest="")


@numba.njit(nogil=True)
def floor_step(opens, close, targets, fee, at, named, cash, position, worth):
    """What is left of a step when only fees are charged."""
    for lane in range(len(at)):
        t, equity = at[lane] + 1, 0.0
        for a in range(opens.shape[1]):
            target = targets[lane, a]
            if target == target and target != named[lane, a]:
                named[lane, a] = target
                qty = target * worth[lane] / close[t - 1, a] - position[lane, a]
                cash[lane] -= qty * opens[t, a] + abs(qty) * opens[t, a] * fee
                position[lane, a] += qty
            equity += position[lane, a] * close[t, a]
        worth[lane] = cash[lane] + equity
        at[lane] = t


def least(work: Callable[[np.ndarray], object], told: np.ndarray) -> float:
    """Least CPU seconds of a call, over blocks of calls."""
    taken = []
    for first in range(0, len(told) - BLOCK + 1, BLOCK):
        begun = time.thread_time()
        for targets in told[first : first + BLOCK]:
            work(targets)
        taken.append((time.thread_time() - begun) / BLOCK)
    return min(taken)


def check(data: wfbt.Market, accounts: Accounts, first: np.ndarray, told: np.ndarray) -> None:
    """An account that is told these targets is the backtest of them."""
    steps, lanes, assets = told.shape
    accounts.begin(np.arange(lanes), first, first + steps + 1)
    for targets in told:
        accounts.step(targets)
    assert not accounts.waiting.any()
    for lane in {0, lanes // 2, lanes - 1}:
        wanted = np.full((ROWS, assets), np.nan)
        wanted[first[lane] : first[lane] + steps] = told[:, lane]
        parts = {"costs": SETUP.costs, "account": SETUP.account, "limits": SETUP.limits}
        ledger = wfbt.backtest(data, wanted, **parts)
        # Flat until its first target, the backtest is the account from there on.
        last = first[lane] + steps
        fills = (ledger.fills["row"] <= last).sum()
        assert accounts.equity[lane] == ledger.equity[last]
        assert accounts.tallies["fills"][lane] == fills > steps // 8


def main() -> None:
    print(describe())
    for assets in (1, 3):
        data = market(assets)
        deck = lay_out(data, SETUP, 0)
        lowering = Lowering(data, deck, SETUP)
        opens, close = deck.tape.open, deck.tape.close
        for lanes in (1, 64, 1024):
            print(f"\naccounts {lanes}, assets {assets}; a decision of one account (one thread)")
            rng, steps = np.random.default_rng(1), min(2_000, 200 * 1024 // lanes)
            accounts = Accounts(deck, rules_of(SETUP, deck.horizon), lowering.sheet(), lowering.slices, lanes)
            told = rng.choice([np.nan, 1.0, -1.0], (steps, lanes, assets)) / assets
            first = rng.integers(0, ROWS - SPAN, lanes)
            check(data, accounts, first, told[:50])
            seen = np.zeros((lanes, 3 * assets + 1))

            def begin(accounts=accounts, first=first, told=told) -> None:
                accounts.begin(np.arange(len(accounts)), first, first + SPAN)
                for targets in told[:5]:
                    accounts.step(targets)

            def look(_, accounts=accounts, seen=seen) -> None:
                accounts.observe(OWN, seen)

            def say(targets, accounts=accounts) -> None:
                submit(
                    targets, accounts.bars, accounts.sheet, accounts.slices, accounts.desk, accounts.watch,
                    accounts.intents, accounts.lanes,
                )  # fmt: skip

            named, cash, position = np.zeros((lanes, assets)), np.full(lanes, 1e5), np.zeros((lanes, assets))
            at, worth = first.copy(), np.full(lanes, 1e5)

            def cheapest(
                targets, opens=opens, close=close, at=at, named=named, cash=cash, position=position, worth=worth
            ) -> None:
                floor_step(opens, close, targets, 1e-4, at, named, cash, position, worth)

            cheapest(told[0])
            floor = least(cheapest, told)
            works = {"step": (accounts.step, told), "hold": (accounts.step, np.full_like(told, np.nan)),
                     "observe": (look, told), "submit": (say, told)}  # fmt: skip
            for name, (work, given) in works.items():
                begin()
                nanos = least(work, given) * 1e9 / lanes
                most = MOST[name] if lanes == 1024 and assets == 1 else np.inf
                row(name, f"{nanos:.1f} ns", f"<= {most:g}" if most < np.inf else "", nanos <= most)
                if name == "step":
                    ratio = nanos / (floor * 1e9 / lanes)
                    row("    ratio to the cheapest step", f"{ratio:.1f} x", f"{floor * 1e9 / lanes:.1f} ns", True)


if __name__ == "__main__":
    main()
