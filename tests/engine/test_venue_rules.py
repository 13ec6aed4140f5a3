"""Liquidation by the tiers of real venues, fees by volume, and funding, against tables worked out by hand."""

import numpy as np
import pytest
import yaml

import wfbt
from tests.engine.stage import FREE, filled, instrument, market, said
from wfbt.config.venue import FOLDER
from wfbt.data.market import DAY, HOUR, SECOND

ENTRY = 50_000.0


def preset(venue, symbol):
    """Tiers and liquidation fee as the venue's file has them; a fee that it does not know is the account's default."""
    tree = yaml.safe_load((FOLDER / f"{venue}.yaml").read_text())
    tiers = [wfbt.Tier(**tier) for tier in tree["symbols"][symbol]["tiers"]]
    fee = tree.get("account", {}).get("liquidation_fee_bps", wfbt.Account().liquidation_fee_bps)
    return tiers, fee, tree["symbols"][symbol]["contract"]


def liquidated(venue, symbol, side, cash, margin="cross", wallets=1.0, bar=None):
    """Ten times `cash` / `wallets` at 50,000, then a bar that runs far against it."""
    tiers, fee, contract = preset(venue, symbol)
    adverse = bar or ((ENTRY, ENTRY, 40_000, 40_000) if side > 0 else (ENTRY, 60_000, ENTRY, 60_000))
    inverse = {name: contract[name] for name in ("multiplier", "inverse") if name in contract}
    data = market(instrument([ENTRY, ENTRY, adverse, adverse[3]], symbol=symbol, **inverse))
    account = wfbt.Account(
        cash=cash, leverage=10, margin=margin, tiers={symbol: tiers}, liquidation_fee_bps=fee
    )  # fmt: skip
    return wfbt.backtest(data, said(4, {0: side * 10 / wallets}), costs=FREE, account=account)


# With W behind Q units bought at E, and rate r and amount A of the tier that the notional is in *at the price itself*:
#   long   W + Q·(p − E) = r·Q·p − A   →   p = (Q·E − W − A) / (Q·(1 − r))
#   short  W + Q·(E − p) = r·Q·p − A   →   p = (Q·E + W + A) / (Q·(1 + r))
# BTCUSDT, notional: rate, amount.  Up to 50,000: 0.4%, 0.  250,000: 0.5%, 50.  1,000,000: 1%, 1,300.
# 10,000,000: 2.5%, 16,300.  20,000,000: 5%, 266,300.
LINEAR = [
    # side, Q, p
    (+1, 0.8, 36_000 / 0.7968),  # (40,000 − 4,000 − 0) / (0.8 · 0.996) = 45,180.72
    (+1, 4.0, 179_950 / 3.98),  # (200,000 − 20,000 − 50) / (4 · 0.995) = 45,213.57
    (+1, 5.2, 233_950 / 5.174),  # 260,000 at entry, in the third tier; 235,124 at the price, in the second
    (+1, 16.0, 718_700 / 15.84),  # (800,000 − 80,000 − 1,300) / (16 · 0.99) = 45,372.47
    (+1, 100.0, 4_483_700 / 97.5),  # (5,000,000 − 500,000 − 16,300) / (100 · 0.975) = 45,986.67
    (+1, 300.0, 13_233_700 / 285),  # (15,000,000 − 1,500,000 − 266,300) / (300 · 0.95) = 46,434.04
    (-1, 0.8, 44_000 / 0.8032),  # (40,000 + 4,000 + 0) / (0.8 · 1.004) = 54,780.88
    (-1, 4.0, 220_050 / 4.02),  # 54,738.81
    (-1, 4.6, 254_300 / 4.646),  # 230,000 at entry, in the second tier; 251,782 at the price, in the third
    (-1, 16.0, 881_300 / 16.16),  # 54,535.89
    (-1, 100.0, 5_516_300 / 102.5),  # 53,817.56
]


@pytest.mark.parametrize("margin", ["cross", "isolated"])
@pytest.mark.parametrize(("side", "quantity", "price"), LINEAR)
def test_ten_times_leverage_on_btcusdt_is_liquidated_where_binance_s_tiers_say(margin, side, quantity, price):
    wallet = quantity * ENTRY / 10
    # An isolated position has a tenth of its value behind it, however much cash lies beside it.
    beside = 4.0 if margin == "isolated" else 1.0
    ledger = liquidated("binance-usdm", "BTCUSDT", side, beside * wallet, margin, beside)
    (record,) = ledger.liquidations_frame().itertuples()
    assert abs(record.qty) == pytest.approx(quantity, rel=1e-12)
    assert record.price == pytest.approx(price, rel=1e-9)
    # Without costs what is behind it is gone a tenth away from the entry.
    assert record.bankruptcy == pytest.approx(ENTRY * (1 - 0.1 * side), rel=1e-9)
    left = wallet + side * quantity * (price - ENTRY)
    fee = min(0.0125 * quantity * price, left)
    assert (record.fee, record.shortfall) == (pytest.approx(fee, rel=1e-9), 0)
    assert ledger.equity[-1] == pytest.approx((beside - 1) * wallet + left - fee, rel=1e-9, abs=1e-9 * wallet)
    assert filled(ledger, "reason", "liquidity")[-1] == ("liquidation", "venue")
    ledger.reconcile()


def test_cash_beside_an_isolated_position_would_have_saved_it_under_cross_margin():
    alone = liquidated("binance-usdm", "BTCUSDT", 1, 16_000, "isolated", 4.0)
    shared = liquidated("binance-usdm", "BTCUSDT", 1, 16_000, "cross", 4.0)
    assert len(alone.liquidations) == 1 and len(shared.liquidations) == 0
    assert shared.equity[-1] == pytest.approx(16_000 - 0.8 * 10_000)


# N contracts of 100 USD bought at E are worth N·100/E coins, and W coins are behind them:
#   long   W + 100N·(1/E − 1/p) = r·100N/p − A   →   p = 100N·(1 + r) / (W + 100N/E + A)
#   short  W + 100N·(1/p − 1/E) = r·100N/p − A   →   p = 100N·(1 − r) / (100N/E − W − A)
# BTCUSD, coins: rate, amount.  Up to 5: 0.4%, 0.  10: 0.5%, 0.005.  20: 1%, 0.055.  50: 2.5%, 0.355.
INVERSE = [
    (+1, 1_000, 100_400 / 2.2),  # 100,000 · 1.004 / (0.2 + 2 + 0) = 45,636.36
    (+1, 4_000, 402_000 / 8.805),  # 400,000 · 1.005 / (0.8 + 8 + 0.005) = 45,655.88
    (+1, 15_000, 1_537_500 / 33.355),  # 1,500,000 · 1.025 / (3 + 30 + 0.355) = 46,095.04
    (-1, 1_000, 99_600 / 1.8),  # 100,000 · 0.996 / (2 − 0.2 − 0) = 55,333.33
    (-1, 5_200, 517_400 / 9.355),  # 10.4 coins at entry, in the third tier; 9.40 at the price, in the second
    (-1, 15_000, 1_462_500 / 26.645),  # 1,500,000 · 0.975 / (30 − 3 − 0.355) = 54,888.35
]


@pytest.mark.parametrize("margin", ["cross", "isolated"])
@pytest.mark.parametrize(("side", "contracts", "price"), INVERSE)
def test_ten_times_leverage_on_an_inverse_contract_is_liquidated_where_the_tiers_in_coins_say(
    margin, side, contracts, price
):
    wallet = contracts * 100 / ENTRY / 10
    beside = 4.0 if margin == "isolated" else 1.0
    ledger = liquidated("binance-coinm", "BTCUSD", side, beside * wallet, margin, beside)
    (record,) = ledger.liquidations_frame().itertuples()
    assert abs(record.qty) == pytest.approx(contracts, rel=1e-12)
    assert record.price == pytest.approx(price, rel=1e-9)
    # W + 100N·(1/E − 1/b) = 0 with W a tenth of 100N/E: 1/b = 1.1/E; of a short 0.9/E.
    assert record.bankruptcy == pytest.approx(ENTRY / (1 + 0.1 * side), rel=1e-9)
    left = wallet + side * contracts * 100 * (1 / ENTRY - 1 / price)
    fee = min(0.005 * contracts * 100 / price, left)
    assert ledger.equity[-1] == pytest.approx((beside - 1) * wallet + left - fee, rel=1e-9, abs=1e-9 * wallet)
    ledger.reconcile()


@pytest.mark.parametrize(("margin", "beside"), [("cross", 1.0), ("isolated", 4.0)])
@pytest.mark.parametrize(("side", "opening"), [(1, 40_000.0), (-1, 60_000.0)])
def test_a_gap_beyond_bankruptcy_is_paid_by_the_insurance(margin, beside, side, opening):
    ledger = liquidated("binance-usdm", "BTCUSDT", side, beside * 4_000, margin, beside, (opening,) * 4)
    (record,) = ledger.liquidations_frame().itertuples()
    assert record.price == opening
    assert record.bankruptcy == pytest.approx(ENTRY * (1 - 0.1 * side), rel=1e-12)
    # 0.8 units lose 8,000 and 4,000 stand behind them: nothing is left for a fee.
    assert (record.shortfall, record.fee) == (pytest.approx(4_000), 0)
    assert ledger.shortfall.sum() == pytest.approx(4_000)
    assert ledger.equity[-1] == pytest.approx((beside - 1) * 4_000, abs=1e-9)
    ledger.reconcile()


def test_a_higher_tier_liquidates_a_larger_position_sooner():
    prices = [
        liquidated("binance-usdm", "BTCUSDT", 1, q * 5_000).liquidations["price"][0] for q in (0.8, 4, 16, 100, 300)
    ]
    assert prices == sorted(prices)


def test_two_positions_share_their_margin_and_each_has_tiers_of_its_own():
    # A falls from 100 to 50 while B stands at 100; 1,000 of each on 300 cash, flat rates of 5% and 8%:
    #   300 + 10·(p − 100) = 0.05·10·p + 0.08·1,000   →   9.5·p = 780.
    tiers = {"A": [wfbt.Tier(maintenance=0.05)], "B": [wfbt.Tier(maintenance=0.08)]}
    account = wfbt.Account(cash=300, leverage=10, tiers=tiers, liquidation_fee_bps=0)
    data = market(instrument([100, 100, (100, 100, 50, 50)], symbol="A"), instrument([100, 100, 100], symbol="B"))
    both = {name: said(3, {0: 10 / 3}) for name in "AB"}
    ledger = wfbt.backtest(data, both, costs=FREE, account=account)
    assert ledger.liquidations["price"].tolist() == [pytest.approx(780 / 9.5), 100]
    lone = wfbt.Account(cash=300, leverage=10, margin="isolated", tiers=tiers, liquidation_fee_bps=0)
    # Alone: 100 in the wallet of A, 100 + 10·(p − 100) = 0.05·10·p   →   9.5·p = 900; B is left alone.
    apart = wfbt.backtest(data, both, costs=FREE, account=lone)
    assert apart.liquidations["price"].tolist() == [pytest.approx(900 / 9.5)]
    assert apart.position[-1].tolist() == [0, 10]


# Fees.

LADDER = (
    wfbt.FeeTier(volume=0, maker_bps=2, taker_bps=5),
    wfbt.FeeTier(volume=1_500_000, maker_bps=1, taker_bps=3),
)


def rates(days, account, target=1.0, costs=None):
    """Fee over value, in bps, of round trips in the first half of some days of 6 h bars."""
    rows = 4 * (max(days) + 1)
    data = market(instrument([100] * rows, period=6 * HOUR))
    spoken = {4 * day + at: size for day in days for at, size in ((0, target), (1, 0.0))}
    costs = costs or wfbt.Costs(half_spread_bps=0, impact=None, fee_tiers=LADDER)
    ledger = wfbt.backtest(data, said(rows, spoken), costs=costs, account=account)
    assert ledger.fills["ts"].tolist() == [d * DAY + at * 6 * HOUR for d in days for at in (1, 2)]
    return (ledger.fills["fee"] / ledger.traded * 1e4).round(9).tolist()


def test_fees_fall_the_day_after_enough_was_traded_and_rise_when_those_days_are_thirty_days_past():
    # A round trip of a million is two of volume.  Day 0 counts from day 1 to day 30, day 1 to day 31, day 31 to day 61.
    fees = rates([0, 1, 31, 62], wfbt.Account(cash=1e6))
    assert fees == [5, 5, 3, 3, 3, 3, 5, 5]


def test_volume_of_before_the_start_fades_evenly_over_thirty_days():
    # 3,000,000 are 100,000 a day: 1,500,000 are left on day 15 and 1,400,000 on day 16.
    fees = rates([0, 15, 16], wfbt.Account(cash=1e6, traded=3e6), target=1e-4)
    assert fees == [3, 3, 3, 3, 5, 5]


def test_a_maker_s_rebate_is_income():
    costs = wfbt.Costs(maker_bps=-1, taker_bps=5, half_spread_bps=0, impact=None)
    rows = [100, (100, 100, 98, 100), 100, 100]
    ledger = wfbt.backtest(market(instrument(rows)), said(4, {0: {"target": 0.5, "limit": 99.0}}), costs=costs)
    # 500 units at 99, and 1 bp of their value on top.
    assert ledger.cash[-1] == pytest.approx(100_000 - 49_500 + 4.95, rel=1e-12)
    assert ledger.fees.sum() == pytest.approx(-4.95, rel=1e-12)
    assert ledger.equity[-1] == pytest.approx(100_000 + 500 + 4.95, rel=1e-12)


# Funding.  500 units at 100 pay 5 at a rate of 0.0001.


def funded(stamps, targets, rows=24, latency=None):
    data = market(instrument([100.0] * rows, funding=[(ts, 1e-4) for ts in stamps]))
    ledger = wfbt.backtest(data, said(rows, targets), costs=FREE, latency=latency)
    ledger.reconcile()
    paid = ledger.payments[ledger.payments["paid"] != 0]
    return paid["ts"].tolist(), paid["paid"]


@pytest.mark.parametrize(("hours", "count"), [(1, 15), (4, 4), (8, 2)])
@pytest.mark.parametrize("side", [1, -1])
def test_funding_is_paid_as_often_as_it_is_settled(hours, count, side):
    # Held from 02:00 to 17:00: of 03:00 … 17:00 fifteen whole hours, four that four divides and two that eight does.
    stamps = [h * HOUR for h in range(hours, 24, hours)]
    ts, paid = funded(stamps, {1: side * 0.5, 16: 0.0})
    assert ts == [s for s in stamps if 2 * HOUR < s <= 17 * HOUR] and len(ts) == count
    np.testing.assert_allclose(paid, side * 5.0, rtol=1e-12)


def test_whoever_enters_at_the_stamp_pays_nothing_and_whoever_leaves_at_it_pays():
    ts, _ = funded([2 * HOUR, 5 * HOUR], {1: 0.5, 4: 0.0})
    assert ts == [5 * HOUR]


def test_a_stamp_a_second_after_the_exit_accrues_nothing():
    assert funded([5 * HOUR + SECOND], {1: 0.5, 4: 0.0})[0] == []
    assert funded([5 * HOUR - SECOND], {1: 0.5, 4: 0.0})[0] == [5 * HOUR - SECOND]


def test_a_stamp_a_second_before_the_entry_accrues_nothing():
    assert funded([2 * HOUR - SECOND], {1: 0.5})[0] == []
    assert funded([2 * HOUR + SECOND], {1: 0.5})[0] == [2 * HOUR + SECOND]


def test_an_order_under_way_at_the_stamp_has_not_changed_the_position():
    late = wfbt.Latency.constant(2 * SECOND)
    ts, _ = funded([2 * HOUR + SECOND, 5 * HOUR + SECOND], {1: 0.5, 4: 0.0}, latency=late)
    assert ts == [5 * HOUR + SECOND]
    # Filled two seconds past the hour, it pays the third.
    assert funded([2 * HOUR + 3 * SECOND], {1: 0.5}, latency=late)[0] == [2 * HOUR + 3 * SECOND]


def test_a_reversal_at_the_stamp_pays_on_the_side_that_it_leaves():
    ts, paid = funded([5 * HOUR, 6 * HOUR], {1: 0.5, 4: -0.5})
    assert ts == [5 * HOUR, 6 * HOUR]
    # 5 were paid, so equity is 99,995 and −0.5 of it, decided before, −500 units still.
    assert paid.tolist() == [5, -5]


def test_funding_that_an_isolated_position_pays_brings_its_liquidation_nearer():
    # 100 units at 100 on a wallet of 1,000, maintenance 5%: 1,000 − F + 100·(p − 100) = 5·p   →   p = (9,000 + F)/95.
    def price(rate):
        data = market(instrument([100, 100, 100, (100, 100, 80, 80)], funding=[(150 * 60 * SECOND, rate)]))
        account = wfbt.Account(cash=5_000, leverage=10, margin="isolated", tiers={"X": [wfbt.Tier(maintenance=0.05)]})
        return wfbt.backtest(data, said(4, {0: 2.0}), costs=FREE, account=account).liquidations["price"][0]

    assert price(0.0) == pytest.approx(9_000 / 95, rel=1e-9)
    assert price(0.01) == pytest.approx(9_100 / 95, rel=1e-9)
