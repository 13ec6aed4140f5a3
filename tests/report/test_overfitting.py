"""Could this be luck?  The section says what was found, from what, and flatters nobody."""

import re

import pytest

from tests.report.test_page import Reader, render, without_plotly
from wfbt.report.overfitting import WORDS, chance
from wfbt.validation.across_folds import concentration

SHAPE = {"n": 400, "sharpe": 0.08, "skew": -0.3, "kurtosis": 5.0}
TESTED = {"n": 400, "factor": 1.25, "lag": 5, "estimate": 0.08, "error": 0.05}
SPA = {
    "n": 400, "candidates": 24, "block": 3, "resamples": 1000, "size": 0.05, "better": 0, "reality_check": 0.3,
}  # fmt: skip


def section(**changes):
    """Every statistic of a run that looks good."""
    told = {
        "psr": 0.93,
        "dsr": 0.93,
        "sharpe_z": 1.4,
        "alpha_z": 1.1,
        "sharpe_autocorrelated": 1.3,
        "min_track_record": 512.0,
        "min_backtest_years": None,
        "min_training_years": 3.7,
        "pbo": 0.41,
        "spa_p": 0.21,
        "spa_p_buy_hold": 0.0004,
        "inputs": {
            "psr": SHAPE | {"benchmark": 0.0},
            "dsr": SHAPE | {"benchmark": 0.0, "trials": 1, "variance": 0.0025},
            "sharpe_z": TESTED,
            "alpha_z": TESTED | {"beta": 0.31},
            "sharpe_autocorrelated": {"n": 400, "q": 365, "lags": 5},
            "min_track_record": SHAPE | {"confidence": 0.95},
            "min_backtest_years": {},
            "min_training_years": {"candidates": 24, "sharpe": 1.0, "years": 1.0},
            "pbo": {"n": 400, "candidates": 24, "splits": 16, "choices": 12870, "loss": 0.44, "slope": -0.8},
            "spa_p": SPA,
            "spa_p_buy_hold": SPA | {"better": 3},
        },
        "reasons": {"min_backtest_years": "nothing was chosen on these days"},
        "trials": 1,
        "fold_concentration": concentration([0.3, -0.1, 0.02, -0.02]),
    }
    return told | changes


def shown(fake, told):
    run = fake(folds=4, days=200)
    run.result["overfitting"] = told
    run.result["reasons"].pop("overfitting", None)
    text = Reader(without_plotly(render(run))).words
    return re.search(r"Could this be luck\?.*?No number here is a verdict", text).group(0)


def test_each_statistic_stands_with_its_inputs_and_its_meaning(fake):
    text = shown(fake, section())
    for name, *_ in WORDS.values():
        assert name in text
    assert "days 400 · Sharpe a day 0.0800 · skew -0.30 · kurtosis 5.00 · looks 1" in text
    assert "Of strategies whose true Sharpe ratio is 0, 93.0% would have looked worse" in text
    assert "one look at these days is counted" in text
    assert "It falls short of 2.58, a value that luck alone reaches once in 200 tries." in text
    assert "only its author" not in text
    assert "they weigh as if there were 320 of them" in text
    assert "there are only 400" in text
    assert "In so many of 12,870 ways" in text
    assert "The folds train on 1.0: believe no number in sample." in text
    assert "3 of them beat it at 5%." in text
    assert "It is more than all of it: the others lost together." in text


def test_a_missing_one_says_why_in_its_place(fake):
    text = shown(fake, section())
    assert re.search(r"Minimum backtest \(years\) — ?\d+ nothing was chosen on these days", text)


def test_several_looks_are_told_with_the_luck_that_they_bring(fake):
    told = section(trials=30, dsr=0.61)
    told["inputs"]["dsr"] |= {"trials": 30, "benchmark": 0.103}
    text = shown(fake, told)
    assert "against the best of 30 worthless strategies, from whom a Sharpe ratio of 0.103 a day" in text


def test_a_loser_is_told_so(fake):
    text = shown(fake, section(sharpe_z=-0.4, alpha_z=-0.2, fold_concentration=concentration([-0.1, -0.2])))
    assert "there is no evidence of skill" in text
    assert "It is a loss." in text
    assert "the folds together made nothing that could be shared" in text


def test_the_searches_of_sleeves_stand_under_their_names(fake):
    told = section()
    own = {
        "pbo": None, "spa_p": 0.5, "spa_p_buy_hold": 0.6,
        "inputs": {"pbo": {}, "spa_p": SPA, "spa_p_buy_hold": SPA}, "reasons": {"pbo": "all candidates did the same"},
    }  # fmt: skip
    text = shown(fake, told | {"sleeves": {"<b>trend": own}})
    assert "<b>trend: Best candidate against cash, p 50.0%" in text
    assert "all candidates did the same" in text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "< 0.1%"), (0.0009, "< 0.1%"), (0.05, "5.0%"), (0.9999, "> 99.9%"), (1.0, "> 99.9%")]
)
def test_a_probability_is_never_rounded_to_certainty(value, text):
    assert chance(value) == text


def test_without_the_statistics_there_is_no_section(fake):
    text = Reader(without_plotly(render(fake(folds=1, days=40)))).words
    assert "Could this be luck?" not in text
