"""What a user waits for: the help, a walk-forward over years of hourly bars, the tearsheets, a cold kernel cache.

    python benchmarks/end_to_end.py

Each figure is a process of its own.  Runs on BTCUSDT 1 h of the real data beside the checkout where they are, on the
sample market otherwise.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from machine import describe, row

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data"
STRATEGY = """
name: bench
seed: 7
data:
  start: {start}
  end: 2025-07-01
  symbols:
    BTCUSDT: {{bars: {bars}, funding: {funding}, mark: {mark}, impact: 0.05}}
account: {{cash: 100000, leverage: 3}}
policy:
  rule: ema_rsi_adx
  search: {{fast: [8, 12, 16, 24], slow: [32, 48, 64, 80, 96, 112], adx_min: [15, 20, 25, 30]}}
sizing: {{method: risk, risk: 0.005}}
"""

OFF = ("robustness", "stress", "capacity", "decay", "monte_carlo")
"""Sections that are asked of a run afterwards."""


def run(*arguments: str, cache: str | None = None) -> tuple[float, float, float, str]:
    """Wall seconds, CPU seconds, peak MiB of one wfbt process, and what it printed."""
    environment = os.environ | ({"WFBT_CACHE": cache} if cache else {})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "wfbt", *arguments], env=environment, capture_output=True, text=True, check=True
    )
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, after.ru_maxrss / 1024, done.stdout


def main() -> None:
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "bars": REAL / "bars/BTCUSDT_perp_1h.parquet",
            "funding": REAL / "funding/BTCUSDT_perp_funding.parquet",
            "mark": REAL / "mark/BTCUSDT_perp_mark_1h.parquet",
        }
        start = "2019-09-08"
        if not REAL.is_dir():
            sample = ROOT / "datasets/sample/BTCUSDT"
            files = {
                key: sample / f"{name}.parquet"
                for key, name in zip(files, ("bars_1h", "funding", "mark_1h"), strict=True)
            }
            start = "2020-01-01"
        strategy = Path(folder) / "bench.yaml"
        strategy.write_text(STRATEGY.format(start=start, **files))
        everything = ("run", str(strategy), "--folds", "12", "--out", folder, "--json")
        # The walk, its leak tests and statistics; what is asked of it afterwards has figures of its own.
        off = [word for name in OFF for word in ("--set", f"{name}=null")]
        common = (*everything, *off)
        run(*common, "--no-report")

        helped = min(run("--help")[1] for _ in range(5))
        row("wfbt --help, CPU", f"{helped:.3f} s", "<= 0.15 s", helped <= 0.15)
        quick = sorted(run(*common, "--no-report") for _ in range(3))
        wall, _, memory, printed = quick[0]
        result = json.loads(printed)
        bars = result["data"]["BTCUSDT"]["rows"]
        tried = sum(fold["candidates"] for fold in result["folds"])
        assert len(result["folds"]) == 12
        assert all(json.loads(other[3])["oos"] == result["oos"] for other in quick)
        row(f"{bars:,} bars, 12 folds, {tried:,} candidates, no tearsheets", f"{wall:.1f} s", "<= 6 s", wall <= 6)
        print(f"    peak memory {memory:,.0f} MiB")
        full, _, memory, _ = run(*common)
        row("the same with 13 tearsheets and the page", f"{full:.1f} s", "<= 30 s", full <= 30)
        print(f"    peak memory of the largest process {memory:,.0f} MiB")
        asked = run(*everything, "--no-report")[0]
        row(
            "robustness, stress, capacity, decay and Monte Carlo besides",
            f"{asked - wall:.1f} s",
            "<= 30 s",
            asked - wall <= 30,
        )
        cold = run(*common, "--no-report", cache=str(Path(folder) / "cache"))[0]
        row(
            "first run on an empty kernel cache, beyond the warm one",
            f"{cold - wall:.1f} s",
            "<= 30 s",
            cold - wall <= 30,
        )


if __name__ == "__main__":
    main()
