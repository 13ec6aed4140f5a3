"""Could the result be luck?  Every statistic of it in one place: the `overfitting` section of result.json.

Each number stands beside what went into it; one that is missing is None, with its reason.  None of them is a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from math import isfinite, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.ledger.ledger import Ledger
from wfbt.ledger.metrics import FEWEST_DAYS
from wfbt.validation.across_folds import concentration
from wfbt.validation.cscv import Cscv, cscv
from wfbt.validation.evidence import Moments, alpha_test, autocorrelated_sharpe, moments, sharpe_test
from wfbt.validation.overfitting import (
    deflated_sharpe,
    expected_max_sharpe,
    min_backtest_length,
    min_track_record_length,
    probabilistic_sharpe,
)
from wfbt.validation.sleeves import PortfolioWalk
from wfbt.validation.superior import superior
from wfbt.validation.walk_forward import WalkForward

F8 = npt.NDArray[np.float64]

CONFIDENCE = 0.95
MOST_SPLITS, FEWEST_SPLITS = 16, 6
DAYS_A_BLOCK = 10
"""Of fewer days the Sharpe ratio of a block is noise; cross-validation then cuts fewer blocks."""

DESIGN_SHARPE = 1.0
"""Annual Sharpe ratio that a search of worthless candidates should not reach in training."""

STREAM = 0x6F766572
"""Keeps the resampling apart from every other draw of the run's seed."""

ALONE = ("psr", "dsr", "min_track_record", "min_backtest_years", "sharpe_z", "sharpe_autocorrelated", "alpha_z")
SELECTED = ("pbo", "spa_p", "spa_p_buy_hold")


@dataclass(slots=True)
class Section:
    """Numbers by name, the inputs of each, and the reason of each that is missing."""

    values: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: Any, /, **inputs: Any) -> None:
        """A number and what went into it."""
        self.values[name], self.inputs[name] = value, inputs

    def miss(self, names: Sequence[str], why: str, **inputs: Any) -> None:
        """Numbers that do not exist, and why."""
        for name in names:
            self.put(name, None, **inputs)
            self.reasons[name] = why

    def told(self) -> dict[str, Any]:
        """As it stands in result.json."""
        return {**self.values, "inputs": self.inputs, "reasons": self.reasons}


def overfitting_section(walk: WalkForward, benchmark: Ledger, seed: int, trials: int = 1) -> dict[str, Any]:
    """Every statistic of luck of a finished walk.

    Parameters
    ----------
    walk : WalkForward
        Its stitched daily returns out of sample; and of each fold what every candidate returned there alone.
    benchmark : Ledger
        Buy-and-hold over the same rows.
    seed : int
        The run's; the resampling draws a stream of its own from it.
    trials : int
        Return series whose result on these out-of-sample days was seen before this one was chosen, this one included:
        1 for a walk nobody peeked at, however many candidates the folds searched on their training rows.
    """
    section = Section()
    year = walk.ledger.calendar.periods_per_year
    returns, held = daily(walk.ledger), daily(benchmark)
    if len(returns) < FEWEST_DAYS:
        section.miss(ALONE, f"{len(returns)} days of returns; a statistic needs at least {FEWEST_DAYS}")
    else:
        _alone(section, returns, held, year, trials)
    _searched(section, walk, year)
    if isinstance(walk, PortfolioWalk):
        section.miss(SELECTED, "an account of sleeves has no candidates of its own; its sleeves have")
        section.values["sleeves"] = {}
        for name, alone in walk.alone.items():
            own = Section()
            _selected(own, alone, benchmark, seed)
            section.values["sleeves"][name] = own.told()
    else:
        _selected(section, walk, benchmark, seed)
    outside = [one.out_of_sample.metrics()["total_return"] for one in walk.folds]
    return section.told() | {"trials": trials, "fold_concentration": concentration(outside)}


def daily(ledger: Ledger) -> F8:
    """(D,) daily returns."""
    return np.asarray(ledger.returns_daily(), np.float64)


def _alone(section: Section, returns: F8, held: F8, year: float, trials: int) -> None:
    """What the stitched returns say by themselves, and after regression on buy-and-hold."""
    try:
        told = moments(returns)
        _of_moments(section, told, year, trials)
        tested = sharpe_test(returns)
        corrected, lags = autocorrelated_sharpe(returns, round(year))
    except ConfigError as error:
        section.miss(ALONE, str(error))
        return
    section.put("sharpe_z", tested.z, n=told.n, **asdict(tested))
    section.put("sharpe_autocorrelated", corrected, n=told.n, q=round(year), lags=lags)
    try:
        alpha, beta = alpha_test(returns, held)
    except ConfigError as error:
        section.miss(("alpha_z",), str(error), n=told.n)
    else:
        section.put("alpha_z", alpha.z, n=told.n, beta=beta, **asdict(alpha))


def _of_moments(section: Section, told: Moments, year: float, trials: int) -> None:
    """Statistics of the record's length and the shape of its returns."""
    n, sharpe, shape = told.n, told.sharpe, (told.skew, told.kurtosis)
    variance = 1.0 / (n - 1)
    section.put("psr", probabilistic_sharpe(sharpe, 0.0, n, *shape), benchmark=0.0, **asdict(told))
    section.put(
        "dsr",
        deflated_sharpe(sharpe, n, *shape, trials, variance),
        trials=trials,
        variance=variance,
        benchmark=expected_max_sharpe(trials, variance),
        **asdict(told),
    )
    if sharpe <= 0:
        why = "its Sharpe ratio is not above 0, and no length of record makes that evidence of skill"
        section.miss(("min_track_record", "min_backtest_years"), why, **asdict(told))
        return
    section.put(
        "min_track_record",
        min_track_record_length(sharpe, 0.0, *shape, CONFIDENCE),
        unit="days",
        confidence=CONFIDENCE,
        benchmark=0.0,
        **asdict(told),
    )
    against = {"trials": trials, "sharpe": sharpe * sqrt(year), "years": n / year}
    if trials == 1:
        why = "nothing was chosen on these days: of one worthless strategy a Sharpe ratio of 0 is expected however long"
        section.miss(("min_backtest_years",), why, **against)
    else:
        section.put("min_backtest_years", min_backtest_length(trials, sharpe * sqrt(year)), **against)


def _searched(section: Section, walk: WalkForward, year: float) -> None:
    """How long training would have to be for the best of as many worthless candidates not to look good in it."""
    walks = walk.alone.values() if isinstance(walk, PortfolioWalk) else [walk]
    candidates = max(len(one.trial.scores) for each in walks for one in each.folds)
    years = min(one.trial.train_returns.shape[1] for one in walk.folds) / year
    inputs = {"candidates": candidates, "sharpe": DESIGN_SHARPE, "years": years}
    if candidates == 1:
        section.miss(("min_training_years",), "one candidate: nothing was searched", **inputs)
    else:
        section.put("min_training_years", min_backtest_length(candidates, DESIGN_SHARPE), **inputs)


def _selected(section: Section, walk: WalkForward, benchmark: Ledger, seed: int) -> None:
    """What the candidates' own returns out of sample say of a search among them."""
    if len(walk.folds[0].trial.scores) < 2:
        section.miss(SELECTED, "one candidate: there was nothing to choose")
        return
    tested = sorted((block.start, block.stop) for one in walk.folds for block in one.fold.test)
    if any(stop > start for (_, stop), (start, _) in pairwise(tested)):
        section.miss(SELECTED, "the folds test the same rows several times: no candidate has one history out of sample")
        return
    returns, held = side_by_side(walk, benchmark)
    days, candidates = returns.shape
    inputs = {"n": days, "candidates": candidates}
    if days < FEWEST_DAYS:
        section.miss(SELECTED, f"{days} days of returns; a statistic needs at least {FEWEST_DAYS}", **inputs)
        return
    if bool((returns == returns[:, :1]).all()):
        section.miss(SELECTED, "all candidates did the same on every day", **inputs)
        return
    splits = min(MOST_SPLITS, days // DAYS_A_BLOCK // 2 * 2)
    if splits < FEWEST_SPLITS:
        why = f"{days} days of returns; cross-validation needs {FEWEST_SPLITS} blocks of {DAYS_A_BLOCK}"
        section.miss(("pbo",), why, **inputs)
    else:
        found = cscv(returns, splits)
        section.put("pbo", found.pbo, **inputs, splits=splits, choices=len(found.logits), **_besides(found))
    streams = np.random.SeedSequence([seed, STREAM]).spawn(2)
    for name, against, stream in zip(("spa_p", "spa_p_buy_hold"), (None, held), streams, strict=True):
        try:
            test = superior(returns, against, stream)
        except ConfigError as error:
            section.miss((name,), str(error), **inputs)
        else:
            section.put(name, test.p, **asdict(test) | {"better": len(test.better)})


def _besides(found: Cscv) -> dict[str, Any]:
    """What cross-validation found besides the probability."""
    first, second = found.dominates
    slope = found.slope
    return {
        "slope": slope if isfinite(slope) else None,
        "loss": found.loss,
        "median_logit": float(np.median(found.logits)),
        "first_order_dominance": first,
        "second_order_dominance": second,
    }


def side_by_side(walk: WalkForward, benchmark: Ledger) -> tuple[F8, F8]:
    """(D, C) daily returns out of sample of every candidate, each alone and anew in each fold, and (D,) of `benchmark`.

    A day that two folds share counts in each, for the hours it was in it.
    """
    returns = np.concatenate([one.trial.test_returns for one in walk.folds], axis=1).T
    spans = [(int(one.out_of_sample.ts[0]) - 1, int(one.out_of_sample.ts[-1])) for one in walk.folds]
    return returns, np.concatenate([daily(benchmark.slice(*span)) for span in spans])
