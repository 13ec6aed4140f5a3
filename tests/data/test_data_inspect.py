import numpy as np
import pytest

from tests.data.parquet import NOW, START, bars_table, columns, funding_table, write
from wfbt.data.inspect import check, info, render_findings, render_info
from wfbt.data.market import HOUR


def test_check_tells_bars_from_funding_by_their_columns(tmp_path):
    volume = columns(200)["volume"]
    volume[3] = -1
    rules = {f.rule for f in check(write(tmp_path / "a.parquet", bars_table(volume=volume)), now=NOW)}
    assert rules == {"negative_volume"}
    late = START + 8 * HOUR * np.arange(60) + HOUR
    rules = {f.rule for f in check(write(tmp_path / "b.parquet", funding_table(ts=late)), now=NOW)}
    assert rules == {"funding_grid"}


def test_info_gives_the_extent(tmp_path):
    path = write(tmp_path / "a.parquet", bars_table(100).take(np.r_[0:50, 52:100]))
    told = info(path, now=NOW)
    assert {key: told[key] for key in ("kind", "rows", "files", "first", "last", "period", "zone", "columns")} == {
        "kind": "bars",
        "rows": 98,
        "files": [path],
        "first": "2024-01-01 00:00:00Z",
        "last": "2024-01-05 03:00:00Z",
        "period": "1h",
        "zone": "UTC",
        "columns": ["ts", "open", "high", "low", "close", "volume"],
    }
    assert [(gap["row"], gap["ts"], gap["absent"]) for gap in told["gaps"]] == [(50, "2024-01-03 04:00:00Z", 2)]


def test_info_of_a_newest_first_file_still_knows_its_period(tmp_path):
    told = info(write(tmp_path / "a.parquet", bars_table(100).take(np.arange(100)[::-1])), now=NOW)
    assert (told["first"], told["last"], told["period"]) == ("2024-01-01 00:00:00Z", "2024-01-05 03:00:00Z", "1h")


def test_info_is_printed_as_one_aligned_line_per_fact(tmp_path):
    lines = render_info(info(write(tmp_path / "a.parquet", funding_table(60)), now=NOW)).splitlines()
    assert lines[:2] == ["kind    funding", "rows    60"]
    assert "period  8h" in lines
    assert lines[-1] == "gaps    0"


@pytest.mark.parametrize("everything", [False, True])
def test_long_lists_are_cut_unless_all_are_wanted(tmp_path, everything):
    keep = np.delete(np.arange(2000), np.arange(10, 1990, 40))
    path = write(tmp_path / "a.parquet", bars_table(2000).take(keep))
    told = render_info(info(path, now=NOW), all=everything)
    found = render_findings(check(path, now=NOW), all=everything)
    assert told.count("bar absent since") == found.count("bar absent since") == (50 if everything else 10)
    assert ("… and 40 more gaps; --all shows them" in told) == (not everything)
    assert ("… and 40 more gap findings; --all shows them" in found) == (not everything)


def test_findings_are_counted_first_and_gathered_by_rule(tmp_path):
    given = columns(200)
    given["volume"][[3, 4, 5]] = 0
    given["close"][9] = np.nan
    lines = render_findings(check(write(tmp_path / "a.parquet", bars_table(**given)), now=NOW)).splitlines()
    assert lines[0] == "1 error, 1 warning"
    assert lines[2] == "error nan (1)"
    assert lines[3] == "  row 9  2024-01-01 09:00:00Z  not a number: close nan"
    assert lines[6] == "  row 3  2024-01-01 03:00:00Z  volume is 0: nothing traded +2 rows"


def test_no_findings_are_said_too(tmp_path):
    assert render_findings(check(write(tmp_path / "a.parquet", bars_table()), now=NOW)) == "0 errors, 0 warnings"
