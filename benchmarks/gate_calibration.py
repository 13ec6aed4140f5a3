"""How often the default gate passes strategies whose worth is known: none, a true Sharpe ratio of 2, or of 3.

    python benchmarks/gate_calibration.py [--runs SHARE] [--only NAME]... [--jobs N] [--seed N]

Each run makes a market of daily bars and 50 signals in Parquet, walks a strategy that picks one signal in each of 12
folds, and holds the run against the default gate, with a trial ledger.  A run whose walk shows too little evidence is
judged on that, as it cannot pass any more; `--whole` asks the rest all the same.  Prints the table of
docs/calibration.md: shares with Clopper-Pearson 95% intervals.  `--runs 0.1` makes a tenth of the runs.  The same seed
gives the same table.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from scipy.stats import beta

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.machine import describe
from benchmarks.planted_study import TRAIN, Walked, attempted, looked, write_market, write_strategy
from wfbt.compute import cores
from wfbt.data.planted import Planted, signal_names
from wfbt.gate.verdict import Status
from wfbt.gating import terms_of

SEED = 20_240_607
ATTEMPTS = 12
"""Of a family, one after another on the same days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the last verdict was, the Sharpe ratio it was on, and the share of folds that chose right."""

    status: Status
    unmet: tuple[str, ...]
    sharpe: float | None
    right: float | None
    series: int | None

    @property
    def passed(self) -> bool:
        return self.status is Status.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table.  `low` and `high` enclose the share of PASS that the gate promises."""

    key: str
    name: str
    runs: int
    sharpe: float
    days: int
    work: Callable[[Planted, np.random.SeedSequence, Path, bool], Outcome]
    low: float = 0.0
    high: float = 1.0

    @property
    def promise(self) -> str:
        return f"≤ {self.high:.1%}" if self.low == 0 else f"≥ {self.low:.0%}"


def single(planted: Planted, seed: np.random.SeedSequence, folder: Path, whole: bool) -> Outcome:
    """One strategy, judged once."""
    column = write_market(folder, planted, seed)
    strategy = write_strategy(folder, planted, name="planted", seed=number_of(seed))
    seen = looked(strategy, folder / "reports")
    return judged(seen, strategy, folder / "reports", whole, column)


def family(planted: Planted, seed: np.random.SeedSequence, folder: Path, whole: bool) -> Outcome:
    """Worthless strategies of one name on the same bars, each with signals of its own, until one passes."""
    bars, *others = seed.spawn(ATTEMPTS)
    write_market(folder, planted, bars)
    for attempt, fresh in enumerate([bars, *others], start=1):
        if attempt > 1:
            write_market(folder / "fresh", planted, fresh)
            (folder / "fresh" / "signals.parquet").replace(folder / "signals.parquet")
        strategy = write_strategy(folder, planted, name="family", seed=attempt)
        seen = looked(strategy, folder / "reports")
        told = judged(seen, strategy, folder / "reports", whole)
        if told.passed:
            break
    return told


def picked(planted: Planted, seed: np.random.SeedSequence, folder: Path, whole: bool) -> Outcome:
    """The best out of sample of as many worthless strategies as there are signals, judged once."""
    write_market(folder, planted, seed)
    best: tuple[Walked, Path] | None = None
    market = None
    for column in signal_names(planted):
        strategy = write_strategy(folder, planted, name="picked", seed=number_of(seed), column=column)
        seen = looked(strategy, folder / "reports", market)
        market = seen.market
        if best is None or (seen.sharpe or 0.0) > (best[0].sharpe or 0.0):
            best = seen, strategy
    assert best is not None
    return judged(*best, folder / "reports", whole)


def judged(seen: Walked, strategy: Path, out: Path, whole: bool, column: str | None = None) -> Outcome:
    """What the table asks of a verdict."""
    # Of the first strategy no ledger can say that nobody looked before; of later ones the ledger's counts are used.
    verdict = attempted(seen, strategy, out, whole=whole, terms=terms_of(first_look=True))
    return Outcome(
        status=verdict.status,
        unmet=tuple(one.criterion.name for one in verdict.findings if one.passed is False),
        sharpe=seen.sharpe,
        right=None if column is None else seen.chose(column),
        series=verdict.series,
    )


def number_of(seed: np.random.SeedSequence) -> int:
    """A strategy's own seed, from that of its market."""
    return int(seed.generate_state(1)[0])


CASES = (
    Case(key="null", name="no signal is worth anything", runs=1000, sharpe=0, days=1000, work=single, high=0.01),
    Case(key="three", name="true Sharpe ratio 3", runs=300, sharpe=3, days=1000, work=single, low=0.95),
    Case(key="two", name="true Sharpe ratio 2", runs=300, sharpe=2, days=2016, work=single, low=0.90),
    Case(key="family", name="worthless, 12 attempts in all", runs=100, sharpe=0, days=1000, work=family, high=0.03),
    Case(key="picked", name="best of 50 worthless", runs=200, sharpe=0, days=1000, work=picked, high=0.015),
)


def one(task: tuple[str, int, int, bool]) -> Outcome:
    """The `number`-th run of a case, alone in a folder that is gone afterwards."""
    key, seed, number, whole = task
    place, case = next((place, case) for place, case in enumerate(CASES) if case.key == key)
    planted = Planted(sharpe=case.sharpe, days=TRAIN + case.days)
    with tempfile.TemporaryDirectory(prefix="wfbt-") as folder:
        return case.work(planted, np.random.SeedSequence([seed, place, number]), Path(folder) / "market", whole)


def sample(key: str, runs: int, seed: int, jobs: int, whole: bool = False) -> list[Outcome]:
    """The first `runs` runs of a case, in processes of their own; how many processes changes nothing."""
    # Two processes share two cores: threads of a library would only stand in each other's way.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(one, [(key, seed, number, whole) for number in range(runs)]))


def clopper_pearson(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share, Clopper and Pearson (1934)."""
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, count, n - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, n - count)) if count < n else 1.0
    return low, high


def told(case: Case, found: list[Outcome], seconds: float) -> str:
    """A row of the table."""
    n, counts = len(found), Counter(each.status for each in found)
    passed = sum(each.passed for each in found)
    low, high = clopper_pearson(passed, n)
    kept = "" if case.low <= passed / n <= case.high else " **missed**"
    fail, open_ = (f"{counts[status] / n:.1%}" for status in (Status.FAIL, Status.INCONCLUSIVE))
    return (
        f"| {case.name} | {case.days:,} | {n:,} | {passed / n:.1%} ({low:.1%} – {high:.1%}) | {case.promise}{kept} "
        f"| {fail} | {open_} | {seconds / n:.1f} s |"
    )


def notes(case: Case, found: list[Outcome]) -> Iterable[str]:
    """What else is known of a row: what was realised, and what was not met."""
    sharpes = np.array([each.sharpe for each in found if each.sharpe is not None])
    error = sharpes.std(ddof=1) / sqrt(len(sharpes)) if len(sharpes) > 1 else np.nan
    right = [each.right for each in found if each.right is not None]
    yield (
        f"- {case.name}, {case.days:,} days: Sharpe ratio out of sample {sharpes.mean():.3f} ± {error:.3f} on average"
        + (f"; the planted signal was chosen in {np.mean(right):.1%} of folds" if case.sharpe else "")
    )
    unmet = Counter(name for each in found for name in each.unmet)
    listed = ", ".join(f"{name} {count / len(found):.1%}" for name, count in unmet.most_common())
    yield f"  not met: {listed or 'nothing'}"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", type=float, default=1.0, help="share of the runs of the full table")
    asked.add_argument("--only", action="append", choices=[case.key for case in CASES])
    asked.add_argument("--jobs", type=int, default=min(2, cores()))
    asked.add_argument("--seed", type=int, default=SEED)
    asked.add_argument("--whole", action="store_true", help="ask everything of every run, passable or not")
    given = asked.parse_args()
    print(describe(), f"{given.jobs} processes, seed {given.seed}", sep="\n", end="\n\n")
    print("| market and strategy | days | runs | PASS (95%) | promised | FAIL | INCONCLUSIVE | a run |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    remarks: list[str] = []
    for case in CASES:
        if given.only and case.key not in given.only:
            continue
        begun = time.monotonic()
        found = sample(case.key, ceil(case.runs * given.runs), given.seed, given.jobs, given.whole)
        print(told(case, found, (time.monotonic() - begun) * given.jobs), flush=True)
        remarks += notes(case, found)
    print("", *remarks, sep="\n")


if __name__ == "__main__":
    main()
