"""The pre-commit hook, by running its entry as pre-commit does: with the names of what is committed behind it."""

import re
import shlex

import pytest
import yaml

from tests.ci.shell import ROOT, Machine
from tests.runs import write_strategy

(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "job")


def commit(machine, *names):
    return machine.bash(" ".join([HOOK["entry"], *map(shlex.quote, map(str, names))]), {}, ())


def test_good_strategies_are_committed_without_a_word(machine):
    names = sorted((ROOT / "examples").glob("*.yaml"))
    done = commit(machine, *names, ROOT / "examples" / "ci" / "strategy.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(names) > 20


def test_every_mistake_of_every_file_is_told_and_nothing_is_committed(machine):
    for name in ("cuont", "tset", "count"):
        write_strategy(machine.workspace, f"{name} .yaml", folds={name: 3})
    done = commit(machine, "cuont .yaml", "count .yaml", "tset .yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.findall(r"^(?:ConfigError: )?(\w+) \.yaml: unknown key", done.stderr, re.MULTILINE) == ["cuont", "tset"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("strategy.yaml", True),
        ("btc_strategy.yml", True),
        ("strategies/trend.yaml", True),
        ("live/strategies-2024/a/b.yaml", True),
        (".github/workflows/ci.yaml", False),
        ("criteria.yaml", False),
        ("strategies/notes.md", False),
    ],
)
def test_files_are_found_by_what_they_are_called(path, wanted):
    assert bool(re.search(HOOK["files"], path)) is wanted
