"""Whatever is in the file, the answer is a Strategy or one ConfigError; whatever is valid comes back unchanged."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wfbt.config.load import canonical_bytes, dump_yaml, load_strategy, resolved
from wfbt.config.schema import Strategy
from wfbt.config.values import UNITS, Duration, Time
from wfbt.errors import ConfigError

SEED_TEXT = """\
name: a
seed: 7
data:
  start: 2020-01-01
  end: 2025-07-01T12:00Z
  symbols:
    BTCUSDT: {bars: b.parquet, contract: {tick: 0.1, inverse: false}, impact: 0.05,
      tiers: [{up_to: 5e4, maintenance: 0.004}, {maintenance: 0.5}]}
    "ETH/USDT": {bars: e.parquet, volume: none, adv: 1e5}
account: {cash: 100000, leverage: 3, margin: isolated, traded: 1e6}
venue: binance-usdm
orders: {min_interval: 10s, max_open: 3, touch: 0.1, schedule: {model: vwap, over: 4h, slices: 8}}
costs: {impact: {model: sqrt, horizon: 24h}, participation: {hour: null},
  fee_tiers: [{volume: 0, maker_bps: -2, taker_bps: 5}, {volume: 1e6, maker_bps: -3, taker_bps: 4}]}
latency: {order: {model: uniform, low: 100ms, high: 500ms}, feed: 0, response: none}
policy:
  rule: ema
  params: {fast: 12, mode: 'x'}
  search: {fast: [8, 12], slow: {low: 32, high: 96, step: 16}}
sizing: {scale: {volatility: 0.8, correlation: true}}
exits: {stop_atr: 2.0, time: 3d, trail_atr: 2, trail_follow: true, ratchet: {after: 2, keep: 0.5}}
limits: {cooldown: {losses: 3, bars: 24}, max_leverage: null, gross: 1.5, cvar: {most: 0.1, act: refuse}}
quality: {repair: [gap, {finding: spike, symbol: BTCUSDT, start: 2021-01-01}]}
folds: {count: 12, train: 365d, test: auto}
"""
WORD_LIST = """
null ~ true yes off .nan -.inf 1e999 1e-3 -1 0 010 0x1F 9223372036854775808 1_000 12:30 = << 2020-02-30
0d 1w 10y auto none data symbols model regimes folds latency policy
"""
SYNTAX_LIST = """{ } [ ] : , - ? | > &a *a !!int !x %YAML --- ... # ' " \\ << é 😀 "\\ud800" "\\U00110000" """
WORDS, SYNTAX = WORD_LIST.split(), SYNTAX_LIST.split()
PIECES = [*WORDS, *SYNTAX, *(f"{mark} " for mark in SYNTAX), *"\t\n\r\x00\x85\ufeff\u2028", "\n- ", "\n  "]

edits = st.lists(
    st.tuples(
        st.integers(0, len(SEED_TEXT)),
        st.integers(0, 12),
        st.one_of(st.sampled_from(PIECES), st.text(max_size=4)),
    ),
    min_size=1,
    max_size=6,
)


def loaded(data: bytes, overrides: tuple[str, ...] = ()) -> Strategy:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "strategy.yaml"
        path.write_bytes(data)
        return load_strategy(path, overrides)


def check(data: bytes, overrides: tuple[str, ...] = ()) -> None:
    try:
        strategy = loaded(data, overrides)
    except ConfigError as error:
        lines = str(error).split("\n")
        assert 1 <= len(lines) <= 5
        assert all(line.isprintable() and len(line) < 700 for line in lines)
    else:
        assert loaded(dump_yaml(resolved(strategy)).encode()) == strategy


@settings(max_examples=1_500, deadline=None, derandomize=True)
@given(edits)
def test_a_mutated_file_is_read_or_refused_in_a_few_printable_lines(changes: list[tuple[int, int, str]]) -> None:
    text = SEED_TEXT
    for at, cut, piece in changes:
        text = text[:at] + piece + text[at + cut :]
    check(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    check(data)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from(["", "seed=", "policy.params.x=", "data.symbols.BTCUSDT.", "latency=", "folds."]),
    st.text(max_size=20),
)
def test_any_override_is_taken_or_refused(start: str, rest: str) -> None:
    check(SEED_TEXT.encode(), (start + rest,))


trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(PIECES)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(Strategy.model_fields)), trees, max_size=4))
def test_any_tree_in_any_section_is_read_or_refused(changed: dict[str, Any]) -> None:
    base = resolved(loaded(SEED_TEXT.encode()))
    check(dump_yaml(base | changed).encode("utf-8", "surrogatepass"))


durations = st.integers(1, 100 * 365 * UNITS["d"]).map(Duration)
delays = st.one_of(
    st.just("none"),
    durations.map(str),
    st.tuples(durations, durations).map(lambda d: {"model": "uniform", "low": str(min(d)), "high": str(max(d))}),
    st.builds(lambda m, s: {"model": "lognormal", "median": str(m), "sigma": s}, durations, st.floats(0, 5)),
    st.lists(durations.map(str), min_size=1, max_size=3).map(lambda s: {"model": "empirical", "samples": s}),
)
names = st.text("abcXYZ019_", min_size=1, max_size=8)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(WORDS)
numbers = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(st.none(), st.booleans(), numbers, words)
paths = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
ranges = st.builds(lambda a, b: {"low": a, "high": a + b, "step": b}, st.integers(-99, 99), st.integers(1, 9))
positive = st.floats(1e-9, 1e9)


def fixed(**parts: Any) -> Any:
    return st.fixed_dictionaries({}, optional=parts)


strategies = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
        "data": st.fixed_dictionaries(
            {
                "start": st.integers(-(8 * 10**18), 10**18).map(lambda ns: str(Time(ns))),
                "end": st.integers(8 * 10**18, 9 * 10**18).map(lambda ns: str(Time(ns))),
                "symbols": st.dictionaries(
                    st.from_regex(r"[A-Z0-9][A-Z0-9._:/@-]{0,8}", fullmatch=True),
                    st.fixed_dictionaries({"bars": paths}, optional={"mark": paths, "impact": positive}),
                    min_size=1,
                    max_size=3,
                ),
            },
            optional={
                "series": st.dictionaries(
                    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
                    st.fixed_dictionaries(
                        {"path": paths},
                        optional={
                            "available": names,
                            "delay": st.sampled_from(["0s", "15m"]),
                            "columns": st.lists(names, min_size=1, max_size=3, unique=True),
                            "max_age": st.sampled_from(["16m", "6h"]),
                        },
                    ),
                    max_size=2,
                ),
                "timeframes": st.lists(durations.map(str), max_size=3, unique=True),
            },
        ),
        "policy": st.fixed_dictionaries(
            {"rule": st.sampled_from(["a", "my.py:b", "p.q:c"])},
            optional={
                "params": st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), scalars | st.lists(scalars)),
                "search": st.dictionaries(
                    st.from_regex(r"[a-z_]{1,6}", fullmatch=True),
                    st.lists(words, min_size=1, max_size=3, unique=True) | ranges,
                ),
            },
        ),
    },
    optional={
        "seed": st.integers(0, 2**63 - 1),
        "account": fixed(cash=positive, leverage=positive, maintenance=st.floats(0, 0.99)),
        "costs": fixed(maker_bps=st.floats(-99, 99), taker_bps=st.integers(0, 99), impact=st.none()),
        "latency": delays | fixed(order=delays, feed=delays, response=delays, adverse=st.floats(0, 1)),
        "sizing": fixed(method=st.sampled_from(["risk", "volatility"]), band=st.none() | positive),
        "exits": fixed(stop_atr=positive, take_pct=st.floats(0.001, 10), time=durations.map(str)),
        "limits": fixed(max_drawdown=st.none() | st.floats(0.01, 1), cooldown=st.none()),
        "volatility": st.none() | fixed(model=st.sampled_from(["garch", "har"]), horizon=durations.map(str)),
        "quality": fixed(repair=st.lists(names, max_size=2), max_missing=st.floats(0, 1)),
        "folds": fixed(count=st.integers(1, 99), purge=st.just("auto"), embargo=st.sampled_from(["0s", "1h", "36h"])),
    },
)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(strategies)
def test_every_valid_strategy_survives_being_written_down(tree: dict[str, Any]) -> None:
    strategy = loaded(dump_yaml(tree).encode())
    again = loaded(dump_yaml(resolved(strategy)).encode())
    assert again == strategy
    assert canonical_bytes(again) == canonical_bytes(strategy)
