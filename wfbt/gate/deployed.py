"""The deployer's side: does this verdict hold for what is about to be deployed?

It takes no compiler, no frames and no arrays: standard library, and cryptography where a key is given.  Criteria alone
need the reader of criteria files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wfbt.errors import ArtifactError, ConfigError
from wfbt.gate import attest, document
from wfbt.gate.attest import Statement, Verified
from wfbt.gate.hashes import data_files, file_hash, model_hash
from wfbt.policy.artifact.files import read_whole

RESOLVED = "config.resolved.yaml"
"""What a run folder keeps of its strategy."""
OF_RUN = "the strategy file of the run"
"""What a verdict calls the strategy file where only the run folder was judged, which keeps its hash and no name."""
MOST_KEY_BYTES = 10_000

PathLike = str | os.PathLike[str]


def verify(
    verdict: PathLike,
    model: PathLike | None = None,
    *,
    key: PathLike | bytes | None = None,
    strategy: PathLike | None = None,
    criteria: PathLike | None = None,
    data: PathLike | Sequence[PathLike] = (),
    trials: PathLike | None = None,
    lock: PathLike | None = None,
    allow_unsigned: bool = False,
    now: datetime | None = None,
) -> Verified:
    """Hold verdict.json against what is at hand, and return what was compared.

    ArtifactError (exit 3) at the first thing that does not agree, that has expired, or that did not pass; TrialsError
    (exit 3) where the trial ledger was edited; ConfigError (exit 2) where a path leads nowhere.

    Parameters
    ----------
    model : path, optional
        Folder of the artefact, or a file in it.  For a rule, which has none: the strategy file or the run folder, held
        against the strategy; refused where the verdict is on a model.
    key : path or bytes, optional
        Public key, PEM.  With it an unsigned verdict is refused, without it a signed one.
    strategy : path, optional
        The strategy file, or config.resolved.yaml or the run folder with it where the run was given overrides.
    criteria : path, optional
        A criteria file or the name of built-in ones: the verdict's own, or the deployer's, each line of which must
        have been asked at least as strictly.
    data : path or paths, optional
        Parquet files and folders of them, in which every file that was judged on must be found by its content.
    trials : path, optional
        Trial ledger: proved, and it must hold all that the verdict's ledger held.
    lock : path, optional
        The file that pins the dependencies.
    now : datetime, optional
        Aware; the clock's where None.
    """
    place = Path(verdict)
    source = str(place)
    if os.path.isdir(place):
        raise ArtifactError(f"{source}: must be a regular file, is a folder; give the verdict.json in it")
    raw = read_whole(_there(place, "verdict"), document.MOST_BYTES)
    told_strategy, told_model = _subject(model, strategy)
    given = {"model": model_hash(told_model)} if told_model else {}
    if lock is not None:
        given["lock"] = file_hash(_there(Path(lock), "lock"))
    sealed = document.envelope(raw, source)
    held = attest.verify(
        sealed,
        source,
        now=datetime.now(UTC) if now is None else now,
        given=given,
        trials=None if trials is None else _entries(Path(trials)),
        key=key if key is None or isinstance(key, bytes) else read_whole(_there(Path(key), "key"), MOST_KEY_BYTES),
        allow_unsigned=allow_unsigned,
    )
    statement = held.statement
    document.check_rendering(raw, sealed, statement, source)
    if trials is not None and not statement.bound.trials:
        raise ArtifactError(
            f"{source}: trials: the verdict binds no trial ledger ({statement.bound.reasons['trials']}); leave it out"
        )
    compared = list(held.compared)
    if told_strategy is not None:
        if told_model is None and model is not None and statement.bound.model is not None:
            raise ArtifactError(
                f"{source}: is on a model, and {model} is a strategy; give the model, and the strategy beside it"
            )
        _check_strategy(told_strategy, statement, source)
        compared.append("strategy")
    if paths := (data,) if isinstance(data, str | os.PathLike) else tuple(data):
        _check_data([Path(path) for path in paths], statement, source)
        compared.append("data")
    if criteria is not None:
        from wfbt.gate.coverage import check_criteria

        told: Any = statement.findings
        same = check_criteria(criteria, told["criteria"], told["findings"], source)
        compared.append("criteria" if same else "own criteria")
    return replace(held, compared=tuple(compared))


def _subject(model: PathLike | None, strategy: PathLike | None) -> tuple[Path | None, Path | None]:
    """Which file to hold against the strategy, and which path against the model."""
    beside = None if strategy is None else _strategy_file(_there(Path(strategy), "strategy"))
    if model is None:
        return beside, None
    path = Path(model)
    if not (path.suffix in (".yaml", ".yml") or os.path.exists(path / RESOLVED)):
        return beside, path
    if strategy is not None:
        raise ConfigError(f"strategy: {model} is a strategy already; leave {strategy} out, or give a model first")
    return _strategy_file(_there(path, "model")), None


def _strategy_file(path: Path) -> Path:
    if not os.path.isdir(path):
        return path
    if not os.path.exists(path / RESOLVED):
        raise ConfigError(f"strategy: {path}: is a folder without {RESOLVED}; give a strategy file or a run folder")
    return path / RESOLVED


def _there(path: Path, what: str) -> Path:
    if not os.path.exists(path):
        raise ConfigError(f"{what}: {path}: no such file or folder")
    return path


def _check_strategy(path: Path, statement: Statement, source: str) -> None:
    found, bound = file_hash(path), statement.bound.strategy
    if found == bound:
        return
    name = statement.findings["strategy_file"]
    which = f"the strategy file {name!r}, as it was run"
    if name in (RESOLVED, OF_RUN):
        which = f"{RESOLVED} of the run folder" if name == RESOLVED else "the strategy file that the run was made with"
    raise ArtifactError(
        f"{source}: strategy sha256: the verdict binds {bound}, {path} has {found}; "
        f"give {which}, or judge this one by wfbt gate"
    )


def _check_data(paths: Sequence[Path], statement: Statement, source: str) -> None:
    """Every file that was judged on is among those given, wherever they lie now."""
    wanted = {one["sha256"]: one["path"] for one in statement.findings["files"]}
    names = {Path(told).name for told in wanted.values()}
    there = data_files(paths)
    for path in sorted(there, key=lambda path: path.name not in names):
        if not wanted:
            return
        wanted.pop(file_hash(path), None)
    if not wanted:
        return
    digest, lost = next(iter(wanted.items()))
    alike = next((path for path in there if path.name == Path(lost).name), None)
    raise ArtifactError(
        f"{source}: data: {lost!r} of sha256 {digest} is not there"
        + (f"; {alike} was changed since, or is another file" if alike else " under any name")
        + (f", and {len(wanted) - 1} more are not" if len(wanted) > 1 else "")
        + "; give the data that were judged on, or judge on these by wfbt gate"
    )


def _entries(path: Path) -> frozenset[str]:
    """What a trial ledger holds, once its chain is proved."""
    from wfbt.registry.trials import Trials

    return frozenset(one.sha256 for one in Trials.open(path))
