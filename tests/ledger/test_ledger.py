from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from tests.ledger.accounts import DAY, HOUR, MONDAY, Book, random_ledger
from wfbt.errors import LedgerError
from wfbt.kernels.abi import Reason
from wfbt.ledger.ledger import Ledger, costs_split

FIELDS = tuple(Ledger.__dataclass_fields__)


def altered(ledger, **columns):
    return Ledger(**({name: getattr(ledger, name) for name in FIELDS} | columns))


def with_flip(ledger, column, at):
    """The ledger with the second digit of one number changed."""
    name, _, record = column.partition(".")
    array = getattr(ledger, name).copy()
    target = array[record] if record else array
    target.flat[at] += 0.03 * abs(target.flat[at]) if target.flat[at] else 0.03
    return altered(ledger, **{name: array})


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_a_consistent_ledger_reconciles(seed, inverse):
    ledger = random_ledger(seed, days=20, assets=1 + seed % 3, inverse=inverse)
    report = ledger.reconcile()
    assert (report.rows, report.fills, report.payments) == (480, len(ledger.fills), len(ledger.payments))
    assert report.traded == pytest.approx(ledger.traded.sum())
    assert report.worst < 1e-12


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(
    ("column", "at"),
    [
        ("equity", 100),
        ("cash", 100),
        ("position", 300),
        ("mark", "held"),
        ("liquidation", 100),
        ("shortfall", 100),
        ("multiplier", 0),
        *((f"fills.{name}", 40) for name in ("qty", "price", "reference", "fee", "spread", "impact")),
        *((f"payments.{name}", 5) for name in ("position", "rate", "mark", "paid")),
    ],
)
def test_a_flipped_digit_in_any_column_is_found(column, at, inverse):
    ledger = random_ledger(2, days=30, inverse=inverse)
    if at == "held":
        at = int(np.flatnonzero(ledger.position.ravel())[50])
    with pytest.raises(LedgerError, match="does not add up: row"):
        with_flip(ledger, column, at).reconcile()


@pytest.mark.parametrize(("column", "key"), [("asset", 1), ("ts", 7 * HOUR)])
def test_a_fill_of_another_symbol_or_hour_is_found(column, key):
    ledger = random_ledger(2, days=30)
    fills = ledger.fills.copy()
    fills[column][40] = 1 - fills["asset"][40] if column == "asset" else fills["ts"][40] + key
    with pytest.raises(LedgerError, match="does not add up: row"):
        altered(ledger, fills=fills).reconcile()


def test_a_reconciliation_names_row_time_expected_and_found():
    ledger = random_ledger(4, days=10)
    cash = ledger.cash.copy()
    cash[30] += 1.0
    with pytest.raises(LedgerError) as error:
        altered(ledger, cash=cash).reconcile()
    said = str(error.value)
    assert "row 30 (2024-01-02 07:00:00Z): cash must be" in said
    assert f"expected {ledger.cash[30]:.15g}, found {cash[30]:.15g}" in said


def test_a_liquidation_with_a_fee_of_its_own_is_found():
    ledger = random_ledger(2, days=30)
    fills = ledger.fills.copy()
    forced = np.flatnonzero(fills["reason"] == Reason.LIQUIDATION)
    fills["fee"][forced[0]] = 1e-3
    with pytest.raises(LedgerError, match="a liquidation, must be 0"):
        altered(ledger, fills=fills).reconcile()


def test_a_fill_at_a_close_belongs_to_the_next_bar_and_one_a_nanosecond_earlier_to_its_own():
    book = Book(1, 1000.0, False)
    book.close(MONDAY + HOUR, [100.0])
    book.fill(MONDAY + HOUR, 0, 1.0, 100.0)
    book.fill(MONDAY + 2 * HOUR - 1, 0, -1.0, 99.0)
    book.close(MONDAY + 2 * HOUR, [100.0])
    ledger = book.ledger()
    assert ledger.fill_rows.tolist() == [1, 1]
    assert ledger.equity.tolist() == [1000.0, 999.0]
    ledger.reconcile()


def test_an_inverse_contract_is_worth_coins():
    book = Book(1, 2.0, True, multiplier=100.0)
    book.fill(MONDAY, 0, 100.0, 20_000.0, fee=0.01)
    book.close(MONDAY + HOUR, [25_000.0])
    ledger = book.ledger()
    ledger.reconcile()
    assert ledger.cash[0] == pytest.approx(2 + 0.5 - 0.01)
    assert ledger.equity[0] == pytest.approx(2 - 0.01 + 10_000 * (1 / 20_000 - 1 / 25_000))
    assert ledger.gross_exposure[0] == pytest.approx(0.4 / ledger.equity[0])


def test_a_mark_is_not_needed_where_nothing_is_held():
    book = Book(1, 1000.0, False)
    book.close(MONDAY + HOUR, [np.nan])
    ledger = book.ledger()
    ledger.reconcile()
    assert ledger.gross_exposure.tolist() == [0.0]


def test_slices_add_up_on_their_own_and_together():
    ledger = random_ledger(3, days=60, assets=3)
    borders = [MONDAY + d * DAY for d in (0, 13, 30, 31, 60)]
    parts = [ledger.slice(a, b) for a, b in pairwise(borders)]
    assert sum(len(p.ts) for p in parts) == len(ledger.ts)
    assert sum(len(p.fills) for p in parts) == len(ledger.fills)
    assert sum(len(p.payments) for p in parts) == len(ledger.payments)
    growth = 1.0
    for before, part in zip([None, *parts[:-1]], parts, strict=True):
        part.reconcile()
        assert part.opening_equity == pytest.approx(1e5 if before is None else before.equity[-1], rel=1e-12)
        growth *= 1 + part.metrics()["total_return"]
        gained = part.equity[-1] - part.opening_equity - part.shortfall.sum()
        assert part.trades()["profit"].sum() == pytest.approx(gained, abs=1e-6)
    assert any(p.opening_position.any() for p in parts)
    assert growth == pytest.approx(ledger.equity[-1] / 1e5)
    for name, total in costs_split(ledger).items():
        assert sum(costs_split(p)[name] for p in parts) == pytest.approx(total)


def test_a_slice_of_a_slice_is_the_slice():
    ledger = random_ledger(3, days=20)
    once = ledger.slice(MONDAY + 5 * DAY, MONDAY + 9 * DAY)
    twice = ledger.slice(MONDAY + 2 * DAY, MONDAY + 12 * DAY).slice(MONDAY + 5 * DAY, MONDAY + 9 * DAY)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(once, name), getattr(twice, name), err_msg=name)


def test_a_position_carried_into_a_slice_is_entered_at_its_mark():
    book = Book(1, 1000.0, False)
    book.fill(MONDAY, 0, 1.0, 100.0, fee=1.0)
    book.close(MONDAY + HOUR, [150.0])
    book.pay(MONDAY + HOUR, 0, 0.01, 150.0)
    book.fill(MONDAY + 2 * HOUR - 1, 0, -1.0, 160.0, fee=2.0)
    book.close(MONDAY + 2 * HOUR, [160.0])
    (trip,) = book.ledger().slice(MONDAY + HOUR, MONDAY + 2 * HOUR).trades().to_dict("records")
    assert trip["entry_price"] == 150.0
    assert trip["entry_ts"] == pd.Timestamp("2024-01-01 01:00Z")
    assert trip["profit"] == pytest.approx(10 - 1.5 - 2)
    assert (trip["bars"], trip["fees"], trip["funding"]) == (1, 2.0, 1.5)


def test_a_slice_without_a_bar_is_refused():
    with pytest.raises(LedgerError, match="no bar of the ledger closes after 2025"):
        random_ledger(0, days=2).slice(MONDAY + 400 * DAY, MONDAY + 500 * DAY)


def test_costs_are_split_by_kind():
    ledger = random_ledger(6, days=30)
    assert costs_split(ledger) == {
        "fees": pytest.approx(ledger.fees.sum()),
        "spread": pytest.approx(sum(ledger.fills["spread"])),
        "impact": pytest.approx(sum(ledger.fills["impact"])),
        "funding": pytest.approx(ledger.funding.sum()),
        "liquidation": pytest.approx(ledger.liquidation.sum()),
    }
    assert costs_split(ledger)["liquidation"] > 0


def test_daily_returns_are_indexed_by_the_day_they_belong_to():
    returns = random_ledger(0, days=3).returns_daily()
    assert [str(day.date()) for day in returns.index] == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert returns.index.tz is None


def test_drawdown_is_measured_from_the_opening_on():
    ledger = random_ledger(7, days=10)
    peak = np.maximum.accumulate(np.r_[ledger.opening_cash, ledger.equity])[1:]
    np.testing.assert_array_equal(ledger.drawdown, 1 - ledger.equity / peak)
    assert ledger.metrics()["max_drawdown"] == ledger.drawdown.max() > 0


def test_fills_read_as_words():
    book = Book(1, 1000.0, False)
    book.fill(MONDAY + 5, 0, -2.0, 99.0, fee=0.1, spread=1.0, reference=100.0, reason=Reason.STOP)
    book.close(MONDAY + HOUR, [100.0])
    (row,) = book.ledger().fills_frame().to_dict("records")
    assert row["timestamp"] == pd.Timestamp(MONDAY + 5, tz="UTC")
    assert (row["symbol"], row["side"], row["qty"], row["reason"], row["liquidity"]) == (
        "A",
        "sell",
        2.0,
        "stop",
        "taker",
    )
    assert (row["slippage"], row["spread"], row["impact"]) == (1.0, 1.0, 1.0)


def test_the_equity_frame_holds_the_account_bar_by_bar(tmp_path):
    ledger = random_ledger(8, days=5)
    frame = ledger.equity_frame()
    assert len(frame) == 120
    assert frame["timestamp"].iloc[-1] == pd.Timestamp("2024-01-06", tz="UTC")
    np.testing.assert_array_equal(frame["position_B"], ledger.position[:, 1])
    frame.to_parquet(tmp_path / "equity.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "equity.parquet"), frame)


def test_a_ledger_cannot_be_changed():
    ledger = random_ledger(0, days=2)
    with pytest.raises(ValueError, match="read-only"):
        ledger.equity[0] = 0.0
    with pytest.raises(AttributeError):
        ledger.halted = True


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("ts", np.arange(48)[::-1], "ts must increase; row 1"),
        ("equity", np.zeros(3), r"equity must have shape \(48,\), had \(3,\)"),
        ("cash", np.full(48, np.nan), r"row 0 .*: cash cannot be nan"),
        ("shortfall", np.full(48, -1.0), r"row 0 .*: shortfall cannot be -1.0"),
        ("mark", np.full((48, 2), np.nan), "is held at a mark of nan"),
        ("multiplier", np.zeros(2), "multiplier must be > 0"),
        ("inverse", np.array([True, False]), "settle in different currencies"),
        ("fills", np.zeros(3), "must be records"),
        ("opening_position", np.ones(2), "opening_ts is needed"),
    ],
)
def test_an_impossible_ledger_is_refused_by_name_and_value(column, value, message):
    with pytest.raises(LedgerError, match=message):
        altered(random_ledger(0, days=2), **{column: value})


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("ts", MONDAY + 9 * DAY, "its time lies outside"),
        ("asset", 7, "asset is not a symbol"),
        ("price", 0.0, "impossible"),
        ("fee", np.nan, "impossible"),
        ("qty", 0.0, "its quantity is 0"),
    ],
)
def test_an_impossible_fill_is_refused_by_number(column, value, message):
    ledger = random_ledger(0, days=2)
    fills = ledger.fills.copy()
    fills[column][1] = value
    with pytest.raises(LedgerError, match=f"fill 1 .*{message}"):
        altered(ledger, fills=fills)
