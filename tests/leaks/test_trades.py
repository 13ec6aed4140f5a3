"""Single trades are cut and become others with the bars: a rule that reads later ones is found."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.data.parquet import START, stamps, write
from tests.leaks.looking import strategy
from tests.runs import hours
from tests.test_causality import PAST, market_of
from wfbt.checks import check_lookahead
from wfbt.data.market import HOUR, MINUTE
from wfbt.data.trades import Trades
from wfbt.features.trades import TRADE_COLUMNS
from wfbt.policy.frames import market_frames
from wfbt.validation.futures import STYLES, Spans, altered, prefix, restored
from wfbt.validation.scenarios import Scenario, priced, seen
from wfbt.validation.warmup import since

A_BAR = 12


def made(open_ts, low, high, seed=1):
    """Twelve trades a bar, inside its range."""
    rng = np.random.default_rng(seed)
    count = len(open_ts) * A_BAR
    within = np.sort(rng.integers(0, HOUR // MINUTE, (len(open_ts), A_BAR)), axis=1) * MINUTE
    return {
        "ts": (open_ts[:, None] + within).ravel(),
        "price": np.repeat(low, A_BAR) + rng.random(count) * np.repeat(high - low, A_BAR),
        "qty": np.exp(rng.normal(0, 1, count)),
        "side": np.where(rng.random(count) < 0.5, 1, -1).astype(np.int8),
    }


def traded(market):
    """The same market with trades of its first symbol."""
    first, *others = market.instruments
    trades = Trades(**made(first.bars.open_ts, first.bars.low, first.bars.high))
    return replace(market, instruments=(replace(first, trades=trades), *others))


MARKET = traded(market_of(PAST))
CLOSES = MARKET.instruments[0].bars.close_ts
NOW = int(CLOSES[250])


def columns(market, now=None):
    frame = next(iter(market_frames(market).values()))[list(TRADE_COLUMNS)]
    return frame if now is None else frame[frame.index.asi8 <= now]


def test_a_prefix_holds_no_later_trade_and_says_the_same_of_its_bars():
    cut = prefix(MARKET, NOW).instruments[0].trades
    assert cut.ts[-1] <= NOW
    assert cut.price.base is None
    assert columns(prefix(MARKET, NOW)).to_numpy().tobytes() == columns(MARKET, NOW).to_numpy().tobytes()


@pytest.mark.parametrize("style", STYLES)
def test_an_altered_future_has_other_trades_at_the_same_times(style):
    other = altered(MARKET, Spans.one(NOW, int(CLOSES[-1]), style), np.random.default_rng(1))
    own, its = MARKET.instruments[0].trades, other.instruments[0].trades
    later = own.ts > NOW
    assert np.array_equal(own.ts, its.ts)
    for name, least in (("price", 0.99), ("qty", 0.99), ("side", 0.1)):
        changed = getattr(own, name) != getattr(its, name)
        assert not changed[~later].any()
        assert changed[later].mean() > least, name
    assert columns(other, NOW).to_numpy().tobytes() == columns(MARKET, NOW).to_numpy().tobytes()
    # Each number becomes another in most bars: a rule that reads it one bar early decides otherwise.
    was, now = (columns(one)[MARKET.instruments[0].bars.close_ts > NOW + HOUR] for one in (MARKET, other))
    there = was.notna() & (was != 0)
    assert (there.sum() > 20).all()
    assert ((was != now) & there).sum().gt(0.5 * there.sum()).all()


def test_what_is_restored_has_its_own_trades_up_to_the_cut_and_the_others_after_it():
    spans = Spans(after=CLOSES[[100, 300]], until=CLOSES[[110, 310]], style=np.array([2, 2]))
    other = altered(MARKET, spans, np.random.default_rng(2))
    mixed = restored(MARKET, other, NOW)
    assert columns(mixed, NOW).to_numpy().tobytes() == columns(MARKET, NOW).to_numpy().tobytes()
    own, its, both = (one.instruments[0].trades for one in (MARKET, other, mixed))
    assert (own.price != its.price).any()
    assert np.array_equal(both.price[own.ts > NOW], its.price[own.ts > NOW])


def test_data_that_begin_later_have_no_earlier_trade():
    assert since(MARKET, NOW).instruments[0].trades.ts[0] >= NOW


def test_a_shocked_market_has_shocked_trades_and_a_stuck_feed_sends_none():
    at = int(CLOSES[200])
    crash = Scenario(name="", what="", shock=-0.3, recover=0.0)
    own, its = MARKET.instruments[0], priced(MARKET, crash, at).instruments[0]
    ratio = its.trades.price / own.trades.price
    assert np.allclose(ratio[own.trades.ts < at], 1.0)
    assert np.allclose(ratio[own.trades.ts >= at], 0.7)
    stuck = seen(MARKET, Scenario(name="", what="", stale=3, lasts=2 * HOUR), at).instruments[0].trades
    gone = (own.trades.ts >= at) & (own.trades.ts < at + 2 * HOUR)
    assert np.array_equal(stuck.ts, own.trades.ts[~gone])
    thin = seen(MARKET, Scenario(name="", what="", volume=0.1, lasts=2 * HOUR), at).instruments[0].trades
    assert np.allclose(thin.qty / own.trades.qty, np.where(gone, 0.1, 1.0))


def looked(folder, source, cuts=150):
    path = strategy(folder, source)
    bars = hours()
    table = made(START + HOUR * np.arange(len(bars["close"])), bars["low"], bars["high"])
    write(folder / "trades.parquet", pa.table({**table, "ts": stamps(table["ts"])}))
    tree = json.loads(path.read_text())
    tree["data"]["symbols"]["AAA"]["trades"] = "trades.parquet"
    path.write_text(json.dumps(tree))
    return check_lookahead(path, cuts=cuts)


def test_a_rule_that_reads_the_trades_of_the_next_bar_is_named(tmp_path):
    told = looked(
        tmp_path,
        """
def rule(bars):
    flow = bars["trade_bought"] - bars["trade_sold"]
    return np.sign(flow.shift(-1)).fillna(0.0)
""",
    )
    assert not told["passed"]
    assert told["leak"]["column"] == "target"
    assert any("trade_bought" in one or "trade_sold" in one for one in told["leak"]["reads"])


def test_a_rule_that_reads_the_trades_of_its_own_bar_is_not_accused(tmp_path):
    told = looked(
        tmp_path,
        """
def rule(bars):
    flow = bars["trade_bought"] - bars["trade_sold"]
    return np.sign(flow).fillna(0.0) * (bars["trade_change_5m"].fillna(0.0) > 0)
""",
    )
    assert told["passed"], told["leak"]
    assert told["tests"] >= 150
