"""What a strategy file says is what the Strategy holds, and the way back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from wfbt.config.inputs import Series
from wfbt.config.learning import Volatility
from wfbt.config.load import canonical_bytes, dump_yaml, load_strategy, resolved
from wfbt.config.monte_carlo import Labels, MonteCarlo
from wfbt.config.policies import Policy, Range
from wfbt.config.robustness import Robustness
from wfbt.config.schema import (
    Constant,
    Cooldown,
    Data,
    Empirical,
    Lognormal,
    Selection,
    Strategy,
    Symbol,
    Uniform,
)
from wfbt.config.support import NOT_YET
from wfbt.config.trading import (
    Cap,
    Correlated,
    FeeTier,
    Iceberg,
    Participation,
    Pov,
    Ratchet,
    Scale,
    Tier,
    Twap,
    Vwap,
)
from wfbt.config.values import UNITS, Duration, Time
from wfbt.errors import ConfigError

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "strategy-file.md"
Load = Callable[..., Strategy]
Refusal = Callable[..., str]

CONTRACT = """\
name: ema-rsi-adx            # the trial-ledger family
seed: 7
data:
  start: 2020-01-01          # UTC, inclusive
  end: 2025-07-01            # exclusive
  symbols:
    BTCUSDT:
      bars: ../datasets/sample/BTCUSDT/bars_1h.parquet
      funding: ../datasets/sample/BTCUSDT/funding.parquet
      contract: {tick: 0.1, lot: 0.001, multiplier: 1, inverse: false}
      impact: 0.05
engine: bars
account: {cash: 100000, leverage: 3, margin: cross, maintenance: 0.005, liquidation_fee_bps: 50}
costs: {maker_bps: 2, taker_bps: 5, half_spread_bps: 0.5,
        impact: {model: sqrt, temporary: 0.1, permanent: 0.05},
        participation: null}
latency: {order: {model: uniform, low: 100ms, high: 500ms}, feed: 0ms, response: 0ms, adverse: 0.5}
policy:
  rule: ema_rsi_adx
  params: {fast: 12, slow: 48, rsi: 14, adx: 14, adx_min: 20, atr: 14}
  search: {fast: [8, 12, 16, 24], slow: {low: 32, high: 96, step: 16}}
sizing: {method: risk, risk: 0.01, max_position: 1.0, band: null, price: decision}
exits: {atr: 14, stop_atr: 2.0, take_atr: 3.0, trail_atr: null, stop_pct: null, time: null, ratchet: null}
limits: {max_daily_loss: 0.05, max_drawdown: 0.25, max_volatility: null, cooldown: {losses: 3, bars: 24},
         max_leverage: 3}
mandate: {max_drawdown: 0.25, max_stress_loss: 0.5, min_sharpe: 1.0, specialist: false}
quality: {max_missing: 0.05, repair: []}
folds: {count: 12, scheme: rolling, train: 365d, test: auto, purge: auto, embargo: 24h, groups_out: 2,
        objective: sharpe}
report: {tearsheets: all}
"""
DAY = UNITS["d"]


def test_the_documented_example_loads_as_it_reads(load: Load) -> None:
    strategy = load(CONTRACT.encode())
    assert (strategy.name, strategy.seed) == ("ema-rsi-adx", 7)
    assert strategy.data.end == Time.parse("2025-07-01T00:00Z")
    assert strategy.data.symbols["BTCUSDT"].contract.tick == 0.1
    assert strategy.account.leverage == 3.0
    assert strategy.costs.impact is not None
    assert strategy.costs.impact.horizon == DAY
    assert strategy.latency.order == Uniform(low=Duration(100_000_000), high=Duration(500_000_000))
    assert strategy.policy.search == {"fast": (8, 12, 16, 24), "slow": Range(low=32, high=96, step=16)}
    assert strategy.exits.take_atr == 3.0
    assert strategy.folds.train == 365 * DAY
    assert strategy.folds.purge == "auto"


def test_defaults_are_those_of_a_careful_trader(load: Load) -> None:
    strategy = load()
    assert (strategy.costs.maker_bps, strategy.costs.taker_bps, strategy.costs.half_spread_bps) == (2.0, 5.0, 0.5)
    assert (strategy.account.cash, strategy.account.leverage) == (100_000.0, 1.0)
    assert (strategy.sizing.method, strategy.sizing.max_position) == ("fraction", 1.0)
    assert (strategy.limits.max_daily_loss, strategy.limits.max_drawdown) == (0.05, 0.25)
    assert (strategy.folds.count, strategy.folds.scheme, strategy.folds.embargo) == (12, "rolling", DAY)
    assert strategy.latency.order == Uniform(low=Duration.parse("100ms"), high=Duration.parse("500ms"))


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("none", Constant(value=Duration(0))),
        ("{model: none}", Constant(value=Duration(0))),
        ("0", Constant(value=Duration(0))),
        ("250ms", Constant(value=Duration(250_000_000))),
        ("{model: constant, value: 1s}", Constant(value=Duration(UNITS["s"]))),
        ("{model: uniform, low: 0, high: 1s}", Uniform(low=Duration(0), high=Duration(UNITS["s"]))),
        ("{model: lognormal, median: 80ms, sigma: 1}", Lognormal(median=Duration(80_000_000), sigma=1.0)),
        ("{model: empirical, samples: [1ms, 3ms]}", Empirical(samples=(Duration(1_000_000), Duration(3_000_000)))),
        ("{model: empirical, file: delays.csv}", Empirical(file="delays.csv")),
    ],
)
def test_a_bare_delay_is_the_orders_and_says_the_same_as_the_long_form(text: str, order: object, load: Load) -> None:
    assert load(f"latency: {text}").latency.order == order
    assert load(f"latency: {{order: {text}}}") == load(f"latency: {text}")
    assert load(f"latency: {text}").latency.feed == Constant(value=Duration(0))


def test_a_test_length_without_a_count_means_as_many_folds_as_fit(load: Load) -> None:
    assert load("folds: {test: 30d}").folds.count is None
    assert load("folds: {test: 30d, count: 5}").folds.count == 5
    assert load("folds: {test: auto}").folds.count == 12


def test_null_switches_limits_and_impact_off(load: Load) -> None:
    off = load("limits: {max_daily_loss: null, max_drawdown: null, cooldown: null, max_leverage: null}")
    measures = {"tail", "window"}  # how others are measured, and no limits themselves
    assert {value for name, value in dict(off.limits).items() if name not in measures} == {None}
    costs = load("costs: {impact: null, participation: {order: null, hour: null}}").costs
    assert (costs.impact, costs.participation.order, costs.participation.hour) == (None, None, None)
    assert load("costs: {participation: null}").costs.participation is None


@pytest.mark.parametrize("text", ["1.5", "{most: 1.5}", "{most: 1.5, act: cap}"])
def test_a_limit_is_a_number_or_a_mapping_that_says_the_same(text: str, load: Load) -> None:
    assert load(f"limits: {{gross: {text}}}") == load("limits: {gross: 1.5}")


def test_a_number_for_what_moves_together_has_the_usual_threshold(load: Load) -> None:
    assert load("limits: {correlated: 0.5}") == load("limits: {correlated: {most: 0.5, threshold: 0.7}}")


def test_yaml_1_1_traps_mean_what_they_look_like(load: Load) -> None:
    strategy = load("costs: {taker_bps: 1e-3, half_spread_bps: .5}\naccount: {cash: 1_000_000}")
    assert strategy.costs.taker_bps == 0.001
    assert strategy.costs.half_spread_bps == 0.5
    assert strategy.account.cash == 1e6


def test_what_yaml_1_1_would_guess_at_stays_text(load: Load) -> None:
    text = {"a": "on", "b": "no", "c": "12:30", "d": "010", "e": "2020-01-01", "f": "0x10"}
    setting = ", ".join(f"{key}: {value}" for key, value in text.items())
    params = load(overrides=(f"policy.params={{{setting}, g: true, h: ~, i: '1', j: -0.0}}",)).policy.params
    assert params == {**text, "g": True, "h": None, "i": "1", "j": 0.0}
    assert str(params["j"]) == "0.0"


def test_a_byte_order_mark_is_no_mistake(load: Load, minimal: str) -> None:
    assert load(b"\xef\xbb\xbf" + minimal.encode()) == load()


@pytest.mark.parametrize(
    ("setting", "section", "key", "value"),
    [
        ("costs.taker_bps=7", "costs", "taker_bps", 7.0),
        ("costs.taker_bps = 1e1", "costs", "taker_bps", 10.0),
        ("exits.stop_atr=null", "exits", "stop_atr", None),
        ("exits.stop_atr=", "exits", "stop_atr", None),
        ("limits={max_drawdown: 0.1}", "limits", "max_drawdown", 0.1),
        ("policy.params.fast=9", "policy", "params", {"fast": 9}),
        ("policy.search.fast=[1, 2]", "policy", "search", {"fast": (1, 2)}),
        ("policy.rule=my.py:rule", "policy", "rule", "my.py:rule"),
        ("latency.adverse=0", "latency", "adverse", 0.0),
    ],
)
def test_set_replaces_one_value(setting: str, section: str, key: str, value: Any, load: Load) -> None:
    assert getattr(getattr(load("exits: {stop_atr: 2}\nlatency: 1s", (setting,)), section), key) == value


def test_set_reaches_through_symbols_even_with_dots_in_their_names(load: Load) -> None:
    settings = ("data.symbols.BTCUSDT.impact=0.1", "data.symbols.BRK.B.contract.tick=0.01", "data.symbols.X={bars: x}")
    symbols = load(overrides=settings).data.symbols
    assert symbols["BTCUSDT"].impact == 0.1
    assert symbols["BRK.B"].contract.tick == 0.01
    assert symbols["X"].bars == "x"


def test_set_opens_sections_that_the_file_leaves_out_or_null(load: Load) -> None:
    assert load("costs: {impact: null}", ("costs.impact.temporary=0.2",)).costs.impact.temporary == 0.2
    assert load("", ("limits.cooldown.bars=5",)).limits.cooldown.bars == 5


def test_the_last_set_wins_and_options_win_over_it(load: Load) -> None:
    strategy = load("", ("seed=1", "seed=2", "folds.count=3", "folds.scheme=rolling"), folds=4, scheme="anchored")
    assert (strategy.seed, strategy.folds.count, strategy.folds.scheme) == (2, 4, "anchored")
    assert load("", ("seed=1",), seed=5).seed == 5


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "costs.taker_bp=5",
            "strategy.yaml: unknown key costs.taker_bp; did you mean taker_bps? (--set costs.taker_bp)",
        ),
        ("cost.taker_bps=5", "strategy.yaml: unknown key cost; did you mean costs? (--set cost.taker_bps)"),
        ("costs.taker_bps=-5", "strategy.yaml: costs.taker_bps must be >= 0, was -5 (--set costs.taker_bps)"),
        (
            "data.symbols.BTCUSD.impact=1",
            "strategy.yaml: unknown symbol data.symbols.BTCUSD; did you mean BTCUSDT? "
            "(--set data.symbols.BTCUSD.impact=1)",
        ),
        (
            "data.symbols.zzz.impact=1",
            "strategy.yaml: unknown symbol data.symbols.zzz; the file has BTCUSDT, BRK.B "
            "(--set data.symbols.zzz.impact=1)",
        ),
        ("name.x=1", "strategy.yaml: name is a single value; set it whole instead (--set name.x=1)"),
        ("seed", '--set must be key=value such as costs.taker_bps=5, was "seed"'),
        (
            "a\nb.c=]",
            "--set \"a\\nb\".c: is not valid YAML at line 1, column 1: expected the node content, but found ']'",
        ),
        ("costs..x=1", '--set must be key=value such as costs.taker_bps=5, was "costs..x=1"'),
        ("=1", '--set must be key=value such as costs.taker_bps=5, was "=1"'),
        (
            "costs=[1",
            "--set costs: is not valid YAML at line 1, column 3: expected ',' or ']', but got '<stream end>'",
        ),
        ("seed=.nan", "--set seed: line 1 is .nan; a number must be finite"),
    ],
)
def test_a_wrong_set_says_so(setting: str, message: str, refusal: Refusal) -> None:
    assert refusal("", (setting,)) == message


def test_a_mistake_is_blamed_on_the_set_that_made_it_and_not_on_the_line_it_replaced(refusal: Refusal) -> None:
    said = refusal("costs: {taker_bps: 5}", ("costs={taker_bps: -5}",))
    assert said == "strategy.yaml: costs.taker_bps must be >= 0, was -5 (--set costs)"


def test_a_set_cannot_nest_without_end(refusal: Refusal) -> None:
    assert refusal("", (".".join("a" * 5_000) + "=1",)).startswith("--set must be key=value such as")


def test_wrong_options_are_named_as_typed(refusal: Refusal) -> None:
    assert refusal(folds=0) == "strategy.yaml: folds.count must be >= 1, was 0 (--folds)"
    assert refusal(seed=-1) == "strategy.yaml: seed must be >= 0, was -1 (--seed)"
    assert refusal(scheme="rollin") == (
        'strategy.yaml: folds.scheme must be one of rolling, anchored, purged, cpcv, was "rollin"; '
        "did you mean rolling? (--scheme)"
    )


def test_resolved_is_plain_complete_and_human(load: Load) -> None:
    tree = resolved(load("latency: 250ms"))
    assert json.loads(json.dumps(tree)) == tree
    assert list(tree) == list(Strategy.model_fields)
    assert tree["data"]["start"] == "2020-01-01"
    assert tree["folds"]["train"] == "365d"
    assert tree["latency"]["order"] == {"model": "constant", "value": "250ms"}
    assert list(tree["data"]["symbols"]) == ["BRK.B", "BTCUSDT"]


def test_a_dumped_file_loads_to_an_equal_strategy_anywhere(load: Load, tmp_path: Path) -> None:
    strategy = load("latency: {model: empirical, samples: [1ms, 2ms]}\nfolds: {test: 30d, purge: 12h}")
    elsewhere = tmp_path / "elsewhere" / "copy.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(dump_yaml(resolved(strategy)))
    again = load_strategy(elsewhere)
    assert again == strategy
    assert again.base != strategy.base
    assert canonical_bytes(again) == canonical_bytes(strategy)


def test_a_dumped_file_keeps_its_values_in_any_yaml_reader(load: Load) -> None:
    setting = "policy.params={a: '1e-3', b: 'no', c: '12:30', d: '0x1F', e: 'null', f: '=', g: '1_0', h: '.5', i: 1e-5}"
    tree = resolved(load(overrides=(setting,)))
    assert yaml.safe_load(dump_yaml(tree))["policy"]["params"] == tree["policy"]["params"]


def test_identity_ignores_comments_key_order_and_spelling_but_no_value(load: Load, minimal: str) -> None:
    bytes_of = canonical_bytes(load("costs: {taker_bps: 5.0, maker_bps: 1}\nfolds: {embargo: 24h}"))
    name, data, policy = minimal.splitlines()
    shuffled = f"# why\n{policy}\nfolds: {{embargo: 1d}}\ncosts: {{maker_bps: 1.0}}\n{data} # and\n{name}\n"
    assert canonical_bytes(load(shuffled.encode())) == bytes_of
    assert canonical_bytes(load("costs: {maker_bps: 1.1}")) != bytes_of


def test_the_order_of_symbols_and_parameters_has_no_meaning(load: Load, minimal: str) -> None:
    symbols = "BTCUSDT: {bars: btc.parquet}", "BRK.B: {bars: brk.parquet}"
    swapped = load(minimal.replace(", ".join(symbols), ", ".join(reversed(symbols))).encode())
    assert list(swapped.data.symbols) == list(load().data.symbols) == ["BRK.B", "BTCUSDT"]
    assert list(load("", ("policy.search={b: [1], a: [2]}",)).policy.search) == ["a", "b"]


def test_paths_stay_as_written_and_start_from_the_folder_of_the_file(load: Load, tmp_path: Path) -> None:
    strategy = load()
    assert strategy.data.symbols["BTCUSDT"].bars == "btc.parquet"
    assert strategy.locate("btc.parquet") == str(tmp_path / "btc.parquet")
    assert strategy.locate("s3://bucket/btc.parquet") == "s3://bucket/btc.parquet"
    assert strategy.locate("/data/btc.parquet") == "/data/btc.parquet"
    assert str(tmp_path).encode() not in canonical_bytes(strategy)


def test_a_strategy_cannot_be_changed(load: Load) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load().seed = 5


@pytest.mark.parametrize(
    ("text", "ns", "written"),
    [
        ("365d", 365 * DAY, "365d"),
        ("24h", DAY, "1d"),
        ("1w", 7 * DAY, "7d"),
        ("90m", 5_400_000_000_000, "90m"),
        ("100ms", 100_000_000, "100ms"),
        ("250us", 250_000, "250us"),
        ("7ns", 7, "7ns"),
        ("1.5h", 5_400_000_000_000, "90m"),
        (0, 0, "0s"),
        ("0ms", 0, "0s"),
    ],
)
def test_a_duration_is_ns_and_writes_itself_in_its_largest_whole_unit(text: object, ns: int, written: str) -> None:
    assert Duration.parse(text) == ns
    assert str(Duration(ns)) == written


@pytest.mark.parametrize(
    "text", ["", "5", "d", "1 h h", "1H", "-1d", "+1d", "1e3s", "١d", "1d\n", True, False, 5, 0.0, None]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T00:00Z", "2020-01-01"),
        ("2020-01-01 12:00", "2020-01-01T12:00:00Z"),
        ("2020-01-01T12:00+02:00", "2020-01-01T10:00:00Z"),
        ("2020-01-01T12:00:00.000000001Z", "2020-01-01T12:00:00.000000001Z"),
        ("1950-01-03", "1950-01-03"),
        ("1950-01-03T00:00:00.5Z", "1950-01-03T00:00:00.5Z"),
    ],
)
def test_a_time_is_utc_and_writes_itself_back(text: str, written: str) -> None:
    assert str(Time.parse(text)) == written
    assert Time.parse(written) == Time.parse(text)


def test_times_count_from_1970(load: Load) -> None:
    assert Time.parse("1970-01-02") == DAY
    assert Time.parse("1969-12-31T23:59:59.9") == -100_000_000


@pytest.mark.parametrize(
    "text", ["2020", 2020, "2020-1-1", "01/02/2020", "2020-13-01", "2020-01-01T25:00", None, "now"]
)
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be a"):
        Time.parse(text)


def test_the_schema_loads_without_numeric_libraries() -> None:
    heavy = "{'numpy', 'pandas', 'numba', 'pyarrow', 'vectorbt', 'yaml'}"
    code = f"import sys, wfbt.config.schema; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def keys_of(model: type[BaseModel]) -> set[str]:
    """The keys of a section, or of the whole file, at any depth that has one meaning."""
    inner = [f.default for f in model.model_fields.values() if isinstance(f.default, BaseModel)]
    return set(model.model_fields).union(*(keys_of(type(section)) for section in inner))


@pytest.mark.parametrize(
    "model",
    [
        *(Strategy, Data, Series, Symbol, Policy, Range, Lognormal, Empirical, Selection, Cooldown, Participation),
        *(Twap, Vwap, Pov, Iceberg, Tier, FeeTier, Cap, Correlated, Ratchet, Scale, Volatility, Robustness),
        *(MonteCarlo, Labels),
    ],
)
def test_every_key_is_in_the_documentation(model: type[BaseModel]) -> None:
    words = set(re.findall(r"\w+", DOCUMENTATION.read_text()))
    assert keys_of(model) <= words


def test_a_volatility_section_needs_no_key_and_har_needs_no_innovations(load: Load) -> None:
    given = load("volatility: {}").volatility
    assert given is not None
    assert (given.model, given.dist, str(given.horizon), given.sizing) == ("gjr-garch", "t", "1d", False)
    assert load("volatility: {model: har}").volatility == Volatility(model="har", dist=None)
    assert load("volatility: false").volatility is None


def test_every_refused_key_is_in_the_documentation() -> None:
    section = DOCUMENTATION.read_text().partition("## Not supported")[2]
    missing = [row for row in NOT_YET if not all(part in section for part in re.split("=", row))]
    assert missing == []


def test_the_smallest_file_of_the_documentation_loads(load: Load) -> None:
    smallest = re.search(r"```yaml\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    assert smallest is not None
    assert load(smallest[1].encode()).name == "trend"


def test_a_config_error_means_exit_2() -> None:
    assert ConfigError.exit_code == 2
