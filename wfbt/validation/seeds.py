"""How far the seeds of a trained policy lie apart: training is a draw, and one seed is one draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.ledger.metrics import FEWEST_DAYS, sharpe
from wfbt.validation.walk_forward import Study, WalkForward

F8 = npt.NDArray[np.float64]

STREAM = 0x73656564
RESAMPLES = 2_000
FEWEST_SEEDS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spread:
    """Scores (F, S), annualised Sharpe ratios out of sample of S seeds in F folds, and returns (S, D) end to end."""

    seeds: tuple[int, ...]
    scores: F8
    returns: F8


def seeds_told(study: Study, walk: WalkForward, key: str, seed: int) -> dict[str, Any] | None:
    """The section `seeds` of result.json; None of a search without seeds.

    `key` is the name of the parameter.  Each seed is the candidate of that seed that did best on training rows,
    replayed on each fold's test rows from opening cash; folds are put one after the other.
    """
    year = study.deck.calendar.periods_per_year
    found = spread_of(study, walk, key, year)
    if len(found.seeds) < 2:
        return None
    reasons: dict[str, str] = {}
    days = found.returns.shape[1]
    each: list[dict[str, Any]] = []
    ratios: dict[int, float] = {}
    for number, own in zip(found.seeds, found.returns, strict=True):
        ratio = float(sharpe(own, year)) if days >= FEWEST_DAYS else np.nan
        if not np.isnan(ratio):
            ratios[number] = ratio
        each.append(
            {
                "seed": number,
                "sharpe": None if np.isnan(ratio) else ratio,
                "total_return": float(np.prod(1.0 + own) - 1.0),
                "reasons": {} if not np.isnan(ratio) else {"sharpe": "its account did not move, or has too few days"},
            }
        )
    last = min(ratios, key=lambda number: ratios[number], default=None)
    worst = next((one for one in each if one["seed"] == last), None)
    out: dict[str, Any] = {
        "parameter": key,
        "count": len(found.seeds),
        "folds": len(found.scores),
        "each": each,
        "worst": worst,
        "interquartile_mean": None,
        "interval": None,
        "resamples": RESAMPLES,
        "of": "annualised Sharpe ratios of every seed in every fold, out of sample, each from opening cash",
    }
    if worst is None:
        reasons["worst"] = "no seed has a Sharpe ratio"
    if len(found.seeds) < FEWEST_SEEDS or np.isnan(found.scores).all():
        why = (
            f"{len(found.seeds)} seeds; a mean of the middle half needs {FEWEST_SEEDS}"
            if len(found.seeds) < FEWEST_SEEDS
            else f"no fold has a score: its test is shorter than {FEWEST_DAYS} days, or no account moved in it"
        )
        reasons |= dict.fromkeys(("interquartile_mean", "interval"), why)
    else:
        scores = np.where(np.isnan(found.scores), 0.0, found.scores)  # an account that never moved earned nothing
        out["interquartile_mean"] = interquartile_mean(scores.ravel())
        low, high = stratified_interval(scores, RESAMPLES, np.random.default_rng([seed, STREAM]))
        out["interval"] = {"low": low, "high": high, "confidence": 0.95}
    return out | {"reasons": reasons}


def spread_of(study: Study, walk: WalkForward, key: str, year: float) -> Spread:
    """What each seed did in each fold."""
    numbers = tuple(sorted({int(one[key]) for one in study.candidates if key in one}))
    scores = np.full((len(walk.folds), len(numbers)), np.nan)
    parts = []
    for place, fold in enumerate(walk.folds):
        own = []
        for column, number in enumerate(numbers):
            mine = [c for c, params in enumerate(study.candidates) if params.get(key) == number]
            trained = fold.trial.scores[mine]
            best = mine[int(np.argmax(np.where(np.isnan(trained), -np.inf, trained)))]
            own.append(fold.trial.test_returns[best])
            if fold.trial.test_returns.shape[1] >= FEWEST_DAYS:
                scores[place, column] = sharpe(own[-1], year)
        parts.append(np.array(own))
    returns = np.concatenate(parts, axis=1) if numbers else np.empty((0, 0))
    return Spread(seeds=numbers, scores=scores, returns=returns)


def interquartile_mean(scores: F8) -> float:
    """Mean of the middle half: a quarter is cut off at either end, a part of a score by its share.

    Agarwal and others (2021), who recommend it for few seeds.
    """
    ordered = np.sort(scores)
    cut = len(ordered) / 4.0
    place = np.arange(len(ordered), dtype=np.float64)
    inside = np.clip(np.minimum(place + 1.0 - cut, len(ordered) - cut - place), 0.0, 1.0)
    return float((ordered * inside).sum() / inside.sum())


def stratified_interval(scores: F8, resamples: int, rng: np.random.Generator) -> tuple[float, float]:
    """95% interval of the mean of the middle half of scores (F, S): seeds are drawn anew within each fold."""
    folds, seeds = scores.shape
    drawn = rng.integers(0, seeds, (resamples, folds, seeds))
    means = [interquartile_mean(np.take_along_axis(scores, one, axis=1).ravel()) for one in drawn]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def seed_key(params: Mapping[str, Any]) -> str | None:
    """The parameter that is a seed of trained networks, if there is one: `seed`, or a part's, as in confirm.seed."""
    names = [name for name in params if name == "seed" or name.endswith(".seed")]
    return names[0] if names else None
