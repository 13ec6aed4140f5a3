"""Leaks: what was found, how closely was looked, and how much a run and a check ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

PREFIX = "prefix"
NEW_PROCESS = "new process"
COMB = "comb"

TOUCHED = 0.005
REVEALS = 0.5
"""A leak that touches this share of the decisions, each of which another future changes with this probability."""
WANTED = 0.95


def needed(probability: float) -> int:
    """Decisions to test until a leak of TOUCHED and REVEALS shows with `probability`."""
    return int(np.ceil(np.log1p(-probability) / np.log1p(-TOUCHED * REVEALS)))


def detection(tests: int) -> float:
    """Probability that `tests` decisions, drawn alike, show such a leak."""
    return float(-np.expm1(tests * np.log1p(-TOUCHED * REVEALS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is asked: counts, never seconds, so that the same run asks the same.

    Attributes
    ----------
    tests : int
        Decisions to test, over all candidates.
    evaluations : int or None
        Most evaluations in this process; None: as many as `tests` takes.
    others : int
        Candidates asked that no fold chose.
    prefixes : int
        Least number of prefixes in a new process.
    fills : int
        Cuts at which fills are replayed.
    """

    tests: int = needed(WANTED)
    evaluations: int | None = None
    others: int = 0
    prefixes: int = 12
    fills: int = 2


FEWEST, MOST = 40, 90
USUAL_ROWS = 50_000
MOST_TIMES = 4


def effort_of_run(walked: int, rows: int, given: int | None = None) -> Effort:
    """For a run that evaluated `walked` candidates on `rows` decision bars; `given` instead.

    A share of what was evaluated, but never fewer than FEWEST, and up to four times as many where bars are few: each
    then costs little, and tests few decisions.
    """
    times = float(np.clip(USUAL_ROWS / max(rows, 1), 1.0, MOST_TIMES))
    return Effort(evaluations=given or int(np.clip(walked, FEWEST, MOST) * times))


def effort_of_check(cuts: int | None = None) -> Effort:
    """For the check alone: as many as it takes, or `cuts` tested decisions."""
    return Effort(tests=cuts or needed(WANTED), others=12, prefixes=36, fills=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """The first thing found that knew what came later.

    Attributes
    ----------
    kind : str
        feature, intent or fill.
    column, symbol : str
    bar, cut : int
        Close of the bar whose number changed, and the time after which the market was another one, ns UTC.
    scheme : str
        What the market after the cut was.
    was, now : float
    params : dict
    fold : int or None
        From 1, where something is fitted.
    sleeve : str
    columns : tuple of str
        All that changed at this cut, as `symbol: column`.
    reads : tuple of str
        Inputs of which later values alone change it; empty where it knows where the data end.
    """

    kind: str
    column: str
    symbol: str
    bar: int
    cut: int
    scheme: str
    was: float
    now: float
    params: dict[str, Any]
    fold: int | None = None
    sleeve: str = ""
    columns: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.sleeve}: " if self.sleeve else ""
        terms = [f"{key} {value}" for key, value in self.params.items()]
        terms += [f"fold {self.fold}"] if self.fold is not None else []
        ends = {PREFIX: "when the data end there", NEW_PROCESS: "in a new process that has seen nothing later"}
        how = ends.get(self.scheme, f"when what follows is another market ({self.scheme})")
        text = (
            f"{place}{self.column} of {self.symbol} at {moment(self.bar)} knows what comes after {moment(self.cut)}: "
            f"it was {_number(self.was)} and is {_number(self.now)} {how}"
        )
        if self.reads:
            text += f"; later values of {', '.join(self.reads)} change it"
        return text + (f" ({', '.join(terms)})" if terms else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How closely was looked.

    Attributes
    ----------
    cuts : int
        Exact cuts, at which everything later was another market or was not there.
    tests : int
        Decisions with a cut of their own right behind them, over all candidates: what a look one bar ahead needs.
    rows, rows_tested : int
        Decision bars of the span, and those of them that were tested with one candidate at least.
    rows_covered : float
        Share of decision bars with a cut no more than a day of bars (24) behind: a look that far ahead would show.
    probability : float
        That a leak in 0.5 % of the decisions shows, if another future changes every second one of them.
    volatility : tuple of int
        Tested rows in calm, middling and wild thirds of the span.
    evaluations : int
    prefixes : int
        In a new process.
    refused : int
        Markets that the policy would not judge; too short ones as a rule.
    candidates, candidates_chosen, candidates_all : int
        Asked; chosen by any fold; searched.
    """

    cuts: int
    tests: int
    rows: int
    rows_tested: int
    rows_covered: float
    probability: float
    volatility: tuple[int, int, int]
    evaluations: int
    prefixes: int
    refused: int
    fills: int
    candidates: int
    candidates_chosen: int
    candidates_all: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gauntlet came to: no leak was found, or the first one."""

    leak: Leak | None
    coverage: Coverage
    notes: tuple[str, ...] = ()


def moment(ts: int) -> str:
    """Nanoseconds as messages write them."""
    return f"{pd.Timestamp(ts, tz='UTC'):%Y-%m-%d %H:%M:%S}Z"


def _number(value: float) -> str:
    return "nothing" if value != value else f"{value:.10g}"
