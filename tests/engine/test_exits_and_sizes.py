"""Exits that move with the market, and sizes that shrink with it."""

import numpy as np
import pandas as pd
import pytest

import wfbt
from tests.engine.stage import FREE, filled, instrument, market, said
from wfbt.data.market import DAY
from wfbt.errors import PolicyError


def stopped(rows, exits, side=1, **spoken):
    """The last fill of a position of half the account taken at the open of row 2."""
    data = market(instrument(rows, tick=0.01))
    ledger = wfbt.backtest(
        data, said(len(rows), {1: {"target": side * 0.5, **spoken}}), costs=FREE, exits=exits
    )  # fmt: skip
    ledger.reconcile()
    return filled(ledger, "row", "price", "reason")[1:]


RATCHET = wfbt.Exits(ratchet=wfbt.Ratchet(after=2, keep=0.5))


@pytest.mark.parametrize(
    ("best", "fall", "exit"),
    [
        # Two stop distances are 10: at 109 the stop still lies at 95, at 110 half of the way is kept, at 116 too.
        (109, 96, []),
        (109, 94, [(4, 95, "stop")]),
        (110, 104, [(4, 105, "ratchet")]),
        (116, 104, [(4, 108, "ratchet")]),
        (116, 108.5, []),
    ],
)
def test_a_ratchet_keeps_its_share_of_the_way_once_the_price_is_so_many_stops_beyond_the_entry(best, fall, exit):
    rows = [100, 100, 100, (100, best, 100, best), (best, best, fall, fall), fall]
    assert stopped(rows, RATCHET, stop=5.0) == exit
    mirrored = [100, 100, 100, (100, 100, 200 - best, 200 - best)]
    mirrored += [(200 - best, 200 - fall, 200 - best, 200 - fall), 200 - fall]
    assert stopped(mirrored, RATCHET, side=-1, stop=5.0) == [(row, 200 - price, why) for row, price, why in exit]


def test_a_ratchet_never_lets_go_of_what_it_has():
    # 120 keeps 110; a fall to 112 and a rise to 118 change nothing.
    rows = [100, 100, 100, (100, 120, 100, 115), (115, 118, 112, 114), (114, 114, 109, 109)]
    assert stopped(rows, RATCHET, stop=5.0) == [(5, 110, "ratchet")]


def test_a_ratchet_measures_by_the_stop_at_the_entry_and_is_refused_without_one():
    rows = [100, 100, 100, (100, 120, 100, 120), (120, 120, 101, 101), 101]
    with pytest.raises(PolicyError, match="there is no stop"):
        stopped(rows, RATCHET)
    assert stopped(rows, RATCHET, stop=11.0) == []  # two of 11 are beyond 120
    assert stopped(rows, RATCHET, stop=10.0) == [(4, 110, "ratchet")]


def test_a_trail_that_follows_widens_with_the_range_and_one_that_does_not_stays_as_it_was():
    # Ranges of 1, with an ATR over two bars of 1 at the decision: twice that is 2.  Row 6 has a range of 6, so that the
    # ATR is (1 + 6)/2 = 3.5 (Wilder's mean of two) and the trail 7 from then on: 106 − 7 = 99 instead of 104.
    calm = (100, 100.5, 99.5, 100)
    rows = [calm] * 6 + [(100, 106, 100, 106), (106, 106, 102, 103), (103, 103, 98, 98), 98]

    def trail(follow):
        data = market(instrument(rows, tick=0.01))
        exits = wfbt.Exits(atr=2, trail_atr=2.0, trail_follow=follow)
        ledger = wfbt.backtest(data, said(len(rows), {4: 0.5}), costs=FREE, exits=exits)
        return filled(ledger, "row", "price", "reason")[1:]

    assert trail(False) == [(7, 104, "trail")]
    # Row 7 has a range of 4: (3.5 + 4)/2 = 3.75, 7.5 from 106.
    assert trail(True) == [(8, 98.5, "trail")]


# Sizes.  100,000 at 100: a target of 1 is 1,000 units.


def test_a_size_shrinks_in_proportion_to_how_far_volatility_is_above_the_goal():
    closes = [100.0 + i % 2 for i in range(200)]
    returns = np.array(closes[111:141]) / closes[110:140] - 1
    annual = returns.std(ddof=1) * np.sqrt(24 * 365)
    data = market(instrument(closes))

    def size(goal):
        sizing = wfbt.Sizing(quiet_volatility=goal)
        return wfbt.backtest(data, said(200, {140: 0.8}), costs=FREE, sizing=sizing).fills["qty"][0]

    assert size(annual / 4) == pytest.approx(200, rel=1e-9)
    assert size(annual * 0.9) == pytest.approx(720, rel=1e-9)
    assert size(annual * 1.1) == pytest.approx(800, rel=1e-12)


def days_of(returns, symbol):
    closes = np.cumprod(np.r_[1.0, 1 + returns])
    return instrument([float(c) for c in 100 * closes / closes[-1]], symbol=symbol, period=DAY)


def sizes_of(*returns):
    """Units bought for targets of 0.2 decided on row 60 at closes of 100."""
    names = "ABCD"[: len(returns)]
    still = [np.r_[r, 0.0, 0.0] for r in returns]
    data = market(*(days_of(r, name) for r, name in zip(still, names, strict=True)))
    rows = len(data.instruments[0].bars)
    ledger = wfbt.backtest(
        data, {name: said(rows, {60: 0.2}) for name in names}, costs=FREE, sizing=wfbt.Sizing(diversify=True)
    )  # fmt: skip
    return ledger.fills["qty"]


def test_sizes_shrink_by_the_mean_correlation_with_the_other_symbols():
    a, b, c = np.random.default_rng(8).normal(0, 0.02, (3, 60))
    b += a
    rho = np.corrcoef([a, b, c])
    expected = []
    for k in range(3):
        mean = max((rho[k].sum() - 1) / 2, 0.0)
        expected.append(200 / np.sqrt(1 + 2 * mean))
    np.testing.assert_allclose(sizes_of(a, b, c), expected, rtol=1e-9)
    assert expected[0] < 190


def test_symbols_that_are_the_same_are_sized_as_one_and_opposite_ones_are_not_enlarged():
    a = np.random.default_rng(9).normal(0, 0.01, 60)
    np.testing.assert_allclose(sizes_of(a, a), 200 / np.sqrt(2), rtol=1e-9)
    np.testing.assert_allclose(sizes_of(a, -a), 200, rtol=1e-9)
    np.testing.assert_allclose(sizes_of(a, a, a, a), 200 / np.sqrt(1 + 3), rtol=1e-9)


def test_sizes_are_what_was_known_when_the_target_was_new():
    # The price calms down after the decision; the position stays as small as it was made.
    closes = [100.0 + i % 2 for i in range(141)] + [100.0] * 59
    sizing = wfbt.Sizing(quiet_volatility=0.2)
    ledger = wfbt.backtest(market(instrument(closes)), np.full(200, 0.8), costs=FREE, sizing=sizing)
    assert len(ledger.fills) == 1


TENTH = wfbt.Exits(stop_pct=0.1)
FALL = [100, 100, 100, (100, 100, 85, 85), 85, 85, (85, 85, 70, 70), 70]


def under_a_tenth(targets, stops):
    """Reasons, rows and prices of all fills, the columns being as long as FALL or shorter."""
    rows = FALL[: len(targets)]
    wants = pd.DataFrame({"target": targets, "stop": stops})
    ledger = wfbt.backtest(market(instrument(rows, tick=0.01)), wants, costs=FREE, exits=TENTH)
    return filled(ledger, "reason", "row", "price")


def test_a_column_that_never_has_a_stop_does_not_switch_the_section_s_off():
    entry, none = ("target", 2, 100), np.nan
    assert under_a_tenth([none, 0.5, none, none], [none] * 4) == [entry, ("stop", 3, 90)]
    assert under_a_tenth([none, 0.5, none, none], [none, 14.0, none, none]) == [entry, ("stop", 3, 86)]


def test_from_a_column_s_first_number_on_a_missing_one_means_no_stop():
    none = np.nan
    assert [why for why, _, _ in under_a_tenth([0.1, 0.5, none, none], [40.0, none, none, none])] == ["target"] * 2


def test_a_stop_that_a_column_gives_later_does_not_change_what_was_stopped_before():
    none = np.nan
    targets = [none, 0.5, none, none, 0.4, none, none, none]
    never, late = under_a_tenth(targets, [none] * 8), under_a_tenth(targets, [none] * 7 + [20.0])
    assert never == late
    assert [why for why, _, _ in never] == ["target", "stop", "target", "stop"]
