"""manifest.json of a run folder: what it takes to know that two runs are the same, and that nobody changed one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wfbt.assembly import FILES
from wfbt.config import schema
from wfbt.data.market import Market
from wfbt.data.store import file_hashes
from wfbt.policy.base import Policy
from wfbt.registry import provenance
from wfbt.validation.rerun import Rerun

UNHASHED = ("manifest.json", "index.html")
"""Files of a run folder that `written` leaves out: itself, and the page, which a verdict is written into."""


def manifest_of(
    config: schema.Strategy,
    policies: Mapping[str, Policy],
    market: Market,
    identity: Mapping[str, Any],
    result: Mapping[str, Any],
    *,
    command: Sequence[str],
    strategy_sha256: str | None,
    again: Rerun,
    folder: Path,
    final: Path,
) -> dict[str, Any]:
    """The content of manifest.json, with a hash of itself at its end.

    `strategy_sha256` is of the strategy file, None where something was set on top of it; `folder` holds what was
    written and will become `final`.
    """
    told = {
        "run_id": result["run_id"],
        "name": config.name,
        "command": list(command),
        "seed": config.seed,
        "strategy_sha256": strategy_sha256,
        "config": identity["config"],
        "config_sha256": provenance.sha256(json.dumps(identity["config"], sort_keys=True).encode()),
        "data_sha256": market.digest,
        "source_sha256": identity["source"],
        **_rules(policies),
        "versions": identity["versions"],
        "machine": provenance.machine(),
        "trials": {"file": result["trials"]["file"], "head": result["trials"]["head"]},
        "rerun": asdict(again),
        "files": list(input_files(config, final)),
        "written": written(folder),
        "notes": result["notes"],
        "reasons": {} if strategy_sha256 else {"strategy_sha256": "options were set on top of the strategy file"},
    }
    # Of what will be read back, in JSON's own types.
    return told | {"sha256": provenance.tree_sha256(json.loads(json.dumps(told)))}


def written(folder: Path) -> dict[str, str]:
    """sha256 of every file of a run folder that nothing is written into later, by its path in it."""
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names if name not in UNHASHED}


def input_files(config: schema.Strategy, final: Path) -> Iterator[dict[str, str]]:
    """Every file of market data: what it is of, its place as seen from the run folder `final`, its hash."""
    real = os.path.realpath(final)
    places = [
        (symbol, role, path)
        for symbol, given in config.data.symbols.items()
        for role in (*FILES, "trades")
        if (path := getattr(given, role)) is not None
    ]
    places += [(name, "series", given.path) for name, given in config.data.series.items()]
    for name, role, path in places:
        found = file_hashes(str(config.locate(path)), name)
        scheme, remote, _ = path.partition("://")
        for file, sha256 in found:
            place = os.path.relpath(os.path.realpath(file), real)
            if remote:  # several files behind one address are told apart by their own
                place = path if len(found) == 1 else f"{scheme}://{file}"
            yield {"of": name, "role": role, "path": place, "sha256": sha256}


def _rules(policies: Mapping[str, Policy]) -> dict[str, Any]:
    """Names and hashes of what decided: `rule`, or `rules` by sleeve."""
    told = {name: {"name": one.name, "sha256": one.source_sha256} for name, one in policies.items()}
    return {"rule": told[""]} if "" in told else {"rules": told}
