"""The compiled replay of order books against its twin, and what must hold of any replay."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.book import twin
from tests.book.feeds import generated
from tests.book.policies import anything, on_twin
from wfbt.engine import book_replay
from wfbt.engine.book_events import BookEvents
from wfbt.engine.book_replay import SECOND, BookLedger, replay_book
from wfbt.engine.book_venue import (
    Asking,
    BookAccount,
    BookModel,
    BookVenue,
    Delays,
    Funding,
    Pressure,
    round_trips,
)
from wfbt.kernels.book_abi import open_hall
from wfbt.kernels.book_codes import Kind
from wfbt.kernels.book_policies import imbalance_taker, market_maker
from wfbt.kernels.ladder import NOTHING

MS = 1_000_000
START = 1_700_000_000_000_000_000
QUEUES = {"risk_averse": "risk_averse", "power": "power1", "power2": "power2", "power3": "power3", "log": "log1"}
QUEUES["log2"] = "log2"


def feed(rows=400, seed=0, **other):
    return BookEvents(**generated(rows, seed, **other))


def as_twin(events):
    return twin.Feed(**{name: getattr(events, name).tolist() for name in BookEvents.__slots__})


def delays_of(delays, linear):
    return twin.Delays(
        ts=list(map(int, delays.ts)),
        delay=list(map(int, delays.delay)),
        linear=linear,
        lost=delays.flags().tolist(),
        bounce=list(map(int, delays.delay if delays.bounce is None else delays.bounce)),
    )


def told_by_twin(events, venues, policy, params, asking, model, account, first_id):
    made = [
        twin.Venue(
            tick_size=v.tick_size,
            lot_size=v.lot_size,
            multiplier=v.multiplier,
            inverse=v.inverse,
            maker=v.maker_bps / 1e4,
            taker=v.taker_bps / 1e4,
            partial=model.partial,
            queue=QUEUES[model.queue],
            power=model.power,
            depletion=model.depletion,
            impact=None if v.impact is None else twin.Delays(list(v.impact.ts), list(v.impact.coefficient)),
            entry=delays_of(v.entry, model.interpolate),
            response=delays_of(v.response, model.interpolate),
            funding=[]
            if v.funding is None
            else list(zip(v.funding.ts.tolist(), v.funding.rate.tolist(), v.funding.mark.tolist(), strict=True)),
        )
        for v in venues.values()
    ]
    when = twin.Clock(asking.period, asking.start) if asking.period else twin.Local(asking.decide == 2)
    terms = twin.Terms(
        opening=account.cash,
        leverage=account.leverage,
        maintenance=account.maintenance,
        liquidation_fee=account.liquidation_fee_bps / 1e4,
    )
    decide = on_twin(policy, params, len(made), first_id)
    return twin.replay([as_twin(e) for e in events.values()], made, decide, when, terms)


def both(events, venue, policy, params, asking=None, model=None, account=None, first_id=0):
    """The kernel's ledger and the twin's replay; one venue for all symbols unless there are several."""
    events = events if isinstance(events, dict) else {"X": events}
    venues = venue if isinstance(venue, dict) else dict.fromkeys(events, venue)
    asking, model, account = asking or Asking.clock(3 * MS), model or BookModel(), account or BookAccount()
    ledger = replay_book(events, venues, policy, params, asking=asking, model=model, account=account, first_id=first_id)
    return ledger, told_by_twin(events, venues, policy, params, asking, model, account, first_id)


def shown(tick, none):
    return none if tick is None else tick


def same(ledger, run):
    """Assert that both say the same: fills, samples, accounts, orders at rest."""
    names = ("exch_ts", "local_ts", "symbol", "id", "side", "tick", "lots", "price", "maker", "fee", "reason")
    ours = [tuple(fill[name].item() for name in names) for fill in ledger.fills]
    theirs = [tuple(-1 if n == "id" and getattr(f, n) is None else getattr(f, n) for n in names) for f in run.fills]
    assert ours == theirs
    names = ("ts", "local_bid", "local_ask", "bid", "ask", "local_position", "position")
    names += ("local_cash", "local_fees", "cash", "fees")
    expected = [
        (t, shown(a, NOTHING), shown(b, -NOTHING), shown(c, NOTHING), shown(d, -NOTHING), *rest)
        for row in run.samples
        for t, a, b, c, d, *rest in row
    ]
    assert [tuple(x[name].item() for name in names) for x in ledger.samples] == expected
    assert ledger.halted == run.halted
    at_rest = sorted((o.id, o.lots - o.filled, o.front) for exchange in run.exchanges for o in exchange.orders.values())
    assert sorted((int(o["id"]), int(o["leaves"]), float(o["front"])) for o in ledger.working) == at_rest


VENUE = BookVenue(
    tick_size=0.1, lot_size=0.001, maker_bps=-0.5, taker_bps=7.0, entry=Delays.constant(2 * MS),
    response=Delays.constant(3 * MS),
)  # fmt: skip


@pytest.mark.parametrize("partial", [False, True])
def test_the_market_maker_s_replay_is_the_twin_s(partial):
    ledger, run = both(feed(3000), VENUE, market_maker, [2, 6, 0], model=BookModel(partial=partial))
    same(ledger, run)
    assert len(ledger.fills) > 10


def test_the_imbalance_taker_s_replay_is_the_twin_s():
    ledger, run = both(feed(3000), VENUE, imbalance_taker, [2, 6, 0.3], model=BookModel(depletion=True))
    same(ledger, run)
    assert len(ledger.fills) > 10


def trips(seed, lossy):
    """Measured round trips every 20 ms, some requests lost."""
    rng = np.random.default_rng(seed)
    sent = START + np.arange(0, 400, 20) * MS + rng.integers(0, 3 * MS, 20)
    met = sent + rng.integers(0, 6 * MS, 20)
    known = np.maximum.accumulate(met + rng.integers(0, 6 * MS, 20))
    lost = rng.random(20) < (0.2 if lossy else 0.0)
    return round_trips(sent, np.where(lost, 0, met + np.arange(20)), known + np.arange(20))


CONSTANT = st.sampled_from([0, 1 * MS, 7 * MS]).map(Delays.constant)
WAYS = st.tuples(CONSTANT, CONSTANT) | st.builds(trips, st.integers(0, 99), st.booleans())
ASKINGS = st.sampled_from(
    [Asking.clock(1 * MS), Asking.clock(5 * MS, START), Asking.arrivals(False), Asking.arrivals(True)]
)
POWERS = st.sampled_from([1.0, 2.5, 3.0])
FORMS = st.sampled_from(sorted(QUEUES))
MODELS = st.builds(
    BookModel, partial=st.just(True), queue=FORMS, power=POWERS, depletion=st.booleans(), interpolate=st.booleans()
) | st.builds(BookModel, partial=st.just(False), queue=FORMS, interpolate=st.booleans())
ACCOUNTS = st.just(BookAccount()) | st.builds(
    BookAccount, cash=st.sampled_from([1e3, 2e4]), leverage=st.sampled_from([0.0, 2.0]),
    maintenance=st.sampled_from([0.0, 0.3]), liquidation_fee_bps=st.just(50.0),
)  # fmt: skip
FUNDING = Funding(ts=START + np.array([40, 90]) * MS, rate=np.array([1e-3, -2e-3]), mark=np.array([np.nan, 5e4]))
PRESSURE = Pressure(ts=np.array([0, START + 50 * MS]), coefficient=np.array([0.001, 0.002]))


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6), asking=ASKINGS, model=MODELS, ways=WAYS, account=ACCOUNTS, quirks=st.booleans(),
    lots=st.sampled_from([2, 12]), inverse=st.booleans(), modifies=st.booleans(), two=st.booleans(),
    funding=st.sampled_from([None, FUNDING]), pressure=st.sampled_from([None, PRESSURE]),
)  # fmt: skip
def test_whatever_is_requested_the_replay_is_the_twin_s(
    seed, asking, model, ways, account, quirks, lots, inverse, modifies, two, funding, pressure
):
    venue = BookVenue(
        tick_size=0.5, lot_size=0.01, multiplier=2.0, inverse=inverse, maker_bps=1.0, taker_bps=5.0,
        entry=ways[0], response=ways[1], funding=funding, impact=pressure if model.partial else None,
    )  # fmt: skip
    events = {"X": feed(350, seed, quirks=quirks)}
    if two:
        events["Y"] = feed(250, seed + 1, quirks=quirks)
    params = [seed, lots, 4, modifies]
    same(*both(events, venue, anything, params, asking, model, account))


def parts(events, cuts):
    """The same rows in consecutive parts."""
    edges = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    names = BookEvents.__slots__
    return [BookEvents(**{name: getattr(events, name)[a:b] for name in names}) for a, b in pairwise(edges)]


def alike(one, other):
    """Every number of two ledgers is the same, bit for bit."""
    for name in BookLedger.__slots__:
        a, b = getattr(one, name), getattr(other, name)
        assert a.tobytes() == b.tobytes() if isinstance(a, np.ndarray) else a == b, name


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6), asking=ASKINGS, model=MODELS, cuts=st.lists(st.integers(0, 400), max_size=6),
    two=st.booleans(),
)  # fmt: skip
def test_a_feed_in_parts_is_replayed_like_the_whole(seed, asking, model, cuts, two):
    events = {"X": feed(350, seed)} | ({"Y": feed(250, seed + 1)} if two else {})
    venues = dict.fromkeys(events, VENUE)
    given_ = {"asking": asking, "model": model, "first_id": 0}
    whole = replay_book(events, venues, anything, [seed, 6, 4, 1], **given_)
    pieces = {symbol: iter(parts(one, cuts)) for symbol, one in events.items()}
    alike(whole, replay_book(pieces, venues, anything, [seed, 6, 4, 1], late=SECOND, **given_))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), asking=ASKINGS, model=MODELS, at=st.integers(200, 300))
def test_what_has_not_arrived_decides_nothing(seed, asking, model, at):
    events = feed(350, seed)
    now = int(events.local_ts[at])
    later = events.local_ts > now
    rng = np.random.default_rng(seed)
    changed = {name: getattr(events, name).copy() for name in BookEvents.__slots__}
    changed["lots"][later] = rng.integers(1, 50, later.sum())
    changed["side"][later & (events.kind != Kind.CLEAR)] *= -1
    given_ = {"asking": asking, "model": model, "first_id": 0}
    before = replay_book({"X": events}, {"X": VENUE}, anything, [seed, 6, 4, 0], **given_)
    after = replay_book({"X": BookEvents(**changed)}, {"X": VENUE}, anything, [seed, 6, 4, 0], **given_)
    # What happened unseen can have come back in an answer, but not before the 3 ms that one takes.
    until = min(now, int(events.exch_ts[later].min(initial=2**62)) + 3 * MS)
    assert (before.samples["ts"] < until).any()
    for name in ("ts", "local_bid", "local_ask", "local_position", "local_cash", "local_fees"):
        one, other = (x.samples[name][x.samples["ts"] < until] for x in (before, after))
        assert one.tolist() == other.tolist()
    assert sent(before, until) == sent(after, until)


def sent(ledger, until):
    """What was requested before a time: (id, half, ticks, lots, type) of every order."""
    ended = {(int(o["id"]), int(o["side"]) < 0, abs(int(o["tick"])), int(o["total"]), int(o["type"]))
             for o in ledger.orders if o["sent"] < until}  # fmt: skip
    return ended | {(int(o["id"]), int(o["half"]) == 1, abs(int(o["step"])), int(o["total"]), int(o["type"]))
                    for o in ledger.working if o["sent"] < until}  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), depletion=st.booleans())
def test_no_lot_is_filled_twice(seed, depletion):
    events = feed(350, seed)
    model = BookModel(depletion=depletion)
    done = replay_book({"X": events}, {"X": VENUE}, anything, [seed, 12, 4, 1], asking=Asking.clock(MS), model=model)
    for order in done.orders:
        mine = done.fills[done.fills["id"] == order["id"]]
        assert mine["lots"].sum() == order["filled"] <= order["total"]
        assert (mine["lots"] > 0).all()
    signed = done.fills["side"] * done.fills["lots"]
    assert done.positions.tolist() == [signed.sum()]
    brought = {}
    for row in range(len(events)):
        if events.kind[row] == Kind.TRADE or events.kind[row] == Kind.DEPTH:
            key = (int(events.exch_ts[row]), int(-events.side[row]))
            brought[key] = brought.get(key, 0) + int(events.lots[row])
    rested = done.fills[done.fills["maker"] == 1]
    for key in {(int(f["exch_ts"]), int(f["side"])) for f in rested}:
        got = rested["lots"][(rested["exch_ts"] == key[0]) & (rested["side"] == key[1])].sum()
        assert got <= brought[key]


def test_fills_cash_and_position_add_up_to_the_accounts():
    done = replay_book({"X": feed(2000)}, {"X": VENUE}, market_maker, [2, 6, 0], asking=Asking.clock(3 * MS))
    fills = done.fills
    worth = fills["price"] * fills["lots"] * VENUE.lot_size
    assert done.exchange["cash"][0] == pytest.approx(-(fills["side"] * worth).sum(), rel=1e-12)
    assert done.exchange["fees"][0] == pytest.approx(fills["fee"].sum(), rel=1e-12)
    assert done.exchange["trades"][0] == len(fills) > 20
    assert done.local.tobytes() == done.exchange.tobytes()
    assert done.known.tolist() == done.positions.tolist()


def test_small_rooms_change_no_number(monkeypatch):
    events, asking = {"X": feed(1500, 5)}, Asking.arrivals(True)
    model = BookModel(depletion=True)
    wide = replay_book(events, {"X": VENUE}, anything, [3, 6, 4, 1], asking=asking, model=model, first_id=0)
    small = partial(open_hall, places=16, ring=8, messages=16)
    monkeypatch.setattr(book_replay, "open_hall", small)
    monkeypatch.setattr(book_replay, "ROOM", 2)
    alike(wide, replay_book(events, {"X": VENUE}, anything, [3, 6, 4, 1], asking=asking, model=model, first_id=0))
