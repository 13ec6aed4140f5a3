"""What `wfbt verify` found, in plain words: what was compared, and of what nothing is known."""

from __future__ import annotations

from typing import Any

from wfbt.gate.attest import HASHES, Verified, predicate

_COMPARED = {
    "model": "its manifest and every file that it names are those that were judged",
    "strategy": "the file is the one that was judged",
    "data": "every file that was judged on is there",
    "criteria": "the verdict was judged by these",
    "own criteria": "the verdict was judged by others, which ask all of yours at least as strictly",
    "trials": "the ledger is whole, and holds all that it held then",
    "lock": "the file of pinned dependencies is the same",
}


def told(held: Verified) -> dict[str, Any]:
    """Plain values, for --json."""
    statement = predicate(held.statement)
    missing, findings = statement["reasons"], statement["findings"]
    known = {"criteria" if name == "own criteria" else name for name in held.compared}
    return {
        "status": statement["status"],
        "run_id": findings["run_id"],
        "version": statement["version"],
        "issued": statement["issued"],
        "expires": statement["expires"],
        "signed_by": held.signed_by,
        "criteria": findings["criteria"],
        "compared": list(held.compared),
        "not_compared": [name for name in (*HASHES, "trials") if name not in known and name not in missing],
        "none_bound": missing,
    }


def described(held: Verified) -> list[str]:
    """Lines for a terminal."""
    found = told(held)
    signed = f"signed by the key {held.signed_by}" if held.signed_by else "not signed: anybody can have written it"
    lines = [
        f"{found['status']}: run {_plain(found['run_id'])}, by the criteria {_plain(found['criteria']['name'])}",
        signed,
        f"in force from {found['issued']} until {found['expires']}",
        "",
        "compared, and the same:" if found["compared"] else "compared: nothing but the verdict with its own seal",
        *(f"  {name:<12} {_COMPARED[name]}" for name in found["compared"]),
    ]
    if found["not_compared"]:
        lines += ["", "not given, so nothing is known of them but the verdict's word:"]
        lines += [f"  {name:<12} {_how(name, found['version'])}" for name in found["not_compared"]]
    if found["none_bound"]:
        lines += ["", "not bound by the verdict:"]
        lines += [f"  {name:<12} {_plain(why)}" for name, why in found["none_bound"].items()]
    return lines


def _how(name: str, version: str) -> str:
    if name == "source":
        judged = f"the wfbt that judged, {_plain(version)}, and the same code of rules"
        return f"cannot be given: see that what runs is {judged}"
    return "give it as MODEL" if name == "model" else f"give it by --{name}"


def _plain(text: str) -> str:
    """Text of a file, without what would steer a terminal."""
    return "".join(one if one.isprintable() else "�" for one in text)
