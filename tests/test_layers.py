"""Imports flow one way: a package may import itself and what stands before it."""

import ast
from pathlib import Path

import pytest

import wfbt

ROOT = Path(wfbt.__file__).parent
ORDER = [
    "errors",
    "files",
    "kernels",
    "compute",
    "config",
    "data",
    "features",
    "policy",
    "ledger",
    "engine",
    "learn",
    "validation",
    "risk",
    "simulation",
    "registry",
    "gate",
    "report",
    "gating",
    "assumptions",
    "tables",
    "results",
    "setups",
    "policies",
    "schools",
    "assembly",
    "manifests",
    "networks",
    "training",
    "checks",
    "planning",
    "reopened",
    "drifting",
    "pipeline",
    "candidates",
    "cli",
]
# A package's own version and place are no dependency on what it holds.
IDENTITY = {"wfbt"}


def imported(path: Path) -> set[str]:
    """First-level wfbt packages that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
            if node.module == "wfbt":
                names |= {f"wfbt.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("wfbt.")} - {"__version__"}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_package_imports_only_what_stands_before_it(path):
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if here in ("__init__", "__main__"):
        return
    for there in imported(path):
        assert ORDER.index(there) <= ORDER.index(here), f"{path.relative_to(ROOT)} imports {there}"


def test_kernels_know_nothing_of_wfbt_but_themselves():
    for path in (ROOT / "kernels").glob("*.py"):
        assert imported(path) <= {"kernels"}, path.name


def test_the_public_names_resolve():
    for name in wfbt.__all__:
        assert getattr(wfbt, name) is not None
