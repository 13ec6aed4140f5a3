"""Map a function over tasks on threads: kernels release the GIL, results come back in the order of the tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(function: Callable[[T], R], tasks: Iterable[T], jobs: int) -> list[R]:
    """`function` of each task, on up to `jobs` threads.  The first exception stops the rest."""
    work = list(tasks)
    if jobs <= 1 or len(work) <= 1:
        return [function(task) for task in work]
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(function, task) for task in work]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
