"""Everything it takes to train any fold of one study, and the folder where what was trained is found again.

    <store>/<strategy>/<key>/manifest.json       the artefact: manifest, a safetensors file a seed, probes
    <store>/<strategy>/<key>/training.json       what training looked like, for people
    <store>/<strategy>/<key>/.seeds/<seed>/      a seed that is done while others are not: weights, outputs, log

The key is a hash of all that decides what is learnt, so what is found under it need not be trained again.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import wfbt
from wfbt.config.training import Train
from wfbt.config.values import Duration, Time
from wfbt.engine.intents import Lowering
from wfbt.errors import ArtifactError, ConfigError
from wfbt.features.forecast import COLUMN
from wfbt.features.learners import Frames, Learner, learn
from wfbt.features.observation import ObservationPlan
from wfbt.features.spec import FeatureSpec
from wfbt.files import replace_whole
from wfbt.kernels.abi import Rules
from wfbt.learn.episodes import hold_out
from wfbt.learn.lesson import Beside, Lesson, rows_at
from wfbt.learn.reward import told
from wfbt.policy.artifact.building import build_network, network_tensors
from wfbt.policy.artifact.files import read_whole
from wfbt.policy.artifact.layouts import stack_of
from wfbt.policy.artifact.load import Artifact, Member, load_artifact
from wfbt.policy.artifact.manifest import NAME, Manifest, Provenance, Reward, Trainer, Window, json_bytes
from wfbt.policy.artifact.manifest import Rows as TrainedOn
from wfbt.policy.artifact.models import MOST_BYTES
from wfbt.policy.artifact.save import save_artifact
from wfbt.policy.artifact.tensors import read_tensors, tensor_bytes
from wfbt.policy.base import Rule
from wfbt.policy.council import Mode
from wfbt.policy.network import Network
from wfbt.policy.taught import StoredTeacher, rows_sha256

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Tell = Callable[[int, int, float | None], None]
"""Told of (seed, steps, score by the rows kept back) while a seed is trained."""

KEY = 16
PENDING = ".seeds"
LOG = "training.json"
DONE = "log.json"
SOURCES = ("config", "data", "engine", "features", "kernels", "learn", "ledger", "policy")
"""Packages whose source decides what is learnt."""
LIBRARIES = (
    "arch", "gymnasium", "numba", "numpy", "pandas", "safetensors", "scipy", "stable-baselines3", "TA-Lib", "torch",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """The rule beside a network that is trained, with fixed parameters; `proposes`: it is the network that does."""

    rule: Rule
    params: Mapping[str, Any]
    mode: Mode
    proposes: bool
    passes: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class School:
    """Trains the networks of one study; a `wfbt.policy.taught.Teacher`.

    Attributes
    ----------
    plan : Train
    spec : FeatureSpec
        What `plan.features` names.
    lowering : Lowering
        Of the whole market's deck.
    rules : Rules
    frames : mapping of symbol to DataFrame
        Bars of every symbol of the deck, with series joined.
    learners : tuple of Learner
        Fitted on all training rows of a fold, those kept back to choose by among them, as in its replay.
    regime_scale : tuple of float
        What sizes are multiplied by in each regime; empty: nothing.
    company : Company or None
    embargo : int
        ns that are left out between the rows trained on and those kept back.
    seed : int
        The run's own.
    setup : str
        The account, its venue and what `learners` are, in words that differ where they do; part of the key.
    digests : function of int
        sha256 of each symbol's market up to a moment, ns UTC.
    warm : Artifact or None
        Whose weights training begins with.
    store : Path
        The strategy's folder of artefacts.
    """

    plan: Train
    spec: FeatureSpec
    lowering: Lowering
    rules: Rules
    frames: Frames
    learners: tuple[Learner, ...] = ()
    regime_scale: tuple[float, ...] = ()
    company: Company | None = None
    embargo: int = 0
    seed: int
    setup: str
    digests: Callable[[int], Mapping[str, str]]
    warm: Artifact | None = None
    store: Path
    _lessons: dict[str, Lesson] = field(default_factory=dict, init=False, repr=False)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One network of each."""
        return self.plan.seeds

    @property
    def watches(self) -> bool:
        """Whether the networks observe anything of their account."""
        return bool(self.plan.account)

    @cached_property
    def sha256(self) -> str:
        """Of everything that decides what is learnt but the rows and the market."""
        company = self.company
        beside = company and {
            "rule": company.rule.source_sha256, "params": company.rule.bind(company.params), "mode": company.mode,
            "proposes": company.proposes, "passes": company.passes,
        }  # fmt: skip
        parts = {
            "plan": self.plan.model_dump(exclude={"warm_start"}),
            "warm": self.warm and self.warm.sha256,
            "features": self.spec.sha256,
            "regime_scale": self.regime_scale,
            "beside": beside,
            "embargo": self.embargo,
            "seed": self.seed,
            "setup": self.setup,
            "source": source_sha256(),
            "libraries": libraries(),
        }
        return _sha256(json.dumps(parts, sort_keys=True, default=str).encode())

    def key(self, train: I8) -> str:
        """Hash of all that decides what is learnt from the rows that close at `train` (K,), ns UTC.

        The market counts up to the last of them: rows that are added later change nothing.
        """
        parts = [self.sha256, rows_sha256(train), json.dumps(self.digests(int(train[-1])), sort_keys=True)]
        return _sha256("\n".join(parts).encode())

    def folder(self, train: I8) -> Path:
        """Where the artefact of these rows is, or will be."""
        return self.store / self.key(train)[:KEY]

    def missing(self, train: I8) -> tuple[int, ...]:
        """Seeds that are still to be trained on these rows."""
        folder = self.folder(train)
        if (folder / NAME).exists():
            return ()
        return tuple(seed for seed in self.seeds if not (folder / PENDING / str(seed) / DONE).exists())

    def lesson(self, train: I8) -> Lesson:
        """What is trained on the rows that close at `train`."""
        name = rows_sha256(train)
        if name not in self._lessons:
            self._lessons.clear()
            self._lessons[name] = self._prepared(train)
        return self._lessons[name]

    def teach(
        self, train: I8, seed: int, tell: Tell = lambda seed, steps, score: None, board: Path | None = None
    ) -> None:
        """Train one seed on these rows and keep it; does nothing where it is there."""
        if seed not in self.missing(train):
            return
        done = trainer()(
            self.lesson(train),
            seed,
            self.seed,
            warm=self._warm(seed, train),
            board=board and board / f"{self.key(train)[:KEY]}-{seed}",
            tell=lambda steps, score: tell(seed, steps, score),
        )
        place = self.folder(train) / PENDING / str(seed)
        for level, network in done.networks.items():
            _put(place / f"{level}.safetensors", tensor_bytes(network_tensors(network)))
            _put(place / f"{level}-outputs.safetensors", tensor_bytes({"outputs": done.outputs[level]}))
        _put(place / DONE, json_bytes(done.log))

    def artifact(self, train: I8, tell: Tell = lambda seed, steps, score: None) -> Artifact:
        """What was trained on these rows: taken from the store, or trained now."""
        folder = self.folder(train)
        if (folder / NAME).exists():
            return load_artifact(folder)
        for seed in self.missing(train):
            self.teach(train, seed, tell)
        return self._finish(train)

    def logs(self, train: I8) -> tuple[Mapping[str, Any], ...]:
        """What the training of each seed looked like, of an artefact that is there."""
        return tuple(json.loads(read_whole(self.folder(train) / LOG, MOST_BYTES))["seeds"])

    def stored(self, trained: Sequence[I8]) -> StoredTeacher:
        """What another process can be given, of plain values, to read what was trained on each of these rows."""
        return StoredTeacher(
            folder=self.store,
            keys={rows_sha256(train): self.key(train)[:KEY] for train in trained},
            seeds=self.seeds,
            watches=self.watches,
            sha256=self.sha256,
        )

    def _prepared(self, train: I8) -> Lesson:
        deck, plan = self.lowering.deck, self.plan
        rows = rows_at(deck.close_ts, train)
        kept, held = rows, tuple[slice, ...]()
        if plan.validation is not None:
            kept, held = hold_out(rows, plan.validation.share, -(-self.embargo // deck.period))
        frames, _, _ = learn(self.learners, self.frames, train)
        observation = ObservationPlan(
            spec=self.spec, scaling=plan.scaling, clip=plan.clip, correlation=plan.correlation
        ).fit(frames, np.concatenate([deck.close_ts[block] for block in kept]))
        forecast = None
        if any(one.key == COLUMN for one in self.learners):
            forecast = {symbol: frame[COLUMN].to_numpy(np.float64) for symbol, frame in frames.items()}
        beside = None
        if (company := self.company) is not None:
            asked = company.rule.opinion if company.proposes else company.rule.columns
            beside = Beside(
                wants=asked(frames, company.params, train),
                mode=company.mode,
                proposes=company.proposes,
                passes=company.passes,
            )
        return Lesson(
            plan=plan,
            lowering=self.lowering,
            rules=self.rules,
            frames=frames,
            observation=observation,
            kept=kept,
            held=held,
            forecast=forecast,
            scale={symbol: self._scaled(frame) for symbol, frame in frames.items()} if self.regime_scale else {},
            beside=beside,
        )

    def _scaled(self, frame: pd.DataFrame) -> F8:
        """(T,) what sizes of a symbol are multiplied by at each close."""
        regime = frame["regime"].to_numpy(np.float64)
        known = ~np.isnan(regime)
        return np.where(known, np.array(self.regime_scale)[np.where(known, regime, 0.0).astype(np.int64)], 1.0)

    def _warm(self, seed: int, train: I8) -> Mapping[str, Network] | None:
        """Weights to begin with: of the same seed where there is one, else of one after the other.

        ArtifactError where they have seen what comes after the training rows, of whatever market.
        """
        if self.warm is None:
            return None
        manifest = self.warm.manifest
        seen = max(one.end for one in (manifest.training, manifest.validation) if one is not None)
        if seen > train[-1]:
            raise ArtifactError(
                f"train.warm_start: {self.warm.path} was trained on rows up to {seen}, and these training rows end at "
                f"{Time(train[-1])}: markets move together, so it would know what is tested; name one that ends before"
            )
        members = self.warm.members
        known = [one for one in members if one.seed == seed]
        levels = (known or [members[self.seeds.index(seed) % len(members)]])[0].levels
        wanted = {"manager", "worker"} if self.plan.hierarchical else {"policy"}
        if set(levels) != wanted or not all(isinstance(one, Network) for one in levels.values()):
            raise ConfigError(
                f"train.warm_start: {self.warm.path} holds {' and '.join(levels)}, and {' and '.join(sorted(wanted))} "
                "of plain networks is to be trained"
            )
        return {name: one for name, one in levels.items() if isinstance(one, Network)}

    def _finish(self, train: I8) -> Artifact:
        """Make the artefact of the seeds, which are all there."""
        from wfbt.learn.train import probes

        folder, lesson = self.folder(train), self.lesson(train)
        members, outputs, logs = [], [], []
        for seed in self.seeds:
            place = folder / PENDING / str(seed)
            levels: dict[str, Network] = {}
            said: dict[str, F8] = {}
            for name, level in lesson.levels.items():
                assert level.architecture is not None
                source = place / f"{name}.safetensors"
                stack = stack_of(read_tensors(read_whole(source, MOST_BYTES), str(source)), str(source))
                levels[name] = build_network(stack, level.architecture, level.actions, level.normaliser, str(source))
                source = place / f"{name}-outputs.safetensors"
                said[name] = read_tensors(read_whole(source, MOST_BYTES), str(source))["outputs"]
            members.append(Member(seed=seed, levels=levels))
            outputs.append(said)
            logs.append(json.loads(read_whole(place / DONE, MOST_BYTES)))
        _put(folder / LOG, json_bytes({"seeds": logs, "notes": list(lesson.observation.notes)}))
        artifact = save_artifact(folder, self._manifest(train, lesson), members, probes(lesson), outputs)
        shutil.rmtree(folder / PENDING, ignore_errors=True)
        return artifact

    def _manifest(self, train: I8, lesson: Lesson) -> Manifest:
        deck, reward = self.lowering.deck, told(lesson.stage.reward)
        weights = {name: float(value) for name, value in reward["params"].items() if not isinstance(value, str)}

        def window(rows: tuple[slice, ...]) -> Window:
            close = deck.close_ts
            return Window(start=Time(close[rows[0].start] - deck.period), end=Time(close[rows[-1].stop - 1]))

        return Manifest(
            provenance=Provenance.RECORDED,
            models=(),
            levels=lesson.levels,
            features_sha256=self.spec.sha256,
            reward=Reward(name=reward["name"], weights=weights),
            training=window(lesson.kept),
            validation=window(lesson.held) if lesson.held else None,
            embargo=Duration(self.embargo),
            data=TrainedOn(
                period=Duration(deck.period), symbols=deck.symbols, digests=dict(self.digests(int(train[-1])))
            ),
            trainer=Trainer(algorithm=self.plan.algorithm, hyperparameters=_hyperparameters(self.plan, self.seed)),
            code_sha256=source_sha256(),
            lock_sha256=_sha256(json.dumps(libraries(), sort_keys=True).encode()),
            probes=None,
        )


@functools.cache
def source_sha256() -> str:
    """Hash of the Python files that decide what is learnt."""
    root, digest = Path(wfbt.__file__).parent, hashlib.sha256()
    for path in sorted(path for name in SOURCES for path in (root / name).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@functools.cache
def libraries() -> dict[str, str]:
    """Versions of what can move a weight; ConfigError where one is not installed."""
    try:
        return {name: importlib.metadata.version(name) for name in LIBRARIES}
    except importlib.metadata.PackageNotFoundError as missing:
        raise ConfigError(f"training needs {missing.name}; install it with: pip install 'wfbt[rl]'") from missing


def trainer() -> Any:
    """`wfbt.learn.train.train`; ConfigError where what it stands on is not installed."""
    try:
        from wfbt.learn.train import train
    except ImportError as missing:
        raise ConfigError(f"training needs {missing.name}; install it with: pip install 'wfbt[rl]'") from missing
    return train


def _hyperparameters(plan: Train, root: int) -> dict[str, Any]:
    """What a person may want to know of how it was trained, by dotted names."""
    out: dict[str, Any] = {"root_seed": root}
    for key, value in plan.model_dump(exclude={"features", "account", "action", "reward", "seeds", "hidden"}).items():
        if isinstance(value, dict):
            out |= {f"{key}.{name}": one for name, one in value.items()}
        else:
            out[key] = value
    return out


def _put(path: Path, data: bytes) -> None:
    replace_whole(path, lambda file: file.write(data))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
