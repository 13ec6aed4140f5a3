"""What vectorbt makes of our orders is what we made of them."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import wfbt
from tests.ledger.accounts import DAY, HOUR, MONDAY, Book, random_ledger
from wfbt.errors import LedgerError
from wfbt.kernels.abi import PAYMENT, Liquidity, Reason

pytestmark = pytest.mark.slow  # vectorbt compiles in every process


@pytest.fixture(autouse=True)
def _quiet_import():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vectorbt  # noqa: F401


def unfunded(ledger, **more):
    """The same account had it paid no funding and had nobody borne its losses."""
    paid = np.cumsum(ledger.funding - ledger.shortfall)
    columns = {name: getattr(ledger, name) for name in type(ledger).__slots__}
    columns |= {
        "payments": np.zeros(0, PAYMENT),
        "shortfall": np.zeros(len(ledger.ts)),
        "cash": ledger.cash + paid,
        "equity": ledger.equity + paid,
    }
    out = type(ledger)(**(columns | more))
    out.reconcile(1e-9)
    return out


@pytest.mark.parametrize("assets", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_orders_equity_cash_and_profits_are_those_of_the_ledger(seed, assets):
    ledger = unfunded(random_ledger(seed, assets=assets))
    portfolio = ledger.to_vectorbt()
    orders = portfolio.orders.records
    assert_array_equal(orders["price"], ledger.fills["price"])
    assert_array_equal(orders["size"], np.abs(ledger.fills["qty"]) * ledger.multiplier[ledger.fills["asset"]])
    assert_array_equal(orders["side"] == 0, ledger.fills["qty"] > 0)
    assert_allclose(portfolio.value(), ledger.equity, rtol=1e-9)
    assert_allclose(portfolio.cash(), ledger.cash, rtol=1e-9, atol=1e-6)
    trips = ledger.trades()
    assert (trips["liquidation"] > 0).any()
    assert_allclose(portfolio.trades.records["pnl"].sum(), trips["profit"].sum(), rtol=1e-9)
    assert_allclose(portfolio.positions.records["pnl"].sum(), ledger.equity[-1] - ledger.opening_equity, rtol=1e-9)


def test_a_replay_with_costs_stops_and_reversals_is_handed_over_whole():
    rng = np.random.default_rng(4)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 2_000)))
    opens = np.r_[100.0, close[:-1]]
    bars = wfbt.Bars(
        symbol="X", period=HOUR, open_ts=MONDAY + np.arange(2_000) * HOUR, open=opens, close=close,
        high=np.maximum(opens, close) * 1.004, low=np.minimum(opens, close) * 0.996, volume=np.full(2_000, 1e6),
    )  # fmt: skip
    market = wfbt.Market(instruments=(wfbt.Instrument(bars=bars),), digest="")
    target = np.repeat(rng.choice([-1.0, 0.0, 0.5, 1.0], 200), 10)
    ledger = wfbt.backtest(market, target, exits=wfbt.Exits(stop_pct=0.02, take_pct=0.03))
    portfolio = ledger.to_vectorbt()
    trips = ledger.trades()
    assert_array_equal(portfolio.orders.records["fees"], ledger.fills["fee"])
    assert_allclose(portfolio.value().to_numpy(), ledger.equity, rtol=1e-10)
    assert_array_equal(portfolio.value().index, pd.to_datetime(ledger.ts, utc=True))
    # One position of vectorbt's is one of our round trips, a reversal ending one and beginning the next.
    assert len(portfolio.positions.records) == len(trips)
    assert_allclose(portfolio.positions.records["pnl"], trips["profit"], rtol=1e-7, atol=1e-7)
    assert portfolio.wrapper.freq == pd.Timedelta("1h")
    assert len(portfolio.trades.plot().data) > 0


def test_a_slice_begins_with_what_it_held():
    whole = unfunded(random_ledger(1, assets=2))
    cut = whole.slice(MONDAY + 20 * DAY, MONDAY + 30 * DAY)
    assert cut.opening_position.any()
    portfolio = cut.to_vectorbt()
    assert_allclose(portfolio.value(), cut.equity, rtol=1e-9)
    assert_allclose(portfolio.trades.records["pnl"].sum(), cut.trades()["profit"].sum(), rtol=1e-9)


def test_funding_is_left_out_and_said_to_be():
    book = Book(1, 1000.0, False)
    book.fill(MONDAY, 0, 2.0, 100.0, fee=1.0)
    book.close(MONDAY + HOUR, [100.0])
    book.pay(MONDAY + HOUR, 0, 0.01, 100.0)
    book.close(MONDAY + 2 * HOUR, [110.0])
    ledger = book.ledger()
    with pytest.warns(
        UserWarning, match=r"^to_vectorbt: funding paid of 2\.00 of the account is not in this portfolio$"
    ):
        portfolio = ledger.to_vectorbt()
    assert_allclose(portfolio.value().to_numpy() - ledger.equity, [0.0, 2.0])


def test_a_liquidation_carries_its_fee_in_its_order():
    book = Book(1, 1000.0, False)
    book.fill(MONDAY, 0, 5.0, 100.0)
    book.close(MONDAY + HOUR, [100.0])
    book.fill(MONDAY + HOUR, 0, -5.0, 50.0, reason=Reason.LIQUIDATION, liquidity=Liquidity.VENUE)
    book.charge(7.0)
    book.close(MONDAY + 2 * HOUR, [50.0])
    portfolio = book.ledger().to_vectorbt()
    assert portfolio.orders.records["fees"].tolist() == [0.0, 7.0]
    assert portfolio.value().iloc[-1] == 743.0


def test_an_inverse_contract_is_refused():
    with pytest.raises(LedgerError, match="only linear contracts can be handed over"):
        random_ledger(0, inverse=True).to_vectorbt()


def test_without_vectorbt_the_error_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "vectorbt", None)
    with pytest.raises(LedgerError, match="to_vectorbt needs vectorbt, which cannot be imported"):
        random_ledger(0).to_vectorbt()
