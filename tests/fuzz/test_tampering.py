"""One flipped byte of what a verdict stands on is seen, and gates that share a ledger lose nothing of each other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

import wfbt
from tests.fuzz.driver import call
from tests.fuzz.mutations import flipped
from tests.gate.test_gating import COUNTS, MANDATE
from tests.models import artefact
from tests.runs import hours, write_study
from wfbt.gate.counted import VERDICT
from wfbt.registry.trials import Trials

BYTES = 40
"""Flipped of each file, one at a time."""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A model that passed, with its strategy, data, criteria and ledger beside it."""
    folder = tmp_path_factory.mktemp("sealed")
    artefact(folder / "net", {"policy": {}}, seeds=(0, 1))
    # On these days these random networks happen to gain enough to meet the criteria.
    strategy = write_study(
        folder, hours(seed=1), policy={"rule": None, "search": {}, "model": "net"}, folds={"count": 2, "train": "56d"},
        mandate=MANDATE,
    )  # fmt: skip
    (folder / "counts.yaml").write_text(COUNTS.replace("threshold: 3", "threshold: 2"))
    words = ("--criteria", folder / "counts.yaml", "--first-look", "--quiet", "--out", folder / "reports")
    done = call(("gate", folder / "net", "--strategy", strategy, "--no-report", *words))
    assert (done.code, done.stdout) == (0, "PASS\n"), done
    return folder


def holds(folder: Path) -> int | None:
    return call(
        (
            "verify", folder / "reports" / VERDICT, folder / "net", "--allow-unsigned", "--strategy",
            folder / "small.yaml", "--criteria", folder / "counts.yaml", "--data", folder, "--trials",
            folder / "reports" / "trials.sqlite",
        )
    ).code  # fmt: skip


FILES = (
    "net/manifest.json", "net/seed-0.safetensors", "net/seed-1.safetensors", "net/probes.safetensors", "small.yaml",
    "bars.parquet", "funding.parquet", "mark.parquet", "counts.yaml", f"reports/{VERDICT}",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_anywhere_in_a_file_ends_the_verdict(sealed, tmp_path, name):
    folder = shutil.copytree(sealed, tmp_path / "held")
    path, random = folder / name, Random(name)
    good = path.read_bytes()
    assert holds(folder) == 0
    for _ in range(BYTES):
        path.write_bytes(flipped(good, random))
        assert holds(folder) in (2, 3)
    path.write_bytes(good)
    assert holds(folder) == 0


def test_one_flipped_bit_of_any_entry_of_the_ledger_ends_the_verdict(sealed, tmp_path):
    folder = shutil.copytree(sealed, tmp_path / "held")
    path, random = folder / "reports" / "trials.sqlite", Random(0)
    good = path.read_bytes()
    for entry in Trials.open(path):
        for text in (entry.sha256, entry.record.family, entry.record.data, entry.record.code):
            at = good.index(text.encode()) + random.randrange(len(text))
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            assert holds(folder) == 3


GATES = """
import sys
from pathlib import Path
from wfbt.gating import gate_run, terms_of

place, run = Path(sys.argv[1]), Path(sys.argv[2])
for criteria in sys.argv[3:]:
    given = terms_of(criteria=place / criteria, first_look=True, trials=place / "reports" / "trials.sqlite")
    gate_run(run, given, out=place / "out" / criteria)
"""


@pytest.mark.slow
def test_gates_that_run_at_once_on_one_ledger_lose_no_attempt(tmp_path):
    strategy = write_study(tmp_path, mandate=MANDATE)
    run = wfbt.run(strategy, out=tmp_path / "reports", jobs=1, report=False).folder
    writers, each = 3, 5
    names = [[f"{writer}-{number}.yaml" for number in range(each)] for writer in range(writers)]
    started = []
    for writer, own in enumerate(names):
        for name in own:
            (tmp_path / name).write_text(COUNTS.replace("name: counts", f"name: counts {name}"))
        # Each judges a copy elsewhere, so that the ledger alone is shared.
        copy = shutil.copytree(run, tmp_path / f"copy{writer}" / run.name)
        root = str(Path(wfbt.__file__).parents[1])
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", GATES, str(tmp_path), str(copy), *own], env={"PYTHONPATH": root}, cwd=root
            )
        )
    assert [one.wait() for one in started] == [0] * writers
    ledger = Trials.open(tmp_path / "reports" / "trials.sqlite")
    told = [json.loads((tmp_path / "out" / name / VERDICT).read_text()) for own in names for name in own]
    assert {one["status"] for one in told} == {"PASS"}
    assert sorted(one["tries"]["attempt"] for one in told) == list(range(1, writers * each + 1))
    assert all(ledger.contains(head) for one in told for head in one["bound"]["trials"])
    judged = {entry.record.criteria for entry in ledger if entry.look is None}
    assert judged == {one["criteria"]["sha256"] for one in told}
    assert ledger.verify() == []
