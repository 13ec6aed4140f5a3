"""What the leak tests of a run cost, and how closely they look for it.

    python benchmarks/leakage.py

The share is of the time of the walk and its statistics, without reports and without robustness, stress, capacity and
decay.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from machine import describe, row

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "ema_rsi_adx.yaml"

OFF = ("robustness", "stress", "capacity", "decay", "monte_carlo")
"""Sections that are asked of a run afterwards."""


def run(*arguments: str) -> tuple[float, dict[str, Any]]:
    """Wall seconds of one wfbt process, and what it printed."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "wfbt", *arguments], capture_output=True, text=True, check=True)
    return time.perf_counter() - begun, json.loads(done.stdout)


def main() -> None:
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        off = [word for name in OFF for word in ("--set", f"{name}=null")]
        common = ("run", str(EXAMPLE), "--folds", "12", "--no-report", "--json", "--out", folder, *off)
        run(*common)
        told = [run(*common)[1] for _ in range(3)]
    assert all(one["leakage"] == told[0]["leakage"] for one in told)
    shares = [one["timing"]["leakage_s"] / (one["timing"]["total_s"] - one["timing"]["leakage_s"]) for one in told]
    seconds = min(one["timing"]["leakage_s"] for one in told)
    row("the leak tests of the BTC example, 12 folds", f"{seconds:.2f} s", "", True)
    row("beside the walk and its statistics", f"{min(shares):.0%}", "<= 50%", min(shares) <= 0.5)
    seen = told[0]["leakage"]
    print(f"    {seen['tests']:,} decisions tested in {seen['evaluations']} evaluations")
    row("a leak in 0.5% of the decisions shows with", f"{seen['detection_probability']:.1%}", "", True)
    wall, found = run("check", "lookahead", str(EXAMPLE), "--json")
    row("wfbt check lookahead", f"{wall:.1f} s", "", True)
    probability = found["detection_probability"]
    row("shows it with", f"{probability:.1%}", ">= 95%", probability >= 0.95)


if __name__ == "__main__":
    main()
