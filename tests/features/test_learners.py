"""Fitted features: what they may read, and how it is checked."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from wfbt.errors import ConfigError, PolicyError
from wfbt.features.learners import FitRows, learn

CLOSES = np.arange(1, 11) * 3_600_000_000_000


def frames():
    index = pd.DatetimeIndex(pd.to_datetime(CLOSES, unit="ns", utc=True), name="ts")
    return {"X": pd.DataFrame({"close": np.arange(10.0)}, index=index)}


@dataclass
class Centre:
    """The mean of training closes, and how far each close lies from it; `seen` adds rows to what it says it read."""

    name: str = "distance"
    seen: tuple[int, ...] = ()
    key = "centre"

    def fit(self, frames):
        self.means = {symbol: frame["close"].mean() for symbol, frame in frames.items()}
        extra = CLOSES[list(self.seen)]
        self.fits = tuple(
            FitRows(what=self.key, symbol=symbol, rows=np.union1d(frame.index.as_unit("ns").asi8, extra))
            for symbol, frame in frames.items()
        )
        return self

    def columns(self, frames):
        return {symbol: {self.name: frame["close"].to_numpy() - self.means[symbol]} for symbol, frame in frames.items()}


def test_a_fitted_feature_learns_from_the_training_rows_alone_and_joins_every_row():
    joined, fits, _ = learn([Centre()], frames(), CLOSES[2:5])
    np.testing.assert_array_equal(joined["X"]["distance"], np.arange(10.0) - 3.0)
    np.testing.assert_array_equal(fits[0].rows, CLOSES[2:5])


def test_a_fit_that_says_it_read_a_row_outside_its_fold_is_refused_with_that_row():
    with pytest.raises(PolicyError, match=r"centre: was fitted on 1 of 4 rows of X .* 1970-01-01 09:00"):
        learn([Centre(seen=(8,))], frames(), CLOSES[2:5])


def test_training_rows_may_lie_on_both_sides_of_a_test_block():
    joined, fits, _ = learn([Centre()], frames(), np.concatenate([CLOSES[:2], CLOSES[8:]]))
    assert joined["X"]["distance"].iloc[0] == -4.5 and len(fits[0].rows) == 4


def test_a_later_feature_sees_the_columns_of_an_earlier_one():
    class Twice(Centre):
        def columns(self, frames):
            return {symbol: {"twice": 2.0 * frame["distance"].to_numpy()} for symbol, frame in frames.items()}

    joined, *_ = learn([Centre(), Twice()], frames(), CLOSES[:3])
    np.testing.assert_array_equal(joined["X"]["twice"], 2.0 * joined["X"]["distance"])


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="centre: a rule would see its column close"):
        learn([Centre(name="close")], frames(), CLOSES[:3])


def test_frames_that_were_given_stay_as_they_were():
    given = frames()
    learn([Centre()], given, CLOSES[:3])
    assert list(given["X"].columns) == ["close"]
