"""Whatever is wrong with what a user gives: one clear line, the right exit code, nothing left behind."""

import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from tests.data.parquet import START, bars_table, funding_table, stamps, write
from tests.runs import hours, write_strategy, write_study
from wfbt import cli
from wfbt.data.market import HOUR

CONFIG, DATA = 2, 5
RULES = """
import numpy as np


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
S, B = "<here>/small.yaml", "<here>/bars.parquet"

# What is broken, the exit code, and the line that has to be said.
TABLE = {
    # Config
    "no strategy file": (absent, CONFIG, ""),
    "a strategy that is not YAML": (text("name: [small"), CONFIG, ""),
    "a strategy that is not text": (text(b"\xff\xfe\x00PAR1"), CONFIG, ""),
    "an empty strategy": (text(""), CONFIG, ""),
    "a strategy that is a list": (text("- name: small"), CONFIG, ""),
    "an unknown section": (config(cots={"taker_bps": 5}), CONFIG, ""),
    "an unknown key": (config(costs={"taker_bsp": 5}), CONFIG, ""),
    "an unknown key of a symbol": (config(data={"symbols": {"AAA": AAA | {"fundin": "x"}}}), CONFIG, ""),
    "a missing section": (config(policy=None), CONFIG, ""),
    "the wrong type": (config(account={"cash": "much"}), CONFIG, ""),
    "a number as text": (config(costs={"taker_bps": "5"}), CONFIG, ""),
    "a negative spread": (config(costs={"half_spread_bps": -1}), CONFIG, ""),
    "a leverage of zero": (config(account={"leverage": 0}), CONFIG, ""),
    "a fraction above one": (config(limits={"max_drawdown": 1.5}), CONFIG, ""),
    "a low above its high": (
        config(latency={"order": {"model": "uniform", "low": "500ms", "high": "100ms"}}),
        CONFIG,
        "",
    ),
    "a date that is none": (config(data={"start": "2024-02-30"}), CONFIG, ""),
    "an end before the start": (config(data={"end": "2023-12-01"}), CONFIG, ""),
    "more folds than bars": (config(folds={"count": 2000}), CONFIG, ""),
    "no fold at all": (config(folds={"count": 0}), CONFIG, ""),
    "training as long as the data": (config(folds={"train": "120d"}), CONFIG, ""),
    "test windows that do not fit": (config(folds={"test": "30d", "count": 3}), CONFIG, ""),
    "an embargo longer than training": (config(folds={"embargo": "60d"}), CONFIG, ""),
    "a scheme of another version": (config(folds={"scheme": "cpcv"}), CONFIG, ""),
    "a rule that does not exist": (config(policy={"rule": "sma_cros"}), CONFIG, ""),
    "an unknown parameter": (config(policy={"search": {"fats": [4, 8]}}), CONFIG, ""),
    "a parameter of the wrong type": (config(policy={"search": {"fast": [4.5]}}), CONFIG, ""),
    "a search without any valid candidate": (config(policy={"search": {"fast": [50], "slow": [20]}}), CONFIG, ""),
    "risk sizing without a stop": (
        config(sizing={"method": "risk"}, exits={"stop_atr": None, "take_atr": None}),
        CONFIG,
        "",
    ),
    # A user's own rule
    "a rule file that is not there": (config(policy={"rule": "none.py:rule", "search": {}}), CONFIG, ""),
    "a rule that is not in its file": (rule("rases"), CONFIG, ""),
    "a rule that raises": (rule("raises"), CONFIG, ""),
    "a rule of the wrong length": (rule("too_short"), CONFIG, ""),
    "a rule that returns inf": (rule("infinite"), CONFIG, ""),
    "a rule that returns text": (rule("says_text"), CONFIG, ""),
    "a rule that returns nothing": (rule("says_nothing"), CONFIG, ""),
    "a rule that ends the program": (rule("leaves"), CONFIG, ""),
    "a rule that fails in its third fold": (rule("FailsLate"), CONFIG, ""),
    # Parquet
    "a data file that is not there": (config(data={"symbols": {"AAA": {"bars": "none.parquet"}}}), DATA, ""),
    "a truncated file": (raw(lambda data: data[: len(data) // 2]), DATA, ""),
    "a file without its last bytes": (raw(lambda data: data[:-9]), DATA, ""),
    "a file damaged inside": (raw(lambda data: data[:400] + bytes(4000) + data[4400:]), DATA, ""),
    "an empty file": (raw(lambda data: b""), DATA, ""),
    "a file that is not Parquet": (raw(lambda data: b"ts,open,high,low,close,volume\n" * 99), DATA, ""),
    "a table without rows": (whole_table(lambda whole: whole.slice(0, 0)), DATA, ""),
    "a table of one row": (whole_table(lambda whole: whole.slice(0, 1)), DATA, ""),
    "a missing column": (whole_table(lambda whole: whole.drop_columns(["close"])), DATA, ""),
    "a renamed column": (whole_table(lambda whole: whole.rename_columns(["time", *whole.column_names[1:]])), DATA, ""),
    "a column of text": (
        whole_table(lambda whole: whole.set_column(4, "close", whole["close"].cast(pa.string()))),
        DATA,
        "",
    ),
    "times without a zone": (whole_table(no_zone), DATA, ""),
    "zones that differ from file to file": (two_zones, DATA, ""),
    "a NaN": (column("close", np.nan), DATA, ""),
    "an infinite price": (column("high", np.inf), DATA, ""),
    "a price of zero": (column("low", 0.0), DATA, ""),
    "a high below its low": (column("high", lambda bars: bars["low"][1000] * 0.9), DATA, ""),
    "a negative volume": (column("volume", -1.0), DATA, ""),
    "rows out of order": (times(swapped), DATA, ""),
    "a repeated row": (times(moved(1000, 999)), DATA, ""),
    "bars from the future": (
        lambda folder: (
            times(lambda ts: ts + 60 * 365 * 24 * HOUR)(folder),
            write_strategy(folder, data={"start": "2024-01-01", "end": "2090-01-01"}),
        ),
        DATA,
        "",
    ),
    "a span without data": (config(data={"start": "2019-01-01", "end": "2019-12-01"}), DATA, ""),
    "too many missing bars": (times(lambda ts: np.delete(ts, np.s_[300:2400:3])), DATA, ""),
    "a rate of NaN": (funding_nan, DATA, ""),
    "a mark of zero at a settlement": (zero_mark, DATA, ""),
    "funding that is bars": (config(data={"symbols": {"AAA": AAA | {"funding": "bars.parquet"}}}), DATA, ""),
    "bars that are funding": (config(data={"symbols": {"AAA": {"bars": "funding.parquet"}}}), DATA, ""),
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
    return stderr.replace(str(folder), "<here>")


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
