"""A judged model with all that a deployer may hold: artefact, strategy, data, criteria, ledger, keys."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.policy.artifact.making import artefact
from tests.registry.ledgers import look
from wfbt.gate.attest import Bound, Statement
from wfbt.gate.criteria import load_criteria, profile
from wfbt.gate.document import contents, render
from wfbt.gate.hashes import data_files, data_hash, file_hash, model_hash
from wfbt.registry.trials import Trials

from .runs import daily, judged, result
from .test_attest import PRIVATE_PEM, PUBLIC_PEM, STRANGER_PEM

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = daily()
VERDICT = judged(result(DAYS), DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Files in a folder, and the statement about them."""

    folder: Path
    statement: Statement

    def at(self, name):
        return self.folder / name

    def write(self, statement=None, private_key=None):
        path = self.at("verdict.json")
        path.write_bytes(render(statement or self.statement, private_key))
        return path


def deployment(folder, *, model=True, criteria=None, strategy_file="strategy.yaml", verdict=VERDICT):
    """`criteria` is the text of a file that it was judged by; None is the built-in default."""
    artefact(folder / "model")
    (folder / "strategy.yaml").write_text("name: trend\npolicy: {rule: sma_cross}\n")
    run = folder / "run"
    run.mkdir()
    (run / "config.resolved.yaml").write_text("name: trend\nseed: 8\n")
    (run / "manifest.json").write_text("{}")
    (folder / "uv.lock").write_text("numpy==2.0\n")
    for symbol in ("BTC", "ETH"):
        place = folder / "data" / symbol / "bars.parquet"
        place.parent.mkdir(parents=True)
        place.write_bytes(b"PAR1" + symbol.encode() * 50)
    ledger = Trials.open(folder / "trials.sqlite", create=True)
    ledger.record([look(1), look(2)])
    judged_by = profile("default").sha256
    if criteria is not None:
        (folder / "criteria.yaml").write_text(criteria)
        asked = load_criteria(folder / "criteria.yaml")
        judged_by = file_hash(folder / "criteria.yaml")
        verdict = judged(result(DAYS), DAYS, criteria=asked)
    files = {path.relative_to(folder).as_posix(): file_hash(path) for path in data_files([folder / "data"])}
    resolved = strategy_file == "config.resolved.yaml"
    bound = Bound(
        model=model_hash(folder / "model") if model else None,
        strategy=file_hash(run / strategy_file if resolved else folder / strategy_file),
        criteria=judged_by,
        data=data_hash(files.values()),
        source="5" * 64,
        lock=file_hash(folder / "uv.lock"),
        trials=(ledger.head(),),
        reasons={} if model else {"model": "a rule has no model file"},
    )
    statement = Statement(
        status=str(verdict.status),
        bound=bound,
        version="0.1.0",
        seed=7,
        issued=NOON,
        expires=NOON + timedelta(days=30),
        findings=contents(verdict, bound=bound, strategy_file=strategy_file, files=files),
    )
    for name, data in (("public.pem", PUBLIC_PEM), ("private.pem", PRIVATE_PEM), ("stranger.pem", STRANGER_PEM)):
        (folder / name).write_bytes(data)
    return Deployment(folder=folder, statement=statement)


def told_otherwise(statement, **findings):
    """The same statement with other findings."""
    return replace(statement, findings={**statement.findings, **findings})


def flipped(data, place, bit):
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed)
