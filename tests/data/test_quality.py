import numpy as np
import pytest

from tests.data.parquet import NOW, START, columns, raw_bars
from wfbt.data import quality
from wfbt.data.findings import duration
from wfbt.data.market import DAY, HOUR, MINUTE
from wfbt.data.store import Raw

HOURS = START + HOUR * np.arange(24 * 60)


def found(raw, **rest):
    return {f.rule: f for f in quality.check_bars(raw, "X", NOW, **rest)}


def funding(ts, **changed):
    given = {"rate": np.full(len(ts), 1e-4), "mark_price": np.full(len(ts), 100.0)} | changed
    return Raw(path="x", files=("x",), zone="UTC", row=np.arange(len(ts)), ts=ts, columns=given)


def funding_rules(raw):
    return {f.rule: f for f in quality.check_funding(raw, "X", NOW)}


EIGHT = START + 8 * HOUR * np.arange(300)


def test_sound_bars_have_no_findings():
    assert found(raw_bars(HOURS)) == {}


def test_errors_come_before_warnings_each_in_row_order():
    given = columns(len(HOURS))
    given["volume"][[5, 700]] = 0
    given["close"][[900, 300]] = np.nan
    findings = quality.check_bars(raw_bars(HOURS, **given), "X", NOW)
    assert [(f.severity, f.row) for f in findings] == [("error", 300), ("error", 900), ("warning", 5), ("warning", 700)]


def test_a_finding_reads_as_one_line_with_symbol_rule_row_and_time():
    volume = columns(len(HOURS))["volume"]
    volume[7] = -2
    (finding,) = quality.check_bars(raw_bars(HOURS, volume=volume), "X", NOW)
    assert str(finding) == "X: negative_volume at row 7 (2024-01-01 07:00:00Z): volume must be >= 0, was -2"


def test_neighbouring_rows_of_one_rule_are_one_finding():
    volume = columns(len(HOURS))["volume"]
    volume[100:150] = 0
    (finding,) = quality.check_bars(raw_bars(HOURS, volume=volume), "X", NOW)
    assert (finding.row, finding.count) == (100, 50)


def test_mark_prices_need_no_volume():
    volume = np.zeros(len(HOURS))
    assert found(raw_bars(HOURS, volume=volume), has_volume=False) == {}
    assert found(raw_bars(HOURS, volume=volume))["zero_volume"].count == len(HOURS)


@pytest.mark.parametrize(("bars", "stale"), [(23, False), (24, True)])
def test_a_day_of_one_price_is_stale(bars, stale):
    given = columns(len(HOURS))
    for name in ("open", "high", "low", "close"):
        given[name][200 : 200 + bars + 1] = given["close"][200]
    rules = found(raw_bars(HOURS, **given))
    assert ("stale" in rules) == stale
    if stale:
        assert (rules["stale"].row, rules["stale"].count) == (201, 24)


def test_a_jump_that_stays_is_no_spike():
    given = columns(len(HOURS))
    for name in ("open", "high", "low", "close"):
        given[name][500:] *= 2
    assert found(raw_bars(HOURS, **given)) == {}


def test_more_missing_than_allowed_is_an_error_and_the_limit_is_the_callers():
    raw = raw_bars(np.delete(HOURS, np.arange(600, 720)))
    assert found(raw)["missing"].count == 120
    assert found(raw)["missing"].row == 600
    assert set(found(raw, max_missing=0.1)) == {"gap"}


def test_volume_in_lots_of_a_million_shows_as_a_change_of_scale():
    given = columns(24 * 120)
    given["volume"][1500:] *= 1e6
    rules = found(raw_bars(START + HOUR * np.arange(24 * 120), **given))
    assert abs(rules["volume_scale"].row - 1500) <= 1


def test_a_busy_fortnight_is_no_change_of_scale():
    given = columns(24 * 120)
    given["volume"][1500:1836] *= 1e4
    assert found(raw_bars(START + HOUR * np.arange(24 * 120), **given)) == {}


def test_settlements_on_time_have_no_findings():
    assert funding_rules(funding(EIGHT)) == {}


def test_milliseconds_of_jitter_are_on_the_grid_and_seconds_are_not():
    jitter = np.random.default_rng(1).integers(-99, 100, len(EIGHT)) * 1_000_000
    assert funding_rules(funding(EIGHT + jitter)) == {}
    late = EIGHT.copy()
    late[40] += 5_000_000_000
    rules = funding_rules(funding(late))
    assert (rules["funding_grid"].row, rules["funding_grid"].count) == (40, 1)


def test_a_venue_may_settle_more_often_for_a_while():
    ts = np.unique(np.r_[EIGHT, START + 4 * HOUR * np.arange(100, 140)])
    assert funding_rules(funding(ts)) == {}


def test_funding_has_its_errors_too():
    rate = np.full(len(EIGHT), 1e-4)
    rate[9] = np.nan
    mark = np.full(len(EIGHT), 100.0)
    mark[[3, 11]] = 0.0, np.nan
    rules = funding_rules(funding(EIGHT, rate=rate, mark_price=mark))
    assert {rule: f.row for rule, f in rules.items()} == {"nan": 9, "non_positive": 3}
    assert set(funding_rules(funding(EIGHT[::-1].copy()))) == {"disorder"}
    assert set(funding_rules(funding(np.repeat(EIGHT, 2)))) == {"duplicates"}
    assert "missing" in funding_rules(funding(np.delete(EIGHT, np.arange(100, 130))))


def test_stamps_within_a_tenth_of_a_second_are_snapped_and_counted():
    ts = START + np.array([0, 100_000_000, 101_000_000, MINUTE - 7_000_000])
    snapped, count = quality.snap(ts)
    assert (snapped - START).tolist() == [0, 0, 101_000_000, MINUTE]
    assert count == 2


def resampled(fine, each):
    blocks = {name: fine[name].reshape(-1, each) for name in ("open", "high", "low", "close", "volume")}
    return raw_bars(
        fine.ts[::each],
        open=blocks["open"][:, 0],
        high=blocks["high"].max(axis=1),
        low=blocks["low"].min(axis=1),
        close=blocks["close"][:, -1],
        volume=blocks["volume"].sum(axis=1),
    )


def test_sources_agree_when_one_is_the_other_resampled():
    fine = raw_bars(HOURS)
    assert quality.compare_bars(resampled(fine, 4), fine, "X") == []
    assert quality.compare_bars(fine, fine, "X") == []


def test_sources_that_disagree_are_named_at_the_row_of_the_coarser():
    fine = raw_bars(HOURS)
    coarse = resampled(fine, 24)
    high = coarse["high"].copy()
    high[[4, 17]] *= 1.01
    findings = quality.compare_bars(raw_bars(coarse.ts, **{**coarse.columns, "high": high}), fine, "X")
    assert [(f.row, f.rule) for f in findings] == [(4, "disagree"), (17, "disagree")]
    assert findings[0].message.endswith("say otherwise: high")


def test_an_incomplete_bar_of_the_finer_source_is_not_compared():
    fine = raw_bars(HOURS)
    coarse = resampled(fine, 24)
    assert quality.compare_bars(coarse, fine.take(np.arange(len(fine)) != 30), "X") == []


@pytest.mark.parametrize(
    ("ns", "text"), [(DAY, "1d"), (4 * HOUR, "4h"), (90 * MINUTE, "90m"), (1_000_000_000, "1s"), (1, "1e-09s")]
)
def test_durations_are_written_in_the_largest_whole_unit(ns, text):
    assert duration(ns) == text
