"""The naive replay against numbers worked out by hand, so that the kernel's judge is itself judged."""

from typing import Any

import pytest
from hypothesis import given, settings

from tests.markets import DAY, HOUR, MONDAY, Case, cases, quiet_case
from tests.naive.bars import replay

TARGET, BAND, STOP, TRAIL, TAKE, TIME, LIQUIDATION, BREAKER = range(8)
TAKER, MAKER, VENUE = range(3)
NONE = float("nan")
FLAT = (100.0, 100.0, 100.0, 100.0)


def run(case: Case) -> dict[str, Any]:
    rules = case.rules._asdict()
    return replay(case.tape, case.intents, case.stamps, case.assets, rules, activity=case.activity, venue=case.venue)


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def told(result: dict[str, Any], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(fill[name] for name in names) for fill in result["fills"]]


def test_a_target_is_bought_at_the_next_open_with_spread_and_fee() -> None:
    case = quiet_case([FLAT, (102.0, 106.0, 101.0, 105.0)], [(0, 0, 1.0)], taker=0.001, half_spread=0.01)
    result = run(case)
    assert result["fills"] == [
        {
            "order": 0,
            "parent": 0,
            "asset": 0,
            "liquidity": TAKER,
            "reason": TARGET,
            "ts": MONDAY + HOUR,
            "row": 1,
            "qty": 10.0,
            "price": near(103.02),
            "reference": 102.0,
            "arrival": 100.0,
            "fee": near(1.0302),
            "spread": near(10.2),
            "impact": near(0.0),
        }
    ]
    assert result["cash"] == near([1000.0, -31.2302])
    assert result["equity"] == near([1000.0, 1018.7698])
    assert result["position"] == [[0.0], [10.0]]
    assert (result["status"], result["rows_held"], result["trips"]) == (0, 1, 0)


def test_impact_grows_with_the_root_of_participation() -> None:
    case = quiet_case(
        [FLAT, FLAT], [(0, 0, 1.0)], sigma=0.02, volume=1000.0, spec={"temporary": 0.1, "permanent": 0.05}
    )
    (fill,) = run(case)["fills"]
    assert fill["price"] == near(100.03)
    assert fill["impact"] == near(0.3)
    assert fill["spread"] == 0.0


@pytest.mark.parametrize(("size", "price"), [(1.0, 100.25), (-1.0, 99.75)])
def test_ticks_round_against_the_trader(size: float, price: float) -> None:
    case = quiet_case([FLAT, FLAT], [(0, 0, size)], half_spread=0.001, spec={"tick": 0.25})
    assert told(run(case), "price") == [(price,)]


def test_a_stop_counts_on_the_bar_of_the_entry() -> None:
    result = run(quiet_case([FLAT, (100.0, 101.0, 94.0, 99.0)], [(0, 0, 1.0, 5.0)]))
    assert told(result, "row", "reason", "liquidity", "qty", "price") == [
        (1, TARGET, TAKER, 10.0, 100.0),
        (1, STOP, TAKER, -10.0, 95.0),
    ]
    assert result["equity"][-1] == 950.0
    assert (result["trips"], result["wins"], result["lost"], result["rows_held"]) == (1, 0, 50.0, 0)
    assert result["max_drawdown"] == near(0.05)


@pytest.mark.parametrize(("low", "exits"), [(95.01, 0), (95.0, 1)])
def test_a_stop_needs_only_a_touch(low: float, exits: int) -> None:
    result = run(quiet_case([FLAT, (100.0, 101.0, low, 99.0)], [(0, 0, 1.0, 5.0)]))
    assert sum(fill["reason"] == STOP for fill in result["fills"]) == exits


def test_a_gap_through_a_stop_fills_at_the_open() -> None:
    result = run(quiet_case([FLAT, FLAT, (90.0, 96.0, 89.0, 95.0)], [(0, 0, 1.0, 5.0)]))
    assert told(result, "row", "reason", "price", "ts")[1] == (2, STOP, 90.0, MONDAY + 2 * HOUR)
    assert result["cash"][-1] == 900.0


def test_a_gap_through_the_stop_of_a_short_fills_at_the_open() -> None:
    result = run(quiet_case([FLAT, FLAT, (110.0, 111.0, 104.0, 105.0)], [(0, 0, -1.0, 5.0)]))
    assert told(result, "row", "reason", "qty", "price")[1] == (2, STOP, 10.0, 110.0)


def test_the_stop_comes_before_the_take_when_a_bar_touches_both() -> None:
    result = run(quiet_case([FLAT, (100.0, 106.0, 94.0, 100.0)], [(0, 0, 1.0, 5.0, 5.0)]))
    assert told(result, "reason", "price")[1:] == [(STOP, 95.0)]


def test_a_take_needs_a_trade_beyond_it_and_pays_the_maker_fee_only() -> None:
    bars = [FLAT, (100.0, 105.0, 99.0, 104.0), (104.0, 105.01, 103.0, 104.0)]
    result = run(quiet_case(bars, [(0, 0, 1.0, NONE, 5.0)], maker=0.001, taker=0.01, half_spread=0.0))
    assert told(result, "row", "reason", "liquidity", "price", "fee", "spread")[1:] == [
        (2, TAKE, MAKER, 105.0, near(1.05), 0.0)
    ]
    assert result["won"] == near(50.0 - 10.0 - 1.05)


@pytest.mark.parametrize(("high", "exits"), [(105.0, 0), (105.4, 0), (105.5, 1)])
def test_with_a_tick_a_take_needs_a_trade_a_whole_tick_beyond_it(high: float, exits: int) -> None:
    bars = [FLAT, (100.0, high, 99.0, 104.0)]
    result = run(quiet_case(bars, [(0, 0, 1.0, NONE, 5.2)], spec={"tick": 0.5}))
    assert told(result, "reason", "price")[1:] == [(TAKE, 105.0)] * exits


def test_a_gap_through_a_take_fills_at_the_better_open() -> None:
    result = run(quiet_case([FLAT, FLAT, (108.0, 109.0, 107.0, 108.0)], [(0, 0, 1.0, NONE, 5.0)]))
    assert told(result, "reason", "liquidity", "price")[1:] == [(TAKE, MAKER, 108.0)]


def test_funding_is_paid_by_the_position_just_before_the_stamp() -> None:
    case = quiet_case(
        [FLAT] * 3,
        [(0, 0, 1.0), (1, 0, 0.0)],
        [(1.0, 0, 0.01, 100.0), (1.5, 0, 0.01, 110.0), (2.0, 0, 0.01, 100.0), (2.5, 0, 0.01, 100.0)],
    )
    result = run(case)
    assert [(p["ts"], p["row"], p["position"], p["paid"]) for p in result["payments"]] == [
        (MONDAY + 3 * HOUR // 2, 1, 10.0, near(11.0)),
        (MONDAY + 2 * HOUR, 2, 10.0, near(10.0)),
    ]
    assert result["cash"][-1] == near(979.0)
    assert (result["trips"], result["lost"]) == (1, near(21.0))


def test_a_short_receives_positive_funding() -> None:
    result = run(quiet_case([FLAT, FLAT], [(0, 0, -1.0)], [(1.5, 0, 0.01, 100.0)]))
    assert result["equity"][-1] == near(1010.0)


def test_a_time_exit_closes_at_the_first_open_past_the_deadline() -> None:
    bars = [FLAT, FLAT, FLAT, (101.0, 101.0, 101.0, 101.0), FLAT]
    result = run(quiet_case(bars, [(0, 0, 1.0)], time_exit=3 * HOUR // 2))
    assert told(result, "row", "reason", "liquidity", "price", "ts")[1:] == [(3, TIME, TAKER, 101.0, MONDAY + 3 * HOUR)]


def test_a_trail_uses_the_extreme_of_the_bars_before() -> None:
    bars = [FLAT, (100.0, 110.0, 99.0, 108.0), (108.0, 109.0, 104.9, 106.0)]
    result = run(quiet_case(bars, [(0, 0, 1.0, NONE, NONE, 5.0)]))
    assert told(result, "row", "reason", "price", "ts")[1:] == [(2, TRAIL, 105.0, MONDAY + 3 * HOUR - 1)]


def test_the_nearer_of_stop_and_trail_is_hit() -> None:
    bars = [FLAT, (100.0, 100.5, 90.0, 95.0)]
    result = run(quiet_case(bars, [(0, 0, 1.0, 3.0, NONE, 5.0)]))
    assert told(result, "reason", "price")[1:] == [(STOP, 97.0)]


def test_a_linear_long_is_liquidated_where_equity_meets_its_maintenance() -> None:
    case = quiet_case(
        [FLAT, (100.0, 100.0, 90.0, 99.0)], [(0, 0, 10.0)], liquidation_fee=0.005, spec={"maintenance": 0.05}
    )
    result = run(case)
    assert told(result, "reason", "liquidity", "qty", "price", "fee")[1:] == [
        (LIQUIDATION, VENUE, -100.0, near(9000.0 / 95.0), 0.0)
    ]
    assert result["liquidation"] == near(900.0 / 19.0)
    assert result["cash"][-1] == near(8100.0 / 19.0)
    assert (result["status"], result["shortfall"]) == (0, 0.0)


def test_an_inverse_long_is_liquidated_where_equity_meets_its_maintenance() -> None:
    bar = (20_000.0, 20_000.0, 20_000.0, 20_000.0)
    case = quiet_case(
        [bar, (20_000.0, 20_000.0, 19_000.0, 19_500.0)],
        [(0, 0, 10.0)],
        cash=1.0,
        spec={"multiplier": 100.0, "inverse": 1.0, "maintenance": 0.05},
    )
    result = run(case)
    assert told(result, "reason", "qty", "price")[1:] == [(LIQUIDATION, near(-2000.0), near(210_000.0 / 11.0))]
    assert result["cash"][-1] == near(10_000.0 * 11.0 / 210_000.0)


def test_the_insurance_pays_what_a_gap_loses_beyond_the_account() -> None:
    case = quiet_case(
        [FLAT, FLAT, (80.0, 85.0, 80.0, 85.0), FLAT], [(0, 0, 10.0)], liquidation_fee=0.005, spec={"maintenance": 0.005}
    )
    result = run(case)
    assert told(result, "row", "reason", "price")[1:] == [(2, LIQUIDATION, 80.0)]
    assert (result["shortfall"], result["liquidation"], result["status"]) == (near(1000.0), 0.0, 1)
    assert result["equity"] == [1000.0, 1000.0, 0.0, 0.0]
    assert result["max_drawdown"] == 1.0


def test_a_halt_closes_what_is_left_at_its_mark() -> None:
    bars = [[FLAT, FLAT, (100.0, 100.0, 84.0, 100.0), FLAT], [FLAT] * 4]
    intents = [(0, 0, 9.0, 15.0), (0, 1, 0.1)]
    result = run(quiet_case(bars, intents, marks=[[FLAT] * 4] * 2))
    assert told(result, "row", "asset", "reason", "qty", "price", "fee")[2:] == [
        (2, 0, STOP, -90.0, 85.0, 0.0),
        (2, 1, LIQUIDATION, -1.0, 100.0, 0.0),
    ]
    assert (result["status"], result["shortfall"], result["cash"][-1]) == (1, near(350.0), 0.0)
    assert result["position"][-1] == [0.0, 0.0]


def test_a_drawdown_is_noticed_while_the_daily_breaker_is_in_force() -> None:
    bars = [FLAT, (100.0, 100.0, 94.0, 94.0), (88.0, 88.0, 88.0, 88.0), *[FLAT] * 30]
    result = run(quiet_case(bars, [(0, 0, 1.0), (29, 0, 1.0)], daily_loss=0.05, drawdown=0.1))
    assert told(result, "row", "reason", "price")[1:] == [(2, BREAKER, 88.0)]
    assert result["breakers"] == 2


def test_a_daily_loss_flattens_at_the_next_open_and_blocks_until_midnight() -> None:
    bars = [FLAT, (100.0, 100.0, 94.0, 94.0), (93.0, 93.0, 93.0, 93.0), FLAT, FLAT]
    intents = [(0, 0, 1.0), (2, 0, 0.4), (3, 0, 0.5)]
    result = run(quiet_case(bars, intents, start=20, daily_loss=0.05))
    assert told(result, "row", "reason", "qty", "price") == [
        (1, TARGET, 10.0, 100.0),
        (2, BREAKER, -10.0, 93.0),
        (4, TARGET, near(4.65), 100.0),
    ]
    assert result["fills"][-1]["ts"] == MONDAY + DAY
    assert result["equity"][2:] == near([930.0] * 3)


def test_a_drawdown_blocks_for_good() -> None:
    bars = [FLAT, (100.0, 120.0, 100.0, 120.0), (120.0, 120.0, 105.0, 105.0)] + [FLAT] * 30
    result = run(quiet_case(bars, [(0, 0, 1.0), (4, 0, 0.5), (30, 0, -0.5)], drawdown=0.1))
    assert told(result, "row", "reason", "price")[1:] == [(3, BREAKER, 100.0)]
    assert result["breakers"] == 1


def test_losses_in_a_row_start_a_cool_down_that_holds_targets_back() -> None:
    bars = [FLAT, (100.0, 100.0, 94.0, 100.0), FLAT, FLAT, FLAT]
    result = run(quiet_case(bars, [(0, 0, 1.0, 5.0), (1, 0, -1.0)], losses=1, cool_down=2 * HOUR))
    assert told(result, "row", "reason", "qty") == [(1, TARGET, 10.0), (1, STOP, -10.0), (4, TARGET, -9.5)]


def test_leverage_cuts_an_order_to_what_equity_after_its_costs_allows() -> None:
    result = run(quiet_case([FLAT, FLAT], [(0, 0, 5.0)], leverage=2.0, taker=0.01))
    # 20 / 1.02, counted in billionths of the 50 that were ordered.
    assert result["position"][-1] == [near(19.6078431)]
    assert result["position"][-1][0] * 100.0 == pytest.approx(2.0 * result["equity"][-1], rel=5e-9)
    assert result["position"][-1][0] * 100.0 <= 2.0 * result["equity"][-1]


def test_leverage_counts_the_other_assets() -> None:
    result = run(quiet_case([[FLAT, FLAT], [FLAT, FLAT]], [(0, 0, 0.6), (0, 1, 0.6)], leverage=1.0))
    assert result["position"][-1] == near([6.0, 3.999999996])  # in billionths of the 6 that were ordered


def test_thirty_hundredths_are_three_lots_of_a_tenth() -> None:
    result = run(quiet_case([FLAT, FLAT], [(0, 0, 0.03)], spec={"lot": 0.1}))
    assert result["position"][-1] == near([0.3])


def test_lots_are_cut_toward_zero() -> None:
    result = run(quiet_case([FLAT, FLAT], [(0, 0, -0.0399)], spec={"lot": 0.1}))
    assert result["position"][-1] == near([-0.3])


@pytest.mark.parametrize(
    ("size", "gauss", "high", "reference"),
    [
        (1.0, 1.0, 110.0, 102.0),
        (1.0, -1.0, 110.0, 100.0),
        (-1.0, 1.0, 110.0, 100.0),
        (-1.0, -1.0, 110.0, 98.0),
        (1.0, 1.0, 101.0, 101.0),
    ],
)
def test_a_delay_inside_a_bar_moves_the_reference_and_stays_in_its_range(
    size: float, gauss: float, high: float, reference: float
) -> None:
    bars = [FLAT, (100.0, high, 90.0, 100.0)]
    result = run(quiet_case(bars, [(0, 0, size)], delay=0.25, sigma=0.04, gauss=gauss, horizon=float(HOUR)))
    assert told(result, "ts", "reference") == [(MONDAY + 5 * HOUR // 4, near(reference))]


def test_on_the_bar_of_a_fill_inside_it_the_range_counts_for_the_stop_and_not_for_the_take() -> None:
    bars = [FLAT, (100.0, 120.0, 99.0, 100.0), (100.0, 100.0, 92.0, 100.0)]
    late = {"delay": 0.25, "sigma": 0.04, "horizon": float(HOUR)}
    kept = run(quiet_case(bars, [(0, 0, 1.0, 5.0, 5.0)], **late))
    assert told(kept, "row", "reason", "price")[1:] == [(2, STOP, 95.0)]
    stopped = run(quiet_case(bars, [(0, 0, 1.0, 0.5, 5.0)], **late))
    assert told(stopped, "row", "reason", "price")[1:] == [(1, STOP, 99.5)]


def test_an_order_flies_over_the_rows_that_close_before_it_arrives() -> None:
    result = run(quiet_case([FLAT] * 5, [(0, 0, 1.0)], delay=2.5))
    assert told(result, "row", "ts") == [(3, MONDAY + 7 * HOUR // 2)]


def test_an_order_overtaken_by_a_newer_one_is_dropped() -> None:
    case = quiet_case([FLAT] * 6, [(0, 0, 1.0), (1, 0, 0.5)], delay=[3.5, 0.5, 0.0, 0.0, 0.0, 0.0])
    assert told(run(case), "row", "qty") == [(2, 5.0)]


def test_orders_live_on_one_row_fill_as_they_arrive() -> None:
    case = quiet_case([FLAT] * 4, [(0, 0, 1.0), (1, 0, 0.5)], delay=[1.25, 0.75, 0.0, 0.0])
    result = run(case)
    assert told(result, "row", "qty", "ts") == [
        (2, 10.0, MONDAY + 9 * HOUR // 4),
        (2, -5.0, MONDAY + 11 * HOUR // 4),
    ]


def test_an_order_waits_for_a_missing_asset_and_fills_at_its_next_open() -> None:
    result = run(quiet_case([FLAT, None, (103.0, 103.0, 103.0, 103.0)], [(0, 0, 1.0)], delay=0.25, sigma=0.04))
    assert told(result, "row", "ts", "price", "arrival") == [(2, MONDAY + 2 * HOUR, 103.0, 100.0)]


def test_an_inverse_contract_earns_the_coin() -> None:
    low, high = (20_000.0,) * 4, (25_000.0,) * 4
    spec = {"multiplier": 100.0, "inverse": 1.0}
    result = run(quiet_case([low, low, high], [(0, 0, 1.0), (1, 0, 0.0)], cash=1.0, spec=spec))
    assert told(result, "qty") == [(near(200.0),), (near(-200.0),)]
    assert result["cash"][-1] == near(1.2)
    assert result["won"] == near(0.2)


def test_a_reversal_splits_its_fee_between_the_old_trip_and_the_new() -> None:
    up = (110.0, 110.0, 110.0, 110.0)
    bars = [FLAT, (100.0, 110.0, 100.0, 110.0), up, up]
    intents = [(0, 0, 1000.0), (1, 0, -1100.0), (2, 0, 0.0)]
    result = run(quiet_case(bars, intents, size=1, taker=0.01))
    assert told(result, "qty", "fee") == [(10.0, near(10.0)), (-20.0, near(22.0)), (10.0, near(11.0))]
    assert (result["trips"], result["wins"]) == (2, 1)
    assert (result["won"], result["lost"]) == (near(100.0 - 10.0 - 11.0), near(22.0))


@pytest.mark.parametrize(("band", "quantities"), [(0.1, [5.0, -1.25]), (0.2, [5.0])])
def test_a_weight_that_drifts_out_of_the_band_is_brought_back(band: float, quantities: list[float]) -> None:
    bars = [FLAT, (100.0, 200.0, 100.0, 200.0), (200.0, 200.0, 200.0, 200.0)]
    result = run(quiet_case(bars, [(0, 0, 0.5)], band=band))
    assert [fill["qty"] for fill in result["fills"]] == near(quantities)
    assert [fill["reason"] for fill in result["fills"]] == [TARGET, BAND][: len(quantities)]


def test_sizing_at_the_fill_spends_the_whole_account_costs_included() -> None:
    bars = [FLAT, (105.0, 105.0, 105.0, 105.0)]
    result = run(quiet_case(bars, [(0, 0, 1.0)], at_fill=True, half_spread=0.01, taker=0.01))
    assert result["position"][-1] == near([1000.0 / (105.0 * 1.01 * 1.01)])
    assert result["cash"][-1] == pytest.approx(0.0, abs=1e-9)


def test_a_position_cap_cuts_the_target() -> None:
    result = run(quiet_case([FLAT, FLAT], [(0, 0, -3.0)], max_position=0.5))
    assert result["position"][-1] == near([-5.0])


def test_after_a_stop_there_is_no_entry_until_the_target_changes() -> None:
    bars = [FLAT, (100.0, 100.0, 94.0, 100.0), FLAT, FLAT, FLAT]
    result = run(quiet_case(bars, [(0, 0, 1.0, 5.0), (3, 0, 0.5)], band=0.0))
    assert told(result, "row", "reason") == [(1, TARGET), (1, STOP), (4, TARGET)]


def test_a_lane_starts_flat_on_its_own_first_row_and_decides_nothing_on_its_last() -> None:
    case = quiet_case([FLAT] * 6, [(0, 0, 1.0), (2, 0, 0.5), (4, 0, 0.7)])
    result = replay(case.tape, case.intents, case.stamps, case.assets, case.rules._asdict(), 2, 5)
    assert result["position"] == [[0.0], [5.0], [5.0]]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases())
def test_cash_is_what_fills_fees_funding_liquidation_and_the_insurance_left(case: Case) -> None:
    result = run(case)
    cash = turnover = case.rules.cash
    for fill in result["fills"]:
        contract = case.assets[fill["asset"]]
        v = -1.0 / fill["price"] if contract["inverse"] else fill["price"]
        cash -= contract["multiplier"] * fill["qty"] * v + fill["fee"]
        turnover += abs(contract["multiplier"] * fill["qty"] * v)
    cash -= sum(payment["paid"] for payment in result["payments"])
    cash += result["shortfall"] - result["liquidation"]
    assert result["cash"][-1] == pytest.approx(cash, abs=1e-12 * turnover)
