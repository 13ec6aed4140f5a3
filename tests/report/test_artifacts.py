"""Files of the run folder are whole or absent, and hold no number that is not one."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from wfbt.errors import LedgerError
from wfbt.report.artifacts import write_frame, write_json, write_text


def test_json_keeps_the_order_of_its_keys_and_numpy_numbers(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"b": np.float64(0.1), "a": np.int64(3), "c": [np.bool_(True), None, np.array([1.5, 2.0])]})
    assert list(json.loads(path.read_text())) == ["b", "a", "c"]
    assert json.loads(path.read_text()) == {"b": 0.1, "a": 3, "c": [True, None, [1.5, 2.0]]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_a_number_that_is_none_is_refused_by_its_key_and_nothing_is_written(tmp_path, value):
    with pytest.raises(LedgerError, match=r"result\.json: folds\[1\]\.sharpe is (nan|inf); .* null with a reason"):
        write_json(tmp_path / "result.json", {"folds": [{"sharpe": 1.0}, {"sharpe": value}]})
    assert list(tmp_path.iterdir()) == []


def test_what_json_cannot_hold_is_refused_by_its_key(tmp_path):
    with pytest.raises(LedgerError, match="config is a set"):
        write_json(tmp_path / "result.json", {"config": {1}})


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "index.html"
    write_text(path, "old")

    def fail(_descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    monkeypatch.undo()
    write_text(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["index.html"]
    assert path.read_text() == "new"


def test_frames_are_zstd_parquet_of_the_columns_alone_and_the_same_bytes_each_time(tmp_path):
    frame = pd.DataFrame({"ts": np.arange(5), "equity": np.linspace(1, 2, 5)}, index=[9, 8, 7, 6, 5])
    for name in ("a", "b"):
        write_frame(tmp_path / name / "equity.parquet", frame)
    first, second = tmp_path / "a" / "equity.parquet", tmp_path / "b" / "equity.parquet"
    assert first.read_bytes() == second.read_bytes()
    assert pq.ParquetFile(first).metadata.row_group(0).column(0).compression == "ZSTD"
    pd.testing.assert_frame_equal(pd.read_parquet(first), frame.reset_index(drop=True))
