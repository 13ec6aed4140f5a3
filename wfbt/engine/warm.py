"""Compile the kernels on a market of a few bars, so that the disk cache is filled."""

from __future__ import annotations

import numpy as np

from wfbt.data.market import HOUR, Bars, Instrument, Market
from wfbt.engine.backtest import backtest, replay_ledger
from wfbt.engine.intents import Lowering
from wfbt.engine.latency import Latency
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.sweep import replay_lanes
from wfbt.engine.tape import lay_out
from wfbt.kernels.cscv import split_halves
from wfbt.kernels.resampling import stationary_mean
from wfbt.policy.base import Columns


def compile_kernels() -> None:
    """Run every kernel once."""
    price = np.linspace(100.0, 101.0, 48)
    bars = Bars(
        symbol="X",
        period=HOUR,
        open_ts=np.arange(48) * HOUR,
        open=price,
        high=price + 1.0,
        low=price - 1.0,
        close=price,
        volume=np.full(48, 1e6),
    )
    market = Market(instruments=(Instrument(bars=bars),), digest="")
    setup = Setup(latency=Latency.uniform(1.0, 2.0))
    deck = lay_out(market, setup, 0)
    lowering = Lowering(market, deck, setup)
    heard = lowering.say({"X": Columns(target=np.sin(price))}).intents()
    rules = rules_of(setup, deck.horizon)
    replay_lanes(deck, [heard], [(0, 48)], rules)
    replay_ledger(deck, heard, rules).trades()
    backtest(market, np.ones(48))
    blocks = np.ones((2, 2))
    split_halves(
        blocks, blocks, np.ones(2), np.zeros(1, np.int64), np.ones((2, 2, 2)), np.ones((2, 2)), *np.ones((4, 2))
    )
    stationary_mean(blocks, np.zeros(2, np.int64), np.ones(2), 0.5, np.ones(2))
