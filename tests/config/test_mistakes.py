"""Each class of mistake and the one line it gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wfbt.config.document import MOST_BYTES
from wfbt.config.load import load_strategy
from wfbt.config.schema import Strategy
from wfbt.config.support import NOT_YET
from wfbt.errors import ConfigError

Load = Callable[..., Strategy]
Refusal = Callable[..., str]

# Text after the minimal file (which has three lines) → what is said after "strategy.yaml: ".
GOLDEN = {
    # unknown keys
    "costs: {taker_bp: 5}": "unknown key costs.taker_bp; did you mean taker_bps? (line 4)",
    "limit: {max_drawdown: 0.2}": "unknown key limit; did you mean limits? (line 4)",
    "zebra: 1": "unknown key zebra (line 4)",
    "limits: {cooldown: {loses: 3}}": "unknown key limits.cooldown.loses; did you mean losses? (line 4)",
    "latency: {order: {model: constant, value: 1s, valeu: 1s}}": (
        "unknown key latency.order.valeu; did you mean value? (line 4)"
    ),
    "latency: {model: uniform, low: 1s, high: 2s, lwo: 1s}": "unknown key latency.lwo; did you mean low? (line 4)",
    "quality: {repair: [{finding: gap, symbl: X}]}": (
        "unknown key quality.repair[0].symbl; did you mean symbol? (line 4)"
    ),
    # wrong types
    'costs: {taker_bps: "5"}': 'costs.taker_bps must be a number, was the text "5"; write it without quotes (line 4)',
    "costs: {taker_bps: true}": "costs.taker_bps must be a number, was true (line 4)",
    "costs: {taker_bps: [5]}": "costs.taker_bps must be a number, was a list (line 4)",
    "costs: {taker_bps: null}": "costs.taker_bps must be a number, was null (line 4)",
    "costs: 5": "costs must be a mapping of keys to values, was the number 5 (line 4)",
    "limits:": "limits must be a mapping of keys to values, was null (line 4)",
    "folds: {count: 1.5}": "folds.count must be a whole number, was the number 1.5 (line 4)",
    "folds: {count: true}": "folds.count must be a whole number, was true (line 4)",
    "seed: 010": 'seed must be a whole number, was the text "010"; write it without leading zeros (line 4)',
    "mandate: {specialist: 1}": "mandate.specialist must be true or false, was the number 1 (line 4)",
    "mandate: {specialist: yes}": (
        'mandate.specialist must be true or false, was the text "yes"; write true or false (line 4)'
    ),
    "limits: {max_drawdown: off}": (
        'limits.max_drawdown must be a number, was the text "off"; what can be switched off is switched off by null '
        "(line 4)"
    ),
    "trials: 5": "trials must be text, was the number 5 (line 4)",
    "quality: {repair: gaps}": 'quality.repair must be a list, was the text "gaps" (line 4)',
    # impossible values
    "costs: {half_spread_bps: -1.0}": "costs.half_spread_bps must be >= 0, was -1.0 (line 4)",
    "costs:\n  taker_bps: 5\n  half_spread_bps: -1": "costs.half_spread_bps must be >= 0, was -1 (line 6)",
    "account: {leverage: 0}": "account.leverage must be > 0, was 0 (line 4)",
    "account: {maintenance: 1}": "account.maintenance must be < 1 (a fraction: 0.05 means 5%), was 1 (line 4)",
    "limits: {max_drawdown: 25}": ("limits.max_drawdown must be <= 1 (a fraction: 0.05 means 5%), was 25 (line 4)"),
    "exits: {stop_pct: 2}": "exits.stop_pct must be < 1 (a fraction: 0.05 means 5%), was 2 (line 4)",
    "exits: {stop_pct: 0.1, stop_atr: 2}": (
        "exits has stop_atr and stop_pct: keep one of them, set the other to null (line 4)"
    ),
    "engine: bar": 'engine must be one of bars, book, was "bar"; did you mean bars? (line 4)',
    "folds: {count: 0}": "folds.count must be >= 1, was 0 (line 4)",
    "seed: -1": "seed must be >= 0, was -1 (line 4)",
    "sizing: {method: fixed}": (
        "sizing with method fixed needs notional, the size of one position in quote currency (line 4)"
    ),
    # durations
    "folds: {train: 365}": (
        "folds.train must be a duration with a unit such as 365d, 24h, 15m, 10s or 100ms, was 365 (line 4)"
    ),
    "folds: {train: 10y}": 'folds.train must be a duration such as 365d, 24h, 15m, 10s or 100ms, was "10y" (line 4)',
    "folds: {train: -5d}": 'folds.train must be a duration such as 365d, 24h, 15m, 10s or 100ms, was "-5d" (line 4)',
    "folds: {train: 0d}": 'folds.train must be > 0, was "0d" (line 4)',
    "folds: {embargo: 0.5ns}": 'folds.embargo must be a whole number of nanoseconds, was "0.5ns" (line 4)',
    "folds: {embargo: 99999w}": 'folds.embargo must be at most 100 years (36525d), was "99999w" (line 4)',
    "folds: {purge: soon}": (
        'folds.purge must be a duration such as 365d, 24h, 15m, 10s or 100ms, or auto, was "soon" (line 4)'
    ),
    # latency
    "latency: {model: uniform, low: 3s, high: 1s}": 'latency.high must be >= low (3s), was "1s" (line 4)',
    "latency: {order: {model: gamma}}": (
        'latency.order.model must be one of none, constant, uniform, lognormal or empirical, was "gamma" (line 4)'
    ),
    "latency: 25": (
        "latency must be a duration with a unit such as 365d, 24h, 15m, 10s or 100ms, none, or a mapping with a "
        "model, was 25 (line 4)"
    ),
    "latency: {adverse: 1.5}": "latency.adverse must be <= 1 (a fraction: 0.05 means 5%), was 1.5 (line 4)",
    "latency: {model: empirical}": "latency needs either samples (a list of durations) or file (line 4)",
    "latency: {model: empirical, samples: [1ms, 5]}": (
        "latency.samples[1] must be a duration with a unit such as 365d, 24h, 15m, 10s or 100ms, was 5 (line 4)"
    ),
    # orders
    "orders: {min_interval: 5}": (
        "orders.min_interval must be a duration with a unit such as 365d, 24h, 15m, 10s or 100ms, was 5 (line 4)"
    ),
    "orders: {max_open: 0}": "orders.max_open must be >= 1, was 0 (line 4)",
    "orders: {max_open: null}": (
        "orders has min_interval without max_open: waiting orders would pile up without end (line 4)"
    ),
    "orders: {touch: 2}": "orders.touch must be <= 1 (a fraction: 0.05 means 5%), was 2 (line 4)",
    "orders: {post_only: true, schedule: {model: pov, share: 0.1}}": (
        "orders has post_only and a schedule: a schedule takes; keep one of them (line 4)"
    ),
    "orders: {schedule: twap}": ('orders.schedule must have a model: twap, vwap, pov or iceberg, was "twap" (line 4)'),
    "orders: {schedule: {over: 4h}}": "orders.schedule must have a model: twap, vwap, pov or iceberg (line 4)",
    "orders:\n  schedule: {model: twp, over: 4h, slices: 3}": (
        'orders.schedule.model must be one of twap, vwap, pov or iceberg, was "twp" (line 5)'
    ),
    "orders: {schedule: {model: twap, over: 4h, slices: 1}}": "orders.schedule.slices must be >= 2, was 1 (line 4)",
    "orders: {schedule: {model: vwap, over: 4h, slices: 4, profile: 1h}}": (
        'orders.schedule.profile must be at least 1d, was "1h" (line 4)'
    ),
    "orders: {schedule: {model: iceberg, display: 1.5}}": (
        "orders.schedule.display must be <= 1 (a fraction: 0.05 means 5%), was 1.5 (line 4)"
    ),
    # bad days
    "stress: {flash_crash: {shok: 0.2}}": "unknown key stress.flash_crash.shok; did you mean shock? (line 4)",
    "stress: {flash_crash: {shock: -0.3}}": "stress.flash_crash.shock must be > 0, was -0.3 (line 4)",
    "stress: {flash_crash: {bars: [6, 1]}}": "stress.flash_crash.bars must rise from one to the next (line 4)",
    "stress: {outage: [1h, 1h]}": "stress.outage must not name one length twice (line 4)",
    "stress: {scenarios: {bad: {}}}": (
        "stress.scenarios.bad must change something: give shock, spread, volume or outage (line 4)"
    ),
    "stress: {scenarios: {bad: {recover: 0.5, outage: 4h}}}": (
        "stress.scenarios.bad recovers from nothing: give shock (line 4)"
    ),
    "stress: {scenarios: {bad: {outage: 4h, symbols: [BTCUSDT]}}}": (
        "stress.scenarios.bad names symbols, but spread and outage are the whole venue's: give shock or volume, or "
        "none (line 4)"
    ),
    "stress: {scenarios: {bad: {shock: -1}}}": "stress.scenarios.bad.shock must be > -1, was -1 (line 4)",
    "stress: {scenarios: {bad: {shock: -0.3, at: never}}}": (
        "stress.scenarios.bad.at must be a UTC date or time such as 2020-01-01 or 2020-01-01T12:00Z, or worst, was "
        '"never" (line 4)'
    ),
    "stress: {scenarios: {bad: {shock: -0.3, lenght: 3}}}": "unknown key stress.scenarios.bad.lenght (line 4)",
    "capacity: {sizes: [3, 2, 1]}": "capacity.sizes must rise from one to the next (line 4)",
    "decay: {resamples: 5}": "decay.resamples must be >= 100, was 5 (line 4)",
    # what the venue asks for by size
    "costs: {participation: {hours: 0.1}}": "unknown key costs.participation.hours; did you mean hour? (line 4)",
    "costs: {participation: {order: 0}}": "costs.participation.order must be > 0, was 0 (line 4)",
    "costs: {fee_tiers: [{volume: 1, maker_bps: 1, taker_bps: 2}]}": (
        "costs.fee_tiers must begin at volume 0 (line 4)"
    ),
    "costs: {fee_tiers: [{volume: 0, maker_bps: 1, taker_bps: 2}, {volume: 0, maker_bps: 1, taker_bps: 2}]}": (
        "costs.fee_tiers must list rising volumes (line 4)"
    ),
    "costs: {fee_tiers: [{volume: 0, maker_bps: 1, taker_bps: -2}]}": (
        "costs.fee_tiers[0].taker_bps must be >= 0, was -2 (line 4)"
    ),
    "account: {traded: -1}": "account.traded must be >= 0, was -1 (line 4)",
    "account: {margin: isolate}": (
        'account.margin must be one of cross, isolated, was "isolate"; did you mean isolated? (line 4)'
    ),
    "venue: 5": "venue must be text, was the number 5 (line 4)",
    "venue: binance-usd": (
        'venue must be binance-coinm, binance-usdm or the path of a .yaml file, was "binance-usd"; did you mean '
        "binance-usdm? (line 4)"
    ),
    # what the portfolio may hold
    "limits: {gros: 1}": "unknown key limits.gros; did you mean gross? (line 4)",
    "limits: {gross: 0}": "limits.gross.most must be > 0, was 0 (line 4)",
    "limits: {gross: true}": (
        "limits.gross must be a number, or {most: NUMBER, act: cap, refuse or flatten}, was true (line 4)"
    ),
    "limits: {gross: {act: cap}}": "limits.gross.most is required (line 4)",
    "limits: {net: {most: 1, act: cut}}": 'limits.net.act must be one of cap, refuse, flatten, was "cut" (line 4)',
    "limits: {correlated: {most: 1, treshold: 0.5}}": (
        "unknown key limits.correlated.treshold; did you mean threshold? (line 4)"
    ),
    "limits: {tail: 1}": "limits.tail must be < 1 (a fraction: 0.05 means 5%), was 1 (line 4)",
    "limits: {window: 10}": "limits.window must be >= 30, was 10 (line 4)",
    "limits: {liquidity: 1}\ncosts: {participation: null}": (
        "limits.liquidity needs costs.participation.order, the share of the volume at which one leaves, was 1.0 "
        "(line 4)"
    ),
    "exits: {ratchet: {after: 1, keep: 1}}": (
        "exits.ratchet.keep must be < 1 (a fraction: 0.05 means 5%), was 1 (line 4)"
    ),
    "exits: {trail_follow: true}": (
        "exits has trail_follow without trail_atr, the distance in ATRs that follows (line 4)"
    ),
    "exits: {stop_atr: 2, stop_vol: 2}": (
        "exits has stop_atr and stop_vol: keep one of them, set the other to null (line 4)"
    ),
    "exits: {trail_atr: 2, trail_vol: 2}": (
        "exits has trail_atr and trail_vol: keep one of them, set the other to null (line 4)"
    ),
    "exits: {stop_pct: 0.1, stop_atr: 2, stop_vol: 2}": (
        "exits has stop_atr and stop_pct and stop_vol: keep one of them, set the others to null (line 4)"
    ),
    # forecasts
    "exits: {take_vol: 2}": (
        "exits.take_vol counts in forecast volatilities and needs the volatility section, such as volatility: {}, "
        "was 2.0 (line 4)"
    ),
    "volatility: {sizing: true}": (
        "volatility.sizing needs sizing.method volatility, the one that divides by it; sizing.method is fraction, "
        "was true (line 4)"
    ),
    "volatility: {model: garch-x}": (
        'volatility.model must be one of garch, gjr-garch, egarch, har, was "garch-x"; did you mean garch? (line 4)'
    ),
    "volatility: {model: har, dist: t}": (
        "volatility has dist t, but har is fitted by least squares: leave dist out (line 4)"
    ),
    "volatility: {dist: null}": "volatility with model gjr-garch needs dist: normal, t or skewt (line 4)",
    "volatility: {horizon: 24}": (
        "volatility.horizon must be a duration with a unit such as 365d, 24h, 15m, 10s or 100ms, was 24 (line 4)"
    ),
    "volatility: {horizen: 24h}": "unknown key volatility.horizen; did you mean horizon? (line 4)",
    "volatility: true": "volatility must be a mapping of keys to values, was true (line 4)",
    "sizing: {scale: {volatility: 0}}": "sizing.scale.volatility must be > 0, was 0 (line 4)",
    # folds against the data
    "folds: {train: 5000d}": (
        'folds.train must be shorter than the data (1096d from data.start to data.end), was "5000d" (line 4)'
    ),
    "folds: {test: 90d, count: 12}": (
        'folds.test must leave room for 12 test windows after folds.train within the data (1096d), was "90d" (line 4)'
    ),
    "folds: {train: 5d, purge: 4d}": (
        'folds.embargo and folds.purge together must be shorter than folds.train (5d), was "5d" (line 4)'
    ),
    "folds: {count: null}": "folds.count must be a whole number while folds.test is auto, was null (line 4)",
    "quality: {accept: [gap, {finding: spike, symbol: ETHUSDT}]}": (
        'quality.accept[1].symbol must be one of data.symbols (BRK.B, BTCUSDT), was "ETHUSDT" (line 4)'
    ),
    # YAML
    "name: other": "line 4 repeats the key name of line 1; keep one",
    "costs: {taker_bps: 1, taker_bps: 2}": "line 4 repeats the key costs.taker_bps of line 4; keep one",
    "costs: &c {taker_bps: 1}": (
        "line 4 uses an anchor or alias (& or *); write the value out, in quotes if it is text"
    ),
    "trials: *.sqlite": "line 4 uses an anchor or alias (& or *); write the value out, in quotes if it is text",
    "trials: !!python/name:os.system x": "line 4 uses a tag (!); write a plain value, in quotes if it is text",
    "costs: {taker_bps: .nan}": "line 4 gives costs.taker_bps .nan; a number must be finite",
    "costs: {taker_bps: -.inf}": "line 4 gives costs.taker_bps -.inf; a number must be finite",
    "costs: {taker_bps: 1e999}": "line 4 gives costs.taker_bps a number that is too large for a float",
    "seed: 9223372036854775808": "line 4 gives seed a whole number beyond 64 bits",
    "seed: " + "9" * 5000: "line 4 gives seed a whole number beyond 64 bits",
    "x: " + "[" * 30: "line 4 is nested more than 20 levels deep",
    "1: 2": "line 4 has the key 1, which is not text; put it in quotes",
    "? [a]\n: 1": "line 4 has a key that is not text",
    "---\nname: b": "line 4 starts a second document; a strategy file holds one",
    "\tseed: 1": "is not valid YAML at line 4, column 1: found character '\\t' that cannot start any token",
    'trials: "\\ud800"': "line 4 gives trials half a character (a lone surrogate escape)",
    'trials: "\\U00110000"': "is not valid YAML: chr() arg not in range(0x110000)",
    "trials: ''": 'trials must be a path of 1 to 4096 characters, was "" (line 4)',
    'trials: "a\\0b"': 'trials must be a path without control characters, was "a\\u0000b" (line 4)',
}


@pytest.mark.parametrize("text", GOLDEN, ids=lambda text: text[:50])
def test_a_mistake_gets_one_line_that_names_key_rule_and_value(text: str, refusal: Refusal) -> None:
    assert refusal(text) == f"strategy.yaml: {GOLDEN[text]}"


WHOLE_FILES = {
    b"": "must be a mapping of keys to values, is empty",
    b"# nothing\n": "must be a mapping of keys to values, is empty",
    b"- a\n- b\n": "must be a mapping of keys to values, is a list",
    b"trend\n": "must be a mapping of keys to values, is a single value",
    b"name: a\n\xff\xfe: 1\n": "must be UTF-8 text, line 2 is not",
    b"name: a\nx: \x00\n": "line 2 holds a control character, which YAML forbids",
    b"name: [a\n": "is not valid YAML at line 2, column 1: expected ',' or ']', but got '<stream end>'",
    b"x" * (MOST_BYTES + 1): f"must be at most {MOST_BYTES} bytes long",
    b"[" + b"1," * 60_000 + b"]": "line 1 is too much: a strategy file holds at most 50000 values",
}


@pytest.mark.parametrize("data", WHOLE_FILES, ids=lambda data: repr(data[:20]))
def test_a_file_that_is_no_strategy_says_what_it_is(data: bytes, refusal: Refusal) -> None:
    assert refusal(data) == f"strategy.yaml: {WHOLE_FILES[data]}"


# A change to the minimal file → what is said.
CHANGED = {
    ("name: trend\n", ""): "name is required",
    ("policy: {rule: sma_cross}\n", ""): "policy is required",
    ("end: 2023-01-01, ", ""): "data.end is required (line 2)",
    ("bars: btc.parquet", ""): "data.symbols.BTCUSDT.bars is required (line 2)",
    ("{BTCUSDT: {bars: btc.parquet}, BRK.B: {bars: brk.parquet}}", "{}"): (
        "data.symbols must have at least 1 entry, was {} (line 2)"
    ),
    ("BRK.B", "'B B'"): (
        'data.symbols.B B must be a symbol of 1 to 64 letters, digits or . _ : / @ -, was "B B" (line 2)'
    ),
    ("2023-01-01", "2019-01-01"): 'data.end must be after start (2020-01-01), was "2019-01-01" (line 2)',
    ("2023-01-01", "2020-01-01"): 'data.end must be after start (2020-01-01), was "2020-01-01" (line 2)',
    ("2023-01-01", "2023-02-30"): 'data.end must be a date and time that exist, was "2023-02-30" (line 2)',
    ("2023-01-01", "2023"): (
        "data.end must be a UTC date or time such as 2020-01-01 or 2020-01-01T12:00Z, was 2023 (line 2)"
    ),
    ("2023-01-01", "3023-01-01"): 'data.end must lie between 1700 and 2260, was "3023-01-01" (line 2)',
    ("name: trend", "name: ../trend"): (
        "name must be 1 to 64 letters, digits, '.', '_' or '-', not starting with '.' or '-', was \"../trend\" (line 1)"
    ),
    ("name: trend", "name: 7"): "name must be text, was the number 7 (line 1)",
    ("{rule: sma_cross}", "{ensemble: [{rule: a, weight: 0.7}, {rule: b, weight: 0.4}]}"): (
        "policy.ensemble must have weights that add up to at most 1, not 1.1; sizing and leverage scale the whole "
        "(line 3)"
    ),
    (
        "{rule: sma_cross}",
        "{ensemble: [{rule: a, weight: 0}]}",
    ): "policy.ensemble[0].weight must be > 0, was 0 (line 3)",
    ("{rule: sma_cross}", "{ensemble: []}"): "policy.ensemble must have at least 1 entry, was [] (line 3)",
    ("{rule: sma_cross}", "{ensemble: [{rule: a, wieght: 1}]}"): (
        "policy.ensemble[0].weight is required (line 3)\n"
        "strategy.yaml: unknown key policy.ensemble[0].wieght; did you mean weight? (line 3)"
    ),
    ("{rule: sma_cross}", "{hybrid: {propose: {rule: a}, confirm: {rule: b}, mode: vetoe}}"): (
        'policy.hybrid.mode must be one of veto, agree, scale, was "vetoe"; did you mean veto? (line 3)'
    ),
    ("{rule: sma_cross}", "{hybrid: {propose: {rule: a}, confirm: {params: {n: 1}}, mode: veto}}"): (
        "policy.hybrid.confirm needs a rule: a built-in name, file.py:name or package.module:name; or a model: the "
        "folder that wfbt train wrote (line 3)"
    ),
    ("{rule: sma_cross}", "{rule: a, ensemble: [{rule: b, weight: 1}]}"): (
        "policy has rule and ensemble: keep one of them (line 3)"
    ),
    ("{rule: sma_cross}", "{ensemble: [{rule: b, weight: 1}], search: {n: [1, 2]}}"): (
        "policy with ensemble has no params or search of its own: write them beside each rule (line 3)"
    ),
    ("{rule: sma_cross}", "{}"): (
        "policy needs a rule: a built-in name, file.py:name or package.module:name; or a model: the folder that wfbt "
        "train wrote (line 3)"
    ),
    ("sma_cross", "my rule"): (
        'policy.rule must be a built-in rule, file.py:name or package.module:name, was "my rule" (line 3)'
    ),
    ("sma_cross", "a, search: {n: 5}"): (
        "policy.search.n must be a list, or a range with low, high and step, was 5 (line 3)"
    ),
    ("sma_cross", "a, search: {n: [5, 5.0]}"): "policy.search.n must not list a value twice (line 3)",
    ("sma_cross", "a, search: {n: []}"): "policy.search.n must list 1 to 10000 values (line 3)",
    ("sma_cross", "a, search: {n: {low: 1, high: 5, stp: 1}}"): (
        "policy.search.n.step is required (line 3)\n"
        "strategy.yaml: unknown key policy.search.n.stp; did you mean step? (line 3)"
    ),
    ("sma_cross", "a, search: {n: {low: 1, high: 5, step: 0}}"): "policy.search.n.step must be > 0, was 0 (line 3)",
    ("sma_cross", "a, search: {n: {low: 0, high: 1, step: 1e-9}}"): (
        "policy.search.n.step must give at most 10000 values between low and high, was 1e-09 (line 3)"
    ),
    ("sma_cross", "a, params: {n: {a: 1}}"): (
        "policy.params.n must be a number, text, true, false, null or a list of these (line 3)"
    ),
    ("sma_cross", "a, params: {fast-n: 1}"): (
        'policy.params.fast-n must be a parameter name: letters, digits and _, not a digit first, was "fast-n" (line 3)'
    ),
}


@pytest.mark.parametrize("change", CHANGED, ids=lambda change: " to ".join(change)[:60])
def test_a_changed_file_gets_a_line_that_names_what_changed(
    change: tuple[str, str], minimal: str, refusal: Refusal
) -> None:
    assert minimal.count(change[0]) == 1
    assert refusal(minimal.replace(*change).encode()) == f"strategy.yaml: {CHANGED[change]}"


UNSERVED = {
    "engine: book": ("engine: book is not supported in this version: order books are not replayed; use bars (line 4)"),
}
UNSERVED_SETTINGS = {
    "data.symbols.BTCUSDT.book=b.parquet": (
        "data.symbols.BTCUSDT.book is not supported in this version: order books are not replayed"
    ),
}


@pytest.mark.parametrize("text", UNSERVED)
def test_what_is_not_replayed_is_refused_and_never_ignored(text: str, refusal: Refusal) -> None:
    assert refusal(text) == f"strategy.yaml: {UNSERVED[text]}"


@pytest.mark.parametrize("setting", UNSERVED_SETTINGS)
def test_what_is_not_replayed_is_refused_from_the_command_line_too(setting: str, refusal: Refusal) -> None:
    key = setting.partition("=")[0]
    assert refusal("", (setting,)) == f"strategy.yaml: {UNSERVED_SETTINGS[setting]} (--set {key})"


def test_every_refusal_is_tried_here() -> None:
    assert len(NOT_YET) == len(UNSERVED) + len(UNSERVED_SETTINGS)


def test_a_refusal_holds_for_strategies_made_in_python(load: Load) -> None:
    with pytest.raises(ValueError, match="engine: book is not supported"):
        Strategy.model_validate({**dict(load()), "engine": "book"})


def test_null_false_and_empty_stand_for_what_is_off(load: Load) -> None:
    assert load("volatility: false\nlimits: {max_volatility: null}") == load()
    assert load("monte_carlo: []").monte_carlo is load("monte_carlo: false").monte_carlo is None


def test_several_mistakes_are_told_at_once(refusal: Refusal) -> None:
    assert refusal("costs: {taker_bp: 5, half_spread_bps: -1}\nengine: book").splitlines() == [
        "strategy.yaml: engine: book is not supported in this version: order books are not replayed; use bars (line 5)",
        "strategy.yaml: costs.half_spread_bps must be >= 0, was -1 (line 4)",
        "strategy.yaml: unknown key costs.taker_bp; did you mean taker_bps? (line 4)",
    ]


def test_many_mistakes_take_five_lines(refusal: Refusal) -> None:
    lines = refusal("".join(f"wrong{i}: 1\n" for i in range(5_000))).splitlines()
    assert len(lines) == 5
    assert lines[-1] == "strategy.yaml: and 4996 more mistakes"


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path, minimal: str) -> None:
    (tmp_path / "trend.yaml").write_text(minimal)
    with pytest.raises(ConfigError) as caught:
        load_strategy(tmp_path / "tredn.yaml")
    assert str(caught.value) == f"{tmp_path}/tredn.yaml: no such file; did you mean {tmp_path}/trend.yaml?"
    with pytest.raises(ConfigError, match=r"no such file; there is no folder .*/nowhere either$"):
        load_strategy(tmp_path / "nowhere" / "trend.yaml")


def test_a_folder_is_no_strategy_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must be a YAML file, is not a regular file$"):
        load_strategy(tmp_path)


def test_a_value_in_a_message_stays_short_and_on_one_line(refusal: Refusal) -> None:
    said = refusal("engine: " + '"a\\nb' + "x" * 10_000 + '"')
    assert len(said) < 200
    assert "\n" not in said
