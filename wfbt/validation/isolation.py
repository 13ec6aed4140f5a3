"""Ask a policy in a process of its own that has never seen what comes after a cut."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import wfbt
from wfbt.errors import PolicyError
from wfbt.policy.answers import INTENT, Answer, Difference
from wfbt.policy.base import Policy
from wfbt.policy.recipe import recipe

I8 = npt.NDArray[np.int64]

BEGUN = time.time_ns()
"""When this process had not asked a policy anything yet: what a policy keeps in files, it has written since."""

ENVIRONMENT = dict(os.environ)
"""As it was then: what a policy keeps there, it has written since."""

TIMEOUT = 3600.0
"""Seconds until a process that does not answer is given up: far beyond what a rule that answered once can need."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prefix:
    """Ask with `params` about the rows of `frames` closed by `now` (ns); `base` is what was said of all of them."""

    frames: Mapping[str, pd.DataFrame]
    params: Mapping[str, Any]
    train: I8 | None
    base: Answer
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the process said of one prefix: the first difference of each column, or why it refused.

    `sha256` is of the whole answer.
    """

    differences: tuple[Difference, ...] = ()
    refused: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolated:
    """All answers, in the order of the questions, and the names of files that the policy opened meanwhile."""

    heard: tuple[Heard, ...]
    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()


@dataclass(slots=True)
class Process:
    """A process that answers one list of prefixes: started as a context, told by `ask`, waited for by `answers`.

    It gets ready while this one still finds out what to ask.

    It stands in an empty folder, which is its home and its place for temporary files too, so that it finds nothing that
    the policy has left elsewhere under a relative name; files that this process may have written are hidden from it.
    With `at_home` it stands where this process stands and sees what there is.
    """

    policy: Policy
    at_home: bool = False
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _process: subprocess.Popen[bytes] | None = None
    _order: list[int] = field(default_factory=list)

    def __enter__(self) -> Process:
        self._folder = tempfile.TemporaryDirectory(prefix="wfbt-")
        folder = Path(self._folder.name)
        empty = folder / "empty"
        empty.mkdir()
        with (folder / "errors.txt").open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "wfbt.policy.isolated", str(folder)],
                cwd=os.getcwd() if self.at_home else empty,
                env=_environment(None if self.at_home else empty),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
        if self._folder is not None:
            self._folder.cleanup()

    def ask(self, prefixes: Sequence[Prefix]) -> None:
        """Put the questions, shortest first: a policy may remember what it was shown."""
        assert self._process is not None and self._process.stdin is not None
        assert self._folder is not None
        self._order = sorted(range(len(prefixes)), key=lambda place: prefixes[place].now)
        ordered = [prefixes[place] for place in self._order]
        _write(Path(self._folder.name), self.policy, ordered, None if self.at_home else BEGUN)
        # Where it has ended already, `answers` says why.
        with suppress(BrokenPipeError):
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()

    def answers(self) -> Isolated:
        """Wait for the answers; PolicyError when there are none."""
        assert self._process is not None
        assert self._folder is not None
        folder = Path(self._folder.name)
        try:
            code = self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise PolicyError(f"{self.policy.name}: gave no answer within {TIMEOUT:g} s in a new process") from None
        if code != 0 or not (folder / "report.json").exists():
            said = (folder / "errors.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise PolicyError(
                f"{self.policy.name}: could not be asked in a new process, which ended with {code}"
                + (f": {said[-1]}" if said else "")
            )
        told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        heard: list[Heard] = [Heard()] * len(self._order)
        for place, one in zip(self._order, told["tests"], strict=True):
            heard[place] = Heard(
                refused=one.get("refused", ""),
                sha256=one.get("sha256", ""),
                differences=tuple(
                    Difference(key=(kind, symbol, name), row=row, ts=ts, was=float.fromhex(was), now=float.fromhex(now))
                    for kind, symbol, name, row, ts, was, now in one.get("differences", ())
                ),
            )
        return Isolated(heard=tuple(heard), read=tuple(told["read"]), written=tuple(told["written"]))


def isolated(policy: Policy, prefixes: Sequence[Prefix], at_home: bool = False) -> Isolated:
    """The answers of one new process."""
    with Process(policy, at_home) as process:
        process.ask(prefixes)
        return process.answers()


def _environment(home: Path | None) -> dict[str, str]:
    places = [str(Path(wfbt.__file__).parents[1]), *(path or os.getcwd() for path in sys.path)]
    out = ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}
    if home is not None:
        # Compiled kernels are no memory of the policy's, and a minute to make.
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        out["WFBT_CACHE"] = os.environ.get("WFBT_CACHE") or str(Path(cache) / "wfbt")
        out |= dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME"), str(home))
    return out


def _write(folder: Path, policy: Policy, prefixes: Sequence[Prefix], begun: int | None) -> None:
    arrays: dict[str, Any] = {}
    views: list[dict[str, list[str]]] = []
    shown: dict[int, int] = {}
    bases: dict[int, int] = {}
    tests = []
    for one in prefixes:
        if id(one.frames) not in shown:
            shown[id(one.frames)] = place = len(views)
            views.append({symbol: list(frame.columns) for symbol, frame in one.frames.items()})
            for symbol, frame in one.frames.items():
                arrays[f"{place}/{symbol}/closes"] = one.base.closes[symbol]
                arrays[f"{place}/{symbol}/values"] = frame.to_numpy(dtype=np.float64)
            if one.train is not None:
                arrays[f"{place}/train"] = one.train
        said = {key: column for key, column in one.base.columns.items() if key[0] == INTENT}
        if id(one.base) not in bases:
            bases[id(one.base)] = len(bases)
            for (_, symbol, name), column in said.items():
                arrays[f"base/{bases[id(one.base)]}/{symbol}/{name}"] = column
        tests.append(
            {
                "view": shown[id(one.frames)],
                "params": dict(one.params),
                "now": one.now,
                "base": bases[id(one.base)],
                "columns": [[symbol, name] for _, symbol, name in said],
            }
        )
    (folder / "work.json").write_text(
        json.dumps({"policy": recipe(policy), "views": views, "tests": tests, "begun": begun}), encoding="utf-8"
    )
    np.savez(folder / "work.npz", **arrays)
