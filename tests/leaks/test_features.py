"""Fitted features go through the same tests as rules do."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.runs import write_study
from wfbt.assembly import read_market, study_of
from wfbt.config.load import load_strategy
from wfbt.errors import PolicyError
from wfbt.features.learners import FitRows
from wfbt.policies import policies_of
from wfbt.validation.gauntlet import Subject, gauntlet
from wfbt.validation.leakage import effort_of_run
from wfbt.validation.walk_forward import walk_forward


@dataclass
class Level:
    """How far the close lies from its training mean; `over` says what else the column or the fit looks at."""

    over: str = ""
    key = "level"
    draws = 0

    def fit(self, frames):
        learnt = Level(self.over)
        learnt.means = {symbol: frame["close"].mean() for symbol, frame in frames.items()}
        if self.over == "dice":
            Level.draws += 1
            learnt.means = {symbol: mean + Level.draws for symbol, mean in learnt.means.items()}
        learnt.fits = tuple(
            FitRows(what="level", symbol=symbol, rows=frame.index.as_unit("ns").asi8)
            for symbol, frame in frames.items()
        )
        return learnt

    def columns(self, frames):
        out = {}
        for symbol, frame in frames.items():
            close = frame["close"].to_numpy()
            centre = close[-500:].mean() if self.over == "the end" else self.means[symbol]
            if self.over == "the next bar":
                close = np.append(close[1:], close[-1])
            out[symbol] = {"level": close - centre}
        return out


def verdict_of(learner, folder):
    config = load_strategy(write_study(folder))
    market = read_market(config)
    study, plan, _ = study_of(config, market, policies_of(config), 2)
    study = replace(study, learners=(learner,))
    return gauntlet(
        [Subject(name="", study=study, walk=walk_forward(study, plan))], effort_of_run(12, 50_000), config.seed, 2
    )


def test_a_feature_that_learns_from_training_rows_passes(tmp_path):
    verdict = verdict_of(Level(), tmp_path)
    assert verdict.leak is None
    assert verdict.coverage.tests > 30


@pytest.mark.parametrize("over", ["the end", "the next bar"])
def test_a_feature_that_looks_further_is_named(over, tmp_path):
    leak = verdict_of(Level(over), tmp_path).leak
    assert (leak.kind, leak.column, leak.symbol) == ("feature", "level", "AAA")
    assert leak.fold is not None
    assert leak.bar <= leak.cut


def test_a_fit_that_answers_otherwise_each_time_is_no_leak(tmp_path):
    with pytest.raises(PolicyError, match="fitted twice on the same rows it gave two values"):
        verdict_of(Level("dice"), tmp_path)
