import json
import shutil
import subprocess

import numpy as np
import pytest

from tests.ci.actions import Runner
from tests.ci.shell import ROOT, Machine
from tests.runs import write_study

CRITERIA = """\
version: 1
name: counts
spend: 0.01
criteria:
  - {name: number of folds, metric: gate.folds, operator: ">=", threshold: 2, kind: count, why: one choice says little}
"""
IMPOSSIBLE = CRITERIA + (
    "  - {name: no trade at all, metric: oos.trades, operator: '<=', threshold: 0, kind: limit, why: to see it fail}\n"
)


def bars(days=100, seed=1):
    """Hours whose drift turns every two days, so that momentum earns."""
    rng = np.random.default_rng(seed)
    n = 24 * days
    drift = 0.002 * np.sign(np.sin(2 * np.pi * np.arange(n) / 96))
    close = 100 * np.exp(np.cumsum(drift + rng.normal(0, 0.002, n)))
    opened = np.r_[100.0, close[:-1]]
    return {
        "open": opened,
        "high": np.maximum(opened, close) * 1.0005,
        "low": np.minimum(opened, close) * 0.9995,
        "close": close,
        "volume": rng.uniform(50_000, 500_000, n),
    }


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """What a repository holds: a strategy, its market, and two sets of criteria."""
    folder = tmp_path_factory.mktemp("repository")
    path = write_study(
        folder,
        bars(),
        data={"end": "2024-04-09"},
        exits=None,
        folds={"count": 2, "train": "40d", "embargo": "24h"},
    )
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"policy": {"rule": "momentum", "search": {"n": [6, 12]}}})
    )
    (folder / "counts.yaml").write_text(CRITERIA)
    (folder / "impossible.yaml").write_text(IMPOSSIBLE)
    return folder


@pytest.fixture(scope="session")
def passed(files, tmp_path_factory):
    """A job that walked and judged the strategy by the action, and its runner."""
    runner = Runner(tmp_path_factory.mktemp("runner"), files)
    return runner, runner.action(strategy="small.yaml", criteria="counts.yaml", **{"first-look": "true"})


@pytest.fixture
def walked(passed, tmp_path):
    """A repository with the run folder `run` and its ledger in reports, as they were before anybody judged."""
    runner, _ = passed
    folder = tmp_path / "repository"
    shutil.copytree(runner.folder / "job0" / "workspace", folder)
    (run,) = (folder / "reports").glob("small-*")
    for place in (folder / "reports", run):
        for name in ("verdict.json", "junit.xml", "summary.md"):
            (place / name).unlink()
    run.rename(folder / "reports" / "run")
    return folder


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    """A private key, and the public half beside it."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("signer", "other"):
        private, public = folder / f"{name}.pem", folder / f"{name}.pub"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return folder / "signer.pem"


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder in which examples/ci/pipeline.sh has worked, and what it printed."""
    pytest.importorskip("stable_baselines3", reason="training needs the extra [rl]")
    machine = Machine(tmp_path_factory.mktemp("pipeline"))
    done = machine.bash(f'"{ROOT}/examples/ci/pipeline.sh" .', {}, ())
    return machine, done
