"""Queue positions by hand."""

import math

import pytest

from wfbt.kernels._jit import njit
from wfbt.kernels.queues import Queue, front_after

pytestmark = pytest.mark.kernel


@njit
def moved(front, traded, before, now, model, n, unit):
    return front_after(front, traded, before, now, model, n, unit)


def after(front, before, now, model, traded=0.0, n=3.0, unit=1.0):
    return moved(front, traded, before, now, int(model), n, unit)


@pytest.mark.parametrize("model", list(Queue))
def test_what_joins_a_level_stands_behind(model):
    assert after(4.0, 10, 15, model) == 4.0


@pytest.mark.parametrize("model", list(Queue))
def test_no_more_stands_before_an_order_than_its_level_shows(model):
    assert after(4.0, 10, 3, model) <= 3.0
    assert after(4.0, 10, 0, model) <= 0.0


@pytest.mark.parametrize("model", list(Queue)[1:])
def test_what_was_traded_did_not_also_leave(model):
    assert after(1.0, 10, 7, model, traded=3.0) == 1.0


def test_the_risk_averse_order_moves_only_with_trades():
    assert after(4.0, 10, 5, Queue.RISK_AVERSE) == 4.0


@pytest.mark.parametrize(
    ("model", "behind"),
    [
        (Queue.POWER, 6.0**3 / (6.0**3 + 4.0**3)),
        (Queue.POWER2, 6.0**3 / 10.0**3),
        (Queue.POWER3, 1.0 - 0.4**3),
        (Queue.LOG, math.log(7.0) / (math.log(7.0) + math.log(5.0))),
        (Queue.LOG2, math.log(7.0) / math.log(11.0)),
    ],
)
def test_of_two_lots_that_left_a_share_stood_before(model, behind):
    assert after(4.0, 10, 8, model) == pytest.approx(4.0 - 2.0 * (1.0 - behind), rel=1e-15)


def test_where_the_share_is_no_number_the_order_is_last():
    assert after(0.0, 0, 0, Queue.POWER) == 0.0
    assert after(-1.0, 4, 2, Queue.POWER, n=2.0, traded=0.0) <= 2.0
