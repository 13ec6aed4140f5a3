"""Margin tiers and fee tiers against tables worked out by hand."""

import itertools

import numpy as np
import pytest

from wfbt.engine.venue import FeeTier, Tier, fee_tiers, margin_tiers
from wfbt.errors import ConfigError

# BTCUSDT on Binance as announced on 2021-03-18: cap, rate, and the amount worked out by hand,
# each the one before plus cap before × (rate − rate before).
BTCUSDT = [
    (50_000, 0.004, 0),
    (250_000, 0.005, 50),
    (1_000_000, 0.01, 1_300),
    (10_000_000, 0.025, 16_300),
    (20_000_000, 0.05, 266_300),
    (50_000_000, 0.1, 1_266_300),
    (100_000_000, 0.125, 2_516_300),
    (200_000_000, 0.15, 5_016_300),
    (300_000_000, 0.25, 25_016_300),
    (np.inf, 0.5, 100_016_300),
]


def tiers():
    return [Tier(up_to=cap, maintenance=rate) for cap, rate, _ in BTCUSDT]


def test_amounts_of_a_real_venue_come_out_as_it_lists_them():
    (table,) = margin_tiers(["BTCUSDT"], {"BTCUSDT": tiers()}, 0.005)
    np.testing.assert_allclose(table["amount"], [amount for _, _, amount in BTCUSDT], rtol=1e-12)
    np.testing.assert_array_equal(table["cap"], [cap for cap, _, _ in BTCUSDT])


def test_margin_never_jumps_where_a_tier_ends():
    (table,) = margin_tiers(["BTCUSDT"], {"BTCUSDT": tiers()}, 0.005)
    for lower, upper in itertools.pairwise(table):
        edge = lower["cap"]
        assert lower["rate"] * edge - lower["amount"] == pytest.approx(
            upper["rate"] * edge - upper["amount"], rel=1e-12
        )


def test_a_symbol_without_tiers_pays_the_account_s_maintenance_on_all_of_it():
    table = margin_tiers(["SOLUSDT", "BTCUSDT"], {"BTCUSDT": tiers()}, 0.02)
    assert set(table[0]["rate"]) == {0.02} and set(table[0]["amount"]) == {0.0} and set(table[0]["cap"]) == {np.inf}


def test_tiers_that_fall_are_refused():
    with pytest.raises(ConfigError, match="must rise"):
        margin_tiers(["X"], {"X": [Tier(up_to=10, maintenance=0.1), Tier(up_to=20, maintenance=0.05)]}, 0.01)


def test_fee_tiers_begin_at_nothing_traded():
    rates = fee_tiers([FeeTier(volume=0, maker_bps=2, taker_bps=5), FeeTier(volume=1e6, maker_bps=-0.5, taker_bps=3)])
    np.testing.assert_allclose(rates["maker"], [2e-4, -0.5e-4], rtol=1e-15)
    with pytest.raises(ConfigError, match="begin at volume 0"):
        fee_tiers([FeeTier(volume=1, maker_bps=2, taker_bps=5)])
