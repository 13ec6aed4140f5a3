"""Plain words and the terminal table: what they say follows from the numbers, and they fit the terminal."""

import pytest

from tests.report.conftest import sleeves
from wfbt.report.formats import show
from wfbt.report.leakage import sentence
from wfbt.report.summary import findings, gross_profit, grouped, headlines
from wfbt.report.tables import WIDTH, terminal_summary


def said(run) -> str:
    return " ".join(findings(run.result))


def test_the_first_sentence_of_the_result_says_what_was_tested(fake):
    title, (first, *_) = grouped(fake(folds=4, days=200, symbols=("BTCUSDT", "ETHUSDT")).result)[0]
    assert title == "Result"
    assert first.startswith(
        "ema-rsi-adx traded BTCUSDT and ETHUSDT from 2021-01-01 to 2021-07-20 (200 days) in 4 folds, "
        "each trading the best of 96 candidates on its own training rows"
    )


def test_without_a_search_no_candidate_is_mentioned(fake):
    run = fake(folds=1, days=60)
    run.result["folds"][0]["candidates"] = 1
    first = grouped(run.result)[0][1][0]
    assert "nothing was searched" in first
    assert "candidates" not in first


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
    run.result["events"]["orders"] = {
        "sent": 1509,
        "outcomes": {"cancelled": 7, "cut": 3, "expired": 1200, "filled": 297, "rejected": 2},
        "unfilled": 1202,
        "unfilled_by_outcome": {"expired": 1190, "nothing to do": 10, "rejected": 2},
        "cut_by_more_than_1pct": 1,
    }
    assert (
        "Of its 1,509 orders 307 were filled, wholly or in part; 1,190 expired, 10 had nothing to do and 2 rejected. "
        "1 order was cut by more than 1% of what was asked: leverage, or the cash at the price of the fill"
    ) in said(run)


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


def test_an_account_that_was_stopped_says_so_before_it_is_compared(fake):
    run = fake(folds=1, days=60)
    run.result["oos"] |= {"max_drawdown": 0.25}
    run.result["benchmark"] |= {"max_drawdown": 0.6}
    run.result["events"]["stopped"] = "2021-02-03T00:00:00Z"
    stop = "Its drawdown limit stopped it for good on 2021-02-03; nothing was traded after that."
    told = findings(run.result)
    compared = next(one for one in told if one.startswith("It beat buy-and-hold on"))
    assert compared.endswith(" (it held nothing after 2021-02-03).")
    assert told.index(stop) < told.index(compared)
    assert headlines(run.result)[0] == stop
    assert "A circuit breaker flattened it 2 times, before the stop." in told  # of 3 acts the last was the stop
    assert sum(one.count("stopped it for good") for _, own in grouped(run.result) for one in own) == 0


def test_the_headlines_are_what_it_made_and_how_much_that_proves(fake):
    run = fake(folds=1, days=60)
    run.result["oos"]["trades"] = 55
    made, proof = headlines(run.result)
    assert made.startswith("Out of sample and net of costs it ")
    assert proof.startswith("The evidence: 55 round trips and 60 days.")
    for z, words in (
        (1.4, "is 1.40 standard errors from 0, short of the 2.58 that luck"),
        (3.1, "3.10 standard errors from 0, beyond"),
        (-0.2, "nothing in them that points to skill"),
    ):
        run.result["overfitting"] = {"sharpe_z": z}
        assert words in headlines(run.result)[1]


def test_page_and_terminal_say_the_same_of_a_run(fake):
    run = fake(folds=3, days=90)
    page = {one for _, own in grouped(run.result) for one in own} | set(headlines(run.result))
    # What was tested is the terminal's first line, and the leaks stand in the evidence.
    missing = [one for one in findings(run.result) if one not in page and one not in " ".join(page)]
    assert missing == []


@pytest.mark.parametrize(
    ("part", "where"), [("ladder", "the drawdown limit"), ("break_even", "an empty account")]
)  # fmt: skip
def test_replays_that_were_stopped_at_different_times_do_not_compare(fake, part, where):
    run = fake(folds=1, days=60)
    realism = run.result["realism"]
    (realism if part == "ladder" else realism["break_even"])["stopped_apart"] = where
    words = f"{where[0].upper()}{where[1:]} stopped it at different times in the replays at these costs"
    # The ladder is a table of the page; the break-even is a sentence of both.
    assert (words in said(run)) == (part == "break_even")


def test_training_accounts_that_the_drawdown_limit_stopped_are_counted(fake):
    run = fake(folds=4, days=120)
    assert "training account" not in said(run)
    for fold in run.result["folds"][:3]:
        fold["training_stopped"] = "2021-01-05T00:00:00Z"
    words = "In 3 of 4 folds the chosen candidate's training account was stopped by the drawdown limit."
    assert words in said(run)


def test_each_sleeve_has_its_own_number_of_candidates(fake):
    run = fake(folds=2, days=60)
    run.result["sleeves"] = sleeves()
    run.result["sleeves"]["members"]["carry"]["candidates"] = 1
    first = grouped(run.result)[0][1][0]
    assert "each sleeve trading the best of its own candidates (trend 4 and carry 1) on training rows" in first


def test_paths_that_are_one_account_are_said_to_be_one(fake):
    run = fake(folds=2, days=60)
    run.result["walk"] = {"scheme": "cpcv", "paths": 2, "shown": 1}
    one = {"sharpe": 1.0, "total_return": 0.1, "trades": 9}
    run.result["paths"] = [{"path": n, "folds": [n], **one} for n in (1, 2)]
    assert "All 2 paths are the same account" in said(run)
    assert "medians over" not in said(run)
    run.result["paths"][1]["sharpe"] = 1.1
    assert "are medians over 2 paths" in said(run)


@pytest.mark.parametrize(
    ("chance", "words"),
    [
        (
            0.96, "No leak was found among 1,271 tested decisions: a rule that peeks in 1 of 200 decisions would have "
            "been caught with 96% probability."
        ),
        (0.9999, "caught with over 99% probability."),
        (0.14, "Hardly tested for leaks: none was found among 1,271 tested decisions, but a rule that peeks in 1 of "),
    ],
)  # fmt: skip
def test_how_closely_leaks_were_looked_for_is_said_first_where_it_was_hardly(chance, words):
    told = sentence({"passed": True, "tests": 1271, "detection_probability": chance})
    assert words in told
    assert told.startswith("Hardly") == ("wfbt check lookahead STRATEGY looks longer." in told)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (-0.001, "money", "0"), (-0.0, "ratio", "0.00"), (-0.00001, "percent", "0.0%"), (-0.00001, "signed", "0.0%"),
        (-0.5, "money", "-0.50"), (-0.0834, "change", "-8.34 pp"),
    ],
)  # fmt: skip
def test_what_rounds_to_nothing_has_no_sign(value, kind, text):
    assert show(value, kind) == text
