"""Finished folds on disk, so that a run that was stopped or killed goes on where it was."""

from __future__ import annotations

import fcntl
import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from wfbt.errors import ConfigError
from wfbt.files import replace_whole
from wfbt.validation.walk_forward import Memory, Trial

FIELDS = ("scores", "chosen", "train_returns", "test_returns", "round_trips")


def fold_memory(folder: Path, resume: bool) -> Memory:
    """Keep each fold's trial as `folder`/NN.npz, whole or not at all; recall them when `resume`.

    The folder is made with the first trial: a run that is refused before leaves nothing behind.
    """

    def recall(index: int) -> Trial | None:
        path = folder / f"{index:04d}.npz"
        if not resume or not path.exists():
            return None
        try:
            # Opened here, as np.load leaves a damaged file open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                values = {name: kept[name] for name in FIELDS}
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return None  # not whole: the fold is computed again
        return Trial(**(values | {"chosen": int(values["chosen"])}))

    def keep(index: int, trial: Trial) -> None:
        buffer = io.BytesIO()
        values: dict[str, Any] = {name: np.asarray(getattr(trial, name)) for name in FIELDS}
        np.savez(buffer, **values)
        replace_whole(folder / f"{index:04d}.npz", lambda file: file.write(buffer.getvalue()))

    return Memory(recall=recall, keep=keep)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; ConfigError when another process has it.  The lock goes with the process."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _locked(path)
    except BlockingIOError:
        raise ConfigError(f"{path.with_suffix('')}: another process is writing this very run; wait for it") from None
    except OSError as error:
        raise ConfigError(
            f"--out {path.parent}: cannot be written to ({error.strerror}); name another folder"
        ) from error
    with file:
        try:
            yield
        finally:
            if _is_there(file):
                path.unlink()


def _locked(path: Path) -> IO[bytes]:
    while True:
        file = path.open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _is_there(file: IO[bytes]) -> bool:
    """Whether the lock file still has its name: who held it before us may have removed it after we opened it."""
    return os.fstat(file.fileno()).st_nlink > 0
