"""The command line in process, with a clock on it: a call that ends in a traceback or does not end is a failure."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from wfbt import cli

LONGEST = 5.0
"""Seconds of CPU that any spoiled file may take."""

ASLEEP = 120.0
"""Seconds after which a call that takes no CPU either is given up: it waits for something."""

KNOWN = (0, 1, 2, 3, 4, 5)
"""Exit codes that mean something to a user; 70 is a fault of wfbt, 130 an interruption."""


class Hung(BaseException):
    """A call that took too long: past everything that catches exceptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a call ended.

    Attributes
    ----------
    code : int or None
        None where it hung.
    stdout, stderr : str
    seconds : float
        Of CPU.
    """

    code: int | None
    stdout: str
    stderr: str
    seconds: float

    @property
    def fault(self) -> str:
        """What no file may do to the program; empty where it did nothing of the kind."""
        if self.code is None or self.seconds > LONGEST:
            return f"took more than {LONGEST:g} s of CPU"
        if self.code not in KNOWN or "Traceback" in self.stderr:
            return f"exit {self.code}: {self.stderr[-400:]}"
        if (self.code in (2, 5)) and not self.stderr:
            return f"exit {self.code} without a word"
        if not all(line.isprintable() for line in self.stderr.splitlines()):
            return f"steers the terminal: {self.stderr[-400:]!r}"
        return ""


def call(words: Sequence[Any], group: Any = cli.main) -> Outcome:
    """One command, as `wfbt WORDS` would end it."""
    begun = time.process_time()
    try:
        with _clock():
            done = CliRunner().invoke(group, [str(word) for word in words])
    except Hung:
        return Outcome(code=None, stdout="", stderr="", seconds=time.process_time() - begun)
    seconds = time.process_time() - begun
    return Outcome(code=done.exit_code, stdout=done.stdout, stderr=done.stderr, seconds=seconds)


@contextmanager
def _clock() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hung

    clocks = ((signal.SIGPROF, signal.ITIMER_PROF, LONGEST), (signal.SIGALRM, signal.ITIMER_REAL, ASLEEP))
    before = [signal.signal(number, stop) for number, _, _ in clocks]
    try:
        for _, timer, seconds in clocks:
            signal.setitimer(timer, seconds)
        yield
    finally:
        for (number, timer, _), was in zip(clocks, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, was)
