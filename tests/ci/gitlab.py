"""As much of GitLab CI as our own files use: a job's commands are run for real, with its variables."""

from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import yaml

from tests.ci.shell import ROOT, Machine

TEMPLATE = ROOT / "ci" / "gitlab" / "wfbt-gate.yml"
HEAD = "set -eo pipefail\n"
"""What the runner puts before a script."""


def template() -> dict[str, Any]:
    return yaml.safe_load(TEMPLATE.read_text())


def run(machine: Machine, job: dict[str, Any], variables: dict[str, str], **given: str) -> CompletedProcess[str]:
    """Run the commands of a job that may extend the template.

    Precedence: the pipeline's `variables`, the job's own, then `given`, which stands for dotenv reports and project
    variables.
    """
    if "extends" in job:
        job = template()[job["extends"]] | job
    env = variables | job.get("variables", {}) | given
    assert all(isinstance(value, str) for value in env.values()), "a variable is not in quotes"
    lines = [*job.get("before_script", ()), *job["script"]]
    return machine.bash(HEAD + "\n".join(lines), env, ())


def kept(machine: Machine, variables: dict[str, str]) -> dict[str, Path]:
    """Where the template's artifacts, its JUnit report and its cache lie, each as it is written there."""
    told = template()[".wfbt-gate"]
    names = [*told["artifacts"]["paths"], told["artifacts"]["reports"]["junit"], *told["cache"]["paths"]]
    out = {}
    for name in names:
        place = name
        for key, value in variables.items():
            place = place.replace(f"${key}", value)
        out[name] = machine.workspace / place
    return out
