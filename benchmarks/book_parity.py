"""The replay against hftbacktest 2.4.4, fill by fill, where the models coincide.

    WFBT_HFT_PYTHON=/path/to/python python -m benchmarks.book_parity [--rows 20000] [--only NAME] [--golden DIR]

The peer runs in an interpreter of its own (hftbacktest 2.4.4 and what it depends on), as its NumPy is older.  Each
fill's time, side, tick and order, both bests and the position at every decision, and the number of trades must be
exact; balance, fees, volume and traded value to 1e-12.  `--golden` writes the outcomes on generated feeds for the
tests that run without the peer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.book.parity import CASES, differences, feed_of, job_of, ours

HERE = Path(__file__).resolve().parent


def peer(jobs: dict, feeds: dict) -> dict:
    """Outcomes of hftbacktest by name."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        for name, job in jobs.items():
            (where / f"{name}.json").write_text(json.dumps(job))
            np.savez(where / f"{name}.npz", **feeds[name])
        python = os.environ.get("WFBT_HFT_PYTHON", sys.executable)
        subprocess.run([python, str(HERE / "book_peer.py"), folder], check=True)
        out = {}
        for name in jobs:
            with np.load(where / f"{name}.out.npz", allow_pickle=False) as raw:
                out[name] = {key: raw[key] for key in raw.files}
        return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--golden", type=Path)
    given = parser.parse_args()
    jobs = {name: job_of(name, given.rows) for name in CASES if given.only in name}
    feeds = {name: feed_of(job) for name, job in jobs.items()}
    outcomes, failed = peer(jobs, feeds), 0
    for name, job in jobs.items():
        theirs, mine = outcomes[name], ours(job, feeds[name])
        found = differences(theirs, mine, job["lot_size"])
        failed += bool(found)
        told = f"{len(theirs['fills'])} fills ({mine['makers']} maker), {len(theirs['seen'])} decisions"
        print(f"{name:<28} {told:<44} {'equal' if not found else '; '.join(found)}", flush=True)
        if given.golden and not found and "symbol" not in job:
            told = {"rows": given.rows, "decisions": len(theirs["seen"])}
            told |= {name: theirs[name].tolist() for name in ("final", "fills")}
            (given.golden / f"{name}.json").write_text(json.dumps(told) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
