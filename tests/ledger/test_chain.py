"""Accounts told as one: the pieces of an account add up to the account."""

import itertools

import numpy as np
import pytest

import wfbt
from tests.runs import write_study
from wfbt.ledger.chain import Chain
from wfbt.ledger.metrics import DAY


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return wfbt.run(write_study(folder), out=folder / "out", report=False).ledger


def cut(ledger, *days):
    """The account in pieces that end after so many days."""
    begin = int(ledger.ts[0]) - 1
    borders = [begin, *(begin // DAY * DAY + day * DAY for day in days), int(ledger.ts[-1])]
    return [ledger.slice(a, b) for a, b in itertools.pairwise(borders)]


def test_the_pieces_of_an_account_have_its_returns_and_its_statistics(whole):
    chain = Chain.of(cut(whole, 20, 33))
    np.testing.assert_allclose(chain.returns_daily(), whole.returns_daily(), rtol=0, atol=1e-13)
    assert chain.returns_daily().index.equals(whole.returns_daily().index)
    told, expected = chain.metrics(), whole.metrics()
    same = ("sharpe", "sortino", "calmar", "total_return", "annual_return", "max_drawdown", "volatility", "exposure")
    for key in (*same, "turnover", "days"):
        assert told[key] == pytest.approx(expected[key], rel=1e-9), key


def test_an_account_that_begins_anew_grows_on_from_the_one_before(whole):
    first, second = cut(whole, 30)
    chain = Chain.of([first, second])
    growth = [one.equity[-1] / one.opening_equity for one in (first, second)]
    assert chain.equity[-1] == pytest.approx(first.opening_equity * growth[0] * growth[1], rel=1e-12)
    assert chain.metrics()["total_return"] == pytest.approx(growth[0] * growth[1] - 1, rel=1e-12)
