"""Where the models coincide, vectorbt fills the same orders: long-only, all in or all out, at the next open."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import wfbt
from wfbt.data.market import HOUR


def market(seed, rows=4_000):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    opens = np.r_[100.0, close[:-1]] * np.exp(rng.normal(0, 0.002, rows))
    bars = wfbt.Bars(
        symbol="X",
        period=HOUR,
        open_ts=np.arange(rows) * HOUR,
        open=opens,
        high=np.maximum(opens, close) * 1.003,
        low=np.minimum(opens, close) * 0.997,
        close=close,
        volume=np.full(rows, 1e9),
    )
    return wfbt.Market(instruments=(wfbt.Instrument(bars=bars),), digest="")


def vectorbt_orders(bars, target, fee, slip):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vectorbt as vbt

        index = pd.to_datetime(bars.open_ts)
        wanted = pd.Series(target, index).shift(1).fillna(0.0)
        before = wanted.shift(1).fillna(0.0)
        portfolio = vbt.Portfolio.from_signals(
            close=pd.Series(bars.close, index),
            entries=(wanted > 0) & (before == 0),
            exits=(wanted == 0) & (before > 0),
            price=pd.Series(bars.open, index),
            open=pd.Series(bars.open, index),
            size=np.inf,
            min_size=0.0,
            direction="longonly",
            fees=fee,
            slippage=slip,
            init_cash=10_000.0,
            freq="1h",
            accumulate=False,
            engine="numba",
        )
        return portfolio.orders.records, portfolio.value().to_numpy()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("fee", "slip"), [(0.0, 0.0), (0.001, 0.0), (0.0005, 0.0007)])
def test_orders_fees_and_equity_agree_with_vectorbt(seed, fee, slip):
    rng = np.random.default_rng([9, seed])
    data = market(seed)
    bars = data.instruments[0].bars
    target = np.repeat(rng.random(len(bars) // 8) < 0.5, 8).astype(float)
    ledger = wfbt.backtest(
        data,
        target,
        costs=wfbt.Costs(taker_bps=fee * 1e4, half_spread_bps=slip * 1e4, impact=None),
        account=wfbt.Account(cash=10_000.0, leverage=1, maintenance=0.0),
        sizing=wfbt.Sizing(price="fill"),
    )
    orders, value = vectorbt_orders(bars, target, fee, slip)
    assert len(orders) > 200
    assert len(ledger.fills) == len(orders)
    assert ledger.fills["row"].tolist() == orders["idx"].tolist()
    assert (ledger.fills["qty"] > 0).tolist() == (orders["side"] == 0).tolist()
    assert_allclose(np.abs(ledger.fills["qty"]), orders["size"], rtol=1e-12)
    assert_allclose(ledger.fills["price"], orders["price"], rtol=1e-12)
    assert_allclose(ledger.fills["fee"], orders["fees"], rtol=1e-12)
    assert_allclose(ledger.equity, value, rtol=1e-12)
