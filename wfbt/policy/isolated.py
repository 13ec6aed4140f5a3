"""A process that has seen no later row: python -m wfbt.policy.isolated FOLDER.

It asks a policy about ever longer prefixes, so that nothing the policy remembers from one question lies beyond the cut
of the next, and writes where the answers are not the ones already given.  FOLDER holds work.json and work.npz, and gets
report.json.  Nothing that is read can carry code.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from errno import ENOENT
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np
import pandas as pd

from wfbt.errors import WfbtError
from wfbt.kernels._jit import CACHE_DIR
from wfbt.policy.answers import INTENT, Answer, answer, differences
from wfbt.policy.base import evaluate
from wfbt.policy.recipe import made

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main(folder: Path) -> None:
    """Answer the tests of `folder`, shortest prefix first, once a line on stdin says that they are there."""
    if not sys.stdin.readline():
        return
    work = json.loads((folder / "work.json").read_text(encoding="utf-8"))
    with np.load(folder / "work.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    policy = made(work["policy"])
    with redirect_stdout(sys.stderr), _watched(work["begun"]) as files:
        done = [_tested(policy, work, arrays, test) for test in work["tests"]]
    report = {"tests": done, **{name: sorted(paths) for name, paths in files.items()}}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")


def _tested(policy: Any, work: Mapping[str, Any], arrays: Mapping[str, Any], test: Mapping[str, Any]) -> dict[str, Any]:
    view, now = test["view"], int(test["now"])
    frames = {}
    for symbol, names in work["views"][view].items():
        closes = arrays[f"{view}/{symbol}/closes"]
        rows = int(np.searchsorted(closes, now, side="right"))
        # In arrays of their own: a view would still hold what comes after.
        index = pd.DatetimeIndex(pd.to_datetime(closes[:rows].copy(), unit="ns", utc=True), name="ts")
        frames[symbol] = pd.DataFrame(arrays[f"{view}/{symbol}/values"][:rows].copy(), index=index, columns=names)
    train = arrays.get(f"{view}/train")
    try:
        said = answer(frames, evaluate(policy, frames, test["params"], train))
    except WfbtError as error:
        return {"refused": str(error)}
    said = Answer(closes=said.closes, columns={key: one for key, one in said.columns.items() if key[0] == INTENT})
    base = {(INTENT, symbol, name): arrays[f"base/{test['base']}/{symbol}/{name}"] for symbol, name in test["columns"]}
    closes = {symbol: arrays[f"{view}/{symbol}/closes"] for symbol in frames}
    found = differences(Answer(closes=closes, columns=base), said, now)
    # NaN is no JSON; hexadecimal digits lose no bit.
    return {
        "sha256": hashlib.sha256(b"".join(said.columns[key].tobytes() for key in sorted(said.columns))).hexdigest(),
        "differences": [[*one.key, one.row, one.ts, one.was.hex(), one.now.hex()] for one in found],
    }


@contextmanager
def _watched(begun: int | None) -> Iterator[dict[str, set[str]]]:
    """Names of files that Python opens meanwhile, outside of itself and of its libraries.

    What others have written since `begun` (ns; None: never) is not there: the policy may have kept it for itself in the
    process that began then.  What is written meanwhile is.
    """
    seen: dict[str, set[str]] = {"read": set(), "written": set()}
    libraries = [one for one in sys.path if one.endswith(("site-packages", "dist-packages"))]
    places = [sys.prefix, sys.base_prefix, *libraries, str(Path(__file__).parents[1])]
    own = [os.path.realpath(place) for place in [*places, CACHE_DIR]]
    own += ["/dev", "/proc", "/sys"]
    stat, made_here = os.stat, set[str]()
    watching = True

    def is_library(path: str) -> bool:
        if path.startswith("/dev/shm/"):
            return False
        return any(path.startswith(one + os.sep) for one in own) or path.endswith((".py", ".pyc", ".so"))

    def is_hidden(path: str) -> bool:
        try:
            told = stat(path)
        except OSError:
            return False
        if begun is None or told.st_mtime_ns < begun or not S_ISREG(told.st_mode):
            return False
        return not (is_library(path) or path in made_here)

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if watching and event == "open" and isinstance(given[0], str | bytes):
            path = os.path.abspath(os.fsdecode(given[0]))
            if isinstance(given[2], int) and given[2] & WRITING:
                made_here.add(path)
                seen["written"].add(os.path.basename(path))
            elif is_hidden(path):
                raise FileNotFoundError(ENOENT, os.strerror(ENOENT), path)
            elif not is_library(path):
                seen["read"].add(os.path.basename(path))

    def seen_stat(path: Any, *args: Any, **kw: Any) -> os.stat_result:
        if watching and isinstance(path, str | bytes | os.PathLike) and is_hidden(os.path.abspath(os.fsdecode(path))):
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), os.fsdecode(path))
        return stat(path, *args, **kw)

    sys.addaudithook(hook)
    os.stat = seen_stat
    try:
        yield seen
    finally:
        watching, os.stat = False, stat


if __name__ == "__main__":
    main(Path(sys.argv[1]))
