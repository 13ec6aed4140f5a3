"""A shell as a CI job has it: `wfbt` and `python` of this checkout on the path, and a pip that installs nothing."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then echo "$@" >> {asked}; exit 0; fi
PYTHONPATH={root} exec {python} "$@"
"""
WFBT = """#!/bin/sh
PYTHONPATH={root} exec {python} -m wfbt "$@"
"""


class Machine:
    """A folder with the commands that a job finds, and the folder it works in."""

    def __init__(self, folder: Path) -> None:
        self.commands, self.workspace, self.temporary = (folder / name for name in ("bin", "workspace", "temporary"))
        for one in (self.commands, self.workspace, self.temporary):
            one.mkdir(parents=True)
        self.pip = folder / "pip.txt"
        words = {
            "root": shlex.quote(str(ROOT)),
            "python": shlex.quote(sys.executable),
            "asked": shlex.quote(str(self.pip)),
        }
        for name, text in (("python", PYTHON), ("wfbt", WFBT)):
            (self.commands / name).write_text(text.format(**words))
            (self.commands / name).chmod(0o755)

    def bash(self, script: str, env: Mapping[str, str], flags: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a script in the workspace with nothing in its environment but `env` and what every job has."""
        place = self.temporary / "script.sh"
        place.write_text(script)
        # Home too: compiled kernels are kept there.
        base = {"PATH": f"{self.commands}{os.pathsep}{os.environ['PATH']}", "HOME": os.environ["HOME"]}
        base |= {name: os.environ[name] for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME") if name in os.environ}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", *flags, str(place)],
            cwd=self.workspace, env=base | dict(env), capture_output=True, text=True, check=False,
        )  # fmt: skip
