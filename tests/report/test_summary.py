"""Plain words and the terminal table: what they say follows from the numbers, and they fit the terminal."""

import pytest

from tests.report.conftest import sleeves
from wfbt.report.summary import gross_profit, sentences
from wfbt.report.tables import WIDTH, terminal_summary


def said(run) -> str:
    return " ".join(sentences(run.result))


def test_the_first_sentence_says_what_was_tested(fake):
    first = sentences(fake(folds=4, days=200, symbols=("BTCUSDT", "ETHUSDT")).result)[0]
    assert first.startswith(
        "ema-rsi-adx traded BTCUSDT and ETHUSDT from 2021-01-01 to 2021-07-20 (200 days) in 4 folds, "
        "each trading the best of 96 candidates on its own training rows"
    )


def test_without_a_search_no_candidate_is_mentioned(fake):
    run = fake(folds=1, days=60)
    run.result["folds"][0]["candidates"] = 1
    assert "nothing was searched" in said(run)
    assert "candidates" not in said(run)


@pytest.mark.parametrize(
    ("own", "held", "words"),
    [
        ((0.1, 1.0, 0.2), (0.3, 1.5, 0.1), "It did not beat buy-and-hold on total return, Sharpe or drawdown."),
        ((0.1, 1.0, 0.2), (0.3, 0.5, 0.6), "It beat buy-and-hold on Sharpe and drawdown, not on total return."),
        (
            (0.4, 1.0, 0.2), (0.3, 0.5, 0.6),
            "It beat buy-and-hold on total return, Sharpe and drawdown, in this one history.",
        ),
        ((0.4, None, 0.2), (0.3, None, 0.1), "It beat buy-and-hold on total return, not on drawdown."),
        ((0.1, 1.0, 0.2), (0.1, 1.0, 0.2), "It did not beat buy-and-hold on total return, Sharpe or drawdown."),
    ],
)  # fmt: skip
def test_the_comparison_names_what_was_beaten_and_what_was_not(fake, own, held, words):
    run = fake(folds=1, days=60)
    keys = ("total_return", "sharpe", "max_drawdown")
    run.result["oos"] |= dict(zip(keys, own, strict=True))
    run.result["benchmark"] |= dict(zip(keys, held, strict=True))
    assert words in said(run)


def test_a_loss_is_called_a_loss(fake):
    run = fake(folds=1, days=60)
    run.result["oos"] |= {"total_return": -0.431, "annual_return": -0.133, "max_drawdown": 0.752}
    assert "net of costs it lost 43.1% (-13.3% a year), at worst 75.2% below its peak;" in said(run)


@pytest.mark.parametrize(("trips", "words"), [(1, "1 round trip is too few"), (29, "29 round trips are too few")])
def test_few_round_trips_are_called_too_few(fake, trips, words):
    run = fake(folds=1, days=60)
    run.result["oos"]["trades"] = trips
    assert words in said(run)
    run.result["oos"]["trades"] = 30
    assert "too few" not in said(run)


def test_gross_profit_is_what_is_left_plus_what_was_paid(fake):
    run = fake(folds=1, days=60)
    run.result["oos"]["total_return"] = 0.05
    run.result["costs"] = {"fees": 3000.0, "spread": 500.0, "impact": 250.0, "funding": -250.0, "liquidation": 1500.0}
    assert gross_profit(run.result) == pytest.approx(10_000.0)
    assert "The same fills made 10,000 before costs; costs came to 5,000, 50% of it." in said(run)
    run.result["costs"]["funding"] = None
    assert gross_profit(run.result) is None


def test_ruin_is_not_passed_over(fake):
    run = fake(folds=1, days=60)
    run.result["events"] = {"liquidations": 2, "breakers": 1, "halted": True, "shortfall": 812.0}
    for words in ("liquidated 2 times", "flattened it once", "halted before the end", "ended owing 812"):
        assert words in said(run)


@pytest.mark.parametrize("symbols", [("BTCUSDT",), tuple(f"A-LONG-SYMBOL-NAME-{n}" for n in range(9))])
def test_no_line_of_the_terminal_summary_is_wider_than_the_terminal(fake, symbols):
    run = fake(folds=12, days=240, symbols=symbols, name="a-strategy-with-quite-a-long-name")
    for number, fold in enumerate(run.result["folds"]):
        fold["params"] = {f"parameter_{n}": n * 1000 + number * (n % 2) for n in range(12)}
        fold["out_of_sample"] |= {"annual_return": 123456.789, "trades": 1_234_567}
    lines = terminal_summary(run.result).splitlines()
    assert max(len(line) for line in lines) <= WIDTH
    assert len(lines) > 20


def test_columns_of_the_terminal_summary_line_up(fake):
    lines = terminal_summary(fake(folds=12, days=360).result).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("fold"))
    ends = {line.index(line.split()[-1]) for line in lines[start : start + 13]}
    assert len(ends) == 1
    assert lines[start + 13] == "the same in every fold: rsi 14"


def test_the_terminal_summary_says_how_the_account_was_divided_among_sleeves(fake):
    run = fake(folds=2, days=60)
    run.result["sleeves"] = sleeves()
    lines = [line.split() for line in terminal_summary(run.result).splitlines()]
    assert ["sleeve", "share", "profit", "alone", "return", "Sharpe", "drawdown"] in lines
    assert ["trend", "0.0%", "to", "60.0%", "1,234", "+50.0%", "1.20", "20.0%"] in lines
    assert ["carry", "40.0%", "1,234", "+50.0%", "1.20", "20.0%"] in lines


def test_the_terminal_summary_shows_missing_numbers_as_dashes(all_missing):
    text = terminal_summary(all_missing.result)
    assert "—" in text
    assert "None" not in text
    assert "nan" not in text
    assert "There is no Sharpe ratio: 60 days are too few." in text


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {},
            "Its return would be zero at 1.83 times its trading costs: 12.1 bps of what it traded, where it paid 6.6.",
        ),
        ({"crossings": 3}, "Its return passes zero 3 times as costs rise; this is the first."),
        (
            {"multiple": None, "reasons": {"multiple": "it makes nothing even free of fees, spread and impact"}},
            "There is no break-even cost: it makes nothing even free of fees, spread and impact.",
        ),
    ],
)
def test_the_break_even_cost_is_said_or_why_there_is_none(fake, found, words):
    run = fake(folds=1, days=60)
    run.result["realism"]["break_even"] |= found
    assert words in said(run)


def test_nothing_is_said_of_a_break_even_where_nothing_was_traded_or_replayed(fake):
    run = fake(folds=1, days=60)
    run.result["realism"]["break_even"] |= {"multiple": None, "paid_bps": None}
    assert "break-even" not in said(run)
    run.result["realism"] = None
    assert "trading costs" not in said(run)


def test_what_became_of_orders_that_wait_is_told(fake):
    run = fake(folds=1, days=60)
    outcomes = {"cancelled": 7, "expired": 1200, "filled": 300, "rejected": 2}
    run.result["events"]["orders"] = {
        "sent": 1509,
        "outcomes": outcomes,
        "unfilled": 1202,
        "implementation_shortfall": 0.0,
    }
    assert "Of its 1,509 orders 307 were filled, wholly or in part; 1,200 expired and 2 rejected." in said(run)


def test_orders_that_are_all_filled_take_no_sentence(fake):
    run = fake(folds=1, days=60)
    before = said(run)
    run.result["events"] |= {"orders": {"sent": 9, "outcomes": {"filled": 9}, "unfilled": 0}, "limits": {}}
    assert said(run) == before


def test_the_acts_of_exposure_limits_are_counted(fake):
    run = fake(folds=1, days=60)
    run.result["events"]["limits"] = {"correlated": 1116, "cvar": 15}
    assert "Its exposure limits acted 1,131 times: correlated 1,116 and cvar 15." in said(run)
    run.result["events"]["limits"] = {"gross": 1}
    assert "Its exposure limits acted once: gross 1." in said(run)
