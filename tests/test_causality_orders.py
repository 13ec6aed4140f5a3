"""No order, fill, act of a limit or liquidation depends on what comes after it, with everything switched on at once."""

import numpy as np
import pytest

import wfbt
from tests.test_causality import LATENCY, START, SYMBOLS, Seen, differences, draw, market_of, records
from wfbt.data.market import HOUR, MINUTE
from wfbt.engine.account import Ratchet
from wfbt.engine.backtest import replay_ledger
from wfbt.engine.exposure import Cap, Exposure
from wfbt.engine.intents import Lowering
from wfbt.engine.orders import Orders, Participation, Schedule
from wfbt.engine.setup import rules_of, setup_with
from wfbt.engine.tape import lay_out
from wfbt.engine.venue import FeeTier, Tier
from wfbt.kernels.abi import Bound, Outcome, Reason
from wfbt.policy.base import evaluate, load_rule
from wfbt.policy.frames import market_frames

ROWS = 1440  # 60 days: worst days and correlations are judged after 30
CUTS = 5
RULE = """
import numpy as np
import pandas as pd


def waits(bars, n=6, weight=0.5, alone=True):
    \"""Market, limit, stop, stop-limit and two alternative orders in turn, some of which lapse.\"""
    out = {}
    for number, (symbol, frame) in enumerate(bars.items()):
        close = frame["close"]
        moved = close.pct_change(n)
        side = np.sign(moved).where(moved.abs() > 0.004)
        reach = (frame["high"] - frame["low"]).rolling(n).mean()
        kind = (np.arange(len(frame)) // 7 + number) % 5
        orders = {
            "target": weight * side * (1 + 0.1 * ((np.arange(len(frame)) // 3) % 3)),
            "limit": (close - side * 0.4 * reach).where(np.isin(kind, (1, 3, 4))),
            "stop": 4 * reach,
            "expire": pd.Series(np.where(kind < 3, 3.0, np.nan), frame.index),
        }
        if alone:
            orders["limit"] = orders["limit"].where(kind != 3, close + side * 0.8 * reach)
            orders["trigger"] = (close + side * 0.5 * reach).where(np.isin(kind, (2, 3)))
            orders["other"] = (-weight * side).where(kind == 4)
            orders["other_trigger"] = (close - side * 0.6 * reach).where(kind == 4)
        out[symbol] = pd.DataFrame(orders, index=frame.index)
    return out
"""
TIERS = (Tier(up_to=5_000, maintenance=0.01), Tier(up_to=40_000, maintenance=0.04), Tier(maintenance=0.2))
COSTS = wfbt.Costs(
    participation=Participation(order=0.05, hour=0.08),
    fee_tiers=(
        FeeTier(volume=0, maker_bps=2, taker_bps=5),
        FeeTier(volume=1e6, maker_bps=1, taker_bps=4),
        FeeTier(volume=5e6, maker_bps=-0.5, taker_bps=2),
    ),
)
SHARED = {
    "latency": LATENCY,
    "costs": COSTS,
    "account": wfbt.Account(cash=50_000.0, leverage=3, tiers=dict.fromkeys(SYMBOLS, TIERS), traded=5e5),
    "sizing": wfbt.Sizing(band=0.05, quiet_volatility=0.6, diversify=True),
    "exits": wfbt.Exits(take_atr=4.0, ratchet=Ratchet(after=1.0, keep=0.4)),
    "limits": wfbt.Limits(max_daily_loss=0.2, losses=4, cool_down=6 * HOUR),
}
PATIENT = Orders(min_interval=90 * MINUTE, max_open=3, touch=0.2)
WAYS = {
    "orders that wait, under limits on what is held": {
        "orders": PATIENT,
        "limits": wfbt.Limits(
            max_daily_loss=0.2,
            exposure=Exposure(
                gross=Cap(0.9), net=Cap(0.6, "refuse"), asset=Cap(0.35), correlated=Cap(0.5), correlated_at=0.0,
                liquidity=Cap(0.3), window=40,
            ),
        ),
    },
    "orders that wait, under limits on what may be lost": {
        "orders": PATIENT,
        "exits": wfbt.Exits(trail_atr=3.0, trail_follow=True, take_atr=5.0, time=30 * HOUR),
        "limits": wfbt.Limits(
            exposure=Exposure(
                var=Cap(0.03, "refuse"), cvar=Cap(0.04), stops=Cap(0.05), concentration=Cap(0.1),
                volatility=Cap(1.4, "flatten"), window=40, tail=0.1,
            ),
        ),
    },
    "orders that may not take, on isolated margin": {
        "orders": Orders(min_interval=30 * MINUTE, max_open=2, post_only=True),
        "params": {"weight": 4.0},
        "account": wfbt.Account(
            cash=50_000.0, leverage=25, margin="isolated", tiers=dict.fromkeys(SYMBOLS, TIERS)
        ),
        "sizing": wfbt.Sizing(),
        "exits": wfbt.Exits(trail_atr=20.0, trail_follow=True),
    },
    "twap": {"orders": Orders(schedule=Schedule.twap(over=5 * HOUR, slices=5))},
    "vwap": {"orders": Orders(schedule=Schedule.vwap(over=6 * HOUR, slices=4), min_interval=MINUTE, max_open=4)},
    "pov": {"orders": Orders(schedule=Schedule.pov(0.02))},
    "iceberg": {"orders": Orders(schedule=Schedule.iceberg(0.3), touch=0.1)},
}  # fmt: skip
NEVER = np.iinfo(np.int64).max
PAST = tuple(draw(seed, ROWS) for seed in (11, 12, 13))


@pytest.fixture(scope="module")
def rule(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules")
    (folder / "own.py").write_text(RULE)
    return load_rule("own.py:waits", folder)


def seen(rule, market, way):
    given = dict(WAYS[way])
    params = given.pop("params", {}) | {"alone": given["orders"].schedule is None}
    setup = setup_with(**(SHARED | given))
    frames = market_frames(market)
    columns = evaluate(rule, frames, params)
    deck = lay_out(market, setup, 4)
    intents = Lowering(market, deck, setup).lower(columns)
    ledger = replay_ledger(deck, intents, rules_of(setup, deck.horizon))
    ledger.reconcile()
    return Seen(frames=frames, columns=columns, deck=deck, intents=intents, ledger=ledger)


def logged(one, now):
    """(name, values) of what venue, limits and orders have shown by `now`; of an order at work what it was sent as."""
    rows = int(np.searchsorted(one.deck.tape.close_ts, now, side="right"))
    bars = int(np.searchsorted(one.deck.decisions, rows, side="left"))
    activity = one.deck.activity
    ended = int(activity.ended[min(rows, len(activity.ended)) - 1])
    for name in ("traded", "hourly", "follow", "depth", "volatility", "ended"):
        yield f"activity.{name}", getattr(activity, name)[:rows]
    yield "activity.days", activity.days[:ended]
    yield "activity.correlations", activity.correlations[: ended + 1]
    slices = one.deck.venue.slices
    yield from records("slices", slices[: len(slices) * bars // len(one.deck.decisions)])
    orders = one.ledger.orders
    sent = orders[one.deck.tape.close_ts[orders["row"]] <= now]
    for field in ("number", "asset", "row", "expire", "reason", "goal", "limit", "trigger", "arrival"):
        yield f"sent.{field}", sent[field]
    yield from records("ended", sent[sent["ended"] < now])
    yield from records("events", one.ledger.events[one.ledger.events["ts"] <= now])
    yield from records("liquidations", one.ledger.liquidations[one.ledger.liquidations["ts"] < now])


def parted(one, other, now):
    """Names of all that is known at `now` and differs in any bit."""
    pairs = zip(logged(one, now), logged(other, now), strict=True)
    return differences(one, other, now) + [name for (name, a), (_, b) in pairs if a.tobytes() != b.tobytes()]


def altered(row, seed):
    return market_of([path.until(row, draw(seed + number, ROWS)) for number, path in enumerate(PAST)])


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_after_changes_no_order_fill_act_or_liquidation_before(way, rule):
    one = seen(rule, market_of(PAST), way)
    rng = np.random.default_rng(len(way))
    later = 0
    for cut in rng.choice(np.arange(800, ROWS - 60), CUTS, replace=False).tolist():
        now = int(one.ledger.ts[cut])
        other = seen(rule, altered((now - START) // HOUR - 1, 1000 * cut), way)
        assert parted(one, other, now) == [], f"cut at row {cut}"
        later += one.ledger.orders.tobytes() != other.ledger.orders.tobytes()
    assert later == CUTS  # the future did differ


def test_the_comparison_sees_one_bar_too_many(rule):
    way = next(iter(WAYS))
    one = seen(rule, market_of(PAST), way)
    now = int(one.ledger.ts[1000])
    other = seen(rule, altered((now - START) // HOUR - 1, 77), way)
    assert parted(one, other, now) == []
    assert {"activity.traded", "activity.hourly", "equity"} <= set(parted(one, other, now + HOUR))


def test_everything_that_could_leak_happens(rule):
    made = {way: seen(rule, market_of(PAST), way).ledger for way in WAYS}
    outcomes = {int(code) for ledger in made.values() for code in ledger.orders["outcome"]}
    assert outcomes >= {Outcome.FILLED, Outcome.REPLACED, Outcome.EXPIRED, Outcome.REJECTED, Outcome.CANCELLED}
    bounds = {int(code) for ledger in made.values() for code in ledger.events["bound"]}
    assert bounds >= set(Bound), set(Bound) - bounds
    assert {int(code) for ledger in made.values() for code in ledger.events["act"]} == {0, 1, 2}
    reasons = {int(code) for ledger in made.values() for code in ledger.fills["reason"]}
    assert reasons >= {Reason.TARGET, Reason.STOP, Reason.TAKE, Reason.TRAIL, Reason.RATCHET}
    isolated = made["orders that may not take, on isolated margin"]
    assert len(isolated.liquidations) > 0
    for way in ("twap", "vwap", "pov", "iceberg"):
        fills = made[way].fills
        assert (fills["order"] != fills["parent"]).any(), way
    assert all((ledger.orders["expire"] < NEVER).any() for ledger in made.values())
