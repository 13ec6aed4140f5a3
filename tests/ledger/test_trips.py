import numpy as np
import pandas as pd
import pytest

from tests.ledger.accounts import HOUR, MONDAY, Book, random_ledger
from tests.markets import random_case
from tests.naive import metrics as naive
from tests.replaying import kernel
from wfbt.errors import LedgerError
from wfbt.kernels.abi import Reason
from wfbt.kernels.trips import assign_trips
from wfbt.ledger.ledger import Ledger


def twin(ledger):
    return naive.round_trips(
        ledger.symbols,
        ledger.ts.tolist(),
        [dict(zip(ledger.fills.dtype.names, f.tolist(), strict=True)) for f in ledger.fills],
        [dict(zip(ledger.payments.dtype.names, p.tolist(), strict=True)) for p in ledger.payments],
        ledger.liquidation.tolist(),
        ledger.mark[-1].tolist(),
        ledger.multiplier.tolist(),
        ledger.inverse,
    )


def at(hour, part=0.0):
    return MONDAY + int((hour + part) * HOUR)


def hourly(book, marks, *events):
    """Close an hourly bar at each mark; `events` are (hour, function of the book), in order."""
    waiting = list(events)
    for hour, mark in enumerate(marks):
        while waiting and waiting[0][0] < hour + 1:
            waiting.pop(0)[1](book)
        book.close(at(hour + 1), [mark])
    return book.ledger()


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("weekends", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_round_trips_are_those_of_the_naive_walk(seed, weekends, inverse):
    ledger = random_ledger(seed, inverse=inverse, weekends=weekends, assets=1 + seed % 3)
    trips, slow = ledger.trades(), twin(ledger)
    assert len(trips) == len(slow) > 20
    assert trips["funding"].abs().sum() > 0
    assert trips["liquidation"].sum() == pytest.approx(ledger.liquidation.sum())
    money = ledger.opening_cash
    for name in ("symbol", "direction", "open", "bars"):
        assert trips[name].tolist() == [t[name] for t in slow]
    for name in ("quantity", "entry_price", "exit_price", "holding_hours"):
        np.testing.assert_allclose(trips[name], [t[name] for t in slow], rtol=1e-12)
    for name in ("fees", "spread", "impact", "funding", "liquidation", "profit"):
        np.testing.assert_allclose(trips[name], [t[name] for t in slow], rtol=1e-12, atol=1e-13 * money)
    # A profit is a small difference of large flows: what counts is its error against the value entered.
    np.testing.assert_allclose(trips["return"], [t["return"] for t in slow], rtol=0, atol=1e-12)


@pytest.mark.parametrize("inverse", [False, True])
def test_profits_of_all_trips_are_the_change_of_equity_that_no_insurance_bore(inverse):
    ledger = random_ledger(11, inverse=inverse)
    gained = ledger.equity[-1] - ledger.opening_equity - ledger.shortfall.sum()
    assert ledger.trades()["profit"].sum() == pytest.approx(gained, abs=1e-9 * ledger.opening_cash)


def test_a_reversing_fill_is_split_by_quantity_with_its_costs():
    ledger = hourly(
        Book(1, 1000.0, False),
        [100.0, 110.0, 110.0, 100.0],
        (1, lambda b: b.fill(at(1), 0, 2.0, 100.0, fee=0.2)),
        (2, lambda b: b.fill(at(2), 0, -5.0, 110.0, fee=0.5, spread=5.0, reference=112.0)),
        (3, lambda b: b.fill(at(3), 0, 3.0, 104.0, fee=0.3, reason=Reason.STOP)),
    )
    trips = ledger.trades()
    assert trips["direction"].tolist() == ["long", "short"]
    assert trips["quantity"].tolist() == [2.0, 3.0]
    assert trips["entry_price"].tolist() == [100.0, 110.0]
    assert trips["exit_price"].tolist() == [110.0, 104.0]
    assert trips["fees"].tolist() == pytest.approx([0.2 + 0.2, 0.3 + 0.3])
    assert trips["spread"].tolist() == pytest.approx([2.0, 3.0])
    assert trips["impact"].tolist() == pytest.approx([2.0, 3.0])
    assert trips["profit"].tolist() == pytest.approx([20 - 0.4, 18 - 0.6])
    assert trips["return"].tolist() == pytest.approx([19.6 / 200, 17.4 / 330])
    assert trips["holding_hours"].tolist() == [1.0, 1.0]
    assert trips["bars"].tolist() == [1, 1]
    assert trips["exit_reason"].tolist() == ["target", "stop"]
    assert trips["entry_ts"].tolist() == [pd.Timestamp("2024-01-01 01:00Z"), pd.Timestamp("2024-01-01 02:00Z")]


def test_scaling_in_and_out_is_one_trip_at_average_prices():
    ledger = hourly(
        Book(1, 1000.0, False),
        [100.0] * 5,
        (1, lambda b: b.fill(at(1), 0, 1.0, 100.0)),
        (2, lambda b: b.fill(at(2), 0, 3.0, 120.0)),
        (3, lambda b: b.fill(at(3), 0, -2.0, 130.0)),
        (4, lambda b: b.fill(at(4), 0, -2.0, 110.0)),
    )
    (trip,) = ledger.trades().to_dict("records")
    assert (trip["quantity"], trip["entry_price"], trip["exit_price"]) == (4.0, 115.0, 120.0)
    assert trip["profit"] == pytest.approx(20.0)
    assert not trip["open"]


def test_tenths_that_do_not_add_up_in_binary_still_end_flat():
    sizes = [0.1, 0.2, -0.3, 0.1, 0.7, -0.8]
    fills = [(h, lambda b, h=h, q=q: b.fill(at(h), 0, q, 100.0)) for h, q in enumerate(sizes)]
    assert 0.1 + 0.2 - 0.3 != 0
    assert hourly(Book(1, 1000.0, False), [100.0] * 7, *fills).trades()["open"].tolist() == [False, False]


def test_an_open_trip_is_valued_at_the_last_mark_and_counts_in_no_rate():
    ledger = hourly(Book(1, 1000.0, False), [100.0, 130.0], (0, lambda b: b.fill(at(0, 0.5), 0, -2.0, 100.0, fee=1.0)))
    (trip,) = ledger.trades().to_dict("records")
    assert trip["open"]
    assert trip["profit"] == pytest.approx(-61.0)
    assert pd.isna(trip["exit_ts"])
    assert np.isnan(trip["exit_price"])
    assert pd.isna(trip["exit_reason"])
    assert trip["holding_hours"] == 1.5
    assert trip["bars"] == 2
    assert ledger.metrics()["trades"] == 0


def test_funding_at_the_stamp_of_a_fill_is_paid_by_the_position_before_it():
    ledger = hourly(
        Book(1, 1000.0, False),
        [100.0] * 4,
        (1, lambda b: b.fill(at(1), 0, 1.0, 100.0)),
        (2, lambda b: b.pay(at(2), 0, 0.01, 100.0)),
        (2, lambda b: b.fill(at(2), 0, -2.0, 100.0)),
        (3, lambda b: b.pay(at(3), 0, 0.03, 100.0)),
        (3, lambda b: b.fill(at(3), 0, 1.0, 100.0)),
    )
    trips = ledger.trades()
    assert trips["funding"].tolist() == pytest.approx([1.0, -3.0])
    assert trips["profit"].tolist() == pytest.approx([-1.0, 3.0])


def test_funding_paid_inside_the_bar_of_an_exit_gapped_through_at_its_open_belongs_to_that_trip():
    def exit_after_the_stamp(book):
        book.pay(at(2, 0.5), 0, 0.01, 100.0)
        book.fill(at(2), 0, -1.0, 90.0, reason=Reason.STOP)

    ledger = hourly(
        Book(1, 1000.0, False),
        [100.0, 100.0, 90.0],
        (1, lambda b: b.fill(at(1), 0, 1.0, 100.0)),
        (2, exit_after_the_stamp),
    )
    assert ledger.trades()["funding"].tolist() == pytest.approx([1.0])


def test_funding_on_what_was_never_held_is_refused():
    book = Book(1, 1000.0, False)
    book.pay(at(0), 0, 0.01, 100.0)
    book.close(at(1), [100.0])
    with pytest.raises(LedgerError, match=r"funding payment 0 .* nothing had been held"):
        book.ledger().trades()


def test_a_liquidation_fee_is_shared_by_the_value_liquidated():
    book = Book(2, 1000.0, False)
    book.fill(at(0), 0, 1.0, 100.0)
    book.fill(at(0), 1, -1.0, 300.0)
    book.close(at(1), [100.0, 300.0])
    for asset, qty in ((0, -1.0), (1, 1.0)):
        book.fill(at(2) - 1, asset, qty, (100.0, 300.0)[asset], reason=Reason.LIQUIDATION)
    book.charge(8.0)
    book.close(at(2), [100.0, 300.0])
    trips = book.ledger().trades()
    assert trips["liquidation"].tolist() == pytest.approx([2.0, 6.0])
    assert trips["profit"].tolist() == pytest.approx([-2.0, -6.0])
    assert trips["exit_reason"].tolist() == ["liquidation", "liquidation"]


def test_an_inverse_trip_averages_harmonically_and_earns_coins():
    ledger = hourly(
        Book(1, 2.0, True, multiplier=100.0),
        [20_000.0] * 4,
        (1, lambda b: b.fill(at(1), 0, 10.0, 20_000.0)),
        (2, lambda b: b.fill(at(2), 0, 10.0, 30_000.0)),
        (3, lambda b: b.fill(at(3), 0, -20.0, 40_000.0)),
    )
    (trip,) = ledger.trades().to_dict("records")
    assert trip["entry_price"] == pytest.approx(24_000.0)
    assert trip["profit"] == pytest.approx(100 * 20 * (1 / 24_000 - 1 / 40_000))


def test_an_idle_account_has_no_trips_but_all_the_columns():
    idle = hourly(Book(1, 1000.0, False), [100.0, 100.0]).trades()
    assert len(idle) == 0
    assert list(idle.columns) == list(random_ledger(0, days=3).trades().columns)


@pytest.mark.kernel
def test_a_compiled_walk_is_the_interpreted_one():
    ledger = random_ledger(5, assets=3)
    asset, qty = ledger.fills["asset"].astype(np.int64), np.ascontiguousarray(ledger.fills["qty"])
    answers = []
    for walk in (assign_trips, getattr(assign_trips, "py_func", assign_trips)):
        whole = [np.full(len(qty), -9) for _ in range(4)]
        real = [np.full(len(qty), np.nan) for _ in range(2)]
        position = np.zeros(3)
        count = walk(asset, qty, position, whole[0], whole[1], *real, *whole[2:])
        answers.append((count, position, *whole, *real))
    for compiled, plain in zip(*answers, strict=True):
        np.testing.assert_array_equal(compiled, plain)


def replayed(case):
    """Ledger and tally of the bar kernel."""
    done, assets = kernel(case), case.tape.open.shape[1]
    ledger = Ledger(
        symbols=tuple("ABCD"[:assets]),
        ts=case.tape.close_ts,
        equity=done.equity,
        cash=done.cash,
        position=done.position,
        mark=case.tape.mark_close,
        fills=done.fills,
        payments=done.payments,
        liquidation=done.liquidation,
        shortfall=done.shortfall,
        multiplier=case.assets["multiplier"],
        inverse=bool(case.assets["inverse"][0]),
        opening_cash=case.rules.cash,
    )
    return ledger, done.tally


def test_a_replay_reconciles_and_its_round_trips_are_those_the_kernel_counted():
    trips = 0
    for seed in range(300):
        case = random_case(np.random.default_rng(seed))
        ledger, tally = replayed(case)
        assert ledger.reconcile().worst < 1e-12
        closed = ledger.trades().query("not open")
        # The sum, as the kernel shares a liquidation fee by what cash is left and not by value.
        assert closed["profit"].sum() == pytest.approx(tally["won"] - tally["lost"], abs=1e-9 * case.rules.cash)
        assert len(closed) == tally["trips"]
        assert ledger.drawdown.max() == pytest.approx(tally["max_drawdown"], abs=1e-12)
        assert (ledger.position != 0).any(axis=1).sum() == tally["rows_held"]
        trips += len(closed)
    assert trips > 1000
