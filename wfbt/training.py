"""Train what a strategy asks for: every fold's networks and those of the last rows, seed by seed, on all cores."""

from __future__ import annotations

import functools
import importlib.util
import multiprocessing
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.assembly import learners_of, plan_of, read_market, regime_scale, rules_in
from wfbt.compute import cores
from wfbt.config import schema
from wfbt.config.load import load_strategy
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import rules_of
from wfbt.engine.tape import Deck, lay_out
from wfbt.errors import ConfigError
from wfbt.learn.school import School, trainer
from wfbt.learn.tune import Tuned
from wfbt.policies import networks_of
from wfbt.policy.artifact.load import Artifact
from wfbt.policy.frames import market_frames
from wfbt.policy.taught import Taught
from wfbt.registry.memory import only_one
from wfbt.schools import MODELS, schools_of, taught_in
from wfbt.setups import setup_of
from wfbt.validation.folds import Fold
from wfbt.validation.sleeves import Portfolio
from wfbt.validation.walk_forward import Study, training_times

I8 = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]

FINAL = "final"
PATIENCE = 5.0
"""Seconds between two words on what is being trained."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedFold:
    """The artefact of one part of a strategy and one fold, or of the last rows, `final`."""

    section: str
    window: str
    artifact: Artifact
    seeds: tuple[Mapping[str, Any], ...]
    """What the training of each looked like."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        manifest = self.artifact.manifest
        held = manifest.validation
        return {
            "section": self.section,
            "window": self.window,
            "folder": str(self.artifact.path),
            "sha256": self.artifact.sha256,
            "seeds": list(self.seeds),
            "training": {"start": str(manifest.training.start), "end": str(manifest.training.end)},
            "validation": held and {"start": str(held.start), "end": str(held.end)},
            "parity": self.artifact.parity,
        }


def train(
    strategy: str | os.PathLike[str],
    *,
    folds: int | None = None,
    seeds: int | None = None,
    overrides: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    board: str | os.PathLike[str] | None = None,
    progress: Progress = lambda what, done, total: None,
) -> list[TrainedFold]:
    """Train every fold of a strategy file and then `final`, and keep the artefacts in `out` (default: models).

    What is there already is not trained again; what is interrupted goes on with the seeds that are not done.  `board`
    is a folder for TensorBoard.
    """
    if board is not None and importlib.util.find_spec("tensorboard") is None:
        raise ConfigError("--board needs tensorboard, which is not installed; install it with: pip install tensorboard")
    config = load_strategy(strategy, overrides=overrides, folds=folds)
    if not taught_in(config):
        raise ConfigError(f"{os.fspath(strategy)}: trains nothing; give policy: {{train: {{...}}}}")
    trainer()  # what is lacking is said before anything is read
    store = Path(out or MODELS)
    progress("reading the market", 0, 0)
    schools, deck = opened(config, store, seeds)
    windows = windows_of(config, deck)
    with only_one(store / f".{config.name}.lock"):
        given = Given(config=config, store=store, seeds=seeds, board=None if board is None else Path(board))
        teach(given, schools, windows, jobs=jobs or cores(), progress=progress)
        return [
            TrainedFold(section=section, window=window, artifact=school.artifact(rows), seeds=school.logs(rows))
            for section, school in schools.items()
            for window, rows in windows
        ]


def tune_first(
    strategy: str | os.PathLike[str],
    trials: int,
    *,
    folds: int | None = None,
    overrides: Sequence[str] = (),
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Tuned]:
    """Search settings of what a strategy file trains, on its first fold's training rows; by where each part stands."""
    from wfbt.learn.tune import tune

    config = load_strategy(strategy, overrides=overrides, folds=folds)
    if not taught_in(config):
        raise ConfigError(f"{os.fspath(strategy)}: trains nothing; give policy: {{train: {{...}}}}")
    progress("reading the market", 0, 0)
    schools, deck = opened(config, Path(MODELS))
    _, rows = windows_of(config, deck)[0]
    return {section: tune(school, rows, trials, progress) for section, school in schools.items()}


def opened(config: schema.Strategy, store: Path, seeds: int | None = None) -> tuple[dict[str, School], Deck]:
    """The schools of a strategy, its market read and laid out, and the deck."""
    assert config.policy is not None
    market = read_market(config)
    setup = setup_of(config, market.period)
    deck = lay_out(market, setup, config.seed)
    frames = market_frames(market)
    schools = schools_of(
        config,
        market=market,
        setup=setup,
        lowering=Lowering(market, deck, setup),
        rules=rules_of(setup, deck.horizon),
        frames=frames,
        learners=learners_of(config, config.policy, market, deck, frames),
        regime_scale=regime_scale(config),
        store=store,
        seeds=seeds,
    )
    return schools, deck


def windows_of(config: schema.Strategy, deck: Deck) -> list[tuple[str, I8]]:
    """Closes of the training rows of each fold by its number from 1, and of `final`: the last folds.train of the data.

    Where folds learn from everything before or around them, `final` is everything.
    """
    windows = [(str(fold.index + 1), training_times(deck, fold)) for fold in plan_of(config, deck, None)]
    close = deck.close_ts
    last = close[-1] - int(config.folds.train) if config.folds.scheme == "rolling" else close[0] - 1
    return [*windows, (FINAL, np.ascontiguousarray(close[close > last]))]


def teach_folds(
    config: schema.Strategy, study: Study | Portfolio, folds: Sequence[Fold], models: Path | None, jobs: int,
    progress: Progress,
) -> None:  # fmt: skip
    """Train what the folds of a study need and is not there yet, before they are walked."""
    taught = [
        one for policy in rules_in(study).values() for one in networks_of(policy).values() if isinstance(one, Taught)
    ]
    schools = {f"{one.section}.train": one.teacher for one in taught if isinstance(one.teacher, School)}
    if not schools:
        return
    windows = [(str(fold.index + 1), training_times(study.deck, fold)) for fold in folds]
    store = models or Path(MODELS)
    with only_one(store / f".{config.name}.lock"):
        teach(Given(config=config, store=store), schools, windows, jobs=jobs, progress=progress)
        for one in taught:
            for _, rows in windows:
                one.learned(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a process needs to open the schools of a strategy: plain values.

    Attributes
    ----------
    config : Strategy
    store : Path
        The folder of artefacts of all strategies.
    seeds : int or None
        In place of how many the strategy asks for.
    board : Path or None
        For TensorBoard.
    """

    config: schema.Strategy
    store: Path
    seeds: int | None = None
    board: Path | None = None


def teach(
    given: Given,
    schools: Mapping[str, School],
    windows: Sequence[tuple[str, I8]],
    *,
    jobs: int,
    progress: Progress,
) -> None:
    """Train what is missing of every window, as many seeds side by side as there are `jobs`, one process each.

    Each seed is kept when it is done.  What is learnt does not depend on `jobs`.
    """
    tasks = [
        (section, window, rows, seed)
        for section, school in schools.items()
        for window, rows in windows
        for seed in school.missing(rows)
    ]
    told = _Told(progress, [schools[section].plan.steps for section, *_ in tasks])
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        for number, (section, window, rows, seed) in enumerate(tasks):
            name = _name(schools, section, window, seed)
            look = functools.partial(told.look, number, name)
            schools[section].teach(rows, seed, lambda _, *seen, look=look: look(*seen), given.board)
            told.done(number, name)
        return
    context = multiprocessing.get_context("spawn")
    words = context.Queue()
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, context, _enter, (given, words))
    try:
        futures: dict[Future[None], int] = {
            pool.submit(_teach, number, section, rows, seed): number
            for number, (section, _, rows, seed) in enumerate(tasks)
        }
        waiting = set(futures)
        while waiting:
            finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            for number, steps, score in _heard(words):
                section, window, _, seed = tasks[number]
                told.look(number, _name(schools, section, window, seed), steps, score)
            for future in finished:
                future.result()
                section, window, _, seed = tasks[futures[future]]
                told.done(futures[future], _name(schools, section, window, seed))
        pool.shutdown()
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        if isinstance(error, BrokenProcessPool):
            raise ConfigError(
                "a process that was training was ended from outside, as a system short of memory does; seeds that are "
                "done are kept: run it again with fewer --jobs"
            ) from error
        raise


class _Told:
    """How far everything is, said now and then."""

    def __init__(self, progress: Progress, steps: Sequence[int]) -> None:
        self.progress, self.steps = progress, steps
        self.taken = [0] * len(steps)
        self.last = time.monotonic()

    def look(self, number: int, name: str, steps: int, score: float | None) -> None:
        self.taken[number] = min(steps, self.steps[number])
        if time.monotonic() - self.last >= PATIENCE:
            known = "" if score is None else f", score {score:.2f} on the rows kept back"
            self._say(f"{name}: {steps:,} steps{known};")

    def done(self, number: int, name: str) -> None:
        self.taken[number] = self.steps[number]
        self._say(f"{name} trained;")

    def _say(self, what: str) -> None:
        self.last = time.monotonic()
        self.progress(what, sum(self.taken), sum(self.steps))


def _name(schools: Mapping[str, School], section: str, window: str, seed: int) -> str:
    where = f"{section} " if len(schools) > 1 else ""
    return f"{where}{window if window == FINAL else f'fold {window}'} seed {seed}"


_SCHOOLS: dict[str, School] = {}
_HERE: dict[str, Any] = {}


def _enter(given: Given, words: Any) -> None:
    """Open the schools in a process of their own, which leaves interrupts to the first one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = sys.stderr  # a rule may print: what it says is no part of our answer
    _SCHOOLS.update(opened(given.config, given.store, given.seeds)[0])
    _HERE.update(words=words, board=given.board)


def _teach(number: int, section: str, rows: I8, seed: int) -> None:
    _SCHOOLS[section].teach(
        rows, seed, lambda _, steps, score: _HERE["words"].put((number, steps, score)), _HERE["board"]
    )


def _heard(words: Any) -> list[tuple[int, int, float | None]]:
    heard = []
    while True:
        try:
            heard.append(words.get_nowait())
        except queue.Empty:
            return heard
