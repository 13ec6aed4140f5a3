"""verdict.json: what was attested, laid out for people, with the attestation at its end.

The file is a rendering of the attested payload and nothing else.  Whoever verifies it takes the attestation, renders
the payload again and compares bytes, so a changed figure, key or space anywhere in the file is seen.

A deployer's side imports this module: it stands on the standard library alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wfbt.errors import ArtifactError
from wfbt.gate.attest import STATUSES, Bound, Statement, predicate, seal
from wfbt.gate.hashes import data_hash
from wfbt.gate.shape import parse, schema, shaped

if TYPE_CHECKING:  # criteria are read by pydantic
    from wfbt.gate.verdict import Verdict

MOST_BYTES = 32_000_000
ATTESTATION = "attestation"


def contents(verdict: Verdict, *, bound: Bound, strategy_file: str, files: Mapping[str, str]) -> dict[str, Any]:
    """`Statement.findings` of a verdict: all that verdict.json says and the statement itself does not.

    Parameters
    ----------
    bound : Bound
        `criteria` is the hash of the criteria file's bytes, or `verdict.criteria_sha256` where they come with wfbt;
        `data` is `data_hash` of the files.
    strategy_file : str
        Name of the file whose bytes `bound.strategy` is of.
    files : mapping of str to str
        sha256 of each market data file, by its path.
    """
    told = verdict.to_dict()
    built_in = bound.criteria == verdict.criteria_sha256
    return {
        "schema_version": told["schema_version"],
        "run_id": told["run_id"],
        "strategy_file": strategy_file,
        "criteria": told["criteria"] | {"file_sha256": None if built_in else bound.criteria, "built_in": built_in},
        "tries": told["tries"],
        "findings": told["findings"],
        "notes": told["notes"],
        "files": [{"path": path, "sha256": files[path]} for path in sorted(files)],
    }


def render(statement: Statement, private_key: bytes | None = None) -> bytes:
    """verdict.json of a statement whose findings are `contents`, signed where `private_key` (PEM) is given.

    The same statement and key give the same bytes.  ArtifactError where what is told has another shape than the
    published schema, or contradicts itself.
    """
    return _rendered(seal(statement, private_key), statement, "verdict")


def envelope(raw: bytes, source: str) -> bytes:
    """The attestation in a verdict.json, as `attest.verify` takes it; nothing else of the file is believed yet."""
    tree = parse(raw, source, MOST_BYTES)
    if not isinstance(tree, dict) or ATTESTATION not in tree:
        raise ArtifactError(f"{source}: is no verdict.json: it has no {ATTESTATION}; wfbt gate writes one")
    try:
        return json.dumps(tree[ATTESTATION], sort_keys=True, separators=(",", ":")).encode("ascii")
    except RecursionError:
        raise ArtifactError(f"{source}: {ATTESTATION} is nested too deep") from None


def check_rendering(raw: bytes, sealed: bytes, statement: Statement, source: str) -> None:
    """ArtifactError unless `raw` is what `statement`, verified from the envelope `sealed`, is rendered as."""
    wanted = _rendered(sealed, statement, source)
    if raw == wanted:
        return
    at = next((at for at, (one, other) in enumerate(zip(raw, wanted, strict=False)) if one != other), len(wanted))
    line = raw.count(b"\n", 0, at) + 1
    raise ArtifactError(
        f"{source}: line {line} was changed after it was sealed; take the file from where it was written"
    )


def _rendered(sealed: bytes, statement: Statement, source: str) -> bytes:
    tree = shaped(_tree(sealed, statement, source), schema("verdict"), source)
    _check(tree, source)
    try:
        data = (json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except UnicodeEncodeError:
        raise ArtifactError(f"{source}: holds half a character (a lone surrogate)") from None
    if len(data) > MOST_BYTES:
        raise ArtifactError(f"{source}: must take at most {MOST_BYTES:,} bytes, takes {len(data):,}")
    return data


def _tree(sealed: bytes, statement: Statement, source: str) -> dict[str, Any]:
    told = {name: value for name, value in predicate(statement).items() if name != "findings"}
    told |= {"exit_code": STATUSES[statement.status], ATTESTATION: json.loads(sealed)}
    if twice := sorted(told.keys() & statement.findings.keys()):
        raise ArtifactError(f"{source}: findings must not say {twice[0]}, which the statement says")
    return told | dict(statement.findings)


def _check(tree: Mapping[str, Any], source: str) -> None:
    """What no schema can say."""
    criteria, bound = tree["criteria"], tree["bound"]
    if criteria["built_in"] != (criteria["file_sha256"] is None):
        raise ArtifactError(
            f"{source}: criteria.file_sha256 must be null where criteria.built_in is true, and only there"
        )
    judged_by = criteria["sha256"] if criteria["built_in"] else criteria["file_sha256"]
    if bound["criteria"] != judged_by:
        raise ArtifactError(f"{source}: bound.criteria must be that of criteria, {judged_by}, was {bound['criteria']}")
    data = data_hash(one["sha256"] for one in tree["files"])
    if bound["data"] != data:
        raise ArtifactError(f"{source}: bound.data must be that of files, {data}, was {bound['data']}")
    unmet = [one["name"] for one in tree["findings"] if one["passed"] is not True]
    if tree["status"] == "PASS" and unmet:
        raise ArtifactError(f"{source}: status is PASS, and {unmet[0]!r} of findings was not met")
