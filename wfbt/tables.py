"""What a run found, as tables and as the curves that a report draws."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from wfbt.ledger.ledger import Ledger
from wfbt.report.curves import Curves
from wfbt.validation.sleeves import Portfolio, PortfolioWalk
from wfbt.validation.walk_forward import Study, WalkForward


def equity_frame(walk: WalkForward, benchmark: Ledger) -> pd.DataFrame:
    """equity.parquet: the stitched account bar by bar, the fold of each bar, and buy-and-hold."""
    frame = walk.ledger.equity_frame()
    frame.insert(1, "fold", _fold_of_rows(walk))
    frame.insert(3, "benchmark", benchmark.equity)
    for number, path in enumerate(walk.paths, start=1):
        frame[f"path_{number:02d}"] = path.equity
    return frame


def _fold_of_rows(walk: WalkForward) -> np.ndarray[Any, np.dtype[np.int64]]:
    numbers = [walk.folds[place].fold.index + 1 for place, _ in walk.route]
    return np.repeat(numbers, [block.stop - block.start for _, block in walk.route])


def candidates_frame(walk: WalkForward, study: Study | Portfolio) -> pd.DataFrame:
    """candidates.parquet: every candidate of every fold (and sleeve), winner or not, with its daily returns alone."""
    if isinstance(study, Study):
        return _candidates(walk, study)
    assert isinstance(walk, PortfolioWalk)
    parts = []
    for member in study.members:
        part = _candidates(walk.alone[member.name], member.study)
        part.insert(1, "sleeve", member.name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True).sort_values("fold", kind="stable", ignore_index=True)


def _candidates(walk: WalkForward, study: Study) -> pd.DataFrame:
    names = [json.dumps(dict(params), sort_keys=True) for params in study.candidates]
    parts = []
    for one in walk.folds:
        trial = one.trial
        count = len(names)
        parts.append(
            pd.DataFrame(
                {
                    "fold": np.full(count, one.fold.index + 1),
                    "candidate": np.arange(count),
                    "params": names,
                    "chosen": np.arange(count) == trial.chosen,
                    study.objective: trial.scores,
                    "train_trades": trial.round_trips[:, 0],
                    "test_trades": trial.round_trips[:, 1],
                    "train_returns": list(trial.train_returns),
                    "test_returns": list(trial.test_returns),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def daily_frame(ledger: Ledger, benchmark: Ledger) -> pd.DataFrame:
    """Daily returns of an account and of buy-and-hold over the same days."""
    return pd.DataFrame({"strategy": ledger.returns_daily(), "benchmark": benchmark.returns_daily()})


def judged_days(walk: WalkForward, benchmark: Ledger) -> pd.DataFrame:
    """daily.parquet, what statistics and verdicts are computed from: each UTC day's return, and the fold of its end."""
    daily, ledger = daily_frame(walk.ledger, benchmark), walk.ledger
    daily.insert(0, "day", daily.index)
    daily.insert(1, "fold", _fold_of_rows(walk)[ledger.calendar.day_ends(ledger.ts)])
    return daily.reset_index(drop=True)


def curves_of(walk: WalkForward, benchmark: Ledger, daily: pd.DataFrame) -> Curves:
    """What the page draws."""
    ledger = walk.ledger
    equity = np.where(ledger.equity > 0, ledger.equity, np.nan)
    weight = ledger.worth(ledger.position, ledger.mark) / equity[:, None]
    return Curves(
        symbols=ledger.symbols,
        ts=ledger.ts,
        equity=ledger.equity,
        benchmark=benchmark.equity,
        drawdown=ledger.drawdown,
        weight=np.nan_to_num(weight, nan=0.0),
        fold=_fold_of_rows(walk),
        in_sample=() if walk.paths else tuple((one.in_sample.ts, one.in_sample.equity) for one in walk.folds),
        days=daily.index.to_numpy().astype("datetime64[D]"),
        returns=daily["strategy"].to_numpy(np.float64),
        benchmark_returns=daily["benchmark"].to_numpy(np.float64),
        paths=tuple(path.equity for path in walk.paths),
    )
