# ruff: noqa: E501 (a line of the table is a line that a user reads)
"""A run whose policy sees more than its own bars: what is joined decides, is part of the identity and is not seen early."""

import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import wfbt
from tests.data.parquet import START, stamps, write
from tests.runs import DAYS, numbers, write_study
from wfbt import cli
from wfbt.data.market import HOUR

RULE = """
def follows(bars, sign=1):
    trend = (bars["close"] > bars["close_1d"]).where(bars["close_1d"].notna())
    return sign * bars["news"].where(trend == 1, 0.0).where(bars["news"].notna() & trend.notna())
"""
NEWS = {"path": "news.parquet", "available": "published_at", "delay": "15m", "columns": ["mood"], "max_age": "2d"}
POLICY = {"rule": "rules.py:follows", "search": {"sign": [1, -1]}}


def write_news(folder, change=lambda mood: mood, **columns):
    """A mood every six hours or so, told up to eleven hours after it was felt, so that some is overtaken."""
    rng = np.random.default_rng(4)
    n = 4 * DAYS
    felt = START + 6 * HOUR * np.arange(n) + rng.integers(0, HOUR, n) // 1000 * 1000
    told = felt + rng.integers(0, 11 * HOUR, n) // 1000 * 1000
    mood = rng.choice([0.0, 0.5, 1.0], n)
    given = {"felt_at": stamps(felt), "published_at": stamps(told), "mood": change(mood), "headline": ["…"] * n}
    write(folder / "news.parquet", pa.table(given | columns))


def write_inputs(folder, news=NEWS, timeframes=("1d",), **sections):
    (folder / "rules.py").write_text(RULE)
    write_news(folder)
    return write_study(
        folder, **{"data": {"series": {"news": news}, "timeframes": list(timeframes)}, "policy": POLICY} | sections
    )


def again(strategy, out, **options):
    return wfbt.run(strategy, out=out, report=False, **options)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    return again(study, tmp_path_factory.mktemp("done"))


def copied(study, folder):
    shutil.copytree(study.parent, folder)
    return folder / study.name


def test_a_policy_trades_on_what_is_joined_to_its_bars(done):
    assert len(done.ledger.fills) > 20


def test_the_resolved_config_of_a_run_finds_the_series_again(done, tmp_path):
    assert numbers(again(done.folder / "config.resolved.yaml", tmp_path).folder) == numbers(done.folder)


def test_where_the_file_of_a_series_lies_does_not_make_another_run(study, done, tmp_path):
    moved = copied(study, tmp_path / "moved")
    (moved.parent / "news.parquet").rename(moved.parent / "other.parquet")
    assert again(moved, tmp_path / "out", overrides=["data.series.news.path=other.parquet"]).run_id == done.run_id


def test_what_a_series_holds_is_part_of_the_run(study, done, tmp_path):
    """One number moved by one bit is another run, which resumes nothing of this one."""
    other = copied(study, tmp_path / "other")

    def nudged(mood):
        mood[100] = np.nextafter(mood[100], 2)
        return mood

    write_news(other.parent, nudged)
    kept = tmp_path / "out" / f"{done.folder.name}.partial"
    kept.mkdir(parents=True)
    assert again(other, tmp_path / "out", resume=True).run_id != done.run_id
    assert kept.is_dir()


@pytest.mark.parametrize(
    "setting",
    ["data.series.news.delay=16m", "data.series.news.max_age=null", "data.timeframes=[4h, 1d]"],
)
def test_how_inputs_are_joined_is_part_of_the_run(study, done, tmp_path, setting):
    assert again(study, tmp_path, overrides=[setting]).run_id != done.run_id


def test_what_is_published_after_the_data_end_is_another_story(study, done, tmp_path):
    """Rows beyond data.end are not read: they change nothing, not even the id."""
    other = copied(study, tmp_path / "other")
    table = pq.read_table(other.parent / "news.parquet")
    late = table.slice(0, 1).set_column(1, "published_at", stamps([START + 2 * DAYS * 24 * HOUR]))
    write(other.parent / "news.parquet", pa.concat_tables([table, late]))
    assert again(other, tmp_path / "out").run_id == done.run_id


def test_what_was_mended_and_left_out_is_in_the_manifest(done, tmp_path):
    study = write_inputs(tmp_path, {key: value for key, value in NEWS.items() if key != "columns"})
    notes = again(study, tmp_path / "out").to_dict()["notes"]
    assert "news: left out what is no number: headline" in notes
    assert any(re.match(r"news: sorted by published_at, \d+ of 480 rows moved", note) for note in notes)
    assert any(note.startswith("news: sorted by") for note in done.to_dict()["notes"])


# Whatever is wrong: one line, the right exit code, nothing left behind.

CONFIG, DATA = 2, 5
MOODS = np.zeros(4 * DAYS)


def news(**changed):
    return lambda folder: write_inputs(folder, NEWS | changed)


def replaced(**columns):
    def spoil(folder):
        write_inputs(folder)
        write_news(folder, **columns)

    return spoil


def called(name):
    return lambda folder: write_inputs(folder, data={"series": {name: NEWS}, "timeframes": ["1d"]})


# What is broken, the exit code, and the line that has to be said.
TABLE = {
    "a series without its publication": (
        news(available=None),
        CONFIG,
        "ConfigError: <here>/small.yaml: data.series.news: <here>/news.parquet has the timestamps felt_at, published_at; say in `available` which of them is when a row could be known",
    ),
    "a series under the name of a bar's column": (
        called("close"),
        CONFIG,
        "ConfigError: <here>/small.yaml: data.series.close: a rule would see its values as close, and sees ts, open, high, low, close, volume, funding, open_1d, high_1d, low_1d, close_1d, volume_1d already; call the series something else",
    ),
    "a series under the name of a coarser column": (
        called("close_1d"),
        CONFIG,
        "ConfigError: <here>/small.yaml: data.series.close_1d: a rule would see its values as close_1d, and sees ts, open, high, low, close, volume, funding, open_1d, high_1d, low_1d, close_1d, volume_1d already; call the series something else",
    ),
    "a timeframe that is no multiple": (
        lambda folder: write_inputs(folder, timeframes=["90m"]),
        CONFIG,
        "ConfigError: <here>/small.yaml: data.timeframes: 90m must be a multiple of the bars' period (1h) and longer",
    ),
    "a publication column that is not there": (
        news(available="known_at"),
        DATA,
        "DataError: news: <here>/news.parquet: column known_at is missing; needs known_at, mood, found felt_at, published_at, mood, headline; run wfbt data info <here>/news.parquet",
    ),
    "a publication that is text": (
        news(available="headline"),
        DATA,
        "DataError: news: <here>/news.parquet: headline must be a timestamp with a time zone, was string; convert it to timestamp[us, UTC]",
    ),
    "a publication without a zone": (
        replaced(published_at=pa.array(np.arange(4 * DAYS), pa.timestamp("us"))),
        DATA,
        "DataError: news: <here>/news.parquet: published_at has no time zone (timestamp[us]); say which one it is in by writing timestamp[us, UTC]",
    ),
    "a value column of text": (
        news(columns=["headline"]),
        DATA,
        "DataError: news: <here>/news.parquet: column headline must hold numbers, was string; convert it to float64",
    ),
    "a mood without end": (
        replaced(mood=np.r_[0.0, np.inf, MOODS[2:]]),
        DATA,
        "DataError: news: nan at row 1 (2024-01-01 10:16:55.659367Z): infinite: mood inf; see: wfbt data check <here>/news.parquet",
    ),
    "news of tomorrow": (
        lambda folder: (
            write_inputs(folder, data={"series": {"news": NEWS}, "timeframes": ["1d"], "end": "2090-01-01"}),
            write_news(folder, published_at=stamps(START + 60 * 365 * 24 * HOUR + HOUR * np.arange(4 * DAYS))),
        ),
        DATA,
        "DataError: news: future at row 0 (2083-12-17 00:00:00Z): later than now (now); see: wfbt data check <here>/news.parquet",
    ),
    "no file of news": (
        news(path="none.parquet"),
        DATA,
        "DataError: news: <here>/none.parquet: no Parquet file found; give a file, a folder, a glob or an s3:// address",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_bad_inputs_end_in_one_line_and_leave_nothing(name, tmp_path):
    spoil, code, line = TABLE[name]
    spoil(tmp_path)
    words = ["run", str(tmp_path / "small.yaml"), "--out", str(tmp_path / "out"), "--no-report", "--quiet"]
    told = CliRunner().invoke(cli.main, words)
    said = re.sub(r"later than now \(.*\);", "later than now (now);", told.stderr.replace(str(tmp_path), "<here>"))
    assert said == line + "\n"
    assert (told.stdout, told.exit_code) == ("", code)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
