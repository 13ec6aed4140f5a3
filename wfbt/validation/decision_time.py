"""How long a policy thinks: from a bar's close to what it wants, on this machine."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from wfbt.validation.futures import prefix
from wfbt.validation.questions import Question, chosen_questions
from wfbt.validation.sleeves import Portfolio, PortfolioWalk
from wfbt.validation.walk_forward import Study, WalkForward, tested_rows

MOST, ENOUGH, PATIENCE = 100, 20, 1.0
"""Decisions asked at most, and at least however slow they are; seconds after which no more are asked."""


def decision_time(study: Study | Portfolio, walk: WalkForward) -> dict[str, Any]:
    """`timing.decision` of result.json: seconds a decision takes, median and 99th percentile, and how many were asked.

    Asked at bars spread over the test rows, in the order of a fixed draw, each time as if the bar had just closed: all
    bars up to it are given, and features and targets are computed from nothing.  A program that keeps its state between
    bars is faster.  Of several sleeves the times add up.  Of n < 100 asked, the 99th percentile is the longest.
    """
    walks = [("", study, walk)] if isinstance(study, Study) else []
    if isinstance(study, Portfolio):
        assert isinstance(walk, PortfolioWalk)
        walks = [(one.name, one.study, walk.alone[one.name]) for one in study.members]
    asked = [chosen_questions(name, own, one)[-1] for name, own, one in walks]
    first, last = tested_rows([one.fold for one in walk.folds])
    rows = np.unique(np.linspace(first, last - 1, min(MOST, last - first)).astype(np.int64))
    rows = np.random.default_rng(0).permutation(rows)
    closes = asked[0].study.deck.close_ts
    taken: list[float] = []
    begun = time.perf_counter()
    for row in rows:
        if len(taken) >= ENOUGH and time.perf_counter() - begun > PATIENCE:
            break
        taken.append(sum(_seconds(one, int(closes[row])) for one in asked))
    longest = float(np.quantile(taken, 0.99, method="higher"))
    return {"median_s": round(float(np.median(taken)), 6), "p99_s": round(longest, 6), "asked": len(taken)}


def _seconds(question: Question, now: int) -> float:
    market = prefix(question.market, now)
    begun = time.perf_counter()
    question.ask(market)
    return time.perf_counter() - begun
