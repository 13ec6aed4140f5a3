"""What is wrong with each file of real data, written by hand from its MANIFEST; and defects put into clean ones."""

from dataclasses import replace

import numpy as np
import pytest

from wfbt.data import quality, store

NOW = int(np.datetime64("2026-07-01", "ns").astype(np.int64))

# file: (error rules, warning rules but spikes, bars of zero volume, bars absent)
# The last two are MANIFEST's zero_vol and missing; None where the market closes, as MANIFEST counts closes too.
EXPECTED = {
    "bars/BTCUSDT_perp_15m": (set(), {"zero_volume"}, 4, 0),
    "bars/BTCUSDT_perp_1h": (set(), {"zero_volume"}, 3, 0),
    "bars/BTCUSDT_perp_1m_2025": (set(), set(), 0, 0),
    "bars/BTCUSDT_perp_5m": (set(), {"zero_volume"}, 3, 0),
    # Thin at its launch: the price stood still for almost three hours.
    "bars/BTCUSDT_perp_5m_2019launch": (set(), {"zero_volume", "stale"}, 55, 0),
    "bars/ETHUSDT_perp_15m": (set(), {"zero_volume"}, 7, 0),
    "bars/ETHUSDT_perp_1h": (set(), set(), 0, 0),
    "bars/ETHUSDT_perp_1m_2025": (set(), set(), 0, 0),
    "bars/ETHUSDT_perp_5m": (set(), {"zero_volume"}, 3, 0),
    # FX and metal: weekends and the nightly break are no gaps, holidays are.
    "bars/EURUSD_1h": (set(), {"gap"}, 0, None),
    "bars/EURUSD_1m_2017H1": (set(), {"gap", "zero_volume"}, 186_348, None),
    # July 2023 is not in the snapshot: 12.7% of the bars.
    "bars/FILUSDT_perp_1m_2023": ({"missing"}, {"gap", "zero_volume"}, 86, 44_640),
    "bars/GOOG_1d": (set(), {"gap"}, 0, None),
    "bars/SOLUSDT_perp_15m": (set(), {"zero_volume"}, 7, 0),
    "bars/SOLUSDT_perp_1h": (set(), set(), 0, 0),
    "bars/SP500_1d": (set(), {"gap"}, 0, None),
    "bars/XAUUSD_1h": (set(), {"gap"}, 0, None),
    "funding/BTCUSDT_bybit_funding": (set(), set(), 0, 0),
    "funding/BTCUSDT_perp_funding": (set(), set(), 0, 0),
    "funding/ETHUSDT_perp_funding": (set(), set(), 0, 0),
    "funding/SOLUSDT_perp_funding": (set(), set(), 0, 0),
    # No volume by construction, which their role says.
    "mark/BTCUSDT_perp_mark_1h": (set(), set(), 0, 0),
    "mark/ETHUSDT_perp_mark_1h": (set(), set(), 0, 0),
    "mark/SOLUSDT_perp_mark_1h": (set(), set(), 0, 0),
    # A crash is no defect.
    "messy/1000LUNCUSDT_perp_1h_crash": (set(), set(), 0, 0),
    "messy/ADA_BTC_5m_freqtrade_2018": (set(), {"gap"}, 0, 40),
    "messy/BTCUSDC_1m_binanceUS_202303": (set(), {"zero_volume", "stale"}, 12_971, 0),
    "messy/BTCUSDC_1m_kraken_sparse": ({"missing"}, {"gap"}, 0, 72_883),
    # That the venue is another (57,900 while the market was at 111,000) no value in the file can show; that no market
    # moves so can be seen.
    "messy/BTCUSDT_1m_bybit_TESTNET_badprices": (
        {"missing"},
        {"gap", "implausible", "stale", "zero_volume"},
        7546,
        419_724,
    ),
    "messy/BTCUSDT_funding_plus3h_mislabelled": (set(), {"funding_grid"}, 0, 0),
    "messy/BTCUSDT_perp_1m_overlapping_append": ({"disorder", "duplicates"}, set(), 0, 0),
    "messy/BTCUSD_1h_cdd_asfound": ({"disorder"}, {"volume_scale", "zero_volume"}, 5, 0),
    # Delisted: years of one price.
    "messy/FTTUSDT_perp_1h_delisted": (set(), {"stale", "zero_volume"}, 31_230, 0),
    "messy/LTCUSDT_perp_1m_bybit_paging_gaps": ({"missing"}, {"gap", "zero_volume"}, 127, 419_724),
    # 717 of 14,398 minutes are absent: 4.98%, just allowed.
    "messy/UNITTEST_BTC_1m_freqtrade_2018": (set(), {"gap"}, 0, 717),
    # Daily until 2018 and hourly since, in broker's time: a pause from Saturday 00:00 to Monday 01:00.
    "messy/XAUUSD_1h_rawtz": ({"missing"}, {"gap", "session_shift"}, 0, None),
}


def findings_of(folder, name):
    path = str(folder / f"{name}.parquet")
    if store.kind(path) == "funding":
        return quality.check_funding(store.read_funding(path, "X"), "X", NOW)
    return quality.check_bars(store.read_bars(path, "X"), "X", NOW, has_volume=not name.startswith("mark/"))


def rows(findings, rule):
    return {row for f in findings if f.rule == rule for row in range(f.row, f.row + f.count)}


def test_every_file_of_bars_and_funding_has_its_expectation(real_data):
    found = {
        f"{folder}/{path.stem}"
        for folder in ("bars", "funding", "mark", "messy")
        for path in (real_data / folder).glob("*.parquet")
    }
    assert found == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_shows_what_its_manifest_says(real_data, name):
    errors, warnings, zero_volume, absent = EXPECTED[name]
    findings = findings_of(real_data, name)
    assert {f.rule for f in findings if f.severity == "error"} == errors
    assert {f.rule for f in findings if f.severity == "warning"} - {"spike"} == warnings
    assert len(rows(findings, "zero_volume")) == zero_volume
    if absent is not None:
        assert sum(f.count for f in findings if f.rule == "gap") == absent


@pytest.mark.parametrize("name", [n for n in EXPECTED if n.startswith(("bars/", "mark/"))])
def test_spikes_are_rare_in_real_markets(real_data, name):
    path = str(real_data / f"{name}.parquet")
    assert len(rows(findings_of(real_data, name), "spike")) <= max(10, 1e-4 * len(store.read_bars(path, "X")))


def test_the_overlapping_append_is_named_at_its_seam(real_data):
    findings = findings_of(real_data, "messy/BTCUSDT_perp_1m_overlapping_append")
    (repeats,) = [f for f in findings if f.rule == "duplicates"]
    (disorder,) = [f for f in findings if f.rule == "disorder"]
    assert (repeats.row, repeats.count) == (43_199, 13_259)
    assert (disorder.row, disorder.count) == (43_199, 1)


def test_a_newest_first_file_is_one_finding_that_says_so(real_data):
    (disorder,) = [f for f in findings_of(real_data, "messy/BTCUSD_1h_cdd_asfound") if f.rule == "disorder"]
    assert "newest first" in disorder.message
    assert disorder.count == 33_259


def test_swapped_volumes_are_counted_to_the_row(real_data):
    (scale,) = [f for f in findings_of(real_data, "messy/BTCUSD_1h_cdd_asfound") if f.rule == "volume_scale"]
    assert scale.count == 20_143
    assert "2020-10-1" in scale.message


def test_a_swap_shows_in_the_volumes_alone(real_data):
    raw = store.read_bars(str(real_data / "messy/BTCUSD_1h_cdd_asfound.parquet"), "X")
    alone = {name: raw[name][::-1].copy() for name in store.BARS}
    raw = store.Raw(
        path=raw.path, files=raw.files, zone=raw.zone, row=np.arange(len(raw)), ts=raw.ts[::-1].copy(), columns=alone
    )
    (scale,) = [f for f in quality.check_bars(raw, "X", NOW) if f.rule == "volume_scale"]
    assert store.stamp(scale.ts) == "2020-10-12 09:00:00Z"


def test_every_settlement_of_a_shifted_funding_file_is_off_the_grid(real_data):
    (grid,) = [
        f for f in findings_of(real_data, "messy/BTCUSDT_funding_plus3h_mislabelled") if f.rule == "funding_grid"
    ]
    assert (grid.row, grid.count) == (0, 4383)


def test_all_weeks_of_mislabelled_gold_pause_at_impossible_hours(real_data):
    (shift,) = [f for f in findings_of(real_data, "messy/XAUUSD_1h_rawtz") if f.rule == "session_shift"]
    assert shift.count > 400


def test_fifteen_minutes_and_hours_disagree_where_the_venue_lost_bars(real_data):
    hours = store.read_bars(str(real_data / "bars/BTCUSDT_perp_1h.parquet"), "X")
    quarters = store.read_bars(str(real_data / "bars/BTCUSDT_perp_15m.parquet"), "X")
    found = quality.compare_bars(hours, quarters, "X")
    stamps = {store.stamp(int(hours.ts[row])) for row in rows(found, "disagree")}
    assert {"2024-10-28 20:00:00Z", "2024-10-28 21:00:00Z"} <= stamps
    assert len(stamps) == 10


def test_five_minutes_make_the_hours_but_for_one_volume(real_data):
    hours = store.read_bars(str(real_data / "bars/BTCUSDT_perp_1h.parquet"), "X")
    fives = store.read_bars(str(real_data / "bars/BTCUSDT_perp_5m.parquet"), "X")
    (one,) = quality.compare_bars(hours, fives, "X")
    assert one.message.endswith("say otherwise: volume")


@pytest.fixture(scope="module")
def clean(real_data):
    return store.read_bars(str(real_data / "bars/BTCUSDT_perp_1h.parquet"), "X")


@pytest.fixture(scope="module")
def at_random(clean):
    """Twenty rows, well apart, after the first that spikes are judged on."""
    return np.sort(np.random.default_rng(11).choice(np.arange(20, len(clean) // 10 - 20), 20, replace=False)) * 10


def with_columns(raw, index=slice(None), ts=None, **changed):
    ts = raw.ts[index] if ts is None else ts
    columns = {name: changed.get(name, raw[name][index]).copy() for name in store.BARS}
    return store.Raw(path="x", files=("x",), zone="UTC", row=np.arange(len(ts)), ts=ts, columns=columns)


def altered(raw, name, at, values):
    column = raw[name].copy()
    column[at] = values
    return with_columns(raw, **{name: column})


def errors(findings):
    return {f.rule for f in findings if f.severity == "error"}


@pytest.mark.parametrize(
    ("rule", "name", "value"),
    [
        ("nan", "open", np.nan),
        ("nan", "volume", np.nan),
        ("nan", "high", np.inf),
        ("non_positive", "low", 0.0),
        ("non_positive", "close", -1.0),
        ("ohlc", "high", 0.01),
        ("ohlc", "low", 1e7),
        ("negative_volume", "volume", -1.0),
    ],
)
def test_impossible_values_are_reported_at_exactly_their_rows(clean, at_random, rule, name, value):
    findings = quality.check_bars(altered(clean, name, at_random, value), "X", NOW)
    assert rows(findings, rule) == set(at_random.tolist())
    assert errors(findings) == {rule}


@pytest.mark.parametrize("same", [True, False])
def test_repeated_rows_are_reported_at_exactly_their_rows(clean, at_random, same):
    index = np.insert(np.arange(len(clean)), at_random + 1, at_random)
    repeats = at_random + 1 + np.arange(len(at_random))
    raw = with_columns(clean, index)
    if not same:
        raw = altered(raw, "volume", repeats, 1.0)
    findings = quality.check_bars(raw, "X", NOW)
    assert rows(findings, "duplicates") == set(repeats.tolist())
    assert errors(findings) == {"duplicates"}
    assert all(("the same values" in f.message) == same for f in findings if f.rule == "duplicates")


@pytest.mark.parametrize("apart", [1, 2, 4])
def test_rows_that_changed_places_are_both_reported_and_no_others(clean, at_random, apart):
    index = np.arange(len(clean))
    index[at_random], index[at_random + apart] = at_random + apart, at_random
    findings = quality.check_bars(with_columns(clean, index), "X", NOW)
    assert rows(findings, "disorder") == set(at_random.tolist()) | set((at_random + apart).tolist())
    assert errors(findings) == {"disorder"}


def test_stamps_from_the_future_are_reported_at_exactly_their_rows(clean, at_random):
    ts = clean.ts.copy()
    ts[at_random] = NOW + 1 + np.arange(len(at_random))
    findings = quality.check_bars(with_columns(clean, ts=ts), "X", NOW)
    assert rows(findings, "future") == set(at_random.tolist())
    assert errors(findings) == {"future"}


def test_stamps_off_the_grid_are_reported_at_exactly_their_rows(clean, at_random):
    ts = clean.ts.copy()
    ts[at_random] += 60_000_000_000
    findings = quality.check_bars(with_columns(clean, ts=ts), "X", NOW)
    assert rows(findings, "off_grid") == set(at_random.tolist())
    assert errors(findings) == {"off_grid"}


@pytest.mark.parametrize("factor", [3.0, 1 / 3])
def test_spikes_are_reported_at_exactly_their_rows(clean, at_random, factor):
    before = rows(quality.check_bars(clean, "X", NOW), "spike")
    raw = altered(clean, "close", at_random, clean["close"][at_random] * factor)
    ends = np.stack([raw["open"], raw["close"], clean["high"], clean["low"]])
    raw = with_columns(raw, high=ends.max(axis=0), low=ends.min(axis=0))
    findings = quality.check_bars(raw, "X", NOW)
    assert rows(findings, "spike") == set(at_random.tolist()) | before
    assert errors(findings) == set()


def test_deleted_rows_are_gaps_at_exactly_their_places(clean, at_random):
    keep = np.delete(np.arange(len(clean)), at_random)
    findings = quality.check_bars(with_columns(clean, keep), "X", NOW)
    gaps = {f.row: f.count for f in findings if f.rule == "gap"}
    assert gaps == dict.fromkeys((at_random - np.arange(len(at_random))).tolist(), 1)
    assert errors(findings) == set()


@pytest.mark.parametrize(
    "name", ["BTCUSDT_perp_1m_2025", "BTCUSDT_perp_1h", "XAUUSD_1h", "EURUSD_1m_2017H1", "SP500_1d"]
)
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_bars_lost_at_random_are_missing_and_counted(real_data, name, share):
    raw = store.read_bars(str(real_data / f"bars/{name}.parquet"), "X")
    keep = np.random.default_rng(3).random(len(raw)) > share
    keep[[0, -1]] = True
    (missing,) = [f for f in quality.check_bars(raw.take(keep), "X", NOW) if f.rule == "missing"]
    assert missing.count >= 0.98 * np.count_nonzero(~keep)


@pytest.mark.parametrize(("keep", "page"), [(200, 1002), (600, 1002), (100, 1500), (5, 7), (30, 60)])
def test_a_client_that_pages_badly_does_not_make_its_holes_normal(real_data, keep, page):
    raw = store.read_bars(str(real_data / "bars/BTCUSDT_perp_1m_2025.parquet"), "X")
    kept = raw.take(np.arange(len(raw)) % page < keep)
    (missing,) = [f for f in quality.check_bars(kept, "X", NOW) if f.severity == "error"]
    assert missing.rule == "missing"


def test_a_market_with_weekends_and_nights_misses_nothing_on_another_clock(real_data):
    raw = store.read_bars(str(real_data / "bars/XAUUSD_1h.parquet"), "X")
    moved = with_columns(raw, ts=raw.ts - 7 * 3600 * 10**9)
    assert "missing" not in errors(quality.check_bars(moved, "X", NOW))


TRADES = (
    "APEUSDT_perp_aggtrades_20241018",
    "BTCUSDT_spot_20240808_trades",
    "BTCUSDT_usdm_20240808_trades",
    "BTCUSD_bitstamp_20150501_trades",
    "BTCUSD_coinm_20240808_trades",
)


@pytest.mark.parametrize("name", TRADES)
def test_real_trades_are_clean(real_data, name):
    raw = store.read_trades(str(real_data / "trades" / f"{name}.parquet"), name)
    assert quality.check_trades(raw, name, NOW) == []


@pytest.mark.parametrize("name", [name for name in TRADES if "bitstamp" not in name])
def test_an_overlap_appended_to_real_trades_is_found(real_data, name):
    raw = store.read_trades(str(real_data / "trades" / f"{name}.parquet"), name)
    rows = np.r_[0:1500, 1400 : len(raw)]
    again = raw.take(rows)
    found = quality.check_trades(replace(again, row=np.arange(len(rows))), name, NOW)
    repeated = sum(f.count for f in found if f.rule == "duplicates")
    assert repeated == 100
    assert "disorder" in {f.rule for f in found}
