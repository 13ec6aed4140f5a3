"""Many tearsheets at once: QuantStats takes about a second for each, so they share the cores as processes.

Each process is a fresh interpreter given its work as a line of JSON on its standard input: nothing is forked under
running threads, and a script that calls `wfbt.run` is not executed again.  The input stays open for as long as the run
lives; a process whose run was killed ends at once, and cannot write into the folder of the run that takes over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wfbt.errors import LedgerError
from wfbt.report.tearsheet import write_tearsheet


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One tearsheet to write: daily returns in the columns strategy and benchmark, indexed by tz-naive day."""

    path: Path
    title: str
    daily: pd.DataFrame


def write_sheets(
    sheets: Sequence[Sheet], periods_per_year: int, jobs: int, progress: Callable[[int], None] = lambda done: None
) -> None:
    """Write every sheet, on up to `jobs` processes; `progress(n)` after each."""
    if not sheets:
        return
    shares = [list(sheets[i :: min(jobs, len(sheets))]) for i in range(min(jobs, len(sheets)))]
    # A font search and OpenMP threads would be started by each process for itself.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    workers: list[subprocess.Popen[str]] = []
    heard, told = os.pipe()
    with ExitStack() as stack:
        lines = stack.enter_context(os.fdopen(heard))
        stack.callback(_end, workers)
        errors = [stack.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in shares]
        try:
            for share, said in zip(shares, errors, strict=True):
                # -P: what lies in the working folder must not be imported in place of a library.
                worker = subprocess.Popen(
                    [sys.executable, "-P", "-m", "wfbt.report.sheets"],
                    stdin=subprocess.PIPE,
                    stdout=told,
                    stderr=said,
                    env=environment,
                    text=True,
                )
                workers.append(worker)
                _hand(worker, json.dumps([_spell(sheet, periods_per_year) for sheet in share]) + "\n")
        finally:
            os.close(told)
        for done, _ in enumerate(lines, start=1):
            progress(done)
        for worker, said in zip(workers, errors, strict=True):
            if worker.wait():
                said.seek(0)
                why = said.read().strip()[-2000:] or f"exit status {worker.returncode}"
                raise LedgerError(f"a tearsheet could not be written:\n{why}")


def _hand(worker: subprocess.Popen[str], work: str) -> None:
    """Give a worker its tasks; one that has died already is found out when it is waited for."""
    assert worker.stdin is not None
    with suppress(BrokenPipeError):
        worker.stdin.write(work)
        worker.stdin.flush()


def _end(workers: Sequence[subprocess.Popen[str]]) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
        if worker.stdin is not None:
            with suppress(BrokenPipeError):
                worker.stdin.close()


def _spell(sheet: Sheet, periods_per_year: int) -> dict[str, object]:
    return {
        "path": str(sheet.path),
        "title": sheet.title,
        "periods_per_year": periods_per_year,
        "days": [str(day.date()) for day in sheet.daily.index],
        "strategy": sheet.daily["strategy"].tolist(),
        "benchmark": sheet.daily["benchmark"].tolist(),
    }


def _leave_with_the_run() -> None:
    # Not through sys.stdin, whose lock a thread that waits would hold while the interpreter ends.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _work() -> None:
    tasks = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_the_run, daemon=True).start()
    for task in tasks:
        index = pd.DatetimeIndex(task["days"]).as_unit("ns")
        write_tearsheet(
            Path(task["path"]),
            pd.Series(task["strategy"], index=index, dtype=float),
            pd.Series(task["benchmark"], index=index, dtype=float),
            task["title"],
            task["periods_per_year"],
        )
        print(task["path"], flush=True)


if __name__ == "__main__":
    _work()
