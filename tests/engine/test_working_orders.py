"""Orders that are worked, wait, rest, lapse and are cut, in numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import wfbt
from tests.engine.stage import FREE, filled, instrument, market, only, said
from wfbt.data.market import DAY, HOUR, MINUTE
from wfbt.errors import ConfigError, PolicyError

FLAT = 100.0


def restless_then_still(before, after):
    """Closes that go 100, 101, 100, … for an even number of rows + 1, then stand at 100: σ is known."""
    return np.r_[np.where(np.arange(before + 1) % 2, 101.0, 100.0), np.full(after, 100.0)]


def sigma_a_day(closes, row):
    """σ over 24 hourly bars, from the last 30 returns."""
    last = closes[row - 29 : row + 1] / closes[row - 30 : row] - 1
    return last.std(ddof=1) * 24**0.5


# Slices, and what they cost.


@pytest.mark.parametrize("slices", [2, 5, 12])
def test_a_twap_on_a_constant_price_costs_the_impact_of_its_children_on_what_the_earlier_ones_moved(slices):
    # Q = 0.5 · 1,000,000 / 100 = 5,000 units in n children of q = Q/n; V = 24 · 1,000.  Child j = 0 … n − 1 pays
    #   slip_j = h + p·σ·√(j·q/V) + (τ + p)·σ·√(q/V),
    # so that against 100 all of them together cost, with k = σ·√(Q/V)/√n,
    #   Q·100·(h + (τ + p)·k + p·k·(Σ √j)/n), and the fee f on Σ q·100·(1 + slip_j).
    closes = restless_then_still(40, 20)
    data = market(instrument([float(c) for c in closes], volume=1_000.0))
    costs = wfbt.Costs(taker_bps=4, half_spread_bps=3, impact=wfbt.Impact(temporary=0.2, permanent=0.07))
    orders = wfbt.Orders(schedule=wfbt.Schedule.twap(over=slices * HOUR, slices=slices))
    ledger = wfbt.backtest(data, said(61, {40: 0.5}), costs=costs, orders=orders, account=wfbt.Account(cash=1e6))
    assert len(ledger.fills) == slices
    np.testing.assert_allclose(ledger.fills["qty"], 5_000 / slices, rtol=1e-12)
    quantity, spread, temporary, permanent, fee = 5_000.0, 3e-4, 0.2, 0.07, 4e-4
    k = sigma_a_day(closes, 40) * np.sqrt(quantity / 24_000 / slices)
    roots = np.sqrt(np.arange(slices)).sum()
    expected = quantity * 100 * (spread + (temporary + permanent) * k + permanent * k * roots / slices)
    order = only(ledger)
    assert order.implementation_shortfall == pytest.approx(expected, rel=1e-9)
    assert ledger.fills["fee"].sum() == pytest.approx(fee * (quantity * 100 + expected), rel=1e-9)
    assert ledger.fills["spread"].sum() == pytest.approx(quantity * 100 * spread, rel=1e-9)
    assert ledger.opening_cash - ledger.equity[-1] == pytest.approx(
        expected + fee * (quantity * 100 + expected), rel=1e-9
    )


def test_a_twap_of_many_slices_costs_less_than_the_whole_order_at_once():
    data = market(instrument([float(c) for c in restless_then_still(40, 20)], volume=1_000.0))

    def cost(orders):
        ledger = wfbt.backtest(data, said(61, {40: 0.5}), orders=orders, account=wfbt.Account(cash=1e6))
        return only(ledger).implementation_shortfall

    assert cost(wfbt.Orders(schedule=wfbt.Schedule.twap(over=12 * HOUR, slices=12))) < cost(wfbt.Orders())


def test_the_children_of_a_vwap_are_as_large_as_the_volume_of_their_hour():
    profile = np.arange(1.0, 25.0)
    data = market(instrument([FLAT] * 144, volume=np.tile(profile, 6)))
    orders = wfbt.Orders(schedule=wfbt.Schedule.vwap(over=8 * HOUR, slices=8, profile=3 * DAY))
    at = 4 * 24 + 5  # closes at 06:00, so that the children fill in the hours 6 … 13
    ledger = wfbt.backtest(data, said(144, {at: 0.5}), costs=FREE, orders=orders)
    hours = profile[6:14]
    np.testing.assert_allclose(ledger.fills["qty"], 500 * hours / hours.sum(), rtol=1e-9)
    assert ledger.fills["ts"].tolist() == [4 * DAY + hour * HOUR for hour in range(6, 14)]


def test_children_have_numbers_of_their_own_and_name_their_parent():
    data = market(instrument([100, 100, 101, 102, 103, 104, 104, 104]))
    orders = wfbt.Orders(schedule=wfbt.Schedule.twap(over=4 * HOUR, slices=4))
    ledger = wfbt.backtest(data, said(8, {0: 0.4}), costs=FREE, orders=orders)
    order = only(ledger)
    assert set(ledger.fills["parent"]) == {order.order}
    assert len(set(ledger.fills["order"]) | {order.order}) == 5
    # 100 units bought at 100, 101, 102 and 103, decided at 100: 0 + 100 + 200 + 300.
    assert ledger.fills["price"].tolist() == [100, 101, 102, 103]
    assert order.implementation_shortfall == pytest.approx(600, rel=1e-12)
    assert (order.outcome, order.filled, order.goal) == ("filled", 400, 400)


@pytest.mark.parametrize("schedule", [wfbt.Schedule.twap(over=4 * HOUR, slices=4), wfbt.Schedule.pov(0.1)])
def test_the_shortfall_of_a_parent_is_that_of_its_children_together(schedule):
    rng = np.random.default_rng(4)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 80)))
    data = market(instrument([float(c) for c in closes], volume=2_000.0))
    ledger = wfbt.backtest(
        data, said(80, {40: 0.8, 60: -0.5}), orders=wfbt.Orders(schedule=schedule), account=wfbt.Account(cash=1e5)
    )
    for order in ledger.orders_frame().itertuples():
        children = ledger.fills[ledger.fills["parent"] == order.order]
        assert len(children) > 2
        against = children["qty"] * (children["price"] - order.arrival)
        assert order.implementation_shortfall == pytest.approx(against.sum(), rel=1e-9)
        assert order.filled == pytest.approx(children["qty"].sum(), rel=1e-12)


def test_the_shortfall_of_an_inverse_contract_s_parent_is_that_of_its_children_together_in_the_coin():
    data = market(instrument([100, 100, 120, 140, 160, 160], multiplier=10.0, inverse=True))
    orders = wfbt.Orders(schedule=wfbt.Schedule.twap(over=4 * HOUR, slices=4))
    ledger = wfbt.backtest(data, said(6, {0: 0.4}), costs=FREE, orders=orders, account=wfbt.Account(cash=1.0))
    # 0.4 coin at 100 are 4 contracts of 10 USD; one each at 100, 120, 140, 160, against 100:
    # 10·(1/100 − 1/100 + 1/100 − 1/120 + 1/100 − 1/140 + 1/100 − 1/160).
    assert ledger.fills["qty"].tolist() == [1, 1, 1, 1]
    expected = 10 * (4 / 100 - 1 / 100 - 1 / 120 - 1 / 140 - 1 / 160)
    assert only(ledger).implementation_shortfall == pytest.approx(expected, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    volumes=st.lists(st.floats(0, 5_000), min_size=4, max_size=30),
    share=st.floats(0.01, 1.0),
    target=st.floats(-1, 1).filter(lambda x: abs(x) > 0.01),
)
def test_a_pov_order_takes_its_share_of_every_bar_until_done_and_never_more(volumes, share, target):
    assume(any(volumes))  # a file without any volume says nothing of what is traded
    data = market(instrument([FLAT] * len(volumes), volume=volumes))
    orders = wfbt.Orders(schedule=wfbt.Schedule.pov(share))
    ledger = wfbt.backtest(data, said(len(volumes), {0: target}), costs=FREE, orders=orders)
    left = abs(target) * 1_000
    expected = []
    for volume in volumes[1:]:
        expected.append(min(share * volume, left))
        left -= expected[-1]
    taken = np.zeros(len(volumes))
    np.add.at(taken, ledger.fill_rows, np.abs(ledger.fills["qty"]))
    assert (taken <= share * np.array(volumes) * (1 + 1e-12)).all()
    np.testing.assert_allclose(taken[1:], expected, rtol=1e-9, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(moves=st.lists(st.integers(-3, 3), min_size=4, max_size=25), display=st.floats(0.05, 1.0))
def test_an_iceberg_never_fills_more_than_it_shows(moves, display):
    closes = 100 + np.cumsum([0, *moves]) * 0.5
    opens = np.r_[closes[0], closes[:-1]]
    rows = [(o, max(o, c) + 0.25, min(o, c) - 0.25, c) for o, c in zip(opens, closes, strict=True)]
    orders = wfbt.Orders(schedule=wfbt.Schedule.iceberg(display))
    intents = said(len(rows), {0: {"target": 0.5, "limit": 99.5}})
    ledger = wfbt.backtest(market(instrument(rows, tick=0.25)), intents, costs=FREE, orders=orders)
    goal = only(ledger).goal
    assert (ledger.fills["qty"] <= display * goal * (1 + 1e-12)).all()
    assert (ledger.fills["price"] <= 99.5).all()
    # Once a row, whenever the price was through the limit.
    through = sum(low <= 99.25 or opening <= 99.5 for opening, _, low, _ in rows[1:])
    assert ledger.fills["qty"].sum() == pytest.approx(min(goal, through * display * goal), rel=1e-9)


def test_slices_closer_than_the_bars_that_fill_them_are_refused():
    orders = wfbt.Orders(schedule=wfbt.Schedule.twap(over=HOUR, slices=4))
    with pytest.raises(ConfigError, match="execution_bars"):
        wfbt.backtest(market(instrument([FLAT] * 4)), said(4, {0: 0.5}), orders=orders)


def test_execution_bars_fill_the_slices_inside_a_decision_bar():
    minutes = instrument([FLAT] * 180, period=MINUTE).bars
    data = market(instrument([FLAT] * 3, execution_bars=minutes))
    orders = wfbt.Orders(schedule=wfbt.Schedule.twap(over=40 * MINUTE, slices=4))
    ledger = wfbt.backtest(data, said(3, {0: 0.5}), costs=FREE, orders=orders)
    assert ledger.fills["ts"].tolist() == [HOUR + k * 10 * MINUTE for k in range(4)]
    assert ledger.fills["qty"].tolist() == [125, 125, 125, 125]


def test_a_new_target_replaces_what_is_left_of_a_parent():
    orders = wfbt.Orders(schedule=wfbt.Schedule.twap(over=4 * HOUR, slices=4))
    ledger = wfbt.backtest(market(instrument([FLAT] * 8)), said(8, {0: 0.4, 2: 0.0}), costs=FREE, orders=orders)
    # 100 units at hours 1, 2 and 3, where the new target is live too and begins to sell the 300 in four parts.
    assert ledger.fills["qty"].tolist() == [100, 100, 100, -75, -75, -75, -75]
    assert ledger.orders_frame()["outcome"].tolist() == ["replaced", "filled"]


def test_an_order_that_waits_for_a_price_cannot_be_scheduled():
    orders = wfbt.Orders(schedule=wfbt.Schedule.pov(0.1))
    with pytest.raises(PolicyError, match="cannot be scheduled"):
        wfbt.backtest(market(instrument([FLAT] * 4)), said(4, {0: {"target": 1, "trigger": 101}}), orders=orders)


# Limits, triggers and pairs.  100,000 at a close of 100: a target of 0.5 is 500 units.

MAKER = wfbt.Costs(maker_bps=2, taker_bps=5, half_spread_bps=1, impact=None)


def bid(**more):
    return {"target": 0.5, "limit": 99.0, **more}


def test_a_limit_that_is_only_touched_does_not_fill():
    rows = [100, (100, 100, 99, 100), (100, 101, 99, 100)]
    ledger = wfbt.backtest(market(instrument(rows, tick=0.5)), said(3, {0: bid()}), costs=MAKER)
    assert len(ledger.fills) == 0
    assert only(ledger).outcome == "open"


@pytest.mark.parametrize("side", [1, -1])
def test_a_limit_traded_through_by_a_tick_fills_at_the_limit_as_maker(side):
    limit, through = (99.0, (100, 100, 98.5, 100)) if side > 0 else (101.0, (100, 101.5, 100, 100))
    intents = said(2, {0: {"target": side * 0.5, "limit": limit}})
    ledger = wfbt.backtest(market(instrument([100, through], tick=0.5)), intents, costs=MAKER)
    assert filled(ledger, "price", "liquidity", "qty", "fee") == [
        (limit, "maker", side * 500, pytest.approx(500 * limit * 2e-4))
    ]


def test_without_a_grid_any_price_beyond_the_limit_is_through():
    rows = [100, (100, 100, 99, 100), (100, 100, 98.999, 100)]
    ledger = wfbt.backtest(market(instrument(rows)), said(3, {0: bid()}), costs=MAKER)
    assert filled(ledger, "price", "row") == [(99, 2)]


def test_a_touch_fills_the_share_of_the_volume_that_it_is_given():
    rows = [100, (100, 100, 99, 100), (100, 100, 99.5, 100), (100, 100, 99, 100)]
    orders = wfbt.Orders(touch=0.1)
    data = market(instrument(rows, tick=0.5, volume=[1, 800, 900, 1_000]))
    ledger = wfbt.backtest(data, said(4, {0: bid()}), costs=MAKER, orders=orders)
    assert filled(ledger, "qty", "price", "liquidity", "row") == [(80, 99, "maker", 1), (100, 99, "maker", 3)]


def test_an_open_beyond_the_limit_fills_a_resting_order_at_the_open_as_maker():
    rows = [100, 100, (98, 98, 97, 98)]
    ledger = wfbt.backtest(market(instrument(rows, tick=0.5)), said(3, {0: bid()}), costs=MAKER)
    assert filled(ledger, "price", "liquidity") == [(98, "maker")]


def test_a_marketable_limit_takes_at_the_open_and_never_pays_more_than_its_limit():
    # Half the spread on 100 is 0.01, which the limit of 100.02 allows.
    ledger = wfbt.backtest(market(instrument([100] * 3)), said(3, {0: bid(limit=100.02)}), costs=MAKER)
    assert filled(ledger, "price", "liquidity") == [(pytest.approx(100.01), "taker")]


def test_a_marketable_limit_takes_what_its_impact_allows_and_rests_with_the_remainder():
    # b = limit/100 − 1 − h; impact of q units is (τ + p)·σ·√(q/V): q = V·(b/((τ + p)·σ))².
    closes = [float(c) for c in restless_then_still(40, 6)]
    costs = wfbt.Costs(maker_bps=0, taker_bps=0, half_spread_bps=1, impact=wfbt.Impact.sqrt(0.1, 0.05))
    ledger = wfbt.backtest(
        market(instrument(closes, volume=1_000.0)), said(47, {40: bid(limit=100.02)}), costs=costs,
        account=wfbt.Account(cash=1e6),
    )  # fmt: skip
    sigma = sigma_a_day(np.array(closes), 40)
    within = 24_000 * (0.0001 / (0.15 * sigma)) ** 2
    assert within < 5_000
    (row, qty, price, liquidity), *later = filled(ledger, "row", "qty", "price", "liquidity")
    assert (row, liquidity) == (41, "taker")
    assert (qty, price) == (pytest.approx(within, rel=1e-6), pytest.approx(100.02, rel=1e-12))
    # It rests from the next row, whose open of 100 is below its limit.
    assert later == [(42, pytest.approx(5_000 - within), 100, "maker")]


def test_a_limit_that_expires_is_in_the_orders_and_not_in_the_fills():
    rows = [100, 100, 100, (100, 100, 95, 100)]
    ledger = wfbt.backtest(market(instrument(rows, tick=0.5)), said(4, {0: bid(expire=2)}), costs=MAKER)
    order = only(ledger)
    assert len(ledger.fills) == 0
    assert (order.outcome, order.filled, order.limit) == ("expired", 0, 99)
    # Decided at 01:00 for two bars: gone at 03:00, when the bar that trades through it opens.
    assert order.expire.value == order.ended.value == 3 * HOUR
    assert wfbt.backtest(market(instrument(rows, tick=0.5)), said(4, {0: bid(expire=3)}), costs=MAKER).fills.size == 1


def test_a_post_only_limit_that_would_take_is_rejected():
    data, orders = market(instrument([100] * 4)), wfbt.Orders(post_only=True)
    ledger = wfbt.backtest(data, said(4, {0: bid(limit=101)}), costs=MAKER, orders=orders)
    assert len(ledger.fills) == 0
    assert only(ledger).outcome == "rejected"
    taker = wfbt.backtest(data, said(4, {0: bid(limit=101)}), costs=MAKER)
    assert filled(taker, "liquidity") == [("taker",)]


def test_a_stop_order_fills_at_its_trigger_as_taker_or_at_the_open_that_gaps_over_it():
    costs = wfbt.Costs(maker_bps=0, taker_bps=0, half_spread_bps=100, impact=None)
    intents = said(3, {0: {"target": 0.5, "trigger": 102}})
    inside = wfbt.backtest(market(instrument([100, (100, 103, 100, 103), 103])), intents, costs=costs)
    assert filled(inside, "reference", "price", "liquidity") == [(102, pytest.approx(102 * 1.01), "taker")]
    gapped = wfbt.backtest(market(instrument([100, 101, (105, 106, 104, 105)])), intents, costs=costs)
    assert filled(gapped, "reference", "price") == [(105, pytest.approx(105 * 1.01))]
    never = wfbt.backtest(market(instrument([100, (100, 101.9, 90, 95), 95])), intents, costs=costs)
    assert len(never.fills) == 0 and only(never).outcome == "open"


def test_a_stop_limit_gapped_beyond_its_limit_rests_there():
    intents = said(5, {0: {"target": 0.5, "trigger": 102, "limit": 103}})
    rows = [100, 101, (105, 106, 104, 105), (105, 105, 102.5, 103), 103]
    ledger = wfbt.backtest(market(instrument(rows, tick=0.5)), intents, costs=MAKER)
    assert filled(ledger, "row", "price", "liquidity") == [(3, 103, "maker")]
    away = wfbt.backtest(market(instrument([*rows[:3], 110, 120], tick=0.5)), intents, costs=MAKER)
    assert len(away.fills) == 0 and only(away).outcome == "open"


PAIR = {"target": 0.0, "limit": 104.0, "other": 0.0, "other_trigger": 96.0}


@pytest.mark.parametrize(
    ("bar", "price", "liquidity"),
    [
        ((101, 105, 100, 101), 104, "maker"),  # only the profit's price is seen
        ((99, 100, 95, 99), 96, "taker"),  # only the stop's
        ((101, 105, 95, 101), 96, "taker"),  # both: of two exits the worse is taken to come first
        ((106, 107, 95, 101), 106, "taker"),  # an open beyond the profit's price is known to come first, and it takes
    ],
)
def test_of_a_pair_one_leg_fills_and_the_other_is_gone(bar, price, liquidity):
    rows = [100, 100, 100, bar, (100, 110, 90, 100), 100]
    ledger = wfbt.backtest(market(instrument(rows)), said(6, {0: 0.5, 2: PAIR}), costs=FREE)
    # Selling 500 twice would leave −500.
    assert filled(ledger, "row", "qty", "price", "liquidity") == [
        (1, 500, 100, "taker"),
        (3, -500, price, liquidity),
    ]
    assert ledger.position[-1, 0] == 0


@pytest.mark.parametrize(
    ("bar", "price"),
    [
        ((101, 105, 95, 101), 102),  # 102 is 1 from the open, 98 is 3
        ((99, 105, 95, 99), 98),
        ((100, 105, 95, 100), 102),  # as far from the one as from the other: the first
    ],
)
def test_of_a_pair_that_enters_the_leg_nearer_to_the_open_comes_first(bar, price):
    pair = {"target": 0.5, "trigger": 102, "other": -0.5, "other_trigger": 98}
    ledger = wfbt.backtest(market(instrument([100, bar, bar, 100])), said(4, {0: pair}), costs=FREE)
    assert filled(ledger, "row", "qty", "price") == [(1, 500 if price == 102 else -500, price)]


def test_a_pair_of_which_a_part_fills_has_lost_its_other_leg():
    rows = [100, 100, 100, (100, 105, 99, 103), (103, 103, 95, 103), 103]
    costs = wfbt.Costs(
        maker_bps=0, taker_bps=0, half_spread_bps=0, impact=None, participation=wfbt.Participation(order=0.5, hour=None)
    )
    ledger = wfbt.backtest(
        market(instrument(rows, volume=[1e4, 1e4, 1e4, 200, 1e4, 1e4])), said(6, {0: 0.5, 2: PAIR}), costs=costs
    )
    # Half of 200 at 104; the fall through 96 then sells nothing.
    assert filled(ledger, "row", "qty", "price")[1:] == [(3, -100, 104)]
    assert ledger.position[-1, 0] == 400


# Caps and queues.


def capped(order, hour):
    return wfbt.Costs(
        maker_bps=0,
        taker_bps=0,
        half_spread_bps=0,
        impact=None,
        participation=wfbt.Participation(order=order, hour=hour),
    )


def test_an_order_takes_five_percent_of_each_bar_and_carries_the_remainder_until_it_is_filled():
    # 5% of 4,000, 2,000, 0 and 6,000 are 200, 100, nothing and 300, of which 200 are still wanted.
    data = market(instrument([FLAT] * 7, volume=[1, 4_000, 2_000, 0, 6_000, 6_000, 6_000]))
    ledger = wfbt.backtest(data, said(7, {0: 0.5}), costs=capped(0.05, None))
    assert filled(ledger, "row", "qty") == [(1, 200), (2, 100), (4, 200)]
    assert only(ledger).outcome == "filled"


def test_all_fills_of_a_clock_hour_take_ten_percent_of_what_it_has_traded_so_far():
    # Quarters of 1,000, 3,000, 0, 500 | 800: the hour so far is 1,000, 4,000, 4,000, 4,500 | 800, and a tenth of it,
    # less what was taken, leaves 100, 300, 0, 50 | 80.
    volume = [9_999] * 4 + [1_000, 3_000, 0, 500, 800, 9_999, 9_999, 9_999]
    data = market(instrument([FLAT] * 12, period=15 * MINUTE, volume=volume))
    ledger = wfbt.backtest(data, said(12, {3: 0.9}), costs=capped(None, 0.10))
    assert filled(ledger, "row", "qty")[:4] == [(4, 100), (5, 300), (7, 50), (8, 80)]


def test_the_smaller_of_both_caps_binds():
    # A fifth of each quarter is 200, 600, 160, but a tenth of the hour so far leaves 100, 300, 80.
    data = market(instrument([FLAT] * 12, period=15 * MINUTE, volume=[1_000] * 4 + [1_000, 3_000, 800] + [1_000] * 5))
    ledger = wfbt.backtest(data, said(12, {3: 0.9}), costs=capped(0.2, 0.10))
    assert filled(ledger, "row", "qty")[:3] == [(4, 100), (5, 300), (6, 80)]
    alone = wfbt.backtest(data, said(12, {3: 0.9}), costs=capped(0.05, 0.10))
    assert filled(alone, "row", "qty")[:3] == [(4, 50), (5, 150), (6, 40)]


def test_a_stop_in_a_thin_market_goes_on_selling_at_later_opens():
    rows = [100, 100, (100, 100, 94, 94), (93, 93, 93, 93), (92, 92, 92, 92), 92]
    data = market(instrument(rows, volume=[1, 20_000, 4_000, 4_000, 4_000, 4_000]))
    ledger = wfbt.backtest(data, said(6, {0: {"target": 0.5, "stop": 5}}), costs=capped(0.05, None))
    # 500 bought at 100; the stop at 95 sells 200, the next opens 200 and 100.
    assert filled(ledger, "row", "qty", "price", "reason") == [
        (1, 500, 100, "target"),
        (2, -200, 95, "stop"),
        (3, -200, 93, "stop"),
        (4, -100, 92, "stop"),
    ]


def test_unknown_volume_caps_nothing():
    data = market(instrument([FLAT] * 3, volume=[5, 5, 5]))
    spot = market(instrument([FLAT] * 3, volume=[5, 5, 5], counts="none"))
    assert wfbt.backtest(data, said(3, {0: 0.5}), costs=capped(0.05, 0.1)).fills["qty"].tolist() == [0.25, 0.25]
    assert wfbt.backtest(spot, said(3, {0: 0.5}), costs=capped(0.05, 0.1)).fills["qty"].tolist() == [500]


def test_a_known_daily_volume_caps_by_its_share_of_the_bar():
    # 24,000 a day are 1,000 an hour, of which 5%.
    spot = market(instrument([FLAT] * 4, volume=7.0, counts="none", adv=24_000.0))
    ledger = wfbt.backtest(spot, said(4, {0: 0.5}), costs=capped(0.05, None))
    assert ledger.fills["qty"].tolist() == [50, 50, 50]


def test_orders_of_a_symbol_leave_no_closer_than_the_least_interval():
    data = market(instrument([FLAT] * 6))
    orders = wfbt.Orders(min_interval=90 * MINUTE, max_open=10)
    ledger = wfbt.backtest(data, said(6, {0: 0.1, 1: 0.2, 2: 0.3}), costs=FREE, orders=orders)
    # Decided at 1:00, 2:00 and 3:00; left at 1:00, 2:30 and 4:00.
    assert [live.value for live in ledger.orders_frame()["live"]] == [HOUR, 150 * MINUTE, 4 * HOUR]
    assert ledger.fills["ts"].tolist() == [HOUR, 150 * MINUTE, 4 * HOUR]


def test_symbols_do_not_wait_for_each_other_s_interval():
    data = market(instrument([FLAT] * 4, symbol="A"), instrument([FLAT] * 4, symbol="B"))
    orders = wfbt.Orders(min_interval=90 * MINUTE, max_open=10)
    ledger = wfbt.backtest(data, {"A": said(4, {0: 0.1}), "B": said(4, {0: 0.2})}, costs=FREE, orders=orders)
    assert ledger.fills["ts"].tolist() == [HOUR, HOUR]


def test_a_target_waits_while_as_many_orders_as_allowed_are_open():
    data = market(instrument([FLAT] * 12))
    latency = wfbt.Latency.constant(150 * MINUTE)
    targets = said(12, {row: 0.05 * (row + 1) for row in range(9)})

    def sent(most):
        orders = wfbt.Orders(max_open=most)
        return wfbt.backtest(data, targets, costs=FREE, latency=latency, orders=orders).orders["row"].tolist()

    # On its way for 2½ hours: decided at row 0, it is handled on row 3, at whose close the newest target leaves, and so
    # on; the target of row 8 waits until row 9.
    assert sent(1) == [0, 3, 6, 9]
    # Two at once: rows 0 and 1; the slots come free on rows 3 and 4, again on 6 and 7, and on 9.
    assert sent(2) == [0, 1, 3, 4, 6, 7, 9]
    assert sent(None) == list(range(9))
