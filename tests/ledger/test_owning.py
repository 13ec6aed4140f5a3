"""A ledger of arrays that nobody else writes to."""

import numpy as np
import pytest

from wfbt.errors import LedgerError
from wfbt.kernels.abi import FILL, PAYMENT
from wfbt.ledger.ledger import Ledger

HOUR = 3_600_000_000_000


def columns(**changed):
    plain = {
        "symbols": ("X",),
        "ts": np.arange(1, 5) * HOUR,
        "equity": np.full(4, 100.0),
        "cash": np.full(4, 100.0),
        "position": np.zeros((4, 1)),
        "mark": np.ones((4, 1)),
        "fills": np.zeros(0, FILL),
        "payments": np.zeros(0, PAYMENT),
        "liquidation": np.zeros(4),
        "shortfall": np.zeros(4),
        "multiplier": np.ones(1),
        "inverse": False,
        "opening_cash": 100.0,
    }
    return plain | changed


def test_owned_arrays_are_frozen_where_they_are_and_given_ones_are_copied():
    mine = columns()
    assert Ledger.owning(**mine).equity is mine["equity"]
    assert not mine["equity"].flags.writeable
    given = columns()
    ledger = Ledger(**given)
    given["equity"][0] = 7.0
    assert ledger.equity[0] == 100.0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"equity": np.array([1.0, np.nan, 1.0, 1.0])}, "row 1"),
        ({"cash": np.array([1.0, 1.0, -np.inf, 1.0])}, "row 2"),
        ({"liquidation": np.array([0.0, 0.0, 0.0, -1.0])}, "row 3"),
        ({"ts": np.array([1, 3, 3, 4]) * HOUR}, "row 2"),
        ({"position": np.ones((4, 1)), "mark": np.array([[1.0], [1.0], [np.nan], [1.0]])}, "held at a mark of nan"),
        ({"cash": np.zeros(3)}, "must have shape"),
    ],
)
def test_an_owned_ledger_is_refused_for_the_same_reason_as_a_given_one(changed, message):
    with pytest.raises(LedgerError, match=message) as owned:
        Ledger.owning(**columns(**changed))
    with pytest.raises(LedgerError) as given:
        Ledger(**columns(**changed))
    assert str(owned.value) == str(given.value)


def test_a_missing_column_is_no_ledger():
    mine = columns()
    del mine["cash"]
    with pytest.raises(KeyError, match="cash"):
        Ledger.owning(**mine)
