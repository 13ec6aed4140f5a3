"""How sections open: what their numbers say, and what of it would worry."""

import numpy as np
import pytest

from tests.report.test_robustness import section
from wfbt.report.capacity import capacity_figures, capacity_worry, decay_worry
from wfbt.report.figures import FEWEST_TICKS, log_ticks
from wfbt.report.openings import cost_told, folds_told
from wfbt.report.overfitting import luck_told
from wfbt.report.page import Notes
from wfbt.report.regimes import regimes_worry
from wfbt.report.robustness import robustness_section
from wfbt.report.robustness_words import robustness_worry
from wfbt.report.stress import stress_sentences
from wfbt.report.volatility import volatility_worry
from wfbt.report.worry import unworried, worry


def test_what_is_found_is_one_sentence_and_nothing_found_says_why_not():
    assert worry(["it fell", "it rose"], "all is well") == "It fell; it rose."
    assert worry([], "all is well") == "Nothing here worries by itself: all is well."
    assert unworried(worry([], "all is well"))
    assert not unworried(worry(["it fell"], "all is well"))


def folds(*made, trades=40):
    outside = [{"total_return": one, "trades": trades} for one in made]
    return {"folds": [{"out_of_sample": one} for one in outside], "oos": {"trades": trades * len(made)}}


def test_folds_that_mostly_lose_or_hold_nothing_worry():
    says, worries = folds_told(folds(0.1, -0.1, -0.1) | {"walk_forward_efficiency": -0.2})
    assert says.startswith("1 of 3 folds made money")
    assert worries == "1 of 3 folds made money and 2 lost some; of what training showed nothing came out of sample."
    assert unworried(folds_told(folds(0.1, 0.1, -0.1) | {"walk_forward_efficiency": 0.8})[1])
    assert "34% of what training showed" in folds_told(folds(0.1, 0.1) | {"walk_forward_efficiency": 0.34})[1]
    assert "round trips in each fold are too few" in folds_told(folds(0.1, 0.1, trades=3))[1]
    assert folds_told(folds(0.1)) is None


def costly(gross, multiple, total=0.1):
    paid = {"fees": 50.0, "spread": 0.0, "impact": 0.0, "funding": 0.0, "liquidation": 0.0}
    found = {"multiple": multiple, "reasons": {"multiple": "it still makes money at 64 times its trading costs"}}
    cash = (gross - 50.0) / total
    return {"account": {"cash": cash}, "oos": {"total_return": total}, "costs": paid, "realism": {"break_even": found}}


def test_costs_worry_where_twice_of_them_take_everything():
    assert "its return is zero at 0.40 times" in cost_told(costly(20.0, 0.4, -0.1))[1].lower()
    assert "Costs 1.50 times as high would take all of it." in cost_told(costly(200.0, 1.5))
    assert unworried(cost_told(costly(200.0, 8.0))[1])
    assert cost_told(costly(200.0, None))[1].endswith("it still makes money at 64 times its trading costs.")
    assert unworried(cost_told(costly(200.0, None))[1])
    assert cost_told(costly(-20.0, None, -0.1))[1] == "Its decisions lost before any cost."
    few = costly(200.0, 8.0)
    few["oos"]["trades"] = 4
    assert cost_told(few)[1] == "What 4 round trips made before costs may be luck."
    assert cost_told({}) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sharpe_z": -1.0}, "Nothing in it points to skill."),
        ({"sharpe_z": 2.21}, "Luck alone gets beyond 2.21 more often than once in 200 tries."),
        ({"sharpe_z": 3.0, "dsr": 0.8}, "A deflated Sharpe ratio of 80.0% is short of 95%."),
        ({"sharpe_z": 3.0, "pbo": 0.6}, "Choosing the best candidate was worth nothing in 60.0% of the halves."),
        (
            {"sharpe_z": 3.0, "min_track_record": 900.0, "inputs": {"min_track_record": {"n": 500}}},
            "Its record of 500 days is shorter than the 900 that it needs.",
        ),
    ],
)
def test_luck_worries_by_the_number_that_is_short(given, said):
    assert luck_told({"overfitting": given})[1] == said


def test_luck_that_cannot_be_measured_says_why_and_a_clear_case_does_not_worry():
    says, worries = luck_told({"overfitting": {"sharpe_z": None, "reasons": {"sharpe_z": "20 days are too few"}}})
    assert "20 days are too few" in says
    assert not unworried(worries)
    assert unworried(luck_told({"overfitting": {"sharpe_z": 4.0, "dsr": 0.99, "pbo": 0.1}})[1])
    assert luck_told({"overfitting": None}) is None


def test_regimes_worry_where_one_loses_or_one_makes_it_all():
    rows = {name: {"days": 100, "total_return": made} for name, made in (("calm", 0.2), ("tense", -0.1))}
    assert regimes_worry({"by_regime": rows}) == "It lost 10.0% in tense markets; calm markets made all that it gained."
    rows["tense"]["total_return"] = 0.1
    assert unworried(regimes_worry({"by_regime": rows}))


def forecasts(model, trailing, p):
    return {"AAA": {"qlike": {"model": model, "trailing": trailing, "atr": 2.0}, "mz": {"p": p}}}


def test_forecasts_worry_where_a_simpler_one_does_better_or_they_are_biased():
    assert volatility_worry(forecasts(0.3, 0.2, 0.5)) == "AAA: trailing volatility did better than the model."
    assert "trust a biased one" in volatility_worry(forecasts(0.1, 0.2, 0.001))
    assert unworried(volatility_worry(forecasts(0.1, 0.2, 0.5)))
    assert volatility_worry({"AAA": {"qlike": None}}).startswith("Nobody knows")


def sized(**given):
    sizes = [{"size": 1e5, "retention": 0.9, "unfilled": 0.0}, {"size": 1e8, "retention": 0.1, "unfilled": 0.05}]
    told = {"half": 1e7, "own_size": 1e5, "alpha": 0.2, "impact": True, "caps": True, "sizes": sizes, "reasons": {}}
    return told | given


def test_more_alpha_at_a_larger_size_says_that_the_replays_went_different_ways():
    told = sized()
    told["sizes"][1]["retention"] = 1.086
    assert "100,000,000 keeps 108.6% again: the replays went different ways" in capacity_worry(told)


def test_the_mark_of_half_the_alpha_stands_at_its_line():
    rows = [{"size": size, "annual_return": 0.1, "slippage_bps": 1.0} for size in (1e5, 1e8)]
    drawn = capacity_figures({"capacity": {"sizes": rows, "half": 1e7, "best": None}})["capacity"]
    (label,) = drawn.layout.annotations
    (line,) = drawn.layout.shapes
    assert label.text == "half the alpha"
    assert 10**label.x == pytest.approx(line.x0)


def test_capacity_worries_where_the_account_is_near_the_size_that_halves_it():
    assert unworried(capacity_worry(sized()))
    assert "Half of the alpha is gone at 500,000" in capacity_worry(sized(half=5e5))
    assert "no size mends that" in capacity_worry(sized(alpha=-0.1, half=None))
    assert "says nothing of a larger account" in capacity_worry(sized(half=None, impact=False, caps=False))
    least = capacity_worry(sized(half=None, reasons={"half": "90% of it is left"}))
    assert unworried(least)
    unknown = sized(alpha=None, half=None, reasons={"half": "25 days are too few"})
    assert capacity_worry(unknown) == "Nobody knows: 25 days are too few."
    assert "90% of it is left" in least


def test_signals_worry_where_they_are_traded_too_late_or_cannot_be_told_from_chance():
    late, lasting = {"half_life_hours": 2.0, "outlasts": False}, {"half_life_hours": 9.0, "outlasts": True}
    blind = {"half_life_hours": None, "outlasts": None}
    assert "the signal of a knew may be worth half" in decay_worry({"signals": {"a": late, "b": lasting}})
    assert "how long the signal lasts" in decay_worry({"signals": {"all": blind}})
    assert unworried(decay_worry({"signals": {"all": lasting}}))


def test_bad_days_that_paid_worry_though_nothing_was_liquidated():
    row = {"loss": 0.1, "liquidations": 0, "shortfall": 0.0, "within_mandate": True}
    played = [{"name": "crash", "return_change": -0.1, **row}, {"name": "outage", "return_change": 0.4, **row}]
    said = stress_sentences({"scenarios": played, "worst": "crash", "max_stress_loss": 0.5})
    assert len(said) == 2
    assert "hangs on single days" in said[1]


def test_robustness_worries_by_each_criterion_that_was_missed():
    told = section(base=0.95)
    assert robustness_worry(told) == (
        "Decisions late leave 42% of it one bar late and 0.62 in one case of twenty "
        "(enough is: keeps 50% of the base and 5th percentile > 0)."
    )
    told["delay"]["passes"] = True
    assert robustness_worry(told) == "Nothing here worries by itself: it stood all 4 tests that could be judged."
    assert "Its Sharpe ratio is -0.50 before anything is altered" in robustness_worry(section(base=-0.5))
    assert "neighbours of its parameters stay below" in robustness_worry(section(base=1.5)).lower()


@pytest.mark.parametrize(
    ("base", "middle", "said"),
    [
        (1.0, 0.8, "Its close neighbours make money too."),
        (1.0, 0.1, "Close neighbours lose what the choice makes."),
        (-0.5, -0.6, "Nineteen of twenty neighbours lose too"),
        (-0.5, 0.3, "the spread of luck, and no better choice"),
    ],
)
def test_the_sentence_on_parameters_ends_with_what_its_numbers_mean(base, middle, said):
    sentences = robustness_section(section(base=base, middle=middle), Notes().cell)["sentences"]
    assert [one for one in sentences if said in one]


def test_sentences_on_delays_and_noise_end_with_what_their_numbers_mean():
    def ends(base):
        told = section(base=base)
        return " ".join(robustness_section(told, Notes().cell)["sentences"])

    assert "More than half of it hangs on the first bar." in ends(1.0)
    assert "It does not need the first fill." in ends(0.7)
    assert "hang on the last digit" in ends(0.1)
    assert "a span that is narrower than the result" in ends(1.0)


@pytest.mark.parametrize("low", [1e-3, 0.7, 1.0, 8.0, 95_000.0])
@pytest.mark.parametrize("factor", [1.8, 3.0, 11.0, 400.0])
def test_a_logarithmic_axis_has_few_round_ticks_within_its_range(low, factor):
    ticks = log_ticks(low, low * factor)
    assert ticks == sorted(set(ticks))
    assert all(low <= tick <= low * factor for tick in ticks)
    assert len(ticks) <= 2 * FEWEST_TICKS
    if factor >= 3.0:
        assert len(ticks) >= FEWEST_TICKS
    assert all(float(f"{tick:.1e}") == pytest.approx(tick, rel=1e-12) for tick in ticks)
    assert np.diff(np.log(ticks)).max(initial=0.0) < np.log(4.0)
