"""Sentences are made of the numbers beside them: they change sides where the numbers do."""

import numpy as np
import pytest

from tests.simulation.asking import study_file, walked
from wfbt.engine.latency import Latency
from wfbt.simulation.delays import Drawn
from wfbt.simulation.told import spread_told
from wfbt.simulation.worries import (
    NO_WORRY,
    frontier_worry,
    kelly_worry,
    overall_worry,
    paths_worry,
    survival_worry,
    tails_worry,
    year_worry,
)


def share(estimate, n=1000, high=None):
    count = round(estimate * n)
    return {"count": count, "n": n, "estimate": count / n, "low": 0.0, "high": high or max(3 / n, 1.3 * estimate)}


def paths(depth=0.1, ruin=0.0, lost=0.2, liquidated=0.0, median=0.5, hold=0.2):
    return {
        "drawdowns": [{"percentile": 95.0, "depth": depth}],
        "ruin": share(ruin) | {"loss": 0.5},
        "lost_money": share(lost),
        "liquidated": share(liquidated),
        "total_return": {"p50": median},
        "hold": {"total_return": {"p50": hold}},
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, NO_WORRY),
        ({"depth": 0.3}, "One path in twenty falls 30% or more, beyond the mandate's 25%"),
        ({"ruin": 0.05}, "5.0% of the accounts lose 50%, and it may be 6.5%"),
        ({"lost": 0.6}, "60% of the paths end with less than they began with"),
        ({"liquidated": 0.01}, "10 of 1000 accounts are liquidated"),
        ({"median": 0.1}, "The median path makes +10% where buy-and-hold makes +20%"),
    ],
)
def test_paths_worry_for_what_is_wrong_with_them(given, words):
    assert paths_worry(paths(**given), 0.25).startswith(words)


def test_few_paths_without_ruin_worry_for_being_few():
    told = paths() | {"ruin": share(0.0, 30) | {"loss": 0.5}}
    assert paths_worry(told, 0.25) == "No account loses 50%, but 30 of them cannot exclude 10.0%."


def test_a_year_worries_by_the_worst_kind_of_path_and_by_too_few_of_them():
    def told(estimate, n=1000):
        return share(estimate, n) | {"loss": 0.5}

    assert year_worry({"resampled": told(0.0, 10_000)}).startswith(NO_WORRY)
    assert "5.0% of paths of level 3 lose 50%" in year_worry({"resampled": told(0.001), "3": told(0.05)})
    assert "100 paths cannot exclude 1%" in year_worry({"1": told(0.0, 100)})
    assert year_worry({"1": {"high": None}}) == "Nobody knows: no path is a year long."


def test_kelly_worries_where_the_mean_could_be_nothing():
    def told(estimate, low, high):
        return kelly_worry({"fraction": {"estimate": estimate, "low": low, "high": high}})

    assert told(4.0, 1.5, 6.0).startswith(NO_WORRY)
    assert "anything from 0 to 9.0 times" in told(3.0, -1.0, 9.0)
    assert "no size of it is worth trading" in told(-1.0, -3.0, 1.0)
    assert "2.0 times Kelly's" in told(0.5, 0.1, 0.9)
    assert "lower bound is 0.50" in told(2.0, 0.5, 4.0)


def test_capital_worries_where_accounts_die_or_cannot_order():
    def curve(alive, small, low=None):
        point = {"days": 365, "survived": {"estimate": alive, "low": alive if low is None else low}}
        return [{"capital": 10_000.0, "points": [point], "missed": small}]

    assert survival_worry(curve(1.0, 0.0)).startswith(NO_WORRY)
    assert survival_worry(curve(0.9, 0.0)).startswith("Of accounts of 10,000 10.0% are ruined within 365 days")
    assert survival_worry(curve(1.0, 0.4)).startswith("Of accounts of 10,000 40% of what is to be held is not")


def test_sizes_worry_from_where_ruin_begins():
    def rows(*shares):
        return [{"size": size, "ruin": share(one)} for size, one in zip((0.5, 1.0, 2.0), shares, strict=True)]

    assert frontier_worry(rows(0.0, 0.0, 0.0)).startswith(NO_WORRY)
    assert "From 2 times the size traded" in frontier_worry(rows(0.0, 0.0, 0.1))
    assert "At 1 times the size traded up to 13.0%" in frontier_worry(rows(0.0, 0.1, 0.3))


def test_a_tail_worries_where_it_is_heavy_or_was_exceeded():
    def tails(es):
        return {"0.99": [{"method": "historical", "es": es}, {"method": "normal", "es": 0.02}]}

    row = {"method": "historical", "level": 0.99, "exceedances": 12, "expected": 5.0, "independence": None}
    assert tails_worry(tails(0.021), []).startswith(NO_WORRY)
    assert "2.0 times what a normal would say" in tails_worry(tails(0.04), [])
    exceeded = tails_worry(tails(0.021), [row | {"coverage": {"p": 0.001}}])
    assert exceeded.startswith("Losses exceeded the historical VaR at 99% on 12 days where 5.0")
    assert "come together" in tails_worry(tails(0.021), [row | {"coverage": None, "independence": {"p": 0.01}}])


def test_all_kinds_together_tell_the_first_that_worries():
    calm = f"{NO_WORRY}: fine."
    assert overall_worry({"1": calm, "resampled": calm}).startswith(NO_WORRY)
    assert overall_worry({"1": calm, "3": "Deep."}) == "1 of 2 kinds of path worry; level 3: Deep."


def test_percentiles_leave_out_what_does_not_exist_and_say_so():
    told = spread_told(np.r_[np.arange(101.0), np.nan], "it stood still")
    assert told["p50"] == 50.0 and told["paths"] == 101
    none = spread_told(np.full(50, np.nan), "it stood still")
    assert none["p5"] is None and none["reasons"]["p5"] == "it stood still"
    few = spread_told(np.r_[np.ones(3), np.full(50, np.nan)], "it stood still")
    assert few["p5"] is None and few["reasons"]["p5"].startswith("3 of 53 paths have one")


def test_delays_that_are_kept_are_those_that_would_be_drawn():
    base = Latency.uniform(1e8, 5e8)
    kept = Drawn.of(base)
    for ts in (np.arange(50) * 10**9, np.arange(50) * 10**9, np.arange(60) * 10**9):
        for symbol in ("A", "B"):
            assert np.array_equal(kept.delays(3, symbol, ts), base.delays(3, symbol, ts))
            assert np.array_equal(kept.price_draws(3, symbol, ts), base.price_draws(3, symbol, ts))
    assert kept.instant == base.instant and kept.adverse == base.adverse


@pytest.mark.parametrize("kind", ["fitted", "ensemble", "plain"])
def test_a_settled_policy_says_what_it_said_when_it_was_fitted(kind, tmp_path):
    ran, _ = walked(study_file(tmp_path, kind))
    study, view = ran.study, ran.walk.views[-1]
    params = study.candidates[ran.walk.folds[-1].trial.chosen]
    settled = study.rule.settled(view.frames, params, view.train)
    assert not settled.fitted and (settled is study.rule or kind != "plain")
    one, two = study.rule.columns(view.frames, params, view.train), settled.columns(view.frames, params)
    assert np.array_equal(one["AAA"].target, two["AAA"].target, equal_nan=True)
