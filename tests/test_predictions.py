"""A model's predictions are believed only as far as its manifest reaches."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest

import wfbt
from tests.data.parquet import HOUR, START, stamps, write
from tests.runs import hours, write_study
from wfbt.errors import ArtifactError, ConfigError

RULE = """
def follow(bars):
    return bars["model"].clip(-1.0, 1.0)
"""
DAY = 24 * HOUR


def iso(ns):
    return str(np.datetime64(int(ns), "ns"))


@pytest.fixture
def predicted(tmp_path):
    """A study of 120 days in hours whose first fold is tested from day 60 on, beside predictions for every hour."""
    bars = hours()
    rows = len(bars["close"])
    (tmp_path / "own.py").write_text(RULE)
    values = np.sin(np.arange(rows) / 40.0)
    write(tmp_path / "model.parquet", pa.table({"at": stamps(START + HOUR * np.arange(rows)), "model": values}))
    return tmp_path


def run(folder, manifest=None, embargo="24h", **series):
    given = {"path": "model.parquet", "available": "at", "predictions": True} | series
    if manifest is not None:
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        (folder / "manifest.json").write_text(text)
        given["manifest"] = "manifest.json"
    data = {"series": {"model": given}}
    study = write_study(
        folder, data=data, policy={"rule": "own.py:follow", "search": {}, "params": {}}, folds={"embargo": embargo}
    )
    return wfbt.run(study, out=folder / "out", report=False)


def told(folder, end, **rest):
    digest = hashlib.sha256((folder / "model.parquet").read_bytes()).hexdigest()
    return {"training": [{"start": iso(START), "end": iso(end)}], "predictions_sha256": digest} | rest


def first_test(folder):
    return int(np.datetime64(run(folder, predictions=False).to_dict()["folds"][0]["test_start"].rstrip("Z"), "ns"))


def test_predictions_of_a_model_that_was_trained_before_every_fold_are_replayed(predicted):
    result = run(predicted, told(predicted, START + 40 * DAY))
    assert len(result.ledger.fills) > 0
    wfbt.run(result.folder / "config.resolved.yaml", out=predicted / "again", report=False)


def test_a_missing_manifest_is_refused(predicted):
    with pytest.raises(ArtifactError, match=r"small.yaml: data.series.model: predictions without a manifest") as caught:
        run(predicted)
    assert caught.value.exit_code == 3
    assert not list((predicted / "out").glob("small*"))


def test_the_embargo_counts_from_the_end_of_training_to_the_first_bar_that_is_tested(predicted):
    opens = first_test(predicted)
    run(predicted, told(predicted, opens - DAY))
    with pytest.raises(ArtifactError, match=r"fold 1 is tested from .* before the end of training and its embargo"):
        run(predicted, told(predicted, opens - DAY + 1))


def test_a_model_trained_later_than_it_is_tested_is_refused(predicted):
    late = told(predicted, START + 200 * DAY)
    late["training"] = [{"start": iso(START + 150 * DAY), "end": iso(START + 200 * DAY)}]
    with pytest.raises(ArtifactError, match="may have seen what it is tested on"):
        run(predicted, late)


def test_one_window_of_several_is_enough_to_refuse(predicted):
    late = told(predicted, START + 40 * DAY)
    late["training"].append({"start": iso(START + 70 * DAY), "end": iso(START + 71 * DAY)})
    with pytest.raises(ArtifactError, match="fold 1"):
        run(predicted, late)


def test_one_changed_byte_of_the_predictions_contradicts_the_manifest(predicted):
    manifest = told(predicted, START + 40 * DAY)
    rows = len(hours()["close"])
    table = pa.table({"at": stamps(START + HOUR * np.arange(rows)), "model": np.cos(np.arange(rows) / 40.0)})
    write(predicted / "model.parquet", table)
    with pytest.raises(ArtifactError, match="predictions_sha256 is not that of"):
        run(predicted, manifest)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "manifest.json: "),
        ("[1]", "must be a mapping"),
        ('{"training": []}', "lacks predictions_sha256"),
        ('{"training": [], "predictions_sha256": "0"}', "training must be a list"),
        ("[" * 100_000, "manifest.json: "),
        (" " * (1 << 21), "is larger than"),
    ],
)
def test_a_damaged_manifest_is_refused_in_one_line(predicted, text, says):
    with pytest.raises(ArtifactError, match=r"data\.series\.model\.manifest: ") as caught:
        run(predicted, text)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "window", [{}, {"start": "2021"}, {"start": "2022", "end": "2021"}, {"start": 1, "end": []}, 3]
)
def test_a_window_without_times_is_refused(predicted, window):
    with pytest.raises(ArtifactError, match="training must hold"):
        run(predicted, told(predicted, START + DAY) | {"training": [window]})


def test_a_manifest_of_no_predictions_is_a_mistake(predicted):
    with pytest.raises(ConfigError, match="belongs to predictions: true"):
        run(predicted, told(predicted, START + DAY), predictions=False)
