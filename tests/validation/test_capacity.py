"""What a larger account pays, and where its profit ends."""

from dataclasses import replace

import numpy as np
import pytest

import wfbt
from tests.validation.test_realism import decided, market, swings
from wfbt.engine.tape import terms_of
from wfbt.validation.capacity import Sized, _best, _half, capacity, capacity_section

SIZES = (1e4, 1e5, 1e6, 1e7, 1e8)


def sized(size, annual):
    return Sized(size, annual, 0.0, None, None, None, None, None, annual * size)


def test_slippage_never_falls_with_size_and_half_the_alpha_lies_where_it_is_halved():
    data = market(drift=0.0004, noise=0.002)
    found = capacity(decided(data, swings(data), exits=wfbt.Exits()), SIZES)
    slipped = [one.slippage_bps for one in found.sizes]
    assert slipped == sorted(slipped)
    assert slipped[-1] > 10 * slipped[0]
    assert found.half is not None
    around = capacity(decided(data, swings(data), exits=wfbt.Exits()), [found.half * 0.5, found.half, found.half * 2])
    kept = [one.annual_return / found.alpha for one in around.sizes]
    assert kept[0] > 0.5 > kept[2]
    assert around.alpha == found.alpha


def test_the_square_root_law_is_what_a_single_order_pays():
    # Grinold and Kahn; Toth et al. (2011): Y·σ·√(Q/V) is 20 bps for Y = 1, σ = 200 bps and a hundredth of V.
    data = market(noise=0.0)
    target = np.zeros(24 * 60)
    target[48:] = 1.0
    only_impact = wfbt.Impact(temporary=1.0, permanent=0.0)
    free = wfbt.Costs(taker_bps=0, maker_bps=0, half_spread_bps=0, impact=only_impact)
    one = decided(data, {"X": target}, costs=free, latency=wfbt.Latency.none(), exits=wfbt.Exits())
    price = one.deck.tape.open[49, 0]
    tape = one.deck.tape._replace(
        sigma=np.full(one.deck.tape.open.shape, 0.02), volume=np.full(one.deck.tape.open.shape, 100_000.0 / price)
    )
    deck = replace(one.deck, tape=tape, terms=terms_of(tape, one.deck.contracts, one.deck.horizon))
    told = capacity_section(replace(one, deck=deck), [1e3, 2e3, 4e3])
    assert told["sizes"][0]["slippage_bps"] == pytest.approx(20.0, rel=2e-3)
    assert told["sizes"][2]["slippage_bps"] == pytest.approx(40.0, rel=4e-3)


def test_half_and_best_are_found_on_a_table_that_is_known():
    table = [sized(1e4, 0.2), sized(1e6, 0.0)]
    assert _half(table, 0.2)[0] == pytest.approx(1e5)
    # Profit −(log10 size − 6)² + 9 has its top at a million, whatever the grid.
    table = [sized(size, (9 - (np.log10(size) - 6) ** 2) / size) for size in (3e4, 4e5, 2e6, 5e7)]
    assert _best(table)[0] == pytest.approx(1e6)


@pytest.mark.parametrize(
    ("table", "half", "best"),
    [
        ([sized(1e4, 0.2), sized(1e5, 0.2)], "100% of it is left at 100,000", "profit still grows at 100,000"),
        ([sized(1e4, 0.05), sized(1e5, 0.001)], "less than half of it is left at 10,000", "profit falls from 10,000"),
    ],
)
def test_what_the_sizes_do_not_enclose_is_said(table, half, best):
    (a, why_a), (b, why_b) = _half(table, 0.2), _best(table)
    assert a is None and why_a.startswith(half)
    assert b is None and why_b.startswith(best)


def test_without_alpha_there_is_no_capacity_and_the_reason_says_so():
    data = market()
    told = capacity_section(decided(data, {"X": np.zeros(24 * 60)}), SIZES)
    assert told["half"] is None and "no alpha to wear out" in told["reasons"]["half"]
    assert all(row["slippage_bps"] is None for row in told["sizes"])
    assert told["sizes"][0]["reasons"]["slippage_bps"] == "nothing was traded"


def test_sizes_are_replayed_alike_on_any_number_of_threads():
    data = market(drift=0.0004)
    one = decided(data, swings(data))
    assert capacity(one, SIZES, jobs=1).sizes == capacity(one, SIZES, jobs=3).sizes
