"""Walk one fold again and see whether it comes to the same: a run that cannot repeat itself is no evidence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from wfbt.validation.sleeves import Portfolio, PortfolioWalk
from wfbt.validation.walk_forward import Study, Trial, WalkForward, try_fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """One fold, walked twice.

    Attributes
    ----------
    fold : int
        As result.json numbers it.
    sha256 : str
        Of what every candidate scored and earned, the second time.
    equal : bool
        Whether that is, bit by bit, what the run did.
    """

    fold: int
    sha256: str
    equal: bool


def rerun(study: Study | Portfolio, walk: WalkForward, seed: int) -> Rerun:
    """Try all candidates of one fold again, a fold that `seed` draws: features fitted anew, every candidate asked anew.

    What a fold's network learnt is taken as it was left: training is not repeated.
    """
    place = int(np.random.default_rng(np.random.SeedSequence([seed, len(walk.folds)])).integers(len(walk.folds)))
    if isinstance(study, Portfolio):
        assert isinstance(walk, PortfolioWalk)
        walks = [(member.study, walk.alone[member.name]) for member in study.members]
    else:
        walks = [(study, walk)]
    first = [trial_sha256(one.folds[place].trial) for _, one in walks]
    second = [trial_sha256(try_fold(own, one.folds[place].fold)) for own, one in walks]
    return Rerun(
        fold=walk.folds[place].fold.index + 1,
        sha256=hashlib.sha256(" ".join(second).encode()).hexdigest(),
        equal=first == second,
    )


def trial_sha256(trial: Trial) -> str:
    """Hash of the scores, the choice, the returns and the round trips of all candidates."""
    digest = hashlib.sha256(str(trial.chosen).encode())
    for values in (trial.scores, trial.train_returns, trial.test_returns, trial.round_trips):
        digest.update(str(values.shape).encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
