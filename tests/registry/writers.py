"""Processes that write to one ledger at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from tests.registry.ledgers import attempt, look
from wfbt.registry.trials import Trials

path, what, writer, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for number in range(count):
    if number % 250 == 0:
        trials = Trials.open(path, create=True)
    place = {"number": writer * 100000 + number, "family": f"writer{writer}"}
    if what == "look":
        print(trials.record([look(**place)])[0].sha256, flush=True)
    else:
        print(trials.attempt(attempt(**place)).entry, flush=True)
"""


def written_by(path, writers, count, kill_after=None, what="look"):
    """Hashes that each of several processes was given; the first is killed once it was given `kill_after`."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), what, str(writer), str(count)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            text=True,
        )
        for writer in range(writers)
    ]
    given = [[] for _ in processes]
    if kill_after is not None:
        for _ in range(kill_after):
            given[0].append(processes[0].stdout.readline().strip())
        time.sleep(0.0007 * (kill_after % 7))
        processes[0].send_signal(signal.SIGKILL)
    for hashes, process in zip(given, processes, strict=True):
        said = process.communicate()[0].splitlines()
        hashes += [line for line in said if len(line) == 64]
    killed = -signal.SIGKILL if kill_after is not None else 0
    assert [process.returncode for process in processes] == [killed, *[0] * (writers - 1)]
    return given
