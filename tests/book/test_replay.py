"""Facts about any replay of any feed: causality, conservation, agreement of the modes, and the peer's outcomes."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.book.feeds import generated
from tests.book.naive_book import DEPTH, TRADE
from tests.book.naive_exchange import Exchange
from tests.book.parity import feed_of, job_of, ours
from tests.book.strategies import arbitrary, market_maker
from tests.book.twin import Clock, Delays, Feed, Local, Venue, replay

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
MS = 1_000_000
MODELS = ("risk_averse", "power1", "power2", "power3", "log1", "log2")


def run(rows, decide, when=None, **venue):
    settings = {
        "tick_size": 0.5,
        "lot_size": 0.25,
        "entry": Delays.constant(5 * MS),
        "response": Delays.constant(5 * MS),
    } | venue
    return replay([Feed(**rows)], [Venue(**settings)], decide, when or Clock(MS))


def plain(fills):
    return [(f.exch_ts, f.id, f.side, f.tick, f.lots, f.maker) for f in fills]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_peers_outcome_is_met_fill_by_fill(path):
    told = json.loads(path.read_text())
    job = job_of(path.stem, told["rows"])
    mine = ours(job, feed_of(job))
    assert mine["fills"].tolist() == told["fills"]
    assert len(mine["seen"]) == told["decisions"]
    final = np.array(told["final"])
    assert mine["final"][3] == final[3]
    assert round(mine["final"][0] / job["lot_size"]) == round(final[0] / job["lot_size"])
    np.testing.assert_allclose(mine["final"][[4, 5]], final[[4, 5]], rtol=1e-12)
    # Balance and fees are differences of sums: their rounding is that of what was summed.
    np.testing.assert_allclose(mine["final"][[1, 2]], final[[1, 2]], rtol=0, atol=1e-12 * final[5])


def test_the_peers_outcomes_are_there():
    assert len(GOLDEN) >= 10
    assert sum(len(json.loads(path.read_text())["fills"]) for path in GOLDEN) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("partial", [True, False])
@given(seed=st.integers(0, 1000), model=st.sampled_from(MODELS), local=st.booleans())
@settings(max_examples=10, deadline=None)
def test_what_happens_after_an_instant_changes_nothing_decided_by_then(partial, seed, model, local):
    rows = generated(600, seed=seed)
    asked = {}

    def recorded(inner, name):
        def decide(view):
            inner(view)
            asked.setdefault(name, []).append(
                (view.now, sorted((o.id, o.side, o.tick, o.lots) for o in view[0].orders.values()))
            )

        return decide

    when = Local() if local else Clock(MS)
    before = run(rows, recorded(arbitrary(seed), "as it was"), when, partial=partial, queue=model)
    middle = int(np.median(rows["exch_ts"]))
    later = rows["exch_ts"] > middle
    rng = np.random.default_rng(seed)
    scrambled = {name: x.copy() for name, x in rows.items()}
    scrambled["lots"][later] = rng.permutation(scrambled["lots"][later]) + 1
    scrambled["tick"][later] += rng.integers(-3, 4, later.sum())
    after = run(scrambled, recorded(arbitrary(seed), "scrambled"), when, partial=partial, queue=model)
    first, second = ([x for x in asked[name] if x[0] <= middle] for name in ("as it was", "scrambled"))
    assert first == second and len(first) > 10
    known = [[s for s in r.samples if s[0][0] <= middle] for r in (before, after)]
    assert known[0] == known[1]
    assert plain(f for f in before.fills if f.exch_ts <= middle) == plain(f for f in after.fills if f.exch_ts <= middle)
    assert plain(before.fills) != plain(after.fills)


@given(seed=st.integers(0, 1000), model=st.sampled_from(MODELS))
@settings(max_examples=10, deadline=None)
def test_no_event_fills_more_of_ours_than_it_brings(seed, model):
    brought = {}

    class Watched(Exchange):
        def data(self, now, kind, side, tick, lots):
            before = len(self.replay.fills)
            better = self.book.best(side) is None or side * tick > side * self.book.best(side) if side else False
            prev = self.book.lots(side, tick) if side else 0
            super().data(now, kind, side, tick, lots)
            filled = sum(f.lots for f in self.replay.fills[before:])
            arriving = lots if kind == TRADE or better else max(lots - prev, 0)
            assert filled <= (arriving if kind in (DEPTH, TRADE) else 0)
            brought["fills"] = brought.get("fills", 0) + filled

        def sweep(self, now, order, taken, reason=0):
            for tick, lots in taken:
                assert lots + self.depleted.get((-order.side, tick), 0) <= self.book.shown(-order.side, tick)
            super().sweep(now, order, taken, reason)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.book.twin.Exchange", Watched)
        done = run(generated(600, seed=seed), arbitrary(seed), queue=model, depletion=True)
    assert brought["fills"] > 0
    holding = done.exchanges[0].holding
    assert holding.position == sum(f.side * f.lots for f in done.fills)
    assert done[0].position == holding.position
    for order in done.exchanges[0].orders.values():
        assert order.filled == sum(f.lots for f in done.fills if f.id == order.id) and order.leaves > 0


@given(seed=st.integers(0, 1000), model=st.sampled_from(MODELS))
@settings(max_examples=10, deadline=None)
def test_own_orders_of_a_level_never_overtake_each_other(seed, model):
    fronts = []

    class Watched(Exchange):
        def data(self, now, *row):
            super().data(now, *row)
            for order, after in pairwise(self.mine(row[1], at=row[2])):
                fronts.append(after.front - order.front)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.book.twin.Exchange", Watched)
        run(generated(600, seed=seed), arbitrary(seed), queue=model)
    assert min(fronts, default=0.0) >= -0.5  # a credit of less than half a lot is not a place


def test_single_lots_alone_at_their_level_fill_alike_in_both_modes():
    rows = generated(20_000, seed=5, quirks=False)
    partly, whole = (run(rows, market_maker(0, 1, 10, 1), Clock(10 * MS), partial=partial) for partial in (True, False))
    assert plain(partly.fills) == plain(whole.fills) and len(whole.fills) > 100


def test_a_longer_delay_never_fills_a_taker_sooner():
    rows = generated(5_000, seed=6)
    times = []
    for delay in (0, 3, 9):
        done = run(rows, arbitrary(6), Clock(20 * MS), entry=Delays.constant(delay * MS))
        times.append({f.id: f.exch_ts for f in done.fills if not f.maker})
    common = set(times[0]) & set(times[1]) & set(times[2])
    assert len(common) > 10
    assert all(times[0][i] < times[1][i] < times[2][i] for i in common)


def test_generated_feeds_are_the_same_for_the_same_seed_and_have_every_quirk():
    rows, again = generated(50_000, seed=9), generated(50_000, seed=9)
    assert all(np.array_equal(rows[name], again[name]) for name in rows)
    assert not np.array_equal(rows["tick"], generated(50_000, seed=10)["tick"])
    assert (np.diff(rows["local_ts"]) >= 0).all() and (rows["local_ts"] >= rows["exch_ts"]).all()
    assert (np.diff(rows["exch_ts"]) < 0).any()
    assert (rows["kind"] == 2).sum() > 1
    from tests.book.naive_book import Book

    book, hidden = Book(), 0
    for i in np.argsort(rows["exch_ts"], kind="stable"):
        kind, side, tick, lots = (int(rows[name][i]) for name in ("kind", "side", "tick", "lots"))
        if kind == DEPTH:
            book.depth(side, tick, lots)
            hidden += sum(k > book.top[s] for s in (1, -1) for k in book.stored[s])
        elif kind == 2:
            book.clear(side)
    assert hidden > 100
