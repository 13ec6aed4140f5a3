import numpy as np
import pandas as pd
import pytest

import wfbt
from tests.data.parquet import NOW, START, bars_table, columns, funding_table, write
from wfbt.data.load import load_market
from wfbt.data.market import HOUR, MINUTE
from wfbt.errors import ConfigError, DataError


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "bars.parquet", bars_table(24 * 30))
    write(tmp_path / "funding.parquet", funding_table(90))
    write(tmp_path / "mark.parquet", bars_table(24 * 30, volume=np.zeros(24 * 30)))
    return tmp_path


def load(folder, spec=None, **rest):
    return load_market({"A": {"bars": "bars.parquet"} | (spec or {})}, base=folder, **({"now": NOW} | rest))


def test_a_market_holds_what_its_files_hold(folder):
    spec = {
        "funding": "funding.parquet",
        "mark": "mark.parquet",
        "contract": {"tick": 0.1, "lot": 0.001},
        "impact": 0.05,
        "adv": 1e4,
    }
    market = load(folder, spec)
    (a,) = market.instruments
    assert (len(a.bars), len(a.mark), len(a.funding), market.period) == (720, 720, 90, HOUR)
    assert (a.contract.tick, a.contract.lot, a.impact, a.adv, a.volume) == (0.1, 0.001, 0.05, 1e4, "units")
    assert (market.notes, market.findings) == ((), ())
    np.testing.assert_array_equal(a.bars.close, columns(720)["close"])


def test_load_market_is_a_public_name():
    assert wfbt.load_market is load_market


@pytest.mark.parametrize("kind", [str, pd.Timestamp, np.datetime64, lambda t: pd.Timestamp(t, tz="Europe/Paris")])
def test_dates_are_utc_unless_they_say_otherwise(folder, kind):
    market = load(folder, start=kind("2024-01-10"), end="2024-01-12T00:00Z")
    begin = pd.Timestamp(kind("2024-01-10"))
    begin = begin.tz_localize("UTC") if begin.tzinfo is None else begin
    assert market.instruments[0].bars.open_ts[0] == begin.value
    assert market.instruments[0].bars.open_ts[-1] == pd.Timestamp("2024-01-11 23:00Z").value


def test_the_digest_follows_content_and_not_storage(folder):
    base = load(folder).digest
    table = bars_table(24 * 30)
    parts = folder / "parts"
    write(parts / "a.parquet", table.slice(0, 300))
    write(parts / "b.parquet", table.slice(300))
    assert load(folder, {"bars": "parts"}).digest == base
    assert load(folder, start="2024-01-02").digest != base
    assert load(folder, {"contract": {"tick": 0.5}}).digest != base
    assert load(folder, {"funding": "funding.parquet"}).digest != base
    write(folder / "bars.parquet", bars_table(24 * 30, seed=1))
    assert load(folder).digest != base


def test_an_error_names_the_first_finding_the_number_of_others_and_how_to_look(folder):
    volume = columns(720)["volume"]
    volume[[100, 200, 300]] = np.nan
    path = write(folder / "bars.parquet", bars_table(720, volume=volume))
    with pytest.raises(DataError) as caught:
        load(folder)
    assert str(caught.value) == (
        "A: nan at row 100 (2024-01-05 04:00:00Z): not a number: volume nan and 2 more errors; "
        f"see: wfbt data check {path}"
    )


def test_nothing_is_repaired_unless_asked_and_then_it_is_noted(folder):
    given = columns(720)
    given["close"][100] = np.nan
    write(folder / "bars.parquet", bars_table(720, **given))
    with pytest.raises(DataError, match="nan at row 100"):
        load(folder)
    market = load(folder, repair=["nan"])
    assert len(market.instruments[0].bars) == 719
    assert market.notes == ("A: repaired nan: dropped 1 row, first at row 100 (2024-01-05 04:00:00Z)",)


def test_exact_repeats_are_dropped_and_differing_ones_stay_an_error(folder):
    table = bars_table(720)
    rows = np.insert(np.arange(720), 51, 50)
    write(folder / "bars.parquet", table.take(rows))
    market = load(folder, repair=["duplicates"])
    np.testing.assert_array_equal(market.instruments[0].bars.close, table["close"].to_numpy())
    volume = table.take(rows)["volume"].to_numpy().copy()
    volume[51] += 1
    index = table.column_names.index("volume")
    write(folder / "bars.parquet", table.take(rows).set_column(index, "volume", [volume]))
    with pytest.raises(DataError, match=r"duplicates at row 51 .* other values"):
        load(folder, repair=["duplicates"])


def test_disorder_is_sorted(folder):
    table = bars_table(720)
    write(folder / "bars.parquet", table.take(np.arange(720)[::-1]))
    with pytest.raises(DataError, match="newest first"):
        load(folder)
    market = load(folder, repair=["disorder"])
    np.testing.assert_array_equal(market.instruments[0].bars.close, table["close"].to_numpy())
    assert market.notes[0].startswith("A: repaired disorder: moved 720 rows")


def test_an_appended_overlap_takes_two_repairs(folder):
    table = bars_table(720)
    write(folder / "bars.parquet", table.take(np.r_[0:400, 350:720]))
    market = load(folder, repair=["disorder", "duplicates"])
    np.testing.assert_array_equal(market.instruments[0].bars.close, table["close"].to_numpy())


def test_a_repair_keeps_to_its_symbol_and_its_dates(folder):
    given = columns(720)
    given["high"][[100, 400]] = 1e-3
    write(folder / "bars.parquet", bars_table(720, **given))
    with pytest.raises(DataError, match="ohlc at row 400"):
        load(folder, repair=[{"rule": "ohlc", "to": "2024-01-10"}])
    with pytest.raises(DataError, match="ohlc at row 100"):
        load(folder, repair=[{"rule": "ohlc", "symbol": "B"}])
    assert len(load(folder, repair=[{"rule": "ohlc", "symbol": "A"}]).instruments[0].bars) == 718


def test_missing_bars_may_be_accepted_and_are_not_filled_in(folder):
    write(folder / "bars.parquet", bars_table(720).take(np.r_[0:300, 400:720]))
    with pytest.raises(DataError, match="missing at row 300"):
        load(folder)
    assert len(load(folder, max_missing=0.2).instruments[0].bars) == 620
    for repair in ("missing", {"rule": "missing", "accept": True}):
        market = load(folder, repair=[repair])
        assert len(market.instruments[0].bars) == 620
        assert market.notes[0].startswith("A: accepted missing: 1 finding, first at row 300")
        assert [f.rule for f in market.findings] == ["gap"]


def test_future_rows_are_dropped_or_accepted(folder):
    now = START + 700 * HOUR
    with pytest.raises(DataError, match="future at row 701"):
        load(folder, now=now)
    assert len(load(folder, now=now, repair=["future"]).instruments[0].bars) == 701
    assert len(load(folder, now=now, repair=[{"rule": "future", "accept": True}]).instruments[0].bars) == 720


def test_a_spike_is_a_warning_and_is_dropped_when_asked(folder):
    given = columns(720)
    given["close"][500] *= 3
    given["high"][500] *= 4
    write(folder / "bars.parquet", bars_table(720, **given))
    assert [(f.rule, f.row) for f in load(folder).findings] == [("spike", 500)]
    market = load(folder, repair=["spike"])
    assert len(market.instruments[0].bars) == 719
    assert "spike" not in {f.rule for f in market.findings}


@pytest.mark.parametrize(
    ("repair", "said"),
    [
        ("duplicate", "did you mean 'duplicates'.*valid are duplicates, disorder"),
        ({"rule": "nan", "accept": True}, "'nan' is nothing that can be accepted.*valid are missing, future"),
        ({"rule": "ohlc", "form": "2020-01-01"}, "unknown key 'form', did you mean 'from'"),
        ({"symbol": "A"}, "needs a rule"),
        ({"rule": "ohlc", "from": "yesterday-ish"}, "from must be a date"),
    ],
)
def test_a_repair_that_cannot_be_meant_is_refused_with_what_could(folder, repair, said):
    with pytest.raises(ConfigError, match=said):
        load(folder, repair=[repair])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"fundings": "x"}, "A: unknown key 'fundings', did you mean 'funding'"),
        ({"bars": None}, "A: bars is missing"),
        ({"volume": "lots"}, "volume must be units or none, was 'lots'"),
        ({"contract": {"ticks": 1}}, r"A\.contract: unknown key 'ticks', did you mean 'tick'"),
    ],
)
def test_a_symbol_that_cannot_be_meant_is_refused(folder, spec, said):
    with pytest.raises(ConfigError, match=said):
        load(folder, spec)


def test_the_end_is_after_the_start(folder):
    with pytest.raises(ConfigError, match="end must be after start"):
        load(folder, start="2024-02-01", end="2024-01-01")


def test_jitter_of_funding_is_snapped_counted_and_noted(folder):
    ts = START + 8 * HOUR * np.arange(90)
    ts[[3, 4]] += 7_000_000
    write(folder / "funding.parquet", funding_table(ts=ts))
    market = load(folder, {"funding": "funding.parquet"})
    assert market.instruments[0].funding.snapped == 2
    np.testing.assert_array_equal(market.instruments[0].funding.ts, START + 8 * HOUR * np.arange(90))
    assert market.notes == ("A: 2 funding stamps within 100 ms of a round minute moved to it",)


def test_errors_of_funding_and_mark_stop_the_load_as_those_of_bars_do(folder):
    write(folder / "funding.parquet", funding_table(90, rate=np.r_[np.full(89, 1e-4), np.nan]))
    with pytest.raises(DataError, match=r"A: nan at row 89 .*funding\.parquet"):
        load(folder, {"funding": "funding.parquet"})
    write(folder / "mark.parquet", bars_table(720, close=np.r_[0.0, np.ones(719)]))
    with pytest.raises(DataError, match=r"A: non_positive at row 0 .*mark\.parquet"):
        load(folder, {"mark": "mark.parquet"})


@pytest.mark.parametrize(("zeros", "volume"), [(True, "units"), (False, "none")])
def test_volume_that_counts_no_units_is_noted_unless_adv_is_given(folder, zeros, volume):
    given = {"volume": np.zeros(720)} if zeros else {}
    write(folder / "bars.parquet", bars_table(720, **given))
    market = load(folder, {"volume": volume})
    assert market.instruments[0].volume == "none"
    assert market.notes[0].endswith("no adv is given: impact is off")
    assert load(folder, {"volume": volume, "adv": 5.0}).notes == ()


def test_execution_bars_are_finer_and_their_disagreement_is_a_warning(folder):
    write(folder / "fine.parquet", bars_table(720 * 4, period=15 * MINUTE, seed=3))
    market = load(folder, {"execution_bars": "fine.parquet"})
    assert market.instruments[0].execution_bars.period == 15 * MINUTE
    assert "disagree" in {f.rule for f in market.findings}
    with pytest.raises(DataError, match="execution_bars must be finer than the bars"):
        load(folder, {"execution_bars": "bars.parquet"})


def test_one_bar_is_no_series(folder):
    with pytest.raises(DataError, match="one bar is no series"):
        load(folder, end="2024-01-01 01:00")
