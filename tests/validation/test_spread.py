"""Medians and quantiles over paths."""

import pytest

from wfbt.validation.spread import medians, spread


def told(sharpe, trades, **more):
    reasons = {} if sharpe is not None else {"sharpe": "daily returns do not vary"}
    return {"sharpe": sharpe, "total_return": 0.1, "max_drawdown": 0.2, "trades": trades, "reasons": reasons, **more}


def test_the_median_of_an_even_number_lies_between_and_of_counts_is_one_that_was_counted():
    middle = medians([told(one, trades) for one, trades in ((1.0, 9), (4.0, 2), (2.0, 5), (3.0, 8))])
    assert (middle["sharpe"], middle["trades"], middle["reasons"]) == (2.5, 5, {})


def test_a_number_that_one_path_lacks_is_missing_with_its_reason():
    some = [told(1.0, 3), told(None, 0), told(2.0, 4)]
    assert medians(some)["sharpe"] is None
    why = "1 of 3 paths have none: daily returns do not vary"
    assert medians(some)["reasons"] == {"sharpe": why}
    found = spread(some)
    assert (found["sharpe"], found["reasons"]) == (None, {"sharpe": why})
    assert found["total_return"]["median"] == pytest.approx(0.1)


def test_quantiles_of_five_paths_are_the_paths_themselves():
    found = spread([told(float(one), 1) for one in (5, 3, 1, 4, 2)])
    assert found["sharpe"] == {"lowest": 1.0, "q25": 2.0, "median": 3.0, "q75": 4.0, "highest": 5.0}
