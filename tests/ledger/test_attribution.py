"""Between signal and money: every term of it, and nothing besides."""

from dataclasses import replace

import numpy as np
import pytest

import wfbt
from tests.ledger.accounts import HOUR, MONDAY, Book, random_ledger
from tests.markets import quiet_case, random_case
from tests.replaying import kernel
from wfbt.errors import LedgerError
from wfbt.kernels.abi import Liquidity, Reason
from wfbt.ledger.attribution import ACCOUNT, attribute
from wfbt.ledger.ledger import Ledger

TERMS = ["gross", "delay", "spread", "impact", "fees", "funding", "liquidation", "shortfall"]


def ledger_of(case) -> Ledger:
    """The account that the kernel keeps of a case."""
    out, tape = kernel(case), case.tape
    return Ledger(
        symbols=tuple("ABCD"[: len(case.assets)]),
        ts=tape.close_ts,
        equity=out.equity,
        cash=out.cash,
        position=out.position,
        mark=tape.mark_close,
        fills=out.fills,
        payments=out.payments,
        liquidation=out.liquidation,
        shortfall=out.shortfall,
        multiplier=case.assets["multiplier"],
        inverse=bool(case.assets["inverse"][0]),
        opening_cash=case.rules.cash,
    )


def adds_up(ledger: Ledger) -> None:
    """Total and every split give the change of equity, to a billionth of what moved."""
    told = attribute(ledger)
    total = told.total()
    scale = max(float(np.abs(total[TERMS]).max()), ledger.opening_equity)
    assert total["net"] == pytest.approx(ledger.equity[-1] - ledger.opening_equity, rel=0, abs=1e-9 * scale)
    quarters = np.arange(len(ledger.ts)) * 4 // len(ledger.ts)
    for table in (told.by_symbol(), told.by_session(), told.by_label(quarters)):
        np.testing.assert_allclose(table.sum(), total, rtol=1e-9, atol=1e-9 * scale)
        np.testing.assert_allclose(table[TERMS].sum(axis=1), table["net"], rtol=1e-9, atol=1e-9 * scale)


def test_the_terms_add_up_to_the_change_of_equity_on_random_markets():
    rng = np.random.default_rng(17)
    seen = dict.fromkeys(TERMS, 0.0)
    for _ in range(150):
        case = random_case(rng)
        if np.median(np.diff(case.tape.close_ts)) > 8 * HOUR:
            continue
        ledger = ledger_of(case)
        adds_up(ledger)
        for name, value in attribute(ledger).total()[TERMS].items():
            seen[name] += abs(value)
    assert all(seen.values()), seen  # no identity held because nothing happened


@pytest.mark.parametrize("inverse", [False, True])
def test_the_terms_add_up_in_accounts_of_any_origin_and_in_parts_of_them(inverse):
    ledger = random_ledger(4, inverse=inverse)
    adds_up(ledger)
    cut = int(ledger.ts[400])
    parts = [ledger.slice(0, cut), ledger.slice(cut, int(ledger.ts[-1]))]
    assert parts[1].opening_position.any()
    for part in parts:
        adds_up(part)
    whole, halves = attribute(ledger).total(), [attribute(part).total() for part in parts]
    np.testing.assert_allclose(halves[0] + halves[1], whole, rtol=1e-9, atol=1e-9 * np.abs(whole).max())


def test_gross_is_the_account_that_would_have_traded_at_its_decisions_free_of_all_charges():
    rng = np.random.default_rng(23)
    waited = 0
    for _ in range(40):
        ledger = ledger_of(random_case(rng))
        cash, held = ledger.opening_cash, np.zeros(len(ledger.symbols))
        for fill in ledger.fills:
            # What rests at a limit has decided on that price.
            rested = fill["liquidity"] == Liquidity.MAKER
            a, price = fill["asset"], fill["reference"] if rested else fill["arrival"]
            cash -= ledger.multiplier[a] * fill["qty"] * (-1 / price if ledger.inverse else price)
            held[a] += fill["qty"]
            waited += price != fill["reference"]
        marks = [-1 / p if ledger.inverse else p for p in ledger.mark[-1]]
        kept = ledger.position[-1] != 0  # what is left of a sum of fills that are flat is rounding
        worth = sum(m * q * v for m, q, v, k in zip(ledger.multiplier, held, marks, kept, strict=True) if k)
        total = attribute(ledger).total()
        scale = max(ledger.opening_cash, float(np.abs(total[TERMS]).max()))
        assert total["gross"] == pytest.approx(cash + worth - ledger.opening_cash, rel=1e-9, abs=1e-9 * scale)
    assert waited > 100


def test_the_terms_add_up_on_real_markets(real_data):
    market = wfbt.load_market(
        {
            symbol: {
                "bars": real_data / f"bars/{symbol}_perp_1h.parquet",
                "funding": real_data / f"funding/{symbol}_perp_funding.parquet",
            }
            for symbol in ("BTCUSDT", "ETHUSDT")
        },
        start="2023-01-01",
        end="2023-07-01",
    )
    targets = {one.symbol: np.sign(np.sin(np.arange(len(one.bars)) / 60)) for one in market.instruments}
    ledger = wfbt.backtest(
        market,
        targets,
        latency=wfbt.Latency.uniform(1e8, 5e8),
        account=wfbt.Account(leverage=3),
        sizing=wfbt.Sizing(max_position=1.0),
        exits=wfbt.Exits(stop_atr=4.0, take_atr=8.0),
    )
    adds_up(ledger)
    total = attribute(ledger).total()
    assert (total[["delay", "spread", "impact", "fees", "funding"]] != 0).all()


def test_delay_is_what_the_price_moved_between_decision_and_fill():
    # Decided at a close of 100, filled at an open of 102, marked at 105: 10 units make 50, less 20 lost in waiting.
    flat = (100.0, 100.0, 100.0, 100.0)
    case = quiet_case([flat, (102.0, 105.0, 102.0, 105.0)], [(0, 0, 1.0)])
    total = attribute(ledger_of(case)).total()
    assert total[TERMS].to_dict() == dict.fromkeys(TERMS, 0.0) | {"gross": 50.0, "delay": -20.0}
    assert (total["net"], total["fills"], total["traded"]) == (30.0, 1, 1020.0)


def test_a_sale_that_waits_while_the_price_falls_is_delayed_at_a_cost_too():
    flat = (100.0, 100.0, 100.0, 100.0)
    case = quiet_case([flat, (98.0, 98.0, 95.0, 95.0)], [(0, 0, -1.0)])
    total = attribute(ledger_of(case)).total()
    assert (total["gross"], total["delay"], total["net"]) == (50.0, -20.0, 30.0)


def test_an_exit_arrives_at_its_level_so_what_a_gap_takes_is_gross():
    bars = [(100.0, 100.0, 100.0, 100.0), (100.0, 100.0, 100.0, 100.0), (90.0, 90.0, 90.0, 90.0)]
    ledger = ledger_of(quiet_case(bars, [(0, 0, 1.0, 5.0)]))
    assert ledger.fills["reason"].tolist() == [Reason.TARGET, Reason.STOP]
    total = attribute(ledger).total()
    assert (total["gross"], total["delay"], total["net"]) == (-100.0, 0.0, -100.0)


def book_of_a_day() -> Ledger:
    """Bought at 07:00 and sold at 15:30, funding paid at 08:00, the price up by 1 an hour from 100."""
    book = Book(1, 1000.0, False)
    for hour in range(24):
        opens = MONDAY + hour * HOUR
        if hour == 8:
            book.pay(opens, 0, 0.001, 108.0)
        if hour == 7:
            book.fill(opens, 0, 2.0, 107.0, fee=0.5)
        if hour == 15:
            book.fill(opens + HOUR // 2, 0, -2.0, 115.0, fee=0.25)
        book.close(opens + HOUR, [101.0 + hour])
    return book.ledger()


def test_what_happens_at_eight_is_europes_and_the_bar_that_closes_then_is_asias():
    table = attribute(book_of_a_day()).by_session()
    assert table.index.tolist() == ["Asia", "Europe", "America"]
    assert table["gross"].tolist() == [2.0, 14.0, 0.0]
    assert table["fees"].tolist() == [-0.5, -0.25, 0.0]
    assert table["funding"].tolist() == [0.0, pytest.approx(-0.216), 0.0]
    assert table["fills"].tolist() == [1, 1, 0]


def test_a_label_takes_what_happened_since_the_close_before():
    labels = np.where(np.arange(24) <= 8, "calm", "wild")
    table = attribute(book_of_a_day()).by_label(labels)
    assert table.index.tolist() == ["calm", "wild"]
    assert table["gross"].tolist() == [4.0, 12.0]
    assert table["traded"].tolist() == [214.0, 230.0]


def test_bars_longer_than_a_session_belong_to_none():
    book = Book(1, 1000.0, False)
    for day in range(3):
        book.close(MONDAY + (day + 1) * 24 * HOUR, [100.0])
    with pytest.raises(LedgerError, match="bars of 24 h are longer than a session of 8 h"):
        attribute(book.ledger()).by_session()


def test_what_the_insurance_paid_is_no_symbols():
    ledger = random_ledger(4)
    assert ledger.shortfall.any()
    table = attribute(ledger).by_symbol()
    assert table.index.tolist() == ["A", "B", ACCOUNT]
    assert table.loc[ACCOUNT, "net"] == table.loc[ACCOUNT, "shortfall"] == pytest.approx(ledger.shortfall.sum())
    trips = ledger.trades().groupby("symbol")["profit"].sum()
    np.testing.assert_allclose(table["net"][["A", "B"]], trips[["A", "B"]], rtol=1e-9)


def test_a_liquidation_fee_without_a_liquidation_is_the_accounts():
    book = Book(1, 1000.0, False)
    book.charge(5.0)
    book.close(MONDAY + HOUR, [100.0])
    table = attribute(book.ledger()).by_symbol()
    assert table.loc[ACCOUNT, "liquidation"] == -5.0
    adds_up(book.ledger())


def test_an_account_that_never_traded_has_terms_of_nothing():
    book = Book(2, 1000.0, False)
    for hour in range(9):
        book.close(MONDAY + (hour + 1) * HOUR, [100.0, 1.0])
    total = attribute(book.ledger()).total()
    assert not total.any()
    assert attribute(book.ledger()).by_symbol().index.tolist() == ["A", "B"]


def test_a_fill_that_does_not_say_when_it_was_decided_is_refused():
    ledger = book_of_a_day()
    fills = ledger.fills.copy()
    fills["arrival"][1] = np.nan
    with pytest.raises(LedgerError, match=r"fill 1 \(2024-01-01 15:30:00Z\) has no arrival price"):
        attribute(replace(ledger, fills=fills))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(5), r"labels must have shape \(24,\), one for each bar, had \(5,\)"),
        (np.r_[np.zeros(23), np.nan], r"labels: row 23 \(2024-01-02 00:00:00Z\) has none"),
    ],
)
def test_labels_must_cover_every_bar(labels, message):
    with pytest.raises(LedgerError, match=message):
        attribute(book_of_a_day()).by_label(labels)
