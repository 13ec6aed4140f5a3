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
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pandas as pd

from wfbt.compute import in_order
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
    workers = []
    try:
        for share in shares:
            worker = subprocess.Popen(
                [sys.executable, "-m", "wfbt.report.sheets"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                text=True,
            )
            workers.append(worker)
            assert worker.stdin is not None
            worker.stdin.write(json.dumps([_spell(sheet, periods_per_year) for sheet in share]) + "\n")
            worker.stdin.flush()
        done = count(1)
        for errors in in_order(lambda worker: _follow(worker, lambda: progress(next(done))), workers, len(workers)):
            if errors:
                raise LedgerError(f"a tearsheet could not be written:\n{errors}")
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()


def _follow(worker: subprocess.Popen[str], written: Callable[[], None]) -> str:
    """Wait for a worker, telling of each sheet; what it died of, or nothing."""
    assert worker.stdout is not None
    for _ in worker.stdout:
        written()
    _, errors = worker.communicate()
    return errors.strip()[-2000:] or f"exit status {worker.returncode}" if worker.returncode else ""


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
