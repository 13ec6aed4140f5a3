"""Late and missed decisions, against hand-made cases and a slow twin."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.naive import late as naive
from tests.validation.test_realism import COSTS, ROWS, decided, market, swings
from wfbt.data.market import HOUR
from wfbt.engine.account import Exits
from wfbt.engine.backtest import replay_ledger
from wfbt.kernels.abi import INTENT
from wfbt.validation.robustness.timing import NEVER, delayed, entries, skipped

PLAIN = Exits()


def said(*decisions, asset=0):
    out = np.zeros(len(decisions), INTENT)
    for name in ("stop", "take", "trail", "limit", "trigger", "other_size", "other_limit", "other_trigger"):
        out[name] = np.nan
    out["expire"] = NEVER
    out["asset"] = asset
    out["row"], out["size"] = [row for row, _ in decisions], [size for _, size in decisions]
    return out


def told(intents):
    return list(zip(intents["row"].tolist(), intents["size"].tolist(), strict=True))


@pytest.fixture(scope="module")
def deck():
    return decided(market(), swings(market())).deck


def follow(made, intents):
    return replay_ledger(made.deck, intents, made.rules, made.first, made.last)


@pytest.mark.parametrize("bars", [1, 3])
def test_a_decision_late_by_some_bars_is_the_target_named_that_much_later(bars):
    data = market(symbols=("X", "Y"))
    targets = swings(data)
    on_time = decided(data, targets, costs=COSTS, exits=PLAIN)
    later = {name: np.r_[np.zeros(bars), one[:-bars]] for name, one in targets.items()}
    want = decided(data, later, costs=COSTS, exits=PLAIN)
    got = delayed(on_time.deck, on_time.intents, np.full(len(on_time.intents), bars))
    assert np.array_equal(follow(on_time, got).equity, follow(want, want.intents).equity)
    assert follow(on_time, got).equity[-1] != follow(on_time, on_time.intents).equity[-1]


def test_nothing_late_is_nothing_changed(deck):
    intents = said((10, 1.0), (20, 0.0), (30, -1.0))
    assert delayed(deck, intents, np.zeros(3, np.int64)).tobytes() == intents.tobytes()


def test_a_decision_that_the_next_one_overtakes_is_never_made(deck):
    intents = said((10, 1.0), (12, 0.0), (30, -1.0))
    assert told(delayed(deck, intents, np.array([2, 0, 0]))) == [(12, 0.0), (30, -1.0)]
    assert told(delayed(deck, intents, np.array([1, 0, 0]))) == [(11, 1.0), (12, 0.0), (30, -1.0)]


def test_a_decision_later_than_the_last_bar_is_never_made(deck):
    intents = said((10, 1.0), (ROWS - 2, 0.0))
    assert told(delayed(deck, intents, np.array([0, 2]))) == [(10, 1.0)]


def test_a_late_order_lapses_as_much_later(deck):
    intents = said((10, 1.0), (20, 0.0))
    intents["expire"][0] = deck.tape.close_ts[14]
    late = delayed(deck, intents, np.array([3, 0]))
    assert late["expire"].tolist() == [deck.tape.close_ts[14] + 3 * HOUR, NEVER]


def test_a_symbol_counts_its_own_bars():
    """Where a symbol has no bar it cannot be late by one."""
    data = market(symbols=("X", "Y"))
    made = decided(data, swings(data))
    gaps = (made.deck.places[0], np.arange(0, ROWS, 5))
    late = delayed(replace(made.deck, places=gaps), said((10, 1.0), asset=1), np.array([2]))
    assert told(late) == [(20, 1.0)]


def test_an_entry_is_a_change_of_side_that_does_not_end_flat():
    intents = said((1, 0.5), (2, 1.0), (3, 0.0), (4, -1.0), (5, 1.0), (6, 0.5), (7, 0.0))
    assert entries(intents).tolist() == [True, False, False, True, True, False, False]


def test_each_symbol_has_entries_of_its_own():
    both = np.concatenate([said((1, 1.0), (3, 0.0)), said((2, 1.0), asset=1)])
    assert entries(both[np.argsort(both["row"])]).tolist() == [True, True, False]


def test_a_missed_entry_leaves_the_account_flat_until_the_next():
    intents = said((1, 0.5), (2, 1.0), (3, 0.0), (4, -1.0))
    assert told(skipped(intents, np.array([True, False, False, False]))) == [(3, 0.0), (4, -1.0)]


def test_a_missed_reversal_ends_the_old_position():
    intents = said((1, 1.0), (2, -1.0), (3, -0.5), (4, 1.0))
    intents["stop"] = 2.0
    left = skipped(intents, np.array([False, True, False, False]))
    assert told(left) == [(1, 1.0), (2, 0.0), (4, 1.0)]
    assert np.isnan(left["stop"][1])


def test_an_account_that_misses_every_entry_never_trades():
    data = market()
    made = decided(data, swings(data))
    missed = skipped(made.intents, np.ones(len(made.intents), bool))
    assert len(follow(made, missed).fills) == 0
    assert len(follow(made, made.intents).fills) > 50


SIZES = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(sizes=SIZES, data=st.data())
def test_late_and_missed_decisions_are_those_of_the_slow_twin(deck, sizes, data):
    n = len(sizes)
    rows = sorted(data.draw(st.lists(st.integers(0, 40), min_size=n, max_size=n, unique=True)))
    decisions = list(zip(rows, sizes, strict=True))
    bars = data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    assert told(delayed(deck, said(*decisions), np.array(bars))) == naive.delayed(decisions, bars, list(range(ROWS)))
    missed = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    want = naive.skipped(decisions, {i for i, one in enumerate(missed) if one})
    assert told(skipped(said(*decisions), np.array(missed))) == want
