"""Whatever the orders, caps, limits and margins of an account: its ledger adds up, order by order."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

import wfbt
from tests.engine.stage import instrument, market
from wfbt.data.market import HOUR, MINUTE

ROWS = 24 * 45
SCHEDULES = st.sampled_from(
    [
        None,
        None,
        wfbt.Schedule.twap(over=6 * HOUR, slices=6),
        wfbt.Schedule.vwap(over=6 * HOUR, slices=5, profile=3 * 24 * HOUR),
        wfbt.Schedule.pov(0.02),
        wfbt.Schedule.iceberg(0.3),
    ]
)

FEES = (
    wfbt.FeeTier(volume=0, maker_bps=2, taker_bps=5),
    wfbt.FeeTier(volume=1e6, maker_bps=-1, taker_bps=3),
)


def wild(seed, inverse):
    """Two symbols of jumpy hours, the second listed later and gone earlier, with thin volume and funding."""
    rng = np.random.default_rng(seed)
    made = []
    for name, first, last in (("A", 0, ROWS), ("B", 100, ROWS - 90)):
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.012, ROWS)))
        opens = np.r_[100.0, close[:-1]] * np.exp(rng.normal(0, 0.004, ROWS) * (rng.random(ROWS) < 0.1))
        up, down = 1 + rng.uniform(0, 0.01, (2, ROWS))
        rows = list(zip(opens, np.maximum(opens, close) * up, np.minimum(opens, close) / down, close, strict=True))
        there = (np.arange(ROWS) >= first) & (np.arange(ROWS) < last) & (rng.random(ROWS) > 0.03)
        there[[first, last - 1]] = True
        funding = [(t * HOUR, 1e-4) for t in range(8, ROWS, 8)]
        volume = rng.uniform(0, 6_000, ROWS)
        kept = [row if here else None for row, here in zip(rows, there, strict=True)]
        made.append(
            instrument(kept, symbol=name, volume=volume, funding=funding, tick=0.05, lot=0.001, inverse=inverse)
        )  # fmt: skip
    return market(*made)


def intents(data, seed, waits, pairs):
    """Targets on a sixth of the rows, limits near the price, and, where a schedule does not forbid them, triggers and
    pairs."""
    rng = np.random.default_rng(seed)
    out = {}
    for one in data.instruments:
        close, rows = one.bars.close, len(one.bars)
        spoken = rng.random(rows) < 0.15

        def near(share, close=close, rows=rows, spoken=spoken):
            price = close * np.exp(rng.normal(0, 0.01, rows))
            return np.where(spoken & (rng.random(rows) < share), price, np.nan)

        table = {"target": np.where(spoken, rng.choice([-1.5, -0.5, 0.0, 0.5, 1.5], rows), np.nan)}
        table["limit"], table["expire"] = near(0.5), np.where(spoken, rng.integers(1, 30, rows), np.nan)
        table["stop"] = close * 0.03
        if waits:
            table["trigger"] = near(0.3)
        if waits and pairs:
            table["other"] = np.where(spoken & (rng.random(rows) < 0.3), rng.choice([-0.7, 0.0, 0.7], rows), np.nan)
            table["other_limit"] = np.where(np.isnan(table["other"]), np.nan, near(0.7))
        out[one.symbol] = pd.DataFrame(table)
    return out


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    schedule=SCHEDULES,
    inverse=st.booleans(),
    margin=st.sampled_from(["cross", "isolated"]),
    capped=st.booleans(),
    post_only=st.booleans(),
    touch=st.sampled_from([0.0, 0.1]),
    paced=st.booleans(),
    act=st.sampled_from([None, "cap", "refuse", "flatten"]),
    delay=st.sampled_from([0, 300_000_000, 95 * MINUTE]),
    at_fill=st.booleans(),
    pairs=st.booleans(),
)
def test_orders_fills_cash_and_equity_always_add_up(
    seed, schedule, inverse, margin, capped, post_only, touch, paced, act, delay, at_fill, pairs
):
    data = wild(seed, inverse)
    exposure = wfbt.Exposure()
    if act is not None:
        exposure = wfbt.Exposure(gross=wfbt.Cap(1.6, act), asset=wfbt.Cap(1.2, act), stops=wfbt.Cap(0.06, act))
    ledger = wfbt.backtest(
        data,
        intents(data, seed, schedule is None, pairs),
        costs=wfbt.Costs(
            participation=wfbt.Participation() if capped else None,
            fee_tiers=FEES,
        ),
        latency=wfbt.Latency.constant(delay),
        account=wfbt.Account(cash=1e3 if inverse else 1e5, leverage=4, margin=margin, maintenance=0.05),
        sizing=wfbt.Sizing(price="fill" if at_fill else "decision"),
        exits=wfbt.Exits(trail_atr=3, trail_follow=True, ratchet=wfbt.Ratchet(after=1, keep=0.5)),
        limits=wfbt.Limits(max_daily_loss=0.2, losses=4, cool_down=10 * HOUR, exposure=exposure),
        orders=wfbt.Orders(
            post_only=post_only and schedule is None,
            touch=touch,
            schedule=schedule,
            min_interval=90 * MINUTE if paced else 0,
            max_open=3 if paced else None,
        ),
        seed=seed,
    )  # fmt: skip
    ledger.reconcile()
    orders, fills = ledger.orders_frame(), ledger.fills
    assert orders["order"].is_unique
    by_parent = dict.fromkeys(orders["order"], 0.0)
    for parent, qty in zip(fills["parent"], fills["qty"], strict=True):
        if parent in by_parent:
            by_parent[parent] += qty
    np.testing.assert_allclose(orders["filled"], list(by_parent.values()), rtol=1e-9, atol=1e-9)
    assert (orders["filled"][orders["outcome"] == "rejected"] == 0).all()
    assert ledger.liquidations["shortfall"].sum() <= ledger.shortfall.sum() * (1 + 1e-12)
    if not pairs:
        # No fill is beyond the limit of its order.
        limit = orders.set_index("order")["limit"].reindex(fills["parent"]).to_numpy()
        assert not (np.sign(fills["qty"]) * (fills["price"] - limit) > 1e-9 * limit).any()
