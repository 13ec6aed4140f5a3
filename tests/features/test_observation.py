"""What a learned policy observes is learnt on training rows, written down, and the same when it is read back."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.features.test_spec import FRAMES, market
from wfbt.errors import ArtifactError
from wfbt.features.market_regimes import closes_of
from wfbt.features.observation import Observation, ObservationPlan
from wfbt.features.spec import FeatureSpec
from wfbt.policy.frames import market_frames

SPEC = FeatureSpec.parse(["bars_trades", "return_1"])
CLOSES = closes_of(FRAMES["A"])
TRAIN = CLOSES[60:250]
PLAN = ObservationPlan(spec=SPEC, correlation=0.9)


def test_an_observation_is_scaled_and_lacks_what_an_earlier_feature_says():
    made = PLAN.fit(FRAMES, TRAIN)
    # A bar's close against the one before is its return of one bar.
    assert "return_1" in {one.name for one in made.selection.dropped}
    assert made.names == tuple(name for name in SPEC.names if name in made.names)
    rows = made.matrix(FRAMES)["A"][60:250]
    rows = rows[~np.isnan(rows).any(axis=1)]
    assert rows.shape[1] == len(made.names)
    assert np.abs(rows).max() <= 10.0
    assert np.abs(rows.mean(axis=0)).max() < 0.01


def test_what_is_fitted_has_read_training_rows_alone():
    for one in PLAN.fit(FRAMES, TRAIN).fits:
        assert np.isin(one.rows, TRAIN).all()
    other = market_frames(market(seed=9))
    mixed = {"A": pd.concat([FRAMES["A"].iloc[:250], other["A"].iloc[250:]])}
    own, its = PLAN.fit(FRAMES, TRAIN), PLAN.fit(mixed, TRAIN)
    assert own.scaler.centre.tobytes() == its.scaler.centre.tobytes()
    assert own.selection.to_dict() == its.selection.to_dict()


@pytest.mark.parametrize("plan", [PLAN, ObservationPlan(spec=SPEC, scaling="rolling", window=50)])
def test_an_observation_is_read_back_from_the_manifest(plan):
    made = plan.fit(FRAMES, TRAIN)
    section = json.loads(json.dumps(made.to_dict()))
    again = Observation.from_dict(FeatureSpec.parse(section["features"]), section)
    assert again.matrix(FRAMES)["A"].tobytes() == made.matrix(FRAMES)["A"].tobytes()
    assert (again.names, again.to_dict()["sha256"]) == (made.names, SPEC.sha256)
    first = int(np.isfinite(made.matrix(FRAMES)["A"]).all(axis=1).argmax())
    assert first >= section["warmup"]


def test_a_manifest_of_other_features_is_refused():
    section = PLAN.fit(FRAMES, TRAIN).to_dict()
    with pytest.raises(ArtifactError, match="is not that of these features as this version computes them"):
        Observation.from_dict(FeatureSpec.parse(["bars_trades"]), section)
    scaler = section["scaler"] | {"names": section["scaler"]["names"][::-1]}
    with pytest.raises(ArtifactError, match="the scaler is of"):
        Observation.from_dict(SPEC, section | {"scaler": scaler})


def test_notes_say_where_vwap_is_no_vwap():
    bare = market_frames(market(trades=0))
    plan = ObservationPlan(spec=FeatureSpec.parse(["vwap", "return_1"]))
    assert plan.fit(bare, TRAIN).to_dict()["notes"] == [
        "A: vwap is (high + low + close) / 3 on 400 of 400 bars, which have no trades"
    ]
