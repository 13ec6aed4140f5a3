"""Whether a verdict's criteria are the ones a deployer trusts, or ask at least as much as his own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wfbt import __version__
from wfbt.config.messages import shown
from wfbt.errors import ArtifactError, ConfigError
from wfbt.gate.criteria import Criteria, Criterion, Kind, load_criteria, profile, profiles
from wfbt.policy.artifact.files import read_whole

MOST_BYTES = 1_000_000

Told = Mapping[str, Any]
"""One of the findings in a verdict, or its criteria."""

_HARDNESS = {Kind.COUNT: 0, Kind.EVIDENCE: 0, Kind.RULE: 1, Kind.LIMIT: 2, Kind.INTEGRITY: 3}
_UP, _DOWN = (">", ">="), ("<", "<=")


def check_criteria(given: str | os.PathLike[str], told: Told, findings: Sequence[Told], source: str) -> bool:
    """Whether `given`, a criteria file or the name of built-in ones, is what the verdict was judged by.

    False where it asks for other things, and each of them was asked of the verdict at least as strictly.
    ArtifactError where one was not, or where criteria of the verdict's name have other contents; ConfigError where
    `given` is none.  `told` and `findings` are those of verdict.json.
    """
    named = isinstance(given, str) and given in profiles()
    if named:
        own, same = profile(str(given)), None
    else:
        path = Path(given)
        if not os.path.exists(path):
            raise ConfigError(f"criteria: {given}: no such file, and none of {', '.join(profiles())}")
        own = load_criteria(path)
        same = told["file_sha256"] == hashlib.sha256(read_whole(path, MOST_BYTES)).hexdigest()
    # What comes with wfbt has no bytes of its own in the verdict: what it asks is compared.
    if same or ((named or told["built_in"]) and own.sha256 == told["sha256"]):
        return True
    if own.name == told["name"]:
        raise ArtifactError(
            f"{source}: criteria {shown(own.name)}: those of wfbt {__version__} are not those of the verdict; judge it "
            "anew by wfbt gate"
            if named
            else f"{source}: criteria {shown(own.name)}: {given} was changed after judging: it has other bytes than "
            "the verdict binds; give the file as it was, or judge anew by wfbt gate"
        )
    if weaker := _weaker(own, told, findings):
        raise ArtifactError(
            f"{source}: was judged by criteria {shown(told['name'])}, which ask less than {given}; judge it by "
            "that one with wfbt gate:\n" + "\n".join(f"  {line}" for line in weaker)
        )
    return False


def asked_less(own: Criteria, told: Told) -> tuple[str, ...]:
    """Names of the criteria of `own` that a verdict, as a mapping, did not ask at least as strictly; and spend."""
    spend = ("spend",) if told["criteria"]["spend"] > own.spend else ()
    findings: Sequence[Told] = told["findings"]
    short = (one.name for one in own.criteria if all(_short(one, f) for f in findings if f["metric"] == one.metric))
    return (*spend, *short)


def _weaker(own: Criteria, told: Told, findings: Sequence[Told]) -> list[str]:
    """A line for each thing that `own` asks and the verdict asked less strictly, or not at all."""
    lines = []
    if told["spend"] > own.spend:
        lines.append(f"spend: must be <= {own.spend:g}, was {told['spend']:g}")
    for one in own.criteria:
        alike = [finding for finding in findings if finding["metric"] == one.metric]
        short = [_short(one, finding) for finding in alike]
        if not short:
            lines.append(f"{one.name}: {one.metric} was not asked")
        elif all(short):
            lines.append(f"{one.name}: {short[0]}")
    return lines


def _short(own: Criterion, told: Told) -> str:
    """Why a finding that was met does not say that `own` is; empty where it does."""
    if not _as_strict(own, told):
        asked = told["asked"] if isinstance(own.threshold, str) else told["threshold"]
        return (
            f"{own.metric} must be {own.operator} {_said(own.threshold)}, "
            f"was asked to be {told['operator']} {_said(asked)}"
        )
    if told["interval"] not in (None, own.interval):
        wanted = f"the interval {own.interval}" if own.interval else "no interval"
        return f"{own.metric} must be judged with {wanted}, was with {_said(told['interval'])}"
    if _HARDNESS[Kind(told["kind"])] < _HARDNESS[own.kind]:
        return f"{own.metric} must be of kind {own.kind} or harder, was {told['kind']}"
    return ""


def _as_strict(own: Criterion, told: Told) -> bool:
    """Whether all that meets the rule of `told` meets that of `own`."""
    wanted, asked = own.operator, told["operator"]
    if wanted == "is":
        return asked == "is" and told["asked"] is own.threshold
    if not any(wanted in way and asked in way for way in (_UP, _DOWN)):
        return False
    # >= is weaker than > at one and the same threshold.
    loose = asked in (">=", "<=") and wanted in (">", "<")
    if isinstance(own.threshold, str):
        return told["asked"] == own.threshold and not loose
    reached = told["threshold"]
    if reached is None:
        return False
    if reached == own.threshold:
        return not loose
    return bool(reached > own.threshold) if wanted in _UP else bool(reached < own.threshold)


def _said(value: float | bool | str | None) -> str:
    if isinstance(value, str):
        return value if value.isprintable() else shown(value)
    return str(value).lower() if value is None or isinstance(value, bool) else f"{value:.12g}"
