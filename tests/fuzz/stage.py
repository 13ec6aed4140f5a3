"""Finished work to spoil: strategies, a judged run of a rule and one of a model, verdicts, a trial ledger.

Each `Target` is one good file, the command that reads it, and an oracle: what may be true where that command still ends
with 0.  An oracle shares no code with what it judges.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import operator
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

import wfbt
from tests.config.test_fuzz import SEED_TEXT
from tests.gate.test_gating import COUNTS, MANDATE
from tests.models import artefact
from tests.runs import hours, write_study
from wfbt import cli
from wfbt.config.schema import Strategy
from wfbt.registry.chain import entry_hash
from wfbt.registry.trials import APPLICATION_ID, SCHEMA

from .driver import Outcome, call
from .mutations import Core

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

Oracle = Callable[[bytes, Outcome], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One good file.

    Attributes
    ----------
    name : str
    path : Path
        Where the spoiled file is put.
    good : bytes
    form : str
        Of `mutated`.
    words : tuple
        The command.
    wrong : callable
        What is wrong with ending with 0 on these bytes; empty where nothing is.
    share : int
        How many of 1,000 spoiled files are of this target.
    written : tuple of Path
        What the command or `seal` writes: taken away, or put back as it was, after each call.
    group : click.Group
    seal : callable or None
        Makes the hashes around spoiled bytes fit, as whoever forges them would.
    emptied : Path or None
        A folder that the command makes.
    """

    name: str
    path: Path
    good: bytes
    form: str
    words: tuple[Any, ...]
    wrong: Oracle
    share: int
    written: tuple[Path, ...] = ()
    group: Any = cli.main
    seal: Callable[[bytes], None] | None = None
    emptied: Path | None = None

    def call(self, data: bytes) -> Outcome:
        """The command on `data`; afterwards everything is as it was."""
        kept = {path: path.read_bytes() if path.exists() else None for path in self.written}
        try:
            self.path.write_bytes(data)
            if self.seal:
                self.seal(data)
            return call(self.words, self.group)
        finally:
            self.path.write_bytes(self.good)
            if self.emptied:
                shutil.rmtree(self.emptied, ignore_errors=True)
            for path, before in kept.items():
                if before is None:
                    path.unlink(missing_ok=True)
                else:
                    path.write_bytes(before)

    def complaint(self, data: bytes) -> str:
        """What these bytes show to be wrong with wfbt, or nothing."""
        outcome = self.call(data)
        return outcome.fault or (self.wrong(data, outcome) if outcome.code == 0 else "")


@click.group(cls=cli.Reporting)
def planning() -> None:
    """What `wfbt run` does before it walks."""


@planning.command()
@click.argument("strategy", type=click.Path(path_type=Path))
def plan(strategy: Path) -> None:
    from wfbt.planning import planned

    planned(strategy, out=strategy.parent / "planned", jobs=1)


def targets(folder: Path) -> list[Target]:
    """Everything that is spoiled, made in `folder`; two short runs."""
    return [*_strategies(folder), *_rule(folder / "rule"), *_model(folder / "model")]


def _strategies(folder: Path) -> Iterator[Target]:
    place = folder / "check.yaml"
    corpus = [SEED_TEXT.encode(), *(path.read_bytes() for path in sorted(EXAMPLES.glob("*.yaml")))]
    for number, good in enumerate(corpus):
        yield Target(
            name=f"strategy {number}", path=place, good=good, form="yaml", words=("check", "config", place),
            wrong=_understood, share=150 if number == 0 else 350 // (len(corpus) - 1),
        )  # fmt: skip


def _rule(folder: Path) -> Iterator[Target]:
    """A rule's run, its criteria, its verdict and its ledger."""
    folder.mkdir()
    strategy = write_study(folder, mandate=MANDATE)
    run = wfbt.run(strategy, out=folder / "reports", jobs=1, report=False).folder
    yield _planned(strategy)
    criteria, ledger = folder / "counts.yaml", folder / "reports" / "trials.sqlite"
    criteria.write_text(COUNTS)
    yield from _gated(run, criteria, ledger)
    yield from _verified(folder, run, ("--strategy", strategy), criteria, None)
    listed = ("trials", "--file", ledger, "--verify")
    yield _ledger("ledger", ledger, listed)
    rows = [row for row in _entries(ledger) if len(row) == 4]
    for number, row in enumerate(rows):
        entry = folder / "entry.json"
        yield Target(
            name=f"forged entry {number}", path=entry, good=row[3].encode(), form="json", words=listed, share=20,
            wrong=_anything, written=(ledger,), seal=_chained(ledger, number),
        )  # fmt: skip


def _planned(strategy: Path) -> Target:
    place = strategy.with_name("plan.yaml")
    return Target(
        name=f"{strategy.parent.name} planned", path=place, good=strategy.read_bytes(), form="yaml",
        words=("plan", place), wrong=_anything, share=40, group=planning,
    )  # fmt: skip


def _ledger(name: str, ledger: Path, words: tuple[Any, ...]) -> Target:
    """SQLite has bytes that mean nothing; what means anything must be as it was."""
    entries = _entries(ledger)

    def held(data: bytes, _: Outcome) -> str:
        copy = ledger.with_name("copy.sqlite")
        copy.write_bytes(data)
        return "" if _entries(copy) == entries else "other entries are taken for the ledger's"

    return Target(
        name=name, path=ledger, good=ledger.read_bytes(), form="bytes", words=words, wrong=held, share=40
    )  # fmt: skip


def _chained(ledger: Path, number: int) -> Callable[[bytes], None]:
    """Write a ledger in which one entry says what was spoiled, and every hash fits."""
    entries = _entries(ledger)
    rows, weeks = ([row for row in entries if len(row) == size] for size in (4, 2))

    def seal(data: bytes) -> None:
        ledger.unlink()
        with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
            for statement in (*SCHEMA, f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 1"):
                connection.execute(statement)
            connection.executemany("INSERT INTO weeks VALUES (?, ?)", weeks)
            parents = ""
            for at, (row, _, _, text) in enumerate(rows):
                told = data.decode("utf-8", "replace") if at == number else text
                sha256 = entry_hash((parents,) if parents else (), told)
                connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", (row, sha256, parents, told))
                parents = sha256

    return seal


def _gated(run: Path, criteria: Path, ledger: Path) -> Iterator[Target]:
    words = ("gate", run, "--criteria", criteria, "--first-look", "--quiet")
    writes = (run / "verdict.json", run / "junit.xml", run / "summary.md", ledger)

    def unlike(name: str) -> Oracle:
        good = (run / name).read_bytes()

        def wrong(data: bytes, _: Outcome) -> str:
            if data == good or (name.endswith(".json") and _same_tree(data, good)):
                return ""
            return f"a changed {name} passes"

        return wrong

    for name, share, form in (
        ("result.json", 12, "json"),
        ("manifest.json", 16, "json"),
        ("config.resolved.yaml", 8, "yaml"),
        ("daily.parquet", 8, "bytes"),
        ("equity.parquet", 3, "bytes"),
        ("fills.parquet", 3, "bytes"),
    ):
        yield Target(
            name=name, path=run / name, good=(run / name).read_bytes(), form=form, words=words, wrong=unlike(name),
            share=share, written=writes,
        )  # fmt: skip
    for name, share, form in (
        ("result.json", 40, "json"),
        ("manifest.json", 15, "json"),
        ("config.resolved.yaml", 15, "yaml"),
        ("daily.parquet", 10, "bytes"),
        ("equity.parquet", 5, "bytes"),
        ("fills.parquet", 5, "bytes"),
    ):
        yield Target(
            name=f"forged {name}", path=run / name, good=(run / name).read_bytes(), form=form, words=words,
            wrong=_anything, share=share, written=(*writes, run / "manifest.json"), seal=_fitting(run, name),
        )  # fmt: skip
    result = json.loads((run / "result.json").read_text())
    other = criteria.with_name("other.yaml")
    for name, text in (("criteria", COUNTS), ("own criteria", OWN)):

        def met(data: bytes, outcome: Outcome) -> str:
            return _met(data, json.loads(outcome.stdout), result)

        yield Target(
            name=name, path=other, good=text.encode(), form="yaml",
            words=("gate", run, "--criteria", other, "--first-look", "--json"), wrong=met, share=45, written=writes,
        )  # fmt: skip


OWN = """version: 1
name: own
spend: 0.05
valid_days: 30
criteria:
  - {name: a, metric: "all(folds[*].out_of_sample.trades)", operator: ">", threshold: 0, kind: count, why: w}
  - {name: b, metric: "max(folds[*].out_of_sample.max_drawdown)", operator: "<", threshold: 0.95, kind: limit, why: w}
  - {name: c, metric: oos.sharpe, operator: "<", threshold: 50, kind: rule, why: w, interval: gate.sharpe_high}
  - {name: d, metric: leakage.passed, operator: is, threshold: true, kind: integrity, why: w, remedy: look}
  - {name: e, metric: oos.max_drawdown, operator: "<=", threshold: mandate.max_drawdown, kind: evidence, why: w}
  - {name: f, metric: "folds[0].params.fast", operator: ">=", threshold: 4, kind: rule, why: w}
"""


def _verified(folder: Path, run: Path, more: tuple[Any, ...], criteria: Path, model: Path | None) -> Iterator[Target]:
    """A verdict of `run`, and all that it is held against."""
    sealed = folder / "sealed"
    done = call(("gate", run, "--criteria", criteria, "--first-look", "--out", sealed))
    assert done.code == 0, done
    for name in ("verdict.json", "junit.xml", "summary.md"):
        (run / name).unlink()
    verdict = sealed / "verdict.json"
    words = ("verify", verdict, model or more[1], "--allow-unsigned", "--criteria", criteria)
    words += ("--data", folder / "bars.parquet", "--data", folder, *(more if model else ()))
    ledger = sealed / "trials.sqlite"
    shutil.copy(folder / "reports" / "trials.sqlite", ledger)
    words += ("--trials", ledger)
    yield _ledger(f"verify {folder.name}'s ledger", ledger, words)
    payload = base64.b64decode(json.loads(verdict.read_text())["attestation"]["payload"])
    yield Target(
        name="forged verdict", path=folder / "payload.json", good=payload, form="json", words=words,
        wrong=lambda data, _: "" if _spelled(data) == _spelled(payload) else "a forged verdict verifies",
        share=60, written=(verdict,), seal=_enclosing(verdict),
    )  # fmt: skip
    files = {verdict: (250, "json"), criteria: (20, "yaml")}
    if model:
        files |= {path: (40, "json" if path.suffix == ".json" else "bytes") for path in sorted(model.iterdir())}
    found = json.loads(verdict.read_text())["findings"]
    for path, (share, form) in files.items():
        good = path.read_bytes()
        if path == criteria:
            yield Target(
                name="verify criteria", path=path, good=good, form=form, words=words, share=share,
                wrong=lambda data, outcome, good=good: "" if data == good else _covered(data, outcome, good, found),
            )  # fmt: skip
            continue
        yield Target(
            name=f"verify {path.name}", path=path, good=good, form=form, words=words, share=share,
            wrong=lambda data, _, good=good, name=path.name: "" if data == good else f"a changed {name} verifies",
        )  # fmt: skip


def _model(folder: Path) -> Iterator[Target]:
    """A model's run and its verdict."""
    folder.mkdir()
    model = folder / "net"
    artefact(model, {"policy": {}}, seeds=(0, 1))
    # On these days these random networks happen to gain enough to meet the criteria.
    strategy = write_study(
        folder, hours(seed=1), policy={"rule": None, "search": {}, "model": "net"}, folds={"count": 2, "train": "56d"},
        mandate=MANDATE,
    )  # fmt: skip
    run = wfbt.run(strategy, out=folder / "reports", jobs=1, report=False).folder
    criteria = folder / "counts.yaml"
    yield _planned(strategy)
    criteria.write_text(COUNTS.replace("threshold: 3", "threshold: 2"))
    yield from _verified(folder, run, ("--strategy", strategy), criteria, model)
    writes = (run / "verdict.json", run / "junit.xml", run / "summary.md", folder / "reports" / "trials.sqlite")
    for path in sorted(model.iterdir()):
        good = path.read_bytes()
        yield Target(
            name=f"gate {path.name}", path=path, good=good, form="json" if path.suffix == ".json" else "bytes",
            words=("gate", run, "--criteria", criteria, "--first-look", "--quiet"), share=6, written=writes,
            wrong=lambda data, _, good=good, name=path.name: "" if data == good else f"a changed {name} passes",
        )  # fmt: skip
        out = folder / "exported"
        for what, words in (("gated", ("gate", run, "--criteria", criteria, "--first-look", "--quiet")),
                            ("exported", ("export", model, "--to", "safetensors", "--out", out))):  # fmt: skip
            yield Target(
                name=f"forged {path.name}, {what}", path=path, good=good, share=12 if what == "exported" else 4,
                form="json" if path.suffix == ".json" else "bytes", words=words, wrong=_anything, emptied=out,
                written=(*writes, model / "manifest.json"),
                seal=None if path.suffix == ".json" else _described(model, path.name),
            )  # fmt: skip


def _anything(data: bytes, outcome: Outcome) -> str:
    """Where every hash fits, what is forged may be as good as the good one."""
    return ""


def _fitting(run: Path, name: str) -> Callable[[bytes], None]:
    """Write the manifest of a run, with the hash of its spoiled file and its own."""

    def seal(data: bytes) -> None:
        try:
            manifest = json.loads((run / "manifest.json").read_text())
            if name != "manifest.json":
                manifest["written"][name] = hashlib.sha256(data).hexdigest()
            manifest.pop("sha256", None)
            told = json.dumps(manifest, sort_keys=True, separators=(",", ":"), allow_nan=False)
            manifest["sha256"] = hashlib.sha256(told.encode()).hexdigest()
        except (ValueError, AttributeError, RecursionError):
            return  # past all forging
        (run / "manifest.json").write_text(json.dumps(manifest))

    return seal


def _enclosing(verdict: Path) -> Callable[[bytes], None]:
    """Write a verdict whose payload was spoiled and sealed again, in the one form that is read."""
    whole = json.loads(verdict.read_text())

    def seal(data: bytes) -> None:
        with suppress(ValueError, RecursionError):  # past all forging
            data = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode()
        kind = "application/vnd.in-toto+json"
        signed = f"DSSEv1 {len(kind)} {kind} {len(data)} ".encode() + data
        sealed = {"payload": base64.b64encode(data).decode(), "sha256": hashlib.sha256(signed).hexdigest()}
        forged = whole | {"attestation": whole["attestation"] | sealed}
        verdict.write_text(json.dumps(forged, indent=2, ensure_ascii=False) + "\n")

    return seal


def _spelled(data: bytes) -> str:
    return json.dumps(json.loads(data), sort_keys=True)


def _described(model: Path, name: str) -> Callable[[bytes], None]:
    """Write the manifest of a model with the hash of its spoiled file."""
    was = hashlib.sha256((model / name).read_bytes()).hexdigest().encode()

    def seal(data: bytes) -> None:
        place = model / "manifest.json"
        place.write_bytes(place.read_bytes().replace(was, hashlib.sha256(data).hexdigest().encode()))

    return seal


def _understood(data: bytes, outcome: Outcome) -> str:
    """A file that is understood is a mapping of known keys, each once, all of which are in what is printed."""
    printed = yaml.safe_load(outcome.stdout)
    node = yaml.compose(data.decode("utf-8-sig"), Loader=yaml.BaseLoader)
    if not isinstance(node, yaml.MappingNode):
        return "no mapping is taken for a strategy"
    for key, _ in node.value:
        if key.value not in Strategy.model_fields:
            return f"the unknown section {key.value} is passed over"
    return _lost(node, printed, ()) or _not_finite(printed)


def _lost(node: Any, printed: Any, path: tuple[str, ...]) -> str:
    """The first key or number of a file that what is printed lacks."""
    if path[:1] == ("latency",):
        return ""  # has a short spelling
    if isinstance(node, yaml.MappingNode) and isinstance(printed, dict):
        keys = [key.value for key, _ in node.value]
        if len(set(keys)) < len(keys):
            return f"a key stands twice in {'.'.join(path) or 'the file'}"
        known = {str(key): value for key, value in printed.items()}
        for key, value in node.value:
            if key.value not in known:
                return f"{'.'.join((*path, key.value))} is passed over"
            if told := _lost(value, known[key.value], (*path, key.value)):
                return told
    if isinstance(node, yaml.ScalarNode) and isinstance(printed, int | float) and not isinstance(printed, bool):
        try:
            same = math.isclose(float(node.value.replace("_", "")), printed)
        except ValueError:
            same = node.value in ("", "~", "null", "Null", "NULL")
        return "" if same else f"{'.'.join(path)} is {printed}, and the file says {node.value[:50]!r}"
    return ""


def _not_finite(tree: Any) -> str:
    values = [tree]
    while values:
        value = values.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value} is printed as a number"
        values += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ""


_HOLDS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt, "is": operator.is_}


def _met(data: bytes, verdict: dict[str, Any], result: dict[str, Any]) -> str:
    """A PASS by a changed criteria file is one that the file, read anew, and the run's own numbers bear out."""
    if verdict["status"] != "PASS" or verdict["exit_code"] != 0:
        return f"exit 0 with the status {verdict['status']}"
    findings = {one["name"]: one for one in verdict["findings"]}
    for name, one in findings.items():
        # What of all and any is shown is the value nearest to deciding, so that it must hold for itself.
        if one["passed"] is not True or not _HOLDS[one["operator"]](one["value"], one["threshold"]):
            return f"{name!r} is not met: {one}"
    asked = yaml.load(data.decode("utf-8-sig"), Core)
    names = [one["name"] for one in asked["criteria"]] if asked.get("criteria") else []
    if not names and not asked.get("extends"):
        return "a file that asks nothing passes"
    if len(set(names)) < len(names):
        return "a criterion stands twice"
    for one in asked.get("criteria") or ():
        told = findings.get(one["name"])
        if told is None or not all(_same(told[mine], one[key]) for mine, key in _TOLD.items()):
            return f"{one['name']!r} was not asked as it stands: {told}"
        if (value := _plainly(one["metric"].strip(), result)) is not None and value != told["value"]:
            return f"{one['metric']} is {value}, the verdict says {told['value']}"
    return ""


_TOLD = {"metric": "metric", "operator": "operator", "asked": "threshold", "kind": "kind", "protects": "why"}


def _same(told: Any, said: Any) -> bool:
    """Whether a value is what a file says, which may spell a number in more ways than JSON."""
    if isinstance(told, int | float) and not isinstance(told, bool):
        return not isinstance(said, bool) and math.isclose(float(str(said).replace("_", "")), told)
    return bool(told == said)


def _covered(data: bytes, outcome: Outcome, good: bytes, findings: list[dict[str, Any]]) -> str:
    """Criteria under another name are a deployer's own: what they ask was asked, and what was seen meets it."""
    asked, judged = (yaml.load(one.decode("utf-8-sig"), Core) for one in (data, good))
    if "own criteria" not in outcome.stdout or asked["name"] == judged["name"]:
        return "changed criteria are taken for the verdict's"
    for one in asked.get("criteria") or ():
        seen = [told["value"] for told in findings if told["metric"] == one["metric"]]
        if not any(_HOLDS[one["operator"]](value, one["threshold"]) for value in seen):
            return f"{one['name']!r} is not covered by what was seen: {seen}"
    return ""


def _plainly(path: str, result: dict[str, Any]) -> Any:
    """The value at a dotted path of names, None where the path is of another kind."""
    node: Any = result
    for name in path.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node if isinstance(node, int | float) else None


def _same_tree(data: bytes, good: bytes) -> bool:
    """Whether JSON was only laid out anew; a key that stands twice is another tree."""
    try:
        return bool(json.loads(data, object_pairs_hook=list) == json.loads(good, object_pairs_hook=list))
    except (ValueError, RecursionError):
        return False


def _entries(ledger: Path) -> list[tuple[Any, ...]]:
    """What the ledger holds, read with SQL alone."""
    with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT row, sha256, parents, look FROM entries ORDER BY row").fetchall()
        return [*rows, *connection.execute("SELECT sha256, marks FROM weeks ORDER BY sha256").fetchall()]
