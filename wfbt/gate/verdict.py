"""What the gate says: findings, the status they add up to, and how a CI job and a person read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from xml.etree import ElementTree

from wfbt.gate.attest import STATUSES
from wfbt.gate.criteria import Criterion, Kind

SCHEMA_VERSION = "1"


class Status(StrEnum):
    """PASS only where every criterion was looked at and met."""

    PASS = "PASS"
    FAIL = "FAIL"
    REFUSED = "REFUSED"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        """Of the command line."""
        return STATUSES[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One criterion held against a run.

    Attributes
    ----------
    criterion : Criterion
    value : float, bool or None
        None where it could not be known, or where several values were asked and one could not.
    threshold : float, bool or None
        As it was for this run.
    passed : bool or None
        None where too little is known to say.
    open : bool
        Not met, but within an interval that reaches the threshold: more data may show it.
    why : str
        What was seen, or why nothing was.
    to_change : str
        What would let it pass; empty where it passed.
    """

    criterion: Criterion
    value: float | bool | None
    threshold: float | bool | None
    passed: bool | None
    open: bool = False
    why: str
    to_change: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is null has its reason in `why`, but for `interval`, where null means that none was asked.

        `asked` is the threshold as the criteria spell it, a number or the path to one; `threshold` what it was.
        """
        told = asdict(self)
        criterion = told.pop("criterion")
        return {
            "name": criterion["name"],
            "kind": str(criterion["kind"]),
            "metric": criterion["metric"],
            "operator": criterion["operator"],
            "asked": criterion["threshold"],
            "interval": criterion["interval"],
            "protects": criterion["why"],
            "hard": self.criterion.hard,
            **told,
        }


def decide(findings: tuple[Finding, ...]) -> Status:
    """The status of all findings together.

    A result that cannot be trusted is refused before anything else.  A breached limit fails however little was seen;
    a rule fails once the counts are met and its interval leaves no doubt.  What is unknown never passes.
    """

    def failed(kind: Kind) -> bool:
        return any(one.passed is False and not one.open for one in findings if one.criterion.kind is kind)

    if failed(Kind.INTEGRITY):
        return Status.REFUSED
    enough = all(one.passed is True for one in findings if one.criterion.kind is Kind.COUNT)
    if failed(Kind.LIMIT) or (enough and failed(Kind.RULE)):
        return Status.FAIL
    if findings and all(one.passed is True for one in findings):
        return Status.PASS
    return Status.INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was asked of a run and what it showed.

    Attributes
    ----------
    run_id : str
    criteria, criteria_sha256 : str
        Name and hash of the criteria.
    spend : float
        Of the criteria: the chance of passing by luck.
    attempt, series : int or None
        Of `Tries`; None where no ledger could say.
    picked : bool
    findings : tuple of Finding
    notes : tuple of str
        What the reader should know besides.
    by_fold : tuple of (int, Finding)
        What each fold, by its number, says to criteria that ask every fold.
    """

    run_id: str
    criteria: str
    criteria_sha256: str
    spend: float
    attempt: int | None
    series: int | None
    picked: bool
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    by_fold: tuple[tuple[int, Finding], ...] = ()

    @property
    def status(self) -> Status:
        return decide(self.findings)

    @property
    def exit_code(self) -> int:
        return self.status.exit_code

    def to_dict(self) -> dict[str, Any]:
        """Plain values with a schema version."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": str(self.status),
            "exit_code": self.exit_code,
            "run_id": self.run_id,
            "criteria": {"name": self.criteria, "sha256": self.criteria_sha256, "spend": self.spend},
            "tries": {"attempt": self.attempt, "series": self.series, "picked": self.picked},
            "findings": [one.to_dict() for one in self.findings],
            "notes": list(self.notes),
        }

    def to_junit(self) -> str:
        """JUnit XML: a suite of the whole run and one of each fold, a test case a criterion.

        Unmet ones are failures, those that cannot be known errors; neither is ever `skipped`, which CI systems show as
        green.  A fold has cases of the criteria that ask every fold.
        """
        folds: dict[int, list[Finding]] = {}
        for fold, one in self.by_fold:
            folds.setdefault(fold, []).append(one)
        suites = [("wfbt gate", self.findings), *((f"fold {fold}", found) for fold, found in sorted(folds.items()))]
        root = ElementTree.Element(
            "testsuites", {"name": "wfbt gate"} | _counts([one for _, of in suites for one in of])
        )
        for name, findings in suites:
            suite = ElementTree.SubElement(root, "testsuite", {"name": name} | _counts(findings))
            properties = ElementTree.SubElement(suite, "properties")
            for key, value in (
                ("status", str(self.status)),
                ("run_id", self.run_id),
                ("criteria", self.criteria),
                ("criteria_sha256", self.criteria_sha256),
            ):
                ElementTree.SubElement(properties, "property", {"name": key, "value": _printable(value)})
            for one in findings:
                place = {"name": _printable(one.criterion.name), "classname": f"{name}.{one.criterion.kind}"}
                case = ElementTree.SubElement(suite, "testcase", place)
                if one.passed is not True:
                    kind = "failure" if one.passed is False else "error"
                    told = ElementTree.SubElement(case, kind, {"message": _printable(one.why)})
                    told.text = _printable(one.to_change)
                else:
                    ElementTree.SubElement(case, "system-out").text = _printable(one.why)
        ElementTree.indent(root)
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"

    def to_markdown(self) -> str:
        """What summary.md says of the verdict: unmet criteria first, then all of them."""
        lines = [f"## Verdict: {self.status}", "", f"{MEANING[self.status]} Criteria: {cell(self.criteria)}."]
        unmet = [one for one in self.findings if one.passed is not True]
        if unmet:
            lines += ["", "### What would change it", ""]
            for one in unmet:
                lines.append(f"- **{cell(one.criterion.name)}**: {cell(one.why)}. {cell(sentence(one.to_change))}")
        lines += ["", "| Criterion | Value | Must be | |", "|---|---:|---:|---|"]
        for one in self.findings:
            must = must_be(one.criterion.operator, one.threshold)
            lines.append(f"| {cell(one.criterion.name)} | {shown_value(one.value)} | {must} | {_MARK[one.passed]} |")
        if self.notes:
            lines += ["", *(f"- {cell(note)}" for note in self.notes)]
        return "\n".join(lines) + "\n"


MEANING = {
    Status.PASS: "Every criterion was looked at and met.",
    Status.FAIL: "A limit is breached, or a rule is broken with enough data to know.",
    Status.REFUSED: "The result cannot be trusted, so it was not judged.",
    Status.INCONCLUSIVE: "There is not enough evidence; that is not to say that there is no edge.",
}

_MARK = {True: "met", False: "not met", None: "not known"}


def shown_value(value: float | bool | None) -> str:
    """Four digits; true and false in words."""
    if value is None:
        return "–"
    return str(value).lower() if isinstance(value, bool) else f"{value:.4g}"


def must_be(operator: str, threshold: float | bool | None) -> str:
    """An operator and its threshold, as people write them."""
    signs = {">=": "≥", "<=": "≤"}
    return shown_value(threshold) if operator == "is" else f"{signs.get(operator, operator)} {shown_value(threshold)}"


def sentence(text: str) -> str:
    """Words as a sentence; a command that begins them keeps its small letter."""
    text = text.strip().rstrip(".")
    return (text if text.startswith("wfbt ") else text[:1].upper() + text[1:]) + "." if text else ""


def _counts(findings: Sequence[Finding]) -> dict[str, str]:
    unmet = sum(one.passed is False for one in findings)
    unknown = sum(one.passed is None for one in findings)
    return {"tests": str(len(findings)), "failures": str(unmet), "errors": str(unknown)}


def cell(text: str) -> str:
    """Text in Markdown that ends no table row and opens no markup."""
    return re.sub(r"([\\|`*_<\[\]])", r"\\\1", " ".join(_printable(text).split()))


def _printable(text: str) -> str:
    """Without the characters that XML 1.0 forbids even when escaped."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", text)
