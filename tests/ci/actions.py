"""As much of GitHub Actions as our own files use: steps are run for real, and an error at what is not known here.

Cache and artifacts are folders; whatever else is used from elsewhere is written down.
"""

import hashlib
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.ci.shell import ROOT, Machine

OURS = "OWNER/wfbt@v0.1.0"
"""What a workflow calls the action of this repository."""

TEXT = re.compile(r"'([^']*)'")
NAME = re.compile(r"[\w-]+(\.[\w-]+)+")
STRICT, PLAIN = ("-eo", "pipefail"), ("-e",)
"""What `shell: bash` means, and what no shell at all."""


@dataclass
class Job:
    """What a job came to.

    `outputs` are its own and those of our action, `used` the actions from elsewhere with what they were given, `log`
    is what its commands printed, `status` the exit code of the first step that failed, else 0, `summary` its page.
    """

    outputs: dict[str, str] = field(default_factory=dict)
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    log: str = ""
    status: int = 0
    summary: str = ""


class Runner:
    """Runs jobs one after another, each in a workspace of its own, with a cache and artifacts between them."""

    def __init__(self, folder: Path, files: Path, secrets: dict[str, str] | None = None) -> None:
        self.folder, self.files, self.secrets = folder, files, secrets or {}
        self.cache: dict[str, bytes] = {}
        self.artifacts = folder / "artifacts"
        self.jobs: dict[str, Job] = {}

    def action(self, **given: str) -> Job:
        """A job whose only step, beside a checkout of `files`, is the action of this repository."""
        return self.job(
            f"job{len(self.jobs)}", {"steps": [{"uses": "actions/checkout@v4"}, {"uses": OURS, "with": given}]}
        )

    def workflow(self, path: Path) -> dict[str, Job]:
        """Every job of a workflow whose needs went well."""
        told = yaml.safe_load(path.read_text())
        for name, job in told["jobs"].items():
            needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            if all(one in self.jobs and self.jobs[one].status == 0 for one in needs):
                self.job(name, job, told["defaults"]["run"]["shell"])
        return self.jobs

    def job(self, name: str, told: dict[str, Any], shell: str | None = None) -> Job:
        job = self.jobs[name] = Job()
        machine = self.machine = Machine(self.folder / name)
        contexts = {
            "secrets": self.secrets,
            "steps": {},
            "needs": {key: {"outputs": one.outputs} for key, one in self.jobs.items()},
        }
        self._steps(job, machine, told["steps"], contexts, shell)
        job.outputs |= {key: self._filled(text, contexts, machine) for key, text in told.get("outputs", {}).items()}
        return job

    def _steps(self, job: Job, machine: Machine, steps: Any, contexts: dict[str, Any], shell: str | None) -> None:
        for step in steps:
            if not self._wanted(step.get("if"), job, contexts, machine):
                continue
            given = {key: self._filled(text, contexts, machine) for key, text in (step.get("with") or {}).items()}
            if "uses" in step:
                outputs = self._use(job, machine, step["uses"], given)
            else:
                env = {key: self._filled(text, contexts, machine) for key, text in (step.get("env") or {}).items()}
                outputs = self._run(job, machine, step, env, shell)
            if "id" in step:
                contexts["steps"][step["id"]] = {"outputs": outputs}

    def _run(self, job: Job, machine: Machine, step: Any, env: dict[str, str], shell: str | None) -> dict[str, str]:
        assert "${{" not in step["run"], "text from outside belongs into env, where no shell reads it"
        files = {name: machine.temporary / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        files["GITHUB_OUTPUT"].write_text("")
        own = {name: str(path) for name, path in files.items()}
        own |= {"GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(machine.temporary)}
        bash = step.get("shell", shell)
        assert bash in ("bash", None)
        done = machine.bash(step["run"], own | env, STRICT if bash else PLAIN)
        job.log += done.stdout + done.stderr
        job.status = job.status or done.returncode
        if (page := files["GITHUB_STEP_SUMMARY"]).exists():
            job.summary = page.read_text()
        return dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())

    def _use(self, job: Job, machine: Machine, name: str, given: dict[str, str]) -> dict[str, str]:
        if name == OURS:
            return self._composite(job, machine, given)
        job.used.append((name, given))
        action, _, _ = name.partition("@")
        if action == "actions/checkout":
            shutil.copytree(self.files, machine.workspace, dirs_exist_ok=True)
        elif action == "actions/cache/restore":
            newest = [key for key in self.cache if key.startswith(given["restore-keys"])]
            if newest:
                place = machine.workspace / given["path"]
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(self.cache[newest[-1]])
        elif action == "actions/cache/save":
            self.cache.setdefault(given["key"], (machine.workspace / given["path"]).read_bytes())
        elif action == "actions/upload-artifact":
            self._upload(machine.workspace, given)
        elif action == "actions/download-artifact":
            shutil.copytree(self.artifacts / given["name"], machine.workspace / given["path"], dirs_exist_ok=True)
        else:
            assert action == "actions/setup-python", f"nobody knows here what {name} does"
        return {}

    def _composite(self, job: Job, machine: Machine, given: dict[str, str]) -> dict[str, str]:
        told = yaml.safe_load((ROOT / "action.yml").read_text())
        assert given.keys() <= told["inputs"].keys()
        inputs = {key: given.get(key, one["default"]) for key, one in told["inputs"].items()}
        contexts: dict[str, Any] = {"inputs": inputs, "steps": {}}
        assert all(step.get("shell") == "bash" for step in told["runs"]["steps"] if "run" in step)
        self._steps(job, machine, told["runs"]["steps"], contexts, None)
        job.outputs = {key: self._filled(one["value"], contexts, machine) for key, one in told["outputs"].items()}
        return job.outputs

    def _upload(self, workspace: Path, given: dict[str, str]) -> None:
        there = [workspace / line for line in given["path"].split() if (workspace / line).exists()]
        target = self.artifacts / given["name"]
        for path in there:
            if path.is_dir():
                shutil.copytree(path, target)
            else:
                # What all files have in common is the artifact's root.
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target / path.name)

    def _wanted(self, text: str | None, job: Job, contexts: dict[str, Any], machine: Machine) -> bool:
        parts = (text or "").split(" && ")
        always = parts[0] == "always()"
        return (always or job.status == 0) and all(
            self._holds(part, contexts, machine) for part in parts if part and part != "always()"
        )

    def _holds(self, text: str, contexts: dict[str, Any], machine: Machine) -> bool:
        left, how, right = re.fullmatch(r"(\S+) (==|!=) (\S+)", text).groups()
        same = self._value(left, contexts, machine) == self._value(right, contexts, machine)
        return same == (how == "==")

    def _filled(self, text: Any, contexts: dict[str, Any], machine: Machine) -> str:
        assert isinstance(text, str), f"{text!r} is not in quotes"
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: self._value(found[1], contexts, machine), text)

    def _value(self, text: str, contexts: dict[str, Any], machine: Machine) -> str:
        if literal := TEXT.fullmatch(text):
            return literal[1]
        if call := re.fullmatch(r"hashFiles\((.*)\)", text):
            path = machine.workspace / self._value(call[1], contexts, machine)
            return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        assert NAME.fullmatch(text), f"{text} is no expression that is known here"
        node: Any = contexts
        first, *rest = text.split(".")
        node = contexts[first]
        for key in rest:
            node = node.get(key, {})
        return node or ""
