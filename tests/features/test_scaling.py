"""Scales and selections know training rows alone, and a row that lacks a number is no observation."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfbt.errors import ArtifactError, ConfigError, PolicyError
from wfbt.features.scaling import METHODS, Scaler, fit_scaler
from wfbt.features.selection import drop_correlated, everything, selection_of

NAMES = ("a", "b", "c")
ROWS = 300


def matrix(seed=0, rows=ROWS, holes=0.05):
    rng = np.random.default_rng(seed)
    out = rng.normal([1.0, -5.0, 0.0], [2.0, 0.1, 30.0], (rows, 3))
    out[rng.random((rows, 3)) < holes] = np.nan
    out[:4] = np.nan
    return out


MATRICES = {"A": matrix(1), "B": matrix(2)}
CLOSES = {symbol: 10 * np.arange(1, ROWS + 1) for symbol in MATRICES}
TRAIN = np.concatenate([CLOSES["A"][20:90], CLOSES["A"][120:200]])
INSIDE = np.isin(CLOSES["A"], TRAIN)


def fit(method="zscore", matrices=None, **rest):
    return fit_scaler(method, NAMES, MATRICES if matrices is None else matrices, CLOSES, TRAIN, **rest)


def complete(values):
    return values[~np.isnan(values).any(axis=1)]


def test_a_z_score_has_mean_0_and_deviation_1_on_the_training_rows_of_all_symbols():
    scaler = fit()
    rows = np.concatenate([complete(scaler.apply(one)[INSIDE]) for one in MATRICES.values()])
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(rows.std(axis=0, ddof=1), 1.0, rtol=1e-12)


def test_min_max_brings_training_rows_to_0_and_1():
    scaler = fit("minmax")
    rows = np.concatenate([complete(scaler.apply(one)[INSIDE]) for one in MATRICES.values()])
    np.testing.assert_allclose(rows.min(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(rows.max(axis=0), 1.0, rtol=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["zscore", "minmax"]))
def test_rows_that_are_no_training_rows_change_nothing_that_is_learnt(seed, method):
    rng = np.random.default_rng(seed)
    others = {symbol: np.where(INSIDE[:, None], one, rng.normal(0, 99, one.shape)) for symbol, one in MATRICES.items()}
    own, its = fit(method), fit(method, others)
    assert (own.centre.tobytes(), own.scale.tobytes()) == (its.centre.tobytes(), its.scale.tobytes())
    kept = [drop_correlated(0.1, NAMES, one, CLOSES, TRAIN) for one in (MATRICES, others)]
    assert kept[0].to_dict() == kept[1].to_dict()


@pytest.mark.parametrize("method", ["zscore", "minmax"])
def test_a_fit_carries_the_rows_that_it_has_read(method):
    fits = fit(method).fits
    assert [one.symbol for one in fits] == ["A", "B"]
    for one in fits:
        np.testing.assert_array_equal(one.rows, TRAIN)
        one.check(TRAIN)
    with pytest.raises(PolicyError, match="features: was fitted on 80 of 150 rows of A that are no training rows"):
        fits[0].check(TRAIN[:70])


@pytest.mark.parametrize("method", METHODS)
def test_a_row_that_lacks_a_number_is_no_observation_and_a_complete_one_is(method):
    scaled = fit(method, window=5).apply(MATRICES["A"])
    lacks = np.isnan(MATRICES["A"]).any(axis=1)
    assert np.isnan(scaled[lacks]).all()
    first = np.flatnonzero(~lacks)[4 if method == "rolling" else 0]
    assert np.isfinite(scaled[first:][~lacks[first:]]).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_scaled_row_knows_nothing_of_the_rows_after_it(method):
    scaler = fit(method, window=7)
    whole = scaler.apply(MATRICES["A"])
    for cut in (1, 40, 133, 299):
        assert scaler.apply(MATRICES["A"][:cut]).tobytes() == whole[:cut].tobytes()


def test_rolling_scores_are_of_the_last_complete_rows():
    scaled, rows = complete(fit("rolling", window=20).apply(MATRICES["A"])), complete(MATRICES["A"])
    for k in (0, 50, len(scaled) - 1):
        window = rows[k : k + 20]
        np.testing.assert_allclose(
            scaled[k], (window[-1] - window.mean(axis=0)) / window.std(axis=0, ddof=1), rtol=1e-9
        )
    assert fit("rolling", window=20).fits == ()


def test_rolling_scores_of_equal_rows_are_0():
    flat = np.full((30, 3), 7.1)
    np.testing.assert_array_equal(fit("rolling", window=4).apply(flat)[3:], 0.0)


def test_what_lies_far_out_is_cut():
    wild = np.array([[1e9, -1e9, 0.0]])
    assert fit().apply(wild)[0, :2].tolist() == [10.0, -10.0]
    assert fit(clip=3.0).apply(wild)[0, :2].tolist() == [3.0, -3.0]
    assert fit("none").apply(wild)[0, :2].tolist() == [1e9, -1e9]


def test_a_constant_feature_keeps_a_scale_of_1_and_is_noted():
    flat = {symbol: np.where([False, True, False], 0.1, one) for symbol, one in MATRICES.items()}
    scaler = fit(matrices=flat)
    assert scaler.scale[1] == 1.0
    assert scaler.notes == ("b is 0.1 on every training row: its scale is 1",)
    assert abs(scaler.apply(flat["A"])[~np.isnan(flat["A"]).any(axis=1), 1]).max() < 1e-12


def test_too_little_to_learn_from_is_said_with_the_feature_that_is_missing_most():
    nothing = {symbol: np.where([False, True, False], np.nan, one) for symbol, one in MATRICES.items()}
    with pytest.raises(PolicyError, match=r"0 of 300 training rows have every feature.*b is unknown on 300 of them"):
        fit(matrices=nothing)


@pytest.mark.parametrize("method", METHODS)
def test_a_scaler_is_read_back_from_plain_values(method):
    scaler = fit(method, window=9)
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert again.apply(MATRICES["B"]).tobytes() == scaler.apply(MATRICES["B"]).tobytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scale": [1.0, 0.0, 1.0]}, "the scale of b must be > 0"),
        ({"scale": [1.0, 1.0]}, "scale must be 3 finite numbers"),
        ({"centre": [1.0, float("nan"), 1.0]}, "as many numbers"),
        ({"centre": "abc"}, "as many numbers"),
        ({"method": "eval"}, "method is one of zscore, minmax, rolling, none"),
        ({"window": 2.5}, "its window whole rows"),
        ({"clip": "10"}, "clip is a number or null"),
        ({"names": ["a", "b", 3]}, "has names"),
        ({"more": 1}, "a scaler has centre, clip"),
    ],
)
def test_a_scaler_that_was_tampered_with_is_refused(change, said):
    with pytest.raises(ArtifactError, match=said):
        Scaler.from_dict(fit().to_dict() | change)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"method": "robust"}, "scaling is one of zscore, minmax, rolling, none, was 'robust'"),
        ({"method": "rolling", "window": 1}, "window of at least 2 rows, was 1"),
        ({"clip": 0.0}, "clip must be > 0"),
    ],
)
def test_a_scaling_that_cannot_be_meant_is_refused(given_, said):
    with pytest.raises(ConfigError, match=said):
        fit(**given_)


def test_a_feature_that_follows_an_earlier_one_is_left_out_and_the_earlier_one_stays():
    rng = np.random.default_rng(4)
    base = rng.normal(size=(ROWS, 2))
    close = 0.99 * base[:, 0] + np.sqrt(1 - 0.99**2) * rng.normal(size=ROWS)
    data = {"A": np.column_stack([base[:, 0], -close, base[:, 1], close])}
    selection = drop_correlated(0.95, ("a", "b", "c", "d"), data, CLOSES, TRAIN)
    assert selection.names == ("a", "c")
    assert [(one.name, one.like) for one in selection.dropped] == [("b", "a"), ("d", "a")]
    rho = np.corrcoef(data["A"][INSIDE].T)
    assert [one.rho for one in selection.dropped] == pytest.approx([rho[0, 1], rho[0, 3]], rel=1e-12)
    np.testing.assert_array_equal(selection.apply(data["A"]), data["A"][:, [0, 2]])
    assert selection.fits[0].notes[0] == f"b is left out: ρ {rho[0, 1]:.3f} with a"
    selection.fits[0].check(TRAIN)


def test_a_constant_feature_correlates_with_nothing():
    data = {symbol: np.where([True, False, True], 0.3, one) for symbol, one in MATRICES.items()}
    assert drop_correlated(0.01, NAMES, data, CLOSES, TRAIN).names == NAMES


def test_what_is_kept_is_read_back_and_nothing_else_is():
    selection = drop_correlated(0.1, NAMES, {"A": matrix(3)[:, [0, 1, 1]]}, CLOSES, TRAIN)
    assert selection.names == ("a", "b")
    again = selection_of(NAMES, json.loads(json.dumps(selection.to_dict())))
    assert (again.kept, again.dropped) == (selection.kept, selection.dropped)
    assert selection_of(NAMES, everything(NAMES).to_dict()).kept == (0, 1, 2)
    for wrong in ({}, {"kept": ["b", "a"], "dropped": []}, {"kept": [], "dropped": []}, {"kept": ["x"], "dropped": []}):
        with pytest.raises(ArtifactError, match="kept must be some of a, b, c, in their order"):
            selection_of(NAMES, wrong)
    with pytest.raises(ArtifactError, match="dropped must be a list"):
        selection_of(NAMES, {"kept": ["a"], "dropped": [{"name": "b"}]})


@pytest.mark.parametrize("most", [0.0, 1.5, float("nan")])
def test_a_correlation_that_cannot_be_meant_is_refused(most):
    with pytest.raises(ConfigError, match=r"lies in \(0, 1\]"):
        drop_correlated(most, NAMES, MATRICES, CLOSES, TRAIN)
