"""No decision, fill or row of a ledger depends on what happens after it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import wfbt
from wfbt.config.values import Duration
from wfbt.data.market import HOUR, Bars, Contract, Funding, Instrument, Market, Series
from wfbt.engine.backtest import replay_ledger
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.tape import lay_out
from wfbt.kernels.abi import Reason
from wfbt.policy.base import NAMES, evaluate, load_rule
from wfbt.policy.ensemble import Ensemble
from wfbt.policy.frames import market_frames
from wfbt.policy.hybrid import Hybrid
from wfbt.policy.rules import BUILT_IN
from wfbt.policy.rules.session import WEEKDAYS

START = int(np.datetime64("2024-01-01", "ns").astype(np.int64))
ROWS, PARTS = 480, 4
FINE = slice(160, 330)  # rows that have execution bars
TRAINED = 150  # rows the fitted rule learns from; its cuts come later
CUTS = 20
SYMBOLS = ("AAA", "BBB", "CCC")

OWN = '''
import numpy as np
import pandas as pd


def several(bars, n=12):
    """Targets with brackets of their own, from several symbols at once."""
    lead = bars["AAA"]["close"].pct_change(n)
    out = {}
    for symbol, frame in bars.items():
        own = frame["close"].pct_change(n)
        other = lead.reindex(frame.index)
        target = np.where(own.isna() | other.isna(), np.nan, 0.4 * np.sign(own + 0.5 * other))
        reach = (frame["high"] - frame["low"]).rolling(n).mean()
        out[symbol] = pd.DataFrame({"target": target, "stop": 4 * reach, "trail": 6 * reach}, index=frame.index)
    return out


class Fitted:
    def fit(self, bars, n=8):
        self.n = n
        self.spread = {symbol: frame["close"].pct_change(n).std() for symbol, frame in bars.items()}

    def targets(self, bars):
        moved = {symbol: frame["close"].pct_change(self.n) / self.spread[symbol] for symbol, frame in bars.items()}
        return {symbol: (-0.3 * moved.clip(-1, 1)).round(1) for symbol, moved in moved.items()}


def peeks(bars, n=1):
    return {symbol: np.sign(frame["close"].shift(-n) - frame["close"]) / 3 for symbol, frame in bars.items()}


def peeks_at_the_level(bars):
    """Standardised over the whole span: a leak without a shift."""
    return {symbol: ((f["close"] - f["close"].mean()) / f["close"].std()).round(1) / 10 for symbol, f in bars.items()}
'''
HONEST = {
    **{name: {} for name in BUILT_IN},
    "ema_rsi_adx": {"fast": 6, "slow": 18, "adx_min": 10.0},
    "sma_cross": {"fast": 4, "slow": 16},
    "breakout": {"entry": 16, "exit": 6},
    "zscore": {"n": 18, "z": 1.2},
    "momentum": {"n": 12},
    "carry": {"n": 12, "above": 0.00005},
    "random": {"hold": 5},
    # Every day, as the data end at a weekend and a cut near the end must change something.
    "session": {"zone": "Asia/Tokyo", "open": "22:00", "close": "18:30", "range": 60, "weekdays": WEEKDAYS},
    "divergence": {"n": 6, "hold": 5},
    "correlation": {"pair": ("AAA", "BBB"), "n": 24, "below": 0.9, "z": 0.5},
    "own.py:several": {},
    "own.py:Fitted": {},
    "veto": {"propose.n": 12},
    "agree": {"propose.n": 12, "confirm.n": 8},
    "scale": {"propose.n": 12, "confirm.n": 8},
    "ensemble": {"1.fast": 4, "1.slow": 16, "2.n": 18, "2.z": 1.2},
}


def policy_named(name, folder):
    """A rule, or what is made of several: brackets pass through a hybrid, and a part may be fitted."""

    def rule(spec):
        return load_rule(spec, folder)

    if name == "veto":
        return Hybrid(propose=rule("own.py:several"), confirm=rule("sentiment"), mode="veto")
    if name in ("agree", "scale"):
        return Hybrid(propose=rule("momentum"), confirm=rule("own.py:Fitted"), mode=name)
    if name == "ensemble":
        members = tuple(rule(spec) for spec in ("sma_cross", "zscore", "own.py:Fitted", "session"))
        return Ensemble(members=members, weights=(0.4, 0.3, 0.2, 0.1))
    return rule(name)


@dataclass(frozen=True, kw_only=True)
class Path:
    """One symbol as it happened, at the finest step, (rows, PARTS)."""

    step: np.ndarray  # log return
    up: np.ndarray  # wicks, ≥ 0
    down: np.ndarray
    volume: np.ndarray
    premium: np.ndarray  # (rows,) of the mark
    rate: np.ndarray  # (rows,) funding, used where a stamp falls
    present: np.ndarray  # (rows,) bool

    def until(self, row, other):
        """This path up to and with `row`, another one from there on, whose first open is the last close."""
        fields = {}
        for name in self.__dataclass_fields__:
            mixed = getattr(self, name).copy()
            mixed[row + 1 :] = getattr(other, name)[row + 1 :]
            fields[name] = mixed
        return Path(**fields)


def draw(seed, rows=ROWS):
    rng = np.random.default_rng(seed)
    shape = (rows, PARTS)
    present = rng.random(rows) > 0.02
    present[:2] = True
    return Path(
        step=rng.normal(0, 0.006, shape) * (1 + 4 * (rng.random(shape) < 0.01)),
        up=rng.exponential(0.002, shape),
        down=rng.exponential(0.002, shape),
        volume=rng.uniform(50, 500, shape),
        premium=rng.normal(0, 0.0008, rows),
        rate=rng.normal(0.0001, 0.0003, rows),
        present=present,
    )


def instrument(symbol, path, level):
    """Bars of an hour, execution bars of a quarter for a part, funding every eight hours, marks for two of three."""
    rows = len(path.step)
    close = level * np.exp(np.cumsum(path.step.ravel()))
    opens = np.r_[level, close[:-1]]
    fine = {
        "open": opens,
        "high": np.maximum(opens, close) * np.exp(path.up.ravel()),
        "low": np.minimum(opens, close) * np.exp(-path.down.ravel()),
        "close": close,
        "volume": path.volume.ravel(),
    }
    parts = {name: column.reshape(rows, PARTS) for name, column in fine.items()}
    coarse = {
        "open": parts["open"][:, 0],
        "high": parts["high"].max(axis=1),
        "low": parts["low"].min(axis=1),
        "close": parts["close"][:, -1],
        "volume": parts["volume"].sum(axis=1),
    }
    open_ts = START + HOUR * np.arange(rows)
    there = path.present & (np.arange(rows) >= (60 if symbol == "CCC" else 0))  # listed late
    within = np.zeros(rows, bool)
    within[FINE] = True
    small = np.flatnonzero(np.repeat(within & there, PARTS))
    # The premium at a bar's open is that of the close before it.
    after, before = 1 - path.premium, 1 - np.r_[0.0, path.premium[:-1]]
    mark = {"open": coarse["open"] * before, "close": coarse["close"] * after}
    mark["high"] = np.maximum(coarse["high"] * after, np.maximum(mark["open"], mark["close"]))
    mark["low"] = np.minimum(coarse["low"] * after, np.minimum(mark["open"], mark["close"]))
    stamps = np.arange(8, rows, 8)
    # A settlement at an open belongs to the past of that open: the row before has drawn it.
    settled = mark["close"][stamps - 1]
    known = np.where(stamps % 16 == 0, np.nan, settled)
    return Instrument(
        bars=Bars(symbol=symbol, period=HOUR, open_ts=open_ts[there], **{k: v[there] for k, v in coarse.items()}),
        execution_bars=Bars(
            symbol=symbol,
            period=HOUR // PARTS,
            open_ts=START + small * (HOUR // PARTS),
            **{name: column[small] for name, column in fine.items()},
        ),
        mark=None
        if symbol == "BBB"
        else Bars(
            symbol=symbol,
            period=HOUR,
            open_ts=open_ts[there],
            **{k: v[there] for k, v in mark.items()},
            volume=np.zeros(there.sum()),
        ),
        funding=Funding(ts=open_ts[stamps], rate=path.rate[stamps - 1], mark=known),
        contract=Contract(tick=level * 1e-4, lot=0.001),
    )


def market_of(paths):
    levels = (30_000.0, 2_000.0, 20.0)
    return Market(
        instruments=tuple(instrument(s, p, level) for s, p, level in zip(SYMBOLS, paths, levels, strict=True)),
        digest="",
        # Published within each bar, so known at its close.
        series=(
            Series(
                name="news",
                columns=("mood",),
                available_ts=START + HOUR * np.arange(len(paths[0].rate)) + HOUR // 2,
                values=np.tanh(paths[0].rate / 0.0004)[:, None],
            ),
        ),
    )


PAST = tuple(draw(seed) for seed in (1, 2, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("rules")
    (out / "own.py").write_text(OWN)
    return out


LATENCY = wfbt.Latency(
    order=wfbt.Delay(model="lognormal", median=20e9, sigma=3.0), feed=wfbt.Delay(model="uniform", high=60e9)
)
SETTINGS = {
    "costs": wfbt.Costs(taker_bps=5, half_spread_bps=1),
    "account": wfbt.Account(cash=50_000.0, leverage=3),
    "limits": wfbt.Limits(max_daily_loss=0.04, losses=3, cool_down=6 * HOUR, max_leverage=2),
}
WAYS = (
    {"sizing": wfbt.Sizing(band=0.05), "exits": wfbt.Exits(stop_atr=2.0, take_atr=3.0)},
    {"sizing": wfbt.Sizing(method="risk", risk=0.02, max_position=1.0), "exits": wfbt.Exits(stop_pct=0.02)},
    {"sizing": wfbt.Sizing(method="volatility", goal=0.4), "exits": wfbt.Exits(trail_atr=3.0, stop_atr=6.0)},
    {"sizing": wfbt.Sizing(price="fill"), "exits": wfbt.Exits(time=int(Duration.parse("20h")), stop_atr=4.0)},
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that becomes known in a run: what the rule and the kernel are given, what is decided, and what is done."""

    frames: dict
    columns: dict
    deck: object
    intents: np.ndarray
    ledger: object


def seen(rule, market, params, way, latency=LATENCY):
    """What wfbt.backtest does with the columns that a policy returns, in parts."""
    frames = market_frames(market)
    train = market.instruments[0].bars.close_ts[:TRAINED] if rule.fitted else None
    columns = evaluate(rule, frames, params, train)
    setup = Setup(latency=latency, **SETTINGS, **way)
    deck = lay_out(market, setup, 4)
    intents = Lowering(market, deck, setup).lower(columns)
    ledger = replay_ledger(deck, intents, rules_of(setup, deck.horizon))
    return Seen(frames=frames, columns=columns, deck=deck, intents=intents, ledger=ledger)


def known(one, now, filled):
    """(name, values) of everything in a run that is known at `now`; fills and payments before `filled`."""
    for symbol in SYMBOLS:
        past = one.frames[symbol].index.asi8 <= now
        for name, column in one.frames[symbol].items():
            yield f"{symbol}: bars.{name}", column.to_numpy()[past]
        for name in NAMES:
            if (column := getattr(one.columns[symbol], name)) is not None:
                yield f"{symbol}: {name}", column[past]
    rows = int(np.searchsorted(one.deck.tape.close_ts, now, side="right"))
    for name, column in one.deck.tape._asdict().items():
        if name != "day_end":  # says when the next bar comes, so that the last of a day is known
            yield f"tape.{name}", column[:rows]
    yield from records("intents", one.intents[one.intents["row"] < rows])
    yield from records("stamps", one.deck.stamps[one.deck.stamps["ts"] < now])
    bars = int(np.searchsorted(one.ledger.ts, now, side="right"))
    for name in ("ts", "equity", "cash", "position", "mark", "liquidation", "shortfall"):
        yield name, getattr(one.ledger, name)[:bars]
    for name in ("fills", "payments"):
        happened = getattr(one.ledger, name)
        yield from records(name, happened[happened["ts"] < filled])


def records(name, given):
    # Field by field: what pads a record is nobody's number.
    return ((f"{name}.{field}", given[field]) for field in given.dtype.names)


def differences(one, other, now, filled=None):
    """Names of what is known at `now` and differs in any bit."""
    pairs = zip(known(one, now, filled or now), known(other, now, filled or now), strict=True)
    return [name for (name, mine), (same, its) in pairs if name != same or mine.tobytes() != its.tobytes()]


def cuts_of(ledger, rng):
    """Rows to cut after: half of them anywhere, half while something is held."""
    rows = np.arange(TRAINED, len(ledger.ts) - 20)
    held = rows[(ledger.position[rows] != 0).any(axis=1)]
    return np.concatenate([rng.choice(rows, CUTS // 2, replace=False), rng.choice(held, CUTS // 2, replace=False)])


def altered(row, seed):
    """The market of one past whose bars after `row` are others."""
    return market_of([path.until(row, draw(seed + number)) for number, path in enumerate(PAST)])


@pytest.mark.parametrize("number", range(len(HONEST)), ids=list(HONEST))
def test_what_comes_after_changes_nothing_before(number, folder):
    name, params = list(HONEST.items())[number]
    way, rule = WAYS[number % len(WAYS)], policy_named(name, folder)
    one = seen(rule, market_of(PAST), params, way)
    assert len(one.ledger.fills) > 2
    later = 0
    for cut in cuts_of(one.ledger, np.random.default_rng(number)):
        now = int(one.ledger.ts[cut])
        other = seen(rule, altered((now - START) // HOUR - 1, 1000 * int(cut)), params, way)
        assert differences(one, other, now) == [], f"cut at row {cut}"
        later += one.ledger.equity[-1] != other.ledger.equity[-1]
    assert later == CUTS  # the future did differ


def test_there_are_200_cuts_and_every_built_in_rule_is_cut():
    assert len(HONEST) * CUTS >= 200
    assert set(BUILT_IN) < set(HONEST)


@pytest.mark.parametrize("name", ["sma_cross", "random", "own.py:several"])
def test_an_order_filled_at_the_next_open_knows_nothing_of_the_next_bar_but_its_open(name, folder):
    """Without latency: its quantity, price, fee, spread and impact are bit-equal whatever the bar then does."""
    way, rule = WAYS[0], load_rule(name, folder)
    one = seen(rule, market_of(PAST), HONEST[name], way, wfbt.Latency.none())
    fills = one.ledger.fills[one.ledger.fills["reason"] == Reason.TARGET]
    opens = np.intersect1d(fills["ts"], one.ledger.ts[TRAINED:-20])
    assert len(opens) >= 10
    for now in np.random.default_rng(5).choice(opens, 10, replace=False).tolist():
        row = (now - START) // HOUR - 1
        others = [path.until(row, draw(row + number)) for number, path in enumerate(PAST)]
        for path, other in zip(PAST, others, strict=True):
            other.present[row + 1] = path.present[row + 1]
        other = seen(rule, market_of(others), HONEST[name], way, wfbt.Latency.none())
        assert differences(one, other, now, filled=now + 1) == []


def test_the_market_has_all_that_could_leak():
    market = market_of(PAST)
    deck = lay_out(market, Setup(latency=LATENCY, **SETTINGS), 4)
    delay = deck.tape.arrive - deck.tape.close_ts[:, None]
    assert len(deck.tape.open_ts) > len(deck.decisions)  # some rows are filled on execution bars
    assert (delay < HOUR).any()
    assert (delay > HOUR).any()
    assert [one.mark is None for one in market.instruments] == [False, True, False]
    assert len(deck.stamps) > 100
    assert any(len(one.bars) < ROWS for one in market.instruments)


@pytest.mark.parametrize("name", ["own.py:peeks", "own.py:peeks_at_the_level"])
def test_a_rule_that_peeks_is_caught(name, folder):
    rule = load_rule(name, folder)
    one, other = (seen(rule, market, {}, WAYS[0]) for market in (market_of(PAST), altered(300, 77)))
    assert {f"{symbol}: target" for symbol in SYMBOLS} & set(differences(one, other, START + 301 * HOUR))


def test_the_comparison_sees_one_bar_too_many(folder):
    """Pasts that part after a row are the same at its close, and are not at the close of the next."""
    rule = load_rule("momentum", folder)
    one = seen(rule, market_of(PAST), {"n": 6}, WAYS[0])
    held = np.flatnonzero((one.ledger.position != 0).all(axis=1))
    now = int(one.ledger.ts[held[len(held) // 2]])
    other = seen(rule, altered((now - START) // HOUR - 1, 77), {"n": 6}, WAYS[0])
    assert differences(one, other, now) == []
    assert {"AAA: bars.close", "tape.close", "tape.sigma", "equity", "mark"} <= set(differences(one, other, now + HOUR))


def test_backtest_of_the_same_columns_gives_the_same_ledger(folder):
    """What is proved here of the parts holds for the public function."""
    market = market_of(PAST)
    one = seen(load_rule("own.py:several", folder), market, {}, WAYS[0])
    given = {
        symbol: pd.DataFrame({name: getattr(c, name) for name in NAMES if getattr(c, name) is not None})
        for symbol, c in one.columns.items()
    }
    ledger = wfbt.backtest(market, given, latency=LATENCY, **SETTINGS, **WAYS[0], seed=4)
    assert ledger.equity.tobytes() == one.ledger.equity.tobytes()
    assert len(ledger.fills) == len(one.ledger.fills)
    ledger.reconcile()
