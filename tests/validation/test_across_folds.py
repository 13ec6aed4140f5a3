"""Efficiency, concentration over folds, and what a spread over paths is not."""

from math import log

import numpy as np
import pytest

from wfbt.errors import ConfigError
from wfbt.validation.across_folds import SHARED, concentration, path_distribution, walk_forward_efficiency


def test_efficiency_is_out_of_sample_over_the_mean_in_sample():
    assert walk_forward_efficiency(0.1, [0.1, 0.3]) == (0.5, "")
    assert walk_forward_efficiency(-0.1, [0.2]) == (-0.5, "")


@pytest.mark.parametrize(
    ("outside", "inside", "why"),
    [
        (None, [0.1], "missing"),
        (0.1, [0.1, None], "missing"),
        (0.1, [], "missing"),
        (0.1, [0.1, -0.2], "a ratio to a loss means nothing"),
        (0.1, [0.0], "a ratio to a loss means nothing"),
    ],
)
def test_efficiency_that_means_nothing_is_missing_with_its_reason(outside, inside, why):
    value, said = walk_forward_efficiency(outside, inside)
    assert value is None
    assert why in said


def test_shares_are_of_log_profit_and_add_up_to_one():
    told = concentration([0.21, 0.1, -0.1, 0.0])
    total = log(1.21) + log(1.1) + log(0.9)
    assert told["shares"] == pytest.approx([log(1.21) / total, log(1.1) / total, log(0.9) / total, 0.0])
    assert sum(told["shares"]) == pytest.approx(1.0)
    assert told["largest"] == told["shares"][0]
    assert told["without_best"] == pytest.approx(1.1 * 0.9 - 1)
    # 1.21 is 1.1 twice, so two thirds and one third of what was won.
    assert told["herfindahl"] == pytest.approx(4 / 9 + 1 / 9)
    assert told["reasons"] == {}


def test_equal_folds_are_least_concentrated_and_a_single_winner_most():
    assert concentration([0.05] * 8)["herfindahl"] == pytest.approx(1 / 8)
    assert concentration([0.05, -0.01, 0.0])["herfindahl"] == 1.0


def test_of_folds_that_lost_together_no_share_is_given():
    told = concentration([0.1, -0.2])
    assert (told["shares"], told["largest"]) == (None, None)
    assert told["without_best"] == pytest.approx(-0.2)
    assert told["herfindahl"] == 1.0
    lost = concentration([-0.1, -0.2])
    assert lost["without_best"] == pytest.approx(0.9 * 0.8 - 1)  # there was no best one to leave out
    assert lost["reasons"]["herfindahl"] == "no fold made money"


@pytest.mark.parametrize(
    ("returns", "why"), [([0.1], "one fold"), ([0.1, None], "missing"), ([0.1, -1.0], "lost everything")]
)
def test_folds_that_cannot_be_compared_say_why(returns, why):
    told = concentration(returns)
    assert all(told[key] is None for key in ("shares", "largest", "without_best", "herfindahl"))
    assert all(why in told["reasons"][key] for key in ("shares", "largest", "without_best", "herfindahl"))


def test_paths_are_told_by_their_quantiles_and_never_as_a_standard_error():
    told = path_distribution(np.array([-1.0, 0.0, 1.0, 2.0, 3.0]))
    assert told["quantiles"] == {"0.05": -0.8, "0.25": 0.0, "0.5": 1.0, "0.75": 2.0, "0.95": pytest.approx(2.8)}
    assert told["below_zero"] == 0.2
    assert told["paths"] == 5
    assert told["note"] == SHARED
    assert "no standard error" in told["note"]


def test_a_path_without_a_sharpe_ratio_is_not_left_out_silently():
    told = path_distribution(np.array([1.0, np.nan]))
    assert told["quantiles"] is None
    assert told["reasons"]["below_zero"] == "1 of 2 paths have no Sharpe ratio"
    with pytest.raises(ConfigError, match="one Sharpe ratio each"):
        path_distribution(np.zeros(0))
