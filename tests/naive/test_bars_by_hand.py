"""Orders that rest, split, lapse and are limited, against numbers worked out by hand; one paragraph of the page each.

Unless said, one asset at 100 with 1000 of cash: a target of 1.0 decided on row 0 is 10 units, and meets row 1.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.markets import HOUR, MONDAY, Case, cases, quiet_case
from tests.replaying import naive
from wfbt.kernels.abi import FEE, LIMIT, SLICE, TIER, Act, Bound, Liquidity, Outcome, Reason, Schedule

TAKER, MAKER, VENUE = Liquidity
FLAT = (100.0, 100.0, 100.0, 100.0)
NONE = float("nan")
Engine = Callable[[Case], dict[str, Any]]


@pytest.fixture(params=[naive], ids=["naive"])
def run(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn, returning what `tests.replaying.naive` does."""
    return request.param


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def told(records: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(record[name] for name in names) for record in records]


def order(row: int = 0, size: float = 1.0, **fields: float) -> dict[str, float]:
    return {"row": row, "asset": 0, "size": size, **fields}


def bounded(bound: Bound, most: float, act: Act = Act.CAP) -> dict[str, np.ndarray]:
    bounds = np.array([(np.inf, int(Act.CAP))] * len(Bound), LIMIT)
    bounds[bound] = (most, int(act))
    return {"bounds": bounds}


def at(hours: float) -> int:
    return MONDAY + int(hours * HOUR)


# Limits


def test_a_resting_buy_fills_at_its_limit_as_maker_when_the_bar_trades_through_it(run: Engine) -> None:
    case = quiet_case([FLAT, (100.0, 101.0, 97.0, 100.0)], [order(limit=98.0)], maker=0.001, half_spread=0.01)
    result = run(case)
    assert told(result["fills"], "row", "ts", "liquidity", "qty", "price", "fee", "spread", "arrival") == [
        (1, at(2) - 1, MAKER, 10.0, 98.0, near(0.98), 0.0, 100.0)  # 10 · 98 · 0.001
    ]
    assert result["equity"][-1] == near(1000.0 + 20.0 - 0.98)


@pytest.mark.parametrize(("touch", "quantities"), [(0.0, []), (0.1, [2.0])])
def test_a_touch_fills_a_share_of_the_volume(run: Engine, touch: float, quantities: list[float]) -> None:
    case = quiet_case([FLAT, (100.0, 101.0, 98.0, 100.0)], [order(limit=98.0)], touch=touch, activity={"traded": 20.0})
    assert [fill["qty"] for fill in run(case)["fills"]] == near(quantities)


@pytest.mark.parametrize(("low", "fills"), [(98.0, []), (97.6, []), (97.5, [(10.0, 98.0)])])
def test_a_buy_limit_is_put_on_the_tick_below_and_needs_a_whole_tick_beyond(
    run: Engine, low: float, fills: list[Any]
) -> None:
    case = quiet_case([FLAT, (100.0, 101.0, low, 100.0)], [order(limit=98.3)], spec={"tick": 0.5})
    assert told(run(case)["fills"], "qty", "price") == fills


def test_a_later_open_beyond_the_limit_fills_a_resting_order_there_as_maker(run: Engine) -> None:
    case = quiet_case([FLAT, FLAT, (97.0, 99.0, 96.0, 98.0)], [order(limit=98.0)], half_spread=0.01, taker=0.01)
    assert told(run(case)["fills"], "row", "ts", "liquidity", "price", "fee") == [(2, at(2), MAKER, 97.0, 0.0)]


def test_an_order_that_meets_a_better_open_is_a_taker_there(run: Engine) -> None:
    # b = 98/97 − 1 − 0.01 > 0: 97 · 1.01 = 97.97, within the limit.
    case = quiet_case([FLAT, (97.0, 99.0, 96.0, 98.0)], [order(limit=98.0)], half_spread=0.01)
    assert told(run(case)["fills"], "ts", "liquidity", "price") == [(at(1), TAKER, near(97.97))]


def test_a_marketable_limit_takes_what_its_price_allows_and_rests_from_the_next_row(run: Engine) -> None:
    # Impact per √unit is 0.1 · 0.1 / √1 = 0.01 and b = 0.01: one unit at 101.  The low of 90 on that row is no matter.
    bars = [FLAT, (100.0, 101.0, 90.0, 100.0), (102.0, 103.0, 100.5, 101.0)]
    case = quiet_case(bars, [order(limit=101.0)], sigma=0.1, volume=1.0, spec={"temporary": 0.1})
    assert told(run(case)["fills"], "row", "liquidity", "qty", "price") == [
        (1, TAKER, near(1.0), near(101.0)),
        (2, MAKER, near(9.0), 101.0),
    ]


def test_the_price_of_a_marketable_limit_is_not_beyond_it_after_ticks(run: Engine) -> None:
    # 100 · 1.002 = 100.2 would be 100.5 on the grid; the limit of 100.4 is 100.0 there, and b < 0: it rests.
    bars = [FLAT, FLAT, (100.0, 100.0, 99.5, 100.0)]
    case = quiet_case(bars, [order(limit=100.4)], half_spread=0.002, spec={"tick": 0.5})
    assert told(run(case)["fills"], "row", "liquidity", "price") == [(2, MAKER, 100.0)]


def test_a_marketable_post_only_order_is_rejected(run: Engine) -> None:
    result = run(quiet_case([FLAT] * 3, [order(limit=101.0)], post_only=True))
    assert result["fills"] == []
    assert told(result["orders"], "outcome", "ended", "filled") == [(Outcome.REJECTED, at(1), 0.0)]


def test_an_order_that_arrives_inside_a_bar_rests_from_the_next(run: Engine) -> None:
    through = (100.0, 101.0, 97.0, 100.0)
    case = quiet_case([FLAT, through, through], [order(limit=98.0)], delay=0.5)
    assert told(run(case)["fills"], "row", "price") == [(2, 98.0)]


def test_the_bar_in_which_a_limit_fills_counts_for_the_stop_and_not_for_the_take(run: Engine) -> None:
    case = quiet_case([FLAT, (100.0, 110.0, 94.0, 100.0)], [order(limit=98.0, stop=3.0, take=5.0)])
    assert told(run(case)["fills"], "row", "reason", "price") == [
        (1, Reason.TARGET, 98.0),
        (1, Reason.STOP, 95.0),
    ]


def test_a_limit_that_reduces_fills_after_the_stop(run: Engine) -> None:
    # Long 10 from 100 with a stop at 95; the sell limit at 103 and the stop are both reached on row 2.
    bars = [FLAT, FLAT, (100.0, 104.0, 94.0, 100.0)]
    result = run(quiet_case(bars, [order(stop=5.0), order(1, 0.5, limit=103.0)]))
    assert told(result["fills"], "reason", "qty", "price")[1:] == [(Reason.STOP, -10.0, 95.0)]
    assert told(result["orders"], "outcome", "ended") == [(Outcome.FILLED, at(1)), (Outcome.CANCELLED, at(3) - 1)]


def test_a_limit_that_reverses_is_judged_against_its_own_stop_at_once(run: Engine) -> None:
    # Sold through 103 to −10 with a stop 2 above it; the high of 106 counts against the new short.
    bars = [FLAT, FLAT, (100.0, 106.0, 99.0, 100.0)]
    result = run(quiet_case(bars, [order(), order(1, -1.0, limit=103.0, stop=2.0)]))
    assert told(result["fills"], "reason", "qty", "price")[1:] == [
        (Reason.TARGET, -20.0, 103.0),
        (Reason.STOP, 10.0, 105.0),
    ]


# Triggers


def test_a_trigger_inside_the_bar_fills_there_as_taker(run: Engine) -> None:
    case = quiet_case([FLAT, (100.0, 106.0, 99.0, 104.0)], [order(trigger=105.0)], half_spread=0.01)
    assert told(run(case)["fills"], "ts", "liquidity", "reference", "price", "arrival") == [
        (at(2) - 1, TAKER, 105.0, near(106.05), 100.0)
    ]


def test_an_open_beyond_the_trigger_fills_there(run: Engine) -> None:
    case = quiet_case([FLAT, FLAT, (107.0, 108.0, 106.0, 107.0)], [order(trigger=105.0)])
    assert told(run(case)["fills"], "row", "ts", "price") == [(2, at(2), 107.0)]


def test_a_sell_trigger_is_put_on_the_tick_below(run: Engine) -> None:
    bars = [FLAT, FLAT, (100.0, 100.0, 95.2, 96.0), (96.0, 96.0, 95.0, 96.0)]
    case = quiet_case(bars, [order(), order(1, 0.0, trigger=95.3)], spec={"tick": 0.5})
    assert told(run(case)["fills"], "row", "price")[1:] == [(3, 95.0)]


def test_a_stop_limit_that_is_triggered_beyond_its_limit_rests_from_the_next_row(run: Engine) -> None:
    bars = [FLAT, (100.0, 106.0, 99.0, 105.0), (105.0, 106.0, 103.0, 105.0)]
    case = quiet_case(bars, [order(trigger=105.0, limit=104.0)])
    assert told(run(case)["fills"], "row", "liquidity", "price") == [(2, MAKER, 104.0)]


def test_a_stop_limit_within_its_limit_is_a_taker_at_the_trigger(run: Engine) -> None:
    case = quiet_case([FLAT, (100.0, 106.0, 99.0, 105.0)], [order(trigger=105.0, limit=105.5)])
    assert told(run(case)["fills"], "row", "liquidity", "price", "ts") == [(1, TAKER, 105.0, at(2) - 1)]


# OCO


@pytest.mark.parametrize(
    ("limit", "trigger", "price"), [(98.0, 105.0, 98.0), (94.0, 103.0, 103.0), (96.0, 104.0, 96.0)]
)
def test_of_two_legs_the_one_nearer_to_the_open_fills_and_the_first_of_equals(
    run: Engine, limit: float, trigger: float, price: float
) -> None:
    bars = [FLAT, (100.0, 106.0, 93.0, 100.0), (100.0, 106.0, 93.0, 100.0)]
    case = quiet_case(bars, [order(limit=limit, other_size=1.0, other_trigger=trigger)])
    assert told(run(case)["fills"], "row", "qty", "price") == [(1, 10.0, price)]


def test_a_protective_trigger_comes_before_a_limit_that_reduces(run: Engine) -> None:
    bars = [FLAT, FLAT, (100.0, 111.0, 94.0, 100.0)]
    pair = order(1, 0.0, limit=101.0, other_size=0.0, other_trigger=95.0)
    assert told(run(quiet_case(bars, [order(), pair]))["fills"], "qty", "price")[1:] == [(-10.0, 95.0)]


def test_the_first_fill_of_a_leg_removes_the_other(run: Engine) -> None:
    # 4 of 10 fill at 98; the rest waits there, and the trigger at 105 is gone.
    bars = [FLAT, (100.0, 101.0, 97.0, 100.0), (100.0, 106.0, 99.0, 100.0)]
    pair = order(limit=98.0, other_size=2.0, other_trigger=105.0)
    result = run(quiet_case(bars, [pair], participation=0.5, activity={"traded": 8.0}))
    assert told(result["fills"], "row", "qty", "price") == [(1, 4.0, 98.0)]


# Expiry, intervals, orders at once


@pytest.mark.parametrize(("hours", "outcome"), [(2, Outcome.EXPIRED), (2.5, Outcome.FILLED)])
def test_an_order_lapses_at_the_open_of_its_expiry(run: Engine, hours: float, outcome: Outcome) -> None:
    case = quiet_case([FLAT, FLAT, (100.0, 101.0, 97.0, 100.0)], [order(limit=98.0, expire=at(hours))])
    assert told(run(case)["orders"], "outcome", "expire") == [(outcome, at(hours))]


def test_orders_of_a_symbol_leave_an_interval_apart(run: Engine) -> None:
    # Decided at 1 h and 2 h, 2 h apart: the second leaves at 3 h.
    case = quiet_case([FLAT] * 5, [order(), order(1, 0.5)], min_interval=2 * HOUR)
    result = run(case)
    assert told(result["fills"], "ts", "qty") == [(at(1), 10.0), (at(3), -5.0)]
    assert told(result["orders"], "live") == [(at(1),), (at(3),)]


def test_a_target_beyond_the_orders_at_once_is_held_and_clears_what_is_at_work(run: Engine) -> None:
    result = run(quiet_case([FLAT] * 5, [order(limit=90.0), order(1, 0.5)], max_open=1))
    assert told(result["orders"], "row", "outcome", "ended") == [
        (0, Outcome.CANCELLED, at(2)),
        (2, Outcome.FILLED, at(3)),
    ]
    assert told(result["fills"], "row", "qty") == [(3, 5.0)]


# The size to which the band rebalances


def test_the_band_leaves_a_position_alone_after_an_order_lapsed(run: Engine) -> None:
    # 4 of 10 fill on row 1; the rest lapses at 2 h, and 0.4 is no longer to become 1.
    case = quiet_case(
        [FLAT] * 5, [order(expire=at(2))], band=0.1, participation=0.5, activity={"traded": [0.0, 8.0, 1e3, 1e3, 1e3]}
    )
    result = run(case)
    assert told(result["fills"], "row", "qty") == [(1, 4.0)]
    assert told(result["orders"], "outcome", "ended") == [(Outcome.EXPIRED, at(2))]


def test_the_band_leaves_a_position_alone_after_an_order_was_rejected(run: Engine) -> None:
    # The second order would have made 10 units of the 5.
    case = quiet_case([FLAT] * 5, [order(size=0.5), order(1, 1.0, limit=101.0)], band=0.1, post_only=True)
    result = run(case)
    assert told(result["fills"], "row", "qty") == [(1, 5.0)]
    assert told(result["orders"], "outcome") == [(Outcome.FILLED,), (Outcome.REJECTED,)]


@pytest.mark.parametrize(
    ("limit", "trigger", "weight"),
    [(98.0, 130.0, 0.5), (60.0, 105.0, 0.2)],  # the first leg of 5 units fills at 98, or the other of 2 at 105
)
def test_the_band_rebalances_to_the_size_of_the_leg_that_filled(
    run: Engine, limit: float, trigger: float, weight: float
) -> None:
    # At 200 the weights are 1000/1510 or 400/1190, more than 0.1 above those of the legs.
    both, twice = (100.0, 106.0, 97.0, 100.0), (200.0, 200.0, 200.0, 200.0)
    pair = order(size=0.5, limit=limit, other_size=0.2, other_trigger=trigger)
    result = run(quiet_case([FLAT, both, twice, twice], [pair], band=0.1))
    assert told(result["fills"], "row", "reason")[1:] == [(3, Reason.BAND)]
    assert result["position"][-1][0] * 200.0 == near(weight * result["equity"][2])


# Caps


def test_an_order_is_worked_off_within_its_share_of_each_rows_volume(run: Engine) -> None:
    result = run(quiet_case([FLAT] * 5, [order()], participation=0.5, activity={"traded": 8.0}))
    assert told(result["fills"], "row", "qty") == [(1, 4.0), (2, 4.0), (3, near(2.0))]
    assert len({fill["parent"] for fill in result["fills"]}) == 1
    assert told(result["orders"], "outcome", "goal", "filled", "value", "ended") == [
        (Outcome.FILLED, 10.0, near(10.0), near(1000.0), at(3))
    ]


def test_earlier_parts_have_moved_the_price_against_later_ones(run: Engine) -> None:
    # Permanent impact per √unit is 0.1 · 0.1 / √4 = 0.005: √4 of it for each part, and for what came before.
    case = quiet_case(
        [FLAT] * 3, [order()], sigma=0.1, volume=4.0, spec={"permanent": 0.1}, participation=0.5,
        activity={"traded": 8.0},
    )  # fmt: skip
    assert told(run(case)["fills"], "qty", "price") == [(4.0, near(101.0)), (4.0, near(102.0))]


def test_a_clock_hour_leaves_its_share_less_what_has_been_filled_in_it(run: Engine) -> None:
    # Half-hour rows; the hour from row 2 on: 0.5 · 6, then 0.5 · 12 less 3.
    case = quiet_case([FLAT] * 5, [order()], length=0.5, hourly=0.5, activity={"hourly": [4.0, 8.0, 6.0, 12.0, 100.0]})
    assert told(run(case)["fills"], "row", "qty") == [(1, 4.0), (2, 3.0), (3, 3.0)]


def test_a_stop_that_volume_cuts_goes_on_at_the_later_opens(run: Engine) -> None:
    bars = [FLAT, FLAT, (100.0, 100.0, 94.0, 96.0), (97.0, 99.0, 96.0, 98.0), (96.0, 96.0, 96.0, 96.0)]
    case = quiet_case(bars, [order(stop=5.0)], participation=0.5, activity={"traded": [0.0, 1e3, 8.0, 8.0, 1e3]})
    result = run(case)
    assert told(result["fills"], "row", "reason", "qty", "price", "ts")[1:] == [
        (2, Reason.STOP, -4.0, 95.0, at(3) - 1),
        (3, Reason.STOP, -4.0, 97.0, at(3)),
        (4, Reason.STOP, -2.0, 96.0, at(4)),
    ]
    assert result["trips"] == 1


def test_a_take_profit_that_volume_cuts_keeps_its_level(run: Engine) -> None:
    high = (100.0, 106.0, 100.0, 104.0)
    case = quiet_case(
        [FLAT, FLAT, high, high], [order(take=5.0)], participation=0.5, activity={"traded": [0.0, 1e3, 8.0, 1e3]}
    )
    assert told(run(case)["fills"], "row", "reason", "liquidity", "qty", "price")[1:] == [
        (2, Reason.TAKE, MAKER, -4.0, 105.0),
        (3, Reason.TAKE, MAKER, -6.0, 105.0),
    ]


def test_a_breaker_flattens_at_each_open_until_nothing_is_left(run: Engine) -> None:
    low = (90.0, 90.0, 90.0, 90.0)
    case = quiet_case(
        [FLAT, (100.0, 100.0, 90.0, 90.0), low, low, low], [order()], daily_loss=0.05, participation=0.5,
        activity={"traded": [0.0, 1e3, 8.0, 8.0, 8.0]},
    )  # fmt: skip
    assert told(run(case)["fills"], "row", "reason", "qty")[1:] == [
        (2, Reason.BREAKER, -4.0),
        (3, Reason.BREAKER, -4.0),
        (4, Reason.BREAKER, -2.0),
    ]


# Schedules


def test_slices_fill_what_is_due_at_each_open_as_children_of_one_order(run: Engine) -> None:
    slices = np.array([(at(1), 0.3), (at(2), 0.3), (at(3), 1.0)], SLICE)
    case = quiet_case(
        [FLAT] * 5, [order(first_slice=0, last_slice=3)], schedule=int(Schedule.SLICES), venue={"slices": slices}
    )
    result = run(case)
    assert told(result["fills"], "row", "qty") == [(1, near(3.0)), (3, near(7.0))]
    first, second = result["fills"]
    assert first["parent"] == second["parent"] == result["orders"][0]["number"]
    assert first["order"] != second["order"]


def test_pov_takes_its_share_of_each_row(run: Engine) -> None:
    case = quiet_case([FLAT] * 6, [order()], schedule=int(Schedule.POV), share=0.25, activity={"traded": 12.0})
    assert [fill["qty"] for fill in run(case)["fills"]] == near([3.0, 3.0, 3.0, 1.0])


def test_pov_waits_for_the_open_after_it_arrives(run: Engine) -> None:
    case = quiet_case(
        [FLAT] * 3, [order()], delay=0.5, schedule=int(Schedule.POV), share=0.25, activity={"traded": 12.0}
    )
    assert told(run(case)["fills"], "row", "qty") == [(2, 3.0)]


def test_the_limit_of_a_pov_order_bounds_its_price_and_does_not_rest(run: Engine) -> None:
    bars = [FLAT, (102.0, 102.0, 90.0, 100.0), FLAT]
    case = quiet_case(bars, [order(limit=101.0)], schedule=int(Schedule.POV), share=0.25, activity={"traded": 12.0})
    assert told(run(case)["fills"], "row", "liquidity", "qty", "price") == [(2, TAKER, 3.0, 100.0)]


def test_an_iceberg_shows_a_part_of_itself_at_a_time(run: Engine) -> None:
    through = (100.0, 101.0, 97.0, 100.0)
    case = quiet_case([FLAT] + [through] * 4, [order(limit=98.0)], schedule=int(Schedule.ICEBERG), share=0.4)
    assert told(run(case)["fills"], "row", "liquidity", "qty", "price") == [
        (1, MAKER, near(4.0), 98.0),
        (2, MAKER, near(4.0), 98.0),
        (3, MAKER, near(2.0), 98.0),
    ]


# Exits


def test_a_ratchet_keeps_a_share_of_the_gain(run: Engine) -> None:
    # Risk 5; the best price of 112 is 12 ≥ 1 · 5 better: 100 + 0.5 · 12 = 106.
    bars = [FLAT, (100.0, 112.0, 100.0, 110.0), (110.0, 110.0, 105.0, 106.0)]
    case = quiet_case(bars, [order(stop=5.0)], ratchet_after=1.0, ratchet_keep=0.5)
    assert told(run(case)["fills"], "row", "reason", "price")[1:] == [(2, Reason.RATCHET, 106.0)]


def test_a_trail_follows_the_distance_of_the_row_before(run: Engine) -> None:
    bars = [FLAT, (100.0, 104.0, 100.0, 103.0), (103.0, 103.0, 100.0, 102.0)]
    case = quiet_case(bars, [order(trail=10.0)], follow=True, activity={"follow": [NONE, 3.0, 3.0]})
    assert told(run(case)["fills"], "row", "reason", "price")[1:] == [(2, Reason.TRAIL, 101.0)]


def test_what_is_delisted_is_closed_at_its_last_close_and_not_traded_again(run: Engine) -> None:
    bars = [FLAT, FLAT, (100.0, 103.0, 99.0, 102.0), None, None]
    intents = [order(), order(1, 0.5, limit=120.0), order(2, 0.7)]
    result = run(quiet_case(bars, intents, taker=0.001, venue={"final": np.array([2])}))
    assert told(result["fills"], "row", "reason", "liquidity", "qty", "price", "ts", "fee")[1:] == [
        (2, Reason.DELISTED, TAKER, -10.0, 102.0, at(3) - 1, near(1.02))
    ]
    assert told(result["orders"], "row", "outcome") == [(0, Outcome.FILLED), (1, Outcome.CANCELLED)]


# Venue


@pytest.mark.parametrize(("monthly", "fees"), [(0.0, [10.0, 0.5]), (3000.0, [1.0, 0.5])])
def test_fees_fall_with_the_value_traded_in_thirty_days(run: Engine, monthly: float, fees: list[float]) -> None:
    # From 22 h: rows 0 and 1 close on Monday, on which 1000 is traded; 5 units of 100 follow on Tuesday.
    tiers = np.array([(0.0, 0.0, 0.01), (1000.0, 0.0, 0.001)], FEE)
    case = quiet_case(
        [FLAT] * 4, [order(size=1000.0), order(2, 500.0)], start=22, size=1, taker=0.5, monthly=monthly,
        venue={"fees": tiers},
    )  # fmt: skip
    assert [fill["fee"] for fill in run(case)["fills"]] == near(fees)


def test_what_was_traded_more_than_thirty_days_ago_no_longer_counts(run: Engine) -> None:
    # Daily rows: a thirtieth of 900 drops out each day, and 900 · 29/30 is below the tier.
    tiers = np.array([(0.0, 0.0, 0.01), (900.0, 0.0, 0.001)], FEE)
    case = quiet_case(
        [FLAT] * 3, [order(size=10.0), order(1, 0.0)], length=24.0, size=1, monthly=900.0, venue={"fees": tiers}
    )
    # Tuesday's trade counts all of Monday's and 29/30 of what came before: 870; nothing was traded on Monday.
    assert [fill["fee"] for fill in run(case)["fills"]] == near([0.1, 0.1])


@pytest.mark.parametrize(("cap", "price"), [(5000.0, 8750.0 / 90.0), (9500.0, 9000.0 / 95.0)])
def test_maintenance_is_that_of_the_notionals_tier(run: Engine, cap: float, price: float) -> None:
    # 100 units: equity is 100p − 9000.  Above the cap 10p − 0.05·cap is needed, below it 5p: with a cap of 5000,
    # 90p = 8750; with 9500 the cap is passed on the way, where equity is still 500 and need 475: 95p = 9000.
    tiers = np.array([[(cap, 0.05, 0.0), (np.inf, 0.1, 0.05 * cap)]], TIER)
    case = quiet_case([FLAT, (100.0, 100.0, 90.0, 99.0)], [order(size=10.0)], venue={"tiers": tiers})
    assert told(run(case)["fills"], "reason", "liquidity", "price")[1:] == [(Reason.LIQUIDATION, VENUE, near(price))]


def test_a_liquidation_tells_the_price_at_which_the_account_is_empty(run: Engine) -> None:
    # 95p = 9000; equity there is 5p, which is 0.05p per unit below: 0.95 · 9000/95 = 90.
    case = quiet_case(
        [FLAT, (100.0, 100.0, 90.0, 99.0)], [order(size=10.0)], liquidation_fee=0.005, spec={"maintenance": 0.05}
    )
    assert told(run(case)["liquidations"], "ts", "row", "qty", "price", "bankruptcy", "fee", "shortfall") == [
        (at(2) - 1, 1, -100.0, near(9000.0 / 95.0), near(90.0), near(900.0 / 19.0), 0.0)
    ]


def test_an_isolated_position_loses_its_wallet_and_nothing_else(run: Engine) -> None:
    # 40 units put 400 aside.  400 + 40(p − 100) = 0.01 · 40p: p = 3600/39.6; the wallet is empty at 90.
    # What is left there, 0.4p, pays the fee of 0.005 · 40p.
    fall = (100.0, 100.0, 80.0, 99.0)
    case = quiet_case(
        [[FLAT, fall, FLAT], [FLAT, FLAT, FLAT]],
        [order(size=4.0), {"row": 0, "asset": 1, "size": 1.0}],
        isolated=True, liquidation_fee=0.005, spec={"maintenance": 0.01},
    )  # fmt: skip
    result = run(case)
    p = 3600.0 / 39.6
    assert told(result["liquidations"], "asset", "qty", "price", "bankruptcy", "fee", "shortfall") == [
        (0, -40.0, near(p), near(90.0), near(0.2 * p), 0.0)
    ]
    assert result["position"][-1] == [0.0, 10.0]
    assert result["equity"][-1] == near(1000.0 + 40.0 * (p - 100.0) - 0.2 * p)


def test_the_insurance_pays_what_an_isolated_position_loses_beyond_its_wallet(run: Engine) -> None:
    gap = (80.0, 80.0, 80.0, 80.0)
    result = run(quiet_case([FLAT, FLAT, gap], [order(size=4.0)], isolated=True, liquidation_fee=0.005))
    # 40 · 20 = 800 lost of a wallet of 400.
    assert told(result["liquidations"], "price", "bankruptcy", "fee", "shortfall") == [(80.0, near(90.0), 0.0, 400.0)]
    assert (result["cash"][-1], result["shortfall"]) == (near(600.0), near(400.0))


def test_isolated_margin_cuts_an_order_to_what_is_free(run: Engine) -> None:
    # x · 100 · (1/2 + 0.01) = 1000; what stays free is nothing.
    result = run(quiet_case([FLAT, FLAT], [order(size=5.0)], isolated=True, leverage=2.0, taker=0.01))
    # 1000 / 51, counted in billionths of the 50 that were ordered.
    assert told(result["fills"], "qty") == [(near(19.6078431),)]
    assert told(result["orders"], "outcome") == [(Outcome.CUT,)]


def test_isolated_margin_frees_what_a_reversal_closes(run: Engine) -> None:
    # Long 20 at 100 with a wallet of 1000 at twofold leverage; free 0.  A rise to 110 earns 200: x · 110/2 = 1200.
    rise = (110.0, 110.0, 110.0, 110.0)
    case = quiet_case([FLAT, FLAT, rise], [order(size=2.0), order(1, -9.0)], isolated=True, leverage=2.0)
    # 1200 / 55 = 21.8181…, counted in billionths of the 110 from 20 long to 90 short: 198 347 107 of them.
    assert run(case)["position"][-1] == [near(-198_347_107 * 110e-9)]


# Exposure limits


@pytest.mark.parametrize(
    ("bound", "most", "activity", "units", "value", "limit"),
    [
        (Bound.GROSS, 0.6, {}, 6.0, 1000.0, 600.0),
        (Bound.NET, 0.5, {}, 5.0, 1000.0, 500.0),
        (Bound.ASSET, 0.4, {}, 4.0, 1000.0, 400.0),
        (Bound.CONCENTRATION, 0.03, {}, 3.0, 1000.0, 300.0),  # of leverage 10, as there is no gross limit
        (Bound.LIQUIDITY, 0.5, {"depth": 4.0}, 2.0, 10.0, 2.0),
        (Bound.STOPS, 0.02, {}, 4.0, 50.0, 20.0),  # 5 a unit
        (Bound.VOLATILITY, 0.25, {"volatility": 0.5}, 5.0, 0.5, 0.25),
    ],
)
def test_a_limit_cuts_an_order_to_what_it_allows(
    run: Engine, bound: Bound, most: float, activity: dict[str, float], units: float, value: float, limit: float
) -> None:
    case = quiet_case([FLAT, FLAT], [order(stop=5.0)], activity=activity, venue=bounded(bound, most))
    result = run(case)
    assert told(result["fills"], "qty") == [(near(units),)]
    assert told(result["events"], "ts", "row", "asset", "bound", "act", "value", "most") == [
        (at(1), 0, 0, bound, Act.CAP, near(value), near(limit))
    ]


@pytest.mark.parametrize(("bound", "most", "units"), [(Bound.VAR, 0.05, 5.0), (Bound.CVAR, 0.075, 5.0)])
def test_tail_limits_look_at_the_worst_of_the_days_that_have_ended(
    run: Engine, bound: Bound, most: float, units: float
) -> None:
    # Of 40 days the worst two lose 20% and 10%: 150 on average of 1000 and 100 at least; the 41st has not ended.
    days = np.zeros((41, 1))
    days[[7, 30, 40], 0] = -0.1, -0.2, -0.9
    activity = {"days": days, "ended": np.full(2, 40, np.int64)}
    result = run(quiet_case([FLAT, FLAT], [order()], activity=activity, venue=bounded(bound, most)))
    assert told(result["fills"], "qty") == [(near(units),)]


def test_fewer_than_thirty_days_are_not_judged(run: Engine) -> None:
    activity = {"days": np.full((29, 1), -0.5), "ended": np.full(2, 29, np.int64)}
    result = run(quiet_case([FLAT, FLAT], [order()], activity=activity, venue=bounded(Bound.VAR, 0.01)))
    assert told(result["fills"], "qty") == [(10.0,)]


@pytest.mark.parametrize(("together", "units"), [(0.9, 3.0), (0.5, 10.0)])
def test_what_moves_together_is_limited_together(run: Engine, together: float, units: float) -> None:
    # 500 of the first are planned: 800 leave 300 for the second, if its correlation reaches 0.7.
    correlations = np.array([[[1.0, together], [together, 1.0]]])
    case = quiet_case(
        [[FLAT, FLAT]] * 2,
        [order(size=0.5), {"row": 0, "asset": 1, "size": 1.0}],
        activity={"correlations": correlations, "ended": np.zeros(2, np.int64)},
        venue=bounded(Bound.CORRELATED, 0.8),
    )
    assert run(case)["position"][-1] == near([5.0, units])


def test_a_refused_target_is_told_once_and_sent_when_it_passes(run: Engine) -> None:
    activity = {"depth": [4.0, 4.0, 20.0, 20.0]}
    case = quiet_case([FLAT] * 4, [order()], activity=activity, venue=bounded(Bound.LIQUIDITY, 1.0, Act.REFUSE))
    result = run(case)
    assert told(result["events"], "row", "act") == [(0, Act.REFUSE)]
    assert told(result["fills"], "row", "qty") == [(3, 10.0)]


def test_a_limit_that_flattens_closes_every_position_and_blocks_nothing(run: Engine) -> None:
    # The order of row 1 would make a gross of 1500; both positions go, and the order of row 3 is sent.
    intents = [order(size=0.5), {"row": 0, "asset": 1, "size": 0.3}, order(1, 1.2), order(3, 0.1)]
    result = run(quiet_case([[FLAT] * 5] * 2, intents, venue=bounded(Bound.GROSS, 1.0, Act.FLATTEN)))
    assert told(result["events"], "row", "asset", "value") == [(1, 0, near(1500.0))]
    assert told(result["fills"], "row", "asset", "reason", "qty")[2:] == [
        (2, 0, Reason.BREAKER, near(-5.0)),
        (2, 1, Reason.BREAKER, near(-3.0)),
        (4, 0, Reason.TARGET, near(1.0)),
    ]


def test_positions_that_outgrow_a_limit_that_flattens_are_closed_without_an_order(run: Engine) -> None:
    # Long 10 at 100 of 2000 is half; at 300 it is 3000 of 4000.
    rise = (100.0, 300.0, 100.0, 300.0)
    high = (300.0, 300.0, 300.0, 300.0)
    case = quiet_case(
        [FLAT, rise, high, high], [order(size=0.5)], cash=2000.0, venue=bounded(Bound.ASSET, 0.6, Act.FLATTEN)
    )
    result = run(case)
    assert told(result["events"], "row", "asset", "value", "most") == [(1, 0, near(3000.0), near(2400.0))]
    assert told(result["fills"], "row", "reason", "price")[1:] == [(2, Reason.BREAKER, 300.0)]


def test_a_target_that_reduces_passes_every_limit(run: Engine) -> None:
    case = quiet_case(
        [FLAT] * 4, [order(), order(1, 0.9)], activity={"depth": [NONE, 1.0, 1.0, 1.0]},
        venue=bounded(Bound.LIQUIDITY, 1.0, Act.REFUSE),
    )  # fmt: skip
    assert run(case)["position"][-1] == [near(9.0)]


# Order log


def test_the_log_says_how_each_order_ended(run: Engine) -> None:
    # Limits far away: replaced by the next, which is open at the end; none of them fills.
    result = run(quiet_case([FLAT] * 4, [order(limit=90.0), order(1, 0.5, limit=80.0)]))
    assert told(result["orders"], "row", "asset", "reason", "live", "goal", "limit", "arrival", "outcome", "ended") == [
        (0, 0, Reason.TARGET, at(1), 10.0, 90.0, 100.0, Outcome.REPLACED, at(2)),
        (1, 0, Reason.TARGET, at(2), 5.0, 80.0, 100.0, Outcome.OPEN, at(4)),
    ]
    assert result["tally"]["orders"] == 2


def test_an_order_cut_by_leverage_is_not_tried_again(run: Engine) -> None:
    result = run(quiet_case([FLAT] * 4, [order(size=5.0)], leverage=2.0))
    assert told(result["fills"], "row", "qty") == [(1, near(20.0))]
    assert told(result["orders"], "outcome", "filled", "ended") == [(Outcome.CUT, near(20.0), at(1))]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases())
def test_an_order_fills_once_a_row_at_most_within_its_limit_and_its_log_adds_up(case: Case) -> None:
    result = naive(case)
    asked = {(int(one["row"]), int(one["asset"])): one for one in case.intents}
    for sent in result["orders"]:
        fills = [fill for fill in result["fills"] if fill["parent"] == sent["number"]]
        assert len({fill["row"] for fill in fills}) == len(fills)
        assert sent["filled"] == near(sum(fill["qty"] for fill in fills))
        assert sent["value"] == near(sum(abs(fill["qty"]) * fill["price"] for fill in fills))
        assert all(sent["row"] < fill["row"] and fill["ts"] <= sent["ended"] for fill in fills)
        intent = asked.get((sent["row"], sent["asset"]))
        if sent["reason"] == Reason.TARGET and intent is not None and np.isnan(intent["other_size"]):
            for fill in fills if not np.isnan(intent["limit"]) else []:
                assert np.sign(fill["qty"]) * (fill["price"] / intent["limit"] - 1) <= 1e-9
