"""What must hold of costs whatever the market: they grow with size, with stress, and scale with the money."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import wfbt
from wfbt.data.market import HOUR


def market(seed, scale=1.0, rows=300):
    rng = np.random.default_rng(seed)
    close = scale * 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    opens = np.r_[close[0], close[:-1]]
    bars = wfbt.Bars(
        symbol="X",
        period=HOUR,
        open_ts=np.arange(rows) * HOUR,
        open=opens,
        high=np.maximum(opens, close) * 1.004,
        low=np.minimum(opens, close) * 0.996,
        close=close,
        volume=np.full(rows, 1e5),
    )
    return wfbt.Market(instruments=(wfbt.Instrument(bars=bars),), digest="")


def targets(seed, rows=300):
    rng = np.random.default_rng([seed, 1])
    return np.repeat(rng.uniform(-1, 1, rows // 10), 10)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), small=st.floats(1e2, 1e5), factor=st.floats(1.5, 1e3))
def test_a_larger_order_pays_a_worse_price(seed, small, factor):
    data, target = market(seed), np.where(np.arange(300) < 100, 0.0, 0.5)
    fills = [wfbt.backtest(data, target, account=wfbt.Account(cash=cash)).fills[0] for cash in (small, small * factor)]
    slip = [(fill["price"] - fill["reference"]) / fill["reference"] for fill in fills]
    assert fills[1]["qty"] > fills[0]["qty"]
    assert slip[1] > slip[0] > 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.floats(1.01, 5.0))
def test_stressed_costs_never_leave_more_money_for_the_same_fills(seed, factor):
    data, costs = market(seed), wfbt.Costs(taker_bps=10)
    target = np.where(np.arange(300) // 20 % 2 == 0, 0.0, 0.3)
    sizing = wfbt.Sizing(method="fixed", notional=10_000)
    wealth = [wfbt.backtest(data, target, costs=c, sizing=sizing).equity[-1] for c in (costs, costs.stressed(factor))]
    assert wealth[1] < wealth[0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-4, 0.5, 64.0, 1e4]))
def test_without_impact_only_ratios_matter(seed, scale):
    costs = wfbt.Costs(impact=None)
    one = wfbt.backtest(market(seed), targets(seed), costs=costs, account=wfbt.Account(cash=1e5))
    other = wfbt.backtest(market(seed, scale), targets(seed), costs=costs, account=wfbt.Account(cash=1e5 * scale))
    assert_allclose(other.equity, one.equity * scale, rtol=1e-9)
    assert_allclose(other.fills["qty"], one.fills["qty"], rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_free_market_conserves_money(seed):
    ledger = wfbt.backtest(market(seed), targets(seed), costs=wfbt.Costs.none())
    moved = np.diff(ledger.mark[:, 0], prepend=ledger.mark[0, 0]) * ledger.position[:, 0]
    # Fills at the open, which is the close before: nothing is won or lost by trading.
    assert_allclose(ledger.equity, ledger.opening_cash + np.cumsum(moved), rtol=1e-10)
