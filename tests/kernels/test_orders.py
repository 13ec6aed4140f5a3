"""Orders at work, venue rules and limits in the bar kernel alone: numbers by hand, and what its records must add up to.

Unless said, one asset at 100 with 1000 of cash: a target of 1.0 decided on row 0 is 10 units, and meets row 1.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests import markets
from tests.markets import HOUR, MONDAY, quiet_case
from tests.replaying import kernel
from wfbt.kernels.abi import FEE, LIMIT, SLICE, TIER, Act, Bound, Liquidity, Outcome, Reason, Schedule
from wfbt.kernels.bars import replay

COMPILED = hasattr(replay, "py_func")
FLAT = (100.0, 100.0, 100.0, 100.0)

pytestmark = pytest.mark.kernel


def order(row=0, size=1.0, **fields):
    return {"row": row, "asset": 0, "size": size, **fields}


def fills(done, *names):
    return [tuple(fill[name].item() for name in names) for fill in done.fills]


def test_a_limit_that_is_only_touched_does_not_fill():
    done = kernel(quiet_case([FLAT, (100.0, 101.0, 98.0, 100.0)], [order(limit=98.0)]))
    assert fills(done, "qty") == []
    assert done.orders["outcome"].tolist() == [Outcome.OPEN]


def test_a_limit_that_the_bar_trades_through_fills_at_its_price_as_maker():
    done = kernel(quiet_case([FLAT, (100.0, 101.0, 97.0, 100.0)], [order(limit=98.0)], maker=0.001, half_spread=0.01))
    assert fills(done, "qty", "price", "liquidity") == [(10.0, 98.0, Liquidity.MAKER)]
    assert done.fills["fee"][0] == pytest.approx(0.98)


def test_a_resting_limit_that_the_open_gaps_through_fills_at_the_open():
    done = kernel(quiet_case([FLAT, FLAT, (95.0, 96.0, 94.0, 95.0)], [order(limit=98.0)], half_spread=0.01))
    assert fills(done, "row", "qty", "price", "liquidity") == [(2, 10.0, 95.0, Liquidity.MAKER)]


def test_a_post_only_order_that_would_take_is_rejected():
    done = kernel(quiet_case([FLAT, FLAT, FLAT], [order(limit=101.0)], post_only=True))
    assert fills(done, "qty") == []
    assert done.orders["outcome"].tolist() == [Outcome.REJECTED]


def test_a_stop_entry_fills_at_its_trigger_with_the_taker_s_spread():
    done = kernel(quiet_case([FLAT, (100.0, 110.0, 99.0, 108.0)], [order(trigger=105.0)], half_spread=0.01))
    assert fills(done, "qty", "liquidity") == [(10.0, Liquidity.TAKER)]
    assert done.fills["price"][0] == pytest.approx(106.05)


def test_the_nearer_leg_of_a_pair_acts_and_the_other_is_gone():
    pair = order(limit=97.0, other_size=-1.0, other_trigger=99.0)
    done = kernel(quiet_case([FLAT, (100.0, 100.0, 95.0, 95.0), (95.0, 95.0, 90.0, 90.0)], [pair]))
    assert fills(done, "row", "qty", "price") == [(1, -10.0, 99.0)]


def test_what_is_unfilled_lapses_when_it_expires():
    late = order(limit=98.0, expire=MONDAY + 2 * HOUR)
    done = kernel(quiet_case([FLAT, FLAT, (95.0, 96.0, 94.0, 95.0)], [late]))
    assert fills(done, "qty") == []
    assert done.orders["outcome"].tolist() == [Outcome.EXPIRED]
    assert done.orders["ended"].tolist() == [MONDAY + 2 * HOUR]


def test_an_order_takes_no_more_than_its_share_of_each_row():
    done = kernel(quiet_case([FLAT] * 4, [order()], participation=0.1, activity={"traded": 40.0}))
    assert fills(done, "row", "qty") == [(1, 4.0), (2, 4.0), (3, 2.0)]
    assert len(set(done.fills["order"].tolist())) == 1


def test_a_stop_that_is_capped_goes_on_at_the_next_opens():
    bars = [FLAT, FLAT, (100.0, 100.0, 94.0, 94.0), (93.0, 93.0, 93.0, 93.0), (92.0, 92.0, 92.0, 92.0)]
    case = quiet_case(bars, [order(stop=5.0)], participation=0.1, activity={"traded": [100.0, 100.0, 40.0, 40.0, 40.0]})
    sold = [one for one in fills(kernel(case), "row", "qty", "price", "reason") if one[1] < 0.0]
    assert sold == [(2, -4.0, 95.0, Reason.STOP), (3, -4.0, 93.0, Reason.STOP), (4, -2.0, 92.0, Reason.STOP)]


def test_slices_fill_what_is_due_as_children_of_their_parent():
    slices = np.array([(MONDAY + HOUR, 0.5), (MONDAY + 3 * HOUR, 1.0)], SLICE)
    twap = order(first_slice=0, last_slice=2)
    done = kernel(quiet_case([FLAT] * 5, [twap], schedule=int(Schedule.SLICES), venue={"slices": slices}))
    assert fills(done, "row", "qty") == [(1, 5.0), (3, 5.0)]
    assert len(set(done.fills["order"].tolist())) == 2
    assert len(set(done.fills["parent"].tolist())) == 1


def test_an_iceberg_shows_a_part_of_itself_on_each_row():
    done = kernel(quiet_case([FLAT] * 5, [order()], schedule=int(Schedule.ICEBERG), share=0.4))
    assert fills(done, "row", "qty") == [(1, 4.0), (2, 4.0), (3, 2.0)]


def test_margin_tiers_end_a_position_where_their_sum_does():
    # 1000 + 50(p − 100) = 0.02·50p − 10 once 50p is beyond 1000: p = 3990/49.
    tiers = np.array([[(1000.0, 0.01, 0.0), (np.inf, 0.02, 10.0)]], TIER)
    done = kernel(quiet_case([FLAT, FLAT, (100.0, 100.0, 70.0, 70.0)], [order(size=5.0)], venue={"tiers": tiers}))
    assert done.liquidations["price"][0] == pytest.approx(3990.0 / 49.0)
    assert done.liquidations["bankruptcy"][0] == pytest.approx(80.0)


def test_an_isolated_position_loses_its_wallet_and_no_more():
    gap = (80.0, 80.0, 80.0, 80.0)
    done = kernel(quiet_case([FLAT, FLAT, gap], [order(size=4.0)], isolated=True))
    assert done.cash[-1] == pytest.approx(600.0)
    assert done.shortfall[-1] == pytest.approx(400.0)


def test_fees_fall_once_a_day_of_enough_volume_has_ended():
    fees = np.array([(0.0, 0.0, 0.01), (500.0, 0.0, 0.001)], FEE)
    case = quiet_case([FLAT] * 4, [order(), order(row=2, size=0.0)], start=21.0, venue={"fees": fees})
    done = kernel(case)
    assert done.fills["fee"].tolist() == pytest.approx([10.0, 1.0])


@pytest.mark.parametrize(("act", "held"), [(Act.CAP, 5.0), (Act.REFUSE, 0.0)])
def test_an_exposure_limit_cuts_a_target_or_leaves_it_pending(act, held):
    bounds = np.array([(np.inf, int(Act.CAP))] * len(Bound), LIMIT)
    bounds[Bound.GROSS] = (0.5, int(act))
    done = kernel(quiet_case([FLAT] * 4, [order()], venue={"bounds": bounds}))
    assert done.position[-1, 0] == pytest.approx(held)
    assert done.events["act"].tolist() == [int(act)]


def test_a_delisted_position_is_closed_at_its_last_close():
    bars = [FLAT, FLAT, (100.0, 100.0, 90.0, 95.0), None]
    done = kernel(quiet_case(bars, [order(), order(row=2, size=0.5)], venue={"final": np.array([2])}))
    assert fills(done, "row", "qty", "price", "reason")[1:] == [(2, -10.0, 95.0, Reason.DELISTED)]


def test_orders_of_a_symbol_keep_their_distance():
    case = quiet_case([FLAT] * 6, [order(), order(row=1, size=0.5)], min_interval=3 * HOUR, max_open=2)
    assert fills(kernel(case), "row", "qty") == [(1, 10.0), (4, -5.0)]


def test_the_order_log_adds_up_to_the_fills_of_the_policy():
    for seed in range(400 if COMPILED else 30):
        case = markets.random_case(np.random.default_rng([7, seed]))
        done = kernel(case)
        asked = np.isin(done.fills["reason"], (Reason.TARGET, Reason.BAND))
        own = done.fills[asked]
        assert set(own["parent"].tolist()) <= set(done.orders["number"].tolist())
        for sent in done.orders:
            parts = own[own["parent"] == sent["number"]]
            most = np.abs(done.fills["qty"]).max(initial=1.0)
            assert_allclose(parts["qty"].sum(), sent["filled"], rtol=1e-9, atol=1e-12 * most)
            assert_allclose((np.abs(parts["qty"]) * parts["price"]).sum(), sent["value"], rtol=1e-9, atol=1e-9)
            assert (parts["ts"] >= sent["live"]).all()
            # Inside a bar nobody looks at the clock: an order lapses before an open or before it is handled.
            assert (case.tape.open_ts[parts["row"]] < sent["expire"]).all()
            assert len(set(parts["row"].tolist())) == len(parts), "an order fills once a row"
