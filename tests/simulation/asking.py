"""Finished walks of small strategies, ready to be asked about markets that never were."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.runs import write_study
from tests.test_stress import KINDS, study_file, walked
from wfbt.simulation.asked import Asked
from wfbt.simulation.origin import origin_of
from wfbt.simulation.replays import Course

DAY = 86_400_000_000_000
FREE = {
    "costs": {"maker_bps": 0, "taker_bps": 0, "half_spread_bps": 0, "impact": None, "participation": None},
    "latency": "none",
    "exits": None,
}
RULES = """
import numpy as np


def hold(bars):
    return np.ones(len(bars))


def idle(bars):
    return np.zeros(len(bars))


def slow(bars):
    return (bars["close"] > bars["close"].rolling(300).mean()).astype(float).where(bars["close"].shift(300).notna())


def told(bars):
    return np.sign(bars["news"].fillna(0.0))


class Counted:
    fits = 0

    def fit(self, bars):
        type(self).fits += 1
        self.level = bars["close"].mean()

    def targets(self, bars):
        return (bars["close"] > self.level).astype(float)
"""


def rule_file(folder: Path, rule: str, bars: dict[str, np.ndarray] | None = None, **sections: Any) -> Path:
    """A study of one of RULES without costs or delays, funding or lots."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.py").write_text(RULES)
    given = {"data": {"symbols": {"AAA": {"bars": "bars.parquet"}}}, **FREE} | sections
    return write_study(folder, bars, policy={"rule": f"rules.py:{rule}", "search": {}, "params": {}}, **given)


def asked_of(path: Path, *overrides: str) -> Asked:
    """The account of the last fold of a strategy file."""
    return Asked.of(walked(path, *overrides)[0])


def course_of(asked: Asked, days: int = 30, ruin: float = 0.5, seed: int = 1) -> Course:
    """Paths of so many days after its training rows."""
    origin = origin_of(asked, days * DAY)
    return Course.of(asked, origin, asked.ran.walk.ledger.calendar, np.random.SeedSequence(seed), ruin)


__all__ = ["DAY", "FREE", "KINDS", "asked_of", "course_of", "rule_file", "study_file", "walked"]
