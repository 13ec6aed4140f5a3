"""Settings of training, searched on the first fold's training rows: earlier than every test, so it is no look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.learn.school import School, trainer

I8 = npt.NDArray[np.int64]
HIDDEN = {"64-64": (64, 64), "128-64-32": (128, 64, 32), "256-128": (256, 128)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a search found.

    Attributes
    ----------
    best : mapping
        Settings, by their keys in the section `train`.
    score : float
        Of the money on the rows kept back, by `validation.score`.
    given : float
        The same of the settings that the file has.
    trials : int
    """

    best: Mapping[str, Any]
    score: float
    given: float
    trials: int


def tune(
    school: School, train: I8, trials: int, progress: Callable[[str, int, int], None] = lambda what, done, total: None
) -> Tuned:
    """Search `trials` settings with one seed each, on the rows that close at `train`, judged by those kept back.

    The file's own settings are the first.  The best of many is better than it will be: `wfbt run` on other rows tells.
    ConfigError where no rows are kept back, or Optuna is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise ConfigError("--tune needs optuna; install it with: pip install 'wfbt[tune]'") from None
    if school.plan.validation is None:
        raise ConfigError("--tune chooses by the rows that train.validation keeps back, and it is null")
    teach = trainer()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=school.seed % 2**32))
    study.enqueue_trial(_given(school))

    def judge(trial: Any) -> float:
        told = _suggested(trial, school.plan.algorithm)
        pupil = replace(school, plan=_plan(school, told))
        seed = school.seeds[0]
        done = teach(pupil.lesson(train), seed, school.seed, warm=None)
        progress("settings tried", trial.number + 1, trials)
        best = done.log["best"]
        return float("-inf") if best is None else float(best)

    study.optimize(judge, n_trials=trials)
    first = study.trials[0].value
    return Tuned(
        best=_keys(study.best_params, school.plan.algorithm),
        score=float(study.best_value),
        given=float("-inf") if first is None else float(first),
        trials=trials,
    )


def _suggested(trial: Any, algorithm: str) -> dict[str, Any]:
    told = {
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
        "gamma": trial.suggest_float("gamma", 0.8, 0.999),
        "hidden": trial.suggest_categorical("hidden", sorted(HIDDEN)),
    }
    if algorithm == "ppo":
        told["entropy"] = trial.suggest_float("entropy", 1e-5, 0.1, log=True)
    return told


def _given(school: School) -> dict[str, Any]:
    """The file's own settings, as near as the search has them."""
    plan = school.plan
    sizes = next((name for name, own in HIDDEN.items() if own == plan.hidden), "128-64-32")
    told: dict[str, Any] = {
        "learning_rate": min(max(plan.learning_rate, 1e-5), 1e-2),
        "gamma": min(max(plan.gamma, 0.8), 0.999),
        "hidden": sizes,
    }
    if plan.ppo is not None:
        told["entropy"] = min(max(plan.ppo.entropy, 1e-5), 0.1)
    return told


def _plan(school: School, told: Mapping[str, Any]) -> Any:
    plan = school.plan
    update = {"learning_rate": told["learning_rate"], "gamma": told["gamma"], "hidden": HIDDEN[told["hidden"]]}
    if plan.ppo is not None:
        update["ppo"] = plan.ppo.model_copy(update={"entropy": told["entropy"]})
    return plan.model_copy(update=update)


def _keys(told: Mapping[str, Any], algorithm: str) -> dict[str, Any]:
    out: dict[str, Any] = {
        "learning_rate": float(f"{told['learning_rate']:.3g}"),
        "gamma": float(f"{told['gamma']:.4g}"),
        "hidden": list(HIDDEN[told["hidden"]]),
    }
    if algorithm == "ppo":
        out["ppo.entropy"] = float(f"{told['entropy']:.3g}")
    return out
