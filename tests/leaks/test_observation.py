"""Observations that learn from training rows pass the leak tests; a scale that has read all rows does not."""

from dataclasses import dataclass, replace

from tests.runs import write_study
from wfbt.assembly import read_market, study_of
from wfbt.config.load import load_strategy
from wfbt.features.market_regimes import closes_of
from wfbt.features.observation import ObservationPlan
from wfbt.features.spec import FeatureSpec
from wfbt.policies import policies_of
from wfbt.validation.gauntlet import Subject, gauntlet
from wfbt.validation.leakage import effort_of_run
from wfbt.validation.walk_forward import walk_forward

PLAN = ObservationPlan(spec=FeatureSpec.parse("bars"), correlation=0.95)


@dataclass
class Observed:
    """What a policy observes, as columns of the frames; `late` learns its scale anew from whatever it is shown."""

    late: bool = False
    key = "observed"

    def fit(self, frames):
        learnt = Observed(self.late)
        (closes,) = (closes_of(frame) for frame in frames.values())
        learnt.observation = PLAN.fit(frames, closes)
        learnt.fits = learnt.observation.fits
        return learnt

    def columns(self, frames):
        made = self.observation
        if self.late:
            (closes,) = (closes_of(frame) for frame in frames.values())
            made = PLAN.fit(frames, closes)
        return {
            symbol: {f"observed_{name}": column for name, column in zip(made.names, matrix.T, strict=True)}
            for symbol, matrix in made.matrix(frames).items()
        }


def verdict_of(learner, folder):
    config = load_strategy(write_study(folder))
    market = read_market(config)
    study, plan, _ = study_of(config, market, policies_of(config), 2)
    study = replace(study, learners=(learner,))
    return gauntlet(
        [Subject(name="", study=study, walk=walk_forward(study, plan))], effort_of_run(12, 50_000), config.seed, 2
    )


def test_an_observation_that_learnt_from_training_rows_passes(tmp_path):
    verdict = verdict_of(Observed(), tmp_path)
    assert verdict.leak is None, verdict.leak
    assert verdict.coverage.tests > 30


def test_a_scale_that_has_read_all_rows_is_named(tmp_path):
    leak = verdict_of(Observed(late=True), tmp_path).leak
    assert leak.kind == "feature"
    assert leak.column.startswith("observed_")
