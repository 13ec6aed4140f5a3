# ruff: noqa: E501 (a line of the table is a line that a user reads)
"""Whatever is wrong with what a user gives: one clear line, the right exit code, nothing left behind."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from tests.data.parquet import START, bars_table, funding_table, write
from tests.runs import hours, write_strategy, write_study
from wfbt import cli
from wfbt.data.market import HOUR

CONFIG, DATA = 2, 5
RULES = """
import numpy as np
import pandas as pd


def raises(bars):
    return bars["vwap"]


def too_short(bars):
    return bars["close"].to_numpy()[1:]


def infinite(bars):
    return 1 / (bars["close"] - bars["close"])


def says_text(bars):
    return "buy"


def says_nothing(bars):
    bars["close"].mean()


def leaves(bars):
    raise SystemExit(0)


def bid(bars, **columns):
    out = pd.DataFrame({"target": np.ones(len(bars))}, index=bars.index)
    for name, value in columns.items():
        out[name] = np.where(np.arange(len(bars)) == 9, float(value), np.nan)
    return out


class FailsLate:
    fitted = 0

    def fit(self, bars):
        FailsLate.fitted += 1
        if FailsLate.fitted > 2:
            raise ValueError("the third fold is too much")

    def targets(self, bars):
        return np.zeros(len(bars))
"""


def config(**sections):
    return lambda folder: write_strategy(folder, **sections)


def text(content):
    def write_it(folder):
        (folder / "small.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())

    return write_it


def absent(folder):
    (folder / "small.yaml").unlink()


def rule(name):
    return config(policy={"rule": f"rules.py:{name}", "search": {}})


def bid(**columns):
    """A rule whose row 9 says this, in orders that nothing works."""
    return config(policy={"rule": "rules.py:bid", "params": columns, "search": {}})


def venue(content):
    def write_it(folder):
        (folder / "mine.yaml").write_text(content)
        write_strategy(folder, venue="mine.yaml")

    return write_it


def column(name, value):
    """Bars with another value at row 1000."""

    def write_it(folder):
        bars = hours()
        bars[name][1000] = value(bars) if callable(value) else value
        rewrite(folder, **bars)

    return write_it


def rewrite(folder, ts=None, **changed):
    bars = hours() | changed
    ts = START + HOUR * np.arange(len(bars["close"])) if ts is None else ts
    write(folder / "bars.parquet", bars_table(ts=ts, **{name: values[: len(ts)] for name, values in bars.items()}))


def times(change):
    """Bars with other times."""

    def write_it(folder):
        rewrite(folder, ts=change(START + HOUR * np.arange(2880)))

    return write_it


def moved(row, to):
    def change(ts):
        ts[row] = ts[to] if to >= 0 else ts[-1] + 50 * 365 * 24 * HOUR
        return ts

    return change


def swapped(ts):
    ts[[1000, 1001]] = ts[[1001, 1000]]
    return ts


def whole_table(change):
    def write_it(folder):
        whole = bars_table(ts=START + HOUR * np.arange(2880), **hours())
        write(folder / "bars.parquet", change(whole))

    return write_it


def raw(change, name="bars"):
    def write_it(folder):
        path = folder / f"{name}.parquet"
        path.write_bytes(change(path.read_bytes()))

    return write_it


def two_zones(folder):
    half = 1440
    for name, zone, rows in (("a", "UTC", slice(0, half)), ("b", "Asia/Tokyo", slice(half, None))):
        ts = (START + HOUR * np.arange(2880))[rows]
        bars = {key: values[rows] for key, values in hours().items()}
        write(folder / "many" / f"{name}.parquet", bars_table(ts=ts, tz=zone, **bars))
    write_strategy(folder, data={"symbols": {"AAA": {"bars": "many"}}})


def no_zone(whole):
    return whole.set_column(0, "ts", whole["ts"].cast(pa.timestamp("us")))


def zero_mark(folder):
    at = START + 8 * HOUR * np.arange(360)
    mark = np.full(360, 100.0)
    mark[7] = 0.0
    write(folder / "funding.parquet", funding_table(ts=at, mark_price=mark))


def funding_nan(folder):
    rate = np.full(360, 1e-4)
    rate[11] = np.nan
    write(folder / "funding.parquet", funding_table(ts=START + 8 * HOUR * np.arange(360), rate=rate))


AAA = {"bars": "bars.parquet"}

# What is broken, the exit code, and the line that has to be said.
TABLE = {
    # Config
    "no strategy file": (absent, CONFIG, "ConfigError: <here>/small.yaml: no such file"),
    "a strategy that is not YAML": (
        text("name: [small"),
        CONFIG,
        "ConfigError: <here>/small.yaml: is not valid YAML at line 1, column 13: expected ',' or ']', but got '<stream end>'",
    ),
    "a strategy that is not text": (
        text(b"\xff\xfe\x00PAR1"),
        CONFIG,
        "ConfigError: <here>/small.yaml: must be UTF-8 text, line 1 is not",
    ),
    "an empty strategy": (
        text(""),
        CONFIG,
        "ConfigError: <here>/small.yaml: must be a mapping of keys to values, is empty",
    ),
    "a strategy that is a list": (
        text("- name: small"),
        CONFIG,
        "ConfigError: <here>/small.yaml: must be a mapping of keys to values, is a list",
    ),
    "an unknown section": (
        config(cots={"taker_bps": 5}),
        CONFIG,
        "ConfigError: <here>/small.yaml: unknown key cots; did you mean costs? (line 68)",
    ),
    "an unknown key": (
        config(costs={"taker_bsp": 5}),
        CONFIG,
        "ConfigError: <here>/small.yaml: unknown key costs.taker_bsp; did you mean taker_bps? (line 69)",
    ),
    "an unknown key of a symbol": (
        config(data={"symbols": {"AAA": AAA | {"fundin": "x"}}}),
        CONFIG,
        "ConfigError: <here>/small.yaml: unknown key data.symbols.AAA.fundin; did you mean funding? (line 10)",
    ),
    "a missing section": (config(policy=None), CONFIG, "ConfigError: <here>/small.yaml: policy is required"),
    "the wrong type": (
        config(account={"cash": "much"}),
        CONFIG,
        'ConfigError: <here>/small.yaml: account.cash must be a number, was the text "much" (line 20)',
    ),
    "a number as text": (
        config(costs={"taker_bps": "5"}),
        CONFIG,
        'ConfigError: <here>/small.yaml: costs.taker_bps must be a number, was the text "5"; write it without quotes (line 69)',
    ),
    "a negative spread": (
        config(costs={"half_spread_bps": -1}),
        CONFIG,
        "ConfigError: <here>/small.yaml: costs.half_spread_bps must be >= 0, was -1 (line 69)",
    ),
    "a leverage of zero": (
        config(account={"leverage": 0}),
        CONFIG,
        "ConfigError: <here>/small.yaml: account.leverage must be > 0, was 0 (line 21)",
    ),
    "a fraction above one": (
        config(limits={"max_drawdown": 1.5}),
        CONFIG,
        "ConfigError: <here>/small.yaml: limits.max_drawdown must be <= 1 (a fraction: 0.05 means 5%), was 1.5 (line 51)",
    ),
    "a low above its high": (
        config(latency={"order": {"model": "uniform", "low": "500ms", "high": "100ms"}}),
        CONFIG,
        'ConfigError: <here>/small.yaml: latency.order.high must be >= low (500ms), was "100ms" (line 27)',
    ),
    "a date that is none": (
        config(data={"start": "2024-02-30"}),
        CONFIG,
        'ConfigError: <here>/small.yaml: data.start must be a date and time that exist, was "2024-02-30" (line 5)',
    ),
    "an end before the start": (
        config(data={"end": "2023-12-01"}),
        CONFIG,
        'ConfigError: <here>/small.yaml: data.end must be after start (2024-01-01), was "2023-12-01" (line 6)',
    ),
    "more folds than bars": (
        config(folds={"count": 2000}),
        CONFIG,
        "ConfigError: <here>/small.yaml: folds: 2,000 test windows are asked for, and at most 1,000 are walked: lower folds.count, or lengthen folds.test",
    ),
    "no fold at all": (
        config(folds={"count": 0}),
        CONFIG,
        "ConfigError: <here>/small.yaml: folds.count must be >= 1, was 0 (line 56)",
    ),
    "training as long as the data": (
        config(folds={"train": "120d"}),
        CONFIG,
        'ConfigError: <here>/small.yaml: folds.train must be shorter than the data (120d from data.start to data.end), was "120d" (line 57)',
    ),
    "test windows that do not fit": (
        config(folds={"test": "30d", "count": 3}),
        CONFIG,
        'ConfigError: <here>/small.yaml: folds.test must leave room for 3 test windows after folds.train within the data (120d), was "30d" (line 59)',
    ),
    "an embargo longer than training": (
        config(folds={"embargo": "60d"}),
        CONFIG,
        'ConfigError: <here>/small.yaml: folds.embargo and folds.purge together must be shorter than folds.train (60d), was "60d" (line 58)',
    ),
    "no group left to learn from": (
        config(folds={"scheme": "cpcv", "groups_out": 3}),
        CONFIG,
        "ConfigError: <here>/small.yaml: folds.groups_out must be less than folds.count (3), was 3",
    ),
    "a rule that does not exist": (
        config(policy={"rule": "sma_cros"}),
        CONFIG,
        "PolicyError: <here>/small.yaml: policy.rule: sma_cros is no built-in rule, did you mean sma_cross?; there are ema_rsi_adx, sma_cross, breakout, zscore, momentum, carry, session, divergence, sentiment, correlation, buy_hold, random, and your own as file.py:attr",
    ),
    "an unknown parameter": (
        config(policy={"search": {"fats": [4, 8]}}),
        CONFIG,
        "ConfigError: <here>/small.yaml: policy.search.fats is not a parameter of sma_cross, did you mean fast?; it takes fast, slow, short",
    ),
    "a parameter of the wrong type": (
        config(policy={"search": {"fast": [4.5]}}),
        CONFIG,
        "ConfigError: <here>/small.yaml: policy.search.fast of sma_cross must be a whole number, was 4.5",
    ),
    "a search without any valid candidate": (
        config(policy={"search": {"fast": [50], "slow": [20]}}),
        CONFIG,
        "ConfigError: <here>/small.yaml: policy.search: the rule refuses all 1 candidates, the first with fast 50, slow 20; search other values",
    ),
    "risk sizing without a stop": (
        config(sizing={"method": "risk"}, exits={"stop_atr": None, "take_atr": None}),
        CONFIG,
        "PolicyError: <here>/small.yaml: AAA: sizing.method risk needs a stop: let the rule return one, or set exits.stop_atr, stop_pct or stop_vol",
    ),
    # A user's own rule
    "a rule file that is not there": (
        config(policy={"rule": "none.py:rule", "search": {}}),
        CONFIG,
        "PolicyError: <here>/small.yaml: none.py:rule: no file <here>/none.py; the path is relative to the strategy file",
    ),
    "a rule that is not in its file": (
        rule("rases"),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:rases: there is no rases in rules.py, did you mean raises?; it has raises, too_short, infinite, says_text, says_nothing, leaves, bid, FailsLate",
    ),
    "a rule that raises": (
        rule("raises"),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:raises: rules.py:7: KeyError: 'vwap'",
    ),
    "a rule of the wrong length": (
        rule("too_short"),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:too_short: AAA: returned 2879 rows for 2880 bars; return one per bar, NaN where there is no opinion (after dropna, reindex to bars.index)",
    ),
    "a rule that returns inf": (
        rule("infinite"),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:infinite: AAA: target is inf at row 0 (2024-01-01 01:00:00Z) and 2879 rows more; use NaN where there is no value; look for a division by zero",
    ),
    "a rule that returns text": (
        rule("says_text"),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:says_text: AAA: returned a str; return a Series or array of targets, or a DataFrame of target, limit, stop, take, trail, expire, trigger, other, other_limit, other_trigger",
    ),
    "a rule that returns nothing": (
        rule("says_nothing"),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:says_nothing: AAA: returned nothing; return a Series or array of targets, or a DataFrame of target, limit, stop, take, trail, expire, trigger, other, other_limit, other_trigger",
    ),
    "a rule that ends the program": (
        rule("leaves"),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:leaves: rules.py:27: SystemExit: 0",
    ),
    "a limit of zero": (
        bid(limit=0.0),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:bid: AAA: limit is 0.0 at row 9 (2024-01-01 10:00:00Z); a limit is a price > 0; NaN means a market order",
    ),
    "a trigger below zero": (
        bid(trigger=-5.0),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:bid: AAA: trigger is -5.0 at row 9 (2024-01-01 10:00:00Z); a trigger is a price > 0; NaN means at once",
    ),
    "an order that lapses at once": (
        bid(expire=0),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:bid: AAA: expire is 0.0 at row 9 (2024-01-01 10:00:00Z); expire is a whole number of bars >= 1; NaN means never",
    ),
    "an order that lapses inside a bar": (
        bid(expire=2.5),
        CONFIG,
        "PolicyError: <here>/small.yaml: rules.py:bid: AAA: expire is 2.5 at row 9 (2024-01-01 10:00:00Z); expire is a whole number of bars >= 1; NaN means never",
    ),
    "a second limit without a second order": (
        bid(other_limit=90.0),
        CONFIG,
        "PolicyError: <here>/small.yaml: AAA: the policy returned other_limit without other, the target it belongs to",
    ),
    "a stop order that is to be sliced": (
        config(
            policy={"rule": "rules.py:bid", "params": {"trigger": 90.0}, "search": {}},
            orders={"schedule": {"model": "twap", "over": "4h", "slices": 4}},
        ),
        CONFIG,
        "PolicyError: <here>/small.yaml: AAA: the policy returned trigger, and orders.schedule works orders in parts: an order that waits for a price or for another one cannot be scheduled; set orders.schedule to null",
    ),
    "a trail that is to follow the range and has its own distance": (
        config(
            policy={"rule": "rules.py:bid", "params": {"trail": 3.0}, "search": {}},
            exits={"trail_atr": 2.0, "trail_follow": True},
        ),
        CONFIG,
        "PolicyError: <here>/small.yaml: AAA: the policy returned trail, and exits.trail_follow would replace its distance on the next bar; set exits.trail_follow to false, or let the rule return none",
    ),
    "a ratchet without a stop": (
        config(exits={"stop_atr": None, "ratchet": {"after": 1, "keep": 0.5}}),
        CONFIG,
        "PolicyError: <here>/small.yaml: AAA: exits.ratchet counts in stop distances, and there is no stop: let the rule return one, or set exits.stop_atr, stop_pct or stop_vol",
    ),
    # Orders and venues
    "slices closer than the bars": (
        config(orders={"schedule": {"model": "twap", "over": "4h", "slices": 8}}),
        CONFIG,
        "ConfigError: <here>/small.yaml: orders.schedule: 8 slices over 240m are 30m apart, but the bars that fill them last 60m; take fewer slices or give execution_bars",
    ),
    "a share of an unknown volume": (
        config(
            data={"symbols": {"AAA": AAA | {"volume": "none"}}},
            orders={"schedule": {"model": "pov", "share": 0.1}},
        ),
        CONFIG,
        "ConfigError: <here>/small.yaml: AAA: orders.schedule pov takes a share of the volume, and that is not in units; give data.symbols.*.adv, or another schedule",
    ),
    "days to leave at no share of the volume": (
        config(costs={"participation": None}, limits={"liquidity": 1}),
        CONFIG,
        "ConfigError: <here>/small.yaml: limits.liquidity needs costs.participation.order, the share of the volume at which one leaves, was 1.0 (line 54)",
    ),
    "a venue that nobody knows": (
        config(venue="binance-usd"),
        CONFIG,
        'ConfigError: <here>/small.yaml: venue must be binance-coinm, binance-usdm or the path of a .yaml file, was "binance-usd"; did you mean binance-usdm? (line 68)',
    ),
    "a venue file that is not there": (
        config(venue="nowhere.yaml"),
        CONFIG,
        "ConfigError: <here>/nowhere.yaml: no such file (venue of <here>/small.yaml, line 68)",
    ),
    "a venue whose margin falls with size": (
        venue("symbols:\n  AAA:\n    tiers: [{up_to: 5, maintenance: 0.2}, {maintenance: 0.1}]\n"),
        CONFIG,
        "ConfigError: <here>/mine.yaml: symbols.AAA.tiers must not ask for less maintenance of more notional (line 3)",
    ),
    # Parquet
    "a data file that is not there": (
        config(data={"symbols": {"AAA": {"bars": "none.parquet"}}}),
        DATA,
        "DataError: AAA: <here>/none.parquet: no Parquet file found; give a file, a folder, a glob or an s3:// address",
    ),
    "a truncated file": (
        raw(lambda data: data[: len(data) // 2]),
        DATA,
        "DataError: AAA: <here>/bars.parquet: not a readable Parquet file (why); download it again, then run wfbt data check <here>/bars.parquet",
    ),
    "a file without its last bytes": (
        raw(lambda data: data[:-9]),
        DATA,
        "DataError: AAA: <here>/bars.parquet: not a readable Parquet file (why); download it again, then run wfbt data check <here>/bars.parquet",
    ),
    "an empty file": (
        raw(lambda data: b""),
        DATA,
        "DataError: AAA: <here>/bars.parquet: not a readable Parquet file (why); download it again, then run wfbt data check <here>/bars.parquet",
    ),
    "a file that is not Parquet": (
        raw(lambda data: b"ts,open,high,low,close,volume\n" * 99),
        DATA,
        "DataError: AAA: <here>/bars.parquet: not a readable Parquet file (why); download it again, then run wfbt data check <here>/bars.parquet",
    ),
    "a table without rows": (
        whole_table(lambda whole: whole.slice(0, 0)),
        DATA,
        "DataError: AAA: <here>/bars.parquet: the file holds no rows; remove it or download it again",
    ),
    "a table of one row": (
        whole_table(lambda whole: whole.slice(0, 1)),
        DATA,
        "DataError: AAA: <here>/bars.parquet: one bar is no series; see: wfbt data info <here>/bars.parquet",
    ),
    "a missing column": (
        whole_table(lambda whole: whole.drop_columns(["close"])),
        DATA,
        "DataError: AAA: <here>/bars.parquet: column close is missing; needs ts, open, high, low, close, volume, found ts, open, high, low, volume; run wfbt data info <here>/bars.parquet",
    ),
    "a renamed column": (
        whole_table(lambda whole: whole.rename_columns(["time", *whole.column_names[1:]])),
        DATA,
        "DataError: AAA: <here>/bars.parquet: column ts is missing; needs ts, open, high, low, close, volume, found time, open, high, low, close, volume; run wfbt data info <here>/bars.parquet",
    ),
    "a column of text": (
        whole_table(lambda whole: whole.set_column(4, "close", whole["close"].cast(pa.string()))),
        DATA,
        "DataError: AAA: <here>/bars.parquet: column close must hold numbers, was string; convert it to float64",
    ),
    "times without a zone": (
        whole_table(no_zone),
        DATA,
        "DataError: AAA: <here>/bars.parquet: ts has no time zone (timestamp[us]); say which one it is in by writing timestamp[us, UTC]",
    ),
    "zones that differ from file to file": (
        two_zones,
        DATA,
        "DataError: AAA: <here>/many: mixed timezones: ts is in Asia/Tokyo, UTC; write all files in one zone",
    ),
    "a NaN": (
        column("close", np.nan),
        DATA,
        "DataError: AAA: nan at row 1000 (2024-02-11 16:00:00Z): not a number: close nan; see: wfbt data check <here>/bars.parquet",
    ),
    "an infinite price": (
        column("high", np.inf),
        DATA,
        "DataError: AAA: nan at row 1000 (2024-02-11 16:00:00Z): not a number: high inf; see: wfbt data check <here>/bars.parquet",
    ),
    "a price of zero": (
        column("low", 0.0),
        DATA,
        "DataError: AAA: non_positive at row 1000 (2024-02-11 16:00:00Z): prices must be > 0: low 0; see: wfbt data check <here>/bars.parquet",
    ),
    "a high below its low": (
        column("high", lambda bars: bars["low"][1000] * 0.9),
        DATA,
        "DataError: AAA: ohlc at row 1000 (2024-02-11 16:00:00Z): needs low <= open, close <= high: open 136.0474106, high 121.4004816, low 134.889424, close 134.9316139; see: wfbt data check <here>/bars.parquet",
    ),
    "a negative volume": (
        column("volume", -1.0),
        DATA,
        "DataError: AAA: negative_volume at row 1000 (2024-02-11 16:00:00Z): volume must be >= 0, was -1; see: wfbt data check <here>/bars.parquet",
    ),
    "rows out of order": (
        times(swapped),
        DATA,
        "DataError: AAA: disorder at row 1000 (2024-02-11 17:00:00Z): out of time order; see: wfbt data check <here>/bars.parquet",
    ),
    "a repeated row": (
        times(moved(1000, 999)),
        DATA,
        "DataError: AAA: duplicates at row 1000 (2024-02-11 15:00:00Z): repeats row 999 with other values; see: wfbt data check <here>/bars.parquet",
    ),
    "bars from the future": (
        lambda folder: (
            times(lambda ts: ts + 60 * 365 * 24 * HOUR)(folder),
            write_strategy(folder, data={"start": "2024-01-01", "end": "2090-01-01"}),
        ),
        DATA,
        "DataError: AAA: future at row 0 (2083-12-17 00:00:00Z): later than now (now); see: wfbt data check <here>/bars.parquet",
    ),
    "a span without data": (
        config(data={"start": "2019-01-01", "end": "2019-12-01"}),
        DATA,
        "DataError: AAA: <here>/bars.parquet: no rows at or after 2019-01-01 00:00:00Z and before 2019-12-01 00:00:00Z; run wfbt data info <here>/bars.parquet to see what it covers",
    ),
    "too many missing bars": (
        times(lambda ts: np.delete(ts, np.s_[300:2400:3])),
        DATA,
        "DataError: AAA: missing at row 300 (2024-01-13 13:00:00Z): 24.3% missing (700 of 2,880 bars of its own weekly pattern), allowed 5.0%; the widest hole, 1 bars, ends here; see: wfbt data check <here>/bars.parquet",
    ),
    "a rate of NaN": (
        funding_nan,
        DATA,
        "DataError: AAA: nan at row 11 (2024-01-04 16:00:00Z): rate is not a number; see: wfbt data check <here>/funding.parquet",
    ),
    "a mark of zero at a settlement": (
        zero_mark,
        DATA,
        "DataError: AAA: non_positive at row 7 (2024-01-03 08:00:00Z): mark_price must be > 0 or empty, was 0; see: wfbt data check <here>/funding.parquet",
    ),
    "funding that is bars": (
        config(data={"symbols": {"AAA": AAA | {"funding": "bars.parquet"}}}),
        DATA,
        "DataError: AAA: <here>/bars.parquet: column rate is missing; needs ts, rate, found ts, open, high, low, close, volume; run wfbt data info <here>/bars.parquet",
    ),
    "bars that are funding": (
        config(data={"symbols": {"AAA": {"bars": "funding.parquet"}}}),
        DATA,
        "DataError: AAA: <here>/funding.parquet: column open is missing; needs ts, open, high, low, close, volume, found ts, rate, mark_price; run wfbt data info <here>/funding.parquet",
    ),
}


@pytest.fixture
def folder(tmp_path):
    write_study(tmp_path)
    (tmp_path / "rules.py").write_text(RULES)
    return tmp_path


def leftovers(folder):
    out = folder / "out"
    return sorted(entry.name for entry in out.iterdir()) if out.exists() else []


def said(stderr, folder):
    text = stderr.replace(str(folder), "<here>")
    text = re.sub(
        r"not a readable Parquet file \(.*\);", "not a readable Parquet file (why);", text
    )  # in Arrow's words
    return re.sub(r"later than now \(.*\);", "later than now (now);", text)


@pytest.mark.parametrize("name", TABLE)
def test_bad_input_ends_in_one_line_and_leaves_nothing(name, folder):
    spoil, code, line = TABLE[name]
    spoil(folder)
    words = ["run", str(folder / "small.yaml"), "--out", str(folder / "out"), "--no-report", "--quiet"]
    told = CliRunner().invoke(cli.main, words)
    assert said(told.stderr, folder) == line + "\n"
    assert told.stdout == ""
    assert told.exit_code == code
    assert leftovers(folder) == []


def test_a_file_damaged_inside_is_refused_in_one_line(folder):
    """What the decoder says depends on where it stumbles."""
    path = folder / "bars.parquet"
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for begin in rng.integers(4, len(whole) - 4, 30).tolist():
        path.write_bytes(whole[:begin] + rng.bytes(64) + whole[begin + 64 :])
        told = CliRunner().invoke(
            cli.main, ["run", str(folder / "small.yaml"), "--out", str(folder / "out"), "--no-report", "--quiet"]
        )
        assert told.exit_code in (0, DATA), told.stderr
        if told.exit_code:
            refused += 1
            assert re.fullmatch(r"DataError: AAA.*\n", told.stderr)
        else:  # what was hit decides nothing, such as the writer's name
            shutil.rmtree(folder / "out")
        assert leftovers(folder) == []
    assert refused > 20


@pytest.mark.parametrize(
    ("spoil", "code", "first"),
    [
        (config(costs={"taker_bsp": 5}), CONFIG, "ConfigError: "),
        (raw(lambda data: data[:-9]), DATA, "DataError: "),
        (rule("raises"), CONFIG, "PolicyError: "),
    ],
    ids=["config", "data", "rule"],
)
@pytest.mark.parametrize("mode", [[], ["--json"]], ids=["plain", "json"])
def test_a_real_process_says_it_in_one_line_too(folder, spoil, code, first, mode):
    """Without --quiet what it was doing stands before; with --json nothing but the mistake is said at all."""
    spoil(folder)
    command = [sys.executable, "-c", "from wfbt.cli import main; main()", "run", str(folder / "small.yaml")]
    told = subprocess.run([*command, "--out", str(folder / "out"), *mode], capture_output=True, text=True)
    lines = [line for line in told.stderr.splitlines() if not line.startswith("[")]
    assert (told.returncode, told.stdout, len(lines)) == (code, "", 1)
    assert lines[0].startswith(first)
    assert not mode or told.stderr.count("\n") == 1
    assert leftovers(folder) == []


def test_many_mistakes_are_five_lines_at_most(folder):
    write_strategy(folder, costs={f"wrong_{i}": i for i in range(20)}, account={"cash": -1, "leverage": "x"})
    told = CliRunner().invoke(cli.main, ["run", str(folder / "small.yaml"), "--out", str(folder / "out"), "--quiet"])
    assert told.exit_code == CONFIG
    assert 2 <= told.stderr.count("\n") <= 5
    assert "more mistakes" in told.stderr.splitlines()[-1]


@pytest.mark.parametrize("out", ["taken", "taken/deeper"])
def test_an_out_that_is_a_file_is_the_users_mistake(folder, out):
    (folder / "taken").write_text("mine")
    words = ["run", str(folder / "small.yaml"), "--out", str(folder / out), "--no-report", "--quiet"]
    told = CliRunner().invoke(cli.main, words)
    assert told.exit_code == CONFIG
    assert re.fullmatch(
        r"ConfigError: --out .*taken.*: cannot be written to \(.*\); name another folder\n", told.stderr
    )
    assert (folder / "taken").read_text() == "mine"


def test_a_rule_that_fails_in_a_later_fold_leaves_no_partial_folder(folder):
    """Mended, the rule is another one and so another run: what was kept could never be resumed."""
    rule("FailsLate")(folder)
    words = ["run", str(folder / "small.yaml"), "--out", str(folder / "out"), "--no-report", "--quiet"]
    told = CliRunner().invoke(cli.main, words)
    assert told.exit_code == CONFIG
    assert told.stderr.startswith(f"PolicyError: {folder}/small.yaml: rules.py:FailsLate: rules.py:")
    assert leftovers(folder) == []


def test_a_mistake_does_not_touch_a_run_that_is_there(folder):
    words = ["run", str(folder / "small.yaml"), "--out", str(folder / "out"), "--no-report", "--quiet"]
    assert CliRunner().invoke(cli.main, words).exit_code == 0
    before, ledger = leftovers(folder)
    raw(lambda data: data[:-9])(folder)
    assert CliRunner().invoke(cli.main, words).exit_code == DATA
    assert leftovers(folder) == [before, ledger]
    assert (folder / "out" / before / "result.json").is_file()
