"""What every benchmark prints first, and how it times."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path


def describe() -> str:
    """The machine, in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Least CPU seconds of this thread over some repeats: what the work needs when nothing disturbs it."""
    taken = []
    for _ in range(repeats):
        begun = time.thread_time()
        work()
        taken.append(time.thread_time() - begun)
    return min(taken)


def peak_mib() -> float:
    """Most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def row(name: str, value: str, target: str, met: bool) -> None:
    """One line of a table; a figure that falls short says so."""
    print(f"{name:<62} {value:>22}  {target:<22} {'' if met else 'SHORT'}")
